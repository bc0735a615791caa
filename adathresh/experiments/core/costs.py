"""What a computation costs: its seconds, and the largest memory that its process held meanwhile."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

COSTS = ("fit_seconds", "predict_seconds", "rule_seconds", "peak_memory_mb")
"""The columns of a table that differ between two equal runs."""

_peaks: list[float] = []  # of the blocks that are being measured, the innermost last


class Cost(NamedTuple):
    """What one model cost when it was computed."""

    fit_seconds: float
    """Training."""
    predict_seconds: float
    """Scoring of the dev and test rows."""
    peak_memory_mb: float
    """The most that the process held meanwhile, the data and the rest with it, in MB; NaN where unknown."""

    @property
    def seconds(self):
        """Training and scoring together.

        Returns
        -------
        float
            Their sum.
        """
        return self.fit_seconds + self.predict_seconds


@contextmanager
def timed(rows, step):
    """Measure a block and append its row to ``rows``.

    Parameters
    ----------
    rows : list
        Gets ``{"step": step, "seconds": ..., "peak_memory_mb": ...}``; the memory is the largest, in MB of
        10⁶ bytes, that this process held during the block on Linux, so far on macOS, and NaN on Windows.
    step : str
        What is measured.
    """
    _note_peak()
    forget_peak()
    _peaks.append(0.0)
    start = time.perf_counter()
    try:
        yield
        seconds = time.perf_counter() - start
        _note_peak()
        rows.append({"step": step, "seconds": seconds, "peak_memory_mb": _peaks[-1]})
    finally:
        _peaks.pop()


def fit_and_predict(fit, predict):
    """Train a model and score with it, and measure both.

    Parameters
    ----------
    fit, predict : callable
        Called without arguments, one after the other; ``predict`` returns a dict of arrays.

    Returns
    -------
    dict of str to array
        The arrays, and the fields of a :class:`Cost`.
    """
    measured = []
    with timed(measured, "fit"):
        fit()
    with timed(measured, "predict"):
        arrays = predict()
    seconds = (row["seconds"] for row in measured)
    cost = Cost(*seconds, max(row["peak_memory_mb"] for row in measured))
    return {**arrays, **{name: np.array(value) for name, value in cost._asdict().items()}}


def cost_of(arrays):
    """Read the cost from what :func:`fit_and_predict` returned.

    Parameters
    ----------
    arrays : dict of str to array
        Perhaps stored in the meantime.

    Returns
    -------
    Cost
        The cost.
    """
    return Cost(*(float(arrays[name]) for name in Cost._fields))


def forget_peak():
    """Forget the largest memory that this process has held so far, where the system can do that.

    Returns
    -------
    bool
        Whether it could, which is on Linux.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # see proc(5)
    except OSError:
        return False
    return True


def memory_mb(field="VmHWM"):
    """Look up a figure of this process's memory.

    Parameters
    ----------
    field : {"VmHWM", "VmRSS"}, default="VmHWM"
        The most that it has held since :func:`forget_peak`, or what it holds now.

    Returns
    -------
    float
        MB of 10⁶ bytes. Where the system is not Linux: the most that it has ever held for ``"VmHWM"`` on
        macOS, NaN otherwise.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return _greatest_mb() if field == "VmHWM" else np.nan
    return next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith(field))


def _greatest_mb():
    """Return the most that this process has ever held, where there is no ``/proc``."""
    try:
        import resource
    except ImportError:  # Windows
        return np.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _note_peak():
    """Let the blocks that are being measured know what has been held so far, before it is forgotten."""
    if _peaks:
        _peaks[:] = np.maximum(_peaks, round(memory_mb(), 0)).tolist()
