"""Nearest label prototypes: one vector a label, of its training texts and its names."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn.preprocessing import normalize
from sparse_dot_topn import sp_matmul_topn

from adathresh.models._texts import TextClassifier
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.parameters import check_parameters, job_count, number, parameters
from adathresh.utils.texts import check_texts, learn_words, word_vectorizer
from adathresh.utils.types import MatrixLike

_LETTERS = r"[^\W\d_]{2,}"  # numbers say little about a label, and there are many
_LEAST_WEIGHT = 0.01  # of a word in a prototype of length 1; smaller ones cost time and change little


class LabelPrototypes(TextClassifier):
    """Cosine similarity of a text to the prototype of each label.

    Texts are vectors of logarithmic word counts times inverse document frequencies, of length 1. With f the
    number of training rows of a label, its prototype is

        f / (f + 1) · centroid + text_weight · names,

    scaled to length 1: ``centroid`` is the sum of its rows, ``names`` the vector of its name and synonyms,
    each of length 1. So a label without a training row is found by its names, and one with many rows by both.
    (A part of the parents' centroids made it worse on EURLEX57K's validation rows.) Without knowledge this is
    Rocchio's classifier, the nearest centroid (J. J. Rocchio, Relevance feedback in information retrieval,
    1971; Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 14.2), of rows
    that carry a label only. Words whose weight in a prototype is below 0.01 are left out.

    Scores are cosines in (0, 1], no probabilities: 0.5 is no natural threshold for them. They are meant as
    one of several base scores, which :class:`adathresh.AdaptiveThreshold` turns into probabilities.

    Parameters
    ----------
    knowledge : LabelKnowledge, optional
        Names and synonyms of the labels.
    text_weight : float, default=1.0
        Weight of names and synonyms; at least 0.
    min_df : int or float, default=2
        Training texts in which a word must occur, or their share.
    max_df : int or float, default=0.5
        Training texts in which a word may occur at most, or their share.
    n_jobs : int, optional
        Threads for scoring, in joblib's counting; None means 1.

    Attributes
    ----------
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer
        What turns texts into vectors.
    prototypes_ : scipy.sparse.csc_array of shape (n_labels, n_words)
        Prototypes, float32; all zeros for a label of which nothing is known.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of words.

    Raises
    ------
    ValueError
        In ``fit``, if ``knowledge`` is no LabelKnowledge or knows another number of labels than Y has, for
        parameters outside their range, or texts without a word that is common enough.

    Examples
    --------
    >>> from adathresh import LabelKnowledge
    >>> model = LabelPrototypes(LabelKnowledge(["cats", "the dog"]), min_df=1, max_df=1.0)
    >>> model.fit(["a cat and cats", "a dog"], [[1, 0], [0, 0]]).top_scores(["one dog"]).toarray().round(2)
    array([[0., 1.]], dtype=float32)
    """

    # scikit-learn checks min_df and max_df
    _parameters = parameters(text_weight=number(least=0), n_jobs=job_count())

    def __init__(
        self,
        knowledge: LabelKnowledge | None = None,
        *,
        text_weight: float = 1.0,
        min_df: int | float = 2,
        max_df: int | float = 0.5,
        n_jobs: int | None = None,
    ):
        self.knowledge = knowledge
        self.text_weight = text_weight
        self.min_df = min_df
        self.max_df = max_df
        self.n_jobs = n_jobs

    def fit(  # type: ignore[override]  # texts are not matrices
        self, X: Sequence[str], Y: MatrixLike
    ) -> "LabelPrototypes":
        """Learn the words, and make the prototypes.

        Parameters
        ----------
        X : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.

        Returns
        -------
        LabelPrototypes
            The fitted model.

        Raises
        ------
        ValueError
            If X is not a sequence of str, Y is not 0/1, their lengths differ, or a parameter is wrong.

        Examples
        --------
        >>> model = LabelPrototypes(min_df=1).fit(["red cat", "red dog", "old cow"], [[1], [1], [0]])
        >>> sorted(model.vectorizer_.vocabulary_)  # "red" is in more than half of the texts
        ['cat', 'cow', 'dog', 'old']
        """
        check_parameters(self)
        texts = check_texts(X)
        self._check_knowledge(self._encode(Y, len(texts)).shape[1])  # before the words are counted
        self.vectorizer_ = word_vectorizer(min_df=self.min_df, max_df=self.max_df, token_pattern=_LETTERS)
        super().fit(learn_words(self.vectorizer_, texts), Y)
        return self

    def _embed(self, texts):
        """Count the words."""
        return self.vectorizer_.transform(texts)

    def _fit(self, X, Y):
        """Make the prototypes of vectors and labels."""
        frequency = np.bincount(Y.indices, minlength=Y.shape[1])
        centroids = sp.csr_array(normalize(Y.T @ X))
        prototypes = _scaled(centroids, frequency / (frequency + 1))
        if self.knowledge is not None and self.text_weight:
            names = self.vectorizer_.transform(self.knowledge.texts())
            prototypes = prototypes + self.text_weight * sp.csr_array(names)
        prototypes = sp.csr_array(normalize(prototypes), dtype=np.float32)
        prototypes.data[prototypes.data < _LEAST_WEIGHT] = 0
        prototypes.eliminate_zeros()
        self.prototypes_ = sp.csc_array(prototypes)

    def _scores(self, X, k):
        """Return the cosines of the nearest prototypes, with all that tie with the last of them."""
        found = self._nearest(X, k + 1)
        ends = found.indptr[1:]
        more = np.flatnonzero(np.diff(found.indptr) > k)
        tied = more[found.data[ends[more] - 1] == found.data[ends[more] - 2]]
        if len(tied):
            # which of equal ones a search of few returns is left to chance
            rows = np.arange(X.shape[0])
            rows[tied] = X.shape[0] + np.arange(len(tied))
            found = sp.vstack([found, self._nearest(X[tied], self.n_labels_)], format="csr")[rows]
        return found

    def _nearest(self, X, n):
        """Return the n highest cosines of each row, falling."""
        found = sp_matmul_topn(
            sp.csr_matrix(X, dtype=np.float32),
            sp.csr_matrix(self.prototypes_.T),
            top_n=min(n, self.n_labels_),
            threshold=0.0,
            sort=True,
            n_threads=effective_n_jobs(self.n_jobs),
        )
        np.minimum(found.data, 1, out=found.data)  # rounding may pass 1 by an ulp
        return sp.csr_array(found)

    def _check_knowledge(self, n_labels):
        """Raise where the knowledge is none of these labels."""
        if self.knowledge is None:
            return
        if not isinstance(self.knowledge, LabelKnowledge):
            raise ValueError(
                f"knowledge must be a LabelKnowledge or None; got a {type(self.knowledge).__name__}. "
                "Make one of a list of names by LabelKnowledge(names)."
            )
        self.knowledge.check_n_labels(n_labels, name="knowledge")


def _scaled(rows, weights):
    """Multiply each row by its weight."""
    return sp.csr_array(sp.diags_array(weights.astype(rows.dtype)) @ rows)
