"""F1 of predicted label sets: over the labels, over all pairs, over the rows, and by training frequency."""

from numpy.typing import ArrayLike

from adathresh.metrics._common import (
    check_and_match,
    f1_by_label,
    f1_by_row,
    f1_of_all,
    label_counts,
    mean,
)
from adathresh.metrics.frequency_bins import _means_by_bin
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels


def macro_f1(Y_true: MatrixLike, Y_pred: MatrixLike) -> float:
    """Mean F1 over all labels; a label that neither occurs nor is predicted counts 0.

    F1_l = 2·TP_l / (2·TP_l + FP_l + FN_l). Equals ``sklearn.metrics.f1_score(average="macro",
    zero_division=0)``.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, :func:`macro_f1_ceiling`].

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.

    Examples
    --------
    >>> from adathresh.metrics import macro_f1
    >>> macro_f1([[1, 0, 0], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]])  # F1 of the labels: 1, 0, undefined
    0.3333333333333333
    """
    return mean(f1_by_label(*check_and_match(Y_true, Y_pred)))


def macro_f1_present(Y_true: MatrixLike, Y_pred: MatrixLike) -> float:
    """Mean F1 over the labels with at least one positive among the evaluated rows.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1]; NaN when no label has a positive.

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.

    Examples
    --------
    >>> from adathresh.metrics import macro_f1_present
    >>> macro_f1_present([[1, 0, 0], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]])  # the third label never occurs
    0.5
    """
    Y_true, Y_pred, both = check_and_match(Y_true, Y_pred)
    return mean(f1_by_label(Y_true, Y_pred, both)[label_counts(Y_true) > 0])


def binned_macro_f1(Y_true: MatrixLike, Y_pred: MatrixLike, train_frequency: ArrayLike) -> dict[str, float]:
    """Mean F1 over the labels of each bin of training frequency: 0, 1–5, 6–20, 21–100, more than 100.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.
    train_frequency : array-like of shape (n_labels,)
        Number of training rows with the label.

    Returns
    -------
    dict of str to float
        Keys ``macro_f1_0``, ``macro_f1_1_5``, ``macro_f1_6_20``, ``macro_f1_21_100``,
        ``macro_f1_over_100``; NaN for a bin without labels. All labels of a bin count, undefined F1 = 0.

    Raises
    ------
    ValueError
        If the shapes differ, values are not 0 or 1, or frequencies are negative.

    Examples
    --------
    >>> from adathresh.metrics import binned_macro_f1
    >>> f1 = binned_macro_f1([[1, 0], [1, 1]], [[1, 0], [1, 0]], train_frequency=[250, 3])
    >>> f1["macro_f1_over_100"], f1["macro_f1_1_5"], f1["macro_f1_6_20"]
    (1.0, 0.0, nan)
    """
    return _means_by_bin("macro_f1", f1_by_label(*check_and_match(Y_true, Y_pred)), train_frequency)


def micro_f1(Y_true: MatrixLike, Y_pred: MatrixLike) -> float:
    """F1 of all (row, label) pairs pooled: 2·TP / (2·TP + FP + FN).

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1]; 0 when nothing is true and nothing predicted.

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.

    Examples
    --------
    >>> from adathresh.metrics import micro_f1
    >>> micro_f1([[1, 0], [1, 1]], [[1, 0], [1, 0]])  # two hits, one true label missed
    0.8
    """
    return f1_of_all(*check_and_match(Y_true, Y_pred))


def samples_f1(Y_true: MatrixLike, Y_pred: MatrixLike) -> float:
    """Mean over the rows of the F1 of each row; a row without true and predicted labels counts 0.

    Equals ``sklearn.metrics.f1_score(average="samples", zero_division=0)``.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no row.

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.

    Examples
    --------
    >>> from adathresh.metrics import samples_f1
    >>> samples_f1([[1, 0, 0], [1, 1, 0]], [[1, 0, 0], [0, 0, 1]])  # F1 of the rows: 1, 0
    0.5
    """
    return mean(f1_by_row(*check_and_match(Y_true, Y_pred)))


def macro_f1_ceiling(Y_true: MatrixLike) -> float:
    """Share of labels with a positive among the evaluated rows: the greatest macro-F1 that can be reached.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If values are not 0 or 1.

    Examples
    --------
    >>> from adathresh.metrics import macro_f1_ceiling
    >>> macro_f1_ceiling([[1, 0, 0, 0], [1, 1, 0, 0]])
    0.5
    """
    return mean(label_counts(check_labels(Y_true, name="Y_true")) > 0)
