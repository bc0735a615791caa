"""What the notebooks compute from trained models: rows of the result tables."""

import time
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from joblib import delayed
from scipy.special import expit

from adathresh.calibration import IsotonicCalibration, reliability_curve
from adathresh.datasets import statistics
from adathresh.experiments.core.models import PAPER, PLAIN, neighbour_shares, train_network
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.tables import table_row
from adathresh.leakage import only_words
from adathresh.metrics import (
    brier_score,
    evaluate,
    expected_calibration_error,
    log_loss,
    paired_bootstraps,
)
from adathresh.posthoc.candidates import gather_pairs
from adathresh.posthoc.threshold import AdaptiveThreshold
from adathresh.rules import ExpectedF1Cut, FixedCut, GlobalCut, PerLabelCut, TopK

ABLATIONS = {
    "paper's method": {},
    "no IDF": {"use_idf": False},
    "no kNN": {"use_knn": False},
    "no IDF, no kNN": {"use_idf": False, "use_knn": False},
    "fixed threshold": {"fixed_threshold": 0.0},
    "no threshold bias": {"use_threshold_bias": False},
    "α, β drawn from N(0, 1)": {"init_std": 1.0},
    "output bias 0.5": {"output_bias": 0.5},
    "logits normalised": {"normalize_logits": True},
    "no margin loss": {"margin_weight": 0.0},
    "positives weigh 1": {"pos_weight": 1.0},
    "plain cross-entropy": {**PLAIN, "pos_weight": 1.0},
}
"""The paper's switches, each as a change to the paper's method."""

HEADLINE = ("macro_f1", "macro_f1_present", "micro_f1", "example_f1", "precision_at_1", "precision_at_5")
"""The metrics that the notebooks show; the tables on disk hold all."""

BINS = {
    "0": "macro_f1_0",
    "1–5": "macro_f1_1_5",
    "6–20": "macro_f1_6_20",
    "21–100": "macro_f1_21_100",
    "> 100": "macro_f1_over_100",
}
"""Names of the bins of training frequency, and their metrics."""


TRAINING_RUNS = {
    "paper's method": PAPER,
    "same loss, θ = 0": {**PAPER, "fixed_threshold": 0.0, "use_knn": False},
    "plain cross-entropy": PLAIN,
}
"""What the paper's method is compared with: its own loss without thresholds, and the plain network."""


class Prediction(NamedTuple):
    """What a decision rule says of the test rows."""

    label_sets: sp.csr_array
    """Predicted labels, 0 or 1."""
    probabilities: sp.csr_array
    """What they were cut from."""
    mode: str = "inductive"
    """Or "transductive", for a rule that was fitted on the unlabelled test rows."""
    seconds: float = float("nan")
    """What fitting and predicting took, where it was measured."""


def ceiling_rows(ds):
    """Count labels, and those that a test row carries, by training frequency.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    list of dict
        One row a bin: labels in it, how many a test row carries, and the macro-F1 that a perfect prediction
        of the test rows reaches on the bin.
    """
    frequency, tested = train_frequency(ds), np.bincount(ds.test.Y.indices, minlength=ds.test.Y.shape[1]) > 0
    edges = [0, 1, 6, 21, 101, np.inf]
    rows = []
    for name, low, high in zip(BINS, edges[:-1], edges[1:], strict=True):
        inside = (frequency >= low) & (frequency < high)
        row = {"training_rows": name, "labels": int(inside.sum()), "tested": int(tested[inside].sum())}
        rows.append({**row, "ceiling": tested[inside].mean() if inside.any() else np.nan})
    return rows


def duplicate_rows(ds):
    """Count dev and test rows that occur among the training rows.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    list of dict
        For every split: rows with equal features, with equal text (case and white space aside), and with
        equal words, as :func:`adathresh.leakage.only_words` says; the last two are missing where there are no
        texts.
    """
    numbers, rows = statistics(ds), []
    for split in ("dev", "test"):
        row = {
            "split": split,
            "rows": numbers[f"n_{split}"],
            "equal_features": numbers[f"{split}_rows_seen_in_train"],
            "equal_text": numbers.get(f"{split}_texts_seen_in_train"),
            "equal_words": None,
        }
        if ds.train.texts is not None:
            known = {only_words(text) for text in ds.train.texts}
            row["equal_words"] = sum(only_words(text) in known for text in ds.splits[split].texts)
        rows.append(row)
    return rows


def decision_rules(ds):
    """Return the rules that every base model's scores are cut by.

    Parameters
    ----------
    ds : Dataset
        The data set; the mean number of labels of its training rows is the k of the top-k rule.

    Returns
    -------
    dict of str to estimator
        Unfitted rules by name; ``adaptive`` is ours.
    """
    labels_per_row = max(1, round(ds.train.Y.nnz / ds.train.Y.shape[0]))
    return {
        "fixed 0.5": FixedCut(0.5),
        "global cut": GlobalCut("macro_f1"),
        "global cut, micro": GlobalCut("micro_f1"),
        f"top {labels_per_row}": TopK(labels_per_row),
        "SCut": PerLabelCut(),
        "SCutFBR": PerLabelCut(fallback="top"),
        "F*/2": ExpectedF1Cut(),
        "adaptive": adaptive_rule(ds),
    }


def adaptive_rule(ds):
    """Return our rule for dev rows: F1 will be taken over the test rows, so their number counts.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    AdaptiveThreshold
        Not fitted.
    """
    return AdaptiveThreshold(evaluation_rows=ds.test.Y.shape[0], random_state=0)


def rule_predictions(ds, scores):
    """Fit every rule on the dev rows and predict the test rows.

    Parameters
    ----------
    ds : Dataset
        The data set.
    scores : BaseScores
        One base model's probabilities.

    Returns
    -------
    dict of str to Prediction
        What each rule says of the test rows.
    """
    shares = neighbour_shares(ds)
    results = {}
    for name, rule in decision_rules(ds).items():
        start = time.perf_counter()
        if isinstance(rule, AdaptiveThreshold):
            rule.fit(scores.dev, ds.validation.Y, local=shares.dev, Y_train=ds.train.Y)
            probabilities = rule.predict_proba(scores.test, local=shares.test)
            predicted = rule.predict(scores.test, local=shares.test)
        else:
            predicted, probabilities = rule.fit(scores.dev, ds.validation.Y).predict(scores.test), scores.test
        results[name] = Prediction(predicted, probabilities, seconds=time.perf_counter() - start)
    return results


def metrics_on_test(ds, prediction, *, Y_fitted=None):
    """Evaluate a prediction of the test rows.

    Parameters
    ----------
    ds : Dataset
        The data set.
    prediction : Prediction
        What a rule says of the test rows.
    Y_fitted : scipy.sparse.csr_array, optional
        Labels of the rows that the prediction was learnt from, which tell how rare a label is; None: the
        training rows.

    Returns
    -------
    dict of str to float
        Every metric of :func:`adathresh.metrics.evaluate`.
    """
    Y_fitted = ds.train.Y if Y_fitted is None else Y_fitted
    return evaluate(
        ds.test.Y,
        prediction.label_sets,
        scores=prediction.probabilities,
        train_frequency=label_frequency(Y_fitted),
        n_train=Y_fitted.shape[0],
    )


def rule_rows(config, ds, base, predictions, *, seed, metrics=metrics_on_test):
    """Evaluate the label sets of every rule on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    base : str
        Name of the base model.
    predictions : dict of str to Prediction
        The rules by name; names of this package's rule begin with "adaptive".
    seed : int
        The random state.
    metrics : callable, default=metrics_on_test
        Takes the data set and a prediction, returns a dict of str to float.

    Returns
    -------
    list of dict
        One table row a rule.
    """
    return [
        table_row(
            config,
            ds,
            method="adathresh" if rule.startswith("adaptive") else "rival rule",
            base=base,
            rule=rule,
            mode=prediction.mode,
            seed=seed,
            metrics=metrics(ds, prediction),
        )
        for rule, prediction in predictions.items()
    ]


def train_frequency(ds):
    """Count the training rows of every label.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    numpy.ndarray of shape (n_labels,)
        Counts.
    """
    return label_frequency(ds.train.Y)


def label_frequency(Y):
    """Count the rows of every label.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels, 0 or 1.

    Returns
    -------
    numpy.ndarray of shape (n_labels,)
        Counts.
    """
    return np.bincount(Y.indices, minlength=Y.shape[1])


def difference_rows(config, ds, predictions, *, reference, base, seed):
    """Compare the label sets of one rule with those of all others, by a paired bootstrap over test rows.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the number of draws.
    ds : Dataset
        The data set.
    predictions : dict of str to Prediction
        The rules by name.
    reference : str
        The rule that the others are compared with.
    base : str
        Name of the base model.
    seed : int
        The base model's.

    Returns
    -------
    list of dict
        Difference in macro-F1 and micro-F1, ``reference`` minus the other, with its 95 % interval.
    """
    label_sets = {rule: [found.label_sets] for rule, found in predictions.items()}
    return interval_rows(config, ds, label_sets, reference, random_state=seed, base=base, seed=seed)


def interval_rows(config, ds, label_sets, reference, *, random_state, base, **more):
    """Compare one rule's repeated label sets with those of all others, by a paired bootstrap over test rows.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the number of draws.
    ds : Dataset
        The data set.
    label_sets : dict of str to list of scipy.sparse.csr_array
        Label sets of the test rows by rule, one for each repetition.
    reference : str
        The rule that the others are compared with.
    random_state : int
        Of the draws.
    base : str
        Name of the base model.
    **more : object
        Further columns.

    Returns
    -------
    list of dict
        As :func:`difference_rows`, the mean over the repetitions.
    """
    others = {rule: found for rule, found in label_sets.items() if rule != reference}
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": random_state}
    intervals = {
        metric: paired_bootstraps(ds.test.Y, label_sets[reference], others, metric=metric, **options)
        for metric in ("macro_f1", "micro_f1")
    }
    return [
        {"base": base, "a": reference, "b": rule, "metric": metric, **more, **intervals[metric][rule]}
        for rule, metric in product(others, intervals)
    ]


def ablation_runs(config, ds, *, seed):
    """Train the paper's method with every switch.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set, perhaps a subsample.
    seed : int
        Of the training.

    Returns
    -------
    dict of str to TrainedMethod
        One entry for each of :data:`ABLATIONS`; those that the data set has too few labels for are left out.
    """
    feasible = {
        name: switches
        for name, switches in ABLATIONS.items()
        if ds.train.Y.shape[1] > 1 or not switches.get("normalize_logits")
    }
    return _train_each(
        config, ds, {name: {**PAPER, **switches} for name, switches in feasible.items()}, seed=seed
    )


def method_rows(config, ds, runs, *, seed):
    """Evaluate trained methods, cut where z = θ, on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    runs : dict of str to TrainedMethod
        The methods by name.
    seed : int
        Their seed.

    Returns
    -------
    list of dict
        One table row a method.
    """
    return [
        table_row(
            config,
            ds,
            method=name,
            base="network",
            rule="z > θ",
            mode="inductive",
            seed=seed,
            metrics=metrics_on_test(ds, Prediction(run.test_predicted, run.test_scores)),
        )
        for name, run in runs.items()
    ]


def method_differences(config, ds, runs, *, reference, seed):
    """Compare one trained method with all others, by a paired bootstrap over test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    runs : dict of str to TrainedMethod
        The methods by name.
    reference : str
        The method that the others are compared with.
    seed : int
        Their seed.

    Returns
    -------
    list of dict
        As :func:`difference_rows`.
    """
    predictions = {name: Prediction(run.test_predicted, run.test_scores) for name, run in runs.items()}
    return difference_rows(config, ds, predictions, reference=reference, base="network", seed=seed)


def training_runs(config, ds, *, seed):
    """Train the paper's method and what it is compared with.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    seed : int
        Of the training.

    Returns
    -------
    dict of str to TrainedMethod
        One entry for each of :data:`TRAINING_RUNS`.
    """
    return _train_each(config, ds, TRAINING_RUNS, seed=seed)


def calibrated_scores(ds, scores):
    """Return the probabilities whose calibration is compared: raw, isotonic, fused.

    Parameters
    ----------
    ds : Dataset
        The data set.
    scores : BaseScores
        One base model's probabilities.

    Returns
    -------
    dict of str to scipy.sparse.csr_array
        Test probabilities; isotonic regression and the fusion are fitted on the dev rows.
    """
    shares = neighbour_shares(ds)
    rule = adaptive_rule(ds).fit(scores.dev, ds.validation.Y, local=shares.dev, Y_train=ds.train.Y)
    return {
        "base model": scores.test,
        "isotonic": IsotonicCalibration().fit(scores.dev, ds.validation.Y).transform(scores.test),
        "fused (adathresh)": rule.predict_proba(scores.test, local=shares.test),
    }


def calibration_rows(config, ds, probabilities, *, seed):
    """Measure calibration on the test rows, for all labels and by training frequency.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    probabilities : dict of str to scipy.sparse.csr_array
        Test probabilities by name.
    seed : int
        The base model's.

    Returns
    -------
    list of dict
        ECE, Brier score and log-loss over the candidate pairs, the same for all: those that have any of the
        probabilities. One that has not got a probability counts as 1e-6.
    """
    rows, same_pairs = [], _on_same_pairs(probabilities)
    for labels, keep in frequency_bands(ds).items():
        truth = ds.test.Y[:, keep]
        for name, scores in same_pairs.items():
            part = sp.csr_array(scores[:, keep])
            row = {"dataset": config.dataset, "fingerprint": ds.fingerprint[:16], "base": "network"}
            row |= {"probabilities": name, "labels": labels, "n_labels": int(keep.sum()), "seed": seed}
            row["ece"] = expected_calibration_error(truth, part)
            row["brier"] = brier_score(truth, part)
            row["log_loss"] = log_loss(truth, part)
            rows.append(row)
    return rows


def calibration_differences(config, ds, repetitions, *, reference):
    """Compare the calibration of one kind of probabilities with that of the others, by a paired bootstrap.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the number of draws, its first seed draws them.
    ds : Dataset
        The data set.
    repetitions : list of dict of str to scipy.sparse.csr_array
        Test probabilities by name, as for :func:`calibration_rows`, one entry a seed.
    reference : str
        The probabilities that the others are compared with.

    Returns
    -------
    list of dict
        Mean difference in ECE and Brier score over the candidate pairs, ``reference`` minus the other, with
        its 95 % interval over rows and seeds; below 0 the reference is better.
    """
    repetitions, names = [_on_same_pairs(found) for found in repetitions], list(repetitions[0])
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": config.random_state}
    rows = []
    for labels, keep in frequency_bands(ds).items():
        truth = ds.test.Y[:, keep]
        rivals = {name: [sp.csr_array(found[name][:, keep]) for found in repetitions] for name in names}
        ours = rivals.pop(reference)
        for metric in ("ece", "brier"):
            intervals = paired_bootstraps(truth, ours, rivals, metric=metric, **options)
            common = {"base": "network", "labels": labels, "metric": metric, "a": reference}
            rows += [{**common, "b": name, **interval} for name, interval in intervals.items()]
    return rows


def _on_same_pairs(probabilities):
    """Give probabilities by name the same pairs: those that have any of them."""
    pairs = gather_pairs(list(probabilities.values()), None, None)
    return {
        name: pairs.matrix(expit(logits)) for name, logits in zip(probabilities, pairs.logits.T, strict=True)
    }


def frequency_bands(ds):
    """Split the labels into head, middle and tail.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    dict of str to numpy.ndarray of bool, shape (n_labels,)
        All labels first; bands that hold no label are left out.
    """
    frequency = train_frequency(ds)
    bands = {
        "all": frequency >= 0,
        "head (> 100)": frequency > 100,
        "middle (6–100)": (frequency > 5) & (frequency <= 100),
        "tail (≤ 5)": frequency <= 5,
    }
    return {name: keep for name, keep in bands.items() if keep.any()}


def reliability_curves(ds, probabilities):
    """Return reliability curves over the scored pairs of the test rows, for head, middle and tail apart.

    Parameters
    ----------
    ds : Dataset
        The data set.
    probabilities : dict of str to scipy.sparse.csr_array
        Test probabilities by name.

    Returns
    -------
    dict of str to dict of str to tuple of numpy.ndarray
        For each of :func:`frequency_bands`, with its number of labels: mean predicted probability, observed
        share and number of pairs of each bin.
    """
    return {
        f"{name}: {keep.sum():,} labels": {
            model: (curve.mean_predicted, curve.observed, curve.count)
            for model, scores in probabilities.items()
            for curve in [reliability_curve(ds.test.Y[:, keep], sp.csr_array(scores[:, keep]))]
        }
        for name, keep in frequency_bands(ds).items()
    }


def method_threshold_pairs(ds, run):
    """Return θ_l(x) of a trained method at every test pair with a neighbour share.

    Parameters
    ----------
    ds : Dataset
        The data set.
    run : TrainedMethod
        The method.

    Returns
    -------
    pandas.DataFrame
        Columns frequency (training rows of the label), share, theta (logits).
    """
    shares = neighbour_shares(ds).test
    theta = run.thresholds["constant"][shares.indices] + run.thresholds["share"][shares.indices] * shares.data
    return _threshold_pairs(ds, shares.indices, shares.data, theta)


def posthoc_threshold_pairs(ds, scores):
    """Return θ_l(x) of the post-hoc rule at every test pair with a neighbour share.

    Parameters
    ----------
    ds : Dataset
        The data set.
    scores : BaseScores
        The base model's probabilities.

    Returns
    -------
    pandas.DataFrame
        Columns frequency (training rows of the label), share, theta (logits of the base model).
    """
    shares = neighbour_shares(ds)
    rule = adaptive_rule(ds).fit(scores.dev, ds.validation.Y, local=shares.dev, Y_train=ds.train.Y)
    empty = sp.csr_array(shares.test.shape)
    theta = rule.thresholds(empty, local=shares.test)
    return _threshold_pairs(ds, shares.test.indices, shares.test.data, theta.data)


def _train_each(config, ds, variants, *, seed):
    """Train the network with each set of switches, some side by side; return the methods by name."""
    neighbour_shares(ds)  # every process needs them
    train = delayed(train_network)
    runs = side_by_side(train(config, ds, seed=seed, **switches) for switches in variants.values())
    return dict(zip(variants, runs, strict=True))


def _threshold_pairs(ds, labels, share, theta):
    """Put thresholds beside what they depend on; pairs that can never be predicted are left out."""
    pairs = pd.DataFrame({"frequency": train_frequency(ds)[labels], "share": share, "theta": theta})
    return pairs[np.isfinite(pairs["theta"])]
