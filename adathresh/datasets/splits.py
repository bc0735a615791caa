"""Splits that keep groups of rows together."""

import numpy as np


def group_split(groups, fractions, *, random_state=0):
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
        If the fractions are not shares, or the groups are too few or too unequal to fill every part.

    Examples
    --------
    >>> [part.tolist() for part in group_split(["a", "a", "b", "b", "c", "c"], (2 / 3, 1 / 3))]
    [[0, 1, 4, 5], [2, 3]]
    """
    groups, fractions = np.asarray(groups), np.asarray(fractions, dtype=float)
    if groups.ndim != 1:
        raise ValueError(f"groups must have shape (n_samples,); got {groups.ndim} dimension(s).")
    if fractions.ndim != 1 or not (fractions > 0).all() or not np.isclose(fractions.sum(), 1):
        raise ValueError(f"fractions must be positive with sum 1; got {fractions.tolist()}.")
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(random_state).permutation(sizes.size)
    ends = sizes[order].cumsum()
    # A group belongs where its middle row falls, so that no part is favoured by rounding.
    middles = (ends - sizes[order] / 2) / max(groups.size, 1)
    part_of_group = np.empty(sizes.size, dtype=int)
    part_of_group[order] = np.searchsorted(fractions.cumsum()[:-1], middles, side="right")
    parts = [np.flatnonzero(part_of_group[group_of_row] == part) for part in range(fractions.size)]
    if not all(part.size for part in parts):
        raise ValueError(
            f"{groups.size} rows in {sizes.size} groups cannot fill parts of {fractions.tolist()}; "
            "give more rows or fewer parts."
        )
    return parts
