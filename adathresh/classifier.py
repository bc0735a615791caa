"""Adaptive thresholds around any scikit-learn classifier, or the paper's method where none is given."""

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from adathresh._labels import LabelSetMixin
from adathresh._validation import like_input
from adathresh.end_to_end import AdaptiveThresholdNetwork
from adathresh.knn import NeighborLabels
from adathresh.posthoc import AdaptiveThreshold


class AdaptiveThresholdClassifier(LabelSetMixin, ClassifierMixin, BaseEstimator):
    """Label sets by per-label, per-instance thresholds.

    With ``estimator=None`` this is the paper's method (arXiv:2505.03118) without label leakage: a network and
    its thresholds trained together, as :class:`adathresh.AdaptiveThresholdNetwork` does, whose parameters
    hold all switches. With an estimator, its scores are cross-fitted: out-of-fold scores and leave-one-out
    neighbours of the training rows fit an :class:`adathresh.AdaptiveThreshold`, and the estimator is fitted
    once more on all rows.

    Parameters
    ----------
    estimator : scikit-learn classifier, optional
        Any classifier of label matrices with ``predict_proba`` or ``decision_function`` (or ``top_scores``,
        which returns sparse scores); None for the paper's network.
    cv : int, default=3
        Folds of the out-of-fold scores; not used with ``estimator=None``.
    n_neighbors : int, default=30
        Number of neighbours of the local signal.
    n_jobs : int, optional
        Threads of the neighbour search; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of the folds, and of the network where ``estimator`` is None.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    estimator_ : estimator
        The base model, fitted on all rows.
    rule_ : AdaptiveThreshold
        The fusion and the cuts; only with an estimator.
    neighbors_ : NeighborLabels
        The local signal; only with an estimator.
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
        self, estimator=None, *, cv=3, n_neighbors=30, n_jobs=None, random_state=None, verbose=False
    ):
        self.estimator = estimator
        self.cv = cv
        self.n_neighbors = n_neighbors
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, Y, *, groups=None):
        """Fit base model, signals and thresholds.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.
        groups : array-like of shape (n_samples,), optional
            Rows of one group share a fold and are never each other's neighbours.

        Returns
        -------
        AdaptiveThresholdClassifier
            The fitted classifier.
        """
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32))
        labels = self._encode(Y, X.shape[0])
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
        held_out = self._out_of_fold_scores(X, target, groups)
        self.neighbors_ = NeighborLabels(self.n_neighbors, n_jobs=self.n_jobs, verbose=self.verbose)
        local = self.neighbors_.fit_transform(X, labels, groups=groups)
        self.rule_ = AdaptiveThreshold().fit(held_out, labels, local=local)
        self.estimator_ = clone(self.estimator).fit(X, target)
        return self

    def decision_function(self, X):
        """Return z_l(x) − θ_l(x) in the base model's logits; positive means predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Margins; −inf for a pair that has neither a score nor a neighbour share.
        """
        X = self._checked(X)
        if self.estimator is None:
            return self.estimator_.decision_function(X)
        scores, local = self._signals(X)
        return self._squeeze(_filled(self.rule_.margins(scores, local=local), -np.inf))

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
        scores, local = self._signals(X)
        probability = _filled(self.rule_.predict_proba(scores, local=local), 0.0)
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
            Thresholds; inf for a pair that is not a candidate or a label that is never predicted.
        """
        X = self._checked(X)
        if self.estimator is None:
            return self.estimator_.thresholds(X)
        scores, local = self._signals(X)
        return self._squeeze(_filled(self.rule_.thresholds(scores, local=local), np.inf))

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
        scores, local = self._signals(X)
        return self._decode(sp.csr_array(self.rule_.predict(scores, local=local)))

    def _checked(self, X):
        """Check the features of rows to be predicted."""
        check_is_fitted(self, "estimator_")
        return validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)

    def _signals(self, X):
        """Return base scores and neighbour shares of new rows."""
        return base_scores(self.estimator_, X, n_labels=self.n_labels_), self.neighbors_.transform(X)

    def _out_of_fold_scores(self, X, target, groups):
        """Score every training row by a model that saw neither the row nor its group."""
        n_units = X.shape[0] if groups is None else len(np.unique(groups))
        if n_units < self.cv:
            what = "rows" if groups is None else "groups"
            raise ValueError(
                f"{n_units} {what} are fewer than cv={self.cv} folds; lower cv or give more {what}."
            )
        seed = check_random_state(self.random_state).randint(2**31)
        splitter = KFold if groups is None else GroupKFold
        splits = splitter(self.cv, shuffle=True, random_state=seed).split(X, groups=groups)
        parts, order = [], []
        for train, held_out in splits:
            model = clone(self.estimator).fit(X[train], target[train])
            parts.append(base_scores(model, X[held_out], n_labels=self.n_labels_))
            order.append(held_out)
        stacked = sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.vstack(parts)
        return stacked[np.argsort(np.concatenate(order))]


def base_scores(estimator, X, *, n_labels):
    """Return a fitted classifier's scores as probabilities.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Fitted on a label matrix.
    X : array-like or sparse of shape (n_samples, n_features)
        Features.
    n_labels : int
        Number of labels.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        ``top_scores`` where the estimator has it; else ``predict_proba``; else the logistic function of
        ``decision_function``.

    Raises
    ------
    TypeError
        If the estimator has none of the three.
    """
    if hasattr(estimator, "top_scores"):
        return estimator.top_scores(X)
    if hasattr(estimator, "predict_proba"):
        probability = estimator.predict_proba(X)
        if n_labels == 1:
            return _of_positive(probability, estimator.classes_)[:, None]
        if isinstance(probability, list):  # one array a label, as forests return
            columns = zip(probability, estimator.classes_, strict=True)
            probability = np.column_stack([_of_positive(p, classes) for p, classes in columns])
        return probability
    if hasattr(estimator, "decision_function"):
        return expit(np.asarray(estimator.decision_function(X)).reshape(X.shape[0], -1))
    raise TypeError(
        f"{type(estimator).__name__} has neither predict_proba nor decision_function, one of which the "
        "thresholds need."
    )


def _of_positive(probability, classes):
    """Return the column of class 1; where training rows held one class only, that class is certain."""
    if probability.shape[1] == 2:
        return probability[:, 1]
    return np.full(len(probability), float(classes[0] == 1))


def _filled(pairs, value):
    """Return a dense array with a value where no pair is stored."""
    dense = np.full(pairs.shape, value)
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    dense[rows, pairs.indices] = pairs.data
    return dense
