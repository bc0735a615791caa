"""One threshold for all labels, the best on held-out rows."""

from typing import Literal

import numpy as np

from adathresh.rules.base import DecisionRule
from adathresh.utils.grouped import f1_path, opens_label, threshold_between
from adathresh.utils.parameters import one_of, parameters
from adathresh.utils.validation import candidate_pairs, grouped_by_label


class GlobalThreshold(DecisionRule):
    """One threshold for all labels, the best of all on the held-out rows.

    Every distinct score is tried, in one sweep down the sorted scores that updates the F1 of one label at a
    time: O(n log n) for n scores. The threshold lies midway between neighbouring scores; of equally good
    thresholds the highest is taken, and ``inf`` if none predicts a true label.

    Parameters
    ----------
    metric : {"macro_f1", "micro_f1"}, default="macro_f1"
        What the threshold maximises.

    Examples
    --------
    >>> from adathresh.rules import GlobalThreshold
    >>> GlobalThreshold().fit([[0.1, 0.7], [0.3, 0.8]], [[0, 1], [1, 1]]).thresholds_
    0.2
    """

    _parameters = parameters(metric=one_of("macro_f1", "micro_f1"))

    def __init__(self, metric: Literal["macro_f1", "micro_f1"] = "macro_f1"):
        self.metric = metric

    def _fit(self, scores, Y):
        """Sweep the threshold from the highest score down."""
        labels, values, truth = candidate_pairs(Y, scores)
        order = np.argsort(-values)
        labels, values, truth = labels[order], values[order], truth[order]
        if self.metric == "micro_f1":
            objective = 2 * np.cumsum(truth) / (np.arange(1, len(truth) + 1) + Y.nnz)
        else:
            # equal in exact arithmetic must stay equal, so that the highest of the best thresholds is found
            objective = np.round(np.cumsum(_macro_f1_gains(labels, truth, Y)), 10)
        objective[:-1][values[1:] == values[:-1]] = 0  # a threshold cannot part equal scores
        best = int(np.argmax(objective)) if len(objective) else 0
        if objective[best : best + 1].any():
            lower = values[best + 1] if best + 1 < len(values) else -np.inf
            self.thresholds_ = float(threshold_between(values[best], lower))
        else:
            self.thresholds_ = float("inf")


def _macro_f1_gains(labels, truth, Y):
    """Change of macro-F1 as each pair, in order of falling score, is added to the predictions."""
    n_labels = Y.shape[1]
    order = grouped_by_label(labels)
    f1 = f1_path(labels[order], truth[order], np.bincount(Y.indices, minlength=n_labels))
    before = np.zeros(len(f1))
    before[1:] = f1[:-1]
    before[opens_label(labels[order])] = 0
    gains = np.empty(len(f1))
    gains[order] = (f1 - before) / n_labels
    return gains
