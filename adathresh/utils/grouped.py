"""Arithmetic on pairs grouped by label; within a label they come in order of falling score.

A label here may be any group of pairs: a label, a label in one fold, or a row. In all functions ``labels``
has one entry a pair, and equal entries stand together.
"""

import numpy as np
import numpy.typing as npt


def running_sum(labels: np.ndarray, gains: np.ndarray, n_labels: int) -> np.ndarray:
    """Sum the gains of each label up to and including each pair.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.
    gains : numpy.ndarray of shape (n_pairs,)
        What each pair adds.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray of shape (n_pairs,)
        Sums, in the type of the gains.

    Examples
    --------
    >>> running_sum(np.array([0, 0, 1]), np.array([5, 2, 4]), 2)
    array([5, 7, 4])
    """
    running = np.cumsum(gains)
    return running - np.r_[running[:0], 0, running][first_pair(labels, n_labels)][labels]


def rank(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Count the pairs of each label up to and including each pair.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray of int, shape (n_pairs,)
        Place of each pair within its label, from 1.

    Examples
    --------
    >>> rank(np.array([0, 0, 1]), 2)
    array([1, 2, 1])
    """
    return np.arange(1, len(labels) + 1) - first_pair(labels, n_labels)[labels]


def first_pair(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Find where the pairs of each label begin.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair, rising.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray of int, shape (n_labels,)
        Position of each label's first pair; of a label without pairs, where it would stand.

    Examples
    --------
    >>> first_pair(np.array([0, 0, 2]), 3)
    array([0, 2, 2])
    """
    sizes = np.bincount(labels, minlength=n_labels)
    return np.cumsum(sizes) - sizes


def next_lower(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Look at the next pair of the same label.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.
    values : numpy.ndarray of shape (n_pairs,)
        Scores, falling within labels.

    Returns
    -------
    numpy.ndarray of shape (n_pairs,)
        The score of the next pair; −inf for the last pair of a label.

    Examples
    --------
    >>> next_lower(np.array([0, 0, 1]), np.array([0.9, 0.4, 0.7]))
    array([ 0.4, -inf, -inf])
    """
    lower = np.full(len(values), -np.inf)
    same_label = labels[1:] == labels[:-1]
    lower[:-1][same_label] = values[1:][same_label]
    return lower


def opens_label(labels: np.ndarray) -> np.ndarray:
    """Mark the first pair of each label.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.

    Returns
    -------
    numpy.ndarray of bool, shape (n_pairs,)
        Whether no pair of the same label stands before.

    Examples
    --------
    >>> opens_label(np.array([0, 0, 1]))
    array([ True, False,  True])
    """
    return np.r_[True, labels[1:] != labels[:-1]][: len(labels)]


def closes_label(labels: np.ndarray) -> np.ndarray:
    """Mark the last pair of each label.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.

    Returns
    -------
    numpy.ndarray of bool, shape (n_pairs,)
        Whether no pair of the same label follows.

    Examples
    --------
    >>> closes_label(np.array([0, 0, 1]))
    array([False,  True,  True])
    """
    return np.r_[labels[1:] != labels[:-1], True][: len(labels)]


def label_max(labels: np.ndarray, values: np.ndarray, n_labels: int) -> np.ndarray:
    """Find the greatest value of each label.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.
    values : numpy.ndarray of shape (n_pairs,)
        Value of each pair, in any order.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray of shape (n_labels,)
        The greatest value; 0 for a label without pairs.

    Examples
    --------
    >>> label_max(np.array([0, 0, 2]), np.array([0.9, 0.4, 0.7]), 3)
    array([0.9, 0. , 0.7])
    """
    first = np.flatnonzero(opens_label(labels))
    result = np.zeros(n_labels)
    if len(first):
        result[labels[first]] = np.maximum.reduceat(values, first)
    return result


def f1_path(labels: np.ndarray, gains: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Take the F1 of a label after each of its pairs, F1 = 2·tp / (predicted + positives).

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_pairs,)
        Label of each pair.
    gains : numpy.ndarray of shape (n_pairs,)
        True positives that each pair adds if it is predicted: 0 or 1, or its probability.
    totals : numpy.ndarray of shape (n_labels,)
        Positives of each label, counted or expected.

    Returns
    -------
    numpy.ndarray of shape (n_pairs,)
        F1 of the pair's label if the label's pairs up to and including this one are predicted.

    Examples
    --------
    >>> f1_path(np.array([0, 0]), np.array([1, 0]), np.array([1]))
    array([1.        , 0.66666667])
    """
    return 2 * running_sum(labels, gains, len(totals)) / (rank(labels, len(totals)) + totals[labels])


def threshold_between(upper: npt.ArrayLike, lower: npt.ArrayLike) -> np.ndarray:
    """Choose thresholds that upper scores exceed and lower ones do not.

    Parameters
    ----------
    upper, lower : array-like of the same shape
        Scores, each upper one greater than the lower one, which may be −inf.

    Returns
    -------
    numpy.ndarray
        Midway between the two; just below the upper one where there is no lower one (−inf).

    Examples
    --------
    >>> threshold_between([0.75, 0.5], [0.25, 0.0])
    array([0.5 , 0.25])
    """
    upper, lower = np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    # halved first: the sum of two large scores may overflow
    middle = np.maximum(upper / 2 + lower / 2, lower)
    middle = np.where(middle < upper, middle, lower)
    return np.where(np.isneginf(lower), np.nextafter(upper, -np.inf), middle)
