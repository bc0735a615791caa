"""Every base model under every main rule: rows, costs, the choice of the rival, nothing from test rows."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from helpers import replaced

from adathresh.experiments.core.base_models import base_model_names, chosen_strength
from adathresh.experiments.core.costs import COSTS
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.rules import MAIN_RIVALS, MAIN_RULES, main_predictions
from adathresh.experiments.nb02_baselines import judging
from adathresh.experiments.nb02_baselines.judging import (
    compared_rows,
    judge,
    judge_all,
    rivals_in_cross_validation,
)
from adathresh.metrics import macro_f1
from adathresh.rules import FixedThreshold, SCut

pytestmark = pytest.mark.usefixtures("shared_cache")


@pytest.fixture(scope="module")
def judged(config, ds):
    return judge(config, ds, "linear", seed=0)


def test_rivals_are_judged_on_rows_that_they_were_not_fitted_on(config, ds, monkeypatch):
    folds = np.arange(130) % 3
    monkeypatch.setattr(judging, "draw_folds", lambda *_, **__: folds)
    scores, Y = crossfitted(config, ds, "linear", seed=0).scores[0], fitting_labels(ds)
    found = rivals_in_cross_validation(config, ds, "linear", seed=0)
    assert list(found) == list(MAIN_RIVALS)
    for name, rule in (("fixed 0.5", FixedThreshold(0.5)), ("SCut", SCut())):
        predicted = np.zeros(Y.shape)
        for fold in range(3):
            rule.fit(scores[folds != fold], Y[folds != fold])
            predicted[folds == fold] = rule.predict(scores[folds == fold]).toarray()
        assert found[name] == pytest.approx(macro_f1(Y, predicted))
    in_sample = SCut().fit(scores, Y).predict(scores)
    assert found["SCut"] < macro_f1(Y, in_sample)


def test_groups_stay_together_and_folds_are_not_those_of_the_scores(config, ds, monkeypatch):
    drawn = []
    draw = judging.draw_folds
    monkeypatch.setattr(judging, "draw_folds", lambda *a, **k: drawn.append(draw(*a, **k)) or drawn[-1])
    rivals_in_cross_validation(config, ds, "linear", seed=0)
    (folds,) = drawn
    rows, of_scores = fitting_rows(ds, seed=0)
    assert all(len(set(folds[rows.groups == group])) == 1 for group in rows.groups)
    assert (folds != of_scores).any()


@pytest.mark.slow
def test_the_rival_is_chosen_in_cross_validation_and_never_on_test_rows(config, ds, judged):
    by_rule = {row["rule"]: row["macro_f1"] for row in judged.rows}
    tried = {row["rule"]: row["macro_f1_in_cross_validation"] for row in judged.rivals}
    best = max(tried, key=tried.get)
    assert judged.gap == {
        "base": "linear",
        "seed": 0,
        "fixed": by_rule["fixed 0.5"],
        "best_rival": by_rule[best],
        "adaptive": by_rule["adaptive"],
    }
    other = judge(config, replaced(ds, Y_test=ds.test.Y[::-1]), "linear", seed=0)
    assert other.rivals == judged.rivals
    assert other.gap != judged.gap
    assert {row["base"] for row in judged.rows} == {judged.base} == {"linear"}


def test_rows_are_those_of_the_main_rules(config, ds, judged):
    predictions = main_predictions(config, ds, "linear", seed=0)
    assert {row["rule"] for row in judged.rows} == set(MAIN_RULES)
    for row in judged.rows:
        expected = macro_f1(ds.test.Y, predictions[row["rule"]].label_sets)
        assert row["macro_f1"] == pytest.approx(expected)
        assert row["strength"] == chosen_strength(config, ds, "linear")
    by_rule = {row["rule"]: row for row in judged.rows}
    differences = compared_rows(config, ds, [judged])
    assert {row["b"] for row in differences} == set(MAIN_RIVALS)
    for row in differences:
        ours, other = (by_rule[name][row["metric"]] for name in ("adaptive", row["b"]))
        assert row["a"] == "adaptive"
        assert row["difference"] == pytest.approx(ours - other)


def test_differences_are_over_all_seeds_at_once(config, ds, judged):
    other = judged._replace(label_sets={**judged.label_sets, "adaptive": judged.label_sets["fixed 0.5"]})
    alone, same = (compared_rows(config, ds, found) for found in ([judged], [other]))
    both = compared_rows(config, ds, [judged, other])
    for one, two, mean in zip(alone, same, both, strict=True):
        assert (mean["base"], mean["b"], mean["metric"]) == (one["base"], one["b"], one["metric"])
        assert mean["difference"] == pytest.approx((one["difference"] + two["difference"]) / 2)


def test_rows_say_what_model_and_rule_cost(config, ds, judged):
    found = pd.DataFrame(judged.rows)[list(COSTS)]
    assert (found.drop(columns="peak_memory_mb") >= 0).all(axis=None)
    assert found["rule_seconds"].nunique() > 1  # each rule its own
    model = crossfitted(config, ds, "linear", seed=0).cost._asdict()
    pd.testing.assert_frame_equal(found[list(model)], pd.DataFrame([model] * len(found)))


def test_base_models_come_in_order_with_their_seeds(config, ds, monkeypatch):
    trained = []
    monkeypatch.setattr(judging, "crossfit_all", lambda config, ds, names: trained.extend(names))
    monkeypatch.setattr(judging, "judge", lambda config, ds, base, *, seed: (base, seed))
    two = dataclasses.replace(config, seeds=2)
    names = base_model_names(two, ds)
    assert judge_all(two, ds) == [(name, seed) for name in names for seed in (0, 1)]
    assert trained == names
