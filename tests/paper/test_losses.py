"""The losses against their formulas, their gradients, and the module forms against the functions."""

import inspect

import pytest
import torch

from adathresh.paper import losses
from adathresh.paper.losses import (
    AdaptiveThresholdLoss,
    ThresholdBCELoss,
    ThresholdMarginLoss,
    adaptive_threshold_loss,
    threshold_bce,
    threshold_margin,
)

PAIRS = [
    (threshold_bce, ThresholdBCELoss),
    (threshold_margin, ThresholdMarginLoss),
    (adaptive_threshold_loss, AdaptiveThresholdLoss),
]
FUNCTIONS = [function for function, _ in PAIRS]
SETTINGS = [
    (threshold_bce, {}),
    (threshold_bce, {"pos_weight": 10.0}),
    (threshold_margin, {}),
    (threshold_margin, {"margin": 0.7}),
    (adaptive_threshold_loss, {}),
    (adaptive_threshold_loss, {"margin_weight": 2.0, "margin": 0.3, "pos_weight": 4}),
]


def make_batch(seed=0, shape=(5, 4)):
    generator = torch.Generator().manual_seed(seed)
    z, theta = (2 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    y = (torch.rand(shape, generator=generator, dtype=torch.float64) < 0.4).double()
    y[1] = 0  # a row without positives
    return z, theta, y


def by_formula(function, z, theta, y, *, margin_weight=0.1, margin=0.1, pos_weight=None):
    """Pair by pair, as the docstrings write it; the products of probabilities are safe for small logits."""
    w = 1 if pos_weight is None else pos_weight
    p = 1 / (1 + torch.exp(-(z - theta)))
    bce = -(w * y * torch.log(p) + (1 - y) * torch.log(1 - p))
    hinge = torch.clamp(margin - (2 * y - 1) * (z - theta), min=0)
    return {
        threshold_bce: bce,
        threshold_margin: hinge,
        adaptive_threshold_loss: bce + margin_weight * hinge,
    }[function]


@pytest.mark.parametrize(("function", "settings"), SETTINGS)
def test_formula_and_reductions(function, settings):
    z, theta, y = make_batch()
    expected = by_formula(function, z, theta, y, **settings)
    torch.testing.assert_close(function(z, theta, y, reduction="none", **settings), expected)
    torch.testing.assert_close(function(z, theta, y, reduction="sum", **settings), expected.sum())
    torch.testing.assert_close(function(z, theta, y, **settings), expected.mean())


def test_values_by_hand():
    z, theta, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.05]]), torch.tensor([[1.0, 0.0]])
    hinge = threshold_margin(z, theta, y, margin=0.1, reduction="none")
    torch.testing.assert_close(hinge, torch.tensor([[0.1, 0.05]]))
    bce = threshold_bce(z, theta, y, pos_weight=3, reduction="none")
    torch.testing.assert_close(bce, torch.tensor([[3 * 0.6931472, 0.6684596]]))


@pytest.mark.parametrize(("function", "settings"), SETTINGS)
def test_gradients(function, settings):
    z, theta, y = make_batch(1)
    z.requires_grad_()
    theta.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, t: function(z, t, y, **settings), (z, theta))
    per_label = theta.detach()[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, t: function(z, t, y, **settings), (z, per_label))


@pytest.mark.parametrize(("function", "settings"), SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_stay_finite_with_finite_gradients(function, settings, dtype):
    z = torch.tensor([[1e4, -1e4, 1e4, -1e4]], dtype=dtype, requires_grad=True)
    theta = torch.zeros(4, dtype=dtype, requires_grad=True)
    y = torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=dtype)
    loss = function(z, theta, y, reduction="none", **settings)
    assert torch.isfinite(loss).all()
    # right by far costs nothing, wrong by far costs in proportion
    assert loss[0, [0, 3]].tolist() == [0, 0]
    assert (loss[0, [1, 2]] >= 1e4).all()
    loss.sum().backward()
    assert torch.isfinite(z.grad).all()
    torch.testing.assert_close(theta.grad, -z.grad[0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_rows_without_positives(function):
    z, theta, y = make_batch()
    loss = function(z[1:2], theta[1:2], y[1:2])
    assert torch.isfinite(loss)
    # every pair is negative: lowering all thresholds can only cost
    assert function(z[1:2], theta[1:2] - 1, y[1:2]) > loss


def test_pos_weight_multiplies_positives_only():
    z, theta, y = make_batch()
    one, ten = (threshold_bce(z, theta, y, pos_weight=w, reduction="none") for w in (None, 10))
    torch.testing.assert_close(ten, torch.where(y == 1, 10 * one, one))


def test_no_margin_weight_is_cross_entropy():
    z, theta, y = make_batch()
    for reduction in ("mean", "sum", "none"):
        loss = adaptive_threshold_loss(z, theta, y, margin_weight=0, pos_weight=2, reduction=reduction)
        assert torch.equal(loss, threshold_bce(z, theta, y, pos_weight=2, reduction=reduction))


def test_no_cost_beyond_the_margin():
    z, y = torch.tensor([[0.5, -0.5]]), torch.tensor([[1.0, 0.0]])
    assert threshold_margin(z, torch.zeros(2), y, margin=0.5) == 0
    assert threshold_margin(z, torch.zeros(2), y, margin=0.6) > 0


@pytest.mark.parametrize(("function", "module"), PAIRS)
def test_module_and_function_have_one_signature_and_one_value(function, module):
    def options(callable_):
        parameters = inspect.signature(callable_).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    assert options(module) == options(function)
    z, theta, y = make_batch()
    assert torch.equal(module()(z, theta, y), function(z, theta, y))
    # every option reaches the function: another value of each changes the module as it changes the function
    others = {"pos_weight": 3.0, "margin": 0.9, "margin_weight": 1.5, "reduction": "sum"}
    for name in options(function):
        changed = module(**{name: others[name]})(z, theta, y)
        assert torch.equal(changed, function(z, theta, y, **{name: others[name]}))
        assert not torch.equal(changed, function(z, theta, y))


def test_every_public_loss_is_paired():
    public = {
        name
        for name, value in vars(losses).items()
        if getattr(value, "__module__", None) == losses.__name__ and not name.startswith("_")
    }
    assert public == {x.__name__ for pair in PAIRS for x in pair}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_refused(function):
    z, theta, y = make_batch()
    with pytest.raises(ValueError, match=r"differ in shape: \(5, 4\) against \(4, 4\)"):
        function(z, theta, y[1:])
    with pytest.raises(ValueError, match=r"differ in shape: \(5, 4\) against \(4,\)"):
        function(z, theta, y[0])
    with pytest.raises(ValueError, match=r"reduction must be .* got 'max'"):
        function(z, theta, y, reduction="max")
    with pytest.raises(ValueError, match=r"thresholds of shape \(3,\) do not broadcast to .*\(5, 4\)"):
        function(z, theta[0, :3], y)
    with pytest.raises(ValueError, match=r"thresholds of shape \(4,\) do not broadcast to .*\(5, 1\)"):
        function(z[:, :1], theta[0], y[:, :1])  # would silently give (5, 4)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("function", [threshold_bce, adaptive_threshold_loss])
def test_positives_must_weigh_something(function, value):
    with pytest.raises(
        ValueError, match=f"pos_weight must be a finite number, greater than 0, or None; got {value}"
    ):
        function(*make_batch(), pos_weight=value)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (threshold_margin, "margin"),
        (adaptive_threshold_loss, "margin"),
        (adaptive_threshold_loss, "margin_weight"),
    ],
)
def test_margins_must_not_be_negative(function, name, value):
    with pytest.raises(ValueError, match=f"{name} must be a finite number, at least 0; got {value}"):
        function(*make_batch(), **{name: value})


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, float("nan")])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_targets_are_zeros_and_ones(function, value):
    z, theta, y = make_batch()
    y[2, 1] = value
    with pytest.raises(ValueError, match="targets must hold only 0 and 1"):
        function(z, theta, y)


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        (
            ThresholdBCELoss,
            {"pos_weight": -1},
            "pos_weight must be a finite number, greater than 0, or None; got -1",
        ),
        (
            ThresholdMarginLoss,
            {"margin": float("nan")},
            "margin must be a finite number, at least 0; got nan",
        ),
        (
            AdaptiveThresholdLoss,
            {"pos_weight": float("inf")},
            "pos_weight must be a finite number, greater than 0",
        ),
        (AdaptiveThresholdLoss, {"margin": -0.1}, "margin must be a finite number, at least 0"),
        (
            AdaptiveThresholdLoss,
            {"margin_weight": float("nan")},
            "margin_weight must be a finite number, at least 0",
        ),
        *((module, {"reduction": "max"}, "reduction must be") for _, module in PAIRS),
    ],
)
def test_modules_refuse_when_they_are_made(module, settings, message):
    with pytest.raises(ValueError, match=message):
        module(**settings)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_targets_of_whole_numbers_say_what_is_expected(function):
    z, theta, y = make_batch()
    with pytest.raises(ValueError, match=r"targets must be of a floating type.*got torch\.int64"):
        function(z, theta, y.long())
    with pytest.raises(ValueError, match="targets must hold only 0 and 1"):
        function(z, theta, 7 * y)
