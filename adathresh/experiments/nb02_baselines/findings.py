"""What notebook 02 claims, read off its tables."""

import pandas as pd

from adathresh.experiments.core.base_models import UNSEEDED
from adathresh.experiments.core.claims import best_claims, interval_claims, yes_claim
from adathresh.experiments.core.rules import FIXED, OURS
from adathresh.experiments.core.sentences import listed, mean_differences, percent, with_interval
from adathresh.experiments.nb02_baselines.gap import gap_parts


def claims(tables):
    """Say where our rule is better than the others, and what part of the gap is the rule.

    Models that take no seed are left out of the claims about one base model.
    """
    differences = tables["differences"]
    seeded = differences[~differences["base"].isin(UNSEEDED) & (differences["metric"] == "macro_f1")]
    parts = gap_parts(tables["gap"].to_dict("records"))
    fixed, ours = (sum(row[f"spread_{rule}"] for row in parts) / len(parts) for rule in ("fixed", OURS))
    return [
        yes_claim(
            f"The base models lie farther apart at {FIXED} than with {OURS}",
            fixed > ours,
            f"{fixed:.3f} and {ours:.3f} macro-F1",
        ),
        *best_claims(
            tables["headline"], OURS, of=("base", "rule"), claim=f"{OURS} has the greatest macro-F1, {{}}"
        ),
        *interval_claims(seeded, f"Macro-F1 of {OURS} minus that of {{b}}, {{base}}"),
    ]


def finding(tables):
    """Answer the notebook's question from its tables: what model and rule each do alone, means over seeds.

    Models that take no seed are left out, and named: two runs of them differ.
    """
    gap = tables["gap"][~tables["gap"]["base"].isin(UNSEEDED)]
    unseeded = [f"`{base}`" for base in tables["gap"]["base"].unique() if base in UNSEEDED]
    among = f" (without {listed(unseeded)}, which takes no seed)" if unseeded else ""
    models = gap.groupby("base", sort=False)[["fixed", OURS]].mean()
    parts = pd.DataFrame(gap_parts(gap)).mean()
    model, rule, fusion = (parts[f"gain_{name}"] / parts["gain_both"] for name in ("model", "rule", "fusion"))
    more, less = ("rule", "model") if rule > model else ("model", "rule")
    differences = tables["differences"].query("metric == 'macro_f1' and b == @FIXED")
    added = mean_differences(differences[~differences["base"].isin(UNSEEDED)], "base")
    least, most = added["difference"].idxmin(), added["difference"].idxmax()
    return (
        f"The {more} is worth more than the {less}{among}. From the weakest result "
        f"(`{models['fixed'].idxmin()}` at threshold 0.5, macro-F1 {parts['weakest_fixed']:.3f}) to the best "
        f"one (`{models[OURS].idxmax()}` with `{OURS}`, {models[OURS].max():.3f}), changing only the model "
        f"covers {percent(model)} of the way; changing only the rule covers {percent(rule)} with the best "
        f"rival, and {percent(fusion)} with `{OURS}`, which also sees neighbours and rarity. On the same "
        f"scores, the macro-F1 of `{OURS}` minus that of threshold 0.5 ranges from "
        f"{with_interval(added.loc[least], named=True)} for `{least}` to {with_interval(added.loc[most])} "
        f"for `{most}`."
    )
