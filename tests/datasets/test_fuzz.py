"""Every reader against hostile inputs: a short run, what broke a property once, and the checks themselves."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzz import inputs, properties, reference
from fuzz.properties import READERS, BrokenError, check_files, check_input, minimised, run

from adathresh.datasets import DatasetError, formats, load_jsonl, load_xc


@pytest.mark.parametrize("name", READERS)
def test_a_short_run(name):
    taken, _ = run(120, names=(name,))
    assert 10 < taken[name] < 120


@pytest.mark.slow
def test_a_longer_run():
    run(3000, seed=1)


# Inputs that broke a property, made small

EYE = {
    "format": np.array(b"csr"),
    "shape": np.array([1, 1]),
    "data": np.ones(1),
    "indices": np.array([0]),
    "indptr": np.array([0, 1]),
}


def archive(**changed):
    content = io.BytesIO()
    np.savez(content, **EYE | changed)
    return content.getvalue()


FOUND = {
    "blank lines between rows that no header promised": ("xc", {"train.txt": b"1 9 4\n\n\n 5:-2\n"}),
    "blank lines after the promise was broken": ("xc", {"train.txt": b"1 9 4\n0\n1\n\n\n0 9:1\n0\n"}),
    "an index of many zeros in a row at fault": ("xc", {"train.txt": b"1 3 4\n0 " + b"0" * 5000 + b"1:x\n"}),
    "an index of many zeros": (
        "arff",
        {
            "train.arff": b"@attribute a real\n@data\n{" + b"0" * 5000 + b" 1}\n",
            "labels.xml": b"<labels/>",
        },
    ),
    "a row at fault at the end": ("svm", {"train.svm": b"1\n:\n"}),
    "pointers that fall below 0": (
        "npz",
        {"train.X.npz": archive(), "train.Y.npz": archive(indptr=np.array([0, -1]))},
    ),
}


@pytest.mark.parametrize("case", FOUND)
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
def test_what_was_found_once(tmp_path, monkeypatch, case, block_bytes):
    monkeypatch.setattr(formats, "BLOCK_BYTES", block_bytes)
    check_files(*FOUND[case], tmp_path)


def test_rows_after_blank_lines_keep_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_BYTES", 1)
    path = tmp_path / "train.txt"
    path.write_text("1 9 4\n0\n\n\n0 9:1\n")
    errors = []
    X, _ = load_xc(path, on_error=lambda error, row: errors.append((row, str(error))))
    assert [row for row, _ in errors] == [None, 3]
    assert "train.txt, line 5: feature 9 lies" in errors[1][1]
    assert X.shape == (4, 9)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_an_empty_compressed_file_is_cut_off(tmp_path, suffix):
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"the compressed file is truncated; fetch or copy it again"):
        load_jsonl(path)


def test_a_part_that_begins_before_the_file_is_no_disk_error(tmp_path):
    whole = archive()
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        at = opened.start_dir + 42  # where the first part begins, as the directory tells
    cut = whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :]
    files = {"train.X.npz": cut, "train.Y.npz": whole}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert properties.outcome("npz", tmp_path, files) is None


# The checks themselves


@pytest.fixture
def broken(monkeypatch):
    """Replace the reader of LIBSVM lines by one that does something to what it reads."""

    def replace(spoil):
        usual = READERS["svm"]

        def reader(paths, options):
            X, Y = usual(paths, options)
            return spoil(X, Y, Path(paths["train.svm"]))

        monkeypatch.setitem(READERS, "svm", reader)

    return replace


GOOD = ("svm", {"train.svm": b"0 1:1\n1 2:1\n"})


def refuse(X, Y, path):
    raise DatasetError("something is wrong.")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, Y, _: (X[:1], Y[:1]), "expected"),
        (lambda X, Y, _: (X * np.float32(2), Y), "expected"),
        (lambda X, Y, _: (X.astype(np.float64), Y), "not canonical"),
        (lambda X, Y, _: (X, Y * np.float32(2)), "labels other than 1"),
        (lambda X, Y, path: path.with_name("left").touch() or (X, Y), "files were left"),
        (lambda X, Y, _: bytes(10_000_000) and (X, Y), "bytes of memory for 12 of input"),
        (lambda X, Y, _: [len("") for _ in range(100_000)] and (X, Y), "calls for 12 bytes of input"),
        (refuse, "the message names no file"),
    ],
    ids=["rows", "values", "type", "labels", "files", "memory", "work", "message"],
)
def test_a_reader_that_breaks_a_property_is_found(tmp_path, broken, spoil, message):
    assert check_files(*GOOD, tmp_path, measure=True)
    broken(spoil)
    with pytest.raises(BrokenError, match=message):
        check_files(*GOOD, tmp_path, measure=True)


def test_inputs_depend_on_their_number_and_seed_only(tmp_path):
    _, files = check_input("arff", 3, 5, tmp_path)
    assert check_input("arff", 3, 5, tmp_path)[1] == files
    assert check_input("arff", 4, 5, tmp_path)[1] != files
    assert not list(tmp_path.iterdir())


def test_an_input_is_made_small():
    files = {"a": b"x" * 40 + b"bad" + b"y" * 33, "b": b"z" * 9}
    small = minimised("svm", files, lambda tried: b"bad" in tried["a"])
    assert small == {"a": b"bad", "b": b""}


def test_a_failure_tells_how_to_make_the_input_again(broken):
    broken(lambda X, Y, _: (X[:1], Y))
    with pytest.raises(BrokenError) as caught:
        run(200, names=("svm",))
    assert "of svm, seed 0: {'train.svm': " in caught.value.__notes__[0]


def test_references_agree_with_what_is_known():
    assert reference.xc({"a": b"1 3 2\n0,1 1:0.5\n"}) == reference.Read([{0, 1}], [{1: 0.5}], 2, 3)
    assert reference.xc({"a": b"2 3 2\n0,1 1:0.5\n"}) is None
    assert reference.fields('a, \'b, c\' ,"d\\""', False) == ["a", "b, c", 'd"']
    assert gzip.decompress(inputs.COMPRESS[".gz"](b"a")) == b"a"
