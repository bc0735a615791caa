"""Files that are almost right, often enough to be right: one function a format, from a seed to bytes."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import numpy as np

COMPRESS = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
}
BYTES = b"0123456789:,. \t\r\n\x00\xff\xc3\xa4\xef\xbb\xbf'\"\\{}[]<>&%?@-+eE_nai\x0b\x1c\x85"
NUMBERS = ["1", "0.5", "-2", "+.5", "5.", "1e3", "0", "-0", "1e-50", "3.4028235e38", "16777217"]
BAD_NUMBERS = ["", ".", "1e", "1e39", "1e999", "nan", "-inf", "1-2", "--1", "1.2.3", "0x1", "1_0", "\u0661"]


def pick(rng, good, bad, share=0.04):
    """Draw from what is good, or now and then from what is bad."""
    return rng.choice(bad if rng.random() < share else good)


def mutated(rng, data):
    """Damage bytes in some places, or none."""
    data = bytearray(data)
    for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2, 4])):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        end = min(end, at + rng.choice([1, 1, 2, 8, 1000]))
        how = rng.randrange(6)
        if how == 0:
            del data[at:end]
        elif how == 1:
            data[at:at] = bytes(rng.choice(BYTES) for _ in range(rng.choice([1, 1, 2, 5])))
        elif how == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 3:
            data[at:at] = data[at:end] * rng.choice([1, 2, 50])
        elif how == 4 and at < len(data):
            data[at] = rng.choice(BYTES)
        else:
            del data[rng.choice([at, len(data) - 1]) :]
    return bytes(data)


def repeated(rng, text):
    """Make a text long by repeating one of its characters, so that more than linear work shows."""
    if not text or rng.random() > 0.003:
        return text
    at = rng.randrange(len(text))
    return text[:at] + text[at] * rng.choice([5_000, 50_000]) + text[at:]


def _xc_row(rng, first, width):
    """Make a row, labels up to 3, features from first up to a width."""
    labels = [
        pick(rng, ["0", "1", "2", "3", "01"], ["-1", "1.", "e", "", "4", "9" * 25], 0.01)
        for _ in range(rng.randrange(4))
    ]
    columns = [str(first + column) for column in rng.sample(range(width), rng.randrange(4))]
    pairs = [
        pick(rng, [column, column, f"0{column}"], ["", "+1", "1.", str(first + width), "9" * 5000], 0.005)
        + pick(rng, [":"], ["", "::", ",", " :"], 0.005)
        + pick(rng, NUMBERS, BAD_NUMBERS, 0.01)
        for column in columns
    ]
    gaps = pick(rng, [" "], ["  ", "\t", "\r", ", ", ""], 0.04)
    return (
        ",".join(dict.fromkeys(labels)) + gaps + " ".join(pairs) + rng.choice(["", "", "", " ", "\r", "\t "])
    )


def xc(rng):
    """Make a file of the Extreme Classification format."""
    rows = [_xc_row(rng, 0, 9) for _ in range(rng.randrange(8))]
    n_rows = pick(rng, [len(rows)], [len(rows) + 1, max(len(rows) - 1, 0), 10**9, 10**30])
    widths = (
        f"{pick(rng, [9, 10, 4_000_000], [0, -1, 2**31, 10**9])} {pick(rng, [4, 5], [0, 'x', 2**31 - 1])}"
    )
    end = pick(rng, ["\n"], ["", "\n\n", "\n \n\n", "\r\n"], 0.1)
    text = repeated(rng, "\n".join([f"{n_rows} {widths}", *rows]) + end)
    return {"train.txt": mutated(rng, text.encode())}


def svm(rng):
    """Make a file of LIBSVM lines."""
    text = "\n".join(_xc_row(rng, 1, 9) for _ in range(rng.randrange(8))) + pick(
        rng, ["\n"], ["", "\n\n \n"], 0.1
    )
    return {"train.svm": mutated(rng, repeated(rng, text).encode())}


WORDS = ["a", "b", "c d", "ä", "", " ", "a\u2028b", "\ud83d\ude00", "x" * 50]


def _json_row(rng, named):
    """Make a row with text and labels."""
    label = (lambda: rng.choice(WORDS[:4])) if named else (lambda: rng.randrange(6))
    labels = list(dict.fromkeys(label() for _ in range(rng.randrange(4))))
    if rng.random() < 0.03:
        labels.append(rng.choice(["", 1, "a", True, 1.0, None, -1, 10**9, 2**31, 10**30, [], {}]))
    row = {"text": pick(rng, WORDS, [1, None, [], {}], 0.02), "labels": labels}
    if rng.random() < 0.2:
        row["title"] = pick(rng, WORDS, [3, None], 0.05)
    if rng.random() < 0.02:
        row.pop(rng.choice(list(row)))
    if rng.random() < 0.02:
        row["labels"] = rng.choice(["a", 1, None, {}])
    return json.dumps(row, ensure_ascii=rng.random() < 0.5)


def jsonl(rng):
    """Make a file of JSON lines."""
    named = rng.random() < 0.6
    rows = [_json_row(rng, named) for _ in range(rng.randrange(6))]
    if rng.random() < 0.02:
        rows.insert(0, rng.choice(["", "[]", "{", "[" * 20_000, "1e999", "NaN", '{"a":' * 5000]))
    text = repeated(rng, "\n".join(rows) + pick(rng, ["\n"], ["", "\n\n", "\r\n"], 0.1))
    return {"train.jsonl": mutated(rng, text.encode("utf-8", "surrogatepass"))}


def text_lines(rng):
    """Make a file of texts and a file of labels."""
    n_rows = rng.randrange(6)
    texts = [rng.choice(WORDS) for _ in range(n_rows)]
    n_labels = pick(rng, [n_rows], [n_rows + 1, max(n_rows - 1, 0)], 0.05)
    labels = [
        pick(rng, [" "], ["\t", "  ", "\u00a0", "\r"], 0.1).join(
            dict.fromkeys(rng.choice(["a", "b", "ä", "c\u00a0d"]) for _ in range(rng.randrange(4)))
        )
        for _ in range(n_labels)
    ]
    return {
        name: mutated(
            rng, (repeated(rng, "\n".join(lines)) + "\n" * bool(lines)).encode("utf-8", "surrogatepass")
        )
        for name, lines in (("train.texts.txt", texts), ("train.labels.txt", labels))
    }


def _quoted(rng, word):
    """Write a value of an ARFF file, quoted or not."""
    if rng.random() < 0.5 and not set(word) & set(" ,'\"{}%\\\t") and word:
        return word
    quote = rng.choice("'\"")
    return quote + word.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def arff(rng):
    """Make an ARFF file and its list of labels."""
    names = rng.sample(["a", "b", "c d", "it's", 'q"', "é", "0", "x,y"], rng.randrange(1, 6))
    labels = rng.sample(names, rng.randrange(len(names) + 1))
    if rng.random() < 0.03:
        labels.append(rng.choice(["none", "a", ""]))
    kinds, lines = [], [pick(rng, ["@relation toy", "@RELATION 't: -C 2'"], ["", "% only", "relation"], 0.05)]
    for name in names:
        nominal = rng.choice([["0", "1"], ["0", "2", ".5"], ["red", "dark blue", "it's"], ["1", "0"]])
        kind = (
            (["0", "1"] if rng.random() < 0.9 else nominal)
            if name in labels
            else rng.choice([None, None, nominal])
        )
        kinds.append(kind)
        said = pick(rng, ["numeric", "REAL", "integer"], ["string", "date", "", "{"], 0.02)
        if kind is not None:
            said = (
                "{"
                + ",".join(_quoted(rng, value) for value in kind)
                + pick(rng, ["}"], ["", ",}", "} x"], 0.01)
            )
        lines.append(
            pick(rng, ["@attribute "], ["@ATTRIBUTE\t", "attribute ", "@attribute"], 0.05)
            + f"{_quoted(rng, name)} {said}"
        )
    lines.append(pick(rng, ["@data", "@DATA"], ["", "@data 1", "@end"], 0.02))
    for _ in range(rng.randrange(6)):
        cells = [
            pick(rng, NUMBERS, [*BAD_NUMBERS, "?"], 0.02)
            if kind is None
            else pick(rng, [_quoted(rng, rng.choice(kind))], ["?", "2", "''", "'red", "re'd"], 0.02)
            for kind in kinds
        ]
        if rng.random() < 0.4:
            kept = [i for i in range(len(cells)) if rng.random() < 0.6]
            pairs = [f"{pick(rng, [i], [-1, 99, 'x', '9' * 30, kept[0]], 0.02)} {cells[i]}" for i in kept]
            lines.append(
                "{"
                + pick(rng, [", "], [",", " , ", ";"], 0.05).join(pairs)
                + pick(rng, ["}"], ["", "}, {5}", " }"], 0.05)
            )
        else:
            lines.append(pick(rng, [","], [", ", ",,", "\t"], 0.05).join(cells))
    lines.insert(rng.randrange(len(lines)), rng.choice(["", "% comment", " "]))
    text = repeated(rng, "\n".join(lines) + pick(rng, ["\n"], [""], 0.05))
    return {"train.arff": mutated(rng, text.encode()), "labels.xml": xml_of(rng, labels)}


def xml_of(rng, labels):
    """Make Mulan's list of labels."""
    escape = str.maketrans({"&": "&amp;", '"': "&quot;", "<": "&lt;"})
    body, open_ = "", 0
    for label in labels:
        body += f'<label name="{label.translate(escape)}">'
        if rng.random() < 0.2:
            open_ += 1
        else:
            body += "</label>"
    text = f"<labels>{body}{'</label>' * open_}</labels>"
    if rng.random() < 0.05:
        text = rng.choice(
            [
                '<?xml version="1.0" encoding="utf-8"?>\n' + text,
                '<?xml version="1.0" encoding="no-such"?>\n' + text,
                '<!DOCTYPE labels [<!ENTITY a "aaa">]>' + text,
                text.replace("label ", "tag "),
                text.replace(" name=", " id="),
            ]
        )
    return text.encode() if rng.random() < 0.8 else mutated(rng, text.encode())


def _matrix_parts(rng, n_rows, n_columns, binary):
    """Make the arrays of a sparse matrix."""
    draw = np.random.default_rng(rng.randrange(2**32))
    kind = rng.choice(["csr", "csc", "coo"])
    outer, inner = (n_columns, n_rows) if kind == "csc" else (n_rows, n_columns)
    counts = draw.integers(0, min(inner, 3) + 1, outer)
    indices = np.concatenate([draw.choice(inner, count, replace=False) for count in counts] or [[]]).astype(
        "i4"
    )
    indptr = np.concatenate([[0], counts.cumsum()]).astype(rng.choice(["i4", "i8"]))
    data = np.ones(indices.size) if binary else draw.choice([0.0, 0.5, -2.0, 1e10], indices.size)
    parts = {"format": np.array(kind.encode()), "shape": np.array([n_rows, n_columns]), "data": data}
    if kind == "coo":
        return parts | {"row": np.repeat(np.arange(outer), counts).astype("i4"), "col": indices}
    return parts | {"indices": indices, "indptr": indptr}


def _spoilt(rng, parts):
    """Change one of the arrays of a matrix."""
    name = rng.choice(list(parts))
    array = parts[name]
    how = rng.randrange(6)
    if how == 0:
        del parts[name]
    elif how == 1:
        parts[name] = (
            array.astype(rng.choice(["f4", "i8", "u8", "O", "c8", "U3", "?"])) if name != "format" else array
        )
    elif how == 2 and array.ndim:
        parts[name] = array[: rng.randrange(array.size + 1)]
    elif how == 3 and array.size and name != "format":
        array = array.copy()
        array[rng.randrange(array.size)] = rng.choice([-1, 2, 99, 2**31 - 1])
        parts[name] = array
    elif how == 4 and name == "shape":
        parts[name] = np.array([rng.choice([0, 1, -1, 10**7, 10**12]), rng.choice([1, 2, 10**7, 10**12])])
    elif array.ndim:
        parts[name] = array[None]


def npz(rng):
    """Make two files of save_npz; the arrays stand beside them, for the reference."""
    n_rows, files = rng.randrange(5), {}
    for name, width, binary in (("X", 4, False), ("Y", 3, True)):
        parts = _matrix_parts(rng, pick(rng, [n_rows], [n_rows + 1], 0.03), width, binary)
        if rng.random() < 0.3:
            _spoilt(rng, parts)
        content = io.BytesIO()
        compression = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
        with zipfile.ZipFile(content, "w", compression) as archive:
            for part, array in parts.items():
                stored = io.BytesIO()
                np.save(stored, array, allow_pickle=True)
                archive.writestr(zipfile.ZipInfo(f"{part}.npy"), stored.getvalue(), compression)
        files[f"train.{name}.npz"] = content.getvalue()
    return files


def damaged(rng, data):
    """Cut a compressed file, change a byte, or let something follow."""
    how, at = rng.randrange(4), rng.randrange(len(data))
    if how == 0:
        return data[:at]
    if how == 1:
        return data + bytes(rng.choice(BYTES) for _ in range(rng.randrange(1, 9)))
    copy = bytearray(data)
    copy[at] ^= 1 << rng.randrange(8)
    return bytes(copy)
