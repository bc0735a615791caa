"""Macro-F1 plus micro-F1, label after label: against brute force, and against LibMultiLabel."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.rules import MicroMacroThreshold, SCut


def micro_macro_thresholds(Y, filled, folds):
    """Try every threshold of every label in turn, written as the sums that the objective is defined by."""
    order = sorted(range(Y.shape[1]), key=lambda j: (Y[:, j].sum(), j), reverse=True)
    before = np.zeros(3)  # tp, fp, fn of the labels already decided
    thresholds = np.full(Y.shape[1], np.inf)
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
            thresholds[j] = np.mean(chosen)
    return thresholds


def f1(counts):
    tp, fp, fn = counts
    return 2 * tp / max(2 * tp + fp + fn, 1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_folds", [1, 3])
def test_micro_macro_threshold_against_brute_force(make_case, seed, n_folds):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    rows = np.random.RandomState(0).permutation(len(Y))
    folds = [rows[k * len(Y) // n_folds : (k + 1) * len(Y) // n_folds] for k in range(n_folds)]
    stored[np.setdiff1d(rows, folds[0]), 3] = False  # scores in one fold only
    stored[folds[0], 4] = False  # scores in no fold, or in the later ones only
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        rule = MicroMacroThreshold(n_folds).fit(given, Y)
        np.testing.assert_allclose(rule.thresholds_, micro_macro_thresholds(Y, filled, folds), rtol=1e-14)


def test_micro_f1_keeps_the_threshold_of_a_rare_label_high():
    falling = np.linspace(0.9, 0.1, 9)
    Y = np.zeros((9, 2), dtype=int)
    Y[:4, 0] = 1  # found without an error: 2 * tp = 8, and 2 * tp + fp + fn = 8
    scores = np.column_stack([falling, falling])
    low, high = Y.copy(), Y.copy()
    low[8, 1] = high[3, 1] = 1
    # with all 9 rows: (2 / 10) / 2 + 10 / 18 < 0 / 2 + 8 / 9; alone, the label would predict them all
    assert SCut().fit(scores, low).thresholds_[1] < 0.1
    np.testing.assert_allclose(MicroMacroThreshold(1).fit(scores, low).thresholds_, [0.55, 0.9])
    # with the first 4 rows: (2 / 5) / 2 + 10 / 13 > 0 / 2 + 8 / 9
    np.testing.assert_allclose(MicroMacroThreshold(1).fit(scores, high).thresholds_, [0.55, 0.55])


def test_nothing_is_counted_before_the_first_label():
    falling, y = np.linspace(0.9, 0.1, 11)[:, np.newaxis], [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    # alone, macro-F1 and micro-F1 are the label's F1: 6 / 14 with all rows, 2 / 5 with two of them
    rule = MicroMacroThreshold(1).fit(falling, np.array(y)[:, np.newaxis])
    assert rule.thresholds_ < 0.1
    np.testing.assert_allclose(rule.thresholds_, SCut().fit(falling, np.array(y)[:, np.newaxis]).thresholds_)


def test_a_label_without_positives_has_its_threshold_at_the_mean_of_the_highest_scores():
    scores, Y = np.array([[0.2], [0.5], [0.8]]), np.zeros((3, 1))
    assert MicroMacroThreshold(3).fit(scores, Y).thresholds_ == pytest.approx([0.5])
    assert MicroMacroThreshold(1).fit(scores, Y).thresholds_ == [np.nextafter(0.8, 1)]


def test_folds_follow_the_random_state(make_case):
    Y, scores, *_ = make_case(0, n_samples=60, decimals=6)
    thresholds = [MicroMacroThreshold(random_state=seed).fit(scores, Y).thresholds_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(thresholds[0], thresholds[1])
    assert (thresholds[0] != thresholds[2]).any()


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
    """LibMultiLabel's own code for the thresholds; it trains no model here."""
    from adathresh.experiments.benchmarks import libmultilabel_linear

    try:
        return libmultilabel_linear()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_micro_macro_thresholds_are_those_of_libmultilabel(libmultilabel, monkeypatch, seed, dtype):
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
    rule = MicroMacroThreshold(random_state=seed).fit(scores, Y)
    # the package adds its threshold to the score
    np.testing.assert_array_equal(rule.thresholds_, -model.thresholds)
    np.testing.assert_array_equal(rule.predict(scores), scores + model.thresholds > 0)
