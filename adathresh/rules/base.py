"""The interface that every decision rule shares."""

from typing import Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from adathresh.utils.parameters import check_parameters, parameters
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_labels, check_scores, container_of, like_input


class DecisionRule(BaseEstimator):
    """The interface of every decision rule, with the checks that all share.

    Attributes
    ----------
    n_labels_ : int
        Number of labels seen in fit.
    thresholds_ : float or ndarray of shape (n_labels,)
        The threshold, or one threshold for every label, in units of the scores; ``inf``: never predicted.

    Examples
    --------
    >>> class MeanThreshold(DecisionRule):
    ...     def _fit(self, scores, Y):
    ...         self.thresholds_ = scores.mean(axis=0)
    >>> MeanThreshold().fit([[0.2], [0.6]], [[0], [1]]).predict([[0.5]])
    array([[1]])
    """

    n_labels_: int
    thresholds_: float | np.ndarray

    _parameters = parameters()  # what each may be
    _needs_labels = True
    _needs_probabilities = False

    def fit(self, scores: MatrixLike, Y: MatrixLike | None = None) -> Self:
        """Choose the thresholds on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Scores of rows that the model did not train on.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Their true labels, 0 or 1; rules that say so do without.

        Returns
        -------
        DecisionRule
            The fitted rule.

        Raises
        ------
        ValueError
            If the scores are not finite, Y is missing or of another shape, or a parameter is out of range.
        """
        check_parameters(self)
        scores = check_scores(scores, probabilities=self._needs_probabilities)
        if self._needs_labels:
            if Y is None:
                raise ValueError(f"{type(self).__name__} learns its thresholds from labels; pass Y to fit.")
            Y = check_labels(Y, n_samples=scores.shape[0], n_labels=scores.shape[1])
        self.n_labels_ = scores.shape[1]
        self._fit(scores, Y)
        return self

    def predict(self, scores: MatrixLike) -> Matrix:
        """Decide which labels each row gets.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Scores on the scale of :meth:`fit`.

        Returns
        -------
        ndarray, csr_array or csr_matrix of shape (n_samples, n_labels)
            0 or 1 as int64, in the container of the scores (sparse ones as CSR).

        Raises
        ------
        ValueError
            If the scores are not finite or have another number of labels than in fit.
        """
        check_is_fitted(self, "n_labels_")
        container = container_of(scores)
        scores = check_scores(scores, probabilities=self._needs_probabilities)
        if scores.shape[1] != self.n_labels_:
            raise ValueError(
                f"scores have {scores.shape[1]} labels, but {type(self).__name__} was fitted on "
                f"{self.n_labels_}."
            )
        return like_input(self._decide(scores), container)

    def _fit(self, scores, Y):
        """Set ``thresholds_`` from checked scores and labels."""
        raise NotImplementedError

    def _decide(self, scores):
        """Compare checked scores with the thresholds; return CSR with one stored 1 a predicted pair."""
        if not sp.issparse(scores):
            # float64, as below: a Python float would be rounded to the type of the scores
            return sp.csr_array(scores > np.asarray(self.thresholds_, dtype=np.float64))
        above = scores.data > np.broadcast_to(self.thresholds_, self.n_labels_)[scores.indices]
        return selected_pairs(scores, above)


def every_pair_stored(scores: np.ndarray | sp.csr_array) -> sp.csr_array:
    """Return checked scores as CSR; those of an array are all stored, the zeros too.

    Parameters
    ----------
    scores : numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        Scores, as ``check_scores`` returns them.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        The same scores.

    Examples
    --------
    >>> every_pair_stored(np.array([[0.5, 0.0]])).nnz
    2
    """
    if sp.issparse(scores):
        return scores
    n_samples, n_labels = scores.shape
    indptr = np.arange(n_samples + 1, dtype=np.int64) * n_labels
    labels = np.tile(np.arange(n_labels, dtype=np.int32), n_samples)
    return sp.csr_array((scores.ravel(), labels, indptr), shape=scores.shape)


def selected_pairs(scores: sp.csr_array, chosen: np.ndarray) -> sp.csr_array:
    """Return the stored pairs that are chosen as ones.

    Parameters
    ----------
    scores : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Scores.
    chosen : ndarray of bool of shape (n_stored,)
        Which of the stored pairs are predicted.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        One stored ``True`` for every chosen pair.

    Examples
    --------
    >>> selected_pairs(sp.csr_array([[0.5, 0.2]]), np.array([True, False])).toarray()
    array([[ True, False]])
    """
    indptr = np.r_[0, np.cumsum(chosen)][scores.indptr]
    return sp.csr_array((chosen[chosen], scores.indices[chosen], indptr), shape=scores.shape)
