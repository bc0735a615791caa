"""The global signal: how rare a label is in the training rows."""

from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from adathresh.utils.parameters import check_parameters, number, parameters
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_sample_weight


class LabelIDF(BaseEstimator):
    """Inverse document frequency of labels, IDF_l = log(N / (f_l + ε)).

    N is the number of training rows and f_l how many of them carry label l (arXiv:2505.03118, §3). The paper
    does not state ε. With the default ε = 1 a label that no training row carries gets the finite value log N,
    the largest of all; a label of one row gets log(N/2); a label that every row carries gets a value just
    below 0.

    Parameters
    ----------
    epsilon : float, default=1.0
        Added to every frequency; greater than 0, so that unseen labels stay finite.

    Attributes
    ----------
    idf_ : numpy.ndarray of shape (n_labels,)
        IDF of each label, float64.
    frequency_ : numpy.ndarray of shape (n_labels,)
        Number of training rows that carry each label, or the sum of their weights.
    n_samples_ : int or float
        Number of training rows, or the sum of their weights.

    Raises
    ------
    ValueError
        In ``fit``, if epsilon is not positive, Y is not a non-empty 0/1 matrix, or weights are not one number
        of 0 or more for each row, not all of them 0.

    Examples
    --------
    >>> LabelIDF().fit([[1, 0, 0], [1, 1, 0]]).idf_.round(3)
    array([-0.405,  0.   ,  0.693])
    """

    _parameters = parameters(epsilon=number(above=0))

    def __init__(self, *, epsilon: float = 1.0):
        self.epsilon = epsilon

    def fit(self, Y: MatrixLike, *, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Count the labels of the training rows.

        Parameters
        ----------
        Y : array-like or sparse of shape (n_samples, n_labels)
            Training labels, 0 or 1.
        sample_weight : array-like of shape (n_samples,), optional
            How many rows each row counts as, 0 or more; None: 1.

        Returns
        -------
        LabelIDF
            The fitted signal.
        """
        check_parameters(self)
        Y = check_labels(Y)
        if Y.shape[0] == 0:
            raise ValueError("Y has no rows: a label frequency needs at least one training row.")
        self.n_samples_, weights = Y.shape[0], None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, Y.shape[0])
            self.n_samples_, weights = float(weight.sum()), np.repeat(weight, np.diff(Y.indptr))
        self.frequency_ = np.bincount(Y.indices, weights=weights, minlength=Y.shape[1])
        self.idf_ = np.log(self.n_samples_ / (self.frequency_ + self.epsilon))
        return self

    @property
    def unseen_(self) -> np.ndarray:
        """Find the labels that no training row carries.

        Returns
        -------
        numpy.ndarray
            Their indices.
        """
        check_is_fitted(self)
        return np.flatnonzero(self.frequency_ == 0)


def frequency_octaves(frequency: np.ndarray) -> np.ndarray:
    """Return which labels are about as frequent: those whose frequencies have as many binary digits.

    Parameters
    ----------
    frequency : numpy.ndarray of shape (n_labels,)
        Number of rows that carry each label, or the sum of their weights.

    Returns
    -------
    numpy.ndarray of int, shape (n_labels,)
        Number of each label's octave: 0 for no row, 1 for sums of weights below 1, then one more than the
        number of digits.

    Examples
    --------
    >>> frequency_octaves(np.array([0, 1, 2, 3, 4])).tolist()
    [0, 2, 3, 3, 4]
    """
    return np.maximum(np.frexp(frequency)[1], 0) + (frequency > 0)
