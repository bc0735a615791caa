"""Sum the results of all data sets up: ``python -m adathresh.experiments.across_datasets``.

``rules.csv`` has one line for every data set, base model and rule of notebook 08, ``rules.png`` shows how
often ``adaptive`` is better than each inductive rival, level with it, or worse. ``models.csv`` has one line
for every data set and base model of notebook 02, ``models.png`` and ``models_with_texts.png`` show their mean
ranks over all data sets and over those with texts. All of it goes to ``results/across_datasets/`` and is made
from the tables of the data sets, of the full profile where there is one, without computing anything anew.
"""

import argparse
import sys
from pathlib import Path

from adathresh.experiments.across_datasets.models import (
    RULES,
    critical_difference,
    mean_ranks,
    models_table,
    with_texts,
)
from adathresh.experiments.across_datasets.rules import outcomes, rules_table
from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.plotting import plot_dumbbells, plot_outcomes, use_style
from adathresh.experiments.core.results import DPI
from adathresh.utils.files import whole_file


def write_summary(folder):
    """Write the tables and figures of a folder of results, and return their paths."""
    tables = {"rules": rules_table(folder), "models": models_table(folder)}
    use_style()
    figures = {"rules": plot_outcomes(outcomes(tables["rules"])), "models": _plot_ranks(tables["models"])}
    if len(texts := with_texts(tables["models"])):
        figures["models_with_texts"] = _plot_ranks(texts)
    n_sets = tables["rules"]["dataset"].nunique()
    titles = {
        "rules": f"adaptive against each inductive rival rule, {n_sets} data sets\n"
        "“, fused”: rivals that are given the probabilities of adaptive",
        "models": "Mean rank of each base model, all data sets",
        "models_with_texts": "Mean rank of each base model, data sets with texts",
    }
    for name, figure in figures.items():
        figure.suptitle(titles[name], x=0.01, ha="left", fontsize=9)
    target = Path(folder) / "across_datasets"
    files = [target / f"{name}.csv" for name in tables] + [target / f"{name}.png" for name in figures]
    for file, content in zip(files, [*tables.values(), *figures.values()], strict=True):
        with whole_file(file) as temporary:
            if file.suffix == ".csv":
                content.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
            else:
                content.savefig(temporary, dpi=DPI, metadata={"Software": None})
    return files


def main(arguments=None):
    """Write the summary of a folder of results; exit status 1 where there are no results."""
    parser = argparse.ArgumentParser(
        prog="python -m adathresh.experiments.across_datasets", description=__doc__
    )
    default = (repository_root() or Path.cwd()) / "results"
    parser.add_argument("--results", type=Path, default=default, help="the folder of results")
    folder = parser.parse_args(arguments).results
    try:
        files = write_summary(folder)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    print(outcomes(rules_table(folder)).to_string())
    print(mean_ranks(models_table(folder)).to_string(float_format="%.1f"))
    print(*files, sep="\n")
    return 0


def _plot_ranks(models):
    """Draw the mean ranks of base models and rules."""
    ranks = mean_ranks(models)
    n_sets = models["dataset"].nunique()
    difference = f"critical difference {critical_difference(ranks.size, n_sets):.1f}"
    return plot_dumbbells(
        ranks.reset_index(),
        names="base",
        points=RULES,
        xlabel=f"mean rank of macro-F1 on {n_sets} data sets\n(1 is best; {difference})",
        ylabel="base model",
    )


if __name__ == "__main__":
    sys.exit(main())
