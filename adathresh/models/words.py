"""A classifier of the words in plain texts."""

from functools import partial

from sklearn.base import BaseEstimator

from adathresh.models._texts import HeadedTextClassifier
from adathresh.utils.parameters import estimator_with, optional, parameters, whole
from adathresh.utils.texts import learn_words, word_vectorizer


class BagOfWords(HeadedTextClassifier):
    """A classifier of the words and pairs of words in texts, or in their beginnings.

    Features are logarithmic counts times inverse document frequencies, rows of length 1. Titles and first
    sentences often say what a text is about: a model of the first words sees them undiluted, and fused with a
    model of the whole text it raises macro-F1 and micro-F1.

    Parameters
    ----------
    head : classifier, optional
        Any classifier with ``top_scores``; None means ``LinearOneVsRest(random_state=0)``. With thousands of
        labels give that one a shortlist.
    max_words : int, optional
        Words of a text that are read, from its beginning; None reads all.
    ngram_range : tuple of (int, int), default=(1, 2)
        Fewest and most words in a row that are counted together.
    min_df : int, default=2
        Training texts in which a word or pair must occur.

    Attributes
    ----------
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer
        What turns texts into features.
    head_ : classifier
        The fitted head.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of words and pairs.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range, or texts without a word that is common enough.

    Examples
    --------
    >>> texts, Y = ["red cat", "red dog", "blue cat"], [[1, 0], [1, 1], [0, 0]]
    >>> BagOfWords(min_df=1).fit(texts, Y).predict(["red cow"])
    array([[1, 0]])
    """

    _parameters = parameters(  # scikit-learn checks ngram_range and min_df
        head=optional(estimator_with("fit", "top_scores")), max_words=optional(whole(1))
    )

    def __init__(
        self,
        head: BaseEstimator | None = None,
        *,
        max_words: int | None = None,
        ngram_range: tuple[int, int] = (1, 2),
        min_df: int = 2,
    ):
        self.head = head
        self.max_words = max_words
        self.ngram_range = ngram_range
        self.min_df = min_df

    def _fit_embed(self, texts):
        """Learn the words and count them."""
        self.vectorizer_ = word_vectorizer(
            ngram_range=self.ngram_range,
            min_df=self.min_df,
            preprocessor=partial(_first_words, max_words=self.max_words),
        )
        return learn_words(self.vectorizer_, texts)

    def _embed(self, texts):
        """Count the words."""
        return self.vectorizer_.transform(texts)


def _first_words(text, max_words):
    """Return the beginning of a text, in lower case."""
    return " ".join(text.lower().split(maxsplit=max_words or -1)[:max_words])
