"""Plain texts as input: what counts as one, and the words by which neighbours and labels are found."""

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

_OF_FEATURES_ONLY = "A data set of features only has no texts: choose another baseline for it."


def holds_texts(X):
    """Say whether X looks like a sequence of texts rather than like a matrix of features."""
    return not _cannot_be_texts(X) and len(X) > 0 and isinstance(next(iter(X)), str)


def check_texts(X, *, name="X", advice=_OF_FEATURES_ONLY):
    """Return plain texts as a list, or raise ValueError; ``advice`` says what else to do."""
    rule = f"{name} must be plain texts, a sequence of str"
    if _cannot_be_texts(X):
        kind = "None" if X is None else f"a {type(X).__name__}"
        raise ValueError(f"{rule}; got {kind}. {advice}")
    texts = list(X)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{rule}; row {row} is a {type(text).__name__}. {advice}")
    if not texts:
        raise ValueError(f"{name} holds no text; give at least one.")
    return texts


def as_array(texts):
    """Return texts as an array of objects, which folds can index."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def word_vectorizer(**options):
    """Return a vectoriser of words that logarithmic counts weigh; of their pairs, too, by ``ngram_range``."""
    return TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **options)


def learn_words(vectorizer, texts):
    """Fit a vectoriser and transform its texts: as ``transform`` would, each row's words in order."""
    words = vectorizer.fit_transform(texts)
    words.sort_indices()
    return words


def label_vectorizer(label_texts, texts):
    """Return a vectoriser of the words and word pairs of label texts; those rare in ``texts`` weigh more."""
    words = {"ngram_range": (1, 2), "token_pattern": r"[^\W\d_]{2,}"}
    vocabulary = TfidfVectorizer(**words).fit(label_texts).vocabulary_
    return TfidfVectorizer(sublinear_tf=True, vocabulary=vocabulary, **words).fit(texts)


def _cannot_be_texts(X):
    """Say whether X is one text, a matrix, or no collection at all."""
    if isinstance(X, str | bytes) or sp.issparse(X) or not hasattr(X, "__len__"):
        return True
    return getattr(X, "ndim", 1) != 1
