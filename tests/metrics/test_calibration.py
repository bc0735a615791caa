"""Reliability curves, ECE, Brier score and log-loss against naive loops and scikit-learn."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import binomtest, rankdata
from sklearn import metrics as sk

from adathresh import metrics as m
from adathresh.metrics.calibration import _equal_mass_bins, _wilson_interval

SEEDS = range(5)


def naive_ece(y, p, n_bins):
    bins = np.floor(n_bins * (rankdata(p) - 0.5) / len(p))
    return sum((bins == b).mean() * abs(p[bins == b].mean() - y[bins == b].mean()) for b in set(bins))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("decimals", [1, 15])
def test_calibration_metrics_against_loops(make_case, seed, decimals):
    Y, _, scores, stored, sparse = make_case(seed, decimals=decimals)
    filled = np.where(stored, scores, 0.0)
    cases = [
        (scores, "candidates", Y.ravel(), scores.ravel()),
        (scores, "all", Y.ravel(), scores.ravel()),
        (sparse, "candidates", Y[stored], scores[stored]),
        (sparse, "all", Y.ravel(), filled.ravel()),
    ]
    for given, pairs, y, p in cases:
        for n_bins in (1, 7, 15):
            ece = m.expected_calibration_error(Y, given, n_bins=n_bins, pairs=pairs)
            assert ece == pytest.approx(naive_ece(y, p, n_bins))
        assert m.brier_score(Y, given, pairs=pairs) == pytest.approx(np.mean((y - p) ** 2))
        q = np.clip(np.where(y == 1, p, 1 - p), 1e-7, None)
        assert m.log_loss(Y, given, pairs=pairs) == pytest.approx(-np.mean(np.log(q)))
    inner = np.clip(scores, 0.01, 0.99)
    assert m.log_loss(Y, inner) == pytest.approx(sk.log_loss(Y.ravel(), inner.ravel()))
    assert m.brier_score(Y, scores) == pytest.approx(sk.brier_score_loss(Y.ravel(), scores.ravel()))


def test_calibration_metrics_do_not_depend_on_the_order_of_rows(make_case):
    Y, _, _, _, sparse = make_case(3)
    order = np.random.default_rng(0).permutation(len(Y))
    for pairs in ("candidates", "all"):
        assert m.expected_calibration_error(Y[order], sparse[order], pairs=pairs) == pytest.approx(
            m.expected_calibration_error(Y, sparse, pairs=pairs), abs=1e-14
        )


@pytest.mark.filterwarnings("error")
def test_calibration_metrics_of_no_pairs():
    empty = sp.csr_array((2, 2))
    for metric in (m.expected_calibration_error, m.brier_score, m.log_loss):
        assert np.isnan(metric([[0, 0], [0, 1]], empty))
    assert m.brier_score([[0, 0], [0, 1]], empty, pairs="all") == 0.25
    assert m.expected_calibration_error([[0, 0], [0, 1]], empty, pairs="all") == 0.25
    assert m.log_loss([[0, 0], [0, 1]], empty, pairs="all") == pytest.approx(-np.log(1e-7) / 4)


@pytest.mark.parametrize("pairs", ["candidates", "all"])
@pytest.mark.parametrize("decimals", [1, 15])
@pytest.mark.parametrize("stored_zeros", [True, False])
def test_reliability_curve_against_a_loop(make_case, pairs, decimals, stored_zeros):
    Y, _, p, stored, _ = make_case(0, n_samples=200, n_labels=12, decimals=decimals, kept=0.5)
    if not stored_zeros:
        p = np.maximum(p, 0.05)
    sparse = sp.csr_array((p[stored], np.nonzero(stored)), shape=p.shape)
    curve = m.reliability_curve(Y, sparse, n_bins=10, pairs=pairs)
    y, p = (Y[stored], p[stored]) if pairs == "candidates" else (Y.ravel(), np.where(stored, p, 0).ravel())
    bins = np.floor(10 * (rankdata(p) - 0.5) / len(p))
    members = [bins == b for b in np.unique(bins)]
    np.testing.assert_allclose(curve.mean_predicted, [p[of].mean() for of in members], atol=1e-14)
    np.testing.assert_allclose(curve.observed, [y[of].mean() for of in members])
    np.testing.assert_array_equal(curve.count, [of.sum() for of in members])
    for k, of in enumerate(members):
        interval = binomtest(y[of].sum(), of.sum()).proportion_ci(method="wilson")
        assert (curve.low[k], curve.high[k]) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_bins_without_ties_have_equal_mass_and_ties_share_a_bin():
    p = np.arange(1, 61).reshape(6, 10) / 61
    np.testing.assert_array_equal(m.reliability_curve(np.zeros((6, 10)), p, n_bins=15).count, np.full(15, 4))
    assert m.reliability_curve(np.eye(4), np.full((4, 4), 0.3)).count.tolist() == [16]


def test_absent_pairs_of_a_huge_matrix_are_counted_not_stored():
    n = 100_000  # 10 billion pairs
    scores = sp.csr_array(([0.5, 0.0], ([0, 1], [0, 1])), shape=(n, n))
    Y = sp.csr_array(([1, 1], ([0, 2], [0, 2])), shape=(n, n))
    curve = m.reliability_curve(Y, scores, pairs="all")
    assert curve.count.tolist() == [n * n - 1, 1]
    assert curve.observed.tolist() == [1 / (n * n - 1), 1.0]
    assert curve.mean_predicted.tolist() == [0.0, 0.5]
    assert 0 < curve.low[0] < curve.observed[0] < curve.high[0] < 1e-8


def test_no_pairs_no_bins():
    assert all(len(part) == 0 for part in m.reliability_curve(np.zeros((2, 2)), sp.csr_array((2, 2))))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_levels", [1, 2, 5, 1000])
@pytest.mark.parametrize("n_zeros", [0, 1, 30, 400])
@pytest.mark.parametrize("n_bins", [1, 2, 7, 100])
def test_bins_of_equal_mass_against_average_ranks(seed, n_levels, n_zeros, n_bins):
    """Few levels tie many pairs, also with the absent ones; 100 bins are more than the pairs fill."""
    rng = np.random.default_rng(seed)
    p = rng.integers(n_levels, size=60) / n_levels
    truth = rng.random(60) < 0.5
    n_columns = 60 + n_zeros
    scores = sp.csr_array((p, (np.zeros(60, int), np.arange(60))), shape=(1, n_columns))
    Y = np.r_[truth, np.zeros(n_zeros)][None]
    everything = np.r_[p, np.zeros(n_zeros)]
    bins = np.floor(n_bins * (rankdata(everything) - 0.5) / n_columns).astype(int)
    curve = m.reliability_curve(Y, scores, n_bins=n_bins, pairs="all")
    used = np.unique(bins)
    assert curve.count.tolist() == [(bins == b).sum() for b in used]
    assert curve.observed == pytest.approx([Y[0, bins == b].mean() for b in used])
    assert curve.mean_predicted == pytest.approx([everything[bins == b].mean() for b in used])
    bins = np.floor(n_bins * (rankdata(p) - 0.5) / 60).astype(int)
    assert _equal_mass_bins(p, n_bins).tolist() == bins.tolist()


def test_intervals_end_at_one():
    """Rounding would carry a fourth of them past it."""
    low, high = _wilson_interval(np.arange(1, 1000), np.arange(1, 1000))
    assert (low < 1).all()
    assert (high == 1).all()


def test_means_of_single_precision_are_those_of_double():
    scores = np.random.default_rng(0).random((200, 50), dtype=np.float32)
    curve = m.reliability_curve(np.ones(scores.shape), scores, n_bins=1)
    assert curve.mean_predicted[0] == pytest.approx(scores.mean(dtype=np.float64), rel=1e-12)


ONE = [[1, 0], [0, 1]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: m.reliability_curve([[1, 0]], [[0.5, 0.5]], n_bins=0),
            "n_bins must be a whole number, at least 1; got 0",
        ),
        (lambda: m.reliability_curve([[1, 0]], [[0.5, 0.5]], pairs="x"), "pairs must be"),
        (lambda: m.reliability_curve([[1, 0]], [[0.5, 1.5]]), "scipy.special.expit"),
        (lambda: m.reliability_curve([[1, 0]], [[0.5]]), "scores has 1 labels but 2 were expected"),
        (lambda: m.expected_calibration_error(ONE, [[2, 0], [0, 0]]), "scipy.special.expit"),
        (
            lambda: m.expected_calibration_error(ONE, HALF, n_bins=0),
            "n_bins must be a whole number, at least 1",
        ),
        (lambda: m.brier_score(ONE, HALF, pairs="both"), "pairs must be 'candidates' or 'all'; got 'both'"),
        (lambda: m.log_loss(ONE, [[-1, 0], [0, 0]]), "scipy.special.expit"),
        (lambda: m.log_loss([[2]], [[0.5]]), "^Y_true must hold only 0 and 1; found 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
