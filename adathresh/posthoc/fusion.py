"""The pooled fusion: a mean of two models for all candidate pairs, and a shrunk correction for each label.

A fusion turns the signals of a pair into a fused logit g. It never falls as a base model's score rises, so
that g above a threshold of its own is the same as the first base model's logit above θ.
"""

from collections.abc import Callable
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from adathresh.posthoc.candidates import Pairs
from adathresh.utils.boosted_trees import BoostedTrees

# Shares are kept this far from 0 and 1 before their logit is taken.
SHARE_MARGIN = 1e-2
# A steeper score must never lower the fused logit, whatever the pooled fit says of the rarest labels.
SMALLEST_SLOPE = 1e-3
# Steps into which each signal is divided for boosting: as many as its histograms hold.
_MAX_STEPS = 254
# One row in so many is held out: it tells when the trees stop growing, and what they count in the mean.
_ONE_IN = 10
# Fewer true or false pairs than this would not tell.
_ENOUGH_HELD = 5
# What the trees count in the mean: 0.5 ± 0.1 before a row is held out; at most 0.95, so that the fused logit
# rises with the score between the steps of the trees, too.
_WEIGHT_MEAN, _WEIGHT_DEVIATION, _LARGEST_WEIGHT = 0.5, 0.1, 0.95
# Signals whose steps, a byte each, fit into one number, by which equal pairs are found.
_BYTES_A_WORD = 8
# So few signals make few enough numbers for a table of them.
_BYTES_A_TABLE = 3
# Prior variances of a label's own intercept and slope: labels of one frequency mostly differ by less than 0.5
# in logit, and by less than 0.2 in how steep their scores are.
_INTERCEPT_VARIANCE, _SLOPE_VARIANCE = 0.2, 0.04
# Where the slope turns; candidate pairs have fused logits around it.
PIVOT = -4.0
_LARGEST_SLOPE = 0.5
_NEWTON_STEPS = 12
_NEWTON_TOLERANCE = 1e-7


class LinearFusion:
    """Logistic regression on logits, rarity, neighbours, label texts and their products with rarity.

    Shares and text similarities enter as they are and as logits.

    Attributes
    ----------
    coef_ : dict of str to float
        The pooled coefficients by name.

    Examples
    --------
    >>> from adathresh.posthoc.candidates import gather_pairs
    >>> pairs, ones = gather_pairs([[0.9], [0.7], [0.4], [0.1]], None, None), np.ones(4)
    >>> fusion = LinearFusion().fit(pairs, ones, np.array([1, 1, 0, 0]) == 1, ones, random_state=0)
    >>> fusion.decide(pairs, ones) > 0
    array([ True,  True, False, False])
    """

    def fit(
        self,
        pairs: Pairs,
        idf: np.ndarray,
        truth: np.ndarray,
        weight: np.ndarray,
        *,
        sample_weight: npt.ArrayLike = 1.0,
        groups: np.ndarray | None = None,
        random_state: int,
    ) -> Self:
        """Fit the coefficients.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs of held-out rows.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.
        truth : numpy.ndarray of bool, shape (n_pairs,)
            Whether the label is true.
        weight : numpy.ndarray of shape (n_pairs,)
            How many pairs each one stands for, where some were drawn.
        sample_weight : array-like of shape (n_pairs,), default=1
            Weight of each pair's row.
        groups : numpy.ndarray of shape (n_pairs,), optional
            Not used: nothing is held out.
        random_state : int
            Not used: the fit is exact.

        Returns
        -------
        LinearFusion
            The fitted fusion.
        """
        terms = self._terms(pairs, idf)
        scale = {name: _scale(column, sample_weight) for name, column in terms.items()}
        columns = np.column_stack([column / scale[name] for name, column in terms.items()])
        weight = weight * np.asarray(sample_weight)
        model = LogisticRegression(C=100.0, max_iter=1000).fit(columns, truth, sample_weight=weight)
        self.coef_ = {name: float(w / scale[name]) for name, w in zip(terms, model.coef_[0], strict=True)}
        self.coef_["intercept"] = float(model.intercept_[0])
        return self

    def decide(self, pairs: Pairs, idf: np.ndarray) -> np.ndarray:
        """Return the fused logit of every pair.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Fused logits.
        """
        return self._slope(0, idf) * pairs.logits[:, 0] + self._offset(pairs, idf)

    def threshold(self, pairs: Pairs, idf: np.ndarray, fused_threshold: np.ndarray) -> np.ndarray:
        """Solve g = fused_threshold for the first base model's logit.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.
        fused_threshold : numpy.ndarray of shape (n_pairs,)
            Threshold of the fused logit.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Logits above which g exceeds ``fused_threshold``.
        """
        return (fused_threshold - self._offset(pairs, idf)) / self._slope(0, idf)

    def _terms(self, pairs, idf):
        """Return the columns of the regression by name."""
        terms = {}
        for model, z in enumerate(pairs.logits.T):
            terms |= {term_name("score", model): z, term_name("score", model) + " x idf": z * idf}
        return terms | self._other_terms(pairs, idf)

    def _other_terms(self, pairs, idf):
        """Return the columns that do not hold a score."""
        terms = {"idf": idf}
        for kind, columns in (("share", pairs.share), ("affinity", pairs.affinity)):
            for number, column in enumerate([] if columns is None else columns.T):
                name, q = term_name(kind, number), logit(np.clip(column, SHARE_MARGIN, 1 - SHARE_MARGIN))
                terms |= {name: column, f"logit {name}": q, f"logit {name} x idf": q * idf}
        return terms

    def _slope(self, model, idf):
        """Return how much one unit of a base model's logit counts."""
        name = term_name("score", model)
        return np.maximum(self.coef_[name] + self.coef_[f"{name} x idf"] * idf, SMALLEST_SLOPE)

    def _offset(self, pairs, idf):
        """Return what all but the first base model adds to the fused logit."""
        total = np.full(len(idf), self.coef_["intercept"])
        for model in range(1, pairs.logits.shape[1]):
            total += self._slope(model, idf) * pairs.logits[:, model]
        for name, column in self._other_terms(pairs, idf).items():
            total += self.coef_[name] * column
        return total


class BoostedFusion:
    """Gradient boosting on the same signals, rising in scores, shares and label texts.

    Every signal is divided into steps first, so that the fused logit changes at known values of the score
    only and the threshold can be found exactly. Weights of rows count in the loss; the steps, the least
    number of pairs in a leaf and the rows that tell when to stop are counted without.

    Examples
    --------
    >>> from adathresh.posthoc.candidates import gather_pairs
    >>> pairs, ones = gather_pairs(np.arange(1, 101)[:, None] / 101, None, None), np.ones(100)
    >>> fusion = BoostedFusion().fit(pairs, ones, pairs.logits[:, 0] > 0, ones, random_state=0)
    >>> (fusion.decide(pairs, ones) > 0)[[0, -1]]
    array([False,  True])
    """

    def fit(
        self,
        pairs: Pairs,
        idf: np.ndarray,
        truth: np.ndarray,
        weight: np.ndarray,
        *,
        sample_weight: npt.ArrayLike = 1.0,
        groups: np.ndarray | None = None,
        random_state: int,
    ) -> Self:
        """Grow the trees; the pairs of :func:`held_out_pairs`, where there are any, tell when to stop.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs of held-out rows.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.
        truth : numpy.ndarray of bool, shape (n_pairs,)
            Whether the label is true.
        weight : numpy.ndarray of shape (n_pairs,)
            How many pairs each one stands for, where some were drawn.
        sample_weight : array-like of shape (n_pairs,), default=1
            Weight of each pair's row.
        groups : numpy.ndarray of shape (n_pairs,), optional
            Group of each pair's row, of which all rows are held out or none; None: every row by itself.
        random_state : int
            Of the held-out rows.

        Returns
        -------
        BoostedFusion
            The fitted fusion.
        """
        signals = _signals(pairs, idf)
        self._steps = [_steps(column, truth) for column in signals]
        codes, weight = self._codes(signals), weight * np.asarray(sample_weight)
        held = held_out_pairs(pairs.rows if groups is None else groups, truth, random_state=random_state)
        told = {}
        if held.any():
            told = {"X_val": codes[held], "y_val": truth[held], "sample_weight_val": weight[held]}
        model = HistGradientBoostingClassifier(
            max_iter=200,
            min_samples_leaf=min(200, max(20, int(truth.sum()) // 20)),
            monotonic_cst=[0] + [1] * (len(signals) - 1),
            early_stopping=bool(told),
            random_state=random_state,
        )
        model.fit(codes[~held], truth[~held], sample_weight=weight[~held], **told)
        self._trees = BoostedTrees.from_sklearn(model)
        return self

    def decide(self, pairs: Pairs, idf: np.ndarray) -> np.ndarray:
        """Return the fused logit of every pair.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Fused logits.
        """
        return self._evaluate(self._codes(_signals(pairs, idf)))

    def threshold(self, pairs: Pairs, idf: np.ndarray, fused_threshold: np.ndarray) -> np.ndarray:
        """Find the lowest step of the first base model's logit at which g exceeds its threshold.

        The steps are bisected.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.
        fused_threshold : numpy.ndarray of shape (n_pairs,)
            Threshold of the fused logit.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Logits above which g exceeds ``fused_threshold``; ``-inf``: at every score, ``inf``: at none.
        """
        steps, at_step = self.on_steps(pairs, idf)
        low = first_step(lambda step: at_step(step) > fused_threshold, len(fused_threshold), len(steps))
        return np.r_[-np.inf, steps, np.inf][low]

    def on_steps(
        self, pairs: Pairs, idf: np.ndarray
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Return the steps of the first base model's logit, and what evaluates g on any of them.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.

        Returns
        -------
        steps : numpy.ndarray
            Values at which a step begins: a logit above ``steps[i]`` and up to ``steps[i + 1]`` is on step
            i + 1; step 0 lies below all.
        evaluate : callable
            Takes a step for each pair; returns the fused logits with the first base model's logit there.
        """
        return self._steps[1], partial(self._evaluate_on, self._codes(_signals(pairs, idf)))

    def _codes(self, signals):
        """Return the step that each signal is on: how many of its steps lie below the value."""
        columns = zip(self._steps, signals, strict=True)
        return np.column_stack([np.searchsorted(steps, column).astype(np.uint8) for steps, column in columns])

    def _evaluate_on(self, codes, step):
        """Evaluate the trees on a step of the first base model's logit."""
        codes[:, 1] = step
        return self._evaluate(codes)

    def _evaluate(self, codes):
        """Evaluate the trees, once for all pairs that are on the same steps."""
        n_signals = codes.shape[1]
        if n_signals > _BYTES_A_WORD:
            return self._trees.predict(codes)
        if n_signals <= _BYTES_A_TABLE:
            first, place = _distinct_by_table(codes)
        else:
            words = np.zeros((len(codes), _BYTES_A_WORD), dtype=np.uint8)
            words[:, :n_signals] = codes
            _, first, place = np.unique(words.view(np.uint64)[:, 0], return_index=True, return_inverse=True)
        return self._trees.predict(codes[first])[place]


def _distinct_by_table(codes):
    """Return the positions of distinct rows of bytes, and which of them each row equals; without sorting."""
    number = np.zeros(len(codes), dtype=np.int32)
    for column in codes.T:
        number = 256 * number + column
    positions = np.arange(len(codes), dtype=np.int32)
    table = np.zeros(256 ** codes.shape[1], dtype=np.int32)
    table[number] = positions  # of rows with one number, any of them
    like = table[number]
    is_distinct = like == positions
    return np.flatnonzero(is_distinct), (np.cumsum(is_distinct) - 1)[like]


class AverageFusion:
    """A weighted mean of both fusions.

    Trees follow the signals where pairs are many, the linear model is steady where they are few. The trees'
    weight w is the likeliest one for rows that neither was fitted on, with a normal prior around one half (a
    stacked mean: Wolpert 1992, doi 10.1016/S0893-6080(05)80023-1): a thousand pairs hardly move it, and where
    hundreds of thousands say that trees are better, little of the linear model is left.

    Attributes
    ----------
    boosted_weight_ : float
        w, in [0, 0.95]; one half where no row is held out, as too few pairs would tell.

    Examples
    --------
    >>> from adathresh.posthoc.candidates import gather_pairs
    >>> pairs, ones = gather_pairs(np.arange(1, 101)[:, None] / 101, None, None), np.ones(100)
    >>> fusion = AverageFusion().fit(pairs, ones, pairs.logits[:, 0] > 0, ones, random_state=0)
    >>> (fusion.decide(pairs, ones) > 0)[[0, -1]]
    array([False,  True])
    """

    boosted_weight_ = _WEIGHT_MEAN  # of a saved fusion that was fitted before the weight was

    def fit(
        self,
        pairs: Pairs,
        idf: np.ndarray,
        truth: np.ndarray,
        weight: np.ndarray,
        *,
        sample_weight: npt.ArrayLike = 1.0,
        groups: np.ndarray | None = None,
        random_state: int,
    ) -> Self:
        """Fit both on the same rows, then their weights on the others.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs of held-out rows.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.
        truth : numpy.ndarray of bool, shape (n_pairs,)
            Whether the label is true.
        weight : numpy.ndarray of shape (n_pairs,)
            How many pairs each one stands for, where some were drawn.
        sample_weight : array-like of shape (n_pairs,), default=1
            Weight of each pair's row.
        groups : numpy.ndarray of shape (n_pairs,), optional
            Group of each pair's row, of which all rows are held out or none; None: every row by itself.
        random_state : int
            Of the held-out rows.

        Returns
        -------
        AverageFusion
            The fitted fusion.
        """
        weight, groups = weight * np.asarray(sample_weight), pairs.rows if groups is None else groups
        self.boosted_ = BoostedFusion().fit(
            pairs, idf, truth, weight, groups=groups, random_state=random_state
        )
        held = held_out_pairs(groups, truth, random_state=random_state)  # those that the trees lacked, too
        seen, others = ((pairs.take(part), idf[part], truth[part], weight[part]) for part in (~held, held))
        self.linear_ = LinearFusion().fit(*seen, random_state=random_state)
        self.boosted_weight_ = self._likeliest_weight(*others) if held.any() else _WEIGHT_MEAN
        return self

    def decide(self, pairs: Pairs, idf: np.ndarray) -> np.ndarray:
        """Return the fused logit of every pair.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Fused logits.
        """
        w = self.boosted_weight_
        return (1 - w) * self.linear_.decide(pairs, idf) + w * self.boosted_.decide(pairs, idf)

    def threshold(self, pairs: Pairs, idf: np.ndarray, fused_threshold: np.ndarray) -> np.ndarray:
        """Solve g = fused_threshold for the first base model's logit.

        The step of the trees on which g passes its threshold is bisected; on it g is linear.

        Parameters
        ----------
        pairs : Pairs
            Candidate pairs.
        idf : numpy.ndarray of shape (n_pairs,)
            Rarity of each pair's label.
        fused_threshold : numpy.ndarray of shape (n_pairs,)
            Threshold of the fused logit.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Logits above which g exceeds ``fused_threshold``.
        """
        steps, at_step = self.boosted_.on_steps(pairs, idf)
        begins, ends = np.r_[-np.inf, steps], np.r_[steps, np.inf]
        solve = partial(self._solve, pairs, idf, fused_threshold)
        # g exceeds its threshold somewhere on the step if the linear solution lies below the step's end
        found = first_step(lambda step: solve(at_step(step)) < ends[step], len(fused_threshold), len(steps))
        found = np.minimum(found, len(steps))  # an infinite threshold is exceeded nowhere
        return np.maximum(begins[found], solve(at_step(found)))

    def _solve(self, pairs, idf, fused_threshold, boosted):
        """Solve g = fused_threshold for the first base model's logit where the trees give a known logit."""
        w = self.boosted_weight_
        return self.linear_.threshold(pairs, idf, (fused_threshold - w * boosted) / (1 - w))

    def _likeliest_weight(self, pairs, idf, truth, weight):
        """Return the likeliest weight of the trees by its prior and by the held-out pairs."""
        linear, boosted = self.linear_.decide(pairs, idf), self.boosted_.decide(pairs, idf)
        sign = np.where(truth, 1.0, -1.0)

        def surprise(w):
            prior = ((w - _WEIGHT_MEAN) / _WEIGHT_DEVIATION) ** 2 / 2
            return prior - weight @ log_expit(sign * ((1 - w) * linear + w * boosted))

        return float(minimize_scalar(surprise, bounds=(0, _LARGEST_WEIGHT), method="bounded").x)


def held_out_pairs(groups: np.ndarray, truth: np.ndarray, *, random_state: int) -> np.ndarray:
    """Draw one row, or group, in ten; its pairs are kept from both fusions.

    Parameters
    ----------
    groups : numpy.ndarray of int, shape (n_pairs,)
        Number of each pair's row, or of its group.
    truth : numpy.ndarray of bool, shape (n_pairs,)
        Whether the label is true.
    random_state : int
        Of the draw.

    Returns
    -------
    numpy.ndarray of bool, shape (n_pairs,)
        Whether a pair is held out; nowhere, where too few true or false pairs would be, or would be left.

    Examples
    --------
    >>> rows, truth = np.repeat(np.arange(100), 2), np.tile([True, False], 100)
    >>> held_out_pairs(rows, truth, random_state=0).sum()
    np.int64(20)
    """
    n_groups = groups.max(initial=-1) + 1
    held = (np.random.default_rng(random_state).permutation(n_groups) % _ONE_IN == 0)[groups]
    counts = [part.sum() for side in (held, ~held) for part in (side & truth, side & ~truth)]
    return held if min(counts) >= _ENOUGH_HELD else np.zeros_like(held)


def first_step(holds: Callable[[np.ndarray], np.ndarray], n_pairs: int, last: int) -> np.ndarray:
    """Bisect for the first step on which a condition holds that goes on to hold on all later ones.

    Parameters
    ----------
    holds : callable
        Takes a step for each pair; returns whether the condition holds.
    n_pairs : int
        Number of pairs.
    last : int
        The last step; the first one is 0.

    Returns
    -------
    numpy.ndarray of int, shape (n_pairs,)
        The first step; ``last + 1`` where there is none.

    Examples
    --------
    >>> first_step(lambda step: step >= np.array([0, 3, 9]), 3, 5)
    array([0, 3, 6])
    """
    low, high = np.zeros(n_pairs, dtype=int), np.full(n_pairs, last + 1)
    while (low < high).any():
        middle = (low + high) // 2
        enough = holds(np.minimum(middle, last)) | (middle > last)
        low, high = np.where(enough, low, np.minimum(middle + 1, high)), np.where(enough, middle, high)
    return low


class LabelEffects:
    """A correction of each label's own, g → g + δ_l + γ_l·(g − pivot), shrunk towards none.

    δ_l and γ_l maximise the logistic likelihood of the label's pairs with a normal prior around 0 (a random
    intercept and slope of a generalised linear mixed model): a label with many positives gets what it needs,
    a label with two of them stays with the pool of labels of its rarity.

    Attributes
    ----------
    intercept_ : numpy.ndarray of shape (n_labels,)
        δ_l.
    slope_ : numpy.ndarray of shape (n_labels,)
        γ_l, in [-0.5, 0.5].

    Examples
    --------
    >>> truth = np.arange(40) % 2 == 0
    >>> effects = LabelEffects().fit(np.full(40, -1.0), np.zeros(40, dtype=int), truth, n_labels=1)
    >>> effects.apply(np.array([-1.0]), np.array([0])).round(1)  # half of the pairs are true
    array([-0.2])
    """

    def fit(
        self,
        logits: np.ndarray,
        labels: np.ndarray,
        truth: np.ndarray,
        n_labels: int,
        *,
        sample_weight: npt.ArrayLike = 1.0,
    ) -> Self:
        """Fit by Newton's method, all labels at once.

        Parameters
        ----------
        logits : numpy.ndarray of shape (n_pairs,)
            Fused logits.
        labels : numpy.ndarray of shape (n_pairs,)
            Label of each pair.
        truth : numpy.ndarray of bool, shape (n_pairs,)
            Whether the label is true.
        n_labels : int
            Number of labels.
        sample_weight : array-like of shape (n_pairs,), default=1
            Weight of each pair's row.

        Returns
        -------
        LabelEffects
            The fitted correction.
        """
        sums = partial(np.bincount, labels, minlength=n_labels)  # of each label's pairs
        weight = np.asarray(sample_weight)
        centred = logits - PIVOT
        self.intercept_, self.slope_ = np.zeros(n_labels), np.zeros(n_labels)
        for _ in range(_NEWTON_STEPS):
            p = expit(self.apply(logits, labels))
            error, spread = weight * (truth - p), weight * p * (1 - p)
            by_intercept = sums(error) - self.intercept_ / _INTERCEPT_VARIANCE
            by_slope = sums(error * centred) - self.slope_ / _SLOPE_VARIANCE
            a, c = sums(spread) + 1 / _INTERCEPT_VARIANCE, sums(spread * centred**2) + 1 / _SLOPE_VARIANCE
            b = sums(spread * centred)
            step = np.clip((a * by_slope - b * by_intercept) / (a * c - b * b), -0.3, 0.3)
            slope = np.clip(self.slope_ + step, -_LARGEST_SLOPE, _LARGEST_SLOPE)
            # what is best with the slope that was taken, which may have been stopped short
            step = np.clip((by_intercept - b * (slope - self.slope_)) / a, -1, 1)
            moved = max(np.abs(step).max(initial=0), np.abs(slope - self.slope_).max(initial=0))
            self.intercept_, self.slope_ = self.intercept_ + step, slope
            if moved < _NEWTON_TOLERANCE:
                break
        return self

    def apply(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Correct fused logits.

        Parameters
        ----------
        logits : numpy.ndarray of shape (n_pairs,)
            Fused logits.
        labels : numpy.ndarray of shape (n_pairs,)
            Label of each pair.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Corrected logits.
        """
        return logits + self.intercept_[labels] + self.slope_[labels] * (logits - PIVOT)

    def undo(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the fused logits that are corrected to these.

        Parameters
        ----------
        logits : numpy.ndarray of shape (n_pairs,)
            Corrected logits.
        labels : numpy.ndarray of shape (n_pairs,)
            Label of each pair.

        Returns
        -------
        numpy.ndarray of shape (n_pairs,)
            Logits before the correction.
        """
        return (logits - self.intercept_[labels] + self.slope_[labels] * PIVOT) / (1 + self.slope_[labels])


def _scale(column, sample_weight):
    """Return the standard deviation of a column, 1 where all its values are equal."""
    if not np.ptp(column):  # which rounding could turn into an ulp
        return 1.0
    weights = np.broadcast_to(sample_weight, column.shape)
    squares = np.square(column - np.average(column, weights=weights))
    return np.sqrt(np.average(squares, weights=weights))


def _signals(pairs, idf):
    """Return the columns of the boosted model: rarity first, then what may only raise the fused logit."""
    others = [
        column for columns in (pairs.share, pairs.affinity) if columns is not None for column in columns.T
    ]
    return [idf, *pairs.logits.T, *others]


def _steps(column, truth):
    """Choose the values at which a signal's steps begin: half by all pairs, half by the true ones."""
    at = np.linspace(0, 1, _MAX_STEPS // 2)
    both = (np.quantile(column, at), np.quantile(column[truth], at))
    return np.unique(np.concatenate(both))


def term_name(term: str, number: int) -> str:
    """Name a term of the linear fusion.

    Parameters
    ----------
    term : str
        "score", "share" or "affinity".
    number : int
        Which of the base models, searches or texts, from 0.

    Returns
    -------
    str
        Its name; the first one, to whose logit thresholds belong, has no number.

    Examples
    --------
    >>> term_name("score", 0), term_name("score", 1)
    ('score', 'score 2')
    """
    return term if number == 0 else f"{term} {number + 1}"
