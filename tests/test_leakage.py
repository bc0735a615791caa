"""Every kind of leakage: one planted example that the audit must find, one clean example that it must not."""

import functools
import json
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from adathresh import NeighborLabels
from adathresh.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.datasets import make_longtail
from adathresh.leakage import audit, in_sample_signs
from adathresh.released import LabelLeakageWarning, ReleasedModel, predict_released

CHECKS = ["repeated prediction", "test labels", "batch", "equal features", "similar features", "equal text"]
CHECKS += ["equal words", "similar text", "groups", "own neighbours", "in-sample scores"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def data():
    """Training and test rows without anything in common but their distribution."""
    X, Y = make_longtail(260, 80, 40, labels_per_row=3, features_per_row=15, random_state=0)
    return X[:200], Y[:200], X[200:], Y[200:]


class Fixed(BaseEstimator):
    """Predicts from the features alone; fitting counts."""

    def fit(self, X, Y, groups=None):
        self.groups_ = groups
        self.n_labels_ = Y.shape[1]
        return self

    def predict(self, X):
        return sp.csr_array(
            np.asarray(X[:, : self.n_labels_].sum(axis=1))[:, None] > np.arange(self.n_labels_)
        )


def status(report, check):
    finding = report[check]
    assert (len(finding.rows) > 0) == (finding.status == "found")
    if finding.status == "found":
        assert finding.split in ("train", "test")
        assert 1 <= len(finding.evidence) <= 10
        assert (np.diff(finding.rows) > 0).all()
    return finding.status


# Predictions


def test_a_sound_estimator_and_split_are_clean(data):
    report = audit(OneVsRestClassifier(LogisticRegression()), *data, random_state=0)
    assert report.found == ()
    for check in CHECKS[:5]:
        assert status(report, check) == "clean"
    for check in CHECKS[5:]:
        assert status(report, check) == "not checked"
    assert "given no labels" in report["test labels"].message


def test_released_protocol_is_found_to_read_labels_and_batches(data):
    X_train, Y_train, X_test, Y_test = data
    torch.manual_seed(0)
    model = ReleasedModel(80, 40, hidden_layers=(8,))
    with torch.no_grad():
        model.threshold.alpha *= 5
        model.threshold.beta *= 5
    data = X_train, Y_train, X_test, Y_test.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        report = audit(functools.partial(predict_released, model), *data, random_state=0)
        assert status(report, "repeated prediction") == "clean"
        assert status(report, "test labels") == status(report, "batch") == "found"
        withheld = functools.partial(predict_released, model, signals="withheld")
        clean = audit(withheld, *data, random_state=0)
    assert [status(clean, check) for check in CHECKS[:3]] == ["clean"] * 3


def test_labels_are_permuted_for_every_row(data):
    """A function that gives the labels back changes wherever the permuted labels differ."""
    report = audit(lambda X, Y: Y, *data, n_rows=1000, random_state=0)
    finding = report["test labels"]
    Y = data[3].toarray()
    assert len(finding.rows) > 0.9 * len(Y)
    for entry in finding.evidence:
        labels = np.flatnonzero(Y[entry["test_row"]])
        assert set(entry["lowered_labels"]) <= set(labels.tolist())
        assert not set(entry["raised_labels"]) & set(labels.tolist())
    assert status(report, "batch") == "clean"


@pytest.mark.parametrize(
    ("predict", "takes"),
    [
        (lambda X, Y: Y, True),
        (lambda X, y=None: np.ones((X.shape[0], 1)) if y is None else y, True),
        (lambda X, return_std=False: np.full((X.shape[0], 2), float(return_std)), False),
        (lambda X, *, batch_size=3: np.zeros((X.shape[0], 2)), False),
    ],
)
def test_which_functions_take_labels(data, predict, takes):
    assert (audit(predict, *data)["test labels"].status == "found") == takes


def test_labels_that_are_taken_but_not_used_are_clean(data):
    report = audit(lambda X, Y: X[:, :3] > 0, *data)
    assert status(report, "test labels") == status(report, "batch") == "clean"
    assert "none of 60" in report["test labels"].message


def test_predictions_that_depend_on_the_batch_are_found(data):
    def above_the_mean_of_the_batch(X):
        return X[:, :5].toarray() > X[:, :5].toarray().mean(axis=0)

    report = audit(above_the_mean_of_the_batch, *data, n_rows=30, random_state=0)
    finding = report["batch"]
    assert status(report, "batch") == "found"
    assert "of 30 predicted test rows change" in finding.message
    # one row alone is never above its own mean: exactly the rows with any predicted label change
    rows = finding.rows
    assert all(entry["batch"] == "single rows" for entry in finding.evidence)
    assert all(entry["raised_labels"] == [] for entry in finding.evidence)
    assert (above_the_mean_of_the_batch(data[2])[rows].any(axis=1)).mean() > 0.9


@pytest.mark.parametrize("name", ["single rows", "batches of 10", "another order"])
def test_every_kind_of_batch_is_tried(data, name):
    """Functions whose predictions only one kind of batch changes."""
    first = []

    def predict(X):
        n_rows, labels = X.shape[0], X[:, :5].toarray() > 0
        if n_rows == 30:
            first.append(X)
        of_kind = {
            "single rows": n_rows == 1,
            "batches of 10": n_rows == 10,
            "another order": n_rows == 30 and (first[0] != X).nnz > 0,
        }
        return ~labels if of_kind[name] else labels

    finding = audit(predict, *data, n_rows=30, random_state=0)["batch"]
    assert len(finding.rows) == 30
    assert {entry["batch"] for entry in finding.evidence} == {name}


def test_predictions_that_change_by_themselves_are_told_apart(data):
    rng = np.random.default_rng(0)
    report = audit(lambda X, Y: rng.random((X.shape[0], 4)) > 0.5, *data)
    assert status(report, "repeated prediction") == "found"
    assert status(report, "test labels") == status(report, "batch") == "not checked"


def test_rounding_is_no_change(data):
    rng = np.random.default_rng(0)
    report = audit(lambda X: X[:, :4].toarray() + 1e-9 * rng.random((X.shape[0], 4)), *data)
    assert [status(report, check) for check in CHECKS[:3]] == ["clean"] * 3


def test_an_unfitted_estimator_is_cloned_with_the_groups(data):
    X_train, Y_train, X_test, Y_test = data
    estimator = Fixed()
    groups = {"groups_train": np.arange(200), "groups_test": np.arange(200, 260)}
    report = audit(estimator, X_train, Y_train, X_test, Y_test, **groups)
    assert not hasattr(estimator, "n_labels_")
    assert status(report, "batch") == status(report, "groups") == "clean"
    fitted = Fixed().fit(X_train, Y_train[:, :3])
    assert audit(fitted, *data)["batch"].status == "clean"
    assert fitted.n_labels_ == 3  # and a fitted one is not fitted again


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, lambda X: X.toarray()])
def test_any_container_will_do(data, container):
    data = [container(part) for part in data]
    report = audit(
        KNeighborsClassifier(3),
        data[0],
        data[1].toarray() if sp.issparse(data[1]) else data[1],
        data[2],
        data[3],
        random_state=0,
    )
    assert [status(report, check) for check in CHECKS[:5]] == ["clean"] * 5


def test_texts_may_be_the_features():
    train = [f"alpha beta gamma delta word{'x' * i} word{'y' * i}" for i in range(1, 30)]
    test = ["something wholly different is written here", "Alpha  beta gamma delta wordx WORDY"]
    Y = (np.arange(29) % 2)[:, None]
    report = audit(
        make_pipeline(TfidfVectorizer(), OneVsRestClassifier(LogisticRegression())),
        train,
        Y,
        test,
        [[0], [1]],
    )
    assert status(report, "batch") == "clean"
    assert status(report, "equal features") == status(report, "similar features") == "not checked"
    assert report["equal text"].rows.tolist() == [1]
    assert report["equal text"].evidence[0]["train_row"] == 0


# Rows on both sides of the split


@pytest.mark.parametrize("container", [sp.csr_array, lambda X: X.toarray()])
def test_equal_rows_are_found(data, container):
    X_train, Y_train, X_test, Y_test = data
    X_test, Y_test = X_test.tolil(copy=True), Y_test.tolil(copy=True)
    X_test[[4]], Y_test[[4]] = X_train[[7]], Y_train[[7]]
    X_test[[9]] = X_train[[3]]
    Y_test[9] = 0
    # other storage of the same values: wider numbers, stored zeros, entries in parts
    given = container(X_test.tocsr().astype(np.float64))
    report = audit(None, container(X_train), Y_train, given, Y_test.tocsr())
    finding = report["equal features"]
    assert status(report, "equal features") == "found"
    assert finding.rows.tolist() == [4, 9]
    assert [entry["train_row"] for entry in finding.evidence] == [7, 3]
    assert [entry["same_labels"] for entry in finding.evidence] == [True, False]
    assert finding.message == "2 of 60 test rows equal a training row"


def test_equal_rows_are_found_however_they_are_stored():
    train = sp.csr_array(([1.0, 2.0, 0.0], [0, 5, 7], [0, 3, 3]), shape=(2, 9))
    test = sp.csr_array(([1.0, 1.0, 1.0], [5, 0, 5], [0, 3, 3]), shape=(2, 9))
    report = audit(None, train, [[1], [0]], test, [[1], [0]])
    assert report["equal features"].rows.tolist() == [0]  # rows without features are no finding


def test_similar_rows_are_found_and_verified(data):
    """Sparse: the sets of features; compared with all pairs."""
    rng = np.random.default_rng(0)
    train = rng.random((300, 400)) < 0.05
    test = rng.random((100, 400)) < 0.05
    for i in range(40):
        test[i] = train[i]
        test[i, rng.choice(400, 1 + i % 4)] ^= True
    sets = [[set(np.flatnonzero(row)) for row in part] for part in (train, test)]
    jaccard = np.array([[len(a & b) / len(a | b) for a in sets[0]] for b in sets[1]])
    Y = [np.zeros((300, 1)), np.zeros((100, 1))]
    values = [sp.csr_array(part * rng.random(part.shape)) for part in (train, test)]
    for similarity in (0.85, 0.9):
        report = audit(None, values[0], Y[0], values[1], Y[1], similarity=similarity, random_state=0)
        finding = report["similar features"]
        np.testing.assert_array_equal(finding.rows, np.flatnonzero(jaccard.max(axis=1) >= similarity))
        assert 10 < len(finding.rows) < 41
        for entry in finding.evidence:
            best = jaccard[entry["test_row"]]
            assert entry["similarity"] == pytest.approx(best.max(), abs=1e-4)
            assert entry["train_row"] == best.argmax()
        assert status(report, "equal features") == "clean"


def test_similar_dense_rows_are_found_despite_noise():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(500, 30)), rng.normal(size=(200, 30))
    train[:, 5] = test[:, 5] = 7  # what all rows have, or none, tells nothing
    train[:, 6:20] *= rng.random(size=(500, 14)) < 0.1
    test[:, 6:20] *= rng.random(size=(200, 14)) < 0.1
    test[17] = train[400] + 1e-7 * rng.normal(size=30)
    report = audit(None, train, np.zeros((500, 1)), test, np.zeros((200, 1)), random_state=0)
    assert status(report, "equal features") == "clean"
    assert report["similar features"].rows.tolist() == [17]
    assert report["similar features"].evidence[0]["train_row"] == 400
    # a sparse container of full rows is no set of features
    same = audit(
        None,
        sp.csr_array(train[:, :5]),
        np.zeros((500, 1)),
        sp.csr_array(test[:, :5]),
        np.zeros((200, 1)),
        random_state=0,
    )
    assert same["similar features"].rows.tolist() == [17]


PROSE = """commission regulation fixing the import prices for certain fruit and vegetables applied on the day
    having regard to the treaty establishing the european community and to the rules laid down by council"""


def texts_of(seed, n):
    """Texts of other words each, in their own order."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(PROSE.split())[:25]) + f" {i}" for i in range(n)]


def test_equal_and_similar_texts_are_found_each_by_its_own_rule():
    train, test = texts_of(0, 60), texts_of(1, 20)
    test[2] = train[5].upper().replace(" ", "\n  ")
    test[4] = train[6].replace(" ", " 1998, ", 3) + " (No 17/04)"
    test[4] = test[4].replace("No ", "")
    test[6] = train[7] + " annex"
    test[8], train[8] = "12/7", "8 - 9"  # nothing is left of these: no evidence of anything
    labels = np.zeros((60, 1)), np.zeros((20, 1))
    X = np.eye(60, 3), -np.eye(20, 3) - 1
    report = audit(None, X[0], labels[0], X[1], labels[1], texts_train=train, texts_test=test, random_state=0)
    assert report["equal text"].rows.tolist() == [2]
    assert report["equal words"].rows.tolist() == [2, 4]
    assert report["similar text"].rows.tolist() == [2, 4, 6]
    assert [entry["train_row"] for entry in report["similar text"].evidence] == [5, 6, 7]
    assert report["equal words"].evidence[0]["text"].startswith(" ".join(test[2].split())[:40])
    clean = audit(
        None, X[0], labels[0], X[1], labels[1], texts_train=train, texts_test=texts_of(1, 20), random_state=0
    )
    assert [status(clean, check) for check in ("equal text", "equal words", "similar text")] == ["clean"] * 3


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Article 4(a) of Regulation (EC) No 12/98", "ARTICLE 5 b of regulation EC no 1", True),
        ("price of Antrรณin in euro", "price of Antróin in euro", True),  # an error of encoding
        ("цена на хлеб 12", "цена на хлеб 13", True),
        ("цена на хлеб OK", "другая цена OK", False),
        ("the price of bread", "the prices of bread", False),
        ("1 2 3", "4 5 6", False),
    ],
)
def test_rule_of_equal_words(a, b, same):
    report = audit(None, [[1]], [[0]], [[2]], [[0]], texts_train=[a], texts_test=[b])
    assert (report["equal words"].status == "found") == same


def test_shared_groups_are_found(data):
    train, test = np.repeat(["a.py", "b.py", "c.py", "d.py"], 50), np.repeat(["e.py", "b.py", "f.py"], 20)
    report = audit(None, *data, groups_train=train, groups_test=test)
    finding = report["groups"]
    assert status(report, "groups") == "found"
    assert finding.rows.tolist() == list(range(20, 40))
    assert finding.evidence == ({"group": "b.py", "n_train_rows": 50, "n_test_rows": 20},)
    clean = audit(None, *data, groups_train=train, groups_test=np.repeat(["e.py", "g.py", "f.py"], 20))
    assert status(clean, "groups") == "clean"


# Training rows that know themselves


def test_rows_among_their_own_neighbours_are_found_in_the_shares(data):
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


def test_rows_of_the_same_group_among_the_neighbours_are_found(data):
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
    assert entry["train_row"] // 2 == entry["neighbour"] // 2
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
def test_shares_that_cannot_tell(Y, shares):
    test = -np.ones((1, 3)), np.ones((1, Y.shape[1]))
    report = audit(None, np.random.default_rng(0).random((60, 3)), Y, *test, local=shares)
    assert status(report, "own neighbours") == "not checked"


def test_shares_tell_of_groups_only_by_labels_of_one_group():
    """Two rows a group, two groups a label: a missing share clears the row, not its group."""
    Y = np.repeat(np.eye(15), 4, axis=0)
    X, test = np.random.default_rng(0).random((60, 3)), (-np.ones((1, 3)), np.ones((1, 15)))
    none = sp.csr_array((60, 15))
    assert status(audit(None, X, Y, *test, local=none), "own neighbours") == "clean"
    for size, expected in ((2, "not checked"), (4, "clean")):
        groups = {"groups_train": np.arange(60) // size, "groups_test": [-1]}
        assert status(audit(None, X, Y, *test, local=none, **groups), "own neighbours") == expected


def test_scores_of_the_same_model_are_found(data):
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
def test_scores_that_know_their_rows_are_found_without_the_model(sparse):
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
    # without labels of one positive, the highest scores tell
    report = audit(None, X, Y[:, 40:], test[0], test[1][:, 40:], scores=container(knows[:, 40:]))
    assert status(report, "in-sample scores") == ("found" if Y[:, 40:].any(axis=1).all() else "clean")
    report = audit(None, X[:50], Y[:50, 40:], test[0], test[1][:, 40:], scores=container(knows[:50, 40:]))
    assert status(report, "in-sample scores") == "not checked"


def test_signs_by_hand():
    """20 labels with one positive in 20 rows: 19 that lead are plausible, 20 are not."""
    Y = sp.csr_array(np.eye(20, dtype=np.float32))
    rows, labels = np.divmod(np.arange(400), 20)
    truth = rows == labels
    scores = np.where(truth, 0.9, 0.1)
    signs = in_sample_signs(rows, labels, scores, truth, Y)
    assert "100% of the labels" in signs.what
    assert signs.pairs.tolist() == np.flatnonzero(truth).tolist()
    scores[1] = 0.9  # a tie does not lead
    assert in_sample_signs(rows, labels, scores, truth, Y) == (None, pytest.approx([]), True)


# The report


def test_report_can_be_read_by_people_and_programs(data):
    X_train, Y_train, X_test, Y_test = data
    X_test = sp.vstack([X_train[:3], X_test[3:]]).tocsr()
    report = audit(
        Fixed(),
        X_train,
        Y_train,
        X_test,
        Y_test,
        groups_train=np.arange(200),
        groups_test=np.arange(199, 259),
        local=NeighborLabels(5).fit(X_train, Y_train).transform(X_train),
    )
    assert [finding.check for finding in report.findings] == CHECKS
    names = ["equal features", "similar features", "groups", "own neighbours"]
    assert [finding.check for finding in report.found] == names
    loaded = json.loads(json.dumps(report.to_dict()))
    assert loaded == report.to_dict()
    assert loaded["n_found"] == 4
    assert loaded["findings"][3] == {
        "check": "equal features",
        "status": "found",
        "message": "3 of 60 test rows equal a training row",
        "split": "test",
        "n_rows": 3,
        "rows": [0, 1, 2],
        "evidence": list(report["equal features"].evidence),
    }
    lines = str(report).splitlines()
    assert lines[0] == f"Leakage audit: 4 of 7 checks found something: {', '.join(names)}"
    assert len(lines) <= 20
    assert max(map(len, lines)) < 140
    assert any("found        equal features       3 of 60 test rows" in line for line in lines)
    assert report.table()[3] == {
        "check": "equal features",
        "status": "found",
        "rows": 3,
        "message": "3 of 60 test rows equal a training row",
    }
    page = report._repr_html_()
    assert page.count("<tr>") == 1 + len(CHECKS)
    assert "<td>equal features</td><td>found</td><td>3</td>" in page
    with pytest.raises(KeyError, match="'text' is none of repeated prediction, test labels"):
        report["text"]


def test_seed_decides_and_equal_seeds_agree(data):
    def predict(X):
        return X[:, :5].toarray() > X[:, :5].toarray().mean(axis=0)

    one, again, other = (audit(predict, *data, n_rows=20, random_state=seed).to_dict() for seed in (1, 1, 2))
    assert one == again != other


def test_many_rows_with_equal_features_take_linear_time():
    """20,000 rows in 20 families: all pairs would be 80 million."""
    rng = np.random.default_rng(0)
    family = sp.csr_array((rng.random((20, 100_000)) < 5e-4).astype(np.float32))
    rows = family[rng.integers(20, size=20_000)]
    extra = rng.integers(100_000, size=20_000)
    rows = sp.csr_array(rows + sp.csr_array((np.ones(20_000), (np.arange(20_000), extra)), shape=rows.shape))
    Y = sp.csr_array((20_000, 5))
    started = time.perf_counter()
    report = audit(None, rows[:16_000], Y[:16_000], rows[16_000:], Y[16_000:], random_state=0)
    assert time.perf_counter() - started < 15
    assert len(report["similar features"].rows) > 3990


# Errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"similarity": 0.5}, "similarity must be from 0.8 to 1; got 0.5"),
        ({"n_rows": 1}, "n_rows must be at least 2; got 1"),
        ({"X_train": [[1, 2]]}, "X_train has 1 rows but 2 were expected"),
        ({"X_test": [[1, 2, 3]]}, "X_train has 2 features but X_test has 3"),
        ({"Y_train": [[2], [0]]}, "Y_train must hold only 0 and 1"),
        ({"Y_test": [[0, 1]]}, "Y_test has 2 labels but 1 were expected"),
        ({"texts_train": ["a", "b"]}, "Give texts_train and texts_test, or neither; texts_test is missing"),
        ({"groups_test": [1]}, "groups_train is missing"),
        ({"groups_train": [1], "groups_test": [1]}, "groups_train has 1 rows but 2 were expected"),
        ({"local": [[1]]}, "local has 1 rows but 2 were expected"),
        ({"local": NeighborLabels(1).fit([[1, 2]], [[1]])}, "local was fitted on 1 rows but Y_train has 2"),
        ({"scores": [[np.nan], [0]]}, "scores must be finite"),
        ({"estimator": lambda X: np.zeros((7, 1))}, r"predict must return numbers of shape \(1, n_labels\)"),
        ({"estimator": lambda X: np.array([["yes"]])}, "predict must return numbers"),
    ],
)
def test_errors(changes, message):
    arguments = {
        "estimator": None,
        "X_train": [[1, 2], [3, 4]],
        "Y_train": [[1], [0]],
        "X_test": [[5, 6]],
        "Y_test": [[1]],
    }
    with pytest.raises(ValueError, match=message):
        audit(**(arguments | changes))


def test_what_cannot_predict_is_refused():
    with pytest.raises(TypeError, match="str cannot be audited: give an object with predict"):
        audit("model", [[1]], [[1]], [[2]], [[1]])
