"""Notebook 02: every base model under every main rule; what part of a result is the model, what the rule."""

from adathresh.experiments.core.crossfit import embed_texts
from adathresh.experiments.nb02_baselines.findings import claims, finding
from adathresh.experiments.nb02_baselines.gap import gap_parts
from adathresh.experiments.nb02_baselines.judging import Judged, compared_rows, judge_all
from adathresh.experiments.nb02_baselines.published import published_rows

__all__ = [
    "Judged",
    "claims",
    "compared_rows",
    "embed_texts",
    "finding",
    "gap_parts",
    "judge_all",
    "published_rows",
]
