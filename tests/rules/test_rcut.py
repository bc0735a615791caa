"""The highest-scored labels of every row, against sorted rows."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.rules import RCut


@pytest.mark.parametrize("k", [1, 3, 7, 50])
def test_rcut_against_sorted_rows(make_case, k):
    _, scores, stored, sparse = make_case(0)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        predicted = RCut(k).fit(given).predict(given)
        predicted = predicted.toarray() if sp.issparse(predicted) else predicted
        for row, p in zip(filled, predicted, strict=True):
            candidates = [j for j in range(len(row)) if np.isfinite(row[j])]
            assert set(np.flatnonzero(p)) == set(sorted(candidates, key=lambda j: (-row[j], j))[:k])


def test_a_longer_list_never_drops_a_label(make_case):
    _, scores, *_ = make_case(2)
    lists = [RCut(k).fit(scores).predict(scores) for k in range(1, 8)]
    assert all((short <= longer).all() for short, longer in pairwise(lists))
