"""What the metrics share: checks of labels, scores and frequencies; counts; F1 from counts."""

import numpy as np
import scipy.sparse as sp

from adathresh.utils.validation import check_labels, check_scores, check_unmasked


def check_pair(Y_true, Y_pred):
    """Check true and predicted labels against each other."""
    Y_true = check_labels(Y_true, name="Y_true")
    return Y_true, check_labels(Y_pred, name="Y_pred", n_samples=Y_true.shape[0], n_labels=Y_true.shape[1])


def check_and_match(Y_true, Y_pred):
    """Check true and predicted labels against each other, and add the pairs that are both."""
    Y_true, Y_pred = check_pair(Y_true, Y_pred)
    return Y_true, Y_pred, hits(Y_true, Y_pred)


def match_scores(scores, Y_true, *, name="scores", probabilities=False):
    """Check scores against checked labels."""
    n_samples, n_labels = Y_true.shape
    return check_scores(
        scores, name=name, n_samples=n_samples, n_labels=n_labels, probabilities=probabilities
    )


def check_counts(counts, *, name="train_frequency", n_labels=None):
    """Return how often each label occurs as floats, or say what is wrong with them."""
    check_unmasked(counts, name=name)
    counts = np.asarray(counts)
    if counts.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers; got values of type {counts.dtype}.")
    counts = counts.astype(np.float64)
    if counts.shape != (counts.size if n_labels is None else n_labels,):
        expected = "n_labels" if n_labels is None else n_labels
        raise ValueError(f"{name} must have shape ({expected},); got {counts.shape}.")
    if not ((counts >= 0) & (counts < np.inf)).all():
        raise ValueError(f"{name} must hold counts; found a negative number, NaN or infinity.")
    return counts


def hits(Y_true, Y_pred):
    """Mark the pairs that are true and predicted, as canonical CSR without stored zeros."""
    return sp.csr_array(Y_true.multiply(Y_pred))


def label_counts(Y):
    """Count the stored entries of each column."""
    return np.bincount(Y.indices, minlength=Y.shape[1])


def row_counts(Y):
    """Count the stored entries of each row."""
    return np.diff(Y.indptr)


def mean(values):
    """Mean, NaN of nothing without numpy's warning."""
    return float(np.mean(values)) if len(values) else float("nan")


def f1_of_counts(n_hits, n_marked):
    """F1 = 2·hits / (true + predicted), 0 where nothing is true and nothing predicted."""
    return np.divide(2 * n_hits, n_marked, out=np.zeros(np.shape(n_hits)), where=np.asarray(n_marked) > 0)


def f1_by_label(Y_true, Y_pred, both):
    """F1 of each label, of checked labels and their :func:`hits`."""
    return f1_of_counts(label_counts(both), label_counts(Y_true) + label_counts(Y_pred))


def f1_by_row(Y_true, Y_pred, both):
    """F1 of each row, of checked labels and their :func:`hits`."""
    return f1_of_counts(row_counts(both), row_counts(Y_true) + row_counts(Y_pred))


def f1_of_all(Y_true, Y_pred, both):
    """F1 of all pairs pooled, of checked labels and their :func:`hits`."""
    return float(f1_of_counts(both.nnz, Y_true.nnz + Y_pred.nnz))
