"""Notebook 13: what rows that belong together change, in the evaluation and as knowledge."""

from adathresh.experiments.nb13_groups.findings import claims, finding

__all__ = ["claims", "finding"]
