"""As many of the highest-scored labels of a row as a model of its scores says it has."""

import numpy as np
from sklearn.base import BaseEstimator, clone

from adathresh.rules.base import DecisionRule, every_pair_stored, selected_pairs
from adathresh.rules.row_scores import SortedScores, default_learner, places_in_rows
from adathresh.utils.parameters import estimator_with, optional, parameters, seed, whole


class MetaLabeler(DecisionRule):
    """Predict the k(x) highest-scored labels of a row, where a model learns the number k(x) from its scores.

    The model is fitted on the number of true labels of the held-out rows, scored or not; k(x) is what it
    predicts, rounded to the nearest whole number, halves up. Tang, Rajan and Narayanan (2009, doi
    10.1145/1526709.1526738) describe a row by its features, by its scores, or by its scores in falling order.
    A rule that sees only scores can take the last, to which their sum is added: of calibrated probabilities
    it is the expected number of labels. Of equal scores the lower label index comes first. A row gets no more
    labels than it has scores. There are no ``thresholds_``.

    Parameters
    ----------
    n_scores : int, default=50
        How many of a row's highest scores the model sees, at least 1.
    learner : scikit-learn regressor or classifier, optional
        The model of the number; a classifier takes each number for a class. By default small gradient-boosted
        trees that minimise the squared error.
    random_state : int, RandomState instance or None, default=0
        Of the default learner.

    Attributes
    ----------
    learner_ : scikit-learn estimator
        The fitted model.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rule = MetaLabeler(learner=LinearRegression()).fit([[0.9, 0.8], [0.9, 0.1]], [[1, 1], [1, 0]])
    >>> rule.predict([[0.1, 0.9], [0.7, 0.9]])
    array([[0, 1],
           [1, 1]])
    """

    _parameters = parameters(
        n_scores=whole(1),
        learner=optional(estimator_with("fit", "predict")),
        random_state=seed(),
    )

    def __init__(
        self,
        n_scores: int = 50,
        *,
        learner: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.n_scores = n_scores
        self.learner = learner
        self.random_state = random_state

    def _fit(self, scores, Y):
        """Fit the model of the number of labels."""
        if not scores.shape[0]:
            raise ValueError("MetaLabeler learns from rows; got none. Pass held-out rows to fit.")
        scores = every_pair_stored(scores)
        self._describe = SortedScores(self.n_scores).fit(scores)
        learner = default_learner(self.random_state) if self.learner is None else clone(self.learner)
        self.learner_ = learner.fit(self._describe.transform(scores), np.diff(Y.indptr))

    def _decide(self, scores):
        """Take the predicted number of highest scores of each row."""
        scores = every_pair_stored(scores)
        if not scores.shape[0]:
            return selected_pairs(scores, np.zeros(0, dtype=bool))
        numbers = np.floor(self.learner_.predict(self._describe.transform(scores)) + 0.5)
        return selected_pairs(scores, places_in_rows(scores) <= np.repeat(numbers, np.diff(scores.indptr)))
