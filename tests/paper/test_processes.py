"""Several processes train one network: each a part of every batch, and in the end the weights of one."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from adathresh import AdaptiveThresholdNetwork
from adathresh.datasets import make_longtail
from adathresh.paper import network
from adathresh.paper.network import GeneratorDropout, draw_for_part, drawing_from
from adathresh.paper.processes import Processes

SETTINGS = {
    "hidden_layers": (16, 8),
    "dropout": 0.3,
    "batch_size": 31,  # odd, so that parts differ in size; the last batch of an epoch has one row
    "max_epochs": 3,
    "learning_rate": 1e-2,
    "validation_fraction": 0.25,
    "random_state": 0,
    "device": "cpu",
}

# Fits twice, the second time on from the first one's checkpoint, and writes what every process ends with;
# first with dense gradients of the first layer, then with sparse ones.
SCRIPT = """
import sys
import torch
from adathresh import AdaptiveThresholdNetwork
from adathresh.datasets import make_longtail
from adathresh.paper import network
folder, settings = sys.argv[1], eval(sys.argv[2])
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
X, Y = make_longtail(167, 100, 6, random_state=0)
try:
    AdaptiveThresholdNetwork(**settings | {"random_state": None}).fit(X, Y)
except ValueError as error:
    assert "random_state must be a whole number" in str(error)
else:
    raise AssertionError("every process would draw its own rows")
for sparse in (False, True):
    network.SPARSE_GRADIENT_FROM = 1 if sparse else network.SPARSE_GRADIENT_FROM
    for epochs in (1, settings["max_epochs"]):
        checkpoint = f"{folder}/{sparse}.checkpoint"
        clf = AdaptiveThresholdNetwork(**settings | {"max_epochs": epochs, "checkpoint": checkpoint})
        clf.fit(X, Y)
    clf.save(f"{folder}/{sparse}.{rank}.safetensors")
    torch.save(clf.history_, f"{folder}/{sparse}.{rank}.history")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_the_network_of_one(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*start, tmp_path / "train.py", tmp_path, repr(SETTINGS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    X, Y = make_longtail(167, 100, 6, random_state=0)
    for sparse in (False, True):
        if sparse:
            monkeypatch.setattr(network, "SPARSE_GRADIENT_FROM", 1)
        one = AdaptiveThresholdNetwork(**SETTINGS).fit(X, Y)
        still = AdaptiveThresholdNetwork(**SETTINGS | {"max_epochs": 1, "learning_rate": 1e-9}).fit(X, Y)
        weights, before = one.model_.state_dict(), still.model_.state_dict()
        assert (
            max(float((weights[name] - before[name]).abs().max()) for name in weights) > 0.01
        )  # it did learn
        for rank in range(2):
            other = AdaptiveThresholdNetwork.load(
                tmp_path / f"{sparse}.{rank}.safetensors"
            ).model_.state_dict()
            for name, weight in weights.items():
                torch.testing.assert_close(other[name], weight, rtol=1e-4, atol=1e-5)
            history = torch.load(tmp_path / f"{sparse}.{rank}.history")
            for entry, expected in zip(history, one.history_, strict=True):
                assert entry == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_parts_are_the_batch_and_their_weighted_mean_is_its_mean(size, n_rows):
    batch = np.random.default_rng(0).normal(size=n_rows)
    parts = [Processes(rank, size).part_of(n_rows) for rank in range(size)]
    taken = [batch[part.places] for part in parts if part.weight]
    assert sorted(np.concatenate(taken)) == sorted(batch)
    assert all(len(batch[part.places]) for part in parts)
    means = [batch[part.places].mean() * part.weight for part in parts]
    assert np.mean(means) == pytest.approx(batch.mean())


def test_a_part_loses_the_units_that_it_would_lose_in_the_whole_batch():
    layers = torch.nn.Sequential(GeneratorDropout(0.5), GeneratorDropout(0.3))
    whole = torch.arange(1.0, 36.0).reshape(7, 5)

    def dropped(rows):
        with drawing_from(layers, torch.Generator().manual_seed(3)):
            draw_for_part(layers, 7, rows)
            return layers(whole[rows])

    expected = dropped(slice(None))
    assert (expected == 0).any()
    for rank in range(2):
        assert torch.equal(dropped(slice(rank, None, 2)), expected[rank::2])
    with drawing_from(layers, torch.Generator().manual_seed(3)):
        assert torch.equal(layers(whole), expected)  # and nothing of a part is left behind


def test_one_process_alone_is_all():
    alone = Processes.started()
    assert alone == (0, 1)
    model = torch.nn.Linear(2, 1)
    assert alone.together(model) is model
    assert alone.part_of(4) == (slice(0, None, 1), 1.0)
    assert alone.mean(torch.tensor(0.25)) == 0.25
    alone.wait()


def test_a_fit_alone_may_draw_its_own_seed():
    X, Y = make_longtail(40, 100, 6, random_state=0)
    settings = SETTINGS | {"random_state": None, "max_epochs": 1}
    assert sp.issparse(AdaptiveThresholdNetwork(**settings).fit(X, Y).predict(X))
