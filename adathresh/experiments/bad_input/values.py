"""A small data set that everything takes, and what may be wrong with each kind of argument."""

import math

import numpy as np
import scipy.sparse as sp

Y = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]] * 3)
SCORES = np.round(np.random.default_rng(0).random(Y.shape), 3)
X = np.round(np.random.default_rng(1).random((len(Y), 4)), 3)
TEXTS = ["red cat", "blue dog", "red dog", "old cow"] * 3
NAMES = ["cat", "dog", "cow"]
ROWS = np.arange(len(Y))
FOLDS = ROWS % 3
FREQUENCY = np.array([6, 6, 6])


def changed(values, place, value):
    """Return a copy with another value at one place."""
    values = np.array(values, dtype=np.result_type(values, type(value)))
    values[place] = value
    return values


def masked(values):
    """Return an array, one entry of which is masked."""
    values = np.asarray(values)
    return np.ma.masked_array(values, mask=np.arange(values.size).reshape(values.shape) == 1)


def stored_twice(values):
    """Return a sparse matrix that stores its first pair twice."""
    rows, columns = (np.r_[places[0], places] for places in np.indices(values.shape).reshape(2, -1))
    return sp.coo_array((np.ones(len(rows)), (rows, columns)), shape=values.shape)


def labels(*, rows=True, width=True):
    """Return what may be wrong with 0/1 labels; ``rows`` and ``width``: whether something else sets these."""
    wrong = {
        "a number other than 0 and 1": changed(Y, (2, 1), 2),
        "NaN": changed(Y, (2, 1), math.nan),
        "masked entries": masked(Y),
        "a pair stored twice": stored_twice(Y),
        "texts": Y.astype(str),
        "lists of tags": [["cat"], ["dog", "cow"], []] * 4,
        "three dimensions": Y[None],
    }
    wrong |= {"a row too few": Y[1:]} if rows else {}
    return wrong | ({"a label too few": Y[:, 1:]} if width else {})


def scores(*, rows=True, width=True, probabilities=True):
    """Return what may be wrong with scores, whose shape other arguments set, or do not."""
    wrong = {
        "NaN": changed(SCORES, (2, 1), math.nan),
        "infinity": changed(SCORES, (2, 1), math.inf),
        "masked entries": masked(SCORES),
        "a pair stored twice": stored_twice(SCORES),
        "texts": SCORES.astype(str),
        "one dimension": SCORES[:, 0],
    }
    wrong |= {"below 0": changed(SCORES, (2, 1), -0.5)} if probabilities else {}
    wrong |= {"a row too few": SCORES[1:]} if rows else {}
    return wrong | ({"a label too few": SCORES[:, 1:]} if width else {})


def features(*, rows=False, width=False):
    """Return what may be wrong with features, whose shape other arguments set, or do not."""
    wrong = {
        "NaN": changed(X, (2, 1), math.nan),
        "infinity": changed(X, (2, 1), math.inf),
        "masked entries": masked(X),
        "one dimension": X[:, 0],
        "no rows": X[:0],
        "texts": TEXTS,
        "None": None,
    }
    wrong |= {"a row too few": X[1:]} if rows else {}
    return wrong | ({"a feature too few": X[:, 1:]} if width else {})


def row_of_features():
    """Return what may be wrong with one row of features."""
    return {
        "two rows": X[:2],
        "NaN": changed(X, (0, 1), math.nan)[:1],
        "infinity": changed(X, (0, 1), math.inf)[:1],
        "masked entries": masked(X)[:1],
        "a feature too few": X[:1, 1:],
    }


def texts(*, rows=False):
    """Return what may be wrong with texts, of which others may set the number."""
    wrong = {
        "one text": "red cat",
        "None among them": [*TEXTS[1:], None],
        "numbers": X,
        "a set": set(TEXTS),
        "a generator": (text for text in TEXTS),
        "none": [],
    }
    return wrong | ({"a row too few": TEXTS[1:]} if rows else {})


def groups():
    """Return what may be wrong with groups or folds of rows."""
    return {
        "a row too few": ROWS[1:],
        "NaN": changed(ROWS, 2, math.nan),
        "masked entries": masked(ROWS),
        "two dimensions": ROWS[:, None],
    }


def weights():
    """Return what may be wrong with weights of rows."""
    return {
        "a negative one": changed(ROWS, 2, -1),
        "NaN": changed(ROWS, 2, math.nan),
        "all 0": 0 * ROWS,
        "a row too few": ROWS[1:],
        "texts": ROWS.astype(str),
        "masked entries": masked(ROWS),
    }


def frequencies():
    """Return what may be wrong with frequencies of labels."""
    return {
        "a negative one": np.array([6, -1, 6]),
        "NaN": np.array([6, math.nan, 6]),
        "a label too few": FREQUENCY[1:],
        "texts": ["six", "six", "six"],
        "masked entries": masked(FREQUENCY),
    }


def names():
    """Return what may be wrong with names of labels."""
    return {"a text": "cat", "a number among them": ["cat", "dog", 3], "a set": set(NAMES), "none": []}


def whole(least=1):
    """Return what may be wrong with a whole number."""
    return {f"less than {least}": least - 1, "a fraction": least + 0.5, "a text": str(least)}


def share():
    """Return what may be wrong with a number greater than 0 and less than 1."""
    return {"0": 0.0, "NaN": math.nan, "a text": "0.5"}


FLAG = {"a text": "yes"}
SEED = {"negative": -1, "a text": "0"}
OBJECT = {"a text": "something else"}
PATH = {"a number": 5}
