"""Self-training: rows without labels get those that the recommended rule is sure of, and train the model."""

import warnings
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from adathresh.datasets.splits import iterative_split
from adathresh.models._base import TopScoresClassifier
from adathresh.posthoc.crossfit import base_scores, silent_on_constant_labels
from adathresh.posthoc.threshold import AdaptiveThreshold, NoGuaranteeWarning
from adathresh.signals.knn import NeighborLabels, group_codes
from adathresh.signals.label_text import LabelAffinity, check_label_features
from adathresh.utils.parameters import (
    check_parameters,
    estimator_with,
    number,
    one_of,
    parameters,
    seed,
    whole,
)
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_features, like_input, narrow_indices


class NoPseudoLabelsWarning(UserWarning):
    """No row without labels has got one.

    Examples
    --------
    >>> issubclass(NoPseudoLabelsWarning, UserWarning)
    True
    """


class _Rows(NamedTuple):
    """Checked rows."""

    X: Any
    """Features of the labelled rows."""
    labels: sp.csr_array
    """Their labels."""
    groups: np.ndarray | None
    """Their groups."""
    label_features: Any
    """Features of the labels' texts, or None."""
    unlabeled: Any
    """Features of the rows without labels."""


class SelfTraining(TopScoresClassifier):
    """A base model that also learns from rows without labels, by labels that it is sure of itself.

    In each round a rule looks at a part of the labelled rows that its model has not seen, fuses the model's
    scores with neighbours and what the labels' texts say, and labels the rows without labels where it is sure
    enough; these pseudo-labels then train the next model together with the labelled rows. The label texts
    are the same in every round, while the model learns: a frozen prior beside a learnable head, as in
    microCLIP (arXiv:2510.02270). By default a label is sure where a precision of 0.9 is guaranteed with a
    confidence of 0.9, for rows that are drawn like the labelled ones. That is a promise of the first round:
    later models have been trained with pseudo-labels that the same rows let through.

    A row joins the training rows where one of its labels is sure. Its other labels are then guessed, as those
    with the best micro-F1, since most rows have more labels than what is sure, and a label that is missing is
    a wrong example.

    It is a base model like any other: ``AdaptiveThresholdClassifier(SelfTraining(model, unlabeled))`` scores
    the labelled rows out of fold, so that no pseudo-label knows the labels of the rows that its scores are
    judged by.

    Parameters
    ----------
    estimator : scikit-learn classifier
        The model, as :class:`AdaptiveThresholdClassifier` takes it.
    unlabeled : array-like or sparse of shape (n_unlabeled, n_features)
        Features of rows without labels, at least one.
    label_features : array-like or sparse of shape (n_labels, n_features), optional
        Features of the labels' own texts, made by the vectoriser that made X.
    rule : AdaptiveThreshold, optional
        Which labels are sure; None: ``AdaptiveThreshold("precision", target_value=0.9, confidence=0.9)``.
    others : {"guessed", "absent"}, default="guessed"
        What becomes of all labels of a row that are not sure, where one is.
    n_rounds : int, default=2
        How often rows are labelled, at least 0. Rounds end sooner where no row gets a label, or all get
        those that they have.
    held_out : float, default=1/3
        Share of the labelled rows that the rule is fitted on, and its model is not, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Of that part, and of a rule without a random state of its own.

    Attributes
    ----------
    estimator_ : estimator
        The last model, fitted on all labelled rows and those with pseudo-labels.
    stages_ : list of estimators
        The models of all rounds; the first has seen labelled rows only, the last is ``estimator_``.
    sure_labels_ : list of scipy.sparse.csr_array of shape (n_unlabeled, n_labels)
        What each round is sure of.
    pseudo_labels_ : list of scipy.sparse.csr_array of shape (n_unlabeled, n_labels)
        What each round has given to the rows without labels: the sure labels, and those that are guessed.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range, NaN or infinity, unlabelled rows of another number of
        features, or labelled rows that are too few to hold some out.
    TypeError
        In ``fit``, if rule is no AdaptiveThreshold.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> X, Y = make_multilabel_classification(2000, n_classes=3, random_state=0)
    >>> model = SelfTraining(OneVsRestClassifier(LogisticRegression()), X[800:], random_state=0)
    >>> model.fit(X[:800], Y[:800]).sure_labels_[0].nnz > 500
    True
    """

    _parameters = parameters(  # unlabeled and label_features are checked as rows, rule by its type
        estimator=estimator_with("fit"),
        others=one_of("guessed", "absent"),
        n_rounds=whole(0),
        held_out=number(above=0, below=1),
        random_state=seed(),
    )

    def __init__(
        self,
        estimator: BaseEstimator,
        unlabeled: MatrixLike,
        *,
        label_features: MatrixLike | None = None,
        rule: AdaptiveThreshold | None = None,
        others: Literal["guessed", "absent"] = "guessed",
        n_rounds: int = 2,
        held_out: float = 1 / 3,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.unlabeled = unlabeled
        self.label_features = label_features
        self.rule = rule
        self.others = others
        self.n_rounds = n_rounds
        self.held_out = held_out
        self.random_state = random_state

    def fit(self, X: MatrixLike, Y: MatrixLike, *, groups: npt.ArrayLike | None = None) -> Self:
        """Train a model, label the rows without labels by it, and train the next one with them.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features of the labelled rows.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Labels, 0 or 1; or one binary target.
        groups : array-like of shape (n_samples,), optional
            Rows of one group are held out together, and count as one row where a precision is guaranteed.

        Returns
        -------
        SelfTraining
            The fitted model.

        Raises
        ------
        ValueError
            For parameters outside their range, NaN or infinity, labels that are not 0/1, unlabelled rows of
            another number of features, or labelled rows that are too few to hold some out.

        Warns
        -----
        NoPseudoLabelsWarning
            If no row without labels gets one, as none can be given with the wanted precision: the model is
            then that of the labelled rows.

        Examples
        --------
        >>> from adathresh.models import LinearOneVsRest
        >>> X = np.repeat([[1.0, 0.0], [0.0, 1.0]], 200, axis=0)
        >>> model = SelfTraining(LinearOneVsRest(), X[::9], random_state=0).fit(X[::2], X[::2])
        >>> model.pseudo_labels_[0].sum(axis=0).tolist()
        [23.0, 22.0]
        """
        check_parameters(self)
        X = narrow_indices(check_features(self, X))
        labels = self._encode(Y, X.shape[0])
        unlabeled = narrow_indices(check_features(self, self.unlabeled, name="unlabeled", reset=False))
        if sp.issparse(X) != sp.issparse(unlabeled):
            X, unlabeled = sp.csr_array(X), sp.csr_array(unlabeled)
        if self.label_features is None:
            label_features = None
        else:
            sizes = {"n_labels": self.n_labels_, "n_features": self.n_features_in_}
            label_features = check_label_features(self.label_features, **sizes)
        groups = None if groups is None else group_codes(groups, X.shape[0])
        rows = _Rows(X, labels, groups, label_features, unlabeled)
        rng = check_random_state(self.random_state)
        rule = self._unfitted_rule(rng)
        seen, held = self._parts(rows, seed=rng.randint(2**31))
        judge = _Judge(rows, held)
        self.stages_ = [self._trained(rows, slice(None))]
        self.sure_labels_: list[sp.csr_array] = []
        self.pseudo_labels_: list[sp.csr_array] = []
        for _ in range(self.n_rounds):
            known = self.pseudo_labels_[-1:]
            sure, given = self._labelled(judge, self._trained(rows, seen, *known), rule)
            if not given.nnz or (known and not (given != known[0]).nnz):
                break
            self.sure_labels_.append(sure)
            self.pseudo_labels_.append(given)
            self.stages_.append(self._trained(rows, slice(None), given))
        self.estimator_ = self.stages_[-1]
        if self.n_rounds and not self.pseudo_labels_:
            warnings.warn(
                f"None of {unlabeled.shape[0]} rows without labels has got one: the {len(held)} rows held "
                "out let the rule be sure of none. Give more labelled rows, or another rule.",
                NoPseudoLabelsWarning,
                stacklevel=2,
            )
        return self

    def _scores(self, X, k):
        """Return the last model's scores."""
        return base_scores(self.estimator_, X, n_labels=self.n_labels_)

    def _unfitted_rule(self, rng):
        """Return a copy of the rule that chooses pseudo-labels."""
        if self.rule is None:
            rule = AdaptiveThreshold("precision", target_value=0.9, confidence=0.9)
        elif isinstance(self.rule, AdaptiveThreshold):
            rule = clone(self.rule)
        else:
            raise TypeError(f"rule must be an AdaptiveThreshold, or None; got {self.rule!r}.")
        rule._check_parameters(n_labels=self.n_labels_)
        return rule if rule.random_state is not None else rule.set_params(random_state=rng.randint(2**31))

    def _parts(self, rows, *, seed):
        """Return the rows that the model of a round sees, and those held out."""
        shares = 1 - self.held_out, self.held_out
        try:
            return iterative_split(rows.labels, shares, groups=rows.groups, random_state=seed)
        except ValueError as error:
            what = "rows" if rows.groups is None else "groups"
            raise ValueError(
                f"held_out={self.held_out} of the labelled {what} leaves none for one of both parts; give "
                f"more {what}. {error}"
            ) from error

    def _trained(self, rows, some, pseudo_labels=None):
        """Fit a copy of the estimator on some labelled rows and on those with pseudo-labels."""
        X, labels = rows.X[some], rows.labels[some]
        if pseudo_labels is not None:
            given = np.flatnonzero(np.diff(pseudo_labels.indptr))
            stack = sp.vstack if sp.issparse(X) else np.concatenate
            X = narrow_indices(stack([X, rows.unlabeled[given]]))
            labels = sp.csr_array(sp.vstack([labels, pseudo_labels[given]]))
        vector = self._container == "vector"
        target = labels.toarray().ravel() if vector else like_input(labels, self._container)
        with silent_on_constant_labels():  # a part of few rows has many such labels
            return clone(self.estimator).fit(X, target)

    def _labelled(self, judge, model, rule):
        """Return which labels of the unlabelled rows are sure, and which these rows are given."""
        scores = judge.scores(model)
        sure = judge.predicted(rule, scores)
        if self.others == "absent" or not sure.nnz:
            return sure, sure
        joins = sp.diags_array((np.diff(sure.indptr) > 0).astype(np.float32))
        guess = AdaptiveThreshold("micro_f1", random_state=rule.random_state)
        guessed = joins @ judge.predicted(guess, scores)
        return sure, sp.csr_array((sure + guessed) > 0, dtype=np.float32)


class _Judge:
    """Fits rules on the rows held out, and labels those without labels.

    Neighbours and what the labels' texts say do not change from round to round.
    """

    def __init__(self, rows, held):
        self.features = rows.X[held], rows.unlabeled
        self.labels, self.groups = rows.labels[held], None if rows.groups is None else rows.groups[held]
        neighbors = NeighborLabels()
        at_held = neighbors.fit_transform(self.features[0], self.labels, groups=self.groups)
        self.local = at_held, neighbors.transform(rows.unlabeled)
        self.affinity: tuple = None, None
        if rows.label_features is not None:
            affinity = LabelAffinity().fit(rows.label_features)
            self.affinity = tuple(affinity.transform(features) for features in self.features)

    def scores(self, model):
        """Return a model's scores of the rows held out, and of the others."""
        return [base_scores(model, features, n_labels=self.labels.shape[1]) for features in self.features]

    def predicted(self, rule, scores):
        """Fit a rule on the rows held out, and return its labels of the others."""
        held, others = (
            {"scores": of_model, "local": local, "affinity": affinity}
            for of_model, local, affinity in zip(scores, self.local, self.affinity, strict=True)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoGuaranteeWarning)  # that nothing is sure is told once
            rule.fit(**held, Y=self.labels, groups=self.groups)
        return sp.csr_array(rule.predict(**others), dtype=np.float32)
