import bz2
import contextlib
import functools
import gzip
import lzma
import os
import re
import stat
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adathresh.datasets import formats
from adathresh.datasets.formats import DatasetError, load_svmlight_multilabel, load_xc, save_xc

finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def write(path, text):
    opener = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "wb") as stream:
        stream.write(text.encode() if isinstance(text, str) else text)
    return path


def naive_read(text, n_features, n_labels, first=0):
    """The formats' definition, one Python operation at a time."""
    rows = text.split("\n")[:-1]
    X, Y = np.zeros((len(rows), n_features), np.float32), np.zeros((len(rows), n_labels), np.float32)
    for i, row in enumerate(rows):
        for j, word in enumerate(re.split("[ \t\r]", row)):
            if ":" in word:
                feature, value = word.split(":")
                X[i, int(feature) - first] = float(value)
            elif word:
                assert j == 0
                Y[i, [int(label) for label in word.split(",")]] = 1
    return X, Y


SMALL = "0,2 1:0.5 3:-2e-1\n 0:1\n1\n\n2\t3:4 \t2:5 \r\n"


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_load_xc_reads_each_compression(tmp_path, suffix):
    X, Y = load_xc(write(tmp_path / f"a.txt{suffix}", "5 4 3\n" + SMALL))
    expected_X, expected_Y = naive_read(SMALL, 4, 3)
    assert isinstance(X, sp.csr_array)
    assert isinstance(Y, sp.csr_array)
    assert X.dtype == Y.dtype == np.float32
    np.testing.assert_array_equal(X.toarray(), expected_X)
    np.testing.assert_array_equal(Y.toarray(), expected_Y)
    assert X.indices.tolist() == [1, 3, 0, 2, 3]  # sorted within each row


def test_load_svmlight_counts_features_from_one_and_finds_the_widths(tmp_path):
    path = write(tmp_path / "a.svm", "0,4 1:0.5 3:2\n 2:1\n\n1:7\n\n \n")
    X, Y = load_svmlight_multilabel(path)
    assert X.toarray().tolist() == [[0.5, 0, 2], [0, 1, 0], [0, 0, 0], [7, 0, 0]]
    assert Y.toarray().tolist() == [[1, 0, 0, 0, 1], [0] * 5, [0] * 5, [0] * 5]
    X, Y = load_svmlight_multilabel(path, n_features=9, n_labels=6)
    assert X.shape == (4, 9)
    assert Y.shape == (4, 6)


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
def test_block_size_changes_nothing(tmp_path, monkeypatch, block_bytes):
    rng = np.random.default_rng(0)
    lines = [
        ",".join(map(str, rng.choice(9, rng.integers(0, 4), replace=False)))
        + " "
        + " ".join(f"{j}:{rng.normal():.4g}" for j in rng.choice(20, rng.integers(0, 6), replace=False))
        for _ in range(60)
    ]
    text = "\n".join(lines) + "\n"
    monkeypatch.setattr(formats, "BLOCK_BYTES", block_bytes)
    X, Y = load_xc(write(tmp_path / "a.txt.gz", "60 20 9\n" + text))
    expected_X, expected_Y = naive_read(text, 20, 9)
    np.testing.assert_array_equal(X.toarray(), expected_X)
    np.testing.assert_array_equal(Y.toarray(), expected_Y)


def test_blank_lines_may_follow_the_last_row(tmp_path):
    for end in ("\n", "\n\n", "\n\n \n"):
        X, _ = load_xc(write(tmp_path / "a.txt", "2 2 2\n0 0:1\n1 1:2" + end))
        assert X.toarray().tolist() == [[1, 0], [0, 2]]


def test_header_without_rows(tmp_path):
    X, Y = load_xc(write(tmp_path / "a.txt", "0 3 2\n"))
    assert X.shape == (0, 3)
    assert Y.shape == (0, 2)


HEADER = "2 3 4\n"
BAD_XC = {
    "empty file": ("", "line 1: the file is empty"),
    "blank header": ("\n0 0:1\n", "line 1: the file is empty"),
    "no header": ("0,1 0:1\n", "line 1: expected the header.*load_svmlight_multilabel"),
    "negative header": ("-2 3 4\n", "line 1: expected the header"),
    "huge header": ("2 3 99999999999\n", "line 1: at most"),
    "too few rows": (HEADER + "0 0:1\n", "line 1: the header promises 2 rows, the file ends after 1"),
    "too many rows": (HEADER + "0 0:1\n" * 3, "line 4: the header promises 2 rows, but more follow"),
    "feature range": (HEADER + "0 0:1\n1 3:1\n", "line 3: feature 3 lies outside the range 0 to 2"),
    "label range": (HEADER + "0,4 0:1\n1 1:1\n", "line 2: label 4 lies outside the range 0 to 3"),
    "huge index": (HEADER + "0 0:1\n1 " + "9" * 5000 + ":1\n", "line 3: feature 999.* lies outside"),
    "negative label": (HEADER + "-1 0:1\n1 1:1\n", "line 2: '-1' is not a label index"),
    "fractional label": (HEADER + "1.0 0:1\n1 1:1\n", r"line 2: '1\.0' is not a label index"),
    "fractional feature": (HEADER + "1 1e0:1\n1 1:1\n", "line 2: '1e0' is not a feature index"),
    "nan": (HEADER + "0 0:1\n1 1:nan\n", "line 3: '1:nan' has a value that is not finite"),
    "infinity": (HEADER + "0 0:-inf\n1 1:1\n", "line 2: '0:-inf' has a value that is not finite"),
    "overflow": (HEADER + "0 0:1e39\n1 1:1\n", "line 2: '0:1e39' .* not finite in float32"),
    "double overflow": (HEADER + "0 0:1e999\n1 1:1\n", "line 2: '0:1e999' .* not finite in float32"),
    "word": (HEADER + "0 0:one\n1 1:1\n", "line 2: '0:one' has a malformed value"),
    "no value": (HEADER + "0 0:\n1 1:1\n", "line 2: '0:' has a malformed value"),
    "no feature": (HEADER + "0 :1\n1 1:1\n", "line 2: '' is not a feature index"),
    "no colon": (HEADER + "0 0\n1 1:1\n", "line 2: '0' is not a 'feature:value' pair"),
    "two colons": (HEADER + "0 0:1:2\n1 1:1\n", "line 2: '0:1:2' has a malformed value"),
    "two numbers": (HEADER + "0 0:1-2\n1 1:1\n", "line 2: '0:1-2' has a malformed value"),
    "label gap": (HEADER + "0,,1 0:1\n1 1:1\n", "line 2: '' is not a label index"),
    "label space": (HEADER + "0, 1 0:1\n1 1:1\n", "line 2: '' is not a label index"),
    "late labels": (HEADER + "0:1 1\n1 1:1\n", "line 2: '1' is not a 'feature:value' pair"),
    "duplicate label": (HEADER + "0 0:1\n2,1,2 1:1\n", "line 3: label 2 is given more than once"),
    "duplicate feature": (HEADER + "0 2:1 0:1 2:1\n1 1:1\n", "line 2: feature 2 is given more than once"),
    "foreign byte": (HEADER.encode() + b"0 0:1\xff\n1 1:1\n", "line 2: .* has a malformed value"),
}


@pytest.mark.parametrize("case", BAD_XC)
def test_load_xc_names_file_and_line(tmp_path, case):
    text, message = BAD_XC[case]
    path = write(tmp_path / "bad.txt", text)
    with pytest.raises(DatasetError, match=message) as caught:
        load_xc(path)
    assert str(path) in str(caught.value)


def test_line_numbers_are_right_in_later_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_BYTES", 16)
    path = write(tmp_path / "bad.txt", "100 3 4\n" + "0,1 0:1 2:2\n" * 70 + "0 9:1\n" + "0 0:1\n" * 29)
    with pytest.raises(DatasetError, match=r"bad\.txt, line 72: feature 9"):
        load_xc(path)
    path = write(tmp_path / "bad.svm", "0,1 1:1 2:2\n" * 70 + "0 0:1\n")
    with pytest.raises(DatasetError, match=r"bad\.svm, line 71: feature 0 lies outside the range 1 to"):
        load_svmlight_multilabel(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("0 1:1\n0 4:1\n", "line 2: feature 4 .* 1 to 3"),
    ],
)
def test_load_svmlight_errors(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        load_svmlight_multilabel(write(tmp_path / "a.svm", text), n_features=3)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_truncated_and_foreign_files(tmp_path, suffix):
    path = write(tmp_path / f"a.txt{suffix}", "2 3 4\n0 0:1\n1 1:1\n")
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DatasetError, match=f"a.txt{suffix}: the compressed file is truncated"):
        load_xc(path)
    path.write_bytes(b"2 3 4\n0 0:1\n1 1:1\n")
    with pytest.raises(DatasetError, match=f"a.txt{suffix}: .*fetch or copy it again"):
        load_xc(path)
    path.write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(DatasetError, match=f"a.txt{suffix}: .*fetch or copy it again"):
        load_xc(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        load_xc(tmp_path / "nothing.txt")


# Files that were cut, damaged, or made to hurt.


@pytest.mark.parametrize("reader", [load_xc, load_svmlight_multilabel])
def test_a_file_cut_anywhere_but_at_the_end_of_a_line_is_refused(tmp_path, reader):
    header = "3 4 3\n" if reader is load_xc else ""
    whole = header + "0,2 1:0.5 3:-2e-1\n 1:1\n1 2:12.75 3:10\n"
    path = tmp_path / "cut.txt"
    accepted = []
    for length in range(len(whole)):
        write(path, whole[:length])
        with contextlib.suppress(DatasetError):
            reader(path)
            accepted.append(length)
    ends = [i + 1 for i, character in enumerate(whole) if character == "\n"][:-1]
    assert accepted == ([] if reader is load_xc else ends)  # without a header, nobody can tell


def test_a_missing_newline_is_named_with_its_line(tmp_path):
    for reader, text, line in (
        (load_xc, "2 3 4\n0 0:1\n1 1:1", 3),
        (load_xc, "0 3 4", 1),
        (load_svmlight_multilabel, "0 1:1\n1 2:12", 2),
        (load_svmlight_multilabel, "0 1:1\n ", 2),
    ):
        with pytest.raises(DatasetError, match=f"line {line}: the last line does not end with a newline"):
            reader(write(tmp_path / "a.txt", text))


def streams(text, size, compress):
    """The text in compressed streams one after the other, as parallel compressors write them."""
    return [compress(text[start : start + size].encode()) for start in range(0, len(text), size)]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".bz2", bz2.compress),
        (".gz", functools.partial(gzip.compress, mtime=0)),
        (".xz", lzma.compress),
    ],
)
def test_streams_one_after_the_other_are_read_to_the_end_or_refused(tmp_path, suffix, compress):
    text = "".join(f"{i % 7} {i % 50 + 1}:{i}\n" for i in range(400))
    parts = streams(text, 700, compress)
    assert len(parts) > 4
    whole, path = b"".join(parts), tmp_path / f"a.svm{suffix}"

    def rows():
        X, _ = load_svmlight_multilabel(path)
        return X.shape[0], X.sum()

    path.write_bytes(whole)
    assert rows() == (400, sum(range(400)))
    # One bit, in the header and the middle of every stream but the first.
    starts = np.cumsum([len(part) for part in parts])[:-1]
    places = [start + at for start in starts for at in (0, 1, 2, 3, 4, 9, 12, 20, 60)]
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        found = None
        with contextlib.suppress(DatasetError):
            found = rows()
        assert found in (None, (400, sum(range(400))))  # a time stamp may be any
    # Cut within a later stream, or followed by something else.
    for damaged in (
        whole[: starts[2] + 1],
        whole[: starts[2] + 9],
        whole[:-1],
        whole + b"<html>",
        whole + b"B",
    ):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=f"a.svm{suffix}: .*fetch or copy it again"):
            rows()
    # Cut between streams, which hold parts of lines.
    path.write_bytes(b"".join(parts[:2]))
    with pytest.raises(DatasetError, match="does not end with a newline"):
        rows()


def test_a_compressed_file_may_not_grow_without_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "FREE_BYTES", 10_000)
    for suffix in (".gz", ".bz2", ".xz"):
        path = write(tmp_path / f"bomb.svm{suffix}", b"\n" * 3_000_000)
        with pytest.raises(
            DatasetError, match=r"bomb\.svm.*holds more than [0-9,]+ bytes.*decompress it first"
        ):
            load_svmlight_multilabel(path)
        within = write(tmp_path / f"within.svm{suffix}", b"0 1:1\n" * 1600)
        assert load_svmlight_multilabel(within)[0].shape == (1600, 1)


def test_a_compressed_file_may_not_ask_for_any_memory(tmp_path, monkeypatch):
    path = write(tmp_path / "a.svm.xz", "0 1:1\n")
    assert load_svmlight_multilabel(path)[0].shape == (1, 1)
    monkeypatch.setattr(formats, "XZ_MEMORY", 1 << 20)  # less than the usual preset needs
    with pytest.raises(DatasetError, match=r"a\.svm\.xz: .*Memory usage limit"):
        load_svmlight_multilabel(path)


def test_a_line_may_not_be_longer_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LINE_BYTES", 1000)
    monkeypatch.setattr(formats, "BLOCK_BYTES", 64)
    long = "0 " + " ".join(f"{j}:1" for j in range(1, 150)) + "\n"
    assert load_svmlight_multilabel(write(tmp_path / "a.svm", "0 1:1\n" + long))[0].shape == (2, 149)
    with pytest.raises(DatasetError, match=r"a\.svm, line 2: the line is longer than 1,000 bytes"):
        load_svmlight_multilabel(write(tmp_path / "a.svm", "0 1:1\n" + long[:-1] + " 9999:1" * 100 + "\n"))
    with pytest.raises(DatasetError, match="line 3: the line is longer"):
        load_xc(write(tmp_path / "a.txt", "2 3 4\n0 0:1\n" + "1" * 2000 + "\n"))


def test_a_first_line_without_end_is_no_header(tmp_path):
    text = "1 " * 2_000_000
    with pytest.raises(DatasetError, match=r"line 1: expected the header .* found '1 1 1 "):
        load_xc(write(tmp_path / "a.txt", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 3 2147483647\n0 0:1\n", "line 1: the header promises 2147483647 labels, out of all proportion"),
        ("1 2147483647 3\n0 0:1\n", "line 1: the header promises 2147483647 features, out of all"),
        ("100 3 4\n0 0:1\n", "line 1: the header promises 100 rows, more than a file of 14 bytes holds"),
    ],
)
def test_a_header_must_fit_the_size_of_the_file(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        load_xc(write(tmp_path / "a.txt", text))


def test_wide_data_in_a_small_file_are_welcome(tmp_path):
    X, Y = load_xc(write(tmp_path / "a.txt", "1 3000000 4000000\n3999999 2999999:1\n"))
    assert (X.shape, Y.shape) == ((1, 3_000_000), (1, 4_000_000))


def test_an_index_may_not_ask_for_an_absurd_width(tmp_path):
    path = write(tmp_path / "a.svm", "2147483646 1:1\n")
    with pytest.raises(DatasetError, match="largest index asks for 2147483647 labels, out of all"):
        load_svmlight_multilabel(path)
    assert load_svmlight_multilabel(path, n_labels=2**31 - 1)[1].shape == (1, 2**31 - 1)
    with pytest.raises(DatasetError, match=r"asks for 2147483647 features.*or give n_features"):
        load_svmlight_multilabel(write(tmp_path / "b.svm", "1 2147483647:1\n"))


LONG = 400_000  # the time of a quadratic reading would be days


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 3 4\n0 0:" + "1" * LONG + "x\n", "line 2: '0:1111.* has a malformed value"),
        ("1 3 4\n0 0:" + "1" * LONG + "-1\n", "line 2: '0:1111.* has a malformed value"),
        ("1 3 4\n0 0:." + "1" * LONG + ".\n", r"line 2: '0:\.1111.* has a malformed value"),
        ("1 3 4\n" + "1" * LONG + " 0:1\n", "line 2: label 1111.* lies outside"),
        (
            f"1 3 {LONG}\n" + ",".join(map(str, range(LONG))) + f",{LONG - 1} 0:1\n",
            f"line 2: label {LONG - 1} is given more than once",
        ),
        ("1 3 4\n0 0:1\n" + "\n" * LONG + "0 0:1\n", "line 3: the header promises 1 rows, but more follow"),
    ],
    ids=["digits", "sign", "point", "label", "labels", "newlines"],
)
def test_refusing_takes_time_in_proportion_to_the_file(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        load_xc(write(tmp_path / "a.txt", text))


def test_blank_lines_take_memory_of_the_order_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_BYTES", 1 << 14)  # a block takes more while it is parsed
    path = write(tmp_path / "a.svm", b"0 1:1\n" + b"\n" * 4_000_000)
    tracemalloc.start()
    X, _ = load_svmlight_multilabel(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert X.shape == (1, 1)
    assert peak < 4 * 4_000_000


def test_rows_longer_than_a_small_count_are_counted_rightly(tmp_path):
    lengths = [0, 300, 1, 70_000, 255, 256]
    text = "".join(" " + " ".join(f"{j}:1" for j in range(1, n + 1)) + "\n" for n in lengths) + "0 1:1\n"
    X, Y = load_svmlight_multilabel(write(tmp_path / "a.svm", text))
    assert np.diff(X.indptr).tolist() == [*lengths, 1]
    assert np.diff(Y.indptr).tolist() == [0] * 6 + [1]
    assert X.indptr.dtype == np.int32
    # 128 + 128 labels and features are no blank line
    line = ",".join(map(str, range(128))) + " " + " ".join(f"{j}:1" for j in range(1, 129)) + "\n"
    assert load_svmlight_multilabel(write(tmp_path / "b.svm", line))[0].shape == (1, 128)


@pytest.mark.parametrize("blank", ["\n", " \n", "\t\r\n"])
def test_a_million_blank_lines_after_the_last_row(tmp_path, blank):
    X, _ = load_xc(write(tmp_path / "a.txt", "2 3 4\n0 0:1\n\n" + blank * 1_000_000))
    assert X.shape == (2, 3)


def test_reading_in_threads_leaves_warnings_as_they_are(tmp_path):
    path = write(tmp_path / "a.svm", "0,1 1:0.5 2:2e-1\n" * 200)
    bad = write(tmp_path / "bad.svm", "0,1 1:0.5 2:2e-1\n" * 200 + "0 1:1e\n")

    def read(_):
        for _ in range(20):
            load_svmlight_multilabel(path, progress=False)
            with pytest.raises(DatasetError, match="line 201: '1:1e' has a malformed value"):
                load_svmlight_multilabel(bad, progress=False)

    interval = sys.getswitchinterval()
    before = list(warnings.filters)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read, range(4)))
    finally:
        sys.setswitchinterval(interval)
        after, warnings.filters[:] = list(warnings.filters), before
    assert after == before


@settings(deadline=None, max_examples=500)
@given(st.lists(st.text(alphabet="01.+-eE", min_size=1, max_size=6), min_size=1, max_size=3))
def test_numbers_are_taken_exactly_where_the_grammar_says_so(words):
    block = ("".join(f"{j}:{word} " for j, word in enumerate(words)) + "\n").encode()
    grammar = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
    expected = [float(word) for word in words] if all(re.fullmatch(grammar, w) for w in words) else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # where the reading itself would warn, it was asked for too much
        parsed = formats._parse_block(block)
    assert (parsed and parsed[4].tolist()) == expected


# A row that is almost right, often enough to be right.
row_text = st.builds(
    lambda labels, sep, pairs, end: ",".join(labels) + sep + " ".join(pairs) + end,
    st.lists(st.sampled_from(["0", "1", "3", "4", "03", "-1", "1.", "e"]), max_size=2),
    st.sampled_from([" ", " ", "  ", "\t", "", ", "]),
    st.lists(
        st.builds(
            lambda index, colon, value: index + colon + value,
            st.sampled_from(["0", "1", "2", "2", "3", "1.", "+1", ""]),
            st.sampled_from([":", ":", ":", ":", "", "::"]),
            st.sampled_from(
                ["1", "0.5", "-2", "+.5", "5.", "1e3", "1e", "1-2", "--1", "", ".", "1e39", "1.2.3"]
            ),
        ),
        max_size=2,
    ),
    st.sampled_from(["", "", " ", "\r"]),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=600)
@given(st.one_of(row_text, st.text(alphabet="012:,. -+e\t\r", max_size=12)))
def test_block_and_line_parser_accept_the_same_rows(line):
    def accepts(check):
        try:
            check()
        except DatasetError:
            return False
        return True

    def reader():
        return formats._RowReader("file", n_features=3, n_labels=4)

    block = f"{line}\n".encode()
    parsed = formats._parse_block(block)
    by_block = parsed is not None and reader()._checked(*parsed) is not None
    assert by_block == accepts(lambda: reader()._check_line(line))
    if by_block:
        rows = reader()
        rows.feed(block)
        X, Y = rows.matrices()
        expected_X, expected_Y = naive_read(f"{line}\n", 3, 4)
        np.testing.assert_array_equal(X.toarray(), expected_X)
        np.testing.assert_array_equal(Y.toarray(), expected_Y)


matrices = st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape[:2], elements=st.one_of(st.just(0.0), finite32)),
        arrays(np.int8, (shape[0], shape[2]), elements=st.integers(0, 1)),
    )
)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(matrices, st.sampled_from(["", ".gz", ".bz2", ".xz"]))
def test_saved_matrices_load_exactly(tmp_path_factory, pair, suffix):
    X, Y = pair
    path = tmp_path_factory.mktemp("xc") / f"a.txt{suffix}"
    save_xc(path, sp.csr_array(X), Y)
    loaded_X, loaded_Y = load_xc(path)
    np.testing.assert_array_equal(loaded_X.toarray(), X)
    np.testing.assert_array_equal(loaded_Y.toarray(), Y)
    assert loaded_X.nnz == np.count_nonzero(X)


@settings(deadline=None)
@given(arrays(np.uint32, 200))
def test_every_float32_pattern_is_written_exactly(bits):
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    words = formats._format_values(values)
    np.testing.assert_array_equal(np.array(words, dtype=np.float64).astype(np.float32), values)
    assert all(formats._VALUE.fullmatch(word) for word in words)


def test_known_bytes(tmp_path):
    path = tmp_path / "a.txt"
    save_xc(path, [[0.1, 0, 3], [0, 0, 0]], [[1, 1], [0, 0]])
    assert path.read_bytes() == b"2 3 2\n0,1 0:0.1 2:3\n \n"


def test_save_is_deterministic_and_leaves_nothing_else(tmp_path):
    X, Y = sp.random_array((40, 9), density=0.3, rng=0), np.eye(40, 3, dtype=int)
    for name in ("a.txt.gz", "b.txt.gz"):
        save_xc(tmp_path / name, X, Y)
    assert (tmp_path / "a.txt.gz").read_bytes() == (tmp_path / "b.txt.gz").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.txt.gz", "b.txt.gz"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.txt.gz").stat().st_mode) == 0o666 & ~umask


def test_failed_save_keeps_the_old_file(tmp_path):
    path = write(tmp_path / "a.txt", "old")

    def blocks():
        yield sp.csr_array((1, 2), dtype=np.float32), sp.csr_array((1, 2), dtype=np.float32)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        formats.save_xc_blocks(path, blocks(), shape=(2, 2, 2))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_blocks_must_add_up(tmp_path):
    row = (sp.csr_array((1, 2), dtype=np.float32), sp.csr_array((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="hold 1 rows, not 2"):
        formats.save_xc_blocks(tmp_path / "a.txt", [row], shape=(2, 2, 2))
    with pytest.raises(ValueError, match="2 features and 2 labels, not"):
        formats.save_xc_blocks(tmp_path / "a.txt", [row], shape=(1, 2, 3))


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([[1.0], [2.0]], [[1]], "Y has 1 rows but 2 were expected"),
        ([[np.nan]], [[1]], "X must be finite"),
        ([[1e39]], [[1]], "X must be finite in float32"),
        ([[1.0]], [[2]], "Y must hold only 0 and 1"),
        ([1.0], [[1]], "X must have shape"),
    ],
)
def test_save_rejects_what_the_format_cannot_hold(tmp_path, X, Y, message):
    with pytest.raises(ValueError, match=message):
        save_xc(tmp_path / "a.txt", X, Y)
    assert not os.listdir(tmp_path)


def test_save_does_not_change_its_arguments(tmp_path):
    X = sp.csr_array(([0.0, 1.0], [1, 0], [0, 2]), shape=(1, 2))
    save_xc(tmp_path / "a.txt", X, [[1]])
    assert X.nnz == 2
    assert X.indices.tolist() == [1, 0]


def test_a_failing_disk_is_no_fault_of_the_file():
    with pytest.raises(OSError, match="Input/output error") as error, formats.read_errors("train.txt.gz"):
        raise OSError(5, "Input/output error")
    assert not isinstance(error.value, DatasetError)


# Reading on after an error


def collected(reader, path, **options):
    """Read a file to its end; the matrices, and the rows and messages of all errors."""
    errors = []
    X, Y = reader(path, on_error=lambda error, row: errors.append((row, str(error))), **options)
    return X, Y, errors


@pytest.mark.parametrize("block_bytes", [1, 30, 1 << 20])
def test_every_row_at_fault_is_told_and_read_as_an_empty_one(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(formats, "BLOCK_BYTES", block_bytes)
    path = write(tmp_path / "a.txt", "5 3 4\n0 0:1\n9 1:1\n3 2:5\n1 x\n2,2 0:1\n")
    X, Y, errors = collected(load_xc, path)
    assert X.toarray().tolist() == [[1, 0, 0], [0] * 3, [0, 0, 5], [0] * 3, [0] * 3]
    assert Y.toarray().tolist() == [[1, 0, 0, 0], [0] * 4, [0, 0, 0, 1], [0] * 4, [0] * 4]
    assert [row for row, _ in errors] == [1, 3, 4]
    for (row, message), said in zip(
        errors, ("label 9 lies", "'x' is not a", "label 2 is given"), strict=True
    ):
        assert message.startswith(f"{path}, line {row + 2}: {said}")


@pytest.mark.parametrize("promised", [1, 5])
def test_rows_are_read_whatever_the_header_promises(tmp_path, promised):
    path = write(tmp_path / "a.txt", f"{promised} 3 4\n0 0:1\n1 1:1\n1 7:1\n")
    X, _, errors = collected(load_xc, path)
    assert X.shape == (3, 3)
    assert X.nnz == 2
    assert sorted(row is None for row, _ in errors) == [False, True]
    assert f"the header promises {promised} rows" in " ".join(message for _, message in errors)


def test_rows_at_fault_of_a_file_without_a_header(tmp_path):
    path = write(tmp_path / "a.svm", "0 1:1\n0 0:1\n1 2:1\n")
    X, _, errors = collected(load_svmlight_multilabel, path)
    assert X.toarray().tolist() == [[1, 0], [0, 0], [0, 1]]
    assert [row for row, _ in errors] == [1]
