"""The bins of training frequency: how often a label occurs among the training rows."""

import numpy as np
from numpy.typing import ArrayLike

from adathresh.metrics._common import check_counts, mean

FREQUENCY_BINS = {"0": "0", "1–5": "1_5", "6–20": "6_20", "21–100": "21_100", "> 100": "over_100"}
"""Name of each bin as it is shown, and what it appends to the name of a metric: ``macro_f1_1_5``."""

FREQUENCY_EDGES = (1, 6, 21, 101)
"""The least training frequency of every bin but the first."""


def bins_of(frequency: ArrayLike) -> np.ndarray:
    """Return the bin of training frequency that each label falls into.

    Parameters
    ----------
    frequency : array-like of shape (n_labels,)
        Number of training rows with the label.

    Returns
    -------
    numpy.ndarray of int, shape (n_labels,)
        The place of the bin in :data:`FREQUENCY_BINS`, from 0.

    Raises
    ------
    ValueError
        If the frequencies are not one-dimensional, or one is negative or NaN.

    Examples
    --------
    >>> from adathresh.metrics import FREQUENCY_BINS, bins_of
    >>> [list(FREQUENCY_BINS)[number] for number in bins_of([0, 3, 100, 5000])]
    ['0', '1–5', '21–100', '> 100']
    """
    return np.searchsorted(FREQUENCY_EDGES, check_counts(frequency, name="frequency"), side="right")


def _means_by_bin(metric, values, train_frequency):
    """Return the mean of the labels' values in each bin, by name; labels whose value is NaN are left out."""
    bins = bins_of(check_counts(train_frequency, n_labels=len(values)))
    bins[np.isnan(values)] = -1  # in no bin
    return {f"{metric}_{suffix}": mean(values[bins == i]) for i, suffix in enumerate(FREQUENCY_BINS.values())}
