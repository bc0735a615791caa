"""What the base models share: checks, containers, work in blocks of rows, and the threshold of one half."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from adathresh.metrics import top_k
from adathresh.utils.labels import LabelSetMixin
from adathresh.utils.parameters import check_parameters, check_value, parameters, whole
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_features, narrow_indices

# Entries of a (rows x labels) block of scores; bounds the working memory of top_scores and predict.
_BLOCK_ENTRIES = 2**24


class TopScoresClassifier(LabelSetMixin, ClassifierMixin, BaseEstimator):
    """A classifier of label sets whose scores stay sparse.

    A subclass writes ``_fit(X, Y)``, with X as scikit-learn validates it and Y a CSR 0/1 matrix, and
    ``_scores(X, k)``, which returns probabilities of a few rows, dense or CSR, at least the k highest of each
    row.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Examples
    --------
    >>> from adathresh.models import LinearOneVsRest
    >>> issubclass(LinearOneVsRest, TopScoresClassifier)
    True
    """

    _parameters = parameters()  # what each may be

    def fit(self, X: MatrixLike, Y: MatrixLike) -> "TopScoresClassifier":
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.

        Returns
        -------
        TopScoresClassifier
            The fitted model.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, Y is not 0/1, their lengths differ, or a parameter is out of range.

        Examples
        --------
        >>> from adathresh.models import NeighborShares
        >>> knn = NeighborShares(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]])
        >>> knn.n_labels_
        2
        """
        check_parameters(self)
        X = narrow_indices(check_features(self, X))
        self._fit(X, self._encode(Y, X.shape[0]))
        return self

    def top_scores(self, X: MatrixLike, *, k: int = 50) -> sp.csr_array:
        """Return the k highest probabilities of each row.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.
        k : int, default=50
            Scores a row, at least 1; fewer where the model scores fewer labels.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Probabilities in [0, 1], float32; of equal ones the lower label number comes first.

        Raises
        ------
        ValueError
            If k is less than 1, or X holds NaN, infinity or another number of features than in ``fit``.

        Examples
        --------
        >>> from adathresh.models import NeighborShares
        >>> knn = NeighborShares(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]])
        >>> knn.top_scores([[2.0, 0.1]], k=1).indices.tolist()
        [0]
        """
        check_value("k", k, whole(1))
        return self._by_block(X, lambda block: top_k(self._scores(block, k), k).astype(np.float32))

    def predict(self, X: MatrixLike) -> Matrix:
        """Return the labels whose probability exceeds 0.5.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels), or (n_samples,) for a binary target
            0 or 1 in the container of the training labels; or classes.

        Raises
        ------
        ValueError
            If X holds NaN, infinity or another number of features than in ``fit``.

        Examples
        --------
        >>> from adathresh.models import NeighborShares
        >>> knn = NeighborShares(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]])
        >>> knn.predict([[2.0, 0.1]])
        array([[1, 0]])
        """
        above = self._by_block(X, lambda block: sp.csr_array(self._scores(block, self.n_labels_) > 0.5))
        return self._decode(above)

    def _by_block(self, X, work):
        """Stack what a function returns for consecutive blocks of rows."""
        check_is_fitted(self, "n_labels_")
        X = narrow_indices(check_features(self, X, reset=False))
        size = max(1, _BLOCK_ENTRIES // self.n_labels_)
        blocks = [work(X[start : start + size]) for start in range(0, X.shape[0], size)]
        return sp.vstack(blocks, format="csr")
