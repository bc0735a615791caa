"""What the tables of losses and output codes say."""

from adathresh.experiments.core.claims import ABOVE, BELOW, interval_claims, outcome_of
from adathresh.experiments.core.sentences import mean_differences, percent, with_interval
from adathresh.experiments.nb10_losses.judging import FITTED, FULL, OWN
from adathresh.experiments.nb10_losses.trainings import CROSS_ENTROPY


def claims(tables):
    """Say of every loss and every output code whether its macro-F1 is greater, with both thresholds."""
    losses, codes = tables["loss_differences"], tables["codes"]
    losses, codes = losses[losses["metric"] == "macro_f1"], codes[codes["method"] != FULL]
    return [
        *interval_claims(losses, "Macro-F1 with {a} minus that with {b}, {rule}"),
        *interval_claims(codes, "Macro-F1 with {method} minus that with the full layer, {rule}"),
    ]


def finding(tables):
    """Answer the notebook's question from its tables: losses with either threshold, then output codes."""
    losses = tables["loss_differences"]
    shown = (losses["metric"] == "macro_f1") & (losses["b"] == CROSS_ENTROPY)
    found = mean_differences(losses[shown], ["rule", "a"])
    own, fitted = (_best(found.loc[rule]) for rule in (OWN, FITTED))
    return (
        f"With the threshold that each was trained for, {_counts(found.loc[OWN])} than plain cross-entropy; "
        f"the best, {own.name}, differs from it by {with_interval(own, named=True)}. With one threshold "
        f"fitted on the validation rows, {_counts(found.loc[FITTED])}, and the best, {fitted.name}, differs "
        f"by {with_interval(fitted)}. {_of_codes(tables['codes'])}"
    )


def _counts(found):
    """Count the losses whose macro-F1 is clearly greater, and those where it is clearly smaller."""
    outcomes = [outcome_of(row) for _, row in found.iterrows()]
    return (
        f"{outcomes.count(ABOVE)} of {len(outcomes)} losses have a clearly greater macro-F1 and "
        f"{outcomes.count(BELOW)} a clearly smaller one"
    )


def _best(found):
    """Return the loss of the greatest difference, and the difference."""
    return found.loc[found["difference"].idxmax()]


def _of_codes(codes):
    """Say how short an output layer may be, with the fitted threshold."""
    rows = codes[codes["rule"] == FITTED]
    found = mean_differences(rows[rows["method"] != FULL], "method")
    if found.empty:
        return "The labels are too few for a shorter output layer."
    size = rows.groupby("method")["layer_parameters"].first()
    level = [name for name, row in found.iterrows() if outcome_of(row) != BELOW]
    name = level[0] if level else found.index[-1]
    share, figures = percent(size[name] / size[FULL]), with_interval(found.loc[name])
    if level:
        return (
            f"With a fitted global threshold an output code of {name}, {share} of the output layer's trained "
            f"parameters, is not clearly worse than the full layer: {figures}."
        )
    return (
        "With a fitted global threshold every output code costs macro-F1 against the full layer; "
        f"{name}, {share} of its trained parameters, still {figures}."
    )
