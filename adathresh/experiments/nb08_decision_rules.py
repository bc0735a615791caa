"""Notebook 08: every decision rule on the same cross-fitted scores."""

from typing import NamedTuple

from adathresh.experiments.core.base_models import UNSEEDED
from adathresh.experiments.core.claims import best_claims, interval_claims
from adathresh.experiments.core.crossfit import TOGETHER, crossfit_all, crossfitted, parts_of_together
from adathresh.experiments.core.evaluation import interval_rows, on_every_base, rule_rows
from adathresh.experiments.core.rules import (
    OURS,
    WITH_TEXTS,
    Choice,
    all_predictions,
    choice_prediction,
    everything,
    predict_all,
)


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


def compared_rows(config, ds, found):
    """Compare our rule, and ours with label texts, with each rival rule, over all seeds at once.

    Rows are those of :func:`adathresh.experiments.core.evaluation.interval_rows`.
    """
    rows = []
    for base in dict.fromkeys(entry.base for entry in found):
        seeds = [entry.label_sets for entry in found if entry.base == base]
        label_sets = {rule: [sets[rule] for sets in seeds] for rule in seeds[0]}
        for ours in (OURS, WITH_TEXTS):
            if ours in label_sets:
                rows += interval_rows(
                    config, ds, label_sets, ours, random_state=config.random_state, base=base
                )
    return rows


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
