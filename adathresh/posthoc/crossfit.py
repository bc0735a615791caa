"""Cross-fitting: scores of training rows by models that saw neither the row nor its group."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, gen_batches

from adathresh.metrics import top_k
from adathresh.signals.knn import group_codes
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
        If ``n_folds`` is no whole number, at least 2, if groups are not one entry a row, or if there are
        fewer rows, or groups, than folds.

    Examples
    --------
    >>> draw_folds(4, 2, groups=["a", "a", "b", "b"], random_state=0)
    array([1, 1, 0, 0])
    """
    _check_n_folds(n_folds)
    groups = None if groups is None else group_codes(groups, n_samples)
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


def _check_n_folds(n_folds):
    """Raise unless there can be so many folds."""
    if not isinstance(n_folds, Integral) or isinstance(n_folds, bool | np.bool_) or n_folds < 2:
        raise ValueError(
            f"cv must be a whole number of folds, at least 2; got {n_folds!r}. To keep rows together, give "
            "their groups."
        )


def out_of_fold_scores(
    estimator: BaseEstimator,
    X: Matrix,
    Y: Matrix,
    folds: np.ndarray,
    *,
    n_labels: int,
    sample_weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    verbose: bool = False,
) -> np.ndarray | sp.csr_array:
    """Score every row by a copy of the estimator that was fitted on the other folds.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Not fitted; it is cloned.
    X : array, CSR or data frame of shape (n_samples, n_features), or texts
        Rows, as the estimator takes them.
    Y : array or CSR of shape (n_samples, n_labels), or of shape (n_samples,)
        Labels, as the estimator takes them.
    folds : numpy.ndarray of int, shape (n_samples,)
        Fold of each row.
    n_labels : int
        Number of labels.
    sample_weight : numpy.ndarray of shape (n_samples,), optional
        Weights of the rows, for an estimator whose ``fit`` takes them.
    groups : numpy.ndarray of shape (n_samples,), optional
        Groups of the rows, for an estimator whose ``fit`` takes them.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        Probabilities in the order of the rows.

    Notes
    -----
    A label that the other folds never or always carry is scored 0 or 1 throughout that fold by scikit-learn's
    one-vs-rest; its warning that it is so is left out.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> X, Y = np.zeros((4, 1)), np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    >>> out_of_fold_scores(DummyClassifier(), X, Y, np.array([0, 0, 1, 1]), n_labels=2).tolist()
    [[0.0, 0.5], [0.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
    """
    of_rows = {"sample_weight": sample_weight, "groups": groups}
    parts = []
    what = f"folds of {type(estimator).__name__}"
    for fold in tqdm(np.unique(folds), desc=what, disable=not verbose, leave=False):
        held_out = folds == fold
        with silent_on_constant_labels():
            options = {name: values[~held_out] for name, values in of_rows.items() if values is not None}
            fitted = clone(estimator).fit(_safe_indexing(X, ~held_out), Y[~held_out], **options)
        parts.append(base_scores(fitted, _safe_indexing(X, held_out), n_labels=n_labels))
    return in_row_order(parts, folds)


def in_row_order(parts: list[Matrix], folds: np.ndarray) -> np.ndarray | sp.csr_array:
    """Put what belongs to each fold's rows together, in the order of the rows.

    Parameters
    ----------
    parts : list of array or sparse of shape (n_rows_of_fold, n_labels)
        One a fold, in order of the folds' numbers, with its rows in their order.
    folds : numpy.ndarray of int, shape (n_samples,)
        Fold of each row.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        One row a row; CSR where the parts are sparse.

    Examples
    --------
    >>> in_row_order([np.array([[1], [2]]), np.array([[3]])], np.array([0, 1, 0])).tolist()
    [[1], [3], [2]]
    """
    place = np.argsort(np.argsort(folds, kind="stable"))
    if sp.issparse(parts[0]):
        return sp.csr_array(sp.vstack(parts, format="csr")[place])
    return np.vstack(parts)[place]


def base_scores(estimator: BaseEstimator, X: Matrix, *, n_labels: int) -> np.ndarray | sp.csr_array:
    """Return a fitted classifier's scores as probabilities.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Fitted on a label matrix; it may be frozen.
    X : array, sparse matrix or data frame of shape (n_samples, n_features), or texts
        Rows, as the estimator takes them.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        ``top_scores`` where the estimator, or what a pipeline or search ends in, has it; else
        ``predict_proba``; else the logistic function of ``decision_function``, but 0 or 1 for a label that
        one-vs-rest has no model of, since training rows never or always carried it. Of the latter two the 100
        highest of each row that are not 0 in CSR, where there are more labels than that.

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
    if isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    if hasattr(_innermost(estimator), "top_scores"):  # which pipelines and searches do not pass on
        while (inner := _inner(estimator)) is not None:
            if isinstance(estimator, Pipeline) and len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = inner
        return estimator.top_scores(X)
    if n_labels <= _TOP_SCORES:
        return _all_scores(estimator, X, n_labels)
    # some rows at a time: all scores of all rows would not fit where there are many labels
    batches = gen_batches(X.shape[0], max(1, _BLOCK_ENTRIES // n_labels))
    parts = [
        top_k(_all_scores(estimator, _safe_indexing(X, rows), n_labels), _TOP_SCORES) for rows in batches
    ]
    scores = sp.vstack(parts, format="csr") if parts else sp.csr_array((0, n_labels))
    scores.eliminate_zeros()  # which of very many labels with score 0 are among the highest says nothing
    return scores


def _all_scores(estimator, X, n_labels):
    """Return the probabilities of all labels as an array."""
    missing = []
    for scored in (_by_predict_proba, _by_decision_function):
        try:
            return scored(estimator, X, n_labels)
        except AttributeError as error:
            # that a method is there says little: one-vs-rest has what its first label's model has
            missing.append(error)
    # an attribute that lacks elsewhere is the estimator's own mistake
    for error, name in zip(missing, ("predict_proba", "decision_function"), strict=True):
        if hasattr(estimator, name):
            raise error
    raise TypeError(
        f"{type(estimator).__name__} has neither predict_proba nor decision_function, one of which the "
        "thresholds need."
    )


def _by_predict_proba(estimator, X, n_labels):
    """Return predicted probabilities of all labels."""
    probability = estimator.predict_proba(X)
    if n_labels == 1 and not isinstance(probability, list):
        if np.shape(probability)[1:] == (1,) and not hasattr(estimator, "classes_"):
            return probability  # of the one label, as networks return it
        return _of_positive(probability, estimator.classes_)[:, None]
    if isinstance(probability, list):  # one array a label, as forests return
        columns = zip(probability, estimator.classes_, strict=True)
        probability = np.column_stack([_of_positive(p, classes) for p, classes in columns])
    return probability


def _by_decision_function(estimator, X, n_labels):
    """Return the logistic function of decision values."""
    values = np.asarray(estimator.decision_function(X), dtype=np.float64).reshape(X.shape[0], -1)
    if n_labels == 1:
        classes = getattr(estimator, "classes_", (0, 1))
        return expit(values) if len(classes) > 1 else np.full(values.shape, float(classes[0] == 1))
    constant = _constant_labels(estimator)
    if len(constant) == n_labels:
        # scikit-learn's decision value of these is 0 or 1, which would rank them above most others
        values = np.where(np.isnan(constant), values, np.where(constant > 0, np.inf, -np.inf))
    return expit(values)


def _inner(estimator):
    """Return the last step of a pipeline, or the best model of a search; None of any other."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    return getattr(estimator, "best_estimator_", None)


def _innermost(estimator):
    """Return the model that pipelines and searches end in."""
    while (inner := _inner(estimator)) is not None:
        estimator = inner
    return estimator


def _constant_labels(estimator):
    """Return, of one-vs-rest, what a label is for all rows, and NaN where it has a model."""
    models = getattr(_innermost(estimator), "estimators_", ())
    return np.array([m.y_[0] if type(m).__name__ == "_ConstantPredictor" else np.nan for m in models], float)


def _of_positive(probability, classes):
    """Return the column of class 1; where training rows held one class only, that class is certain."""
    if len(classes) == 1:
        return np.full(len(probability), float(classes[0] == 1))
    return probability[:, 1]


class _Silence:
    """How many threads are cross-fitting, and the filter that they share.

    ``warnings.catch_warnings`` would not do: two threads put each other's filters back, and one stays.
    """

    lock = threading.Lock()
    n_users = 0
    entry: Any = None


@contextmanager
def silent_on_constant_labels() -> Iterator[None]:
    """Leave one-vs-rest's warning out that a label is in all rows or in none, once a fold and label.

    Examples
    --------
    >>> with silent_on_constant_labels():
    ...     warnings.warn("Label 0 is present in all training examples.", stacklevel=1)
    """
    with _Silence.lock:
        if _Silence.n_users == 0:
            warnings.filterwarnings("ignore", r"Label .* is present in all training examples", UserWarning)
            _Silence.entry = warnings.filters[0]
        _Silence.n_users += 1
    try:
        yield
    finally:
        with _Silence.lock:
            _Silence.n_users -= 1
            filters: Any = warnings.filters
            if _Silence.n_users == 0 and _Silence.entry in filters:
                filters.remove(_Silence.entry)
