"""Whether predictions depend on the call, on the test labels, or on the rows predicted beside them."""

import functools
import inspect
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from adathresh.leakage._inputs import ROUNDING, as_sparse, take
from adathresh.leakage.report import CLEAN, FOUND, MAX_EVIDENCE, NOT_CHECKED, Finding
from adathresh.utils.types import MatrixLike


def audit_predictions(
    estimator: BaseEstimator | Callable | None,
    X: MatrixLike | list[str],
    Y: MatrixLike,
    n_samples: int,
    n_rows: int,
    rng: np.random.RandomState,
) -> list[Finding]:
    """Check whether predictions depend on the call, on the labels, and on the batch.

    Parameters
    ----------
    estimator : estimator, callable or None
        What predicts, see :func:`adathresh.leakage.audit`; fitted.
    X : array-like, sparse matrix, or list of str
        Features of the test rows.
    Y : array-like or sparse of shape (n_samples, n_labels)
        Labels of the test rows, as they were given.
    n_samples : int
        Number of test rows.
    n_rows : int
        How many of them are predicted.
    rng : numpy.random.RandomState
        Draws the rows and their permutations.

    Returns
    -------
    list of Finding
        ``repeated prediction``, ``test labels`` and ``batch``.

    Raises
    ------
    ValueError
        If predictions are not numbers of shape (n_samples, n_labels).

    Examples
    --------
    >>> X, Y, rng = np.ones((9, 2)), np.eye(9), np.random.RandomState(0)
    >>> [finding.status for finding in audit_predictions(lambda X, Y: Y, X, Y, 9, 9, rng)]
    ['clean', 'found', 'clean']
    """
    if estimator is None:
        message = "no estimator was given"
        return [
            Finding(name, NOT_CHECKED, message) for name in ("repeated prediction", "test labels", "batch")
        ]
    predict = getattr(estimator, "predict", estimator)
    takes_labels = _takes_labels(predict)
    rows = np.sort(rng.permutation(n_samples)[:n_rows])
    predicted = functools.partial(_predicted, predict, take(X, rows))
    labels = take(Y, rows) if takes_labels else None
    everything = np.arange(len(rows))
    reference = predicted(labels, [everything])
    repeated = _changes(reference, predicted(labels, [everything]), rows)
    findings = [_prediction_finding("repeated prediction", "when the call is repeated", repeated, rows)]
    if repeated:
        message = "predictions change from call to call anyway"
        return findings + [Finding(name, NOT_CHECKED, message) for name in ("test labels", "batch")]
    if takes_labels:
        order = rng.permutation(len(rows))
        exchanged = np.empty_like(order)
        exchanged[order] = np.roll(order, 1)  # every row gets another row's labels
        permuted = _changes(reference, predicted(take(labels, exchanged), [everything]), rows)
        what = "when the test labels are permuted"
        findings.append(_prediction_finding("test labels", what, permuted, rows))
    else:
        findings.append(Finding("test labels", CLEAN, "predict(X) is given no labels, so it cannot use them"))
    size = max(2, len(rows) // 3)
    batches = {
        "single rows": np.split(everything, len(rows)),
        f"batches of {size}": np.split(everything, range(size, len(rows), size)),
        "another order": [rng.permutation(len(rows))],
    }
    changed = []
    for name, parts in batches.items():
        changed += [{**entry, "batch": name} for entry in _changes(reference, predicted(labels, parts), rows)]
    findings.append(_prediction_finding("batch", "with the rows predicted beside them", changed, rows))
    return findings


def _predicted(predict, X, labels, batches):
    """Return what is predicted in batches, in the order of the rows; labels are None where none are taken."""
    parts = []
    for batch in batches:
        arguments = (take(X, batch),) if labels is None else (take(X, batch), take(labels, batch))
        parts.append(as_sparse(predict(*arguments), len(batch)))
    order = np.argsort(np.concatenate(batches), kind="stable")
    return sp.vstack(parts, format="csr")[order]


def _takes_labels(predict):
    """Return whether a prediction function is given labels as its second argument."""
    try:
        parameters = inspect.signature(predict).parameters.values()
    except ValueError:  # some built-in functions have no signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return False
    second = positional[1]
    return second.default is second.empty or second.name.lower() in ("y", "y_true", "y_test", "labels")


def _changes(before, after, rows):
    """Describe the rows whose predictions differ."""
    change = sp.csr_array(after - before)
    change.data[np.abs(change.data) <= ROUNDING] = 0
    change.eliminate_zeros()
    entries = []
    for row in np.flatnonzero(np.diff(change.indptr)):
        at = slice(change.indptr[row], change.indptr[row + 1])
        labels, values = change.indices[at], change.data[at]
        entries.append(
            {
                "test_row": int(rows[row]),
                "raised_labels": labels[values > 0].tolist(),
                "lowered_labels": labels[values < 0].tolist(),
            }
        )
    return entries


def _prediction_finding(check, what, changes, rows):
    """Make a finding of the rows whose predictions change."""
    changed = np.unique([entry["test_row"] for entry in changes]).astype(int)
    if not len(changed):
        return Finding(check, CLEAN, f"none of {len(rows)} predicted test rows changes {what}")
    message = f"{len(changed)} of {len(rows)} predicted test rows change {what}"
    return Finding(check, FOUND, message, "test", changed, tuple(changes[:MAX_EVIDENCE]))
