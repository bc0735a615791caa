"""The registry of base models: what each is, where it suits, and that validation rows choose its strength."""

import dataclasses
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.metrics import f1_score

from adathresh.experiments.core import base_models
from adathresh.experiments.core.base_models import (
    BASE_MODELS,
    BaseModel,
    base_model_names,
    chosen_strength,
    make_base_model,
    resumable,
    rows_of,
    validation_macro_f1,
)
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.metrics import macro_f1
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.transformer import FineTunedTransformer
from adathresh.rules.global_threshold import GlobalThreshold

pytestmark = pytest.mark.usefixtures("tiny_profile")

FULL = RunConfig(dataset="tiny", profile="full")
OF_TEXTS = ("linear, first words", "MiniLM, frozen", "MiniLM, label queries", "MiniLM, fine-tuned")
OF_TITLES = ("linear, titles",)


def permuted(matrix):
    return matrix[np.random.default_rng(1).permutation(matrix.shape[0])]


# --- the registry ---


@pytest.mark.parametrize("name", BASE_MODELS)
def test_every_strength_is_a_parameter_of_its_model_and_every_candidate_makes_another_model(ds, name):
    entry = BASE_MODELS[name]
    made = [base_models._with_strength(FULL, ds, name, strength, seed=0) for strength in entry.grid]
    for model, strength in zip(made, entry.grid, strict=True):
        assert model.get_params()[entry.strength] == strength
    assert len({repr(model) for model in made}) == len(entry.grid) == len(set(entry.grid))


@pytest.mark.parametrize("name", BASE_MODELS)
def test_every_entry_says_what_it_is_in_one_sentence(name):
    what = BASE_MODELS[name].what
    assert what.endswith(".")
    assert ". " not in what


@pytest.mark.parametrize("name", BASE_MODELS)
def test_models_follow_the_seed_or_have_none(ds, name):
    first, again, other = (BASE_MODELS[name].make(FULL, ds, seed) for seed in (0, 0, 1))
    assert repr(first) == repr(again)
    seeded = any(key.endswith("random_state") for key in first.get_params())
    assert (repr(first) != repr(other)) == seeded


@pytest.mark.parametrize(
    ("n_labels", "has", "profile", "missing"),
    [
        (100, set(), "quick", {*OF_TITLES, *OF_TEXTS, "label tree"}),
        (101, set(), "quick", {*OF_TITLES, *OF_TEXTS, "extra trees"}),
        (100, {"texts"}, "quick", {*OF_TITLES, *OF_TEXTS, "label tree"}),
        (101, {"texts"}, "full", {*OF_TITLES, "extra trees"}),
        (101, {"texts", "titles"}, "full", {"extra trees"}),
    ],
)
def test_models_are_trained_where_they_suit(make_dataset, n_labels, has, profile, missing):
    config = RunConfig(dataset="tiny", profile=profile)
    names = base_model_names(config, make_dataset(n_labels, **dict.fromkeys(has, True)))
    assert names == [name for name in BASE_MODELS if name not in missing]


def test_many_rows_get_label_trees_too(config, make_dataset, monkeypatch):
    ds = make_dataset()
    monkeypatch.setattr(base_models, "MANY_ROWS", 90)
    assert {"extra trees"} == {"extra trees", "label tree"} & set(base_model_names(config, ds))
    monkeypatch.setattr(base_models, "MANY_ROWS", 89)
    assert {"label tree"} == {"extra trees", "label tree"} & set(base_model_names(config, ds))


def test_the_network_is_left_out_where_labels_are_too_many(config, make_dataset, monkeypatch):
    ds = make_dataset()
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(PROFILES["quick"], network_labels=12))
    assert "network" in base_model_names(config, ds)
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(PROFILES["quick"], network_labels=11))
    assert "network" not in base_model_names(config, ds)


def test_a_linear_model_of_many_labels_is_trained_on_the_negatives_that_neighbours_name(config, make_dataset):
    few, many = (BASE_MODELS["linear"].make(config, make_dataset(n), 0) for n in (100, 101))
    assert few.shortlist is None
    assert many.shortlist is not None


def test_the_network_has_no_thresholds_of_its_own(config, ds):
    model = BASE_MODELS["network"].make(config, ds, 5)
    expected = {"fixed_threshold": 0.0, "margin_weight": 0.0, "use_knn": False, "pos_weight": 1.0}
    expected |= {"hidden_layers": (8,), "batch_size": 32, "max_epochs": 4, "patience": 4, "random_state": 5}
    assert expected.items() <= model.get_params().items()


def test_words_are_those_of_the_profile(ds):
    model = BASE_MODELS["linear, first words"].make(FULL, ds, 0)
    assert model.max_words == FULL.numbers.first_words > 0


# --- the choice of the strength ---


@pytest.mark.slow
def test_a_strength_is_judged_by_the_best_global_threshold_on_validation_rows(config, ds):
    model = LinearOneVsRest(C=0.3, random_state=0).fit(ds.train.X, ds.train.Y)
    scores, truth = model.top_scores(ds.validation.X).toarray(), ds.validation.Y.toarray()
    tried = [
        f1_score(truth, scores >= value, average="macro", zero_division=0)
        for value in np.unique(scores[scores > 0])
    ]
    assert validation_macro_f1(config, ds, "linear", 0.3) == pytest.approx(max(tried))


@pytest.mark.parametrize(
    ("reached", "chosen"),
    [([0.1, 0.2, 0.3], 3.0), ([0.3, 0.2, 0.1], 1.0), ([0.1, 0.4, 0.4], 0.3), ([0.2, 0.2, 0.2], 1.0)],
)
def test_the_best_strength_is_chosen_and_the_first_of_equals(config, ds, monkeypatch, reached, chosen):
    grid = BASE_MODELS["linear"].grid
    assert grid == (1.0, 0.3, 3.0)
    by_strength = dict(zip(grid, reached, strict=True))
    monkeypatch.setattr(
        base_models, "validation_macro_f1", lambda config, ds, name, strength: by_strength[strength]
    )
    assert chosen_strength(config, ds, "linear") == chosen
    model = make_base_model(config, ds, "linear", seed=4)
    assert (model.C, model.random_state) == (chosen, 4)


def test_labels_of_test_rows_choose_nothing(config, ds, empty_cache):
    own = [validation_macro_f1(config, ds, "linear", strength) for strength in BASE_MODELS["linear"].grid]
    assert len(set(own)) > 1
    for name, Y in (("permuted", permuted(ds.test.Y)), ("none", sp.csr_array(ds.test.Y.shape))):
        empty_cache(name)
        other = replaced(ds, Y_test=Y, X_test=ds.test.X[::-1])
        assert [validation_macro_f1(config, other, "linear", s) for s in BASE_MODELS["linear"].grid] == own
        assert chosen_strength(config, other, "linear") == chosen_strength(config, ds, "linear")


def test_labels_of_validation_rows_do_choose(config, ds):
    other = replaced(ds, Y_dev=permuted(ds.validation.Y))
    for strength in BASE_MODELS["linear"].grid:
        own, permuted_ = (validation_macro_f1(config, rows, "linear", strength) for rows in (ds, other))
        assert permuted_ < own, strength


def test_models_are_judged_on_rows_that_they_were_not_trained_on(config, ds, monkeypatch):
    seen = []

    class Spy(LinearOneVsRest):
        def fit(self, X, Y):
            seen.append(("fit", X is ds.train.X, Y is ds.train.Y))
            return super().fit(X, Y)

        def top_scores(self, X, **options):
            seen.append(("scores", X is ds.validation.X))
            return super().top_scores(X, **options)

    entry = BaseModel(what="A spy.", make=lambda config, ds, seed: Spy(), strength="C", grid=(1.0,))
    monkeypatch.setitem(BASE_MODELS, "spy", entry)
    validation_macro_f1(config, ds, "spy", 1.0)
    assert seen == [("fit", True, True), ("scores", True)]


def test_a_strength_is_judged_once_and_with_the_runs_first_seed(config, ds, monkeypatch):
    judged = []
    judge = base_models._judge
    monkeypatch.setattr(base_models, "_judge", lambda *given: judged.append(given[2]) or judge(*given))
    two = dataclasses.replace(config, seeds=2, random_state=7)
    for _ in range(2):
        for seed in two.seed_list:
            assert make_base_model(two, ds, "linear", seed=seed).random_state == seed
    assert [(model.C, model.random_state) for model in judged] == [(1.0, 7), (0.3, 7), (3.0, 7)]
    make_base_model(config, ds, "linear", seed=0)  # another first seed
    assert len(judged) == 6


@pytest.mark.parametrize("change", ["labels", "features", "groups", "fingerprint"])
def test_other_rows_are_judged_anew(config, ds, monkeypatch, change):
    validation_macro_f1(config, ds, "linear", 1.0)
    changed = {
        "labels": {"Y_train": permuted(ds.train.Y)},
        "features": {"X_train": permuted(ds.train.X)},
        "groups": {"groups_train": None},
        "fingerprint": {"fingerprint": "f" * 64},
    }[change]
    judged = []
    monkeypatch.setattr(base_models, "_judge", lambda *_: judged.append(1) or {"macro_f1": np.array(0.5)})
    validation_macro_f1(config, replaced(ds, **changed), "linear", 1.0)
    assert judged


# --- texts, checkpoints, packages ---


def test_models_of_texts_read_texts_those_of_titles_titles_and_all_others_features(titled):
    rows = titled.test
    for name in BASE_MODELS:
        expected = rows.titles if name in OF_TITLES else rows.texts if name in OF_TEXTS else rows.X
        assert rows_of(name, rows) is expected, name


def test_a_model_of_titles_is_judged_on_titles(config, titled, monkeypatch):
    """It is the same model as one of texts, so that only what it reads tells the stored results apart."""
    of_titles = validation_macro_f1(config, titled, "linear, titles", 1.0)
    model = BASE_MODELS["linear, titles"].make(config, titled, 0).set_params(head__C=1.0)
    model.fit(titled.train.titles, titled.train.Y)
    scores = model.top_scores(titled.validation.titles)
    predicted = GlobalThreshold("macro_f1").fit(scores, titled.validation.Y).predict(scores)
    assert of_titles == pytest.approx(macro_f1(titled.validation.Y, predicted))
    reads_texts = dataclasses.replace(BASE_MODELS["linear, titles"], reads="texts")
    monkeypatch.setitem(BASE_MODELS, "linear, titles", reads_texts)
    assert validation_macro_f1(config, titled, "linear, titles", 1.0) > of_titles + 0.1


def test_a_fine_tuning_leaves_no_checkpoint(tiny_profile):
    model = FineTunedTransformer(max_steps=3)
    with resumable(model, "one") as first:
        assert first.max_steps == 3
        assert first.checkpoint_dir.parent == tiny_profile / "fine-tuning"
        first.checkpoint_dir.mkdir(parents=True)
        (first.checkpoint_dir / "step").write_text("1")
    assert list((tiny_profile / "fine-tuning").iterdir()) == []
    assert model.checkpoint_dir is None


def test_an_interrupted_fine_tuning_keeps_its_checkpoint_and_finds_it_again(tiny_profile):
    folders = []

    def interrupted():
        with resumable(FineTunedTransformer(), "one") as first:
            first.checkpoint_dir.mkdir(parents=True)
            folders.append(first.checkpoint_dir)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert folders[0].is_dir()
    others = (FineTunedTransformer(), "two"), (FineTunedTransformer(random_state=1), "one")
    for model, identity in ((FineTunedTransformer(), "one"), *others):
        with resumable(model, identity) as again:
            folders.append(again.checkpoint_dir)
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3


def test_models_without_checkpoints_are_left_as_they_are(tiny_profile):
    model = LinearOneVsRest()
    with resumable(model, "one") as same:
        assert same is model
    assert not (tiny_profile / "fine-tuning").exists()


@pytest.mark.parametrize(
    ("name", "module", "n_labels", "extra"),
    [
        ("label tree", "omikuji", 101, "trees"),
        ("MiniLM, frozen", "sentence_transformers", 12, "transformers"),
        ("MiniLM, label queries", "sentence_transformers", 12, "transformers"),
    ],
)
def test_a_missing_package_is_an_error_that_names_the_extra(
    make_dataset, monkeypatch, name, module, n_labels, extra
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=rf"adathresh\[{extra}\]"):
        make_base_model(FULL, make_dataset(n_labels, texts=True), name, seed=0)
