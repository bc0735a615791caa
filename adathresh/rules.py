"""Decision rules: what turns held-out scores into cuts, and scores into labels.

Every rule is a :class:`DecisionRule`: ``fit(scores, Y)`` on held-out rows, ``predict(scores)`` on new ones. A
label is predicted when its score is *greater than* the cut, z > θ. In sparse scores an absent pair is never
predicted.

To add a rule, subclass :class:`DecisionRule` and write ``_fit(scores, Y)``, which sets ``thresholds_`` (one
cut, or one for every label). A rule without such cuts, like :class:`TopK`, writes ``_decide(scores)``, too.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from adathresh._validation import (
    candidate_pairs,
    check_labels,
    check_scores,
    container_of,
    falling_by_label,
    grouped_by_label,
    like_input,
)
from adathresh.metrics import top_k


class DecisionRule(BaseEstimator):
    """The interface of every decision rule, with the checks that all share.

    Attributes
    ----------
    n_labels_ : int
        Number of labels seen in fit.
    thresholds_ : float or ndarray of shape (n_labels,)
        The cut, or one cut for every label, in units of the scores; ``inf``: never predicted.
    """

    _needs_labels = True
    _needs_probabilities = False

    def fit(self, scores, Y=None):
        """Choose the cuts on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Scores of rows that the model did not train on.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Their true labels, 0 or 1; rules that say so do without.

        Returns
        -------
        DecisionRule
            The fitted rule.

        Raises
        ------
        ValueError
            If the scores are not finite, Y is missing or of another shape, or a parameter is out of range.
        """
        scores = check_scores(scores, probabilities=self._needs_probabilities)
        if self._needs_labels:
            if Y is None:
                raise ValueError(f"{type(self).__name__} learns its cuts from labels; pass Y to fit.")
            Y = check_labels(Y, n_samples=scores.shape[0], n_labels=scores.shape[1])
        self.n_labels_ = scores.shape[1]
        self._fit(scores, Y)
        return self

    def predict(self, scores):
        """Decide which labels each row gets.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Scores on the scale of :meth:`fit`.

        Returns
        -------
        ndarray, csr_array or csr_matrix of shape (n_samples, n_labels)
            0 or 1 as int64, in the container of the scores (sparse ones as CSR).

        Raises
        ------
        ValueError
            If the scores are not finite or have another number of labels than in fit.
        """
        check_is_fitted(self, "n_labels_")
        container = container_of(scores)
        scores = check_scores(scores, probabilities=self._needs_probabilities)
        if scores.shape[1] != self.n_labels_:
            raise ValueError(
                f"scores have {scores.shape[1]} labels, but {type(self).__name__} was fitted on "
                f"{self.n_labels_}."
            )
        return like_input(self._decide(scores), container)

    def _fit(self, scores, Y):
        """Set ``thresholds_`` from checked scores and labels."""
        raise NotImplementedError

    def _decide(self, scores):
        """Compare checked scores with the cuts; return CSR with one stored 1 for every predicted pair."""
        if not sp.issparse(scores):
            # float64, as below: a Python float would be rounded to the type of the scores
            return sp.csr_array(scores > np.asarray(self.thresholds_, dtype=np.float64))
        above = scores.data > np.broadcast_to(self.thresholds_, self.n_labels_)[scores.indices]
        indptr = np.r_[0, np.cumsum(above)][scores.indptr]
        return sp.csr_array((above[above], scores.indices[above], indptr), shape=scores.shape)


class FixedCut(DecisionRule):
    """Predict what scores above one given number; fit needs no labels.

    Parameters
    ----------
    threshold : float, default=0.5
        The cut, in units of the scores.

    Examples
    --------
    >>> from adathresh.rules import FixedCut
    >>> FixedCut(0.5).fit([[0.2, 0.9]]).predict([[0.5, 0.6]])
    array([[0, 1]])
    """

    _needs_labels = False

    def __init__(self, threshold=0.5):
        self.threshold = threshold

    def _fit(self, scores, Y):
        """Take the cut as given."""
        if np.isnan(self.threshold):
            raise ValueError("threshold must be a number; got NaN.")
        self.thresholds_ = float(self.threshold)


class GlobalCut(DecisionRule):
    """One cut for all labels, the best of all on the held-out rows.

    Every distinct score is tried, in one sweep down the sorted scores that updates the F1 of one label at a
    time: O(n log n) for n scores. The cut lies midway between neighbouring scores; of equally good cuts the
    highest is taken, and ``inf`` if none predicts a true label.

    Parameters
    ----------
    metric : {"macro_f1", "micro_f1"}, default="macro_f1"
        What the cut maximises.

    Examples
    --------
    >>> from adathresh.rules import GlobalCut
    >>> GlobalCut().fit([[0.1, 0.7], [0.3, 0.8]], [[0, 1], [1, 1]]).thresholds_
    0.2
    """

    def __init__(self, metric="macro_f1"):
        self.metric = metric

    def _fit(self, scores, Y):
        """Sweep the cut from the highest score down."""
        if self.metric not in ("macro_f1", "micro_f1"):
            raise ValueError(f'metric must be "macro_f1" or "micro_f1"; got {self.metric!r}.')
        labels, values, truth = candidate_pairs(Y, scores)
        order = np.argsort(-values)
        labels, values, truth = labels[order], values[order], truth[order]
        if self.metric == "micro_f1":
            objective = 2 * np.cumsum(truth) / (np.arange(1, len(truth) + 1) + Y.nnz)
        else:
            # equal in exact arithmetic must stay equal, so that the highest of the best cuts is found
            objective = np.round(np.cumsum(_macro_f1_gains(labels, truth, Y)), 10)
        objective[:-1][values[1:] == values[:-1]] = 0  # a cut cannot part equal scores
        best = int(np.argmax(objective)) if len(objective) else 0
        if objective[best : best + 1].any():
            lower = values[best + 1] if best + 1 < len(values) else -np.inf
            self.thresholds_ = float(_cut_between(values[best], lower))
        else:
            self.thresholds_ = float("inf")


class TopK(DecisionRule):
    """Predict the k highest-scored labels of every row (RCut); fit needs no labels.

    Of equal scores the lower label index comes first. There are no ``thresholds_``.

    Parameters
    ----------
    k : int, default=5
        Number of labels a row, at least 1.

    Examples
    --------
    >>> from adathresh.rules import TopK
    >>> TopK(1).fit([[0.2, 0.9]]).predict([[0.5, 0.4], [0.1, 0.3]])
    array([[1, 0],
           [0, 1]])
    """

    _needs_labels = False

    def __init__(self, k=5):
        self.k = k

    def _fit(self, scores, Y):
        """Check the length of the list."""
        if self.k < 1:
            raise ValueError(f"k must be at least 1; got {self.k}.")

    def _decide(self, scores):
        """Mark the k highest scores of each row."""
        top = top_k(scores, self.k)
        top.data = np.ones(top.nnz, dtype=bool)
        return top


class PerLabelCut(DecisionRule):
    """One cut for every label, the best for its F1 on the held-out rows (SCut), or a fallback (SCutFBR).

    The cut lies midway between neighbouring scores of the label, and just below its lowest score if all its
    scored rows are best predicted; of equally good cuts the highest is taken. A label without a scored
    positive gets ``inf`` and is never predicted. On few positives the best cut overfits, mostly by being too
    low; SCutFBR (Yang 2001; Lewis et al. 2004; Fan and Lin 2007) replaces it where the F1 it reaches on the
    held-out rows stays below a bound, fbr. A label without any held-out positive keeps ``inf``.

    Parameters
    ----------
    fallback : {None, "top", "never"}, default=None
        The cut of a label whose best F1 is below fbr: None keeps the best cut (SCut), "top" takes the label's
        highest held-out score (SCutFBR.1), "never" takes ``inf`` (SCutFBR.0).
    fbr : float, default=0.1
        The bound on the F1, in [0, 1]; without effect when fallback is None.

    Attributes
    ----------
    f1_ : ndarray of shape (n_labels,)
        The F1 that the best cut of each label reaches on the held-out rows, before any fallback.

    Examples
    --------
    >>> from adathresh.rules import PerLabelCut
    >>> PerLabelCut().fit([[0.1, 0.2], [0.3, 0.4], [0.2, 0.6]], [[0, 0], [1, 0], [0, 1]]).thresholds_
    array([0.25, 0.5 ])
    """

    def __init__(self, fallback=None, *, fbr=0.1):
        self.fallback = fallback
        self.fbr = fbr

    def _fit(self, scores, Y):
        """Cut every label where its F1 is greatest, then fall back where that is too low."""
        if self.fallback not in (None, "top", "never"):
            raise ValueError(f'fallback must be None, "top" or "never"; got {self.fallback!r}.')
        if not 0 <= self.fbr <= 1:
            raise ValueError(f"fbr must be in [0, 1]; got {self.fbr}.")
        n_labels = self.n_labels_
        labels, values, truth = candidate_pairs(Y, scores)
        order = falling_by_label(labels, values)
        labels, values, truth = labels[order], values[order], truth[order]
        n_positives = np.bincount(Y.indices, minlength=n_labels)
        f1 = _f1_path(labels, truth, n_positives)
        same_label = labels[1:] == labels[:-1]
        f1[:-1][same_label & (values[1:] == values[:-1])] = 0  # a cut cannot part equal scores
        self.f1_ = _label_max(labels, f1, n_labels)
        best = np.flatnonzero((f1 == self.f1_[labels]) & (f1 > 0))
        best = best[_opens_label(labels[best])]
        lower = np.full(len(values), -np.inf)
        lower[:-1][same_label] = values[1:][same_label]
        self.thresholds_ = np.full(n_labels, np.inf)
        self.thresholds_[labels[best]] = _cut_between(values[best], lower[best])
        if self.fallback is not None:
            top = np.full(n_labels, np.inf)
            if self.fallback == "top":
                first = np.flatnonzero(_opens_label(labels))
                top[labels[first]] = values[first]
            weak = (n_positives > 0) & (self.f1_ < self.fbr)
            self.thresholds_[weak] = top[weak]


class ExpectedF1Cut(DecisionRule):
    """One cut for every label from calibrated probabilities alone: half of the greatest expected F1.

    For a label with probabilities p_1 ≥ p_2 ≥ …, F* = max_m 2·Σ_{i ≤ m} p_i / (m + Σ_i p_i), and the optimal
    cut is F*/2 (Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892; the quotient of expectations stands
    for the expectation of the quotient, which is close when many positives are expected). Absent pairs of
    sparse probabilities count as 0. A label whose probabilities are all 0 gets ``inf``. Fit needs no labels:
    fitted on the very rows to be predicted, the rule is transductive.

    Attributes
    ----------
    f1_ : ndarray of shape (n_labels,)
        F*, the expected F1 of each label on the rows of fit.

    Examples
    --------
    >>> from adathresh.rules import ExpectedF1Cut
    >>> ExpectedF1Cut().fit([[0.5], [0.5], [0.0]]).thresholds_  # F* = 2 * 1 / (2 + 1)
    array([0.33333333])
    """

    _needs_labels = False
    _needs_probabilities = True

    def _fit(self, scores, Y):
        """Halve the greatest expected F1 of every label."""
        unknown = sp.csr_array(scores.shape, dtype=np.float32)
        labels, values, _ = candidate_pairs(unknown, scores)
        order = falling_by_label(labels, values)
        totals = np.bincount(labels, weights=values, minlength=self.n_labels_)
        # the running sum crosses all labels, and small probabilities must survive in it
        path = _f1_path(labels[order], values[order].astype(np.longdouble), totals)
        self.f1_ = _label_max(labels[order], path.astype(np.float64), self.n_labels_)
        self.thresholds_ = np.where(self.f1_ > 0, self.f1_ / 2, np.inf)


def _f1_path(labels, gains, totals):
    """F1 after each pair, pairs grouped by label: 2·Σ gains so far / (pairs so far + total of the label)."""
    sizes = np.bincount(labels, minlength=len(totals))
    starts = np.cumsum(sizes) - sizes
    running = np.cumsum(gains)
    rank = np.arange(1, len(labels) + 1) - starts[labels]
    return 2 * (running - np.r_[running[:0], 0, running][starts][labels]) / (rank + totals[labels])


def _macro_f1_gains(labels, truth, Y):
    """Change of macro-F1 as each pair, in order of falling score, is added to the predictions."""
    n_labels = Y.shape[1]
    order = grouped_by_label(labels)
    f1 = _f1_path(labels[order], truth[order], np.bincount(Y.indices, minlength=n_labels))
    before = np.zeros(len(f1))
    before[1:] = f1[:-1]
    before[_opens_label(labels[order])] = 0
    gains = np.empty(len(f1))
    gains[order] = (f1 - before) / n_labels
    return gains


def _opens_label(labels):
    """Mark the first pair of each label in pairs grouped by label."""
    return np.r_[True, labels[1:] != labels[:-1]][: len(labels)]


def _label_max(labels, values, n_labels):
    """Greatest value of each label in pairs grouped by label; 0 for a label without pairs."""
    first = np.flatnonzero(_opens_label(labels))
    result = np.zeros(n_labels)
    if len(first):
        result[labels[first]] = np.maximum.reduceat(values, first)
    return result


def _cut_between(upper, lower):
    """Cut midway between two scores; just below the upper one where there is no lower one (−inf)."""
    upper, lower = np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    # halved first: the sum of two large scores may overflow
    middle = np.maximum(upper / 2 + lower / 2, lower)
    middle = np.where(middle < upper, middle, lower)
    return np.where(np.isneginf(lower), np.nextafter(upper, -np.inf), middle)
