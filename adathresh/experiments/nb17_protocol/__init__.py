"""Notebook 17: what the released protocol does to its figure, apart from the labels in the threshold."""

from adathresh.experiments.nb17_protocol.findings import claims, finding

__all__ = ["claims", "finding"]
