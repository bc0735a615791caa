"""Put all data sets into two tables with their figures: ``python -m adathresh.experiments.across_datasets.rules``.

The table ``summary.csv`` has one line for every data set, base model and rule of notebook 08, the figure
``figures/summary.png`` shows how often ``adaptive`` is better than each inductive rival, level with it, or
worse. ``summary_models.csv`` has one line for every data set and family of base models of notebook 02,
``figures/summary_models.png`` and ``summary_models_texts.png`` show their mean ranks over all data sets and
over those with texts. All of it is made from the tables in ``results/<dataset>/full/``, or in
``results/<dataset>/`` where the full profile has none, without computing anything anew.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from adathresh.experiments.across_datasets.models import (
    CUTS,
    critical_difference,
    mean_ranks,
    models_table,
    places_with,
    with_texts,
)
from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.plotting import plot_dumbbells, plot_outcomes, use_style
from adathresh.experiments.nb08_decision_rules import OURS, WITH_TEXTS
from adathresh.utils.files import whole_file

_ONE_LINE = ["dataset", "base", "rule", "mode"]
_DIFFERENCES = "rules_differences.csv"


def summary_table(folder):
    """Average the seeds of every data set, base model and rule, and say how ``adaptive`` compares.

    Parameters
    ----------
    folder : str or path-like
        Holds ``rules.csv`` and ``rules_differences.csv`` in ``<dataset>/`` or ``<dataset>/full/``.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, profile, base, rule, mode, seeds, macro_f1, micro_f1 (means over the seeds);
        adaptive_difference (macro-F1 of ``adaptive`` minus the rule's), adaptive_low and adaptive_high (its
        95 % interval) and adaptive_is: "better" where the interval lies above 0, "worse" where it lies below,
        else "level". texts_difference and so on are the same for ``adaptive + label texts``. Missing for the
        rule itself, and the latter where there are no texts.

    Raises
    ------
    FileNotFoundError
        If no data set has both tables.
    """
    places = places_with(folder, _DIFFERENCES, "08")
    return pd.concat([_one_set(profile, place) for _, profile, place in places], ignore_index=True)


def inductive_rivals(table):
    """Select the rules that ``adaptive`` has to beat.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`summary_table` returns it.

    Returns
    -------
    pandas.DataFrame
        The rows of rules that are not ours and have not seen the rows to be predicted.
    """
    return table[(table["mode"] == "inductive") & ~table["rule"].str.startswith(OURS)]


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
    rivals = inductive_rivals(table)
    counts = pd.crosstab(rivals["rule"], rivals["adaptive_is"])
    return counts.reindex(index=rivals["rule"].unique(), columns=["better", "level", "worse"], fill_value=0)


def write_summary(folder):
    """Write the tables and figures.

    Parameters
    ----------
    folder : str or path-like
        The results.

    Returns
    -------
    list of pathlib.Path
        What was written.

    Raises
    ------
    FileNotFoundError
        If no data set has the tables of notebooks 02 and 08.
    """
    folder = Path(folder)
    tables = {"summary": summary_table(folder), "summary_models": models_table(folder)}
    use_style()
    figures = {
        "summary": plot_outcomes(outcomes(tables["summary"])),
        "summary_models": _plot_ranks(tables["summary_models"]),
    }
    if len(texts := with_texts(tables["summary_models"])):
        figures["summary_models_texts"] = _plot_ranks(texts)
    files = [folder / f"{name}.csv" for name in tables]
    for file, table in zip(files, tables.values(), strict=True):
        with whole_file(file) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
    for name, figure in figures.items():
        files.append(folder / "figures" / f"{name}.png")
        with whole_file(files[-1]) as temporary:
            figure.savefig(temporary, dpi=120, metadata={"Software": None})
    return files


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
    parser = argparse.ArgumentParser(
        prog="python -m adathresh.experiments.across_datasets.rules", description=__doc__
    )
    default = (repository_root() or Path.cwd()) / "results"
    parser.add_argument("--results", type=Path, default=default, help="the folder of results")
    folder = parser.parse_args(arguments).results
    try:
        files = write_summary(folder)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    print(outcomes(pd.read_csv(folder / "summary.csv")).to_string())
    print(mean_ranks(pd.read_csv(folder / "summary_models.csv")).to_string(float_format="%.1f"))
    print(*files, sep="\n")
    return 0


def _plot_ranks(models):
    """Draw the mean ranks of families and cuts."""
    ranks = mean_ranks(models)
    n_sets = models["dataset"].nunique()
    difference = f"critical difference {critical_difference(ranks.size, n_sets):.1f}"
    return plot_dumbbells(
        ranks.reset_index(),
        names="family",
        points=CUTS,
        xlabel=f"mean rank of macro-F1 on {n_sets} data sets\n(1 is best; {difference})",
        ylabel="base model",
    )


def _one_set(profile, folder):
    """Summarise one data set."""
    rows, differences = pd.read_csv(folder / "rules.csv"), pd.read_csv(folder / _DIFFERENCES)
    means = rows.groupby(_ONE_LINE, sort=False).agg(
        seeds=("seed", "nunique"), macro_f1=("macro_f1", "mean"), micro_f1=("micro_f1", "mean")
    )
    table = means.reset_index()
    table.insert(1, "profile", profile)
    of_macro = differences[differences["metric"] == "macro_f1"].rename(columns={"b": "rule"})
    for ours, prefix in ((OURS, "adaptive_"), (WITH_TEXTS, "texts_")):
        interval = of_macro[of_macro["a"] == ours].set_index(["base", "rule"])[["difference", "low", "high"]]
        interval = interval.assign(**{"is": _verdicts(interval)}).add_prefix(prefix)
        table = table.join(interval, on=["base", "rule"])
    return table


def _verdicts(interval):
    """Say of each interval on which side of 0 it lies."""
    verdicts = pd.Series("level", index=interval.index)
    verdicts[interval["low"] > 0] = "better"
    verdicts[interval["high"] < 0] = "worse"
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
