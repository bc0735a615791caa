"""Bad input of the rule, the classifier, the paper's method, and of saved files."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

import adathresh
from adathresh.experiments.bad_input import estimator, function, method, used
from adathresh.experiments.bad_input import values as v
from adathresh.posthoc import consistent_label_sets, to_onnx
from adathresh.signals import LabelKnowledge

KNOWLEDGE = LabelKnowledge(v.NAMES, parents={"cow": ["cat"]})
TARGET = {"another one": "macro-f1"}
PARAMETERS = {
    "target": TARGET,
    "target_value": {"a text": "0.9", "for a target without": 0.5},
    "confidence": v.share(),
    "fusion": {"another one": "trees"},
    "evaluation_rows": v.whole(),
    "transductive": v.FLAG,
    "random_state": v.SEED,
    "unlabeled": v.features(width=True) | {"no row": v.X[:0], "texts": v.TEXTS},
    "label_features": {"names": v.NAMES, "a label too few": v.X[:2], "a feature too few": v.X[:3, 1:]},
    "others": {"another one": "kept"},
    "n_rounds": {"negative": -1, "a text": "2"},
    "held_out": v.share() | {"less than a row": 0.01},
    "estimator": {
        "no estimator": "logistic",
        "a class": LogisticRegression,
        "a regressor": LinearRegression(),
        "none": [],
        "frozen before it was fitted": FrozenEstimator(LogisticRegression()),
    },
    "rule": {"a target": "macro_f1"},
    "cv": {"1": 1, "more than there are rows": 13, "a text": "3"},
    "n_neighbors": v.whole(),
    "neighbor_search": {"another one": "fast"},
    "n_jobs": {"0": 0},
    "verbose": v.FLAG,
    "hidden_layers": {"a number": 5, "an empty one": (0,)},
    "dropout": {"1": 1.0},
    "use_idf": v.FLAG,
    "use_knn": v.FLAG,
    "use_threshold_bias": v.FLAG,
    "fixed_threshold": {"a text": "0"},
    "init_std": {"negative": -1.0},
    "output_bias": {"another one": "mean"},
    "normalize_logits": v.FLAG,
    "loss": v.OBJECT,
    "margin_weight": {"negative": -1.0},
    "margin": {"negative": -1.0},
    "pos_weight": {"0": 0.0},
    "learning_rate": {"0": 0.0},
    "weight_decay": {"negative": -1.0},
    "batch_size": v.whole(),
    "max_epochs": v.whole(),
    "patience": v.whole(),
    "validation_fraction": {"1": 1.0},
    "device": {"not there": "abacus"},
    "checkpoint": v.PATH,
}


def calls(folder):
    """Return the calls of these rooms."""
    return [
        *_rule(),
        *_classifier(),
        *_self_training(),
        *_explorer(),
        *_network(),
        *_files(folder),
        *_label_sets(),
        *_onnx(),
    ]


def _signals():
    """Return what may be wrong with a signal beside the scores."""
    return v.scores() | {"above 1": v.changed(v.SCORES, (2, 1), 1.5)}


def _rule():
    """Return the calls of the rule."""
    made = adathresh.AdaptiveThreshold(fusion="linear")
    given = {"scores": v.SCORES, "Y": v.Y, "local": v.SCORES, "affinity": v.SCORES}
    one_class = {"none at all": 0 * v.Y, "all of them": 0 * v.Y + 1}
    wrong = {
        "scores": v.scores() | {"an empty list": []},
        "Y": v.labels(rows=False, width=False) | one_class,
        "local": _signals(),
        "affinity": _signals(),
        "Y_train": v.labels(rows=False),
        "folds": v.groups(),
        "sample_weight": v.weights(),
    }
    fitted = adathresh.AdaptiveThreshold(fusion="linear").fit(**given)
    guaranteed = adathresh.AdaptiveThreshold("precision", target_value=0.1, confidence=0.5, fusion="linear")
    grouped = given | {"groups": v.ROWS}
    alone = adathresh.AdaptiveThreshold(fusion="linear").fit(v.SCORES, v.Y)
    changed = adathresh.AdaptiveThreshold(fusion="linear").fit(**given).set_params(target="micro_f1")
    transductive = adathresh.AdaptiveThreshold(fusion="linear", transductive=True).fit(**given)
    new = {"scores": v.SCORES, "local": v.SCORES, "affinity": v.SCORES}
    wrong_new = {
        "scores": v.scores(rows=False) | {"two matrices": [v.SCORES, v.SCORES]},
        "local": _signals() | {"None": None, "two matrices": [v.SCORES, v.SCORES]},
        "affinity": _signals() | {"None": None},
    }
    row = {name: matrix[:1] for name, matrix in new.items()}
    states = {"changed_after_fit": changed}
    return [
        *estimator(made, given, wrong, parameters=PARAMETERS),
        *method(
            guaranteed,
            "fit",
            grouped,
            {"groups": v.groups(), "sample_weight": {"beside a confidence": v.ROWS}},
        ),
        *used(
            fitted,
            ["predict", "predict_proba", "margins", "thresholds", "decide"],
            new,
            wrong_new,
            **states,
        ),
        *used(
            fitted,
            ["explain"],
            row | {"label": 0},
            {
                "local": {"None": None},
                "affinity": {"None": None},
                "label": {"not there": 3, "negative": -1, "a text": "cat"},
            },
            transductive=transductive,
            **states,
        ),
        *method(
            alone, "explain", {"scores": v.SCORES[:1], "label": 0}, {"scores": {"two rows": v.SCORES[:2]}}
        ),
        *used(
            fitted,
            ["retarget"],
            {"target": "precision", "target_value": 0.5},
            {
                "target": TARGET,
                "target_value": {"missing": None, "out of range": 1.5, "a text": "0.5"},
                "confidence": v.share() | {"of a rule fitted without": 0.9},
                "evaluation_rows": v.whole(),
            },
        ),
        *used(
            fitted,
            ["threshold_intervals"],
            {},
            {"confidence": v.share(), "n_draws": v.whole(), "random_state": v.SEED},
            under_a_budget=adathresh.AdaptiveThreshold("budget", target_value=1, fusion="linear").fit(
                **given
            ),
            **states,
        ),
    ]


def _base():
    """Return a base model of the classifier."""
    return MultiOutputClassifier(LogisticRegression())


def _classifier():
    """Return the calls of the classifier."""
    made = adathresh.AdaptiveThresholdClassifier(_base(), cv=2, random_state=0)
    given = {"X": v.X, "Y": v.Y}
    named = {"label_names": v.NAMES}
    wrong = {
        "X": v.features() | {"a set": set(v.TEXTS)},
        "Y": v.labels(width=False) | {"names that are not known": [["cats"], ["dog"]] * 6},
        "groups": v.groups(),
        "label_features": {
            "names": v.NAMES,
            "NaN": v.changed(v.X[:3], (0, 0), np.nan),
            "masked entries": v.masked(v.X[:3]),
            "a label too few": v.X[:2],
            "a feature too few": v.X[:3, 1:],
            "rows of different length": [[1.0], [1.0, 2.0], [1.0]],
        },
        "label_names": v.names() | {"repeated": ["cat", "cat", "dog"], "a label too few": v.NAMES[:2]},
        "sample_weight": v.weights(),
    }
    wrong["Y"].pop("lists of tags")  # which are names, and welcome
    wrong["X"].pop("texts")  # for some base models
    fitted = adathresh.AdaptiveThresholdClassifier(_base(), cv=2, random_state=0).fit(**given, **named)
    unnamed = adathresh.AdaptiveThresholdClassifier(_base(), cv=2, random_state=0).fit(**given)
    new = v.features(width=True)
    methods = ["predict", "predict_proba", "decision_function", "thresholds", "decide"]
    return [
        *estimator(made, given | named, wrong, parameters=PARAMETERS),
        *used(fitted, methods, {"X": v.X}, {"X": new}),
        *used(fitted, ["predict_labels"], {"X": v.X}, {"X": new}, of_labels_without_names=unnamed),
        *used(
            fitted,
            ["explain"],
            {"x": v.X[:1], "label": "cat"},
            {
                "x": v.row_of_features(),
                "label": {"not there": 3, "a name that is none": "cats", "None": None},
            },
        ),
        *used(
            fitted,
            ["retarget"],
            {"target": "precision", "target_value": 0.5},
            {
                "target": TARGET,
                "target_value": {"missing": None, "out of range": 1.5},
                "confidence": {"of a rule fitted without": 0.9},
            },
        ),
        *method(made, "set_params", {}, {"n_folds": {"no parameter": 3}}),
    ]


def _self_training():
    """Return the calls of self-training."""
    rule = adathresh.AdaptiveThreshold("micro_f1", fusion="linear")
    options = {"rule": rule, "held_out": 0.5, "n_rounds": 1, "random_state": 0}
    made = adathresh.SelfTraining(_base(), v.X, **options)
    given = {"X": v.X, "Y": v.Y, "groups": v.ROWS}
    wrong = {"X": v.features(), "Y": v.labels(width=False), "groups": v.groups()}
    new = {"X": v.features(width=True)}
    fitted = clone(made).fit(**given)
    return [
        *estimator(made, given, wrong, parameters=PARAMETERS),
        *used(fitted, ["predict"], {"X": v.X}, new),
        *used(fitted, ["top_scores"], {"X": v.X, "k": 1}, new | {"k": v.whole()}),
    ]


def _explorer():
    """Return the calls of the view of single rows."""
    unfitted = adathresh.AdaptiveThresholdClassifier(_base(), cv=2, random_state=0)
    fitted = clone(unfitted).fit(v.X, v.Y)
    binary = adathresh.AdaptiveThresholdClassifier(LogisticRegression(), random_state=0).fit(v.X, v.Y[:, 0])
    given = {"classifier": fitted, "X": v.X, "Y": v.Y, "texts": v.TEXTS, "training_texts": v.TEXTS}
    wrong = {
        "classifier": {
            "another one": LogisticRegression(),
            "not fitted": unfitted,
            "of a binary target": binary,
        },
        "X": v.features(width=True) | {"no row": v.X[:0]},
        "Y": v.labels(),
        "texts": v.texts(rows=True),
        "training_texts": v.texts(rows=True),
        "n_labels": v.whole(),
        "n_neighbors": v.whole(),
        "row": {"not there": 12, "negative": -1},
    }
    view = {"row": 0, "target": "precision", "target_value": 0.5}
    return [
        *function(adathresh.LabelSetExplorer, given, wrong),
        *method(
            adathresh.LabelSetExplorer(**given),
            "view",
            view,
            {
                "row": wrong["row"],
                "target": TARGET,
                "target_value": {"missing": None, "out of range": 1.5},
            },
        ),
    ]


def _network():
    """Return the calls of the paper's method."""
    small = {"hidden_layers": (), "max_epochs": 1, "random_state": 0}
    made = adathresh.AdaptiveThresholdNetwork(**small)
    given = {"X": v.X, "Y": v.Y}
    wrong = {
        "X": v.features(),
        "Y": v.labels(width=False),
        "groups": v.groups(),
        "validation": {
            "one matrix": v.X,
            "a label too few": (v.X, v.Y[:, 1:]),
            "a feature too few": (v.X[:, 1:], v.Y),
        },
        "local": v.scores(probabilities=False),
    }
    fitted = adathresh.AdaptiveThresholdNetwork(**small).fit(**given)
    methods = ["predict", "predict_proba", "decision_function", "thresholds"]
    new = v.features(width=True)
    loss = adathresh.AdaptiveThresholdLoss()
    logits, targets = torch.tensor(v.SCORES), torch.tensor(v.Y).double()
    fusion = adathresh.ThresholdFusion(torch.ones(3))
    return [
        *estimator(made, given, wrong, parameters=PARAMETERS),
        *used(fitted, methods, {"X": v.X}, {"X": new}),
        *used(fitted, ["top_scores"], {"X": v.X, "k": 1}, {"X": new, "k": v.whole()}),
        *used(
            fitted,
            ["explain"],
            {"x": v.X[0], "label": 0},
            {
                "x": v.row_of_features(),
                "label": {"not there": 3, "a text": "cat"},
            },
        ),
        *function(
            adathresh.AdaptiveThresholdLoss,
            {},
            {name: PARAMETERS[name] for name in ("margin_weight", "margin", "pos_weight")}
            | {"reduction": {"another one": "median"}},
        ),
        *method(
            loss,
            "forward",
            {"logits": logits, "thresholds": logits, "targets": targets},
            {
                "logits": {"another shape": logits[1:]},
                "thresholds": {"another shape": logits[1:]},
                "targets": {
                    "a number other than 0 and 1": 2 * targets,
                    "whole numbers": targets.long(),
                    "another shape": targets[1:],
                },
            },
        ),
        *function(
            adathresh.ThresholdFusion,
            {"idf": torch.ones(3)},
            {
                "idf": {"two dimensions": torch.ones(3, 1), "NaN": torch.full((3,), np.nan)},
                "init_std": {"negative": -1.0},
                "fixed_threshold": {"NaN": np.nan, "a text": "0"},
                "use_idf": v.FLAG,
                "use_knn": v.FLAG,
                "use_bias": v.FLAG,
            },
        ),
        *method(
            fusion, "forward", {"local": torch.ones(2, 3)}, {"local": {"a label too few": torch.ones(2, 2)}}
        ),
        *method(
            fusion, "terms", {"local": torch.ones(2, 3)}, {"local": {"a label too few": torch.ones(2, 2)}}
        ),
    ]


def _files(folder):
    """Return the calls of saved objects."""
    idf = adathresh.LabelIDF().fit(v.Y)
    rule = adathresh.AdaptiveThreshold(fusion="linear").fit(v.SCORES, v.Y)
    network = adathresh.AdaptiveThresholdNetwork(hidden_layers=(), max_epochs=1).fit(v.X, v.Y)
    path, damaged = folder / "idf.safetensors", folder / "damaged.safetensors"
    adathresh.save(idf, path)
    damaged.write_bytes(path.read_bytes()[:-9])
    (folder / "file").write_text("")
    files = v.PATH | {"not there": folder / "none.safetensors", "damaged": damaged}
    trusted = {"a text": "sklearn", "a number among them": [1]}
    places = v.PATH | {"in a file": folder / "file" / "rule.safetensors"}
    found = function(
        adathresh.load,
        {"path": path},
        {
            "path": files,
            "trusted": trusted,
            "expected": {"another class": adathresh.AdaptiveThreshold, "a text": "LabelIDF"},
        },
    )
    found += function(
        adathresh.save,
        {"fitted": idf, "path": folder / "saved.safetensors"},
        {
            "fitted": {"not fitted": adathresh.LabelIDF(), "another package's": LogisticRegression()},
            "path": places,
            "retargetable": v.FLAG,
        },
    )
    classifier = adathresh.AdaptiveThresholdClassifier(_base(), cv=2, random_state=0).fit(v.X, v.Y)
    for fitted in (rule, classifier, network):
        of_it = folder / f"{type(fitted).__name__}.safetensors"
        fitted.save(of_it)
        found += used(fitted, ["save"], {"path": of_it}, {"path": places})
        wrong = {"path": files | {"of another class": path}, "trusted": trusted}
        found += method(
            type(fitted)(*([_base()] if fitted is classifier else [])), "load", {"path": of_it}, wrong
        )
    return found


def _label_sets():
    """Return the calls of label sets by a hierarchy."""
    label_sets = v.labels(rows=False, width=False) | {"lists of tags": [["cats"], [], ["dog"]]}
    return function(
        consistent_label_sets,
        {"label_sets": v.Y, "knowledge": KNOWLEDGE},
        {
            "label_sets": label_sets,
            "knowledge": {"a list": v.NAMES, "of fewer labels": LabelKnowledge(v.NAMES[:2])},
            "how": {"another one": "both"},
        },
    )


def _onnx():
    """Return the calls of the rule as an ONNX graph."""
    rule = adathresh.AdaptiveThreshold(fusion="linear").fit(v.SCORES, v.Y)
    wrong = {
        "not fitted": clone(rule),
        "another class": LogisticRegression(),
        "with a budget": rule.retarget("budget", 1),
        "transductive": clone(rule).set_params(transductive=True).fit(v.SCORES, v.Y),
    }
    return function(to_onnx, {"rule": rule}, {"rule": wrong})
