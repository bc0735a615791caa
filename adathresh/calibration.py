"""How far probabilities can be believed, and how to mend them: reliability, temperature, isotonic.

Everything works on *pairs* (row, label). ``"candidates"`` are the pairs that carry a score: the stored pairs
of a sparse matrix, every pair of an array. ``"all"`` adds the absent pairs of a sparse matrix, with
probability 0.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from adathresh.utils.validation import candidate_pairs, check_labels, check_scores

# the 97.5 % point of the normal distribution: two-sided 95 % intervals
_Z_95 = 1.959963984540054
# probabilities nearer to 0 or 1 than this have logits that say nothing about the model
_MARGIN = 1e-7


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
    """

    mean_predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray
    low: np.ndarray
    high: np.ndarray


def reliability_curve(Y_true, scores, *, n_bins=15, pairs="candidates"):
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
    >>> from adathresh.calibration import reliability_curve
    >>> curve = reliability_curve([[0, 0, 1, 1]], [[0.1, 0.3, 0.6, 0.8]], n_bins=2)
    >>> curve.mean_predicted.round(2), curve.observed
    (array([0.2, 0.7]), array([0., 1.]))
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1; got {n_bins}.")
    Y_true = check_labels(Y_true, name="Y_true")
    scores = check_scores(scores, n_samples=Y_true.shape[0], n_labels=Y_true.shape[1], probabilities=True)
    _, probabilities, truth = candidate_pairs(Y_true, scores)
    n_absent = n_absent_pairs(scores, pairs)
    bins, zero_bin = equal_mass_bins(probabilities, n_absent, n_bins)
    count = np.bincount(bins, minlength=n_bins)
    positives = np.bincount(bins[truth], minlength=n_bins)
    predicted = np.bincount(bins, weights=probabilities, minlength=n_bins)
    if n_absent:
        count[zero_bin] += n_absent
        positives[zero_bin] += Y_true.nnz - truth.sum()
    kept = count > 0
    count, positives = count[kept], positives[kept]
    low, high = _wilson_interval(positives, count)
    return ReliabilityCurve(predicted[kept] / count, positives / count, count, low, high)


def n_absent_pairs(scores, pairs):
    """Count the pairs without a score that a metric over ``pairs`` takes in with probability 0.

    Parameters
    ----------
    scores : ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        Probabilities.
    pairs : {"candidates", "all"}
        Which pairs the metric covers.

    Returns
    -------
    int
        0 for arrays and for ``"candidates"``.

    Raises
    ------
    ValueError
        If pairs is neither of the two.
    """
    if pairs not in ("candidates", "all"):
        raise ValueError(f'pairs must be "candidates" or "all"; got {pairs!r}.')
    if pairs == "candidates" or not sp.issparse(scores):
        return 0
    return scores.shape[0] * scores.shape[1] - scores.nnz


def equal_mass_bins(probabilities, n_zeros, n_bins):
    """Bin probabilities by their average rank, as :func:`reliability_curve` does.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_pairs,)
        In [0, 1], in any order.
    n_zeros : int
        Number of further pairs, of probability 0, that are ranked with them.
    n_bins : int
        Number of bins, at least 1.

    Returns
    -------
    bins : numpy.ndarray of int, shape (n_pairs,)
        Bin of each probability, in [0, n_bins).
    zero_bin : int or None
        Bin of the further pairs; None if there are none.
    """
    ordered = np.sort(probabilities)
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
    last = np.r_[first[1:], len(ordered)]
    values = ordered[first]
    starts, stops = first + n_zeros, last + n_zeros
    if n_zeros and (not len(values) or values[0] > 0):
        values, starts, stops = np.r_[0.0, values], np.r_[0, starts], np.r_[n_zeros, stops]
    elif n_zeros:
        starts[0] = 0  # stored zeros are tied with the implicit ones
    n_pairs = len(ordered) + n_zeros
    # (start + stop) / 2 is the average rank − ½; integers keep the bin exact
    bin_of_value = n_bins * (starts + stops) // max(2 * n_pairs, 1)
    # bins rise with the value, so that a search among the few bin starts replaces one among all values
    opens = np.flatnonzero(np.r_[True, bin_of_value[1:] != bin_of_value[:-1]][: len(values)])
    bins = bin_of_value[opens][np.searchsorted(values[opens], probabilities, side="right") - 1]
    return bins, bin_of_value[0] if n_zeros else None


def _wilson_interval(positives, count):
    """95 % score interval of a binomial share (Wilson 1927)."""
    count = count.astype(np.float64)  # its square overflows integers
    share = positives / count
    centre = share + _Z_95**2 / (2 * count)
    half = _Z_95 * np.sqrt(share * (1 - share) / count + _Z_95**2 / (4 * count**2))
    scale = 1 + _Z_95**2 / count
    # the exact interval ends at 0 and 1; rounding must not carry it past the observed share
    return np.minimum(np.maximum((centre - half) / scale, 0), share), np.maximum(
        np.minimum((centre + half) / scale, 1), share
    )


class TemperatureScaling(BaseEstimator):
    """Calibrate all scores with one temperature T and one bias b: p' = sigmoid(z / T + b).

    T and b minimise the log-loss of the held-out pairs (Guo et al. 2017, arXiv:1706.04599; with the bias,
    Platt 1999). The order of the scores never changes.

    Parameters
    ----------
    from_logits : bool, default=False
        Whether the scores are logits (any real number); otherwise they are probabilities, and z = logit(p).
    bias : bool, default=True
        Whether to fit b; without it b = 0, and probability ½ stays ½.

    Attributes
    ----------
    temperature_ : float
        T, within [0.001, 1000]. Scores that do not rise with the truth end at 1000.
    bias_ : float
        The bias b.

    Examples
    --------
    >>> from adathresh.calibration import TemperatureScaling
    >>> logits, Y = [[4.0, -4.0, 4.0, -4.0]], [[1, 0, 0, 1]]  # confident, and wrong half of the time
    >>> TemperatureScaling(from_logits=True).fit(logits, Y).transform(logits).round(2)
    array([[0.5, 0.5, 0.5, 0.5]])
    """

    def __init__(self, *, from_logits=False, bias=True):
        self.from_logits = from_logits
        self.bias = bias

    def fit(self, scores, Y):
        """Find the temperature and the bias on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Held-out logits or probabilities; of a sparse matrix the stored pairs count.
        Y : array-like or sparse of shape (n_samples, n_labels)
            True labels, 0 or 1.

        Returns
        -------
        TemperatureScaling
            The fitted object.

        Raises
        ------
        ValueError
            If the inputs do not match, or the scored pairs are all true or all false.
        """
        values, truth = _pairs_with_both_classes(scores, Y, probabilities=not self.from_logits)
        z, y = self._logits(values), truth.astype(np.float64)

        def _loss(parameters):
            """Return the loss and its gradient."""
            slope, bias = parameters
            u = slope * z + bias
            residual = (expit(u) - y) / len(y)
            return np.mean(np.logaddexp(0, u) - y * u), np.array([residual @ z, residual.sum()])

        # in (1/T, b) the problem is convex; a pinned bound leaves b at 0
        bounds = [(1e-3, 1e3), (None, None) if self.bias else (0, 0)]
        slope, bias = minimize(_loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds).x
        self.temperature_, self.bias_ = float(1 / slope), float(bias)
        return self

    def transform(self, scores):
        """Return calibrated probabilities.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Logits or probabilities, as in :meth:`fit`.

        Returns
        -------
        ndarray or csr_array of shape (n_samples, n_labels)
            Probabilities; sparse with the same stored pairs if the scores were sparse.

        Raises
        ------
        ValueError
            If the scores are not finite, or not probabilities without ``from_logits``.
        """
        check_is_fitted(self)
        scores = check_scores(scores, probabilities=not self.from_logits)
        return _map_scores(scores, lambda s: expit(self._logits(s) / self.temperature_ + self.bias_))

    def _logits(self, values):
        """Turn scores into float64 logits."""
        values = values.astype(np.float64)
        return values if self.from_logits else logit(np.clip(values, _MARGIN, 1 - _MARGIN))


class IsotonicCalibration(BaseEstimator):
    """Calibrate all scores with one rising step function, pooled over the labels.

    The function is the isotonic regression of the truth on the score over the held-out pairs (Zadrozny and
    Elkan 2002). Pooling is what makes it usable on the long tail: a rare label has too few positives for a
    function of its own. Different scores may become equal.

    Attributes
    ----------
    regression_ : sklearn.isotonic.IsotonicRegression
        The fitted function; constant beyond the held-out scores.

    Examples
    --------
    >>> from adathresh.calibration import IsotonicCalibration
    >>> scores, Y = [[-3.0, -1.0, 0.5, 2.0]], [[0, 1, 0, 1]]
    >>> IsotonicCalibration().fit(scores, Y).transform(scores)
    array([[0. , 0.5, 0.5, 1. ]])
    """

    def fit(self, scores, Y):
        """Find the step function on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Held-out scores of any range; of a sparse matrix the stored pairs count.
        Y : array-like or sparse of shape (n_samples, n_labels)
            True labels, 0 or 1.

        Returns
        -------
        IsotonicCalibration
            The fitted object.

        Raises
        ------
        ValueError
            If the inputs do not match, or the scored pairs are all true or all false.
        """
        values, truth = _pairs_with_both_classes(scores, Y)
        self.regression_ = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        self.regression_.fit(values.astype(np.float64), truth)
        return self

    def transform(self, scores):
        """Return calibrated probabilities.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Scores on the scale of :meth:`fit`.

        Returns
        -------
        ndarray or csr_array of shape (n_samples, n_labels)
            Probabilities; sparse with the same stored pairs if the scores were sparse.

        Raises
        ------
        ValueError
            If the scores are not finite.
        """
        check_is_fitted(self)
        return _map_scores(check_scores(scores), lambda s: self.regression_.predict(s.astype(np.float64)))


def _pairs_with_both_classes(scores, Y, *, probabilities=False):
    """Return score and truth of every candidate pair, or say that nothing can be fitted on them."""
    scores = check_scores(scores, probabilities=probabilities)
    Y = check_labels(Y, n_samples=scores.shape[0], n_labels=scores.shape[1])
    _, values, truth = candidate_pairs(Y, scores)
    if truth.all() or not truth.any():
        raise ValueError(
            f"calibration needs scored pairs of both classes; {truth.sum()} of {len(truth)} scored pairs are "
            "true. Fit on more held-out rows."
        )
    return values, truth


def _map_scores(scores, function):
    """Apply a function to every score and keep the container."""
    if not sp.issparse(scores):
        return function(scores.ravel()).reshape(scores.shape)
    return sp.csr_array((function(scores.data), scores.indices, scores.indptr), shape=scores.shape)
