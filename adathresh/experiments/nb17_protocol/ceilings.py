"""The ceiling of macro-F1 on few rows, by simulation: labels without an evaluated positive count as 0."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.special import logsumexp

from adathresh.experiments.core.results import study_row


class LabelTotals(NamedTuple):
    """Published totals of a data set's label frequencies."""

    n_rows: int
    """Training rows."""
    n_labels: int
    """Labels with a training row."""
    n_positives: int
    """(row, label) pairs."""
    largest: int
    """Rows of the most frequent label."""
    head_labels: int
    """How many of the most frequent labels hold 80 % of the pairs."""
    least: int
    """Rows of the rarest label."""


AMAZONCAT_13K = LabelTotals(1_186_239, 13_330, round(1_186_239 * 5.04), 355_211, 635, 1)
"""AmazonCat-13K's training file.

Rows, labels and 5.04 labels a row: the Extreme Classification Repository (Bhatia et al., 2016). Largest and
least: HeroLT (Wang et al., arXiv:2307.08235; table in the repository SSSKJ/HeroLT), whose imbalance factor,
largest over least, is 355,211. Head: its Pareto ratio of 20.000, labels outside the first 80 % of the pairs
over labels inside (the reading that gives its figures for CIFAR-10-LT, whose class sizes are known). The
ratio is rounded as 1/0.050, which leaves 629 to 641 labels; the ceiling moves by 0.001 between them.
"""

AMAZONCAT = "AmazonCat-13K"
"""Its name in the table."""

LAWS = ("power law", "shifted power law", "shifted power law with cut-off")
"""Forms of f_r, the rows of the r-th most frequent label, each with one parameter more than the one before.

f_1·r^−s, f_1·((r+q)/(1+q))^−s and f_1·((r+q)/(1+q))^−s·exp(−c(r−1)).
"""


TRUE = "true frequencies"
"""Name of no law at all: the frequencies themselves."""

N_DRAWS = 100
"""Draws of the evaluated rows."""


def label_totals(Y):
    """Count the totals that a law of label frequencies is fitted to; labels without a row are left out."""
    frequency = np.sort(np.bincount(Y.indices, minlength=Y.shape[1]))[::-1]
    frequency = frequency[frequency > 0]
    pairs, head = int(frequency.sum()), _head_labels(frequency)
    return LabelTotals(Y.shape[0], len(frequency), pairs, int(frequency[0]), head, int(frequency[-1]))


def fitted_frequencies(totals, law=LAWS[-1]):
    """Fit a power law to published totals; return the rows of every label, in falling order, and parameters.

    The largest label is met exactly. The exponent s is chosen so that the frequencies sum to the (row, label)
    pairs; the shift q (Mandelbrot's) so that the head holds 80 % of them; the cut-off c (an exponential one,
    as in Clauset, Shalizi and Newman, SIAM Review 2009) so that the rarest label has its rows. All parameters
    of a law are found together, by least squares on the logarithms of the ratios; those that it does not have
    are 0.
    """
    if law not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}; got {law!r}.")
    n_parameters = 1 + LAWS.index(law)

    def _misses(parameters):
        """Return the logarithms of how far each total is missed."""
        logs = _log_frequencies(totals, *parameters)
        pairs, in_head = logsumexp(logs), logsumexp(logs[: totals.head_labels])
        wanted = np.log([totals.n_positives, 0.8, totals.least])
        return (np.array([pairs, in_head - pairs, logs[-1]]) - wanted)[:n_parameters]

    start = [1.0, np.log(2.0), np.log(3.0 / totals.n_labels)]
    found = least_squares(_misses, start[:n_parameters]).x
    exponent, log_shift, log_cut_off = np.r_[found, [0.0, -np.inf][n_parameters - 1 :]]
    parameters = {"exponent": exponent, "shift": np.exp(log_shift) - 1, "cut_off": np.exp(log_cut_off)}
    frequency = np.maximum(np.exp(_log_frequencies(totals, *found)).round().astype(int), 1)
    return frequency, {name: float(value) for name, value in parameters.items()}


def simulated_ceilings(
    totals=AMAZONCAT_13K, *, n_evaluated=10_000, n_trained=40_000, n_draws=N_DRAWS, random_state=0
):
    """Simulate which labels have a positive among few rows: one table row for each law of :data:`LAWS`.

    A macro-F1 over all labels cannot exceed the share of labels with a positive among the evaluated rows: a
    row has its mean with the 95 % interval over draws, the mean share with a trained positive, too, and the
    totals that the law gives (those that it was not fitted to tell how far it is off).

    Every draw takes the evaluated rows and the trained ones at random, without replacement and each label for
    itself, so the interval leaves out that labels occur together. The released rows are the *first* of their
    file, which need not be a random part of it.
    """
    if n_evaluated + n_trained > totals.n_rows:
        raise ValueError(
            f"n_evaluated + n_trained is {n_evaluated + n_trained}, but there are {totals.n_rows} rows."
        )
    rows = []
    for law in LAWS:
        frequency, parameters = fitted_frequencies(totals, law)
        found = _ceiling(frequency, totals.n_rows, n_evaluated, n_trained, n_draws, random_state)
        rows.append({"law": law, **found, **parameters})
    return rows


def ceiling_rows(config, ds, *, random_state=0):
    """Simulate the ceiling of AmazonCat-13K, and this data set's own to see how far the laws can be trusted.

    For every law: AmazonCat-13K at the released numbers of rows; this data set's training rows from its
    totals, split as released, 80 to 20; last the same drawn from its true frequencies.
    """
    totals = label_totals(ds.train.Y)
    n_evaluated = totals.n_rows // 5
    split = {"n_evaluated": n_evaluated, "n_trained": totals.n_rows - n_evaluated}
    frequency = np.bincount(ds.train.Y.indices)
    frequency = np.sort(frequency[frequency > 0])[::-1]
    found = [(AMAZONCAT, row) for row in simulated_ceilings(random_state=random_state)]
    found += [(ds.name, row) for row in simulated_ceilings(totals, **split, random_state=random_state)]
    true = _ceiling(frequency, totals.n_rows, **split, n_draws=N_DRAWS, random_state=random_state)
    found.append((ds.name, {"law": TRUE, **true}))
    return [study_row(config, ds, random_state, split="train", totals_of=name, **row) for name, row in found]


def _log_frequencies(totals, exponent, log_shift=0.0, log_cut_off=-np.inf):
    """Return log f_1 − s·log((r+q)/(1+q)) − c(r−1) for every rank r, with log_shift = log(1+q)."""
    after_first = np.arange(totals.n_labels)
    log_after = np.log(np.maximum(after_first, 1)) + np.where(after_first, 0, -np.inf)
    stretched = np.logaddexp(log_shift, log_after) - log_shift
    return np.log(totals.largest) - exponent * stretched - np.exp(log_cut_off) * after_first


def _ceiling(frequency, n_rows, n_evaluated, n_trained, n_draws, random_state):
    """Draw rows and describe which labels have an evaluated positive, and an evaluated and a trained one."""
    rng = np.random.default_rng(random_state)
    evaluated, both = np.empty(n_draws), np.empty(n_draws)
    for draw in range(n_draws):
        found = rng.hypergeometric(frequency, n_rows - frequency, n_evaluated)
        left = frequency - found
        trained = rng.hypergeometric(left, n_rows - n_evaluated - left, n_trained)
        evaluated[draw] = (found > 0).mean()
        both[draw] = ((found > 0) & (trained > 0)).mean()
    return {
        "n_evaluated": n_evaluated,
        "ceiling": float(evaluated.mean()),
        "low": float(np.quantile(evaluated, 0.025)),
        "high": float(np.quantile(evaluated, 0.975)),
        "ceiling_trained": float(both.mean()),
        "positives": int(frequency.sum()),
        "head_labels": _head_labels(frequency),
        "least": int(frequency[-1]),
    }


def _head_labels(frequency):
    """Count the most frequent labels that hold 80 % of the pairs; frequencies fall."""
    return int(np.searchsorted(frequency.cumsum(), 0.8 * frequency.sum())) + 1
