"""Cross-fitting: scores of training rows by models that saw neither the row nor its group."""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import gen_batches

from adathresh.metrics import top_k
from adathresh.utils.progress import tqdm
from adathresh.utils.types import Matrix

# Of estimators that score every label, this many scores a row are kept where there are more labels than that.
_TOP_SCORES = 100
# Entries of a dense (rows x labels) block of scores.
_BLOCK_ENTRIES = 2**25


def draw_folds(
    n_samples: int, n_folds: int, *, groups: npt.ArrayLike | None = None, random_state: int
) -> np.ndarray:
    """Draw the fold of every row; a group stays together.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_folds : int
        Number of folds, at least 2.
    groups : array-like of shape (n_samples,), optional
        Group of each row.
    random_state : int
        Of the draw.

    Returns
    -------
    numpy.ndarray of int, shape (n_samples,)
        Fold of each row, from 0.

    Raises
    ------
    ValueError
        If there are fewer rows, or groups, than folds.

    Examples
    --------
    >>> draw_folds(4, 2, groups=["a", "a", "b", "b"], random_state=0)
    array([1, 1, 0, 0])
    """
    n_units = n_samples if groups is None else len(np.unique(groups))
    if n_units < n_folds:
        what = "rows" if groups is None else "groups"
        raise ValueError(f"{n_units} {what} are fewer than cv={n_folds} folds; lower cv or give more {what}.")
    splitter = KFold if groups is None else GroupKFold
    folds = np.empty(n_samples, dtype=int)
    splits = splitter(n_folds, shuffle=True, random_state=random_state).split(folds, groups=groups)
    for fold, (_, held_out) in enumerate(splits):
        folds[held_out] = fold
    return folds


def out_of_fold_scores(
    estimator: BaseEstimator,
    X: Matrix,
    Y: Matrix,
    folds: np.ndarray,
    *,
    n_labels: int,
    verbose: bool = False,
) -> np.ndarray | sp.csr_array:
    """Score every row by a copy of the estimator that was fitted on the other folds.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Not fitted; it is cloned.
    X : array or CSR of shape (n_samples, n_features)
        Features.
    Y : array or CSR of shape (n_samples, n_labels), or of shape (n_samples,)
        Labels, as the estimator takes them.
    folds : numpy.ndarray of int, shape (n_samples,)
        Fold of each row.
    n_labels : int
        Number of labels.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        Probabilities in the order of the rows.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> X, Y = np.zeros((4, 1)), np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    >>> out_of_fold_scores(DummyClassifier(), X, Y, np.array([0, 0, 1, 1]), n_labels=2).tolist()
    [[0.0, 0.5], [0.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
    """
    parts = []
    name = f"folds of {type(estimator).__name__}"
    for fold in tqdm(np.unique(folds), desc=name, disable=not verbose, leave=False):
        held_out = folds == fold
        fitted = clone(estimator).fit(X[~held_out], Y[~held_out])
        parts.append(base_scores(fitted, X[held_out], n_labels=n_labels))
    stacked = sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.vstack(parts)
    return stacked[np.argsort(np.argsort(folds, kind="stable"), kind="stable")]


def base_scores(estimator: BaseEstimator, X: Matrix, *, n_labels: int) -> np.ndarray | sp.csr_array:
    """Return a fitted classifier's scores as probabilities.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Fitted on a label matrix.
    X : array-like or sparse of shape (n_samples, n_features)
        Features.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        ``top_scores`` where the estimator has it; else ``predict_proba``; else the logistic function of
        ``decision_function``. Of the latter two the 100 highest of each row in CSR, where there are more
        labels than that.

    Raises
    ------
    TypeError
        If the estimator has none of the three.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier().fit([[0], [0]], [[1, 0], [1, 1]])
    >>> base_scores(model, np.zeros((1, 1)), n_labels=2)
    array([[1. , 0.5]])
    """
    if hasattr(estimator, "top_scores"):
        return estimator.top_scores(X)
    if n_labels <= _TOP_SCORES:
        return _all_scores(estimator, X, n_labels)
    # some rows at a time: all scores of all rows would not fit where there are many labels
    batches = gen_batches(X.shape[0], max(1, _BLOCK_ENTRIES // n_labels))
    parts = [top_k(_all_scores(estimator, X[rows], n_labels), _TOP_SCORES) for rows in batches]
    return sp.vstack(parts, format="csr") if parts else sp.csr_array((0, n_labels))


def _all_scores(estimator, X, n_labels):
    """Return the probabilities of all labels as an array."""
    if hasattr(estimator, "predict_proba"):
        probability = estimator.predict_proba(X)
        if n_labels == 1:
            return _of_positive(probability, estimator.classes_)[:, None]
        if isinstance(probability, list):  # one array a label, as forests return
            columns = zip(probability, estimator.classes_, strict=True)
            probability = np.column_stack([_of_positive(p, classes) for p, classes in columns])
        return probability
    if hasattr(estimator, "decision_function"):
        return expit(np.asarray(estimator.decision_function(X)).reshape(X.shape[0], -1))
    raise TypeError(
        f"{type(estimator).__name__} has neither predict_proba nor decision_function, one of which the "
        "thresholds need."
    )


def _of_positive(probability, classes):
    """Return the column of class 1; where training rows held one class only, that class is certain."""
    if probability.shape[1] == 2:
        return probability[:, 1]
    return np.full(len(probability), float(classes[0] == 1))
