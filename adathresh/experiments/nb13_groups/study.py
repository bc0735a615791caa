"""Everything that notebook 13 computes, side by side."""

import numpy as np
from joblib import delayed

from adathresh.experiments.core.crossfit import crossfit_all
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.splits import BASE
from adathresh.experiments.nb13_groups.evaluation import (
    sets_from_share,
    split_rows,
    training_jobs,
    training_rows,
)
from adathresh.experiments.nb13_groups.heads import head_rows, head_sets
from adathresh.experiments.nb13_groups.knowledge import knowledge_rows, sets_with_knowledge


def group_tables(config, ds):
    """Return the rows of the tables "groups" and "group_differences"; none where no question can be asked.

    That is where rows have no groups, where the split parts groups, so that no test row is of a new one, or
    where there is only one group of test rows.
    """
    if not has_new_groups(ds):
        return {}
    crossfit_all(config, ds, [BASE])
    jobs = training_jobs(config, ds)
    works = [
        *(delayed(head_sets)(config, ds, seed=seed) for seed in config.seed_list),
        *(delayed(sets_with_knowledge)(config, ds, seed=seed) for seed in config.seed_list),
        *(delayed(sets_from_share)(config, ds, **job) for job in jobs),
    ]
    found, n_seeds = side_by_side(works), len(config.seed_list)
    parts = [
        training_rows(config, ds, jobs, found[2 * n_seeds :]),
        split_rows(config, ds),
        knowledge_rows(config, ds, found[n_seeds : 2 * n_seeds]),
        head_rows(config, ds, found[:n_seeds]),
    ]
    values, differences = ([row for part in parts for row in part[at]] for at in range(2))
    return {"groups": values, "group_differences": differences}


def has_new_groups(ds):
    """Say whether the test rows are of several groups, none of which the models are fitted on."""
    if any(part.groups is None for part in ds.splits.values()):
        return False
    new = np.unique(ds.test.groups)
    return len(new) > 1 and not np.isin(new, np.concatenate([ds.train.groups, ds.validation.groups])).any()
