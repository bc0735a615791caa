"""Temperature, Platt and isotonic calibration against scikit-learn, label by label, and known parameters."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from adathresh.calibration import IsotonicCalibration, PlattScaling, TemperatureScaling, _logits
from adathresh.metrics import expected_calibration_error, log_loss


def make_pairs(seed, shape=(200, 12), slope=1.0, bias=0.0, kept=0.5):
    """Logits z with P(true) = sigmoid(slope·z + bias), all stored in an array and some in CSR."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, size=shape)
    Y = (rng.random(shape) < expit(slope * z + bias)).astype(int)
    stored = rng.random(shape) < kept
    return Y, z, stored, sp.csr_array((z[stored], np.nonzero(stored)), shape=shape)


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


def filled(stored, values):
    """Return an array of the stored values, NaN elsewhere."""
    array = np.full(stored.shape, np.nan)
    array[stored] = values
    return array


def make_uneven_pairs(seed):
    """Labels of different slopes; label 0 has no positive, 1 no negative, 2 no pair, 3 one positive."""
    rng = np.random.default_rng(seed)
    Y, z, stored, _ = make_pairs(seed)
    Y = (rng.random(Y.shape) < expit(z * np.linspace(-0.5, 2, 12) + rng.normal(size=12))).astype(int)
    Y[:, 0], Y[:, 1], Y[:, 3], stored[:, 2] = 0, 1, 0, False
    Y[7, 3], stored[7, 3] = 1, True
    return Y, z, stored, sp.csr_array((z[stored], np.nonzero(stored)), shape=z.shape)


def naive_by_label(fit, Y, z, stored, new_z, new_stored):
    """Fit each label on its own pairs, or on all pairs where those are of one class."""
    expected = np.full(new_z.shape, np.nan)
    for j in range(Y.shape[1]):
        own = Y[stored[:, j], j]
        of_label = (z[stored[:, j], j], own) if len(set(own)) == 2 else (z[stored], Y[stored])
        expected[new_stored[:, j], j] = fit(*of_label)(new_z[new_stored[:, j], j])
    return expected


def fit_isotonic(z, y):
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(z, y).predict


def fit_platt(z, y):
    """Logistic regression on every pair twice, weighted by Platt's targets."""
    target = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2))
    twice, weight = np.tile(z, 2)[:, None], np.r_[target, 1 - target]
    model = LogisticRegression(C=1e9, solver="newton-cholesky", tol=1e-10)
    model.fit(twice, np.repeat([1, 0], len(z)), sample_weight=weight)
    return lambda new: model.predict_proba(np.reshape(new, (-1, 1)))[:, 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    ("calibrator", "fit", "tolerance"),
    [
        (IsotonicCalibration(per_label=True), fit_isotonic, 0),
        (PlattScaling(per_label=True, from_logits=True), fit_platt, 1e-6),
    ],
)
def test_each_label_is_calibrated_as_scikit_learn_would(calibrator, fit, tolerance, sparse, seed):
    Y, z, stored, scores = make_uneven_pairs(seed)
    _, new_z, new_stored, new_scores = make_pairs(100 + seed)
    if not sparse:
        stored, new_stored = np.ones_like(stored), np.ones_like(stored)
        scores, new_scores = z, new_z
    found = calibrator.fit(scores, Y).transform(new_scores)
    expected = naive_by_label(fit, Y, z, stored, new_z, new_stored)
    assert sp.issparse(found) == sparse
    found = filled(new_stored, found.data) if sparse else found
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_pooled_platt_is_scikit_learns():
    Y, z, stored, sparse = make_pairs(7, slope=0.5, bias=-1)
    scaling = PlattScaling(from_logits=True).fit(sparse, Y)
    expected = fit_platt(z[stored], Y[stored])(z[stored])
    np.testing.assert_allclose(scaling.transform(sparse).data, expected, atol=1e-6)
    assert not hasattr(scaling, "label_slopes_")


def test_labels_without_both_classes_take_the_function_of_all_pairs():
    Y, _, _, sparse = make_uneven_pairs(0)
    pooled = PlattScaling(from_logits=True).fit(sparse, Y)
    own = PlattScaling(from_logits=True, per_label=True).fit(sparse, Y)
    same = (own.label_slopes_ == pooled.slope_) & (own.label_biases_ == pooled.bias_)
    assert np.flatnonzero(same).tolist() == [0, 1, 2]
    assert list(IsotonicCalibration(per_label=True).fit(sparse, Y).label_regressions_) == list(range(3, 12))


def test_platts_sigmoid_is_finite_where_scores_separate_the_classes():
    scaling = PlattScaling(from_logits=True).fit([[-3e4, -3e4, 3e4, 3e4]], [[0, 0, 1, 1]])
    assert scaling.transform([[-3e4, 3e4]]).ravel() == pytest.approx([0.25, 0.75], abs=1e-6)
    # equal scores: the share of true pairs, drawn towards one half
    equal = PlattScaling(from_logits=True).fit([[2.0, 2.0, 2.0, 2.0]], [[0, 0, 0, 1]])
    assert equal.transform([[2.0]]).item() == pytest.approx((2 / 3 + 3 / 5) / 4, abs=1e-4)


def test_platt_scaling_of_probabilities_is_that_of_their_logits():
    Y, z, _, _ = make_pairs(3, slope=0.5)
    by_logit = PlattScaling(from_logits=True, per_label=True).fit(z, Y).transform(z)
    by_probability = PlattScaling(per_label=True).fit(expit(z), Y).transform(expit(z))
    np.testing.assert_allclose(by_probability, by_logit, atol=1e-5)


@pytest.mark.parametrize("calibrator", [PlattScaling(per_label=True), IsotonicCalibration(per_label=True)])
def test_scores_without_pairs_stay_without(calibrator):
    found = calibrator.fit([[0.2, 0.8]], [[0, 1]]).transform(sp.csr_array((3, 2)))
    assert found.shape == (3, 2)
    assert found.nnz == 0


POOLED = [TemperatureScaling(from_logits=True), PlattScaling(from_logits=True), IsotonicCalibration()]
CALIBRATORS = [
    *POOLED,
    PlattScaling(from_logits=True, per_label=True),
    IsotonicCalibration(per_label=True),
]


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
    if not getattr(calibrator, "per_label", False):
        order = np.argsort(sparse.data)
        assert (np.diff(mended.data[order]) >= 0).all()
    dense = calibrator.transform(z)
    assert dense.shape == z.shape
    np.testing.assert_array_equal(dense[stored][1:], mended.data[1:])
    assert dense.min() >= 0
    assert dense.max() <= 1


LOGITS = [[-1.0, 2.0], [0.5, -3.0]]
LABELS = [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
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
        (lambda: PlattScaling().transform(LOGITS), "not fitted"),
        (lambda: PlattScaling().fit(LOGITS, [[1, 0], [0, 1]]), "scipy.special.expit"),
        (lambda: PlattScaling(from_logits=True).fit(LOGITS, [[1], [0]]), "Y has 1 labels but 2"),
        (lambda: PlattScaling(from_logits=True).fit(LOGITS, [[0, 0], [0, 0]]), "both classes; 0 of 4"),
        (lambda: PlattScaling(per_label=True).fit(sp.csr_array((2, 2)), LABELS), "both classes; 0 of 0"),
        (
            lambda: PlattScaling(from_logits=True, per_label=True).fit(LOGITS, LABELS).transform([[0.5]]),
            "scores has 1 labels but 2 were expected",
        ),
        (
            lambda: IsotonicCalibration(per_label=True).fit(LOGITS, LABELS).transform([[0.5]]),
            "scores has 1 labels but 2 were expected",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_logit_margin_is_the_documented_one():
    found = _logits(np.array([0.0, 0.5]), from_logits=False)
    np.testing.assert_allclose(found, [logit(1e-7), 0])
