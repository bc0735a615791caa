"""The local signal: which labels the nearest training rows carry."""

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted, validate_data
from sparse_dot_topn import sp_matmul_topn

from adathresh.utils.progress import tqdm
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels

# Entries of a (chunk x training rows) block of similarities; bounds the working memory of one chunk.
_BLOCK_ENTRIES = 2**25


class NeighborLabels(BaseEstimator):
    """Shares of each label among the nearest training rows, by exact cosine similarity.

    KNN_l(x) = Σ_j w_j y_jl / Σ_j w_j over the ``n_neighbors`` training rows j most similar to x
    (arXiv:2505.03118, §3). A row is never its own neighbour: :meth:`fit_transform` leaves each training row
    out (its whole group, where groups are given), while :meth:`transform` takes rows as new ones. Rows equal
    to each other in X are neighbours like any other. Only positive similarities count, so a row may have
    fewer than ``n_neighbors`` neighbours; a row without features has none, and a share of 0 for every label.

    Parameters
    ----------
    n_neighbors : int, default=30
        Number of neighbours; where there are fewer training rows, all of them.
    weights : {"softmax", "similarity"}, default="softmax"
        w_j = exp(s_j / temperature), or w_j = s_j, with s_j the cosine similarity.
    temperature : float, default=0.1
        Softmax temperature; lower values trust the nearest neighbours more.
    n_jobs : int, optional
        Threads for sparse X, in joblib's counting; None means 1.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range, NaN or infinity in X, or X and Y of different length.

    Examples
    --------
    >>> knn = NeighborLabels(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]])
    >>> knn.transform([[2.0, 0.1]]).toarray()
    array([[1., 0.]], dtype=float32)
    """

    def __init__(
        self,
        n_neighbors: int = 30,
        *,
        weights: Literal["softmax", "similarity"] = "softmax",
        temperature: float = 0.1,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.temperature = temperature
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: MatrixLike, Y: MatrixLike, *, groups: npt.ArrayLike | None = None) -> Self:
        """Keep the training rows and their labels.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Training labels, 0 or 1.
        groups : array-like of shape (n_samples,), optional
            Rows of one group are never each other's neighbours in :meth:`fit_transform`.

        Returns
        -------
        NeighborLabels
            The fitted signal.
        """
        self._check_parameters()
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float32, np.float64))
        self._labels = check_labels(Y, n_samples=X.shape[0])
        self._reference = _unit_rows(X)
        self._groups = group_codes(groups, X.shape[0])
        return self

    def fit_transform(
        self, X: MatrixLike, Y: MatrixLike, *, groups: npt.ArrayLike | None = None
    ) -> sp.csr_array:
        """Fit, and return the leave-one-out shares of the training rows.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Training labels, 0 or 1.
        groups : array-like of shape (n_samples,), optional
            Rows of one group are never each other's neighbours.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Shares in [0, 1], float32.
        """
        self.fit(X, Y, groups=groups)
        return self._shares(self.kneighbors())

    def transform(self, X: MatrixLike) -> sp.csr_array:
        """Return the label shares of new rows.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features of rows that are not training rows.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Shares in [0, 1], float32.
        """
        return self._shares(self.kneighbors(X))

    def kneighbors(self, X: MatrixLike | None = None) -> sp.csr_array:
        """Find the nearest training rows.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), optional
            Features of new rows; None asks for the training rows' neighbours, themselves left out.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_training_samples)
            Cosine similarities in (0, 1], at most ``n_neighbors`` a row.
        """
        check_is_fitted(self, "_reference")
        if X is None:
            return self._search(self._reference, self._groups)
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float32, np.float64), reset=False)
        return self._search(_unit_rows(X), None)

    def nearest(self, x: MatrixLike, label: int) -> tuple[tuple[int, float, bool], ...]:
        """Name the nearest training rows of one row, and say which of them carry a label.

        Parameters
        ----------
        x : array-like or sparse of shape (1, n_features)
            Features of a row that is not a training row.
        label : int
            Index of the label.

        Returns
        -------
        tuple of tuple (int, float, bool)
            Training row, weight (all sum to 1) and whether it carries the label; the nearest first.
        """
        similarity = self.kneighbors(x)
        similarity.sort_indices()  # so that similarities and weights lie in the same order
        if self.weights == "softmax":
            weights = row_softmax(similarity, self.temperature).data
        else:
            weights = similarity.data / similarity.sum()
        order = np.argsort(-similarity.data, kind="stable")
        rows = similarity.indices[order]
        carried = self._labels[rows, np.full(len(rows), label)]
        named = zip(rows, weights[order], carried, strict=True)
        return tuple((int(row), float(weight), bool(carries)) for row, weight, carries in named)

    def _search(self, queries, groups):
        """Run the search that suits the container of the training rows."""
        if sp.issparse(self._reference):
            queries = sp.csr_matrix(queries, dtype=self._reference.dtype)
            blocks = self._sparse_blocks(queries, groups)
        else:
            queries = queries.toarray() if sp.issparse(queries) else queries
            blocks = self._dense_blocks(queries, groups)
        size = max(1, _BLOCK_ENTRIES // max(1, self._reference.shape[0]))
        starts = range(0, queries.shape[0], size)
        found = [
            blocks(slice(start, start + size))
            for start in tqdm(starts, desc="neighbours", unit="block", disable=not self.verbose, leave=False)
        ]
        return sp.csr_array(sp.vstack(found, format="csr"))

    def _sparse_blocks(self, queries, groups):
        """Return a function that finds the neighbours of a slice of sparse rows."""
        reference = sp.csr_matrix(self._reference)
        if groups is not None:
            # One extra feature a group, +2 in the query and -2 in the training row: within a group the
            # product is at most 1 - 4 < 0, and the search drops what is not positive.
            twos = np.full(len(groups), 2, reference.dtype)
            marks = sp.csr_matrix((twos, groups, np.arange(len(groups) + 1)))
            queries = sp.hstack([queries, marks], format="csr")
            reference = sp.hstack([reference, -marks], format="csr")
        transposed = reference.T.tocsr()
        n_threads = effective_n_jobs(self.n_jobs)

        def block(rows):
            return sp_matmul_topn(
                queries[rows], transposed, top_n=self._limit(), threshold=0.0, n_threads=n_threads
            )

        return block

    def _dense_blocks(self, queries, groups):
        """Return a function that finds the neighbours of a slice of dense rows."""
        limit = self._limit()

        def block(rows):
            similarity = queries[rows] @ self._reference.T
            if groups is not None:
                similarity[groups[rows][:, None] == groups[None, :]] = 0
            order = np.argsort(-similarity, axis=1, kind="stable")[:, :limit]
            values = np.take_along_axis(similarity, order, axis=1)
            rows_of, columns_of = np.nonzero(values > 0)
            found = (values[rows_of, columns_of], (rows_of, order[rows_of, columns_of]))
            return sp.csr_matrix(found, shape=similarity.shape)

        return block

    def _limit(self):
        """Return the number of neighbours to look for."""
        return min(self.n_neighbors, self._reference.shape[0])

    def _shares(self, similarity):
        """Turn similarities into weighted label shares."""
        weights = row_softmax(similarity, self.temperature) if self.weights == "softmax" else similarity
        sums = np.asarray(weights.sum(axis=1)).ravel()
        scale = np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)
        shares = sp.csr_array(sp.diags_array(scale) @ weights @ self._labels, dtype=np.float32)
        np.minimum(shares.data, 1, out=shares.data)  # rounding may pass 1 by an ulp
        shares.sort_indices()
        return shares

    def _check_parameters(self):
        """Raise for parameters outside their range."""
        if self.n_neighbors < 1:
            raise ValueError(f"n_neighbors must be at least 1; got {self.n_neighbors!r}.")
        if self.weights not in ("softmax", "similarity"):
            raise ValueError(f"weights must be 'softmax' or 'similarity'; got {self.weights!r}.")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be greater than 0; got {self.temperature!r}.")


def row_softmax(similarity: sp.csr_array, temperature: float) -> sp.csr_array:
    """Softmax over the stored entries of each row.

    Parameters
    ----------
    similarity : scipy.sparse.csr_array of shape (n_samples, n_training_samples)
        Similarities of the neighbours.
    temperature : float
        Divides the similarities; greater than 0.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_training_samples)
        Weights that sum to 1 in every row that stores an entry.

    Examples
    --------
    >>> row_softmax(sp.csr_array([[0.5, 0.5, 0.0]]), 0.1).toarray()
    array([[0.5, 0.5, 0. ]])
    """
    counts = np.diff(similarity.indptr)
    filled = np.flatnonzero(counts)
    weights = similarity.astype(np.float64)
    if len(filled):
        starts, sizes = similarity.indptr[filled], counts[filled]
        weights.data -= np.repeat(np.maximum.reduceat(weights.data, starts), sizes)
        weights.data = np.exp(weights.data / temperature)
        weights.data /= np.repeat(np.add.reduceat(weights.data, starts), sizes)
    return weights


def _unit_rows(X):
    """Scale every row to length 1; entries that CSR stores in parts are summed first."""
    if sp.issparse(X) and not X.has_canonical_format:
        X = X.copy()  # the arrays may still be the caller's
        X.sum_duplicates()
    return normalize(X)


def group_codes(groups: npt.ArrayLike | None, n_samples: int) -> np.ndarray:
    """Code groups as 0, 1, …; without groups every row is its own.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        Group of each row.
    n_samples : int
        Number of rows.

    Returns
    -------
    numpy.ndarray of shape (n_samples,)
        Integer code of each row's group.

    Raises
    ------
    ValueError
        If there is not one entry for each row.

    Examples
    --------
    >>> group_codes(["b", "a", "b"], 3)
    array([1, 0, 1])
    """
    if groups is None:
        return np.arange(n_samples)
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(f"groups must have shape ({n_samples},), one entry a row of X; got {groups.shape}.")
    return np.unique(groups, return_inverse=True)[1]
