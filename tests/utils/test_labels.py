"""How label matrices and binary vectors go in and come back."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import get_tags

from adathresh.utils.labels import LabelSetMixin

Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])


class Labels(LabelSetMixin, ClassifierMixin, BaseEstimator):
    pass


@pytest.mark.parametrize("container", [np.array, sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.float64])
def test_matrices_come_back_in_their_container(container, dtype):
    labels = Labels()
    encoded = labels._encode(container(Y.astype(dtype)), 3)
    assert isinstance(encoded, sp.csr_array)
    assert labels.n_labels_ == 3
    assert labels.classes_.tolist() == [0, 1, 2]
    decoded = labels._decode(sp.csr_array(Y == 1))
    expected = {np.array: np.ndarray, sp.csr_matrix: sp.csr_matrix}.get(container, sp.csr_array)
    assert type(decoded) is expected
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded.toarray() if sp.issparse(decoded) else decoded, Y)
    assert labels._squeeze(Y) is Y


def test_lists_are_dense():
    labels = Labels()
    labels._encode(Y.tolist(), 3)
    assert isinstance(labels._decode(sp.csr_array(Y)), np.ndarray)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([0, 1, 1], [0, 1]),
        ([-1, 1, 1], [-1, 1]),
        (["no", "yes", "yes"], ["no", "yes"]),
        ([False, True, True], [False, True]),
        ([2.0, 7.0, 7.0], [2.0, 7.0]),
    ],
)
def test_binary_vectors_come_back_as_their_classes(y, classes):
    labels = Labels()
    assert labels._encode(np.array(y), 3).toarray().tolist() == [[0], [1], [1]]
    assert labels.classes_.tolist() == classes
    assert labels.n_labels_ == 1
    decoded = labels._decode(sp.csr_array([[1], [1], [0]]))
    assert decoded.tolist() == [classes[1], classes[1], classes[0]]
    assert labels._squeeze(np.ones((3, 1))).shape == (3,)


def test_a_column_is_a_label_matrix_where_it_is_0_and_1_else_a_vector():
    labels = Labels()
    labels._encode([[0], [1]], 2)
    assert labels._decode(sp.csr_array([[0], [1]])).tolist() == [[0], [1]]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        labels._encode([["a"], ["b"]], 2)
    assert labels._decode(sp.csr_array([[0], [1]])).tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([0, 1, 2], r"Only binary classification is supported.*Pass multi-label targets as a 0/1 matrix"),
        (["a", "b", "c"], "Only binary classification is supported"),
        ([0.5, 1.5, 2.0], "Unknown label type: continuous"),
        ([0, 1], "y has 2 rows but X has 3"),
        ([1, 1, 1], "y holds 1 class; a binary target needs two"),
        ([0, 1, np.nan], "Input y contains NaN"),
        ([0, 1, np.inf], "Input y contains infinity"),
        ([[0, 1], [2, 0], [0, 0]], "Y must hold only 0 and 1; found 2"),
        ([[0, 0.5], [1, 0], [0, 0]], r"Y must hold only 0 and 1; found 0\.5"),
        ([[0, np.nan], [1, 0], [0, 0]], "Y must hold only 0 and 1; found nan"),
        ([["a", "b"], ["a", "b"], ["a", "b"]], r"Y must hold only the numbers 0 and 1.*MultiLabelBinarizer"),
        ([["a", "b"], ["a"], []], r"Y must be a 0/1 matrix.*differ in length.*MultiLabelBinarizer"),
        ([[0, 5], [1], []], r"differ in length.*MultiLabelBinarizer"),
        ([{"a", "b"}, {"a"}, set()], r"its rows are of type set.*MultiLabelBinarizer"),
        (pd.Series([["a", "b"], ["a"], []]), r"its rows are of type list.*MultiLabelBinarizer"),
        (
            pd.DataFrame({"a": ["x", "y", "z"], "b": list("xyz")}),
            r"only the numbers 0 and 1.*MultiLabelBinarizer",
        ),
        (sp.csr_array([[0, 3], [1, 0], [0, 0]]), "Y must hold only 0 and 1; found 3"),
        ([[0, 1], [1, 0]], "Y has 2 rows but 3 were expected"),
        (sp.csr_array((2, 5)), "Y has 2 rows but 3 were expected"),
    ],
)
def test_refused(y, message):
    with pytest.raises(ValueError, match=message):
        Labels()._encode(y, 3)


def test_tags():
    tags = get_tags(Labels())
    assert tags.estimator_type == "classifier"
    assert tags.classifier_tags.multi_label
    assert not tags.classifier_tags.multi_class
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.input_tags.sparse
