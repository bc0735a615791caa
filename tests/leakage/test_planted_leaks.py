"""The audit proves itself: each of three leaks, planted into clean data, is found, and nothing else is."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier

from adathresh.leakage import audit
from adathresh.posthoc.crossfit import draw_folds, out_of_fold_scores
from adathresh.rules import GlobalThreshold

MODEL = RidgeClassifier(alpha=0.1)
"""A linear model of all labels that is fitted in milliseconds."""


@pytest.fixture(scope="module")
def clean(data):
    """Features and labels of training and test rows, with the features as arrays."""
    X_train, Y_train, X_test, Y_test = data
    return X_train.toarray(), Y_train.toarray().astype(int), X_test.toarray(), Y_test.toarray().astype(int)


def audited(X_train, Y_train, X_test, Y_test, predict=MODEL):
    """Audit a model, or what predicts with it, on a split, with the model's out-of-fold scores."""
    folds = draw_folds(len(X_train), 4, random_state=0)
    scores = out_of_fold_scores(MODEL, X_train, Y_train, folds, n_labels=Y_train.shape[1])
    return audit(predict, X_train, Y_train, X_test, Y_test, scores=scores, n_rows=30, random_state=0)


def found(report):
    return [finding.check for finding in report.found]


def with_threshold(model, rule):
    """Return a function that is given the test labels and labels rows by a rule, fitted before or on them."""

    def predict(X, Y):
        scores = expit(model.decision_function(X))
        return (rule or GlobalThreshold().fit(scores, Y)).predict(scores)

    return predict


def test_clean_data_have_no_leak(clean, status):
    report = audited(*clean)
    assert found(report) == []
    for check in ("test labels", "batch", "equal features", "similar features", "in-sample scores"):
        assert status(report, check) == "clean"


@pytest.mark.parametrize("weight", [1, 10])
def test_labels_among_the_features_are_found(clean, status, weight):
    X_train, Y_train, X_test, Y_test = clean
    with_train, with_test = np.hstack([X_train, weight * Y_train]), np.hstack([X_test, weight * Y_test])
    report = audited(with_train, Y_train, with_test, Y_test)
    assert found(report) == ["in-sample scores"]
    assert status(report, "in-sample scores") == "found"
    assert "the highest score is true" in report["in-sample scores"].message


@pytest.mark.parametrize("n_copied", [1, 20])
def test_training_rows_among_the_test_rows_are_found_each(clean, n_copied):
    X_train, Y_train, X_test, Y_test = clean
    rng = np.random.default_rng(0)
    at, copied = np.sort(rng.permutation(60)[:n_copied]), rng.permutation(200)[:n_copied]
    X_test, Y_test = X_test.copy(), Y_test.copy()
    X_test[at], Y_test[at] = X_train[copied], Y_train[copied]
    report = audited(X_train, Y_train, X_test, Y_test)
    assert "equal features" in found(report)
    assert set(found(report)) <= {"equal features", "similar features"}
    finding = report["equal features"]
    assert finding.rows.tolist() == at.tolist()
    pairs = dict(zip(at.tolist(), copied.tolist(), strict=True))
    for entry in finding.evidence:
        assert entry["train_row"] == pairs[entry["test_row"]]
        assert entry["same_labels"]


def test_a_threshold_that_is_chosen_on_the_test_rows_is_found(clean, status):
    X_train, Y_train, *_ = clean
    model = clone(MODEL).fit(X_train, Y_train)
    report = audited(*clean, predict=with_threshold(model, None))
    assert "test labels" in found(report)
    assert set(found(report)) <= {"test labels", "batch"}  # it is chosen anew in each batch
    rule = GlobalThreshold().fit(expit(model.decision_function(X_train)), Y_train)
    report = audited(*clean, predict=with_threshold(model, rule))
    assert found(report) == []
    assert status(report, "test labels") == "clean"
