"""Classifiers of plain texts: texts in, vectors inside, sparse scores out."""

from collections.abc import Sequence

import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from adathresh.models._base import TopScoresClassifier
from adathresh.models.linear import LinearOneVsRest
from adathresh.utils.parameters import check_parameters
from adathresh.utils.texts import check_texts
from adathresh.utils.types import Matrix, MatrixLike


class TextClassifier(TopScoresClassifier):
    """A classifier of label sets that embeds texts by ``_embed`` and scores vectors by ``_scores``."""

    def top_scores(  # type: ignore[override]  # texts are not matrices
        self, X: Sequence[str], *, k: int = 50
    ) -> sp.csr_array:
        """Return the k highest probabilities of each row.

        Parameters
        ----------
        X : sequence of str
            Plain texts.
        k : int, default=50
            Scores a row, at least 1; fewer where the model scores fewer labels.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Probabilities in [0, 1], float32; of equal ones the lower label number comes first.

        Raises
        ------
        ValueError
            If k is less than 1, or X is not a sequence of str.

        Examples
        --------
        >>> from adathresh.models import BagOfWords
        >>> texts, Y = ["red cat", "red dog", "blue cat"], [[1, 0], [1, 1], [0, 0]]
        >>> model = BagOfWords(min_df=1).fit(texts, Y)
        >>> model.top_scores(["red cow"], k=1).indices.tolist()
        [0]
        """
        return super().top_scores(X, k=k)

    def predict(self, X: Sequence[str]) -> Matrix:  # type: ignore[override]
        """Return the labels whose probability exceeds 0.5.

        Parameters
        ----------
        X : sequence of str
            Plain texts.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels), or (n_samples,) for a binary target
            0 or 1 in the container of the training labels; or classes.

        Examples
        --------
        >>> from adathresh.models import BagOfWords
        >>> texts, Y = ["red cat", "red dog", "blue cat"], [[1, 0], [1, 1], [0, 0]]
        >>> model = BagOfWords(min_df=1).fit(texts, Y)
        >>> model.predict(["red cow"])
        array([[1, 0]])
        """
        return super().predict(X)

    def _by_block(self, X, work):
        """Embed all texts, and work through blocks of their vectors."""
        check_is_fitted(self, "n_labels_")
        return super()._by_block(self._embed(check_texts(X)), work)

    def __sklearn_tags__(self):
        return of_texts(super().__sklearn_tags__())


class HeadedTextClassifier(TextClassifier):
    """A text classifier whose ``head``, another classifier with ``top_scores``, works on the vectors."""

    def fit(  # type: ignore[override]
        self, X: Sequence[str], Y: MatrixLike
    ) -> "HeadedTextClassifier":
        """Fit the head.

        Parameters
        ----------
        X : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.

        Returns
        -------
        HeadedTextClassifier
            The fitted model.

        Raises
        ------
        ValueError
            If X is not a sequence of str, Y is not 0/1, their lengths differ, or a parameter is out of range.

        Examples
        --------
        >>> from adathresh.models import BagOfWords
        >>> texts, Y = ["red cat", "red dog", "blue cat"], [[1, 0], [1, 1], [0, 0]]
        >>> model = BagOfWords(min_df=1).fit(texts, Y)
        >>> model.n_labels_
        2
        """
        check_parameters(self)
        texts = check_texts(X)
        self._encode(Y, len(texts))  # before the work of embedding, not after
        return super().fit(self._fit_embed(texts), Y)

    def _fit_embed(self, texts):
        """Learn from the training texts how texts become vectors, where that is learnt, and embed them."""
        return self._embed(texts)

    def _fit(self, X, Y):
        """Fit a copy of the head."""
        head = LinearOneVsRest(random_state=0) if self.head is None else clone(self.head)
        self.head_ = head.fit(X, Y)

    def _scores(self, X, k):
        """Return the head's scores."""
        return self.head_.top_scores(X, k=k)


def of_texts(tags):
    """Say that X holds texts."""
    tags.input_tags.string = True
    tags.input_tags.two_d_array = False
    tags.input_tags.sparse = False
    return tags
