"""Training rows that know themselves, by their neighbours or by their scores, and some that do not."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from adathresh import NeighborLabels
from adathresh.leakage import audit
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores


def test_rows_among_their_own_neighbours_are_found_in_the_shares(data, status):
    """A label of one row is proof; that all rare labels have shares is a sign."""
    X, Y, X_test, Y_test = data
    alone = sp.csr_array((np.ones(3), ([5, 17, 90], [0, 1, 2])), shape=(200, 3))
    for more, proof in ((alone, True), (sp.csr_array((200, 3)), False)):
        labels = sp.hstack([Y, more]).tocsr(), sp.hstack([Y_test, sp.csr_array((60, 3))]).tocsr()
        knn = NeighborLabels(5)
        left_out, with_itself = knn.fit_transform(X, labels[0]), knn.transform(X)
        for container in (sp.csr_array, lambda shares: shares.toarray()):
            clean = audit(None, X, labels[0], X_test, labels[1], local=container(left_out))
            assert status(clean, "own neighbours") == "clean"
            report = audit(None, X, labels[0], X_test, labels[1], local=container(with_itself))
            assert status(report, "own neighbours") == "found"
            finding, counts = report["own neighbours"], labels[0].sum(axis=0)
            carried = labels[0].toarray()[:, (counts == 1) if proof else (counts <= 10)]
            assert finding.rows.tolist() == np.flatnonzero(carried.any(axis=1)).tolist()
            for entry in finding.evidence:
                assert entry["share"] == with_itself[entry["train_row"], entry["label"]]


def test_rows_of_the_same_group_among_the_neighbours_are_found(data, status):
    X, Y, X_test, Y_test = data
    groups = {"groups_train": np.arange(200) // 2, "groups_test": np.arange(200, 260)}
    twice = sp.vstack([X[:100], X[:100]]).tocsr()[np.arange(200) // 2 + 100 * (np.arange(200) % 2)]
    labels = Y[:100][np.arange(200) // 2]
    apart = NeighborLabels(5).fit(twice, labels, groups=groups["groups_train"])
    together = NeighborLabels(5).fit(twice, labels)
    for local, expected in ((apart, "clean"), (together, "found")):
        report = audit(None, twice, labels, X_test, Y_test, local=local, **groups)
        assert status(report, "own neighbours") == expected
    entry = report["own neighbours"].evidence[0]
    assert entry["train_row"] // 2 == entry["neighbor"] // 2
    # to each row alone, the other row of its group is a neighbour like any other
    report = audit(None, twice, labels, X_test, Y_test, local=together)
    assert status(report, "own neighbours") == "clean"
    shares = NeighborLabels(5).fit_transform(twice, labels)
    assert (
        status(audit(None, twice, labels, X_test, Y_test, local=shares, **groups), "own neighbours")
        == "found"
    )
    shares = NeighborLabels(5).fit_transform(twice, labels, groups=groups["groups_train"])
    assert (
        status(audit(None, twice, labels, X_test, Y_test, local=shares, **groups), "own neighbours")
        == "clean"
    )


@pytest.mark.parametrize(
    ("Y", "shares"),
    [
        (np.ones((60, 2)), np.full((60, 2), 0.5)),  # no rare label
        (np.eye(60)[:, :9] + np.eye(60, k=-9)[:, :9], np.eye(60)[:, :9] + np.eye(60, k=-9)[:, :9]),  # few
        (np.repeat(np.eye(30), 2, axis=0), np.full((60, 30), 0.1)),  # everyone is everyone's neighbour
    ],
)
def test_shares_that_cannot_tell(Y, shares, status):
    test = -np.ones((1, 3)), np.ones((1, Y.shape[1]))
    report = audit(None, np.random.default_rng(0).random((60, 3)), Y, *test, local=shares)
    assert status(report, "own neighbours") == "not checked"


def test_shares_tell_of_groups_only_by_labels_of_one_group(status):
    """Two rows a group, two groups a label: a missing share clears the row, not its group."""
    Y = np.repeat(np.eye(15), 4, axis=0)
    X, test = np.random.default_rng(0).random((60, 3)), (-np.ones((1, 3)), np.ones((1, 15)))
    none = sp.csr_array((60, 15))
    assert status(audit(None, X, Y, *test, local=none), "own neighbours") == "clean"
    for size, expected in ((2, "not checked"), (4, "clean")):
        groups = {"groups_train": np.arange(60) // size, "groups_test": [-1]}
        assert status(audit(None, X, Y, *test, local=none, **groups), "own neighbours") == expected


@pytest.mark.slow
def test_scores_of_the_same_model_are_found(data, status):
    X, Y = data[:2]
    Y = Y.toarray()
    model = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    held_out = out_of_fold_scores(model, X, Y, draw_folds(200, 4, random_state=0), n_labels=40)
    report = audit(model, *data, scores=base_scores(model, X, n_labels=40), random_state=0)
    assert status(report, "in-sample scores") == "found"
    assert "gives the same scores" in report["in-sample scores"].message
    assert status(audit(model, *data, scores=held_out), "in-sample scores") == "clean"
    assert status(audit(None, *data, scores=held_out), "in-sample scores") == "clean"
    # a model that learnt nothing is found by nothing but its equal scores
    prior = DummyClassifier(strategy="prior").fit(X, Y)
    held_out = out_of_fold_scores(prior, X, Y, draw_folds(200, 4, random_state=0), n_labels=40)
    assert status(audit(prior, *data, scores=held_out), "in-sample scores") == "clean"


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_that_know_their_rows_are_found_without_the_model(sparse, status):
    rng = np.random.default_rng(0)
    Y = np.zeros((120, 60), dtype=int)
    Y[np.arange(40), np.arange(40)] = 1  # one positive each
    Y[:, 40:] = rng.random((120, 20)) < 0.3
    noise = 0.5 * rng.random(Y.shape)
    knows = np.where(Y == 1, 0.6, noise)
    container = sp.csr_array if sparse else np.asarray
    X = rng.normal(size=(120, 3))
    test = rng.normal(size=(4, 3)), np.zeros((4, 60))
    report = audit(None, X, Y, *test, scores=container(knows))
    assert status(report, "in-sample scores") == "found"
    assert report["in-sample scores"].rows.tolist() == list(range(40))
    assert report["in-sample scores"].evidence[0] == {"train_row": 0, "label": 0, "score": 0.6}
    report = audit(None, X, Y, *test, scores=container(noise))
    assert status(report, "in-sample scores") == "clean"
    # without labels of one positive, the highest scores tell, in the rows with labels
    report = audit(None, X, Y[:, 40:], test[0], test[1][:, 40:], scores=container(knows[:, 40:]))
    assert Y[:, 40:].any(axis=1).sum() >= 100
    assert status(report, "in-sample scores") == "found"
    report = audit(None, X[:50], Y[:50, 40:], test[0], test[1][:, 40:], scores=container(knows[:50, 40:]))
    assert status(report, "in-sample scores") == "not checked"
