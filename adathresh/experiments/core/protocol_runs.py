"""Training runs of the released protocol, and without leakage on the same rows; each computed once.

Everything is evaluated on the validation rows, because the released protocol chooses its epoch on the rows
that it reports; no test row is used. The rows, network and step size are the profile's; batches, loss,
switches and signals are the released ones.
"""

import warnings
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from joblib import delayed

from adathresh.datasets.splits import group_split
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.trainings import PAPER, neighbor_shares
from adathresh.metrics import macro_f1, macro_f1_present, micro_f1, top_k
from adathresh.paper.as_released import (
    BATCH_SIZE,
    LabelLeakageWarning,
    LeakFreeSignals,
    ReleasedModel,
    label_signals,
    predict_each_way,
    predict_released,
    train_released,
)
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.paper.network import SparseRows
from adathresh.signals.idf import LabelIDF

EVALUATION_BATCHES = (1, 16, 128, 1024)
"""Evaluation batch sizes of the released protocol; 128 is its own."""

HALVES = (1, 2)
"""The validation rows in two parts, one to choose the epoch by and one to report."""

WITHOUT_LEARNT_THRESHOLD = tuple(
    {"pos_weight": weight, "normalize_logits": standardised}
    for weight, standardised in product((1.0, 10.0), (False, True))
)
"""Switches of the runs with θ = 0.5: positives weighted or not, rows of logits standardised or not."""


class ProtocolRun(NamedTuple):
    """One training run."""

    history: pd.DataFrame
    """One row an epoch: loss, and the measures of the validation rows, on all of them and on each half."""
    predictions: dict
    """Label sets of the validation rows by the last epoch's weights, by name of the way to evaluate."""
    scores: dict
    """σ(z−θ) of the validation rows by the same weights, the highest of each row, by name of the signals."""


def train_all(config, parts, runs):
    """Train several runs of each seed side by side, so that each is found in the cache afterwards.

    ``parts`` has the data set, perhaps a subsample, of each seed; ``runs`` are pairs of a function of this
    module and its further arguments, the longest first.
    """
    side_by_side(
        delayed(run)(config, ds, seed=seed, **how) for seed, ds in parts.items() for run, how in runs
    )


def released_run(config, ds, *, seed, n_epochs=None, batches=EVALUATION_BATCHES, pos_weight=10.0, **switches):
    """Train by the released protocol and predict the validation rows in every way.

    Label sets are "released, batch b" and "withheld, batch b" for every batch size and "labels of other
    rows"; scores are "released" and "withheld". ``n_epochs`` None: the profile's number; ``pos_weight`` None:
    1; ``switches`` are those of :class:`adathresh.paper.as_released.ReleasedModel`.
    """
    n_epochs = config.numbers.released_epochs if n_epochs is None else n_epochs
    how = {"n_epochs": n_epochs, "pos_weight": pos_weight}
    key = {"what": "released run", **how, "batches": batches, "switches": switches}
    return _stored(config, ds, seed, key, lambda: _train_released(config, ds, seed, how, batches, switches))


def fixed_threshold_run(config, ds, *, seed, pos_weight, normalize_logits):
    """Train as released, but with θ = 0.5 for all rows and labels, for half of the profile's epochs.

    Labels can reach nothing, so all ways to evaluate are equal.
    """
    return released_run(
        config,
        ds,
        seed=seed,
        n_epochs=config.numbers.released_epochs // 2,
        batches=(BATCH_SIZE,),
        pos_weight=pos_weight,
        normalize_logits=normalize_logits,
        use_fixed_threshold=True,
    )


def leak_free_run(config, ds, *, seed):
    """Train the released model, loss and step with rarity and neighbours taken from the training rows.

    A training row's own labels, and those of its group, are left out of its neighbours'; nothing else differs
    from :func:`released_run`.
    """
    key = {"what": "leak-free run", "n_epochs": config.numbers.released_epochs}
    return _stored(config, ds, seed, key, lambda: _train_leak_free(config, ds, seed))


def leak_free_method(config, ds, *, seed):
    """Train :class:`adathresh.AdaptiveThresholdNetwork` with the paper's loss on the same rows.

    It holds a tenth of the training rows out to choose the epoch.
    """
    numbers = config.numbers
    parameters = {
        "hidden_layers": numbers.hidden_layers,
        "learning_rate": numbers.learning_rate,
        "batch_size": numbers.batch_size,
        "max_epochs": numbers.released_epochs,
        "patience": numbers.patience,
        **PAPER,
    }
    key = {"what": "leak-free method", "parameters": parameters}
    return _stored(config, ds, seed, key, lambda: _train_method(config, ds, seed, parameters))


def initial_model(config, ds, *, seed, **switches):
    """Return the released model that :func:`released_run` trains, before training."""
    sizes = ds.train.X.shape[1], ds.train.Y.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ReleasedModel(*sizes, hidden_layers=config.numbers.hidden_layers, **switches)


def measures(Y_true, predicted):
    """Measure label sets as every epoch is measured: by F1, and by the labels predicted a row.

    The latter tell predicting little from predicting much.
    """
    return {
        "macro_f1": macro_f1(Y_true, predicted),
        "macro_f1_present": macro_f1_present(Y_true, predicted),
        "micro_f1": micro_f1(Y_true, predicted),
        "labels_per_row": predicted.nnz / predicted.shape[0],
    }


def _stored(config, ds, seed, key, compute):
    """Return a training run from the cache, or train."""
    numbers = config.numbers
    key |= {
        "data": ds.fingerprint,
        "rows": rows_key(ds),
        "seed": seed,
        "hidden_layers": numbers.hidden_layers,
        "learning_rate": numbers.learning_rate,
        "k": numbers.top_scores,
    }
    arrays = cached_arrays(key, compute)
    names = [str(name) for name in arrays.pop("history_names")]
    history = pd.DataFrame(arrays.pop("history"), columns=names)
    named = [name for name in arrays if name.startswith("scores: ")]
    scores = {name.removeprefix("scores: "): arrays.pop(name) for name in named}
    return ProtocolRun(history, arrays, scores)


def _train_released(config, ds, seed, how, batches, switches):
    """Train by the released protocol; return history, label sets and scores as arrays."""
    model = initial_model(config, ds, seed=seed, **switches)
    arrays = _as_arrays(_train(model, config, ds, seed, **how))
    others = ds.validation.Y[np.random.default_rng(seed).permutation(ds.validation.Y.shape[0])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        ways = list(product(("released", "withheld"), batches))
        predictions = predict_each_way(model, ds.validation.X, ds.validation.Y, ways)
        arrays |= {f"{way[0]}, batch {way[1]}": found for way, found in zip(ways, predictions, strict=True)}
        arrays["labels of other rows"] = predict_released(model, ds.validation.X, others)

    def _truth(rows):
        """Return the labels of a batch."""
        return torch.from_numpy(ds.validation.Y[rows].toarray())

    k = config.numbers.top_scores
    arrays["scores: released"] = _top_scores(
        model, ds.validation.X, lambda rows: label_signals(_truth(rows)), k
    )
    arrays["scores: withheld"] = _top_scores(
        model, ds.validation.X, lambda rows: label_signals(0 * _truth(rows)), k
    )
    return arrays


def _train_leak_free(config, ds, seed):
    """Train the released model with leak-free signals; return history, label sets and scores as arrays."""
    idf, shares = LabelIDF().fit(ds.train.Y).idf_, neighbor_shares(ds)
    signals = LeakFreeSignals(idf, shares.train), LeakFreeSignals(idf, shares.validation)
    model = initial_model(config, ds, seed=seed)
    history = _train(model, config, ds, seed, n_epochs=config.numbers.released_epochs, leak_free=signals)
    predicted = predict_released(model, ds.validation.X, ds.validation.Y, signals=signals[1])

    def _of_batch(rows):
        """Return rarity and shares of a batch."""
        local = torch.from_numpy(shares.validation[rows].toarray())
        return torch.as_tensor(idf).to(local).expand_as(local), local

    scores = _top_scores(model, ds.validation.X, _of_batch, config.numbers.top_scores)
    return {"leak-free signals": predicted, "scores: leak-free signals": scores, **_as_arrays(history)}


def _train_method(config, ds, seed, parameters):
    """Train our own network; return history, label sets and scores as arrays."""
    network = AdaptiveThresholdNetwork(random_state=seed, **parameters)
    network.fit(ds.train.X, ds.train.Y, groups=ds.train.groups)
    return {
        "leak-free": sp.csr_array(network.predict(ds.validation.X)),
        "scores: leak-free": network.top_scores(ds.validation.X, k=config.numbers.top_scores),
        **_as_arrays(network.history_),
    }


def _train(model, config, ds, seed, **options):
    """Train a released model and measure every epoch on the validation rows and on their halves."""
    groups = np.arange(ds.validation.Y.shape[0]) if ds.validation.groups is None else ds.validation.groups
    halves = group_split(groups, (0.5, 0.5), random_state=seed)

    def _measure(predicted):
        """Measure the label sets of the validation rows."""
        by_half = zip(HALVES, halves, strict=True)
        return measures(ds.validation.Y, predicted) | {
            f"macro_f1_half_{half}": macro_f1(ds.validation.Y[rows], predicted[rows])
            for half, rows in by_half
        }

    return train_released(
        model,
        ds.train.X,
        ds.train.Y,
        ds.validation.X,
        ds.validation.Y,
        learning_rate=config.numbers.learning_rate,
        measure=_measure,
        seed=seed,
        **options,
    )


def _top_scores(model, X, signals, k):
    """Return the k highest σ(z−θ) of each row; ``signals`` returns those of a batch of rows."""
    model.eval()
    found = []
    for start in range(0, X.shape[0], BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        with torch.inference_mode():
            z, theta = model(SparseRows.from_csr(X[rows]), *signals(rows))
            found.append(top_k(torch.sigmoid(z - theta).numpy(), k))
    return sp.csr_array(sp.vstack(found, format="csr"))


def _as_arrays(history):
    """Return a history as the cache keeps it."""
    return {
        "history": np.array([list(entry.values()) for entry in history], dtype=float),
        "history_names": np.array(list(history[0])),
    }
