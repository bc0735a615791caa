"""The bins of training frequency."""

import numpy as np
import pytest

from adathresh.metrics import FREQUENCY_BINS, FREQUENCY_EDGES, binned_macro_auroc, binned_macro_f1, bins_of

NAMES = {
    "0": range(1),
    "1–5": range(1, 6),
    "6–20": range(6, 21),
    "21–100": range(21, 101),
    "> 100": [101, 102, 5000],
}


def test_each_frequency_falls_into_the_bin_that_names_it():
    assert list(NAMES) == list(FREQUENCY_BINS)
    for number, of_bin in enumerate(NAMES.values()):
        assert bins_of(of_bin).tolist() == [number] * len(of_bin)
    assert [min(of_bin) for of_bin in NAMES.values()][1:] == list(FREQUENCY_EDGES)


def test_metrics_are_named_by_the_bins():
    Y, scores = np.eye(3), np.full((3, 3), 0.5)
    for name, found in {
        "macro_f1": binned_macro_f1(Y, Y, [0, 1, 2]),
        "macro_auroc": binned_macro_auroc(Y, scores, [0, 1, 2]),
    }.items():
        assert list(found) == [f"{name}_{suffix}" for suffix in FREQUENCY_BINS.values()]


@pytest.mark.parametrize(
    ("frequency", "message"),
    [
        ([[1]], r"frequency must have shape \(n_labels,\); got \(1, 1\)"),
        (3, r"frequency must have shape \(n_labels,\); got \(\)"),
        ([1, -1], "^frequency must hold counts"),
        ([1, np.nan], "frequency must hold counts"),
        (["1", "2"], "frequency must hold numbers; got values of type <U1"),
    ],
)
def test_errors(frequency, message):
    with pytest.raises(ValueError, match=message):
        bins_of(frequency)
