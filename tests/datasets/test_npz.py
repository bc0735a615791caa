"""Pairs of sparse matrices in files of scipy.sparse.save_npz."""

import contextlib
import io
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adathresh.datasets import formats, load_dataset
from adathresh.datasets.formats import DatasetError
from adathresh.datasets.npz import load_npz

finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, (3, 4), elements=st.one_of(st.just(0.0), finite32)),
    arrays(np.int8, (3, 2), elements=st.integers(0, 1)),
    st.sampled_from(["csr", "csc", "coo"]),
    st.booleans(),
)
def test_saved_matrices_load_exactly(tmp_path_factory, X, Y, kind, compressed):
    folder = tmp_path_factory.mktemp("npz")
    sp.save_npz(folder / "X.npz", sp.csr_array(X).asformat(kind), compressed=compressed)
    sp.save_npz(folder / "Y.npz", sp.csr_matrix(Y).asformat(kind), compressed=compressed)
    found_X, found_Y = load_npz(folder / "X.npz", folder / "Y.npz")
    np.testing.assert_array_equal(found_X.toarray(), X)
    np.testing.assert_array_equal(found_Y.toarray(), Y)
    assert found_X.dtype == found_Y.dtype == np.float32
    assert found_X.nnz == np.count_nonzero(X)


def save(path, matrix):
    sp.save_npz(path, sp.csr_array(matrix))
    return path


def parts(**changed):
    good = {
        "format": np.array(b"csr"),
        "shape": np.array([2, 3]),
        "data": np.array([1.0, 2.0]),
        "indices": np.array([0, 2]),
        "indptr": np.array([0, 1, 2]),
    }
    return {name: array for name, array in (good | changed).items() if array is not None}


def raw(header):
    """The bytes of an array with a header of our own and no content."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


BAD_PARTS = {
    "missing": (parts(data=None), "there is no array 'data'"),
    "format": (parts(format=np.array(b"dia")), "a matrix in the format 'dia'; convert it by .tocsr"),
    "objects": (parts(data=np.array([1, "a"], dtype=object)), "array 'data' has type object"),
    "complex": (parts(data=np.array([1j, 2])), "array 'data' has type complex128"),
    "floats": (parts(indices=np.array([0.0, 2.0])), "its shape or indices are no whole numbers"),
    "text": (parts(data=np.array("12")), "array 'data' has type <U2"),
    "order": (parts(indptr=np.array([0, 2, 1])), "not a sparse matrix"),
    "range": (parts(indices=np.array([0, 3])), "not a sparse matrix"),
    "negative": (parts(indices=np.array([0, -1])), "not a sparse matrix"),
    "length": (parts(indptr=np.array([0, 2])), "not a sparse matrix"),
    "rank": (parts(data=np.ones((1, 2))), "array 'data' has type float64 and 2 dimension"),
    "shape": (parts(shape=np.array([2, 3, 4])), "its shape or indices are no whole numbers"),
    "nan": (parts(data=np.array([1.0, np.nan])), "must be finite in float32"),
    "absurd": (
        parts(shape=np.array([2, 10**12])),
        "a matrix of 2 rows and 1000000000000 columns, out of all",
    ),
    "coo": (
        parts(format=np.array(b"coo"), row=np.array([0, 2]), col=np.array([0, 0])),
        "an index lies outside its shape",
    ),
    "coo length": (
        parts(format=np.array(b"coo"), row=np.array([0]), col=np.array([0, 0])),
        "its arrays differ in length",
    ),
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_bad_matrices(tmp_path, case):
    content, message = BAD_PARTS[case]
    np.savez(tmp_path / "X.npz", **content, allow_pickle=True)
    with pytest.raises(DatasetError, match=rf"X\.npz.*{message}"):
        load_npz(tmp_path / "X.npz", save(tmp_path / "Y.npz", np.eye(2)))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "'<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
            "array 'data' does not fill its place",
        ),
        ("'<f8', 'fortran_order': False, 'shape': (-1,), }", "array 'data' has no header"),
        ("'|S0', 'fortran_order': False, 'shape': (9999999999,), }", "array 'data' has type"),
        ("'|O8', 'fortran_order': False, 'shape': (1,), }", "array 'data' has type object"),
        ("'<f3', 'fortran_order': False, 'shape': (1,), }", "data type '<f3' not understood"),
        ("'<f8', 'fortran_order': False, 'shape': (1, 1), }", "array 'data' has type float64 and 2 dim"),
        ("(" * 90, "array 'data' has no header"),
    ],
)
def test_headers_that_lie(tmp_path, header, message):
    np.savez(tmp_path / "X.npz", **parts(data=None))
    with zipfile.ZipFile(tmp_path / "X.npz", "a") as archive:
        archive.writestr("data.npy", raw("{'descr': " + header))
    with pytest.raises(DatasetError, match=rf"X\.npz.*{message}"):
        load_npz(tmp_path / "X.npz", save(tmp_path / "Y.npz", np.eye(2)))


def test_every_cut_and_every_damaged_byte_is_refused_or_harmless(tmp_path):
    X, Y = np.array([[1.0, 0, 2], [0, 3, 0]]), save(tmp_path / "Y.npz", np.eye(2))
    path = save(tmp_path / "X.npz", X)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r"X\.npz: not a sparse matrix"):
            load_npz(path, Y)
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0x41
        path.write_bytes(damaged)
        with contextlib.suppress(DatasetError):
            found, _ = load_npz(path, Y)
            np.testing.assert_array_equal(found.toarray(), X)


def test_a_bomb_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "FREE_BYTES", 100_000)
    np.savez_compressed(tmp_path / "X.npz", **parts(data=np.zeros(10_000_000)))
    tracemalloc.start()
    with pytest.raises(DatasetError, match=r"X\.npz: holds more than .* write it with compressed=False"):
        load_npz(tmp_path / "X.npz", save(tmp_path / "Y.npz", np.eye(2)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_labels_are_checked(tmp_path):
    X = save(tmp_path / "X.npz", np.eye(2))
    with pytest.raises(DatasetError, match=r"Y\.npz must hold only 0 and 1; found 2"):
        load_npz(X, save(tmp_path / "Y.npz", [[2.0, 0], [0, 1]]))
    with pytest.raises(DatasetError, match=r"Y\.npz has 3 rows, but .*X\.npz has 2"):
        load_npz(X, save(tmp_path / "Y.npz", np.eye(3)))
    (tmp_path / "Y.npz").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"Y\.npz: not a sparse matrix of scipy\.sparse\.save_npz"):
        load_npz(X, tmp_path / "Y.npz")
    with pytest.raises(FileNotFoundError):
        load_npz(X, tmp_path / "nothing.npz")


def test_a_compression_that_asks_for_memory_is_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.array([1.0, 2.0]))
    np.savez(tmp_path / "X.npz", **parts(data=None))
    with zipfile.ZipFile(tmp_path / "X.npz", "a", compression=zipfile.ZIP_LZMA) as archive:
        archive.writestr("data.npy", content.getvalue())
    with pytest.raises(DatasetError, match="a compression that save_npz does not use"):
        load_npz(tmp_path / "X.npz", save(tmp_path / "Y.npz", np.eye(2)))


def test_a_folder_of_matrices(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        save(folder / f"{split}.X.npz", [[0.5, 0, 1]])
        save(folder / f"{split}.Y.npz", [[0, 1]])
    ds = load_dataset("toy", data_dir=tmp_path, progress=False)
    assert ds.test.X.toarray().tolist() == [[0.5, 0, 1]]
    assert ds.label_names == ["label_0", "label_1"]
    save(folder / "test.Y.npz", [[0, 1, 0]])
    with pytest.raises(DatasetError, match=r"test\.X\.npz has 3 features and 3 labels, but .*train\.X\.npz"):
        load_dataset("toy", data_dir=tmp_path, progress=False)
    (folder / "test.Y.npz").unlink()
    with pytest.raises(DatasetError, match=r"test\.Y\.npz: the labels of test\.X\.npz are missing"):
        load_dataset("toy", data_dir=tmp_path, progress=False)
