"""Notebook 03: the paper's method and what it is compared with differ in the thresholds only."""

import pandas as pd
import pytest

from adathresh.experiments import nb03_training as study
from adathresh.experiments.core import trainings


@pytest.fixture
def recorded(monkeypatch):
    """Record which switches are trained, and train nothing."""
    monkeypatch.setattr(trainings, "neighbor_shares", lambda ds: None)
    monkeypatch.setattr(trainings, "train_network", lambda config, ds, *, seed, **switches: (seed, switches))


def test_training_runs_isolate_the_threshold(config, ds, recorded):
    runs = study.training_runs(config, ds, seed=4)
    assert (
        list(runs)
        == ["paper's method", "same loss, θ = 0", "plain cross-entropy"]
        == list(study.TRAINING_RUNS)
    )
    assert {seed for seed, _ in runs.values()} == {4}
    switches = {name: run[1] for name, run in runs.items()}
    assert switches["paper's method"] == {"pos_weight": 10.0}
    assert switches["same loss, θ = 0"] == {
        **switches["paper's method"],
        "fixed_threshold": 0.0,
        "use_knn": False,
    }
    assert switches["plain cross-entropy"] == {
        "fixed_threshold": 0.0,
        "use_knn": False,
        "margin_weight": 0.0,
    }


def test_claims_are_the_signs_of_all_differences():
    rows = [
        {"b": b, "metric": metric, "difference": (low + high) / 2, "low": low, "high": high}
        for b, metric, low, high in (
            ("one", "macro_f1", 0.1, 0.2),
            ("one", "micro_f1", -0.2, -0.1),
            ("two", "macro_f1", -0.1, 0.1),
        )
    ]
    found = study.claims({"training_differences": pd.DataFrame(rows)})
    assert [claim["outcome"] for claim in found] == ["above 0", "below 0", "level"]
    assert len({claim["claim"] for claim in found}) == 3
    assert all(row["b"] in claim["claim"] for row, claim in zip(rows, found, strict=True))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.3, "thresholds add macro-F1: the difference to the same loss with θ = 0 is +0.2000 (95 %"),
        (-0.3, -0.1, "thresholds cost macro-F1: the"),
        (-0.1, 0.3, "thresholds have no effect on macro-F1 that can be told from chance: the"),
    ],
)
def test_the_finding_says_what_the_thresholds_add(low, high, words):
    rows = [
        {"b": b, "metric": metric, "difference": (one + other) / 2, "low": one, "high": other}
        for b, metric, one, other in (
            ("same loss, θ = 0", "macro_f1", low, high),
            ("same loss, θ = 0", "micro_f1", 0.4, 0.6),
            ("plain cross-entropy", "macro_f1", 0.6, 0.8),
            ("plain cross-entropy", "micro_f1", 0.9, 0.9),
        )
    ]
    text = study.finding({"training_differences": pd.DataFrame(rows)})
    assert words in text
    assert "and +0.5000 (+0.4000 to +0.6000) in micro-F1" in text
    assert text.endswith("changes macro-F1 by +0.7000 (+0.6000 to +0.8000).")
