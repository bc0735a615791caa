"""What is wrong with data files: everything at once, where readers stop at the first error."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adathresh.datasets.folders import (
    MATRICES,
    SUFFIXES,
    TEXTS,
    find_format,
    read_folder,
    read_knowledge,
)
from adathresh.datasets.formats import DatasetError
from adathresh.datasets.pyapi import CORPORA
from adathresh.datasets.registry import locate
from adathresh.datasets.summary import describe, text_statistics
from adathresh.datasets.text_files import load_jsonl, read_lines
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.files import PathLike, data_folder

MOST_OF_A_KIND = 20
"""So many errors of a kind are told in full; of the others there is a count."""
MOST_KINDS = 50
"""So many kinds of errors are told apart, however many there are."""
LONGEST = 1000
"""So many characters of an error are told at most: some quote what a file holds."""
_PARTICULARS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[0-9][0-9,.]*""")


class Problems:
    """Collects errors: some of each kind in full, of the others the number.

    Errors are of one kind if their messages differ in numbers and quoted words only.

    Examples
    --------
    >>> problems = Problems()
    >>> for line in range(2, 24):
    ...     problems(DatasetError(f"train.txt, line {line}: label 9 lies outside 0 to 4."), line - 2)
    >>> problems.count, list(problems)[-1]
    (22, 'and 2 more of this kind')
    """

    def __init__(self):
        self.count = 0
        self._told: dict[str, list[str]] = {}
        self._untold: dict[str, int] = {}

    def __call__(self, error: DatasetError, row: int | None = None) -> None:
        """Take an error, as readers do in place of raising it.

        Parameters
        ----------
        error : DatasetError
            What is wrong.
        row : int, optional
            Number of the row at fault; the message names its line.
        """
        message = " ".join(str(error).split())[:LONGEST]
        kind = _PARTICULARS.sub("*", message)
        if kind not in self._told and len(self._told) >= MOST_KINDS:
            kind = ""  # all further kinds
        told = self._told.setdefault(kind, [])
        self.count += 1
        if len(told) < MOST_OF_A_KIND:
            told.append(message)
        else:
            self._untold[kind] = self._untold.get(kind, 0) + 1

    def __iter__(self) -> Iterator[str]:
        for kind, messages in self._told.items():
            yield from messages
            if kind in self._untold:
                yield f"and {self._untold[kind]:,} more {'of this kind' if kind else 'of other kinds'}"


class Report(NamedTuple):
    """What a check found.

    Attributes
    ----------
    name : str
        What was checked.
    facts : dict of str to int or float
        What was read: of an intact folder all statistics, else rows, columns, labels and features a row, and
        rows without labels, without features, and at fault, which count in neither of the two.
    problems : Problems
        What is wrong.

    Examples
    --------
    >>> Report("toy", {"n_train": 3}, Problems()).problems.count
    0
    """

    name: str
    facts: dict[str, float]
    problems: Problems


def check(target: PathLike, data_dir: PathLike | None = None, *, progress: bool = True) -> Report:
    r"""Read a file, a folder, or a data set by its name, and report all that is wrong.

    Parameters
    ----------
    target : str or path-like
        The name of an embedded corpus or of a folder in the data folder; else the path of a folder or file.
    data_dir : str or path-like, optional
        The data folder, see :func:`~adathresh.utils.files.data_folder`.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    Report
        What was read, before any validation split is drawn, and what is wrong.

    Raises
    ------
    DatasetError
        If there is no such file, folder or data set, or the name of a file does not tell its format.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from adathresh.datasets import save_xc
    >>> with TemporaryDirectory() as folder:
    ...     save_xc(f"{folder}/train.txt", [[0, 0.5]], [[1, 0, 1]])
    ...     _ = Path(f"{folder}/test.txt").write_text("2 2 3\n0,3 1:0.5\n0 1:1:2\n")
    ...     report = check(folder)
    >>> for problem in report.problems:
    ...     print(problem.partition(", ")[2])
    line 2: label 3 lies outside the range 0 to 2; correct it, or the number of labels.
    line 3: '1:1:2' has a malformed value; write a number, such as 0.5 or 2e-3.
    >>> report.facts["n_test"], report.facts["faulty_test"]
    (2, 2)
    """
    path, name, problems = Path(target), str(target), Problems()
    plain = name not in (".", "..") and os.path.basename(name) == name
    by_name = plain and (name in CORPORA or (data_folder(data_dir) / name).is_dir())
    if not by_name and path.is_file():
        return Report(name, _check_file(path, progress, problems), problems)
    if not plain and not path.is_dir():
        raise DatasetError(f"{target}: there is no such file or folder.")
    if by_name or not path.is_dir():
        path, _ = locate(name, data_dir, progress=progress)
    found = read_folder(path, progress=progress, on_error=problems)
    if not problems.count:
        facts = describe(found.splits) | text_statistics(found.splits, found.label_knowledge)
        return Report(name, facts, problems)
    facts = {}
    for split, rows in found.splits.items():
        facts |= _facts(rows.X, rows.Y, found.faulty[split], f"_{split}")
    return Report(name, facts, problems)


def _check_file(path, progress, problems):
    """Read a file of any kind that a folder may hold, and return what was read."""
    read, faulty = _reader(path, progress), 0

    def on_error(error, row):
        nonlocal faulty
        faulty += row is not None
        problems(error, row)

    try:
        found = read(on_error)
    except DatasetError as error:
        problems(error)
        return {}
    if isinstance(found, LabelKnowledge):
        return {"n_labels": found.n_labels}
    if isinstance(found, list):
        return {"n_lines": len(found)}
    return _facts(found.X, found.Y, faulty, "")


def _reader(path, progress):
    """Return the function that reads a file, given what to do with errors; the file's name tells which."""
    name = path.name.removesuffix(next(suffix for suffix in SUFFIXES if path.name.endswith(suffix)))
    if name == "labels.jsonl":
        return lambda _: read_knowledge(path)
    if name in ("labels.txt", "features.txt") or name.endswith((".labels.txt", ".groups.txt")):
        return lambda on_error: read_lines(path, on_error=on_error)
    if name.endswith(".jsonl") and find_format(path.parent) in MATRICES:  # which have the labels
        whole = name.endswith(".full.jsonl")
        return lambda on_error: load_jsonl(path, whole=whole, labelled=False, on_error=on_error).texts
    readers = TEXTS | MATRICES
    for ending, read in readers.items():
        if name.endswith(f".{ending}"):
            return lambda on_error: read(path, progress, on_error)
    raise DatasetError(
        f"{path}: its name does not tell the format; let it end in one of "
        f"{', '.join(f'.{ending}' for ending in readers)}, compressed or not ({', '.join(SUFFIXES[:-1])})."
    )


def _facts(X, Y, faulty, of):
    """Describe rows as they were read, those at fault as empty ones."""
    n_rows = Y.shape[0]
    sound = max(n_rows - faulty, 1)
    facts = {f"n{of or '_rows'}": n_rows, f"faulty{of}": faulty}
    if X is not None:
        facts |= {
            f"n_features{of}": X.shape[1],
            f"features_per_row{of}": X.nnz / sound,
            f"featureless{of}": int((np.diff(X.indptr) == 0).sum()) - faulty,
        }
    return facts | {
        f"n_labels{of}": Y.shape[1],
        f"labels_per_row{of}": Y.nnz / sound,
        f"unlabelled{of}": int((np.diff(Y.indptr) == 0).sum()) - faulty,
    }
