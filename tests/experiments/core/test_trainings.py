"""Trainings of the paper's network: what is kept, thresholds, the cache, no label of a test row."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh import AdaptiveThresholdNetwork, NeighborLabels
from adathresh.experiments.core import trainings
from adathresh.experiments.core.config import PROFILES
from adathresh.experiments.core.data import subsample
from adathresh.experiments.core.trainings import PAPER, PLAIN, neighbor_shares, train_each, train_network

pytestmark = pytest.mark.usefixtures("tiny_profile")


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


# --- neighbour shares ---


def test_shares_leave_the_group_out_and_come_from_the_training_rows(ds):
    shares = neighbor_shares(ds)
    knn = NeighborLabels()
    expected = knn.fit_transform(ds.train.X, ds.train.Y, groups=ds.train.groups)
    np.testing.assert_allclose(shares.train.toarray(), expected.toarray())
    assert (NeighborLabels().fit_transform(ds.train.X, ds.train.Y) != expected).nnz > 0
    np.testing.assert_allclose(shares.validation.toarray(), knn.transform(ds.validation.X).toarray())
    np.testing.assert_allclose(shares.test.toarray(), knn.transform(ds.test.X).toarray())
    assert shares.cost.seconds > 0


def test_shares_are_computed_once(ds, monkeypatch):
    fresh = neighbor_shares(ds)
    with monkeypatch.context() as patch:
        patch.setattr(trainings, "_search", lambda ds: pytest.fail("searched again"))
        assert_equal(neighbor_shares(ds), fresh, but=())
    part = neighbor_shares(subsample(ds, 40, seed=0))
    assert part.train.shape == (40, 12)
    assert (part.test != fresh.test).nnz > 0


def test_shares_follow_the_groups(ds):
    """With the same published data, so that the fingerprint cannot tell."""
    fresh = neighbor_shares(ds)
    assert (neighbor_shares(replaced(ds, groups_train=None)).train != fresh.train).nnz > 0


def test_shares_do_not_depend_on_the_labels_of_validation_and_test_rows(ds, empty_cache):
    fresh = neighbor_shares(ds)
    empty_cache("second")
    other = replaced(ds, Y_dev=permuted(ds.validation.Y), Y_test=permuted(ds.test.Y))
    assert_equal(neighbor_shares(other), fresh)


# --- training ---


def fitted(ds, *, seed, **switches):
    """Fit the network without the function under test."""
    parameters = {
        "hidden_layers": (8,),
        "learning_rate": 3e-2,
        "batch_size": 32,
        "max_epochs": 4,
        "patience": 4,
        **switches,
    }
    network = AdaptiveThresholdNetwork(random_state=seed, **parameters)
    validation = ds.validation.X, ds.validation.Y
    return network.fit(ds.train.X, ds.train.Y, groups=ds.train.groups, validation=validation)


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
@pytest.mark.slow
def test_what_is_kept_is_the_networks_own(ds, config, switches):
    run, network = train_network(config, ds, seed=1, **switches), fitted(ds, seed=1, **switches)
    for scores, predicted, X in (
        (run.validation_scores, run.validation_predicted, ds.validation.X),
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
    shares = neighbor_shares(ds)
    for X, local in ((ds.validation.X, shares.validation), (ds.test.X, shares.test)):
        theta = run.thresholds["constant"] + run.thresholds["share"] * local.toarray()
        np.testing.assert_allclose(theta, network.thresholds(X), atol=1e-5)
    uses_knn = switches.get("use_knn", True) and "fixed_threshold" not in switches
    assert run.thresholds["share"].any() == uses_knn
    if "fixed_threshold" in switches:
        np.testing.assert_allclose(run.thresholds["constant"], switches["fixed_threshold"])


def test_a_stored_run_equals_a_fresh_one(ds, config, empty_cache, monkeypatch):
    fresh = train_network(config, ds, seed=0, **PAPER)
    with monkeypatch.context() as patch:
        patch.setattr(trainings, "train_and_score", lambda *_: pytest.fail("trained again"))
        assert_equal(train_network(config, ds, seed=0, **PAPER), fresh, but=())
    empty_cache("second")
    assert_equal(train_network(config, ds, seed=0, **PAPER), fresh)


@pytest.mark.slow
def test_whatever_changes_a_run_trains_it_again(ds, config, monkeypatch):
    trained = []

    def count(ds, network, k):
        trained.append((ds.train.X.shape[0], network.random_state, network.pos_weight, network.max_epochs, k))
        return train(ds, network, k)

    train = trainings.train_and_score
    monkeypatch.setattr(trainings, "train_and_score", count)
    for _ in range(2):
        train_network(config, ds, seed=0)
        train_network(config, ds, seed=1)
        train_network(config, ds, seed=0, pos_weight=10.0)
        train_network(config, subsample(ds, 50, seed=0), seed=0)
        train_network(config, replaced(ds, fingerprint="f" * 64), seed=0)
    tiny = PROFILES["quick"]
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(tiny, max_epochs=2))
    train_network(config, ds, seed=0)
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(tiny, top_scores=3))
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


def test_methods_come_by_name_in_their_order(ds, config):
    variants = {"second": {"pos_weight": 2.0}, "first": {}}
    runs = train_each(config, ds, variants, seed=3)
    assert list(runs) == ["second", "first"]
    for name, switches in variants.items():
        assert_equal(runs[name], train_network(config, ds, seed=3, **switches), but=())
    assert (runs["first"].test_scores != runs["second"].test_scores).nnz > 0


def test_labels_of_test_rows_change_nothing(ds, config, empty_cache):
    fresh = train_network(config, ds, seed=0, **PAPER)
    assert fresh.test_predicted.nnz > 0
    for name, Y_test in (("permuted", permuted(ds.test.Y)), ("none", sp.csr_array(ds.test.Y.shape))):
        empty_cache(name)
        assert_equal(train_network(config, replaced(ds, Y_test=Y_test), seed=0, **PAPER), fresh)


def test_labels_of_validation_rows_choose_an_epoch_and_train_nothing(ds, config, empty_cache):
    fresh = train_network(config, ds, seed=0, **PAPER)
    empty_cache("second")
    other = train_network(config, replaced(ds, Y_dev=permuted(ds.validation.Y)), seed=0, **PAPER)
    assert len(fresh.history) == 4  # the patience is as long as the training
    assert other.history["train_loss"].tolist() == fresh.history["train_loss"].tolist()
    of_validation = [name for name in fresh.history if "dev" in name or "validation" in name]
    assert of_validation
    for name in of_validation:
        assert other.history[name].tolist() != fresh.history[name].tolist(), name
