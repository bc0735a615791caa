"""What the notebooks compute: counts, rules, differences, calibration, thresholds."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import flat_dataset, replaced
from scipy.special import logit
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from adathresh import AdaptiveThreshold, AdaptiveThresholdNetwork
from adathresh.calibration import IsotonicCalibration
from adathresh.datasets import make_longtail
from adathresh.experiments import studies
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.experiments.core.models import PAPER, base_scores, neighbour_shares, train_network
from adathresh.metrics import expected_calibration_error, macro_f1, micro_f1
from adathresh.rules import FixedCut, PerLabelCut, TopK

SIZES = {"train": 90, "dev": 60, "test": 50}
TINY = dataclasses.replace(
    PROFILES["quick"],
    max_epochs=4,
    patience=4,
    hidden_layers=(8,),
    learning_rate=3e-2,
    batch_size=32,
    top_scores=6,
    ablation_rows=50,
    n_bootstrap=50,
    network_labels=100,
    first_words=0,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """Share one cache among the tests; calling the result starts an empty one for the rest of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "quick", TINY)
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    def start(name):
        monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / name))

    return start


def make_dataset(n_labels=30, **fields):
    X, Y = make_longtail(200, 60, n_labels, labels_per_row=2, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    return flat_dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        label_names=[f"label {i}" for i in range(n_labels)],
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint=f"{n_labels:064x}",
        validation_source="official",
        **fields,
    )


@pytest.fixture(scope="module")
def ds():
    return make_dataset()


@pytest.fixture(scope="module")
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture(scope="module")
def scores(config, ds):
    return base_scores(config, ds, "network", seed=0)


@pytest.fixture(scope="module")
def method(config, ds):
    return train_network(config, ds, seed=0, **PAPER)


def permuted(matrix):
    return matrix[np.random.default_rng(0).permutation(matrix.shape[0])]


def sets(rows):
    return sp.csr_array(np.array(rows, dtype=np.float32))


# --- counts ---


def test_ceilings_by_training_frequency(ds):
    wanted = [0, 1, 5, 6, 20, 21, 100, 101, 0]  # both ends of every bin
    Y_train = sets([[int(row < n) for n in wanted] for row in range(101)])
    Y_test = sets([[1, 1, 0, 0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0, 1, 1, 0]])
    rows = studies.ceiling_rows(replaced(ds, Y_train=Y_train, Y_test=Y_test))
    assert [list(row.values()) for row in rows] == [
        ["0", 2, 1, 0.5],
        ["1–5", 2, 1, 0.5],
        ["6–20", 2, 1, 0.5],
        ["21–100", 2, 1, 0.5],
        ["> 100", 1, 1, 1.0],
    ]
    assert [row["training_rows"] for row in rows] == list(studies.BINS)


def test_ceilings_against_loops_and_perfect_predictions(ds):
    rows = {row["training_rows"]: row for row in studies.ceiling_rows(ds)}
    metrics = studies.metrics_on_test(ds, studies.Prediction(ds.test.Y, ds.test.Y))
    train, test = ds.train.Y.toarray(), ds.test.Y.toarray()
    bounds = {"0": (0, 0), "1–5": (1, 5), "6–20": (6, 20), "21–100": (21, 100), "> 100": (101, 10**9)}
    for name, (low, high) in bounds.items():
        inside = [c for c in range(30) if low <= train[:, c].sum() <= high]
        tested = [c for c in inside if test[:, c].any()]
        assert (rows[name]["labels"], rows[name]["tested"]) == (len(inside), len(tested))
        expected = len(tested) / len(inside) if inside else np.nan
        np.testing.assert_equal(rows[name]["ceiling"], expected)
        np.testing.assert_equal(metrics[studies.BINS[name]], expected)
    assert sum(row["labels"] > 0 for row in rows.values()) >= 2


def test_duplicates_against_loops(ds):
    text = {
        "train": ["Sort an array.", "Open file 12 now", "Naïve   mean", "", "solve"],
        "dev": ["sort an ARRAY.", "Open file 13 now!", "openfile now", "42"],
        "test": ["solve", "Solves", "re-solve", "(Solve)", "Sort an array", "sort\nan\narray."],
    }
    X = {split: sp.csr_array(np.eye(6, dtype=np.float32)[: len(text[split])]) for split in text}
    X["dev"] = sp.csr_array(np.eye(8, 6, k=2, dtype=np.float32)[:4] * [1, 1, 1, 1, 1, 2])
    X["dev"] = X["dev"].astype(np.float32)
    fields = {f"X_{split}": X[split] for split in X} | {f"text_{split}": text[split] for split in text}
    fields |= {f"Y_{split}": ds.train.Y[: len(text[split])] for split in text}
    rows = studies.duplicate_rows(replaced(ds, **fields))

    def words(text):
        return re.findall("[a-z]{2,}", text.lower())

    assert [row["split"] for row in rows] == ["dev", "test"]
    for row in rows:
        split, known = row["split"], text["train"]
        assert row["rows"] == len(text[split])
        features = X["train"].toarray().tolist()
        assert row["equal_features"] == sum(x in features for x in X[split].toarray().tolist())
        folded = [t.lower().split() for t in known]
        assert row["equal_text"] == sum(t.lower().split() in folded for t in text[split])
        near = [words(t) for t in known]
        assert row["equal_words"] == sum(words(t) in near for t in text[split])
    # by hand: "sort an ARRAY." differs in case only, "Open file 13 now!" and "42" in what are no letters
    assert (rows[0]["equal_features"], rows[0]["equal_text"], rows[0]["equal_words"]) == (3, 1, 3)
    assert (rows[1]["equal_features"], rows[1]["equal_text"], rows[1]["equal_words"]) == (5, 2, 4)


def test_duplicates_without_texts(ds):
    for row in studies.duplicate_rows(ds):
        assert row["equal_text"] is None
        assert row["equal_words"] is None
        assert row["equal_features"] == 0


# --- rules over one base model ---


@pytest.mark.parametrize(
    ("labels", "k"),
    [([[1, 1, 1], [1, 1, 0]], 2), ([[1, 1, 1], [1, 1, 1]], 3), ([[0, 0, 0], [0, 1, 0]], 1)],
)
def test_top_k_takes_the_mean_number_of_labels(labels, k):
    rules = studies.decision_rules(
        SimpleNamespace(train=SimpleNamespace(Y=sets(labels)), test=SimpleNamespace(Y=sets(labels)))
    )
    (top,) = (rule for rule in rules.values() if isinstance(rule, TopK))
    assert top.k == k
    assert rules[f"top {k}"] is top


def test_rules_are_what_their_names_say(ds):
    rules = studies.decision_rules(ds)
    assert isinstance(rules["fixed 0.5"], FixedCut)
    assert rules["global cut"].metric == "macro_f1"
    assert rules["global cut, micro"].metric == "micro_f1"
    assert isinstance(rules["SCut"], PerLabelCut)
    assert rules["SCut"].fallback != "top"
    assert rules["SCutFBR"].fallback == "top"
    assert isinstance(rules["adaptive"], AdaptiveThreshold)
    assert rules["adaptive"].evaluation_rows == ds.test.Y.shape[0]


def test_every_rule_learns_from_dev_rows_and_predicts_test_rows(ds, scores):
    predictions = studies.rule_predictions(ds, scores)
    rules = studies.decision_rules(ds)
    assert list(predictions) == list(rules)
    shares = neighbour_shares(ds)
    for name, rule in rules.items():
        predicted, probabilities = predictions[name].label_sets, predictions[name].probabilities
        if name == "adaptive":
            rule.fit(scores.dev, ds.validation.Y, local=shares.dev, Y_train=ds.train.Y)
            expected = rule.predict(scores.test, local=shares.test)
            fused = rule.predict_proba(scores.test, local=shares.test)
        else:
            expected, fused = rule.fit(scores.dev, ds.validation.Y).predict(scores.test), scores.test
        np.testing.assert_array_equal(predicted.toarray(), expected.toarray(), err_msg=name)
        np.testing.assert_array_equal(probabilities.toarray(), fused.toarray(), err_msg=name)
    np.testing.assert_array_equal(predictions["fixed 0.5"].label_sets.toarray(), scores.test.toarray() > 0.5)
    assert len({found.label_sets.toarray().tobytes() for found in predictions.values()}) > 4


def test_rules_never_see_the_labels_of_test_rows(config, ds, empty_cache):
    found = []
    for name, Y_test in (("own", ds.test.Y), ("permuted", permuted(ds.test.Y)), ("none", 0 * ds.test.Y)):
        empty_cache(name)
        other = replaced(ds, Y_test=sp.csr_array(Y_test))
        found.append(studies.rule_predictions(other, base_scores(config, other, "network", seed=0)))
    for other in found[1:]:
        for rule, own in found[0].items():
            for part in ("label_sets", "probabilities"):
                mine, others = getattr(own, part), getattr(other[rule], part)
                np.testing.assert_array_equal(mine.toarray(), others.toarray(), err_msg=rule)


def test_rules_do_see_the_labels_of_dev_rows(ds, scores):
    other = replaced(ds, Y_dev=permuted(ds.validation.Y))
    own, others = studies.rule_predictions(ds, scores), studies.rule_predictions(other, scores)
    for rule in ("global cut", "SCut", "adaptive"):
        assert (own[rule].label_sets != others[rule].label_sets).nnz > 0, rule


def test_rule_rows_describe_and_evaluate(config, ds, scores):
    predictions = studies.rule_predictions(ds, scores)
    rows = studies.rule_rows(config, ds, "network", predictions, seed=5)
    assert [row["rule"] for row in rows] == list(predictions)
    truth = ds.test.Y.toarray()
    for row in rows:
        assert (row["split"], row["base"], row["mode"], row["seed"]) == ("test", "network", "inductive", 5)
        assert (row["method"] == "adathresh") == (row["rule"] == "adaptive")
        predicted, probabilities, *_ = predictions[row["rule"]]
        for average in ("macro", "micro"):
            expected = f1_score(truth, predicted.toarray(), average=average, zero_division=0)
            assert row[f"{average}_f1"] == pytest.approx(expected)
        first = probabilities.toarray().argmax(axis=1)
        assert row["precision_at_1"] == pytest.approx(truth[np.arange(50), first].mean())
        assert set(studies.HEADLINE) | set(studies.BINS.values()) | {"psp_at_5"} <= set(row)


def test_frequencies_are_counted_in_train(ds):
    np.testing.assert_array_equal(studies.train_frequency(ds), ds.train.Y.toarray().sum(axis=0))


# --- differences ---


def test_a_better_reference_gives_positive_differences(config, ds):
    worse = ds.test.Y.toarray()
    worse[::2] = 1 - worse[::2]
    predictions = {
        "worse": studies.Prediction(sets(worse), None),
        "better": studies.Prediction(ds.test.Y, None),
        "equal": studies.Prediction(ds.test.Y.copy(), None),
    }
    rows = studies.difference_rows(config, ds, predictions, reference="better", base="network", seed=3)
    assert [(row["b"], row["metric"]) for row in rows] == [
        ("worse", "macro_f1"),
        ("worse", "micro_f1"),
        ("equal", "macro_f1"),
        ("equal", "micro_f1"),
    ]
    for row in rows:
        assert (row["a"], row["base"], row["seed"]) == ("better", "network", 3)
        metric = {"macro_f1": macro_f1, "micro_f1": micro_f1}[row["metric"]]
        other = predictions[row["b"]].label_sets
        assert row["difference"] == pytest.approx(metric(ds.test.Y, ds.test.Y) - metric(ds.test.Y, other))
        assert row["low"] <= row["difference"] <= row["high"]
    assert rows[0]["low"] > 0
    assert rows[1]["low"] > 0
    assert rows[2]["difference"] == rows[2]["low"] == rows[2]["high"] == 0
    against = studies.difference_rows(config, ds, predictions, reference="worse", base="network", seed=3)
    assert {row["b"] for row in against} == {"better", "equal"}
    assert all(row["high"] < 0 for row in against)


def test_differences_use_the_profiles_draws_and_the_seed(config, ds, monkeypatch):
    seen = []
    monkeypatch.setattr(
        studies, "paired_bootstraps", lambda *args, **options: seen.append(options) or {"b": {}}
    )
    predictions = {name: studies.Prediction(ds.test.Y, None) for name in ("a", "b")}
    studies.difference_rows(config, ds, predictions, reference="a", base="network", seed=7)
    assert seen == [
        {"metric": metric, "n_draws": 50, "random_state": 7} for metric in ("macro_f1", "micro_f1")
    ]


# --- trained methods ---


@pytest.fixture
def recorded(monkeypatch):
    """Record which switches are trained, and train nothing."""
    monkeypatch.setattr(studies, "train_network", lambda config, ds, *, seed, **switches: (seed, switches))


def test_every_ablation_changes_the_papers_method_in_its_switch(config, ds, recorded):
    runs = studies.ablation_runs(config, ds, seed=4)
    assert list(runs) == list(studies.ABLATIONS)
    assert {seed for seed, _ in runs.values()} == {4}
    switches = {name: run[1] for name, run in runs.items()}
    assert switches["paper's method"] == {"pos_weight": 10.0}
    assert switches["positives weigh 1"] == {"pos_weight": 1.0}
    assert switches["no IDF, no kNN"] == {"pos_weight": 10.0, "use_idf": False, "use_knn": False}
    assert switches["fixed threshold"] == {"pos_weight": 10.0, "fixed_threshold": 0.0}
    plain = {"fixed_threshold": 0.0, "margin_weight": 0.0, "use_knn": False, "pos_weight": 1.0}
    assert switches["plain cross-entropy"] == plain
    defaults = AdaptiveThresholdNetwork().get_params()
    for name, changed in switches.items():
        assert set(changed) <= set(defaults), name
        assert name == "paper's method" or changed != {"pos_weight": 10.0}, name


def test_normalised_logits_need_two_labels(config, ds, recorded):
    single = replaced(ds, Y_train=ds.train.Y[:, [0]])
    missing = set(studies.ABLATIONS) - set(studies.ablation_runs(config, single, seed=0))
    assert missing == {"logits normalised"}


def test_training_runs_isolate_the_threshold(config, ds, recorded):
    runs = {name: run[1] for name, run in studies.training_runs(config, ds, seed=0).items()}
    assert list(runs) == ["paper's method", "same loss, θ = 0", "plain cross-entropy"]
    assert runs["same loss, θ = 0"] == {
        **runs["paper's method"],
        "fixed_threshold": 0.0,
        "use_knn": False,
    }


def test_every_ablation_trains(config, ds):
    runs = studies.ablation_runs(config, ds, seed=0)
    for name in ("no kNN", "no IDF, no kNN", "fixed threshold", "plain cross-entropy"):
        assert not runs[name].thresholds["share"].any(), name
    assert runs["paper's method"].thresholds["share"].any()
    assert not runs["fixed threshold"].thresholds["constant"].any()
    assert len({run.test_scores.data.tobytes() for run in runs.values()}) == len(runs)
    rows = studies.method_rows(config, ds, runs, seed=0)
    for row, (name, run) in zip(rows, runs.items(), strict=True):
        assert (row["method"], row["rule"], row["base"], row["split"]) == (name, "z > θ", "network", "test")
        expected = f1_score(
            ds.test.Y.toarray(), run.test_predicted.toarray(), average="macro", zero_division=0
        )
        assert row["macro_f1"] == pytest.approx(expected)
    differences = studies.method_differences(config, ds, runs, reference="paper's method", seed=0)
    assert len(differences) == 2 * (len(runs) - 1)
    by_method = {row["method"]: row["macro_f1"] for row in rows}
    for row in differences:
        assert (row["a"], row["base"]) == ("paper's method", "network")
        if row["metric"] == "macro_f1":
            assert row["difference"] == pytest.approx(by_method[row["a"]] - by_method[row["b"]])


# --- calibration ---


def test_calibrated_scores(ds, scores):
    found = studies.calibrated_scores(ds, scores)
    assert list(found) == ["base model", "isotonic", "fused (adathresh)"]
    np.testing.assert_array_equal(found["base model"].toarray(), scores.test.toarray())
    isotonic = IsotonicCalibration().fit(scores.dev, ds.validation.Y).transform(scores.test)
    np.testing.assert_array_equal(found["isotonic"].toarray(), isotonic.toarray())
    fused = studies.rule_predictions(ds, scores)["adaptive"].probabilities
    np.testing.assert_array_equal(found["fused (adathresh)"].toarray(), fused.toarray())
    other = replaced(ds, Y_test=permuted(ds.test.Y))
    for name, probabilities in studies.calibrated_scores(other, scores).items():
        np.testing.assert_array_equal(probabilities.toarray(), found[name].toarray())


def test_frequency_bands(ds):
    wanted = [0, 5, 6, 100, 101]
    Y_train = sets([[int(row < n) for n in wanted] for row in range(101)])
    bands = studies.frequency_bands(replaced(ds, Y_train=Y_train))
    assert {name: np.flatnonzero(keep).tolist() for name, keep in bands.items()} == {
        "all": [0, 1, 2, 3, 4],
        "head (> 100)": [4],
        "middle (6–100)": [2, 3],
        "tail (≤ 5)": [0, 1],
    }
    tail = studies.frequency_bands(replaced(ds, Y_train=Y_train[:, :2]))
    assert list(tail) == ["all", "tail (≤ 5)"]


def test_calibration_by_frequency_against_loops(config, ds):
    drawn = sp.random_array((50, 30), density=0.6, rng=0, dtype=np.float32, format="csr")
    probabilities = {"more": drawn, "fewer": sp.csr_array(drawn.multiply(drawn > 0.1))}
    rows = studies.calibration_rows(config, ds, probabilities, seed=9)
    bands = studies.frequency_bands(ds)
    assert len(bands) > 2
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
    repetitions = [{name: sp.random_array((50, 30), **options) for name in "abc"} for _ in range(2)]
    rows = [row for found in repetitions for row in studies.calibration_rows(config, ds, found, seed=0)]
    table = pd.DataFrame(rows).groupby(["labels", "probabilities"])[["ece", "brier"]].mean()
    found = studies.calibration_differences(config, ds, repetitions, reference="b")
    bands = studies.frequency_bands(ds)
    assert [(row["labels"], row["metric"], row["a"], row["b"]) for row in found] == [
        (band, metric, "b", other) for band in bands for metric in ("ece", "brier") for other in "ac"
    ]
    for row in found:
        wanted = table[row["metric"]][row["labels"], "b"] - table[row["metric"]][row["labels"], row["b"]]
        assert row["difference"] == pytest.approx(wanted, abs=1e-6)
        assert row["low"] < row["high"]


def test_reliability_curves_cover_the_scored_pairs(ds, scores):
    probabilities = {"one": scores.test, "none": sp.csr_array(scores.test.shape)}
    bands = studies.reliability_curves(ds, probabilities)
    names = [f"{name}: {keep.sum()} labels" for name, keep in studies.frequency_bands(ds).items()]
    assert list(bands) == names
    assert sum(bands[name]["one"][2].sum() for name in names[1:]) == scores.test.nnz
    curves = bands[names[0]]
    predicted, observed, count = curves["one"]
    assert count.sum() == scores.test.nnz
    truth = ds.test.Y.toarray()[scores.test.toarray() > 0]
    assert (observed * count).sum() == pytest.approx(truth.sum())
    assert (predicted * count).sum() == pytest.approx(scores.test.data.sum(), rel=1e-5)
    assert len(curves["none"][0]) == 0


# --- thresholds ---


def stored_pairs(matrix):
    return [
        (i, c, value)
        for i in range(matrix.shape[0])
        for c, value in zip(matrix[[i]].indices, matrix[[i]].data, strict=True)
    ]


def test_thresholds_of_the_method(ds, method):
    pairs = studies.method_threshold_pairs(ds, method)
    assert list(pairs) == ["frequency", "share", "theta"]
    stored = stored_pairs(neighbour_shares(ds).test)
    frequency = ds.train.Y.toarray().sum(axis=0)
    constant, factor = method.thresholds["constant"], method.thresholds["share"]
    expected = [(frequency[c], k, constant[c] + factor[c] * k) for _, c, k in stored]
    np.testing.assert_allclose(pairs.to_numpy(), expected, rtol=1e-6)
    assert pairs["share"].between(0, 1).all()


def test_thresholds_of_the_method_are_those_it_predicts_by(ds, method):
    # the probability is σ(z − θ): a pair with a share is predicted where it exceeds 1/2, for any θ, and a
    # network without thresholds but with logits z − θ decides alike
    pairs = studies.method_threshold_pairs(ds, method)
    network = AdaptiveThresholdNetwork(
        hidden_layers=(8,),
        learning_rate=3e-2,
        batch_size=32,
        max_epochs=4,
        patience=4,
        random_state=0,
        **PAPER,
    ).fit(ds.train.X, ds.train.Y, dev=(ds.validation.X, ds.validation.Y))
    z = network.decision_function(ds.test.X) + network.thresholds(ds.test.X)
    predicted = method.test_predicted.toarray()
    stored = stored_pairs(neighbour_shares(ds).test)
    decided = [z[i, c] > theta for (i, c, _), theta in zip(stored, pairs["theta"], strict=True)]
    assert decided == [predicted[i, c] == 1 for i, c, _ in stored]
    assert 0 < np.mean(decided) < 1


def test_thresholds_of_the_rule_are_those_it_predicts_by(ds, scores):
    pairs = studies.posthoc_threshold_pairs(ds, scores)
    assert list(pairs) == ["frequency", "share", "theta"]
    assert np.isfinite(pairs["theta"]).all()
    shares = neighbour_shares(ds)
    predicted = studies.rule_predictions(ds, scores)["adaptive"].label_sets.toarray()
    rule = studies.adaptive_rule(ds)
    cuts = rule.fit(scores.dev, ds.validation.Y, local=shares.dev, Y_train=ds.train.Y).cuts_
    stored = stored_pairs(shares.test)
    possible = [(i, c, k) for i, c, k in stored if np.isfinite(cuts[c])]
    frequency = ds.train.Y.toarray().sum(axis=0)
    np.testing.assert_array_equal(pairs["frequency"], [frequency[c] for _, c, _ in possible])
    np.testing.assert_allclose(pairs["share"], [k for _, _, k in possible])
    p = np.clip(scores.test.toarray().astype(float), 1e-6, 1 - 1e-6)
    decided = [logit(p[i, c]) > theta for (i, c, _), theta in zip(possible, pairs["theta"], strict=True)]
    assert decided == [predicted[i, c] == 1 for i, c, _ in possible]
    assert 0 < np.mean(decided) < 1


def test_labels_that_are_never_predicted_are_left_out_of_the_map(ds, scores, monkeypatch):
    class OneLabelNever(AdaptiveThreshold):
        def fit(self, *args, **options):
            super().fit(*args, **options)
            self.cuts_[np.bincount(neighbour_shares(ds).test.indices).argmax()] = np.inf
            return self

    before = studies.posthoc_threshold_pairs(ds, scores)
    monkeypatch.setattr(studies, "AdaptiveThreshold", OneLabelNever)
    after = studies.posthoc_threshold_pairs(ds, scores)
    assert len(before) - len(after) == np.bincount(neighbour_shares(ds).test.indices).max()
