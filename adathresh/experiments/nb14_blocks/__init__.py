"""Notebook 14: several blocks of features of the same rows, and one of them missing at prediction."""

from adathresh.experiments.nb14_blocks.findings import claims, finding

__all__ = ["claims", "finding"]
