"""The rules that wrap xCOLUMNs: what the package decides, unchanged, and nothing made dense on the way."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.metrics import macro_f1
from adathresh.rules import BlockCoordinateMacroF1, ExpectedF1Threshold, FrankWolfeMacroF1, RCut

pytest.importorskip(
    "xcolumns", reason='the package xcolumns is not installed: pip install "adathresh[xcolumns]"'
)


def make_probabilities(seed, n_samples=40, n_labels=6):
    """Calibrated probabilities without ties, labels drawn from them, frequent and rare labels."""
    rng = np.random.default_rng(seed)
    p = rng.random((n_samples, n_labels)) ** 2 * np.linspace(1, 0.2, n_labels)
    return p, (rng.random(p.shape) < p).astype(float)


def expected_macro_f1(p, predicted):
    return np.mean(2 * (p * predicted).sum(axis=0) / (p.sum(axis=0) + predicted.sum(axis=0) + 1e-12))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_block_coordinate_finds_a_set_that_no_change_of_one_row_improves(k):
    p, _ = make_probabilities(0)
    predicted = BlockCoordinateMacroF1(k).fit(p).predict(p)
    assert (predicted.sum(axis=1) == k).all()
    reached = expected_macro_f1(p, predicted)
    assert reached > expected_macro_f1(p, RCut(k).fit(p).predict(p))
    for row in range(len(p)):
        other = predicted.copy()
        for labels in combinations(range(p.shape[1]), k):
            other[row] = 0
            other[row, list(labels)] = 1
            assert expected_macro_f1(p, other) <= reached + 1e-6


@pytest.mark.parametrize("k", [1, 3])
def test_block_coordinate_is_that_of_the_package(k):
    from xcolumns.block_coordinate import predict_optimizing_macro_f1_score_using_bc

    p, _ = make_probabilities(1)
    theirs = predict_optimizing_macro_f1_score_using_bc(p.copy(), k, init_y_pred="top", seed=3)  # dense
    np.testing.assert_array_equal(BlockCoordinateMacroF1(k, random_state=3).fit(p).predict(p), theirs)


def test_block_coordinate_decides_about_the_batch():
    p = np.array([[0.9, 0.1], [0.8, 0.7]])
    rule = BlockCoordinateMacroF1(1).fit(p)
    np.testing.assert_array_equal(rule.predict(p), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(rule.predict(p[1:]), [[1, 0]])


def test_rows_with_fewer_pairs_than_the_budget_get_them_all(make_case):
    _, _, stored, sparse = make_case(0)
    predicted = BlockCoordinateMacroF1(4).fit(sparse).predict(sparse).toarray()
    np.testing.assert_array_equal(predicted.sum(axis=1), np.minimum(stored.sum(axis=1), 4))
    assert (predicted <= stored).all()


def test_without_a_budget_the_expected_f1_threshold_of_the_batch_is_the_better_search():
    from xcolumns.block_coordinate import predict_optimizing_macro_f1_score_using_bc

    for seed in range(5):
        p, _ = make_probabilities(seed)
        theirs = expected_macro_f1(p, predict_optimizing_macro_f1_score_using_bc(p.copy(), 0, seed=0))
        ours = expected_macro_f1(p, ExpectedF1Threshold().fit(p).predict(p))
        assert theirs - 1e-9 <= ours < theirs + 0.02


@pytest.mark.parametrize("k", [None, 2])
def test_frank_wolfe_is_that_of_the_package(k):
    from xcolumns.frank_wolfe import find_classifier_using_fw
    from xcolumns.metrics import macro_f1_score_on_conf_matrix

    p, Y = make_probabilities(2)
    rule = FrankWolfeMacroF1(k, random_state=5, n_steps=20).fit(p, Y)
    theirs = find_classifier_using_fw(
        sp.csr_matrix(Y),
        sp.csr_matrix(p),
        macro_f1_score_on_conf_matrix,
        k or 0,
        max_iters=20,
        init_classifier="top",
        search_for_best_alpha=False,
        skip_tn=True,
    )
    np.testing.assert_array_equal(rule.slopes_, theirs.a)
    np.testing.assert_array_equal(rule.predict(p), theirs.predict(sp.csr_matrix(p), seed=5).toarray())
    assert rule.weights_.sum() == pytest.approx(1, abs=1e-6)


def test_frank_wolfe_raises_macro_f1():
    p, Y = make_probabilities(3, n_samples=600)
    found = FrankWolfeMacroF1().fit(p[:300], Y[:300]).predict(p[300:])
    assert macro_f1(Y[300:], found) > 0.1 + macro_f1(Y[300:], (p[300:] > 0.5).astype(int))


def test_frank_wolfe_gives_each_row_its_budget_and_draws_anew_without_a_seed():
    p, Y = make_probabilities(4)
    rule = FrankWolfeMacroF1(2, random_state=None, n_steps=10).fit(p, Y)
    predicted = [rule.predict(p) for _ in range(20)]
    assert all((each.sum(axis=1) == 2).all() for each in predicted)
    assert any((each != predicted[0]).any() for each in predicted)


@pytest.mark.parametrize("rule", [BlockCoordinateMacroF1(), FrankWolfeMacroF1()], ids=str)
def test_logits_are_refused(rule):
    with pytest.raises(ValueError, match=r"scipy\.special\.expit"):
        rule.fit([[-1.0, 2.0]], [[0, 1]])


def test_frank_wolfe_needs_a_row():
    with pytest.raises(ValueError, match="at least one row; got none"):
        FrankWolfeMacroF1().fit(np.zeros((0, 2)), np.zeros((0, 2)))


@pytest.mark.parametrize(
    "rule",
    [BlockCoordinateMacroF1(2), FrankWolfeMacroF1(n_steps=3), FrankWolfeMacroF1(2, n_steps=3)],
    ids=str,
)
def test_nothing_is_made_dense(rule):
    n_samples, n_labels = 500, 200_000  # an array of float32 would take 400 MB
    rng = np.random.default_rng(0)
    labels = np.sort(rng.choice(n_labels, size=(n_samples, 5)), axis=1)
    scores = sp.csr_array(
        (rng.random(labels.size), labels.ravel(), np.arange(0, labels.size + 1, 5)),
        shape=(n_samples, n_labels),
    )
    scores.sum_duplicates()
    scores.data = np.minimum(scores.data, 1)
    rule.fit(scores, scores > 0.5).predict(scores)  # compiled, and its code loaded
    tracemalloc.start()
    rule.fit(scores, scores > 0.5).predict(scores)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


def test_the_skipped_examples_show_what_comes_out():
    rule = FrankWolfeMacroF1().fit([[0.2], [0.3], [0.9]], [[0], [1], [1]])
    np.testing.assert_array_equal(rule.predict([[0.1], [0.8]]), [[0], [1]])
    rule = BlockCoordinateMacroF1(k=1).fit([[0.9, 0.1]])
    np.testing.assert_array_equal(rule.predict([[0.9, 0.1], [0.8, 0.7]]), [[1, 0], [0, 1]])
