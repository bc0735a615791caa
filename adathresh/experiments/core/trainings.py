"""Trainings of the paper's network on the training rows, each computed once for a data set, profile and seed.

The validation rows decide when a training stops. Base models whose scores are cross-fitted are in
``base_models``.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from joblib import delayed

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import Cost, cost_of, fit_and_predict
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.parallel import side_by_side
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.signals.knn import NeighborLabels

PLAIN = {"fixed_threshold": 0.0, "margin_weight": 0.0, "use_knn": False}
"""Switches that leave binary cross-entropy: logits against 0, no margin term."""

PAPER = {"pos_weight": 10.0}
"""Switches of the paper's method that differ from the classifier's defaults."""


class Shares(NamedTuple):
    """Neighbour shares of every split, by the neighbours among the training rows."""

    train: sp.csr_array
    """Leave-one-out, and leave-the-group-out where there are groups."""
    validation: sp.csr_array
    """Of the validation rows."""
    test: sp.csr_array
    """Of the test rows."""
    cost: Cost
    """What the search took when it was done: among the training rows, then that of the other rows."""


class TrainedMethod(NamedTuple):
    """One training run of the network with its thresholds."""

    validation_scores: sp.csr_array
    """σ(z−θ) of the validation rows, the highest of each row."""
    test_scores: sp.csr_array
    """σ(z−θ) of the test rows."""
    validation_predicted: sp.csr_array
    """Label sets of the validation rows."""
    test_predicted: sp.csr_array
    """Label sets of the test rows."""
    history: pd.DataFrame
    """One row an epoch."""
    thresholds: dict
    """The trained parts of θ: constant for each label ("constant"), and factor of the share ("share")."""
    cost: Cost
    """What training and scoring took when they were done."""

    @classmethod
    def from_arrays(cls, arrays):
        """Put together what :func:`train_and_score` returned."""
        return cls(
            validation_scores=arrays["validation_scores"],
            test_scores=arrays["test_scores"],
            validation_predicted=arrays["validation_predicted"],
            test_predicted=arrays["test_predicted"],
            history=pd.DataFrame(arrays["history"], columns=[str(name) for name in arrays["history_names"]]),
            thresholds={"constant": arrays["constant"], "share": arrays["share"]},
            cost=cost_of(arrays),
        )


def neighbor_shares(ds):
    """Compute the neighbour shares, in [0, 1], of every split, once for a data set."""
    key = {"what": "shares", "data": ds.fingerprint, "rows": rows_key(ds)}
    arrays = cached_arrays(key, lambda: _search(ds))
    return Shares(arrays["train"], arrays["validation"], arrays["test"], cost_of(arrays))


def train_network(config, ds, *, seed, **switches):
    """Train the network with its thresholds on the training rows; the validation rows decide when to stop.

    The sizes are the profile's; ``switches`` are parameters of :class:`adathresh.AdaptiveThresholdNetwork`
    that differ.
    """
    parameters, k = {**network_parameters(config), **switches}, config.numbers.top_scores
    key = {"what": "network", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed, "k": k}
    arrays = cached_arrays(
        {**key, "parameters": parameters},
        lambda: train_and_score(ds, AdaptiveThresholdNetwork(random_state=seed, **parameters), k),
    )
    return TrainedMethod.from_arrays(arrays)


def network_parameters(config):
    """Return the parameters of the network that the profile decides on."""
    names = ("hidden_layers", "learning_rate", "batch_size", "max_epochs", "patience")
    return {name: getattr(config.numbers, name) for name in names}


def train_each(config, ds, variants, *, seed):
    """Train the network with each set of switches, some side by side; methods come by name."""
    neighbor_shares(ds)  # every process needs them
    train = delayed(train_network)
    runs = side_by_side(train(config, ds, seed=seed, **switches) for switches in variants.values())
    return dict(zip(variants, runs, strict=True))


def _search(ds):
    """Return the neighbour shares of every split, as arrays."""
    knn, shares = NeighborLabels(n_jobs=2), {}

    def fit():
        shares["train"] = knn.fit_transform(ds.train.X, ds.train.Y, groups=ds.train.groups)

    def predict():
        return {**shares, "validation": knn.transform(ds.validation.X), "test": knn.transform(ds.test.X)}

    return fit_and_predict(fit, predict)


def train_and_score(ds, network, k):
    """Fit a network and return everything that is kept of it, as arrays; of each row the k highest scores."""
    local = neighbor_shares(ds).train if network.use_knn and network.fixed_threshold is None else None

    def fit():
        network.fit(
            ds.train.X,
            ds.train.Y,
            groups=ds.train.groups,
            validation=(ds.validation.X, ds.validation.Y),
            local=local,
        )

    def predict():
        return {
            "validation_scores": network.top_scores(ds.validation.X, k=k),
            "test_scores": network.top_scores(ds.test.X, k=k),
            "validation_predicted": sp.csr_array(network.predict(ds.validation.X)),
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
