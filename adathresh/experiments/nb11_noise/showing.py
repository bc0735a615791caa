"""The figure of notebook 11."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from adathresh.experiments.core.plotting import COLOR_OF, PURPLE, SKY
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.nb11_noise.labels import CLEAN, MISSING, ONE, WRONG
from adathresh.experiments.nb11_noise.study import CORRECTED, EXPECTED, PLATT, RULES

_PANELS = {
    MISSING: ("labels missing", "labels missing, %"),
    WRONG: ("labels moved to a wrong one", "labels that are wrong, %"),
    ONE: ("all labels but one a row missing", "labels missing, %"),
}
_COLORS = {**COLOR_OF, "PCut": SKY, "SCutFBR": PURPLE, PLATT: "0.5"}


def plot_noise(rows, differences):
    """Draw macro-F1 against the share of labels lost: one panel a kind of noise, one line a rule.

    Repetitions are averaged; every line begins at the clean labels. A dashed line is the corrected rule of
    its colour. Below stands what our rule has more than each rival, with 95 % intervals.
    """
    means = pd.DataFrame(rows).groupby(["kind", "rule", "amount"], sort=False)["macro_f1"].mean()
    kinds = [kind for kind in _PANELS if kind in means.index.unique("kind")]
    size = (3.3 * len(kinds), 6.6)
    figure, grid = plt.subplots(
        2, len(kinds), figsize=size, sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2)
    )
    for kind, above, below in zip(kinds, *grid, strict=True):
        _draw_values(above, means, kind)
        _draw_differences(below, pd.DataFrame(differences), kind)
        title, xlabel = _PANELS[kind]
        above.set(title=title, ylim=(0, None))
        above.title.set_size(10.5)
        below.set(xlabel=xlabel)
    grid[0, 0].set(ylabel="macro-F1 on clean test labels")
    grid[1, 0].set(ylabel=f"{OURS} minus rival\n(95 % interval)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_values(axes, means, kind):
    """Draw what every rule reaches under one kind of noise."""
    for rule in (*RULES, *(rule + CORRECTED for rule in (EXPECTED, PLATT, OURS))):
        if rule not in means[kind].index:
            continue
        plain = rule.removesuffix(CORRECTED)
        line = pd.concat([means[CLEAN, plain], means[kind, rule]])
        axes.plot(
            100 * line.index,
            line,
            marker="o",
            markersize=4,
            linestyle="-" if rule == plain else "--",
            color=_COLORS[plain],
            label=rule,
        )


def _draw_differences(axes, differences, kind):
    """Draw what our rule has more than each rival, each a little beside the others."""
    of_kind = differences[differences["kind"].isin([CLEAN, kind]) & (differences["metric"] == "macro_f1")]
    of_ours = of_kind[of_kind["a"] == OURS]
    rivals = [rule for rule in RULES if rule != OURS]
    width = 0.02 * 100 * of_ours["amount"].max()
    axes.axhline(0, color="0.4", linewidth=1)
    for number, rule in enumerate(rivals):
        rows = of_ours[of_ours["b"] == rule]
        reach = np.abs(rows[["low", "high"]].sub(rows["difference"], axis=0)).T.to_numpy()
        shift = width * (number - (len(rivals) - 1) / 2)
        axes.errorbar(
            100 * rows["amount"] + shift,
            rows["difference"],
            reach,
            fmt="o",
            markersize=3,
            linewidth=1.2,
            color=_COLORS[rule],
        )
