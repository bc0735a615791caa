"""What the tests and the notebooks under nbval share: each notebook has its share of the cores."""

import os

import pytest

# Before torch is loaded here or in a notebook's kernel: threads that spin while they wait for each other are
# thirty times slower when two notebooks run at once.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Nobody looks on: no bars of progress in what notebooks print, which is compared.
os.environ.setdefault("TQDM_DISABLE", "1")


def pytest_collection_modifyitems(items):
    """Leave the notebooks out of the quick loop."""
    for item in filter(of_notebook, items):
        item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Give the notebooks that several pytest workers run at once each its share of the cores."""
    if not of_notebook(item):
        return (yield)
    from adathresh.experiments.reproduce import share_of_cores  # takes a second; most runs have no notebooks

    with share_of_cores(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))):
        return (yield)


def of_notebook(item):
    """Tell whether a test is a cell of a notebook."""
    return type(item).__name__ == "IPyNbCell"
