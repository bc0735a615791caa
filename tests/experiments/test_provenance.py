"""The crate of a folder of results: complete, true to the records, and checked against the files."""

import hashlib
import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from adathresh.experiments import provenance
from adathresh.experiments.core.results import file_digests
from adathresh.experiments.provenance import CRATE, PAPER, circumstances, crate, crate_problems, write_crate

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "pyapi"
NOTEBOOK = "03_training"
RUN = {
    "config": {"dataset": "scene", "profile": "quick", "random_state": 0},
    "versions": {"python": "3.11.7", "platform": "Linux x86_64", "adathresh": "0.3.0", "numpy": "2.4.6"},
    "started": "2026-11-24T16:42:13+00:00",
    "finished": "2026-11-24T16:55:10+00:00",
    "notebooks": {NOTEBOOK: {"status": "done", "seconds": 42.8, "commit": "abc", "processor": "Some 7B13"}},
}


@pytest.fixture
def folder(tmp_path):
    """Results of one notebook with a table and a figure; beside them those of the full profile."""
    folder = tmp_path / "scene"
    for place in (folder, folder / "full"):
        (place / NOTEBOOK).mkdir(parents=True)
        (place / "run.json").write_text(json.dumps(RUN))
        (place / NOTEBOOK / "training.csv").write_text("a\n1\n")
        (place / NOTEBOOK / "curves.png").write_bytes(b"png")
        record = {
            "notebook": NOTEBOOK,
            "adathresh": "0.3.0",
            "dataset": "scene",
            "profile": "quick",
            "random_state": 0,
            "seeds": [0, 1],
            "fingerprint": "0123456789abcdef",
            "tables": ["training"],
            "figures": ["curves"],
        }
        (place / NOTEBOOK / "record.json").write_text(json.dumps(record))
    return folder


def entities(content):
    """Return the entities of a crate by name, each once."""
    graph = content["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


def linked(value):
    """Yield all that a value refers to."""
    if isinstance(value, dict):
        yield value["@id"]
    elif isinstance(value, list):
        for part in value:
            yield from linked(part)


def facts(found, links):
    """Return named values by name."""
    return {found[link["@id"]]["name"]: found[link["@id"]].get("value") for link in links}


def test_the_crate_has_what_the_specification_asks_for(folder):
    found = entities(crate(folder))
    assert found[CRATE]["about"] == {"@id": "./"}
    assert found[CRATE]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = found["./"]
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    parts = {part["@id"] for part in root["hasPart"]}
    assert parts == {identifier for identifier, entity in found.items() if entity["@type"] == "File"}
    for entity in found.values():
        assert not re.search(r"[\s\\]", entity["@id"])
        assert None not in entity.values()
        for name, value in entity.items():
            if name not in ("@id", "@type", "value", "conformsTo", "actionStatus"):
                assert set(linked(value)) <= found.keys(), name


def test_the_crate_says_who_made_what_of_what(folder, monkeypatch):
    monkeypatch.setattr(provenance, "_git", lambda *_: "a commit that the run itself knows better")
    found = entities(crate(folder))
    action = found[f"#{NOTEBOOK}"]
    assert action["@type"] == "CreateAction"
    assert action["actionStatus"]["@id"].endswith("/CompletedActionStatus")
    assert [link["@id"] for link in action["result"]] == [
        f"{NOTEBOOK}/{name}" for name in ("curves.png", "record.json", "training.csv")
    ]
    data, *given = action["object"]
    assert found[data["@id"]]["identifier"] == "0123456789abcdef"
    assert facts(found, given) == {"profile": "quick", "random_state": 0, "seeds": "0 1"}
    assert facts(found, action["additionalProperty"]) == {
        "platform": "Linux x86_64",
        "commit": "abc",
        "processor": "Some 7B13",
        "seconds": 42.8,
    }
    software = found[action["instrument"]["@id"]]
    assert (software["name"], software["softwareVersion"]) == ("adathresh", "0.3.0")
    needed = [found[link["@id"]] for link in software["softwareRequirements"]]
    assert {one["name"]: one["softwareVersion"] for one in needed} == {"python": "3.11.7", "numpy": "2.4.6"}


def test_files_are_those_of_this_profile_with_their_digests(folder):
    found = entities(crate(folder))
    files = {name: entity["sha256"] for name, entity in found.items() if entity["@type"] == "File"}
    assert sorted(files) == [
        *(f"{NOTEBOOK}/{n}" for n in ("curves.png", "record.json", "training.csv")),
        "run.json",
    ]
    for name, digest in file_digests(folder / NOTEBOOK).items():
        assert files[f"{NOTEBOOK}/{name}"] == digest
    assert found[f"{NOTEBOOK}/training.csv"]["encodingFormat"] == "text/csv"
    assert found[f"{NOTEBOOK}/training.csv"]["contentSize"] == "4"


@pytest.mark.parametrize("key", ["seconds", "processor"])
def test_what_a_run_did_not_record_is_left_out(folder, key):
    run = json.loads((folder / "run.json").read_text())
    del run["notebooks"][NOTEBOOK][key]
    (folder / "run.json").write_text(json.dumps(run))
    found = entities(crate(folder))
    assert key not in facts(found, found[f"#{NOTEBOOK}"]["additionalProperty"])


def test_the_pinned_set_that_a_run_recorded_is_named(folder):
    run = json.loads((folder / "run.json").read_text())
    run["notebooks"][NOTEBOOK]["requirements_sha256"] = "0f"
    (folder / "run.json").write_text(json.dumps(run))
    found = entities(crate(folder))
    assert facts(found, found[f"#{NOTEBOOK}"]["additionalProperty"])["requirements_sha256"] == "0f"


def test_a_record_without_seeds_names_none(folder):
    path = folder / NOTEBOOK / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seeds": None}))
    found = entities(crate(folder))
    assert "seeds" not in {found[link["@id"]].get("name") for link in found[f"#{NOTEBOOK}"]["object"]}


def test_a_run_without_a_commit_is_given_the_one_that_published_it(folder, monkeypatch):
    run = json.loads((folder / "run.json").read_text())
    del run["notebooks"][NOTEBOOK]["commit"]
    (folder / "run.json").write_text(json.dumps(run))
    monkeypatch.setattr(provenance, "_git", lambda *arguments: f"last of {Path(arguments[-1]).name}")
    found = entities(crate(folder))
    said = facts(found, found[f"#{NOTEBOOK}"]["additionalProperty"])
    assert said["commit that published the results"] == f"last of {NOTEBOOK}"
    assert "commit" not in said


def test_a_failed_notebook_is_no_completed_action(folder):
    run = json.loads((folder / "run.json").read_text())
    run["notebooks"][NOTEBOOK]["status"] = "failed"
    (folder / "run.json").write_text(json.dumps(run))
    action = entities(crate(folder))[f"#{NOTEBOOK}"]
    assert action["actionStatus"]["@id"].endswith("/FailedActionStatus")


def test_a_crate_that_was_just_written_has_no_problems(folder):
    assert write_crate(folder) == folder / CRATE
    assert crate_problems(folder) == []
    before = (folder / CRATE).read_bytes()
    write_crate(folder)
    assert (folder / CRATE).read_bytes() == before


@pytest.mark.parametrize("name", [f"{NOTEBOOK}/training.csv", f"{NOTEBOOK}/record.json", "run.json"])
def test_a_changed_file_is_a_problem(folder, name):
    write_crate(folder)
    with (folder / name).open("a") as file:
        file.write("\n")
    (problem,) = crate_problems(folder)
    assert problem.startswith(f"{CRATE}: {name} is not what it describes; ")


def test_missing_and_new_files_are_problems(folder):
    write_crate(folder)
    (folder / NOTEBOOK / "curves.png").rename(folder / NOTEBOOK / "new.png")
    missing, new = crate_problems(folder)
    assert f"{NOTEBOOK}/curves.png is missing" in missing
    assert f"{NOTEBOOK}/new.png is not what it describes" in new


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob(CRATE)), ids=lambda path: str(path.parent))
def test_published_crates_describe_what_is_there(path):
    assert crate_problems(path.parent) == []


def test_the_published_crate_says_how_the_results_were_made():
    """But for the commit, which an unpacked archive does not know."""
    run = json.loads((PUBLISHED / "run.json").read_text())
    found = entities(json.loads((PUBLISHED / CRATE).read_text()))
    actions = [found[link["@id"]] for link in found["./"]["mentions"]]
    assert [action["@id"] for action in actions] == [f"#{name}" for name in run["notebooks"]]
    for action in actions:
        said = facts(found, action["additionalProperty"])
        assert said["seconds"] == run["notebooks"][action["@id"][1:]]["seconds"]
        assert re.fullmatch(
            r"[0-9a-f]{40}(-dirty)?", said.get("commit") or said["commit that published the results"]
        )


# --- where a run takes place ---


def git(folder, *arguments):
    names = ["-c", "user.name=n", "-c", "user.email=n@x.org"]
    done = subprocess.run(
        ["git", "-C", folder, *names, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_run_knows_its_commit_and_whether_sources_were_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "repository_root", lambda: tmp_path)
    assert "commit" not in circumstances()  # not yet a clone
    git(tmp_path, "init", "-q")
    (tmp_path / "adathresh").mkdir()
    (tmp_path / "adathresh" / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "m")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "table.csv").write_text("a\n")
    assert circumstances()["commit"] == commit
    (tmp_path / "adathresh" / "a.py").write_text("a = 2\n")
    assert circumstances()["commit"] == f"{commit}-dirty"


def test_an_archive_unpacked_in_another_repository_has_no_commit(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "m")
    (tmp_path / "archive").mkdir()
    monkeypatch.setattr(provenance, "repository_root", lambda: tmp_path / "archive")
    assert "commit" not in circumstances()


def test_a_run_knows_the_pinned_set_where_all_of_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "repository_root", lambda: tmp_path)
    assert "requirements_sha256" not in circumstances()  # no clone
    path = tmp_path / "binder" / "requirements.txt"
    path.parent.mkdir()
    path.write_text(f"# Pinned.\nnumpy=={version('numpy')}\ntorch=={version('torch').split('+')[0]}\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert circumstances()["requirements_sha256"] == digest
    for another in ("numpy==0.1", "no-such-package==1.0"):
        path.write_text(f"torch=={version('torch').split('+')[0]}\n{another}\n")
        assert "requirements_sha256" not in circumstances()


# --- folders that a command without a run record made ---


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """Tables of benchmarks that two commits published, by two versions of the package."""
    monkeypatch.setattr(provenance, "repository_root", lambda: tmp_path)
    git(tmp_path, "init", "-q")
    folder = tmp_path / "results" / "benchmarks"
    folder.mkdir(parents=True)
    (tmp_path / "adathresh").mkdir()
    for name, release in (("base", "0.1.0"), ("rules", "0.2.0")):
        (tmp_path / "adathresh" / "__init__.py").write_text(f'"""A."""\n\n__version__ = "{release}"\n')
        (folder / f"{name}.csv").write_text("a\n1\n")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", name)
    return folder


def published_by(found):
    """Return the files that each action of a crate names, with its commit and the package's version."""
    return {
        tuple(link["@id"] for link in action["result"]): (
            facts(found, action["additionalProperty"]).get("commit that published the results"),
            found[action["instrument"]["@id"]].get("softwareVersion"),
        )
        for action in (found[link["@id"]] for link in found["./"]["mentions"])
    }


def test_without_a_run_the_history_says_what_published_a_file(benchmarks):
    found = entities(crate(benchmarks))
    first, second = (git(benchmarks, "log", "-1", "--format=%H", f"--grep={n}") for n in ("base", "rules"))
    assert published_by(found) == {("base.csv",): (first, "0.1.0"), ("rules.csv",): (second, "0.2.0")}
    assert found["./"]["datePublished"] == git(benchmarks, "log", "-1", "--format=%cI")
    assert write_crate(benchmarks) == benchmarks / CRATE
    before = (benchmarks / CRATE).read_bytes()
    assert crate_problems(benchmarks) == []
    assert write_crate(benchmarks).read_bytes() == before


def test_a_file_that_no_commit_holds_is_given_none(benchmarks):
    (benchmarks / "rules.csv").write_text("a\n2\n")
    (benchmarks / "new.csv").write_text("a\n3\n")
    said = published_by(entities(crate(benchmarks)))
    assert said[("new.csv", "rules.csv")] == (None, None)
    assert list(said) == [("base.csv",), ("new.csv", "rules.csv")]


def test_without_a_history_nothing_is_made_up(benchmarks, monkeypatch):
    monkeypatch.setattr(provenance, "repository_root", lambda: None)
    found = entities(crate(benchmarks))
    assert published_by(found) == {("base.csv", "rules.csv"): (None, None)}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", found["./"]["datePublished"])


def test_a_file_that_a_command_no_longer_gives_is_a_problem(benchmarks):
    write_crate(benchmarks)
    (benchmarks / "rules.csv").unlink()
    (problem,) = crate_problems(benchmarks)
    assert "rules.csv is missing" in problem


def test_every_folder_of_results_has_a_crate():
    without = [path for path in (ROOT / "results").iterdir() if not any(path.rglob(CRATE))]
    assert without == []
    for name in provenance.COMMANDS:
        assert (ROOT / "results" / name / CRATE).is_file()


# --- the command ---


def test_the_command_writes_all_results_or_those_that_are_named(folder, monkeypatch, capsys):
    monkeypatch.setattr(provenance, "repository_root", lambda: folder.parent)
    assert provenance.main([str(folder / "full")]) == 0
    assert not (folder / CRATE).exists()
    assert capsys.readouterr().out == f"{folder / 'full' / CRATE}\n"
    results = folder.parent / "results"
    (results / "benchmarks").mkdir(parents=True)
    (results / "benchmarks" / "base.csv").write_text("a\n1\n")
    folder.rename(results / "scene")
    assert provenance.main([]) == 0
    for place in (results / "scene", results / "scene" / "full", results / "benchmarks"):
        assert crate_problems(place) == []


def test_a_folder_without_results_is_named(tmp_path, capsys):
    assert provenance.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path} holds no run.json\n"


# --- codecheck.yml ---


def codecheck():
    return yaml.safe_load((ROOT / "codecheck.yml").read_text(encoding="utf-8"))


def test_the_manifest_holds_every_result_that_does_not_change_from_run_to_run():
    listed = [entry["file"] for entry in codecheck()["manifest"]]
    there = [
        path for path in PUBLISHED.glob("*/*") if path.suffix in (".csv", ".png") and path.stem != "timings"
    ]
    assert sorted(listed) == sorted(path.relative_to(ROOT).as_posix() for path in there)


def test_the_paper_is_the_one_of_the_citation():
    (reference,) = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    paper = codecheck()["paper"]
    assert paper["title"] == reference["title"] == PAPER["name"]
    assert paper["reference"] == f"https://doi.org/{reference['doi']}" == PAPER["@id"]
    (author,) = reference["authors"]
    assert paper["authors"] == [{"name": f"{author['given-names']} {author['family-names']}"}]


def test_the_specification_is_followed():
    text = (ROOT / "codecheck.yml").read_text(encoding="utf-8")
    assert text.startswith("%YAML 1.1\n---\n")
    content = codecheck()
    assert content["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    assert all(entry.keys() == {"file", "comment"} for entry in content["manifest"])
    assert not {"codechecker", "report", "certificate"} & content.keys()  # the checker's own
