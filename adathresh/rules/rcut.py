"""The k highest-scored labels of every row."""

import numpy as np

from adathresh.metrics import top_k
from adathresh.rules.base import DecisionRule
from adathresh.utils.parameters import parameters, whole


class RCut(DecisionRule):
    """Predict the k highest-scored labels of every row (RCut); fit needs no labels.

    Of equal scores the lower label index comes first. There are no ``thresholds_``.

    Parameters
    ----------
    k : int, default=5
        Number of labels a row, at least 1.

    Examples
    --------
    >>> from adathresh.rules import RCut
    >>> RCut(1).fit([[0.2, 0.9]]).predict([[0.5, 0.4], [0.1, 0.3]])
    array([[1, 0],
           [0, 1]])
    """

    _needs_labels = False

    _parameters = parameters(k=whole(1))

    def __init__(self, k: int = 5):
        self.k = k

    def _fit(self, scores, Y):
        """Learn nothing: the labels depend on the row alone."""

    def _decide(self, scores):
        """Mark the k highest scores of each row."""
        top = top_k(scores, self.k)
        top.data = np.ones(top.nnz, dtype=bool)
        return top
