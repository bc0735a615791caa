"""Token states that a process computes once for a data set."""

import numpy as np
import pytest
from helpers import replaced

from adathresh.experiments.core import known_tokens as module
from adathresh.experiments.core.data import all_texts
from adathresh.experiments.core.known_tokens import KnownLabelQueries, KnownTokens, known_tokens
from adathresh.models.label_queries import TokenStates


@pytest.fixture
def encoded(monkeypatch):
    """Give a text as many tokens as it has words, and remember which texts were encoded together."""
    calls = []

    def states(encoder, texts):
        calls.append(texts)
        words = [word for text in texts for word in text.split()]
        values = np.array([[len(word), 1] for word in words], np.float16)
        return TokenStates(values, np.cumsum([len(text.split()) for text in texts]))

    monkeypatch.setattr(module, "_known", {})
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
    shorter = replaced(ds, text_test=[f"{text} more" for text in ds.test.texts])
    known_tokens(ds, 8)
    states = known_tokens(shorter, 8).of(shorter.test.texts[:1])
    assert states.lengths.tolist() == [len(shorter.test.texts[0].split())]
    assert len(encoded) == 2
    known_tokens(ds, 8)
    assert len(encoded) == 3


def test_the_mean_of_the_tokens_is_scaled_to_unit_length():
    states = TokenStates(np.array([[3, 0], [0, 3], [0, 2]], np.float16), np.array([2, 3]))
    known = KnownTokens(states, {"a": 0, "b": 1})
    np.testing.assert_allclose(known.means(["b", "a"]), [[0, 1], [np.sqrt(0.5), np.sqrt(0.5)]], rtol=1e-6)
