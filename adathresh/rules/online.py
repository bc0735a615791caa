"""A threshold for every label that follows its F1 from row to row.

Its authors' package, xCOLUMNs, does not have the online algorithm up to version 0.0.2, so it is written here.
"""

import numpy as np
from sklearn.utils import check_random_state

from adathresh.rules.base import DecisionRule, every_pair_stored
from adathresh.utils.parameters import parameters, seed, whole


class OnlineF1Threshold(DecisionRule):
    """One threshold for every label, half of the F1 that the label has reached so far, row after row.

    The held-out rows come one by one in a random order. Label l of a row is predicted where its probability
    exceeds θ_l = a_l / b_l, with a_l the true positives so far and b_l the positives and predicted rows so
    far, and then both are counted on. As F1 = 2·a_l / b_l, this is F1/2. It is what the general online
    algorithm for functions of the confusion matrix (Kotłowski et al. 2024, arXiv:2406.14743) comes to for
    macro-F1 without a budget, and label by label the online F-measure optimisation of Busa-Fekete et al.
    (2015, NIPS 28). New rows are compared with the last thresholds. Of calibrated probabilities it tends to
    what :class:`ExpectedF1Threshold` computes at once, but with the labels in place of their probabilities. A
    label of which no true row was found gets ``inf``.

    Parameters
    ----------
    n_passes : int, default=5
        How often all rows come, at least 1; the counts go on. The first rows, which are all predicted until
        a true one is found, weigh the less the more passes there are.
    random_state : int, RandomState instance or None, default=0
        Order of the rows, another one in each pass.

    Examples
    --------
    >>> from adathresh.rules import OnlineF1Threshold
    >>> rule = OnlineF1Threshold(n_passes=100).fit([[0.9], [0.6], [0.4], [0.1]], [[1], [1], [0], [0]])
    >>> rule.thresholds_.round(2)
    array([0.5])
    """

    _needs_probabilities = True

    _parameters = parameters(n_passes=whole(1), random_state=seed())

    def __init__(self, n_passes: int = 5, *, random_state: int | np.random.RandomState | None = 0):
        self.n_passes = n_passes
        self.random_state = random_state

    def _fit(self, scores, Y):
        """Let the rows come; only this loop runs in turn, because each row meets what those before left."""
        scores = every_pair_stored(scores)
        values = scores.data.astype(np.float64)
        found, counted = np.zeros((2, self.n_labels_))  # a and b
        is_true = np.zeros(self.n_labels_, dtype=bool)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_passes):
            for row in rng.permutation(scores.shape[0]).tolist():
                pairs = slice(scores.indptr[row], scores.indptr[row + 1])
                true = Y.indices[Y.indptr[row] : Y.indptr[row + 1]]
                labels = scores.indices[pairs]
                thresholds = found[labels] / np.maximum(counted[labels], 1)  # 0 before anything is counted
                predicted = labels[values[pairs] > thresholds]
                is_true[true] = True
                found[predicted[is_true[predicted]]] += 1
                is_true[true] = False
                counted[predicted] += 1
                counted[true] += 1
        self.thresholds_ = np.where(found > 0, found / np.maximum(counted, 1), np.inf)
