"""Similar rows without comparing all pairs: MinHash (Broder 1997) proposes, a full comparison decides."""

import itertools

import numpy as np
import scipy.sparse as sp

from adathresh.utils.distinct import distinct

# Rows that share a fraction s of their features meet in a band with probability 1 − (1 − s⁶)¹², which is
# 0.9999 for s = 0.9, 0.97 for s = 0.8 and 0.17 for s = 0.5.
_N_BANDS, _BAND_ROWS = 12, 6
# A test row is compared with so many training rows of each band, and with more of them only while none is
# similar: that keeps the work linear where many rows are similar.
_PER_BAND = (4, 32, 512)
# Rows with fewer features are easily similar by chance.
_LEAST_FEATURES = 5
# Stored entries that are compared at once.
_BLOCK_ENTRIES = 2**22


def similar_rows(
    train: sp.csr_array, test: sp.csr_array, similarity: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the test rows with a similar training row.

    Parameters
    ----------
    train, test : scipy.sparse.csr_array of shape (n_samples, n_features)
        Rows with a stored entry for every feature that they have; its value does not matter.
    similarity : float
        The least Jaccard index, common / all features, of similar rows.
    seed : int
        Of the hashes and of the order in which training rows are compared.

    Returns
    -------
    test_rows, train_rows : numpy.ndarray of shape (n_found,)
        The test rows, rising, and the most similar of the training rows that each was compared with.
    jaccard : numpy.ndarray of shape (n_found,)
        The Jaccard index of the two.

    Examples
    --------
    >>> train, test = sp.csr_array(np.tri(9)), sp.csr_array(np.ones((1, 9)))
    >>> similar_rows(train, test, similarity=0.9, seed=0)[1]
    array([8])
    """
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(np.diff(part.indptr) >= _LEAST_FEATURES) for part in (train, test)]
    train, test = train[rows[0]], test[rows[1]]
    factors = rng.integers(2**64, size=(_N_BANDS, _BAND_ROWS), dtype=np.uint64) | np.uint64(1)
    keys = (_band_keys(part, factors) for part in (train, test))
    bands = [_band(of_train, of_test, rng) for of_train, of_test in zip(*keys, strict=True)]
    best, share = np.full(test.shape[0], -1), np.zeros(test.shape[0])
    for offsets in itertools.pairwise((0, *_PER_BAND)):
        left = np.flatnonzero(best < 0)
        pairs = distinct(*(_candidates(band, left, offsets) for band in bands))
        at_test, at_train = np.divmod(pairs, max(train.shape[0], 1))
        jaccard = _jaccard(train, at_train, test, at_test)
        order = np.lexsort((at_train, -jaccard, at_test))
        order = order[jaccard[order] >= similarity]
        at_test, first = np.unique(at_test[order], return_index=True)
        best[at_test], share[at_test] = at_train[order][first], jaccard[order][first]
    found = np.flatnonzero(best >= 0)
    return rows[1][found], rows[0][best[found]], share[found]


def _band_keys(rows, factors):
    """Return a key for each band and row: equal for rows whose features have the same least hashes."""
    keys = np.zeros((len(factors), rows.shape[0]), dtype=np.uint64)
    block = max(1, int(_BLOCK_ENTRIES * rows.shape[0] / max(rows.nnz, 1)))
    for start in range(0, rows.shape[0], block):
        end = min(start + block, rows.shape[0])
        hashes = scrambled(rows.indices[rows.indptr[start] : rows.indptr[end]].astype(np.uint64))
        starts = rows.indptr[start:end] - rows.indptr[start]
        for band, factor in itertools.product(range(_N_BANDS), range(_BAND_ROWS)):
            least = np.minimum.reduceat(hashes * factors[band, factor], starts)
            keys[band, start:end] = scrambled(keys[band, start:end] ^ least)
    return keys


def _band(train_keys, test_keys, rng):
    """Return the training rows in the order of their keys, and where those of each test row start and end."""
    order = rng.permutation(len(train_keys))
    order = order[np.argsort(train_keys[order], kind="stable")]
    start, end = (np.searchsorted(train_keys[order], test_keys, side=side) for side in ("left", "right"))
    return order, start, end


def _candidates(band, test_rows, offsets):
    """Return test row · n_train + training row for some training rows with the key of each test row."""
    order, start, end = band
    start, end = start[test_rows] + offsets[0], np.minimum(end[test_rows], start[test_rows] + offsets[1])
    counts = np.maximum(end - start, 0)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(test_rows * len(order), counts) + order[np.repeat(start, counts) + within]


def _jaccard(train, train_rows, test, test_rows):
    """Return |common features| / |all features| of pairs of rows."""
    common = np.zeros(len(test_rows))
    block = max(1, int(_BLOCK_ENTRIES * test.shape[0] / max(test.nnz, 1)))
    for start in range(0, len(test_rows), block):
        part = slice(start, start + block)
        a, b = train[train_rows[part]], test[test_rows[part]]
        common[part] = np.diff(sp.csr_array(a.multiply(b)).indptr)
    sizes = np.diff(train.indptr)[train_rows] + np.diff(test.indptr)[test_rows]
    return common / (sizes - common)


def scrambled(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of SplitMix64: Steele, Lea and Flood 2014).

    Parameters
    ----------
    values : numpy.ndarray of uint64
        Any numbers.

    Returns
    -------
    numpy.ndarray of uint64
        Numbers that look drawn at random; different values give different numbers.

    Examples
    --------
    >>> bool(scrambled(np.array([1], dtype=np.uint64)) == scrambled(np.array([2], dtype=np.uint64)))
    False
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
