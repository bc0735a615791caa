"""What the rules see: scores, shares and label texts put together; trained side by side; all together."""

import dataclasses

import numpy as np
import pytest
from helpers import replaced

from adathresh.experiments.core import base_models, crossfit, fold_scores, other_signals
from adathresh.experiments.core.base_models import BASE_MODELS
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.crossfit import (
    PARTS_OF_TOGETHER,
    TOGETHER,
    crossfit_all,
    crossfitted,
    embed_texts,
    parts_of_together,
)
from adathresh.experiments.core.fold_scores import out_of_fold_and_test_scores

pytestmark = pytest.mark.usefixtures("tiny_profile")


def parts_of(seen):
    """Return all matrices of the signals by name."""
    signals = {"scores": seen.scores}
    for pair in (seen.local, seen.affinity):
        signals |= {name: (pair[0][name], pair[1][name]) for name in pair[0]}
    return {(name, i): pair[i].toarray() for name, pair in signals.items() for i in range(2)}


def assert_equal(first, second):
    assert list(first) == list(second)
    for name, matrix in first.items():
        np.testing.assert_array_equal(matrix, second[name], err_msg=str(name))


# --- one base model ---


def test_signals_are_the_scores_and_all_else(config, titled):
    seen = crossfitted(config, titled, "linear, titles", seed=1)
    scores, cost = out_of_fold_and_test_scores(config, titled, "linear, titles", seed=1)
    local, affinity = other_signals.other_signals(titled, seed=1)
    assert seen.cost == cost
    assert_equal(parts_of(seen), parts_of(crossfit.Signals(scores, local, affinity, cost)))
    assert len(parts_of(seen)) == 2 * 7


@pytest.mark.slow
def test_labels_of_test_rows_change_nothing(config, titled, empty_cache):
    own = parts_of(crossfitted(config, titled, "linear", seed=0))
    empty_cache("second")
    other = replaced(titled, Y_test=titled.test.Y[np.random.default_rng(0).permutation(50)])
    assert_equal(parts_of(crossfitted(config, other, "linear", seed=0)), own)


@pytest.mark.slow
def test_crossfit_all_leaves_nothing_to_train(config, titled, monkeypatch):
    two = dataclasses.replace(config, seeds=2)
    crossfit_all(two, titled, ["linear, titles", "neighbours"])
    monkeypatch.setattr(fold_scores, "_fit_fold", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(base_models, "_judge", lambda *_: pytest.fail("judged again"))
    monkeypatch.setattr(other_signals, "_shares", lambda *_, **__: pytest.fail("searched again"))
    monkeypatch.setattr(other_signals, "_said_by_labels", lambda *_, **__: pytest.fail("read again"))
    for name in ("linear, titles", "neighbours"):
        for seed in (0, 1):
            assert crossfitted(two, titled, name, seed=seed).scores[0].nnz > 0
    with pytest.raises(pytest.fail.Exception):  # what is not among them
        crossfitted(two, titled, "neighbours", seed=2)


# --- all together ---


def test_parts_of_together_are_those_that_a_data_set_has(config, make_dataset):
    few, many = make_dataset(100), make_dataset(101, texts=True)
    assert parts_of_together(config, few) == ["linear", "network"]
    assert parts_of_together(config, many) == ["linear", "network"]
    full = RunConfig(dataset="tiny", profile="full")
    assert parts_of_together(full, many) == [name for name in PARTS_OF_TOGETHER if "titles" not in name]
    titled = make_dataset(101, texts=True, titles=True)
    assert parts_of_together(config, titled) == ["linear", "linear, titles", "network"]
    assert parts_of_together(full, titled) == list(PARTS_OF_TOGETHER)
    assert set(PARTS_OF_TOGETHER) <= set(BASE_MODELS)


@pytest.mark.slow
def test_all_together_are_the_scores_of_each_and_their_mean(config, titled):
    together = crossfitted(config, titled, TOGETHER, seed=0)
    alone = [crossfitted(config, titled, name, seed=0) for name in ("linear", "linear, titles", "network")]
    for part in (0, 1):
        assert len(together.scores[part]) == 3
        for i, one in enumerate(alone):
            assert (together.scores[part][i] != one.scores[part]).nnz == 0
        mean = sum(one.scores[part].toarray() for one in alone) / 3
        np.testing.assert_allclose(together.mean_scores()[part].toarray(), mean, rtol=1e-6)
        assert (alone[0].mean_scores()[part] != alone[0].scores[part]).nnz == 0
    costs = [one.cost for one in alone]
    assert together.cost.fit_seconds == pytest.approx(sum(cost.fit_seconds for cost in costs))
    assert together.cost.predict_seconds == pytest.approx(sum(cost.predict_seconds for cost in costs))
    assert together.cost.peak_memory_mb == max(cost.peak_memory_mb for cost in costs)


# --- vectors of texts ---


def test_every_text_is_embedded_once_and_none_where_there_are_none(config, ds, make_dataset, monkeypatch):
    seen = []
    monkeypatch.setattr(crossfit, "_embed", lambda texts, n_tokens: seen.append((texts, n_tokens)))
    full = RunConfig(dataset="tiny", profile="full")
    embed_texts(full, make_dataset())
    embed_texts(config, ds)
    assert seen == []
    embed_texts(full, ds)
    embedded = sorted(text for texts, _ in seen for text in texts)
    assert embedded == sorted({*ds.train.texts, *ds.validation.texts, *ds.test.texts})
    assert {n_tokens for _, n_tokens in seen} == {full.numbers.text_tokens}
