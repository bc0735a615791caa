"""Cuts against brute force over all of them, values worked out by hand, and LibMultiLabel."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.experiments.benchmarks import libmultilabel_linear
from adathresh.metrics import macro_f1, micro_f1
from adathresh.rules import (
    ExpectedF1Cut,
    FixedCut,
    GlobalCut,
    MicroMacroCut,
    PerLabelCut,
    ProportionalCut,
)

SEEDS = range(8)


def fill(scores, stored):
    """An array in which absent pairs can never be predicted."""
    return np.where(stored, scores, -np.inf)


def cuts_to_try(scores):
    """One cut below each distinct score, and one above all; absent pairs do not count."""
    return np.r_[np.unique(scores[np.isfinite(scores)]) - 1e-9, np.inf]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "metric"), [("macro_f1", macro_f1), ("micro_f1", micro_f1)])
def test_global_cut_is_the_best_of_all(make_case, seed, name, metric):
    Y, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        values = {cut: metric(Y, (filled > cut).astype(int)) for cut in cuts_to_try(filled)}
        rule = GlobalCut(name).fit(given, Y)
        assert metric(Y, rule.predict(given)) == pytest.approx(max(values.values()), abs=1e-12)
        # of equally good cuts the highest, midway to the next lower score
        best = max(cut for cut, value in values.items() if value > max(values.values()) - 1e-12)
        upper = best + 1e-9
        lower = [s for s in np.unique(filled[np.isfinite(filled)]) if s < upper - 1e-6]
        assert rule.thresholds_ == pytest.approx((upper + lower[-1]) / 2 if lower else upper)


def best_label_cut(y, s):
    """F1 and the highest of the best cuts of one label, by brute force."""
    best_f1, best_cut = 0.0, np.inf
    distinct = np.unique(s[np.isfinite(s)])[::-1]
    for k, upper in enumerate(distinct):
        p = s >= upper
        f1 = 2 * (y & p).sum() / (y.sum() + p.sum())
        if f1 > best_f1:
            best_f1 = f1
            best_cut = (
                (upper + distinct[k + 1]) / 2 if k + 1 < len(distinct) else np.nextafter(upper, -np.inf)
            )
    return best_f1, best_cut


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fallback", [None, "top", "never"])
def test_per_label_cut_against_brute_force(make_case, seed, fallback):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    fbr = 0.6
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        rule = PerLabelCut(fallback, fbr=fbr).fit(given, Y)
        for j in range(Y.shape[1]):
            f1, cut = best_label_cut(Y[:, j].astype(bool), filled[:, j])
            assert rule.f1_[j] == pytest.approx(f1)
            if fallback is not None and f1 < fbr and Y[:, j].any():
                top = filled[:, j].max()
                cut = top if fallback == "top" and np.isfinite(top) else np.inf
            assert rule.thresholds_[j] == pytest.approx(cut, abs=1e-12)
        assert rule.thresholds_[0] == np.inf  # no positives
        if fallback is None:
            reached = macro_f1(Y, rule.predict(given))
            assert reached == pytest.approx(rule.f1_.mean())
            assert reached >= macro_f1(Y, GlobalCut().fit(given, Y).predict(given)) - 1e-12


def test_fallback_takes_part_only_below_its_bound(make_case):
    Y, scores, *_ = make_case(1)
    plain = PerLabelCut().fit(scores, Y)
    np.testing.assert_array_equal(PerLabelCut("top", fbr=0).fit(scores, Y).thresholds_, plain.thresholds_)
    at_bound = PerLabelCut("never", fbr=plain.f1_[3]).fit(scores, Y)
    assert at_bound.thresholds_[3] == plain.thresholds_[3]


def test_label_with_only_positives_is_cut_just_below_its_lowest_score():
    rule = PerLabelCut().fit([[0.3], [0.9]], [[1], [1]])
    assert rule.thresholds_ == [np.nextafter(0.3, 0)]
    np.testing.assert_array_equal(rule.predict([[0.3], [0.29]]), [[1], [0]])


def test_scutfbr_by_hand():
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.9], [0.1, 0.3]]
    Y = [[0, 0], [0, 0], [0, 1], [1, 0]]  # best F1: 2/5 with every row predicted, and 1
    np.testing.assert_allclose(PerLabelCut().fit(scores, Y).thresholds_, [0.1, 0.6])
    np.testing.assert_allclose(PerLabelCut("top", fbr=0.5).fit(scores, Y).thresholds_, [0.9, 0.6])
    np.testing.assert_allclose(PerLabelCut("never", fbr=0.5).fit(scores, Y).thresholds_, [np.inf, 0.6])


def proportional_cut(y, s):
    """Cut of one label, by going down its scores one distinct value at a time."""
    cut = np.inf
    if y.any():
        distinct = [*np.unique(s[np.isfinite(s)])[::-1], -np.inf]
        cut = distinct[0] if len(distinct) > 1 else np.inf
        for upper, lower in pairwise(distinct):
            if (s >= upper).sum() <= y.sum():
                cut = (upper + lower) / 2 if np.isfinite(lower) else np.nextafter(upper, -np.inf)
    return cut


@pytest.mark.parametrize("seed", SEEDS)
def test_proportional_cut_against_a_loop(make_case, seed):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        rule = ProportionalCut().fit(given, Y)
        expected = [proportional_cut(*columns) for columns in zip(Y.T, filled.T, strict=True)]
        np.testing.assert_allclose(rule.thresholds_, expected, atol=1e-12)


def test_proportional_cut_predicts_as_many_rows_as_there_are_positives():
    rng = np.random.default_rng(0)
    Y = (rng.random((60, 9)) < np.linspace(0, 1, 9)).astype(int)
    scores = rng.random(Y.shape)  # no ties, and no relation to the labels
    np.testing.assert_array_equal(ProportionalCut().fit(scores, Y).predict(scores).sum(axis=0), Y.sum(axis=0))


def test_proportional_cut_leaves_ties_out():
    Y = [[1], [1], [0], [0]]
    assert ProportionalCut().fit([[0.9], [0.5], [0.5], [0.1]], Y).thresholds_ == [0.7]
    assert ProportionalCut().fit([[0.5], [0.5], [0.5], [0.1]], Y).thresholds_ == [0.5]


# Micro- and macro-F1 together, label after label


def micro_macro_cuts(Y, filled, folds):
    """Try every cut of every label in turn, written as the sums that the objective is defined by."""
    order = sorted(range(Y.shape[1]), key=lambda j: (Y[:, j].sum(), j), reverse=True)
    before = np.zeros(3)  # tp, fp, fn of the labels already decided
    cuts = np.full(Y.shape[1], np.inf)
    for place, j in enumerate(order, start=1):
        chosen, reached = [], np.zeros(3)
        for part in folds:
            y, s = Y[part, j].astype(bool), filled[part, j]
            distinct = np.unique(s[np.isfinite(s)])[::-1]
            best = (-1.0, None, None)
            for k in range(len(distinct) + 1):  # k distinct scores are predicted
                p = s >= distinct[k - 1] if k else np.zeros(len(s), dtype=bool)
                counts = np.array([(y & p).sum(), (~y & p).sum(), (y & ~p).sum()])
                value = f1(counts) / place + f1(before + counts)
                if value > best[0]:
                    best = (value, k, counts)
            _, k, counts = best
            reached += counts
            if len(distinct) and k == 0:
                chosen.append(np.nextafter(distinct[0], np.inf))
            elif len(distinct) and k == len(distinct):
                chosen.append(np.nextafter(distinct[-1], -np.inf))
            elif len(distinct):
                chosen.append((distinct[k - 1] + distinct[k]) / 2)
        before += reached
        if chosen:
            cuts[j] = np.mean(chosen)
    return cuts


def f1(counts):
    tp, fp, fn = counts
    return 2 * tp / max(2 * tp + fp + fn, 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_folds", [1, 3])
def test_micro_macro_cut_against_brute_force(make_case, seed, n_folds):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    rows = np.random.RandomState(0).permutation(len(Y))
    folds = [rows[k * len(Y) // n_folds : (k + 1) * len(Y) // n_folds] for k in range(n_folds)]
    stored[np.setdiff1d(rows, folds[0]), 3] = False  # scores in one fold only
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        rule = MicroMacroCut(n_folds).fit(given, Y)
        np.testing.assert_allclose(rule.thresholds_, micro_macro_cuts(Y, filled, folds), rtol=1e-14)


def test_micro_f1_keeps_the_cut_of_a_rare_label_high():
    falling = np.linspace(0.9, 0.1, 9)
    Y = np.zeros((9, 2), dtype=int)
    Y[:4, 0] = 1  # found without an error: 2 * tp = 8, and 2 * tp + fp + fn = 8
    scores = np.column_stack([falling, falling])
    low, high = Y.copy(), Y.copy()
    low[8, 1] = high[3, 1] = 1
    # with all 9 rows: (2 / 10) / 2 + 10 / 18 < 0 / 2 + 8 / 9; alone, the label would predict them all
    assert PerLabelCut().fit(scores, low).thresholds_[1] < 0.1
    np.testing.assert_allclose(MicroMacroCut(1).fit(scores, low).thresholds_, [0.55, 0.9])
    # with the first 4 rows: (2 / 5) / 2 + 10 / 13 > 0 / 2 + 8 / 9
    np.testing.assert_allclose(MicroMacroCut(1).fit(scores, high).thresholds_, [0.55, 0.55])


def test_a_label_without_positives_is_cut_at_the_mean_of_the_highest_scores():
    scores, Y = np.array([[0.2], [0.5], [0.8]]), np.zeros((3, 1))
    assert MicroMacroCut(3).fit(scores, Y).thresholds_ == pytest.approx([0.5])
    assert MicroMacroCut(1).fit(scores, Y).thresholds_ == [np.nextafter(0.8, 1)]


def test_folds_follow_the_random_state(make_case):
    Y, scores, *_ = make_case(0, n_samples=60, decimals=6)
    cuts = [MicroMacroCut(random_state=seed).fit(scores, Y).thresholds_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(cuts[0], cuts[1])
    assert (cuts[0] != cuts[2]).any()


class NumPyForLibMultiLabel:
    """The numpy that LibMultiLabel 0.10 sees here: our shuffling, and the sums that it relies on.

    ``np.sum(y, 2)`` of a CSC matrix, which current SciPy refuses, gave one sum for each column. A part of a
    unit that rises with the label tells equally frequent labels apart: argsort leaves their order open.
    """

    def __init__(self, random_state):
        # the same rows in the folds of every label, anew on every call
        self.random = SimpleNamespace(
            permutation=lambda n: np.random.RandomState(random_state).permutation(n)
        )

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def sum(a, axis=None):
        if axis != 2:
            return np.sum(a, axis)
        return a.sum(axis=0) + np.arange(a.shape[1]) / (2 * a.shape[1])


@pytest.fixture
def libmultilabel():
    """LibMultiLabel's own code for the cuts; it trains no model here."""
    try:
        return libmultilabel_linear()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_micro_macro_cuts_are_those_of_libmultilabel(libmultilabel, monkeypatch, seed, dtype):
    rng = np.random.default_rng(seed)
    n_samples, n_labels = 301, 40
    Y = (rng.random((n_samples, n_labels)) < 0.4 / np.arange(1, n_labels + 1)).astype(int)
    Y[:, 7], Y[:, 11], Y[:, 12] = 0, 1, 0
    scores = (rng.normal(size=Y.shape) + 1.5 * Y).astype(dtype)  # no two are equal
    one_label = libmultilabel._micromacro_one_label

    def with_our_scores(y, x, options, stats):
        # a model of one feature, this label's score, with the weight 1
        label = to_come.pop(next(i for i, j in enumerate(to_come) if np.array_equal(2 * Y[:, j] - 1, y)))
        return one_label(y, x[:, [label]], options, stats)

    weight = np.asmatrix([[1.0]])
    to_come = sorted(range(n_labels), key=lambda j: (Y[:, j].sum(), j), reverse=True)
    monkeypatch.setattr(libmultilabel, "np", NumPyForLibMultiLabel(seed))
    monkeypatch.setattr(libmultilabel, "_do_train", lambda y, x, options: weight)
    monkeypatch.setattr(libmultilabel, "_micromacro_one_label", with_our_scores)
    model = libmultilabel.train_thresholding(sp.csr_matrix(Y), sp.csr_matrix(scores), verbose=False)
    rule = MicroMacroCut(random_state=seed).fit(scores, Y)
    # the package adds its threshold to the score
    np.testing.assert_array_equal(rule.thresholds_, -model.thresholds)
    np.testing.assert_array_equal(rule.predict(scores), scores + model.thresholds > 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_expected_f1_cut_against_a_loop(make_case, seed):
    _, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, 0))):
        rule = ExpectedF1Cut().fit(given)
        for j, p in enumerate(filled.T):
            p = np.sort(p)[::-1]
            values = [2 * p[:count].sum() / (count + p.sum()) for count in range(1, len(p) + 1)]
            assert rule.f1_[j] == pytest.approx(max(values))
            assert rule.thresholds_[j] == pytest.approx(max(values) / 2)
            # what the cut predicts reaches the maximum
            predicted = p > rule.thresholds_[j]
            assert 2 * p[predicted].sum() / (predicted.sum() + p.sum()) == pytest.approx(max(values))


def test_expected_f1_cut_is_scut_when_the_probabilities_are_the_truth(make_case):
    Y, *_ = make_case(0)
    rule = ExpectedF1Cut().fit(Y)
    np.testing.assert_array_equal(rule.thresholds_, np.where(Y.any(axis=0), 0.5, np.inf))


def test_expected_f1_cut_keeps_tiny_probabilities_apart_from_large_ones():
    n = 20_000
    p = np.column_stack([np.full(n, 0.9), np.r_[1e-6, np.zeros(n - 1)]])
    rule = ExpectedF1Cut().fit(p)
    assert rule.f1_[1] == pytest.approx(2e-6 / (1 + 1e-6), rel=1e-4)


def test_expected_f1_cut_is_near_the_best_cut_of_calibrated_scores():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3, size=(4000, 10))
    Y = (rng.random(p.shape) < p).astype(int)
    tuned = PerLabelCut().fit(p[:2000], Y[:2000]).predict(p[2000:])
    expected = ExpectedF1Cut().fit(p[:2000]).predict(p[2000:])
    assert macro_f1(Y[2000:], expected) > macro_f1(Y[2000:], tuned) - 0.01
    assert macro_f1(Y[2000:], expected) > macro_f1(Y[2000:], (p[2000:] > 0.5).astype(int)) + 0.05


def test_fixed_cut_is_strict_and_takes_every_cut():
    scores = np.array([[0.5, 0.50001]])
    np.testing.assert_array_equal(FixedCut().fit(scores).predict(scores), [[0, 1]])
    np.testing.assert_array_equal(FixedCut(-np.inf).fit(scores).predict(scores), [[1, 1]])
    np.testing.assert_array_equal(FixedCut(np.inf).fit(scores).predict(scores), [[0, 0]])


@pytest.mark.parametrize(
    "rule", [GlobalCut(), GlobalCut("micro_f1"), PerLabelCut(), ProportionalCut(), MicroMacroCut(1)], ids=str
)
@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (0.1, np.nextafter(0.1, 1)),
        (np.nextafter(0.1, 0), 0.1),
        (-1.7e308, 1.7e308),
        (1.6e308, 1.7e308),
        (0.0, 5e-324),
        (-5e-324, 0.0),
        (-1e300, 1e-300),
    ],
)
def test_cut_parts_neighbouring_floats(rule, lower, upper):
    scores = np.array([[lower], [upper]])
    np.testing.assert_array_equal(rule.fit(scores, [[0], [1]]).predict(scores), [[0], [1]])
    np.testing.assert_array_equal(rule.fit(scores, [[1], [1]]).predict(scores), [[1], [1]])


def test_expected_f1_cut_refuses_logits():
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        ExpectedF1Cut().fit([[-1.0, 2.0]])
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        ExpectedF1Cut().fit([[0.1, 0.2]]).predict([[-1.0, 2.0]])
