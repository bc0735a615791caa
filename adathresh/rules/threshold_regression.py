"""A threshold for every row, predicted from its scores."""

from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator, clone

from adathresh.rules.base import DecisionRule, every_pair_stored, selected_pairs
from adathresh.rules.row_scores import SortedScores, default_learner, falling_by_row
from adathresh.utils.grouped import next_lower, opens_label, rank, running_sum, threshold_between
from adathresh.utils.parameters import estimator_with, one_of, optional, parameters, seed, whole
from adathresh.utils.validation import candidate_pairs


class ThresholdRegression(DecisionRule):
    """One threshold t(x) for all labels of a row, which a regression learns from the row's sorted scores.

    For each held-out row the best threshold is known: the one with the fewest errors,
    t = argmin_t #{true l: z_l ≤ t} + #{other l: z_l > t}, midway between two neighbouring scores of the row
    (Elisseeff and Weston 2001, A kernel method for multi-labelled classification, NIPS 14, who fit a linear
    function; ``ThresholdPrediction`` of Mulan takes any regression), or the one with the greatest F1 of the
    row. A model is fitted on them, and each new row gets the threshold that it predicts. ThresNets (doi
    10.3390/app13137591) put a neural network that looks at all scores of the row in its place, with one
    threshold a label. Of equally good thresholds the highest is taken: a row for which it is best to predict
    nothing counts with its highest score. Where all scores are best predicted, the threshold is just below
    the lowest. There are no ``thresholds_``.

    Parameters
    ----------
    criterion : {"f1", "errors"}, default="f1"
        What the best threshold of a held-out row is best for.
    n_scores : int, default=50
        How many of a row's highest scores the model sees, at least 1, beside the sum of all.
    learner : scikit-learn regressor, optional
        The model of the threshold. By default small gradient-boosted trees that minimise the squared error.
    random_state : int, RandomState instance or None, default=0
        Of the default learner.

    Attributes
    ----------
    learner_ : scikit-learn estimator
        The fitted model; its thresholds are in units of the range that the scores had in fit.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rule = ThresholdRegression(learner=LinearRegression())
    >>> rule = rule.fit([[0.9, 0.5], [0.8, 0.0]], [[1, 0], [1, 0]])  # best thresholds: 0.7 and 0.4
    >>> rule.predict([[0.85, 0.25]])
    array([[1, 0]])
    """

    _parameters = parameters(
        criterion=one_of("f1", "errors"),
        n_scores=whole(1),
        learner=optional(estimator_with("fit", "predict")),
        random_state=seed(),
    )

    def __init__(
        self,
        criterion: Literal["f1", "errors"] = "f1",
        *,
        n_scores: int = 50,
        learner: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.criterion = criterion
        self.n_scores = n_scores
        self.learner = learner
        self.random_state = random_state

    def _fit(self, scores, Y):
        """Find the best threshold of every row that has scores, and fit the model on them."""
        if not scores.shape[0]:
            raise ValueError("ThresholdRegression learns from rows; got none. Pass held-out rows to fit.")
        scores = every_pair_stored(scores)
        self._describe = SortedScores(self.n_scores).fit(scores)
        learner = default_learner(self.random_state) if self.learner is None else clone(self.learner)
        scored = np.diff(scores.indptr) > 0
        targets = self._best_of_rows(scores, Y)
        if not scored.any():  # nothing to learn, and nothing that could be predicted
            scored[:] = True
        self.learner_ = learner.fit(self._describe.transform(scores)[scored], targets[scored])

    def _best_of_rows(self, scores, Y):
        """Return the best threshold of every row, in units of the scores' range; 0 without scores."""
        rows, order = falling_by_row(scores)
        n_samples = scores.shape[0]
        values = self._describe.scaled(scores.data)[order]
        truth = candidate_pairs(Y, scores).truth[order]
        true_positives, n_predicted = running_sum(rows, truth, n_samples), rank(rows, n_samples)
        if self.criterion == "f1":
            worth = 2 * true_positives / (n_predicted + np.diff(Y.indptr)[rows])
        else:
            worth = 2.0 * true_positives - n_predicted  # fewer errors than with nothing predicted
        lower = next_lower(rows, values)
        worth[lower == values] = -np.inf  # a threshold cannot part equal scores
        first = np.flatnonzero(opens_label(rows))
        best_worth = np.zeros(n_samples)
        if len(first):
            best_worth[rows[first]] = np.maximum.reduceat(worth, first)
        thresholds = np.zeros(n_samples)
        thresholds[rows[first]] = values[first]  # just high enough for nothing
        best = np.flatnonzero((worth == best_worth[rows]) & (worth > 0))
        best = best[opens_label(rows[best])]
        thresholds[rows[best]] = threshold_between(values[best], lower[best])
        return thresholds

    def _decide(self, scores):
        """Compare each row's scores with its predicted threshold."""
        scores = every_pair_stored(scores)
        if not scores.shape[0]:
            return selected_pairs(scores, np.zeros(0, dtype=bool))
        thresholds = self.learner_.predict(self._describe.transform(scores))
        above = self._describe.scaled(scores.data) > np.repeat(thresholds, np.diff(scores.indptr))
        return selected_pairs(scores, above)
