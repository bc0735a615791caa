"""The states of all tokens of a data set, which a process computes once for all models that read them."""

from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import normalize

from adathresh.experiments.core.data import all_texts, rows_key
from adathresh.models._encoder import MINILM, load_encoder, model_folder
from adathresh.models.label_queries import LabelQueryTransformer, TokenStates, token_states

_known: dict[tuple, "KnownTokens"] = {}  # of the data set that was read last: gigabytes


class KnownTokens(NamedTuple):
    """States of the tokens of all texts of a data set."""

    states: TokenStates
    """Of each text once."""
    place: dict
    """Number of each text."""

    def of(self, texts):
        """Return the states of some texts."""
        return self.states.take([self.place[text] for text in texts])

    def means(self, texts):
        """Return the mean of each text's tokens, scaled to unit length."""
        states = self.of(texts)
        starts = states.ends - states.lengths
        means = [
            states.values[start:end].mean(axis=0, dtype=np.float32)
            for start, end in zip(starts, states.ends, strict=True)
        ]
        return normalize(np.stack(means))


class KnownLabelQueries(LabelQueryTransformer):
    """Label queries that read the states of a data set's texts from the process's memory.

    The texts are always encoded all together, so that the states do not depend on what is read first.
    """

    def reading(self, ds):
        """Say whose texts are read; return the model itself."""
        self.ds = ds
        return self

    def _reader(self):
        """Return a function that finds the states of some texts."""
        return known_tokens(self.ds, self.max_length).of


def known_tokens(ds, max_length):
    """Encode every text of a data set, if this process has not done so."""
    key = ds.fingerprint, rows_key(ds), max_length
    if key not in _known:
        texts = all_texts(ds)
        states = token_states(load_encoder(model_folder(MINILM), max_length), texts)
        _known.clear()
        _known[key] = KnownTokens(states, {text: number for number, text in enumerate(texts)})
    return _known[key]
