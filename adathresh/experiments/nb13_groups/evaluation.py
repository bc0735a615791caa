"""What groups change in the evaluation: how many there are in training, and whether a split parts them."""

import dataclasses
from itertools import product

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.evaluation import label_frequency
from adathresh.experiments.core.fold_scores import N_FOLDS, fitting_labels, fitting_rows
from adathresh.experiments.core.other_signals import neighbor_spaces
from adathresh.experiments.core.rules import OURS, main_predictions, rival_rules
from adathresh.experiments.core.splits import BASE, RULES, label_sets_of, random_split
from adathresh.experiments.nb13_groups.tables import ALL_ROWS, compared_rows, value_row
from adathresh.posthoc import AdaptiveThreshold
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.signals.knn import NeighborLabels, group_codes

TRAINING, SPLIT = "training groups", "split"
"""The two questions, as tables call them."""

EVERY = "all groups"
"""The share that the others are compared with."""

SHARES = {
    "an eighth of the groups": 1 / 8,
    "a quarter of the groups": 1 / 4,
    "half of the groups": 1 / 2,
    EVERY: 1.0,
}
"""The groups that training rows are drawn from; always as many rows as the least of them hold."""

N_LABELS = 40
"""How many labels, the most frequent ones, so few rows are judged on: the others would have no positives."""

N_DRAWS = {"quick": 3, "full": 5}
"""Draws of training groups for each seed, by profile."""

BY_ROW, BY_GROUP = "split by row", "split by group"
"""The two splits."""

IN_BOTH = "tested by both splits"
"""The rows that are judged on both."""


# --- how many groups ---


def feasible_shares(config, ds):
    """Name the shares whose rows have groups for all folds in every draw: all groups and others, or none."""
    codes = group_codes(fitting_rows(ds, seed=config.random_state).rows.groups, fitting_labels(ds).shape[0])
    found = [
        share
        for share in SHARES
        if all(
            len(np.unique(codes[drawn_rows(codes, share, seed=seed, draw=draw)])) >= N_FOLDS
            for seed, draw in _repetitions(config)
        )
    ]
    return found if EVERY in found and len(found) > 1 else []


def drawn_rows(codes, share, *, seed, draw):
    """Draw an eighth of the rows from a share of the groups, which ``codes`` numbers; sorted.

    Groups come in a random order, until they hold the share of all rows; with one draw and seed the groups
    of a smaller share are among those of a larger one.
    """
    n_rows, rng = len(codes), np.random.default_rng([seed, draw])
    place = rng.permutation(codes.max() + 1)[codes]
    pool = np.argsort(place, kind="stable")[: round(SHARES[share] * n_rows)]
    n_drawn = round(min(SHARES.values()) * n_rows)
    return np.sort(rng.permutation(pool)[:n_drawn])


def training_jobs(config, ds):
    """List what :func:`sets_from_share` is called with beside the run and the data."""
    return [
        {"share": share, "seed": seed, "draw": draw}
        for share, (seed, draw) in product(feasible_shares(config, ds), _repetitions(config))
    ]


def sets_from_share(config, ds, *, share, seed, draw):
    """Fit base model and rules on rows drawn from a share of the groups; return test sets by rule, once.

    Only the columns of :func:`frequent_labels` are fitted and returned.
    """
    model = make_base_model(config, ds, BASE, seed=seed)
    key = {"what": "training groups", "data": ds.fingerprint, "rows": rows_key(ds), "model": repr(model)}
    key |= {"share": share, "seed": seed, "draw": draw}
    return cached_arrays(key, lambda: _fit(ds, model, share, seed=seed, draw=draw))


def _fit(ds, model, share, *, seed, draw):
    """Return what :func:`sets_from_share` keeps."""
    rows, codes = _coded(ds, seed=seed)
    labels, drawn = frequent_labels(ds), drawn_rows(codes, share, seed=seed, draw=draw)
    rows = rows.take(drawn)
    Y = sp.csr_array(rows.Y[:, labels])
    folds = draw_folds(len(drawn), N_FOLDS, groups=rows.groups, random_state=seed)
    n_labels = len(labels)
    fitting = sp.csr_array(out_of_fold_scores(model, rows.X, Y, folds, n_labels=n_labels))
    test = sp.csr_array(base_scores(clone(model).fit(rows.X, Y), ds.test.X, n_labels=n_labels))
    local = [], []
    for of_fitting, of_test in neighbor_spaces(ds, rows).values():
        knn = NeighborLabels()
        local[0].append(knn.fit_transform(of_fitting, Y, groups=folds))
        local[1].append(knn.transform(of_test))
    ours = AdaptiveThreshold(evaluation_rows=ds.test.Y.shape[0], random_state=seed)
    ours.fit(fitting, Y, local=local[0], folds=folds, groups=rows.groups)
    rivals = rival_rules(Y)
    sets = {rule: rivals[rule][0].fit(fitting, Y).predict(test) for rule in RULES if rule != OURS}
    return {**sets, OURS: ours.predict(test, local=local[1])}


def frequent_labels(ds):
    """Return the :data:`N_LABELS` most frequent labels of the fitting rows, in order of the columns."""
    frequency = label_frequency(fitting_labels(ds))
    return np.sort(np.argsort(-frequency, kind="stable")[:N_LABELS])


def training_rows(config, ds, jobs, found):
    """Return the table rows of values and of differences; ``found`` has the label sets of each job."""
    Y = sp.csr_array(ds.test.Y[:, frequent_labels(ds)])
    values, sets = [], {}
    for job, by_rule in zip(jobs, found, strict=True):
        _, codes = _coded(ds, seed=job["seed"])
        trained_on = codes[drawn_rows(codes, **job)]
        for rule in RULES:
            sets.setdefault((rule, job["share"]), []).append(by_rule[rule])
            named = {"question": TRAINING, "variant": job["share"], "rule": rule, "test_rows": ALL_ROWS}
            repetition = {"seed": job["seed"], "draw": job["draw"]}
            values.append(value_row(config, ds, Y, by_rule[rule], trained_on, **named, **repetition))
    differences = []
    for rule, share in sets:
        if share != EVERY:
            named = {"question": TRAINING, "a": EVERY, "b": share, "rule": rule, "test_rows": ALL_ROWS}
            both = sets[rule, EVERY], sets[rule, share]
            differences += compared_rows(config, Y, *both, ds.test.groups, **named)
    return values, differences


def _coded(ds, *, seed):
    """Return the fitting rows and the numbers of their groups."""
    rows = fitting_rows(ds, seed=seed).rows
    return rows, group_codes(rows.groups, rows.Y.shape[0])


def _repetitions(config):
    """Return pairs of seed and draw."""
    return list(product(config.seed_list, range(N_DRAWS[config.profile])))


# --- how the rows are split ---


def split_rows(config, ds):
    """Judge the rows that are test rows of the published split and of one at random, by models of either.

    Return the table rows of values and of differences. The random split is that of notebook 18: it has parts
    of the same sizes and parts groups. Each seed has a split and test rows of its own; the differences are
    over those of all seeds, of which one row may occur several times, always in the same group.
    """
    values, Y, groups, sets = [], [], [], {}
    for seed in config.seed_list:
        where, fitted_on = shared_test_rows(ds, seed=seed)
        at_random = label_sets_of(config, random_split(ds, seed=seed), seed=seed)[1]
        published = main_predictions(config, ds, BASE, seed=seed)
        Y.append(ds.test.Y[where[BY_GROUP]])
        groups.append(np.asarray(ds.test.groups)[where[BY_GROUP]])
        for rule in RULES:
            by_split = {
                BY_ROW: at_random[rule][where[BY_ROW]],
                BY_GROUP: published[rule].label_sets[where[BY_GROUP]],
            }
            for split, predicted in by_split.items():
                sets.setdefault((rule, split), []).append(predicted)
                named = {"question": SPLIT, "variant": split, "rule": rule, "test_rows": IN_BOTH}
                row = value_row(config, ds, Y[-1], predicted, fitted_on[split], seed=seed, draw=0, **named)
                values.append(row)
    Y, groups = sp.csr_array(sp.vstack(Y)), np.concatenate(groups)
    if len(np.unique(groups)) < 2:
        return [], []
    differences = []
    for rule in RULES:
        named = {"question": SPLIT, "a": BY_ROW, "b": BY_GROUP, "rule": rule, "test_rows": IN_BOTH}
        both = ([sp.csr_array(sp.vstack(sets[rule, split]))] for split in (BY_ROW, BY_GROUP))
        differences += compared_rows(config, Y, *both, groups, **named)
    return values, differences


def shared_test_rows(ds, *, seed):
    """Say which rows are test rows of both splits, and which groups the models of either are fitted on.

    The rows come by split, as numbers among its test rows, in the same order; the groups as the number of
    each fitting row's group.
    """
    parts = ds.splits.values()
    ends = np.cumsum([part.Y.shape[0] for part in parts])
    starts = ends - [part.Y.shape[0] for part in parts]
    numbered = [  # the number of each row goes with it, in place of its text
        dataclasses.replace(part, texts=[str(row) for row in range(start, end)])
        for part, start, end in zip(parts, starts, ends, strict=True)
    ]
    train, validation, test = numbered
    drawn = random_split(dataclasses.replace(ds, train=train, validation=validation, test=test), seed=seed)
    train, validation, test = (np.array(part.texts, dtype=int) for part in drawn.splits.values())
    at = np.flatnonzero(test >= starts[-1])
    codes = group_codes(np.concatenate([part.groups for part in parts]), ends[-1])
    where = {BY_ROW: at, BY_GROUP: test[at] - starts[-1]}
    return where, {BY_ROW: codes[np.r_[train, validation]], BY_GROUP: codes[: starts[-1]]}
