from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from adathresh.experiments.core import config as config_module
from adathresh.experiments.core import tables
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.tables import (
    compare_table,
    save_figure,
    summarise,
    table_row,
    write_table,
    write_timings,
)

ROWS = [
    {"rule": "fixed", "fingerprint": "0123456789012345", "seed": 0, "macro_f1": 0.123456789, "micro_f1": 0.5},
    {
        "rule": "tuned",
        "fingerprint": "0123456789012345",
        "seed": 0,
        "macro_f1": 0.25,
        "micro_f1": float("nan"),
    },
]


@pytest.fixture
def saving(tmp_path):
    return RunConfig(out=str(tmp_path / "out"), save=True)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Make an empty clone the repository and return a configuration that saves into it."""
    root = tmp_path / "clone"
    root.mkdir()
    for module in (config_module, tables):
        monkeypatch.setattr(module, "repository_root", lambda: root)
    return RunConfig(save=True)


def line(capsys, *args, **kwargs):
    compare_table(*args, **kwargs)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    return printed.rstrip("\n")


def changed(row, **values):
    return [{**r, **values} if i == row else r for i, r in enumerate(ROWS)]


def test_write_table_is_plain_csv_rounded(saving):
    write_table(saving, "headline", ROWS)
    assert (saving.folder / "headline.csv").read_bytes() == (
        b"rule,fingerprint,seed,macro_f1,micro_f1\n"
        b"fixed,0123456789012345,0,0.123457,0.5\n"
        b"tuned,0123456789012345,0,0.25,\n"
    )
    assert [p.name for p in saving.folder.iterdir()] == ["headline.csv"]


def test_write_table_takes_frames(saving):
    write_table(saving, "a", ROWS)
    write_table(saving, "b", pd.DataFrame(ROWS))
    assert (saving.folder / "a.csv").read_bytes() == (saving.folder / "b.csv").read_bytes()


def test_nothing_is_written_unless_the_run_saves(tmp_path):
    reading = RunConfig(out=str(tmp_path / "out"))
    figure = plt.figure()
    # Nothing is returned either: a notebook would show the path, which differs from machine to machine.
    assert write_table(reading, "headline", ROWS) is None
    assert write_timings(reading, "01_data", [{"step": "load", "seconds": 1.0}]) is None
    assert save_figure(reading, "longtail", figure) is None
    plt.close(figure)
    assert not reading.folder.exists()


def test_failed_write_leaves_the_old_table(saving, monkeypatch):
    write_table(saving, "headline", ROWS)
    path = saving.folder / "headline.csv"
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_table(saving, "headline", ROWS[:1])
    assert path.read_bytes() == before
    assert [p.name for p in saving.folder.iterdir()] == ["headline.csv"]


def test_compare_agreement(published, capsys):
    write_table(published, "headline", ROWS)
    expected = "4 of 4 values within 0.01 of results/pyapi/headline.csv"
    assert line(capsys, published, "headline", ROWS) == expected
    assert line(capsys, published, "headline", changed(0, macro_f1=0.1330)) == expected
    # Another results folder is compared with the same published table.
    elsewhere = RunConfig(out="/nowhere", save=False)
    assert line(capsys, elsewhere, "headline", ROWS) == expected


def test_compare_counts_what_differs_and_names_the_farthest(published, capsys):
    write_table(published, "headline", ROWS)
    assert line(capsys, published, "headline", changed(1, macro_f1=0.3)) == (
        "3 of 4 values within 0.01 of results/pyapi/headline.csv; "
        "farthest off: macro_f1 in row 2: 0.3 here, 0.25 there"
    )
    assert line(capsys, published, "headline", changed(1, macro_f1=0.3), tolerance=0.1).startswith(
        "4 of 4 values within 0.1"
    )


def test_columns_may_have_a_tolerance_of_their_own(published, capsys):
    write_table(published, "headline", ROWS)
    rows = changed(1, macro_f1=0.3)
    assert line(capsys, published, "headline", rows, columns={"macro_f1": 0.1}) == (
        "4 of 4 values within 0.01, macro_f1 0.1 of results/pyapi/headline.csv"
    )
    assert line(capsys, published, "headline", rows, columns={"macro_f1": 0.04}).startswith("3 of 4 values")
    assert line(capsys, published, "headline", rows, columns={"micro_f1": 1}).startswith("3 of 4 values")
    both = [dict(row) for row in rows]
    both[0]["micro_f1"] += 0.02
    assert "farthest off: macro_f1" in line(capsys, published, "headline", both)
    assert "farthest off: micro_f1" in line(capsys, published, "headline", both, columns={"macro_f1": 0.1})


def test_compare_some_rows_only(published, capsys):
    write_table(published, "headline", ROWS)
    rows = changed(1, macro_f1=0.3)
    assert line(capsys, published, "headline", rows, where="rule == 'fixed'") == (
        "2 of 2 values within 0.01 of results/pyapi/headline.csv where rule == 'fixed'"
    )
    assert line(capsys, published, "headline", rows, where="rule != 'fixed'") == (
        "1 of 2 values within 0.01 of results/pyapi/headline.csv where rule != 'fixed'; "
        "farthest off: macro_f1 in row 2: 0.3 here, 0.25 there"
    )
    assert line(capsys, published, "headline", rows[:1], where="rule == 'fixed'").startswith("not comparable")


def test_compare_a_number_against_none(published, capsys):
    write_table(published, "headline", ROWS)
    assert line(capsys, published, "headline", changed(1, micro_f1=0.5)).startswith("3 of 4 values")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (ROWS[:1], "1 rows here, 2 there"),
        ([{"rule": "fixed"}, {"rule": "tuned"}], "columns here"),
        (changed(1, rule="other"), "rule in row 2 is 'other' here, 'tuned' there"),
        (changed(0, seed=3), "seed in row 1 is '3' here, '0' there"),
        (changed(0, fingerprint="0023"), "fingerprint in row 1 is '0023' here, '0123456789012345' there"),
    ],
)
def test_compare_other_rows(published, capsys, rows, reason):
    write_table(published, "headline", ROWS)
    printed = line(capsys, published, "headline", rows)
    assert printed.startswith("not comparable with results/pyapi/headline.csv: ")
    assert reason in printed


def test_compare_without_reference(published, capsys, monkeypatch):
    full = RunConfig(profile="full")
    assert line(capsys, full, "headline", ROWS) == "no reference table yet: results/pyapi/full/headline.csv"
    monkeypatch.setattr(config_module, "repository_root", lambda: None)
    assert line(capsys, published, "headline", ROWS).startswith("no reference table: ")


def test_timings_replace_a_notebooks_own_rows(saving):
    write_timings(saving, "02_baselines", [{"step": "fit", "seconds": 2.0}])
    write_timings(saving, "01_data", [{"step": "load", "seconds": 1.0}])
    write_timings(
        saving, "02_baselines", [{"step": "fit", "seconds": 3.0}, {"step": "predict", "seconds": 4.0}]
    )
    assert (saving.folder / "timings.csv").read_text() == (
        "notebook,step,seconds\n01_data,load,1.0\n02_baselines,fit,3.0\n02_baselines,predict,4.0\n"
    )


def test_costs_are_written_but_not_compared(saving, published, capsys):
    costly = [{**row, "fit_seconds": 1.0, "peak_memory_mb": 9.0} for row in ROWS]
    cheap = [{**row, "fit_seconds": 0.0, "peak_memory_mb": 0.0} for row in ROWS]
    write_table(published, "headline", costly)
    assert "fit_seconds" in (published.folder / "headline.csv").read_text()
    for rows in (cheap, ROWS):
        assert line(capsys, published, "headline", rows).startswith("4 of 4 values")


def test_equal_figures_give_equal_files(saving):
    def draw():
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        return figure

    for name in ("a", "b"):
        save_figure(saving, name, draw())
    plt.close("all")
    contents = [(saving.folder / "figures" / f"{name}.png").read_bytes() for name in ("a", "b")]
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"\x89PNG")


def test_table_row():
    dataset = SimpleNamespace(fingerprint="f" * 64)
    row = table_row(
        RunConfig(dataset="scene"),
        dataset,
        method="fixed cut",
        base="linear",
        rule="0.5",
        mode="inductive",
        seed=1,
        metrics={"macro_f1": 0.1},
    )
    assert row == {
        "dataset": "scene",
        "fingerprint": "f" * 16,
        "split": "test",
        "method": "fixed cut",
        "base": "linear",
        "rule": "0.5",
        "mode": "inductive",
        "seed": 1,
        "macro_f1": 0.1,
    }


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mode": "both"}, ValueError, "mode must be"),
        ({"metrics": {"bins": [0.1, 0.2]}}, TypeError, "metric 'bins' must be one number; got list"),
    ],
)
def test_table_row_errors(change, error, message):
    arguments = {
        "method": "m",
        "base": "b",
        "rule": "r",
        "mode": "inductive",
        "seed": 0,
        "metrics": {},
    } | change
    with pytest.raises(error, match=message):
        table_row(RunConfig(), SimpleNamespace(fingerprint="f"), **arguments)


def test_summarise_averages_over_seeds_and_keeps_the_order():
    rows = [
        {"rule": "z", "seed": 0, "macro_f1": 0.1, "micro_f1": 0.5},
        {"rule": "z", "seed": 1, "macro_f1": 0.3, "micro_f1": 0.5},
        {"rule": "a", "seed": 0, "macro_f1": 0.25, "micro_f1": 0.125},
    ]
    shown = summarise(rows, by=["rule"], digits=2)
    assert shown.to_dict("list") == {
        "rule": ["z", "a"],
        "macro_f1": ["0.20 ± 0.14", "0.25"],
        "micro_f1": ["0.50 ± 0.00", "0.12"],
    }
    assert list(summarise(rows, by=["rule"], metrics=["micro_f1"])) == ["rule", "micro_f1"]
