"""Precision at k and its propensity-scored form against naive loops and by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh import metrics as m

SEEDS = range(5)


def naive_top_k(row, k, stored):
    """Label indices by falling score, then rising index."""
    return sorted(np.flatnonzero(stored), key=lambda j: (-row[j], j))[:k]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 5, 20])
def test_lists_at_k_against_loops(make_case, seed, k):
    Y, _, scores, stored, sparse = make_case(seed, kept=0.4)
    frequency = np.array([0, 3, 1, 8, 40, 2, 15, 30, 4])
    C = (np.log(100) - 1) * 2.5**0.55
    weight = 1 + C * (frequency + 1.5) ** -0.55
    for given, mask in ((scores, np.ones_like(stored)), (sparse, stored)):
        hits = gained = best = 0
        kept = np.zeros(Y.shape, dtype=bool)
        for i, row in enumerate(scores):
            top = naive_top_k(row, k, mask[i])
            kept[i, top] = True
            hits += sum(Y[i, j] for j in top)
            gained += sum(Y[i, j] * weight[j] for j in top)
            best += sum(sorted(Y[i] * weight, reverse=True)[:k])
        listed = m.top_k(given, k)
        np.testing.assert_array_equal(
            sp.csr_array((np.ones(listed.nnz), listed.indices, listed.indptr), Y.shape).toarray(), kept
        )
        np.testing.assert_array_equal(listed.data, scores[kept])
        assert m.precision_at_k(Y, given, k) == pytest.approx(hits / (k * len(Y)))
        assert m.psp_at_k(Y, given, frequency, k, n_train=100) == pytest.approx(gained / best)


@pytest.mark.filterwarnings("error")
def test_psp_by_hand():
    # log(e²) − 1 = 1 and A = B = 1 give C = 2 and weights 1 + 2 / (N_l + 1) = 3, 2, 1.5
    Y, scores = [[1, 0, 1], [0, 1, 0]], [[0.1, 0.5, 0.9], [0.1, 0.9, 0.5]]
    assert m.psp_at_k(Y, scores, [0, 1, 3], 1, n_train=np.exp(2), A=1, B=1) == pytest.approx(
        (1.5 + 2) / (3 + 2)
    )
    assert np.isnan(m.psp_at_k(np.zeros((2, 3)), scores, [0, 1, 3], 1, n_train=9))
    assert np.isnan(m.psp_at_k(np.zeros((2, 0)), np.zeros((2, 0)), [], 1, n_train=9))
    assert m.psp_at_k([[1]], [[0.5]], [9], 1, n_train=9) == 1  # in all training rows


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize("sign", [1, -1])
def test_top_k_of_rows_of_every_length_and_of_tied_scores(seed, k, sign):
    """Rows with none, one, … to thirty scores, of which few are different."""
    rng = np.random.default_rng(seed)
    scores = sign * rng.integers(3, size=(31, 40)).astype(np.float32)
    stored = rng.random(scores.shape).argsort(axis=1) < rng.permutation(31)[:, None]
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=scores.shape)
    for given, mask in ((scores, np.ones_like(stored)), (sparse, stored)):
        listed = m.top_k(given, k)
        assert listed.has_canonical_format
        assert listed.dtype == np.float32
        for i, row in enumerate(scores):
            of_row = slice(*listed.indptr[i : i + 2])
            expected = sorted(naive_top_k(row, k, mask[i]))
            assert listed.indices[of_row].tolist() == expected
            assert listed.data[of_row].tolist() == row[expected].tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 7, 600])
def test_top_k_of_long_rows(seed, k):
    """Long enough for the k-th highest to be found without sorting, in rows of one length and of several."""
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(2_000.0), (4, 1)), axis=1)
    stored = rng.random(scores.shape) < 0.6
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=scores.shape)
    for given, mask in ((scores, np.ones_like(stored)), (sparse, stored)):
        listed = m.top_k(given, k)
        for i, row in enumerate(scores):
            of_row = slice(*listed.indptr[i : i + 2])
            assert listed.indices[of_row].tolist() == sorted(naive_top_k(row, k, mask[i]))


def test_top_k_of_one_label():
    listed = m.top_k([[0.2], [0.9], [0.4]], 1)
    assert listed.shape == (3, 1)
    assert listed.toarray().tolist() == [[0.2], [0.9], [0.4]]


def test_top_k_of_no_scores():
    assert m.top_k(sp.csr_array((3, 4)), 2).nnz == 0
    assert m.top_k(np.zeros((0, 4)), 2).shape == m.top_k(sp.csr_array((0, 4)), 2).shape == (0, 4)
    assert m.top_k(np.zeros((3, 0)), 2).shape == (3, 0)


ONE = [[1, 0], [0, 1]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.top_k(sp.csr_array(HALF), 1.5), "k must be a whole number, at least 1; got 1.5"),
        (lambda: m.top_k(HALF, True), "k must be a whole number, at least 1; got True"),
        (lambda: m.psp_at_k(ONE, HALF, [1, 1], 1, n_train="9"), "n_train must be a finite number"),
        (lambda: m.psp_at_k(ONE, HALF, [1, 1], 1, n_train=9, A=np.nan), "A must be a finite number; got nan"),
        (lambda: m.psp_at_k(ONE, HALF, [1, 1], 1, n_train=9, B=-2), "B must be a finite number, at least 0"),
        (lambda: m.psp_at_k(ONE, HALF, [1, np.inf], 1, n_train=9), "a negative number, NaN or infinity"),
        (lambda: m.top_k(HALF, 0), "k must be a whole number, at least 1; got 0"),
        (lambda: m.top_k([[0.5, np.inf]], 1), "NaN or infinity in row 0, label 1"),
        (lambda: m.precision_at_k([[2]], [[0.5]], 1), "Y_true must hold only 0 and 1; found 2"),
        (lambda: m.psp_at_k([[2]], [[0.5]], [1], 1, n_train=9), "Y_true must hold only 0 and 1; found 2"),
        (
            lambda: m.psp_at_k(ONE, HALF, np.ma.masked_equal([1, 2], 2), 1, n_train=9),
            "train_frequency .*mask",
        ),
        (lambda: m.precision_at_k(ONE, HALF, 0), "k must be a whole number, at least 1; got 0"),
        (lambda: m.precision_at_k(ONE, [[0.5, 0.5]], 1), "scores has 1 rows but 2 were expected"),
        (lambda: m.psp_at_k(ONE, HALF, [1], 1, n_train=9), r"train_frequency must have shape \(2,\)"),
        (
            lambda: m.psp_at_k(ONE, HALF, [1, 1], 1, n_train=2),
            "n_train must be a finite number, at least 3; got 2",
        ),
        (
            lambda: m.psp_at_k(ONE, HALF, [1, 9], 1, n_train=8),
            "train_frequency goes up to 9, but n_train is 8",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_precision_of_no_rows_is_undefined():
    none = np.zeros((0, 3))
    assert np.isnan(m.precision_at_k(none, none, 2))
    assert np.isnan(m.evaluate(none, none, none)["precision_at_1"])
