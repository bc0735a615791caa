"""How well probabilities agree with what happens: reliability curves, ECE, Brier score and log-loss.

Everything works on *pairs* (row, label). ``"candidates"`` are the pairs that carry a score: the stored pairs
of a sparse matrix, every pair of an array. ``"all"`` adds the absent pairs of a sparse matrix, with
probability 0.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.metrics._pairs import ScoredPairs
from adathresh.utils.parameters import check_value, one_of, whole
from adathresh.utils.types import MatrixLike

Pairs = Literal["candidates", "all"]

N_BINS = 15
"""Bins of the expected calibration error, where nothing else is asked for."""

# the 97.5 % point of the normal distribution: two-sided 95 % intervals
_Z_95 = 1.959963984540054
# the log-loss of one pair never exceeds −log of this
_LEAST_PROBABILITY = 1e-7


class ReliabilityCurve(NamedTuple):
    """Calibration of probabilities by equal-mass bin; one entry for every bin that holds a pair.

    Attributes
    ----------
    mean_predicted : ndarray of shape (n_bins,)
        Mean probability of the bin, rising.
    observed : ndarray of shape (n_bins,)
        Share of the bin's pairs whose label is true.
    count : ndarray of shape (n_bins,)
        Number of pairs.
    low, high : ndarray of shape (n_bins,)
        95 % Wilson score interval of ``observed``.

    Examples
    --------
    >>> from adathresh.metrics import reliability_curve
    >>> curve = reliability_curve([[0, 0, 1, 0]], [[0.1, 0.3, 0.6, 0.8]], n_bins=2)
    >>> curve.count, curve.observed, curve.high.round(2)
    (array([2, 2]), array([0. , 0.5]), array([0.66, 0.91]))
    """

    mean_predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray  # type: ignore[assignment] # in place of the tuple's own count
    low: np.ndarray
    high: np.ndarray


def reliability_curve(
    Y_true: MatrixLike, scores: MatrixLike, *, n_bins: int = N_BINS, pairs: Pairs = "candidates"
) -> ReliabilityCurve:
    """Compare predicted probabilities with observed shares in bins of equal mass.

    A pair of average rank r among n falls into bin ⌊n_bins·(r − ½)/n⌋. Equal probabilities therefore share
    one bin, so that the curve does not depend on the order of the rows; bins that ties leave empty are left
    out.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    n_bins : int, default=15
        Number of bins, at least 1.
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    ReliabilityCurve
        Mean prediction, observed share, number of pairs and interval of every bin that is not empty.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or n_bins or pairs is out of range.

    Examples
    --------
    >>> from adathresh.metrics import reliability_curve
    >>> curve = reliability_curve([[0, 0, 1, 1]], [[0.1, 0.3, 0.6, 0.8]], n_bins=2)
    >>> curve.mean_predicted.round(2), curve.observed
    (array([0.2, 0.7]), array([0., 1.]))
    """
    check_value("n_bins", n_bins, whole(1))
    return _curve(ScoredPairs(Y_true, scores, probabilities=True), n_bins, pairs)


def expected_calibration_error(
    Y_true: MatrixLike, scores: MatrixLike, *, n_bins: int = N_BINS, pairs: Pairs = "candidates"
) -> float:
    """Mean gap between predicted probability and observed share over equal-mass bins.

    ``ECE = Σ_b (n_b / n)·|mean p − share true|_b`` (Naeini et al. 2015, with equal-mass bins) over the bins
    of :func:`reliability_curve`.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    n_bins : int, default=15
        Number of bins, at least 1.
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no pair.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or n_bins or pairs is out of range.

    Examples
    --------
    >>> from adathresh.metrics import expected_calibration_error
    >>> Y, scores = [[0, 0, 1, 1]], [[0.25, 0.25, 0.5, 0.5]]  # the halves are off by 0.25 and by 0.5
    >>> expected_calibration_error(Y, scores, n_bins=2)
    0.375
    """
    return _gap(reliability_curve(Y_true, scores, n_bins=n_bins, pairs=pairs))


def brier_score(Y_true: MatrixLike, scores: MatrixLike, *, pairs: Pairs = "candidates") -> float:
    """Mean squared difference between probability and truth over (row, label) pairs.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no pair.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or pairs is neither of the two.

    Examples
    --------
    >>> from adathresh.metrics import brier_score
    >>> brier_score([[0, 1]], [[0.5, 1.0]])
    0.125
    """
    return _mean_loss(Y_true, scores, pairs, _squared_difference)


def log_loss(Y_true: MatrixLike, scores: MatrixLike, *, pairs: Pairs = "candidates") -> float:
    """Mean negative log-likelihood, −log max(P(observed truth), 1e-7), over (row, label) pairs.

    The floor of 1e-7 bounds what a true label with probability 0 costs, at 16.1.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    float
        In [0, 16.2]; NaN when there is no pair.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or pairs is neither of the two.

    Examples
    --------
    >>> from adathresh.metrics import log_loss
    >>> round(log_loss([[0, 1]], [[0.5, 1.0]]), 4)  # half of log 2
    0.3466
    """
    return _mean_loss(Y_true, scores, pairs, _negative_log)


def _equal_mass_bins(probabilities, n_bins):
    """Return the bin of each probability among all of them, as :func:`reliability_curve` forms them."""
    ordered = np.sort(probabilities)
    return _bins_of(probabilities, ordered, _bin_starts(ordered, 0, n_bins))


def _calibration_metrics_of(scored):
    """Return ECE, Brier score and log-loss over the candidate pairs and over all pairs, by name."""
    squared, negative = (_loss_sum(scored, loss) for loss in (_squared_difference, _negative_log))
    result = {}
    for pairs in ("candidates", "all"):
        result[f"ece_{pairs}"] = _gap(_curve(scored, N_BINS, pairs))
        result[f"brier_{pairs}"] = _mean_of_sum(scored, pairs, _squared_difference, squared)
        result[f"log_loss_{pairs}"] = _mean_of_sum(scored, pairs, _negative_log, negative)
    return result


def _bin_starts(ordered, n_zeros, n_bins):
    """Return the place where each bin but the first starts among n_zeros zeros and then rising probabilities.

    Integers keep the bins exact: equal probabilities from place s to place e have the average rank − ½ of
    (s + e) / 2, and their bin is ⌊n_bins·(s + e) / (2·n)⌋.
    """
    n_pairs = n_zeros + len(ordered)
    numbers = np.arange(1, n_bins)
    # where a bin starts if nothing is tied; what is tied with the pair there is all in it, or all below it
    nominal = n_pairs * numbers // n_bins
    scored = n_zeros <= nominal
    value = np.zeros(len(numbers), dtype=ordered.dtype)
    if n_pairs:
        value[scored] = ordered[nominal[scored] - n_zeros]
    start = np.searchsorted(ordered, value) + np.where(value > 0, n_zeros, 0)
    end = np.searchsorted(ordered, value, side="right") + n_zeros
    return np.where(n_bins * (start + end) // max(2 * n_pairs, 1) >= numbers, start, end)


def _bins_of(probabilities, ordered, starts):
    """Return the bin of each probability, given where the bins start among the ordered ones."""
    least = ordered[starts[starts < len(ordered)]]  # what starts beyond the last one is an empty bin
    return np.searchsorted(least, probabilities, side="right")


def _curve(scored, n_bins, pairs):
    """Return the reliability curve of checked pairs."""
    n_absent, ordered = _n_absent(scored.scores, pairs), scored.rising
    places = np.r_[0, _bin_starts(ordered, n_absent, n_bins), len(ordered) + n_absent]
    count = np.diff(places)
    places = (places - n_absent).clip(0)  # without the absent pairs
    predicted = np.array([ordered[a:b].sum(dtype=np.float64) for a, b in pairwise(places)])
    positives = np.bincount(_bins_of(scored.values[scored.truth], ordered, places[1:-1]), minlength=n_bins)
    if n_absent:
        positives[np.flatnonzero(count)[0]] += scored.Y.nnz - np.count_nonzero(scored.truth)
    kept = count > 0
    count, positives = count[kept], positives[kept]
    low, high = _wilson_interval(positives, count)
    return ReliabilityCurve(predicted[kept] / count, positives / count, count, low, high)


def _gap(curve):
    """Mean gap of a reliability curve, weighted with the pairs of each bin."""
    if not len(curve.count):
        return float("nan")
    return float(np.average(np.abs(curve.mean_predicted - curve.observed), weights=curve.count))


def _n_absent(scores, pairs):
    """Count the pairs without a score that a metric over ``pairs`` takes in with probability 0."""
    check_value("pairs", pairs, one_of("candidates", "all"))
    if pairs == "candidates" or not sp.issparse(scores):
        return 0
    return scores.shape[0] * scores.shape[1] - scores.nnz


def _wilson_interval(positives, count):
    """95 % score interval of a binomial share (Wilson 1927)."""
    count = count.astype(np.float64)  # its square overflows integers
    share = positives / count
    center = share + _Z_95**2 / (2 * count)
    half = _Z_95 * np.sqrt(share * (1 - share) / count + _Z_95**2 / (4 * count**2))
    scale = 1 + _Z_95**2 / count
    # the exact interval ends at 0 and 1; rounding must not carry it past the observed share
    return np.minimum(np.maximum((center - half) / scale, 0), share), np.maximum(
        np.minimum((center + half) / scale, 1), share
    )


def _squared_difference(p, true):
    """Loss of the Brier score."""
    return (p - true) ** 2


def _negative_log(p, true):
    """Loss of the log-loss."""
    return -np.log(np.maximum(np.where(true, p, 1 - p), _LEAST_PROBABILITY))


def _mean_loss(Y_true, scores, pairs, loss):
    """Mean of loss(probability, truth) over the candidate pairs or over all pairs."""
    scored = ScoredPairs(Y_true, scores, probabilities=True)
    return _mean_of_sum(scored, pairs, loss, _loss_sum(scored, loss))


def _loss_sum(scored, loss):
    """Sum of loss(probability, truth) over the candidate pairs."""
    return loss(scored.values.astype(np.float64), scored.truth).sum()


def _mean_of_sum(scored, pairs, loss, total):
    """Mean loss over the candidate pairs or over all pairs, given its sum over the candidates."""
    n_absent = _n_absent(scored.scores, pairs)
    n_pairs = len(scored.truth) + n_absent
    if n_absent:
        missed = scored.Y.nnz - np.count_nonzero(scored.truth)
        of_true, of_false = loss(np.zeros(2), np.array([True, False]))
        total += missed * of_true + (n_absent - missed) * of_false
    return float(total / n_pairs) if n_pairs else float("nan")
