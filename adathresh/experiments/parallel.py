"""Work that notebooks do side by side."""

import warnings

from joblib import Parallel

from adathresh.experiments.config import N_PROCESSES


def side_by_side(jobs):
    """Do jobs in :data:`adathresh.experiments.config.N_PROCESSES` processes.

    Parameters
    ----------
    jobs : iterable of joblib.delayed
        Taken with a lock held: what makes them must not use processes itself.

    Returns
    -------
    list
        What the jobs return, in their order.
    """
    with warnings.catch_warnings():
        # joblib replaces a process whose memory has grown, as by torch and a corpus; every job is done
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        return Parallel(N_PROCESSES)(jobs)
