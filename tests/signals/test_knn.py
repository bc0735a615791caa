"""Neighbour shares against naive loops; no row is its own neighbour; what is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from adathresh import NeighborLabels
from adathresh.posthoc.crossfit import draw_folds
from adathresh.signals._nearest import _least_similarity
from adathresh.signals.knn import group_codes, row_softmax

WEIGHTS = ["softmax", "similarity"]


def make_data(seed=0, n_samples=40, n_features=25, n_labels=6, dtype=np.float64):
    """Sparse rows with negative values among them, two of them empty, and labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0.4, 1, size=(n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.25)
    X[[3, n_samples - 1]] = 0
    return X.astype(dtype), (rng.random((n_samples, n_labels)) < 0.3).astype(int)


def cosine(a, b):
    norms = np.sqrt((a**2).sum() * (b**2).sum())
    return (a * b).sum() / norms if norms else 0.0


def shares_by_loop(X, Y, queries, k, weights, temperature=0.1, left_out=lambda i, j: False):
    """The definition of the class, pair by pair."""
    shares = np.zeros((len(queries), Y.shape[1]))
    for i, query in enumerate(queries):
        candidates = [(cosine(query, X[j]), j) for j in range(len(X)) if not left_out(i, j)]
        near = sorted([c for c in candidates if c[0] > 0], reverse=True)[:k]
        w = [np.exp(s / temperature) if weights == "softmax" else s for s, _ in near]
        for weight, (_, j) in zip(w, near, strict=True):
            shares[i] += weight * Y[j] / sum(w)
    return shares


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 2e-7), (np.float32, 1e-5)])
def test_shares_against_a_loop(weights, container, dtype, atol):
    X, Y = make_data(dtype=dtype)
    new, _ = make_data(seed=1, n_samples=15, dtype=dtype)
    knn = NeighborLabels(5, weights=weights, temperature=0.3)
    own = knn.fit_transform(container(X), Y)
    expected = shares_by_loop(X, Y, X, 5, weights, 0.3, left_out=lambda i, j: i == j)
    np.testing.assert_allclose(own.toarray(), expected, atol=atol)
    expected = shares_by_loop(X, Y, new, 5, weights, 0.3)
    np.testing.assert_allclose(knn.transform(container(new)).toarray(), expected, atol=atol)
    assert isinstance(own, sp.csr_array)
    assert own.has_canonical_format
    assert own.dtype == np.float32
    assert 0 < own.data.min() <= own.data.max() <= 1


def test_containers_of_training_and_new_rows_may_differ():
    X, Y = make_data()
    new, _ = make_data(seed=1)
    expected = NeighborLabels(4).fit(X, Y).transform(new).toarray()
    for fitted, queried in [(X, sp.csr_array(new)), (sp.csr_array(X), new)]:
        shares = NeighborLabels(4).fit(fitted, sp.csr_array(Y)).transform(queried)
        np.testing.assert_allclose(shares.toarray(), expected, atol=1e-7)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_similarities_are_cosines_of_the_nearest(container):
    X, Y = make_data()
    found = NeighborLabels(3).fit(container(X), Y).kneighbors(container(X[:5])).toarray()
    for i in range(5):
        every = np.array([cosine(X[i], x) for x in X])
        nearest = np.argsort(-every)[:3]
        nearest = nearest[every[nearest] > 0]
        np.testing.assert_array_equal(np.flatnonzero(found[i]), np.sort(nearest))
        np.testing.assert_allclose(found[i, nearest], every[nearest], atol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_training_row_is_never_its_own_neighbour_but_a_duplicate_is(container):
    X = container(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
    Y = np.eye(3, dtype=int)
    knn = NeighborLabels(1).fit(X, Y)
    own = knn.kneighbors().toarray()
    assert (own.diagonal() == 0).all()
    np.testing.assert_allclose(own[0], [0, 1, 0])  # the twin
    np.testing.assert_allclose(own[1], [1, 0, 0])
    np.testing.assert_array_equal(NeighborLabels(1).fit_transform(X, Y).toarray()[0], [0, 1, 0])
    assert knn.kneighbors(X).toarray().diagonal()[2] == pytest.approx(1)  # as a new row it would be


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_rows_of_one_group_are_never_neighbours(weights, container):
    X, Y = make_data(n_samples=30)
    groups = np.array([f"file {i % 4}" for i in range(30)])
    shares = NeighborLabels(6, weights=weights).fit_transform(container(X), Y, groups=groups)
    expected = shares_by_loop(X, Y, X, 6, weights, left_out=lambda i, j: groups[i] == groups[j])
    np.testing.assert_allclose(shares.toarray(), expected, atol=1e-6)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_new_rows_are_of_no_group(container):
    X, Y = make_data()
    grouped = NeighborLabels(5).fit(container(X), Y, groups=np.zeros(len(X)))
    alone = NeighborLabels(5).fit(container(X), Y)
    np.testing.assert_array_equal(grouped.transform(X).toarray(), alone.transform(X).toarray())
    assert grouped.kneighbors().nnz == 0


def test_with_folds_as_groups_no_neighbour_is_of_the_rows_own_fold():
    X, Y = make_data(n_samples=60)
    files = np.arange(60) // 3
    folds = draw_folds(60, 4, groups=files, random_state=0)
    knn = NeighborLabels(60)
    shares = knn.fit_transform(sp.csr_array(X), Y, groups=folds)
    found = knn.kneighbors().tocoo()
    assert found.nnz > 1000
    assert (folds[found.row] != folds[found.col]).all()
    assert (files[found.row] != files[found.col]).all()  # a fold holds whole groups
    expected = shares_by_loop(X, Y, X, 60, "softmax", left_out=lambda i, j: folds[i] == folds[j])
    np.testing.assert_allclose(shares.toarray(), expected, atol=1e-6)


def tied_data(seed, n_samples=120, n_labels=5):
    """Rows of small whole numbers, many of which are equal or similar to just the same degree."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-1, 3, (n_samples, 6)) * (rng.random((n_samples, 6)) < 0.6)
    return X.astype(float), (rng.random((n_samples, n_labels)) < 0.3).astype(int)


def shares_with_ties_by_loop(X, Y, queries, k, weights, left_out):
    """Of rows that tie for the last places, each counts as many places as there are for one of them."""
    shares = np.zeros((len(queries), Y.shape[1]))
    for i, query in enumerate(queries):
        near = [(round(cosine(query, X[j]), 9), j) for j in range(len(X)) if not left_out(i, j)]
        near = sorted([c for c in near if c[0] > 0], reverse=True)
        last = near[min(k, len(near)) - 1][0] if near else 0
        ahead, ties = [c for c in near if c[0] > last], [c for c in near if c[0] == last]
        places = min(1, (k - len(ahead)) / len(ties)) if ties else 0
        of = [(s, j, 1) for s, j in ahead] + [(s, j, places) for s, j in ties]
        w = [part * (np.exp(s / 0.1) if weights == "softmax" else s) for s, _, part in of]
        for weight, (_, j, _) in zip(w, of, strict=True):
            shares[i] += weight * Y[j] / sum(w)
    return shares


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_rows_that_tie_share_the_last_places(weights, container, monkeypatch):
    monkeypatch.setattr(
        "adathresh.signals._nearest._TIED_ENTRIES", 7 * 120
    )  # pieces of 7 rows: the last has 1
    X, Y = tied_data(0)
    groups = np.arange(len(X)) // 2
    knn = NeighborLabels(5, weights=weights)
    own = knn.fit_transform(container(X), Y, groups=groups)
    expected = shares_with_ties_by_loop(X, Y, X, 5, weights, lambda i, j: groups[i] == groups[j])
    np.testing.assert_allclose(own.toarray(), expected, atol=1e-6)
    expected = shares_with_ties_by_loop(X, Y, X[:40] + 1, 5, weights, lambda i, j: False)
    np.testing.assert_allclose(knn.transform(container(X[:40] + 1)).toarray(), expected, atol=1e-6)


def test_places_worked_out_by_hand():
    # the first row is ahead; the two at an angle tie for the second place, and the last is beyond it
    X, Y = np.array([[1.0, 0, 0], [1, 1, 0], [1, 0, 1], [1, 2, 2]]), np.eye(4, dtype=int)
    knn = NeighborLabels(2, weights="similarity").fit(X, Y)
    half = 0.5**0.5 / 2
    expected = np.array([[1, half, half, 0]]) / (1 + 2 * half)
    np.testing.assert_allclose(knn.transform([[1.0, 0, 0]]).toarray(), expected, rtol=1e-6)
    assert [row for row, _, _ in knn.nearest([[1.0, 0, 0]], 0)] == [0, 1, 2]
    assert knn.kneighbors([[1.0, 0, 0]]).indices.tolist() == [0, 1]  # of those that tie, the first


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_neither_order_nor_container_nor_blocks_change_shares_where_rows_tie(weights, dtype, monkeypatch):
    X, Y = tied_data(1)
    X = (X / 3).astype(dtype)  # not exact in binary
    order = np.random.default_rng(2).permutation(len(X))
    knn = NeighborLabels(7, weights=weights)
    expected = knn.fit_transform(X, Y).toarray()
    new = knn.transform(X[:50] + 1).toarray()

    def check(container, n_jobs=None):
        knn = NeighborLabels(7, weights=weights, n_jobs=n_jobs)
        shares = knn.fit_transform(container(X[order]), Y[order]).toarray()
        np.testing.assert_allclose(shares, expected[order], atol=1e-6)
        np.testing.assert_allclose(knn.transform(container(X[:50] + 1)).toarray(), new, atol=1e-6)

    check(np.asarray)
    check(sp.csr_array)
    check(sp.csr_array, n_jobs=2)
    monkeypatch.setattr("adathresh.signals._nearest._LEAST_ROWS", 1)
    for block in (13 * len(X), 1):  # of 13 rows, of one row
        monkeypatch.setattr("adathresh.signals._nearest._BLOCK_ENTRIES", block)
        check(np.asarray)
        check(sp.csr_array)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_of_rows_that_tie_the_first_are_named(container):
    X, Y = tied_data(3)
    found = NeighborLabels(5).fit(container(X), Y).kneighbors(container(X[:40] + 1))
    for i in range(40):
        similarity = [round(cosine(X[i] + 1, x), 9) for x in X]
        nearest = sorted(range(len(X)), key=lambda j: (-similarity[j], j))[:5]
        assert sorted(found[[i]].indices) == sorted(j for j in nearest if similarity[j] > 0)


def test_hundreds_of_equal_rows_tie():
    X, Y = np.ones((500, 3)), np.zeros((500, 2), int)
    X[0], Y[:100, 1] = [1, 1, 1.1], 1
    knn = NeighborLabels(30).fit(sp.csr_array(X), Y)
    shares = knn.transform(sp.csr_array(np.ones((2, 3)))).toarray()
    np.testing.assert_allclose(shares, [[0, 99 / 499]] * 2, rtol=1e-6)  # the 499 share all 30 places
    assert knn.kneighbors(sp.csr_array(np.ones((2, 3)))).indices.tolist() == [*range(1, 31)] * 2


def test_an_angle_that_is_right_but_for_rounding_is_no_similarity():
    X = np.array([[0.1, 0.3, -0.1], [1.0, 0.0, 1.0]])
    X[0, 2] = -np.nextafter(0.1, 0)
    for container in (np.asarray, sp.csr_array):
        assert NeighborLabels(2).fit(container(X), np.eye(2)).kneighbors().nnz == 0


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_fitted_rows_are_kept_once(container):
    X, Y = make_data()
    knn = NeighborLabels(5).fit(container(X), Y)
    X *= 2  # the caller's rows are his own
    kept = [value for value in vars(knn).values() if getattr(value, "shape", ()) in (X.shape, X.shape[::-1])]
    assert len(kept) == 1
    lengths = np.sqrt(
        kept[0].multiply(kept[0]).sum(axis=0) if sp.issparse(kept[0]) else (kept[0] ** 2).sum(0)
    )
    np.testing.assert_allclose(np.ravel(lengths), (X != 0).any(axis=1))


def test_one_row_is_answered_without_transposing_the_training_rows(monkeypatch):
    X, Y = make_data()
    knn = NeighborLabels(5).fit(sp.csr_array(X), Y)
    expected = knn.transform(X[:1]).toarray()
    knn._transposed.transpose = knn._transposed.tocsc = None  # calling them would raise
    np.testing.assert_array_equal(knn.transform(X[:1]).toarray(), expected)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_more_neighbours_than_rows(container):
    X, Y = make_data(n_samples=10)
    expected = shares_by_loop(X, Y, X, 10, "softmax", left_out=lambda i, j: i == j)
    shares = NeighborLabels(1000).fit_transform(container(X), Y)
    np.testing.assert_allclose(shares.toarray(), expected, atol=1e-6)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_rows_without_features_have_no_neighbours_and_are_nobodys(weights, container):
    X = container(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    knn = NeighborLabels(3, weights=weights)
    assert knn.fit_transform(X, np.ones((3, 2), int)).nnz == 0
    assert knn.transform(container(np.zeros((2, 2)))).shape == (2, 2)
    assert knn.kneighbors(container(np.ones((1, 2)))).indices.tolist() == [1]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_only_positive_similarities_count(weights, container):
    X = container(np.array([[1.0, 0.0], [-1.0, 0.1], [0.0, 1.0]]))
    knn = NeighborLabels(3, weights=weights).fit(X, np.eye(3, dtype=int))
    np.testing.assert_array_equal(knn.transform(container(np.array([[1.0, 0.0]]))).toarray(), [[1, 0, 0]])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_blocks_change_nothing(container, monkeypatch):
    X, Y = make_data()
    whole = NeighborLabels(5).fit_transform(container(X), Y).toarray()
    monkeypatch.setattr("adathresh.signals._nearest._LEAST_ROWS", 1)
    monkeypatch.setattr(
        "adathresh.signals._nearest._BLOCK_ENTRIES", 7 * len(X)
    )  # blocks of 7 rows: the last has 5
    np.testing.assert_allclose(NeighborLabels(5).fit_transform(container(X), Y).toarray(), whole, atol=1e-7)
    monkeypatch.setattr("adathresh.signals._nearest._BLOCK_ENTRIES", 1)
    np.testing.assert_allclose(NeighborLabels(5).fit_transform(container(X), Y).toarray(), whole, atol=1e-7)


def zipf_rows(n_samples=600, n_features=200):
    """Rows of a few common and many rare features, as words are."""
    rng = np.random.default_rng(0)
    kept = rng.random((n_samples, n_features)) < 1 / np.arange(1, n_features + 1)
    return rng.random((n_samples, n_features)) * kept


@pytest.mark.parametrize("products", [1, 1000, 2**20])  # pieces of one row, of several, all at once
@pytest.mark.parametrize("few_rows", [0, 1000])  # with common features apart, and without
def test_common_and_rare_features_add_up(few_rows, products, monkeypatch):
    monkeypatch.setattr("adathresh.signals._nearest._PRODUCTS", products)
    monkeypatch.setattr("adathresh.signals._nearest._FEW_ROWS", few_rows)
    X, Y = zipf_rows(), np.ones((600, 1), int)
    expected = NeighborLabels(7).fit(X, Y).kneighbors().toarray()
    for n_jobs in (None, 2):
        found = NeighborLabels(7, n_jobs=n_jobs).fit(sp.csr_array(X), Y).kneighbors()
        np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)


@pytest.mark.parametrize("limit", [1, 3, 40, 599, 600])
def test_the_bound_of_the_nearest_is_below_them_and_close(limit):
    similarity = np.random.default_rng(0).random((50, 600))
    similarity[:10].sort(axis=1)
    last = np.sort(similarity, axis=1)[:, -limit]
    least = _least_similarity(similarity, limit)
    assert (least <= last).all()
    assert ((similarity >= least[:, None]).sum(axis=1) <= 2 * limit)[10:].all()


def test_threads_change_nothing():
    X, Y = make_data()
    one, two = (NeighborLabels(5, n_jobs=n).fit_transform(sp.csr_array(X), Y).toarray() for n in (None, 2))
    np.testing.assert_array_equal(one, two)


def test_the_scale_of_rows_does_not_matter():
    X, Y = make_data()
    scale = np.geomspace(1e-6, 1e6, len(X))[:, None]
    np.testing.assert_allclose(
        NeighborLabels(5).fit_transform(X * scale, Y).toarray(),
        NeighborLabels(5).fit_transform(X, Y).toarray(),
        atol=1e-6,
    )


def test_a_feature_stored_in_parts_counts_as_its_sum():
    # row 0 is (2, 0, 1), stored as (1 + 1, 0, 1)
    parts = sp.csr_array(
        (np.array([1.0, 1, 1, 1]), np.array([0, 0, 2, 1]), np.array([0, 3, 4])), shape=(2, 3)
    )
    whole = np.array([[2.0, 0, 1], [0, 1, 0]])
    Y = np.eye(2, dtype=int)
    np.testing.assert_allclose(
        NeighborLabels(2).fit(parts, Y).kneighbors(parts).toarray(),
        NeighborLabels(2).fit(whole, Y).kneighbors(whole).toarray(),
    )
    assert parts.nnz == 4  # the caller's matrix is as it was


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_nearest_rows_of_one_row_are_what_its_shares_are_made_of(weights, container):
    X, Y = make_data()
    knn = NeighborLabels(5, weights=weights, temperature=0.3).fit(container(X), Y)
    for row in range(4):
        x, similarity = container(X[row : row + 1] + 0.1), [cosine(X[row] + 0.1, other) for other in X]
        shares = knn.transform(x).toarray()[0]
        for label in range(6):
            rows, weight, carries = zip(*knn.nearest(x, label), strict=True)
            assert list(rows) == np.argsort(similarity)[::-1][:5].tolist()
            assert list(carries) == [bool(Y[other, label]) for other in rows]
            assert sum(weight) == pytest.approx(1)
            assert np.dot(weight, carries) == pytest.approx(shares[label], abs=1e-6)
    assert knn.nearest(container(np.zeros((1, 25))), 0) == ()


def test_softmax_of_stored_entries():
    similarity = sp.csr_array(
        (np.array([0.2, 0.9, 1.0]), np.array([0, 2, 1]), np.array([0, 2, 2, 3])), shape=(3, 3)
    )
    weights = row_softmax(similarity, 0.5)
    low, high = np.exp(0.4), np.exp(1.8)
    np.testing.assert_allclose(weights.data, [low / (low + high), high / (low + high), 1])
    assert row_softmax(similarity, 1e-300).data.tolist() == [0, 1, 1]  # no overflow
    assert similarity.data.tolist() == [0.2, 0.9, 1.0]


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_must_be_finite(container, value):
    X = np.eye(3)
    knn = NeighborLabels(1).fit(X, np.eye(3))
    X[1, 1] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        NeighborLabels().fit(container(X), np.eye(3))
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        knn.transform(container(X))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="Y has 2 rows but 3 were expected"):
        NeighborLabels().fit(np.eye(3), np.eye(2))
    with pytest.raises(ValueError, match=r"groups must have shape \(3,\).*got \(2,\)"):
        NeighborLabels().fit(np.eye(3), np.eye(3), groups=[0, 1])
    knn = NeighborLabels().fit(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="X has 2 features, but NeighborLabels is expecting 3"):
        knn.transform(np.eye(2))
    with pytest.raises(ValueError, match="only 0 and 1; found 2"):
        NeighborLabels().fit(np.eye(2), [[2], [0]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors must be a whole number, at least 1; got 0"),
        ({"weights": "uniform"}, "weights must be 'softmax' or 'similarity'; got 'uniform'"),
        ({"temperature": 0}, "temperature must be a number, greater than 0; got 0"),
        ({"temperature": np.nan}, "temperature must be a number, greater than 0; got nan"),
        ({"temperature": -0.1}, "temperature must be a number, greater than 0; got -0.1"),
        ({"temperature": "0.1"}, "temperature must be a number, greater than 0; got '0.1'"),
        ({"temperature": True}, "temperature must be a number, greater than 0; got True"),
        ({"n_neighbors": "2"}, "n_neighbors must be a whole number, at least 1; got '2'"),
        ({"n_neighbors": 1.5}, "n_neighbors must be a whole number, at least 1; got 1.5"),
        ({"n_neighbors": True}, "n_neighbors must be a whole number, at least 1; got True"),
        ({"n_neighbors": None}, "n_neighbors must be a whole number, at least 1; got None"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        NeighborLabels(**parameters).fit(np.eye(3), np.eye(3))


def test_parameters_may_be_numbers_of_numpy():
    parameters = {"n_neighbors": np.int64(1), "temperature": np.float32(0.5)}
    shares = NeighborLabels(**parameters).fit(np.eye(2), np.eye(2)).transform(np.eye(2))
    np.testing.assert_array_equal(shares.toarray(), np.eye(2))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, np.nan, 1], "groups must not hold missing values; found nan in row 1"),
        (
            pd.Series(["a", pd.NA, "b"], dtype="string"),
            "groups must not hold missing values; found <NA> in row 1",
        ),
        (np.array([0, 1, np.nan], dtype=np.float32), "found nan in row 2"),
        ([None, 1, 1], "found None in row 0"),
        (["a", "b", np.nan], "found nan in row 2"),
        (np.array(["2020-01-01", "NaT", "2020-01-01"], dtype="datetime64[D]"), "found NaT in row 1"),
        ([0, "a", 1], "groups must be all numbers or all texts; got both"),
    ],
)
def test_groups_must_be_there(groups, message):
    with pytest.raises(ValueError, match=message):
        NeighborLabels(1).fit(np.eye(3), np.eye(3), groups=groups)


@pytest.mark.parametrize("groups", [[1.5, 0.5, 1.5], ["b", "a", "b"], (True, False, True)])
def test_groups_are_coded_in_order(groups):
    assert group_codes(groups, 3).tolist() == [1, 0, 1]


def test_new_rows_are_required():
    knn = NeighborLabels(1).fit(np.eye(3), np.eye(3))
    for method in (knn.transform, lambda X: knn.nearest(X, 0)):
        with pytest.raises(ValueError, match=r"(X|x) must hold new rows; got None"):
            method(None)
    assert knn.kneighbors(None).shape == (3, 3)  # the training rows, as it says


def test_the_nearest_rows_are_those_of_one_row_and_a_label():
    knn = NeighborLabels(1).fit(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="x must be one row; got 2"):
        knn.nearest(np.eye(3)[:2], 0)
    for label in (3, -1, 1.0, True, "a"):
        with pytest.raises(ValueError, match=f"label must be a whole number from 0 to 2; got {label!r}"):
            knn.nearest(np.eye(3)[:1], label)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        NeighborLabels().transform(np.eye(2))


@pytest.mark.usefixtures("bars")
def test_progress_is_shown_only_on_request(capsys):
    X, Y = make_data()
    NeighborLabels().fit_transform(X, Y)
    assert capsys.readouterr().err == ""
    NeighborLabels(verbose=True).fit_transform(X, Y)
    assert "neighbours" in capsys.readouterr().err
