"""Data frames of pandas or polars, neither of which is imported here."""

from collections.abc import Mapping
from typing import Any


def is_data_frame(X: Any) -> bool:
    """Say whether something is a data frame of pandas or polars.

    Parameters
    ----------
    X : object
        Anything.

    Returns
    -------
    bool
        Whether it is.

    Examples
    --------
    >>> is_data_frame([[1.0, 0.0]])
    False
    """
    return hasattr(X, "columns") and len(getattr(X, "shape", ())) == 2


def column_at(frame: Any, at: int) -> Any:
    """Return a column of a data frame by its place.

    Parameters
    ----------
    frame : pandas.DataFrame or polars.DataFrame
        The table.
    at : int
        Which column, from 0.

    Returns
    -------
    pandas.Series or polars.Series
        The column.

    Examples
    --------
    >>> import pandas as pd
    >>> column_at(pd.DataFrame({"a": [1], "b": [2]}), 1).to_list()
    [2]
    """
    return frame.iloc[:, at] if hasattr(frame, "iloc") else frame[:, at]


def columns_of(frame: Any, *, name: str = "frame") -> list:
    """List the columns of a table.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, or a mapping of columns
        The table.
    name : str, default="frame"
        How the argument is called in the error message.

    Returns
    -------
    list
        The names of the columns.

    Raises
    ------
    ValueError
        If it is no table.

    Examples
    --------
    >>> columns_of({"words": ["one row"]})
    ['words']
    """
    if not (hasattr(frame, "columns") or isinstance(frame, Mapping)):
        kind = type(frame).__name__
        raise ValueError(f"{name} must be a data frame or a mapping of columns; got a {kind}.")
    return list(getattr(frame, "columns", frame))
