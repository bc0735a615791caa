"""All decision rules on the same cross-fitted scores: what notebook 08 computes."""

import time
from copy import copy

from joblib import delayed

from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.signals import all_signals, fitting_labels, fitting_rows
from adathresh.experiments.studies import Prediction, interval_rows, metrics_on_test
from adathresh.posthoc.threshold import AdaptiveThreshold
from adathresh.rules import (
    BlockCoordinateMacroF1,
    ExpectedF1Cut,
    FixedCut,
    FrankWolfeMacroF1,
    GlobalCut,
    MaxGapCut,
    MicroMacroCut,
    PerLabelCut,
    ProportionalCut,
    TopK,
)

OURS = "adaptive"
"""The rule that all others are compared with."""

WITH_TEXTS = "adaptive + label texts"
"""The same rule with the likeness of row text and label name, on data sets that have both."""

BOTH, FOR_BOTH = "macro_micro_f1", ", macro + micro"
"""The target of the rules that aim at macro-F1 and micro-F1 at once, and the end of their names."""


def rival_rules(Y):
    """Return the rules that ours is compared with.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels of the fitting rows; their mean number a row is the k of the rules that have one.

    Returns
    -------
    dict of str to tuple of (estimator, str)
        Unfitted rules by name, each with "inductive" or "transductive".
    """
    k = max(1, round(Y.nnz / Y.shape[0]))
    inductive = {
        "fixed 0.5": FixedCut(0.5),
        "global cut": GlobalCut("macro_f1"),
        "global cut, micro": GlobalCut("micro_f1"),
        "RCut": TopK(k),
        "PCut": ProportionalCut(),
        "MCut": MaxGapCut(),
        "SCut": PerLabelCut(),
        "SCutFBR": PerLabelCut(fallback="top"),
        "micro + macro": MicroMacroCut(),
        "F*/2": ExpectedF1Cut(),
        "Frank–Wolfe": FrankWolfeMacroF1(random_state=0),
    }
    rules = {name: (rule, "inductive") for name, rule in inductive.items()}
    if k < Y.shape[1]:
        rules["block coordinate"] = BlockCoordinateMacroF1(k, random_state=0), "transductive"
    return rules


def adaptive_rules(ds, seen, *, seed):
    """Return our rules with what each of them is given.

    Parameters
    ----------
    ds : Dataset
        The data set; macro-F1 is to be taken over as many rows as it has test rows.
    seen : Signals
        What there is to be given.
    seed : int
        Of the fusion.

    Returns
    -------
    dict of str to tuple of (AdaptiveThreshold, dict)
        Unfitted rules by name, each with its signals beside the scores.
    """
    local = {"local": seen.local}
    options = {"evaluation_rows": ds.test.Y.shape[0], "random_state": seed}
    rules = {
        OURS: (AdaptiveThreshold(**options), local),
        "adaptive, no neighbours": (AdaptiveThreshold(**options), {}),
        "adaptive, linear": (AdaptiveThreshold(fusion="linear", **options), local),
        OURS + FOR_BOTH: (AdaptiveThreshold(BOTH, **options), local),
    }
    if seen.affinity is not None:
        texts = {**local, "affinity": seen.affinity}
        rules[WITH_TEXTS] = AdaptiveThreshold(**options), texts
        rules[WITH_TEXTS + FOR_BOTH] = AdaptiveThreshold(BOTH, **options), texts
    return rules


def all_predictions(ds, seen, *, seed):
    """Fit every rule on the cross-fitted scores and predict the test rows.

    Parameters
    ----------
    ds : Dataset
        The data set.
    seen : Signals
        As :func:`adathresh.experiments.core.signals.all_signals` yields them. Of several base models the rivals
        take the mean.
    seed : int
        Of folds and fusion.

    Returns
    -------
    dict of str to Prediction
        What each rule says of the test rows.
    """
    rows = fitting_rows(ds, seed=seed)
    fitting, test = seen.mean_scores()
    results = {}
    for name, (rule, mode) in rival_rules(rows.Y).items():
        start = time.perf_counter()
        predicted = rule.fit(fitting, rows.Y).predict(test)
        results[name] = Prediction(predicted, test, mode, time.perf_counter() - start)
    fitting, test = seen.scores
    rules, fitted = adaptive_rules(ds, seen, seed=seed), {}
    for name, (rule, others) in rules.items():
        start = time.perf_counter()
        if name not in fitted:
            names = {rule.target: name} | ({BOTH: name + FOR_BOTH} if name + FOR_BOTH in rules else {})
            at_fitting = {signal: both[0] for signal, both in others.items()}
            found = rule.fit_targets(dict.fromkeys(names), fitting, rows.Y, folds=rows.folds, **at_fitting)
            fitted |= {names[target]: of_target for target, of_target in found.items()}
        rule = fitted[name]
        at_test = {signal: both[1] for signal, both in others.items()}
        predicted = rule.predict(test, **at_test)
        seconds = time.perf_counter() - start
        probabilities = rule.predict_proba(test, **at_test)
        results[name] = Prediction(predicted, probabilities, "inductive", seconds)
        if name == OURS:  # the same fit, cut anew for the test rows
            batch = copy(rule).set_params(transductive=True).predict(test, **at_test)
            name, mode = f"{OURS}, transductive", "transductive"
            results[name] = Prediction(batch, probabilities, mode, time.perf_counter() - start)
    return results


def every_prediction(config, ds):
    """Score with every base model and cut by every rule, for every seed; the cutting is done side by side.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.

    Returns
    -------
    list of tuple of (int, str, float, dict of str to Prediction)
        Seed, name of the base model, the seconds that its scores took when they were computed, and what
        :func:`all_predictions` says.
    """
    found = []
    for seed in config.seed_list:
        # joblib asks for jobs with a lock held, on which a training with jobs of its own would wait for ever
        scored = list(all_signals(config, ds, seed=seed))
        cut = side_by_side(delayed(all_predictions)(ds, seen, seed=seed) for _, seen in scored)
        found += [
            (seed, base, seen.seconds, predictions)
            for (base, seen), predictions in zip(scored, cut, strict=True)
        ]
    return found


def compared_rows(config, ds, repeated, *, base):
    """Compare our rule, and ours with label texts, with all others, over all seeds at once.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the number of draws.
    ds : Dataset
        The data set.
    repeated : list of dict of str to Prediction
        What :func:`all_predictions` returns, for each seed.
    base : str
        Name of the base model.

    Returns
    -------
    list of dict
        Mean difference over the seeds in macro-F1 and micro-F1, ours minus the other, with its 95 % interval.
    """
    label_sets = {rule: [found[rule].label_sets for found in repeated] for rule in repeated[0]}
    rows = []
    for ours in (OURS, WITH_TEXTS) if WITH_TEXTS in label_sets else (OURS,):
        rows += interval_rows(config, ds, label_sets, ours, random_state=config.random_state, base=base)
    return rows


def crossfit_metrics(ds, prediction):
    """Evaluate a prediction of the test rows by a rule that training and dev rows were fitted on.

    Parameters
    ----------
    ds : Dataset
        The data set.
    prediction : Prediction
        What a rule says of the test rows.

    Returns
    -------
    dict of str to float
        Every metric of :func:`adathresh.metrics.evaluate`; how rare a label is, training and dev rows tell.
    """
    return metrics_on_test(ds, prediction, Y_fitted=fitting_labels(ds))
