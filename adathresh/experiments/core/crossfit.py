"""What every decision rule sees: cross-fitted scores of a base model, neighbour shares, text similarity.

Training and validation rows together are the fitting rows. Each base model scores them out of fold and,
fitted on all of them, scores the test rows. Every part is computed once for a data set, a profile and a seed.
"""

from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import delayed

from adathresh.datasets import Split
from adathresh.experiments.core.base_models import (
    BASE_MODELS,
    base_model_names,
    make_base_model,
    resumable,
    rows_of,
    validation_macro_f1,
)
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import Cost, cost_of, fit_and_predict
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.parallel import side_by_side
from adathresh.posthoc.crossfit import base_scores, draw_folds
from adathresh.signals.knn import NeighborLabels
from adathresh.signals.label_text import LabelAffinity
from adathresh.utils.texts import as_array, label_vectorizer

N_FOLDS = 3
"""Folds of the cross-fitted scores."""

TOGETHER = "all together"
"""Name of several base models at once."""

PARTS_OF_TOGETHER = ("linear", "linear, first words", "label tree", "network")
"""The base models that are taken together, as far as a data set has them."""

_ALL_ROWS = -1  # in place of a fold: the model of all fitting rows, which scores the test rows


class FittingRows(NamedTuple):
    """The rows that models and rules are fitted on: the training rows, then the validation rows."""

    rows: Split
    """Features, labels, texts and groups."""
    folds: np.ndarray
    """Fold of each row; a group stays together."""


class Signals(NamedTuple):
    """What the rules see, of fitting and of test rows."""

    scores: tuple
    """Out-of-fold probabilities of the fitting rows, and those of the test rows; of several models, lists."""
    local: tuple
    """Leave-one-out neighbour shares of the fitting rows, and shares of the test rows."""
    affinity: tuple | None
    """Similarity to the label names; None where rows or labels have no texts."""
    cost: Cost
    """What training and scoring of the base models took when they were done."""

    def mean_scores(self):
        """Average the base models' scores of fitting and of test rows, for rules that take one matrix.

        What a model has not scored counts as 0.
        """
        return tuple(
            reduce(add, part) / len(part) if isinstance(part, list) else part for part in self.scores
        )


def fitting_rows(ds, *, seed):
    """Put training and validation rows together and draw their folds."""
    both = ds.train, ds.validation
    rows = Split(
        X=sp.csr_array(sp.vstack([part.X for part in both])),
        Y=fitting_labels(ds),
        texts=None if ds.train.texts is None else [text for part in both for text in part.texts],
        groups=None if ds.train.groups is None else np.concatenate([part.groups for part in both]),
    )
    return FittingRows(rows, draw_folds(rows.X.shape[0], N_FOLDS, groups=rows.groups, random_state=seed))


def fitting_labels(ds):
    """Put the labels of training and validation rows together, in this order."""
    return sp.csr_array(sp.vstack([ds.train.Y, ds.validation.Y]))


def crossfitted(config, ds, base, *, seed):
    """Return all that the rules see with one base model, or with several together ("all together")."""
    names = parts_of_together(config, ds) if base == TOGETHER else [base]
    found = [_scores(config, ds, name, seed=seed) for name in names]
    fitting, test = ([scores[i] for scores, _ in found] for i in range(2))
    costs = [cost for _, cost in found]
    cost = Cost(*(sum(column) for column in list(zip(*costs, strict=True))[:2]), max(c[2] for c in costs))
    scores = (fitting, test) if base == TOGETHER else (fitting[0], test[0])
    return Signals(scores, *_other_signals(ds), cost)


def parts_of_together(config, ds):
    """Name the base models that "all together" means on a data set, in order of :data:`PARTS_OF_TOGETHER`."""
    present = base_model_names(config, ds)
    return [name for name in PARTS_OF_TOGETHER if name in present]


def crossfit_all(config, ds, names):
    """Train all that :func:`crossfitted` needs of some base models, side by side, into the cache.

    Name the slowest last: they begin.
    """
    _other_signals(ds)
    names = names[::-1]
    side_by_side(
        delayed(validation_macro_f1)(config, ds, name, strength)
        for name in names
        for strength in BASE_MODELS[name].grid
    )
    side_by_side(
        delayed(_fold_scores)(config, ds, name, fold, seed=seed)
        for name in names
        for seed in config.seed_list
        for fold in (_ALL_ROWS, *range(N_FOLDS))
    )


def _scores(config, ds, name, *, seed):
    """Return the scores of fitting and test rows by one base model, and what they cost."""
    parts = [_fold_scores(config, ds, name, fold, seed=seed) for fold in range(N_FOLDS)]
    on_all = _fold_scores(config, ds, name, _ALL_ROWS, seed=seed)
    folds = fitting_rows(ds, seed=seed).folds
    stacked = sp.vstack([part["scores"] for part in parts], format="csr")
    fitting = sp.csr_array(stacked[np.argsort(np.argsort(folds, kind="stable"), kind="stable")])
    costs = [cost_of(part) for part in (*parts, on_all)]
    seconds = (sum(column) for column in list(zip(*costs, strict=True))[:2])
    return (fitting, on_all["scores"]), Cost(*seconds, max(cost.peak_memory_mb for cost in costs))


def _fold_scores(config, ds, name, fold, *, seed):
    """Train a base model on all folds but one and score that one, or on all and score the test rows; once."""
    model = make_base_model(config, ds, name, seed=seed)
    key = {"what": "fold", "data": ds.fingerprint, "rows": rows_key(ds), "model": repr(model)}
    key |= {"seed": seed, "fold": fold}
    return cached_arrays(key, lambda: _fit_fold(ds, model, fold, seed=seed))


def _fit_fold(ds, model, fold, *, seed):
    """Return the scores of one fold, or of the test rows, as arrays."""
    rows, folds = fitting_rows(ds, seed=seed)
    fit = rows.take(np.flatnonzero(folds != fold))
    scored = ds.test if fold == _ALL_ROWS else rows.take(np.flatnonzero(folds == fold))
    n_labels = rows.Y.shape[1]
    with resumable(model, f"{rows_key(ds)} {seed} {fold}") as model:
        return fit_and_predict(
            lambda: model.fit(rows_of(model, fit), fit.Y),
            lambda: {"scores": sp.csr_array(base_scores(model, rows_of(model, scored), n_labels=n_labels))},
        )


def _other_signals(ds):
    """Return neighbour shares, and where there are label texts similarities, of fitting and test rows."""
    key = {"data": ds.fingerprint, "rows": rows_key(ds)}
    shares = cached_arrays({"what": "all shares", **key}, lambda: _shares(ds))
    if ds.train.texts is None:
        return (shares["fitting"], shares["test"]), None
    texts = cached_arrays({"what": "similarity of label texts", **key}, lambda: _affinity(ds))
    return (shares["fitting"], shares["test"]), (texts["fitting"], texts["test"])


def _shares(ds):
    """Return the neighbour shares of fitting and test rows."""
    knn, rows = NeighborLabels(n_jobs=2), fitting_rows(ds, seed=0).rows
    fitting = knn.fit_transform(rows.X, rows.Y, groups=rows.groups)
    return {"fitting": fitting, "test": knn.transform(ds.test.X)}


def _affinity(ds):
    """Return the similarity of row texts to label names, by words and pairs of words."""
    texts = as_array(fitting_rows(ds, seed=0).rows.texts)
    vectorizer = label_vectorizer(ds.label_names, texts)
    similarity = LabelAffinity(n_jobs=2).fit(vectorizer.transform(ds.label_names))
    return {
        "fitting": similarity.transform(vectorizer.transform(texts)),
        "test": similarity.transform(vectorizer.transform(ds.test.texts)),
    }
