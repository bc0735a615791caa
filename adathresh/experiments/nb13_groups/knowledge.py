"""What the other rows of a group say of a row: their features, and a prediction of the group's label set."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.preprocessing import normalize

from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.experiments.core.rules import OURS, fitted_choice, main_predictions, our_choices
from adathresh.experiments.core.splits import BASE
from adathresh.experiments.nb13_groups.tables import ALL_ROWS, compared_rows, value_row
from adathresh.metrics import top_k
from adathresh.posthoc.crossfit import base_scores, out_of_fold_scores
from adathresh.signals.knn import NeighborLabels, group_codes

KNOWLEDGE = "knowledge"
"""The question, as tables call it."""

ALONE, CONTEXT, GROUP_LABELS = "row alone", "context", "group labels"
"""What our rule sees: the row itself, as everywhere; or one more signal, which comes from its group."""

SIBLINGS = {"no siblings": 0, "1 to 9 siblings": 1, "10 or more siblings": 10}
"""Test rows by the number of other test rows in their group: from which number on."""

# A mean of many texts keeps as many features as this share of the rows have at most: it stays as sparse.
_LENGTH_QUANTILE = 0.95


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
    n_kept, knn = _n_kept(rows.X), NeighborLabels()
    fitting, others = (context_vectors(part.X, part.groups, n_kept) for part in (rows, test))
    return knn.fit_transform(fitting, rows.Y, groups=folds), knn.transform(others)


def context_vectors(X, groups, n_kept):
    """Return the mean of the other rows of each row's group, its ``n_kept`` greatest values, of length 1.

    Nothing of the row itself is in it; without siblings it is empty.
    """
    codes = group_codes(groups, X.shape[0])
    X = sp.csr_array(X, dtype=np.float64)
    others = sp.csr_array(sum_by_group(codes, X)[codes] - X)
    others.data[np.abs(others.data) < 1e-9] = 0  # what rounding leaves of the row's own
    others.eliminate_zeros()
    return _shortened(others, n_kept)


def sum_by_group(codes, matrix):
    """Add up the rows of each group, which ``codes`` numbers from 0: one row a group, in CSR."""
    members = sp.csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(codes.max() + 1, len(codes))
    )
    sums = sp.csr_array(members @ matrix)
    sums.sort_indices()
    return sums


def group_label_scores(model, rows, folds, test):
    """Return how probable a label is in the group of each row: out of fold for fitting rows, then test rows.

    The base model is fitted on groups: their mean features, and the labels that any of their rows has. All
    rows of a group have the same scores.
    """
    n_kept, n_labels = _n_kept(rows.X), rows.Y.shape[1]
    codes, test_codes = (group_codes(part.groups, part.Y.shape[0]) for part in (rows, test))
    X, X_test = (
        _shortened(sum_by_group(number, part.X), n_kept)
        for number, part in ((codes, rows), (test_codes, test))
    )
    Y = sp.csr_array(sum_by_group(codes, rows.Y) > 0, dtype=np.float32)
    fold = folds[np.unique(codes, return_index=True)[1]]  # a group stays in one fold
    fitting = sp.csr_array(out_of_fold_scores(model, X, Y, fold, n_labels=n_labels))
    others = sp.csr_array(base_scores(clone(model).fit(X, Y), X_test, n_labels=n_labels))
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


def _n_kept(X):
    """Return how many features all but the longest rows have at most."""
    return max(1, int(np.quantile(np.diff(X.indptr), _LENGTH_QUANTILE)))


def _shortened(X, n_kept):
    """Keep the greatest values of each row, and scale it to length 1."""
    return sp.csr_array(normalize(top_k(X, n_kept)), dtype=np.float32)
