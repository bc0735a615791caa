"""Rows, texts and groups on both sides of a split: planted ones are found, others are not."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.leakage import audit, minhash


@pytest.mark.parametrize("container", [sp.csr_array, lambda X: X.toarray()])
def test_equal_rows_are_found(data, container, status):
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


def test_similar_rows_are_found_and_verified(data, status):
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


def test_similar_dense_rows_are_found_despite_noise(status):
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


@pytest.mark.slow
def test_of_many_alike_rows_few_pairs_are_compared(monkeypatch):
    """20,000 rows in 20 families: a test row is like 800 training rows, 64 million pairs in all."""
    compared = []
    jaccard = minhash._jaccard

    def counted(train, train_rows, test, test_rows):
        compared.append(len(test_rows))
        return jaccard(train, train_rows, test, test_rows)

    monkeypatch.setattr(minhash, "_jaccard", counted)
    rng = np.random.default_rng(0)
    family = sp.csr_array((rng.random((20, 100_000)) < 5e-4).astype(np.float32))
    rows = family[rng.integers(20, size=20_000)]
    extra = rng.integers(100_000, size=20_000)
    rows = sp.csr_array(rows + sp.csr_array((np.ones(20_000), (np.arange(20_000), extra)), shape=rows.shape))
    Y = sp.csr_array((20_000, 5))
    report = audit(None, rows[:16_000], Y[:16_000], rows[16_000:], Y[16_000:], random_state=0)
    assert 4_000 < sum(compared) < 4_000 * 50
    assert len(report["similar features"].rows) > 3990


PROSE = """commission regulation fixing the import prices for certain fruit and vegetables applied on the day
    having regard to the treaty establishing the european community and to the rules laid down by council"""


def texts_of(seed, n):
    """Texts of other words each, in their own order."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(PROSE.split())[:25]) + f" {i}" for i in range(n)]


def test_equal_and_similar_texts_are_found_each_by_its_own_rule(status):
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


def test_shared_groups_are_found(data, status):
    train, test = np.repeat(["a.py", "b.py", "c.py", "d.py"], 50), np.repeat(["e.py", "b.py", "f.py"], 20)
    report = audit(None, *data, groups_train=train, groups_test=test)
    finding = report["groups"]
    assert status(report, "groups") == "found"
    assert finding.rows.tolist() == list(range(20, 40))
    assert finding.evidence == ({"group": "b.py", "n_train_rows": 50, "n_test_rows": 20},)
    clean = audit(None, *data, groups_train=train, groups_test=np.repeat(["e.py", "g.py", "f.py"], 20))
    assert status(clean, "groups") == "clean"
