"""Rows, texts and predictions of any container, in the forms that the checks need."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import _safe_indexing

# Predicted values that are no further apart are taken for equal.
ROUNDING = 1e-5


def take(X, rows):
    """Return some rows of a matrix or list, in the caller's container."""
    return _safe_indexing(X, rows)


def is_text(X):
    """Return whether X is a sequence of texts."""
    return isinstance(X, list | tuple | np.ndarray) and len(X) > 0 and isinstance(X[0], str)


def as_sparse(predicted, n_samples):
    """Return predictions as CSR."""
    if not sp.issparse(predicted):
        predicted = np.asarray(predicted)
        if predicted.ndim == 1:
            predicted = predicted[:, None]
    if predicted.ndim != 2 or predicted.shape[0] != n_samples or predicted.dtype.kind not in "biuf":
        raise ValueError(
            f"predict must return numbers of shape ({n_samples}, n_labels); got {predicted.dtype} of shape "
            f"{predicted.shape}."
        )
    return sp.csr_array(predicted.astype(np.float64))
