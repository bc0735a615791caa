"""Which of two methods is better on the same rows: the paired bootstrap."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.utils import check_random_state, gen_batches

from adathresh.metrics._common import f1_by_row, f1_of_counts, hits, label_counts, row_counts
from adathresh.metrics._pairs import ScoredPairs
from adathresh.metrics.calibration import N_BINS, _equal_mass_bins, brier_score, expected_calibration_error
from adathresh.metrics.f1 import macro_f1, micro_f1, samples_f1
from adathresh.signals.knn import group_codes
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
    groups: npt.ArrayLike | None = None,
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

    Rows that depend on each other, such as passages of one document, are given as groups: whole groups are
    left out and resampled, as they would be if the data were collected anew. Taken for independent rows they
    make the interval too narrow.

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
    groups : array-like of shape (n_samples,), optional
        Group of each row, of at least two; None: every row by itself.
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
        If the shapes differ, values are not 0 or 1 (or no probabilities), there are fewer than two rows or
        groups, a group is missing, the numbers of repetitions differ or are 0, the metric is none of these or
        n_draws < 1.

    Examples
    --------
    >>> from adathresh.metrics import paired_bootstrap
    >>> Y, ours, theirs = [[1], [1], [0]], [[1], [1], [0]], [[1], [1], [0]]
    >>> paired_bootstrap(Y, ours, {"rival": theirs}, n_draws=10)
    {'rival': {'difference': 0.0, 'low': 0.0, 'high': 0.0}}
    """
    if metric not in _WITHOUT_EACH_UNIT:
        raise ValueError(f"metric must be one of {', '.join(_WITHOUT_EACH_UNIT)}; got {metric!r}.")
    check_value("n_draws", n_draws, whole(1))
    check_value("random_state", random_state, seed())
    if not isinstance(rivals, Mapping):
        raise TypeError(f"rivals must be a dict of predictions by name; got a {type(rivals).__name__}.")
    Y_true = check_labels(Y_true, name="Y_true")
    units = group_codes(groups, Y_true.shape[0])
    if not rivals:
        return {}
    of_ours, differences = _repetitions(ours), []
    contributions = np.array([_pseudo_values(Y_true, each, units, metric, "ours") for each in of_ours])
    for name, rival in rivals.items():
        theirs = _repetitions(rival)
        if len(of_ours) != len(theirs) or not theirs:
            raise ValueError(
                f"ours and rivals need equally many repetitions, at least one; "
                f"got {len(of_ours)} of ours and {len(theirs)} of {name!r}."
            )
        of_rival = [_pseudo_values(Y_true, each, units, metric, f"rivals[{name!r}]") for each in theirs]
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
    """Resample units, rows or groups, and repetitions.

    Takes values of shape (n_rivals, n_repetitions, n_units) and returns means, of shape (n_draws, n_rivals);
    every rival's values take the same units.
    """
    n_rivals, n_repetitions, n_units = values.shape
    by_unit = values.reshape(-1, n_units).T
    random_state, means = check_random_state(random_state), []
    for part in gen_batches(n_draws, _DRAWS_AT_ONCE):
        times_unit = np.empty((part.stop - part.start, n_units))
        times_repetition = np.ones((part.stop - part.start, n_repetitions))
        for units, repetitions in zip(times_unit, times_repetition, strict=True):
            units[:] = _times_drawn(random_state, n_units)
            if n_repetitions > 1:
                repetitions[:] = _times_drawn(random_state, n_repetitions)
        of_repetition = (times_unit @ by_unit).reshape(-1, n_rivals, n_repetitions) / n_units
        means.append(np.einsum("drs,ds->dr", of_repetition, times_repetition) / n_repetitions)
    return np.concatenate(means)


def _times_drawn(random_state, n):
    """Draw n of n things with replacement; return how often each is drawn."""
    return np.bincount(random_state.randint(n, size=n), minlength=n)


def _pseudo_values(Y_true, prediction, units, metric, name):
    """Return the contribution of each unit, a row or a group, to a metric; their mean is the metric."""
    n_samples, n_labels = Y_true.shape
    n_units = units.max(initial=-1) + 1
    if n_units < 2:
        what = "rows" if n_samples < 2 else "groups"
        raise ValueError(f"resampling needs at least two {what}; Y_true has {n_units}.")
    check, value_of, without_unit_of = _WITHOUT_EACH_UNIT[metric]
    prediction = check(prediction, name=name, n_samples=n_samples, n_labels=n_labels)
    without_unit = without_unit_of(Y_true, prediction, units)
    return value_of(Y_true, prediction) + (n_units - 1) * (without_unit.mean() - without_unit)


def _macro_f1_without_each_unit(Y_true, Y_pred, units):
    """Macro-F1 of all units but one, for each left out; only the unit's own labels change."""
    n_hits, n_marks = label_counts(hits(Y_true, Y_pred)), label_counts(Y_true) + label_counts(Y_pred)
    in_row = sp.coo_array(Y_true + Y_pred)  # 1: true or predicted, 2: both
    shape = (units.max() + 1, len(n_hits))
    marks, both = (  # their pairs stand in one order
        sp.csr_array((counts.astype(np.float64), (units[in_row.row], in_row.col)), shape=shape)
        for counts in (in_row.data, in_row.data == 2)
    )
    labels = marks.indices
    f1 = f1_of_counts(n_hits, n_marks)
    change = f1_of_counts(n_hits[labels] - both.data, n_marks[labels] - marks.data) - f1[labels]
    change = sp.csr_array((change, labels, marks.indptr), shape=shape)
    return (f1.sum() + change.sum(axis=1)) / len(f1)


def _micro_f1_without_each_unit(Y_true, Y_pred, units):
    """Micro-F1 of all units but one, for each left out."""
    n_hits = np.bincount(units, weights=row_counts(hits(Y_true, Y_pred)))
    n_marks = np.bincount(units, weights=row_counts(Y_true) + row_counts(Y_pred))
    return f1_of_counts(n_hits.sum() - n_hits, n_marks.sum() - n_marks)


def _samples_f1_without_each_unit(Y_true, Y_pred, units):
    """Samples-F1 of all units but one, for each left out."""
    f1 = f1_by_row(Y_true, Y_pred, hits(Y_true, Y_pred))
    return (f1.sum() - np.bincount(units, weights=f1)) / (len(f1) - np.bincount(units))


def _ece_without_each_unit(Y_true, scores, units):
    """ECE over the scored pairs of all units but one, for each left out, in the bins of all units."""
    pairs, n_units = ScoredPairs(Y_true, scores), units.max() + 1
    bins, gaps = _equal_mass_bins(pairs.values, N_BINS), pairs.values.astype(np.float64) - pairs.truth
    gaps = np.bincount(units[pairs.rows] * N_BINS + bins, weights=gaps, minlength=n_units * N_BINS)
    gaps = gaps.reshape(-1, N_BINS)
    n_others = len(pairs.values) - np.bincount(units, weights=pairs.n_by_row)
    return np.abs(gaps.sum(axis=0) - gaps).sum(axis=1) / n_others


def _brier_score_without_each_unit(Y_true, scores, units):
    """Brier score over the scored pairs of all units but one, for each left out."""
    pairs = ScoredPairs(Y_true, scores)
    loss = (pairs.values.astype(np.float64) - pairs.truth) ** 2
    loss = np.bincount(units[pairs.rows], weights=loss, minlength=units.max() + 1)
    return (loss.sum() - loss) / (len(pairs.values) - np.bincount(units, weights=pairs.n_by_row))


_check_probabilities = partial(check_scores, probabilities=True)
_WITHOUT_EACH_UNIT = {
    "macro_f1": (check_labels, macro_f1, _macro_f1_without_each_unit),
    "micro_f1": (check_labels, micro_f1, _micro_f1_without_each_unit),
    "samples_f1": (check_labels, samples_f1, _samples_f1_without_each_unit),
    "ece": (_check_probabilities, expected_calibration_error, _ece_without_each_unit),
    "brier": (_check_probabilities, brier_score, _brier_score_without_each_unit),
}
