"""What the released protocol measures: every way to evaluate, epochs, batches, switches, and the ceilings."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from adathresh import AdaptiveThresholdNetwork
from adathresh.datasets import Dataset, make_longtail
from adathresh.experiments import leakage_study as study
from adathresh.experiments.config import PROFILES, RunConfig
from adathresh.experiments.models import neighbour_shares
from adathresh.released import LabelLeakageWarning, predict_released

SIZES = {"train": 150, "dev": 70, "test": 10}
TINY = dataclasses.replace(
    PROFILES["quick"],
    patience=2,
    hidden_layers=(16,),
    learning_rate=3e-2,
    batch_size=32,
    released_epochs=8,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "quick", TINY)
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def ds():
    X, Y = make_longtail(230, 60, 20, labels_per_row=2, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    return Dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        label_names=[f"label {i}" for i in range(20)],
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint=f"{7:064x}",
        dev_source="official",
    )


@pytest.fixture(scope="module")
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture(scope="module")
def released(config, ds):
    return study.released_run(config, ds, seed=0)


@pytest.fixture(scope="module")
def leak_free(config, ds):
    return study.leak_free_run(config, ds, seed=0)


@pytest.fixture(scope="module")
def method(config, ds):
    return study.leak_free_method(config, ds, seed=0)


def macro(Y, predicted):
    return f1_score(Y.toarray(), predicted.toarray(), average="macro", zero_division=0)


def same(one, other):
    return (one != other).nnz == 0


# --- training and predicting ---


def test_every_way_to_evaluate(ds, config, released):
    model = study._model(config.numbers, ds, 0)
    history = study._train(model, config.numbers, ds, 0, 8)
    others = ds.Y_dev[np.random.default_rng(0).permutation(70)]
    found = released.predictions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        for size in (1, 16, 128, 1024):
            own = predict_released(model, ds.X_dev, ds.Y_dev, batch_size=size)
            nothing = predict_released(model, ds.X_dev, ds.Y_dev, signals="withheld", batch_size=size)
            assert same(found[f"released, batch {size}"], own)
            assert same(found[f"withheld, batch {size}"], nothing)
        assert same(found["labels of other rows"], predict_released(model, ds.X_dev, others))
    assert len(found) == 9
    assert not same(found["labels of other rows"], found["released, batch 128"])
    assert not same(found["withheld, batch 128"], found["released, batch 128"])
    pd.testing.assert_frame_equal(released.history, pd.DataFrame(history), check_dtype=False)
    last = released.history.iloc[-1]
    assert last["macro_f1_released"] == pytest.approx(macro(ds.Y_dev, found["released, batch 128"]))
    assert last["macro_f1_withheld"] == pytest.approx(macro(ds.Y_dev, found["withheld, batch 128"]))


def test_halves_are_measured_apart(ds, config):
    seen = []

    def train(*args, measure, **options):
        seen.append(measure(ds.Y_dev[::-1]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train_released", train)
        study._train(None, config.numbers, ds, 5, 1)
        groups = np.repeat(np.arange(35), 2)
        study._train(None, config.numbers, dataclasses.replace(ds, groups_dev=groups), 5, 1)
    halves = study.group_split(np.arange(70), (0.5, 0.5), random_state=5)
    assert sorted(map(len, halves)) == [35, 35]
    for half, rows in zip((1, 2), halves, strict=True):
        assert seen[0][f"macro_f1_half_{half}"] == macro(ds.Y_dev[rows], ds.Y_dev[::-1][rows])
    for half, rows in zip((1, 2), study.group_split(groups, (0.5, 0.5), random_state=5), strict=True):
        assert len(rows) % 2 == 0
        assert seen[1][f"macro_f1_half_{half}"] == macro(ds.Y_dev[rows], ds.Y_dev[::-1][rows])


def test_runs_are_kept_for_what_they_depend_on(config, ds, released, monkeypatch):
    calls = []
    monkeypatch.setattr(study, "_train_released", lambda *args: calls.append(args) or kept)
    kept = {"history": np.zeros((1, 1)), "history_names": np.array(["epoch"])}
    again = study.released_run(config, ds, seed=0, n_epochs=8)  # the profile's number of epochs
    assert not calls
    pd.testing.assert_frame_equal(again.history, released.history)
    study.released_run(config, ds, seed=1)
    study.released_run(config, ds, seed=0, n_epochs=9)
    study.released_run(config, ds, seed=0, pos_weight=1.0)
    study.released_run(config, ds, seed=0, batches=(2,))
    study.released_run(config, ds, seed=0, normalize_logits=False)
    study.released_run(config, dataclasses.replace(ds, X_train=2 * ds.X_train), seed=0)
    assert len(calls) == 6
    assert calls[1][3:] == (9, (1, 16, 128, 1024), 10.0, {})
    assert calls[3][3:] == (8, (2,), 10.0, {})
    assert calls[4][3:] == (8, (1, 16, 128, 1024), 10.0, {"normalize_logits": False})


def test_a_stored_run_equals_a_fresh_one(config, ds, released, leak_free, method, monkeypatch, tmp_path):
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelLeakageWarning)
        fresh = [run(config, ds, seed=0) for run in (study.released_run, study.leak_free_run)]
    fresh.append(study.leak_free_method(config, ds, seed=0))
    for run, stored in zip(fresh, (released, leak_free, method), strict=True):
        pd.testing.assert_frame_equal(run.history, stored.history)
        assert list(run.predictions) == list(stored.predictions)
        for name, predicted in run.predictions.items():
            assert same(predicted, stored.predictions[name]), name


def test_only_the_released_protocol_reads_the_labels_it_predicts(
    config, ds, released, leak_free, method, monkeypatch, tmp_path
):
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    permuted = ds.Y_dev[np.random.default_rng(1).permutation(70)]
    nothing = sp.csr_array(ds.X_test.shape, dtype=np.float32)
    other = dataclasses.replace(ds, Y_dev=permuted, X_test=nothing, Y_test=ds.Y_test[::-1])
    run = study.released_run(config, other, seed=0)
    assert run.history["train_loss"].tolist() == released.history["train_loss"].tolist()
    for size in (1, 16, 128, 1024):
        assert not same(
            run.predictions[f"released, batch {size}"], released.predictions[f"released, batch {size}"]
        )
        assert same(
            run.predictions[f"withheld, batch {size}"], released.predictions[f"withheld, batch {size}"]
        )
    own, other_method = (
        study.leak_free_run(config, other, seed=0),
        study.leak_free_method(config, other, seed=0),
    )
    assert same(own.predictions["leak-free signals"], leak_free.predictions["leak-free signals"])
    assert same(other_method.predictions["leak-free"], method.predictions["leak-free"])
    assert leak_free.predictions["leak-free signals"].nnz > 0
    assert method.predictions["leak-free"].nnz > 0
    last = leak_free.history.iloc[-1]
    assert last["macro_f1_leak_free"] == pytest.approx(
        macro(ds.Y_dev, leak_free.predictions["leak-free signals"])
    )


def test_the_leak_free_method_is_fitted_on_training_rows_alone(config, ds, method, monkeypatch, tmp_path):
    seen = []

    class Spy(AdaptiveThresholdNetwork):
        def fit(self, X, Y, **options):
            seen.append((X is ds.X_train, Y is grouped.Y_train, options, self.max_epochs, self.pos_weight))
            return super().fit(X, Y, **options)

    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    monkeypatch.setattr(study, "AdaptiveThresholdNetwork", Spy)
    grouped = dataclasses.replace(ds, groups_train=np.arange(150) // 3, groups_dev=np.arange(70))
    run = study.leak_free_method(config, grouped, seed=0)
    assert seen == [(True, True, {"groups": grouped.groups_train}, 8, 10.0)]
    assert not same(run.predictions["leak-free"], method.predictions["leak-free"])


def test_leak_free_signals_come_from_the_training_rows(config, ds, monkeypatch):
    seen = []

    def train(*args, leak_free, **options):
        seen.extend(leak_free)
        return [{"epoch": 1, "macro_f1_leak_free": 0.0}]

    monkeypatch.setattr(study, "train_released", train)
    study._train_leak_free(config.numbers, ds, 0)
    shares = neighbour_shares(ds)
    np.testing.assert_allclose(seen[0].idf, np.log(150 / (ds.Y_train.toarray().sum(axis=0) + 1)), rtol=1e-6)
    np.testing.assert_array_equal(seen[1].idf, seen[0].idf)
    assert same(seen[0].local, shares.train)
    assert same(seen[1].local, shares.dev)


# --- rows ---


def test_leakage_rows(config, ds, released, leak_free, method):
    rows = study.leakage_rows(config, ds, released, leak_free, method, seed=4)
    ways = {
        "released, batch 16": released.predictions["released, batch 16"],
        "released, batch 128": released.predictions["released, batch 128"],
        "released, batch 1024": released.predictions["released, batch 1024"],
        "labels of other rows": released.predictions["labels of other rows"],
        "labels withheld": released.predictions["withheld, batch 128"],
        "leak-free signals": leak_free.predictions["leak-free signals"],
        "leak-free": method.predictions["leak-free"],
    }
    assert [row["method"] for row in rows] == ["released, best epoch", *ways]
    for row, predicted in zip(rows[1:], ways.values(), strict=True):
        for average in ("macro", "micro"):
            expected = f1_score(ds.Y_dev.toarray(), predicted.toarray(), average=average, zero_division=0)
            assert row[f"{average}_f1"] == pytest.approx(expected)
    assert {(row["dataset"], row["split"], row["mode"], row["base"], row["seed"]) for row in rows} == {
        ("tiny", "dev", "inductive", "network", 4)
    }


def test_the_reported_figure_is_the_best_epochs(config, ds, released):
    history = released.history.copy()
    history["macro_f1_released"] = [0.1, 0.4, 0.3, 0.2, 0, 0, 0, 0]
    history["micro_f1_released"] = [0.9, 0.5, 0.6, 0.7, 0, 0, 0, 0]
    first, *_ = study.leakage_rows(config, ds, released._replace(history=history), seed=0)
    assert first["macro_f1"] == 0.4
    assert first["micro_f1"] == 0.5  # of the same epoch, not the greatest


def test_selection_rows_by_hand(config, ds):
    columns = {
        "macro_f1_half_1_released": [0.1, 0.5, 0.3],
        "macro_f1_half_2_released": [0.2, 0.1, 0.6],
        "macro_f1_half_1_withheld": [0.1, 0.2, 0.3],
        "macro_f1_half_2_withheld": [0.3, 0.1, 0.0],
    }
    rows = study.selection_rows(config, ds, study.ProtocolRun(pd.DataFrame(columns), {}), seed=2)
    found = {(row["signals"], row["epoch_chosen_on"]): row["macro_f1"] for row in rows}
    assert found == {
        ("released", "the reported rows"): pytest.approx((0.5 + 0.6) / 2),
        ("released", "other rows"): pytest.approx((0.3 + 0.1) / 2),
        ("released", "none: the last"): pytest.approx((0.3 + 0.6) / 2),
        ("withheld", "the reported rows"): pytest.approx((0.3 + 0.3) / 2),
        ("withheld", "other rows"): pytest.approx((0.1 + 0.0) / 2),
        ("withheld", "none: the last"): pytest.approx((0.3 + 0.0) / 2),
    }
    assert all((row["dataset"], row["split"], row["seed"]) == ("tiny", "dev", 2) for row in rows)


def test_choosing_on_the_reported_rows_never_lowers_the_figure(config, ds, released):
    rows = study.selection_rows(config, ds, released, seed=0)
    for signals in ("released", "withheld"):
        found = [row["macro_f1"] for row in rows if row["signals"] == signals]
        assert found[0] == max(found)


def test_batch_rows(config, ds, released):
    rows = study.batch_rows(config, ds, released, seed=0)
    assert [(row["signals"], row["batch_size"]) for row in rows] == [
        (signals, size) for signals in ("released", "withheld") for size in (1, 16, 128, 1024)
    ]
    for row in rows:
        predicted = released.predictions[f"{row['signals']}, batch {row['batch_size']}"]
        assert row["macro_f1"] == pytest.approx(macro(ds.Y_dev, predicted))
    scores = [{row["macro_f1"] for row in rows if row["signals"] == s} for s in ("released", "withheld")]
    assert len(scores[0]) > 1
    assert len(scores[1]) == 1


def test_attribution_trains_every_pair_without_a_threshold(config, ds, released, monkeypatch):
    asked = []

    def run(config, ds, *, seed, **options):
        asked.append((seed, options))
        return released

    monkeypatch.setattr(study, "released_run", run)
    rows = study.attribution_rows(config, ds, released, seed=6)
    assert asked == [
        (
            6,
            {
                "batches": (128,),
                "pos_weight": weight,
                "normalize_logits": standardised,
                "use_fixed_threshold": True,
            },
        )
        for weight in (1.0, 10.0)
        for standardised in (False, True)
    ]
    assert [(row["threshold"], row["pos_weight"], row["row_standardised"]) for row in rows] == [
        ("0.5", 1.0, False),
        ("0.5", 1.0, True),
        ("0.5", 10.0, False),
        ("0.5", 10.0, True),
        ("learnt, labels withheld", 10.0, True),
        ("learnt, labels released", 10.0, True),
    ]
    for row, signals in zip(rows, ["withheld"] * 5 + ["released"], strict=True):
        predicted = released.predictions[f"{signals}, batch 128"]
        assert row["macro_f1"] == pytest.approx(macro(ds.Y_dev, predicted))
        assert row["best_macro_f1"] == released.history[f"macro_f1_{signals}"].max()


def test_without_a_threshold_labels_change_nothing(config, ds):
    run = study.released_run(config, ds, seed=0, n_epochs=2, batches=(5, 128), use_fixed_threshold=True)
    assert set(run.predictions) == {
        "released, batch 5",
        "released, batch 128",
        "withheld, batch 5",
        "withheld, batch 128",
        "labels of other rows",
    }
    for predicted in run.predictions.values():
        assert same(predicted, run.predictions["withheld, batch 128"])


def test_history_rows(config, ds, released):
    rows = study.history_rows(config, ds, released, seed=1)
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    for row in rows:
        epoch = released.history.iloc[row["epoch"] - 1]
        assert row["difference"] == epoch["macro_f1_released"] - epoch["macro_f1_withheld"]
        assert (row["macro_f1_released"], row["train_loss"]) == (
            epoch["macro_f1_released"],
            epoch["train_loss"],
        )
    few = study.history_rows(config, ds, released, seed=1, n_shown=3)
    assert [row["epoch"] for row in few] == [1, 5, 8]


# --- the ceiling ---

SMALL = study.LabelTotals(
    n_rows=5_000, n_labels=300, n_positives=12_000, largest=900, head_labels=60, least=1
)


def test_label_totals():
    # frequencies 8, 4, 2, 1, 1 and 0; 80 % of 16 is 12.8
    Y = sp.csr_array(np.array([[int(row < n) for n in (1, 8, 0, 2, 4, 1)] for row in range(10)]))
    assert study.label_totals(Y) == study.LabelTotals(10, 5, 16, 8, 3, 1)


@pytest.mark.parametrize("totals", [SMALL, study.AMAZONCAT_13K], ids=["small", "AmazonCat-13K"])
@pytest.mark.parametrize("law", study.LAWS)
def test_laws_meet_the_totals_that_they_are_fitted_to(law, totals):
    frequency, parameters = study.fitted_frequencies(totals, law)
    s, q, c = parameters["exponent"], parameters["shift"], parameters["cut_off"]
    expected = [
        totals.largest * ((r + q) / (1 + q)) ** -s * np.exp(-c * (r - 1))
        for r in range(1, totals.n_labels + 1)
    ]
    np.testing.assert_allclose(frequency, np.maximum(np.round(expected), 1), atol=1)
    assert (np.diff(frequency) <= 0).all()
    assert frequency[0] == totals.largest
    assert frequency.sum() == pytest.approx(totals.n_positives, rel=0.01)
    number = study.LAWS.index(law)
    assert (q == 0) == (number < 1)
    assert (c == 0) == (number < 2)
    in_head = frequency[: totals.head_labels].sum() / frequency.sum()
    assert (in_head == pytest.approx(0.8, abs=0.005)) == (number >= 1)
    assert (frequency[-1] == totals.least) == (number >= 2)


def test_fit_finds_the_exponent_that_made_the_totals():
    frequency = 2_000.0 * np.arange(1, 501) ** -0.9
    totals = study.LabelTotals(10_000, 500, frequency.sum(), 2_000, 100, 1)
    _, parameters = study.fitted_frequencies(totals, "power law")
    assert parameters["exponent"] == pytest.approx(0.9, abs=1e-5)


def test_unknown_law():
    with pytest.raises(ValueError, match=r"law must be one of power law, .*; got 'zipf'"):
        study.fitted_frequencies(SMALL, "zipf")


def test_simulated_ceilings_against_the_closed_form():
    rows = study.simulated_ceilings(SMALL, n_evaluated=400, n_trained=1_600, n_draws=300)
    assert [row["law"] for row in rows] == list(study.LAWS)
    for row in rows:
        frequency, parameters = study.fitted_frequencies(SMALL, row["law"])
        assert {name: row[name] for name in parameters} == parameters
        assert (row["positives"], row["least"]) == (frequency.sum(), frequency[-1])
        assert row["head_labels"] == 1 + np.flatnonzero(frequency.cumsum() >= 0.8 * frequency.sum())[0]
        seen = 1 - np.array([np.prod(1 - 400 / (5_000 - np.arange(f))) for f in frequency])
        assert row["ceiling"] == pytest.approx(seen.mean(), abs=0.004)
        spread = np.sqrt((seen * (1 - seen)).sum()) / 300
        assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * spread, rel=0.3)
        assert row["low"] < row["ceiling"] < row["high"]
        trained = 1 - (1 - 1_600 / 5_000) ** frequency
        assert row["ceiling_trained"] == pytest.approx((seen * trained).mean(), abs=0.03)
        assert row["ceiling_trained"] < row["ceiling"]
    assert study.simulated_ceilings(SMALL, n_evaluated=400, n_trained=1_600, n_draws=300) == rows


def test_all_rows_show_every_label():
    (*_, row) = study.simulated_ceilings(SMALL, n_evaluated=5_000, n_trained=0, n_draws=2)
    assert row["ceiling"] == row["low"] == row["high"] == 1
    assert row["ceiling_trained"] == 0


def test_more_rows_than_there_are():
    with pytest.raises(ValueError, match=r"n_evaluated \+ n_trained is 50000, but there are 5000 rows"):
        study.simulated_ceilings(SMALL)


def test_a_third_of_the_labels_at_10_000_rows_of_amazoncat():
    """The ceiling of the reported 0.1712, and how far the simpler laws are off."""
    plain, shifted, cut_off = study.simulated_ceilings(n_draws=5)
    assert cut_off["ceiling"] == pytest.approx(0.324, abs=0.005)
    assert (cut_off["head_labels"], cut_off["least"]) == (635, 1)
    assert shifted["ceiling"] == pytest.approx(0.446, abs=0.008)
    assert shifted["least"] > 10  # there are labels of one row
    assert plain["head_labels"] > 3_000  # there are 635


def test_ceiling_check_compares_with_the_true_frequencies(config, ds):
    rows = study.ceiling_check_rows(config, ds)
    frequency = [n for n in ds.Y_train.toarray().sum(axis=0) if n]
    expected = np.mean([1 - np.prod([1 - 30 / (150 - i) for i in range(int(n))]) for n in frequency])
    simulated = study.simulated_ceilings(study.label_totals(ds.Y_train), n_evaluated=30, n_trained=0)
    for row, other in zip(rows, simulated, strict=True):
        assert row["n_evaluated"] == 30
        assert row["true"] == pytest.approx(expected, abs=0.02)
        assert (row["law"], row["simulated"]) == (other["law"], other["ceiling"])
    assert rows[-1]["simulated"] == pytest.approx(rows[-1]["true"], abs=0.1)
