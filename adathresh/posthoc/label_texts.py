"""What labels' texts say of training rows, cross-fitted as the base scores are, and of new rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from adathresh.posthoc.crossfit import base_scores, out_of_fold_scores
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.signals.label_text import LabelAffinity
from adathresh.signals.mentions import LabelMentions
from adathresh.utils.texts import as_array, label_vectorizer


class LabelTextSignals(BaseEstimator):
    """Three signals of names and synonyms: similarity, mentions and prototypes.

    The similarity of a text to a label's names knows no labels of rows. How precise mentions of a name are,
    and how similar a text is to the rows of a label, is learnt from labelled rows: for a training row from
    those of the other folds, as the base models that score it are.

    Parameters
    ----------
    knowledge : LabelKnowledge
        Names and synonyms of the labels.
    prototypes : scikit-learn classifier
        Scores texts by prototypes of labels, such as :class:`adathresh.models.prototypes.LabelPrototypes` of
        the same knowledge. Not fitted; it is cloned.
    n_jobs : int, optional
        Threads of the similarity, in joblib's counting; None means 1.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer
        Words and word pairs of the labels' texts.
    affinity_ : LabelAffinity
        Similarity of a text to the labels' texts.
    mentions_ : LabelMentions
        How precise mentions of names and synonyms are.
    prototypes_ : scikit-learn classifier
        The prototypes of all training rows.

    Raises
    ------
    ValueError
        In ``fit_transform``, if the knowledge is of another number of labels, or names nothing.

    Examples
    --------
    >>> from adathresh.models.prototypes import LabelPrototypes
    >>> knowledge, texts = LabelKnowledge(["cats", "dogs"]), ["my cats", "my dogs", "two cats", "two dogs"]
    >>> signals = LabelTextSignals(knowledge, LabelPrototypes(knowledge, min_df=1, max_df=1.0))
    >>> [part.shape for part in signals.fit_transform(texts, np.eye(2)[[0, 1, 0, 1]], folds=[0, 0, 1, 1])]
    [(4, 2), (4, 2), (4, 2)]
    """

    def __init__(
        self,
        knowledge: LabelKnowledge,
        prototypes: BaseEstimator,
        *,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.knowledge = knowledge
        self.prototypes = prototypes
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit_transform(self, texts: Sequence[str], Y: Any, *, folds: np.ndarray) -> list[sp.csr_array]:
        """Fit, and return what the other folds say of each training row.

        Parameters
        ----------
        texts : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Training labels, 0 or 1.
        folds : numpy.ndarray of int, shape (n_samples,)
            Fold of each row, as of the base scores.

        Returns
        -------
        list of scipy.sparse.csr_array of shape (n_samples, n_labels)
            Similarity, precision of mentions, and similarity to prototypes, each in [0, 1].
        """
        rows, folds, names = as_array(texts), np.asarray(folds), self.knowledge.texts()
        self.vectorizer_ = label_vectorizer(names, texts)
        self.affinity_ = LabelAffinity(n_jobs=self.n_jobs).fit(self.vectorizer_.transform(names))
        self.mentions_ = LabelMentions(self.knowledge)
        mentions = self.mentions_.fit_transform(texts, Y, folds=folds)
        by_prototypes = out_of_fold_scores(
            self.prototypes, rows, Y, folds, n_labels=self.knowledge.n_labels, verbose=self.verbose
        )
        self.prototypes_ = clone(self.prototypes).fit(texts, Y)
        return [self._similarity(texts), mentions, sp.csr_array(by_prototypes)]

    def transform(self, texts: Sequence[str]) -> list[sp.csr_array]:
        """Return what labels' texts say of new rows.

        Parameters
        ----------
        texts : sequence of str
            Texts that are not training texts.

        Returns
        -------
        list of scipy.sparse.csr_array of shape (n_samples, n_labels)
            The same three signals.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit_transform``.
        """
        if not hasattr(self, "prototypes_"):
            raise NotFittedError("Call fit_transform with the training rows first.")
        by_prototypes = base_scores(self.prototypes_, as_array(texts), n_labels=self.knowledge.n_labels)
        return [self._similarity(texts), self.mentions_.transform(texts), sp.csr_array(by_prototypes)]

    def _similarity(self, texts):
        """Compare texts with the labels' texts."""
        return self.affinity_.transform(self.vectorizer_.transform(texts))
