"""The audit as a whole: sound estimators and splits are clean, any container will do, bad input is named."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from adathresh import NeighborLabels, leakage
from adathresh.leakage import audit

CHECKS = ["repeated prediction", "test labels", "batch", "equal features", "similar features", "equal text"]
CHECKS += ["equal words", "similar text", "groups", "own neighbours", "in-sample scores"]


class Fixed(BaseEstimator):
    """Predicts from the features alone; fitting counts."""

    def fit(self, X, Y, groups=None):
        self.groups_ = groups
        self.n_labels_ = Y.shape[1]
        return self

    def predict(self, X):
        return sp.csr_array(
            np.asarray(X[:, : self.n_labels_].sum(axis=1))[:, None] > np.arange(self.n_labels_)
        )


@pytest.mark.slow
def test_a_sound_estimator_and_split_are_clean(data, status):
    report = audit(OneVsRestClassifier(LogisticRegression()), *data, random_state=0)
    assert report.found == ()
    for check in CHECKS[:5]:
        assert status(report, check) == "clean"
    for check in CHECKS[5:]:
        assert status(report, check) == "not checked"
    assert "given no labels" in report["test labels"].message


def test_an_unfitted_estimator_is_cloned_with_the_groups(data, status):
    X_train, Y_train, X_test, Y_test = data
    estimator = Fixed()
    groups = {"groups_train": np.arange(200), "groups_test": np.arange(200, 260)}
    report = audit(estimator, X_train, Y_train, X_test, Y_test, **groups)
    assert not hasattr(estimator, "n_labels_")
    assert status(report, "batch") == status(report, "groups") == "clean"
    fitted = Fixed().fit(X_train, Y_train[:, :3])
    assert audit(fitted, *data)["batch"].status == "clean"
    assert fitted.n_labels_ == 3  # and a fitted one is not fitted again


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, lambda X: X.toarray()])
def test_any_container_will_do(data, container, status):
    data = [container(part) for part in data]
    report = audit(
        KNeighborsClassifier(3),
        data[0],
        data[1].toarray() if sp.issparse(data[1]) else data[1],
        data[2],
        data[3],
        random_state=0,
    )
    assert [status(report, check) for check in CHECKS[:5]] == ["clean"] * 5


def test_texts_may_be_the_features(status):
    train = [f"alpha beta gamma delta word{'x' * i} word{'y' * i}" for i in range(1, 30)]
    test = ["something wholly different is written here", "Alpha  beta gamma delta wordx WORDY"]
    Y = (np.arange(29) % 2)[:, None]
    report = audit(
        make_pipeline(TfidfVectorizer(), OneVsRestClassifier(LogisticRegression())),
        train,
        Y,
        test,
        [[0], [1]],
    )
    assert status(report, "batch") == "clean"
    assert status(report, "equal features") == status(report, "similar features") == "not checked"
    assert report["equal text"].rows.tolist() == [1]
    assert report["equal text"].evidence[0]["train_row"] == 0


def test_seed_decides_and_equal_seeds_agree(data):
    def predict(X):
        return X[:, :5].toarray() > X[:, :5].toarray().mean(axis=0)

    one, again, other = (audit(predict, *data, n_rows=20, random_state=seed).to_dict() for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"similarity": 0.5}, "similarity must be a finite number from 0.8 to 1; got 0.5"),
        ({"n_rows": 1}, "n_rows must be a whole number, at least 2; got 1"),
        ({"X_train": [[1, 2]]}, "X_train has 1 rows but 2 were expected"),
        ({"X_test": [[1, 2, 3]]}, "X_train has 2 features but X_test has 3"),
        ({"Y_train": [[2], [0]]}, "Y_train must hold only 0 and 1"),
        ({"Y_test": [[0, 1]]}, "Y_test has 2 labels but 1 were expected"),
        ({"texts_train": ["a", "b"]}, "Give texts_train and texts_test, or neither; texts_test is missing"),
        ({"groups_test": [1]}, "groups_train is missing"),
        ({"groups_train": [1], "groups_test": [1]}, "groups_train has 1 rows but 2 were expected"),
        ({"local": [[1]]}, "local has 1 rows but 2 were expected"),
        ({"local": NeighborLabels(1).fit([[1, 2]], [[1]])}, "local was fitted on 1 rows but Y_train has 2"),
        ({"scores": [[np.nan], [0]]}, "scores must be finite"),
        ({"estimator": lambda X: np.zeros((7, 1))}, r"predict must return numbers of shape \(1, n_labels\)"),
        ({"estimator": lambda X: np.array([["yes"]])}, "predict must return numbers"),
    ],
)
def test_errors(changes, message):
    arguments = {
        "estimator": None,
        "X_train": [[1, 2], [3, 4]],
        "Y_train": [[1], [0]],
        "X_test": [[5, 6]],
        "Y_test": [[1]],
    }
    with pytest.raises(ValueError, match=message):
        audit(**(arguments | changes))


def test_what_cannot_predict_is_refused():
    with pytest.raises(TypeError, match="estimator 'model' cannot be audited: give an object with predict"):
        audit("model", [[1]], [[1]], [[2]], [[1]])


# What can be imported


def test_public_names():
    assert {"audit", "LeakageReport", "Finding", "only_words", "in_sample_signs"} <= set(leakage.__all__)
    assert set(leakage.__all__) <= set(dir(leakage))
    for name in leakage.__all__:
        assert getattr(leakage, name).__name__ == name
        # a module of the same name would take its place
        assert importlib.util.find_spec(f"adathresh.leakage.{name}") is None
    with pytest.raises(AttributeError, match=r"'adathresh\.leakage' has no attribute 'nothing'"):
        leakage.nothing  # noqa: B018


@pytest.mark.slow
def test_the_threshold_rule_does_not_load_the_audit():
    program = "import sys, adathresh.posthoc.threshold; print(*(n for n in sys.modules if 'leakage' in n))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
