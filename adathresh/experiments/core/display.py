"""How notebooks show tables: a caption, names in words, no row numbers, the best values in bold."""

from numbers import Integral, Real

import numpy as np
import pandas as pd

from adathresh.metrics.tables import METRIC_NAMES
from adathresh.utils.display import Table

CALIBRATION = {"ece": "ECE", "brier": "Brier score", "log_loss": "log-loss"}
"""Measures of which less is better, and how they are called where they are shown."""

MEASURES = {**METRIC_NAMES, **CALIBRATION}

_NAMES = {
    **MEASURES,
    "a": "this",
    "b": "compared with",
    "low": "from",
    "high": "to",
    "peak_memory_mb": "peak memory (MB)",
    "n_rows": "rows",
    "n_groups": "groups",
    "n_evaluated": "evaluated rows",
    "n_redraws": "redraws",
    "n_given": "thresholds found",
    "fell_short": "fell short of the promise",
    "pooled_precision": "precision over all rows",
    "pos_weight": "weight of positives",
    "row_standardised": "logits standardised by row",
    "ceiling_trained": "ceiling of labels seen in training",
    "least": "rows of the rarest label",
    "low_by_rows": "from, by rows",
    "high_by_rows": "to, by rows",
}


def summarize(rows, *, caption, by, metrics, digits=3):
    """Average the repetitions of each row: ``mean ± standard deviation``, or the single value.

    One line for each combination of the columns ``by``, in order of appearance; the best mean of each metric
    is bold.

    >>> from adathresh.experiments.core.display import summarize
    >>> rows = [{"rule": "PCut", "macro_f1": 0.1}, {"rule": "PCut", "macro_f1": 0.3}]
    >>> summarize(rows, caption="Test rows", by=["rule"], metrics=["macro_f1"])
    Test rows
    rule       macro-F1
    PCut  0.200 ± 0.141
    """
    by, metrics = list(by), list(metrics)
    groups = pd.DataFrame(rows).groupby(by, sort=False, dropna=False)[metrics]
    means, deviations, counts = groups.mean(), groups.std(), groups.count()
    names = means.index.to_frame(index=False)
    texts = [
        [_with_deviation(means, deviations, counts, (i, j), digits) for j in range(len(metrics))]
        for i in range(len(means))
    ]
    bold = {
        (i, len(by) + j)
        for j, metric in enumerate(metrics)
        for i in _best(means[metric].to_numpy(), metric, digits)
    }
    columns = [(_in_words(name), "") for name in by] + [(_in_words(name), ">") for name in metrics]
    lines = [[*map(_name, name), *cells] for name, cells in zip(names.to_numpy(), texts, strict=True)]
    return Table(columns, lines, caption, bold)


def crossed(rows, *, caption, metric, down="rule", across="base", digits=3):
    """Average a metric over the repetitions: a line for each ``down``, a column for each ``across``.

    The best mean of each column is bold; a dash stands where there is none.

    >>> from adathresh.experiments.core.display import crossed
    >>> rows = [{"base": "linear", "rule": "PCut", "macro_f1": 0.3}]
    >>> crossed(rows, caption="macro-F1 of test rows", metric="macro_f1")
    macro-F1 of test rows
    rule  linear
    PCut   0.300
    """
    groups = pd.DataFrame(rows).groupby([down, across], sort=False)[metric]
    means, deviations, counts = (
        found.unstack(across, sort=False) for found in (groups.mean(), groups.std(), groups.count())
    )
    lines = [
        [
            _name(name),
            *(_with_deviation(means, deviations, counts, (i, j), digits) for j in range(means.shape[1])),
        ]
        for i, name in enumerate(means.index)
    ]
    bold = {(i, 1 + j) for j, name in enumerate(means) for i in _best(means[name].to_numpy(), metric, digits)}
    columns = [(_in_words(down), ""), *((_name(name), ">") for name in means)]
    return Table(columns, lines, caption, bold)


def shown(frame, *, caption, digits=3):
    """Show a frame, or rows, as they are; an index with a name becomes the first column.

    >>> from adathresh.experiments.core.display import shown
    >>> shown([{"step": "fit", "peak_memory_mb": 71.25}], caption="Costs", digits=1)
    Costs
    step  peak memory (MB)
    fit               71.2
    """
    if not isinstance(frame, pd.DataFrame):
        frame = pd.DataFrame(frame, dtype=object)  # whole numbers stay whole beside others
    if frame.index.name is not None:
        frame = frame.reset_index()
    sides = [">" if all(isinstance(value, Real) for value in frame[name].dropna()) else "" for name in frame]
    columns = [(_in_words(name), side) for name, side in zip(frame, sides, strict=True)]
    lines = [[_text(frame[name].iloc[i], digits) for name in frame] for i in range(len(frame))]
    return Table(columns, lines, caption)


def _best(values, metric, digits):
    """Return where the best of several values stands, to the digits that are shown."""
    values = np.round(values, digits)
    if len(values) < 2 or np.isnan(values).all():
        return []
    if metric.startswith(tuple(CALIBRATION)):  # "ece", or "ece_candidates"
        return np.flatnonzero(values == np.nanmin(values)).tolist()
    return np.flatnonzero(values == np.nanmax(values)).tolist() if metric in METRIC_NAMES else []


def _with_deviation(means, deviations, counts, at, digits):
    """Return the text for one cell of a summary; a single value has no deviation."""
    if np.isnan(means.iat[at]):
        return "–"
    mean = f"{means.iat[at]:.{digits}f}"
    return f"{mean} ± {deviations.iat[at]:.{digits}f}" if counts.iat[at] > 1 else mean


def _text(value, digits=3):
    """Return the text for one value: whole numbers with separators, others to some digits, but never to 0."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real):
        if np.isnan(value):
            return "–"
        rounded = round(float(value), digits)
        return f"{value:.1g}" if value and not rounded else f"{rounded:,.{digits}f}"
    return "–" if value is None else MEASURES.get(value, str(value))


def _name(value):
    """Return the text for a value that names a line or a column: 10 for 10.0."""
    return (
        f"{value:g}" if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) else _text(value)
    )


def _in_words(name):
    """Return a column's name as the glossary has it, or in words."""
    return _NAMES.get(name, str(name).replace("_", " "))
