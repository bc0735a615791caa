"""What notebook 17 claims, read off its tables."""

from adathresh.experiments.core.claims import yes_claim
from adathresh.experiments.core.sentences import signed
from adathresh.experiments.nb17_protocol.ceilings import AMAZONCAT, LAWS


def claims(tables):
    """Say what choice of the epoch, batch, loss and number of rows do to the figure; means over seeds."""
    return [
        *_selection(tables["selection"], tables["batches"]),
        *_attribution(tables["attribution"]),
        _ceiling(tables["ceiling"]),
    ]


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
    fixed, released = _without_learnt_threshold(attribution)
    return [
        yes_claim(
            "More than half of the released figure needs no learnt threshold",
            fixed > released / 2,
            f"{fixed:.3f} of {released:.3f} after as many epochs",
        )
    ]


def _without_learnt_threshold(attribution):
    """Return the best macro-F1 with θ = 0.5, and the released one after as many epochs."""
    fixed = attribution[attribution["threshold"] == "0.5"]
    fixed = fixed.groupby(["pos_weight", "row_standardised"])["macro_f1"].mean().max()
    return fixed, attribution[attribution["threshold"] == "learnt, labels released"]["macro_f1"].mean()


def _ceiling(ceiling):
    """Claim what no macro-F1 on 10,000 rows of AmazonCat-13K can exceed."""
    row = _of_amazoncat(ceiling)
    return yes_claim(
        "Macro-F1 on 10,000 rows of AmazonCat-13K cannot exceed 0.4",
        row["high"] < 0.4,
        f"{row['ceiling']:.3f}",
    )


def _of_amazoncat(ceiling):
    """Return the ceiling by the law with most parameters."""
    return ceiling[(ceiling["totals_of"] == AMAZONCAT) & (ceiling["law"] == LAWS[-1])].iloc[0]


def finding(tables):
    """Answer the notebook's question from its tables: epoch, batch, loss, number of evaluated rows."""
    chosen = tables["selection"].query("signals == 'released'").groupby("epoch_chosen_on")["macro_f1"].mean()
    by_size = tables["batches"].query("signals == 'released'").groupby("batch_size")["macro_f1"].mean()
    fixed, released = _without_learnt_threshold(tables["attribution"])
    row = _of_amazoncat(tables["ceiling"])
    return (
        f"Choosing the epoch on the reported rows changes macro-F1 by "
        f"{signed(chosen['the reported rows'] - chosen['other rows'])}, the size of the evaluation batch by "
        f"up to {by_size.max() - by_size.min():.4f}. Without any learnt threshold {fixed:.3f} is reached "
        f"where the released protocol reports {released:.3f} after as many epochs. On 10,000 rows of "
        f"AmazonCat-13K no macro-F1 can exceed {row['ceiling']:.3f} (95 % interval {row['low']:.3f} to "
        f"{row['high']:.3f}), since the other labels have no row there."
    )
