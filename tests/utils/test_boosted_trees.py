"""Boosted trees as plain arrays: the sums of scikit-learn, and nothing that leads outside of them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from adathresh.utils.boosted_trees import BoostedTrees


def test_trees_that_are_none_are_refused():
    def trees(**changes):
        nodes = {
            "first": [0, 5],
            "feature": [0, 1, 0, 0, 0],
            "threshold": [0.5, 0.5, 0, 0, 0],
            "left": [1, 2, 0, 0, 0],
            "right": [4, 3, 0, 0, 0],
            "value": [0.0, 0, 1, 2, 3],
        }
        return BoostedTrees(0.0, **{name: np.array(part) for name, part in (nodes | changes).items()})

    assert trees().predict([[0, 0], [0, 1], [1, 0]]).tolist() == [1, 2, 3]
    for changes in (
        {"left": [1, 2, 0, 0, 7]},
        {"left": [1, 1, 0, 0, 0]},
        {"left": [1, 3, 0, 0, 0]},
        {"left": [-1, 2, 0, 0, 0]},
        {"right": [9, 3, 0, 0, 0]},
        {"right": [4, 3, 0, 0]},
        {"first": [0, 4]},
        {"first": [0, 0, 5]},
        {"first": []},
        {"feature": [0, -1, 0, 0, 0]},
    ):
        with pytest.raises(ValueError, match=r"node|Arrays"):
            trees(**changes)
    with pytest.raises(ValueError, match="must have 2 features"):
        trees().predict([[1.0]])


def test_trees_of_scikit_learn_give_the_same_sums():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5000, 3)).round(1)
    target = rows[:, 0] * rows[:, 1] + rng.normal(size=5000)
    model = HistGradientBoostingRegressor(max_iter=30).fit(rows, target)
    trees = BoostedTrees.from_sklearn(model)
    assert_array_equal(trees.predict(rows), model.predict(rows))
    assert_array_equal(trees.predict(rows[:1]), model.predict(rows[:1]))
    assert trees.predict(rows[:0]).shape == (0,)
    no_split = HistGradientBoostingRegressor(max_iter=3).fit(rows[:30] * 0, target[:30])
    assert_array_equal(BoostedTrees.from_sklearn(no_split).predict(rows), no_split.predict(rows))


@pytest.mark.parametrize(
    "options", [{"max_leaf_nodes": 40}, {"loss": "poisson"}, {"categorical_features": [0]}]
)
def test_trees_of_other_kinds_are_refused(options):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 60, (5000, 2))
    model = HistGradientBoostingRegressor(max_iter=3, **options).fit(rows, np.sin(rows[:, 0]) + 2)
    with pytest.raises(ValueError, match=r"can be taken|cannot be taken|more than 32 leaves"):
        BoostedTrees.from_sklearn(model)


def test_trees_of_a_classifier_and_their_copies_give_the_same_logits():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 255, (3000, 3)).astype(np.uint8)
    truth = rng.random(3000) < codes[:, 1] / 255
    model = HistGradientBoostingClassifier(max_iter=20, monotonic_cst=[0, 1, 1]).fit(codes, truth)
    trees = BoostedTrees.from_sklearn(model)
    for copied in (trees, pickle.loads(pickle.dumps(trees))):
        assert_array_equal(copied.predict(codes), model.decision_function(codes))
    edges = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    for rows in (codes, edges):  # bytes are looked up, other numbers searched for
        assert_array_equal(trees.predict(rows), trees.predict(rows.astype(np.int16)))
    three = HistGradientBoostingClassifier(max_iter=2).fit(codes, codes[:, 0] // 100)
    with pytest.raises(ValueError, match="for two classes"):
        BoostedTrees.from_sklearn(three)
