"""As many labels as a model says: the model's numbers, the highest scores, nothing else."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from adathresh.rules import MetaLabeler, RCut


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("learner", [DummyRegressor, DummyClassifier])
def test_with_one_number_for_all_rows_it_is_rcut(make_case, k, learner):
    Y, _, _, sparse = make_case(0)
    rule = MetaLabeler(learner=learner(strategy="constant", constant=k))
    Y[:k] = np.arange(7) < k  # a classifier must have seen the number
    np.testing.assert_array_equal(
        rule.fit(sparse, Y).predict(sparse).toarray(), RCut(k).fit(sparse).predict(sparse).toarray()
    )


@pytest.mark.parametrize(("number", "expected"), [(0.49, 0), (0.5, 1), (1.49, 1), (1.5, 2), (9, 3), (-2, 0)])
def test_numbers_are_rounded_and_no_row_gets_more_labels_than_scores(number, expected):
    rule = MetaLabeler(learner=DummyRegressor(strategy="constant", constant=number))
    predicted = rule.fit([[0.1, 0.2, 0.3]], [[0, 0, 1]]).predict([[0.3, 0.2, 0.1]])
    np.testing.assert_array_equal(predicted, [np.arange(3) < expected])


def test_the_model_sees_sorted_scores_their_sum_and_the_number_of_true_labels():
    scores = sp.csr_array([[0.0, 0.75, 0.5], [1.0, 0.0, 0.0]])  # 0 is absent
    seen = {}

    class Spy(LinearRegression):
        def fit(self, X, y):
            seen.update(X=X, y=y)
            return super().fit(X, y)

    MetaLabeler(2, learner=Spy()).fit(scores, [[1, 1, 1], [0, 0, 0]])  # label 0 is true, but has no score
    np.testing.assert_array_equal(seen["X"], [[0.5, 0, 0.5], [1, 0, 1]])
    np.testing.assert_array_equal(seen["y"], [3, 0])


def counted_case(n_samples=400):
    """Scores that tell how many labels a row has: 0.9 for true labels and 0.1 for others, with noise."""
    rng = np.random.default_rng(0)
    Y = (rng.random((n_samples, 8)) < rng.random((n_samples, 1))).astype(int)
    return Y, 0.1 + 0.8 * Y + rng.normal(scale=0.02, size=Y.shape)


@pytest.mark.parametrize("learner", [None, LinearRegression(), LogisticRegression(max_iter=1000)])
def test_it_finds_the_number_where_the_scores_tell_it(learner):
    Y, scores = counted_case()
    predicted = MetaLabeler(learner=learner).fit(scores[:300], Y[:300]).predict(scores[300:])
    assert (predicted == Y[300:]).mean() > 0.97
    # one number for all rows does not
    assert (RCut(4).fit(scores).predict(scores[300:]) == Y[300:]).mean() < 0.9


def test_the_callers_learner_is_not_fitted():
    Y, scores = counted_case(30)
    learner = LinearRegression()
    rule = MetaLabeler(learner=learner).fit(scores, Y)
    assert not hasattr(learner, "coef_")
    assert rule.learner_.coef_.shape == (9,)


def test_it_needs_a_row():
    with pytest.raises(ValueError, match="MetaLabeler learns from rows; got none"):
        MetaLabeler().fit(np.zeros((0, 2)), np.zeros((0, 2)))
