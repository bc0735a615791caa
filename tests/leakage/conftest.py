"""What the tests of all checks share: rows without leakage, and the status of a well-formed finding."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from adathresh.datasets import make_longtail


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def data():
    """Training and test rows without anything in common but their distribution."""
    X, Y = make_longtail(260, 80, 40, labels_per_row=3, features_per_row=15, random_state=0)
    return X[:200], Y[:200], X[200:], Y[200:]


@pytest.fixture(scope="session")
def status():
    """Return the status of a check in a report."""
    return _status


def _status(report, check):
    """Status of a finding whose rows and evidence are as they should be."""
    finding = report[check]
    assert (len(finding.rows) > 0) == (finding.status == "found")
    if finding.status == "found":
        assert finding.split in ("train", "test")
        assert 1 <= len(finding.evidence) <= 10
        assert (np.diff(finding.rows) > 0).all()
    return finding.status
