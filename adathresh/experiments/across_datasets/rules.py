"""How our rule compares with every rival over all data sets and base models."""

import pandas as pd

from adathresh.experiments.across_datasets.models import places_with
from adathresh.experiments.core.rules import FUSED, OURS, WITH_TEXTS

_ONE_LINE = ["dataset", "base", "rule", "mode"]


def rules_table(folder):
    """Average the seeds of every data set, base model and rule, and say how ``adaptive`` compares.

    One row for each. ``adaptive_difference`` is the macro-F1 of ``adaptive`` minus the rule's,
    ``adaptive_low`` and ``adaptive_high`` its 95 % interval; ``adaptive_is`` "better" where the interval lies
    above 0, "worse" where it lies below, else "level". ``texts_difference`` and so on are the same for
    ``adaptive + label texts``, missing where there are no texts; both are missing for the rule itself.

    ``folder`` holds ``rules.csv`` and ``rule_differences.csv`` in ``<dataset>/08_decision_rules/``, or below
    ``<dataset>/full/``, which goes before.
    """
    places = places_with(folder, "08_decision_rules/rule_differences.csv")
    return pd.concat([_one_set(profile, place) for _, profile, place in places], ignore_index=True)


def inductive_rivals(table):
    """Select the rules that ``adaptive`` has to beat: rivals that have not seen the rows to be predicted.

    Those that are given its own fused probabilities are not among them; :func:`fused_rivals` selects these.
    """
    ours = table["rule"].str.startswith(OURS) | table["rule"].str.endswith(FUSED)
    return table[(table["mode"] == "inductive") & ~ours]


def fused_rivals(table):
    """Select the rivals that are given the fused probabilities of ``adaptive`` in place of the scores.

    Against them only its thresholds count, as all else is the same.
    """
    return table[table["rule"].str.endswith(FUSED)]


def outcomes(table):
    """Count over data sets and base models how ``adaptive`` compares with each rival, on scores or fused.

    One row a rival rule, columns better, level and worse.
    """
    rivals = pd.concat([inductive_rivals(table), fused_rivals(table)])
    counts = pd.crosstab(rivals["rule"], rivals["adaptive_is"])
    return counts.reindex(index=rivals["rule"].unique(), columns=["better", "level", "worse"], fill_value=0)


def _one_set(profile, folder):
    """Summarise one data set."""
    rows, differences = pd.read_csv(folder / "rules.csv"), pd.read_csv(folder / "rule_differences.csv")
    means = rows.groupby(_ONE_LINE, sort=False).agg(
        seeds=("seed", "nunique"), macro_f1=("macro_f1", "mean"), micro_f1=("micro_f1", "mean")
    )
    table = means.reset_index()
    table.insert(1, "profile", profile)
    of_macro = differences[differences["metric"] == "macro_f1"].rename(columns={"b": "rule"})
    for ours, prefix in ((OURS, "adaptive_"), (WITH_TEXTS, "texts_")):
        interval = of_macro[of_macro["a"] == ours].set_index(["base", "rule"])[["difference", "low", "high"]]
        interval = interval.assign(**{"is": _verdicts(interval)}).add_prefix(prefix)
        table = table.join(interval, on=["base", "rule"])
    return table


def _verdicts(interval):
    """Say of each interval on which side of 0 it lies."""
    verdicts = pd.Series("level", index=interval.index)
    verdicts[interval["low"] > 0] = "better"
    verdicts[interval["high"] < 0] = "worse"
    return verdicts
