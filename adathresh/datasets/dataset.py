"""What a data set is: three splits of rows, names of their columns, and a fingerprint of the content."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.display import Table

SPLITS = ("train", "dev", "test")  # as files and tables call them
_BESIDES = ("texts", "titles", "groups")  # what a split may have besides features and labels


class LabelledRows(NamedTuple):
    """The rows of one file or table, with the names that it gives their columns.

    Attributes
    ----------
    X : scipy.sparse.csr_array of shape (n_samples, n_features) or None
        Features, float32; None where the rows are texts only.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels, stored ones in float32.
    texts, titles : list of str or None
        The rows as text, and the title with which each begins.
    label_names, feature_names : list of str or None
        Names of the columns of Y and X; None where they only have numbers.
    parents : list of tuple of int, or None
        The broader labels of each label, where the file tells.

    Examples
    --------
    >>> LabelledRows(None, sp.csr_array([[0.0, 1.0]]), texts=["one row"])
    LabelledRows(1 row, 2 labels, 1.0 labels a row; texts)
    """

    X: sp.csr_array | None
    Y: sp.csr_array
    texts: list[str] | None = None
    titles: list[str] | None = None
    label_names: list[str] | None = None
    feature_names: list[str] | None = None
    parents: list[tuple[int, ...]] | None = None

    def __repr__(self) -> str:
        return _in_a_line(self, ("texts", "titles", "label_names", "feature_names", "parents"))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
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
    titles : list of str or None
        The title of each text, with which it begins; empty where a text has none.
    groups : numpy.ndarray of shape (n_samples,) or None
        Rows of one group (such as the functions of one source file) must not be parted by cross-fitting.

    Examples
    --------
    >>> Split(X=sp.csr_array([[1.0, 2.0]]), Y=sp.csr_array([[0.0, 1.0]]), texts=["one row"])
    Split(1 row, 2 features, 2 labels, 1.0 labels a row; texts)
    """

    X: sp.csr_array
    Y: sp.csr_array
    texts: list[str] | None = None
    titles: list[str] | None = None
    groups: np.ndarray | None = None

    def __repr__(self) -> str:
        return _in_a_line(self, _BESIDES)

    def take(self, rows: np.ndarray) -> "Split":
        """Return some of the rows.

        Parameters
        ----------
        rows : numpy.ndarray of int
            Row numbers.

        Returns
        -------
        Split
            Those rows, in that order.

        Examples
        --------
        >>> split = Split(X=sp.csr_array([[1.0], [2.0]]), Y=sp.csr_array([[0.0], [1.0]]))
        >>> split.take(np.array([1])).X.data
        array([2.])
        """
        return Split(
            X=self.X[rows],
            Y=self.Y[rows],
            texts=None if self.texts is None else [self.texts[row] for row in rows],
            titles=None if self.titles is None else [self.titles[row] for row in rows],
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
        Features, labels and, where the data set has them, texts, titles and groups of the rows.
    label_names, feature_names : list of str
        Names of the columns of Y and X; invented from their numbers where the data set has none.
    fingerprint : str
        SHA-256, in hexadecimal, over the matrices and texts of all three splits.
    validation_source : {"official", "drawn from train"}
        Where the validation split comes from.
    description : str
        What the rows are, in a sentence or two.
    label_knowledge : LabelKnowledge or None
        Names, synonyms and parents of the labels; None where no more is known than their numbers, or where
        the rows are no texts, in which names could occur.

    Examples
    --------
    >>> rows = Split(X=sp.csr_array([[1.0]]), Y=sp.csr_array([[1.0]]))
    >>> splits = {"train": rows, "validation": rows, "test": rows}
    >>> names = {"label_names": ["a"], "feature_names": ["x"]}
    >>> Dataset(name="toy", fingerprint="0a", validation_source="official", **splits, **names)
    Dataset('toy': 1 / 1 / 1 rows (validation official), 1 features, 1 labels, fingerprint 0a)
    """

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: list[str]
    feature_names: list[str]
    fingerprint: str
    validation_source: str
    description: str = ""
    label_knowledge: LabelKnowledge | None = None

    @property
    def splits(self) -> dict[str, Split]:
        """Return the three splits by the names that files and tables give them.

        Returns
        -------
        dict of str to Split
            "train", "dev" (the validation split) and "test".
        """
        return {"train": self.train, "dev": self.validation, "test": self.test}

    def __repr__(self) -> str:
        rows = " / ".join(str(rows.X.shape[0]) for rows in self.splits.values())
        return (
            f"Dataset({self.name!r}: {rows} rows (validation {self.validation_source}), "
            f"{self.train.X.shape[1]} features, {self.train.Y.shape[1]} labels, "
            f"fingerprint {self.fingerprint[:12]})"
        )

    def _repr_html_(self) -> str:
        """Return the same as a table, a line for each split."""
        columns = [("split", ""), ("rows", "d"), ("labels a row", ".1f"), ("with", "")]
        lines = [
            (split, rows.Y.shape[0], _labels_a_row(rows), ", ".join(_present(rows, _BESIDES)))
            for split, rows in self.splits.items()
        ]
        caption = (
            f"{self.name}: {self.train.X.shape[1]} features, {self.train.Y.shape[1]} labels, "
            f"validation {self.validation_source}, fingerprint {self.fingerprint[:12]}"
        )
        return Table(columns, lines, caption)._repr_html_()


def _in_a_line(rows, besides):
    """Describe some rows by their numbers, and by what they have besides features and labels."""
    n_rows, n_labels = rows.Y.shape
    sizes = [f"{n_rows} row{'' if n_rows == 1 else 's'}"]
    sizes += [] if rows.X is None else [f"{rows.X.shape[1]} features"]
    sizes += [f"{n_labels} labels", f"{_labels_a_row(rows):.1f} labels a row"]
    present = _present(rows, besides)
    return f"{type(rows).__name__}({', '.join(sizes)}{'; ' if present else ''}{', '.join(present)})"


def _labels_a_row(rows):
    """Return the mean number of labels of a row; NaN without rows."""
    return rows.Y.nnz / rows.Y.shape[0] if rows.Y.shape[0] else float("nan")


def _present(rows, besides):
    """Name what is known of some rows, of the attributes that they may have."""
    return [name.replace("_", " ") for name in besides if getattr(rows, name) is not None]


def fingerprint(splits: Mapping[str, Split]) -> str:
    """Hash the content of a data set.

    Parameters
    ----------
    splits : dict of str to Split
        The splits train, dev and test.

    Returns
    -------
    str
        SHA-256, in hexadecimal, over shapes, indices, values and texts, independent of machine and process.

    Examples
    --------
    >>> rows = Split(X=sp.csr_array([[1.0]]), Y=sp.csr_array([[1.0]]))
    >>> fingerprint({"train": rows, "dev": rows, "test": rows})[:8]
    '2ff312f8'
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
