"""All metrics of one prediction together, and the share of rows that can be accepted automatically."""

import numpy as np
from numpy.typing import ArrayLike

from adathresh.metrics._common import (
    check_and_match,
    f1_by_label,
    f1_by_row,
    f1_of_all,
    label_counts,
    match_scores,
    mean,
    row_counts,
)
from adathresh.metrics._pairs import ScoredPairs
from adathresh.metrics.auroc import _macro_auroc_of
from adathresh.metrics.calibration import _calibration_metrics_of
from adathresh.metrics.frequency_bins import _means_by_bin
from adathresh.metrics.ranking import (
    _hits_at_k,
    _inverse_propensities,
    _precision_of_hits,
    _psp_of_hits,
    top_k,
)
from adathresh.utils.parameters import check_value, number
from adathresh.utils.types import MatrixLike

# lengths of the lists of precision@k and PSP@k, the longest first: the others are its beginnings
_LENGTHS = (5, 3, 1)


def evaluate(
    Y_true: MatrixLike,
    Y_pred: MatrixLike,
    scores: MatrixLike | None = None,
    train_frequency: ArrayLike | None = None,
    *,
    n_train: int | None = None,
) -> dict[str, float]:
    """Compute every metric that the arguments allow; the pairs are put in order once for all of them.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_pred : array-like or sparse of shape (n_samples, n_labels)
        Predicted labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels), optional
        Probabilities in [0, 1]; adds precision@k, AUROC, ECE, Brier, log-loss and coverage.
    train_frequency : array-like of shape (n_labels,), optional
        Number of training rows with each label; adds macro-F1 by bin of training frequency.
    n_train : int, optional
        Number of training rows; adds PSP@k when scores and train_frequency are given too.

    Returns
    -------
    dict of str to float
        Always ``macro_f1``, ``macro_f1_present``, ``micro_f1``, ``samples_f1``. With train_frequency, the
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
    {'macro_f1': 0.5, 'macro_f1_present': 0.5, 'micro_f1': 0.8, 'samples_f1': 0.8333...}
    """
    Y_true, Y_pred, both = check_and_match(Y_true, Y_pred)
    f1 = f1_by_label(Y_true, Y_pred, both)
    result = {
        "macro_f1": mean(f1),
        "macro_f1_present": mean(f1[label_counts(Y_true) > 0]),
        "micro_f1": f1_of_all(Y_true, Y_pred, both),
        "samples_f1": mean(f1_by_row(Y_true, Y_pred, both)),
    }
    if train_frequency is not None:
        result |= _means_by_bin("macro_f1", f1, train_frequency)
    if scores is None:
        return result
    pairs = ScoredPairs(Y_true, scores, probabilities=True)
    hits_at, longer = {}, pairs.scores
    for k in _LENGTHS:
        longer = top_k(longer, k)
        hits_at[k] = _hits_at_k(Y_true, longer)
    hits_at = dict(reversed(hits_at.items()))
    result |= {f"precision_at_{k}": _precision_of_hits(found, k) for k, found in hits_at.items()}
    if train_frequency is not None and n_train is not None:
        weights = _inverse_propensities(train_frequency, Y_true.shape[1], n_train)
        result |= {f"psp_at_{k}": _psp_of_hits(found, Y_true, weights, k) for k, found in hits_at.items()}
    result["macro_auroc"] = _macro_auroc_of(pairs)
    result |= _calibration_metrics_of(pairs)
    result["coverage_at_precision_0_9"] = _coverage(Y_pred, both, pairs.scores, 0.9)
    return result


def coverage_at_precision(
    Y_true: MatrixLike, Y_pred: MatrixLike, scores: MatrixLike, precision: float
) -> float:
    """Share of rows whose predictions can be accepted automatically at the wanted precision.

    Rows are ranked by confidence, the smallest score among their predicted labels; the longest prefix of that
    ranking whose pooled precision (true predictions / predictions) reaches ``precision`` is accepted. Rows of
    equal confidence are accepted or refused together. A row without predictions offers nothing to accept, and
    a predicted label without a score puts its row last. The prefix is found with the true labels: the figure
    says how well confidence ranks the rows, not which confidence to ask of new ones.

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

    Examples
    --------
    >>> from adathresh.metrics import coverage_at_precision
    >>> Y, predicted, scores = [[1], [1], [0], [1]], [[1], [1], [1], [0]], [[0.9], [0.8], [0.7], [0.2]]
    >>> coverage_at_precision(Y, predicted, scores, precision=0.9)  # the first two rows of four
    0.5
    """
    check_value("precision", precision, number(above=0, most=1))
    Y_true, Y_pred, both = check_and_match(Y_true, Y_pred)
    return _coverage(Y_pred, both, match_scores(scores, Y_true), precision)


def _coverage(Y_pred, both, scores, precision):
    """Coverage at a precision, of checked arguments; ``both`` marks the predictions that are true."""
    predicted, confidence = _row_confidence(Y_pred, scores)
    order = np.argsort(-confidence, kind="stable")
    correct = row_counts(both)[predicted][order]
    made = row_counts(Y_pred)[predicted][order]
    reached = np.cumsum(correct) >= precision * np.cumsum(made)
    confidence = confidence[order]
    closes_tie = np.r_[confidence[1:] != confidence[:-1], True][: len(confidence)]
    accepted = np.flatnonzero(reached & closes_tie)
    return float((accepted[-1] + 1) / Y_pred.shape[0]) if len(accepted) else 0.0


def _row_confidence(Y_pred, scores):
    """Return the rows with predictions, and the smallest score among the predicted labels of each."""
    n_predicted = row_counts(Y_pred)
    rows = np.flatnonzero(n_predicted)
    pairs, confidence = ScoredPairs(Y_pred, scores), np.full(len(n_predicted), np.inf)
    scored = np.flatnonzero(pairs.truth)
    row_of = pairs.rows_at(scored)
    np.minimum.at(confidence, row_of, pairs.values[scored].astype(np.float64))
    confidence[np.bincount(row_of, minlength=len(confidence)) < n_predicted] = -np.inf
    return rows, confidence[rows]
