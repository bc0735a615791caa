"""Tables in memory, such as data frames of pandas or polars, as features, labels and texts."""

from collections import Counter
from collections.abc import Iterable, Set
from typing import Any

import numpy as np
import scipy.sparse as sp

from adathresh.datasets.dataset import LabelledRows
from adathresh.datasets.formats import as_features
from adathresh.datasets.text_files import LabelSets
from adathresh.utils.frames import columns_of
from adathresh.utils.suggest import did_you_mean


def from_frame(
    frame: Any,
    *,
    labels: str | Iterable[str],
    features: Iterable[str] | None = None,
    text: str | None = None,
) -> LabelledRows:
    """Take features, labels and texts from a table with one row a sample.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, or a mapping of columns
        The table.
    labels : str or list of str
        A column of lists of label names, where a missing value is an empty list; or the columns of the
        labels, which hold 0 and 1.
    features : list of str, optional
        The columns of the features, which hold numbers; by default none where there is a text, else all
        that are no labels.
    text : str, optional
        The column of the texts.

    Returns
    -------
    LabelledRows
        X is None without features, `texts` without a text. The names of labels from lists are sorted, other
        names are in the order given.

    Raises
    ------
    ValueError
        If there is no such column, or one twice; if a column holds something else, or a label is repeated in
        a row. The message names the column.

    Examples
    --------
    >>> frame = {"words": ["one row", "another"], "tags": [["b", "a"], None]}
    >>> rows = from_frame(frame, labels="tags", text="words")
    >>> rows.texts, rows.label_names, rows.Y.toarray()
    (['one row', 'another'], ['a', 'b'], array([[1., 1.],
                                                [0., 0.]], dtype=float32))
    >>> from_frame({"size": [0.5, 2], "big": [0, 1]}, labels=["big"]).X.toarray()
    array([[0.5],
           [2. ]], dtype=float32)
    """
    columns = columns_of(frame)
    for name, asked_for in (("labels", labels), ("features", features)):
        if not (asked_for is None or isinstance(asked_for, str | Iterable)):
            raise ValueError(f"{name} must be names of columns; got {asked_for!r}.")
    of_labels = [labels] if isinstance(labels, str) else list(labels)
    if features is None:
        labelling = set(of_labels)
        features = [] if text is not None else [name for name in columns if name not in labelling]
    features = list(features)
    there, asked = Counter(columns), Counter([*of_labels, *features, *([] if text is None else [text])])
    for name in asked:
        if name not in there:
            mend = did_you_mean(str(name), map(str, columns))
            raise ValueError(f"frame has no column {name!r}; it has {columns[:20]!r}.{mend}")
        if asked[name] > 1 or there[name] > 1:
            raise ValueError(f"column {name!r} is there, or asked for, more than once; give each one name.")
    if isinstance(labels, str):
        Y, label_names = _label_sets(_listed(frame[labels]), labels)
    else:
        Y, label_names = _matrix(frame, of_labels, _indicator), list(map(str, of_labels))
    X = as_features(_matrix(frame, features, _numbers), name="features") if features else None
    texts = None if text is None else _listed(frame[text])
    for row, content in enumerate(texts or ()):
        if not isinstance(content, str):
            raise ValueError(f"column {text!r} must hold texts; row {row} is {str(content)[:40]!r}.")
    lengths = {"features": None if X is None else X.shape[0], "text": None if texts is None else len(texts)}
    for name, n_rows in lengths.items():
        if n_rows is not None and n_rows != Y.shape[0]:
            raise ValueError(
                f"columns of frame differ in length: {n_rows} rows of {name}, {Y.shape[0]} of labels."
            )
    return LabelledRows(X, Y, texts, None, label_names, list(map(str, features)) if features else None)


def _listed(column):
    """Return the cells of a column as a list."""
    return column.to_list() if hasattr(column, "to_list") else list(column)


def _label_sets(cells, name):
    """Return the labels of cells that are lists of names, and the names."""
    label_sets = LabelSets()
    for row, cell in enumerate(cells):
        if cell is None or type(cell).__name__ == "NAType" or (isinstance(cell, float) and cell != cell):
            cell = []
        if not isinstance(cell, list | tuple | Set | np.ndarray) or not all(isinstance(x, str) for x in cell):
            raise ValueError(
                f"column {name!r} must hold lists of label names; row {row} is {str(cell)[:40]!r}. Part a "
                "text into names first, such as by frame[column].str.split()."
            )
        try:
            label_sets.add([str(label) for label in cell])
        except ValueError as error:
            raise ValueError(f"column {name!r}, row {row}: {error}") from None
    Y, names = label_sets.matrix()
    return Y, names or []


def _matrix(frame, names, check):
    """Return columns as a matrix, of which only one is dense at a time."""
    found = [sp.csc_array(check(_cells(frame[name]), name)[:, None]) for name in names]
    if not found:
        raise ValueError("labels must name at least one column.")
    return sp.csr_array(sp.hstack(found, format="csr"), dtype=np.float32)


def _cells(column):
    """Return the cells of a column as an array, of objects where they are lists of different length."""
    try:
        return np.asarray(column)
    except ValueError:
        return np.asarray(column, dtype=object)


def _numbers(column, name):
    """Return a column of finite numbers."""
    if column.ndim != 1 or column.dtype.kind not in "biuf":
        raise ValueError(
            f"column {name!r} must hold numbers; it has type {column.dtype}. Encode names by "
            "sklearn.preprocessing.OneHotEncoder, and fill in what is missing."
        )
    with np.errstate(over="ignore"):
        column = column.astype(np.float32)
    if not np.isfinite(column).all():
        row = np.argmin(np.isfinite(column))
        raise ValueError(f"column {name!r} must be finite in float32; row {row} is not.")
    return column


def _indicator(column, name):
    """Return a column of 0 and 1."""
    if column.ndim != 1 or column.dtype.kind not in "biuf" or not np.isin(column, (0, 1)).all():
        raise ValueError(f"column {name!r} must hold 0 and 1, whether a row has that label.")
    return column.astype(np.float32)
