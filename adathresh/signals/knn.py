"""The local signal: which labels the nearest training rows carry."""

from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted, validate_data
from sparse_dot_topn import sp_matmul_topn

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
from adathresh.utils.progress import tqdm
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_unmasked

# Entries of a (chunk x training rows) block of similarities; bounds the working memory of one chunk.
_BLOCK_ENTRIES = 2**25
# Where all rows may tie, so many entries are worked on at once: they take some hundred bytes each.
_TIED_ENTRIES = 2**22
# Similarities this close are equal, and this close to 0 are none: more than what is lost where features are
# stored in float32, and far more than float64 loses in the search.
_TIE = 1e-6
# How many rows beyond n_neighbors are found at once, so that few rows with more ties are searched again.
_SPARE = 64


class _Found(NamedTuple):
    """Neighbours of some rows: a row that ties for the last places has a part of them."""

    similarity: sp.csr_array  # (n_rows, n_training_samples), indices sorted: some methods of CSR sort them
    part: np.ndarray  # (n_stored,), 1 but for ties


class NeighborLabels(BaseEstimator):
    """Shares of each label among the nearest training rows, by exact cosine similarity.

    KNN_l(x) = Σ_j w_j y_jl / Σ_j w_j over the ``n_neighbors`` training rows j most similar to x
    (arXiv:2505.03118, §3). A row is never its own neighbour: :meth:`fit_transform` leaves each training row
    out (its whole group, where groups are given), while :meth:`transform` takes rows as new ones. Rows equal
    to each other in X are neighbours like any other. Only positive similarities (above 1e-6) count, so a row
    may have fewer than ``n_neighbors`` neighbours; a row without features has none, and a share of 0 for
    every label.

    Rows that tie for the last places, with similarities within 1e-6 of the ``n_neighbors``-th, share them:
    where 3 rows tie for 2 places, each counts 2/3. Shares so depend neither on the order of the training rows
    nor on the container. However many rows tie, memory stays bounded, but time grows with the ties.

    The fitted object keeps the training rows once, scaled to length 1, in float64 (sparse ones transposed,
    for quick answers to single rows: 12 bytes for each stored feature), and their labels.

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
        In ``fit``, for parameters of another type or outside their range, NaN or infinity in X, missing
        groups, or X, Y and groups of different length.

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
        n_jobs=job_count(),
        verbose=verbosity(),
    )

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
        check_parameters(self)
        check_unmasked(X, name="X")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, copy=True)
        self._labels = check_labels(Y, n_samples=X.shape[0])
        self._groups = group_codes(groups, X.shape[0])
        # The search multiplies by the transposed rows: to transpose them takes longer than to answer one row.
        self._transposed = _unit_rows(X).T
        if sp.issparse(self._transposed):
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
        return self._shares(self._search(*self._training_rows()))

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
        return self._shares(self._search(self._new_rows(X), None))

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
        kept = [_first_of(found, self._limit()) for found in self._search(rows, groups)]
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
        row, n_labels = self._new_rows(x), self._labels.shape[1]
        if row.shape[0] != 1:
            raise ValueError(f"x must be one row; got {row.shape[0]}.")
        check_value("label", label, whole(0, n_labels - 1))
        (found,) = self._search(row, None)
        order = np.argsort(-found.similarity.data, kind="stable")
        weights, rows = self._weights(found).data[order], found.similarity.indices[order]
        carried = self._labels[rows, np.full(len(rows), label)]
        named = zip(rows, weights, carried, strict=True)
        return tuple((int(row), float(weight), bool(carries)) for row, weight, carries in named)

    def _new_rows(self, X):
        """Check new rows, and scale them as the training rows were."""
        check_is_fitted(self, "_transposed")
        if X is None:
            raise ValueError(
                "X must hold new rows; got None. For the training rows, call fit_transform or kneighbors()."
            )
        check_unmasked(X, name="X")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, copy=True, reset=False)
        return _unit_rows(X)

    def _training_rows(self):
        """Return the training rows and their groups."""
        check_is_fitted(self, "_transposed")
        rows = self._transposed.T
        return rows.tocsr() if sp.issparse(rows) else rows, self._groups

    def _search(self, queries, groups):
        """Find the neighbours of rows, a block of rows at a time."""
        if sp.issparse(self._transposed):
            block_of = self._sparse_blocks(sp.csr_matrix(queries), groups)
        else:
            block_of = self._dense_blocks(queries.toarray() if sp.issparse(queries) else queries, groups)
        size = max(1, _BLOCK_ENTRIES // max(1, self._transposed.shape[1]))
        starts = range(0, queries.shape[0], size)
        for start in tqdm(starts, desc="neighbours", unit="block", disable=not self.verbose, leave=False):
            for found in block_of(slice(start, start + size)):
                yield _parts_of(found, self._limit())

    def _pieces(self, n_rows):
        """Part the rows of a block so that a piece stays small even where all training rows tie."""
        size = max(1, _TIED_ENTRIES // max(1, self._transposed.shape[1]))
        return [range(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]

    def _sparse_blocks(self, queries, groups):
        """Return a generator of the neighbours of a slice of sparse rows, with all that tie."""
        transposed = self._transposed
        if groups is not None:
            # One extra feature a group, +2 in the query and -2 in the training row: within a group the
            # product is at most 1 - 4 < 0, and the search drops what is not positive.
            twos = np.full(len(groups), 2, transposed.dtype)
            marks = sp.csr_matrix((twos, groups, np.arange(len(groups) + 1)))
            queries = sp.hstack([queries, marks], format="csr")
            transposed = sp.vstack([transposed, -marks.T.tocsr()], format="csr")
        limit, n_threads = self._limit(), effective_n_jobs(self.n_jobs)

        def block(rows):
            some = queries[rows]
            if some.shape[0] == 1:  # sp_matmul_topn copies the training rows' indices at each call
                yield _nearest_of(some @ transposed, limit)
                return
            found = sp.csr_array(
                sp_matmul_topn(some, transposed, top_n=limit + _SPARE, threshold=_TIE, n_threads=n_threads)
            )
            # Rows tie beyond those found where the least of as many as were asked for still ties.
            full = np.flatnonzero(np.diff(found.indptr) == limit + _SPARE)
            stored = found.indptr[full][:, None] + np.arange(limit + _SPARE)
            values = -np.partition(-found.data[stored], limit - 1, axis=1)
            more = set(full[values[:, limit:].min(axis=1, initial=np.inf) >= values[:, limit - 1] - _TIE])
            if not more:
                yield found
                return
            for piece in self._pieces(found.shape[0]):
                kept = [
                    _nearest_of(some[[row]] @ transposed, limit) if row in more else found[[row]]
                    for row in piece
                ]
                yield sp.csr_array(sp.vstack(kept, format="csr"))

        return block

    def _dense_blocks(self, queries, groups):
        """Return a generator of the neighbours of a slice of dense rows, with all that tie."""
        limit = self._limit()

        def block(rows):
            similarity = queries[rows] @ self._transposed
            if groups is not None:
                similarity[groups[rows][:, None] == groups[None, :]] = 0
            last = np.sort(similarity, axis=1)[:, [-limit]]  # np.partition is slow where many are equal
            similarity[similarity < np.maximum(last - _TIE, 0)] = 0
            similarity[similarity <= _TIE] = 0
            for piece in self._pieces(similarity.shape[0]):
                yield sp.csr_array(similarity[piece.start : piece.stop])

        return block

    def _limit(self):
        """Return the number of neighbours to look for."""
        return min(self.n_neighbors, self._transposed.shape[1])

    def _weights(self, found):
        """Return the weights of neighbours; they sum to 1 in every row that has any."""
        similarity = found.similarity
        weights = row_softmax(similarity, self.temperature) if self.weights == "softmax" else similarity
        weights = weights.astype(np.float64)
        weights.data *= found.part
        sums = np.asarray(weights.sum(axis=1)).ravel()
        weights.data /= np.repeat(sums, np.diff(weights.indptr))
        return weights

    def _shares(self, blocks):
        """Turn neighbours into weighted label shares, block by block, since ties may be many."""
        shares = [sp.csr_array(self._weights(found) @ self._labels, dtype=np.float32) for found in blocks]
        shares = sp.csr_array(sp.vstack(shares, format="csr"))
        np.minimum(shares.data, 1, out=shares.data)  # rounding may pass 1 by an ulp
        shares.sort_indices()
        return shares


def _nearest_of(products, limit):
    """Drop the entries of one sparse row that are neither among the largest nor tie with them."""
    values = products.data
    last = np.partition(values, -limit)[-limit] if len(values) > limit else 0
    kept = (values >= last - _TIE) & (values > _TIE)
    return sp.csr_array((values[kept], products.indices[kept], [0, kept.sum()]), shape=products.shape)


def _parts_of(similarity, limit):
    """Share the last places out among the neighbours that tie for them.

    The neighbours within ``_TIE`` of the limit-th tie; what is farther is dropped, what is nearer counts 1.
    """
    similarity.sort_indices()
    n_rows, counts = similarity.shape[0], np.diff(similarity.indptr)
    rows = np.repeat(np.arange(n_rows), counts)
    last, full = np.full(n_rows, -np.inf), np.flatnonzero(counts >= limit)
    falling = similarity.data[np.lexsort((-similarity.data, rows))]
    last[full] = falling[similarity.indptr[full] + limit - 1]
    distance = similarity.data - last[rows]
    ahead, kept = distance > _TIE, distance >= -_TIE
    n_ahead, n_kept = (np.bincount(rows[some], minlength=n_rows) for some in (ahead, kept))
    part = np.where(ahead, 1.0, ((limit - n_ahead) / np.maximum(n_kept - n_ahead, 1))[rows])
    return _Found(_entries_of(similarity, kept), part[kept])


def _first_of(found, limit):
    """Keep as many neighbours as were asked for: of those that tie, the first training rows."""
    similarity, ties = found.similarity, found.part < 1
    rows = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
    places = limit - np.bincount(rows[~ties], minlength=similarity.shape[0])
    taken = np.concatenate([[0], np.cumsum(ties)])
    taken = taken[1:] - taken[similarity.indptr[rows]]  # by the row's ties up to this one
    return _entries_of(similarity, ~ties | (taken <= places[rows]))


def _entries_of(matrix, kept):
    """Keep some of the stored entries."""
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sp.csr_array((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)


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
    missing = (
        [entry is None or entry != entry for entry in codes] if codes.dtype == object else codes != codes
    )
    if np.any(missing):
        row = np.flatnonzero(missing)[0]
        raise ValueError(f"{name} must not hold missing values; found {codes[row]} in row {row}.")
    try:
        return np.unique(codes, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"{name} must be all numbers or all texts; got both.") from error
