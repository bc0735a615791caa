"""The trained models that the notebooks share, each computed once for a data set, a profile and a seed."""

import dataclasses
import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.preprocessing import StandardScaler, normalize

from adathresh.datasets import load_dataset
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import Cost, cost_of, fit_and_predict
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.signals.knn import NeighborLabels

# Rows with more than this share of their features stored are measurements rather than bags of words.
_DENSE_FROM = 0.5

PLAIN = {"fixed_threshold": 0.0, "margin_weight": 0.0, "use_knn": False}
"""Switches that leave binary cross-entropy: logits against 0, no margin term."""

PAPER = {"pos_weight": 10.0}
"""Switches of the paper's method that differ from the classifier's defaults."""

BASES = {
    "linear": {**PLAIN, "hidden_layers": (), "learning_rate": 1e-2, "batch_size": 512},
    "neighbours": None,
    "network": PLAIN,
}
"""The base models: one-vs-rest logistic regression, label shares of the neighbours, the network."""


class BaseScores(NamedTuple):
    """Probabilities of one base model on rows that it was not trained on."""

    dev: sp.csr_array
    """Scores of the dev rows, the highest of each row."""
    test: sp.csr_array
    """Scores of the test rows."""
    cost: Cost
    """What training and scoring took when they were done."""


class Shares(NamedTuple):
    """Neighbour shares of every split, by the neighbours among the training rows."""

    train: sp.csr_array
    """Leave-one-out, and leave-the-group-out where there are groups."""
    dev: sp.csr_array
    """Of the dev rows."""
    test: sp.csr_array
    """Of the test rows."""
    cost: Cost
    """What the search took when it was done: among the training rows, then that of dev and test rows."""


class TrainedMethod(NamedTuple):
    """One training run of the network with its thresholds."""

    dev_scores: sp.csr_array
    """σ(z−θ) of the dev rows, the highest of each row."""
    test_scores: sp.csr_array
    """σ(z−θ) of the test rows."""
    dev_predicted: sp.csr_array
    """Label sets of the dev rows."""
    test_predicted: sp.csr_array
    """Label sets of the test rows."""
    history: pd.DataFrame
    """One row an epoch."""
    thresholds: dict
    """The trained parts of θ: constant for each label ("constant"), and factor of the share ("share")."""
    cost: Cost
    """What training and scoring took when they were done."""


def prepare(config):
    """Load the run's data set with features as the models take them.

    Measurements (most features stored in most rows) are standardised with the training rows' mean and
    standard deviation; bags of words are scaled to unit length.

    Parameters
    ----------
    config : RunConfig
        The run.

    Returns
    -------
    adathresh.datasets.Dataset
        The data set, features scaled; its fingerprint stays that of the data as published.
    """
    ds = load_dataset(config.dataset, data_dir=config.data_dir, progress=False)
    scale = normalize
    if ds.train.X.nnz >= _DENSE_FROM * np.prod(ds.train.X.shape):
        scaler = StandardScaler().fit(ds.train.X.toarray())

        def scale(X):
            return scaler.transform(X.toarray()).astype(np.float32)

    train, validation, test = (
        dataclasses.replace(rows, X=sp.csr_array(scale(rows.X))) for rows in ds.splits.values()
    )
    return dataclasses.replace(ds, train=train, validation=validation, test=test)


def neighbour_shares(ds):
    """Compute the local signal of every split.

    Parameters
    ----------
    ds : Dataset
        As :func:`prepare` returns it.

    Returns
    -------
    Shares
        Shares in [0, 1].
    """
    key = {"what": "shares", "data": ds.fingerprint, "rows": rows_key(ds)}
    arrays = cached_arrays(key, lambda: _search(ds))
    return Shares(arrays["train"], arrays["dev"], arrays["test"], cost_of(arrays))


def base_scores(config, ds, base, *, seed):
    """Train a base model and score the dev and the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`prepare` returns it.
    base : {"linear", "neighbours", "network"}
        The model.
    seed : int
        Of the training; neighbours have no randomness.

    Returns
    -------
    BaseScores
        Probabilities.
    """
    if base == "neighbours":
        shares = neighbour_shares(ds)
        return BaseScores(shares.dev, shares.test, shares.cost)
    trained = train_network(config, ds, seed=seed, **BASES[base])
    return BaseScores(trained.dev_scores, trained.test_scores, trained.cost)


def train_network(config, ds, *, seed, **switches):
    """Train the network with its thresholds on the training rows; the dev rows decide when to stop.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the sizes.
    ds : Dataset
        As :func:`prepare` returns it.
    seed : int
        Of the training.
    **switches : dict
        Parameters of :class:`adathresh.AdaptiveThresholdNetwork` that differ from the profile's.

    Returns
    -------
    TrainedMethod
        Scores, label sets, training history and thresholds.
    """
    numbers = config.numbers
    parameters = {
        "hidden_layers": numbers.hidden_layers,
        "learning_rate": numbers.learning_rate,
        "batch_size": numbers.batch_size,
        "max_epochs": numbers.max_epochs,
        "patience": numbers.patience,
        **switches,
    }
    key = {
        "what": "network",
        "data": ds.fingerprint,
        "rows": rows_key(ds),
        "seed": seed,
        "k": numbers.top_scores,
    }
    arrays = cached_arrays(
        {**key, "parameters": parameters},
        lambda: _train(ds, AdaptiveThresholdNetwork(random_state=seed, **parameters), numbers.top_scores),
    )
    return TrainedMethod(
        dev_scores=arrays["dev_scores"],
        test_scores=arrays["test_scores"],
        dev_predicted=arrays["dev_predicted"],
        test_predicted=arrays["test_predicted"],
        history=pd.DataFrame(arrays["history"], columns=[str(name) for name in arrays["history_names"]]),
        thresholds={"constant": arrays["constant"], "share": arrays["share"]},
        cost=cost_of(arrays),
    )


def subsample(ds, n_rows, *, seed):
    """Keep a random part of the training rows.

    Parameters
    ----------
    ds : Dataset
        A data set.
    n_rows : int
        Training rows to keep; all where there are fewer.
    seed : int
        Of the draw.

    Returns
    -------
    Dataset
        The same dev and test rows, fewer training rows.
    """
    if n_rows >= ds.train.X.shape[0]:
        return ds
    rows = np.sort(np.random.default_rng(seed).permutation(ds.train.X.shape[0])[:n_rows])
    return dataclasses.replace(ds, train=ds.train.take(rows))


def rows_key(ds):
    """Tell a subsample from the whole data set, for the key of a stored model.

    Parameters
    ----------
    ds : Dataset
        A data set, perhaps a subsample.

    Returns
    -------
    list of int
        Number of training rows, and checksums of their labels and features.
    """
    parts = (ds.train.Y.indptr, ds.train.Y.indices, ds.train.X.indptr, ds.train.X.indices, ds.train.X.data)
    return [ds.train.X.shape[0], *(zlib.crc32(np.ascontiguousarray(part)) for part in parts)]


def _search(ds):
    """Return the neighbour shares of every split, as arrays."""
    knn, shares = NeighborLabels(n_jobs=2), {}

    def fit():
        shares["train"] = knn.fit_transform(ds.train.X, ds.train.Y, groups=ds.train.groups)

    def predict():
        return {**shares, "dev": knn.transform(ds.validation.X), "test": knn.transform(ds.test.X)}

    return fit_and_predict(fit, predict)


def _train(ds, network, k):
    """Fit a network and return everything that is kept of it, as arrays."""
    local = neighbour_shares(ds).train if network.use_knn and network.fixed_threshold is None else None

    def fit():
        network.fit(
            ds.train.X,
            ds.train.Y,
            groups=ds.train.groups,
            dev=(ds.validation.X, ds.validation.Y),
            local=local,
        )

    def predict():
        return {
            "dev_scores": network.top_scores(ds.validation.X, k=k),
            "test_scores": network.top_scores(ds.test.X, k=k),
            "dev_predicted": sp.csr_array(network.predict(ds.validation.X)),
            "test_predicted": sp.csr_array(network.predict(ds.test.X)),
        }

    return {
        **fit_and_predict(fit, predict),
        "history": np.array([list(entry.values()) for entry in network.history_], dtype=float),
        "history_names": np.array(list(network.history_[0])),
        **_threshold_parts(network.model_.fusion, ds.train.Y.shape[1]),
    }


def _threshold_parts(fusion, n_labels):
    """Return θ as a constant for each label plus a factor times the neighbour share."""
    with torch.no_grad():
        nothing = fusion(torch.zeros(1, n_labels)).numpy()[0]
        everything = fusion(torch.ones(1, n_labels)).numpy()[0]
    return {"constant": nothing, "share": everything - nothing}
