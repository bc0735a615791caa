"""What the tables of blocks say."""

from adathresh.experiments.core.claims import interval_claims, order_claim
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.core.sentences import listed, mean_differences, percent, with_interval
from adathresh.experiments.nb14_blocks.scoring import ALONE, EQUAL, FUSED, LINEAR, MISSING, NEIGHBORS
from adathresh.experiments.nb14_blocks.views import BOTH, CHOSEN_LAYERS, LAYERS


def claims(tables):
    """Say what both blocks and a missing one change, which block alone is better, and which weighs more."""
    found = interval_claims(tables["block_differences"], "{metric} on the scores of {base}, {a} minus {b}")
    for base, rows in tables["block_choice"].groupby("base", sort=False):
        alone = rows.groupby("block")["fitting_macro_f1"].mean()
        found.append(order_claim(f"Each block alone on the fitting rows, {base}", alone))
    for choice, rows in tables["block_weights"].groupby("choice", sort=False):
        found.append(order_claim(f"Weights of the blocks, {choice}", rows.groupby("block")["weight"].mean()))
    return found


def finding(tables):
    """Answer the notebook's question from its tables: both blocks, then one missing."""
    choice = tables["block_choice"]
    blocks, chosen = list(dict.fromkeys(choice["block"])), choice[choice["chosen"]]
    better = chosen.groupby("base", sort=False)["block"].first()
    macro, micro = (_of_metric(tables["block_differences"], metric) for metric in ("macro_f1", "micro_f1"))
    of_macro, of_micro = (
        [found.loc[base, BOTH, ALONE.format(alone)] for base, alone in better.items()]
        for found in (macro, micro)
    )
    shown = [
        f"{with_interval(row, named=base == NEIGHBORS)} with {base}"
        for base, row in zip(better.index, of_macro, strict=True)
    ]
    fused = [with_interval(macro.loc[base, BOTH, FUSED]) for base in better.index]
    named = ", ".join(f"{base}: {alone}" for base, alone in better.items())
    return (
        f"Against the block that is the better one alone on the fitting rows ({named}), both blocks "
        f"({listed(blocks)}) in one matrix change the macro-F1 of `{OURS}` by {listed(shown)}, and its "
        f"micro-F1 by {listed([with_interval(row) for row in of_micro])}. Against one model a block, whose "
        f"scores are fused, they change macro-F1 by {listed(fused)}{_of_chosen_weights(macro)}. "
        f"{_with_one_missing(tables['blocks'], macro, blocks)}"
    )


def _of_chosen_weights(macro):
    """Say what weights and layers change that the fitting rows choose, where there are others to compare."""
    last, found = ALONE.format(LAYERS[-1]), macro.loc[NEIGHBORS]
    named = {(BOTH, EQUAL): ("weights", "equal ones"), (CHOSEN_LAYERS, last): ("layers", last)}
    changes = [
        f"chosen {ours} change it by {with_interval(found.loc[pair])} against {others}"
        for pair, (ours, others) in named.items()
        if pair in found.index
    ]
    return f"; with {NEIGHBORS}, {listed(changes)}" if changes else ""


def _of_metric(differences, metric):
    """Return the differences in one metric by base model and what is compared."""
    return mean_differences(differences[differences["metric"] == metric], ["base", "a", "b"])


def _with_one_missing(values, macro, blocks):
    """Say what is left where a block is missing from the test rows of the linear model."""
    means = values[values["base"] == LINEAR].groupby("blocks")["macro_f1"].mean()
    parts = []
    for name, alone in zip(blocks, blocks[::-1], strict=True):
        missing, alone = MISSING.format(name), ALONE.format(alone)
        parts.append(
            f"{percent(means[missing] / means[BOTH])} where the test rows have no {name}, "
            f"{with_interval(macro.loc[LINEAR, missing, alone])} against a model of {alone}"
        )
    return f"Of its macro-F1 the linear model of both keeps {'; and '.join(parts)}."
