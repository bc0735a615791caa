"""Reliability, temperature and isotonic calibration against loops, scikit-learn and known parameters."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from scipy.stats import binomtest, rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from adathresh.calibration import IsotonicCalibration, TemperatureScaling, reliability_curve
from adathresh.metrics import expected_calibration_error, log_loss


def make_pairs(seed, shape=(200, 12), slope=1.0, bias=0.0, kept=0.5):
    """Logits z with P(true) = sigmoid(slope·z + bias), all stored in an array and some in CSR."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, size=shape)
    Y = (rng.random(shape) < expit(slope * z + bias)).astype(int)
    stored = rng.random(shape) < kept
    return Y, z, stored, sp.csr_array((z[stored], np.nonzero(stored)), shape=shape)


@pytest.mark.parametrize("pairs", ["candidates", "all"])
@pytest.mark.parametrize("decimals", [1, 15])
@pytest.mark.parametrize("stored_zeros", [True, False])
def test_reliability_curve_against_a_loop(pairs, decimals, stored_zeros):
    Y, z, stored, _ = make_pairs(0)
    p = np.round(expit(z), decimals)
    if not stored_zeros:
        p = np.maximum(p, 0.05)
    sparse = sp.csr_array((p[stored], np.nonzero(stored)), shape=p.shape)
    curve = reliability_curve(Y, sparse, n_bins=10, pairs=pairs)
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
    np.testing.assert_array_equal(reliability_curve(np.zeros((6, 10)), p, n_bins=15).count, np.full(15, 4))
    assert reliability_curve(np.eye(4), np.full((4, 4), 0.3)).count.tolist() == [16]


def test_absent_pairs_of_a_huge_matrix_are_counted_not_stored():
    n = 100_000  # 10 billion pairs
    scores = sp.csr_array(([0.5, 0.0], ([0, 1], [0, 1])), shape=(n, n))
    Y = sp.csr_array(([1, 1], ([0, 2], [0, 2])), shape=(n, n))
    curve = reliability_curve(Y, scores, pairs="all")
    assert curve.count.tolist() == [n * n - 1, 1]
    assert curve.observed.tolist() == [1 / (n * n - 1), 1.0]
    assert curve.mean_predicted.tolist() == [0.0, 0.5]
    assert 0 < curve.low[0] < curve.observed[0] < curve.high[0] < 1e-8


def test_no_pairs_no_bins():
    assert all(len(part) == 0 for part in reliability_curve(np.zeros((2, 2)), sp.csr_array((2, 2))))


@pytest.mark.parametrize("container", ["dense", "sparse"])
def test_temperature_and_bias_are_recovered(container):
    Y, z, _, sparse = make_pairs(1, shape=(4000, 20), slope=0.4, bias=-0.7)
    scaling = TemperatureScaling(from_logits=True).fit(z if container == "dense" else sparse, Y)
    assert scaling.temperature_ == pytest.approx(2.5, rel=0.05)
    assert scaling.bias_ == pytest.approx(-0.7, abs=0.03)


@pytest.mark.parametrize("bias", [True, False])
def test_temperature_scaling_is_logistic_regression_of_one_feature(bias):
    Y, z, stored, sparse = make_pairs(2, slope=0.5, bias=-1.0)
    reference = LogisticRegression(C=1e9, fit_intercept=bias, tol=1e-8).fit(z[stored][:, None], Y[stored])
    scaling = TemperatureScaling(from_logits=True, bias=bias).fit(sparse, Y)
    assert 1 / scaling.temperature_ == pytest.approx(reference.coef_.item(), rel=1e-3)
    assert scaling.bias_ == pytest.approx(reference.intercept_.item() if bias else 0, abs=1e-3)
    expected = reference.predict_proba(z[stored][:, None])[:, 1]
    np.testing.assert_allclose(scaling.transform(sparse).data, expected, atol=1e-3)


def test_probabilities_and_their_logits_calibrate_alike():
    Y, z, _, _ = make_pairs(3, slope=0.5)
    by_logit = TemperatureScaling(from_logits=True).fit(z, Y).transform(z)
    np.testing.assert_allclose(TemperatureScaling().fit(expit(z), Y).transform(expit(z)), by_logit, atol=1e-6)


def test_probabilities_of_0_and_1_stay_finite():
    p, Y = np.array([[0.0, 1.0, 0.0, 1.0, 0.5]]), np.array([[0, 1, 1, 0, 1]])
    assert np.isfinite(TemperatureScaling().fit(p, Y).transform(p)).all()


def test_scores_against_the_truth_end_at_the_greatest_temperature():
    scaling = TemperatureScaling(from_logits=True).fit([[-1.0, -2.0, 2.0, 1.0]], [[1, 1, 0, 0]])
    assert scaling.temperature_ == pytest.approx(1000)


def test_isotonic_is_sklearns_on_the_pooled_pairs():
    Y, z, stored, sparse = make_pairs(4)
    reference = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(z[stored], Y[stored])
    np.testing.assert_array_equal(
        IsotonicCalibration().fit(sparse, Y).transform(sparse).data, reference.predict(z[stored])
    )
    np.testing.assert_array_equal(
        IsotonicCalibration().fit(sparse, Y).transform(z).ravel(), reference.predict(z.ravel())
    )


CALIBRATORS = [TemperatureScaling(from_logits=True), IsotonicCalibration()]


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_calibration_mends_held_out_rows(calibrator):
    Y, z, _, _ = make_pairs(5, shape=(2000, 20), slope=0.4, bias=-0.5)
    mended = calibrator.fit(z[:1000], Y[:1000]).transform(z[1000:])
    assert expected_calibration_error(Y[1000:], mended) < 0.2 * expected_calibration_error(
        Y[1000:], expit(z[1000:])
    )
    assert log_loss(Y[1000:], mended) < log_loss(Y[1000:], expit(z[1000:]))


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_containers_and_order(calibrator, dtype):
    Y, z, stored, sparse = make_pairs(6)
    z, sparse = z.astype(dtype), sparse.astype(dtype)
    sparse.data[0] = 0  # a stored 0 stays a candidate
    calibrator.fit(sparse, Y)
    mended = calibrator.transform(sp.csr_matrix(sparse))
    assert mended.format == "csr"
    np.testing.assert_array_equal(mended.indices, sparse.indices)
    np.testing.assert_array_equal(mended.indptr, sparse.indptr)
    order = np.argsort(sparse.data)
    assert (np.diff(mended.data[order]) >= 0).all()
    dense = calibrator.transform(z)
    assert dense.shape == z.shape
    np.testing.assert_array_equal(dense[stored][1:], mended.data[1:])
    assert dense.min() >= 0
    assert dense.max() <= 1


LOGITS = [[-1.0, 2.0], [0.5, -3.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reliability_curve([[1, 0]], [[0.5, 0.5]], n_bins=0), "n_bins must be at least 1; got 0"),
        (lambda: reliability_curve([[1, 0]], [[0.5, 0.5]], pairs="x"), "pairs must be"),
        (lambda: reliability_curve([[1, 0]], [[0.5, 1.5]]), "scipy.special.expit"),
        (lambda: reliability_curve([[1, 0]], [[0.5]]), "scores has 1 labels but 2 were expected"),
        (lambda: TemperatureScaling().fit(LOGITS, [[1, 0], [0, 1]]), "scipy.special.expit"),
        (lambda: TemperatureScaling(from_logits=True).fit(LOGITS, [[1, 0]]), "Y has 1 rows but 2"),
        (
            lambda: IsotonicCalibration().fit(LOGITS, [[0, 0], [0, 0]]),
            "both classes; 0 of 4 scored pairs are true",
        ),
        (lambda: TemperatureScaling(from_logits=True).fit(LOGITS, [[1, 1], [1, 1]]), "both classes; 4 of 4"),
        (lambda: IsotonicCalibration().fit([[np.inf, 1.0]], [[0, 1]]), "row 0, label 0"),
        (lambda: IsotonicCalibration().transform(LOGITS), "not fitted"),
        (lambda: TemperatureScaling().transform(LOGITS), "not fitted"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_logit_margin_is_the_documented_one():
    scaling = TemperatureScaling()
    np.testing.assert_allclose(scaling._logits(np.array([0.0, 0.5])), [logit(1e-7), 0])
