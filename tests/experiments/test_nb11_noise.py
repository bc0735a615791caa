"""Notebook 11: what is done to which labels, what the rules see of it, and what the correction computes."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh.experiments import nb11_noise as study
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.rules import OURS, Prediction, fitted_choice, main_predictions, our_choices
from adathresh.experiments.nb11_noise import CLEAN, CORRECTED, EXPECTED, MISSING, ONE, WRONG, Noise
from adathresh.metrics import macro_f1, micro_f1, psp_at_k
from adathresh.posthoc.targets import label_thresholds

pytestmark = pytest.mark.usefixtures("shared_cache")

HALF = Noise(MISSING, 0.5)


@pytest.fixture(scope="module")
def found(config, ds):
    return study.rules_under_noise(config, ds)


@pytest.fixture
def labels():
    """300 rows, every fifth without labels, of 12 labels that are the rarer the higher their number."""
    rng = np.random.default_rng(0)
    Y = rng.random((300, 12)) < np.linspace(0.6, 0.05, 12)
    Y[::5] = False
    return sp.csr_array(Y.astype(np.float32))


def noisy(Y, noise, seed=0):
    return study.noisy_labels(Y, noise, np.random.default_rng(seed))


def of(found, kind):
    return next(entry for entry in found if entry.noise.kind == kind)


# What is done to the labels


def test_noises_begin_with_none_and_are_those_of_the_profile(ds):
    quick = study.noises(RunConfig(dataset="tiny"), ds)
    assert [noise.name for noise in quick] == ["clean", "50 % missing", "50 % wrong", "one label a row"]
    full = study.noises(RunConfig(dataset="tiny", profile="full"), ds)
    assert [noise.amount for noise in full if noise.kind == WRONG] == [0.1, 0.3, 0.5]
    Y = fitting_labels(ds).toarray()
    assert quick[-1].amount == pytest.approx(1 - (Y.sum(axis=1) > 0).sum() / Y.sum())


def test_what_changes_nothing_is_left_out(config, ds):
    one_label = replaced(ds, **{f"Y_{split}": rows.Y[:, [0]] for split, rows in ds.splits.items()})
    assert [noise.kind for noise in study.noises(config, one_label)] == [CLEAN, MISSING]
    single = sp.csr_array(np.eye(12, dtype=np.float32)[np.zeros(90, dtype=int)])
    one_a_row = replaced(ds, Y_train=single, Y_dev=single[:40])
    assert ONE not in [noise.kind for noise in study.noises(config, one_a_row)]


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5])
def test_missing_labels_are_so_many_of_the_labels(labels, amount):
    left = noisy(labels, Noise(MISSING, amount))
    assert left.nnz == labels.nnz - round(amount * labels.nnz)
    assert not ((left.toarray() == 1) & (labels.toarray() == 0)).any()
    assert (left.toarray() != noisy(labels, Noise(MISSING, amount), seed=1).toarray()).any()


def test_what_is_missing_of_few_is_missing_of_many(labels):
    few, many = (noisy(labels, Noise(MISSING, amount)).toarray() for amount in (0.1, 0.5))
    assert (many <= few).all()
    assert many.sum() < few.sum()


def test_moved_labels_are_as_many_in_every_row_and_new_there(labels):
    before, after = labels.toarray(), noisy(labels, Noise(WRONG, 0.3)).toarray()
    assert np.isin(after, (0, 1)).all()
    np.testing.assert_array_equal(after.sum(axis=1), before.sum(axis=1))
    assert (before > after).sum() == (after > before).sum() == round(0.3 * before.sum())


def test_moved_labels_are_drawn_by_frequency():
    """Label 0 is moved to labels 1 and 2 in proportion to their 600 and 200 rows, never to label 3."""
    Y = np.zeros((2_800, 4), dtype=np.float32)
    Y[:2_000, 0] = Y[2_000:2_600, 1] = Y[2_600:, 2] = 1
    lost = np.arange(2_800) < 2_000
    moved = study._moved(sp.csr_array(Y), lost, np.random.default_rng(0)).toarray()
    np.testing.assert_array_equal(moved[2_000:], Y[2_000:])
    assert moved[:2_000].sum(axis=0)[[0, 3]].tolist() == [0, 0]
    assert moved[:2_000, 1].mean() == pytest.approx(0.75, abs=0.03)


def test_a_row_with_all_labels_keeps_them():
    Y = sp.csr_array(np.array([[1, 1, 1], [1, 1, 0]], dtype=np.float32))
    moved = study._moved(Y, np.ones(5, dtype=bool), np.random.default_rng(0)).toarray()
    assert moved.sum(axis=1).tolist() == [3, 2]
    assert moved[1, 2] == 1


def test_one_label_a_row_is_one_of_its_labels_each_as_often():
    Y = sp.csr_array(np.tile(np.array([[1, 0, 1, 1], [0, 0, 0, 0]], dtype=np.float32), (900, 1)))
    left = noisy(Y, Noise(ONE, 2 / 3)).toarray()
    assert (left <= Y.toarray()).all()
    assert (left.sum(axis=1) == np.tile([1, 0], 900)).all()
    np.testing.assert_allclose(left[::2].mean(axis=0)[[0, 2, 3]], 1 / 3, atol=0.05)


def test_only_labels_of_training_and_validation_rows_are_noisy(ds):
    made = study.corrupted(ds, HALF, seed=0)
    assert made.test is ds.test
    expected = noisy(fitting_labels(ds), HALF).toarray()
    np.testing.assert_array_equal(made.train.Y.toarray(), expected[:90])
    np.testing.assert_array_equal(made.validation.Y.toarray(), expected[90:])
    assert made.train.X is ds.train.X
    assert made.train.groups is ds.train.groups


def test_every_noise_has_a_fingerprint_of_its_own(config, ds):
    assert study.corrupted(ds, Noise(CLEAN, 0.0), seed=0) is ds
    prints = [
        study.corrupted(ds, noise, seed=seed).fingerprint
        for noise in study.noises(config, ds)[1:]
        for seed in (0, 1)
    ]
    assert len({ds.fingerprint, *prints}) == 7
    assert prints[0] == study.corrupted(ds, HALF, seed=0).fingerprint


# What the rules make of them


@pytest.mark.slow
def test_on_clean_labels_figures_are_those_of_notebook_02(config, ds, found):
    main, clean = main_predictions(config, ds, "linear", seed=0), of(found, CLEAN).predictions
    assert set(clean) == set(study.RULES)
    for rule in set(main) & set(clean):
        assert (clean[rule].label_sets != main[rule].label_sets).nnz == 0, rule
        assert (clean[rule].probabilities != main[rule].probabilities).nnz == 0, rule


def test_rules_see_no_test_label(config, ds, found):
    blind = replaced(ds, Y_test=sp.csr_array(np.ones(ds.test.Y.shape, dtype=np.float32)))
    again = study._rules_under(config, blind, HALF, seed=0).predictions
    by_rule = of(found, MISSING).predictions
    assert set(by_rule) == {*study.RULES, EXPECTED + CORRECTED, OURS + CORRECTED}
    for rule, prediction in by_rule.items():
        assert (again[rule].label_sets != prediction.label_sets).nnz == 0, rule


@pytest.mark.slow
def test_under_noise_rules_are_those_of_notebook_02_on_the_noisy_data_set(config, ds, found):
    by_rule = of(found, MISSING).predictions
    noisy_ds = study.corrupted(ds, HALF, seed=0)
    expected = main_predictions(config, noisy_ds, "linear", seed=0)
    for rule in ("SCutFBR", EXPECTED, OURS):
        assert (by_rule[rule].label_sets != expected[rule].label_sets).nnz == 0, rule


def test_wrong_labels_have_no_correction(found):
    assert set(of(found, WRONG).predictions) == set(study.RULES)


def test_dividing_stops_at_one():
    divided = study.divided(sp.csr_array([[0.0, 0.2, 0.8]]), 0.5)
    assert divided.toarray().tolist() == [[0.0, 0.4, 1.0]]
    assert divided.nnz == 2


@pytest.fixture(scope="module")
def fitted(config, ds):
    """Our rule, fitted on labels half of which are missing, with these labels and what it says."""
    made = study.corrupted(ds, HALF, seed=0)
    seen = crossfitted(config, made, "linear", seed=0)
    rule, (scores, signals) = fitted_choice(made, our_choices(("linear",), seen)[OURS], [seen], seed=0)
    return rule, fitting_labels(made), rule.decide(scores, **signals)


def test_with_all_labels_left_the_correction_changes_nothing(fitted):
    rule, Y, _ = fitted
    np.testing.assert_allclose(study.corrected_thresholds(rule, Y, 1.0), rule.label_thresholds_)


def test_corrected_thresholds_are_those_of_twice_as_many_positives_candidates_or_not():
    """Of the two positives of label 0 that are seen one is no candidate: two of four there are."""
    Y = sp.csr_array(np.array([[1, 0], [0, 0], [0, 0], [1, 0]], dtype=np.float32))
    P = np.array([[0.3, 0.1], [0.1, 0.0], [0.2, 0.4], [0.0, 0.2]])
    rule = SimpleNamespace(
        fitted_probabilities_=sp.csr_array(P), target="macro_f1", target_value=None, evaluation_rows=6
    )
    expected = label_thresholds(
        "macro_f1",
        None,
        np.nonzero(P)[1],
        2 * P[P > 0],
        n_labels=2,
        n_rows=4,
        evaluation_rows=6,
        uncovered=np.array([2.0, 0.0]),
    )
    np.testing.assert_allclose(study.corrected_thresholds(rule, Y, 0.5), expected)


def test_corrected_label_sets_are_the_pairs_above_the_threshold(found, fitted):
    rule, Y, decision = fitted
    prediction = of(found, MISSING).predictions[OURS + CORRECTED]
    thresholds = study.corrected_thresholds(rule, Y, 0.5)
    probabilities = decision.probabilities.toarray()
    expected = np.minimum(2 * probabilities, 1) > thresholds
    np.testing.assert_array_equal(prediction.label_sets.toarray(), expected)
    np.testing.assert_allclose(prediction.probabilities.toarray(), np.minimum(2 * probabilities, 1))
    assert expected.sum() > decision.label_sets.sum()


def test_corrected_f_half_is_half_of_the_greatest_f1_of_divided_scores(config, ds, found):
    scores, test = crossfitted(config, study.corrupted(ds, HALF, seed=0), "linear", seed=0).scores
    scores, test = (np.minimum(2 * part.toarray(), 1) for part in (scores, test))
    expected = np.zeros(test.shape, dtype=bool)
    for label in range(12):
        falling = np.sort(scores[:, label])[::-1]
        best = (2 * np.cumsum(falling) / (np.arange(1, 131) + falling.sum())).max()
        expected[:, label] = test[:, label] > best / 2
    prediction = of(found, MISSING).predictions[EXPECTED + CORRECTED]
    np.testing.assert_array_equal(prediction.label_sets.toarray(), expected)


def test_the_estimate_is_the_mean_probability_of_what_is_seen(found, fitted):
    rule, Y, _ = fitted
    seen = zip(*Y.toarray().nonzero(), strict=True)
    expected = np.mean([rule.fitted_probabilities_.toarray()[row, label] for row, label in seen])
    assert of(found, MISSING).estimated["fused"] == pytest.approx(expected)


# Tables


def test_rows_are_measured_on_clean_labels(config, ds, found):
    rows = study.noise_rows(config, ds, found)
    assert len(rows) == 2 * 6 + 2 * 8
    Y = fitting_labels(ds)
    row = next(row for row in rows if row["kind"] == MISSING and row["rule"] == "PCut")
    assert (row["noise"], row["amount"], row["fingerprint"]) == ("50 % missing", 0.5, ds.fingerprint[:16])
    prediction = of(found, MISSING).predictions["PCut"]
    assert row["macro_f1"] == macro_f1(ds.test.Y, prediction.label_sets)
    frequency = Y.toarray().sum(axis=0).astype(int)
    assert row["psp_at_5"] == psp_at_k(ds.test.Y, prediction.probabilities, frequency, 5, n_train=130)


def test_differences_are_means_over_seeds(config, ds):
    rng = np.random.default_rng(0)
    rules = [*study.RULES, EXPECTED + CORRECTED, OURS + CORRECTED]
    entries = [
        study.UnderNoise(
            noise,
            seed,
            {
                rule: Prediction(sp.csr_array((rng.random(ds.test.Y.shape) < 0.3).astype(np.float32)), None)
                for rule in rules[: 8 if noise.is_missing else 6]
            },
            {},
        )
        for noise in (HALF, Noise(WRONG, 0.5))
        for seed in (0, 1)
    ]
    rows = study.compared_rows(config, ds, entries)
    named = {(row["noise"], row["a"], row["b"], row["metric"]): row["difference"] for row in rows}
    assert len(named) == len(rows) == 2 * (5 + 2 + 5)
    assert {b for _, a, b, _ in named if a == OURS + CORRECTED} == {OURS, EXPECTED + CORRECTED}
    for (noise, a, b, metric), difference in named.items():
        measure = {"macro_f1": macro_f1, "micro_f1": micro_f1}[metric]
        of_noise = [entry.predictions for entry in entries if entry.noise.name == noise]
        ours, others = (
            [measure(ds.test.Y, predicted[rule].label_sets) for predicted in of_noise] for rule in (a, b)
        )
        assert difference == pytest.approx(np.mean(ours) - np.mean(others))


def test_the_share_left_is_told_where_no_label_is_wrong(ds, found):
    rows = study.kept_rows(found)
    assert [row["kind"] for row in rows] == [CLEAN, MISSING, ONE]
    for row in rows:
        left = fitting_labels(study.corrupted(ds, of(found, row["kind"]).noise, seed=0)).nnz
        assert row["kept"] == pytest.approx(left / fitting_labels(ds).nnz, abs=0.002)
        estimated = of(found, row["kind"]).estimated
        assert (row["estimated_from_scores"], row["estimated_from_fused"]) == tuple(estimated.values())


def test_every_line_of_the_figure_begins_at_the_clean_labels(config, ds, found):
    rows = study.noise_rows(config, ds, found)
    figure = study.plot_noise(rows)
    value = {(row["kind"], row["rule"]): row["macro_f1"] for row in rows}
    assert [axes.get_title() for axes in figure.axes] == list(study._PANELS.values())
    for axes, kind in zip(figure.axes, (MISSING, WRONG, ONE), strict=True):
        assert len(axes.lines) == (6 if kind == WRONG else 8)
        assert axes.get_ylim()[0] == 0
        for line in axes.lines:
            rule = line.get_label()
            plain = rule.removesuffix(CORRECTED)
            assert line.get_ydata().tolist() == [value[CLEAN, plain], value[kind, rule]]
            assert line.get_linestyle() == ("-" if rule == plain else "--")


# Claims and finding


def tables(*, gain=0.02, rival=0.3, one=True):
    """Tables of adaptive, 0.4 on clean labels and 0.2 elsewhere, a rival and the correction's gain."""
    noises = [Noise(CLEAN, 0.0), Noise(MISSING, 0.1), HALF, Noise(WRONG, 0.5)]
    noises += [Noise(ONE, 0.8)] if one else []
    rows, differences = [], []
    for noise in noises:
        ours = 0.4 if noise.kind == CLEAN else 0.2
        values = {"fixed 0.5": ours / 4, "PCut": rival, OURS: ours}
        values |= {OURS + CORRECTED: ours + gain} if noise.is_missing else {}
        columns = {"noise": noise.name, **noise._asdict()}
        rows += [
            {**columns, "rule": rule, "seed": 0, "macro_f1": value, "ece_all": 0.01 - value / 100}
            for rule, value in values.items()
        ]
        for a, others in ((OURS, ("fixed 0.5", "PCut")), (OURS + CORRECTED, (OURS,))):
            for b in others if a in values else ():
                difference = values[a] - values[b]
                interval = {"low": difference - 0.05, "high": difference + 0.05}
                differences += [
                    {**columns, "a": a, "b": b, "metric": metric, "difference": difference, **interval}
                    for metric in ("macro_f1", "micro_f1")
                ]
    kept = [
        {"noise": "clean", "kept": 1.0, "estimated_from_fused": 0.3},
        {"noise": "50 % missing", "kept": 0.5, "estimated_from_fused": 0.45},
    ]
    return {
        "noise": pd.DataFrame(rows),
        "noise_differences": pd.DataFrame(differences),
        "kept": pd.DataFrame(kept),
    }


def test_claims_are_who_leads_every_difference_and_what_the_correction_does():
    outcomes = {claim["claim"]: claim["outcome"] for claim in study.claims(tables())}
    leads = f"{OURS} has the greatest macro-F1 of the rules without correction, "
    assert [outcomes[leads + name] for name in ("clean", "50 % missing")] == ["yes", "no"]
    assert outcomes["Macro-F1 of adaptive minus that of PCut, clean"] == "above 0"
    assert outcomes["Micro-F1 of adaptive minus that of PCut, 50 % missing"] == "below 0"
    assert outcomes["Macro-F1 of adaptive, corrected minus that of adaptive, 50 % missing"] == "level"
    assert outcomes["ECE of adaptive is less with the correction, one label a row"] == "yes"
    assert "ECE of adaptive is less with the correction, 50 % wrong" not in outcomes
    worse = {claim["claim"]: claim["outcome"] for claim in study.claims(tables(gain=-0.02))}
    assert worse["ECE of adaptive is less with the correction, one label a row"] == "no"
    estimate = "The estimated share of labels left is off by at most 0.1, "
    assert [outcomes[estimate + name] for name in ("clean", "50 % missing")] == ["no", "yes"]


def test_the_finding_is_of_the_greatest_amounts():
    text = study.finding(tables())
    assert text.startswith(
        "Of its macro-F1 on clean labels `adaptive` keeps 50 % with 50 % of the labels missing, 50 % with "
        "50 % of the labels wrong and 50 % with one label a row; `fixed 0.5` keeps 50 %, 50 % and 50 %. The "
        "macro-F1 of `adaptive` minus that of the best rival rule is then −0.1000 (95 % interval −0.1500 to "
        "−0.0500) against `PCut`, −0.1000 (−0.1500 to −0.0500) against `PCut` and"
    )
    assert text.endswith(
        "changes its macro-F1 by +0.0200 (−0.0300 to +0.0700) with 50 % of the labels missing and +0.0200 "
        "(−0.0300 to +0.0700) with one label a row."
    )
    assert "10 %" not in text


def test_the_finding_names_the_closest_rival_and_the_corrections_cost():
    text = study.finding(tables(rival=0.01, gain=-0.1, one=False))
    assert "is then +0.1500 (95 % interval +0.1000 to +0.2000) against `fixed 0.5` and +0.1500" in text
    assert "one label a row" not in text
    assert text.endswith("by −0.1000 (−0.1500 to −0.0500) with 50 % of the labels missing.")
