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
    """Scoring of the validation and test rows."""
    peak_memory_mb: float
    """The most that the process held meanwhile, the data and the rest with it, in MB; NaN where unknown."""

    @property
    def seconds(self):
        """Training and scoring together."""
        return self.fit_seconds + self.predict_seconds


@contextmanager
def timed(rows, step):
    """Measure a block and append ``{"step": step, "seconds": ..., "peak_memory_mb": ...}`` to ``rows``.

    The memory is the largest that this process held, in MB of 10⁶ bytes: during the block on Linux, so far on
    macOS, NaN on Windows.
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
    """Train a model and score with it; return the arrays of ``predict`` and the fields of a ``Cost``."""
    measured = []
    with timed(measured, "fit"):
        fit()
    with timed(measured, "predict"):
        arrays = predict()
    seconds = (row["seconds"] for row in measured)
    cost = Cost(*seconds, max(row["peak_memory_mb"] for row in measured))
    return {**arrays, **{name: np.array(value) for name, value in cost._asdict().items()}}


def cost_of(arrays):
    """Read the cost from what :func:`fit_and_predict` returned, perhaps stored in the meantime."""
    return Cost(*(float(arrays[name]) for name in Cost._fields))


def forget_peak():
    """Forget the largest memory held so far, and say whether the system can do that, which Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # see proc(5)
    except OSError:
        return False
    return True


def memory_mb(field="VmHWM"):
    """Look up, in MB of 10⁶ bytes, the most that this process has held ("VmHWM") or holds now ("VmRSS").

    On Linux, :func:`forget_peak` restarts the former. macOS tells only the most ever held; all else is NaN.
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
