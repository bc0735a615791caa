"""The one registry of base models: what each is, when it suits a data set, and which strength is tried.

A base model gives scores; a decision rule turns them into label sets. Every notebook, table and figure takes
base models from here by their names, so that one name means one model. A model's main strength is chosen on
the validation rows from a small grid that stands here, once for a data set and profile.

Models that need torch are imported where they are made: a notebook that trains none starts without it.
"""

import hashlib
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import fit_and_predict
from adathresh.experiments.core.data import rows_key
from adathresh.metrics import macro_f1
from adathresh.models.forest import ExtraTrees
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.neighbors import MLkNN, NeighborShares
from adathresh.models.tree import LabelTree
from adathresh.models.words import BagOfWords
from adathresh.posthoc.crossfit import base_scores
from adathresh.rules.global_threshold import GlobalThreshold
from adathresh.utils.files import cache_folder

MANY_LABELS = 100
"""Beyond this, one-vs-rest training on all rows takes too long."""

QUERY_LABELS = 1_000
"""Labels up to which each has a query of its own: a row costs labels × tokens."""

MANY_ROWS = 20_000
"""Beyond this, extremely randomised trees, grown to the end on sparse features, take hours."""

UNSEEDED = ("label tree",)
"""Base models whose scores differ between two equal runs: omikuji, which grows the trees, takes no seed."""


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """One entry of the registry."""

    what: str
    """What it is, in one sentence."""
    make: Callable
    """Takes the run, the data set and a seed; returns the model, not fitted."""
    strength: str
    """The parameter that is chosen on the validation rows."""
    reads: str = "X"
    """What it reads of the rows: "X" (features), "texts" or "titles"."""
    grid: tuple
    """Its candidates; the first one wins a tie."""
    suits: Callable = lambda config, ds: True
    """Takes the run and the data set; whether the model is trained there."""


def _has_many(config, ds):
    """Whether the labels are many."""
    return ds.train.Y.shape[1] > MANY_LABELS


def _takes_label_trees(config, ds):
    """Whether labels or rows are too many for extremely randomised trees."""
    return _has_many(config, ds) or ds.train.X.shape[0] > MANY_ROWS


def _linear(config, ds, seed):
    """Return the linear model; with many labels it is trained on the negatives that neighbours name."""
    shortlist = NeighborShares() if _has_many(config, ds) else None
    return LinearOneVsRest(shortlist=shortlist, random_state=seed)


def _network(config, ds, seed):
    """Return the paper's network without thresholds, trained by binary cross-entropy."""
    from adathresh.experiments.core.trainings import PLAIN
    from adathresh.paper.classifier import AdaptiveThresholdNetwork

    numbers = config.numbers
    return AdaptiveThresholdNetwork(
        hidden_layers=numbers.hidden_layers,
        batch_size=numbers.batch_size,
        max_epochs=numbers.max_epochs,
        patience=numbers.patience,
        random_state=seed,
        **PLAIN,
    )


def _frozen(config, ds, seed):
    """Return a trained head on the frozen encoder's vectors."""
    from adathresh.models.logistic import LogisticHead
    from adathresh.models.transformer import FrozenTransformer

    return FrozenTransformer(LogisticHead(random_state=seed), max_length=config.numbers.text_tokens)


def _label_queries(config, ds, seed):
    """Return a head whose labels each read the frozen encoder's tokens by a query of their own."""
    from adathresh.experiments.core.known_tokens import KnownLabelQueries

    return KnownLabelQueries(random_state=seed).reading(ds)


def _fine_tuned(config, ds, seed):
    """Return the encoder tuned from its frozen form's head."""
    from adathresh.models.logistic import LogisticHead
    from adathresh.models.transformer import FineTunedTransformer

    return FineTunedTransformer(
        max_length=config.numbers.text_tokens,
        max_steps=config.numbers.tuning_steps,
        head_learning_rate=1e-3,  # the head has been trained already
        head=LogisticHead(random_state=seed),
        random_state=seed,
    )


BASE_MODELS = {
    "linear": BaseModel(
        what="One-vs-rest support vector machines (squared hinge) by LIBLINEAR.",
        make=_linear,
        strength="C",
        grid=(1.0, 0.3, 3.0),
    ),
    "linear, titles": BaseModel(
        what="The same, of the words and pairs of words of the titles.",
        make=lambda config, ds, seed: BagOfWords(_linear(config, ds, seed)),
        strength="head__C",
        grid=(1.0, 0.3, 3.0),
        reads="titles",
        suits=lambda config, ds: ds.train.titles is not None,
    ),
    "linear, first words": BaseModel(
        what="The same, of the words and pairs of words that a text begins with.",
        make=lambda config, ds, seed: BagOfWords(
            _linear(config, ds, seed), max_words=config.numbers.first_words
        ),
        strength="head__C",
        grid=(1.0, 0.3, 3.0),
        reads="texts",
        suits=lambda config, ds: ds.train.texts is not None and config.numbers.first_words > 0,
    ),
    "neighbours": BaseModel(
        what="Label shares among the nearest rows, by cosine similarity.",
        make=lambda config, ds, seed: NeighborShares(),
        strength="n_neighbors",
        grid=(30, 10, 100),
    ),
    "ML-kNN": BaseModel(
        what="ML-kNN (Zhang and Zhou 2007): the number of neighbours with a label, weighed by its prior.",
        make=lambda config, ds, seed: MLkNN(),
        strength="n_neighbors",
        grid=(10, 5, 30),
    ),
    "network": BaseModel(
        what="The paper's multilayer perceptron, trained by binary cross-entropy.",
        make=_network,
        strength="learning_rate",
        grid=(3e-3, 6e-3),
        suits=lambda config, ds: ds.train.Y.shape[1] <= config.numbers.network_labels,
    ),
    "label tree": BaseModel(
        what="Three label trees with linear nodes, by omikuji.",
        make=lambda config, ds, seed: LabelTree(),
        strength="C",
        grid=(1.0,),  # Parabel's own; no choice, as two equal trainings differ
        suits=_takes_label_trees,
    ),
    "extra trees": BaseModel(
        what="Extremely randomised trees.",
        make=lambda config, ds, seed: ExtraTrees(random_state=seed),
        strength="min_samples_leaf",
        grid=(1, 3),
        suits=lambda config, ds: not _takes_label_trees(config, ds),
    ),
    "MiniLM, frozen": BaseModel(
        what="A logistic regression of the vectors of all-MiniLM-L6-v2.",
        make=_frozen,
        strength="head__learning_rate",
        grid=(1e-2, 3e-2),
        reads="texts",
        suits=lambda config, ds: ds.train.texts is not None and config.numbers.text_tokens > 0,
    ),
    "MiniLM, label queries": BaseModel(
        what="Each label reads by a query of its own the tokens of all-MiniLM-L6-v2, which stays frozen.",
        make=_label_queries,
        strength="repeat_below",
        grid=(0.0, 0.01, 0.05),
        reads="texts",
        suits=lambda config, ds: (
            ds.train.texts is not None
            and config.numbers.text_tokens > 0
            and ds.train.Y.shape[1] <= QUERY_LABELS
        ),
    ),
    "MiniLM, fine-tuned": BaseModel(
        what="all-MiniLM-L6-v2 tuned for three epochs.",
        make=_fine_tuned,
        strength="learning_rate",
        grid=(5e-5, 1e-4),
        reads="texts",
        suits=lambda config, ds: ds.train.texts is not None and config.numbers.tuning_steps > 0,
    ),
}


def base_model_names(config, ds):
    """Name the base models that are trained on a data set, in the order of the registry."""
    return [name for name, model in BASE_MODELS.items() if model.suits(config, ds)]


def make_base_model(config, ds, name, *, seed):
    """Return a base model, not fitted, with the strength that is best on the validation rows.

    The strength is chosen with the run's first seed and is the same for all seeds.
    """
    return _with_strength(config, ds, name, chosen_strength(config, ds, name), seed=seed)


def chosen_strength(config, ds, name):
    """Choose the strength from a base model's grid that has the greatest :func:`validation_macro_f1`."""
    grid = BASE_MODELS[name].grid
    reached = [validation_macro_f1(config, ds, name, strength) for strength in grid]
    return grid[int(np.argmax(reached))]


def validation_macro_f1(config, ds, name, strength):
    """Macro-F1 of the validation rows under the one global threshold that is best for them, computed once.

    The base model, with the given strength, is fitted on the training rows.
    """
    model = _with_strength(config, ds, name, strength, seed=config.random_state)
    key = {"what": "strength", "data": ds.fingerprint, "rows": rows_key(ds), "model": repr(model)}
    key["reads"] = BASE_MODELS[name].reads
    return float(cached_arrays(key, lambda: _judge(ds, name, model))["macro_f1"])


def rows_of(name, rows):
    """Return rows as a base model reads them."""
    return getattr(rows, BASE_MODELS[name].reads)


@contextmanager
def resumable(model, identity):
    """Yield the model to be fitted, so that an interrupted fine-tuning goes on when it is called again.

    ``identity`` tells this training from others of the same model. Once it is done nothing is left of it; a
    model without checkpoints is yielded as it is.
    """
    if "checkpoint_dir" not in model.get_params():
        yield model
        return
    name = hashlib.sha256(f"{identity} {model!r}".encode()).hexdigest()[:16]
    folder = cache_folder() / "fine-tuning" / name
    yield clone(model).set_params(checkpoint_dir=folder)
    shutil.rmtree(folder, ignore_errors=True)


def _with_strength(config, ds, name, strength, *, seed):
    """Return a base model with one value of its grid."""
    entry = BASE_MODELS[name]
    return entry.make(config, ds, seed).set_params(**{entry.strength: strength})


def _judge(ds, name, model):
    """Train on the training rows and judge the scores of the validation rows."""
    with resumable(model, f"{rows_key(ds)} strength") as model:
        found = fit_and_predict(
            lambda: model.fit(rows_of(name, ds.train), ds.train.Y),
            lambda: {
                "scores": base_scores(model, rows_of(name, ds.validation), n_labels=ds.train.Y.shape[1])
            },
        )
    scores = found.pop("scores")
    predicted = GlobalThreshold("macro_f1").fit(scores, ds.validation.Y).predict(scores)
    return {**found, "macro_f1": np.array(macro_f1(ds.validation.Y, predicted))}
