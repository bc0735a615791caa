"""A threshold for every row, in the largest gap between its scores."""

import numpy as np

from adathresh.rules.base import DecisionRule, every_pair_stored, selected_pairs
from adathresh.utils.grouped import label_max, next_lower, opens_label, threshold_between
from adathresh.utils.validation import falling_by_label


class MCut(DecisionRule):
    """One threshold a row, midway in the largest gap between its scores (MCut); fit needs no labels.

    For a row's scores s_1 ≥ s_2 ≥ …, the threshold is (s_m + s_{m+1})/2 with m = argmax_m (s_m − s_{m+1})
    (Largeron, Moulin and Géry 2012, doi 10.1007/978-3-642-34156-4_17); of equal gaps the one at the higher
    scores is taken. A row without any gap, because all its scores are equal, gets no label. What sparse
    scores lack in a row counts as one more score: 0 where no stored score of the row is negative, as for
    probabilities of which the smallest were left out, and the lowest stored score elsewhere. There are no
    ``thresholds_``.

    Examples
    --------
    >>> from adathresh.rules import MCut
    >>> MCut().fit([[0.9, 0.7, 0.1]]).predict([[0.9, 0.7, 0.1], [0.9, 0.3, 0.2]])
    array([[1, 1, 0],
           [1, 0, 0]])
    """

    _needs_labels = False

    def _fit(self, scores, Y):
        """Learn nothing: the thresholds depend on the row alone."""

    def _decide(self, scores):
        """Threshold each row in its largest gap; here a row is what a label is in the other rules."""
        scores = every_pair_stored(scores)
        n_samples, sizes = scores.shape[0], np.diff(scores.indptr)
        rows = np.repeat(np.arange(n_samples, dtype=np.int32), sizes)
        upper = scores.data[falling_by_label(rows, scores.data)].astype(np.float64)
        lower = next_lower(rows, upper)
        last = scores.indptr[1:][sizes > 0] - 1
        lacks_pairs = sizes[sizes > 0] < self.n_labels_
        lower[last] = np.where(lacks_pairs, np.minimum(upper[last], 0), upper[last])
        gaps = upper - lower
        best = np.flatnonzero((gaps > 0) & (gaps == label_max(rows, gaps, n_samples)[rows]))
        best = best[opens_label(rows[best])]
        thresholds = np.full(n_samples, np.inf)
        thresholds[rows[best]] = threshold_between(upper[best], lower[best])
        return selected_pairs(scores, scores.data > thresholds[rows])
