"""Guaranteed precision: how many redraws fall short of it, what it must not rest on, and loops."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit
from scipy.stats import binom, binomtest

from adathresh.posthoc.guarantee import (
    HeldRows,
    _order,
    _Path,
    _Test,
    betting_p_value,
    binomial_p_value,
    guaranteed_label_thresholds,
    guaranteed_threshold,
    least_predicted,
)
from adathresh.posthoc.targets import label_thresholds

PRECISION, CONFIDENCE, REDRAWS = 0.9, 0.9, 1000
ASKED = {"precision": PRECISION, "confidence": CONFIDENCE}
# So many of the redraws fail with a probability of one in a thousand if each fails with 1 − confidence.
MOST_FAILURES = binom.ppf(0.999, REDRAWS, 1 - CONFIDENCE)


def full(p):
    """CSR with every pair stored."""
    n, m = p.shape
    return sp.csr_array((p.ravel(), np.tile(np.arange(m), n), np.arange(0, n * m + 1, m)), shape=p.shape)


def held_rows(p, truth, units=None):
    return HeldRows(full(p), truth.ravel(), np.arange(len(p)) if units is None else units)


def places_of(p):
    """How many pairs of the row are as probable or more."""
    return (p[:, None, :] >= p[:, :, None]).sum(axis=2)


class Population:
    """Rows whose labels depend on each other by an effect of the row; they are claimed too probable."""

    def __init__(self, n_labels, *, too_high=0.2, effect=1.0):
        self.n_labels, self.too_high, self.effect = n_labels, too_high, effect
        p, truth = self.draw(np.random.default_rng(12345), 100_000)
        order = np.argsort(-p.ravel())
        self.p, place = p.ravel()[order], places_of(p).ravel()[order]
        truth = truth.ravel()[order]
        self.counts = [np.cumsum(place <= limit) for limit in range(n_labels + 1)]
        self.right = [np.cumsum(truth & (place <= limit)) for limit in range(n_labels + 1)]

    def draw(self, rng, n):
        z = rng.normal(-3, 4, size=(n, self.n_labels))
        row = rng.normal(0, self.effect, size=(n, 1))
        return expit(z), rng.random(z.shape) < expit(z + row - self.too_high)

    def of(self, threshold, limit):
        """Return precision, and predicted pairs, of all rows."""
        limit, at = min(limit, self.n_labels), np.searchsorted(-self.p, -threshold) - 1
        n = self.counts[limit][at] if at >= 0 else 0
        return (self.right[limit][at] / n if n else 1.0), n

    def most(self):
        """Return the greatest number of pairs that one threshold predicts precisely enough."""
        return np.flatnonzero(self.right[-1] >= PRECISION * self.counts[-1])[-1] + 1


def shares(population, n, *, choose=None, redraws=REDRAWS):
    """Return how many redraws fall short of the precision, and the mean coverage as a share of the best."""
    rng, failures, coverage = np.random.default_rng(0), 0, 0.0
    for _ in range(redraws):
        (fitted, of_fitted), (p, truth) = population.draw(rng, n), population.draw(rng, n)
        if choose is None:
            found = guaranteed_threshold(full(fitted), held_rows(p, truth), **ASKED)[:2]
        else:
            found = choose(fitted, of_fitted), population.n_labels
        reached, n_predicted = population.of(*found)
        failures += reached < PRECISION
        coverage += n_predicted / redraws
    return failures, coverage / population.most()


# The confidence, by redraws


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_labels", "n", "effect", "least_coverage"),
    [(1, 1000, 0.0, 0.6), (5, 400, 1.0, 0.35), (5, 1000, 1.0, 0.65), (12, 300, 1.0, 0.65)],
)
def test_the_confidence_holds_and_much_of_the_best_is_predicted(n_labels, n, effect, least_coverage):
    failures, coverage = shares(Population(n_labels, effect=effect), n)
    assert failures <= MOST_FAILURES
    assert coverage > least_coverage


@pytest.mark.slow
def test_thresholds_that_expect_or_have_seen_their_rows_fall_short():
    """The same redraws tell what no guarantee is."""
    population = Population(5)

    def expected(fitted, _):
        labels, rows = (
            np.tile(np.arange(5), len(fitted)),
            {"n_rows": len(fitted), "evaluation_rows": len(fitted)},
        )
        return label_thresholds("precision", PRECISION, labels, fitted.ravel(), n_labels=5, **rows)[0]

    def tested_on_fitted_rows(fitted, truth):
        overfitted = expit(np.log(fitted / (1 - fitted)) + 2 * truth - 1)  # as a model knows its own rows
        return guaranteed_threshold(full(fitted), held_rows(overfitted, truth), **ASKED).threshold

    for choose in (expected, tested_on_fitted_rows):
        failures, _ = shares(population, 400, choose=choose, redraws=100)
        assert failures > 50


def flat(rng, n, n_labels, n_rows_alike):
    """Labels of which a share just below the precision is right, whatever their probability.

    All labels of so many rows are right, or wrong, together.
    """
    p = np.repeat(rng.uniform(0.92, 1, size=(n // n_rows_alike, n_labels)), n_rows_alike, axis=0)
    right = rng.random(n // n_rows_alike) < PRECISION - 1e-4
    return p, np.repeat(right, n_rows_alike)[:, None] & np.ones(n_labels, dtype=bool)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "n_labels", "n_rows_alike", "grouped", "holds"),
    [
        (200, 1, 1, False, True),  # independent pairs: the binomial test is nearly exact
        (200, 4, 1, False, True),  # labels of a row are right or wrong together
        (399, 1, 3, True, True),  # rows of a group are
        (399, 2, 3, True, True),
        (399, 1, 3, False, False),  # where nothing says that rows depend on each other, the test fails
    ],
)
def test_the_confidence_holds_where_pairs_depend_on_each_other(n, n_labels, n_rows_alike, grouped, holds):
    rng, passed = np.random.default_rng(0), 0
    units = np.repeat(np.arange(n // n_rows_alike), n_rows_alike) if grouped else None
    for _ in range(REDRAWS):
        p, truth = flat(rng, n, n_labels, n_rows_alike)
        found = guaranteed_threshold(full(p[::n_rows_alike]), held_rows(p, truth, units), **ASKED)
        passed += np.isfinite(found.threshold)
    assert (passed <= MOST_FAILURES) == holds
    assert passed > REDRAWS * 0.005  # and not because nothing ever passes


@pytest.mark.slow
def test_the_confidence_of_each_label():
    """Labels of different frequency and precision: each fails in at most so many redraws."""
    rng, shift = np.random.default_rng(0), np.array([-1.0, -2.0, -3.0, -5.0])
    failures, passed = np.zeros(4), np.zeros(4)

    def draw(n):
        z, row = rng.normal(shift, 3, size=(n, 4)), rng.normal(0, 1, size=(n, 1))
        return expit(z), rng.random(z.shape) < expit(z + row - 0.3)

    p, truth = draw(100_000)
    order = np.argsort(-p, axis=0)
    p = np.take_along_axis(p, order, axis=0)
    reached = np.cumsum(np.take_along_axis(truth, order, axis=0), axis=0) / np.arange(1, 100_001)[:, None]
    for _ in range(REDRAWS):
        (fitted, _), new = draw(400), held_rows(*draw(400))
        for label, found in enumerate(guaranteed_label_thresholds(full(fitted), new, **ASKED)):
            above = np.searchsorted(-p[:, label], -found.threshold)
            failures[label] += above > 0 and reached[above - 1, label] < PRECISION
            passed[label] += above > 0
    assert (failures <= MOST_FAILURES).all()
    assert passed[0] > 0.3 * REDRAWS  # a common label is often guaranteed
    assert passed[3] < 0.05 * REDRAWS  # a rare one hardly ever


# The tests of single thresholds


@pytest.mark.parametrize(("n_right", "n_predicted"), [(0, 3), (20, 22), (22, 22), (95, 100)])
def test_binomial_p_value(n_right, n_predicted):
    expected = binomtest(n_right, n_predicted, 0.9, alternative="greater").pvalue
    assert binomial_p_value(n_right, n_predicted, 0.9) == pytest.approx(expected)


def naive_betting(gains, lowest, level):
    wealth, greatest, squares = 1.0, 1.0, [0.25 * lowest**2]
    for gain in gains:
        bet = min(np.sqrt(2 * np.log(1 / level) / (len(gains) * np.mean(squares))), 0.9 / -lowest)
        wealth *= 1 + bet * gain
        greatest = max(greatest, wealth)
        squares.append(gain**2)
    return 1 / greatest


@pytest.mark.parametrize("seed", range(5))
def test_betting_p_value_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    gains = rng.choice([-1.8, -0.9, 0.1, 0.2], size=rng.integers(1, 200), p=[0.01, 0.04, 0.55, 0.4])
    assert betting_p_value(gains, lowest=-1.8, level=0.05) == pytest.approx(naive_betting(gains, -1.8, 0.05))


@pytest.mark.parametrize("level", [0.01, 0.1, 0.5])
def test_betting_p_value_of_worthless_gains_is_rarely_low(level):
    rng = np.random.default_rng(0)
    gains = np.where(rng.random((4000, 150)) < 0.9, 0.1, -0.9)  # 0 in expectation
    low = np.mean([betting_p_value(row, lowest=-0.9, level=level) <= level for row in gains])
    assert low <= level + 3 * np.sqrt(level / 4000)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize(("precision", "confidence"), [(0.8, 0.9), (0.9, 0.9), (0.9, 0.99), (0.99, 0.95)])
def test_least_predicted_is_what_passes_if_all_are_right(limit, precision, confidence):
    least = least_predicted(limit, precision=precision, confidence=confidence)

    def p_value(n):
        gains = np.full(n, 1 - precision)
        if limit == 1:
            return binomial_p_value(n, n, precision)
        return np.exp(-n * np.log1p(0.9 / (precision * limit) * gains[0]))  # the greatest bet throughout

    assert p_value(least) <= 1 - confidence < p_value(least - 1)
    assert p_value(least) <= betting_p_value(
        np.full(least, 1 - precision), lowest=-precision * limit, level=0.1
    )


# The threshold that is taken


def naive_counts(p, truth, threshold, limit):
    predicted = (p > threshold) & (places_of(p) <= limit)
    return predicted.sum(), (predicted & truth).sum()


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_counted_is_what_threshold_and_limit_predict(seed, decimals):
    rng = np.random.default_rng(seed)
    z = rng.normal(-2, 4, size=(600, 6))
    p, truth = np.round(expit(z), decimals), rng.random(z.shape) < expit(z + 1)
    found = guaranteed_threshold(full(p[:300]), held_rows(p[300:], truth[300:]), **ASKED)
    assert np.isfinite(found.threshold)
    assert found[2:] == naive_counts(p[300:], truth[300:], *found[:2])
    assert found.n_right > PRECISION * found.n_predicted
    # the limit leaves 99 % of what is predicted for the fitted rows, and a lower one would not
    n, kept, fewer = (
        naive_counts(p[:300], truth[:300], found.threshold, k)[0]
        for k in (6, found.row_limit, found.row_limit - 1)
    )
    assert kept >= 0.99 * n > fewer


@pytest.mark.parametrize("seed", range(3))
def test_a_label_alone_is_tested_as_all_labels_are(seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 4, size=(800, 3))
    p, truth = expit(z), rng.random(z.shape) < expit(z)
    fitted, new = full(p[:400]), held_rows(p[400:], truth[400:])
    found = guaranteed_label_thresholds(fitted, new, **ASKED)
    for label in range(3):
        alone = held_rows(p[400:, [label]], truth[400:, [label]])
        assert found[label] == guaranteed_threshold(full(p[:400, [label]]), alone, **ASKED)
    assert any(np.isfinite(one.threshold) for one in found)


def test_labels_are_tested_by_groups_too():
    p, truth = np.full((400, 1), 0.97), np.ones((400, 1), dtype=bool)
    for n_groups, passes in ((100, True), (10, False)):
        new = held_rows(p, truth, np.arange(400) % n_groups)
        (found,) = guaranteed_label_thresholds(full(p), new, **ASKED)
        assert np.isfinite(found.threshold) == passes


def test_the_order_of_pairs_does_not_matter_and_absent_ones_are_nowhere():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 4, size=(500, 4))
    p, truth, stored = expit(z), rng.random(z.shape) < expit(z), rng.random(z.shape) < 0.8
    sparse = sp.csr_array((p[stored], np.nonzero(stored)), shape=p.shape)
    found = guaranteed_threshold(sparse, HeldRows(sparse, truth[stored], np.arange(500)), **ASKED)
    assert np.isfinite(found.threshold)
    turned, truth, stored = p[:, ::-1], truth[:, ::-1], stored[:, ::-1]
    sparse = sp.csr_array((turned[stored], np.nonzero(stored)), shape=p.shape)
    assert found == guaranteed_threshold(sparse, HeldRows(sparse, truth[stored], np.arange(500)), **ASKED)


def path_of(p, truth):
    order = np.argsort(-p.ravel(), kind="stable")
    places = places_of(p).ravel()[order]
    return _Path(p.ravel()[order], places, truth.ravel()[order], order // p.shape[1])


def naive_order(p, n_units, precision, confidence):
    """Return the thresholds in the order of their tests, and their limits, by loops over every pair."""
    values = sorted(p.ravel(), reverse=True)
    counts = [n for n in range(1, len(values) + 1) if n == len(values) or values[n] < values[n - 1]]
    steps = [np.floor(np.log(n) / np.log(1.05)) for n in counts]
    counts = [n for n, a, b in zip(counts, steps, [*steps[1:], np.inf], strict=True) if a < b]
    steps = []
    for n in counts:
        least = values[n - 1]
        kept = [((p >= least) & (places_of(p) <= limit)).sum() for limit in range(1, p.shape[1] + 1)]
        limit = 1 + next(i for i, found in enumerate(kept) if found >= 0.99 * n)
        expected = np.mean(values[:n])
        # the best of many bets on a pair that is true as often as expected
        bets = np.linspace(0, 0.9 / (precision * limit), 2001)
        growth = expected * np.log1p(bets * (1 - precision)) + (1 - expected) * np.log1p(-bets * precision)
        following = values[n] if n < len(values) else least * (1 - 1e-9)
        steps.append(((least + following) / 2, limit, n * n_units / len(p) * growth.max()))
    evidence = [step[2] for step in steps]
    safe = [i for i, log_wealth in enumerate(evidence) if log_wealth >= 3 * np.log(1 / (1 - confidence))]
    return [step[:2] for step in steps[safe[0] if safe else int(np.argmax(evidence)) :]], bool(safe)


@pytest.mark.parametrize(
    ("n", "n_labels", "decimals", "confidence", "is_safe"),
    [
        (200, 3, 9, 0.9, True),
        (200, 3, 1, 0.9, True),
        (200, 2, 9, 0.6, True),
        (300, 1, 9, 0.9, True),
        (12, 2, 9, 0.99, False),
        (12, 2, 1, 0.99, False),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_thresholds_are_tested_in_the_order_of_a_loop(seed, n, n_labels, decimals, confidence, is_safe):
    """From the first that is safe to pass, or else the one with most evidence, downwards in steps."""
    rng = np.random.default_rng(seed)
    p = np.round(expit(rng.normal(0, 3, size=(n, n_labels))), decimals)
    new = rng.random((2 * n, n_labels))
    tests = _Test(full(p), held_rows(new, new > 0.5), 0.8, confidence)
    found = _order(path_of(p, p > 2), tests)
    expected, safe = naive_order(p, 2 * n, 0.8, confidence)
    assert safe == is_safe
    assert [limit for _, limit in found] == [limit for _, limit in expected]
    # the last lies only just below the lowest probability
    np.testing.assert_allclose([t for t, _ in found], [t for t, _ in expected], rtol=1e-12)


def naive_outcome(p, new, truth, units, precision, confidence):
    """Test all thresholds by loops over units; return what is taken, and how many pass but come too late."""
    test = _Test(full(p), held_rows(new, truth, units), precision, confidence)
    outcomes, passed = [], []
    for threshold, limit in _order(path_of(p, p > 2), test):
        predicted = (new > threshold) & (places_of(new) <= limit)
        gains = []
        for unit in np.unique(units[predicted.any(axis=1)]):
            of_unit = units == unit
            gains.append(np.where(predicted[of_unit], truth[of_unit] - precision, 0).sum(axis=1).mean())
        n_right = (predicted & truth).sum()
        if len(set(units)) == len(units) and limit == 1:
            p_value = binom.sf(n_right - 1, predicted.sum(), precision)
        else:
            p_value = naive_betting(gains, -precision * limit, 1 - confidence)
        outcomes.append((threshold, limit, predicted.sum(), n_right))
        passed.append(len(gains) > 0 and p_value <= 1 - confidence)
    n_first = passed.index(False) if False in passed else len(passed)
    taken = outcomes[n_first - 1] if n_first else (np.inf, *outcomes[0][1:])
    return taken, sum(passed) - n_first


@pytest.mark.parametrize(("n_labels", "rows_a_unit"), [(1, 1), (3, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("seed", range(2))
def test_the_last_threshold_before_the_first_failure_is_taken(seed, n_labels, rows_a_unit):
    rng = np.random.default_rng(seed)
    p, new = rng.random((2, 200 * rows_a_unit, n_labels)) ** (1 / 3)
    truth = rng.random(new.shape) < new**0.6
    units = rng.permutation(np.arange(200 * rows_a_unit) // rows_a_unit)
    expected, _ = naive_outcome(p, new, truth, units, 0.8, 0.8)
    found = guaranteed_threshold(full(p), held_rows(new, truth, units), precision=0.8, confidence=0.8)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 0 < found.threshold < 0.9


def test_what_would_pass_below_a_failure_is_not_taken():
    """One pair in ten is wrong, but for the first ones, of which none is right."""
    p = np.linspace(1, 0.5, 400)[:, None]
    truth = (np.arange(400) % 10 != 0)[:, None]
    truth[:24] = False
    expected, n_missed = naive_outcome(p, p, truth, np.arange(400), 0.8, 0.8)
    assert n_missed > 0
    found = guaranteed_threshold(full(p), held_rows(p, truth), precision=0.8, confidence=0.8)
    assert found == expected
    assert found.threshold == np.inf


def test_a_p_value_that_is_just_low_enough_passes():
    p = np.full((1, 1), 0.9)
    found = guaranteed_threshold(full(p), held_rows(p, p > 0), precision=0.5, confidence=0.5)
    assert found[1:] == (1, 1, 1)
    assert found.threshold < 0.9


def test_a_wealth_that_only_falls_is_no_evidence():
    assert betting_p_value(np.full(3, -0.9), lowest=-0.9, level=0.1) == 1


@pytest.mark.filterwarnings("error")
def test_nothing_is_taken_where_nothing_can_be_said():
    p, right = np.full((21, 1), 0.99), np.ones((21, 1), dtype=bool)
    assert guaranteed_threshold(full(p), held_rows(p, right), **ASKED) == (np.inf, 1, 21, 21)
    more = np.vstack([p, p[:1]]), np.vstack([right, right[:1]])
    assert guaranteed_threshold(full(p), held_rows(*more), **ASKED).threshold < 0.99
    none = sp.csr_array((21, 1))
    for fitted, new in ((none, held_rows(p, right)), (full(p), HeldRows(none, right[:0, 0], np.arange(21)))):
        assert guaranteed_threshold(fitted, new, **ASKED) == (np.inf, 1, 0, 0)
        assert guaranteed_label_thresholds(fitted, new, **ASKED) == [(np.inf, 1, 0, 0)]
