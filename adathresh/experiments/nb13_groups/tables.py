"""The rows of both tables: what is measured, and what is compared."""

import numpy as np

from adathresh.experiments.core.splits import BASE
from adathresh.metrics import macro_f1, micro_f1, paired_bootstrap, samples_f1

MEASURES = {"macro_f1": macro_f1, "micro_f1": micro_f1, "samples_f1": samples_f1}
"""What is measured of label sets."""

METRICS = ("macro_f1", "micro_f1")
"""What predictions are compared in."""

ALL_ROWS = "all"
"""All test rows."""


def value_row(config, ds, Y, predicted, trained_on, *, seed, draw, **named):
    """Evaluate label sets of test rows, whose labels are Y; ``trained_on`` has each fitting row's group."""
    return {
        "dataset": config.dataset,
        "fingerprint": ds.fingerprint[:16],
        "base": BASE,
        **named,
        "seed": seed,
        "draw": draw,
        "fitting_rows": len(trained_on),
        "fitting_groups": len(np.unique(trained_on)),
        "n_rows": Y.shape[0],
        "n_labels": Y.shape[1],
        **{name: measure(Y, predicted) for name, measure in MEASURES.items()},
    }


def compared_rows(config, Y, ours, others, groups, **named):
    """Compare two predictions of the same rows: a table row a metric, with intervals by groups and by rows.

    ``ours`` and ``others`` have one label matrix a repetition. "low" and "high" bound the 95 % interval that
    resamples groups, "low_by_rows" and "high_by_rows" the one that takes every row for independent.
    """
    rows = []
    for metric in METRICS:
        options = {
            "metric": metric,
            "n_draws": config.numbers.n_bootstrap,
            "random_state": config.random_state,
        }
        by_groups, by_rows = (
            paired_bootstrap(Y, ours, {"others": others}, groups=units, **options)["others"]
            for units in (groups, None)
        )
        bounds = {f"{bound}_by_rows": by_rows[bound] for bound in ("low", "high")}
        rows.append({**named, "metric": metric, **by_groups, **bounds})
    return rows
