"""Whether a table says what the published one says: tolerances are shares of the effects that it shows."""

from typing import NamedTuple

import numpy as np
import pandas as pd

SHARE = 0.05
"""Share of an effect by which a number may differ."""

UNSEEDED_SHARE = 0.25
"""The same for what comes from a model that takes no seed."""

LEAST = 5e-4
"""Smaller differences are rounding between two machines, whatever the effect."""


OF_ORDER = ("precision_at_", "psp_at_", "coverage_at_")
"""How metrics begin that the order of a model's scores decides, whatever the rule.

Of models that take no seed they are not compared: two equal runs differ as much as two rules.
"""


class Agreement(NamedTuple):
    """How many numbers of a table agree with the published one."""

    n_agree: int
    """Numbers within their tolerance."""
    n_compared: int
    """All numbers that are compared."""
    problem: str
    """Why the tables cannot be compared, or which number is farthest off; empty where all agree."""

    @property
    def holds(self):
        """Whether every number agrees; False, too, where the tables describe different rows."""
        return not self.problem


def agreement(here, there, *, unseeded=None, one_measure=False):
    """Compare a table with the published one: text and seeds must be equal, numbers agree within a tolerance.

    A number may differ by a share of the effect that its column shows: of the distance between the smallest
    and the greatest published value among the rows of the same base model. A finding that rests on a tenth of
    that distance can therefore not be reversed unnoticed. ``unseeded``, a query as
    :meth:`pandas.DataFrame.query` takes it, names the rows of models that take no seed, which may differ by
    more. ``one_measure`` says that all columns hold the same measure, whose effect is the distance over all
    of them.
    """
    numeric = [
        name for name in here if name != "seed" and _is_numeric(here, name) and _is_numeric(there, name)
    ]
    mismatch = _mismatch(here, there, numeric)
    if mismatch:
        return Agreement(0, here.shape[0] * max(len(numeric), 1), mismatch)
    no_seed = np.zeros(len(there), dtype=bool)
    if unseeded is not None:
        no_seed = there.index.isin(there.query(unseeded).index)
    allowed = _tolerances(there, numeric, no_seed, one_measure)
    ours, theirs = here[numeric].to_numpy(float), there[numeric].to_numpy(float)
    equal = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        difference = np.where(equal, 0.0, np.abs(ours - theirs))
    difference = np.where(np.isnan(difference), np.inf, difference)  # a number on one side only
    left_out = no_seed[:, None] & np.array([name.startswith(OF_ORDER) for name in numeric], dtype=bool)
    difference[left_out] = 0.0
    n_compared, n_off = int((~left_out).sum()), int((difference > allowed).sum())
    if not n_off:
        return Agreement(n_compared, n_compared, "")
    row, column = np.unravel_index((difference / allowed).argmax(), difference.shape)
    place = f"{numeric[column]} in row {row + 1}"
    values = (
        f"{ours[row, column]:g} here, {theirs[row, column]:g} published, {allowed[row, column]:.2g} allowed"
    )
    return Agreement(n_compared - n_off, n_compared, f"farthest off: {place}: {values}")


def _tolerances(published, numeric, unseeded, one_measure):
    """Return what each number may differ by."""
    values = published[numeric].replace([np.inf, -np.inf], np.nan)
    base = published["base"] if "base" in published else pd.Series(0, index=published.index)
    share = np.where(unseeded, UNSEEDED_SHARE, SHARE)
    return np.fmax(_spread(values, base, one_measure) * share[:, None], LEAST)


def _spread(values, group, one_measure):
    """Return how far apart the numbers of each column, or of all columns, lie within each group of rows."""
    of_rows = values.groupby(group, dropna=False)
    highest, lowest = of_rows.transform("max"), of_rows.transform("min")
    if one_measure:
        highest[:] = highest.max(axis=1).to_numpy()[:, None]
        lowest[:] = lowest.min(axis=1).to_numpy()[:, None]
    return (highest - lowest).to_numpy(float)


def _is_numeric(frame, column):
    """Whether a column is there and holds numbers only."""
    return (
        column in frame
        and pd.api.types.is_numeric_dtype(frame[column])
        and not pd.api.types.is_bool_dtype(frame[column])
    )


def _mismatch(here, there, numeric):
    """Say why two tables do not describe the same rows, or return nothing."""
    if list(here) != list(there):
        return f"columns here {list(here)}, published {list(there)}"
    if len(here) != len(there):
        return f"{len(here)} rows here, {len(there)} published"
    for column in here.columns.difference(numeric, sort=False):
        ours, theirs = here[column].astype(str), there[column].astype(str)
        for row in np.flatnonzero(ours != theirs)[:1]:
            return f"{column} in row {row + 1} is {ours[row]!r} here, {theirs[row]!r} published"
    return ""
