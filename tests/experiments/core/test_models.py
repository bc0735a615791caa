"""The models behind the notebooks: scaling, subsampling, thresholds, caching, no label of a test row."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import flat_dataset, replaced
from threadpoolctl import threadpool_limits

from adathresh import AdaptiveThresholdNetwork, NeighborLabels
from adathresh.datasets import load_dataset, make_longtail, save_xc
from adathresh.experiments.core import models
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.experiments.core.models import (
    BASES,
    PAPER,
    PLAIN,
    base_scores,
    neighbour_shares,
    prepare,
    rows_key,
    subsample,
    train_network,
)

SIZES = {"train": 90, "dev": 40, "test": 50}
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
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """Start every test with an empty cache; calling the result starts another one."""
    monkeypatch.setitem(PROFILES, "quick", TINY)

    def start(name):
        monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / name))

    start("first")
    return start


@pytest.fixture(scope="module")
def ds():
    X, Y = make_longtail(180, 60, 12, labels_per_row=3, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    return flat_dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        text_train=[f"row {i}" for i in range(SIZES["train"])],
        groups_train=np.arange(SIZES["train"]) // 3,
        label_names=[f"label {i}" for i in range(12)],
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint="0123456789abcdef" * 4,
        validation_source="official",
    )


@pytest.fixture
def config():
    return RunConfig(dataset="tiny")


def permuted(matrix, seed=0):
    return matrix[np.random.default_rng(seed).permutation(matrix.shape[0])]


def assert_equal(first, second, *, but=("cost",)):
    for name in set(first._fields) - set(but):
        a, b = getattr(first, name), getattr(second, name)
        if sp.issparse(a):
            assert a.dtype == b.dtype
            a, b = a.toarray(), b.toarray()
        elif isinstance(a, dict):
            assert list(a) == list(b)
            a, b = np.array(list(a.values())), np.array(list(b.values()))
        elif hasattr(a, "columns"):
            assert list(a) == list(b)
            a, b = a.to_numpy(), b.to_numpy()
        np.testing.assert_array_equal(a, b, err_msg=name)


# --- data ---


def write_folder(folder, matrices, Y):
    folder.mkdir()
    for split, X in matrices.items():
        save_xc(folder / f"{split}.txt", sp.csr_array(X, dtype=np.float32), Y[: X.shape[0]])


def test_measurements_are_standardised_by_the_training_rows(ds, tmp_path):
    rng = np.random.default_rng(0)
    matrices = {
        split: rng.normal([5, -3, 0, 2], [1, 10, 0.1, 0], (n, 4)).round(3) for split, n in SIZES.items()
    }
    write_folder(tmp_path / "dense", matrices, ds.train.Y)
    config = RunConfig(dataset="dense", data_dir=str(tmp_path))
    scaled = prepare(config)
    mean, std = matrices["train"].mean(axis=0), matrices["train"].std(axis=0)
    for split, X in matrices.items():
        got = scaled.splits[split].X
        expected = (X - mean) / np.where(std > 1e-6, std, 1)
        assert isinstance(got, sp.csr_array)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got.toarray(), expected, atol=1e-4)
    np.testing.assert_allclose(scaled.train.X.toarray()[:, :3].std(axis=0), 1, atol=1e-5)
    published = load_dataset("dense", data_dir=tmp_path, progress=False)
    assert scaled.fingerprint == published.fingerprint
    np.testing.assert_array_equal(scaled.train.Y.toarray(), published.train.Y.toarray())


def test_bags_of_words_get_length_one_and_stay_sparse(ds, tmp_path):
    matrices = {split: 3 * ds.splits[split].X for split in SIZES}
    write_folder(tmp_path / "words", matrices, ds.train.Y)
    config = RunConfig(dataset="words", data_dir=str(tmp_path))
    scaled = prepare(config)
    for split, X in matrices.items():
        got = scaled.splits[split].X
        assert isinstance(got, sp.csr_array)
        assert got.nnz == X.nnz
        rows = X.toarray()
        np.testing.assert_allclose(
            got.toarray(), rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-5
        )
    assert scaled.fingerprint == load_dataset("words", data_dir=tmp_path, progress=False).fingerprint


def test_a_subsample_keeps_rows_together(ds):
    part = subsample(ds, 25, seed=4)
    rows = [int(text.split()[1]) for text in part.train.texts]
    assert len(set(rows)) == 25
    assert rows == sorted(rows)
    np.testing.assert_array_equal(part.train.X.toarray(), ds.train.X.toarray()[rows])
    np.testing.assert_array_equal(part.train.Y.toarray(), ds.train.Y.toarray()[rows])
    np.testing.assert_array_equal(part.train.groups, ds.train.groups[rows])
    for name in ("X_dev", "Y_dev", "X_test", "Y_test", "fingerprint", "label_names"):
        assert getattr(part, name) is getattr(ds, name), name


def test_a_subsample_follows_its_seed_and_never_grows(ds):
    assert subsample(ds, 25, seed=4).text_train == subsample(ds, 25, seed=4).text_train
    assert subsample(ds, 25, seed=4).text_train != subsample(ds, 25, seed=5).text_train
    assert subsample(ds, 90, seed=0) is ds
    assert subsample(ds, 1000, seed=0) is ds
    bare = subsample(replaced(ds, text_train=None, groups_train=None), 25, seed=4)
    assert bare.train.texts is None
    assert bare.train.groups is None
    assert bare.train.X.shape == (25, 60)


def test_subsamples_have_keys_of_their_own(ds):
    keys = {tuple(rows_key(subsample(ds, n, seed=seed))) for n in (25, 40) for seed in range(10)}
    assert len(keys) == 20
    assert tuple(rows_key(ds)) not in keys


# --- neighbour shares ---


def test_shares_leave_the_group_out_and_come_from_the_training_rows(ds):
    shares = neighbour_shares(ds)
    knn = NeighborLabels()
    expected = knn.fit_transform(ds.train.X, ds.train.Y, groups=ds.train.groups)
    np.testing.assert_allclose(shares.train.toarray(), expected.toarray())
    assert (NeighborLabels().fit_transform(ds.train.X, ds.train.Y) != expected).nnz > 0
    np.testing.assert_allclose(shares.dev.toarray(), knn.transform(ds.validation.X).toarray())
    np.testing.assert_allclose(shares.test.toarray(), knn.transform(ds.test.X).toarray())
    assert shares.cost.seconds > 0


def test_shares_are_computed_once(ds, cache, monkeypatch):
    fresh = neighbour_shares(ds)
    with monkeypatch.context() as patch:
        patch.setattr(models, "_search", lambda ds: pytest.fail("searched again"))
        assert_equal(neighbour_shares(ds), fresh, but=())
    part = neighbour_shares(subsample(ds, 40, seed=0))
    assert part.train.shape == (40, 12)
    assert (part.test != fresh.test).nnz > 0


def test_shares_do_not_depend_on_the_labels_of_dev_and_test_rows(ds, cache):
    fresh = neighbour_shares(ds)
    cache("second")
    other = replaced(ds, Y_dev=permuted(ds.validation.Y), Y_test=permuted(ds.test.Y))
    assert_equal(neighbour_shares(other), fresh)


# --- training ---


def fitted(ds, *, seed, **switches):
    """Fit the network without the helper under test."""
    parameters = {
        "hidden_layers": (8,),
        "learning_rate": 3e-2,
        "batch_size": 32,
        "max_epochs": 4,
        "patience": 4,
        **switches,
    }
    network = AdaptiveThresholdNetwork(random_state=seed, **parameters)
    return network.fit(ds.train.X, ds.train.Y, groups=ds.train.groups, dev=(ds.validation.X, ds.validation.Y))


SWITCHES = {
    "default": {},
    "paper": PAPER,
    "no kNN": {**PAPER, "use_knn": False},
    "no IDF": {**PAPER, "use_idf": False},
    "plain": PLAIN,
    "fixed": {"fixed_threshold": 0.3},
    "drawn": {"init_std": 1.0},
}


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_what_is_kept_is_the_networks_own(ds, config, switches):
    run, network = train_network(config, ds, seed=1, **switches), fitted(ds, seed=1, **switches)
    for scores, predicted, X in (
        (run.dev_scores, run.dev_predicted, ds.validation.X),
        (run.test_scores, run.test_predicted, ds.test.X),
    ):
        np.testing.assert_array_equal(predicted.toarray(), network.predict(X).toarray())
        probabilities = network.predict_proba(X)
        assert (np.diff(scores.indptr) == 6).all()
        for i in range(X.shape[0]):
            kept = scores[[i]].indices
            np.testing.assert_allclose(scores[[i]].data, probabilities[i, kept], atol=1e-6)
            assert np.delete(probabilities[i], kept).max() <= scores[[i]].data.min() + 1e-6
    assert run.history.to_dict("records") == network.history_
    assert run.cost.seconds > 0


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_threshold_parts_reproduce_the_thresholds(ds, config, switches):
    run, network = train_network(config, ds, seed=1, **switches), fitted(ds, seed=1, **switches)
    assert set(run.thresholds) == {"constant", "share"}
    for X, shares in ((ds.validation.X, neighbour_shares(ds).dev), (ds.test.X, neighbour_shares(ds).test)):
        theta = run.thresholds["constant"] + run.thresholds["share"] * shares.toarray()
        np.testing.assert_allclose(theta, network.thresholds(X), atol=1e-5)
    uses_knn = switches.get("use_knn", True) and "fixed_threshold" not in switches
    assert run.thresholds["share"].any() == uses_knn
    if "fixed_threshold" in switches:
        np.testing.assert_allclose(run.thresholds["constant"], switches["fixed_threshold"])


def test_a_stored_run_equals_a_fresh_one(ds, config, cache, monkeypatch):
    fresh = train_network(config, ds, seed=0, **PAPER)
    with monkeypatch.context() as patch:
        patch.setattr(models, "_train", lambda *_: pytest.fail("trained again"))
        assert_equal(train_network(config, ds, seed=0, **PAPER), fresh, but=())
    cache("second")
    assert_equal(train_network(config, ds, seed=0, **PAPER), fresh)


def test_whatever_changes_a_run_trains_it_again(ds, config, monkeypatch):
    trained = []

    def count(ds, network, k):
        trained.append((ds.train.X.shape[0], network.random_state, network.pos_weight, network.max_epochs, k))
        return train(ds, network, k)

    train = models._train
    monkeypatch.setattr(models, "_train", count)
    for _ in range(2):
        train_network(config, ds, seed=0)
        train_network(config, ds, seed=1)
        train_network(config, ds, seed=0, pos_weight=10.0)
        train_network(config, subsample(ds, 50, seed=0), seed=0)
        train_network(config, replaced(ds, fingerprint="f" * 64), seed=0)
    monkeypatch.setitem(PROFILES, "quick", replaced(TINY, max_epochs=2))
    train_network(config, ds, seed=0)
    monkeypatch.setitem(PROFILES, "quick", replaced(TINY, top_scores=3))
    train_network(config, ds, seed=0)
    assert trained == [
        (90, 0, 1.0, 4, 6),
        (90, 1, 1.0, 4, 6),
        (90, 0, 10.0, 4, 6),
        (50, 0, 1.0, 4, 6),
        (90, 0, 1.0, 4, 6),
        (90, 0, 1.0, 2, 6),
        (90, 0, 1.0, 4, 3),
    ]


def test_labels_of_test_rows_change_nothing(ds, config, cache):
    fresh = train_network(config, ds, seed=0, **PAPER)
    assert fresh.test_predicted.nnz > 0
    for name, Y_test in (("permuted", permuted(ds.test.Y)), ("none", sp.csr_array(ds.test.Y.shape))):
        cache(name)
        assert_equal(train_network(config, replaced(ds, Y_test=Y_test), seed=0, **PAPER), fresh)


def test_labels_of_dev_rows_choose_an_epoch_and_train_nothing(ds, config, cache):
    fresh = train_network(config, ds, seed=0, **PAPER)
    cache("second")
    other = train_network(config, replaced(ds, Y_dev=permuted(ds.validation.Y)), seed=0, **PAPER)
    assert len(fresh.history) == 4  # the patience is as long as the training
    assert other.history["train_loss"].tolist() == fresh.history["train_loss"].tolist()
    assert other.history["dev_loss"].tolist() != fresh.history["dev_loss"].tolist()


# --- base models ---


def test_the_linear_base_model_is_logistic_regression(ds, config):
    scores = base_scores(config, ds, "linear", seed=2)
    schedule = {name: BASES["linear"][name] for name in ("learning_rate", "batch_size")}
    switches = {"fixed_threshold": 0.0, "margin_weight": 0.0, "use_knn": False}
    network = fitted(ds, seed=2, hidden_layers=(), **switches, **schedule)
    assert not network.model_.network.rest
    np.testing.assert_array_equal(scores.test.toarray(), network.top_scores(ds.test.X, k=6).toarray())
    np.testing.assert_array_equal(scores.dev.toarray(), network.top_scores(ds.validation.X, k=6).toarray())


def test_the_network_base_model_is_plain_cross_entropy(ds, config):
    scores = base_scores(config, ds, "network", seed=2)
    network = fitted(ds, seed=2, fixed_threshold=0.0, margin_weight=0.0, use_knn=False)
    np.testing.assert_array_equal(scores.test.toarray(), network.top_scores(ds.test.X, k=6).toarray())


def test_the_neighbours_base_model_is_the_shares(ds, config):
    scores, shares = base_scores(config, ds, "neighbours", seed=2), neighbour_shares(ds)
    for split in ("dev", "test"):
        np.testing.assert_array_equal(
            getattr(scores, split).toarray(), getattr(shares, split).toarray(), err_msg=split
        )


def test_unknown_base_model(ds, config):
    assert set(BASES) == {"linear", "neighbours", "network"}
    with pytest.raises(KeyError, match="forest"):
        base_scores(config, ds, "forest", seed=0)
