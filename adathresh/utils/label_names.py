"""Label sets as lists of names, as people write them, and as a 0/1 matrix."""

from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import scipy.sparse as sp

from adathresh.utils.frames import column_at, is_data_frame
from adathresh.utils.suggest import did_you_mean

_EMPTY = "Give an empty list for a row without labels."


def holds_label_names(Y: Any) -> bool:
    """Say whether Y looks like one collection of label names a row, rather than like a matrix or a vector.

    Parameters
    ----------
    Y : object
        What a caller gave as labels.

    Returns
    -------
    bool
        Whether a row is a set, or a list, tuple or array that holds a text.

    Examples
    --------
    >>> holds_label_names([["cat"], []]), holds_label_names(["cat", "dog"]), holds_label_names([[1, 0]])
    (True, False, False)
    """
    return any(_is_collection_of_names(row) for row in _rows_of(Y))


def encode_label_names(
    Y: Any, label_names: Sequence[str] | None = None, *, argument: str = "Y", source: str = "label_names"
) -> tuple[sp.csr_array, tuple[str, ...]]:
    """Make a label matrix of one collection of label names a row.

    Parameters
    ----------
    Y : sequence of lists, tuples, sets or arrays of str
        The names of each row's labels; an empty collection for a row without labels. A name counts once.
    label_names : sequence of str, optional
        The name of each column; None: all names in Y, sorted.
    argument : str, default="Y"
        How the argument is called in error messages.
    source : str, default="label_names"
        Where the caller took the names of the columns from, for error messages.

    Returns
    -------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        The same labels, 0 or 1.
    label_names : tuple of str
        The name of each column.

    Raises
    ------
    ValueError
        If a row is no collection of names, holds anything but names, or has a label that is not among
        ``label_names``; if one of those is repeated; or if there is no label at all.

    Examples
    --------
    >>> Y, names = encode_label_names([["dog", "cat"], set(), ("dog",)])
    >>> Y.toarray().tolist(), names
    ([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]], ('cat', 'dog'))
    """
    rows = [_names_of_row(row, number, argument) for number, row in enumerate(_rows_of(Y))]
    if label_names is None:
        label_names = _names_in_use(rows)
    column: dict[str, int] = {}
    for number, name in enumerate(label_names):
        if name in column and name.strip():
            raise ValueError(
                f"{source}: labels {column[name]} and {number} are both named {name!r}, so that the names in "
                "Y do not tell them apart; give each its own name, or give Y as a 0/1 matrix."
            )
        column[name] = number
    for number, row in enumerate(rows):
        for name in row:
            if name not in column:
                mend = did_you_mean(name, column)
                raise ValueError(
                    f"{argument}: row {number} has the label {name!r}, which {source} lacks.{mend}"
                )
    indices = [column[name] for row in rows for name in row]
    indptr = np.cumsum([0, *map(len, rows)])
    shape = (len(rows), len(label_names))
    encoded = sp.csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
    encoded.sort_indices()
    return encoded, tuple(label_names)


def decode_label_names(label_sets: sp.csr_array, label_names: Sequence[str]) -> list[list[str]]:
    """Return the names of each row's labels.

    Parameters
    ----------
    label_sets : scipy.sparse.csr_array of shape (n_samples, n_labels)
        0/1, no 0 stored.
    label_names : sequence of str
        The name of each column.

    Returns
    -------
    list of list of str
        The names, in the order of the columns.

    Examples
    --------
    >>> decode_label_names(sp.csr_array([[0, 1], [0, 0]]), ["cat", "dog"])
    [['dog'], []]
    """
    if not label_sets.has_sorted_indices:
        label_sets = label_sets.sorted_indices()
    names = [label_names[label] for label in label_sets.indices]
    return [names[start:end] for start, end in zip(label_sets.indptr, label_sets.indptr[1:], strict=False)]


def identify_labels(label_names: Sequence[str]) -> bool:
    """Say whether names tell all labels apart.

    Parameters
    ----------
    label_names : sequence of str
        One name a label.

    Returns
    -------
    bool
        Whether none is blank and no two are the same.

    Examples
    --------
    >>> identify_labels(["cat", "dog"]), identify_labels(["cat", ""]), identify_labels(["cat", "cat"])
    (True, False, False)
    """
    return all(name.strip() for name in label_names) and len(set(label_names)) == len(label_names)


def _rows_of(Y):
    """Return the rows of what may be collections of names; of anything else none."""
    if is_data_frame(Y):
        return column_at(Y, 0).to_list() if Y.shape[1] == 1 else []
    if hasattr(Y, "to_list"):  # a column of a data frame
        return Y.to_list()
    if isinstance(Y, np.ndarray):
        return list(Y) if Y.ndim == 1 and Y.dtype == object else []
    return Y if isinstance(Y, list | tuple) else []


def _is_collection_of_names(row):
    """Say whether a row can be nothing but names of labels."""
    if isinstance(row, np.ndarray) and row.dtype.kind not in "OU":
        return False
    return isinstance(row, Set) or (
        isinstance(row, list | tuple | np.ndarray) and any(isinstance(name, str) for name in row)
    )


def _names_of_row(row, number, argument):
    """Return the distinct names of a row, in their order."""
    if isinstance(row, str):
        raise ValueError(f"{argument}: row {number} is the text {row!r}; put it into a list: [{row!r}].")
    if not isinstance(row, list | tuple | Set | np.ndarray):
        raise ValueError(f"{argument}: row {number} is {row!r:.60}, no list of names. {_EMPTY}")
    names = {}
    for name in sorted(row, key=str) if isinstance(row, Set) else row:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"{argument}: row {number} holds {name!r}, but the labels of a row must be names (str), none "
                f"of them blank. {_EMPTY}"
            )
        names[str(name)] = None
    return list(names)


def _names_in_use(rows):
    """Return all names in the rows, sorted."""
    found = sorted(set().union(*rows))
    if not found:
        raise ValueError("Y holds no label in any row.")
    if set(found) <= {"0", "1"}:
        raise ValueError("Y holds the texts '0' and '1'; give a 0/1 matrix of numbers, or names of labels.")
    return tuple(found)
