"""The training loop: learning, early stopping, seeds, interruption, checkpoints and progress."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors
import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits

from adathresh import LabelIDF, NeighborLabels, ThresholdFusion
from adathresh.metrics import macro_f1, micro_f1
from adathresh.paper import network, training
from adathresh.paper.losses import AdaptiveThresholdLoss
from adathresh.paper.network import MultiLabelNetwork
from adathresh.paper.training import Rows, ThresholdedNetwork, TrainingPlan, predict_batches, train
from adathresh.utils import checkpoint as _checkpoint

N_FEATURES, N_LABELS = 20, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks gain nothing from threads, and wait long for them where other work runs too."""
    with threadpool_limits(1):
        yield


def make_rows(seed=0, n_samples=90):
    """Sparse rows whose labels follow from the features, 60 to train on and the others held out."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n_samples, N_FEATURES), density=0.4, rng=rng, dtype=np.float32, format="csr")
    Y = sp.csr_array((X @ rng.normal(size=(N_FEATURES, N_LABELS)) > 0.3).astype(np.float32))
    knn = NeighborLabels(5)
    local = knn.fit_transform(X[:60], Y[:60])
    return Rows(X=X[:60], Y=Y[:60], local=local), Rows(X=X[60:], Y=Y[60:], local=knn.transform(X[60:]))


def make_model(fit_on, seed=0, hidden=(16,), dropout=0.3, **options):
    torch.manual_seed(seed)
    layers = MultiLabelNetwork(N_FEATURES, N_LABELS, hidden_layers=hidden, dropout=dropout)
    return ThresholdedNetwork(layers, ThresholdFusion(LabelIDF().fit(fit_on.Y).idf_, **options))


PLAN = {"max_epochs": 4, "batch_size": 16, "learning_rate": 1e-2}


def run(checkpoint=None, validation=True, model=None, loss=None, data=None, verbose=False, **plan):
    """Train a new small model; return it with its history."""
    rows, held_out = data or make_rows()
    model = model or make_model(rows)
    loss = loss or AdaptiveThresholdLoss()
    held_out = held_out if validation else None
    plan = TrainingPlan(**(PLAN | plan))
    return model, train(model, loss, rows, held_out, plan=plan, checkpoint=checkpoint, verbose=verbose)


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def assert_same_weights(a, b):
    a, b = (x if isinstance(x, dict) else weights(x) for x in (a, b))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


class InterruptingLoss(AdaptiveThresholdLoss):
    """Presses Ctrl-C at a call, as a user would."""

    def __init__(self, at):
        super().__init__()
        self._at, self._calls = at, 0

    def forward(self, *args):
        self._calls += 1
        if self._calls == self._at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().forward(*args)


def test_learning():
    _, history = run(max_epochs=40, patience=40)
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert max(h["macro_f1"] for h in history) > history[0]["macro_f1"] + 0.1


def test_every_parameter_learns():
    rows, _ = make_rows()
    model = make_model(rows)
    before = weights(model)
    run(model=model, validation=False)
    still = [k for k, v in model.state_dict().items() if torch.equal(v, before[k])]
    assert still == ["fusion.idf"]


@pytest.mark.parametrize(
    ("options", "fusion_keys"),
    [
        ({}, {"lambda", "alpha_mean", "alpha_std", "beta_mean", "beta_std"}),
        ({"use_idf": False}, {"lambda", "beta_mean", "beta_std"}),
        ({"use_knn": False}, {"lambda", "alpha_mean", "alpha_std"}),
        ({"fixed_threshold": 0.5}, set()),
    ],
)
def test_history(options, fusion_keys):
    rows, _ = make_rows()
    _, history = run(model=make_model(rows, **options))
    keys = {"epoch", "train_loss", "validation_loss", "macro_f1", "micro_f1"}
    assert all(entry.keys() == keys | fusion_keys for entry in history)
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    _, history = run(model=make_model(rows, **options), validation=False)
    assert all(entry.keys() == {"epoch", "train_loss"} | fusion_keys for entry in history)
    json.dumps(history)  # plain numbers


def test_history_holds_the_values_of_the_last_weights():
    _, validation = make_rows()
    model, history = run(max_epochs=1)
    fusion = model.fusion
    assert history[0]["lambda"] == fusion.lam.item()
    assert history[0]["beta_mean"] == pytest.approx(fusion.beta.mean().item())
    assert history[0]["alpha_std"] == pytest.approx(fusion.alpha.detach().numpy().std())
    [(_, z, theta)] = predict_batches(model, validation, batch_size=100)
    predicted = (z > theta).numpy().astype(int)
    assert history[0]["macro_f1"] == pytest.approx(macro_f1(validation.Y, predicted))
    assert history[0]["micro_f1"] == pytest.approx(micro_f1(validation.Y, predicted))
    loss = AdaptiveThresholdLoss()(z, theta, torch.from_numpy(validation.Y.toarray()))
    assert history[0]["validation_loss"] == pytest.approx(loss.item(), rel=1e-5)


def script_qualities(monkeypatch, macro, losses=None):
    """Let the held-out rows see given results, epoch by epoch."""
    entries = iter(zip(macro, losses or [1.0] * len(macro), strict=True))

    def evaluate(*args):
        f1, loss = next(entries)
        return {"validation_loss": loss, "macro_f1": f1, "micro_f1": 0.0}

    monkeypatch.setattr(training, "_evaluate", evaluate)


@pytest.mark.parametrize(
    ("macro", "losses", "best", "length"),
    [
        ([0.1, 0.5, 0.2, 0.3, 0.4, 0.6], None, 2, 5),  # three epochs without a better one
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], None, 6, 6),
        ([0.1, 0.5, 0.5, 0.1, 0.1, 0.1], [1, 1, 0.9, 1, 1, 1], 3, 6),  # a tie goes to the lower loss
        ([0.1, 0.5, 0.5, 0.1, 0.1, 0.1], [1, 0.9, 1, 0.1, 1, 1], 2, 5),
    ],
)
def test_early_stopping_ends_with_the_best_epoch(monkeypatch, macro, losses, best, length):
    script_qualities(monkeypatch, macro, losses)
    model, history = run(max_epochs=6, patience=3)
    assert len(history) == length
    monkeypatch.undo()
    expected, _ = run(validation=False, max_epochs=best)
    assert_same_weights(model, expected)
    if best < length:
        with pytest.raises(AssertionError):
            assert_same_weights(model, run(validation=False, max_epochs=length)[0])


def test_without_held_out_rows_all_epochs_run():
    _, history = run(validation=False, max_epochs=7, patience=1)
    assert len(history) == 7


def test_held_out_rows_change_no_step():
    """They choose the epoch and nothing else: the steps before are those of a run without them."""
    rows, validation = make_rows()
    other = Rows(X=validation.X, Y=sp.csr_array(1 - validation.Y.toarray()), local=validation.local)
    losses = [
        [entry["train_loss"] for entry in run(data=(rows, held_out), patience=9)[1]]
        for held_out in (validation, other, None)
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("threads", [1, 2])
def test_one_seed_one_result(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        (a, first), (b, second) = run(), run()
    finally:
        torch.set_num_threads(before)
    assert_same_weights(a, b)
    assert first == second


def test_another_seed_another_result():
    (a, _), (b, _) = run(seed=0), run(seed=1)
    assert not torch.equal(a.network.first.weight, b.network.first.weight)


def test_the_callers_random_state_is_neither_used_nor_changed():
    rows, _ = make_rows()
    model = make_model(rows)
    other = make_model(rows)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run(model=model)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    run(model=other)
    assert_same_weights(model, other)


def test_every_row_once_an_epoch_and_in_another_order_the_next():
    rows, _ = make_rows()
    rows = Rows(X=rows.X[:50], Y=rows.Y[:50], local=rows.local[:50])
    state = training._Run(make_model(rows), AdaptiveThresholdLoss(), rows, None, TrainingPlan(**PLAN), "cpu")
    orders = []
    for state.epoch in (0, 1):
        batches = [state.batch() for state.step in range(state.n_batches)]
        assert [len(b) for b in batches] == [16, 16, 16, 2]
        assert sorted(np.concatenate(batches)) == list(range(50))
        orders.append(np.concatenate(batches).tolist())
    assert orders[0] != orders[1]


def test_sparse_and_dense_gradients_train_alike(monkeypatch):
    """Where every batch touches every feature, SparseAdam takes the steps of Adam without weight decay."""
    data = make_rows()
    plan = {"batch_size": 60, "weight_decay": 0.0, "max_epochs": 8, "validation": False, "data": data}
    dense, history = run(**plan)
    monkeypatch.setattr(network, "SPARSE_GRADIENT_FROM", 1)
    sparse, sparse_history = run(**plan)
    assert sparse.network.first.sparse_gradient
    assert not dense.network.first.sparse_gradient
    for name, value in weights(dense).items():
        torch.testing.assert_close(sparse.state_dict()[name], value, rtol=1e-3, atol=2e-5, msg=name)
    assert sparse_history[-1]["train_loss"] == pytest.approx(history[-1]["train_loss"], rel=1e-4)


def test_sparse_gradients_move_only_the_features_of_the_batch(monkeypatch):
    monkeypatch.setattr(network, "SPARSE_GRADIENT_FROM", 1)
    rows, _ = make_rows()
    X = rows.X.tolil()
    X[:, 7] = 0
    model = make_model(rows)
    before = model.network.first.weight.detach().clone()
    data = Rows(X=sp.csr_array(X), Y=rows.Y, local=rows.local), None
    run(model=model, data=data, weight_decay=0.1)
    moved = (model.network.first.weight != before).any(dim=1)
    assert moved.tolist() == [feature != 7 for feature in range(N_FEATURES)]


@pytest.mark.parametrize("sparse_gradient", [False, True])
@pytest.mark.parametrize("at", [1, 6, 8, 9, 16])  # 4 steps and 2 evaluations an epoch: steps and evaluations
def test_interrupted_and_resumed_is_uninterrupted(at, sparse_gradient, tmp_path, monkeypatch):
    if sparse_gradient:
        monkeypatch.setattr(network, "SPARSE_GRADIENT_FROM", 1)
    path = tmp_path / "run" / "model.safetensors"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(
        KeyboardInterrupt, match=r"training stopped in epoch \d after step \d; .*fit again to go on"
    ):
        run(path, loss=InterruptingLoss(at))
    assert signal.getsignal(signal.SIGINT) is before
    assert os.listdir(path.parent) == ["model.safetensors"]
    resumed, history = run(path)
    whole, expected = run()
    assert_same_weights(resumed, whole)
    assert history == expected


def test_interruption_while_the_last_epoch_is_evaluated(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "c.safetensors", loss=InterruptingLoss(24))  # the last evaluation of four epochs
    resumed, history = run(tmp_path / "c.safetensors")
    assert len(history) == 4
    assert_same_weights(resumed, run()[0])


def test_interruption_without_a_checkpoint(tmp_path):
    with pytest.raises(KeyboardInterrupt, match=r"training stopped in epoch 1 after step 2$"):
        run(loss=InterruptingLoss(2))


def test_a_killed_run_goes_on_from_the_last_timed_save(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "SECONDS_BETWEEN_SAVES", -1)
    path, steps = tmp_path / "c.safetensors", []

    class Killed(AdaptiveThresholdLoss):
        def forward(self, *args):
            steps.append(1)
            if len(steps) == 3:
                raise MemoryError
            return super().forward(*args)

    with pytest.raises(MemoryError):
        run(path, loss=Killed())
    resumed, history = run(path)
    whole, expected = run()
    assert_same_weights(resumed, whole)
    assert history == expected


def test_training_in_another_thread_leaves_signals_alone():
    before, results = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: results.append((run(), signal.getsignal(signal.SIGINT))))
    thread.start()
    thread.join()
    [((model, _), during)] = results
    assert during is before
    assert_same_weights(model, run()[0])


def test_a_finished_run_is_not_repeated_and_a_longer_one_goes_on(tmp_path):
    path = tmp_path / "c.safetensors"
    first, history = run(path, max_epochs=2, patience=9)
    again, same = run(path, max_epochs=2, patience=9, loss=InterruptingLoss(1))  # no step is taken
    assert_same_weights(first, again)
    assert history == same
    longer, _ = run(path, patience=9)
    assert_same_weights(longer, run(patience=9)[0])


def test_checkpoint_holds_tensors_and_json_only(tmp_path):
    path = tmp_path / "c.safetensors"
    model, history = run(path)
    content = path.read_bytes()
    header = int.from_bytes(content[:8], "little")
    assert content[8:9] == b"{"
    json.loads(content[8 : 8 + header])
    for mark in (b"\x80\x02", b"\x80\x04", b"\x80\x05"):  # how pickles start
        assert not content[8 + header :].startswith(mark)
    tensors = load_file(path)
    assert {k.split(".")[0] for k in tensors} == {"model", "best", "optimizer"}
    best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
    assert_same_weights(best, weights(model))
    with safetensors.safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["progress"])["history"] == history


@pytest.mark.parametrize("broken", ["save_file", "os.replace"])
@pytest.mark.parametrize("earlier", [True, False])
def test_failing_to_save_leaves_no_partial_file(broken, earlier, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    if earlier:
        run(path, max_epochs=1)
    content = path.read_bytes() if earlier else None

    def fail(_, where, *rest):
        if broken == "save_file":
            Path(where).touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(*((_checkpoint, "save_file") if broken == "save_file" else (os, "replace")), fail)
    with pytest.raises(OSError, match="No space left"):
        run(path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == (["c.safetensors"] if earlier else [])
    assert not earlier or path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.5}, "other values of learning_rate;"),
        ({"seed": 3, "batch_size": 8}, "other values of batch_size, seed;"),
        ({"loss": AdaptiveThresholdLoss(margin_weight=0.5)}, "other values of loss.margin_weight;"),
        ({"data": {"seed": 1}}, "other values of rows, validation rows;"),
        ({"validation": False}, "other values of validation rows;"),
        ({"model": {"dropout": 0.1}}, "other values of model.network.dropout.p"),
        ({"model": {"hidden": (8,)}}, "model.network.rest.0.in_features;"),
        ({"model": {"fixed_threshold": 0.5}}, "model.fusion.fixed_threshold"),
        ({"model": {"use_idf": False}}, "model.fusion.use_idf"),
    ],
)
def test_foreign_checkpoints_are_refused(change, message, tmp_path):
    path = tmp_path / "c.safetensors"
    run(path, max_epochs=1)
    content = path.read_bytes()
    if "model" in change:
        change = {"model": make_model(make_rows()[0], **change["model"])}
    if "data" in change:
        change = {"data": make_rows(**change["data"])}
    with pytest.raises(
        ValueError, match=rf"c\.safetensors holds a run with .*{message}.*delete it or name another"
    ):
        run(path, **({"max_epochs": 1} | change))
    assert path.read_bytes() == content


def test_checkpoint_of_a_model_of_another_shape(tmp_path):
    """Modules that keep no plain value of their size are told apart by their weights."""
    path = tmp_path / "c.safetensors"
    run(path, max_epochs=1)
    tensors = load_file(path)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors["model.fusion.alpha"] = torch.zeros(N_LABELS + 1)
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match="a model of another shape"):
        run(path, max_epochs=1)


def test_files_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    run(path, max_epochs=1)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"c\.safetensors is not a whole \.safetensors file"):
        run(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"c\.safetensors holds no training run"):
        run(path)


@pytest.mark.parametrize("name", ["max_epochs", "batch_size", "patience"])
def test_plan_counts(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number, at least 1; got 0"):
        TrainingPlan(**{name: 0})


def test_plan_ranges():
    for value in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="learning_rate must be a finite number, greater than 0; got"):
            TrainingPlan(learning_rate=value)
    for value in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight_decay must be a finite number, at least 0; got"):
            TrainingPlan(weight_decay=value)
    with pytest.raises(ValueError, match="patience must be a whole number, at least 1; got nan"):
        TrainingPlan(patience=float("nan"))
    with pytest.raises(TypeError):
        TrainingPlan(3)


class BrokenLoss(AdaptiveThresholdLoss):
    """Becomes something that is no loss at a call."""

    def __init__(self, at, value):
        super().__init__()
        self._at, self._value, self._calls = at, value, 0

    def forward(self, *args):
        self._calls += 1
        return super().forward(*args) * (self._value if self._calls == self._at else 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverging_loss_names_the_epoch(value, tmp_path):
    path = tmp_path / "c.safetensors"
    message = f"training diverged in epoch 2 after step 3: the loss is {value}; lower the learning rate"
    with pytest.raises(ValueError, match=message):
        run(path, validation=False, loss=BrokenLoss(7, value))  # 4 steps an epoch
    resumed, _ = run(path, validation=False)  # from the end of the first
    assert_same_weights(resumed, run(validation=False)[0])


def test_weights_that_become_infinite_in_the_last_step_are_named():
    rows, _ = make_rows()
    model = make_model(rows)
    model.network.rest[0].bias.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(ValueError, match=r"diverged in epoch 1: network\.rest\.0\.bias is not finite"):
        run(model=model, validation=False, batch_size=60, max_epochs=1)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_predicting_in_batches(batch_size):
    rows, validation = make_rows()
    model = make_model(rows, init_std=1.0).train()
    unlabelled = Rows(X=validation.X, Y=None, local=validation.local)
    [(_, z, theta)] = predict_batches(model, validation, batch_size=30)
    parts = list(predict_batches(model, unlabelled, batch_size=batch_size))
    assert [i for of, _, _ in parts for i in range(30)[of]] == list(range(30))
    torch.testing.assert_close(torch.cat([z for _, z, _ in parts]), z)
    torch.testing.assert_close(torch.cat([t for _, _, t in parts]), theta)
    assert not model.training


def test_predicting_leaves_gradients_to_the_caller():
    rows, validation = make_rows()
    for _, z, _ in predict_batches(make_model(rows), validation, batch_size=7):
        assert not z.requires_grad
        assert not torch.is_inference_mode_enabled()


@pytest.mark.usefixtures("bars")
def test_progress_only_on_request(capsys):
    run(max_epochs=2)
    assert capsys.readouterr().err == ""
    run(max_epochs=2, verbose=True)
    shown = capsys.readouterr().err
    assert "training" in shown
    assert "8/8" in shown  # steps of two epochs
    assert "macro_f1=" in shown
    assert "<00:00" in shown  # time left


@pytest.mark.usefixtures("bars")
def test_progress_of_a_resumed_run_starts_where_it_stopped(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "c.safetensors", loss=InterruptingLoss(8))
    run(tmp_path / "c.safetensors", verbose=True)
    shown = capsys.readouterr().err
    assert "6/16" in shown
    assert " 5/16" not in shown


@pytest.mark.parametrize("name", ["max_epochs", "batch_size", "patience", "seed"])
def test_plan_counts_are_whole_numbers(name):
    for value in (2.5, float("inf")):
        with pytest.raises(ValueError, match=f"{name} must be a whole number, at least [01]; got {value}"):
            TrainingPlan(**{name: value})
    assert getattr(TrainingPlan(**{name: np.int64(2)}), name) == 2
    with pytest.raises(ValueError, match="seed must be a whole number, at least 0; got -1"):
        TrainingPlan(seed=-1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["X", "local"])
@pytest.mark.parametrize("which", [0, 1])
def test_rows_that_are_no_numbers_are_named(value, part, which):
    data = list(make_rows())
    broken = getattr(data[which], part).copy()
    broken.data[3] = value
    data[which] = dataclasses.replace(data[which], **{part: broken})
    model = make_model(data[0])
    before = weights(model)
    message = f"{part} of the {('training', 'validation')[which]} rows must be finite; found NaN or infinity"
    with pytest.raises(ValueError, match=message):
        run(data=data, model=model)
    assert_same_weights(model, before)


def test_a_validation_loss_that_diverges_is_an_error():
    # four steps an epoch, then one batch after the other of the validation rows
    with pytest.raises(ValueError, match=r"training diverged in epoch 1 .*: the loss is inf"):
        run(loss=BrokenLoss(5, float("inf")))


def in_threads(function, arguments):
    """Call a function for each argument in a thread of its own, which take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(arguments)) as pool:
            return list(pool.map(function, arguments))
    finally:
        sys.setswitchinterval(interval)


def test_trainings_in_threads_are_those_one_after_the_other():
    data = make_rows()

    def trained(seed):
        model = models[seed]
        run(model=model, data=data, seed=seed)
        return weights(model)

    models = [make_model(data[0], seed, dropout=0.5) for seed in range(4)]
    alone = [trained(seed) for seed in range(4)]
    models = [make_model(data[0], seed, dropout=0.5) for seed in range(4)]
    for one, other in zip(alone, in_threads(trained, range(4)), strict=True):
        assert_same_weights(one, other)


def test_another_network_is_seeded_too():
    class Noisy(torch.nn.Module):
        """Draws from torch's global state, which it knows nothing better of."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, rows):
            z = self.inner(rows)
            return z + 0.1 * torch.randn_like(z) if self.training else z

    found = []
    for outside in (1, 2):
        model = make_model(make_rows()[0])
        model.network = Noisy(model.network)
        torch.manual_seed(outside)
        before = torch.get_rng_state()
        run(model=model)
        assert torch.equal(torch.get_rng_state(), before)
        found.append(model)
    assert_same_weights(*found)


FORKING = """
import multiprocessing, sys
import numpy as np, torch
from adathresh import AdaptiveThresholdNetwork
torch.set_num_threads(2)
rng = np.random.default_rng(0)
X, Y = rng.random((300, 400)), rng.integers(0, 2, (300, 30))
def work(queue=None):
    clf = AdaptiveThresholdNetwork(hidden_layers=(512, 512), max_epochs=1, batch_size=100, random_state=0)
    scores = clf.fit(X, Y).predict_proba(X)
    if queue is not None:
        queue.put(scores)
    return clf, scores
parent, scores = work()
assert torch.get_num_threads() == 2
context = multiprocessing.get_context("fork")
def score(queue):
    queue.put(parent.predict_proba(X))
for target in (work, score):
    queue = context.Queue()
    child = context.Process(target=target, args=(queue,))
    child.start()
    try:
        found = queue.get(timeout=60)
    finally:
        child.kill()
    np.testing.assert_allclose(found, scores, atol=1e-3)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_does_not_wait_for_threads_that_are_not_there():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        env={k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
