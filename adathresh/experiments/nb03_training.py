"""Notebook 03: the paper's method trained without label leakage, beside its own loss without thresholds."""

from adathresh.experiments.core.claims import interval_claims
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
