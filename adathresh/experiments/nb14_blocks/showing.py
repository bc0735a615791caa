"""The tables and the figure that notebook 14 shows."""

from adathresh.experiments.core.display import crossed, shown
from adathresh.experiments.core.plotting import plot_points


def shown_values(tables, metric, name):
    """Show a metric of the test rows: a line for each variant, a column for each model."""
    caption = f"{name} of adaptive on test rows"
    return crossed(tables["blocks"], caption=caption, metric=metric, down="blocks")


def shown_choices(tables):
    """Show what is chosen on the fitting rows: the better block alone, and weights."""
    choice = tables["block_choice"].rename(columns={"fitting_macro_f1": "macro_f1"})
    choice = choice.groupby(["base", "block"], sort=False)[["macro_f1"]].mean()
    weights = tables["block_weights"].groupby(["choice", "block"], sort=False)[["weight"]].mean()
    return [
        shown(choice.reset_index(), caption="Each block alone: out-of-fold scores of the fitting rows"),
        shown(weights.reset_index(), caption="Weights that the neighbours of fitting rows choose"),
    ]


def shown_differences(tables, metric, name):
    """Show the differences in a metric with their intervals."""
    found = tables["block_differences"]
    columns = ["base", "a", "b", "difference", "low", "high"]
    caption = f"Differences in {name} and their 95 % intervals"
    return shown(found.loc[found["metric"] == metric, columns], caption=caption, digits=4)


def plot_blocks(tables):
    """Draw what both blocks change in macro-F1, one line a comparison and one mark a model."""
    found = tables["block_differences"].query("metric == 'macro_f1'")
    found = found.assign(compared=found["a"] + "\nminus " + found["b"])
    panels = {"difference": "difference in macro-F1, 95 % interval"}
    figure = plot_points(found, names="compared", panels=panels, color="base", intervals=True, ylabel="")
    figure.axes[0].axvline(0, color="0.5", linewidth=1, zorder=0)
    return figure
