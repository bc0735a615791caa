"""Every rule on scores and labels of each noise, with and without a correction for missing labels."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import delayed

from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.evaluation import interval_rows, label_frequency, rule_rows
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.rules import (
    FIXED,
    OURS,
    Prediction,
    fitted_choice,
    our_choices,
    rival_rules,
)
from adathresh.experiments.nb11_noise.labels import WRONG, Noise, corrupted, noises
from adathresh.posthoc.targets import label_thresholds, uncovered_share
from adathresh.rules import ExpectedF1Threshold
from adathresh.utils.validation import with_pairs

BASE = "linear"
"""The base model that every rule is given."""

EXPECTED = "F*/2"
"""The rival rule that looks at probabilities alone, as ours does."""

PLATT = "Platt per label + F*/2"
"""The same on calibrated probabilities: the correction takes for granted that probabilities are right."""

RULES = (FIXED, "global threshold", "PCut", "SCutFBR", EXPECTED, PLATT, OURS)
"""The rules that are compared: what everybody starts from, the strongest rivals of notebook 08, and ours."""

CORRECTED = ", corrected"
"""The end of the names of rules that are told which share of the true labels is left."""

OF_PROBABILITIES = tuple(rule + end for end in ("", CORRECTED) for rule in (EXPECTED, PLATT, OURS))
"""Rules that stand for all probabilities there are: those of the other rivals are the scores of F*/2."""


class UnderNoise(NamedTuple):
    """Every rule, fitted on the labels of one noise and seed."""

    noise: Noise
    """What was done to the labels."""
    seed: int
    """Of the noise and of all training."""
    predictions: dict
    """Predictions of the test rows by rule."""
    estimated: dict
    """The share of labels that is left, as estimated from two kinds of held-out probabilities."""


def rules_under_noise(config, ds):
    """Fit every rule on the labels of each noise and seed, side by side; computed once."""
    return side_by_side(
        delayed(_rules_under)(config, ds, noise, seed=seed)
        for noise in noises(config, ds)
        for seed in config.seed_list
    )


def _rules_under(config, ds, noise, *, seed):
    """Corrupt the labels, cross-fit the base model, and fit every rule on its scores."""
    noisy = corrupted(ds, noise, seed=seed)
    key = {"what": "noise", "data": noisy.fingerprint, "rows": rows_key(noisy), "seed": seed}
    key |= {"model": repr(make_base_model(config, noisy, BASE, seed=seed)), "kept": 1 - noise.amount}
    arrays = cached_arrays(key, lambda: _fit_rules(config, noisy, noise, seed=seed))
    predictions = {
        rule: Prediction(arrays[f"sets: {rule}"], _probabilities(rule, arrays, noise))
        for rule in map(str, arrays["names"])
    }
    estimated = {kind: float(arrays[f"estimated: {kind}"]) for kind in ("scores", "fused")}
    return UnderNoise(noise, seed, predictions, estimated)


def _fit_rules(config, noisy, noise, *, seed):
    """Return what the rules say of the test rows as arrays."""
    seen, Y = crossfitted(config, noisy, BASE, seed=seed), fitting_labels(noisy)
    rule, (scores, signals) = fitted_choice(noisy, our_choices((BASE,), seen)[OURS], [seen], seed=seed)
    decision, kept = rule.decide(scores, **signals), 1 - noise.amount
    rivals = {name: rival for name, (rival, _) in rival_rules(Y).items() if name in RULES}
    (fitting, test), sets = seen.scores, {}
    for name, rival in rivals.items():
        sets[name] = rival.fit(fitting, Y).predict(test)
    sets[OURS] = decision.label_sets
    calibrated = [rivals[PLATT].probabilities(part) for part in (fitting, test)]
    if noise.is_missing:
        for name, probabilities in ((EXPECTED, seen.scores), (PLATT, calibrated)):
            fitted_on, of_test = (divided(part, kept) for part in probabilities)
            sets[name + CORRECTED] = ExpectedF1Threshold().fit(fitted_on).predict(of_test)
        thresholds = corrected_thresholds(rule, Y, kept)
        sets[OURS + CORRECTED] = _above(divided(decision.probabilities, kept), thresholds)
    return {
        "names": np.array(list(sets)),
        **{f"sets: {name}": predicted for name, predicted in sets.items()},
        "scores": test,
        "calibrated": calibrated[1],
        "fused": decision.probabilities,
        "estimated: scores": np.array(estimated_share(fitting, Y)),
        "estimated: fused": np.array(estimated_share(rule.fitted_probabilities_, Y)),
    }


def _probabilities(rule, arrays, noise):
    """Return the probabilities that a rule compares with its thresholds."""
    plain = rule.removesuffix(CORRECTED)
    found = arrays[{OURS: "fused", PLATT: "calibrated"}.get(plain, "scores")]
    return found if rule == plain else divided(found, 1 - noise.amount)


def divided(probabilities, kept):
    """Make probabilities that a label is there of those that it is seen, where a share ``kept`` is seen.

    p(true) = p(seen) / c, at most 1 (Elkan and Noto 2008, "Learning classifiers from only positive and
    unlabeled data", lemma 1): which labels are seen must not depend on the row.
    """
    found = sp.csr_array(probabilities, copy=True)
    found.data = np.minimum(found.data / kept, 1)
    return found


def corrected_thresholds(rule, Y, kept):
    """Choose the thresholds of our fitted rule anew, from probabilities divided by the share of labels kept.

    ``Y`` are the labels it was fitted on. All expected positives grow alike, candidates or not; with all
    labels kept the thresholds are the rule's own.
    """
    probabilities, positives = divided(rule.fitted_probabilities_, kept), label_frequency(Y)
    covered = label_frequency(sp.csr_array(Y.multiply(probabilities > 0)))
    return label_thresholds(
        rule.target,
        rule.target_value,
        probabilities.indices,
        probabilities.data,
        n_labels=Y.shape[1],
        n_rows=Y.shape[0],
        evaluation_rows=rule.evaluation_rows,
        uncovered=positives * uncovered_share(positives, covered) / kept,
    )


def _above(probabilities, thresholds):
    """Predict the pairs above their label's threshold."""
    predicted = with_pairs(probabilities, probabilities.data > thresholds[probabilities.indices])
    predicted.data = np.ones_like(predicted.data)
    return predicted


def estimated_share(probabilities, Y):
    """Estimate the share of labels that is left: the mean held-out probability of the labels that are seen.

    The first estimator of Elkan and Noto (2008). It takes for granted that a row's features say for certain
    whether a label is true.
    """
    return float(sp.csr_array(Y.multiply(probabilities)).sum() / Y.nnz)


def noise_rows(config, ds, found):
    """Evaluate every rule on the clean test rows: one table row a noise, rule and seed.

    How rare a label is, is counted in the clean labels, so that all rows measure the same.
    """
    return [
        {**entry.noise.columns, **row}
        for entry in found
        for row in rule_rows(config, ds, BASE, entry.predictions, seed=entry.seed)
    ]


def compared_rows(config, ds, found):
    """Compare our rule with the rivals under each noise, over all seeds at once, and what is corrected.

    The corrected rule is compared with itself without correction, and with the corrected rivals. Rows are
    those of :func:`adathresh.experiments.core.evaluation.interval_rows`.
    """
    rows = []
    for noise in dict.fromkeys(entry.noise for entry in found):
        seeds = [entry.predictions for entry in found if entry.noise == noise]
        sets = {rule: [predicted[rule].label_sets for predicted in seeds] for rule in seeds[0]}
        for ours, others in (
            (OURS, RULES),
            (OURS + CORRECTED, (OURS, EXPECTED + CORRECTED, PLATT + CORRECTED)),
        ):
            if ours in sets:
                compared = {rule: sets[rule] for rule in (ours, *others)}
                rows += interval_rows(
                    config, ds, compared, ours, random_state=config.random_state, base=BASE, **noise.columns
                )
    return rows


def kept_rows(found):
    """Put the share of labels that is left, where none is wrong, beside its estimates."""
    return [
        {
            **entry.noise.columns,
            "seed": entry.seed,
            "kept": 1 - entry.noise.amount,
            **{f"estimated_from_{kind}": share for kind, share in entry.estimated.items()},
        }
        for entry in found
        if entry.noise.kind != WRONG
    ]
