"""The rival losses against naive loops, at their limits and at extreme logits, and in a training."""

import inspect
import math
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from adathresh.paper import rival_losses
from adathresh.paper.losses import threshold_bce
from adathresh.paper.network import MultiLabelNetwork
from adathresh.paper.rival_losses import (
    AsymmetricLoss,
    DistributionBalancedLoss,
    FocalLoss,
    HardestNegativeLoss,
    SoftMacroF1Loss,
    asymmetric_loss,
    distribution_balanced_loss,
    focal_loss,
    hardest_negative_loss,
    soft_macro_f1_loss,
)
from adathresh.paper.threshold_layer import ThresholdFusion
from adathresh.paper.training import Rows, ThresholdedNetwork, TrainingPlan, train

PAIRS = [
    (focal_loss, FocalLoss),
    (asymmetric_loss, AsymmetricLoss),
    (soft_macro_f1_loss, SoftMacroF1Loss),
    (distribution_balanced_loss, DistributionBalancedLoss),
    (hardest_negative_loss, HardestNegativeLoss),
]
COUNTS = {"label_counts": [3, 20, 1, 9], "n_samples": 40}
NEEDED = {distribution_balanced_loss: COUNTS}
SETTINGS = [
    (focal_loss, {}),
    (focal_loss, {"gamma": 1.3, "alpha": 0.7}),
    (focal_loss, {"gamma": 0.5, "alpha": None}),
    (asymmetric_loss, {}),
    (asymmetric_loss, {"gamma_pos": 1.0, "gamma_neg": 0.5, "probability_margin": 0.2}),
    (asymmetric_loss, {"gamma_neg": 0.5, "probability_margin": 0.0}),
    (soft_macro_f1_loss, {}),
    (soft_macro_f1_loss, {"slope": 3.0}),
    (distribution_balanced_loss, COUNTS),
    (
        distribution_balanced_loss,
        {**COUNTS, "offset": 0.3, "steepness": 4.0, "center": 0.5, "bias_scale": 0.4, "negative_scale": 3.0},
    ),
    (hardest_negative_loss, {}),
    (hardest_negative_loss, {"weight": 0.3, "margin": 2.5}),
]
DIVERSE = [pytest.param(f, s, id=f"{f.__name__}-{number}") for number, (f, s) in enumerate(SETTINGS)]


def make_batch(seed=0, shape=(6, 4)):
    generator = torch.Generator().manual_seed(seed)
    z, theta = (2 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    y = (torch.rand(shape, generator=generator, dtype=torch.float64) < 0.4).double()
    y[1] = 0  # a row without positives
    y[:, 3], y[2, 3] = 0, 1  # a label with one positive
    return z, theta, y


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def naive_focal(d, y, gamma=2.0, alpha=0.25):
    loss = np.zeros(y.shape)
    for i, k in np.ndindex(y.shape):
        p = sigmoid(d[i, k]) if y[i, k] else 1 - sigmoid(d[i, k])
        weight = 1 if alpha is None else alpha if y[i, k] else 1 - alpha
        loss[i, k] = -weight * (1 - p) ** gamma * math.log(p)
    return loss


def naive_asymmetric(d, y, gamma_pos=0.0, gamma_neg=4.0, probability_margin=0.05):
    loss = np.zeros(y.shape)
    for i, k in np.ndindex(y.shape):
        p = sigmoid(d[i, k])
        shifted = max(p - probability_margin, 0)
        if y[i, k]:
            loss[i, k] = -((1 - p) ** gamma_pos) * math.log(p)
        else:
            loss[i, k] = -(shifted**gamma_neg) * math.log(1 - shifted)
    return loss


def naive_soft_f1(d, y, slope=1.0):
    loss = []
    for k in range(y.shape[1]):
        tp = fp = fn = 0
        for i in range(y.shape[0]):
            p = sigmoid(slope * d[i, k])
            tp, fp, fn = tp + p * y[i, k], fp + p * (1 - y[i, k]), fn + (1 - p) * y[i, k]
        loss.append(1 - 2 * tp / (2 * tp + fp + fn))
    return np.array(loss)


def naive_distribution_balanced(
    d,
    y,
    label_counts,
    n_samples,
    offset=0.1,
    steepness=10.0,
    center=0.2,
    bias_scale=0.05,
    negative_scale=2.0,
):
    loss = np.zeros(y.shape)
    for i, k in np.ndindex(y.shape):
        own = sum(1 / n for n, has in zip(label_counts, y[i], strict=True) if has)
        r = (1 / label_counts[k]) / own if own else math.inf
        weight = offset + (1 if r == math.inf else sigmoid(steepness * (r - center)))
        shifted = d[i, k] - bias_scale * math.log(n_samples / label_counts[k] - 1)
        if y[i, k]:
            loss[i, k] = weight * math.log(1 + math.exp(-shifted))
        else:
            loss[i, k] = weight * math.log(1 + math.exp(negative_scale * shifted)) / negative_scale
    return loss


def naive_hardest(d, y, weight=1.0, margin=1.0):
    loss = np.zeros(y.shape)
    for i, k in np.ndindex(y.shape):
        others = [d[j, k] for j in range(len(y)) if y[j, k] != y[i, k]]
        gaps = [d[i, k] - other if y[i, k] else other - d[i, k] for other in others]
        hinge = max(0, margin - min(gaps)) if gaps else 0
        loss[i, k] = math.log(1 + math.exp(-d[i, k] if y[i, k] else d[i, k])) + weight * hinge
    return loss


NAIVE = {
    focal_loss: naive_focal,
    asymmetric_loss: naive_asymmetric,
    soft_macro_f1_loss: naive_soft_f1,
    distribution_balanced_loss: naive_distribution_balanced,
    hardest_negative_loss: naive_hardest,
}


@pytest.mark.parametrize(("function", "settings"), DIVERSE)
def test_naive_loops_and_reductions(function, settings):
    z, theta, y = make_batch()
    expected = torch.from_numpy(NAIVE[function]((z - theta).numpy(), y.numpy(), **settings))
    close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)  # in the precision of the logits
    close(function(z, theta, y, reduction="none", **settings), expected)
    close(function(z, theta, y, reduction="sum", **settings), expected.sum())
    close(function(z, theta, y, **settings), expected.mean())


@pytest.mark.parametrize(("function", "settings"), DIVERSE)
def test_gradients(function, settings):
    z, theta, y = make_batch(1)
    z.requires_grad_()
    theta.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, t: function(z, t, y, **settings), (z, theta))
    per_label = theta.detach()[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, t: function(z, t, y, **settings), (z, per_label))


@pytest.mark.parametrize("size", [50.0, 200.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("function", "settings"), DIVERSE)
def test_extreme_logits_stay_finite_with_finite_gradients(function, settings, dtype, size):
    z = size * torch.tensor([[1.0, -1, 1, -1], [-1, -1, 1, 1], [-1, -1, -1, -1]], dtype=dtype)
    y = torch.tensor([[1.0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=dtype)
    for logits in (z, -z, -z.abs(), z.abs()):
        logits = logits.clone().requires_grad_()
        theta = torch.zeros(4, dtype=dtype, requires_grad=True)
        loss = function(logits, theta, y, reduction="none", **settings)
        assert torch.isfinite(loss).all()
        assert (loss >= 0).all()
        loss.sum().backward()
        assert torch.isfinite(logits.grad).all()
        torch.testing.assert_close(theta.grad, -logits.grad.sum(dim=0))


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (focal_loss, {"gamma": 0, "alpha": None}),
        (asymmetric_loss, {"gamma_pos": 0, "gamma_neg": 0, "probability_margin": 0}),
        (hardest_negative_loss, {"weight": 0}),
        (
            distribution_balanced_loss,
            {**COUNTS, "offset": 0.5, "steepness": 0, "bias_scale": 0, "negative_scale": 1},
        ),
    ],
)
def test_cross_entropy_is_a_limit(function, settings):
    z, theta, y = make_batch()
    ours = function(z, theta, y, reduction="none", **settings)
    torch.testing.assert_close(ours, threshold_bce(z, theta, y, reduction="none"))
    far = 1e4 * (2 * y - 1)
    torch.testing.assert_close(function(-far, theta, y, **settings), threshold_bce(-far, theta, y))


def test_focal_loss_is_the_asymmetric_one_without_asymmetry():
    z, theta, y = make_batch()
    asymmetric = asymmetric_loss(z, theta, y, gamma_pos=1.7, gamma_neg=1.7, probability_margin=0)
    torch.testing.assert_close(focal_loss(z, theta, y, gamma=1.7, alpha=None), asymmetric)


def test_negatives_below_the_probability_margin_cost_nothing():
    z = torch.tensor([[-2.9, -3.0]]).requires_grad_()  # σ = 0.0522 and 0.0474
    loss = asymmetric_loss(z, torch.zeros(2), torch.zeros(1, 2), gamma_neg=1.0, reduction="none")
    loss.sum().backward()
    assert loss[0, 0] > 0 == loss[0, 1]
    assert z.grad[0, 0] > 0 == z.grad[0, 1]


def test_the_steeper_the_soft_f1_the_closer_to_the_f1_of_predictions():
    z, theta, y = make_batch()
    predicted = (z > theta).double()
    f1 = 2 * (predicted * y).sum(0) / (predicted + y).sum(0)
    steep = soft_macro_f1_loss(z, theta, y, slope=1e6, reduction="none")
    torch.testing.assert_close(1 - steep, f1)


def test_labels_at_both_ends_of_their_count_count_as_next_to_them():
    z, theta, y = make_batch()
    ends = distribution_balanced_loss(z, theta, y, label_counts=[0, 40, 5, 5], n_samples=40)
    inside = distribution_balanced_loss(z, theta, y, label_counts=[1, 39, 5, 5], n_samples=40)
    assert torch.equal(ends, inside)


def test_rare_labels_weigh_more_beside_frequent_ones():
    z, y = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    loss = distribution_balanced_loss(
        z, z, y, label_counts=[1000, 2], n_samples=2000, bias_scale=0, reduction="none"
    )
    rare, frequent = loss[0, 1].item(), loss[0, 0].item()
    assert rare == pytest.approx(1.1 * math.log(2), rel=1e-3)  # r is almost 1
    assert frequent == pytest.approx((0.1 + sigmoid(-2)) * math.log(2), rel=0.02)  # r is almost 0


def test_the_hardest_of_the_other_kind_is_measured_from_its_own_threshold():
    z, y = torch.tensor([[3.0], [5.0]]), torch.tensor([[1.0], [0.0]])
    theta = torch.tensor([[0.0], [4.5]])  # the negative row is below the positive one by 2.5
    for margin, hinge in [(2.5, 0.0), (3.0, 0.5)]:
        with_hinge = hardest_negative_loss(z, theta, y, margin=margin, reduction="none")
        without = hardest_negative_loss(z, theta, y, weight=0, reduction="none")
        torch.testing.assert_close(with_hinge - without, torch.full((2, 1), hinge))


@pytest.mark.parametrize(("function", "module"), PAIRS)
def test_module_and_function_have_one_signature_and_one_value(function, module):
    def options(callable_):
        parameters = inspect.signature(callable_).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    assert options(module) == options(function)
    z, theta, y = make_batch()
    needed = NEEDED.get(function, {})
    assert torch.equal(module(**needed)(z, theta, y), function(z, theta, y, **needed))
    # every option reaches the function: another value of each changes the module as it changes the function
    others = {"reduction": "sum", "label_counts": [5, 5, 5, 5], "n_samples": 90, "probability_margin": 0.3}
    for name in options(function):
        changed = needed | {name: others.get(name, 0.7)}
        result = module(**changed)(z, theta, y)
        assert torch.equal(result, function(z, theta, y, **changed))
        assert not torch.equal(result, function(z, theta, y, **needed)), name


def test_every_public_loss_is_paired():
    public = {
        name
        for name, value in vars(rival_losses).items()
        if getattr(value, "__module__", None) == rival_losses.__name__ and not name.startswith("_")
    }
    assert public == {x.__name__ for pair in PAIRS for x in pair}


@pytest.mark.parametrize("function", [function for function, _ in PAIRS])
def test_refused_batches(function):
    z, theta, y = make_batch()
    needed = NEEDED.get(function, {})
    with pytest.raises(ValueError, match=r"differ in shape: \(6, 4\) against \(5, 4\)"):
        function(z, theta, y[1:], **needed)
    with pytest.raises(ValueError, match=r"reduction must be .* got 'max'"):
        function(z, theta, y, reduction="max", **needed)
    with pytest.raises(ValueError, match=r"thresholds of shape \(3,\) do not broadcast"):
        function(z, theta[0, :3], y, **needed)
    with pytest.raises(ValueError, match="targets must hold only 0 and 1"):
        function(z, theta, 0.5 * y, **needed)


NAN = math.nan


@pytest.mark.parametrize(
    ("function", "name", "values"),
    [
        (focal_loss, "gamma", [-0.1, NAN, None]),
        (focal_loss, "alpha", [-0.1, 1.1, NAN]),
        (asymmetric_loss, "gamma_pos", [-0.1, NAN]),
        (asymmetric_loss, "gamma_neg", [-0.1, math.inf]),
        (asymmetric_loss, "probability_margin", [-0.1, 1.0, NAN]),
        (soft_macro_f1_loss, "slope", [0, -1.0, NAN]),
        (distribution_balanced_loss, "n_samples", [1, 40.0, NAN]),
        (
            distribution_balanced_loss,
            "label_counts",
            [[[1, 2, 3, 4]], [1, 2, 3, -1], [1, 2, 3, 41], [NAN] * 4],
        ),
        (distribution_balanced_loss, "offset", [-0.1, NAN]),
        (distribution_balanced_loss, "steepness", [-0.1, NAN]),
        (distribution_balanced_loss, "center", [NAN, math.inf]),
        (distribution_balanced_loss, "bias_scale", [-0.1, NAN]),
        (distribution_balanced_loss, "negative_scale", [0, -1.0, NAN]),
        (hardest_negative_loss, "weight", [-0.1, NAN]),
        (hardest_negative_loss, "margin", [-0.1, math.inf]),
    ],
)
def test_refused_settings(function, name, values):
    module = dict(PAIRS)[function]
    for value in values:
        settings = NEEDED.get(function, {}) | {name: value}
        with pytest.raises(ValueError, match=f"{name} must be"):
            function(*make_batch(), **settings)
        with pytest.raises(ValueError, match=f"{name} must be"):
            module(**settings)


@pytest.mark.parametrize(("function", "module"), PAIRS)
def test_modules_refuse_an_unknown_reduction(function, module):
    with pytest.raises(ValueError, match="reduction must be"):
        module(**NEEDED.get(function, {}), reduction="max")


def test_counts_of_other_labels_are_refused():
    z, theta, y = make_batch()
    with pytest.raises(ValueError, match="label_counts holds 3 labels, but the logits 4"):
        distribution_balanced_loss(z, theta, y, label_counts=[1, 2, 3], n_samples=9)


@pytest.mark.parametrize(("function", "module"), PAIRS)
def test_each_trains_the_network(function, module):
    rng = np.random.default_rng(0)
    Y = sp.csr_array((rng.random((60, 3)) < 0.3).astype(np.float32))
    X = sp.csr_array(Y.toarray() + 0.1 * rng.random((60, 3), dtype=np.float32))
    needed = {"label_counts": Y.sum(axis=0), "n_samples": 60} if function in NEEDED else {}
    generator = torch.Generator().manual_seed(0)
    network = MultiLabelNetwork(3, 3, hidden_layers=(8,), dropout=0.0, generator=generator)
    model = ThresholdedNetwork(network, ThresholdFusion([1.0] * 3))
    rows = Rows(X=X, Y=Y, local=0 * X)
    plan = TrainingPlan(max_epochs=15, batch_size=20, learning_rate=0.1, patience=15)
    history = train(model, module(**needed), rows, rows, plan=plan)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert history[-1]["macro_f1"] > 0.95
