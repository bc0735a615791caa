"""The figures that several notebooks draw: arrays in, a matplotlib figure out."""

import matplotlib.pyplot as plt
import numpy as np

# Okabe and Ito's colours, distinguishable with every common colour-vision deficiency; black is kept for text.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
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


def plot_longtail(train_frequency, *, boundaries=(1, 6, 21, 101)):
    """Draw the labels' training frequencies in falling order, with the bins of the metrics.

    Parameters
    ----------
    train_frequency : array-like of shape (n_labels,)
        Training rows per label.
    boundaries : sequence of int, default=(1, 6, 21, 101)
        Smallest frequency of every bin but the first.

    Returns
    -------
    matplotlib.figure.Figure
        Both axes logarithmic; labels that never occur are counted in the legend.
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


def plot_reliability(curves):
    """Draw observed against predicted probability, one line per model.

    Parameters
    ----------
    curves : dict of str to tuple of array-like
        For every model its mean predicted probability and its observed share of positives per bin,
        and optionally the bin's number of pairs, which sizes the markers.

    Returns
    -------
    matplotlib.figure.Figure
        Equal linear axes from 0 to 1; the diagonal is perfect calibration.
    """
    figure, axes = plt.subplots(figsize=(5.2, 5.0))
    axes.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="perfectly calibrated")
    for (name, (predicted, observed, *counts)), colour in zip(
        curves.items(), _colours(len(curves)), strict=True
    ):
        axes.plot(predicted, observed, color=colour, label=name)
        sizes = 15 + 85 * np.asarray(counts[0]) / np.max(counts[0]) if counts else 25
        axes.scatter(predicted, observed, s=sizes, color=colour)
    axes.set(
        xlabel="mean predicted probability",
        ylabel="share of pairs that carry the label",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    axes.legend(loc="upper left")
    return figure


def plot_bars_by_bin(values, *, bins, ylabel="macro-F1", xlabel="training rows with the label", errors=None):
    """Draw grouped bars: one group per frequency bin, one bar per method.

    Parameters
    ----------
    values : dict of str to array-like of shape (n_bins,)
        One value per bin for every method.
    bins : sequence of str
        The bins' names.
    ylabel, xlabel : str
        What the axes show.
    errors : dict of str to array-like of shape (n_bins,), optional
        Half the length of the error bars, for the methods that have them.

    Returns
    -------
    matplotlib.figure.Figure
        The legend stands above the bars, so that it can hide none.
    """
    figure, axes = plt.subplots(figsize=(max(6.4, 0.28 * len(values) * len(bins) + 1.5), 4.2))
    width = 0.8 / len(values)
    positions = np.arange(len(bins))
    for i, ((name, heights), colour) in enumerate(zip(values.items(), _colours(len(values)), strict=True)):
        offset = (i - (len(values) - 1) / 2) * width
        error = (errors or {}).get(name)
        axes.bar(positions + offset, heights, width, yerr=error, label=name, color=colour, error_kw={"lw": 1})
    axes.set_xticks(positions, bins)
    axes.grid(False, axis="x")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside upper center", ncols=min(3, len(values)))
    return figure


def plot_training_curves(history, *, panels=None, xlabel="epoch"):
    """Draw one panel per group of recorded quantities over the epochs.

    Parameters
    ----------
    history : dict of str to array-like of shape (n_epochs,)
        What the training loop recorded, one value per epoch. ``"epoch"``, if there, gives the
        horizontal axis.
    panels : dict of str to sequence of str, optional
        For every panel its vertical axis' label and the recorded names drawn in it; None draws every
        quantity in its own panel.
    xlabel : str, default="epoch"
        What the horizontal axis counts.

    Returns
    -------
    matplotlib.figure.Figure
        At most three panels side by side.

    Raises
    ------
    ValueError
        If a panel asks for a quantity that was not recorded.
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
            axes.plot(epochs, history[name], marker="o", markersize=3, label=name)
        axes.set(xlabel=xlabel, ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(drawn) > 1:
            axes.legend()
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    return figure


def _colours(n):
    """Return n colours, repeating the cycle when there are more lines than colours."""
    return [COLOURS[i % len(COLOURS)] for i in range(n)]
