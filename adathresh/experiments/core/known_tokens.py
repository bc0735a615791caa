"""The states of all tokens of a data set, computed once for all models that read them."""

from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import normalize

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import all_texts, rows_key
from adathresh.models._encoder import MINILM, fingerprint, load_encoder, model_folder
from adathresh.models.label_queries import LabelQueryTransformer, TokenStates, token_states

_known: dict[str, "KnownTokens"] = {}  # of the data set that was read last: gigabytes


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
    """Encode every text of a data set, if neither this process nor an earlier one has done so."""
    key = {"what": "token states", "data": ds.fingerprint, "rows": rows_key(ds), "max_length": max_length}
    known = _known.get(str(key))
    if known is None:
        folder, texts = model_folder(MINILM), all_texts(ds)
        arrays = cached_arrays(
            key | {"encoder": fingerprint(folder)}, lambda: _encode(folder, texts, max_length)
        )
        states = TokenStates(arrays["values"], arrays["ends"])
        known = KnownTokens(states, {text: number for number, text in enumerate(texts)})
        _known.clear()
        _known[str(key)] = known
    return known


def _encode(folder, texts, max_length):
    """Return the states of the tokens of texts as arrays."""
    states = token_states(load_encoder(folder, max_length), texts)
    return {"values": states.values, "ends": states.ends}
