"""What notebook 02 claims, read off its tables."""

from adathresh.experiments.core.base_models import UNSEEDED
from adathresh.experiments.core.claims import best_claims, interval_claims, yes_claim
from adathresh.experiments.core.rules import FIXED, OURS
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
