"""What notebook 06 claims, read off its tables."""

from adathresh.experiments.core.claims import interval_claims, order_claim, yes_claim
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.core.sentences import counted, signed, with_interval
from adathresh.experiments.nb06_leakage.ceilings import AMAZONCAT, LAWS
from adathresh.experiments.nb06_leakage.splits import AS_PUBLISHED, AT_RANDOM, WITHOUT

SHOWN = {
    "released, best epoch": "as reported",
    "labels withheld": "labels withheld",
    "leak-free": "leak-free method",
}
"""The ways to evaluate whose order is claimed, and what they are called."""


def claims(tables):
    """Say what the reported figure is made of; means over seeds."""
    reported = tables["reported"].groupby("method")["macro_f1"].mean()
    found = [
        order_claim("Macro-F1 on the reported rows", {name: reported[way] for way, name in SHOWN.items()}),
        yes_claim(
            "The labels in the threshold raise the reported macro-F1",
            reported["released, best epoch"] > reported["labels withheld"],
            f"{reported['released, best epoch']:.3f}, without them {reported['labels withheld']:.3f}",
        ),
        *_selection(tables["selection"], tables["batches"]),
        *_attribution(tables["attribution"]),
        *_training(tables["epochs"]),
        _ceiling(tables["ceiling"]),
    ]
    contrasts = tables["auroc"].query("training_rows == 'all'")
    contrasts = contrasts[contrasts["scores"].str.contains(" − ")].rename(columns={"value": "difference"})
    found += interval_claims(contrasts, "Macro-AUROC of {scores}")
    return found + _splits(tables["splits"])


def _selection(selection, batches):
    """Claim what the choice of the epoch and the evaluation batch do."""
    chosen = selection.query("signals == 'released'").groupby("epoch_chosen_on")["macro_f1"].mean()
    by_size = batches.groupby(["signals", "batch_size"])["macro_f1"].mean()
    spread = {name: by_size[name].max() - by_size[name].min() for name in ("released", "withheld")}
    return [
        yes_claim(
            "Choosing the epoch on the reported rows raises macro-F1",
            chosen["the reported rows"] > chosen["other rows"],
            f"{chosen['the reported rows'] - chosen['other rows']:+.4f}",
        ),
        yes_claim(
            "The size of the evaluation batch moves the released figure, and no other",
            spread["released"] > 0 and spread["withheld"] == 0,
            f"by {spread['released']:.4f} and {spread['withheld']:.4f}",
        ),
    ]


def _attribution(attribution):
    """Claim what is reached without any learnt threshold."""
    fixed = attribution[attribution["threshold"] == "0.5"]
    fixed = fixed.groupby(["pos_weight", "row_standardised"])["macro_f1"].mean().max()
    released = attribution[attribution["threshold"] == "learnt, labels released"]["macro_f1"].mean()
    return [
        yes_claim(
            "More than half of the released figure needs no learnt threshold",
            fixed > released / 2,
            f"{fixed:.3f} of {released:.3f} after as many epochs",
        )
    ]


def _training(epochs):
    """Claim what the labels are worth at the end of the longest training."""
    last = epochs.groupby("epoch")[["macro_f1_released", "difference"]].mean().iloc[-1]
    return [
        yes_claim(
            f"After {epochs['epoch'].max()} epochs the labels in the threshold are more than half of the "
            "figure",
            last["difference"] > last["macro_f1_released"] / 2,
            f"{last['difference']:.3f} of {last['macro_f1_released']:.3f}",
        )
    ]


def _ceiling(ceiling):
    """Claim what no macro-F1 on 10,000 rows of AmazonCat-13K can exceed."""
    row = ceiling[(ceiling["totals_of"] == AMAZONCAT) & (ceiling["law"] == LAWS[-1])].iloc[0]
    return yes_claim(
        "Macro-F1 on 10,000 rows of AmazonCat-13K cannot exceed 0.4",
        row["high"] < 0.4,
        f"{row['ceiling']:.3f}",
    )


def _splits(splits):
    """Claim what a random split does, where rows have groups."""
    ours = splits.query("rule == 'adaptive'").groupby("test_rows")["macro_f1"].mean()
    if AT_RANDOM not in ours:
        return []
    names = {AS_PUBLISHED: "as published", AT_RANDOM: "at random"}
    return [order_claim("Macro-F1 of adaptive by split", {name: ours[key] for key, name in names.items()})]


def finding(tables):
    """Answer the notebook's question from its tables: labels, choice of the epoch, batch, split."""
    epochs = tables["epochs"]
    last = epochs[epochs["epoch"] == epochs["epoch"].max()]
    auroc = tables["auroc"].query("training_rows == 'all' and scores == 'released − withheld'")
    auroc = auroc.rename(columns={"value": "difference"})[["difference", "low", "high"]].mean()
    chosen = tables["selection"].query("signals == 'released'").groupby("epoch_chosen_on")["macro_f1"].mean()
    by_size = tables["batches"].query("signals == 'released'").groupby("batch_size")["macro_f1"].mean()
    return (
        f"After {counted(last['epoch'].iloc[0], 'epoch')} the released protocol reports a macro-F1 of "
        f"{last['macro_f1_released'].mean():.3f}; without the labels in its thresholds the same weights "
        f"reach {last['macro_f1_withheld'].mean():.3f}{_over_seeds(last['difference'])}. The labels change "
        f"macro-AUROC by {with_interval(auroc, named=True)}; choosing the epoch on the reported rows changes "
        f"macro-F1 by {signed(chosen['the reported rows'] - chosen['other rows'])}, the size of the "
        f"evaluation batch by up to {by_size.max() - by_size.min():.4f}. {_other_splits(tables['splits'])}"
    )


def _over_seeds(difference):
    """Say how far the labels' part differs from seed to seed."""
    if len(difference) == 1:
        return ""
    low, high = signed(difference.min()), signed(difference.max())
    return f" (the labels' part is {low} to {high} over {len(difference)} seeds)"


def _other_splits(splits):
    """Say what another split does to the rule's macro-F1, where the rows have groups or texts."""
    ours = splits[splits["rule"] == OURS].groupby("test_rows")["macro_f1"].mean()
    published = f"{ours[AS_PUBLISHED]:.3f}"
    if AT_RANDOM in ours:
        return (
            f"A split at random, which parts rows that belong together, shows a macro-F1 of "
            f"{ours[AT_RANDOM]:.3f} for `{OURS}` where the published split shows {published}."
        )
    if WITHOUT in ours:
        return (
            f"Without the test texts that a training text equals, `{OURS}` reaches a macro-F1 of "
            f"{ours[WITHOUT]:.3f}, without as many others {ours['as many at random']:.3f}, on all test rows "
            f"{published}."
        )
    return "This data set has neither groups nor texts, so no other split is compared."
