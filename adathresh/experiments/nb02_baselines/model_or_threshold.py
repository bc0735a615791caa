"""What part of a gap between two results is the model, and what part the cut: what notebook 02 computes."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from joblib import delayed

from adathresh.experiments.core.families import family_names, family_scores
from adathresh.experiments.core.models import neighbour_shares
from adathresh.experiments.core.parallel import N_PROCESSES, side_by_side
from adathresh.experiments.studies import decision_rules, difference_rows, rule_predictions, rule_rows
from adathresh.metrics import macro_f1
from adathresh.models.transformer import SentenceEmbedder
from adathresh.posthoc.crossfit import draw_folds

FIXED, OURS = "fixed 0.5", "adaptive"
"""The cut that everybody starts from, and this package's rule."""

# Features times labels up to which the network's trainer takes on one-vs-rest models: it holds the weights
# four times (themselves, gradient, two moments), here 16 GB. LIBLINEAR's are sparse and have no such limit.
_MAX_DENSE_WEIGHTS = 10**9
# Folds of the dev rows in which the rival rules are tried.
_N_FOLDS = 3


class Judged(NamedTuple):
    """One family under every rule, for the tables of notebook 02."""

    rows: list
    """One row a rule, with every metric and what model and rule cost."""
    differences: list
    """Paired bootstrap of our rule against each other one."""
    rivals: list
    """Macro-F1 of each rival rule in a cross-validation on the dev rows."""
    gap: dict
    """Macro-F1 on the test rows at 0.5, under the rival that is best on the dev rows, and under our rule."""


def embed_texts(config, ds):
    """Embed all texts of a data set, so that the transformers find their vectors in the cache.

    Parameters
    ----------
    config : RunConfig
        The run; its profile says how many tokens are read.
    ds : Dataset
        The data set; without texts there is nothing to do.
    """
    texts = [*(ds.train.texts or ()), *(ds.validation.texts or ()), *(ds.test.texts or ())]
    parts = [texts[start::N_PROCESSES] for start in range(min(N_PROCESSES, len(texts)))]
    side_by_side(delayed(_embed)(part, config.numbers.text_tokens) for part in parts)


def trained_families(config, ds):
    """Name the families that are trained on a data set.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.

    Returns
    -------
    list of str
        :func:`adathresh.experiments.core.families.family_names` but "linear" where its dense weights would not fit
        into memory, as at AmazonCat-13K's 203,882 features and 13,330 labels; "linear SVM" is there as well.
    """
    fits = ds.train.X.shape[1] * ds.train.Y.shape[1] <= _MAX_DENSE_WEIGHTS
    return [family for family in family_names(config, ds) if fits or family != "linear"]


def judge_families(config, ds):
    """Train every family with every seed, cut its scores by every rule, and judge that on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.

    Returns
    -------
    list of Judged
        Family by family, and of each the seeds in order.
    """
    neighbour_shares(ds)  # every process needs them
    jobs = [(family, seed) for family in trained_families(config, ds) for seed in config.seed_list]
    # The fine-tuning takes longest, so it begins.
    judged = side_by_side(delayed(judge)(config, ds, family, seed=seed) for family, seed in reversed(jobs))
    return judged[::-1]


def judge(config, ds, family, *, seed):
    """Train one family, cut its scores by every rule, and judge that on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    family : str
        One of :func:`family_names`.
    seed : int
        Of the training.

    Returns
    -------
    Judged
        Parts of the tables.
    """
    scores = family_scores(config, ds, family, seed=seed)
    predictions = rule_predictions(ds, scores)
    rows = [
        {**row, **scores.cost._asdict(), "rule_seconds": predictions[row["rule"]].seconds}
        for row in rule_rows(config, ds, family, predictions, seed=seed)
    ]
    by_rule = {row["rule"]: row["macro_f1"] for row in rows}
    on_dev = rivals_on_dev(ds, scores)
    best = max(on_dev, key=on_dev.get)
    return Judged(
        rows=rows,
        differences=difference_rows(config, ds, predictions, reference=OURS, base=family, seed=seed),
        rivals=[
            {"base": family, "rule": rule, "seed": seed, "dev_macro_f1": value}
            for rule, value in on_dev.items()
        ],
        gap={
            "base": family,
            "seed": seed,
            "fixed": by_rule[FIXED],
            "best_rival": by_rule[best],
            "adaptive": by_rule[OURS],
        },
    )


def rivals_on_dev(ds, scores):
    """Try the rival rules on the dev rows: fitted on two thirds, judged on the other, in turn.

    Judged on the rows that they were fitted on, rules with a cut of its own for every label would always win.

    Parameters
    ----------
    ds : Dataset
        The data set; a group's rows stay together.
    scores : BaseScores
        One family's probabilities.

    Returns
    -------
    dict of str to float
        Macro-F1 of every rule but ours, over all dev rows.
    """
    folds = draw_folds(ds.validation.Y.shape[0], _N_FOLDS, groups=ds.validation.groups, random_state=0)
    order = np.argsort(folds, kind="stable")
    found = {}
    for name, rule in decision_rules(ds).items():
        if name == OURS:
            continue
        parts = []
        for fold in range(_N_FOLDS):
            held_out = folds == fold
            rule.fit(scores.dev[~held_out], ds.validation.Y[~held_out])
            parts.append(sp.csr_array(rule.predict(scores.dev[held_out])))
        found[name] = macro_f1(ds.validation.Y[order], sp.csr_array(sp.vstack(parts)))
    return found


def gap_parts(gap):
    """Split the distance from the weakest family at 0.5 to the strongest with our rule.

    Parameters
    ----------
    gap : list of dict
        ``Judged.gap`` of every family and seed.

    Returns
    -------
    list of dict
        One row a seed, all in macro-F1 on the test rows: the weakest family at 0.5; what is gained from there
        by another model alone (the strongest at 0.5), by another cut alone (the same scores under the rival
        that is best on the dev rows), by the fusion alone (the same scores under our rule, which sees
        neighbours and rarity, too), and by model and fusion; and how far the families lie apart under each.
    """
    rows = []
    for seed, some in pd.DataFrame(gap).groupby("seed", sort=False):
        weakest = some.loc[some["fixed"].idxmin()]
        start = weakest["fixed"]
        row = {"seed": seed, "weakest_fixed": start}
        row |= {"gain_model": some["fixed"].max() - start, "gain_cut": weakest["best_rival"] - start}
        row |= {"gain_fusion": weakest["adaptive"] - start, "gain_both": some["adaptive"].max() - start}
        row |= {f"spread_{rule}": np.ptp(some[rule]) for rule in ("fixed", "best_rival", "adaptive")}
        rows.append(row)
    return rows


def gap_sentence(gap):
    """Say what part of the distance is the model and what part the cut.

    Parameters
    ----------
    gap : list of dict
        ``Judged.gap`` of every family and seed.

    Returns
    -------
    str
        One sentence; means over seeds.
    """
    families = pd.DataFrame(gap).groupby("base", sort=False).mean()
    parts = pd.DataFrame(gap_parts(gap)).mean()
    model, cut, fusion = (parts[f"gain_{name}"] / parts["gain_both"] for name in ("model", "cut", "fusion"))
    weakest, strongest = families["fixed"].idxmin(), families["adaptive"].idxmax()
    return (
        f"from {weakest} at 0.5 ({parts['weakest_fixed']:.3f}) to {strongest} with adaptive "
        f"({families['adaptive'].max():.3f}), the best model at 0.5 alone covers {model:.0%} of the way, "
        f"the best rival cut of {weakest}'s own scores {cut:.0%}, adaptive on them {fusion:.0%}; "
        f"the families lie {parts['spread_fixed']:.3f} apart at 0.5 and {parts['spread_adaptive']:.3f} "
        "with adaptive."
    )


def _embed(texts, n_tokens):
    """Put the vectors of some texts into the embedder's cache."""
    SentenceEmbedder(max_length=n_tokens).transform(texts)
