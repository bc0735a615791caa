"""Notebook 03: the paper's method trained without label leakage, beside its own loss without thresholds."""

from adathresh.experiments.core.claims import interval_claims
from adathresh.experiments.core.sentences import effect, mean_differences, with_interval
from adathresh.experiments.core.trainings import PAPER, PLAIN, train_each

TRAINING_RUNS = {
    "paper's method": PAPER,
    "same loss, θ = 0": {**PAPER, "fixed_threshold": 0.0, "use_knn": False},
    "plain cross-entropy": PLAIN,
}
"""What the paper's method is compared with: its own loss without thresholds, and the plain network."""


def training_runs(config, ds, *, seed):
    """Train the paper's method and what it is compared with: every method of :data:`TRAINING_RUNS`."""
    return train_each(config, ds, TRAINING_RUNS, seed=seed)


def claims(tables):
    """Say what the learnable thresholds add."""
    return interval_claims(tables["training_differences"], "{metric} of the paper's method minus that of {b}")


def finding(tables):
    """Answer the notebook's question from its tables."""
    found = mean_differences(tables["training_differences"], ["b", "metric"])
    macro, micro = (found.loc[("same loss, θ = 0", metric)] for metric in ("macro_f1", "micro_f1"))
    whole = found.loc[("plain cross-entropy", "macro_f1")]
    return (
        f"Without label leakage the learnt thresholds {effect(macro)}: the difference to the same loss with "
        f"θ = 0 is {with_interval(macro, named=True)}, and {with_interval(micro)} in micro-F1. Against plain "
        "cross-entropy, the whole method (thresholds, weighted positives, margin term) changes macro-F1 by "
        f"{with_interval(whole)}."
    )
