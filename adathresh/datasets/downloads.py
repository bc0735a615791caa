"""Data sets that can be fetched: their official addresses, the downloads and their conversion."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pooch

from adathresh.datasets.folders import find_file, iter_lines
from adathresh.datasets.formats import DatasetError, load_svmlight_multilabel, save_xc
from adathresh.datasets.splits import group_split
from adathresh.datasets.texts import TextRow, write_text_folder
from adathresh.utils.files import PathLike, data_folder, whole_file
from adathresh.utils.suggest import did_you_mean


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

    Examples
    --------
    >>> Source(description="Genes.", files={"all": "genes.svm.bz2"}).texts
    False
    """

    description: str
    files: dict[str, str]
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


def description_of(folder: Path) -> str:
    """Describe a data folder that was fetched.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    str
        What the rows are, or nothing for a folder that was filled by other means.

    Examples
    --------
    >>> description_of(Path("no/such/folder"))
    ''
    """
    fetched = folder.name in SOURCES and (folder / "source.json").exists()
    return SOURCES[folder.name].description if fetched else ""


def fetch(name: str, data_dir: PathLike | None = None, *, progress: bool = True) -> Path:
    """Download a data set and convert it to the folder layout of :func:`load_dataset`.

    The publisher gives no checksums. The SHA-256 of each file is therefore recorded at its first download in
    ``source.json`` and required ever after: a file that was damaged or replaced later is noticed, one that
    was wrong from the start is not.

    Parameters
    ----------
    name : str
        One of the names in ``SOURCES``.
    data_dir : str or path-like, optional
        The data folder, see :func:`~adathresh.utils.files.data_folder`.
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

    Examples
    --------
    >>> fetch("bibtex", "data").name  # doctest: +SKIP
    'bibtex'
    >>> fetch("bibtext")
    Traceback (most recent call last):
    adathresh.datasets.formats.DatasetError: 'bibtext' cannot be fetched. Did you mean 'bibtex'? ...
    """
    if name not in SOURCES:
        raise DatasetError(
            f"{name!r} cannot be fetched.{did_you_mean(name, SOURCES)} "
            f"Data sets with an official address are {', '.join(SOURCES)}."
        )
    source, folder = SOURCES[name], data_folder(data_dir) / name
    record = folder / "source.json"
    splits = ({*source.files} - {"all"}) | {"train", "test"}
    complete = all(find_file(folder, f"{split}.txt") for split in splits)
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
    with whole_file(record) as temporary:
        temporary.write_text(json.dumps(known, indent=1))
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
        for number, line in enumerate(iter_lines(path), 1):
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
