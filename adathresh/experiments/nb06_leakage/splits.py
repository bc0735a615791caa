"""What a test score owes to the split: groups that it parts, and test texts that the training rows know."""

import dataclasses

import numpy as np
import scipy.sparse as sp

from adathresh.datasets import Split
from adathresh.experiments.core.crossfit import crossfit_all, crossfitted
from adathresh.experiments.core.fold_scores import joined
from adathresh.experiments.core.rules import FIXED, OURS, main_predictions
from adathresh.experiments.nb06_leakage.released_tables import auroc_rows, study_row
from adathresh.leakage import only_words
from adathresh.metrics import macro_f1, macro_f1_present, micro_f1

BASE = "linear"
"""The base model whose cross-fitted scores are judged, as in notebooks 02 and 08."""

RULES = (FIXED, "global threshold", OURS)
"""The rules that label the test rows."""

METRICS = {"macro_f1": macro_f1, "macro_f1_present": macro_f1_present, "micro_f1": micro_f1}
"""What is measured of the label sets."""

AS_PUBLISHED, WITHOUT, AT_RANDOM = "as published", "without near-duplicates", "all rows split at random"
"""Names of the splits that are compared."""

N_CONTROLS = 20
"""How often as many test rows are left out at random as there are near-duplicates."""


def compare_splits(config, ds, *, seed):
    """Evaluate one base model on the published split, without near-duplicates, and on a random split.

    Returns the rows of label sets and of scores (``auroc_rows``). Near-duplicates are left out where there
    are texts; the random split is drawn where there are groups, which the published split keeps together.
    """
    splits = {AS_PUBLISHED: ds}
    if ds.train.groups is not None:
        splits[AT_RANDOM] = random_split(ds, seed=seed)
    found = {name: label_sets_of(config, split, seed=seed) for name, split in splits.items()}
    scores, label_sets = found[AS_PUBLISHED]
    rows = split_rows(config, ds, AS_PUBLISHED, label_sets, seed=seed)
    auroc = _auroc(config, ds, AS_PUBLISHED, scores, slice(None), seed)
    known = np.zeros(0, dtype=bool) if ds.train.texts is None else known_texts(ds)
    if known.any():
        rows += near_duplicate_rows(config, ds, label_sets, known, seed=seed)
        auroc += _auroc(config, ds, WITHOUT, scores, np.flatnonzero(~known), seed)
    if AT_RANDOM in splits:
        drawn, (scores, label_sets) = splits[AT_RANDOM], found[AT_RANDOM]
        rows += split_rows(config, drawn, AT_RANDOM, label_sets, seed=seed)
        auroc += _auroc(config, drawn, AT_RANDOM, scores, slice(None), seed)
    return rows, auroc


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


def known_texts(ds):
    """Mark the test texts that equal a training text but for digits and punctuation."""
    known = {only_words(text) for text in ds.train.texts}
    return np.array([only_words(text) in known for text in ds.test.texts])


def label_sets_of(config, ds, *, seed):
    """Cross-fit the base model on training and validation rows; return its test scores and label sets.

    The label sets come by the names of :data:`RULES`.
    """
    crossfit_all(config, ds, [BASE])
    found = main_predictions(config, ds, BASE, seed=seed)
    scores = crossfitted(config, ds, BASE, seed=seed).scores[1]
    return scores, {rule: found[rule].label_sets for rule in RULES}


def split_rows(config, ds, variant, label_sets, *, seed):
    """Evaluate label sets of all test rows of the split named ``variant``: one row a rule."""
    everything = np.arange(ds.test.Y.shape[0])
    return [
        _evaluated(config, ds, variant, rule, predicted, everything, seed)
        for rule, predicted in label_sets.items()
    ]


def near_duplicate_rows(config, ds, label_sets, known, *, seed):
    """Evaluate label sets with and without the test texts that the training rows know.

    For every rule: the test rows without near-duplicates; the mean over :data:`N_CONTROLS` draws of as many
    test rows, since fewer rows have fewer labels; the near-duplicates alone.
    """
    rng, kept = np.random.default_rng(seed), int((~known).sum())
    draws = [np.sort(rng.permutation(len(known))[:kept]) for _ in range(N_CONTROLS)]
    rows = []
    for rule, predicted in label_sets.items():
        parts = {
            WITHOUT: [np.flatnonzero(~known)],
            "as many at random": draws,
            "near-duplicates alone": [np.flatnonzero(known)],
        }
        for variant, drawn in parts.items():
            found = [_evaluated(config, ds, variant, rule, predicted, part, seed) for part in drawn]
            means = {name: float(np.mean([row[name] for row in found])) for name in METRICS}
            rows.append(found[0] | means)
    return rows


def _evaluated(config, ds, variant, rule, predicted, rows, seed):
    """Return the table row of some test rows."""
    found = {name: metric(ds.test.Y[rows], predicted[rows]) for name, metric in METRICS.items()}
    return study_row(
        config, ds, seed, split="test", test_rows=variant, n_rows=len(rows), base=BASE, rule=rule, **found
    )


def _auroc(config, ds, variant, scores, rows, seed):
    """Return the macro-AUROC of some test rows."""
    named = {f"{BASE}, {variant}": scores[rows]}
    return auroc_rows(config, ds, ds.test.Y[rows], named, seed=seed, split="test")
