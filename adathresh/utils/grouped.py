"""Arithmetic on pairs grouped by label; within a label they come in order of falling score.

A label here may be any group of pairs: a label, a label in one fold, or a row.
"""

import numpy as np


def running_sum(labels, gains, n_labels):
    """Sum of the gains so far within each label, pairs grouped by label."""
    running = np.cumsum(gains)
    return running - np.r_[running[:0], 0, running][first_pair(labels, n_labels)][labels]


def rank(labels, n_labels):
    """Place of each pair within its label, from 1, pairs grouped by label."""
    return np.arange(1, len(labels) + 1) - first_pair(labels, n_labels)[labels]


def first_pair(labels, n_labels):
    """Position of the first pair of each label in pairs grouped by label."""
    sizes = np.bincount(labels, minlength=n_labels)
    return np.cumsum(sizes) - sizes


def next_lower(labels, values):
    """Score of the next pair of the same label, scores falling within labels; −inf for the last."""
    lower = np.full(len(values), -np.inf)
    same_label = labels[1:] == labels[:-1]
    lower[:-1][same_label] = values[1:][same_label]
    return lower


def opens_label(labels):
    """Mark the first pair of each label in pairs grouped by label."""
    return np.r_[True, labels[1:] != labels[:-1]][: len(labels)]


def closes_label(labels):
    """Mark the last pair of each label in pairs grouped by label."""
    return np.r_[labels[1:] != labels[:-1], True][: len(labels)]


def label_max(labels, values, n_labels):
    """Greatest value of each label in pairs grouped by label; 0 for a label without pairs."""
    first = np.flatnonzero(opens_label(labels))
    result = np.zeros(n_labels)
    if len(first):
        result[labels[first]] = np.maximum.reduceat(values, first)
    return result


def f1_path(labels, gains, totals):
    """F1 after each pair, pairs grouped by label: 2·Σ gains so far / (pairs so far + total of the label)."""
    return 2 * running_sum(labels, gains, len(totals)) / (rank(labels, len(totals)) + totals[labels])


def threshold_between(upper, lower):
    """Threshold midway between two scores; just below the upper one where there is no lower one (−inf)."""
    upper, lower = np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    # halved first: the sum of two large scores may overflow
    middle = np.maximum(upper / 2 + lower / 2, lower)
    middle = np.where(middle < upper, middle, lower)
    return np.where(np.isneginf(lower), np.nextafter(upper, -np.inf), middle)
