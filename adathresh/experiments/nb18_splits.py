"""Notebook 18: what a score owes to the split, by groups that it parts and by test texts already known."""

import numpy as np

from adathresh.experiments.core.claims import order_claim
from adathresh.experiments.core.evaluation import auroc_rows
from adathresh.experiments.core.results import study_row
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.core.splits import BASE, label_sets_of, random_split
from adathresh.leakage import only_words
from adathresh.metrics import macro_f1, macro_f1_present, micro_f1

METRICS = {"macro_f1": macro_f1, "macro_f1_present": macro_f1_present, "micro_f1": micro_f1}
"""What is measured of the label sets."""

AS_PUBLISHED, AT_RANDOM = "as published", "all rows split at random"
"""Names of the splits that are compared."""

WITHOUT, AS_MANY = "without near-duplicates", "as many at random"
"""Parts of the published test rows: those that no training text equals, and as many of all of them."""

N_CONTROLS = 20
"""How often as many test rows are left out at random as there are near-duplicates."""


def split_tables(config, ds):
    """Return the rows of both tables, splits and auroc, seed by seed."""
    compared = [compare_splits(config, ds, seed=seed) for seed in config.seed_list]
    splits, auroc = ([row for rows in of_seeds for row in rows] for of_seeds in zip(*compared, strict=True))
    return {"splits": splits, "auroc": auroc}


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


def known_texts(ds):
    """Mark the test texts that equal a training text but for digits and punctuation."""
    known = {only_words(text) for text in ds.train.texts}
    return np.array([only_words(text) in known for text in ds.test.texts])


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
            AS_MANY: draws,
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


def claims(tables):
    """Say how the rules come out on each split, and what the split does to ours; means over seeds."""
    means = tables["splits"].groupby(["test_rows", "rule"])["macro_f1"].mean()
    found = [
        order_claim(f"Macro-F1 by rule, {variant}", means[variant])
        for variant in (AS_PUBLISHED, WITHOUT, AT_RANDOM)
        if variant in means
    ]
    ours = means.xs(OURS, level="rule")
    if WITHOUT in ours:
        found.append(order_claim(f"Macro-F1 of {OURS} by test rows", ours[[WITHOUT, AS_MANY]]))
    if AT_RANDOM in ours:
        found.append(order_claim(f"Macro-F1 of {OURS} by split", ours[[AS_PUBLISHED, AT_RANDOM]]))
    return found


def finding(tables):
    """Say what another split does to label sets and scores, where the rows have groups or texts."""
    splits = tables["splits"]
    ours = splits[splits["rule"] == OURS].groupby("test_rows")[["macro_f1", "micro_f1"]].mean()
    pairs = {name: f"{row['macro_f1']:.3f} / {row['micro_f1']:.3f}" for name, row in ours.iterrows()}
    if AT_RANDOM in pairs:
        return (
            f"A split at random, which parts rows that belong together, shows {pairs[AT_RANDOM]} (macro-F1 / "
            f"micro-F1) for `{OURS}` where the published split, on other test rows, shows "
            f"{pairs[AS_PUBLISHED]}; macro-AUROC is {_auroc_of(tables, AT_RANDOM)} where it is "
            f"{_auroc_of(tables, AS_PUBLISHED)}."
        )
    if WITHOUT in pairs:
        return (
            f"Without the test texts that a training text equals, `{OURS}` reaches {pairs[WITHOUT]} "
            f"(macro-F1 / micro-F1), without as many others {pairs[AS_MANY]}, on all test rows "
            f"{pairs[AS_PUBLISHED]}; macro-AUROC without them is {_auroc_of(tables, WITHOUT)}, on all test "
            f"rows {_auroc_of(tables, AS_PUBLISHED)}."
        )
    return (
        "No other split is compared, since this data set has neither groups nor test texts that a training "
        f"text equals; `{OURS}` reaches {pairs[AS_PUBLISHED]} (macro-F1 / micro-F1), macro-AUROC is "
        f"{_auroc_of(tables, AS_PUBLISHED)}."
    )


def _auroc_of(tables, variant):
    """Write the macro-AUROC of all labels on some test rows, mean over seeds, with its interval."""
    rows = tables["auroc"].query("training_rows == 'all' and scores == @BASE + ', ' + @variant")
    value, low, high = rows[["value", "low", "high"]].mean()
    return f"{value:.3f} (95 % interval {low:.3f} to {high:.3f})"
