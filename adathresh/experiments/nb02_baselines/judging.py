"""Train every base model, label the test rows by every main rule, and judge that."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.experiments.core.base_models import base_model_names, chosen_strength
from adathresh.experiments.core.crossfit import crossfit_all, crossfitted
from adathresh.experiments.core.evaluation import intervals_on_every_base, on_every_base, rule_rows
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.experiments.core.rules import FIXED, MAIN_RIVALS, OURS, main_predictions, rival_rules
from adathresh.metrics import macro_f1
from adathresh.posthoc.crossfit import draw_folds

# Folds of the fitting rows in which the rival rules are tried.
_N_FOLDS = 3


class Judged(NamedTuple):
    """One base model under every main rule, for the tables of notebook 02."""

    base: str
    """Name of the base model."""
    rows: list
    """One row a rule, with every metric and what model and rule cost."""
    label_sets: dict
    """Label sets of the test rows by rule."""
    rivals: list
    """Macro-F1 of each rival rule in a cross-validation on the fitting rows."""
    gap: dict
    """Macro-F1 on the test rows at 0.5, under the rival that is best in that cross-validation, under ours."""


def judge_all(config, ds):
    """Judge every base model with every seed under every main rule.

    Base model by base model, and of each the seeds in order.
    """
    names = base_model_names(config, ds)
    crossfit_all(config, ds, names)
    return on_every_base(judge, config, ds, names)


def judge(config, ds, base, *, seed):
    """Judge one base model under every main rule."""
    predictions = main_predictions(config, ds, base, seed=seed)
    cost = crossfitted(config, ds, base, seed=seed).cost._asdict()
    cost["strength"] = chosen_strength(config, ds, base)
    rows = [
        {**row, **cost, "rule_seconds": predictions[row["rule"]].seconds}
        for row in rule_rows(config, ds, base, predictions, seed=seed)
    ]
    by_rule = {row["rule"]: row["macro_f1"] for row in rows}
    tried = rivals_in_cross_validation(config, ds, base, seed=seed)
    best = max(tried, key=tried.get)
    return Judged(
        base=base,
        rows=rows,
        label_sets={rule: found.label_sets for rule, found in predictions.items()},
        rivals=[
            {"base": base, "rule": rule, "seed": seed, "macro_f1_in_cross_validation": value}
            for rule, value in tried.items()
        ],
        gap={
            "base": base,
            "seed": seed,
            "fixed": by_rule[FIXED],
            "best_rival": by_rule[best],
            "adaptive": by_rule[OURS],
        },
    )


def compared_rows(config, ds, judged):
    """Compare our rule with each other one on every base model, over all seeds at once."""
    return intervals_on_every_base(config, ds, judged, (OURS,))


def rivals_in_cross_validation(config, ds, base, *, seed):
    """Macro-F1 of every main rival over the fitting rows: fitted on two thirds, judged on the other, in turn.

    Judged on the rows that they were fitted on, rules with a threshold of its own for every label would
    always win. A group's rows stay together.
    """
    rows, scores = fitting_rows(ds, seed=seed).rows, crossfitted(config, ds, base, seed=seed).scores[0]
    folds = draw_folds(rows.Y.shape[0], _N_FOLDS, groups=rows.groups, random_state=seed + 1)
    order = np.argsort(folds, kind="stable")
    rivals, found = rival_rules(rows.Y), {}
    for name in MAIN_RIVALS:
        rule, parts = rivals[name][0], []
        for fold in range(_N_FOLDS):
            held_out = folds == fold
            rule.fit(scores[~held_out], rows.Y[~held_out])
            parts.append(sp.csr_array(rule.predict(scores[held_out])))
        found[name] = macro_f1(rows.Y[order], sp.csr_array(sp.vstack(parts)))
    return found
