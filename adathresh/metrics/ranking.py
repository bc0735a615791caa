"""Metrics of the few labels that score highest in each row: precision@k and its propensity-scored form."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from adathresh.metrics._common import check_counts, hits, match_scores
from adathresh.metrics._pairs import blocks_of_equal_size
from adathresh.utils.parameters import check_value, number, whole
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_scores


def top_k(scores: MatrixLike, k: int) -> sp.csr_array:
    """Keep the k highest scores of each row; of equal scores the lower label index comes first.

    Parameters
    ----------
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores; an absent pair of a sparse matrix is never kept.
    k : int
        How many, at least 1. A row with fewer scores keeps all it has.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        The kept scores; a kept score of 0 is stored.

    Raises
    ------
    ValueError
        If k is no whole number, at least 1, or the scores are not finite.

    Examples
    --------
    >>> from adathresh.metrics import top_k
    >>> top_k([[0.2, 0.9, 0.2, 0.4], [0.5, 0.5, 0.5, 0.1]], 2).toarray()
    array([[0. , 0.9, 0. , 0.4],
           [0.5, 0.5, 0. , 0. ]])
    """
    check_value("k", k, whole(1))
    scores = check_scores(scores)
    n_samples, n_labels = scores.shape
    if isinstance(scores, np.ndarray):
        values, sizes = scores.ravel(), np.full(n_samples, n_labels)
    else:
        values, sizes = scores.data, np.diff(scores.indptr)
    kth = _kth_of_rows(values, sizes, k)
    reaching = np.flatnonzero(values >= np.repeat(kth, sizes))
    rows = np.searchsorted(np.cumsum(sizes), reaching, side="right")
    # more than k pairs reach the k-th score where that is tied: the first of the tied ones are kept
    per_row = np.bincount(rows, minlength=n_samples)
    tied = np.flatnonzero((per_row > k)[rows] & (values[reaching] == kth[rows]))
    row = rows[tied]
    n_room = np.bincount(row, minlength=n_samples) - np.maximum(per_row - k, 0)
    kept = np.ones(len(reaching), dtype=bool)
    kept[tied] = np.arange(len(row)) - np.searchsorted(row, row) < n_room[row]
    reaching = reaching[kept]
    labels = reaching % max(n_labels, 1) if isinstance(scores, np.ndarray) else scores.indices[reaching]
    indptr = np.r_[0, np.cumsum(np.minimum(per_row, k))]
    return sp.csr_array((values[reaching], labels, indptr), shape=scores.shape)


def _kth_of_rows(values, sizes, k):
    """Return the k-th highest value of each row, −inf where a row has no more than k.

    The values of the rows, ``sizes`` of them, follow each other.
    """
    kth = np.full(len(sizes), -np.inf, dtype=values.dtype)
    if len(sizes) and sizes.min() == sizes.max() > k:  # already a table, which need not be copied together
        kth[:] = np.partition(values.reshape(len(sizes), -1), -k, axis=1)[:, -k]
        return kth
    row_of = np.repeat(np.arange(len(sizes)), sizes)
    for places in blocks_of_equal_size(sizes, above=k):
        kth[row_of[places[:, 0]]] = np.partition(values[places], -k, axis=1)[:, -k]
    return kth


def precision_at_k(Y_true: MatrixLike, scores: MatrixLike, k: int) -> float:
    """Mean over the rows of the share of true labels among the k highest-scored ones.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores. Ties go to the lower label index.
    k : int
        Length of the list, at least 1. The divisor is always k, also for rows with fewer scores.

    Returns
    -------
    float
        In [0, 1]; NaN of no rows.

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite, or k is no whole number, at least 1.

    Examples
    --------
    >>> from adathresh.metrics import precision_at_k
    >>> precision_at_k([[1, 0, 1], [0, 1, 0]], [[0.9, 0.8, 0.1], [0.2, 0.7, 0.6]], 2)
    0.5
    """
    Y_true = check_labels(Y_true, name="Y_true")
    return _precision_of_hits(_hits_at_k(Y_true, top_k(match_scores(scores, Y_true), k)), k)


def psp_at_k(
    Y_true: MatrixLike,
    scores: MatrixLike,
    train_frequency: ArrayLike,
    k: int,
    *,
    n_train: int,
    A: float = 0.55,
    B: float = 1.5,
) -> float:
    """Propensity-scored precision at k, normalised by the best possible list.

    ``PSP@k = Σ_rows Σ_{l in top k} y_l / p_l  /  Σ_rows max_{|S| = k} Σ_{l in S} y_l / p_l`` with the
    propensity model 1/p_l = 1 + C·(N_l + B)^−A, C = (log N − 1)·(B + 1)^A (Jain, Prabhu and Varma, KDD 2016).
    Numerator and denominator are summed over the rows before the division, as in the evaluation scripts of
    the Extreme Classification Repository (pyxclib, ``psprecision``).

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores. Ties go to the lower label index.
    train_frequency : array-like of shape (n_labels,)
        N_l, the number of training rows with the label.
    k : int
        Length of the list, at least 1.
    n_train : int
        N, the number of training rows; at least 3.
    A, B : float
        Constants of the propensity model; the repository takes 0.55 and 1.5 for most data sets.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no true label.

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite, k < 1, n_train < 3, A or B are not finite, B is
        negative, or a frequency exceeds n_train.

    Examples
    --------
    >>> from adathresh.metrics import psp_at_k
    >>> Y, scores = [[1, 1, 0], [0, 0, 1]], [[0.9, 0.8, 0.1], [0.2, 0.7, 0.6]]
    >>> round(psp_at_k(Y, scores, train_frequency=[90, 2, 10], k=1, n_train=100), 3)
    0.229
    """
    Y_true = check_labels(Y_true, name="Y_true")
    weights = _inverse_propensities(train_frequency, Y_true.shape[1], n_train, A, B)
    return _psp_of_hits(_hits_at_k(Y_true, top_k(match_scores(scores, Y_true), k)), Y_true, weights, k)


def _inverse_propensities(train_frequency, n_labels, n_train, A=0.55, B=1.5):
    """Return 1/p_l of :func:`psp_at_k` for each label."""
    frequency = check_counts(train_frequency, n_labels=n_labels)
    check_value("n_train", n_train, number(least=3))  # the propensity model takes log(n_train) - 1
    check_value("A", A, number())
    check_value("B", B, number(least=0))
    if frequency.max(initial=0) > n_train:
        raise ValueError(f"train_frequency goes up to {frequency.max():g}, but n_train is {n_train}.")
    return 1 + (np.log(n_train) - 1) * (B + 1) ** A * (frequency + B) ** -A


def _hits_at_k(Y_true, lists):
    """Mark the pairs of the lists that :func:`top_k` returned which are true, whatever their score."""
    listed = np.ones(lists.nnz, dtype=np.float32)
    return hits(Y_true, sp.csr_array((listed, lists.indices, lists.indptr), shape=lists.shape))


def _precision_of_hits(listed_and_true, k):
    """Precision at k, given the true pairs of the lists."""
    n_samples = listed_and_true.shape[0]
    return float(listed_and_true.nnz / (k * n_samples)) if n_samples else float("nan")


def _psp_of_hits(listed_and_true, Y_true, weights, k):
    """Propensity-scored precision at k, given the true pairs of the lists."""
    gained = weights[listed_and_true.indices].sum()
    weighted = sp.csr_array((weights[Y_true.indices], Y_true.indices, Y_true.indptr), shape=Y_true.shape)
    best = top_k(weighted, k).data.sum()
    return float(gained / best) if best else float("nan")
