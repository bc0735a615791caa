"""Saving and loading: the same predictions, here and in another process, and nothing that is not checked."""

import copy
import importlib
import inspect
import json
import os
import pickle
import pkgutil
import re
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import adathresh
from adathresh import (
    AdaptiveThreshold,
    AdaptiveThresholdClassifier,
    AdaptiveThresholdNetwork,
    LabelAffinity,
    LabelIDF,
    LabelKnowledge,
    LabelMentions,
    LabelSetExplorer,
    NeighborLabels,
    load,
    rules,
    save,
    saving,
)
from adathresh.calibration import IsotonicCalibration, PlattScaling, TemperatureScaling
from adathresh.models import (
    BagOfWords,
    ExtraTrees,
    LabelPrototypes,
    LabelTree,
    LinearOneVsRest,
    LogisticHead,
    MLkNN,
    NeighborShares,
)
from adathresh.paper.rival_losses import FocalLoss
from adathresh.posthoc.label_texts import LabelTextSignals
from adathresh.signals import FeatureBlocks, GroupContext
from adathresh.signals.phrases import PhraseMatcher
from adathresh.utils.boosted_trees import BoostedTrees

X, Y = make_multilabel_classification(150, n_features=12, random_state=0)
SCORES = np.clip(np.random.default_rng(0).normal(0.3 + 0.3 * Y, 0.2), 0.01, 0.99)
LOCAL = NeighborLabels(10).fit_transform(X, Y)
AFFINITY = sp.csr_array(np.random.default_rng(1).random(Y.shape).round(1) * (Y + 1) / 2)
FOLDS = np.arange(len(X)) % 3

NAMES = ["cat", "dog", "state aid"]
KNOWLEDGE = LabelKnowledge(NAMES, synonyms={"dog": ["hound"]}, parents={"dog": ["cat"]})
TEXTS = [
    "red cat",
    "old dog and hounds",
    "state aid for cats",
    "a red hound",
    "no aid, no dog",
    "the cat",
] * 5
OF_TEXTS = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0]] * 5)
NEW_TEXTS = ["two cats and a dog", "state aids", "hounds"]


def written(fitted, folder, **options):
    """Save an object, and return the file."""
    path = folder / "object.safetensors"
    assert save(fitted, path, **options) == path.stat().st_size
    return path


def same(one, other):
    """Compare what two objects return: arrays, sparse matrices, several of them, or other values."""
    if isinstance(one, list | tuple) and any(
        isinstance(part, np.ndarray) or sp.issparse(part) for part in one
    ):
        assert len(one) == len(other)
        for parts in zip(one, other, strict=True):
            same(*parts)
    elif sp.issparse(one):
        assert type(one) is type(other)
        assert one.dtype == other.dtype
        assert_array_equal(one.toarray(), other.toarray())
        assert one.nnz == other.nnz
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    else:
        assert one == other


def check(fitted, folder, *calls):
    """Save and load an object, and compare what it answers; return the loaded one."""
    loaded = load(written(fitted, folder))
    assert type(loaded) is type(fitted)
    if isinstance(fitted, BaseEstimator):
        assert repr(loaded) == repr(fitted)
    for call in calls:
        same(call(fitted), call(loaded))
    return loaded


# Every class


SIGNALS = {
    "idf": (LabelIDF(epsilon=0.5).fit(Y), lambda signal: (signal.idf_, signal.frequency_, signal.unseen_)),
    "neighbors": (NeighborLabels(5, weights="similarity").fit(X, Y), lambda signal: signal.transform(X[:9])),
    "sparse neighbors": (
        NeighborLabels(5).fit(sp.csr_array(X), sp.csr_array(Y), groups=FOLDS),
        lambda signal: (signal.transform(X[:9]), signal.kneighbors(), np.array(signal.nearest(X[:1], 0))),
    ),
    "blocks": (
        FeatureBlocks(weights={"all": 2, "some": 1}).fit({"all": X, "some": sp.csr_array(X[:, :2])}),
        lambda blocks: (blocks.transform({"all": X[:9]}), blocks.weights_),
    ),
    "context": (
        GroupContext().fit(sp.csr_array(X)),
        lambda context: context.transform(sp.csr_array(X[:9]), FOLDS[:9]),
    ),
    "affinity": (LabelAffinity().fit(sp.csr_array(X[:5])), lambda signal: signal.transform(X)),
    "mentions": (LabelMentions(KNOWLEDGE).fit(TEXTS, OF_TEXTS), lambda signal: signal.transform(NEW_TEXTS)),
    "phrases": (PhraseMatcher(["state aid", "WHO", "dog"]), lambda matcher: matcher.count(NEW_TEXTS)),
    "knowledge": (KNOWLEDGE, lambda knowledge: (knowledge.names, knowledge.synonyms, knowledge.parents)),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals(tmp_path, name):
    check(SIGNALS[name][0], tmp_path, SIGNALS[name][1])


def test_signals_of_label_texts(tmp_path):
    signals = LabelTextSignals(KNOWLEDGE, LabelPrototypes(KNOWLEDGE, min_df=1, max_df=1.0))
    signals.fit_transform(TEXTS, OF_TEXTS, folds=np.arange(30) % 2)
    loaded = check(signals, tmp_path, lambda signals: signals.transform(NEW_TEXTS))
    assert loaded.knowledge is loaded.prototypes.knowledge  # what was shared is saved once


ALL_SIGNALS = {"local": LOCAL, "affinity": [AFFINITY, LOCAL]}
TARGETS = [
    *[("macro_f1", None), ("micro_f1", None), ("macro_micro_f1", 0.5), ("precision", 0.8)],
    *[("label_precision", 0.7), ("budget", 2), ("cost", 2.0)],
]
ANSWERS = [
    lambda rule, scores, **signals: rule.predict(scores, **signals),
    lambda rule, scores, **signals: rule.predict_proba(scores, **signals),
    lambda rule, scores, **signals: rule.margins(scores, **signals),
    lambda rule, scores, **signals: rule.thresholds(scores, **signals),
]


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["auto", "boosted", "linear"])
@pytest.mark.parametrize("signals", [{}, {"local": LOCAL}, ALL_SIGNALS], ids=["alone", "local", "all"])
def test_rules_of_every_fusion_and_target(tmp_path, fusion, signals):
    rule = AdaptiveThreshold(fusion=fusion, random_state=0).fit(SCORES, Y, folds=FOLDS, **signals)
    for target, value in TARGETS:
        other = rule.retarget(target, value)
        answers = [partial(answer, scores=SCORES, **signals) for answer in ANSWERS]
        loaded = check(other, tmp_path, *answers)
        for again, (name, number) in zip((loaded.retarget(*t) for t in TARGETS), TARGETS, strict=True):
            same(again.label_thresholds_, rule.retarget(name, number).label_thresholds_)
    first = {
        name: [part[[0]] for part in (given if isinstance(given, list) else [given])]
        for name, given in signals.items()
    }
    same(rule.explain(SCORES[:1], 1, **first), load(written(rule, tmp_path)).explain(SCORES[:1], 1, **first))


@pytest.mark.filterwarnings("ignore::adathresh.posthoc.NoGuaranteeWarning")
@pytest.mark.parametrize(("target", "value"), [("precision", 0.6), ("label_precision", 0.5)])
def test_rules_with_a_guarantee(tmp_path, target, value):
    rule = AdaptiveThreshold(target, target_value=value, confidence=0.8, fusion="linear", random_state=0)
    rule.fit(SCORES, Y, groups=np.arange(150) // 2)
    assert np.any(rule.guaranteed_)
    loaded = check(rule, tmp_path, *[partial(answer, scores=SCORES) for answer in ANSWERS])
    same(loaded.guaranteed_, rule.guaranteed_)
    assert loaded.row_limit_ == rule.row_limit_
    other, again = (one.retarget("precision", 0.5, confidence=0.7) for one in (rule, loaded))
    same(again.predict(SCORES), other.predict(SCORES))
    path = written(rule, tmp_path, retargetable=False)
    assert not any("_held_rows" in name for name in stored(path))
    same(load(path).predict(SCORES), rule.predict(SCORES))
    with pytest.raises(ValueError, match="retargetable=False"):
        load(path).retarget("precision", 0.5, confidence=0.7)


def test_a_rule_that_is_transductive_and_has_a_state_of_random_numbers(tmp_path):
    rule = AdaptiveThreshold(transductive=True, random_state=np.random.RandomState(3)).fit(SCORES, Y)
    loaded = load(written(rule, tmp_path))
    same(loaded.predict(SCORES[:40]), rule.predict(SCORES[:40]))
    assert loaded.random_state.randint(10**9) == rule.random_state.randint(10**9)


def test_nothing_is_taken_for_what_was_in_its_place_before(tmp_path, monkeypatch):
    taken, take = [], BoostedTrees.from_sklearn

    def from_sklearn(model):
        trees = take(model)
        taken.append(weakref.ref(trees))
        return trees

    monkeypatch.setattr(BoostedTrees, "from_sklearn", from_sklearn)
    rule = AdaptiveThreshold(fusion="boosted", random_state=0).fit(SCORES, Y)
    writer = saving._Writer("AdaptiveThreshold", retargetable=True)
    writer.form(rule, "")
    assert taken[0]() is not None  # while others may be told from it by id


RULES = {
    **{name: getattr(rules, name)() for name in rules.__all__ if name not in ("DecisionRule", "RCut")},
    "RCut": rules.RCut(2),
    "per label": rules.CrossValidatedSCut("fbr", per_label=True),
    "own learner": rules.ThresholdRegression(learner=Ridge()),
}
NEED_SKOPS = {"own learner"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in NEED_SKOPS else n for n in RULES]
)
def test_rival_rules(tmp_path, name):
    if "MacroF1" in name:
        pytest.importorskip("xcolumns")
    rule = clone(RULES[name]).fit(SCORES, Y)
    check(rule, tmp_path, lambda rule: rule.predict(SCORES), lambda rule: rule.predict(sp.csr_array(SCORES)))


@pytest.mark.slow
def test_a_learner_that_the_caller_has_chosen_is_kept_as_it_is(tmp_path):
    learner = HistGradientBoostingRegressor(loss="poisson", max_iter=3)
    rule = rules.MetaLabeler(learner=learner).fit(SCORES, Y)
    path = written(rule, tmp_path)
    loaded = load(path, trusted=types_of(path))
    assert isinstance(loaded.learner_, HistGradientBoostingRegressor)
    same(loaded.predict(SCORES), rule.predict(SCORES))


@pytest.mark.parametrize(
    "calibrator",
    [
        TemperatureScaling(),
        TemperatureScaling(bias=False, from_logits=True),
        PlattScaling(),
        PlattScaling(per_label=True),
        IsotonicCalibration(),
        IsotonicCalibration(per_label=True),
    ],
    ids=str,
)
def test_calibrators(tmp_path, calibrator):
    unseen = np.linspace(0, 1, Y.size).reshape(Y.shape)
    check(
        clone(calibrator).fit(SCORES, Y),
        tmp_path,
        lambda calibrator: calibrator.transform(unseen),
        lambda calibrator: calibrator.transform(sp.csr_array(SCORES)),
    )


@pytest.mark.parametrize("of", ["dense", "sparse", "binary"])
@pytest.mark.parametrize(
    "model",
    [
        LinearOneVsRest("log", C=np.float64(2), random_state=0),
        LinearOneVsRest(class_weight={0: 1, 1: 2.5}, shortlist=NeighborShares(5), n_candidates=3),
        NeighborShares(4, weights="similarity"),
        MLkNN(4),
        LogisticHead(max_epochs=2, random_state=0),
    ],
    ids=str,
)
def test_base_models(tmp_path, model, of):
    given = {"dense": Y, "sparse": sp.csr_array(Y), "binary": np.array(["no", "yes"])[Y[:, 0]]}[of]
    model = clone(model).fit(sp.csr_array(X) if of == "sparse" else X, given)
    check(model, tmp_path, lambda model: model.predict(X), lambda model: model.top_scores(X, k=2))


@pytest.mark.parametrize(
    "model", [BagOfWords(min_df=1, max_words=3), LabelPrototypes(KNOWLEDGE, min_df=1, max_df=0.9)], ids=str
)
def test_base_models_of_texts(tmp_path, model):
    model = clone(model).fit(TEXTS, OF_TEXTS)
    loaded = check(
        model, tmp_path, lambda model: model.predict(NEW_TEXTS), lambda model: model.top_scores(NEW_TEXTS)
    )
    assert loaded.vectorizer_.vocabulary_ == model.vectorizer_.vocabulary_
    assert_array_equal(loaded.vectorizer_.get_feature_names_out(), model.vectorizer_.get_feature_names_out())


@pytest.mark.slow
def test_a_forest_of_scikit_learn(tmp_path):
    model = ExtraTrees(5, random_state=0).fit(X, Y)
    path = written(model, tmp_path)
    same(load(path, trusted=types_of(path)).top_scores(X), model.top_scores(X))


@pytest.fixture(scope="module")
def tree():
    pytest.importorskip("omikuji")
    return LabelTree(n_trees=2).fit(X, Y)


def test_label_trees(tmp_path, tree):
    loaded = check(tree, tmp_path, lambda tree: tree.top_scores(X, k=3), lambda tree: tree.predict(X))
    check(loaded, tmp_path, lambda tree: tree.top_scores(X, k=3))  # and what was loaded can be saved


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda tree: pickle.loads(pickle.dumps(tree))])
def test_a_classifier_around_a_label_tree_can_be_copied_pickled_and_saved(tmp_path, tree, copied):
    classifier = AdaptiveThresholdClassifier(LabelTree(n_trees=1), random_state=0).fit(X, Y)
    for again in (copied(classifier), load(written(classifier, tmp_path))):
        same(again.predict_proba(X), classifier.predict_proba(X))
        same(again.thresholds(X), classifier.thresholds(X))
    assert not hasattr(copied(LabelTree()), "model_")


def test_a_file_of_a_label_tree_stays_in_its_folder(tmp_path, tree):
    state = tree.__getstate__()
    state["model_"] = {f"../../{name}": content for name, content in state["model_"].items()}
    other = LabelTree()
    other.__setstate__(state)
    same(other.top_scores(X), tree.top_scores(X))


@pytest.mark.parametrize("options", [{}, {"fixed_threshold": 0.0}, {"use_knn": False, "hidden_layers": ()}])
def test_networks(tmp_path, options):
    options = {"hidden_layers": (8,), "max_epochs": 2, "random_state": 0, "normalize_logits": True, **options}
    network = AdaptiveThresholdNetwork(**options).fit(X, Y)
    network.save(tmp_path / "network.safetensors")
    loaded = AdaptiveThresholdNetwork.load(tmp_path / "network.safetensors")
    for answer in ("predict", "predict_proba", "thresholds", "decision_function"):
        same(getattr(network, answer)(X), getattr(loaded, answer)(X))
        same(getattr(network, answer)(sp.csr_array(X)), getattr(loaded, answer)(sp.csr_array(X)))
    assert loaded.explain(X[0], 1) == network.explain(X[0], 1)
    assert loaded.history_ == network.history_


def test_a_network_is_saved_without_the_loss_that_trained_it(tmp_path):
    options = {"hidden_layers": (8,), "max_epochs": 2, "random_state": 0}
    network = AdaptiveThresholdNetwork(loss=FocalLoss(), **options).fit(X, Y)
    network.save(tmp_path / "network.safetensors")
    loaded = AdaptiveThresholdNetwork.load(tmp_path / "network.safetensors")
    assert loaded.loss is None
    assert isinstance(network.loss, FocalLoss)
    same(network.predict_proba(X), loaded.predict_proba(X))


def test_every_estimator_of_the_package_can_be_saved():
    found = set()
    for module in pkgutil.walk_packages(adathresh.__path__, "adathresh."):
        if "experiments" in module.name or module.name.endswith("__main__"):
            continue
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__ == module.name and issubclass(kind, BaseEstimator):
                found.add((name, module.name))
    bases = {"DecisionRule", "TopScoresClassifier", "TextClassifier", "HeadedTextClassifier"}
    assert {(name, module) for name, module in found if name not in bases} <= set(saving.CLASSES.items())
    for name, module in saving.CLASSES.items():
        assert getattr(importlib.import_module(module), name).__module__ == module


# Classifiers


def test_a_classifier_of_features(tmp_path):
    frame = pd.DataFrame(Y, columns=list("abcde"))
    rows = pd.DataFrame(X, columns=[f"x{number}" for number in range(12)])
    models = [LinearOneVsRest("log", random_state=0), NeighborShares(5)]
    classifier = AdaptiveThresholdClassifier(models, random_state=0, rule=AdaptiveThreshold("micro_f1"))
    classifier.fit(rows, frame, label_features=X[:5])
    loaded = check(
        classifier,
        tmp_path,
        lambda classifier: classifier.predict(rows),
        lambda classifier: classifier.predict_proba(rows),
        lambda classifier: classifier.thresholds(rows),
        lambda classifier: classifier.retarget("budget", 1).predict(rows),
        lambda classifier: classifier.explain(rows.iloc[0], "b"),
        lambda classifier: classifier.feature_names_in_,
    )
    assert loaded.label_names_ == tuple("abcde")
    refitted = clone(loaded).fit(rows, frame, label_features=X[:5])
    same(refitted.predict_proba(rows), classifier.predict_proba(rows))


def text_classifier():
    model = [
        BagOfWords(LinearOneVsRest("log", random_state=0), min_df=1),
        LabelPrototypes(KNOWLEDGE, min_df=1),
    ]
    classifier = AdaptiveThresholdClassifier(model, n_neighbors=3, random_state=0)
    return classifier.fit(TEXTS, OF_TEXTS, label_features=KNOWLEDGE)


def test_a_classifier_of_texts_with_knowledge_of_labels(tmp_path):
    classifier = text_classifier()
    loaded = check(
        classifier,
        tmp_path,
        lambda classifier: classifier.predict(NEW_TEXTS),
        lambda classifier: classifier.predict_proba(NEW_TEXTS),
        lambda classifier: classifier.thresholds(NEW_TEXTS),
        lambda classifier: classifier.explain(NEW_TEXTS[0], "dog"),
        lambda classifier: classifier.decide(NEW_TEXTS).margins,
    )
    assert loaded.affinity_ is loaded.label_texts_.affinity_


def test_a_classifier_around_frozen_models(tmp_path):
    models = [
        BagOfWords(LinearOneVsRest("log", random_state=0), min_df=1),
        LabelPrototypes(KNOWLEDGE, min_df=1),
    ]
    models = [FrozenEstimator(model.fit(TEXTS, OF_TEXTS)) for model in models]
    classifier = AdaptiveThresholdClassifier(models, n_neighbors=3, random_state=0).fit(
        TEXTS[::-1], OF_TEXTS[::-1]
    )
    loaded = check(
        classifier,
        tmp_path,
        lambda classifier: classifier.predict_proba(NEW_TEXTS),
        lambda classifier: classifier.thresholds(NEW_TEXTS),
        lambda classifier: classifier.retarget("budget", 1).predict(NEW_TEXTS),
    )
    assert [type(model) for model in loaded.estimator_] == [FrozenEstimator] * 2
    assert loaded.estimator_[0] is loaded.estimator[0]


@pytest.mark.parametrize("classes", [[0, 1], ["no", "yes"], [True, False]])
def test_a_binary_classifier(tmp_path, classes):
    target = np.array(classes)[Y[:, 1]]
    classifier = AdaptiveThresholdClassifier(LinearOneVsRest("log"), random_state=0).fit(X, target)
    check(
        classifier, tmp_path, lambda classifier: classifier.predict(X), lambda classifier: classifier.classes_
    )


# Of another process, and without what it need not have


ELSEWHERE = """
import pickle, sys
import numpy as np
from adathresh import load
for path in sys.argv[1:]:
    loaded = load(path)
    X = np.load(path + ".npy", allow_pickle=False)
    X = X.tolist() if X.dtype.kind == "U" else X
    np.save(path + ".found.npy", np.stack([loaded.predict_proba(X), loaded.thresholds(X), loaded.predict(X)]))
print("torch" in sys.modules, "skops" in sys.modules)
"""


@pytest.mark.slow
def test_another_process_predicts_the_same(tmp_path, tree):
    classifiers = {
        "features": (AdaptiveThresholdClassifier(LinearOneVsRest("log"), random_state=0).fit(X, Y), X),
        "texts": (text_classifier(), NEW_TEXTS),
        "tree": (AdaptiveThresholdClassifier(LabelTree(n_trees=1), random_state=0).fit(X, Y), X),
    }
    paths = [str(tmp_path / name) for name in classifiers]
    for path, (classifier, rows) in zip(paths, classifiers.values(), strict=True):
        classifier.save(path)
        np.save(f"{path}.npy", rows)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, *paths], capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr
    for path, (classifier, rows) in zip(paths, classifiers.values(), strict=True):
        ours = [classifier.predict_proba(rows), classifier.thresholds(rows), classifier.predict(rows)]
        assert_array_equal(np.load(f"{path}.found.npy"), np.stack(ours))


def stored(path):
    """Return the arrays of a file by name."""
    with safetensors.safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_rule_alone_has_no_rows_and_can_do_without_what_retargeting_needs(tmp_path):
    classifier = AdaptiveThresholdClassifier(LinearOneVsRest("log"), random_state=0).fit(X, Y)
    path = tmp_path / "rule.safetensors"
    whole = classifier.rule_.save(path)
    assert "fitted_probabilities_.data" in stored(path)
    small = save(classifier.rule_, path, retargetable=False)
    assert whole - small > 16 * classifier.rule_.fitted_probabilities_.nnz
    assert all(
        len(X) not in tensor.shape and len(X) + 1 not in tensor.shape for tensor in stored(path).values()
    )
    rule = AdaptiveThreshold.load(path)
    same(rule.predict(SCORES, local=LOCAL), classifier.rule_.predict(SCORES, local=LOCAL))
    with pytest.raises(ValueError, match="retargetable=False"):
        rule.retarget("micro_f1")
    assert hasattr(classifier.rule_, "fitted_probabilities_")  # the saved one has lost nothing
    of_classifier = tmp_path / "classifier.safetensors"
    save(classifier, of_classifier, retargetable=False)
    assert not any("fitted_probabilities_" in name for name in stored(of_classifier))
    assert any(name.startswith("neighbors_.") for name in stored(of_classifier))


def test_the_size_of_a_rule_is_what_the_documentation_says(tmp_path):
    rng, n_labels = np.random.default_rng(0), 4000
    truth = sp.csr_array(sp.random_array((400, n_labels), density=0.01, rng=rng) > 0, dtype=np.float32)
    scores = truth * 0.3 + sp.random_array((400, n_labels), density=0.01, rng=rng) * 0.5
    rule = AdaptiveThreshold(fusion="linear").fit(scores, truth)
    size, n_pairs = save(rule, tmp_path / "rule", retargetable=False), rule.fitted_probabilities_.nnz
    assert 48 * n_labels < size < 48 * n_labels + 10_000
    assert 16 * n_pairs < rule.save(tmp_path / "rule") - size < 16 * n_pairs + 10_000


# Base models of other packages


class Own(ClassifierMixin, BaseEstimator):
    """A user's own model: the share of each label."""

    def fit(self, X, Y):
        self.share_ = np.asarray(Y).mean(axis=0)
        return self

    def predict_proba(self, X):
        return np.clip(self.share_ + 0.05 * np.asarray(X)[:, :1], 0, 1)


def types_of(path):
    """Read the types to be approved off the error, if there is one; releases of skops differ."""
    try:
        load(path)
    except ValueError as caught:
        error = str(caught)
    else:
        return []
    assert "not known to be harmless" in error
    return json.loads(error.split("trusted=")[1].removesuffix(").").replace("'", '"'))


@pytest.mark.slow
@pytest.mark.parametrize("texts", [False, True])
def test_models_of_scikit_learn_need_no_approval(tmp_path, texts):
    model = OneVsRestClassifier(LogisticRegression())
    model = make_pipeline(TfidfVectorizer(), model) if texts else model
    rows, labels = (TEXTS, OF_TEXTS) if texts else (X, Y)
    classifier = AdaptiveThresholdClassifier(model, random_state=0).fit(rows, labels)
    check(classifier, tmp_path, lambda c: c.predict_proba(rows), lambda c: c.thresholds(rows))


@pytest.mark.slow
def test_other_types_are_listed_and_made_when_they_are_approved(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "users_module", sys.modules[__name__])
    monkeypatch.setattr(Own, "__module__", "users_module")
    classifier = AdaptiveThresholdClassifier(Own(), random_state=0).fit(X, Y)
    path, made = written(classifier, tmp_path), []

    def note(model, state):
        made.append(model)
        vars(model).update(state)

    monkeypatch.setattr(Own, "__setstate__", note, raising=False)
    assert types_of(path) == ["users_module.Own"]
    with pytest.raises(ValueError, match=r"users_module\.Own"):
        load(path, trusted=["users_module.Another"])
    assert not made  # not even to be thrown away
    loaded = AdaptiveThresholdClassifier.load(path, trusted=["users_module.Own"])
    assert made
    same(loaded.predict_proba(X), classifier.predict_proba(X))


@pytest.mark.slow
def test_what_skops_cannot_write_is_named(tmp_path):
    model = clone(Own())
    classifier = AdaptiveThresholdClassifier(model, random_state=0).fit(X, Y)
    classifier.estimator_.generator_ = (number for number in range(3))
    with pytest.raises(
        TypeError, match=r"AdaptiveThresholdClassifier\.estimator_ is a Own, which skops cannot"
    ):
        save(classifier, tmp_path / "file")
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Label not")
def test_a_label_without_training_rows_needs_no_approval(tmp_path):
    labels = np.column_stack([Y, np.zeros(len(Y), dtype=int)])
    classifier = AdaptiveThresholdClassifier(OneVsRestClassifier(LogisticRegression())).fit(X, labels)
    loaded = AdaptiveThresholdClassifier.load(written(classifier, tmp_path))
    same(loaded.predict(X), classifier.predict(X))


@pytest.mark.parametrize(
    "model",
    [
        LinearOneVsRest(random_state=0),
        MLkNN(3),
        NeighborShares(),
        KNeighborsClassifier(3),
        OneVsRestClassifier(SVC()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_of_sparse_rows_need_no_approval(model, tmp_path):
    texts = ["the cat sat", "a cat and a dog", "the dog ran"] * 10
    tags = [["cat"], ["cat", "dog"], ["dog"]] * 10
    clf = AdaptiveThresholdClassifier(make_pipeline(TfidfVectorizer(), model), random_state=0).fit(
        texts, tags
    )
    clf.save(tmp_path / "clf")
    same(load(tmp_path / "clf").predict_proba(texts), clf.predict_proba(texts))


@pytest.mark.parametrize("trusted", [True, "users_module.Own", [int]])
def test_only_names_of_types_can_be_trusted(tmp_path, trusted):
    with pytest.raises(TypeError, match="trusted must be a list of names"):
        load(written(LabelIDF().fit(Y), tmp_path), trusted=trusted)


# What is refused


def test_an_object_whose_package_is_not_installed(tmp_path, monkeypatch):
    path = written(LogisticHead(max_epochs=1).fit(X, Y), tmp_path)
    monkeypatch.delitem(sys.modules, "adathresh.models.logistic")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="LogisticHead needs the package torch, which is not installed"):
        load(path)


def test_what_cannot_be_saved(tmp_path):
    for wrong in (Own().fit(X, Y), X, None, type("LabelIDF", (LabelIDF,), {})().fit(Y)):
        with pytest.raises(TypeError, match="Only objects of adathresh's own classes can be saved; got a "):
            save(wrong, tmp_path / "file")
    with pytest.raises(NotFittedError):
        save(AdaptiveThreshold(), tmp_path / "file")
    idf = LabelIDF().fit(Y)
    for wrong, kind in (
        ({1}, "a set"),
        (np.zeros(2, complex), "of complex128"),
        (sp.coo_array(Y), "a coo_array"),
    ):
        idf.extra_ = [0, {"a": wrong}]
        with pytest.raises(TypeError, match=rf"LabelIDF\.extra_\.1\.0 is an? .*{kind.split()[-1]}"):
            save(idf, tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_every_kind_of_value_comes_back(tmp_path):
    idf = LabelIDF().fit(Y)
    shared = np.arange(3)
    idf.extra_ = {
        "plain": [None, True, 2**70, "\udce9\n", -0.0, (1, [2.5]), b"\x00\xff", Path("a") / "b", np.float32],
        3: [float("inf"), np.float32(0.1), np.int64(3), np.bool_(True), np.str_("text")],
        (1, "a"): [np.array(["a", None, 3], dtype=object), np.array([["ab", "c"]]), np.zeros((0, 2), bool)],
        "arrays": [shared, shared, np.asfortranarray(X), np.array(3), np.arange(3, dtype=">i4")],
        "sparse": [kind(X[:5]) for kind in (sp.csr_array, sp.csr_matrix, sp.csc_array, sp.csc_matrix)],
    }
    found = load(written(idf, tmp_path)).extra_
    assert list(found) == list(idf.extra_)
    assert found["plain"] == idf.extra_["plain"]
    assert str(found["plain"][4]) == "-0.0"
    assert [type(value) for value in found[3]] == [float, np.float32, np.int64, np.bool_, str]
    assert found[3] == idf.extra_[3]
    for one, other in zip(idf.extra_[1, "a"], found[1, "a"], strict=True):
        same(one, other)
    for one, other in zip(idf.extra_["arrays"], found["arrays"], strict=True):
        assert_array_equal(one, other)
        assert one.shape == other.shape
        assert other.flags.writeable
    assert found["arrays"][0] is found["arrays"][1]
    assert found["arrays"][2].flags.f_contiguous
    for one, other in zip(idf.extra_["sparse"], found["sparse"], strict=True):
        same(one, other)


@pytest.fixture
def small(tmp_path):
    """Save a small object; return the file and its content."""
    path = written(LabelIDF().fit(Y), tmp_path)
    return path, path.read_bytes()


def test_truncated_files_are_refused(small):
    path, content = small
    for length in [*range(0, len(content), 7), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"object\.safetensors is damaged"):
            load(path)


def test_files_that_are_too_long_are_refused(small):
    path, content = small
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="damaged"):
        load(path)


@pytest.mark.slow
def test_any_changed_byte_is_found(small):
    path, content = small
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"object\.safetensors"):
            load(path)


def test_other_files_are_refused(tmp_path):
    for name, content in (("a.zip", b"PK\x03\x04" + bytes(200)), ("a.pkl", pickle.dumps(LabelIDF().fit(Y)))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="no file saved by adathresh"):
            load(tmp_path / name)
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": np.zeros(3)}, tmp_path / "other.safetensors", metadata)
        with pytest.raises(ValueError, match=r"other\.safetensors is no file saved by adathresh\.$"):
            load(tmp_path / "other.safetensors")
    with pytest.raises(FileNotFoundError, match="absent"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        load(tmp_path)


def forged(path, *, description=None, **changes):
    """Change the metadata or the description of a file, and make its digest right."""
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = {**file.metadata(), **changes}
    tensors = stored(path)
    if description is not None:
        form = json.loads(tensors[saving._DESCRIPTION].tobytes())
        description(form)
        tensors[saving._DESCRIPTION] = np.frombuffer(json.dumps(form).encode(), np.uint8)
    metadata.pop("sha256")
    save_file(tensors, path, {**metadata, "sha256": saving._digest(metadata, tensors)})
    return path


def test_other_major_versions_are_refused_and_minor_ones_read(small):
    path, _ = small
    major, minor = saving.FORMAT_VERSION
    assert load(forged(path, format_version=f"{major}.{minor + 7}")).n_samples_ == len(Y)
    for version in (f"{major + 1}.0", f"{major - 1}.9", f"{major}{major}.0", ""):
        with pytest.raises(ValueError, match=rf"is of version {version} of the format.*with adathresh 9\.9"):
            load(forged(path, format_version=version, adathresh="9.9"))


def test_a_file_has_the_usual_permissions(small, tmp_path):
    path, _ = small
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_files_of_this_major_version_are_still_read():
    """Where this fails, FORMAT_VERSION needs another major number, and the files are to be saved anew."""
    folder = Path(__file__).parent / "saved"
    classifier = AdaptiveThresholdClassifier.load(folder / "texts.safetensors")  # text_classifier()
    expected = [[0.396713, 0.999854, 2.2e-05], [0.614108, 0.000152, 0.999972], [0.000145, 0.999383, 1e-06]]
    np.testing.assert_allclose(classifier.predict_proba(NEW_TEXTS), expected, atol=1e-5)
    assert classifier.predict(NEW_TEXTS).tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    n_training = classifier.neighbors_._labels.shape[0]
    assert classifier.explain(NEW_TEXTS[:1], 1).neighbors[0][0] in range(n_training)
    LabelSetExplorer(classifier, NEW_TEXTS, training_texts=["a text"] * n_training)
    rule = AdaptiveThreshold.load(folder / "rule.safetensors")  # of the first three labels, with trees
    scores, local = [[0.2, 0.5, 0.7], [0.9, 0.1, 0.4]], sp.csr_array([[0.1, 0.0, 0.5], [0.6, 0.2, 0.3]])
    expected = [[0.690189, 1.297171, -0.164756], [-0.67289, 1.070443, 0.342079]]
    np.testing.assert_allclose(rule.thresholds(scores, local=local).toarray(), expected, atol=1e-5)
    assert rule.explain(scores[:1], 2, local=local[[0]]).predicted


@pytest.mark.parametrize("name", ["LabelIDFs", "os.system", "NoneType", "_Reader", "AdaptiveThresholdLoss"])
def test_unknown_classes_are_refused(small, name):
    path, _ = small
    forged(path, description=lambda form: form.update({"class": name}))
    with pytest.raises(ValueError, match=rf"saved by adathresh .*there is no class {name} that can be saved"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"is": "module"},
        {"is": None},
        {"state": 3},
        {"state": {"idf_": {"is": "same", "id": 99}}},
        {"state": {"idf_": {"is": "array", "tensor": "absent", "turned": False}}},
        {"state": {"idf_": {"is": "partial", "function": "system", "keywords": {}}}},
        {"state": {"idf_": {"is": "dtype", "value": "os"}}},
    ],
)
def test_descriptions_that_make_no_sense_are_refused(small, change):
    path, _ = small
    forged(path, description=lambda form: form.update(change))
    with pytest.raises(ValueError, match="cannot be read by"):
        load(path)


def test_a_matrix_whose_indices_lead_outside_is_refused(tmp_path):
    path = written(LabelAffinity().fit(X[:5]), tmp_path)
    forged(path, description=lambda form: form["state"]["_transposed"].update(shape=[12, 3]))
    with pytest.raises(ValueError, match=r"cannot be read by .*: indices must be < 3"):
        load(path)


def test_a_parameter_that_came_later_has_its_default(small):
    path, _ = small
    forged(path, description=lambda form: form["state"].pop("epsilon"))
    assert load(path).epsilon == 1.0


def test_the_methods_refuse_an_object_of_another_class(small):
    path, _ = small
    for kind in (AdaptiveThreshold, AdaptiveThresholdClassifier, AdaptiveThresholdNetwork):
        with pytest.raises(ValueError, match=rf"holds a LabelIDF, not a {kind.__name__}\."):
            kind.load(path)


# Whole or not there


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_leaves_the_old_file(small):
    path, content = small
    program = (
        "import resource, signal, sys\n"
        "import numpy as np\n"
        "from adathresh import LabelIDF, save\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "save(LabelIDF().fit(np.eye(2000, dtype=int)), sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert f"OSError: {path} could not be written" in done.stderr
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupted_save_leaves_the_old_file(small, monkeypatch):
    path, content = small

    def interrupted(tensors, temporary, metadata):
        Path(temporary).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(saving, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(LabelIDF().fit(Y[:20]), path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]
