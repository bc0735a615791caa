"""Bad input of base models."""

import math

from adathresh import models
from adathresh.experiments.bad_input import Call, estimator, method, used
from adathresh.experiments.bad_input import values as v
from adathresh.signals import LabelKnowledge

KNOWLEDGE = LabelKnowledge(v.NAMES)
OF_FEATURES = {
    "ExtraTrees": {"n_estimators": 2},
    "LabelTree": {},
    "LinearOneVsRest": {},
    "LogisticHead": {"max_epochs": 1},
    "MLkNN": {},
    "NeighborShares": {},
}
OF_TEXTS = {"BagOfWords": {"min_df": 1}, "LabelPrototypes": {"min_df": 1, "max_df": 1.0}}
NEED_FILES = ("FineTunedTransformer", "FrozenTransformer", "LabelQueryTransformer", "SentenceEmbedder")
PARAMETERS = {
    "n_estimators": v.whole(),
    "min_samples_leaf": {"0": 0},
    "max_features": {"another one": "all"},
    "n_neighbors": v.whole(),
    "smoothing": {"negative": -1.0},
    "weights": {"another one": "uniform"},
    "temperature": {"0": 0.0},
    "loss": {"another one": "squared"},
    "C": {"0": 0.0},
    "preset": {"another one": "tree"},
    "n_trees": v.whole(),
    "beam_size": v.whole(),
    "learning_rate": {"0": 0.0},
    "batch_size": v.whole(),
    "max_epochs": v.whole(),
    "ngram_range": {"a number": 2, "falling": (2, 1)},
    "min_df": {"a text": "1"},
    "max_df": {"more than 1": 1.5},
    "max_words": v.whole(),
    "head": {"a class": models.MLkNN},
    "knowledge": {"a list": v.NAMES, "of fewer labels": LabelKnowledge(v.NAMES[:2])},
    "text_weight": {"negative": -1.0},
    "class_weight": {"another one": "equal"},
    "n_jobs": {"0": 0},
    "random_state": v.SEED,
    "verbose": v.FLAG,
    "function": v.OBJECT,
    "model": {"a number": 5},
    "max_length": v.whole(),
    "pooling": {"another one": "max"},
    "n_heads": v.whole(),
    "repeat_below": {"more than 1": 1.5},
    "token_dropout": {"all": 1.0},
}


def calls(_):
    """Return the calls of this room; of classes that need a model's files those that need none yet."""
    found = []
    for name, settings in OF_FEATURES.items():
        found += _base_model(getattr(models, name)(**settings), v.X, v.features)
    for name, settings in OF_TEXTS.items():
        found += _base_model(
            getattr(models, name)(**settings), v.TEXTS, lambda rows=False, width=False: v.texts(rows=rows)
        )
    for name in NEED_FILES:
        found += _of_files(getattr(models, name))
    return found + _score_function()


def _base_model(made, X, bad):
    """Return the calls of a base model of features or texts."""
    given = {"X": X, "Y": v.Y}
    wrong = {"X": bad(), "Y": v.labels(width=False)}
    fitted = made.fit(**given)
    return [
        *estimator(made, given, wrong, parameters=PARAMETERS),
        *used(fitted, ["predict"], {"X": X}, {"X": bad(width=True)}),
        *used(fitted, ["top_scores"], {"X": X, "k": 1}, {"X": bad(width=True), "k": v.whole()}),
    ]


def _of_files(cls):
    """Return the calls of a model that is read from files, which no bad input comes to."""
    given, wrong = {"X": v.TEXTS}, {"X": v.texts()}
    if cls is models.SentenceEmbedder:
        made = estimator(cls(), given, wrong, parameters=PARAMETERS)
        return [*made, *method(cls(), "transform", given, wrong)]
    fitted = cls()
    fitted.n_labels_ = len(v.NAMES)  # as if it were
    return [
        *estimator(cls(), given | {"Y": v.Y}, wrong | {"Y": v.labels(width=False)}, parameters=PARAMETERS),
        *used(fitted, ["predict"], given, wrong),
        *used(fitted, ["top_scores"], given, wrong | {"k": v.whole()}),
    ]


def _score_function():
    """Return the calls of a model that is a function."""
    made = models.ScoreFunction(len)
    found = estimator(made, {"X": v.X, "Y": v.Y}, {}, parameters=PARAMETERS)
    good = models.ScoreFunction(lambda batch: v.SCORES)
    rows = {"X": {"no rows": v.X[:0], "None": None}}
    found += method(good, "predict", {"X": v.X}, rows)
    found += method(good, "top_scores", {"X": v.X}, rows | {"k": v.whole()})
    returned = {
        "that returns a row too few": lambda batch: v.SCORES[1:],
        "that returns one dimension": lambda batch: v.SCORES[:, 0],
        "that returns NaN": lambda batch: v.changed(v.SCORES, (2, 1), math.nan),
        "that returns logits": lambda batch: 4 * v.SCORES,
        "that returns None": lambda batch: None,
    }
    found.append(
        Call(
            "ScoreFunction.predict",
            lambda function: models.ScoreFunction(function).predict(v.X),
            {"function": good.function},
            {"function": returned},
        )
    )
    return found + method(
        made,
        "from_pipeline",
        {"pipeline": lambda texts, top_k: [], "label_names": v.NAMES},
        {
            "pipeline": v.OBJECT,
            "label_names": v.names() | {"repeated": ["cat", "cat", "dog"]},
            "batch_size": v.whole(),
        },
    )
