"""Sums over groups of rows, and differences whose intervals resample groups instead of rows."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import gen_batches

from adathresh.metrics import paired_bootstrap
from adathresh.signals.knn import group_codes
from adathresh.utils.validation import narrow_indices, row_major_positions

METRICS = ("macro_f1", "micro_f1")
"""What predictions are compared in."""

# Resamples at once; bounds the working memory.
_DRAWS_AT_ONCE = 256


def sum_by_group(codes, matrix):
    """Add up the rows of each group, which ``codes`` numbers from 0: one row a group, in CSR."""
    members = sp.csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(codes.max() + 1, len(codes))
    )
    sums = narrow_indices(sp.csr_array(members @ matrix))
    sums.sort_indices()
    return sums


def compared_rows(config, Y, ours, others, groups, **named):
    """Compare two predictions of the same rows: a table row a metric, with intervals by groups and by rows.

    ``ours`` and ``others`` have one label matrix a repetition. "low" and "high" bound the 95 % interval of
    :func:`group_interval`, "low_by_rows" and "high_by_rows" that of the paired bootstrap, which takes every
    row for independent.
    """
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": config.random_state}
    rows = []
    for metric in METRICS:
        by_groups = group_interval(Y, ours, others, groups, metric=metric, **options)
        by_rows = paired_bootstrap(Y, ours, {"others": others}, metric=metric, **options)["others"]
        by_rows = {f"{bound}_by_rows": by_rows[bound] for bound in ("low", "high")}
        rows.append({**named, "metric": metric, **by_groups, **by_rows})
    return rows


def group_interval(Y, ours, others, groups, *, metric, n_draws, random_state):
    """Return the difference of two predictions, ours minus others, with a 95 % interval by groups.

    As :func:`adathresh.metrics.paired_bootstrap`, but what is resampled, beside the repetitions, is the
    jackknife pseudo-value of each group instead of each row: the rows of one group are drawn together, as
    they would be if the data were collected anew.
    """
    codes = group_codes(groups, Y.shape[0])
    values = np.array(
        [
            _pseudo_values(codes, Y, mine, metric) - _pseudo_values(codes, Y, other, metric)
            for mine, other in zip(ours, others, strict=True)
        ]
    )
    (n_repetitions, n_groups), rng, means = values.shape, np.random.default_rng(random_state), []
    for part in gen_batches(n_draws, _DRAWS_AT_ONCE):
        n = part.stop - part.start
        of_group = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n) / n_groups
        of_repetition = rng.multinomial(n_repetitions, np.full(n_repetitions, 1 / n_repetitions), n)
        means.append(((of_group @ values.T) * of_repetition).sum(axis=1) / n_repetitions)
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return {"difference": values.mean(), "low": low, "high": high}


def _pseudo_values(codes, Y, predicted, metric):
    """Return each group's contribution to a metric; their mean is the metric."""
    hits = sum_by_group(codes, Y.multiply(predicted))
    marks = sum_by_group(codes, Y + predicted)
    if metric == "micro_f1":
        n_hits, n_marks = hits.sum(axis=1), marks.sum(axis=1)
        whole = _f1(n_hits.sum(), n_marks.sum())
        without = _f1(n_hits.sum() - n_hits, n_marks.sum() - n_marks)
    else:
        n_hits, n_marks = hits.sum(axis=0), marks.sum(axis=0)
        hits_of_marks = np.zeros(marks.nnz)  # a hit is marked, too
        hits_of_marks[np.searchsorted(row_major_positions(marks), row_major_positions(hits))] = hits.data
        f1, labels = _f1(n_hits, n_marks), marks.indices
        change = _f1(n_hits[labels] - hits_of_marks, n_marks[labels] - marks.data) - f1[labels]
        change = sp.csr_array((change, labels, marks.indptr), shape=marks.shape).sum(axis=1)
        whole, without = f1.mean(), f1.mean() + change / len(f1)
    return whole + (len(without) - 1) * (without.mean() - without)


def _f1(n_hits, n_marks):
    """F1 = 2·hits / (true + predicted), 0 where nothing is true and nothing predicted."""
    return np.divide(2 * n_hits, n_marks, out=np.zeros(np.shape(n_marks)), where=np.asarray(n_marks) > 0)
