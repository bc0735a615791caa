"""Notebook 06: what each part of the released protocol does to its figure, and what a split does."""

from adathresh.experiments.nb06_leakage.findings import claims, finding

__all__ = ["claims", "finding"]
