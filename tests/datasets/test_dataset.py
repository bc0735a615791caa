"""How data sets and their rows are shown: by their numbers, never by their content."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import HTMLTable, flat_dataset

from adathresh.datasets import LabelledRows, Split

TEXTS = ["a secret text", "another <b>text</b>", "a third"]


@pytest.fixture
def ds():
    Y = sp.csr_array([[1.0, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
    X = sp.csr_array(np.eye(3, 5))
    return flat_dataset(
        name="<pets>",
        fingerprint="0123456789abcdef",
        label_names=list("abcd"),
        feature_names=list("vwxyz"),
        X_train=X,
        Y_train=Y,
        text_train=TEXTS,
        groups_train=np.arange(3),
        X_dev=X[:1],
        Y_dev=Y[:1],
        X_test=X[:2],
        Y_test=Y[:2],
    )


def test_a_data_set_is_a_table_of_its_splits(ds):
    shown = HTMLTable(ds._repr_html_())
    assert shown.caption == "<pets>: 5 features, 4 labels, validation official, fingerprint 0123456789ab"
    assert shown.lines == [
        ["split", "rows", "labels a row", "with"],
        ["train", "3", "1.7", "texts, groups"],
        ["dev", "1", "2.0", ""],
        ["test", "2", "1.5", ""],
    ]


def test_the_table_holds_every_number_of_the_text(ds):
    shown = HTMLTable(ds._repr_html_())
    words = " ".join([shown.caption, *(cell for line in shown.lines for cell in line)])
    numbers = re.findall(r"\b[\da-f]*\d[\da-f]*\b", repr(ds))
    assert numbers == ["3", "1", "2", "5", "4", "0123456789ab"]
    assert not set(numbers) - set(re.findall(r"\w+", words))


def test_rows_are_shown_in_a_line_without_their_content(ds):
    assert repr(ds.train) == "Split(3 rows, 5 features, 4 labels, 1.7 labels a row; texts, groups)"
    assert repr(ds.validation) == "Split(1 row, 5 features, 4 labels, 2.0 labels a row)"
    rows = LabelledRows(None, ds.train.Y, texts=TEXTS, label_names=list("abcd"))
    assert repr(rows) == "LabelledRows(3 rows, 4 labels, 1.7 labels a row; texts, label names)"
    assert rows == LabelledRows(*rows)  # still a tuple


def test_no_rows_are_shown_too():
    empty = sp.csr_array((0, 2))
    assert repr(Split(X=empty, Y=empty)) == "Split(0 rows, 2 features, 2 labels, nan labels a row)"
