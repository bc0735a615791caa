"""Progress bars in a notebook without widgets: they are of text, and no warning tells so."""

import os
import subprocess
import sys

import pytest

from adathresh.utils.progress import tqdm

# What tqdm takes for a notebook's kernel, and one without ipywidgets.
KERNEL = """
import sys, types, warnings
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
sys.modules["IPython"] = types.ModuleType("IPython")
sys.modules["IPython"].get_ipython = lambda: None
sys.modules["ipywidgets"] = None
"""


def run(code):
    shown = {**os.environ, "TQDM_DISABLE": ""}  # the tests themselves show none
    return subprocess.run(
        [sys.executable, "-c", KERNEL + code], capture_output=True, text=True, cwd="/", check=True, env=shown
    )


def test_without_widgets_bars_are_of_text_and_nothing_is_said():
    assert "IProgress not found" in run("import tqdm.auto").stderr
    done = run("from adathresh.utils.progress import tqdm\nfor _ in tqdm(range(3), desc='rows'): pass")
    assert "rows: 100%" in done.stderr
    assert "IProgress" not in done.stderr


@pytest.mark.parametrize("hidden", [True, False])
def test_a_bar_that_is_asked_for_is_hidden_by_the_environment(hidden, monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "1" if hidden else "")
    assert list(tqdm(range(3), disable=False)) == [0, 1, 2]
    assert ("3/3" not in capsys.readouterr().err) == hidden
    list(tqdm(range(3), disable=True))
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_warnings_of_the_caller_are_left_alone():
    code = "import adathresh.classifier\n"
    run(code + "assert not [f for f in warnings.filters if f[1] and 'IProgress' in f[1].pattern]")
