"""Base models: what gives the scores that a threshold is compared with.

Thin adapters over well-kept libraries. All are scikit-learn classifiers of label sets with one more method,
``top_scores``, which returns the best scores of each row as a sparse matrix.

=========================  ==============  ================================================================
Class                      Main strength   What it is
=========================  ==============  ================================================================
``LinearOneVsRest``        ``C``           a linear classifier for each label, by LIBLINEAR (linear.py)
``NeighborShares``         n_neighbors     label shares of the nearest training rows (neighbors.py)
``MLkNN``                  n_neighbors     how likely a label is, given how many neighbours have it
``LabelTree``              ``C``           partitioned label trees, by omikuji (tree.py)
``ExtraTrees``             see below       extremely randomised trees, for few labels (forest.py)
``LogisticHead``           learning_rate   logistic regression on dense vectors, in torch (logistic.py)
``BagOfWords``             that of head    texts as counts of words, under any of the above (words.py)
``LabelPrototypes``        text_weight     texts near a label's texts, names and parents (prototypes.py)
``FrozenTransformer``      that of head    texts as vectors of a sentence transformer (transformer.py)
``FineTunedTransformer``   learning_rate   a sentence transformer trained further
``LabelQueryTransformer``  learning_rate   labels that each choose a text's tokens (label_queries.py)
``ScoreFunction``          none            any function that returns scores (function.py)
=========================  ==============  ================================================================

The main strength is the parameter to choose on validation rows; that of ``ExtraTrees`` is
``min_samples_leaf``. ``SentenceEmbedder`` gives the vectors alone. Each class is imported on first use:
torch (``pip install "adathresh[paper]"``) only with ``LogisticHead`` and the transformers, which also need
``pip install "adathresh[transformers]"``.
"""

from adathresh.utils.lazy import lazy_names

MODULES = {
    "BagOfWords": "adathresh.models.words",
    "ExtraTrees": "adathresh.models.forest",
    "FineTunedTransformer": "adathresh.models.transformer",
    "FrozenTransformer": "adathresh.models.transformer",
    "LabelPrototypes": "adathresh.models.prototypes",
    "LabelQueryTransformer": "adathresh.models.label_queries",
    "LabelTree": "adathresh.models.tree",
    "LinearOneVsRest": "adathresh.models.linear",
    "LogisticHead": "adathresh.models.logistic",
    "MLkNN": "adathresh.models.neighbors",
    "NeighborShares": "adathresh.models.neighbors",
    "ScoreFunction": "adathresh.models.function",
    "SentenceEmbedder": "adathresh.models.transformer",
}

__all__ = sorted(MODULES)

_find, __dir__ = lazy_names(__name__, MODULES)


def __getattr__(name):
    """Import a class on first use, or say how to install what it needs."""
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f'{name} needs torch: pip install "adathresh[paper]"') from error
