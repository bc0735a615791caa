"""The released protocol: signals and thresholds by hand, training against plain torch, the leak."""

import ast
import inspect
import warnings
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
from adathresh.network import SparseRows
from adathresh.released import (
    LabelLeakageWarning,
    ReleasedModel,
    ReleasedThreshold,
    label_signals,
    predict_released,
    train_released,
)

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
    order, losses = np.random.default_rng(7).permutation(n_rows), []
    for batch in (order[:128], order[128:]):
        if len(batch):
            targets, inputs = dense(Y[batch], X[batch])
            loss = naive_loss(*naive(inputs, targets), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert entry["train_loss"] == pytest.approx(np.mean(losses), abs=1e-9)
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
    with pytest.raises(ValueError, match="signals must be 'released' or 'withheld'; got 'own'"):
        predict_released(trained[0], *rows, signals="own")


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


AUDITS = {"released.py", "__main__.py"}
METHOD = sorted(path for path in PACKAGE.glob("*.py") if path.name not in AUDITS)


@pytest.mark.parametrize("path", METHOD, ids=lambda path: path.stem)
def test_method_modules_never_reach_the_released_protocol(path):
    assert PACKAGE / "released.py" not in reachable(path)


def test_the_search_for_imports_finds_the_audit():
    assert PACKAGE / "released.py" in reachable(PACKAGE / "experiments" / "studies.py")
    assert {PACKAGE / "knn.py", PACKAGE / "targets.py"} < reachable(PACKAGE / "classifier.py")


def test_the_classifier_predicts_from_features_alone():
    for name in ("predict", "predict_proba", "decision_function", "thresholds"):
        parameters = inspect.signature(getattr(AdaptiveThresholdClassifier, name)).parameters
        assert list(parameters) == ["self", "X"], name
