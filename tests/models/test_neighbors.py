"""Neighbours: shares as they come, and ML-kNN against its definition."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh import NeighborLabels
from adathresh.models.neighbors import MLkNN, NeighborShares


def make_data(seed=0, n_samples=60, n_labels=5):
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, 8)) * (rng.random((n_samples, 8)) < 0.5)
    X[:3] = 0  # rows without neighbours
    Y = (X[:, :n_labels] + 0.3 * rng.random((n_samples, n_labels)) > 0.6).astype(int)
    Y[:, -1] = 0
    return X, Y


@pytest.mark.parametrize("options", [{}, {"weights": "similarity"}, {"temperature": 0.5}])
def test_shares_are_those_of_the_local_signal(options):
    X, Y = make_data()
    new, _ = make_data(seed=1)
    shares = NeighborLabels(7, **options).fit(X, Y).transform(new)
    scores = NeighborShares(7, **options).fit(X, Y).top_scores(new)
    np.testing.assert_array_equal(scores.toarray(), shares.toarray())


def neighbour_counts(X, X_train, Y_train, k, *, leave_out):
    """Labels among the k most similar training rows, of those with a positive cosine."""
    unit = [row / np.linalg.norm(row) if row.any() else row for row in X]
    reference = [row / np.linalg.norm(row) if row.any() else row for row in X_train]
    counts = np.zeros((len(X), Y_train.shape[1]), dtype=int)
    for i, row in enumerate(unit):
        similarity = [row @ other for other in reference]
        if leave_out:
            similarity[i] = -1
        nearest = sorted(range(len(reference)), key=lambda j: -similarity[j])[:k]
        for j in nearest:
            if similarity[j] > 0:
                counts[i] += Y_train[j]
    return counts


def ml_knn(X, Y, new, *, k, s):
    """Equations 2 to 7 of Zhang and Zhou (2007), one label and one count at a time."""
    n_samples, n_labels = Y.shape
    of_train = neighbour_counts(X, X, Y, k, leave_out=True)
    of_new = neighbour_counts(new, X, Y, k, leave_out=False)
    posterior = np.empty(of_new.shape)
    for label in range(n_labels):
        prior = (s + Y[:, label].sum()) / (2 * s + n_samples)
        with_label = [sum(of_train[Y[:, label] == 1, label] == j) for j in range(k + 1)]
        without = [sum(of_train[Y[:, label] == 0, label] == j) for j in range(k + 1)]
        for i, j in enumerate(of_new[:, label]):
            present = prior * (s + with_label[j]) / (s * (k + 1) + sum(with_label))
            absent = (1 - prior) * (s + without[j]) / (s * (k + 1) + sum(without))
            posterior[i, label] = present / (present + absent)
    return posterior


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("k", "s"), [(1, 1.0), (5, 1.0), (5, 0.2), (100, 1.0)])
def test_ml_knn_is_its_definition(k, s, sparse):
    X, Y = make_data()
    new, _ = make_data(seed=1)
    expected = ml_knn(X, Y, new, k=k, s=s)
    container = sp.csr_array if sparse else np.asarray
    model = MLkNN(k, smoothing=s).fit(container(X), container(Y))
    scores = model.top_scores(container(new), k=5).toarray()
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert model.posterior_.shape == (k + 1, 5)


def test_more_neighbours_with_a_label_make_it_likelier():
    X, Y = make_data(n_samples=500)
    posterior = MLkNN(5).fit(X, Y).posterior_
    assert (posterior[5, :4] > posterior[0, :4]).all()


def test_a_row_without_neighbours_gets_what_no_neighbour_says():
    X, Y = make_data()
    model = MLkNN(5).fit(X, Y)
    scores = model.top_scores(np.zeros((1, 8)), k=5).toarray()
    np.testing.assert_allclose(scores[0], model.posterior_[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLkNN(smoothing=0), "smoothing must be a finite number, greater than 0; got 0"),
        (MLkNN(smoothing=np.nan), "smoothing must be a finite number, greater than 0; got nan"),
        (MLkNN(smoothing=np.inf), "smoothing must be a finite number, greater than 0; got inf"),
        (MLkNN(smoothing="1"), "smoothing must be a finite number, greater than 0; got '1'"),
        (MLkNN(smoothing=True), "smoothing must be a finite number, greater than 0; got True"),
        (MLkNN("2"), "n_neighbors must be a whole number, at least 1; got '2'"),
        (MLkNN(1.5), "n_neighbors must be a whole number, at least 1; got 1.5"),
        (NeighborShares(True), "n_neighbors must be a whole number, at least 1; got True"),
        (NeighborShares(temperature=-1), "temperature must be a number, greater than 0; got -1"),
        (MLkNN(0), "n_neighbors must be a whole number, at least 1"),
        (NeighborShares(0), "n_neighbors must be a whole number, at least 1"),
        (NeighborShares(temperature=0), "temperature must be a number, greater than 0"),
    ],
)
def test_parameters_out_of_range(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*make_data())


@pytest.mark.parametrize("model", [MLkNN(4), NeighborShares(4)])
def test_containers_agree_where_rows_tie(model):
    rng = np.random.default_rng(0)
    X, new = (rng.integers(0, 3, (n, 5)) / 3 for n in (150, 40))
    Y = (rng.random((150, 4)) < 0.4).astype(int)
    dense = model.fit(X, Y).top_scores(new, k=4).toarray()
    sparse = model.fit(sp.csr_array(X), Y).top_scores(sp.csr_array(new), k=4).toarray()
    np.testing.assert_allclose(sparse, dense, rtol=1e-6)


def test_the_order_of_the_training_rows_does_not_matter_where_rows_tie():
    rng = np.random.default_rng(0)
    X, new, order = rng.integers(0, 3, (150, 5)), rng.integers(0, 3, (40, 5)), rng.permutation(150)
    Y = (rng.random((150, 4)) < 0.4).astype(int)
    scores, others = (
        NeighborShares(4).fit(X[rows], Y[rows]).top_scores(new, k=4).toarray()
        for rows in (slice(None), order)
    )
    np.testing.assert_allclose(scores, others, atol=1e-6)
