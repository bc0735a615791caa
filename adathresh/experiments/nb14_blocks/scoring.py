"""Scores of models of one block or several, and what our rule makes of them; all of it is computed once."""

from itertools import product

import numpy as np
import scipy.sparse as sp
from joblib import delayed
from sklearn.base import clone

from adathresh.experiments.core.base_models import MANY_LABELS, make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.fold_scores import (
    ALL_ROWS,
    N_FOLDS,
    fitting_rows,
    fold_scores,
)
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.rules import Choice, Prediction, choice_prediction
from adathresh.experiments.nb14_blocks.views import (
    BOTH,
    TITLES,
    WORDS,
    block_names,
    block_reader,
    candidate_blocks,
)
from adathresh.metrics import macro_f1
from adathresh.posthoc import AdaptiveThreshold
from adathresh.posthoc.crossfit import base_scores, in_row_order
from adathresh.rules import GlobalThreshold
from adathresh.signals.blocks import FeatureBlocks, greedy_block_weights

NEIGHBORS, LINEAR, NETWORK = "neighbours", "linear", "network"
"""The models that are given blocks: shares in the neighbours' metric, a linear layer, the paper's network."""

EQUAL, FUSED = "both blocks, equal weights", "one model a block"
"""Both blocks in one matrix, where no weights are chosen; or a model of each, whose scores the rule fuses."""

ALONE, MISSING = "{} alone", "both blocks, {} missing"
"""A model of one block; or that of both, where one block is missing from the test rows."""

MAX_STEPS = 6
"""Steps of the greedy choice at most, so that a weight is one of few simple fractions."""

ALL = "all"
"""What is there of the test rows: all blocks."""

# Models of one block that other notebooks train, too, and what they are called there.
_ELSEWHERE = {
    (NEIGHBORS, WORDS): NEIGHBORS,
    (LINEAR, WORDS): LINEAR,
    (LINEAR, TITLES): "linear, titles",
    (NETWORK, WORDS): NETWORK,
}
# What a stored prediction consists of.
_SETS, _PROBABILITIES = "sets: ", "probabilities: "


def bases_of(ds):
    """Name the models that are given blocks; the network, which takes minutes for many labels, for few."""
    few = ds.train.Y.shape[1] <= MANY_LABELS
    return (NEIGHBORS, LINEAR, NETWORK) if few else (NEIGHBORS, LINEAR)


def prepare_scores(config, ds):
    """Compute all scores and chosen weights, side by side, into the cache."""
    seeds, folds = config.seed_list, (ALL_ROWS, *range(N_FOLDS))
    block_reader(config, ds, block_names(config, ds), ds.train)  # a transformer reads all texts here, once
    side_by_side(
        [
            *(delayed(make_base_model)(config, ds, base, seed=seeds[0]) for base in bases_of(ds)),
            *(
                delayed(chosen_weights)(config, ds, choice, seed=seed)
                for choice, seed in product(candidate_blocks(config, ds), seeds)
            ),
        ]
    )
    side_by_side(
        delayed(block_scores)(config, ds, base, variant, fold, seed=seed)
        for base in bases_of(ds)[::-1]  # the slowest first
        for variant, seed, fold in product(variants_of(config, ds, base)[:-1], seeds, folds)
    )


def variants_of(config, ds, base):
    """Name the variants that the rule is fitted on; the last one is fused of others."""
    _, *more = candidate_blocks(config, ds)
    return (*block_names(config, ds), BOTH, *([EQUAL, *more] if base == NEIGHBORS else []), FUSED)


def chosen_weights(config, ds, choice, *, seed):
    """Choose weights of blocks by the neighbours in the other folds of the fitting rows, once.

    Both blocks start with equal weights, so that either keeps some; of many, those that help are chosen.
    """
    names = candidate_blocks(config, ds)[choice]
    start = dict.fromkeys(names if choice == BOTH else (), 1)
    key = {"what": "block weights", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"blocks": names, "start": start, "text_tokens": config.numbers.text_tokens}
    key |= {"n_rows": config.numbers.ablation_rows}
    found = cached_arrays(key, lambda: _choose(config, ds, names, start, seed=seed))
    return {name: float(weight) for name, weight in found.items()}


def _choose(config, ds, names, start, *, seed):
    """Return the weights that are best for some of the fitting rows."""
    rows, folds = fitting_rows(ds, seed=seed)
    some = np.random.default_rng(seed).permutation(len(folds))[: config.numbers.ablation_rows]
    rows, folds = rows.take(np.sort(some)), folds[np.sort(some)]
    blocks = block_reader(config, ds, names, rows)(rows)
    return greedy_block_weights(blocks, rows.Y, groups=folds, start=start, max_steps=MAX_STEPS)


def weights_of(config, ds, variant, *, seed):
    """Return the blocks of a variant and their weights."""
    if variant in candidate_blocks(config, ds):
        return chosen_weights(config, ds, variant, seed=seed)
    return dict.fromkeys(block_names(config, ds) if variant == EQUAL else (variant,), 1.0)


def block_scores(config, ds, base, variant, fold, *, seed):
    """Fit a model of blocks on all folds but one and score that one, or on all and score the test rows; once.

    The scores are called "all"; those of test rows of which one of both blocks is missing by its name. The
    model's strength is the one that the validation rows choose for the data set's features.
    """
    if (base, variant) in _ELSEWHERE:
        return {ALL: fold_scores(config, ds, _ELSEWHERE[base, variant], fold, seed=seed)["scores"]}
    model, weights = make_base_model(config, ds, base, seed=seed), weights_of(config, ds, variant, seed=seed)
    key = {"what": "blocks", "data": ds.fingerprint, "rows": rows_key(ds), "model": repr(model)}
    key |= {"weights": weights, "text_tokens": config.numbers.text_tokens, "seed": seed, "fold": fold}
    return cached_arrays(key, lambda: _fit_fold(config, ds, model, weights, fold, seed=seed))


def _fit_fold(config, ds, model, weights, fold, *, seed):
    """Return the scores of one fold, or of the test rows, with all blocks and with each missing."""
    rows, folds = fitting_rows(ds, seed=seed)
    fit = rows.take(np.flatnonzero(folds != fold))
    weights = {name: weight for name, weight in weights.items() if weight}
    read, blocks = block_reader(config, ds, weights, fit), FeatureBlocks(weights=weights)
    model = clone(model).fit(blocks.fit_transform(read(fit)), fit.Y)
    scored = read(ds.test if fold == ALL_ROWS else rows.take(np.flatnonzero(folds == fold)))
    given = {ALL: scored}
    if fold == ALL_ROWS and len(scored) == 2:
        given |= {name: {**scored, name: None} for name in scored}
    return {
        missing: sp.csr_array(base_scores(model, blocks.transform(there), n_labels=rows.Y.shape[1]))
        for missing, there in given.items()
    }


def scores_of(config, ds, base, variant, *, seed):
    """Return the out-of-fold scores of the fitting rows, and those of the test rows by the missing block.

    Fused, each is a list of the scores of both blocks' models.
    """
    if variant == FUSED:
        single = [scores_of(config, ds, base, name, seed=seed) for name in block_names(config, ds)]
        return [fitting for fitting, _ in single], {ALL: [test[ALL] for _, test in single]}
    parts = [block_scores(config, ds, base, variant, fold, seed=seed)[ALL] for fold in range(N_FOLDS)]
    fitting = in_row_order(parts, fitting_rows(ds, seed=seed).folds)
    return fitting, block_scores(config, ds, base, variant, ALL_ROWS, seed=seed)


def predictions_of(config, ds, base, variant, *, seed):
    """Label the test rows by our rule on the scores of one variant, once.

    Predictions come by the variant's name; those of both blocks, of which one is missing, by :data:`MISSING`.
    """
    if (base, variant) in _ELSEWHERE:
        choice = Choice((_ELSEWHERE[base, variant],), ())
        return {variant: choice_prediction(config, ds, choice, seed=seed)}
    model = repr(make_base_model(config, ds, base, seed=seed))
    key = {"what": "rule on blocks", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"model": model, "variant": variant, "text_tokens": config.numbers.text_tokens}
    if variant != FUSED:
        key["weights"] = weights_of(config, ds, variant, seed=seed)
    arrays = cached_arrays(key, lambda: _decide(config, ds, base, variant, seed=seed))
    names = [name.removeprefix(_SETS) for name in arrays if name.startswith(_SETS)]
    return {name: Prediction(arrays[_SETS + name], arrays[_PROBABILITIES + name]) for name in names}


def _decide(config, ds, base, variant, *, seed):
    """Return what :func:`predictions_of` keeps."""
    rows, folds = fitting_rows(ds, seed=seed)
    fitting, test = scores_of(config, ds, base, variant, seed=seed)
    rule = AdaptiveThreshold(evaluation_rows=ds.test.Y.shape[0], random_state=seed)
    rule.fit(fitting, rows.Y, folds=folds, groups=rows.groups)
    found = {}
    for missing in test if variant == BOTH else [ALL]:
        name, decision = variant if missing == ALL else MISSING.format(missing), rule.decide(test[missing])
        found |= {_SETS + name: decision.label_sets, _PROBABILITIES + name: decision.probabilities}
    return found


def fitting_macro_f1(config, ds, base, name, *, seed):
    """Return the macro-F1 of a block's out-of-fold scores of the fitting rows under one global threshold."""
    fitting, _ = scores_of(config, ds, base, name, seed=seed)
    Y = fitting_rows(ds, seed=seed).rows.Y
    return macro_f1(Y, GlobalThreshold("macro_f1").fit(fitting, Y).predict(fitting))
