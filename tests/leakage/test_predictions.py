"""Predictions that depend on the call, on the test labels or on the batch, and some that do not."""

import functools
import warnings

import numpy as np
import pytest
import torch

from adathresh.leakage import audit
from adathresh.paper.as_released import LabelLeakageWarning, ReleasedModel, predict_released

CHECKS = ["repeated prediction", "test labels", "batch"]


def test_released_protocol_is_found_to_read_labels_and_batches(data, status):
    X_train, Y_train, X_test, Y_test = data
    torch.manual_seed(0)
    model = ReleasedModel(80, 40, hidden_layers=(8,))
    with torch.no_grad():
        model.threshold.alpha *= 5
        model.threshold.beta *= 5
    data = X_train, Y_train, X_test, Y_test.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        report = audit(functools.partial(predict_released, model), *data, random_state=0)
        assert status(report, "repeated prediction") == "clean"
        assert status(report, "test labels") == status(report, "batch") == "found"
        withheld = functools.partial(predict_released, model, signals="withheld")
        clean = audit(withheld, *data, random_state=0)
    assert [status(clean, check) for check in CHECKS] == ["clean"] * 3


def test_labels_are_permuted_for_every_row(data, status):
    """A function that gives the labels back changes wherever the permuted labels differ."""
    report = audit(lambda X, Y: Y, *data, n_rows=1000, random_state=0)
    finding = report["test labels"]
    Y = data[3].toarray()
    assert len(finding.rows) > 0.9 * len(Y)
    for entry in finding.evidence:
        labels = np.flatnonzero(Y[entry["test_row"]])
        assert set(entry["lowered_labels"]) <= set(labels.tolist())
        assert not set(entry["raised_labels"]) & set(labels.tolist())
    assert status(report, "batch") == "clean"


@pytest.mark.parametrize(
    ("predict", "takes"),
    [
        (lambda X, Y: Y, True),
        (lambda X, y=None: np.ones((X.shape[0], 1)) if y is None else y, True),
        (lambda X, return_std=False: np.full((X.shape[0], 2), float(return_std)), False),
        (lambda X, *, batch_size=3: np.zeros((X.shape[0], 2)), False),
    ],
)
def test_which_functions_take_labels(data, predict, takes):
    assert (audit(predict, *data)["test labels"].status == "found") == takes


def test_labels_that_are_taken_but_not_used_are_clean(data, status):
    report = audit(lambda X, Y: X[:, :3] > 0, *data)
    assert status(report, "test labels") == status(report, "batch") == "clean"
    assert "none of 60" in report["test labels"].message


def test_predictions_that_depend_on_the_batch_are_found(data, status):
    def above_the_mean_of_the_batch(X):
        return X[:, :5].toarray() > X[:, :5].toarray().mean(axis=0)

    report = audit(above_the_mean_of_the_batch, *data, n_rows=30, random_state=0)
    finding = report["batch"]
    assert status(report, "batch") == "found"
    assert "of 30 predicted test rows change" in finding.message
    # one row alone is never above its own mean: exactly the rows with any predicted label change
    rows = finding.rows
    assert all(entry["batch"] == "single rows" for entry in finding.evidence)
    assert all(entry["raised_labels"] == [] for entry in finding.evidence)
    assert (above_the_mean_of_the_batch(data[2])[rows].any(axis=1)).mean() > 0.9


@pytest.mark.parametrize("name", ["single rows", "batches of 10", "another order"])
def test_every_kind_of_batch_is_tried(data, name):
    """Functions whose predictions only one kind of batch changes."""
    first = []

    def predict(X):
        n_rows, labels = X.shape[0], X[:, :5].toarray() > 0
        if n_rows == 30:
            first.append(X)
        of_kind = {
            "single rows": n_rows == 1,
            "batches of 10": n_rows == 10,
            "another order": n_rows == 30 and (first[0] != X).nnz > 0,
        }
        return ~labels if of_kind[name] else labels

    finding = audit(predict, *data, n_rows=30, random_state=0)["batch"]
    assert len(finding.rows) == 30
    assert {entry["batch"] for entry in finding.evidence} == {name}


def test_predictions_that_change_by_themselves_are_told_apart(data, status):
    rng = np.random.default_rng(0)
    report = audit(lambda X, Y: rng.random((X.shape[0], 4)) > 0.5, *data)
    assert status(report, "repeated prediction") == "found"
    assert status(report, "test labels") == status(report, "batch") == "not checked"


def test_rounding_is_no_change(data, status):
    rng = np.random.default_rng(0)
    report = audit(lambda X: X[:, :4].toarray() + 1e-9 * rng.random((X.shape[0], 4)), *data)
    assert [status(report, check) for check in CHECKS] == ["clean"] * 3
