"""What part of the distance between two results is the model, and what part the rule."""

import numpy as np
import pandas as pd


def gap_parts(gap):
    """Split the distance from the weakest base model at 0.5 to the strongest with our rule: one row a seed.

    All in macro-F1 on the test rows: the weakest base model at 0.5; what is gained from there by another
    model alone (the strongest at 0.5), by another rule alone (the same scores under the rival rule that is
    best in the cross-validation), by the fusion alone (the same scores under our rule, which sees neighbours
    and rarity, too), and by model and fusion; and how far the base models lie apart under each.
    """
    rows = []
    for seed, some in pd.DataFrame(gap).groupby("seed", sort=False):
        weakest = some.loc[some["fixed"].idxmin()]
        start = weakest["fixed"]
        row = {"seed": seed, "weakest_fixed": start}
        row |= {"gain_model": some["fixed"].max() - start, "gain_rule": weakest["best_rival"] - start}
        row |= {"gain_fusion": weakest["adaptive"] - start, "gain_both": some["adaptive"].max() - start}
        row |= {f"spread_{rule}": np.ptp(some[rule]) for rule in ("fixed", "best_rival", "adaptive")}
        rows.append(row)
    return rows
