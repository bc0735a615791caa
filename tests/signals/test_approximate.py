"""Approximate neighbours: what is found is right, and nearly all; of the own group there is none."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from adathresh import AdaptiveThresholdClassifier, NeighborLabels
from adathresh.datasets import make_longtail
from adathresh.signals import _approximate

FORMS = [sp.csr_array, np.asarray]


def rows_of(n_samples, n_features, *, seed=0):
    """Draw sparse rows around twenty topics, the last without features, and labels."""
    rng = np.random.default_rng(seed)
    topics = rng.random((20, n_features)) * (rng.random((20, n_features)) < 0.2)
    X = topics[rng.integers(0, 20, n_samples)] + rng.random((n_samples, n_features))
    X *= rng.random((n_samples, n_features)) < 0.3
    X[-1] = 0
    return X, (rng.random((n_samples, 6)) < 0.3).astype(int)


def both(X, Y, k=10, **options):
    """Fit an exact and an approximate search."""
    return [NeighborLabels(k, search=search).fit(X, Y, **options) for search in ("exact", "approximate")]


def recall(exact, found):
    """Return the share of the nearest that was found."""
    return (exact > 0).multiply(found > 0).nnz / exact.nnz


@pytest.mark.parametrize("form", FORMS)
def test_where_all_rows_are_likely_the_search_is_exact(form):
    X, Y = rows_of(150, 40)
    X[20:60] = X[19]  # ties, more than places
    new = rows_of(30, 40, seed=1)[0]
    exact, approximate = both(form(X), Y, groups=np.arange(150) % 7)
    for ours, expected in (
        (approximate.kneighbors(), exact.kneighbors()),
        (approximate.kneighbors(form(new)), exact.kneighbors(form(new))),
        (approximate.transform(form(new)), exact.transform(form(new))),
    ):
        np.testing.assert_allclose(ours.toarray(), expected.toarray(), atol=1e-6)
    np.testing.assert_allclose(
        approximate.nearest(form(new[:1]), 2), exact.nearest(form(new[:1]), 2), atol=1e-6
    )
    assert approximate.transform(form(np.zeros((1, 40)))).nnz == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_samples", [1, 2, 30, 300])
@pytest.mark.parametrize("empty", [False, True])
def test_few_rows_of_many_features_and_rows_without_any(form, n_samples, empty):
    X, Y = rows_of(n_samples, 400)
    exact, approximate = both(form(X * (not empty)), Y)
    for given in ((), (form(X),)):
        expected, found = exact.kneighbors(*given), approximate.kneighbors(*given)
        np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n_features", "least"), [(100, 0.99), (400, 0.7)])
def test_what_is_found_is_right_and_nearly_all(form, n_features, least):
    X, Y = rows_of(3_000, n_features)
    exact, approximate = both(form(X), Y)
    expected, found = exact.kneighbors(), approximate.kneighbors()
    assert (np.diff(found.indptr)[:-1] == 10).all()
    assert found.has_sorted_indices
    assert recall(expected, found) >= least
    assert (approximate._likely._components is not None) == (n_features > _approximate._DIMENSIONS)
    true = exact._transposed.T @ exact._transposed
    true = true.toarray() if sp.issparse(true) else true
    rows, columns = found.nonzero()
    np.testing.assert_allclose(found.data, true[rows, columns], atol=1e-9)
    assert (rows != columns).all()


def test_no_row_finds_one_of_its_own_group():
    X, Y = rows_of(2_000, 60)
    folds = np.arange(2_000) % 3
    exact, approximate = both(sp.csr_array(X), Y, groups=folds)
    found = approximate.kneighbors()
    rows, columns = found.nonzero()
    assert (folds[rows] != folds[columns]).all()
    assert recall(exact.kneighbors(), found) > 0.99


def test_a_row_of_a_large_group_of_like_rows_still_has_as_many_neighbors():
    X, Y = rows_of(2_000, 60)
    X[:1_900] = X[0] + 0.01 * X[:1_900]  # nearer to each other than to any other row
    groups = np.maximum(0, np.arange(2_000) - 1_899)
    exact, approximate = both(sp.csr_array(X), Y, groups=groups)
    expected, found = exact.kneighbors(), approximate.kneighbors()
    np.testing.assert_array_equal(np.diff(found.indptr), np.diff(expected.indptr))
    assert recall(expected, found) > 0.9
    one_group = NeighborLabels(10, search="approximate").fit(sp.csr_array(X), Y, groups=np.zeros(2_000))
    assert one_group.kneighbors().nnz == 0


def test_the_same_rows_find_the_same_with_any_number_of_threads():
    X, Y = rows_of(3_000, 300)
    first = NeighborLabels(10, search="approximate").fit_transform(sp.csr_array(X), Y)
    again = NeighborLabels(10, search="approximate", n_jobs=2).fit_transform(sp.csr_array(X), Y)
    assert (first != again).nnz == 0
    assert first.dtype == np.float32
    assert first.data.max() <= 1


def test_several_threads_may_ask_the_same_object():
    X, Y = rows_of(2_000, 60)
    knn = NeighborLabels(10, search="approximate").fit(sp.csr_array(X), Y)
    expected = knn.transform(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: knn.transform(X), range(8)):
            assert (found != expected).nnz == 0


def test_blocks_change_nothing(monkeypatch):
    X, Y = rows_of(500, 60)
    expected = NeighborLabels(10, search="approximate").fit(sp.csr_array(X), Y).kneighbors()
    monkeypatch.setattr(_approximate, "_COMPARED", 1)
    assert (
        NeighborLabels(10, search="approximate").fit(sp.csr_array(X), Y).kneighbors() != expected
    ).nnz == 0


def test_a_copy_and_a_file_find_the_same(tmp_path):
    X, Y = make_longtail(600, 400, 12, random_state=0)
    clf = AdaptiveThresholdClassifier(
        OneVsRestClassifier(LogisticRegression()), neighbor_search="approximate", random_state=0
    ).fit(X[:500], Y[:500])
    expected = clf.predict_proba(X[500:])
    clf.save(tmp_path / "model.safetensors")
    for other in (
        AdaptiveThresholdClassifier.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(clf)),
    ):
        assert (other.predict_proba(X[500:]) != expected).nnz == 0
    assert "_likely" not in clf.neighbors_.__getstate__()
    assert clone(clf.neighbors_).search == "approximate"


def test_a_parameter_that_is_set_after_fit_waits_for_the_next_fit():
    X, Y = rows_of(300, 40)
    for search, other in (("exact", "approximate"), ("approximate", "exact")):
        made = NeighborLabels(5, search=search).fit(sp.csr_array(X), Y)
        expected = made.transform(X[:20])
        assert (made.set_params(search=other).transform(X[:20]) != expected).nnz == 0
        assert made.fit(sp.csr_array(X), Y).transform(X[:20]).nnz


def test_without_usearch_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    X, Y = rows_of(30, 40)
    with pytest.raises(ImportError, match=r"needs usearch: pip install 'adathresh\[approximate\]'"):
        NeighborLabels(search="approximate").fit(X, Y)
    with pytest.raises(ImportError, match=r"needs usearch"):
        AdaptiveThresholdClassifier(LogisticRegression(), neighbor_search="approximate").fit(X, Y)
