"""A small data set, and training runs of the released protocol on it, which two test files share."""

import dataclasses

import numpy as np
import pytest
from helpers import flat_dataset
from threadpoolctl import threadpool_limits

from adathresh.datasets import make_longtail
from adathresh.experiments.core import protocol_runs as runs
from adathresh.experiments.core.config import PROFILES, RunConfig

SIZES = {"train": 150, "dev": 70, "test": 10}
TINY = dataclasses.replace(
    PROFILES["quick"],
    patience=2,
    hidden_layers=(16,),
    learning_rate=3e-2,
    batch_size=32,
    released_epochs=8,
    long_epochs=8,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "quick", TINY)
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def ds():
    X, Y = make_longtail(230, 60, 20, labels_per_row=2, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    return flat_dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        label_names=[f"label {i}" for i in range(20)],
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint=f"{7:064x}",
        validation_source="official",
    )


@pytest.fixture(scope="module")
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture(scope="module")
def released(config, ds):
    return runs.released_run(config, ds, seed=0)


@pytest.fixture(scope="module")
def leak_free(config, ds):
    return runs.leak_free_run(config, ds, seed=0)


@pytest.fixture(scope="module")
def method(config, ds):
    return runs.leak_free_method(config, ds, seed=0)
