"""The tables and the figure that notebook 13 shows."""

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from adathresh.experiments.core.display import shown, summarize
from adathresh.experiments.core.plotting import COLOR_OF, COLORS, MARKERS
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.core.sentences import mean_differences
from adathresh.experiments.core.splits import RULES
from adathresh.experiments.nb13_groups.evaluation import SPLIT, TRAINING
from adathresh.experiments.nb13_groups.findings import NO_GROUPS, WHOLE
from adathresh.experiments.nb13_groups.heads import SECOND_TASK
from adathresh.experiments.nb13_groups.knowledge import KNOWLEDGE

CAPTIONS = {
    TRAINING: "As many training rows, from more and more groups",
    SPLIT: "The same test rows, by models of either split",
    KNOWLEDGE: "With and without knowledge of the group",
    SECOND_TASK: "The network with and without a head for the labels of the group",
}
"""What is shown of each question."""

_BY = {TRAINING: ["variant", "fitting_groups", "rule"], SPLIT: ["variant", "n_rows", "rule"]}
_METRICS = ["macro_f1", "micro_f1", "samples_f1"]


def shown_of(tables, question):
    """Return what was measured for one question and the differences, or why there is nothing to ask."""
    if not tables:
        return [Markdown(NO_GROUPS)]
    values, differences = (
        table[table["question"] == question] for table in (tables["groups"], tables["group_differences"])
    )
    if differences.empty:
        return [Markdown("There are too few groups here.")]
    return [_values(values, question), _differences(differences)]


def _values(values, question):
    """Show what was measured."""
    mean_groups = values.groupby("variant")["fitting_groups"].transform("mean")
    values = values.assign(fitting_groups=mean_groups.round().astype(int))
    by = _BY.get(question, ["test_rows", "n_rows", "variant"])
    return summarize(values, caption=CAPTIONS[question], by=by, metrics=_METRICS)


def _differences(differences):
    """Show the differences in micro-F1 with their intervals, by groups and by rows."""
    columns = ["a", "b", "rule", "test_rows", "difference", "low", "high", "low_by_rows", "high_by_rows"]
    caption = "Differences in micro-F1 and their 95 % intervals: groups resampled, then rows resampled"
    return shown(differences.query("metric == 'micro_f1'")[columns], caption=caption, digits=4)


def plot_groups(tables):
    """Draw macro-F1 over the number of training groups, and what each thing changes.

    Small dots are repetitions; an interval, by groups, that leaves 0 out is filled.
    """
    values, differences = tables["groups"], tables["group_differences"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), width_ratios=(2, 3))
    _draw_training_groups(left, values.query("question == @TRAINING"))
    _draw_changes(right, differences.query("rule == @OURS or question == @SECOND_TASK"))
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_training_groups(axes, values):
    """Draw one line a rule."""
    for rule, marker in zip(RULES, MARKERS, strict=False):
        color = COLOR_OF[rule]
        of_rule = values[values["rule"] == rule]
        means = of_rule.groupby("variant", sort=False)[["fitting_groups", "macro_f1"]].mean()
        axes.plot(means["fitting_groups"], means["macro_f1"], marker + "-", color=color, label=rule)
        axes.scatter(of_rule["fitting_groups"], of_rule["macro_f1"], s=8, color=color, alpha=0.5, linewidth=0)
    axes.set(xlabel="groups that the training rows come from", ylabel="macro-F1", ylim=(0, None))


def _draw_changes(axes, differences):
    """Draw one line a comparison and one mark a metric, with intervals by groups."""
    differences = differences[differences["test_rows"].isin(WHOLE)]
    found = mean_differences(differences, ["a", "b", "metric"])
    pairs = list(dict.fromkeys((a, b) for a, b, _ in found.index))
    axes.axvline(0, color="0.5", linewidth=1)
    for metric, shift, color, marker in zip(
        ("macro_f1", "micro_f1"), (-0.14, 0.14), COLORS[3:], ("o", "s"), strict=False
    ):
        rows = found.xs(metric, level="metric")
        at = np.arange(len(pairs)) + shift
        axes.hlines(at, rows["low"], rows["high"], color=color)
        clear = (rows["low"] > 0) | (rows["high"] < 0)
        fill = [color if each else "white" for each in clear]
        name = metric.replace("_f1", "-F1")
        axes.scatter(
            rows["difference"], at, s=30, marker=marker, color=fill, edgecolor=color, zorder=3, label=name
        )
    axes.set_yticks(range(len(pairs)), [f"{a}\nminus {b}" for a, b in pairs], fontsize=8.5)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(xlabel=f"difference in F1 of {OURS}, or of the network\n(95 % interval)")
