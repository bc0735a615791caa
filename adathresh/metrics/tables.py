"""What the metrics return, as small tables to read: text where they are printed, HTML in notebooks."""

from collections.abc import Mapping

from adathresh.metrics.frequency_bins import FREQUENCY_BINS
from adathresh.utils.display import Table

METRIC_NAMES = {
    "macro_f1": "macro-F1",
    "macro_f1_present": "macro-F1 present",
    **{f"macro_f1_{suffix}": f"macro-F1, {name} training rows" for name, suffix in FREQUENCY_BINS.items()},
    "micro_f1": "micro-F1",
    "samples_f1": "samples-F1",
    **{f"precision_at_{k}": f"precision@{k}" for k in (1, 3, 5)},
    **{f"psp_at_{k}": f"PSP@{k}" for k in (1, 3, 5)},
    "macro_auroc": "macro-AUROC",
    **{
        f"macro_auroc_{suffix}": f"macro-AUROC, {name} training rows"
        for name, suffix in FREQUENCY_BINS.items()
    },
    "ece_candidates": "ECE, candidate pairs",
    "ece_all": "ECE, all pairs",
    "brier_candidates": "Brier score, candidate pairs",
    "brier_all": "Brier score, all pairs",
    "log_loss_candidates": "log-loss, candidate pairs",
    "log_loss_all": "log-loss, all pairs",
    "coverage_at_precision_0_9": "coverage at a precision of 0.9",
}
"""How each metric is called where it is shown, as in the glossary."""


def evaluation_table(results: Mapping[str, Mapping[str, float]]) -> Table:
    """Show what :func:`evaluate` returned for one prediction, or for several side by side.

    Parameters
    ----------
    results : dict of str to dict
        What :func:`evaluate` returned for each prediction, by the prediction's name.

    Returns
    -------
    Table
        A line for each metric and a column for each prediction, to three decimals: text where it is printed,
        HTML in a notebook.

    Raises
    ------
    TypeError
        If results are not dicts by name.

    Examples
    --------
    >>> from adathresh.metrics import evaluate, evaluation_table
    >>> evaluation_table({"mine": evaluate([[1, 0], [1, 1]], [[1, 0], [1, 0]])})
    metric             mine
    macro-F1          0.500
    macro-F1 present  0.500
    micro-F1          0.800
    samples-F1        0.833
    """
    _check_named(results, "results", "{'mine': evaluate(...)}")
    metrics = dict.fromkeys(metric for found in results.values() for metric in found)
    lines = [
        (METRIC_NAMES.get(metric, metric), *(found.get(metric) for found in results.values()))
        for metric in metrics
    ]
    return Table([("metric", ""), *((str(name), ".3f") for name in results)], lines)


def comparison_table(differences: Mapping[str, Mapping[str, float]]) -> Table:
    """Show the differences and intervals that :func:`paired_bootstrap` returned.

    Parameters
    ----------
    differences : dict of str to dict
        What :func:`paired_bootstrap` or :func:`paired_macro_auroc` returned.

    Returns
    -------
    Table
        A line for each comparison, to three decimals: the difference, its 95 % interval, and whether ours is
        greater or less than the other, or level with it because the interval holds 0. (A greater F1 is
        better, a greater ECE or Brier score worse.) Text where it is printed, HTML in a notebook.

    Raises
    ------
    TypeError
        If differences are not dicts by name.
    ValueError
        If one of them lacks the difference or an end of its interval.

    Examples
    --------
    >>> from adathresh.metrics import comparison_table, paired_bootstrap
    >>> Y, ours, theirs = [[1], [1], [0]] * 9, [[1], [1], [0]] * 9, [[0], [1], [1]] * 9
    >>> comparison_table(paired_bootstrap(Y, ours, {"theirs": theirs}))
    compared with  difference     low    high  ours is
    theirs             +0.500  +0.290  +0.710  greater
    """
    names = ("difference", "low", "high")
    _check_named(differences, "differences", "what paired_bootstrap returns")
    lacking = next((name for name, found in differences.items() if not found.keys() >= {*names}), None)
    if lacking is not None:
        raise ValueError(f"differences[{lacking!r}] must have each of {', '.join(names)}.")
    numbers = [(name, "+.3f") for name in names]
    lines = [
        (METRIC_NAMES.get(name, name), found["difference"], found["low"], found["high"], _verdict(found))
        for name, found in differences.items()
    ]
    return Table([("compared with", ""), *numbers, ("ours is", "")], lines)


def _check_named(results, name, example):
    """Refuse anything but dicts by name."""
    if not isinstance(results, Mapping) or not all(isinstance(each, Mapping) for each in results.values()):
        raise TypeError(f"{name} must be a dict of dicts by name, such as {example}.")


def _verdict(found):
    """Say on which side of 0 the whole interval lies; limits may be NaN."""
    if found["low"] > 0:
        return "greater"
    if found["high"] < 0:
        return "less"
    return "level" if found["low"] <= 0 <= found["high"] else "not known"
