"""Data sets on the disk: a folder of split files, read as it is."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.datasets import formats
from adathresh.datasets.arff import load_arff
from adathresh.datasets.dataset import SPLITS, LabelledRows, Split
from adathresh.datasets.formats import (
    FREE_WIDTH,
    DatasetError,
    OnError,
    load_svmlight_multilabel,
    load_xc,
    stop,
)
from adathresh.datasets.npz import load_npz
from adathresh.datasets.text_files import iter_objects, load_jsonl, load_text_lines, read_lines
from adathresh.datasets.texts import word_features
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.files import PathLike, data_folder
from adathresh.utils.suggest import did_you_mean

SUFFIXES = (*formats.COMPRESSED, "")
MOST_INVENTED = FREE_WIDTH
"""So many columns at most get invented names, which take about 70 bytes each, whatever a header says."""


def _read_xc(path, progress, on_error):
    """Read a file of the Extreme Classification format."""
    return LabelledRows(*load_xc(path, progress=progress, on_error=on_error))


def _read_svm(path, progress, on_error):
    """Read a file of LIBSVM lines."""
    return LabelledRows(*load_svmlight_multilabel(path, progress=progress, on_error=on_error))


def _read_jsonl(path, progress, on_error):
    """Read texts with labels."""
    return load_jsonl(path, on_error=on_error)


def _read_whole_jsonl(path, progress, on_error):
    """Read whole texts with labels."""
    return load_jsonl(path, whole=True, on_error=on_error)


def _read_text_lines(path, progress, on_error):
    """Read a file of texts and the file of labels beside it."""
    split = path.name.partition(".")[0]
    labels = find_file(path.parent, f"{split}.labels.txt")
    if labels is None:
        raise DatasetError(
            f"{path.parent / split}.labels.txt: the labels of {path.name} are missing; write them there, "
            "those of a row on a line."
        )
    return load_text_lines(path, labels, on_error=on_error)


def _read_arff(path, progress, on_error):
    """Read a file of Mulan's, whose labels are named in the folder."""
    names = path.parent / "labels.xml"
    if names.exists():
        return load_arff(path, names, on_error=on_error)
    if (path.parent / "labels.txt").exists():
        return load_arff(path, read_lines(path.parent / "labels.txt"), on_error=on_error)
    raise DatasetError(
        f"{names}: the list of labels is missing; put Mulan's XML file there, or the names of those "
        "attributes that are labels into labels.txt, a name a line."
    )


def _read_npz(path, progress, on_error):
    """Read a matrix of features and that of the labels beside it."""
    labels = path.with_name(path.name.replace(".X.npz", ".Y.npz"))
    if not labels.exists():
        raise DatasetError(f"{labels}: the labels of {path.name} are missing; put them there.")
    return LabelledRows(*load_npz(path, labels))


Reader = Callable[[Path, bool, OnError], LabelledRows]

MATRICES: dict[str, Reader] = {"txt": _read_xc, "svm": _read_svm, "arff": _read_arff, "X.npz": _read_npz}
"""Readers of features with labels, by the ending of a file's name. A folder has files of one ending."""
TEXTS: dict[str, Reader] = {
    "full.jsonl": _read_whole_jsonl,
    "jsonl": _read_jsonl,
    "texts.txt": _read_text_lines,
}
"""Readers of texts with labels, for folders without features. The first of these endings counts."""
OF_ANY_WIDTH = {"svm", *TEXTS}
"""Formats that tell no number of columns: all splits are given as many as the widest has."""


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
    faulty : dict of str to int
        Rows of each split that are at fault; they were read as rows without labels and features.

    Examples
    --------
    >>> Folder({}, ["a"], ["x"], LabelKnowledge(["a"]), {}).label_knowledge
    LabelKnowledge(1 label, 0 synonyms, 0 parents)
    """

    splits: dict[str, Split]
    label_names: list[str]
    feature_names: list[str]
    label_knowledge: LabelKnowledge | None
    faulty: dict[str, int]


def read_folder(folder: Path, *, progress: bool = True, on_error: OnError = stop) -> Folder:
    r"""Read the files of a data set as they are, without drawing a validation split.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    progress : bool, default=True
        Whether to show progress.
    on_error : callable, optional
        Called with each error, and the number of the row at fault or None, in place of raising it; what can
        be read is then returned.

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
    attempt = _Attempts(on_error)
    ending = attempt(find_format, folder) or "txt"
    paths = _find_splits(folder, ending, on_error)
    rows, groups, faulty = {}, {}, {}
    for split, path in paths.items():
        counted = _CountedErrors(on_error)
        found = _Attempts(counted)(_read_split, folder, split, path, ending, progress, counted)
        faulty[split] = counted.rows
        if found is not None:
            rows[split], groups[split] = found
            if not rows[split].Y.shape[0]:
                on_error(DatasetError(f"{path}: the split has no rows."), None)
    names, knowledge = _read_names(folder / "labels.txt", on_error), attempt(_read_any_knowledge, folder)
    if not rows:
        return Folder({}, [], [], None, faulty)
    declared = folder / "labels.txt", names
    if names is None and knowledge is not None:
        declared = folder / "labels.jsonl", list(knowledge.names)
    of_files = attempt(_fit_labels, rows, paths, ending, declared, on_error)
    feature_names = attempt(_fit_features, rows, paths, ending, folder)
    first = next(iter(rows.values()))
    if knowledge is not None and knowledge.n_labels != first.Y.shape[1]:
        error = DatasetError(
            f"{find_file(folder, 'labels.jsonl')} describes {knowledge.n_labels} labels, but the matrices "
            f"have {first.Y.shape[1]}."
        )
        on_error(error, None)
        knowledge = None
    if names is None and knowledge is not None:
        label_names = [name if name.strip() else f"label_{i}" for i, name in enumerate(knowledge.names)]
    else:
        given = of_files if names is None else names
        label_names = attempt(_names, folder / "labels.txt", given, first.Y.shape[1], "label") or []
        knowledge = knowledge or _knowledge_of_files(first, label_names, given is not None)
    lines = _read_names(folder / "features.txt", on_error)
    given = feature_names if lines is None else lines
    feature_names = attempt(_names, folder / "features.txt", given, _width(first), "feature") or []
    splits = {split: _split(part, groups[split]) for split, part in rows.items()}
    return Folder(splits, label_names, feature_names, knowledge, faulty)


def find_format(folder: Path) -> str | None:
    """Find the format of a folder's splits.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    str or None
        What follows the name of a split and a point in the names of its files, such as "txt", without the
        ending of a compressed file; None where there are no such files.

    Raises
    ------
    DatasetError
        If the splits are there in several formats.

    Examples
    --------
    >>> find_format(Path("no/such/folder")) is None
    True
    """
    there = {
        ending: path
        for ending in (*MATRICES, *TEXTS)
        for split in reversed(SPLITS)
        for suffix in SUFFIXES
        if (path := folder / f"{split}.{ending}{suffix}").is_file()
    }
    matrices = [there[ending].name for ending in MATRICES if ending in there]
    if len(matrices) > 1:
        raise DatasetError(
            f"{folder}: both {matrices[0]} and {matrices[1]} exist, in different formats; remove one of them."
        )
    return next(iter(there), None)


def find_file(folder: Path, name: str) -> Path | None:
    """Find a file that may be compressed.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    name : str
        Its name without ``.gz``, ``.bz2`` or ``.xz``.

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


def read_knowledge(path: Path) -> LabelKnowledge:
    """Read what a JSON-lines file says about labels, one object a label.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    LabelKnowledge
        Names, synonyms and parents.

    Raises
    ------
    DatasetError
        If a line is no JSON object with a name, or the knowledge contradicts itself.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/labels.jsonl").write_text('{"name": "aid", "alt_names": ["help"]}')
    ...     read_knowledge(Path(f"{folder}/labels.jsonl"))
    LabelKnowledge(1 label, 1 synonym, 0 parents)
    """
    names: list[str] = []
    synonyms: list[list[str]] = []
    parents: list[list[int | str]] = []

    def _parse(label):
        if label.get("label", len(names)) != len(names):
            raise DatasetError(
                f"says label {str(label['label'])[:40]}, but labels are numbered from 0 in order."
            )
        if not isinstance(label.get("name"), str):
            raise DatasetError("not a JSON object with the text 'name'.")
        names.append(label["name"])
        synonyms.append(label.get("alt_names", []))
        parents.append(label["parent_labels"] if "parent_labels" in label else label.get("parents", []))

    for _ in iter_objects(path, _parse):
        pass
    try:
        return LabelKnowledge(names, synonyms=synonyms, parents=parents, allow_repeated_names=True)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


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
            embedded = (folder / "corpus.json").is_file()  # cached there, but reached by its own name
            if not embedded and any(_has_splits(folder, ending) for ending in (*MATRICES, *TEXTS)):
                found.append(folder.name)
    return found


def _has_splits(folder, ending):
    """Tell whether a folder has a train and a test split in a format."""
    files = ([folder / f"{split}.{ending}{suffix}" for suffix in SUFFIXES] for split in ("train", "test"))
    return all(any(path.is_file() for path in paths) for paths in files)


class _Attempts:
    """Calls functions and hands their errors on; the result is None where there was one."""

    def __init__(self, on_error):
        self._on_error = on_error

    def __call__(self, function, *args):
        try:
            return function(*args)
        except DatasetError as error:
            self._on_error(error, None)


class _CountedErrors:
    """Hands errors on and counts those of rows."""

    def __init__(self, on_error):
        self._on_error, self.rows = on_error, 0

    def __call__(self, error, row):
        self.rows += row is not None
        self._on_error(error, row)


def _find_splits(folder, ending, on_error):
    """Return the files of the splits; train and test must be there."""
    paths = {}
    for split in SPLITS:
        try:
            path = find_file(folder, f"{split}.{ending}")
            if path is None and split != "dev":
                raise DatasetError(
                    f"{folder / split}.{ending}{'.gz' if ending == 'txt' else ''}: the {split} split is "
                    "missing; put it there (`adathresh data list` shows what can be fetched instead)."
                )
        except DatasetError as error:
            on_error(error, None)
        else:
            if path:
                paths[split] = path
    whole = {split: find_file(folder, f"{split}.full.jsonl") for split in paths}
    if any(whole.values()) and not all(whole.values()):
        there = next(path for path in whole.values() if path)
        missing = next(split for split, path in whole.items() if not path)
        error = DatasetError(
            f"{folder}: {there.name} is there, but {missing}.full.jsonl.gz is not, so that some texts would "
            "be whole and others not; add it, or remove the other."
        )
        on_error(error, None)
    return paths


def _read_split(folder, split, path, ending, progress, on_error):
    """Read the rows of one split, with their texts and groups."""
    rows = (MATRICES | TEXTS)[ending](path, progress, on_error)
    whole, cut = find_file(folder, f"{split}.full.jsonl"), find_file(folder, f"{split}.jsonl")
    extra = whole or cut or find_file(folder, f"{split}.texts.txt")
    if ending in MATRICES and extra:
        if whole or cut:
            found = load_jsonl(extra, whole=bool(whole), labelled=False, on_error=_of_no_row(on_error))
            texts, titles = found.texts, found.titles
        else:
            texts, titles = read_lines(extra, on_error=_of_no_row(on_error)), None
        if _as_long(extra, texts, path, rows, on_error):
            rows = rows._replace(texts=texts, titles=titles)
    groups = find_file(folder, f"{split}.groups.txt")
    names = groups and read_lines(groups, on_error=_of_no_row(on_error))
    if groups and not _as_long(groups, names, path, rows, on_error):
        names = None
    return rows, None if names is None else np.array(names)


def _of_no_row(on_error):
    """Hand errors of texts and groups on; the rows that they belong to have their labels and features."""
    return lambda error, row: on_error(error, None)


def _as_long(extra, content, path, rows, on_error):
    """Tell whether a further file has as many rows as that of the matrices."""
    n_rows = rows.Y.shape[0]
    if len(content) != n_rows:
        on_error(DatasetError(f"{extra} has {len(content)} rows, but {path} has {n_rows}."), None)
    return len(content) == n_rows


def _fit_labels(rows, paths, ending, declared, on_error):
    """Give the labels of all splits the same columns, and return their names where the files have any."""
    named = {split: part for split, part in rows.items() if part.label_names is not None}
    if named:
        numbered = [split for split, part in rows.items() if split not in named and part.Y.shape[1]]
        if numbered:
            raise DatasetError(
                f"{paths[next(iter(named))]} names its labels, but {paths[numbered[0]]} numbers them; do one "
                "or the other in all splits."
            )
        path, names = declared
        if names is None:
            lists = [part.label_names for part in named.values()]
            same = all(names == lists[0] for names in lists)
            path, names = None, lists[0] if same else sorted(set().union(*lists))
        number_of = {name: number for number, name in enumerate(names)}
        if len(number_of) < len(names):
            twice = next(name for number, name in enumerate(names) if number_of[name] != number)
            raise DatasetError(f"{path} names two labels {twice[:40]!r}; remove one of them.")
        for split, part in rows.items():
            unknown = [name for name in part.label_names or () if name not in number_of]
            if unknown:
                others = f" (and {len(unknown) - 1:,} others)" if len(unknown) > 1 else ""
                error = DatasetError(
                    f"{paths[split]}: label {unknown[0][:40]!r}{others} is not among those of {path}; add or "
                    f"correct it.{did_you_mean(unknown[0][:40], number_of)}"
                )
                on_error(error, None)
            rows[split] = part._replace(Y=_renamed(part, number_of))
        return list(names)
    if ending in OF_ANY_WIDTH:
        path, names = declared
        width = max(len(names or ()), *(part.Y.shape[1] for part in rows.values()))
        for part in rows.values():
            part.Y.resize(part.Y.shape[0], width)
    return None


def _renamed(part, number_of):
    """Return the labels of a split in the columns that their names have in all splits."""
    column = np.array([number_of.get(name, -1) for name in part.label_names or ()], dtype=np.int32)
    Y = part.Y.tocoo()
    columns = column[Y.col]
    known = columns >= 0
    cells = (Y.row[known], columns[known])
    return sp.csr_array((Y.data[known], cells), shape=(Y.shape[0], len(number_of)))


def _fit_features(rows, paths, ending, folder):
    """Give the features of all splits the same columns, and return their names where the files have any."""
    if ending in TEXTS:
        if (folder / "features.txt").exists():
            raise DatasetError(
                f"{folder / 'features.txt'} names features, but they are made of the texts; remove it."
            )
        if "train" not in rows:
            return None
        texts = {split: part.texts for split, part in rows.items()}
        try:
            matrices, names = word_features(texts)
        except ValueError as error:
            raise DatasetError(f"{paths['train']}: no features can be made of the texts: {error}") from error
        for split, X in matrices.items():
            rows[split] = rows[split]._replace(X=X)
        return names
    first = next(iter(rows))
    if ending in OF_ANY_WIDTH:
        lines = _read_names(folder / "features.txt", lambda *_: None)  # errors are told later
        width = max(len(lines or ()), *(part.X.shape[1] for part in rows.values()))
        for part in rows.values():
            part.X.resize(part.X.shape[0], width)
    for split, part in rows.items():
        if part.feature_names != rows[first].feature_names:
            raise DatasetError(f"{paths[split]} has other features than {paths[first]}, or another order.")
        if (part.X.shape[1], part.Y.shape[1]) != (rows[first].X.shape[1], rows[first].Y.shape[1]):
            raise DatasetError(
                f"{paths[split]} has {part.X.shape[1]} features and {part.Y.shape[1]} labels, "
                f"but {paths[first]} has {rows[first].X.shape[1]} and {rows[first].Y.shape[1]}."
            )
    return rows[first].feature_names


def _width(part):
    """Return the number of features, 0 where none could be made."""
    return 0 if part.X is None else part.X.shape[1]


def _split(part, groups):
    """Return rows as a split."""
    X = sp.csr_array((part.Y.shape[0], 0), dtype=np.float32) if part.X is None else part.X
    return Split(X=X, Y=part.Y, texts=part.texts, titles=part.titles, groups=groups)


def _read_any_knowledge(folder):
    """Read what is known about the labels, if there is such a file."""
    path = find_file(folder, "labels.jsonl")
    return path and read_knowledge(path)


def _read_names(path, on_error):
    """Read the names of columns, if there is such a file."""
    return read_lines(path, on_error=on_error) if path.exists() else None


def _knowledge_of_files(rows, label_names, named):
    """Return what parents, and names of the labels of texts, say; None where those are only numbers."""
    if rows.parents and rows.label_names == label_names:
        return LabelKnowledge(label_names, parents=rows.parents)
    names = [name if any(map(str.isalpha, name)) else "" for name in label_names]
    if named and rows.texts is not None and any(names):
        return LabelKnowledge(names, allow_repeated_names=True)
    return None


def _names(path, names, width, kind):
    """Return the names, which must be one a column, or invent them where there are none."""
    if names is None:
        if width > MOST_INVENTED:
            raise DatasetError(
                f"{path} is missing, and {width:,} {kind}s are more than the {MOST_INVENTED:,} for which "
                "names are invented; write that file, a name a line, or raise "
                "adathresh.datasets.folders.MOST_INVENTED."
            )
        return [f"{kind}_{number}" for number in range(width)]
    if len(names) != width:
        raise DatasetError(f"{path} names {len(names)} {kind}s, but the matrices have {width}.")
    return list(names)
