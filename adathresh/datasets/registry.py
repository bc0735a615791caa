"""Data sets by name: the embedded corpora, and the folders that lie in the data folder."""

from pathlib import Path

import numpy as np

from adathresh.datasets.dataset import Dataset, fingerprint
from adathresh.datasets.downloads import ELSEWHERE, SOURCES, description_of
from adathresh.datasets.folders import available, read_folder
from adathresh.datasets.formats import DatasetError
from adathresh.datasets.pyapi import CORPORA, cached_corpus
from adathresh.datasets.splits import group_split
from adathresh.utils.files import PathLike, data_folder
from adathresh.utils.parameters import check_value, number, optional, path, whole
from adathresh.utils.suggest import did_you_mean
from adathresh.utils.texts import check_text


def load_dataset(
    name: str = "pyapi",
    *,
    data_dir: PathLike | None = None,
    validation_fraction: float = 0.15,
    random_state: int = 0,
    progress: bool = True,
) -> Dataset:
    """Load a data set by name.

    Any folder ``<data_dir>/<name>`` that holds ``train`` and ``test`` with the same ending is a data set. The
    ending tells the format: ``.txt`` is that of the Extreme Classification Repository (:func:`load_xc`),
    ``.svm`` LIBSVM lines (:func:`load_svmlight_multilabel`), ``.arff`` with ``labels.xml`` that of Mulan
    (:func:`load_arff`), ``.X.npz`` with ``.Y.npz`` sparse matrices (:func:`load_npz`). Without any of these,
    ``.jsonl`` (:func:`load_jsonl`) or ``.texts.txt`` with ``.labels.txt`` (:func:`load_text_lines`) are texts
    with labels, of whose words features are made. ``.gz``, ``.bz2`` or ``.xz`` may follow text files.

    A ``dev`` split, texts beside features (``<split>.jsonl``, one object with the key "text", and perhaps
    "title", per row; or ``<split>.texts.txt``), groups (``<split>.groups.txt``, one name per row),
    ``labels.txt`` and ``features.txt`` (one name per column) are optional. So are two files for rare labels:
    ``<split>.full.jsonl`` (one object per row: "title" and further parts of the text, each a string or a list
    of strings; "uid", "type" and "labels" are no text) takes the place of the shorter texts, and
    ``labels.jsonl`` (one object per label, in order: "name", and perhaps "alt_names" and "parents", by name,
    or "parent_labels", by number) gives the label knowledge, which otherwise are the names of the labels
    where the rows are texts. The names "pyapi" and "pyapi-large" are the embedded corpora, which are built
    from the sources of installed packages and need no folder (see :mod:`adathresh.datasets.pyapi`).

    Parameters
    ----------
    name : str, default="pyapi"
        The name of the folder, or of an embedded corpus.
    data_dir : str or path-like, optional
        The data folder, which holds the folders of the data sets; by default the environment variable
        ADATHRESH_DATA, else the platform's cache folder.
    validation_fraction : float, default=0.15
        Share of the training rows that become the validation split where there is no official one; whole
        groups stay together.
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
        If `name` is no text, `data_dir` no path, `validation_fraction` not a share of the rows, or
        `random_state` no whole number, at least 0.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from adathresh.datasets import make_longtail, save_xc
    >>> with TemporaryDirectory() as folder:
    ...     for split, n_rows in {"train": 100, "test": 50}.items():
    ...         save_xc(f"{folder}/toy/{split}.txt.gz", *make_longtail(n_rows, 90, 5))
    ...     load_dataset("toy", data_dir=folder)
    Dataset('toy': 85 / 15 / 50 rows (validation drawn from train), 90 features, 5 labels, fingerprint ...)
    """
    check_text(name, name="name")
    check_value("data_dir", data_dir, optional(path()))
    check_value("validation_fraction", validation_fraction, number(above=0, below=1))
    check_value("random_state", random_state, whole(0))
    folder, description = locate(name, data_dir, progress=progress)
    splits, label_names, feature_names, label_knowledge, _ = read_folder(folder, progress=progress)
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
        label_knowledge=label_knowledge,
    )


def locate(name: str, data_dir: PathLike | None = None, *, progress: bool = True) -> tuple[Path, str]:
    """Find the folder of a data set; an embedded corpus is built if need be.

    Parameters
    ----------
    name : str
        Name of the data set.
    data_dir : str or path-like, optional
        The data folder, see :func:`~adathresh.utils.files.data_folder`.
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

    Examples
    --------
    >>> locate("bibtext", "no/such/folder")
    Traceback (most recent call last):
    adathresh.datasets.formats.DatasetError: no/such/folder/bibtext: ... Did you mean 'bibtex'? ...
    """
    if name in CORPORA:
        return cached_corpus(name, progress=progress)
    if not name or name in (".", "..") or Path(name).name != name:
        raise DatasetError(
            f"{name!r} is not the name of a data set: give its folder's name, and where it lies apart."
        )
    folder = data_folder(data_dir) / name
    if not folder.is_dir():
        if name in SOURCES:
            mend = f" Fetch it with `adathresh data fetch {name}`"
        elif name in ELSEWHERE:
            mend = f" Put its files there, which come from {ELSEWHERE[name]}"
        else:
            mend = (
                f"{did_you_mean(name, known_names(data_dir))} For a new one, put train.txt.gz and "
                "test.txt.gz (Extreme Classification format) there"
            )
        raise DatasetError(
            f"{folder}: there is no such data folder.{mend}, or name the right place with --data-dir or "
            "ADATHRESH_DATA (`adathresh data list` shows what there is)."
        )
    return folder, description_of(folder)


def known_names(data_dir: PathLike | None = None) -> list[str]:
    """List the data sets that are embedded, lie in the data folder, or can be fetched.

    Parameters
    ----------
    data_dir : str or path-like, optional
        The data folder, see :func:`~adathresh.utils.files.data_folder`.

    Returns
    -------
    list of str
        Their names: the embedded ones first, the others sorted.

    Examples
    --------
    >>> known_names("no/such/folder")[:3]
    ['pyapi', 'pyapi-large', 'amazoncat-13k']
    """
    return [*CORPORA, *sorted({*available(data_dir), *SOURCES} - CORPORA.keys())]
