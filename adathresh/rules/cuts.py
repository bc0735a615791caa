"""Rules that choose cuts: one for all labels, or one for every label."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from adathresh.rules.base import DecisionRule, every_pair_stored
from adathresh.utils.grouped import (
    closes_label,
    cut_between,
    label_max,
    next_lower,
    opens_label,
    rank,
    running_sum,
)
from adathresh.utils.validation import candidate_pairs, falling_by_label, grouped_by_label


class FixedCut(DecisionRule):
    """Predict what scores above one given number; fit needs no labels.

    Parameters
    ----------
    threshold : float, default=0.5
        The cut, in units of the scores.

    Examples
    --------
    >>> from adathresh.rules import FixedCut
    >>> FixedCut(0.5).fit([[0.2, 0.9]]).predict([[0.5, 0.6]])
    array([[0, 1]])
    """

    _needs_labels = False

    def __init__(self, threshold=0.5):
        self.threshold = threshold

    def _fit(self, scores, Y):
        """Take the cut as given."""
        if np.isnan(self.threshold):
            raise ValueError("threshold must be a number; got NaN.")
        self.thresholds_ = float(self.threshold)


class GlobalCut(DecisionRule):
    """One cut for all labels, the best of all on the held-out rows.

    Every distinct score is tried, in one sweep down the sorted scores that updates the F1 of one label at a
    time: O(n log n) for n scores. The cut lies midway between neighbouring scores; of equally good cuts the
    highest is taken, and ``inf`` if none predicts a true label.

    Parameters
    ----------
    metric : {"macro_f1", "micro_f1"}, default="macro_f1"
        What the cut maximises.

    Examples
    --------
    >>> from adathresh.rules import GlobalCut
    >>> GlobalCut().fit([[0.1, 0.7], [0.3, 0.8]], [[0, 1], [1, 1]]).thresholds_
    0.2
    """

    def __init__(self, metric="macro_f1"):
        self.metric = metric

    def _fit(self, scores, Y):
        """Sweep the cut from the highest score down."""
        if self.metric not in ("macro_f1", "micro_f1"):
            raise ValueError(f'metric must be "macro_f1" or "micro_f1"; got {self.metric!r}.')
        labels, values, truth = candidate_pairs(Y, scores)
        order = np.argsort(-values)
        labels, values, truth = labels[order], values[order], truth[order]
        if self.metric == "micro_f1":
            objective = 2 * np.cumsum(truth) / (np.arange(1, len(truth) + 1) + Y.nnz)
        else:
            # equal in exact arithmetic must stay equal, so that the highest of the best cuts is found
            objective = np.round(np.cumsum(_macro_f1_gains(labels, truth, Y)), 10)
        objective[:-1][values[1:] == values[:-1]] = 0  # a cut cannot part equal scores
        best = int(np.argmax(objective)) if len(objective) else 0
        if objective[best : best + 1].any():
            lower = values[best + 1] if best + 1 < len(values) else -np.inf
            self.thresholds_ = float(cut_between(values[best], lower))
        else:
            self.thresholds_ = float("inf")


class PerLabelCut(DecisionRule):
    """One cut for every label, the best for its F1 on the held-out rows (SCut), or a fallback (SCutFBR).

    The cut lies midway between neighbouring scores of the label, and just below its lowest score if all its
    scored rows are best predicted; of equally good cuts the highest is taken. A label without a scored
    positive gets ``inf`` and is never predicted. On few positives the best cut overfits, mostly by being too
    low; SCutFBR (Yang 2001; Lewis et al. 2004; Fan and Lin 2007) replaces it where the F1 it reaches on the
    held-out rows stays below a bound, fbr. A label without any held-out positive keeps ``inf``.

    Parameters
    ----------
    fallback : {None, "top", "never"}, default=None
        The cut of a label whose best F1 is below fbr: None keeps the best cut (SCut), "top" takes the label's
        highest held-out score (SCutFBR.1), "never" takes ``inf`` (SCutFBR.0).
    fbr : float, default=0.1
        The bound on the F1, in [0, 1]; without effect when fallback is None.

    Attributes
    ----------
    f1_ : ndarray of shape (n_labels,)
        The F1 that the best cut of each label reaches on the held-out rows, before any fallback.

    Examples
    --------
    >>> from adathresh.rules import PerLabelCut
    >>> PerLabelCut().fit([[0.1, 0.2], [0.3, 0.4], [0.2, 0.6]], [[0, 0], [1, 0], [0, 1]]).thresholds_
    array([0.25, 0.5 ])
    """

    def __init__(self, fallback=None, *, fbr=0.1):
        self.fallback = fallback
        self.fbr = fbr

    def _fit(self, scores, Y):
        """Cut every label where its F1 is greatest, then fall back where that is too low."""
        if self.fallback not in (None, "top", "never"):
            raise ValueError(f'fallback must be None, "top" or "never"; got {self.fallback!r}.')
        if not 0 <= self.fbr <= 1:
            raise ValueError(f"fbr must be in [0, 1]; got {self.fbr}.")
        n_labels = self.n_labels_
        labels, values, truth = candidate_pairs(Y, scores)
        order = falling_by_label(labels, values)
        labels, values, truth = labels[order], values[order], truth[order]
        n_positives = np.bincount(Y.indices, minlength=n_labels)
        f1 = _f1_path(labels, truth, n_positives)
        lower = next_lower(labels, values)
        f1[lower == values] = 0  # a cut cannot part equal scores
        self.f1_ = label_max(labels, f1, n_labels)
        best = np.flatnonzero((f1 == self.f1_[labels]) & (f1 > 0))
        best = best[opens_label(labels[best])]
        self.thresholds_ = np.full(n_labels, np.inf)
        self.thresholds_[labels[best]] = cut_between(values[best], lower[best])
        if self.fallback is not None:
            top = np.full(n_labels, np.inf)
            if self.fallback == "top":
                first = np.flatnonzero(opens_label(labels))
                top[labels[first]] = values[first]
            weak = (n_positives > 0) & (self.f1_ < self.fbr)
            self.thresholds_[weak] = top[weak]


class ProportionalCut(DecisionRule):
    """One cut for every label, so that the label is predicted as often as it is true (PCut).

    The cut parts the P highest held-out scores of a label from the others, where P is the label's number of
    held-out positives, scored or not; it lies midway between the two neighbouring scores. Where equal scores
    straddle that place, none of them is predicted, and so fewer than P rows are. If the label has at most P
    scores, the cut lies just below the lowest; a label without positives gets ``inf``. This is the assignment
    in proportion to the prior of Lewis (1992, SIGIR, pages 37–50) and Yang (2001, doi
    10.1145/383952.383975) with Yang's factor x at 1, turned into a cut: they rank the test rows as a batch.

    Examples
    --------
    >>> from adathresh.rules import ProportionalCut
    >>> ProportionalCut().fit([[0.1], [0.4], [0.8], [0.3]], [[0], [0], [1], [1]]).thresholds_
    array([0.35])
    """

    def _fit(self, scores, Y):
        """Cut every label below as many scores as it has positives."""
        n_positives = np.bincount(Y.indices, minlength=self.n_labels_)
        labels, values, _ = candidate_pairs(Y, scores)
        order = falling_by_label(labels, values)
        labels, values = labels[order], values[order]
        lower = next_lower(labels, values)
        possible = (rank(labels, self.n_labels_) <= n_positives[labels]) & (lower < values)
        best = np.flatnonzero(possible)
        best = best[closes_label(labels[best])]
        self.thresholds_ = np.full(self.n_labels_, np.inf)
        # none of several equal highest scores is predicted if they are more than the positives
        first = np.flatnonzero(opens_label(labels))
        first = first[n_positives[labels[first]] > 0]
        self.thresholds_[labels[first]] = values[first]
        self.thresholds_[labels[best]] = cut_between(values[best], lower[best])


class MicroMacroCut(DecisionRule):
    """One cut for every label, the best for macro-F1 plus micro-F1, labels in order of falling frequency.

    For the r-th commonest label, with tp, fp and fn counted on the held-out rows, the cut maximises

        1/r · 2·tp / (2·tp + fp + fn)  +  2·(TP + tp) / (2·(TP + tp) + FP + fp + FN + fn),

    where TP, FP and FN are what the cuts of the commoner labels reached: the micro-F1 so far keeps the cut of
    a rare label from following its few positives (Lin and Lin 2023, doi 10.1145/3583780.3614996, their
    micromacro-freq; ``train_thresholding`` of LibMultiLabel 0.10). The rows are dealt into n_folds parts,
    each part gives each label a cut, and the label gets their mean. Of equally good cuts the highest is
    taken; a part where it is best to predict no row gives a cut just above the label's highest score there.
    So it is for a label without positives, whose mean cut may then lie below some scores. Other than in
    LibMultiLabel a cut never parts equal scores; of equally frequent labels the later one comes first. A
    label without scores gets ``inf``.

    Parameters
    ----------
    n_folds : int, default=3
        Number of parts, from 1 to the number of rows; 1 fits each cut once, on all rows.
    random_state : int, RandomState instance or None, default=0
        Which rows form a part.

    Examples
    --------
    >>> from adathresh.rules import MicroMacroCut
    >>> MicroMacroCut(n_folds=1).fit([[0.1], [0.4], [0.8], [0.3]], [[0], [0], [1], [0]]).thresholds_
    array([0.6])
    """

    def __init__(self, n_folds=3, *, random_state=0):
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, scores, Y):
        """Choose the cuts of one label after the other, each with the counts of those before."""
        n_samples, n_labels = scores.shape
        if not 1 <= self.n_folds <= n_samples:
            raise ValueError(
                f"n_folds must be from 1 to the number of rows, {n_samples}; got {self.n_folds}."
            )
        fold = np.empty(n_samples, dtype=np.int32)
        shuffled = check_random_state(self.random_state).permutation(n_samples)
        for part in range(self.n_folds):  # bounds as LibMultiLabel draws them
            fold[shuffled[part * n_samples // self.n_folds : (part + 1) * n_samples // self.n_folds]] = part
        scores = every_pair_stored(scores)
        labels, values, truth = candidate_pairs(Y, scores)
        # a group is one label in one part
        groups = labels * np.int32(self.n_folds) + np.repeat(fold, np.diff(scores.indptr))
        n_groups = n_labels * self.n_folds
        n_positives = np.bincount(
            Y.indices * np.int32(self.n_folds) + np.repeat(fold, np.diff(Y.indptr)), minlength=n_groups
        )
        order = falling_by_label(groups, values)
        groups, values, truth = groups[order], values[order].astype(np.float64), truth[order]
        true_positives = running_sum(groups, truth, n_groups)
        n_predicted = rank(groups, n_groups)
        lower = next_lower(groups, values)
        possible = np.flatnonzero(lower < values)
        groups = groups[possible]
        best = _best_micro_macro(
            np.searchsorted(groups, np.arange(n_groups + 1)),
            2 * true_positives[possible],
            n_predicted[possible] + n_positives[groups],
            n_positives.reshape(n_labels, self.n_folds),
        )
        self.thresholds_ = self._mean_cuts(groups, values[possible], lower[possible], best)

    def _mean_cuts(self, groups, values, lower, best):
        """Average the cuts of each label over the parts in which it has scores."""
        cuts = np.zeros(self.n_labels_ * self.n_folds)
        first = np.flatnonzero(opens_label(groups))
        cuts[groups[first]] = np.nextafter(values[first], np.inf)
        best = best[best >= 0]
        cuts[groups[best]] = cut_between(values[best], lower[best])
        n_cuts = np.bincount(groups[first] // self.n_folds, minlength=self.n_labels_)
        sums = cuts.reshape(self.n_labels_, self.n_folds).sum(axis=1)
        return np.where(n_cuts > 0, sums / np.maximum(n_cuts, 1), np.inf)


class ExpectedF1Cut(DecisionRule):
    """One cut for every label from calibrated probabilities alone: half of the greatest expected F1.

    For a label with probabilities p_1 ≥ p_2 ≥ …, F* = max_m 2·Σ_{i ≤ m} p_i / (m + Σ_i p_i), and the optimal
    cut is F*/2 (Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892; the quotient of expectations stands
    for the expectation of the quotient, which is close when many positives are expected). Absent pairs of
    sparse probabilities count as 0. A label whose probabilities are all 0 gets ``inf``. Fit needs no labels:
    fitted on the very rows to be predicted, the rule is transductive.

    Attributes
    ----------
    f1_ : ndarray of shape (n_labels,)
        F*, the expected F1 of each label on the rows of fit.

    Examples
    --------
    >>> from adathresh.rules import ExpectedF1Cut
    >>> ExpectedF1Cut().fit([[0.5], [0.5], [0.0]]).thresholds_  # F* = 2 * 1 / (2 + 1)
    array([0.33333333])
    """

    _needs_labels = False
    _needs_probabilities = True

    def _fit(self, scores, Y):
        """Halve the greatest expected F1 of every label."""
        unknown = sp.csr_array(scores.shape, dtype=np.float32)
        labels, values, _ = candidate_pairs(unknown, scores)
        order = falling_by_label(labels, values)
        totals = np.bincount(labels, weights=values, minlength=self.n_labels_)
        # the running sum crosses all labels, and small probabilities must survive in it
        path = _f1_path(labels[order], values[order].astype(np.longdouble), totals)
        self.f1_ = label_max(labels[order], path.astype(np.float64), self.n_labels_)
        self.thresholds_ = np.where(self.f1_ > 0, self.f1_ / 2, np.inf)


def _best_micro_macro(starts, doubled, sizes, n_positives):
    """Choose a cut for each label and part; see :class:`MicroMacroCut`.

    The possible cuts of group g = label · n_folds + part are starts[g] to starts[g + 1], from high to low;
    doubled holds 2·tp of each and sizes 2·tp + fp + fn. Returns the chosen cut of each group, −1 where none
    beats predicting no row. Only this loop runs in turn, because each label needs the counts of those before.
    """
    n_labels, n_folds = n_positives.shape
    best = np.full(n_labels * n_folds, -1)
    frequency = n_positives.sum(axis=1)
    starts, f1 = starts.tolist(), doubled / sizes
    doubled_so_far = size_so_far = 0
    for place, label in enumerate(np.argsort(frequency, kind="stable")[::-1].tolist(), start=1):
        doubled_here, size_here = 0, int(frequency[label])
        for group, without in enumerate(n_positives[label].tolist(), start=label * n_folds):
            begin, end = starts[group], starts[group + 1]
            if begin == end:
                continue
            micro = (doubled[begin:end] + doubled_so_far) / (sizes[begin:end] + size_so_far)
            objective = micro + f1[begin:end] / place
            top = int(objective.argmax())
            none = doubled_so_far / max(without + size_so_far, 1)
            if objective[top] > none:
                best[group] = begin + top
                doubled_here += int(doubled[begin + top])
                size_here += int(sizes[begin + top]) - without
        doubled_so_far += doubled_here
        size_so_far += size_here
    return best


def _f1_path(labels, gains, totals):
    """F1 after each pair, pairs grouped by label: 2·Σ gains so far / (pairs so far + total of the label)."""
    return 2 * running_sum(labels, gains, len(totals)) / (rank(labels, len(totals)) + totals[labels])


def _macro_f1_gains(labels, truth, Y):
    """Change of macro-F1 as each pair, in order of falling score, is added to the predictions."""
    n_labels = Y.shape[1]
    order = grouped_by_label(labels)
    f1 = _f1_path(labels[order], truth[order], np.bincount(Y.indices, minlength=n_labels))
    before = np.zeros(len(f1))
    before[1:] = f1[:-1]
    before[opens_label(labels[order])] = 0
    gains = np.empty(len(f1))
    gains[order] = (f1 - before) / n_labels
    return gains
