"""Data frames of pandas and polars, and mappings of columns."""

import numpy as np
import pytest

from adathresh.datasets import from_frame, load_xc, save_xc


@pytest.fixture(params=["dict", "pandas", "polars"])
def frame(request):
    """Make a table of a mapping of columns."""
    if request.param == "dict":
        return dict
    return pytest.importorskip(request.param).DataFrame


TABLE = {
    "title": ["a", "", "c"],
    "size": [0.5, 0.0, -3.0],
    "count": [1, 0, 2],
    "sad": [1, 0, 1],
    "fun": [False, True, True],
    "tags": [["b", "a"], [], None],
}


def test_columns_of_labels(frame, tmp_path):
    table = {name: TABLE[name] for name in ("size", "count", "sad", "fun")}
    rows = from_frame(frame(table), labels=["fun", "sad"])
    assert rows.label_names == ["fun", "sad"]
    assert rows.feature_names == ["size", "count"]
    assert rows.X.toarray().tolist() == [[0.5, 1], [0, 0], [-3, 2]]
    assert rows.Y.toarray().tolist() == [[0, 1], [1, 0], [1, 1]]
    assert rows.X.nnz == 4
    assert rows.X.dtype == rows.Y.dtype == np.float32
    assert rows.texts is None
    save_xc(tmp_path / "a.txt", rows.X, rows.Y)
    X, Y = load_xc(tmp_path / "a.txt")
    assert (X != rows.X).nnz == (Y != rows.Y).nnz == 0


def test_lists_of_labels_and_texts(frame):
    rows = from_frame(frame(TABLE), labels="tags", text="title")
    assert rows.X is rows.feature_names is None
    assert rows.texts == ["a", "", "c"]
    assert rows.label_names == ["a", "b"]
    assert rows.Y.toarray().tolist() == [[1, 1], [0, 0], [0, 0]]
    rows = from_frame(frame(TABLE), labels=["sad"], text="title", features=["count"])
    assert rows.X.toarray().tolist() == [[1], [0], [2]]
    assert rows.texts == ["a", "", "c"]


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({}, {"labels": ["sade"]}, "frame has no column 'sade'.* Did you mean 'sad'"),
        ({}, {"labels": "tags", "text": "titles"}, "frame has no column 'titles'.* Did you mean 'title'"),
        ({}, {"labels": ["sad", "sad"]}, "column 'sad' is there, or asked for, more than once"),
        ({}, {"labels": ["sad"], "features": ["sad"]}, "column 'sad' is there, or asked for, more than once"),
        ({}, {"labels": []}, "labels must name at least one column"),
        ({}, {"labels": ["count"], "text": "title"}, "column 'count' must hold 0 and 1"),
        ({}, {"labels": ["title"], "features": ["size"]}, "column 'title' must hold 0 and 1"),
        ({}, {"labels": ["sad"], "features": ["title"]}, "column 'title' must hold numbers"),
        (
            {"size": [0.5, 1e39, 0]},
            {"labels": ["sad"], "features": ["size"]},
            "column 'size' must be finite in float32; row 1 is not",
        ),
        (
            {"size": [0.5, None, 0]},
            {"labels": ["sad"], "features": ["size"]},
            "column 'size' must (be finite|hold numbers)",
        ),
        (
            {"title": ["a", None, "b"]},
            {"labels": ["sad"], "text": "title"},
            "column 'title' must hold texts; row 1",
        ),
        ({"tags": ["a b", "", "c"]}, {"labels": "tags", "text": "title"}, "must hold lists .*row 0 is 'a b'"),
        (
            {"tags": [[1], [2], []]},
            {"labels": "tags", "text": "title"},
            "must hold lists of label names; row 0",
        ),
        (
            {"tags": [["a"], ["b", "a", "b"], []]},
            {"labels": "tags", "text": "title"},
            "column 'tags', row 1: label 'b' is given more than once",
        ),
    ],
)
def test_what_is_wrong_is_named(frame, changed, options, message):
    try:
        table = frame(TABLE | changed)
    except TypeError:
        pytest.skip("such a column cannot be made")
    with pytest.raises(ValueError, match=message):
        from_frame(table, **options)


def test_two_columns_of_a_name_are_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="column 'a' is there, or asked for, more than once"):
        from_frame(pandas.DataFrame([[1, 0, 1]], columns=["a", "a", "y"]), labels=["y"])


def test_missing_lists_of_pandas_are_empty():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {"tags": [["a"], np.nan, pandas.NA, ("b",), np.array(["a", "b"])], "x": range(5)}
    )
    rows = from_frame(table, labels="tags")
    assert rows.Y.toarray().tolist() == [[1, 0], [0, 0], [0, 0], [0, 1], [1, 1]]
