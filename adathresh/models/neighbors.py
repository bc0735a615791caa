"""Nearest neighbours: their weighted label shares, and the Bayesian rule of ML-kNN on their counts."""

from typing import Literal

import numpy as np
import scipy.sparse as sp

from adathresh.models._base import TopScoresClassifier
from adathresh.signals.knn import NeighborLabels
from adathresh.utils.parameters import job_count, number, parameters, verbosity, whole


class NeighborShares(TopScoresClassifier):
    """The label shares of the nearest training rows as probabilities (:class:`adathresh.NeighborLabels`).

    Parameters
    ----------
    n_neighbors : int, default=30
        Number of neighbours, by cosine similarity.
    weights : {"softmax", "similarity"}, default="softmax"
        How similarities become weights.
    temperature : float, default=0.1
        Softmax temperature.
    search : {"exact", "approximate"}, default="exact"
        How neighbours are found.
    n_jobs : int, optional
        Threads, in joblib's counting, beside those of BLAS; None means 1.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    neighbors_ : NeighborLabels
        The fitted search.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Examples
    --------
    >>> knn = NeighborShares(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]])
    >>> knn.predict([[2.0, 0.1]])
    array([[1, 0]])
    """

    _parameters = NeighborLabels._parameters

    def __init__(
        self,
        n_neighbors: int = 30,
        *,
        weights: str = "softmax",
        temperature: float = 0.1,
        search: Literal["exact", "approximate"] = "exact",
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.temperature = temperature
        self.search = search
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, X, Y):
        """Keep the training rows."""
        self.neighbors_ = NeighborLabels(**self.get_params()).fit(X, Y)

    def _scores(self, X, k):
        """Return the shares."""
        return self.neighbors_.transform(X)


class MLkNN(TopScoresClassifier):
    """ML-kNN: how likely a label is, given how many neighbours carry it (Zhang and Zhou 2007).

    With H the event that a row carries label l and E_j the event that j of its neighbours do,

        P(H | E_j) = P(H)·P(E_j | H) / (P(H)·P(E_j | H) + P(¬H)·P(E_j | ¬H)),

    every P estimated from the training rows, each left out of its own neighbours, with additive smoothing
    (doi 10.1016/j.patcog.2006.12.019, equations 2 to 7). Neighbours are by cosine similarity here; of
    training rows that tie for the last places, the first ones are taken, since counts are whole numbers.

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of neighbours.
    smoothing : float, default=1.0
        What is added to every count; greater than 0.
    n_jobs : int, optional
        Threads, in joblib's counting, beside those of BLAS; None means 1.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    posterior_ : numpy.ndarray of shape (n_neighbors + 1, n_labels)
        P(H | E_j) for j = 0, …, n_neighbors.
    neighbors_ : NeighborLabels
        The fitted search.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for parameters of another type or outside their range.

    Examples
    --------
    >>> X, Y = [[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [[1, 0], [1, 0], [0, 1], [0, 1]]
    >>> MLkNN(n_neighbors=1).fit(X, Y).posterior_
    array([[0.25, 0.25],
           [0.75, 0.75]])
    """

    _parameters = parameters(
        n_neighbors=whole(1), smoothing=number(above=0), n_jobs=job_count(), verbose=verbosity()
    )

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        smoothing: float = 1.0,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.n_neighbors = n_neighbors
        self.smoothing = smoothing
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, X, Y):
        """Count the labels of every training row's neighbours, and turn counts into posteriors."""
        self.neighbors_ = NeighborLabels(self.n_neighbors, n_jobs=self.n_jobs, verbose=self.verbose)
        self._labels = Y
        counts = self._counts(self.neighbors_.fit(X, Y).kneighbors())
        frequency = np.bincount(Y.indices, minlength=self.n_labels_)
        with_label = self._histogram(counts * Y, frequency)
        without = self._histogram(counts, Y.shape[0]) - with_label
        prior = (self.smoothing + frequency) / (2 * self.smoothing + Y.shape[0])
        present, absent = prior * self._likelihood(with_label), (1 - prior) * self._likelihood(without)
        self.posterior_ = present / (present + absent)

    def _scores(self, X, k):
        """Look the posterior of every row's counts up."""
        counts = self._counts(self.neighbors_.kneighbors(X))
        scores = np.tile(self.posterior_[0], (X.shape[0], 1))
        rows = np.repeat(np.arange(X.shape[0]), np.diff(counts.indptr))
        scores[rows, counts.indices] = self.posterior_[counts.data, counts.indices]
        return scores

    def _counts(self, similarity):
        """Count, for each row, the neighbours that carry each label."""
        similarity.data = np.ones_like(similarity.data, dtype=np.int32)
        return sp.csr_array(similarity @ self._labels.astype(np.int32))

    def _histogram(self, counts, n_rows):
        """Count the rows by their number of neighbours with each label, out of n_rows for a label."""
        shape = self.n_neighbors + 1, self.n_labels_
        bins = counts.data.astype(np.int64) * self.n_labels_ + counts.indices
        histogram = np.bincount(bins, minlength=shape[0] * shape[1]).reshape(shape)
        histogram[0] = n_rows - histogram[1:].sum(axis=0)  # what is not stored is 0
        return histogram

    def _likelihood(self, histogram):
        """Return P(E_j | ·) with additive smoothing."""
        smoothed = self.smoothing + histogram
        return smoothed / smoothed.sum(axis=0)
