"""The sparse first layer and the network against dense matrix products."""

import os

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812

from adathresh.paper import network as network_module
from adathresh.paper.network import (
    GeneratorDropout,
    MultiLabelNetwork,
    SparseLinear,
    SparseRows,
    drawing_from,
)


def make_rows(seed=0, n_samples=7, n_features=12, dtype=np.float32):
    """Sparse rows, the second and the last of them empty."""
    X = sp.random_array((n_samples, n_features), density=0.3, rng=np.random.default_rng(seed), dtype=dtype)
    X = X.tolil()
    X[[1, n_samples - 1]] = 0
    return sp.csr_array(X)


@pytest.mark.parametrize("sparse_gradient", [False, True])
def test_first_layer_is_a_matrix_product(sparse_gradient):
    torch.manual_seed(0)
    X, layer = make_rows(), SparseLinear(12, 5)
    layer.sparse_gradient = sparse_gradient
    with torch.no_grad():
        layer.bias.normal_()
    dense = torch.from_numpy(X.toarray())
    weight, bias = (p.detach().clone().requires_grad_() for p in layer.parameters())
    expected, out = dense @ weight + bias, layer(SparseRows.from_csr(X))
    torch.testing.assert_close(out, expected)
    assert torch.equal(out[1], layer.bias)  # a row without features
    towards = torch.randn(7, 5)
    out.backward(towards)
    expected.backward(towards)
    assert layer.weight.grad.is_sparse == sparse_gradient
    torch.testing.assert_close(layer.weight.grad.to_dense(), weight.grad)
    torch.testing.assert_close(layer.bias.grad, bias.grad)


def test_batch_without_any_feature():
    layer = SparseLinear(12, 5)
    out = layer(SparseRows.from_csr(sp.csr_array((3, 12), dtype=np.float32)))
    assert torch.equal(out, layer.bias.expand(3, 5))


def test_rows_of_a_slice_and_of_unsorted_entries():
    X, layer = make_rows(), SparseLinear(12, 5)
    whole = layer(SparseRows.from_csr(X))
    torch.testing.assert_close(layer(SparseRows.from_csr(X[2:5])), whole[2:5])
    order = np.array([6, 2, 0])
    torch.testing.assert_close(layer(SparseRows.from_csr(X[order])), whole[torch.from_numpy(order)])
    turned = sp.csr_array((X[:1].data[::-1].copy(), X[:1].indices[::-1].copy(), X[:1].indptr), shape=(1, 12))
    torch.testing.assert_close(layer(SparseRows.from_csr(turned)), whole[:1])


def test_gradients_are_sparse_from_a_number_of_features_on(monkeypatch):
    monkeypatch.setattr(network_module, "SPARSE_GRADIENT_FROM", 12)
    assert SparseLinear(12, 5).sparse_gradient
    assert not SparseLinear(11, 50).sparse_gradient


@pytest.mark.parametrize("hidden", [(), (6,), (8, 6, 4)])
def test_network_is_a_multilayer_perceptron(hidden):
    torch.manual_seed(0)
    X, model = make_rows(dtype=np.float64), MultiLabelNetwork(12, 3, hidden_layers=hidden).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    z = torch.from_numpy(X.toarray()) @ model.first.weight + model.first.bias
    for layer in model.rest:
        z = F.relu(z) @ layer.weight.T + layer.bias
    assert len(model.rest) == len(hidden)
    torch.testing.assert_close(model(SparseRows.from_csr(X)), z)
    assert z.shape == (7, 3)


def test_paper_defaults():
    model = MultiLabelNetwork(2, 3)
    assert [tuple(p.shape) for p in model.parameters()] == [
        (2, 2048),
        (2048,),
        (2048, 2048),
        (2048,),
        (2048, 2048),
        (2048,),
        (3, 2048),
        (3,),
    ]
    assert model.dropout.p == 0.3
    assert model.rest[-1].bias.tolist() == [0.5] * 3
    assert not model.normalize_logits


@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize(("bias", "expected"), [(-2.0, [-2, -2, -2]), ([0.5, 1.0, 2.0], [0.5, 1, 2])])
def test_output_bias(hidden, bias, expected):
    model = MultiLabelNetwork(5, 3, hidden_layers=hidden, output_bias=bias)
    output = model.rest[-1] if hidden else model.first
    assert output.bias.tolist() == expected
    if not hidden:  # a linear model starts at its bias
        rows = SparseRows.from_csr(make_rows(n_features=5))
        assert torch.equal(model(rows), torch.tensor(expected).float().expand(7, 3))


def test_normalized_logits():
    torch.manual_seed(0)
    rows = SparseRows.from_csr(make_rows())
    model = MultiLabelNetwork(12, 4, hidden_layers=(6,), normalize_logits=True).eval()
    z = model(rows).detach().numpy()
    model.normalize_logits = False
    raw = model(rows).detach().numpy()
    expected = (raw - raw.mean(axis=1, keepdims=True)) / (raw.std(axis=1, ddof=1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(z[[0, 2, 3, 4, 5]].std(axis=1, ddof=1), 1, rtol=1e-4)


def test_equal_logits_are_normalized_to_zero():
    model = MultiLabelNetwork(12, 4, hidden_layers=(), output_bias=3.0, normalize_logits=True)
    assert torch.equal(model(SparseRows.from_csr(make_rows())), torch.zeros(7, 4))  # 0 / (0 + 1e-8)


def test_epsilon_of_normalization():
    # logits ±1e-8: std √2·1e-8, and 1e-8 on top of it
    model = MultiLabelNetwork(
        1, 2, hidden_layers=(), normalize_logits=True, output_bias=[1e-8, -1e-8]
    ).double()
    with torch.no_grad():
        model.first.bias.copy_(torch.tensor([1e-8, -1e-8]))
    z = model(SparseRows.from_csr(sp.csr_array((1, 1), dtype=np.float64)))
    np.testing.assert_allclose(z.detach(), [[1 / (2**0.5 + 1), -1 / (2**0.5 + 1)]], rtol=1e-6)


def test_dropout_only_in_training():
    torch.manual_seed(0)
    model, rows = MultiLabelNetwork(12, 4, hidden_layers=(64,), dropout=0.5), SparseRows.from_csr(make_rows())
    assert not torch.equal(model(rows), model(rows))
    model.eval()
    assert torch.equal(model(rows), model(rows))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_from_a_generator_is_torchs_own_from_the_same_seed(p, dtype):
    """So that results which were published before stay what they are."""
    x = torch.randn(37, 64, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()
    layer, generator = GeneratorDropout(p), torch.Generator()
    for seed in (0, 7):
        torch.manual_seed(seed)
        expected = torch.nn.functional.dropout(x, p)
        before = torch.get_rng_state()
        with drawing_from(layer, generator.manual_seed(seed)):
            found = layer(x)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(found, expected)
        [gradient], [other] = (torch.autograd.grad(y.square().sum(), x) for y in (found, expected))
        assert torch.equal(gradient, other)
        assert torch.equal(layer.eval()(x), x)
        layer.train()


def test_dropout_goes_back_to_the_global_state():
    layer, x = GeneratorDropout(0.5), torch.ones(1000)
    with pytest.raises(RuntimeError, match="stopped"), drawing_from(layer, torch.Generator()):
        raise RuntimeError("stopped")
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)


def test_weights_from_a_generator_are_those_from_the_global_state_of_the_same_seed():
    torch.manual_seed(5)
    expected = MultiLabelNetwork(12, 4, hidden_layers=(16, 8))
    torch.manual_seed(6)
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(5)
    found = MultiLabelNetwork(12, 4, hidden_layers=(16, 8), generator=generator)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, weight), other in zip(found.state_dict().items(), expected.state_dict().values(), strict=True):
        assert torch.equal(weight, other), name
    assert all(weight.requires_grad for weight in found.parameters())


@pytest.mark.parametrize("widths", [(0,), (8, -1), (float("nan"),), (float("inf"),), (8.0,), 8, "8"])
def test_widths_are_whole_numbers(widths):
    with pytest.raises(
        ValueError, match=r"hidden_layers must hold positive widths; got .*Give whole numbers"
    ):
        MultiLabelNetwork(12, 4, hidden_layers=widths)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output_bias": float("nan")}, "output_bias must be finite"),
        ({"output_bias": [0.5, float("inf"), 0.0, 0.0]}, "output_bias must be finite"),
        ({"dropout": 1}, "dropout must be a finite number, at least 0 and less than 1; got 1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiLabelNetwork(12, 4, hidden_layers=(8,), **settings)


# Threads


@pytest.mark.parametrize(("forked", "n_threads"), [(True, [1]), (False, [])])
def test_only_a_forked_process_takes_one_thread_and_only_once(monkeypatch, forked, n_threads):
    taken = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    monkeypatch.setattr(network_module, "_process", os.getpid() - forked)
    for _ in range(2):
        network_module.use_one_thread_after_fork()
    assert taken == n_threads
