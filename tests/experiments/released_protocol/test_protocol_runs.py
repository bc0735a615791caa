"""Training runs of the released protocol: every way to evaluate, what is kept, who may read which labels."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from helpers import replaced
from sklearn.metrics import f1_score

from adathresh import AdaptiveThresholdNetwork
from adathresh.experiments.core import protocol_runs as runs
from adathresh.experiments.core.trainings import neighbor_shares
from adathresh.paper.as_released import LabelLeakageWarning, ReleasedModel, predict_released


def macro(Y, predicted):
    return f1_score(Y.toarray(), predicted.toarray(), average="macro", zero_division=0)


def same(one, other):
    return (one != other).nnz == 0


def test_every_way_to_evaluate(ds, config, released):
    model = runs.initial_model(config, ds, seed=0)
    history = runs._train(model, config, ds, 0, n_epochs=8)
    others = ds.validation.Y[np.random.default_rng(0).permutation(70)]
    found = released.predictions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        for size in (1, 16, 128, 1024):
            own = predict_released(model, ds.validation.X, ds.validation.Y, batch_size=size)
            nothing = predict_released(
                model, ds.validation.X, ds.validation.Y, signals="withheld", batch_size=size
            )
            assert same(found[f"released, batch {size}"], own)
            assert same(found[f"withheld, batch {size}"], nothing)
        assert same(found["labels of other rows"], predict_released(model, ds.validation.X, others))
    assert len(found) == 9
    assert not same(found["labels of other rows"], found["released, batch 128"])
    assert not same(found["withheld, batch 128"], found["released, batch 128"])
    pd.testing.assert_frame_equal(released.history, pd.DataFrame(history), check_dtype=False)
    last = released.history.iloc[-1]
    assert last["macro_f1_released"] == pytest.approx(macro(ds.validation.Y, found["released, batch 128"]))
    assert last["macro_f1_withheld"] == pytest.approx(macro(ds.validation.Y, found["withheld, batch 128"]))


def test_halves_are_measured_apart(ds, config):
    seen = []

    def train(*args, measure, **options):
        seen.append(measure(ds.validation.Y[::-1]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "train_released", train)
        runs._train(None, config, ds, 5, n_epochs=1)
        groups = np.repeat(np.arange(35), 2)
        runs._train(None, config, replaced(ds, groups_dev=groups), 5, n_epochs=1)
    halves = runs.group_split(np.arange(70), (0.5, 0.5), random_state=5)
    assert sorted(map(len, halves)) == [35, 35]
    for half, rows in zip((1, 2), halves, strict=True):
        assert seen[0][f"macro_f1_half_{half}"] == macro(ds.validation.Y[rows], ds.validation.Y[::-1][rows])
    for half, rows in zip((1, 2), runs.group_split(groups, (0.5, 0.5), random_state=5), strict=True):
        assert len(rows) % 2 == 0
        assert seen[1][f"macro_f1_half_{half}"] == macro(ds.validation.Y[rows], ds.validation.Y[::-1][rows])


def test_runs_are_kept_for_what_they_depend_on(config, ds, released, monkeypatch):
    calls = []

    def train(config, ds, seed, how, batches, switches):
        calls.append((seed, how, batches, switches))
        return {"history": np.zeros((1, 1)), "history_names": np.array(["epoch"])}

    monkeypatch.setattr(runs, "_train_released", train)
    again = runs.released_run(config, ds, seed=0, n_epochs=8)  # the profile's number of epochs
    assert not calls
    pd.testing.assert_frame_equal(again.history, released.history)
    runs.released_run(config, ds, seed=1)
    runs.released_run(config, ds, seed=0, n_epochs=9)
    runs.released_run(config, ds, seed=0, pos_weight=1.0)
    runs.released_run(config, ds, seed=0, batches=(2,))
    runs.released_run(config, ds, seed=0, normalize_logits=False)
    runs.released_run(config, replaced(ds, X_train=2 * ds.train.X), seed=0)
    usual = {"n_epochs": 8, "pos_weight": 10.0}
    sizes = (1, 16, 128, 1024)
    assert calls == [
        (1, usual, sizes, {}),
        (0, {**usual, "n_epochs": 9}, sizes, {}),
        (0, {**usual, "pos_weight": 1.0}, sizes, {}),
        (0, usual, (2,), {}),
        (0, usual, sizes, {"normalize_logits": False}),
        (0, usual, sizes, {}),
    ]


def test_train_all_leaves_nothing_to_train(config, ds, monkeypatch):
    longer = (runs.released_run, {"n_epochs": 9})
    runs.train_all(config, {5: ds}, [longer, (runs.leak_free_run, {})])
    for training in ("_train_released", "_train_leak_free"):
        monkeypatch.setattr(runs, training, None)
    assert len(runs.released_run(config, ds, seed=5, n_epochs=9).history) == 9
    assert runs.leak_free_run(config, ds, seed=5).predictions


def test_fixed_thresholds_are_trained_for_half_of_the_epochs(config, ds, monkeypatch):
    monkeypatch.setattr(runs, "released_run", lambda *args, **options: options)
    asked = runs.fixed_threshold_run(config, ds, seed=3, pos_weight=1.0, normalize_logits=False)
    assert asked == {
        "seed": 3,
        "n_epochs": 4,
        "batches": (128,),
        "pos_weight": 1.0,
        "normalize_logits": False,
        "use_fixed_threshold": True,
    }


def test_scores_are_the_highest_of_each_row(config, ds, released, leak_free, method):
    for run, names in ((released, ["released", "withheld"]), (leak_free, ["leak-free signals"])):
        assert list(run.scores) == names
        for name in names:
            scores = run.scores[name].toarray()
            # all 20 labels are kept, fewer than the profile's number; cut at one half they are the set
            assert (scores > 0).all()
            way = name if name == "leak-free signals" else f"{name}, batch 128"
            np.testing.assert_array_equal(scores > 0.5, run.predictions[way].toarray() > 0)
    (scores,) = method.scores.values()
    np.testing.assert_array_equal(scores.toarray() > 0.5, method.predictions["leak-free"].toarray() > 0)


def test_only_the_top_scores_are_kept(ds):
    def network(rows, g, K):
        z = torch.from_numpy(dense[len(seen) : len(seen) + g.shape[0]])
        seen.extend(range(g.shape[0]))
        return z, g + K

    dense = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    X, seen = sp.csr_array(np.eye(300, 60, dtype=np.float32)), []
    network.eval = lambda: None

    def signals(rows):
        n_rows = len(range(300)[rows])
        return torch.full((n_rows, 20), 0.25), torch.full((n_rows, 20), 0.5)

    found = runs._top_scores(network, X, signals, 3)
    assert np.diff(found.indptr).tolist() == [3] * 300
    expected = 1 / (1 + np.exp(0.75 - dense))
    for row in range(300):
        kept = found.indices[found.indptr[row] : found.indptr[row + 1]]
        assert set(kept) == set(np.argsort(-dense[row])[:3])
        np.testing.assert_allclose(found[[row]].toarray()[0, kept], expected[row, kept], rtol=1e-5)


def test_the_initial_model_is_the_one_that_is_trained(config, ds, monkeypatch):
    model = runs.initial_model(config, ds, seed=2)
    other = runs.initial_model(config, ds, seed=3, use_fixed_threshold=True)
    assert isinstance(model, ReleasedModel)
    assert other.threshold.use_fixed_threshold
    seen = []
    monkeypatch.setattr(runs, "_train", lambda model, *args, **options: seen.append(model) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs._train_released(config, ds, 2, {"n_epochs": 1}, (), {})
    for own, expected, different in zip(
        seen[0].parameters(), model.parameters(), other.parameters(), strict=True
    ):
        assert (own == expected).all()
        assert own.numel() == 1 or (own != different).any() or (own == 0).all() or (own == 0.5).all()


def test_a_stored_run_equals_a_fresh_one(config, ds, released, leak_free, method, monkeypatch, tmp_path):
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelLeakageWarning)
        fresh = [run(config, ds, seed=0) for run in (runs.released_run, runs.leak_free_run)]
    fresh.append(runs.leak_free_method(config, ds, seed=0))
    for run, stored in zip(fresh, (released, leak_free, method), strict=True):
        pd.testing.assert_frame_equal(run.history, stored.history)
        assert list(run.predictions) == list(stored.predictions)
        for name, predicted in run.predictions.items():
            assert same(predicted, stored.predictions[name]), name


def test_only_the_released_protocol_reads_the_labels_it_predicts(
    config, ds, released, leak_free, method, monkeypatch, tmp_path
):
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    permuted = ds.validation.Y[np.random.default_rng(1).permutation(70)]
    nothing = sp.csr_array(ds.test.X.shape, dtype=np.float32)
    other = replaced(ds, Y_dev=permuted, X_test=nothing, Y_test=ds.test.Y[::-1])
    run = runs.released_run(config, other, seed=0)
    assert run.history["train_loss"].tolist() == released.history["train_loss"].tolist()
    for size in (1, 16, 128, 1024):
        assert not same(
            run.predictions[f"released, batch {size}"], released.predictions[f"released, batch {size}"]
        )
        assert same(
            run.predictions[f"withheld, batch {size}"], released.predictions[f"withheld, batch {size}"]
        )
    own, other_method = (
        runs.leak_free_run(config, other, seed=0),
        runs.leak_free_method(config, other, seed=0),
    )
    assert same(own.predictions["leak-free signals"], leak_free.predictions["leak-free signals"])
    assert same(other_method.predictions["leak-free"], method.predictions["leak-free"])
    assert leak_free.predictions["leak-free signals"].nnz > 0
    assert method.predictions["leak-free"].nnz > 0
    last = leak_free.history.iloc[-1]
    assert last["macro_f1_leak_free"] == pytest.approx(
        macro(ds.validation.Y, leak_free.predictions["leak-free signals"])
    )


def test_the_leak_free_method_is_fitted_on_training_rows_alone(config, ds, method, monkeypatch, tmp_path):
    seen = []

    class Spy(AdaptiveThresholdNetwork):
        def fit(self, X, Y, **options):
            seen.append((X is ds.train.X, Y is grouped.train.Y, options, self.max_epochs, self.pos_weight))
            return super().fit(X, Y, **options)

    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    monkeypatch.setattr(runs, "AdaptiveThresholdNetwork", Spy)
    grouped = replaced(ds, groups_train=np.arange(150) // 3, groups_dev=np.arange(70))
    run = runs.leak_free_method(config, grouped, seed=0)
    assert seen == [(True, True, {"groups": grouped.train.groups}, 8, 10.0)]
    assert not same(run.predictions["leak-free"], method.predictions["leak-free"])


def test_leak_free_signals_come_from_the_training_rows(config, ds, monkeypatch):
    seen = []

    def train(*args, leak_free, **options):
        seen.extend(leak_free)
        return [{"epoch": 1, "macro_f1_leak_free": 0.0}]

    monkeypatch.setattr(runs, "train_released", train)
    runs._train_leak_free(config, ds, 0)
    shares = neighbor_shares(ds)
    np.testing.assert_allclose(seen[0].idf, np.log(150 / (ds.train.Y.toarray().sum(axis=0) + 1)), rtol=1e-6)
    np.testing.assert_array_equal(seen[1].idf, seen[0].idf)
    assert same(seen[0].local, shares.train)
    assert same(seen[1].local, shares.validation)


def test_without_a_threshold_labels_change_nothing(config, ds):
    run = runs.released_run(config, ds, seed=0, n_epochs=2, batches=(5, 128), use_fixed_threshold=True)
    assert set(run.predictions) == {
        "released, batch 5",
        "released, batch 128",
        "withheld, batch 5",
        "withheld, batch 128",
        "labels of other rows",
    }
    for predicted in run.predictions.values():
        assert same(predicted, run.predictions["withheld, batch 128"])
