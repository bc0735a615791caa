"""Notebook 04: every ablation changes one switch of the paper's method, and trains."""

import pandas as pd
import pytest
from helpers import replaced

from adathresh import AdaptiveThresholdNetwork
from adathresh.experiments import nb04_ablations as study
from adathresh.experiments.core import trainings


@pytest.fixture
def recorded(monkeypatch):
    """Record which switches are trained, and train nothing."""
    monkeypatch.setattr(trainings, "neighbor_shares", lambda ds: None)
    monkeypatch.setattr(trainings, "train_network", lambda config, ds, *, seed, **switches: (seed, switches))


def test_every_ablation_changes_the_papers_method_in_its_switch(config, ds, recorded):
    runs = study.ablation_runs(config, ds, seed=4)
    assert list(runs) == list(study.ABLATIONS)
    assert {seed for seed, _ in runs.values()} == {4}
    switches = {name: run[1] for name, run in runs.items()}
    assert switches["paper's method"] == {"pos_weight": 10.0}
    assert switches["positives weigh 1"] == {"pos_weight": 1.0}
    assert switches["no IDF, no kNN"] == {"pos_weight": 10.0, "use_idf": False, "use_knn": False}
    assert switches["fixed threshold"] == {"pos_weight": 10.0, "fixed_threshold": 0.0}
    plain = {"fixed_threshold": 0.0, "margin_weight": 0.0, "use_knn": False, "pos_weight": 1.0}
    assert switches["plain cross-entropy"] == plain
    defaults = AdaptiveThresholdNetwork().get_params()
    for name, changed in switches.items():
        assert set(changed) <= set(defaults), name
        assert name == "paper's method" or changed != {"pos_weight": 10.0}, name
    assert len({repr(sorted(changed.items())) for changed in switches.values()}) == len(switches)


def test_normalised_logits_need_two_labels(config, ds, recorded):
    single = replaced(ds, Y_train=ds.train.Y[:, [0]])
    missing = set(study.ABLATIONS) - set(study.ablation_runs(config, single, seed=0))
    assert missing == {"logits normalised"}


@pytest.mark.slow
def test_every_ablation_trains_another_network(config, ds, tiny_profile):
    runs = study.ablation_runs(config, ds, seed=0)
    for name in ("no kNN", "no IDF, no kNN", "fixed threshold", "plain cross-entropy"):
        assert not runs[name].thresholds["share"].any(), name
    assert runs["paper's method"].thresholds["share"].any()
    assert not runs["fixed threshold"].thresholds["constant"].any()
    assert len({run.test_scores.data.tobytes() for run in runs.values()}) == len(runs)


def test_claims_are_about_macro_f1():
    rows = [
        {"b": "no IDF", "metric": "macro_f1", "difference": 0.2, "low": 0.1, "high": 0.3},
        {"b": "no IDF", "metric": "micro_f1", "difference": -0.2, "low": -0.3, "high": -0.1},
    ]
    (claim,) = study.claims({"ablation_differences": pd.DataFrame(rows)})
    assert claim["outcome"] == "above 0"
    assert "no IDF" in claim["claim"]


def finding(**differences):
    """The finding where these parts make these differences, ± 0.05, and all others none."""
    rows = [
        {"b": part, "metric": "macro_f1", "difference": 0.0} for part in (*study.PARTS, "output bias 0.5")
    ]
    frame = pd.DataFrame(rows).set_index("b")
    frame.loc["output bias 0.5", "difference"] = 0.9  # a setting, no part
    for part, difference in differences.items():
        frame.loc[part, "difference"] = difference
    frame = frame.assign(low=frame["difference"] - 0.05, high=frame["difference"] + 0.05)
    return study.finding({"ablation_differences": frame.reset_index()})


def test_parts_are_ablations():
    assert set(study.PARTS) <= set(study.ABLATIONS)


def test_the_finding_names_the_part_that_adds_most():
    text = finding(**{"no kNN": 0.1, "no IDF": 0.3, "no margin loss": -0.2})
    assert text.startswith(
        "Of the method's parts, the rarity signal (IDF) adds most macro-F1: +0.3000 (95 % interval +0.2500 to"
    )
    assert (
        "The learnt thresholds as a whole have no effect on macro-F1 that can be told from chance: +0" in text
    )
    assert (
        "A clear effect is also found for the margin term, −0.2000 (−0.2500 to −0.1500) and the neighbour "
        "signal (KNN), +0.1000 (+0.0500 to +0.1500); none that can be told from chance for the tenfold weight"
        in text
    )


def test_the_finding_says_where_no_part_adds_anything():
    text = finding(**{"no IDF": 0.01})
    assert text.startswith(
        "No part of the method can be shown to add macro-F1; the rarity signal (IDF) comes"
    )
    assert text.endswith("and the bias of the thresholds) none has an effect that can be told from chance.")
    assert "a clear effect" not in text.lower()


def test_the_thresholds_as_a_whole_are_named_once():
    text = finding(**{"fixed threshold": 0.2})
    assert text.startswith("Of the method's parts, learning the thresholds at all adds most")
    assert "as a whole" not in text
