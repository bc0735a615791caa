"""The figures that several notebooks draw: arrays in, a matplotlib figure out."""

import itertools
import textwrap

import matplotlib.pyplot as plt
import numpy as np

from adathresh.experiments.core.sentences import signed
from adathresh.metrics import FREQUENCY_EDGES

# Okabe and Ito's colours, distinguishable with every common colour-vision deficiency; black is kept for text.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "figure.constrained_layout.use": True,
    "figure.dpi": 80,  # on screen and inside notebooks, which must stay small; files are written with 120
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
                xytext=(-4, -4),
                textcoords="offset points",
                rotation=90,
                ha="right",
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


def plot_bars_by_bin(values, *, bins, ylabel="macro-F1", xlabel="training rows with the label", errors=None):
    """Draw grouped bars: one group a frequency bin, one bar a method; no group where no method has a value.

    ``errors``, of the methods that have them, are half the length of the error bars.
    """
    kept = ~np.isnan(np.array(list(values.values()), dtype=float)).all(axis=0)
    values, errors = (
        {name: np.asarray(heights)[kept] for name, heights in given.items()}
        for given in (values, errors or {})
    )
    bins = [name for name, keep in zip(bins, kept, strict=True) if keep]
    figure, axes = plt.subplots(figsize=(max(6.4, 0.28 * len(values) * len(bins) + 1.5), 4.2))
    width = 0.8 / len(values)
    positions = np.arange(len(bins))
    for i, ((name, heights), color) in enumerate(zip(values.items(), _colors(len(values)), strict=True)):
        offset = (i - (len(values) - 1) / 2) * width
        error = errors.get(name)
        axes.bar(positions + offset, heights, width, yerr=error, label=name, color=color, error_kw={"lw": 1})
    axes.set_xticks(positions, bins)
    axes.grid(False, axis="x")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=min(3, len(values)))
    return figure


def plot_training_curves(history, *, panels=None, xlabel="epoch"):
    """Draw recorded quantities over the epochs, one panel a group of them.

    ``history`` has one value an epoch for each name; "epoch", if there, gives the horizontal axis. ``panels``
    has for every panel's vertical label the names drawn in it; None draws each in a panel of its own.
    """
    names = [name for name in history if name != "epoch"]
    panels = {name: [name] for name in names} if panels is None else panels
    unknown = [name for drawn in panels.values() for name in drawn if name not in history]
    if unknown:
        raise ValueError(f"history has no {unknown[0]!r}; it holds {', '.join(names)}.")
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure, grid = plt.subplots(n_rows, n_columns, figsize=(3.6 * n_columns, 3.0 * n_rows), squeeze=False)
    for axes, (label, drawn) in zip(grid.flat, panels.items(), strict=False):
        for name in drawn:
            epochs = history.get("epoch", np.arange(1, len(history[name]) + 1))
            axes.plot(epochs, history[name], marker="o", markersize=3, label=name.replace("_", " "))
        axes.set(xlabel=xlabel, ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(drawn) > 1:
            axes.legend()
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
            color=_colors(len(colors))[colors.index(point[color])],
            marker=shape,
            edgecolor="white",
            linewidth=0.5,
        )
    for name, color_ in zip(colors, _colors(len(colors)), strict=True):
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
    axes.invert_yaxis()
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
    axes.invert_yaxis()
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
    for (column, label), color, marker in zip(points.items(), COLORS, ("o", "s", "D"), strict=False):
        axes.scatter(means[column], at, s=45, color=color, marker=marker, label=label, zorder=2)
    axes.set_yticks(at, means.index)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(xlabel=xlabel, ylabel=names if ylabel is None else ylabel)
    figure.legend(loc="outside lower center", ncols=len(points))
    return figure


def plot_threshold_map(pairs, *, label="mean threshold θ (logit)", min_pairs=20):
    """Draw the mean threshold over label frequency and neighbour share.

    ``pairs`` has columns frequency (training rows of the label, 0 or more), share (in [0, 1]) and theta. A
    cell with fewer than ``min_pairs`` pairs stays empty.
    """
    top = max(10, pairs["frequency"].max())
    frequency_edges = np.concatenate([[0.5], np.geomspace(1.5, top * 1.01, 14)])
    share_edges = np.linspace(0, 1, 11)
    x, y = np.maximum(pairs["frequency"], 0.6), pairs["share"]
    counts, *_ = np.histogram2d(x, y, bins=[frequency_edges, share_edges])
    sums, *_ = np.histogram2d(x, y, bins=[frequency_edges, share_edges], weights=pairs["theta"])
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts >= min_pairs)
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    mesh = axes.pcolormesh(frequency_edges, share_edges, means.T, cmap="cividis")
    axes.set_xscale("log")
    axes.grid(False)
    axes.set(xlabel="training rows with the label", ylabel="share among the neighbours")
    figure.colorbar(mesh, label=label)
    return figure


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
    line apart. ``intervals``: columns low and high are drawn, too, of repetitions their means.
    """
    order = list(frame[names].unique())
    kinds = [None] if color is None else list(frame[color].unique())
    height = (0.3 if color is None else 0.1 + 0.16 * len(kinds)) * len(order) + 1.5
    size = (3.4 * len(panels) + 3.0, height)
    figure, grid = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for axes, (column, label) in zip(grid.flat, panels.items(), strict=True):
        for i, (kind, shade, marker) in enumerate(zip(kinds, _colors(len(kinds)), MARKERS, strict=False)):
            part = frame if color is None else frame[frame[color] == kind]
            shift = 0.7 * (i - (len(kinds) - 1) / 2) / len(kinds)
            means = part.groupby(names, sort=False).mean(numeric_only=True)
            at = np.array([order.index(name) for name in means.index]) + shift
            if intervals:
                axes.hlines(at, means["low"], means["high"], color=shade, linewidth=1.5)
            else:
                single = [order.index(name) + shift for name in part[names]]
                axes.scatter(part[column], single, s=10, color=shade, alpha=0.5, linewidth=0)
            axes.scatter(means[column], at, s=36, color=shade, marker=marker, label=kind)
        axes.set(xlabel=label)
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
    for (name, (predicted, observed, *counts)), color in zip(
        curves.items(), _colors(len(curves)), strict=True
    ):
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


def _colors(n):
    """Return n colours that differ: those of the cycle, or steps from dark to light where it has too few."""
    return list(COLORS[:n]) if n <= len(COLORS) else list(plt.get_cmap("viridis")(np.linspace(0, 0.95, n)))
