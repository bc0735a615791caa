"""Thresholds on calibrated probabilities for every target: F1, precision, a budget or costs.

All of them decide on expectations under the probabilities, never on the truth of single pairs, so that a rare
label is not fitted to its own few positives. Pairs are given as two arrays, label and probability.
"""

import numpy as np
import numpy.typing as npt

from adathresh.utils.grouped import closes_label, label_max, next_lower, opens_label, rank, running_sum
from adathresh.utils.validation import falling_by_label

TARGETS = (
    "macro_f1",
    "micro_f1",
    "macro_micro_f1",
    "precision",
    "label_precision",
    "budget",
    "cost",
)
"""What :func:`label_thresholds` can aim at."""

MICRO_WEIGHT = 0.2
"""What micro-F1 counts beside macro-F1 under the target "macro_f1"; that much macro-F1 is given up for it.

The last little of expected macro-F1 is dear: without micro-F1 a label whose scores tell nothing is predicted
for very many rows, because any true positive raises its F1 by a little.
"""

_TAKES_VALUE = {"macro_micro_f1": "the weight of micro-F1 beside macro-F1, at least 0 (default 1)"}
_NEEDS_VALUE = {
    "precision": "the precision to reach, in (0, 1]",
    "label_precision": "the precision that every label is to reach, in (0, 1]",
    "budget": "the greatest number of labels a row, at least 1",
    "cost": "the cost of a false positive, in units of that of a false negative, greater than 0",
}

# Nodes of the integral over [0, 1] in expected_f1; beyond this expectation of positives the quotient of
# expectations differs from the expected quotient by less than the thresholds can tell.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
_MANY_POSITIVES = 30.0
_MICRO_ROUNDS = 20


def check_target(target: str, value: float | None) -> None:
    """Raise unless the target is known and has the value that it needs.

    Parameters
    ----------
    target : str
        One of :data:`TARGETS`.
    value : float or None
        The number that goes with it.

    Raises
    ------
    ValueError
        If the target is unknown, or its value missing, needless or out of range.

    Examples
    --------
    >>> check_target("precision", 0.9)
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}; got {target!r}.")
    meaning = _NEEDS_VALUE.get(target) or _TAKES_VALUE.get(target)
    if value is None:
        if target in _NEEDS_VALUE:
            raise ValueError(f"target {target!r} needs target_value: {meaning}.")
        return
    if meaning is None:
        raise ValueError(f"target {target!r} takes no target_value; got {value!r}.")
    wrong = (
        (target in ("precision", "label_precision") and not 0 < value <= 1)
        or (target == "budget" and not (value >= 1 and value % 1 == 0))
        or (target == "cost" and not 0 < value < np.inf)
        or (target == "macro_micro_f1" and not 0 <= value < np.inf)
    )
    if wrong:
        raise ValueError(f"target_value of {target!r} must be {meaning}; got {value!r}.")


def label_thresholds(
    target: str,
    value: float | None,
    labels: np.ndarray,
    probability: np.ndarray,
    *,
    n_labels: int,
    n_rows: int,
    evaluation_rows: float,
    uncovered: npt.ArrayLike = 0.0,
) -> np.ndarray:
    """Return the threshold of every label that is best in expectation.

    Parameters
    ----------
    target : str
        One of :data:`TARGETS` but "budget", which has no thresholds.
    value : float or None
        The number that goes with the target.
    labels : numpy.ndarray of shape (n_pairs,)
        Label of each pair.
    probability : numpy.ndarray of shape (n_pairs,)
        Calibrated probability of each pair, in [0, 1].
    n_labels : int
        Number of labels.
    n_rows : int
        Number of rows that the pairs come from.
    evaluation_rows : float
        Number of rows over which macro-F1 will be taken.
    uncovered : array-like of shape (n_labels,), default=0
        Expected positives of each label outside the pairs: no threshold finds them, but F1 counts them.

    Returns
    -------
    numpy.ndarray of shape (n_labels,)
        A pair is predicted above its label's threshold; ``inf``: never.

    Examples
    --------
    >>> labels, probability = np.zeros(4, dtype=int), np.array([0.9, 0.8, 0.3, 0.1])
    >>> rows = {"n_rows": 4, "evaluation_rows": 4}
    >>> label_thresholds("precision", 0.8, labels, probability, n_labels=1, **rows).round(2)
    array([0.55])
    """
    if target == "cost" and value is not None:  # p·cost(false negative) > (1 − p)·cost(false positive)
        return np.full(n_labels, value / (1 + value))
    if target in ("micro_f1", "precision"):
        everything = np.zeros_like(labels)
        path = _Path(everything, probability, 1, np.sum(uncovered))
        threshold = path.f1_thresholds(np.inf) if target == "micro_f1" else path.precision_thresholds(value)
        return np.full(n_labels, threshold[0])
    path = _Path(labels, probability, n_labels, uncovered)
    if target == "label_precision":
        return path.precision_thresholds(value)
    weight = MICRO_WEIGHT if target == "macro_f1" else 1.0 if value is None else value
    scale = evaluation_rows / n_rows
    thresholds = path.f1_thresholds(scale)
    return path.compromise(thresholds, scale, weight) if weight else thresholds


def uncovered_share(positives: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Estimate which share of a label's positives are no candidates, from all labels of its frequency.

    A label's own count says little where it has few positives; labels whose numbers of positives have the
    same number of binary digits share one estimate.

    Parameters
    ----------
    positives : numpy.ndarray of int, shape (n_labels,)
        Number of positives of each label.
    covered : numpy.ndarray of int, shape (n_labels,)
        How many of them are candidates.

    Returns
    -------
    numpy.ndarray of shape (n_labels,)
        Shares in [0, 1]; 0 for a label without positives.

    Examples
    --------
    >>> uncovered_share(np.array([0, 1, 2, 3]), np.array([0, 1, 1, 1]))
    array([0. , 0. , 0.6, 0.6])
    """
    digits = np.frexp(positives)[1]
    of_digits = np.bincount(digits, weights=positives)
    missing = of_digits - np.bincount(digits, weights=covered)
    return np.divide(missing, of_digits, out=np.zeros_like(missing), where=of_digits > 0)[digits]


def expected_f1(true: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the expectation of a label's F1 on few rows, and its two derivatives.

    With Poisson numbers of true positives (mean a) and of errors of both kinds (mean g), F1 = 2T / (2T + S),
    undefined F1 = 0, has the expectation ∫₀¹ 2au·exp(a(u² − 1) + g(u − 1)) du: write 2t/(2t+s) as
    ∫₀¹ 2t·u^(2t+s−1) du and take the generating functions of T and S. For a → ∞ it tends to 2a / (2a + g).

    Parameters
    ----------
    true : numpy.ndarray
        Expected numbers of true positives, a.
    other : numpy.ndarray
        Expected numbers of false positives and false negatives together, g.

    Returns
    -------
    tuple of numpy.ndarray
        E, ∂E/∂a and ∂E/∂g.

    Examples
    --------
    >>> expectation, *_ = expected_f1(np.array([50.0]), np.array([20.0]))
    >>> expectation.round(2)  # for many positives 2a / (2a + g)
    array([0.83])
    """
    a, g, u = np.asarray(true)[:, None], np.asarray(other)[:, None], _NODES
    density = np.exp(a * (u * u - 1) + g * (u - 1))
    value = 2 * a * u * density
    by_true = (2 * u + 2 * a * u * (u * u - 1)) * density
    return value @ _WEIGHTS, by_true @ _WEIGHTS, (value * (u - 1)) @ _WEIGHTS


class _Path:
    """Every possible threshold of every label: pairs ordered by label and falling probability."""

    def __init__(self, labels, probability, n_labels, uncovered):
        order = falling_by_label(labels, probability)
        self.labels, self.p = labels[order], probability[order].astype(np.float64)
        self.n_labels = n_labels
        self.rank = rank(self.labels, n_labels)
        self.covered = np.bincount(self.labels, weights=self.p, minlength=n_labels)
        self.totals = self.covered + uncovered
        # long double: the running sum crosses all labels, and small probabilities must survive in it
        self.true = running_sum(self.labels, self.p.astype(np.longdouble), n_labels).astype(np.float64)

    def f1_thresholds(self, scale):
        """Find where the expected F1 on ``scale`` times the rows is greatest; F*/2 where they are many."""
        both = self.rank + self.totals[self.labels]
        f1 = 2 * self.true / both
        few = self.totals < _MANY_POSITIVES / scale
        look = self._rivals(f1, both, few, scale)
        f1[few[self.labels]] = 0
        for part in np.array_split(look, len(look) // 100_000 + 1):
            f1[part] = expected_f1(*self._expectations(part, scale))[0]
        best = self._first_best(f1)
        thresholds = np.full(self.n_labels, np.inf)
        thresholds[self.labels[best]] = f1[best] / 2
        best = best[few[self.labels[best]]]
        if len(best):
            _, by_true, by_other = expected_f1(*self._expectations(best, scale))
            # one more pair of probability p changes E by p·∂E/∂a + (1 − 2p)·∂E/∂g
            thresholds[self.labels[best]] = -by_other / (by_true - 2 * by_other)
        return thresholds

    def _rivals(self, f1, both, few, scale):
        """Return the pairs of labels with few positives down to which the expected F1 may be greatest."""
        best = self._first_best(f1)
        best = best[few[self.labels[best]]]
        reached = np.zeros(self.n_labels)
        reached[self.labels[best]] = expected_f1(*self._expectations(best, scale))[0]
        # u² ≤ u ≤ 1 bounds the integral: E ≤ ∫₀¹ 2a·exp((a + g)(u − 1)) du < 2a / (a + g). Where this is less
        # than E at the greatest quotient, E cannot be greatest, and most pairs need no integral.
        return np.flatnonzero(few[self.labels] & (2 * self.true >= reached[self.labels] * (both - self.true)))

    def precision_thresholds(self, precision):
        """Go as low as the mean probability of what is predicted allows."""
        lower = next_lower(self.labels, self.p)
        enough = self.true >= precision * self.rank * (1 - 1e-12)
        last = np.flatnonzero(enough & (lower < self.p))  # a threshold cannot part equal probabilities
        last = last[closes_label(self.labels[last])]
        # half way to the next pair, so that rounding carries none across; just below where there is none
        following = np.where(np.isneginf(lower[last]), self.p[last] * (1 - 1e-9), lower[last])
        thresholds = np.full(self.n_labels, np.inf)
        thresholds[self.labels[last]] = (self.p[last] + following) / 2
        return thresholds

    def compromise(self, thresholds, scale, weight):
        """Raise macro-F1 + ``weight`` micro-F1 from macro-F1's thresholds on, one round after the other."""
        best, reached = thresholds, -np.inf
        if not self.covered.any():
            return best
        for _ in range(_MICRO_ROUNDS):
            above = self.p > thresholds[self.labels]
            predicted = np.bincount(self.labels[above], minlength=self.n_labels)
            true = np.bincount(self.labels[above], weights=self.p[above], minlength=self.n_labels)
            both = predicted + self.totals
            f1, by_true, by_other = self._label_f1(true * scale, (both - 2 * true) * scale)
            micro = 2 * true.sum() / both.sum()
            if f1.mean() + weight * micro > reached:
                best, reached = thresholds, f1.mean() + weight * micro
            # what one more pair adds to either, as above; micro-F1 grows by (2p − micro) / Σ both
            of_micro, of_macro = weight / both.sum(), scale / self.n_labels
            thresholds = (of_micro * micro - of_macro * by_other) / (
                2 * of_micro + of_macro * (by_true - 2 * by_other)
            )
        return np.where(self.covered > 0, best, np.inf)

    def _label_f1(self, true, other):
        """Return expected F1 and derivatives of every label; quotients where many positives are expected."""
        size = np.maximum(2 * true + other, 1e-12)
        f1, by_true, by_other = 2 * true / size, 2 * other / size**2, -2 * true / size**2
        few = true + other < 2 * _MANY_POSITIVES
        f1[few], by_true[few], by_other[few] = expected_f1(true[few], other[few])
        return f1, by_true, by_other

    def _expectations(self, at, scale):
        """Return the expected true positives and errors if all down to these pairs is predicted."""
        true, total = self.true[at], self.totals[self.labels[at]]
        return true * scale, (self.rank[at] + total - 2 * true) * scale

    def _first_best(self, value):
        """Return the position of each label's first greatest value, where that is positive."""
        greatest = label_max(self.labels, value, self.n_labels)[self.labels]
        found = np.flatnonzero((value == greatest) & (value > 0))
        return found[opens_label(self.labels[found])]
