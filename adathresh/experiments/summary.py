"""Put the rules of all data sets into one table and one figure: ``python -m adathresh.experiments.summary``.

The table ``summary.csv`` has one line for every data set, base model and rule of notebook 08, the figure
``figures/summary.png`` shows how often ``adaptive`` is better than each inductive rival, level with it, or
worse. Both are made from the tables in ``results/<dataset>/``, without computing anything anew.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from adathresh._cache import whole_file
from adathresh.experiments.config import repository_root
from adathresh.experiments.decision_rules import OURS
from adathresh.experiments.plotting import plot_outcomes, use_style

_ONE_LINE = ["dataset", "base", "rule", "mode"]


def summary_table(folder):
    """Average the seeds of every data set, base model and rule, and say how ``adaptive`` compares.

    Parameters
    ----------
    folder : str or path-like
        Holds ``<dataset>/rules.csv`` and ``<dataset>/rules_differences.csv``.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, base, rule, mode, seeds, macro_f1, micro_f1; difference (macro-F1 of ``adaptive``
        minus the rule's), low and high, each averaged over the seeds, which makes the interval at least as
        wide as that of the averaged difference; and adaptive_is: "better" where the interval lies above 0,
        "worse" where it lies below, else "level".

    Raises
    ------
    FileNotFoundError
        If no data set has both tables.
    """
    files = sorted(Path(folder).glob("*/rules_differences.csv"))
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no <dataset>/rules_differences.csv; run `adathresh reproduce --only 08` first."
        )
    return pd.concat([_one_set(file) for file in files], ignore_index=True)


def outcomes(table):
    """Count over data sets and base models how ``adaptive`` compares with each inductive rival.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`summary_table` returns it.

    Returns
    -------
    pandas.DataFrame
        One row a rule, columns better, level and worse.
    """
    rivals = table[(table["mode"] == "inductive") & ~table["rule"].str.startswith(OURS)]
    counts = pd.crosstab(rivals["rule"], rivals["adaptive_is"])
    return counts.reindex(index=rivals["rule"].unique(), columns=["better", "level", "worse"], fill_value=0)


def write_summary(folder):
    """Write the table and the figure.

    Parameters
    ----------
    folder : str or path-like
        The results.

    Returns
    -------
    pandas.DataFrame
        The table.
    """
    table = summary_table(folder)
    with whole_file(Path(folder) / "summary.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
    use_style()
    figure = plot_outcomes(outcomes(table))
    with whole_file(Path(folder) / "figures" / "summary.png") as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    return table


def main(arguments=None):
    """Write the summary of a folder of results.

    Parameters
    ----------
    arguments : list of str, optional
        The command line; None for that of this process.

    Returns
    -------
    int
        Exit status: 0, or 1 where there are no results.
    """
    parser = argparse.ArgumentParser(prog="python -m adathresh.experiments.summary", description=__doc__)
    default = (repository_root() or Path.cwd()) / "results"
    parser.add_argument("--results", type=Path, default=default, help="the folder of results")
    folder = parser.parse_args(arguments).results
    try:
        table = write_summary(folder)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    print(outcomes(table).to_string())
    print(f"{folder / 'summary.csv'}, {folder / 'figures' / 'summary.png'}")
    return 0


def _one_set(file):
    """Summarise one data set."""
    rows, differences = pd.read_csv(file.with_name("rules.csv")), pd.read_csv(file)
    means = rows.groupby(_ONE_LINE, sort=False).agg(
        seeds=("seed", "nunique"), macro_f1=("macro_f1", "mean"), micro_f1=("micro_f1", "mean")
    )
    of_macro = differences[differences["metric"] == "macro_f1"].rename(columns={"b": "rule"})
    compared = of_macro.groupby(["base", "rule"])[["difference", "low", "high"]].mean()
    table = means.reset_index().join(compared, on=["base", "rule"])
    table["adaptive_is"] = "level"
    table.loc[table["low"] > 0, "adaptive_is"] = "better"
    table.loc[table["high"] < 0, "adaptive_is"] = "worse"
    table.loc[table["rule"] == OURS, "adaptive_is"] = ""
    return table


if __name__ == "__main__":
    sys.exit(main())
