"""Token states that a process computes once for a data set."""

import numpy as np
import pytest
from helpers import replaced

from adathresh.experiments.core import known_tokens as module
from adathresh.experiments.core.data import all_texts
from adathresh.experiments.core.known_tokens import KnownLabelQueries, KnownTokens, known_tokens
from adathresh.models.label_queries import TokenStates


@pytest.fixture
def encoded(monkeypatch, empty_cache):
    """Give a text as many tokens as it has words, and remember which texts were encoded together."""
    calls = []

    def states(encoder, texts):
        calls.append(texts)
        words = [word for text in texts for word in text.split()]
        values = np.array([[len(word), 1] for word in words], np.float16)
        return TokenStates(values, np.cumsum([len(text.split()) for text in texts]))

    empty_cache("tokens")
    monkeypatch.setattr(module, "_known", {})
    monkeypatch.setattr(module, "fingerprint", lambda folder: folder)
    monkeypatch.setattr(module, "model_folder", lambda name: name)
    monkeypatch.setattr(module, "load_encoder", lambda folder, max_length: None)
    monkeypatch.setattr(module, "token_states", states)
    return calls


def test_the_texts_of_a_data_set_are_encoded_once_and_all_together(ds, encoded):
    texts = all_texts(ds)
    assert len(set(texts)) == len(texts)
    model = KnownLabelQueries(max_epochs=1, n_heads=1, random_state=0).reading(ds)
    model.fit(ds.train.texts, ds.train.Y)
    scores = model.top_scores(ds.test.texts, k=3)
    assert scores.shape == ds.test.Y.shape
    assert encoded == [texts]
    known_tokens(ds, 12)
    assert len(encoded) == 2


def test_another_data_set_takes_the_place_of_the_one_before(ds, encoded):
    longer = replaced(ds, text_test=[f"{text} more" for text in ds.test.texts])
    known_tokens(ds, 8)
    known = known_tokens(longer, 8)
    assert known_tokens(longer, 8) is known
    assert known.of(longer.test.texts[:1]).lengths.tolist() == [len(longer.test.texts[0].split())]
    assert len(encoded) == 2
    assert len(module._known) == 1


def test_another_process_finds_the_states_stored(ds, encoded, monkeypatch):
    before = known_tokens(ds, 8)
    monkeypatch.setattr(module, "_known", {})
    again = known_tokens(ds, 8)
    assert len(encoded) == 1
    assert again is not before
    np.testing.assert_array_equal(again.states.values, before.states.values)
    assert again.of(ds.test.texts).lengths.tolist() == before.of(ds.test.texts).lengths.tolist()
    monkeypatch.setattr(module, "fingerprint", lambda folder: "another encoder")
    monkeypatch.setattr(module, "_known", {})
    known_tokens(ds, 8)
    assert len(encoded) == 2


def test_the_mean_of_the_tokens_is_scaled_to_unit_length():
    states = TokenStates(np.array([[3, 0], [0, 3], [0, 2]], np.float16), np.array([2, 3]))
    known = KnownTokens(states, {"a": 0, "b": 1})
    np.testing.assert_allclose(known.means(["b", "a"]), [[0, 1], [np.sqrt(0.5), np.sqrt(0.5)]], rtol=1e-6)
