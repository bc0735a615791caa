"""Thresholds whose precision is guaranteed with a stated confidence, tested on rows held apart.

Thresholds are tested from strict to lax, in an order that is fixed before the rows held apart are looked at,
until one fails; the last that has passed is taken (fixed-sequence testing: Angelopoulos et al. 2021, "Learn
then test", arXiv:2110.01052). An imprecise threshold can only be taken if the first imprecise one in the
order has passed, and the probability of that is 1 − confidence at most.

What is tested is whether E[right] > precision · E[predicted] for the labels of a row. Rows are independent;
the labels within one need not be.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.stats import binom

from adathresh.utils.grouped import closes_label, first_pair, next_lower, rank
from adathresh.utils.validation import falling_by_label

# The first threshold is the strictest whose evidence is expected to be so many times what its test asks for.
_SAFE_EVIDENCE = 3.0
# From one threshold to the next the number of predicted pairs grows by this share.
_STEP = 0.05
# The limit of labels a row is the lowest that leaves this share of the predicted pairs.
_WITHIN_LIMIT = 0.99
# A bet risks at most this share of the wealth.
_LARGEST_RISK = 0.9


class HeldRows(NamedTuple):
    """Rows that the fusion has not seen.

    Examples
    --------
    >>> HeldRows(sp.csr_array([[0.9], [0.8]]), np.array([True, False]), np.array([1, 0])).probabilities.shape
    (2, 1)
    """

    probabilities: sp.csr_array
    """(n_samples, n_labels), fused probabilities of the candidate pairs."""
    truth: np.ndarray
    """(n_pairs,) bool, whether each of these pairs is true."""
    units: np.ndarray
    """(n_samples,) number, in random order, of each row's independent unit: the row itself, or its group."""


class Outcome(NamedTuple):
    """The threshold that is taken, and what the rows held apart say of it.

    Where none has passed its test, the threshold is ``inf``, and all else is that of the first one.

    Examples
    --------
    >>> Outcome(0.5, row_limit=3, n_predicted=40, n_right=39).threshold
    0.5
    """

    threshold: float
    """Pairs above it are predicted."""
    row_limit: int
    """Greatest number of labels that a row gets."""
    n_predicted: int
    """Predicted pairs of the rows held apart."""
    n_right: int
    """How many of these are true."""


class _Path(NamedTuple):
    """Pairs by falling probability."""

    p: np.ndarray
    place: np.ndarray  # how many pairs of the row have at least this probability
    truth: np.ndarray
    unit: np.ndarray

    def take(self, some):
        """Return some of the pairs."""
        return _Path(*(part[some] for part in self))


def guaranteed_threshold(
    fitted: sp.csr_array, held: HeldRows, *, precision: float, confidence: float
) -> Outcome:
    """Find one threshold for all labels whose predicted pairs together have the precision.

    With the given confidence over the draw of the rows held apart, E[right labels of a new row] is at least
    precision · E[its predicted labels]. A row gets its most probable labels up to a limit that goes with the
    threshold and leaves 99 % of what is predicted for the fitted rows: no test can bound the wrong labels of
    a row that may get any number of them. Where groups are the units, each counts as one row, by the mean
    over its rows.

    The test bets on a row's gain, right − precision · predicted; its p-value is one over the greatest wealth
    on the way (Waudby-Smith and Ramdas 2024, arXiv:2010.09686). Where rows get at most one label, it is that
    of the binomial distribution.

    Parameters
    ----------
    fitted : scipy.sparse.csr_array of shape (n_fitted, n_labels)
        Fused probabilities of the rows that the fusion was fitted on, which set the order of the thresholds.
    held : HeldRows
        Rows that the fusion has not seen.
    precision : float
        The precision to reach, in (0, 1).
    confidence : float
        How probable it is at least that the precision is reached, in (0, 1).

    Returns
    -------
    Outcome
        The last threshold that has passed.

    Examples
    --------
    >>> p, truth = sp.csr_array(np.linspace(0.99, 0.5, 99)[:, None]), np.arange(99) < 80
    >>> guaranteed_threshold(p, HeldRows(p, truth, np.arange(99)), precision=0.8, confidence=0.9).n_predicted
    93
    """
    rows = _rows(fitted)
    known = _Path(fitted.data, _places(fitted.data, rows), np.zeros(fitted.nnz, dtype=bool), rows)
    rows = _rows(held.probabilities)
    p = held.probabilities.data
    new = _Path(p, _places(p, rows), held.truth, held.units[rows])
    known, new = (path.take(np.argsort(-path.p, kind="stable")) for path in (known, new))
    return _last_passed(known, new, _Test(fitted, held, precision, confidence))


def guaranteed_label_thresholds(
    fitted: sp.csr_array, held: HeldRows, *, precision: float, confidence: float
) -> list[Outcome]:
    """Find the threshold of each label whose predictions have the precision.

    The confidence is that of each label alone: (1 − confidence) · n_labels labels may be expected to fall
    short, which can be a greater share of those that have passed.

    Parameters
    ----------
    fitted : scipy.sparse.csr_array of shape (n_fitted, n_labels)
        Fused probabilities of the rows that the fusion was fitted on, which set the order of the thresholds.
    held : HeldRows
        Rows that the fusion has not seen.
    precision : float
        The precision to reach, in (0, 1).
    confidence : float
        How probable it is at least that the precision is reached, in (0, 1).

    Returns
    -------
    list of Outcome
        For each label the last threshold that has passed.

    Examples
    --------
    >>> p, truth = sp.csr_array(np.linspace(0.99, 0.5, 99)[:, None]), np.arange(99) < 80
    >>> held = HeldRows(p, truth, np.arange(99))
    >>> [found.n_predicted for found in guaranteed_label_thresholds(p, held, precision=0.8, confidence=0.9)]
    [93]
    """
    n_labels, test = fitted.shape[1], _Test(fitted, held, precision, confidence)
    paths = []
    for matrix, truth, units in (
        (fitted, np.zeros(fitted.nnz, dtype=bool), np.arange(fitted.shape[0])),
        (held.probabilities, held.truth, held.units),
    ):
        path = _Path(matrix.data, np.ones(matrix.nnz, dtype=int), truth, units[_rows(matrix)])
        order = falling_by_label(matrix.indices, matrix.data)
        begins = first_pair(matrix.indices[order], n_labels)
        ordered = path.take(order)
        paths.append(
            [ordered.take(slice(a, b)) for a, b in zip(begins, [*begins[1:], matrix.nnz], strict=True)]
        )
    return [_last_passed(known, new, test) for known, new in zip(*paths, strict=True)]


def least_predicted(row_limit: int, *, precision: float, confidence: float) -> int:
    """Count the predicted labels, all of them right, below which no precision can be guaranteed.

    Parameters
    ----------
    row_limit : int
        Greatest number of labels that a row gets.
    precision : float
        The precision to reach, in (0, 1).
    confidence : float
        How probable it is at least that the precision is reached, in (0, 1).

    Returns
    -------
    int
        The least number.

    Examples
    --------
    >>> least_predicted(1, precision=0.9, confidence=0.9)  # 0.9²² < 0.1
    22
    """
    risk = 1.0 if row_limit == 1 else _LARGEST_RISK
    growth = np.log1p(risk * (1 - precision) / (precision * row_limit))
    return int(np.ceil(-np.log1p(-confidence) / growth))


def binomial_p_value(n_right: int, n_predicted: int, precision: float) -> float:
    """Take the probability of so many right ones among independent predictions that are just precise enough.

    Parameters
    ----------
    n_right, n_predicted : int
        Right ones, and all of them.
    precision : float
        The precision to exceed.

    Returns
    -------
    float
        P(Binomial(n_predicted, precision) ≥ n_right).

    Examples
    --------
    >>> round(binomial_p_value(2, 2, 0.5), 3)
    0.25
    """
    return float(binom.sf(n_right - 1, n_predicted, precision))


def betting_p_value(gains: np.ndarray, *, lowest: float, level: float) -> float:
    """Test whether the expected gain is positive, by the wealth of one who bets on it.

    While it is not, the wealth ∏(1 + λᵢ·gainᵢ) is expected not to grow, whatever the bets λᵢ ≥ 0 that look at
    earlier gains only, and exceeds 1/α at any time with a probability of at most α (Ville). The bets are
    those of Waudby-Smith and Ramdas (2024, arXiv:2010.09686, section 4) for a test of a given level at the
    last gain.

    Parameters
    ----------
    gains : numpy.ndarray of shape (n_units,)
        Gains of independent units, in random order.
    lowest : float
        The lowest possible gain, less than 0.
    level : float
        Level of the test, in (0, 1), for which the bets are made. The p-value holds for any.

    Returns
    -------
    float
        One over the greatest wealth, at most 1.

    Examples
    --------
    >>> betting_p_value(np.full(50, 0.1), lowest=-0.9, level=0.1) < 0.1
    True
    """
    n = len(gains)
    # the mean square of what was gained before, with a guess of it counted once
    squares = (np.cumsum(np.r_[0.25 * lowest**2, gains**2]) / np.arange(1, n + 2))[:-1]
    bets = np.minimum(np.sqrt(-2 * np.log(level) / (n * squares)), _LARGEST_RISK / -lowest)
    return float(np.exp(-np.max(np.cumsum(np.log1p(bets * gains)), initial=0.0)))


class _Test:
    """The test of one threshold."""

    def __init__(self, fitted, held, precision, confidence):
        self.precision, self.confidence = precision, confidence
        self.sizes = np.bincount(held.units)
        self.units_a_row = len(self.sizes) / fitted.shape[0]  # held units for each fitted row
        self.single = (self.sizes == 1).all()

    @staticmethod
    def predicted(path, threshold, limit):
        """Return the pairs that are predicted."""
        above = path.take(slice(np.searchsorted(-path.p, -threshold)))
        return above.take(above.place <= limit)

    def passes(self, predicted, limit):
        """Say whether the precision of these predictions is proven."""
        level = 1 - self.confidence
        if self.single and limit == 1:
            return binomial_p_value(predicted.truth.sum(), len(predicted.p), self.precision) <= level
        units, of_unit = np.unique(predicted.unit, return_inverse=True)
        gains = np.bincount(of_unit, weights=predicted.truth - self.precision) / self.sizes[units]
        return betting_p_value(gains, lowest=-self.precision * limit, level=level) <= level

    def evidence(self, path, counts, limits):
        """Return the log wealth to be expected if probabilities are right and a unit has one label."""
        precision, expected = self.precision, np.cumsum(path.p)[counts - 1] / counts
        best = (expected - precision) / (precision * (1 - precision))
        bets = np.clip(best, 0, _LARGEST_RISK / (precision * limits))
        growth = expected * np.log1p(bets * (1 - precision)) + (1 - expected) * np.log1p(-bets * precision)
        return counts * self.units_a_row * growth


def _last_passed(known, new, test):
    """Test thresholds in their order until one fails."""
    taken = None
    for threshold, limit in _order(known, test):
        predicted = test.predicted(new, threshold, limit)
        passed = len(predicted.p) and test.passes(predicted, limit)
        if taken is None or passed:
            found = threshold if passed else np.inf
            taken = Outcome(float(found), int(limit), len(predicted.p), int(predicted.truth.sum()))
        if not passed:
            break
    return taken or Outcome(np.inf, 1, 0, 0)


def _order(path, test):
    """Return thresholds and limits in the order of their tests."""
    if not len(path.p):
        return []
    counts = np.flatnonzero(np.r_[path.p[1:] < path.p[:-1], True]) + 1  # equal ones are not parted
    steps = np.floor(np.log(counts) / np.log1p(_STEP))
    counts = counts[np.r_[steps[1:] > steps[:-1], True]]
    limits = _limits(path.place, counts)
    evidence = test.evidence(path, counts, limits)
    safe = evidence >= -_SAFE_EVIDENCE * np.log1p(-test.confidence)
    first = np.argmax(safe) if safe.any() else np.argmax(evidence)
    following = np.r_[path.p, path.p[-1] * (1 - 1e-9)][counts]
    return list(zip((path.p[counts - 1] + following)[first:] / 2, limits[first:], strict=True))


def _limits(place, counts):
    """Return, for the first so many pairs, the lowest limit of labels a row that leaves most of them."""
    if place.max() == 1:
        return np.ones(len(counts), dtype=int)
    limits, seen, done = np.ones(len(counts), dtype=int), np.zeros(place.max() + 1, dtype=int), 0
    for number, count in enumerate(counts):
        seen += np.bincount(place[done:count], minlength=len(seen))
        limits[number] = np.searchsorted(np.cumsum(seen), _WITHIN_LIMIT * count)
        done = count
    return limits


def _places(p, rows):
    """Count the pairs of each pair's row that are as probable or more."""
    order = np.lexsort((-p, rows))
    sorted_p, sorted_rows = p[order], rows[order]
    ends = np.flatnonzero(closes_label(sorted_rows) | (next_lower(sorted_rows, sorted_p) < sorted_p))
    of_end = np.searchsorted(ends, np.arange(len(p)))  # equal ones all have the place of their last
    place = np.empty(len(p), dtype=int)
    place[order] = rank(sorted_rows, int(rows.max(initial=-1)) + 1)[ends[of_end]]
    return place


def _rows(matrix):
    """Return the row of each stored pair."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
