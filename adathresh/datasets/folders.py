"""Data sets on the disk: a folder of split files, read as it is."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adathresh.datasets.dataset import SPLITS, Split
from adathresh.datasets.formats import DatasetError, decompressed, load_xc, read_errors
from adathresh.utils.files import PathLike, data_folder

SUFFIXES = (".gz", ".bz2", "")


def read_folder(folder: Path, *, progress: bool = True) -> tuple[dict[str, Split], list[str], list[str]]:
    r"""Read the files of a data set as they are, without drawing a validation split.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    splits : dict of str to Split
        The splits train and test, and dev where there is one.
    label_names, feature_names : list of str
        Names of the columns of Y and X.

    Raises
    ------
    DatasetError
        If a file is missing, malformed, or does not fit the others.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for split in ("train", "test"):
    ...         _ = Path(f"{folder}/{split}.txt").write_text("1 2 3\n0,2 1:0.5\n")
    ...     splits, label_names, _ = read_folder(Path(folder))
    >>> list(splits), label_names
    (['train', 'test'], ['label_0', 'label_1', 'label_2'])
    """
    paths = {split: find_file(folder, f"{split}.txt") for split in SPLITS}
    for split in ("train", "test"):
        if paths[split] is None:
            raise DatasetError(
                f"{folder / split}.txt.gz: the {split} split is missing; put it there "
                "(`adathresh data list` shows what can be fetched instead)."
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
    label_names = _read_names(folder / "labels.txt", n_labels, "label")
    return splits, label_names, _read_names(folder / "features.txt", n_features, "feature")


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
        If the file is truncated or damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.txt").write_text("one\ntwo\n")
    ...     print(list(iter_lines(Path(f"{folder}/a.txt"))))
    [b'one\n', b'two\n']
    """
    with open(path, "rb") as raw, read_errors(path), decompressed(path, raw) as stream:
        yield from stream


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
    texts, groups = find_file(folder, f"{split}.jsonl"), find_file(folder, f"{split}.groups.txt")
    text = texts and _read_texts(texts)
    names = groups and _read_lines(groups)
    for extra, content in ((texts, text), (groups, names)):
        if extra and len(content) != X.shape[0]:
            raise DatasetError(f"{extra} has {len(content)} rows, but {path} has {X.shape[0]}.")
    return Split(X=X, Y=Y, texts=text, groups=None if names is None else np.array(names))


def _read_lines(path):
    """Read the lines of a text file."""
    lines = []
    for number, line in enumerate(iter_lines(path), 1):
        try:
            lines.append(line.decode().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}, line {number}: not UTF-8 text.") from error
    return lines


def _read_texts(path):
    """Read the texts of a JSON-lines file."""
    texts = []
    for number, line in enumerate(iter_lines(path), 1):
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}, line {number}: not a JSON object with the key 'text'.") from error
        if not isinstance(text, str):
            raise DatasetError(f"{path}, line {number}: 'text' is not a string.")
        texts.append(text)
    return texts


def _read_names(path, width, kind):
    """Read one name per column, or invent them."""
    if not path.exists():
        return [f"{kind}_{number}" for number in range(width)]
    names = _read_lines(path)
    if len(names) != width:
        raise DatasetError(f"{path} names {len(names)} {kind}s, but the matrices have {width}.")
    return names
