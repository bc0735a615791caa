"""Adaptive thresholds around any scikit-learn classifier, or the paper's method where none is given."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from adathresh._labels import LabelSetMixin
from adathresh._validation import like_input
from adathresh.affinity import LabelAffinity
from adathresh.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.end_to_end import AdaptiveThresholdNetwork
from adathresh.knn import NeighborLabels, row_softmax
from adathresh.posthoc import AdaptiveThreshold, Explanation


class AdaptiveThresholdClassifier(LabelSetMixin, ClassifierMixin, BaseEstimator):
    """Label sets by per-label, per-instance thresholds.

    With an estimator, its scores are cross-fitted: out-of-fold scores and leave-one-out neighbours of the
    training rows fit an :class:`adathresh.AdaptiveThreshold`, and the estimator is fitted once more on all
    rows. With ``estimator=None`` this is the paper's method (arXiv:2505.03118) without label leakage: a
    network and its thresholds trained together, as :class:`adathresh.AdaptiveThresholdNetwork` does, whose
    parameters hold all switches.

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
        The fusion and the cuts; only with an estimator.
    neighbors_ : NeighborLabels
        The local signal; only with an estimator.
    affinity_ : LabelAffinity or None
        The signal of the label texts; only with an estimator.
    n_features_in_ : int
        Number of features seen in ``fit``.

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
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.
        groups : array-like of shape (n_samples,), optional
            Rows of one group share a fold and are never each other's neighbours.
        label_features : array-like or sparse of shape (n_labels, n_features), optional
            The labels' own texts, put through the vectoriser that made X. They help rare labels, and keep
            labels possible that no training row carries. Not used with ``estimator=None``.

        Returns
        -------
        AdaptiveThresholdClassifier
            The fitted classifier.
        """
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32))
        labels = self._labels = self._encode(Y, X.shape[0])
        if self.estimator is None:
            self.estimator_ = AdaptiveThresholdNetwork(
                n_neighbors=self.n_neighbors,
                n_jobs=self.n_jobs,
                random_state=self.random_state,
                verbose=self.verbose,
            ).fit(X, Y, groups=groups)
            return self
        # one label is a binary target: classifiers then agree on what predict_proba returns
        target = like_input(labels, "dense" if self.n_labels_ == 1 else self._container)
        target = target.ravel() if self.n_labels_ == 1 else target
        rng = check_random_state(self.random_state)
        folds = draw_folds(X.shape[0], self.cv, groups=groups, random_state=rng.randint(2**31))
        held_out = [
            out_of_fold_scores(model, X, target, folds, n_labels=self.n_labels_, verbose=self.verbose)
            for model in self._models()
        ]
        self.neighbors_ = NeighborLabels(self.n_neighbors, n_jobs=self.n_jobs, verbose=self.verbose)
        local = self.neighbors_.fit_transform(X, labels, groups=groups)
        self._fit_affinity(label_features)
        self.rule_ = AdaptiveThreshold() if self.rule is None else clone(self.rule)
        if self.rule_.random_state is None:
            self.rule_.set_params(random_state=rng.randint(2**31))
        self.rule_.fit(held_out, labels, local=local, affinity=self._affinity(X), folds=folds)
        fitted = [clone(model).fit(X, target) for model in self._models()]
        self.estimator_ = fitted if isinstance(self.estimator, list | tuple) else fitted[0]
        return self

    def decision_function(self, X):
        """Return by how much each label exceeds its threshold; positive means predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Margins; −inf for a pair without score, neighbour share and label text, and for a label that is
            never predicted.
        """
        X = self._checked(X)
        if self.estimator is None:
            return self.estimator_.decision_function(X)
        scores, others = self._signals(X)
        return self._squeeze(_filled(self.rule_.margins(scores, **others), -np.inf))

    def predict_proba(self, X):
        """Return the probability of every label.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples, 2) for a binary target
            Fused probabilities in [0, 1]. With an estimator they are cut at each label's own best value, so
            that "above 0.5" is not what ``predict`` does.
        """
        X = self._checked(X)
        if self.estimator is None:
            return self.estimator_.predict_proba(X)
        scores, others = self._signals(X)
        probability = _filled(self.rule_.predict_proba(scores, **others), 0.0)
        return np.hstack([1 - probability, probability]) if self._container == "vector" else probability

    def thresholds(self, X):
        """Return θ_l(x), in units of the base model's logit.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Thresholds of the (first) base model; inf for a pair that is no candidate or a label that is
            never predicted, −inf where the label is predicted at every score.
        """
        X = self._checked(X)
        if self.estimator is None:
            return self.estimator_.thresholds(X)
        scores, others = self._signals(X)
        return self._squeeze(_filled(self.rule_.thresholds(scores, **others), np.inf))

    def predict(self, X):
        """Return the label sets.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels)
            0/1, sparse where Y was; the classes, of shape (n_samples,), for a binary target.
        """
        X = self._checked(X)
        if self.estimator is None:
            return self.estimator_.predict(X)
        scores, others = self._signals(X)
        return self._decode(sp.csr_array(self.rule_.predict(scores, **others)))

    def explain(self, x, label):
        """Split the decision about one label of one row into its terms.

        Parameters
        ----------
        x : array-like or sparse of shape (n_features,) or (1, n_features)
            One row.
        label : int
            Index of the label.

        Returns
        -------
        Explanation
            Base score, rarity, neighbours (the neighbours themselves, too), label text and cut; the terms
            add up to the margin. With ``estimator=None`` they are those of the paper's
            formula, in the network's logits, against a cut of 0.

        Raises
        ------
        ValueError
            If x is not one row, or the label is out of range or no candidate of the row.
        """
        x = x if sp.issparse(x) else np.atleast_2d(np.asarray(x))
        X = self._checked(sp.csr_array(x.reshape(1, -1)) if sp.issparse(x) else x)
        if X.shape[0] != 1:
            raise ValueError(f"explain takes one row; got {X.shape[0]}.")
        if self.estimator is None:
            network, explanation = self.estimator_, _explain_network(self.estimator_, X, label)
            nearest = _named_neighbours(network.neighbors_, X, network.training_rows_, self._labels, label)
        else:
            scores, others = self._signals(X)
            explanation = self.rule_.explain(scores, label, **others)
            rows = np.arange(self._labels.shape[0])
            nearest = _named_neighbours(self.neighbors_, X, rows, self._labels, label)
        return replace(explanation, neighbours=nearest)

    def _checked(self, X):
        """Check the features of rows to be predicted."""
        check_is_fitted(self, "estimator_")
        return validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)

    def _models(self):
        """Return the base models, not fitted."""
        return self.estimator if isinstance(self.estimator, list | tuple) else [self.estimator]

    def _fit_affinity(self, label_features):
        """Fit the signal of the label texts, where there are any."""
        self.affinity_ = None
        if label_features is None:
            return
        if label_features.shape[0] != self.n_labels_:
            raise ValueError(
                f"label_features has {label_features.shape[0]} rows but Y has {self.n_labels_} labels; give "
                "one row a label."
            )
        if label_features.shape[1] != self.n_features_in_:
            raise ValueError(
                f"label_features has {label_features.shape[1]} features but X has {self.n_features_in_}; use "
                "the vectoriser that made X."
            )
        self.affinity_ = LabelAffinity(n_jobs=self.n_jobs).fit(label_features)

    def _affinity(self, X):
        """Return the likeness of rows and label texts, or None."""
        return None if self.affinity_ is None else self.affinity_.transform(X)

    def _signals(self, X):
        """Return base scores and all other signals of new rows."""
        fitted = self.estimator_ if isinstance(self.estimator_, list) else [self.estimator_]
        scores = [base_scores(model, X, n_labels=self.n_labels_) for model in fitted]
        return scores, {"local": self.neighbors_.transform(X), "affinity": self._affinity(X)}


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
        neighbour_term=neighbours,
        text_term=0.0,
        cut=0.0,
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
