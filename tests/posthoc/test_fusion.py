"""The pooled fusions against scikit-learn, their thresholds, and the labels' own corrections."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from adathresh.posthoc import fusion as fusion_module
from adathresh.posthoc.candidates import Pairs, gather_pairs
from adathresh.posthoc.fusion import (
    AverageFusion,
    BoostedFusion,
    LabelEffects,
    LinearFusion,
    first_step,
    held_out_pairs,
)

FUSIONS = [LinearFusion, BoostedFusion, AverageFusion]
SIGNALS = ["model 1", "model 2", "share", "affinity"]


def make_pairs(seed=0, n=3000, models=2, share=1, affinity=1):
    """Pairs with every signal, their rarity, truth and weight; scores are clipped and shares often 0."""
    rng = np.random.default_rng(seed)
    logits = np.clip(rng.normal(-2, 2.5, (n, models)), -6, 4)
    size = (n, share + affinity)
    shares, similarity = np.split(np.round(rng.random(size), 2) * (rng.random(size) < 0.4), [share], axis=1)
    idf = rng.choice([0.5, 2.0, 4.0, 6.0], n)
    g = logits.mean(axis=1) - 0.2 * idf + (logits[:, 0] > 0)
    g += 2 * shares.sum(axis=1) + similarity.sum(axis=1)
    pairs = Pairs(
        (n, 1),
        np.arange(n),
        np.zeros(n, dtype=int),
        logits,
        shares if share else None,
        similarity if affinity else None,
    )
    return pairs, idf, rng.random(n) < expit(g), rng.choice([1.0, 3.0], n)


def fitted(kind, *data):
    return kind().fit(*data, random_state=0)


def documented_columns(pairs, idf):
    """The columns that the class names."""
    z1, z2 = pairs.logits.T
    k1, k2 = pairs.share.T
    a1, a2 = pairs.affinity.T
    q1, q2, b1, b2 = (logit(np.clip(x, 0.01, 0.99)) for x in (k1, k2, a1, a2))
    return {
        "score": z1,
        "score x idf": z1 * idf,
        "score 2": z2,
        "score 2 x idf": z2 * idf,
        "idf": idf,
        "share": k1,
        "logit share": q1,
        "logit share x idf": q1 * idf,
        "share 2": k2,
        "logit share 2": q2,
        "logit share 2 x idf": q2 * idf,
        "affinity": a1,
        "logit affinity": b1,
        "logit affinity x idf": b1 * idf,
        "affinity 2": a2,
        "logit affinity 2": b2,
        "logit affinity 2 x idf": b2 * idf,
    }


def test_linear_fusion_is_a_logistic_regression_on_the_documented_columns():
    pairs, idf, truth, weight = make_pairs(share=2, affinity=2)
    fusion = fitted(LinearFusion, pairs, idf, truth, weight)
    columns = documented_columns(pairs, idf)
    assert list(fusion.coef_) == [*columns, "intercept"]
    X = np.column_stack(list(columns.values()))
    peer = LogisticRegression(C=100, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    peer.fit(X / X.std(axis=0), truth, sample_weight=weight)
    np.testing.assert_allclose(
        fusion.decide(pairs, idf), peer.decision_function(X / X.std(axis=0)), atol=0.02
    )
    by_hand = X @ [fusion.coef_[name] for name in columns] + fusion.coef_["intercept"]
    np.testing.assert_allclose(fusion.decide(pairs, idf), by_hand, rtol=1e-9, atol=1e-9)


def test_weights_count_pairs():
    pairs, idf, truth, _ = make_pairs(n=500)
    twice = np.repeat(np.arange(500), 2)
    a = fitted(LinearFusion, pairs, idf, truth, np.full(500, 2.0))
    b = fitted(LinearFusion, pairs.take(twice), idf[twice], truth[twice], np.ones(1000))
    np.testing.assert_allclose(list(a.coef_.values()), list(b.coef_.values()), rtol=0.02, atol=0.02)


def test_a_row_of_weight_two_is_two_rows_to_the_linear_fusion():
    pairs, idf, truth, drawn = make_pairs(n=500)
    times = np.random.default_rng(0).integers(1, 4, 500)
    again = np.repeat(np.arange(500), times)
    found = LinearFusion().fit(pairs, idf, truth, drawn, sample_weight=times, random_state=0)
    expected = fitted(LinearFusion, pairs.take(again), idf[again], truth[again], drawn[again])
    assert found.coef_ == pytest.approx(expected.coef_, rel=1e-6)
    # columns are scaled by the weights of rows, not by how many pairs a drawn one stands for
    other = fitted(LinearFusion, pairs, idf, truth, drawn * times)
    assert np.abs(other.decide(pairs, idf) - expected.decide(pairs, idf)).max() > 1e-6


@pytest.mark.parametrize("kind", FUSIONS)
def test_weights_of_rows_say_how_often_a_label_is_true(kind):
    """The sum of the probabilities is that of the weights of what is true, which three times as many are."""
    pairs, idf, truth, drawn = make_pairs(n=2000)
    weight = np.where(truth, 3.0, 1.0) * drawn
    fusion = kind().fit(pairs, idf, truth, drawn, sample_weight=np.where(truth, 3.0, 1.0), random_state=0)
    expected = (weight * truth).sum()
    assert (weight * expit(fusion.decide(pairs, idf))).sum() == pytest.approx(expected, rel=0.02)
    without = fitted(kind, pairs, idf, truth, drawn)
    assert (weight * expit(without.decide(pairs, idf))).sum() < 0.8 * expected


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("rarity", [0.0, 2.0, np.log(300 / 138)])
def test_labels_that_are_all_equally_rare(kind, rarity):
    pairs, idf, truth, weight = make_pairs(models=1, share=0, affinity=0)
    idf = np.full_like(idf, rarity)
    g = fitted(kind, pairs, idf, truth, weight).decide(pairs, idf)
    assert np.isfinite(g).all()
    assert g[truth].mean() > g[~truth].mean() + 1


def raised(pairs, signal, rng):
    """The same pairs with one signal raised at random."""
    if signal.startswith("model"):
        logits = pairs.logits.copy()
        logits[:, int(signal[-1]) - 1] += rng.exponential(1, len(logits))
        return pairs._replace(logits=logits)
    column = getattr(pairs, signal)
    return pairs._replace(**{signal: column + (1 - column) * rng.random(column.shape)})


@pytest.mark.parametrize("misled", [False, True])
@pytest.mark.parametrize("signal", SIGNALS)
def test_boosted_fusion_never_falls(signal, misled):
    pairs, idf, truth, weight = make_pairs()
    fusion = fitted(BoostedFusion, pairs, idf, truth != misled, weight)
    more = raised(pairs, signal, np.random.default_rng(1))
    change = fusion.decide(more, idf) - fusion.decide(pairs, idf)
    assert change.min() >= 0
    assert misled or (change > 0).any()


@pytest.mark.parametrize("misled", [False, True])
@pytest.mark.parametrize("signal", SIGNALS[:2])
def test_linear_fusion_rises_with_every_score(signal, misled):
    pairs, idf, truth, weight = make_pairs()
    fusion = fitted(LinearFusion, pairs, idf, truth != misled, weight)
    assert (fusion.coef_["score"] < 0) == misled
    more = raised(pairs, signal, np.random.default_rng(1))
    assert (fusion.decide(more, idf) > fusion.decide(pairs, idf)).all()


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("models", [1, 2])
def test_above_the_fused_threshold_is_above_the_threshold(kind, models):
    pairs, idf, truth, weight = make_pairs(models=models)
    fusion = fitted(kind, pairs, idf, truth, weight)
    new, new_idf, _, _ = make_pairs(seed=1, models=models)
    g = fusion.decide(new, new_idf)
    rng = np.random.default_rng(2)
    # at random, at the values of other pairs, and just below and above each pair's own
    for threshold in (rng.normal(-1, 3, len(g)), rng.permutation(g) + 1e-7, g - 1e-7, g + 1e-7):
        np.testing.assert_array_equal(
            g > threshold, new.logits[:, 0] > fusion.threshold(new, new_idf, threshold)
        )
    infinite = np.full(len(g), np.inf)
    assert (fusion.threshold(new, new_idf, infinite) == np.inf).all()
    assert (fusion.threshold(new, new_idf, -infinite) == -np.inf).all()


@pytest.mark.parametrize("kind", FUSIONS)
def test_threshold_does_not_depend_on_the_score(kind):
    pairs, idf, truth, weight = make_pairs()
    fusion = fitted(kind, pairs, idf, truth, weight)
    moved = pairs._replace(logits=pairs.logits + np.array([5.0, 0.0]))
    threshold = np.linspace(-4, 4, len(idf))
    np.testing.assert_array_equal(
        fusion.threshold(pairs, idf, threshold), fusion.threshold(moved, idf, threshold)
    )


def of_rows(fusion_data, keep):
    """The data of some pairs."""
    pairs, *others = fusion_data
    return pairs.take(keep), *(column[keep] for column in others)


def test_the_average_is_the_mean_of_both_fitted_without_the_held_out_rows():
    data = make_pairs()
    fusion = fitted(AverageFusion, *data)
    held = held_out_pairs(data[0].rows, data[2], random_state=0)
    linear, boosted = fitted(LinearFusion, *of_rows(data, ~held)), fitted(BoostedFusion, *data)
    new, new_idf, *_ = make_pairs(seed=1)
    w, parts = fusion.boosted_weight_, [part.decide(new, new_idf) for part in (linear, boosted)]
    np.testing.assert_allclose(fusion.decide(new, new_idf), (1 - w) * parts[0] + w * parts[1], rtol=1e-12)
    assert np.abs(parts[0] - parts[1]).max() > 0.1
    assert abs(w - 0.5) > 0.01


def test_the_trees_weight_is_the_likeliest_on_the_held_out_rows():
    pairs, idf, truth, weight = data = make_pairs()
    fusion = AverageFusion().fit(*data, sample_weight=np.tile([1.0, 2.0], 1500), random_state=0)
    held = held_out_pairs(pairs.rows, truth, random_state=0)
    seen = pairs.take(held), idf[held]
    total = weight[held] * np.tile([1.0, 2.0], 1500)[held]
    linear, boosted = fusion.linear_.decide(*seen), fusion.boosted_.decide(*seen)

    def surprise(w):
        p = 1 / (1 + np.exp(-((1 - w) * linear + w * boosted)))
        loss = -np.log(np.where(truth[held], p, 1 - p))
        return (total * loss).sum() + (w - 0.5) ** 2 / (2 * 0.1**2)

    grid = np.linspace(0, 0.95, 9501)
    best = grid[np.argmin([surprise(w) for w in grid])]
    assert fusion.boosted_weight_ == pytest.approx(best, abs=1e-3)
    assert 0.01 < abs(best - 0.5) < 0.44  # neither the prior alone, nor the limit


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["steps", "line"])
def test_where_pairs_are_many_the_better_fusion_counts(shape):
    rng = np.random.default_rng(0)
    n = 40_000
    z = rng.normal(size=(n, 8))
    total = z.sum(axis=1)
    logit_of_truth = 6 * (np.floor(2 * z[:, 0]) % 2) + total - 4 if shape == "steps" else 2 * total
    truth, ones = rng.random(n) < expit(logit_of_truth), np.ones(n)
    data = Pairs((n, 1), np.arange(n), np.zeros(n, dtype=int), z, None, None), ones, truth, ones
    w = fitted(AverageFusion, *data).boosted_weight_
    assert w > 0.9 if shape == "steps" else w < 0.3
    few = of_rows(data, np.arange(n) < 300)
    assert abs(fitted(AverageFusion, *few).boosted_weight_ - 0.5) < 0.1


def test_a_tenth_of_the_rows_is_held_out_whole():
    pairs = gather_pairs(np.full((200, 3), 0.5), None, None)
    truth = np.arange(600) % 2 == 0
    held = held_out_pairs(pairs.rows, truth, random_state=0)
    rows = held.reshape(200, 3)
    assert (rows.all(axis=1) | ~rows.any(axis=1)).all()
    assert rows[:, 0].sum() == 20
    assert (held != held_out_pairs(pairs.rows, truth, random_state=1)).any()


@pytest.mark.parametrize("kind", [BoostedFusion, AverageFusion])
def test_groups_are_held_out_whole(kind):
    data = make_pairs()
    groups = data[0].rows // 30
    held = held_out_pairs(groups, data[2], random_state=0)
    of_group = held.reshape(100, 30)
    assert (of_group.all(axis=1) | ~of_group.any(axis=1)).all()
    assert held.sum() == 300
    ours = kind().fit(*data, groups=groups, random_state=0).decide(*data[:2])
    # the same rows, named one by one
    pairs = data[0]._replace(rows=groups)
    np.testing.assert_array_equal(ours, kind().fit(pairs, *data[1:], random_state=0).decide(*data[:2]))
    assert np.abs(ours - kind().fit(*data, random_state=0).decide(*data[:2])).max() > 1e-3


def test_nothing_is_held_out_where_it_would_tell_nothing():
    pairs = gather_pairs(np.full((200, 3), 0.5), None, None)
    for n_true in (4, 596):
        truth = np.arange(600) < n_true
        assert not held_out_pairs(pairs.rows, truth, random_state=0).any()
    one_row, one_class_left = np.zeros(600, dtype=int), pairs.rows == 0
    assert not held_out_pairs(one_row, np.arange(600) % 2 == 0, random_state=0).any()
    for seed in range(10):  # the one row with a true pair may be drawn
        assert not held_out_pairs(pairs.rows, one_class_left, random_state=seed).any()
    ones, few = np.ones(600), np.arange(600) < 4
    fusion = fitted(AverageFusion, pairs, ones, few, ones)
    assert fusion.boosted_weight_ == pytest.approx(0.5)
    assert fusion.linear_.coef_ == fitted(LinearFusion, pairs, ones, few, ones).coef_


def test_a_mean_saved_before_its_weight_was_fitted_is_half_and_half():
    fusion = fitted(AverageFusion, *make_pairs())
    new, new_idf, *_ = make_pairs(seed=1)
    parts = [part.decide(new, new_idf) for part in (fusion.linear_, fusion.boosted_)]
    del fusion.boosted_weight_
    np.testing.assert_allclose(fusion.decide(new, new_idf), sum(parts) / 2, rtol=1e-12)


def brute_force(fusion, pair, idf, threshold):
    """The least logit above which g exceeds a threshold, from g at both ends of each step of the trees."""
    edges = np.r_[-1e6, fusion.boosted_._steps[1], 1e6]
    many = pair.take(np.zeros(len(edges), dtype=int))
    many_idf = np.full(len(edges), idf)

    def g(logits):
        return fusion.decide(many._replace(logits=np.column_stack([logits, many.logits[:, 1:]])), many_idf)

    # a step holds its upper end, and not its lower one
    low, high = g(np.nextafter(edges, np.inf))[:-1], g(edges)[1:]
    exceeded = np.flatnonzero(high > threshold)
    if not len(exceeded):
        return np.inf
    step = exceeded[0]
    if low[step] > threshold:
        return edges[step]  # the trees jump past it
    share = (threshold - low[step]) / (high[step] - low[step])
    return edges[step] + share * (edges[step + 1] - edges[step])


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.95])
def test_average_threshold_against_a_search_of_every_step(weight):
    fusion = fitted(AverageFusion, *make_pairs())
    fusion.boosted_weight_ = weight
    n = 150
    pairs, idf, *_ = make_pairs(seed=1, n=n)
    steps = fusion.boosted_._steps[1]
    rng = np.random.default_rng(2)
    kinds = {"jump": 0, "inside": 0, "first": 0, "last": 0}
    for threshold in (rng.normal(-1, 3, n), np.full(n, -40.0), np.full(n, 40.0)):
        found = fusion.threshold(pairs, idf, threshold)
        for i in range(n):
            expected = brute_force(fusion, pairs.take([i]), idf[i], threshold[i])
            assert found[i] == pytest.approx(expected, abs=1e-7)
        kinds["jump"] += np.isin(found, steps).sum()
        kinds["first"] += (found < steps[0]).sum()
        kinds["last"] += (found > steps[-1]).sum()
        kinds["inside"] += ((found > steps[0]) & (found < steps[-1]) & ~np.isin(found, steps)).sum()
    assert weight != 0.5 or min(kinds.values()) > 20, kinds


def test_average_threshold_is_exact():
    """Just below θ the fused threshold is not exceeded, just above θ it is; on a jump this is one ulp."""
    fusion = fitted(AverageFusion, *make_pairs())
    pairs, idf, *_ = make_pairs(seed=1)
    threshold = np.random.default_rng(0).normal(-1, 3, len(idf))
    theta = fusion.threshold(pairs, idf, threshold)
    jump = np.isin(theta, fusion.boosted_._steps[1])
    assert 0.05 < jump.mean() < 0.95
    below = np.where(jump, theta, theta - 1e-9)
    above = np.where(jump, np.nextafter(theta, np.inf), theta + 1e-9)
    for value, expected in ((below, False), (above, True)):
        at = pairs._replace(logits=np.column_stack([value, pairs.logits[:, 1]]))
        assert ((fusion.decide(at, idf) > threshold) == expected).all()


def test_average_thresholds_where_the_score_says_nothing():
    """One step only, and the smallest slope: θ lies far out, and is the linear solution."""
    pairs, idf, truth, weight = make_pairs(models=1)
    pairs = pairs._replace(logits=np.full_like(pairs.logits, -2.0))
    fusion = fitted(AverageFusion, pairs, idf, truth, weight)
    assert len(fusion.boosted_._steps[1]) == 1
    g = fusion.decide(pairs, idf)
    for threshold, expected in ((g - 1e-6, True), (g + 1e-6, False)):
        theta = fusion.threshold(pairs, idf, threshold)
        assert ((pairs.logits[:, 0] > theta) == expected).all()
        assert np.isfinite(theta).all()


@pytest.mark.parametrize("last", [0, 1, 2, 3, 253])
def test_first_step_against_a_loop(last):
    first = np.r_[np.arange(last + 2), last + 50, -3]
    asked = []

    def holds(step):
        asked.append(step)
        assert ((step >= 0) & (step <= last)).all()
        return step >= first

    found = first_step(holds, len(first), last)
    expected = [next((s for s in range(last + 1) if s >= f), last + 1) for f in first]
    assert found.tolist() == expected
    assert len(asked) <= np.ceil(np.log2(last + 2)) + 1  # bisected
    assert first_step(holds, len(first), last).dtype.kind == "i"


def test_first_step_of_no_pairs():
    assert first_step(lambda step: step > 0, 0, 5).shape == (0,)


def test_boosted_threshold_is_exact():
    """At θ the fused threshold is not exceeded, just above θ it is."""
    pairs, idf, truth, weight = make_pairs()
    fusion = fitted(BoostedFusion, pairs, idf, truth, weight)
    threshold = np.random.default_rng(0).normal(-1, 2, len(idf))
    theta = fusion.threshold(pairs, idf, threshold)
    finite = np.isfinite(theta)
    assert finite.mean() > 0.5
    for value, expected in ((theta, False), (np.nextafter(theta, np.inf), True)):
        at = pairs._replace(logits=np.column_stack([value, pairs.logits[:, 1]])).take(finite)
        assert ((fusion.decide(at, idf[finite]) > threshold[finite]) == expected).all()


@pytest.mark.parametrize("kind", FUSIONS)
def test_no_pairs_to_decide(kind):
    data = make_pairs()
    fusion = fitted(kind, *data)
    none = np.zeros(0, dtype=int)
    assert fusion.decide(data[0].take(none), data[1][none]).shape == (0,)
    assert fusion.threshold(data[0].take(none), data[1][none], np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("n_true", [1, 2, 5])
def test_boosting_takes_very_few_pairs(n_true):
    pairs, idf, _, weight = make_pairs(n=12)
    fusion = fitted(BoostedFusion, pairs, idf, np.arange(12) < n_true, weight)
    assert np.isfinite(fusion.decide(pairs, idf)).all()


@pytest.mark.parametrize("models", [1, 5, 6])  # with rarity, share and similarity: 4, 8 and 9 signals
def test_pairs_on_the_same_steps_are_decided_as_one(models, monkeypatch):
    pairs, idf, *others = make_pairs(models=models, n=1000)
    pairs = pairs._replace(logits=np.round(pairs.logits))
    fusion = fitted(BoostedFusion, pairs, idf, *others)
    rows = np.random.default_rng(0).permutation(np.tile(np.arange(1000), 2))
    decided, evaluated = [], fusion._trees.predict
    monkeypatch.setattr(
        fusion._trees, "predict", lambda codes: decided.append(len(codes)) or evaluated(codes)
    )
    together = fusion.decide(pairs.take(rows), idf[rows])
    alone = [fusion.decide(pairs.take([i]), idf[[i]])[0] for i in range(20)]
    for i in range(20):
        np.testing.assert_array_equal(together[rows == i], alone[i])
    assert (decided[0] <= 1000) == (models < 6)


def test_boosting_depends_on_its_random_state_only():
    data = make_pairs()
    a, b, c = (BoostedFusion().fit(*data, random_state=seed).decide(*data[:2]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def loss(effects, g, truth):
    """Penalised negative log-likelihood of one label's intercept and slope, with the documented priors."""
    corrected = g + effects[0] + effects[1] * (g + 4)
    return np.logaddexp(0, np.where(truth, -corrected, corrected)).sum() + (
        effects[0] ** 2 / (2 * 0.2) + effects[1] ** 2 / (2 * 0.04)
    )


@pytest.mark.parametrize(
    ("n", "intercept", "slope"),
    [(20, 0, 0), (300, 1, 0.2), (5000, -1, -0.2), (5000, 2, 0.3), (5000, 0, 2), (5000, -2, -0.8)],
)
def test_label_effects_maximise_the_penalised_likelihood(n, intercept, slope):
    rng = np.random.default_rng(0)
    g = rng.normal(-3, 2, n)
    truth = rng.random(n) < expit(g + intercept + slope * (g + 4))
    effects = LabelEffects().fit(g, np.zeros(n, dtype=int), truth, 1)
    best = minimize(
        loss, [0, 0], (g, truth), bounds=[(None, None), (-0.5, 0.5)], method="L-BFGS-B", tol=1e-12
    )
    np.testing.assert_allclose([effects.intercept_[0], effects.slope_[0]], best.x, atol=1e-3)
    assert loss([effects.intercept_[0], effects.slope_[0]], g, truth) <= best.fun + 1e-4


def newton(g, truth, weight, n_steps):
    """One label's intercept and slope by damped Newton steps, by the gradient and the Hessian of the loss."""
    effects = np.zeros(2)
    columns = np.array([np.ones_like(g), g + 4])
    for _ in range(n_steps):
        p = expit(g + effects @ columns)
        gradient = columns @ (weight * (truth - p)) - effects / (0.2, 0.04)
        hessian = (columns * weight * p * (1 - p)) @ columns.T + np.diag([1 / 0.2, 1 / 0.04])
        slope = np.clip(effects[1] + np.clip(np.linalg.solve(hessian, gradient)[1], -0.3, 0.3), -0.5, 0.5)
        # then the intercept that is best with this slope
        left = gradient[0] - hessian[0, 1] * (slope - effects[1])
        effects = np.array([effects[0] + np.clip(left / hessian[0, 0], -1, 1), slope])
    return effects


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_label_effects_take_newtons_steps(n_steps, monkeypatch):
    """As many as they may: far from the best, where steps are stopped short, and near it."""
    monkeypatch.setattr(fusion_module, "_NEWTON_STEPS", n_steps)
    rng = np.random.default_rng(0)
    n = [3, 30, 400, 2000, 2000]
    labels, weight = np.repeat(np.arange(5), n), rng.choice([0.5, 1.0, 3.0], sum(n))
    g = rng.normal(-3, 2, sum(n))
    own = np.array([[0, 0], [1, 0.2], [0.2, 0.1], [-3, 1.5], [4, -0.8]])[labels]
    truth = rng.random(sum(n)) < expit(g + own[:, 0] + own[:, 1] * (g + 4))
    effects = LabelEffects().fit(g, labels, truth, 6, sample_weight=weight)
    assert (effects.intercept_[5], effects.slope_[5]) == (0, 0)  # a label without pairs
    for label in range(5):
        of = labels == label
        expected = newton(g[of], truth[of], weight[of], n_steps)
        np.testing.assert_allclose([effects.intercept_[label], effects.slope_[label]], expected, rtol=1e-9)


def test_a_row_of_weight_two_is_two_rows_to_the_label_effects():
    rng = np.random.default_rng(0)
    g, labels, times = rng.normal(-3, 2, 900), rng.integers(0, 3, 900), rng.integers(0, 4, 900)
    truth, again = rng.random(900) < expit(1.2 * g + labels), np.repeat(np.arange(900), times)
    found = LabelEffects().fit(g, labels, truth, 3, sample_weight=times)
    expected = LabelEffects().fit(g[again], labels[again], truth[again], 3)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=1e-9)
    np.testing.assert_allclose(found.slope_, expected.slope_, rtol=1e-9)


def test_labels_are_corrected_apart_and_the_rarer_the_less():
    """Three labels of the same odds, with 2, 20 and 200 positives in twice as many pairs, and one without."""
    g = np.repeat(-2.0, 444)
    labels = np.repeat([0, 1, 3], [4, 40, 400])
    truth = np.arange(444) % 2 == 0
    order = np.random.default_rng(0).permutation(444)
    effects = LabelEffects().fit(g[order], labels[order], truth[order], 4)
    moved = effects.apply(np.full(4, -2.0), np.arange(4)) + 2
    assert 0 < moved[0] < moved[1] < moved[3] < 2.1
    assert moved[0] < 0.6  # towards 0, of the 2 that its own pairs ask for
    assert moved[3] > 1.5
    assert (effects.intercept_[2], effects.slope_[2]) == (0, 0)
    alone = LabelEffects().fit(g[labels == 1], np.zeros(40, dtype=int), truth[labels == 1], 1)
    np.testing.assert_allclose(moved[1], alone.apply(np.full(1, -2.0), np.zeros(1, dtype=int)) + 2, rtol=1e-9)


@pytest.mark.parametrize("value", [True, False])
def test_labels_of_one_class_only_stay_finite(value):
    g = np.linspace(-8, 2, 1000)
    effects = LabelEffects().fit(g, np.zeros(1000, dtype=int), np.full(1000, value), 1)
    best = minimize(
        loss,
        [0, 0],
        (g, np.full(1000, value)),
        bounds=[(None, None), (-0.5, 0.5)],
        method="L-BFGS-B",
        tol=1e-12,
    )
    assert loss([effects.intercept_[0], effects.slope_[0]], g, value) <= best.fun + 1e-3


def test_no_labels_to_correct():
    nothing = np.zeros(0)
    effects = LabelEffects().fit(nothing, nothing.astype(int), nothing > 0, 0)
    assert effects.apply(nothing, nothing.astype(int)).shape == effects.slope_.shape == (0,)


def test_undo_undoes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 4000)
    g = rng.normal(-2, 3, 4000)
    truth = rng.random(4000) < expit(g * np.linspace(0.3, 2, 5)[labels] + np.linspace(-1, 1, 5)[labels])
    effects = LabelEffects().fit(g, labels, truth, 5)
    assert np.abs(effects.slope_).max() <= 0.5
    corrected = effects.apply(g, labels)
    np.testing.assert_allclose(effects.undo(corrected, labels), g, atol=1e-12)
    assert (np.sign(corrected[labels == 0] - g[labels == 0]).std()) > 0  # something was done
    rising = np.argsort(g[labels == 2])
    assert (np.diff(corrected[labels == 2][rising]) > 0).all()
    for infinite in (np.inf, -np.inf):
        assert (effects.undo(np.full(5, infinite), np.arange(5)) == infinite).all()
