"""Texts with labels: JSON lines, and a file of texts beside a file of labels."""

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from adathresh.datasets.dataset import LabelledRows
from adathresh.datasets.formats import (
    LARGEST_INDEX,
    DatasetError,
    OnError,
    bounded_width,
    check_file,
    iter_lines,
    stop,
)
from adathresh.utils.files import PathLike
from adathresh.utils.parameters import check_value, flag

NOT_TEXT = {"uid", "type", "labels"}  # what else a row of a file of whole texts may hold


def load_jsonl(
    path: PathLike, *, whole: bool = False, labelled: bool = True, on_error: OnError = stop
) -> LabelledRows:
    r"""Load texts and their labels from JSON lines.

    Every line is a row, such as ``{"text": "a short text", "labels": ["one", "two"]}``. Labels are names, or
    the numbers of columns, from 0; a file has either of them. A row may have a "title". Other keys are passed
    over.

    Parameters
    ----------
    path : str or path-like
        The file; ``.gz``, ``.bz2`` and ``.xz`` are decompressed on the fly.
    whole : bool, default=False
        Whether the text is in several parts: the title, then the values of all keys but "uid", "type" and
        "labels", each a string or a list of strings, one after the other, parted by newlines.
    labelled : bool, default=True
        Whether each row must have "labels"; otherwise they are passed over, and Y has no columns.
    on_error : callable, optional
        Called with each error of a row in place of raising it, as by :func:`load_xc`.

    Returns
    -------
    LabelledRows
        Without X. The names of the labels are sorted; None where labels are numbers.

    Raises
    ------
    DatasetError
        If a line is no JSON object, or lacks the text or labels, or if a label is repeated, blank, or out of
        all proportion; if the file is damaged, or a line is longer than ``formats.LINE_BYTES``.
    ValueError
        If path is no path, whole or labelled neither True nor False, or on_error no function.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/train.jsonl").write_text('{"text": "a text", "labels": ["two", "one"]}\n')
    ...     rows = load_jsonl(f"{folder}/train.jsonl")
    >>> rows.texts, rows.label_names, rows.Y.toarray()
    (['a text'], ['one', 'two'], array([[1., 1.]], dtype=float32))
    """
    check_file(path, on_error=on_error)
    check_value("whole", whole, flag())
    check_value("labelled", labelled, flag())
    texts: list[str] = []
    titles: list[str] = []
    label_sets, titled = LabelSets(), False

    def _parse(content):
        labels = _labels(content) if labelled else []
        title = content.get("title", "")
        if not isinstance(title, str):
            raise DatasetError("'title' is not a string.")
        text = _whole_text(content) if whole else _text(content)
        label_sets.add(labels)  # the last, as it is not undone
        return text, title, "title" in content

    for found in iter_objects(path, _parse, on_error):
        text, title, has_title = found or ("", "", False)
        if found is None:
            label_sets.add([])
        titled |= has_title
        texts.append(text)
        titles.append(title)
    Y, names = label_sets.matrix(path)
    return LabelledRows(None, Y, texts, titles if titled else None, names)


def load_text_lines(texts: PathLike, labels: PathLike, *, on_error: OnError = stop) -> LabelledRows:
    r"""Load texts and their labels from two files, in both of which every line is a row.

    Parameters
    ----------
    texts : str or path-like
        The file of the texts; ``.gz``, ``.bz2`` and ``.xz`` are decompressed on the fly.
    labels : str or path-like
        The file of the labels: names parted by spaces or tabs, none where the line is blank. Names that hold
        spaces need JSON lines (:func:`load_jsonl`).
    on_error : callable, optional
        Called with each error of a row in place of raising it, as by :func:`load_xc`.

    Returns
    -------
    LabelledRows
        Without X; the names of the labels are sorted.

    Raises
    ------
    DatasetError
        If the files differ in length, a line is no UTF-8 text, or a label is repeated in a row; if a file is
        damaged, or a line is longer than ``formats.LINE_BYTES``.
    ValueError
        If one of them is no path, or on_error no function.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/texts.txt").write_text("a text\nanother\n")
    ...     _ = Path(f"{folder}/labels.txt").write_text("two one\ntwo\n")
    ...     rows = load_text_lines(f"{folder}/texts.txt", f"{folder}/labels.txt")
    >>> rows.label_names, rows.Y.toarray()
    (['one', 'two'], array([[1., 1.],
                            [0., 1.]], dtype=float32))
    """
    check_file(texts, name="texts", on_error=on_error)
    check_file(labels, name="labels")
    lines = read_lines(texts, on_error=on_error)
    label_sets = LabelSets()

    def _parse(line):
        label_sets.add(_words(line))
        return True

    for found in _iter_parsed(labels, _parse, on_error):
        if not found:
            label_sets.add([])
    Y, names = label_sets.matrix(labels)
    if Y.shape[0] != len(lines):
        raise DatasetError(
            f"{labels} has {Y.shape[0]} rows, but {texts} has {len(lines)}; every line is a row, and a row "
            "without labels a blank line."
        )
    return LabelledRows(None, Y, lines, None, [] if names is None else names)


def read_lines(path: PathLike, *, on_error: OnError = stop) -> list[str]:
    r"""Read the lines of a text file.

    Parameters
    ----------
    path : str or path-like
        The file, compressed or not.
    on_error : callable, optional
        Called with each error of a line in place of raising it, as by :func:`load_xc`.

    Returns
    -------
    list of str
        The lines without their ends; one at fault is empty.

    Raises
    ------
    DatasetError
        If a line is not UTF-8 text; if the file is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.txt").write_text("one\ntwo\n")
    ...     print(read_lines(f"{folder}/a.txt"))
    ['one', 'two']
    """
    return [line or "" for line in _iter_parsed(path, _decoded, on_error)]


def iter_objects(path: PathLike, parse: Callable[[dict], Any], on_error: OnError = stop) -> Iterator[Any]:
    r"""Yield what is made of the JSON object in each line.

    Parameters
    ----------
    path : str or path-like
        The file, compressed or not.
    parse : callable
        Takes the object; what it returns is yielded, None for a line at fault. Its DatasetError need not name
        the place.
    on_error : callable, optional
        Called with each error of a line in place of raising it, as by :func:`load_xc`.

    Yields
    ------
    object
        What `parse` returned.

    Raises
    ------
    DatasetError
        If a line is no JSON object, or `parse` refuses it; if the file is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    ...     print(list(iter_objects(f"{folder}/a.jsonl", lambda row: row["text"])))
    ['a', 'b']
    """

    def _parse_line(line):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:  # the latter: too deeply nested
            blank = "" if line.strip() else " The line is blank; take it out."
            raise DatasetError(f"not a JSON object.{blank}") from error
        if not isinstance(content, dict):
            raise DatasetError("not a JSON object.")
        return parse(content)

    yield from _iter_parsed(path, _parse_line, on_error)


def _iter_parsed(path, parse, on_error):
    """Yield what is made of each line, None where it is at fault."""
    for row, line in enumerate(iter_lines(path)):
        try:
            found = parse(line)
        except DatasetError as error:
            found = None
            told = DatasetError(f"{path}, line {row + 1}: {error}")
            told.__cause__ = error.__cause__
            on_error(told, row)
        yield found


def _decoded(line):
    """Return a line as text, without its end."""
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DatasetError("not UTF-8 text; write the file in UTF-8.") from error


def _words(line):
    """Return what stands between the spaces and tabs of a line."""
    return [word for word in re.split("[ \t]", _decoded(line)) if word]


def _text(row):
    """Return the text of a row that has it in one piece."""
    if "text" not in row:
        raise DatasetError("not a JSON object with the key 'text'.")
    if not isinstance(row["text"], str):
        raise DatasetError("'text' is not a string.")
    return row["text"]


def _whole_text(row):
    """Put the text of a row together: its title, and its other parts in the order of the file."""
    parts = [row.get("title", "")]
    for key, part in row.items():
        if key not in NOT_TEXT and key != "title":
            pieces = part if isinstance(part, list) else [part]
            if not all(isinstance(piece, str) for piece in pieces):
                raise DatasetError(f"{key[:40]!r} is neither a string nor a list of strings.")
            parts += pieces
    return "\n".join(part for part in parts if part.strip())


def _labels(row):
    """Return the labels of a row, all names or all numbers."""
    if "labels" not in row:
        raise DatasetError("not a JSON object with the key 'labels'; a row without labels has an empty list.")
    labels = row["labels"]
    if not isinstance(labels, list):
        raise DatasetError("'labels' is not a list.")
    for label in labels:
        if type(label) is int:
            if not 0 <= label < LARGEST_INDEX:
                raise DatasetError(
                    f"label {str(label)[:40]} lies outside the range 0 to {LARGEST_INDEX - 1}."
                )
        elif not isinstance(label, str) or not label.strip():
            raise DatasetError(
                f"{json.dumps(label)[:40]} is no label; give names, or numbers of columns from 0."
            )
    return labels


class LabelSets:
    """Collects the labels of rows, by name or by number.

    Examples
    --------
    >>> label_sets = LabelSets()
    >>> label_sets.add(["b", "a"])
    >>> label_sets.matrix()[1]
    ['a', 'b']
    """

    def __init__(self):
        self._type: type | None = None  # str or int, as soon as there is a label
        self._number_of: dict[str, int] = {}
        self._labels, self._ends = array("i"), array("q", [0])

    def add(self, labels: list[Any]) -> None:
        """Add a row; nothing is added where an error is raised.

        Parameters
        ----------
        labels : list of str, or of int
            The labels of the row.

        Raises
        ------
        DatasetError
            If a label is repeated, or some are names and others numbers, here or in another row.
        """
        kinds = {type(label) for label in labels} | ({self._type} - {None})
        if len(kinds) > 1:
            raise DatasetError("some labels are names and others numbers; give names only, or numbers only.")
        if len(set(labels)) < len(labels):
            twice = Counter(labels).most_common(1)[0][0]
            raise DatasetError(f"label {str(twice)[:40]!r} is given more than once; remove one.")
        self._type = next(iter(kinds), None)
        if self._type is str:
            labels = [self._number_of.setdefault(label, len(self._number_of)) for label in labels]
        self._labels.extend(sorted(labels))
        self._ends.append(len(self._labels))

    def matrix(self, path: PathLike = "") -> tuple[sp.csr_array, list[str] | None]:
        """Return the labels of all rows.

        Parameters
        ----------
        path : str or path-like, optional
            The file they come from, whose size bounds the largest number of a label.

        Returns
        -------
        Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
            The labels; the stored values are all 1, in float32.
        names : list of str or None
            The names of the columns, sorted; None where labels are numbers.
        """
        indices, indptr = np.frombuffer(self._labels, "i4"), np.frombuffer(self._ends, "i8")
        names = None
        width = int(indices.max(initial=-1)) + 1
        if self._type is int:
            width = bounded_width(path, "labels", width)
        if self._type is str:
            names = sorted(self._number_of)
            column = np.empty(width, dtype="i4")
            column[[self._number_of[name] for name in names]] = np.arange(width)
            indices = column[indices]
        if indices.size <= LARGEST_INDEX:
            indptr = indptr.astype("i4")
        Y = sp.csr_array(
            (np.ones(indices.size, "f4"), indices.copy(), indptr), shape=(len(indptr) - 1, width)
        )
        Y.sort_indices()
        return Y, names
