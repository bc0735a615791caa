"""Text formats of multi-label data: the Extreme Classification format and LIBSVM multi-label lines.

Both are read in blocks of a megabyte. A block is parsed as a whole with array operations; only a block that
does not parse is read again line by line, to name the line at fault.

Files may come from anywhere, so what they can ask for is bounded: see the constants of this module. A file
beyond a limit is refused with an error that names it; the constants can be raised where a limit is too low.
"""

import bz2
import contextlib
import functools
import gzip
import io
import itertools
import lzma
import os
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from adathresh.utils.files import PathLike, whole_file
from adathresh.utils.parameters import Allowed, check_value, optional, whole
from adathresh.utils.parameters import path as a_path
from adathresh.utils.progress import tqdm
from adathresh.utils.validation import check_labels, check_unmasked

BLOCK_BYTES = 1 << 20
ROWS_PER_BLOCK = 8192
PROGRESS_ENTRIES = 2_000_000
PROGRESS_BYTES = 1 << 23  # smaller files load before a progress bar could be read
LARGEST_INDEX = np.iinfo(np.int32).max

HEADER_BYTES = 128
"""Length at most of the header line of an Extreme Classification file."""
LINE_BYTES = 1 << 24
"""Length at most of a line: 16 MiB, which is a million features and more in one row."""
FREE_BYTES, EXPANSION = 1 << 26, 100
"""A compressed file may hold 64 MiB and, beyond those, 100 times its own size; usual are 3 to 10."""
XZ_MEMORY = 1 << 27
"""Memory at most that a file compressed by xz may ask for: 128 MiB; ``xz -9`` makes files that need 65."""
FREE_WIDTH, WIDTH_PER_BYTE = 1 << 22, 64
"""A file may have 4,194,304 features and as many labels and, beyond those, 64 for each of its bytes."""

UNENDED = (
    "the last line does not end with a newline, so the file may have been cut off within it; fetch or copy "
    "it again, or add the newline if it is whole."
)
COMPRESSED = (".gz", ".bz2", ".xz")

# Every byte is a digit, another character of a number, foreign, or a separator.
DIGIT, SIGN, POINT, EXPONENT, FOREIGN, COMMA, COLON, SPACE, NEWLINE = range(9)
_KIND = np.full(256, FOREIGN, dtype=np.uint8)
for _characters, _kind in (
    (b"0123456789", DIGIT),
    (b"+-", SIGN),
    (b".", POINT),
    (b"eE", EXPONENT),
    (b",", COMMA),
    (b":", COLON),
    (b" \t\r", SPACE),
    (b"\n", NEWLINE),
):
    _KIND[list(_characters)] = _kind
_ONLY_SPACES = bytes.maketrans(b",:\t\r\n", b"     ")
# No digit can be matched in two ways: where it could, a long value that is malformed takes hours to refuse.
_VALUE = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class DatasetError(ValueError):
    """A data file or folder that cannot be used; the message names the place and the mend.

    Examples
    --------
    >>> issubclass(DatasetError, ValueError)  # so that whoever expects a ValueError catches it, too
    True
    """


OnError: TypeAlias = Callable[[DatasetError, int | None], object]
"""Takes an error and the number of the row at fault, from 0, or None where it is not the fault of one row."""


def stop(error: DatasetError, row: int | None) -> None:
    """Raise an error: what readers do with the first one, unless they are given something else to do.

    Parameters
    ----------
    error : DatasetError
        What is wrong.
    row : int or None
        Number of the row at fault.

    Raises
    ------
    DatasetError
        The error.

    Examples
    --------
    >>> stop(DatasetError("train.txt, line 3: malformed."), 1)
    Traceback (most recent call last):
    adathresh.datasets.formats.DatasetError: train.txt, line 3: malformed.
    """
    raise error


def check_file(path: PathLike, *, name: str = "path", on_error: OnError = stop) -> None:
    """Refuse what is no path (a number would be that of an open file), and no function for errors.

    Parameters
    ----------
    path : object
        What a caller gave as a path.
    name : str, default="path"
        How the argument is called in the error message.
    on_error : object
        What a caller gave to be called with errors.

    Raises
    ------
    ValueError
        If one of them is something else.

    Examples
    --------
    >>> check_file("train.txt")
    """
    check_value(name, path, a_path())
    check_value("on_error", on_error, Allowed("a function of an error and a row", callable))


def load_xc(
    path: PathLike, *, progress: bool = True, on_error: OnError = stop
) -> tuple[sp.csr_array, sp.csr_array]:
    r"""Load a file in the format of the Extreme Classification Repository.

    The first line is ``n d L`` (rows, features, labels); every further line is a row, ``l1,l2 f:v f:v``, with
    labels and features counted from 0. A row without labels starts with a space.

    Parameters
    ----------
    path : str or path-like
        The file; ``.gz``, ``.bz2`` and ``.xz`` are decompressed on the fly.
    progress : bool, default=True
        Whether to show progress while a large file is read.
    on_error : callable, optional
        Called with each error that the rest of the file can be read in spite of, in place of raising it, and
        with the number of the row at fault, from 0, or None where it is not the fault of one row. A row at
        fault is then read as one without labels and features.

    Returns
    -------
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features in float32, indices sorted, zeros not stored.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels; the stored values are all 1, in float32.

    Raises
    ------
    DatasetError
        If the file is empty, truncated or malformed, disagrees with its header, does not end with a newline,
        or goes beyond a limit of this module. The message names the file and, where there is one, the line.
    ValueError
        If path is no path, or on_error no function.

    See Also
    --------
    save_xc : Write such a file.

    Notes
    -----
    http://manikvarma.org/downloads/XC/XMLRepository.html describes the format.

    The number of rows and the last newline show that nothing is missing at the end; a file that lacks the
    newline may have been cut within its last number, and is refused.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/train.txt").write_text("2 3 2\n0 0:1\n0,1 1:0.5 2:1\n")
    ...     X, Y = load_xc(f"{folder}/train.txt")
    >>> X.toarray(), Y.toarray()
    (array([[1. , 0. , 0. ],
            [0. , 0.5, 1. ]], dtype=float32), array([[1., 0.],
                                                     [1., 1.]], dtype=float32))
    """
    check_file(path, on_error=on_error)
    with _open_blocks(path, progress) as (blocks, read_line):
        first = read_line()
        header = first.decode("ascii", "replace").split()
        if not header:
            raise DatasetError(f"{path}, line 1: the file is empty; expected the header 'n d L'.")
        fits = len(first) < HEADER_BYTES or first.endswith(b"\n")
        if not fits or len(header) != 3 or not all(re.fullmatch("[0-9]{1,18}", word) for word in header):
            raise DatasetError(
                f"{path}, line 1: expected the header 'n d L' (rows, features, labels), "
                f"found {' '.join(header)[:60]!r}. "
                "A file of LIBSVM lines has no header: read it with load_svmlight_multilabel."
            )
        n_samples, n_features, n_labels = map(int, header)
        if max(n_features, n_labels) > LARGEST_INDEX:
            raise DatasetError(f"{path}, line 1: at most {LARGEST_INDEX} features and labels are supported.")
        if not first.endswith(b"\n"):
            raise _unended(path, 1)
        _check_header(path, n_samples, n_features, n_labels)
        reader = _RowReader(
            path,
            n_features=n_features,
            n_labels=n_labels,
            n_samples=n_samples,
            first_line=2,
            on_error=on_error,
        )
        for block in blocks:
            reader.feed(block)
    if reader.n_rows < n_samples:
        error = DatasetError(
            f"{path}, line 1: the header promises {n_samples} rows, the file ends after {reader.n_rows}; "
            "fetch or copy it again, or correct the header if the file is whole."
        )
        on_error(error, None)
    return reader.matrices()


def load_svmlight_multilabel(
    path: PathLike,
    *,
    n_features: int | None = None,
    n_labels: int | None = None,
    progress: bool = True,
    on_error: OnError = stop,
) -> tuple[sp.csr_array, sp.csr_array]:
    r"""Load a file of LIBSVM multi-label lines.

    Every line is a row, ``l1,l2 f:v f:v``, without a header. Features are counted from 1, as everywhere in
    LIBSVM. Labels are taken as they are, counted from 0, as the multi-label files of the LIBSVM page count
    them; in a file that counts labels from 1, label 0 is simply a label without rows.

    Parameters
    ----------
    path : str or path-like
        The file; ``.gz``, ``.bz2`` and ``.xz`` are decompressed on the fly.
    n_features, n_labels : int, optional
        Width of X and of Y. By default the largest index that occurs decides; give them for the parts of one
        data set, whose widths must agree.
    progress : bool, default=True
        Whether to show progress while a large file is read.
    on_error : callable, optional
        Called with each error of a row in place of raising it, as by :func:`load_xc`.

    Returns
    -------
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features in float32, counted from 0, indices sorted, zeros not stored.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels; the stored values are all 1, in float32.

    Raises
    ------
    DatasetError
        If the file is empty, truncated or malformed, holds an index beyond `n_features` or `n_labels`, does
        not end with a newline, or goes beyond a limit of this module. The message names the file and, where
        there is one, the line.
    ValueError
        If path is no path, a width no whole number, or on_error no function.

    See Also
    --------
    load_xc : Read a file with a header.

    Notes
    -----
    https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multilabel.html holds such files. A blank line is
    a row without labels and features, except at the end of the file.

    The format has no count of rows: a file that was cut exactly at the end of a line cannot be told from a
    whole one, here or by any other reader (:func:`~adathresh.datasets.downloads.fetch` compares size, rows
    and checksum with what is known of the file). Cut anywhere else it does not end with a newline, as every
    program writes it, and is refused.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/train.svm").write_text("0 1:1\n0,1 2:0.5 3:1\n")
    ...     X, Y = load_svmlight_multilabel(f"{folder}/train.svm")
    >>> X.shape, Y.shape
    ((2, 3), (2, 2))
    """
    check_file(path, on_error=on_error)
    check_value("n_features", n_features, optional(whole(1)))
    check_value("n_labels", n_labels, optional(whole(1)))
    reader = _RowReader(path, n_features=n_features, n_labels=n_labels, first_feature=1, on_error=on_error)
    with _open_blocks(path, progress) as (blocks, _):
        for block in blocks:
            reader.feed(block)
    reader.drop_blank_tail()
    if not reader.n_rows:
        raise DatasetError(f"{path}, line 1: the file is empty.")
    return reader.matrices()


def save_xc(path: PathLike, X: ArrayLike, Y: ArrayLike, *, progress: bool = True) -> None:
    """Write a file in the format of the Extreme Classification Repository.

    The same matrices always give the same bytes, values are written with as many digits as float32 needs, and
    the file appears under its name only when it is complete. Missing folders are made.

    Parameters
    ----------
    path : str or path-like
        The file to write or to replace; ``.gz``, ``.bz2`` and ``.xz`` are compressed.
    X : array-like or sparse of shape (n_samples, n_features)
        Features; stored as float32, zeros are left out.
    Y : array-like or sparse of shape (n_samples, n_labels)
        Label indicators, 0 or 1.
    progress : bool, default=True
        Whether to show progress while a large file is written.

    Raises
    ------
    ValueError
        If path is no path, X and Y differ in length, X is not finite in float32 or has masked entries, or Y
        holds values other than 0 and 1.

    See Also
    --------
    load_xc : Read such a file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_xc(f"{folder}/train.txt", [[0, 0.5]], [[1, 0, 1]])
    ...     print(Path(f"{folder}/train.txt").read_text().splitlines())
    ['1 2 3', '0,2 1:0.5']
    """
    check_file(path)
    X = as_features(X)
    Y = check_labels(Y, n_samples=X.shape[0])
    starts = range(0, X.shape[0], ROWS_PER_BLOCK)
    blocks = ((X[start : start + ROWS_PER_BLOCK], Y[start : start + ROWS_PER_BLOCK]) for start in starts)
    hidden = not progress or X.nnz < PROGRESS_ENTRIES
    with tqdm(total=X.shape[0], unit="row", desc=Path(path).name, disable=hidden) as bar:
        save_xc_blocks(path, blocks, shape=(X.shape[0], X.shape[1], Y.shape[1]), on_rows=bar.update)


def save_xc_blocks(
    path: PathLike,
    blocks: Iterable[tuple[sp.csr_array, sp.csr_array]],
    *,
    shape: tuple[int, int, int],
    on_rows: Callable[[int], object] | None = None,
) -> None:
    """Write blocks of rows as one file in the Extreme Classification format.

    Parameters
    ----------
    path : str or path-like
        The file to write or to replace; ``.gz``, ``.bz2`` and ``.xz`` are compressed.
    blocks : iterable of (X, Y)
        Canonical CSR matrices, as :func:`as_features` and ``check_labels`` return them.
    shape : tuple of (n_samples, n_features, n_labels)
        What the header says.
    on_rows : callable, optional
        Called with the number of rows after each block.

    Raises
    ------
    ValueError
        If the blocks do not add up to `shape`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> block = as_features([[0, 0.5]]), check_labels([[1, 0, 1]])
    >>> with TemporaryDirectory() as folder:
    ...     save_xc_blocks(f"{folder}/train.txt", [block, block], shape=(2, 2, 3))
    """
    written = 0
    with open_compressed(path) as stream:
        stream.write(f"{shape[0]} {shape[1]} {shape[2]}\n".encode())
        for X, Y in blocks:
            if (X.shape[1], Y.shape[1]) != shape[1:]:
                raise ValueError(
                    f"A block has {X.shape[1]} features and {Y.shape[1]} labels, not {shape[1:]}."
                )
            stream.write(_format_rows(X, Y))
            written += X.shape[0]
            if on_rows:
                on_rows(X.shape[0])
        if written != shape[0]:
            raise ValueError(f"The blocks hold {written} rows, not {shape[0]}.")


def as_features(X: ArrayLike, *, name: str = "X") -> sp.csr_array:
    """Return features as canonical float32 CSR.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
        Features.
    name : str, default="X"
        How the argument is called in error messages.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_features)
        The same features: indices sorted, duplicates summed, zeros not stored.

    Raises
    ------
    ValueError
        If X is no matrix of numbers, is not finite in float32, or has masked entries.

    Examples
    --------
    >>> as_features([[0, 0.5]]).nnz
    1
    """
    check_unmasked(X, name=name)
    matrix: Any = X if sp.issparse(X) else np.asarray(X)
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers; got values of type {matrix.dtype}.")
    if np.ndim(matrix) != 2:
        raise ValueError(
            f"{name} must have shape (n_samples, n_features); got {np.ndim(matrix)} dimension(s)."
        )
    with np.errstate(over="ignore"):
        X = sp.csr_array(matrix, dtype=np.float32, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    if not np.isfinite(X.data).all():
        raise ValueError(f"{name} must be finite in float32; found NaN, infinity or a number beyond 3.4e38.")
    return X


@contextlib.contextmanager
def open_compressed(path: PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing bytes, compressed as its suffix says.

    The file appears under its name only when it is complete; if the block raises, nothing is left behind.

    Parameters
    ----------
    path : str or path-like
        The file; ``.gz``, ``.bz2`` and ``.xz`` are compressed, without time stamps.

    Yields
    ------
    binary file object
        The stream to write to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, open_compressed(f"{folder}/a.txt.gz") as stream:
    ...     stream.write(b"text")
    4
    """
    with whole_file(path) as temporary, open(temporary, "wb") as raw:
        if temporary.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as stream:
                yield cast(BinaryIO, stream)
        elif temporary.suffix == ".bz2":
            with bz2.BZ2File(raw, "wb") as stream:
                yield cast(BinaryIO, stream)
        elif temporary.suffix == ".xz":
            with lzma.LZMAFile(raw, "wb") as stream:
                yield cast(BinaryIO, stream)
        else:
            yield raw


@contextlib.contextmanager
def read_errors(path: PathLike) -> Iterator[None]:
    """Turn the ways in which a compressed file can be broken into one clear error.

    Parameters
    ----------
    path : str or path-like
        The file, for the message.

    Raises
    ------
    DatasetError
        For a truncated or damaged file.

    Examples
    --------
    >>> with read_errors("train.txt.gz"):
    ...     raise EOFError
    Traceback (most recent call last):
    adathresh.datasets.formats.DatasetError: train.txt.gz: the compressed file is truncated; ...
    """
    try:
        yield
    except EOFError as error:
        raise DatasetError(f"{path}: the compressed file is truncated; fetch or copy it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path}: not a valid gzip file ({error}); fetch or copy it again.") from error
    except lzma.LZMAError as error:
        raise DatasetError(f"{path}: not a valid xz file ({error}); fetch or copy it again.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DatasetError(f"{path}: cannot be decompressed ({error}); fetch or copy it again.") from error


def decompressed(path: PathLike, raw: BinaryIO) -> BinaryIO:
    """Wrap a raw binary file so that it reads as its decompressed content.

    Parameters
    ----------
    path : str or path-like
        Where it lies; the suffix says how it is compressed.
    raw : binary file object
        The open file.

    Returns
    -------
    binary file object
        The content. Reading it raises a DatasetError where it grows beyond :data:`FREE_BYTES` and
        :data:`EXPANSION` times the compressed size, and another error where anything but a whole compressed
        stream follows the first; use it within :func:`read_errors`.

    Notes
    -----
    Files of several compressed streams one after the other, as pbzip2 writes them, are read to their end. A
    file that was cut exactly between two streams cannot be told from a whole one.

    Examples
    --------
    >>> import io
    >>> decompressed("a.gz", io.BytesIO(gzip.compress(b"text"))).read()
    b'text'
    """
    suffix = Path(path).suffix
    if suffix in COMPRESSED and not _size(raw):  # which Python's gzip takes for whole
        raise DatasetError(f"{path}: the compressed file is truncated; fetch or copy it again.")
    if suffix == ".gz":
        source: io.BufferedIOBase | io.RawIOBase = gzip.GzipFile(fileobj=raw)
    elif suffix == ".bz2":
        source = _Streams(raw, bz2.BZ2Decompressor)
    elif suffix == ".xz":
        source = _Streams(raw, functools.partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, XZ_MEMORY))
    else:
        return raw
    return cast(BinaryIO, io.BufferedReader(_Bounded(path, source, _most_bytes(path, _size(raw)))))


def iter_lines(path: PathLike) -> Iterator[bytes]:
    r"""Yield the lines of a file, compressed or not.

    Parameters
    ----------
    path : str or path-like
        The file.

    Yields
    ------
    bytes
        A line with its end.

    Raises
    ------
    DatasetError
        If the file is truncated or damaged, or a line is longer than :data:`LINE_BYTES`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.txt").write_text("one\ntwo\n")
    ...     print(list(iter_lines(f"{folder}/a.txt")))
    [b'one\n', b'two\n']
    """
    with open(path, "rb") as raw, read_errors(path), decompressed(path, raw) as stream:
        longest, number = LINE_BYTES, 1
        while line := stream.readline(longest + 1):
            if len(line) > longest:
                raise DatasetError(
                    f"{path}, line {number}: the line is longer than {longest:,} bytes; write each entry on "
                    "a line of its own, or raise adathresh.datasets.formats.LINE_BYTES."
                )
            yield line
            number += 1


class _Streams(io.RawIOBase):
    """Compressed streams one after the other; Python's own readers take a damaged one for the end."""

    def __init__(self, raw, decompressor):
        super().__init__()
        self._raw, self._new, self._stream = raw, decompressor, decompressor()

    def readable(self):
        """Tell that this can be read."""
        return True

    def readinto(self, buffer):
        """Fill a part of the buffer; 0 only where the file ends with the end of a stream."""
        while True:
            data = b""
            if self._stream.eof:
                data = self._stream.unused_data or self._raw.read(io.DEFAULT_BUFFER_SIZE)
                if not data:
                    return 0
                self._stream = self._new()
            elif self._stream.needs_input:
                data = self._raw.read(io.DEFAULT_BUFFER_SIZE)
                if not data:
                    raise EOFError
            found = self._stream.decompress(data, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)


class _Bounded(io.RawIOBase):
    """What another stream gives, up to a number of bytes: a kilobyte can hold gigabytes of nothing."""

    def __init__(self, path, source, limit):
        super().__init__()
        self._path, self._source, self._limit, self._left = path, source, limit, limit

    def readable(self):
        """Tell that this can be read."""
        return True

    def readinto(self, buffer):
        """Fill a part of the buffer."""
        count = self._source.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise DatasetError(
                f"{self._path}: holds more than {self._limit:,} bytes, out of all proportion to its "
                "compressed size; if that is meant, decompress it first."
            )
        return count


def _size(raw):
    """Return the size of an open file and leave it at its start."""
    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    return size


def _most_bytes(path, size):
    """Return how many bytes of text a file of some size may hold."""
    return size if Path(path).suffix not in COMPRESSED else FREE_BYTES + EXPANSION * size


def _check_header(path, n_samples, n_features, n_labels):
    """Raise where the numbers of a header cannot be true of a file of this size."""
    size = os.path.getsize(path)
    if n_samples > _most_bytes(path, size):
        raise DatasetError(
            f"{path}, line 1: the header promises {n_samples} rows, more than a file of {size} bytes holds."
        )
    for width, kind in ((n_features, "features"), (n_labels, "labels")):
        if width > FREE_WIDTH + WIDTH_PER_BYTE * size:
            raise DatasetError(
                f"{path}, line 1: the header promises {width} {kind}, out of all proportion to a file of "
                f"{size} bytes; correct it, or raise adathresh.datasets.formats.FREE_WIDTH if it is meant."
            )


def _unended(path, line):
    """Return the error for a last line without a newline."""
    return DatasetError(f"{path}, line {line}: {UNENDED}")


@contextlib.contextmanager
def _open_blocks(path, progress):
    """Yield an iterator over blocks of whole lines and a function that reads one line before them."""
    size = os.path.getsize(path)
    with (
        open(path, "rb") as raw,
        decompressed(path, raw) as stream,
        tqdm(
            total=size,
            unit="B",
            unit_scale=True,
            desc=Path(path).name,
            disable=not progress or size < PROGRESS_BYTES,
        ) as bar,
        read_errors(path),
    ):
        lines = 0

        def read_line():
            nonlocal lines
            lines += 1
            return stream.readline(HEADER_BYTES)

        def blocks():
            nonlocal lines
            parts, length = [], 0  # of a line that is not yet whole
            while data := stream.read(BLOCK_BYTES):
                bar.update(raw.tell() - bar.n)
                whole, newline, tail = data.rpartition(b"\n")
                if newline:
                    block = b"".join((*parts, whole, newline))
                    yield block
                    lines += block.count(b"\n")
                    parts, length = [], 0
                parts.append(tail)
                length += len(tail)
                if length > LINE_BYTES:
                    raise DatasetError(
                        f"{path}, line {lines + 1}: the line is longer than {LINE_BYTES:,} bytes; write "
                        "each row on a line of its own, or raise adathresh.datasets.formats.LINE_BYTES."
                    )
            if length:
                raise _unended(path, lines + 1)

        yield blocks(), read_line


class _RowReader:
    """Collects the rows of a file, block by block."""

    def __init__(
        self, path, *, n_features, n_labels, n_samples=None, first_feature=0, first_line=1, on_error=stop
    ):
        self.path, self.n_samples, self.on_error = path, n_samples, on_error
        self.n_features, self.n_labels = n_features, n_labels
        self.first_feature, self.first_line = first_feature, first_line
        self.n_rows = 0
        self.n_blank = 0  # blank lines since the last promised row: rows only if another row follows
        self.n_told = 0  # rows up to the last one at fault
        self.labels, self.label_counts = [], []
        self.features, self.values, self.feature_counts = [], [], []

    def feed(self, block):
        """Add the rows of a block of whole lines."""
        whole = block
        if self.n_samples is not None:
            block = self._without_blank_tail(block)
        if block and self.n_blank:
            self._add_blank_rows()
        self.n_blank += whole.count(b"\n") - block.count(b"\n")
        if not block:
            return
        parsed = _parse_block(block)
        rows = parsed and self._checked(*parsed)
        if not rows:
            rows = self._checked(*_parse_block(self._without_faulty_lines(block)))
        labels, label_counts, features, feature_counts, values = rows
        self.labels.append(labels)
        self.label_counts.append(_small(label_counts))
        self.features.append(features)
        self.feature_counts.append(_small(feature_counts))
        self.values.append(values)
        self.n_rows += label_counts.size
        self._check_promise()

    def _add_blank_rows(self):
        """Add the blank lines between rows beyond the promised number."""
        self.n_rows, n_blank, self.n_blank = self.n_rows + self.n_blank, self.n_blank, 0
        self._check_promise()  # raises, unless errors are collected
        for counts in (self.label_counts, self.feature_counts):
            counts.append(np.zeros(n_blank, dtype=np.uint8))
        for parts, dtype in ((self.labels, np.int32), (self.features, np.int32), (self.values, np.float32)):
            parts.append(np.empty(0, dtype=dtype))

    def _check_promise(self):
        """Report once that there are more rows than the header promises."""
        if self.n_samples is not None and self.n_rows > self.n_samples:
            error = DatasetError(
                f"{self.path}, line {self.first_line + self.n_samples}: "
                f"the header promises {self.n_samples} rows, but more follow; correct it, or remove them."
            )
            self.on_error(error, None)
            self.n_samples = None  # said once

    def _without_blank_tail(self, block):
        """Cut blank lines beyond the promised number of rows: an editor's last newline is no row."""
        wanted = self.n_samples - self.n_rows
        if block.count(b"\n") <= wanted:
            return block
        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")) + 1
        filled = np.searchsorted(ends, len(block.rstrip()))  # lines before the one with the last character
        keep = max(wanted, filled + 1 if block.strip() else 0)
        return block[: ends[keep - 1]] if keep else b""

    def _checked(self, labels, label_counts, features, feature_counts, values):
        """Return the arrays of a block with sorted 32-bit indices, or None if a row breaks a rule."""
        features = features - self.first_feature
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        if not (_within(labels, self.n_labels) and _within(features, self.n_features)):
            return None
        if not np.isfinite(values).all():
            return None
        labels, _ = _sorted_rows(labels.astype(np.int32), label_counts)
        features, order = _sorted_rows(features.astype(np.int32), feature_counts)
        if labels is None or features is None:
            return None
        return labels, label_counts, features, feature_counts, values if order is None else values[order]

    def _without_faulty_lines(self, block):
        """Read a block that did not parse line by line, report each line at fault and make it a blank one."""
        lines = block.split(b"\n")
        faulty = 0
        for number, line in enumerate(lines[:-1]):
            try:
                self._check_line(line.decode("utf-8", "replace"))
            except DatasetError as error:
                row, lines[number] = self.n_rows + number, b""
                where = f"{self.path}, line {self.first_line + row}"
                self.on_error(DatasetError(f"{where}: {error}"), row)
                self.n_told = row + 1
                faulty += 1
        if not faulty:  # the two ways of reading a line do not agree
            first = self.first_line + self.n_rows
            raise DatasetError(f"{self.path}, lines {first} to {first + len(lines) - 2}: malformed.")
        return b"\n".join(lines)

    def _check_line(self, line):
        """Check one row by the letter of the format."""
        words = re.sub(r"[\t\r]", " ", line).split(" ")
        labels = []
        if words[0] and ":" not in words[0]:
            labels = [_index(word, "label", 0, self.n_labels) for word in words.pop(0).split(",")]
        features = []
        for word in filter(None, words):
            index, colon, value = word.partition(":")
            if not colon:
                raise DatasetError(
                    f"{word[:40]!r} is not a 'feature:value' pair (labels come first, commas without spaces)."
                )
            features.append(_index(index, "feature", self.first_feature, self.n_features))
            _check_value(value, word)
        for kind, indices in (("label", labels), ("feature", features)):
            if len(set(indices)) < len(indices):
                count = Counter(indices)
                twice = next(index for index in indices if count[index] > 1)
                raise DatasetError(f"{kind} {twice} is given more than once; remove one.")

    def drop_blank_tail(self):
        """Forget rows without labels and features at the end of the file."""
        while self.n_rows:
            filled = np.flatnonzero((self.label_counts[-1] > 0) | (self.feature_counts[-1] > 0))
            keep = filled[-1] + 1 if filled.size else 0
            keep = max(keep, self.n_told - self.n_rows + self.label_counts[-1].size)
            self.n_rows -= self.label_counts[-1].size - keep
            self.label_counts[-1] = self.label_counts[-1][:keep]
            self.feature_counts[-1] = self.feature_counts[-1][:keep]
            if keep:
                return
            for parts in (self.labels, self.label_counts, self.features, self.feature_counts, self.values):
                parts.pop()

    def matrices(self):
        """Return all rows as X and Y."""
        features, labels = _join(self.features, np.int32), _join(self.labels, np.int32)
        widths = [
            known if known is not None else bounded_width(self.path, kind, int(found.max(initial=-1)) + 1)
            for known, found, kind in (
                (self.n_features, features, "features"),
                (self.n_labels, labels, "labels"),
            )
        ]
        values = _join(self.values, np.float32)
        X = sp.csr_array(
            (values, features, _indptr(self.feature_counts, features.size)), shape=(self.n_rows, widths[0])
        )
        ones = np.ones(labels.size, dtype=np.float32)
        Y = sp.csr_array(
            (ones, labels, _indptr(self.label_counts, labels.size)), shape=(self.n_rows, widths[1])
        )
        X.eliminate_zeros()
        for matrix in (X, Y):
            matrix.has_sorted_indices = True
            matrix.has_canonical_format = True
        return X, Y


def bounded_width(path: PathLike, kind: str, width: int) -> int:
    """Return a width that the largest index of a file asks for, if it is not absurd.

    Parameters
    ----------
    path : str or path-like
        The file.
    kind : {"features", "labels"}
        What is counted.
    width : int
        The largest index, and one.

    Returns
    -------
    int
        The width.

    Raises
    ------
    DatasetError
        If it is beyond :data:`FREE_WIDTH` and :data:`WIDTH_PER_BYTE` times the size of the file.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     bounded_width(file.name, "labels", 4)
    4
    """
    size = os.path.getsize(path)
    if width > FREE_WIDTH + WIDTH_PER_BYTE * size:
        raise DatasetError(
            f"{path}: its largest index asks for {width} {kind}, out of all proportion to a file of "
            f"{size} bytes; correct it, or give n_{kind} if it is meant."
        )
    return width


def _small(counts):
    """Return counts in as few bytes as they need, so that blank lines do not take many times their size."""
    return counts.astype(np.min_scalar_type(counts.max(initial=0)))


def _join(parts, dtype):
    """Concatenate arrays, of which there may be none, and free them."""
    joined = np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
    parts.clear()
    return joined


def _indptr(counts, n_entries):
    """Turn counts a row into CSR row pointers, in 64 bits only where they are needed."""
    dtype = np.int32 if n_entries <= LARGEST_INDEX else np.int64
    indptr = np.zeros(1 + sum(map(len, counts)), dtype=dtype)
    np.cumsum(np.concatenate([*counts, indptr[:0]]), dtype=dtype, out=indptr[1:])
    return indptr


def _within(indices, width):
    """Tell whether all indices lie in a matrix of that width."""
    limit = LARGEST_INDEX if width is None else width
    return not indices.size or (indices.min() >= 0 and indices.max() < limit)


def _sorted_rows(indices, counts):
    """Sort the indices within each row; return (None, None) if one occurs twice."""
    rows = np.repeat(np.arange(counts.size), counts)
    order = None
    if np.any((np.diff(indices) <= 0) & (np.diff(rows) == 0)):
        order = np.lexsort((indices, rows))
        indices = indices[order]
        if np.any((np.diff(indices) == 0) & (np.diff(rows) == 0)):
            return None, None
    return indices, order


def _parse_block(block):
    """Parse whole lines with array operations; return None if any of them is malformed.

    Returns labels, labels a row, features, features a row, and values; the numbers are still float64.
    """
    kind = _KIND[np.frombuffer(block, dtype=np.uint8)]
    if (kind == FOREIGN).any():
        return None
    after = np.flatnonzero(kind >= COMMA)  # the separator that follows each (possibly empty) token
    next_ = kind[after]
    previous = np.concatenate([[NEWLINE], next_[:-1]])
    start = np.concatenate([[0], after[:-1] + 1])
    filled = after > start

    between_spaces = (previous >= SPACE) & (next_ >= SPACE)
    is_value = filled & (previous == COLON) & (next_ >= SPACE)
    is_feature = filled & (previous >= SPACE) & (next_ == COLON)
    is_label = filled & ((previous == NEWLINE) | (previous == COMMA)) & ((next_ == COMMA) | (next_ >= SPACE))
    if not (is_value | is_feature | is_label | (~filled & between_spaces)).all():
        return None
    in_fractions = np.flatnonzero((kind >= SIGN) & (kind <= EXPONENT))
    token = np.searchsorted(after, in_fractions)
    if not is_value[token].all() or not _well_formed(kind, in_fractions, token):
        return None

    numbers = _numbers(block)
    if numbers is None or numbers.size != np.count_nonzero(filled):
        return None
    newlines = next_ == NEWLINE
    row = np.cumsum(newlines) - newlines
    n_rows = int(newlines.sum())
    number_of = np.cumsum(filled) - 1
    return (
        numbers[number_of[is_label]],
        np.bincount(row[is_label], minlength=n_rows),
        numbers[number_of[is_feature]],
        np.bincount(row[is_feature], minlength=n_rows),
        numbers[number_of[is_value]],
    )


def _well_formed(kind, at, token):
    """Tell whether signs, points and exponents stand where a number may have them.

    Parameters are the kind of each byte of a block, and place and token of these characters. Checked here,
    a number cannot fail to be read, so that no warning of the reading must be caught: to make warnings errors
    for a while is to make them errors in all threads.
    """
    what, before, next_ = kind[at], kind[at - 1], kind[at + 1]  # a block ends with a newline
    first, last = before >= COMMA, next_ >= COMMA
    sign = (first & ((next_ == DIGIT) | (next_ == POINT))) | ((before == EXPONENT) & (next_ == DIGIT))
    point = (before == DIGIT) | ((next_ == DIGIT) & (first | (before == SIGN)))
    point &= last | (next_ == DIGIT) | (next_ == EXPONENT)
    exponent = ((before == DIGIT) | (before == POINT)) & ((next_ == DIGIT) | (next_ == SIGN))
    if not np.where(what == SIGN, sign, np.where(what == POINT, point, exponent)).all():
        return False
    split = what != SIGN
    what, token = what[split], token[split]
    together = token[1:] == token[:-1]  # one point, then one exponent
    return not (together & ((what[:-1] != POINT) | (what[1:] != EXPONENT))).any()


def _numbers(block):
    """Read all numbers of a block in order, or return None if one cannot be read."""
    text = block.translate(_ONLY_SPACES)
    if text.isspace():
        return np.empty(0)
    try:
        return np.fromstring(text, sep=" ")
    except ValueError:
        return None


def _index(word, kind, first, width):
    """Read one label or feature index, or say what is wrong with it."""
    if not (word.isascii() and word.isdigit()):
        raise DatasetError(f"{word[:40]!r} is not a {kind} index (a whole number from {first}).")
    digits = word.lstrip("0") or "0"  # Python reads some thousand digits at most, zeros or not
    index = int(digits) if len(digits) < 20 else sys.maxsize
    last = (LARGEST_INDEX if width is None else width) + first - 1
    if not first <= index <= last:
        mend = "" if width is None else f", or the number of {kind}s"
        raise DatasetError(f"{kind} {word[:40]} lies outside the range {first} to {last}; correct it{mend}.")
    return index


def _check_value(value, word):
    """Check the value of a 'feature:value' pair."""
    if value.strip("+-").lower() in ("nan", "inf", "infinity"):
        raise DatasetError(f"{word[:40]!r} has a value that is not finite.")
    if not _VALUE.fullmatch(value):
        raise DatasetError(f"{word[:40]!r} has a malformed value; write a number, such as 0.5 or 2e-3.")
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float32(float(value))):
            raise DatasetError(f"{word[:40]!r} has a value that is not finite in float32.")


def _format_rows(X, Y):
    """Return canonical CSR rows as the bytes of as many lines."""
    pairs = [
        f"{index}:{value}" for index, value in zip(X.indices.tolist(), _format_values(X.data), strict=True)
    ]
    labels = list(map(str, Y.indices.tolist()))
    lines = [
        f"{','.join(labels[l0:l1])} {' '.join(pairs[f0:f1])}\n"
        for (l0, l1), (f0, f1) in zip(
            itertools.pairwise(Y.indptr.tolist()), itertools.pairwise(X.indptr.tolist()), strict=True
        )
    ]
    return "".join(lines).encode()


def _format_values(values):
    """Write float32 values with the fewest digits that read back exactly."""
    distinct, position = np.unique(values, return_inverse=True)
    words = [word.removesuffix(".0") for word in distinct.astype(str).tolist()]
    # Readers go through float64; where rounding twice would miss, one more digit settles it.
    for at in np.flatnonzero(np.array(words, dtype=np.float64).astype(np.float32) != distinct):
        words[at] = f"{distinct[at]:.12g}"
    return np.array(words, dtype=object)[position].tolist()
