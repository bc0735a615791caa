"""Label sets measured and compared: the rows of the tables that several notebooks write."""

from itertools import product

import numpy as np
from joblib import delayed

from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.results import study_row, table_row
from adathresh.experiments.core.rules import OURS, Prediction
from adathresh.metrics import (
    FREQUENCY_BINS,
    evaluate,
    macro_auroc_interval,
    paired_bootstrap,
    paired_macro_auroc,
)

HEADLINE = ("macro_f1", "macro_f1_present", "micro_f1", "samples_f1", "precision_at_1", "precision_at_5")
"""The metrics that the notebooks show; the tables on disk hold all."""

BINS = {name: f"macro_f1_{suffix}" for name, suffix in FREQUENCY_BINS.items()}
"""Names of the bins of training frequency, and their metrics."""


def label_frequency(Y):
    """Count the rows of every label."""
    return np.bincount(Y.indices, minlength=Y.shape[1])


def metrics_on_test(ds, prediction, *, Y_fitted=None):
    """Evaluate a prediction of the test rows by every metric of :func:`adathresh.metrics.evaluate`.

    ``Y_fitted``, the labels of the rows that the prediction was learnt from, tell how rare a label is. None:
    those of the training rows.
    """
    Y_fitted = ds.train.Y if Y_fitted is None else Y_fitted
    return evaluate(
        ds.test.Y,
        prediction.label_sets,
        scores=prediction.probabilities,
        train_frequency=label_frequency(Y_fitted),
        n_train=Y_fitted.shape[0],
    )


def crossfit_metrics(ds, prediction):
    """Evaluate a prediction of the test rows by a rule that training and validation rows were fitted on."""
    return metrics_on_test(ds, prediction, Y_fitted=fitting_labels(ds))


def rule_rows(config, ds, base, predictions, *, seed, metrics=crossfit_metrics):
    """Evaluate every rule's prediction of the test rows: one table row a rule.

    Names of this package's rules begin with "adaptive"; all others are rival rules.
    """
    return [
        table_row(
            config,
            ds,
            method="adathresh" if rule.startswith(OURS) else "rival rule",
            base=base,
            rule=rule,
            mode=prediction.mode,
            seed=seed,
            metrics=metrics(ds, prediction),
        )
        for rule, prediction in predictions.items()
    ]


def interval_rows(config, ds, label_sets, reference, *, random_state, base, **more):
    """Compare the rule ``reference`` with each other rule by a paired bootstrap over test rows, or groups.

    ``label_sets`` has for each rule a list of predictions, one a repetition. One row a rival and metric
    (macro-F1, micro-F1): the difference, reference minus rival, mean over the repetitions, with its 95 %
    interval.
    """
    others = {rule: found for rule, found in label_sets.items() if rule != reference}
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": random_state, "groups": ds.test.groups}
    intervals = {
        metric: paired_bootstrap(ds.test.Y, label_sets[reference], others, metric=metric, **options)
        for metric in ("macro_f1", "micro_f1")
    }
    return [
        {"base": base, "a": reference, "b": rule, "metric": metric, **more, **intervals[metric][rule]}
        for rule, metric in product(others, intervals)
    ]


def intervals_on_every_base(config, ds, found, references):
    """Compare each of the rules ``references``, where it was used, with each other rule on every base model.

    Entries of ``found`` have a ``base`` and its ``label_sets`` by rule, of one seed each; an interval is over
    all seeds at once. Rows are those of :func:`interval_rows`.
    """
    rows = []
    for base in dict.fromkeys(entry.base for entry in found):
        seeds = [entry.label_sets for entry in found if entry.base == base]
        label_sets = {rule: [sets[rule] for sets in seeds] for rule in seeds[0]}
        for reference in references:
            if reference in label_sets:
                options = {"random_state": config.random_state, "base": base}
                rows += interval_rows(config, ds, label_sets, reference, **options)
    return rows


def method_rows(config, ds, runs, *, seed):
    """Evaluate on the test rows trained methods, which predict labels with z > θ: one table row a method."""
    return [
        table_row(
            config,
            ds,
            method=name,
            base="network",
            rule="z > θ",
            mode="inductive",
            seed=seed,
            metrics=metrics_on_test(ds, Prediction(run.test_predicted, run.test_scores)),
        )
        for name, run in runs.items()
    ]


def method_differences(config, ds, runs, *, reference):
    """Compare the trained method ``reference`` with each other one, as :func:`interval_rows` does rules.

    ``runs`` has the runs of each seed by name of the method.
    """
    label_sets = {name: [of_seed[name].test_predicted for of_seed in runs] for name in runs[0]}
    return interval_rows(config, ds, label_sets, reference, random_state=config.random_state, base="network")


def auroc_rows(config, ds, Y, scores, *, seed, split="dev", contrasts=()):
    """Measure how scores order the rows of every label, which no threshold of a label can change.

    The measure is macro-AUROC. ``contrasts`` are pairs of names whose difference is measured on the same
    rows. One row a score or contrast and band of training frequency, all labels first, with the 95 %
    interval; bands without a label to be ordered are left out.
    """
    frequency = label_frequency(ds.train.Y)
    found = {name: macro_auroc_interval(Y, of_rows, frequency) for name, of_rows in scores.items()}
    for one, other in contrasts:
        difference = paired_macro_auroc(Y, scores[one], scores[other], frequency)
        found[f"{one} − {other}"] = {
            key: {"value": entry.pop("difference"), **entry} for key, entry in difference.items()
        }
    return [
        study_row(config, ds, seed, split=split, scores=name, training_rows=band, **entry)
        for name, by_band in found.items()
        for band, entry in zip(("all", *BINS), by_band.values(), strict=True)
        if entry["n_labels"]
    ]


def on_every_base(work, config, ds, bases):
    """Call ``work`` for every base model and seed, side by side; results come base model by base model."""
    return side_by_side(
        delayed(work)(config, ds, base, seed=seed) for base in bases for seed in config.seed_list
    )
