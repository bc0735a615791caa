"""The paper's own promise: its method and its loss without thresholds, trained with labels lost."""

import pandas as pd
from joblib import delayed

from adathresh.experiments.core.data import subsample
from adathresh.experiments.core.display import shown
from adathresh.experiments.core.evaluation import interval_rows, method_rows
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.trainings import PAPER, neighbor_shares, train_network
from adathresh.experiments.nb04_ablations import ABLATIONS
from adathresh.experiments.nb11_noise.labels import CLEAN, MISSING, WRONG, corrupted, noises

METHOD, NO_THRESHOLDS, CROSS_ENTROPY = "paper's method", "same loss, θ = 0", "plain cross-entropy"
"""The paper's method and what it is compared with, as notebook 03 names them."""

SWITCHES = {
    name: {**PAPER, **ABLATIONS[of_04]}
    for name, of_04 in ((METHOD, METHOD), (NO_THRESHOLDS, "fixed threshold"), (CROSS_ENTROPY, CROSS_ENTROPY))
}
"""Their switches: on clean labels the trainings are those of notebook 04."""

KINDS = {"quick": (CLEAN, MISSING), "full": (CLEAN, MISSING, WRONG)}
"""What is done to the labels, by profile."""

AMOUNT = 0.5
"""Share of the labels that is missing or wrong."""


def robustness_tables(config, ds):
    """Train every method on clean and on noisy labels; return the tables of its figures and differences.

    As in notebook 04 on at most ``ablation_rows`` training rows. Noisy validation rows decide when to stop.
    """
    tried = [
        noise
        for noise in noises(config, ds)
        if noise.kind in KINDS[config.profile] and noise.amount in (0, AMOUNT)
    ]
    n_rows = config.numbers.ablation_rows
    parts = {
        (noise, seed): subsample(corrupted(ds, noise, seed=seed), n_rows, seed=seed)
        for noise in tried
        for seed in config.seed_list
    }
    side_by_side(delayed(neighbor_shares)(part) for part in parts.values())
    jobs = [(name, *place) for place in parts for name in SWITCHES]
    trained = side_by_side(
        delayed(train_network)(config, parts[noise, seed], seed=seed, **SWITCHES[name])
        for name, noise, seed in jobs
    )
    runs = dict(zip(jobs, trained, strict=True))
    rows, differences = [], []
    for noise in tried:
        for seed in config.seed_list:
            of_seed = {name: runs[name, noise, seed] for name in SWITCHES}
            clean = subsample(ds, n_rows, seed=seed)  # whose labels say how rare each is
            rows += [{**noise.columns, **row} for row in method_rows(config, clean, of_seed, seed=seed)]
        sets = {
            name: [runs[name, noise, seed].test_predicted for seed in config.seed_list] for name in SWITCHES
        }
        options = {"random_state": config.random_state, "base": "network", **noise.columns}
        differences += interval_rows(config, ds, sets, METHOD, **options)
    return {"robustness": rows, "robustness_differences": differences}


def shown_differences(rows):
    """Show what the paper's method has more macro-F1 than each other one."""
    macro = pd.DataFrame(rows).query("metric == 'macro_f1'")
    columns = ["noise", "a", "b", "difference", "low", "high"]
    return shown(macro[columns], caption="Macro-F1, 95 % intervals", digits=4)
