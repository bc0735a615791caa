"""Adaptive thresholds around any scikit-learn classifier."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.posthoc.decision import Decision
from adathresh.posthoc.explanation import Explanation
from adathresh.posthoc.threshold import AdaptiveThreshold
from adathresh.signals.knn import NeighborLabels
from adathresh.signals.label_text import LabelAffinity
from adathresh.utils.labels import LabelSetMixin
from adathresh.utils.texts import (
    as_array,
    check_texts,
    holds_texts,
    label_vectorizer,
    learn_words,
    word_vectorizer,
)
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import like_input, one_row

_TEXTS_THROUGHOUT = "Where fit is given texts, every row and every label is a text."


class _Rows(NamedTuple):
    """Checked rows."""

    data: Any
    """Features or texts, as the base models take them."""
    features: Any
    """Features, by which neighbours are found."""


class AdaptiveThresholdClassifier(LabelSetMixin, ClassifierMixin, BaseEstimator):
    """Label sets by per-label, per-instance thresholds around any classifier.

    The estimator's scores are cross-fitted: out-of-fold scores and leave-one-out neighbours of the training
    rows fit an :class:`adathresh.AdaptiveThreshold`, and the estimator is fitted once more on all rows. (The
    paper's own method, a network trained together with its thresholds, is
    :class:`adathresh.AdaptiveThresholdNetwork`.)

    X may hold texts, where the base models take texts, such as pipelines that begin with a vectoriser.
    Neighbours are then found by the words of the texts.

    Parameters
    ----------
    estimator : scikit-learn classifier, or list of such
        Any classifier of label matrices with ``predict_proba`` or ``decision_function`` (or ``top_scores``,
        which returns sparse scores), or several, whose scores are fused.
    rule : AdaptiveThreshold, optional
        The rule to be fitted, which holds the target; None: one for macro-F1.
    cv : int, default=3
        Folds of the out-of-fold scores, at least 2.
    n_neighbors : int, default=30
        Number of neighbours of the local signal.
    n_jobs : int, optional
        Threads of the neighbour search; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of the folds, and of a rule without a random state of its own.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels.
    estimator_ : estimator, or list of such
        The base model or models, fitted on all rows.
    rule_ : AdaptiveThreshold
        The fusion and the thresholds.
    neighbors_ : NeighborLabels
        The local signal.
    affinity_ : LabelAffinity or None
        The signal of the label texts; None where there are none.
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer or None
        The words of texts, by which neighbours are found; None where X held features.
    n_features_in_ : int
        Number of features seen in ``fit``; not there where X held texts.

    Raises
    ------
    ValueError
        In ``fit``, for NaN or infinity in X, labels other than 0 and 1, a multiclass target, X and Y of
        different length, or fewer rows (or groups) than folds.
    TypeError
        In ``fit``, if estimator is no classifier, or has no scores.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> clf = AdaptiveThresholdClassifier(OneVsRestClassifier(LogisticRegression()), random_state=0)
    >>> clf.fit(X, Y).predict(X).shape
    (100, 5)
    """

    def __init__(
        self,
        estimator: BaseEstimator | list[BaseEstimator],
        *,
        rule: AdaptiveThreshold | None = None,
        cv: int = 3,
        n_neighbors: int = 30,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.estimator = estimator
        self.rule = rule
        self.cv = cv
        self.n_neighbors = n_neighbors
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: MatrixLike,
        Y: MatrixLike,
        *,
        groups: npt.ArrayLike | None = None,
        label_features: MatrixLike | None = None,
    ) -> Self:
        """Fit base model, signals and thresholds.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Training features, or texts.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.
        groups : array-like of shape (n_samples,), optional
            Rows of one group share a fold and are never each other's neighbours.
        label_features : array-like or sparse of shape (n_labels, n_features), or sequence of str, optional
            The labels' own texts, put through the vectoriser that made X; where X holds texts, the texts
            themselves, such as names. They help rare labels, and keep labels possible that no training row
            carries.

        Returns
        -------
        AdaptiveThresholdClassifier
            The fitted classifier.
        """
        rows = self._checked(X, reset=True)
        n_samples = rows.features.shape[0]
        labels = self._encode(Y, n_samples)
        # one label is a binary target: classifiers then agree on what predict_proba returns
        target = like_input(labels, "dense" if self.n_labels_ == 1 else self._container)
        target = target.ravel() if self.n_labels_ == 1 else target
        rng = check_random_state(self.random_state)
        folds = draw_folds(n_samples, self.cv, groups=groups, random_state=rng.randint(2**31))
        held_out = [
            out_of_fold_scores(model, rows.data, target, folds, n_labels=self.n_labels_, verbose=self.verbose)
            for model in self._models()
        ]
        self.neighbors_ = NeighborLabels(self.n_neighbors, n_jobs=self.n_jobs, verbose=self.verbose)
        local = self.neighbors_.fit_transform(rows.features, labels, groups=groups)
        self._fit_affinity(label_features, rows)
        self.rule_ = AdaptiveThreshold() if self.rule is None else clone(self.rule)
        if self.rule_.random_state is None:
            self.rule_.set_params(random_state=rng.randint(2**31))
        self.rule_.fit(held_out, labels, local=local, affinity=self._affinity(rows), folds=folds)
        fitted = [clone(model).fit(rows.data, target) for model in self._models()]
        self.estimator_ = fitted if isinstance(self.estimator, list | tuple) else fitted[0]
        return self

    def decide(self, X: MatrixLike) -> Decision:
        """Return label sets, probabilities, margins and thresholds, from one pass over the rows.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        Decision
            What ``predict``, ``predict_proba``, ``decision_function`` and ``thresholds`` return, the last
            when it is first read.
        """
        scores, others = self._signals(self._checked(X))
        found = self.rule_.decide(scores, **others)
        return Decision(
            label_sets=self._decode(sp.csr_array(found.label_sets)),
            probabilities=self._as_probabilities(found.probabilities),
            margins=self._squeeze(_filled(found.margins, -np.inf)),
            solve_thresholds=partial(_filled_thresholds, found, binary=self._container == "vector"),
        )

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return by how much each label exceeds its threshold; positive means predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Margins; −inf for a pair without score, neighbour share and label text, and for a label that is
            never predicted.
        """
        scores, others = self._signals(self._checked(X))
        return self._squeeze(_filled(self.rule_.margins(scores, **others), -np.inf))

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the probability of every label.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples, 2) for a binary target
            Fused probabilities in [0, 1]. Each label has its own threshold, so that "above 0.5" is not what
            ``predict`` does.
        """
        scores, others = self._signals(self._checked(X))
        return self._as_probabilities(self.rule_.predict_proba(scores, **others))

    def thresholds(self, X: MatrixLike) -> np.ndarray:
        """Return θ_l(x), in units of the base model's logit.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Thresholds of the (first) base model; inf for a pair that is no candidate or a label that is
            never predicted, −inf where the label is predicted at every score.
        """
        scores, others = self._signals(self._checked(X))
        return self._squeeze(_filled(self.rule_.thresholds(scores, **others), np.inf))

    def predict(self, X: MatrixLike) -> Matrix:
        """Return the label sets.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels)
            0/1, sparse where Y was; the classes, of shape (n_samples,), for a binary target.
        """
        scores, others = self._signals(self._checked(X))
        return self._decode(sp.csr_array(self.rule_.predict(scores, **others)))

    def explain(self, x: MatrixLike, label: int) -> Explanation:
        """Split the decision about one label of one row into its terms.

        Parameters
        ----------
        x : array-like or sparse of shape (n_features,) or (1, n_features), or str
            One row.
        label : int
            Index of the label.

        Returns
        -------
        Explanation
            Base score, rarity, neighbours (the neighbours themselves, too), label text and threshold; the
            terms add up to the margin.

        Raises
        ------
        ValueError
            If x is not one row, or the label is out of range or no candidate of the row.
        """
        if isinstance(x, str):
            x = [x]
        row = self._checked(x if holds_texts(x) else one_row(x))
        if row.features.shape[0] != 1:
            raise ValueError(f"explain takes one row; got {row.features.shape[0]}.")
        scores, others = self._signals(row)
        explanation = self.rule_.explain(scores, label, **others)
        return replace(explanation, neighbors=self.neighbors_.nearest(row.features, label))

    def _as_probabilities(self, pairs):
        """Return fused probabilities as scikit-learn shapes them for the target."""
        probability = _filled(pairs, 0.0)
        return np.hstack([1 - probability, probability]) if self._container == "vector" else probability

    def _checked(self, X, *, reset=False):
        """Check rows, and turn texts into features; with ``reset`` as the training rows."""
        if reset:
            self.vectorizer_ = word_vectorizer() if holds_texts(X) else None
        else:
            check_is_fitted(self, "estimator_")
        if self.vectorizer_ is not None:
            texts = as_array(check_texts(X, advice=_TEXTS_THROUGHOUT))
            words = self.vectorizer_
            return _Rows(texts, learn_words(words, texts) if reset else words.transform(texts))
        if holds_texts(X):
            raise ValueError("X holds texts, but fit was given features; give features of the same kind.")
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=reset)
        return _Rows(X, X)

    def _models(self):
        """Return the base models, not fitted."""
        models = self.estimator if isinstance(self.estimator, list | tuple) else [self.estimator]
        if not models or not all(hasattr(model, "fit") for model in models):
            raise TypeError(f"estimator must be a classifier, or a list of such; got {self.estimator!r}.")
        return models

    def _fit_affinity(self, label_features, rows):
        """Fit the signal of the label texts, where there are any."""
        self.affinity_ = self._label_vectorizer = None
        if label_features is None:
            return
        if self.vectorizer_ is not None:
            names = check_texts(label_features, name="label_features", advice=_TEXTS_THROUGHOUT)
            self._label_vectorizer = label_vectorizer(names, rows.data)
            label_features = self._label_vectorizer.transform(names)
        if label_features.shape[0] != self.n_labels_:
            raise ValueError(
                f"label_features has {label_features.shape[0]} rows but Y has {self.n_labels_} labels; give "
                "one row a label."
            )
        if self.vectorizer_ is None and label_features.shape[1] != self.n_features_in_:
            raise ValueError(
                f"label_features has {label_features.shape[1]} features but X has {self.n_features_in_}; use "
                "the vectoriser that made X."
            )
        self.affinity_ = LabelAffinity(n_jobs=self.n_jobs).fit(label_features)

    def _affinity(self, rows):
        """Return the similarity of rows and label texts, or None."""
        if self.affinity_ is None:
            return None
        words = self._label_vectorizer
        return self.affinity_.transform(rows.features if words is None else words.transform(rows.data))

    def _signals(self, rows):
        """Return base scores and all other signals of new rows."""
        fitted = self.estimator_ if isinstance(self.estimator_, list) else [self.estimator_]
        scores = [base_scores(model, rows.data, n_labels=self.n_labels_) for model in fitted]
        return scores, {"local": self.neighbors_.transform(rows.features), "affinity": self._affinity(rows)}


def _filled(pairs, value):
    """Return a dense array with a value where no pair is stored."""
    dense = np.full(pairs.shape, value)
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    dense[rows, pairs.indices] = pairs.data
    return dense


def _filled_thresholds(decision, *, binary):
    """Return the thresholds of a decision as an array."""
    dense = _filled(decision.thresholds, np.inf)
    return dense.ravel() if binary else dense
