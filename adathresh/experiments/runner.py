"""Run the numbered notebooks in order, with one configuration, into one results folder."""

import dataclasses
import itertools
import json
import logging
import os
import platform
import re
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import ipykernel.kernelspec
import pandas as pd
import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from adathresh.experiments.core.config import nearest_name, repository_root
from adathresh.experiments.core.tables import summarise
from adathresh.utils.files import whole_file

MAIN_FIGURES = ("macro_f1", "macro_f1_present", "micro_f1", "precision_at_1")


def reproduce(config, *, only=None, notebooks_dir=None, progress=True):
    """Run the notebooks in order and write their tables, figures and ``run.json``.

    Parameters
    ----------
    config : RunConfig
        The run; its results go to ``config.folder``, the executed notebooks to ``executed/`` inside it.
    only : sequence of str, optional
        Run only these notebooks, named by number (``"02"``) or by name (``"02_baselines"``).
    notebooks_dir : str or path-like, optional
        Folder of the notebooks; None for those that belong to this package.
    progress : bool, default=True
        Whether to show the progress over all cells.

    Returns
    -------
    int
        The exit status: 0 when every notebook ran, 1 when a cell failed (its notebook is kept as far as it
        came), 130 after an interruption from the keyboard.

    Raises
    ------
    FileNotFoundError
        If there are no notebooks.
    ValueError
        If ``only`` names a notebook that is not there, or a notebook lacks a parameter of the configuration.
    """
    notebooks = _choose(find_notebooks(notebooks_dir), only)
    folder = config.folder
    data_dir = None if config.data_dir is None else str(Path(config.data_dir).expanduser().absolute())
    # Notebooks run in their own folder, so every path they get must be absolute.
    parameters = dataclasses.replace(config, data_dir=data_dir, out=str(folder), save=True).to_parameters()
    n_cells = sum(_count_cells(notebook, parameters) for notebook in notebooks)
    print(f"{len(notebooks)} notebook(s), data set {config.dataset}, profile {config.profile}, into {folder}")

    record = _RunRecord(config, folder, continues=only is not None)
    finished, failure = [], None
    with tqdm(total=n_cells, unit="cell", smoothing=0, disable=not progress) as bar, _ticking(bar):
        for notebook in notebooks:
            bar.set_description(notebook.stem)
            before, start = _files(folder), time.perf_counter()
            status, failure = _attempt(notebook, folder, parameters, on_cell=lambda **_: bar.update())
            seconds, written = time.perf_counter() - start, _written(before, _files(folder))
            record.add(notebook.stem, status, seconds, written)
            finished.append((notebook, status, seconds, written))
            if failure:
                break
    print(_summary(finished, folder))
    if not failure:
        return 0
    left = ",".join(notebook.stem[:2] for notebook in notebooks[len(finished) - 1 :])
    print(
        f"{failure}\nAs far as it came: {folder / 'executed' / notebook.name}\n"
        f"What was done before is kept; go on with the same command and --only {left}",
        file=sys.stderr,
    )
    return 130 if status == "interrupted" else 1


def run_notebook(notebook, *, output, parameters, on_cell=None):
    """Execute one notebook with this very interpreter.

    Parameters
    ----------
    notebook : pathlib.Path
        The notebook.
    output : pathlib.Path
        Where the executed notebook goes; it is kept up to the failing cell.
    parameters : dict
        Values for its ``parameters`` cell.
    on_cell : callable, optional
        Called after every executed cell (with keyword arguments of nbclient).

    Raises
    ------
    ValueError
        If the notebook does not declare one of the parameters (papermill itself would only warn).
    papermill.exceptions.PapermillExecutionError
        If a cell fails.
    """
    _check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    # Kernels inherit both: no debugger warning at every start, and threads that sleep while they wait for
    # each other (spinning made training ten times slower on two cores of which one was busy elsewhere).
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    papermill.execute_notebook(
        str(notebook),
        str(output),
        parameters=parameters,
        kernel_name="python3",
        progress_bar=False,
        cwd=str(notebook.parent),
        kernel_manager_class=_ThisInterpreter,
        **({"on_cell_executed": on_cell} if on_cell else {}),
    )


def find_notebooks(notebooks_dir=None):
    """List the numbered notebooks in order.

    Parameters
    ----------
    notebooks_dir : str or path-like, optional
        Their folder; None for the clone's ``notebooks/``, else the copy inside the installed package.

    Returns
    -------
    list of pathlib.Path
        The files ``NN_name.ipynb``, absolute, ordered by number.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    """
    if notebooks_dir is None:
        root = repository_root()
        folder = root / "notebooks" if root else Path(__file__).resolve().parents[1] / "notebooks"
    else:
        folder = Path(notebooks_dir).absolute()
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise FileNotFoundError(
            f"no numbered notebooks (NN_name.ipynb) in {folder}. "
            "Run from a clone of the repository, or reinstall adathresh from a wheel."
        )
    return notebooks


class _ThisKernelSpec(KernelSpecManager):
    """Answers every name with a kernel of the running interpreter, whatever the user's kernels are called."""

    def get_kernel_spec(self, kernel_name):
        """Return ipykernel's own specification, which starts ``sys.executable``."""
        # The kernel's own log is noise beside the progress; errors of cells do not go there.
        spec = ipykernel.kernelspec.get_kernel_dict(extra_arguments=["--log-level=CRITICAL"])
        return self.kernel_spec_class(resource_dir=ipykernel.kernelspec.RESOURCES, **spec)


class _ThisInterpreter(AsyncKernelManager):
    """Starts kernels in the environment that runs the notebooks."""

    def __init__(self, **kwargs):
        super().__init__(kernel_spec_manager=_ThisKernelSpec(), **kwargs)


class _RunRecord:
    """Keeps ``run.json`` up to date: after every notebook it says what has been done, and with what."""

    def __init__(self, config, folder, *, continues):
        self.path = folder / "run.json"
        described = config.to_dict()
        # notebooks of one folder may differ in these
        self.own = {name: described.pop(name) for name in ("seeds", "numbers")}
        self.content = {
            "config": described,
            "versions": _versions(),
            "fingerprint": None,
            "started": _now(),
            "finished": None,
            "notebooks": {},
        }
        earlier = self._earlier() if continues else {}
        if earlier and all(_agree(earlier[key], self.content[key]) for key in ("config", "versions")):
            self.content |= {key: earlier[key] for key in ("fingerprint", "started", "notebooks")}

    def _earlier(self):
        """Return the content of the file, or nothing when there is none that can be read."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return content if content.keys() >= self.content.keys() else {}
        except (OSError, ValueError, AttributeError):
            return {}

    def add(self, name, status, seconds, written):
        """Note one notebook's end and write the file."""
        found = _fingerprints(written) | {self.content["fingerprint"]} - {None}
        if len(found) > 1:
            names = ", ".join(sorted(found))
            tqdm.write(
                f"warning: tables come from different data ({names}); run all notebooks again.", sys.stderr
            )
        self.content["fingerprint"] = " ".join(sorted(found)) or None
        self.content["finished"] = _now()
        self.content["notebooks"][name] = {"status": status, "seconds": round(seconds, 1), **self.own}
        self.content["notebooks"] = dict(sorted(self.content["notebooks"].items()))
        with whole_file(self.path) as temporary:
            temporary.write_text(json.dumps(self.content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _ticking(bar, *, seconds=5):
    """Refresh a bar's clock on a terminal while a long cell runs."""
    stop = threading.Event()

    def tick():
        while not stop.wait(seconds):
            bar.refresh()

    if sys.stderr.isatty() and not bar.disable:
        threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _attempt(notebook, folder, parameters, *, on_cell):
    """Run one notebook; return its status and, unless it is done, one line that says what went wrong."""
    n_executed = itertools.count(1)

    def count(**hook):
        next(n_executed)
        on_cell(**hook)

    try:
        run_notebook(
            notebook, output=folder / "executed" / notebook.name, parameters=parameters, on_cell=count
        )
    except PapermillExecutionError as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}").strip().splitlines()[-1]
        return "failed", f"{notebook.name} failed in cell In [{error.exec_count}]: {reason}"
    except DeadKernelError:
        cell = next(n_executed)
        return "failed", f"{notebook.name} failed in cell In [{cell}]: Python was ended; out of memory?"
    except KeyboardInterrupt:
        return "interrupted", f"{notebook.name} was interrupted in cell In [{next(n_executed)}]"
    return "done", None


def _choose(notebooks, only):
    """Keep the notebooks that ``only`` names, in their own order."""
    if only is None:
        return notebooks
    if not only:
        raise ValueError("only must name at least one notebook, for example '02'.")
    names = {key: notebook for notebook in notebooks for key in (notebook.stem, notebook.stem[:2])}
    for name in only:
        if name not in names:
            raise ValueError(f"no notebook {name!r}; {nearest_name(name, [n.stem for n in notebooks])}")
    return [notebook for notebook in notebooks if notebook in {names[name] for name in only}]


def _check_parameters(notebook, parameters):
    """Raise when the notebook's ``parameters`` cell lacks one of the names."""
    declared = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        if name not in declared:
            raise ValueError(f"{notebook.name} has no parameter {name!r}; {nearest_name(name, declared)}")


def _count_cells(notebook, parameters):
    """Check a notebook's parameters and count what will be executed, the injected cell included."""
    _check_parameters(notebook, parameters)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return 1 + sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in cells)


def _files(folder):
    """Return the results in a folder with the time of their last change."""
    found = [*folder.glob("*.csv"), *folder.glob("figures/*.png")]
    return {path: path.stat().st_mtime_ns for path in found}


def _written(before, after):
    """Name the files that are new or were written again."""
    return sorted(path for path, changed in after.items() if before.get(path) != changed)


def _agree(earlier, now):
    """Whether two descriptions say the same wherever both say something; a package may have been added."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        return all(_agree(earlier[key], now[key]) for key in earlier.keys() & now.keys())
    return earlier == now


def _fingerprints(written):
    """Return the fingerprints of the data that the written tables were computed on."""
    tables = [pd.read_csv(path, dtype=str) for path in written if path.suffix == ".csv"]
    return {value for table in tables if "fingerprint" in table for value in table["fingerprint"].dropna()}


def _versions():
    """Return the versions of Python, the platform, adathresh and what it directly depends on."""
    try:
        needed = requires("adathresh") or []
        own = {"adathresh": version("adathresh")}
    except PackageNotFoundError:  # run from the sources without being installed
        needed, own = [], {}
    names = sorted({re.match(r"[\w.-]+", line)[0] for line in needed if "test" not in line.partition(";")[2]})
    installed = {name: _version(name) for name in names}
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **own,
        **{name: found for name, found in installed.items() if found},
    }


def _version(name):
    """Return an installed distribution's version, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _now():
    """Return the time in a form that sorts."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _summary(finished, folder):
    """Return what ends a run: notebooks, agreement with the published tables, main figures."""
    lines = [f"{'notebook':<20} {'status':<12} {'seconds':>8}  written"]
    for notebook, status, seconds, written in finished:
        files = ", ".join(path.relative_to(folder).as_posix() for path in written) or "-"
        lines.append(f"{notebook.stem:<20} {status:<12} {seconds:>8.1f}  {files}")
    agreement = [
        line for notebook, *_ in finished for line in _comparisons(folder / "executed" / notebook.name)
    ]
    lines += ["", *agreement] if agreement else []
    headline = folder / "headline.csv"
    lines += ["", _main_figures(headline)] if headline.is_file() else []
    return "\n".join(lines)


def _comparisons(executed):
    """Return the lines that :func:`adathresh.experiments.core.tables.compare_table` printed in a notebook."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"] if executed.is_file() else []
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "text" in output]
    lines = [line for output in outputs for line in "".join(output["text"]).splitlines()]
    return [
        line
        for line in lines
        if re.match(r"\d+ of \d+ values within|no(t comparable| reference table)", line)
    ]


def _main_figures(path):
    """Return the headline table, averaged over seeds."""
    table = pd.read_csv(path)
    by = [name for name in ("split", "method", "base", "rule", "mode") if name in table]
    metrics = [name for name in MAIN_FIGURES if name in table]
    return summarise(table, by=by, metrics=metrics).to_string(index=False)
