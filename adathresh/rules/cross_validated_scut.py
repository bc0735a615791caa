"""SCut with a remedy against overfitting, as strong as cross-validation finds it best."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from sklearn.utils import check_random_state

from adathresh.rules.base import DecisionRule, every_pair_stored
from adathresh.utils.grouped import label_max, next_lower, opens_label, rank, running_sum, threshold_between
from adathresh.utils.parameters import flag, number, one_of, optional, parameters, seed, sequence_of, whole
from adathresh.utils.validation import candidate_pairs, falling_by_label

_STRENGTHS = {
    "smoothing": (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    "fbr": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
}


class CrossValidatedSCut(DecisionRule):
    """One threshold for every label, the best for its smoothed F1, with the smoothing cross-validated.

    On few positives the threshold that is best for F1 overfits, mostly by being too low. Lin and Lin (2023,
    doi 10.1145/3583780.3614996) study two remedies:

    - "smoothing" of F1, here as (2·tp + s) / (2·tp + fp + fn + s). Predicting no row of a label with P
      positives is then worth s / (P + s), so that the rarer the label, the better a low threshold has to be;
      a label for which nothing is better takes its highest held-out score.
    - "fbr" keeps F1, but takes the highest held-out score where the F1 stays below a bound (SCutFBR.1: Yang
      2001; Lewis et al. 2004; Fan and Lin 2007), as :class:`SCut` does with a given bound.

    The strength, s or the bound, is the one with the greatest F1 on rows that the thresholds were not chosen
    on, in each part of the rows in turn; of equally good ones the greatest. The thresholds are then chosen on
    all rows. As in :class:`SCut`, a threshold lies midway between neighbouring scores, never parts equal
    scores, and is the highest of equally good ones; a label without a held-out positive gets ``inf``.

    Parameters
    ----------
    remedy : {"smoothing", "fbr"}, default="smoothing"
        What keeps the thresholds of rare labels from overfitting.
    strengths : sequence of float, optional
        What s, at least 0, or the bound, in [0, 1], is chosen from. By default 0, 0.5, 1, 2, 4, 8, 16 for
        "smoothing", and 0.1, 0.2 … 0.8 for "fbr", as Fan and Lin have it. A single one is taken without
        cross-validation.
    per_label : bool, default=False
        Whether each label chooses its own strength, by its own F1, as Fan and Lin do; otherwise all labels
        take the one with the greatest macro-F1.
    n_folds : int, default=3
        Number of parts, from 2 to the number of rows.
    random_state : int, RandomState instance or None, default=0
        Which rows form a part.

    Attributes
    ----------
    strength_ : float or ndarray of shape (n_labels,)
        The chosen strength, or that of every label.
    f1_ : ndarray of shape (n_strengths,) or (n_strengths, n_labels)
        What each strength was chosen by: macro-F1, or F1 of every label, over the rows held out in turn; NaN
        without cross-validation.

    Examples
    --------
    >>> from adathresh.rules import CrossValidatedSCut
    >>> scores, Y = [[0.9], [0.8], [0.7], [0.1]], [[0], [0], [0], [1]]  # F1 is 0.4 with every row predicted
    >>> [CrossValidatedSCut(strengths=[s]).fit(scores, Y).thresholds_.round(3).item() for s in (0, 2)]
    [0.1, 0.9]
    """

    _parameters = parameters(
        remedy=one_of(*_STRENGTHS),
        strengths=optional(sequence_of(number(finite=False), plural="numbers")),
        per_label=flag(),
        n_folds=whole(),
        random_state=seed(),
    )

    def __init__(
        self,
        remedy: Literal["smoothing", "fbr"] = "smoothing",
        *,
        strengths: Sequence[float] | None = None,
        per_label: bool = False,
        n_folds: int = 3,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.remedy = remedy
        self.strengths = strengths
        self.per_label = per_label
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, scores, Y):
        """Choose the strength on held-out parts, then the thresholds on all rows."""
        strengths = self._checked_strengths(scores.shape[0])
        scores = every_pair_stored(scores)
        labels, values, truth = candidate_pairs(Y, scores)
        order = falling_by_label(labels, values)
        pairs = labels[order], values[order], truth[order]
        if len(strengths) > 1:
            fold = self._folds(scores.shape[0])
            counts = self._held_out_counts(
                pairs, np.repeat(fold, np.diff(scores.indptr))[order], Y, fold, strengths
            )
            f1 = _f1(*counts, np.bincount(Y.indices, minlength=self.n_labels_))
        else:
            f1 = np.full((1, self.n_labels_), np.nan)
        self.f1_ = f1 if self.per_label else f1.mean(axis=1)
        best = len(strengths) - 1 - np.argmax(self.f1_[::-1], axis=0)  # of equally good ones the greatest
        self.strength_ = strengths[best] if self.per_label else float(strengths[best])
        paths = _Paths(*pairs, np.bincount(Y.indices, minlength=self.n_labels_))
        self.thresholds_ = self._thresholds(paths, self.strength_)

    def _checked_strengths(self, n_samples):
        """Return the strengths to choose from, rising, or say which parameter is out of range."""
        given = _STRENGTHS[self.remedy] if self.strengths is None else self.strengths
        strengths = np.unique(np.asarray(given, dtype=np.float64))
        highest = np.finfo(np.float64).max if self.remedy == "smoothing" else 1
        if not len(strengths) or not ((strengths >= 0) & (strengths <= highest)).all():
            wanted = "finite numbers of at least 0" if self.remedy == "smoothing" else "numbers in [0, 1]"
            raise ValueError(f'strengths of "{self.remedy}" must be {wanted}; got {given!r}.')
        if len(strengths) > 1 and not 2 <= self.n_folds <= n_samples:
            raise ValueError(
                f"n_folds must be from 2 to the number of rows, {n_samples}; got {self.n_folds}. "
                "A single strength needs no folds."
            )
        return strengths

    def _folds(self, n_samples):
        """Deal the rows into parts of nearly equal size."""
        fold = np.empty(n_samples, dtype=np.int32)
        shuffled = check_random_state(self.random_state).permutation(n_samples)
        fold[shuffled] = np.arange(n_samples) * self.n_folds // n_samples
        return fold

    def _held_out_counts(self, pairs, fold_of_pair, Y, fold, strengths):
        """Count true positives and predicted rows of each strength and label over the parts in turn."""
        found = np.zeros((2, len(strengths), self.n_labels_))
        fold_of_positive = np.repeat(fold, np.diff(Y.indptr))
        for part in range(self.n_folds):
            inside = fold_of_pair != part
            n_positives = np.bincount(Y.indices[fold_of_positive != part], minlength=self.n_labels_)
            paths = _Paths(*(each[inside] for each in pairs), n_positives)
            labels, values, truth = (each[~inside] for each in pairs)
            for place, strength in enumerate(strengths):
                predicted = values > self._thresholds(paths, strength)[labels]
                found[1, place] += np.bincount(labels[predicted], minlength=self.n_labels_)
                found[0, place] += np.bincount(labels[predicted & truth], minlength=self.n_labels_)
        return found

    def _thresholds(self, paths, strength):
        """Return the threshold of every label at some strength, one for all labels or one for each."""
        strength = np.broadcast_to(strength, self.n_labels_)
        if self.remedy == "smoothing":
            value, best = paths.best_smoothed(strength)
            with np.errstate(invalid="ignore"):
                none = np.nan_to_num(strength / (paths.n_positives + strength))
            weak, falls_back = value <= none, strength > 0
        else:
            value, best = paths.best_smoothed(np.zeros(self.n_labels_))
            weak, falls_back = value < strength, True
        thresholds = np.full(self.n_labels_, np.inf)
        found = value > 0
        thresholds[found] = paths.between(best[found])
        top = np.where(falls_back, paths.highest, np.inf)
        thresholds[weak] = top[weak]
        thresholds[paths.n_positives == 0] = np.inf
        return thresholds


class _Paths:
    """The counts of each label as its threshold falls: what all strengths have in common."""

    def __init__(self, labels, values, truth, n_positives):
        self.n_positives = n_positives
        n_labels = len(n_positives)
        values = values.astype(np.float64)
        self.highest = np.full(n_labels, np.inf)
        first = opens_label(labels)
        self.highest[labels[first]] = values[first]
        lower = next_lower(labels, values)
        possible = lower < values  # a threshold cannot part equal scores
        self._doubled = 2 * running_sum(labels, truth, n_labels)[possible]
        self._sizes = (rank(labels, n_labels) + n_positives[labels])[possible]
        self._labels, self._values, self._lower = labels[possible], values[possible], lower[possible]

    def best_smoothed(self, smoothing):
        """Return the greatest smoothed F1 of each label, 0 without scores, and the place of its threshold."""
        labels = self._labels
        added = smoothing[labels]
        f1 = (self._doubled + added) / (self._sizes + added)
        greatest = label_max(labels, f1, len(smoothing))
        best = np.flatnonzero(f1 == greatest[labels])
        best = best[opens_label(labels[best])]
        places = np.zeros(len(smoothing), dtype=np.int64)
        places[labels[best]] = best
        return greatest, places

    def between(self, places):
        """Return the thresholds at some places."""
        return threshold_between(self._values[places], self._lower[places])


def _f1(true_positives, n_predicted, n_positives):
    """Return F1 from counts; 0 where it is undefined."""
    return 2 * true_positives / np.maximum(n_predicted + n_positives, 1)
