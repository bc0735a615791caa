"""Notebook 05: calibration on the same pairs, by frequency; what thresholds depend on."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced
from scipy.special import logit

from adathresh import AdaptiveThreshold, AdaptiveThresholdNetwork
from adathresh.calibration import IsotonicCalibration, PlattScaling, TemperatureScaling
from adathresh.experiments import nb05_calibration as study
from adathresh.experiments.core import rules
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.rules import main_predictions
from adathresh.experiments.core.trainings import PAPER, neighbor_shares, train_network
from adathresh.metrics import expected_calibration_error

pytestmark = pytest.mark.usefixtures("shared_cache")


@pytest.fixture(scope="module")
def scores(config, ds):
    return crossfitted(config, ds, "network", seed=0).scores


def permuted(matrix):
    return matrix[np.random.default_rng(0).permutation(matrix.shape[0])]


def sets(rows):
    return sp.csr_array(np.array(rows, dtype=np.float32))


def test_the_network_is_calibrated_or_linear_where_labels_are_too_many(config, ds, monkeypatch):
    assert study.calibrated_base(config, ds) == "network"
    monkeypatch.setattr(study, "base_model_names", lambda config, ds: ["linear", "label tree"])
    assert study.calibrated_base(config, ds) == "linear"


@pytest.mark.slow
def test_calibrations_are_what_their_names_say(config, ds, scores):
    found = study.calibrated_scores(config, ds, seed=0)
    fitting, test = scores
    Y = fitting_labels(ds)
    expected = {
        "base model": test,
        "temperature": TemperatureScaling().fit(fitting, Y).transform(test),
        "Platt, per label": PlattScaling(per_label=True).fit(fitting, Y).transform(test),
        "isotonic, pooled": IsotonicCalibration(per_label=False).fit(fitting, Y).transform(test),
        "isotonic, per label": IsotonicCalibration(per_label=True).fit(fitting, Y).transform(test),
        "fused (adathresh)": main_predictions(config, ds, "network", seed=0)["adaptive"].probabilities,
    }
    assert list(found) == list(expected)
    for name, probabilities in expected.items():
        np.testing.assert_allclose(found[name].toarray(), probabilities.toarray(), atol=1e-7, err_msg=name)
    assert len({probabilities.toarray().tobytes() for probabilities in found.values()}) == len(found)


@pytest.mark.slow
def test_labels_of_test_rows_calibrate_nothing(config, ds, empty_cache):
    found = study.calibrated_scores(config, ds, seed=0)
    empty_cache("second")
    other = study.calibrated_scores(config, replaced(ds, Y_test=permuted(ds.test.Y)), seed=0)
    for name, probabilities in found.items():
        np.testing.assert_array_equal(probabilities.toarray(), other[name].toarray(), err_msg=name)


def test_the_papers_method_is_that_of_notebook_03(config, ds):
    found = study.method_scores(config, ds, seed=0)
    own = train_network(config, ds, seed=0, **PAPER).test_scores
    assert (found["paper's method"] != own).nnz == 0
    assert len(found) == 3


def test_frequencies_are_those_of_the_rows_that_calibration_is_fitted_on(ds):
    wanted = [0, 5, 6, 100, 101]
    Y = sets([[int(row < n) for n in wanted] for row in range(101)])
    for parts in ((slice(0, 60), slice(60, 101)), (slice(0, 101), slice(0, 0))):
        Y_train, Y_dev = (Y[rows] for rows in parts)
        bands = study.frequency_bands(replaced(ds, Y_train=Y_train, Y_dev=Y_dev))
        assert {name: np.flatnonzero(keep).tolist() for name, keep in bands.items()} == {
            "all": [0, 1, 2, 3, 4],
            "head (> 100)": [4],
            "middle (6–100)": [2, 3],
            "tail (≤ 5)": [0, 1],
        }
    tail = study.frequency_bands(replaced(ds, Y_train=Y[:, :2], Y_dev=Y[:0, :2]))
    assert list(tail) == ["all", "tail (≤ 5)"]


def test_calibration_by_frequency_against_loops(config, ds):
    drawn = sp.random_array((50, 12), density=0.6, rng=0, dtype=np.float32, format="csr")
    probabilities = {"more": drawn, "fewer": sp.csr_array(drawn.multiply(drawn > 0.1))}
    rows = study.calibration_rows(config, ds, probabilities, seed=9)
    bands = study.frequency_bands(ds)
    assert len(bands) > 1
    assert [(row["labels"], row["probabilities"]) for row in rows] == [
        (band, name) for band in bands for name in probabilities
    ]
    truth, scored = ds.test.Y.toarray(), drawn.toarray() > 0
    for row in rows:
        p, labels = probabilities[row["probabilities"]].toarray(), np.flatnonzero(bands[row["labels"]])
        pairs = [(truth[i, c], max(float(p[i, c]), 1e-6)) for i in range(50) for c in labels if scored[i, c]]
        y, q = (np.array([column]) for column in zip(*pairs, strict=True))
        assert row["ece"] == pytest.approx(expected_calibration_error(y, q), abs=1e-6)
        assert row["brier"] == pytest.approx(np.mean([(y - q) ** 2 for y, q in pairs]))
        loss = np.mean([-np.log(q if y else 1 - q) for y, q in pairs])
        assert row["log_loss"] == pytest.approx(loss, rel=1e-4)
        assert row["n_labels"] == len(labels)
        assert (row["dataset"], row["fingerprint"], row["seed"]) == ("tiny", ds.fingerprint[:16], 9)


def test_calibration_differences_are_those_of_the_calibration_rows(config, ds):
    options = {"density": 0.6, "rng": np.random.default_rng(2), "dtype": np.float32, "format": "csr"}
    repetitions = [{name: sp.random_array((50, 12), **options) for name in "abc"} for _ in range(2)]
    rows = [row for found in repetitions for row in study.calibration_rows(config, ds, found, seed=0)]
    table = pd.DataFrame(rows).groupby(["labels", "probabilities"])[["ece", "brier"]].mean()
    found = study.calibration_differences(config, ds, repetitions, reference="b")
    bands = study.frequency_bands(ds)
    assert [(row["labels"], row["metric"], row["a"], row["b"]) for row in found] == [
        (band, metric, "b", other) for band in bands for metric in ("ece", "brier") for other in "ac"
    ]
    for row in found:
        wanted = table[row["metric"]][row["labels"], "b"] - table[row["metric"]][row["labels"], row["b"]]
        assert row["difference"] == pytest.approx(wanted, abs=1e-6)
        assert row["low"] < row["high"]


def test_reliability_curves_cover_the_scored_pairs(ds, scores):
    probabilities = {"one": scores[1], "none": sp.csr_array(scores[1].shape)}
    bands = study.reliability_curves(ds, probabilities)
    names = [f"{name}: {keep.sum()} labels" for name, keep in study.frequency_bands(ds).items()]
    assert list(bands) == names
    assert sum(bands[name]["one"][2].sum() for name in names[1:]) == scores[1].nnz
    curves = bands[names[0]]
    predicted, observed, count = curves["one"]
    assert count.sum() == scores[1].nnz
    truth = ds.test.Y.toarray()[scores[1].toarray() > 0]
    assert (observed * count).sum() == pytest.approx(truth.sum())
    assert (predicted * count).sum() == pytest.approx(scores[1].data.sum(), rel=1e-5)
    assert len(curves["none"][0]) == 0


# --- thresholds ---


def stored_pairs(matrix):
    return [
        (i, c, value)
        for i in range(matrix.shape[0])
        for c, value in zip(matrix[[i]].indices, matrix[[i]].data, strict=True)
    ]


def test_thresholds_of_the_method(config, ds):
    method = train_network(config, ds, seed=0, **PAPER)
    pairs = study.method_threshold_pairs(ds, method)
    assert list(pairs) == ["frequency", "share", "theta"]
    stored = stored_pairs(neighbor_shares(ds).test)
    frequency = ds.train.Y.toarray().sum(axis=0)
    constant, factor = method.thresholds["constant"], method.thresholds["share"]
    expected = [(frequency[c], k, constant[c] + factor[c] * k) for _, c, k in stored]
    np.testing.assert_allclose(pairs.to_numpy(), expected, rtol=1e-6)
    assert pairs["share"].between(0, 1).all()


def test_thresholds_of_the_method_are_those_it_predicts_by(config, ds):
    method = train_network(config, ds, seed=0, **PAPER)
    # the probability is σ(z − θ): a pair with a share is predicted where it exceeds 1/2, for any θ, and a
    # network without thresholds but with logits z − θ decides alike
    pairs = study.method_threshold_pairs(ds, method)
    network = AdaptiveThresholdNetwork(
        hidden_layers=(8,),
        learning_rate=3e-2,
        batch_size=32,
        max_epochs=4,
        patience=4,
        random_state=0,
        **PAPER,
    ).fit(ds.train.X, ds.train.Y, groups=ds.train.groups, validation=(ds.validation.X, ds.validation.Y))
    z = network.decision_function(ds.test.X) + network.thresholds(ds.test.X)
    predicted = method.test_predicted.toarray()
    stored = stored_pairs(neighbor_shares(ds).test)
    decided = [z[i, c] > theta for (i, c, _), theta in zip(stored, pairs["theta"], strict=True)]
    assert decided == [predicted[i, c] == 1 for i, c, _ in stored]
    assert 0 < np.mean(decided) < 1


@pytest.mark.slow
@pytest.mark.parametrize("rows", ["ds", "titled"])
def test_thresholds_of_the_rule_are_those_it_predicts_by(config, request, rows):
    ds = request.getfixturevalue(rows)
    pairs = study.posthoc_threshold_pairs(config, ds, seed=0)
    assert list(pairs) == ["frequency", "share", "theta"]
    assert np.isfinite(pairs["theta"]).all()
    seen, (rows, folds) = crossfitted(config, ds, "network", seed=0), fitting_rows(ds, seed=0)
    scores, (local, local_test) = seen.scores, (list(part.values()) for part in seen.local)
    assert len(local) == (1 if ds.train.titles is None else 2)
    predicted = main_predictions(config, ds, "network", seed=0)["adaptive"].label_sets.toarray()
    rule = AdaptiveThreshold(evaluation_rows=50, random_state=0)
    rule.fit(scores[0], rows.Y, local=local, folds=folds, groups=rows.groups)
    theta = rule.thresholds(sp.csr_array((50, 12)), local=local_test).toarray()
    stored = stored_pairs(seen.local[1]["neighbours"])  # those by title are no column of the map
    finite = [(i, c, k) for i, c, k in stored if np.isfinite(theta[i, c])]
    frequency = rows.Y.toarray().sum(axis=0)
    np.testing.assert_array_equal(pairs["frequency"], [frequency[c] for _, c, _ in finite])
    np.testing.assert_allclose(pairs["share"], [k for _, _, k in finite])
    np.testing.assert_allclose(pairs["theta"], [theta[i, c] for i, c, _ in finite])
    p = np.clip(scores[1].toarray().astype(float), 1e-6, 1 - 1e-6)
    decided = [logit(p[i, c]) > theta[i, c] for i, c, _ in stored]  # also where no score changes the decision
    assert decided == [predicted[i, c] == 1 for i, c, _ in stored]
    assert 0 < np.mean(decided) < 1


def test_labels_that_are_never_predicted_are_left_out_of_the_map(config, ds, monkeypatch):
    class OneLabelNever(AdaptiveThreshold):
        def fit(self, *args, **options):
            super().fit(*args, **options)
            self.label_thresholds_[most_common] = np.inf
            return self

    before = study.posthoc_threshold_pairs(config, ds, seed=0)
    frequency = fitting_labels(ds).toarray().sum(axis=0)
    greatest = before["frequency"].max()  # of a label that has thresholds: a commoner one is always predicted
    (most_common,) = np.flatnonzero(frequency == greatest)
    monkeypatch.setattr(rules, "AdaptiveThreshold", OneLabelNever)
    after = study.posthoc_threshold_pairs(config, ds, seed=0)
    assert 0 < len(after) < len(before)
    pd.testing.assert_frame_equal(after, before[before["frequency"] != greatest])


def test_claims_are_about_all_labels_and_say_whose_probabilities_are_better():
    def table(a, *rows):
        names = ["labels", "metric", "b", "difference", "low", "high"]
        return pd.DataFrame([dict(zip(names, row, strict=True)) | {"a": a} for row in rows])

    fused = table(
        study.FUSED,
        ("all", "ece", "isotonic, per label", -0.2, -0.3, -0.1),
        ("all", "brier", "isotonic, per label", 0.0, -0.1, 0.1),
        ("tail (≤ 5)", "ece", "isotonic, per label", 0.2, 0.1, 0.3),
    )
    method = table("paper's method", ("all", "ece", "plain cross-entropy", 0.2, 0.1, 0.3))
    rows = [
        {"base": "network", "labels": "all", "probabilities": name, "ece": ece, "brier": brier}
        for name, ece, brier in ((study.FUSED, 0.1, 0.3), ("isotonic, per label", 0.3, 0.3))
    ]
    tables = {
        "calibration": pd.DataFrame(rows),
        "calibration_differences": fused,
        "method_differences": method,
    }
    found = {claim["claim"]: claim["outcome"] for claim in study.claims(tables)}
    assert list(found.values()) == ["yes", "no", "below 0", "level", "above 0"]


@pytest.mark.parametrize(
    ("bands", "words"),
    [
        (
            ["head (> 100)", "tail (≤ 5)"],
            "fused ones by 0.1000; for labels with at most 5 rows by 0.3000 and 0.1",
        ),
        (["head (> 100)"], "fused ones by 0.1000. Over"),
        (
            ["tail (≤ 5)"],
            "For labels with at most 5 rows the base model's own probabilities (`network`) are off by",
        ),
    ],
)
def test_the_finding_compares_with_the_best_calibrator(bands, words):
    ece = {"base model": 0.3, "temperature": 0.2, "isotonic, pooled": 0.15, study.FUSED: 0.1}
    calibration = [
        {"base": "network", "labels": labels, "probabilities": name, "ece": value}
        for labels in ("all", *bands)
        for name, value in ece.items()
    ]
    row = {"labels": "all", "metric": "ece", "difference": -0.1, "low": -0.2, "high": 0.1}
    differences = [row | {"b": "temperature"}, row | {"b": "isotonic, pooled", "difference": -0.05}]
    method = [
        row | {"b": "same loss, θ = 0", "low": -0.3},
        row | {"b": "same loss, θ = 0", "metric": "brier"},
    ]
    tables = {
        "calibration": calibration,
        "calibration_differences": differences,
        "method_differences": method,
    }
    text = study.finding({name: pd.DataFrame(rows) for name, rows in tables.items()})
    assert words in text
    assert "best calibrator (`isotonic, pooled`) is −0.0500 (95 % interval −0.2000 to +0.1000)" in text
    assert "change ECE by −0.1000 (−0.3000 to +0.1000) against" in text
