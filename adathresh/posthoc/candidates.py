"""Candidate pairs: every (row, label) that a base model, the neighbours or a label text brings up."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from scipy.special import logit

from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_scores, row_major_positions

# Probabilities are kept this far from 0 and 1 before their logit is taken.
SCORE_MARGIN = 1e-6
LOWEST_LOGIT = float(logit(SCORE_MARGIN))


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
    logits: np.ndarray  # (n_pairs, n_models) logits of the base models; -inf where a model has no score
    share: np.ndarray | None  # (n_pairs, n_searches) neighbour shares
    affinity: np.ndarray | None  # (n_pairs, n_texts) what label texts say of the row

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
    local: MatrixLike | Sequence[MatrixLike] | None,
    affinity: MatrixLike | Sequence[MatrixLike] | None,
    *,
    n_samples: int | None = None,
    n_labels: int | None = None,
) -> Pairs:
    """Check all signals and line them up.

    Parameters
    ----------
    scores : matrix of shape (n_samples, n_labels), or list of such
        Probabilities of one or several base models.
    local, affinity : sparse of shape (n_samples, n_labels), list of such, or None
        Neighbour shares, and what label texts say of the rows, all in [0, 1].
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
    (array([0, 1]), array([[0.25],
           [0.  ]]))
    """
    sizes = {"n_samples": n_samples, "n_labels": n_labels}
    checked: dict[str, list[Any]] = {"scores": [], "local": [], "affinity": []}
    for name, given in (("scores", scores), ("local", local), ("affinity", affinity)):
        matrices = [] if given is None and name != "scores" else score_matrices(given)
        for i, matrix in enumerate(matrices):
            place = name if len(matrices) == 1 else f"{name}[{i}]"
            signal = check_scores(matrix, name=place, probabilities=True, **sizes)
            checked[name].append(signal if name == "scores" else sp.csr_array(signal))
            sizes = dict(zip(sizes, checked[name][0].shape, strict=True))
    where = {name: [_positions(matrix) for matrix in matrices] for name, matrices in checked.items()}
    found = _union([positions for parts in where.values() for positions in parts])
    columns = {
        name: _columns(found, checked[name], where[name], absent=-np.inf if name == "scores" else 0.0)
        for name in checked
    }
    probabilities, shape = columns["scores"], checked["scores"][0].shape
    rows, labels = np.divmod(found, max(shape[1], 1))
    logits = np.where(np.isneginf(probabilities), -np.inf, clipped_logit(probabilities))
    return Pairs(shape, rows, labels, logits, columns["local"], columns["affinity"])


def clipped_logit(probabilities: np.ndarray) -> np.ndarray:
    """Return logits of probabilities, which are kept away from 0 and 1 first.

    Parameters
    ----------
    probabilities : numpy.ndarray
        Any numbers; those outside [10⁻⁶, 1 − 10⁻⁶] count as the nearest one inside.

    Returns
    -------
    numpy.ndarray
        Finite logits.

    Examples
    --------
    >>> clipped_logit(np.array([0.0, 0.5])).round(1)
    array([-13.8,   0. ])
    """
    return logit(np.clip(probabilities, SCORE_MARGIN, 1 - SCORE_MARGIN))


def score_matrices(scores: MatrixLike | Sequence[MatrixLike]) -> list[MatrixLike]:
    """Return the matrices of a signal: those of a list, or the one that was given alone.

    Parameters
    ----------
    scores : matrix of shape (n_samples, n_labels), or list of such
        A list counts as several matrices if all it holds is two-dimensional.

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
    return row_major_positions(matrix) if sp.issparse(matrix) else np.arange(matrix.size)


def _union(parts):
    """Merge rising arrays of positions."""
    if all(np.array_equal(parts[0], part) for part in parts[1:]):
        return parts[0]
    merged = np.sort(np.concatenate(parts), kind="stable")  # which merges runs that are sorted
    return merged[np.r_[True, merged[1:] != merged[:-1]][: len(merged)]]


def _columns(found, matrices, where, *, absent):
    """Return the values of all matrices of a signal, a column each; None if there is none."""
    parts = zip(matrices, where, strict=True)
    values = [_column(found, matrix, positions, absent=absent) for matrix, positions in parts]
    return np.column_stack(values) if values else None


def _column(found, matrix, positions, *, absent):
    """Return the values of one signal at all pairs, ``absent`` where it has none."""
    values = matrix.data if sp.issparse(matrix) else matrix.ravel()
    if len(found) == len(positions):
        return values.astype(np.float64)
    column = np.full(len(found), absent)
    column[np.searchsorted(found, positions)] = values
    return column
