"""Plain texts as input: what counts as one, and the words by which neighbours and labels are found."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from adathresh.utils.frames import column_at, is_data_frame

_LETTERS = r"[^\W\d_]{2,}"
_OF_FEATURES_ONLY = "A data set of features only has no texts: choose another base model for it."


def holds_texts(X: Any) -> bool:
    """Say whether X looks like a sequence of texts rather than like a matrix of features.

    Parameters
    ----------
    X : object
        What a caller gave as rows.

    Returns
    -------
    bool
        Whether X is a collection with a text among its first ten rows.

    Examples
    --------
    >>> holds_texts(["a cat", "a dog"]), holds_texts([[1.0, 0.0]])
    (True, False)
    """
    # not the first alone: a missing one is to be named as such
    return not _cannot_be_texts(X) and any(isinstance(row, str) for row in islice(X, 10))


def check_texts(X: Any, *, name: str = "X", advice: str = _OF_FEATURES_ONLY) -> list[str]:
    """Return plain texts as a list.

    Parameters
    ----------
    X : sequence of str
        The texts.
    name : str, default="X"
        How the argument is called in error messages.
    advice : str, optional
        What the error message says that the caller may do instead.

    Returns
    -------
    list of str
        The same texts.

    Raises
    ------
    ValueError
        If X is no collection of texts, has no order, can be read once only, or is empty.

    Examples
    --------
    >>> check_texts(("a cat", "a dog"))
    ['a cat', 'a dog']
    """
    check_order(X, name=name)
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


def check_text(text: Any, *, name: str = "text") -> None:
    """Refuse what is no text.

    Parameters
    ----------
    text : object
        What a caller gave as a text.
    name : str, default="text"
        How the argument is called in the error message.

    Raises
    ------
    ValueError
        If it is no str.

    Examples
    --------
    >>> check_text("a cat")
    """
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a str; got a {type(text).__name__}.")


def check_order(X: Any, *, name: str = "X") -> None:
    """Refuse sets and dictionaries, which have no order, and what can be read once only.

    Parameters
    ----------
    X : object
        What a caller gave as rows or labels.
    name : str, default="X"
        How the argument is called in error messages.

    Raises
    ------
    ValueError
        If X is a set, a mapping or an iterator, such as a generator.

    Examples
    --------
    >>> check_order(["a cat", "a dog"])
    """
    if sp.issparse(X):  # one format is a dictionary to Python
        return
    kind = type(X).__name__
    if isinstance(X, Set | Mapping):
        raise ValueError(f"{name} is a {kind}, whose order means nothing; give a list, in order.")
    if isinstance(X, Iterator):
        raise ValueError(f"{name} is a {kind}, which can be read only once; give list({name}).")


def text_column(X: Any) -> Any:
    """Return the column of a data frame that has only one, of texts; anything else as it is.

    Parameters
    ----------
    X : object
        What a caller gave as rows.

    Returns
    -------
    object
        The column, or X.

    Examples
    --------
    >>> text_column([[1.0, 0.0]])
    [[1.0, 0.0]]
    """
    if is_data_frame(X) and X.shape[1] == 1 and holds_texts(column_at(X, 0)):
        return column_at(X, 0)
    return X


def as_array(texts: Sequence[str]) -> np.ndarray:
    """Return texts as an array, from which folds can take some.

    Parameters
    ----------
    texts : sequence of str
        The texts.

    Returns
    -------
    numpy.ndarray of object, shape (n_texts,)
        The same texts.

    Examples
    --------
    >>> as_array(["a cat", "a dog"])[[1]]
    array(['a dog'], dtype=object)
    """
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def word_vectorizer(**options: Any) -> TfidfVectorizer:
    """Return a vectoriser of words, weighed by their logarithmic counts.

    Parameters
    ----------
    **options : dict
        Further parameters of ``TfidfVectorizer``, such as ``ngram_range`` for pairs of words, too.

    Returns
    -------
    sklearn.feature_extraction.text.TfidfVectorizer
        Not fitted.

    Examples
    --------
    >>> sorted(word_vectorizer().fit(["two cats", "two dogs"]).vocabulary_)
    ['cats', 'dogs', 'two']
    """
    return TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **options)


def learn_words(vectorizer: TfidfVectorizer, texts: Sequence[str]) -> sp.csr_matrix:
    """Fit a vectoriser and transform its texts as ``transform`` would, the words of a row in order.

    Parameters
    ----------
    vectorizer : sklearn.feature_extraction.text.TfidfVectorizer
        Not fitted.
    texts : sequence of str
        The texts.

    Returns
    -------
    scipy.sparse.csr_matrix of shape (n_texts, n_words)
        Weights of the words.

    Examples
    --------
    >>> learn_words(word_vectorizer(), ["two cats", "two dogs"]).shape
    (2, 3)
    """
    words = vectorizer.fit_transform(texts)
    words.sort_indices()
    return words


def label_vectorizer(label_texts: Sequence[str], texts: Sequence[str]) -> TfidfVectorizer:
    """Return a vectoriser of the words and word pairs of label texts.

    Parameters
    ----------
    label_texts : sequence of str
        Texts of the labels, such as names: they alone give the vocabulary.
    texts : sequence of str
        Training texts: words that are rare in them weigh more.

    Returns
    -------
    sklearn.feature_extraction.text.TfidfVectorizer
        Fitted.

    Raises
    ------
    ValueError
        If no label text holds a word of two letters or more.

    Examples
    --------
    >>> sorted(label_vectorizer(["black cat"], ["a black cat sits"]).vocabulary_)
    ['black', 'black cat', 'cat']
    """
    if not any(re.search(_LETTERS, text) for text in label_texts):
        raise ValueError(
            "The labels' texts hold no word of two letters or more, so no text is similar to them; leave "
            "them out, or give other ones."
        )
    words = {"ngram_range": (1, 2), "token_pattern": _LETTERS}
    vocabulary = TfidfVectorizer(**words).fit(label_texts).vocabulary_
    return TfidfVectorizer(sublinear_tf=True, vocabulary=vocabulary, **words).fit(texts)


def _cannot_be_texts(X):
    """Say whether X is one text, a matrix, or no collection at all."""
    if isinstance(X, str | bytes) or sp.issparse(X) or not hasattr(X, "__len__"):
        return True
    return getattr(X, "ndim", 1) != 1
