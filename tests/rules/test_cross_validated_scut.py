"""Cross-validated SCut: against brute force, SCut itself, and values worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.metrics import macro_f1
from adathresh.rules import CrossValidatedSCut, SCut


def smoothed_threshold(y, s, strength):
    """The highest of the thresholds of one label that are best for smoothed F1, by brute force."""
    distinct = np.unique(s[np.isfinite(s)])[::-1]
    if not y.any() or not len(distinct):
        return np.inf
    best = distinct[0] if strength else np.inf
    greatest = strength / (y.sum() + strength)
    for k, upper in enumerate(distinct):
        p = s >= upper
        value = (2 * (y & p).sum() + strength) / (y.sum() + p.sum() + strength)
        if (y & p).any() and value > greatest:
            greatest = value
            best = (upper + distinct[k + 1]) / 2 if k + 1 < len(distinct) else np.nextafter(upper, -np.inf)
    return best


def chosen_by_brute_force(remedy, Y, filled, strengths, fold, per_label):
    """Sum the counts of the parts held out in turn for each strength, and choose."""
    f1 = []
    for strength in strengths:
        predicted = np.zeros(Y.shape, dtype=bool)
        for part in np.unique(fold):
            fitted = thresholds_of(remedy, Y[fold != part], filled[fold != part], strength)
            predicted[fold == part] = filled[fold == part] > fitted
        total = np.maximum(predicted.sum(axis=0) + Y.sum(axis=0), 1)
        f1.append(2 * (predicted & (Y == 1)).sum(axis=0) / total)
    f1 = np.array(f1) if per_label else np.mean(f1, axis=1, keepdims=True)
    last = [
        max(i for i in range(len(f1)) if np.isclose(f1[i, j], f1[:, j].max())) for j in range(f1.shape[1])
    ]
    return f1, np.asarray(strengths)[last]


def thresholds_of(remedy, Y, filled, strength):
    """The thresholds of every label at one strength; those with a bound are SCut's."""
    if remedy == "smoothing":
        columns = zip(Y.T.astype(bool), filled.T, strict=True)
        return np.array([smoothed_threshold(y, s, strength) for y, s in columns])
    stored = np.isfinite(filled)
    scores = sp.csr_array((filled[stored], np.nonzero(stored)), shape=Y.shape)
    return SCut("top", fbr=strength).fit(scores, Y).thresholds_


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("remedy", ["smoothing", "fbr"])
@pytest.mark.parametrize("per_label", [False, True])
def test_against_brute_force(make_case, seed, remedy, per_label):
    Y, scores, stored, _ = make_case(seed, n_samples=31)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    strengths = [0.0, 0.5, 3.0] if remedy == "smoothing" else [0.2, 0.5, 0.9]
    fold = np.empty(31, dtype=int)
    fold[np.random.RandomState(0).permutation(31)] = np.arange(31) * 3 // 31
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        rule = CrossValidatedSCut(remedy, strengths=strengths, per_label=per_label).fit(given, Y)
        f1, chosen = chosen_by_brute_force(remedy, Y, filled, strengths, fold, per_label)
        np.testing.assert_allclose(rule.f1_.reshape(f1.shape), f1)
        np.testing.assert_array_equal(rule.strength_, chosen if per_label else chosen[0])
        for label, strength in enumerate(np.broadcast_to(rule.strength_, Y.shape[1])):
            expected = thresholds_of(remedy, Y, filled, strength)[label]
            assert rule.thresholds_[label] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_one_strength_is_scut_with_it(make_case, seed):
    Y, scores, stored, _ = make_case(seed)
    Y[:, 3] = np.arange(len(Y)) == 6
    stored[:, 3] = np.arange(len(Y)) != 6  # the only positive has no score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given in (scores, sparse):
        for ours, theirs in [
            (CrossValidatedSCut(strengths=[0]), SCut()),
            (CrossValidatedSCut("fbr", strengths=[0.6]), SCut("top", fbr=0.6)),
        ]:
            np.testing.assert_array_equal(ours.fit(given, Y).thresholds_, theirs.fit(given, Y).thresholds_)
            assert np.isnan(ours.f1_).all()


def test_a_label_whose_positive_has_no_score_takes_its_highest_score_if_it_is_smoothed():
    scores, Y = sp.csr_array([[0.75, 0.0], [0.5, 0.0], [0.0, 0.25]]), [[0, 0], [0, 0], [1, 1]]
    for strength, expected in ((0, np.inf), (1, 0.75)):
        rule = CrossValidatedSCut(strengths=[strength]).fit(scores, Y)
        np.testing.assert_array_equal(rule.thresholds_, [expected, np.nextafter(0.25, 0)])


def test_smoothing_raises_the_threshold_of_a_rare_label_only():
    falling = np.linspace(0.9, 0.1, 9)
    scores = np.column_stack([falling, falling])
    Y = np.zeros((9, 2), dtype=int)
    Y[:8, 0], Y[8, 1] = 1, 1
    # label 0: 17/17 with 8 rows; label 1 with all 9 rows: (2 + 1) / (10 + 1) < 1 / (1 + 1) with none
    np.testing.assert_allclose(CrossValidatedSCut(strengths=[1]).fit(scores, Y).thresholds_, [0.15, 0.9])
    assert CrossValidatedSCut(strengths=[0]).fit(scores, Y).thresholds_[1] < 0.1


def test_by_hand_a_threshold_must_be_worth_more_than_none():
    scores, Y = [[0.9], [0.8], [0.7]], [[0], [1], [0]]
    # two rows: (2 + s) / (3 + s); none: s / (1 + s); so 2 + 3·s + s² > 3·s + s² always
    assert CrossValidatedSCut(strengths=[100]).fit(scores, Y).thresholds_ == pytest.approx([0.75])
    scores, Y = [[0.9], [0.8], [0.7], [0.6]], [[0], [0], [0], [1]]
    # four rows: (2 + s) / (5 + s) > s / (1 + s) if and only if s < 1
    for strength, threshold in ((0.75, np.nextafter(0.6, 0)), (1, 0.9), (1.25, 0.9)):
        rule = CrossValidatedSCut(strengths=[strength]).fit(scores, Y)
        assert rule.thresholds_ == pytest.approx([threshold], abs=1e-15)


def test_smoothing_is_chosen_where_thresholds_overfit():
    """Rare labels that the scores say nothing about: their best thresholds are chance."""
    rng = np.random.default_rng(0)
    Y = (rng.random((600, 60)) < np.r_[np.full(20, 0.3), np.full(40, 0.01)]).astype(int)
    scores = rng.random(Y.shape) + 0.4 * Y
    fitted, other = slice(300), slice(300, None)
    rule = CrossValidatedSCut().fit(scores[fitted], Y[fitted])
    strengths = np.array([0, 0.5, 1, 2, 4, 8, 16])
    assert rule.strength_ == strengths[np.isclose(rule.f1_, rule.f1_.max(), rtol=0, atol=1e-12)].max()
    assert rule.strength_ > 0
    plain = SCut().fit(scores[fitted], Y[fitted]).predict(scores[other])
    assert macro_f1(Y[other], rule.predict(scores[other])) > macro_f1(Y[other], plain)


def test_a_label_chooses_for_itself():
    rng = np.random.default_rng(1)
    Y = (rng.random((200, 6)) < 0.1).astype(int)
    scores = rng.random(Y.shape) + Y * np.linspace(0, 1, 6)
    rule = CrossValidatedSCut(per_label=True).fit(scores, Y)
    assert rule.f1_.shape == (7, 6)
    assert rule.strength_.shape == (6,)
    assert rule.strength_[5] == 16  # it is found without an error at any strength: the greatest is taken
    assert len(set(rule.strength_)) > 1


def test_folds_follow_the_random_state(make_case):
    Y, scores, *_ = make_case(0, n_samples=60, decimals=6)
    f1 = [CrossValidatedSCut(random_state=seed).fit(scores, Y).f1_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(f1[0], f1[1])
    assert (f1[0] != f1[2]).any()


def test_strengths_come_in_any_order_and_once():
    Y, scores = np.eye(6, 2, dtype=int), np.random.default_rng(0).random((6, 2))
    given, sorted_ = (CrossValidatedSCut(strengths=s).fit(scores, Y) for s in ([4, 0, 1, 4], [0, 1, 4]))
    np.testing.assert_array_equal(given.f1_, sorted_.f1_)
    np.testing.assert_array_equal(given.thresholds_, sorted_.thresholds_)
