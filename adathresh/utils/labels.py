"""How classifiers take labels in and give them back: label matrices, or one binary target."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from adathresh.utils.validation import as_labels, check_labels, container_of, like_input


class LabelSetMixin:
    """Encoding of Y for classifiers of label sets that also take a binary vector.

    Sets ``n_labels_``, and ``classes_``: the label numbers 0, …, n_labels − 1 for a label matrix, the two
    classes for a vector.

    Examples
    --------
    >>> labels = LabelSetMixin()
    >>> labels._encode(["no", "yes", "yes"], 3).toarray().ravel(), labels.n_labels_
    (array([0., 1., 1.], dtype=float32), 1)
    """

    n_labels_: int
    classes_: np.ndarray
    _container: Any  # as container_of names it, or "vector"

    def _encode(self, Y, n_samples):
        """Return Y as a CSR label matrix and remember its container."""
        if Y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        Y = as_labels(Y)
        if Y.ndim == 2 and Y.shape[1] == 0:
            raise ValueError("Y holds no label: it has no column, or an empty list in every row.")
        if Y.ndim == 2 and (sp.issparse(Y) or Y.shape[1] != 1 or np.isin(Y, (0, 1)).all()):
            self._container = container_of(Y)
            Y = check_labels(Y, n_samples=n_samples)
            self.n_labels_ = Y.shape[1]
            self.classes_ = np.arange(Y.shape[1])
            return Y
        if Y.ndim > 2:
            raise ValueError(f"Y must be a 0/1 matrix or a binary vector; got {Y.ndim} dimensions.")
        y = column_or_1d(Y, warn=True)
        target = type_of_target(y, input_name="y", raise_unknown=True)
        if target == "continuous":
            raise ValueError(
                "Unknown label type: continuous. Labels must be a 0/1 matrix or a binary vector."
            )
        if len(y) != n_samples:
            raise ValueError(f"y has {len(y)} rows but X has {n_samples}.")
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass. "
                "Pass multi-label targets as a 0/1 matrix of shape (n_samples, n_labels)."
            )
        if len(self.classes_) == 1:
            raise ValueError("y holds 1 class; a binary target needs two.")
        self._container, self.n_labels_ = "vector", 1
        return sp.csr_array(codes[:, None], dtype=np.float32)

    def _decode(self, Y):
        """Return a sparse 0/1 matrix in the container that ``fit`` was given."""
        if self._container == "vector":
            return self.classes_[Y.toarray().ravel().astype(np.int64)]
        return like_input(Y, self._container)

    def _squeeze(self, values):
        """Return a dense (n_samples, n_labels) array as scikit-learn shapes it for the target."""
        return values.ravel() if self._container == "vector" else values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags
