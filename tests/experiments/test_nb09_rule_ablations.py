"""Notebook 09: each change is to one thing of our rule; the same figures as in notebook 08; comparisons."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced
from scipy.special import expit, logit

from adathresh import NeighborLabels
from adathresh.experiments import nb09_rule_ablations as study
from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.rules import (
    OURS,
    WITH_TEXTS,
    Prediction,
    all_predictions,
    fitted_choice,
    our_choices,
)
from adathresh.metrics import macro_f1, micro_f1
from adathresh.posthoc.threshold import InSampleScoresWarning

pytestmark = pytest.mark.usefixtures("shared_cache")


@pytest.fixture(scope="module")
def found(config, ds):
    return study.ablation_predictions(config, ds)


@pytest.fixture(scope="module")
def drawn(ds):
    """Label sets that are drawn at random, by the name of every change."""
    rng = np.random.default_rng(0)
    names = (OURS, *study.PARTS, *study.SETTINGS, WITH_TEXTS)
    sets = [sp.csr_array((rng.random(ds.test.Y.shape) < 0.4).astype(np.float32)) for _ in names]
    return {name: [Prediction(each, each)] for name, each in zip(names, sets, strict=True)}


@pytest.fixture(scope="module")
def seen(config, ds):
    return crossfitted(config, ds, "linear", seed=0)


@pytest.fixture(scope="module")
def fitted(ds, seen):
    """Our rule and its input for the test rows."""
    return fitted_choice(ds, our_choices(("linear",), seen)[OURS], [seen], seed=0)


# --- what is changed ---


@pytest.mark.slow
def test_every_change_is_made_and_changes_what_the_rule_says(found):
    assert list(found) == [OURS, *study.PARTS, *study.SETTINGS[:-1], WITH_TEXTS]
    ours = found[OURS][0]
    for name, (prediction,) in found.items():
        if name not in (OURS, study.ONE_THRESHOLD, "adaptive, approximate neighbours"):  # of so few rows, all
            assert (prediction.probabilities != ours.probabilities).nnz, name
    one = found[study.ONE_THRESHOLD][0]
    assert (one.label_sets != ours.label_sets).nnz


@pytest.mark.slow
def test_what_notebook_08_shows_has_the_same_name_and_figure_here(config, ds, found):
    of_08 = all_predictions(config, ds, "linear", seed=0)
    shared = set(of_08) & set(found)
    assert shared == {OURS, "adaptive, no neighbours", "adaptive, linear", WITH_TEXTS}
    for name in shared:
        assert (of_08[name].label_sets != found[name][0].label_sets).nnz == 0
    fused = of_08["global threshold, fused"].label_sets
    assert (fused != found[study.ONE_THRESHOLD][0].label_sets).nnz == 0


@pytest.mark.parametrize(("n_dimensions", "made"), [(59, True), (60, False)])
def test_rows_are_reduced_to_fewer_dimensions_only(config, ds, monkeypatch, n_dimensions, made):
    name = study.SETTINGS[-1]
    monkeypatch.setitem(study.SEARCHES, name, {"n_dimensions": n_dimensions})
    monkeypatch.setattr(
        study, "on_every_base", lambda work, config, ds, changes: [{change: 0} for change in changes]
    )
    assert ds.train.X.shape[1] == 60
    assert (name in study.ablation_predictions(config, ds)) == made


def test_without_label_texts_there_is_no_such_change(config, make_dataset, monkeypatch):
    monkeypatch.setattr(
        study, "on_every_base", lambda work, config, ds, changes: [{change: 0} for change in changes]
    )
    assert WITH_TEXTS not in study.ablation_predictions(config, make_dataset())


@pytest.mark.slow
def test_labels_of_test_rows_change_no_label_set(config, ds, found, empty_cache):
    empty_cache("second")
    others = replaced(ds, Y_test=ds.test.Y[np.random.default_rng(0).permutation(50)])
    again = study.ablation_predictions(config, others)
    for name, (prediction,) in found.items():
        assert (again[name][0].label_sets != prediction.label_sets).nnz == 0, name


def test_without_a_change_the_shares_are_those_of_the_rule(config, ds, titled):
    for data in (ds, titled):
        for shares, expected in zip(
            study._shares(data, seed=0), crossfitted(config, data, "linear", seed=0).local, strict=True
        ):
            assert list(shares) == list(expected)
            for name in shares:
                np.testing.assert_allclose(shares[name].toarray(), expected[name].toarray(), atol=1e-6)


@pytest.mark.parametrize("search", [{"any_fold": True}, {"n_neighbors": 5}])
def test_each_row_is_given_the_shares_of_its_neighbours(ds, search):
    rows, folds = fitting_rows(ds, seed=0)
    of_fitting, of_test = study._shares(ds, seed=0, **search)
    apart = rows.groups if search.pop("any_fold", False) else folds
    for row in range(0, rows.X.shape[0], 20):
        others = np.flatnonzero(apart != apart[row])
        knn = NeighborLabels(**search).fit(rows.X[others], rows.Y[others])
        np.testing.assert_allclose(
            of_fitting["neighbours"][[row]].toarray(), knn.transform(rows.X[[row]]).toarray(), atol=1e-6
        )
    of_all = NeighborLabels(**search).fit(rows.X, rows.Y).transform(ds.test.X)
    np.testing.assert_allclose(of_test["neighbours"].toarray(), of_all.toarray(), atol=1e-6)


def test_as_many_dimensions_as_features_change_no_share_and_fewer_do(titled):
    whole, turned, few = (study._shares(titled, seed=0, n_dimensions=n) for n in (None, 60, 5))
    for part in range(2):
        for name in ("neighbours", "neighbours by title"):
            expected = whole[part][name].toarray()
            np.testing.assert_allclose(turned[part][name].toarray(), expected, atol=1e-5)
            assert np.abs(few[part][name].toarray() - expected).max() > 0.1


def test_in_sample_scores_are_those_of_the_model_that_has_seen_the_rows(config, ds, seen):
    rows = fitting_rows(ds, seed=0).rows
    model = make_base_model(config, ds, "linear", seed=0).fit(rows.X, rows.Y)
    scores = study._changed(config, ds, seen, study.IN_SAMPLE, seed=0).scores
    np.testing.assert_allclose(sp.csr_array(scores[0]).toarray(), model.top_scores(rows.X).toarray())
    assert scores[1] is seen.scores[1]
    truth = rows.Y.toarray() == 1
    of_true = [
        np.asarray(part.toarray())[truth].mean() for part in map(sp.csr_array, (scores[0], seen.scores[0]))
    ]
    assert of_true[0] > of_true[1] + 0.1


def test_scores_that_are_known_to_be_in_sample_are_not_warned_of(config, ds, seen, monkeypatch):
    def warned(*args, **kwargs):
        warnings.warn("in-sample", InSampleScoresWarning, stacklevel=1)
        return None, None

    monkeypatch.setattr(study, "fitted_choice", warned)
    monkeypatch.setattr(study, "_decided", lambda name, rule, at_test: {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study._refitted(config, ds, seen, study.IN_SAMPLE, seed=0)
    with pytest.warns(InSampleScoresWarning):
        study._refitted(config, ds, seen, study.ANY_FOLD, seed=0)


def test_without_rarity_all_labels_are_equally_rare_and_the_same_ones_impossible(config, make_dataset):
    ds, others = make_dataset(), sp.diags_array((np.arange(12) != 4).astype(np.float32))
    ds = replaced(ds, **{f"Y_{part}": sp.csr_array(ds.splits[part].Y @ others) for part in ("train", "dev")})
    seen = crossfitted(config, ds, "linear", seed=0)
    rule, (scores, signals) = study._fitted_without_rarity(ds, seen, seed=0)
    assert len(set(np.delete(rule.idf_.idf_, 4))) == 1
    whole, _ = fitted_choice(ds, our_choices(("linear",), seen)[OURS], [seen], seed=0)
    assert list(rule.impossible_) == list(whole.impossible_) == [4]
    assert rule.evaluation_rows == whole.evaluation_rows == 50
    assert rule.decide(scores, **signals).label_sets.nnz


def test_a_correction_with_the_rules_own_weight_changes_nothing(ds, fitted):
    rule, (scores, signals) = fitted
    again = study._corrected(rule, fitting_labels(ds), 1.0)
    np.testing.assert_allclose(again.effects_.intercept_, rule.effects_.intercept_, atol=1e-6)
    np.testing.assert_allclose(again.label_thresholds_, rule.label_thresholds_, atol=1e-6)
    same, ours = (each.decide(scores, **signals).label_sets for each in (again, rule))
    assert (same != ours).nnz == 0


def test_no_correction_leaves_the_fusion_as_it_is(ds, fitted):
    rule, (scores, signals) = fitted
    before = rule.effects_.intercept_.copy(), rule.label_thresholds_.copy()
    plain = study._corrected(rule, fitting_labels(ds), study.CORRECTIONS[study.NO_CORRECTION])
    assert not plain.effects_.intercept_.any()
    assert not plain.effects_.slope_.any()
    probabilities = rule.predict_proba(scores, **signals)
    fused = expit(rule.effects_.undo(logit(probabilities.data), probabilities.indices))
    np.testing.assert_allclose(plain.predict_proba(scores, **signals).data, fused)
    chosen = plain.retarget("macro_f1").label_thresholds_  # those for the new probabilities
    np.testing.assert_array_equal(plain.label_thresholds_, chosen)
    np.testing.assert_array_equal(rule.effects_.intercept_, before[0])  # the rule itself stays
    np.testing.assert_array_equal(rule.label_thresholds_, before[1])


def test_a_correction_that_is_not_shrunk_makes_every_label_right_on_average(ds, fitted):
    rule, _ = fitted
    Y = fitting_labels(ds)
    free = study._corrected(rule, Y, study.CORRECTIONS[study.NOT_SHRUNK])
    compared = 0
    for label in range(Y.shape[1]):
        stored = free.fitted_probabilities_[:, [label]].tocoo()
        n_true = Y[:, [label]].toarray()[stored.row, 0].sum()
        if 5 <= n_true <= stored.nnz - 5:
            compared += 1
            assert stored.data.sum() == pytest.approx(n_true, rel=0.02)
            shrunk = rule.fitted_probabilities_[:, [label]].sum()
            assert abs(shrunk - n_true) >= abs(stored.data.sum() - n_true)
    assert compared > 3


# --- tables ---


def test_there_is_a_row_for_every_change_and_seed(config, ds, drawn):
    two = dataclasses.replace(config, seeds=2)
    doubled = {name: [one, drawn[OURS][0]] for name, (one,) in drawn.items()}
    rows = study.ablation_rows(two, ds, doubled)
    assert [(row["rule"], row["seed"]) for row in rows] == [(name, seed) for name in drawn for seed in (0, 1)]
    for row in rows[::2]:
        assert row["macro_f1"] == pytest.approx(macro_f1(ds.test.Y, drawn[row["rule"]][0].label_sets))
        assert (row["base"], row["method"], row["mode"]) == ("linear", "adathresh", "inductive")
    assert {row["macro_f1"] for row in rows[1::2]} == {rows[0]["macro_f1"]}


def test_the_rule_is_compared_with_every_change_also_bin_by_bin(config, ds, drawn):
    table = pd.DataFrame(study.ablation_differences(config, ds, drawn))
    frequency = fitting_labels(ds).toarray().sum(axis=0)
    bins = {
        "macro_f1_1_5": (frequency >= 1) & (frequency <= 5),
        "macro_f1_6_20": (frequency >= 6) & (frequency <= 20),
        "macro_f1_21_100": (frequency >= 21) & (frequency <= 100),
        "macro_f1_over_100": frequency > 100,
        "macro_f1": frequency >= 0,
    }
    bins = {name: labels for name, labels in bins.items() if labels.any()}
    assert len(bins) > 2
    assert set(table["metric"]) == {"micro_f1", *bins}
    assert set(table["a"]) == {OURS}
    truth = ds.test.Y.toarray()
    ours = drawn[OURS][0].label_sets.toarray()
    for metric, of_metric in table.groupby("metric"):
        assert list(of_metric["b"]) == list(drawn)[1:]
        for row in of_metric.itertuples():
            theirs = drawn[row.b][0].label_sets.toarray()
            if metric == "micro_f1":
                expected = micro_f1(truth, ours) - micro_f1(truth, theirs)
            else:
                expected = macro_f1(truth[:, bins[metric]], ours[:, bins[metric]])
                expected -= macro_f1(truth[:, bins[metric]], theirs[:, bins[metric]])
            assert row.difference == pytest.approx(expected)
            assert row.low <= row.high


# --- what is read off the tables ---


def made_up(metric="macro_f1", **differences):
    """Differences of all changes, ± 0.05: 0 but for those that are named by their part or setting."""
    names = [*study.PARTS, *study.SETTINGS, WITH_TEXTS]
    assert set(differences) <= set(names)
    return [
        {
            "a": OURS,
            "b": name,
            "metric": metric,
            "difference": value,
            "low": value - 0.05,
            "high": value + 0.05,
        }
        for name, value in {**dict.fromkeys(names, 0.0), **differences}.items()
    ]


def finding(macro, micro):
    rows = made_up(**macro) + made_up("micro_f1", **micro) + made_up("macro_f1_1_5", **{study.NO_RARITY: 0.9})
    return study.finding({"rule_ablation_differences": pd.DataFrame(rows)})


def test_the_finding_names_the_part_that_adds_most_and_what_the_others_do():
    text = finding(
        {
            study.IN_SAMPLE: 0.3,
            study.NO_RARITY: -0.2,
            study.ONE_THRESHOLD: 0.1,
            WITH_TEXTS: 0.9,
            study.BOOSTED: 0.4,
        },
        {study.IN_SAMPLE: 0.1, study.NOT_SHRUNK: -0.1, study.ONE_THRESHOLD: -0.1},
    )
    assert text == (
        "Of the parts of `adaptive` on the linear model's scores, cross-fitting adds most macro-F1: +0.3000 "
        "(95 % interval +0.2500 to +0.3500) against the rule without it. A clear effect is also found for "
        "the rarity signal (IDF), −0.2000 (−0.2500 to −0.1500) and a threshold for each label, +0.1000 "
        "(+0.0500 to +0.1500); none that can be told from chance for the neighbour signal (KNN), taking "
        "neighbours from the other folds alone, each label's correction and the shrinkage of each label's "
        "correction. Micro-F1 is clearly greater with cross-fitting, clearly smaller with the shrinkage of "
        "each label's correction and a threshold for each label. Of 9 other settings of base model, "
        "fusion and neighbours, macro-F1 is clearly greater with none, clearly smaller with boosted; label "
        "texts, where they are added, change it by −0.9000 (−0.9500 to −0.8500) and micro-F1 by +0.0000 "
        "(−0.0500 to +0.0500)."
    )


def test_the_finding_says_nothing_of_label_texts_where_there_are_none():
    rows = pd.DataFrame(made_up() + made_up("micro_f1"))
    text = study.finding({"rule_ablation_differences": rows[rows["b"] != WITH_TEXTS]})
    assert text.endswith("macro-F1 is clearly greater with none, clearly smaller with none.")


def test_the_finding_says_where_no_part_adds_anything():
    text = finding({study.NO_RARITY: 0.04, study.SETTINGS[0]: -0.06, study.SETTINGS[3]: -0.07}, {})
    assert text.startswith(
        "No part of `adaptive` can be shown to add macro-F1 on the linear model's scores; the rarity signal "
        "(IDF) comes closest, with +0.0400 (95 % interval −0.0100 to +0.0900). Of the other parts "
        "(cross-fitting, the neighbour signal (KNN), taking neighbours from the other folds alone, each "
        "label's correction, the shrinkage of each label's correction and a threshold for each label) none "
        "has an effect that can be told from chance. Micro-F1"
    )
    assert "Micro-F1 is clearly greater with none, clearly smaller with none." in text
    assert (
        "macro-F1 is clearly greater with linear and 5 neighbours, clearly smaller with none; label" in text
    )


def test_claims_are_about_all_labels():
    rows = made_up(**{study.NO_RARITY: 0.2}) + made_up("micro_f1") + made_up("macro_f1_1_5")
    claims = study.claims({"rule_ablation_differences": pd.DataFrame(rows)})
    assert len(claims) == 2 * len(made_up())
    above = [claim["claim"] for claim in claims if claim["outcome"] == "above 0"]
    assert above == ["Macro-F1 of 'adaptive' minus that of 'adaptive, no rarity'"]


def test_bins_are_shown_in_order_with_a_star_where_0_is_left_out():
    rows = made_up(**{study.NO_RARITY: 0.01}) + made_up("micro_f1")
    rows += made_up("macro_f1_1_5") + made_up("macro_f1_over_100", **{study.NO_RARITY: -0.2})
    table = study.by_bin(rows)
    assert list(table) == ["macro_f1", "macro_f1_1_5", "macro_f1_over_100"]
    assert list(table.index)[:2] == ["in-sample scores", "no rarity"]
    assert list(table.loc["no rarity"]) == ["+0.0100", "+0.0000", "−0.2000 *"]
    assert table.index[-1] == WITH_TEXTS


def test_the_bars_are_the_differences_of_the_parts_in_each_bin():
    values = {name: 0.01 * at for at, name in enumerate(study.PARTS)}
    of_common = made_up("macro_f1_over_100", **dict.fromkeys(values, 0.2))
    rows = pd.DataFrame(made_up() + made_up("macro_f1_1_5", **values) + of_common)
    figure = study.plot_by_bin(rows.assign(high=rows["high"] + 0.02))
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1–5", "> 100"]
    bars = [container for container in axes.containers if hasattr(container, "patches")]
    assert [bar.patches[0].get_height() for bar in bars] == pytest.approx(list(values.values()))
    assert [bar.patches[1].get_height() for bar in bars] == [0.2] * len(values)
    drawn = [segment[:, 1] for lines in axes.collections for segment in lines.get_segments()]
    np.testing.assert_allclose(drawn[0], (-0.05, 0.07))
    assert len(drawn) == 2 * len(values)
