"""Half of the greatest expected F1, against a loop, and on probabilities of every size."""

import numpy as np
import pytest

from adathresh.metrics import macro_f1
from adathresh.rules import ExpectedF1Threshold, SCut


@pytest.mark.parametrize("seed", range(8))
def test_expected_f1_threshold_against_a_loop(make_case, seed):
    _, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, 0))):
        rule = ExpectedF1Threshold().fit(given)
        for j, p in enumerate(filled.T):
            p = np.sort(p)[::-1]
            values = [2 * p[:count].sum() / (count + p.sum()) for count in range(1, len(p) + 1)]
            assert rule.f1_[j] == pytest.approx(max(values))
            assert rule.thresholds_[j] == pytest.approx(max(values) / 2)
            # what the threshold predicts reaches the maximum
            predicted = p > rule.thresholds_[j]
            assert 2 * p[predicted].sum() / (predicted.sum() + p.sum()) == pytest.approx(max(values))


def test_expected_f1_threshold_is_scut_when_the_probabilities_are_the_truth(make_case):
    Y, *_ = make_case(0)
    rule = ExpectedF1Threshold().fit(Y)
    np.testing.assert_array_equal(rule.thresholds_, np.where(Y.any(axis=0), 0.5, np.inf))


def test_expected_f1_threshold_keeps_tiny_probabilities_apart_from_large_ones():
    n = 20_000
    p = np.column_stack([np.full(n, 0.9), np.r_[1e-6, np.zeros(n - 1)]])
    rule = ExpectedF1Threshold().fit(p)
    assert rule.f1_[1] == pytest.approx(2e-6 / (1 + 1e-6), rel=1e-4)


def test_expected_f1_threshold_is_near_the_best_of_calibrated_scores():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3, size=(4000, 10))
    Y = (rng.random(p.shape) < p).astype(int)
    tuned = SCut().fit(p[:2000], Y[:2000]).predict(p[2000:])
    expected = ExpectedF1Threshold().fit(p[:2000]).predict(p[2000:])
    assert macro_f1(Y[2000:], expected) > macro_f1(Y[2000:], tuned) - 0.01
    assert macro_f1(Y[2000:], expected) > macro_f1(Y[2000:], (p[2000:] > 0.5).astype(int)) + 0.05


def test_expected_f1_threshold_refuses_logits():
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        ExpectedF1Threshold().fit([[-1.0, 2.0]])
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        ExpectedF1Threshold().fit([[0.1, 0.2]]).predict([[-1.0, 2.0]])
