"""Notebook 10: other losses and shorter output layers in place of the paper's, in the same network."""

from adathresh.experiments.nb10_losses.findings import claims, finding

__all__ = ["claims", "finding"]
