"""The benchmarks: the data they run on, that peers do the same work, and that seconds and memory are real."""

import mmap
import os

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from adathresh.experiments import benchmarks
from adathresh.experiments.benchmarks import (
    BENCHMARKS,
    METHODS,
    Benchmark,
    Size,
    grid_threshold,
    isotonic_thresholds,
    libmultilabel_thresholds,
    make_scores,
    precision_recall_thresholds,
)
from adathresh.metrics import macro_f1
from adathresh.rules import FixedThreshold, GlobalThreshold, MicroMacroThreshold, SCut

SMALL = Size(600, 40, 8)
COLUMNS = [
    "benchmark",
    "size",
    "ours_seconds",
    "peer",
    "peer_seconds",
    "ratio",
    "ours_memory_mb",
    "peer_memory_mb",
]


def test_scores_have_the_size_asked_for_and_a_long_tail():
    size = Size(2 * benchmarks.BLOCK_ROWS + 7, 300, 10)
    scores, Y = make_scores(size)
    assert scores.shape == Y.shape == (size.n_samples, size.n_labels)
    assert (np.diff(scores.indptr) == size.per_row).all()
    assert scores.has_canonical_format
    candidates = np.bincount(scores.indices, minlength=size.n_labels)
    assert candidates[:10].min() > 5 * candidates[-100:].mean() > 0
    assert Y.nnz == pytest.approx(0.1 * scores.nnz, rel=0.02)
    assert (scores != 0).multiply(Y).nnz == Y.nnz  # every true pair is a candidate


def test_scores_are_calibrated_and_follow_the_seed():
    scores, Y = make_scores(Size(20_000, 50, 5))
    high = scores > 0.5
    assert Y.multiply(high).sum() / high.nnz == pytest.approx(
        scores.multiply(high).sum() / high.nnz, abs=0.02
    )
    again, other = make_scores(SMALL)[0], make_scores(SMALL, random_state=1)[0]
    assert (again != make_scores(SMALL)[0]).nnz == 0
    assert (again != other).nnz > 0


def test_the_peer_of_the_label_cuts_reaches_the_same_f1():
    scores, Y = make_scores(SMALL)
    rule = SCut().fit(scores, Y)
    rule.thresholds_ = np.nextafter(precision_recall_thresholds(scores, Y), -np.inf)  # its cuts are predicted
    assert macro_f1(Y, rule.predict(scores)) == pytest.approx(rule.f1_.mean())


def test_isotonic_calibration_lets_no_label_lose():
    scores, Y = make_scores(SMALL)
    cuts = isotonic_thresholds(scores, Y)
    assert (np.isinf(cuts) == (Y.sum(axis=0) == 0)).all()
    assert (cuts[np.isfinite(cuts)] <= 1).all()


def test_the_grid_finds_no_better_cut_than_the_sweep():
    scores, Y = make_scores(SMALL)
    cut = grid_threshold(scores, Y)
    reached = [macro_f1(Y, FixedThreshold(c).fit(scores).predict(scores)) for c in np.arange(1, 100) / 100]
    best = macro_f1(Y, GlobalThreshold().fit(scores, Y).predict(scores))
    assert macro_f1(Y, FixedThreshold(cut).fit(scores).predict(scores)) == pytest.approx(max(reached))
    assert max(reached) <= best


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_the_cuts_of_libmultilabel_are_near_ours():
    try:
        benchmarks.libmultilabel_linear()
    except ImportError as error:
        pytest.skip(str(error))
    scores, Y = make_scores(SMALL)
    np.random.seed(0)  # noqa: NPY002 (the generator that the package shuffles by)
    theirs, ours = libmultilabel_thresholds(scores, Y), MicroMacroThreshold().fit(scores, Y).thresholds_
    rule = FixedThreshold().fit(scores)
    reached = []
    for rule.thresholds_ in (theirs, ours):
        reached.append(macro_f1(Y, rule.predict(scores)))
    assert reached[0] == pytest.approx(reached[1], abs=0.05)  # other folds


def test_without_libmultilabel_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(benchmarks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps libmultilabel"):
        benchmarks.libmultilabel_linear()


def test_every_benchmark_names_methods_that_exist():
    assert {name for b in BENCHMARKS for name in (b.rule, b.peer) if name} == set(METHODS)


@pytest.mark.slow
def test_measurements_run_apart_and_are_written_as_a_table(monkeypatch, tmp_path, capfd):
    pairs = [Benchmark("SCut", "scikit-learn precision_recall_curve, label by label", step=4)]
    monkeypatch.setattr(benchmarks, "HEADLINE_SIZE", SMALL)
    monkeypatch.setattr(
        benchmarks, "run_benchmarks", lambda size, run=benchmarks.run_benchmarks: run(size, pairs)
    )
    assert benchmarks.main(["--out", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "rules.csv")
    assert list(table) == COLUMNS
    assert os.listdir(tmp_path / "out") == ["rules.csv"]
    row = table.iloc[0]
    assert row["benchmark"] == "fit SCut"
    assert row["size"] == "600 x 40, 8 scores a row, 10 of the labels"
    assert row["ours_seconds"] > 0
    assert row["peer_seconds"] > 0
    assert row["peer"] in capfd.readouterr().out


def test_a_missing_package_leaves_numbers_out(monkeypatch, tmp_path, capsys):
    def missing(scores, Y):
        raise ImportError("pip install it")

    save(tmp_path, *make_scores(SMALL))
    monkeypatch.setitem(METHODS, "absent", missing)
    measured = benchmarks._measure("absent", tmp_path, 1)
    assert np.isnan(measured).all()
    assert capsys.readouterr().out == "absent: left out. pip install it\n"
    row = benchmarks._row(SMALL, Benchmark("SCut", "absent"), benchmarks._Measurement(2.0, 3.0), measured)
    assert (row["ours_seconds"], row["ours_memory_mb"]) == (2.0, 3.0)
    assert np.isnan([row["peer_seconds"], row["ratio"], row["peer_memory_mb"]]).all()


def test_seconds_and_memory_are_those_of_the_run_alone(monkeypatch, tmp_path):
    def greedy(scores, Y):
        calls.append(scores.shape[0])
        if scores.shape[0] == 600:
            clock.append(5.0)
            # not from the heap, which may have kept what earlier tests gave back
            np.frombuffer(mmap.mmap(-1, 40_000_000), dtype=np.uint8)[:] = 1

    calls, clock = [], [0.0]
    save(tmp_path, *make_scores(SMALL))
    monkeypatch.setitem(METHODS, "greedy", greedy)
    monkeypatch.setattr(benchmarks.time, "perf_counter", lambda: clock[-1])
    seconds, memory = benchmarks._measure("greedy", tmp_path, 1)
    assert calls == [benchmarks.WARM_UP_ROWS, 600]
    assert seconds == 5
    if np.isfinite(memory):  # Linux
        assert 38 < memory < 60


def save(folder, scores, Y):
    sp.save_npz(folder / "scores.npz", scores)
    sp.save_npz(folder / "labels.npz", Y)
