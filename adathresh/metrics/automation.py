"""How much of the labelling can be left to a rule at a wanted precision."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from adathresh.metrics._common import check_pair, match_scores
from adathresh.utils.parameters import check_value, number, sequence_of
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_unmasked, row_major_positions

_PRECISIONS = sequence_of(number(above=0, most=1), plural="numbers, greater than 0 and at most 1")


def coverage(
    Y_true: MatrixLike,
    scores: MatrixLike,
    *,
    Y_pred: MatrixLike | None = None,
    precisions: Sequence[float] = (0.8, 0.9, 0.95),
) -> dict[str, float]:
    """Take the shares of rows, predictions and labels that can be accepted automatically at a precision.

    The most confident are accepted first, and as many as the precision allows; what is equally confident is
    accepted or refused together. That is done twice, for two ways of working:

    - Whole rows. A row is right if all labels predicted for it are true; labels that were missed do not
      count. Its confidence is the smallest score among them. The longest ranking of which the wanted share
      is right gives ``rows_at_precision_…``, as a share of all rows; rows without predictions are never
      accepted.
    - Single predictions, each by its own score, whatever its row. The longest ranking of which the wanted
      share is true gives ``predictions_at_precision_…``, as a share of all predictions, and the true ones
      among the accepted, as a share of all true labels, give ``labels_at_precision_…``: the part of the
      labelling that nobody needs to do.

    To say how much can be automated at a quality is the idea of ALC (arXiv:2510.04551). The rankings are cut
    with the true labels at hand: the figures say how well the scores rank, not which score to ask of new rows
    (for that see the ``confidence`` of :class:`adathresh.AdaptiveThreshold`). Of
    :func:`coverage_at_precision` the rows differ: there the precision is that of all labels of the accepted
    rows together.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1.
    scores : array-like or sparse of shape (n_samples, n_labels)
        Margins, such as ``AdaptiveThreshold.margins`` returns, or probabilities. They may be infinite.
    Y_pred : array-like or sparse of shape (n_samples, n_labels), optional
        Predicted labels, 0 or 1; one without a score comes last. None: the pairs with a score above 0, as
        margins have it. Probabilities need it.
    precisions : sequence of float, default=(0.8, 0.9, 0.95)
        The wanted precisions, in (0, 1].

    Returns
    -------
    dict of str to float
        The three shares, in [0, 1], for each precision; NaN where there are no predictions, or no true
        labels, to take a share of.

    Raises
    ------
    ValueError
        If the shapes differ, labels are not 0 or 1, a score is NaN, or a precision is not in (0, 1].

    Examples
    --------
    >>> from adathresh.metrics import coverage
    >>> Y, margins = [[1, 0], [1, 1], [0, 1]], [[2.0, -1.0], [1.5, 0.5], [1.0, -0.5]]
    >>> coverage(Y, margins, precisions=[0.9])  # only label 0 of the last row is predicted and wrong
    {'rows_at_precision_0_9': 0.333..., 'predictions_at_precision_0_9': 0.5, 'labels_at_precision_0_9': 0.5}
    """
    check_value("precisions", precisions, _PRECISIONS)
    true = check_labels(Y_true, name="Y_true")
    checked: Any = match_scores(_finite(scores), true)
    true, predicted = check_pair(true, sp.csr_array(checked > 0) if Y_pred is None else Y_pred)
    confidence = _scores_at(predicted, checked)
    right = np.isin(row_major_positions(predicted), row_major_positions(true), assume_unique=True)
    begins = predicted.indptr[:-1][np.diff(predicted.indptr) > 0]
    of_rows = _least(confidence, begins), _least(right, begins)
    result = {}
    for precision in precisions:
        at = f"at_precision_{precision:g}".replace(".", "_")
        n_rows, _ = _accepted(*of_rows, precision)
        n_predictions, n_right = _accepted(confidence, right, precision)
        result[f"rows_{at}"] = _share(n_rows, true.shape[0])
        result[f"predictions_{at}"] = _share(n_predictions, predicted.nnz)
        result[f"labels_{at}"] = _share(n_right, true.nnz)
    return result


def _finite(scores: Any) -> Any:
    """Replace infinities by the greatest numbers, which rank alike."""
    if sp.issparse(scores):
        scores = scores.tocoo()
        return sp.coo_array((_finite(scores.data), (scores.row, scores.col)), shape=scores.shape)
    check_unmasked(scores, name="scores")
    scores = np.asarray(scores)
    if scores.dtype.kind != "f":
        return scores
    greatest = np.finfo(scores.dtype).max
    return np.clip(scores, -greatest, greatest)  # NaN stays


def _scores_at(Y_pred, scores):
    """Return the score of every predicted pair; −inf where it has none."""
    positions = row_major_positions(Y_pred)
    if not sp.issparse(scores):
        return scores.ravel()[positions].astype(np.float64)
    scored = row_major_positions(scores)
    place = np.searchsorted(scored, positions)
    has_one = np.r_[scored, -1][place] == positions
    return np.where(has_one, np.r_[scores.data, 0][place], -np.inf)


def _least(values, begins):
    """Return the least value of each row with predictions."""
    return np.minimum.reduceat(values, begins) if len(begins) else values


def _accepted(confidence, right, precision):
    """Return how many of the most confident can be accepted, and how many of these are right."""
    order = np.argsort(-confidence, kind="stable")
    confidence, n_right = confidence[order], np.cumsum(right[order])
    closes_tie = np.r_[confidence[1:] != confidence[:-1], True][: len(confidence)]
    accepted = np.flatnonzero(closes_tie & (n_right >= precision * np.arange(1, len(confidence) + 1)))
    return (accepted[-1] + 1, n_right[accepted[-1]]) if len(accepted) else (0, 0)


def _share(part, whole):
    """Return a share, NaN of nothing."""
    return float(part / whole) if whole else float("nan")
