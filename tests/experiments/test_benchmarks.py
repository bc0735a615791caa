"""The benchmarks: their data, that peers do the same work, and that seconds and memory are real."""

import mmap
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from adathresh.__main__ import main
from adathresh.experiments import benchmarks
from adathresh.experiments.benchmarks import (
    PARTS,
    Comparison,
    Part,
    Size,
    grid_threshold,
    isotonic_thresholds,
    libmultilabel_thresholds,
    make_scores,
    precision_recall_thresholds,
)
from adathresh.experiments.core.config import repository_root
from adathresh.metrics import macro_f1
from adathresh.rules import FixedThreshold, GlobalThreshold, MicroMacroThreshold, SCut
from adathresh.signals import NeighborLabels

SMALL = (600, 40, 8)
TINY = Size(400, 60, 12)
COLUMNS = [
    "benchmark",
    "n_samples",
    "n_features",
    "n_labels",
    "ours_seconds",
    "peer",
    "peer_seconds",
    "ratio",
    "ours_memory_mb",
    "peer_memory_mb",
    "cpu",
    "cores",
    "threads",
    "ours_slope",
    "peer_slope",
]


def test_scores_have_the_size_asked_for_and_a_long_tail():
    n_samples = 2 * benchmarks.BLOCK_ROWS + 7
    scores, Y = make_scores(n_samples, 300, 10)
    assert scores.shape == Y.shape == (n_samples, 300)
    assert (np.diff(scores.indptr) == 10).all()
    assert scores.has_canonical_format
    candidates = np.bincount(scores.indices, minlength=300)
    assert candidates[:10].min() > 5 * candidates[-100:].mean() > 0
    assert Y.nnz == pytest.approx(0.1 * scores.nnz, rel=0.02)
    assert (scores != 0).multiply(Y).nnz == Y.nnz  # every true pair is a candidate


def test_scores_are_calibrated_and_follow_the_seed():
    scores, Y = make_scores(20_000, 50, 5)
    high = scores > 0.5
    assert Y.multiply(high).sum() / high.nnz == pytest.approx(
        scores.multiply(high).sum() / high.nnz, abs=0.02
    )
    again, other = make_scores(*SMALL)[0], make_scores(*SMALL, random_state=1)[0]
    assert (again != make_scores(*SMALL)[0]).nnz == 0
    assert (again != other).nnz > 0


def test_the_peer_of_the_label_cuts_reaches_the_same_f1():
    scores, Y = make_scores(*SMALL)
    rule = SCut().fit(scores, Y)
    rule.thresholds_ = np.nextafter(precision_recall_thresholds(scores, Y), -np.inf)  # its cuts are predicted
    assert macro_f1(Y, rule.predict(scores)) == pytest.approx(rule.f1_.mean())


def test_isotonic_calibration_lets_no_label_lose():
    scores, Y = make_scores(*SMALL)
    cuts = isotonic_thresholds(scores, Y)
    assert (np.isinf(cuts) == (Y.sum(axis=0) == 0)).all()
    assert (cuts[np.isfinite(cuts)] <= 1).all()


def test_the_grid_finds_no_better_cut_than_the_sweep():
    scores, Y = make_scores(*SMALL)
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
    scores, Y = make_scores(*SMALL)
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


def both(name, at=0, size=TINY):
    """Run both sides of a comparison on the same data."""
    part = PARTS[name]()
    data, comparison = part.make_data(size), part.comparisons[at]
    return comparison.ours(*data), comparison.theirs(*data)


def test_training_on_sparse_and_on_dense_rows_has_the_same_loss(monkeypatch):
    monkeypatch.setattr(benchmarks, "HIDDEN_LAYERS", (8,))
    ours, theirs = both("training")
    assert ours[0]["train_loss"] == pytest.approx(theirs[0]["train_loss"], rel=1e-5)
    assert ours[0]["train_loss"] > 0


def test_both_searches_find_neighbours_of_the_same_similarity():
    ours, (distances, _) = both("neighbors")
    for row, far in enumerate(distances):
        found = np.sort(ours.data[ours.indptr[row] : ours.indptr[row + 1]])[::-1]
        assert len(found) > 5
        np.testing.assert_allclose(found, 1 - far[: len(found)], atol=1e-6)


def test_both_metrics_are_the_same():
    ours, theirs = both("metrics", size=Size(600, 0, 40))
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs)
    assert theirs["macro_f1"] > 0


def test_both_one_vs_rest_models_predict_the_same():
    ours, theirs = both("base")
    assert ours.nnz > 100
    assert (ours != sp.csr_array(theirs)).nnz <= 0.002 * ours.nnz


@pytest.mark.parametrize("at", [0, 1])
def test_the_peer_of_latency_is_the_base_model_alone(at):
    part = PARTS["latency"]()
    classifier, X = part.make_data(Size(1_100, 60, 4))
    comparison, n_rows = part.comparisons[at], (1, 1_000)[at]
    ours, theirs = comparison.ours(classifier, X), comparison.theirs(classifier, X)
    assert ours.shape == theirs.shape == (n_rows, 4)
    assert (theirs != classifier.estimator_.predict(X[:n_rows])).nnz == 0
    assert (ours != classifier.predict(X[:n_rows])).nnz == 0


def test_the_whole_classifier_holds_the_model_of_its_peer():
    ours, theirs = both("scale", size=Size(200, 60, 4))
    np.testing.assert_allclose(ours.estimator_.coef_.toarray(), theirs.coef_.toarray(), atol=1e-6)


@pytest.fixture
def here(monkeypatch):
    """Measure in threads of this process, once each, as a new process takes seconds to start."""
    monkeypatch.setattr(benchmarks, "_fresh_process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(benchmarks, "ROUNDS", (1, 1))
    monkeypatch.setattr(benchmarks, "HIDDEN_LAYERS", (8,))
    benchmarks._data.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_every_part_gives_the_same_columns(here, monkeypatch, name):
    whole = PARTS[name]()
    at_two = tuple(c._replace(shares=c.shares[-2:]) for c in whole.comparisons)
    monkeypatch.setitem(PARTS, name, lambda: whole._replace(comparisons=at_two))
    table = benchmarks.run_part(name, Size(200, 60, 8))
    assert list(table) == COLUMNS
    assert list(table["n_samples"]) == [
        round(share * 200) for comparison in at_two for share in comparison.shares
    ]
    assert (table["ours_seconds"] > 0).all()
    assert (table["cores"] >= 1).all()
    assert (table["threads"] >= 1).all()
    assert set(table["n_features"]) == {"" if name in ("rules", "metrics") else 60}
    compared = table[table["peer_seconds"].notna()]
    np.testing.assert_allclose(
        compared["ratio"], compared["peer_seconds"] / compared["ours_seconds"], rtol=0.02
    )


def test_cost_against_size_is_compared_at_four_sizes():
    assert len(set(benchmarks.SHARES)) >= 4
    for name, part in PARTS.items():
        if name != "latency":
            assert part().comparisons[0].shares == benchmarks.SHARES


def test_slopes_by_hand():
    rows = [
        {"benchmark": "a", "peer": "b", "n_samples": n, "ours_seconds": 3 * n, "peer_seconds": n**2 / 7}
        for n in (10, 20, 40, 80)
    ]
    rows.append({"benchmark": "c", "peer": "", "n_samples": 10, "ours_seconds": 1.0, "peer_seconds": np.nan})
    table = benchmarks._with_slopes(pd.DataFrame(rows))
    assert list(table["ours_slope"][:4]) == [1.0] * 4
    assert list(table["peer_slope"][:4]) == [2.0] * 4
    assert table.iloc[4][["ours_slope", "peer_slope"]].isna().all()


def test_both_sides_run_in_turn_and_the_median_counts(here, monkeypatch):
    """Ours takes 1, 3, 1.5 seconds in turn with the peer's 0.5, 0.5, 0.5."""
    order, clock, takes = [], [0.0], {"ours": [0, 1, 3, 1.5], "theirs": [0, 0.5, 0.5, 0.5]}

    def run(side):
        order.append(side)
        clock[0] += takes[side].pop(0)

    comparison = Comparison("a", lambda: run("ours"), "b", lambda: run("theirs"))
    monkeypatch.setitem(PARTS, "turns", lambda: Part(lambda size: (), (comparison,), TINY))
    monkeypatch.setattr(benchmarks, "ROUNDS", (3, 3))
    monkeypatch.setattr(benchmarks.time, "perf_counter", lambda: clock[0])
    ours, peer = benchmarks._compare("turns", 0, TINY)
    assert sorted(order[:2]) == ["ours", "theirs"]  # the warm-up
    assert order[2:] == ["ours", "theirs"] * 3
    assert (ours.seconds, peer.seconds) == (1.5, 0.5)


def test_a_missing_package_leaves_numbers_out(here, monkeypatch, capsys):
    def missing(*data):
        raise ImportError("pip install it")

    comparison = Comparison("a", lambda *data: None, "absent", missing, (1,))
    monkeypatch.setitem(PARTS, "half", lambda: Part(lambda size: (size,), (comparison,), TINY))
    line = benchmarks.run_part("half").iloc[0]
    assert "a, theirs: left out. pip install it" in capsys.readouterr().out
    assert line["ours_seconds"] >= 0
    assert np.isnan(line[["peer_seconds", "ratio", "peer_memory_mb"]].astype(float)).all()


def test_seconds_and_memory_are_those_of_the_run_alone(monkeypatch):
    def greedy(size):
        calls.append(size.n_samples)
        if size.n_samples == 400:
            clock.append(5.0)
            # not from the heap, which may have kept what earlier tests gave back
            np.frombuffer(mmap.mmap(-1, 40_000_000), dtype=np.uint8)[:] = 1

    calls, clock = [], [0.0]
    monkeypatch.setitem(PARTS, "greedy", lambda: Part(lambda size: (size,), (Comparison("a", greedy),), TINY))
    monkeypatch.setattr(benchmarks.time, "perf_counter", lambda: clock[-1])
    benchmarks._data.cache_clear()
    assert benchmarks._prepare("greedy", 0, "ours", TINY)
    seconds, memory = benchmarks._measure("greedy", 0, "ours", TINY)
    assert calls == [benchmarks.WARM_UP_ROWS, 400]
    assert seconds == 5
    if np.isfinite(memory):  # Linux
        assert 38 < memory < 60


@pytest.mark.skipif(sys.platform != "linux", reason="tells how much memory a process holds")
def test_memory_that_making_the_data_left_free_counts_when_it_is_taken_again(monkeypatch):
    def take(size):
        pieces = [np.ones(12_000) for _ in range(400)]  # 38 MB, in pieces that come from the heap
        return (pieces[-1],)  # keeps the end of the heap in use

    comparison = Comparison("a", lambda last: take(None))
    monkeypatch.setitem(PARTS, "take", lambda: Part(take, (comparison,), TINY))
    benchmarks._data.cache_clear()
    assert benchmarks._prepare("take", 0, "ours", TINY)
    assert benchmarks._measure("take", 0, "ours", TINY).memory_mb > 30


@pytest.mark.slow
def test_the_command_writes_a_table_and_the_figure(here, monkeypatch, tmp_path, capsys):
    part = PARTS["metrics"]()
    monkeypatch.setitem(PARTS, "metrics", lambda: part._replace(quick=Size(400, 0, 20)))
    assert main(["benchmark", "--only", "metrics", "--out", str(tmp_path / "out")]) == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["cost.png", "metrics.csv"]
    table = pd.read_csv(tmp_path / "out" / "metrics.csv")
    assert list(table) == COLUMNS
    assert list(table["n_samples"]) == [50, 100, 200, 400] * 2
    assert table["ours_slope"].notna().all()
    assert "evaluate label sets" in capsys.readouterr().out


def grabbed(n_bytes):
    """Take memory and give it back, not from the heap, which may have kept what earlier tests gave back."""
    np.frombuffer(mmap.mmap(-1, n_bytes), dtype=np.uint8)[:] = 1


@pytest.mark.skipif(sys.platform != "linux", reason="tells how much memory a process holds")
@pytest.mark.filterwarnings("ignore:The scores look like")
def test_each_stage_has_a_peak_of_its_own(here, monkeypatch):
    """The search takes 300 MB more, which later stages do not hold; what was predicted is evaluated."""

    class Greedy(benchmarks.NeighborLabels):
        def fit_transform(self, *args, **kwargs):
            grabbed(300_000_000)
            return super().fit_transform(*args, **kwargs)

    measured = []
    evaluate = benchmarks.evaluate
    monkeypatch.setattr(benchmarks, "NeighborLabels", Greedy)
    monkeypatch.setattr(benchmarks, "evaluate", lambda *args, **kw: measured.append(evaluate(*args, **kw)))
    table = benchmarks.run_stages(Size(200, 200, 6))
    assert table["n_samples"].eq(200).all()
    peak = dict(zip(table["stage"], table["peak_memory_mb"], strict=True))
    assert list(peak)[:3] == ["Python and its packages", "read the file", "find the neighbours"]
    assert list(peak)[-3:] == ["fit the rule", "predict", "evaluate"]
    assert peak["find the neighbours"] > peak["read the file"] + 250
    assert max(list(peak.values())[3:]) < peak["find the neighbours"] - 150
    assert measured[0]["macro_f1"] > 0.1


def test_both_searches_are_compared_among_more_and_more_rows(monkeypatch):
    monkeypatch.setattr(benchmarks, "NEW_ROWS", 20)
    lines = [benchmarks._search(Size(900, 60, 5), share) for share in (0.5, 1)]
    assert [line["n_samples"] for line in lines] == [450, 900]
    X, Y, new, truth = benchmarks._rows_to_search(Size(900, 60, 5))
    shares = NeighborLabels().fit(X, Y).transform(new)
    expected = macro_f1(truth, GlobalThreshold().fit(shares, truth).predict(shares))
    for line in lines:
        assert 0.95 < line["recall"] <= 1
        hours = line["exact_seconds"] * line["n_samples"] / 1_000 / 3_600
        assert line["exact_hours"] == pytest.approx(hours, rel=0.02)
        assert line["ratio"] == pytest.approx(line["exact_seconds"] / line["approximate_seconds"], rel=0.02)
    assert lines[1]["exact_macro_f1"] == pytest.approx(expected, rel=0.01)


def test_the_figure_leaves_out_what_has_one_size(here):
    whole = benchmarks.run_part("metrics", Size(400, 0, 20))
    of_one_size = whole.head(1).assign(ours_slope=float("nan"), peer_slope=float("nan"))
    figure = benchmarks.plot_cost({"metrics": whole, "latency": of_one_size})
    (axes,) = [axes for axes in figure.axes if axes.get_visible()]
    assert axes.get_title() == "metrics"
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert len(axes.lines) == 3  # ours twice, and the one peer


def test_parts_that_do_not_exist_are_named_before_any_work(capsys, tmp_path):
    assert main(["benchmark", "--only", "metrics,rule", "--out", str(tmp_path / "out")]) == 2
    assert "--only must name parts, of training, neighbors" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_measurements_run_in_processes_of_their_own(monkeypatch):
    monkeypatch.setattr(benchmarks, "ROUNDS", (1, 1))
    ours, peer = benchmarks._compare("metrics", 0, Size(400, 0, 20))
    assert ours.seconds > 0
    assert peer.seconds > 0


def test_the_committed_search_says_what_the_page_on_scaling_says():
    table = pd.read_csv(repository_root() / "results" / "benchmarks" / "search.csv").set_index("n_samples")
    assert table["exact_hours"].iloc[-1] < 10  # a night
    assert table.index[-1] == 1_186_239  # AmazonCat-13K
    assert (table.loc[table.index > 250_000, "ratio"] > 1).all()  # past some hundred thousand rows
