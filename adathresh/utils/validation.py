"""Checks shared by everything that takes labels or scores; every message names the argument and the mend."""

import re
from collections.abc import Iterator, Set
from contextlib import contextmanager
from numbers import Real
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from adathresh.utils.frames import column_at, is_data_frame
from adathresh.utils.types import Matrix, MatrixLike

_ENCODE_TAGS = "Encode tags by sklearn.preprocessing.MultiLabelBinarizer().fit_transform(tags)."

Container: TypeAlias = Literal["array", "matrix", "dense"]
"""How a caller holds labels: a sparse array, a sparse matrix, or neither."""


def check_labels(
    Y: MatrixLike, *, name: str = "Y", n_samples: int | None = None, n_labels: int | None = None
) -> sp.csr_array:
    """Return a 0/1 label matrix as canonical CSR; the caller's matrix is never changed.

    Parameters
    ----------
    Y : array-like or sparse of shape (n_samples, n_labels)
        Label indicators, 0 or 1.
    name : str, default="Y"
        How the argument is called in error messages.
    n_samples, n_labels : int, optional
        The shape that other arguments require.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        The same labels; the stored values are all 1, in float32 (so that products with weights stay cheap).

    Raises
    ------
    ValueError
        If Y is not two-dimensional, holds values other than 0 and 1 (such as lists of tags), stores a pair
        twice, or has another shape than required.

    Examples
    --------
    >>> check_labels([[1, 0], [0, 1]]).toarray()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    matrix: Any = as_labels(Y, name=name)
    if matrix.ndim != 2:
        raise ValueError(
            f"{name} must be a 0/1 matrix of shape (n_samples, n_labels); got {matrix.ndim} dimension(s)."
        )
    if sp.issparse(matrix) and matrix.format not in ("csr", "csc", "coo"):
        matrix = matrix.tocoo()
    values = matrix.data if sp.issparse(matrix) else matrix
    if values.dtype.kind not in "biuf":
        mend = f" {_ENCODE_TAGS}" if values.dtype.kind in "OUST" else ""
        raise ValueError(
            f"{name} must hold only the numbers 0 and 1; got values of type {values.dtype}.{mend}"
        )
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
        raise ValueError(f"{name} must hold only 0 and 1; found {wrong[0].item()!r}.")
    # float32 before the conversion: it sums duplicates, and a sum of booleans would hide them
    matrix = sp.csr_array(matrix.astype(np.float32, copy=False))
    if not matrix.has_canonical_format or not matrix.data.all():
        matrix = matrix.copy()  # the arrays may still be the caller's
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    if (matrix.data > 1).any():
        raise ValueError(f"{name} stores the same (row, label) pair more than once; store each pair once.")
    _check_shape(matrix, name, n_samples, n_labels)
    return matrix


def as_labels(Y: MatrixLike, *, name: str = "Y") -> Any:
    """Return labels as an array or sparse matrix, and say so where they are lists of tags.

    Parameters
    ----------
    Y : array-like or sparse
        Labels, not checked further.
    name : str, default="Y"
        How the argument is called in error messages.

    Returns
    -------
    numpy.ndarray or sparse matrix
        The same labels; sparse ones as they are.

    Raises
    ------
    ValueError
        If Y holds lists or sets of tags, of different length, in place of numbers.

    Examples
    --------
    >>> as_labels([[1, 0], [0, 1]]).shape
    (2, 2)
    """
    if sp.issparse(Y):
        return Y
    check_unmasked(Y, name=name)
    problem = f"{name} must be a 0/1 matrix of shape (n_samples, n_labels)"
    try:
        array = np.asarray(Y)
    except ValueError as error:  # rows of different length
        raise ValueError(f"{problem}; its rows differ in length. {_ENCODE_TAGS}") from error
    if array.ndim == 1 and array.dtype == object:
        kind = next((type(row) for row in array if isinstance(row, list | tuple | Set | np.ndarray)), None)
        if kind is not None:
            raise ValueError(f"{problem}; its rows are of type {kind.__name__}. {_ENCODE_TAGS}")
    objects = array.ndim == 2 and array.dtype == object  # such as data frames of several types
    if objects and all(isinstance(value, Real | np.bool_) for value in array.flat):
        return array.astype(np.float64)
    return array


def check_unmasked(values: Any, *, name: str) -> None:
    """Refuse masked arrays with masked entries: taken as arrays, these would count like any other.

    Parameters
    ----------
    values : object
        What a caller gave as an array.
    name : str
        How the argument is called in error messages.

    Raises
    ------
    ValueError
        If an entry is masked.

    Examples
    --------
    >>> check_unmasked(np.ma.masked_array([1, 2], mask=[False, False]), name="groups")
    """
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} is a masked array with masked entries, whose mask would be ignored; fill them "
            f"({name}.filled(value)) or leave their rows out."
        )


def check_features(
    estimator: BaseEstimator,
    X: Any,
    *,
    name: str = "X",
    reset: bool = True,
    dtype: Any = None,
    copy: bool = False,
) -> Any:
    """Return features as an array or CSR, as scikit-learn checks them, with errors that name the argument.

    Parameters
    ----------
    estimator : estimator
        Learns the number of features, and their names, or compares them with those that it knows.
    X : array-like or sparse of shape (n_samples, n_features)
        Features.
    name : str, default="X"
        How the argument is called in error messages.
    reset : bool, default=True
        Whether the estimator is being fitted.
    dtype : type or sequence of type, optional
        Of the result; None: float64, or float32 where X has it.
    copy : bool, default=False
        Whether the result is never the caller's.

    Returns
    -------
    numpy.ndarray, or CSR
        The features.

    Raises
    ------
    ValueError
        If X is no matrix of numbers, has no rows, holds NaN, infinity or masked entries, or has other
        features than the estimator knows.
    TypeError
        If X holds objects that are no numbers.

    Examples
    --------
    >>> from adathresh.signals import NeighborLabels
    >>> check_features(NeighborLabels(), [1.0, 2.0])
    Traceback (most recent call last):
    ValueError: X must be a matrix of numbers with at least one row. Expected 2D array, got 1D array ...
    """
    check_unmasked(X, name=name)
    kind = (np.float64, np.float32) if dtype is None else dtype
    with naming(name, "must be a matrix of numbers with at least one row"):
        return validate_data(estimator, X, accept_sparse="csr", dtype=kind, copy=copy, reset=reset)


@contextmanager
def naming(name: str, wanted: str) -> Iterator[None]:
    """Begin the message of an error with the argument that is wrong, where it does not name it.

    Parameters
    ----------
    name : str
        How the argument is called.
    wanted : str
        What it must be.

    Raises
    ------
    TypeError, ValueError
        In place of one that does not name the argument.

    Examples
    --------
    >>> with naming("k", "must be a number"):
    ...     float("one")
    Traceback (most recent call last):
    ValueError: k must be a number. could not convert string to float: 'one'
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        # not of the error's own class, which may need more than a message
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} {wanted}. {error}") from error


def check_sample_weight(sample_weight: npt.ArrayLike, n_samples: int) -> np.ndarray:
    """Check the weight of every row.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,)
        Weights, 0 or more.
    n_samples : int
        Number of rows.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples,)
        The weights.

    Raises
    ------
    ValueError
        If there is not one number for each row, one of them is negative, NaN or infinite, or all are 0.

    Examples
    --------
    >>> check_sample_weight([2, 1], 2)
    array([2., 1.])
    """
    check_unmasked(sample_weight, name="sample_weight")
    weight = np.asarray(sample_weight)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have shape ({n_samples},), one entry a row; got {weight.shape}."
        )
    if weight.dtype.kind not in "biuf":
        raise ValueError(f"sample_weight must be real numbers; got values of type {weight.dtype}.")
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise ValueError(
            f"sample_weight must be finite and at least 0; found {weight[wrong[0]]} in row {wrong[0]}."
        )
    if not weight.any():
        raise ValueError("sample_weight is zero in every row; at least one must count.")
    return weight.astype(np.float64)


def check_scores(
    scores: MatrixLike,
    *,
    name: str = "scores",
    n_samples: int | None = None,
    n_labels: int | None = None,
    probabilities: bool = False,
) -> np.ndarray | sp.csr_array:
    """Return scores as a float array, or as CSR when they are sparse (absent entries mean: never predicted).

    Parameters
    ----------
    scores : array-like or sparse of shape (n_samples, n_labels)
        One score for every stored (row, label) pair; a stored 0 is a score, not an absence.
    name : str, default="scores"
        How the argument is called in error messages.
    n_samples, n_labels : int, optional
        The shape that other arguments require.
    probabilities : bool, default=False
        Whether the scores must lie in [0, 1].

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        The scores in their own floating type (float64 for integers), CSR in canonical order.

    Raises
    ------
    ValueError
        If the scores are not two-dimensional or not numbers, hold NaN or infinity, store a pair twice, are
        not probabilities where those are needed, or have another shape than required.

    Examples
    --------
    >>> check_scores([[0.5, 0.2]], probabilities=True)
    array([[0.5, 0.2]])
    """
    check_unmasked(scores, name=name)
    matrix: Any = scores if sp.issparse(scores) else np.asarray(scores)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have shape (n_samples, n_labels); got {matrix.ndim} dimension(s).")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers; got values of type {matrix.dtype}.")
    if sp.issparse(matrix):
        matrix = _canonical_csr(matrix, name)
    if matrix.dtype.kind != "f":
        matrix = matrix.astype(np.float64)
    values = matrix.data if sp.issparse(matrix) else matrix
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite; found NaN or infinity {_first_not_finite(matrix)}.")
    if probabilities and values.size and (values.min() < 0 or values.max() > 1):
        least, greatest = values.min(), values.max()
        digits = 4 if least < -1e-3 or greatest > 1.001 else 9
        raise ValueError(
            f"{name} must be probabilities in [0, 1]; found values from {least:.{digits}g} to "
            f"{greatest:.{digits}g}. "
            + (
                "Pass scipy.special.expit(logits) (of the stored values, if sparse), or calibrate decision "
                "values first."
                if digits == 4
                else "Clip what rounding has carried over the edge."
            )
        )
    _check_shape(matrix, name, n_samples, n_labels)
    return matrix


def _check_shape(matrix, name, n_samples, n_labels):
    """Compare a matrix with the shape that other arguments require."""
    if n_samples is not None and matrix.shape[0] != n_samples:
        raise ValueError(f"{name} has {matrix.shape[0]} rows but {n_samples} were expected.")
    if n_labels is not None and matrix.shape[1] != n_labels:
        raise ValueError(f"{name} has {matrix.shape[1]} labels but {n_labels} were expected.")


def _canonical_csr(scores, name):
    """Sort a sparse score matrix into canonical CSR without summing duplicates silently."""
    csr = sp.csr_array(scores if scores.format in ("csr", "csc", "coo") else scores.tocoo())
    if not csr.has_canonical_format:
        csr = csr.copy()  # the arrays may still be the caller's
        csr.sum_duplicates()
    if scores.format in ("csr", "csc", "coo") and csr.nnz != scores.nnz:
        raise ValueError(f"{name} stores the same (row, label) pair more than once; keep one score per pair.")
    return csr


def _first_not_finite(scores):
    """Say where the first NaN or infinity is."""
    if sp.issparse(scores):
        position = np.flatnonzero(~np.isfinite(scores.data))[0]
        row, label = np.searchsorted(scores.indptr, position, side="right") - 1, scores.indices[position]
    else:
        row, label = np.argwhere(~np.isfinite(scores))[0]
    return f"in row {row}, label {label}"


def one_row(x: MatrixLike) -> np.ndarray | sp.csr_array:
    """Return one row as a matrix.

    Parameters
    ----------
    x : array-like or sparse of shape (n_features,) or (1, n_features)
        Features of one row.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array of shape (1, n_features)
        The same features.

    Raises
    ------
    ValueError
        If there is not exactly one row.

    Examples
    --------
    >>> one_row([0.5, 0.2])
    array([[0.5, 0.2]])
    """
    check_unmasked(x, name="x")
    row: Any = x if sp.issparse(x) else np.asarray(x)
    row = row.reshape(1, -1) if row.ndim == 1 else row
    if row.shape[0] != 1:
        raise ValueError(f"explain takes one row; got {row.shape[0]} in x.")
    return sp.csr_array(row) if sp.issparse(row) else row


def check_columns(X: Any, *, name: str = "X") -> None:
    """Refuse a data frame with columns that are no numbers, and name them.

    Parameters
    ----------
    X : object
        What a caller gave as rows; anything but a data frame of pandas or polars passes.
    name : str, default="X"
        How the argument is called in the error message.

    Raises
    ------
    ValueError
        If a column holds anything but numbers.

    Examples
    --------
    >>> check_columns([["a cat", 1]])
    """
    if not is_data_frame(X):
        return
    wrong = [str(X.columns[at]) for at in range(X.shape[1]) if not _is_numeric(column_at(X, at))]
    if wrong:
        raise ValueError(
            f"{name} has columns that are no numbers ({', '.join(wrong[:5])}{', …' * (len(wrong) > 5)}), and "
            "neighbours are found by numbers. Encode them before, for example by a ColumnTransformer; if "
            f"rows are texts, give that column alone, as {name}[{wrong[0]!r}]."
        )


def _is_numeric(column):
    """Say whether a column of a data frame holds numbers."""
    if hasattr(column.dtype, "is_numeric"):  # of polars
        return column.dtype.is_numeric() or str(column.dtype) == "Boolean"
    kind = getattr(column.dtype, "kind", "O")
    return kind in "biuf" or (kind == "O" and all(isinstance(value, Real) for value in column))


def narrow_indices(X: Matrix) -> Matrix:
    """Return CSR with 32-bit indices where they suffice, since some solvers take no others.

    Parameters
    ----------
    X : numpy.ndarray, or CSR
        Features.

    Returns
    -------
    numpy.ndarray, or CSR
        The same features.

    Examples
    --------
    >>> wide = sp.csr_array((np.ones(1), np.zeros(1, dtype=np.int64), np.array([0, 1])), shape=(1, 1))
    >>> narrow_indices(wide).indices.dtype
    dtype('int32')
    """
    matrix: Any = X
    if not sp.issparse(matrix) or matrix.indices.dtype == matrix.indptr.dtype == np.int32:
        return matrix
    if max(matrix.nnz, *matrix.shape) > np.iinfo(np.int32).max:
        return matrix
    parts = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return type(matrix)(parts, shape=matrix.shape)


class CandidatePairs(NamedTuple):
    """The scored (row, label) pairs in row-major order: every stored pair of CSR, every pair of an array.

    Examples
    --------
    >>> pairs = candidate_pairs(check_labels([[1, 0]]), check_scores([[0.5, 0.2]]))
    >>> pairs.scores[pairs.truth]
    array([0.5])
    """

    labels: np.ndarray  # (n_pairs,) label index
    scores: np.ndarray  # (n_pairs,) the score
    truth: np.ndarray  # (n_pairs,) bool, whether the label is true


def candidate_pairs(Y: sp.csr_array, scores: np.ndarray | sp.csr_array) -> CandidatePairs:
    """Look the truth of every scored pair up; nothing sparse is densified.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        True labels, as :func:`check_labels` returns them.
    scores : numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        Scores, as :func:`check_scores` returns them.

    Returns
    -------
    CandidatePairs
        Label, score and truth of each pair. True labels that have no score are in no pair.

    Examples
    --------
    >>> candidate_pairs(check_labels([[1, 0]]), check_scores([[0.5, 0.2]])).truth
    array([ True, False])
    """
    n_samples, n_labels = scores.shape
    positives = row_major_positions(Y)
    if isinstance(scores, np.ndarray):
        labels, values = np.tile(np.arange(n_labels, dtype=np.int32), n_samples), scores.ravel()
        positions = np.arange(scores.size)
    else:
        labels, values, positions = scores.indices, scores.data, row_major_positions(scores)
    return CandidatePairs(labels, values, are_among(positions, positives))


def are_among(positions: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Say which of some rising numbers are among others; quick where the others are few.

    Parameters
    ----------
    positions : numpy.ndarray of int, shape (n,)
        Strictly rising.
    others : numpy.ndarray of int, shape (m,)
        In any order.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        Whether each position is among the others.

    Examples
    --------
    >>> are_among(np.array([1, 4, 7]), np.array([7, 0, 9, 4]))
    array([False,  True,  True])
    """
    among = np.zeros(len(positions), dtype=bool)
    found = np.searchsorted(positions, others)
    inside = found < len(positions)
    among[found[inside][positions[found[inside]] == others[inside]]] = True
    return among


def with_pairs(matrix: sp.csr_array, keep: np.ndarray) -> sp.csr_array:
    """Keep some of the stored pairs of a matrix.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Any values.
    keep : numpy.ndarray of bool, shape (n_stored,)
        Which of the stored pairs stay, in their order.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        The others are not stored any more.

    Examples
    --------
    >>> with_pairs(sp.csr_array([[0.5, 0.2], [0.0, 0.9]]), np.array([True, False, True])).toarray()
    array([[0.5, 0. ],
           [0. , 0.9]])
    """
    indptr = np.r_[0, np.cumsum(keep)][matrix.indptr]
    return sp.csr_array((matrix.data[keep], matrix.indices[keep], indptr), shape=matrix.shape)


def row_major_positions(matrix: sp.csr_array) -> np.ndarray:
    """Return one number for every stored pair, by which pairs of two matrices can be matched.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Canonical CSR.

    Returns
    -------
    numpy.ndarray of int64, shape (n_stored,)
        The number row · n_labels + label of each stored pair, strictly rising.

    Examples
    --------
    >>> row_major_positions(check_labels([[0, 1], [1, 0]]))
    array([1, 2])
    """
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows * matrix.shape[1] + matrix.indices


def falling_by_label(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Order pairs by label, and within a label by falling score.

    Parameters
    ----------
    labels : ndarray of shape (n_pairs,)
        Label index of each pair.
    scores : ndarray of shape (n_pairs,)
        Score of each pair.

    Returns
    -------
    ndarray of shape (n_pairs,)
        Positions of the pairs in that order; equal scores of one label come in any order.

    Examples
    --------
    >>> falling_by_label(np.array([1, 0, 0]), np.array([0.9, 0.2, 0.4]))
    array([2, 1, 0])
    """
    by_score = np.argsort(-scores)
    return by_score[grouped_by_label(labels[by_score])]


def grouped_by_label(labels: np.ndarray) -> np.ndarray:
    """Order pairs by label, and leave those of one label in the order they have.

    Parameters
    ----------
    labels : ndarray of shape (n_pairs,)
        Label index of each pair.

    Returns
    -------
    ndarray of shape (n_pairs,)
        Positions of the pairs in that order.

    Examples
    --------
    >>> grouped_by_label(np.array([1, 0, 1, 0]))
    array([1, 3, 0, 2])
    """
    # 16-bit keys make numpy's stable sort a radix sort, in linear time
    keys = labels.astype(np.min_scalar_type(int(labels.max(initial=0))))
    return np.argsort(keys, kind="stable")


def like_input(Y: sp.csr_array, template: Container) -> Matrix:
    """Return the sparse 0/1 matrix Y in the container that the caller used for labels.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Predicted labels.
    template : {"array", "matrix", "dense"}
        What :func:`container_of` returned for the caller's labels.

    Returns
    -------
    csr_array, csr_matrix or numpy.ndarray of shape (n_samples, n_labels)
        The same labels as int64.

    Examples
    --------
    >>> like_input(check_labels([[1, 0]]), "dense")
    array([[1, 0]])
    """
    Y = Y.astype(np.int64)
    if template == "dense":
        return Y.toarray()
    return sp.csr_matrix(Y) if template == "matrix" else sp.csr_array(Y)


def container_of(Y: MatrixLike) -> Container:
    """Name the container of a label matrix: sparse array, sparse matrix or dense.

    Parameters
    ----------
    Y : array-like or sparse
        The caller's labels or scores.

    Returns
    -------
    {"array", "matrix", "dense"}
        What :func:`like_input` takes as its template.

    Examples
    --------
    >>> container_of([[1, 0]]), container_of(sp.csr_array([[1, 0]]))
    ('dense', 'array')
    """
    if not sp.issparse(Y):
        return "dense"
    return "matrix" if isinstance(Y, sp.spmatrix) else "array"
