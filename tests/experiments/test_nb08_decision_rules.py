"""Notebook 08: every rule on every base model's scores; the same figures as in notebook 02; comparisons."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from helpers import replaced

from adathresh.experiments import nb08_decision_rules as study
from adathresh.experiments.core.crossfit import TOGETHER, crossfitted
from adathresh.experiments.core.rules import (
    MAIN_RULES,
    OURS,
    WITH_TEXTS,
    Choice,
    Prediction,
    all_predictions,
    choice_prediction,
    everything,
)
from adathresh.experiments.nb02_baselines.judging import judge
from adathresh.metrics import macro_f1, micro_f1

pytestmark = pytest.mark.usefixtures("shared_cache")


@pytest.fixture(scope="module")
def found(config, ds):
    return [study.rules_on_scores(config, ds, "linear", seed=seed) for seed in (0, 1)]


@pytest.mark.slow
def test_one_name_is_one_model_and_the_same_figure_as_in_notebook_02(config, ds, found):
    of_02 = {row["rule"]: row for row in judge(config, ds, "linear", seed=0).rows}
    of_08 = {row["rule"]: row for row in found[0].rows}
    assert set(of_02) == set(MAIN_RULES) <= set(of_08)
    compared = 0
    for rule, row in of_02.items():
        for name in set(row) & set(of_08[rule]):
            np.testing.assert_equal(row[name], of_08[rule][name], err_msg=f"{rule}, {name}")
            compared += 1
    assert compared > 20 * len(MAIN_RULES)


@pytest.mark.slow
def test_rows_and_label_sets_are_those_of_every_rule(config, ds, found):
    expected = all_predictions(config, ds, "linear", seed=0)
    first = found[0]
    assert first.base == "linear"
    assert [row["rule"] for row in first.rows] == list(first.label_sets) == list(expected)
    for row in first.rows:
        label_sets = first.label_sets[row["rule"]]
        assert (label_sets != expected[row["rule"]].label_sets).nnz == 0
        assert row["macro_f1"] == pytest.approx(macro_f1(ds.test.Y, label_sets))
        assert (row["base"], row["seed"], row["mode"]) == ("linear", 0, expected[row["rule"]].mode)


@pytest.mark.slow
def test_timings_name_the_base_model_and_every_rule(config, ds, found):
    first, *rules = found[0].timings
    seconds = crossfitted(config, ds, "linear", seed=0).cost.seconds
    assert first == {"step": "linear, seed 0", "seconds": round(seconds, 1)}
    assert [row["step"] for row in rules] == [f"linear, {rule}" for rule in found[0].label_sets]


@pytest.mark.slow
def test_every_base_model_is_cut_with_every_seed_and_all_together_last(config, ds, monkeypatch):
    trained = []
    monkeypatch.setattr(study, "crossfit_all", lambda config, ds, names: trained.extend(names))
    monkeypatch.setattr(study, "rules_on_scores", lambda config, ds, base, *, seed: (base, seed))
    two = dataclasses.replace(config, seeds=2)
    assert study.rules_on_all_scores(two, ds) == [
        (base, seed) for base in ("linear", "network", TOGETHER) for seed in (0, 1)
    ]
    assert trained == ["linear", "network"]


@pytest.mark.slow
def test_labels_of_test_rows_change_no_label_set(config, ds, found, empty_cache):
    empty_cache("second")
    others = replaced(ds, Y_test=ds.test.Y[np.random.default_rng(0).permutation(50)])
    again = study.rules_on_scores(config, others, "linear", seed=0)
    for rule, label_sets in found[0].label_sets.items():
        assert (again.label_sets[rule] != label_sets).nnz == 0, rule


@pytest.mark.slow
def test_labels_without_fitting_or_test_rows_can_be_left_out(config, ds, found):
    fitted = np.vstack([ds.train.Y.toarray(), ds.validation.Y.toarray()]).any(axis=0)
    kept = fitted & ds.test.Y.toarray().any(axis=0)
    assert 0 < kept.sum() < len(kept)
    rows = study.trained_and_tested_rows(ds, found)
    assert [row["rule"] for row in rows] == [row["rule"] for entry in found for row in entry.rows]
    for row in rows[:: len(rows) // 4]:
        predicted = found[row["seed"]].label_sets[row["rule"]].toarray()[:, kept]
        truth = ds.test.Y.toarray()[:, kept]
        both = predicted.sum(axis=0) + truth.sum(axis=0)
        assert row["macro_f1"] == pytest.approx(np.mean(2 * (predicted * truth).sum(axis=0) / both))
        assert row["micro_f1"] == pytest.approx(2 * (predicted * truth).sum() / both.sum())
        assert row["n_labels"] == kept.sum()


def test_ours_is_compared_with_every_rule_over_all_seeds(config, ds, found):
    table = study.compared_rows(config, ds, found)
    for ours in ("adaptive", "adaptive + label texts"):
        for name, metric in (("macro_f1", macro_f1), ("micro_f1", micro_f1)):
            rows = [row for row in table if row["a"] == ours and row["metric"] == name]
            assert [row["b"] for row in rows] == [rule for rule in found[0].label_sets if rule != ours]
            for row in rows:
                differences = [
                    metric(ds.test.Y, entry.label_sets[ours]) - metric(ds.test.Y, entry.label_sets[row["b"]])
                    for entry in found
                ]
                assert row["difference"] == pytest.approx(np.mean(differences))
                assert row["low"] <= row["difference"] <= row["high"]
    with_texts = next(row for row in table if row["a"] != "adaptive" and row["b"] == "adaptive")
    assert with_texts["low"] > 0


def test_without_texts_only_ours_is_compared_and_each_base_model_alone(config, ds, found):
    sets = {rule: label_sets for rule, label_sets in found[0].label_sets.items() if "texts" not in rule}
    bare = [found[0]._replace(base=base, label_sets=sets) for base in ("linear", "network")]
    table = study.compared_rows(config, ds, bare)
    assert {row["a"] for row in table} == {"adaptive"}
    assert len(table) == 2 * 2 * (len(sets) - 1)
    half = len(table) // 2
    assert [row["base"] for row in table] == ["linear"] * half + ["network"] * half
    for one, other in zip(table[:half], table[half:], strict=True):
        assert {**one, "base": None} == {**other, "base": None}


# --- what each signal adds, and what is missed without it ---


SIGNALS = (
    "neighbours",
    "neighbours by title",
    "similarity",
    "mentions",
    "mentions in titles",
    "prototypes",
)
BASES = ("linear", "linear, titles", "network")


@pytest.fixture
def asked(monkeypatch, titled):
    """Predict nothing but the true labels; the value lists the choices and seeds that were asked for."""
    asked = []

    def predicted(config, ds, choice, *, seed):
        asked.append((choice, seed))
        return Prediction(ds.test.Y, ds.test.Y)

    monkeypatch.setattr(study, "choice_prediction", predicted)
    return asked


@pytest.mark.slow
def test_the_ladder_climbs_from_one_base_model_to_everything(config, titled, asked):
    rows = study.ladder(config, titled)
    assert [row["rung"] for row in rows] == [
        "linear",
        "+ neighbours",
        "+ neighbours by title",
        "+ similarity",
        "+ mentions",
        "+ mentions in titles",
        "+ prototypes",
        "+ linear, titles",
        "+ network",
    ]
    choices = [choice for choice, _ in asked]
    assert choices[0] == Choice(("linear",), ())
    assert choices[-1] == everything(config, titled) == Choice(BASES, SIGNALS)
    for row, lower, upper in zip(rows[1:], choices, choices[1:], strict=False):
        added = (*upper.bases[len(lower.bases) :], *upper.signals[len(lower.signals) :])
        assert [f"+ {name}" for name in added] == [row["rung"]]
        assert upper.bases[: len(lower.bases)] == lower.bases
        assert upper.signals[: len(lower.signals)] == lower.signals
    assert [row["base"] for row in rows] == ["linear"] * 7 + [TOGETHER] * 2


def test_everything_is_left_out_once(config, titled, asked):
    rows = study.left_out(config, titled)
    assert [row["left out"] for row in rows] == ["nothing", *BASES, *SIGNALS]
    assert asked[0][0] == Choice(BASES, SIGNALS)
    for row, (choice, _) in zip(rows[1:], asked[1:], strict=True):
        name = row["left out"]
        assert choice.bases == tuple(base for base in BASES if base != name)
        assert choice.signals == tuple(signal for signal in SIGNALS if signal != name)
        assert len(choice.bases) + len(choice.signals) == len(BASES) + len(SIGNALS) - 1
    assert {row["base"] for row in rows} == {TOGETHER}


@pytest.mark.slow
@pytest.mark.parametrize("table", [study.ladder, study.left_out])
def test_rows_come_choice_by_choice_and_of_each_the_seeds_in_order(config, titled, asked, table):
    column = {study.ladder: "rung", study.left_out: "left out"}[table]
    two = dataclasses.replace(config, seeds=2)
    rows = table(two, titled)
    assert [seed for _, seed in asked] == [row["seed"] for row in rows] == [0, 1] * (len(rows) // 2)
    names = [row[column] for row in rows]
    assert names[::2] == names[1::2]
    assert len(set(names)) == len(rows) // 2
    np.testing.assert_equal(table(two, titled), rows)
    assert asked[: len(rows)] == asked[len(rows) :]


def test_one_base_model_cannot_be_left_out(config, ds, asked, monkeypatch):
    alone = Choice(("linear",), ("neighbours", "mentions"))
    monkeypatch.setattr(study, "everything", lambda config, ds: alone)
    rows = study.left_out(config, ds)
    assert [row["left out"] for row in rows] == ["nothing", "neighbours", "mentions"]
    assert {choice.bases for choice, _ in asked} == {("linear",)}
    assert [row["base"] for row in rows] == ["linear"] * 3
    assert [row["rung"] for row in study.ladder(config, ds)] == ["linear", "+ neighbours", "+ mentions"]


@pytest.mark.slow
def test_rows_hold_the_metrics_of_the_choice(config, ds, monkeypatch):
    top = everything(config, ds)
    monkeypatch.setattr(study, "everything", lambda config, ds: top._replace(bases=("linear",)))
    rows = study.ladder(config, ds)
    for at, row in enumerate(rows):
        predicted = choice_prediction(config, ds, Choice(("linear",), top.signals[:at]), seed=0).label_sets
        assert row["macro_f1"] == pytest.approx(macro_f1(ds.test.Y, predicted))
        assert row["micro_f1"] == pytest.approx(micro_f1(ds.test.Y, predicted))
        assert (row["rule"], row["method"], row["mode"]) == (OURS, "adathresh", "inductive")
    assert len({row["macro_f1"] for row in rows}) > 2
    # the highest rung of one base model is its rule with label texts
    best = all_predictions(config, ds, "linear", seed=0)[WITH_TEXTS].label_sets
    assert rows[-1]["macro_f1"] == pytest.approx(macro_f1(ds.test.Y, best))
    assert [row["macro_f1"] for row in study.ladder(config, ds)] == [row["macro_f1"] for row in rows]


def test_claims_leave_models_without_a_seed_out():
    row = {"a": "adaptive", "b": "SCut", "metric": "macro_f1", "difference": 0.2, "low": 0.1, "high": 0.3}
    bases = ("linear", "label tree", TOGETHER)
    table = pd.DataFrame([row | {"base": base} for base in bases] + [row | {"base": "linear", "b": "RCut"}])
    rules = [
        {"base": "label tree", "rule": "adaptive", "mode": "inductive", "macro_f1": 0.3},
        {"base": "label tree", "rule": "SCut", "mode": "inductive", "macro_f1": 0.2},
        {"base": "label tree", "rule": "block coordinate", "mode": "transductive", "macro_f1": 0.9},
        {"base": "label tree", "rule": "adaptive, linear", "mode": "inductive", "macro_f1": 0.9},
    ]
    greatest, *found = study.claims({"rules": pd.DataFrame(rules), "rule_differences": table})
    assert greatest["outcome"] == "yes"  # of the inductive rivals, whatever the base model
    assert [claim["outcome"] for claim in found] == ["above 0"] * 3
    assert not any("label tree" in claim["claim"] for claim in found)
    assert ["SCut" in claim["claim"] for claim in found] == [True, True, False]
    assert [TOGETHER in claim["claim"] for claim in found] == [False, True, False]


@pytest.mark.parametrize("texts", [True, False])
def test_the_finding_counts_rivals_and_says_what_each_signal_adds(texts):
    differences = {
        ("linear", "SCut"): 0.3,
        ("linear", "RCut"): 0.05,
        (TOGETHER, "SCut"): -0.2,
        (TOGETHER, "RCut"): 0.4,
        ("linear", "block coordinate"): -0.9,  # transductive, so counted apart
        ("linear", "F*/2, fused"): -0.9,  # given our probabilities, so no rival
        ("linear", "adaptive, no neighbours"): 0.2,
        ("linear", "adaptive, linear"): -0.01,
        **({("linear", WITH_TEXTS): -0.5} if texts else {}),
    }
    rows = [
        {"base": base, "a": OURS, "b": rule, "metric": "macro_f1", "difference": difference}
        for (base, rule), difference in differences.items()
    ]
    table = pd.DataFrame(rows)
    table = table.assign(low=table["difference"] - 0.1, high=table["difference"] + 0.1)
    modes = {rule: "transductive" if rule == "block coordinate" else "inductive" for _, rule in differences}
    rules = [
        {"base": base, "rule": rule, "mode": mode}
        for base in ("linear", TOGETHER)
        for rule, mode in (modes | {OURS: "inductive"}).items()
    ]
    text = study.finding({"rules": pd.DataFrame(rules), "rule_differences": table})
    assert text.startswith(
        "Against 2 inductive rival rules on the scores of 1 base model and of all of them together, `ad"
    )
    assert (
        "clearly greater macro-F1 in 2 of 4 comparisons, a clearly smaller one in 1; against `block "
        "coordinate`, which sees the scores of all test rows at once, in 0 and 1 of 1. On the linear model"
        in text
    )
    assert (
        "best inductive rival, `RCut`, is +0.0500 (95 % interval −0.0500 to +0.1500). There it owes +0.2000"
        in text
    )
    assert "and −0.0100 (−0.1100 to +0.0900) to boosting" in text
    assert text.endswith("label texts add +0.5000 (+0.4000 to +0.6000).") == texts
