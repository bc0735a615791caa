"""A row in its surroundings: the features of the other rows of its group."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from adathresh.signals.knn import group_codes
from adathresh.utils.parameters import check_parameters, flag, parameters
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_features

# A sum of many sparse rows keeps as many features as this share of the fitted rows have at most.
_LENGTH_QUANTILE = 0.95

# Stored sums that are worked on at once; bounds the memory.
_SUMS_AT_ONCE = 2**24


class GroupContext(BaseEstimator):
    """Describe each row by the other rows of its group: their mean features, scaled to length 1.

    What belongs together explains each other: a sentence is read in its essay (AWARE, arXiv:2510.04983), a
    function in its file. The result is one more view of the rows, for a search of neighbours of its own
    (:class:`adathresh.NeighborLabels`), as a block of :class:`adathresh.signals.FeatureBlocks`, or as the
    features of a model. No label is looked at, so that new rows are described in the same way, by the other
    new rows of their group; nothing of the row itself is in its context, and that of a row alone in its group
    is all 0.

    Where X is sparse, a context is as sparse as the rows: it keeps its greatest values, as many as 95 % of
    the rows in ``fit`` have features at most.

    Parameters
    ----------
    include_self : bool, default=False
        Take the mean of all rows of the group, the row itself among them: the same for all of them.

    Attributes
    ----------
    n_features_in_ : int
        Number of features.
    n_kept_ : int
        Number of values that a context keeps at most; all features where X was dense in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for an ``include_self`` that is not a bool, or NaN or infinity in the features; in
        ``transform``, for another number of features, or groups that are missing or of another length.

    Examples
    --------
    >>> X, essays = [[3.0, 0.0], [0.0, 1.0], [4.0, 0.0]], ["a", "a", "b"]
    >>> GroupContext().fit_transform(X, essays)
    array([[0., 1.],
           [1., 0.],
           [0., 0.]])
    """

    _parameters = parameters(include_self=flag())

    def __init__(self, *, include_self: bool = False):
        self.include_self = include_self

    def fit(self, X: MatrixLike, y: object = None) -> Self:
        """Learn how many features a row has.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        y : object, optional
            Not used.

        Returns
        -------
        GroupContext
            The fitted transformer.
        """
        check_parameters(self)
        X = self._checked(X, reset=True)
        self.n_kept_ = X.shape[1]
        if sp.issparse(X):
            self.n_kept_ = max(1, int(np.quantile(np.diff(X.indptr), _LENGTH_QUANTILE)))
        return self

    def transform(self, X: MatrixLike, groups: npt.ArrayLike) -> Matrix:
        """Describe each row by its group among these rows.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features of the rows.
        groups : array-like of shape (n_samples,)
            Group of each row.

        Returns
        -------
        numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_features)
            The contexts, each of length 1, or 0 where a row is alone in its group; CSR where X is sparse.
            float32 if X is.
        """
        check_is_fitted(self, "n_kept_")
        X = self._checked(X, reset=False)
        if groups is None:
            raise ValueError("groups must say to which group each row belongs; got None.")
        codes = group_codes(groups, X.shape[0])
        members = sp.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))))
        contexts = self._sparse(X, codes, members) if sp.issparse(X) else self._dense(X, codes, members)
        return contexts.astype(X.dtype, copy=False)

    def fit_transform(self, X: MatrixLike, groups: npt.ArrayLike) -> Matrix:
        """Learn how many features a row has, and describe each row by its group.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        groups : array-like of shape (n_samples,)
            Group of each row.

        Returns
        -------
        numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_features)
            The contexts, each of length 1, or 0 where a row is alone in its group; CSR where X is sparse.
        """
        return self.fit(X).transform(X, groups)

    def _dense(self, X, codes, members):
        """Return the contexts of dense rows."""
        if self.include_self:
            return normalize(members @ X)[codes]
        sums = (members @ X)[codes] - X
        sums[np.bincount(codes)[codes] == 1] = 0  # not what rounding leaves
        return normalize(sums)

    def _sparse(self, X, codes, members):
        """Return the contexts of sparse rows, some rows at a time."""
        sums = sp.csr_array(members @ X)
        if self.include_self:
            return self._shortened(sums)[codes]
        holders = sp.csr_array(members @ (X != 0))
        found = []
        for rows in _parts(np.diff(sums.indptr)[codes]):
            own = X[rows]
            others = sp.csr_array(holders[codes[rows]] - (own != 0)).sign()
            # where no other row has a feature, it is dropped, and with it what rounding leaves of the sum
            found.append(self._shortened((sums[codes[rows]] - own).multiply(others)))
        return sp.csr_array(sp.vstack(found, format="csr"))

    def _shortened(self, contexts):
        """Keep the greatest values of each row, of equal ones the first, and scale it to length 1."""
        contexts = sp.csr_array(contexts)
        contexts.sort_indices()
        rows = np.repeat(np.arange(contexts.shape[0]), np.diff(contexts.indptr))
        order = np.lexsort((-contexts.data, rows))
        place = np.arange(len(rows)) - contexts.indptr[rows]  # within the row, from the greatest value on
        contexts.data[order[place >= self.n_kept_]] = 0
        contexts.eliminate_zeros()
        return sp.csr_array(normalize(contexts))

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Check features; sparse ones are canonical CSR without stored zeros."""
        X = check_features(self, X, dtype=[np.float64, np.float32], reset=reset)
        if sp.issparse(X):
            X = sp.csr_array(X, copy=True)
            X.sum_duplicates()
            X.eliminate_zeros()
        return X


def _parts(sizes):
    """Yield slices of rows whose sums store so many values at most, or a row by itself."""
    ends, start = np.cumsum(sizes), 0
    while start < len(sizes):
        stop = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _SUMS_AT_ONCE, side="right"))
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop
