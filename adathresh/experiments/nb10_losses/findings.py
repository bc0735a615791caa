"""What the tables of losses and output codes say."""

from adathresh.experiments.core.claims import ABOVE, BELOW, interval_claims, outcome_of
from adathresh.experiments.core.config import PROFILES
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
        f"{_how_trained(tables['losses'])} With the threshold that each was trained for, "
        f"{_counts(found.loc[OWN])} than plain cross-entropy; the best, {own.name}, differs from it by "
        f"{with_interval(own, named=True)}. With one threshold fitted on the validation rows, "
        f"{_counts(found.loc[FITTED])}, and the best, {fitted.name}, differs by {with_interval(fitted)}. "
        f"{_of_codes(tables['codes'])}"
    )


def _how_trained(losses):
    """Say on how many rows the losses were trained, and with which settings."""
    rows = max(profile.ablation_rows for profile in PROFILES.values())
    if (losses["setting"] == "default").all():
        settings = "with the settings of their papers, untuned"
    else:
        settings = "with a main setting that the validation rows chose"
    return f"The losses are trained on at most {rows:,} rows, {settings}."


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
    level = [name for name, row in found.iterrows() if outcome_of(row) != BELOW]
    name = level[0] if level else found.index[-1]
    sizes = rows.groupby("method")[["layer_parameters", "layer_mb"]].first()
    learnt, memory = (percent(share) for share in sizes.loc[name] / sizes.loc[FULL])
    size = f"{learnt} of its trained parameters and {memory} of its memory, code words included"
    figures = with_interval(found.loc[name])
    if level:
        return (
            f"With a fitted global threshold an output code of {name} is not clearly worse than the full "
            f"layer, {figures}, with {size}."
        )
    return (
        f"With a fitted global threshold every output code costs macro-F1 against the full layer; {name}, "
        f"with {size}, still {figures}."
    )
