"""Metrics against naive loops, scikit-learn where it defines the same, and values worked out by hand."""

import time
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn import metrics as sk

from adathresh import metrics as m

CONTAINERS = [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array]
FREQUENCY = np.array([0, 1, 5, 6, 20, 21, 100, 101, 5000])


def make_case(seed, n_samples=40, n_labels=9, decimals=1, kept=0.6):
    """Labels, predictions and rounded (so tied) probabilities; dense, and with some pairs absent."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < rng.random(n_labels) * 0.5).astype(int)
    Y[:, 0] = 0
    P = np.where(rng.random(Y.shape) < 0.7, Y, rng.random(Y.shape) < 0.2).astype(int)
    scores = np.round(rng.random(Y.shape), decimals)
    stored = rng.random(Y.shape) < kept
    rows, labels = np.nonzero(stored)
    return Y, P, scores, stored, sp.csr_array((scores[stored], (rows, labels)), shape=Y.shape)


SEEDS = range(5)


def naive_f1(y, p):
    tp, fp, fn = sum(y & p), sum(~y & p), sum(y & ~p)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_f1_family_against_loops_and_sklearn(seed, container):
    Y, P, *_ = make_case(seed)
    P[3] = Y[3] = 0  # a row with nothing true and nothing predicted
    y, p = Y.astype(bool), P.astype(bool)
    by_label = np.array([naive_f1(y[:, j], p[:, j]) for j in range(Y.shape[1])])
    Yc, Pc = container(Y), container(P)
    assert m.macro_f1(Yc, Pc) == pytest.approx(by_label.mean())
    assert m.macro_f1(Yc, Pc) == pytest.approx(sk.f1_score(Y, P, average="macro", zero_division=0))
    assert m.macro_f1_present(Yc, Pc) == pytest.approx(by_label[Y.any(axis=0)].mean())
    assert m.micro_f1(Yc, Pc) == pytest.approx(naive_f1(y.ravel(), p.ravel()))
    assert m.micro_f1(Yc, Pc) == pytest.approx(sk.f1_score(Y, P, average="micro"))
    assert m.example_f1(Yc, Pc) == pytest.approx(
        np.mean([naive_f1(*pair) for pair in zip(y, p, strict=True)])
    )
    assert m.example_f1(Yc, Pc) == pytest.approx(sk.f1_score(Y, P, average="samples", zero_division=0))
    assert m.macro_f1_ceiling(Yc) == np.mean(Y.any(axis=0))
    bins = m.binned_macro_f1(Yc, Pc, FREQUENCY)
    members = {"0": [0], "1_5": [1, 2], "6_20": [3, 4], "21_100": [5, 6], "over_100": [7, 8]}
    assert bins == {f"macro_f1_{key}": pytest.approx(by_label[of].mean()) for key, of in members.items()}


def test_f1_of_nothing():
    nothing = np.zeros((2, 3), dtype=int)
    assert m.macro_f1(nothing, nothing) == m.micro_f1(nothing, nothing) == m.example_f1(nothing, nothing) == 0
    assert np.isnan(m.macro_f1_present(nothing, nothing))
    assert m.macro_f1_ceiling(nothing) == 0
    bins = m.binned_macro_f1(nothing, nothing, [0, 0, 7])
    assert bins["macro_f1_0"] == bins["macro_f1_6_20"] == 0
    assert np.isnan([bins["macro_f1_1_5"], bins["macro_f1_21_100"], bins["macro_f1_over_100"]]).all()


def test_macro_f1_never_exceeds_its_ceiling_and_reaches_it():
    Y, P, *_ = make_case(0)
    assert m.macro_f1(Y, P) <= m.macro_f1_ceiling(Y) == m.macro_f1(Y, Y)


def naive_top_k(row, k, stored):
    """Label indices by falling score, then rising index."""
    return sorted(np.flatnonzero(stored), key=lambda j: (-row[j], j))[:k]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 5, 20])
def test_lists_at_k_against_loops(seed, k):
    Y, _, scores, stored, sparse = make_case(seed, kept=0.4)
    frequency = np.array([0, 3, 1, 8, 40, 2, 15, 30, 4])
    C = (np.log(100) - 1) * 2.5**0.55
    weight = 1 + C * (frequency + 1.5) ** -0.55
    for given, mask in ((scores, np.ones_like(stored)), (sparse, stored)):
        hits = gained = best = 0
        kept = np.zeros(Y.shape, dtype=bool)
        for i, row in enumerate(scores):
            top = naive_top_k(row, k, mask[i])
            kept[i, top] = True
            hits += sum(Y[i, j] for j in top)
            gained += sum(Y[i, j] * weight[j] for j in top)
            best += sum(sorted(Y[i] * weight, reverse=True)[:k])
        listed = m.top_k(given, k)
        np.testing.assert_array_equal(
            sp.csr_array((np.ones(listed.nnz), listed.indices, listed.indptr), Y.shape).toarray(), kept
        )
        np.testing.assert_array_equal(listed.data, scores[kept])
        assert m.precision_at_k(Y, given, k) == pytest.approx(hits / (k * len(Y)))
        assert m.psp_at_k(Y, given, frequency, k, n_train=100) == pytest.approx(gained / best)


def test_psp_by_hand():
    # log(e²) − 1 = 1 and A = B = 1 give C = 2 and weights 1 + 2 / (N_l + 1) = 3, 2, 1.5
    Y, scores = [[1, 0, 1], [0, 1, 0]], [[0.1, 0.5, 0.9], [0.1, 0.9, 0.5]]
    assert m.psp_at_k(Y, scores, [0, 1, 3], 1, n_train=np.exp(2), A=1, B=1) == pytest.approx(
        (1.5 + 2) / (3 + 2)
    )
    assert np.isnan(m.psp_at_k(np.zeros((2, 3)), scores, [0, 1, 3], 1, n_train=9))


@pytest.mark.parametrize("seed", SEEDS)
def test_macro_auroc_against_loop_and_sklearn(seed):
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


def test_macro_auroc_undefined():
    assert np.isnan(m.macro_auroc([[1, 0]], [[0.2, 0.3]]))
    assert m.macro_auroc([[1], [0]], sp.csr_array((2, 1))) == 0.5


def naive_shares(y, s):
    """For every row of one label, the share of the other class that it is rightly ordered against."""
    wins = np.array([(a > s[~y]).mean() + (a == s[~y]).mean() / 2 for a in s[y]])
    losses = np.array([(b < s[y]).mean() + (b == s[y]).mean() / 2 for b in s[~y]])
    return wins, losses


def filled_scores(scores, stored):
    """What the absent pairs of a CSR matrix stand for: a tie below every score."""
    return np.where(stored, scores, scores.min() - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_auroc_by_band_against_loop(seed):
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
def test_auroc_interval_of_one_label_is_delongs(seed, sparse):
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
def test_auroc_influence_sums_the_labels_of_each_row(seed):
    """Loops over every row and label, some of them with a single positive."""
    Y, _, scores, stored, sparse = make_case(seed)
    Y[:, 2] = np.arange(len(Y)) == 7
    Y[:, 3] = np.arange(len(Y)) != 7
    for given, filled in ((scores, scores), (sparse, filled_scores(scores, stored))):
        order = m._order_pairs(Y, given)
        members = ~np.isnan(order.auroc)
        members[5] = False
        n_members, expected = members.sum(), np.zeros(len(Y))
        macro = order.auroc[members].mean()
        for j in np.flatnonzero(members):
            y = Y[:, j].astype(bool)
            for of_class, share in zip((y, ~y), naive_shares(y, filled[:, j]), strict=True):
                n = of_class.sum()
                centre, free = (macro, n_members) if n == 1 else (share.mean(), n)
                expected[of_class] += np.sqrt(free / (free - 1)) * (share - centre) / n / n_members
        np.testing.assert_allclose(m._auroc_influence(order, members), expected, atol=1e-12)


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
    true_a, true_b = m._order_pairs(Y, A).auroc, m._order_pairs(Y, B).auroc
    covered, covered_pair = [], []
    for _ in range(100):
        rows = rng.choice(n_population, 300, replace=False)
        members = ~np.isnan(m._order_pairs(Y[rows], B[rows]).auroc)
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


def naive_ece(y, p, n_bins):
    bins = np.floor(n_bins * (rankdata(p) - 0.5) / len(p))
    return sum((bins == b).mean() * abs(p[bins == b].mean() - y[bins == b].mean()) for b in set(bins))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("decimals", [1, 15])
def test_calibration_metrics_against_loops(seed, decimals):
    Y, _, scores, stored, sparse = make_case(seed, decimals=decimals)
    filled = np.where(stored, scores, 0.0)
    cases = [
        (scores, "candidates", Y.ravel(), scores.ravel()),
        (scores, "all", Y.ravel(), scores.ravel()),
        (sparse, "candidates", Y[stored], scores[stored]),
        (sparse, "all", Y.ravel(), filled.ravel()),
    ]
    for given, pairs, y, p in cases:
        for n_bins in (1, 7, 15):
            ece = m.expected_calibration_error(Y, given, n_bins=n_bins, pairs=pairs)
            assert ece == pytest.approx(naive_ece(y, p, n_bins))
        assert m.brier_score(Y, given, pairs=pairs) == pytest.approx(np.mean((y - p) ** 2))
        q = np.clip(np.where(y == 1, p, 1 - p), 1e-7, None)
        assert m.log_loss(Y, given, pairs=pairs) == pytest.approx(-np.mean(np.log(q)))
    inner = np.clip(scores, 0.01, 0.99)
    assert m.log_loss(Y, inner) == pytest.approx(sk.log_loss(Y.ravel(), inner.ravel()))
    assert m.brier_score(Y, scores) == pytest.approx(sk.brier_score_loss(Y.ravel(), scores.ravel()))


def test_calibration_metrics_do_not_depend_on_the_order_of_rows():
    Y, _, _, _, sparse = make_case(3)
    order = np.random.default_rng(0).permutation(len(Y))
    for pairs in ("candidates", "all"):
        assert m.expected_calibration_error(Y[order], sparse[order], pairs=pairs) == pytest.approx(
            m.expected_calibration_error(Y, sparse, pairs=pairs), abs=1e-14
        )


def test_calibration_metrics_of_no_pairs():
    empty = sp.csr_array((2, 2))
    for metric in (m.expected_calibration_error, m.brier_score, m.log_loss):
        assert np.isnan(metric([[0, 0], [0, 1]], empty))
    assert m.brier_score([[0, 0], [0, 1]], empty, pairs="all") == 0.25
    assert m.expected_calibration_error([[0, 0], [0, 1]], empty, pairs="all") == 0.25
    assert m.log_loss([[0, 0], [0, 1]], empty, pairs="all") == pytest.approx(-np.log(1e-7) / 4)


def naive_coverage(Y, P, scores, precision):
    confidence = {i: min(scores[i, j] for j in np.flatnonzero(P[i])) for i in range(len(P)) if P[i].any()}
    best = 0
    for cut in set(confidence.values()):
        taken = [i for i, c in confidence.items() if c >= cut]
        if sum((Y[i] & P[i]).sum() for i in taken) >= precision * sum(P[i].sum() for i in taken):
            best = max(best, len(taken))
    return best / len(P)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("precision", [0.3, 0.6, 0.75, 0.9, 1.0])
def test_coverage_against_loop(seed, precision):
    Y, P, scores, stored, sparse = make_case(seed)
    P[5] = 0
    assert m.coverage_at_precision(Y, P, scores, precision) == naive_coverage(Y, P, scores, precision)
    # a predicted label without a score puts the row last
    filled = np.where(stored, scores, -np.inf)
    assert m.coverage_at_precision(Y, P, sparse, precision) == naive_coverage(Y, P, filled, precision)


def test_coverage_by_hand():
    Y, P = [[1, 0], [1, 0], [0, 1], [1, 1]], [[1, 0], [1, 1], [0, 0], [0, 1]]
    scores = [[0.9, 0.0], [0.8, 0.4], [0.1, 0.1], [0.2, 0.6]]
    # by confidence: row 0 (1 of 1 right), row 3 (1 of 1), row 1 (1 of 2); row 2 predicts nothing
    assert m.coverage_at_precision(Y, P, scores, 1.0) == 0.5
    assert m.coverage_at_precision(Y, P, scores, 0.75) == 0.75
    assert m.coverage_at_precision([[0]], [[1]], [[0.9]], 0.5) == 0
    assert m.coverage_at_precision([[0]], [[0]], [[0.9]], 0.5) == 0


def test_evaluate_holds_what_the_arguments_allow():
    Y, P, _, _, sparse = make_case(1)
    labels_only = ["macro_f1", "macro_f1_present", "micro_f1", "example_f1"]
    binned = ["macro_f1_0", "macro_f1_1_5", "macro_f1_6_20", "macro_f1_21_100", "macro_f1_over_100"]
    lists = [f"precision_at_{k}" for k in (1, 3, 5)]
    psp = [f"psp_at_{k}" for k in (1, 3, 5)]
    rest = [
        "macro_auroc",
        "ece_candidates",
        "brier_candidates",
        "log_loss_candidates",
        "ece_all",
        "brier_all",
    ]
    rest += ["log_loss_all", "coverage_at_precision_0_9"]
    assert list(m.evaluate(Y, P)) == labels_only
    assert list(m.evaluate(Y, P, None, FREQUENCY)) == labels_only + binned
    assert list(m.evaluate(Y, P, sparse)) == labels_only + lists + rest
    assert list(m.evaluate(Y, P, sparse, FREQUENCY)) == labels_only + binned + lists + rest
    result = m.evaluate(Y, P, scores=sparse, train_frequency=FREQUENCY, n_train=9000)
    assert list(result) == labels_only + binned + lists + psp + rest
    assert all(type(value) is float for value in result.values())
    for k in (1, 3, 5):
        assert result[f"precision_at_{k}"] == m.precision_at_k(Y, sparse, k)
        assert result[f"psp_at_{k}"] == m.psp_at_k(Y, sparse, FREQUENCY, k, n_train=9000)
    assert result["macro_f1_6_20"] == m.binned_macro_f1(Y, P, FREQUENCY)["macro_f1_6_20"]
    assert result["macro_auroc"] == m.macro_auroc(Y, sparse)
    for pairs in ("candidates", "all"):
        assert result[f"ece_{pairs}"] == m.expected_calibration_error(Y, sparse, pairs=pairs)
        assert result[f"brier_{pairs}"] == m.brier_score(Y, sparse, pairs=pairs)
        assert result[f"log_loss_{pairs}"] == m.log_loss(Y, sparse, pairs=pairs)
    assert result["coverage_at_precision_0_9"] == m.coverage_at_precision(Y, P, sparse, 0.9)


def test_evaluate_dense_equals_sparse_with_every_pair_stored():
    Y, P, scores, _, _ = make_case(2)
    rows, labels = np.indices(Y.shape).reshape(2, -1)
    full = sp.csr_array((scores.ravel(), (rows, labels)), shape=Y.shape)
    dense = m.evaluate(Y, P, scores, FREQUENCY, n_train=9000)
    sparse = m.evaluate(sp.csr_array(Y), sp.csr_matrix(P), full, FREQUENCY, n_train=9000)
    assert dense == pytest.approx(sparse, abs=1e-14)


@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1", "example_f1"])
@pytest.mark.parametrize("seed", SEEDS)
def test_metric_without_each_row_against_leaving_it_out(metric, seed):
    Y, P, *_ = make_case(seed, n_samples=12)
    _, value_of, without_row_of = m._WITHOUT_EACH_ROW[metric]
    expected = [value_of(np.delete(Y, i, axis=0), np.delete(P, i, axis=0)) for i in range(len(Y))]
    np.testing.assert_allclose(without_row_of(*m._check_pair(Y, P)), expected, atol=1e-14)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_without_each_row_against_leaving_it_out(container, seed):
    Y, _, scores, stored, sparse = make_case(seed, n_samples=12)
    if container is np.asarray:
        stored = np.ones_like(stored)
    given = scores if container is np.asarray else sparse
    p, truth = scores[stored], Y[stored].astype(bool)
    bins = np.floor(15 * (rankdata(p) - 0.5) / len(p))
    row_of, ece, brier = np.nonzero(stored)[0], [], []
    for row in range(len(Y)):
        keep = row_of != row
        gaps = [abs((p - truth)[keep & (bins == b)].sum()) for b in range(15)]
        ece.append(sum(gaps) / keep.sum())
        brier.append(((p - truth)[keep] ** 2).mean())
    Y = sp.csr_array(Y)
    np.testing.assert_allclose(m._ece_without_each_row(Y, given), ece, atol=1e-12)
    np.testing.assert_allclose(m._brier_score_without_each_row(Y, given), brier, atol=1e-12)


def test_bootstrap_of_calibration_covers_the_truth():
    """Draw many test sets of one population: about 95 of 100 intervals hold the expected difference."""
    rng = np.random.default_rng(1)
    shape = (20_000, 20)
    p = rng.beta(0.5, 3, size=shape)
    Y = sp.csr_array((rng.random(shape) < p).astype(np.float32))
    steep = expit(1.5 * logit(np.clip(p, 1e-6, 1 - 1e-6)))
    for metric in ("ece", "brier"):
        results = []
        for _ in range(100):
            rows = rng.choice(len(p), 400, replace=False)
            results.append(m.paired_bootstrap(Y[rows], p[rows], steep[rows], metric=metric, n_draws=200))
        expected = np.mean([result["difference"] for result in results])
        assert 0.9 <= np.mean([result["low"] <= expected <= result["high"] for result in results]) <= 1
        assert np.mean([result["high"] < 0 for result in results]) > 0.9  # the interval is of use, too


def test_bootstrap_of_a_mean_is_the_plain_one():
    """Example-F1 is a mean over rows, so pseudo-values and resampled metric are the same thing."""
    Y, A, *_ = make_case(0)
    B = make_case(9)[1]
    result = m.paired_bootstrap(Y, A, B, metric="example_f1", n_draws=200, random_state=7)
    rng = np.random.RandomState(7)
    draws = []
    for _ in range(200):
        rows = rng.randint(len(Y), size=len(Y))
        draws.append(m.example_f1(Y[rows], A[rows]) - m.example_f1(Y[rows], B[rows]))
    assert result["difference"] == pytest.approx(m.example_f1(Y, A) - m.example_f1(Y, B))
    assert [result["low"], result["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_bootstrap_interval_covers_the_truth_on_the_long_tail():
    """Draw many test sets of one population: about 95 of 100 intervals hold the expected difference."""
    rng = np.random.default_rng(0)
    n_population, n_labels, n_samples = 20_000, 150, 300
    share = np.minimum(0.3, 1 / np.arange(1, n_labels + 1) ** 1.2)
    shape = (n_population, n_labels)
    Y = rng.random(shape) < share
    A = np.where(Y, rng.random(shape) < 0.5, rng.random(shape) < 0.3 * share)
    B = np.where(Y, rng.random(shape) < 0.1 + 0.6 * (share > 0.02), rng.random(shape) < 0.15 * share)
    Y, A, B = (sp.csr_array(labels, dtype=np.float32) for labels in (Y, A, B))
    results = []
    for _ in range(150):
        rows = rng.choice(n_population, n_samples, replace=False)
        results.append(m.paired_bootstrap(Y[rows], A[rows], B[rows], n_draws=200))
    expected = np.mean([result["difference"] for result in results])
    covered = np.mean([result["low"] <= expected <= result["high"] for result in results])
    assert 0.9 <= covered <= 1
    assert np.mean([result["low"] > 0 for result in results]) > 0.9  # the interval is of use, too


def test_bootstrap_is_antisymmetric_in_the_two_predictions_and_repeats_with_its_seed():
    Y, A, *_ = make_case(0)
    B = make_case(9)[1]
    one, other = m.paired_bootstrap(Y, A, B, n_draws=101), m.paired_bootstrap(Y, B, A, n_draws=101)
    assert one["difference"] == pytest.approx(-other["difference"])
    assert [one["low"], one["high"]] == pytest.approx([-other["high"], -other["low"]])
    assert one == m.paired_bootstrap(sp.csr_array(Y), sp.csr_matrix(A), B, n_draws=101)
    assert one != m.paired_bootstrap(Y, A, B, n_draws=101, random_state=1)


def test_repetitions_are_resampled_with_the_rows():
    Y, A, *_ = make_case(0)
    As, Bs = [A, make_case(5)[1], make_case(6)[1]], [make_case(seed)[1] for seed in (7, 8, 9)]
    result = m.repeated_paired_bootstrap(Y, As, Bs, metric="example_f1", n_draws=300, random_state=3)
    rng, draws = np.random.RandomState(3), []
    for _ in range(300):
        rows, repetitions = rng.randint(len(Y), size=len(Y)), rng.randint(3, size=3)
        draws.append(
            np.mean(
                [m.example_f1(Y[rows], As[r][rows]) - m.example_f1(Y[rows], Bs[r][rows]) for r in repetitions]
            )
        )
    assert [result["low"], result["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    alone = [m.paired_bootstrap(Y, a, b, metric="example_f1") for a, b in zip(As, Bs, strict=True)]
    assert result["difference"] == pytest.approx(np.mean([one["difference"] for one in alone]))


def test_several_rivals_take_the_same_draws():
    Y, *_ = make_case(0)
    ours, *others = ([make_case(10 * name + seed)[1] for seed in range(3)] for name in range(1, 5))
    rivals = dict(zip("abc", others, strict=True))
    options = {"n_draws": 300, "random_state": 5}  # more than are averaged at once
    for metric in ("macro_f1", "micro_f1"):
        together = m.paired_bootstraps(Y, ours, rivals, metric=metric, **options)
        assert list(together) == ["a", "b", "c"]
        for name, found in together.items():
            alone = m.repeated_paired_bootstrap(Y, ours, rivals[name], metric=metric, **options)
            assert found == pytest.approx(alone, abs=1e-12)
    assert m.paired_bootstraps(Y, ours, {}) == {}


def test_equal_repetitions_are_one_and_others_widen_nothing_but_their_spread():
    Y, A, *_ = make_case(0)
    B, C = make_case(9)[1], make_case(8)[1]
    one = m.paired_bootstrap(Y, A, B, n_draws=2000)
    same = m.repeated_paired_bootstrap(Y, [A] * 3, [B] * 3, n_draws=2000)
    assert list(same.values()) == pytest.approx(list(one.values()), abs=0.02)
    other = m.repeated_paired_bootstrap(Y, [A, A], [B, A], n_draws=2000)
    assert other["difference"] == pytest.approx(one["difference"] / 2)
    swapped = m.repeated_paired_bootstrap(Y, [B, C], [C, B], n_draws=2000)
    assert swapped["difference"] == pytest.approx(0, abs=1e-12)
    assert swapped["low"] < 0 < swapped["high"]


ONE = [[1, 0], [0, 1]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.macro_f1(ONE, [[1, 0]]), "Y_pred has 1 rows but 2 were expected"),
        (lambda: m.micro_f1(ONE, [[1], [0]]), "Y_pred has 1 labels but 2 were expected"),
        (lambda: m.example_f1([[2, 0]], [[1, 0]]), "Y_true must hold only 0 and 1; found 2"),
        (lambda: m.macro_f1_present([1, 0], [1, 0]), "Y_true must be a 0/1 matrix"),
        (lambda: m.binned_macro_f1(ONE, ONE, [1]), r"train_frequency must have shape \(2,\); got \(1,\)"),
        (lambda: m.binned_macro_f1(ONE, ONE, [1, -1]), "train_frequency must hold counts"),
        (lambda: m.binned_macro_f1(ONE, ONE, [1, np.nan]), "train_frequency must hold counts"),
        (lambda: m.top_k(HALF, 0), "k must be at least 1; got 0"),
        (lambda: m.precision_at_k(ONE, HALF, 0), "k must be at least 1; got 0"),
        (lambda: m.precision_at_k(ONE, [[0.5, 0.5]], 1), "scores has 1 rows but 2 were expected"),
        (lambda: m.psp_at_k(ONE, HALF, [1, 1], 1, n_train=2), "n_train must be at least 3"),
        (
            lambda: m.psp_at_k(ONE, HALF, [1, 9], 1, n_train=8),
            "train_frequency goes up to 9, but n_train is 8",
        ),
        (lambda: m.macro_auroc(ONE, [[np.nan, 0], [0, 0]]), "NaN or infinity in row 0, label 0"),
        (lambda: m.binned_macro_auroc(ONE, HALF, [1]), r"train_frequency must have shape \(2,\); got \(1,\)"),
        (lambda: m.macro_auroc_interval(ONE, HALF, [1, -1]), "train_frequency must hold counts"),
        (lambda: m.paired_macro_auroc(ONE, HALF, [[0.5, 0.5]]), "scores_b has 1 rows but 2 were expected"),
        (lambda: m.expected_calibration_error(ONE, [[2, 0], [0, 0]]), "scipy.special.expit"),
        (lambda: m.expected_calibration_error(ONE, HALF, n_bins=0), "n_bins must be at least 1"),
        (lambda: m.brier_score(ONE, HALF, pairs="both"), 'pairs must be "candidates" or "all"; got \'both\''),
        (lambda: m.log_loss(ONE, [[-1, 0], [0, 0]]), "scipy.special.expit"),
        (lambda: m.coverage_at_precision(ONE, ONE, HALF, 0), r"precision must be in \(0, 1\]; got 0"),
        (lambda: m.evaluate(ONE, ONE, [[3, 0], [0, -3]]), "found values from -3 to 3.*scipy.special.expit"),
        (lambda: m.paired_bootstrap(ONE, ONE, [[1, 0]]), "Y_pred_b has 1 rows but 2 were expected"),
        (lambda: m.paired_bootstrap(ONE, ONE, ONE, metric="f1"), "metric must be one of macro_f1, micro_f1"),
        (lambda: m.paired_bootstrap(ONE, ONE, ONE, n_draws=0), "n_draws must be at least 1"),
        (lambda: m.paired_bootstrap([[1]], [[1]], [[1]]), "at least two rows; Y_true has 1"),
        (
            lambda: m.paired_bootstrap(ONE, [[2, 0], [0, 0]], HALF, metric="ece"),
            "Y_pred_a must be probabilit",
        ),
        (lambda: m.repeated_paired_bootstrap(ONE, [ONE], []), "equally many repetitions, .* got 1 and 0"),
        (lambda: m.repeated_paired_bootstrap(ONE, [], []), "at least one; got 0 and 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_nothing_sparse_is_densified():
    """200,000 rows by 50,000 labels would be 80 GB as an array of float64."""
    rng = np.random.default_rng(0)
    shape, nnz = (200_000, 50_000), 300_000
    rows, labels = rng.integers(shape[0], size=nnz), rng.integers(shape[1], size=nnz)
    pairs = np.unique(rows * shape[1] + labels)
    index = (pairs // shape[1], pairs % shape[1])
    scores = sp.csr_array((rng.random(len(pairs), dtype=np.float32), index), shape=shape)
    Y = sp.csr_array((np.ones(len(pairs), np.float32), index), shape=shape)
    tracemalloc.start()
    started = time.perf_counter()
    result = m.evaluate(Y, Y, scores, np.ones(shape[1]), n_train=10)
    m.paired_bootstrap(Y, Y, Y, n_draws=3)
    m.paired_macro_auroc(Y, scores, scores, np.ones(shape[1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result["micro_f1"] == 1
    assert peak < 300e6
    assert time.perf_counter() - started < 20
