"""Whether the rows that come in are scored like those that a rule was set up on: an alarm for drift."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from adathresh.utils.display import Table
from adathresh.utils.parameters import check_value, number
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_scores

# Scores that differ in later places are equal: containers and floating types round differently.
_DECIMALS = 6


@dataclass(frozen=True)
class Shift:
    """How far one statistic of the rows has moved.

    Examples
    --------
    >>> drift = score_drift(np.full((50, 1), 0.5), np.full((50, 1), 0.5))
    >>> drift.shifts["highest score"]
    Shift(distance=0.0, p_value=1.0, reference_mean=0.5, new_mean=0.5)
    """

    distance: float
    """Greatest difference between the two distribution functions, in [0, 1] (Kolmogorov and Smirnov)."""
    p_value: float
    """How likely so great a distance is without drift, with all statistics together taken into account."""
    reference_mean: float
    """Mean over the reference rows."""
    new_mean: float
    """Mean over the new rows."""


@dataclass(frozen=True)
class ScoreDrift:
    """What has moved between reference rows and new ones.

    Examples
    --------
    >>> print(score_drift(np.full((50, 1), 0.5), np.full((50, 1), 0.6)))
    drift: highest score, sum of scores
      highest score: mean 0.5, now 0.6 (distance 1, p = 4e-29)
      sum of scores: mean 0.5, now 0.6 (distance 1, p = 4e-29)
    """

    shifts: Mapping[str, Shift]
    """By name: "highest score", "sum of scores" and, where label sets were given, "labels a row"."""
    alpha: float
    """The accepted rate of false alarms."""

    @property
    def moved(self) -> tuple[str, ...]:
        """Name what has moved.

        Returns
        -------
        tuple of str
            The statistics with a p-value of at most alpha.
        """
        return tuple(name for name, shift in self.shifts.items() if shift.p_value <= self.alpha)

    @property
    def alarm(self) -> bool:
        """Say whether anything has moved.

        Returns
        -------
        bool
            Without drift, True in at most a share alpha of the comparisons.
        """
        return bool(self.moved)

    @property
    def p_value(self) -> float:
        """Return the least p-value.

        Returns
        -------
        float
            At most alpha where there is an alarm.
        """
        return min(shift.p_value for shift in self.shifts.values())

    def __str__(self) -> str:
        """Return what has moved, and a line for each statistic."""
        lines = [
            f"  {name}: mean {shift.reference_mean:.3g}, now {shift.new_mean:.3g} "
            f"(distance {shift.distance:.2g}, p = {shift.p_value:.1g})"
            for name, shift in self.shifts.items()
        ]
        return "\n".join([self._headline(), *lines])

    def _repr_html_(self) -> str:
        """Return the same as a table."""
        columns = [("statistic", ""), ("mean", ".3g"), ("now", ".3g"), ("distance", ".2g"), ("p", ".1g")]
        lines = [
            (name, shift.reference_mean, shift.new_mean, shift.distance, shift.p_value)
            for name, shift in self.shifts.items()
        ]
        return Table(columns, lines, self._headline())._repr_html_()

    def _headline(self):
        """Return the result in one line."""
        return f"drift: {', '.join(self.moved)}" if self.moved else "no drift"


def score_drift(
    reference: MatrixLike,
    new: MatrixLike,
    *,
    label_sets: tuple[MatrixLike, MatrixLike] | None = None,
    alpha: float = 0.05,
) -> ScoreDrift:
    """Compare the scores of incoming rows with those of reference rows.

    Each row's highest score, the sum of its scores and, where given, the number of its labels are compared by
    the two-sample test of Kolmogorov and Smirnov; their p-values are corrected together (Holm 1979), so that
    without drift there is an alarm in at most a share ``alpha`` of the comparisons. An alarm says that the
    rows are scored differently, not that the labels have become worse, which takes labels to tell. With very
    many rows a small distance is enough for an alarm: look at ``distance``, too.

    Both must come from the same model, and the reference rows must be new to it as well: held out, and scored
    by the fitted model. Scores out of fold, such as a rule's ``fitted_probabilities_``, come from other
    models and would raise false alarms. So would rows that depend on each other, such as pages of one
    document: give one of each group.

    Parameters
    ----------
    reference, new : array-like or sparse of shape (n_rows, n_labels)
        Scores in [0, 1] of either rows, of base model or rule; an absent pair counts as 0.
    label_sets : tuple of two array-like or sparse of shape (n_rows, n_labels), optional
        Predicted labels, 0 or 1, of the reference rows and of the new ones.
    alpha : float, default=0.05
        Accepted rate of false alarms, in (0, 1), of each comparison: who compares daily may have a false
        alarm on such a share of days.

    Returns
    -------
    ScoreDrift
        Whether there is an alarm, what has moved, and how far.

    Raises
    ------
    ValueError
        If there are no rows, the numbers of labels differ, scores are outside [0, 1], labels other than 0 and
        1, or alpha is out of range.

    Examples
    --------
    >>> before, now = np.full((100, 3), 0.2), np.full((80, 3), 0.6)
    >>> score_drift(before, before[:50]).alarm, score_drift(before, now).moved
    (False, ('highest score', 'sum of scores'))
    """
    check_value("alpha", alpha, number(above=0, below=1))
    reference = check_scores(reference, name="reference", probabilities=True)
    new = check_scores(new, name="new", n_labels=reference.shape[1], probabilities=True)
    if 0 in (reference.shape[0], new.shape[0], reference.shape[1]):
        raise ValueError("reference and new must hold at least one row, and one label.")
    statistics = {
        "highest score": (_highest(reference), _highest(new)),
        "sum of scores": (_sums(reference), _sums(new)),
    }
    if label_sets is not None:
        statistics["labels a row"] = _sizes(label_sets, (reference, new))
    tests = [ks_2samp(*pair) for pair in statistics.values()]
    p_values = _holm(np.array([test.pvalue for test in tests]))
    shifts = {
        name: Shift(float(test.statistic), float(p_value), float(before.mean()), float(now.mean()))
        for (name, (before, now)), test, p_value in zip(statistics.items(), tests, p_values, strict=True)
    }
    return ScoreDrift(shifts, alpha)


def _highest(scores):
    """Return the highest score of each row."""
    highest = scores.max(axis=1)
    highest = highest if isinstance(scores, np.ndarray) else highest.toarray().ravel()
    return np.round(highest.astype(np.float64), _DECIMALS)


def _sums(scores):
    """Return the sum of each row's scores."""
    return np.round(scores.sum(axis=1, dtype=np.float64), _DECIMALS)


def _sizes(label_sets, scores):
    """Return the number of labels of each row."""
    if not isinstance(label_sets, tuple | list) or len(label_sets) != 2:
        raise ValueError("label_sets must be two matrices: of the reference rows, and of the new ones.")
    names = "label_sets[0]", "label_sets[1]"
    checked = [
        check_labels(labels, name=name, n_samples=of.shape[0], n_labels=of.shape[1])
        for labels, name, of in zip(label_sets, names, scores, strict=True)
    ]
    return tuple(np.diff(labels.indptr) for labels in checked)


def _holm(p_values):
    """Correct p-values for their number, by Holm's method."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
