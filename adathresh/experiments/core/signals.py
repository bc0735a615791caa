"""What decision rules are compared on: cross-fitted scores of several base models, shares, label texts."""

import time
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.models import PLAIN, rows_key
from adathresh.models._texts import TextClassifier
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.neighbors import NeighborShares
from adathresh.models.tree import LabelTree
from adathresh.models.words import BagOfWords
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.signals.knn import NeighborLabels
from adathresh.signals.label_text import LabelAffinity
from adathresh.utils.texts import as_array, label_vectorizer

N_FOLDS = 3
"""Folds of the cross-fitted scores."""

TOGETHER = "all together"
"""Name of all base models at once."""

# Beyond this, one-vs-rest training on all rows takes too long, and a label tree makes sense.
_MANY_LABELS = 100


class FittingRows(NamedTuple):
    """The rows that models and rules are fitted on: the training rows, then the dev rows."""

    X: sp.csr_array
    texts: np.ndarray | None
    """None where the rows have no texts."""
    Y: sp.csr_array
    groups: np.ndarray | None
    folds: np.ndarray
    """Fold of each row."""


class Signals(NamedTuple):
    """What the rules see: base scores, neighbour shares and likeness of texts, of fitting and test rows."""

    scores: tuple
    """Out-of-fold probabilities of the fitting rows, and those of the test rows; of several models, lists."""
    local: tuple
    """Leave-one-out neighbour shares of the fitting rows, and shares of the test rows."""
    affinity: tuple | None
    """Likeness to the label names; None where rows or labels have no texts."""
    seconds: float
    """What training and scoring of the base models took when they were done."""

    def mean_scores(self):
        """Average the base models, for rules that take one matrix.

        Returns
        -------
        tuple of sparse matrices
            Of the fitting rows and of the test rows; what a model has not scored counts as 0.
        """
        return tuple(
            reduce(add, part) / len(part) if isinstance(part, list) else part for part in self.scores
        )


def base_models(config, ds, *, seed):
    """Return the base models whose scores are cut.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the network's sizes, the number of labels up to which it is trained, and the
        number of words.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    seed : int
        Of the training; omikuji, which grows the label trees, takes none.

    Returns
    -------
    dict of str to estimator
        A one-vs-rest linear model, where there are many labels trained on the negatives that the neighbours
        name; where there are texts, perhaps another one of the words and pairs of words that they begin with;
        a label tree where there are many labels; the network.
    """
    n_labels, numbers = ds.train.Y.shape[1], config.numbers
    many = n_labels > _MANY_LABELS
    shortlist = NeighborShares(n_jobs=2) if many else None
    linear = LinearOneVsRest(shortlist=shortlist, n_jobs=2, random_state=seed)
    models = {"linear": linear}
    if ds.train.texts is not None and numbers.first_words:
        models["linear, first words"] = BagOfWords(linear, max_words=numbers.first_words)
    if many:
        models["label tree"] = LabelTree(n_jobs=2)
    if n_labels <= numbers.network_labels:
        models["network"] = AdaptiveThresholdNetwork(
            hidden_layers=numbers.hidden_layers,
            learning_rate=numbers.learning_rate,
            batch_size=numbers.batch_size,
            max_epochs=numbers.max_epochs,
            patience=numbers.patience,
            random_state=seed,
            **PLAIN,
        )
    return models


def fitting_rows(ds, *, seed):
    """Put training and dev rows together and draw their folds.

    Parameters
    ----------
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    seed : int
        Of the folds.

    Returns
    -------
    FittingRows
        The rows.
    """
    groups = None if ds.train.groups is None else np.concatenate([ds.train.groups, ds.validation.groups])
    X, Y = sp.csr_array(sp.vstack([ds.train.X, ds.validation.X])), fitting_labels(ds)
    texts = None if ds.train.texts is None else as_array([*ds.train.texts, *ds.validation.texts])
    return FittingRows(X, texts, Y, groups, draw_folds(X.shape[0], N_FOLDS, groups=groups, random_state=seed))


def fitting_labels(ds):
    """Put the labels of training and dev rows together.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    scipy.sparse.csr_array
        Labels of the training rows, then of the dev rows.
    """
    return sp.csr_array(sp.vstack([ds.train.Y, ds.validation.Y]))


def all_signals(config, ds, *, seed):
    """Compute everything that the rules see, for every base model and for all of them together.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    seed : int
        Of folds and training.

    Yields
    ------
    tuple of (str, Signals)
        Name of the base model, or "all together", and what is seen with it.
    """
    found = []
    for base, model in base_models(config, ds, seed=seed).items():
        found.append(signals(ds, base, model, seed=seed))
        yield base, found[-1]
    together = tuple(list(part) for part in zip(*(seen.scores for seen in found), strict=True))
    yield TOGETHER, found[0]._replace(scores=together, seconds=sum(seen.seconds for seen in found))


def signals(ds, base, model, *, seed):
    """Compute everything that the rules see with one base model, once.

    Parameters
    ----------
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    base : str
        Name of the base model.
    model : estimator
        The base model, not fitted.
    seed : int
        Of folds and training.

    Returns
    -------
    Signals
        Scores, shares and likenesses.
    """
    rows = fitting_rows(ds, seed=seed)
    data = {"data": ds.fingerprint, "rows": rows_key(ds)}
    key = {"what": "cross-fitted", **data, "base": base, "model": repr(model), "seed": seed}
    found = cached_arrays(key, lambda: _cross_fit(ds, rows, model))
    shares = cached_arrays({"what": "all shares", **data}, lambda: _shares(ds, rows))
    affinity = None
    if ds.train.texts is not None:
        texts = cached_arrays({"what": "affinity", **data}, lambda: _affinity(ds))
        affinity = texts["fitting"], texts["test"]
    return Signals(
        (found["fitting"], found["test"]),
        (shares["fitting"], shares["test"]),
        affinity,
        float(found["seconds"]),
    )


def _cross_fit(ds, rows, model):
    """Return the base model's scores as arrays."""
    start, n_labels = time.perf_counter(), rows.Y.shape[1]
    of_texts = isinstance(model, TextClassifier)
    fitting, test = (rows.texts, as_array(ds.test.texts)) if of_texts else (rows.X, ds.test.X)
    found = out_of_fold_scores(model, fitting, rows.Y, rows.folds, n_labels=n_labels)
    test = base_scores(model.fit(fitting, rows.Y), test, n_labels=n_labels)
    seconds = np.array(time.perf_counter() - start)
    return {"fitting": sp.csr_array(found), "test": sp.csr_array(test), "seconds": seconds}


def _shares(ds, rows):
    """Return the neighbour shares of fitting and test rows."""
    knn = NeighborLabels(n_jobs=2)
    fitting = knn.fit_transform(rows.X, rows.Y, groups=rows.groups)
    return {"fitting": fitting, "test": knn.transform(ds.test.X)}


def _affinity(ds):
    """Return the likeness of row texts to label names, by words and pairs of words."""
    texts = [*ds.train.texts, *ds.validation.texts]
    vectoriser = label_vectorizer(ds.label_names, texts)
    likeness = LabelAffinity(n_jobs=2).fit(vectoriser.transform(ds.label_names))
    return {
        "fitting": likeness.transform(vectoriser.transform(texts)),
        "test": likeness.transform(vectoriser.transform(ds.test.texts)),
    }
