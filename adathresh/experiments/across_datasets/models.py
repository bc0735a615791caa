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
    """Average the seeds of every data set and base model.

    Parameters
    ----------
    folder : str or path-like
        Holds ``gap.csv`` in ``<dataset>/02_baselines/``, or below ``<dataset>/full/``, which goes before.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, profile, base, seeds, and the base model's macro-F1 on the test rows: fixed (at 0.5),
        best_rival (under the rival rule that is best in a cross-validation), adaptive.

    Raises
    ------
    FileNotFoundError
        If no data set has the table.
    """
    return pd.concat(
        [_one_set(*place) for place in places_with(folder, "02_baselines/gap.csv")], ignore_index=True
    )


def places_with(folder, file):
    """Find the results of each data set that has a table: those of the full profile, else the quick ones.

    Parameters
    ----------
    folder : str or path-like
        The results.
    file : str
        The table, with the notebook that writes it: "02_baselines/gap.csv".

    Returns
    -------
    list of tuple of (str, str, pathlib.Path)
        Data set, profile and the notebook's folder, in the order of the names.

    Raises
    ------
    FileNotFoundError
        If no data set has the table.
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
    """Select the data sets on which transformers were trained.

    Parameters
    ----------
    models : pandas.DataFrame
        As :func:`models_table` returns it.

    Returns
    -------
    pandas.DataFrame
        All base models of those sets.
    """
    return models[models["dataset"].isin(models.loc[models["base"] == _TRANSFORMER, "dataset"])]


def mean_ranks(table):
    """Rank all pairs of a base model and a rule on each data set, and average the ranks over the sets.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`models_table` returns it.

    Returns
    -------
    pandas.DataFrame
        One row a base model that every set has, the best with ``adaptive`` first; a column for each of
        :data:`RULES`. 1 is the best rank, ties share theirs. Label trees and extra trees, of which each set
        has one, count as one.
    """
    bases = table["base"].where(~table["base"].isin(_TREES), "trees")
    values = table.assign(base=bases).pivot(index="dataset", columns="base", values=list(RULES))
    ranks = values.dropna(axis=1).rank(axis=1, ascending=False).mean()
    return ranks.unstack(level=0).dropna()[list(RULES)].sort_values("adaptive")


def critical_difference(n_methods, n_sets, *, level=0.05):
    """Return by how much two mean ranks have to differ, by the Nemenyi test.

    q √(k (k + 1) / 6N) for k methods on N data sets, q the studentised range's quantile over √2 (Demšar 2006,
    "Statistical Comparisons of Classifiers over Multiple Data Sets", section 3.2.2).

    Parameters
    ----------
    n_methods : int
        Methods that are ranked, at least 2.
    n_sets : int
        Data sets, at least 1.
    level : float, default=0.05
        Probability of any false finding, in (0, 1).

    Returns
    -------
    float
        In ranks.

    Examples
    --------
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
