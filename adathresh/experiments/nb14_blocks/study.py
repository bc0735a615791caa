"""The tables of notebook 14: each block alone, both, both with one missing, and what weights are chosen."""

from itertools import product

import pandas as pd
from joblib import delayed

from adathresh.experiments.core.evaluation import interval_rows, rule_rows
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.nb14_blocks.scoring import (
    ALONE,
    MISSING,
    bases_of,
    chosen_weights,
    fitting_macro_f1,
    predictions_of,
    prepare_scores,
    variants_of,
)
from adathresh.experiments.nb14_blocks.views import BOTH, CHOSEN_LAYERS, LAYERS, block_names, candidate_blocks


def block_tables(config, ds):
    """Return the rows of all tables, by name."""
    prepare_scores(config, ds)
    jobs = [
        (base, variant, seed)
        for base in bases_of(ds)
        for variant in variants_of(config, ds, base)
        for seed in config.seed_list
    ]
    found = side_by_side(
        delayed(predictions_of)(config, ds, base, variant, seed=seed) for base, variant, seed in jobs
    )
    rows, label_sets = [], {}
    for (base, _, seed), predictions in zip(jobs, found, strict=True):
        for name, prediction in predictions.items():
            name = ALONE.format(name) if name in block_names(config, ds) else name
            (row,) = rule_rows(config, ds, base, {OURS: prediction}, seed=seed)
            rows.append({"blocks": name, **row})
            label_sets.setdefault(base, {}).setdefault(name, []).append(prediction.label_sets)
    return {
        "blocks": rows,
        "block_choice": choice_rows(config, ds),
        "block_weights": weight_rows(config, ds),
        "block_differences": difference_rows(config, ds, label_sets),
    }


def choice_rows(config, ds):
    """Say which block alone is the better one on the fitting rows: one row a base model, block and seed."""
    names = block_names(config, ds)
    rows = pd.DataFrame(
        {
            "base": base,
            "block": name,
            "seed": seed,
            "fitting_macro_f1": fitting_macro_f1(config, ds, base, name, seed=seed),
        }
        for base, name, seed in product(bases_of(ds), names, config.seed_list)
    )
    means = rows.groupby(["base", "block"], sort=False)["fitting_macro_f1"].mean()
    best = {base: means[base].idxmax() for base in bases_of(ds)}
    return rows.assign(
        chosen=[best[base] == name for base, name in zip(rows["base"], rows["block"], strict=True)]
    )


def weight_rows(config, ds):
    """Say what weights are chosen: one row a choice, block and seed."""
    return [
        {"choice": choice, "block": name, "seed": seed, "weight": weight}
        for choice in candidate_blocks(config, ds)
        for seed in config.seed_list
        for name, weight in chosen_weights(config, ds, choice, seed=seed).items()
    ]


def difference_rows(config, ds, label_sets):
    """Compare both blocks with every other variant, and with one missing with the other block alone.

    The chosen layers are also compared with the last one, which transformers are used by.
    """
    names, rows = block_names(config, ds), []
    for base, found in label_sets.items():
        options = {"random_state": config.random_state, "base": base}
        rows += interval_rows(config, ds, found, BOTH, **options)
        pairs = [
            (MISSING.format(name), ALONE.format(alone))
            for name, alone in zip(names, names[::-1], strict=True)
        ]
        if CHOSEN_LAYERS in found:
            pairs.append((CHOSEN_LAYERS, ALONE.format(LAYERS[-1])))
        for ours, other in pairs:
            pair = {ours: found[ours], other: found[other]}
            rows += interval_rows(config, ds, pair, ours, **options)
    return rows
