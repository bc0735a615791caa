"""Adam on the rows that a step touches, against torch's own."""

import numpy as np
import pytest
import torch

from adathresh.paper import optimizers
from adathresh.paper.optimizers import RowAdam


def sparse_gradient(step, n_rows=9, n_columns=4):
    """A gradient of some rows, one of which comes twice; of no row in the fourth step."""
    rng = np.random.default_rng(step)
    rows = np.r_[rng.permutation(n_rows)[:5], 2] if step != 3 else np.zeros(0, dtype=int)
    values = torch.from_numpy(rng.normal(size=(len(rows), n_columns)))
    return torch.sparse_coo_tensor(torch.from_numpy(rows)[None], values, (n_rows, n_columns))


def trained(optimizer, *, n_steps=6, **settings):
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 36, dtype=torch.float64).reshape(9, 4))
    made = optimizer([weight], **settings)
    for step in range(n_steps):
        weight.grad = sparse_gradient(step)
        made.step()
    return weight, made.state_dict()["state"][0]


@pytest.mark.parametrize("at_once", [1, 2, 256])
@pytest.mark.parametrize(
    "settings",
    [{}, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}, {"lr": 0.01, "maximize": True}],
)
def test_weights_and_state_are_those_of_torch(settings, at_once, monkeypatch):
    monkeypatch.setattr(optimizers, "_ROWS", at_once)
    ours, our_state = trained(RowAdam, **settings)
    theirs, their_state = trained(torch.optim.SparseAdam, **settings)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    assert our_state.keys() == their_state.keys()
    for name, value in their_state.items():
        torch.testing.assert_close(torch.as_tensor(our_state[name]), torch.as_tensor(value))


def test_rows_without_a_gradient_stay_as_they_are():
    weight = torch.nn.Parameter(torch.ones(3, 2))
    weight.grad = torch.sparse_coo_tensor([[1]], [[1.0, 2.0]], (3, 2))
    RowAdam([weight], lr=0.1).step()
    assert weight[[0, 2]].tolist() == [[1, 1], [1, 1]]
    assert weight[1].tolist() == pytest.approx([0.9, 0.9])
    weight.grad = None
    RowAdam([weight]).step()
    assert weight[1].tolist() == pytest.approx([0.9, 0.9])


def test_dense_gradients_and_closures_are_refused():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    with pytest.raises(ValueError, match="sparse gradients only"):
        RowAdam([weight]).step()
    with pytest.raises(ValueError, match="closure must be None"):
        RowAdam([weight]).step(lambda: 0.0)
