"""Exact search for the rows nearest by cosine similarity, blocks of rows at a time.

Where rows are sparse, most of the work falls on few features: of text, the commonest hundredth makes nearly
all products. Features that at least a tenth of the rows have are multiplied as a dense matrix, the others
feature by feature, and both add up in one dense block of similarities. All of it is done in float64.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from scipy.linalg.blas import dgemm

from adathresh.utils.memory import check_memory
from adathresh.utils.progress import tqdm

# Entries of a (some rows x all rows) block of similarities, of 8 bytes: few enough for the memory to be used
# again for the next block. Where a row alone has many, so many rows are still worth a dense product.
_BLOCK_ENTRIES, _LEAST_ROWS = 2**22, 16
# Where all rows may tie, so many entries are worked on at once: they take some hundred bytes each.
_TIED_ENTRIES = 2**22
# Products of sparse rows that are made at once: few enough to stay near the processor.
_PRODUCTS = 2**18
# A product of two sparse entries takes about a hundred times as long as one in a dense matrix, and what a
# feature takes grows with the square of the rows that have it: from this share of them on, dense is faster.
_COMMON = 0.1
# Fewer rows than these are not worth making a dense matrix.
_FEW_ROWS = 32
# Similarities this close are equal, and this close to 0 are none: more than what is lost where features are
# stored in float32, and far more than float64 loses in the search.
TIE = 1e-6


class Found(NamedTuple):
    """The nearest of some rows; those that tie for the last places have a part of them."""

    similarity: sp.csr_array  # (n_rows, n_searched), indices sorted: some methods of CSR sort them
    part: np.ndarray  # (n_stored,), 1 but for ties


def search(
    queries: np.ndarray | sp.csr_matrix,
    transposed: np.ndarray | sp.csr_matrix,
    limit: int,
    finish: Callable,
    *arguments: Any,
    groups: np.ndarray | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> list:
    """Find the nearest rows by cosine similarity, and turn them into what is wanted of them, piece by piece.

    Blocks of queries are tasks of joblib: threads, or what ``joblib.parallel_config`` says, a cluster too.

    Parameters
    ----------
    queries : numpy.ndarray or scipy.sparse.csr_matrix of shape (n_queries, n_features)
        Rows of length 1 (or 0).
    transposed : numpy.ndarray or scipy.sparse.csr_matrix of shape (n_features, n_rows)
        The rows that are searched, of length 1 (or 0), transposed.
    limit : int
        Number of nearest rows, at most ``n_rows``. Those within 1e-6 of the last one are found too.
    finish : callable
        Takes a :class:`Found` of some queries in order, and the arguments; what it returns is collected.
    *arguments
        What else ``finish`` needs; a cluster sends large ones to each worker once.
    groups : numpy.ndarray of shape (n_rows,), optional
        The queries are the rows themselves, and rows of one group, coded 0, 1, …, do not find each other.
    n_jobs : int, optional
        Threads, in joblib's counting.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    list
        What ``finish`` returned, in the order of the queries.

    Raises
    ------
    MemoryError
        If the dense matrix of common features is larger than the memory of the machine.
    """
    n_queries, n_rows = queries.shape[0], transposed.shape[1]
    features, common = None, None
    if isinstance(transposed, np.ndarray):
        queries = queries if isinstance(queries, np.ndarray) else queries.toarray()
    else:
        queries = sp.csr_matrix(queries)
        if n_queries >= _FEW_ROWS:
            features = np.flatnonzero(np.diff(transposed.indptr) >= max(1, _COMMON * n_rows))
            check_memory(
                8 * len(features) * n_rows,
                f"Features that a tenth of the {n_rows} training rows have, as a dense matrix,",
                "take fewer rows, or leave the commonest features out",
            )
            common = transposed[features].toarray()
    members: Any = None if groups is None else _members(groups)
    size = max(_LEAST_ROWS, _BLOCK_ENTRIES // n_rows)
    blocks = [slice(start, start + size) for start in range(0, n_queries, size)]
    same = transposed, features, common, limit, finish, *arguments
    tasks = (
        delayed(_search_block)(queries[some], None if groups is None else members[groups[some]], *same)
        for some in blocks
    )
    done = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(tasks)
    bar = tqdm(done, total=len(blocks), desc="neighbours", unit="block", disable=not verbose, leave=False)
    return [piece for pieces in bar for piece in pieces]


def _search_block(queries, left_out, transposed, features, common, limit, finish, *arguments):
    """Find the nearest rows of a block of queries, and finish them piece by piece."""
    similarity = _similarity(queries, transposed, features, common)
    if left_out is not None:
        similarity[np.repeat(np.arange(len(similarity)), np.diff(left_out.indptr)), left_out.indices] = 0
    least = _least_similarity(similarity, limit)
    size = max(1, _TIED_ENTRIES // similarity.shape[1])
    pieces = [slice(start, start + size) for start in range(0, len(similarity), size)]
    found = (share_places(_stored(similarity[piece], least[piece]), limit) for piece in pieces)
    return [finish(of_piece, *arguments) for of_piece in found]


def _similarity(queries, transposed, features, common):
    """Return the block of similarities; ``common`` holds the rows' common features as a dense matrix."""
    if isinstance(transposed, np.ndarray):
        return queries @ transposed
    if common is None:
        return (queries @ transposed).toarray()
    is_rare = np.ones(transposed.shape[0], dtype=bool)
    is_rare[features] = False
    products = _products(stored_where(queries, is_rare[queries.indices]), transposed)
    if len(features):
        # BLAS counts by columns, so that everything is transposed: products += queries[:, features] @ common
        dgemm(1.0, common.T, queries[:, features].toarray().T, beta=1.0, c=products.T, overwrite_c=True)
    return products


def _products(queries, transposed):
    """Multiply two sparse matrices into a dense one: faster than into a sparse one."""
    products = np.empty((queries.shape[0], transposed.shape[1]))
    counts = np.diff(transposed.indptr)[queries.indices]
    made = np.concatenate([[0], np.cumsum(counts)])[queries.indptr]
    start = 0
    while start < len(products):
        stop = max(start + 1, np.searchsorted(made, made[start] + _PRODUCTS, side="right") - 1)
        some = queries[start:stop]
        terms = transposed[some.indices]  # a row for each stored entry of the queries
        terms.data *= np.repeat(some.data, np.diff(terms.indptr))
        sums = (terms.data, terms.indices, terms.indptr[some.indptr])
        sp.csr_matrix(sums, shape=(stop - start, products.shape[1])).toarray(out=products[start:stop])
        start = stop
    return products


def _members(groups):
    """Return a matrix whose row i stores the rows of group i."""
    rows = np.arange(len(groups))
    return sp.csr_array((np.ones(len(groups), dtype=bool), (groups, rows)))


def _least_similarity(similarity, limit):
    """Bound the ``limit``-th largest similarity of each row from below, nearly always closely.

    Each of many strides of the row has a largest entry; the ``limit``-th largest of these is no larger than
    the ``limit``-th largest entry. Nothing below the bound, less what ties, can be among the nearest.
    """
    n_queries, n_rows = similarity.shape
    stride = min(n_rows, 16 * limit)
    steps = n_rows // stride
    best = similarity[:, : steps * stride].reshape(n_queries, steps, stride).max(axis=1)
    best.sort(axis=1)  # np.partition is slow where many are equal
    return np.maximum(best[:, -limit] - TIE, TIE)


def _stored(similarity, least):
    """Store what is at least the least of its row, and more than none."""
    rows, columns = np.nonzero((similarity >= least[:, None]) & (similarity > TIE))
    indptr = np.searchsorted(rows, np.arange(len(similarity) + 1))
    return sp.csr_array((similarity[rows, columns], columns, indptr), shape=similarity.shape)


def share_places(similarity: sp.csr_array, limit: int) -> Found:
    """Share the last places out among the rows that tie for them.

    The rows within ``TIE`` of the ``limit``-th tie; what is farther is dropped, what is nearer counts 1.

    Parameters
    ----------
    similarity : scipy.sparse.csr_array of shape (n_rows, n_searched)
        Similarities, of which at least the ``limit`` largest of each row, or all, are stored.
    limit : int
        How many are wanted.

    Returns
    -------
    Found
        The nearest of each row.
    """
    n_rows, counts = similarity.shape[0], np.diff(similarity.indptr)
    rows = np.repeat(np.arange(n_rows), counts)
    last, full = np.full(n_rows, -np.inf), np.flatnonzero(counts >= limit)
    falling = similarity.data[np.lexsort((-similarity.data, rows))]
    last[full] = falling[similarity.indptr[full] + limit - 1]
    distance = similarity.data - last[rows]
    ahead, kept = distance > TIE, distance >= -TIE
    n_ahead, n_kept = (np.bincount(rows[some], minlength=n_rows) for some in (ahead, kept))
    part = np.where(ahead, 1.0, ((limit - n_ahead) / np.maximum(n_kept - n_ahead, 1))[rows])
    return Found(stored_where(similarity, kept), part[kept])


def first_of(found: Found, limit: int) -> sp.csr_array:
    """Keep as many of the nearest as were asked for: of those that tie, the first rows.

    Parameters
    ----------
    found : Found
        The nearest of some rows.
    limit : int
        How many were asked for.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_rows, n_searched)
        Similarities, at most ``limit`` a row.
    """
    similarity, ties = found.similarity, found.part < 1
    rows = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
    places = limit - np.bincount(rows[~ties], minlength=similarity.shape[0])
    taken = np.concatenate([[0], np.cumsum(ties)])
    taken = taken[1:] - taken[similarity.indptr[rows]]  # by the row's ties up to this one
    return stored_where(similarity, ~ties | (taken <= places[rows]))


def stored_where(matrix: sp.csr_array | sp.csr_matrix, kept: np.ndarray) -> sp.csr_array | sp.csr_matrix:
    """Keep some of the stored entries.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array or csr_matrix of shape (n_rows, n_columns)
        Any matrix.
    kept : numpy.ndarray of shape (n_stored,)
        Whether each stored entry is kept.

    Returns
    -------
    scipy.sparse.csr_array or csr_matrix of shape (n_rows, n_columns)
        A copy with these entries, in their order.
    """
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return type(matrix)((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)
