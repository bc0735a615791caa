"""A small data set and a profile of small numbers, for the tests of what notebook 02 trains and computes."""

import dataclasses

import numpy as np
import pytest
from helpers import flat_dataset
from joblib import parallel_config
from threadpoolctl import threadpool_limits

from adathresh.datasets import make_longtail
from adathresh.experiments.core.config import PROFILES, RunConfig

SIZES = {"train": 90, "dev": 40, "test": 50}
TINY = dataclasses.replace(
    PROFILES["quick"],
    max_epochs=2,
    hidden_layers=(8,),
    top_scores=6,
    n_bootstrap=20,
    text_tokens=8,
    tuning_steps=2,
)


@pytest.fixture(autouse=True, scope="module")
def one_process():
    """Compute in this process, where the small profile holds."""
    with parallel_config(backend="sequential"):
        yield


@pytest.fixture
def tiny_profile(monkeypatch, tmp_path):
    """Make the quick profile small and the cache empty; the value is the cache's folder."""
    monkeypatch.setitem(PROFILES, "quick", TINY)
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    with threadpool_limits(1):
        yield tmp_path


@pytest.fixture
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture
def make_dataset():
    return _make_dataset


def _make_dataset(n_labels=12, texts=False):
    X, Y = make_longtail(180, 60, n_labels, labels_per_row=3, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    written = {f"text_{split}": [f"row {i}" for i in range(size)] for split, size in SIZES.items()}
    return flat_dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        **(written if texts else {}),
        label_names=[f"label {i}" for i in range(n_labels)],
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint="0123456789abcdef" * 4,
        validation_source="official",
    )
