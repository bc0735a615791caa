"""The local signal: which labels the nearest training rows carry."""

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from adathresh.signals._approximate import LikelyNeighbors, import_usearch
from adathresh.signals._nearest import first_of, search
from adathresh.utils.parameters import (
    check_parameters,
    check_value,
    job_count,
    number,
    one_of,
    parameters,
    verbosity,
    whole,
)
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_features, check_labels, check_unmasked


class NeighborLabels(BaseEstimator):
    """Shares of each label among the nearest training rows, by cosine similarity.

    KNN_l(x) = Σ_j w_j y_jl / Σ_j w_j over the ``n_neighbors`` training rows j most similar to x
    (arXiv:2505.03118, §3). A row is never its own neighbour: :meth:`fit_transform` leaves each training row
    out (its whole group, where groups are given), while :meth:`transform` takes rows as new ones. Rows equal
    to each other in X are neighbours like any other. Only positive similarities (above 1e-6) count, so a row
    may have fewer than ``n_neighbors`` neighbours; a row without features has none, and a share of 0 for
    every label.

    Rows that tie for the last places, with similarities within 1e-6 of the ``n_neighbors``-th, share them:
    where 3 rows tie for 2 places, each counts 2/3. Shares so depend neither on the order of the training rows
    nor on the container. However many rows tie, memory stays bounded, but time grows with the ties.

    The search is exact, and takes time in proportion to the training rows. With ``search="approximate"`` a
    graph of the training rows, reduced to 256 dimensions, names 400 rows or more that are likely to be near,
    and these are compared exactly: most of the nearest rows are found, not all, in a time that hardly grows
    with the training rows. From some hundred thousand of them on that is worth it (``docs/scaling.md`` has
    measurements). The graph takes some 1,100 bytes for each training row, and is made anew after loading.

    The fitted object keeps the training rows once, scaled to length 1, in float64 (sparse ones transposed,
    for quick answers to single rows: 12 bytes for each stored feature), and their labels. A search among
    sparse rows also makes a dense matrix, of 8 bytes for each training row and each feature that a tenth of
    the training rows have.

    Parameters
    ----------
    n_neighbors : int, default=30
        Number of neighbours; where there are fewer training rows, all of them.
    weights : {"softmax", "similarity"}, default="softmax"
        w_j = exp(s_j / temperature), or w_j = s_j, with s_j the cosine similarity.
    temperature : float, default=0.1
        Softmax temperature; lower values trust the nearest neighbours more.
    search : {"exact", "approximate"}, default="exact"
        How neighbours are found; "approximate" needs the package usearch.
    n_jobs : int, optional
        Threads, in joblib's counting, beside those of BLAS; None means 1.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ImportError
        In ``fit``, for an approximate search without usearch.
    ValueError
        In ``fit``, for parameters of another type or outside their range, NaN or infinity in X, missing
        groups, or X, Y and groups of different length.
    MemoryError
        In a search, before it begins, if it is sure to take more memory than the machine has.

    Examples
    --------
    >>> knn = NeighborLabels(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]])
    >>> knn.transform([[2.0, 0.1]]).toarray()
    array([[1., 0.]], dtype=float32)
    """

    _parameters = parameters(
        n_neighbors=whole(1),
        weights=one_of("softmax", "similarity"),
        temperature=number(above=0, finite=False),
        search=one_of("exact", "approximate"),
        n_jobs=job_count(),
        verbose=verbosity(),
    )

    _is_approximate, _likely = False, None

    def __init__(
        self,
        n_neighbors: int = 30,
        *,
        weights: Literal["softmax", "similarity"] = "softmax",
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
        check_parameters(self)
        self._is_approximate = self.search == "approximate"
        if self._is_approximate:
            import_usearch()
        X = check_features(self, X, dtype=np.float64, copy=True)
        self._labels = check_labels(Y, n_samples=X.shape[0])
        self._groups = group_codes(groups, X.shape[0])
        self._transposed = _unit_rows(X).T
        if self._is_approximate:
            self._likely = self._make_graph()
        elif sp.issparse(self._transposed):
            # the search multiplies by these: to transpose them takes longer than to answer one row
            self._transposed = sp.csr_matrix(self._transposed)
        return self

    def fit_transform(
        self, X: MatrixLike, Y: MatrixLike, *, groups: npt.ArrayLike | None = None
    ) -> sp.csr_array:
        """Fit, and return the leave-one-out shares of the training rows.

        Beside cross-fitted scores, give the number of each row's fold as its group: neighbours then come from
        other folds only, as did the model that scored the row (a fold must hold whole groups).

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
        return self._shares(*self._training_rows())

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
        return self._shares(self._new_rows(X), None)

    def kneighbors(self, X: MatrixLike | None = None) -> sp.csr_array:
        """Find the nearest training rows; of rows that tie for the last places, the first ones.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), optional
            Features of new rows; None asks for the training rows' neighbours, themselves left out.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_training_samples)
            Cosine similarities in (0, 1], at most ``n_neighbors`` a row.
        """
        rows, groups = self._training_rows() if X is None else (self._new_rows(X), None)
        kept = self._search(rows, groups, first_of, self._limit())
        return sp.csr_array(sp.vstack(kept, format="csr"))

    def nearest(self, x: MatrixLike, label: int) -> tuple[tuple[int, float, bool], ...]:
        """Name the nearest training rows of one row, and say which of them carry a label.

        All that tie for the last places are named, each with its part of their weight.

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

        Raises
        ------
        ValueError
            If x is not one row, or there is no such label.
        """
        row, n_labels = self._new_rows(x, name="x"), self._labels.shape[1]
        if row.shape[0] != 1:
            raise ValueError(f"x must be one row; got {row.shape[0]}.")
        check_value("label", label, whole(0, n_labels - 1))
        (found,) = self._search(row, None, _unchanged)
        order = np.argsort(-found.similarity.data, kind="stable")
        weights = _weights(found, self.weights, self.temperature).data[order]
        rows = found.similarity.indices[order]
        carried = self._labels[rows, np.full(len(rows), label)]
        named = zip(rows, weights, carried, strict=True)
        return tuple((int(row), float(weight), bool(carries)) for row, weight, carries in named)

    def _new_rows(self, X, *, name="X"):
        """Check new rows, and scale them as the training rows were."""
        check_is_fitted(self, "_transposed")
        if X is None:
            raise ValueError(
                f"{name} must hold new rows; got None. For the training rows, call fit_transform or "
                "kneighbors()."
            )
        return _unit_rows(check_features(self, X, name=name, dtype=np.float64, copy=True, reset=False))

    def _training_rows(self):
        """Return the training rows and their groups."""
        check_is_fitted(self, "_transposed")
        rows = self._transposed.T
        return rows.tocsr() if sp.issparse(rows) else rows, self._groups

    def _search(self, queries, groups, finish, *arguments):
        """Find the nearest rows, and turn them into what is wanted of them, piece by piece."""
        options = {"groups": groups, "n_jobs": self.n_jobs, "verbose": self.verbose}
        if not self._is_approximate:
            return search(queries, self._transposed, self._limit(), finish, *arguments, **options)
        if self._likely is None:
            self._likely = self._make_graph()
        return self._likely.search(queries, self._limit(), finish, *arguments, **options)

    def _make_graph(self):
        """Put the training rows into a graph that names likely neighbours."""
        rows = self._transposed.T
        return LikelyNeighbors(rows.tocsr() if sp.issparse(rows) else rows, verbose=self.verbose)

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_likely"}  # it is made anew

    def _limit(self):
        """Return the number of neighbours to look for."""
        return min(self.n_neighbors, self._transposed.shape[1])

    def _shares(self, queries, groups):
        """Turn the nearest rows into weighted label shares, piece by piece, since ties may be many."""
        found = self._search(queries, groups, _label_shares, self._labels, self.weights, self.temperature)
        shares = sp.csr_array(sp.vstack(found, format="csr"))
        np.minimum(shares.data, 1, out=shares.data)  # rounding may pass 1 by an ulp
        shares.sort_indices()
        return shares


def _unchanged(found):
    """Return the nearest rows as they are."""
    return found


def _label_shares(found, labels, weights, temperature):
    """Return the label shares of some rows."""
    return sp.csr_array(_weights(found, weights, temperature) @ labels, dtype=np.float32)


def _weights(found, weights, temperature):
    """Return the weights of the nearest rows; they sum to 1 in every row that has any."""
    similarity = found.similarity
    result = row_softmax(similarity, temperature) if weights == "softmax" else similarity
    result = result.astype(np.float64)
    result.data *= found.part
    sums = np.asarray(result.sum(axis=1)).ravel()
    result.data /= np.repeat(sums, np.diff(result.indptr))
    return result


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
    """Scale every row of a copy to length 1; entries that CSR stores in parts are summed first."""
    if sp.issparse(X):
        X.sum_duplicates()
    return normalize(X, copy=False)


def group_codes(groups: npt.ArrayLike | None, n_samples: int, *, name: str = "groups") -> np.ndarray:
    """Code groups as 0, 1, …; without groups every row is its own.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        Group of each row.
    n_samples : int
        Number of rows.
    name : str, default="groups"
        How the argument is called in error messages.

    Returns
    -------
    numpy.ndarray of shape (n_samples,)
        Integer code of each row's group.

    Raises
    ------
    ValueError
        If there is not one entry for each row, an entry is missing (None, NaN, NaT), or some are numbers and
        others texts.

    Examples
    --------
    >>> group_codes(["b", "a", "b"], 3)
    array([1, 0, 1])
    """
    if groups is None:
        return np.arange(n_samples)
    check_unmasked(groups, name=name)
    codes = np.asarray(groups)
    if codes.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), one entry a row; got {codes.shape}.")
    if codes.dtype.kind in "OUS" and not isinstance(groups, np.ndarray):
        codes = np.asarray(groups, dtype=object)  # a NaN among texts would have become the text "nan"
    missing = [_is_missing(entry) for entry in codes] if codes.dtype == object else codes != codes
    if np.any(missing):
        row = np.flatnonzero(missing)[0]
        raise ValueError(f"{name} must not hold missing values; found {codes[row]} in row {row}.")
    try:
        return np.unique(codes, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"{name} must be all numbers or all texts; got both.") from error


def _is_missing(entry):
    """Say whether an entry is None, NaN or NA, which equals nothing, or says of nothing whether it does."""
    if entry is None:
        return True
    try:
        return bool(entry != entry)
    except TypeError:
        return True
