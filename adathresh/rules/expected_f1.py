"""Half of the greatest expected F1 of every label, from calibrated probabilities alone."""

import numpy as np
import scipy.sparse as sp

from adathresh.rules.base import DecisionRule
from adathresh.utils.grouped import f1_path, label_max
from adathresh.utils.validation import candidate_pairs, falling_by_label


class ExpectedF1Threshold(DecisionRule):
    """One threshold for every label from calibrated probabilities alone: half of the greatest expected F1.

    For a label with probabilities p_1 ≥ p_2 ≥ …, F* = max_m 2·Σ_{i ≤ m} p_i / (m + Σ_i p_i), and the optimal
    threshold is F*/2 (Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892; the quotient of expectations
    stands for the expectation of the quotient, which is close when many positives are expected). Absent pairs
    of sparse probabilities count as 0. A label whose probabilities are all 0 gets ``inf``. Fit needs no
    labels: fitted on the very rows to be predicted, the rule is transductive.

    Attributes
    ----------
    f1_ : ndarray of shape (n_labels,)
        F*, the expected F1 of each label on the rows of fit.

    Examples
    --------
    >>> from adathresh.rules import ExpectedF1Threshold
    >>> ExpectedF1Threshold().fit([[0.5], [0.5], [0.0]]).thresholds_  # F* = 2 * 1 / (2 + 1)
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
        path = f1_path(labels[order], values[order].astype(np.longdouble), totals)
        self.f1_ = label_max(labels[order], path.astype(np.float64), self.n_labels_)
        self.thresholds_ = np.where(self.f1_ > 0, self.f1_ / 2, np.inf)
