"""ARFF files with Mulan's list of labels."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adathresh.datasets import load_dataset, load_xc, save_xc
from adathresh.datasets.arff import load_arff, read_label_names
from adathresh.datasets.checking import check
from adathresh.datasets.formats import DatasetError

HEADER = """\
% Mulan's toy
@relation 'toy: -C 2'

@ATTRIBUTE x numeric
@attribute 'a b' {0, 1}
@attribute color {red,'dark blue',green}
@attribute\tsad {0,1}
@attribute "it's" REAL
@attribute 'fun\\'s' {1,0}
@data
"""
LABELS = ["fun's", "sad"]


@pytest.fixture
def write(tmp_path):
    def write(rows, header=HEADER):
        path = tmp_path / "a.arff"
        path.write_text(header + rows)
        return path

    return write


def test_dense_rows(write):
    rows = load_arff(write("0.5,1,red,1,-2e1,0\n\n% a comment\n 0 , 0,'dark blue' , 0,0,'1'\r\n"), LABELS)
    assert rows.feature_names == ["x", "a b", "color=dark blue", "color=green", "it's"]
    assert rows.X.toarray().tolist() == [[0.5, 1, 0, 0, -20], [0, 0, 1, 0, 0]]
    assert rows.label_names == LABELS
    assert rows.Y.toarray().tolist() == [[0, 1], [1, 0]]
    assert rows.X.nnz == 4
    assert rows.X.dtype == rows.Y.dtype == np.float32


def test_sparse_rows_mean_the_first_value_where_they_leave_one_out(write):
    header = HEADER.replace("{1,0}", "{0,1}")
    rows = load_arff(
        write("{0 .5, 1 1,\t3 1}\n{}\n{ 5 1 ,2 'dark blue'}\n{2 red, 4 '3'}", header=header), LABELS
    )
    assert rows.X.toarray().tolist() == [[0.5, 1, 0, 0, 0], [0] * 5, [0, 0, 1, 0, 0], [0, 0, 0, 0, 3]]
    assert rows.Y.toarray().tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]]
    with pytest.raises(DatasetError, match=r'line 11: a sparse row, in which label "fun\'s" would be 1'):
        load_arff(write("{0 1}\n"), LABELS)


def test_a_nominal_of_numbers_is_a_number_only_if_its_first_value_is_0(write):
    header = "@relation x\n@attribute a {0,2,.5}\n@attribute b {1,2}\n@attribute y numeric\n@data\n"
    rows = load_arff(write("2,2,1\n.5,1,0\n", header=header), ["y"])
    assert rows.feature_names == ["a", "b=2"]
    assert rows.X.toarray().tolist() == [[2, 1], [0.5, 0]]
    assert rows.Y.toarray().tolist() == [[1], [0]]


BAD_ROWS = {
    "few": ("1,1,red,1,1\n", "5 values, but there are 6 attributes"),
    "many": ("1,1,red,1,1,1,1\n", "7 values, but there are 6"),
    "missing": ("?,1,red,1,1,1\n", "the value of 'x' is missing; fill it in"),
    "missing label": ("1,1,red,?,1,1\n", "the value of 'sad' is missing"),
    "blank": (",1,red,1,1,1\n", "'' is no finite number in float32, which 'x' must be"),
    "word": ("one,1,red,1,1,1\n", "'one' is no finite number"),
    "nan": ("nan,1,red,1,1,1\n", "'nan' is no finite number"),
    "underscore": ("1_0,1,red,1,1,1\n", "'1_0' is no finite number"),
    "overflow": ("1e39,1,red,1,1,1\n", "'1e39' is no finite number in float32"),
    "value": ("1,1,blue,1,1,1\n", "'blue' is no value of 'color'"),
    "label": ("1,1,red,2,1,1\n", "'2' is no value of 'sad'"),
    "quote": ("1,1,'red,1,1,1\n", "a quote that does not end before a comma"),
    "inner quote": ("1,1,re'd,1,1,1\n", "holds a quote or brace; put the value into quotes"),
    "cut": ("1,1,red,1,1,1", "the last line does not end with a newline"),
    "brace": ("1,1,red,1,1,1}\n", "holds a quote or brace"),
    "latin": ("1,1,r\xe9d,1,1,1\n".encode("latin1"), "not UTF-8 text; write the file in UTF-8"),
}
BAD_SPARSE = {
    "number": ("{x 1}\n", "'x' is not the number of an attribute"),
    "range": ("{6 1}\n", "attribute 6 lies outside the range 0 to 5"),
    "huge": ("{" + "9" * 5000 + " 1}\n", "attribute 999.* lies outside the range"),
    "negative": ("{-1 1}\n", "'-1' is not the number of an attribute"),
    "alone": ("{0}\n", "'0' is no number of an attribute with a value"),
    "twice": ("{0 1, 0 2}\n", "a sparse row that gives an attribute twice"),
    "cut": ("{0 1, 1 1", "a sparse row that does not end with '}'"),
    "weight": ("{0 1}, {5}\n", "holds a quote or brace"),
    "trailing": ("{0 1},{5\n", "a sparse row that does not end with '}'"),
    "comma": ("{0 1,}\n", "'' is no number of an attribute"),
    "quote": ("{2 'red}\n", "a quote that does not end"),
    "joint": ("{2'red'}\n", "holds a quote or brace"),
    "missing": ("{0 ?}\n", "the value of 'x' is missing"),
}


@pytest.mark.parametrize("case", [*BAD_ROWS, *(f"sparse {case}" for case in BAD_SPARSE)])
def test_bad_rows_are_named_and_left_empty(tmp_path, case):
    sparse = case.startswith("sparse ")
    row, message = BAD_SPARSE[case.removeprefix("sparse ")] if sparse else BAD_ROWS[case]
    header = HEADER.replace("{1,0}", "{0,1}")
    path = tmp_path / "a.arff"
    path.write_bytes(
        (header + "1,1,red,1,1,1\n").encode() + (row if isinstance(row, bytes) else row.encode())
    )
    with pytest.raises(DatasetError, match=rf"a\.arff, line 12: .*({message})"):
        load_arff(path, LABELS)
    errors = []
    rows = load_arff(path, LABELS, on_error=lambda error, row: errors.append(row))
    assert errors == [1]
    assert rows.Y.toarray().tolist() == [[1, 1], [0, 0]]
    assert rows.X.nnz == 3


BAD_HEADERS = {
    "empty": ("", r"a\.arff: the file ends before @data"),
    "no data": ("@relation x\n@attribute a numeric\n", "the file ends before @data; it is no ARFF file"),
    "no attributes": ("@data\n", "line 1: no @attribute stands before @data"),
    "rows": ("@attribute a real\n@data 1\n", "line 2: the rows begin on a line of their own"),
    "other": ("1 2 3\n", "line 1: expected @relation, @attribute or @data, found '1 2 3'"),
    "no name": ("@attribute\n@data\n", "line 1: expected '@attribute name type'"),
    "twice": (
        "@attribute a real\n@attribute 'a' real\n@data\n",
        "line 2: attribute 'a' is declared twice",
    ),
    "string": ("@attribute a string\n@data\n", "line 1: attribute 'a' is of type 'string'.*JSON lines"),
    "date": ("@attribute a date 'yyyy'\n@data\n", "line 1: attribute 'a' is of type \"date 'yyyy'\""),
    "no type": ("@attribute a\n@data\n", "line 1: attribute 'a' is of type ''"),
    "open": ("@attribute a {0,1\n@data\n", "line 1: the values of attribute 'a' do not end"),
    "values": ("@attribute a {0,0}\n@data\n", "line 1: a value of attribute 'a' is declared twice"),
    "label": ("@attribute y {no,yes}\n@data\n", "line 1: label 'y' takes other values than 0 and 1"),
    "label text": ("@attribute z {0,1}\n@data\n", r"label 'y' is no attribute of .*a\.arff"),
    "latin": ("@attribute \xe9 real\n@data\n".encode("latin1"), "line 1: not UTF-8 text"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_bad_headers(tmp_path, case):
    text, message = BAD_HEADERS[case]
    path = tmp_path / "a.arff"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=message):
        load_arff(path, ["y"])


def test_a_label_that_is_no_attribute_gets_a_suggestion(write):
    with pytest.raises(DatasetError, match=r"label 'saad' is no attribute of .*a\.arff\. Did you mean 'sad'"):
        load_arff(write(""), ["saad"])
    with pytest.raises(DatasetError, match="labels: label 'sad' is named twice"):
        load_arff(write(""), ["sad", "sad"])


def test_numeric_labels(write):
    header = "@relation x\n@attribute y numeric\n@data\n"
    with pytest.raises(DatasetError, match=r"line 5: label 'y' is 0\.5, not 0 or 1"):
        load_arff(write("1.0\n0.5\n", header=header), ["y"])


# Mulan's list of labels


def test_names_and_parents(tmp_path):
    path = tmp_path / "labels.xml"
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<labels xmlns="http://mulan.sourceforge.net/labels">\n'
        '<label name="a&amp;b"></label>'
        '<label name="c"><label name="d"><label name="e"/></label></label></labels>'
    )
    assert read_label_names(path) == (["a&b", "c", "d", "e"], [(), (), (1,), (2,)])
    path.write_text('<labels><label name="a"/><label name="b"/></labels>')
    assert read_label_names(path) == (["a", "b"], None)


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>\n<labels><label name="&b;"/></labels>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: not well-formed XML"),
        ("<labels>\n<label name='a'>", "line 2: not well-formed XML"),
        ("<tags/>", "line 1: <tags> where <labels> was expected"),
        ("<labels>\n<tag/></labels>", "line 2: <tag> where <label> was expected"),
        ("<labels><label/></labels>", "line 1: a label without a name"),
        ("<labels><label name='a'/>\n<label name='a'/></labels>", "line 2: label 'a' is named twice"),
        (BOMB, "line 1: a document type, of which such a file has no need"),
        ("<?xml version='1.0' encoding='no-such'?><labels/>", "line 1: not well-formed XML"),
    ],
)
def test_bad_lists_of_labels(tmp_path, text, message):
    path = tmp_path / "labels.xml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=rf"labels\.xml, {message}"):
        read_label_names(path)


# The same data in every form

cell = st.one_of(st.just(0.0), st.floats(width=32, allow_nan=False, allow_infinity=False))
word = st.text(alphabet="ab ,'\"\\{}%?é0\t", min_size=1, max_size=4).filter(lambda text: text.strip() == text)


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\t", "\\t") + "'"


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(cell, cell, st.integers(0, 1), st.integers(0, 2)), max_size=4),
    st.lists(word, min_size=3, max_size=3, unique=True),
    st.booleans(),
)
def test_rows_that_are_written_load_exactly(tmp_path_factory, table, values, sparse):
    folder = tmp_path_factory.mktemp("arff")
    lines = ["@relation x", "@attribute a numeric", f"@attribute {quoted(values[0])} real"]
    lines += [f"@attribute y {{0,1}}\n@attribute n {{{', '.join(map(quoted, values))}}}\n@data"]
    for a, b, y, n in table:
        cells = [repr(a), repr(b), str(y), quoted(values[n])]
        if sparse:
            kept = [f"{i} {cell}" for i, cell in enumerate(cells) if (a, b, y, n)[i]]
            lines.append("{" + ", ".join(kept) + "}")
        else:
            lines.append(",".join(cells))
    (folder / "a.arff").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if values[0] in ("a", "y", "n"):
        return
    rows = load_arff(folder / "a.arff", ["y"])
    assert rows.feature_names == ["a", values[0], f"n={values[1]}", f"n={values[2]}"]
    expected = np.array([[a, b, n == 1, n == 2] for a, b, _, n in table], np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(rows.X.toarray(), expected)
    assert rows.Y.toarray().ravel().tolist() == [y for _, _, y, _ in table]
    save_xc(folder / "a.txt", rows.X, rows.Y)
    X, Y = load_xc(folder / "a.txt")
    assert (X != rows.X).nnz == (Y != rows.Y).nnz == 0


@pytest.mark.slow
def test_refusing_takes_time_and_memory_in_proportion_to_the_file(write):
    long = 100_000
    for row in (
        "1,1," + "'" * long,
        "1,1,'" + "\\" * long,
        "{2 '" + " " * long + "'x}",
        "{" + " " * long + "'}",
        "{0 1," * long + "}",
        " " * long + "'",
        "{2 red" + " ," * long + "'}",
    ):
        with pytest.raises(DatasetError, match="line 11: "):
            load_arff(write(row + "\n", header=HEADER.replace("{1,0}", "{0,1}")), LABELS)
    with pytest.raises(DatasetError, match="line 1: "):
        load_arff(write("", header="@attribute " + " " * long + "'\n"), LABELS)
    long //= 4
    path = write("{}\n" * long, header=HEADER.replace("{1,0}", "{0,1}"))
    tracemalloc.start()
    assert load_arff(path, LABELS).X.shape == (long, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * path.stat().st_size


# Folders


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        (folder / f"{split}.arff").write_text(HEADER + "1,1,red,1,1,0\n")
    (folder / "labels.xml").write_text('<labels><label name="sad"><label name="fun\'s"/></label></labels>')
    return folder


def load(folder):
    return load_dataset(folder.name, data_dir=folder.parent, progress=False)


def test_a_folder_of_mulans(folder):
    ds = load(folder)
    assert ds.label_names == ["sad", "fun's"]
    assert ds.feature_names[2] == "color=dark blue"
    assert ds.test.Y.toarray().tolist() == [[1, 0]]
    assert ds.label_knowledge.parents == ((), (0,))
    assert not list(check(folder).problems)
    (folder / "labels.xml").unlink()
    (folder / "labels.txt").write_text("fun's\nsad\n")
    assert load(folder).label_names == ["fun's", "sad"]
    (folder / "labels.txt").unlink()
    with pytest.raises(DatasetError, match=r"labels\.xml: the list of labels is missing; put Mulan's XML"):
        load(folder)


def test_splits_must_have_the_same_attributes(folder):
    text = (folder / "test.arff").read_text().replace("\n@ATTRIBUTE x", "\n@ATTRIBUTE z")
    (folder / "test.arff").write_text(text)
    with pytest.raises(DatasetError, match=r"test\.arff has other features than .*train\.arff"):
        load(folder)
