"""AmazonCat-13K's way from the published file format to the tables, at its full width, with few rows."""

import bz2
import dataclasses
import shutil
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from adathresh.datasets import downloads, make_longtail
from adathresh.experiments.core.base_models import base_model_names
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.data import prepare
from adathresh.experiments.nb02_baselines.judging import judge

N_FEATURES, N_LABELS = 203_882, 13_330
ROWS = {"train": 400, "test": 100}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Write train and test files as they are published: LIBSVM's lines, features from 1, by bzip2."""
    X, Y = make_longtail(sum(ROWS.values()), N_FEATURES, N_LABELS, labels_per_row=5.04, random_state=0)
    X, Y = X.tolil(), Y.tolil()
    X[0, N_FEATURES - 1], Y[0, N_LABELS - 1] = 1.0, 1.0  # the format has no header: the widest row tells
    X, Y = X.tocsr(), Y.tocsr()
    folder, start = tmp_path_factory.mktemp("published"), 0
    for part, file in downloads.SOURCES["amazoncat-13k"].files.items():
        lines = [_line(X[[row]], Y[[row]]) for row in range(start, start + ROWS[part])]
        (folder / file).write_bytes(bz2.compress("".join(lines).encode()))
        start += ROWS[part]
    return folder


def _line(x, y):
    """Return one row as a line."""
    labels = ",".join(str(label) for label in sorted(y.indices))
    features = " ".join(f"{i + 1}:{v:.6g}" for i, v in sorted(zip(x.indices, x.data, strict=True)))
    return f"{labels} {features}\n"


@pytest.fixture
def data_dir(published, tmp_path, monkeypatch):
    """Fetch the data set from the written files."""
    shutil.copytree(published, tmp_path / "amazoncat-13k" / "downloads")
    monkeypatch.setattr(downloads, "BASE_URL", "a copy of ours: ")  # of which nobody states the rows
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(PROFILES["quick"], n_bootstrap=5))
    downloads.fetch("amazoncat-13k", tmp_path, progress=False)
    with threadpool_limits(1):
        yield tmp_path


@pytest.mark.slow
def test_base_models_are_judged_at_full_width_without_dense_features(data_dir):
    config = RunConfig(dataset="amazoncat-13k", data_dir=str(data_dir))
    ds = prepare(config)
    assert ds.train.X.shape == (340, N_FEATURES)
    assert ds.test.Y.shape == (100, N_LABELS)
    assert ds.train.texts is None
    crossfitted(config, ds, "neighbours", seed=0)
    tracemalloc.start()
    judged = [judge(config, ds, name, seed=0) for name in ("neighbours", "ML-kNN")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 340 * N_FEATURES * 4 / 2  # half of the dense training rows in float32
    for found in judged:
        assert len(found.rows) == 8
        assert np.isfinite([row["macro_f1"] for row in found.rows]).all()


def test_base_models_at_full_width(data_dir):
    quick, full = (
        RunConfig(dataset="amazoncat-13k", data_dir=str(data_dir), profile=profile)
        for profile in ("quick", "full")
    )
    ds = prepare(quick)
    # too many labels for the network, no texts
    for config in (quick, full):
        assert set(base_model_names(config, ds)) == {"linear", "neighbours", "ML-kNN", "label tree"}
