"""The sorted scores of a row, against naive sorting."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.metrics import top_k
from adathresh.rules.row_scores import SortedScores, places_in_rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_scores", [1, 3, 99])
def test_rows_are_described_as_naive_sorting_says(make_case, seed, n_scores):
    _, scores, stored, sparse = make_case(seed)
    stored[3] = False
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=scores.shape)
    low, high = scores[stored].min(), scores[stored].max()
    found = SortedScores(n_scores).fit(sparse).transform(sparse)
    width = min(n_scores, scores.shape[1])
    assert found.shape == (len(scores), width + 1)
    for row in range(len(scores)):
        falling = sorted(((s - low) / (high - low) for s in scores[row, stored[row]]), reverse=True)
        expected = (falling + [0.0] * width)[:width]
        np.testing.assert_allclose(found[row], [*expected, sum(falling)], atol=1e-15)
    assert not found[3].any()


@pytest.mark.parametrize("seed", range(3))
def test_places_are_those_of_top_k(make_case, seed):
    _, _, _, sparse = make_case(seed)
    places = places_in_rows(sparse)
    for k in (1, 2, 5):
        kept = sp.csr_array((places <= k, sparse.indices, sparse.indptr), shape=sparse.shape).toarray()
        top = top_k(sparse, k)
        top.data = np.ones(top.nnz)
        np.testing.assert_array_equal(kept, top.toarray() == 1)


def test_scores_of_any_range_are_scaled():
    extreme = sp.csr_array(np.array([[-1.7e308, 1.7e308, 1e300]]))
    np.testing.assert_allclose(SortedScores(3).fit(extreme).transform(extreme)[0, :3], [1, 0.5, 0], atol=1e-7)
    equal = sp.csr_array(np.array([[0.5, 0.5]]))
    assert not SortedScores(2).fit(equal).transform(equal).any()
    nothing = sp.csr_array((2, 3))
    assert not SortedScores(2).fit(nothing).transform(nothing).any()


def test_which_labels_have_the_scores_makes_no_difference():
    scores = np.random.default_rng(0).random((20, 40))
    described = [
        SortedScores(5).fit(given).transform(given)
        for given in (sp.csr_array(scores), sp.csr_array(scores[:, ::-1]))
    ]
    np.testing.assert_array_equal(*described)
