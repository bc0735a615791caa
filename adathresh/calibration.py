"""Calibrators: temperature, Platt and isotonic, one function for all labels or one for each label.

A calibrator turns scores into probabilities that can be believed. Each is fitted on held-out rows by
``fit(scores, Y)``, on the *candidate pairs*: the stored (row, label) pairs of sparse scores, every pair of an
array. ``transform(scores)`` returns probabilities at the same pairs.
"""

from collections.abc import Iterator
from typing import Self

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from adathresh.utils.parameters import check_parameters, flag, parameters
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import (
    CandidatePairs,
    candidate_pairs,
    check_labels,
    check_scores,
    grouped_by_label,
)

# probabilities nearer to 0 or 1 than this have logits that say nothing about the model
_MARGIN = 1e-7


class TemperatureScaling(BaseEstimator):
    """Calibrate all scores with one temperature T and one bias b: p = sigmoid(z / T + b).

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

    _parameters = parameters(from_logits=flag(), bias=flag())

    def __init__(self, *, from_logits: bool = False, bias: bool = True):
        self.from_logits = from_logits
        self.bias = bias

    def fit(self, scores: MatrixLike, Y: MatrixLike) -> Self:
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
            If the inputs do not match, the scored pairs are all true or all false, or a parameter is neither
            True nor False.
        """
        check_parameters(self)
        pairs = _pairs_with_both_classes(scores, Y, probabilities=not self.from_logits)
        # a pinned bound leaves b at 0
        bounds = [(1e-3, 1e3), (None, None) if self.bias else (0, 0)]
        z = _logits(pairs.scores, from_logits=self.from_logits)
        slope, self.bias_ = _fit_sigmoid(z, pairs.truth, start=[1.0, 0.0], bounds=bounds)
        self.temperature_ = 1 / slope
        return self

    def transform(self, scores: MatrixLike) -> Matrix:
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
        z = _logits(_values(scores), from_logits=self.from_logits)
        return _with_values(scores, expit(z / self.temperature_ + self.bias_))


class PlattScaling(BaseEstimator):
    """Calibrate by a sigmoid with a slope and a bias, p = sigmoid(a·z + b), pooled or label by label.

    a and b minimise the log-loss of the held-out pairs against the targets (n₊ + 1) / (n₊ + 2) of the n₊ true
    pairs and 1 / (n₋ + 2) of the n₋ others (Platt 1999), which keeps the sigmoid finite where the scores
    separate the classes. Unlike :class:`TemperatureScaling`, a may be negative.

    Parameters
    ----------
    per_label : bool, default=False
        Whether each label gets a sigmoid of its own, fitted on its own candidate pairs. A label whose pairs
        are all true or all false, or that has none, takes the sigmoid of all pairs.
    from_logits : bool, default=False
        Whether the scores are logits (any real number); otherwise they are probabilities, and z = logit(p).

    Attributes
    ----------
    slope_, bias_ : float
        a and b of all pairs together.
    label_slopes_, label_biases_ : numpy.ndarray of shape (n_labels,)
        a and b of each label; only with ``per_label``.

    Examples
    --------
    >>> from adathresh.calibration import PlattScaling
    >>> scores, Y = [[0.9, 0.3], [0.8, 0.2], [0.6, 0.1]], [[1, 1], [0, 1], [0, 0]]
    >>> PlattScaling(per_label=True).fit(scores, Y).transform(scores).round(2)
    array([[0.59, 0.81],
           [0.39, 0.66],
           [0.19, 0.37]])
    """

    _parameters = parameters(per_label=flag(), from_logits=flag())

    def __init__(self, *, per_label: bool = False, from_logits: bool = False):
        self.per_label = per_label
        self.from_logits = from_logits

    def fit(self, scores: MatrixLike, Y: MatrixLike) -> Self:
        """Find slope and bias on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Held-out logits or probabilities; of a sparse matrix the stored pairs count.
        Y : array-like or sparse of shape (n_samples, n_labels)
            True labels, 0 or 1.

        Returns
        -------
        PlattScaling
            The fitted object.

        Raises
        ------
        ValueError
            If the inputs do not match, the scored pairs are all true or all false, or a parameter is neither
            True nor False.
        """
        check_parameters(self)
        pairs = _pairs_with_both_classes(scores, Y, probabilities=not self.from_logits)
        z = _logits(pairs.scores, from_logits=self.from_logits)
        self.slope_, self.bias_ = _fit_platt(z, pairs.truth)
        if self.per_label:
            n_labels = np.shape(scores)[1]
            self.label_slopes_ = np.full(n_labels, self.slope_)
            self.label_biases_ = np.full(n_labels, self.bias_)
            for label, places in _places_by_label(pairs.labels):
                truth = pairs.truth[places]
                if truth.any() and not truth.all():
                    own = _fit_platt(z[places], truth)
                    self.label_slopes_[label], self.label_biases_[label] = own
        return self

    def transform(self, scores: MatrixLike) -> Matrix:
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
            If the scores are not finite, not probabilities without ``from_logits``, or, with ``per_label``,
            of other labels than in :meth:`fit`.
        """
        check_is_fitted(self)
        slope, bias, n_labels = self.slope_, self.bias_, None
        if self.per_label:
            n_labels = len(self.label_slopes_)
        scores = check_scores(scores, n_labels=n_labels, probabilities=not self.from_logits)
        if self.per_label:
            labels = _labels(scores)
            slope, bias = self.label_slopes_[labels], self.label_biases_[labels]
        z = _logits(_values(scores), from_logits=self.from_logits)
        return _with_values(scores, expit(slope * z + bias))


class IsotonicCalibration(BaseEstimator):
    """Calibrate by a rising function of the score, pooled over the labels or one for each label.

    The function is the isotonic regression of the truth on the score over the held-out pairs (Zadrozny and
    Elkan 2002), linear between them. Pooling is what makes it usable on the long tail: a rare label has too
    few positives for a function of its own. Different scores may become equal.

    Parameters
    ----------
    per_label : bool, default=False
        Whether each label gets a function of its own, fitted on its own candidate pairs. A label whose pairs
        are all true or all false, or that has none, takes the function of all pairs.

    Attributes
    ----------
    regression_ : sklearn.isotonic.IsotonicRegression
        The function of all pairs together; constant beyond the held-out scores.
    label_regressions_ : dict of int to sklearn.isotonic.IsotonicRegression
        The functions of the labels that have their own; only with ``per_label``.

    Examples
    --------
    >>> from adathresh.calibration import IsotonicCalibration
    >>> scores, Y = [[-3.0, -1.0, 0.5, 2.0]], [[0, 1, 0, 1]]
    >>> IsotonicCalibration().fit(scores, Y).transform(scores)
    array([[0. , 0.5, 0.5, 1. ]])
    """

    _parameters = parameters(per_label=flag())

    def __init__(self, *, per_label: bool = False):
        self.per_label = per_label

    def fit(self, scores: MatrixLike, Y: MatrixLike) -> Self:
        """Find the rising function on held-out rows.

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
            If the inputs do not match, the scored pairs are all true or all false, or a parameter is neither
            True nor False.
        """
        check_parameters(self)
        pairs = _pairs_with_both_classes(scores, Y)
        values = pairs.scores.astype(np.float64)
        self.regression_ = _fit_isotonic(values, pairs.truth)
        if self.per_label:
            self._n_labels, self.label_regressions_ = np.shape(scores)[1], {}
            for label, places in _places_by_label(pairs.labels):
                truth = pairs.truth[places]
                if truth.any() and not truth.all():
                    self.label_regressions_[label] = _fit_isotonic(values[places], truth)
        return self

    def transform(self, scores: MatrixLike) -> Matrix:
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
            If the scores are not finite or, with ``per_label``, of other labels than in :meth:`fit`.
        """
        check_is_fitted(self)
        scores = check_scores(scores, n_labels=self._n_labels if self.per_label else None)
        values = _values(scores).astype(np.float64)
        calibrated = self.regression_.predict(values) if len(values) else values
        if self.per_label:
            for label, places in _places_by_label(_labels(scores)):
                if label in self.label_regressions_:
                    calibrated[places] = self.label_regressions_[label].predict(values[places])
        return _with_values(scores, calibrated)


def _fit_isotonic(values, truth):
    """Fit the isotonic regression of the truth on some scores."""
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values, truth)


def _fit_platt(z, truth):
    """Return slope and bias of Platt's sigmoid."""
    n_true, n_false = truth.sum(), (~truth).sum()
    targets = np.where(truth, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
    scale = np.abs(z).max() or 1.0  # the search for the optimum needs a slope and a bias of similar size
    start = [0.0, np.log((n_true + 1) / (n_false + 1))]
    slope, bias = _fit_sigmoid(z / scale, targets, start=start, options={"ftol": 1e-12, "gtol": 1e-8})
    return slope / scale, bias


def _fit_sigmoid(z, targets, *, start, bounds=None, options=None):
    """Return slope and bias with the least log-loss of sigmoid(slope·z + bias); the problem is convex."""
    targets = targets.astype(np.float64)

    def loss_and_gradient(parameters):
        slope, bias = parameters
        u = slope * z + bias
        residual = (expit(u) - targets) / len(targets)
        return np.mean(np.logaddexp(0, u) - targets * u), np.array([residual @ z, residual.sum()])

    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return tuple(found.x.tolist())


def _pairs_with_both_classes(scores, Y, *, probabilities=False) -> CandidatePairs:
    """Return the candidate pairs, or say that nothing can be fitted on them."""
    scores = check_scores(scores, probabilities=probabilities)
    pairs = candidate_pairs(check_labels(Y, n_samples=scores.shape[0], n_labels=scores.shape[1]), scores)
    if pairs.truth.all() or not pairs.truth.any():
        raise ValueError(
            f"calibration needs scored pairs of both classes; {pairs.truth.sum()} of {len(pairs.truth)} "
            "scored pairs are true by Y. Fit on more held-out rows."
        )
    return pairs


def _places_by_label(labels) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each label that has pairs, with the places of its pairs."""
    order = grouped_by_label(labels)
    present, first = np.unique(labels[order], return_index=True)
    yield from zip(present.tolist(), np.split(order, first)[1:], strict=True)


def _logits(values, *, from_logits):
    """Turn scores into float64 logits."""
    values = values.astype(np.float64)
    return values if from_logits else logit(np.clip(values, _MARGIN, 1 - _MARGIN))


def _labels(scores):
    """Label of every candidate pair, row by row."""
    if sp.issparse(scores):
        return scores.indices
    return np.tile(np.arange(scores.shape[1]), scores.shape[0])


def _values(scores):
    """Score of every candidate pair, row by row."""
    return scores.data if sp.issparse(scores) else scores.ravel()


def _with_values(scores, values):
    """Return a container like that of the scores, with other values at the same pairs."""
    if not sp.issparse(scores):
        return values.reshape(scores.shape)
    return sp.csr_array((values, scores.indices, scores.indptr), shape=scores.shape)
