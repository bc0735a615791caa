"""Approximate search for the rows nearest by cosine similarity: likely ones are named, and compared exactly.

Rows are reduced to a few dimensions by a truncated singular value decomposition, and a graph of them
(hierarchical navigable small worlds: Malkov and Yashunin 2020, doi 10.1109/TPAMI.2018.2889473; by the package
usearch) names those that are likely to be near. Their similarities are computed from the rows as they are, so
that what is found is right, though it may not be all. One thread builds the graph, from the rows in their
order: the same rows make the same graph.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from adathresh.signals._nearest import TIE, share_places
from adathresh.utils.progress import tqdm

# Dimensions that rows are reduced to, and how many rows decide on them.
_DIMENSIONS, _DECIDING_ROWS = 256, 20_000
# Rows that are compared with a query: so many, or so many times the neighbours that are wanted.
_LIKELY, _LIKELY_PER_NEIGHBOR = 400, 10
# Where the rows of the query's own group are left out, at most so many times as many are asked for at first.
_MOST_TIMES = 4
# Rows that come into the graph together.
_ADDED_AT_ONCE = 4_096
# Numbers that a block of queries needs at once: its rows as a dense matrix, and the features to compare.
_DENSE_ENTRIES, _COMPARED = 2**23, 2**22


class LikelyNeighbors:
    """A graph of rows that names those that are likely to be nearest to others.

    Parameters
    ----------
    rows : numpy.ndarray or scipy.sparse.csr_matrix of shape (n_rows, n_features)
        The rows that are searched, of length 1 (or 0).
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Raises
    ------
    ImportError
        If usearch is not installed.
    """

    def __init__(self, rows: Any, *, verbose: bool = False):
        index: Any = import_usearch()
        n_rows, n_features = rows.shape
        self._rows, self._components = rows, None
        if n_features > _DIMENSIONS:
            deciding = rows[:: -(-n_rows // _DECIDING_ROWS)]
            n_components = min(_DIMENSIONS, deciding.shape[0])
            components = randomized_svd(deciding, n_components, n_iter=2, random_state=0)[2]
            self._components = np.ascontiguousarray(components.T)
        n_dimensions = n_features if self._components is None else self._components.shape[1]
        self._lock = threading.Lock()
        self._graph = index(ndim=n_dimensions, metric="ip", dtype="f16")
        starts = range(0, n_rows, _ADDED_AT_ONCE)
        for start in tqdm(starts, desc="index", unit="block", disable=not verbose, leave=False):
            some = self._reduced(rows[start : start + _ADDED_AT_ONCE])
            # with several threads, rows would come into the graph in another order each time
            self._graph.add(np.arange(start, start + len(some)), some, threads=1)

    def search(
        self,
        queries: np.ndarray | sp.csr_matrix,
        limit: int,
        finish: Callable,
        *arguments: Any,
        groups: np.ndarray | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> list:
        """Find most of the nearest rows, and turn them into what is wanted of them, piece by piece.

        Parameters
        ----------
        queries : numpy.ndarray or scipy.sparse.csr_matrix of shape (n_queries, n_features)
            Rows of length 1 (or 0).
        limit : int
            Number of nearest rows, at most ``n_rows``.
        finish : callable
            Takes what was found of some queries in order, and the arguments; what it returns is collected.
        *arguments
            What else ``finish`` needs.
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
        """
        n_queries, (n_rows, n_features) = queries.shape[0], self._rows.shape
        n_likely = max(_LIKELY, _LIKELY_PER_NEIGHBOR * limit)
        if groups is not None:
            others = 1 - np.bincount(groups).max() / n_rows
            n_likely = int(n_likely * min(_MOST_TIMES, 1 / max(others, 1e-9)))
        n_likely = min(n_likely, n_rows)
        self._graph.expansion_search = n_likely
        per_row = max(1, self._rows.nnz // n_rows) if sp.issparse(self._rows) else n_features
        size = max(1, min(_DENSE_ENTRIES // n_features, _COMPARED // (n_likely * per_row)))
        blocks = [slice(start, start + size) for start in range(0, n_queries, size)]
        n_threads = effective_n_jobs(n_jobs)
        tasks = (
            delayed(self._search_block)(
                queries[some], None if groups is None else groups[some], groups, n_likely, limit, n_threads
            )
            for some in blocks
        )
        done = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")(tasks)
        bar = tqdm(done, total=len(blocks), desc="neighbours", unit="block", disable=not verbose, leave=False)
        return [finish(found, *arguments) for found in bar]

    def _search_block(self, queries, own, groups, n_likely, limit, n_threads):
        """Find most of the nearest rows of some queries."""
        name_likely = partial(self._named, self._reduced(queries), n_threads)
        query, likely = name_likely(np.arange(queries.shape[0]), n_likely)
        if groups is not None:
            query, likely = self._of_other_groups(name_likely, query, likely, own, groups, n_likely, limit)
        similarity = self._similarities(queries, query, likely)
        near = similarity > TIE
        found = (similarity[near], (query[near], likely[near]))
        matrix = sp.csr_array(found, shape=(queries.shape[0], self._rows.shape[0]))
        matrix.sort_indices()
        return share_places(matrix, limit)

    def _named(self, reduced, n_threads, some, n_likely):
        """Name likely rows for some queries; return the query that each is named for, and the row."""
        with self._lock:  # the graph has threads of its own, and takes no call from two threads at once
            found = self._graph.search(reduced[some], n_likely, threads=n_threads)
        keys = found.keys.reshape(len(some), -1).astype(np.int64)
        counts = np.broadcast_to(getattr(found, "counts", keys.shape[1]), len(some))
        query, place = np.nonzero(np.arange(keys.shape[1]) < counts[:, None])
        return some[query], keys[query, place]

    def _of_other_groups(self, name_likely, query, likely, own, groups, n_likely, limit):
        """Leave out the rows of each query's own group; where too few are left, name more and more."""
        n_rows = self._rows.shape[0]
        wanted = np.minimum(limit, n_rows - np.bincount(groups)[own])
        while True:
            other = groups[likely] != own[query]
            query, likely = query[other], likely[other]
            short = np.flatnonzero(np.bincount(query, minlength=len(own)) < wanted)
            if not len(short) or n_likely == n_rows:
                return query, likely
            n_likely = min(2 * n_likely, n_rows)
            more, named = name_likely(short, n_likely)
            kept = ~np.isin(query, short)
            query, likely = np.r_[query[kept], more], np.r_[likely[kept], named]

    def _similarities(self, queries, query, likely):
        """Compute the similarity of each query and row that is likely to be near."""
        dense, named = queries.toarray() if sp.issparse(queries) else queries, self._rows[likely]
        if not sp.issparse(named):
            return np.einsum("pf,pf->p", dense[query], named)
        # one product for all queries, whose features stand one after the other
        first = np.repeat(query.astype(np.int32) * dense.shape[1], np.diff(named.indptr))
        shape = len(likely), dense.size
        return sp.csr_matrix((named.data, named.indices + first, named.indptr), shape=shape) @ dense.ravel()

    def _reduced(self, rows):
        """Return rows in few dimensions, of length 1."""
        if self._components is None:
            return np.asarray(rows.toarray() if sp.issparse(rows) else rows, dtype=np.float32)
        return normalize(rows @ self._components).astype(np.float32)


def import_usearch() -> Any:
    """Import the class of graphs.

    Returns
    -------
    type
        ``usearch.index.Index``.

    Raises
    ------
    ImportError
        If usearch is not installed.
    """
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ImportError(
            "search='approximate' needs usearch: pip install 'adathresh[approximate]'."
        ) from error
    return Index
