"""Work side by side: order, and no noise where a process is replaced."""

import warnings

import pytest
from joblib import delayed

from adathresh.experiments.core import parallel


def test_results_come_in_the_order_of_the_jobs():
    assert parallel.side_by_side(delayed(abs)(-i) for i in range(20)) == list(range(20))


def test_only_the_note_on_a_replaced_process_is_silenced(monkeypatch):
    def noisy(n_processes):
        warnings.warn("A worker stopped while some jobs were given to the executor.", stacklevel=2)
        warnings.warn("something else", stacklevel=2)
        return list

    monkeypatch.setattr(parallel, "Parallel", noisy)
    with pytest.warns(UserWarning, match="something else") as seen:
        assert parallel.side_by_side([1, 2]) == [1, 2]
    assert [str(warning.message) for warning in seen] == ["something else"]
