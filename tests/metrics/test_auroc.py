"""Area under the ROC curve against naive loops, scikit-learn, DeLong's formula and simulations."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn import metrics as sk

from adathresh import metrics as m
from adathresh.metrics._pairs import ScoredPairs
from adathresh.metrics.auroc import _PairOrder
from adathresh.metrics.frequency_bins import bins_of

FREQUENCY = np.array([0, 1, 5, 6, 20, 21, 100, 101, 5000])
SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_macro_auroc_against_loop_and_sklearn(make_case, seed):
    Y, _, scores, stored, sparse = make_case(seed)
    Y[:, 1] = 1  # no negatives: left out, as is label 0 without positives
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -1.0))):
        areas = []
        for y, s in zip(Y.T.astype(bool), filled.T, strict=True):
            if 0 < y.sum() < len(y):
                wins = [(a > b) + (a == b) / 2 for a in s[y] for b in s[~y]]
                areas.append(np.mean(wins))
        assert m.macro_auroc(Y, given) == pytest.approx(np.mean(areas), abs=1e-12)
        defined = (Y.any(axis=0)) & (~Y.all(axis=0))
        expected = sk.roc_auc_score(Y[:, defined], filled[:, defined], average="macro")
        assert m.macro_auroc(Y, given) == pytest.approx(expected)
    # stored scores may be negative: an absent pair still ranks below them
    assert m.macro_auroc(
        Y, sp.csr_array((sparse.data - 7, sparse.indices, sparse.indptr), Y.shape)
    ) == pytest.approx(m.macro_auroc(Y, sparse))


@pytest.mark.filterwarnings("error")
def test_labels_with_few_scores_against_a_loop():
    """One scored pair that ties with the last of the label before, two in rising order, none, all."""
    stored = [[1, 0, 0, 0, 1], [1, 1, 1, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]]
    scores = np.array([[0.9, 0, 0, 0, 0.1], [0.5, 0.5, 0.2, 0, 0.2], [0, 0, 0.7, 0, 0.3], [0, 0, 0, 0, 0.4]])
    Y = np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [1, 0, 1, 0, 0]])
    sparse = sp.csr_array((scores[np.array(stored) == 1], np.nonzero(stored)), shape=Y.shape)
    filled = np.where(stored, scores, -1.0)
    areas = [naive_shares(y, s)[0].mean() for y, s in zip(Y.T.astype(bool), filled.T, strict=True)]
    np.testing.assert_allclose(order_of(Y, sparse).auroc, areas, atol=1e-15)
    assert areas[2:4] == [0.625, 0.5]


@pytest.mark.filterwarnings("error")
def test_labels_without_one_of_the_classes_have_no_area_and_do_not_warn():
    Y, scores = [[1, 0, 1], [1, 0, 0]], [[0.5, 0.2, 0.9], [0.1, 0.3, 0.4]]
    for given in (scores, sp.csr_array(scores), sp.csr_array((2, 3))):
        order = order_of(Y, given)
        np.testing.assert_array_equal(np.isnan(order.auroc), [True, True, False])
        assert m.macro_auroc_interval(Y, given)["macro_auroc"]["n_labels"] == 1


def test_macro_auroc_undefined():
    assert np.isnan(m.macro_auroc([[1, 0]], [[0.2, 0.3]]))
    assert m.macro_auroc([[1], [0]], sp.csr_array((2, 1))) == 0.5


def order_of(Y, scores):
    return _PairOrder(ScoredPairs(Y, scores))


def naive_shares(y, s):
    """For every row of one label, the share of the other class that it is rightly ordered against."""
    wins = np.array([(a > s[~y]).mean() + (a == s[~y]).mean() / 2 for a in s[y]])
    losses = np.array([(b < s[y]).mean() + (b == s[y]).mean() / 2 for b in s[~y]])
    return wins, losses


def filled_scores(scores, stored):
    """What the absent pairs of a CSR matrix stand for: a tie below every score."""
    return np.where(stored, scores, scores.min() - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_auroc_by_bin_against_loop(make_case, seed):
    Y, _, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, filled_scores(scores, stored))):
        areas = np.full(Y.shape[1], np.nan)
        for j, y in enumerate(Y.T.astype(bool)):
            if 0 < y.sum() < len(y):
                areas[j] = naive_shares(y, filled[:, j])[0].mean()
        expected = {"0": areas[:1], "1_5": areas[1:3], "6_20": areas[3:5], "21_100": areas[5:7]}
        expected["over_100"] = areas[7:]
        found = m.binned_macro_auroc(Y, given, FREQUENCY)
        interval = m.macro_auroc_interval(Y, given, FREQUENCY)
        assert list(found) == [f"macro_auroc_{key}" for key in expected]
        assert list(interval) == ["macro_auroc", *found]
        assert np.isnan(found["macro_auroc_0"])  # no positive row
        for key, of in expected.items():
            of, key = of[~np.isnan(of)], f"macro_auroc_{key}"
            assert interval[key]["n_labels"] == len(of)
            if len(of):
                assert found[key] == interval[key]["value"] == pytest.approx(of.mean(), abs=1e-12)
        assert interval["macro_auroc"]["value"] == m.macro_auroc(Y, given)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sparse", [False, True])
def test_auroc_interval_of_one_label_is_delongs(make_case, seed, sparse):
    Y, _, scores, stored, csr = make_case(seed, n_samples=60)
    y = Y[:, [8]].astype(bool)
    y[:2], y[2:4] = True, False
    a, b = (csr[:, [8]], csr[:, [7]]) if sparse else (scores[:, [8]], scores[:, [7]])
    shares = []
    for j in (8, 7):
        s = filled_scores(scores, stored)[:, j] if sparse else scores[:, j]
        shares.append(naive_shares(y[:, 0], s))
    (wins, losses), (wins_b, losses_b) = shares
    value, n, n_not = wins.mean(), y.sum(), (~y).sum()
    error = np.sqrt(wins.var(ddof=1) / n + losses.var(ddof=1) / n_not)
    found = m.macro_auroc_interval(y, a)["macro_auroc"]
    half = 1.959964 * error / (value * (1 - value))
    assert [found["low"], found["high"]] == pytest.approx(expit(logit(value) + np.array([-half, half])))
    error = np.sqrt((wins - wins_b).var(ddof=1) / n + (losses - losses_b).var(ddof=1) / n_not)
    found = m.paired_macro_auroc(y, a, b)["macro_auroc"]
    assert found["difference"] == pytest.approx(value - wins_b.mean(), abs=1e-12)
    assert found["high"] - found["difference"] == pytest.approx(1.959964 * error)
    assert found["difference"] - found["low"] == pytest.approx(1.959964 * error)


@pytest.mark.parametrize("seed", SEEDS)
def test_auroc_influence_sums_the_labels_of_each_row(make_case, seed):
    """Loops over every row and label, some of them with a single positive."""
    Y, _, scores, stored, sparse = make_case(seed)
    Y[:, 2] = np.arange(len(Y)) == 7
    Y[:, 3] = np.arange(len(Y)) != 7
    for given, filled in ((scores, scores), (sparse, filled_scores(scores, stored))):
        order = order_of(Y, given)
        members = ~np.isnan(order.auroc)
        members[5] = False
        n_members, expected = members.sum(), np.zeros(len(Y))
        macro = order.auroc[members].mean()
        for j in np.flatnonzero(members):
            y = Y[:, j].astype(bool)
            for of_class, share in zip((y, ~y), naive_shares(y, filled[:, j]), strict=True):
                n = of_class.sum()
                center, free = (macro, n_members) if n == 1 else (share.mean(), n)
                expected[of_class] += np.sqrt(free / (free - 1)) * (share - center) / n / n_members
        np.testing.assert_allclose(order.influence(members), expected, atol=1e-12)


def test_auroc_interval_knows_labels_that_are_one():
    """Nine copies of a label tell no more than the label; nine independent ones do."""
    rng = np.random.default_rng(0)
    Y = (rng.random((200, 9)) < 0.3).astype(int)
    scores = Y + 1.5 * rng.normal(size=Y.shape)
    one = m.macro_auroc_interval(Y[:, :1], scores[:, :1])["macro_auroc"]
    copies = m.macro_auroc_interval(Y[:, [0] * 9], scores[:, [0] * 9])["macro_auroc"]
    several = m.macro_auroc_interval(Y, scores)["macro_auroc"]
    assert [copies["low"], copies["high"]] == pytest.approx([one["low"], one["high"]])
    assert 2 < (one["high"] - one["low"]) / (several["high"] - several["low"]) < 5


@pytest.mark.parametrize("seed", SEEDS)
def test_differences_in_a_bin_are_those_of_its_labels(make_case, seed):
    Y, _, scores, _, sparse = make_case(seed, n_samples=60)
    found = m.paired_macro_auroc(Y, scores, sparse, FREQUENCY)
    for number, key in enumerate(m.binned_macro_auroc(Y, scores, FREQUENCY)):
        members = bins_of(FREQUENCY) == number
        alone = m.paired_macro_auroc(Y[:, members], scores[:, members], sparse[:, members])["macro_auroc"]
        assert found.pop(key) == pytest.approx(alone, nan_ok=True)
    assert found == m.paired_macro_auroc(Y, scores, sparse)


@pytest.mark.slow
def test_auroc_intervals_cover_the_truth_on_the_long_tail():
    """Many test sets of one population, whose rows carry several labels together."""
    rng = np.random.default_rng(0)
    n_population, n_labels = 10_000, 100
    topic = rng.normal(size=(n_population, 1))
    rate = np.minimum(0.3, 1 / np.arange(1, n_labels + 1) ** 1.2) * np.exp(topic - 0.5)
    Y = rng.random(rate.shape) < rate.clip(0, 0.9)
    A = Y * rng.normal(1.2, 0.5, n_labels) + rng.normal(size=rate.shape) + 0.5 * topic
    B = m.top_k(A + 0.5 * Y + 0.7 * rng.normal(size=rate.shape), 25)
    Y = sp.csr_array(Y, dtype=np.float32)
    true_a, true_b = order_of(Y, A).auroc, order_of(Y, B).auroc
    covered, covered_pair = [], []
    for _ in range(100):
        rows = rng.choice(n_population, 300, replace=False)
        members = ~np.isnan(order_of(Y[rows], B[rows]).auroc)
        one = m.macro_auroc_interval(Y[rows], B[rows])["macro_auroc"]
        pair = m.paired_macro_auroc(Y[rows], A[rows], B[rows])["macro_auroc"]
        assert one["n_labels"] == pair["n_labels"] == members.sum()
        covered.append(one["low"] <= true_b[members].mean() <= one["high"])
        covered_pair.append(pair["low"] <= (true_a - true_b)[members].mean() <= pair["high"])
    assert 0.88 <= np.mean(covered) <= 1
    assert 0.88 <= np.mean(covered_pair) <= 1


def test_auroc_intervals_without_spread_are_not_given():
    Y, right = [[1], [1], [0], [0]], [[4], [3], [2], [1]]
    found = m.macro_auroc_interval(Y, right)["macro_auroc"]
    assert found["value"] == 1
    assert np.isnan([found["low"], found["high"]]).all()
    found = m.macro_auroc_interval(Y, right[::-1])["macro_auroc"]
    assert found["value"] == 0
    assert np.isnan([found["low"], found["high"]]).all()
    found = m.macro_auroc_interval([[1], [0], [0]], [[2], [3], [1]])["macro_auroc"]  # a single positive
    assert found["value"] == 0.5
    assert np.isnan([found["low"], found["high"]]).all()
    found = m.paired_macro_auroc([[1], [0], [0]], [[2], [3], [1]], [[3], [2], [1]])["macro_auroc"]
    assert found["difference"] == -0.5
    assert np.isnan([found["low"], found["high"]]).all()
    found = m.macro_auroc_interval([[0], [0]], [[2], [3]])["macro_auroc"]  # no positive
    assert found["n_labels"] == 0
    assert np.isnan([found["value"], found["low"], found["high"]]).all()
    found = m.paired_macro_auroc(Y, right, right)["macro_auroc"]
    assert found == {"difference": 0, "low": 0, "high": 0, "n_labels": 1}


ONE = [[1, 0], [0, 1]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.macro_auroc(ONE, [[np.nan, 0], [0, 0]]), "NaN or infinity in row 0, label 0"),
        (lambda: m.binned_macro_auroc(ONE, HALF, [1]), r"train_frequency must have shape \(2,\); got \(1,\)"),
        (
            lambda: m.macro_auroc_interval(ONE, HALF, [1]),
            r"train_frequency must have shape \(2,\); got \(1,\)",
        ),
        (lambda: m.macro_auroc_interval(ONE, HALF, [1, -1]), "train_frequency must hold counts"),
        (lambda: m.paired_macro_auroc(ONE, HALF, [[0.5, 0.5]]), "scores_b has 1 rows but 2 were expected"),
        (lambda: m.paired_macro_auroc(ONE, [[0.5, 0.5]], HALF), "scores_a has 1 rows but 2 were expected"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
