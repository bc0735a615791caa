"""The blocks of a data set: which there are, and how they are read from its rows."""

import scipy.sparse as sp

from adathresh.utils.texts import word_vectorizer

WORDS, TITLES = "words", "titles"
"""Blocks of texts: the features of the data set, and the words and pairs of words of the titles."""

LAYERS = tuple(f"MiniLM layer {number}" for number in range(1, 7))
"""Blocks of texts: the hidden states of each layer of all-MiniLM-L6-v2, averaged over a text's tokens."""

HALVES = ("first half", "second half")
"""Blocks of other rows: the first and the second half of the features."""

BOTH, CHOSEN_LAYERS, WORDS_AND_LAYERS = "both blocks", "chosen layers", "words and chosen layers"
"""Several blocks in one matrix, with the weights that are chosen on the fitting rows."""


def block_names(config, ds):
    """Name the two blocks of a data set."""
    if ds.train.texts is not None and config.numbers.text_tokens > 0:
        return WORDS, LAYERS[-1]
    return HALVES if ds.train.titles is None else (WORDS, TITLES)


def candidate_blocks(config, ds):
    """Name the blocks between which weights are chosen, by the name of the choice."""
    names = block_names(config, ds)
    if names[1] not in LAYERS:
        return {BOTH: names}
    return {BOTH: names, CHOSEN_LAYERS: LAYERS, WORDS_AND_LAYERS: (WORDS, *LAYERS)}


def block_reader(config, ds, names, fitted):
    """Learn blocks from the rows that a model is fitted on; return a function that reads them from any rows.

    Only the words of titles are learnt; no label is looked at.
    """
    readers = {name: _reader(config, ds, name, fitted) for name in names}
    return lambda rows: {name: read(rows) for name, read in readers.items()}


def _reader(config, ds, name, fitted):
    """Return the function that reads one block."""
    if name in LAYERS:
        from adathresh.experiments.nb14_blocks.layers import layer_vectors  # needs torch

        vectors, place = layer_vectors(config, ds, LAYERS)
        return lambda rows: vectors[name][[place[text] for text in rows.texts]]
    if name == TITLES:
        words = word_vectorizer(ngram_range=(1, 2), min_df=2).fit(fitted.titles)  # as "linear, titles" reads
        return lambda rows: words.transform(rows.titles)
    middle = ds.train.X.shape[1] // 2
    columns = {HALVES[0]: slice(middle), HALVES[1]: slice(middle, None)}.get(name, slice(None))
    return lambda rows: sp.csr_array(rows.X[:, columns])
