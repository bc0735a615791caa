"""Verifying: claims are read off the published tables anew; missing, stray and changed files are named."""

import json
import shutil

import pandas as pd
import pytest

from adathresh.experiments import verify as module
from adathresh.experiments.core.claims import as_table
from adathresh.experiments.core.results import as_csv, file_digests
from adathresh.experiments.nb03_training import claims
from adathresh.experiments.provenance import write_crate
from adathresh.experiments.verify import verify, verify_notebook

DIFFERENCES = [
    {"a": "paper's method", "b": "plain", "metric": "macro_f1", "difference": 0.2, "low": 0.1, "high": 0.3},
    {"a": "paper's method", "b": "plain", "metric": "micro_f1", "difference": 0.0, "low": -0.1, "high": 0.1},
]


@pytest.fixture
def folder(tmp_path):
    """Results of notebook 03 with two tables, a figure, claims and timings."""
    folder = tmp_path / "results" / "scene" / "03_training"
    folder.mkdir(parents=True)
    tables = {"training": [{"method": "plain", "macro_f1": 0.5}], "training_differences": DIFFERENCES}
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")
    (folder / "claims.csv").write_text(
        as_csv(as_table(claims({"training_differences": pd.DataFrame(DIFFERENCES)}))), encoding="utf-8"
    )
    (folder / "curves.png").write_bytes(b"png")
    (folder / "timings.csv").write_text("step,seconds\nfit,1.0\n")
    record = {"notebook": "03_training", "tables": list(tables), "figures": ["curves"]}
    record["sha256"] = file_digests(folder)
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def results(folder):
    return folder.parents[1]


def test_what_follows_from_its_tables_is_verified(folder, capsys):
    assert verify_notebook(folder) == (2, [])
    assert verify(results(folder)) == 0
    assert capsys.readouterr().out == "1 results of notebooks, 2 claims, 0 problems.\n"


def test_all_results_are_verified_and_problems_name_their_place(folder, capsys):
    full = results(folder) / "scene" / "full" / "03_training"
    shutil.copytree(folder, full)
    (full / "curves.png").unlink()
    assert verify(results(folder)) == 1
    assert capsys.readouterr().out == (
        "scene/full/03_training: curves.png is missing\n2 results of notebooks, 2 claims, 1 problems.\n"
    )


@pytest.mark.parametrize("name", ["training.csv", "training_differences.csv", "curves.png", "claims.csv"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    _, problems = verify_notebook(folder)
    assert problems == [f"{name} is missing"]
    assert verify(results(folder)) == 1


@pytest.mark.parametrize("name", ["old.csv", "old.png", "executed.ipynb"])
def test_a_file_that_nothing_names_is_named(folder, name):
    (folder / name).write_text("")
    assert verify_notebook(folder)[1] == [f"{name} belongs to nothing"]


def test_timings_may_be_missing(folder):
    (folder / "timings.csv").unlink()
    assert verify_notebook(folder) == (2, [])


def test_a_finding_that_the_tables_do_not_show_is_named(folder, capsys):
    table = pd.DataFrame(DIFFERENCES)
    table.loc[0, ["difference", "low", "high"]] = [0.0, -0.1, 0.1]
    (folder / "training_differences.csv").write_text(as_csv(table), encoding="utf-8")
    assert verify(results(folder)) == 1
    printed = capsys.readouterr().out
    assert "scene/03_training: " in printed
    assert " minus that of plain: level here, above 0 published\n" in printed
    assert "2 claims, 2 problems" in printed  # and the file has changed


@pytest.mark.parametrize("name", ["training.csv", "curves.png", "timings.csv"])
def test_a_change_that_no_claim_reads_is_named(folder, name, capsys):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    assert verify_notebook(folder) == (2, [])
    assert verify(results(folder)) == 1
    assert f"03_training: {name} is not what its run wrote (sha256)\n" in capsys.readouterr().out


def test_a_record_without_digests_is_named(folder, capsys):
    record = json.loads((folder / "record.json").read_text())
    del record["sha256"]
    (folder / "record.json").write_text(json.dumps(record))
    assert verify(results(folder)) == 1
    assert "record.json holds no sha256 of the files\n" in capsys.readouterr().out


def test_a_claim_that_was_changed_is_named(folder):
    path = folder / "claims.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("above 0", "below 0"), encoding="utf-8")
    (problem,) = verify_notebook(folder)[1]
    assert problem.endswith("above 0 here, below 0 published")


def test_a_claim_that_was_left_out_or_made_up_is_named(folder):
    path = folder / "claims.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], "the moon is round,yes,"]) + "\n", encoding="utf-8")
    problems = verify_notebook(folder)[1]
    assert len(problems) == 2
    assert any("not claimed here, yes published" in problem for problem in problems)
    assert any("level here, not claimed published" in problem for problem in problems)


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "metric,difference\nmacro_f1,0.1\n"])
def test_a_table_off_which_nothing_can_be_read_is_a_problem_and_no_traceback(folder, content, capsys):
    (folder / "training_differences.csv").write_text(content)
    assert verify(results(folder)) == 1
    assert "scene/03_training: " in capsys.readouterr().out


def test_no_results_are_an_error(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="holds no results"):
        verify(tmp_path)
    monkeypatch.setattr(module, "repository_root", lambda: None)
    with pytest.raises(FileNotFoundError, match="name the folder of results"):
        verify()


def test_the_clones_results_are_the_default(folder, monkeypatch, capsys):
    monkeypatch.setattr(module, "repository_root", lambda: results(folder).parent)
    assert verify() == 0
    assert "2 claims" in capsys.readouterr().out


def test_a_crate_that_describes_other_files_is_named(folder, capsys):
    run = {"config": {"dataset": "scene", "profile": "quick"}, "finished": "2026-11-24", "notebooks": {}}
    (folder.parent / "run.json").write_text(json.dumps({**run, "versions": {"platform": "Linux"}}))
    more = {"adathresh": "0.3.0", "dataset": "scene", "profile": "quick", "random_state": 0, "seeds": [0]}
    record = json.loads((folder / "record.json").read_text()) | more | {"fingerprint": None}
    (folder / "record.json").write_text(json.dumps(record))
    write_crate(folder.parent)
    assert verify(results(folder)) == 0
    (folder.parent / "run.json").write_text(json.dumps(run))
    assert verify(results(folder)) == 1
    assert "scene: ro-crate-metadata.json: run.json is not what it describes" in capsys.readouterr().out


@pytest.mark.slow
def test_the_published_results_hold():
    assert verify() == 0
