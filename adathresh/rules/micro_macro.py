"""A threshold for every label, the best for macro-F1 plus micro-F1."""

import numpy as np
from sklearn.utils import check_random_state

from adathresh.rules.base import DecisionRule, every_pair_stored
from adathresh.utils.grouped import next_lower, opens_label, rank, running_sum, threshold_between
from adathresh.utils.parameters import parameters, seed, whole
from adathresh.utils.validation import candidate_pairs, falling_by_label


class MicroMacroThreshold(DecisionRule):
    """One threshold for every label, the best for macro-F1 plus micro-F1, the commonest label first.

    For the r-th commonest label, with tp, fp and fn counted on the held-out rows, the threshold maximises

        1/r · 2·tp / (2·tp + fp + fn)  +  2·(TP + tp) / (2·(TP + tp) + FP + fp + FN + fn),

    where TP, FP and FN are what the thresholds of the commoner labels reached: the micro-F1 so far keeps the
    threshold of a rare label from following its few positives (Lin and Lin 2023, doi 10.1145/3583780.3614996,
    their micromacro-freq; ``train_thresholding`` of LibMultiLabel 0.10). The rows are dealt into n_folds
    parts, each part gives each label a threshold, and the label gets their mean. Of equally good thresholds
    the highest is taken; a part where it is best to predict no row gives a threshold just above the label's
    highest score there. So it is for a label without positives, whose mean threshold may then lie below some
    scores. Other than in LibMultiLabel a threshold never parts equal scores; of equally frequent labels the
    later one comes first. A label without scores gets ``inf``.

    Parameters
    ----------
    n_folds : int, default=3
        Number of parts, from 1 to the number of rows; 1 fits each threshold once, on all rows.
    random_state : int, RandomState instance or None, default=0
        Which rows form a part.

    Examples
    --------
    >>> from adathresh.rules import MicroMacroThreshold
    >>> MicroMacroThreshold(n_folds=1).fit([[0.1], [0.4], [0.8], [0.3]], [[0], [0], [1], [0]]).thresholds_
    array([0.6])
    """

    _parameters = parameters(n_folds=whole(1), random_state=seed())

    def __init__(self, n_folds: int = 3, *, random_state: int | np.random.RandomState | None = 0):
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, scores, Y):
        """Choose the thresholds of one label after the other, each with the counts of those before."""
        n_samples, n_labels = scores.shape
        if self.n_folds > n_samples:
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
        self.thresholds_ = self._mean_thresholds(groups, values[possible], lower[possible], best)

    def _mean_thresholds(self, groups, values, lower, best):
        """Average the thresholds of each label over the parts in which it has scores."""
        thresholds = np.zeros(self.n_labels_ * self.n_folds)
        first = np.flatnonzero(opens_label(groups))
        thresholds[groups[first]] = np.nextafter(values[first], np.inf)
        best = best[best >= 0]
        thresholds[groups[best]] = threshold_between(values[best], lower[best])
        n_thresholds = np.bincount(groups[first] // self.n_folds, minlength=self.n_labels_)
        sums = thresholds.reshape(self.n_labels_, self.n_folds).sum(axis=1)
        return np.where(n_thresholds > 0, sums / np.maximum(n_thresholds, 1), np.inf)


def _best_micro_macro(starts, doubled, sizes, n_positives):
    """Choose a threshold for each label and part; see :class:`MicroMacroThreshold`.

    The possible thresholds of group g = label · n_folds + part are starts[g] to starts[g + 1], from high to
    low; doubled holds 2·tp of each and sizes 2·tp + fp + fn. Returns the chosen threshold of each group, −1
    where none beats predicting no row. Only this loop runs in turn, because each label needs the counts of
    those before.
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
