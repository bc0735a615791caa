"""Running the notebooks: what is written where, verdict and exit status, failures and interruptions."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

import adathresh
from adathresh.experiments import reproduce as module
from adathresh.experiments.core import config as config_module
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.experiments.provenance import crate_problems
from adathresh.experiments.reproduce import reproduce

HEADLINE = """\
from adathresh.experiments.core.results import Results, table_row
from adathresh.experiments.core.claims import yes_claim
from types import SimpleNamespace
results = Results(config, "01_first")
data = SimpleNamespace(fingerprint="0123456789abcdef0123")
names = dict(method="fixed", base="linear", mode="inductive")
metrics = {"fixed": {"macro_f1": 0.25}, "tuned": {"macro_f1": 0.35}}
rows = [table_row(config, data, **names, rule=r, seed=s, metrics=metrics[r])
        for s in config.seed_list for r in metrics]
results.table("headline", rows)
results.timings([{"step": "fit", "seconds": 1.0}])
results.claims(lambda tables: [yes_claim("tuned is better",
    tables["headline"].groupby("rule")["macro_f1"].mean()["tuned"] > 0.25, "")])
"""
FIGURE = """\
import matplotlib.pyplot as plt
from adathresh.experiments.core.results import Results
figure, axes = plt.subplots()
Results(config, "02_second").figure("longtail", figure)
"""


@pytest.fixture
def config(tmp_path):
    return RunConfig(dataset="unpublished", seeds=2, out=str(tmp_path / "out"))


@pytest.fixture
def in_process(monkeypatch):
    """Run notebooks in this process instead of a kernel each, which takes a second."""

    def attempt(notebook, *, output, parameters, on_cell, interrupted):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("{}")
        namespace = dict(parameters)
        for number, cell in enumerate(nbformat.read(notebook, as_version=4).cells[1:], start=3):
            try:
                exec(cell.source, namespace)
            except KeyboardInterrupt:
                return "interrupted", f"{notebook.name} was interrupted in cell In [{number}]"
            except Exception as error:
                return "failed", f"{notebook.name} failed in cell In [{number}]: {error}"
            on_cell()
        return "done", None

    monkeypatch.setattr(module, "attempt", attempt)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Make an empty clone the repository; the value is its folder."""
    root = tmp_path / "clone"
    (root / "results").mkdir(parents=True)
    for name in ("config", "results"):
        monkeypatch.setattr(f"adathresh.experiments.core.{name}.repository_root", lambda: root)
    return root


def run(config, notebook, **kwargs):
    return reproduce(config, notebooks_dir=notebook.parent, progress=False, **kwargs)


def record(config):
    return json.loads((config.folder / "run.json").read_text())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- in kernels, as it is ---


@pytest.mark.slow
def test_everything_is_written_and_summarised(config, write_notebook, capsys):
    write_notebook("01_first", HEADLINE)
    notebook = write_notebook("02_second", FIGURE)
    assert run(config, notebook) == 0

    printed = capsys.readouterr().out
    assert "01_first             done" in printed
    assert "  headline\n" in printed
    assert "  longtail\n" in printed
    assert printed.endswith("Nothing is published to compare with.\n")

    content = record(config)
    for entry in content["notebooks"].values():
        own = {name: entry[name] for name in ("seeds", "numbers")}
        assert {**content["config"], **own} == config.to_dict()
    assert content["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert content["versions"]["adathresh"] == adathresh.__version__
    assert {name: entry["status"] for name, entry in content["notebooks"].items()} == {
        "01_first": "done",
        "02_second": "done",
    }
    for entry in content["notebooks"].values():
        # parameters as declared and as given, the configuration, and the cell itself
        assert len(entry["cell_seconds"]) == 4
        assert 0 < sum(entry["cell_seconds"]) <= entry["seconds"] + 0.2  # each is rounded
        assert entry["peak_memory_mb"] >= 0
    assert content["started"] <= content["finished"]
    common = {"agreement.json", "executed.ipynb", "record.json"}
    assert set(names(config.folder / "01_first")) == common | {"claims.csv", "headline.csv", "timings.csv"}
    assert set(names(config.folder / "02_second")) == common | {"longtail.png"}
    assert not list(config.folder.rglob(".*"))


def test_failure_names_notebook_cell_and_reason_and_keeps_the_rest(config, write_notebook, capsys):
    write_notebook(
        "01_first", "print('kept')", "raise ValueError('first line\\nthe labels are missing')", "never = 1"
    )
    notebook = write_notebook("02_second", "print('not reached')")
    assert run(config, notebook) == 1
    captured = capsys.readouterr()
    # 1 parameters, 2 injected parameters, 3 configuration, 4 print, 5 raise
    assert "01_first.ipynb failed in cell In [5]: the labels are missing\n" in captured.err
    assert "--only 01,02\n" in captured.err
    executed = config.folder / "01_first" / "executed.ipynb"
    assert str(executed) in captured.err
    assert "kept" in executed.read_text()
    assert not (config.folder / "02_second").exists()
    assert {name: entry["status"] for name, entry in record(config)["notebooks"].items()} == {
        "01_first": "failed"
    }


@pytest.mark.slow
def test_relative_folders_are_those_of_the_caller(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = write_notebook("01_first", "print(config.data_dir, config.folder, config.save)")
    assert run(RunConfig(data_dir="data", out="out"), notebook) == 0
    cells = nbformat.read(tmp_path / "out" / "01_first" / "executed.ipynb", as_version=4).cells
    assert cells[-1].outputs[0].text.split() == [str(tmp_path / "data"), str(tmp_path / "out"), "True"]


# --- the published results ---


def test_results_go_apart_from_the_published_ones(clone, write_notebook, in_process):
    notebook = write_notebook("01_first", HEADLINE)
    published = clone / "results" / "scene" / "01_first"
    published.mkdir(parents=True)
    (published / "headline.csv").write_text("rule,macro_f1\nfixed,0.9\n")
    before = tree(clone / "results")
    for profile, place in (("quick", "scene"), ("full", "scene/full")):
        config = RunConfig(dataset="scene", profile=profile)
        run(config, notebook)
        assert (clone / "reproduced" / place / "01_first" / "headline.csv").is_file()
    assert tree(clone / "results") == before


def reference(config, notebook):
    """Publish what a run of the notebook finds."""
    assert run(config, notebook, update_reference=True) == 0
    return config.reference_folder / "01_first"


def test_equal_results_end_with_0_and_one_line(clone, config, write_notebook, in_process, capsys):
    notebook = write_notebook("01_first", HEADLINE)
    reference(config, notebook)
    before = tree(clone / "results")
    capsys.readouterr()
    assert run(config, notebook) == 0
    assert capsys.readouterr().out.endswith("\n1 of 1 claims hold, 4 of 4 values agree.\n")
    assert tree(clone / "results") == before


def test_a_value_that_differs_ends_with_3(clone, config, write_notebook, in_process, capsys):
    reference(config, write_notebook("01_first", HEADLINE))
    notebook = write_notebook("01_first", HEADLINE.replace("0.35", "0.36"))
    capsys.readouterr()
    assert run(config, notebook) == 3
    printed = capsys.readouterr().out
    assert printed.endswith("\n1 of 1 claims hold, 2 of 4 values agree.\n")
    assert "01_first/headline: farthest off: macro_f1 in row 2: 0.36 here, 0.35 published" in printed


def test_a_claim_that_differs_ends_with_3(clone, config, write_notebook, in_process, capsys):
    published = reference(config, write_notebook("01_first", HEADLINE))
    claims = published / "claims.csv"
    claims.write_text(claims.read_text().replace(",yes,", ",no,"))
    capsys.readouterr()
    assert run(config, write_notebook("01_first", HEADLINE)) == 3
    printed = capsys.readouterr().out
    assert "01_first: tuned is better: yes here, no published\n" in printed
    assert printed.endswith("\n0 of 1 claims hold, 4 of 4 values agree.\n")


def test_tables_of_other_rows_end_with_3(clone, config, write_notebook, in_process, capsys):
    notebook = write_notebook("01_first", HEADLINE)
    reference(config, notebook)
    assert run(dataclasses.replace(config, seeds=3), notebook) == 3
    assert "6 rows here, 4 published" in capsys.readouterr().out


def test_a_published_table_that_is_not_made_any_more_is_not_taken_for_agreement(
    clone, config, write_notebook, in_process, capsys
):
    published = reference(config, write_notebook("01_first", HEADLINE))
    (published / "extra.csv").write_text("a\n1\n")
    record_path = published / "record.json"
    content = json.loads(record_path.read_text())
    record_path.write_text(json.dumps(content | {"tables": [*content["tables"], "extra"]}))
    assert run(config, write_notebook("01_first", HEADLINE)) == 3


def test_published_claims_that_are_not_made_any_more_are_not_taken_for_agreement(
    clone, config, write_notebook, in_process
):
    reference(config, write_notebook("01_first", HEADLINE))
    without = HEADLINE[: HEADLINE.index("results.claims")]
    assert run(config, write_notebook("01_first", without)) == 3


def test_an_old_file_does_not_survive(config, write_notebook, in_process):
    notebook = write_notebook("01_first", HEADLINE)
    run(config, notebook)
    place = config.folder / "01_first"
    for name in ("old.csv", "old.png", "agreement.json", "old.ipynb"):
        (place / name).write_text("{}")
    run(config, write_notebook("01_first", "1"))
    assert names(place) == ["executed.ipynb"]


# --- replacing them ---


def test_the_reference_is_replaced_notebook_by_notebook(clone, config, write_notebook, in_process, capsys):
    write_notebook("01_first", HEADLINE)
    notebook = write_notebook("02_second", FIGURE)
    folder = config.reference_folder
    (folder / "01_first").mkdir(parents=True)
    (folder / "01_first" / "old.csv").write_text("a\n1\n")
    (folder / "03_third").mkdir()
    (folder / "03_third" / "kept.csv").write_text("a\n1\n")
    assert run(config, notebook, update_reference=True) == 0
    assert f"These are the published results now: {folder}\n" in capsys.readouterr().out
    assert names(folder) == ["01_first", "02_second", "03_third", "ro-crate-metadata.json", "run.json"]
    assert not crate_problems(folder)
    # neither the executed notebook nor how it agreed is published
    assert names(folder / "01_first") == ["claims.csv", "headline.csv", "record.json", "timings.csv"]
    assert names(folder / "02_second") == ["longtail.png", "record.json"]
    assert names(folder / "03_third") == ["kept.csv"]
    assert list(json.loads((folder / "run.json").read_text())["notebooks"]) == ["01_first", "02_second"]


def test_the_bar_counts_seconds_of_the_published_run(clone, config, write_notebook, in_process, monkeypatch):
    write_notebook("01_first", HEADLINE)
    write_notebook("02_second", FIGURE)
    notebook = write_notebook("03_third", "pass")
    config.reference_folder.mkdir(parents=True)
    known = {
        "01_first": {"seconds": 9.0, "cell_seconds": [0.5, 0.5, 2.0, 5.0]},
        "02_second": {"seconds": 8.0},
    }
    content = {"config": {}, "versions": {}, "started": "", "notebooks": known}
    (config.reference_folder / "run.json").write_text(json.dumps(content))
    bars = []

    class Bar(module.tqdm):
        def __init__(self, **options):
            super().__init__(**options | {"disable": False, "file": io.StringIO()})
            self.steps = []
            bars.append(self)

        def update(self, n=1):
            self.steps.append(n)
            return super().update(n)

    monkeypatch.setattr(module, "tqdm", Bar)
    run(config, notebook)
    (bar,) = bars
    # four cells each; those of the third are like the mean of the others
    assert bar.total == pytest.approx(8 + 8 + 4 * 2)
    assert bar.steps == [0.5, 0.5, 2.0, 2.0, 2.0, 2.0]  # in process, two cells of each are executed


def test_only_what_was_run_is_replaced(clone, config, write_notebook, in_process):
    write_notebook("01_first", HEADLINE)
    notebook = write_notebook("02_second", FIGURE)
    run(config, notebook, update_reference=True)
    before = tree(config.reference_folder / "01_first")
    started = json.loads((config.reference_folder / "run.json").read_text())["notebooks"]["01_first"]
    write_notebook("01_first", HEADLINE.replace("0.35", "0.9"))
    run(dataclasses.replace(config, seeds=3), notebook, only=["01"])  # not published
    assert run(config, notebook, update_reference=True, only=["02"]) == 0
    assert tree(config.reference_folder / "01_first") == before
    run_json = json.loads((config.reference_folder / "run.json").read_text())
    assert run_json["notebooks"]["01_first"] == started
    assert list(run_json["notebooks"]) == ["01_first", "02_second"]


@pytest.mark.parametrize(("cell", "status"), [("1 / 0", 1), ("raise KeyboardInterrupt", 130)])
def test_nothing_is_replaced_unless_all_have_run(clone, config, write_notebook, in_process, cell, status):
    reference(config, write_notebook("01_first", HEADLINE))
    before = tree(clone / "results")
    write_notebook("01_first", HEADLINE.replace("0.35", "0.9"))
    notebook = write_notebook("02_second", cell)
    assert run(config, notebook, update_reference=True) == status
    assert tree(clone / "results") == before


def test_without_a_clone_there_is_nothing_to_replace(config, write_notebook, monkeypatch, in_process):
    monkeypatch.setattr(config_module, "repository_root", lambda: None)
    notebook = write_notebook("01_first", "1")
    with pytest.raises(FileNotFoundError, match="not run from its clone"):
        run(config, notebook, update_reference=True)
    assert not config.folder.exists()


# --- the record of the run ---


def test_going_on_with_only_continues_the_record(config, write_notebook, in_process):
    write_notebook("01_first", HEADLINE)
    notebook = write_notebook("02_second", "1 / 0")
    assert run(config, notebook) == 1
    started = record(config)["started"]
    table = (config.folder / "01_first" / "headline.csv").read_bytes()
    write_notebook("02_second", "1 / 1")
    assert run(config, notebook, only=["02"]) == 0
    content = record(config)
    assert content["started"] == started
    assert [entry["status"] for entry in content["notebooks"].values()] == ["done", "done"]
    assert (config.folder / "01_first" / "headline.csv").read_bytes() == table


def test_without_only_the_record_starts_anew(config, write_notebook, in_process):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook)
    (notebook.parent / "02_second.ipynb").unlink()
    run(config, notebook)
    assert list(record(config)["notebooks"]) == ["01_first"]


def test_only_a_package_that_changed_starts_a_new_record(config, write_notebook, in_process):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["01"])
    content = record(config)
    name, _ = content["versions"].popitem()  # as if an earlier version had not needed it
    (config.folder / "run.json").write_text(json.dumps(content))
    run(config, notebook, only=["02"])
    assert list(record(config)["notebooks"]) == ["01_first", "02_second"]
    assert name in record(config)["versions"]
    content["versions"][name] = "another"
    (config.folder / "run.json").write_text(json.dumps(content))
    run(config, notebook, only=["02"])
    assert list(record(config)["notebooks"]) == ["02_second"]


def test_only_another_configuration_starts_a_new_record(config, write_notebook, in_process):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["01"])
    other = RunConfig(dataset="unpublished", random_state=3, out=config.out)
    run(other, notebook, only=["02_second"])
    assert list(record(other)["notebooks"]) == ["02_second"]


def test_notebooks_of_one_record_may_have_other_seeds_and_numbers(
    config, write_notebook, in_process, monkeypatch
):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["01"])
    before = PROFILES["quick"]
    changed = dataclasses.replace(before, text_tokens=before.text_tokens + 1)
    monkeypatch.setitem(PROFILES, "quick", changed)
    run(dataclasses.replace(config, seeds=3), notebook, only=["02_second"])
    found = record(config)["notebooks"]
    assert {name: entry["seeds"] for name, entry in found.items()} == {
        "01_first": [0, 1],
        "02_second": [0, 1, 2],
    }
    tokens = {name: entry["numbers"]["text_tokens"] for name, entry in found.items()}
    assert tokens == {"01_first": before.text_tokens, "02_second": changed.text_tokens}


@pytest.mark.parametrize("content", ["{", "[]", '{"config": {}}', ""])
def test_damaged_record_is_replaced(config, write_notebook, in_process, content):
    notebook = write_notebook("01_first", "1")
    config.folder.mkdir()
    (config.folder / "run.json").write_text(content)
    assert run(config, notebook, only=["01"]) == 0
    assert list(record(config)["notebooks"]) == ["01_first"]


# --- arguments ---


def test_undeclared_parameter_is_an_error_before_anything_runs(config, write_notebook):
    notebook = write_notebook("01_first", "1", parameters='dataste = "pyapi"')
    with pytest.raises(
        ValueError, match=r"01_first\.ipynb has no parameter 'dataset'\. Did you mean 'dataste'\?"
    ):
        run(config, notebook)
    assert not config.folder.exists()


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (["07"], "no notebook '07' among 01_first"),
        (["01_frist"], r"Did you mean '01_first'\?"),
        ([], "at least one"),
    ],
)
def test_only_must_name_notebooks(config, write_notebook, only, message):
    notebook = write_notebook("01_first", "1")
    with pytest.raises(ValueError, match=message):
        run(config, notebook, only=only)


def test_notebooks_run_in_their_own_order(config, write_notebook, in_process, capsys):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["02_second", "01", "02"])
    assert list(record(config)["notebooks"]) == ["01_first", "02_second"]
    assert capsys.readouterr().out.count("done") == 2


# --- several at once ---


def test_notebooks_at_once_overlap_and_come_out_in_order(
    config, write_notebook, in_process, capsys, tmp_path
):
    meet = "import pathlib, time\nseen = pathlib.Path({seen!r})\npathlib.Path({mine!r}).write_text('')\n"
    meet += "while not seen.is_file():\n    time.sleep(0.01)"
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    write_notebook("01_first", meet.format(mine=first, seen=second))
    notebook = write_notebook("02_second", meet.format(mine=second, seen=first))
    assert run(config, notebook, notebooks_at_once=2) == 0
    printed = capsys.readouterr().out
    assert printed.index("01_first  ") < printed.index("02_second  ")
    assert list(record(config)["notebooks"]) == ["01_first", "02_second"]


@pytest.mark.parametrize(
    ("at_once", "order"), [(1, ["01", "05", "06", "07", "08"]), (2, ["01", "06", "08", "05", "07"])]
)
def test_short_notebooks_begin_last(config, write_notebook, monkeypatch, at_once, order, capsys):
    begun = []

    def attempt(notebook, **_):
        begun.append(notebook.stem[:2])
        return "done", None

    monkeypatch.setattr(module, "attempt", attempt)
    monkeypatch.setattr(module, "ThreadPoolExecutor", lambda n: ThreadPoolExecutor(1))  # two would race
    for name in ("01_data", "05_calibration", "06_leakage", "07_your_own_model"):
        write_notebook(name, "1")
    run(config, write_notebook("08_decision_rules", "1"), notebooks_at_once=at_once)
    assert begun == order
    printed = capsys.readouterr().out  # in their own order
    assert printed.index("06_leakage") < printed.index("07_your_own_model") < printed.index("08_decision")


@pytest.mark.parametrize(("at_once", "cores", "share"), [(1, 4, None), (2, 5, "2"), (4, 2, "1")])
def test_each_notebook_has_its_share_of_the_cores(config, write_notebook, monkeypatch, at_once, cores, share):
    seen = []

    def attempt(notebook, **_):
        seen.append((os.environ.get("LOKY_MAX_CPU_COUNT"), os.environ["OMP_NUM_THREADS"]))
        return "done", None

    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what a user has set stays
    monkeypatch.setattr(module, "cpu_count", lambda: cores)
    monkeypatch.setattr(module, "attempt", attempt)
    run(config, write_notebook("01_first", "1"), notebooks_at_once=at_once)
    assert seen == [(share, "3")]
    assert "LOKY_MAX_CPU_COUNT" not in os.environ


def test_after_a_failure_no_other_notebook_begins(config, write_notebook, in_process, capsys, tmp_path):
    begun, failed = str(tmp_path / "begun"), str(tmp_path / "failed")
    tell = "import pathlib, time\npathlib.Path({!r}).write_text('')"
    wait = "import pathlib, time\nwhile not pathlib.Path({!r}).is_file():\n    time.sleep(0.01)"
    write_notebook("01_first", wait.format(begun), tell.format(failed), "1 / 0")
    write_notebook("02_second", tell.format(begun), wait.format(failed), "time.sleep(0.3)")
    notebook = write_notebook("03_third", "1")
    assert run(config, notebook, notebooks_at_once=2) == 1
    found = {name: entry["status"] for name, entry in record(config)["notebooks"].items()}
    assert found == {"01_first": "failed", "02_second": "done"}
    assert "--only 01,03\n" in capsys.readouterr().err


# --- interruptions ---


def test_a_kernel_that_starts_after_the_interruption_is_ended_too(
    config, write_notebook, monkeypatch, capsys
):
    asked, ended, wait = [], [], module.wait

    def interrupted_wait(runs, timeout):
        asked.append(timeout)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return wait(runs, timeout)

    def attempt(notebook, *, interrupted, **_):
        while len(ended) < 2:  # the first time there was no kernel yet
            time.sleep(0.01)
        return ("interrupted" if interrupted.is_set() else "failed"), f"{notebook.name} ended"

    monkeypatch.setattr(module, "wait", interrupted_wait)
    monkeypatch.setattr(module, "attempt", attempt)
    monkeypatch.setattr(module, "end_kernels", lambda: ended.append(None))
    assert run(config, write_notebook("01_first", "1")) == 130
    assert "01_first.ipynb ended" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are sent differently on Windows")
@pytest.mark.parametrize("at_once", [1, 2])
def test_interruption_says_what_is_done_and_ends_the_kernels(config, write_notebook, tmp_path, at_once):
    write_notebook("01_first", "1")
    pid_files = [tmp_path / f"pid{number}" for number in range(at_once)]
    for number, pid_file in enumerate(pid_files, start=2):
        sleeping = f"import os, pathlib, time\npathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))"
        notebook = write_notebook(f"0{number}_next", "print('kept')", f"{sleeping}\ntime.sleep(60)")
    program = (
        "import sys; from adathresh.experiments.reproduce import reproduce; "
        "from adathresh.experiments.core.config import RunConfig; "
        "config = RunConfig(dataset='unpublished', out=sys.argv[1]); "
        "sys.exit(reproduce(config, notebooks_dir=sys.argv[2], notebooks_at_once=int(sys.argv[3])))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, config.out, str(notebook.parent), str(at_once)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell inherits an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not all(path.is_file() and path.read_text() for path in pid_files):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)  # a person interrupts a running cell, not the instant at which it starts
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)  # only against hanging
    assert process.returncode == 130, err
    assert "--only 02\n" in err or "--only 02,03\n" in err
    for number in range(2, 2 + at_once):
        assert f"0{number}_next.ipynb was interrupted in cell In [5]" in err
    assert "Traceback" not in err
    assert "WARNING" not in err
    assert "Kernel died" not in err
    assert "01_first             done" in out
    for number in range(2, 2 + at_once):
        assert "kept" in (config.folder / f"0{number}_next" / "executed.ipynb").read_text()
        assert record(config)["notebooks"][f"0{number}_next"]["status"] == "interrupted"
    assert not any(_is_running(int(path.read_text())) for path in pid_files)


def _is_running(pid):
    """Whether a process still runs (a zombie does not)."""
    for _ in range(50):
        status = Path(f"/proc/{pid}/stat")
        try:
            os.kill(pid, 0)
            if status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.1)
    return True
