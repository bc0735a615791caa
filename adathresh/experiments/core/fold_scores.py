"""Out-of-fold scores of the fitting rows by a base model, and its scores of the test rows.

Training and validation rows together are the fitting rows. Every model is fitted once for a data set, a
profile, a seed and a fold.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.datasets.dataset import Split
from adathresh.experiments.core.base_models import BASE_MODELS, make_base_model, resumable, rows_of
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import Cost, cost_of, fit_and_predict
from adathresh.experiments.core.data import rows_key
from adathresh.posthoc.crossfit import base_scores, draw_folds, in_row_order

N_FOLDS = 3
"""Folds of the cross-fitted scores."""

ALL_ROWS = -1
"""In place of a fold: the model of all fitting rows, which scores the test rows."""


class FittingRows(NamedTuple):
    """The rows that models and rules are fitted on: the training rows, then the validation rows."""

    rows: Split
    """Features, labels, texts and groups."""
    folds: np.ndarray
    """Fold of each row; a group stays together."""


def fitting_rows(ds, *, seed):
    """Put training and validation rows together and draw their folds."""
    both = ds.train, ds.validation
    rows = Split(
        X=sp.csr_array(sp.vstack([part.X for part in both])),
        Y=fitting_labels(ds),
        texts=joined(part.texts for part in both),
        titles=joined(part.titles for part in both),
        groups=None if ds.train.groups is None else np.concatenate([part.groups for part in both]),
    )
    return FittingRows(rows, draw_folds(rows.X.shape[0], N_FOLDS, groups=rows.groups, random_state=seed))


def joined(lists):
    """Put lists together; None if there are none."""
    lists = list(lists)
    return None if lists[0] is None else [entry for part in lists for entry in part]


def fitting_labels(ds):
    """Put the labels of training and validation rows together, in this order."""
    return sp.csr_array(sp.vstack([ds.train.Y, ds.validation.Y]))


def out_of_fold_and_test_scores(config, ds, name, *, seed):
    """Return the scores of fitting and test rows by one base model, and what they cost."""
    parts = [fold_scores(config, ds, name, fold, seed=seed) for fold in range(N_FOLDS)]
    on_all = fold_scores(config, ds, name, ALL_ROWS, seed=seed)
    folds = fitting_rows(ds, seed=seed).folds
    fitting = in_row_order([part["scores"] for part in parts], folds)
    costs = [cost_of(part) for part in (*parts, on_all)]
    seconds = (sum(column) for column in list(zip(*costs, strict=True))[:2])
    return (fitting, on_all["scores"]), Cost(*seconds, max(cost.peak_memory_mb for cost in costs))


def fold_scores(config, ds, name, fold, *, seed):
    """Train a base model on all folds but one and score that one, or on all and score the test rows; once."""
    model = make_base_model(config, ds, name, seed=seed)
    key = {"what": "fold", "data": ds.fingerprint, "rows": rows_key(ds), "model": repr(model)}
    key |= {"reads": BASE_MODELS[name].reads, "seed": seed, "fold": fold}
    return cached_arrays(key, lambda: _fit_fold(ds, name, model, fold, seed=seed))


def _fit_fold(ds, name, model, fold, *, seed):
    """Return the scores of one fold, or of the test rows, as arrays."""
    rows, folds = fitting_rows(ds, seed=seed)
    fit = rows.take(np.flatnonzero(folds != fold))
    scored = ds.test if fold == ALL_ROWS else rows.take(np.flatnonzero(folds == fold))
    n_labels = rows.Y.shape[1]
    with resumable(model, f"{rows_key(ds)} {seed} {fold}") as model:
        return fit_and_predict(
            lambda: model.fit(rows_of(name, fit), fit.Y),
            lambda: {"scores": sp.csr_array(base_scores(model, rows_of(name, scored), n_labels=n_labels))},
        )
