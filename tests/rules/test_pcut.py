"""Labels predicted as often as they are true, against a loop."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.rules import PCut


def threshold_of_one_label(y, s):
    """Threshold of one label, by going down its scores one distinct value at a time."""
    threshold = np.inf
    if y.any():
        distinct = [*np.unique(s[np.isfinite(s)])[::-1], -np.inf]
        threshold = distinct[0] if len(distinct) > 1 else np.inf
        for upper, lower in pairwise(distinct):
            if (s >= upper).sum() <= y.sum():
                threshold = (upper + lower) / 2 if np.isfinite(lower) else np.nextafter(upper, -np.inf)
    return threshold


@pytest.mark.parametrize("seed", range(8))
def test_pcut_against_a_loop(make_case, seed):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        rule = PCut().fit(given, Y)
        expected = [threshold_of_one_label(*columns) for columns in zip(Y.T, filled.T, strict=True)]
        np.testing.assert_allclose(rule.thresholds_, expected, atol=1e-12)


def test_pcut_predicts_as_many_rows_as_there_are_positives():
    rng = np.random.default_rng(0)
    Y = (rng.random((60, 9)) < np.linspace(0, 1, 9)).astype(int)
    scores = rng.random(Y.shape)  # no ties, and no relation to the labels
    np.testing.assert_array_equal(PCut().fit(scores, Y).predict(scores).sum(axis=0), Y.sum(axis=0))


def test_pcut_leaves_ties_out():
    Y = [[1], [1], [0], [0]]
    assert PCut().fit([[0.9], [0.5], [0.5], [0.1]], Y).thresholds_ == [0.7]
    assert PCut().fit([[0.5], [0.5], [0.5], [0.1]], Y).thresholds_ == [0.5]
