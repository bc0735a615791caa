"""Notebook 14: what is read as a block, scored with one missing, chosen without test rows, and said of it."""

import dataclasses
import importlib.util
import io

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from helpers import replaced
from sklearn.base import clone
from sklearn.preprocessing import normalize

from adathresh.experiments.core.base_models import make_base_model
from adathresh.experiments.core.config import PROFILES
from adathresh.experiments.core.fold_scores import ALL_ROWS, fitting_rows, fold_scores
from adathresh.experiments.core.results import as_csv, read_table
from adathresh.experiments.core.rules import Prediction
from adathresh.experiments.nb14_blocks import claims, finding, layers, scoring, showing, study, views
from adathresh.experiments.nb14_blocks.scoring import (
    ALL,
    ALONE,
    EQUAL,
    FUSED,
    LINEAR,
    MISSING,
    NEIGHBORS,
    NETWORK,
)
from adathresh.experiments.nb14_blocks.views import BOTH, CHOSEN_LAYERS, HALVES, LAYERS, TITLES, WORDS
from adathresh.metrics import macro_f1, micro_f1
from adathresh.posthoc import AdaptiveThreshold
from adathresh.posthoc.crossfit import base_scores
from adathresh.signals import greedy_block_weights

BASES = (NEIGHBORS, LINEAR, NETWORK)
"""The models of a data set of few labels."""

pytestmark = pytest.mark.usefixtures("shared_cache", "no_transformer")


@pytest.fixture
def no_transformer(monkeypatch):
    """Let no transformer read texts, as in the quick profile."""
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(PROFILES["quick"], text_tokens=0))


@pytest.fixture
def with_layers(monkeypatch):
    """Read some tokens, and give every text vectors that are made up."""
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(PROFILES["quick"], text_tokens=8))

    def vectors(config, ds, names):
        texts = sorted({text for rows in ds.splits.values() for text in rows.texts})
        rng = np.random.default_rng(0)
        made = {name: rng.standard_normal((len(texts), 3)).astype(np.float32) for name in names}
        return made, {text: row for row, text in enumerate(texts)}

    monkeypatch.setattr(layers, "layer_vectors", vectors)


@pytest.fixture(scope="module")
def paired(titled):
    """The same rows, whose titles are two words each."""
    rng = np.random.default_rng(0)
    words = [f"word{letter}" for letter in "abcdefgh"]
    titles = {
        f"title_{split}": [" ".join(rng.choice(words, 2)) for _ in range(n)]
        for split, n in (("train", 90), ("dev", 40), ("test", 50))
    }
    return replaced(titled, **titles)


# --- what the blocks are ---


def test_a_data_set_has_two_blocks(config, ds, titled, make_dataset):
    assert views.block_names(config, titled) == (WORDS, TITLES)
    assert views.block_names(config, ds) == HALVES  # texts, but no titles
    assert views.block_names(config, make_dataset()) == HALVES
    assert views.candidate_blocks(config, titled) == {BOTH: (WORDS, TITLES)}


def test_where_a_transformer_reads_texts_its_layers_are_candidates(config, ds, make_dataset, with_layers):
    assert views.block_names(config, ds) == (WORDS, LAYERS[-1])
    assert views.block_names(config, make_dataset()) == HALVES
    candidates = views.candidate_blocks(config, ds)
    assert candidates[BOTH] == (WORDS, LAYERS[-1])
    assert candidates[CHOSEN_LAYERS] == LAYERS
    assert sorted(map(len, candidates.values())) == [2, 6, 7]


def test_halves_are_all_features_once(config, ds):
    read = views.block_reader(config, ds, HALVES, ds.train)
    first, second = read(ds.test).values()
    assert first.shape[1] == second.shape[1] == 30
    assert (sp.hstack([first, second]) != ds.test.X).nnz == 0


def test_words_and_pairs_of_titles_are_learnt_from_the_rows_that_are_fitted(config, paired):
    fitted = paired.train.take(np.arange(40))
    read = views.block_reader(config, paired, (WORDS, TITLES), fitted)
    blocks = read(paired.test)
    assert (blocks[WORDS] != paired.test.X).nnz == 0

    def counted(title):
        return {*title.split(), title}

    everywhere = [part for title in fitted.titles for part in counted(title)]
    common = {part for part in everywhere if everywhere.count(part) > 1}
    assert blocks[TITLES].shape[1] == len(common)
    for row, title in enumerate(paired.test.titles):
        assert blocks[TITLES][[row]].nnz == len(counted(title) & common)


def test_layers_are_read_by_text(config, ds, with_layers):
    vectors, place = layers.layer_vectors(config, ds, LAYERS)
    read = views.block_reader(config, ds, LAYERS[:2], ds.train)
    some = ds.test.take(np.array([7, 3, 7]))
    for name, block in read(some).items():
        np.testing.assert_array_equal(block, vectors[name][[place[ds.test.texts[row]] for row in (7, 3, 7)]])


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("sentence_transformers"), reason="it is not installed")
def test_a_layer_is_the_mean_of_its_states(tmp_path, monkeypatch):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["red", "cat", "sits", "on", "the", "mat"]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizerFast(str(tmp_path / "vocab.txt"), model_max_length=32).save_pretrained(tmp_path)
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 6}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(BertConfig(vocab_size=11, max_position_embeddings=32, **sizes))
    model.save_pretrained(tmp_path)
    monkeypatch.setattr(layers, "MINILM", str(tmp_path))
    monkeypatch.setattr(layers, "_TEXTS_AT_ONCE", 2)
    texts = ["the red cat sits on the mat", "cat", "the mat", "red red red cat cat cat"]
    found = layers._embed_by_layers(texts, LAYERS, 6)
    model.eval()
    for row, text in enumerate(texts):
        numbers = [2, *(5 + words.index(word) for word in text.split()[:4]), 3]
        with torch.inference_mode():
            states = model(torch.tensor([numbers]), output_hidden_states=True).hidden_states
        for name, state in zip(LAYERS, states[1:], strict=True):
            np.testing.assert_allclose(found[name][row], state[0].mean(dim=0), atol=1e-5)


# --- scores ---


def test_weights_are_chosen_by_neighbours_in_the_other_folds(config, paired, monkeypatch):
    rows, folds = fitting_rows(paired, seed=0)
    some = np.sort(np.random.default_rng(0).permutation(130)[:50])
    rows, folds = rows.take(some), folds[some]
    blocks = views.block_reader(config, paired, (WORDS, TITLES), rows)(rows)
    given = []

    def recorded(blocks, Y, **options):
        given.append(options)
        return greedy_block_weights(blocks, Y, **options)

    monkeypatch.setattr(scoring, "greedy_block_weights", recorded)
    found = scoring.chosen_weights(config, paired, BOTH, seed=0)
    (options,) = given
    np.testing.assert_array_equal(options.pop("groups"), folds)
    assert options == {"start": {WORDS: 1, TITLES: 1}, "max_steps": scoring.MAX_STEPS}
    expected = greedy_block_weights(blocks, rows.Y, groups=folds, **options)
    assert found == pytest.approx(expected)
    assert min(expected.values()) > 0
    dealt = replaced(paired, Y_test=paired.test.Y[::-1])
    assert scoring.chosen_weights(config, dealt, BOTH, seed=0) == pytest.approx(expected)


def test_of_many_blocks_some_get_no_weight(config, ds, with_layers):
    weights = scoring.chosen_weights(config, ds, CHOSEN_LAYERS, seed=0)
    assert tuple(weights) == LAYERS
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) == 0
    assert scoring.weights_of(config, ds, CHOSEN_LAYERS, seed=0) == weights
    scores = scoring.block_scores(config, ds, "neighbours", CHOSEN_LAYERS, ALL_ROWS, seed=0)
    assert list(scores) == [ALL]


def test_the_network_is_given_blocks_where_labels_are_few(ds, make_dataset):
    assert scoring.bases_of(ds) == BASES
    assert scoring.bases_of(make_dataset(n_labels=101)) == (NEIGHBORS, LINEAR)


def test_variants(config, titled, ds, with_layers):
    assert scoring.variants_of(config, ds, "linear") == (WORDS, LAYERS[-1], BOTH, FUSED)
    more = set(scoring.variants_of(config, ds, "neighbours")) - {WORDS, LAYERS[-1], BOTH, FUSED}
    assert more == {EQUAL, CHOSEN_LAYERS, views.WORDS_AND_LAYERS}


@pytest.mark.parametrize("base", BASES)
def test_scores_are_those_of_a_model_of_the_joined_rows(config, paired, base):
    rows, folds = fitting_rows(paired, seed=0)
    model = make_base_model(config, paired, base, seed=0)
    for fold in (0, ALL_ROWS):
        fit = rows.take(np.flatnonzero(folds != fold))
        scored = paired.test if fold == ALL_ROWS else rows.take(np.flatnonzero(folds == fold))
        read = views.block_reader(config, paired, (WORDS, TITLES), fit)

        def joined(blocks, *, missing=None):
            parts = [normalize(blocks[name]) * (name != missing) for name in (WORDS, TITLES)]
            return normalize(sp.hstack(parts, format="csr"))

        fitted = clone(model).fit(joined(read(fit)), fit.Y)
        found = scoring.block_scores(config, paired, base, EQUAL, fold, seed=0)
        assert list(found) == ([ALL, WORDS, TITLES] if fold == ALL_ROWS else [ALL])
        for missing, scores in found.items():
            expected = base_scores(fitted, joined(read(scored), missing=missing), n_labels=12)
            np.testing.assert_allclose(scores.toarray(), sp.csr_array(expected).toarray(), atol=1e-4)


def test_what_other_notebooks_train_is_taken_from_there(config, titled):
    for (base, block), name in scoring._ELSEWHERE.items():
        found = scoring.block_scores(config, titled, base, block, ALL_ROWS, seed=0)[ALL]
        expected = fold_scores(config, titled, name, ALL_ROWS, seed=0)["scores"]
        assert (found != expected).nnz == 0


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_out_of_fold_scores_stand_in_the_order_of_the_rows(config, titled, base):
    fitting, _ = scoring.scores_of(config, titled, base, EQUAL, seed=0)
    folds = fitting_rows(titled, seed=0).folds
    for fold in range(3):
        expected = scoring.block_scores(config, titled, base, EQUAL, fold, seed=0)[ALL]
        assert (fitting[folds == fold] != expected).nnz == 0
    fused, test = scoring.scores_of(config, titled, base, FUSED, seed=0)
    for scores, name in zip(fused, (WORDS, TITLES), strict=True):
        assert (scores != scoring.scores_of(config, titled, base, name, seed=0)[0]).nnz == 0
    assert len(test[ALL]) == 2


@pytest.mark.slow
def test_the_rule_sees_scores_alone_and_decides_also_where_a_block_is_missing(config, titled):
    found = scoring.predictions_of(config, titled, "neighbours", BOTH, seed=0)
    assert list(found) == [BOTH, MISSING.format(WORDS), MISSING.format(TITLES)]
    rows, folds = fitting_rows(titled, seed=0)
    fitting, test = scoring.scores_of(config, titled, "neighbours", BOTH, seed=0)
    rule = AdaptiveThreshold(evaluation_rows=50, random_state=0)
    rule.fit(fitting, rows.Y, folds=folds, groups=rows.groups)
    for name, missing in zip(found, (ALL, WORDS, TITLES), strict=True):
        assert (found[name].label_sets != rule.predict(test[missing])).nnz == 0
    assert list(scoring.predictions_of(config, titled, "neighbours", EQUAL, seed=0)) == [EQUAL]
    assert list(scoring.predictions_of(config, titled, "linear", WORDS, seed=0)) == [WORDS]


@pytest.mark.slow
def test_no_label_of_a_test_row_is_looked_at(config, titled):
    dealt = replaced(titled, Y_test=titled.test.Y[::-1])
    for base in BASES:
        one, other = (scoring.predictions_of(config, data, base, BOTH, seed=0) for data in (titled, dealt))
        for name in one:
            assert (one[name].label_sets != other[name].label_sets).nnz == 0


def test_no_label_of_a_rows_own_fold_is_in_its_scores(config, titled):
    rows, folds = fitting_rows(titled, seed=0)
    Y = rows.Y.toarray()
    own = np.flatnonzero(folds == 0)
    Y[own] = Y[np.random.default_rng(0).permutation(own)]
    Y = sp.csr_array(Y)
    dealt = replaced(titled, Y_train=Y[:90], Y_dev=Y[90:])
    model = make_base_model(config, titled, "neighbours", seed=0)
    weights = {WORDS: 2.0, TITLES: 1.0}
    one, other = (scoring._fit_fold(config, data, model, weights, 0, seed=0)[ALL] for data in (titled, dealt))
    assert (one != other).nnz == 0
    one, other = (scoring._fit_fold(config, data, model, weights, 1, seed=0)[ALL] for data in (titled, dealt))
    assert (one != other).nnz


def test_a_block_alone_is_judged_on_the_fitting_rows(config, titled):
    fitting, _ = scoring.scores_of(config, titled, "linear", TITLES, seed=0)
    Y = fitting_rows(titled, seed=0).rows.Y
    tried = [macro_f1(Y, fitting > value) for value in np.r_[0, np.unique(fitting.data)]]
    assert scoring.fitting_macro_f1(config, titled, "linear", TITLES, seed=0) == pytest.approx(max(tried))


# --- tables ---


@pytest.fixture
def made_up_sets(monkeypatch):
    """Return label sets drawn at random, by base and name, and let them be the rule's."""
    rng = np.random.default_rng(0)

    def drawn():
        return sp.csr_array((rng.random((50, 12)) < 0.3).astype(np.float32))

    names = {WORDS: [WORDS], TITLES: [TITLES], EQUAL: [EQUAL], FUSED: [FUSED]}
    names[BOTH] = [BOTH, MISSING.format(WORDS), MISSING.format(TITLES)]
    called = {WORDS: "words alone", TITLES: "titles alone"}
    several = [called.get(name, name) for group in names.values() for name in group]
    sets = {(base, name): drawn() for base in BASES for name in several}

    def predictions_of(config, ds, base, variant, *, seed):
        found = {name: sets[base, called.get(name, name)] for name in names[variant]}
        return {name: Prediction(predicted, predicted / 2) for name, predicted in found.items()}

    monkeypatch.setattr(study, "predictions_of", predictions_of)
    return sets


@pytest.mark.slow
def test_tables_measure_and_compare_every_variant(config, titled, made_up_sets):
    tables = study.block_tables(config, titled)
    assert list(tables) == ["blocks", "block_choice", "block_weights", "block_differences"]
    assert len(tables["blocks"]) == 7 + 6 + 6
    for row in tables["blocks"]:
        if row["base"] != NEIGHBORS:
            assert row["blocks"] != EQUAL
        assert row["macro_f1"] == macro_f1(titled.test.Y, made_up_sets[row["base"], row["blocks"]])
    compared = {(row["base"], row["a"], row["b"]) for row in tables["block_differences"]}
    assert len(compared) == (6 + 2) + 2 * (5 + 2)
    assert ("linear", MISSING.format(WORDS), "titles alone") in compared
    assert ("linear", MISSING.format(TITLES), "words alone") in compared
    for row in tables["block_differences"]:
        measure = {"macro_f1": macro_f1, "micro_f1": micro_f1}[row["metric"]]
        one, other = (measure(titled.test.Y, made_up_sets[row["base"], row[side]]) for side in "ab")
        assert row["difference"] == pytest.approx(one - other)
        assert row["low"] < row["difference"] < row["high"]
    choice = tables["block_choice"]
    for base in BASES:
        of_base = choice[choice["base"] == base].set_index("block")
        assert of_base["chosen"].sum() == 1
        assert of_base["chosen"].idxmax() == of_base["fitting_macro_f1"].idxmax()
    weights = {row["block"]: row["weight"] for row in tables["block_weights"]}
    assert weights == scoring.chosen_weights(config, titled, BOTH, seed=0)


def test_chosen_layers_are_compared_with_the_last_one(config, ds, with_layers):
    last, rng = f"{LAYERS[-1]} alone", np.random.default_rng(0)
    names = [BOTH, "words alone", last, CHOSEN_LAYERS, MISSING.format(WORDS), MISSING.format(LAYERS[-1])]
    sets = {name: [sp.csr_array((rng.random((50, 12)) < 0.3).astype(np.float32))] for name in names}
    rows = study.difference_rows(config, ds, {"neighbours": sets})
    compared = [(row["a"], row["b"]) for row in rows if row["metric"] == "macro_f1"]
    assert compared[-1] == (CHOSEN_LAYERS, last)
    assert len(compared) == 5 + 2 + 1
    (chosen,), (of_last,) = sets[CHOSEN_LAYERS], sets[last]
    expected = macro_f1(ds.test.Y, chosen) - macro_f1(ds.test.Y, of_last)
    assert rows[-2]["difference"] == pytest.approx(expected)


def made_up():
    """Return tables in which both blocks gain 0.02 on neighbours, where titles are better alone."""
    values = [
        {"blocks": name, "base": base, "macro_f1": f1, "micro_f1": 2 * f1}
        for base in (NEIGHBORS, LINEAR)
        for name, f1 in {
            ALONE.format(WORDS): 0.3,
            ALONE.format(TITLES): 0.2,
            BOTH: 0.4,
            MISSING.format(WORDS): 0.1,
            MISSING.format(TITLES): 0.36,
            FUSED: 0.4,
        }.items()
    ]
    words, titles = ALONE.format(WORDS), ALONE.format(TITLES)
    pairs = [(BOTH, words), (BOTH, titles), (BOTH, FUSED)]
    pairs += [(MISSING.format(WORDS), titles), (MISSING.format(TITLES), words)]
    differences = [
        {"base": base, "a": a, "b": b, "metric": metric, "difference": d, "low": d - 0.005, "high": d + 0.005}
        for base, shift in zip((NEIGHBORS, LINEAR), (0.01, 0.0), strict=True)
        for metric, factor in (("macro_f1", 1), ("micro_f1", 2))
        for at, (a, b) in enumerate(pairs)
        for d in [factor * (0.01 * at + shift)]
    ]
    choice = [
        {"base": base, "block": block, "seed": 0, "fitting_macro_f1": f1, "chosen": f1 == 0.5}
        for base, both in zip((NEIGHBORS, LINEAR), ((0.4, 0.5), (0.5, 0.4)), strict=True)
        for block, f1 in zip((WORDS, TITLES), both, strict=True)
    ]
    weights = [{"choice": BOTH, "block": WORDS, "seed": 0, "weight": 0.75}]
    weights += [{"choice": BOTH, "block": TITLES, "seed": 0, "weight": 0.25}]
    tables = {
        "blocks": values,
        "block_choice": choice,
        "block_weights": weights,
        "block_differences": differences,
    }
    return {name: read_table(io.StringIO(as_csv(rows))) for name, rows in tables.items()}


def test_the_finding_compares_with_the_block_that_the_fitting_rows_choose():
    assert finding(made_up()) == (
        "Against the block that is the better one alone on the fitting rows (neighbours: titles, linear: "
        "words), both blocks (words and titles) in one matrix change the macro-F1 of `adaptive` by +0.0200 "
        "(95 % interval +0.0150 to +0.0250) with neighbours and +0.0000 (−0.0050 to +0.0050) with linear, "
        "and its micro-F1 by +0.0400 (+0.0350 to +0.0450) and +0.0000 (−0.0050 to +0.0050). Against one "
        "model a block, whose scores are fused, they change macro-F1 by +0.0300 (+0.0250 to +0.0350) and "
        "+0.0200 (+0.0150 to +0.0250). Of its macro-F1 the linear model of both keeps 25 % where the test "
        "rows have no words, +0.0300 (+0.0250 to +0.0350) against a model of titles alone; and 90 % where "
        "the test rows have no titles, +0.0400 (+0.0350 to +0.0450) against a model of words alone."
    )


def test_the_finding_says_what_chosen_weights_and_layers_change():
    tables = made_up()
    more = [
        {"base": NEIGHBORS, "a": a, "b": b, "metric": "macro_f1", "difference": d, "low": d - 0.01, "high": d}
        for a, b, d in ((BOTH, EQUAL, 0.001), (CHOSEN_LAYERS, ALONE.format(LAYERS[-1]), -0.002))
    ]
    both = pd.concat([tables["block_differences"], pd.DataFrame(more)])
    weights = "; with neighbours, chosen weights change it by +0.0010 (−0.0090 to +0.0010) against equal ones"
    assert f"+0.0250){weights}. Of its" in finding({**tables, "block_differences": both.iloc[:-1]})
    layers = "chosen layers change it by −0.0020 (−0.0120 to −0.0020) against MiniLM layer 6 alone"
    assert f"{weights} and {layers}. Of its" in finding({**tables, "block_differences": both})


def test_claims_say_what_is_compared_and_chosen():
    found = {row["claim"]: row["outcome"] for row in claims(made_up())}
    assert len(found) == 2 * 2 * 5 + 2 + 1
    assert found["Macro-F1 on the scores of neighbours, both blocks minus titles alone"] == "above 0"
    assert found["Macro-F1 on the scores of linear, both blocks minus words alone"] == "level"
    assert found["Each block alone on the fitting rows, neighbours"] == "titles > words"
    assert found["Each block alone on the fitting rows, linear"] == "words > titles"
    assert found["Weights of the blocks, both blocks"] == "words > titles"


def test_what_is_shown():
    tables = made_up()
    values = repr(showing.shown_values(tables, "micro_f1", "Micro-F1"))
    assert "Micro-F1 of adaptive on test rows" in values
    assert "both blocks, words missing" in values
    assert "0.720" in values
    alone, weights = map(repr, showing.shown_choices(tables))
    assert "0.500" in alone
    assert "0.250" in weights
    shown = repr(showing.shown_differences(tables, "micro_f1", "micro-F1"))
    assert "0.0800" in shown
    assert shown.count("\n") == 11


def test_the_figure_has_a_mark_for_every_comparison_and_model():
    figure = showing.plot_blocks(made_up())
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "both blocks\nminus words alone"
    assert len(labels) == 5
    drawn = [
        marks.get_offsets() for marks in axes.collections if len(getattr(marks, "get_offsets", list)()) == 5
    ]
    assert sorted(float(marks[0, 0]) for marks in drawn) == pytest.approx([0.0, 0.01])
