"""On a cluster: ``joblib.parallel_config(backend="dask")`` spreads labels and queries, and loses nothing."""

import os
import signal
import sys
import threading

import numpy as np
import pytest
from joblib import parallel_config

from adathresh.datasets import make_longtail
from adathresh.models import LinearOneVsRest
from adathresh.signals import NeighborLabels

distributed = pytest.importorskip(
    "distributed", reason="the cluster's package, distributed, is not installed"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(distributed|dask|tornado).*"),
]


@pytest.fixture(scope="module")
def cluster():
    """Two processes of one thread each, and what gives them work."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    before = dict(os.environ)
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client
    # dask leaves what it sets for its workers; its limit of memory that is kept makes the trainings of
    # notebooks that start later twice as slow
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def data():
    return make_longtail(2_000, 1_500, 120)


def has_loaded(module):
    return module in sys.modules


@pytest.mark.parametrize("groups", [None, np.arange(2_000) % 3])
def test_neighbours_are_those_of_one_process(cluster, data, groups, monkeypatch):
    monkeypatch.setattr("adathresh.signals._nearest._BLOCK_ENTRIES", 300 * 2_000)  # 7 blocks
    X, Y = data
    expected = NeighborLabels(10).fit_transform(X, Y, groups=groups)
    with parallel_config(backend="dask"):
        found = NeighborLabels(10).fit_transform(X, Y, groups=groups)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert all(cluster.run(has_loaded, "adathresh.signals._nearest").values())


def test_a_worker_that_is_killed_costs_time_and_no_label(cluster, data):
    X, Y = data
    expected = LinearOneVsRest(random_state=0).fit(X, Y)
    processes = cluster.run(os.getpid)
    killer = threading.Timer(0.5, os.kill, (next(iter(processes.values())), signal.SIGKILL))
    with parallel_config(backend="dask"):
        killer.start()
        found = LinearOneVsRest(random_state=0).fit(X, Y)
    killer.join()
    cluster.wait_for_workers(2)
    assert len(set(cluster.run(os.getpid).values()) & set(processes.values())) == 1
    np.testing.assert_array_equal(found.coef_.toarray(), expected.coef_.toarray())
    np.testing.assert_array_equal(found.intercept_, expected.intercept_)
    assert any(cluster.run(has_loaded, "adathresh.models.linear").values())
