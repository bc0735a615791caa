"""Work that notebooks do side by side."""

import warnings

from joblib import Parallel

N_PROCESSES = 2
"""Processes that train and judge side by side, each on its share of the cores, which takes less time than one
after the other on all of them; the results differ by rounding, as between other numbers of threads."""


def side_by_side(jobs):
    """Do jobs (``joblib.delayed``) in :data:`N_PROCESSES` processes and return their results in order.

    The jobs are taken with a lock held: what makes them must not use processes itself.
    """
    with warnings.catch_warnings():
        # joblib replaces a process whose memory has grown, as by torch and a corpus; every job is done
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        return Parallel(N_PROCESSES)(jobs)
