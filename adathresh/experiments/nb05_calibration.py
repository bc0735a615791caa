"""Notebook 05: are the probabilities right, and what do the thresholds depend on."""

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import expit

from adathresh.calibration import (
    IsotonicCalibration,
    PlattScaling,
    TemperatureScaling,
)
from adathresh.experiments.core.base_models import base_model_names
from adathresh.experiments.core.claims import METRICS, best_claims, interval_claims
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.evaluation import label_frequency
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.rules import OURS, fitted_choice, main_predictions, our_choices
from adathresh.experiments.core.sentences import mean_differences, with_interval
from adathresh.experiments.core.trainings import neighbor_shares
from adathresh.experiments.nb03_training import training_runs
from adathresh.metrics import (
    brier_score,
    expected_calibration_error,
    log_loss,
    paired_bootstrap,
    reliability_curve,
)
from adathresh.posthoc.candidates import LOWEST_LOGIT, gather_pairs
from adathresh.utils.validation import row_major_positions

FUSED = "fused (adathresh)"
"""What this package's rule makes of the scores."""

_BANDS = {
    "head (> 100)": "labels with more than 100 rows",
    "middle (6–100)": "labels with 6 to 100 rows",
    "tail (≤ 5)": "labels with at most 5 rows",
}


def calibrated_base(config, ds):
    """Name the base model whose probabilities are calibrated.

    It is the network, or the linear model where labels are too many for that.
    """
    return "network" if "network" in base_model_names(config, ds) else "linear"


def calibrated_scores(config, ds, *, seed):
    """Return the test probabilities whose calibration is compared, by name.

    Every calibration and the fusion are fitted on the same cross-fitted scores.
    """
    base, Y = calibrated_base(config, ds), fitting_labels(ds)
    fitting, test = crossfitted(config, ds, base, seed=seed).scores
    calibrators = {
        "temperature": TemperatureScaling(),
        "Platt, per label": PlattScaling(per_label=True),
        "isotonic, pooled": IsotonicCalibration(),
        "isotonic, per label": IsotonicCalibration(per_label=True),
    }
    found = {name: calibrator.fit(fitting, Y).transform(test) for name, calibrator in calibrators.items()}
    ours = main_predictions(config, ds, base, seed=seed)[OURS]
    return {"base model": test, **found, FUSED: ours.probabilities}


def method_scores(config, ds, *, seed):
    """Return σ(z−θ) of the test rows, the highest of each row, for every method of notebook 03."""
    return {name: run.test_scores for name, run in training_runs(config, ds, seed=seed).items()}


def calibration_rows(config, ds, probabilities, *, seed):
    """Measure calibration on the test rows: one row a band of training frequency and kind of probabilities.

    ECE, Brier score and log-loss are taken over the same candidate pairs for all: those that have any of the
    probabilities. One that has not got a probability counts as 1e-6.
    """
    rows, same_pairs = [], _on_same_pairs(probabilities)
    for labels, keep in frequency_bands(ds).items():
        truth = ds.test.Y[:, keep]
        for name, scores in same_pairs.items():
            part = sp.csr_array(scores[:, keep])
            row = {
                "dataset": config.dataset,
                "fingerprint": ds.fingerprint[:16],
                "base": calibrated_base(config, ds),
            }
            row |= {"probabilities": name, "labels": labels, "n_labels": int(keep.sum()), "seed": seed}
            row["ece"] = expected_calibration_error(truth, part)
            row["brier"] = brier_score(truth, part)
            row["log_loss"] = log_loss(truth, part)
            rows.append(row)
    return rows


def calibration_differences(config, ds, repetitions, *, reference=FUSED):
    """Compare the probabilities named ``reference`` with each of the others, by a paired bootstrap.

    ``repetitions`` has one dict of test probabilities a seed. Rows hold the difference in ECE or Brier score,
    reference minus the other, mean over seeds, with its 95 % interval over test rows and seeds; below 0 the
    reference is better.
    """
    repetitions, names = [_on_same_pairs(found) for found in repetitions], list(repetitions[0])
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": config.random_state}
    options["groups"] = ds.test.groups
    rows = []
    for labels, keep in frequency_bands(ds).items():
        truth = ds.test.Y[:, keep]
        rivals = {name: [sp.csr_array(found[name][:, keep]) for found in repetitions] for name in names}
        ours = rivals.pop(reference)
        for metric in ("ece", "brier"):
            intervals = paired_bootstrap(truth, ours, rivals, metric=metric, **options)
            common = {"base": calibrated_base(config, ds), "labels": labels, "metric": metric, "a": reference}
            rows += [{**common, "b": name, **interval} for name, interval in intervals.items()]
    return rows


def frequency_bands(ds):
    """Mark all labels, then those of head, middle and tail apart.

    The frequency is that in the rows that scores and calibration are fitted on. Bands that hold no label are
    left out.
    """
    frequency = label_frequency(fitting_labels(ds))
    bands = {
        "all": frequency >= 0,
        "head (> 100)": frequency > 100,
        "middle (6–100)": (frequency > 5) & (frequency <= 100),
        "tail (≤ 5)": frequency <= 5,
    }
    return {name: keep for name, keep in bands.items() if keep.any()}


def reliability_curves(ds, probabilities):
    """Return reliability curves over the scored test pairs, for each of :func:`frequency_bands`.

    A curve is the mean predicted probability, the observed share and the number of pairs of each bin.
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
    """Return θ_l(x) of a trained method at every test pair with a neighbour share: one row a pair.

    The column frequency counts the label's training rows; theta is in logits.
    """
    shares = neighbor_shares(ds).test
    theta = run.thresholds["constant"][shares.indices] + run.thresholds["share"][shares.indices] * shares.data
    return _threshold_pairs(label_frequency(ds.train.Y), shares.indices, shares.data, theta)


def posthoc_threshold_pairs(config, ds, *, seed):
    """Return θ_l(x) of the post-hoc rule at every test pair with a neighbour share: one row a pair.

    Neighbours are those by features; where rows have titles, the threshold depends on those by title, too.
    The column frequency counts the label's fitting rows; theta is in logits of the base model.
    """
    base = calibrated_base(config, ds)
    seen = crossfitted(config, ds, base, seed=seed)
    rule, (_, signals) = fitted_choice(ds, our_choices((base,), seen)[OURS], [seen], seed=seed)
    shares = seen.local[1]["neighbours"]
    theta = rule.thresholds(sp.csr_array(shares.shape), **signals)
    where = np.isin(row_major_positions(theta), row_major_positions(shares))
    return _threshold_pairs(
        label_frequency(fitting_labels(ds)), shares.indices, shares.data, theta.data[where]
    )


def claims(tables):
    """Say whether the fused probabilities are better calibrated than each calibration's.

    Below 0 the fused probabilities, or the paper's method, are better.
    """
    every = tables["calibration_differences"].query("labels == 'all'")
    methods = tables["method_differences"].query("labels == 'all'")
    of_all = tables["calibration"].query("labels == 'all'")
    return [
        *(
            claim
            for column in ("ece", "brier")
            for claim in best_claims(
                of_all,
                FUSED,
                of=("base", "probabilities"),
                column=column,
                claim=f"The fused probabilities have the least {METRICS[column]}, {{}}",
                least=True,
            )
        ),
        *interval_claims(every, "{metric} of the fused probabilities minus that of {b}"),
        *interval_claims(methods, "{metric} of {a} minus that of {b}"),
    ]


def _on_same_pairs(probabilities):
    """Give probabilities by name the same pairs: those that have any of them."""
    pairs = gather_pairs(list(probabilities.values()), None, None)
    logits = np.maximum(pairs.logits, LOWEST_LOGIT)  # those that are not there, too
    return {name: pairs.matrix(expit(own)) for name, own in zip(probabilities, logits.T, strict=True)}


def _threshold_pairs(frequency, labels, share, theta):
    """Put thresholds beside what they depend on; pairs that can never be predicted are left out."""
    pairs = pd.DataFrame({"frequency": frequency[labels], "share": share, "theta": theta})
    return pairs[np.isfinite(pairs["theta"])]


def finding(tables):
    """Answer the notebook's question from its tables."""
    base = tables["calibration"]["base"].iloc[0]
    ece = tables["calibration"].groupby(["labels", "probabilities"], sort=False)["ece"].mean()
    bands = [band for band in _BANDS if band in ece.index.unique("labels")]
    first, *last = bands[:: max(1, len(bands) - 1)]
    off = [f"{_BANDS[band]} by {ece[band, 'base model']:.4f} and {ece[band, FUSED]:.4f}" for band in last]
    best = ece["all"].drop(["base model", FUSED]).idxmin()
    of_fused = tables["calibration_differences"].query("metric == 'ece' and labels == 'all'")
    of_method = tables["method_differences"].query("metric == 'ece' and labels == 'all'")
    thresholds = mean_differences(of_method, "b").loc["same loss, θ = 0"]
    return (
        f"For {_BANDS[first]} the base model's own probabilities (`{base}`) are off by "
        f"{ece[first, 'base model']:.4f} on average (their ECE), the fused ones by {ece[first, FUSED]:.4f}"
        f"{''.join(f'; for {band}' for band in off)}. Over all labels the ECE of the fused ones minus that "
        f"of the best calibrator (`{best}`) is "
        f"{with_interval(mean_differences(of_fused, 'b').loc[best], named=True)}; below 0 the fused ones are "
        f"better. The thresholds that the paper's method learns change ECE by {with_interval(thresholds)} "
        "against the same loss with θ = 0."
    )
