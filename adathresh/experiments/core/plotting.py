"""The figures that several notebooks draw: arrays in, a matplotlib figure out."""

import itertools
import textwrap

import matplotlib.pyplot as plt
import numpy as np

from adathresh.experiments.core.sentences import signed
from adathresh.metrics import FREQUENCY_EDGES

# Okabe and Ito's colours, distinguishable with every common colour-vision deficiency; black is kept for text.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW = COLORS

COLOR_OF = {
    "adaptive": BLUE,
    "adaptive, no neighbours": PURPLE,
    "adaptive + label texts": SKY,
    "fused (adathresh)": BLUE,
    "fixed 0.5": VERMILION,
    "global threshold": ORANGE,
    "F*/2": GREEN,
    "paper's method": BLUE,
    "plain cross-entropy": VERMILION,
    "released": VERMILION,
    "as released": VERMILION,
    "labels of other rows": ORANGE,
    "labels withheld": SKY,
    "withheld": SKY,
    "leak-free signals": GREEN,
    "leak-free": BLUE,
}
"""The colour of a rule, or of a way to evaluate, in every figure; vermilion where labels leak."""

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "figure.constrained_layout.use": True,
    "figure.figsize": (6.4, 4.0),
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def use_style():
    """Make all figures of this process look alike: colour-blind-safe colours, readable sizes, no overlaps."""
    plt.rcParams.update(STYLE)


def plot_longtail(train_frequency, *, boundaries=FREQUENCY_EDGES):
    """Draw the labels' training frequencies in falling order, with the bins of the metrics.

    ``boundaries`` are the smallest frequencies of all bins but the first. Both axes are logarithmic, so
    labels that never occur are counted in the legend.
    """
    frequency = np.sort(np.asarray(train_frequency))[::-1]
    seen = frequency[frequency > 0]
    figure, axes = plt.subplots()
    axes.loglog(np.arange(1, len(seen) + 1), seen, label=f"{len(seen):,} labels seen in training")
    for boundary in boundaries:
        rank = int((frequency >= boundary).sum())
        if boundary > 1 and 0 < rank < len(frequency):
            axes.axvline(rank, color="0.5", linestyle=":", linewidth=1)
            axes.annotate(
                f"≥ {boundary}: {rank:,} labels",
                (rank, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -4),  # right of the line, where the curve lies lower
                textcoords="offset points",
                rotation=90,
                ha="left",
                va="top",
                fontsize=9,
                color="0.3",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
    if len(seen) < len(frequency):
        axes.plot([], [], " ", label=f"{len(frequency) - len(seen):,} labels never seen in training")
    axes.set(xlabel="label rank by training frequency", ylabel="training rows with the label")
    axes.legend(loc="lower left", frameon=True, edgecolor="none", framealpha=1)
    return figure


def plot_reliability(panels):
    """Draw observed against predicted probability: one panel for each part of the labels, one line a model.

    ``panels`` has for every panel and model the mean predicted probability and the observed share of
    positives of each bin, and optionally its number of pairs, which sizes the markers. The axes are
    logarithmic, since most probabilities on a long tail are small; a bin without positives is not drawn.
    """
    n_columns = min(2, len(panels))
    n_rows = -(-len(panels) // n_columns)
    size = (4.4 * n_columns, 4.4 * n_rows + 0.5)
    figure, grid = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)
    figure.set_layout_engine("constrained", h_pad=0.12)  # a title is not to touch what stands above it
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        _draw_reliability(axes, curves)
        axes.set_title(title)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def plot_bars_by_bin(
    values, *, bins, ylabel="macro-F1", xlabel="training rows with the label", intervals=None
):
    """Draw grouped bars: one group a frequency bin, one bar a method.

    A bin in which no method has a value, or all have 0, is left out; ``xlabel`` says so of the latter.
    ``intervals``, of the methods that have them, are the lower and the upper ends, a pair of lists.
    """
    heights = np.array(list(values.values()), dtype=float)
    some, kept = ~np.isnan(heights).all(axis=0), np.nan_to_num(heights).any(axis=0)
    if (some & ~kept).any():
        xlabel += f" (left out: {', '.join(np.array(bins)[some & ~kept])}, where all are 0)"
    values, intervals = (
        {name: np.asarray(of_bins)[..., kept] for name, of_bins in given.items()}
        for given in (values, intervals or {})
    )
    bins = [name for name, keep in zip(bins, kept, strict=True) if keep]
    figure, axes = plt.subplots(figsize=(max(6.4, 0.28 * len(values) * len(bins) + 1.5), 4.2))
    width = 0.8 / len(values)
    positions = np.arange(len(bins))
    for i, ((name, heights), color) in enumerate(zip(values.items(), _colors(values), strict=True)):
        at = positions + (i - (len(values) - 1) / 2) * width
        axes.bar(at, heights, width, label=name, color=color)
        if name in intervals:
            axes.vlines(at, *intervals[name], color="black", linewidth=1)
    axes.set_xticks(positions, bins)
    axes.grid(False, axis="x")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=min(3, len(values)))
    return figure


def plot_training_curves(history, *, panels=None, xlabel="epoch"):
    """Draw recorded quantities over the epochs, one panel a group of them.

    ``history`` has one value an epoch for each name; "epoch", if there, gives the horizontal axis. ``panels``
    has for every panel's vertical label the names drawn in it, and what the legend calls them; None draws
    each in a panel of its own.
    """
    names = [name for name in history if name != "epoch"]
    panels = {name: {name: name} for name in names} if panels is None else panels
    unknown = [name for drawn in panels.values() for name in drawn if name not in history]
    if unknown:
        raise ValueError(f"history has no {unknown[0]!r}; it holds {', '.join(names)}.")
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure, grid = plt.subplots(n_rows, n_columns, figsize=(3.6 * n_columns, 3.0 * n_rows), squeeze=False)
    for axes, (label, drawn) in zip(grid.flat, panels.items(), strict=False):
        for (name, called), color in zip(drawn.items(), _colors(drawn.values()), strict=True):
            epochs = history.get("epoch", np.arange(1, len(history[name]) + 1))
            axes.plot(epochs, history[name], marker="o", markersize=3, label=called, color=color)
        axes.set(xlabel=xlabel, ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(drawn) > 1:
            above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}  # never over the curves
            axes.legend(**above, ncols=min(2, len(drawn)), fontsize=9, handlelength=1.2, columnspacing=1.0)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    return figure


MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def plot_tradeoff(frame, *, x="micro_f1", y="macro_f1", color="base", marker="rule"):
    """Draw one point for each row of a results table, coloured by one column and marked by another.

    Repetitions, rows in which these columns are equal, are averaged.
    """
    points = frame.groupby([color, marker], sort=False)[[x, y]].mean().reset_index()
    colors, markers = list(points[color].unique()), list(points[marker].unique())
    figure, axes = plt.subplots(figsize=(7.2, 4.4))
    for _, point in points.iterrows():
        shape = MARKERS[markers.index(point[marker]) % len(MARKERS)]
        axes.scatter(
            point[x],
            point[y],
            s=150 if shape == "*" else 60,  # a star's spikes make it look smaller than it is
            color=_colors(colors)[colors.index(point[color])],
            marker=shape,
            edgecolor="white",
            linewidth=0.5,
        )
    for name, color_ in zip(colors, _colors(colors), strict=True):
        axes.plot([], [], "o", color=color_, label=name)
    for name, shape in zip(markers, itertools.cycle(MARKERS), strict=False):
        axes.plot([], [], shape, color="0.4", label=name)
    axes.margins(0.08)
    axes.set(xlabel=_label(x), ylabel=_label(y))
    figure.legend(loc="outside right center")
    return figure


def plot_differences(frame, *, names="b", xlabel="difference in macro-F1"):
    """Draw differences with their intervals, one line a comparison; an interval that leaves 0 out is filled.

    ``frame`` has columns difference, low, high and ``names``; repetitions are averaged.
    """
    means = frame.groupby(names, sort=False)[["difference", "low", "high"]].mean()
    figure, axes = plt.subplots(figsize=(6.4, 0.38 * len(means) + 1.2))
    axes.axvline(0, color="0.5", linewidth=1)
    for position, (_, row) in enumerate(means.iterrows()):
        clear = row["low"] > 0 or row["high"] < 0
        axes.plot([row["low"], row["high"]], [position, position], color=COLORS[0])
        axes.plot(
            row["difference"], position, "o", color=COLORS[0], markerfacecolor=None if clear else "white"
        )
    axes.set_yticks(range(len(means)), means.index)
    axes.set_ylim(len(means) - 0.5, -0.5)
    axes.grid(False, axis="y")
    figure.supxlabel(f"{xlabel}, 95 % interval", fontsize=plt.rcParams["axes.labelsize"])
    return figure


def plot_outcomes(counts, *, xlabel="data sets × base models"):
    """Draw how often one rule is better than each other one, level with it, or worse.

    ``counts`` has one row a rule and columns better, level and worse.
    """
    figure, axes = plt.subplots(figsize=(6.4, 0.36 * len(counts) + 1.6))
    start = np.zeros(len(counts))
    colors = {"better": COLORS[0], "level": "0.8", "worse": COLORS[5]}
    for outcome, color in colors.items():
        widths = counts[outcome].to_numpy()
        bars = axes.barh(counts.index, widths, left=start, color=color, label=f"adaptive is {outcome}")
        axes.bar_label(
            bars,
            [str(width) if width else "" for width in widths],
            label_type="center",
            color="black" if outcome == "level" else "white",
        )
        start += widths
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.grid(False)
    axes.set(xlabel=f"{xlabel} (macro-F1, 95 % interval)", ylabel="rival rule")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def plot_dumbbells(frame, *, names, points, xlabel="macro-F1", ylabel=None):
    """Draw several values of each thing on one line, to show how far they lie apart.

    ``frame`` has one row a thing and repetition, which are averaged; ``points`` says what the drawn columns
    are called, in the order of the legend.
    """
    means = frame.groupby(names, sort=False)[list(points)].mean()
    figure, axes = plt.subplots(figsize=(6.4, 0.42 * len(means) + 1.6))
    at = np.arange(len(means))
    axes.hlines(at, means.min(axis=1), means.max(axis=1), color="0.75", linewidth=3, zorder=1)
    colors = _colors(points.values())
    for (column, label), color, marker in zip(points.items(), colors, ("o", "s", "D"), strict=False):
        axes.scatter(means[column], at, s=45, color=color, marker=marker, label=label, zorder=2)
    axes.set_yticks(at, means.index)
    axes.set_ylim(len(means) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set(xlabel=xlabel, ylabel=names if ylabel is None else ylabel)
    figure.legend(loc="outside lower center", ncols=len(points))
    return figure


def plot_threshold_maps(maps, *, label="mean threshold θ (logit)", min_pairs=20):
    """Draw the mean threshold over label frequency and neighbour share, in one panel a way to choose it.

    Each of the ``maps`` has columns frequency (training rows of the label, 0 or more), share (in [0, 1]) and
    theta. A cell with fewer than ``min_pairs`` pairs stays empty. One scale of colours holds for all.
    """
    share_edges = np.linspace(0, 1, 11)
    cells = {name: _mean_thresholds(pairs, share_edges, min_pairs) for name, pairs in maps.items()}
    every = np.concatenate([means.ravel() for _, means in cells.values()])
    every = every[np.isfinite(every)]
    scale = {"vmin": every.min(), "vmax": every.max()} if len(every) else {}
    size = (4.4 * len(maps) + 1.4, 4.2)
    figure, panels = plt.subplots(1, len(maps), figsize=size, sharey=True, squeeze=False)
    for axes, (name, (frequency_edges, means)) in zip(panels.flat, cells.items(), strict=True):
        mesh = axes.pcolormesh(frequency_edges, share_edges, means.T, cmap="cividis", **scale)
        axes.set_xscale("log")
        axes.grid(False)
        axes.set(title=name, xlabel="training rows with the label")
    panels[0, 0].set(ylabel="share among the neighbours")
    figure.colorbar(mesh, ax=panels, label=label)
    return figure


def _mean_thresholds(pairs, share_edges, min_pairs):
    """Return edges of frequency, and the mean threshold of each cell, NaN where pairs are few."""
    top = max(10, pairs["frequency"].max())
    frequency_edges = np.concatenate([[0.5], np.geomspace(1.5, top * 1.01, 14)])
    x, y = np.maximum(pairs["frequency"], 0.6), pairs["share"]
    counts, *_ = np.histogram2d(x, y, bins=[frequency_edges, share_edges])
    sums, *_ = np.histogram2d(x, y, bins=[frequency_edges, share_edges], weights=pairs["theta"])
    return frequency_edges, np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts >= min_pairs)


def plot_explanation(explanation, *, title=None, neighbors=None):
    """Draw how the terms of one decision add up, and beside it where its neighbours lie.

    A waterfall from 0 to the fused logit, the threshold as a dashed line, and from there the margin.
    ``neighbors`` has columns weight, carries (whether the neighbour carries the label) and shown (its text),
    the nearest first.
    """
    n_panels = 1 if neighbors is None else 2
    figure, panels = plt.subplots(n_panels, figsize=(7.6, 2.9 * n_panels), squeeze=False)
    _draw_terms(panels[0, 0], explanation)
    if title:
        figure.suptitle(title, fontsize=plt.rcParams["axes.titlesize"], parse_math=False)
    if neighbors is not None:
        _draw_neighbors(panels[1, 0], neighbors)
    return figure


def plot_points(frame, *, names, panels, color=None, intervals=False, ylabel=None):
    """Draw one line a name: small dots for repetitions, a large one for their mean, one panel a column.

    ``panels`` says of the drawn columns what each is and its unit; the column ``color`` tells points on one
    line apart. ``intervals``: columns low and high are drawn, too, of repetitions their means. Without them
    axes begin at 0 where nothing is less, so that no difference looks larger than it is.
    """
    order = list(frame[names].unique())
    kinds = [None] if color is None else list(frame[color].unique())
    height = (0.3 if color is None else 0.1 + 0.16 * len(kinds)) * len(order) + 1.5
    size = (3.4 * len(panels) + 3.0, height)
    figure, grid = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for axes, (column, label) in zip(grid.flat, panels.items(), strict=True):
        for i, (kind, shade, marker) in enumerate(zip(kinds, _colors(kinds), MARKERS, strict=False)):
            part = frame if color is None else frame[frame[color] == kind]
            shift = 0.7 * (i - (len(kinds) - 1) / 2) / len(kinds)
            means = part.groupby(names, sort=False).mean(numeric_only=True)
            if color is None:
                shade = [COLOR_OF.get(str(name).partition(",")[0], shade) for name in means.index]
            at = np.array([order.index(name) for name in means.index]) + shift
            if intervals:
                axes.hlines(at, means["low"], means["high"], color=shade, linewidth=1.5)
            else:
                single = [order.index(name) + shift for name in part[names]]
                axes.scatter(part[column], single, s=10, color="0.5", alpha=0.5, linewidth=0)
            axes.scatter(means[column], at, s=36, color=shade, marker=marker, label=kind)
        axes.set(xlabel=label)
        if not intervals and frame[column].min() >= 0:
            axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=6)  # more would touch each other
        axes.grid(False, axis="y")
    first = grid[0, 0]
    first.set_yticks(range(len(order)), [str(name) for name in order])
    first.set(ylabel=names if ylabel is None else ylabel, ylim=(len(order) - 0.5, -0.5))
    if color is not None:
        figure.legend(
            *first.get_legend_handles_labels(), loc="outside lower center", ncols=min(3, len(kinds))
        )
    return figure


def _draw_reliability(axes, curves):
    """Draw the curves of one panel and the diagonal."""
    drawn = []
    for (name, (predicted, observed, *counts)), color in zip(curves.items(), _colors(curves), strict=True):
        shown = (np.asarray(predicted) > 0) & (np.asarray(observed) > 0)
        x, y = np.asarray(predicted)[shown], np.asarray(observed)[shown]
        sizes = 15 + 85 * np.asarray(counts[0])[shown] / np.max(counts[0], initial=1) if counts else 25
        axes.plot(x, y, color=color, label=name)
        axes.scatter(x, y, s=sizes, color=color)
        drawn += [*x, *y]
    low, high = min(drawn, default=0.1) / 1.5, max(drawn, default=1.0) * 1.5
    axes.plot(
        [low, high], [low, high], color="0.5", linestyle="--", linewidth=1, label="perfectly calibrated"
    )
    axes.set(
        xlabel="mean predicted probability",
        ylabel="share of pairs that carry the label",
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
    )


def _draw_terms(axes, explanation):
    """Draw the waterfall of one decision."""
    terms = {
        f"base score ({explanation.score:.3f})": explanation.base_term,
        "label's rarity": explanation.rarity_term,
        "neighbours' labels": explanation.neighbor_term,
    }
    if explanation.text_term:
        terms["label's text"] = explanation.text_term
    ends = np.cumsum(list(terms.values()))
    starts = np.r_[0, ends[:-1]]
    axes.axvline(0, color="0.5", linewidth=1)
    bars = [
        (name, start, end, COLORS[0] if end >= start else COLORS[1])
        for name, start, end in zip(terms, starts, ends, strict=True)
    ]
    if np.isfinite(explanation.fused_threshold):
        bars.append(("margin over the threshold", explanation.fused_threshold, ends[-1], COLORS[2]))
        axes.axvline(explanation.fused_threshold, color="black", linestyle="--", linewidth=1.2, zorder=3)
        axes.annotate(
            f"threshold {signed(explanation.fused_threshold, 2)}",
            (explanation.fused_threshold, 1),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
        )
    for position, (_, start, end, color) in enumerate(bars):
        axes.barh(position, end - start, left=start, height=0.6, color=color)
        axes.annotate(
            signed(end - start, 2),
            (max(start, end), position),
            (4, 0),
            textcoords="offset points",
            va="center",
        )
    for position, end in enumerate(ends):  # where the next bar takes over
        axes.plot([end, end], [position, position + (position < len(bars) - 1)], color="0.4", linewidth=1)
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
    axes.invert_yaxis()
    axes.use_sticky_edges = False  # bars that end at the frame would hide what is written beside them
    axes.margins(x=0.12)
    axes.grid(False, axis="y")
    verdict = "predicted" if explanation.predicted else "not predicted"
    axes.set(xlabel=f"fused logit ({verdict})", ylabel="term")


def _draw_neighbors(axes, neighbors):
    """Draw the weights of neighbours; full bars carry the label."""
    styles = {
        True: {"facecolor": COLORS[0], "label": "carries the label"},
        False: {"facecolor": "white", "hatch": "///", "label": "does not"},
    }
    for carries, style in styles.items():
        at = np.flatnonzero(neighbors["carries"].to_numpy() == carries)
        axes.barh(at, neighbors["weight"].to_numpy()[at], height=0.6, edgecolor=COLORS[0], **style)
    shown = [textwrap.fill(text, 40) for text in neighbors["shown"]]
    axes.set_yticks(range(len(shown)), shown, fontsize=8.5, parse_math=False)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(xlabel="weight among the neighbours", ylabel="nearest training rows")
    axes.legend(loc="lower right")


def _label(metric):
    """Write a metric's name as text."""
    return metric.replace("_f1", "-F1").replace("_", " ")


def _colors(names):
    """Return colours that differ: those that names have everywhere, for the others what is left of the cycle.

    Where too few are left, all are steps from dark to light.
    """
    names = list(names)
    fixed = [COLOR_OF.get(name) for name in names]
    left = [color for color in COLORS if color not in fixed]
    if fixed.count(None) > len(left):
        return list(plt.get_cmap("viridis")(np.linspace(0, 0.95, len(names))))
    return [color or left.pop(0) for color in fixed]


def described(figure):
    """Say in words what a figure shows, for those who cannot see it: axes, lines and what is compared."""
    below = figure.get_supxlabel()
    axes_drawn = dict.fromkeys(
        ": ".join(part for part in (axes.get_title(), _against(axes, below)) if part) for axes in figure.axes
    )
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()] if figure.axes else []
    words = {
        "Axes": [axes for axes in axes_drawn if axes],
        "Lines": [tick for tick in ticks if any(map(str.isalpha, tick))],
        "Compared": dict.fromkeys(text.get_text() for legend in legends for text in legend.get_texts()),
    }
    said = " ".join(f"{what}: {'; '.join(named)}." for what, named in words.items() if named)
    return " ".join(said.split())  # lines of a label are one


def _against(axes, below):
    """Name what an axes draws against what."""
    x, y = axes.get_xlabel() or below, axes.get_ylabel()
    return f"{y} against {x}" if x and y else x or y
