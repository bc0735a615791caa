"""Adaptive thresholds around any scikit-learn classifier."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from adathresh.models.function import ScoreFunction
from adathresh.models.prototypes import LabelPrototypes
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.posthoc.decision import Decision
from adathresh.posthoc.explanation import Explanation
from adathresh.posthoc.in_sample import in_sample_signs
from adathresh.posthoc.label_texts import LabelTextSignals
from adathresh.posthoc.threshold import AdaptiveThreshold, InSampleScoresWarning
from adathresh.saving import SaveMixin
from adathresh.signals.knn import NeighborLabels, group_codes
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.signals.label_text import LabelAffinity, check_label_features
from adathresh.utils.frames import is_data_frame
from adathresh.utils.label_names import (
    decode_label_names,
    encode_label_names,
    holds_label_names,
    identify_labels,
)
from adathresh.utils.labels import LabelSetMixin
from adathresh.utils.parameters import (
    check_parameters,
    check_value,
    job_count,
    one_of,
    parameters,
    seed,
    verbosity,
    whole,
)
from adathresh.utils.suggest import did_you_mean
from adathresh.utils.texts import (
    as_array,
    check_order,
    check_texts,
    holds_texts,
    learn_words,
    text_column,
    word_vectorizer,
)
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import (
    candidate_pairs,
    check_columns,
    check_features,
    check_scores,
    check_unmasked,
    like_input,
    narrow_indices,
    one_row,
)

# With fewer texts, the words that label prototypes are made of may be as rare, or as common, as can be.
_FEW_TEXTS = 100
# So few labels given by name go to base models as a dense matrix, which is what all of them take.
_FEW_LABELS = 100
_TEXTS_THROUGHOUT = "Where fit is given texts, every row and every label is a text."


class _Rows(NamedTuple):
    """Checked rows."""

    data: Any
    """Features, a data frame or texts, as the base models take them."""
    features: Any
    """Features, by which neighbours are found."""


class AdaptiveThresholdClassifier(SaveMixin, LabelSetMixin, ClassifierMixin, BaseEstimator):
    """Label sets by per-label, per-instance thresholds around any classifier.

    The estimator's scores are cross-fitted: out-of-fold scores of the training rows, and the labels of their
    neighbours in the other folds, fit an :class:`adathresh.AdaptiveThreshold`, and the estimator is fitted
    once more on all rows. (The paper's own method, a network trained together with its thresholds, is
    :class:`adathresh.AdaptiveThresholdNetwork`.)

    The order of the training rows decides which of them share a fold, unless there are groups, and which
    pairs stop the boosting; shuffled rows therefore change some of the predicted labels. Where each row has a
    name of its own, given as ``groups``, and the fusion is "linear", their order changes no more than
    rounding does, which base models may enlarge.

    X may hold texts, where the base models take texts, such as pipelines that begin with a vectoriser.
    Neighbours are then found by the words of the texts; a data frame with one column, of texts, counts as
    that column. Any other data frame goes to the base models as it is, so that they may select columns by
    name.

    A model that is trained already is given as ``sklearn.frozen.FrozenEstimator(model)``, a pipeline as a
    whole; a function that returns scores as :class:`adathresh.models.ScoreFunction`. It is not fitted again,
    and its scores of the rows of ``fit`` are taken as they are, so that these rows must be others than those
    that it was trained on. Where all models are frozen, nothing is trained and no row is scored by folds: a
    row's neighbours are all rows but itself and its group.

    Where Y is sparse, so is all that comes out: label sets, and the probabilities, margins and thresholds of
    the candidate pairs, since no other label can be predicted. Rows times labels then take memory in a base
    model at most.

    Y may hold names, one list of labels a row, or be a data frame with a column for each label:
    :meth:`predict_labels` returns names, :meth:`predict` a 0/1 matrix in any case. ``score``, and searches of
    scikit-learn such as ``GridSearchCV``, take no lists of names: give them the 0/1 matrix of a
    ``MultiLabelBinarizer``, and its ``classes_`` as ``label_names``.

    Parameters
    ----------
    estimator : scikit-learn classifier, or list of such
        Any classifier of label matrices with ``predict_proba`` or ``decision_function`` (or ``top_scores``,
        which returns sparse scores), or several, whose scores are fused; each may be frozen.
    rule : AdaptiveThreshold, optional
        The rule to be fitted, which holds the target; None: one for macro-F1. Its parameters can be set, and
        searched, by names such as ``rule__target``. Another target for a fitted classifier: :meth:`retarget`.
    cv : int, default=3
        Folds of the out-of-fold scores, at least 2. What names of labels say is learnt by folds, too.
    n_neighbors : int, default=30
        Number of neighbours of the local signal.
    neighbor_search : {"exact", "approximate"}, default="exact"
        How neighbours are found, as in :class:`NeighborLabels`.
    n_jobs : int, optional
        Threads of the neighbour search; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of the folds, and of a rule without a random state of its own.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    classes_ : numpy.ndarray
        The names of the labels, where they are known and tell all labels apart, else the label numbers; or
        the two classes of a binary target.
    n_labels_ : int
        Number of labels.
    estimator_ : estimator, or list of such
        The base model or models, fitted on all rows; frozen ones as they were given.
    rule_ : AdaptiveThreshold
        The fusion and the thresholds.
    neighbors_ : NeighborLabels
        The local signal.
    affinity_ : LabelAffinity or None
        Similarity of rows to the labels' texts; None where there are none.
    label_texts_ : LabelTextSignals or None
        All signals of names and synonyms, ``affinity_`` among them; None where X held features, or labels
        have no texts.
    label_names_ : tuple of str or None
        ``label_names``, or else the names in Y, or the columns of Y, where it was a data frame with names, or
        else the names in ``label_features``.
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer or None
        The words of texts, by which neighbours are found; None where X held features.
    n_features_in_ : int
        Number of features seen in ``fit``; not there where X held texts.
    feature_names_in_ : numpy.ndarray of str
        Columns of X, where it was a data frame with names.

    Raises
    ------
    ImportError
        In ``fit``, for an approximate search for neighbours without the package usearch.
    ValueError
        In ``fit``, for parameters of the rule, cv or n_neighbors out of range, NaN or infinity in X, columns
        that are no numbers, labels that are neither 0 and 1 nor lists of names, names that are not among the
        given ones, a multiclass target, X and Y of different length, label_features of another kind than X or
        for another number of labels, anything without an order, or fewer rows (or groups) than folds. All is
        checked before a base model is fitted.
    TypeError
        In ``fit``, if estimator is no classifier, or has no scores, or if rule is no AdaptiveThreshold.
    sklearn.exceptions.NotFittedError
        In ``fit``, if a frozen model was never fitted.

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

    _parameters = parameters(  # estimator and rule are of a type, cv has a word of its own
        n_neighbors=whole(1),
        neighbor_search=one_of("exact", "approximate"),
        n_jobs=job_count(),
        random_state=seed(),
        verbose=verbosity(),
    )

    # what a classifier has that was saved before rows of weight 0 were counted
    _n_given: int | None = None
    _kept_rows: np.ndarray | None = None

    def __init__(
        self,
        estimator: BaseEstimator | list[BaseEstimator],
        *,
        rule: AdaptiveThreshold | None = None,
        cv: int = 3,
        n_neighbors: int = 30,
        neighbor_search: Literal["exact", "approximate"] = "exact",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.estimator = estimator
        self.rule = rule
        self.cv = cv
        self.n_neighbors = n_neighbors
        self.neighbor_search = neighbor_search
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: MatrixLike,
        Y: MatrixLike,
        *,
        groups: npt.ArrayLike | None = None,
        label_features: MatrixLike | Sequence[str] | LabelKnowledge | None = None,
        label_names: Sequence[str] | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit base model, signals and thresholds.

        Parameters
        ----------
        X : array-like, sparse or data frame of shape (n_samples, n_features), or sequence of str
            Training features, or texts.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,), or lists of str
            Training labels, 0 or 1; or one binary target. Of a data frame, columns give names to labels. Or
            for each row a list, tuple or set of the names of its labels, an empty one where it has none; the
            labels are then those of ``label_names``, or else of the names in ``label_features``, or else all
            that occur, sorted.
        groups : array-like of shape (n_samples,), optional
            Rows of one group share a fold, and so are never each other's neighbours. They are passed on to
            base models whose ``fit`` takes ``groups``, such as :class:`adathresh.SelfTraining`.
        label_features : array-like or sparse of shape (n_labels, n_features), or names, optional
            What labels are called. Where X holds features: features of the labels' own texts, made by the
            vectoriser that made X. Where X holds texts: names, a sequence of str with one a label and ""
            where it is not known, or :class:`adathresh.LabelKnowledge`, which has synonyms, too. Names help
            rare labels, and keep labels possible that no training row carries.
        label_names : sequence of str, optional
            A name for each label, all different, which are only used to read Y and to return names. Needed
            where Y holds names and a base model is frozen: the names in the order of the columns of its
            scores.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, 0 or more, by which the rule counts it (:meth:`AdaptiveThreshold.fit`). It is
            passed on to base models whose ``fit`` takes ``sample_weight`` (or requests it, where metadata
            routing of scikit-learn is enabled); the others are fitted without. Folds, neighbours and what
            label texts say count each row once. A row of weight 0 is left out of everything. Not with a
            ``confidence`` of the rule.

        Returns
        -------
        AdaptiveThresholdClassifier
            The fitted classifier.

        Warns
        -----
        UserWarning
            If there are weights, and a base model is fitted without, as its ``fit`` takes none.
        InSampleScoresWarning
            If the scores of a frozen model are implausibly good for rows that it was not trained on. This
            takes 100 rows with labels, or 20 labels with one row each, and shows the worst cases only: that
            it does not warn proves nothing.

        Examples
        --------
        >>> from adathresh.models.prototypes import LabelPrototypes
        >>> names, texts = LabelKnowledge(["cats", "dogs"], synonyms=[[], ["hounds"]]), ["my cats", "my dogs"]
        >>> clf = AdaptiveThresholdClassifier(LabelPrototypes(min_df=1, max_df=1.0), random_state=0)
        >>> clf.fit(texts * 9, [[1, 0], [0, 1]] * 9, label_features=names).predict(["two dogs, hounds"])
        array([[0, 1]])
        """
        check_parameters(self)
        models, rule = self._models(), self._unfitted_rule()
        rows = self._checked(X, reset=True)
        n_samples = rows.features.shape[0]
        labels, names = self._encode_named(Y, n_samples, label_names, label_features, models)
        label_features = self._checked_label_features(label_features)
        if isinstance(label_features, LabelKnowledge):
            if names is None:
                names = label_features.names
            _check_same_order(names, label_features.names)
        rule._check_parameters(n_labels=self.n_labels_)
        weight = rule._checked_weight(sample_weight, n_samples)
        self._n_given, self._kept_rows = n_samples, None
        if weight is not None and not weight.all():
            kept = weight > 0
            self._kept_rows = np.flatnonzero(kept)
            rows = self._checked(_safe_indexing(rows.data, kept), reset=True)
            labels, weight = labels[kept], weight[kept]
            groups = None if groups is None else group_codes(groups, n_samples)[kept]
            n_samples = len(weight)
        if labels.nnz in (0, labels.shape[0] * labels.shape[1]):
            held = "every label in every row" if labels.nnz else "no label in any row"
            of_weight = "" if self._kept_rows is None else " of a weight above 0 (one class only)"
            raise ValueError(f"Y holds {held}{of_weight}; there is nothing to learn from it.")
        given = _fit_parameters(models, weight, None if groups is None else group_codes(groups, n_samples))
        self.label_names_ = names
        if self._container != "vector" and identify_labels(self.label_names_ or [""]):
            self.classes_ = np.array(self.label_names_, dtype=object)
        target = self._target(labels, dense=holds_label_names(Y) and self.n_labels_ <= _FEW_LABELS)
        rng = check_random_state(self.random_state)
        folds = draw_folds(n_samples, self.cv, groups=groups, random_state=rng.randint(2**31))
        all_frozen = all(map(_is_frozen, models))
        # Quick things first, so that what is wrong comes out before base models are fitted. Neighbours and
        # what label texts say come from the rows that the models of the other folds are fitted on. Where no
        # model is, neighbours may be all rows, but for the row itself and its group.
        self.neighbors_ = NeighborLabels(
            self.n_neighbors, search=self.neighbor_search, n_jobs=self.n_jobs, verbose=self.verbose
        )
        local = self.neighbors_.fit_transform(rows.features, labels, groups=groups if all_frozen else folds)
        affinity = self._fit_affinity(label_features, rows, labels, folds)
        held_out = self._held_out_scores(models, rows, target, labels, folds, given)
        if rule.random_state is None:
            rule.set_params(random_state=rng.randint(2**31))
        apart = None if all_frozen else folds
        # Frozen models have been judged; what was cross-fitted here is out of fold.
        rule._fit_fused(held_out, labels, local, affinity, None, apart, groups, weight, judged=False)
        rule._choose_thresholds()
        self.rule_ = rule
        fitted = [
            model if _is_frozen(model) else clone(model).fit(rows.data, _as_taken(model, target), **of_model)
            for model, of_model in zip(models, given, strict=True)
        ]
        self.estimator_ = fitted if isinstance(self.estimator, list | tuple) else fitted[0]
        return self

    def retarget(
        self, target: str, target_value: npt.ArrayLike | None = None, *, confidence: float | None = None
    ) -> Self:
        """Return a classifier for another target, in the time that choosing thresholds takes.

        Parameters
        ----------
        target : str
            The other target, as of :class:`adathresh.AdaptiveThreshold`.
        target_value : float or array-like of shape (n_labels,), optional
            Its value, where it takes one; under "cost" also one for each label.
        confidence : float, optional
            Of a guaranteed precision; only where the rule was fitted with one.

        Returns
        -------
        AdaptiveThresholdClassifier
            What ``fit`` would give with a rule for that target. It shares the base models and all signals
            with this one, which stays as it is.

        Raises
        ------
        ValueError
            If the target is unknown, its value or the confidence wrong, or the rule was fitted without one.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> X, Y = make_multilabel_classification(random_state=0)
        >>> clf = AdaptiveThresholdClassifier(KNeighborsClassifier(), random_state=0).fit(X, Y)
        >>> clf.retarget("budget", 1).predict(X).sum(axis=1).max(), clf.predict(X).sum(axis=1).max()
        (np.int64(1), np.int64(5))
        """
        check_is_fitted(self, "estimator_")
        other = copy.copy(self)
        other.rule_ = self.rule_.retarget(target, target_value, confidence=confidence)
        rule = AdaptiveThreshold() if self.rule is None else clone(self.rule)
        # what a clone is fitted with
        other.rule = rule.set_params(target=target, target_value=target_value, confidence=confidence)
        return other

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of the rule, such as ``rule__target``, also where it is None.

        Parameters
        ----------
        **params : dict
            Parameters by name.

        Returns
        -------
        AdaptiveThresholdClassifier
            This classifier.
        """
        if any(name.startswith("rule__") for name in params) and params.get("rule", self.rule) is None:
            params = {"rule": AdaptiveThreshold()} | {k: v for k, v in params.items() if k != "rule"}
        return super().set_params(**params)

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
            margins=self._of_pairs(found.margins, -np.inf),
            solve_thresholds=partial(self._thresholds_of, found),
        )

    def decision_function(self, X: MatrixLike) -> Matrix:
        """Return by how much each label exceeds its threshold; positive means predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Margins; −inf for a label that is never predicted, and for a pair without score, neighbour share
            and label text, which is not stored where Y was sparse. To order rows, as AUROC does, take
            ``predict_proba``: all −inf are alike, and scikit-learn's metrics refuse them.
        """
        scores, others = self._signals(self._checked(X))
        return self._of_pairs(self.rule_.margins(scores, **others), -np.inf)

    def predict_proba(self, X: MatrixLike) -> Matrix:
        """Return the probability of every label.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels), or (n_samples, 2) for a binary target
            Fused probabilities in [0, 1], sparse where Y was. Each label has its own threshold, so that
            "above 0.5" is not what ``predict`` does.
        """
        scores, others = self._signals(self._checked(X))
        return self._as_probabilities(self.rule_.predict_proba(scores, **others))

    def thresholds(self, X: MatrixLike) -> Matrix:
        """Return θ_l(x), in units of the base model's logit.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Thresholds of the (first) base model; −inf where the label is predicted at every score; inf for a
            label that is never predicted, and for a pair that is no candidate, which is not stored where Y
            was sparse.
        """
        scores, others = self._signals(self._checked(X))
        return self._of_pairs(self.rule_.thresholds(scores, **others), np.inf)

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

    def predict_labels(self, X: MatrixLike) -> list[list[str]]:
        """Return the names of each row's labels.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features), or sequence of str
            Features, or texts, as ``fit`` was given.

        Returns
        -------
        list of list of str
            For each row the names of the labels that ``predict`` gives it, in the order of ``classes_``.

        Raises
        ------
        ValueError
            If the labels have no names, or some have the same, or if ``fit`` was given one binary target.

        Examples
        --------
        >>> from adathresh.models import BagOfWords
        >>> texts, tags = ["a cat", "a dog", "cat, dog", "rain"], [["cat"], ["dog"], ["cat", "dog"], []]
        >>> clf = AdaptiveThresholdClassifier(BagOfWords(min_df=1), random_state=0)
        >>> clf.fit(texts * 9, tags * 9).predict_labels(["my cat", "dog and cat", "snow"])
        [['cat'], ['cat', 'dog'], []]
        """
        check_is_fitted(self, "estimator_")
        if self._container == "vector":
            raise ValueError("fit was given one binary target, whose classes predict() returns.")
        if not identify_labels(self.label_names_ or [""]):
            problem = "are not known" if self.label_names_ is None else "do not tell all labels apart"
            raise ValueError(
                f"The names of the labels {problem}; give fit label_names, or lists of names as Y. predict() "
                "returns labels by number."
            )
        scores, others = self._signals(self._checked(X))
        return decode_label_names(sp.csr_array(self.rule_.predict(scores, **others)), self.label_names_)

    def explain(self, x: MatrixLike, label: int | str) -> Explanation:
        """Split the decision about one label of one row into its terms.

        Parameters
        ----------
        x : array-like or sparse of shape (n_features,) or (1, n_features), or str
            One row.
        label : int or str
            Index of the label, or its name, where names are known (``label_names_``).

        Returns
        -------
        Explanation
            Base score, rarity, neighbours (the neighbours themselves, too), label text and threshold; the
            terms add up to the margin.

        Raises
        ------
        ValueError
            If x is not one row, or the label is unknown, out of range or no candidate of the row.
        """
        row = self._checked(_as_one_row(x), name="x")
        if row.features.shape[0] != 1:
            raise ValueError(f"explain takes one row; got {row.features.shape[0]} in x.")
        label = self._label_number(label)
        scores, others = self._signals(row)
        explanation = self.rule_.explain(scores, label, **others)
        neighbors = tuple(
            (self._as_given(near), weight, carries)
            for near, weight, carries in self.neighbors_.nearest(row.features, label)
        )
        name = None if self.label_names_ is None else self.label_names_[label]
        return replace(explanation, neighbors=neighbors, label_name=name)

    def _as_given(self, row):
        """Return the number that a row of ``neighbors_`` had when it was given to ``fit``."""
        return row if self._kept_rows is None else int(self._kept_rows[row])

    def _as_probabilities(self, pairs):
        """Return fused probabilities as scikit-learn shapes them for the target."""
        probability = self._of_pairs(pairs, 0.0)
        return np.c_[1 - probability, probability] if self._container == "vector" else probability

    def _thresholds_of(self, decision):
        """Return the thresholds of a decision of the rule."""
        return self._of_pairs(decision.thresholds, np.inf)

    def _of_pairs(self, pairs, elsewhere):
        """Return values of candidate pairs, sparse where Y was, else with one value for all other pairs."""
        if self._container == "matrix":
            return sp.csr_matrix(pairs)
        return pairs if self._container == "array" else self._squeeze(_filled(pairs, elsewhere))

    def _checked(self, X, *, name="X", reset=False):
        """Check rows, and turn texts into features; with ``reset`` as the training rows."""
        if not reset:
            check_is_fitted(self, "estimator_")
        check_order(X, name=name)
        check_unmasked(X, name=name)
        X = text_column(X)
        if reset:
            self.vectorizer_ = word_vectorizer() if holds_texts(X) else None
        if self.vectorizer_ is not None:
            texts = as_array(check_texts(X, name=name, advice=_TEXTS_THROUGHOUT))
            words = self.vectorizer_
            return _Rows(texts, _learned(words, texts, name) if reset else words.transform(texts))
        if holds_texts(X):
            raise ValueError(
                f"{name} holds texts, but fit was given features; give features of the same kind."
            )
        check_columns(X, name=name)
        features = narrow_indices(check_features(self, X, name=name, reset=reset))
        return _Rows(X if is_data_frame(X) else features, features)

    def _models(self):
        """Return the base models, not fitted."""
        models = self.estimator if isinstance(self.estimator, list | tuple) else [self.estimator]
        if not models or any(isinstance(model, type) or not hasattr(model, "fit") for model in models):
            raise TypeError(f"estimator must be a classifier, or a list of such; got {self.estimator!r}.")
        for model in filter(_is_frozen, models):
            check_is_fitted(model.estimator if isinstance(model, FrozenEstimator) else model)
        return models

    def _encode_named(self, Y, n_samples, label_names, label_features, models):
        """Return Y as a CSR label matrix, and the names of its columns, if Y or label_names gives any."""
        check_order(Y, name="Y")
        given = None if label_names is None else _checked_label_names(label_names)
        if holds_label_names(Y):
            source = "label_names" if given else "label_features"
            known = given or _names_among(label_features)
            if known is None and (label_features is not None or any(map(_is_frozen, models))):
                raise ValueError(
                    "Y holds names, but nothing says in which order the labels are elsewhere: in the scores "
                    "of frozen base models, or in label_features. Give label_names, all names in that order."
                )
            Y, given = encode_label_names(Y, known, source=source)
        columns = tuple(getattr(Y, "columns", ()))
        if columns and all(isinstance(column, str) for column in columns):
            if given is not None and given != columns and identify_labels(columns):
                raise ValueError("label_names must be the columns of Y, in their order; leave them out.")
            given = given or columns
        if columns and hasattr(Y, "sparse"):  # all columns are
            Y = Y.sparse.to_coo()
        labels = self._encode(Y, n_samples)
        if given is not None and len(given) != self.n_labels_:
            raise ValueError(f"label_names holds {len(given)} names but Y has {self.n_labels_} labels.")
        return labels, given

    def _target(self, labels, *, dense):
        """Return labels as base models take them."""
        if self.n_labels_ == 1:  # a binary target: classifiers then agree on what predict_proba returns
            return like_input(labels, "dense").ravel()
        return like_input(labels, "dense" if dense else self._container)

    def _held_out_scores(self, models, rows, target, labels, folds, given):
        """Return the scores of the training rows: of frozen models as they are, of others out of fold."""
        # those of frozen models first, since they may be wrong
        known = {
            number: self._frozen_scores(model, number, rows, labels)
            for number, model in enumerate(models)
            if _is_frozen(model)
        }
        options = {"n_labels": self.n_labels_, "verbose": self.verbose}
        return [
            known[number]
            if number in known
            else out_of_fold_scores(
                model, rows.data, _as_taken(model, target), folds, **given[number], **options
            )
            for number, model in enumerate(models)
        ]

    def _frozen_scores(self, model, number, rows, labels):
        """Return the scores of a frozen model, checked."""
        name = f"scores of base model {number}"
        scores = check_scores(
            base_scores(model, rows.data, n_labels=self.n_labels_),
            name=name,
            n_samples=labels.shape[0],
            n_labels=self.n_labels_,
            probabilities=True,
        )
        _warn_if_in_sample(scores, labels, name)
        return scores

    def _unfitted_rule(self):
        """Return a copy of the rule, or the rule for macro-F1, its parameters checked."""
        if self.rule is None:
            return AdaptiveThreshold()
        if not isinstance(self.rule, AdaptiveThreshold):
            raise TypeError(
                f"rule must be an AdaptiveThreshold, or None for macro-F1; got {self.rule!r}. The target is "
                "the rule's: rule=AdaptiveThreshold(target)."
            )
        self.rule._check_parameters()
        return clone(self.rule)

    def _checked_label_features(self, label_features):
        """Return knowledge of labels where X holds texts, features of labels where it holds features."""
        name = "label_features"
        if label_features is None:
            return None
        check_order(label_features, name=name)
        if self.vectorizer_ is not None:
            if not isinstance(label_features, LabelKnowledge):
                names = check_texts(text_column(label_features), name=name, advice=_TEXTS_THROUGHOUT)
                label_features = LabelKnowledge(names, allow_repeated_names=True)
            label_features.check_n_labels(self.n_labels_, name=name)
            return label_features
        return check_label_features(label_features, n_labels=self.n_labels_, n_features=self.n_features_in_)

    def _fit_affinity(self, label_features, rows, labels, folds):
        """Fit the signals of the labels' texts, if there are any, and return those of the training rows."""
        self.affinity_ = self.label_texts_ = None
        if label_features is None:
            return None
        if self.vectorizer_ is None:
            self.affinity_ = LabelAffinity(n_jobs=self.n_jobs).fit(label_features)
            return self._affinity(rows)
        every_word = {"min_df": 1, "max_df": 1.0} if len(rows.data) < _FEW_TEXTS else {}
        prototypes = LabelPrototypes(label_features, n_jobs=self.n_jobs, **every_word)
        self.label_texts_ = LabelTextSignals(
            label_features, prototypes, n_jobs=self.n_jobs, verbose=self.verbose
        )
        said = self.label_texts_.fit_transform(rows.data, labels, folds=folds)
        self.affinity_ = self.label_texts_.affinity_
        return said

    def _affinity(self, rows):
        """Return what the labels' texts say of new rows, or None."""
        if self.label_texts_ is not None:
            return self.label_texts_.transform(rows.data)
        return None if self.affinity_ is None else self.affinity_.transform(rows.features)

    def _label_number(self, label):
        """Return the index of a label that is given by index or by name."""
        if isinstance(label, Integral) and not isinstance(label, bool | np.bool_):
            check_value("label", label, whole(0, self.n_labels_ - 1))
            return int(label)
        if self.label_names_ is None:
            raise ValueError(
                f"label must be a whole number from 0 to {self.n_labels_ - 1}; got {label!r}. Names are "
                "known where fit is given label_names, or Y as a data frame or as lists of names."
            )
        found = [number for number, name in enumerate(self.label_names_) if name == label]
        if len(found) != 1:
            what = "No label is" if not found else f"Labels {found[0]} and {found[1]} are both"
            mend = did_you_mean(str(label), self.label_names_) if not found else " Give the number."
            raise ValueError(f"{what} named {label!r}.{mend}")
        return found[0]

    def _signals(self, rows):
        """Return base scores and all other signals of new rows."""
        fitted = self.estimator_ if isinstance(self.estimator_, list) else [self.estimator_]
        scores = [base_scores(model, rows.data, n_labels=self.n_labels_) for model in fitted]
        return scores, {"local": self.neighbors_.transform(rows.features), "affinity": self._affinity(rows)}


def _is_frozen(model: Any) -> bool:
    """Say whether a base model is trained already, and is not to be fitted."""
    return isinstance(model, FrozenEstimator | ScoreFunction)


def _fit_parameters(models, weight, groups):
    """Return what the fit of each base model is given beside rows and labels: weights and groups."""
    takes_groups = [
        groups is not None and not _is_frozen(model) and has_fit_parameter(model, "groups")
        for model in models
    ]
    return [
        weights | ({"groups": groups} if takes else {})
        for weights, takes in zip(_weights_of(models, weight), takes_groups, strict=True)
    ]


def _weights_of(models, weight):
    """Return what the fit of each base model is given of the weights; name those that take none."""
    if weight is None:
        return [{} for _ in models]
    trained = [model for model in models if not _is_frozen(model)]
    without = [type(model).__name__ for model in trained if not _takes_weights(model)]
    if without:
        warnings.warn(
            f"The fit of {' and '.join(without)} takes no sample_weight; only the rule counts rows by their "
            "weights. Base models that take weights, such as MultiOutputClassifier, are fitted with them.",
            stacklevel=4,
        )
    return [{} if _is_frozen(m) or not _takes_weights(m) else {"sample_weight": weight} for m in models]


def _takes_weights(model: Any) -> bool:
    """Say whether the fit of a base model takes weights of rows."""
    if has_fit_parameter(model, "sample_weight"):
        return True
    routed = get_config()["enable_metadata_routing"]
    return routed and bool(get_routing_for_object(model).consumes("fit", ["sample_weight"]))


def _warn_if_in_sample(scores, labels, name):
    """Warn if the scores of a frozen model know what only training rows can tell."""
    pairs = candidate_pairs(labels, scores)
    n_samples, n_labels = scores.shape
    rows = np.repeat(np.arange(n_samples), np.diff(scores.indptr) if sp.issparse(scores) else n_labels)
    signs = in_sample_signs(rows, pairs.labels, pairs.scores, pairs.truth, labels)
    if signs.what is not None:
        warnings.warn(
            f"The {name} look like those of rows that it was trained on ({signs.what}). Give fit rows that "
            "no frozen model was trained on.",
            InSampleScoresWarning,
            stacklevel=5,
        )


def _checked_label_names(label_names: Any) -> tuple[str, ...]:
    """Return names of all labels, each its own."""
    advice = "Leave it out where labels have no names."
    names = tuple(map(str, check_texts(label_names, name="label_names", advice=advice)))
    if not identify_labels(names):
        raise ValueError("label_names must be different from each other, and none blank.")
    return names


def _check_same_order(names: Sequence[str], others: Sequence[str]) -> None:
    """Refuse knowledge of labels that are columns of Y, too, in another order."""
    column = {name: number for number, name in enumerate(names) if name.strip()}
    for number, other in enumerate(others):
        if column.get(other, number) != number and names[number] != other:
            raise ValueError(
                f"label_features must have the labels in the order of Y: its label {number} is {other!r}, "
                f"which is column {column[other]} of Y, and column {number} is {names[number]!r}."
            )


def _learned(words: Any, texts: Any, name: str) -> Any:
    """Return the words of the training texts, by which neighbours are found."""
    try:
        return learn_words(words, texts)
    except ValueError as error:  # scikit-learn's word for it is an empty vocabulary
        raise ValueError(
            f"{name} holds no word of two letters or more, by which the neighbours of a text are found; give "
            "features in place of texts."
        ) from error


def _names_among(label_features: Any) -> Sequence[str] | None:
    """Return the names of labels in what may also be their features."""
    if isinstance(label_features, LabelKnowledge):
        return label_features.names
    if label_features is None or not holds_texts(text_column(label_features)):
        return None
    return check_texts(text_column(label_features), name="label_features", advice=_TEXTS_THROUGHOUT)


def _as_taken(model, target):
    """Return a binary target as a column for a model that takes nothing but matrices of labels."""
    if target.ndim > 1 or not hasattr(model, "__sklearn_tags__"):
        return target
    return target if get_tags(model).target_tags.single_output else target[:, None]


def _as_one_row(x: Any) -> Any:
    """Return a row with two dimensions, or a text as a sequence of one."""
    if isinstance(x, str):
        return [x]
    if holds_texts(x):
        return x
    if hasattr(x, "iloc"):
        return x.to_frame().T if x.ndim == 1 else x
    return one_row(x)


def _filled(pairs, value):
    """Return a dense array with a value where no pair is stored."""
    dense = np.full(pairs.shape, value)
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    dense[rows, pairs.indices] = pairs.data
    return dense
