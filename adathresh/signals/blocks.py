"""Several blocks of features of the same rows, put side by side for neighbours and linear layers alike."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import normalize
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from adathresh.signals.knn import NeighborLabels
from adathresh.utils.parameters import (
    Allowed,
    check_parameters,
    check_value,
    number,
    optional,
    parameters,
    whole,
)
from adathresh.utils.suggest import did_you_mean
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_labels, check_unmasked, naming

_WEIGHT = number(least=0)
_SEARCH = optional(Allowed("a NeighborLabels", lambda value: isinstance(value, NeighborLabels)))
_START = optional(
    Allowed(
        f"a mapping of names of blocks to counts, each {whole(0).words}",
        lambda value: isinstance(value, Mapping) and all(map(whole(0).holds, value.values())),
    )
)
# A step of the greedy choice that lowers the error by less than this share of it lowers it by rounding.
_LEAST_GAIN = 1e-9


class FeatureBlocks(BaseEstimator):
    """Put blocks of features side by side, so that each counts as much as its weight says.

    A block is one view of the rows, such as their words, an embedding or the readings of a sensor. Each row
    x_b of block b is scaled to length 1 and multiplied by the root of the block's weight, the blocks are put
    side by side, and the whole row is scaled to length 1 again. The dot product of two rows is then the
    weighted mean of the blocks' cosine similarities, Σ_b w_b cos(x_b, x'_b), which is what neighbours are
    found by. A linear layer on such rows projects each block by a matrix of its own and sums,
    W x = Σ_b W_b x_b (as Diff-Feat fuses its features, arXiv:2509.15553), so that linear models, networks and
    :class:`adathresh.NeighborLabels` take several blocks as they take one.

    A block may be missing: as a whole, from what :meth:`transform` is given, or in single rows, which are
    then all 0 in it. It contributes nothing, and the weights of the other blocks grow by the same factor, so
    that the row still has length 1. A row without any features stays 0.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Weight of each block, 0 or more, in any unit; a block of weight 0 is left out. None: equal weights.
        :func:`greedy_block_weights` chooses them.

    Attributes
    ----------
    weights_ : dict of str to float
        Weight of each block, in the order of their columns; they sum to 1.
    n_features_ : dict of str to int
        Number of features of each block.

    Raises
    ------
    ValueError
        In ``fit``, for no blocks or weights that are not one number of 0 or more for each of them, not all 0;
        in ``fit`` and ``transform``, for blocks of different length, or with NaN or infinity.

    Examples
    --------
    >>> blocks = {"words": [[3.0, 4.0], [1.0, 0.0]], "sensor": [[2.0], [0.0]]}
    >>> FeatureBlocks(weights={"words": 3, "sensor": 1}).fit_transform(blocks).round(2)
    array([[0.52, 0.69, 0.5 ],
           [1.  , 0.  , 0.  ]])
    """

    _parameters = parameters(
        weights=optional(
            Allowed(
                f"a mapping of names of blocks to weights, each {_WEIGHT.words}",
                lambda value: isinstance(value, Mapping) and all(map(_WEIGHT.holds, value.values())),
            )
        )
    )

    def __init__(self, *, weights: Mapping[str, float] | None = None):
        self.weights = weights

    def fit(self, blocks: Mapping[str, MatrixLike], y: object = None) -> Self:
        """Learn the blocks' names, weights and numbers of features.

        Parameters
        ----------
        blocks : mapping of str to array-like or sparse of shape (n_samples, n_features of the block)
            Features of the same rows, by the block's name.
        y : object, optional
            Not used.

        Returns
        -------
        FeatureBlocks
            The fitted transformer.
        """
        check_parameters(self)
        self._fit(_checked(blocks))
        return self

    def transform(self, blocks: Mapping[str, MatrixLike]) -> Matrix:
        """Put the blocks of some rows side by side.

        Parameters
        ----------
        blocks : mapping of str to array-like or sparse of shape (n_samples, n_features of the block)
            Features of the same rows. A block that is not there, or None, is missing.

        Returns
        -------
        numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_features of all blocks)
            Rows of length 1; CSR where a block was sparse in ``fit``. float32 if all given blocks are.

        Raises
        ------
        ValueError
            If a block is not one of those in ``fit``, or has another number of features, or if all that have
            a weight are missing.
        """
        check_is_fitted(self)
        if isinstance(blocks, Mapping):
            blocks = {name: block for name, block in blocks.items() if block is not None}
        return self._stacked(_checked(blocks))

    def fit_transform(self, blocks: Mapping[str, MatrixLike], y: object = None) -> Matrix:
        """Learn the blocks, and put them side by side.

        Parameters
        ----------
        blocks : mapping of str to array-like or sparse of shape (n_samples, n_features of the block)
            Features of the same rows, by the block's name.
        y : object, optional
            Not used.

        Returns
        -------
        numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_features of all blocks)
            Rows of length 1; CSR where a block is sparse.
        """
        check_parameters(self)
        checked = _checked(blocks)
        self._fit(checked)
        return self._stacked(checked)

    def _fit(self, blocks):
        """Learn from checked blocks."""
        weights = dict.fromkeys(blocks, 1.0) if self.weights is None else dict(self.weights)
        if weights.keys() != blocks.keys():
            name = next(name for name in (*weights, *blocks) if (name in weights) != (name in blocks))
            there, absent = ("weights", "blocks") if name in weights else ("blocks", "weights")
            raise ValueError(
                f"weights must have one number for each of the blocks; {name!r} is in {there} but not in "
                f"{absent}."
            )
        total = float(sum(weights.values()))
        if total == 0:
            raise ValueError("weights must not be 0 for all blocks.")
        self.weights_ = {name: float(weights[name]) / total for name in blocks}
        self.n_features_ = {name: block.shape[1] for name, block in blocks.items()}
        self._sparse = any(map(sp.issparse, blocks.values()))

    def _stacked(self, blocks):
        """Put checked blocks side by side."""
        for name, block in blocks.items():
            if name not in self.weights_:
                known = list(self.weights_)
                raise ValueError(
                    f"blocks has {name!r}, which was not there in fit ({', '.join(map(repr, known))})."
                    f"{did_you_mean(name, known)}"
                )
            if block.shape[1] != self.n_features_[name]:
                raise ValueError(
                    f"blocks[{name!r}] must have {self.n_features_[name]} features, as in fit; got "
                    f"{block.shape[1]}."
                )
        used = [name for name, weight in self.weights_.items() if weight]
        if not any(name in blocks for name in used):
            raise ValueError(
                f"blocks must have at least one of {', '.join(map(repr, used))}; all are missing."
            )
        n_samples = next(iter(blocks.values())).shape[0]
        dtype = np.result_type(*(block.dtype for block in blocks.values()))
        parts = [
            normalize(blocks[name]) * dtype.type(np.sqrt(self.weights_[name]))
            if name in blocks
            else sp.csr_array((n_samples, self.n_features_[name]), dtype=dtype)
            for name in used
        ]
        if self._sparse:
            return sp.csr_array(normalize(sp.hstack([sp.csr_array(part) for part in parts], format="csr")))
        return normalize(np.hstack([part.toarray() if sp.issparse(part) else part for part in parts]))


def greedy_block_weights(
    blocks: Mapping[str, MatrixLike],
    Y: MatrixLike,
    *,
    groups: npt.ArrayLike | None = None,
    neighbors: NeighborLabels | None = None,
    start: Mapping[str, int] | None = None,
    max_steps: int = 10,
) -> dict[str, float]:
    """Choose weights of blocks by how well the neighbours that they find together share a row's labels.

    Greedy forward selection with replacement (Caruana et al. 2004, doi 10.1145/1015330.1015432): each step
    counts one more block, the one with which the squared error of the neighbour shares,
    Σ_l (KNN_l(x) − y_l)² averaged over rows, is least; a block may be counted again. It ends where no block
    lowers the error. A block's weight is its share of the counts. A row is never its own neighbour, nor is
    any row of its group.

    Parameters
    ----------
    blocks : mapping of str to array-like or sparse of shape (n_samples, n_features of the block)
        Features of the training rows, by the block's name.
    Y : array-like or sparse of shape (n_samples, n_labels)
        Training labels, 0 or 1.
    groups : array-like of shape (n_samples,), optional
        Rows of one group are never each other's neighbours; a group may be a fold.
    neighbors : NeighborLabels, optional
        The search, which is not changed; None means ``NeighborLabels()``.
    start : mapping of str to int, optional
        How often blocks count before the first step, so that they keep some weight. None: not at all.
    max_steps : int, default=10
        Steps at most, at least 1. Each searches the neighbours of all rows once for every block.

    Returns
    -------
    dict of str to float
        Weight of each block, as :class:`FeatureBlocks` takes them; they sum to 1, and some may be 0.

    Raises
    ------
    ValueError
        If blocks, Y and groups differ in length, blocks hold NaN or infinity, Y is not 0/1, or neighbors,
        start or max_steps is something else.

    Examples
    --------
    >>> Y = [[1, 0], [1, 0], [0, 1], [0, 1]]
    >>> blocks = {"noise": [[1, 0], [0, 1], [1, 0], [0, 1]], "signal": [[1, 0], [1, 0], [0, 1], [0, 1]]}
    >>> greedy_block_weights(blocks, Y)
    {'noise': 0.0, 'signal': 1.0}
    """
    check_value("neighbors", neighbors, _SEARCH)
    check_value("start", start, _START)
    check_value("max_steps", max_steps, whole(1))
    checked = _checked(blocks)
    Y = check_labels(Y, n_samples=next(iter(checked.values())).shape[0])
    search = NeighborLabels() if neighbors is None else neighbors
    counts = dict.fromkeys(checked, 0) | dict(start or {})
    if counts.keys() != checked.keys():
        unknown = next(name for name in counts if name not in checked)
        raise ValueError(f"start has {unknown!r}, which is none of the blocks.")

    given = checked, Y, groups, search
    least = _error(counts, *given) if any(counts.values()) else np.inf
    for _ in range(max_steps):
        errors = {name: _error({**counts, name: count + 1}, *given) for name, count in counts.items()}
        best = min(errors, key=errors.__getitem__)
        if not errors[best] < least * (1 - _LEAST_GAIN):
            break
        counts[best] += 1
        least = errors[best]
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def _error(weights, blocks, Y, groups, search):
    """Return the squared error of the shares of the neighbours that blocks of some weights find."""
    stacked = FeatureBlocks(weights=weights).fit_transform(blocks)
    shares = clone(search).fit_transform(stacked, Y, groups=groups)
    squares = float(np.square(shares.data, dtype=np.float64).sum())
    of_true = float(shares.multiply(Y).sum(dtype=np.float64))
    return (squares - 2 * of_true + Y.nnz) / Y.shape[0]


def _checked(blocks: Any) -> dict[str, Any]:
    """Return blocks as arrays or CSR of equally many rows; an error names the block."""
    if not isinstance(blocks, Mapping):
        kind = "None" if blocks is None else f"a {type(blocks).__name__}"
        raise ValueError(f"blocks must be a mapping of names to matrices of features; got {kind}.")
    if not blocks:
        raise ValueError("blocks must hold at least one block; got none.")
    checked = {}
    for name, block in blocks.items():
        if not isinstance(name, str):
            raise ValueError(f"blocks must have names that are texts; got {name!r}.")
        check_unmasked(block, name=f"blocks[{name!r}]")
        with naming(f"blocks[{name!r}]", "must be a matrix of numbers with at least one row"):
            array = check_array(block, accept_sparse="csr", dtype=(np.float64, np.float32))
        if sp.issparse(array) and not array.has_canonical_format:
            array = array.copy()  # what is stored in parts must be summed before its length is taken
            array.sum_duplicates()
        checked[name] = array
    (first, head), *others = checked.items()
    for name, block in others:
        if block.shape[0] != head.shape[0]:
            raise ValueError(
                f"blocks must have equally many rows; {first!r} has {head.shape[0]}, {name!r} "
                f"{block.shape[0]}."
            )
    return checked
