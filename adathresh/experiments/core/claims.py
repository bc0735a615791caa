"""Findings as data: what a notebook claims, read off its tables, with an outcome that a check can compare.

A notebook's module has a function ``claims(tables)`` that returns one row a claim: the claim in words, its
outcome ("above 0", "a > b", "yes") and the figures behind it. Published outcomes lie beside the tables in
``claims.csv``; a run whose outcomes differ has not reproduced the finding, however close its numbers are.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

ABOVE, LEVEL, BELOW = "above 0", "level", "below 0"
"""What a difference with its interval can be."""


METRICS = {"macro_f1": "Macro-F1", "micro_f1": "Micro-F1", "ece": "ECE", "brier": "Brier score"}
"""The columns that differences are measured in, and what claims call them."""


def interval_claims(frame, wording):
    """Claim the sign of every difference in a table, or that its interval holds 0.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns difference, low and high, and those that ``wording`` names. Repetitions, one row a seed, are
        averaged.
    wording : str
        The claim in words, with names of columns in braces: "{a} against {b}, {metric}".

    Returns
    -------
    list of dict
        One claim for each wording that comes out, in the order of the rows.
    """
    shown = frame.replace({"metric": METRICS}) if "metric" in frame else frame
    named = shown.assign(claim=[wording.format(**row) for row in shown.to_dict("records")])
    means = named.groupby("claim", sort=False)[["difference", "low", "high"]].mean()
    return [
        {
            "claim": claim,
            "outcome": ABOVE if row["low"] > 0 else BELOW if row["high"] < 0 else LEVEL,
            "figures": "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**row),
        }
        for claim, row in means.iterrows()
    ]


def order_claim(claim, values, *, digits=3):
    """Claim the order of some named values.

    Parameters
    ----------
    claim : str
        What is ordered.
    values : dict of str to float, or pandas.Series
        The values by name.
    digits : int, default=3
        Values that are equal after rounding to so many decimals count as equal.

    Returns
    -------
    dict
        The claim; its outcome is the names from the greatest to the smallest value, with > or = between them.
    """
    items = sorted(((name, round(float(value), digits)) for name, value in dict(values).items()))
    items.sort(key=lambda item: -item[1] if np.isfinite(item[1]) else np.inf)
    outcome = items[0][0]
    for (_, before), (name, value) in pairwise(items):
        outcome += f" {'=' if value == before else '>'} {name}"
    figures = ", ".join(f"{name} {value:.{digits}f}" for name, value in items)
    return {"claim": claim, "outcome": outcome, "figures": figures}


def yes_claim(claim, holds, figures):
    """Claim that something is so.

    Parameters
    ----------
    claim : str
        What is claimed.
    holds : bool
        Whether it is so.
    figures : str
        The figures behind it.

    Returns
    -------
    dict
        The claim; its outcome is "yes" or "no".
    """
    return {"claim": claim, "outcome": "yes" if holds else "no", "figures": figures}


def claims_differ(here, published):
    """Name the claims whose outcome is not the published one.

    Parameters
    ----------
    here, published : pandas.DataFrame
        Columns claim and outcome.

    Returns
    -------
    list of str
        One sentence for each claim that differs or that only one side makes.
    """
    ours = dict(zip(here["claim"], here["outcome"], strict=True))
    theirs = dict(zip(published["claim"], published["outcome"], strict=True))
    return [
        f"{claim}: {ours.get(claim, 'not claimed')} here, {theirs.get(claim, 'not claimed')} published"
        for claim in {**theirs, **ours}
        if ours.get(claim) != theirs.get(claim)
    ]


def as_table(rows):
    """Return claims as the table that is written.

    Parameters
    ----------
    rows : list of dict
        The claims.

    Returns
    -------
    pandas.DataFrame
        Columns claim, outcome and figures.
    """
    table = pd.DataFrame(rows, columns=["claim", "outcome", "figures"])
    if table["claim"].duplicated().any():
        raise ValueError(f"claimed twice: {table['claim'][table['claim'].duplicated()].iloc[0]}")
    return table
