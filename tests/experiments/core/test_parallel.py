"""Work side by side: order, no noise where a process is replaced, and no process that outlives its parent."""

import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
from joblib import delayed, parallel_config

from adathresh.experiments.core import parallel


def test_results_come_in_the_order_of_the_jobs():
    assert parallel.side_by_side(delayed(abs)(-i) for i in range(20)) == list(range(20))


def test_jobs_run_in_other_processes_with_their_arguments():
    jobs = [delayed(sorted)([3, 1, 2], reverse=True), delayed(os.getpid)()]
    with parallel_config(backend="loky"):
        found, process = parallel.side_by_side(jobs)
    assert found == [3, 2, 1]
    assert process != os.getpid()


def test_with_one_core_jobs_run_here_one_after_the_other(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    with parallel_config(backend="loky"):
        assert parallel.side_by_side(delayed(os.getpid)() for _ in range(2)) == [os.getpid()] * 2


def test_only_the_note_on_a_replaced_process_is_silenced(monkeypatch):
    def noisy(n_processes, return_as):
        warnings.warn("A worker stopped while some jobs were given to the executor.", stacklevel=2)
        warnings.warn("something else", stacklevel=2)
        return lambda jobs: [function(*args) for function, args, _ in jobs]

    monkeypatch.setattr(parallel, "Parallel", noisy)
    with pytest.warns(UserWarning, match="something else") as seen:
        assert parallel.side_by_side([delayed(abs)(-1), delayed(abs)(-2)]) == [1, 2]
    assert [str(warning.message) for warning in seen] == ["something else"]


@pytest.mark.parametrize("shown", [True, False])
def test_a_bar_is_shown_unless_it_is_disabled(shown):
    program = (
        "from joblib import delayed\n"
        "from adathresh.experiments.core.parallel import side_by_side\n"
        "side_by_side(delayed(abs)(-i) for i in range(3))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    environment |= {"LOKY_MAX_CPU_COUNT": "1"} | ({} if shown else {"TQDM_DISABLE": "1"})
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert (b"0/3" in done.stderr) == shown


PROGRAM = """
import os, pathlib, sys, time
from joblib import delayed
from adathresh.experiments.core.parallel import side_by_side
def work(path):
    pathlib.Path(path, str(os.getpid())).touch()
    while True:  # a job that neither ends nor sleeps
        sum(range(1000))
side_by_side(delayed(work)(sys.argv[1]) for _ in range(2))
"""


def is_running(process):
    """Tell whether a process is there and is not a zombie that nobody has asked for."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs the list of processes of Linux")
def test_the_processes_end_when_their_parent_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)]) as parent:
        while len(os.listdir(tmp_path)) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
        workers = [int(name) for name in os.listdir(tmp_path)]
        assert all(is_running(worker) for worker in workers)
        parent.send_signal(signal.SIGKILL)
    try:
        give_up = time.monotonic() + 30
        while any(is_running(worker) for worker in workers) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert not [worker for worker in workers if is_running(worker)]
    finally:
        for worker in filter(is_running, workers):
            os.kill(worker, signal.SIGKILL)
