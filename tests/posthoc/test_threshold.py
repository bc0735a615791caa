"""Thresholds on held-out scores: what is fitted, what is predicted, how it is explained, and bad input."""

import copy
import pickle
import re
import tracemalloc
import warnings
from functools import cache
from itertools import permutations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import normalize

from adathresh import AdaptiveThreshold, NeighborLabels, load, save
from adathresh.calibration import IsotonicCalibration
from adathresh.datasets import make_longtail
from adathresh.metrics import brier_score, expected_calibration_error, macro_f1, micro_f1, top_k
from adathresh.posthoc import InSampleScoresWarning, LowCoverageWarning, NoGuaranteeWarning
from adathresh.posthoc.candidates import gather_pairs
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.posthoc.fusion import AverageFusion, BoostedFusion, LabelEffects, LinearFusion
from adathresh.posthoc.guarantee import HeldRows, guaranteed_threshold
from adathresh.posthoc.targets import label_thresholds, uncovered_share

FUSIONS = ["linear", "boosted", "auto"]
TARGETS = [
    ("macro_f1", None),
    ("micro_f1", None),
    ("macro_micro_f1", None),
    ("precision", 0.8),
    ("label_precision", 0.8),
    ("budget", 2),
    ("cost", 5.0),
]


FORMS = {
    "dense": np.asarray,
    "top": lambda scores: top_scores(scores),
    "rounded": lambda scores: np.round(scores, 1),
}


@cache
def fitted_once(fusion, form):
    """Scores in one form, neighbour shares, and a rule fitted on both, for :func:`for_target`."""
    scores, Y, local = make_data()
    scores = FORMS[form](scores)
    return scores, local, AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, local=local)


def for_target(fusion, form, target, value):
    """Scores, neighbour shares and the rule for a target."""
    scores, local, rule = fitted_once(fusion, form)
    return scores, local, rule.retarget(target, value)


def linear(**parameters):
    """The rule whose fit is exact."""
    return AdaptiveThreshold(fusion="linear", **parameters)


def make_data(seed=0, n_samples=300, n_labels=8):
    """Long-tailed labels, underconfident scores, and shares that know something the scores do not."""
    rng = np.random.default_rng(seed)
    common = logit(0.4 * 0.6 ** np.arange(n_labels))
    z = common + rng.normal(0, 1.5, size=(n_samples, n_labels))
    near = rng.random((n_samples, n_labels)) < 0.3
    Y = (rng.random(z.shape) < expit(z + np.where(near, 1.5, -0.5))).astype(int)
    local = np.round(np.clip(near * 0.5 + rng.normal(0, 0.1, z.shape), 0, 1), 2)
    return expit(z - 1), Y, sp.csr_array(local * (local > 0.05))


def make_affinity(Y, seed=0):
    """Similarity that tells something of the truth, for four pairs in ten."""
    rng = np.random.default_rng(seed)
    values = np.round(np.clip(0.3 * Y + rng.normal(0.2, 0.1, Y.shape), 0, 1), 2)
    return sp.csr_array(values * (rng.random(Y.shape) < 0.4))


def all_pairs(scores):
    """The same scores in CSR, with every pair stored."""
    n, m = scores.shape
    return sp.csr_array((scores.ravel(), np.tile(np.arange(m), n), np.arange(0, n * m + 1, m)), shape=(n, m))


def dense(pairs, absent):
    """An array of a sparse result, with a value where no pair is stored."""
    result = np.full(pairs.shape, float(absent))
    coo = pairs.tocoo()
    result[coo.coords] = coo.data
    return result


def top_scores(scores, k=3):
    keep = np.argsort(np.argsort(-scores, axis=1), axis=1) < k
    return sp.csr_array((scores[keep], np.nonzero(keep)), shape=scores.shape)


def array(Y):
    """A prediction as an array."""
    return Y.toarray() if sp.issparse(Y) else Y


def logits_of(scores):
    """The base logits that thresholds are compared with; absent scores lie below every stored one."""
    return logit(np.clip(array(scores), 1e-6, 1 - 1e-6))


def raised_pairs(scores, local=None):
    """The pairs of one model, scores raised to the logit below which one in a hundred of them lies."""
    pairs = gather_pairs(scores, local, None)
    scored = np.sort(logits_of(scores.data if sp.issparse(scores) else scores.ravel()))
    return pairs._replace(logits=np.maximum(pairs.logits, scored[(len(scored) - 1) // 100]))


def fusion_by_hand(scores, Y, idf, local=None):
    """The pooled model, fitted with a given rarity of every pair."""
    pairs = raised_pairs(scores, local)
    truth = Y[pairs.rows, pairs.labels] == 1
    return LinearFusion().fit(
        pairs, idf[pairs.rows, pairs.labels], truth, np.ones(len(truth)), random_state=0
    )


# What is fitted


@pytest.mark.parametrize("with_local", [True, False])
def test_fit_is_fusion_then_label_effects_then_thresholds(with_local):
    scores, Y, local = make_data()
    local = local if with_local else None
    rule = linear().fit(scores, Y, local=local)
    idf = np.tile(np.log(300 / (Y.sum(axis=0) + 1)), (300, 1))
    fusion = fusion_by_hand(scores, Y, idf, local)
    assert rule.fusion_.coef_ == pytest.approx(fusion.coef_)
    pairs = raised_pairs(scores, local)
    g = fusion.decide(pairs, idf.ravel())
    effects = LabelEffects().fit(g, pairs.labels, Y.ravel() == 1, 8)
    np.testing.assert_allclose(rule.effects_.intercept_, effects.intercept_, rtol=1e-6)
    np.testing.assert_allclose(rule.effects_.slope_, effects.slope_, rtol=1e-6)
    p = expit(effects.apply(g, pairs.labels))
    np.testing.assert_allclose(rule.predict_proba(scores, local=local).toarray().ravel(), p, rtol=1e-9)
    sizes = {"n_labels": 8, "n_rows": 300, "evaluation_rows": 300}
    thresholds = label_thresholds("macro_f1", None, pairs.labels, p, **sizes)
    np.testing.assert_allclose(rule.label_thresholds_, thresholds, rtol=1e-6)
    np.testing.assert_array_equal(rule.predict(scores, local=local), p.reshape(300, 8) > thresholds)
    margins = rule.margins(scores, local=local).toarray()
    np.testing.assert_allclose(margins, logit(p.reshape(300, 8)) - logit(thresholds), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("swapped", [False, True])
def test_auto_averages_unless_true_or_false_pairs_are_fewer_than_150(swapped):
    rng = np.random.default_rng(0)
    scores, rule = rng.random((100, 5)), AdaptiveThreshold(random_state=0)
    for n, kind in ((149, LinearFusion), (150, AverageFusion)):
        Y = np.zeros(500, dtype=int)
        Y[np.argsort(-scores.ravel() + rng.random(500))[:n]] = 1
        Y = Y.reshape(100, 5)
        assert type(rule.fit(scores, 1 - Y if swapped else Y).fusion_) is kind
        assert type(clone(rule).set_params(fusion="boosted").fit(scores, Y).fusion_) is BoostedFusion


def step_scores(Y, rng):
    """Scores of which only one thing matters: whether they exceed a half."""
    high = rng.random(Y.shape) < np.where(Y, 0.9, 0.05)
    return np.where(high, rng.uniform(0.5, 1, Y.shape), rng.uniform(0, 0.5, Y.shape) ** 3)


@pytest.mark.parametrize("steps", [False, True])
def test_auto_is_nearly_as_good_as_the_better_of_both(steps):
    """Where the truth is linear, trees are worse; where it is a step, the linear model is."""
    loss = {}
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 2, (2, 500, 5))
    Y = (rng.random(z.shape) < expit(0.8 * z - 1)).astype(int)
    scores = step_scores(Y, rng) if steps else expit(z)
    for fusion in FUSIONS:
        rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores[0], Y[0])
        loss[fusion] = log_loss(Y[1].ravel(), rule.predict_proba(scores[1]).toarray().ravel())
    better, worse = ("boosted", "linear") if steps else ("linear", "boosted")
    assert loss[better] < loss[worse] - 0.001
    # half way between them would hold for any mean of logits, since the loss is convex
    assert loss["auto"] < loss[better] + 0.4 * (loss[worse] - loss[better])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("n_true", [1, 2, 4])
def test_very_few_pairs_can_be_fitted(fusion, n_true):
    scores = np.random.default_rng(0).random((6, 3))
    Y = np.zeros((6, 3), dtype=int)
    Y.flat[np.argsort(-scores.ravel())[:n_true]] = 1
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y)
    assert np.isfinite(rule.predict_proba(scores).data).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_better_than_half_on_new_rows(fusion):
    scores, Y, local = make_data(n_samples=1000)
    new_scores, new_Y, new_local = make_data(seed=1, n_samples=1000)
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, local=local)
    ours = macro_f1(new_Y, rule.predict(new_scores, local=new_local))
    alone = macro_f1(new_Y, clone(rule).fit(scores, Y).predict(new_scores))
    assert macro_f1(new_Y, (new_scores > 0.5).astype(int)) + 0.1 < alone + 0.03 < ours


def test_each_target_is_best_at_what_it_aims_at():
    scores, Y, _ = make_data(n_samples=2000)
    new_scores, new_Y, _ = make_data(seed=1, n_samples=2000)
    predicted = {}
    for target, value in TARGETS:
        predicted[target] = linear(target=target, target_value=value).fit(scores, Y).predict(new_scores)
    macro = {target: macro_f1(new_Y, found) for target, found in predicted.items()}
    micro = {target: micro_f1(new_Y, found) for target, found in predicted.items()}
    others = ("precision", "label_precision", "budget")
    assert all(macro["macro_f1"] > macro[target] for target in others)
    assert all(micro["micro_f1"] > micro[target] for target in others)
    assert macro["macro_f1"] > macro["micro_f1"]
    assert micro["micro_f1"] > micro["macro_f1"]
    both = {target: macro[target] + micro[target] for target in macro}
    assert both["macro_micro_f1"] > max(both["macro_f1"], both["micro_f1"]) - 0.005
    chosen = predicted["precision"] == 1
    assert new_Y[chosen].mean() == pytest.approx(0.8, abs=0.05)
    common = predicted["label_precision"][:, 0] == 1
    assert new_Y[common, 0].mean() == pytest.approx(0.8, abs=0.08)
    cost = {  # a false positive counts five times
        target: ((found == 1) & (new_Y == 0)).sum() * 5 + ((found == 0) & (new_Y == 1)).sum()
        for target, found in predicted.items()
    }
    assert cost["cost"] == min(cost.values())
    assert cost["cost"] < cost["micro_f1"] / 2


# Scores that are not there, and positives that no candidate holds


def test_lowest_logits_by_hand():
    """Of 300 scored pairs 3 lie below the lowest; of a model without any, it is the clipped 0."""
    _, Y, _ = make_data(n_samples=100, n_labels=5)
    rng = np.random.default_rng(0)
    kept = np.argsort(rng.random((100, 5)), axis=1) < 3
    values = rng.permutation(np.linspace(0.001, 0.3, 300))
    first = sp.csr_array((values, np.nonzero(kept)), shape=(100, 5))
    second, third = rng.random((100, 5)), sp.csr_array((100, 5))
    rule = linear().fit([first, second, third], Y)
    expected = [np.sort(values)[2], np.sort(second.ravel())[4], 1e-6]
    np.testing.assert_allclose(rule.lowest_logits_, logit(expected))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_lower_and_absent_scores_count_as_the_lowest(fusion):
    scores, Y, local = make_data()
    few = top_scores(scores)
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(few, Y, local=local)
    lowest, shared = expit(rule.lowest_logits_[0]), sp.csr_array(np.full((1, 8), 0.4))
    assert lowest > 2 * few.data.min()
    absent = rule.decide(sp.csr_array((1, 8)), local=shared)
    for score in (0.0, few.data.min(), lowest * 0.99, lowest * (1 - 1e-12)):
        found = rule.decide(np.full((1, 8), score), local=shared)
        for part in ("probabilities", "margins", "thresholds"):
            np.testing.assert_array_equal(getattr(found, part).toarray(), getattr(absent, part).toarray())
    above = rule.decide(np.full((1, 8), 0.9), local=shared)
    assert (above.probabilities.toarray() > absent.probabilities.toarray()).all()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("cost", [0.05, 0.2])
def test_no_threshold_lies_below_the_lowest_logit(fusion, cost):
    """Where the lowest score is enough, every score is."""
    scores, Y, local = make_data()
    few = top_scores(scores)
    rule = AdaptiveThreshold("cost", target_value=cost, fusion=fusion, random_state=0)
    theta = rule.fit(few, Y, local=local).thresholds(few, local=local)
    always = np.isneginf(theta.data)
    assert 0.02 < always.mean() < 0.98
    assert (theta.data[~always] >= rule.lowest_logits_[0]).all()
    # the same rows without any score: predicted there and nowhere else
    kept = theta.copy()
    kept.data = always.astype(float)
    candidates = sp.csr_array((np.zeros(theta.nnz), theta.indices, theta.indptr), shape=theta.shape)
    predicted = rule.predict(candidates, local=local)
    np.testing.assert_array_equal(predicted.toarray(), kept.toarray())


def useless_shares(seed, n_samples):
    """The best 8 of 40 scores of each row, and shares of half of all pairs that tell nothing."""
    rng = np.random.default_rng(seed)
    z = -1.5 - 4 * np.linspace(0, 1, 40) ** 0.5 + rng.normal(0, 2.5, (n_samples, 40))
    Y = (rng.random(z.shape) < expit(1.3 * z)).astype(int)
    shares = np.round(rng.uniform(0.02, 0.5, z.shape), 2) * (rng.random(z.shape) < 0.5)
    return top_scores(expit(z), k=8), Y, sp.csr_array(shares)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fusion", ["linear", "auto"])
def test_pairs_that_only_neighbours_bring_in_cost_nothing(fusion, seed, monkeypatch):
    scores, Y, local = useless_shares(2 * seed, 1000)
    new_scores, new_Y, new_local = useless_shares(2 * seed + 1, 4000)

    def macro(use, new):
        rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, **use)
        return macro_f1(new_Y, rule.predict(new_scores, **new))

    without, ours = macro({}, {}), macro({"local": local}, {"local": new_local})
    assert ours > without - 0.005
    # had an absent score lain far below all others, the linear fusion would have been bent; in a mean of
    # fixed weights it shows
    monkeypatch.setattr(AverageFusion, "_likeliest_weight", lambda *_: 0.5)
    ours = macro({"local": local}, {"local": new_local})
    monkeypatch.setattr("adathresh.posthoc.threshold._lowest_logits", lambda pairs, weight: logit([1e-6]))
    far_below = macro({"local": local}, {"local": new_local})
    assert far_below < ours - (0.05 if fusion == "linear" else 0.001)


@pytest.mark.parametrize("form", [np.asarray, top_scores])
def test_fitted_probabilities_are_what_the_rule_says_of_the_fitted_rows(form, monkeypatch):
    scores, Y, local = make_data()
    scores = form(scores)
    rule = linear().fit(scores, Y, local=local)
    expected = rule.predict_proba(scores, local=local)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(rule.fitted_probabilities_, part), getattr(expected, part))
    # under folds, too, where few labels are about as frequent
    folds = np.arange(300) % 3
    found = linear().fit(scores, Y, local=local, folds=folds)
    np.testing.assert_array_equal(found.fitted_probabilities_.data, expected.data)
    # otherwise each row has the rarity that its model saw
    monkeypatch.setattr("adathresh.posthoc.threshold._MANY_ALIKE", 1)
    found = linear().fit(scores, Y, local=local, folds=folds)
    idf = np.stack([np.log(200 / (Y[folds != fold].sum(axis=0) + 1)) for fold in range(3)])
    pairs = raised_pairs(scores, local)
    g = found.fusion_.decide(pairs, idf[folds[pairs.rows], pairs.labels])
    p = expit(found.effects_.apply(g, pairs.labels))
    np.testing.assert_allclose(found.fitted_probabilities_.data, p, rtol=1e-9)
    assert np.abs(p - found.predict_proba(scores, local=local).data).max() > 1e-4


@pytest.mark.parametrize("target", ["macro_f1", "micro_f1", "macro_micro_f1"])
def test_thresholds_count_the_positives_that_no_candidate_holds(target):
    scores, Y, _ = make_data()
    few = top_scores(scores)
    rule = linear(target=target).fit(few, Y)
    covered = (Y * (dense(few, 0) > 0)).sum(axis=0)
    assert rule.coverage_ == pytest.approx(covered.sum() / Y.sum())
    uncovered = Y.sum(axis=0) * uncovered_share(Y.sum(axis=0), covered)
    p = rule.fitted_probabilities_
    sizes = {"n_labels": 8, "n_rows": 300, "evaluation_rows": 300}
    expected = label_thresholds(target, None, p.indices, p.data, **sizes, uncovered=uncovered)
    np.testing.assert_allclose(rule.label_thresholds_, expected, rtol=1e-9)
    without = label_thresholds(target, None, p.indices, p.data, **sizes)
    assert (rule.label_thresholds_ < without - 1e-4).any()
    # a batch is expected to miss as many a row
    rule.set_params(transductive=True)
    batch = rule.predict_proba(few[:60])
    sizes |= {"n_rows": 60, "evaluation_rows": 60, "uncovered": uncovered / 5}
    expected = label_thresholds(target, None, batch.indices, batch.data, **sizes)
    np.testing.assert_array_equal(rule.predict(few[:60]).toarray(), dense(batch, -1) > expected)


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_low_coverage_is_told(dropped):
    """100 positives: 41, 40 or 39 of them are candidates."""
    rng = np.random.default_rng(0)
    scores, Y = rng.uniform(0.1, 0.9, (50, 10)), np.zeros(500, dtype=int)
    Y[rng.choice(500, 100, replace=False)] = 1
    kept = np.ones(500, dtype=bool)
    kept[np.flatnonzero(Y)[: 59 + dropped]] = False
    kept, Y = kept.reshape(50, 10), Y.reshape(50, 10)
    few = sp.csr_array((scores[kept], np.nonzero(kept)), shape=Y.shape)
    local = sp.csr_array(np.where(Y & ~kept, 0.2, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error", LowCoverageWarning)
        assert linear().fit(few, Y, local=local).coverage_ == 1  # a share makes a candidate, too
        if dropped < 2:
            assert linear().fit(few, Y).coverage_ == (41 - dropped) / 100
            return
    message = "Only 39% of the true pairs have a score, .*Give more scores a row"
    with pytest.warns(LowCoverageWarning, match=message) as caught:
        assert linear().fit(few, Y).coverage_ == 0.39
    assert caught[0].filename == __file__  # it points at the caller


class Centroids(BaseEstimator):
    """Similarity of a row to the mean row of each label: the best 20 scores."""

    def fit(self, X, Y):
        self.centroids_ = normalize(sp.csr_matrix(Y.T @ X))
        return self

    def top_scores(self, X):
        return top_k(np.minimum((X @ self.centroids_.T).toarray(), 1), 20)


def calibration_in_the_large(probabilities, Y):
    """Sum of the probabilities over the number of true candidates; share of the true pairs that are such."""
    candidates = probabilities.copy()
    candidates.data = np.ones_like(candidates.data)
    n_true = Y.multiply(candidates).sum()
    return probabilities.sum() / n_true, n_true / Y.sum()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_what_is_fitted_is_what_is_predicted_with(seed):
    """Neighbours from the rows that the model was trained on; not so if each row is left out alone."""
    n = 3000
    # 36,000 true candidates in the fresh rows: their number is known to half a percent
    X, Y = make_longtail(n + 10_000, 4000, 200, features_per_row=25, exponent=0.7, random_state=seed)
    rows, fresh = slice(0, n), slice(n, None)
    folds = draw_folds(n, 3, random_state=seed)
    held_out = out_of_fold_scores(Centroids(), X[rows], Y[rows], folds, n_labels=200)
    scores = base_scores(Centroids().fit(X[rows], Y[rows]), X[fresh], n_labels=200)
    neighbors = NeighborLabels(10).fit(X[rows], Y[rows])
    local, gaps = neighbors.transform(X[fresh]), {}
    for name, groups in (("matched", folds), ("leave one out", None)):
        found = NeighborLabels(10).fit_transform(X[rows], Y[rows], groups=groups)
        rule = linear().fit(held_out, Y[rows], local=found, folds=folds)
        fitted, coverage = calibration_in_the_large(rule.fitted_probabilities_, Y[rows])
        assert coverage == pytest.approx(rule.coverage_)
        new, new_coverage = calibration_in_the_large(rule.predict_proba(scores, local=local), Y[fresh])
        gaps[name] = abs(new - fitted)
        # half as many training rows again find more
        assert 0 < new_coverage - coverage < 0.045
    assert gaps["matched"] < 0.025
    assert gaps["leave one out"] > gaps["matched"] + 0.015


# A guaranteed precision


def make_sharp(seed=0, n_samples=1200, n_labels=6):
    """Scores good enough for a guarantee; labels of a row depend on each other."""
    rng = np.random.default_rng(seed)
    z = logit(0.4 * 0.7 ** np.arange(n_labels)) + rng.normal(0, 4, size=(n_samples, n_labels))
    row = rng.normal(0, 0.7, size=(n_samples, 1))
    return expit(0.8 * z), (rng.random(z.shape) < expit(z + row)).astype(int)


def guaranteed(target="precision", value=0.85, **parameters):
    return linear(target=target, target_value=value, confidence=0.9, random_state=3, **parameters)


def held_places(rule, scores):
    """Mark the rows that a rule kept from its fusion."""
    held = rule._held_rows[0].toarray()
    p = rule.predict_proba(scores).toarray()
    return np.array([np.isclose(held, row, rtol=1e-12).all(axis=1).any() for row in p])


@pytest.mark.parametrize("target", ["precision", "label_precision"])
def test_half_of_the_rows_are_kept_from_the_fusion(target):
    scores, Y = make_sharp()
    rule = guaranteed(target).fit(scores, Y)
    apart = held_places(rule, scores)
    assert apart.sum() == rule._held_rows[0].shape[0] == 600
    alone = linear(random_state=3).fit(scores[~apart], Y[~apart])
    new, _ = make_sharp(1)
    np.testing.assert_allclose(
        rule.predict_proba(new).toarray(), alone.predict_proba(new).toarray(), rtol=1e-12
    )
    np.testing.assert_array_equal(rule._held_rows[1], Y[apart].ravel() == 1)
    turned = np.where(apart[:, None], 1 - Y, Y)  # what is true of them reaches thresholds only
    with pytest.warns(NoGuaranteeWarning):
        other = guaranteed(target).fit(scores, turned)
    np.testing.assert_array_equal(other.fitted_probabilities_.data, rule.fitted_probabilities_.data)
    assert not other.predict(scores).any()


def test_a_guaranteed_precision_is_what_the_tested_threshold_and_limit_predict():
    scores, Y = make_sharp()
    rule = guaranteed().fit(scores, Y)
    assert rule.guaranteed_ is True
    assert 1 < rule.row_limit_ < 6
    apart = held_places(rule, scores)
    p, truth, units = rule._held_rows
    tested = guaranteed_threshold(
        rule.fitted_probabilities_, HeldRows(p, truth, units), precision=0.85, confidence=0.9
    )
    assert (tested.threshold, tested.row_limit) == (rule.label_thresholds_[0], rule.row_limit_)
    predicted = rule.predict(scores[apart])
    assert (predicted.sum(), (predicted * Y[apart]).sum()) == tested[2:]
    everything = rule.predict(np.full((1, 6), 0.999) - np.arange(6) / 1e4)  # the most probable ones
    assert everything.sum() == rule.row_limit_
    new, _ = make_sharp(1)
    decision = rule.decide(new)
    np.testing.assert_array_equal(decision.label_sets, decision.margins.toarray() > 0)
    np.testing.assert_array_equal(decision.label_sets, logits_of(new) > decision.thresholds.toarray())
    np.testing.assert_array_equal(decision.label_sets[:7], rule.predict(new[:7]))  # each row alone
    assert rule.explain(new[:1], 0).predicted == decision.label_sets[0, 0]


@pytest.mark.slow
def test_a_guaranteed_precision_is_reached_where_an_expected_one_is_not():
    new, Y_new = make_sharp(999, 20_000)
    short = {True: 0, False: 0}
    for seed in range(100):
        scores, Y = make_sharp(seed, 600)
        rule = guaranteed(value=0.9).fit(scores, Y)
        for is_guaranteed, one in ((True, rule), (False, rule.retarget("precision", 0.9))):
            predicted = one.predict(new) == 1
            short[is_guaranteed] += predicted.any() and Y_new[predicted].mean() < 0.9
    assert short[True] <= 19  # of 100, if each falls short with a probability of 0.1, in 998 of 1,000 cases
    assert short[False] > 30


def test_labels_without_a_guarantee_are_not_predicted():
    scores, Y = make_sharp()
    Y[:, 5] = 0
    Y[:3, 5] = 1
    with pytest.warns(
        NoGuaranteeWarning, match=r"^For \d of 6 labels no threshold guarantees a precision of"
    ) as told:
        rule = guaranteed("label_precision").fit(scores, Y)
    assert 0 < rule.guaranteed_.sum() < 6
    assert not rule.guaranteed_[5]
    assert f"For {6 - rule.guaranteed_.sum()} of 6" in str(told[0].message)
    assert "600 rows (or groups) were kept" in str(told[0].message)
    np.testing.assert_array_equal(rule.guaranteed_, np.isfinite(rule.label_thresholds_))
    np.testing.assert_array_equal(rule.predict(scores).any(axis=0), rule.guaranteed_)
    assert rule.row_limit_ is None


def test_too_few_rows_for_a_guarantee():
    scores, Y = make_sharp(n_samples=40)
    with pytest.warns(NoGuaranteeWarning) as told:
        rule = guaranteed(value=0.99).fit(scores, Y)
    assert told[0].filename == __file__
    found = re.search(r"predicted (\d+) labels, (\d+) of them right, for the 20 rows", str(told[0].message))
    assert 0 < int(found[2]) <= int(found[1]) < 120
    assert re.search(r"At least \d\d\d predicted labels are needed if all are right", str(told[0].message))
    assert rule.guaranteed_ is False
    assert not rule.predict(scores).any()
    assert np.isinf(rule.label_thresholds_).all()
    plain = rule.retarget("precision", 0.9)
    assert plain.predict(scores).any()
    assert plain.guaranteed_ is None


def test_groups_are_kept_from_the_fusion_as_wholes():
    scores, Y = make_sharp()
    groups = np.arange(1200) % 300
    rule = guaranteed().fit(scores, Y, groups=groups)
    apart = held_places(rule, scores)
    assert apart.sum() == 600
    assert len(set(groups[apart])) == 150
    units = rule._held_rows[2]
    assert [len(set(units[groups[apart] == group])) for group in set(groups[apart])] == [1] * 150
    assert len(set(units)) == 150
    plain = linear().fit(scores, Y)
    np.testing.assert_array_equal(
        linear().fit(scores, Y, groups=groups).label_thresholds_, plain.label_thresholds_
    )


def test_impossible_labels_take_no_place_under_the_limit():
    scores, Y = make_sharp()
    known = Y.copy()
    known[:, 0] = 0  # a label that the model never saw, but that is true of many rows
    rule = guaranteed().fit(scores, Y, Y_train=known)
    assert rule.impossible_.tolist() == [0]
    row = np.full((1, 6), 0.999) - np.arange(6) / 1e4
    row[0, 0] = 0.99999
    assert rule.predict_proba(row).toarray().argmax() == 0
    predicted = rule.predict(row)
    assert predicted[0, 0] == 0
    assert predicted.sum() == rule.row_limit_
    # nor do tests look at it
    p, truth, units = rule._held_rows
    rule._held_rows = p, truth & (p.indices > 0), units
    again = rule.retarget("precision", 0.85, confidence=0.9)
    np.testing.assert_array_equal(again.label_thresholds_, rule.label_thresholds_)


def test_retarget_with_a_confidence():
    scores, Y = make_sharp()
    rule = guaranteed().fit(scores, Y)
    for target, value in (("precision", 0.8), ("label_precision", 0.85)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoGuaranteeWarning)
            found = rule.retarget(target, value, confidence=0.9)
            expected = guaranteed(target, value).fit(scores, Y)
        assert_alike(found, expected, scores)
        np.testing.assert_array_equal(found.guaranteed_, expected.guaranteed_)
        assert found.row_limit_ == expected.row_limit_
    # less is predicted the more is asked for
    n = [
        rule.retarget("precision", value, confidence=confidence).predict(scores).sum()
        for value, confidence in ((0.7, 0.9), (0.85, 0.9), (0.85, 0.999))
    ]
    assert n[0] > n[1] > n[2] > 0
    again = rule.retarget("macro_f1")
    assert (again.confidence, again.guaranteed_, again.row_limit_) == (None, None, None)
    assert len(set(again.label_thresholds_)) == 6
    assert again.retarget("precision", 0.85, confidence=0.9).row_limit_ == rule.row_limit_
    with pytest.raises(ValueError, match="fitted without confidence, so that no rows were kept"):
        linear().fit(scores, Y).retarget("precision", 0.9, confidence=0.9)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "macro_f1"}, "'macro_f1' takes no confidence; only precision and label_precision can"),
        ({"target": "precision", "target_value": 1}, "No number of rows can guarantee a precision of 1"),
        ({"target": "precision", "target_value": 0.9, "transductive": True}, "guarantees nothing"),
        ({"target": "precision", "target_value": 0.9, "confidence": 1}, "confidence must be a finite number"),
    ],
)
def test_guarantees_that_cannot_be(parameters, message):
    scores, Y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        AdaptiveThreshold(**{"confidence": 0.9} | parameters).fit(scores, Y)


def test_a_guarantee_cannot_be_changed_after_fit():
    scores, Y = make_sharp()
    rule = guaranteed().fit(scores, Y)
    for changed, message in (
        ({"confidence": 0.8}, "was changed after fit"),
        ({"confidence": None}, "was changed after fit"),
        ({"transductive": True}, "guarantees nothing"),
    ):
        with pytest.raises(ValueError, match=message):
            copy.copy(rule).set_params(**changed).predict(scores)


# Another target for a fitted rule


def assert_alike(found, expected, scores, **signals):
    """Two rules have the same parameters, thresholds, predictions and margins."""
    assert found.get_params() == expected.get_params()
    np.testing.assert_array_equal(found.label_thresholds_, expected.label_thresholds_)
    a, b = (array(rule.predict(scores, **signals)) for rule in (found, expected))
    np.testing.assert_array_equal(a, b)
    for method in ("margins", "thresholds"):
        a, b = (getattr(rule, method)(scores, **signals) for rule in (found, expected))
        np.testing.assert_array_equal(a.toarray(), b.toarray())


@pytest.mark.slow
@pytest.mark.parametrize("with_folds", [False, True])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_retarget_equals_a_fit_for_that_target(fusion, with_folds, monkeypatch):
    scores, Y, local = make_data()
    few = top_scores(scores)  # so that some positives are no candidates
    Y[:, 7] *= not with_folds  # and a label is impossible
    options = {"local": local, "folds": np.arange(len(Y)) % 3 if with_folds else None}
    rule = AdaptiveThreshold(evaluation_rows=50, fusion=fusion, random_state=3)
    alone = [
        clone(rule).set_params(target=target, target_value=value).fit(few, Y, **options)
        for target, value in TARGETS
    ]
    rule.fit(few, Y, **options)
    assert len(rule.impossible_) == with_folds
    monkeypatch.setattr(AdaptiveThreshold, "_fit_fused", None)  # nothing is fitted from here on
    for (target, value), expected in zip(TARGETS, alone, strict=True):
        found = rule.retarget(target, value)
        assert found.fusion_ is rule.fusion_
        for transductive in (False, True):
            found.set_params(transductive=transductive)
            expected.set_params(transductive=transductive)
            predicted = [array(one.predict(few, local=local)) for one in (found, expected)]
            np.testing.assert_array_equal(*predicted)
        assert found.get_params() == expected.get_params()
        np.testing.assert_array_equal(found.label_thresholds_, expected.label_thresholds_)
        again = found.retarget("macro_f1")  # from any target to any other
        np.testing.assert_array_equal(again.label_thresholds_, rule.label_thresholds_)


def test_retarget_leaves_the_rule_as_it_is():
    scores, Y, _ = make_data()
    rule = linear(transductive=True, random_state=0).fit(scores, Y)
    before, thresholds = dict(vars(rule)), rule.label_thresholds_.copy()
    other = rule.retarget("cost", 4, evaluation_rows=7)
    assert vars(rule).keys() == before.keys()
    assert all(vars(rule)[name] is before[name] for name in before)
    np.testing.assert_array_equal(rule.label_thresholds_, thresholds)
    np.testing.assert_array_equal(other.label_thresholds_, np.full(8, 0.8))
    changed = {"target": "cost", "target_value": 4, "evaluation_rows": 7}
    assert other.get_params() == rule.get_params() | changed
    predicted = rule.predict(scores)
    other.fit(scores**2, 1 - Y)  # a fit of the one does not reach the other
    np.testing.assert_array_equal(rule.predict(scores), predicted)


def test_retarget_takes_other_evaluation_rows_or_those_of_the_rule():
    scores, Y, _ = make_data()
    rule = linear(evaluation_rows=40).fit(scores, Y)
    expected = linear(target="macro_micro_f1", evaluation_rows=40).fit(scores, Y)
    assert_alike(rule.retarget("macro_micro_f1"), expected, scores)
    expected = linear(target="macro_micro_f1", target_value=0, evaluation_rows=2000).fit(scores, Y)
    assert_alike(rule.retarget("macro_micro_f1", 0, evaluation_rows=2000), expected, scores)
    few, many = (rule.retarget("macro_f1", evaluation_rows=n).label_thresholds_ for n in (20, 10**6))
    assert (few[4:] < many[4:]).all()


def test_retarget_refuses():
    scores, Y, _ = make_data()
    with pytest.raises(NotFittedError):
        linear().retarget("micro_f1")
    rule = linear().fit(scores, Y)
    for arguments, message in (
        (("f1",), "target must be one of macro_f1"),
        (("budget", 1.5), "at least 1; got 1.5"),
        (("precision",), "needs target_value: the precision to reach"),
        (("micro_f1", 0.5), "takes no target_value"),
    ):
        with pytest.raises(ValueError, match=message):
            rule.retarget(*arguments)
    with pytest.raises(ValueError, match="evaluation_rows must be a whole number, at least 1"):
        rule.retarget("macro_f1", evaluation_rows=0)
    assert rule.predict(scores).any()  # and is as it was


@pytest.mark.parametrize(
    "changed",
    [
        {"target": "micro_f1"},
        {"target": "budget", "target_value": 2},
        {"target_value": 0.3},
        {"evaluation_rows": 10},
    ],
)
def test_a_target_set_after_fit_is_refused(changed):
    scores, Y, _ = make_data()
    rule = linear(target="macro_micro_f1").fit(scores, Y)
    expected = rule.predict(scores)
    rule.set_params(**changed)
    methods = ["decide", "predict", "predict_proba", "margins", "thresholds"]
    calls = [(getattr(rule, method), (scores,)) for method in methods] + [(rule.explain, (scores[:1], 0))]
    for method, arguments in calls:
        with pytest.raises(ValueError, match=r"was changed after fit; fit again, or use retarget\(\)"):
            method(*arguments)
    # what the message says helps
    assert rule.retarget("micro_f1").predict(scores).any()
    rule.set_params(target="macro_micro_f1", target_value=None, evaluation_rows=None)
    np.testing.assert_array_equal(rule.predict(scores), expected)


def test_transductive_may_be_set_after_fit():
    scores, Y, _ = make_data()
    batch = scores[:40]
    rule = linear().fit(scores, Y).set_params(transductive=True)
    expected = linear(transductive=True).fit(scores, Y).predict(batch)
    np.testing.assert_array_equal(rule.predict(batch), expected)
    assert (rule.predict(batch) != rule.set_params(transductive=False).predict(batch)).any()


def test_fewer_evaluation_rows_lower_the_threshold_of_rare_labels():
    scores, Y, _ = make_data()
    few, many = (linear(evaluation_rows=n).fit(scores, Y).label_thresholds_ for n in (20, 10**6))
    assert (few[4:] < many[4:]).all()
    np.testing.assert_array_equal(
        linear().fit(scores, Y).label_thresholds_,
        linear(evaluation_rows=300).fit(scores, Y).label_thresholds_,
    )


def test_the_order_of_the_rows_does_not_matter():
    scores, Y, local = make_data()
    order = np.random.default_rng(0).permutation(300)
    a = linear().fit(scores, Y, local=local)
    b = linear().fit(scores[order], Y[order], local=local[order])
    assert a.fusion_.coef_ == pytest.approx(b.fusion_.coef_, rel=1e-2, abs=1e-3)
    np.testing.assert_allclose(a.label_thresholds_, b.label_thresholds_, rtol=1e-2)


def test_random_state():
    scores, Y, local = make_data()
    rules = [AdaptiveThreshold(fusion="boosted", random_state=seed) for seed in (0, 0, 1)]
    a, b, c = (
        rule.fit(scores, Y, local=local).predict_proba(scores, local=local).toarray() for rule in rules
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_drawn_pairs_give_almost_the_same_model(monkeypatch):
    scores, Y, local = make_data(n_samples=3000)
    whole = linear().fit(scores, Y, local=local)
    assert Y.sum() < 5000 < 10_000 < (1 - Y).sum()
    monkeypatch.setattr(
        "adathresh.posthoc.threshold._MAX_PAIRS", 10_000
    )  # all true ones, and some of the others
    drawn = linear(random_state=0).fit(scores, Y, local=local)
    pairs = raised_pairs(scores, local)
    a, b = (expit(rule.fusion_.decide(pairs, rule.idf_.idf_[pairs.labels])) for rule in (whole, drawn))
    assert (a != b).any()
    assert np.abs(a - b).mean() < 0.01
    assert a.mean() == pytest.approx(b.mean(), rel=0.03)  # drawn pairs count for those left out


# Weights of rows


def make_weighted(seed=0):
    """Rows of weight 0 to 3, some of whose positives are no candidates, and each as often as it weighs."""
    scores, Y, local = make_data(seed)
    data = {"scores": top_scores(scores), "Y": Y, "local": local, "folds": np.arange(300) % 3}
    times = np.random.default_rng(seed).integers(0, 4, 300)
    return data, times, {name: values[np.repeat(np.arange(300), times)] for name, values in data.items()}


@pytest.mark.parametrize("seed", range(3))
def test_a_row_of_weight_two_is_two_rows(seed):
    data, times, repeated = make_weighted(seed)
    found, expected = linear().fit(**data, sample_weight=times), linear().fit(**repeated)
    assert found.fusion_.coef_ == pytest.approx(expected.fusion_.coef_, rel=1e-6)
    for part in ("intercept_", "slope_"):
        a, b = (getattr(rule.effects_, part) for rule in (found, expected))
        np.testing.assert_allclose(a, b, atol=1e-6)
    for name in ("lowest_logits_", "_uncovered_a_row", "coverage_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    np.testing.assert_allclose(found.idf_.idf_, expected.idf_.idf_, rtol=1e-12)
    for target, value in TARGETS:
        a, b = (rule.retarget(target, value).label_thresholds_ for rule in (found, expected))
        # the best for F1 may lie between two rows alike, which no threshold parts
        np.testing.assert_allclose(a, b, atol=2e-3 if target.startswith("macro") else 1e-6)
    without = linear().fit(**data)
    assert np.abs(without.label_thresholds_ - expected.label_thresholds_).max() > 0.01


def test_weights_far_from_one_another_reach_every_part():
    """What is rare in the rows is common in their weights."""
    data, _, _ = make_weighted()
    rare = data["Y"][:, 7] == 1
    weight = np.where(rare, 50.0, 0.5)
    rule = linear().fit(**data, sample_weight=weight)
    assert np.argmin(rule.idf_.idf_) == 7
    p = rule.fitted_probabilities_.toarray()[:, 7]
    assert (weight * p).sum() == pytest.approx((weight * (p > 0))[rare].sum(), rel=0.25)
    assert (linear().fit(**data).fitted_probabilities_.toarray()[:, 7] * weight).sum() < (
        weight * p
    ).sum() / 3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_weights_of_one_change_nothing(fusion):
    data, _, _ = make_weighted()
    rule = AdaptiveThreshold(fusion=fusion, random_state=0)
    found, expected = clone(rule).fit(**data, sample_weight=[1] * 300), rule.fit(**data)
    p, q = found.fitted_probabilities_, expected.fitted_probabilities_
    np.testing.assert_array_equal(p.toarray(), q.toarray())
    for target, value in TARGETS:
        a, b = (one.retarget(target, value).label_thresholds_ for one in (found, expected))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_row_of_weight_zero_is_left_out(fusion):
    data, _, _ = make_weighted()
    kept = np.random.default_rng(1).random(300) < 0.8
    rule = AdaptiveThreshold(fusion=fusion, random_state=0)
    found = clone(rule).fit(**data, sample_weight=kept)
    rule.fit(**{name: values[kept] for name, values in data.items()})
    p, q = found.fitted_probabilities_, rule.fitted_probabilities_
    np.testing.assert_array_equal(p.toarray(), q.toarray())
    np.testing.assert_array_equal(found.label_thresholds_, rule.label_thresholds_)
    assert p.shape == (kept.sum(), 8)


def test_auto_counts_true_and_false_pairs_by_weight():
    rng = np.random.default_rng(0)
    scores, Y = rng.random((100, 5)), np.zeros((100, 5), dtype=int)
    Y[:75, 0] = 1
    for weight, kind in ((1.9, LinearFusion), (2.0, AverageFusion)):
        rule = AdaptiveThreshold(random_state=0).fit(scores, Y, sample_weight=np.full(100, weight))
        assert type(rule.fusion_) is kind


def test_drawn_pairs_have_their_rows_weights(monkeypatch):
    scores, Y, local = make_data(n_samples=3000)
    weight = np.where(Y[:, 0] == 1, 5.0, 1.0)
    whole = linear().fit(scores, Y, local=local, sample_weight=weight)
    monkeypatch.setattr("adathresh.posthoc.threshold._MAX_PAIRS", 10_000)
    drawn = linear(random_state=0).fit(scores, Y, local=local, sample_weight=weight)
    without = linear(random_state=0).fit(scores, Y, local=local)
    a, b, c = (
        rule.fusion_.decide(raised_pairs(scores, local), np.ones(24_000)) for rule in (whole, drawn, without)
    )
    assert np.abs(expit(a) - expit(b)).mean() < 0.01 < np.abs(expit(a) - expit(c)).mean()


def test_rarity_from_training_rows_knows_no_weights():
    data, times, _ = make_weighted()
    trained = make_data(seed=5, n_samples=700)[1]
    data["Y_train"] = trained
    del data["folds"]
    rule = linear().fit(**data, sample_weight=times)
    np.testing.assert_allclose(rule.idf_.idf_, np.log(700 / (trained.sum(axis=0) + 1)))


@pytest.mark.parametrize("evaluation_rows", [None, 40])
def test_retarget_keeps_the_weights(evaluation_rows):
    data, times, _ = make_weighted()
    options = {"evaluation_rows": evaluation_rows}
    rule = linear(**options).fit(**data, sample_weight=times)
    for target, value in TARGETS:
        expected = linear(target=target, target_value=value, **options).fit(**data, sample_weight=times)
        assert_alike(rule.retarget(target, value), expected, data["scores"], local=data["local"])
    again = rule.fit(**data).retarget("micro_f1")  # and another fit has its own
    assert_alike(again, linear(target="micro_f1", **options).fit(**data), data["scores"], local=data["local"])


def test_weights_are_saved_where_thresholds_can_be_chosen_anew(tmp_path):
    data, times, _ = make_weighted()
    rule = linear().fit(**data, sample_weight=times)
    rule.save(tmp_path / "whole")
    assert_alike(
        AdaptiveThreshold.load(tmp_path / "whole").retarget("micro_f1"),
        rule.retarget("micro_f1"),
        data["scores"],
        local=data["local"],
    )
    save(rule, tmp_path / "small", retargetable=False)
    small = load(tmp_path / "small")
    assert_alike(small, rule, data["scores"], local=data["local"])
    assert small._row_weight is None


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(299), r"sample_weight must have shape \(300,\), one entry a row; got \(299,\)"),
        (np.ones((300, 1)), r"one entry a row; got \(300, 1\)"),
        (2.0, r"one entry a row; got \(\)"),
        (["heavy"] * 300, "sample_weight must be real numbers"),
        (np.where(np.arange(300) == 7, np.nan, 1), "finite and at least 0; found nan in row 7"),
        (np.where(np.arange(300) == 7, np.inf, 1), "finite and at least 0; found inf in row 7"),
        (np.where(np.arange(300) == 7, -1, 1), "finite and at least 0; found -1 in row 7"),
        (np.zeros(300), "sample_weight is zero in every row"),
        (np.ma.masked_array(np.ones(300), mask=np.arange(300) == 0), "sample_weight is a masked array"),
    ],
)
def test_weights_that_cannot_be(weight, message):
    scores, Y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        linear().fit(scores, Y, sample_weight=weight)


def test_a_guarantee_takes_no_weights():
    scores, Y = make_sharp()
    with pytest.raises(
        ValueError, match="sample_weight cannot be given with confidence: a guarantee counts rows"
    ):
        guaranteed().fit(scores, Y, sample_weight=np.ones(len(Y)))
    with pytest.raises(ValueError, match="fitted without confidence"):
        linear().fit(scores, Y, sample_weight=np.ones(len(Y))).retarget("precision", 0.8, confidence=0.9)


def test_weights_that_leave_one_class():
    scores, Y, _ = make_data()
    with pytest.raises(ValueError, match="hold only one class"):
        linear().fit(scores, Y, sample_weight=Y.sum(axis=1) == 0)


# A cost for each label


COSTS = np.array([0.5, 1, 2, 4, 8, 16, 32, 64])


def test_each_label_has_the_threshold_of_its_cost():
    scores, Y, local = make_data()
    rule = linear(target="cost", target_value=COSTS).fit(scores, Y, local=local)
    np.testing.assert_allclose(rule.label_thresholds_, COSTS / (1 + COSTS))
    decision = rule.decide(scores, local=local)
    for label, cost in enumerate(COSTS):
        alone = rule.retarget("cost", cost).decide(scores, local=local)
        for part in ("label_sets", "margins", "thresholds"):
            found, expected = (array(getattr(one, part))[:, label] for one in (decision, alone))
            np.testing.assert_array_equal(found, expected)
    assert_alike(linear().fit(scores, Y, local=local).retarget("cost", COSTS), rule, scores, local=local)


def test_costs_are_checked_against_the_labels():
    scores, Y, _ = make_data()
    message = "target_value of 'cost' holds 7 costs but Y has 8 labels"
    with pytest.raises(ValueError, match=message):
        linear(target="cost", target_value=COSTS[1:]).fit(scores, Y)
    rule = linear().fit(scores, Y)
    with pytest.raises(ValueError, match=message):
        rule.retarget("cost", list(COSTS[1:]))
    for wrong in (COSTS[None], COSTS[:, None], "16", [[1], [2]], ["1"] * 8):
        with pytest.raises(
            ValueError, match="target_value must be a number, or a sequence of numbers, or None"
        ):
            linear(target="cost", target_value=wrong).fit(scores, Y)
    impossible = linear(target="cost", target_value=COSTS).fit(
        scores, Y * (np.arange(8) != 3), Y_train=Y * (np.arange(8) != 3)
    )
    assert np.flatnonzero(np.isinf(impossible.label_thresholds_)).tolist() == [3]


@pytest.mark.parametrize("frames", ["pandas", "polars"])
def test_costs_in_a_column_of_a_data_frame(frames):
    column = pytest.importorskip(frames).Series
    scores, Y, _ = make_data()
    rule = linear(target="cost", target_value=column(COSTS)).fit(scores, Y)
    np.testing.assert_array_equal(rule.label_thresholds_, COSTS / (1 + COSTS))
    np.testing.assert_array_equal(
        rule.predict(scores), linear(target="cost", target_value=COSTS).fit(scores, Y).predict(scores)
    )
    rule.set_params(target_value=column(COSTS + 1))
    with pytest.raises(ValueError, match="was changed after fit"):
        rule.predict(scores)


@pytest.mark.parametrize("costs", [COSTS, list(map(float, COSTS)), tuple(map(int, 2 * COSTS))])
def test_costs_are_copied_saved_and_compared(costs, tmp_path):
    scores, Y, _ = make_data()
    rule = clone(linear(target="cost", target_value=costs)).fit(scores, Y)
    assert type(rule.get_params()["target_value"]) is type(costs)
    expected = rule.predict(scores)
    rule.save(tmp_path / "rule")
    loaded = AdaptiveThreshold.load(tmp_path / "rule")
    np.testing.assert_array_equal(loaded.predict(scores), expected)
    np.testing.assert_array_equal(loaded.target_value, costs)
    loaded.set_params(target_value=np.array(costs))  # the same
    np.testing.assert_array_equal(loaded.predict(scores), expected)
    for changed in (COSTS + 1, 3.0, None):
        with pytest.raises(ValueError, match="was changed after fit"):
            copy.copy(rule).set_params(target_value=changed).predict(scores)


def test_costs_that_are_changed_in_place_are_noticed():
    scores, Y, _ = make_data()
    costs = COSTS.copy()
    rule = linear(target="cost", target_value=costs).fit(scores, Y)
    costs[0] = 5
    with pytest.raises(ValueError, match="was changed after fit"):
        rule.predict(scores)


# How sure a threshold is


@pytest.mark.parametrize(
    ("target", "value"), [("micro_f1", None), ("label_precision", 0.7), ("macro_f1", None)]
)
def test_intervals_are_quantiles_over_rows_drawn_anew(target, value):
    data, _, _ = make_weighted()
    rule = linear(target=target, target_value=value).fit(**data)
    lower, upper = rule.threshold_intervals(confidence=0.8, n_draws=30, random_state=3)
    rng, p = np.random.RandomState(3), rule.fitted_probabilities_
    drawn = []
    for _ in range(30):
        again = p[np.sort(rng.randint(300, size=300))]
        sizes = {
            "n_labels": 8,
            "n_rows": 300,
            "evaluation_rows": 300,
            "uncovered": 300 * rule._uncovered_a_row,
        }
        drawn.append(label_thresholds(target, value, again.indices, again.data, **sizes))
    low, *_, high = np.sort(drawn, axis=0)[2:28]  # 29 steps from the first to the last, 2.9 at either end
    # the best for F1 may lie between two rows alike, which no threshold parts
    tolerance = 2e-3 if target == "macro_f1" else 1e-9
    np.testing.assert_allclose(lower, low, rtol=0, atol=tolerance)
    np.testing.assert_allclose(upper, high, rtol=0, atol=tolerance)
    predicted = np.isfinite(upper)
    assert predicted.sum() > 4
    assert (lower < rule.label_thresholds_)[predicted].all()
    assert (rule.label_thresholds_ < upper)[predicted].all()


def test_more_rows_make_a_threshold_surer():
    width = []
    for n_samples in (200, 3200):
        scores, Y, _ = make_data(n_samples=n_samples)
        lower, upper = (
            linear(evaluation_rows=200).fit(scores, Y).threshold_intervals(n_draws=50, random_state=0)
        )
        width.append(upper - lower)
    assert (width[1] < width[0] / 2).all()  # a quarter, if widths fall with the root


def test_intervals_know_the_weights():
    """One row weighs as much as all others, so that thresholds hang on how often it is drawn."""
    scores, Y, _ = make_data()
    weight = np.ones(300)
    weight[0] = 300
    heavy = linear(target="micro_f1").fit(scores, Y, sample_weight=weight)
    light = linear(target="micro_f1").fit(scores, Y)
    widths = [
        np.diff(rule.threshold_intervals(n_draws=50, random_state=0), axis=0).max() for rule in (heavy, light)
    ]
    assert widths[0] > 3 * widths[1]


def test_intervals_of_labels_that_are_never_predicted_and_of_costs():
    scores, Y, _ = make_data()
    Y[:, 3] = 0
    rule = linear().fit(scores, Y, Y_train=Y)
    lower, upper = rule.threshold_intervals(n_draws=5)
    assert np.flatnonzero(np.isinf(lower)).tolist() == np.flatnonzero(np.isinf(upper)).tolist() == [3]
    lower, upper = rule.retarget("cost", COSTS).threshold_intervals(n_draws=5)
    np.testing.assert_array_equal(lower, rule.retarget("cost", COSTS).label_thresholds_)
    np.testing.assert_array_equal(lower, upper)


def test_intervals_refuse(tmp_path):
    scores, Y = make_sharp()
    with pytest.raises(NotFittedError):
        linear().threshold_intervals()
    rule = linear().fit(scores, Y)
    for options, message in (
        ({"confidence": 1}, "confidence must be a finite number, greater than 0 and less than 1; got 1"),
        ({"n_draws": 0}, "n_draws must be a whole number, at least 1; got 0"),
        ({"random_state": -1}, "random_state must be"),
    ):
        with pytest.raises(ValueError, match=message):
            rule.threshold_intervals(**options)
    with pytest.raises(ValueError, match="Under a budget labels have no thresholds"):
        rule.retarget("budget", 2).threshold_intervals()
    with pytest.raises(ValueError, match=r"Guaranteed thresholds are chosen by tests.*retarget\(\) without"):
        guaranteed().fit(scores, Y).threshold_intervals()
    with pytest.raises(ValueError, match="was changed after fit"):
        copy.copy(rule).set_params(target="micro_f1").threshold_intervals()
    save(rule, tmp_path / "small", retargetable=False)
    with pytest.raises(ValueError, match="saved with retargetable=False"):
        load(tmp_path / "small").threshold_intervals()


# How rare a label was for the model


@pytest.mark.parametrize("n_alike", [49, 50])
def test_rarity_from_the_other_folds(n_alike):
    """Of each label that has enough of its frequency; here 2 or 3 rows carry each of many, and 20 one."""
    rng = np.random.default_rng(0)
    scores, Y = rng.uniform(0.01, 0.99, (300, n_alike + 1)), np.zeros((300, n_alike + 1), dtype=int)
    for label in range(n_alike):
        Y[rng.choice(300, 2 + label % 2, replace=False), label] = 1
    Y[:20, -1] = 1
    folds = np.where(np.arange(300) % 5 == 0, "b", "a")
    of_all = np.log(300 / (Y.sum(axis=0) + 1))
    idf = np.tile(of_all, (300, 1))
    for row in range(300) if n_alike == 50 else []:
        others = Y[folds != folds[row]]
        idf[row, :-1] = np.log(len(others) / (others.sum(axis=0) + 1))[:-1]
    rule = linear().fit(scores, Y, folds=folds)
    assert rule.fusion_.coef_ == pytest.approx(fusion_by_hand(scores, Y, idf).coef_)
    is_of_all = rule.fusion_.coef_ == pytest.approx(linear().fit(scores, Y).fusion_.coef_, rel=1e-4)
    assert is_of_all == (n_alike == 49)
    # rows to be predicted meet a model trained on all rows
    np.testing.assert_allclose(rule.idf_.idf_, of_all)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_rarity_does_not_tell_where_the_positives_of_a_fold_are(fusion):
    """Every row is a fold, and scores say nothing: a label that the others lack is the row's own."""
    rng = np.random.default_rng(0)
    Y = (rng.random((200, 12)) < np.geomspace(0.02, 0.4, 12)).astype(int)
    scores, new = rng.uniform(0.2, 0.8, (2, 200, 12))
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, folds=np.arange(200))
    fitted, predicted = rule.fitted_probabilities_.toarray(), rule.predict_proba(new)
    assert fitted[Y == 1].mean() < 1.2 * predicted[Y == 1].mean()
    np.testing.assert_allclose(predicted.mean(axis=0), Y.mean(axis=0), atol=0.05)


def test_rarity_from_the_training_rows():
    scores, Y, _ = make_data()
    trained = make_data(seed=5, n_samples=700)[1]
    rule = linear().fit(scores, Y, Y_train=sp.csr_array(trained))
    expected = np.log(700 / (trained.sum(axis=0) + 1))
    np.testing.assert_allclose(rule.idf_.idf_, expected)
    by_hand = fusion_by_hand(scores, Y, np.tile(expected, (300, 1)))
    assert rule.fusion_.coef_ == pytest.approx(by_hand.coef_)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("how", ["Y_train", "folds"])
@pytest.mark.parametrize(("target", "value"), TARGETS)
def test_a_label_that_the_model_never_saw_is_impossible(fusion, how, target, value):
    scores, Y, _ = make_data()
    unseen = Y.copy()
    unseen[:, 6] = 0
    Y = Y if how == "Y_train" else unseen
    known = {"Y_train": unseen} if how == "Y_train" else {"folds": np.arange(300) % 3}
    rule = AdaptiveThreshold(target, target_value=value, fusion=fusion, random_state=0).fit(
        scores, Y, **known
    )
    np.testing.assert_array_equal(rule.impossible_, [6])
    sure = np.full((4, 8), 0.9)
    sure[:, 6] = 1
    for transductive in (False, True):  # fit does not depend on it
        rule.set_params(transductive=transductive)
        assert not rule.predict(sure)[:, 6].any()
        assert np.isposinf(rule.thresholds(sure).toarray()[:, 6]).all()
        assert np.isneginf(rule.margins(sure).toarray()[:, 6]).all()


def test_a_label_that_nobody_says_is_unseen_or_that_has_a_text_is_possible():
    scores, Y, _ = make_data()
    unseen = Y.copy()
    unseen[:, 6] = 0
    assert len(linear().fit(scores, unseen).impossible_) == 0
    few = sp.csr_array(np.where(np.arange(8) == 6, 0, scores))  # the model cannot score the label
    affinity = make_affinity(Y)
    rule = linear().fit(few, Y, affinity=affinity, Y_train=unseen)
    assert len(rule.impossible_) == 0
    found = rule.predict(few, affinity=affinity).toarray()[:, 6]
    assert 0 < found.sum() < 150
    assert Y[found == 1, 6].mean() > 2 * Y[:, 6].mean()


# Dense, sparse and several models


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("with_local", [True, False])
def test_sparse_scores_of_all_pairs_equal_dense_scores(fusion, with_local):
    scores, Y, local = make_data()
    local = local if with_local else None
    rule = AdaptiveThreshold(fusion=fusion, random_state=0)
    a = rule.fit(scores, Y, local=local)
    b = clone(rule).fit(all_pairs(scores), sp.csr_array(Y), local=local)
    np.testing.assert_array_equal(a.label_thresholds_, b.label_thresholds_)
    for method in ("margins", "thresholds", "predict_proba"):
        x, y = getattr(a, method)(scores, local=local), getattr(b, method)(all_pairs(scores), local=local)
        assert x.nnz == y.nnz == scores.size
        np.testing.assert_array_equal(x.toarray(), y.toarray())
    predicted = b.predict(all_pairs(scores), local=local)
    assert isinstance(predicted, sp.csr_array)
    np.testing.assert_array_equal(predicted.toarray(), a.predict(scores, local=local))


def test_candidates_are_the_pairs_with_a_score_a_share_or_a_text_similarity():
    scores, Y, local = make_data()
    few, affinity = top_scores(scores, k=2), make_affinity(Y)
    rule = linear().fit(few, Y, local=local, affinity=affinity)
    expected = (dense(few, 0) > 0) | (local.toarray() > 0) | (affinity.toarray() > 0)
    found = rule.predict_proba(few, local=local, affinity=affinity)
    assert found.nnz == expected.sum() < scores.size
    np.testing.assert_array_equal(found.toarray() > 0, expected)
    # a share or a similarity alone can carry a label that the base model did not score
    predicted = rule.predict(few, local=local, affinity=affinity).toarray()
    unscored = dense(few, 0) == 0
    assert predicted[unscored & expected].any()
    assert not predicted[~expected].any()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_absent_score_counts_as_below_every_stored_one(fusion):
    scores, Y, local = make_data()
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(top_scores(scores), Y, local=local)
    shared = sp.csr_array(np.full((1, 8), 0.5))
    absent = rule.predict_proba(sp.csr_array((1, 8)), local=shared).toarray()
    for score in (0.0, 1e-5, 0.3):
        stored = rule.predict_proba(np.full((1, 8), score), local=shared).toarray()
        assert (stored >= absent).all()
    np.testing.assert_array_equal(rule.predict_proba(np.zeros((1, 8)), local=shared).toarray(), absent)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", FUSIONS)
def test_two_models_are_better_than_one(fusion):
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 2, (2, 2000, 6))
    Y = (rng.random(z.shape[1:]) < expit(z.sum(axis=0) * 0.8)).astype(int)
    first, second = expit(z)
    rule, half = AdaptiveThreshold(fusion=fusion, random_state=0), slice(0, 1000)
    rest = slice(1000, 2000)
    both = rule.fit([first[half], sp.csr_array(second[half])], Y[half])
    predicted = both.predict([first[rest], sp.csr_array(second[rest])])
    assert isinstance(predicted, np.ndarray)  # as the first model's scores
    alone = clone(rule).fit(first[half], Y[half]).predict(first[rest])
    assert macro_f1(Y[rest], predicted) > macro_f1(Y[rest], alone) + 0.1
    assert sp.issparse(both.predict([sp.csr_array(first), second]))
    one = clone(rule).fit([first[half]], Y[half])
    np.testing.assert_array_equal(one.predict([first[rest]]), alone)
    np.testing.assert_array_equal(one.predict(first[rest]), alone)


@pytest.mark.parametrize("given", [1, 3])
def test_the_number_of_matrices_must_not_change(given):
    scores, Y, local = make_data()
    affinity = make_affinity(Y)
    rule = linear().fit([scores, scores**2], Y, local=[local, local], affinity=[affinity, affinity])
    right = {"scores": [scores] * 2, "local": [local] * 2, "affinity": [affinity] * 2}
    assert rule.predict(**right).any()
    for name, matrices in right.items():
        with pytest.raises(ValueError, match=f"fit had 2 matrices of {name}; got {given}"):
            rule.predict(**right | {name: matrices[:1] * given})
        with pytest.raises(ValueError, match=f"fit had 2 matrices of {name}; got 1"):
            rule.predict(**right | {name: matrices[0]})


@pytest.mark.slow
@pytest.mark.parametrize("fusion", FUSIONS)
def test_two_searches_and_two_texts_are_better_than_one(fusion):
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 1, (1200, 6))
    signs = rng.random((4, *z.shape)) < 0.3
    Y = (rng.random(z.shape) < expit(z + 2 * signs.sum(axis=0) - 3)).astype(int)
    signals = [sp.csr_array(np.round(sign * rng.uniform(0.2, 0.6, z.shape), 2)) for sign in signs]
    half, rest, scores = slice(0, 600), slice(600, 1200), expit(z)

    def macro(local, affinity):
        rule = AdaptiveThreshold(fusion=fusion, random_state=0)
        rule.fit(scores[half], Y[half], local=[x[half] for x in local], affinity=[x[half] for x in affinity])
        given = {"local": [x[rest] for x in local], "affinity": [x[rest] for x in affinity]}
        return macro_f1(Y[rest], rule.predict(scores[rest], **given))

    both, one = macro(signals[:2], signals[2:]), macro(signals[:1], signals[2:3])
    assert both > macro(signals[:2], signals[2:3]) + 0.02
    assert both > macro(signals[:1], signals[2:]) + 0.02
    assert both > one + 0.06


def test_a_signal_alone_is_a_list_of_one():
    scores, Y, local = make_data()
    affinity = make_affinity(Y)
    a = linear().fit(scores, Y, local=local, affinity=affinity)
    b = linear().fit([scores], Y, local=[local], affinity=[affinity])
    found = b.predict_proba(scores, local=local, affinity=[affinity])
    np.testing.assert_array_equal(
        found.toarray(), a.predict_proba([scores], local=[local], affinity=affinity).toarray()
    )


# What is predicted


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("target", "value"), TARGETS)
def test_predicted_exactly_where_the_logit_exceeds_the_threshold(fusion, form, target, value):
    scores, local, rule = for_target(fusion, form, target, value)
    for transductive in (False, True):  # fit does not depend on it
        rule.set_params(transductive=transductive)
        predicted = array(rule.predict(scores, local=local))
        theta = dense(rule.thresholds(scores, local=local), np.inf)
        margins = dense(rule.margins(scores, local=local), -np.inf)
        np.testing.assert_array_equal(predicted, margins > 0)
        np.testing.assert_array_equal(predicted, logits_of(scores) > theta)
        assert predicted.any()
        assert not predicted.all()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("form", ["dense", "top"])
@pytest.mark.parametrize(("target", "value"), TARGETS)
def test_a_decision_is_what_the_single_methods_return(fusion, form, target, value):
    scores, local, rule = for_target(fusion, form, target, value)
    for transductive in (False, True):  # fit does not depend on it
        rule.set_params(transductive=transductive)
        decision = rule.decide(scores, local=local)
        predicted = rule.predict(scores, local=local)
        assert type(decision.label_sets) is type(predicted)
        assert decision.label_sets.dtype == predicted.dtype
        np.testing.assert_array_equal(array(decision.label_sets), array(predicted))
        for part, method in (
            ("probabilities", "predict_proba"),
            ("margins", "margins"),
            ("thresholds", "thresholds"),
        ):
            found, expected = getattr(decision, part), getattr(rule, method)(scores, local=local)
            np.testing.assert_array_equal(found.indptr, expected.indptr)
            np.testing.assert_array_equal(found.indices, expected.indices)
            np.testing.assert_array_equal(found.data, expected.data)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_decision_is_one_pass_and_solves_thresholds_only_when_asked(fusion, monkeypatch):
    scores, Y, local = make_data()
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, local=local)
    decide, threshold, calls = rule.fusion_.decide, rule.fusion_.threshold, []
    monkeypatch.setattr(rule.fusion_, "decide", lambda *args: calls.append("decide") or decide(*args))
    monkeypatch.setattr(
        rule.fusion_, "threshold", lambda *args: calls.append("threshold") or threshold(*args)
    )
    decision = rule.decide(scores, local=local)
    assert calls == ["decide"]
    assert decision.thresholds is decision.thresholds
    assert calls == ["decide", "threshold"]


def test_thresholds_of_a_decision_are_those_of_the_fit_that_made_it():
    scores, Y, _ = make_data()
    rule = linear().fit(scores, Y)
    expected = rule.thresholds(scores)
    decision = rule.decide(scores)
    rule.fit(scores**2, Y[:, ::-1])
    assert (rule.thresholds(scores) != expected).nnz > 0
    assert (decision.thresholds != expected).nnz == 0


def test_a_decision_travels_between_processes():
    scores, Y, _ = make_data()
    decision = linear().fit(scores, Y).decide(scores)
    again = pickle.loads(pickle.dumps(decision))
    np.testing.assert_array_equal(again.label_sets, decision.label_sets)
    assert (again.thresholds != decision.thresholds).nnz == 0


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("target", "value"), TARGETS)
def test_a_score_that_crosses_its_threshold_turns_the_prediction(fusion, target, value):
    scores, local, rule = for_target(fusion, "dense", target, value)
    theta = rule.thresholds(scores, local=local).toarray()
    turned = 0
    for row, label in np.argwhere(np.abs(theta) < 13)[::40]:
        for step, expected in ((-1e-6, 0), (1e-6, 1)):
            changed = scores[row : row + 1].copy()
            changed[0, label] = expit(theta[row, label] + step)
            assert rule.predict(changed, local=local[row : row + 1])[0, label] == expected
            turned += 1
    assert turned > 50


@pytest.mark.parametrize("fusion", FUSIONS)
def test_rows_are_independent(fusion):
    scores, Y, local = make_data()
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, local=local)
    whole = rule.predict(scores, local=local)
    order = np.random.default_rng(0).permutation(len(Y))
    np.testing.assert_array_equal(rule.predict(scores[order], local=local[order]), whole[order])
    np.testing.assert_array_equal(rule.predict(scores[7:8], local=local[7:8]), whole[7:8])


@pytest.mark.parametrize("target", ["macro_f1", "micro_f1", "macro_micro_f1"])
def test_transductive_thresholds_follow_the_batch(target):
    scores, Y, _ = make_data()
    rule = linear(target=target).fit(scores, Y)
    assert not rule.transductive
    batch = scores[np.argsort(scores.sum(axis=1))[:60]]  # rows with few labels
    p = rule.predict_proba(batch).toarray()
    np.testing.assert_array_equal(rule.predict(batch), p > rule.label_thresholds_)
    follow = linear(target=target, transductive=True).fit(scores, Y)
    np.testing.assert_array_equal(follow.label_thresholds_, rule.label_thresholds_)
    labels = np.tile(np.arange(8), 60)
    thresholds = label_thresholds(target, None, labels, p.ravel(), n_labels=8, n_rows=60, evaluation_rows=60)
    np.testing.assert_array_equal(follow.predict(batch), p > thresholds)
    assert (follow.predict(batch) != rule.predict(batch)).any()
    assert (follow.predict(np.vstack([batch, scores]))[:60] != follow.predict(batch)).any()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("budget", [1, 3, 20])
def test_never_more_labels_than_the_budget(fusion, budget):
    scores, Y, local = make_data()
    few = top_scores(scores, k=4)
    rule = AdaptiveThreshold("budget", target_value=budget, fusion=fusion, random_state=0)
    rule.fit(few, Y, local=local)
    predicted, p = rule.predict(few, local=local).toarray(), rule.predict_proba(few, local=local)
    counts = predicted.sum(axis=1)
    assert counts.max() == min(budget, np.diff(p.indptr).max())
    for row in range(300):
        values = np.sort(p[[row]].data)[::-1]
        tied = budget < len(values) and values[budget] == values[budget - 1]
        assert tied or counts[row] == min(budget, len(values))
        chosen = dense(p[[row]], -1)[0][predicted[row] == 1]
        assert budget >= len(values) or (chosen > values[budget]).all()
    assert np.isnan(rule.label_thresholds_).all()


def test_ties_at_the_budget_are_out():
    scores, Y, _ = make_data()
    rule = linear(target="budget", target_value=1).fit(
        np.hstack([scores, scores[:, :1]]), np.hstack([Y, Y[:, :1]])
    )
    row = np.r_[0.9, np.full(7, 0.001), 0.9][None, :]  # labels 0 and 8 are the same in all
    assert rule.predict(row).sum() == 0
    row[0, 8] = 0.91
    assert rule.predict(row).tolist() == [[0] * 8 + [1]]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("with_local", [True, False])
def test_a_higher_score_never_drops_a_label_nor_lowers_its_probability(fusion, with_local):
    scores, Y, local = make_data()
    local = local if with_local else None
    misleading = 1 - scores  # the fit wants to turn them
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(misleading, Y, local=local)
    before = rule.predict(scores, local=local)
    after = rule.predict(np.sqrt(scores), local=local)
    assert not ((before == 1) & (after == 0)).any()
    change = rule.predict_proba(np.sqrt(scores), local=local) - rule.predict_proba(scores, local=local)
    assert change.min() >= 0


def test_a_rare_label_is_hardly_fitted_alone():
    """Two labels of one positive each, with the same scores, wherever their positives are."""
    scores, Y, local = make_data()
    scores, local = np.hstack([scores, scores[:, 7:]]), sp.csr_array(sp.hstack([local, local[:, 7:]]))
    Y = np.hstack([Y, Y[:, 7:]])
    Y[:, 7:] = 0
    Y[np.argmin(scores[:, 7]), 7] = 1
    Y[np.argmax(scores[:, 7]), 8] = 1
    rule = linear().fit(scores, Y, local=local)
    theta = rule.thresholds(scores, local=local).toarray()
    assert np.abs(theta[:, 7] - theta[:, 8]).max() < 0.5
    assert np.ptp(scores[:, 7]) > 0.2


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_label_without_or_with_only_positives(fusion):
    scores, Y, local = make_data()
    Y[:, 7], Y[:, 6] = 0, 1
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, local=local)
    assert np.isfinite(rule.label_thresholds_).all()
    assert np.isfinite(rule.margins(scores, local=local).data).all()
    predicted = rule.predict(scores, local=local)
    assert predicted[:, 7].mean() < 0.05
    assert predicted[:, 6].mean() > 0.5
    sure = np.zeros((1, 8))
    sure[0, 7] = 0.9999
    assert rule.predict(sure, local=sp.csr_array(np.eye(8)[7:]))[0, 7] == 1


def test_a_label_without_any_candidate_is_never_predicted():
    scores, Y, _ = make_data()
    few = all_pairs(scores)[:, :7]
    few.resize(300, 8)
    rule = linear().fit(few, Y)
    assert Y[:, 7].any()
    assert np.isinf(rule.label_thresholds_[7])
    assert not rule.predict(np.ones((3, 8)))[:, 7].any()
    assert np.isinf(rule.thresholds(np.ones((3, 8))).toarray()[:, 7]).all()
    assert np.isneginf(rule.margins(np.ones((3, 8))).toarray()[:, 7]).all()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("target", "value"), TARGETS)
def test_rows_without_candidates_and_no_rows(fusion, target, value):
    scores, Y, _ = make_data()
    scores = top_scores(scores).toarray()
    scores[[0, 5, 299]] = 0
    rule = AdaptiveThreshold(target, target_value=value, fusion=fusion, random_state=0).fit(
        sp.csr_array(scores), Y
    )
    for transductive in (False, True):  # fit does not depend on it
        rule.set_params(transductive=transductive)
        predicted = rule.predict(sp.csr_array(scores)).toarray()
        assert not predicted[[0, 5, 299]].any()
        assert predicted.any()
        for none in (sp.csr_array((2, 8)), sp.csr_array((0, 8)), np.zeros((0, 8))):
            assert rule.predict(none).shape == none.shape
            assert array(rule.predict(none)).sum() == 0
            assert rule.thresholds(none).nnz == rule.margins(none).nnz == rule.predict_proba(none).nnz == 0


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_label(fusion):
    scores, Y, _ = make_data()
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores[:, :1], Y[:, :1])
    predicted = rule.predict(scores[:, :1])
    assert predicted.shape == (300, 1)
    everything = macro_f1(Y[:, :1], np.ones((300, 1), dtype=int))
    assert macro_f1(Y[:, :1], predicted) > everything + 0.02


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_predictions_come_in_the_container_of_the_scores(container):
    scores, Y, _ = make_data()
    predicted = AdaptiveThreshold().fit(scores, Y).predict(container(scores))
    assert type(predicted) is {np.asarray: np.ndarray}.get(container, container)
    assert predicted.dtype == np.int64


@pytest.mark.parametrize("fusion", FUSIONS)
def test_certain_scores_are_finite(fusion):
    _, Y, local = make_data()
    Y_train = make_data(seed=1)[1]
    rule = AdaptiveThreshold(fusion=fusion, random_state=0)
    rule.fit(Y.astype(float), Y, local=local, Y_train=Y_train)
    assert np.isfinite(rule.margins(Y.astype(float), local=local).toarray()).all()
    np.testing.assert_array_equal(rule.predict(Y.astype(float), local=local), Y)


@pytest.mark.slow
def test_wide_and_sparse_stays_sparse():
    """100,000 labels: an array of all pairs would take 800 MB."""
    n_labels, rng = 100_000, np.random.default_rng(0)
    columns = np.sort(np.stack([rng.choice(n_labels, 5, replace=False) for _ in range(1000)]), axis=1)
    indptr = np.arange(0, 5001, 5)
    scores = sp.csr_array((rng.random(5000), columns.ravel(), indptr), shape=(1000, n_labels))
    truth = rng.random(5000) < scores.data
    Y = sp.csr_array((truth.astype(np.int8), columns.ravel(), indptr), shape=(1000, n_labels))
    tracemalloc.start()
    predicted = linear().fit(scores, Y, Y_train=Y).predict(scores)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < predicted.nnz <= 5000
    assert peak < 150e6


def test_a_fitted_rule_predicts_alike_after_set_params_and_clone():
    scores, Y, _ = make_data()
    rule = linear(target="precision", target_value=0.7).fit(scores, Y)
    again = clone(rule)
    with pytest.raises(NotFittedError):
        again.predict(scores)
    np.testing.assert_array_equal(again.fit(scores, Y).predict(scores), rule.predict(scores))


def test_input_is_not_changed():
    scores, Y, local = make_data()
    given = scores.copy(), Y.copy(), local.copy()
    AdaptiveThreshold(random_state=0).fit(scores, Y, local=local).predict(scores, local=local)
    np.testing.assert_array_equal(scores, given[0])
    np.testing.assert_array_equal(Y, given[1])
    assert (local != given[2]).nnz == 0


# How it is explained


def shapley_by_hand(rule, pair):
    """Average over all orders what each signal adds to the corrected logit."""
    nothing = pair._replace(
        logits=rule.lowest_logits_[None, :], share=np.zeros((1, 2)), affinity=np.zeros((1, 1))
    )
    pair = pair._replace(logits=np.maximum(pair.logits, nothing.logits))
    signals = ["idf", "logits", "share", "affinity"]
    added = dict.fromkeys(signals, 0.0)

    @cache
    def value(present):
        idf = rule.idf_.idf_[pair.labels] if "idf" in present else np.array([rule.idf_.idf_.mean()])
        at = nothing._replace(**{name: getattr(pair, name) for name in present if name != "idf"})
        return rule.effects_.apply(rule.fusion_.decide(at, idf), pair.labels)[0]

    for order in permutations(signals):
        for place, name in enumerate(order):
            added[name] += (value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))) / 24
    return added


def test_an_explanation_prints_its_sum():
    scores, Y, local = make_data()
    rule = AdaptiveThreshold(random_state=0).fit(scores, Y, local=local)
    found = rule.explain(scores[:1], 0, local=local[:1])
    first, *terms = str(found).splitlines()
    assert first.startswith(f"label 0 is {'predicted' if found.predicted else 'not predicted'}: margin ")
    assert sum(float(line.split()[0]) for line in terms) == pytest.approx(found.margin, abs=0.03)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("target", "value"), [("macro_f1", None), ("label_precision", 0.8), ("budget", 2)])
def test_the_terms_of_an_explanation(fusion, target, value):
    scores, Y, local = make_data()
    models, affinity = [scores, make_data(seed=3)[0]], make_affinity(Y)
    rule = AdaptiveThreshold(target, target_value=value, fusion=fusion, random_state=0)
    local = [local, make_data(seed=4)[2]]
    rule.fit(models, Y, local=local, affinity=affinity)
    signals = {"local": local, "affinity": affinity}
    predicted = rule.predict(models, **signals)
    margins, theta = rule.margins(models, **signals), rule.thresholds(models, **signals)
    p = rule.predict_proba(models, **signals).toarray()
    for row in range(3):
        one = slice(row, row + 1)
        given = [model[one] for model in models]
        at = {"local": [x[one] for x in local], "affinity": affinity[one]}
        for label in range(8):
            found = rule.explain(given, label, **at)
            terms = found.base_term + found.rarity_term + found.neighbor_term + found.text_term
            assert terms == pytest.approx(logit(p[row, label]), abs=1e-9)
            assert found.margin == pytest.approx(terms - found.fused_threshold, abs=1e-12)
            assert found.margin == pytest.approx(margins[row, label], abs=1e-9)
            assert found.threshold == theta[row, label]
            assert found.predicted == predicted[row, label] == (found.margin > 0)
            assert (found.label, found.score) == (label, pytest.approx(scores[row, label]))
            assert found.neighbors == ()
            pair = gather_pairs(given, at["local"], at["affinity"]).take(np.array([label]))
            by_hand = shapley_by_hand(rule, pair)
            assert found.base_term == pytest.approx(by_hand["logits"], abs=1e-9)
            assert found.neighbor_term == pytest.approx(by_hand["share"], abs=1e-9)
            assert found.text_term == pytest.approx(by_hand["affinity"], abs=1e-9)


def test_explanation_without_neighbours_or_texts_and_of_an_unscored_pair():
    scores, Y, local = make_data()
    found = linear().fit(scores, Y).explain(scores[:1], 3)
    assert (found.neighbor_term, found.text_term) == (0, 0)
    rule = linear().fit(top_scores(scores), Y, local=local)
    found = rule.explain(sp.csr_array((1, 8)), 3, local=sp.csr_array(0.5 * np.eye(8)[3:4]))
    assert found.score == 0
    assert found.base_term == pytest.approx(0)
    assert found.neighbor_term > 0
    # scores are named as they were given, though one below the lowest counts as that one
    for container in (np.asarray, sp.csr_array, np.ndarray.tolist):
        found = rule.explain(container(np.full((1, 8), 1e-4)), 3, local=sp.csr_array((1, 8)))
        assert found.score == 1e-4
        assert found.base_term == pytest.approx(0)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_explanation_costs_one_threshold_and_each_coalition_once(fusion, monkeypatch):
    scores, Y, local = make_data()
    affinity = make_affinity(Y)
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, local=local, affinity=affinity)
    decide, threshold = rule.fusion_.decide, rule.fusion_.threshold
    decided, solved = [], []
    monkeypatch.setattr(
        rule.fusion_, "decide", lambda pairs, idf: decided.append(len(idf)) or decide(pairs, idf)
    )
    monkeypatch.setattr(
        rule.fusion_,
        "threshold",
        lambda pairs, *args: solved.append(len(pairs.rows)) or threshold(pairs, *args),
    )
    rule.explain(scores[:1], 3, local=local[:1], affinity=affinity[:1])
    assert solved == [1]
    assert decided == [8] + [1] * 2**4  # the row once for its thresholds, and every set of the four signals


def test_explain_refuses():
    scores, Y, _ = make_data()
    rule = linear().fit(scores, Y)
    with pytest.raises(ValueError, match="explain takes one row; got 2"):
        rule.explain(scores[:2], 0)
    for label in (-1, 8):
        with pytest.raises(ValueError, match=f"label must be a whole number from 0 to 7; got {label}"):
            rule.explain(scores[:1], label)
    with pytest.raises(ValueError, match="Label 1 is no candidate of this row"):
        rule.explain(sp.csr_array(np.eye(8)[:1]), 1)
    with pytest.raises(ValueError, match="transductive rule has no thresholds for a row alone"):
        linear(transductive=True).fit(scores, Y).explain(scores[:1], 0)
    with pytest.raises(NotFittedError):
        linear().explain(scores[:1], 0)


# How far its probabilities can be believed


def make_long_tail(seed, n_samples=3000, n_labels=60):
    """Top-20 scores of a model that is overconfident in rare labels, and wrong by an own amount in each."""
    rng = np.random.default_rng(seed)
    common = -1 - 4 * np.linspace(0, 1, n_labels) ** 0.5
    bias = np.random.default_rng(99).normal(0, 0.5, n_labels)  # of the model: the same in every sample
    z = common + rng.normal(0, 2, (n_samples, n_labels))
    near = rng.random(z.shape) < expit(z / 2)
    Y = (rng.random(z.shape) < expit(z + near - 0.5)).astype(int)
    scores = expit(0.6 * z - 0.2 * common + bias)
    local = sp.csr_array(np.round(np.clip(0.4 * near + rng.normal(0, 0.1, z.shape), 0, 1), 2))
    return top_scores(scores, k=20), Y, local


def isotonic_by_label(scores, Y, new):
    """Isotonic regression of each label's own pairs; where all are of one class, their share."""
    scores, new, Y = scores.tocsc(), new.tocsc(copy=True), sp.csc_array(Y)
    for label in range(scores.shape[1]):
        of, at = (slice(*matrix.indptr[label : label + 2]) for matrix in (scores, new))
        truth = Y[scores.indices[of], np.full(of.stop - of.start, label)]
        truth = np.asarray(truth.todense()).ravel() if sp.issparse(truth) else truth
        if len(truth):
            regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            new.data[at] = regression.fit(scores.data[of], truth).predict(new.data[at])
    return sp.csr_array(new)


# a line has no value of its own for pairs that the base model did not score; auto takes boosting then
@pytest.mark.parametrize(("fusion", "with_local"), [("auto", True), ("auto", False), ("linear", False)])
@pytest.mark.slow
def test_calibrated_as_well_as_isotonic_regression(fusion, with_local):
    scores, Y, local = make_long_tail(0)
    new_scores, new_Y, new_local = make_long_tail(1)
    use = {"local": local} if with_local else {}
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(scores, Y, **use)
    ours = rule.predict_proba(new_scores, **({"local": new_local} if with_local else {}))
    kept = new_scores.toarray() > 0  # the same pairs for all
    ours = sp.csr_array((ours.toarray()[kept], np.nonzero(kept)), shape=kept.shape)
    by_label = isotonic_by_label(scores, Y, new_scores)
    pooled = IsotonicCalibration().fit(scores, Y).transform(new_scores)
    ece = [expected_calibration_error(new_Y, p) for p in (ours, by_label, pooled, new_scores)]
    brier = [brier_score(new_Y, p) for p in (ours, by_label, pooled, new_scores)]
    assert brier[0] < min(brier[1:])
    assert ece[0] < ece[1] + 0.001
    assert ece[0] < ece[3] / 5
    for labels in (slice(0, 10), slice(10, 30), slice(30, 60)):  # head, middle and tail
        parts = [brier_score(new_Y[:, labels], p[:, labels]) for p in (ours, by_label)]
        assert parts[0] < parts[1] + 1e-4


# Scores of rows that the model was trained on


def interpolate(X, Y, at):
    """The scores of a linear model that fits its training rows exactly."""
    return np.clip(at @ (np.linalg.pinv(X) @ Y), 0, 1)


def rows_with(n_labels, *, common, seed=0):
    """300 rows of 400 features, and labels with ``common`` positives, or one each."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 400))
    Y = np.zeros((300, n_labels), dtype=int)
    for label in range(n_labels):
        Y[rng.choice(300, common if label < 5 else 1, replace=False), label] = 1
    X[:, :n_labels] += 3 * Y[:, :400]  # something to learn
    return X, Y


@pytest.mark.parametrize(
    ("n_labels", "common", "message"),
    [
        (60, 30, "leads its label in 100% of the labels with one positive"),
        (5, 100, "the highest score is true"),
    ],
)
def test_scores_of_training_rows_are_told(n_labels, common, message):
    X, Y = rows_with(n_labels, common=common)
    Y[~Y.any(axis=1), 0] = 1
    half = np.arange(300) % 2 == 0
    held_out = np.empty(Y.shape)
    held_out[half], held_out[~half] = (
        interpolate(X[~half], Y[~half], X[half]),
        interpolate(X[half], Y[half], X[~half]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", InSampleScoresWarning)
        linear().fit(held_out, Y)
        linear().fit(held_out, Y, folds=half)
    with pytest.warns(InSampleScoresWarning, match=message) as caught:
        linear().fit(interpolate(X, Y, X), Y)
    assert caught[0].filename == __file__  # it points at the caller
    with pytest.warns(InSampleScoresWarning, match=message):
        linear().fit(interpolate(X, Y, X), Y, folds=half)


def test_perfect_scores_are_told_though_many_rows_have_no_label():
    scores, Y, _ = make_data()
    assert 100 < Y.any(axis=1).sum() < 250
    with pytest.warns(InSampleScoresWarning, match=r"true in 100.0% of the rows with labels"):
        linear().fit(Y * 0.8 + 0.1 * scores, Y)


def test_good_held_out_scores_are_not_suspected():
    scores, Y, local = make_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error", InSampleScoresWarning)
        linear().fit(scores, Y, local=local)
        linear().fit(scores[:, :1], Y[:, :1])


# Bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "f1"}, "target must be one of macro_f1"),
        ({"target": "precision"}, "needs target_value: the precision to reach"),
        ({"target": "budget", "target_value": 0}, "at least 1; got 0"),
        ({"target_value": 0.5}, "takes no target_value"),
        ({"fusion": "mean"}, "fusion must be 'auto', 'boosted' or 'linear'; got 'mean'"),
        ({"evaluation_rows": 0}, "evaluation_rows must be a whole number, at least 1, or None; got 0"),
        ({"evaluation_rows": -5}, "evaluation_rows must be a whole number, at least 1, or None; got -5"),
    ],
)
def test_fit_refuses_parameters(parameters, message):
    scores, Y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        AdaptiveThreshold(**parameters).fit(scores, Y)


def test_fit_refuses_folds_and_training_labels():
    scores, Y, _ = make_data()
    folds = np.arange(300) % 3
    with pytest.raises(ValueError, match=r"Give Y_train .* or folds .*, not both"):
        linear().fit(scores, Y, folds=folds, Y_train=Y)
    with pytest.raises(ValueError, match=r"folds must have shape \(300,\), one entry a row; got \(299,\)"):
        linear().fit(scores, Y, folds=folds[1:])
    with pytest.raises(ValueError, match="folds names one fold only"):
        linear().fit(scores, Y, folds=np.zeros(300))
    with pytest.raises(ValueError, match="folds must not hold missing values; found nan in row 7"):
        linear().fit(scores, Y, folds=np.where(np.arange(300) == 7, np.nan, folds))
    with pytest.raises(ValueError, match="Y_train has 7 labels but 8 were expected"):
        linear().fit(scores, Y, Y_train=Y[:, 1:])
    with pytest.raises(ValueError, match="Y_train must hold only 0 and 1"):
        linear().fit(scores, Y, Y_train=3 * Y)


@pytest.mark.parametrize("fill", [0, 1])
def test_one_class_only(fill):
    with pytest.raises(ValueError, match="hold only one class"):
        AdaptiveThreshold().fit(np.full((4, 3), 0.4), np.full((4, 3), fill))


def test_no_rows_to_fit():
    with pytest.raises(ValueError, match="hold only one class"):
        AdaptiveThreshold().fit(np.zeros((0, 3)), np.zeros((0, 3)))


def test_scored_pairs_of_one_class_only():
    scores = sp.csr_array(np.array([[0.5, 0], [0.4, 0]]))
    with pytest.raises(ValueError, match="hold only one class"):
        AdaptiveThreshold().fit(scores, np.array([[0, 1], [0, 1]]))


def changed(matrix, value):
    matrix = matrix.copy()
    matrix[3, 2] = value
    return matrix


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s, Y, k: (changed(s, np.nan), Y, k),
            "scores must be finite; found NaN or infinity in row 3, label 2",
        ),
        (lambda s, Y, k: (changed(s, -np.inf), Y, k), "scores must be finite"),
        (lambda s, Y, k: (logit(s), Y, k), r"probabilities in \[0, 1\].*expit"),
        (lambda s, Y, k: (s[:, 1:], Y, k), "scores has 7 labels but 8 were expected"),
        (lambda s, Y, k: (s[1:], Y, k), "scores has 299 rows but 300 were expected"),
        (lambda s, Y, k: (s, Y, k[1:]), "local has 299 rows but 300 were expected"),
        (lambda s, Y, k: (s, Y, k[:, 1:]), "local has 7 labels but 8 were expected"),
        (lambda s, Y, k: (s, Y, 2 * k), r"local must be probabilities in \[0, 1\]"),
        (lambda s, Y, k: (s, 2 * Y, k), "Y must hold only 0 and 1; found 2"),
        (lambda s, Y, k: (s, Y[:0], k), "scores has 300 rows but 0 were expected"),
    ],
)
def test_fit_refuses(form, change, message):
    scores, Y, local = change(*make_data())
    with pytest.raises(ValueError, match=message):
        AdaptiveThreshold().fit(form(scores), Y, local=local)


@pytest.mark.parametrize("method", ["decide", "predict", "predict_proba", "thresholds", "margins"])
def test_prediction_refuses(method):
    scores, Y, local = make_data()
    affinity = make_affinity(Y)
    with pytest.raises(NotFittedError):
        getattr(AdaptiveThreshold(), method)(scores)
    predict = getattr(linear().fit(scores, Y, local=local, affinity=affinity), method)
    with pytest.raises(
        ValueError, match=r"fit was given local; pass local=NeighborLabels\.transform\(X\) here"
    ):
        predict(scores, affinity=affinity)
    with pytest.raises(ValueError, match=r"given affinity; pass affinity=LabelAffinity\.transform\(X\) here"):
        predict(scores, local=local)
    signals = {"local": local, "affinity": affinity}
    with pytest.raises(ValueError, match="scores has 5 labels but 8 were expected"):
        predict(scores[:, :5], **signals)
    with pytest.raises(ValueError, match="local has 300 rows but 299 were expected"):
        predict(scores[1:], **signals)
    with pytest.raises(ValueError, match="affinity has 7 labels but 8 were expected"):
        predict(scores, local=local, affinity=affinity[:, 1:])
    with pytest.raises(ValueError, match="scores must be finite"):
        predict(changed(scores, np.nan), **signals)
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\].*expit"):
        predict(logit(scores), **signals)


def test_signals_that_fit_did_not_have_are_not_used():
    scores, Y, local = make_data()
    rule = linear().fit(scores, Y)
    np.testing.assert_array_equal(rule.predict(scores, local=local), rule.predict(scores))
