"""ARFF files with Mulan's list of labels: attributes by name, rows dense or sparse."""

import math
import re
from array import array
from collections.abc import Sequence
from typing import NamedTuple
from xml.parsers import expat

import numpy as np
import scipy.sparse as sp

from adathresh.datasets.dataset import LabelledRows
from adathresh.datasets.formats import (
    LARGEST_INDEX,
    UNENDED,
    DatasetError,
    OnError,
    check_file,
    iter_lines,
    stop,
)
from adathresh.utils.files import PathLike
from adathresh.utils.suggest import did_you_mean

_ATTRIBUTE = re.compile(
    r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s{}%'",][^\s{},]*))\s*(.*)""",
    flags=re.IGNORECASE | re.DOTALL,
)
_QUOTED = {
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'\s*", flags=re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"\s*', flags=re.DOTALL),
}
_SPACES, _DIGITS = re.compile(r"\s*"), re.compile("[0-9]*")
_ESCAPED = re.compile(r"\\(.)", flags=re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
_LARGEST = float(np.finfo(np.float32).max)


def load_arff(path: PathLike, labels: PathLike | Sequence[str], *, on_error: OnError = stop) -> LabelledRows:
    r"""Load a multi-label data set from an ARFF file, as Mulan and MEKA have them.

    Parameters
    ----------
    path : str or path-like
        The file, in UTF-8, its rows dense or sparse; ``.gz``, ``.bz2`` and ``.xz`` are decompressed on the
        fly.
    labels : str, path-like or list of str
        Mulan's XML file, which names those attributes that are labels; or their names.
    on_error : callable, optional
        Called with each error of a row in place of raising it, as by :func:`load_xc`.

    Returns
    -------
    LabelledRows
        Labels in the order of `labels`, features in that of the file. A numeric attribute is a feature, and
        so is a nominal one whose values are numbers, the first of them 0. Any other nominal attribute makes a
        feature of each of its values but the first: 1 where a row has that value. A label around others in
        the XML file is their parent.

    Raises
    ------
    DatasetError
        If the header or a row is malformed, an attribute is neither numeric nor nominal, a label is no
        attribute or takes other values than 0 and 1, or a value is missing; or if the file is damaged. The
        message names the file and, where there is one, the line.
    ValueError
        If path is no path, labels name nothing, or on_error is no function.

    Notes
    -----
    In a sparse row, what is left out has the first value of its attribute, not 0: a label declared as
    ``{1,0}`` cannot stand in sparse rows. https://mulan.sourceforge.net/format.html describes the files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     text = "@relation toy\n@attribute x numeric\n@attribute sad {0,1}\n@data\n0.5,1\n{}\n"
    ...     _ = Path(f"{folder}/train.arff").write_text(text)
    ...     rows = load_arff(f"{folder}/train.arff", ["sad"])
    >>> rows.X.toarray(), rows.Y.toarray(), rows.feature_names
    (array([[0.5],
            [0. ]], dtype=float32), array([[1.],
            [0.]], dtype=float32), ['x'])
    """
    check_file(path, on_error=on_error)
    if isinstance(labels, Sequence) and not isinstance(labels, str):
        if not labels:
            raise ValueError("labels must name at least one attribute.")
        names, parents, of = list(labels), None, "labels"
    else:
        check_file(labels, name="labels")
        names, parents = read_label_names(labels)
        of = str(labels)
    lines = enumerate(iter_lines(path), 1)
    attributes = _read_header(path, lines)
    rows = _ArffRows(path, attributes, names, of)
    for number, line in lines:
        rows.add(number, line, on_error)
    X, Y = rows.matrices()
    return LabelledRows(X, Y, None, None, names, rows.feature_names, parents)


def read_label_names(path: PathLike) -> tuple[list[str], list[tuple[int, ...]] | None]:
    r"""Read the names of labels from Mulan's XML file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    names : list of str
        The names, in the order of the file.
    parents : list of tuple of int, or None
        For each label the one within which it stands, if any; None where no label stands within another.

    Raises
    ------
    DatasetError
        If the file is not well-formed, holds anything but labels, or a label has no name or that of another.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     text = '<labels><label name="mood"><label name="sad"/></label></labels>'
    ...     _ = Path(f"{folder}/labels.xml").write_text(text)
    ...     read_label_names(f"{folder}/labels.xml")
    (['mood', 'sad'], [(), (0,)])
    """
    names: dict[str, int] = {}
    parents: list[tuple[int, ...]] = []
    open_: list[int] = []  # numbers of the labels that surround the place; the root has none
    parser = expat.ParserCreate()

    def _problem(text):
        return DatasetError(f"{path}, line {parser.CurrentLineNumber}: {text}")

    def _start(element, attributes):
        if element != ("label" if open_ else "labels"):
            raise _problem(f"<{element[:40]}> where <{'label' if open_ else 'labels'}> was expected.")
        if open_:
            name = attributes.get("name", "")
            if not name.strip():
                raise _problem("a label without a name.")
            if name in names:
                raise _problem(f"label {name[:40]!r} is named twice.")
            names[name] = len(names)
            parents.append((open_[-1],) if open_[-1] >= 0 else ())
        open_.append(len(names) - 1)

    def _doctype(*_):
        raise _problem("a document type, of which such a file has no need; remove it.")

    parser.StartElementHandler = _start
    parser.EndElementHandler = lambda _: open_.pop()
    parser.StartDoctypeDeclHandler = _doctype
    try:
        with open(path, "rb") as stream:
            parser.ParseFile(stream)
    except DatasetError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: the encoding
        raise _problem(f"not well-formed XML ({error}).") from error
    return list(names), parents if any(parents) else None


class _Attribute(NamedTuple):
    """An attribute: its name, line, and values where it is nominal."""

    name: str
    line: int
    values: list[str] | None


def _read_header(path, lines):
    """Read the attributes, up to the line before the first row."""
    attributes, seen = [], set()
    for number, line in lines:
        try:
            text = _text(line)
            if not text or text[0] == "%":
                continue
            word = text[:11].split()[0].lower()
            if word == "@data":
                if text[5:].strip():
                    raise DatasetError("the rows begin on a line of their own after @data.")
                if not attributes:
                    raise DatasetError("no @attribute stands before @data.")
                return attributes
            if word == "@attribute":
                attribute = _attribute(text, number)
                if attribute.name in seen:
                    raise DatasetError(f"attribute {attribute.name[:40]!r} is declared twice.")
                seen.add(attribute.name)
                attributes.append(attribute)
            elif not word.startswith("@relation"):
                raise DatasetError(f"expected @relation, @attribute or @data, found {text[:40]!r}.")
        except DatasetError as error:
            raise DatasetError(f"{path}, line {number}: {error}") from None
    raise DatasetError(f"{path}: the file ends before @data; it is no ARFF file, or was cut off.")


def _attribute(text, number):
    """Read the declaration of an attribute."""
    found = _ATTRIBUTE.fullmatch(text)
    if not found:
        raise DatasetError(f"expected '@attribute name type', found {text[:40]!r}.")
    name = next(name for name in found.groups()[:3] if name is not None)
    if found[3] is None:
        name = _ESCAPED.sub(_unescaped, name)
    kind = found[4].strip()
    if kind[:1] == "{":
        if kind[-1] != "}" or len(kind) < 2:
            raise DatasetError(f"the values of attribute {name[:40]!r} do not end with '}}'.")
        values = list(_fields(kind[1:-1]))
        if len(set(values)) < len(values):
            raise DatasetError(f"a value of attribute {name[:40]!r} is declared twice.")
        return _Attribute(name, number, values)
    if kind.lower() in ("numeric", "real", "integer"):
        return _Attribute(name, number, None)
    mend = "; write texts as JSON lines ({'text': ..., 'labels': [...]})" if kind.lower() == "string" else ""
    raise DatasetError(f"attribute {name[:40]!r} is of type {kind[:40]!r}, not numeric or nominal{mend}.")


class _ArffRows:
    """Collects the rows of a file."""

    def __init__(self, path, attributes, labels, of):
        self.path, self.n_rows = path, 0
        number_of = {name: number for number, name in enumerate(labels)}
        if len(number_of) < len(labels):
            twice = next(name for number, name in enumerate(labels) if number_of[name] != number)
            raise DatasetError(f"{of}: label {twice[:40]!r} is named twice.")
        known = {attribute.name for attribute in attributes}
        unknown = next((name for name in labels if name not in known), None)
        if unknown is not None:
            mend = did_you_mean(unknown[:40], known)
            raise DatasetError(f"{of}: label {unknown[:40]!r} is no attribute of {path}.{mend}")
        self.names = [attribute.name for attribute in attributes]
        self.is_label = [name in number_of for name in self.names]
        # By attribute: the column of a numeric one; for each value of a nominal one its column and number, if
        # that is not 0.
        self.columns, self.choices = [], []
        self.feature_names = []
        self.full = None  # a label whose first value is 1
        for (name, line, values), is_label in zip(attributes, self.is_label, strict=True):
            try:
                column = number_of[name] if is_label else len(self.feature_names)
                self.columns.append(column)
                self.choices.append(values and self._choices(name, values, column, is_label))
            except DatasetError as error:
                raise DatasetError(f"{path}, line {line}: {error}") from None
            if not is_label and values is None:
                self.feature_names.append(name)
        self.n_labels = len(number_of)
        # Indices, values and ends of the rows, of features and of labels.
        self.parts = [(array("i"), array("f"), array("q", [0])) for _ in range(2)]

    def _choices(self, name, values, column, is_label):
        """Return what each value of a nominal attribute stands for, and name its features."""
        if is_label:
            if set(values) not in ({"0", "1"}, {"0"}, {"1"}):
                raise DatasetError(f"label {name[:40]!r} takes other values than 0 and 1; declare {{0,1}}.")
            if values[0] != "0":
                self.full = name
            return {value: (column, 1.0) if value == "1" else None for value in values}
        numbers = [_number(value) for value in values]
        if None not in numbers and numbers[0] == 0:
            self.feature_names.append(name)
            return {
                value: (column, number) if number else None
                for value, number in zip(values, numbers, strict=True)
            }
        self.feature_names += [f"{name}={value}" for value in values[1:]]
        return {values[0]: None} | {value: (column + i, 1.0) for i, value in enumerate(values[1:])}

    def add(self, number, line, on_error):
        """Add a row, an empty one where the line is at fault; pass over blank lines and comments."""
        found = [], []
        try:
            text = _text(line)
            if not text or text[0] == "%":
                return
            for attribute, value in self._pairs(text):
                cell = self._cell(attribute, value)
                if cell is not None:
                    found[self.is_label[attribute]].append(cell)
            if text[0] != "{" and not line.endswith(b"\n"):
                raise DatasetError(UNENDED)
        except DatasetError as error:
            found = [], []
            on_error(DatasetError(f"{self.path}, line {number}: {error}"), self.n_rows)
        for cells, (indices, values, ends) in zip(found, self.parts, strict=True):
            for column, cell in cells:
                indices.append(column)
                values.append(cell)
            ends.append(len(indices))
        self.n_rows += 1

    def _pairs(self, text):
        """Return numbers and values of the attributes that a row names."""
        if text[0] != "{":
            values = list(_fields(text))
            if len(values) != len(self.names):
                raise DatasetError(f"{len(values)} values, but there are {len(self.names)} attributes.")
            return enumerate(values)
        if self.full is not None:
            raise DatasetError(
                f"a sparse row, in which label {self.full[:40]!r} would be 1 where it is left out, as that "
                "is its first value; declare it {0,1}, or write dense rows."
            )
        if text[-1] != "}":
            raise DatasetError("a sparse row that does not end with '}'; weights of rows are not supported.")
        pairs = [self._pair(field) for field in _fields(text[1:-1], indexed=True)]
        if len({attribute for attribute, _ in pairs}) < len(pairs):
            raise DatasetError("a sparse row that gives an attribute twice.")
        return pairs

    def _pair(self, field):
        """Return number and value of an attribute of a sparse row."""
        word, value = field
        last = len(self.names) - 1
        if not (word.isascii() and word.isdigit()):
            raise DatasetError(f"{word[:40]!r} is not the number of an attribute.")
        digits = word.lstrip("0") or "0"  # Python reads some thousand digits at most, zeros or not
        if len(digits) > 10 or int(digits) > last:
            raise DatasetError(f"attribute {word[:40]} lies outside the range 0 to {last}; correct it.")
        return int(digits), value

    def _cell(self, attribute, value):
        """Return column and number of a value, None for 0."""
        choices, name = self.choices[attribute], self.names[attribute][:40]
        if choices is not None and value in choices:
            return choices[value]
        if value == "?":
            raise DatasetError(f"the value of {name!r} is missing; fill it in, or leave the row out.")
        if choices is not None:
            raise DatasetError(f"{value[:40]!r} is no value of {name!r}.")
        number = _number(value)
        if number is None:
            raise DatasetError(f"{value[:40]!r} is no finite number in float32, which {name!r} must be.")
        if self.is_label[attribute] and number not in (0, 1):
            raise DatasetError(f"label {name!r} is {value[:40]}, not 0 or 1.")
        return (self.columns[attribute], number) if number else None

    def matrices(self):
        """Return all rows as X and Y."""
        widths = len(self.feature_names), self.n_labels
        X, Y = (
            _matrix(*part, shape=(self.n_rows, width)) for part, width in zip(self.parts, widths, strict=True)
        )
        return X, Y


def _matrix(indices, values, ends, *, shape):
    """Return a CSR matrix of what was collected."""
    indptr = np.array(ends, dtype=np.int32 if len(indices) <= LARGEST_INDEX else np.int64)
    matrix = sp.csr_array((np.array(values), np.array(indices), indptr), shape=shape)
    matrix.sort_indices()
    matrix.eliminate_zeros()  # what is too small for float32
    return matrix


def _text(line):
    """Return a line as text."""
    try:
        return line.decode().strip()
    except UnicodeDecodeError as error:
        raise DatasetError("not UTF-8 text; write the file in UTF-8.") from error


def _number(word):
    """Return a number, or None where the word is none that float32 can hold."""
    try:
        number = float(word)
    except ValueError:
        return None
    if not word.isascii() or "_" in word or not math.isfinite(number):
        return None
    if abs(number) > _LARGEST and not np.isfinite(_in_float32(number)):
        return None
    return number


def _in_float32(number):
    """Round to float32, to infinity beyond its range."""
    with np.errstate(over="ignore"):
        return np.float32(number)


def _fields(text, *, indexed=False):
    """Yield the values between commas, without quotes; those of a sparse row with the attribute's number."""
    if not text.strip():
        if not indexed:
            yield ""
        return
    if not any(character in text for character in "'\"{}"):
        for field in text.split(","):
            yield _indexed(field) if indexed else field.strip()
        return
    at = 0
    while at <= len(text):
        start = at = _SPACES.match(text, at).end()
        if indexed:
            word = _DIGITS.match(text, at)[0]
            at = _SPACES.match(text, at + len(word)).end()
        parted = not indexed or at > start + len(word)
        quote = _QUOTED.get(text[at : at + 1]) if parted else None
        if quote is not None:
            found = quote.match(text, at)
            if not found or text[found.end() : found.end() + 1] not in ("", ","):
                raise DatasetError(f"a quote that does not end before a comma: {text[at : at + 40]!r}.")
            value, at = _ESCAPED.sub(_unescaped, found[1]), found.end()
            yield (word, value) if indexed else value
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            field, at = text[start:end].strip(), end
            if any(character in field for character in "'\"{}"):
                raise DatasetError(f"{field[:40]!r} holds a quote or brace; put the value into quotes.")
            yield _indexed(field) if indexed else field
        at += 1


def _indexed(field):
    """Part the number of an attribute from its value."""
    words = field.split(None, 1)
    if len(words) != 2:
        raise DatasetError(f"{field.strip()[:40]!r} is no number of an attribute with a value.")
    return words[0], words[1].strip()


def _unescaped(found):
    """Return the character that a backslash and another stand for."""
    return _CONTROLS.get(found[1], found[1])
