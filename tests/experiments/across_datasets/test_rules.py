"""How our rule compares with every rival over all data sets: averages over seeds, verdicts, counts."""

import pandas as pd
import pytest

from adathresh.experiments.across_datasets.rules import fused_rivals, inductive_rivals, outcomes, rules_table
from adathresh.experiments.core.plotting import plot_outcomes
from adathresh.experiments.core.rules import OURS, fused_rules
from adathresh.experiments.core.rules import WITH_TEXTS as TEXTS


@pytest.fixture
def table(folder):
    table = rules_table(folder)
    assert list(table["profile"]) == ["quick"] * 6 + ["full"] * 3
    return table.set_index(["profile", "rule"])


def test_seeds_are_averaged(table):
    averages = ["seeds", "macro_f1", "micro_f1"]
    assert table.loc[("quick", OURS), averages].tolist() == [2, 0.5, 0.5]
    assert table.loc[("full", "PCut"), averages].tolist() == [3, pytest.approx(1.4 / 3), 0.5]


def test_intervals_of_macro_f1_give_the_verdict(table):
    columns = ["adaptive_difference", "adaptive_low", "adaptive_high"]
    assert table.loc[("quick", "PCut"), columns].tolist() == [0.2, 0.1, 0.3]
    assert table["adaptive_is"].dropna().to_dict() == {
        ("quick", "PCut"): "better",
        ("quick", "SCut"): "level",
        ("quick", TEXTS): "level",
        ("quick", "block coordinate"): "worse",
        ("quick", "adaptive, transductive"): "level",
        ("full", "PCut"): "worse",
        ("full", "SCut"): "better",
    }
    assert table["texts_is"].dropna().to_dict() == {
        ("quick", "PCut"): "better",
        ("quick", "SCut"): "level",
        ("quick", OURS): "level",
    }
    assert table.loc[("quick", "PCut"), "texts_low"] == 0.4


def test_the_full_profile_alone_will_do(folder):
    (folder / "two" / "08_decision_rules" / "rule_differences.csv").unlink()
    assert len(rules_table(folder)) == 9


def test_inductive_rivals_are_counted(folder):
    counts = outcomes(rules_table(folder))
    assert counts.to_dict("index") == {
        "PCut": {"better": 1, "level": 0, "worse": 1},
        "SCut": {"better": 1, "level": 1, "worse": 0},
    }
    (axes,) = plot_outcomes(counts).axes
    widths = [[bar.get_width() for bar in container] for container in axes.containers]
    assert widths == [[1, 1], [0, 1], [1, 0]]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["PCut", "SCut"]


def test_rivals_are_neither_ours_nor_transductive(folder):
    rivals = inductive_rivals(rules_table(folder))
    assert rivals["rule"].tolist() == ["PCut", "SCut"] * 2


def test_rivals_on_fused_probabilities_are_told_from_the_others_and_counted():
    rules = ["PCut", *fused_rules(), OURS, "adaptive, linear"]
    table = pd.DataFrame({"rule": rules, "mode": "inductive", "adaptive_is": "level"})
    assert fused_rivals(table)["rule"].tolist() == list(fused_rules())
    assert inductive_rivals(table)["rule"].tolist() == ["PCut"]
    assert outcomes(table)["level"].to_dict() == dict.fromkeys(["PCut", *fused_rules()], 1)


def test_without_results_the_command_that_makes_them_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="adathresh reproduce --only 08"):
        rules_table(tmp_path)
