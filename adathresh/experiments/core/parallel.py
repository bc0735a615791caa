"""Work that notebooks do side by side."""

import os
import threading
import time
import warnings

from joblib import Parallel, cpu_count, delayed

from adathresh.utils.progress import tqdm

N_PROCESSES = 2
"""Processes that train and judge side by side where there are so many cores, each on its share of them, which
takes less time than one after the other on all of them; the results differ by rounding, as between other
numbers of threads."""

SECONDS_BETWEEN_LOOKS = 1.0
"""How often a process looks whether the one that started it is still there."""

_watched: set[int] = set()


def side_by_side(jobs):
    """Do jobs (``joblib.delayed``) in :data:`N_PROCESSES` processes and return their results in order.

    A bar shows how many are done, unless $TQDM_DISABLE is set, as it is where nobody looks on.
    With one core, or $LOKY_MAX_CPU_COUNT = 1, the jobs are done here, one after the other. The jobs are taken
    with a lock held: what makes them must not use processes itself. The processes end soon after this one,
    even if it is killed (on Windows, only if it is not).
    """
    with warnings.catch_warnings():
        # joblib replaces a process whose memory has grown, as by torch and a corpus; every job is done
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        jobs = [delayed(_do)(os.getpid(), *job) for job in jobs]
        results = Parallel(min(N_PROCESSES, cpu_count()), return_as="generator")(jobs)
        return list(tqdm(results, total=len(jobs), unit="job", leave=False))


def _do(parent, function, args, kwargs):
    """Do a job of a parent process, and end with it."""
    if os.getpid() != parent and parent not in _watched:
        _watched.add(parent)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return function(*args, **kwargs)


def _end_with(parent):
    """End this process when its parent is gone; nobody is left to take its results.

    Not by Linux's signal for it, which comes when the parent's *thread* ends that started the process.
    """
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
