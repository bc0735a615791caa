import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import papermill
import pytest
from helpers import replaced

from adathresh.experiments import runner
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.experiments.runner import find_notebooks, reproduce, run_notebook

HEADLINE = """\
from adathresh.experiments.core.tables import compare_table, save_figure, table_row, write_table, write_timings
from types import SimpleNamespace
data = SimpleNamespace(fingerprint="0123456789abcdef0123")
names = dict(method="fixed cut", base="linear", rule="0.5", mode="inductive")
metrics = [{"macro_f1": 0.25}, {"macro_f1": 0.35}]
rows = [table_row(config, data, **names, seed=s, metrics=metrics[s]) for s in config.seed_list]
compare_table(config, "headline", rows)
write_table(config, "headline", rows)
write_timings(config, "01_first", [{"step": "fit", "seconds": 1.0}])
"""
FIGURE = """\
import matplotlib.pyplot as plt
from adathresh.experiments.core.tables import save_figure
figure, axes = plt.subplots()
save_figure(config, "longtail", figure)
"""


@pytest.fixture
def config(tmp_path):
    return RunConfig(dataset="unpublished", seeds=2, out=str(tmp_path / "out"))


def run(config, notebook, **kwargs):
    return reproduce(config, notebooks_dir=notebook.parent, progress=False, **kwargs)


def record(config):
    return json.loads((config.folder / "run.json").read_text())


def test_everything_is_written_and_summarised(config, write_notebook, capsys):
    write_notebook("01_first", HEADLINE)
    notebook = write_notebook("02_second", FIGURE)
    assert run(config, notebook) == 0

    printed = capsys.readouterr().out
    assert "01_first             done" in printed
    assert "headline.csv, timings.csv\n" in printed
    assert "figures/longtail.png\n" in printed
    assert "\nno reference table yet: results/unpublished/headline.csv\n" in printed
    assert "fixed cut" in printed
    assert "0.300 ± 0.071" in printed

    content = record(config)
    assert content["fingerprint"] == "0123456789abcdef"
    for entry in content["notebooks"].values():
        own = {name: entry[name] for name in ("seeds", "numbers")}
        assert {**content["config"], **own} == config.to_dict()
    assert content["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {name: entry["status"] for name, entry in content["notebooks"].items()} == {
        "01_first": "done",
        "02_second": "done",
    }
    assert all(entry["seconds"] > 0 for entry in content["notebooks"].values())
    assert content["started"] <= content["finished"]
    assert sorted(p.name for p in (config.folder / "executed").iterdir()) == [
        "01_first.ipynb",
        "02_second.ipynb",
    ]
    assert not list(config.folder.glob(".*"))

    tables = (config.folder / "headline.csv").read_bytes()
    assert run(config, notebook) == 0
    assert (config.folder / "headline.csv").read_bytes() == tables


def test_failure_names_notebook_cell_and_reason_and_keeps_the_rest(config, write_notebook, capsys):
    write_notebook("01_first", "print('fine')")
    write_notebook(
        "02_second", "print('kept')", "raise ValueError('first line\\nthe labels are missing')", "never = 1"
    )
    notebook = write_notebook("03_third", "print('not reached')")
    assert run(config, notebook) == 1

    captured = capsys.readouterr()
    # 1 parameters, 2 injected parameters, 3 configuration, 4 print, 5 raise
    assert "02_second.ipynb failed in cell In [5]: the labels are missing\n" in captured.err
    assert "--only 02,03\n" in captured.err
    executed = config.folder / "executed"
    assert str(executed / "02_second.ipynb") in captured.err
    assert "kept" in (executed / "02_second.ipynb").read_text()
    assert not (executed / "03_third.ipynb").exists()
    assert {name: entry["status"] for name, entry in record(config)["notebooks"].items()} == {
        "01_first": "done",
        "02_second": "failed",
    }


def test_going_on_with_only_continues_the_record(config, write_notebook):
    write_notebook("01_first", HEADLINE)
    notebook = write_notebook("02_second", "1 / 0")
    assert run(config, notebook) == 1
    started = record(config)["started"]
    write_notebook("02_second", "1 / 1")
    assert run(config, notebook, only=["02"]) == 0
    content = record(config)
    assert content["started"] == started
    assert [entry["status"] for entry in content["notebooks"].values()] == ["done", "done"]
    assert content["fingerprint"] == "0123456789abcdef"


def test_only_a_package_that_changed_starts_a_new_record(config, write_notebook):
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


def test_only_another_configuration_starts_a_new_record(config, write_notebook):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["01"])
    other = RunConfig(dataset="unpublished", random_state=3, out=config.out)
    run(other, notebook, only=["02_second"])
    assert list(record(other)["notebooks"]) == ["02_second"]


def test_notebooks_of_one_record_may_have_other_seeds(config, write_notebook):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["01"])
    other = RunConfig(dataset="unpublished", seeds=3, out=config.out)
    run(other, notebook, only=["02_second"])
    seeds = {name: entry["seeds"] for name, entry in record(other)["notebooks"].items()}
    assert seeds == {"01_first": [0, 1], "02_second": [0, 1, 2]}


def test_notebooks_of_one_record_may_have_other_numbers(config, write_notebook, monkeypatch):
    notebook = write_notebook("01_first", "1")
    write_notebook("02_second", "1")
    run(config, notebook, only=["01"])
    before = PROFILES["quick"]
    monkeypatch.setitem(PROFILES, "quick", replaced(before, text_tokens=before.text_tokens + 1))
    run(config, notebook, only=["02"])
    tokens = {name: entry["numbers"]["text_tokens"] for name, entry in record(config)["notebooks"].items()}
    assert tokens == {"01_first": before.text_tokens, "02_second": before.text_tokens + 1}


def test_damaged_record_is_replaced(config, write_notebook):
    notebook = write_notebook("01_first", "1")
    config.folder.mkdir()
    (config.folder / "run.json").write_text("{")
    assert run(config, notebook, only=["01"]) == 0
    assert list(record(config)["notebooks"]) == ["01_first"]


def test_tables_from_different_data_are_reported(config, write_notebook, capsys):
    write_notebook("01_first", HEADLINE)
    other = HEADLINE.replace("0123456789abcdef0123", "another").replace('"headline"', '"other"')
    notebook = write_notebook("02_second", other)
    run(config, notebook)
    assert "tables come from different data (0123456789abcdef, another)" in capsys.readouterr().err
    assert record(config)["fingerprint"] == "0123456789abcdef another"


def test_dead_kernel_is_a_failure_that_names_the_cell(config, write_notebook, capsys):
    notebook = write_notebook("01_first", "print('fine')", "import os; os._exit(9)")
    assert run(config, notebook) == 1
    assert "01_first.ipynb failed in cell In [5]: Python was ended" in capsys.readouterr().err


def test_undeclared_parameter_is_an_error_before_anything_runs(config, write_notebook):
    notebook = write_notebook("01_first", "1", parameters='dataste = "pyapi"')
    with pytest.raises(
        ValueError, match=r"01_first\.ipynb has no parameter 'dataset'; did you mean 'dataste'\?"
    ):
        run(config, notebook)
    assert not config.folder.exists()


def test_misspelt_parameter_of_one_notebook(tmp_path, write_notebook):
    notebook = write_notebook("01_first", "1")
    with pytest.raises(ValueError, match=r"no parameter 'random_sate'; did you mean 'random_state'\?"):
        run_notebook(notebook, output=tmp_path / "x.ipynb", parameters={"random_sate": 1})
    assert not (tmp_path / "x.ipynb").exists()


@pytest.mark.parametrize(
    ("only", "message"),
    [(["07"], "no notebook '07'"), (["01_frist"], "did you mean '01_first'"), ([], "at least one")],
)
def test_only_must_name_notebooks(config, write_notebook, only, message):
    notebook = write_notebook("01_first", "1")
    with pytest.raises(ValueError, match=message):
        run(config, notebook, only=only)


def test_find_notebooks_in_order_and_nothing_else(tmp_path):
    for name in ("02_b.ipynb", "01_a.ipynb", "draft.ipynb", "03_c.txt"):
        (tmp_path / name).write_text("{}")
    assert [p.name for p in find_notebooks(tmp_path)] == ["01_a.ipynb", "02_b.ipynb"]


def test_no_notebooks(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=f"no numbered notebooks .* in {tmp_path}"):
        find_notebooks(tmp_path)
    # Installed without a clone, the copy inside the package counts.
    monkeypatch.setattr(runner, "repository_root", lambda: None)
    monkeypatch.setattr(runner, "__file__", str(tmp_path / "adathresh" / "experiments" / "runner.py"))
    with pytest.raises(FileNotFoundError, match=r"adathresh/notebooks\."):
        find_notebooks()


def test_the_kernel_is_the_running_interpreter_whatever_kernels_the_user_has(
    tmp_path, write_notebook, monkeypatch
):
    kernel = tmp_path / "user" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "user"))
    notebook = write_notebook("01_first", "import sys; print(sys.executable)")
    with pytest.raises(RuntimeError, match="Kernel died"):  # what papermill alone would start
        papermill.execute_notebook(notebook, None, kernel_name="python3", progress_bar=False)
    run_notebook(notebook, output=tmp_path / "out.ipynb", parameters={})
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert cells[-1].outputs[0].text.strip() == sys.executable


def test_relative_folders_are_those_of_the_caller(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = write_notebook("01_first", "print(config.data_dir, config.folder, config.save)")
    config = RunConfig(data_dir="data", out="out")
    assert run(config, notebook) == 0
    cells = nbformat.read(tmp_path / "out" / "executed" / "01_first.ipynb", as_version=4).cells
    assert cells[-1].outputs[0].text.split() == [str(tmp_path / "data"), str(tmp_path / "out"), "True"]


@pytest.mark.skipif(os.name == "nt", reason="signals are sent differently on Windows")
def test_interruption_says_what_is_done_and_ends_the_kernel(config, write_notebook, tmp_path):
    write_notebook("01_first", "1")
    pid_file = tmp_path / "pid"
    sleeping = f"import os, pathlib, time\npathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))"
    notebook = write_notebook("02_second", "print('kept')", f"{sleeping}\ntime.sleep(60)")
    program = (
        "import sys; from adathresh.experiments.runner import reproduce; "
        "from adathresh.experiments.core.config import RunConfig; "
        "config = RunConfig(dataset='unpublished', out=sys.argv[1]); "
        "sys.exit(reproduce(config, notebooks_dir=sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, config.out, str(notebook.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell inherits an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (pid_file.is_file() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)  # a person interrupts a running cell, not the instant at which it starts
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)  # only against hanging
    assert process.returncode == 130, err
    assert "02_second.ipynb was interrupted in cell In [5]" in err
    assert "--only 02\n" in err
    assert "Traceback" not in err
    assert "WARNING" not in err
    assert "01_first             done" in out
    assert "kept" in (config.folder / "executed" / "02_second.ipynb").read_text()
    assert record(config)["notebooks"]["02_second"]["status"] == "interrupted"
    assert not _is_running(int(pid_file.read_text()))


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
