"""The rarity of labels by hand, and what it does with labels never seen and with bad input."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from adathresh import LabelIDF

Y = np.array([[1, 0, 0, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("epsilon", "expected"),
    [
        (1.0, [np.log(4 / 5), np.log(4 / 3), np.log(4), np.log(2)]),
        (0.5, [np.log(4 / 4.5), np.log(4 / 2.5), np.log(8), np.log(4 / 1.5)]),
    ],
)
def test_values_by_hand(epsilon, expected):
    idf = LabelIDF(epsilon=epsilon).fit(Y)
    np.testing.assert_allclose(idf.idf_, expected, rtol=1e-15)
    assert idf.frequency_.tolist() == [4, 2, 0, 1]
    assert idf.n_samples_ == 4


def test_unseen_labels_are_named_and_get_the_largest_finite_value():
    idf = LabelIDF().fit(Y)
    assert idf.unseen_.tolist() == [2]
    assert idf.idf_[2] == idf.idf_.max() == np.log(4)
    assert idf.idf_[0] < 0  # a label of every row


def test_no_unseen_labels():
    assert LabelIDF().fit(np.eye(3)).unseen_.size == 0


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_sparse_equals_dense(container, dtype):
    idf = LabelIDF().fit(container(Y.astype(dtype)))
    np.testing.assert_array_equal(idf.idf_, LabelIDF().fit(Y).idf_)
    assert idf.idf_.dtype == np.float64


def test_stored_zeros_are_not_occurrences():
    stored = sp.csr_array((np.array([1, 0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    assert LabelIDF().fit(stored).frequency_.tolist() == [1, 0]


@pytest.mark.parametrize("epsilon", [0, -1.0, np.nan])
def test_epsilon_out_of_range(epsilon):
    with pytest.raises(ValueError, match="epsilon must be a finite number, greater than 0; got"):
        LabelIDF(epsilon=epsilon).fit(Y)


def test_bad_labels():
    with pytest.raises(ValueError, match="no rows"):
        LabelIDF().fit(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="only 0 and 1; found 2"):
        LabelIDF().fit([[0, 2]])
    with pytest.raises(NotFittedError):
        LabelIDF().unseen_  # noqa: B018


def test_a_row_of_weight_two_is_two_rows_and_one_of_weight_zero_is_none():
    Y = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 1, 1]])
    weighted = LabelIDF().fit(Y, sample_weight=[2, 1, 0, 1])
    repeated = LabelIDF().fit(Y[[0, 0, 1, 3]])
    np.testing.assert_allclose(weighted.idf_, repeated.idf_, rtol=1e-15)
    np.testing.assert_array_equal(weighted.frequency_, repeated.frequency_)
    assert weighted.n_samples_ == repeated.n_samples_


def test_weights_must_fit_the_rows():
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(2,\).*got \(1,\)"):
        LabelIDF().fit([[1], [0]], sample_weight=[1])
