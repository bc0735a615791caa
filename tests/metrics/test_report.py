"""All metrics of a prediction together, and coverage at a precision, against loops and by hand."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh import metrics as m

FREQUENCY = np.array([0, 1, 5, 6, 20, 21, 100, 101, 5000])
SEEDS = range(5)


def naive_coverage(Y, P, scores, precision):
    confidence = {i: min(scores[i, j] for j in np.flatnonzero(P[i])) for i in range(len(P)) if P[i].any()}
    best = 0
    for least in set(confidence.values()):
        taken = [i for i, c in confidence.items() if c >= least]
        if sum((Y[i] & P[i]).sum() for i in taken) >= precision * sum(P[i].sum() for i in taken):
            best = max(best, len(taken))
    return best / len(P)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("precision", [0.3, 0.6, 0.75, 0.9, 1.0])
def test_coverage_against_loop(make_case, seed, precision):
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


def test_evaluate_holds_what_the_arguments_allow(make_case):
    Y, P, _, _, sparse = make_case(1)
    labels_only = ["macro_f1", "macro_f1_present", "micro_f1", "samples_f1"]
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


def test_evaluate_dense_equals_sparse_with_every_pair_stored(make_case):
    Y, P, scores, _, _ = make_case(2)
    rows, labels = np.indices(Y.shape).reshape(2, -1)
    full = sp.csr_array((scores.ravel(), (rows, labels)), shape=Y.shape)
    dense = m.evaluate(Y, P, scores, FREQUENCY, n_train=9000)
    sparse = m.evaluate(sp.csr_array(Y), sp.csr_matrix(P), full, FREQUENCY, n_train=9000)
    assert dense == pytest.approx(sparse, abs=1e-14)


def plain_top(row, k):
    """Labels by falling score, then rising index, of a row given as a dictionary of its scores."""
    return sorted(row, key=lambda label: (-row[label], label))[:k]


def plain_auroc(truth, values, n_samples, n_positives):
    """Area of one label from every pair of rows; its scored positives are added by falling score."""
    n_negatives, absent = n_samples - n_positives, n_samples - len(values)
    negative = values[~truth]
    absent_negatives, total = n_negatives - len(negative), 0.0
    for value in sorted(values[truth], reverse=True):
        above = np.sum(negative > value) + np.sum(negative == value) / 2
        total += 1 - above / n_negatives
    absent_positives = absent - absent_negatives
    return (total + absent_positives * (absent_negatives / (2 * n_negatives))) / n_positives


def plain_evaluate(Y, P, scores, frequency, n_train):
    """Every metric but the bins of F1 and the two ECE, one row or label after the other.

    Sums are taken over the same numbers in the same order as in the library, so that the last bit agrees.
    """
    n_samples, n_labels = Y.shape
    rows = [
        dict(zip(scores.indices[a:b].tolist(), scores.data[a:b], strict=True))
        for a, b in zip(scores.indptr[:-1], scores.indptr[1:], strict=True)
    ]
    tp, marked = (Y & P), Y + P

    def f1(axis):
        hits, total = tp.sum(axis=axis), marked.sum(axis=axis)
        return np.array([2 * h / t if t else 0.0 for h, t in zip(hits, total, strict=True)])

    result = {
        "macro_f1": np.mean(f1(0)),
        "macro_f1_present": np.mean(f1(0)[Y.any(axis=0)]),
        "micro_f1": 2 * tp.sum() / marked.sum(),
        "samples_f1": np.mean(f1(1)),
    }
    weight = 1 + (np.log(n_train) - 1) * 2.5**0.55 * (frequency + 1.5) ** -0.55
    for k in (1, 3, 5):
        listed = [sorted(plain_top(row, k)) for row in rows]
        found = [label for i, top in enumerate(listed) for label in top if Y[i, label]]
        best = [np.flatnonzero(row)[np.sort(np.argsort(-weight[row > 0], kind="stable")[:k])] for row in Y]
        result[f"precision_at_{k}"] = len(found) / (k * n_samples)
        result[f"psp_at_{k}"] = weight[found].sum() / weight[np.concatenate(best)].sum()
    row_of = np.repeat(np.arange(n_samples), np.diff(scores.indptr))
    truth, values = Y[row_of, scores.indices] > 0, scores.data
    areas = [
        plain_auroc(truth[of], values[of], n_samples, Y[:, label].sum())
        for label in np.flatnonzero(Y.any(axis=0) & ~Y.all(axis=0))
        for of in [scores.indices == label]
    ]
    result["macro_auroc"] = np.mean(areas)
    p, n_all, n_missed = values.astype(float), n_samples * n_labels, Y.sum() - truth.sum()
    squared = ((p - truth) ** 2).sum()
    negative_log = (-np.log(np.maximum(np.where(truth, p, 1 - p), 1e-7))).sum()
    result["brier_candidates"], result["brier_all"] = squared / len(p), (squared + n_missed) / n_all
    result["log_loss_candidates"] = negative_log / len(p)
    result["log_loss_all"] = (negative_log + n_missed * -np.log(1e-7)) / n_all
    filled = np.full(Y.shape, -np.inf)
    filled[row_of, scores.indices] = values
    result["coverage_at_precision_0_9"] = naive_coverage(Y, P, filled, 0.9)
    return result


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_levels", [3, 1000], ids=["tied", "nearly untied"])
def test_evaluate_is_the_plain_computation_to_the_last_bit(seed, dtype, n_levels):
    """Rows of every length, none among them; labels that never occur, and some that nothing scores."""
    rng = np.random.default_rng(seed)
    n_samples, n_labels = 60, 25
    Y = (rng.random((n_samples, n_labels)) < rng.random(n_labels) ** 3).astype(int)
    P = np.where(rng.random(Y.shape) < 0.8, Y, rng.random(Y.shape) < 0.1).astype(int)
    Y[3] = P[4] = 0
    wanted = rng.integers(n_labels, size=n_samples)
    wanted[:2] = 0
    stored = rng.random(Y.shape).argsort(axis=1) < wanted[:, None]
    stored[:, 7] = False
    values = (rng.integers(n_levels + 1, size=Y.shape) / n_levels).astype(dtype)
    values[:, 10:13] = 1  # neighbouring labels of one score
    scores = sp.csr_array((values[stored], np.nonzero(stored)), shape=Y.shape)
    frequency = rng.integers(50, size=n_labels)
    result = m.evaluate(Y, P, scores, frequency, n_train=90)
    plain = plain_evaluate(Y, P, scores, frequency, 90)
    assert {name: result[name] for name in plain} == plain


@pytest.mark.slow
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
    result = m.evaluate(Y, Y, scores, np.ones(shape[1]), n_train=10)
    m.paired_bootstrap(Y, Y, {"rival": Y}, n_draws=3)
    m.paired_macro_auroc(Y, scores, scores, np.ones(shape[1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result["micro_f1"] == 1
    assert peak < 300e6


ONE = [[1, 0], [0, 1]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: m.coverage_at_precision(ONE, ONE, HALF, 0),
            "precision must be a finite number, greater than 0 and at most 1; got 0",
        ),
        (lambda: m.coverage_at_precision(ONE, ONE, [[0.5]], 0.9), "scores has 1 rows but 2 were expected"),
        (lambda: m.evaluate(ONE, [[1, 0]]), "Y_pred has 1 rows but 2 were expected"),
        (lambda: m.evaluate(ONE, ONE, [[3, 0], [0, -3]]), "found values from -3 to 3.*scipy.special.expit"),
        (lambda: m.evaluate(ONE, ONE, HALF, [1]), r"train_frequency must have shape \(2,\); got \(1,\)"),
        (lambda: m.evaluate(ONE, ONE, HALF, [1, 9], n_train=8), "goes up to 9, but n_train is 8"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
