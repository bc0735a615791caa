"""What every adapter promises: scikit-learn's contract, sparse scores, and use as a base estimator."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from adathresh import AdaptiveThresholdClassifier
from adathresh.metrics import macro_f1, precision_at_k
from adathresh.models.forest import ExtraTrees
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.logistic import LogisticHead
from adathresh.models.neighbors import MLkNN, NeighborShares
from adathresh.models.tree import LabelTree

ADAPTERS = [
    LabelTree("parabel", n_trees=2),
    LabelTree("bonsai", n_trees=2),
    LinearOneVsRest(random_state=0),
    LinearOneVsRest("log", C=10, class_weight="balanced", random_state=0),
    LinearOneVsRest(shortlist=NeighborShares(20), random_state=0),
    NeighborShares(20),
    MLkNN(),
    ExtraTrees(30, random_state=0),
    LogisticHead(max_epochs=30, batch_size=50, learning_rate=0.03, random_state=0),
]
UNSEEDED = (LabelTree,)

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)


@pytest.fixture(autouse=True)
def installed(request):
    """Skip where an optional package is missing."""
    parameters = request.node.callspec.params
    if isinstance(parameters.get("adapter", parameters.get("estimator")), LabelTree):
        pytest.importorskip("omikuji")


def make_data(seed=0, n_samples=200, n_labels=6):
    """Bags of words: each label has words of its own; the last labels are rare."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < np.linspace(0.5, 0.1, n_labels)).astype(int)
    words = np.repeat(Y, 5, axis=1) * (rng.random((n_samples, 5 * n_labels)) < 0.6)
    noise = rng.random((n_samples, 20)) * (rng.random((n_samples, 20)) < 0.3)
    return np.hstack([words, noise]), Y


# They compare the predictions of two fits.
TWO_FITS = (
    "check_classifier_data_not_an_array",
    "check_classifiers_multilabel_representation_invariance",
    "check_fit_idempotent",
    "check_supervised_y_2d",
)


@pytest.mark.slow
@parametrize_with_checks(ADAPTERS)
def test_scikit_learns_contract(estimator, check):
    if isinstance(estimator, UNSEEDED) and check.func.__name__ in TWO_FITS:
        pytest.skip("omikuji cannot be seeded")
    check(estimator)


@every_adapter
def test_it_learns_what_words_mean(adapter):
    model = clone(adapter).fit(*make_data())
    X, Y = make_data(seed=1)
    assert precision_at_k(Y, model.top_scores(X, k=1), 1) > 0.8  # one row in ten has no label
    assert macro_f1(Y, model.predict(X)) > 0.6


@every_adapter
def test_scores_are_the_highest_probabilities_of_each_row(adapter):
    model = clone(adapter).fit(*make_data())
    X, _ = make_data(seed=1)
    everything, top = model.top_scores(X, k=6), model.top_scores(X, k=2)
    for scores in (everything, top):
        assert isinstance(scores, sp.csr_array)
        assert scores.shape == (200, 6)
        assert scores.dtype == np.float32
        assert scores.has_canonical_format
        assert 0 <= scores.data.min() <= scores.data.max() <= 1
    assert np.diff(top.indptr).max() == 2
    highest = -np.sort(-everything.toarray(), axis=1)[:, :2]
    np.testing.assert_array_equal(-np.sort(-top.toarray(), axis=1)[:, :2], highest)
    assert model.top_scores(X).nnz == everything.nnz


@every_adapter
def test_indices_of_64_bits_are_welcome(adapter):
    X, Y = map(sp.csr_array, make_data())
    wide = sp.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape)
    assert wide.indices.dtype == np.int64
    model, same = (clone(adapter).fit(features, Y) for features in (wide, X))
    assert model.top_scores(wide, k=2).nnz == 400
    if not isinstance(adapter, UNSEEDED):
        np.testing.assert_array_equal(
            model.top_scores(wide, k=2).toarray(), same.top_scores(X, k=2).toarray()
        )


@every_adapter
def test_a_label_is_predicted_above_one_half(adapter):
    X, Y = make_data()
    model = clone(adapter).fit(X, Y)
    new, _ = make_data(seed=1)
    predicted = model.predict(new)
    assert predicted.dtype == np.int64
    np.testing.assert_array_equal(predicted, model.top_scores(new, k=6).toarray() > 0.5)


@every_adapter
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_labels_come_back_in_the_container_they_came_in(adapter, container):
    X, Y = make_data()
    predicted = clone(adapter).fit(X, container(Y)).predict(X)
    expected = {sp.csc_array: sp.csr_array, np.asarray: np.ndarray}.get(container, container)
    assert type(predicted) is expected


@every_adapter
def test_dense_and_sparse_features_are_the_same(adapter):
    X, Y = make_data()
    new, _ = make_data(seed=1)
    model = clone(adapter).fit(X, Y)
    scores = model.top_scores(new, k=6).toarray()
    np.testing.assert_allclose(model.top_scores(sp.csr_array(new), k=6).toarray(), scores, atol=1e-6)
    if not isinstance(adapter, UNSEEDED):
        again = clone(adapter).fit(sp.csr_array(X), sp.csr_array(Y)).top_scores(new, k=6)
        np.testing.assert_allclose(again.toarray(), scores, atol=1e-5)


@every_adapter
def test_two_fits_are_the_same(adapter):
    if isinstance(adapter, UNSEEDED):
        pytest.skip("omikuji cannot be seeded")
    X, Y = make_data()
    first, second = (clone(adapter).fit(X, Y).top_scores(X, k=6) for _ in range(2))
    assert (first != second).nnz == 0


@every_adapter
def test_rows_do_not_depend_on_the_block_they_are_in(adapter, monkeypatch):
    model = clone(adapter).fit(*make_data())
    X, _ = make_data(seed=1)
    scores, predicted = model.top_scores(X, k=3), model.predict(X)
    monkeypatch.setattr("adathresh.models._base._BLOCK_ENTRIES", 42)
    np.testing.assert_allclose(model.top_scores(X, k=3).toarray(), scores.toarray(), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), predicted)


@every_adapter
def test_one_label_is_a_matrix_of_one_column(adapter):
    X, Y = make_data()
    model = clone(adapter).fit(X, Y[:, :1])
    assert model.predict(X).shape == (200, 1)
    assert model.top_scores(X).shape == (200, 1)
    assert (model.predict(X) == Y[:, :1]).mean() > 0.8


@every_adapter
def test_labels_with_no_or_only_positives(adapter):
    X, Y = make_data()
    Y[:, 2], Y[:, 4] = 0, 1
    model = clone(adapter).fit(X, Y)
    predicted = model.predict(make_data(seed=1)[0])
    assert not predicted[:, 2].any()
    assert predicted[:, 4].all()


@every_adapter
def test_rows_without_features_and_rows_without_labels(adapter):
    X, Y = make_data()
    X[:20] = 0
    Y[10:30] = 0
    model = clone(adapter).fit(X, Y)
    scores = model.top_scores(np.vstack([X, np.zeros((1, X.shape[1]))]))
    assert scores.shape == (201, 6)
    assert np.isfinite(scores.data).all()


@pytest.mark.slow
@every_adapter
def test_as_the_base_of_adaptive_thresholds(adapter):
    X, Y = (sp.csr_array(matrix) for matrix in make_data())
    clf = AdaptiveThresholdClassifier(adapter, cv=2, n_neighbors=5, random_state=0).fit(X, Y)
    new, truth = make_data(seed=1)
    predicted = clf.predict(new)
    assert isinstance(predicted, sp.csr_array)
    assert macro_f1(truth, predicted) > 0.7
    clf = AdaptiveThresholdClassifier(adapter, cv=2, n_neighbors=5, random_state=0).fit(X, Y[:, :1])
    assert clf.predict(new).shape == (200, 1)


@every_adapter
def test_a_binary_target_gets_its_classes_back(adapter):
    X, Y = make_data()
    y = np.where(Y[:, 0], "yes", "no")
    assert (clone(adapter).fit(X, y).predict(X) == y).mean() > 0.8


@every_adapter
def test_errors_say_what_is_wrong(adapter):
    X, Y = make_data()
    with pytest.raises(NotFittedError):
        clone(adapter).top_scores(X)
    with pytest.raises(ValueError, match="only 0 and 1"):
        clone(adapter).fit(X, 2 * Y)
    with pytest.raises(ValueError, match="199 rows"):
        clone(adapter).fit(X, Y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        clone(adapter).fit(np.where(X == 0, np.nan, X), Y)
    model = clone(adapter).fit(X, Y)
    with pytest.raises(ValueError, match="k must be a whole number, at least 1"):
        model.top_scores(X, k=0)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, 1:])


@every_adapter
@pytest.mark.parametrize("n_labels", [1, 6])
def test_fitting_and_scoring_say_nothing(adapter, n_labels, capfd):
    X, Y = make_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(adapter).fit(X, Y[:, :n_labels]).predict(X)
    assert capfd.readouterr() == ("", "")
