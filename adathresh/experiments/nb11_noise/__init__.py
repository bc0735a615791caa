"""Notebook 11: what is left of each rule when labels that it is trained on are missing or wrong."""

from adathresh.experiments.nb11_noise.findings import claims, finding

__all__ = ["claims", "finding"]
