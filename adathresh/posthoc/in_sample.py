"""What only the scores of training rows can know: signs that scores are not out-of-fold."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

LEAST_ROWS = 100
"""With fewer rows, their highest scores cannot tell."""

# Held-out scores of a model never look like this; see in_sample_signs.
_IMPLAUSIBLE_SINGLETONS, _IMPLAUSIBLE_TOP = 0.95, 0.995
_LEAST_SINGLETONS = 20


class InSampleSigns(NamedTuple):
    """What scores tell about rows that their model should not have seen.

    Examples
    --------
    >>> InSampleSigns(None, np.zeros(0, dtype=int), judged=False).what is None
    True
    """

    what: str | None
    """What is implausible for held-out rows; None if nothing is."""
    pairs: np.ndarray
    """Positions of the scored pairs that show it."""
    judged: bool
    """Whether there were rows or labels enough to tell."""


def in_sample_signs(
    rows: np.ndarray, labels: np.ndarray, scores: np.ndarray, truth: np.ndarray, Y: sp.csr_array
) -> InSampleSigns:
    """Look for what only the scores of training rows can know.

    A label with one positive was never seen by a model that has not seen its row, and cannot lead it; and no
    model's highest score is true in all rows that it has not seen. The signs: of at least 20 labels with one
    positive, that positive leads more than 95 %; of at least 100 rows with labels, the highest score is true
    in more than 99.5 %. A tie does not lead, and a row's highest score is true if all labels that share it
    are.

    Parameters
    ----------
    rows, labels : numpy.ndarray of shape (n_pairs,)
        The scored pairs.
    scores : numpy.ndarray of shape (n_pairs,)
        Their scores.
    truth : numpy.ndarray of bool, shape (n_pairs,)
        Whether the label is true.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        All labels of the rows, checked.

    Returns
    -------
    InSampleSigns
        The sign that was found, if any.

    Examples
    --------
    >>> rows = labels = np.arange(100)
    >>> Y = sp.csr_array(np.eye(100))
    >>> in_sample_signs(rows, labels, np.ones(100), np.ones(100, dtype=bool), Y).what
    'the only positive row leads its label in 100% of the labels with one positive'
    """
    n_labels = Y.shape[1]
    n_labelled = int(np.count_nonzero(np.diff(Y.indptr)))  # in other rows no score can be true
    single = np.bincount(Y.indices, minlength=n_labels) == 1
    best = np.full(n_labels, -np.inf)
    np.maximum.at(best, labels[~truth], scores[~truth])
    alone = np.flatnonzero(truth & single[labels])
    leading = alone[scores[alone] > best[labels[alone]]]
    top = np.full(Y.shape[0], -np.inf)
    np.maximum.at(top, rows, scores)
    at_top = scores == top[rows]
    missed = np.bincount(rows[at_top & ~truth], minlength=Y.shape[0]) > 0
    hits = np.flatnonzero(at_top & truth & ~missed[rows])
    n_hit = len(np.unique(rows[hits]))
    enough_labels = len(alone) >= _LEAST_SINGLETONS
    enough_rows = n_labels > 1 and n_labelled >= LEAST_ROWS
    if enough_labels and len(leading) > _IMPLAUSIBLE_SINGLETONS * len(alone):
        share = f"{len(leading) / len(alone):.0%}"
        what = f"the only positive row leads its label in {share} of the labels with one positive"
        return InSampleSigns(what, leading, True)
    if enough_rows and n_hit > _IMPLAUSIBLE_TOP * n_labelled:
        return InSampleSigns(
            f"the highest score is true in {n_hit / n_labelled:.1%} of the rows with labels", hits, True
        )
    return InSampleSigns(None, hits[:0], enough_labels or enough_rows)
