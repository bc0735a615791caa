"""Progress bars in a notebook without widgets: they are of text, and no warning tells so."""

import os
import subprocess
import sys

import pytest

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


@pytest.mark.slow
def test_the_warnings_of_the_caller_are_left_alone():
    code = "import adathresh.classifier\n"
    run(code + "assert not [f for f in warnings.filters if f[1] and 'IProgress' in f[1].pattern]")
