"""The summary over all data sets: averages over seeds, outcomes, files."""

import pandas as pd
import pytest

from adathresh.experiments.plotting import plot_outcomes
from adathresh.experiments.summary import main, outcomes, summary_table


def write(folder, name, macro, intervals):
    """Write the two tables of a data set: macro-F1 by rule and seed, intervals by rule and seed."""
    (folder / name).mkdir()
    rows = [
        {"dataset": name, "base": "linear", "rule": rule, "mode": mode, "seed": seed, "macro_f1": value}
        for (rule, mode), values in macro.items()
        for seed, value in enumerate(values)
    ]
    pd.DataFrame(rows).assign(micro_f1=0.5).to_csv(folder / name / "rules.csv", index=False)
    rows = [
        {"base": "linear", "b": rule, "metric": metric, "seed": seed, "difference": sum(interval) / 2}
        | dict(zip(("low", "high"), interval, strict=True))
        for rule, both in intervals.items()
        for seed, interval in enumerate(both)
        for metric in ("macro_f1", "micro_f1")
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["metric"] == "micro_f1", ["difference", "low", "high"]] = -9.0
    frame.to_csv(folder / name / "rules_differences.csv", index=False)


@pytest.fixture
def folder(tmp_path):
    i, t = "inductive", "transductive"
    macro = {("adaptive", i): [0.4, 0.6], ("PCut", i): [0.3, 0.3], ("SCut", i): [0.5, 0.5]}
    batch = {("block coordinate", t): [0.9, 0.9], ("adaptive, transductive", t): [0.6, 0.6]}
    intervals = {
        "PCut": [(0.1, 0.3), (-0.05, 0.2)],  # 0.025 to 0.25 on average
        "SCut": [(-0.2, 0.1), (0.0, 0.1)],
        "block coordinate": [(-0.5, -0.4)] * 2,
        "adaptive, transductive": [(-0.2, 0.0), (-0.2, 0.1)],
    }
    write(tmp_path, "one", {**macro, **batch}, intervals)
    write(tmp_path, "two", macro, {"PCut": [(-0.3, -0.1)] * 2, "SCut": [(0.1, 0.2)] * 2})
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "rules.csv").write_text("another table\n")
    return tmp_path


def test_seeds_are_averaged(folder):
    table = summary_table(folder).set_index(["dataset", "rule"])
    assert table.loc[("one", "adaptive"), ["seeds", "macro_f1", "micro_f1"]].tolist() == [2, 0.5, 0.5]
    assert table.loc[("one", "adaptive"), "adaptive_is"] == ""
    pcut = table.loc[("one", "PCut")]
    assert pcut[["difference", "low", "high"]].tolist() == pytest.approx([0.1375, 0.025, 0.25])
    assert table["adaptive_is"].to_dict() == {
        ("one", "adaptive"): "",
        ("one", "PCut"): "better",
        ("one", "SCut"): "level",
        ("one", "block coordinate"): "worse",
        ("one", "adaptive, transductive"): "level",
        ("two", "adaptive"): "",
        ("two", "PCut"): "worse",
        ("two", "SCut"): "better",
    }


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
    assert len(pd.read_csv(files[0])) == 8


def test_no_results(tmp_path, capsys):
    assert main(["--results", str(tmp_path)]) == 1
    assert "adathresh reproduce --only 08" in capsys.readouterr().err
