"""Every label's own best threshold, against brute force and values worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.metrics import macro_f1
from adathresh.rules import GlobalThreshold, SCut


def best_of_one_label(y, s):
    """F1 and the highest of the best thresholds of one label, by brute force."""
    best_f1, best = 0.0, np.inf
    distinct = np.unique(s[np.isfinite(s)])[::-1]
    for k, upper in enumerate(distinct):
        p = s >= upper
        f1 = 2 * (y & p).sum() / (y.sum() + p.sum())
        if f1 > best_f1:
            best_f1 = f1
            best = (upper + distinct[k + 1]) / 2 if k + 1 < len(distinct) else np.nextafter(upper, -np.inf)
    return best_f1, best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("fallback", [None, "top", "never"])
def test_scut_against_brute_force(make_case, seed, fallback):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    fbr = 0.6
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        rule = SCut(fallback, fbr=fbr).fit(given, Y)
        for j in range(Y.shape[1]):
            f1, threshold = best_of_one_label(Y[:, j].astype(bool), filled[:, j])
            assert rule.f1_[j] == pytest.approx(f1)
            if fallback is not None and f1 < fbr and Y[:, j].any():
                top = filled[:, j].max()
                threshold = top if fallback == "top" and np.isfinite(top) else np.inf
            assert rule.thresholds_[j] == pytest.approx(threshold, abs=1e-12)
        assert rule.thresholds_[0] == np.inf  # no positives
        if fallback is None:
            reached = macro_f1(Y, rule.predict(given))
            assert reached == pytest.approx(rule.f1_.mean())
            assert reached >= macro_f1(Y, GlobalThreshold().fit(given, Y).predict(given)) - 1e-12


def test_fallback_takes_part_only_below_its_bound(make_case):
    Y, scores, *_ = make_case(1)
    plain = SCut().fit(scores, Y)
    np.testing.assert_array_equal(SCut("top", fbr=0).fit(scores, Y).thresholds_, plain.thresholds_)
    at_bound = SCut("never", fbr=plain.f1_[3]).fit(scores, Y)
    assert at_bound.thresholds_[3] == plain.thresholds_[3]


def test_label_with_only_positives_has_its_threshold_just_below_its_lowest_score():
    rule = SCut().fit([[0.3], [0.9]], [[1], [1]])
    assert rule.thresholds_ == [np.nextafter(0.3, 0)]
    np.testing.assert_array_equal(rule.predict([[0.3], [0.29]]), [[1], [0]])


def test_scutfbr_by_hand():
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.9], [0.1, 0.3]]
    Y = [[0, 0], [0, 0], [0, 1], [1, 0]]  # best F1: 2/5 with every row predicted, and 1
    np.testing.assert_allclose(SCut().fit(scores, Y).thresholds_, [0.1, 0.6])
    np.testing.assert_allclose(SCut("top", fbr=0.5).fit(scores, Y).thresholds_, [0.9, 0.6])
    np.testing.assert_allclose(SCut("never", fbr=0.5).fit(scores, Y).thresholds_, [np.inf, 0.6])
