"""A heading of the README is refused once the tables say otherwise; the gallery shows all figures."""

import re

import pandas as pd
import pytest

from adathresh.experiments import report
from adathresh.experiments.across_datasets.models import places_with
from adathresh.experiments.core.config import PROFILES, repository_root
from adathresh.experiments.core.other_signals import LABEL_TEXTS
from adathresh.experiments.core.results import read_table, read_tables

ROOT = repository_root()


def test_no_leak_no_heading(monkeypatch):
    seeds = pd.DataFrame({"seed": [0, 1, 2], "epoch": 400, "macro_f1_released": 0.2})
    leaky = seeds.assign(macro_f1_withheld=[0.1, 0.09, 0.08], difference=[0.1, 0.11, 0.12])
    monkeypatch.setattr(report, "_table", lambda name: leaky)
    found = report.released_finding()
    assert "**0.20**, of which **0.09**" in found
    # 4.303, Student's t of two degrees of freedom, times the standard error of 0.01 / √3
    assert "0.110 (95 % interval over three seeds 0.085 to 0.135)" in found
    unclear = seeds.assign(macro_f1_withheld=[0.1, 0.2, 0.19], difference=[0.1, 0.0, 0.01])
    monkeypatch.setattr(report, "_table", lambda name: unclear)
    with pytest.raises(ValueError, match="no longer show that the labels leak"):
        report.released_finding()


@pytest.mark.parametrize(
    ("rows", "holds"),
    [
        ([[0.001, -0.002, 0.004], [-0.002, -0.004, 0.001]], True),
        ([[0.02, -0.002, 0.04], [-0.002, -0.004, 0.001]], False),  # a large effect
        ([[0.004, 0.002, 0.006], [0.003, 0.001, 0.005]], False),  # small, but clear everywhere
    ],
)
def test_thresholds_that_add_much_have_another_heading(monkeypatch, rows, holds):
    table = pd.DataFrame(rows, columns=["difference", "low", "high"])
    monkeypatch.setattr(report, "training_differences", lambda: table)
    if holds:
        assert "holds 0 on 2 of them" in report.method_finding()
    else:
        with pytest.raises(ValueError, match="no longer show that the paper's thresholds add little"):
            report.method_finding()


@pytest.mark.parametrize(("verdicts", "holds"), [("bbl", True), ("bll", False), ("bww", False)])
def test_signals_that_do_not_pay_have_another_heading(monkeypatch, verdicts, holds):
    names = {"b": "better", "l": "level", "w": "worse"}
    rows = [
        {"dataset": "a", "base": "linear", "rule": str(i), "mode": "inductive", "adaptive_is": names[letter]}
        for i, letter in enumerate(verdicts)
    ]
    monkeypatch.setattr(report, "_rules", lambda: pd.DataFrame(rows))
    if holds:
        assert "clearly better in 2 of 3 comparisons" in report.rule_finding()
    else:
        with pytest.raises(ValueError, match="no longer show that the signals pay"):
            report.rule_finding()


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], "cannot be tested here"),
        (["above 0", "above 0"], "reproduced"),
        (["level", "above 0"], "not reproduced (the thresholds add macro-F1 under 1 of 2 kinds of noise)"),
        (["level", "below 0"], "not reproduced (the thresholds add macro-F1 under 0 of 2 kinds of noise)"),
    ],
)
def test_robustness_is_what_thresholds_add_under_noise(monkeypatch, outcomes, verdict):
    wording = "Macro-F1 of {} minus that of {}, {}".format
    method, other = "paper's method", "same loss, θ = 0"
    rows = [[wording("adaptive", "PCut", "50 % wrong"), "above 0", "+0.1"]]
    if outcomes:
        rows += [[wording(method, other, "clean"), "below 0", "-0.1"]]
        rows += [[wording(method, "plain cross-entropy", "50 % wrong"), "below 0", "-0.2"]]
    rows += [
        [wording(method, other, name), outcome, "+0.2"]
        for name, outcome in zip(("50 % missing", "50 % wrong"), outcomes, strict=False)
    ]
    claims = pd.DataFrame(rows, columns=["claim", "outcome", "figures"])
    monkeypatch.setattr(report, "read_table", lambda path: claims)
    entry = report._robustness_entry()
    assert entry.verdict == verdict
    assert "PCut" not in entry.found
    assert entry.found.count("minus that of") == len(rows) - 1


def _ladder(values):
    """A ladder whose rungs are these, with macro-F1."""
    return lambda name: pd.DataFrame(
        {"rung": list(values), "macro_f1": list(values.values()), "micro_f1": 0.75}
    )


def test_a_gain_that_is_not_made_of_label_texts_has_another_heading(monkeypatch):
    rules = pd.DataFrame(
        {"rule": ["PCut, fused", "F*/2, fused", "PCut"], "adaptive_is": ["level", "better", "worse"]}
    )
    monkeypatch.setattr(report, "_rules", lambda: rules)
    rungs = {
        "linear": 0.30,
        "+ neighbours": 0.31,
        "+ similarity": 0.32,
        "+ mentions": 0.34,
        "+ label tree": 0.345,
    }
    monkeypatch.setattr(report, "_table", _ladder(rungs))
    found = report.gain_finding()
    assert "worse than ours in 1 of 2 comparisons, level in 1, better in 0" in found
    assert "one more base model +0.005: 0.345, with a micro-F1 of 0.750" in found
    assert (
        "neighbours +0.010, what the labels' names and synonyms say +0.030, one more base model +0.005"
        in found
    )
    monkeypatch.setattr(report, "_table", _ladder(rungs | {"+ mentions": 0.31, "+ similarity": 0.31}))
    with pytest.raises(ValueError, match="no longer show that label texts give most"):
        report.gain_finding()


def test_the_gallery_shows_every_figure_below_its_finding():
    page = report.gallery_page()
    sections = page.split("\n\n## ")
    assert len(sections) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    for folder, section in zip(sorted((ROOT / "results" / "pyapi").glob("[0-9]*/")), sections, strict=True):
        figures = sorted(path.name for path in folder.glob("*.png"))
        assert sorted(re.findall(r"\((?:[^()]*/)?([^/()]+\.png)\)", section)) == figures
        assert report.finding_of(folder.name, read_tables(folder)) in section


def test_every_data_set_has_a_line_with_its_finding_below_each_notebook():
    for section in report.findings_page().split("## ")[1:]:
        title, _, *lines = section.strip().split("\n")
        (notebook,) = (ROOT / "notebooks").glob(f"{title[:2]}_*.ipynb")
        folders = [*(ROOT / "results").glob(f"*/{notebook.stem}")]
        full = {path.parts[-3] for path in (ROOT / "results").glob(f"*/full/{notebook.stem}")}
        assert len(lines) == len({path.parts[-2] for path in folders} | full)
        for name in full:
            (line,) = (line for line in lines if line.startswith(f"- **{name}** (full profile, "))
            tables = read_tables(ROOT / "results" / name / "full" / notebook.stem)
            assert line.endswith(f"). {report.finding_of(notebook.stem, tables)}")


def test_neighbours_are_counted_by_the_signs_of_their_intervals(tmp_path, monkeypatch):
    folder = tmp_path / "toy" / "08_decision_rules"
    folder.mkdir(parents=True)
    ours, without = "adaptive", "adaptive, no neighbours"
    found = [
        ("linear", ours, without, "macro_f1", 0.02),
        ("linear", ours, without, "macro_f1", 0.03),  # another seed
        ("linear", ours, without, "micro_f1", 0.005),
        ("linear", ours, "fixed 0.5", "micro_f1", -0.5),
        ("network", ours, without, "macro_f1", 0.2),
        ("network", ours, without, "micro_f1", -0.02),
    ]
    table = pd.DataFrame(found, columns=["base", "a", "b", "metric", "difference"])
    table = table.assign(low=table["difference"] - 0.01, high=table["difference"] + 0.01)
    table.to_csv(folder / "rule_differences.csv", index=False)
    monkeypatch.setattr(report, "_results", lambda: tmp_path)
    said, _, _, _, *rows = report.local_signal_page().splitlines()
    assert said == (
        "Of 2 pairs of data set and base model, macro-F1 is clearly greater in 2, level in 0, clearly "
        "smaller in 0; micro-F1 is clearly greater in 0, level in 1, clearly smaller in 1."
    )
    assert rows == [
        "| toy (linear) | +0.0250 (+0.0150 to +0.0350) | +0.0050 (−0.0050 to +0.0150) |",
        "| toy (network) | +0.2000 (+0.1900 to +0.2100) | −0.0200 (−0.0300 to −0.0100) |",
    ]


# --- sentences that are written by hand ---


def test_the_size_of_the_protocols_runs_is_that_of_the_profiles():
    """The audit and notebook 06 say at which size the paper's protocol is run here."""
    for numbers in PROFILES.values():
        assert (numbers.ablation_rows, *numbers.hidden_layers) == (4_000, 512)
        assert numbers.learning_rate == 0.003
    assert PROFILES["full"].long_epochs == 400
    audit = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    notebook = (ROOT / "notebooks" / "06_leakage.ipynb").read_text(encoding="utf-8")
    for page in (audit, notebook):
        for size in (
            "at most 4,000 training rows",
            "one hidden layer of 512 units",
            "learning rate of 0.003",
        ):
            assert size in page
    assert "at most 400 epochs" in audit


def test_labels_of_other_rows_help_on_the_two_sets_that_the_audit_names():
    gains = {}
    for path in (ROOT / "results").glob("*/06_leakage/reported.csv"):
        means = read_table(path).groupby("method")["macro_f1"].mean()
        gains[path.parts[-3]] = means["labels of other rows"] - means["labels withheld"]
    assert {name for name, gain in gains.items() if gain > 0.01} == {"emotions", "yeast"}
    audit = " ".join((ROOT / "docs" / "audit.md").read_text(encoding="utf-8").split())
    assert "on emotions and yeast, which have few labels" in audit


def test_label_texts_add_most_on_four_of_the_five_sets_that_have_them():
    most = {}
    for name, _, folder in places_with(ROOT / "results", "08_decision_rules/ladder.csv"):
        rungs = read_table(folder / "ladder.csv").groupby("rung", sort=False)["macro_f1"].mean().diff()[1:]
        kinds = [
            "texts" if rung.removeprefix("+ ") in LABEL_TEXTS else "models"
            for rung in rungs.index.drop("+ neighbours")
        ]
        gains = rungs.drop("+ neighbours").groupby(kinds).sum().to_dict()
        if "texts" in gains:
            most[name] = gains["texts"] > max(gains.get("models", 0), rungs["+ neighbours"])
    assert len(most) == 5
    assert [name for name, holds in most.items() if not holds] == ["goemotions"]
    science = " ".join((ROOT / "docs" / "science.md").read_text(encoding="utf-8").split())
    assert (
        "add most on four of the five sets that have them (on GoEmotions a transformer with label" in science
    )
