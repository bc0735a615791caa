"""What several tables share: rows of metrics, differences with their intervals, frequencies."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.metrics import f1_score

from adathresh.experiments.core import evaluation
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.evaluation import (
    BINS,
    HEADLINE,
    crossfit_metrics,
    interval_rows,
    label_frequency,
    method_differences,
    method_rows,
    metrics_on_test,
    on_every_base,
    rule_rows,
)
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.rules import Prediction, main_predictions
from adathresh.experiments.core.trainings import train_each
from adathresh.metrics import macro_f1, micro_f1

pytestmark = pytest.mark.usefixtures("shared_cache")


def sets(rows):
    return sp.csr_array(np.array(rows, dtype=np.float32))


@pytest.fixture(scope="module")
def predictions(config, ds):
    return main_predictions(config, ds, "linear", seed=0)


def test_frequencies_are_counts_of_rows(ds):
    np.testing.assert_array_equal(label_frequency(ds.train.Y), ds.train.Y.toarray().sum(axis=0))
    np.testing.assert_array_equal(label_frequency(sets([[0, 1, 0], [0, 1, 0]])), [0, 2, 0])


def test_rows_describe_and_evaluate(config, ds, predictions):
    rows = rule_rows(config, ds, "linear", predictions, seed=5)
    assert [row["rule"] for row in rows] == list(predictions)
    truth, frequency = ds.test.Y.toarray(), fitting_labels(ds).toarray().sum(axis=0)
    for row in rows:
        assert (row["split"], row["base"], row["mode"], row["seed"]) == ("test", "linear", "inductive", 5)
        assert (row["method"] == "adathresh") == (row["rule"] == "adaptive")
        predicted = predictions[row["rule"]].label_sets.toarray()
        for average in ("macro", "micro"):
            expected = f1_score(truth, predicted, average=average, zero_division=0)
            assert row[f"{average}_f1"] == pytest.approx(expected)
        first = predictions[row["rule"]].probabilities.toarray().argmax(axis=1)
        assert row["precision_at_1"] == pytest.approx(truth[np.arange(50), first].mean())
        # how rare a label is, training and validation rows tell
        rare = (frequency > 5) & (frequency <= 20)
        expected = f1_score(truth[:, rare], predicted[:, rare], average="macro", zero_division=0)
        assert row[BINS["6–20"]] == pytest.approx(expected)
        assert {*HEADLINE, *BINS.values(), "psp_at_5"} <= set(row)


def test_rarity_is_told_by_the_rows_that_were_fitted_on(ds):
    frequent = replaced(ds, Y_train=sets([[1] * 12] * 90), Y_dev=sets([[0] * 12] * 40))
    perfect = Prediction(ds.test.Y, ds.test.Y)
    of_training = metrics_on_test(frequent, perfect)
    assert np.isnan(of_training["macro_f1_0"])
    assert of_training["macro_f1_21_100"] == pytest.approx((ds.test.Y.toarray().any(axis=0)).mean())
    both = replaced(frequent, Y_dev=sets([[1] * 12] * 40))
    assert crossfit_metrics(both, perfect)["macro_f1_over_100"] == of_training["macro_f1_21_100"]


def test_a_better_reference_gives_positive_differences(config, ds):
    worse = ds.test.Y.toarray()
    worse[::2] = 1 - worse[::2]
    label_sets = {"worse": [sets(worse)], "better": [ds.test.Y], "equal": [ds.test.Y.copy()]}
    rows = interval_rows(config, ds, label_sets, "better", random_state=3, base="linear", seed=3)
    assert [(row["b"], row["metric"]) for row in rows] == [
        ("worse", "macro_f1"),
        ("worse", "micro_f1"),
        ("equal", "macro_f1"),
        ("equal", "micro_f1"),
    ]
    for row in rows:
        assert (row["a"], row["base"], row["seed"]) == ("better", "linear", 3)
        metric = {"macro_f1": macro_f1, "micro_f1": micro_f1}[row["metric"]]
        other = label_sets[row["b"]][0]
        assert row["difference"] == pytest.approx(metric(ds.test.Y, ds.test.Y) - metric(ds.test.Y, other))
        assert row["low"] <= row["difference"] <= row["high"]
    assert rows[0]["low"] > 0
    assert rows[1]["low"] > 0
    assert rows[2]["difference"] == rows[2]["low"] == rows[2]["high"] == 0
    against = interval_rows(config, ds, label_sets, "worse", random_state=3, base="linear")
    assert {row["b"] for row in against} == {"better", "equal"}
    assert all(row["high"] < 0 for row in against)
    assert "seed" not in against[0]


def test_differences_are_means_over_the_repetitions(config, ds):
    worse = [sets(ds.test.Y.toarray() * keep) for keep in (0, np.arange(50)[:, None] % 2)]
    label_sets = {"ours": [ds.test.Y, ds.test.Y], "other": worse}
    macro, micro = interval_rows(config, ds, label_sets, "ours", random_state=0, base="linear")
    for row, metric in ((macro, macro_f1), (micro, micro_f1)):
        expected = np.mean([metric(ds.test.Y, ds.test.Y) - metric(ds.test.Y, other) for other in worse])
        assert row["difference"] == pytest.approx(expected)


def test_differences_use_the_profiles_draws_the_seed_and_the_groups(config, ds, monkeypatch):
    asked = []

    def bootstrap(Y, ours, rivals, **options):
        asked.append(options)
        return {name: {} for name in rivals}

    monkeypatch.setattr(evaluation, "paired_bootstrap", bootstrap)
    interval_rows(config, ds, {"a": [ds.test.Y], "b": [ds.test.Y]}, "a", random_state=7, base="linear")
    assert [options.pop("groups") is ds.test.groups for options in asked] == [True, True]
    assert asked == [
        {"metric": metric, "n_draws": 20, "random_state": 7} for metric in ("macro_f1", "micro_f1")
    ]


@pytest.mark.slow
def test_trained_methods_are_cut_where_z_is_theta(config, ds):
    runs = train_each(config, ds, {"one": {}, "two": {"pos_weight": 10.0}}, seed=0)
    rows = method_rows(config, ds, runs, seed=0)
    for row, (name, run) in zip(rows, runs.items(), strict=True):
        assert (row["method"], row["rule"], row["base"], row["split"]) == (name, "z > θ", "network", "test")
        expected = f1_score(
            ds.test.Y.toarray(), run.test_predicted.toarray(), average="macro", zero_division=0
        )
        assert row["macro_f1"] == pytest.approx(expected)
    macro, micro = method_differences(config, ds, [runs], reference="two")
    assert (macro["a"], macro["b"]) == ("two", "one")
    assert macro["difference"] == pytest.approx(rows[1]["macro_f1"] - rows[0]["macro_f1"])
    assert micro["difference"] == pytest.approx(rows[1]["micro_f1"] - rows[0]["micro_f1"])


def test_intervals_of_trained_methods_hold_the_seeds(config, ds):
    """The first seed is all right, the second all wrong: the rows alone would leave nothing open."""
    right, wrong = (SimpleNamespace(test_predicted=sets) for sets in (ds.test.Y, 0 * ds.test.Y))
    runs = [{"one": right, "two": wrong}, {"one": wrong, "two": right}]
    macro, _ = method_differences(config, ds, runs, reference="two")
    assert macro["difference"] == pytest.approx(0)
    assert macro["low"] < -0.1
    assert macro["high"] > 0.1


def work(config, ds, base, *, seed):
    return base, seed, config.dataset, ds


def test_work_comes_back_base_by_base_and_of_each_the_seeds(ds):
    two = RunConfig(dataset="tiny", seeds=2, random_state=4)
    found = on_every_base(work, two, "the data", ["linear", "network"])
    assert found == [(base, seed, "tiny", "the data") for base in ("linear", "network") for seed in (4, 5)]
