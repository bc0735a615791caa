"""One given threshold for all labels."""

from adathresh.rules.base import DecisionRule
from adathresh.utils.parameters import number, parameters


class FixedThreshold(DecisionRule):
    """Predict what scores above one given number; fit needs no labels.

    Parameters
    ----------
    threshold : float, default=0.5
        The threshold, in units of the scores.

    Examples
    --------
    >>> from adathresh.rules import FixedThreshold
    >>> FixedThreshold(0.5).fit([[0.2, 0.9]]).predict([[0.5, 0.6]])
    array([[0, 1]])
    """

    _parameters = parameters(threshold=number(finite=False))
    _needs_labels = False

    def __init__(self, threshold: float = 0.5):
        self.threshold = threshold

    def _fit(self, scores, Y):
        """Take the threshold as given."""
        self.thresholds_ = float(self.threshold)
