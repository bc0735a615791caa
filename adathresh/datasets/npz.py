"""Pairs of sparse matrices, as ``scipy.sparse.save_npz`` writes them, read without pickle and in bounds."""

import errno
import os
import re
import zipfile
import zlib

import numpy as np
import scipy.sparse as sp

from adathresh.datasets import formats
from adathresh.datasets.formats import LARGEST_INDEX, DatasetError, as_features
from adathresh.utils.files import PathLike
from adathresh.utils.validation import check_labels

_PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
}
_HEADER = re.compile(
    rb"\{'descr': '([<>|][a-zA-Z][0-9]{0,4})', 'fortran_order': (?:True|False), "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)
# What reading a file that is none can raise; an OSError with a number is the disk's.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    TypeError,
)


def load_npz(X: PathLike, Y: PathLike) -> tuple[sp.csr_array, sp.csr_array]:
    """Load features and labels from two files of ``scipy.sparse.save_npz``.

    Parameters
    ----------
    X : str or path-like
        The file of the features, a sparse matrix in the format CSR, CSC or COO.
    Y : str or path-like
        The file of the labels, 0 or 1, with as many rows.

    Returns
    -------
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features in float32, indices sorted, zeros not stored.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels; the stored values are all 1, in float32.

    Raises
    ------
    DatasetError
        If a file is damaged or holds something else, is out of all proportion to its size, X is not finite in
        float32, Y holds other values than 0 and 1, or the two differ in length. The message names the file.
    ValueError
        If one of them is no path.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name, rows in {"X": [[0.5, 0]], "Y": [[0, 1]]}.items():
    ...         sp.save_npz(f"{folder}/train.{name}.npz", sp.csr_array(rows))
    ...     [matrix.toarray() for matrix in load_npz(f"{folder}/train.X.npz", f"{folder}/train.Y.npz")]
    [array([[0.5, 0. ]], dtype=float32), array([[0., 1.]], dtype=float32)]
    """
    formats.check_file(X, name="X")
    formats.check_file(Y, name="Y")
    features, labels = _read(X), _read(Y)
    try:
        features, labels = as_features(features, name=str(X)), check_labels(labels, name=str(Y))
    except ValueError as error:
        raise DatasetError(str(error)) from error
    if features.shape[0] != labels.shape[0]:
        raise DatasetError(f"{Y} has {labels.shape[0]} rows, but {X} has {features.shape[0]}.")
    return features, labels


def _read(path):
    """Read a sparse matrix."""
    size = os.path.getsize(path)
    try:
        with zipfile.ZipFile(path) as archive:
            most = formats.FREE_BYTES + formats.EXPANSION * size
            if sum(info.file_size for info in archive.infolist()) > most:
                raise DatasetError(
                    f"{path}: holds more than {most:,} bytes, out of all proportion to its size; if that is "
                    "meant, write it with compressed=False."
                )
            kind = _array(archive, "format")
            kind = kind.item().decode("ascii") if kind.dtype.kind == "S" else str(kind.item())
            if kind not in _PARTS:
                raise ValueError(f"a matrix in the format {kind[:20]!r}; convert it by .tocsr()")
            shape = _array(archive, "shape")
            parts = [_array(archive, name) for name in _PARTS[kind]]
        return _matrix(path, size, kind, shape, *parts)
    except DatasetError:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # the latter: a part that begins before the file
            raise
        raise _not_a_matrix(path, error) from error
    except _DAMAGED as error:
        raise _not_a_matrix(path, error) from error


def _not_a_matrix(path, error):
    """Return the error for a file that cannot be read."""
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return DatasetError(f"{path}: not a sparse matrix of scipy.sparse.save_npz ({said}); write it again.")


def _array(archive, name):
    """Read an array of at most one dimension, which must fill its part of the file."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"there is no array {name!r}") from None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("a compression that save_npz does not use")
    with archive.open(info) as stream:
        # Not by NumPy, whose reading of a hostile header can end in any error of Python's own parser.
        begin = stream.read(10)
        length = int.from_bytes(begin[8:], "little")
        header = _HEADER.fullmatch(stream.read(length))
        if begin[:8] != b"\x93NUMPY\x01\x00" or not header:
            raise ValueError(f"array {name!r} has no header as NumPy writes it")
        dtype = np.dtype(header[1].decode())
        shape = tuple(int(word) for word in header[2].split(b",") if word.strip())
        # Before anything is set aside for it: pickled objects have the kind O.
        kinds = "SU" if name == "format" else "biuf"
        if dtype.kind not in kinds or len(shape) > 1:
            raise ValueError(f"array {name!r} has type {dtype} and {len(shape)} dimension(s)")
        count = shape[0] if shape else 1
        if info.file_size - stream.tell() != count * dtype.itemsize or not dtype.itemsize:
            raise ValueError(f"array {name!r} does not fill its place")
        return np.frombuffer(stream.read(), dtype=dtype, count=count).reshape(shape)


def _matrix(path, size, kind, shape, data, first, second):
    """Put a matrix together, once its numbers were found possible."""
    if shape.size != 2 or any(array.dtype.kind not in "iu" for array in (shape, first, second)):
        raise ValueError("its shape or indices are no whole numbers")
    n_rows, n_columns = map(int, shape)
    most = min(LARGEST_INDEX, formats.FREE_WIDTH + formats.WIDTH_PER_BYTE * size)
    if not (0 <= n_rows <= most and 0 <= n_columns <= most):
        raise DatasetError(
            f"{path}: a matrix of {n_rows} rows and {n_columns} columns, out of all proportion to a file of "
            f"{size} bytes; raise adathresh.datasets.formats.FREE_WIDTH if it is meant."
        )
    if kind == "coo":
        if len({len(array) for array in (data, first, second)}) > 1:
            raise ValueError("its arrays differ in length")
        for indices, width in ((first, n_rows), (second, n_columns)):
            if indices.size and not 0 <= indices.min() <= indices.max() < width:
                raise ValueError("an index lies outside its shape")
        return sp.coo_array((data, (first, second)), shape=(n_rows, n_columns))
    if not second.size or second[0] != 0 or (second[1:] < second[:-1]).any():  # SciPy overlooks [0, -1]
        raise ValueError("its index pointers do not rise from 0")
    container = sp.csr_array if kind == "csr" else sp.csc_array
    matrix = container((data, first, second), shape=(n_rows, n_columns))
    matrix.check_format(full_check=True)
    return matrix
