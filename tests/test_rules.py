"""Decision rules against brute force over all cuts, and the invariances that every rule owes its users."""

import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from adathresh.metrics import macro_f1, micro_f1
from adathresh.rules import DecisionRule, ExpectedF1Cut, FixedCut, GlobalCut, PerLabelCut, TopK

RULES = [
    FixedCut(0.4),
    GlobalCut(),
    GlobalCut("micro_f1"),
    TopK(2),
    PerLabelCut(),
    PerLabelCut("top", fbr=0.5),
    PerLabelCut("never", fbr=0.5),
    ExpectedF1Cut(),
]
CUT_RULES = [rule for rule in RULES if not isinstance(rule, TopK)]
SEEDS = range(8)


def make_case(seed, n_samples=25, n_labels=7, decimals=1, kept=0.7):
    """Probabilities rounded to force ties; label 0 has no positives and label 1 nothing else."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < rng.random(n_labels) * 0.6).astype(int)
    Y[:, 0], Y[:, 1] = 0, 1
    scores = np.round(np.clip(0.5 * Y * rng.random(n_labels) + 0.6 * rng.random(Y.shape), 0, 1), decimals)
    stored = rng.random(Y.shape) < kept
    return Y, scores, stored, sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)


def fill(scores, stored):
    """An array in which absent pairs can never be predicted."""
    return np.where(stored, scores, -np.inf)


def cuts_to_try(scores):
    """One cut below each distinct score, and one above all; absent pairs do not count."""
    return np.r_[np.unique(scores[np.isfinite(scores)]) - 1e-9, np.inf]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "metric"), [("macro_f1", macro_f1), ("micro_f1", micro_f1)])
def test_global_cut_is_the_best_of_all(seed, name, metric):
    Y, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        values = {cut: metric(Y, (filled > cut).astype(int)) for cut in cuts_to_try(filled)}
        rule = GlobalCut(name).fit(given, Y)
        assert metric(Y, rule.predict(given)) == pytest.approx(max(values.values()), abs=1e-12)
        # of equally good cuts the highest, midway to the next lower score
        best = max(cut for cut, value in values.items() if value > max(values.values()) - 1e-12)
        upper = best + 1e-9
        lower = [s for s in np.unique(filled[np.isfinite(filled)]) if s < upper - 1e-6]
        assert rule.thresholds_ == pytest.approx((upper + lower[-1]) / 2 if lower else upper)


def best_label_cut(y, s):
    """F1 and the highest of the best cuts of one label, by brute force."""
    best_f1, best_cut = 0.0, np.inf
    distinct = np.unique(s[np.isfinite(s)])[::-1]
    for k, upper in enumerate(distinct):
        p = s >= upper
        f1 = 2 * (y & p).sum() / (y.sum() + p.sum())
        if f1 > best_f1:
            best_f1 = f1
            best_cut = (
                (upper + distinct[k + 1]) / 2 if k + 1 < len(distinct) else np.nextafter(upper, -np.inf)
            )
    return best_f1, best_cut


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fallback", [None, "top", "never"])
def test_per_label_cut_against_brute_force(seed, fallback):
    Y, scores, stored, sparse = make_case(seed)
    Y[:, 2] = 0
    Y[4, 2], stored[:, 2] = 1, False  # a positive, but never a score
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    fbr = 0.6
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        rule = PerLabelCut(fallback, fbr=fbr).fit(given, Y)
        for j in range(Y.shape[1]):
            f1, cut = best_label_cut(Y[:, j].astype(bool), filled[:, j])
            assert rule.f1_[j] == pytest.approx(f1)
            if fallback is not None and f1 < fbr and Y[:, j].any():
                top = filled[:, j].max()
                cut = top if fallback == "top" and np.isfinite(top) else np.inf
            assert rule.thresholds_[j] == pytest.approx(cut, abs=1e-12)
        assert rule.thresholds_[0] == np.inf  # no positives
        if fallback is None:
            reached = macro_f1(Y, rule.predict(given))
            assert reached == pytest.approx(rule.f1_.mean())
            assert reached >= macro_f1(Y, GlobalCut().fit(given, Y).predict(given)) - 1e-12


def test_fallback_takes_part_only_below_its_bound():
    Y, scores, *_ = make_case(1)
    plain = PerLabelCut().fit(scores, Y)
    np.testing.assert_array_equal(PerLabelCut("top", fbr=0).fit(scores, Y).thresholds_, plain.thresholds_)
    at_bound = PerLabelCut("never", fbr=plain.f1_[3]).fit(scores, Y)
    assert at_bound.thresholds_[3] == plain.thresholds_[3]


def test_label_with_only_positives_is_cut_just_below_its_lowest_score():
    rule = PerLabelCut().fit([[0.3], [0.9]], [[1], [1]])
    assert rule.thresholds_ == [np.nextafter(0.3, 0)]
    np.testing.assert_array_equal(rule.predict([[0.3], [0.29]]), [[1], [0]])


def test_scutfbr_by_hand():
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.9], [0.1, 0.3]]
    Y = [[0, 0], [0, 0], [0, 1], [1, 0]]  # best F1: 2/5 with every row predicted, and 1
    np.testing.assert_allclose(PerLabelCut().fit(scores, Y).thresholds_, [0.1, 0.6])
    np.testing.assert_allclose(PerLabelCut("top", fbr=0.5).fit(scores, Y).thresholds_, [0.9, 0.6])
    np.testing.assert_allclose(PerLabelCut("never", fbr=0.5).fit(scores, Y).thresholds_, [np.inf, 0.6])


@pytest.mark.parametrize("seed", SEEDS)
def test_expected_f1_cut_against_a_loop(seed):
    _, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, 0))):
        rule = ExpectedF1Cut().fit(given)
        for j, p in enumerate(filled.T):
            p = np.sort(p)[::-1]
            values = [2 * p[:count].sum() / (count + p.sum()) for count in range(1, len(p) + 1)]
            assert rule.f1_[j] == pytest.approx(max(values))
            assert rule.thresholds_[j] == pytest.approx(max(values) / 2)
            # what the cut predicts reaches the maximum
            predicted = p > rule.thresholds_[j]
            assert 2 * p[predicted].sum() / (predicted.sum() + p.sum()) == pytest.approx(max(values))


def test_expected_f1_cut_is_scut_when_the_probabilities_are_the_truth():
    Y, *_ = make_case(0)
    rule = ExpectedF1Cut().fit(Y)
    np.testing.assert_array_equal(rule.thresholds_, np.where(Y.any(axis=0), 0.5, np.inf))


def test_expected_f1_cut_keeps_tiny_probabilities_apart_from_large_ones():
    n = 20_000
    p = np.column_stack([np.full(n, 0.9), np.r_[1e-6, np.zeros(n - 1)]])
    rule = ExpectedF1Cut().fit(p)
    assert rule.f1_[1] == pytest.approx(2e-6 / (1 + 1e-6), rel=1e-4)


def test_expected_f1_cut_is_near_the_best_cut_of_calibrated_scores():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3, size=(4000, 10))
    Y = (rng.random(p.shape) < p).astype(int)
    tuned = PerLabelCut().fit(p[:2000], Y[:2000]).predict(p[2000:])
    expected = ExpectedF1Cut().fit(p[:2000]).predict(p[2000:])
    assert macro_f1(Y[2000:], expected) > macro_f1(Y[2000:], tuned) - 0.01
    assert macro_f1(Y[2000:], expected) > macro_f1(Y[2000:], (p[2000:] > 0.5).astype(int)) + 0.05


def test_fixed_cut_is_strict_and_takes_every_cut():
    scores = np.array([[0.5, 0.50001]])
    np.testing.assert_array_equal(FixedCut().fit(scores).predict(scores), [[0, 1]])
    np.testing.assert_array_equal(FixedCut(-np.inf).fit(scores).predict(scores), [[1, 1]])
    np.testing.assert_array_equal(FixedCut(np.inf).fit(scores).predict(scores), [[0, 0]])


@pytest.mark.parametrize("k", [1, 3, 7, 50])
def test_top_k_against_sorted_rows(k):
    _, scores, stored, sparse = make_case(0)
    for given, filled in ((scores, scores), (sparse, fill(scores, stored))):
        predicted = TopK(k).fit(given).predict(given)
        predicted = predicted.toarray() if sp.issparse(predicted) else predicted
        for row, p in zip(filled, predicted, strict=True):
            candidates = [j for j in range(len(row)) if np.isfinite(row[j])]
            assert set(np.flatnonzero(p)) == set(sorted(candidates, key=lambda j: (-row[j], j))[:k])


# Invariances -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_equals_sparse_with_every_pair_stored(rule, seed, dtype):
    Y, scores, *_ = make_case(seed, decimals=2)
    scores = scores.astype(dtype)
    full = sp.csr_array((scores.ravel(), np.indices(scores.shape).reshape(2, -1)), shape=scores.shape)
    dense, sparse = clone(rule).fit(scores, Y), clone(rule).fit(full, sp.csr_array(Y))
    np.testing.assert_array_equal(
        np.asarray(getattr(dense, "thresholds_", 0)), np.asarray(getattr(sparse, "thresholds_", 0))
    )
    np.testing.assert_array_equal(dense.predict(scores), sparse.predict(full).toarray())


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_permuting_rows_permutes_predictions_and_leaves_the_cuts(rule, seed):
    Y, _, _, sparse = make_case(seed)
    order = np.random.default_rng(seed).permutation(len(Y))
    plain, permuted = clone(rule).fit(sparse, Y), clone(rule).fit(sparse[order], Y[order])
    np.testing.assert_allclose(
        getattr(permuted, "thresholds_", 0), getattr(plain, "thresholds_", 0), rtol=1e-15
    )
    np.testing.assert_array_equal(
        permuted.predict(sparse[order]).toarray(), plain.predict(sparse).toarray()[order]
    )


@pytest.mark.parametrize("rule", CUT_RULES, ids=str)
def test_a_higher_threshold_never_adds_a_label(rule):
    Y, scores, _, sparse = make_case(2)
    rule = clone(rule).fit(sparse, Y)
    before, before_dense = rule.predict(sparse).toarray(), rule.predict(scores)
    rule.thresholds_ = rule.thresholds_ + np.random.default_rng(0).random(np.shape(rule.thresholds_)) * 0.3
    assert (rule.predict(sparse).toarray() <= before).all()
    assert (rule.predict(scores) <= before_dense).all()


def test_a_longer_list_never_drops_a_label():
    _, scores, *_ = make_case(2)
    lists = [TopK(k).fit(scores).predict(scores) for k in range(1, 8)]
    assert all((short <= longer).all() for short, longer in pairwise(lists))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_absent_pairs_are_never_predicted(rule):
    Y, _, stored, sparse = make_case(3)
    predicted = clone(rule).fit(sparse, Y).predict(sparse).toarray()
    assert predicted.any()
    assert not predicted[~stored].any()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_shifting_and_scaling_scores_changes_no_prediction(rule):
    if isinstance(rule, (FixedCut, ExpectedF1Cut)):
        pytest.skip("cuts in units of probability")
    Y, scores, *_ = make_case(4)
    moved = 8 * scores - 4  # powers of two keep the arithmetic exact; absent pairs and negative scores differ
    np.testing.assert_array_equal(
        clone(rule).fit(moved, Y).predict(moved), clone(rule).fit(scores, Y).predict(scores)
    )


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_matrix])
def test_predictions_come_in_the_container_of_the_scores(rule, container):
    Y, scores, _, sparse = make_case(5)
    given = container(scores) if container is np.asarray else container(sparse)
    predicted = clone(rule).fit(given, Y).predict(given)
    assert predicted.dtype == np.int64
    assert sp.issparse(predicted) == sp.issparse(given)
    if sp.issparse(given):
        assert predicted.format == "csr"
        assert isinstance(predicted, sp.spmatrix) == isinstance(given, sp.spmatrix)
        assert (predicted.data == 1).all()
        expected = clone(rule).fit(sparse, Y).predict(sparse).toarray()
        np.testing.assert_array_equal(predicted.toarray(), expected)
    else:
        assert isinstance(predicted, np.ndarray)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_scores_of_the_caller_stay_as_they_are(rule):
    Y, _, _, sparse = make_case(6)
    before = sparse.copy()
    clone(rule).fit(sparse, Y).predict(sparse)
    np.testing.assert_array_equal(sparse.data, before.data)
    np.testing.assert_array_equal(sparse.indices, before.indices)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_edges_nothing_stored_and_nothing_true(rule):
    nothing = sp.csr_array((3, 2))
    assert clone(rule).fit(nothing, nothing).predict(nothing).nnz == 0
    rule = clone(rule).fit([[0.2, 0.3], [0.2, 0.3]], np.zeros((2, 2), dtype=int))
    if rule._needs_labels:
        assert (np.asarray(rule.thresholds_) == np.inf).all()
    rule.predict(np.zeros((0, 2)))


@pytest.mark.parametrize("rule", [GlobalCut(), GlobalCut("micro_f1"), PerLabelCut()], ids=str)
@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (0.1, np.nextafter(0.1, 1)),
        (np.nextafter(0.1, 0), 0.1),
        (-1.7e308, 1.7e308),
        (1.6e308, 1.7e308),
        (0.0, 5e-324),
        (-5e-324, 0.0),
        (-1e300, 1e-300),
    ],
)
def test_cut_parts_neighbouring_floats(rule, lower, upper):
    scores = np.array([[lower], [upper]])
    np.testing.assert_array_equal(rule.fit(scores, [[0], [1]]).predict(scores), [[0], [1]])
    np.testing.assert_array_equal(rule.fit(scores, [[1], [1]]).predict(scores), [[1], [1]])


# Errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_common_errors(rule):
    Y, scores, *_ = make_case(7)
    with pytest.raises(NotFittedError):
        clone(rule).predict(scores)
    rule = clone(rule).fit(scores, Y)
    with pytest.raises(ValueError, match=rf"scores have 6 labels, but {type(rule).__name__} was fitted on 7"):
        rule.predict(scores[:, :6])
    broken = scores.copy()
    broken[2, 3] = np.nan
    for call in (lambda: clone(rule).fit(broken, Y), lambda: rule.predict(broken)):
        with pytest.raises(ValueError, match="NaN or infinity in row 2, label 3"):
            call()
    if rule._needs_labels:
        with pytest.raises(ValueError, match="Y has 24 rows but 25 were expected"):
            clone(rule).fit(scores, Y[:-1])
        with pytest.raises(ValueError, match="Y has 6 labels but 7 were expected"):
            clone(rule).fit(scores, Y[:, :6])
        with pytest.raises(ValueError, match=f"{type(rule).__name__} learns its cuts from labels; pass Y"):
            clone(rule).fit(scores)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (FixedCut(np.nan), "threshold must be a number"),
        (GlobalCut("accuracy"), "metric must be .*; got 'accuracy'"),
        (TopK(0), "k must be at least 1; got 0"),
        (PerLabelCut("zero"), "fallback must be .*; got 'zero'"),
        (PerLabelCut("top", fbr=1.5), r"fbr must be in \[0, 1\]; got 1.5"),
    ],
)
def test_parameters_out_of_range(rule, message):
    with pytest.raises(ValueError, match=message):
        rule.fit([[0.1, 0.2]], [[0, 1]])


def test_expected_f1_cut_refuses_logits():
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        ExpectedF1Cut().fit([[-1.0, 2.0]])
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        ExpectedF1Cut().fit([[0.1, 0.2]]).predict([[-1.0, 2.0]])


def test_a_new_rule_needs_one_method():
    class MeanCut(DecisionRule):
        _needs_labels = False

        def _fit(self, scores, Y):
            self.thresholds_ = scores.mean(axis=0)

    np.testing.assert_array_equal(MeanCut().fit([[0.0, 1.0], [1.0, 0.0]]).predict([[0.6, 0.4]]), [[1, 0]])
    with pytest.raises(NotImplementedError):
        DecisionRule().fit([[0.1]], [[1]])


# Size ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_large_sparse_scores_are_fitted_in_seconds_and_never_densified(rule):
    """45,000 rows by 4,271 labels with 50 scores a row; an array would take 1.5 GB in float64."""
    rng = np.random.default_rng(0)
    n_samples, n_labels, per_row = 45_000, 4_271, 50
    start = rng.integers(n_labels - 2 * per_row, size=(n_samples, 1))
    labels = (start + 2 * np.arange(per_row)).ravel()
    data = rng.random(len(labels), dtype=np.float32)
    scores = sp.csr_array((data, labels, np.arange(0, len(labels) + 1, per_row)), shape=(n_samples, n_labels))
    Y = sp.csr_array(((rng.random(len(labels)) < data**3).astype(np.float32), scores.indices, scores.indptr))
    Y.resize(scores.shape)
    tracemalloc.start()
    started = time.perf_counter()
    clone(rule).fit(scores, Y).predict(scores)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 5
    assert peak < 400e6
