"""Candidate pairs: every (row, label) that a base model, the neighbours or a label text brings up."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from scipy.special import logit

from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_scores, row_major_positions

# Probabilities are kept this far from 0 and 1 before their logit is taken.
_SCORE_MARGIN = 1e-6
LOWEST_LOGIT = float(logit(_SCORE_MARGIN))


class Pairs(NamedTuple):
    """Candidate pairs in row-major order; ``take`` picks some of them.

    Examples
    --------
    >>> pairs = gather_pairs([[0.5, 0.2]], None, None)
    >>> pairs.labels, pairs.matrix(pairs.logits[:, 0] > -1).toarray()
    (array([0, 1]), array([[ True, False]]))
    """

    shape: tuple[int, int]
    rows: np.ndarray
    labels: np.ndarray
    logits: np.ndarray  # (n_pairs, n_models) logits of the base models; the lowest where a model has no score
    share: np.ndarray | None  # (n_pairs,) neighbour share
    affinity: np.ndarray | None  # (n_pairs,) similarity of row and label text

    def take(self, keep: np.ndarray) -> Self:
        """Return some of the pairs.

        Parameters
        ----------
        keep : numpy.ndarray
            A mask of bool, or positions.

        Returns
        -------
        Pairs
            The chosen pairs, of a matrix of the same shape.
        """
        share, affinity = (None if x is None else x[keep] for x in (self.share, self.affinity))
        return type(self)(self.shape, self.rows[keep], self.labels[keep], self.logits[keep], share, affinity)

    def matrix(self, values: np.ndarray) -> sp.csr_array:
        """Return values of all pairs as a matrix.

        Parameters
        ----------
        values : numpy.ndarray of shape (n_pairs,)
            A value for each pair.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            The values, zeros stored, too.
        """
        counts = np.bincount(self.rows, minlength=self.shape[0])
        indptr = np.r_[0, np.cumsum(counts)]
        return sp.csr_array((values, self.labels.astype(np.int32), indptr), shape=self.shape)


def gather_pairs(
    scores: MatrixLike | Sequence[MatrixLike],
    local: MatrixLike | None,
    affinity: MatrixLike | None,
    *,
    n_samples: int | None = None,
    n_labels: int | None = None,
) -> Pairs:
    """Check all signals and line them up.

    Parameters
    ----------
    scores : matrix of shape (n_samples, n_labels), or list of such
        Probabilities of one or several base models.
    local, affinity : sparse of shape (n_samples, n_labels), or None
        Neighbour shares, and similarity of rows and label texts, both in [0, 1].
    n_samples, n_labels : int, optional
        The shape that other arguments require.

    Returns
    -------
    Pairs
        Every pair that is stored in one of them (of a dense matrix: every pair).

    Examples
    --------
    >>> pairs = gather_pairs(sp.csr_array([[0.0, 0.5]]), sp.csr_array([[0.25, 0.0]]), None)
    >>> pairs.labels, pairs.share
    (array([0, 1]), array([0.25, 0.  ]))
    """
    models = score_matrices(scores)
    names = ["scores"] if len(models) == 1 else [f"scores[{i}]" for i in range(len(models))]
    checked: list[Any] = []
    for name, matrix in zip(names, models, strict=True):
        sizes = {"n_samples": n_samples, "n_labels": n_labels}
        checked.append(check_scores(matrix, name=name, probabilities=True, **sizes))
        n_samples, n_labels = checked[0].shape
    for name, matrix in (("local", local), ("affinity", affinity)):
        if matrix is not None:
            matrix = matrix if sp.issparse(matrix) else sp.csr_array(matrix)
            sizes = {"n_samples": n_samples, "n_labels": n_labels}
            matrix = check_scores(matrix, name=name, probabilities=True, **sizes)
        checked.append(matrix)
    where = [_positions(matrix) for matrix in checked]
    found = _union([positions for positions in where if positions is not None])
    columns = [_column(found, matrix, positions) for matrix, positions in zip(checked, where, strict=True)]
    clipped = np.clip(np.column_stack(columns[:-2]), _SCORE_MARGIN, 1 - _SCORE_MARGIN)
    shape = checked[0].shape
    rows, labels = np.divmod(found, max(shape[1], 1))
    return Pairs(shape, rows, labels, logit(clipped), *columns[-2:])


def score_matrices(scores: MatrixLike | Sequence[MatrixLike]) -> list[MatrixLike]:
    """Return the scores of every base model: the given matrices, or the one that was given alone.

    Parameters
    ----------
    scores : matrix of shape (n_samples, n_labels), or list of such
        A list counts as several models if all it holds is two-dimensional.

    Returns
    -------
    list
        The matrices, not checked.

    Examples
    --------
    >>> len(score_matrices([[0.5, 0.2]])), len(score_matrices([[[0.5, 0.2]], [[0.4, 0.1]]]))
    (1, 2)
    """
    given: Any = scores
    several = isinstance(given, list | tuple) and len(given) > 0
    several = several and all(sp.issparse(part) or np.ndim(part) == 2 for part in given)
    return list(given) if several else [given]


def _positions(matrix):
    """Return row · n_labels + label of the stored pairs; of all pairs of an array."""
    if matrix is None:
        return None
    return row_major_positions(matrix) if sp.issparse(matrix) else np.arange(matrix.size)


def _union(parts):
    """Merge rising arrays of positions."""
    if all(np.array_equal(parts[0], part) for part in parts[1:]):
        return parts[0]
    merged = np.sort(np.concatenate(parts), kind="stable")  # which merges runs that are sorted
    return merged[np.r_[True, merged[1:] != merged[:-1]][: len(merged)]]


def _column(found, matrix, positions):
    """Return the values of one signal at all pairs, 0 where it has none."""
    if matrix is None:
        return None
    values = matrix.data if sp.issparse(matrix) else matrix.ravel()
    if len(found) == len(positions):
        return values.astype(np.float64)
    column = np.zeros(len(found))
    column[np.searchsorted(found, positions)] = values
    return column
