"""Which of two methods is better on the same rows: the paired bootstrap."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state, gen_batches

from adathresh.metrics._common import f1_by_row, f1_of_counts, hits, label_counts, row_counts
from adathresh.metrics._pairs import ScoredPairs
from adathresh.metrics.calibration import N_BINS, _equal_mass_bins, brier_score, expected_calibration_error
from adathresh.metrics.f1 import macro_f1, micro_f1, samples_f1
from adathresh.utils.parameters import check_value, seed, whole
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels, check_scores

# resamples that are averaged together; bounds the working memory
_DRAWS_AT_ONCE = 256


def paired_bootstrap(
    Y_true: MatrixLike,
    ours: MatrixLike | Sequence[MatrixLike],
    rivals: Mapping[str, MatrixLike | Sequence[MatrixLike]],
    *,
    metric: Literal["macro_f1", "micro_f1", "samples_f1", "ece", "brier"] = "macro_f1",
    n_draws: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> dict[str, dict[str, float]]:
    """Compare one prediction with several others on the same rows, by resampling the rows.

    What is resampled, with replacement and for all predictions together, is the contribution of each row to
    the difference d = metric(ours) - metric(rival): its jackknife pseudo-value n·d - (n - 1)·d_without_row
    (Efron and Tibshirani 1993, ch. 11), all shifted so that their mean is d. The interval runs from the 2.5 %
    to the 97.5 % quantile of the draws.

    The metric of a resample itself will not do for macro-F1: a resample holds 63 % of the rows, so that rare
    labels drop out of it, macro-F1 shifts, and the interval with it, often past the difference it is for. In
    a simulation with 300 long-tailed labels and 600 test rows such intervals covered the truth in 16 % of the
    cases instead of 95 %, and those of the pseudo-values in 97 %.

    Methods that were repeated, for example with other seeds, are compared by their means over the
    repetitions. Each draw then resamples the rows and the repetitions (Efron and Tibshirani 1993, ch. 8, on
    data of two levels), so that the interval holds what rows and seeds leave open. All repetitions of a draw
    take the same rows: what they all do to a row stays, what one of them does to it averages out. With few
    repetitions their own part is somewhat too small, by (n_repetitions - 1) / n_repetitions in variance.

    Parameters
    ----------
    Y_true : array-like or sparse of shape (n_samples, n_labels)
        True labels, 0 or 1; at least two rows.
    ours : array-like or sparse of shape (n_samples, n_labels), or a list of such
        The prediction, 0 or 1, or one for each repetition; for "ece" and "brier" probabilities in [0, 1].
    rivals : dict of str to the same
        What it is compared with, by name; as many repetitions, of which the i-th belongs to our i-th.
    metric : {"macro_f1", "micro_f1", "samples_f1", "ece", "brier"}, default="macro_f1"
        What is compared; the last two over the scored pairs, ECE in the bins of all rows. Noise adds to ECE,
        the more the fewer the rows, so that its interval is for as many rows as these.
    n_draws : int, default=1000
        Number of resamples, at least 1.
    random_state : int, RandomState instance or None, default=0
        Source of the resamples.

    Returns
    -------
    dict of str to dict of str to float
        For each rival ``difference``, ours minus the rival's on the rows themselves, and ``low`` and ``high``
        of its 95 % interval.

    Raises
    ------
    TypeError
        If ``rivals`` is not a dict.
    ValueError
        If the shapes differ, values are not 0 or 1 (or no probabilities), there are fewer than two rows, the
        numbers of repetitions differ or are 0, the metric is none of these or n_draws < 1.

    Examples
    --------
    >>> from adathresh.metrics import paired_bootstrap
    >>> Y, ours, theirs = [[1], [1], [0]], [[1], [1], [0]], [[1], [1], [0]]
    >>> paired_bootstrap(Y, ours, {"rival": theirs}, n_draws=10)
    {'rival': {'difference': 0.0, 'low': 0.0, 'high': 0.0}}
    """
    if metric not in _WITHOUT_EACH_ROW:
        raise ValueError(f"metric must be one of {', '.join(_WITHOUT_EACH_ROW)}; got {metric!r}.")
    check_value("n_draws", n_draws, whole(1))
    check_value("random_state", random_state, seed())
    if not isinstance(rivals, Mapping):
        raise TypeError(f"rivals must be a dict of predictions by name; got a {type(rivals).__name__}.")
    Y_true = check_labels(Y_true, name="Y_true")
    if not rivals:
        return {}
    of_ours, differences = _repetitions(ours), []
    contributions = np.array([_pseudo_values(Y_true, each, metric, "ours") for each in of_ours])
    for name, rival in rivals.items():
        theirs = _repetitions(rival)
        if len(of_ours) != len(theirs) or not theirs:
            raise ValueError(
                f"ours and rivals need equally many repetitions, at least one; "
                f"got {len(of_ours)} of ours and {len(theirs)} of {name!r}."
            )
        of_rival = [_pseudo_values(Y_true, each, metric, f"rivals[{name!r}]") for each in theirs]
        differences.append(contributions - of_rival)
    means = _resampled_means(np.array(differences), n_draws, random_state)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return {
        name: {"difference": float(differences[i].mean()), "low": float(low[i]), "high": float(high[i])}
        for i, name in enumerate(rivals)
    }


def _repetitions(predictions):
    """Return a list of matrices; a single matrix is one."""
    if not sp.issparse(predictions):
        matrices = list(predictions)
        if all(sp.issparse(matrix) or np.ndim(matrix) == 2 for matrix in matrices):
            return matrices
    return [predictions]


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


def _pseudo_values(Y_true, prediction, metric, name):
    """Return each row's contribution to a metric; their mean is the metric."""
    n_samples, n_labels = Y_true.shape
    if n_samples < 2:
        raise ValueError(f"resampling needs at least two rows; Y_true has {n_samples}.")
    check, value_of, without_row_of = _WITHOUT_EACH_ROW[metric]
    prediction = check(prediction, name=name, n_samples=n_samples, n_labels=n_labels)
    without_row = without_row_of(Y_true, prediction)
    return value_of(Y_true, prediction) + (n_samples - 1) * (without_row.mean() - without_row)


def _macro_f1_without_each_row(Y_true, Y_pred):
    """Macro-F1 of all rows but one, for each row left out; only the row's own labels change."""
    n_hits, n_marks = label_counts(hits(Y_true, Y_pred)), label_counts(Y_true) + label_counts(Y_pred)
    in_row = sp.csr_array(Y_true + Y_pred)  # 1: true or predicted, 2: both
    labels = in_row.indices
    f1 = f1_of_counts(n_hits, n_marks)
    change = f1_of_counts(n_hits[labels] - (in_row.data == 2), n_marks[labels] - in_row.data) - f1[labels]
    change = sp.csr_array((change, labels, in_row.indptr), shape=in_row.shape)
    return (f1.sum() + change.sum(axis=1)) / len(f1)


def _micro_f1_without_each_row(Y_true, Y_pred):
    """Micro-F1 of all rows but one, for each row left out."""
    n_hits, n_marks = row_counts(hits(Y_true, Y_pred)), row_counts(Y_true) + row_counts(Y_pred)
    return f1_of_counts(n_hits.sum() - n_hits, n_marks.sum() - n_marks)


def _samples_f1_without_each_row(Y_true, Y_pred):
    """Samples-F1 of all rows but one, for each row left out."""
    f1 = f1_by_row(Y_true, Y_pred, hits(Y_true, Y_pred))
    return (f1.sum() - f1) / (len(f1) - 1)


def _ece_without_each_row(Y_true, scores):
    """ECE over the scored pairs of all rows but one, for each row left out, in the bins of all rows."""
    pairs = ScoredPairs(Y_true, scores)
    bins, gaps = _equal_mass_bins(pairs.values, N_BINS), pairs.values.astype(np.float64) - pairs.truth
    gaps = np.bincount(pairs.rows * N_BINS + bins, weights=gaps, minlength=len(pairs.n_by_row) * N_BINS)
    gaps = gaps.reshape(-1, N_BINS)
    return np.abs(gaps.sum(axis=0) - gaps).sum(axis=1) / (len(pairs.values) - pairs.n_by_row)


def _brier_score_without_each_row(Y_true, scores):
    """Brier score over the scored pairs of all rows but one, for each row left out."""
    pairs = ScoredPairs(Y_true, scores)
    loss = (pairs.values.astype(np.float64) - pairs.truth) ** 2
    loss = np.bincount(pairs.rows, weights=loss, minlength=len(pairs.n_by_row))
    return (loss.sum() - loss) / (len(pairs.values) - pairs.n_by_row)


_check_probabilities = partial(check_scores, probabilities=True)
_WITHOUT_EACH_ROW = {
    "macro_f1": (check_labels, macro_f1, _macro_f1_without_each_row),
    "micro_f1": (check_labels, micro_f1, _micro_f1_without_each_row),
    "samples_f1": (check_labels, samples_f1, _samples_f1_without_each_row),
    "ece": (_check_probabilities, expected_calibration_error, _ece_without_each_row),
    "brier": (_check_probabilities, brier_score, _brier_score_without_each_row),
}
