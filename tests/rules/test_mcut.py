"""The largest gap of every row, against a loop and values worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.rules import MCut


def above_largest_gap(row, absent):
    """Say which scores of one row are predicted; absent is what stands for those it lacks, None if none."""
    falling = sorted(row, reverse=True) + ([] if absent is None else [absent])
    gaps = [upper - lower for upper, lower in pairwise(falling)]
    if not gaps or max(gaps) <= 0:
        return [False] * len(row)
    threshold = falling[gaps.index(max(gaps))]
    return [score >= threshold for score in row]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("lowest", [0, -0.5])
def test_mcut_against_a_loop(make_case, seed, lowest):
    _, scores, stored, _ = make_case(seed, kept=0.5)
    scores = np.round(scores * 32) / 32 + lowest  # equal gaps are equal, not nearly so
    stored[3], stored[4], stored[5] = False, True, np.arange(scores.shape[1]) == 2
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=scores.shape)
    for given, kept in ((scores, np.ones_like(stored)), (sparse, stored)):
        predicted = MCut().fit(given).predict(given)
        predicted = predicted.toarray() if sp.issparse(predicted) else predicted
        for row, here, found in zip(scores, kept, predicted, strict=True):
            absent = None if here.all() else min(0, row[here].min(initial=0))
            np.testing.assert_array_equal(found[here], above_largest_gap(row[here].tolist(), absent))
            assert not found[~here].any()


def test_mcut_by_hand():
    def predict(*row):
        return MCut().fit([row]).predict([row])[0].tolist()

    assert predict(0.2, 0.9, 0.8) == [0, 1, 1]
    assert predict(0.75, 0.5, 0.25) == [1, 0, 0]  # equal gaps: the higher one
    assert predict(0.5, 0.5, 0.25) == [1, 1, 0]
    assert predict(0.5, 0.5, 0.5) == [0, 0, 0]
    assert predict(-0.5, -2.0, -2.5) == [1, 0, 0]
    assert predict(0.7) == [0]
    assert predict(0.5, np.nextafter(0.5, 1)) == [0, 1]  # nothing lies between the two


def test_mcut_counts_absent_probabilities_as_zero(make_case):
    _, _, _, sparse = make_case(0, decimals=9)
    rule = MCut().fit(sparse)
    np.testing.assert_array_equal(rule.predict(sparse).toarray(), rule.predict(sparse.toarray()))
    single = sp.csr_array(([1.0, -1.0], ([0, 1], [2, 2])), shape=(2, 3))
    np.testing.assert_array_equal(rule_for(single).predict(single).toarray(), [[0, 0, 1], [0, 0, 0]])


def rule_for(scores):
    return MCut().fit(scores)
