"""All decision rules on the same cross-fitted scores: what notebook 08 computes."""

import time
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from adathresh.affinity import LabelAffinity
from adathresh.baselines.linear import LinearOneVsRest
from adathresh.baselines.neighbours import NeighborShares
from adathresh.baselines.tree import LabelTree
from adathresh.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.end_to_end import AdaptiveThresholdNetwork
from adathresh.experiments.cache import cached_arrays
from adathresh.experiments.models import MODULES, PLAIN, rows_key
from adathresh.experiments.studies import test_metrics
from adathresh.experiments.tables import table_row
from adathresh.knn import NeighborLabels
from adathresh.posthoc import AdaptiveThreshold
from adathresh.rules import (
    BlockCoordinateMacroF1,
    ExpectedF1Cut,
    FixedCut,
    FrankWolfeMacroF1,
    GlobalCut,
    MaxGapCut,
    MicroMacroCut,
    PerLabelCut,
    ProportionalCut,
    TopK,
)

N_FOLDS = 3
"""Folds of the cross-fitted scores."""

OURS = "adaptive"
"""The rule that all others are compared with."""

# Beyond this, one-vs-rest training on all rows takes too long, and so does training the network four times.
_MANY_LABELS = 100
_MODULES = (*MODULES, "adathresh.crossfit", "adathresh.baselines", "adathresh.affinity", __name__)


class FittingRows(NamedTuple):
    """The rows that models and rules are fitted on: the training rows, then the dev rows."""

    X: sp.csr_array
    Y: sp.csr_array
    groups: np.ndarray | None
    folds: np.ndarray
    """Fold of each row."""


class Signals(NamedTuple):
    """What the rules see: base scores, neighbour shares and likeness of texts, of fitting and test rows."""

    scores: tuple
    """Out-of-fold probabilities of the fitting rows, and those of the test rows."""
    local: tuple
    """Leave-one-out neighbour shares of the fitting rows, and shares of the test rows."""
    affinity: tuple | None
    """Likeness to the label names; None where rows or labels have no texts."""
    seconds: float
    """What training and scoring of the base model took when they were done."""


def base_models(config, ds, *, seed):
    """Return the base models whose scores are cut.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the network's sizes.
    ds : Dataset
        As :func:`adathresh.experiments.models.prepare` returns it.
    seed : int
        Of the training; omikuji, which grows the label trees, takes none.

    Returns
    -------
    dict of str to estimator
        A one-vs-rest linear model and a label tree where there are many labels, the neighbours naming the
        negatives that the linear model is trained on; a linear model and the network where there are few.
    """
    if ds.Y_train.shape[1] > _MANY_LABELS:
        shortlist = NeighborShares(n_jobs=2)
        return {
            "linear": LinearOneVsRest(shortlist=shortlist, n_jobs=2, random_state=seed),
            "label tree": LabelTree(n_jobs=2),
        }
    numbers = config.numbers
    network = AdaptiveThresholdNetwork(
        hidden_layers=numbers.hidden_layers,
        learning_rate=numbers.learning_rate,
        batch_size=numbers.batch_size,
        max_epochs=numbers.max_epochs,
        patience=numbers.patience,
        random_state=seed,
        **PLAIN,
    )
    return {"linear": LinearOneVsRest(n_jobs=2, random_state=seed), "network": network}


def fitting_rows(ds, *, seed):
    """Put training and dev rows together and draw their folds.

    Parameters
    ----------
    ds : Dataset
        As :func:`adathresh.experiments.models.prepare` returns it.
    seed : int
        Of the folds.

    Returns
    -------
    FittingRows
        The rows.
    """
    groups = None if ds.groups_train is None else np.concatenate([ds.groups_train, ds.groups_dev])
    X, Y = (sp.csr_array(sp.vstack(parts)) for parts in ((ds.X_train, ds.X_dev), (ds.Y_train, ds.Y_dev)))
    return FittingRows(X, Y, groups, draw_folds(X.shape[0], N_FOLDS, groups=groups, random_state=seed))


def signals(config, ds, base, model, *, seed):
    """Compute everything that the rules see, once.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.models.prepare` returns it.
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
    found = cached_arrays(key, lambda: _cross_fit(ds, rows, model), modules=_MODULES)
    shares = cached_arrays({"what": "all shares", **data}, lambda: _shares(ds, rows), modules=_MODULES)
    affinity = None
    if ds.text_train is not None:
        texts = cached_arrays({"what": "affinity", **data}, lambda: _affinity(ds), modules=_MODULES)
        affinity = texts["fitting"], texts["test"]
    return Signals(
        (found["fitting"], found["test"]),
        (shares["fitting"], shares["test"]),
        affinity,
        float(found["seconds"]),
    )


def rival_rules(Y):
    """Return the rules that ours is compared with.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels of the fitting rows; their mean number a row is the k of the rules that have one.

    Returns
    -------
    dict of str to tuple of (estimator, str)
        Unfitted rules by name, each with "inductive" or "transductive".
    """
    k = max(1, round(Y.nnz / Y.shape[0]))
    inductive = {
        "fixed 0.5": FixedCut(0.5),
        "global cut": GlobalCut("macro_f1"),
        "global cut, micro": GlobalCut("micro_f1"),
        "RCut": TopK(k),
        "PCut": ProportionalCut(),
        "MCut": MaxGapCut(),
        "SCut": PerLabelCut(),
        "SCutFBR": PerLabelCut(fallback="top"),
        "micro + macro": MicroMacroCut(),
        "F*/2": ExpectedF1Cut(),
        "Frank–Wolfe": FrankWolfeMacroF1(random_state=0),
    }
    rules = {name: (rule, "inductive") for name, rule in inductive.items()}
    if k < Y.shape[1]:
        rules["block coordinate"] = BlockCoordinateMacroF1(k, random_state=0), "transductive"
    return rules


def adaptive_rules(ds, seen, *, seed):
    """Return our rules with what each of them is given.

    Parameters
    ----------
    ds : Dataset
        The data set; macro-F1 is to be taken over as many rows as it has test rows.
    seen : Signals
        What there is to be given.
    seed : int
        Of the fusion.

    Returns
    -------
    dict of str to tuple of (AdaptiveThreshold, str, dict)
        Unfitted rules by name, each with its mode and its signals beside the scores.
    """
    local = {"local": seen.local}
    options = {"evaluation_rows": ds.Y_test.shape[0], "random_state": seed}
    rules = {
        OURS: (AdaptiveThreshold(**options), "inductive", local),
        "adaptive, no neighbours": (AdaptiveThreshold(**options), "inductive", {}),
        "adaptive, linear": (AdaptiveThreshold(fusion="linear", **options), "inductive", local),
        "adaptive, macro + micro": (AdaptiveThreshold("macro_micro_f1", **options), "inductive", local),
        "adaptive, transductive": (AdaptiveThreshold(transductive=True, **options), "transductive", local),
    }
    if seen.affinity is not None:
        texts = {**local, "affinity": seen.affinity}
        rules["adaptive + label texts"] = AdaptiveThreshold(**options), "inductive", texts
        name = "adaptive + label texts, macro + micro"
        rules[name] = AdaptiveThreshold("macro_micro_f1", **options), "inductive", texts
    return rules


def all_predictions(ds, seen, *, seed):
    """Fit every rule on the cross-fitted scores and predict the test rows.

    Parameters
    ----------
    ds : Dataset
        The data set.
    seen : Signals
        As :func:`signals` returns them.
    seed : int
        Of folds and fusion.

    Returns
    -------
    dict of str to tuple
        For each rule its test label sets, the probabilities they were cut from, its mode and what fitting and
        predicting took, in seconds.
    """
    rows = fitting_rows(ds, seed=seed)
    fitting, test = seen.scores
    results = {}
    for name, (rule, mode) in rival_rules(rows.Y).items():
        start = time.perf_counter()
        predicted = rule.fit(fitting, rows.Y).predict(test)
        results[name] = predicted, test, mode, time.perf_counter() - start
    for name, (rule, mode, others) in adaptive_rules(ds, seen, seed=seed).items():
        start = time.perf_counter()
        rule.fit(fitting, rows.Y, folds=rows.folds, **{signal: both[0] for signal, both in others.items()})
        at_test = {signal: both[1] for signal, both in others.items()}
        predicted = rule.predict(test, **at_test)
        seconds = time.perf_counter() - start
        results[name] = predicted, rule.predict_proba(test, **at_test), mode, seconds
    return results


def rules_table(config, ds, base, predictions, *, seed):
    """Evaluate the label sets of every rule on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    base : str
        Name of the base model.
    predictions : dict
        As :func:`all_predictions` returns it.
    seed : int
        Of folds and training.

    Returns
    -------
    list of dict
        One table row a rule.
    """
    return [
        table_row(
            config,
            ds,
            method="adathresh" if rule.startswith(OURS) else "rival rule",
            base=base,
            rule=rule,
            mode=mode,
            seed=seed,
            metrics=test_metrics(ds, predicted, scores),
        )
        for rule, (predicted, scores, mode, _) in predictions.items()
    ]


def _cross_fit(ds, rows, model):
    """Return the base model's scores as arrays."""
    start, n_labels = time.perf_counter(), rows.Y.shape[1]
    found = out_of_fold_scores(model, rows.X, rows.Y, rows.folds, n_labels=n_labels)
    test = base_scores(model.fit(rows.X, rows.Y), ds.X_test, n_labels=n_labels)
    seconds = np.array(time.perf_counter() - start)
    return {"fitting": sp.csr_array(found), "test": sp.csr_array(test), "seconds": seconds}


def _shares(ds, rows):
    """Return the neighbour shares of fitting and test rows."""
    knn = NeighborLabels(n_jobs=2)
    fitting = knn.fit_transform(rows.X, rows.Y, groups=rows.groups)
    return {"fitting": fitting, "test": knn.transform(ds.X_test)}


def _affinity(ds):
    """Return the likeness of row texts to label names, by words and pairs of words."""
    words = {"sublinear_tf": True, "ngram_range": (1, 2), "token_pattern": r"[^\W\d_]{2,}"}
    known = TfidfVectorizer(**words).fit(ds.label_names).vocabulary_
    texts = [*ds.text_train, *ds.text_dev]
    vectoriser = TfidfVectorizer(vocabulary=known, **words).fit(texts)
    likeness = LabelAffinity(n_jobs=2).fit(vectoriser.transform(ds.label_names))
    return {
        "fitting": likeness.transform(vectoriser.transform(texts)),
        "test": likeness.transform(vectoriser.transform(ds.text_test)),
    }
