"""Notebook 08: every decision rule on the same cross-fitted scores."""

from typing import NamedTuple

import numpy as np

from adathresh.experiments.core.base_models import UNSEEDED
from adathresh.experiments.core.claims import ABOVE, BELOW, best_claims, interval_claims, outcome_of
from adathresh.experiments.core.crossfit import TOGETHER, crossfit_all, crossfitted, parts_of_together
from adathresh.experiments.core.evaluation import (
    intervals_on_every_base,
    label_frequency,
    on_every_base,
    rule_rows,
)
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.rules import (
    FUSED,
    OURS,
    WITH_TEXTS,
    Choice,
    all_predictions,
    choice_prediction,
    everything,
    predict_all,
)
from adathresh.experiments.core.sentences import counted, mean_differences, with_interval
from adathresh.metrics import macro_f1, micro_f1


class RulesOnScores(NamedTuple):
    """Every rule on the scores of one base model and seed."""

    base: str
    """Name of the base model."""
    rows: list
    """One row a rule, with every metric."""
    timings: list
    """Seconds of the base model and of each rule."""
    label_sets: dict
    """Label sets of the test rows by rule."""


def rules_on_all_scores(config, ds):
    """Score with every base model and label by every rule, for every seed.

    Base model by base model, all of them together last, and of each the seeds in order.
    """
    names = parts_of_together(config, ds)
    crossfit_all(config, ds, names)
    predict_all(config, ds, [*names, TOGETHER])
    return on_every_base(rules_on_scores, config, ds, [*names, TOGETHER])


def rules_on_scores(config, ds, base, *, seed):
    """Label the test rows by every rule on one base model's scores, or on all of them together."""
    predictions = all_predictions(config, ds, base, seed=seed)
    seconds = crossfitted(config, ds, base, seed=seed).cost.seconds
    timings = [{"step": f"{base}, seed {seed}", "seconds": round(seconds, 1)}]
    timings += [
        {"step": f"{base}, {rule}", "seconds": round(found.seconds, 2)} for rule, found in predictions.items()
    ]
    rows = rule_rows(config, ds, base, predictions, seed=seed)
    return RulesOnScores(base, rows, timings, {rule: found.label_sets for rule, found in predictions.items()})


def seconds_by_rule(found):
    """Return the seconds of fitting a rule and predicting by it, one row a base model, seed and rule."""
    return [
        {"base": entry.base, "rule": line["step"].removeprefix(f"{entry.base}, "), "seconds": line["seconds"]}
        for entry in found
        for line in entry.timings[1:]  # the first is the base model's own
    ]


def trained_and_tested_rows(ds, found):
    """Evaluate every rule over the labels alone that have both fitting and test rows.

    Published figures often leave the others out, such as those of Reuters-21578 over the 90 labels of the
    ApteMod split.
    """
    trained, tested = label_frequency(fitting_labels(ds)), label_frequency(ds.test.Y)
    labels = np.flatnonzero((trained > 0) & (tested > 0))
    truth = ds.test.Y[:, labels]
    rows = []
    for entry in found:
        for row in entry.rows:
            predicted = entry.label_sets[row["rule"]][:, labels]
            named = {name: row[name] for name in ("base", "rule", "mode", "seed")}
            scores = {"macro_f1": macro_f1(truth, predicted), "micro_f1": micro_f1(truth, predicted)}
            rows.append({**named, "n_labels": len(labels), **scores})
    return rows


def compared_rows(config, ds, found):
    """Compare our rule, and ours with label texts, with each rival rule, over all seeds at once."""
    return intervals_on_every_base(config, ds, found, (OURS, WITH_TEXTS))


def ladder(config, ds):
    """Climb from one base model's scores alone to all base models and signals, one after the other.

    One row a rung and seed, with every metric; ``rung`` says what it adds to the one before.
    """
    top = everything(config, ds)
    start, *others = top.bases
    rungs = {start: Choice((start,), ())}
    for at, signal in enumerate(top.signals):
        rungs[f"+ {signal}"] = Choice((start,), top.signals[: at + 1])
    for at, base in enumerate(others):
        rungs[f"+ {base}"] = Choice((start, *others[: at + 1]), top.signals)
    return _choice_rows(config, ds, rungs, "rung")


def left_out(config, ds):
    """Leave out each base model and each signal in turn, all others kept; one row each and seed."""
    top = everything(config, ds)
    choices = {"nothing": top}
    if len(top.bases) > 1:
        for base in top.bases:
            choices[base] = top._replace(bases=tuple(name for name in top.bases if name != base))
    for signal in top.signals:
        choices[signal] = top._replace(signals=tuple(name for name in top.signals if name != signal))
    return _choice_rows(config, ds, choices, "left out")


def _choice_rows(config, ds, choices, column):
    """Evaluate our rule on some choices of base models and signals."""
    names = list(choices)
    found = on_every_base(_choice_row, config, ds, [(choices[name], column, name) for name in names])
    return [row for rows in found for row in rows]


def _choice_row(config, ds, choice, *, seed):
    """Evaluate our rule on one choice of base models and signals."""
    what, column, name = choice
    prediction = choice_prediction(config, ds, what, seed=seed)
    base = what.bases[0] if len(what.bases) == 1 else TOGETHER
    rows = rule_rows(config, ds, base, {OURS: prediction}, seed=seed)
    return [{column: name, **row} for row in rows]


def claims(tables):
    """Say which rules ours is better than, and which are better than ours.

    Models that take no seed are left out.
    """
    differences = tables["rule_differences"]
    seeded = differences[~differences["base"].isin(UNSEEDED)]
    rules = tables["rules"]
    rivals = (rules["mode"] == "inductive") & ~rules["rule"].str.startswith(OURS)
    return [
        *best_claims(
            rules[rivals | (rules["rule"] == OURS)],
            OURS,
            of=("base", "rule"),
            claim=f"{OURS} has the greatest macro-F1 of the inductive rules, {{}}",
        ),
        *interval_claims(seeded, "{metric} of {a} minus that of {b}, {base}"),
    ]


def finding(tables):
    """Answer the notebook's question from its tables."""
    rules, differences = tables["rules"], tables["rule_differences"].query("metric == 'macro_f1'")
    found = mean_differences(differences[differences["a"] == OURS], ["base", "b"])
    inductive = rules.loc[rules["mode"] == "inductive", "rule"].unique()
    names = [name for name in inductive if not name.startswith(OURS) and not name.endswith(FUSED)]
    rivals = found[found.index.isin(names, level="b")]
    counts = rivals.apply(outcome_of, axis=1).value_counts()
    first = rules["base"].iloc[0]
    n_models = (rules["base"].unique() != TOGETHER).sum()
    of_first = found.loc[first]
    closest = rivals.loc[first]["difference"].idxmin()
    return (
        f"Against {counted(len(names), 'inductive rival rule')} on the scores of "
        f"{counted(n_models, 'base model')} and of all of them together, `{OURS}` has a clearly greater "
        f"macro-F1 in {counts.get(ABOVE, 0)} of {len(rivals)} comparisons, a clearly smaller one in "
        f"{counts.get(BELOW, 0)}{_against_transductive(rules, found)}. On the {first} model's "
        f"scores its macro-F1 minus that of the best inductive rival, `{closest}`, is "
        f"{with_interval(of_first.loc[closest], named=True)}. There it owes "
        f"{with_interval(of_first.loc['adaptive, no neighbours'])} to the neighbours and "
        f"{with_interval(of_first.loc['adaptive, linear'])} to boosting in place of a linear fusion"
        f"{_by_texts(of_first)}."
    )


def _against_transductive(rules, found):
    """Count the outcomes against rivals that choose with the scores of all test rows in hand."""
    transductive = rules.loc[rules["mode"] == "transductive", "rule"].unique()
    names = [name for name in transductive if not name.startswith(OURS)]
    counts = found[found.index.isin(names, level="b")].apply(outcome_of, axis=1).value_counts()
    if not len(counts):
        return ""
    return (
        f"; against {', '.join(f'`{name}`' for name in names)}, which sees the scores of all test rows at "
        f"once, in {counts.get(ABOVE, 0)} and {counts.get(BELOW, 0)} of {counts.sum()}"
    )


def _by_texts(found):
    """Say what label texts add, where there are any."""
    if WITH_TEXTS not in found.index:
        return ""
    low, high = -found.loc[WITH_TEXTS, "high"], -found.loc[WITH_TEXTS, "low"]
    added = {"difference": -found.loc[WITH_TEXTS, "difference"], "low": low, "high": high}
    return f"; label texts add {with_interval(added)}"
