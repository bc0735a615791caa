"""One notebook in the running interpreter: parameters, cells, failures."""

import errno
import json
import os
import sys
from pathlib import Path
from threading import Event

import nbformat
import papermill
import pytest

from adathresh.experiments.core import execution
from adathresh.experiments.core.execution import (
    attempt,
    count_cells,
    find_notebooks,
    run_notebook,
    watched_memory,
)


def ignore(**_):
    """Take no notice of a cell that was executed."""


def test_find_notebooks_in_order_and_nothing_else(tmp_path):
    for name in ("02_b.ipynb", "01_a.ipynb", "draft.ipynb", "03_c.txt"):
        (tmp_path / name).write_text("{}")
    assert [p.name for p in find_notebooks(tmp_path)] == ["01_a.ipynb", "02_b.ipynb"]


def test_the_clones_notebooks_are_found_without_being_named():
    found = find_notebooks()
    assert [path.name[:2] for path in found] == [f"{i:02}" for i in range(1, len(found) + 1)]
    assert all(path.is_absolute() for path in found)


def test_no_notebooks(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=f"no numbered notebooks .* in {tmp_path}"):
        find_notebooks(tmp_path)
    # Installed without a clone, the copy inside the package counts.
    monkeypatch.setattr(execution, "repository_root", lambda: None)
    module = tmp_path / "adathresh" / "experiments" / "core" / "execution.py"
    monkeypatch.setattr(execution, "__file__", str(module))
    with pytest.raises(FileNotFoundError, match=r"adathresh/notebooks\."):
        find_notebooks()


def test_a_misspelt_parameter_is_an_error_before_anything_runs(tmp_path, write_notebook):
    notebook = write_notebook("01_first", "1")
    for run in (
        count_cells,
        lambda *args: run_notebook(args[0], output=tmp_path / "x.ipynb", parameters=args[1]),
    ):
        with pytest.raises(
            ValueError,
            match=r"01_first\.ipynb has no parameter 'random_sate'\. Did you mean 'random_state'\?",
        ):
            run(notebook, {"random_sate": 1})
    assert not (tmp_path / "x.ipynb").exists()


@pytest.mark.slow
def test_cells_are_counted_with_the_injected_one(tmp_path, write_notebook):
    notebook = write_notebook("01_first", "1", "2", "  \n")
    executed = []
    run_notebook(
        notebook,
        output=tmp_path / "x.ipynb",
        parameters={"seeds": 2},
        on_cell=lambda **hook: executed.append(hook["cell_index"]),
    )
    assert (
        count_cells(notebook, {"seeds": 2}) == len(executed) == 5
    )  # parameters, injected, configuration, 1, 2


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "status", "reason"),
    [
        ("1 + 1", "done", None),
        (
            "raise ValueError('first line\\nthe labels are missing')",
            "failed",
            "01_first.ipynb failed in cell In [5]: the labels are missing",
        ),
        (
            "import os; os._exit(9)",
            "failed",
            "01_first.ipynb failed in cell In [5]: Python was ended; out of memory?",
        ),
    ],
)
def test_an_attempt_says_how_it_ended(tmp_path, write_notebook, cell, status, reason):
    notebook = write_notebook("01_first", "print('kept')", cell, "print('after')")
    output = Path(tmp_path / "new folder" / "x.ipynb")
    found = attempt(notebook, output=output, parameters={"seeds": 2}, on_cell=ignore, interrupted=Event())
    assert found == (status, reason)
    assert "kept" in output.read_text()
    assert ("after\\n" in output.read_text()) == (status == "done")


@pytest.mark.slow
def test_what_a_kernel_says_beside_its_cells_is_not_heard(tmp_path, write_notebook, capfd):
    said = "import os, sys\nprint('to the notebook', file=sys.stderr)\n"
    said += "os.write(sys.__stderr__.fileno(), b'noise')"
    output = tmp_path / "x.ipynb"
    run_notebook(write_notebook("01_first", said), output=output, parameters={})
    assert "to the notebook" in output.read_text()
    assert "noise" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_kernel_that_ends_after_an_interruption_is_no_failure(tmp_path, write_notebook):
    notebook, interrupted = write_notebook("01_first", "import os; os._exit(9)"), Event()
    interrupted.set()
    options = {"parameters": {"seeds": 2}, "on_cell": ignore, "interrupted": interrupted}
    found = attempt(notebook, output=tmp_path / "x.ipynb", **options)
    assert found == ("interrupted", "01_first.ipynb was interrupted in cell In [4]")


@pytest.mark.slow
def test_a_full_disk_leaves_the_notebook_as_it_was_after_the_last_cell(tmp_path, write_notebook, monkeypatch):
    notebook = write_notebook("01_first", "print('kept')", "print('x' * 100_000)", "print('after')")
    output, write_text = tmp_path / "out" / "x.ipynb", Path.write_text

    def full(path, text, **options):
        if len(text) < 60_000:
            return write_text(path, text, **options)
        write_text(path, text[:57_000], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    options = {"parameters": {"seeds": 2}, "on_cell": ignore, "interrupted": Event()}
    status, reason = attempt(notebook, output=output, **options)
    assert status == "failed"
    assert reason.startswith("01_first.ipynb could not be written in cell In [")
    assert reason.endswith(f"No space left on device: '{output}'")
    left = nbformat.read(output, as_version=4)  # whole
    assert left.cells[3].outputs[0].text == "kept\n"
    assert "after" not in str([cell.get("outputs") for cell in left.cells])
    assert os.listdir(output.parent) == ["x.ipynb"]


@pytest.mark.slow
def test_no_reader_ever_sees_half_a_notebook(tmp_path, write_notebook, monkeypatch):
    written, replace = [], os.replace

    def recording(source, target):
        if str(target).endswith("x.ipynb"):
            written.append(nbformat.read(source, as_version=4))
        replace(source, target)

    monkeypatch.setattr(os, "replace", recording)
    run_notebook(write_notebook("01_first", "1", "2"), output=tmp_path / "x.ipynb", parameters={})
    assert len(written) >= 4  # after every cell
    assert nbformat.read(tmp_path / "x.ipynb", as_version=4) == written[-1]


@pytest.mark.slow
def test_memory_is_that_of_the_kernel_and_what_it_starts(tmp_path, write_notebook):
    here = "held = b'x' * 200_000_000"
    child = "import subprocess, sys; command = 'import time; held = b\"x\" * 200_000_000; time.sleep(1.5)'"
    notebook = write_notebook("01_first", here, child + "; subprocess.run([sys.executable, '-c', command])")
    with watched_memory(seconds=0.2) as peak_memory:
        run_notebook(notebook, output=tmp_path / "x.ipynb", parameters={})
    assert 400 < peak_memory() < 2_000


def test_without_a_kernel_no_memory_is_found():
    with watched_memory(seconds=0.01) as peak_memory:
        pass
    assert peak_memory() == 0
