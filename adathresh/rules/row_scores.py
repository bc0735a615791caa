"""The scores of a row in falling order: what rules that learn something about a row look at."""

from typing import Self

import numpy as np
import scipy.sparse as sp
from sklearn.ensemble import HistGradientBoostingRegressor

from adathresh.utils.grouped import first_pair


class SortedScores:
    """Describe each row by its highest scores in falling order and by the sum of all its scores.

    Scores are shifted and scaled so that those of fit lie in [0, 1]. An absent pair counts as 0, like the
    lowest score.

    Parameters
    ----------
    n_scores : int
        How many scores, at least 1; no more than there are labels are taken.

    Examples
    --------
    >>> scores = sp.csr_array([[0.0, 0.75, 0.5], [1.0, 0.0, 0.0]])  # with 0 absent
    >>> SortedScores(2).fit(scores).transform(scores)
    array([[0.5, 0. , 0.5],
           [1. , 0. , 1. ]])
    """

    def __init__(self, n_scores: int):
        self.n_scores = n_scores

    def fit(self, scores: sp.csr_array) -> Self:
        """Find the range of the scores.

        Parameters
        ----------
        scores : scipy.sparse.csr_array of shape (n_samples, n_labels)
            Scores, every pair stored that has one.

        Returns
        -------
        SortedScores
            The fitted object.
        """
        halves = scores.data / 2  # a difference of halves cannot overflow
        self.low = float(halves.min()) if len(halves) else 0.0
        self.range = float(halves.max()) - self.low if len(halves) else 0.0
        self.n_columns = min(self.n_scores, scores.shape[1])
        return self

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Shift and scale scores.

        Parameters
        ----------
        values : numpy.ndarray of shape (n_stored,)
            Scores.

        Returns
        -------
        numpy.ndarray of float64, shape (n_stored,)
            The scores in units of the range that they had in fit.
        """
        return (values.astype(np.float64) / 2 - self.low) / (self.range or 1.0)

    def transform(self, scores: sp.csr_array) -> np.ndarray:
        """Describe rows.

        Parameters
        ----------
        scores : scipy.sparse.csr_array of shape (n_samples, n_labels)
            Scores.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_scores + 1)
            The highest scores of each row in falling order, and the sum of all.
        """
        rows, order = falling_by_row(scores)
        values = self.scaled(scores.data)
        place = np.arange(len(rows)) - scores.indptr[rows]
        found = np.zeros((scores.shape[0], self.n_columns + 1))
        kept = place < self.n_columns
        found[rows[kept], place[kept]] = values[order[kept]]
        # in falling order, so that the sum does not depend on which labels have which scores
        found[:, -1] = np.bincount(rows, weights=values[order], minlength=scores.shape[0])
        return found


def falling_by_row(scores: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Order the stored pairs by row, and within a row by falling score.

    Parameters
    ----------
    scores : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Scores in canonical order.

    Returns
    -------
    rows : numpy.ndarray of int, shape (n_stored,)
        Row of each pair, rising.
    order : numpy.ndarray of int, shape (n_stored,)
        Positions of the pairs in that order; of equal scores the lower label comes first.

    Examples
    --------
    >>> falling_by_row(sp.csr_array([[0.25, 0.5], [0.75, 0.0]]))[1]
    array([1, 0, 2])
    """
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    return rows, np.lexsort((-scores.data, rows))


def places_in_rows(scores: sp.csr_array) -> np.ndarray:
    """Count for each stored pair its place among the pairs of its row, from 1 for the highest score.

    Parameters
    ----------
    scores : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Scores in canonical order.

    Returns
    -------
    numpy.ndarray of int, shape (n_stored,)
        Place of each pair; of equal scores the lower label comes first.

    Examples
    --------
    >>> places_in_rows(sp.csr_array([[0.25, 0.5], [0.75, 0.0]]))
    array([2, 1, 1])
    """
    rows, order = falling_by_row(scores)
    places = np.empty(len(rows), dtype=np.int64)
    places[order] = np.arange(1, len(rows) + 1) - first_pair(rows, scores.shape[0])[rows]
    return places


def default_learner(random_state: int | np.random.RandomState | None) -> HistGradientBoostingRegressor:
    """Return what learns about rows where the caller gives no learner: small boosted trees.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Of the rows that stop the boosting, where there are more than 10,000.

    Returns
    -------
    sklearn.ensemble.HistGradientBoostingRegressor
        An unfitted regressor.

    Examples
    --------
    >>> default_learner(0).max_leaf_nodes
    15
    """
    return HistGradientBoostingRegressor(max_leaf_nodes=15, random_state=random_state)
