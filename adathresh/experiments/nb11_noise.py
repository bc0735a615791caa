"""Notebook 11: what is left of each rule when labels that it is trained on are missing or wrong."""

import dataclasses
from itertools import pairwise
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.sparse as sp
from joblib import delayed

from adathresh.datasets.dataset import fingerprint
from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.claims import METRICS, best_claims, interval_claims, yes_claim
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.evaluation import interval_rows, label_frequency, rule_rows
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.plotting import COLORS
from adathresh.experiments.core.rules import (
    FIXED,
    OURS,
    Prediction,
    fitted_choice,
    our_choices,
    rival_rules,
)
from adathresh.experiments.core.sentences import listed, mean_differences, percent, with_interval
from adathresh.posthoc.targets import label_thresholds, uncovered_share
from adathresh.rules import ExpectedF1Threshold
from adathresh.utils.validation import with_pairs

BASE = "linear"
"""The base model that every rule is given."""

EXPECTED = "F*/2"
"""The rival rule that looks at probabilities alone, as ours does."""

RULES = (FIXED, "global threshold", "PCut", "SCutFBR", EXPECTED, OURS)
"""The rules that are compared: what everybody starts from, the strongest rivals of notebook 08, and ours."""

CORRECTED = ", corrected"
"""The end of the names of rules that are told which share of the true labels is left."""

OF_PROBABILITIES = (EXPECTED, OURS, EXPECTED + CORRECTED, OURS + CORRECTED)
"""Rules that stand for all probabilities there are: those of all rivals are the scores of F*/2."""

AMOUNTS = {"quick": (0.5,), "full": (0.1, 0.3, 0.5)}
"""Shares of the labels that go missing, or are moved to another label, by profile."""

CLEAN, MISSING, WRONG, ONE = "clean", "missing", "wrong", "one a row"
"""What can be done to the labels; :func:`noisy_labels` does it."""

_NAMES = {CLEAN: "clean", MISSING: "{} missing", WRONG: "{} wrong", ONE: "one label a row"}
_PANELS = {
    MISSING: "labels missing",
    WRONG: "labels moved to a wrong one",
    ONE: "all labels but one a row missing",
}
# An estimate of the share of labels left is right if it is off by no more.
_CLOSE = 0.1


class Noise(NamedTuple):
    """What is done to the labels that models and rules are fitted on."""

    kind: str
    """One of the four above."""
    amount: float
    """Share of the true labels that is lost, missing or moved, in [0, 1)."""

    @property
    def name(self):
        """What tables call it."""
        return _NAMES[self.kind].format(percent(self.amount))

    @property
    def is_missing(self):
        """Whether labels are missing and none is wrong: what the correction is for."""
        return self.kind in (MISSING, ONE)


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


def noises(config, ds):
    """List what is done to the labels of a data set, nothing first.

    Labels cannot be moved where there is one only, nor all but one of a row taken where no row has two.
    """
    Y = fitting_labels(ds)
    amounts = AMOUNTS[config.profile]
    found = [Noise(CLEAN, 0.0), *(Noise(MISSING, amount) for amount in amounts)]
    if Y.shape[1] > 1:
        found += [Noise(WRONG, amount) for amount in amounts]
    n_labelled = np.count_nonzero(np.diff(Y.indptr))
    return found + ([Noise(ONE, 1 - n_labelled / Y.nnz)] if n_labelled < Y.nnz else [])


def corrupted(ds, noise, *, seed):
    """Return a data set with noisy labels in the training and validation rows; the test rows stay clean.

    It has a fingerprint of its own, and no label knowledge: none of the rules compared here reads it.
    """
    if noise.kind == CLEAN:
        return ds
    n_train = ds.train.Y.shape[0]
    Y = noisy_labels(fitting_labels(ds), noise, np.random.default_rng(seed))
    noisy = dataclasses.replace(
        ds,
        train=dataclasses.replace(ds.train, Y=Y[:n_train]),
        validation=dataclasses.replace(ds.validation, Y=Y[n_train:]),
        label_knowledge=None,
    )
    return dataclasses.replace(noisy, fingerprint=fingerprint(noisy.splits))


def noisy_labels(Y, noise, rng):
    """Lose some of the labels Y: of equal draws, what a small amount loses a greater one loses, too."""
    if noise.kind == ONE:
        return _one_a_row(Y, rng)
    lost = np.zeros(Y.nnz, dtype=bool)
    lost[rng.permutation(Y.nnz)[: round(noise.amount * Y.nnz)]] = True
    return _moved(Y, lost, rng) if noise.kind == WRONG else with_pairs(Y, ~lost)


def _one_a_row(Y, rng):
    """Keep one label of each row that has any, each with the same chance."""
    sizes = np.diff(Y.indptr)
    labelled = np.flatnonzero(sizes)
    keep = np.zeros(Y.nnz, dtype=bool)
    keep[Y.indptr[labelled] + rng.integers(sizes[labelled])] = True
    return with_pairs(Y, keep)


def _moved(Y, lost, rng):
    """Give each row, in place of the lost labels, as many others that it has not, drawn by their frequency.

    What has the shortest of exponential waiting times, of rates in proportion to the frequencies, is a draw
    without replacement (Efraimidis and Spirakis 2006, doi 10.1016/j.ipl.2005.11.003). A row that has nearly
    all labels keeps those for which there is no other.
    """
    frequency, labels = label_frequency(Y), Y.indices.copy()
    present = np.flatnonzero(frequency)
    for start, end in pairwise(Y.indptr):
        at = start + np.flatnonzero(lost[start:end])
        if not len(at):
            continue
        waiting = rng.exponential(1 / frequency[present])
        others = present[np.argsort(waiting)]
        new = others[~np.isin(others, Y.indices[start:end])][: len(at)]
        labels[at[: len(new)]] = new
    moved = sp.csr_array((Y.data.copy(), labels, Y.indptr.copy()), shape=Y.shape)
    moved.sort_indices()
    return moved


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
    fitting, test = seen.scores
    rule, (scores, signals) = fitted_choice(noisy, our_choices((BASE,), seen)[OURS], [seen], seed=seed)
    decision = rule.decide(scores, **signals)
    rivals = rival_rules(Y)
    sets = {name: rivals[name][0].fit(fitting, Y).predict(test) for name in RULES if name != OURS}
    sets[OURS] = decision.label_sets
    if noise.is_missing:
        kept = 1 - noise.amount
        expected = ExpectedF1Threshold().fit(divided(fitting, kept))
        sets[EXPECTED + CORRECTED] = expected.predict(divided(test, kept))
        sets[OURS + CORRECTED] = _above(
            divided(decision.probabilities, kept), corrected_thresholds(rule, Y, kept)
        )
    return {
        "names": np.array(list(sets)),
        **{f"sets: {name}": predicted for name, predicted in sets.items()},
        "scores": test,
        "fused": decision.probabilities,
        "estimated: scores": np.array(estimated_share(fitting, Y)),
        "estimated: fused": np.array(estimated_share(rule.fitted_probabilities_, Y)),
    }


def _probabilities(rule, arrays, noise):
    """Return the probabilities that a rule compares with its thresholds."""
    found = arrays["fused" if rule.startswith(OURS) else "scores"]
    return divided(found, 1 - noise.amount) if rule.endswith(CORRECTED) else found


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
        {**_columns(entry.noise), **row}
        for entry in found
        for row in rule_rows(config, ds, BASE, entry.predictions, seed=entry.seed)
    ]


def compared_rows(config, ds, found):
    """Compare our rule with the rivals under each noise, over all seeds at once, and what is corrected.

    The corrected rule is compared with itself without correction, and with the corrected rival. Rows are
    those of :func:`adathresh.experiments.core.evaluation.interval_rows`.
    """
    rows = []
    for noise in dict.fromkeys(entry.noise for entry in found):
        seeds = [entry.predictions for entry in found if entry.noise == noise]
        sets = {rule: [predicted[rule].label_sets for predicted in seeds] for rule in seeds[0]}
        for ours, others in ((OURS, RULES), (OURS + CORRECTED, (OURS, EXPECTED + CORRECTED))):
            if ours in sets:
                compared = {rule: sets[rule] for rule in (ours, *others)}
                rows += interval_rows(
                    config, ds, compared, ours, random_state=config.random_state, base=BASE, **_columns(noise)
                )
    return rows


def kept_rows(found):
    """Put the share of labels that is left, where none is wrong, beside its estimates."""
    return [
        {
            **_columns(entry.noise),
            "seed": entry.seed,
            "kept": 1 - entry.noise.amount,
            **{f"estimated_from_{kind}": share for kind, share in entry.estimated.items()},
        }
        for entry in found
        if entry.noise.kind != WRONG
    ]


def _columns(noise):
    """Describe a noise in the columns of a table."""
    return {"noise": noise.name, **noise._asdict()}


def plot_noise(rows):
    """Draw macro-F1 against the share of labels lost: one panel a kind of noise, one line a rule.

    Repetitions are averaged; every line begins at the clean labels. A dashed line is the corrected rule of
    its colour.
    """
    means = pd.DataFrame(rows).groupby(["kind", "rule", "amount"], sort=False)["macro_f1"].mean()
    kinds = [kind for kind in _PANELS if kind in means.index.unique("kind")]
    figure, grid = plt.subplots(1, len(kinds), figsize=(3.3 * len(kinds), 4.0), sharey=True, squeeze=False)
    for kind, axes in zip(kinds, grid.flat, strict=True):
        for rule in (*RULES, EXPECTED + CORRECTED, OURS + CORRECTED):
            if rule not in means[kind].index:
                continue
            plain = rule.removesuffix(CORRECTED)
            line = pd.concat([means[CLEAN, plain], means[kind, rule]])
            axes.plot(
                100 * line.index,
                line,
                marker="o",
                markersize=4,
                linestyle="-" if rule == plain else "--",
                color=COLORS[RULES[::-1].index(plain)],
                label=rule,
            )
        axes.set(title=_PANELS[kind], xlabel="share of the labels, %", ylim=(0, None))
        axes.title.set_size(10.5)
    grid[0, 0].set(ylabel="macro-F1 on clean test labels")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def claims(tables):
    """Say which rule is ahead under each noise, what the correction does, and whether it can be estimated."""
    noise, kept = tables["noise"], tables["kept"]
    return [
        *best_claims(
            noise[~noise["rule"].str.endswith(CORRECTED)],
            OURS,
            of=("noise", "rule"),
            claim=f"{OURS} has the greatest macro-F1 of the rules without correction, {{}}",
        ),
        *interval_claims(tables["noise_differences"], "{metric} of {a} minus that of {b}, {noise}"),
        *_calibration_claims(noise),
        *_estimate_claims(kept),
    ]


def _calibration_claims(noise):
    """Say whether the correction makes our probabilities right."""
    ece = noise.groupby(["noise", "rule"], sort=False)["ece_all"].mean().unstack(sort=False)
    return [
        yes_claim(
            f"{METRICS['ece']} of {OURS} is less with the correction, {name}",
            bool(row[OURS + CORRECTED] < row[OURS]),
            f"{row[OURS + CORRECTED]:.5f}, without {row[OURS]:.5f}",
        )
        for name, row in ece.dropna(subset=OURS + CORRECTED).iterrows()
    ]


def _estimate_claims(kept):
    """Say whether the share of labels that is left can be estimated from fused probabilities."""
    return [
        yes_claim(
            f"The estimated share of labels left is off by at most {_CLOSE}, {name}",
            bool(abs(row["estimated_from_fused"] - row["kept"]) <= _CLOSE),
            f"{row['estimated_from_fused']:.3f}, true {row['kept']:.3f}",
        )
        for name, row in kept.groupby("noise", sort=False).mean(numeric_only=True).iterrows()
    ]


def finding(tables):
    """Answer the notebook's question from its tables, for the greatest amount of each kind of noise."""
    noise = tables["noise"]
    of_kinds = noise[noise["kind"] != CLEAN].groupby("kind", sort=False)
    names = [rows.loc[rows["amount"].idxmax(), "noise"] for _, rows in of_kinds]
    macro = noise.groupby(["rule", "noise"], sort=False)["macro_f1"].mean()
    ours, fixed = (
        [percent(macro[rule, name] / macro[rule, CLEAN]) for name in names] for rule in (OURS, FIXED)
    )
    found = mean_differences(tables["noise_differences"].query("metric == 'macro_f1'"), ["noise", "a", "b"])
    against = []
    for name in names:
        of_ours = found.loc[name, OURS]
        closest = of_ours["difference"].idxmin()
        against.append(f"{with_interval(of_ours.loc[closest], named=not against)} against `{closest}`")
    gains = found.xs((OURS + CORRECTED, OURS), level=("a", "b"))
    corrected = [
        f"{with_interval(gains.loc[name])} with {_in_words(name)}" for name in names if name in gains.index
    ]
    kept = [f"{share} with {_in_words(name)}" for share, name in zip(ours, names, strict=True)]
    return (
        f"Of its macro-F1 on clean labels `{OURS}` keeps {listed(kept)}; `{FIXED}` keeps {listed(fixed)}. "
        f"The macro-F1 of `{OURS}` minus that of the best rival rule is then {listed(against)}. To divide "
        "its probabilities by the share of the labels that is left, where that is known, changes its "
        f"macro-F1 by {listed(corrected)}."
    )


def _in_words(name):
    """Word a noise for a sentence."""
    return name.replace(" %", " % of the labels")
