"""The one registry of decision rules: rivals and ours, fitted on cross-fitted scores, each once.

Every notebook, table and figure takes rules from here by their names, so that one name means one rule.
"""

import time
from copy import copy
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import delayed

from adathresh.calibration import IsotonicCalibration, PlattScaling
from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.crossfit import TOGETHER, crossfitted, parts_of_together
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.parallel import side_by_side
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


class Choice(NamedTuple):
    """Some of what our rule can fuse."""

    bases: tuple
    """Names of base models."""
    signals: tuple
    """Names of signals beside the scores."""
    fusion: str = "auto"
    """How they are fused."""


def everything(config, ds):
    """Name all that our rule can fuse on a data set."""
    seen = crossfitted(config, ds, TOGETHER, seed=config.random_state)
    return Choice(_parts_of(config, ds, TOGETHER), (*seen.local[0], *seen.affinity[0]))


def our_choices(bases, seen):
    """Say what each of our rules fuses, by the rule's name.

    ``bases`` names the base models, ``seen`` is what :func:`crossfitted` returns of them.
    """
    shares, said = tuple(seen.local[0]), tuple(seen.affinity[0])
    choices = {
        OURS: Choice(bases, shares),
        "adaptive, no neighbours": Choice(bases, ()),
        "adaptive, linear": Choice(bases, shares, fusion="linear"),
    }
    return choices | ({WITH_TEXTS: Choice(bases, (*shares, *said))} if said else {})


def main_predictions(config, ds, base, *, seed):
    """Predict the test rows by the rules of notebook 02, fitted on one base model's cross-fitted scores.

    Computed once. ``base`` is a base model or "all together". Predictions come by the names of
    :data:`MAIN_RULES`.
    """
    seen = crossfitted(config, ds, base, seed=seed)
    ours = our_choices(_parts_of(config, ds, base), seen)[OURS]
    rivals = _rival_predictions(config, ds, base, "main", seed=seed)
    return {**rivals, OURS: choice_prediction(config, ds, ours, seed=seed)}


def all_predictions(config, ds, base, *, seed):
    """Predict the test rows by every rule, fitted on one base model's cross-fitted scores, once.

    ``base`` is a base model or "all together", whose scores our rule fuses and the rivals average. Rivals
    come in the order of :func:`rival_rules` and :func:`fused_rules`, then ours.
    """
    main, more = (_rival_predictions(config, ds, base, part, seed=seed) for part in ("main", "more"))
    rivals = {**main, **more}
    rivals = {name: rivals[name] for name in rival_rules(fitting_labels(ds))}
    seen = crossfitted(config, ds, base, seed=seed)
    ours = {}
    for rule, choice in our_choices(_parts_of(config, ds, base), seen).items():
        for variant, prediction in _choice_predictions(config, ds, choice, seed=seed).items():
            if variant in fused_rules():
                rivals[variant] = prediction
            else:
                ours[rule + variant] = prediction
    return {**rivals, **ours}


def predict_all(config, ds, bases):
    """Compute all that :func:`all_predictions` needs of some base models, side by side, into the cache.

    Name the slowest last: they begin.
    """
    jobs = []
    for base, seed in product(bases[::-1], config.seed_list):
        choices = our_choices(_parts_of(config, ds, base), crossfitted(config, ds, base, seed=seed))
        slowest_first = sorted(choices.values(), key=lambda choice: len(choice.signals), reverse=True)
        jobs += [delayed(choice_prediction)(config, ds, choice, seed=seed) for choice in slowest_first]
        jobs += [delayed(_rival_predictions)(config, ds, base, part, seed=seed) for part in ("main", "more")]
    side_by_side(jobs)


def choice_prediction(config, ds, choice, *, seed):
    """Predict the test rows by our rule from some of the base models and signals, once."""
    return _choice_predictions(config, ds, choice, seed=seed)[""]


def fitted_choice(ds, choice, seen, *, seed):
    """Fit our rule on some of the base models and signals; return it, and its input for the test rows.

    ``seen`` has what :func:`crossfitted` returns of each of the base models. ``ds`` also says over how many
    test rows the rule is to maximise macro-F1.
    """
    rows, folds = fitting_rows(ds, seed=seed)
    (fitting, at_fitting), at_test = (_given(choice, seen, part) for part in range(2))
    rule = AdaptiveThreshold(fusion=choice.fusion, evaluation_rows=ds.test.Y.shape[0], random_state=seed).fit(
        fitting, rows.Y, folds=folds, groups=rows.groups, **at_fitting
    )
    return rule, at_test


def _given(choice, seen, part):
    """Return the scores and the signals that a choice names, of fitting rows (0) or test rows (1)."""
    signals = {
        kind: [matrix for name, matrix in getattr(seen[0], kind)[part].items() if name in choice.signals]
        for kind in ("local", "affinity")
    }
    return [one.scores[part] for one in seen], {kind: found or None for kind, found in signals.items()}


def _parts_of(config, ds, base):
    """Name the base models that one name stands for."""
    return tuple(parts_of_together(config, ds)) if base == TOGETHER else (base,)


def _choice_predictions(config, ds, choice, *, seed):
    """Return the predictions by our rule from a choice, from the cache, or compute them.

    "" is the one that aims at macro-F1; others come by the end of their names.
    """
    models = [repr(make_base_model(config, ds, name, seed=seed)) for name in choice.bases]
    key = {"what": "choice", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"models": models, **choice._asdict()}
    arrays = cached_arrays(key, lambda: _predict_choice(config, ds, choice, seed=seed))
    return _as_predictions(arrays)


def _predict_choice(config, ds, choice, *, seed):
    """Return the predictions by our rule from a choice as arrays.

    From all neighbour shares, or all there is, also with another target; from the former the base for the
    transductive rule and the rival rules on fused probabilities.
    """
    seen = [crossfitted(config, ds, base, seed=seed) for base in choice.bases]
    shares, said = tuple(seen[0].local[0]), tuple(seen[0].affinity[0])
    start = time.perf_counter()
    rule, at_test = fitted_choice(ds, choice, seen, seed=seed)
    found = {"": _decided(rule, at_test, start)}
    is_ours = choice == Choice(choice.bases, shares)
    if is_ours or choice == Choice(choice.bases, (*shares, *said)):
        found[FOR_BOTH] = _decided(rule.retarget(BOTH), at_test, start)
    if is_ours:
        batch = copy(rule).set_params(transductive=True)
        found[", transductive"] = _decided(batch, at_test, start, "transductive")
        found |= _predict_fused(rule.fitted_probabilities_, fitting_labels(ds), found[""])
    return _as_arrays(found)


def _rival_predictions(config, ds, base, part, *, seed):
    """Return the predictions by the main rivals, or by all others, from the cache, or compute them."""
    key = {"what": "rules", "part": part, "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    names = _parts_of(config, ds, base)
    key["models"] = [repr(make_base_model(config, ds, name, seed=seed)) for name in names]
    arrays = cached_arrays(key, lambda: _predict_rivals(ds, crossfitted(config, ds, base, seed=seed), part))
    return _as_predictions(arrays, crossfitted(config, ds, base, seed=seed).mean_scores()[1])


def _predict_rivals(ds, seen, part):
    """Return the predictions of the main rivals, or of all others, as arrays."""
    (fitting, test), Y, found = seen.mean_scores(), fitting_labels(ds), {}
    for name, (rule, mode) in rival_rules(Y).items():
        if (name in MAIN_RIVALS) != (part == "main"):
            continue
        start = time.perf_counter()
        predicted = rule.fit(fitting, Y).predict(test)
        found[name] = {"sets": predicted, "mode": mode, "seconds": time.perf_counter() - start}
        if isinstance(rule, CalibratedRule):
            found[name]["probabilities"] = rule.probabilities(test)
    return _as_arrays(found)


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


def _decided(rule, at_test, start, mode="inductive"):
    """Return what a fitted rule of ours says of the test rows."""
    scores, signals = at_test
    decision = rule.decide(scores, **signals)
    return {
        "sets": decision.label_sets,
        "probabilities": decision.probabilities,
        "mode": mode,
        "seconds": time.perf_counter() - start,
    }


def _as_arrays(found):
    """Return predictions as the cache keeps them."""
    arrays = {f"{what}: {name}": value for name, entry in found.items() for what, value in entry.items()}
    return {**arrays, "names": np.array(list(found))}


def _as_predictions(arrays, probabilities=None):
    """Return what :func:`_as_arrays` keeps; ``probabilities`` are those of predictions without their own."""
    return {
        name: Prediction(
            arrays[f"sets: {name}"],
            arrays.get(f"probabilities: {name}", probabilities),
            str(arrays[f"mode: {name}"]),
            float(arrays[f"seconds: {name}"]),
        )
        for name in map(str, arrays["names"])
    }
