"""The audit: examines its arguments and runs every check on them."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from adathresh.leakage._inputs import is_text
from adathresh.leakage.duplicates import audit_features, audit_groups, audit_texts
from adathresh.leakage.predictions import audit_predictions
from adathresh.leakage.report import LeakageReport
from adathresh.leakage.training_rows import audit_neighbors, audit_scores
from adathresh.signals.knn import NeighborLabels, group_codes
from adathresh.utils.parameters import check_value, number, seed, whole
from adathresh.utils.texts import check_order, check_texts
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_unmasked


def audit(
    estimator: BaseEstimator | Callable | None,
    X_train: MatrixLike | list[str],
    Y_train: MatrixLike,
    X_test: MatrixLike | list[str],
    Y_test: MatrixLike,
    *,
    texts_train: Sequence[str] | None = None,
    texts_test: Sequence[str] | None = None,
    groups_train: ArrayLike | None = None,
    groups_test: ArrayLike | None = None,
    local: NeighborLabels | MatrixLike | None = None,
    scores: MatrixLike | None = None,
    similarity: float = 0.9,
    n_rows: int = 200,
    random_state: int | np.random.RandomState | None = None,
) -> LeakageReport:
    """Look for leakage in a split, and in the predictions of an estimator on it.

    Checks, by name:

    - ``repeated prediction``: the same call gives other predictions (then the next two cannot be judged);
    - ``test labels``: predictions change when the test labels are permuted among the rows;
    - ``batch``: predictions of a row change with the rows that are predicted beside it;
    - ``equal features``, ``equal text``: test rows that equal a training row (texts up to case and white
      space);
    - ``equal words``: test texts that equal a training text in their runs of two or more letters, so without
      digits, punctuation and single letters (letters a to z, or of any script where those are the fewer);
    - ``similar features``, ``similar text``: test rows that share at least ``similarity`` of their features,
      or of their words and word pairs, with a training row (Jaccard index: common / all);
    - ``groups``: groups with rows on both sides of the split;
    - ``own neighbours``: training rows, or rows of their group, among their own neighbours;
    - ``in-sample scores``: scores of training rows, said to be out-of-fold, that know those rows' labels.

    Similar rows are looked for with MinHash (Broder 1997), in time that grows with the stored features. Every
    pair that it proposes is compared in full, so that no row is reported wrongly; about 3 in 1,000 similar
    rows may be missed. Rows with fewer than 5 features are left out, since they are easily similar by chance,
    and so are features that more than half of the training rows have. In a dense X a feature counts as shared
    where its values differ by less than about a thousandth of its standard deviation; in a sparse one where
    both rows have it.

    Parameters
    ----------
    estimator : estimator, callable or None
        What predicts: an object with ``predict``, a function ``predict(X)``, or one that is given the test
        labels, ``predict(X, Y)``. An estimator that is not fitted is cloned and fitted on the training rows.
        None audits the split only.
    X_train : array-like, sparse matrix, or list of str
        Features of the training rows, as the estimator takes them.
    Y_train : array-like or sparse of shape (n_training_samples, n_labels)
        Their labels, 0 or 1.
    X_test : array-like, sparse matrix, or list of str
        Features of the test rows.
    Y_test : array-like or sparse of shape (n_test_samples, n_labels)
        Their labels.
    texts_train, texts_test : sequence of str, optional
        Texts of the rows; X itself where that is a list of texts.
    groups_train, groups_test : array-like of shape (n_samples,), optional
        Groups of the rows that a split must not part.
    local : NeighborLabels or matrix of shape (n_training_samples, n_labels), optional
        The neighbour signal: fitted on the training rows, or the label shares of the training rows that are
        said to leave each row (and its group, if given) out.
    scores : array-like or sparse of shape (n_training_samples, n_labels), optional
        Scores of the training rows that are said to be out-of-fold.
    similarity : float, default=0.9
        From which share of common features rows count as similar, from 0.8 to 1.
    n_rows : int, default=200
        How many test rows, drawn at random, are predicted.
    random_state : int, RandomState instance or None, default=None
        Of the draws.

    Returns
    -------
    LeakageReport
        One finding for every check.

    Raises
    ------
    TypeError
        If the estimator has no ``predict`` and is no function, or is a class.
    ValueError
        If labels are not 0/1, lengths or shapes differ, features hold infinity or masked entries, texts are
        no texts, a group is missing (None, NaN), or a parameter is out of range.
    sklearn.exceptions.NotFittedError
        If ``local`` is not fitted.

    Examples
    --------
    >>> report = audit(None, [[1, 2], [3, 4]], [[1], [0]], [[3, 4]], [[0]])
    >>> report["equal features"].message
    '1 of 1 test rows equal a training row'
    """
    check_value("similarity", similarity, number(least=0.8, most=1))
    check_value("n_rows", n_rows, whole(2))
    check_value("random_state", random_state, seed())
    labels = check_labels(Y_train, name="Y_train")
    labels = labels, check_labels(Y_test, name="Y_test", n_labels=labels.shape[1])
    X = _check_rows(X_train, labels[0], "X_train"), _check_rows(X_test, labels[1], "X_test")
    texts = X if is_text(X[0]) and texts_train is None else (texts_train, texts_test)
    texts = _check_both(texts, labels, "texts", _check_texts)
    groups = _check_both((groups_train, groups_test), labels, "groups", _check_groups)
    if isinstance(local, NeighborLabels):
        check_is_fitted(local, msg="local is a %(name)s that is not fitted; fit it on the training rows.")
    rng = check_random_state(random_state)
    hash_seed = rng.randint(2**31 - 1)
    estimator = _fitted(estimator, X[0], Y_train, groups)
    findings = [
        *audit_predictions(estimator, X[1], Y_test, labels[1].shape[0], n_rows, rng),
        *audit_features(X, labels, similarity, hash_seed),
        *audit_texts(texts, labels, similarity, hash_seed),
        audit_groups(groups),
        audit_neighbors(local, labels[0], groups_train),
        audit_scores(scores, labels[0], estimator, X[0], rng),
    ]
    return LeakageReport(tuple(findings))


def _check_rows(X, Y, name):
    """Return X with one entry for every row of Y; sparse matrices with rows that can be picked."""
    check_order(X, name=name)
    check_unmasked(X, name=name)
    if is_text(X):
        return _check_texts(X, Y, name)
    if X is None or isinstance(X, str) or np.ndim(X) == 0:
        raise ValueError(f"{name} must be a matrix or a list of texts; got {X!r}.")
    values = X.data if sp.issparse(X) else np.asarray(X)
    if np.ndim(X) != 2 and values.dtype.kind in "biuf":
        raise ValueError(f"{name} must have shape (n_samples, n_features); got {np.ndim(X)} dimension(s).")
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise ValueError(f"{name} must hold no infinity.")
    return _check_length(X.tocsr() if sp.issparse(X) else X, Y, name)


def _check_texts(texts, Y, name):
    """Return texts, one for every row of Y."""
    return _check_length(check_texts(texts, name=name, advice="Give one text a row."), Y, name)


def _check_groups(groups, Y, name):
    """Return groups, one for every row of Y."""
    _check_length(groups, Y, name)
    group_codes(groups, Y.shape[0], name=name)
    return groups


def _check_length(X, Y, name):
    """Return X with one entry for every row of Y."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows != Y.shape[0]:
        raise ValueError(f"{name} has {n_rows} rows but {Y.shape[0]} were expected, one for each row of Y.")
    return X


def _check_both(parts, labels, name, check):
    """Return what is given for both sides of the split, or None."""
    if all(part is None for part in parts):
        return None
    for part, split in zip(parts, ("train", "test"), strict=True):
        if part is None:
            raise ValueError(f"Give {name}_train and {name}_test, or neither; {name}_{split} is missing.")
    return tuple(
        check(part, Y, f"{name}_{split}")
        for part, Y, split in zip(parts, labels, ("train", "test"), strict=True)
    )


def _fitted(estimator, X, Y, groups):
    """Return the estimator, or a fitted clone if it was never fitted."""
    if estimator is None or (callable(estimator) and not hasattr(estimator, "predict")):
        return estimator
    if not hasattr(estimator, "predict") or isinstance(estimator, type):
        raise TypeError(
            f"estimator {estimator!r} cannot be audited: give an object with predict, a function "
            "predict(X) or predict(X, Y), or None."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        keep_apart = groups is not None and has_fit_parameter(estimator, "groups")
        return clone(estimator).fit(X, Y, **({"groups": groups[0]} if keep_apart else {}))
    except TypeError:  # an object without fit has nothing to be fitted
        pass
    return estimator
