"""What every reader owes its input: what the reference says, or an error that names a file, in bounds."""

import os
import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from adathresh.datasets import (
    DatasetError,
    LabelledRows,
    formats,
    load_arff,
    load_jsonl,
    load_npz,
    load_svmlight_multilabel,
    load_text_lines,
    load_xc,
)

from . import inputs, reference

# Bounds beyond the size of the input: memory in bytes (xz asks for a dictionary), work in calls of functions.
MEMORY, MEMORY_PER_BYTE = 3_000_000, 300
CALLS, CALLS_PER_BYTE = 20_000, 100
MEASURED = 20  # one input of so many is measured, which takes several times as long


class BrokenError(AssertionError):
    """A property that does not hold."""


def _plain(path, options):
    return load_xc(path["train.txt"], progress=False, **options)


# For each format: the reader, given the paths of its files, and what the reference calls it.
READERS = {
    "xc": _plain,
    "svm": lambda path, options: load_svmlight_multilabel(path["train.svm"], progress=False, **options),
    "jsonl": lambda path, options: load_jsonl(path["train.jsonl"], **options),
    "text_lines": lambda path, options: load_text_lines(
        path["train.texts.txt"], path["train.labels.txt"], **options
    ),
    "arff": lambda path, options: load_arff(path["train.arff"], path["labels.xml"], **options),
    "npz": lambda path, options: load_npz(path["train.X.npz"], path["train.Y.npz"]),
}


def matrix_rows(matrix, values):
    """Return the rows of a canonical CSR matrix in float32 as sets of columns, or mappings to values."""
    if matrix.dtype != np.float32 or not matrix.has_sorted_indices or not matrix.data.all():
        raise BrokenError(f"not canonical: {matrix!r}")
    rows = []
    for start, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        columns = matrix.indices[start:end].tolist()
        if columns != sorted(set(columns)) or (
            columns and not 0 <= columns[0] <= columns[-1] < matrix.shape[1]
        ):
            raise BrokenError(f"not canonical: {columns}")
        rows.append(
            dict(zip(columns, matrix.data[start:end].tolist(), strict=True)) if values else set(columns)
        )
    return rows


def as_read(found):
    """Return what a reader returned in the form of the reference."""
    rows = found if isinstance(found, LabelledRows) else LabelledRows(*found)
    if not (rows.Y.data == 1).all():
        raise BrokenError("labels other than 1")
    labels, names = matrix_rows(rows.Y, False), rows.label_names
    if names is not None:
        labels = [{names[label] for label in row} for row in labels]
    features = None if rows.X is None else matrix_rows(rows.X, True)
    width = None if rows.X is None else rows.X.shape[1]
    return reference.Read(
        labels,
        features,
        rows.Y.shape[1] if names is None else names,
        width if rows.feature_names is None else rows.feature_names,
        rows.texts,
        rows.titles,
        rows.parents,
    )


def outcome(name, folder, files, **options):
    """Read files; return what they hold, or None where they are refused in the documented way."""
    paths = {file: folder / file for file in files}
    try:
        return as_read(READERS[name](paths, options))
    except DatasetError as error:
        if not any(str(path) in str(error) for path in paths.values()):
            raise BrokenError(f"the message names no file: {error}") from error
        return None


@contextmanager
def measured(size):
    """Hold memory and calls of what is done within to their bounds."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    tracemalloc.start()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if peak > MEMORY + MEMORY_PER_BYTE * size:
        raise BrokenError(f"{peak:,} bytes of memory for {size:,} of input")
    if calls > CALLS + CALLS_PER_BYTE * size:
        raise BrokenError(f"{calls:,} calls for {size:,} bytes of input")


def check_files(name, files, folder, *, measure=False):
    """Hold a reader to its properties on some files; return whether it took them."""
    for file, content in files.items():
        (folder / file).write_bytes(content)
    expected = getattr(reference, name)(files)
    if measure:
        with measured(sum(map(len, files.values()))):
            outcome(name, folder, files)
    found = outcome(name, folder, files)
    if found != expected:
        raise BrokenError(f"read {found}, expected {expected}")
    if name in ("xc", "svm", "arff", "jsonl"):
        check_reading_on(name, files, folder, expected)
    if sorted(os.listdir(folder)) != sorted(files):
        raise BrokenError(f"files were left: {sorted(os.listdir(folder))}")
    return found is not None


def check_reading_on(name, files, folder, expected):
    """Hold the reading of all rows, those at fault as empty ones, to the reference."""
    errors = []
    found = outcome(name, folder, files, on_error=lambda error, row: errors.append(row))
    if expected is not None:
        if errors or found != expected:
            raise BrokenError("reading on, it found errors where there are none")
        return
    if found is None:
        return
    faulty = {row for row in errors if row is not None}
    if not errors or len(faulty) < len([row for row in errors if row is not None]):
        raise BrokenError(f"refused, but reading on found the errors {errors}")
    if any(found.labels[row] or (found.features and found.features[row]) for row in faulty):
        raise BrokenError("a row at fault is not empty")
    if name in ("xc", "arff"):
        rows = (reference.xc_rows if name == "xc" else reference.arff_rows)(files)
        rows = rows[3] if name == "xc" else rows[2]
        if faulty != {number for number, row in enumerate(rows) if row is None}:
            raise BrokenError(f"rows {sorted(faulty)} were found at fault")
        for number, row in enumerate(rows):
            if row is not None and (found.labels[number], found.features[number]) != row:
                read = found.labels[number], found.features[number]
                raise BrokenError(f"row {number} was read as {read}")


def check_compressed(name, files, folder, rng):
    """Compress files and perhaps damage one: read as the whole ones, or refused."""
    expected = getattr(reference, name)(files)
    suffix = rng.choice(list(inputs.COMPRESS))
    packed = {
        file if file.endswith((".xml", ".npz")) else file + suffix: content for file, content in files.items()
    }
    intact = {
        file: inputs.COMPRESS[suffix](content) if file.endswith(suffix) else content
        for file, content in packed.items()
    }
    damage = rng.random() < 0.8 and any(file.endswith(suffix) for file in intact)
    if damage:
        chosen = rng.choice([file for file in intact if file.endswith(suffix)])
        intact[chosen] = inputs.damaged(rng, intact[chosen])
    for file, content in intact.items():
        (folder / file).write_bytes(content)
    paths = {file.removesuffix(suffix): folder / file for file in intact}
    try:
        with measured(sum(map(len, [*intact.values(), *files.values()]))):
            found = as_read(READERS[name](paths, {}))
    except DatasetError as error:
        if not any(str(path) in str(error) for path in paths.values()):
            raise BrokenError(f"the message names no file: {error}") from error
        found = None
    if (found is not None and found != expected) or (found is None and expected is not None and not damage):
        raise BrokenError(f"compressed, read {found}, expected {expected}")
    if sorted(os.listdir(folder)) != sorted(intact):
        raise BrokenError(f"files were left: {sorted(os.listdir(folder))}")


def check_input(name, seed, number, place, *, measure=False):
    """Make an input and hold the reader to its properties; return whether it was taken, and its files."""
    rng = random.Random(f"{name} {seed} {number}")
    files = getattr(inputs, name)(rng)
    folder = Path(tempfile.mkdtemp(dir=place))
    usual = formats.BLOCK_BYTES
    try:
        small = sum(map(len, files.values())) < 4000
        formats.BLOCK_BYTES = rng.choice([1, 7, 64, usual]) if small else usual
        try:
            if name != "npz" and rng.random() < 0.15:
                check_compressed(name, files, folder, rng)
                return None, files
            return check_files(name, files, folder, measure=measure), files
        except DatasetError:
            raise
        except Exception as error:
            error.add_note(f"input {number} of {name}, seed {seed}: {files!r}")
            raise
    finally:
        formats.BLOCK_BYTES = usual
        shutil.rmtree(folder)


def run(n_inputs, *, seed=0, names=tuple(READERS), progress=None):
    """Check inputs of all formats in turn; return how many of each were taken, and the slowest one."""
    taken, slowest = dict.fromkeys(names, 0), (0.0, "")
    with tempfile.TemporaryDirectory() as place:
        for number in range(n_inputs):
            name = names[number % len(names)]
            begin = time.process_time()
            took, _ = check_input(name, seed, number, place, measure=number // len(names) % MEASURED == 0)
            taken[name] += bool(took)
            slowest = max(slowest, (time.process_time() - begin, f"{name} {number}"))
            if progress:
                progress(number + 1)
        if os.listdir(place):
            raise BrokenError(f"files were left: {os.listdir(place)}")
    return taken, slowest


def minimised(name, files, fails):
    """Make an input that fails as small as dropping runs of bytes can make it."""
    for file in files:
        size = max(len(files[file]) // 2, 1)
        while size:
            at, smaller = 0, False
            while at < len(files[file]):
                tried = files | {file: files[file][:at] + files[file][at + size :]}
                if fails(tried):
                    files, smaller = tried, True
                else:
                    at += size
            size = size if smaller and size == 1 else size // 2
    return files
