"""Splits that keep groups of rows together, and splits that deal every label out evenly."""

import heapq
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from adathresh.signals.knn import group_codes
from adathresh.utils.parameters import Allowed, check_value, either, number, sequence_of, whole
from adathresh.utils.validation import check_labels


def group_split(
    groups: ArrayLike, fractions: Sequence[float], *, random_state: int | np.random.Generator = 0
) -> list[np.ndarray]:
    """Split rows at random into parts such that no group is in two of them.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        The group of each row; ``range(n_samples)`` where every row stands for itself.
    fractions : sequence of float
        Wanted share of the rows for each part; positive, with sum 1.
    random_state : int or numpy.random.Generator, default=0
        Seed of the order in which groups are dealt out.

    Returns
    -------
    list of numpy.ndarray
        Sorted row numbers of each part.

    Raises
    ------
    ValueError
        If the fractions are not shares, a group is missing (None, NaN), the groups are too few or too unequal
        to fill every part, or random_state is no seed.

    Examples
    --------
    >>> [part.tolist() for part in group_split(["a", "a", "b", "b", "c", "c"], (2 / 3, 1 / 3))]
    [[0, 1, 4, 5], [2, 3]]
    """
    shape, shares = np.shape(groups), _check_fractions(fractions)
    if len(shape) != 1:
        raise ValueError(f"groups must have shape (n_samples,); got {len(shape)} dimension(s).")
    group_of_row = group_codes(groups, shape[0])
    sizes = np.bincount(group_of_row)
    order = _generator(random_state).permutation(sizes.size)
    ends = sizes[order].cumsum()
    # A group belongs where its middle row falls, so that no part is favoured by rounding.
    middles = (ends - sizes[order] / 2) / max(shape[0], 1)
    part_of_group = np.empty(sizes.size, dtype=int)
    part_of_group[order] = np.searchsorted(shares.cumsum()[:-1], middles, side="right")
    return _rows_of_parts(part_of_group, group_of_row, shares)


def iterative_split(
    Y: ArrayLike,
    fractions: Sequence[float],
    *,
    groups: ArrayLike | None = None,
    random_state: int | np.random.Generator = 0,
) -> list[np.ndarray]:
    """Split rows into parts that each hold their share of every label, as far as the labels allow.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label
    Data", ECML PKDD, algorithm 1): the label with the fewest rows left is dealt out first, each of its rows
    to the part that lacks most of that label; ties go to the part that lacks most rows, then to a random
    one. With groups, a group is dealt out whole, and the label counts of its rows are added up.

    The sparse matrix is never densified; the time grows with the number of stored labels.

    Parameters
    ----------
    Y : array-like or sparse of shape (n_samples, n_labels)
        Labels, 0 or 1.
    fractions : sequence of float
        Wanted share of the rows, and of every label, for each part; positive, with sum 1. Equal fractions
        make the folds of a cross-validation.
    groups : array-like of shape (n_samples,), optional
        The group of each row; no group is in two parts.
    random_state : int or numpy.random.Generator, default=0
        Seed of the order of the rows and of ties.

    Returns
    -------
    list of numpy.ndarray
        Sorted row numbers of each part.

    Raises
    ------
    ValueError
        If Y is not 0/1, the fractions are not shares, groups has another length than Y, a group is missing
        (None, NaN), the rows or groups are too few to fill every part, or random_state is no seed.

    Examples
    --------
    >>> Y = [[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]]
    >>> first, second = iterative_split(Y, (0.5, 0.5))
    >>> np.asarray(Y)[first].sum(axis=0)
    array([2, 1])
    """
    Y, shares = check_labels(Y), _check_fractions(fractions)
    group_of_row = group_codes(groups, Y.shape[0])
    sizes = np.bincount(group_of_row)
    rng = _generator(random_state)
    order = rng.permutation(sizes.size)
    members = sp.csr_array(
        (np.ones(Y.shape[0]), (group_of_row, np.arange(Y.shape[0]))), shape=(sizes.size, Y.shape[0])
    )
    part_of_group = np.empty(sizes.size, dtype=int)
    part_of_group[order] = _deal(sp.csr_array(members @ Y)[order], sizes[order], shares, rng)
    return _rows_of_parts(part_of_group, group_of_row, shares)


def _deal(counts, sizes, fractions, rng):
    """Return the part of every group, given the label counts of the groups and their sizes."""
    left = counts.sum(axis=0)
    wanted, wanted_rows = np.outer(fractions, left), fractions * sizes.sum()
    carriers, parts = counts.tocsc(), np.full(sizes.size, -1)

    def place(group, candidates):
        candidates = candidates[wanted_rows[candidates] == wanted_rows[candidates].max()]
        part = candidates[rng.integers(candidates.size)] if candidates.size > 1 else candidates[0]
        entries = slice(counts.indptr[group], counts.indptr[group + 1])
        wanted[part, counts.indices[entries]] -= counts.data[entries]
        left[counts.indices[entries]] -= counts.data[entries]
        wanted_rows[part] -= sizes[group]
        parts[group] = part
        return counts.indices[entries]

    # an entry with another count than is left is out of date: a newer one of its label is in the heap
    heap = [(count, label) for label, count in enumerate(left) if count]
    heapq.heapify(heap)
    while heap:
        count, label = heapq.heappop(heap)
        if count != left[label]:
            continue
        groups = carriers.indices[carriers.indptr[label] : carriers.indptr[label + 1]]
        touched = [
            place(group, np.flatnonzero(wanted[:, label] == wanted[:, label].max()))
            for group in groups[parts[groups] < 0]
        ]
        for other in np.unique(np.concatenate(touched)):
            if left[other]:
                heapq.heappush(heap, (left[other], other))
    for group in np.flatnonzero(parts < 0):  # those without labels
        place(group, np.arange(fractions.size))
    return parts


def _generator(random_state):
    """Return the generator of a seed, or the one that was given."""
    given = Allowed("a numpy.random.Generator", lambda value: isinstance(value, np.random.Generator))
    check_value("random_state", random_state, either(whole(0), given))
    return np.random.default_rng(random_state)


def _check_fractions(fractions):
    """Return the wanted shares as an array."""
    listed = sequence_of(number(above=0), plural="positive numbers")
    if not listed.holds(fractions) or not np.isclose(sum(fractions), 1):
        raise ValueError(f"fractions must be positive with sum 1; got {fractions!r}.")
    return np.asarray(fractions, dtype=float)


def _rows_of_parts(part_of_group, group_of_row, fractions):
    """Return the rows of every part, none of which may be empty."""
    parts = [np.flatnonzero(part_of_group[group_of_row] == part) for part in range(fractions.size)]
    if not all(part.size for part in parts):
        raise ValueError(
            f"{group_of_row.size} rows in {part_of_group.size} groups cannot fill parts of "
            f"{fractions.tolist()}; give more rows or fewer fractions."
        )
    return parts
