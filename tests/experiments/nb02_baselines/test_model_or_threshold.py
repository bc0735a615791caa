"""Model or cut: the tables by hand, the choice of the rival, nothing from test rows."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh.experiments.core.costs import COSTS, Cost
from adathresh.experiments.core.families import family_names, family_scores
from adathresh.experiments.core.models import BaseScores
from adathresh.experiments.nb02_baselines import model_or_threshold as model_or_cut
from adathresh.experiments.nb02_baselines.model_or_threshold import (
    embed_texts,
    gap_parts,
    gap_sentence,
    judge,
    judge_families,
    rivals_on_dev,
    trained_families,
)
from adathresh.metrics import macro_f1
from adathresh.rules import FixedCut, PerLabelCut

pytestmark = pytest.mark.usefixtures("tiny_profile")

GAP = [
    {"base": "a", "seed": 0, "fixed": 0.1, "best_rival": 0.3, "adaptive": 0.4},
    {"base": "b", "seed": 0, "fixed": 0.2, "best_rival": 0.25, "adaptive": 0.5},
    {"base": "a", "seed": 1, "fixed": 0.2, "best_rival": 0.2, "adaptive": 0.3},
    {"base": "b", "seed": 1, "fixed": 0.1, "best_rival": 0.4, "adaptive": 0.6},
]


def test_the_parts_of_the_gap_by_hand():
    first, second = gap_parts(GAP)
    assert first == pytest.approx(
        {
            "seed": 0,
            "weakest_fixed": 0.1,
            "gain_model": 0.1,
            "gain_cut": 0.2,
            "gain_fusion": 0.3,
            "gain_both": 0.4,
            "spread_fixed": 0.1,
            "spread_best_rival": 0.05,
            "spread_adaptive": 0.1,
        }
    )
    assert second["gain_cut"] == pytest.approx(0.3)  # of b, which is the weakest of this seed
    assert second["gain_both"] == second["gain_fusion"] == pytest.approx(0.5)


def test_the_sentence_says_the_shares():
    sentence = gap_sentence([row for row in GAP if row["seed"] == 0])
    assert sentence == (
        "from a at 0.5 (0.100) to b with adaptive (0.500), the best model at 0.5 alone covers 25% of the "
        "way, the best rival cut of a's own scores 50%, adaptive on them 75%; the families lie 0.100 apart "
        "at 0.5 and 0.100 with adaptive."
    )


def test_rivals_are_judged_on_dev_rows_that_they_were_not_fitted_on(config, make_dataset, monkeypatch):
    ds = make_dataset()
    folds = np.arange(40) % 3
    monkeypatch.setattr(model_or_cut, "draw_folds", lambda *_, **__: folds)
    scores = family_scores(config, ds, "linear SVM", seed=0)
    found = rivals_on_dev(ds, scores)
    assert "adaptive" not in found
    assert len(found) == 7
    for name, rule in (("fixed 0.5", FixedCut(0.5)), ("SCut", PerLabelCut())):
        predicted = np.zeros(ds.validation.Y.shape)
        for fold in range(3):
            rule.fit(scores.dev[folds != fold], ds.validation.Y[folds != fold])
            predicted[folds == fold] = rule.predict(scores.dev[folds == fold]).toarray()
        assert found[name] == pytest.approx(macro_f1(ds.validation.Y, predicted))
    in_sample = PerLabelCut().fit(scores.dev, ds.validation.Y).predict(scores.dev)
    assert found["SCut"] < macro_f1(ds.validation.Y, in_sample)


def test_groups_of_dev_rows_stay_together(make_dataset, monkeypatch):
    ds = replaced(
        make_dataset(), groups_train=np.arange(90), groups_dev=np.arange(40) // 4, groups_test=np.arange(50)
    )
    drawn = []
    draw = model_or_cut.draw_folds
    monkeypatch.setattr(model_or_cut, "draw_folds", lambda *a, **k: drawn.append(draw(*a, **k)) or drawn[-1])
    scores = sp.csr_array(np.random.default_rng(0).random((40, 12)))
    rivals_on_dev(ds, BaseScores(scores, scores, Cost(0.0, 0.0, 0.0)))
    (folds,) = drawn
    assert all(len(set(folds[ds.validation.groups == group])) == 1 for group in range(10))


def test_the_rival_is_chosen_on_dev_rows_and_never_on_test_rows(config, make_dataset):
    ds = make_dataset()
    judged = judge(config, ds, "linear SVM", seed=0)
    by_rule = {row["rule"]: row["macro_f1"] for row in judged.rows}
    dev = {row["rule"]: row["dev_macro_f1"] for row in judged.rivals}
    best = max(dev, key=dev.get)
    assert judged.gap == {
        "base": "linear SVM",
        "seed": 0,
        "fixed": by_rule["fixed 0.5"],
        "best_rival": by_rule[best],
        "adaptive": by_rule["adaptive"],
    }
    other = judge(config, replaced(ds, Y_test=ds.test.Y[::-1]), "linear SVM", seed=0)
    assert other.rivals == judged.rivals
    assert other.gap != judged.gap
    assert {row["base"] for row in judged.rows + judged.differences} == {"linear SVM"}


def test_rows_say_what_model_and_rule_cost(config, make_dataset):
    for family in ("linear", "neighbours", "linear SVM"):
        judged = judge(config, make_dataset(), family, seed=0)
        found = pd.DataFrame(judged.rows)[list(COSTS)]
        assert (found.drop(columns="peak_memory_mb") >= 0).all(axis=None)
        assert found["rule_seconds"].nunique() > 1  # each rule its own
        model = family_scores(config, make_dataset(), family, seed=0).cost._asdict()
        pd.testing.assert_frame_equal(found[list(model)], pd.DataFrame([model] * len(found)))


def test_families_come_in_order_with_their_seeds(config, make_dataset):
    ds, two = make_dataset(), dataclasses.replace(config, seeds=2)
    judged = judge_families(two, ds)
    found = [(row.gap["base"], row.gap["seed"]) for row in judged]
    assert found == [(family, seed) for family in family_names(two, ds) for seed in (0, 1)]
    assert len({row["rule"] for family in judged for row in family.rows}) == 8


def test_every_text_is_embedded_once_and_none_where_there_are_none(config, make_dataset, monkeypatch):
    seen = []
    monkeypatch.setattr(model_or_cut, "_embed", lambda texts, n_tokens: seen.append((texts, n_tokens)))
    embed_texts(config, make_dataset())
    assert seen == []
    ds = make_dataset(texts=True)
    embed_texts(config, ds)
    embedded = sorted(text for texts, _ in seen for text in texts)
    assert embedded == sorted([*ds.train.texts, *ds.validation.texts, *ds.test.texts])
    assert {n_tokens for _, n_tokens in seen} == {8}


def test_dense_one_vs_rest_weights_are_not_tried_where_they_do_not_fit(config, make_dataset, monkeypatch):
    ds = make_dataset()  # 60 features, 12 labels
    monkeypatch.setattr(model_or_cut, "_MAX_DENSE_WEIGHTS", 720)
    assert trained_families(config, ds) == family_names(config, ds)
    monkeypatch.setattr(model_or_cut, "_MAX_DENSE_WEIGHTS", 719)
    assert trained_families(config, ds) == [name for name in family_names(config, ds) if name != "linear"]
