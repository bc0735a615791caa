"""Notebook 09: one change at a time to our rule, on the scores of one base model."""

import warnings
from copy import copy

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.decomposition import TruncatedSVD

from adathresh.experiments.core.base_models import make_base_model, rows_of
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.claims import ABOVE, BELOW, LEVEL, interval_claims, outcome_of
from adathresh.experiments.core.crossfit import crossfit_all, crossfitted
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.evaluation import (
    BINS,
    interval_rows,
    label_frequency,
    on_every_base,
    rule_rows,
)
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.other_signals import neighbor_spaces
from adathresh.experiments.core.plotting import plot_bars_by_bin
from adathresh.experiments.core.rules import (
    OURS,
    WITH_TEXTS,
    Prediction,
    choice_prediction,
    fitted_choice,
    our_choices,
)
from adathresh.experiments.core.sentences import (
    effects_of_others,
    listed,
    mean_differences,
    signed,
    with_interval,
)
from adathresh.metrics import bins_of, paired_bootstrap
from adathresh.posthoc import AdaptiveThreshold
from adathresh.posthoc.crossfit import base_scores
from adathresh.posthoc.fusion import LabelEffects
from adathresh.posthoc.threshold import InSampleScoresWarning
from adathresh.rules import GlobalThreshold
from adathresh.signals.knn import NeighborLabels
from adathresh.utils.validation import are_among, row_major_positions

BASE = "linear"
"""The base model whose scores the rule is given."""

NO_RARITY, IN_SAMPLE = "adaptive, no rarity", "adaptive, in-sample scores"
ANY_FOLD, ONE_THRESHOLD = "adaptive, neighbours of any fold", "adaptive, one threshold"
NO_CORRECTION, NOT_SHRUNK = "adaptive, no correction", "adaptive, correction not shrunk"
BOOSTED = "adaptive, boosted"

PARTS = {
    IN_SAMPLE: "cross-fitting",
    NO_RARITY: "the rarity signal (IDF)",
    "adaptive, no neighbours": "the neighbour signal (KNN)",
    ANY_FOLD: "taking neighbours from the other folds alone",
    NO_CORRECTION: "each label's correction",
    NOT_SHRUNK: "the shrinkage of each label's correction",
    ONE_THRESHOLD: "a threshold for each label",
}
"""The changes that take a part of the rule away, and what it is."""

SEARCHES = {
    ANY_FOLD: {"any_fold": True},
    "adaptive, 5 neighbours": {"n_neighbors": 5},
    "adaptive, 100 neighbours": {"n_neighbors": 100},
    "adaptive, sharper neighbour weights": {"temperature": 0.03},
    "adaptive, flatter neighbour weights": {"temperature": 0.3},
    "adaptive, approximate neighbours": {"search": "approximate"},
    "adaptive, neighbours in 100 dimensions": {"n_dimensions": 100},
}
"""Other searches for neighbours; the rule's own takes 30 of the other folds, by all features, at 0.1."""

OTHER_BASE, NEIGHBORS = "adaptive, neighbours as base model", "neighbours"
"""The change of the base model, and the model that takes the place of :data:`BASE`."""

SETTINGS = ("adaptive, linear", BOOSTED, OTHER_BASE, *(name for name in SEARCHES if name not in PARTS))
"""The changes that take no part away: one fusion instead of the mean of two, another base model, searches."""

CORRECTIONS = {NO_CORRECTION: 0.0, NOT_SHRUNK: 1e6}
"""What a pair weighs in the correction of its label, against the prior that shrinks it; in the rule 1."""

AFTER_FUSION = "after the fusion"
"""The changes of what follows the fusion, which share one."""

REFITS = (IN_SAMPLE, NO_RARITY, OTHER_BASE, *SEARCHES, AFTER_FUSION)
"""What needs a fit that no choice of signals makes."""

_PROBABILITIES = ": probabilities"


def ablation_predictions(config, ds):
    """Predict the test rows by our rule and with each change to it: by name, one prediction a seed.

    Left out is what makes no sense on a data set: label texts where there are none, fewer dimensions where
    there are no more.
    """
    crossfit_all(config, ds, [BASE, NEIGHBORS])
    choices = _choices(crossfitted(config, ds, BASE, seed=config.random_state))
    n_features = ds.train.X.shape[1]
    refits = [change for change in REFITS if SEARCHES.get(change, {}).get("n_dimensions", 0) < n_features]
    found = {}
    for predictions in on_every_base(_predictions, config, ds, [*choices, *refits]):
        for name, prediction in predictions.items():
            found.setdefault(name, []).append(prediction)
    return {name: found[name] for name in (OURS, *PARTS, *SETTINGS, WITH_TEXTS) if name in found}


def ablation_rows(config, ds, found):
    """Evaluate what :func:`ablation_predictions` returns: one row a change and seed, with every metric."""
    return [
        row
        for name, predictions in found.items()
        for seed, prediction in zip(config.seed_list, predictions, strict=True)
        for row in rule_rows(config, ds, BASE, {name: prediction}, seed=seed)
    ]


def ablation_differences(config, ds, found):
    """Compare our rule with each change to it, over all seeds at once.

    Rows are those of :func:`adathresh.experiments.core.evaluation.interval_rows`, then the same for macro-F1
    in every bin of training frequency that has labels.
    """
    label_sets = {name: [each.label_sets for each in predictions] for name, predictions in found.items()}
    options = {
        "n_draws": config.numbers.n_bootstrap,
        "random_state": config.random_state,
        "groups": ds.test.groups,
    }
    rows = interval_rows(config, ds, label_sets, OURS, random_state=config.random_state, base=BASE)
    bins = bins_of(label_frequency(fitting_labels(ds)))
    for number in np.unique(bins):
        of_bin = {
            name: [sets[:, bins == number] for sets in repetitions]
            for name, repetitions in label_sets.items()
        }
        intervals = paired_bootstrap(ds.test.Y[:, bins == number], of_bin.pop(OURS), of_bin, **options)
        named = {"base": BASE, "a": OURS, "metric": list(BINS.values())[number]}
        rows += [{**named, "b": name, **interval} for name, interval in intervals.items()]
    return rows


def by_bin(differences):
    """Show the differences in macro-F1, of all labels and of those in each bin: one row a change.

    A star marks a difference whose interval leaves 0 out.
    """
    means = mean_differences(pd.DataFrame(differences).query("metric != 'micro_f1'"), ["b", "metric"])
    texts = [
        signed(row["difference"]) + ("" if outcome_of(row) == LEVEL else " *") for _, row in means.iterrows()
    ]
    table = pd.Series(texts, means.index).unstack(sort=False)
    return table.rename(index=_short).rename_axis("change")


def plot_by_bin(differences):
    """Draw what each part adds to macro-F1 in each bin of training frequency, with its interval."""
    means = mean_differences(pd.DataFrame(differences), ["b", "metric"])
    bins = {name: metric for name, metric in BINS.items() if metric in means.index.unique("metric")}
    parts = {_short(name): means.loc[name].loc[list(bins.values())] for name in PARTS}
    return plot_bars_by_bin(
        {name: rows["difference"] for name, rows in parts.items()},
        bins=list(bins),
        ylabel="macro-F1 lost by the change",
        intervals={name: (rows["low"], rows["high"]) for name, rows in parts.items()},
    )


def claims(tables):
    """Say which changes make the rule worse, and which better."""
    of_all_labels = tables["rule_ablation_differences"].query("metric in ('macro_f1', 'micro_f1')")
    return interval_claims(of_all_labels, "{metric} of '{a}' minus that of '{b}'")


def finding(tables):
    """Answer the notebook's question from its tables: which part adds most, and what the others do."""
    found = mean_differences(tables["rule_ablation_differences"], ["metric", "b"])
    in_macro, in_micro = found.loc["macro_f1"], found.loc["micro_f1"]
    parts = in_macro.loc[list(PARTS)].rename(index=PARTS)
    settings = in_macro[in_macro.index.isin(SETTINGS)]
    others = parts.drop(index=parts["difference"].idxmax())
    of_micro = in_micro.loc[list(PARTS)].rename(index=PARTS)
    return (
        f"{_most(parts)} {effects_of_others(others)} Micro-F1 is clearly greater with "
        f"{_named(of_micro, ABOVE)}, clearly smaller with {_named(of_micro, BELOW)}. Of "
        f"{len(settings)} other settings of base model, fusion and neighbours, macro-F1 is clearly greater "
        f"with {_named(settings, BELOW)}, clearly smaller with {_named(settings, ABOVE)}"
        f"{_with_label_texts(in_macro, in_micro)}."
    )


def _with_label_texts(in_macro, in_micro):
    """Say what label texts add, where there are any: they are no part of the rule, nor a setting of it."""
    if WITH_TEXTS not in in_macro.index:
        return ""
    macro, micro = (with_interval(_turned(found.loc[WITH_TEXTS])) for found in (in_macro, in_micro))
    return f"; label texts, where they are added, change it by {macro} and micro-F1 by {micro}"


def _turned(row):
    """Turn a difference round: the other minus the one."""
    return {"difference": 0 - row["difference"], "low": 0 - row["high"], "high": 0 - row["low"]}


def _most(parts):
    """Say which part adds most."""
    part = parts["difference"].idxmax()
    figures = with_interval(parts.loc[part], named=True)
    if outcome_of(parts.loc[part]) == ABOVE:
        return (
            f"Of the parts of `{OURS}` on the {BASE} model's scores, {part} adds most macro-F1: {figures} "
            "against the rule without it."
        )
    return (
        f"No part of `{OURS}` can be shown to add macro-F1 on the {BASE} model's scores; {part} comes "
        f"closest, with {figures}."
    )


def _named(found, outcome):
    """Name the rows of some differences that have an outcome."""
    names = [_short(name) for name, row in found.iterrows() if outcome_of(row) == outcome]
    return listed(names) if names else "none"


def _short(name):
    """Leave out of a change's name what it is a change to."""
    return name.removeprefix(f"{OURS}, ")


def _predictions(config, ds, change, *, seed):
    """Predict the test rows with one change to our rule, or with all that share its fusion."""
    choices = _choices(crossfitted(config, ds, BASE, seed=seed))
    if change in choices:
        return {change: choice_prediction(config, ds, choices[change], seed=seed)}
    return _refitted_predictions(config, ds, change, seed=seed)


def _refitted_predictions(config, ds, change, *, seed):
    """Predict the test rows with a change that the rule is fitted anew for, once."""

    def compute():
        return _refitted(config, ds, crossfitted(config, ds, BASE, seed=seed), change, seed=seed)

    key = {"what": "rule ablation", "change": change, "data": ds.fingerprint, "rows": rows_key(ds)}
    key |= {"model": repr(make_base_model(config, ds, BASE, seed=seed)), "seed": seed}
    arrays = cached_arrays(key, compute)
    names = [name for name in arrays if not name.endswith(_PROBABILITIES)]
    return {name: Prediction(arrays[name], arrays[name + _PROBABILITIES]) for name in names}


def _choices(seen):
    """Say what our rule fuses where a change is one of what it fuses, or how."""
    choices = our_choices((BASE,), seen)
    return {**choices, BOOSTED: choices[OURS]._replace(fusion="boosted")}


def _refitted(config, ds, seen, change, *, seed):
    """Fit our rule with one change and return label sets and probabilities of the test rows by name."""
    changed = _changed(config, ds, seen, change, seed=seed)
    if change == NO_RARITY:
        rule, at_test = _fitted_without_rarity(ds, changed, seed=seed)
    else:
        with warnings.catch_warnings():
            if change == IN_SAMPLE:
                warnings.simplefilter("ignore", InSampleScoresWarning)  # which is right
            rule, at_test = fitted_choice(ds, our_choices((BASE,), seen)[OURS], [changed], seed=seed)
    return _after_fusion(ds, rule, at_test) if change == AFTER_FUSION else _decided(change, rule, at_test)


def _decided(name, rule, at_test):
    """Return what a fitted rule says of the test rows, by a name."""
    scores, signals = at_test
    decision = rule.decide(scores, **signals)
    return {name: decision.label_sets, name + _PROBABILITIES: decision.probabilities}


def _changed(config, ds, seen, change, *, seed):
    """Return what the rule sees after a change, which may leave it as it is."""
    if change == IN_SAMPLE:
        return seen._replace(scores=(_in_sample_scores(config, ds, seed=seed), seen.scores[1]))
    if change == OTHER_BASE:
        return seen._replace(scores=crossfitted(config, ds, NEIGHBORS, seed=seed).scores)
    return seen._replace(local=_shares(ds, seed=seed, **SEARCHES[change])) if change in SEARCHES else seen


def _in_sample_scores(config, ds, *, seed):
    """Score the fitting rows by the model that was fitted on all of them, which scores the test rows."""
    rows = fitting_rows(ds, seed=seed).rows
    model = make_base_model(config, ds, BASE, seed=seed).fit(rows_of(BASE, rows), rows.Y)
    return sp.csr_array(base_scores(model, rows_of(BASE, rows), n_labels=rows.Y.shape[1]))


def _shares(ds, *, seed, any_fold=False, n_dimensions=None, **search):
    """Return neighbour shares of fitting and of test rows by name, as the rule has them but for a change.

    ``any_fold``: a fitting row's neighbours may come from its own fold, though not from its own group.
    ``n_dimensions``: rows are compared after a truncated singular value decomposition. ``search`` holds
    parameters of :class:`adathresh.NeighborLabels`.
    """
    rows, folds = fitting_rows(ds, seed=seed)
    of_fitting, of_test = {}, {}
    for name, (fitting, test) in neighbor_spaces(ds, rows).items():
        if n_dimensions is not None:
            svd = TruncatedSVD(min(n_dimensions, fitting.shape[1]), random_state=seed)
            fitting, test = svd.fit_transform(fitting), svd.transform(test)
        knn = NeighborLabels(**search)
        of_fitting[name] = knn.fit_transform(fitting, rows.Y, groups=rows.groups if any_fold else folds)
        of_test[name] = knn.transform(test)
    return of_fitting, of_test


def _fitted_without_rarity(ds, seen, *, seed):
    """Fit our rule as if the base model had seen all labels equally often that it has seen at all.

    Returned is what :func:`adathresh.experiments.core.rules.fitted_choice` returns.
    """
    Y = fitting_labels(ds)
    equally_often = sp.csr_array((label_frequency(Y) > 0).astype(np.float32)[None])
    fitting, test = ({"local": list(shares.values())} for shares in seen.local)
    rule = AdaptiveThreshold(evaluation_rows=ds.test.Y.shape[0], random_state=seed)
    return rule.fit(seen.scores[0], Y, Y_train=equally_often, **fitting), (seen.scores[1], test)


def _after_fusion(ds, rule, at_test):
    """Change what follows the fusion of a fitted rule; return what each change says of the test rows."""
    scores, signals = at_test
    Y, probabilities = fitting_labels(ds), rule.predict_proba(scores, **signals)
    one_threshold = GlobalThreshold("macro_f1").fit(rule.fitted_probabilities_, Y)
    found = {
        ONE_THRESHOLD: one_threshold.predict(probabilities),
        ONE_THRESHOLD + _PROBABILITIES: probabilities,
    }
    for name, weight in CORRECTIONS.items():
        found |= _decided(name, _corrected(rule, Y, weight), at_test)
    return found


def _corrected(rule, Y, weight):
    """Correct the labels of a fitted rule anew, with another weight of the pairs, and choose thresholds."""
    fitted, other = rule.fitted_probabilities_, copy(rule)
    logits = rule.effects_.undo(logit(fitted.data), fitted.indices)
    truth = are_among(row_major_positions(fitted), row_major_positions(Y))
    other.effects_ = LabelEffects().fit(logits, fitted.indices, truth, Y.shape[1], sample_weight=weight)
    corrected = expit(other.effects_.apply(logits, fitted.indices))
    other.fitted_probabilities_ = sp.csr_array((corrected, fitted.indices, fitted.indptr), shape=fitted.shape)
    return other.retarget(rule.target)
