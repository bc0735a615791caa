"""The summary over all data sets: averages over seeds, outcomes, files."""

import pandas as pd
import pytest

from adathresh.experiments.plotting import plot_outcomes
from adathresh.experiments.summary import main, outcomes, summary_table


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


def test_the_command_writes_both_files_the_same_every_time(folder, capsys):
    files = [folder / "summary.csv", folder / "figures" / "summary.png"]
    contents = []
    for _ in range(2):
        assert main(["--results", str(folder)]) == 0
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    assert "PCut" in capsys.readouterr().out
    assert len(pd.read_csv(files[0])) == 9


def test_no_results(tmp_path, capsys):
    assert main(["--results", str(tmp_path)]) == 1
    assert "adathresh reproduce --only 08" in capsys.readouterr().err
