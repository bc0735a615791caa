"""Every metric of the project, defined once, for dense and for sparse labels and scores.

Labels are 0/1 matrices of shape (n_samples, n_labels). Scores may be sparse: an absent pair (row, label) was
never a candidate. Nothing sparse is densified.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.utils import check_random_state, gen_batches

from adathresh.calibration import equal_mass_bins, n_absent_pairs, reliability_curve
from adathresh.utils.validation import candidate_pairs, check_labels, check_scores, falling_by_label

# training frequencies from the first to the second, both included
_FREQUENCY_BINS = {
    "0": (0, 0),
    "1_5": (1, 5),
    "6_20": (6, 20),
    "21_100": (21, 100),
    "over_100": (101, np.inf),
}
# of the normal distribution, for intervals of 95 %
_QUANTILE_95 = 1.959964
# resamples of a bootstrap that are averaged together; bounds the working memory
_DRAWS_AT_ONCE = 256
# bins of the expected calibration error, where nothing else is asked for
_BINS = 15
# the log-loss of one pair never exceeds −log of this
_LEAST_PROBABILITY = 1e-7


def macro_f1(Y_true, Y_pred):
    """Mean F1 over all labels; a label that neither occurs nor is predicted counts 0.

    F1_l = 2·TP_l / (2·TP_l + FP_l + FN_l). Equals ``sklearn.metrics.f1_score(average="macro",
    zero_division=0)``.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, :func:`macro_f1_ceiling`].

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.

    Examples
    --------
    >>> from adathresh.metrics import macro_f1
    >>> macro_f1([[1, 0, 0], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]])  # F1 of the labels: 1, 0, undefined
    0.3333333333333333
    """
    return float(_f1_by_label(*_check_pair(Y_true, Y_pred)).mean())


def macro_f1_present(Y_true, Y_pred):
    """Mean F1 over the labels with at least one positive among the evaluated rows.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1]; NaN when no label has a positive.

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.
    """
    Y_true, Y_pred = _check_pair(Y_true, Y_pred)
    return _mean(_f1_by_label(Y_true, Y_pred)[_label_counts(Y_true) > 0])


def binned_macro_f1(Y_true, Y_pred, train_frequency):
    """Mean F1 over the labels of each band of training frequency: 0, 1-5, 6-20, 21-100, over 100.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.
    train_frequency : array-like of shape (n_labels,)
        Number of training rows with the label.

    Returns
    -------
    dict of str to float
        Keys ``macro_f1_0``, ``macro_f1_1_5``, ``macro_f1_6_20``, ``macro_f1_21_100``,
        ``macro_f1_over_100``; NaN for a band without labels. All labels of a band count, undefined F1 = 0.

    Raises
    ------
    ValueError
        If the shapes differ, values are not 0 or 1, or frequencies are negative.
    """
    Y_true, Y_pred = _check_pair(Y_true, Y_pred)
    bins = _frequency_bins(train_frequency, Y_true.shape[1])
    f1 = _f1_by_label(Y_true, Y_pred)
    return {f"macro_f1_{name}": _mean(f1[members]) for name, members in bins.items()}


def micro_f1(Y_true, Y_pred):
    """F1 of all (row, label) pairs pooled: 2·TP / (2·TP + FP + FN).

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1]; 0 when nothing is true and nothing predicted.

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.
    """
    Y_true, Y_pred = _check_pair(Y_true, Y_pred)
    return float(_f1(_hits(Y_true, Y_pred).nnz, Y_true.nnz + Y_pred.nnz))


def example_f1(Y_true, Y_pred):
    """Mean over the rows of the F1 of each row; a row without true and predicted labels counts 0.

    Equals ``sklearn.metrics.f1_score(average="samples", zero_division=0)``.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ or values are not 0 or 1.
    """
    return _mean(_f1_by_row(*_check_pair(Y_true, Y_pred)))


def macro_f1_ceiling(Y_true):
    """Share of labels with a positive among the evaluated rows: the greatest macro-F1 that can be reached.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If values are not 0 or 1.
    """
    return float((_label_counts(check_labels(Y_true, name="Y_true")) > 0).mean())


def top_k(scores, k):
    """Keep the k highest scores of each row; of equal scores the lower label index comes first.

    Parameters
    ----------
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores; an absent pair of a sparse matrix is never kept.
    k : int
        How many, at least 1. A row with fewer scores keeps all it has.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        The kept scores; a kept score of 0 is stored.

    Raises
    ------
    ValueError
        If k < 1 or the scores are not finite.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1; got {k}.")
    scores = check_scores(scores)
    n_samples, n_labels = scores.shape
    if sp.issparse(scores):
        rows = np.repeat(np.arange(n_samples), np.diff(scores.indptr))
        labels, values = scores.indices, scores.data
    else:
        # only what reaches the row's k-th score need be sorted
        kth = max(n_labels - k, 0)
        rows, labels = np.nonzero(scores >= np.partition(scores, kth, axis=1)[:, [kth]])
        values = scores[rows, labels]
    per_row = np.bincount(rows, minlength=n_samples)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    kept = np.zeros(len(rows), dtype=bool)
    kept[np.lexsort((labels, -values, rows))[rank < k]] = True
    indptr = np.r_[0, np.cumsum(np.minimum(per_row, k))]
    return sp.csr_array((values[kept], labels[kept], indptr), shape=scores.shape)


def precision_at_k(Y_true, scores, k):
    """Mean over the rows of the share of true labels among the k highest-scored ones.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores. Ties go to the lower label index.
    k : int
        Length of the list, at least 1. The divisor is always k, also for rows with fewer scores.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite or k < 1.

    Examples
    --------
    >>> from adathresh.metrics import precision_at_k
    >>> precision_at_k([[1, 0, 1], [0, 1, 0]], [[0.9, 0.8, 0.1], [0.2, 0.7, 0.6]], 2)
    0.5
    """
    Y_true = check_labels(Y_true, name="Y_true")
    top = top_k(_match_scores(scores, Y_true), k)
    return float(_hits(Y_true, _ones(top)).nnz / (k * Y_true.shape[0]))


def psp_at_k(Y_true, scores, train_frequency, k, *, n_train, A=0.55, B=1.5):
    """Propensity-scored precision at k, normalised by the best possible list.

    PSP@k = Σ_rows Σ_{l in top k} y_l / p_l  /  Σ_rows max_{|S| = k} Σ_{l in S} y_l / p_l with the propensity
    model 1/p_l = 1 + C·(N_l + B)^−A, C = (log N − 1)·(B + 1)^A (Jain, Prabhu and Varma, KDD 2016). Numerator
    and denominator are summed over the rows before the division, as in the evaluation scripts of the Extreme
    Classification Repository (pyxclib, ``psprecision``).

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores. Ties go to the lower label index.
    train_frequency : array-like of shape (n_labels,)
        N_l, the number of training rows with the label.
    k : int
        Length of the list, at least 1.
    n_train : int
        N, the number of training rows; at least 3.
    A, B : float
        Constants of the propensity model; the repository takes 0.55 and 1.5 for most data sets.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no true label.

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite, k < 1, n_train < 3 or a frequency exceeds n_train.
    """
    Y_true = check_labels(Y_true, name="Y_true")
    frequency = _check_frequency(train_frequency, Y_true.shape[1])
    if n_train < 3:
        raise ValueError(
            f"n_train must be at least 3 (the propensity model takes log(n_train) - 1); got {n_train}."
        )
    if frequency.max(initial=0) > n_train:
        raise ValueError(f"train_frequency goes up to {frequency.max():g}, but n_train is {n_train}.")
    weights = 1 + (np.log(n_train) - 1) * (B + 1) ** A * (frequency + B) ** -A
    top = top_k(_match_scores(scores, Y_true), k)
    gained = weights[_hits(Y_true, _ones(top)).indices].sum()
    weighted = sp.csr_array((weights[Y_true.indices], Y_true.indices, Y_true.indptr), shape=Y_true.shape)
    best = top_k(weighted, k).data.sum()
    return float(gained / best) if best else float("nan")


def macro_auroc(Y_true, scores):
    """Mean over the labels of the area under the ROC curve, exact with ties.

    The area is the share of (positive, negative) row pairs that the score orders rightly, ties counting one
    half. Absent pairs of a sparse matrix are tied below every stored score.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores.

    Returns
    -------
    float
        In [0, 1]: the mean over the labels with positives and negatives; NaN when there is none.

    Raises
    ------
    ValueError
        If the shapes differ or the scores are not finite.
    """
    auroc = _order_pairs(Y_true, scores).auroc
    return _mean(auroc[~np.isnan(auroc)])


def binned_macro_auroc(Y_true, scores, train_frequency):
    """Mean area under the ROC curve over the labels of each band of training frequency.

    Unlike F1, the area does not depend on how frequent a label is, so the bands can be compared.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores; absent pairs as in :func:`macro_auroc`.
    train_frequency : array-like of shape (n_labels,)
        Number of training rows with the label.

    Returns
    -------
    dict of str to float
        Keys ``macro_auroc_0``, ``macro_auroc_1_5``, ``macro_auroc_6_20``, ``macro_auroc_21_100``,
        ``macro_auroc_over_100``: the mean over the band's labels that have positives and negatives among
        the evaluated rows; NaN for a band without such labels.

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite or frequencies are negative.
    """
    auroc = _order_pairs(Y_true, scores).auroc
    bins = _frequency_bins(train_frequency, len(auroc))
    defined = ~np.isnan(auroc)
    return {f"macro_auroc_{name}": _mean(auroc[members & defined]) for name, members in bins.items()}


def macro_auroc_interval(Y_true, scores, train_frequency=None):
    """Macro-AUROC with its 95 % interval, over all labels and over those of each band of training frequency.

    The area of a label is a mean over its positive rows, and another over its negative ones, of the share of
    the other class that a row is rightly ordered against. DeLong, DeLong and Clarke-Pearson (Biometrics 1988)
    take the variance from the spread of these shares. Here a row's shares are first summed over the labels:
    all labels are judged on the same rows, and a row may carry several of them, which the variances of single
    labels, added up, would not know. A label with one positive shows no spread; its share is compared with
    the macro-AUROC instead, which takes the differences between such labels for chance and makes the interval
    rather too wide. No resample is drawn, because rare labels drop out of resamples (see
    :func:`paired_bootstrap`). The interval is normal on the logit scale, which keeps its limits inside (0, 1)
    (Pepe 2003, ch. 5). In a simulation with 150 long-tailed labels that occur together, and 300 or 1,000 test
    rows, intervals of all labels and of the bands covered the truth in 90-99 % of the cases.

    The labels that are averaged, those with positives and negatives among the rows, are taken as given.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores; absent pairs as in :func:`macro_auroc`.
    train_frequency : array-like of shape (n_labels,), optional
        Number of training rows with the label; adds the bands.

    Returns
    -------
    dict of str to dict
        For ``macro_auroc`` and each key of :func:`binned_macro_auroc`: ``value``, ``low``, ``high`` and
        ``n_labels``, the number of labels averaged. NaN limits where the rows show no spread: every pair
        ordered rightly (or wrongly), or a single label with a single positive.

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite or frequencies are negative.

    Examples
    --------
    >>> from adathresh.metrics import macro_auroc_interval
    >>> result = macro_auroc_interval([[1], [1], [0], [0], [0]], [[0.9], [0.3], [0.5], [0.2], [0.1]])
    >>> {name: round(value, 2) for name, value in result["macro_auroc"].items()}
    {'value': 0.83, 'low': 0.15, 'high': 0.99, 'n_labels': 1}
    """
    order = _order_pairs(Y_true, scores)
    result = {}
    for key, members in _auroc_groups(order.auroc, train_frequency).items():
        value, error = _mean(order.auroc[members]), _standard_error(_auroc_influence(order, members))
        low = high = float("nan")
        if 0 < value < 1:
            half = _QUANTILE_95 * error / (value * (1 - value))
            low, high = (float(limit) for limit in expit(logit(value) + np.array([-half, half])))
        result[key] = {"value": value, "low": low, "high": high, "n_labels": int(members.sum())}
    return result


def paired_macro_auroc(Y_true, scores_a, scores_b, train_frequency=None):
    """Difference in macro-AUROC between two scores of the same rows, with its 95 % interval.

    The contributions of a row to both are subtracted before their spread is taken (DeLong, DeLong and
    Clarke-Pearson 1988), as in :func:`macro_auroc_interval`; what both scores get right or wrong on the same
    rows cancels.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores_a, scores_b : array-like or sparse of shape (n_samples, n_labels)
        The two scores, finite; absent pairs as in :func:`macro_auroc`.
    train_frequency : array-like of shape (n_labels,), optional
        Number of training rows with the label; adds the bands.

    Returns
    -------
    dict of str to dict
        For ``macro_auroc`` and each key of :func:`binned_macro_auroc`: ``difference`` (a - b), ``low``,
        ``high`` and ``n_labels``. NaN limits for a single label with a single positive.

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite or frequencies are negative.
    """
    a, b = (_order_pairs(Y_true, s, name=n) for s, n in ((scores_a, "scores_a"), (scores_b, "scores_b")))
    result = {}
    for key, members in _auroc_groups(a.auroc, train_frequency).items():
        difference = _mean(a.auroc[members]) - _mean(b.auroc[members])
        influence = _auroc_influence(a, members) - _auroc_influence(b, members)
        half = _QUANTILE_95 * _standard_error(influence)
        limits = {"low": difference - half, "high": difference + half}
        result[key] = {"difference": difference, **limits, "n_labels": int(members.sum())}
    return result


class _PairOrder(NamedTuple):
    """How a score orders the rows of every label."""

    Y: sp.csr_array  # checked true labels
    rows: np.ndarray  # (n_pairs,) of the scored pairs
    labels: np.ndarray
    truth: np.ndarray
    share: np.ndarray  # (n_pairs,) share of the label's rows of the other class that are rightly ordered
    absent: tuple  # (n_labels,) such share of an unscored negative, of an unscored positive
    count: tuple  # (n_labels,) negatives, positives
    auroc: np.ndarray  # (n_labels,) NaN where a class is empty


def _order_pairs(Y_true, scores, *, name="scores"):
    """Compare every scored pair with the rows of the other class; absent pairs are tied below all others."""
    Y = check_labels(Y_true, name="Y_true")
    scores = check_scores(scores, name=name, n_samples=Y.shape[0], n_labels=Y.shape[1])
    n_samples, n_labels = Y.shape
    labels, values, truth = candidate_pairs(Y, scores)
    order = falling_by_label(labels, values)
    labels, values, truth = labels[order], values[order], truth[order]
    opens = np.r_[True, (labels[1:] != labels[:-1]) | (values[1:] != values[:-1])][: len(labels)]
    tie = np.cumsum(opens) - 1
    positives = _label_counts(Y)
    count = n_samples - positives, positives
    above, scored = [], []
    for of_class in (~truth, truth):
        scored.append(np.bincount(labels[of_class], minlength=n_labels))
        tied = np.bincount(tie[of_class], minlength=opens.sum())
        before_label = (np.cumsum(scored[-1]) - scored[-1])[labels[opens]]
        # within the label: those ranked above the tie, and half of those in it
        above.append(np.cumsum(tied) - tied / 2 - before_label)
    with np.errstate(divide="ignore", invalid="ignore"):  # labels without a positive or a negative
        share = np.empty(len(labels))
        share[truth] = 1 - above[0][tie[truth]] / count[0][labels[truth]]
        share[~truth] = above[1][tie[~truth]] / count[1][labels[~truth]]
        absent = (scored[1] + count[1]) / (2 * count[1]), (count[0] - scored[0]) / (2 * count[0])
        total = np.bincount(labels[truth], weights=share[truth], minlength=n_labels)
        auroc = (total + (positives - scored[1]) * absent[1]) / positives
    auroc[(count[0] == 0) | (count[1] == 0)] = np.nan
    n_scored = np.diff(scores.indptr) if sp.issparse(scores) else np.full(n_samples, n_labels)
    rows = np.repeat(np.arange(n_samples), n_scored)[order]
    return _PairOrder(Y, rows, labels, truth, share, absent, count, auroc)


def _auroc_groups(auroc, train_frequency):
    """Return the labels with an area: all of them and, if frequencies are given, those of each band."""
    groups = {"macro_auroc": np.ones(len(auroc), dtype=bool)}
    if train_frequency is not None:
        bins = _frequency_bins(train_frequency, len(auroc))
        groups |= {f"macro_auroc_{name}": members for name, members in bins.items()}
    return {key: members & ~np.isnan(auroc) for key, members in groups.items()}


def _auroc_influence(order, members):
    """Return what each row adds to the mean area of some labels; the squares sum to the variance."""
    influence = np.zeros(order.Y.shape[0])
    n_members = members.sum()
    for of_class in (0, 1):
        n = np.where(members, order.count[of_class], 0)
        single = n == 1
        centre = np.where(single, _mean(order.auroc[members]), order.auroc)
        # a spread about a mean of n values is taken over n - 1
        free = np.where(single, n_members, n)[members].astype(float)
        free[free == 1] = np.nan
        scale = np.zeros(len(n))
        scale[members] = np.sqrt(free / (free - 1)) / (n[members] * n_members)
        unscored = np.zeros(len(n))
        unscored[members] = scale[members] * (order.absent[of_class] - centre)[members]
        # as if no pair of the class were scored, then what the scored ones have more
        carried = order.Y @ unscored
        influence += carried if of_class else unscored.sum() - carried
        at = np.flatnonzero((order.truth == of_class) & members[order.labels])
        labels = order.labels[at]
        more = scale[labels] * (order.share[at] - order.absent[of_class][labels])
        influence += np.bincount(order.rows[at], weights=more, minlength=len(influence))
    return influence


def _standard_error(influence):
    """Return the standard error of a mean whose rows add these; NaN if a part of the spread is not known."""
    total = np.sum(influence**2)
    return float(np.sqrt(total)) if np.isfinite(total) else float("nan")


def expected_calibration_error(Y_true, scores, *, n_bins=_BINS, pairs="candidates"):
    """Mean gap between predicted probability and observed share over equal-mass bins.

    ECE = Σ_b (n_b / n)·|mean p − share true|_b (Naeini et al. 2015, with equal-mass bins) over the bins of
    :func:`adathresh.calibration.reliability_curve`.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    n_bins : int, default=15
        Number of bins, at least 1.
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no pair.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or n_bins or pairs is out of range.
    """
    curve = reliability_curve(Y_true, scores, n_bins=n_bins, pairs=pairs)
    if not len(curve.count):
        return float("nan")
    return float(np.average(np.abs(curve.mean_predicted - curve.observed), weights=curve.count))


def brier_score(Y_true, scores, *, pairs="candidates"):
    """Mean squared difference between probability and truth over (row, label) pairs.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    float
        In [0, 1]; NaN when there is no pair.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or pairs is neither of the two.
    """
    return _mean_loss(Y_true, scores, pairs, lambda p, true: (p - true) ** 2)


def log_loss(Y_true, scores, *, pairs="candidates"):
    """Mean negative log-likelihood, −log max(P(observed truth), 1e-7), over (row, label) pairs.

    The floor of 1e-7 bounds what a true label with probability 0 costs, at 16.1.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Probabilities in [0, 1].
    pairs : {"candidates", "all"}, default="candidates"
        Count the scored pairs only, or the absent pairs of a sparse matrix too, with probability 0.

    Returns
    -------
    float
        In [0, 16.2]; NaN when there is no pair.

    Raises
    ------
    ValueError
        If the scores are not probabilities, the shapes differ, or pairs is neither of the two.
    """
    return _mean_loss(
        Y_true,
        scores,
        pairs,
        lambda p, true: -np.log(np.maximum(np.where(true, p, 1 - p), _LEAST_PROBABILITY)),
    )


def coverage_at_precision(Y_true, Y_pred, scores, precision):
    """Share of rows whose predictions can be accepted automatically at the wanted precision.

    Rows are ranked by confidence, the smallest score among their predicted labels; the longest prefix of that
    ranking whose pooled precision (true predictions / predictions) reaches ``precision`` is accepted. Rows of
    equal confidence are accepted or refused together. A row without predictions offers nothing to accept, and
    a predicted label without a score puts its row last. The prefix is found with the true labels: the figure
    says how well confidence ranks the rows, not where to set a cut for new ones.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Finite scores that mean the same for every label, such as probabilities.
    precision : float
        The wanted precision, in (0, 1].

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, the scores are not finite or precision is not in (0, 1].
    """
    if not 0 < precision <= 1:
        raise ValueError(f"precision must be in (0, 1]; got {precision}.")
    Y_true, Y_pred = _check_pair(Y_true, Y_pred)
    predicted, confidence = _row_confidence(Y_pred, _match_scores(scores, Y_true))
    order = np.argsort(-confidence, kind="stable")
    correct = np.diff(_hits(Y_true, Y_pred).indptr)[predicted][order]
    made = np.diff(Y_pred.indptr)[predicted][order]
    reached = np.cumsum(correct) >= precision * np.cumsum(made)
    confidence = confidence[order]
    closes_tie = np.r_[confidence[1:] != confidence[:-1], True][: len(confidence)]
    accepted = np.flatnonzero(reached & closes_tie)
    return float((accepted[-1] + 1) / Y_true.shape[0]) if len(accepted) else 0.0


def evaluate(Y_true, Y_pred, scores=None, train_frequency=None, *, n_train=None):
    """Compute every metric that the arguments allow.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels), optional
        Probabilities in [0, 1]; adds precision@k, AUROC, ECE, Brier, log-loss and coverage.
    train_frequency : array-like of shape (n_labels,), optional
        Number of training rows with each label; adds macro-F1 by frequency band.
    n_train : int, optional
        Number of training rows; adds PSP@k when scores and train_frequency are given too.

    Returns
    -------
    dict of str to float
        Always ``macro_f1``, ``macro_f1_present``, ``micro_f1``, ``example_f1``. With train_frequency, the
        keys of :func:`binned_macro_f1`. With scores, ``precision_at_1``, ``_3``, ``_5``, ``macro_auroc``,
        ``ece_candidates``, ``ece_all``, ``brier_candidates``, ``brier_all``, ``log_loss_candidates``,
        ``log_loss_all``, ``coverage_at_precision_0_9``; with n_train besides, ``psp_at_1``, ``_3``, ``_5``.

    Raises
    ------
    ValueError
        If the shapes differ, values are not 0 or 1, or the scores are not probabilities.

    Examples
    --------
    >>> from adathresh.metrics import evaluate
    >>> evaluate([[1, 0], [1, 1]], [[1, 0], [1, 0]])
    {'macro_f1': 0.5, 'macro_f1_present': 0.5, 'micro_f1': 0.8, 'example_f1': 0.8333...}
    """
    Y_true, Y_pred = _check_pair(Y_true, Y_pred)
    result = {
        "macro_f1": macro_f1(Y_true, Y_pred),
        "macro_f1_present": macro_f1_present(Y_true, Y_pred),
        "micro_f1": micro_f1(Y_true, Y_pred),
        "example_f1": example_f1(Y_true, Y_pred),
    }
    if train_frequency is not None:
        result |= binned_macro_f1(Y_true, Y_pred, train_frequency)
    if scores is None:
        return result
    scores = _match_scores(scores, Y_true, probabilities=True)
    top = top_k(scores, 5)  # the lists of length 1 and 3 are its beginnings
    result |= {f"precision_at_{k}": precision_at_k(Y_true, top, k) for k in (1, 3, 5)}
    if train_frequency is not None and n_train is not None:
        result |= {
            f"psp_at_{k}": psp_at_k(Y_true, top, train_frequency, k, n_train=n_train) for k in (1, 3, 5)
        }
    result["macro_auroc"] = macro_auroc(Y_true, scores)
    for pairs in ("candidates", "all"):
        result[f"ece_{pairs}"] = expected_calibration_error(Y_true, scores, pairs=pairs)
        result[f"brier_{pairs}"] = brier_score(Y_true, scores, pairs=pairs)
        result[f"log_loss_{pairs}"] = log_loss(Y_true, scores, pairs=pairs)
    result["coverage_at_precision_0_9"] = coverage_at_precision(Y_true, Y_pred, scores, 0.9)
    return result


def paired_bootstrap(Y_true, Y_pred_a, Y_pred_b, *, metric="macro_f1", n_draws=1000, random_state=0):
    """Interval of the difference between two predictions of the same rows, by resampling the rows.

    What is resampled, with replacement and for both predictions together, is the contribution of each row to
    metric(a) - metric(b): its jackknife pseudo-value n·d - (n - 1)·d_without_row (Efron and Tibshirani 1993,
    ch. 11). The interval runs from the 2.5 % to the 97.5 % quantile of the draws, which centre on d.

    The metric of a resample itself will not do for macro-F1: a resample holds 63 % of the rows, so that rare
    labels drop out of it, macro-F1 shifts, and the interval with it, often past the difference it is for. In
    a simulation with 300 long-tailed labels and 600 test rows such intervals covered the truth in 16 % of the
    cases instead of 95 %, and those of the pseudo-values in 97 %.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1; at least two rows.
    Y_pred_a, Y_pred_b : array-like or sparse of shape (n_samples, n_labels)
        The two predictions, 0 or 1; for "ece" and "brier" probabilities in [0, 1].
    metric : {"macro_f1", "micro_f1", "example_f1", "ece", "brier"}, default="macro_f1"
        What is compared; the last two over the scored pairs, ECE in the bins of all rows. Noise adds to ECE,
        the more the fewer the rows, so that its interval is for as many rows as these.
    n_draws : int, default=1000
        Number of resamples, at least 1.
    random_state : int, RandomState instance or None, default=0
        Source of the resamples.

    Returns
    -------
    dict of str to float
        ``difference`` on the rows themselves, ``low`` and ``high`` of its 95 % interval.

    Raises
    ------
    ValueError
        If the shapes differ, values are not 0 or 1 (or no probabilities), there are fewer than two rows, the
        metric is none of these or n_draws < 1.

    Examples
    --------
    >>> from adathresh.metrics import paired_bootstrap
    >>> paired_bootstrap([[1], [1], [0]], [[1], [1], [0]], [[1], [1], [0]], n_draws=10)
    {'difference': 0.0, 'low': 0.0, 'high': 0.0}
    """
    return repeated_paired_bootstrap(
        Y_true, [Y_pred_a], [Y_pred_b], metric=metric, n_draws=n_draws, random_state=random_state
    )


def repeated_paired_bootstrap(
    Y_true, Y_preds_a, Y_preds_b, *, metric="macro_f1", n_draws=1000, random_state=0
):
    """Interval of the mean difference between two methods that were repeated, for example with other seeds.

    Each draw resamples both the rows, as in :func:`paired_bootstrap`, and the repetitions (Efron and
    Tibshirani 1993, ch. 8, on data of two levels), so that the interval holds what rows and seeds leave open.
    All repetitions of a draw take the same rows: what they all do to a row stays, what one of them does to it
    averages out. With few repetitions their own part is somewhat too small, by
    (n_repetitions - 1) / n_repetitions in variance.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1; at least two rows.
    Y_preds_a, Y_preds_b : sequence of array-like or sparse of shape (n_samples, n_labels)
        The predictions of the two methods, one a repetition; the i-th of both are compared.
    metric : {"macro_f1", "micro_f1", "example_f1", "ece", "brier"}, default="macro_f1"
        As in :func:`paired_bootstrap`.
    n_draws : int, default=1000
        Number of resamples, at least 1.
    random_state : int, RandomState instance or None, default=0
        Source of the resamples.

    Returns
    -------
    dict of str to float
        ``difference``, the mean over the repetitions, ``low`` and ``high`` of its 95 % interval.

    Raises
    ------
    ValueError
        As :func:`paired_bootstrap`, and if the two methods have different numbers of repetitions, or none.
    """
    rivals = {"b": Y_preds_b}
    return paired_bootstraps(
        Y_true, Y_preds_a, rivals, metric=metric, n_draws=n_draws, random_state=random_state
    )["b"]


def paired_bootstraps(Y_true, Y_preds, rivals, *, metric="macro_f1", n_draws=1000, random_state=0):
    """Compare one method with several others by intervals that come from the same resamples.

    Each is what :func:`repeated_paired_bootstrap` returns for that pair; together they take a fraction of the
    time, because the rows are drawn once.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1; at least two rows.
    Y_preds : sequence of array-like or sparse of shape (n_samples, n_labels)
        The predictions of the method, one a repetition.
    rivals : dict of str to sequence of array-like or sparse of shape (n_samples, n_labels)
        The predictions of each other method by name; the i-th of both are compared.
    metric : {"macro_f1", "micro_f1", "example_f1", "ece", "brier"}, default="macro_f1"
        As in :func:`paired_bootstrap`.
    n_draws : int, default=1000
        Number of resamples, at least 1.
    random_state : int, RandomState instance or None, default=0
        Source of the resamples.

    Returns
    -------
    dict of str to dict of str to float
        For each rival ``difference``, the method's mean minus the rival's, ``low`` and ``high`` of its 95 %
        interval.

    Raises
    ------
    ValueError
        As :func:`repeated_paired_bootstrap`.
    """
    if metric not in _WITHOUT_EACH_ROW:
        raise ValueError(f"metric must be one of {', '.join(_WITHOUT_EACH_ROW)}; got {metric!r}.")
    if n_draws < 1:
        raise ValueError(f"n_draws must be at least 1; got {n_draws}.")
    for others in rivals.values():
        if len(Y_preds) != len(others) or not len(others):
            raise ValueError(
                f"both methods need equally many repetitions, at least one; "
                f"got {len(Y_preds)} and {len(others)}."
            )
    if not rivals:
        return {}
    ours = np.array([_pseudo_values(Y_true, Y_pred, metric, "Y_pred_a") for Y_pred in Y_preds])
    theirs = (
        [_pseudo_values(Y_true, Y_pred, metric, "Y_pred_b") for Y_pred in others]
        for others in rivals.values()
    )
    pseudo = np.array([ours - np.array(values) for values in theirs])
    low, high = np.quantile(_resampled_means(pseudo, n_draws, random_state), [0.025, 0.975], axis=0)
    return {
        name: {"difference": float(values.mean()), "low": float(low[i]), "high": float(high[i])}
        for i, (name, values) in enumerate(zip(rivals, pseudo, strict=True))
    }


def _resampled_means(values, n_draws, random_state):
    """Resample rows, and repetitions, of values of shape (n_rivals, n_repetitions, n_samples).

    Returns the means, of shape (n_draws, n_rivals); every rival's values take the same rows.
    """
    n_rivals, n_repetitions, n_samples = values.shape
    by_row = values.reshape(-1, n_samples).T
    random_state, means = check_random_state(random_state), []
    for part in gen_batches(n_draws, _DRAWS_AT_ONCE):
        times_row = np.empty((part.stop - part.start, n_samples))
        times_repetition = np.ones((part.stop - part.start, n_repetitions))
        for rows, repetitions in zip(times_row, times_repetition, strict=True):
            rows[:] = _times_drawn(random_state, n_samples)
            if n_repetitions > 1:
                repetitions[:] = _times_drawn(random_state, n_repetitions)
        of_repetition = (times_row @ by_row).reshape(-1, n_rivals, n_repetitions) / n_samples
        means.append(np.einsum("drs,ds->dr", of_repetition, times_repetition) / n_repetitions)
    return np.concatenate(means)


def _times_drawn(random_state, n):
    """Draw n of n things with replacement; return how often each is drawn."""
    return np.bincount(random_state.randint(n, size=n), minlength=n)


def _pseudo_values(Y_true, Y_pred, metric, pred_name):
    """Return each row's contribution to a metric; their mean is the metric."""
    Y_true = check_labels(Y_true, name="Y_true")
    n_samples, n_labels = Y_true.shape
    if n_samples < 2:
        raise ValueError(f"resampling needs at least two rows; Y_true has {n_samples}.")
    check, value_of, without_row_of = _WITHOUT_EACH_ROW[metric]
    Y_pred = check(Y_pred, name=pred_name, n_samples=n_samples, n_labels=n_labels)
    without_row = without_row_of(Y_true, Y_pred)
    return value_of(Y_true, Y_pred) + (n_samples - 1) * (without_row.mean() - without_row)


def _macro_f1_without_each_row(Y_true, Y_pred):
    """Macro-F1 of all rows but one, for each row left out; only the row's own labels change."""
    hits, marks = _label_counts(_hits(Y_true, Y_pred)), _label_counts(Y_true) + _label_counts(Y_pred)
    in_row = sp.csr_array(Y_true + Y_pred)  # 1: true or predicted, 2: both
    labels = in_row.indices
    f1 = _f1(hits, marks)
    change = _f1(hits[labels] - (in_row.data == 2), marks[labels] - in_row.data) - f1[labels]
    change = sp.csr_array((change, labels, in_row.indptr), shape=in_row.shape)
    return (f1.sum() + change.sum(axis=1)) / len(f1)


def _micro_f1_without_each_row(Y_true, Y_pred):
    """Micro-F1 of all rows but one, for each row left out."""
    hits, marks = np.diff(_hits(Y_true, Y_pred).indptr), np.diff(Y_true.indptr) + np.diff(Y_pred.indptr)
    return _f1(hits.sum() - hits, marks.sum() - marks)


def _example_f1_without_each_row(Y_true, Y_pred):
    """Example-F1 of all rows but one, for each row left out."""
    f1 = _f1_by_row(Y_true, Y_pred)
    return (f1.sum() - f1) / (len(f1) - 1)


def _ece_without_each_row(Y_true, scores):
    """ECE over the scored pairs of all rows but one, for each row left out, in the bins of all rows."""
    rows, probabilities, truth = _pairs_with_rows(Y_true, scores)
    bins, _ = equal_mass_bins(probabilities, 0, _BINS)
    n_samples = Y_true.shape[0]
    gaps = np.bincount(rows * _BINS + bins, weights=probabilities - truth, minlength=n_samples * _BINS)
    gaps, n_pairs = gaps.reshape(n_samples, _BINS), np.bincount(rows, minlength=n_samples)
    return np.abs(gaps.sum(axis=0) - gaps).sum(axis=1) / (n_pairs.sum() - n_pairs)


def _brier_score_without_each_row(Y_true, scores):
    """Brier score over the scored pairs of all rows but one, for each row left out."""
    rows, probabilities, truth = _pairs_with_rows(Y_true, scores)
    loss = np.bincount(rows, weights=(probabilities - truth) ** 2, minlength=Y_true.shape[0])
    n_pairs = np.bincount(rows, minlength=len(loss))
    return (loss.sum() - loss) / (n_pairs.sum() - n_pairs)


def _pairs_with_rows(Y_true, scores):
    """Return row, probability (float64) and truth of every scored pair."""
    _, probabilities, truth = candidate_pairs(Y_true, scores)
    n_samples, n_labels = scores.shape
    n_pairs = np.diff(scores.indptr) if sp.issparse(scores) else n_labels
    return np.repeat(np.arange(n_samples), n_pairs), probabilities.astype(np.float64), truth


_check_probabilities = partial(check_scores, probabilities=True)
_WITHOUT_EACH_ROW = {
    "macro_f1": (check_labels, macro_f1, _macro_f1_without_each_row),
    "micro_f1": (check_labels, micro_f1, _micro_f1_without_each_row),
    "example_f1": (check_labels, example_f1, _example_f1_without_each_row),
    "ece": (_check_probabilities, expected_calibration_error, _ece_without_each_row),
    "brier": (_check_probabilities, brier_score, _brier_score_without_each_row),
}


def _check_pair(Y_true, Y_pred, *, pred_name="Y_pred"):
    """Check true and predicted labels against each other."""
    Y_true = check_labels(Y_true, name="Y_true")
    return Y_true, check_labels(Y_pred, name=pred_name, n_samples=Y_true.shape[0], n_labels=Y_true.shape[1])


def _match_scores(scores, Y_true, *, probabilities=False):
    """Check scores against checked labels."""
    n_samples, n_labels = Y_true.shape
    return check_scores(scores, n_samples=n_samples, n_labels=n_labels, probabilities=probabilities)


def _check_frequency(train_frequency, n_labels):
    """Check the training frequencies against the number of labels."""
    frequency = np.asarray(train_frequency, dtype=np.float64)
    if frequency.shape != (n_labels,):
        raise ValueError(f"train_frequency must have shape ({n_labels},); got {frequency.shape}.")
    if not (frequency >= 0).all():
        raise ValueError("train_frequency must hold counts; found a negative number or NaN.")
    return frequency


def _frequency_bins(train_frequency, n_labels):
    """Return which labels each band of training frequency holds."""
    frequency = _check_frequency(train_frequency, n_labels)
    return {name: (frequency >= low) & (frequency <= high) for name, (low, high) in _FREQUENCY_BINS.items()}


def _hits(Y_true, Y_pred):
    """Mark the pairs that are true and predicted, as canonical CSR without stored zeros."""
    return sp.csr_array(Y_true.multiply(Y_pred))


def _ones(matrix):
    """Mark the stored pairs of a CSR matrix with 1."""
    ones = np.ones(matrix.nnz, dtype=np.float32)
    return sp.csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def _label_counts(Y):
    """Count the stored entries of each column."""
    return np.bincount(Y.indices, minlength=Y.shape[1])


def _f1(n_hits, n_marked):
    """F1 = 2·hits / (true + predicted), 0 where nothing is true and nothing predicted."""
    return np.divide(2 * n_hits, n_marked, out=np.zeros(np.shape(n_hits)), where=np.asarray(n_marked) > 0)


def _f1_by_label(Y_true, Y_pred):
    """F1 of each label."""
    return _f1(_label_counts(_hits(Y_true, Y_pred)), _label_counts(Y_true) + _label_counts(Y_pred))


def _f1_by_row(Y_true, Y_pred):
    """F1 of each row."""
    return _f1(np.diff(_hits(Y_true, Y_pred).indptr), np.diff(Y_true.indptr) + np.diff(Y_pred.indptr))


def _mean(values):
    """Mean, NaN of nothing without numpy's warning."""
    return float(np.mean(values)) if len(values) else float("nan")


def _mean_loss(Y_true, scores, pairs, loss):
    """Mean of loss(probability, truth) over the candidate pairs or over all pairs."""
    Y_true = check_labels(Y_true, name="Y_true")
    scores = _match_scores(scores, Y_true, probabilities=True)
    _, probabilities, truth = candidate_pairs(Y_true, scores)
    n_absent = n_absent_pairs(scores, pairs)
    if not len(truth) + n_absent:
        return float("nan")
    total = loss(probabilities.astype(np.float64), truth).sum()
    if n_absent:
        missed = Y_true.nnz - truth.sum()
        of_absent = loss(np.zeros(2), np.array([True, False]))
        total += missed * of_absent[0] + (n_absent - missed) * of_absent[1]
    return float(total / (len(truth) + n_absent))


def _row_confidence(Y_pred, scores):
    """Return the rows with predictions, and the smallest score among the predicted labels of each."""
    rows = np.flatnonzero(np.diff(Y_pred.indptr))
    row_of, values, predicted = _pairs_with_rows(Y_pred, scores)
    row_of, confidence = row_of[predicted], np.full(Y_pred.shape[0], np.inf)
    np.minimum.at(confidence, row_of, values[predicted])
    unscored = np.bincount(row_of, minlength=len(confidence)) < np.diff(Y_pred.indptr)
    confidence[unscored] = -np.inf
    return rows, confidence[rows]
