import os
import subprocess
import sys
from pathlib import Path

import pytest

import adathresh
from adathresh import __main__ as cli
from adathresh.datasets import registry
from adathresh.experiments import reproduce as runner
from adathresh.experiments import verify as verifier
from adathresh.experiments.core.config import RunConfig

HEAVY = ("papermill", "matplotlib", "pandas", "IPython", "sklearn", "torch", "scipy")


@pytest.fixture
def calls(monkeypatch):
    """Record what the command line hands to the runner."""
    made = []
    monkeypatch.setattr(registry, "locate", lambda *_: None)
    monkeypatch.setattr(runner, "reproduce", lambda config, **options: made.append((config, options)) or 0)
    return made


def test_reproduce_defaults(calls):
    assert cli.main(["reproduce"]) == 0
    assert calls == [(RunConfig(), {"only": None, "update_reference": False, "notebooks_at_once": 2})]


def test_reproduce_options(calls):
    arguments = (
        "--dataset scene --data-dir data --profile full --seeds 5 --only 02,04 --out x --update-reference "
        "--at-once 1"
    )
    assert cli.main(["reproduce", *arguments.split()]) == 0
    expected = RunConfig(dataset="scene", data_dir="data", profile="full", seeds=5, out="x")
    options = {"only": ["02", "04"], "update_reference": True, "notebooks_at_once": 1}
    assert calls == [(expected, options)]


@pytest.mark.parametrize("status", [0, 1, 3, 130])
def test_the_runners_exit_status_is_the_commands(monkeypatch, status):
    monkeypatch.setattr(registry, "locate", lambda *_: None)
    monkeypatch.setattr(runner, "reproduce", lambda config, **_: status)
    assert cli.main(["reproduce"]) == status


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize(("arguments", "folder"), [([], None), (["--results", "there"], Path("there"))])
def test_verify(monkeypatch, arguments, folder, status):
    asked = []
    monkeypatch.setattr(verifier, "verify", lambda results=None: asked.append(results) or status)
    assert cli.main(["verify", *arguments]) == status
    assert asked == [folder]


def test_verify_without_results(tmp_path, capsys):
    assert cli.main(["verify", "--results", str(tmp_path)]) == 2
    assert f"adathresh: error: {tmp_path} holds no results" in capsys.readouterr().err


def test_a_misspelt_data_set_is_answered_by_what_was_meant(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(runner, "reproduce", lambda *_, **__: pytest.fail("a notebook was run"))
    assert cli.main(["reproduce", "--dataset", "pyapii", "--data-dir", str(tmp_path)]) == 2
    assert "Did you mean 'pyapi'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--datset", "scene"], "unrecognized arguments: --datset"),
        (["--data", "scene"], "unrecognized arguments: --data"),  # no abbreviations: two options begin so
        (["--profile", "fast"], "invalid choice: 'fast'"),
        (["--profile", "quik"], "Did you mean 'quick'?"),
        (["--seeds", "many"], "invalid int value: 'many'"),
        (["--update"], "unrecognized arguments: --update"),
    ],
)
def test_misspelt_options(calls, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        cli.main(["reproduce", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not calls


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["reprodce"], "reproduce"),
        (["bench"], "benchmark"),
        (["data", "lst"], "list"),
        (["benchmark", "--size", "eurlex"], "eurlex57k"),
    ],
)
def test_misspelt_commands_and_choices_are_answered_by_what_was_meant(capsys, arguments, meant):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at-once", "0"], "--at-once must be at least 1; got 0"),
        (["--seeds", "0"], "--seeds must be a whole number from 1 to 10,000; got 0"),
        (["--seeds", "1" + 30 * "0"], "--seeds must be a whole number from 1 to 10,000; got 1000"),
        (["--out", "a{b}"], "--out must not hold braces, which notebooks are not written to; got 'a{b}'"),
        (["--dataset", "a/b"], "dataset must be the name"),
    ],
)
def test_unusable_values(calls, capsys, arguments, message):
    assert cli.main(["reproduce", *arguments]) == 2
    assert f"adathresh: error: {message}" in capsys.readouterr().err
    assert not calls


def test_unknown_notebook(monkeypatch, tmp_path, capsys):
    notebook = tmp_path / "01_data.ipynb"
    notebook.write_text("{}")
    monkeypatch.setattr(registry, "locate", lambda *_: None)
    monkeypatch.setattr(runner, "find_notebooks", lambda _: [notebook])
    assert cli.main(["reproduce", "--only", "99"]) == 2
    assert "no notebook '99' among 01_data." in capsys.readouterr().err


def test_misspelt_notebook(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(registry, "locate", lambda *_: None)
    monkeypatch.setattr(runner, "find_notebooks", lambda _: [tmp_path / "01_data.ipynb"])
    assert cli.main(["reproduce", "--only", "01_dat"]) == 2
    assert "Did you mean '01_data'?" in capsys.readouterr().err


def test_missing_data_end_the_run_before_the_first_notebook(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(runner, "reproduce", lambda *_, **__: pytest.fail("a notebook was run"))
    assert cli.main(["reproduce", "--dataset", "scenes", "--data-dir", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("adathresh: error: ")
    assert "scenes" in message


def test_data_commands_are_reached(tmp_path, capsys):
    assert cli.main(["data", "list", "--data-dir", str(tmp_path)]) == 0
    assert "pyapi" in capsys.readouterr().out


def test_missing_extra_names_the_installation(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "adathresh.experiments.reproduce")
    monkeypatch.delattr("adathresh.experiments.reproduce")
    monkeypatch.delitem(sys.modules, "adathresh.experiments.core.execution", raising=False)
    monkeypatch.setitem(sys.modules, "papermill", None)
    assert cli.main(["reproduce"]) == 2
    assert "pip install 'adathresh[notebooks]'" in capsys.readouterr().err


def test_missing_extra_of_verify_names_the_installation(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "adathresh.experiments.verify")
    monkeypatch.delattr("adathresh.experiments.verify")
    monkeypatch.setitem(sys.modules, "adathresh.experiments.core.results", None)
    assert cli.main(["verify"]) == 2
    assert "pip install 'adathresh[notebooks]'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = [sys.executable, "-m", "adathresh", "data", "list", "--data-dir", str(tmp_path)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"adathresh {adathresh.__version__}\n"


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2


def test_help_imports_nothing_that_only_notebooks_need():
    program = (
        "import sys; from adathresh.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    # In the folder of the package under test, as the interpreter's own path may hold another one.
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(adathresh.__file__).parents[1],
    )
    assert "reproduce" in done.stdout
    assert "verify" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
