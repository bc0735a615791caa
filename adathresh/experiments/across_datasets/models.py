"""How base models rank over all data sets: at 0.5, under the best rival rule, with ours."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import studentized_range

RULES = {"fixed": "fixed 0.5", "best_rival": "best rival rule", "adaptive": "adaptive"}
"""The columns of notebook 02's gap table, and what they are called in figures."""

_TREES = ("label tree", "extra trees")
_TRANSFORMER = "MiniLM, frozen"


def models_table(folder):
    """Average the seeds of every data set and base model: one row for each, with macro-F1 on the test rows.

    Columns fixed (at 0.5), best_rival (under the rival rule that is best in a cross-validation) and adaptive.
    ``folder`` holds ``<dataset>/02_baselines/gap.csv`` or ``<dataset>/full/02_baselines/gap.csv``, which goes
    before.
    """
    return pd.concat(
        [_one_set(*place) for place in places_with(folder, "02_baselines/gap.csv")], ignore_index=True
    )


def places_with(folder, file):
    """Find (data set, profile, folder) of all results with a table such as "02_baselines/gap.csv".

    The full profile goes before the quick one; sorted by data set.
    """
    quick, full = (Path(folder).glob(f"{place}/{file}") for place in ("*", "*/full"))
    found = {path.parts[-3]: ("quick", path.parent) for path in quick}
    found |= {path.parts[-4]: ("full", path.parent) for path in full}
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no <dataset>/{file}; run `adathresh reproduce --only {file[:2]}` first."
        )
    return [(name, *found[name]) for name in sorted(found)]


def with_texts(models):
    """Select, from :func:`models_table`, the data sets on which transformers were trained."""
    return models[models["dataset"].isin(models.loc[models["base"] == _TRANSFORMER, "dataset"])]


def mean_ranks(table):
    """Rank all pairs of a base model and a rule on each data set, and average the ranks over the sets.

    One row a base model that every set has, the best with ``adaptive`` first; a column for each of
    :data:`RULES`. 1 is the best rank, ties share theirs. Label trees and extra trees, of which each set has
    one, count as one.
    """
    bases = table["base"].where(~table["base"].isin(_TREES), "trees")
    values = table.assign(base=bases).pivot(index="dataset", columns="base", values=list(RULES))
    ranks = values.dropna(axis=1).rank(axis=1, ascending=False).mean()
    return ranks.unstack(level=0).dropna()[list(RULES)].sort_values("adaptive")


def critical_difference(n_methods, n_sets, *, level=0.05):
    """Return by how much two mean ranks have to differ, by the Nemenyi test.

    q √(k (k + 1) / 6N) for k methods on N data sets, q the studentised range's quantile over √2 (Demšar 2006,
    "Statistical Comparisons of Classifiers over Multiple Data Sets", section 3.2.2); ``level`` is the
    probability of any false finding.

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    quantile = studentized_range.ppf(1 - level, n_methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_methods * (n_methods + 1) / (6 * n_sets)))


def _one_set(name, profile, folder):
    """Average one data set's seeds."""
    bases = pd.read_csv(folder / "gap.csv").groupby("base", sort=False)
    table = bases[list(RULES)].mean()
    table.insert(0, "seeds", bases["seed"].nunique())
    table = table.reset_index()
    table.insert(0, "dataset", name)
    table.insert(1, "profile", profile)
    return table
