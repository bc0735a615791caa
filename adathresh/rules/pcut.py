"""Every label predicted as often as it is true."""

import numpy as np

from adathresh.rules.base import DecisionRule
from adathresh.utils.grouped import closes_label, next_lower, opens_label, rank, threshold_between
from adathresh.utils.validation import candidate_pairs, falling_by_label


class PCut(DecisionRule):
    """One threshold for every label, so that the label is predicted as often as it is true (PCut).

    The threshold parts the P highest held-out scores of a label from the others, where P is the label's
    number of held-out positives, scored or not; it lies midway between the two neighbouring scores. Where
    equal scores straddle that place, none of them is predicted, and so fewer than P rows are. If the label
    has at most P scores, the threshold lies just below the lowest; a label without positives gets ``inf``.
    This is the assignment in proportion to the prior of Lewis (1992, SIGIR, pages 37–50) and Yang (2001, doi
    10.1145/383952.383975) with Yang's factor x at 1, turned into a threshold: they rank the test rows as a
    batch.

    Examples
    --------
    >>> from adathresh.rules import PCut
    >>> PCut().fit([[0.1], [0.4], [0.8], [0.3]], [[0], [0], [1], [1]]).thresholds_
    array([0.35])
    """

    def _fit(self, scores, Y):
        """Put every threshold below as many scores as the label has positives."""
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
        self.thresholds_[labels[best]] = threshold_between(values[best], lower[best])
