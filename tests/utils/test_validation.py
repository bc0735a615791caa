"""The shared input checks: what they return and refuse, and that they leave the caller's data alone."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from adathresh.utils.validation import (
    as_labels,
    candidate_pairs,
    check_columns,
    check_labels,
    check_scores,
    container_of,
    falling_by_label,
    grouped_by_label,
    like_input,
    naming,
    narrow_indices,
    one_row,
    with_pairs,
)

Y = np.array([[1, 0, 1], [0, 0, 0]])
SCORES = np.array([[0.5, 0.0, 0.25], [1.0, 0.75, 0.0]])


@pytest.mark.parametrize(
    "make", [np.array, sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array, sp.lil_array]
)
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, np.float64])
def test_labels_become_canonical_csr(make, dtype):
    checked = check_labels(make(Y.astype(dtype)))
    assert isinstance(checked, sp.csr_array)
    assert checked.dtype == np.float32
    assert checked.has_canonical_format
    assert (checked.data == 1).all()
    np.testing.assert_array_equal(checked.toarray(), Y)


def test_labels_of_the_caller_stay_as_they_are():
    unsorted = sp.csr_array((np.array([1, 0, 1], np.float32), [2, 1, 0], [0, 3, 3]), shape=(2, 3))
    np.testing.assert_array_equal(check_labels(unsorted).toarray(), Y)
    np.testing.assert_array_equal(unsorted.indices, [2, 1, 0])
    np.testing.assert_array_equal(unsorted.data, [1, 0, 1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], r"T must be a 0/1 matrix .* got 1 dimension"),
        ([[0, 2]], r"T must hold only 0 and 1; found 2\."),
        ([[0, 0.5]], r"found 0\.5"),
        ([[0, np.nan]], r"found nan"),
        ([["0", "1"]], r"T must hold only the numbers 0 and 1; got values of type"),
        (sp.csr_array([[0, -1]]), r"found -1"),
        (sp.lil_array([[0, 3]]), r"found 3"),
    ],
)
def test_labels_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, name="T")


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int64])
@pytest.mark.parametrize("form", ["coo", "csr"])
def test_labels_stored_twice_are_refused(dtype, form):
    ones = np.ones(2, dtype=dtype)
    twice = (
        sp.coo_array((ones, ([0, 0], [1, 1])), shape=(1, 3))
        if form == "coo"
        else sp.csr_array((ones, [1, 1], [0, 2]), shape=(1, 3))
    )
    with pytest.raises(ValueError, match="more than once"):
        check_labels(twice)


def test_shapes_required_by_other_arguments():
    with pytest.raises(ValueError, match="Y has 2 rows but 5 were expected"):
        check_labels(Y, n_samples=5)
    with pytest.raises(ValueError, match="Y has 3 labels but 4 were expected"):
        check_labels(Y, n_labels=4)
    with pytest.raises(ValueError, match="z has 2 rows but 5 were expected"):
        check_scores(SCORES, name="z", n_samples=5)
    with pytest.raises(ValueError, match="z has 3 labels but 4 were expected"):
        check_scores(SCORES, name="z", n_labels=4)


def test_scores_keep_their_type_and_integers_become_float64():
    assert check_scores(SCORES.astype(np.float32)).dtype == np.float32
    assert check_scores(sp.csr_array(SCORES.astype(np.float32))).dtype == np.float32
    assert check_scores([[1, 2]]).dtype == np.float64


def test_stored_zero_scores_stay_and_the_caller_is_not_sorted():
    unsorted = sp.csr_array(([0.0, 0.5], [2, 0], [0, 2]), shape=(1, 3))
    checked = check_scores(unsorted)
    np.testing.assert_array_equal(checked.indices, [0, 2])
    np.testing.assert_array_equal(checked.data, [0.5, 0.0])
    np.testing.assert_array_equal(unsorted.indices, [2, 0])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.5], "z must have shape .* got 1 dimension"),
        ([["a"]], "z must be real numbers"),
        ([[1j]], "z must be real numbers"),
        ([[0.0, 1.0], [np.nan, 0.0]], "NaN or infinity in row 1, label 0"),
        (sp.csr_array([[0.0, 1.0], [0.0, 0.0], [0.0, np.inf]]), "NaN or infinity in row 2, label 1"),
        (sp.coo_array(([0.5, 0.5], ([0, 0], [1, 1])), shape=(1, 2)), "z stores the same .* more than once"),
        (sp.coo_array(([5, 5], ([0, 0], [1, 1])), shape=(1, 2)), "z stores the same .* more than once"),
        (sp.csr_array(([5, 5], [1, 1], [0, 2]), shape=(1, 2)), "z stores the same .* more than once"),
        (sp.csr_array(([0.5, 0.5], [1, 1], [0, 2]), shape=(1, 2)), "z stores the same .* more than once"),
    ],
)
def test_scores_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        check_scores(scores, name="z")


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_logits_are_not_probabilities(container):
    with pytest.raises(ValueError, match=r"found values from -2 to 3\. Pass scipy\.special\.expit"):
        check_scores(container([[-2.0, 3.0]]), probabilities=True)
    with pytest.raises(ValueError, match=r"found values from 0\.5 to 1\.00000012\. Clip what rounding"):
        check_scores(container([[0.5, 1 + 2.0**-23]]), probabilities=True)
    check_scores(container([[0.0, 1.0]]), probabilities=True)


def test_candidate_pairs_against_a_loop():
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth = rng.random((6, 5)) < 0.4
        dense = rng.random((6, 5))
        stored = rng.random((6, 5)) < rng.random()
        rows, labels = np.nonzero(stored)
        sparse = sp.csr_array((dense[stored], (rows, labels)), shape=(6, 5))
        pairs = candidate_pairs(check_labels(truth), check_scores(sparse))
        np.testing.assert_array_equal(pairs.labels, labels)
        np.testing.assert_array_equal(pairs.scores, dense[stored])
        np.testing.assert_array_equal(pairs.truth, truth[stored])
        pairs = candidate_pairs(check_labels(truth), dense)
        np.testing.assert_array_equal(pairs.labels, np.tile(np.arange(5), 6))
        np.testing.assert_array_equal(pairs.truth, truth.ravel())


@pytest.mark.parametrize("n_labels", [3, 300, 70_000])
def test_orders_by_label(n_labels):
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(n_labels, size=2000), rng.random(2000)
    np.testing.assert_array_equal(falling_by_label(labels, scores), np.lexsort((-scores, labels)))
    np.testing.assert_array_equal(grouped_by_label(labels), np.argsort(labels, kind="stable"))


@pytest.mark.parametrize("make", [np.array, sp.csr_array, sp.csr_matrix, sp.csc_matrix, sp.coo_array])
def test_labels_return_in_the_container_they_came_in(make):
    given = make(Y)
    back = like_input(check_labels(given), container_of(given))
    assert back.dtype == np.int64
    if sp.issparse(given):
        assert back.format == "csr"
        assert isinstance(back, sp.spmatrix) == isinstance(given, sp.spmatrix)
        back = back.toarray()
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(back, Y)


@pytest.mark.parametrize("make", [np.array, sp.csr_array, sp.csr_matrix, sp.coo_array])
def test_one_row_may_lack_its_second_dimension(make):
    for given in (make([[1.0, 0.0, 2.0]]), make([1.0, 0.0, 2.0])):
        row = one_row(given)
        assert isinstance(row, sp.csr_array if sp.issparse(given) else np.ndarray)
        np.testing.assert_array_equal(row.toarray() if sp.issparse(row) else row, [[1, 0, 2]])
    with pytest.raises(ValueError, match="explain takes one row; got 2"):
        one_row(make(Y))
    with pytest.raises(ValueError, match="explain takes one row; got 0"):
        one_row(make(np.zeros((0, 3))))


@pytest.mark.parametrize("make", [list, tuple, np.array])
def test_as_labels_leaves_checks_of_numbers_to_others(make):
    assert as_labels(make([[1, 0], [0, 7]])).tolist() == [[1, 0], [0, 7]]


def test_as_labels_returns_sparse_ones_as_they_are():
    matrix = sp.coo_array(Y)
    assert as_labels(matrix) is matrix


@pytest.mark.parametrize(
    "tags", [[["a"], ["b", "c"]], [("a", "b"), ()], [{"a"}, {"b"}], [frozenset("a"), {"b"}]]
)
def test_lists_of_tags_are_told_how_to_be_encoded(tags):
    for check in (as_labels, check_labels):
        with pytest.raises(ValueError, match=r"tags must be a 0/1 matrix .*MultiLabelBinarizer"):
            check(tags, name="tags")


NUMBERS = {
    "whole": [1, 2],
    "float": [0.5, np.nan],
    "bool": [True, False],
    "nullable": pd.array([1, None], dtype="Int64"),
    "objects": pd.Series([1, 2.5], dtype=object),
    "sparse": pd.arrays.SparseArray([0.0, 1.0]),
}
OTHERS = {
    "text": ["a", "b"],
    "category": pd.Categorical(["a", "b"]),
    "date": pd.to_datetime(["2020-01-01", "2020-01-02"]),
    "mixed": pd.Series([1, "b"], dtype=object),
    "lists": [[1], [2]],
}


def test_columns_of_numbers_pass():
    check_columns(pd.DataFrame(NUMBERS))
    check_columns(np.array([["a", "b"]]))
    check_columns(pd.Series(["a"]))


@pytest.mark.parametrize("kind", OTHERS)
def test_columns_of_other_things_are_named(kind):
    with pytest.raises(
        ValueError, match=rf"rows has columns that are no numbers \({kind}\), .*rows\['{kind}'\]"
    ):
        check_columns(pd.DataFrame(NUMBERS | {kind: OTHERS[kind]}), name="rows")


def test_not_all_of_many_wrong_columns_are_named():
    frame = pd.DataFrame({number: ["a"] for number in range(7)})
    with pytest.raises(ValueError, match=r"no numbers \(0, 1, 2, 3, 4, …\)"):
        check_columns(frame)
    with pytest.raises(ValueError, match=r"no numbers \(0, 1, 2, 3, 4\)"):
        check_columns(frame.iloc[:, :5])


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
def test_indices_become_narrow(kind):
    wide = kind(SCORES)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    narrow = narrow_indices(wide)
    assert type(narrow) is kind
    assert narrow.indices.dtype == narrow.indptr.dtype == np.int32
    assert wide.indices.dtype == np.int64
    np.testing.assert_array_equal(narrow.toarray(), SCORES)
    assert narrow_indices(narrow) is narrow
    assert narrow_indices(SCORES) is SCORES


def test_indices_that_need_64_bits_keep_them():
    wide = sp.csr_array((np.ones(1), np.array([2**40]), np.array([0, 1])), shape=(1, 2**41))
    assert narrow_indices(wide) is wide


def test_with_pairs_keeps_the_marked_ones_as_a_dense_mask_does():
    rng = np.random.default_rng(0)
    matrix = sp.random_array((7, 5), density=0.5, rng=rng, format="csr")
    keep = rng.random(matrix.nnz) < 0.5
    rows, columns = matrix.nonzero()
    dense = np.zeros(matrix.shape)
    dense[rows[keep], columns[keep]] = matrix.data[keep]
    kept = with_pairs(matrix, keep)
    assert kept.nnz == keep.sum()
    np.testing.assert_array_equal(kept.toarray(), dense)
    assert with_pairs(matrix, np.zeros(matrix.nnz, dtype=bool)).nnz == 0


def test_an_error_whose_class_needs_more_than_words_is_named_too():
    with pytest.raises(ValueError, match=r"^X must be text\. 'utf-8' codec"), naming("X", "must be text"):
        b"\xff".decode()
    with pytest.raises(TypeError, match=r"^X must be text\. "), naming("X", "must be text"):
        float([])
