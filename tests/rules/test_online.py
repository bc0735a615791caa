"""Thresholds that follow the F1 from row to row, against a naive loop and what they tend to."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.metrics import macro_f1
from adathresh.rules import ExpectedF1Threshold, OnlineF1Threshold


def naive_thresholds(Y, filled, *, n_passes, seed):
    """One label after the other, −inf marks a pair without a score."""
    thresholds = []
    for label in range(Y.shape[1]):
        rng, found, counted = np.random.RandomState(seed), 0, 0
        for _ in range(n_passes):
            for row in rng.permutation(len(Y)):
                threshold = found / counted if counted else 0
                predicted = filled[row, label] > threshold
                found += int(predicted and Y[row, label])
                counted += int(predicted) + int(Y[row, label])
        thresholds.append(found / counted if found else np.inf)
    return thresholds


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_passes", [1, 3])
def test_against_a_naive_loop(make_case, seed, n_passes):
    Y, scores, stored, _ = make_case(seed, decimals=6)
    Y[4, 2], stored[:, 2], stored[7] = 1, False, False
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        rule = OnlineF1Threshold(n_passes, random_state=seed).fit(given, Y)
        expected = naive_thresholds(Y, filled, n_passes=n_passes, seed=seed)
        np.testing.assert_allclose(rule.thresholds_, expected, rtol=1e-14)


def test_by_hand():
    """Whatever the order of two true rows: a, b = 1, 2 and then, as 0.6 > 1/2 and 0.7 > 1/2, 2, 4."""
    assert OnlineF1Threshold(1).fit([[0.6], [0.7]], [[1], [1]]).thresholds_ == [0.5]
    assert OnlineF1Threshold(1).fit([[0.4], [0.3]], [[1], [1]]).thresholds_ == [1 / 3]  # the second is not
    assert OnlineF1Threshold(1).fit([[0.5], [0.5]], [[1], [1]]).thresholds_ == [
        1 / 3
    ]  # nor one that is equal


def test_it_tends_to_half_of_the_best_f1_of_calibrated_probabilities():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 3)) ** np.array([1, 2, 4])
    Y = (rng.random(p.shape) < p).astype(int)
    online, expected = OnlineF1Threshold().fit(p, Y), ExpectedF1Threshold().fit(p)
    np.testing.assert_allclose(online.thresholds_, expected.thresholds_, atol=0.02)
    assert 2 * online.thresholds_.mean() == pytest.approx(macro_f1(Y, online.predict(p)), abs=0.01)
    assert macro_f1(Y, online.predict(p)) > macro_f1(Y, (p > 0.5).astype(int)) + 0.02


def test_rows_come_in_the_order_of_the_random_state(make_case):
    Y, scores, *_ = make_case(0, decimals=6)
    found = [OnlineF1Threshold(random_state=seed).fit(scores, Y).thresholds_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_logits_are_refused():
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        OnlineF1Threshold().fit([[-1.0, 2.0]], [[0, 1]])
