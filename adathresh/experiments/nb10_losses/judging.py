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
    """Evaluate the full output layer and every code with both thresholds: one row each.

    Beside the metrics, the size of the layer, and the difference in macro-F1 to the full layer with its 95 %
    interval.
    """
    n_labels, n_inputs = ds.train.Y.shape[1], config.numbers.hidden_layers[-1]
    lengths, layers = code_lengths(n_labels), {FULL: found[CROSS_ENTROPY]}
    layers |= {name: found[name] for name in lengths}
    rows = []
    for rule in (OWN, FITTED):
        full = layers[FULL][rule].label_sets
        for name, predictions in layers.items():
            size = layer_size(n_inputs, n_labels, lengths.get(name))
            interval = paired_bootstrap(
                ds.test.Y,
                predictions[rule].label_sets,
                {FULL: full},
                n_draws=config.numbers.n_bootstrap,
                random_state=seed,
            )[FULL]
            rows.append({**_row(config, ds, name, rule, predictions[rule], seed), **size, **interval})
    return rows


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
