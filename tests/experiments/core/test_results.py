"""What a notebook leaves behind: tables, figures, claims, records; written only by a run that saves."""

import hashlib
import json
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import adathresh
from adathresh.experiments.core import config as config_module
from adathresh.experiments.core import results as module
from adathresh.experiments.core.claims import yes_claim
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.plotting import COLORS
from adathresh.experiments.core.results import (
    Results,
    as_csv,
    read_table,
    read_tables,
    start,
    table_row,
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
def clone(tmp_path, monkeypatch):
    """Make an empty clone the repository; the value is its folder."""
    root = tmp_path / "clone"
    root.mkdir()
    for place in (config_module, module):
        monkeypatch.setattr(place, "repository_root", lambda: root)
    return root


@pytest.fixture
def saving(clone, tmp_path):
    """Results of a run that saves, apart from the published ones."""
    return Results(RunConfig(out=str(tmp_path / "out"), save=True), "02_baselines")


@pytest.fixture
def publish(clone):
    """Publish tables and claims in the clone."""

    def write(claims=None, **tables):
        folder = clone / "results" / "pyapi" / "02_baselines"
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            (folder / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")
        if claims is not None:
            (folder / "claims.csv").write_text(as_csv(claims), encoding="utf-8")
        return folder

    return write


def changed(row, **values):
    return [{**r, **values} if i == row else r for i, r in enumerate(ROWS)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def figure():
    drawn, axes = plt.subplots()
    axes.plot([1, 2])
    plt.close(drawn)
    return drawn


# --- the beginning ---


def test_start_reads_the_parameters_and_sets_the_style():
    with plt.rc_context():
        plt.rcdefaults()
        config, results = start("01_data", {"dataset": "scene", "seeds": 2, "FIXED": "x", "pd": pd})
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(COLORS)
    assert config == RunConfig(dataset="scene", seeds=2)
    assert results.config is config
    assert results.folder == config.folder / "01_data"
    with pytest.raises(TypeError, match=r"Did you mean 'dataset'\?"):
        start("01_data", {"dataste": "scene"})


# --- what is written ---


def test_a_table_is_plain_csv_rounded(saving):
    saving.table("headline", ROWS)
    assert (saving.folder / "headline.csv").read_bytes() == (
        b"rule,fingerprint,seed,macro_f1,micro_f1\n"
        b"fixed,0123456789012345,0,0.123457,0.5\n"
        b"tuned,0123456789012345,0,0.25,\n"
    )
    assert names(saving.folder) == ["agreement.json", "headline.csv", "record.json"]
    assert as_csv(pd.DataFrame(ROWS)) == as_csv(ROWS)


def test_a_table_is_kept_as_it_is_read_back(saving):
    saving.table("headline", ROWS)
    kept = saving.tables["headline"]
    assert kept["macro_f1"].tolist() == [0.123457, 0.25]
    assert kept["fingerprint"].tolist() == ["0123456789012345"] * 2
    pd.testing.assert_frame_equal(kept, read_table(saving.folder / "headline.csv"))
    assert list(read_tables(saving.folder)) == ["headline"]
    pd.testing.assert_frame_equal(read_tables(saving.folder)["headline"], kept)


def test_nothing_is_written_unless_the_run_saves(clone, tmp_path):
    reading = Results(RunConfig(out=str(tmp_path / "out")), "02_baselines")
    # Nothing is returned either: a notebook would show the path, which differs from machine to machine.
    assert reading.table("headline", ROWS) is None
    assert reading.timings([{"step": "load", "seconds": 1.0}]) is None
    assert reading.figure("longtail", figure()) is None
    assert reading.claims(lambda tables: [yes_claim("a", True, "")]).rows == [["a", "yes", ""]]
    assert not reading.folder.exists()
    assert list(clone.iterdir()) == []


def test_a_record_says_what_the_results_are(saving):
    saving.table("headline", ROWS)
    saving.figure("tradeoff", figure())
    saving.timings([{"step": "fit", "seconds": 2.0}])
    saving.claims(
        lambda tables: [yes_claim("tuned is better", tables["headline"]["macro_f1"].idxmax() == 1, "")]
    )
    record = json.loads((saving.folder / "record.json").read_text(encoding="utf-8"))
    digests = record.pop("sha256")
    assert list(digests) == ["claims.csv", "headline.csv", "timings.csv", "tradeoff.png"]
    table = (saving.folder / "headline.csv").read_bytes()
    assert digests["headline.csv"] == hashlib.sha256(table).hexdigest()
    assert record == {
        "notebook": "02_baselines",
        "adathresh": adathresh.__version__,
        **saving.config.to_dict(),
        "fingerprint": "0123456789012345",
        "tables": ["headline"],
        "figures": ["tradeoff"],
        "in_words": {"tradeoff": "Tradeoff (pyapi, quick profile, 1 seed)."},
    }
    assert names(saving.folder) == [
        "agreement.json",
        "claims.csv",
        "headline.csv",
        "record.json",
        "timings.csv",
        "tradeoff.png",
    ]
    assert read_table(saving.folder / "claims.csv").to_dict("records")[0]["outcome"] == "yes"


def test_a_record_names_every_data_set_that_its_tables_come_from(saving):
    saving.table("one", ROWS)
    saving.table("other", changed(0, fingerprint="00ff"))
    saving.table("none", [{"rule": "fixed", "macro_f1": 0.5}])
    record = json.loads((saving.folder / "record.json").read_text())
    assert record["fingerprint"] == "00ff 0123456789012345"
    assert record["tables"] == ["none", "one", "other"]


def test_without_fingerprints_the_record_has_none(saving):
    saving.table("none", [{"rule": "fixed", "macro_f1": 0.5}])
    assert json.loads((saving.folder / "record.json").read_text())["fingerprint"] is None


def test_failed_write_leaves_the_old_files(saving, monkeypatch):
    saving.table("headline", ROWS)
    before = {path.name: path.read_bytes() for path in saving.folder.iterdir()}
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        saving.table("headline", ROWS[:1])
    with pytest.raises(OSError, match="disk full"):
        saving.figure("tradeoff", figure())
    assert {path.name: path.read_bytes() for path in saving.folder.iterdir()} == before


def test_equal_figures_give_equal_files(saving):
    contents = []
    for _ in range(2):
        saving.figure("a", figure())
        contents.append((saving.folder / "a.png").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"\x89PNG")


def test_a_figure_is_shown_with_its_words(saving, monkeypatch):
    shown = []
    monkeypatch.setattr("adathresh.experiments.core.results.display", shown.append)
    drawn = figure()
    drawn.subplots().set(xlabel="rows", ylabel="macro-F1")
    saving.figure("by_rows", drawn)
    (image,) = shown
    assert image.alt == "By rows (pyapi, quick profile, 1 seed). Axes: macro-F1 against rows."
    assert image.data == (saving.folder / "by_rows.png").read_bytes()
    assert drawn.get_suptitle() == "By rows\npyapi, quick profile, 1 seed"


# --- what is compared ---

PLACE = "results/pyapi/02_baselines/headline.csv"


def test_equal_tables_agree_wherever_the_run_writes(saving, publish, capsys):
    publish(headline=ROWS)
    saving.table("headline", ROWS)
    assert capsys.readouterr().out == f"4 of 4 values agree with {PLACE}\n"
    Results(RunConfig(), "02_baselines").table("headline", ROWS)
    assert capsys.readouterr().out == f"4 of 4 values agree with {PLACE}\n"


def test_a_table_that_differs_says_where(saving, publish, capsys):
    publish(headline=ROWS)
    saving.table("headline", changed(1, macro_f1=0.3))
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"3 of 4 values agree with {PLACE}; farthest off: macro_f1 in row 2: 0.3 here, 0.25"
    )
    assert printed.count("\n") == 1
    found = json.loads((saving.folder / "agreement.json").read_text())["tables"]["headline"]
    assert (found["n_agree"], found["n_compared"]) == (3, 4)
    assert "macro_f1 in row 2" in found["problem"]


def test_rows_without_a_seed_may_differ_more(saving, publish, capsys):
    publish(headline=ROWS)
    near = changed(1, macro_f1=0.25 + 0.15 * (0.25 - 0.123457))
    saving.table("headline", near, unseeded="rule == 'tuned'")
    assert capsys.readouterr().out.startswith("4 of 4 values agree")
    saving.table("headline", near, unseeded="rule == 'fixed'")
    assert capsys.readouterr().out.startswith("3 of 4 values agree")


def test_costs_are_written_but_not_compared(saving, publish, capsys):
    costly = [{**row, "fit_seconds": 1.0, "rule_seconds": 2.0, "peak_memory_mb": 9.0} for row in ROWS]
    cheap = [{**row, "fit_seconds": 0.0, "rule_seconds": 0.0, "peak_memory_mb": 0.0} for row in ROWS]
    folder = publish(headline=costly)
    assert "fit_seconds" in (folder / "headline.csv").read_text()
    for rows in (cheap, ROWS):
        saving.table("headline", rows)
        assert capsys.readouterr().out.startswith("4 of 4 values agree")


def test_other_profiles_are_compared_with_their_own_results(clone, publish, capsys):
    publish(headline=ROWS)
    Results(RunConfig(profile="full"), "02_baselines").table("headline", ROWS)
    Results(RunConfig(), "03_training").table("headline", ROWS)
    assert capsys.readouterr().out == "headline: nothing is published to compare with\n" * 2


def test_without_a_clone_nothing_is_compared(monkeypatch, capsys):
    monkeypatch.setattr(config_module, "repository_root", lambda: None)
    results = Results(RunConfig(), "02_baselines")
    assert results.published is None
    results.table("headline", ROWS)
    results.claims(lambda tables: [yes_claim("a", True, "")])
    assert capsys.readouterr().out == (
        "headline: nothing is published to compare with\n1 claims; nothing is published to compare with\n"
    )


def test_a_new_table_beside_published_ones_is_said(saving, publish, capsys):
    publish(headline=ROWS)
    saving.table("new", ROWS)
    assert capsys.readouterr().out == "new: nothing is published to compare with\n"
    assert json.loads((saving.folder / "agreement.json").read_text())["tables"] == {}


def two_claims(tables):
    values = tables["headline"]["macro_f1"]
    return [
        yes_claim("tuned is better", values[1] > values[0], f"{values[1]:.3f}"),
        yes_claim("fixed is good", values[0] > 0.5, f"{values[0]:.3f}"),
    ]


def test_claims_that_come_out_as_published(saving, publish, capsys):
    publish(claims=[yes_claim("fixed is good", False, "x"), yes_claim("tuned is better", True, "y")])
    saving.table("headline", ROWS)
    capsys.readouterr()
    table = saving.claims(two_claims)
    assert capsys.readouterr().out == "2 of 2 claims come out as published\n"
    assert [outcome for _, outcome, _ in table.rows] == ["yes", "no"]
    compared = json.loads((saving.folder / "agreement.json").read_text())
    assert (compared["n_claims"], compared["claims_differ"]) == (2, [])


def test_of_very_many_claims_the_first_are_shown(saving):
    table = saving.claims(lambda tables: [yes_claim(f"claim {i}", True, "") for i in range(21)])
    assert len(table.rows) == 20
    assert "the first 20 of 21 claims" in table.caption
    assert len(read_table(saving.folder / "claims.csv")) == 21


def test_a_claim_that_differs_is_named(saving, publish, capsys):
    publish(claims=[yes_claim("tuned is better", False, "x"), yes_claim("fixed is good", False, "x")])
    saving.table("headline", ROWS)
    capsys.readouterr()
    saving.claims(two_claims)
    assert capsys.readouterr().out == (
        "1 of 2 claims come out as published\ntuned is better: yes here, no published\n"
    )
    compared = json.loads((saving.folder / "agreement.json").read_text())
    assert compared["claims_differ"] == ["tuned is better: yes here, no published"]


def test_claims_read_the_tables_as_they_are_written(saving):
    saving.table("headline", ROWS)
    seen = []
    saving.claims(lambda tables: seen.append(tables["headline"]["macro_f1"][0]) or [])
    assert seen == [0.123457]


# --- rows and summaries ---


def test_table_row():
    row = table_row(
        RunConfig(dataset="scene"),
        SimpleNamespace(fingerprint="f" * 64),
        method="fixed",
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
        "method": "fixed",
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
    arguments = {"method": "m", "base": "b", "rule": "r", "mode": "inductive", "seed": 0, "metrics": {}}
    with pytest.raises(error, match=message):
        table_row(RunConfig(), SimpleNamespace(fingerprint="f"), **(arguments | change))
