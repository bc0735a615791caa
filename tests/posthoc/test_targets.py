"""Thresholds for every target against brute force: Poisson sums, and every set that a threshold can make."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import poisson

from adathresh.posthoc.targets import (
    MICRO_WEIGHT,
    TARGETS,
    _Path,
    check_target,
    expected_f1,
    label_thresholds,
    uncovered_share,
)
from adathresh.rules import ExpectedF1Threshold

WITH_CUTS = [
    ("macro_f1", None),
    ("micro_f1", None),
    ("macro_micro_f1", None),
    ("macro_micro_f1", 0),
    ("precision", 0.7),
    ("label_precision", 0.7),
    ("cost", 2.0),
]


def summed_f1(a, g):
    """E[2T / (2T + S)] as a double sum over Poisson numbers."""
    t, s = np.arange(1, 200)[:, None], np.arange(400)[None, :]
    return float((2 * t / (2 * t + s) * poisson.pmf(t, a) * poisson.pmf(s, g)).sum())


def make_probabilities(seed, n_rows=200, n_labels=6):
    """Pairs of labels of falling frequency, one in four absent."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.3, 1.5, size=(n_rows, n_labels)) * 0.9 * 0.6 ** np.arange(n_labels)
    kept = rng.random(p.shape) < 0.75
    return sp.csr_array((p[kept], np.nonzero(kept)), shape=p.shape)


def thresholds_of(target, value, matrix, evaluation_rows=None, uncovered=0.0):
    """The thresholds for a CSR matrix of probabilities."""
    n_rows, n_labels = matrix.shape
    sizes = {"n_labels": n_labels, "n_rows": n_rows, "evaluation_rows": evaluation_rows or n_rows}
    return label_thresholds(target, value, matrix.indices, matrix.data, **sizes, uncovered=uncovered)


def one_label(target, value, p, **sizes):
    """The threshold for one label."""
    sizes = {"n_labels": 1, "n_rows": len(p), "evaluation_rows": len(p)} | sizes
    labels, p = np.zeros(len(p), dtype=int), np.asarray(p, dtype=float)
    return label_thresholds(target, value, labels, p, **sizes)[0]


@pytest.mark.parametrize("a", [0.01, 0.5, 3.0, 29.0])
@pytest.mark.parametrize("g", [0.0, 0.2, 4.0, 60.0])
def test_expected_f1_is_the_poisson_expectation(a, g):
    (value,), (by_true,), (by_other,) = expected_f1([a], [g])
    assert value == pytest.approx(summed_f1(a, g), abs=1e-10)
    h = 1e-4 * a
    slope = (summed_f1(a + h, g) - summed_f1(a - h, g)) / (2 * h)
    assert by_true == pytest.approx(slope, rel=1e-5, abs=1e-9)
    h = 1e-4
    slope = (summed_f1(a, g + h) - summed_f1(a, g)) / h
    assert by_other == pytest.approx(slope, rel=1e-3, abs=1e-8)


def test_expected_f1_tends_to_the_quotient_of_expectations():
    a = np.array([3.0, 10.0, 30.0, 100.0])
    error = np.abs(expected_f1(a, 0.8 * a)[0] - 2 / 2.8)
    assert (np.diff(error) < 0).all()
    assert error[-1] < 1e-3


def test_macro_threshold_is_half_the_greatest_f1_where_many_positives_are_expected():
    matrix = make_probabilities(0)
    expected = ExpectedF1Threshold().fit(matrix).thresholds_
    np.testing.assert_allclose(
        thresholds_of("macro_micro_f1", 0, matrix, evaluation_rows=1e9), expected, rtol=1e-12
    )
    few = thresholds_of("macro_micro_f1", 0, matrix, evaluation_rows=20)
    assert (np.abs(few - expected) > 0.01).any()  # and only there


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_macro_threshold_for_few_rows_makes_the_best_of_all_sets(scale):
    same, worst = 0, 1.0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = np.sort(rng.random(rng.integers(1, 10)) ** rng.integers(1, 5))[::-1]
        threshold = one_label("macro_micro_f1", 0, p, n_rows=50, evaluation_rows=50 * scale)
        f1 = [
            summed_f1(scale * p[:m].sum(), scale * (m - p[:m].sum() + p[m:].sum()))
            for m in range(1, len(p) + 1)
        ]
        chosen = (p > threshold).sum()
        assert chosen > 0
        same += chosen == np.argmax(f1) + 1
        worst = min(worst, f1[chosen - 1] / max(f1))
    # the threshold is that of a further pair of vanishing weight; a whole one may tip over where sets are as
    # good
    assert same >= 36
    assert worst > 0.98


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0])
@pytest.mark.parametrize("n_pairs", [60, 600])
def test_no_set_is_left_out_of_the_search_for_the_best(n_pairs, spread, scale):
    """Where all probabilities are alike, or the rows are very few, it is best to predict a lot."""
    p = 0.04 * np.sort(np.random.default_rng(0).random(n_pairs) ** spread)[::-1]
    true, m = np.cumsum(p), np.arange(1, n_pairs + 1)
    f1, by_true, by_other = expected_f1(scale * true, scale * (m + p.sum() - 2 * true))
    best = np.argmax(f1)
    threshold = one_label("macro_micro_f1", 0, p, n_rows=1000, evaluation_rows=1000 * scale)
    assert threshold == pytest.approx(-by_other[best] / (by_true[best] - 2 * by_other[best]), rel=1e-9)


def test_fewer_rows_lower_the_threshold_of_a_rare_label():
    p = np.linspace(0.02, 0.6, 30) ** 2
    thresholds = [one_label("macro_f1", None, p, evaluation_rows=n) for n in (1e6, 100, 10, 1)]
    assert (np.diff(thresholds) < 0).all()


def test_micro_threshold_is_one_and_the_best():
    matrix = make_probabilities(1)
    thresholds = thresholds_of("micro_f1", None, matrix)
    assert len(set(thresholds)) == 1

    def micro(threshold):
        above = matrix.data > threshold
        return 2 * matrix.data[above].sum() / (above.sum() + matrix.data.sum())

    assert micro(thresholds[0]) == pytest.approx(
        max(micro(threshold) for threshold in np.r_[0, matrix.data]), rel=1e-12
    )
    assert thresholds[0] == pytest.approx(micro(thresholds[0]) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_start_from_micro_f1_is_the_best_single_threshold(seed):
    matrix = make_probabilities(seed)
    rng = np.random.default_rng(seed)
    weight, uncovered = rng.integers(1, 4, matrix.nnz).astype(float), rng.random(6)
    p, total = matrix.data, (weight * matrix.data).sum() + uncovered.sum()
    reached = []
    for threshold in p:
        above = p >= threshold
        both = weight[above].sum() + total
        reached.append((2 * (weight * p)[above].sum() / both, both))
    found = _Path(matrix.indices, p, 6, uncovered, weight).best_micro()
    assert found == pytest.approx(max(reached), rel=1e-12)


def objective(matrix, thresholds, weight=1.0, uncovered=0.0):
    """Expected macro-F1, by Poisson sums, plus weighted expected micro-F1."""
    p, above = matrix.toarray(), matrix.toarray() > thresholds
    true, both = (p * above).sum(axis=0), above.sum(axis=0) + p.sum(axis=0) + uncovered
    f1 = [summed_f1(t, b - 2 * t) for t, b in zip(true, both, strict=True)]
    return np.mean(f1) + weight * 2 * true.sum() / both.sum()


@pytest.mark.parametrize("seed", range(6))
def test_macro_and_micro_is_better_than_either_alone(seed):
    matrix = make_probabilities(seed)
    macro, micro, both = (
        objective(matrix, thresholds_of(target, value, matrix))
        for target, value in (("macro_micro_f1", 0), ("micro_f1", None), ("macro_micro_f1", None))
    )
    assert both >= micro - 1e-3
    assert both > macro


@pytest.mark.parametrize("seed", range(6))
def test_the_weight_of_micro_f1(seed):
    matrix, weights = make_probabilities(seed), (0, 0.01, 0.1, 0.2, 1, 10)
    thresholds = {weight: thresholds_of("macro_micro_f1", weight, matrix) for weight in weights}
    for weight in weights:
        reached = {other: objective(matrix, thresholds[other], weight) for other in weights}
        # the rounds may end at what is best nearby only
        assert reached[weight] >= max(reached.values()) - 5e-4 * max(1, weight)
        assert reached[weight] >= reached[0] - 1e-9
    np.testing.assert_array_equal(thresholds[1], thresholds_of("macro_micro_f1", None, matrix))
    np.testing.assert_array_equal(thresholds[MICRO_WEIGHT], thresholds_of("macro_f1", None, matrix))
    assert (
        objective(matrix, thresholds[MICRO_WEIGHT], 0) >= objective(matrix, thresholds[0], 0) - MICRO_WEIGHT
    )


def test_macro_f1_does_not_spend_pairs_on_labels_that_nothing_is_known_about():
    rng = np.random.default_rng(0)
    little = rng.uniform(0.0005, 0.0006, size=(1000, 3))
    p = np.column_stack([rng.random((1000, 4)) ** 4, little])
    matrix = sp.csr_array(p)
    alone, thresholds = thresholds_of("macro_micro_f1", 0, matrix), thresholds_of("macro_f1", None, matrix)
    assert ((little > alone[4:]).mean(axis=0) > 0.1).all()
    assert not (little > thresholds[4:]).any()
    assert ((p[:, :4] > alone[:4]) == (p[:, :4] > thresholds[:4])).mean() > 0.99


@pytest.mark.parametrize(("target", "value"), [("macro_f1", None), ("macro_micro_f1", 1)])
def test_a_new_row_may_get_a_label_that_none_of_these_is_worth(target, value):
    rng = np.random.default_rng(0)
    p = np.column_stack([rng.random((500, 3)) ** 4, rng.uniform(1e-5, 2e-5, size=500)])
    *others, threshold = thresholds_of(target, value, sp.csr_array(p))
    assert p[:, 3].max() < threshold < 0.1
    weight = MICRO_WEIGHT if value is None else value
    for probability, pays in ((threshold / 3, False), (3 * threshold, True)):
        more = sp.csr_array(np.vstack([p, [0, 0, 0, probability]]))
        without, with_it = (objective(more, [*others, last], weight) for last in (1, probability - 1e-9))
        assert (with_it > without) == pays


# Positives that no threshold finds


def test_uncovered_positives_by_hand():
    p, uncovered, many = np.array([0.9, 0.5, 0.3]), 1.3, {"evaluation_rows": 1e9}
    # 1.8 / 2.7, 2.8 / 3.7 and 3.4 / 4.7 if 1, 2 and 3 pairs are predicted; with the others
    # 1.8 / 4, 2.8 / 5 and 3.4 / 6
    assert one_label("macro_micro_f1", 0, p, **many) == pytest.approx(2.8 / 3.7 / 2)
    assert one_label("macro_micro_f1", 0, p, **many, uncovered=uncovered) == pytest.approx(3.4 / 6 / 2)
    assert one_label("micro_f1", None, p, uncovered=[uncovered]) == pytest.approx(3.4 / 6 / 2)
    # micro-F1 takes all labels together
    two = label_thresholds(
        "micro_f1", None, np.array([0, 1, 0]), p, n_labels=2, n_rows=3, uncovered=[1, 0.3], **many
    )
    np.testing.assert_allclose(two, 3.4 / 6 / 2)


def test_uncovered_positives_on_few_rows_by_hand():
    """One pair of probability 0.6 and 0.8 positives elsewhere: a = 0.6, g = 0.4 + 0.8."""
    (_,), (by_true,), (by_other,) = expected_f1([0.6], [1.2])
    found = one_label("macro_micro_f1", 0, [0.6], uncovered=0.8)
    assert found == pytest.approx(-by_other / (by_true - 2 * by_other))
    assert found < one_label("macro_micro_f1", 0, [0.6]) - 0.01


def test_uncovered_positives_of_macro_and_micro_by_hand():
    """Macro-F1 alone predicts two pairs of label 1, micro-F1 alone none of them, both together one.

    Label 0: 10 pairs of 0.9; label 1: 0.3 and 0.04, and 1 positive elsewhere.
    """
    labels, p = np.repeat([0, 1], [10, 2]), np.r_[np.full(10, 0.9), 0.3, 0.04]

    def chosen(target, value):
        sizes = {"n_labels": 2, "n_rows": 12, "evaluation_rows": 1e9, "uncovered": [0, 1]}
        thresholds = label_thresholds(target, value, labels, p, **sizes)
        return np.bincount(labels[p > thresholds[labels]], minlength=2).tolist()

    # quotients of label 1: 0.6 / 2.34 = .2564 with one pair, 0.68 / 3.34 = .2036 with both;
    # micro-F1: 18 / 20.34 = .885 with none of them, 18.6 / 21.34 = .872 with one, 18.68 / 22.34 = .836
    assert chosen("macro_micro_f1", 0) == [10, 1]
    assert chosen("micro_f1", None) == [10, 0]
    assert chosen("macro_micro_f1", 1) == [10, 1]  # .1282 more macro-F1 for .0133 less micro-F1
    assert chosen("macro_micro_f1", 20) == [10, 0]


@pytest.mark.parametrize("evaluation_rows", [40, 200, 10_000])
@pytest.mark.parametrize(("target", "value"), WITH_CUTS)
def test_uncovered_positives_count_as_pairs_that_are_never_predicted(target, value, evaluation_rows):
    matrix = make_probabilities(5)
    uncovered = np.array([20.0, 0.0, 0.3, 5.0, 0.01, 2.0])
    # in the limit: 30,000 pairs of tiny probability for each label
    n_more = 30_000
    labels = np.r_[matrix.indices, np.repeat(np.arange(6), n_more)]
    p = np.r_[matrix.data, np.repeat(uncovered / n_more, n_more)]
    sizes = {"n_labels": 6, "n_rows": 200, "evaluation_rows": evaluation_rows}
    with_pairs = label_thresholds(target, value, labels, p, **sizes)
    found = thresholds_of(target, value, matrix, evaluation_rows, uncovered)
    np.testing.assert_allclose(found, with_pairs, rtol=1e-9)
    assert (with_pairs > uncovered / n_more).all()
    without = thresholds_of(target, value, matrix, evaluation_rows)
    if target in ("precision", "label_precision", "cost"):  # which ask for nothing outside the pairs
        np.testing.assert_array_equal(found, without)
    else:
        assert found[0] < 0.95 * without[0]


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0, 0.2, 1, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_sets_beside_uncovered_positives(seed, weight):
    """Every number of predicted pairs of three labels."""
    rng = np.random.default_rng(seed)
    p, uncovered = rng.random((5, 3)) ** 3 * [1.0, 0.6, 0.3], rng.random(3) * [3, 1, 1]
    matrix = sp.csr_array(p)
    found = thresholds_of("macro_micro_f1", weight, matrix, uncovered=uncovered)
    falling = -np.sort(-p, axis=0)
    edges = np.vstack([np.full(3, 2.0), falling - 1e-9])
    best = max(
        objective(matrix, [edges[i, 0], edges[j, 1], edges[k, 2]], weight, uncovered)
        for i in range(6)
        for j in range(6)
        for k in range(6)
    )
    reached = objective(matrix, found, weight, uncovered)
    assert reached >= best - 0.003 * (1 + weight)


@pytest.mark.parametrize(("target", "value"), WITH_CUTS)
def test_a_label_whose_positives_are_all_uncovered(target, value):
    """No pair of it was seen: where labels have thresholds of their own, it is never predicted."""
    matrix = make_probabilities(0)
    matrix.resize(200, 7)
    found = thresholds_of(target, value, matrix, uncovered=np.r_[np.zeros(6), 3.0])
    own = target.startswith("macro") or target == "label_precision"
    assert np.isinf(found[6]) == own
    assert np.isfinite(found[0])
    none = thresholds_of(target, value, sp.csr_array((5, 3)), uncovered=np.ones(3))
    assert (none == (2 / 3 if target == "cost" else np.inf)).all()


def test_uncovered_share_by_hand():
    """Labels with 0, with 1, with 2 or 3, and with 4 to 7 positives."""
    positives = np.array([0, 1, 1, 1, 2, 3, 3, 4, 7, 8])
    covered = np.array([0, 1, 0, 1, 2, 0, 2, 4, 0, 8])
    expected = [0, 1 / 3, 1 / 3, 1 / 3, 4 / 8, 4 / 8, 4 / 8, 7 / 11, 7 / 11, 0]
    np.testing.assert_allclose(uncovered_share(positives, covered), expected)


@pytest.mark.filterwarnings("error")
def test_a_single_positive_may_be_uncovered():
    assert uncovered_share(np.array([0, 1]), np.array([0, 0])).tolist() == [0, 1]
    assert uncovered_share(np.array([0.5, 0]), np.array([0.25, 0])).tolist() == [0.5, 0]


def test_uncovered_share_against_a_loop():
    rng = np.random.default_rng(0)
    positives = rng.geometric(0.02, 300) - 1
    covered = rng.binomial(positives, 0.7)
    found = uncovered_share(positives, covered)
    for label, n in enumerate(positives):
        alike = [i for i, other in enumerate(positives) if int(other).bit_length() == int(n).bit_length()]
        total = sum(positives[alike])
        expected = (total - sum(covered[alike])) / total if total else 0
        assert found[label] == pytest.approx(expected)
    # what is estimated to be missing is missing, all in all
    assert (positives * found).sum() == pytest.approx((positives - covered).sum())
    assert uncovered_share(np.zeros(3, dtype=int), np.zeros(3, dtype=int)).tolist() == [0, 0, 0]


# Weights of rows


def weighted(target, value, matrix, times, evaluation_rows=None, uncovered=0.0):
    """The thresholds where every row has a weight."""
    sizes = {"n_labels": matrix.shape[1], "n_rows": times.sum(), "uncovered": uncovered}
    weight = np.repeat(times, np.diff(matrix.indptr))
    rows = evaluation_rows or times.sum()
    return label_thresholds(
        target, value, matrix.indices, matrix.data, **sizes, evaluation_rows=rows, weight=weight
    )


@pytest.mark.parametrize(("target", "value"), [case for case in WITH_CUTS if "macro" not in case[0]])
def test_a_row_of_weight_two_is_two_rows(target, value):
    matrix, times = make_probabilities(6), np.random.default_rng(0).integers(0, 4, 200)
    uncovered = np.arange(6) / 3
    repeated = matrix[np.repeat(np.arange(200), times)]
    found = weighted(target, value, matrix, times, uncovered=uncovered)
    np.testing.assert_allclose(found, thresholds_of(target, value, repeated, uncovered=uncovered), rtol=1e-9)
    if target != "cost":
        assert (found != thresholds_of(target, value, matrix, uncovered=uncovered)).any()


@pytest.mark.parametrize("scale", [0.2, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_macro_threshold_of_weights_against_every_set_that_parts_no_copies(seed, scale):
    rng = np.random.default_rng(seed)
    p, times, u = np.sort(rng.random(30) ** 4)[::-1], rng.integers(0, 4, 30) / 2, 0.7
    true, m, total = np.cumsum(times * p), np.cumsum(times), (times * p).sum() + u
    if scale > 1000:
        f1, best = 2 * true / (m + total), np.argmax(2 * true / (m + total))
        expected = f1[best] / 2
    else:
        f1, by_true, by_other = expected_f1(scale * true, scale * (m + total - 2 * true))
        best = np.argmax(f1)
        expected = -by_other[best] / (by_true[best] - 2 * by_other[best])
    found = weighted("macro_micro_f1", 0, sp.csr_array(p[:, None]), times, scale * times.sum(), uncovered=u)
    assert found[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("target", "value"), WITH_CUTS)
def test_rows_of_weight_two_on_as_many_rows_are_rows_on_twice_as_many(target, value):
    matrix, uncovered = make_probabilities(7), np.array([0, 3.0, 0.1, 1, 0, 2])
    found = weighted(target, value, matrix, np.full(200, 2.0), uncovered=2 * uncovered)
    expected = thresholds_of(target, value, matrix, evaluation_rows=400, uncovered=uncovered)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("target", "value"), WITH_CUTS)
def test_a_row_without_weight_is_none(target, value):
    matrix, kept = make_probabilities(8), np.random.default_rng(0).random(200) < 0.6
    found = weighted(target, value, matrix, kept.astype(float))
    np.testing.assert_array_equal(found, thresholds_of(target, value, matrix[kept]))
    np.testing.assert_array_equal(
        weighted(target, value, matrix, np.ones(200)), thresholds_of(target, value, matrix)
    )


def test_weights_below_one_share_an_estimate_of_the_uncovered():
    positives = np.array([0, 0.1, 0.4, 0.9, 1.0, 1.9, 2.0])
    covered = np.array([0, 0.1, 0.1, 0.5, 0.5, 1.9, 0])
    expected = [0, 0.5, 0.5, 0.5, 0.5 / 2.9, 0.5 / 2.9, 1]
    np.testing.assert_allclose(uncovered_share(positives, covered), expected)


def check_precision(p, threshold, value):
    """What exceeds the threshold is as precise as asked, and one more run of equal pairs would not be."""
    p = np.sort(p)[::-1]
    chosen = (p > threshold).sum()
    if chosen:
        assert p[:chosen].mean() >= value - 1e-9
    if chosen < len(p):
        more = (p >= p[chosen]).sum()
        assert p[:more].mean() < value


@pytest.mark.parametrize("value", [0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_precision_is_reached_and_no_more_pairs_could_be(value, decimals):
    matrix = make_probabilities(2)
    matrix.data = np.round(matrix.data, decimals)
    thresholds = thresholds_of("precision", value, matrix)
    assert len(set(thresholds)) == 1
    check_precision(matrix.data, thresholds[0], value)
    thresholds = thresholds_of("label_precision", value, matrix)
    assert len(set(thresholds)) > 1 or value >= 0.9
    for label, threshold in enumerate(thresholds):
        check_precision(matrix.data[matrix.indices == label], threshold, value)


def test_precision_by_hand():
    assert 0.6 < one_label("precision", 0.75, [0.9, 0.6, 0.6, 0.1]) < 0.9  # 0.9; with both ties 0.7
    assert 0.1 < one_label("precision", 0.7, [0.9, 0.6, 0.6, 0.1]) < 0.6
    assert one_label("precision", 0.95, [0.9, 0.6]) == np.inf
    assert one_label("precision", 0.8, [0.9, 0.9, 0.2, 0.2]) < 0.9
    assert one_label("precision", 0.85, [0.8, 0.9, 0.8]) == pytest.approx(0.85)
    assert 0.49 < one_label("precision", 0.5, [0.5, 0.5]) < 0.5


def test_precision_thresholds_survive_rounding():
    """A threshold lies clear of the probabilities that it parts: they may be computed anew as logits."""
    for p, value in (([0.9, 0.7, 0.2, 0.1], 0.8), ([0.9, 0.3, 0.3, 0.1], 0.6), ([0.9, 0.8], 0.7)):
        threshold = one_label("precision", value, p)
        assert np.abs(np.array(p) / threshold - 1).min() > 1e-10


def test_cost_thresholds_where_either_error_costs_as_much():
    matrix = make_probabilities(0)
    np.testing.assert_array_equal(thresholds_of("cost", 0.25, matrix), np.full(6, 0.2))
    p, cost = 0.31, 3.0
    threshold = one_label("cost", cost, [p])
    assert (p > threshold) == (p * 1 > (1 - p) * cost)
    assert one_label("cost", p / (1 - p) * 0.999, [p]) < p < one_label("cost", p / (1 - p) * 1.001, [p])


@pytest.mark.parametrize("costs", [[0.25, 4, 1], (0.25, 4.0, 1), np.array([0.25, 4, 1])])
def test_a_cost_for_each_label(costs):
    found = label_thresholds(
        "cost", costs, np.array([0]), np.array([0.5]), n_labels=3, n_rows=1, evaluation_rows=1
    )
    assert found.tolist() == [0.2, 0.8, 0.5]


@pytest.mark.parametrize(("target", "value"), WITH_CUTS)
def test_order_does_not_matter(target, value):
    matrix = make_probabilities(3)
    order = np.random.default_rng(0).permutation(matrix.nnz)
    sizes = {"n_labels": 6, "n_rows": 200, "evaluation_rows": 200}
    shuffled = label_thresholds(target, value, matrix.indices[order], matrix.data[order], **sizes)
    np.testing.assert_allclose(shuffled, thresholds_of(target, value, matrix), rtol=1e-9)


@pytest.mark.parametrize(("target", "value"), [("macro_micro_f1", 0), ("label_precision", 0.5)])
def test_labels_do_not_touch_each_other(target, value):
    matrix = make_probabilities(4)
    thresholds = thresholds_of(target, value, matrix)
    for label in range(6):
        p = matrix.data[matrix.indices == label]
        assert thresholds[label] == pytest.approx(
            one_label(target, value, p, n_rows=200, evaluation_rows=200)
        )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("target", "value"), WITH_CUTS)
def test_a_label_without_pairs_and_no_pairs_at_all(target, value):
    matrix = make_probabilities(0)
    wider = matrix.copy()
    wider.resize(200, 8)
    thresholds = thresholds_of(target, value, wider)
    if target.startswith("macro") or target == "label_precision":
        assert (thresholds[6:] == np.inf).all()
    if (target, value) == ("macro_micro_f1", 0) or target == "label_precision":
        np.testing.assert_array_equal(thresholds[:6], thresholds_of(target, value, matrix))
    else:
        assert not np.isnan(thresholds).any()
    none = thresholds_of(target, value, sp.csr_array((5, 3)))
    assert none.shape == (3,)
    assert (none == (2 / 3 if target == "cost" else np.inf)).all()


@pytest.mark.parametrize("target", ["macro_f1", "micro_f1"])
def test_equal_probabilities_are_predicted_together(target):
    assert one_label(target, None, [0.3] * 7) < 0.3
    assert 0.01 < one_label(target, None, [0.9, 0.9, 0.01, 0.01]) < 0.9


@pytest.mark.parametrize(("target", "meant"), [("macrof1", "macro_f1"), ("precison", "precision")])
def test_a_misspelt_target_is_answered_by_what_was_meant(target, meant):
    with pytest.raises(ValueError, match=rf"got '{target}'\. Did you mean '{meant}'"):
        check_target(target, None)


@pytest.mark.parametrize("target", TARGETS)
def test_check_target_accepts(target):
    value = {"precision": 1, "label_precision": 0.5, "budget": 3, "cost": 0.1}.get(target)
    check_target(target, value, n_labels=3)
    if target == "cost":
        check_target(target, np.array([0.1, 1, 7]), n_labels=3)


@pytest.mark.parametrize(
    ("target", "value", "confidence"),
    [
        ("budget", 1, None),
        ("macro_micro_f1", 0, None),
        ("macro_micro_f1", 1e-9, None),
        ("precision", 0.9, 0.9),
        ("label_precision", 0.9, 0.9),
    ],
)
def test_check_target_accepts_what_is_just_in_range(target, value, confidence):
    check_target(target, value, confidence)


@pytest.mark.parametrize(
    ("target", "value", "message"),
    [
        ("macro_f1", None, "takes no confidence; only precision and label_precision can be guaranteed"),
        ("cost", 1.0, "target 'cost' takes no confidence"),
        ("precision", 1, "No number of rows can guarantee a precision of 1; lower target_value"),
        ("label_precision", 1.0, "No number of rows can guarantee a precision of 1"),
    ],
)
def test_check_target_refuses_a_confidence(target, value, message):
    with pytest.raises(ValueError, match=message):
        check_target(target, value, 0.9)


@pytest.mark.parametrize(
    ("target", "value", "message"),
    [
        ("f1", None, "target must be one of macro_f1, micro_f1, .*; got 'f1'"),
        ("macro_f1", 0.5, "takes no target_value; got 0.5"),
        ("micro_f1", 0, "takes no target_value"),
        ("macro_micro_f1", -0.1, "must be the weight of micro-F1 .* at least 0 .*; got -0.1"),
        ("macro_micro_f1", np.inf, "got inf"),
        ("macro_micro_f1", np.nan, "got nan"),
        ("precision", None, "needs target_value: the precision to reach"),
        ("label_precision", None, "needs target_value: the precision that every label"),
        ("budget", None, "needs target_value: the greatest number of labels a row"),
        ("cost", None, "needs target_value: the cost of a false positive"),
        ("precision", 0, r"must be the precision to reach, in \(0, 1\]; got 0"),
        ("precision", 1.01, "got 1.01"),
        ("precision", np.nan, "got nan"),
        ("label_precision", -0.5, "got -0.5"),
        ("budget", 0, "at least 1; got 0"),
        ("budget", 2.5, "got 2.5"),
        ("budget", np.inf, "got inf"),
        ("budget", np.nan, "got nan"),
        ("cost", 0, "greater than 0; got 0"),
        ("cost", -1, "got -1"),
        ("cost", np.inf, "got inf"),
        ("cost", np.nan, "got nan"),
        ("cost", [1, 2, 0], "one for each label, in units .* greater than 0; got 0.0 for label 2"),
        ("cost", np.array([1, np.inf, np.nan]), "got inf for label 1"),
        ("cost", [1, 2], "holds 2 costs but Y has 3 labels; give one number, or one for each label"),
        ("cost", [1.0], "holds 1 costs but Y has 3 labels"),
        ("precision", [0.5, 0.6, 0.7], r"must be the precision to reach.*; got \[0.5"),
        ("budget", np.array([1, 2, 3]), "must be the greatest number of labels a row.*; got array"),
        ("macro_micro_f1", [1, 1, 1], "must be the weight of micro-F1"),
        ("macro_f1", [1, 1, 1], "takes no target_value"),
    ],
)
def test_check_target_refuses(target, value, message):
    with pytest.raises(ValueError, match=message):
        check_target(target, value, n_labels=3)
