"""Every rule on the same cross-fitted scores: what is fitted, what each rule is given, no test label."""

import dataclasses
import time
from threading import Thread

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import flat_dataset, replaced
from joblib import Parallel, delayed
from sklearn.base import clone

from adathresh import NeighborLabels
from adathresh.datasets import make_longtail
from adathresh.experiments import nb08_decision_rules as study
from adathresh.experiments.core import signals as source
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.studies import rule_rows
from adathresh.metrics import macro_f1
from adathresh.models.linear import LinearOneVsRest
from adathresh.posthoc.crossfit import out_of_fold_scores
from adathresh.posthoc.threshold import AdaptiveThreshold

SIZES = {"train": 150, "dev": 60, "test": 90}
MODEL = LinearOneVsRest("log", random_state=0)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def ds():
    X, Y = make_longtail(300, 60, 12, labels_per_row=2, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    names = [f"word{chr(97 + i)}" for i in range(12)]
    texts = {
        f"text_{split}": [" ".join(names[j] for j in Y[[i]].indices) for i in range(rows.start, rows.stop)]
        for split, rows in parts.items()
    }
    return flat_dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        **texts,
        groups_train=np.arange(150) // 3,
        groups_dev=1000 + np.arange(60) // 3,
        label_names=names,
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint="0123456789abcdef" * 4,
        validation_source="official",
    )


@pytest.fixture(scope="module")
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture(scope="module")
def seen(ds):
    return source.signals(ds, "linear", MODEL, seed=0)


def test_models_and_rules_are_fitted_on_training_and_dev_rows(ds):
    rows = source.fitting_rows(ds, seed=0)
    np.testing.assert_array_equal(rows.X.toarray(), sp.vstack([ds.train.X, ds.validation.X]).toarray())
    np.testing.assert_array_equal(rows.Y.toarray(), sp.vstack([ds.train.Y, ds.validation.Y]).toarray())
    assert sorted(set(rows.folds)) == [0, 1, 2]
    assert all(len(set(rows.folds[rows.groups == group])) == 1 for group in rows.groups)
    assert (source.fitting_rows(ds, seed=1).folds != rows.folds).any()
    alone = source.fitting_rows(replaced(ds, groups_train=None, groups_dev=None), seed=0)
    assert alone.groups is None


def test_signals_are_out_of_fold_and_leave_the_group_out(ds, seen):
    rows = source.fitting_rows(ds, seed=0)
    held_out = out_of_fold_scores(MODEL, rows.X, rows.Y, rows.folds, n_labels=12)
    np.testing.assert_array_equal(seen.scores[0].toarray(), held_out.toarray())
    shares = NeighborLabels().fit_transform(rows.X, rows.Y, groups=rows.groups)
    np.testing.assert_allclose(seen.local[0].toarray(), shares.toarray(), atol=1e-6)
    assert [part.shape for part in (*seen.scores, *seen.local, *seen.affinity)] == [(210, 12), (90, 12)] * 3


def test_likeness_reads_texts_and_names_only(ds, seen):
    truth, likeness = ds.test.Y.toarray() > 0, seen.affinity[1].toarray()
    np.testing.assert_array_equal(likeness > 0, truth)  # these texts are the names of the labels
    wordless = replaced(ds, text_train=None, text_dev=None, text_test=None)
    without = source.signals(wordless, "linear", MODEL, seed=0)
    assert without.affinity is None
    rules = study.adaptive_rules(wordless, without, seed=0)
    assert not any("texts" in name for name in rules)


def test_test_labels_change_no_prediction(ds, seen):
    before = study.all_predictions(ds, seen, seed=0)
    others = replaced(ds, Y_test=ds.test.Y[np.random.default_rng(0).permutation(90)])
    after = study.all_predictions(others, seen, seed=0)
    for name, prediction in before.items():
        np.testing.assert_array_equal(
            prediction.label_sets.toarray(), after[name].label_sets.toarray(), err_msg=name
        )


def test_every_rule_gets_what_its_name_says(ds, seen):
    rows, found = source.fitting_rows(ds, seed=0), study.all_predictions(ds, seen, seed=0)
    for name, (rule, mode) in study.rival_rules(rows.Y).items():
        expected = rule.fit(seen.scores[0], rows.Y).predict(seen.scores[1])
        np.testing.assert_array_equal(found[name].label_sets.toarray(), expected.toarray(), err_msg=name)
        assert found[name].mode == mode
    for name, target in (("adaptive", "macro_f1"), ("adaptive, macro + micro", "macro_micro_f1")):
        ours = AdaptiveThreshold(target, evaluation_rows=90, random_state=0)
        ours.fit(seen.scores[0], rows.Y, folds=rows.folds, local=seen.local[0])
        expected = ours.predict(seen.scores[1], local=seen.local[1])
        np.testing.assert_array_equal(found[name].label_sets.toarray(), expected.toarray(), err_msg=name)
    modes = {name: entry.mode for name, entry in found.items()}
    assert {name for name, mode in modes.items() if mode == "transductive"} == {
        "block coordinate",
        "adaptive, transductive",
    }
    with_texts = macro_f1(ds.test.Y, found["adaptive + label texts"].label_sets)
    assert with_texts > macro_f1(ds.test.Y, found["adaptive"].label_sets) + 0.1


def test_every_base_model_is_cut_with_every_seed(config, ds, seen, monkeypatch):
    def signals(config, ds, *, seed):
        for base, seconds in (("first", 1.0), ("second", 2.0)):
            yield base, seen._replace(seconds=seconds + seed)

    monkeypatch.setattr(study, "all_signals", signals)
    found = study.every_prediction(dataclasses.replace(config, seeds=2), ds)
    assert [entry[:3] for entry in found] == [
        (0, "first", 1.0),
        (0, "second", 2.0),
        (1, "first", 2.0),
        (1, "second", 3.0),
    ]
    for seed, *_, predictions in found[::2]:
        expected = study.all_predictions(ds, seen, seed=seed)
        assert list(predictions) == list(expected)
        assert all((predictions[name].label_sets != expected[name].label_sets).nnz == 0 for name in expected)


def test_base_models_may_train_in_processes_of_their_own(config, ds, seen, monkeypatch):
    """A training that starts while another base model is cut must not wait for ever."""

    def signals(config, ds, *, seed):
        for base in ("first", "second", "third", "fourth"):
            time.sleep(1)  # what was asked for before is done
            assert Parallel(2, backend="loky")(delayed(abs)(-i) for i in range(4)) == [0, 1, 2, 3]
            yield base, seen

    monkeypatch.setattr(study, "all_signals", signals)
    monkeypatch.setattr(study, "all_predictions", lambda ds, seen, *, seed: seed)
    found = []
    work = Thread(target=lambda: found.extend(study.every_prediction(config, ds)), daemon=True)
    work.start()
    work.join(timeout=60)
    assert [entry[1] for entry in found] == ["first", "second", "third", "fourth"]


def test_transductive_is_the_same_fusion_cut_for_the_batch(ds, seen):
    rows, found = source.fitting_rows(ds, seed=0), study.all_predictions(ds, seen, seed=0)
    batch = AdaptiveThreshold(evaluation_rows=90, transductive=True, random_state=0)
    batch.fit(seen.scores[0], rows.Y, folds=rows.folds, local=seen.local[0])
    expected = batch.predict(seen.scores[1], local=seen.local[1])
    prediction = found["adaptive, transductive"]
    np.testing.assert_array_equal(prediction.label_sets.toarray(), expected.toarray())
    assert (prediction.probabilities != found["adaptive"].probabilities).nnz == 0


def test_rows_of_the_table(config, ds, seen):
    found = study.all_predictions(ds, seen, seed=0)
    table = rule_rows(config, ds, "linear", found, seed=0, metrics=study.crossfit_metrics)
    assert [row["rule"] for row in table] == list(found)
    frequency = sp.vstack([ds.train.Y, ds.validation.Y]).sum(axis=0)
    for row in table:
        label_sets = found[row["rule"]].label_sets
        assert row["macro_f1"] == pytest.approx(macro_f1(ds.test.Y, label_sets))
        rare = (frequency > 5) & (frequency <= 20)
        assert row["macro_f1_6_20"] == pytest.approx(macro_f1(ds.test.Y[:, rare], label_sets[:, rare]))


def test_ours_is_compared_with_every_rule_over_all_seeds(config, ds, seen):
    repeated = [study.all_predictions(ds, seen, seed=seed) for seed in (0, 1)]
    table = study.compared_rows(config, ds, repeated, base="linear")
    for ours in ("adaptive", "adaptive + label texts"):
        rows = [row for row in table if row["a"] == ours and row["metric"] == "macro_f1"]
        assert [row["b"] for row in rows] == [rule for rule in repeated[0] if rule != ours]
        for row in rows:
            differences = [
                macro_f1(ds.test.Y, found[ours].label_sets) - macro_f1(ds.test.Y, found[row["b"]].label_sets)
                for found in repeated
            ]
            assert row["difference"] == pytest.approx(np.mean(differences))
            assert row["low"] <= row["difference"] <= row["high"]
    with_texts = next(row for row in table if row["a"] != "adaptive" and row["b"] == "adaptive")
    assert with_texts["low"] > 0
    without = [{k: v for k, v in found.items() if "texts" not in k} for found in repeated]
    assert {row["a"] for row in study.compared_rows(config, ds, without, base="linear")} == {"adaptive"}


def test_all_base_models_together(config, ds):
    *alone, (name, together) = source.all_signals(config, ds, seed=0)
    assert name == source.TOGETHER
    assert [base for base, _ in alone] == ["linear", "network"]
    for i, (_, one) in enumerate(alone):
        for part in (0, 1):
            assert (together.scores[part][i] != one.scores[part]).nnz == 0
    mean = [sum(one.scores[part].toarray() for _, one in alone) / 2 for part in (0, 1)]
    for ours, expected in zip(together.mean_scores(), mean, strict=True):
        np.testing.assert_allclose(ours.toarray(), expected, rtol=1e-6)
    found = study.all_predictions(ds, together, seed=0)
    np.testing.assert_allclose(found["F*/2"].probabilities.toarray(), mean[1], rtol=1e-6)
    rows = source.fitting_rows(ds, seed=0)
    ours = AdaptiveThreshold(evaluation_rows=90, random_state=0)
    ours.fit(together.scores[0], rows.Y, folds=rows.folds, local=together.local[0])
    expected = ours.predict(together.scores[1], local=together.local[1])
    np.testing.assert_array_equal(found["adaptive"].label_sets.toarray(), expected.toarray())


def test_the_full_profile_reads_the_first_words_of_texts(ds):
    full = RunConfig(dataset="tiny", profile="full")
    model = source.base_models(full, ds, seed=0)["linear, first words"]
    assert model.max_words == full.numbers.first_words
    seen = source.signals(ds, "linear, first words", model, seed=0)
    rows = source.fitting_rows(ds, seed=0)
    held_out = out_of_fold_scores(model, rows.texts, rows.Y, rows.folds, n_labels=12)
    np.testing.assert_array_equal(seen.scores[0].toarray(), held_out.toarray())
    on_all = clone(model).fit([*ds.train.texts, *ds.validation.texts], rows.Y).top_scores(ds.test.texts)
    np.testing.assert_array_equal(seen.scores[1].toarray(), on_all.toarray())
    wordless = replaced(ds, text_train=None, text_dev=None, text_test=None)
    assert "linear, first words" not in source.base_models(full, wordless, seed=0)


@pytest.mark.parametrize(
    ("n_labels", "names"),
    [
        (100, ["linear", "network"]),
        (101, ["linear", "label tree", "network"]),
        (1001, ["linear", "label tree"]),
    ],
)
def test_base_models_of_few_and_of_many_labels(config, ds, n_labels, names):
    wide = replaced(ds, Y_train=sp.csr_array((150, n_labels), dtype=np.float32))
    models = source.base_models(config, wide, seed=0)
    assert list(models) == names
    assert (models["linear"].shortlist is None) == (n_labels <= 100)
    full = source.base_models(RunConfig(dataset="tiny", profile="full"), wide, seed=0)
    assert "network" in full
