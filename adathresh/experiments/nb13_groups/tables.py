"""The columns of the table of values."""

import numpy as np

from adathresh.experiments.nb06_leakage.splits import BASE
from adathresh.metrics import macro_f1, micro_f1, samples_f1

MEASURES = {"macro_f1": macro_f1, "micro_f1": micro_f1, "samples_f1": samples_f1}
"""What is measured of label sets."""

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
