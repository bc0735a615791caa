"""Bad input of the audit."""

import numpy as np

from adathresh import leakage
from adathresh.experiments.bad_input import function
from adathresh.experiments.bad_input import values as v
from adathresh.models import MLkNN
from adathresh.signals import NeighborLabels


def calls(_):
    """Return the calls of this room."""
    given = {
        "estimator": None,
        "X_train": v.X,
        "Y_train": v.Y,
        "X_test": v.X,
        "Y_test": v.Y,
        "texts_train": v.TEXTS,
        "texts_test": v.TEXTS,
        "groups_train": v.ROWS,
        "groups_test": v.ROWS,
    }
    rows = v.features(rows=True, width=True)
    [rows.pop(words) for words in ("texts", "no rows", "NaN")]
    wrong = {
        "estimator": {"a text": "MLkNN", "a class": MLkNN},
        "X_train": rows,
        "Y_train": v.labels(rows=False, width=False),
        "X_test": rows,
        "Y_test": v.labels(rows=False),
        "texts_train": v.texts(rows=True) | {"None": None},
        "texts_test": v.texts(rows=True) | {"None": None},
        "groups_train": v.groups() | {"None": None},
        "groups_test": v.groups() | {"None": None},
        "local": v.scores(probabilities=False)
        | {"not fitted": NeighborLabels(), "of other rows": NeighborLabels().fit(v.X[1:], v.Y[1:])},
        "scores": v.scores(probabilities=False),
        "similarity": {"below 0.8": 0.5, "above 1": 1.5, "NaN": np.nan, "a text": "0.9"},
        "n_rows": v.whole(2),
        "random_state": v.SEED,
    }
    return [
        *function(leakage.audit, given, wrong),
        *function(leakage.only_words, {"text": "red cats"}, {"text": {"None": None, "a list": ["red"]}}),
    ]
