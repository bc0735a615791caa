"""The paired bootstrap against naive loops and simulations."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from scipy.stats import rankdata

from adathresh import metrics as m
from adathresh.metrics import comparison

SEEDS = range(5)


def against(Y, ours, rival, **options):
    """Compare with one rival only."""
    return m.paired_bootstrap(Y, ours, {"rival": rival}, **options)["rival"]


def units_of(Y, grouped):
    """The number of each row, or of its group: groups of different size, whose rows are scattered."""
    rows = np.arange(len(Y))
    return np.random.default_rng(0).permutation(np.minimum(rows // 2, 3)) if grouped else rows


def naive_bootstrap(Y, ours, rivals, value_of, units, n_draws, random_state):
    """Leave every unit out, then draw units and repetitions one draw at a time."""
    n, n_repetitions = len(set(units)), len(ours)

    def contributions(P):
        without = [value_of(Y[units != unit], P[units != unit]) for unit in range(n)]
        return value_of(Y, P) + (n - 1) * (np.mean(without) - without)

    differences = {
        name: [contributions(a) - contributions(b) for a, b in zip(ours, theirs, strict=True)]
        for name, theirs in rivals.items()
    }
    rng, draws = np.random.RandomState(random_state), {name: [] for name in rivals}
    for _ in range(n_draws):
        drawn = rng.randint(n, size=n)
        repetitions = rng.randint(n_repetitions, size=n_repetitions) if n_repetitions > 1 else [0]
        for name, values in differences.items():
            draws[name].append(np.mean([values[i][drawn] for i in repetitions]))
    expected = {}
    for name, theirs in rivals.items():
        difference = np.mean([value_of(Y, a) - value_of(Y, b) for a, b in zip(ours, theirs, strict=True)])
        low, high = np.quantile(draws[name], [0.025, 0.975])
        expected[name] = {"difference": difference, "low": low, "high": high}
    return expected


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("n_repetitions", [1, 3])
@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1", "samples_f1", "brier"])
def test_bootstrap_against_a_loop(make_case, metric, n_repetitions, grouped):
    kind, value_of = (2, m.brier_score) if metric == "brier" else (1, getattr(m, metric))
    Y, *_ = make_case(0)
    ours, *others = (
        [make_case(10 * method + seed)[kind] for seed in range(n_repetitions)] for method in range(1, 4)
    )
    rivals = dict(zip("ab", others, strict=True))
    units = units_of(Y, grouped)
    options = {"n_draws": 300, "random_state": 7}
    expected = naive_bootstrap(Y, ours, rivals, value_of, units, **options)
    groups = [f"group {unit}" for unit in units] if grouped else None
    found = m.paired_bootstrap(Y, ours, rivals, metric=metric, groups=groups, **options)
    assert list(found) == ["a", "b"]
    for name, interval in found.items():
        assert interval == pytest.approx(expected[name], abs=1e-12)
        assert interval["low"] < interval["high"]


@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist, sp.csr_array, sp.csc_matrix])
def test_one_prediction_is_one_repetition_in_every_container(make_case, container):
    Y, A, *_ = make_case(0)
    B = make_case(9)[1]
    expected = m.paired_bootstrap(Y, [A], {"rival": [B]}, n_draws=50)
    assert m.paired_bootstrap(Y, container(A), {"rival": container(B)}, n_draws=50) == expected
    assert m.paired_bootstrap(Y, (container(A),), {"rival": [container(B)]}, n_draws=50) == expected
    assert m.paired_bootstrap(Y, np.array([A]), {"rival": np.array([B])}, n_draws=50) == expected


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1", "samples_f1"])
@pytest.mark.parametrize("seed", SEEDS)
def test_metric_without_each_unit_against_leaving_it_out(make_case, metric, seed, grouped):
    Y, P, *_ = make_case(seed, n_samples=12)
    Y, P = Y[:, ::-1], P[:, ::-1]  # the last label is the one that no row has
    Y[-1] = P[-1] = P[:, -1] = 0
    units = units_of(Y, grouped)
    _, value_of, without_unit_of = comparison._WITHOUT_EACH_UNIT[metric]
    expected = [value_of(Y[units != unit], P[units != unit]) for unit in range(units.max() + 1)]
    found = without_unit_of(sp.csr_array(Y), sp.csr_array(P), units)
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_without_each_unit_against_leaving_it_out(make_case, container, seed, grouped):
    Y, _, scores, stored, sparse = make_case(seed, n_samples=12)
    stored[-1] = False
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    if container is np.asarray:
        stored = np.ones_like(stored)
    given = scores if container is np.asarray else sparse
    p, truth = scores[stored], Y[stored].astype(bool)
    bins = np.floor(15 * (rankdata(p) - 0.5) / len(p))
    units, ece, brier = units_of(Y, grouped), [], []
    unit_of = units[np.nonzero(stored)[0]]
    for unit in range(units.max() + 1):
        keep = unit_of != unit
        gaps = [abs((p - truth)[keep & (bins == b)].sum()) for b in range(15)]
        ece.append(sum(gaps) / keep.sum())
        brier.append(((p - truth)[keep] ** 2).mean())
    Y = sp.csr_array(Y)
    np.testing.assert_allclose(comparison._ece_without_each_unit(Y, given, units), ece, atol=1e-12)
    np.testing.assert_allclose(comparison._brier_score_without_each_unit(Y, given, units), brier, atol=1e-12)


@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1"])
def test_rows_that_are_copies_count_as_one_row(make_case, metric):
    Y, A, *_ = make_case(0)
    B = make_case(9)[1]
    options = {"metric": metric, "n_draws": 400}
    alone = against(Y, A, B, **options)
    copies = np.repeat(np.arange(len(Y)), 4)
    four = [part[copies] for part in (Y, A, B)]
    assert against(*four, groups=copies, **options) == pytest.approx(alone)
    apart = against(*four, **options)
    assert apart["high"] - apart["low"] < 0.6 * (alone["high"] - alone["low"])


@pytest.mark.slow
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
            results.append(against(Y[rows], p[rows], steep[rows], metric=metric, n_draws=200))
        expected = np.mean([result["difference"] for result in results])
        assert 0.9 <= np.mean([result["low"] <= expected <= result["high"] for result in results]) <= 1
        assert np.mean([result["high"] < 0 for result in results]) > 0.9  # the interval is of use, too


def test_bootstrap_of_a_mean_is_the_plain_one(make_case):
    """Samples-F1 is a mean over rows, so pseudo-values and resampled metric are the same thing."""
    Y, A, *_ = make_case(0)
    B = make_case(9)[1]
    result = against(Y, A, B, metric="samples_f1", n_draws=200, random_state=7)
    rng = np.random.RandomState(7)
    draws = []
    for _ in range(200):
        rows = rng.randint(len(Y), size=len(Y))
        draws.append(m.samples_f1(Y[rows], A[rows]) - m.samples_f1(Y[rows], B[rows]))
    assert result["difference"] == pytest.approx(m.samples_f1(Y, A) - m.samples_f1(Y, B))
    assert [result["low"], result["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))


@pytest.mark.slow
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
        results.append(against(Y[rows], A[rows], B[rows], n_draws=200))
    expected = np.mean([result["difference"] for result in results])
    covered = np.mean([result["low"] <= expected <= result["high"] for result in results])
    assert 0.9 <= covered <= 1
    assert np.mean([result["low"] > 0 for result in results]) > 0.9  # the interval is of use, too


def test_bootstrap_is_antisymmetric_in_the_two_predictions_and_repeats_with_its_seed(make_case):
    Y, A, *_ = make_case(0)
    B = make_case(9)[1]
    one, other = against(Y, A, B, n_draws=101), against(Y, B, A, n_draws=101)
    assert one["difference"] == pytest.approx(-other["difference"])
    assert [one["low"], one["high"]] == pytest.approx([-other["high"], -other["low"]])
    assert one == against(sp.csr_array(Y), sp.csr_matrix(A), B, n_draws=101)
    assert one != against(Y, A, B, n_draws=101, random_state=1)
    assert against(Y, A, B) == against(Y, A, B, n_draws=1000, random_state=0)


@pytest.mark.slow
def test_repetitions_are_resampled_with_the_rows(make_case):
    Y, A, *_ = make_case(0)
    As, Bs = [A, make_case(5)[1], make_case(6)[1]], [make_case(seed)[1] for seed in (7, 8, 9)]
    result = against(Y, As, Bs, metric="samples_f1", n_draws=300, random_state=3)
    rng, draws = np.random.RandomState(3), []
    for _ in range(300):
        rows, repetitions = rng.randint(len(Y), size=len(Y)), rng.randint(3, size=3)
        draws.append(
            np.mean(
                [m.samples_f1(Y[rows], As[r][rows]) - m.samples_f1(Y[rows], Bs[r][rows]) for r in repetitions]
            )
        )
    assert [result["low"], result["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    alone = [against(Y, a, b, metric="samples_f1") for a, b in zip(As, Bs, strict=True)]
    assert result["difference"] == pytest.approx(np.mean([one["difference"] for one in alone]))


def test_several_rivals_take_the_same_draws(make_case):
    Y, *_ = make_case(0)
    ours, *others = ([make_case(10 * name + seed)[1] for seed in range(3)] for name in range(1, 5))
    rivals = dict(zip("abc", others, strict=True))
    options = {"n_draws": 300, "random_state": 5}  # more than are averaged at once
    for metric in ("macro_f1", "micro_f1"):
        together = m.paired_bootstrap(Y, ours, rivals, metric=metric, **options)
        assert list(together) == ["a", "b", "c"]
        for name, found in together.items():
            alone = against(Y, ours, rivals[name], metric=metric, **options)
            assert found == pytest.approx(alone, abs=1e-12)
    assert m.paired_bootstrap(Y, ours, {}) == {}


def test_equal_repetitions_are_one_and_others_widen_nothing_but_their_spread(make_case):
    Y, A, *_ = make_case(0)
    B, C = make_case(9)[1], make_case(8)[1]
    one = against(Y, A, B, n_draws=2000)
    same = against(Y, [A] * 3, [B] * 3, n_draws=2000)
    assert list(same.values()) == pytest.approx(list(one.values()), abs=0.02)
    other = against(Y, [A, A], [B, A], n_draws=2000)
    assert other["difference"] == pytest.approx(one["difference"] / 2)
    swapped = against(Y, [B, C], [C, B], n_draws=2000)
    assert swapped["difference"] == pytest.approx(0, abs=1e-12)
    assert swapped["low"] < 0 < swapped["high"]


ONE = [[1, 0], [0, 1]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: against(ONE, [[1, 0]], ONE), "ours has 1 rows but 2 were expected"),
        (lambda: against(ONE, ONE, [[1, 0]]), r"rivals\['rival'\] has 1 rows but 2 were expected"),
        (lambda: against(ONE, ONE, ONE, metric="f1"), "metric must be one of macro_f1, micro_f1, samples_f1"),
        (lambda: against(ONE, [[1], [0]], ONE), "ours has 1 labels but 2 were expected"),
        (lambda: against([[2, 0], [0, 0]], ONE, ONE), "Y_true must hold only 0 and 1; found 2"),
        (lambda: against(ONE, ONE, ONE, random_state="0"), "random_state must be "),
        (lambda: against(ONE, ONE, ONE, n_draws=0), "n_draws must be a whole number, at least 1; got 0"),
        (lambda: against([[1]], [[1]], [[1]]), "at least two rows; Y_true has 1"),
        (lambda: against(ONE, [[2, 0], [0, 0]], HALF, metric="ece"), "ours must be probabilit"),
        (lambda: against(ONE, HALF, HALF), "ours must hold only 0 and 1; found 0.5"),
        (lambda: against(ONE, [ONE], []), "got 1 of ours and 0 of 'rival'"),
        (
            lambda: against(ONE, [ONE, ONE], ONE),
            "equally many repetitions, .* got 2 of ours and 1 of",
        ),
        (lambda: against(ONE, [], []), "at least one; got 0 of ours and 0 of 'rival'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rivals_are_given_by_name():
    with pytest.raises(TypeError, match="rivals must be a dict of predictions by name; got a list"):
        m.paired_bootstrap(ONE, ONE, ONE)
