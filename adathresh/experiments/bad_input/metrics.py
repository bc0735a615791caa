"""Bad input of metrics."""

import numpy as np

from adathresh import metrics
from adathresh.experiments.bad_input import function
from adathresh.experiments.bad_input import values as v

PAIRS = {"neither of the two": "scored"}
TABLE = {"no dict": [{"macro_f1": 0.5}], "a number in it": {"mine": 0.5}}


def calls(_):
    """Return the calls of this room."""
    truth = {"Y_true": v.labels(rows=False, width=False)}
    any_scores, probabilities = v.scores(probabilities=False), v.scores()
    true_and = {"Y_true": v.Y, "scores": v.SCORES}
    frequency = {"train_frequency": v.frequencies()}
    found = []
    for metric in (metrics.macro_f1, metrics.macro_f1_present, metrics.micro_f1, metrics.samples_f1):
        found += function(metric, {"Y_true": v.Y, "Y_pred": v.Y}, truth | {"Y_pred": v.labels()})
    found += function(metrics.macro_f1_ceiling, {"Y_true": v.Y}, truth)
    found += function(
        metrics.binned_macro_f1,
        {"Y_true": v.Y, "Y_pred": v.Y, "train_frequency": v.FREQUENCY},
        truth | {"Y_pred": v.labels()} | frequency,
    )
    found += function(
        metrics.bins_of,
        {"frequency": v.FREQUENCY},
        {"frequency": {**v.frequencies(), "two dimensions": v.FREQUENCY[:, None]}},
    )
    found[-1].wrong["frequency"].pop("a label too few")
    found += function(metrics.macro_auroc, true_and, truth | {"scores": any_scores})
    for metric in (metrics.binned_macro_auroc, metrics.macro_auroc_interval):
        found += function(
            metric, true_and | {"train_frequency": v.FREQUENCY}, truth | {"scores": any_scores} | frequency
        )
    found += function(
        metrics.paired_macro_auroc,
        {"Y_true": v.Y, "scores_a": v.SCORES, "scores_b": v.SCORES, "train_frequency": v.FREQUENCY},
        truth | {"scores_a": any_scores, "scores_b": any_scores} | frequency,
    )
    for metric in (metrics.brier_score, metrics.log_loss):
        found += function(metric, true_and, truth | {"scores": probabilities, "pairs": PAIRS})
    for metric in (metrics.expected_calibration_error, metrics.reliability_curve):
        found += function(
            metric, true_and, truth | {"scores": probabilities, "pairs": PAIRS, "n_bins": v.whole()}
        )
    precision = {"0": 0.0, "more than 1": 1.5, "NaN": np.nan, "a text": "0.9"}
    found += function(
        metrics.coverage_at_precision,
        true_and | {"Y_pred": v.Y, "precision": 0.5},
        truth | {"Y_pred": v.labels(), "scores": any_scores, "precision": precision},
    )
    finite_or_not = {words: value for words, value in any_scores.items() if words != "infinity"}
    found += function(
        metrics.coverage,
        true_and,
        truth
        | {
            "scores": finite_or_not,
            "Y_pred": v.labels(),
            "precisions": {"a number": 0.9, **{words: [value] for words, value in precision.items()}},
        },
    )
    found += function(
        metrics.precision_at_k, true_and | {"k": 1}, truth | {"scores": any_scores, "k": v.whole()}
    )
    found += function(
        metrics.psp_at_k,
        true_and | {"train_frequency": v.FREQUENCY, "k": 1, "n_train": 12},
        truth
        | {"scores": any_scores, "k": v.whole(), "n_train": v.whole(3) | {"less than a frequency": 5}}
        | frequency
        | {"A": {"NaN": np.nan, "a text": "1"}, "B": {"negative": -1.0, "NaN": np.nan, "a text": "1"}},
    )
    found += function(
        metrics.top_k,
        {"scores": v.SCORES, "k": 1},
        {"scores": v.scores(rows=False, width=False, probabilities=False), "k": v.whole()},
    )
    found += function(
        metrics.evaluate,
        {"Y_true": v.Y, "Y_pred": v.Y, "scores": v.SCORES, "train_frequency": v.FREQUENCY, "n_train": 12},
        truth
        | {
            "Y_pred": v.labels(),
            "scores": probabilities,
            "n_train": v.whole(3) | {"less than a frequency": 5},
        }
        | frequency,
    )
    predicted = v.labels()
    predicted.pop("three dimensions")  # which are repetitions
    found += function(
        metrics.paired_bootstrap,
        {"Y_true": v.Y, "ours": v.Y, "rivals": {"theirs": v.Y}, "n_draws": 2},
        {
            "Y_true": v.labels(rows=False, width=False) | {"one row": v.Y[:1]},
            "ours": predicted | {"more repetitions than the rival": [v.Y, v.Y]},
            "rivals": {"no dict": v.Y, "repetitions without any": {"theirs": []}}
            | {words: {"theirs": value} for words, value in predicted.items()},
            "metric": {"another one": "accuracy"},
            "groups": v.groups() | {"one group": [0] * 12},
            "n_draws": v.whole(),
            "random_state": v.SEED,
        },
    )
    drift = v.scores(rows=False, width=False) | {"no rows": v.SCORES[:0]}
    found += function(
        metrics.score_drift,
        {"reference": v.SCORES, "new": v.SCORES},
        {
            "reference": drift,
            "new": drift | {"a label too few": v.SCORES[:, 1:]},
            "label_sets": {"one matrix": v.Y} | {words: (v.Y, value) for words, value in v.labels().items()},
            "alpha": v.share(),
        },
    )
    found += function(metrics.evaluation_table, {"results": {"mine": {"macro_f1": 0.5}}}, {"results": TABLE})
    line = {"difference": 0.1, "low": 0.0, "high": 0.2}
    found += function(
        metrics.comparison_table,
        {"differences": {"theirs": line}},
        {"differences": TABLE | {"a dict without low": {"theirs": {"difference": 0.1, "high": 0.2}}}},
    )
    return found
