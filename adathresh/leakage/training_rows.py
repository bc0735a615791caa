"""Whether neighbours, or scores said to be out-of-fold, know the training rows' own labels."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from adathresh.leakage._inputs import ROUNDING, as_sparse, take
from adathresh.leakage.report import CLEAN, FOUND, MAX_EVIDENCE, NOT_CHECKED, Finding
from adathresh.posthoc.crossfit import base_scores
from adathresh.posthoc.in_sample import LEAST_ROWS, in_sample_signs
from adathresh.signals.knn import NeighborLabels, group_codes
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import candidate_pairs, check_scores, row_major_positions

# It is rare that all rows of a label have a share of it, where the label has so few rows; a sign of leakage,
# unless such rows are fewer than the second number altogether.
_RARE, _LEAST_RARE = 10, 20
# Training rows that the estimator scores again, and the share of them that must have the same scores.
_N_SCORED, _NEARLY_ALL = 100, 0.95


def audit_neighbors(
    local: NeighborLabels | MatrixLike | None, Y: sp.csr_array, groups: ArrayLike | None
) -> Finding:
    """Look for training rows among their own neighbours.

    Parameters
    ----------
    local : NeighborLabels, matrix of shape (n_samples, n_labels), or None
        The neighbour signal of the training rows, see :func:`adathresh.leakage.audit`.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Their labels, checked.
    groups : array-like of shape (n_samples,), optional
        Their groups.

    Returns
    -------
    Finding
        ``own neighbours``.

    Raises
    ------
    ValueError
        If ``local`` does not fit the labels.

    Examples
    --------
    >>> Y = sp.csr_array([[1, 0], [0, 1]])
    >>> audit_neighbors(Y, Y, None).message  # each label's only row has a share of it
    '2 training rows have itself as neighbour'
    """
    if local is None:
        message = "give local: a fitted NeighborLabels, or the training rows' label shares"
        return Finding("own neighbours", NOT_CHECKED, message)
    codes = group_codes(groups, Y.shape[0])
    itself = "itself" if groups is None else "its own group"
    if isinstance(local, NeighborLabels):
        return _own_in_graph(local.kneighbors().tocoo(), codes, itself)
    shares = check_scores(local, name="local", n_samples=Y.shape[0], n_labels=Y.shape[1])
    return _own_in_shares(sp.coo_array(shares), Y, codes, itself)


def _own_in_graph(graph, codes, itself):
    """Look for neighbours that are the row itself, or of its group."""
    if graph.shape[0] != len(codes):
        raise ValueError(f"local was fitted on {graph.shape[0]} rows but Y_train has {len(codes)}.")
    own = codes[graph.row] == codes[graph.col]
    if own.any():
        return _own_finding(itself, own, train_row=graph.row, neighbor=graph.col)
    return Finding("own neighbours", CLEAN, f"no training row has {itself} as neighbour")


def _own_in_shares(shares, Y, codes, itself):
    """Look for label shares that can only come from the row itself, or its group."""
    n_samples, n_labels = Y.shape
    row, label, share = (part[shares.data > 0] for part in (shares.row, shares.col, shares.data))
    columns = {"train_row": row, "label": label, "share": share}
    # proof: no other row or group carries the label
    first, last = np.full(n_labels, n_samples), np.full(n_labels, -1)
    carriers = codes[np.repeat(np.arange(n_samples), np.diff(Y.indptr))]
    np.minimum.at(first, Y.indices, carriers)
    np.maximum.at(last, Y.indices, carriers)
    alone = first == last
    own = alone[label] & (codes[row] == first[label])
    if own.any():
        return _own_finding(itself, own, **columns)
    # a sign: rare labels have a share in all rows that carry them, though not in most others
    counts = np.bincount(Y.indices, minlength=n_labels)
    rare = (counts > 0) & (counts <= _RARE)
    true = np.isin(row * np.int64(n_labels) + label, row_major_positions(Y))
    own, n_own = rare[label] & true, counts[rare].sum()
    elsewhere = (rare[label] & ~true).sum() / max(rare.sum() * n_samples - n_own, 1)
    if own.sum() == n_own >= _LEAST_RARE and elsewhere < 0.5:
        why = ": every rare label has a share in all of its rows"
        return _own_finding(itself, own, why, **columns)
    missing = n_own - own.sum()
    if alone.any() or (missing and itself == "itself"):
        message = (
            f"no sign of it: {missing} of {n_own} true labels that at most {_RARE} rows carry have no share"
        )
        return Finding("own neighbours", CLEAN, message)
    message = "the labels are not rare enough to tell; give a fitted NeighborLabels"
    return Finding("own neighbours", NOT_CHECKED, message)


def _own_finding(itself, own, why="", **columns):
    """Make a finding of the training rows that have themselves as neighbours."""
    columns = {name: column[own] for name, column in columns.items()}
    rows = np.unique(columns["train_row"]).astype(int)
    values = zip(*(column[:MAX_EVIDENCE].tolist() for column in columns.values()), strict=True)
    evidence = tuple(dict(zip(columns, entry, strict=True)) for entry in values)
    message = f"{len(rows)} training rows have {itself} as neighbour{why}"
    return Finding("own neighbours", FOUND, message, "train", rows, evidence)


def audit_scores(
    scores: MatrixLike | None,
    Y: sp.csr_array,
    estimator: BaseEstimator | Callable | None,
    X: MatrixLike | list[str],
    rng: np.random.RandomState,
) -> Finding:
    """Look for scores of training rows by a model that was trained on them.

    Parameters
    ----------
    scores : array-like or sparse of shape (n_samples, n_labels), or None
        Scores of the training rows that are said to be out-of-fold.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Their labels, checked.
    estimator : estimator, callable or None
        What may have given the scores; fitted.
    X : array-like, sparse matrix, or list of str
        Their features.
    rng : numpy.random.RandomState
        Draws the rows that the estimator scores again.

    Returns
    -------
    Finding
        ``in-sample scores``.

    Raises
    ------
    ValueError
        If the scores are not finite or do not fit the labels.

    Examples
    --------
    >>> Y, scores = sp.csr_array(np.tile(np.eye(2), (100, 1))), np.tile([0.9, 0.1], (200, 1))
    >>> audit_scores(scores, Y, None, np.ones((200, 1)), np.random.RandomState(0)).status
    'clean'
    """
    name = "in-sample scores"
    if scores is None:
        return Finding(name, NOT_CHECKED, "give scores: the out-of-fold scores of the training rows")
    scores = check_scores(scores, n_samples=Y.shape[0], n_labels=Y.shape[1])
    labels, values, truth = candidate_pairs(Y, scores)
    n_scored = np.full(*scores.shape) if isinstance(scores, np.ndarray) else np.diff(scores.indptr)
    rows = np.repeat(np.arange(Y.shape[0]), n_scored)
    same = _scored_alike(scores, estimator, X, rng)
    if len(same):
        message = "the estimator, fitted on these rows, gives the same scores"
        evidence = tuple({"train_row": int(row)} for row in same[:MAX_EVIDENCE])
        return Finding(name, FOUND, message, "train", same, evidence)
    signs = in_sample_signs(rows, labels, values, truth, Y)
    if signs.what is None:
        message = "the scores are no better than held-out ones can be"
        if not signs.judged:
            message = f"too few rows to tell; it takes {LEAST_ROWS} and more than one label"
        return Finding(name, CLEAN if signs.judged else NOT_CHECKED, message)
    evidence = tuple(
        {"train_row": int(rows[pair]), "label": int(labels[pair]), "score": float(values[pair])}
        for pair in signs.pairs[:MAX_EVIDENCE]
    )
    return Finding(name, FOUND, signs.what, "train", np.unique(rows[signs.pairs]), evidence)


def _scored_alike(scores, estimator, X, rng):
    """Return some training rows whose scores are those of the estimator, if nearly all of them are."""
    methods = ("top_scores", "predict_proba", "decision_function")
    if not hasattr(X, "shape") or not any(hasattr(estimator, method) for method in methods):
        return np.zeros(0, dtype=int)
    rows = np.sort(rng.permutation(scores.shape[0])[:_N_SCORED])
    own = as_sparse(base_scores(estimator, take(X, rows), n_labels=scores.shape[1]), len(rows))
    change = sp.coo_array(own - as_sparse(scores[rows], len(rows)))
    same = np.ones(len(rows), dtype=bool)
    same[change.row[np.abs(change.data) > ROUNDING]] = False
    return rows[same] if same.mean() > _NEARLY_ALL else rows[:0]
