"""Notebook 16: what is read of a data set, what the validation rows choose, and what is said of the heads."""

import dataclasses
import io

import numpy as np
import pytest
from helpers import replaced

from adathresh.experiments import nb16_label_queries as module
from adathresh.experiments.core import known_tokens
from adathresh.experiments.core.config import PROFILES
from adathresh.experiments.core.data import all_texts
from adathresh.experiments.core.known_tokens import KnownTokens
from adathresh.experiments.core.results import as_csv, read_table
from adathresh.experiments.nb16_label_queries import (
    LINEAR,
    MEAN,
    METHODS,
    NO_TEXTS,
    PAIRS,
    QUERIES,
    REPEATED,
    Sizes,
    claims,
    finding,
    head_tables,
    part_of,
    plot_attention,
    plot_differences,
    shown_tables,
)
from adathresh.metrics import macro_f1
from adathresh.models.label_queries import TokenStates

pytestmark = pytest.mark.usefixtures("shared_cache", "made_up_states")


@pytest.fixture(scope="module")
def made_up_states():
    """Give every word a vector of its own in place of a transformer's, and read all of the small data set."""
    vectors = {}

    def vector(word):
        rng = np.random.default_rng(sum(map(ord, word)) * 31 + len(word))
        return vectors.setdefault(word, rng.normal(size=8))

    def states(ds, max_length):
        texts = sorted(all_texts(ds))
        words = [["[CLS]", *text.split()][:max_length] for text in texts]
        values = np.array([vector(word) for text in words for word in text], dtype=np.float16)
        known = TokenStates(values, np.cumsum([len(text) for text in words]))
        return KnownTokens(known, {text: row for row, text in enumerate(texts)})

    with pytest.MonkeyPatch.context() as patch:
        for reader in (module, known_tokens):
            patch.setattr(reader, "known_tokens", states)
        patch.setattr(
            module,
            "_tokens_of",
            lambda text, max_length: ["[CLS]", *text.split()][:max_length],
        )
        patch.setattr(module, "SIZES", dict.fromkeys(PROFILES, Sizes(100, 100, 100, 24)))
        steps = {"max_epochs": 30, "learning_rate": 0.03}
        patch.setattr(module, "GRIDS", {head: [steps, {**steps, "max_epochs": 1}] for head in module.GRIDS})
        yield


def read_back(tables):
    return {name: read_table(io.StringIO(as_csv(rows))) for name, rows in tables.items()}


@pytest.fixture(scope="module")
def tables(config, ds):
    return read_back(head_tables(config, ds))


def test_the_most_frequent_labels_and_some_rows_are_read(config, ds, monkeypatch):
    monkeypatch.setitem(module.SIZES, "quick", Sizes(40, 30, 5, 8))
    part = part_of(config, ds)
    assert [rows.Y.shape for rows in part.splits.values()] == [(40, 5), (30, 5), (30, 5)]
    frequency = np.asarray(ds.train.Y.sum(axis=0)).ravel()
    kept = [ds.label_names.index(name) for name in part.label_names]
    assert kept == sorted(kept)
    assert min(frequency[kept]) >= max(np.delete(frequency, kept))
    for text, group, labels in zip(part.train.texts, part.train.groups, part.train.Y, strict=True):
        row = ds.train.texts.index(text)
        assert ds.train.groups[row] == group or ds.train.texts.count(text) > 1
        names = {part.label_names[label] for label in labels.indices}
        assert names == set(text.split()) & set(part.label_names)
    assert part_of(config, ds).train.texts == part.train.texts


def test_all_is_read_where_the_profile_reads_more(config, ds):
    part = part_of(config, ds)
    for rows, all_rows in zip(part.splits.values(), ds.splits.values(), strict=True):
        assert rows.texts == all_rows.texts
        assert (rows.Y != all_rows.Y).nnz == 0


def test_every_head_stands_in_the_table_with_what_it_was_trained_by(tables):
    rows = tables["label_queries"]
    assert tuple(rows["method"]) == METHODS
    assert set(rows["rule"]) == {"global threshold"}
    repeated = rows["method"].isin([REPEATED.format(QUERIES), REPEATED.format(MEAN)])
    assert rows["setting"].str.contains("repeat_below = 0.05").tolist() == repeated.tolist()
    assert (rows["fit_seconds"] > 0).all()


def test_heads_learn_what_words_mean(tables):
    value = tables["label_queries"].set_index("method")["macro_f1"]
    assert value.min() > 0.4  # the words of a text are the names of its labels
    assert value[QUERIES] > value[LINEAR]


def test_differences_are_those_of_the_values_beside_them(tables):
    value = tables["label_queries"].set_index("method")
    rows = tables["label_query_differences"]
    assert [tuple(pair) for pair in rows[["a", "b"]].to_numpy()[::2]] == list(PAIRS)
    for _, row in rows.iterrows():
        difference = value.loc[row["a"], row["metric"]] - value.loc[row["b"], row["metric"]]
        assert row["difference"] == pytest.approx(difference, abs=2e-6)
        assert row["low"] <= row["difference"] <= row["high"]


def test_labels_of_test_rows_choose_nothing(config, ds, empty_cache):
    empty_cache("true")
    settings = module.chosen_settings(config, ds)
    found = module.predictions(config, ds, settings, seed=0)
    empty_cache("other")
    other = replaced(ds, Y_test=ds.test.Y[::-1])
    again = module.predictions(config, other, module.chosen_settings(config, other), seed=0)
    for method in METHODS:
        assert (found[method][0].label_sets != again[method][0].label_sets).nnz == 0


def test_the_full_profile_chooses_by_the_validation_rows(config, ds):
    full = dataclasses.replace(config, profile="full")
    tried = [{"max_epochs": 1, "learning_rate": 0.03}, {"max_epochs": 30, "learning_rate": 0.03}]
    assert module._best(full, ds, QUERIES, tried) == tried[1]
    assert module._best(config, ds, QUERIES, tried) == tried[0]
    scores = module._trained(full, ds, QUERIES, tried[1], seed=0)["validation"]
    rule = module.GlobalThreshold("macro_f1").fit(scores, ds.validation.Y)
    assert macro_f1(ds.validation.Y, rule.predict(scores)) > 0.4


def test_the_text_that_is_shown_is_short_and_has_many_labels(config, ds, monkeypatch):
    monkeypatch.setattr(module, "_SHOWN_TOKENS", 4)
    monkeypatch.setattr(module, "_SHOWN_LABELS", 3)
    arrays = module._train(ds, QUERIES, {"max_epochs": 2}, seed=0, max_length=24, k=5)
    tokens, labels = list(arrays["tokens"]), arrays["labels"]
    assert len(tokens) == 4
    assert tokens[0] == "[CLS]"
    assert set(tokens[1:]) == {ds.label_names[label] for label in labels}
    assert arrays["attention"].shape == (3, 4)
    np.testing.assert_allclose(arrays["attention"].sum(axis=1), 1, rtol=1e-5)


def test_figures_and_tables_are_shown(config, ds, tables):
    assert len(shown_tables(tables)) == 2
    points = plot_differences(tables).axes[0]
    assert len(points.get_yticklabels()) == len(PAIRS)
    heat = plot_attention(config, ds).axes[0]
    assert heat.images[0].get_array().shape == (len(heat.get_yticks()), len(heat.get_xticks()))


def test_what_is_claimed_and_found(tables):
    assert len(claims(tables)) == 2 * len(PAIRS)
    said = finding(tables)
    value = tables["label_queries"].set_index("method")["macro_f1"]
    for method in (QUERIES, MEAN, LINEAR):
        assert f"{value[method]:.3f}" in said


def test_rows_that_are_no_texts_say_so(config, make_dataset):
    ds = make_dataset()
    part = part_of(config, ds)
    assert part.train.texts is None
    assert head_tables(config, part) == {}
    assert claims({}) == []
    assert finding({}) == NO_TEXTS
    assert [shown.data for shown in shown_tables({})] == [NO_TEXTS]
