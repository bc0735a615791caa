"""The rivals, the table and the example of the notebook on a user's own model."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import flat_dataset, replaced
from sklearn.linear_model import RidgeClassifier

from adathresh import AdaptiveThresholdClassifier
from adathresh.datasets import make_longtail
from adathresh.experiments import nb07_your_own_model as own_model
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.evaluation import rule_rows
from adathresh.experiments.core.rules import Prediction
from adathresh.experiments.nb07_your_own_model import (
    claims,
    classifier_label_sets,
    describe,
    finding,
    label_set_metrics,
    neighbor_table,
    rows_that_fit,
    telling_pair,
)
from adathresh.metrics import macro_f1
from adathresh.posthoc.explanation import Explanation


@pytest.fixture(scope="module")
def ds():
    X, Y = make_longtail(300, 40, 8, labels_per_row=2, features_per_row=12, random_state=3)
    return flat_dataset(
        name="tiny",
        X_train=X[:180],
        X_dev=X[180:240],
        X_test=X[240:],
        Y_train=Y[:180],
        Y_dev=Y[180:240],
        Y_test=Y[240:],
        label_names=[f"label {i}" for i in range(8)],
        feature_names=[f"feature {i}" for i in range(40)],
        fingerprint="0" * 64,
        validation_source="official",
    )


def csr(matrix):
    return sp.csr_array(np.array(matrix, dtype=float))


def tiny(ds, *, Y_train, Y_test):
    return replaced(ds, Y_train=csr(Y_train), Y_test=csr(Y_test))


def test_label_sets_of_a_classifier_and_its_rivals(ds):
    clf = AdaptiveThresholdClassifier(RidgeClassifier(), random_state=0).fit(ds.train.X, ds.train.Y)
    sets = classifier_label_sets(ds, clf)
    assert list(sets) == ["own predict", "global threshold", "adaptive"]
    z = clf.estimator_.decision_function(ds.test.X)
    np.testing.assert_array_equal(sets["own predict"].label_sets.toarray(), z > 0)
    np.testing.assert_allclose(sets["own predict"].probabilities, 1 / (1 + np.exp(-z)), rtol=1e-6)
    np.testing.assert_array_equal(sets["adaptive"].label_sets.toarray(), clf.predict(ds.test.X).toarray())
    expected = clf.predict_proba(ds.test.X).toarray()
    np.testing.assert_array_equal(sets["adaptive"].probabilities.toarray(), expected)
    # no other single threshold does better on the validation rows than the one that was used
    z_dev, chosen = (
        clf.estimator_.decision_function(ds.validation.X),
        sets["global threshold"].label_sets.toarray() > 0,
    )
    kept, dropped = z[chosen].min(), z[~chosen].max()
    assert kept > dropped
    between = z_dev[(z_dev > dropped) & (z_dev < kept)]
    tried = [macro_f1(ds.validation.Y, sp.csr_array(z_dev > value)) for value in np.unique(z_dev)]
    used = [macro_f1(ds.validation.Y, sp.csr_array(z_dev > value)) for value in [dropped, *between]]
    assert max(used) == pytest.approx(max(tried))


def test_predicting_some_rows_at_a_time_changes_nothing(ds, monkeypatch):
    clf = AdaptiveThresholdClassifier(RidgeClassifier(), random_state=0).fit(ds.train.X, ds.train.Y)
    at_once = classifier_label_sets(ds, clf)["own predict"].label_sets
    monkeypatch.setattr(own_model, "_ROWS_AT_ONCE", 7)
    found = classifier_label_sets(ds, clf)["own predict"].label_sets
    assert found.shape == (60, 8)
    np.testing.assert_array_equal(found.toarray(), at_once.toarray())


def test_rows_that_fit_as_dense_labels(ds):
    assert rows_that_fit(replaced(ds, Y_train=sp.csr_array((1_000_000, 13_330)))) == 20_137
    assert rows_that_fit(replaced(ds, Y_train=sp.csr_array((2, 2**40)))) == 1


def test_rows_hold_hand_computed_values(ds):
    ds = tiny(ds, Y_train=[[1, 1]], Y_test=[[1, 0], [1, 1], [0, 1]])
    predicted = csr([[1, 1], [1, 0], [0, 0]])
    probabilities = csr([[0.9, 0.8], [0.7, 0.1], [0.2, 0.3]])
    sets = {
        "adaptive, cost": Prediction(predicted, probabilities),
        "top 1": Prediction(csr(np.zeros((3, 2))), csr([[0.1, 0.2]] * 3)),
    }
    ours, nothing = rule_rows(RunConfig(), ds, "pipe", sets, seed=4, metrics=label_set_metrics)
    assert (ours["method"], ours["base"], ours["rule"], ours["seed"]) == (
        "adathresh",
        "pipe",
        "adaptive, cost",
        4,
    )
    assert nothing["method"] == "rival rule"
    assert ours["precision"] == pytest.approx(2 / 3)
    assert ours["micro_f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert ours["macro_f1"] == pytest.approx((1 + 0) / 2)
    assert ours["precision_at_1"] == 1
    assert nothing["precision_at_1"] == pytest.approx(2 / 3)
    assert np.isnan(nothing["precision"])
    assert nothing["macro_f1"] == 0


def test_the_telling_pair_is_right_missing_rare_and_divided(ds):
    # label 0 is frequent, label 1 rare
    ds = tiny(ds, Y_train=[[1, 0]] * 20 + [[1, 1]], Y_test=[[1, 1], [1, 1], [0, 0], [1, 1], [0, 1]])
    everything = csr(np.ones((5, 2)))
    nothing = csr(np.zeros((5, 2)))
    share = csr([[0.5, 0.9], [0.5, 0.4], [0.5, 0.5], [0.5, 0.4], [0.5, 0.0]])
    assert telling_pair(ds, everything, nothing, share) == (1, 1)  # (2, 1) is wrong, (3, 1) comes later
    other = csr([[0, 1], [0, 1], [0, 1], [0, 1], [0, 1]])
    assert telling_pair(ds, everything, other, share) == (0, 0)  # no rare pair is missing there
    assert telling_pair(ds, everything, everything, share) == (0, 0)  # nothing is: what is right
    assert telling_pair(ds, csr([[0, 0]] * 2 + [[0, 1]] + [[0, 0]] * 2), nothing, share) == (2, 1)
    with pytest.raises(ValueError, match="No label is predicted"):
        telling_pair(ds, nothing, nothing, share)


def test_a_pair_without_neighbours_can_be_chosen(ds):
    ds = tiny(ds, Y_train=[[1]], Y_test=[[1]])
    assert telling_pair(ds, csr([[1]]), csr([[0]]), csr([[0]])) == (0, 0)


def explanation(neighbors):
    return Explanation(0, 0.5, 0.0, 1.0, -2.0, 0.5, 0.0, -1.0, True, neighbors)


def test_neighbours_with_and_without_texts(ds):
    ds = tiny(ds, Y_train=[[1, 0], [1, 1], [0, 0]], Y_test=[[1, 0]])
    explained = explanation(((1, 0.5, True), (2, 0.3, False), (0, 0.2, True)))
    table = neighbor_table(ds, explained, n_neighbors=2)
    assert table.to_dict("list") == {
        "weight": [0.5, 0.3],
        "carries": [True, False],
        "shown": ["label 0, label 1", "(no label)"],
    }
    texts = ["zero", "one " * 30, "two"]
    table = neighbor_table(replaced(ds, text_train=texts), explained, width=12)
    assert table["shown"].tolist() == ["one one …", "two", "zero"]


def test_a_row_is_described_from_its_own_split(ds):
    ds = tiny(ds, Y_train=[[1, 0]], Y_test=[[0, 1]])
    assert describe(ds, 0) == "label 0"
    assert describe(ds, 0, split="test") == "label 1"
    assert describe(replaced(ds, text_test=["a text"]), 0, split="test") == "a text"


@pytest.mark.parametrize(("precision", "outcome"), [(0.84, "yes"), (0.76, "yes"), (0.86, "no"), (0.7, "no")])
def test_claims(precision, outcome):
    own_model = pd.DataFrame(
        [
            {"base": "saved scores", "rule": "adaptive", "precision": 0.1},
            {"base": "saved scores", "rule": "adaptive, precision 0.8", "precision": precision},
        ]
    )
    difference = {"base": "svd + ridge", "a": "adaptive", "b": "global threshold", "metric": "macro_f1"}
    differences = pd.DataFrame([difference | {"difference": 0.2, "low": 0.1, "high": 0.3}])
    first, reached = claims({"own_model": own_model, "own_model_differences": differences})
    assert first["outcome"] == "above 0"
    assert all(word in first["claim"] for word in ("adaptive", "global threshold", "svd + ridge"))
    assert reached["outcome"] == outcome


def test_the_finding_says_what_is_written_and_what_comes_of_it():
    rows = [("svd + ridge", "adaptive", 0.3, 0.1), ("svd + ridge", "global threshold", 0.2, 0.1)]
    rows += [("saved scores", "adaptive, precision 0.8", 0.1, 0.79), ("saved scores", "adaptive", 0.9, 0.1)]
    own_model = pd.DataFrame(rows, columns=["base", "rule", "macro_f1", "precision"])
    rows = [
        ("svd + ridge", "macro_f1", 0.1),
        ("saved scores", "macro_f1", 0.2),
        ("saved scores", "micro_f1", -0.2),
    ]
    differences = pd.DataFrame(rows, columns=["base", "metric", "difference"])
    differences = differences.assign(
        low=differences["difference"] - 0.1, high=differences["difference"] + 0.1
    )
    text = finding({"own_model": own_model, "own_model_differences": differences})
    assert (
        "a macro-F1 of 0.300 in place of the 0.200 of one tuned threshold: a difference of +0.1000 (95 %"
        in text
    )
    assert "by +0.2000 (+0.1000 to +0.3000) in macro-F1 and −0.2000 (−0.3000 to −0.1000) in micro-F1" in text
    assert text.endswith("precision of 0.8, it reaches 0.790.")
