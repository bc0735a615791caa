"""The released protocol: every switch by hand, training against plain torch, the leak."""

import ast
import inspect
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits
from torch import nn

import adathresh
from adathresh import AdaptiveThresholdClassifier
from adathresh.datasets import make_longtail
from adathresh.paper.as_released import (
    LabelLeakageWarning,
    LeakFreeSignals,
    ReleasedModel,
    ReleasedThreshold,
    label_signals,
    predict_released,
    released_split,
    reported_epoch,
    train_released,
)
from adathresh.paper.network import SparseRows

PACKAGE = Path(adathresh.__file__).parent
N_FEATURES, N_LABELS = 50, 12


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def rows():
    X, Y = make_longtail(150, N_FEATURES, N_LABELS, labels_per_row=2, features_per_row=10, random_state=1)
    return X.astype(np.float64), Y.astype(np.float64)


def make_model(seed=0, **options):
    torch.manual_seed(seed)
    return ReleasedModel(N_FEATURES, N_LABELS, **({"hidden_layers": (16, 8)} | options)).double()


@pytest.fixture(scope="module")
def trained(rows):
    X, Y = rows
    model = make_model()
    history = train_released(model, X[:100], Y[:100], X[100:], Y[100:], n_epochs=50, learning_rate=3e-2)
    return model, history


def released(model, X, Y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        return predict_released(model, X, Y, **options).toarray()


# --- signals and thresholds, by hand ---


def test_signals_of_a_batch():
    Y = torch.tensor([[1.0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    g, K = label_signals(Y)
    np.testing.assert_allclose(g, [[1 / 3, 1 / 3, 1 / 3, 0], [0, 1, 0, 0], [0, 0, 0, 0]], atol=1e-6)
    # Y Yᵀ = [[3, 1, 0], [1, 1, 0], [0, 0, 0]]; its rows are divided by 3, 1 and (almost) 0
    np.testing.assert_allclose(K, [[1, 4 / 3, 1, 0], [1, 2, 1, 0], [0, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("use_threshold_bias", [True, False])
@pytest.mark.parametrize("disable_knn", [True, False])
@pytest.mark.parametrize("disable_tfidf", [True, False])
@pytest.mark.parametrize("lam", [0.25, 3.0])
def test_threshold_is_the_formula(lam, disable_tfidf, disable_knn, use_threshold_bias):
    threshold = ReleasedThreshold(
        3, disable_tfidf=disable_tfidf, disable_knn=disable_knn, use_threshold_bias=use_threshold_bias
    )
    alpha, beta, bias = [1.0, 2.0, -1.0], [0.5, -1.0, 2.0], [0.1, -0.2, 0.3]
    with torch.no_grad():
        threshold.lam.fill_(lam)
        for parameter, values in ((threshold.alpha, alpha), (threshold.beta, beta), (threshold.bias, bias)):
            parameter.copy_(torch.tensor(values))
    g, K = [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], [[1.0, 1.5, 0.5], [0.5, 2.0, 0.0]]
    theta = threshold(torch.tensor(g), torch.tensor(K))
    for i in range(2):
        for l in range(3):  # noqa: E741
            score = 0.0 if disable_tfidf else lam * alpha[l] * g[i][l]
            score += 0.0 if disable_knn else (1 - lam) * beta[l] * K[i][l]
            score += bias[l] if use_threshold_bias else 0.0
            assert theta[i, l].item() == pytest.approx(1 / (1 + np.exp(-score)), abs=1e-6)


def test_fixed_threshold_is_one_half_everywhere():
    threshold = ReleasedThreshold(3, use_fixed_threshold=True)
    assert (threshold(torch.rand(2, 3), torch.rand(2, 3)) == 0.5).all()


def test_threshold_starts_as_released():
    torch.manual_seed(0)
    threshold = ReleasedThreshold(20_000)
    assert threshold.lam.item() == 0.5
    assert (threshold.bias == 0).all()
    for drawn in (threshold.alpha, threshold.beta):
        assert drawn.mean().item() == pytest.approx(0, abs=0.03)
        assert drawn.std().item() == pytest.approx(1, abs=0.03)
    assert not torch.equal(threshold.alpha, threshold.beta)
    assert {name for name, _ in threshold.named_parameters()} == {"alpha", "beta", "lam", "bias"}


def test_network_starts_as_released():
    torch.manual_seed(0)
    network = ReleasedModel(N_FEATURES, N_LABELS, hidden_layers=(400, 300)).network
    bound = 1 / np.sqrt(N_FEATURES)
    for drawn in (network.first.weight, network.first.bias):  # nn.Linear's own: uniform within ±1/√fan-in
        assert drawn.abs().max().item() <= bound
        assert drawn.std().item() == pytest.approx(bound / np.sqrt(3), rel=0.1)
    assert network.dropout.p == 0.3
    assert (network.rest[-1].bias == 0.5).all()
    plain = ReleasedModel(N_FEATURES, N_LABELS, hidden_layers=(400, 300), use_bias_init=False)
    assert plain.network.rest[-1].bias.abs().max().item() <= 1 / np.sqrt(300)
    assert plain.network.rest[-1].bias.std().item() > 0


# --- forward pass, loss and one step with every switch, in numpy ---

SWITCHES = {
    "as released": {},
    "no IDF signal": {"disable_tfidf": True},
    "no KNN signal": {"disable_knn": True},
    "fixed threshold": {"use_fixed_threshold": True},
    "no bias start": {"use_bias_init": False},
    "no threshold bias": {"use_threshold_bias": False},
    "raw logits": {"normalize_logits": False},
    "no margin loss": {"use_margin_loss": False},
    "positives weigh 1": {"pos_weight": None},
}
BATCH_X = np.array([[0.5, 0, 1, 0, 0], [0, 2, 0, 0, 0.3], [1, 0, 0, 1, 1], [0, 0.7, 0.2, 0, 0]])
BATCH_Y = np.array([[1.0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
# by hand: g_il = y_il / |Y_i|, K = ((Y Yᵀ) / |Y_i|) Y, with Y Yᵀ = [[2,1,2,0],[1,1,1,0],[2,1,3,0],[0,0,0,0]]
BATCH_G = np.array([[1 / 2, 1 / 2, 0, 0], [0, 1, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 0]])
BATCH_K = np.array([[2, 5 / 2, 1, 0], [2, 3, 1, 0], [5 / 3, 2, 1, 0], [0, 0, 0, 0]])
NAMES = {
    "network.first.weight": "W1",
    "network.first.bias": "b1",
    "network.rest.0.weight": "W2",
    "network.rest.0.bias": "b2",
    "network.rest.1.weight": "W3",
    "network.rest.1.bias": "b3",
    "threshold.alpha": "alpha",
    "threshold.beta": "beta",
    "threshold.lam": "lam",
    "threshold.bias": "b",
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def values(model):
    """Return a model's parameters under short names, layer weights as (inputs, outputs)."""
    found = {NAMES[name]: p.detach().numpy().copy() for name, p in model.named_parameters()}
    return found | {name: found[name].T for name in ("W2", "W3")}


def by_hand(p, *, pos_weight=10.0, **switches):
    """Return logits, thresholds, loss and the gradient of every parameter that takes part, in numpy."""
    on = {
        "disable_tfidf": False,
        "disable_knn": False,
        "use_fixed_threshold": False,
        "use_threshold_bias": True,
        "normalize_logits": True,
        "use_margin_loss": True,
    } | switches
    X, Y, n = BATCH_X, BATCH_Y, BATCH_Y.size
    a1 = X @ p["W1"] + p["b1"]
    h1 = np.maximum(a1, 0)
    a2 = h1 @ p["W2"] + p["b2"]
    h2 = np.maximum(a2, 0)
    raw = z = h2 @ p["W3"] + p["b3"]
    if on["normalize_logits"]:
        centred = raw - raw.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / 3)  # unbiased: four labels
        z = centred / (deviation + 1e-8)
    from_g = p["alpha"] * BATCH_G * (not on["disable_tfidf"])
    from_k = p["beta"] * BATCH_K * (not on["disable_knn"])
    score = p["lam"] * from_g + (1 - p["lam"]) * from_k + p["b"] * on["use_threshold_bias"]
    theta = np.full_like(z, 0.5) if on["use_fixed_threshold"] else sigmoid(score)
    d, sign, weight = z - theta, 2 * Y - 1, 1.0 if pos_weight is None else pos_weight
    hinge = np.maximum(0, -sign * d + 0.1)
    loss = (-weight * Y * np.log(sigmoid(d)) - (1 - Y) * np.log(sigmoid(-d))).mean()
    loss += 0.1 * hinge.mean() * on["use_margin_loss"]

    # backwards
    to_d = (-weight * Y * sigmoid(-d) + (1 - Y) * sigmoid(d)) / n
    to_d -= 0.1 * sign * (hinge > 0) / n * on["use_margin_loss"]
    to_score = -to_d * theta * (1 - theta)
    gradient = {}
    if not on["use_fixed_threshold"]:
        gradient["lam"] = (to_score * (from_g - from_k)).sum()
        if not on["disable_tfidf"]:
            gradient["alpha"] = (to_score * p["lam"] * BATCH_G).sum(axis=0)
        if not on["disable_knn"]:
            gradient["beta"] = (to_score * (1 - p["lam"]) * BATCH_K).sum(axis=0)
        if on["use_threshold_bias"]:
            gradient["b"] = to_score.sum(axis=0)
    to_raw = to_d
    if on["normalize_logits"]:
        # z = c / (s + ε) with c = raw − mean and s² = Σ c² / 3
        to_c = to_d / (deviation + 1e-8)
        to_c -= (
            (to_d * centred).sum(axis=1, keepdims=True) / (deviation + 1e-8) ** 2 * centred / (3 * deviation)
        )
        to_raw = to_c - to_c.mean(axis=1, keepdims=True)
    gradient["W3"], gradient["b3"] = h2.T @ to_raw, to_raw.sum(axis=0)
    to_a2 = to_raw @ p["W3"].T * (a2 > 0)
    gradient["W2"], gradient["b2"] = h1.T @ to_a2, to_a2.sum(axis=0)
    to_a1 = to_a2 @ p["W2"].T * (a1 > 0)
    gradient["W1"], gradient["b1"] = X.T @ to_a1, to_a1.sum(axis=0)
    return z, theta, loss, gradient


def small_model(switches):
    torch.manual_seed(3)
    switches = {name: value for name, value in switches.items() if name != "pos_weight"}
    model = ReleasedModel(5, 4, hidden_layers=(7, 6), **switches).double()
    model.network.dropout.p = 0.0
    with torch.no_grad():  # where every part counts
        model.threshold.lam.fill_(0.3)
        model.threshold.bias.copy_(torch.tensor([0.2, -0.1, 0.4, -0.3]))
    return model


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_forward_pass_loss_and_one_step_by_hand(switches):
    X, Y = sp.csr_array(BATCH_X), sp.csr_array(BATCH_Y)
    model = small_model(switches)
    before = values(model)
    z, theta, loss, gradient = by_hand(before, **switches)
    assert switches.get("use_bias_init", True) == (before["b3"] == 0.5).all()

    g, K = label_signals(torch.from_numpy(BATCH_Y))
    np.testing.assert_allclose(g, BATCH_G, atol=1e-7)
    np.testing.assert_allclose(K, BATCH_K, atol=1e-7)
    found_z, found_theta = model(SparseRows.from_csr(X), g, K)
    np.testing.assert_allclose(found_z.detach(), z, atol=1e-7)
    np.testing.assert_allclose(found_theta.detach(), theta, atol=1e-7)
    np.testing.assert_array_equal(released(model, X, Y), sigmoid(z - theta) > 0.5)

    options = {"pos_weight": switches["pos_weight"]} if "pos_weight" in switches else {}
    (entry,) = train_released(model, X, Y, X, Y, n_epochs=1, learning_rate=0.01, **options)
    assert entry["train_loss"] == pytest.approx(loss, abs=1e-7)
    after, parameters = values(model), {NAMES[name]: p for name, p in model.named_parameters()}
    for name, start in before.items():
        taken = parameters[name].grad
        if name not in gradient:  # what is switched off is not trained, and does not decay either
            assert taken is None
            np.testing.assert_array_equal(after[name], start)
            continue
        taken = taken.numpy().T if name in ("W2", "W3") else taken.numpy()
        np.testing.assert_allclose(taken, gradient[name], atol=1e-7, err_msg=name)
        # AdamW's first step: decay by learning rate · 0.01, then the gradient over its own size (+ 1e-8)
        step = taken / (np.abs(taken) + 1e-8)
        np.testing.assert_allclose(after[name], start * (1 - 0.01 * 0.01) - 0.01 * step, atol=1e-7)
    assert any(np.abs(change).max() > 1e-3 for change in gradient.values())


def test_every_switch_changes_the_step():
    found = []
    for switches in SWITCHES.values():
        gradient = by_hand(values(small_model(switches)), **switches)[-1]
        found.append(gradient["W3"].round(8).tobytes())
    assert len(set(found)) == len(SWITCHES)


def test_numpy_gradients_are_those_of_finite_differences():
    start = values(small_model({}))
    gradient = by_hand(start)[-1]
    for name, index in (("W1", (1, 2)), ("W2", (3, 1)), ("W3", (2, 0)), ("b3", 1), ("beta", 1), ("lam", ())):
        losses = []
        for step in (1e-5, -1e-5):
            moved = {key: value.copy() for key, value in start.items()}
            moved[name][index] += step
            losses.append(by_hand(moved)[2])
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(gradient[name][index], abs=1e-6), name


def test_macro_f1_is_the_mean_over_all_labels(rows):
    """The released definition: F1 from precision and recall, each with 1e-8 below, absent labels as 0."""
    X, Y = rows
    model = make_model()
    (entry,) = train_released(model, X[:100], Y[:100], X[100:], Y[100:], n_epochs=1, learning_rate=1e-2)
    for signals in ("released", "withheld"):
        predicted, truth = released(model, X[100:], Y[100:], signals=signals), Y[100:].toarray()
        tp, fp = (predicted * truth).sum(axis=0), (predicted * (1 - truth)).sum(axis=0)
        fn = ((1 - predicted) * truth).sum(axis=0)
        precision, recall = tp / (tp + fp + 1e-8), tp / (tp + fn + 1e-8)
        f1 = 2 * precision * recall / (precision + recall + 1e-8)
        assert len(f1) == N_LABELS
        assert entry[f"macro_f1_{signals}"] == pytest.approx(f1.mean(), abs=1e-7)


# --- rows, epochs ---


def test_split_takes_the_first_rows_80_to_20():
    for n_rows, n_train, n_reported in ((60_000, 40_000, 10_000), (1_186_239, 40_000, 10_000), (99, 79, 20)):
        train, reported = released_split(n_rows)
        assert (len(train), len(reported)) == (n_train, n_reported)
        np.testing.assert_array_equal(np.sort(np.r_[train, reported]), np.arange(n_train + n_reported))
    assert (np.diff(reported) < 0).any()
    np.testing.assert_array_equal(released_split(99)[0], train)
    assert not np.array_equal(released_split(99, random_state=1)[0], train)


def test_the_best_epoch_is_reported_and_the_last_is_kept(rows):
    X, Y = rows
    model, weights = make_model(), []

    def measure(predicted):
        weights.append(model.threshold.alpha.detach().clone())
        return {"macro_f1": [0.1, 0.4, 0.4, 0.2][(len(weights) - 1) // 2]}

    history = train_released(model, X, Y, X, Y, n_epochs=4, learning_rate=1e-2, measure=measure)
    assert reported_epoch(history) is history[1]
    assert set(history[1]) == {"epoch", "train_loss", "macro_f1_released", "macro_f1_withheld"}
    assert torch.equal(model.threshold.alpha, weights[-1])
    assert not torch.equal(model.threshold.alpha, weights[3])


def test_many_features_train_with_adamw():
    X = sp.csr_array((np.ones(2), ([0, 1], [0, 69_999])), shape=(2, 70_000))
    torch.manual_seed(0)
    model = ReleasedModel(70_000, 3, hidden_layers=(2,)).double()
    start = model.network.first.weight.detach().clone()
    train_released(model, X, sp.csr_array(np.eye(2, 3)), X, sp.csr_array(np.eye(2, 3)), n_epochs=1)
    # a row of the weights that no batch touches decays all the same
    np.testing.assert_allclose(model.network.first.weight[5].detach(), start[5] * (1 - 1e-6), rtol=1e-12)


# --- network and training, against plain torch ---


class Naive(nn.Module):
    """The released model on dense rows, written from its description."""

    def __init__(self, model, *, normalize=True):
        super().__init__()
        first, rest, threshold = model.network.first, model.network.rest, model.threshold
        shapes = [first.weight.shape, *(layer.weight.T.shape for layer in rest)]
        self.layers = nn.ModuleList(nn.Linear(*shape) for shape in shapes)
        self.layers.double()
        with torch.no_grad():
            self.layers[0].weight.copy_(first.weight.T)
            self.layers[0].bias.copy_(first.bias)
            for mine, theirs in zip(self.layers[1:], rest, strict=True):
                mine.weight.copy_(theirs.weight)
                mine.bias.copy_(theirs.bias)
        for name in ("alpha", "beta", "lam", "bias"):
            setattr(self, name, nn.Parameter(getattr(threshold, name).detach().clone()))
        self.normalize = normalize

    def forward(self, X, Y):
        z = X
        for layer in self.layers[:-1]:
            z = torch.clamp(layer(z), min=0)
        z = self.layers[-1](z)
        if self.normalize:
            mean = z.sum(dim=1, keepdim=True) / z.shape[1]
            variance = ((z - mean) ** 2).sum(dim=1, keepdim=True) / (z.shape[1] - 1)
            z = (z - mean) / (variance.sqrt() + 1e-8)
        g, K = torch.zeros_like(Y), torch.zeros_like(Y)
        for i in range(len(Y)):
            g[i] = Y[i] / (Y[i].sum() + 1e-8)
            for j in range(len(Y)):
                K[i] += (Y[i] * Y[j]).sum() / (Y[i].sum() + 1e-8) * Y[j]
        score = self.lam * self.alpha * g + (1 - self.lam) * self.beta * K + self.bias
        return z, 1 / (1 + torch.exp(-score))


def naive_loss(z, theta, Y):
    d = z - theta
    bce = -(10 * Y * torch.log(torch.sigmoid(d)) + (1 - Y) * torch.log(1 - torch.sigmoid(d)))
    margin = torch.clamp(-(2 * Y - 1) * d + 0.1, min=0)
    return bce.mean() + 0.1 * margin.mean()


def dense(*matrices):
    return [torch.from_numpy(matrix.toarray()) for matrix in matrices]


@pytest.mark.parametrize("normalize", [True, False])
def test_forward_pass(rows, normalize):
    X, Y = rows
    model = make_model(normalize_logits=normalize).eval()
    z, theta = model(SparseRows.from_csr(X), *label_signals(*dense(Y)))
    expected_z, expected_theta = Naive(model, normalize=normalize)(*dense(X, Y))
    np.testing.assert_allclose(z.detach(), expected_z.detach(), atol=1e-9)
    np.testing.assert_allclose(theta.detach(), expected_theta.detach(), atol=1e-9)
    if normalize:
        np.testing.assert_allclose(z.detach().mean(dim=1), 0, atol=1e-9)
        np.testing.assert_allclose(z.detach().std(dim=1, unbiased=True), 1, atol=1e-6)


# 128 rows a step: one step, and two
@pytest.mark.parametrize("n_rows", [100, 150])
def test_an_epoch_of_training(rows, n_rows):
    X, Y = (matrix[:n_rows] for matrix in rows)
    model = make_model()
    model.network.dropout.p = 0.0
    naive = Naive(model)
    (entry,) = train_released(model, X, Y, *rows, n_epochs=1, learning_rate=1e-3, seed=7)

    optimizer = torch.optim.AdamW(
        naive.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
    )
    order, total = np.random.default_rng(7).permutation(n_rows), 0.0
    for batch in (order[:128], order[128:]):
        if len(batch):
            targets, inputs = dense(Y[batch], X[batch])
            loss = naive_loss(*naive(inputs, targets), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
    assert entry["train_loss"] == pytest.approx(total / n_rows, abs=1e-9)
    for name, ours, theirs in (
        ("first weight", model.network.first.weight.T, naive.layers[0].weight),
        ("first bias", model.network.first.bias, naive.layers[0].bias),
        ("hidden weight", model.network.rest[0].weight, naive.layers[1].weight),
        ("output weight", model.network.rest[1].weight, naive.layers[2].weight),
        ("output bias", model.network.rest[1].bias, naive.layers[2].bias),
        ("alpha", model.threshold.alpha, naive.alpha),
        ("beta", model.threshold.beta, naive.beta),
        ("lambda", model.threshold.lam, naive.lam),
        ("b", model.threshold.bias, naive.bias),
    ):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-6, err_msg=name)
    # the step was taken, and moved the threshold too
    assert model.threshold.lam.item() != 0.5
    assert (model.threshold.bias != 0).all()


def test_predictions_are_those_of_the_naive_model_in_its_batches(rows):
    X, Y = rows
    model = make_model()
    naive, parts = Naive(model), []
    for start in (0, 128):
        z, theta = naive(*dense(X[start : start + 128], Y[start : start + 128]))
        parts.append((torch.sigmoid(z - theta) > 0.5).numpy())
    predicted = released(model, X, Y)
    np.testing.assert_array_equal(predicted, np.vstack(parts))
    assert 0 < predicted.mean() < 1


def test_history_holds_both_ways_to_evaluate(rows, trained):
    X, Y = rows
    model, history = trained
    assert [entry["epoch"] for entry in history] == list(range(1, 51))
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    for signals in ("released", "withheld"):
        predicted = released(model, X[100:], Y[100:], signals=signals)
        for average in ("macro", "micro"):
            expected = f1_score(Y[100:].toarray(), predicted, average=average, zero_division=0)
            assert history[-1][f"{average}_f1_{signals}"] == pytest.approx(expected)


def test_training_depends_on_its_seed_only(rows):
    X, Y = rows

    def losses(seed, outside):
        model = make_model()
        torch.manual_seed(outside)
        history = train_released(model, X, Y, X[:5], Y[:5], n_epochs=2, learning_rate=1e-2, seed=seed)
        return [entry["train_loss"] for entry in history], torch.rand(1).item()

    first, after = losses(0, outside=1)
    assert losses(0, outside=2)[0] == first
    assert losses(3, outside=1)[0] != first
    torch.manual_seed(1)
    assert torch.rand(1).item() == after  # the caller's random numbers go on as if nothing had been trained


def test_training_drops_units_and_evaluation_does_not(rows):
    X, Y = rows
    losses = []
    for p in (0.3, 0.0):
        model = make_model()
        model.network.dropout.p = p
        losses.append(train_released(model, X, Y, X, Y, n_epochs=1, learning_rate=0.0)[0]["train_loss"])
    assert losses[0] != losses[1]
    np.testing.assert_array_equal(released(make_model().train(), X, Y), released(make_model().eval(), X, Y))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_epochs": 0}, "n_epochs must be at least 1"),
        ({"n_epochs": float("nan")}, "n_epochs must be at least 1 and a whole number; got nan"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0 and finite; got nan"),
        ({"learning_rate": -1e-4}, "learning_rate must be at least 0 and finite"),
        ({"pos_weight": -1}, "pos_weight must be a finite number, greater than 0, or None; got -1"),
    ],
)
def test_settings_out_of_range(rows, settings, message):
    X, Y = rows
    with pytest.raises(ValueError, match=message):
        train_released(make_model(), X, Y, X, Y, **({"n_epochs": 1} | settings))


def test_the_released_network_has_hidden_layers():
    with pytest.raises(ValueError, match="at least one hidden layer"):
        make_model(hidden_layers=())


def test_a_training_that_diverges_names_the_epoch_and_what_broke(rows):
    X, Y = rows
    with pytest.raises(
        ValueError, match=r"diverged in epoch \d: network\.first\.weight is not finite; lower learning_rate"
    ):
        train_released(make_model(), X, Y, X, Y, n_epochs=2, learning_rate=1e38)
    broken = X.copy()
    broken.data[0] = np.nan
    with pytest.raises(ValueError, match=r"diverged in epoch 1: .* see that X holds no NaN"):
        train_released(make_model(), broken, Y, X, Y, n_epochs=2)


def test_trainings_in_threads_are_those_one_after_the_other(rows):
    X, Y = rows

    def losses(number):
        history = train_released(models[number], X, Y, X[:5], Y[:5], n_epochs=3, seed=number)
        return [entry["train_loss"] for entry in history]

    models = [make_model(seed) for seed in range(4)]
    alone = [losses(number) for number in range(4)]
    models = [make_model(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(losses, range(4))) == alone


def test_training_does_not_warn(rows):
    X, Y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_released(make_model(), X, Y, X, Y, n_epochs=1)


# --- the leak ---


def test_released_predictions_depend_on_the_labels_handed_in(rows, trained):
    X, Y = rows
    others = Y[np.random.default_rng(0).permutation(150)]
    with pytest.warns(LabelLeakageWarning, match="reads the true labels"):
        own = predict_released(trained[0], X, Y)
    assert isinstance(own, sp.csr_array)
    assert own.shape == Y.shape
    assert (own.toarray() != released(trained[0], X, others)).any()


def test_withheld_predictions_do_not(rows, trained):
    X, Y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own = predict_released(trained[0], X, Y, signals="withheld").toarray()
        nothing = predict_released(trained[0], X, sp.csr_array(Y.shape), signals="withheld").toarray()
    np.testing.assert_array_equal(own, nothing)
    assert 0 < own.mean() < 1


def test_the_leak_flatters(trained):
    last = trained[1][-1]
    assert last["macro_f1_released"] > last["macro_f1_withheld"] + 0.1


def test_only_released_predictions_depend_on_the_batch_size(rows, trained):
    X, Y = rows
    assert (released(trained[0], X, Y, batch_size=4) != released(trained[0], X, Y, batch_size=150)).any()
    np.testing.assert_array_equal(
        released(trained[0], X, Y, signals="withheld", batch_size=4),
        released(trained[0], X, Y, signals="withheld", batch_size=150),
    )


def test_unknown_signals(rows, trained):
    with pytest.raises(ValueError, match=r"'released', 'withheld' or LeakFreeSignals; got 'own'"):
        predict_released(trained[0], *rows, signals="own")


def test_leak_free_signals_take_the_place_of_the_labels(rows):
    X, Y = rows
    rng = np.random.default_rng(0)
    idf, local = rng.random(N_LABELS), sp.random_array(Y.shape, density=0.4, rng=0, format="csr")
    signals = LeakFreeSignals(idf, local)
    model = make_model()
    z, theta = model.eval()(
        SparseRows.from_csr(X), torch.from_numpy(np.tile(idf, (150, 1))), torch.from_numpy(local.toarray())
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [predict_released(model, X, Y, signals=signals, batch_size=size) for size in (7, 150)]
        found.append(predict_released(model, X, sp.csr_array(Y.shape), signals=signals))
    for predicted in found:
        np.testing.assert_array_equal(predicted.toarray(), (torch.sigmoid(z - theta) > 0.5).numpy())
    both = (LeakFreeSignals(idf, local[:100]), LeakFreeSignals(idf, local[100:]))
    history = train_released(
        model, X[:100], Y[:100], X[100:], Y[100:], n_epochs=3, learning_rate=1e-2, leak_free=both
    )
    assert {"macro_f1_leak_free", "micro_f1_leak_free"} < set(history[0])
    predicted = predict_released(model, X[100:], Y[100:], signals=both[1]).toarray()
    expected = f1_score(Y[100:].toarray(), predicted, average="macro", zero_division=0)
    assert history[-1]["macro_f1_leak_free"] == pytest.approx(expected)


def test_leak_free_training_uses_its_signals(rows):
    X, Y = rows
    losses = []
    for share in (0.0, 1.0):
        signals = LeakFreeSignals(np.ones(N_LABELS), sp.csr_array(np.full(Y.shape, share)))
        history = train_released(make_model(), X, Y, X, Y, n_epochs=1, leak_free=(signals, signals))
        losses.append(history[0]["train_loss"])
    assert losses[0] != losses[1]


# --- the method cannot reach it ---


def imported(path):
    """Return the modules of this package that a source file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports relatively"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "adathresh"}


def source(module):
    """Return the file of a module of this package, or None for a name that is not a module."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file()), None)


def reachable(path):
    """Return the files of this package that importing a file may run."""
    found, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += filter(None, map(source, imported(path)))
    return found


AS_RELEASED = PACKAGE / "paper" / "as_released.py"
# Everything but the experiments, some of which audit it, and what starts them from the command line.
METHOD = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if "experiments" not in path.parts and path not in (AS_RELEASED, PACKAGE / "__main__.py")
)


@pytest.mark.parametrize("path", METHOD, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_method_modules_never_reach_the_released_protocol(path):
    assert AS_RELEASED not in reachable(path)


@pytest.mark.slow
def test_the_search_for_imports_finds_the_audit():
    audits = (PACKAGE / "experiments").rglob("*.py")
    assert any(AS_RELEASED in reachable(path) for path in audits)
    signals = {PACKAGE / "signals" / "knn.py", PACKAGE / "paper" / "losses.py"}
    assert signals < reachable(PACKAGE / "paper" / "classifier.py")


def test_the_classifier_predicts_from_features_alone():
    for name in ("predict", "predict_proba", "decision_function", "thresholds"):
        parameters = inspect.signature(getattr(AdaptiveThresholdClassifier, name)).parameters
        assert list(parameters) == ["self", "X"], name


FITS_AND_PREDICTS = """
import sys, numpy as np, adathresh
rng = np.random.default_rng(0)
X, Y = rng.random((40, 5)), (rng.random((40, 3)) < 0.4).astype(int)
network = adathresh.AdaptiveThresholdNetwork(hidden_layers=(4,), max_epochs=1, random_state=0)
clf = adathresh.AdaptiveThresholdClassifier(network).fit(X, Y)
clf.predict(X), clf.thresholds(X)
assert "adathresh.paper.network" in sys.modules
assert "adathresh.paper.as_released" not in sys.modules, "reachable"
assert not any("released" in name.lower() or name.startswith("LabelLeak") for name in dir(adathresh))
"""


@pytest.mark.slow
def test_the_classifier_never_loads_it():
    found = subprocess.run([sys.executable, "-c", FITS_AND_PREDICTS], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
