"""Similarity of rows and label texts: the signal that keeps labels possible which no training row carries."""

from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from sparse_dot_topn import sp_matmul_topn

from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.parameters import check_parameters, job_count, number, parameters, whole
from adathresh.utils.texts import holds_texts
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_features, check_unmasked, naming


class LabelAffinity(TransformerMixin, BaseEstimator):
    """Cosine similarity of rows to the labels' own features, for the most similar labels of each row.

    Row and label texts are put through the same vectoriser, such as one fitted on the label texts; no label
    of any row is used. Only positive similarities count.

    Parameters
    ----------
    n_labels_per_row : int, default=30
        Number of labels kept for each row.
    min_similarity : float, default=0.05
        Similarities that are not greater are dropped; in [0, 1).
    n_jobs : int, optional
        Threads, in joblib's counting; None means 1.

    Attributes
    ----------
    n_features_in_ : int
        Number of features of a label.
    n_labels_ : int
        Number of labels.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range, or NaN or infinity in the features.

    Examples
    --------
    >>> LabelAffinity().fit([[1.0, 0.0], [0.0, 2.0]]).transform([[3.0, 0.0]]).toarray()
    array([[1., 0.]])
    """

    _parameters = parameters(
        n_labels_per_row=whole(1), min_similarity=number(least=0, below=1), n_jobs=job_count()
    )

    def __init__(
        self, n_labels_per_row: int = 30, *, min_similarity: float = 0.05, n_jobs: int | None = None
    ):
        self.n_labels_per_row = n_labels_per_row
        self.min_similarity = min_similarity
        self.n_jobs = n_jobs

    def fit(self, label_features: MatrixLike, y: None = None) -> Self:
        """Keep the features of the labels.

        Parameters
        ----------
        label_features : array-like or sparse of shape (n_labels, n_features)
            One row a label, in label order; all zeros for a label without a text.
        y : None
            Not used.

        Returns
        -------
        LabelAffinity
            The fitted signal.
        """
        check_parameters(self)
        labels = self._checked(label_features, reset=True)
        self.n_labels_ = labels.shape[0]
        self._transposed = sp.csr_matrix(labels.T)
        return self

    def transform(self, X: MatrixLike) -> sp.csr_array:
        """Compare rows with all labels.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features of the rows, made as those of the labels.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Similarities in (0, 1], at most ``n_labels_per_row`` a row.
        """
        check_is_fitted(self, "n_labels_")
        found = sp_matmul_topn(
            self._checked(X, reset=False),
            self._transposed,
            top_n=int(min(self.n_labels_per_row, self.n_labels_)),
            threshold=self.min_similarity,
            n_threads=effective_n_jobs(self.n_jobs),
        )
        found = sp.csr_array(found)
        np.minimum(found.data, 1, out=found.data)  # rounding may pass 1 by an ulp
        found.sort_indices()
        return found

    def _checked(self, X, *, reset):
        """Check features and scale every row to length 1."""
        name = "label_features" if reset else "X"
        X = check_features(self, X, name=name, dtype=np.float64, reset=reset)
        return sp.csr_matrix(normalize(X))


def check_label_features(label_features: Any, *, n_labels: int, n_features: int) -> Matrix:
    """Return features of the labels' texts, checked, for rows that are features, too.

    Parameters
    ----------
    label_features : array-like or sparse of shape (n_labels, n_features)
        Features of a text of each label.
    n_labels : int
        Number of labels.
    n_features : int
        Number of features of a row.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_labels, n_features)
        The same, float64.

    Raises
    ------
    ValueError
        If they are names, not finite numbers, or of another shape.

    Examples
    --------
    >>> check_label_features([[1, 0], [0, 1]], n_labels=2, n_features=2).shape
    (2, 2)
    """
    name = "label_features"
    if isinstance(label_features, LabelKnowledge | str) or holds_texts(label_features):
        raise ValueError(
            "label_features holds names, but X holds features, with which names cannot be compared. Give "
            "vectoriser.transform(names) of the vectoriser that made X, or give texts as X."
        )
    check_unmasked(label_features, name=name)
    if isinstance(label_features, list | tuple) and len({np.size(row) for row in label_features}) > 1:
        raise ValueError(f"{name} must have a row of features for each label; its rows differ in length.")
    with naming(name, "must have a row of features for each label"):
        features = check_array(label_features, accept_sparse="csr", dtype=np.float64, input_name=name)
    if features.shape[0] != n_labels:
        raise ValueError(
            f"label_features has {features.shape[0]} rows but Y has {n_labels} labels; give one row a label."
        )
    if features.shape[1] != n_features:
        raise ValueError(
            f"label_features has {features.shape[1]} features but X has {n_features}; use the vectoriser "
            "that made X."
        )
    return features
