"""Data sets by name: folders of split files, and the downloads that fill them."""

import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pooch
import scipy.sparse as sp

from adathresh.datasets.formats import (
    DatasetError,
    atomic_open,
    decompressed,
    load_svmlight_multilabel,
    load_xc,
    read_errors,
    save_xc,
)
from adathresh.datasets.splits import group_split
from adathresh.datasets.texts import TextRow, write_text_folder
from adathresh.utils.equality import digest, folded, row_contents

SPLITS = ("train", "dev", "test")  # as files and tables call them
SUFFIXES = (".gz", ".bz2", "")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The rows of one split.

    Attributes
    ----------
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features, float32.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels, stored ones in float32.
    texts : list of str or None
        The rows as text, where the data set has it.
    groups : numpy.ndarray of shape (n_samples,) or None
        Rows of one group (here: functions of one source file) must not be parted by cross-fitting.
    """

    X: sp.csr_array
    Y: sp.csr_array
    texts: list | None = None
    groups: np.ndarray | None = None

    def take(self, rows):
        """Return some of the rows.

        Parameters
        ----------
        rows : numpy.ndarray of int
            Row numbers.

        Returns
        -------
        Split
            Those rows, in that order.
        """
        return Split(
            X=self.X[rows],
            Y=self.Y[rows],
            texts=None if self.texts is None else [self.texts[row] for row in rows],
            groups=None if self.groups is None else self.groups[rows],
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """A multi-label data set in three splits.

    Attributes
    ----------
    name : str
        Name of the data set.
    train, validation, test : Split
        Features, labels and, where the data set has them, texts and groups of the rows.
    label_names, feature_names : list of str
        Names of the columns of Y and X; invented from their numbers where the data set has none.
    fingerprint : str
        SHA-256, in hexadecimal, over the matrices and texts of all three splits.
    validation_source : {"official", "drawn from train"}
        Where the validation split comes from.
    description : str
        What the rows are, in a sentence or two.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: list
    feature_names: list
    fingerprint: str
    validation_source: str
    description: str = ""

    @property
    def splits(self):
        """Return the three splits by the names that files and tables give them.

        Returns
        -------
        dict of str to Split
            "train", "dev" and "test".
        """
        return {"train": self.train, "dev": self.validation, "test": self.test}

    def __repr__(self):
        rows = " / ".join(str(rows.X.shape[0]) for rows in self.splits.values())
        return (
            f"Dataset({self.name!r}: {rows} rows (validation {self.validation_source}), "
            f"{self.train.X.shape[1]} features, {self.train.Y.shape[1]} labels, "
            f"fingerprint {self.fingerprint[:12]})"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where a data set can be downloaded.

    Attributes
    ----------
    description : str
        What the rows are.
    files : dict of str to str
        File name on the LIBSVM page for each part: train, dev and test, or all.
    texts : bool
        Whether the files hold ``id <tab> labels <tab> text`` instead of features.
    """

    description: str
    files: dict
    texts: bool = False


BASE_URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multilabel/"
SOURCES = {
    "amazoncat-13k": Source(
        description="Amazon product descriptions with 13,330 categories (AmazonCat-13K, TF-IDF features).",
        files={
            "train": "AmazonCat-13K_tfidf_train_ver1.svm.bz2",
            "test": "AmazonCat-13K_tfidf_test_ver1.svm.bz2",
        },
    ),
    "wiki10-31k": Source(
        description="Wikipedia articles with social tags (Wiki10-31K, TF-IDF features).",
        files={"train": "wiki10_31k_tfidf_train.svm.bz2", "test": "wiki10_31k_tfidf_test.svm.bz2"},
    ),
    "eurlex57k": Source(
        description="EU law with EuroVoc descriptors (EURLEX57K, TF-IDF of the training texts).",
        files={
            "train": "eurlex57k_raw_texts_train.txt.bz2",
            "dev": "eurlex57k_raw_texts_valid.txt.bz2",
            "test": "eurlex57k_raw_texts_test.txt.bz2",
        },
        texts=True,
    ),
    "rcv1": Source(
        description="Reuters news with topic codes (RCV1-v2, TF-IDF features).",
        files={"train": "rcv1_topics_train.svm.bz2", "test": "rcv1_topics_test.svm.bz2"},
    ),
    "bibtex": Source(
        description="Bookmarked publications with tags (no official split: one third is drawn as test).",
        files={"all": "bibtex.bz2"},
    ),
    "yeast": Source(
        description="Genes with functional classes, described by expression profiles.",
        files={"train": "yeast_train.svm.bz2", "test": "yeast_test.svm.bz2"},
    ),
    "tmc2007": Source(
        description="Aviation safety reports with problem types (SIAM text mining competition 2007).",
        files={"train": "tmc2007_train.svm.bz2", "test": "tmc2007_test.svm.bz2"},
    ),
}


def data_folder(data_dir=None):
    """Return the folder that holds the data sets.

    Parameters
    ----------
    data_dir : str or path-like, optional
        The folder; by default the environment variable ADATHRESH_DATA, else the platform's cache folder.

    Returns
    -------
    pathlib.Path
        The folder, which need not exist.
    """
    return Path(data_dir or os.environ.get("ADATHRESH_DATA") or pooch.os_cache("adathresh")).expanduser()


def load_dataset(name="pyapi", *, data_dir=None, validation_fraction=0.15, random_state=0, progress=True):
    """Load a data set by name.

    Any folder ``<data_dir>/<name>`` that holds ``train.txt.gz`` and ``test.txt.gz`` in the Extreme
    Classification format is a data set (``.txt.bz2`` and ``.txt`` do as well). ``dev.txt.gz``, texts
    (``<split>.jsonl.gz``, one object with the key "text" per row), groups (``<split>.groups.txt.gz``, one
    name per row), ``labels.txt`` and ``features.txt`` (one name per column) are optional. The name "pyapi" is
    the embedded corpus, which is built from the installed packages and needs no folder.

    Parameters
    ----------
    name : str, default="pyapi"
        The name of the folder.
    data_dir : str or path-like, optional
        Where the folders lie; by default the environment variable ADATHRESH_DATA, else the platform's cache
        folder.
    validation_fraction : float, default=0.15
        Share of the training rows that become the validation split where there is no official one; whole groups stay
        together.
    random_state : int, default=0
        Seed of that draw.
    progress : bool, default=True
        Whether to show progress while something large is read or built.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    DatasetError
        If the folder or one of its files is missing, malformed, or does not fit the others.
    ValueError
        If `validation_fraction` is not a share of the rows.

    Examples
    --------
    >>> ds = load_dataset("eurlex57k", data_dir="data")  # doctest: +SKIP
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction must lie between 0 and 1; got {validation_fraction}.")
    folder, description = locate(name, data_dir, progress=progress)
    splits, label_names, feature_names = read_folder(folder, progress=progress)
    validation_source = "official"
    if "dev" not in splits:
        train, validation_source = splits["train"], "drawn from train"
        groups = np.arange(train.X.shape[0]) if train.groups is None else train.groups
        try:
            kept, drawn = group_split(
                groups, (1 - validation_fraction, validation_fraction), random_state=random_state
            )
        except ValueError as error:
            raise DatasetError(
                f"{folder}: no validation split can be drawn from the training rows: {error}"
            ) from error
        splits = {"train": train.take(kept), "dev": train.take(drawn), "test": splits["test"]}
    return Dataset(
        name=name,
        train=splits["train"],
        validation=splits["dev"],
        test=splits["test"],
        label_names=label_names,
        feature_names=feature_names,
        fingerprint=fingerprint(splits),
        validation_source=validation_source,
        description=description,
    )


def locate(name, data_dir=None, *, progress=True):
    """Find the folder of a data set; the embedded corpus is built if need be.

    Parameters
    ----------
    name : str
        Name of the data set.
    data_dir : str or path-like, optional
        Where the folders lie, see :func:`data_folder`.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    folder : pathlib.Path
        The folder.
    description : str
        What the rows are, as far as known.

    Raises
    ------
    DatasetError
        If there is no such folder.
    """
    if name == "pyapi":
        from adathresh.datasets.pyapi import cached_corpus

        return cached_corpus(progress=progress)
    if not name or name in (".", "..") or Path(name).name != name:
        raise DatasetError(
            f"{name!r} is not the name of a data set: give its folder's name, and where it lies apart."
        )
    folder = data_folder(data_dir) / name
    if not folder.is_dir():
        mend = (
            f"fetch it with `adathresh data fetch {name}`"
            if name in SOURCES
            else "put train.txt.gz and test.txt.gz (Extreme Classification format) there"
        )
        raise DatasetError(
            f"{folder}: there is no such data folder; {mend}, or name the right place with --data-dir or "
            "ADATHRESH_DATA (`adathresh data list` shows what there is)."
        )
    return folder, description_of(folder)


def description_of(folder):
    """Describe a data folder that was fetched.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    str
        What the rows are, or nothing for a folder that was filled by other means.
    """
    fetched = folder.name in SOURCES and (folder / "source.json").exists()
    return SOURCES[folder.name].description if fetched else ""


def read_folder(folder, *, progress=True):
    """Read the files of a data set as they are, without drawing a validation split.

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
    """
    paths = {split: _find(folder, f"{split}.txt") for split in SPLITS}
    for split in ("train", "test"):
        if paths[split] is None:
            mend = f", or run `adathresh data fetch {folder.name}`" if folder.name in SOURCES else ""
            raise DatasetError(f"{folder / split}.txt.gz: the {split} split is missing; put it there{mend}.")
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


def _find(folder, name):
    """Return the one file of that name, compressed or not, or None."""
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise DatasetError(f"{folder}: both {found[0].name} and {found[1].name} exist; remove one of them.")
    return found[0] if found else None


def _read_split(folder, split, path, progress):
    """Read the matrices, texts and groups of one split."""
    X, Y = load_xc(path, progress=progress)
    texts, groups = _find(folder, f"{split}.jsonl"), _find(folder, f"{split}.groups.txt")
    text = texts and _read_texts(texts)
    names = groups and _read_lines(groups)
    for extra, content in ((texts, text), (groups, names)):
        if extra and len(content) != X.shape[0]:
            raise DatasetError(f"{extra} has {len(content)} rows, but {path} has {X.shape[0]}.")
    return Split(X=X, Y=Y, texts=text, groups=None if names is None else np.array(names))


def _lines(path):
    """Yield the lines of a file, compressed or not."""
    with open(path, "rb") as raw, read_errors(path), decompressed(path, raw) as stream:
        yield from stream


def _read_lines(path):
    """Read the lines of a text file."""
    lines = []
    for number, line in enumerate(_lines(path), 1):
        try:
            lines.append(line.decode().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}, line {number}: not UTF-8 text.") from error
    return lines


def _read_texts(path):
    """Read the texts of a JSON-lines file."""
    texts = []
    for number, line in enumerate(_lines(path), 1):
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


def fingerprint(splits):
    """Hash the content of a data set.

    Parameters
    ----------
    splits : dict of str to Split
        The splits.

    Returns
    -------
    str
        SHA-256, in hexadecimal, over shapes, indices, values and texts, independent of machine and process.
    """
    digest = hashlib.sha256()
    for split in SPLITS:
        rows = splits[split]
        for matrix in (rows.X, rows.Y):
            digest.update(np.array(matrix.shape, dtype="<i8").tobytes())
            digest.update(matrix.indptr.astype("<i8").tobytes())
            digest.update(matrix.indices.astype("<i4").tobytes())
            digest.update(matrix.data.astype("<f4").tobytes())
        for text in rows.texts or ():
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()


def statistics(ds):
    """Describe a data set in numbers.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    dict of str to int or float
        Sizes, labels and features a row, the long tail (labels by number of training rows), the ceiling of
        macro-F1 (share of labels with a test row: the others have F1 = 0 for any prediction), rows without
        labels or features, and rows whose features, or texts up to case and white space, occur in train as
        well.

    Examples
    --------
    >>> statistics(ds)["n_labels"]  # doctest: +SKIP
    """
    return describe(ds.splits)


def describe(splits):
    """Describe splits in numbers; see :func:`statistics`.

    Parameters
    ----------
    splits : dict of str to Split
        Train, test and perhaps dev.

    Returns
    -------
    dict of str to int or float
        The numbers.
    """
    train = splits["train"]
    frequency = np.bincount(train.Y.indices, minlength=train.Y.shape[1])
    in_test = np.bincount(splits["test"].Y.indices, minlength=train.Y.shape[1]) > 0
    numbers = {f"n_{split}": rows.X.shape[0] for split, rows in splits.items()}
    numbers |= {
        "n_features": train.X.shape[1],
        "n_labels": train.Y.shape[1],
        "features_per_row": train.X.nnz / train.X.shape[0],
    }
    numbers |= {f"labels_per_row_{split}": rows.Y.nnz / rows.Y.shape[0] for split, rows in splits.items()}
    numbers |= {
        "rows_per_label": train.Y.nnz / train.Y.shape[1] if train.Y.shape[1] else 0.0,
        "median_rows_per_label": float(np.median(frequency)) if frequency.size else 0.0,
        "largest_label": int(frequency.max(initial=0)),
        "labels_without_train_rows": int((frequency == 0).sum()),
        "labels_with_1_to_5_train_rows": int(((frequency >= 1) & (frequency <= 5)).sum()),
        "labels_with_at_most_5_train_rows": int((frequency <= 5).sum()),
        "labels_without_test_rows": int((~in_test).sum()),
        "macro_f1_ceiling": float(in_test.mean()) if in_test.size else 0.0,
    }
    keys = {digest(content) for content in row_contents(train.X)}
    texts = {folded(text) for text in train.texts or ()}
    for split, rows in splits.items():
        numbers[f"unlabelled_{split}"] = int((np.diff(rows.Y.indptr) == 0).sum())
        numbers[f"featureless_{split}"] = int((np.diff(rows.X.indptr) == 0).sum())
        if split != "train":
            seen = (digest(content) in keys for content in row_contents(rows.X))
            numbers[f"{split}_rows_seen_in_train"] = sum(seen)
            if texts and rows.texts:
                numbers[f"{split}_texts_seen_in_train"] = sum(folded(text) in texts for text in rows.texts)
    return numbers


def check(name, data_dir=None, *, progress=True):
    """Read every file of a data set and describe it as it is, before any validation split is drawn.

    Parameters
    ----------
    name : str
        Name of the data set.
    data_dir : str or path-like, optional
        Where the folders lie, see :func:`data_folder`.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    dict of str to int or float
        What :func:`statistics` says.

    Raises
    ------
    DatasetError
        If a file is missing, malformed, or does not fit the others.
    """
    folder, _ = locate(name, data_dir, progress=progress)
    return describe(read_folder(folder, progress=progress)[0])


def fetch(name, data_dir=None, *, progress=True):
    """Download a data set and convert it to the folder layout of :func:`load_dataset`.

    The publisher gives no checksums. The SHA-256 of each file is therefore recorded at its first download in
    ``source.json`` and required ever after: a file that was damaged or replaced later is noticed, one that
    was wrong from the start is not.

    Parameters
    ----------
    name : str
        One of the names in ``SOURCES``.
    data_dir : str or path-like, optional
        Where the folders lie, see :func:`data_folder`.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    pathlib.Path
        The data set's folder. A folder that was filled by other means is left as it is.

    Raises
    ------
    DatasetError
        If the name is unknown, a download fails, or a file differs from its recorded checksum.
    """
    if name not in SOURCES:
        raise DatasetError(f"{name!r} is no data set that can be fetched; those are {', '.join(SOURCES)}.")
    source, folder = SOURCES[name], data_folder(data_dir) / name
    record = folder / "source.json"
    complete = all(_find(folder, f"{split}.txt") for split in ({*source.files} - {"all"}) | {"train", "test"})
    if complete and not record.exists():
        return folder
    (folder / "downloads").mkdir(parents=True, exist_ok=True)
    raw = {
        part: _download(file, folder / "downloads", record, progress) for part, file in source.files.items()
    }
    if not complete:
        (_convert_texts if source.texts else _convert_features)(folder, raw, progress)
    return folder


def _download(file, folder, record, progress):
    """Download one file, or verify the one that is there, and record its checksum."""
    known = json.loads(record.read_text()) if record.exists() else {}
    url = BASE_URL + file
    expected = known.get(file, {}).get("sha256")
    try:
        path = Path(pooch.retrieve(url, expected, fname=file, path=folder, progressbar=progress))
    except OSError as error:
        raise DatasetError(
            f"{url} cannot be downloaded ({error}); try again, or put the file into {folder} by hand."
        ) from error
    except ValueError as error:
        raise DatasetError(
            f"{url} is not the file whose checksum {record} remembers; if the publisher replaced it, "
            f"remove {folder.parent} and fetch again."
        ) from error
    known[file] = {"url": url, "sha256": pooch.file_hash(str(path)), "bytes": path.stat().st_size}
    with atomic_open(record) as stream:
        stream.write(json.dumps(known, indent=1).encode())
    return path


def _convert_features(folder, raw, progress):
    """Write LIBSVM files as splits of common width."""
    loaded = {part: load_svmlight_multilabel(path, progress=progress) for part, path in raw.items()}
    n_features = max(X.shape[1] for X, _ in loaded.values())
    n_labels = max(Y.shape[1] for _, Y in loaded.values())
    for X, Y in loaded.values():
        X.resize(X.shape[0], n_features)
        Y.resize(Y.shape[0], n_labels)
    if "all" in loaded:
        X, Y = loaded.pop("all")
        train, test = group_split(np.arange(X.shape[0]), (2 / 3, 1 / 3))
        loaded = {"train": (X[train], Y[train]), "test": (X[test], Y[test])}
    for split, (X, Y) in loaded.items():
        save_xc(folder / f"{split}.txt.gz", X, Y, progress=progress)


def _convert_texts(folder, raw, progress):
    """Write files of ``id <tab> labels <tab> text`` as splits with TF-IDF features."""
    splits = {}
    for split, path in raw.items():
        splits[split] = []
        for number, line in enumerate(_lines(path), 1):
            words = line.decode("utf-8", "replace").rstrip("\r\n").split("\t", 2)
            if len(words) != 3:
                raise DatasetError(
                    f"{path}, line {number}: expected an id, labels and a text, parted by tabs."
                )
            splits[split].append(
                TextRow(uid=words[0], text=words[2], labels=tuple(sorted(set(words[1].split()))))
            )
    label_names = sorted({label for rows in splits.values() for row in rows for label in row.labels})
    write_text_folder(folder, splits, label_names, min_df=3, max_features=50_000, progress=progress)


def available(data_dir=None):
    """List the data sets that can be loaded at once.

    Parameters
    ----------
    data_dir : str or path-like, optional
        Where the folders lie, see :func:`data_folder`.

    Returns
    -------
    list of str
        Names of the folders with a train and a test split, sorted.
    """
    found = []
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(data_folder(data_dir).iterdir()):
            # A corpus that is cached under its own name is reached as "pyapi".
            if folder.is_dir() and not folder.name.startswith("pyapi-"):
                splits = [
                    any((folder / f"{s}.txt{suffix}").is_file() for suffix in SUFFIXES)
                    for s in ("train", "test")
                ]
                found += [folder.name] * all(splits)
    return found
