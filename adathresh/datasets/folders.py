"""Data sets on the disk: a folder of split files, read as it is."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adathresh.datasets import formats
from adathresh.datasets.dataset import SPLITS, Split
from adathresh.datasets.formats import FREE_WIDTH, DatasetError, decompressed, load_xc, read_errors
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.files import PathLike, data_folder

SUFFIXES = (*formats.COMPRESSED, "")
MOST_INVENTED = FREE_WIDTH
"""So many columns at most get invented names, which take about 70 bytes each, whatever a header says."""
NOT_TEXT = {"uid", "type", "labels"}  # what else a row of a file of whole texts may hold


class Folder(NamedTuple):
    """What a folder of split files holds.

    Attributes
    ----------
    splits : dict of str to Split
        The splits train and test, and dev where there is one.
    label_names, feature_names : list of str
        Names of the columns of Y and X.
    label_knowledge : LabelKnowledge or None
        What is known about the labels.

    Examples
    --------
    >>> Folder({}, ["a"], ["x"], LabelKnowledge(["a"])).label_knowledge
    LabelKnowledge(1 label, 0 synonyms, 0 parents)
    """

    splits: dict[str, Split]
    label_names: list[str]
    feature_names: list[str]
    label_knowledge: LabelKnowledge | None


def read_folder(folder: Path, *, progress: bool = True) -> Folder:
    r"""Read the files of a data set as they are, without drawing a validation split.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    Folder
        Splits, names of the columns, and what is known about the labels.

    Raises
    ------
    DatasetError
        If a file is missing, malformed, or does not fit the others, or more columns than
        :data:`MOST_INVENTED` have no names.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for split in ("train", "test"):
    ...         _ = Path(f"{folder}/{split}.txt").write_text("1 2 3\n0,2 1:0.5\n")
    ...     found = read_folder(Path(folder))
    >>> list(found.splits), found.label_names
    (['train', 'test'], ['label_0', 'label_1', 'label_2'])
    """
    paths = {split: find_file(folder, f"{split}.txt") for split in SPLITS}
    for split in ("train", "test"):
        if paths[split] is None:
            raise DatasetError(
                f"{folder / split}.txt.gz: the {split} split is missing; put it there "
                "(`adathresh data list` shows what can be fetched instead)."
            )
    whole = {split: find_file(folder, f"{split}.full.jsonl") for split, path in paths.items() if path}
    if any(whole.values()) and not all(whole.values()):
        there = next(path for path in whole.values() if path)
        missing = next(split for split, path in whole.items() if not path)
        raise DatasetError(
            f"{folder}: {there.name} is there, but {missing}.full.jsonl.gz is not, so that some texts would "
            "be whole and others not; add it, or remove the other."
        )
    splits = {split: _read_split(folder, split, path, progress) for split, path in paths.items() if path}
    n_features, n_labels = splits["train"].X.shape[1], splits["train"].Y.shape[1]
    for split, rows in splits.items():
        if (rows.X.shape[1], rows.Y.shape[1]) != (n_features, n_labels):
            raise DatasetError(
                f"{paths[split]} has {rows.X.shape[1]} features and {rows.Y.shape[1]} labels, "
                f"but {paths['train']} has {n_features} and {n_labels}."
            )
        if not rows.X.shape[0]:
            raise DatasetError(f"{paths[split]}: the split has no rows.")
    feature_names = _read_names(folder / "features.txt", n_features, "feature")
    path, named = find_file(folder, "labels.jsonl"), (folder / "labels.txt").exists()
    knowledge = _read_knowledge(path, n_labels) if path else None
    if knowledge is not None and not named:
        label_names = [name if name.strip() else f"label_{i}" for i, name in enumerate(knowledge.names)]
    else:
        label_names = _read_names(folder / "labels.txt", n_labels, "label")
    if knowledge is None and named and splits["train"].texts is not None:
        knowledge = _knowledge_of_names(label_names)
    return Folder(splits, label_names, feature_names, knowledge)


def find_file(folder: Path, name: str) -> Path | None:
    """Find a file that may be compressed.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    name : str
        Its name without ``.gz`` or ``.bz2``.

    Returns
    -------
    pathlib.Path or None
        The file, or None where there is none.

    Raises
    ------
    DatasetError
        If there are several.

    Examples
    --------
    >>> find_file(Path("no/such/folder"), "train.txt") is None
    True
    """
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise DatasetError(f"{folder}: both {found[0].name} and {found[1].name} exist; remove one of them.")
    return found[0] if found else None


def iter_lines(path: Path) -> Iterator[bytes]:
    r"""Yield the lines of a file, compressed or not.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Yields
    ------
    bytes
        A line with its end.

    Raises
    ------
    DatasetError
        If the file is truncated or damaged, or a line is longer than ``formats.LINE_BYTES``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.txt").write_text("one\ntwo\n")
    ...     print(list(iter_lines(Path(f"{folder}/a.txt"))))
    [b'one\n', b'two\n']
    """
    with open(path, "rb") as raw, read_errors(path), decompressed(path, raw) as stream:
        longest, number = formats.LINE_BYTES, 1
        while line := stream.readline(longest + 1):
            if len(line) > longest:
                raise DatasetError(
                    f"{path}, line {number}: the line is longer than {longest:,} bytes; write each entry on "
                    "a line of its own, or raise adathresh.datasets.formats.LINE_BYTES."
                )
            yield line
            number += 1


def available(data_dir: PathLike | None = None) -> list[str]:
    """List the data sets that lie in the data folder.

    Parameters
    ----------
    data_dir : str or path-like, optional
        The data folder, see :func:`~adathresh.utils.files.data_folder`.

    Returns
    -------
    list of str
        Names of the folders with a train and a test split, sorted.

    Examples
    --------
    >>> available("no/such/folder")
    []
    """
    found = []
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(data_folder(data_dir).iterdir()):
            files = ([folder / f"{split}.txt{suffix}" for suffix in SUFFIXES] for split in ("train", "test"))
            embedded = (folder / "corpus.json").is_file()  # cached there, but reached by its own name
            if not embedded and all(any(path.is_file() for path in paths) for paths in files):
                found.append(folder.name)
    return found


def _read_split(folder, split, path, progress):
    """Read the matrices, texts and groups of one split."""
    X, Y = load_xc(path, progress=progress)
    whole, cut = find_file(folder, f"{split}.full.jsonl"), find_file(folder, f"{split}.jsonl")
    texts = titles = None
    if whole or cut:
        texts, titles = _read_texts(whole or cut, _whole_text if whole else _text)
    groups = find_file(folder, f"{split}.groups.txt")
    names = groups and _read_lines(groups)
    for extra, content in ((whole or cut, texts), (groups, names)):
        if extra and len(content) != X.shape[0]:
            raise DatasetError(f"{extra} has {len(content)} rows, but {path} has {X.shape[0]}.")
    return Split(X=X, Y=Y, texts=texts, titles=titles, groups=None if names is None else np.array(names))


def _read_lines(path):
    """Read the lines of a text file."""
    lines = []
    for number, line in enumerate(iter_lines(path), 1):
        try:
            lines.append(line.decode().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}, line {number}: not UTF-8 text.") from error
    return lines


def _read_objects(path):
    """Yield the place and the content of each line of a JSON-lines file."""
    for number, line in enumerate(iter_lines(path), 1):
        where = f"{path}, line {number}"
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:  # the latter: too deeply nested
            raise DatasetError(f"{where}: not a JSON object.") from error
        if not isinstance(content, dict):
            raise DatasetError(f"{where}: not a JSON object.")
        yield where, content


def _read_texts(path, text_of):
    """Read the texts of a JSON-lines file, and their titles where it has any."""
    texts, titles, titled = [], [], False
    for where, row in _read_objects(path):
        titled |= "title" in row
        title = row.get("title", "")
        if not isinstance(title, str):
            raise DatasetError(f"{where}: 'title' is not a string.")
        titles.append(title)
        texts.append(text_of(row, where))
    return texts, titles if titled else None


def _text(row, where):
    """Return the text of a row that has it in one piece."""
    if "text" not in row:
        raise DatasetError(f"{where}: not a JSON object with the key 'text'.")
    if not isinstance(row["text"], str):
        raise DatasetError(f"{where}: 'text' is not a string.")
    return row["text"]


def _whole_text(row, where):
    """Put the text of a row together: its title, and its other parts in the order of the file."""
    parts = [row.get("title", "")]
    for key, part in row.items():
        if key not in NOT_TEXT and key != "title":
            pieces = part if isinstance(part, list) else [part]
            if not all(isinstance(piece, str) for piece in pieces):
                raise DatasetError(f"{where}: {key!r} is neither a string nor a list of strings.")
            parts += pieces
    return "\n".join(part for part in parts if part.strip())


def _read_knowledge(path, n_labels):
    """Read what a JSON-lines file says about labels, one object a label."""
    names, synonyms, parents = [], [], []
    for number, (where, label) in enumerate(_read_objects(path)):
        if label.get("label", number) != number:
            raise DatasetError(
                f"{where}: says label {label['label']!r}, but labels are numbered from 0 in order."
            )
        if not isinstance(label.get("name"), str):
            raise DatasetError(f"{where}: not a JSON object with the text 'name'.")
        names.append(label["name"])
        synonyms.append(label.get("alt_names", []))
        parents.append(label["parent_labels"] if "parent_labels" in label else label.get("parents", []))
    if len(names) != n_labels:
        raise DatasetError(f"{path} describes {len(names)} labels, but the matrices have {n_labels}.")
    try:
        return LabelKnowledge(names, synonyms=synonyms, parents=parents, allow_repeated_names=True)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


def _knowledge_of_names(label_names):
    """Return what the names of the columns say, or None where they are only numbers."""
    names = [name if any(map(str.isalpha, name)) else "" for name in label_names]
    return LabelKnowledge(names, allow_repeated_names=True) if any(names) else None


def _read_names(path, width, kind):
    """Read one name per column, or invent them."""
    if not path.exists():
        if width > MOST_INVENTED:
            raise DatasetError(
                f"{path} is missing, and {width:,} {kind}s are more than the {MOST_INVENTED:,} for which "
                "names are invented; write that file, a name a line, or raise "
                "adathresh.datasets.folders.MOST_INVENTED."
            )
        return [f"{kind}_{number}" for number in range(width)]
    names = _read_lines(path)
    if len(names) != width:
        raise DatasetError(f"{path} names {len(names)} {kind}s, but the matrices have {width}.")
    return names
