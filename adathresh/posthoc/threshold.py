"""Adaptive thresholds for any model's held-out scores: score, rarity, neighbours and texts fused."""

import copy
import warnings
from collections.abc import Sequence
from functools import cache, partial
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from adathresh.posthoc.candidates import LOWEST_LOGIT, gather_pairs, score_matrices
from adathresh.posthoc.decision import Decision
from adathresh.posthoc.explanation import Explanation, shapley_value
from adathresh.posthoc.fusion import AverageFusion, BoostedFusion, LabelEffects, LinearFusion
from adathresh.posthoc.guarantee import (
    HeldRows,
    guaranteed_label_thresholds,
    guaranteed_threshold,
    least_predicted,
)
from adathresh.posthoc.in_sample import in_sample_signs
from adathresh.posthoc.targets import check_target, label_thresholds, uncovered_share
from adathresh.saving import SaveMixin
from adathresh.signals.idf import LabelIDF, frequency_octaves
from adathresh.signals.knn import group_codes
from adathresh.utils.parameters import (
    check_parameters,
    check_value,
    either,
    flag,
    number,
    one_of,
    optional,
    parameters,
    seed,
    sequence_of,
    whole,
)
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import (
    are_among,
    check_labels,
    check_sample_weight,
    container_of,
    like_input,
    row_major_positions,
    with_pairs,
)

_FUSIONS = {"auto": AverageFusion, "boosted": BoostedFusion, "linear": LinearFusion}
# Pairs that the pooled model is fitted on; beyond that, negatives are drawn and weighted.
_MAX_PAIRS = 400_000
# With fewer true or false pairs than this "auto" does without trees.
_FEW_PAIRS = 150
# A pair without a score counts as one at this quantile of the scored pairs; lower ones are raised to it. Far
# below all scores it would bend the linear fusion, wherever neighbours or texts bring in pairs of their own.
_LOWEST_QUANTILE = 0.01
# Where candidates hold fewer of the positives, most of what can be had is lost before any threshold.
_LOW_COVERAGE = 0.4
# Fused logits that are no further apart are taken for equal under a budget.
_TIE = 1e-9
# So many labels must be about as frequent before the rarity in the other folds tells nothing of a single one.
_MANY_ALIKE = 50
# Share of the rows, or groups, that a guarantee keeps from the fusion.
_HELD_SHARE = 1 / 2


class InSampleScoresWarning(UserWarning):
    """Scores given to ``fit`` look like those of rows that the base model was trained on.

    Examples
    --------
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", InSampleScoresWarning)  # so that such scores are refused
    """


class LowCoverageWarning(UserWarning):
    """The candidate pairs given to ``fit`` hold fewer than two fifths of the true pairs.

    Examples
    --------
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", LowCoverageWarning)  # if no more scores can be had
    """


class NoGuaranteeWarning(UserWarning):
    """No threshold guarantees the precision, of all labels together or of some; these are not predicted.

    Examples
    --------
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", NoGuaranteeWarning)  # so that fit stops instead
    """


class AdaptiveThreshold(SaveMixin, BaseEstimator):
    """Per-label, per-instance thresholds fitted on held-out scores.

    One pooled model over candidate pairs (x, l) fuses the base model's logit z_l(x), the label's rarity
    IDF_l, its share k_l(x) among the nearest training rows and, where given, the similarity of row and label
    text, to a fused logit g_l(x). A label's own correction, shrunk the more the rarer the label, calibrates
    it. Label l is predicted where σ(g_l(x)) exceeds the threshold that is best for the target in expectation;
    for macro-F1 alone this is half of the greatest expected F1 (F*/2: Lipton et al. 2014, arXiv:1402.1892),
    with the expectation taken over as many rows as F1 will be measured on. Because g never falls as the score
    rises, the rule is z_l(x) > θ_l(x), with a threshold for every label and instance as in arXiv:2505.03118.

    Because model and thresholds are pooled, a rare label borrows from all labels of its rarity and is never
    fitted on its own few positives.

    The scores of ``fit`` must be held out: of rows that the base model was not trained on.

    Parameters
    ----------
    target : str, default="macro_f1"
        What the label sets are to be good for: "macro_f1", "micro_f1", "macro_micro_f1", a given "precision"
        over all predicted pairs or "label_precision" in every label, at most a given "budget" of labels a
        row, or the least "cost". Under "macro_f1", micro-F1 counts one fifth: the last little of macro-F1
        would cost much of it. A precision without ``confidence`` is what the fused probabilities let expect,
        not a guarantee: on new rows it is often less, as the quickstart notebook measures.
    target_value : float or array-like of shape (n_labels,), optional
        The weight of micro-F1 beside macro-F1 under "macro_micro_f1" (default 1; 0 is macro-F1 alone), the
        precision, the number of labels a row, or the cost c of a false positive in units of that of a false
        negative: one number, or one for each label, in the order of Y's columns. The threshold is c / (1 + c)
        (Elkan 2001, "The foundations of cost-sensitive learning").
    confidence : float, optional
        For a guaranteed precision, in (0, 1): with at least this probability over the draw of the fitted
        rows, the right labels expected of a new row are at least ``target_value`` times the predicted ones.
        For the test half of the rows, or groups, drawn at random, are kept from the fusion. Under
        "label_precision" this holds for each label alone: up to (1 − confidence) · n_labels labels are to be
        expected that fall short. Where nothing is guaranteed, nothing is predicted. New rows must be drawn
        like the fitted ones and be scored by the same model. Where base models are cross-fitted and then
        fitted once more on all rows, as :class:`adathresh.AdaptiveThresholdClassifier` does with those that
        are not frozen, new scores are others, mostly better ones, and the guarantee is approximate.
    fusion : {"auto", "boosted", "linear"}, default="auto"
        The pooled model: gradient boosting that rises in every signal, or logistic regression, whose
        ``coef_`` can be read; "auto" is their weighted mean, where there are pairs enough for trees
        (``adathresh.posthoc.fusion.AverageFusion``).
    evaluation_rows : int, optional
        Number of rows over which macro-F1 will be taken; None: as many as are fitted, or the sum of their
        weights. The fewer rows, the fewer positives of a rare label, and the lower its best threshold.
    transductive : bool, default=False
        Whether ``predict`` chooses the thresholds anew for the rows that it is given, as one batch.
    random_state : int, RandomState instance or None, default=None
        Of the pairs that are drawn where there are very many, and of the rows that stop and weigh the trees.

    Attributes
    ----------
    fusion_ : AverageFusion, BoostedFusion or LinearFusion
        The pooled model.
    effects_ : LabelEffects
        Each label's own correction.
    label_thresholds_ : numpy.ndarray of shape (n_labels,)
        Threshold of each label on the fused probability; ``inf``: never predicted; NaN under a budget.
    fitted_probabilities_ : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Fused probabilities of the candidate pairs of the fitted rows, from which thresholds are chosen;
        without the rows that ``confidence`` keeps from the fusion, and those of weight 0.
    guaranteed_ : bool, numpy.ndarray of bool of shape (n_labels,), or None
        Whether the precision is guaranteed, under "label_precision" for each label; None without
        ``confidence``.
    row_limit_ : int or None
        Under a guaranteed "precision", how many labels a row gets at most, its most probable ones: the wrong
        labels of rows that could get any number would have no bound. It is as high as 99 % of the labels
        predicted for the fitted rows need.
    coverage_ : float
        Share of the fitted rows' true pairs that are candidates: no threshold can predict the others.
    idf_ : LabelIDF
        The global signal. Where rows have weights, it counts these, but for rows given as ``Y_train``.
    impossible_ : numpy.ndarray of int
        Labels that no training row carries and that have no label text: never predicted.
    n_labels_ : int
        Number of labels.

    Raises
    ------
    ValueError
        In the methods that take new rows, if the scores or signals are no probabilities, are of another shape
        or number than in ``fit``, or are missing, or if a parameter was changed after ``fit``. A kind of
        signal that ``fit`` did not have is not looked at.
    sklearn.exceptions.NotFittedError
        In all methods but ``fit``, before it.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> _, Y = make_multilabel_classification(n_samples=200, random_state=0)
    >>> scores = np.random.default_rng(0).normal(0.3 + 0.4 * Y, 0.1).clip(0, 1)
    >>> float((AdaptiveThreshold(random_state=0).fit(scores, Y).predict(scores) == Y).mean().round(1))
    1.0
    """

    _parameters = parameters(  # check_target checks the target, and its value more closely
        target_value=optional(
            either(number(finite=False), sequence_of(number(finite=False), plural="numbers"))
        ),
        confidence=optional(number(above=0, below=1)),
        fusion=one_of(*_FUSIONS),
        evaluation_rows=optional(whole(1)),
        transductive=flag(),
        random_state=seed(),
    )

    # what a rule has that was saved before there were guarantees
    guaranteed_: bool | np.ndarray | None = None
    row_limit_: int | None = None
    _held_rows: tuple | None = None
    # and what one has that was fitted without
    _row_weight: np.ndarray | None = None

    def __init__(
        self,
        target: str = "macro_f1",
        *,
        target_value: npt.ArrayLike | None = None,
        confidence: float | None = None,
        fusion: Literal["auto", "boosted", "linear"] = "auto",
        evaluation_rows: int | None = None,
        transductive: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.target = target
        self.target_value = target_value
        self.confidence = confidence
        self.fusion = fusion
        self.evaluation_rows = evaluation_rows
        self.transductive = transductive
        self.random_state = random_state

    def fit(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        Y: MatrixLike,
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
        Y_train: MatrixLike | None = None,
        folds: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit the fusion and the thresholds on held-out rows.

        Parameters
        ----------
        scores : matrix of shape (n_samples, n_labels), or list of such
            Held-out probabilities in [0, 1] of one base model, or of several. In CSR an absent pair counts as
            below every stored score.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Labels of the same rows, 0 or 1.
        local : sparse of shape (n_samples, n_labels), or list of such, optional
            Neighbour shares of the same rows, each row left out of its own neighbours
            (``NeighborLabels.fit_transform``). For cross-fitted scores give that method the folds as groups:
            neighbours then come from the rows that the model was trained on.
        affinity : sparse of shape (n_samples, n_labels), or list of such, optional
            What label texts say of the rows, in [0, 1]: similarities (``LabelAffinity.transform``),
            out-of-fold precision of mentions (``LabelMentions.fit_transform``).
        Y_train : array-like or sparse of shape (n_training_samples, n_labels), optional
            Labels of the rows that the base model was trained on, where these are others than the fitted
            ones. They tell how rare each label was for the model.
        folds : array-like of int, shape (n_samples,), optional
            For cross-fitted scores: fold of each row, scored by a model trained on all other folds. A label's
            rarity is then what that model saw, if 50 labels or more are about as frequent.
        groups : array-like of shape (n_samples,), optional
            Rows of one group depend on each other: those that stop the boosting, and those that a guarantee
            is tested on, are whole groups. Under ``confidence`` a group counts as one row, by the mean over
            its rows.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, 0 or more: a row of weight 2 counts as two rows alike, one of weight 0 as
            none. Only trees still count pairs in their smallest leaves and their steps; the rows that stop
            them, and more than 400,000 pairs, are drawn whatever they weigh; and a threshold for F1 may part
            two rows alike. Not with ``confidence``.

        Returns
        -------
        AdaptiveThreshold
            The fitted rule.

        Raises
        ------
        ValueError
            If the scores are not finite probabilities, Y is not 0/1, the shapes differ, a parameter is out of
            range, weights are negative, not finite, all 0 or given with ``confidence``, or the candidate
            pairs hold only positives or only negatives.

        Warns
        -----
        InSampleScoresWarning
            If the scores are implausibly good for rows that the base model has not seen.
        LowCoverageWarning
            If the candidate pairs hold fewer than two fifths of the true ones.
        NoGuaranteeWarning
            If no threshold guarantees the precision, of all labels together or of some.
        """
        self._check_parameters()
        self._fit_fused(
            scores, Y, local, affinity, Y_train, folds, groups, sample_weight, judged=Y_train is None
        )
        self._choose_thresholds()
        return self

    def retarget(
        self,
        target: str,
        target_value: npt.ArrayLike | None = None,
        *,
        confidence: float | None = None,
        evaluation_rows: int | None = None,
    ) -> Self:
        """Return a rule for another target, in the time that choosing thresholds takes.

        Parameters
        ----------
        target : str
            The other target.
        target_value : float or array-like of shape (n_labels,), optional
            Its value, where it takes one, as in the class.
        confidence : float, optional
            As in the class. Only a rule that was fitted with a confidence has rows that its fusion has not
            seen. Of several guarantees that one rule gives, each holds alone.
        evaluation_rows : int, optional
            As in the class; None: as this rule has it.

        Returns
        -------
        AdaptiveThreshold
            What ``fit`` would give for that target, with the same weights and the same rows kept from the
            fusion, if any; it shares the fusion with this one, which stays as it is.

        Raises
        ------
        ValueError
            If the target is unknown, its value or the confidence wrong, or the rule has no rows kept from the
            fusion or was saved without what this needs.

        Examples
        --------
        >>> rule = AdaptiveThreshold().fit([[0.9], [0.7], [0.4], [0.1]], [[1], [1], [0], [0]])
        >>> rule.retarget("cost", 4).label_thresholds_
        array([0.8])
        """
        self._check_probabilities()
        if confidence is not None and self._held_rows is None:
            raise ValueError(
                "This rule was fitted without confidence, so that no rows were kept from the fusion, which a "
                "guarantee needs. Fit again with confidence."
            )
        other = copy.copy(self).set_params(target=target, target_value=target_value, confidence=confidence)
        if evaluation_rows is not None:
            other.set_params(evaluation_rows=evaluation_rows)
        other._check_parameters(n_labels=self.n_labels_)
        other._choose_thresholds()
        return other

    def threshold_intervals(
        self,
        *,
        confidence: float = 0.9,
        n_draws: int = 200,
        random_state: int | np.random.RandomState | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds of each label's threshold, by resampling the fitted rows.

        The fitted rows are drawn anew, with replacement, and the thresholds chosen from their fused
        probabilities; the bounds are percentiles of what comes out (Efron and Tibshirani 1993, ch. 13).

        They cover what depends on which rows the thresholds were chosen from. They do not cover how far the
        probabilities may be off: fusion, corrections of the labels and the share of positives that are no
        candidates stay as they are, which matters most where a label has few positives. Nor do they cover
        another training of the base model, or new rows that are unlike the fitted ones. Rows that depend on
        each other, such as those of one group, make them too narrow.

        Parameters
        ----------
        confidence : float, default=0.9
            Share of the draws whose thresholds lie within the bounds, in (0, 1).
        n_draws : int, default=200
            Number of draws, at least 1.
        random_state : int, RandomState instance or None, default=None
            Of the draws.

        Returns
        -------
        lower, upper : numpy.ndarray of shape (n_labels,)
            Bounds of ``label_thresholds_``; ``inf``: never predicted. Under "cost" both are the threshold,
            which depends on no row.

        Raises
        ------
        ValueError
            If a parameter is out of range, the target is "budget", whose labels have no thresholds, or the
            rule was fitted with a confidence, or saved without what this needs.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> _, Y = make_multilabel_classification(n_samples=200, random_state=0)
        >>> scores = np.random.default_rng(0).normal(0.3 + 0.2 * Y, 0.2).clip(0, 1)
        >>> rule = AdaptiveThreshold(fusion="linear").fit(scores, Y)
        >>> lower, upper = rule.threshold_intervals(random_state=0)
        >>> bool(((lower < rule.label_thresholds_) & (rule.label_thresholds_ < upper)).all())
        True
        """
        self._check_probabilities()
        self._refuse_changed_aim()
        check_value("confidence", confidence, number(above=0, below=1))
        check_value("n_draws", n_draws, whole(1))
        check_value("random_state", random_state, seed())
        if self.target == "budget":
            raise ValueError("Under a budget labels have no thresholds, and so no intervals of them.")
        if self.confidence is not None:
            raise ValueError(
                "Guaranteed thresholds are chosen by tests on rows kept from the fusion, not from the fitted "
                "ones; retarget() without confidence gives a rule that has intervals."
            )
        rng, n_rows = check_random_state(random_state), self.fitted_probabilities_.shape[0]
        weight = np.ones(n_rows) if self._row_weight is None else self._row_weight
        drawn = np.empty((n_draws, self.n_labels_))
        for thresholds in drawn:
            times = np.bincount(rng.randint(n_rows, size=n_rows), minlength=n_rows)
            thresholds[:] = self._best_fitted_thresholds(weight * times)
        outside = (1 - confidence) / 2  # on either side; inf allows no interpolation
        lower = np.quantile(drawn, outside, axis=0, method="lower")
        return lower, np.quantile(drawn, 1 - outside, axis=0, method="higher")

    def decide(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
    ) -> Decision:
        """Return label sets, probabilities, margins and thresholds, from one pass over the pairs.

        Parameters
        ----------
        scores : matrix of shape (n_samples, n_labels), or list of such
            Probabilities in [0, 1], as in ``fit``.
        local, affinity : sparse of shape (n_samples, n_labels), or lists of such, optional
            The other signals; required where ``fit`` had them.

        Returns
        -------
        Decision
            What ``predict``, ``predict_proba``, ``margins`` and ``thresholds`` return, the last when it is
            first read.
        """
        pairs = self._checked_pairs(scores, local, affinity)
        fused, fused_thresholds = self._fused_and_thresholds(pairs)
        return Decision(
            label_sets=_label_sets(pairs, fused > fused_thresholds, scores),
            probabilities=pairs.matrix(expit(fused)),
            margins=pairs.matrix(fused - fused_thresholds),
            # of the rule as it is now, whatever it may be fitted on before they are read
            solve_thresholds=partial(copy.copy(self)._base_thresholds, pairs, fused_thresholds),
        )

    def predict(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
    ) -> Matrix:
        """Return the label sets.

        Parameters
        ----------
        scores : matrix of shape (n_samples, n_labels), or list of such
            Probabilities in [0, 1], as in ``fit``.
        local : sparse of shape (n_samples, n_labels), or list of such, optional
            Neighbour shares (``NeighborLabels.transform``); required where ``fit`` had them.
        affinity : sparse of shape (n_samples, n_labels), or list of such, optional
            What label texts say of the rows; required where ``fit`` had it.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels)
            0/1, sparse where the (first) scores are.
        """
        pairs = self._checked_pairs(scores, local, affinity)
        fused, fused_thresholds = self._fused_and_thresholds(pairs)
        return _label_sets(pairs, fused > fused_thresholds, scores)

    def predict_proba(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
    ) -> sp.csr_array:
        """Return the fused probabilities of the candidate pairs.

        Parameters
        ----------
        scores : matrix of shape (n_samples, n_labels), or list of such
            Probabilities in [0, 1], as in ``fit``.
        local, affinity : sparse of shape (n_samples, n_labels), or lists of such, optional
            The other signals; required where ``fit`` had them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Probabilities σ(g_l(x)) of every pair that has a score, a neighbour share or a text similarity.
        """
        pairs = self._checked_pairs(scores, local, affinity)
        return pairs.matrix(expit(self._fused(pairs)))

    def margins(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
    ) -> sp.csr_array:
        """Return by how much the fused logit exceeds its threshold; positive means predicted.

        Parameters
        ----------
        scores : matrix of shape (n_samples, n_labels), or list of such
            Probabilities in [0, 1], as in ``fit``.
        local, affinity : sparse of shape (n_samples, n_labels), or lists of such, optional
            The other signals; required where ``fit`` had them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Margins of the candidate pairs, in fused logits; ``-inf`` for a label that is never predicted.
        """
        pairs = self._checked_pairs(scores, local, affinity)
        fused, fused_thresholds = self._fused_and_thresholds(pairs)
        return pairs.matrix(fused - fused_thresholds)

    def thresholds(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
    ) -> sp.csr_array:
        """Return θ_l(x) of the candidate pairs: the base logit above which the label is predicted.

        Parameters
        ----------
        scores : matrix of shape (n_samples, n_labels), or list of such
            Probabilities in [0, 1], as in ``fit``; thresholds are those of the first base model and do not
            depend on its scores, but for the other labels' under a budget or a transductive threshold.
        local, affinity : sparse of shape (n_samples, n_labels), or lists of such, optional
            The other signals; required where ``fit`` had them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Thresholds in logits; ``inf``: never predicted, ``-inf``: predicted at every score.
        """
        pairs = self._checked_pairs(scores, local, affinity)
        _, fused_thresholds = self._fused_and_thresholds(pairs)
        return self._base_thresholds(pairs, fused_thresholds)

    def explain(
        self,
        scores: MatrixLike | Sequence[MatrixLike],
        label: int,
        *,
        local: MatrixLike | Sequence[MatrixLike] | None = None,
        affinity: MatrixLike | Sequence[MatrixLike] | None = None,
    ) -> Explanation:
        """Split the decision about one label of one row into its terms.

        Parameters
        ----------
        scores : matrix of shape (1, n_labels), or list of such
            Probabilities of one row, as in ``fit``.
        label : int
            The label.
        local, affinity : sparse of shape (1, n_labels), or lists of such, optional
            The other signals; required where ``fit`` had them.

        Returns
        -------
        Explanation
            The terms, which add up to the margin.

        Raises
        ------
        ValueError
            If there is not exactly one row, the label is out of range or no candidate of the row (it has no
            score, neighbour share or text similarity there), or the rule is transductive.
        """
        pairs = self._checked_pairs(scores, local, affinity)
        if pairs.shape[0] != 1:
            raise ValueError(f"explain takes one row; got {pairs.shape[0]} in scores.")
        check_value("label", label, whole(0, self.n_labels_ - 1))
        if self.transductive:
            raise ValueError("A transductive rule has no thresholds for a row alone; set transductive=False.")
        at = np.flatnonzero(pairs.labels == label)
        if not len(at):
            raise ValueError(
                f"Label {label} is no candidate of this row: it has no score, neighbour share or text "
                "similarity."
            )
        # under a budget the threshold depends on the whole row, but all else on this pair alone
        fused, fused_threshold = (values[at] for values in self._fused_and_thresholds(pairs))
        pair = pairs.take(at)
        threshold = self._base_thresholds(pair, fused_threshold).data[0]
        terms = self._shapley(pair)
        rarity = fused[0] - sum(terms.values())
        return Explanation(
            label=int(label),
            # as given: in the pair it may have been raised to the lowest
            score=float(sp.csr_array(score_matrices(scores)[0])[0, label]),
            threshold=float(threshold),
            base_term=terms["base"],
            rarity_term=float(rarity),
            neighbor_term=terms.get("share", 0.0),
            text_term=terms.get("affinity", 0.0),
            fused_threshold=float(fused_threshold[0]),
            predicted=bool(pair.logits[0, 0] > threshold),
        )

    def _check_probabilities(self):
        """Raise unless the rule is fitted and has what thresholds are chosen from."""
        check_is_fitted(self, "label_thresholds_")
        if not hasattr(self, "fitted_probabilities_"):
            raise ValueError(
                "This rule was saved with retargetable=False, so without what other thresholds are chosen "
                "from; load a file that was saved with retargetable=True, or fit again."
            )

    def _check_parameters(self, n_labels=None):
        """Raise for parameters out of range, or not one for each label where their number is known."""
        check_parameters(self)
        check_target(self.target, self.target_value, self.confidence, n_labels=n_labels)
        self._refuse_transductive_guarantee()

    def _refuse_transductive_guarantee(self):
        """Raise where thresholds would be chosen anew that have been tested."""
        if self.confidence is not None and self.transductive:
            raise ValueError(
                "A transductive rule chooses its thresholds anew for each batch and guarantees nothing; set "
                "transductive=False or confidence=None."
            )

    def _checked_weight(self, sample_weight, n_samples):
        """Return the weight of each row, or None where none is given."""
        if sample_weight is None:
            return None
        if self.confidence is not None:
            raise ValueError(
                "sample_weight cannot be given with confidence: a guarantee counts rows that are drawn like "
                "new ones, each of them once. Leave sample_weight out, or set confidence=None."
            )
        return check_sample_weight(sample_weight, n_samples)

    def _fit_fused(self, scores, Y, local, affinity, Y_train, folds, groups, sample_weight, *, judged):
        """Fit everything but the thresholds; ``judged`` says whether to look for in-sample scores."""
        Y = check_labels(Y)
        self.n_labels_ = Y.shape[1]
        self._check_parameters(n_labels=self.n_labels_)
        weight = self._checked_weight(sample_weight, Y.shape[0])
        if Y_train is not None and folds is not None:
            raise ValueError(
                "Give Y_train (a model trained on other rows) or folds (cross-fitted), not both."
            )
        pairs = gather_pairs(scores, local, affinity, n_samples=Y.shape[0], n_labels=Y.shape[1])
        self._uses = {"scores": pairs.logits.shape[1]} | {
            name: 0 if columns is None else columns.shape[1]
            for name, columns in (("local", pairs.share), ("affinity", pairs.affinity))
        }
        units, held, kept = group_codes(groups, Y.shape[0]), None, None
        if self.confidence is not None:
            places, apart = self._draw_held(units)
            held, kept = (_of_rows(pairs, apart), Y[apart], places[apart]), ~apart
        elif weight is not None:
            kept = weight > 0
            weight = weight[kept]
        if kept is not None:
            pairs, Y, units = _of_rows(pairs, kept), Y[kept], group_codes(units[kept], kept.sum())
            folds = None if folds is None else group_codes(folds, len(kept), name="folds")[kept]
        self._row_weight = weight
        self.lowest_logits_ = _lowest_logits(pairs, weight)
        pairs, truth = self._raised(pairs), _truth(pairs, Y)
        if truth.all() or not truth.any():
            raise ValueError(
                "By Y, the candidate pairs hold only one class; the fusion needs scored pairs that are true "
                "and scored pairs that are not."
            )
        if judged:
            _warn_if_in_sample(pairs, truth, Y)
        pair_weight = np.ones(len(truth)) if weight is None else weight[pairs.rows]
        rarity = LabelIDF().fit(Y, sample_weight=weight)
        self._count_uncovered(pairs, truth, rarity, pair_weight)
        if Y_train is not None:
            rarity = LabelIDF().fit(check_labels(Y_train, name="Y_train", n_labels=self.n_labels_))
        self.idf_ = rarity
        self._find_impossible(known=Y_train is not None or folds is not None)
        idf = self._idf(pairs) if folds is None else _fold_idf(pairs, Y, folds, rarity, weight)
        self._fit_fusion(pairs, idf, truth, pair_weight, units[pairs.rows])
        raw = self.fusion_.decide(pairs, idf)
        self.effects_ = LabelEffects().fit(
            raw, pairs.labels, truth, self.n_labels_, sample_weight=pair_weight
        )
        self.fitted_probabilities_ = pairs.matrix(expit(self.effects_.apply(raw, pairs.labels)))
        self._held_rows = None if held is None else self._fused_held(*held)

    def _draw_held(self, units):
        """Return the place of each row's unit in a random order, and which rows to keep from the fusion."""
        n_units = units.max(initial=-1) + 1
        places = check_random_state(self.random_state).permutation(n_units)[units]
        return places, places < round(_HELD_SHARE * n_units)

    def _fused_held(self, pairs, Y, units):
        """Return what the fusion says of the rows that were kept from it, what is true, and their units."""
        return pairs.matrix(expit(self._fused(self._raised(pairs)))), _truth(pairs, Y), units

    def _raised(self, pairs):
        """Raise the lowest scores, and those that are not there, to where the scored pairs begin."""
        return pairs._replace(logits=np.maximum(pairs.logits, self.lowest_logits_))

    def _count_uncovered(self, pairs, truth, rarity, pair_weight):
        """Count the positives that are no candidates, and estimate how many a row will have."""
        positives = rarity.frequency_
        covered = np.bincount(pairs.labels[truth], weights=pair_weight[truth], minlength=self.n_labels_)
        self.coverage_ = float(covered.sum() / positives.sum())
        self._uncovered_a_row = positives * uncovered_share(positives, covered) / rarity.n_samples_
        if self.coverage_ < _LOW_COVERAGE:
            warnings.warn(
                f"Only {self.coverage_:.0%} of the true pairs have a score, a neighbour share or a text "
                "similarity; the others cannot be predicted. Give more scores a row.",
                LowCoverageWarning,
                stacklevel=4,
            )

    def _find_impossible(self, *, known):
        """Name the labels that can never be predicted, if it is known what the model was trained on."""
        out = known and not self._uses["affinity"]
        self.impossible_ = self.idf_.unseen_ if out else np.zeros(0, dtype=int)

    def _idf(self, pairs):
        """Return the rarity of each pair's label."""
        return self.idf_.idf_[pairs.labels]

    def _n_fitted(self, n_rows):
        """Return how many rows the fitted ones count as."""
        return n_rows if self._row_weight is None else self._row_weight.sum()

    def _fit_fusion(self, pairs, idf, truth, pair_weight, groups):
        """Fit the pooled model, on drawn pairs where there are very many."""
        rng = check_random_state(self.random_state)
        keep, weight = _draw(truth, rng)
        data = pairs.take(keep), idf[keep], truth[keep], weight[keep]
        seed = rng.randint(2**31 - 1)
        few = min(pair_weight[truth].sum(), pair_weight[~truth].sum()) < _FEW_PAIRS
        kind = LinearFusion if few and self.fusion == "auto" else _FUSIONS[self.fusion]
        self.fusion_ = kind().fit(
            *data, sample_weight=pair_weight[keep], groups=groups[keep], random_state=seed
        )

    def _fused(self, pairs):
        """Return the fused, corrected logits."""
        return self.effects_.apply(self.fusion_.decide(pairs, self._idf(pairs)), pairs.labels)

    def _fused_and_thresholds(self, pairs):
        """Return the fused logit of every pair, and the fused logit above which it is predicted."""
        fused = self._fused(pairs)
        if self.target == "budget":
            never = np.isin(pairs.labels, self.impossible_)
            possible = np.where(never, -np.inf, fused)
            found = _budget_thresholds(pairs, possible, int(self.target_value))
            return fused, np.where(never, np.inf, found)
        thresholds = self.label_thresholds_
        if self.transductive and pairs.shape[0]:
            probabilities = pairs.matrix(expit(fused))
            thresholds = self._best_label_thresholds(probabilities, evaluation_rows=pairs.shape[0])
        fused_thresholds = logit(np.clip(thresholds, 0, 1))[pairs.labels]
        if self.row_limit_ is not None:
            possible = np.where(np.isinf(fused_thresholds), -np.inf, fused)
            limited = _budget_thresholds(pairs, possible, self.row_limit_)
            fused_thresholds = np.maximum(fused_thresholds, limited)
        return fused, fused_thresholds

    def _choose_thresholds(self):
        """Choose the thresholds for the target on the fitted rows, or those that the held ones guarantee."""
        self.guaranteed_ = self.row_limit_ = None
        if self.confidence is not None:
            self._guarantee()
        else:
            self.label_thresholds_ = self._best_fitted_thresholds(self._row_weight)
        self._chosen_for = copy.deepcopy(self._aim())

    def _best_fitted_thresholds(self, row_weight):
        """Return the thresholds that are best on the fitted rows, with these weights."""
        probabilities = self.fitted_probabilities_
        rows = self.evaluation_rows or self._n_fitted(probabilities.shape[0])
        return self._best_label_thresholds(probabilities, evaluation_rows=rows, row_weight=row_weight)

    def _guarantee(self):
        """Choose the lowest thresholds that guarantee the precision, ``inf`` where none does."""
        possible = np.ones(self.n_labels_, dtype=bool)
        possible[self.impossible_] = False
        probabilities, truth, units = self._held_rows
        keep = possible[probabilities.indices]
        held = HeldRows(with_pairs(probabilities, keep), truth[keep], units)
        every = self.fitted_probabilities_
        fitted = with_pairs(every, possible[every.indices])
        asked = {"precision": self.target_value, "confidence": self.confidence}
        if self.target == "precision":
            found = guaranteed_threshold(fitted, held, **asked)
            self.guaranteed_ = bool(np.isfinite(found.threshold))
            self.row_limit_ = found.row_limit
            self.label_thresholds_ = np.where(possible, found.threshold, np.inf)
        else:
            of_labels = guaranteed_label_thresholds(fitted, held, **asked)
            self.label_thresholds_ = np.array([found.threshold for found in of_labels])
            self.guaranteed_ = np.isfinite(self.label_thresholds_)
            found = max(of_labels, key=lambda found: found.n_right)
        if not np.all(self.guaranteed_):
            self._warn_of_missing_guarantee(found, n_units=len(np.unique(units)))

    def _warn_of_missing_guarantee(self, found, *, n_units):
        """Say what is missing for a guarantee."""
        least = least_predicted(found.row_limit, precision=self.target_value, confidence=self.confidence)
        asked = f"a precision of {self.target_value:g} with confidence {self.confidence:g}"
        if self.target == "precision":
            what = (
                f"No threshold guarantees {asked}, so that no label will be predicted: the most promising "
                f"one predicted {found.n_predicted} labels, {found.n_right} of them right, for the {n_units} "
                "rows (or groups) kept from the fusion"
            )
        else:
            n_without = np.count_nonzero(~self.guaranteed_)
            what = (
                f"For {n_without} of {self.n_labels_} labels no threshold guarantees {asked}; these will not "
                f"be predicted. {n_units} rows (or groups) were kept from the fusion"
            )
        warnings.warn(
            f"{what}. At least {least} predicted labels are needed if all are right, and more if some are "
            "wrong: give more rows, or ask for a lower precision or confidence.",
            NoGuaranteeWarning,
            stacklevel=5,
        )

    def _aim(self):
        """Return the parameters that the thresholds depend on."""
        aim = self.target, self.target_value, self.evaluation_rows
        return aim if self.confidence is None else (*aim, self.confidence)

    def _refuse_changed_aim(self):
        """Raise where the thresholds are no longer those that the parameters ask for."""
        now, then = self._aim(), self._chosen_for
        if len(now) != len(then) or not all(map(np.array_equal, now, then)):
            raise ValueError(
                "target, target_value, confidence or evaluation_rows was changed after fit; fit again, or "
                "use retarget(), which returns a rule for another target at once."
            )

    def _best_label_thresholds(self, probabilities, *, evaluation_rows, row_weight=None):
        """Return the threshold of every label that is best for the target in expectation."""
        if self.target == "budget":
            return np.full(self.n_labels_, np.nan)
        n_rows = probabilities.shape[0] if row_weight is None else row_weight.sum()
        thresholds = label_thresholds(
            self.target,
            self.target_value,
            probabilities.indices,
            probabilities.data,
            n_labels=self.n_labels_,
            n_rows=n_rows,
            evaluation_rows=evaluation_rows,
            uncovered=self._uncovered_a_row * n_rows,
            weight=None if row_weight is None else np.repeat(row_weight, np.diff(probabilities.indptr)),
        )
        thresholds[self.impossible_] = np.inf
        return thresholds

    def _base_thresholds(self, pairs, fused_thresholds):
        """Solve for the base logits at which the fused logits meet their thresholds; return them as CSR."""
        uncorrected = self.effects_.undo(fused_thresholds, pairs.labels)
        found = self.fusion_.threshold(pairs, self._idf(pairs), uncorrected)
        # below the lowest logit all scores are taken for that one
        return pairs.matrix(np.where(found < self.lowest_logits_[0], -np.inf, found))

    def _shapley(self, pair):
        """Return the Shapley values of the signals, against a pair without any."""
        mean_idf = np.array([self.idf_.idf_.mean()])
        nothing = pair._replace(
            logits=np.broadcast_to(self.lowest_logits_, pair.logits.shape),
            share=None if pair.share is None else np.zeros_like(pair.share),
            affinity=None if pair.affinity is None else np.zeros_like(pair.affinity),
        )
        players = {"base": "logits", "share": "share", "affinity": "affinity"}
        players = {player: field for player, field in players.items() if getattr(pair, field) is not None}
        names = ["idf", *players]

        @cache
        def value(present):
            fields = {players[name]: getattr(pair, players[name]) for name in present if name != "idf"}
            idf = self._idf(pair) if "idf" in present else mean_idf
            raw = self.fusion_.decide(nothing._replace(**fields), idf)
            return float(self.effects_.apply(raw, pair.labels)[0])

        return {name: shapley_value(name, names, value) for name in players}

    def _checked_pairs(self, scores, local, affinity):
        """Return the candidate pairs of rows to be predicted."""
        check_is_fitted(self, "label_thresholds_")
        self._refuse_changed_aim()
        self._refuse_transductive_guarantee()
        given = {"local": local, "affinity": affinity}
        sources = {"local": "NeighborLabels.transform(X)", "affinity": "LabelAffinity.transform(X)"}
        for name, source in sources.items():
            if self._uses[name] and given[name] is None:
                raise ValueError(f"fit was given {name}; pass {name}={source} here too.")
            if not self._uses[name]:
                given[name] = None
        for name, matrices in {"scores": scores, **given}.items():
            n_given = 0 if matrices is None else len(score_matrices(matrices))
            if n_given != self._uses[name]:
                raise ValueError(f"fit had {self._uses[name]} matrices of {name}; got {n_given}.")
        pairs = gather_pairs(scores, given["local"], given["affinity"], n_labels=self.n_labels_)
        return self._raised(pairs)


def _label_sets(pairs, predicted, scores):
    """Return the predicted pairs as a 0/1 matrix in the container of the (first) scores."""
    ones = np.ones(predicted.sum(), dtype=np.float32)
    found = sp.csr_array((ones, (pairs.rows[predicted], pairs.labels[predicted])), shape=pairs.shape)
    return like_input(found, container_of(score_matrices(scores)[0]))


def _of_rows(pairs, mask):
    """Return the pairs of some rows, numbered anew."""
    number = np.cumsum(mask) - 1
    chosen = pairs.take(mask[pairs.rows])
    return chosen._replace(shape=(int(mask.sum()), pairs.shape[1]), rows=number[chosen.rows])


def _truth(pairs, Y):
    """Say which pairs are true."""
    return are_among(pairs.rows * np.int64(Y.shape[1]) + pairs.labels, row_major_positions(Y))


def _draw(truth, rng):
    """Choose the pairs to fit on, and how many each one stands for: half of them true, if so many are."""
    keep, weight = np.ones(len(truth), dtype=bool), np.ones(len(truth))
    if len(truth) > _MAX_PAIRS:
        for of_class in (truth, ~truth):
            share = min(1.0, _MAX_PAIRS / 2 / of_class.sum())
            keep[of_class] = rng.random_sample(of_class.sum()) < share
            weight[of_class] = 1 / share
    return keep, weight


def _lowest_logits(pairs, weight):
    """Return the logit that counts as the lowest of each base model."""
    lowest = []
    for column in pairs.logits.T:
        scored = np.isfinite(column)
        weights = None if weight is None else weight[pairs.rows[scored]]
        lowest.append(_lower_quantile(column[scored], weights) if scored.any() else LOWEST_LOGIT)
    return np.array(lowest)


def _lower_quantile(values, weights):
    """Return the value below which the lowest share lies; one of weight 2 stands there twice."""
    if weights is None:
        return np.quantile(values, _LOWEST_QUANTILE, method="lower")
    order = np.argsort(values)
    places = np.cumsum(weights[order])  # of each value's last
    return values[order[np.searchsorted(places, _LOWEST_QUANTILE * (places[-1] - 1), side="right")]]


def _fold_idf(pairs, Y, folds, rarity, weight):
    """Return the rarity of each pair's label: among the rows of all other folds where labels are many alike.

    How many positives a model saw tells what its scores are worth. But within one label, the fewer positives
    the other folds have, the more this fold has: a fusion could read from the rarity where they are. Over
    many labels of a frequency that averages out, as it does in Good's estimate (1953, doi
    10.1093/biomet/40.3-4.237); a label with few of its kind has the rarity of all rows, as at prediction.
    """
    codes = group_codes(folds, Y.shape[0], name="folds")
    if codes.max(initial=0) == 0:
        raise ValueError("folds names one fold only; cross-fitted scores need at least two.")
    octaves = frequency_octaves(rarity.frequency_)
    alone = np.bincount(octaves)[octaves] < _MANY_ALIKE
    idf = []
    for fold in range(codes.max() + 1):
        others = codes != fold
        of_others = None if weight is None else weight[others]
        by_model = LabelIDF().fit(Y[others], sample_weight=of_others).idf_
        idf.append(np.where(alone, rarity.idf_, by_model))
    return np.stack(idf)[codes[pairs.rows], pairs.labels]


def _budget_thresholds(pairs, fused, budget):
    """Return what each pair must exceed to be among its row's ``budget`` greatest; ties are out.

    For a pair that is in, this is the greatest that is out; for one that is out, the least that is in.
    """
    order = np.lexsort((-fused, pairs.rows))
    starts = np.searchsorted(pairs.rows, np.arange(pairs.shape[0]))
    ends = np.r_[starts[1:], len(fused)]
    full = ends - starts > budget
    first_out, last_in = np.full((2, pairs.shape[0]), -np.inf)
    first_out[full] = fused[order][starts[full] + budget]
    last_in[full] = fused[order][starts[full] + budget - 1]
    first_out, last_in = first_out[pairs.rows], last_in[pairs.rows]
    return np.where(fused > first_out, first_out, last_in + _TIE)  # no rounding may break a tie


def _warn_if_in_sample(pairs, truth, Y):
    """Warn if the scores know what only training rows can tell."""
    signs = in_sample_signs(pairs.rows, pairs.labels, pairs.logits[:, 0], truth, Y)
    if signs.what is not None:
        warnings.warn(
            f"The scores look like those of rows that the base model was trained on ({signs.what}). Give "
            "out-of-fold scores (AdaptiveThresholdClassifier makes them), or those of rows held out.",
            InSampleScoresWarning,
            stacklevel=4,
        )
