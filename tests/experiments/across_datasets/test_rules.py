"""The summary over all data sets: averages over seeds, outcomes, files."""

import pandas as pd
import pytest

from adathresh.experiments.across_datasets.models import (
    CUTS,
    critical_difference,
    mean_ranks,
    models_table,
    with_texts,
)
from adathresh.experiments.across_datasets.rules import main, outcomes, summary_table
from adathresh.experiments.core.plotting import plot_outcomes


def write(folder, macro, intervals):
    """Write the two tables of a data set: macro-F1 by rule and seed, intervals by our rule and the other."""
    folder.mkdir(parents=True)
    rows = [
        {"dataset": "a set", "base": "linear", "rule": rule, "mode": mode, "seed": seed, "macro_f1": value}
        for (rule, mode), values in macro.items()
        for seed, value in enumerate(values)
    ]
    pd.DataFrame(rows).assign(micro_f1=0.5).to_csv(folder / "rules.csv", index=False)
    rows = [
        {"base": "linear", "a": ours, "b": rule, "metric": metric}
        | dict(zip(("difference", "low", "high"), interval, strict=True))
        for (ours, rule), interval in intervals.items()
        for metric in ("macro_f1", "micro_f1")
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["metric"] == "micro_f1", ["difference", "low", "high"]] = -9.0
    frame.to_csv(folder / "rules_differences.csv", index=False)


def write_gap(folder, families):
    """Write the table of a data set's families: macro-F1 at 0.5, under the best rival and with ours."""
    rows = [
        {"base": family, "seed": seed} | dict(zip(CUTS, (value + wobble for value in values), strict=True))
        for family, values in families.items()
        for seed, wobble in enumerate((-0.01, 0.01))
    ]
    pd.DataFrame(rows).to_csv(folder / "gap.csv", index=False)


IN, TRANS = "inductive", "transductive"
OURS, TEXTS = "adaptive", "adaptive + label texts"


@pytest.fixture
def folder(tmp_path):
    macro = {(OURS, IN): [0.4, 0.6], ("PCut", IN): [0.3, 0.3], ("SCut", IN): [0.5, 0.5]}
    batch = {("block coordinate", TRANS): [0.9, 0.9], ("adaptive, transductive", TRANS): [0.6, 0.6]}
    texts = {(TEXTS, IN): [0.7, 0.8]}
    intervals = {
        (OURS, "PCut"): (0.2, 0.1, 0.3),
        (OURS, "SCut"): (0.0, -0.1, 0.1),
        (OURS, TEXTS): (-0.1, -0.2, 0.1),
        (OURS, "block coordinate"): (-0.4, -0.5, -0.3),
        (OURS, "adaptive, transductive"): (-0.1, -0.2, 0.0),
        (TEXTS, "PCut"): (0.5, 0.4, 0.6),
        (TEXTS, "SCut"): (0.3, -0.1, 0.5),
        (TEXTS, OURS): (0.1, -0.1, 0.2),
    }
    write(tmp_path / "one", {**macro, **texts, **batch}, intervals)
    write(tmp_path / "two", macro, {(OURS, "PCut"): (9, 8, 10), (OURS, "SCut"): (9, 8, 10)})
    full = {(OURS, "PCut"): (-0.2, -0.3, -0.1), (OURS, "SCut"): (0.2, 0.1, 0.3)}
    write(tmp_path / "two" / "full", {rule: [*values, 0.8] for rule, values in macro.items()}, full)
    write_gap(tmp_path / "one", {"linear": [0.1, 0.3, 0.4], "label tree": [0.2, 0.3, 0.6]})
    write_gap(tmp_path / "two", {"linear": [0.1, 0.1, 0.1]})
    best_in_full = {"linear": [0.2, 0.5, 0.4], "extra trees": [0.0, 0.1, 0.6], "MiniLM, frozen": [0.7] * 3}
    write_gap(tmp_path / "two" / "full", best_in_full)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "rules.csv").write_text("another table\n")
    return tmp_path


@pytest.fixture
def table(folder):
    table = summary_table(folder)
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
    (folder / "two" / "rules_differences.csv").unlink()
    assert len(summary_table(folder)) == 9


def test_inductive_rivals_are_counted(folder):
    counts = outcomes(summary_table(folder))
    assert counts.to_dict("index") == {
        "PCut": {"better": 1, "level": 0, "worse": 1},
        "SCut": {"better": 1, "level": 1, "worse": 0},
    }
    (axes,) = plot_outcomes(counts).axes
    widths = [[bar.get_width() for bar in container] for container in axes.containers]
    assert widths == [[1, 1], [0, 1], [1, 0]]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["PCut", "SCut"]


def test_families_are_averaged_and_the_full_profile_goes_before(folder):
    models = models_table(folder)
    assert models["profile"].tolist() == ["quick"] * 2 + ["full"] * 3
    assert models["family"].tolist() == ["linear", "label tree", "linear", "extra trees", "MiniLM, frozen"]
    assert (models["seeds"] == 2).all()
    assert models.loc[0, list(CUTS)].tolist() == pytest.approx([0.1, 0.3, 0.4])
    assert set(with_texts(models)["dataset"]) == {"two"}


def test_ranks_are_those_of_the_families_that_all_sets_have(folder):
    ranks = mean_ranks(models_table(folder))
    assert ranks.to_dict("index") == {
        "trees": {"fixed": (5 + 6) / 2, "best_rival": (3.5 + 5) / 2, "adaptive": 1},
        "linear": {"fixed": (6 + 4) / 2, "best_rival": (3.5 + 2) / 2, "adaptive": (2 + 3) / 2},
    }
    assert ranks.index.tolist() == ["trees", "linear"]


@pytest.mark.parametrize(("n_methods", "level", "q"), [(2, 0.05, 1.960), (10, 0.05, 3.164), (5, 0.10, 2.459)])
def test_critical_differences_are_those_of_the_published_table(n_methods, level, q):
    expected = q * (n_methods * (n_methods + 1) / (6 * 20)) ** 0.5
    # the table has three decimals
    assert critical_difference(n_methods, 20, level=level) == pytest.approx(expected, rel=3e-4)


def test_the_command_writes_both_files_the_same_every_time(folder, capsys):
    tables = [folder / f"{name}.csv" for name in ("summary", "summary_models")]
    names = ("summary", "summary_models", "summary_models_texts")
    files = [*tables, *(folder / "figures" / f"{name}.png" for name in names)]
    contents = []
    for _ in range(2):
        assert main(["--results", str(folder)]) == 0
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("PCut", "trees", *map(str, files)))
    assert [len(pd.read_csv(table)) for table in tables] == [9, 5]


@pytest.mark.parametrize("number", ["02", "08"])
def test_no_results(folder, capsys, number):
    for file in folder.glob("**/gap.csv" if number == "02" else "**/rules*.csv"):
        file.unlink()
    assert main(["--results", str(folder)]) == 1
    assert f"adathresh reproduce --only {number}" in capsys.readouterr().err
    assert not list(folder.glob("summary*"))
    assert not (folder / "figures").exists()


def test_a_summary_without_texts(folder):
    (folder / "two" / "full" / "gap.csv").unlink()
    assert main(["--results", str(folder)]) == 0
    assert not (folder / "figures" / "summary_models_texts.png").exists()
