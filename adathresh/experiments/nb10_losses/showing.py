"""The figure of notebook 10."""

import pandas as pd

from adathresh.experiments.core.plotting import plot_points
from adathresh.experiments.nb10_losses.trainings import CROSS_ENTROPY


def plot_losses(differences):
    """Draw the macro-F1 of each loss against plain cross-entropy, one mark a threshold."""
    found = pd.DataFrame(differences)
    found = found[(found["metric"] == "macro_f1") & (found["b"] == CROSS_ENTROPY)]
    panels = {"difference": "macro-F1 minus plain cross-entropy's, 95 % interval"}
    figure = plot_points(found, names="a", panels=panels, color="rule", intervals=True, ylabel="loss")
    figure.axes[0].axvline(0, color="0.5", linewidth=1, zorder=0)
    return figure
