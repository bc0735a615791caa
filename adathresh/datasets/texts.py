"""Corpora of texts, written as data folders with TF-IDF features."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from adathresh.datasets.formats import as_features, open_compressed, save_xc
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.progress import tqdm
from adathresh.utils.texts import word_vectorizer

DECIMALS = 4  # the last bits of a logarithm depend on the processor, four decimals of it do not


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextRow:
    """One text with its labels.

    Attributes
    ----------
    uid : str
        What identifies the row.
    text : str
        The text.
    labels : tuple of str
        Names of its labels, sorted.
    group : str or None
        The group that must not be parted by a split.
    title : str or None
        What the text begins with, where it has a title.

    Examples
    --------
    >>> TextRow(uid="7", text="a short text", labels=("one", "two")).group is None
    True
    """

    uid: str
    text: str
    labels: tuple[str, ...]
    group: str | None = None
    title: str | None = None


def write_text_folder(
    folder: Path,
    splits: Mapping[str, Sequence[TextRow]],
    label_names: Sequence[str],
    *,
    label_knowledge: LabelKnowledge | None = None,
    min_df: int = 2,
    max_features: int | None = None,
    progress: bool = True,
) -> None:
    """Write texts as a data folder, with TF-IDF features fitted on the training texts only.

    Features are logarithmic term counts times inverse document frequencies, rows of length 1 (scikit-learn's
    TfidfVectorizer with ``sublinear_tf``); terms are runs of two or more letters, in lower case.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.
    splits : dict of str to list of TextRow
        The rows of each split, among them "train".
    label_names : list of str
        Names of the columns of Y.
    label_knowledge : LabelKnowledge, optional
        What else is known about the labels.
    min_df : int, default=2
        Number of training rows in which a term must occur.
    max_features : int, optional
        Number of commonest terms to keep.
    progress : bool, default=True
        Whether to show progress.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> rows = [TextRow(uid=str(i), text="few words", labels=("a",)) for i in range(2)]
    >>> with TemporaryDirectory() as folder:
    ...     write_text_folder(Path(folder), {"train": rows, "test": rows}, ["a"], progress=False)
    ...     print(Path(folder, "features.txt").read_text().split())
    ['few', 'words']
    """
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        token_pattern="[a-zA-Z]{2,}",
        min_df=min_df,
        max_features=max_features,
        dtype=np.float64,
    )
    vectorizer.fit(row.text for row in tqdm(splits["train"], desc="vocabulary", disable=not progress))
    column = {name: number for number, name in enumerate(label_names)}
    _write_lines(folder / "labels.txt", label_names)
    _write_lines(folder / "features.txt", vectorizer.get_feature_names_out().tolist())
    if label_knowledge is not None:
        label_knowledge.check_n_labels(len(label_names))
        known = zip(label_knowledge.names, label_knowledge.synonyms, label_knowledge.parents, strict=True)
        keys = ("label", "name", "alt_names", "parent_labels")
        labels = (dict(zip(keys, (number, *label), strict=True)) for number, label in enumerate(known))
        _write_lines(folder / "labels.jsonl.gz", map(json.dumps, labels))
    for split, rows in splits.items():
        X = vectorizer.transform(
            row.text for row in tqdm(rows, desc=f"{split} features", disable=not progress)
        )
        X.data = X.data.round(DECIMALS)
        indices = [column[label] for row in rows for label in row.labels]
        indptr = np.cumsum([0, *(len(row.labels) for row in rows)])
        Y = sp.csr_array((np.ones(len(indices)), indices, indptr), shape=(len(rows), len(label_names)))
        save_xc(folder / f"{split}.txt.gz", X, Y, progress=progress)
        records = (
            {"uid": row.uid}
            | ({} if row.title is None else {"title": row.title})
            | {"text": row.text, "labels": [column[x] for x in row.labels]}
            for row in rows
        )
        _write_lines(
            folder / f"{split}.jsonl.gz", (json.dumps(record, ensure_ascii=True) for record in records)
        )
        if rows and rows[0].group is not None:
            _write_lines(folder / f"{split}.groups.txt.gz", (row.group for row in rows))


def word_features(texts: Mapping[str, Sequence[str]]) -> tuple[dict[str, sp.csr_array], list[str]]:
    """Make TF-IDF features of texts that have no others, fitted on the training texts only.

    Parameters
    ----------
    texts : dict of str to list of str
        The texts of each split, among them "train".

    Returns
    -------
    features : dict of str to scipy.sparse.csr_array of shape (n_samples, n_words)
        Logarithmic word counts times inverse document frequencies, rows of length 1, for each split.
    words : list of str
        The words: those of at least two letters that occur in two or more training texts, in lower case.

    Raises
    ------
    ValueError
        If there is no such word.

    Examples
    --------
    >>> features, words = word_features({"train": ["one row", "another row"], "test": ["a row"]})
    >>> words, features["test"].toarray()
    (['row'], array([[1.]], dtype=float32))
    """
    vectorizer = word_vectorizer(min_df=2)
    try:
        vectorizer.fit(texts["train"])
    except ValueError as error:
        raise ValueError("no word occurs in two or more of the training texts.") from error
    features = {}
    for split, rows in texts.items():
        X = sp.csr_array(vectorizer.transform(rows))
        X.data = X.data.round(DECIMALS)
        features[split] = as_features(X)
    return features, vectorizer.get_feature_names_out().tolist()


def _write_lines(path, lines):
    """Write lines of text, whole or not at all."""
    with open_compressed(path) as stream:
        stream.writelines(f"{line}\n".encode() for line in lines)
