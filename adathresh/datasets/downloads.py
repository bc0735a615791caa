"""Data sets that can be fetched: their official addresses, the downloads and their conversion."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that another process writes cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

import numpy as np
import pooch

from adathresh.datasets.folders import find_file
from adathresh.datasets.formats import DatasetError, iter_lines, load_svmlight_multilabel, save_xc
from adathresh.datasets.pyapi import CORPORA
from adathresh.datasets.splits import group_split
from adathresh.datasets.texts import TextRow, write_text_folder
from adathresh.utils.files import DISK_ERRORS, PathLike, data_folder, remove_temporaries, whole_file
from adathresh.utils.progress import tqdm
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
    rows : dict of str to int
        Rows of each part, where a source that can be cited states them; a file must have at least as many.
    sha256 : dict of str to str
        SHA-256 of each part, where it is known beforehand. The page states none.

    Examples
    --------
    >>> Source(description="Genes.", files={"all": "genes.svm.bz2"}).texts
    False
    """

    description: str
    files: dict[str, str]
    texts: bool = False
    rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    sha256: Mapping[str, str] = dataclasses.field(default_factory=dict)


OFFICIAL_URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multilabel/"
BASE_URL = OFFICIAL_URL
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
        files={"train": "rcv1_topics_train.svm.bz2", "test": "rcv1_topics_combined_test.svm.bz2"},
        rows={"train": 23_149, "test": 781_265},  # Lewis et al., JMLR 5 (2004)
    ),
    "bibtex": Source(
        description="Bookmarked publications with tags (no official split: one third is drawn as test).",
        files={"all": "bibtex.bz2"},
        rows={"all": 7_395},  # the Extreme Classification Repository has 4,880 + 2,515
    ),
    "yeast": Source(
        description="Genes with functional classes, described by expression profiles.",
        files={"train": "yeast_train.svm.bz2", "test": "yeast_test.svm.bz2"},
        rows={"train": 1_500, "test": 917},  # the split of Mulan's copy
    ),
    "tmc2007": Source(
        description="Aviation safety reports with problem types (SIAM text mining competition 2007).",
        files={"train": "tmc2007_train.svm.bz2", "test": "tmc2007_test.svm.bz2"},
    ),
}

_MULAN = "https://github.com/tsoumakas/mulan (data/multi-label)"
ELSEWHERE = {
    "corel5k": _MULAN,
    "delicious": _MULAN,
    "emotions": _MULAN,
    "goemotions": "https://github.com/monologg/GoEmotions-pytorch",
    "reuters21578": "https://github.com/wuodar/reuters_text_classification",
    "scene": _MULAN,
}
"""Where the other data sets of the published results come from; docs/data.md tells how each was made."""


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

    A download counts only when it has the length that the server announced and reads as the data set that it
    should be, with as many rows as are known of it; a page that asks to log in, or half a file, is
    refused and leaves nothing behind. The publisher gives no checksums: the SHA-256 of each file is recorded
    in ``source.json`` once the file was read, and required ever after, so that a file that is damaged or
    replaced later is noticed.

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
        If the name is none of ``SOURCES``, a download fails or is not the data set, a file
        differs from its checksum, ``source.json`` is damaged, or another process fetches the same data set.
    OSError
        If the disk is full; the error names the file.

    Examples
    --------
    >>> fetch("bibtex", "data").name  # doctest: +SKIP
    'bibtex'
    >>> fetch("bibtext")
    Traceback (most recent call last):
    adathresh.datasets.formats.DatasetError: 'bibtext' cannot be fetched. Did you mean 'bibtex'? ...
    """
    folder = data_folder(data_dir) / name
    if name in CORPORA:
        raise DatasetError(f"{name!r} needs no fetching: it is made of installed packages when it is loaded.")
    if name in ELSEWHERE:
        raise DatasetError(
            f"{name!r} cannot be fetched. It comes from {ELSEWHERE[name]}: put its files into {folder}, and "
            f"`adathresh data check {name}` says what is wrong with them."
        )
    if name not in SOURCES:
        raise DatasetError(
            f"{name!r} cannot be fetched.{did_you_mean(name, (*CORPORA, *SOURCES, *ELSEWHERE))} "
            f"Data sets with an official address are {', '.join(SOURCES)}."
        )
    source = SOURCES[name]
    record = folder / "source.json"
    splits = ({*source.files} - {"all"}) | {"train", "test"}
    complete = all(find_file(folder, f"{split}.txt") for split in splits)
    if complete and not record.exists():
        return folder
    (folder / "downloads").mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        contents = {
            part: _obtain(source, part, folder / "downloads", record, unread=complete, progress=progress)
            for part in source.files
        }
        if not complete:
            (_convert_texts if source.texts else _convert_features)(folder, contents, progress)
    return folder


@contextlib.contextmanager
def _alone(folder):
    """Keep other processes from fetching into the same folder; the system ends this with the process."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(
                f"{folder}: another process is fetching this data set; wait for it, then try again."
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def _obtain(source, part, folder, record, *, unread, progress):
    """Return the content of a file that is here or is downloaded, verified and recorded.

    None: the file is here, as it was recorded, and need not be read.
    """
    file = source.files[part]
    path, url = folder / file, BASE_URL + file
    remove_temporaries(path)
    recorded = _recorded(record).get(file, {}).get("sha256")
    expected = source.sha256.get(part, recorded)
    if path.exists():
        found = pooch.file_hash(str(path))
        if unread and found == recorded == expected:
            return None
        if expected in (None, found):
            with contextlib.suppress(DatasetError):
                content = _read(source, part, path, progress)
                _record(record, file, url, path, found)
                return content
            expected = source.sha256.get(part)  # what was recorded is no data set, as of a page in its place
    with whole_file(path) as temporary:
        _download(url, temporary, progress)
        found = pooch.file_hash(str(temporary))
        if expected not in (None, found):
            raise DatasetError(
                f"{url} is not the file whose checksum {record} remembers; if the publisher replaced it, "
                f"remove {folder.parent} and fetch again."
                if expected == recorded
                else f"{url} is not the file that is known under this name: its SHA-256 is {found}."
            )
        try:
            content = _read(source, part, temporary, progress)
        except DatasetError as error:
            raise DatasetError(
                f"{url} did not send the data set ({error}); try again later, or put the file into {folder} "
                "by hand."
            ) from error
    _record(record, file, url, path, found)
    return content


def _download(url, path, progress):
    """Download a file and check its length."""
    bar = _Bar(Path(url).name, progress)
    download = pooch.HTTPDownloader(progressbar=bar, headers={"Accept-Encoding": "identity"})
    try:
        download(url, str(path), None)
    except OSError as error:
        if error.errno in DISK_ERRORS or error.filename is not None:
            raise  # of this disk, not of the net
        raise DatasetError(
            f"{url} cannot be downloaded ({error}); try again, or put the file into {path.parent} by hand."
        ) from error
    if bar.total and path.stat().st_size != bar.total:
        raise DatasetError(
            f"{url} was cut off after {path.stat().st_size:,} of {bar.total:,} bytes; try again, or put the "
            f"file into {path.parent} by hand."
        )


class _Bar:
    """Shows the progress of a download and remembers the length that the server announced."""

    def __init__(self, name, progress):
        self.total = 0
        self._bar = tqdm(desc=name, unit="B", unit_scale=True, disable=not progress)

    def update(self, count):
        """Count bytes."""
        self._bar.total = self.total
        self._bar.update(count)

    def reset(self):
        """Start anew, as pooch does before it counts all bytes at the end."""
        self._bar.reset(total=self.total)

    def close(self):
        """End the line."""
        self._bar.close()


def _recorded(record):
    """Return what is recorded of each file."""
    if not record.exists():
        return {}
    try:
        known = json.loads(record.read_bytes())
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or not all(isinstance(entry, dict) for entry in known.values()):
        raise DatasetError(
            f"{record} is damaged: it does not tell what the downloaded files were. Remove it, and they are "
            "read and recorded anew."
        )
    return known


def _record(record, file, url, path, sha256):
    """Record what a file was, unless it is known."""
    known = _recorded(record)
    entry = {"url": url, "sha256": sha256, "bytes": path.stat().st_size}
    if known.get(file) != entry:
        with whole_file(record) as temporary:
            temporary.write_text(json.dumps(known | {file: entry}, indent=1))


def _read(source, part, path, progress):
    """Read a file as what it should be, and count its rows."""
    if source.texts:
        content = _read_texts(path)
        n_rows = len(content)
    else:
        content = load_svmlight_multilabel(path, progress=progress)
        n_rows = content[0].shape[0]
    stated = source.rows.get(part, 1) if BASE_URL == OFFICIAL_URL else 1
    if n_rows < stated:
        raise DatasetError(f"{path} has {n_rows} rows, not {stated}: it was cut, or replaced.")
    return content


def _convert_features(folder, loaded, progress):
    """Write features and labels as splits of common width."""
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


def _read_texts(path):
    """Read lines of ``id <tab> labels <tab> text``."""
    rows = []
    for number, line in enumerate(iter_lines(path), 1):
        words = line.decode("utf-8", "replace").rstrip("\r\n").split("\t", 2)
        if len(words) != 3:
            raise DatasetError(f"{path}, line {number}: expected an id, labels and a text, parted by tabs.")
        rows.append(TextRow(uid=words[0], text=words[2], labels=tuple(sorted(set(words[1].split())))))
    return rows


def _convert_texts(folder, splits, progress):
    """Write texts as splits with TF-IDF features."""
    label_names = sorted({label for rows in splits.values() for row in rows for label in row.labels})
    write_text_folder(folder, splits, label_names, min_df=3, max_features=50_000, progress=progress)
