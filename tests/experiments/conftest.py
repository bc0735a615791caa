"""A small data set, a profile of small numbers, and a cache of their own for the tests of the experiments."""

import dataclasses

import numpy as np
import pytest
from helpers import flat_dataset
from joblib import parallel_config
from threadpoolctl import threadpool_limits

from adathresh import LabelKnowledge
from adathresh.datasets import make_longtail
from adathresh.experiments.core.config import PROFILES, RunConfig

SIZES = {"train": 90, "dev": 40, "test": 50}
TINY = dataclasses.replace(
    PROFILES["quick"],
    max_epochs=4,
    patience=4,
    hidden_layers=(8,),
    learning_rate=3e-2,
    batch_size=32,
    top_scores=6,
    ablation_rows=50,
    released_epochs=4,
    long_epochs=4,
    n_bootstrap=20,
    text_tokens=0,
    tuning_steps=0,
)


@pytest.fixture(autouse=True, scope="module")
def one_process():
    """Compute in this process, where the small profile holds, with one thread."""
    with parallel_config(backend="sequential"), threadpool_limits(1):
        yield


@pytest.fixture
def tiny_profile(monkeypatch, tmp_path):
    """Make the quick profile small and the cache empty; the value is the cache's folder."""
    monkeypatch.setitem(PROFILES, "quick", TINY)
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    """Make the quick profile small and share one cache among the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "quick", TINY)
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """Return a function that starts an empty cache of some name, for the rest of the test."""
    return lambda name: monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / name))


@pytest.fixture(scope="session")
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture(scope="session")
def make_dataset():
    return _make_dataset


@pytest.fixture(scope="session")
def ds():
    """Rows with groups of three and texts that are the names of their labels."""
    return _make_dataset(texts=True, groups=True)


@pytest.fixture(scope="session")
def titled():
    """The same rows, each with the name of its first label as its title."""
    return _make_dataset(texts=True, titles=True, groups=True)


def _make_dataset(n_labels=12, *, texts=False, titles=False, groups=False, random_state=3):
    X, Y = make_longtail(180, 60, n_labels, labels_per_row=3, features_per_row=12, random_state=random_state)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    names = [
        f"word{'abcdefghijklmnopqrst'[i // 20]}{'abcdefghijklmnopqrst'[i % 20]}" for i in range(n_labels)
    ]
    fields = {f"X_{split}": X[rows] for split, rows in parts.items()}
    fields |= {f"Y_{split}": Y[rows] for split, rows in parts.items()}
    if texts:
        written = [" ".join(names[label] for label in Y[[row]].indices) for row in range(180)]
        fields |= {f"text_{split}": written[rows] for split, rows in parts.items()}
        fields["label_knowledge"] = LabelKnowledge(names)
    if titles:
        first = [names[Y[[row]].indices[0]] if Y[[row]].nnz else "" for row in range(180)]
        fields |= {f"title_{split}": first[rows] for split, rows in parts.items()}
    if groups:
        fields |= {f"groups_{split}": np.arange(180)[rows] // 3 for split, rows in parts.items()}
    return flat_dataset(
        name="tiny",
        **fields,
        label_names=names,
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint="0123456789abcdef" * 4,
    )
