"""What each layer of a sentence transformer says of a text."""

import numpy as np

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import all_texts, rows_key
from adathresh.models._encoder import MINILM, hidden_states, load_encoder, model_folder

_TEXTS_AT_ONCE = 32


def layer_vectors(config, ds, names):
    """Return what each layer of MiniLM says of all texts, by the layer's name, and each text's row in it.

    ``names`` has a name for each layer, from the first one on.
    """
    texts = all_texts(ds)
    max_length = config.numbers.text_tokens
    key = {"what": "layers", "data": ds.fingerprint, "rows": rows_key(ds), "max_length": max_length}
    key["names"] = list(names)
    vectors = cached_arrays(key, lambda: _embed_by_layers(texts, names, max_length))
    return vectors, {text: row for row, text in enumerate(texts)}


def _embed_by_layers(texts, names, max_length):
    """Average the hidden states of every layer over the tokens of each text."""
    encoder = load_encoder(model_folder(MINILM), max_length).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")  # texts of a batch are of like length
    found = {}
    for start in range(0, len(order), _TEXTS_AT_ONCE):
        at = order[start : start + _TEXTS_AT_ONCE]
        states, there = hidden_states(encoder, [texts[row] for row in at])
        there = there[:, :, None]
        for name, state in zip(names, states[1:], strict=True):
            means = ((state * there).sum(dim=1) / there.sum(dim=1)).cpu().numpy()
            found.setdefault(name, np.empty((len(texts), means.shape[1]), dtype=np.float32))[at] = means
    return found
