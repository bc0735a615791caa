"""Execute one notebook with the running interpreter."""

import contextlib
import itertools
import json
import logging
import os
import re
import signal
import subprocess
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path

import ipykernel.kernelspec
import papermill
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io

from adathresh.experiments.core.config import repository_root
from adathresh.utils.files import DISK_ERRORS, whole_file
from adathresh.utils.suggest import did_you_mean

_managers: weakref.WeakSet["_ThisInterpreter"] = weakref.WeakSet()
_kernel_of_thread: dict[int, int] = {}  # process number of the kernel that a thread has started last


def find_notebooks(notebooks_dir=None):
    """List the notebooks ``NN_name.ipynb`` of a folder in order, as absolute paths.

    None: the clone's ``notebooks/``, else the copy inside the installed package.
    """
    if notebooks_dir is None:
        root = repository_root()
        folder = root / "notebooks" if root else Path(__file__).resolve().parents[2] / "notebooks"
    else:
        folder = Path(notebooks_dir).absolute()
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise FileNotFoundError(
            f"no numbered notebooks (NN_name.ipynb) in {folder}. "
            "Run from a clone of the repository, or reinstall adathresh from a wheel."
        )
    return notebooks


def run_notebook(notebook, *, output, parameters, on_cell=None):
    """Execute one notebook with the running interpreter; ``output`` is kept up to a cell that fails.

    ``output`` is replaced after every cell as a whole: a full disk or a killed process leaves what the cell
    before it left.

    A parameter that the notebook does not declare is an error here, where papermill only warns. ``on_cell``
    is called after every executed cell, with the keyword arguments of nbclient. Several notebooks may run at
    once, each in a thread of its own.
    """
    _check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what ends a notebook is said by its caller
    # Kernels inherit these: no debugger warning at every start, and threads that sleep while they wait for
    # each other (spinning made training ten times slower on two cores of which one was busy elsewhere).
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TQDM_DISABLE", "1")  # a bar of each cell would stay in the executed notebook
    _write_whole(output)
    papermill.execute_notebook(
        str(notebook),
        str(output),
        parameters=parameters,
        kernel_name="python3",
        progress_bar=False,
        # not papermill's cwd, which is that of this whole process and so of all notebooks that run
        resources={"metadata": {"path": str(notebook.parent)}},
        kernel_manager_class=_ThisInterpreter,
        **({"on_cell_executed": on_cell} if on_cell else {}),
    )


def attempt(notebook, *, output, parameters, on_cell, interrupted):
    """Run one notebook; return "done", "failed" or "interrupted", and what went wrong where, or None.

    ``interrupted`` is an event that is set before :func:`end_kernels` is called.
    """
    n_executed = itertools.count(1)

    def count(**hook):
        next(n_executed)
        on_cell(**hook)

    try:
        run_notebook(notebook, output=output, parameters=parameters, on_cell=count)
    except PapermillExecutionError as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}").strip().splitlines()[-1]
        return "failed", f"{notebook.name} failed in cell In [{error.exec_count}]: {reason}"
    except DeadKernelError:
        cell = next(n_executed)
        if interrupted.is_set():
            return "interrupted", f"{notebook.name} was interrupted in cell In [{cell}]"
        return "failed", f"{notebook.name} failed in cell In [{cell}]: Python was ended; out of memory?"
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        return "failed", f"{notebook.name} could not be written in cell In [{next(n_executed)}]: {error}"
    return "done", None


@contextmanager
def watched_memory(*, seconds=1.0):
    """Yield a function that returns the most memory, in MB of 10⁶ bytes, of a notebook that this thread runs.

    It is that of the kernel and all that it starts, together, looked at again and again. Memory that
    processes share is counted once on Linux, and not at all elsewhere.
    """
    thread, stop, peak = threading.get_ident(), threading.Event(), [0.0]
    _kernel_of_thread.pop(thread, None)

    def watch():
        while not stop.wait(seconds):
            if thread in _kernel_of_thread:
                peak[0] = max(peak[0], _held_together(_kernel_of_thread[thread]) / 1e6)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak[0]
    finally:
        stop.set()
        watcher.join()


def _held_together(number):
    """Return the bytes that a process and all that it has started hold; 0 for those that have ended."""
    total = 0
    with contextlib.suppress(psutil.Error):
        kernel = psutil.Process(number)
        for process in [kernel, *kernel.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                held = process.memory_full_info()
                total += held.pss if hasattr(held, "pss") else held.uss
    return total


def end_kernels():
    """End the kernels of all notebooks that run."""
    for manager in list(_managers):
        if manager.provisioner is not None and manager.provisioner.has_process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(manager.provisioner.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)


def count_cells(notebook, parameters):
    """Check the parameters' names and count the cells that will be executed, papermill's own included."""
    _check_parameters(notebook, parameters)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return 1 + sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in cells)


class _WholeFiles(LocalHandler):
    """Writes a notebook as a whole or not at all, where papermill alone writes over the last one."""

    def write(self, buf, path):
        """Write text to a file."""
        with whole_file(path) as temporary:
            temporary.write_text(buf, encoding="utf-8")


def _write_whole(output):
    """Have papermill write this file as a whole; it chooses how by how the path begins."""
    path = str(output)
    if not isinstance(papermill_io.get_handler(path), _WholeFiles):
        papermill_io.register(path, _WholeFiles())


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
        _managers.add(self)

    async def start_kernel(self, **kwargs):
        """Start the kernel without this process's stderr.

        Cells write to the notebook. What is left is noise: a kernel that is asked to end may close a socket
        before its last message, and print a traceback.
        """
        await super().start_kernel(**kwargs, stderr=subprocess.DEVNULL)
        _kernel_of_thread[threading.get_ident()] = self.provisioner.pid


def _check_parameters(notebook, parameters):
    """Raise when the notebook's ``parameters`` cell lacks one of the names."""
    declared = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        if name not in declared:
            raise ValueError(f"{notebook.name} has no parameter {name!r}.{did_you_mean(name, declared)}")
