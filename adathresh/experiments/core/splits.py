"""The rows drawn anew without regard to their groups, and a base model's label sets on any split."""

import dataclasses

import numpy as np
import scipy.sparse as sp

from adathresh.datasets import Split
from adathresh.experiments.core.crossfit import crossfit_all, crossfitted
from adathresh.experiments.core.fold_scores import joined
from adathresh.experiments.core.rules import FIXED, OURS, main_predictions

BASE = "linear"
"""The base model whose cross-fitted scores are judged, as in notebooks 02 and 08."""

RULES = (FIXED, "global threshold", OURS)
"""The rules that label the test rows."""


def random_split(ds, *, seed):
    """Draw all rows anew into parts of the same sizes, without regard to their groups.

    The result has no groups, so that nothing that is fitted on it respects them.
    """
    parts = list(ds.splits.values())
    ends = np.cumsum([part.Y.shape[0] for part in parts])
    order = np.random.default_rng(seed).permutation(ends[-1])
    pooled = Split(
        X=sp.csr_array(sp.vstack([part.X for part in parts])),
        Y=sp.csr_array(sp.vstack([part.Y for part in parts])),
        texts=joined(part.texts for part in parts),
        titles=joined(part.titles for part in parts),
    )
    train, validation, test = (pooled.take(rows) for rows in np.split(order, ends[:-1]))
    return dataclasses.replace(ds, train=train, validation=validation, test=test)


def label_sets_of(config, ds, *, seed):
    """Cross-fit the base model on training and validation rows; return its test scores and label sets.

    The label sets come by the names of :data:`RULES`.
    """
    crossfit_all(config, ds, [BASE])
    found = main_predictions(config, ds, BASE, seed=seed)
    scores = crossfitted(config, ds, BASE, seed=seed).scores[1]
    return scores, {rule: found[rule].label_sets for rule in RULES}
