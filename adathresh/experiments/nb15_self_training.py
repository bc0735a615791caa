"""Notebook 15: what rows without labels add to a few labelled ones, by labels that a rule is sure of."""

import warnings
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.sparse as sp
from joblib import delayed

from adathresh.experiments.core.base_models import BASE_MODELS
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.claims import METRICS, interval_claims, yes_claim
from adathresh.experiments.core.crossfit import crossfit_all, crossfitted
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.display import shown
from adathresh.experiments.core.evaluation import interval_rows, metrics_on_test
from adathresh.experiments.core.fold_scores import ALL_ROWS, N_FOLDS, fitting_rows
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.plotting import COLORS, MARKERS
from adathresh.experiments.core.results import table_row
from adathresh.experiments.core.rules import OURS, WITH_TEXTS, Prediction, choice_prediction, our_choices
from adathresh.experiments.core.sentences import listed, mean_differences, percent, with_interval
from adathresh.posthoc import AdaptiveThreshold
from adathresh.posthoc.crossfit import base_scores, draw_folds, in_row_order
from adathresh.self_training import NoPseudoLabelsWarning, SelfTraining
from adathresh.signals import LabelAffinity, NeighborLabels
from adathresh.utils.texts import learn_words, word_vectorizer

BASE = "linear"
"""The base model, with the first of its strengths: choosing one would take more labels than there are."""

SHARE = 0.1
"""Share of the fitting rows (groups as wholes) that keep their labels."""

N_ROUNDS = 2
"""Rounds of self-training."""

CONFIDENCE = 0.9
"""How probable it is at least that a guaranteed precision is reached."""

LABELLED, EVERYTHING = "labelled rows only", "labels of all rows"
"""What self-training is compared with: where it starts, and what it would have if all rows were labelled."""


class Way(NamedTuple):
    """One way to choose pseudo-labels."""

    precision: float
    """The precision from which a label is sure."""
    confidence: float | None
    """With which it is guaranteed; None: it is what the fused probabilities let expect."""
    others: str
    """What becomes of a row's other labels."""


WAYS = {
    "guaranteed 0.9": Way(0.9, CONFIDENCE, "guessed"),
    "guaranteed 0.7": Way(0.7, CONFIDENCE, "guessed"),
    "guaranteed 0.7, others absent": Way(0.7, CONFIDENCE, "absent"),
    "expected 0.7": Way(0.7, None, "guessed"),
}
"""Ways to choose pseudo-labels, by name."""

START = next(iter(WAYS))
"""The way whose round 0 stands for that of all ways: it has seen the labelled rows only."""

NOTHING = "nothing is sure"
"""The outcome where no row without labels gets one."""


class FewLabels(NamedTuple):
    """The fitting rows, most of which have lost their labels."""

    X: sp.csr_array
    """Features of the labelled rows."""
    Y: sp.csr_array
    """Their labels."""
    groups: np.ndarray | None
    """Their groups."""
    folds: np.ndarray
    """Their folds; a group stays together."""
    unlabeled: sp.csr_array
    """Features of the rows that have lost their labels."""
    X_test: sp.csr_array
    """Features of the test rows."""
    label_features: sp.csr_array | None
    """Features of the labels' texts, where rows and labels have some."""


def few_labels(ds, *, seed):
    """Draw the fitting rows that keep their labels.

    Features are the words of the texts, in which the labels' texts can be compared with rows; where there are
    no texts, the data set's own. What is learnt for that, words and how rare they are, knows no labels.
    """
    rows, kept, lost = _drawn(ds, seed=seed)
    X, X_test, label_features = _features(ds, rows)
    groups = None if rows.groups is None else np.asarray(rows.groups)[kept]
    folds = draw_folds(len(kept), N_FOLDS, groups=groups, random_state=seed)
    return FewLabels(X[kept], rows.Y[kept], groups, folds, X[lost], X_test, label_features)


def _drawn(ds, *, seed):
    """Return the fitting rows, and the numbers of those that keep and of those that lose their labels."""
    rows = fitting_rows(ds, seed=seed).rows
    part = draw_folds(rows.Y.shape[0], round(1 / SHARE), groups=rows.groups, random_state=seed)
    return rows, np.flatnonzero(part == 0), np.flatnonzero(part > 0)


def _features(ds, rows):
    """Return features of the fitting rows, of the test rows and of the labels."""
    if rows.texts is None or ds.label_knowledge is None:
        return rows.X, ds.test.X, None
    words = word_vectorizer()
    X = learn_words(words, rows.texts)
    others = (words.transform(texts) for texts in (ds.test.texts, ds.label_knowledge.texts()))
    return tuple(sp.csr_array(part, dtype=np.float32) for part in (X, *others))


def self_training(config, ds):
    """Run every way with every seed, side by side; what :func:`_rounds` returns, by way and seed."""
    crossfit_all(config, ds, [BASE])
    runs = [(way, seed) for way in WAYS for seed in config.seed_list]
    side_by_side(
        delayed(_stage_scores)(config, ds, way, fold, seed=seed)
        for way, seed in runs
        for fold in (ALL_ROWS, *range(N_FOLDS))
    )
    side_by_side(delayed(_predict)(config, ds, *job) for job in _rounds_of(config, ds, runs))
    return {(way, seed): _rounds(config, ds, way, seed=seed) for way, seed in runs}


def round_rows(config, ds, found):
    """Evaluate every way after every round: one table row each, and one where all rows are labelled.

    Round 0 has seen the labelled rows only, and is the same for all ways. Beside the metrics stand the rows
    that have joined, their sure labels and all labels they are given, and the shares of these that are right.
    """
    rows = []
    for seed in config.seed_list:
        of_fitting, kept, _ = _drawn(ds, seed=seed)
        Y = of_fitting.Y[kept]
        for way in WAYS:
            for number, one in enumerate(found[way, seed]):
                metrics = metrics_on_test(ds, one["prediction"], Y_fitted=Y)
                row = _row(config, ds, way, metrics, seed)
                rows.append({**row, "round": number, "n_labelled": Y.shape[0], **one["given"]})
        metrics = metrics_on_test(ds, _with_all_labels(config, ds, seed=seed), Y_fitted=Y)
        rows.append({**_row(config, ds, EVERYTHING, metrics, seed), "round": 0})
    return rows


def round_differences(config, ds, found):
    """Compare every way after its last round, and a model of all labels, with where they start.

    Rows are those of :func:`adathresh.experiments.core.evaluation.interval_rows`.
    """
    start = [found[START, seed][0]["prediction"].label_sets for seed in config.seed_list]
    ends = {way: [found[way, seed][-1]["prediction"].label_sets for seed in config.seed_list] for way in WAYS}
    ends[EVERYTHING] = [_with_all_labels(config, ds, seed=seed).label_sets for seed in config.seed_list]
    rows = []
    for name, sets in ends.items():
        options = {"random_state": config.random_state, "base": BASE}
        rows += interval_rows(config, ds, {name: sets, LABELLED: start}, name, **options)
    return rows


def shown_rounds(rows):
    """Show what becomes of the test rows in each round, and what the rows without labels are given."""
    named = {
        "macro_f1": "macro_f1",
        "micro_f1": "micro_f1",
        "n_joined": "rows that join",
        "n_sure": "sure labels",
        "precision_of_sure": "of these right",
        "n_given": "all their labels",
        "precision_of_given": "of all right",
    }
    means = pd.DataFrame(rows).groupby(["method", "round"], sort=False)[list(named)].mean().reset_index()
    counts = {
        name: pd.Series([None if np.isnan(mean) else round(mean) for mean in means[name]], dtype=object)
        for name in ("n_joined", "n_sure", "n_given")
    }
    table = means.assign(**counts).rename(columns={"method": "sure labels by", **named})
    return shown(table, caption="Test rows, and what the other rows get")


def shown_differences(rows):
    """Show what every way, and the labels of all rows, change."""
    table = pd.DataFrame(rows).replace({"metric": METRICS})[["metric", "a", "difference", "low", "high"]]
    return shown(table, caption="Minus labelled rows only", digits=4)


def plot_rounds(rows):
    """Draw macro-F1 over the rounds, and the share of the sure labels that is right, one colour a way.

    A line shows the macro-F1 of a model that has the labels of all rows; dashed ones the wanted precisions.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.2))
    means = rows.groupby(["method", "round"], sort=False).mean(numeric_only=True)
    shifts = np.linspace(-0.12, 0.12, len(WAYS))  # so that equal marks do not hide each other
    for shift, (way, chosen), color, marker in zip(shifts, WAYS.items(), COLORS, MARKERS, strict=False):
        of_way = means.loc[way]
        x = of_way.index + shift
        left.plot(x, of_way["macro_f1"], marker + "-", color=color, label=way, linewidth=1)
        right.plot(x, of_way["precision_of_sure"], marker + "-", color=color, linewidth=1)
        right.axhline(chosen.precision, color="0.6", linestyle="--", linewidth=1)
    everything = means.loc[EVERYTHING]["macro_f1"].iloc[0]
    left.axhline(everything, color="0.4", linestyle=":", label=EVERYTHING)
    left.set(ylabel="macro-F1 on the test rows", ylim=(0, 1.1 * everything))
    right.set(ylabel="share of the sure labels that is right", ylim=(0, 1.02))
    for axes in (left, right):
        axes.set(xlabel="round", xticks=range(N_ROUNDS + 1), xlim=(-0.3, N_ROUNDS + 0.3))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def claims(tables):
    """Say what self-training changes, and whether sure labels are as precise as they are to be."""
    found = interval_claims(tables["self_training_differences"], "{metric} with {a} minus that with {b}")
    rounds = tables["self_training"]
    for name, way in WAYS.items():
        for number in range(1, N_ROUNDS + 1):
            claim = f"Sure labels of round {number} have the precision {way.precision}, {name}"
            rows = rounds[(rounds["method"] == name) & (rounds["round"] == number)]
            reached = rows["precision_of_sure"].mean()
            if np.isnan(reached):
                found.append({"claim": claim, "outcome": NOTHING, "figures": NOTHING})
            else:
                found.append(yes_claim(claim, bool(reached >= way.precision), f"{reached:.4f}"))
    return found


def finding(tables):
    """Answer the notebook's question from its tables."""
    rounds, differences = tables["self_training"], tables["self_training_differences"]
    macro, micro = (
        mean_differences(differences[differences["metric"] == metric], "a")
        for metric in ("macro_f1", "micro_f1")
    )
    start = rounds[(rounds["round"] == 0) & (rounds["method"] != EVERYTHING)]
    n_labelled, value = start["n_labelled"].mean(), start["macro_f1"].mean()
    everything = rounds[rounds["method"] == EVERYTHING]["macro_f1"].mean()
    silent, said = [], []
    for way in WAYS:
        if rounds[(rounds["method"] == way) & (rounds["round"] > 0)]["n_joined"].sum() == 0:
            silent.append(f"`{way}`")
        else:
            change = f"{with_interval(macro.loc[way], named=not said)}, micro-F1 by"
            said.append(f"`{way}` changes macro-F1 by {change} {with_interval(micro.loc[way])}")
    first = (
        f"With the labels of {n_labelled:,.0f} rows, {percent(SHARE)}, the macro-F1 of `{OURS}` is "
        f"{value:.3f}; with those of all rows {everything:.3f}."
    )
    second = f"Pseudo-labels of the other rows: {'; '.join(said)}." if said else ""
    third = f"No label is sure with {listed(silent)}, so that nothing changes." if silent else ""
    return " ".join(part for part in (first, second, third, _how_precise(rounds)) if part)


def _how_precise(rounds):
    """Say which share of the sure labels is right in each round, with a mark where that is too few."""
    later = rounds[rounds["round"] > 0].dropna(subset="precision_of_sure")
    said, n_seeds = [], rounds["seed"].nunique()
    for name, way in WAYS.items():
        of_way = later[later["method"] == name]
        n_sure = of_way["seed"].nunique()
        if n_sure:
            shares = [_marked(one, way.precision) for _, one in of_way.groupby("round")["precision_of_sure"]]
            some = f" (in {n_sure} of {n_seeds} seeds)" if n_sure < n_seeds else ""
            said.append(f"with `{name}`{some} {', then '.join(shares)}")
    if not said:
        return ""
    lowest = "" if n_seeds == 1 else "; in brackets the lowest seed's"
    return (
        "Of the sure labels these shares are right in the first round, the one that a guarantee is of, then "
        f"in the next (†: less than wanted{lowest}): {'; '.join(said)}."
    )


def _marked(shares, wanted):
    """Write the mean of some seeds' shares, and the least of several; mark what is less than wanted."""
    mean, least = (f"{share:.3f}{'†' if share < wanted else ''}" for share in (shares.mean(), shares.min()))
    return mean if len(shares) == 1 else f"{mean} ({least})"


def _row(config, ds, method, metrics, seed):
    """Describe one evaluated prediction."""
    named = {"method": method, "base": BASE, "rule": OURS, "mode": "inductive", "seed": seed}
    return table_row(config, ds, **named, metrics=metrics)


def _with_all_labels(config, ds, *, seed):
    """Predict the test rows by our rule of notebook 08, with label texts where there are any."""
    choices = our_choices((BASE,), crossfitted(config, ds, BASE, seed=seed))
    return choice_prediction(config, ds, choices.get(WITH_TEXTS, choices[OURS]), seed=seed)


def _stage_scores(config, ds, way, fold, *, seed):
    """Train on all folds but one and score that one, or on all and score the test rows, after every round.

    Computed once. With all labelled rows also what the rows without labels are given.
    """
    key = _key(config, ds, way, "self-training", seed=seed) | {"fold": fold}
    return cached_arrays(key, lambda: _train(config, ds, WAYS[way], fold, seed=seed))


def _key(config, ds, way, what, *, seed):
    """Name all that a stored result depends on."""
    key = {"what": what, "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    return key | {"way": list(WAYS[way]), "model": repr(BASE_MODELS[BASE].make(config, ds, seed))}


def _train(config, ds, way, fold, *, seed):
    """Return what :func:`_stage_scores` keeps."""
    few = few_labels(ds, seed=seed)
    seen = few.folds != fold
    rule = AdaptiveThreshold("precision", target_value=way.precision, confidence=way.confidence)
    model = SelfTraining(
        BASE_MODELS[BASE].make(config, ds, seed),
        few.unlabeled,
        label_features=few.label_features,
        rule=rule,
        others=way.others,
        n_rounds=N_ROUNDS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoPseudoLabelsWarning)  # the tables say so
        model.fit(few.X[seen], few.Y[seen], groups=None if few.groups is None else few.groups[seen])
    scored, n_labels = few.X_test if fold == ALL_ROWS else few.X[~seen], few.Y.shape[1]
    found = {
        f"scores: {number}": sp.csr_array(base_scores(stage, scored, n_labels=n_labels))
        for number, stage in enumerate(model.stages_)
    }
    if fold == ALL_ROWS:
        for number, matrices in enumerate(zip(model.sure_labels_, model.pseudo_labels_, strict=True), 1):
            for what, matrix in zip(("sure", "given"), matrices, strict=True):
                found[f"{what}: {number}"] = matrix
    return found


def _rounds_of(config, ds, runs):
    """Name way, round and seed of everything that is predicted: round 0 is the same for all ways."""
    last = {(way, seed): _last_round(config, ds, way, seed=seed) for way, seed in runs}
    start = [(START, 0, seed) for seed in config.seed_list]
    return start + [(way, number, seed) for way, seed in runs for number in range(1, last[way, seed] + 1)]


def _last_round(config, ds, way, *, seed):
    """Count the rounds that the model of all labelled rows has had."""
    on_all = _stage_scores(config, ds, way, ALL_ROWS, seed=seed)
    return max(number for number in range(N_ROUNDS + 1) if f"scores: {number}" in on_all)


def _rounds(config, ds, way, *, seed):
    """Return for every round the prediction of the test rows, and what the rows without labels were given.

    Where the model has had fewer rounds, as nothing was sure or nothing changed, its last one stands for the
    others.
    """
    on_all = _stage_scores(config, ds, way, ALL_ROWS, seed=seed)
    of_fitting, _, lost = _drawn(ds, seed=seed)
    hidden = of_fitting.Y[lost]  # which only measure
    last, found = _last_round(config, ds, way, seed=seed), []
    for number in (min(number, last) for number in range(N_ROUNDS + 1)):
        arrays = _predict(config, ds, way if number else START, number, seed)
        prediction = Prediction(arrays["sets"], arrays["probabilities"])
        found.append({"prediction": prediction, "given": _given(on_all, hidden, number)})
    return found


def _predict(config, ds, way, number, seed):
    """Fit our rule on the out-of-fold scores of a round, and label the test rows, once."""
    key = _key(config, ds, way, "self-trained rule", seed=seed) | {"round": number}
    return cached_arrays(key, lambda: _decide(config, ds, way, number, seed=seed))


def _decide(config, ds, way, number, *, seed):
    """Return what :func:`_predict` keeps. A fold whose model has had fewer rounds has its last scores."""
    few = few_labels(ds, seed=seed)
    test, *folds = (
        _of_round(_stage_scores(config, ds, way, fold, seed=seed), number)
        for fold in (ALL_ROWS, *range(N_FOLDS))
    )
    knn, said = NeighborLabels(), (None, None)
    local = knn.fit_transform(few.X, few.Y, groups=few.folds), knn.transform(few.X_test)
    if few.label_features is not None:
        affinity = LabelAffinity().fit(few.label_features)
        said = affinity.transform(few.X), affinity.transform(few.X_test)
    rule = AdaptiveThreshold(evaluation_rows=ds.test.Y.shape[0], random_state=seed)
    fitting = in_row_order(folds, few.folds)
    rule.fit(fitting, few.Y, local=local[0], affinity=said[0], folds=few.folds, groups=few.groups)
    decision = rule.decide(test, local=local[1], affinity=said[1])
    return {"sets": decision.label_sets, "probabilities": decision.probabilities}


def _of_round(part, number):
    """Return the scores of a round, or those of the last one that there was."""
    return next(part[name] for n in range(number, -1, -1) if (name := f"scores: {n}") in part)


def _given(part, hidden, number):
    """Count the rows that have joined by a round and their labels, and say which share is right."""
    if number == 0:
        nothing = {"n_joined": 0, "n_sure": 0, "precision_of_sure": np.nan}
        return {**nothing, "n_given": 0, "precision_of_given": np.nan}
    sure, given = (part[f"{what}: {number}"] for what in ("sure", "given"))
    right = [matrix.multiply(hidden).sum() / matrix.nnz for matrix in (sure, given)]
    return {
        "n_joined": int((np.diff(given.indptr) > 0).sum()),
        "n_sure": sure.nnz,
        "precision_of_sure": right[0],
        "n_given": given.nnz,
        "precision_of_given": right[1],
    }
