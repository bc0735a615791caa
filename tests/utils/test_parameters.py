"""Parameters: what is allowed, and that every class names the one that is wrong before it does any work."""

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from adathresh import (
    AdaptiveThreshold,
    AdaptiveThresholdClassifier,
    AdaptiveThresholdNetwork,
    LabelIDF,
    LabelKnowledge,
    NeighborLabels,
    SelfTraining,
    models,
    rules,
)
from adathresh.calibration import IsotonicCalibration, PlattScaling, TemperatureScaling
from adathresh.rules.base import DecisionRule
from adathresh.signals import FeatureBlocks, GroupContext, LabelAffinity, LabelMentions
from adathresh.utils import parameters as p

RNG = np.random.default_rng(0)
Y = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]] * 3)
SCORES, X = RNG.random(Y.shape), RNG.random((len(Y), 4))
TEXTS = ["red cat", "blue dog", "red dog", "old cow"] * 3
BASE = OneVsRestClassifier(LogisticRegression())

RULES = [cls for name in rules.__all__ if issubclass(cls := getattr(rules, name), DecisionRule)]
ON_TEXTS = {
    "BagOfWords",
    "FineTunedTransformer",
    "FrozenTransformer",
    "LabelPrototypes",
    "LabelQueryTransformer",
    "SentenceEmbedder",
}
CALIBRATIONS = [IsotonicCalibration, PlattScaling, TemperatureScaling]
MODELS = [getattr(models, name) for name in models.__all__]
# what is needed to make one, and what fit is given
CASES = {
    **{cls: ({}, (SCORES, Y)) for cls in RULES},
    **{cls: ({}, (TEXTS if cls.__name__ in ON_TEXTS else X, Y)) for cls in MODELS},
    models.ScoreFunction: ({"function": len}, (X, Y)),
    AdaptiveThreshold: ({}, (SCORES, Y)),
    AdaptiveThresholdClassifier: ({"estimator": BASE}, (X, Y)),
    SelfTraining: ({"estimator": BASE, "unlabeled": X}, (X, Y)),
    AdaptiveThresholdNetwork: ({"hidden_layers": (2,), "max_epochs": 1}, (X, Y)),
    LabelIDF: ({}, (Y,)),
    **{cls: ({}, (SCORES, Y)) for cls in CALIBRATIONS},
    NeighborLabels: ({}, (X, Y)),
    FeatureBlocks: ({}, ({"half": X},)),
    GroupContext: ({}, (X,)),
    LabelAffinity: ({}, (X,)),
    LabelMentions: ({"knowledge": LabelKnowledge(["cat", "dog", "cow"])}, (TEXTS, Y)),
}


OF_ANY_SIGN = {"threshold", "fixed_threshold", "output_bias", "n_jobs"}
WORDS_OR_PATHS = {"device", "model", "checkpoint", "checkpoint_dir"}


def wrong_values(name):
    """Return values that no parameter of that name can have."""
    wrong = [math.nan, [object()]]
    wrong += [] if name in OF_ANY_SIGN else [-1.5]
    return wrong + ([] if name in WORDS_OR_PATHS else ["2"])


def all_parameters():
    for cls, (needed, _) in CASES.items():
        for name in cls(**needed).get_params(deep=False):
            yield pytest.param(cls, name, id=f"{cls.__name__}-{name}")


@pytest.mark.parametrize(("cls", "name"), list(all_parameters()))
def test_every_class_names_the_wrong_parameter(cls, name):
    needed, given = CASES[cls]
    for value in wrong_values(name):
        with pytest.raises((TypeError, ValueError), match=name):
            cls(**needed | {name: value}).fit(*given)


@pytest.mark.parametrize(
    ("allowed", "good", "bad"),
    [
        (p.whole(), [-3, 0, np.int64(2)], [True, np.True_, 1.0, "1", None, np.array(1), math.nan]),
        (p.whole(1), [1, 10**30], [0, -1]),
        (p.whole(0, 3), [0, 3], [-1, 4]),
        (p.number(), [0, -2.5, np.float32(1)], [math.nan, math.inf, -math.inf, True, "1", 1j, [1.0]]),
        (p.number(finite=False), [math.inf, 1], [math.nan, True]),
        (p.number(least=0, below=1), [0, 0.5], [-1e-9, 1]),
        (p.number(above=0, most=1), [1e-9, 1], [0, 1.1]),
        (p.one_of("a", "b"), ["a", "b"], ["c", "", None, ["a"], np.array(["a", "b"])]),
        (p.flag(), [True, False, np.True_], [0, 1, "True", None]),
        (p.verbosity(), [True, False, 0, 10], [-1, None, "yes", 0.5]),
        (p.job_count(), [None, 1, -1, np.int32(4)], [0, 1.0, "2", True]),
        (p.seed(), [None, 0, 2**32 - 1, np.random.RandomState(0)], [-1, 2**32, 1.0, "0", True]),
        (p.estimator_with("fit", "predict"), [LogisticRegression()], [LogisticRegression, None, 1, "x"]),
        (p.path(), ["a", Path("a")], [1, None]),
        (
            p.sequence_of(p.whole(), plural="n"),
            [[], (1, 2), np.array([1])],
            ["12", 1, [1.5], np.ones((1, 1))],
        ),
        (p.either(p.flag(), p.one_of("auto")), [True, "auto"], ["no", None]),
        (p.optional(p.whole(1)), [None, 1], [0, "1"]),
    ],
)
def test_what_is_allowed(allowed, good, bad):
    assert all(allowed.holds(value) for value in good)
    assert not any(allowed.holds(value) for value in bad)


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (p.whole(), "a whole number"),
        (p.whole(1), "a whole number, at least 1"),
        (p.whole(0, 4), "a whole number from 0 to 4"),
        (p.number(above=0, most=1), "a finite number, greater than 0 and at most 1"),
        (p.one_of("a"), "'a'"),
        (p.one_of("a", "b", "c"), "'a', 'b' or 'c'"),
        (p.optional(p.flag()), "True or False, or None"),
        (p.sequence_of(p.number(), plural="numbers"), "a sequence of numbers"),
    ],
)
def test_the_words_of_the_error(allowed, words):
    assert allowed.words == words
    with pytest.raises(ValueError) as error:
        p.check_value("it", object, allowed)
    assert str(error.value) == f"it must be {words}; got {object!r}."


@pytest.mark.parametrize(
    ("allowed", "given", "meant"),
    [
        (p.one_of("smoothing", "fbr"), "smothing", " Did you mean 'smoothing'?"),
        (p.optional(p.either(p.one_of("sqrt", "log2"), p.whole())), "log", " Did you mean 'log2'?"),
        (p.one_of("smoothing", "fbr"), "none", ""),
        (p.one_of("smoothing", "fbr"), 3, ""),
        (p.whole(), "smoothing", ""),
    ],
)
def test_a_misspelt_word_is_answered_by_what_was_meant(allowed, given, meant):
    with pytest.raises(ValueError) as error:
        p.check_value("it", given, allowed)
    assert str(error.value) == f"it must be {allowed.words}; got {given!r}.{meant}"


def test_what_is_allowed_cannot_be_changed_by_an_instance():
    with pytest.raises(TypeError):
        rules.RCut()._parameters["k"] = p.whole()


def test_masked_arrays_without_masked_entries_are_arrays():
    expected = NeighborLabels().fit_transform(X, Y).toarray()
    found = NeighborLabels().fit_transform(np.ma.masked_array(X), np.ma.masked_array(Y)).toarray()
    np.testing.assert_array_equal(found, expected)
