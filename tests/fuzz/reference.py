"""What the formats mean, read naively: each function returns a Read, or None for what must be refused."""

import io
import json
import math
import re
import xml.etree.ElementTree as ET
import zipfile
from typing import NamedTuple

import numpy as np

FREE_WIDTH, WIDTH_PER_BYTE, LARGEST = 1 << 22, 64, 2**31 - 1
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Read(NamedTuple):
    """Rows as sets of labels and mappings of features to values, and what the columns are."""

    labels: list
    features: list | None
    label_columns: object  # names, or a number
    feature_columns: object
    texts: list | None = None
    titles: list | None = None
    parents: list | None = None


def number32(word):
    """Return a value in float32, or None."""
    if not NUMBER.fullmatch(word):
        return None
    with np.errstate(over="ignore"):
        value = float(np.float32(float(word)))
    return value if math.isfinite(value) else None


def index(word, first, end):
    """Return an index in the range, from 0, or None."""
    digits = word.lstrip("0") or word[:1]
    if not re.fullmatch("[0-9]+", word) or len(digits) > 15 or not first <= int(digits) < end:
        return None
    return int(digits) - first


def xc_row(line, first, n_features, n_labels):
    """Return labels and features of a line, or None."""
    words = re.split("[ \t\r]", line.decode("utf-8", "replace"))
    labels, features = [], {}
    if words[0] and ":" not in words[0]:
        labels = [index(word, 0, n_labels) for word in words.pop(0).split(",")]
    for word in words:
        if word:
            name, colon, value = word.partition(":")
            feature, value = index(name, first, n_features + first), number32(value)
            if not colon or feature is None or value is None or feature in features:
                return None
            features[feature] = value
    if None in labels or len(set(labels)) < len(labels):
        return None
    return set(labels), {feature: value for feature, value in features.items() if value}


def lines_of(data):
    """Return the lines of a file that ends with a newline, else None."""
    return data.split(b"\n")[:-1] if data.endswith(b"\n") or not data else None


def xc_rows(files):
    """Return the rows of a file with a header, None in place of those at fault; or None."""
    (data,) = files.values()
    lines = lines_of(data)
    if not lines or len(lines[0]) >= 128:
        return None
    header = lines[0].decode("ascii", "replace").split()
    if len(header) != 3 or not all(re.fullmatch("[0-9]{1,18}", word) for word in header):
        return None
    n_rows, n_features, n_labels = map(int, header)
    most = min(LARGEST, FREE_WIDTH + WIDTH_PER_BYTE * len(data))
    if n_rows > len(data) or max(n_features, n_labels) > most:
        return None
    rows = lines[1:]
    while len(rows) > n_rows and not rows[-1].strip(b" \t\r"):
        rows.pop()
    return n_rows, n_features, n_labels, [xc_row(line, 0, n_features, n_labels) for line in rows]


def xc(files):
    """Read the Extreme Classification format."""
    found = xc_rows(files)
    if found is None or None in found[3] or len(found[3]) != found[0]:
        return None
    return Read([row[0] for row in found[3]], [row[1] for row in found[3]], found[2], found[1])


def svm(files):
    """Read LIBSVM lines."""
    (data,) = files.values()
    lines = lines_of(data)
    rows = [xc_row(line, 1, LARGEST, LARGEST) for line in lines or ()]
    if not rows or None in rows:
        return None
    raw = [(row, re.findall(rb"([0-9]+):", line)) for row, line in zip(rows, lines, strict=True)]
    while raw and not raw[-1][0][0] and not raw[-1][1]:
        raw.pop()
    if not raw:
        return None
    rows = [row for row, _ in raw]
    n_labels = max((label + 1 for labels, _ in rows for label in labels), default=0)
    n_features = max((int(word.lstrip(b"0") or b"0") for _, words in raw for word in words), default=0)
    if max(n_labels, n_features) > FREE_WIDTH + WIDTH_PER_BYTE * len(data):
        return None
    return Read([row[0] for row in rows], [row[1] for row in rows], n_labels, n_features)


def all_lines(data):
    """Return the lines of a file, whether or not the last has an end."""
    lines = data.split(b"\n")
    return lines[:-1] if not lines[-1] else lines


def json_row(line):
    """Return text, title and labels of a line, or None."""
    try:
        row = json.loads(line)
        labels, title = row["labels"], row.get("title", "")
        good = isinstance(row, dict) and isinstance(labels, list) and type(row["text"]) is type(title) is str
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    kinds = {type(label) for label in labels} if good else set()
    if not good or len(kinds) > 1 or not kinds <= {int, str} or len(set(labels)) < len(labels):
        return None
    if any(not label.strip() if kinds == {str} else not 0 <= label < LARGEST for label in labels):
        return None
    return row["text"], title if "title" in row else None, labels


def jsonl(files):
    """Read JSON lines."""
    (data,) = files.values()
    rows = [json_row(line + b"\n") for line in all_lines(data)]
    if None in rows or len({type(label) for _, _, labels in rows for label in labels}) > 1:
        return None
    found = sorted({label for _, _, labels in rows for label in labels})
    columns = found
    if not found or isinstance(found[0], int):
        columns = max(found, default=-1) + 1
        if columns > FREE_WIDTH + WIDTH_PER_BYTE * len(data):
            return None
    titles = [title for _, title, _ in rows]
    titles = None if not any(title is not None for title in titles) else [title or "" for title in titles]
    return Read([set(row[2]) for row in rows], None, columns, None, [row[0] for row in rows], titles)


def text_lines(files):
    """Read a file of texts and a file of labels."""
    try:
        texts, labels = (
            [line.decode() for line in all_lines(files[f"train.{name}.txt"])] for name in ("texts", "labels")
        )
    except UnicodeDecodeError:
        return None
    words = [[word for word in re.split("[ \t]", line.rstrip("\r")) if word] for line in labels]
    if len(texts) != len(labels) or any(len(set(row)) < len(row) for row in words):
        return None
    texts = [text.rstrip("\r") for text in texts]
    return Read([set(row) for row in words], None, sorted(set().union(*words)), None, texts)


def fields(text, indexed):
    """Part a row of an ARFF file at its commas, one character at a time; None where quotes are wrong."""
    found, at = [], 0
    if not text.strip():
        return [] if indexed else [""]
    while True:
        number, value, quoted = "", "", False
        while at < len(text) and text[at].isspace():
            at += 1
        if indexed:
            start = at
            while at < len(text) and text[at] in "0123456789":
                at += 1
            after = at
            while after < len(text) and text[after].isspace():
                after += 1
            if after > at and text[after : after + 1] in ("'", '"'):
                number, at = text[start:at], after
            else:
                at = start
        if text[at : at + 1] in ("'", '"') and (not indexed or number or text[at - 1 : at].isspace()):
            quote, quoted = text[at], True
            at += 1
            while at < len(text) and text[at] != quote:
                if text[at] == "\\":
                    at += 1
                    value += {"n": "\n", "r": "\r", "t": "\t"}.get(text[at : at + 1], text[at : at + 1])
                else:
                    value += text[at]
                at += 1
            at += 1
            while at < len(text) and text[at].isspace():
                at += 1
            if at > len(text) or text[at : at + 1] not in ("", ","):
                return None
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            value, at = text[at:end].strip(), end
            if set(value) & set("'\"{}"):
                return None
        if indexed and not quoted:
            parts = value.split(None, 1)
            if len(parts) != 2:
                return None
            number, value = parts[0], parts[1].strip()
        found.append((number, value) if indexed else value)
        if at >= len(text):
            return found
        at += 1


def names_of(data):
    """Return names and parents of Mulan's list of labels, or None."""
    names, parents = [], []

    def walk(element, above):
        for child in element:
            name = child.get("name", "")
            if child.tag != "label" or not name.strip() or name in names:
                raise ValueError
            names.append(name)
            parents.append(() if above is None else (above,))
            walk(child, len(names) - 1)

    try:
        if b"<!DOCTYPE" in data:
            return None
        root = ET.fromstring(data)
        if root.tag != "labels":
            return None
        walk(root, None)
    except (ET.ParseError, ValueError, LookupError):
        return None
    return names, parents if any(parents) else None


def arff_header(lines):
    """Return the attributes and the number of lines before the first row, or None."""
    attributes = {}
    for at, line in enumerate(lines):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            return None
        word = text.split()[0].lower() if text else "%"
        if word[0] == "%":
            continue
        if word == "@data":
            return (attributes, at + 1) if attributes and text.lower() == "@data" else None
        if word.startswith("@relation"):
            continue
        found = re.fullmatch(
            r"""(?is)@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{}%'",][^\s{},]*)\s*(.*)""", text
        )
        if not found:
            return None
        name, kind = found[1], found[2].strip()
        if name[0] in "'\"":
            parted = fields(name, False)
            name = parted[0]
        values = None
        if kind.startswith("{"):
            values = fields(kind[1:-1], False) if kind.endswith("}") and len(kind) > 1 else None
            if values is None or len(set(values)) < len(values):
                return None
        elif kind.lower() not in ("numeric", "real", "integer"):
            return None
        if name in attributes:
            return None
        attributes[name] = values
    return None


def arff_rows(files):
    """Return what is said of the columns, and the rows, None in place of those at fault; or None."""
    named = names_of(files["labels.xml"])
    lines = files["train.arff"].split(b"\n")
    header = arff_header(all_lines(files["train.arff"]))
    if named is None or header is None or not set(named[0]) <= set(header[0]):
        return None
    attributes = header[0]
    columns = []
    for name, values in attributes.items():
        if name in named[0]:
            if values is not None and not {"0", "1"} >= set(values):
                return None
        elif is_number(values):
            columns.append(name)
        else:
            columns += [f"{name}={value}" for value in values[1:]]
    rows = []
    for at in range(header[1], len(lines)):
        end = at < len(lines) - 1
        try:
            text = lines[at].decode().strip()
        except UnicodeDecodeError:
            rows.append(None)
            continue
        if text and text[0] != "%":
            rows.append(arff_row(text, end, attributes, named[0]))
    return named, columns, rows


def is_number(values):
    """Tell whether an attribute is one feature: numeric, or of numbers, the first of them 0."""
    return values is None or (
        all(number32(value) is not None for value in values) and number32(values[0]) == 0
    )


def arff_row(text, ended, attributes, labels):
    """Return labels and features of a row, or None."""
    names = list(attributes)
    if text[0] == "{":
        if any(attributes[name] and attributes[name][0] == "1" for name in labels) or text[-1] != "}":
            return None
        pairs = fields(text[1:-1], True)
        pairs = None if pairs is None else [(index(number, 0, len(names)), value) for number, value in pairs]
        if pairs is None or any(number is None for number, _ in pairs):
            return None
        if len({number for number, _ in pairs}) < len(pairs):
            return None
    else:
        values = fields(text, False)
        if values is None or len(values) != len(names) or not ended:
            return None
        pairs = list(enumerate(values))
    begins, end = {}, 0
    for name, values in attributes.items():
        begins[name] = end
        if name not in labels:
            end += 1 if is_number(values) else len(values) - 1
    row_labels, features = set(), {}
    for number, value in pairs:
        name = names[number]
        values = attributes[name]
        found = number32(value)
        if (values is not None and value not in values) or (is_number(values) and found is None):
            return None
        if name in labels:
            if float(value) not in (0, 1):
                return None
            if found:
                row_labels.add(name)
        elif not is_number(values):
            if values.index(value):
                features[begins[name] + values.index(value) - 1] = 1.0
        elif found:
            features[begins[name]] = found
    return row_labels, features


def arff(files):
    """Read an ARFF file with its list of labels."""
    found = arff_rows(files)
    if found is None or None in found[2]:
        return None
    (names, parents), columns, rows = found
    return Read([row[0] for row in rows], [row[1] for row in rows], names, columns, None, None, parents)


def npz_matrix(data):
    """Return shape and cells of a matrix, or None."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {
                name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)))
                for name in archive.namelist()
            }
        kind = parts["format"].item()
        kind = kind.decode() if isinstance(kind, bytes) else kind
        first, second = ("row", "col") if kind == "coo" else ("indices", "indptr")
        shape, cells, one, two = parts["shape"], parts["data"], parts[first], parts[second]
    except (ValueError, KeyError):
        return None
    if kind not in ("csr", "csc", "coo") or any(array.ndim != 1 for array in (shape, cells, one, two)):
        return None
    if cells.dtype.kind not in "biuf" or any(array.dtype.kind not in "iu" for array in (shape, one, two)):
        return None
    most = min(LARGEST, FREE_WIDTH + WIDTH_PER_BYTE * len(data))
    if shape.size != 2 or not all(0 <= int(width) <= most for width in shape):
        return None
    n_rows, n_columns = map(int, shape)
    if kind == "coo":
        if not len(cells) == len(one) == len(two):
            return None
        places = zip(one.tolist(), two.tolist(), strict=True)
    else:
        outer = n_columns if kind == "csc" else n_rows
        ends = two.tolist()
        if len(ends) != outer + 1 or ends[0] != 0 or ends != sorted(ends) or len(one) != len(cells):
            return None
        if ends[-1] > len(one):
            return None
        places = [(i, int(one[at])) for i in range(outer) for at in range(ends[i], ends[i + 1])]
        places = [(b, a) for a, b in places] if kind == "csc" else places
        cells = cells[: ends[-1]]
    found = {}
    for (row, column), value in zip(places, cells.tolist(), strict=True):
        if not (0 <= row < n_rows and 0 <= column < n_columns):
            return None
        found.setdefault((row, column), []).append(value)
    return n_rows, n_columns, found


def npz(files):
    """Read a pair of sparse matrices."""
    X, Y = (npz_matrix(files[f"train.{name}.npz"]) for name in "XY")
    if X is None or Y is None or X[0] != Y[0]:
        return None
    features = [{} for _ in range(X[0])]
    labels = [set() for _ in range(X[0])]
    for (row, column), values in X[2].items():
        with np.errstate(over="ignore"):
            value = float(np.array(values, np.float32).sum())
        if not math.isfinite(value):
            return None
        if value:
            features[row][column] = value
    for (row, column), values in Y[2].items():
        if any(value not in (0, 1) for value in values) or sum(values) > 1:
            return None
        if any(values):
            labels[row].add(column)
    return Read(labels, features, Y[1], X[1])
