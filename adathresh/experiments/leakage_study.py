"""What the released protocol measures: rows for the audit's tables, and the ceiling of macro-F1 on few rows.

Everything is evaluated on the dev rows, because the released protocol chooses its epoch on the rows that it
reports; no test row is used. The rows, network and step size are the profile's; batches, loss, switches and
signals are the released ones.
"""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from scipy.optimize import least_squares

from adathresh.datasets.splits import group_split
from adathresh.end_to_end import AdaptiveThresholdNetwork
from adathresh.experiments.cache import cached_arrays
from adathresh.experiments.models import MODULES, PAPER, neighbour_shares, rows_key
from adathresh.experiments.tables import table_row
from adathresh.idf import LabelIDF
from adathresh.metrics import macro_f1, macro_f1_present, micro_f1
from adathresh.released import (
    BATCH_SIZE,
    LabelLeakageWarning,
    LeakFreeSignals,
    ReleasedModel,
    predict_released,
    train_released,
)

EVALUATION_BATCHES = (1, 16, 128, 1024)
"""Evaluation batch sizes of the released protocol; 128 is its own."""

SHOWN_BATCHES = EVALUATION_BATCHES[1:]
"""Those in the table of :func:`leakage_rows`."""

HALVES = (1, 2)
"""The dev rows in two parts, one to choose the epoch by and one to report."""

MEASURES = ("macro_f1", "macro_f1_present", "micro_f1", "labels_per_row")
"""What is measured of label sets; the last tells predicting little from predicting much."""


class ProtocolRun(NamedTuple):
    """One training run of the released protocol."""

    history: pd.DataFrame
    """One row an epoch: loss, and the measures of the dev rows, on all of them and on each half."""
    predictions: dict
    """Label sets of the dev rows by the last epoch's weights, by name of the way to evaluate."""


class LabelTotals(NamedTuple):
    """Published totals of a data set's label frequencies."""

    n_rows: int
    """Training rows."""
    n_labels: int
    """Labels with a training row."""
    n_positives: int
    """(row, label) pairs."""
    largest: int
    """Rows of the most frequent label."""
    head_labels: int
    """How many of the most frequent labels hold 80 % of the pairs."""
    least: int
    """Rows of the rarest label."""


AMAZONCAT_13K = LabelTotals(1_186_239, 13_330, round(1_186_239 * 5.04), 355_211, 635, 1)
"""AmazonCat-13K's training file.

Rows, labels and 5.04 labels a row: the Extreme Classification Repository (Bhatia et al., 2016). Largest and
least: HeroLT (Wang et al., arXiv:2307.08235; table in the repository SSSKJ/HeroLT), whose imbalance factor,
largest over least, is 355,211. Head: its Pareto ratio of 20.000, labels outside the first 80 % of the pairs
over labels inside (the reading that gives its figures for CIFAR-10-LT, whose class sizes are known). The
ratio is rounded as 1/0.050, which leaves 629 to 641 labels; the ceiling moves by 0.001 between them.
"""

LAWS = ("power law", "shifted power law", "shifted power law with cut-off")
"""Forms of f_r, the rows of the r-th most frequent label, each with one parameter more than the one before.

f_1·r^−s, f_1·((r+q)/(1+q))^−s and f_1·((r+q)/(1+q))^−s·exp(−c(r−1)).
"""


def released_run(config, ds, *, seed, n_epochs=None, batches=EVALUATION_BATCHES, pos_weight=10.0, **switches):
    """Train by the released protocol and predict the dev rows in every way.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set, perhaps a subsample.
    seed : int
        Of the initialisation, the training and the wrong labels.
    n_epochs : int, optional
        Passes over the training rows; None: the profile's ``released_epochs``.
    batches : sequence of int, default=EVALUATION_BATCHES
        Evaluation batch sizes.
    pos_weight : float, optional
        Weight of a positive pair; None means 1.
    **switches : bool
        Of :class:`adathresh.released.ReleasedModel`.

    Returns
    -------
    ProtocolRun
        History, and label sets "released, batch b" and "withheld, batch b" for every batch size and
        "labels of other rows".
    """
    n_epochs = config.numbers.released_epochs if n_epochs is None else n_epochs
    return _stored(
        config,
        ds,
        seed,
        lambda: _train_released(config.numbers, ds, seed, n_epochs, batches, pos_weight, switches),
        what="released run",
        n_epochs=n_epochs,
        batches=batches,
        pos_weight=pos_weight,
        switches=switches,
    )


def leak_free_run(config, ds, *, seed):
    """Train the released model, loss and step with rarity and neighbours taken from the training rows.

    A training row's own labels, and those of its group, are left out of its neighbours'; nothing else differs
    from :func:`released_run`.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set, perhaps a subsample.
    seed : int
        Of the initialisation and the training.

    Returns
    -------
    ProtocolRun
        History, and label sets "leak-free signals".
    """
    return _stored(config, ds, seed, lambda: _train_leak_free(config.numbers, ds, seed), what="leak-free run")


def leak_free_method(config, ds, *, seed):
    """Train :class:`adathresh.AdaptiveThresholdNetwork` with the paper's loss on the same rows.

    It holds a tenth of the training rows out to choose the epoch.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set, perhaps a subsample.
    seed : int
        Of the initialisation and the training.

    Returns
    -------
    ProtocolRun
        History of its own training, and label sets "leak-free".
    """
    return _stored(config, ds, seed, lambda: _train_method(config.numbers, ds, seed), what="leak-free method")


def leakage_rows(config, ds, released, *leak_free, seed):
    """Compare what is reported with what the same weights do in other batches, or without the labels.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    released : ProtocolRun
        As :func:`released_run` returns it.
    *leak_free : ProtocolRun
        Runs to compare with.
    seed : int
        Of the training.

    Returns
    -------
    list of dict
        Table rows with macro-F1 and micro-F1. "released, best epoch" is what the released protocol reports,
        its best epoch on these very rows; all others are the last epoch's weights.
    """
    found = released.predictions
    ways = {name: found[name] for name in (f"released, batch {size}" for size in SHOWN_BATCHES)}
    ways["labels of other rows"] = found["labels of other rows"]
    ways["labels withheld"] = found[f"withheld, batch {BATCH_SIZE}"]
    for run in leak_free:
        ways |= run.predictions
    metrics = {"released, best epoch": _best(released.history, "released")}
    metrics |= {name: _measures(ds.Y_dev, predicted) for name, predicted in ways.items()}
    return [
        table_row(
            config,
            ds,
            split="dev",
            method=name,
            base="network",
            rule="z > θ",
            mode="inductive",
            seed=seed,
            metrics={metric: values[metric] for metric in ("macro_f1", "micro_f1")},
        )
        for name, values in metrics.items()
    ]


def selection_rows(config, ds, released, *, seed):
    """Compare the epoch chosen on the reported rows with the epoch chosen on other ones.

    The dev rows are halved (groups stay whole); each half is reported once, and the two are averaged.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    released : ProtocolRun
        As :func:`released_run` returns it.
    seed : int
        Of the training.

    Returns
    -------
    list of dict
        For the labels in the threshold and for withheld ones: macro-F1 of a half at the epoch that is best on
        it, at the epoch that is best on the other half, and at the last.
    """
    rows = []
    for signals in ("released", "withheld"):
        one, other = (released.history[f"macro_f1_half_{half}_{signals}"].to_numpy() for half in HALVES)
        macro_f1_by_choice = {
            "the reported rows": (one.max(), other.max()),
            "other rows": (one[other.argmax()], other[one.argmax()]),
            "none: the last": (one[-1], other[-1]),
        }
        rows += [
            _row(config, ds, seed, signals=signals, epoch_chosen_on=choice, macro_f1=float(np.mean(values)))
            for choice, values in macro_f1_by_choice.items()
        ]
    return rows


def batch_rows(config, ds, released, *, seed):
    """Measure the same weights on the same rows in evaluation batches of several sizes.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    released : ProtocolRun
        As :func:`released_run` returns it.
    seed : int
        Of the training.

    Returns
    -------
    list of dict
        One row for each batch size and each of released and withheld signals.
    """
    return [
        _row(
            config,
            ds,
            seed,
            signals=signals,
            batch_size=size,
            **_measures(ds.Y_dev, released.predictions[f"{signals}, batch {size}"]),
        )
        for signals in ("released", "withheld")
        for size in EVALUATION_BATCHES
    ]


def attribution_rows(config, ds, released, *, seed):
    """Train without any learnt threshold, with and without weighted positives and row-standardised logits.

    The threshold is the released switch's constant, θ = 0.5. All runs are evaluated as the released one.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set, perhaps a subsample.
    released : ProtocolRun
        As :func:`released_run` returns it, for comparison.
    seed : int
        Of the training.

    Returns
    -------
    list of dict
        Measures of the last epoch, and the macro-F1 of the epoch that is best on these rows: the four runs
        without a threshold, then the released one with its signals withheld and as released.
    """
    rows = []
    for pos_weight in (1.0, 10.0):
        for standardised in (False, True):
            run = released_run(
                config,
                ds,
                seed=seed,
                batches=(BATCH_SIZE,),
                pos_weight=pos_weight,
                normalize_logits=standardised,
                use_fixed_threshold=True,
            )
            rows.append(_attribution(config, ds, seed, run, "withheld", "0.5", pos_weight, standardised))
    return rows + [
        _attribution(config, ds, seed, released, signals, f"learnt, labels {signals}", 10.0, True)
        for signals in ("withheld", "released")
    ]


def history_rows(config, ds, released, *, seed, n_shown=50):
    """Follow what is reported, and what is left of it without the labels, through the epochs.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    released : ProtocolRun
        As :func:`released_run` returns it, of many epochs.
    seed : int
        Of the training.
    n_shown : int, default=50
        Rows at most, evenly spread over the epochs, the first and the last among them.

    Returns
    -------
    list of dict
        Epoch, loss, macro-F1 as released, with the signals withheld, and the difference.
    """
    history = released.history
    shown = np.unique(np.linspace(0, len(history) - 1, n_shown).round().astype(int))
    return [
        _row(
            config,
            ds,
            seed,
            epoch=int(epoch["epoch"]),
            train_loss=epoch["train_loss"],
            macro_f1_released=epoch["macro_f1_released"],
            macro_f1_withheld=epoch["macro_f1_withheld"],
            difference=epoch["macro_f1_released"] - epoch["macro_f1_withheld"],
        )
        for epoch in history.iloc[shown].to_dict("records")
    ]


def label_totals(Y):
    """Count the totals that a law of label frequencies is fitted to.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels of the training rows, 0 or 1; labels without a row are left out.

    Returns
    -------
    LabelTotals
        Its totals.
    """
    frequency = np.sort(np.bincount(Y.indices, minlength=Y.shape[1]))[::-1]
    frequency = frequency[frequency > 0]
    head = int(np.searchsorted(frequency.cumsum(), 0.8 * frequency.sum())) + 1
    return LabelTotals(
        Y.shape[0], len(frequency), int(frequency.sum()), int(frequency[0]), head, int(frequency[-1])
    )


def fitted_frequencies(totals, law=LAWS[-1]):
    """Fit a power law of label frequencies to published totals.

    The largest label is met exactly. The exponent s is chosen so that the frequencies sum to the (row, label)
    pairs; the shift q (Mandelbrot's) so that the head holds 80 % of them; the cut-off c (an exponential one,
    as in Clauset, Shalizi and Newman, SIAM Review 2009) so that the rarest label has its rows. All parameters
    of a law are found together, by least squares on the logarithms of the ratios.

    Parameters
    ----------
    totals : LabelTotals
        What is known.
    law : str, default="shifted power law with cut-off"
        One of :data:`LAWS`.

    Returns
    -------
    frequency : numpy.ndarray of shape (n_labels,)
        Rows of every label, most frequent first; whole numbers, at least 1.
    parameters : dict of str to float
        ``exponent``, ``shift`` and ``cut_off``; 0 for those that the law does not have.

    Raises
    ------
    ValueError
        If the law is unknown.
    """
    if law not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}; got {law!r}.")
    n_parameters = 1 + LAWS.index(law)

    def _misses(parameters):
        """Return the logarithms of how far each total is missed."""
        frequency = _frequencies(totals, *parameters)
        in_head = frequency[: totals.head_labels].sum() / frequency.sum()
        ratios = (frequency.sum() / totals.n_positives, in_head / 0.8, frequency[-1] / totals.least)
        return np.log(ratios[:n_parameters])

    start = [1.0, np.log(2.0), np.log(3.0 / totals.n_labels)]
    found = least_squares(_misses, start[:n_parameters]).x
    exponent, log_shift, log_cut_off = (*found, *(0.0, -np.inf)[n_parameters - 1 :])
    parameters = {"exponent": exponent, "shift": np.exp(log_shift) - 1, "cut_off": np.exp(log_cut_off)}
    frequency = np.maximum(_frequencies(totals, *found).round().astype(int), 1)
    return frequency, {name: float(value) for name, value in parameters.items()}


def simulated_ceilings(
    totals=AMAZONCAT_13K, *, n_evaluated=10_000, n_trained=40_000, n_draws=200, random_state=0
):
    """Simulate which labels have a positive among few rows, by every law of :data:`LAWS`.

    A macro-F1 over all labels cannot exceed the share of labels with a positive among the evaluated rows.
    Every draw takes the evaluated rows and the trained ones at random, without replacement and each label for
    itself, so the interval leaves out that labels occur together. The released rows are the *first* of their
    file, which need not be a random part of it.

    Parameters
    ----------
    totals : LabelTotals, default=AMAZONCAT_13K
        What the laws are fitted to.
    n_evaluated, n_trained : int
        Rows that are evaluated and trained on; the defaults are the released ones.
    n_draws : int, default=200
        Draws.
    random_state : int, default=0
        Of the draws.

    Returns
    -------
    list of dict
        For every law: its parameters; the totals that it gives (those that it was not fitted to tell how far
        it is off); the mean share of labels with an evaluated positive with the 95 % interval over draws, and
        the mean share with an evaluated and a trained one.

    Raises
    ------
    ValueError
        If there are fewer rows than are to be drawn.
    """
    if n_evaluated + n_trained > totals.n_rows:
        raise ValueError(
            f"n_evaluated + n_trained is {n_evaluated + n_trained}, but there are {totals.n_rows} rows."
        )
    rows = []
    for law in LAWS:
        frequency, parameters = fitted_frequencies(totals, law)
        evaluated, both = _draw_ceilings(
            frequency, totals.n_rows, n_evaluated, n_trained, n_draws, random_state
        )
        head = int(np.searchsorted(frequency.cumsum(), 0.8 * frequency.sum())) + 1
        rows.append(
            {
                "law": law,
                **parameters,
                "positives": int(frequency.sum()),
                "head_labels": head,
                "least": int(frequency[-1]),
                "n_evaluated": n_evaluated,
                "ceiling": float(evaluated.mean()),
                "low": float(np.quantile(evaluated, 0.025)),
                "high": float(np.quantile(evaluated, 0.975)),
                "ceiling_trained": float(both.mean()),
            }
        )
    return rows


def ceiling_check_rows(config, ds, *, random_state=0):
    """Predict this data set's own ceiling from its totals, to see how far the laws can be trusted.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The whole data set.
    random_state : int, default=0
        Of the draws.

    Returns
    -------
    list of dict
        For every law, as many evaluated rows as a fifth of the training rows (as released): the simulated
        ceiling with its interval, and what the true frequencies give.
    """
    totals = label_totals(ds.Y_train)
    n_evaluated = totals.n_rows // 5
    frequency = np.bincount(ds.Y_train.indices)
    drawn, _ = _draw_ceilings(frequency[frequency > 0], totals.n_rows, n_evaluated, 0, 200, random_state)
    return [
        _row(
            config,
            ds,
            random_state,
            split="train",
            law=row["law"],
            n_evaluated=n_evaluated,
            simulated=row["ceiling"],
            low=row["low"],
            high=row["high"],
            true=float(drawn.mean()),
        )
        for row in simulated_ceilings(totals, n_evaluated=n_evaluated, n_trained=0, random_state=random_state)
    ]


def _stored(config, ds, seed, compute, **key):
    """Return a training run from the cache, or train."""
    key |= {
        "data": ds.fingerprint,
        "rows": rows_key(ds),
        "seed": seed,
        "hidden_layers": config.numbers.hidden_layers,
        "learning_rate": config.numbers.learning_rate,
        "released_epochs": config.numbers.released_epochs,
        "batch_size": config.numbers.batch_size,
        "patience": config.numbers.patience,
    }
    modules = (*MODULES, "adathresh.released", "adathresh.metrics", "adathresh.experiments.leakage_study")
    arrays = cached_arrays(key, compute, modules=modules)
    names = [str(name) for name in arrays.pop("history_names")]
    return ProtocolRun(pd.DataFrame(arrays.pop("history"), columns=names), arrays)


def _train_released(numbers, ds, seed, n_epochs, batches, pos_weight, switches):
    """Train by the released protocol; return the history and label sets as arrays."""
    model = _model(numbers, ds, seed, **switches)
    history = _train(model, numbers, ds, seed, n_epochs, pos_weight=pos_weight)
    others = ds.Y_dev[np.random.default_rng(seed).permutation(ds.Y_dev.shape[0])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        arrays = {
            f"{signals}, batch {size}": predict_released(
                model, ds.X_dev, ds.Y_dev, signals=signals, batch_size=size
            )
            for signals in ("released", "withheld")
            for size in batches
        }
        arrays["labels of other rows"] = predict_released(model, ds.X_dev, others)
    return {**arrays, **_as_arrays(history)}


def _train_leak_free(numbers, ds, seed):
    """Train the released model with leak-free signals; return the history and label sets as arrays."""
    idf, shares = LabelIDF().fit(ds.Y_train).idf_, neighbour_shares(ds)
    signals = LeakFreeSignals(idf, shares.train), LeakFreeSignals(idf, shares.dev)
    model = _model(numbers, ds, seed)
    history = _train(model, numbers, ds, seed, numbers.released_epochs, leak_free=signals)
    predicted = predict_released(model, ds.X_dev, ds.Y_dev, signals=signals[1])
    return {"leak-free signals": predicted, **_as_arrays(history)}


def _train_method(numbers, ds, seed):
    """Train our own network; return the history and label sets as arrays."""
    network = AdaptiveThresholdNetwork(
        hidden_layers=numbers.hidden_layers,
        learning_rate=numbers.learning_rate,
        batch_size=numbers.batch_size,
        max_epochs=numbers.released_epochs,
        patience=numbers.patience,
        random_state=seed,
        **PAPER,
    ).fit(ds.X_train, ds.Y_train, groups=ds.groups_train)
    return {"leak-free": sp.csr_array(network.predict(ds.X_dev)), **_as_arrays(network.history_)}


def _model(numbers, ds, seed, **switches):
    """Return the released model, initialised by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ReleasedModel(
            ds.X_train.shape[1], ds.Y_train.shape[1], hidden_layers=numbers.hidden_layers, **switches
        )


def _train(model, numbers, ds, seed, n_epochs, **options):
    """Train a released model and measure every epoch on the dev rows and on their halves."""
    groups = np.arange(ds.Y_dev.shape[0]) if ds.groups_dev is None else ds.groups_dev
    halves = group_split(groups, (0.5, 0.5), random_state=seed)

    def measure(predicted):
        by_half = zip(HALVES, halves, strict=True)
        return _measures(ds.Y_dev, predicted) | {
            f"macro_f1_half_{half}": macro_f1(ds.Y_dev[rows], predicted[rows]) for half, rows in by_half
        }

    return train_released(
        model,
        ds.X_train,
        ds.Y_train,
        ds.X_dev,
        ds.Y_dev,
        n_epochs=n_epochs,
        learning_rate=numbers.learning_rate,
        measure=measure,
        seed=seed,
        **options,
    )


def _as_arrays(history):
    """Return a history as the cache keeps it."""
    return {
        "history": np.array([list(entry.values()) for entry in history], dtype=float),
        "history_names": np.array(list(history[0])),
    }


def _measures(Y_true, predicted):
    """Return the measures of label sets that the tables hold."""
    return {
        "macro_f1": macro_f1(Y_true, predicted),
        "macro_f1_present": macro_f1_present(Y_true, predicted),
        "micro_f1": micro_f1(Y_true, predicted),
        "labels_per_row": predicted.nnz / predicted.shape[0],
    }


def _best(history, signals):
    """Return the measures of the epoch of greatest macro-F1 on all dev rows."""
    epoch = history.loc[history[f"macro_f1_{signals}"].idxmax()]
    return {name: float(epoch[f"{name}_{signals}"]) for name in MEASURES}


def _attribution(config, ds, seed, run, signals, threshold, pos_weight, standardised):
    """Return one row of :func:`attribution_rows`."""
    return _row(
        config,
        ds,
        seed,
        threshold=threshold,
        pos_weight=pos_weight,
        row_standardised=standardised,
        **_measures(ds.Y_dev, run.predictions[f"{signals}, batch {BATCH_SIZE}"]),
        best_macro_f1=_best(run.history, signals)["macro_f1"],
    )


def _row(config, ds, seed, *, split="dev", **columns):
    """Return a row of a table that compares no methods."""
    return {
        "dataset": config.dataset,
        "fingerprint": str(ds.fingerprint)[:16],
        "split": split,
        "seed": seed,
        **columns,
    }


def _frequencies(totals, exponent, log_shift=0.0, log_cut_off=-np.inf):
    """Return f_1·((r+q)/(1+q))^−s·exp(−c(r−1)) for every rank r, with log_shift = log(1+q)."""
    after_first = np.arange(totals.n_labels)
    return (
        totals.largest
        * (1 + after_first / np.exp(log_shift)) ** -exponent
        * np.exp(-np.exp(log_cut_off) * after_first)
    )


def _draw_ceilings(frequency, n_rows, n_evaluated, n_trained, n_draws, random_state):
    """Draw the shares of labels with an evaluated positive, and with an evaluated and a trained one."""
    rng = np.random.default_rng(random_state)
    evaluated, both = np.empty(n_draws), np.empty(n_draws)
    for draw in range(n_draws):
        found = rng.hypergeometric(frequency, n_rows - frequency, n_evaluated)
        left = frequency - found
        trained = rng.hypergeometric(left, n_rows - n_evaluated - left, n_trained)
        evaluated[draw] = (found > 0).mean()
        both[draw] = ((found > 0) & (trained > 0)).mean()
    return evaluated, both
