"""Candidate pairs: which ones there are, and what each signal says of them."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logit

from adathresh.posthoc.candidates import Pairs, gather_pairs

LOWEST = logit(1e-6)


def sparse(entries, shape=(3, 4)):
    """CSR from {(row, label): value}."""
    rows, labels = zip(*entries, strict=True)
    return sp.csr_array((np.array(list(entries.values()), dtype=float), (rows, labels)), shape=shape)


def test_dense_scores_bring_up_every_pair():
    scores = np.array([[0.5, 0.9], [0.0, 1.0]])
    pairs = gather_pairs(scores, None, None)
    assert pairs.shape == (2, 2)
    np.testing.assert_array_equal(pairs.rows, [0, 0, 1, 1])
    np.testing.assert_array_equal(pairs.labels, [0, 1, 0, 1])
    np.testing.assert_allclose(pairs.logits, [[0], [logit(0.9)], [LOWEST], [-LOWEST]], rtol=1e-9)
    assert pairs.share is None
    assert pairs.affinity is None


def test_sparse_signals_are_united_by_hand():
    scores = sparse({(0, 1): 0.5, (0, 3): 0.0, (2, 0): 0.9})  # a stored 0 is a score
    local = sparse({(0, 1): 0.25, (2, 2): 1.0})
    affinity = sparse({(0, 0): 0.125, (2, 0): 0.5})
    pairs = gather_pairs(scores, local, affinity)
    assert list(zip(pairs.rows, pairs.labels, strict=True)) == [(0, 0), (0, 1), (0, 3), (2, 0), (2, 2)]
    np.testing.assert_allclose(pairs.logits[:, 0], [-np.inf, 0, LOWEST, logit(0.9), -np.inf], atol=1e-12)
    np.testing.assert_array_equal(pairs.share, [[0], [0.25], [0], [0], [1]])
    np.testing.assert_array_equal(pairs.affinity, [[0.125], [0], [0], [0.5], [0]])


@pytest.mark.parametrize(("models", "searches", "texts"), [(2, 1, 1), (1, 2, 3), (1, 0, 2), (3, 2, 0)])
def test_several_matrices_of_every_signal_against_a_loop(models, searches, texts):
    rng = np.random.default_rng(0)
    total = models + searches + texts
    given = [rng.random((20, 6)) * (rng.random((20, 6)) < 0.3) for _ in range(total)]
    scores, local, affinity = np.split(np.array(given), [models, models + searches])
    # the second matrix of a signal dense, all others sparse; a dense score brings up every pair
    listed = [
        [x if signal is not scores and i == 1 else sp.csr_array(x) for i, x in enumerate(signal)] or None
        for signal in (scores, local, affinity)
    ]
    pairs = gather_pairs(*listed)
    expected = [(i, j) for i in range(20) for j in range(6) if any(x[i, j] for x in given)]
    assert list(zip(pairs.rows, pairs.labels, strict=True)) == expected
    at = tuple(np.transpose(expected))
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(pairs.logits, np.column_stack([logit(x[at]) for x in scores]))
    for found, signal in ((pairs.share, local), (pairs.affinity, affinity)):
        if len(signal):
            np.testing.assert_array_equal(found, np.column_stack([x[at] for x in signal]))
        else:
            assert found is None


def test_a_matrix_alone_is_a_list_of_one():
    rng = np.random.default_rng(0)
    given = [sp.csr_array(rng.random((5, 4)) * (rng.random((5, 4)) < 0.4)) for _ in range(3)]
    for a, b in zip(gather_pairs(*given), gather_pairs(*[[x] for x in given]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stored_zero_is_a_score_and_no_score_lies_below_it():
    pairs = gather_pairs(sparse({(0, 0): 0.0}), sparse({(0, 1): 0.5}), None)
    assert pairs.logits.ravel().tolist() == [LOWEST, -np.inf]


def test_one_dense_model_brings_up_every_pair_of_a_sparse_one():
    pairs = gather_pairs([sparse({(1, 1): 0.5}), np.full((3, 4), 0.5)], None, None)
    assert len(pairs.rows) == 12
    assert (pairs.logits[:, 1] == 0).all()
    assert (pairs.logits[:, 0] == 0).sum() == 1


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, sp.csc_array, sp.coo_matrix, sp.lil_array])
def test_every_container_gives_the_same_pairs(form):
    scores = np.random.default_rng(0).uniform(0.1, 1, (5, 3))
    pairs, again = gather_pairs(scores, None, None), gather_pairs(form(scores), form(scores), None)
    for a, b in zip(pairs[1:4], again[1:4], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again.share, scores.ravel()[:, None])


def test_one_label():
    pairs = gather_pairs([[0.5], [0.9], [0.1]], sparse({(1, 0): 0.5}, shape=(3, 1)), None)
    np.testing.assert_array_equal(pairs.rows, [0, 1, 2])
    np.testing.assert_array_equal(pairs.labels, [0, 0, 0])
    np.testing.assert_array_equal(pairs.share, [[0], [0.5], [0]])


def test_unsorted_input_is_sorted_in_a_copy():
    scores = sp.csr_array((np.array([0.9, 0.2]), np.array([2, 0]), np.array([0, 2])), shape=(1, 3))
    pairs = gather_pairs(scores, None, None)
    np.testing.assert_array_equal(pairs.labels, [0, 2])
    np.testing.assert_allclose(pairs.logits[:, 0], logit([0.2, 0.9]))
    np.testing.assert_array_equal(scores.indices, [2, 0])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_no_pairs(shape, form):
    pairs = gather_pairs(form(np.zeros(shape)), sp.csr_array(shape), None)
    assert pairs.shape == shape
    assert len(pairs.rows) == len(pairs.labels) == 0
    assert pairs.logits.shape == pairs.share.shape == (0, 1)
    assert pairs.matrix(np.zeros(0)).shape == shape


def test_take_and_matrix():
    pairs = gather_pairs(sparse({(0, 1): 0.5, (2, 0): 0.9, (2, 3): 0.1}), sparse({(0, 1): 0.25}), None)
    some = pairs.take(np.array([True, False, True]))
    assert isinstance(some, Pairs)
    assert some.shape == pairs.shape
    np.testing.assert_array_equal(some.labels, [1, 3])
    np.testing.assert_array_equal(some.share, [[0.25], [0]])
    assert some.affinity is None
    matrix = some.matrix(np.array([0.0, 7.0]))
    assert matrix.nnz == 2  # the 0 stays stored
    np.testing.assert_array_equal(matrix.toarray(), [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 7]])
    assert matrix.has_canonical_format


def test_positions_of_very_many_labels_do_not_overflow():
    shape = (300_000, 20_000)  # 6 billion pairs
    scores = sp.csr_array(([0.5, 0.7], ([0, 299_999], [3, 19_999])), shape=shape)
    pairs = gather_pairs(scores, sp.csr_array(([1.0], ([299_998], [1])), shape=shape), None)
    assert list(zip(pairs.rows, pairs.labels, strict=True)) == [(0, 3), (299_998, 1), (299_999, 19_999)]


ONES = np.ones((3, 4))
TWICE = sp.coo_array((np.array([0.5, 0.4]), (np.array([1, 1]), np.array([2, 2]))), shape=(3, 4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], None, None), "scores"),
        ((None, None, None), "scores"),
        (([ONES, ONES[:2]], None, None), r"scores\[1\] has 2 rows but 3 were expected"),
        (([ONES, ONES[:, :2]], None, None), r"scores\[1\] has 2 labels but 4 were expected"),
        (([ONES, 2 * ONES], None, None), r"scores\[1\] must be probabilities in \[0, 1\].*expit"),
        ((ONES[0], None, None), r"scores must have shape \(n_samples, n_labels\); got 1 dimension"),
        ((ONES * np.nan, None, None), "scores must be finite; found NaN or infinity in row 0, label 0"),
        ((-ONES, None, None), r"scores must be probabilities in \[0, 1\]"),
        ((TWICE, None, None), "scores stores the same"),
        ((ONES, ONES[1:], None), "local has 2 rows but 3 were expected"),
        ((ONES, ONES[:, 1:], None), "local has 3 labels but 4 were expected"),
        ((ONES, 2 * ONES, None), r"local must be probabilities in \[0, 1\]"),
        ((ONES, TWICE, None), "local stores the same"),
        ((ONES, None, ONES[1:]), "affinity has 2 rows but 3 were expected"),
        ((ONES, None, -ONES), r"affinity must be probabilities in \[0, 1\]"),
        ((ONES, None, np.inf * ONES), "affinity must be finite"),
        ((ONES, [ONES, ONES[1:]], None), r"local\[1\] has 2 rows but 3 were expected"),
        ((ONES, [2 * ONES, ONES], None), r"local\[0\] must be probabilities in \[0, 1\]"),
        ((ONES, None, [ONES, ONES[:, 1:]]), r"affinity\[1\] has 3 labels but 4 were expected"),
        ((ONES, [], None), "local"),
    ],
)
def test_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        gather_pairs(*given)


def test_refuses_another_shape_than_required():
    with pytest.raises(ValueError, match="scores has 3 rows but 5 were expected"):
        gather_pairs(ONES, None, None, n_samples=5)
    with pytest.raises(ValueError, match="scores has 4 labels but 5 were expected"):
        gather_pairs(ONES, None, None, n_labels=5)
