"""Label sets as lists of names: there and back, against a naive loop."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

from adathresh.utils.label_names import decode_label_names, encode_label_names, holds_label_names

TAGS = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=5), min_size=1, max_size=8)


@given(TAGS.filter(any))
def test_it_encodes_as_scikit_learn_does_and_decodes_what_it_encoded(tags):
    encoded, names = encode_label_names(tags)
    expected = MultiLabelBinarizer()
    np.testing.assert_array_equal(encoded.toarray(), expected.fit_transform(tags))
    assert list(names) == expected.classes_.tolist()
    assert encoded.has_canonical_format
    assert decode_label_names(encoded, names) == [sorted(set(row)) for row in tags]
    shuffled, order = encode_label_names(tags, names[::-1])
    np.testing.assert_array_equal(shuffled.toarray(), encoded.toarray()[:, ::-1])
    assert order == names[::-1]


def test_unsorted_indices_are_sorted_in_a_copy():
    label_sets = sp.csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 2))
    assert decode_label_names(label_sets, "ab") == [["a", "b"]]
    assert label_sets.indices.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("Y", "expected"),
    [
        ([["a"], []], True),
        ([[], ("a",)], True),
        ([set(), set()], True),
        ([[1, 0], "a", ["b"]], True),
        (pd.DataFrame({"tags": [["a"], []]}), True),
        (np.array([["a"], ["b", "c"]], dtype=object), True),
        (["a", "b"], False),
        ([[1, 0], [0, 1]], False),
        ([np.array([1, 0]), np.array([0, 1])], False),
        (np.array([["a", "b"], ["b", "a"]]), False),
        (pd.DataFrame({"a": [1, 0], "b": [0, 1]}), False),
        (pd.DataFrame({"a": [1, 0]}), False),
        (pd.Series(["yes", "no"]), False),
        (sp.csr_array([[1, 0]]), False),
        (None, False),
        ([], False),
    ],
)
def test_what_holds_names(Y, expected):
    assert holds_label_names(Y) is expected
