"""Adaptive thresholds around any scikit-learn classifier, or the paper's method where none is given."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.posthoc.threshold import AdaptiveThreshold, Explanation
from adathresh.signals.knn import NeighborLabels, row_softmax
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
from adathresh.utils.validation import like_input

_TEXTS_THROUGHOUT = "Where fit is given texts, every row and every label is a text."


class _Rows(NamedTuple):
    """Checked rows."""

    data: Any
    """Features or texts, as the base models take them."""
    features: Any
    """Features, by which neighbours are found."""


class AdaptiveThresholdClassifier(LabelSetMixin, ClassifierMixin, BaseEstimator):
    """Label sets by per-label, per-instance thresholds.

    With an estimator, its scores are cross-fitted: out-of-fold scores and leave-one-out neighbours of the
    training rows fit an :class:`adathresh.AdaptiveThreshold`, and the estimator is fitted once more on all
    rows. With ``estimator=None`` this is the paper's method (arXiv:2505.03118) without label leakage: a
    network and its thresholds trained together, as :class:`adathresh.AdaptiveThresholdNetwork` does, whose
    parameters hold all switches.

    X may hold texts, where the base models take texts, such as pipelines that begin with a vectoriser.
    Neighbours are then found by the words of the texts, which are the network's features, too.

    Parameters
    ----------
    estimator : scikit-learn classifier, list of such, or None, default=None
        Any classifier of label matrices with ``predict_proba`` or ``decision_function`` (or ``top_scores``,
        which returns sparse scores), or several, whose scores are fused; None for the paper's network.
    rule : AdaptiveThreshold, optional
        The rule to be fitted, which holds the target; None: one for macro-F1.
    cv : int, default=3
        Folds of the out-of-fold scores; not used with ``estimator=None``.
    n_neighbors : int, default=30
        Number of neighbours of the local signal.
    n_jobs : int, optional
        Threads of the neighbour search; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of the folds, of a rule without a random state of its own, and of the network where ``estimator`` is
        None.
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
        The fusion and the thresholds; only with an estimator.
    neighbors_ : NeighborLabels
        The local signal; only with an estimator.
    affinity_ : LabelAffinity or None
        The signal of the label texts; only with an estimator.
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer or None
        The words of texts, by which neighbours are found; None where X held features.
    n_features_in_ : int
        Number of features seen in ``fit``; not there where X held texts.

    Raises
    ------
    ValueError
        In ``fit``, for NaN or infinity in X, labels other than 0 and 1, a multiclass target, X and Y of
        different length, or fewer rows (or groups) than folds.

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
        estimator=None,
        *,
        rule=None,
        cv=3,
        n_neighbors=30,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.estimator = estimator
        self.rule = rule
        self.cv = cv
        self.n_neighbors = n_neighbors
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, Y, *, groups=None, label_features=None):
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
            carries. Not used with ``estimator=None``.

        Returns
        -------
        AdaptiveThresholdClassifier
            The fitted classifier.
        """
        rows = self._checked(X, reset=True)
        n_samples = rows.features.shape[0]
        labels = self._labels = self._encode(Y, n_samples)
        if self.estimator is None:
            self.estimator_ = AdaptiveThresholdNetwork(
                n_neighbors=self.n_neighbors,
                n_jobs=self.n_jobs,
                random_state=self.random_state,
                verbose=self.verbose,
            ).fit(rows.features, Y, groups=groups)
            return self
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

    def decision_function(self, X):
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
        rows = self._checked(X)
        if self.estimator is None:
            return self.estimator_.decision_function(rows.features)
        scores, others = self._signals(rows)
        return self._squeeze(_filled(self.rule_.margins(scores, **others), -np.inf))

    def predict_proba(self, X):
        """Return the probability of every label.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples, 2) for a binary target
            Fused probabilities in [0, 1]. With an estimator each label has its own threshold, so
            that "above 0.5" is not what ``predict`` does.
        """
        rows = self._checked(X)
        if self.estimator is None:
            return self.estimator_.predict_proba(rows.features)
        scores, others = self._signals(rows)
        probability = _filled(self.rule_.predict_proba(scores, **others), 0.0)
        return np.hstack([1 - probability, probability]) if self._container == "vector" else probability

    def thresholds(self, X):
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
        rows = self._checked(X)
        if self.estimator is None:
            return self.estimator_.thresholds(rows.features)
        scores, others = self._signals(rows)
        return self._squeeze(_filled(self.rule_.thresholds(scores, **others), np.inf))

    def predict(self, X):
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
        rows = self._checked(X)
        if self.estimator is None:
            return self.estimator_.predict(rows.features)
        scores, others = self._signals(rows)
        return self._decode(sp.csr_array(self.rule_.predict(scores, **others)))

    def explain(self, x, label):
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
            terms add up to the margin. With ``estimator=None`` they are those of the paper's formula, in the
            network's logits, against a threshold of 0.

        Raises
        ------
        ValueError
            If x is not one row, or the label is out of range or no candidate of the row.
        """
        row = self._checked(_as_rows(x))
        if row.features.shape[0] != 1:
            raise ValueError(f"explain takes one row; got {row.features.shape[0]}.")
        if self.estimator is None:
            network, training_rows = self.estimator_, self.estimator_.training_rows_
            explanation, neighbors = _explain_network(network, row.features, label), network.neighbors_
        else:
            scores, others = self._signals(row)
            explanation = self.rule_.explain(scores, label, **others)
            neighbors, training_rows = self.neighbors_, np.arange(self._labels.shape[0])
        nearest = _named_neighbours(neighbors, row.features, training_rows, self._labels, label)
        return replace(explanation, neighbors=nearest)

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
        return self.estimator if isinstance(self.estimator, list | tuple) else [self.estimator]

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
        """Return the likeness of rows and label texts, or None."""
        if self.affinity_ is None:
            return None
        words = self._label_vectorizer
        return self.affinity_.transform(rows.features if words is None else words.transform(rows.data))

    def _signals(self, rows):
        """Return base scores and all other signals of new rows."""
        fitted = self.estimator_ if isinstance(self.estimator_, list) else [self.estimator_]
        scores = [base_scores(model, rows.data, n_labels=self.n_labels_) for model in fitted]
        return scores, {"local": self.neighbors_.transform(rows.features), "affinity": self._affinity(rows)}


def _as_rows(x):
    """Return one row as a matrix, or as a list of texts."""
    if isinstance(x, str):
        return [x]
    if sp.issparse(x):
        return sp.csr_array(x.reshape(1, -1))
    return x if holds_texts(x) else np.atleast_2d(np.asarray(x))


def _explain_network(network, X, label):
    """Split z − θ of the paper's network into the terms of its formula."""
    if not 0 <= label < network.n_labels_:
        raise ValueError(f"label must be from 0 to {network.n_labels_ - 1}; got {label}.")
    margin, theta = (
        float(np.reshape(values, -1)[label])
        for values in (network.decision_function(X), network.thresholds(X))
    )
    share = torch.zeros(1, network.n_labels_)
    share[0, label] = float(sp.csr_array(network.neighbors_.transform(X))[0, label])
    with torch.no_grad():
        neighbours = -float(network.model_.fusion.terms(share)["neighbours"][0, label])
    z = margin + theta
    return Explanation(
        label=int(label),
        score=float(expit(z)),
        threshold=theta,
        base_term=z,
        rarity_term=-theta - neighbours,
        neighbor_term=neighbours,
        text_term=0.0,
        fused_threshold=0.0,
        predicted=margin > 0,
    )


def _named_neighbours(neighbors, X, rows, labels, label):
    """Return row of fit, weight and whether it carries the label, of each neighbour of one row."""
    similarity = neighbors.kneighbors(X)
    similarity.sort_indices()  # so that similarities and weights lie in the same order
    weight = row_softmax(similarity, neighbors.temperature)
    order = np.argsort(-similarity.data, kind="stable")
    rows = rows[similarity.indices[order]]
    carried = labels[rows, [label] * len(rows)]
    named = zip(rows, weight.data[order], carried, strict=True)
    return tuple((int(row), float(w), bool(c)) for row, w, c in named)


def _filled(pairs, value):
    """Return a dense array with a value where no pair is stored."""
    dense = np.full(pairs.shape, value)
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    dense[rows, pairs.indices] = pairs.data
    return dense
