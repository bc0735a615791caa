"""What counts as texts, and the words by which neighbours and labels are found."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from adathresh.utils.texts import check_order, check_texts, holds_texts, label_vectorizer, text_column

TEXTS = ["a cat", "a dog"]


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, pd.Series, lambda texts: dict(enumerate(texts)).values()]
)
def test_texts_come_as_a_list(make):
    assert holds_texts(make(TEXTS))
    assert check_texts(make(TEXTS)) == TEXTS


@pytest.mark.parametrize("make", [set, frozenset, dict.fromkeys, lambda texts: dict.fromkeys(texts).keys()])
def test_what_has_no_order_is_refused(make):
    for check in (check_order, check_texts):
        with pytest.raises(ValueError, match=r"names is a (set|frozenset|dict|dict_keys), whose order"):
            check(make(TEXTS), name="names")


@pytest.mark.parametrize(
    "make", [iter, lambda texts: (text for text in texts), lambda texts: map(str, texts)]
)
def test_what_can_be_read_once_only_is_refused(make):
    for check in (check_order, check_texts):
        with pytest.raises(
            ValueError, match=r"names is a .*, which can be read only once; give list\(names\)"
        ):
            check(make(TEXTS), name="names")


def test_a_sparse_matrix_that_is_a_dictionary_is_in_order():
    assert isinstance(sp.dok_array((2, 2)), dict)
    check_order(sp.dok_array((2, 2)))


@pytest.mark.parametrize("given", ["a cat", b"a cat", None, 3, np.eye(2), sp.csr_array(np.eye(2))])
def test_no_collection_of_texts(given):
    assert not holds_texts(given)
    with pytest.raises(ValueError, match="names must be plain texts, a sequence of str; got"):
        check_texts(given, name="names")


def test_rows_that_are_no_texts_are_named():
    with pytest.raises(ValueError, match=r"row 1 is a NoneType\. Mend it"):
        check_texts(["a cat", None], advice="Mend it")
    with pytest.raises(ValueError, match="X holds no text"):
        check_texts([])


def test_a_missing_text_may_come_first():
    assert holds_texts([None, "a cat"])
    assert not holds_texts([None, 3.0])
    with pytest.raises(ValueError, match="row 0 is a NoneType"):
        check_texts([None, "a cat"])


def test_the_only_column_of_texts():
    frame = pd.DataFrame({"text": TEXTS})
    assert text_column(frame).tolist() == TEXTS
    for other in (frame.assign(more=TEXTS), pd.DataFrame({"x": [1.0, 2.0]}), frame["text"], TEXTS, np.eye(1)):
        assert text_column(other) is other


@pytest.mark.parametrize("names", [["", ""], ["2019", "3"], ["C", "R", "_"]])
def test_label_texts_without_a_word(names):
    with pytest.raises(ValueError, match="hold no word of two letters or more"):
        label_vectorizer(names, TEXTS)


def test_one_label_with_a_word_is_enough():
    assert list(label_vectorizer(["", "cat"], TEXTS).vocabulary_) == ["cat"]
