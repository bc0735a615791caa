"""What is sure not to fit in memory is refused before it begins, and nothing else is."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh import AdaptiveThresholdNetwork, NeighborLabels
from adathresh.models import LogisticHead
from adathresh.utils import memory

X = np.random.default_rng(0).random((50, 40))
Y = np.random.default_rng(1).integers(0, 2, (50, 3))
X[:, ::2] *= np.random.default_rng(2).random((50, 20)) < 0.05  # half of the features are rare


CASES = {
    "network": (AdaptiveThresholdNetwork(hidden_layers=(8,), max_epochs=1).fit, X, 20 * (40 * 8 + 8 * 3)),
    "head": (LogisticHead(max_epochs=1).fit, X, 4 * 40 * (50 + 5 * 3)),
    "neighbours": (NeighborLabels().fit_transform, sp.csr_array(X), 8 * 50 * 20),
}


@pytest.fixture
def machine(monkeypatch):
    """Set the memory of the machine."""
    return lambda size: monkeypatch.setattr(memory, "machine_memory", lambda: size)


@pytest.mark.parametrize(("work", "rows", "size"), CASES.values(), ids=CASES)
def test_one_byte_too_few_is_refused_and_enough_is_not(work, rows, size, machine, monkeypatch):
    machine(size)
    work(rows, Y)
    machine(size - 1)
    for name in ("paper.classifier.train", "models.logistic.label_loss", "signals._nearest.Parallel"):
        monkeypatch.setattr(f"adathresh.{name}", None)  # nothing has begun
    with pytest.raises(MemoryError, match=r"would take 0\.0 GiB, and the machine has 0\.0; (take|leave)"):
        work(rows, Y)


def test_single_rows_need_no_dense_matrix(machine):
    neighbors = NeighborLabels().fit(sp.csr_array(X), Y)
    machine(1)
    assert neighbors.transform(sp.csr_array(X[:1])).nnz


def test_where_the_memory_is_not_known_all_is_tried(machine):
    machine(None)
    NeighborLabels().fit_transform(sp.csr_array(X), Y)
    memory.check_memory(2**80, "Everything", "take less")


def test_a_container_has_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_LIMITS", ())
    whole = memory.machine_memory()
    assert whole is None or whole > 2**28
    limits = [tmp_path / name for name in ("max", "limit", "absent")]
    limits[0].write_text("max\n")
    limits[1].write_text("4096\n")
    monkeypatch.setattr(memory, "_LIMITS", limits)
    assert memory.machine_memory() == (None if whole is None else 4096)


def test_systems_without_sysconf(monkeypatch):
    monkeypatch.delattr("os.sysconf", raising=False)
    assert memory.machine_memory() is None
