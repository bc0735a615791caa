"""When rows and texts count as equal."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.utils.equality import digest, folded, only_words, row_contents


@pytest.mark.parametrize("container", [sp.csr_array, np.asarray])
def test_rows_have_the_same_content_where_their_values_are_equal(container):
    X = np.array([[0, 1, 2], [0, 2, 1], [0, 1, 2], [0, 0, 0], [1, 2, 0], [0, 1, 0]])
    narrow, wide = (list(row_contents(container(X.astype(dtype)))) for dtype in (np.float32, np.float64))
    assert narrow == wide
    assert narrow[0] == narrow[2]
    assert narrow[3] == b""
    assert len(set(narrow)) == 5


def test_zero_has_no_sign():
    positive, negative = row_contents(np.array([[0.0, 1.0], [-0.0, 1.0]]))
    assert positive == negative


def test_numbers_of_any_width_index_the_same_columns():
    X = sp.csr_array([[0.0, 3.0, 4.0]])
    wide = sp.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape)
    assert list(row_contents(X)) == list(row_contents(wide))


def test_texts_by_hand():
    assert folded("  One\n Two\u00a0three ") == folded("one two THREE") == "one two three"
    assert folded("one, two") != folded("one two")
    assert only_words("One, 2 two! a") == "one two"
    assert only_words("1 2 a") == ""


def test_digests_are_those_of_the_contents():
    numbers = {digest(str(i).encode()) for i in range(1000)}
    assert len(numbers) == 1000
    assert digest(b"5") in numbers
    assert all(0 <= number < 2**64 for number in numbers)
    assert max(numbers) > 2**63
