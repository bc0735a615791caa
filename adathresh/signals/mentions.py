"""Mentions of labels in texts: how often a label is true where its name or a synonym occurs."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.signals.phrases import PhraseMatcher, folded_words
from adathresh.utils.grouped import opens_label
from adathresh.utils.parameters import check_parameters, number, parameters, whole
from adathresh.utils.texts import check_texts
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_unmasked, row_major_positions

_ADVICE_TEXTS = "Put a single text into a list."
_POOL_ROWS = 10  # mentions that a pooled share is shrunk by
_GUESS = 0.1  # of the share of mentions that are true, before any is seen
_LEAST, _MOST = 1e-5, 0.99  # of a prior, so that no precision is 0 or 1


class LabelMentions(TransformerMixin, BaseEstimator):
    """How precise a mention of a label is: the share of texts with its name or a synonym that carry it.

    "Norway" in a text says more about its label than "trade" does, and said thrice more than said once. For
    phrase p of label l, and its number of occurrences c in a text, cut off at ``max_count``,

        precision(p, c) = (hits + K · prior) / (n + K),  prior = pooled(c) · (all hits + K) / (expected + K),

    n being the training texts with c occurrences of p, ``hits`` those of them with label l, and K
    ``smoothing``. ``pooled`` is the same share over all phrases that about as many texts contain (within a
    factor of two) and that occur as often in them; where these are few, it is shrunk towards that of all
    phrases. The quotient says how far p does better than it over all its texts. The signal is the precision
    of the best phrase of a label.

    Phrases are matched as :class:`adathresh.signals.PhraseMatcher` does. The precision of a training row must
    come from other rows: use :meth:`fit_transform`, with folds, for these, and :meth:`transform` for new
    rows only.

    Parameters
    ----------
    knowledge : LabelKnowledge
        Names and synonyms of the labels.
    smoothing : float, default=5.0
        Texts that a prior counts for; greater than 0.
    max_count : int, default=3
        Occurrences in one text that are told apart, at least 1; more of them count as so many.

    Attributes
    ----------
    matcher_ : PhraseMatcher
        Finds the phrases, those of each label together, in label order.
    phrase_labels_ : numpy.ndarray of int, shape (n_phrases,)
        Label of each phrase.
    precision_ : numpy.ndarray of shape (n_phrases, max_count)
        Precision of each phrase where it occurs once, twice, and so on, float32, in (0, 1).
    n_labels_ : int
        Number of labels.

    Raises
    ------
    ValueError
        In ``fit`` and ``fit_transform``, if ``knowledge`` is no LabelKnowledge, knows another number of
        labels than Y has, or names nothing with a word, if a parameter is out of range, the texts are no
        sequence of str, Y is not 0/1, their lengths differ, or the folds are not one integer a row, of two
        kinds at least.

    Examples
    --------
    >>> from adathresh import LabelKnowledge
    >>> mentions = LabelMentions(LabelKnowledge(["aid", "tax"])).fit(["Aid.", "No aid", "-"], [[1, 0]] * 3)
    >>> mentions.transform(["Aid, aid!", "Income"]).toarray().round(2)
    array([[0.29, 0.  ],
           [0.  , 0.  ]], dtype=float32)
    """

    _parameters = parameters(smoothing=number(above=0), max_count=whole(1))

    def __init__(self, knowledge: LabelKnowledge, *, smoothing: float = 5.0, max_count: int = 3):
        self.knowledge = knowledge
        self.smoothing = smoothing
        self.max_count = max_count

    def fit(self, texts: Sequence[str], Y: MatrixLike) -> Self:
        """Measure how precise mentions are.

        Parameters
        ----------
        texts : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Training labels, 0 or 1.

        Returns
        -------
        LabelMentions
            The fitted signal.
        """
        self._fit(*self._checked(texts, Y))
        return self

    def fit_transform(self, texts: Sequence[str], Y: MatrixLike, *, folds: npt.ArrayLike) -> sp.csr_array:
        """Fit, and return for each training row what the rows of the other folds say.

        Parameters
        ----------
        texts : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Training labels, 0 or 1.
        folds : array-like of int, shape (n_samples,)
            Fold of each row, of at least two. Scores that the signal is fused with have the same folds.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Precisions in (0, 1), float32, stored where a phrase of the label occurs.
        """
        texts, Y = self._checked(texts, Y)
        folds = _checked_folds(folds, Y.shape[0])
        outcomes = self._fit(texts, Y)
        total = self._tally(outcomes)
        parts, order = [], np.argsort(folds, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(folds[order])) + 1):
            own = outcomes[rows]
            others = _precisions(total - self._tally(own), Y.shape[0] - len(rows), self.smoothing)
            parts.append(self._best(own, others))
        return sp.csr_array(sp.vstack(parts, format="csr")[np.argsort(order)])

    def transform(self, texts: Sequence[str]) -> sp.csr_array:
        """Return the precision of the mentions in new texts.

        Parameters
        ----------
        texts : sequence of str
            Texts that are not training texts.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Precisions in (0, 1), float32, stored where a phrase of the label occurs.

        Raises
        ------
        ValueError
            If the texts are no sequence of str, or are none.
        """
        check_is_fitted(self, "precision_")
        counts = self.matcher_.count(check_texts(texts, name="texts", advice=_ADVICE_TEXTS))
        return self._best(self._outcomes(counts, None), self.precision_)

    def _checked(self, texts, Y):
        """Check everything but the folds; return texts as a list and labels as CSR."""
        if not isinstance(self.knowledge, LabelKnowledge):
            raise ValueError(
                f"knowledge must be a LabelKnowledge; got a {type(self.knowledge).__name__}. "
                "Make one of a list of names by LabelKnowledge(names)."
            )
        check_parameters(self)
        texts = check_texts(texts, name="texts", advice=_ADVICE_TEXTS)
        Y = check_labels(Y, n_samples=len(texts))
        self.knowledge.check_n_labels(Y.shape[1], name="knowledge")
        return texts, Y

    def _fit(self, texts, Y):
        """Find the phrases in the texts, keep their precisions, and return the outcomes."""
        phrases = [
            (label, phrase)
            for label, own in enumerate(self.knowledge.phrases())
            for phrase in own
            if folded_words(phrase)
        ]
        if not phrases:
            raise ValueError(
                "knowledge names nothing that a text could mention: no name and no synonym holds a word. "
                "Give names or synonyms, or leave mentions out."
            )
        self.n_labels_ = Y.shape[1]
        self.phrase_labels_ = np.array([label for label, _ in phrases])
        self.matcher_ = PhraseMatcher([phrase for _, phrase in phrases])
        outcomes = self._outcomes(self.matcher_.count(texts), Y)
        self.precision_ = _precisions(self._tally(outcomes), Y.shape[0], self.smoothing)
        return outcomes

    def _outcomes(self, counts, Y):
        """Return, for each phrase in each text, its cell in the table of precisions, doubled, plus truth.

        One number holds all that is counted, so that the rows of a fold are one slice.
        """
        cells = counts.indices.astype(np.int64) * self.max_count + np.minimum(counts.data, self.max_count) - 1
        truth = 0 if Y is None else np.isin(self._positions(counts), row_major_positions(Y))
        return sp.csr_array((2 * cells + truth, counts.indices, counts.indptr), shape=counts.shape)

    def _tally(self, outcomes):
        """Count the outcomes: texts of each phrase and number of occurrences, without its label and with."""
        shape = len(self.phrase_labels_), self.max_count, 2
        return np.bincount(outcomes.data, minlength=np.prod(shape)).reshape(shape)

    def _best(self, outcomes, precision):
        """Look the precisions up, and keep the highest of each text and label."""
        positions = self._positions(outcomes)  # rising, as the phrases of a label stand together
        first = np.flatnonzero(opens_label(positions))
        values = precision.ravel()[outcomes.data // 2]
        best = np.maximum.reduceat(values, first) if len(first) else values
        indptr = np.searchsorted(first, outcomes.indptr)
        labels = self.phrase_labels_[outcomes.indices[first]]
        return sp.csr_array((best, labels, indptr), shape=(outcomes.shape[0], self.n_labels_))

    def _positions(self, found):
        """Return one number for text and label of each phrase found, as ``row_major_positions`` does."""
        rows = np.repeat(np.arange(found.shape[0], dtype=np.int64), np.diff(found.indptr))
        return rows * self.n_labels_ + self.phrase_labels_[found.indices]


def _precisions(tally, n_rows, smoothing):
    """Return the precision of each phrase and number of occurrences, from outcomes in n_rows texts."""
    n, hits = tally.sum(axis=2), tally[:, :, 1]
    # Of the share of texts, so that it stays where it is when a fold is left out. A phrase in no text keeps
    # company with those in one.
    octave = np.log2(n_rows / np.maximum(n.sum(axis=1), 1)).astype(np.int64)
    pooled_n, pooled_hits = np.zeros((2, octave.max() + 1, n.shape[1]))
    np.add.at(pooled_n, octave, n)
    np.add.at(pooled_hits, octave, hits)
    pooled = _shrunk_shares(pooled_hits, pooled_n)[octave]
    expected = (n * pooled).sum(axis=1)
    lift = (hits.sum(axis=1) + smoothing) / (expected + smoothing)
    prior = np.clip(pooled * lift[:, None], _LEAST, _MOST)
    return ((hits + smoothing * prior) / (n + smoothing)).astype(np.float32)


def _shrunk_shares(hits, n):
    """Return hits / n, shrunk towards the share of the column, and that towards the share of all."""
    overall = (hits.sum() + _POOL_ROWS * _GUESS) / (n.sum() + _POOL_ROWS)
    of_column = (hits.sum(axis=0) + _POOL_ROWS * overall) / (n.sum(axis=0) + _POOL_ROWS)
    return (hits + _POOL_ROWS * of_column) / (n + _POOL_ROWS)


def _checked_folds(folds, n_samples):
    """Return folds as an array, one integer a row, of at least two kinds."""
    check_unmasked(folds, name="folds")
    folds = np.asarray(folds)
    if folds.ndim != 1 or folds.dtype.kind not in "iu":
        raise ValueError(
            f"folds must be one integer a row, an array of shape ({n_samples},); got shape {folds.shape} of "
            f"type {folds.dtype}."
        )
    if len(folds) != n_samples:
        raise ValueError(f"folds has {len(folds)} entries, but there are {n_samples} texts; give one a text.")
    if (folds == folds[0]).all():
        raise ValueError(
            f"folds are all {folds[0]}: a row needs rows of another fold; give at least two folds."
        )
    return folds
