"""Neighbour shares against naive loops; no row is its own neighbour; what is refused."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from adathresh import NeighborLabels
from adathresh.signals.knn import row_softmax

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
    monkeypatch.setattr(
        "adathresh.signals.knn._BLOCK_ENTRIES", 7 * len(X)
    )  # blocks of 7 rows: the last has 5
    np.testing.assert_allclose(NeighborLabels(5).fit_transform(container(X), Y).toarray(), whole, atol=1e-7)
    monkeypatch.setattr("adathresh.signals.knn._BLOCK_ENTRIES", 1)
    np.testing.assert_allclose(NeighborLabels(5).fit_transform(container(X), Y).toarray(), whole, atol=1e-7)


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
        ({"n_neighbors": 0}, "n_neighbors must be at least 1; got 0"),
        ({"weights": "uniform"}, "weights must be 'softmax' or 'similarity'; got 'uniform'"),
        ({"temperature": 0}, "temperature must be greater than 0; got 0"),
        ({"temperature": np.nan}, "temperature must be greater than 0; got nan"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        NeighborLabels(**parameters).fit(np.eye(3), np.eye(3))


def test_not_fitted():
    with pytest.raises(NotFittedError):
        NeighborLabels().transform(np.eye(2))


def test_progress_is_shown_only_on_request(capsys):
    X, Y = make_data()
    NeighborLabels().fit_transform(X, Y)
    assert capsys.readouterr().err == ""
    NeighborLabels(verbose=True).fit_transform(X, Y)
    assert "neighbours" in capsys.readouterr().err
