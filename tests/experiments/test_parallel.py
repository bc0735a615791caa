"""Work side by side: order, and no noise where a process is replaced."""

import builtins
import time

import numpy as np
from joblib import delayed

from adathresh.experiments.parallel import side_by_side


def remember(i):
    """Take a second, and from the third job on keep 640 MB more each time."""
    time.sleep(1.1)
    if i >= 2:
        builtins.kept = [*getattr(builtins, "kept", []), np.ones(80_000_000)]
    return i


def test_processes_whose_memory_grows_are_replaced_in_silence(recwarn):
    assert side_by_side(delayed(remember)(i) for i in range(6)) == list(range(6))
    assert not [str(warning.message) for warning in recwarn]
