"""Losses and output codes on the test rows, with the threshold of their training and with a fitted one."""

import scipy.sparse as sp

from adathresh.experiments.core.evaluation import interval_rows, metrics_on_test
from adathresh.experiments.core.results import table_row
from adathresh.experiments.core.rules import Prediction
from adathresh.experiments.nb10_losses.trainings import CROSS_ENTROPY, GRID, THE_PAPERS, code_lengths
from adathresh.metrics import coverage, paired_bootstrap
from adathresh.rules import GlobalThreshold

OWN, FITTED = "z > θ", "global threshold"
"""The threshold that a loss was trained for, and one for all labels that is fitted on the validation rows."""

FULL = "full layer"
"""The output layer with one output for each label, under cross-entropy."""

SHOWN = {
    "macro_f1": "macro_f1",
    "micro_f1": "micro_f1",
    "ece_candidates": "ece",
    "labels_at_precision_0_9": "labels accepted at a precision of 0.9",
}
"""The metrics that the notebook shows, and what their columns are called there."""


def judge(ds, runs):
    """Label the test rows by the scores of every trained network, with both thresholds.

    Predictions come by network and by rule, :data:`OWN` or :data:`FITTED`.
    """
    return {name: _judge(ds, run) for name, run in runs.items()}


def loss_rows(config, ds, found, settings, *, seed):
    """Evaluate every loss with both thresholds; ``found`` is what :func:`judge` returns. One row each."""
    return [
        {**_row(config, ds, name, rule, prediction, seed), "setting": _described(settings[name])}
        for name in settings
        for rule, prediction in found[name].items()
    ]


def loss_differences(config, ds, repetitions):
    """Compare every loss with plain cross-entropy and with the paper's method, with both thresholds.

    ``repetitions`` has one result of :func:`judge` a seed. Rows are those of
    :func:`adathresh.experiments.core.evaluation.interval_rows` with the rule: ``a`` is the loss, ``b`` what
    it is compared with.
    """
    rows = []
    for reference in (CROSS_ENTROPY, THE_PAPERS):
        for name in GRID:
            if name in (reference, CROSS_ENTROPY):
                continue
            for rule in (OWN, FITTED):
                sets = {
                    method: [found[method][rule].label_sets for found in repetitions]
                    for method in (name, reference)
                }
                options = {"random_state": config.random_state, "base": "network", "rule": rule}
                rows += interval_rows(config, ds, sets, name, **options)
    return rows


def code_rows(config, ds, found, *, seed):
    """Evaluate the full output layer and every code with both thresholds: one row each, with its size."""
    n_labels, n_inputs = ds.train.Y.shape[1], config.numbers.hidden_layers[-1]
    lengths, rows = code_lengths(n_labels), []
    for rule in (OWN, FITTED):
        for name in (FULL, *lengths):
            size = layer_size(n_inputs, n_labels, lengths.get(name))
            prediction = found[CROSS_ENTROPY if name == FULL else name][rule]
            rows.append({**_row(config, ds, name, rule, prediction, seed), **size})
    return rows


def with_differences(config, ds, rows, repetitions):
    """Add to rows of :func:`code_rows` the difference in macro-F1 to the full layer with its 95 % interval.

    ``repetitions`` has one result of :func:`judge` a seed. Difference and interval are over all seeds at
    once, and stand in the row of each.
    """
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": config.random_state}
    intervals = {}
    for rule in (OWN, FITTED):
        sets = {
            name: [found[CROSS_ENTROPY if name == FULL else name][rule].label_sets for found in repetitions]
            for name in dict.fromkeys(row["method"] for row in rows)
        }
        for name, of_name in sets.items():
            others = {FULL: sets[FULL]}
            found = paired_bootstrap(ds.test.Y, of_name, others, groups=ds.test.groups, **options)
            intervals[name, rule] = found[FULL]
    return [{**row, **intervals[row["method"], row["rule"]]} for row in rows]


def layer_size(n_inputs, n_labels, code_length=None):
    """Count what an output layer learns, and the megabytes of 10⁶ bytes that it and its code take in float32.

    ``code_length`` None is the full layer.
    """
    if code_length is None:
        learnt = (n_inputs + 1) * n_labels
        return {"layer_parameters": learnt, "layer_mb": 4e-6 * learnt}
    learnt = (n_inputs + 1) * code_length + n_labels
    return {"layer_parameters": learnt, "layer_mb": 4e-6 * (learnt + n_labels * code_length)}


def _judge(ds, run):
    """Label the test rows by the scores of one network, with both thresholds."""
    rule = GlobalThreshold().fit(run.validation_scores, ds.validation.Y)
    return {
        OWN: Prediction(run.test_predicted, run.test_scores),
        FITTED: Prediction(sp.csr_array(rule.predict(run.test_scores)), run.test_scores),
    }


def _row(config, ds, name, rule, prediction, seed):
    """Evaluate one prediction: every metric, and the share of the labels that can be accepted as they are."""
    label_sets, probabilities = prediction.label_sets, prediction.probabilities
    accepted = coverage(ds.test.Y, probabilities, Y_pred=label_sets, precisions=(0.9,))
    share = {key: value for key, value in accepted.items() if key.startswith("labels")}
    metrics = {**metrics_on_test(ds, prediction), **share}
    named = {"method": name, "base": "network", "rule": rule, "mode": "inductive", "seed": seed}
    return table_row(config, ds, **named, metrics=metrics)


def _described(changes):
    """Write what differs from the default."""
    return ", ".join(f"{name} = {value:g}" for name, value in changes.items()) or "default"
