"""Seconds and memory of a block: they are its own, also within another block and after a larger one."""

import mmap

import numpy as np
import pytest

from adathresh.experiments.core import costs
from adathresh.experiments.core.costs import Cost, cost_of, fit_and_predict, memory_mb, timed

on_linux = pytest.mark.skipif(not costs.forget_peak(), reason="only Linux can forget the largest memory held")


def hold(mb):
    """Hold so much memory for a moment, fresh from the system: an allocator may reuse what it kept."""
    with mmap.mmap(-1, mb * 10**6) as memory:
        for page in range(0, mb * 10**6, mmap.PAGESIZE):
            memory[page] = 1


def test_timed_measures_the_block(monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(clock))
    rows = []
    with timed(rows, "fit"):
        pass
    assert (rows[0]["step"], rows[0]["seconds"]) == ("fit", 2.5)
    assert np.isnan(rows[0]["peak_memory_mb"]) or 10 < rows[0]["peak_memory_mb"] < 1e6


@pytest.mark.slow
@on_linux
def test_memory_is_the_blocks_own_and_not_that_of_an_earlier_one():
    rows = []
    before = memory_mb("VmRSS")
    for mb in (400, 200):
        with timed(rows, mb):
            hold(mb)
    first, second = (row["peak_memory_mb"] - before for row in rows)
    assert first == pytest.approx(400, abs=40)
    assert second == pytest.approx(200, abs=40)


@pytest.mark.slow
@on_linux
def test_a_block_knows_the_peaks_before_within_and_after_another():
    for before, within, after in ((300, 100, 50), (50, 300, 100), (50, 100, 300)):
        rows, held = [], memory_mb("VmRSS")
        with timed(rows, "outer"):
            hold(before)
            with timed(rows, "inner"):
                hold(within)
            hold(after)
        inner, outer = (row["peak_memory_mb"] - held for row in rows)
        assert inner == pytest.approx(within, abs=40)
        assert outer == pytest.approx(300, abs=40)


def test_a_failed_block_leaves_nothing_behind():
    rows = []
    with pytest.raises(KeyError), timed(rows, "fails"):
        raise KeyError("x")
    assert rows == []
    assert costs._peaks == []


def test_memory_is_unknown_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(costs, "memory_mb", lambda: np.nan)
    rows = []
    with timed(rows, "fit"):
        pass
    assert np.isnan(rows[0]["peak_memory_mb"])


def test_fit_comes_before_predict_and_both_are_measured():
    calls = []
    arrays = fit_and_predict(lambda: calls.append("fit"), lambda: {"scores": np.array(calls)})
    assert arrays["scores"].tolist() == ["fit"]
    cost = cost_of(arrays)
    assert set(arrays) == {"scores", *Cost._fields}
    assert cost.seconds == cost.fit_seconds + cost.predict_seconds
    assert min(cost.fit_seconds, cost.predict_seconds) > 0
