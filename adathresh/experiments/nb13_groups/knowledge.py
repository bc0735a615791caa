"""What the other rows of a group say of a row: their features, and a prediction of the group's label set."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.experiments.core.rules import OURS, fitted_choice, main_predictions, our_choices
from adathresh.experiments.core.splits import BASE
from adathresh.experiments.nb13_groups.tables import ALL_ROWS, compared_rows, value_row
from adathresh.posthoc.crossfit import base_scores, out_of_fold_scores
from adathresh.signals import GroupContext, NeighborLabels
from adathresh.signals.knn import group_codes

KNOWLEDGE = "knowledge"
"""The question, as tables call it."""

ALONE, CONTEXT, GROUP_LABELS = "row alone", "context", "group labels"
"""What our rule sees: the row itself, as everywhere; or one more signal, which comes from its group."""

SIBLINGS = {"no siblings": 0, "1 to 9 siblings": 1, "10 or more siblings": 10}
"""Test rows by the number of other test rows in their group: from which number on."""


def sets_with_knowledge(config, ds, *, seed):
    """Label the test rows by our rule with each signal of the group; label sets by signal, once."""
    key = {"what": "group knowledge", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"model": repr(make_base_model(config, ds, BASE, seed=seed))}
    return cached_arrays(key, lambda: _fit(config, ds, seed=seed))


def _fit(config, ds, *, seed):
    """Return what :func:`sets_with_knowledge` keeps."""
    seen, model = crossfitted(config, ds, BASE, seed=seed), make_base_model(config, ds, BASE, seed=seed)
    rows, folds = fitting_rows(ds, seed=seed)
    signals = {
        CONTEXT: context_shares(rows, folds, ds.test),
        GROUP_LABELS: group_label_scores(model, rows, folds, ds.test),
    }
    alone, found = our_choices((BASE,), seen)[OURS], {}
    for name, (fitting, test) in signals.items():
        local = {**seen.local[0], name: fitting}, {**seen.local[1], name: test}
        choice = alone._replace(signals=(*alone.signals, name))
        rule, (scores, given) = fitted_choice(ds, choice, [seen._replace(local=local)], seed=seed)
        found[name] = rule.predict(scores, **given)
    return found


def context_shares(rows, folds, test):
    """Return neighbour shares in the space of contexts, of fitting rows (by folds) and of test rows."""
    context, knn = GroupContext(), NeighborLabels()
    fitting = context.fit_transform(rows.X, rows.groups)
    return (
        knn.fit_transform(fitting, rows.Y, groups=folds),
        knn.transform(context.transform(test.X, test.groups)),
    )


def group_label_scores(model, rows, folds, test):
    """Return how probable a label is in the group of each row: out of fold for fitting rows, then test rows.

    The base model is fitted on groups: their mean features, and the labels that any of their rows has. All
    rows of a group have the same scores.
    """
    codes, test_codes = (group_codes(part.groups, part.Y.shape[0]) for part in (rows, test))
    first, test_first = (np.unique(number, return_index=True)[1] for number in (codes, test_codes))
    context = GroupContext(include_self=True)
    X = context.fit_transform(rows.X, rows.groups)[first]
    X_test = context.transform(test.X, test.groups)[test_first]
    of_group = sp.csr_array((np.ones(len(codes), dtype=np.float32), (codes, np.arange(len(codes)))))
    Y = sp.csr_array(of_group @ rows.Y > 0, dtype=np.float32)
    fold = folds[first]  # a group stays in one fold
    fitting = sp.csr_array(out_of_fold_scores(model, X, Y, fold, n_labels=Y.shape[1]))
    others = sp.csr_array(base_scores(clone(model).fit(X, Y), X_test, n_labels=Y.shape[1]))
    return fitting[codes], others[test_codes]


def knowledge_rows(config, ds, found):
    """Return the table rows of values and of differences; ``found`` has the label sets of each seed."""
    fitted_on = np.concatenate([ds.train.groups, ds.validation.groups])
    alone = [main_predictions(config, ds, BASE, seed=seed)[OURS].label_sets for seed in config.seed_list]
    sets = {ALONE: alone} | {name: [of_seed[name] for of_seed in found] for name in (CONTEXT, GROUP_LABELS)}
    values, differences = [], []
    for test_rows, at in by_siblings(ds.test.groups).items():
        Y, groups = ds.test.Y[at], np.asarray(ds.test.groups)[at]
        named = {"question": KNOWLEDGE, "rule": OURS, "test_rows": test_rows}
        of_part = {variant: [one[at] for one in of_seeds] for variant, of_seeds in sets.items()}
        for variant, of_seeds in of_part.items():
            values += [
                value_row(config, ds, Y, one, fitted_on, variant=variant, seed=seed, draw=0, **named)
                for seed, one in zip(config.seed_list, of_seeds, strict=True)
            ]
            if variant != ALONE and len(np.unique(groups)) > 1:
                pair = {"a": variant, "b": ALONE}
                differences += compared_rows(config, Y, of_seeds, of_part[ALONE], groups, **named, **pair)
    return values, differences


def by_siblings(groups):
    """Return the numbers of all test rows, and of those with few and many siblings, by name."""
    codes = group_codes(groups, len(groups))
    n_siblings = np.bincount(codes)[codes] - 1
    bins = np.digitize(n_siblings, list(SIBLINGS.values())) - 1
    parts = {name: np.flatnonzero(bins == at) for at, name in enumerate(SIBLINGS)}
    return {ALL_ROWS: np.arange(len(codes)), **{name: at for name, at in parts.items() if len(at)}}
