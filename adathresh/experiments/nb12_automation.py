"""Notebook 12: how much of the labelling can be left to the rule at a promised precision."""

import warnings
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import binom

from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.claims import interval_claims, yes_claim
from adathresh.experiments.core.crossfit import crossfit_all, crossfitted, parts_of_together
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.evaluation import on_every_base, rule_rows
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.experiments.core.plotting import COLORS, MARKERS
from adathresh.experiments.core.rules import (
    FIXED,
    OURS,
    WITH_TEXTS,
    Prediction,
    all_predictions,
    fitted_choice,
    our_choices,
)
from adathresh.experiments.core.sentences import mean_differences, percent, with_interval
from adathresh.metrics import coverage
from adathresh.posthoc import AdaptiveThreshold
from adathresh.posthoc.guarantee import HeldRows, guaranteed_threshold
from adathresh.posthoc.threshold import NoGuaranteeWarning
from adathresh.signals.knn import group_codes
from adathresh.utils.validation import are_among, row_major_positions, with_pairs

PRECISIONS = (0.8, 0.9, 0.95)
"""The precisions at which rankings are compared."""

PROMISED = (0.5, 0.7, *PRECISIONS)
"""The precisions that are promised: lower ones, too, which can also be guaranteed on hard data."""

CONFIDENCE = 0.9
"""How probable it is at least that a guaranteed precision is reached."""

RULES = (
    FIXED,
    "global threshold",
    "global threshold, micro",
    "RCut",
    "PCut",
    "SCut",
    "F*/2",
    "isotonic + F*/2",
    "Platt per label + F*/2",
    OURS,
    WITH_TEXTS,
)
"""Rules of notebook 08 whose most probable predictions are accepted first."""

BY_MARGIN = "adaptive, by margin"
"""The predictions of ``adaptive``, those first that exceed their thresholds most."""

EXPECTED, OBSERVED, GUARANTEED = WAYS = ("expected", "observed", "guaranteed")
"""Ways to choose the lowest threshold with a precision.

What the fused probabilities let expect; what the rows show that the threshold is chosen from; what rows that
the fusion has not seen prove with a confidence.
"""

REDRAWS = {"quick": 200, "full": 1_000}
"""How often rows are drawn anew in each profile, with each seed."""

NOTHING = "nothing accepted"
"""The outcome where a way gives no threshold, or one that no test row exceeds."""

# Where each redraw falls short with 1 − confidence, no more do than this quantile of the binomial allows.
_CHANCE = 0.999
# Redraws leave out pairs that are too improbable for any promise: those beyond the point where the expected
# precision falls below this share of the least one.
_FAR_BELOW = 0.5
# Resamples at once; bounds the working memory.
_DRAWS_AT_ONCE = 64


class OneSeed(NamedTuple):
    """What is found with one seed."""

    predictions: dict
    """Predictions of the test rows by rule, with what ranks them."""
    promises: list
    """What each way accepts of the test rows: one row a way and precision."""
    redraws: list
    """What its thresholds reach over redraws: one row a way and precision."""


class Pool(NamedTuple):
    """Rows that the fusion has not seen, as a population to draw rows from."""

    probabilities: sp.csr_array
    """Fused probabilities of the pairs that may be accepted."""
    truth: np.ndarray
    """Whether each of these pairs is true."""
    units: np.ndarray
    """Number of each row's independent unit: the row itself, or its group."""
    n_true: np.ndarray
    """Number of each row's true labels."""


def automation(config, ds):
    """Rank, promise and redraw with every seed, on the scores of notebook 08's first base model."""
    base = parts_of_together(config, ds)[0]
    crossfit_all(config, ds, [base])
    return on_every_base(_one_seed, config, ds, [base])


def coverage_rows(config, ds, found):
    """Measure how much of each rule's predictions could be accepted: one row a rule and seed."""
    base, rows = parts_of_together(config, ds)[0], []
    for seed, one in zip(config.seed_list, found, strict=True):
        rows += rule_rows(config, ds, base, one.predictions, seed=seed, metrics=_coverage)
    return rows


def coverage_differences(config, ds, found):
    """Compare the share of true labels that can be left to ``adaptive`` with that of every other rule.

    One row a rule and precision: the difference, mean over seeds, with its 95 % interval. Each draw of the
    bootstrap resamples test rows (groups as wholes) and seeds, and ranks what it has anew; the interval is
    that of the percentiles.
    """
    rankings = {
        rule: [_Ranking(ds.test.Y, one.predictions[rule]) for one in found] for rule in found[0].predictions
    }
    themselves = np.ones((1, ds.test.Y.shape[0]), dtype=int)
    draws = [themselves, *resamples(ds.test, config.numbers.n_bootstrap, random_state=config.random_state)]
    shares = {
        rule: np.stack([np.concatenate([each.labels_left(times) for times in draws]) for each in of_seeds])
        for rule, of_seeds in rankings.items()
    }
    rng, n_seeds = np.random.default_rng(config.random_state), len(found)
    weight = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), config.numbers.n_bootstrap) / n_seeds
    rows = []
    for rule in [rule for rule in shares if rule != OURS]:
        of_rows, of_draws = np.split(shares[OURS] - shares[rule], [1], axis=1)
        low, high = np.quantile(np.einsum("sdp,ds->dp", of_draws, weight), [0.025, 0.975], axis=0)
        for at, precision in enumerate(PRECISIONS):
            interval = {"difference": of_rows[:, 0, at].mean(), "low": low[at], "high": high[at]}
            base = parts_of_together(config, ds)[0]
            rows.append({"base": base, "a": OURS, "b": rule, "precision": precision, **interval})
    return rows


def resamples(rows, n_draws, *, random_state):
    """Return how often each row occurs in each resample, some resamples at a time; groups stay together."""
    units, rng = _units(rows), np.random.default_rng(random_state)
    n_units, times = units.max() + 1, []
    for start in range(0, n_draws, _DRAWS_AT_ONCE):
        drawn = rng.integers(n_units, size=(min(_DRAWS_AT_ONCE, n_draws - start), n_units))
        counts = [np.bincount(each, minlength=n_units)[units] for each in drawn]
        times.append(np.array(counts, dtype=np.int16))
    return times


def promise_rows(config, ds, base, accepted, *, seed):
    """Measure on the test rows what each way accepts: one row a way and precision.

    In "precision" each group counts as one row, by the mean over its rows, as a guarantee has it;
    "pooled_precision" is that of all accepted labels alike.
    """
    units, Y, rows = _units(ds.test), ds.test.Y, []
    share = 1 / np.bincount(units)[units]
    for (way, promised), label_sets in accepted.items():
        of_row, right = np.diff(label_sets.indptr), label_sets.multiply(Y).sum(axis=1)
        row = {**_identity(config, ds, base, seed), "way": way, "promised": promised}
        row |= {"n_accepted": label_sets.nnz, "labels": _ratio(right.sum(), Y.nnz)}
        row |= {"precision": _ratio(right @ share, of_row @ share)}
        rows.append({**row, "pooled_precision": _ratio(right.sum(), of_row.sum())})
    return rows


def redraw_rows(pool, fitted, n_redraws, *, random_state):
    """Choose thresholds from rows drawn anew and measure them on the whole pool: one row a way and precision.

    A redraw takes as many units as the pool has, with replacement, each with all its rows. The pool is the
    population that they come from, so that a threshold's precision is known, not measured on one more draw.
    Each unit counts as one row, by the mean over its rows. Where no threshold is given, nothing falls short.
    "precision" is the mean of those that are given; "sure_precision" is what no more than a share of 1 −
    confidence of all redraws falls short of.
    """
    rng, n_units = np.random.default_rng(random_state), pool.units.max() + 1
    population, reached = _Population(pool), {(way, p): [] for p in PROMISED for way in WAYS}
    for _ in range(n_redraws):
        held, weight = population.draw(rng.integers(n_units, size=n_units))
        p = held.probabilities.data
        for promised in PROMISED:
            tested = guaranteed_threshold(fitted, held, precision=promised, confidence=CONFIDENCE)
            chosen = {
                EXPECTED: (lowest_threshold(p, p, weight, promised), np.inf),
                OBSERVED: (lowest_threshold(p, held.truth, weight, promised), np.inf),
                GUARANTEED: (tested.threshold, tested.row_limit),
            }
            for way, threshold_and_limit in chosen.items():
                reached[way, promised].append(population.reached(*threshold_and_limit))
    rows = []
    for (way, promised), found in reached.items():
        precision, labels = np.array(found).T
        given = np.isfinite(precision)
        row = {"way": way, "promised": promised, "n_redraws": n_redraws, "n_given": given.sum()}
        row |= {"fell_short": (precision < promised).sum(), "labels": labels.mean()}
        row |= {"precision": precision[given].mean() if given.any() else np.nan}
        sure = np.sort(np.where(given, precision, np.inf))[int((1 - CONFIDENCE) * n_redraws)]
        rows.append({**row, "sure_precision": sure if np.isfinite(sure) else np.nan})
    return rows


def lowest_threshold(p, right, weight, precision):
    """Return the lowest threshold that leaves pairs of which the wanted share is right; inf if none does.

    ``right`` says which pairs are, or how probable it is.
    """
    order = np.argsort(-p, kind="stable")
    p, gain = p[order], np.cumsum((weight * (right - precision))[order])
    following = np.r_[p[1:], p[-1:] * (1 - 1e-9)]  # no lower than what has been seen
    last = np.flatnonzero((gain >= -1e-9) & (following < p))  # equal probabilities are not parted
    return (p[last[-1]] + following[last[-1]]) / 2 if len(last) else np.inf


def plot_promises(redraws, promises):
    """Draw reached precision and accepted share over the promised precision, one colour a way.

    Filled marks are of redraws, means over the seeds; hollow ones of test rows.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.2))
    of_redraws, of_test = (
        table.groupby(["way", "promised"]).mean(numeric_only=True) for table in (redraws, promises)
    )
    left.plot(PROMISED, PROMISED, "--", color="0.4", linewidth=1.2, label="as promised")
    for shift, way, color, marker in zip((-0.008, 0, 0.008), WAYS, COLORS, MARKERS, strict=False):
        drawn, test = of_redraws.loc[way], of_test.loc[way]
        x = drawn.index + shift  # so that equal marks do not hide each other
        for axes, of_drawn, of_tested in ((left, "sure_precision", "precision"), (right, "labels", "labels")):
            axes.plot(x, drawn[of_drawn], marker + "-", color=color, label=way, linewidth=1)
            axes.plot(x, test[of_tested], marker, color=color, markerfacecolor="white")
    left.plot([], [], "o", color="0.4", markerfacecolor="white", label="test rows")
    left.set(ylabel="precision that nine of ten redraws reach")
    right.set(ylabel="accepted share of the true labels", ylim=(0, None))
    for axes in (left, right):
        axes.set(xlabel="promised precision", xticks=PROMISED)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def claims(tables):
    """Say what is left to ``adaptive`` more than to others, and which promises are kept."""
    found = interval_claims(
        tables["coverage_differences"],
        "Share of the labels that can be left to {a} minus that to {b}, at a precision of {precision}",
    )
    of_test = tables["promises"].groupby(["promised", "way"], sort=False)
    for (promised, way), reached in of_test["precision"].mean().items():
        claim = f"The test rows reach the promised precision of {promised}, {way}"
        if np.isnan(reached):
            found.append({"claim": claim, "outcome": NOTHING, "figures": NOTHING})
        else:
            found.append(yes_claim(claim, bool(reached >= promised), f"{reached:.4f}"))
    of_redraws = tables["redraws"].groupby(["promised", "way"], sort=False)
    for (promised, way), row in of_redraws[["n_redraws", "fell_short"]].sum().iterrows():
        most = binom.ppf(_CHANCE, row["n_redraws"], 1 - CONFIDENCE)
        claim = f"No more than a tenth of the redraws falls short of the promised {promised}, {way}"
        figures = "{fell_short} of {n_redraws}".format(**row)
        found.append(yes_claim(claim, bool(row["fell_short"] <= most), figures))
    return found


def finding(tables):
    """Answer the notebook's question from its tables."""
    middle, coverages = PRECISIONS[1], tables["coverage"]
    share = coverages[coverages["rule"] == OURS][shares_at("labels", middle)].mean()
    return (
        f"With hindsight, ranked by the probabilities of `{OURS}`, {percent(share, digits=1)} of the true "
        f"labels of the test rows could be accepted at a precision of {middle}; "
        f"{_to_closest_rival(tables['coverage_differences'], middle)}. {_of_whole_rows(coverages, middle)} "
        f"{_what_is_guaranteed(tables['promises'])} {_how_often_short(tables['redraws'])}"
    )


def shares_at(what, precision):
    """Name the column of the shares of rows or labels that can be accepted at a precision."""
    return f"{what}_at_precision_{precision}".replace(".", "_")


def _to_closest_rival(differences, precision):
    """Compare with the rival rule whose interval reaches lowest: no other is as hard to beat for sure."""
    found = mean_differences(differences[differences["precision"] == precision], "b")
    rivals = found[[not rule.startswith(OURS) for rule in found.index]]
    rival = rivals["low"].idxmin()
    return (
        f"minus the share of `{rival}`, the rival rule whose interval reaches lowest, that is "
        f"{with_interval(rivals.loc[rival], named=True)}"
    )


def _of_whole_rows(coverages, precision):
    """Say which rule most whole rows could be left to."""
    shares = coverages.groupby("rule", sort=False)[shares_at("rows", precision)].mean()
    rivals = shares[[not rule.startswith(OURS) for rule in shares.index]]
    order = [OURS, rivals.idxmax()]
    best, other = order if shares[OURS] > rivals.max() else order[::-1]
    return (
        "Counted in whole rows, all of whose predicted labels must be right, most could be left to "
        f"`{best}`, {percent(shares[best], digits=1)}; to `{other}` {percent(shares[other], digits=1)}."
    )


def _what_is_guaranteed(promises):
    """Say which precision the rows of every seed guarantee, or of some, and what is accepted then."""
    of_way = promises[promises["way"] == GUARANTEED]
    given = of_way.groupby("promised")["n_accepted"].agg(lambda counts: (counts > 0).sum())
    n_seeds = of_way.groupby("promised").size().max()
    always, ever = given[given == n_seeds], given[given > 0]
    rows = "these rows" if n_seeds == 1 else f"the rows of each of {n_seeds} seeds"
    more = ""
    if len(ever) > len(always):
        more = f" (those of {given[ever.index[-1]]} of {n_seeds} guarantee {ever.index[-1]})"
    start = f"With a confidence of {CONFIDENCE} {rows} guarantee"
    if always.empty:
        return f"{start} none of the promised precisions{more}."
    found = of_way[of_way["promised"] == always.index[-1]]
    lowest = "" if n_seeds == 1 else f", the lowest {found['precision'].min():.3f}"
    return (
        f"{start} a precision of up to {always.index[-1]}{more}: "
        f"{percent(found['labels'].mean(), digits=1)} of the labels are accepted then, with a precision of "
        f"{found['precision'].mean():.3f}{lowest}."
    )


def _how_often_short(redraws):
    """Say how often thresholds fall short of what they promise."""
    counts = redraws.groupby(["way", "promised"])[["fell_short", "n_redraws"]].sum()
    most = (counts["fell_short"] / counts["n_redraws"]).groupby("way").max()
    allowed, n_redraws = percent(1 - CONFIDENCE, digits=1), counts["n_redraws"].max()
    guaranteed, observed, expected = (
        percent(most[way], digits=1) for way in (GUARANTEED, OBSERVED, EXPECTED)
    )
    return (
        f"Of {n_redraws:,} redraws at most {guaranteed} give a guaranteed threshold that falls short of its "
        f"promise ({allowed} are allowed), up to {observed} where the drawn rows show the precision, up to "
        f"{expected} where the probabilities let it be expected."
    )


def _coverage(ds, prediction):
    """Return the shares that could be accepted of a prediction of the test rows."""
    options = {"Y_pred": prediction.label_sets, "precisions": PRECISIONS}
    return coverage(ds.test.Y, prediction.probabilities, **options)


class _Ranking:
    """Predicted pairs of the test rows, the most confident first."""

    def __init__(self, Y, prediction):
        predicted, scores = (sp.csr_array(part) for part in (prediction.label_sets, prediction.probabilities))
        positions, scored = row_major_positions(predicted), row_major_positions(scores)
        place = np.searchsorted(scored, positions)
        has_one = np.r_[scored, -1][place] == positions
        confidence = np.where(has_one, np.r_[scores.data, 0][place], -np.inf)
        order = np.argsort(-confidence, kind="stable")
        self.closes_tie = np.r_[confidence[order][1:] != confidence[order][:-1], True][: len(order)]
        self.right = are_among(positions, row_major_positions(Y))[order]
        self.rows, self.n_true = _rows_of_pairs(predicted)[order], np.diff(Y.indptr)

    def labels_left(self, times):
        """Return the share of true labels at each precision, where rows occur so many times.

        Of shape (n_draws, n_precisions); of rows that occur once it is what ``metrics.coverage`` returns.
        """
        weight = times[:, self.rows]
        n_right, n_accepted = np.cumsum(weight * self.right, axis=1), np.cumsum(weight, axis=1)
        most = [
            np.where(self.closes_tie & (n_right >= p * n_accepted), n_right, 0).max(axis=1, initial=0)
            for p in PRECISIONS
        ]
        return np.array(most).T / np.maximum(times @ self.n_true, 1)[:, None]


class _Population:
    """A pool to draw rows from, and to measure thresholds on."""

    def __init__(self, pool):
        self.pool, matrix = pool, pool.probabilities
        order, sizes = np.argsort(pool.units, kind="stable"), np.bincount(pool.units)
        self.rows_of_unit = np.split(order, np.cumsum(sizes)[:-1])
        self.places = sp.csr_array((np.arange(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
        rows, share = _rows_of_pairs(matrix), 1 / sizes[pool.units]
        as_probable = pd.Series(matrix.data).groupby(rows).rank(method="max", ascending=False)
        self.rank, self.weight, self.n_true = as_probable.to_numpy(), share[rows], pool.n_true @ share

    def draw(self, units):
        """Return the rows of drawn units, each draw a unit of its own, and the weights of their pairs."""
        rows = [self.rows_of_unit[unit] for unit in units]
        sizes = [len(of_unit) for of_unit in rows]
        pairs = self.places[np.concatenate(rows)]
        p = self.pool.probabilities.data[pairs.data]
        probabilities = sp.csr_array((p, pairs.indices, pairs.indptr), shape=pairs.shape)
        held = HeldRows(probabilities, self.pool.truth[pairs.data], np.repeat(np.arange(len(units)), sizes))
        return held, self.weight[pairs.data]

    def reached(self, threshold, row_limit):
        """Return precision, NaN where nothing is accepted, and the accepted share of the true labels."""
        accepted = (self.pool.probabilities.data > threshold) & (self.rank <= row_limit)
        right = self.weight[accepted] @ self.pool.truth[accepted]
        return _ratio(right, self.weight[accepted].sum()), right / self.n_true


def _one_seed(config, ds, base, *, seed):
    """Rank, promise and redraw with one seed."""
    every, arrays = all_predictions(config, ds, base, seed=seed), _decided(config, ds, base, seed=seed)
    predictions = {rule: every[rule] for rule in RULES if rule in every}
    predictions[BY_MARGIN] = Prediction(every[OURS].label_sets, arrays["margins"])
    accepted = {(way, p): arrays[f"{way}: {p}"] for p in PROMISED for way in WAYS}
    pool = Pool(*(arrays[f"pool: {field}"] for field in Pool._fields))
    redraws = redraw_rows(pool, arrays["fitted"], REDRAWS[config.profile], random_state=seed)
    return OneSeed(
        predictions,
        promise_rows(config, ds, base, accepted, seed=seed),
        [{**_identity(config, ds, base, seed), **row} for row in redraws],
    )


def _decided(config, ds, base, *, seed):
    """Return margins and accepted labels of the test rows, and the pool to redraw from; computed once."""
    key = {"what": "automation", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"model": repr(make_base_model(config, ds, base, seed=seed))}
    return cached_arrays(key, lambda: _decide(config, ds, base, seed=seed))


def _decide(config, ds, base, *, seed):
    """Return what :func:`_decided` keeps."""
    seen, (rows, folds) = crossfitted(config, ds, base, seed=seed), fitting_rows(ds, seed=seed)
    rule, (scores, signals) = fitted_choice(ds, our_choices((base,), seen)[OURS], [seen], seed=seed)
    fitting, local = seen.scores[0], list(seen.local[0].values())
    found = {"margins": rule.margins(scores, **signals)} | _pooled(rows, folds, fitting, local, seed=seed)
    fitted, probabilities = rule.fitted_probabilities_, rule.predict_proba(scores, **signals)
    truth, alike = _truth(fitted, rows.Y), np.ones(fitted.nnz)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoGuaranteeWarning)  # the tables say where nothing is accepted
        tested = AdaptiveThreshold(
            "precision", target_value=PROMISED[0], confidence=CONFIDENCE, random_state=seed
        ).fit(fitting, rows.Y, local=local, folds=folds, groups=rows.groups)
        for promised in PROMISED:
            expected = rule.retarget("precision", promised)
            guaranteed = tested.retarget("precision", promised, confidence=CONFIDENCE)
            observed = lowest_threshold(fitted.data, truth, alike, promised)
            found[f"{EXPECTED}: {promised}"] = expected.predict(scores, **signals)
            found[f"{OBSERVED}: {promised}"] = sp.csr_array(probabilities > observed, dtype=np.float32)
            found[f"{GUARANTEED}: {promised}"] = guaranteed.predict(scores, **signals)
    return found


def _pooled(rows, folds, fitting, local, *, seed):
    """Fit the fusion on a random half of the rows, or groups, and make a pool of the others."""
    units = _units(rows)
    order = np.random.default_rng(seed).permutation(units.max() + 1)
    apart = (order < len(order) // 2)[units]
    rule = AdaptiveThreshold("precision", target_value=PROMISED[0], random_state=seed).fit(
        fitting[~apart],
        rows.Y[~apart],
        local=[part[~apart] for part in local],
        folds=folds[~apart],
        groups=units[~apart],
    )
    unseen = rule.predict_proba(fitting[apart], local=[part[apart] for part in local])
    lowest = _lowest_of_use(rule.fitted_probabilities_.data)
    fitted, unseen = (with_pairs(p, p.data >= lowest) for p in (rule.fitted_probabilities_, unseen))
    Y = rows.Y[apart]
    pool = Pool(unseen, _truth(unseen, Y), group_codes(units[apart], len(Y.indptr) - 1), np.diff(Y.indptr))
    return {"fitted": fitted, **{f"pool: {field}": value for field, value in pool._asdict().items()}}


def _lowest_of_use(p):
    """Return the least probability of the longest ranking that is not far below the least promise."""
    falling = np.sort(p)[::-1]
    of_use = np.cumsum(falling) >= _FAR_BELOW * min(PROMISED) * np.arange(1, len(p) + 1)
    return falling[of_use][-1] if of_use.any() else np.inf


def _truth(matrix, Y):
    """Say which stored pairs are true."""
    return are_among(row_major_positions(matrix), row_major_positions(Y))


def _rows_of_pairs(matrix):
    """Return the row of each stored pair."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _units(rows):
    """Return the number of each row's independent unit: the row itself, or its group."""
    return group_codes(rows.groups, rows.Y.shape[0])


def _identity(config, ds, base, seed):
    """Return the columns that say what a row of a table belongs to."""
    return {"dataset": config.dataset, "fingerprint": ds.fingerprint[:16], "base": base, "seed": seed}


def _ratio(part, whole):
    """Divide, by nothing to NaN."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)[()]
