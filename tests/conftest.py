"""What all tests share: no display, one thread, and property-based tests that behave alike everywhere."""

import os

import matplotlib
import nbformat
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

# Not by the environment: the notebooks' own processes would inherit it and show no figures.
matplotlib.use("Agg")

# The same examples on every run, and no time limit per example: shared machines are slow at random.
settings.register_profile("adathresh", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("adathresh")


def pytest_configure(config):
    """Leave xCOLUMNs' functions uncompiled in the quick loop: compiling takes 15 seconds, for a few rows.

    The whole suite runs them compiled.
    """
    if config.option.markexpr == "not slow":
        os.environ["NUMBA_DISABLE_JIT"] = "1"


def pytest_collection_finish():
    """Let every library use one thread: on data of a few rows, threads mostly wait for each other.

    By now the test modules have loaded the libraries. The processes of notebooks do not inherit this.
    """
    threadpool_limits(1)


@pytest.fixture
def bars(monkeypatch):
    """Let bars of progress be seen, which the tests show none of otherwise."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


PARAMETERS = """\
dataset = "pyapi"
data_dir = None
profile = "quick"
seeds = None
random_state = 0
out = None
save = False
"""
CONFIG = """\
from adathresh.experiments.core.config import RunConfig
folders = dict(data_dir=data_dir, out=out, save=save)
config = RunConfig(dataset=dataset, profile=profile, seeds=seeds, random_state=random_state, **folders)
"""


@pytest.fixture
def write_notebook(tmp_path):
    """Write a notebook with the usual parameters cell into a folder of its own and return its path."""

    def write(name, *cells, parameters=PARAMETERS):
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in (parameters, CONFIG, *cells)]
        notebook.cells[0].metadata["tags"] = ["parameters"]
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "language": "python",
            "display_name": "Python 3",
        }
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return write
