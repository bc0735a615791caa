"""The published tables agree with each other: one name, one model, one figure."""

import json

import numpy as np
import pandas as pd
import pytest

from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.results import RECORD, read_table

RESULTS = repository_root() / "results"
ROUNDING = 2.5e-6  # of three numbers with six decimals


def folders(notebook):
    found = sorted(path.parent for path in RESULTS.glob(f"**/{notebook}/{RECORD}"))
    return [pytest.param(path, id=path.relative_to(RESULTS).as_posix()) for path in found] or [
        pytest.param(None, marks=pytest.mark.skip(reason=f"nothing of {notebook} is published yet"))
    ]


def version(folder):
    return json.loads((folder / RECORD).read_text(encoding="utf-8"))["adathresh"]


@pytest.mark.parametrize("baselines", folders("02_baselines"))
def test_notebooks_02_and_08_show_the_same_figures(baselines):
    """One name is one model and one rule, so that equal rows have equal metrics."""
    rules = baselines.parent / "08_decision_rules"
    if not (rules / "rules.csv").is_file() or version(rules) != version(baselines):
        pytest.skip("notebook 08 has no results of the same version")
    of_02, of_08 = (
        read_table(path).set_index(["base", "rule", "seed"])
        for path in (baselines / "headline.csv", rules / "rules.csv")
    )
    both = of_02.index.intersection(of_08.index)
    assert len(both)
    shared = [name for name in of_02 if name in of_08]
    assert {"macro_f1", "micro_f1", "macro_auroc", "fingerprint"} <= set(shared)
    pd.testing.assert_frame_equal(of_02.loc[both, shared], of_08.loc[both, shared])


@pytest.mark.parametrize("baselines", folders("02_baselines"))
def test_the_gap_is_that_of_the_headline(baselines):
    headline = (
        read_table(baselines / "headline.csv").set_index(["base", "seed", "rule"])["macro_f1"].sort_index()
    )
    rivals = read_table(baselines / "rivals.csv")
    for row in read_table(baselines / "gap.csv").to_dict("records"):
        of_model = headline[row["base"], row["seed"]]
        assert row["fixed"] == of_model["fixed 0.5"]
        assert row["adaptive"] == of_model["adaptive"]
        tried = rivals[(rivals["base"] == row["base"]) & (rivals["seed"] == row["seed"])]
        best = tried["macro_f1_in_cross_validation"].max()
        among = tried.loc[tried["macro_f1_in_cross_validation"] > best - ROUNDING, "rule"]
        assert row["best_rival"] in of_model[list(among)].tolist()


DIFFERENCES = {
    "02_baselines": ("headline", "differences", "rule"),
    "03_training": ("training", "training_differences", "method"),
    "04_ablations": ("ablations", "ablation_differences", "method"),
    "07_your_own_model": ("own_model", "own_model_differences", "rule"),
    "08_decision_rules": ("rules", "rule_differences", "rule"),
    "10_losses": ("losses", "loss_differences", "method"),
}


@pytest.mark.parametrize(
    ("folder", "notebook"),
    [
        pytest.param(*folder.values, notebook, id=folder.id or notebook, marks=folder.marks)
        for notebook in DIFFERENCES
        for folder in folders(notebook)
    ],
)
def test_differences_are_those_of_the_values_beside_them(folder, notebook):
    values, differences, names = DIFFERENCES[notebook]
    table, compared = (read_table(folder / f"{name}.csv") for name in (values, differences))
    keys = ["base", *(key for key in ("seed", "rule") if key in compared), names]
    means = table.groupby(keys)[["macro_f1", "micro_f1"]].mean()
    for row in compared.to_dict("records"):
        where = [row[key] for key in keys[:-1]]
        ours, other = (means.loc[(*where, row[side]), row["metric"]] for side in "ab")
        assert row["difference"] == pytest.approx(ours - other, abs=ROUNDING), row
        assert row["low"] <= row["difference"] <= row["high"], row


@pytest.mark.parametrize("folder", folders("05_calibration"))
def test_differences_of_calibration_are_those_of_the_values_beside_them(folder):
    means = (
        read_table(folder / "calibration.csv").groupby(["labels", "probabilities"])[["ece", "brier"]].mean()
    )
    for row in read_table(folder / "calibration_differences.csv").to_dict("records"):
        ours, other = (means.loc[(row["labels"], row[side]), row["metric"]] for side in "ab")
        assert row["difference"] == pytest.approx(ours - other, abs=ROUNDING), row
        assert np.isfinite([row["low"], row["high"]]).all()
