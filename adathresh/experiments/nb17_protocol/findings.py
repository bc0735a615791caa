"""What notebook 17 claims, read off its tables."""

from adathresh.experiments.core.claims import order_claim, yes_claim
from adathresh.experiments.core.sentences import counted, signed
from adathresh.experiments.nb17_protocol.ceilings import AMAZONCAT, LAWS, TRUE


def claims(tables):
    """Say what choice of the epoch, batch, loss and number of rows do to the figure; means over seeds."""
    by_size = tables["batches"].groupby(["signals", "batch_size"])["macro_f1"].mean()
    spread = {name: by_size[name].max() - by_size[name].min() for name in ("released", "withheld")}
    fixed, _, released, _ = _without_learnt_threshold(tables["attribution"])
    return [
        order_claim("Macro-F1 by the rows that choose the epoch", _chosen(tables["selection"]), digits=4),
        yes_claim(
            "The size of the evaluation batch moves the released figure, and no other",
            spread["released"] > 0 and spread["withheld"] == 0,
            f"by {spread['released']:.4f} and {spread['withheld']:.4f}",
        ),
        yes_claim(
            "More than half of the released figure needs no learnt threshold",
            fixed > released / 2,
            f"{fixed:.3f} of {released:.3f} after as many epochs",
        ),
        order_claim(
            f"Simulated ceiling on 10,000 rows of {AMAZONCAT}",
            _ceilings(tables["ceiling"], AMAZONCAT)["ceiling"],
        ),
    ]


def finding(tables):
    """Answer the notebook's question from its tables: epoch, batch, loss, number of evaluated rows."""
    chosen = _chosen(tables["selection"])
    by_size = tables["batches"].query("signals == 'released'").groupby("batch_size")["macro_f1"].mean()
    fixed, best, released, n_epochs = _without_learnt_threshold(tables["attribution"])
    amazoncat = _ceilings(tables["ceiling"], AMAZONCAT)["ceiling"]
    (own,) = set(tables["ceiling"]["totals_of"]) - {AMAZONCAT}
    here = _ceilings(tables["ceiling"], own)
    true = here.loc[TRUE]
    return (
        f"Choosing the epoch on the reported rows is worth "
        f"{signed(chosen['the reported rows'] - chosen['other rows'])} macro-F1, the size of the evaluation "
        f"batch up to {by_size.max() - by_size.min():.4f}. With θ = 0.5 in place of the learnt thresholds, "
        f"and all else as released, {fixed:.3f} is reached where the released protocol has {released:.3f}, "
        f"both after {counted(n_epochs, 'epoch')} (the best loss without them: {best:.3f}). Simulated from "
        f"published totals, the ceiling on 10,000 rows of AmazonCat-13K is {amazoncat[LAWS[0]]:.2f}, "
        f"{amazoncat[LAWS[1]]:.2f} or {amazoncat[LAWS[2]]:.2f}, by the law of the label frequencies; on this "
        f"data set the last law gives {here.loc[LAWS[2], 'ceiling']:.2f} where the true frequencies give "
        f"{true['ceiling']:.2f} (95 % interval over draws {true['low']:.2f} to {true['high']:.2f})."
    )


def _chosen(selection):
    """Return macro-F1 as released by the rows that choose the epoch, mean over seeds."""
    return selection.query("signals == 'released'").groupby("epoch_chosen_on")["macro_f1"].mean()


def _without_learnt_threshold(attribution):
    """Return macro-F1 with θ = 0.5: all else as released, and the best; that as released; the epochs of all.

    Means over seeds.
    """
    means = attribution.groupby(["threshold", "pos_weight", "row_standardised"])["macro_f1"].mean()
    return (
        means["0.5", 10.0, True],
        means["0.5"].max(),
        means["learnt, labels released"].iloc[0],
        attribution["epoch"].max(),
    )


def _ceilings(ceiling, name):
    """Return the ceilings of one data set by law, mean over seeds."""
    columns = ["ceiling", "low", "high"]
    return ceiling[ceiling["totals_of"] == name].groupby("law", sort=False)[columns].mean()
