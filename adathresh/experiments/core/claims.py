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

    ``frame`` has columns difference, low and high, and those that ``wording`` names in braces: "{a} against
    {b}, {metric}". Rows of equal wording are repetitions and are averaged into one claim.
    """
    shown = frame.replace({"metric": METRICS}) if "metric" in frame else frame
    named = shown.assign(claim=[wording.format(**row) for row in shown.to_dict("records")])
    means = named.groupby("claim", sort=False)[["difference", "low", "high"]].mean()
    return [
        {
            "claim": row["claim"],
            "outcome": outcome_of(row),
            "figures": "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**row),
        }
        for row in means.reset_index().to_dict("records")
    ]


def outcome_of(row):
    """Say on which side of 0 a difference's interval lies, or that it holds 0."""
    return ABOVE if row["low"] > 0 else BELOW if row["high"] < 0 else LEVEL


def order_claim(claim, values, *, digits=3):
    """Claim the order of some named values.

    The outcome is their names, the greatest first, with > or = between them. Values that are equal after
    rounding to ``digits`` decimals count as equal.
    """
    items = sorted(((name, round(float(value), digits)) for name, value in dict(values).items()))
    items.sort(key=lambda item: -item[1] if np.isfinite(item[1]) else np.inf)
    outcome = items[0][0]
    for (_, before), (name, value) in pairwise(items):
        outcome += f" {'=' if value == before else '>'} {name}"
    figures = ", ".join(f"{name} {value:.{digits}f}" for name, value in items)
    return {"claim": claim, "outcome": outcome, "figures": figures}


def best_claims(frame, name, *, of, column="macro_f1", claim, least=False):
    """Claim, for each group of rows, whether one of them has the greatest (or least) value of a column.

    ``of`` names the column of the groups and the one of the rows' names; ``claim`` words it with the group in
    braces. Repetitions are averaged; a tie is no.
    """
    found = []
    group, row = of
    for key, values in frame.groupby(group, sort=False):
        means = values.groupby(row)[column].mean()
        others = means.drop(name)
        rival = others.min() if least else others.max()
        holds = means[name] < rival if least else means[name] > rival
        figures = f"{means[name]:.4f}, the next {rival:.4f}"
        found.append(yes_claim(claim.format(key), bool(holds), figures))
    return found


def yes_claim(claim, holds, figures):
    """Claim that something is so, with the figures behind it: the outcome is "yes" or "no"."""
    return {"claim": claim, "outcome": "yes" if holds else "no", "figures": figures}


def claims_differ(here, published):
    """Say in one sentence each which claims differ in their outcome or are made on one side only."""
    ours = dict(zip(here["claim"], here["outcome"], strict=True))
    theirs = dict(zip(published["claim"], published["outcome"], strict=True))
    return [
        f"{claim}: {ours.get(claim, 'not claimed')} here, {theirs.get(claim, 'not claimed')} published"
        for claim in {**theirs, **ours}
        if ours.get(claim) != theirs.get(claim)
    ]


def as_table(rows):
    """Return claims as the table that is written: columns claim, outcome and figures."""
    table = pd.DataFrame(rows, columns=["claim", "outcome", "figures"])
    if table["claim"].duplicated().any():
        raise ValueError(f"claimed twice: {table['claim'][table['claim'].duplicated()].iloc[0]}")
    return table
