"""The network classifier: scikit-learn's contract, no leakage, every switch, sparse rows, bad input."""

import copy
import os
import pickle
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from adathresh import AdaptiveThresholdNetwork, LabelIDF, NeighborLabels
from adathresh.metrics import macro_f1
from adathresh.paper import classifier as end_to_end
from adathresh.paper.losses import AdaptiveThresholdLoss
from adathresh.paper.network import SparseRows
from adathresh.paper.rival_losses import DistributionBalancedLoss, FocalLoss, focal_loss

SMALL = {"hidden_layers": (16,), "max_epochs": 3, "n_neighbors": 5, "batch_size": 32, "random_state": 0}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks gain nothing from threads, and wait long for them where other work runs too."""
    with threadpool_limits(1):
        yield


# The checks give a network few rows: a longer stride makes up for the few steps.
@pytest.mark.slow
@parametrize_with_checks([AdaptiveThresholdNetwork(hidden_layers=(16,), learning_rate=0.01, random_state=0)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def make_data(seed=0, n_samples=120, n_labels=4):
    """Rows whose labels follow from the features; the last feature tells the rows apart."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 10)) * (rng.random((n_samples, 10)) < 0.6)
    X[:, -1] = 1e-3 * np.arange(1, n_samples + 1)
    Y = (X[:, :n_labels] + 0.3 * rng.normal(size=(n_samples, n_labels)) > 0.2).astype(int)
    return X, Y


def row_numbers(X):
    return np.round(X[:, [-1]].toarray().ravel() * 1e3).astype(int) - 1


def small(**options):
    return AdaptiveThresholdNetwork(**(SMALL | options))


def to_dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


@pytest.fixture
def splits(monkeypatch):
    """Record what the training loop is given."""
    seen = {}

    def spy(model, loss, training, validation, **options):
        seen.update(training=training, validation=validation, loss=loss, **options)
        return end_to_end_train(model, loss, training, validation, **options)

    end_to_end_train = end_to_end.train
    monkeypatch.setattr(end_to_end, "train", spy)
    return seen


def test_learns():
    X, Y = make_data(n_samples=400)
    clf = small(max_epochs=40, learning_rate=0.01).fit(X[:300], Y[:300])
    score = macro_f1(Y[300:], clf.predict(X[300:]))
    assert score > macro_f1(Y[300:], np.ones((100, 4), int)) + 0.15


@pytest.mark.parametrize("labels", [np.array, sp.csr_array, sp.csr_matrix, sp.coo_array])
@pytest.mark.parametrize("features", [np.array, sp.csr_array, sp.csr_matrix])
def test_containers(features, labels):
    X, Y = make_data()
    expected = small().fit(X, Y).predict(X)
    assert 0 < expected.mean() < 1
    predicted = small().fit(features(X), labels(Y)).predict(features(X))
    assert type(predicted) is {np.array: np.ndarray, sp.csr_matrix: sp.csr_matrix}.get(labels, sp.csr_array)
    assert predicted.dtype == np.int64
    np.testing.assert_array_equal(to_dense(predicted), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vector", [False, True])
def test_prediction_margin_threshold_and_probability_agree(vector, dtype):
    X, Y = make_data()
    X, Y = X.astype(dtype), Y[:, 0] if vector else Y
    clf = small(max_epochs=6, learning_rate=0.02).fit(X, Y)
    margins, theta, predicted = clf.decision_function(X), clf.thresholds(X), clf.predict(X)
    np.testing.assert_array_equal(predicted, margins > 0)
    assert 0 < predicted.mean() < 1
    assert margins.shape == theta.shape == Y.shape
    probability = clf.predict_proba(X)
    if vector:
        assert probability.shape == (120, 2)
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        probability = probability[:, 1]
    np.testing.assert_allclose(probability, expit(margins))
    # theta is the fusion's own, and z - theta > 0 is what is predicted
    local = torch.from_numpy(clf.neighbors_.transform(X).toarray())
    np.testing.assert_allclose(theta.reshape(120, -1), clf.model_.fusion(local).detach(), atol=1e-6)
    logits = (
        clf.model_.network(SparseRows.from_csr(sp.csr_array(X, dtype=np.float32)))
        .detach()
        .numpy()
        .reshape(Y.shape)
    )
    np.testing.assert_allclose(logits - theta, margins, atol=1e-5)


def test_binary_classes_come_back():
    X, Y = make_data()
    y = np.where(Y[:, 0] == 1, "yes", "no")
    clf = small(max_epochs=6, learning_rate=0.02).fit(X, y)
    assert clf.classes_.tolist() == ["no", "yes"]
    assert set(clf.predict(X)) == {"no", "yes"}
    assert clf.n_labels_ == 1


def test_a_row_is_predicted_the_same_in_any_company():
    X, Y = make_data()
    clf = small().fit(X, Y)
    whole, theta = clf.decision_function(X), clf.thresholds(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(clf.decision_function(X[order]), whole[order], atol=1e-10)
    for i in (0, 57):
        np.testing.assert_allclose(clf.decision_function(X[i : i + 1])[0], whole[i], atol=1e-10)
        np.testing.assert_allclose(clf.thresholds(X[i : i + 1])[0], theta[i], atol=1e-10)


def test_a_raised_threshold_never_adds_a_label():
    X, Y = make_data()
    clf = small().fit(X, Y)
    before = clf.predict(X)
    with torch.no_grad():
        clf.model_.fusion.bias.add_(0.5)
    after = clf.predict(X)
    assert not (after > before).any()
    assert after.sum() < before.sum()


@pytest.mark.parametrize(
    ("switch", "parameters"),
    [
        ({}, {"alpha", "beta", "mix", "bias"}),
        ({"use_idf": False}, {"beta", "mix", "bias"}),
        ({"use_knn": False}, {"alpha", "mix", "bias"}),
        ({"use_threshold_bias": False}, {"alpha", "beta", "mix"}),
        ({"use_idf": False, "use_knn": False, "use_threshold_bias": False}, set()),
        ({"fixed_threshold": 0.5}, set()),
        ({"init_std": 1.0, "output_bias": 0.5, "normalize_logits": True}, {"alpha", "beta", "mix", "bias"}),
        ({"margin_weight": 0, "pos_weight": 10.0, "dropout": 0}, {"alpha", "beta", "mix", "bias"}),
        ({"hidden_layers": ()}, {"alpha", "beta", "mix", "bias"}),
        ({"hidden_layers": [8, 8]}, {"alpha", "beta", "mix", "bias"}),
    ],
)
def test_every_switch(switch, parameters, splits):
    X, Y = make_data()
    clf = small(**switch).fit(X, sp.csr_array(Y))
    assert {name for name, _ in clf.model_.fusion.named_parameters()} == parameters
    theta = clf.thresholds(X)
    np.testing.assert_array_equal(clf.predict(X).toarray(), clf.decision_function(X) > 0)
    if not parameters:
        np.testing.assert_array_equal(theta, np.full(Y.shape, switch.get("fixed_threshold", 0.0)))
    elif switch.get("use_knn", True):
        assert np.ptp(theta, axis=0).min() > 0  # a threshold for every instance
    else:
        assert np.ptp(theta, axis=0).max() < 1e-12
    assert splits["loss"].margin_weight == switch.get("margin_weight", 0.1)
    assert splits["loss"].pos_weight == switch.get("pos_weight", 1)
    assert clf.model_.network.normalize_logits == switch.get("normalize_logits", False)
    assert clf.model_.network.dropout.p == switch.get("dropout", 0.3)
    assert clf.model_.network.first.weight.shape[1] == (*switch.get("hidden_layers", (16,)), 4)[0]


@pytest.mark.parametrize("output_bias", ["prior", -1.5])
def test_output_bias(output_bias):
    X, Y = make_data()
    clf = small(output_bias=output_bias, learning_rate=1e-12, weight_decay=0, validation_fraction=0).fit(X, Y)
    f = Y.sum(axis=0)
    expected = np.log((f + 1) / (120 - f + 1)) if output_bias == "prior" else np.full(4, -1.5)
    np.testing.assert_allclose(clf.model_.network.rest[-1].bias.detach(), expected, rtol=1e-5)


def test_initial_spread_reaches_the_fusion():
    X, Y = make_data()
    frozen = {"learning_rate": 1e-12, "max_epochs": 1}
    assert small(**frozen).fit(X, Y).model_.fusion.alpha.abs().max() < 1e-9
    assert small(init_std=2.0, **frozen).fit(X, Y).model_.fusion.alpha.abs().max() > 0.1


def test_both_signals_come_from_training_rows_without_the_row_itself(splits):
    X, Y = make_data()
    clf = small(validation_fraction=0.25).fit(X, Y)
    rows, held_out = (row_numbers(splits[part].X) for part in ("training", "validation"))
    assert sorted([*rows, *held_out]) == list(range(120))
    assert len(held_out) == 30
    np.testing.assert_array_equal(splits["training"].Y.toarray(), Y[rows])
    np.testing.assert_array_equal(splits["validation"].Y.toarray(), Y[held_out])
    knn = NeighborLabels(5)
    own = knn.fit_transform(X[rows].astype(np.float32), Y[rows])
    np.testing.assert_allclose(splits["training"].local.toarray(), own.toarray(), atol=1e-6)
    new = knn.transform(X[held_out].astype(np.float32)).toarray()
    np.testing.assert_allclose(splits["validation"].local.toarray(), new, atol=1e-6)
    np.testing.assert_array_equal(clf.idf_.idf_, LabelIDF().fit(Y[rows]).idf_)
    np.testing.assert_allclose(
        clf.neighbors_.transform(X[:9]).toarray(), knn.transform(X[:9]).toarray(), atol=1e-5
    )


def test_no_held_out_row_touches_weights_or_signals(splits):
    """Other labels of the held-out rows change which epoch is kept and nothing else."""
    X, Y = make_data()
    fit = {"patience": 9, "validation_fraction": 0.25}
    first = small(**fit).fit(X, Y)
    held_out = row_numbers(splits["validation"].X)
    Y[held_out] = 1 - Y[held_out]
    second = small(**fit).fit(X, Y)
    np.testing.assert_array_equal(row_numbers(splits["validation"].X), held_out)
    assert [h["train_loss"] for h in first.history_] == [h["train_loss"] for h in second.history_]
    assert [h["validation_loss"] for h in first.history_] != [h["validation_loss"] for h in second.history_]
    np.testing.assert_array_equal(first.idf_.idf_, second.idf_.idf_)


def test_groups_are_held_out_whole_and_are_never_neighbours(splits):
    X, Y = make_data()
    groups = np.repeat([f"file {i}" for i in range(20)], 6)
    small(validation_fraction=0.25).fit(X, Y, groups=groups)
    rows, held_out = (row_numbers(splits[part].X) for part in ("training", "validation"))
    assert not set(groups[rows]) & set(groups[held_out])
    assert len(held_out) == 30
    own = NeighborLabels(5).fit_transform(X[rows].astype(np.float32), Y[rows], groups=groups[rows])
    np.testing.assert_allclose(splits["training"].local.toarray(), own.toarray(), atol=1e-6)


def test_held_out_rows_of_the_caller(splits):
    X, Y = make_data()
    clf = small().fit(X[:80], Y[:80], validation=(X[80:], sp.csr_array(Y[80:])))
    assert row_numbers(splits["training"].X).tolist() == list(range(80))
    assert row_numbers(splits["validation"].X).tolist() == list(range(80, 120))
    np.testing.assert_array_equal(splits["validation"].Y.toarray(), Y[80:])
    knn = NeighborLabels(5).fit(X[:80].astype(np.float32), Y[:80])
    expected = knn.transform(X[80:].astype(np.float32)).toarray()
    np.testing.assert_allclose(splits["validation"].local.toarray(), expected, atol=1e-6)
    assert clf.idf_.n_samples_ == 80
    y = np.where(Y[:, 0], "yes", "no")
    small().fit(X[:80], y[:80], validation=(X[80:], y[80:]))
    np.testing.assert_array_equal(splits["validation"].Y.toarray().ravel(), Y[80:, 0])


def test_shares_of_the_caller(splits):
    X, Y = make_data()
    local = NeighborLabels(5).fit_transform(X[:80].astype(np.float32), Y[:80])
    given = small().fit(X[:80], Y[:80], validation=(X[80:], Y[80:]), local=local.astype(np.float64))
    assert splits["training"].local.dtype == np.float32
    found = small().fit(X[:80], Y[:80], validation=(X[80:], Y[80:]))
    np.testing.assert_allclose(given.decision_function(X), found.decision_function(X), atol=1e-5)
    small().fit(X[:80], Y[:80], validation=(X[80:], Y[80:]), local=0 * local)
    assert not splits["training"].local.toarray().any()


@pytest.mark.parametrize(("fraction", "n_samples"), [(0, 120), (0.1, 4)])
def test_nothing_held_out(fraction, n_samples, splits):
    X, Y = make_data()
    clf = small(validation_fraction=fraction, patience=1).fit(X[:n_samples], Y[:n_samples])
    assert splits["validation"] is None
    assert splits["training"].X.shape[0] == n_samples
    assert len(clf.history_) == 3
    assert "macro_f1" not in clf.history_[0]


def test_plan_reaches_the_training_loop(splits):
    X, Y = make_data()
    options = {"learning_rate": 0.02, "weight_decay": 0.3, "batch_size": 17, "max_epochs": 2, "patience": 7}
    small(**options).fit(X, Y)
    assert {name: getattr(splits["plan"], name) for name in options} == options
    seed = splits["plan"].seed
    small(random_state=1).fit(X, Y)
    assert splits["plan"].seed != seed


def test_one_random_state_one_model():
    X, Y = make_data()
    a, b, c = (small(random_state=s).fit(X, Y) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.decision_function(X), b.decision_function(X))
    assert a.history_ == b.history_
    assert not np.array_equal(a.decision_function(X), c.decision_function(X))
    d = small(random_state=np.random.RandomState(0)).fit(X, Y)
    np.testing.assert_array_equal(a.decision_function(X), d.decision_function(X))
    state = torch.get_rng_state()
    small().fit(X, Y)
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_are_never_densified(monkeypatch):
    """300 rows of 3 million features: an array of them would take 3.6 GB."""
    n_features, rng = 3_000_000, np.random.default_rng(0)

    def guard(of):
        def toarray(self, *args, **kwargs):
            assert self.shape[1] < n_features, "a batch of features was made dense"
            return of(self, *args, **kwargs)

        return toarray

    for kind in (sp.csr_array, sp.csr_matrix, sp.coo_array, sp.csc_array, sp.csc_matrix):
        monkeypatch.setattr(kind, "toarray", guard(kind.toarray))
    columns = np.sort(rng.integers(0, n_features, size=(300, 20)), axis=1).ravel()
    X = sp.csr_array((rng.random(6000), columns, np.arange(0, 6001, 20)), shape=(300, n_features))
    X.sum_duplicates()
    with pytest.raises(AssertionError, match="made dense"):
        X.todense()
    Y = sp.csr_array((rng.random((300, 5)) < 0.4).astype(int))
    clf = small(hidden_layers=(2,), max_epochs=1, batch_size=300).fit(X, Y)
    assert clf.predict(X[:50]).shape == (50, 5)
    assert clf.thresholds(X[:50].astype(np.float32)).shape == (50, 5)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    "switch",
    [{}, {"use_knn": False}, {"use_idf": False, "use_threshold_bias": False}, {"fixed_threshold": 0.3}],
)
def test_an_explanation_has_the_terms_of_the_formula(form, switch):
    X, Y = make_data()
    clf = small(max_epochs=10, init_std=0.5, **switch).fit(form(X), Y)
    x = form(X[:1])
    margins, theta, predicted = clf.decision_function(x)[0], clf.thresholds(x)[0], clf.predict(x)[0]
    terms = clf.model_.fusion.terms(torch.as_tensor(clf.neighbors_.transform(x).toarray()))
    theta_without = (terms["rarity"] + terms["bias"]).detach().expand(4)
    for label in range(4):
        found = clf.explain(x, label)
        assert found.margin == pytest.approx(margins[label], abs=1e-9)
        assert found.threshold == pytest.approx(theta[label], abs=1e-9)
        assert (found.text_term, found.fused_threshold) == (0, 0)
        assert found.neighbor_term == pytest.approx(-terms["neighbors"][0, label].item(), abs=1e-6)
        assert found.rarity_term == pytest.approx(-theta_without[label].item(), abs=1e-6)
        assert found.predicted == predicted[label] == (logit(found.score) > theta[label])


def test_an_explanation_names_the_neighbours_by_their_rows_in_fit():
    X, Y = make_data()
    clf = small().fit(X, Y)
    trained, single = clf.training_rows_, X.astype(np.float32)  # as the network has them
    assert 0 < len(trained) < len(X)
    similarity = np.zeros(len(X))
    similarity[trained] = NeighborLabels(5).fit(single[trained], Y[trained]).kneighbors(single[:1]).toarray()
    expected = np.argsort(-similarity, kind="stable")[:5]
    softmax = np.exp(similarity[expected] / 0.1)
    for label in range(4):
        rows, weights, carried = zip(*clf.explain(X[0], label).neighbors, strict=True)
        assert list(rows) == expected.tolist()
        np.testing.assert_allclose(weights, softmax / softmax.sum(), rtol=1e-5)  # in single precision
        assert list(carried) == [bool(Y[row, label]) for row in rows]


def test_explanations_refuse():
    X, Y = make_data()
    with pytest.raises(NotFittedError):
        small().explain(X[0], 0)
    clf = small(max_epochs=1).fit(X, Y)
    for x in (X[:2], sp.csr_array(X[:2])):
        with pytest.raises(ValueError, match="explain takes one row; got 2"):
            clf.explain(x, 0)
    for label in (-1, 4):
        with pytest.raises(ValueError, match=f"label must be a whole number from 0 to 3; got {label}"):
            clf.explain(X[0], label)


@pytest.mark.parametrize("k", [1, 3, 99])
def test_top_scores(k):
    X, Y = make_data()
    clf = small().fit(X, Y)
    top, probability = clf.top_scores(X, k=k), clf.predict_proba(X)
    assert isinstance(top, sp.csr_array)
    assert top.has_canonical_format
    assert np.diff(top.indptr).tolist() == [min(k, 4)] * 120
    expected = np.where(np.argsort(np.argsort(-probability)) < k, probability, 0)
    np.testing.assert_allclose(top.toarray(), expected, atol=1e-6)


def test_batches_of_prediction_change_nothing(monkeypatch):
    X, Y = make_data()
    clf = small().fit(X, sp.csr_array(Y))
    methods = ("predict", "decision_function", "top_scores")
    whole = [to_dense(getattr(clf, m)(X)) for m in methods]
    by_seven = end_to_end.predict_batches
    monkeypatch.setattr(
        end_to_end, "predict_batches", lambda *a, **kw: by_seven(*a, **(kw | {"batch_size": 7}))
    )
    for method, expected in zip(methods, whole, strict=True):
        np.testing.assert_allclose(to_dense(getattr(clf, method)(X)), expected, atol=1e-7)


def interrupt_at(monkeypatch, call):
    """Press Ctrl-C at a call of the loss."""

    class Interrupting(AdaptiveThresholdLoss):
        _calls = 0

        def forward(self, *args):
            Interrupting._calls += 1
            if Interrupting._calls == call:
                os.kill(os.getpid(), signal.SIGINT)
            return super().forward(*args)

    monkeypatch.setattr(end_to_end, "AdaptiveThresholdLoss", Interrupting)


def test_an_interrupted_fit_goes_on(tmp_path, monkeypatch):
    X, Y = make_data()
    path = tmp_path / "net.safetensors"
    interrupt_at(monkeypatch, 7)  # in the second epoch
    with pytest.raises(KeyboardInterrupt, match="epoch 2 after step 2"):
        small(checkpoint=path).fit(X, Y)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["net.safetensors"]
    resumed, whole = small(checkpoint=path).fit(X, Y), small().fit(X, Y)
    assert resumed.history_ == whole.history_
    np.testing.assert_array_equal(resumed.decision_function(X), whole.decision_function(X))


@pytest.mark.parametrize(
    "options",
    [{}, {"margin_weight": 0.5}, {"normalize_logits": True}, {"pos_weight": 3.0}, {"random_state": 1}],
)
def test_a_checkpoint_of_another_fit_is_refused(options, tmp_path):
    X, Y = make_data()
    small(checkpoint=tmp_path / "net.safetensors").fit(X, Y)
    Y = Y if options else Y[::-1]
    with pytest.raises(ValueError, match=r"net\.safetensors holds a run with other values of"):
        small(checkpoint=tmp_path / "net.safetensors", **options).fit(X, Y)


def test_auto_takes_an_accelerator_where_there_is_one(monkeypatch):
    for available, device in [(True, "cuda"), (False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert AdaptiveThresholdNetwork()._device() == device
    assert AdaptiveThresholdNetwork(device="cuda:1")._device() == "cuda:1"


@pytest.mark.usefixtures("bars")
def test_progress_only_on_request(capsys):
    X, Y = make_data()
    small().fit(X, Y).predict(X)
    assert capsys.readouterr().err == ""
    small(verbose=True).fit(X, Y).predict(X)
    shown = capsys.readouterr().err
    assert all(part in shown for part in ("neighbours", "training", "predicting"))


def with_value(X, value):
    X = X.copy()
    X[5, 3] = value
    return X


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, Y: (X, Y[1:]), "Y has 119 rows but 120 were expected"),
        (lambda X, Y: (X, Y[1:, 0]), "y has 119 rows but X has 120"),
        (lambda X, Y: (with_value(X, np.nan), Y), "X contains NaN"),
        (lambda X, Y: (with_value(X, np.inf), Y), "X contains infinity"),
        (lambda X, Y: (X, 2 * Y), "Y must hold only 0 and 1; found 2"),
        (lambda X, Y: (X, Y - 0.5), r"Y must hold only 0 and 1; found -?0\.5"),
        (lambda X, Y: (X, np.arange(120) % 3), "Only binary classification is supported"),
        (lambda X, Y: (X, None), "requires y to be passed"),
    ],
)
def test_bad_data(container, change, message):
    X, Y = change(*make_data())
    with pytest.raises(ValueError, match=message):
        small().fit(container(X), Y)


# As the test below reads it: rows from the first on, and some labels, of the training rows.
VALIDATION = {"validation": (0, slice(4))}


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"validation": (0, slice(3))}, "Y of validation has 3 labels but 4 were expected"),
        ({"validation": (1, slice(4))}, "Y of validation has 120 rows but 119 were expected"),
        ({"local": np.zeros((120, 4))}, "local can be given only together with validation"),
        (
            {"validation": (0, slice(4)), "local": np.zeros((119, 4))},
            "local has 119 rows but 120 were expected",
        ),
        (
            {"validation": (0, slice(4)), "local": np.zeros((120, 3))},
            "local has 3 labels but 4 were expected",
        ),
        (
            {"validation": (0, slice(4)), "local": np.full((120, 4), 2)},
            r"local must be probabilities in \[0, 1\]",
        ),
        ({"groups": np.zeros(119)}, r"groups must have shape \(120,\)"),
        (VALIDATION | {"groups": np.zeros(119)}, r"groups must have shape \(120,\)"),
    ],
)
def test_bad_companions_of_the_data(fit, message):
    X, Y = make_data()
    if "validation" in fit:
        first, labels = fit["validation"]
        fit = fit | {"validation": (X[first:], Y[:, labels])}
    with pytest.raises(ValueError, match=message):
        small().fit(X, Y, **fit)


def test_held_out_rows_are_checked_like_the_others():
    X, Y = make_data()
    for validation, message in [
        ((with_value(X, np.nan), Y), "X contains NaN"),
        ((X[:, 1:], Y), "X has 9 features, but AdaptiveThresholdNetwork is expecting 10"),
        ((X, 2 * Y), "Y of validation must hold only 0 and 1; found 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            small().fit(X, Y, validation=validation)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"device": "graphics card"}, "device must be 'auto', or a torch device, .*; got 'graphics card'"),
        ({"loss": FocalLoss}, r"loss must be a torch\.nn\.Module, called as loss\(logits, .*got <class"),
        ({"loss": focal_loss}, r"loss must be a torch\.nn\.Module, .*; got <function focal_loss"),
        ({"device": 1.5}, "device must be 'auto', or a torch device, .*; got 1.5"),
        ({"dropout": 1.0}, "dropout must be a finite number, at least 0 and less than 1; got 1.0"),
        ({"dropout": -0.1}, "dropout must be a finite number, at least 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be a finite number, at least 0"),
        ({"hidden_layers": (8, 0)}, r"hidden_layers must hold positive widths; got \(8, 0\)"),
        ({"output_bias": "zero"}, "output_bias must be 'prior', or a finite number.*; got 'zero'"),
        ({"pos_weight": 0}, "pos_weight must be a finite number, greater than 0 .*; got 0"),
        ({"pos_weight": float("nan")}, "pos_weight must be a finite number, greater than 0 .*; got nan"),
        ({"dropout": float("nan")}, "dropout must be a finite number, .*; got nan"),
        ({"margin": float("inf")}, "margin must be a finite number, at least 0 .*; got inf"),
        ({"margin_weight": float("nan")}, "margin_weight must be a finite number, at least 0 .*; got nan"),
        ({"fixed_threshold": float("nan")}, "fixed_threshold must be a finite number.*; got nan"),
        ({"output_bias": float("inf")}, "output_bias must be .*a finite number.*; got inf"),
        ({"weight_decay": float("inf")}, "weight_decay must be a finite number, at least 0; got inf"),
        ({"n_neighbors": 0}, "n_neighbors must be a whole number, at least 1; got 0"),
        ({"max_epochs": 0}, "max_epochs must be a whole number, at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number, greater than 0"),
        ({"init_std": -1.0}, "init_std must be a finite number, at least 0 .*; got -1.0"),
        ({"pos_weight": -1}, "pos_weight must be a finite number, greater than 0 .*; got -1"),
        ({"pos_weight": 1e39}, "pos_weight must be a finite number, greater than 0 .*; got 1e\\+39"),
        ({"fixed_threshold": -1e39}, "fixed_threshold must be a finite number, greater than -3.4.*e.38"),
        ({"hidden_layers": (8, float("nan"))}, r"hidden_layers must hold positive widths; got \(8, nan\)"),
        ({"hidden_layers": 8}, "hidden_layers must hold positive widths; got 8"),
        ({"max_epochs": float("inf")}, "max_epochs must be a whole number, at least 1; got inf"),
        ({"batch_size": float("nan")}, "batch_size must be a whole number, at least 1; got nan"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number, greater than 0; got nan"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    X, Y = make_data()
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(X, Y)


@pytest.mark.parametrize("validation", [0.2, ([[0.0]],), ([[0.0]], [[1]], [[1]])])
def test_held_out_rows_are_two_matrices(validation):
    X, Y = make_data()
    with pytest.raises(ValueError, match=r"validation must be two matrices, \(X, Y\)"):
        small().fit(X, Y, validation=validation)


def test_normalization_needs_two_labels():
    X, Y = make_data()
    with pytest.raises(ValueError, match="normalize_logits needs at least two labels"):
        small(normalize_logits=True).fit(X, Y[:, 0])


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "thresholds", "top_scores"]
)
def test_prediction_refuses(method):
    X, Y = make_data()
    with pytest.raises(NotFittedError):
        getattr(small(), method)(X)
    clf = small(max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="X has 9 features, but AdaptiveThresholdNetwork is expecting 10"):
        getattr(clf, method)(X[:, 1:])
    with pytest.raises(ValueError, match="X contains NaN"):
        getattr(clf, method)(with_value(X, np.nan))


def test_clone_keeps_every_parameter():
    clf = small(dropout=0.1, use_idf=False, checkpoint="x.safetensors")
    assert clone(clf).get_params() == clf.get_params()


def test_what_is_not_fitted_can_be_copied():
    clf = small(dropout=0.1)
    for copied in (copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))):
        assert copied.get_params() == clf.get_params()
        assert vars(copied) == vars(clf)


def test_another_loss_trains_in_place_of_the_papers(splits):
    X, Y = make_data(n_samples=400)
    loss = DistributionBalancedLoss(label_counts=Y[:300].sum(axis=0), n_samples=300)
    clf = small(loss=loss, max_epochs=40, learning_rate=0.01).fit(X[:300], Y[:300])
    assert splits["loss"] is loss
    score = macro_f1(Y[300:], clf.predict(X[300:]))
    assert score > macro_f1(Y[300:], np.ones((100, 4), int)) + 0.15


def test_copies_keep_the_loss():
    X, Y = make_data()
    clf = small(loss=FocalLoss(gamma=1.5)).fit(X, Y)
    for copied in (clone(clf), copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))):
        assert copied.loss.gamma == 1.5
    np.testing.assert_array_equal(clone(clf).fit(X, Y).decision_function(X), clf.decision_function(X))


def test_a_fit_that_diverges_names_the_epoch():
    X, Y = make_data()
    with pytest.raises(ValueError, match=r"training diverged in epoch \d.*lower"):
        small(learning_rate=1e30).fit(X, Y)


def test_bad_parameters_are_refused_before_the_neighbors_are_searched(monkeypatch):
    def search(*_, **__):
        raise AssertionError("searched")

    monkeypatch.setattr(end_to_end.NeighborLabels, "fit_transform", search)
    X, Y = make_data()
    for name in ("max_epochs", "learning_rate", "weight_decay", "batch_size", "patience", "margin"):
        with pytest.raises(ValueError, match=f"{name} must"):
            small(**{name: float("nan")}).fit(X, Y)


def test_fits_in_threads_are_those_one_after_the_other():
    X, Y = make_data()

    def fitted(seed):
        clf = small(random_state=seed, dropout=0.5, init_std=1.0, hidden_layers=(64, 64)).fit(X, Y)
        return clf.decision_function(X)

    before = torch.get_rng_state()
    alone = [fitted(seed) for seed in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(fitted, range(4)))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_array_equal(together, alone)
    assert torch.equal(torch.get_rng_state(), before)
