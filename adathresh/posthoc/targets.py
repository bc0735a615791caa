"""Thresholds on calibrated probabilities for every target: F1, precision, a budget or costs.

All of them decide on expectations under the probabilities, never on the truth of single pairs, so that a rare
label is not fitted to its own few positives. Pairs are given as two arrays, label and probability. Thresholds
that guarantee a precision, instead of expecting it, are those of ``guarantee``.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adathresh.signals.idf import frequency_octaves
from adathresh.utils.grouped import closes_label, label_max, next_lower, opens_label, rank, running_sum
from adathresh.utils.suggest import did_you_mean
from adathresh.utils.validation import grouped_by_label

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

GUARANTEED = ("precision", "label_precision")
"""The targets that can be guaranteed with a confidence."""

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
    "cost": (
        "the cost of a false positive, one number or one for each label, in units of that of a false "
        "negative, greater than 0"
    ),
}

# Nodes of the integral over [0, 1] in expected_f1; beyond this expectation of positives the quotient of
# expectations differs from the expected quotient by less than the thresholds can tell.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
_MANY_POSITIVES = 30.0
_MICRO_ROUNDS = 20
_TINY = 1e-12  # where a denominator may be 0


def check_target(
    target: str,
    value: npt.ArrayLike | None,
    confidence: float | None = None,
    *,
    n_labels: int | None = None,
) -> None:
    """Raise unless the target is known and has the value that it needs.

    Parameters
    ----------
    target : str
        One of :data:`TARGETS`.
    value : float, array-like of shape (n_labels,) or None
        The number that goes with it; under "cost" also one for each label.
    confidence : float, optional
        The confidence of a guarantee.
    n_labels : int, optional
        Number of labels, where it is known.

    Raises
    ------
    ValueError
        If the target is unknown, or its value missing, needless or out of range, or not one for each label,
        or if it takes no confidence.

    Examples
    --------
    >>> check_target("precision", 0.9)
    """
    if target not in TARGETS:
        meant = did_you_mean(target, TARGETS) if isinstance(target, str) else ""
        raise ValueError(f"target must be one of {', '.join(TARGETS)}; got {target!r}.{meant}")
    if confidence is not None and target not in GUARANTEED:
        raise ValueError(
            f"target {target!r} takes no confidence; only {' and '.join(GUARANTEED)} can be guaranteed."
        )
    meaning = _NEEDS_VALUE.get(target) or _TAKES_VALUE.get(target)
    if value is None:
        if target in _NEEDS_VALUE:
            raise ValueError(f"target {target!r} needs target_value: {meaning}.")
        return
    if meaning is None:
        raise ValueError(f"target {target!r} takes no target_value; got {value!r}.")
    if target == "cost":
        _check_costs(value, n_labels)
        return
    number: Any = value
    wrong = (
        np.ndim(number) > 0
        or (target in ("precision", "label_precision") and not 0 < number <= 1)
        or (target == "budget" and not (number >= 1 and number % 1 == 0))
        or (target == "macro_micro_f1" and not 0 <= number < np.inf)
    )
    if wrong:
        raise ValueError(f"target_value of {target!r} must be {meaning}; got {value!r}.")
    if confidence is not None and value == 1:
        raise ValueError("No number of rows can guarantee a precision of 1; lower target_value.")


def _check_costs(value, n_labels):
    """Raise unless a cost, or each label's, is finite and greater than 0, and no label lacks its own."""
    costs = np.asarray(value, dtype=np.float64)
    wrong = np.flatnonzero(~((costs > 0) & (costs < np.inf)))
    if len(wrong):
        found = f"{costs[wrong[0]].item()!r} for label {wrong[0]}" if costs.ndim else repr(value)
        raise ValueError(f"target_value of 'cost' must be {_NEEDS_VALUE['cost']}; got {found}.")
    if costs.ndim and n_labels not in (None, len(costs)):
        raise ValueError(
            f"target_value of 'cost' holds {len(costs)} costs but Y has {n_labels} labels; give one number, "
            "or one for each label."
        )


def label_thresholds(
    target: str,
    value: npt.ArrayLike | None,
    labels: np.ndarray,
    probability: np.ndarray,
    *,
    n_labels: int,
    n_rows: float,
    evaluation_rows: float,
    uncovered: npt.ArrayLike = 0.0,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Return the threshold of every label that is best in expectation.

    Parameters
    ----------
    target : str
        One of :data:`TARGETS` but "budget", which has no thresholds.
    value : float, array-like of shape (n_labels,) or None
        The number that goes with the target; under "cost" also one for each label.
    labels : numpy.ndarray of shape (n_pairs,)
        Label of each pair.
    probability : numpy.ndarray of shape (n_pairs,)
        Calibrated probability of each pair, in [0, 1].
    n_labels : int
        Number of labels.
    n_rows : float
        Number of rows that the pairs come from; where they have weights, their sum.
    evaluation_rows : float
        Number of rows over which macro-F1 will be taken.
    uncovered : array-like of shape (n_labels,), default=0
        Expected positives of each label outside the pairs: no threshold finds them, but F1 counts them.
    weight : numpy.ndarray of shape (n_pairs,), optional
        Weight of each pair's row, 0 or more: as many pairs alike, between which no threshold is looked for.

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
        costs = np.asarray(value, dtype=np.float64)
        return np.full(n_labels, costs / (1 + costs))
    if weight is not None:
        counts = weight > 0
        labels, probability, weight = labels[counts], probability[counts], weight[counts]
    if target in ("micro_f1", "precision"):
        path = _Path(np.zeros_like(labels), probability, 1, np.sum(uncovered), weight)
        threshold = path.micro_thresholds() if target == "micro_f1" else path.precision_thresholds(value)
        return np.full(n_labels, threshold[0])
    path = _Path(labels, probability, n_labels, uncovered, weight)
    if target == "label_precision":
        return path.precision_thresholds(value)
    micro_weight = MICRO_WEIGHT if target == "macro_f1" else 1.0 if value is None else value
    return path.f1_thresholds(evaluation_rows / n_rows, micro_weight)


def uncovered_share(positives: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Estimate which share of a label's positives are no candidates, from all labels of its frequency.

    A label's own count says little where it has few positives; labels of one octave
    (:func:`adathresh.signals.idf.frequency_octaves`) share one estimate.

    Parameters
    ----------
    positives : numpy.ndarray of shape (n_labels,)
        Number of positives of each label, or the sum of their weights.
    covered : numpy.ndarray of shape (n_labels,)
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
    octaves = frequency_octaves(positives)
    of_octave = np.bincount(octaves, weights=positives)
    missing = of_octave - np.bincount(octaves, weights=covered)
    return np.divide(missing, of_octave, out=np.zeros_like(missing), where=of_octave > 0)[octaves]


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


class _Micro(NamedTuple):
    """Micro-F1 of the predicted pairs."""

    f1: float
    both: float  # its denominator: predicted pairs + positives


_NOTHING = _Micro(0.0, np.inf)  # with this denominator one more pair changes nothing


class _Path:
    """Every possible threshold of every label: pairs ordered by label and falling probability."""

    def __init__(self, labels, probability, n_labels, uncovered, weight):
        falling = np.argsort(-probability)
        order = falling[grouped_by_label(labels[falling])]
        self.labels, self.p = labels[order], probability[order].astype(np.float64)
        self.n_labels = n_labels
        # by falling probability of all labels together, for best_micro
        self.falling_weight = np.ones(len(falling)) if weight is None else weight[falling]
        self.falling_expected = self.falling_weight * probability[falling]
        expected = self.p if weight is None else weight[order] * self.p
        self.covered = np.bincount(self.labels, weights=expected, minlength=n_labels)
        self.totals = self.covered + uncovered
        # what is predicted down to each pair, and what of it is expected to be true
        if weight is None:
            self.predicted = rank(self.labels, n_labels).astype(np.float64)
        else:
            self.predicted = self._running_sum(weight[order])
        self.true = self._running_sum(expected)
        self.quotients = 2 * self.true / (self.predicted + self.totals[self.labels])

    def _running_sum(self, gains):
        """Sum the gains of each label up to each pair."""
        # long double: the running sum crosses all labels, and small probabilities must survive in it
        return running_sum(self.labels, gains.astype(np.longdouble), self.n_labels).astype(np.float64)

    def f1_thresholds(self, scale, weight=0.0):
        """Find where macro-F1 expected on ``scale`` times the rows + ``weight`` micro-F1 is greatest.

        Given micro-F1 and its denominator, every label's best pair is found alone; the two follow from the
        pairs found, and so on. The rounds start from macro-F1's optimum and from micro-F1's, as they may end
        at what is best nearby only.
        """
        starts = [_NOTHING]
        if weight and len(self.p):
            starts.append(self.best_micro())
        f1_at, reached, found = self.expected_f1_at(scale), -np.inf, (np.zeros(0, dtype=int), _NOTHING)
        for micro in starts:
            for _ in range(_MICRO_ROUNDS):
                best = self.best_pairs(f1_at, weight, micro)
                before, micro = micro, self.micro_at(best)
                value = f1_at(best).sum() / self.n_labels + weight * micro.f1
                if value > reached:
                    reached, found = value, (best, micro)
                if not weight or micro == before:
                    break
        return self._thresholds_at(*found, scale, weight)

    def micro_thresholds(self):
        """Return F*/2, where F* is the greatest quotient of expectations."""
        thresholds = np.full(self.n_labels, np.inf)
        best = _first_best(self.labels, self.quotients, self.n_labels)
        thresholds[self.labels[best]] = self.quotients[best] / 2
        return thresholds

    def best_micro(self):
        """Return the greatest micro-F1 that one threshold for all labels reaches, and its denominator."""
        true = np.cumsum(self.falling_expected.astype(np.longdouble)).astype(np.float64)
        both = np.cumsum(self.falling_weight) + self.totals.sum()
        best = np.argmax(true / both)
        return _Micro(2 * true[best] / both[best], both[best])

    def expected_f1_at(self, scale):
        """Return a function from positions of pairs to the expected F1 if all down to them is predicted.

        It is the quotient of expectations where positives are many. Every integral is taken once.
        """
        f1 = self.quotients.copy()
        todo = self._few(scale)[self.labels]

        def at(pairs):
            new = pairs[todo[pairs]]
            for part in np.array_split(new, len(new) // 100_000 + 1):
                f1[part] = expected_f1(*self._expectations(part, scale))[0]
            todo[new] = False
            return f1[pairs]

        return at

    def best_pairs(self, f1_at, weight, micro):
        """Return for each label the pair down to which it is best to predict, where predicting pays."""
        # what micro-F1 gains, in units of a label's F1
        bonus = weight * self.n_labels * (2 * self.true - micro.f1 * self.predicted) / micro.both
        guess = _first_best(self.labels, self.quotients + bonus, self.n_labels)
        least = np.zeros(self.n_labels)
        least[self.labels[guess]] = f1_at(guess) + bonus[guess]
        # u² ≤ u ≤ 1 bounds the integral: E ≤ ∫₀¹ 2a·exp((a + g)(u − 1)) du < 2a / (a + g). Where this is less
        # than what the guess reaches, no pair can be best, and most need no integral.
        most = 2 * self.true / (self.predicted + self.totals[self.labels] - self.true) + bonus
        look = np.flatnonzero(most >= least[self.labels])
        return look[_first_best(self.labels[look], f1_at(look) + bonus[look], self.n_labels)]

    def micro_at(self, best):
        """Return micro-F1 and its denominator if every label is predicted down to its best pair."""
        both = max(self.predicted[best].sum() + self.totals.sum(), _TINY)
        return _Micro(2 * self.true[best].sum() / both, both)

    def _thresholds_at(self, best, micro, scale, weight):
        """Return the probability from which one more pair pays, where the best pairs are known.

        A label of which no pair here is worth predicting has a threshold, too: a new row's may be above it.
        """
        true, predicted = np.zeros(self.n_labels), np.zeros(self.n_labels)
        true[self.labels[best]], predicted[self.labels[best]] = self.true[best], self.predicted[best]
        other = predicted + self.totals - 2 * true
        by_true, by_other = self._f1_derivatives(true * scale, other * scale, few=self._few(scale))
        # p more true ones change a label's expected F1 by p·∂E/∂a + (1 − 2p)·∂E/∂g, and micro-F1 by
        # (2p − micro-F1) / Σ both
        of_micro, of_macro = weight / micro.both, scale / self.n_labels
        gain = of_micro * micro.f1 - of_macro * by_other
        thresholds = gain / (2 * of_micro + of_macro * (by_true - 2 * by_other))
        return np.where(self.covered > 0, thresholds, np.inf)

    def precision_thresholds(self, precision):
        """Go as low as the mean probability of what is predicted allows."""
        lower = next_lower(self.labels, self.p)
        enough = self.true >= precision * self.predicted * (1 - 1e-12)
        last = np.flatnonzero(enough & (lower < self.p))  # a threshold cannot part equal probabilities
        last = last[closes_label(self.labels[last])]
        # half way to the next pair, so that rounding carries none across; just below where there is none
        following = np.where(np.isneginf(lower[last]), self.p[last] * (1 - 1e-9), lower[last])
        thresholds = np.full(self.n_labels, np.inf)
        thresholds[self.labels[last]] = (self.p[last] + following) / 2
        return thresholds

    @staticmethod
    def _f1_derivatives(true, other, *, few):
        """Return ∂E/∂a and ∂E/∂g of the labels' expected F1; those of the quotients where they are many."""
        size = np.maximum(2 * true + other, _TINY)
        by_true, by_other = 2 * other / size**2, -2 * true / size**2
        _, by_true[few], by_other[few] = expected_f1(true[few], other[few])
        return by_true, by_other

    def _few(self, scale):
        """Return for each label whether its positives are too few for a quotient of expectations."""
        return self.totals < _MANY_POSITIVES / scale

    def _expectations(self, at, scale):
        """Return the expected true positives and errors if all down to these pairs is predicted."""
        true, total = self.true[at], self.totals[self.labels[at]]
        return true * scale, (self.predicted[at] + total - 2 * true) * scale


def _first_best(labels, value, n_labels):
    """Return the position of each label's first greatest value, where that is positive."""
    greatest = label_max(labels, value, n_labels)[labels]
    found = np.flatnonzero((value == greatest) & (value > 0))
    return found[opens_label(labels[found])]
