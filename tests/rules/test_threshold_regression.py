"""A threshold for every row: the best ones against brute force, and what the regression makes of them."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from adathresh.rules import FixedThreshold, ThresholdRegression


def best_of_row(y, s, criterion):
    """The highest of the best thresholds of one row, by brute force; s is −inf without a score."""
    distinct = np.unique(s[np.isfinite(s)])[::-1]
    best, greatest = distinct[0], 0 if criterion == "f1" else -y.sum()
    for k, upper in enumerate(distinct):
        p = s >= upper
        value = 2 * (y & p).sum() / (y.sum() + p.sum()) if criterion == "f1" else -(y ^ p).sum()
        if value > greatest:
            greatest = value
            best = (upper + distinct[k + 1]) / 2 if k + 1 < len(distinct) else np.nextafter(upper, -np.inf)
    return best


class Spy(LinearRegression):
    """Keep what it was fitted on."""

    def fit(self, X, y):
        self.given_ = X, y
        return super().fit(X, y)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("criterion", ["f1", "errors"])
def test_the_regression_learns_the_best_threshold_of_every_row_with_scores(make_case, seed, criterion):
    Y, scores, stored, _ = make_case(seed)
    stored[3], Y[5] = False, 0
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        X, y = ThresholdRegression(criterion, learner=Spy()).fit(given, Y).learner_.given_
        low, high = (f(filled[np.isfinite(filled)]) for f in (min, max))
        rows = [row for row in range(len(Y)) if np.isfinite(filled[row]).any()]
        expected = [best_of_row(Y[row].astype(bool), filled[row], criterion) for row in rows]
        np.testing.assert_allclose(y, (np.array(expected) - low) / (high - low), atol=1e-12)
        assert len(X) == len(rows)


def test_by_hand():
    scores = [[0.9, 0.5, 0.4, 0.1], [0.8, 0.6, 0.2, 0.0], [0.7, 0.3, 0.2, 0.1]]
    Y = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    # F1: row 0 is best with 3 labels (4/5 > 2/3), row 1 with 2 (2/3), row 2 with none
    # errors: row 0 with 1 or 3 labels (1 error; the highest threshold), row 1 with 0 or 2 (1 error)
    for criterion, expected in (("f1", [0.25, 0.4, 0.7]), ("errors", [0.7, 0.8, 0.7])):
        rule = ThresholdRegression(criterion, learner=Spy()).fit(scores, Y)
        np.testing.assert_allclose(rule.learner_.given_[1] * 0.9, expected)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.75])
def test_with_one_threshold_for_all_rows_it_is_that_fixed_threshold(make_case, threshold):
    Y, scores, _, sparse = make_case(1)
    for given in (scores, sparse):
        low, high = (f(given.data if sp.issparse(given) else given.ravel()) for f in (min, max))
        learner = DummyRegressor(strategy="constant", constant=(threshold - low) / (high - low) + 1e-9)
        predicted = ThresholdRegression(learner=learner).fit(given, Y).predict(given)
        expected = FixedThreshold(threshold).fit(given, Y).predict(given)
        assert (predicted != expected).sum() == 0


@pytest.mark.parametrize("learner", [None, LinearRegression()])
def test_it_follows_rows_whose_scores_are_all_too_high(learner):
    """Rows with an offset that one threshold for all rows cannot take away."""
    rng = np.random.default_rng(0)
    Y = (rng.random((600, 6)) < 0.4).astype(int)
    scores = 0.3 * Y + 0.02 * rng.random(Y.shape) + 2 * rng.random((600, 1))
    predicted = ThresholdRegression(learner=learner).fit(scores[:400], Y[:400]).predict(scores[400:])
    assert (predicted == Y[400:]).mean() > 0.85
    assert max(((scores[400:] > t) == Y[400:]).mean() for t in np.linspace(0, 2.3, 47)) < 0.75


def test_it_needs_a_row():
    with pytest.raises(ValueError, match="ThresholdRegression learns from rows; got none"):
        ThresholdRegression().fit(np.zeros((0, 2)), np.zeros((0, 2)))
