"""What every decision rule sees: cross-fitted scores of base models, neighbour shares, label texts."""

from functools import reduce
from operator import add
from typing import NamedTuple

from joblib import delayed

from adathresh.experiments.core.base_models import BASE_MODELS, base_model_names, validation_macro_f1
from adathresh.experiments.core.costs import Cost
from adathresh.experiments.core.data import all_texts
from adathresh.experiments.core.fold_scores import (
    ALL_ROWS,
    N_FOLDS,
    fold_scores,
    out_of_fold_and_test_scores,
)
from adathresh.experiments.core.other_signals import other_signals
from adathresh.experiments.core.parallel import N_PROCESSES, side_by_side

TOGETHER = "all together"
"""Name of several base models at once."""

PARTS_OF_TOGETHER = (
    "linear",
    "linear, titles",
    "linear, first words",
    "network",
    "MiniLM, frozen",
    "MiniLM, label queries",
)
"""The base models that are taken together, as far as a data set has them.

All take a seed and are trained within minutes: the fine-tuned transformer takes hours.
"""


class Signals(NamedTuple):
    """What the rules see, of fitting and of test rows."""

    scores: tuple
    """Out-of-fold probabilities of the fitting rows, and those of the test rows; of several models, lists."""
    local: tuple
    """Neighbour shares of the fitting rows, from the other folds, and of the test rows, both by name.

    Neighbours are found by the rows' features, and by their titles where they have some.
    """
    affinity: tuple
    """What the labels' names and synonyms say of fitting and of test rows, both by name.

    Similarity to the row, the out-of-fold precision of a mention in the text and in the title, similarity to
    prototypes of rows and names; nothing where rows or labels have no texts.
    """
    cost: Cost
    """What training and scoring of the base models took when they were done."""

    def mean_scores(self):
        """Average the base models' scores of fitting and of test rows, for rules that take one matrix.

        What a model has not scored counts as 0.
        """
        return tuple(
            reduce(add, part) / len(part) if isinstance(part, list) else part for part in self.scores
        )


def crossfitted(config, ds, base, *, seed):
    """Return all that the rules see with one base model, or with several together ("all together")."""
    names = parts_of_together(config, ds) if base == TOGETHER else [base]
    found = [out_of_fold_and_test_scores(config, ds, name, seed=seed) for name in names]
    fitting, test = ([scores[i] for scores, _ in found] for i in range(2))
    costs = [cost for _, cost in found]
    cost = Cost(*(sum(column) for column in list(zip(*costs, strict=True))[:2]), max(c[2] for c in costs))
    scores = (fitting, test) if base == TOGETHER else (fitting[0], test[0])
    return Signals(scores, *other_signals(ds, seed=seed), cost)


def parts_of_together(config, ds):
    """Name the base models that "all together" means on a data set, in order of :data:`PARTS_OF_TOGETHER`."""
    present = base_model_names(config, ds)
    return [name for name in PARTS_OF_TOGETHER if name in present]


def crossfit_all(config, ds, names):
    """Train all that :func:`crossfitted` needs of some base models, side by side, into the cache.

    Name the slowest last: they begin.
    """
    if "MiniLM, frozen" in names:
        embed_texts(config, ds)
    names = names[::-1]
    signals = [delayed(other_signals)(ds, seed=seed) for seed in config.seed_list]
    strengths = [
        delayed(validation_macro_f1)(config, ds, name, strength)
        for name in names
        for strength in BASE_MODELS[name].grid
    ]
    side_by_side([*signals, *strengths])
    side_by_side(
        delayed(fold_scores)(config, ds, name, fold, seed=seed)
        for name in names
        for seed in config.seed_list
        for fold in (ALL_ROWS, *range(N_FOLDS))
    )


def embed_texts(config, ds):
    """Embed all texts of a data set, so that the transformers find their vectors in the cache."""
    texts = all_texts(ds) if config.numbers.text_tokens and ds.train.texts is not None else []
    parts = [texts[start::N_PROCESSES] for start in range(min(N_PROCESSES, len(texts)))]
    side_by_side(delayed(_embed)(part, config.numbers.text_tokens) for part in parts)


def _embed(texts, n_tokens):
    """Put the vectors of some texts into the embedder's cache."""
    from adathresh.models.transformer import SentenceEmbedder

    SentenceEmbedder(max_length=n_tokens).transform(texts)
