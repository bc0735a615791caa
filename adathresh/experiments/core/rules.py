"""The one registry of decision rules: rivals and ours, fitted on cross-fitted scores, each once.

Every notebook, table and figure takes rules from here by their names, so that one name means one rule.
"""

import time
from copy import copy
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.calibration import IsotonicCalibration, PlattScaling
from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.crossfit import TOGETHER, crossfitted, parts_of_together
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.posthoc import AdaptiveThreshold
from adathresh.rules import (
    BlockCoordinateMacroF1,
    CrossValidatedSCut,
    ExpectedF1Threshold,
    FixedThreshold,
    FrankWolfeMacroF1,
    GlobalThreshold,
    MCut,
    MetaLabeler,
    MicroMacroThreshold,
    OnlineF1Threshold,
    PCut,
    RCut,
    SCut,
    ThresholdRegression,
)

FIXED = "fixed 0.5"
"""The rule that everybody starts from."""

OURS = "adaptive"
"""This package's rule, aimed at macro-F1: the one that all others are compared with."""

WITH_TEXTS = "adaptive + label texts"
"""The same rule with what the labels' names and synonyms say of a text, on data sets that have both."""

BOTH, FOR_BOTH = "macro_micro_f1", ", macro + micro"
"""The target of the rules that aim at macro-F1 and micro-F1 at once, and the end of their names."""

FUSED = ", fused"
"""The end of the names of rival rules that are given our fused probabilities in place of the scores."""

MAIN_RIVALS = (FIXED, "global threshold", "global threshold, micro", "RCut", "SCut", "SCutFBR", "F*/2")
"""The rival rules that notebook 02 tries on every base model."""

MAIN_RULES = (*MAIN_RIVALS, OURS)
"""All rules of notebook 02."""


class Prediction(NamedTuple):
    """What a decision rule says of the test rows."""

    label_sets: sp.csr_array
    """Predicted labels, 0 or 1."""
    probabilities: sp.csr_array
    """What was compared with the thresholds."""
    mode: str = "inductive"
    """Or "transductive", for a rule that was fitted on the unlabelled test rows."""
    seconds: float = float("nan")
    """What fitting and predicting took, where it was measured."""


class CalibratedRule:
    """A rule that is given calibrated probabilities in place of the scores."""

    def __init__(self, calibrator, rule):
        self.calibrator, self.rule = calibrator, rule

    def fit(self, scores, Y):
        """Fit the calibrator on the scores, and the rule on what it makes of them."""
        self.rule.fit(self.calibrator.fit(scores, Y).transform(scores), Y)
        return self

    def probabilities(self, scores):
        """Return the calibrated probabilities."""
        return self.calibrator.transform(scores)

    def predict(self, scores):
        """Decide which labels each row gets."""
        return self.rule.predict(self.probabilities(scores))


def rival_rules(Y):
    """Return the rival rules, unfitted, by name, each with "inductive" or "transductive".

    The mean number of labels a row of ``Y``, the fitting rows' labels, is the k of the rules that have one.
    """
    k = max(1, round(Y.nnz / Y.shape[0]))
    inductive = {
        FIXED: FixedThreshold(0.5),
        "global threshold": GlobalThreshold("macro_f1"),
        "global threshold, micro": GlobalThreshold("micro_f1"),
        "RCut": RCut(k),
        "PCut": PCut(),
        "MCut": MCut(),
        "SCut": SCut(),
        "SCutFBR": SCut(fallback="top"),
        "SCutFBR, cross-validated": CrossValidatedSCut("fbr", random_state=0),
        "SCut, smoothed F1": CrossValidatedSCut("smoothing", random_state=0),
        "micro + macro": MicroMacroThreshold(),
        "MetaLabeler": MetaLabeler(random_state=0),
        "threshold regression": ThresholdRegression(random_state=0),
        "F*/2": ExpectedF1Threshold(),
        "isotonic + F*/2": CalibratedRule(IsotonicCalibration(), ExpectedF1Threshold()),
        "isotonic per label + F*/2": CalibratedRule(
            IsotonicCalibration(per_label=True), ExpectedF1Threshold()
        ),
        "Platt per label + F*/2": CalibratedRule(PlattScaling(per_label=True), ExpectedF1Threshold()),
        "online F1": OnlineF1Threshold(random_state=0),
        "Frank–Wolfe": FrankWolfeMacroF1(random_state=0),
    }
    rules = {name: (rule, "inductive") for name, rule in inductive.items()}
    if k < Y.shape[1]:
        rules["block coordinate"] = BlockCoordinateMacroF1(k, random_state=0), "transductive"
    return rules


def fused_rules():
    """Return the rival rules, unfitted, by name, that are given the fused probabilities of ``adaptive``.

    They tell how much of ours is due to its thresholds: all else is the same.
    """
    rules = {
        "global threshold": GlobalThreshold("macro_f1"),
        "global threshold, micro": GlobalThreshold("micro_f1"),
        "PCut": PCut(),
        "F*/2": ExpectedF1Threshold(),
    }
    return {name + FUSED: rule for name, rule in rules.items()}


def adaptive_rules(ds, seen, *, seed):
    """Return our rules, unfitted, by name, each with the signals that it is given beside the scores.

    ``ds`` says over how many test rows they are to maximise macro-F1; ``seed`` is that of the fusion.
    """
    local = {"local": tuple(list(part.values()) for part in seen.local)}
    options = {"evaluation_rows": ds.test.Y.shape[0], "random_state": seed}
    rules = {
        OURS: (AdaptiveThreshold(**options), local),
        OURS + FOR_BOTH: (AdaptiveThreshold(BOTH, **options), local),
        "adaptive, no neighbours": (AdaptiveThreshold(**options), {}),
        "adaptive, linear": (AdaptiveThreshold(fusion="linear", **options), local),
    }
    if seen.affinity[0]:
        texts = {**local, "affinity": tuple(list(part.values()) for part in seen.affinity)}
        rules[WITH_TEXTS] = AdaptiveThreshold(**options), texts
        rules[WITH_TEXTS + FOR_BOTH] = AdaptiveThreshold(BOTH, **options), texts
    return rules


def main_predictions(config, ds, base, *, seed):
    """Predict the test rows by the rules of notebook 02, fitted on one base model's cross-fitted scores.

    Computed once. ``base`` is a base model or "all together". Predictions come by the names of
    :data:`MAIN_RULES`.
    """
    found = _predictions(config, ds, base, "main", seed=seed)
    return {name: found[name] for name in MAIN_RULES}


def all_predictions(config, ds, base, *, seed):
    """Predict the test rows by every rule, fitted on one base model's cross-fitted scores, once.

    ``base`` is a base model or "all together", whose scores our rule fuses and the rivals average. Rivals
    come in the order of :func:`rival_rules` and :func:`fused_rules`, then ours.
    """
    main, more = (_predictions(config, ds, base, part, seed=seed) for part in ("main", "more"))
    found = {**main, **more}
    rivals = [*rival_rules(fitting_labels(ds)), *fused_rules()]
    return {name: found[name] for name in (*rivals, *(name for name in found if name not in rivals))}


class Choice(NamedTuple):
    """Some of what our rule can fuse."""

    bases: tuple
    """Names of base models."""
    signals: tuple
    """Names of signals beside the scores."""


def everything(config, ds):
    """Name all that our rule can fuse on a data set."""
    signals = crossfitted(config, ds, TOGETHER, seed=config.random_state)
    return Choice(tuple(parts_of_together(config, ds)), (*signals.local[0], *signals.affinity[0]))


def choice_prediction(config, ds, choice, *, seed):
    """Predict the test rows by our rule from some of the base models and signals, once."""
    models = [repr(make_base_model(config, ds, name, seed=seed)) for name in choice.bases]
    key = {"what": "choice", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"models": models, "bases": choice.bases, "signals": choice.signals}
    arrays = cached_arrays(key, lambda: _predict_choice(config, ds, choice, seed=seed))
    return Prediction(arrays["sets"], arrays["probabilities"], "inductive", float(arrays["seconds"]))


def _predict_choice(config, ds, choice, *, seed):
    """Return the prediction from some of the base models and signals as arrays."""
    rows, folds = fitting_rows(ds, seed=seed)
    seen = [crossfitted(config, ds, base, seed=seed) for base in choice.bases]
    scores = [[one.scores[i] for one in seen] for i in range(2)]
    signals = [
        {
            field: [matrix for name, matrix in getattr(seen[0], field)[i].items() if name in choice.signals]
            or None
            for field in ("local", "affinity")
        }
        for i in range(2)
    ]
    start = time.perf_counter()
    rule = AdaptiveThreshold(evaluation_rows=ds.test.Y.shape[0], random_state=seed)
    rule.fit(scores[0], rows.Y, folds=folds, **signals[0])
    found = _decided(rule, scores[1], signals[1], start)
    return {name: value for name, value in found.items() if name != "mode"}


def _predictions(config, ds, base, part, *, seed):
    """Return some of the rules' predictions from the cache, or compute them."""
    names = parts_of_together(config, ds) if base == TOGETHER else [base]
    key = {"what": "rules", "part": part, "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key["models"] = [repr(make_base_model(config, ds, name, seed=seed)) for name in names]
    arrays = cached_arrays(key, lambda: _predict(ds, crossfitted(config, ds, base, seed=seed), part, seed))
    test = crossfitted(config, ds, base, seed=seed).mean_scores()[1]
    return {
        name: Prediction(
            arrays[f"sets: {name}"],
            arrays.get(f"probabilities: {name}", test),
            str(arrays[f"mode: {name}"]),
            float(arrays[f"seconds: {name}"]),
        )
        for name in map(str, arrays["names"])
    }


def _predict(ds, seen, part, seed):
    """Return the predictions of the main rules, or of all others, as arrays."""
    rows, folds = fitting_rows(ds, seed=seed)
    fitting, test = seen.mean_scores()
    found = {}
    for name, (rule, mode) in _part_of(rival_rules(rows.Y), part).items():
        start = time.perf_counter()
        predicted = rule.fit(fitting, rows.Y).predict(test)
        found[name] = {"sets": predicted, "mode": mode, "seconds": time.perf_counter() - start}
        if isinstance(rule, CalibratedRule):
            found[name]["probabilities"] = rule.probabilities(test)
    ours = _part_of(adaptive_rules(ds, seen, seed=seed), part)
    return _as_arrays(found | _predict_ours(ours, rows.Y, folds, seen.scores))


def _part_of(rules, part):
    """Keep the main rules, and what shares their fusion, or all others."""
    main = (*MAIN_RULES, OURS + FOR_BOTH)
    return {name: rule for name, rule in rules.items() if (name in main) == (part == "main")}


def _predict_ours(rules, Y, folds, scores):
    """Fit our rules, those that differ in their target only with one fusion, and predict the test rows."""
    found = {}
    for name, (rule, signals) in rules.items():
        if name.endswith(FOR_BOTH):
            continue
        start = time.perf_counter()
        at_fitting, at_test = ({what: both[i] for what, both in signals.items()} for i in range(2))
        rule.fit(scores[0], Y, folds=folds, **at_fitting)
        found[name] = _decided(rule, scores[1], at_test, start)
        if name + FOR_BOTH in rules:
            found[name + FOR_BOTH] = _decided(rule.retarget(BOTH), scores[1], at_test, start)
        if name == OURS:
            batch = copy(rule).set_params(transductive=True)
            found[f"{OURS}, transductive"] = _decided(batch, scores[1], at_test, start, "transductive")
            found |= _predict_fused(rule.fitted_probabilities_, Y, found[OURS])
    return found


def _predict_fused(fitting, Y, ours):
    """Fit the rules on fused probabilities, and predict the test rows from those that ours has of them.

    What the fusion took is counted for each of them.
    """
    found, test = {}, ours["probabilities"]
    for name, rule in fused_rules().items():
        start = time.perf_counter()
        predicted = rule.fit(fitting, Y).predict(test)
        seconds = ours["seconds"] + time.perf_counter() - start
        found[name] = {"sets": predicted, "probabilities": test, "mode": "inductive", "seconds": seconds}
    return found


def _decided(rule, scores, signals, start, mode="inductive"):
    """Return what a fitted rule of ours says of the test rows."""
    decision = rule.decide(scores, **signals)
    seconds = time.perf_counter() - start
    return {
        "sets": decision.label_sets,
        "probabilities": decision.probabilities,
        "mode": mode,
        "seconds": seconds,
    }


def _as_arrays(found):
    """Return predictions as the cache keeps them."""
    arrays = {f"{what}: {name}": value for name, entry in found.items() for what, value in entry.items()}
    return {**arrays, "names": np.array(list(found))}
