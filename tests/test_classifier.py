"""The classifier around any estimator: cross-fitting without leakage, containers, and bad input."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from adathresh import (
    AdaptiveThreshold,
    AdaptiveThresholdClassifier,
    AdaptiveThresholdNetwork,
    LabelKnowledge,
    LabelMentions,
    LabelSetExplorer,
    NeighborLabels,
    classifier,
)
from adathresh.datasets import make_longtail
from adathresh.metrics import macro_f1
from adathresh.models.neighbors import NeighborShares
from adathresh.models.prototypes import LabelPrototypes
from adathresh.models.words import BagOfWords
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores
from adathresh.signals.label_text import LabelAffinity
from adathresh.utils.texts import label_vectorizer

ONE_VS_REST = OneVsRestClassifier(LogisticRegression())
LINEAR = AdaptiveThreshold(fusion="linear")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks gain nothing from threads, and wait long for them where other work runs too."""
    with threadpool_limits(1):
        yield


# A label is predicted above its own threshold, not where it is likelier than not; scikit-learn's few pairs
# see a difference with some folds, not with these.
@pytest.mark.filterwarnings("ignore:The fit of OneVsRestClassifier takes no sample_weight")
@pytest.mark.slow
@parametrize_with_checks(
    [AdaptiveThresholdClassifier(ONE_VS_REST, random_state=9)],
    expected_failed_checks=lambda _: {
        f"check_sample_weight_equivalence_on_{kind}_data": "cv is a number of folds, in which rows count once"
        for kind in ("dense", "sparse")
    },
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def make_data(seed=0, n_samples=150, n_labels=4):
    """Rows whose labels follow from the features, long-tailed; the last feature tells the rows apart."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 10)) * (rng.random((n_samples, 10)) < 0.7)
    X[:, -1] = 1e-3 * np.arange(1, n_samples + 1)
    threshold = np.linspace(0.2, 1.2, n_labels)
    return X, (X[:, :n_labels] + 0.4 * rng.normal(size=(n_samples, n_labels)) > threshold).astype(int)


def row_numbers(X):
    X = X.toarray() if sp.issparse(X) else X
    return np.round(X[:, -1] * 1e3).astype(int) - 1


def to_dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


def assert_equal(one, other):
    """Whether two results are the same, in the same container."""
    assert type(one) is type(other)
    np.testing.assert_array_equal(to_dense(one), to_dense(other))


class Recorder(ClassifierMixin, BaseEstimator):
    """Logistic regressions that remember which rows each copy was fitted on and asked about."""

    log = ()  # shared by the clones

    def fit(self, X, Y):
        self.rows_ = row_numbers(X)
        self.model_ = clone(ONE_VS_REST).fit(X, Y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        Recorder.log.append((self.rows_, row_numbers(X)))
        return self.model_.predict_proba(X)


@pytest.fixture
def log():
    Recorder.log = []
    yield Recorder.log
    Recorder.log = ()


def make_classifier(estimator=ONE_VS_REST, **options):
    return AdaptiveThresholdClassifier(estimator, **({"random_state": 0, "n_neighbors": 10} | options))


def test_it_is_the_rule_on_out_of_fold_scores_and_neighbours_from_the_same_folds():
    X, Y = make_data()
    clf = make_classifier(rule=LINEAR).fit(X, Y)
    held_out, folds = np.empty(Y.shape), np.full(len(Y), -1)
    seed = np.random.RandomState(0).randint(2**31)
    for rows, others in KFold(3, shuffle=True, random_state=seed).split(X):
        held_out[others] = clone(ONE_VS_REST).fit(X[rows], Y[rows]).predict_proba(X[others])
        folds[others] = len(set(folds)) - 1
    knn = NeighborLabels(10)
    rule = clone(LINEAR).fit(held_out, Y, local=knn.fit_transform(X, Y, groups=folds), folds=folds)
    assert clf.rule_.fusion_.coef_ == rule.fusion_.coef_
    new, _ = make_data(seed=1)
    scores, local = clone(ONE_VS_REST).fit(X, Y).predict_proba(new), knn.transform(new)
    np.testing.assert_array_equal(clf.predict(new), rule.predict(scores, local=local))
    np.testing.assert_allclose(clf.thresholds(new), rule.thresholds(scores, local=local).toarray())
    np.testing.assert_allclose(clf.predict_proba(new), rule.predict_proba(scores, local=local).toarray())
    z = logit(np.clip(scores, 1e-6, 1 - 1e-6))
    np.testing.assert_array_equal(z > clf.thresholds(new), clf.decision_function(new) > 0)


@pytest.mark.slow
def test_better_than_the_base_model_at_one_half():
    gains = []
    for seed in (0, 2, 4, 6, 8):
        X, Y = make_data(seed=seed, n_samples=500)
        new, truth = make_data(seed=seed + 1, n_samples=500)
        clf = make_classifier().fit(X, Y)
        gains.append(macro_f1(truth, clf.predict(new)) - macro_f1(truth, clf.estimator_.predict(new)))
    assert np.mean(gains) > 0.005


@pytest.mark.parametrize("cv", [2, 3, 5])
def test_no_row_is_scored_by_a_model_that_saw_it(log, cv):
    X, Y = make_data()
    clf = make_classifier(Recorder(), cv=cv).fit(X, Y)
    assert len(log) == cv
    assert all(not set(fitted) & set(asked) for fitted, asked in log)
    assert sorted(np.concatenate([asked for _, asked in log])) == list(range(150))
    assert sorted(clf.estimator_.rows_) == list(range(150))  # the final model saw all
    assert log[0][1].tolist() != list(range(len(log[0][1])))  # shuffled


def test_groups_share_a_fold_and_are_never_neighbours(log, monkeypatch):
    X, Y = make_data()
    groups = np.array([f"file {i % 30}" for i in range(150)])
    found = {}

    class Spy(NeighborLabels):
        def fit_transform(self, X, Y, *, groups=None):
            found["groups"], found["local"] = groups, super().fit_transform(X, Y, groups=groups)
            return found["local"]

    monkeypatch.setattr(classifier, "NeighborLabels", Spy)
    clf = make_classifier(Recorder(), rule=LINEAR).fit(X, Y, groups=groups)
    assert all(not set(groups[fitted]) & set(groups[asked]) for fitted, asked in log)
    assert sorted(np.concatenate([asked for _, asked in log])) == list(range(150))
    similar = clf.neighbors_.kneighbors().tocoo()
    assert not (groups[similar.row] == groups[similar.col]).any()
    for fitted, asked in log:  # neighbours are rows that the model was fitted on
        assert np.isin(similar.col[np.isin(similar.row, asked)], fitted).all()
    # and the scores come back in the order of the rows
    held_out, folds = np.empty(Y.shape), np.full(len(Y), -1)
    seed = np.random.RandomState(0).randint(2**31)
    for rows, others in GroupKFold(3, shuffle=True, random_state=seed).split(X, groups=groups):
        folds[others] = len(set(folds)) - 1
        held_out[others] = clone(ONE_VS_REST).fit(X[rows], Y[rows]).predict_proba(X[others])
    np.testing.assert_array_equal(found["groups"], folds)
    rule = clone(LINEAR).fit(held_out, Y, local=found["local"], folds=folds)
    assert clf.rule_.fusion_.coef_ == rule.fusion_.coef_


@pytest.fixture(scope="module")
def of_arrays():
    """A classifier that was fitted on dense arrays."""
    return make_classifier().fit(*make_data())


@pytest.mark.parametrize("labels", [np.array, sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("features", [np.array, sp.csr_array, sp.csr_matrix])
def test_containers(features, labels, of_arrays):
    X, Y = make_data()
    new, _ = make_data(seed=1)
    clf = make_classifier().fit(features(X), labels(Y))
    predicted = clf.predict(features(new))
    assert type(predicted) is {np.array: np.ndarray, sp.csr_matrix: sp.csr_matrix}.get(labels, sp.csr_array)
    assert predicted.dtype == np.int64
    assert clf.n_labels_ == 4
    # the base model's own solver differs a little between dense and sparse rows
    margins = clf.decision_function(features(new))
    assert type(margins) is type(predicted)
    np.testing.assert_allclose(to_dense(margins), of_arrays.decision_function(new), atol=0.01)
    np.testing.assert_array_equal(to_dense(predicted), to_dense(margins) > 0)
    assert 0 < predicted.sum() < new.shape[0] * 4


@pytest.mark.parametrize(
    "estimator",
    [
        ONE_VS_REST,
        OneVsRestClassifier(LinearSVC()),
        MultiOutputClassifier(BernoulliNB()),
        ClassifierChain(LogisticRegression(), random_state=0),
        RandomForestClassifier(10, random_state=0),
        KNeighborsClassifier(10),
        MLPClassifier((8,), max_iter=20, random_state=0),
        AdaptiveThresholdNetwork(hidden_layers=(8,), max_epochs=3, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_any_multi_label_classifier_serves(estimator):
    X, Y = make_data()
    clf = make_classifier(estimator).fit(X, Y)
    predicted, margins, theta = clf.predict(X), clf.decision_function(X), clf.thresholds(X)
    assert predicted.shape == margins.shape == theta.shape == Y.shape
    np.testing.assert_array_equal(predicted, margins > 0)
    assert macro_f1(Y, predicted) > macro_f1(Y, np.ones_like(Y))
    probability = clf.predict_proba(X)
    assert 0 <= probability.min() < 0.2
    assert 0.5 < probability.max() <= 1
    for label in range(4):  # of one label, margins and fused probabilities order the rows alike
        order = np.argsort(margins[:, label])
        assert (np.diff(probability[order, label]) >= -1e-9).all()


@pytest.mark.parametrize("kind", ["mixed", "nullable", "objects"])
def test_zeros_and_ones_of_any_type(kind):
    X, Y = make_data()
    frame = pd.DataFrame(Y, columns=list("abcde")[: Y.shape[1]]).astype(int)
    kinds = {
        "mixed": frame.astype({"b": bool}),
        "nullable": frame.astype("Int64"),
        "objects": Y.astype(object),
    }
    expected = make_classifier(rule=LINEAR).fit(X, Y).predict(X)
    np.testing.assert_array_equal(make_classifier(rule=LINEAR).fit(X, kinds[kind]).predict(X), expected)


def test_repeated_columns_are_told_apart_by_label_names():
    X, Y = make_data()
    frame = pd.DataFrame(Y, columns=["a", "a", *"bcdefgh"[: Y.shape[1] - 2]])
    names = [f"label {number}" for number in range(Y.shape[1])]
    assert make_classifier(rule=LINEAR).fit(X, frame, label_names=names).label_names_ == tuple(names)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((60, 0)), "Y holds no label: it has no column"),
        ([[]] * 60, "or an empty list in every row"),
        (np.zeros((60, 3)), "Y holds no label in any row; there is nothing to learn"),
        (np.ones((60, 3)), "Y holds every label in every row; there is nothing to learn"),
        (
            np.eye(60)[:, :1],
            r"Y holds no label in any row of a weight above 0 \(one class only\); there is nothing to learn",
        ),
    ],
)
def test_labels_that_teach_nothing_are_found_before_a_base_model_is_fitted(labels, message):
    weight = np.r_[0, np.ones(59)] if "weight" in message else None
    with pytest.raises(ValueError, match=message):
        make_classifier(NeverFitted()).fit(np.ones((60, 2)), labels, sample_weight=weight)


def test_scores_that_are_made_out_of_fold_here_are_not_suspected():
    """Texts that repeat make an easy task: nothing was trained on its own rows."""
    texts, tags = (
        ["the cat sat", "a cat and a dog", "the dog ran"] * 40,
        [["cat"], ["cat", "dog"], ["dog"]] * 40,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_classifier(PIPELINE).fit(texts, tags)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearSVC(), RandomForestClassifier(10, random_state=0)]
)
def test_binary_targets(estimator):
    X, Y = make_data()
    y = np.where(Y[:, 0], "yes", "no")
    clf = make_classifier(estimator).fit(X, y)
    assert clf.classes_.tolist() == ["no", "yes"]
    predicted = clf.predict(X)
    np.testing.assert_array_equal(predicted == "yes", clf.decision_function(X) > 0)
    ours, everything = (macro_f1(Y[:, :1], p.astype(int)[:, None]) for p in (predicted == "yes", y == y))
    assert ours > everything + 0.05
    assert clf.thresholds(X).shape == (150,)
    probability = clf.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert probability[y == "yes", 1].mean() > probability[y == "no", 1].mean() + 0.2
    # a matrix of one label is the same problem
    column = make_classifier(estimator).fit(X, Y[:, :1])
    np.testing.assert_array_equal(column.predict(X)[:, 0], predicted == "yes")
    assert column.predict_proba(X).shape == (150, 1)


def test_a_row_is_predicted_the_same_in_any_company():
    X, Y = make_data()
    clf = make_classifier().fit(X, Y)
    whole = clf.decision_function(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(clf.decision_function(X[order]), whole[order], atol=1e-6)
    np.testing.assert_allclose(clf.decision_function(X[3:4]), whole[3:4], atol=1e-6)


def test_one_random_state_one_result(log):
    X, Y = make_data()
    folds = []
    for state in (0, 0, 1):
        log.clear()
        make_classifier(Recorder(), random_state=state).fit(X, Y)
        folds.append([asked.tolist() for _, asked in log])
    assert folds[0] == folds[1] != folds[2]


class TopScores(ClassifierMixin, BaseEstimator):
    """A base model of many labels with sparse scores: of the two labels next to a row's first feature."""

    def fit(self, X, Y):
        self.n_labels_ = Y.shape[1]
        return self

    def top_scores(self, X):
        first = X.indices[X.indptr[:-1]] % (self.n_labels_ - 1)
        columns = np.stack([first, first + 1], axis=1).ravel()
        values = np.tile([0.4, 0.1], X.shape[0])
        return sp.csr_array(
            (values, columns, np.arange(0, len(columns) + 1, 2)), shape=(X.shape[0], self.n_labels_)
        )

    def predict_proba(self, X):
        raise AssertionError("top_scores comes first")


@pytest.mark.slow
def test_nothing_sparse_is_densified(monkeypatch):
    """300 rows of 3 million features would take 7 GB, with 100,000 labels 240 MB."""
    n_features, n_labels, rng = 3_000_000, 100_000, np.random.default_rng(0)
    first = rng.integers(0, 200, size=300)
    columns = np.stack([first, 1000 + rng.integers(0, n_features - 1000, size=300)], axis=1).ravel()
    X = sp.csr_array((np.ones(600), columns, np.arange(0, 601, 2)), shape=(300, n_features))
    labels = first + (rng.random(300) < 0.3)
    Y = sp.csr_array((np.ones(300), labels, np.arange(301)), shape=(300, n_labels))

    def guarded(toarray):
        def toarray_of_small(self, *args, **kwargs):  # blocks of rows x rows are made dense
            assert max(self.shape) <= 300, "something was made dense"
            return toarray(self, *args, **kwargs)

        return toarray_of_small

    for kind in (sp.csr_array, sp.csr_matrix, sp.coo_array, sp.csc_array, sp.csc_matrix):
        monkeypatch.setattr(kind, "toarray", guarded(kind.toarray))
    clf = make_classifier(TopScores()).fit(X, Y)
    predicted = clf.predict(X)
    assert isinstance(predicted, sp.csr_array)
    assert predicted.multiply(Y).sum() > 150
    tracemalloc.start()
    try:
        found = [clf.predict_proba(X), clf.decision_function(X), clf.thresholds(X), clf.decide(X).thresholds]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {type(values) for values in found} == {sp.csr_array}
    assert peak < 120e6  # half of one dense matrix


def test_pairs_that_are_no_candidates():
    X = sp.csr_array(np.eye(20)[np.arange(60) % 20])
    Y = np.eye(20)[(np.arange(60) + np.arange(60) // 40) % 20]
    clf = make_classifier(TopScores(), n_neighbors=1).fit(X, Y)
    unscored = clf.predict_proba(X) == 0
    assert unscored.any()
    assert np.isneginf(clf.decision_function(X)[unscored]).all()
    assert np.isposinf(clf.thresholds(X)[unscored]).all()
    assert not clf.predict(X)[unscored].any()
    for container in (sp.csr_array, sp.csr_matrix):
        same = make_classifier(TopScores(), n_neighbors=1).fit(X, container(Y))
        for method in ("predict_proba", "decision_function", "thresholds"):
            values, dense = getattr(same, method)(X), getattr(clf, method)(X)
            assert type(values) is container
            assert values.nnz == (~unscored).sum()
            rows, labels = values.nonzero() if method == "predict_proba" else np.nonzero(~unscored)
            np.testing.assert_array_equal(np.ravel(values[rows, labels]), dense[rows, labels])


@pytest.mark.parametrize("rate", [0, 1])
def test_labels_that_training_rows_never_or_always_carry(rate):
    """Such a label has one column in a forest's answer, and which class it is of matters."""
    X, Y = make_data()
    Y[:, 1] = rate
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    assert forest.predict_proba(X)[1].shape == (150, 1)
    scores = base_scores(forest, X, n_labels=4)
    assert (scores[:, 1] == rate).all()
    np.testing.assert_array_equal(scores[:, 0], forest.predict_proba(X)[0][:, 1])
    forest.fit(X, Y[:, 1])
    assert (base_scores(forest, X, n_labels=1) == rate).all()
    assert base_scores(forest, X, n_labels=1).shape == (150, 1)


def test_decision_values_become_probabilities():
    X, Y = make_data()
    svm = OneVsRestClassifier(LinearSVC()).fit(X, Y)
    np.testing.assert_allclose(base_scores(svm, X, n_labels=4), expit(svm.decision_function(X)))
    one = LinearSVC().fit(X, Y[:, 0])
    np.testing.assert_allclose(base_scores(one, X, n_labels=1)[:, 0], expit(one.decision_function(X)))


@pytest.mark.parametrize("kind", ["matrix", "sparse", "vector"])
def test_a_decision_is_what_the_single_methods_return_from_one_pass(log, kind):
    X, Y = make_data()
    Y = {"matrix": Y, "sparse": sp.csr_array(Y), "vector": np.where(Y[:, 0], "yes", "no")}[kind]
    clf = make_classifier(Recorder() if kind != "vector" else LogisticRegression()).fit(X, Y)
    new, _ = make_data(seed=1)
    log.clear()
    decision = clf.decide(new)
    thresholds = decision.thresholds
    assert len(log) == (kind != "vector")
    assert type(decision.label_sets) is type(clf.predict(new))
    assert sp.issparse(thresholds) == (kind == "sparse")
    assert_equal(decision.label_sets, clf.predict(new))
    assert_equal(decision.probabilities, clf.predict_proba(new))
    assert_equal(decision.margins, clf.decision_function(new))
    assert_equal(thresholds, clf.thresholds(new))
    with pytest.raises(ValueError, match="X has 9 features"):
        clf.decide(new[:, 1:])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_decision_can_be_sent_to_another_process(container):
    X, Y = make_data()
    decision = make_classifier(rule=LINEAR).fit(X, container(Y)).decide(X)
    assert_equal(pickle.loads(pickle.dumps(decision)).thresholds, decision.thresholds)


def test_another_target_comes_without_another_fit(log):
    X, Y = make_data()
    new, _ = make_data(seed=1)
    clf = make_classifier(Recorder()).fit(X, Y)
    before, n_asked = clf.decision_function(new), len(log)
    other = clf.retarget("precision", 0.95)
    assert len(log) == n_asked  # no model was asked, and none fitted
    assert other.estimator_ is clf.estimator_
    assert other.neighbors_ is clf.neighbors_
    fitted = make_classifier(Recorder(), rule=AdaptiveThreshold("precision", target_value=0.95)).fit(X, Y)
    np.testing.assert_array_equal(other.predict(new), fitted.predict(new))
    np.testing.assert_array_equal(other.thresholds(new), fitted.thresholds(new))
    assert not np.array_equal(other.predict(new), clf.predict(new))
    np.testing.assert_array_equal(clf.decision_function(new), before)
    # a clone is fitted for the new target; the old classifier's parameters are its own
    assert clf.rule is None
    assert (clone(other).rule.target, other.rule.target_value) == ("precision", 0.95)
    assert other.retarget("macro_f1").predict(new).tolist() == clf.predict(new).tolist()


def test_a_guaranteed_precision_takes_the_groups_and_another_target():
    X, Y = make_data(n_samples=600)
    groups = np.arange(600) // 2
    rule = clone(LINEAR).set_params(target="precision", target_value=0.7, confidence=0.8, random_state=0)
    clf = make_classifier(frozen(), rule=rule).fit(X, Y, groups=groups)
    local = NeighborLabels(10).fit_transform(X, Y, groups=groups)
    alone = clone(rule).fit(clf.estimator.predict_proba(X), Y, local=local, groups=groups)
    assert clf.rule_.guaranteed_
    np.testing.assert_array_equal(clf.rule_.label_thresholds_, alone.label_thresholds_)
    assert len(set(clf.rule_._held_rows[2])) == 150  # groups, not rows
    other = clf.retarget("precision", 0.6, confidence=0.7)
    assert (other.rule.confidence, other.rule_.guaranteed_) == (0.7, True)
    assert other.predict(X).sum() > clf.predict(X).sum() > 0
    assert other.retarget("macro_f1").rule.confidence is None
    with pytest.raises(ValueError, match="fitted without confidence"):
        make_classifier(frozen(), rule=LINEAR).fit(X, Y).retarget("precision", 0.6, confidence=0.7)


def test_another_target_is_checked():
    X, Y = make_data()
    with pytest.raises(NotFittedError):
        make_classifier().retarget("micro_f1")
    clf = make_classifier(rule=LINEAR).fit(X, Y)
    with pytest.raises(ValueError, match="target must be one of"):
        clf.retarget("recall")
    with pytest.raises(ValueError, match="target 'precision' needs target_value"):
        clf.retarget("precision")
    assert clf.retarget("micro_f1").rule.fusion == "linear"
    clf.rule_.set_params(target="micro_f1")
    with pytest.raises(ValueError, match="was changed after fit"):
        clf.predict(X)


@pytest.mark.parametrize("rule", [None, LINEAR])
def test_a_search_over_targets(rule):
    X, Y = make_data()
    targets = ["macro_f1", "micro_f1"]
    search = GridSearchCV(make_classifier(rule=rule), {"rule__target": targets}, scoring="f1_macro", cv=2)
    search.fit(X, Y)
    assert [found["rule__target"] for found in search.cv_results_["params"]] == targets
    assert search.best_estimator_.rule.target == search.best_params_["rule__target"]


def test_a_search_takes_names_by_a_binarizer_as_its_error_says():
    X, labels = make_data()
    names = ["a", "b", "c", "d"]
    Y = [[name for name, carried in zip(names, row, strict=True) if carried] for row in labels]
    search = GridSearchCV(make_classifier(rule=LINEAR), {"n_neighbors": [5]}, scoring="f1_macro", cv=2)
    with pytest.raises(ValueError, match="the MultiLabelBinarizer transformer can convert"):
        search.fit(X, Y)
    binarizer = MultiLabelBinarizer()
    search.fit(X, binarizer.fit_transform(Y), label_names=list(binarizer.classes_))
    best = search.best_estimator_
    assert best.predict_labels(X) == best.fit(X, Y).predict_labels(X)


def test_a_cost_for_each_label_is_searched_aimed_at_and_saved(tmp_path):
    X, Y = make_data()
    costs = [np.array([0.1, 1, 1, 9]), np.array([9.0, 1, 1, 0.1])]
    clf = make_classifier(frozen(), rule=clone(LINEAR).set_params(target="cost", target_value=2))
    search = GridSearchCV(clf, {"rule__target_value": costs}, scoring="f1_macro", cv=2).fit(X, Y)
    assert all(p["rule__target_value"] is c for p, c in zip(search.cv_results_["params"], costs, strict=True))
    best = search.best_estimator_
    np.testing.assert_array_equal(best.rule.target_value, search.best_params_["rule__target_value"])
    other = best.retarget("cost", costs[0])
    np.testing.assert_allclose(other.rule_.label_thresholds_, costs[0] / (1 + costs[0]))
    np.testing.assert_array_equal(clone(other).fit(X, Y).predict(X), other.predict(X))
    other.save(tmp_path / "clf")
    loaded = AdaptiveThresholdClassifier.load(tmp_path / "clf", trusted=[f"{__name__}.TrainedOnce"])
    np.testing.assert_array_equal(loaded.predict(X), other.predict(X))


def test_parameters_of_the_rule_can_be_set_where_there_is_none():
    clf = make_classifier().set_params(rule__target="budget", rule__target_value=2, cv=5)
    assert (clf.rule.target, clf.rule.target_value, clf.cv) == ("budget", 2, 5)
    assert make_classifier(rule=LINEAR).set_params(rule__target="micro_f1").rule.fusion == "linear"
    given = make_classifier().set_params(rule=AdaptiveThreshold("cost"), rule__target_value=2).rule
    assert (given.target, given.target_value) == ("cost", 2)
    assert make_classifier(rule=LINEAR).set_params(rule=None).rule is None
    with pytest.raises(ValueError, match="Invalid parameter 'tarjet'"):
        make_classifier().set_params(rule__tarjet="micro_f1")


@pytest.mark.parametrize("estimator", [None, [], [ONE_VS_REST, None]])
def test_an_estimator_is_needed(estimator):
    with pytest.raises(TypeError, match="estimator must be a classifier, or a list of such; got"):
        make_classifier(estimator).fit(*make_data())


def test_an_estimator_without_scores():
    class Silent(ClassifierMixin, BaseEstimator):
        def fit(self, X, Y):
            return self

    with pytest.raises(TypeError, match="Silent has neither predict_proba nor decision_function"):
        make_classifier(Silent()).fit(*make_data())


def with_value(X, value):
    X = X.copy()
    X[5, 3] = value
    return X


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, Y: (X, Y[1:]), "Y has 149 rows but 150 were expected"),
        (lambda X, Y: (X, Y[1:, 0]), "y has 149 rows but X has 150"),
        (lambda X, Y: (with_value(X, np.nan), Y), "X contains NaN"),
        (lambda X, Y: (with_value(X, -np.inf), Y), "X contains infinity"),
        (lambda X, Y: (X, 2 * Y), "Y must hold only 0 and 1; found 2"),
        (lambda X, Y: (X, np.arange(150) % 3), "Only binary classification is supported"),
        (lambda X, Y: (X, None), "requires y to be passed"),
    ],
)
def test_bad_data(container, change, message):
    X, Y = change(*make_data())
    with pytest.raises(ValueError, match=message):
        make_classifier().fit(container(X), Y)


class NeverFitted(ClassifierMixin, BaseEstimator):
    """A base model that must not be fitted, since something else is wrong."""

    def fit(self, X, Y):
        raise AssertionError("a base model was fitted before all was checked")


FEATURES = np.eye(4, 10)


@pytest.mark.parametrize(
    ("options", "given", "error", "message"),
    [
        ({"rule": AdaptiveThreshold("recall")}, {}, ValueError, "target must be one of"),
        ({"rule": AdaptiveThreshold("precision")}, {}, ValueError, "'precision' needs target_value"),
        ({"rule": AdaptiveThreshold(fusion="none")}, {}, ValueError, "fusion must be"),
        ({"rule": "macro_f1"}, {}, TypeError, "rule must be an AdaptiveThreshold, or None.*; got 'macro_f1'"),
        ({"rule": AdaptiveThreshold}, {}, TypeError, "rule must be an AdaptiveThreshold, or None"),
        ({"rule": LogisticRegression()}, {}, TypeError, "rule must be an AdaptiveThreshold, or None"),
        ({"n_neighbors": 0}, {}, ValueError, "n_neighbors must be a whole number, at least 1; got 0"),
        ({"n_neighbors": "2"}, {}, ValueError, "n_neighbors must be a whole number, at least 1; got '2'"),
        ({"cv": KFold(3)}, {}, ValueError, "cv must be a whole number of folds, at least 2; got KFold"),
        ({"cv": "3"}, {}, ValueError, "cv must be a whole number of folds, at least 2; got '3'"),
        ({"cv": 1}, {}, ValueError, "cv must be a whole number of folds, at least 2; got 1"),
        ({}, {"groups": np.arange(149)}, ValueError, r"groups must have shape \(150,\)"),
        ({}, {"groups": [None] * 150}, ValueError, "groups must not hold missing values"),
        ({}, {"label_features": FEATURES[:3]}, ValueError, "label_features has 3 rows but Y has 4 labels"),
        ({}, {"label_features": FEATURES[:, :3]}, ValueError, "label_features has 3 features but X has 10"),
        ({}, {"label_features": FEATURES * np.nan}, ValueError, "label_features contains NaN"),
        (
            {},
            {"label_features": list("abcd")},
            ValueError,
            "label_features holds names, but X holds features",
        ),
        (
            {},
            {"label_features": LabelKnowledge(list("abcd"))},
            ValueError,
            "label_features holds names, but X",
        ),
        (
            {"rule": AdaptiveThreshold("cost", target_value=[1, 2, 3])},
            {},
            ValueError,
            "holds 3 costs but Y has 4",
        ),
        ({}, {"sample_weight": np.ones(149)}, ValueError, r"sample_weight must have shape \(150,\)"),
        ({}, {"sample_weight": -np.ones(150)}, ValueError, "at least 0; found -1.0 in row 0"),
        ({}, {"sample_weight": np.zeros(150)}, ValueError, "sample_weight is zero in every row"),
        (
            {"rule": AdaptiveThreshold("precision", target_value=0.9, confidence=0.9)},
            {"sample_weight": np.ones(150)},
            ValueError,
            "sample_weight cannot be given with confidence",
        ),
        ({}, {"label_features": set("abcd")}, ValueError, "label_features is a set, whose order"),
        ({}, {"label_features": dict.fromkeys("abcd")}, ValueError, "label_features is a dict, whose order"),
    ],
)
def test_arguments_are_checked_before_a_base_model_is_fitted(options, given, error, message):
    X, Y = make_data()
    with pytest.raises(error, match=message):
        make_classifier(NeverFitted(), **options).fit(X, Y, **given)


@pytest.mark.parametrize(
    ("label_features", "message"),
    [
        (list("abcd"), "label_features knows 4 labels, but there are 5"),
        (list("abcdef"), "label_features knows 6 labels, but there are 5"),
        (LabelKnowledge(list("abcd")), "label_features knows 4 labels, but there are 5"),
        (set("abcde"), "label_features is a set, whose order means nothing; give a list"),
        (dict.fromkeys("abcde"), "label_features is a dict, whose order means nothing; give a list"),
        ((name for name in "abcde"), r"label_features is a generator, .* give list\(label_features\)"),
        ("abcde", "label_features must be plain texts, a sequence of str; got a str"),
        ([*"abcd", None], "label_features must be plain texts, .* row 4 is a NoneType"),
        (np.eye(5), r"label_features must be plain texts, .* every label is a text"),
        (["1", "2", "3", "4", "5"], "The labels' texts hold no word"),
    ],
)
def test_names_are_checked_before_a_base_model_is_fitted(label_features, message):
    with pytest.raises(ValueError, match=message):
        make_classifier(NeverFitted()).fit(*make_texts(), label_features=label_features)


def test_texts_and_labels_have_an_order():
    texts, Y = make_texts()
    with pytest.raises(ValueError, match=r"X is a generator, which can be read only once; give list\(X\)"):
        make_classifier(NeverFitted()).fit((text for text in texts), Y)
    with pytest.raises(ValueError, match="X is a set, whose order means nothing; give a list"):
        make_classifier(PIPELINE).fit(texts, Y).predict(set(texts))
    for labels in ((row for row in Y), set(ANIMALS)):
        with pytest.raises(ValueError, match=r"Y is a .*; give"):
            make_classifier(NeverFitted()).fit(texts, labels)


def test_fewer_rows_or_groups_than_folds():
    X, Y = make_data()
    with pytest.raises(ValueError, match=r"2 rows are fewer than cv=3 folds; lower cv or give more rows"):
        make_classifier().fit(X[:2], Y[:2])
    with pytest.raises(ValueError, match=r"4 groups are fewer than cv=5 folds; lower cv or give more groups"):
        make_classifier(cv=5).fit(X, Y, groups=np.arange(150) % 4)
    with pytest.raises(ValueError, match=r"groups must have shape \(150,\), one entry a row; got"):
        make_classifier().fit(X, Y, groups=np.arange(149))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "thresholds"])
def test_prediction_refuses(method):
    X, Y = make_data()
    with pytest.raises(NotFittedError):
        getattr(make_classifier(), method)(X)
    clf = make_classifier().fit(X, Y)
    with pytest.raises(ValueError, match="X has 9 features, but AdaptiveThresholdClassifier is expecting 10"):
        getattr(clf, method)(X[:, 1:])
    with pytest.raises(ValueError, match="X contains NaN"):
        getattr(clf, method)(with_value(X, np.nan))
    clf.estimator_ = clone(ONE_VS_REST).fit(X, Y[:, :3])  # a base model of another label set
    with pytest.raises(ValueError, match="scores has 3 labels but 4 were expected"):
        getattr(clf, method)(X)


def explained(clf, X):
    """Explain every label of one row, and compare with what the classifier says."""
    margins, theta, predicted = clf.decision_function(X)[0], clf.thresholds(X)[0], clf.predict(X)[0]
    for label in range(clf.n_labels_):
        explanation = clf.explain(X[0], label)
        terms = ("base_term", "rarity_term", "neighbor_term", "text_term")
        total = sum(getattr(explanation, term) for term in terms) - explanation.fused_threshold
        np.testing.assert_allclose(total, margins[label], atol=1e-9)
        np.testing.assert_allclose(explanation.margin, margins[label], atol=1e-9)
        np.testing.assert_allclose(explanation.threshold, theta[label], atol=1e-9)
        assert explanation.predicted == predicted[label] == (logit(explanation.score) > theta[label])
        yield explanation


@pytest.mark.parametrize("estimator", [ONE_VS_REST, [ONE_VS_REST, OneVsRestClassifier(BernoulliNB())]])
def test_an_explanation_adds_up_and_names_the_neighbours(estimator):
    X, Y = make_data()
    new, _ = make_data(seed=1)
    similarity = NeighborLabels(10).fit(X, Y).kneighbors(new[:1]).toarray()[0]
    check_neighbours(make_classifier(estimator).fit(X, Y), Y, new[:1], similarity)


def check_neighbours(clf, Y, x, similarity, *, rtol=1e-7):
    """Compare the neighbours of one row's explanations with its similarities to all training rows."""
    for label, explanation in enumerate(explained(clf, x)):
        rows, weights, carried = zip(*explanation.neighbors, strict=True)
        assert list(rows) == np.argsort(-similarity, kind="stable")[: len(rows)].tolist()
        expected = np.exp(similarity[list(rows)] / 0.1) / _softmax_sum(similarity)
        np.testing.assert_allclose(weights, expected, rtol=rtol)
        assert [bool(Y[row, label]) for row in rows] == list(carried)


def _softmax_sum(similarity):
    """Sum of the neighbours' weights before they are scaled."""
    return np.exp(np.sort(similarity)[-10:] / 0.1).sum()


def test_explanations_refuse():
    X, Y = make_data()
    clf = make_classifier().fit(X, Y)
    with pytest.raises(ValueError, match="explain takes one row; got 2"):
        clf.explain(X[:2], 0)
    with pytest.raises(ValueError, match="label must be a whole number from 0 to 3; got 4"):
        clf.explain(X[0], 4)
    texts = make_classifier(PIPELINE).fit(*make_texts())
    with pytest.raises(ValueError, match="explain takes one row; got 2"):
        texts.explain(["a cat", "a dog"], 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Label not")
def test_label_texts_keep_unseen_labels_possible():
    """Label 19 is in no training row, most others in one: only the texts, one feature each, know them."""
    rng = np.random.default_rng(0)
    truth = np.concatenate([rng.integers(0, 5, size=200), np.arange(5, 19), np.full(30, 19)])
    X, Y = np.eye(20)[truth] + 0.1 * rng.random((len(truth), 20)), sp.csr_array(np.eye(20)[truth])
    train, test = np.flatnonzero(truth != 19), np.flatnonzero(truth == 19)
    base = OneVsRestClassifier(BernoulliNB(binarize=0.5))
    with_texts = make_classifier(base).fit(X[train], Y[train], label_features=np.eye(20))
    without = make_classifier(base).fit(X[train], Y[train])
    assert with_texts.predict(X[test])[:, [19]].toarray().mean() > 0.5
    assert without.rule_.impossible_.tolist() == [19]
    assert not without.predict(X[test])[:, [19]].toarray().any()
    with pytest.raises(ValueError, match="label_features has 19 rows but Y has 20 labels"):
        make_classifier(base).fit(X[train], Y[train], label_features=np.eye(20)[:19])
    with pytest.raises(ValueError, match="label_features has 3 features but X has 20"):
        make_classifier(base).fit(X[train], Y[train], label_features=np.eye(20)[:, :3])


ANIMALS = ["cat", "dog", "cow", "hen", "fox"]
PIPELINE = make_pipeline(TfidfVectorizer(), ONE_VS_REST)


def make_texts(seed=0, n_samples=150):
    """Sentences of five words; the labels are the animals in them, the last ones rare."""
    rng = np.random.default_rng(seed)
    words = [*ANIMALS, "sits", "runs", "sleeps", "barks", "eats"]
    share = np.array([0.2, 0.1, 0.05, 0.02, 0.02, *[0.122] * 5])
    drawn = rng.choice(len(words), size=(n_samples, 5), p=share / share.sum())
    Y = np.stack([(drawn == label).any(axis=1) for label in range(len(ANIMALS))], axis=1).astype(int)
    return [" ".join(words[word] for word in row) for row in drawn], Y


@pytest.mark.slow
@pytest.mark.parametrize("as_given", [list, tuple, np.array, lambda texts: np.array(texts, dtype=object)])
def test_texts_go_to_the_base_model_and_their_words_to_the_neighbours(as_given):
    texts, Y = make_texts()
    new, truth = make_texts(seed=1)
    clf = make_classifier(PIPELINE).fit(as_given(texts), Y)
    words = TfidfVectorizer(sublinear_tf=True, dtype=np.float32).fit(texts)
    features = make_classifier(ONE_VS_REST).fit(words.transform(texts), Y)
    shares = [fitted.neighbors_.transform(words.transform(new)).toarray() for fitted in (clf, features)]
    np.testing.assert_array_equal(*shares)
    assert macro_f1(truth, clf.predict(as_given(new))) > 0.9
    assert clf.predict_proba(new).shape == clf.thresholds(new).shape == clf.decision_function(new).shape
    found = clf.explain(new[0], 0)
    assert found.margin == pytest.approx(clf.decision_function(new[:1])[0, 0])
    assert clf.explain(new[:1], 0) == found


def test_texts_are_cross_fitted():
    texts, Y = make_texts()
    base_models = [PIPELINE, BagOfWords(max_words=3)]
    clf = make_classifier(base_models, rule=LINEAR).fit(texts, Y)
    texts = np.array(texts, dtype=object)
    folds = draw_folds(150, 3, random_state=np.random.RandomState(0).randint(2**31))
    held_out = [out_of_fold_scores(model, texts, Y, folds, n_labels=5) for model in base_models]
    local = NeighborLabels(10).fit_transform(clf.vectorizer_.transform(texts), Y, groups=folds)
    rule = clone(LINEAR).fit(held_out, Y, local=local, folds=folds)
    assert clf.rule_.fusion_.coef_ == rule.fusion_.coef_


@pytest.mark.filterwarnings("ignore:Label not")
def test_names_keep_unseen_labels_possible():
    texts, Y = make_texts(n_samples=300)
    unseen = Y[:, 4] > 0
    train = [text for text, out in zip(texts, unseen, strict=True) if not out]
    test = [text for text, out in zip(texts, unseen, strict=True) if out]
    clf = make_classifier(PIPELINE).fit(train, Y[~unseen], label_features=ANIMALS)
    assert clf.rule_.impossible_.size == 0
    assert np.isfinite(clf.decision_function(test)[:, 4]).all()
    with pytest.raises(ValueError, match="label_features knows 4 labels, but there are 5; give one name a"):
        make_classifier(PIPELINE).fit(train, Y[~unseen], label_features=ANIMALS[:4])
    with pytest.raises(ValueError, match=r"label_features must be plain texts, .* every label is a text"):
        make_classifier(PIPELINE).fit(train, Y[~unseen], label_features=np.eye(5))


@pytest.mark.parametrize(
    ("Y_names", "given"),
    [("frame", {}), ("matrix", {"label_names": ANIMALS}), ("lists", {"label_names": ANIMALS})],
)
@pytest.mark.parametrize("knowledge", ["names", "object"])
def test_label_texts_in_another_order_than_the_labels_are_refused(Y_names, given, knowledge):
    texts, Y = make_texts()
    labels = {
        "frame": pd.DataFrame(Y, columns=ANIMALS),
        "matrix": Y,
        "lists": [[ANIMALS[label] for label in np.flatnonzero(row)] for row in Y],
    }[Y_names]
    other = ["dog", "cat", *ANIMALS[2:]]
    features = {"names": other, "object": LabelKnowledge(other)}[knowledge]
    with pytest.raises(
        ValueError, match="its label 0 is 'dog', which is column 1 of Y, and column 0 is 'cat'"
    ):
        make_classifier(PIPELINE).fit(texts, labels, label_features=features, **given)


def test_label_texts_that_are_no_names_have_no_order_to_be_compared():
    texts, Y = make_texts()
    said = [f"a {name} there" for name in ANIMALS]
    frame = pd.DataFrame(Y, columns=ANIMALS)
    assert make_classifier(PIPELINE).fit(texts, frame, label_features=said).label_names_ == tuple(ANIMALS)


def test_texts_without_a_word_for_the_neighbours():
    with pytest.raises(ValueError, match="X holds no word of two letters or more"):
        make_classifier(PIPELINE).fit(["a", "b"] * 20, [["x"], ["y"]] * 20)


def test_texts_and_features_do_not_mix():
    texts, Y = make_texts()
    with pytest.raises(ValueError, match=r"X must be plain texts, .*; got a ndarray. Where fit is"):
        make_classifier(PIPELINE).fit(texts, Y).predict(np.eye(3))
    with pytest.raises(ValueError, match="row 1 is a NoneType"):
        make_classifier(PIPELINE).fit(["a cat", None], Y[:2])
    with pytest.raises(ValueError, match="X holds texts, but fit was given features"):
        make_classifier().fit(*make_data()).predict(texts)


def test_the_rule_holds_the_target():
    X, Y = make_data()
    clf = make_classifier(rule=AdaptiveThreshold("budget", target_value=1)).fit(X, Y)
    assert clf.predict(X).sum(axis=1).max() == 1
    assert clf.rule.random_state is None  # the caller's rule is not touched
    precise = make_classifier(rule=AdaptiveThreshold("precision", target_value=0.95)).fit(X, Y)
    assert precise.predict(X).sum() < make_classifier().fit(X, Y).predict(X).sum()


def test_several_base_models_are_fused():
    X, Y = make_data(n_samples=400)
    new, truth = make_data(seed=1, n_samples=400)
    weak = OneVsRestClassifier(BernoulliNB())
    both = make_classifier([weak, ONE_VS_REST]).fit(X, Y)
    assert [type(model) for model in both.estimator_] == [OneVsRestClassifier] * 2
    assert macro_f1(truth, both.predict(new)) > macro_f1(truth, make_classifier(weak).fit(X, Y).predict(new))


def test_many_labels_keep_the_highest_scores_only():
    X, Y = make_data(n_samples=40, n_labels=4)
    wide = np.hstack([Y, np.zeros((40, 200), dtype=int)])
    scores = base_scores(KNeighborsClassifier(3).fit(X, wide), X, n_labels=204)
    assert isinstance(scores, sp.csr_array)
    expected = base_scores(KNeighborsClassifier(3).fit(X, Y), X, n_labels=4)
    np.testing.assert_array_equal(scores[:, :4].toarray(), expected)
    assert scores.nnz == np.count_nonzero(expected)


@pytest.mark.usefixtures("bars")
def test_progress_only_on_request(capsys):
    X, Y = make_data()
    make_classifier().fit(X, Y)
    assert capsys.readouterr().err == ""
    make_classifier(verbose=True).fit(X, Y)
    assert "neighbours" in capsys.readouterr().err


@pytest.mark.parametrize("frames", ["pandas", "polars"])
def test_data_frames_of_both_kinds(frames):
    """Texts, tags, and columns that a base model takes by name."""
    frames = pytest.importorskip(frames)
    texts = ["the cat sat", "a cat and a dog", "the dog ran"] * 10
    tags = [["cat"], ["cat", "dog"], ["dog"]] * 10
    expected = make_classifier(PIPELINE).fit(texts, tags)
    table = frames.DataFrame({"text": texts})
    for Y in (frames.Series(tags), frames.DataFrame({"tags": tags})):
        clf = make_classifier(PIPELINE).fit(table, Y)
        assert clf.label_names_ == expected.label_names_
        found, probabilities = clf.predict_proba(table), expected.predict_proba(texts)
        np.testing.assert_array_equal(found.toarray(), probabilities.toarray())
    X, Y = make_data()
    numbers = frames.DataFrame({f"x{at}": X[:, at] for at in range(10)})
    by_name = make_pipeline(make_column_transformer(("passthrough", ["x0", "x1", "x2"])), ONE_VS_REST)
    clf = make_classifier(by_name).fit(numbers, Y)
    np.testing.assert_allclose(
        clf.estimator_.predict_proba(numbers), clone(ONE_VS_REST).fit(X[:, :3], Y).predict_proba(X[:, :3])
    )
    assert clf.predict(numbers).shape == Y.shape
    with pytest.raises(ValueError, match="X has columns that are no numbers"):
        make_classifier(by_name).fit(frames.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), [[0], [1]])


def test_a_label_in_a_column_for_a_model_of_several_outputs():
    X, Y = make_data()
    clf = make_classifier(MultiOutputClassifier(LogisticRegression()), rule=LINEAR).fit(X, Y[:, [0]])
    expected = make_classifier(LogisticRegression(), rule=LINEAR).fit(X, Y[:, [0]])
    np.testing.assert_allclose(clf.predict_proba(X), expected.predict_proba(X))


# What labels are called


KNOWLEDGE = LabelKnowledge(ANIMALS, synonyms=[["kitty"], [], [], ["chicken"], []])


def test_all_that_names_say_is_matched_to_the_folds():
    """The rule sees similarity, mentions and prototypes; the last two of rows in the other folds."""
    texts, Y = make_texts()
    new, _ = make_texts(seed=1)
    clf = make_classifier(PIPELINE, rule=LINEAR).fit(texts, Y, label_features=KNOWLEDGE)
    rows = np.array(texts, dtype=object)
    folds = draw_folds(150, 3, random_state=np.random.RandomState(0).randint(2**31))
    words = label_vectorizer(KNOWLEDGE.texts(), texts)
    similarity = LabelAffinity().fit(words.transform(KNOWLEDGE.texts()))
    mentions, prototypes = LabelMentions(KNOWLEDGE), LabelPrototypes(KNOWLEDGE)
    knn, features = NeighborLabels(10), clf.vectorizer_.transform(texts)
    rule = clone(LINEAR).fit(
        out_of_fold_scores(PIPELINE, rows, Y, folds, n_labels=5),
        Y,
        local=knn.fit_transform(features, Y, groups=folds),
        affinity=[
            similarity.transform(words.transform(texts)),
            mentions.fit_transform(texts, Y, folds=folds),
            out_of_fold_scores(prototypes, rows, Y, folds, n_labels=5),
        ],
        folds=folds,
    )
    assert clf.rule_.fusion_.coef_ == rule.fusion_.coef_
    # and of a new row, of all training rows
    scores = clone(PIPELINE).fit(texts, Y).predict_proba(new)
    affinity = [
        similarity.transform(words.transform(new)),
        mentions.transform(new),
        prototypes.fit(texts, Y).top_scores(new),
    ]
    local = knn.transform(clf.vectorizer_.transform(new))
    np.testing.assert_array_equal(clf.predict(new), rule.predict(scores, local=local, affinity=affinity))
    assert clf.affinity_ is clf.label_texts_.affinity_
    assert clf.explain(new[0], 0).margin == pytest.approx(clf.decision_function(new[:1])[0, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "as_given", [list, tuple, np.array, pd.Series, lambda names: pd.DataFrame({"name": names})]
)
def test_names_alone_are_knowledge(as_given):
    texts, Y = make_texts()
    names = ["cat", "dog", "cow", "hen", "cat"]  # a name may be repeated
    expected = make_classifier(PIPELINE).fit(
        texts, Y, label_features=LabelKnowledge(names, allow_repeated_names=True)
    )
    found = make_classifier(PIPELINE).fit(texts, Y, label_features=as_given(names))
    np.testing.assert_array_equal(found.decision_function(texts), expected.decision_function(texts))


@pytest.mark.filterwarnings("ignore:Label not")
def test_a_synonym_finds_a_label_that_no_training_row_carries():
    texts, Y = make_texts(n_samples=300)
    unseen = Y[:, 4] > 0
    train = [text for text, out in zip(texts, unseen, strict=True) if not out]
    known = LabelKnowledge(ANIMALS, synonyms={"fox": ["reynard"]})
    clf = make_classifier(PIPELINE).fit(train, Y[~unseen], label_features=known)
    with_synonym, without = clf.predict_proba(["the reynard eats", "the pony eats"])[:, 4]
    assert with_synonym > 10 * without
    assert clf.rule_.impossible_.size == 0


def test_few_texts_serve():
    texts, Y = make_texts(n_samples=20)
    clf = make_classifier(BagOfWords(max_words=5), n_neighbors=3).fit(texts, Y, label_features=ANIMALS)
    assert clf.predict(texts).shape == (20, 5)


def test_one_name_of_a_binary_target():
    texts, Y = make_texts()
    clf = make_classifier(make_pipeline(TfidfVectorizer(), LogisticRegression()))
    clf.fit(texts, np.where(Y[:, 0], "yes", "no"), label_features=["cat"])
    assert np.mean((clf.predict(texts) == "yes") == Y[:, 0]) > 0.9


def test_no_names_no_signals_of_names():
    texts, Y = make_texts()
    clf = make_classifier(PIPELINE).fit(texts, Y, label_features=ANIMALS).fit(texts, Y)
    assert clf.affinity_ is clf.label_texts_ is clf.label_names_ is None
    X, Y = make_data()
    clf = make_classifier().fit(X, Y, label_features=FEATURES)
    assert clf.label_texts_ is None
    assert clf.affinity_.n_labels_ == 4


@pytest.mark.parametrize("kind", [sp.csr_array, sp.coo_array, lambda matrix: matrix.tolist(), pd.DataFrame])
def test_containers_of_label_features(kind):
    X, Y = make_data()
    expected = make_classifier().fit(X, Y, label_features=FEATURES)
    found = make_classifier().fit(X, Y, label_features=kind(FEATURES))
    np.testing.assert_array_equal(found.decision_function(X), expected.decision_function(X))


@pytest.mark.slow
def test_labels_may_be_asked_for_by_name():
    texts, Y = make_texts()
    new, _ = make_texts(seed=1)
    columns = [f"tag {name}" for name in ANIMALS]
    for labels, given, names in (
        (pd.DataFrame(Y, columns=columns), None, columns),
        (pd.DataFrame(Y, columns=columns), ANIMALS, columns),
        (pd.DataFrame(Y), ANIMALS, ANIMALS),
        (sp.csr_array(Y), KNOWLEDGE, ANIMALS),
    ):
        clf = make_classifier(PIPELINE, rule=LINEAR).fit(texts, labels, label_features=given)
        assert clf.label_names_ == tuple(names)
        assert clf.classes_.tolist() == names
        assert clf.explain(new[0], 2).label_name == names[2]
        assert f"label 2 ({names[2]}) is" in str(clf.explain(new[0], 2))
        assert clf.explain(new[0], names[2]) == clf.explain(new[0], 2) == clf.explain(new[0], np.int64(2))
        with pytest.raises(ValueError, match=rf"No label is named '{names[2]}s'\. Did you mean '{names[2]}'"):
            clf.explain(new[0], f"{names[2]}s")


def test_names_that_do_not_tell_the_label():
    X, Y = make_data()
    clf = make_classifier(rule=LINEAR).fit(X, Y)
    for label in ("cat", 1.0, True, None):
        with pytest.raises(ValueError, match=r"label must be a whole number from 0 to 3; got .*data frame"):
            clf.explain(X[0], label)
    clf.fit(X, pd.DataFrame(Y, columns=["a", "b", "a", "d"]))
    assert clf.explain(X[0], "b").label == 1
    assert clf.classes_.tolist() == [0, 1, 2, 3]
    with pytest.raises(
        ValueError, match="names of the labels do not tell all labels apart; give fit label_names"
    ):
        clf.predict_labels(X)
    with pytest.raises(ValueError, match=r"Labels 0 and 2 are both named 'a'\. Give the number"):
        clf.explain(X[0], "a")


# Data frames


NAMES = [f"x{column}" for column in range(10)]


def test_columns_can_be_selected_by_name():
    """Rows of a data frame keep their columns on the way to the base model, and in the folds."""
    X, Y = make_data()
    new, _ = make_data(seed=1)
    frame = pd.DataFrame(X, columns=NAMES, index=np.random.default_rng(0).permutation(150))
    base = make_pipeline(make_column_transformer(("passthrough", NAMES[:4])), ONE_VS_REST)
    by_position = make_pipeline(make_column_transformer(("passthrough", [0, 1, 2, 3])), ONE_VS_REST)
    clf = make_classifier(base, rule=LINEAR).fit(frame, pd.DataFrame(Y, columns=list("abcd")))
    expected = make_classifier(by_position, rule=LINEAR).fit(X, Y)
    new_frame = pd.DataFrame(new, columns=NAMES)
    np.testing.assert_array_equal(clf.decision_function(new_frame), expected.decision_function(new))
    assert isinstance(clf.predict(new_frame), np.ndarray)
    assert clf.feature_names_in_.tolist() == NAMES
    for row in (new_frame.iloc[0], new_frame.iloc[[0]]):
        found, same = clf.explain(row, "c"), expected.explain(new[0], 2)
        assert (found.label, found.margin) == (2, pytest.approx(same.margin))
        assert [near[0] for near in found.neighbors] == [near[0] for near in same.neighbors]
    with pytest.raises(ValueError, match="explain takes one row; got 2"):
        clf.explain(new_frame.iloc[:2], 0)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(new_frame[NAMES[::-1]])


def test_columns_that_are_no_numbers():
    X, Y = make_data()
    frame = pd.DataFrame(X, columns=NAMES).assign(color="red", text="a cat")
    with pytest.raises(
        ValueError, match=r"X has columns that are no numbers \(color, text\), and neighbours"
    ):
        make_classifier(NeverFitted()).fit(frame, Y)


@pytest.mark.parametrize("as_given", [pd.Series, lambda texts: pd.DataFrame({"text": texts})])
def test_one_column_of_texts(as_given):
    texts, Y = make_texts()
    new, _ = make_texts(seed=1)
    expected = make_classifier(PIPELINE, rule=LINEAR).fit(texts, Y)
    clf = make_classifier(PIPELINE, rule=LINEAR).fit(as_given(texts), Y)
    frame = as_given(new)
    np.testing.assert_array_equal(clf.decision_function(frame), expected.decision_function(new))
    assert clf.explain(frame.iloc[[0]], 0) == clf.explain(frame.iloc[0], 0) == expected.explain(new[0], 0)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
def test_wide_indices(kind):
    """Some solvers refuse indices of 64 bits."""

    def wide(matrix):
        matrix = kind(matrix)
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
        return matrix

    X, Y = make_data()
    base = OneVsRestClassifier(LinearSVC())
    expected = make_classifier(base, rule=LINEAR).fit(kind(X), kind(Y))
    clf = make_classifier(base, rule=LINEAR).fit(wide(X), wide(Y))
    assert_equal(clf.decision_function(wide(X)), expected.decision_function(kind(X)))


# Labels that a fold lacks


def test_the_first_label_may_lack_a_positive_in_a_fold():
    X, Y = make_data()
    Y[:, 0] = 0
    Y[3, 0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = make_classifier(OneVsRestClassifier(LinearSVC()), rule=LINEAR).fit(X, Y)
    assert macro_f1(Y[:, 1:], clf.predict(X)[:, 1:]) > 0.5


# One row


@pytest.mark.slow
@pytest.mark.parametrize("names", [None, [f"name{'abcdefghij'[label]}" for label in range(10)]])
def test_one_row_costs_no_copy_of_the_training_rows(names):
    """2,000 texts of 100 words, of 12 bytes each for the neighbours alone: more than 2 MB."""
    rng = np.random.default_rng(0)
    words = np.array([*(names or []), *(f"word{number}" for number in range(5000))])
    texts = [" ".join(words[row]) for row in rng.integers(0, len(words), size=(2000, 100))]
    Y = sp.csr_array((np.ones(2000), rng.integers(0, 10, 2000), np.arange(2001)), shape=(2000, 10))

    clf = make_classifier(Prior(), rule=LINEAR, cv=2).fit(texts, Y, label_features=names)
    clf.predict(texts[:1])
    tracemalloc.start()
    try:
        clf.predict(texts[:1])
        clf.explain(texts[0], 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000


class Prior(ClassifierMixin, BaseEstimator):
    """The frequency of each label, a little more where a text has an even number of letters."""

    def fit(self, X, Y):
        self.rate_ = np.asarray(Y.mean(axis=0)).ravel()
        return self

    def predict_proba(self, X):
        return np.array([self.rate_ * (1 + 0.1 * (len(text) % 2)) for text in X])


ONE_VS_REST = OneVsRestClassifier(LogisticRegression())


@pytest.mark.parametrize(
    ("label_features", "message"),
    [
        ([[1, 2], [1], [3], [4]], "label_features must have a row of features for each label; its rows dif"),
        ("abcd", "label_features holds names, but X holds features"),
    ],
)
def test_label_features_that_are_none(label_features, message):
    X, Y = make_data()
    with pytest.raises(ValueError, match=message):
        AdaptiveThresholdClassifier(ONE_VS_REST).fit(X, Y, label_features=label_features)


def in_another_order(seed, *, fusion, groups):
    """Return label sets and probabilities of new rows, of training rows in order and shuffled."""
    X, Y = make_longtail(400, 100, 12, random_state=seed)
    order = np.random.default_rng(seed).permutation(250)
    found = []
    for rows in (np.arange(250), order):
        clf = AdaptiveThresholdClassifier(
            NeighborShares(), rule=AdaptiveThreshold(fusion=fusion), random_state=0
        )
        clf.fit(X[rows], Y[rows], groups=rows if groups else None)
        found.append((clf.predict(X[250:]).toarray(), clf.predict_proba(X[250:]).toarray()))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_training_rows_changes_nothing_where_rows_have_names_and_the_fusion_is_linear(seed):
    (labels, probabilities), (others, their) = in_another_order(seed, fusion="linear", groups=True)
    assert labels.any()
    np.testing.assert_array_equal(others, labels)
    np.testing.assert_allclose(their, probabilities, atol=1e-9)


@pytest.mark.parametrize("fusion", ["auto", "linear"])
def test_what_the_order_of_training_rows_changes_is_small(fusion):
    (labels, _), (others, _) = in_another_order(0, fusion=fusion, groups=False)
    assert 0 < (labels != others).sum() < 0.2 * labels.sum()


# Models that are trained already


class TrainedOnce(ClassifierMixin, BaseEstimator):
    """A trained model, dense or sparse, that must not be fitted again."""

    def __init__(self, model=None, sparse=False):
        self.model, self.sparse = model, sparse
        self.classes_ = getattr(model, "classes_", None)

    def fit(self, X, Y):
        raise AssertionError("a frozen model was fitted")

    def predict_proba(self, X):
        scores = self.model.predict_proba(X)
        return sp.csr_array(np.where(scores > 0.1, scores, 0)) if self.sparse else scores


TRAINED = clone(ONE_VS_REST).fit(*make_data(seed=5))


def frozen(model=TRAINED, **options):
    return FrozenEstimator(TrainedOnce(model, **options))


def same_rule(one, other):
    """Compare two rules with the linear fusion."""
    assert one.fusion_.coef_ == other.fusion_.coef_
    np.testing.assert_array_equal(one.label_thresholds_, other.label_thresholds_)
    np.testing.assert_array_equal(one.impossible_, other.impossible_)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("groups", [None, np.arange(150) % 30])
def test_a_frozen_model_is_the_rule_on_its_scores(sparse, groups):
    X, Y = make_data()
    Y[:, 3] = 0  # the model may have seen rows with this label
    clf = make_classifier(frozen(sparse=sparse), rule=LINEAR).fit(X, Y, groups=groups)
    scores, knn = clf.estimator.predict_proba(X), NeighborLabels(10)
    rule = clone(LINEAR).fit(scores, Y, local=knn.fit_transform(X, Y, groups=groups))
    same_rule(clf.rule_, rule)
    assert clf.rule_.impossible_.size == 0
    assert clf.estimator_ is clf.estimator
    new, _ = make_data(seed=1)
    expected = rule.decide(clf.estimator.predict_proba(new), local=knn.transform(new))
    np.testing.assert_array_equal(clf.predict(new), to_dense(expected.label_sets))
    thresholds = classifier._filled(expected.thresholds, np.inf)
    np.testing.assert_array_equal(clf.decide(new).thresholds, thresholds)
    same_rule(clf.retarget("cost", 2).rule_, rule.retarget("cost", 2))
    assert clf.explain(new[0], 0).margin == pytest.approx(clf.decision_function(new[:1])[0, 0])


def test_frozen_models_beside_others(log):
    X, Y = make_data()
    clf = make_classifier([Recorder(), frozen()], rule=LINEAR).fit(X, Y)
    assert len(log) == 3
    folds = draw_folds(150, 3, random_state=np.random.RandomState(0).randint(2**31))
    scores = [out_of_fold_scores(ONE_VS_REST, X, Y, folds, n_labels=4), TRAINED.predict_proba(X)]
    local = NeighborLabels(10).fit_transform(X, Y, groups=folds)
    same_rule(clf.rule_, clone(LINEAR).fit(scores, Y, local=local, folds=folds))
    assert clf.estimator_[1] is clf.estimator[1]
    assert clf.estimator_[0].rows_.size == 150
    assert clf.predict(X).shape == (150, 4)


def test_a_frozen_pipeline_of_texts_is_asked_for_its_top_scores():
    texts, Y = make_texts()
    new, _ = make_texts(seed=1)
    model = make_pipeline(TfidfVectorizer(), NeighborShares(20)).fit(*make_texts(seed=5))
    clf = make_classifier(FrozenEstimator(model), rule=LINEAR).fit(texts, Y, label_features=ANIMALS)
    scores = base_scores(model, np.array(texts, dtype=object), n_labels=5)
    assert sp.issparse(scores)
    np.testing.assert_array_equal(
        base_scores(FrozenEstimator(model), texts, n_labels=5).toarray(), scores.toarray()
    )
    rows = np.array(texts, dtype=object)
    folds = draw_folds(150, 3, random_state=np.random.RandomState(0).randint(2**31))
    local = NeighborLabels(10).fit_transform(clf.vectorizer_.transform(texts), Y)
    said = classifier.LabelTextSignals(LabelKnowledge(ANIMALS), LabelPrototypes(LabelKnowledge(ANIMALS)))
    affinity = said.fit_transform(rows, sp.csr_array(Y), folds=folds)
    same_rule(clf.rule_, clone(LINEAR).fit(scores, Y, local=local, affinity=affinity))
    assert clf.predict(new).shape == (150, 5)


@pytest.mark.parametrize("number", [0, 1])
def test_scores_of_rows_that_a_frozen_model_was_trained_on_are_noticed(number):
    X, Y = make_data()
    Y[:, 0] = 1 - Y[:, 1:].max(axis=1)
    forest = RandomForestClassifier(10, bootstrap=False, random_state=0).fit(X, Y)
    models = [frozen(), frozen()]
    models[number] = FrozenEstimator(forest)
    with pytest.warns(
        classifier.InSampleScoresWarning, match=r"highest score is true in 100\.0% .*Give"
    ) as found:
        make_classifier(models, rule=LINEAR).fit(X, Y)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_classifier(models, rule=LINEAR).fit(*make_data(seed=1))


def test_a_frozen_model_is_checked_before_others_are_fitted():
    X, Y = make_data()
    for model, error, message in (
        (
            FrozenEstimator(clone(ONE_VS_REST)),
            NotFittedError,
            "This OneVsRestClassifier instance is not fitted",
        ),
        (
            frozen(clone(ONE_VS_REST).fit(X, Y[:, :3])),
            ValueError,
            "scores of base model 1 has 3 labels but 4",
        ),
    ):
        with pytest.raises(error, match=message):
            make_classifier([NeverFitted(), model]).fit(X, Y)


def test_a_frozen_model_of_a_binary_target():
    X, Y = make_data()
    train, other = make_data(seed=5)
    model = LogisticRegression().fit(train, np.where(other[:, 0], "yes", "no"))
    clf = make_classifier(FrozenEstimator(model), rule=LINEAR).fit(X, np.where(Y[:, 0], "yes", "no"))
    scores, local = model.predict_proba(X)[:, 1:], NeighborLabels(10).fit_transform(X, Y[:, :1])
    same_rule(clf.rule_, clone(LINEAR).fit(scores, Y[:, :1], local=local))
    assert set(clf.predict(X)) == {"yes", "no"}


# Names of labels in and out


def as_tags(Y, names=ANIMALS, kind=list):
    return [kind(names[label] for label in np.flatnonzero(row)) for row in to_dense(Y)]


@pytest.fixture(scope="module")
def of_a_matrix():
    """A classifier of texts that was fitted on a label matrix whose columns are sorted by name."""
    texts, Y = make_texts()
    return make_classifier(PIPELINE, rule=LINEAR).fit(texts, sp.csr_array(Y[:, np.argsort(ANIMALS)]))


@pytest.mark.parametrize(
    "as_given",
    [
        lambda Y: as_tags(Y),
        lambda Y: as_tags(Y, kind=tuple),
        lambda Y: tuple(as_tags(Y, kind=set)),
        lambda Y: pd.Series(as_tags(Y), index=np.arange(150)[::-1]),
        lambda Y: pd.DataFrame({"tags": as_tags(Y, kind=frozenset)}),
        lambda Y: pd.Series(as_tags(Y)).to_numpy(),
        lambda Y: [np.array(row, dtype=str) for row in as_tags(Y)],
        lambda Y: [row + row[:1] for row in as_tags(Y)],
    ],
)
def test_names_of_labels_come_in_and_go_out(as_given, of_a_matrix):
    texts, Y = make_texts()
    new, _ = make_texts(seed=1)
    clf = make_classifier(PIPELINE, rule=LINEAR).fit(texts, as_given(Y))
    assert clf.classes_.tolist() == sorted(ANIMALS)
    predicted = clf.predict(new)
    assert isinstance(predicted, sp.csr_array)
    np.testing.assert_array_equal(predicted.toarray(), of_a_matrix.predict(new).toarray())
    assert_equal(clf.predict_proba(new), of_a_matrix.predict_proba(new))
    found = clf.predict_labels(new)
    assert found == as_tags(predicted, sorted(ANIMALS))
    assert [] in found
    assert type(found[0]) is list
    assert {type(name) for row in found for name in row} == {str}


def test_a_frame_names_its_columns():
    X, Y = make_data()
    for frame in (pd.DataFrame(Y, columns=list("dbca")), pd.DataFrame(Y == 1, columns=list("dbca"))):
        clf = make_classifier(rule=LINEAR).fit(X, frame)
        assert clf.classes_.tolist() == list("dbca")
        predicted = clf.predict(X)
        assert isinstance(predicted, np.ndarray)
        assert clf.predict_labels(X) == as_tags(predicted, "dbca")
    sparse = make_classifier(rule=LINEAR).fit(X, frame.astype(pd.SparseDtype(int, 0)))
    assert sp.issparse(sparse.predict(X))
    assert sparse.predict_labels(X) == clf.predict_labels(X)
    with pytest.raises(ValueError, match="label_names must be the columns of Y"):
        make_classifier(NeverFitted()).fit(X, frame, label_names=list("abcd"))


def test_names_can_be_given_beside_a_matrix():
    X, Y = make_data()
    clf = make_classifier(rule=LINEAR).fit(X, sp.csr_array(Y), label_names=list("dbca"))
    assert clf.predict_labels(X) == as_tags(clf.predict(X), "dbca")
    assert clf.label_names_ == tuple("dbca")


def test_label_names_say_the_order_and_what_else_there_is():
    texts, Y = make_texts()
    names = ["fox", "bat", "dog", "cat", "hen", "cow"]
    tags = as_tags(Y)
    by_names = make_classifier(PIPELINE, rule=LINEAR).fit(texts, tags, label_names=names)
    assert by_names.classes_.tolist() == names
    assert by_names.n_labels_ == 6
    assert by_names.affinity_ is None
    by_features = make_classifier(PIPELINE, rule=LINEAR).fit(texts, tags, label_features=names)
    by_knowledge = make_classifier(PIPELINE, rule=LINEAR).fit(
        texts, tags, label_features=LabelKnowledge(names)
    )
    assert by_knowledge.classes_.tolist() == by_features.classes_.tolist() == names
    assert by_features.predict_labels(texts) == by_knowledge.predict_labels(texts)
    np.testing.assert_array_equal(by_features.predict(texts)[:, [3]].toarray()[:, 0], Y[:, 0])
    frozen_model = FrozenEstimator(clone(PIPELINE).fit(texts[::-1], Y[::-1]))
    frozen_clf = make_classifier(frozen_model, rule=LINEAR).fit(texts, tags, label_names=ANIMALS)
    same_rule(frozen_clf.rule_, make_classifier(frozen_model, rule=LINEAR).fit(texts, Y).rule_)


@pytest.mark.parametrize(("n_labels", "kind"), [(1, np.ndarray), (100, np.ndarray), (101, sp.csr_array)])
def test_few_labels_given_by_name_reach_base_models_as_an_array(n_labels, kind):
    class Sees(Prior):
        def fit(self, X, Y):
            assert type(Y) is kind
            self.classes_ = np.array([0, 1])
            return super().fit(X, Y)

        def predict_proba(self, X):
            return np.full((len(X), max(2, n_labels)), 0.3)

    texts, Y = make_texts()
    names = [*ANIMALS, *(f"other {number}" for number in range(200))][:n_labels]
    clf = make_classifier(Sees(), rule=LINEAR).fit(texts, as_tags(Y[:, :n_labels]), label_names=names)
    assert type(clf.predict(texts)) is sp.csr_array
    assert len(clf.predict_labels(texts)) == 150


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ("cat", {}, r"Y: row 3 is the text 'cat'; put it into a list: \['cat'\]"),
        (None, {}, "Y: row 3 is None, no list of names. Give an empty list for a row without labels"),
        (np.nan, {}, "Y: row 3 is nan, no list of names"),
        (7, {}, "Y: row 3 is 7, no list"),
        ({"cat": 1}, {}, "Y: row 3 is {'cat': 1}, no list"),
        (["cat", None], {}, r"Y: row 3 holds None, but the labels of a row must be names \(str\)"),
        (["cat", 2], {}, "Y: row 3 holds 2, but"),
        ({2, "cat"}, {}, "Y: row 3 holds 2, but"),
        ([1, 0, 0, 1, 0], {}, "Y: row 3 holds 1, but"),
        ([" "], {}, "Y: row 3 holds ' ', but"),
        (
            ["dog", "catt"],
            {"label_names": ANIMALS},
            "row 3 has the label 'catt', .*label_names lacks.*mean 'cat'",
        ),
        (["bat"], {"label_features": ANIMALS}, "row 3 has the label 'bat', which label_features lacks"),
        (["bat"], {"label_features": KNOWLEDGE}, "row 3 has the label 'bat', which label_features lacks"),
        ([], {"label_features": [*ANIMALS, "cat"]}, "label_features: labels 0 and 5 are both named 'cat'"),
        (
            [],
            {"label_names": [*ANIMALS, "cat"]},
            "label_names must be different from each other, and none blank",
        ),
        ([], {"label_names": [*ANIMALS, ""]}, "label_names must be different"),
        ([], {"label_names": "cat"}, "label_names must be plain texts, a sequence of str; got a str"),
        ([], {"label_names": set(ANIMALS)}, "label_names is a set, whose order means nothing"),
        ([], {"label_names": [*ANIMALS, 5]}, "label_names must be plain texts, .*row 5 is a int"),
        ([], {"label_names": ANIMALS, "label_features": ANIMALS[:4]}, "label_features knows 4 labels, but"),
    ],
)
def test_names_of_labels_are_checked(change, options, message):
    texts, Y = make_texts()
    tags = as_tags(Y)
    tags[3] = change
    with pytest.raises(ValueError, match=message):
        make_classifier(NeverFitted()).fit(texts, tags, **options)


def test_names_in_an_order_that_nobody_knows():
    texts, Y = make_texts()
    with pytest.raises(ValueError, match=r"nothing says in which order .*Give label_names, all names"):
        make_classifier(FrozenEstimator(clone(PIPELINE).fit(texts, Y))).fit(texts, as_tags(Y))
    X, Y = make_data()
    tags = as_tags(Y, "dbca")
    with pytest.raises(ValueError, match=r"nothing says in which order .*Give label_names, all names"):
        make_classifier(NeverFitted()).fit(X, tags, label_features=FEATURES)
    clf = make_classifier(rule=LINEAR).fit(X, tags, label_features=FEATURES, label_names=list("dbca"))
    same_rule(clf.rule_, make_classifier(rule=LINEAR).fit(X, Y, label_features=FEATURES).rule_)


def test_names_that_are_wanted_and_not_there():
    X, Y = make_data()
    with pytest.raises(NotFittedError):
        make_classifier().predict_labels(X)
    with pytest.raises(
        ValueError, match=r"names of the labels are not known; give fit label_names, or lists"
    ):
        make_classifier(rule=LINEAR).fit(X, Y).predict_labels(X)
    with pytest.raises(ValueError, match="one binary target, whose classes predict"):
        make_classifier(LogisticRegression(), rule=LINEAR).fit(X, Y[:, 0]).predict_labels(X)
    with pytest.raises(ValueError, match="label_names holds 3 names but Y has 4 labels"):
        make_classifier(NeverFitted()).fit(X, Y, label_names=list("abc"))
    with pytest.raises(ValueError, match="Y has 149 rows but 150 were expected"):
        make_classifier(NeverFitted()).fit(X, as_tags(Y[1:], "abcd"))
    with pytest.raises(ValueError, match="texts '0' and '1'; give a 0/1 matrix of numbers"):
        make_classifier(NeverFitted()).fit(X, Y.astype(str).tolist())
    with pytest.raises(ValueError, match="Y holds no label in any row"):
        make_classifier(NeverFitted()).fit(X, [set()] * 150)


@pytest.mark.slow
def test_a_classifier_of_names_is_copied_aimed_and_saved(tmp_path):
    texts, Y = make_texts()
    clf = make_classifier(PIPELINE, rule=LINEAR).fit(texts, as_tags(Y))
    clf.save(tmp_path / "clf.safetensors")
    loaded = AdaptiveThresholdClassifier.load(tmp_path / "clf.safetensors")
    assert loaded.predict_labels(texts) == clf.predict_labels(texts)
    assert loaded.classes_.tolist() == clf.classes_.tolist()
    assert max(map(len, clf.retarget("budget", 1).predict_labels(texts))) == 1


# Weights of rows


class Weighted(ClassifierMixin, BaseEstimator):
    """Logistic regressions that keep the weights they were fitted with."""

    fitted = ()  # shared by the clones

    def fit(self, X, Y, sample_weight=None):
        Weighted.fitted = (*Weighted.fitted, sample_weight)
        model = MultiOutputClassifier(LogisticRegression())
        self.model_, self.classes_ = model.fit(X, Y, sample_weight=sample_weight), np.arange(Y.shape[1])
        return self

    def predict_proba(self, X):
        return np.column_stack([p[:, 1] for p in self.model_.predict_proba(X)])


class WithoutTags:
    """A classifier that scikit-learn can clone, and that says nothing else of itself."""

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


def test_a_label_in_a_column_for_a_model_without_tags():
    X, Y = make_data()
    found, expected = (
        make_classifier(model, rule=LINEAR).fit(X, Y[:, [0]]).predict_proba(X)
        for model in (WithoutTags(), LogisticRegression())
    )
    np.testing.assert_array_equal(found, expected)


def test_neighbours_are_numbered_as_the_rows_were_given():
    X, Y = make_data()
    weight = np.r_[np.zeros(40), np.ones(110)]
    model = MultiOutputClassifier(LogisticRegression())
    clf = make_classifier(model, rule=LINEAR).fit(X, Y, sample_weight=weight)
    kept = make_classifier(model, rule=LINEAR).fit(X[40:], Y[40:])
    found, expected = (model.explain(X[100], 0).neighbors for model in (clf, kept))
    assert [row for row, *_ in found] == [row + 40 for row, *_ in expected]
    assert found[0][0] == 100  # the row itself
    texts = [f"text {number}" for number in range(150)]
    shown = LabelSetExplorer(clf, X[100:101], training_texts=texts).view().neighbors
    assert "text 100" in repr(shown)


def test_base_models_and_the_rule_are_given_the_weights():
    X, Y = make_data()
    weight, folds = (
        np.random.default_rng(0).uniform(0.1, 4, 150),
        draw_folds(150, 3, random_state=np.random.RandomState(0).randint(2**31)),
    )
    Weighted.fitted = ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = make_classifier([Weighted(), frozen()], rule=LINEAR).fit(X, Y, sample_weight=weight)
    expected = [weight[folds != fold] for fold in range(3)] + [weight]
    assert len(Weighted.fitted) == 4
    for found, of_fold in zip(Weighted.fitted, expected, strict=True):
        np.testing.assert_array_equal(found, of_fold)
    scores = np.empty(Y.shape)
    for fold in range(3):
        others = folds != fold
        model = Weighted().fit(X[others], Y[others], sample_weight=weight[others])
        scores[~others] = model.predict_proba(X[~others])
    local = NeighborLabels(10).fit_transform(X, Y, groups=folds)
    rule, scores = clone(LINEAR), [scores, TRAINED.predict_proba(X)]
    same_rule(clf.rule_, rule.fit(scores, Y, local=local, folds=folds, sample_weight=weight))
    same_rule(clf.retarget("micro_f1").rule_, rule.retarget("micro_f1"))


def test_a_base_model_that_takes_no_weights_is_named(log):
    X, Y = make_data()
    weight = np.where(Y[:, 3] == 1, 5.0, 1.0)
    clf = make_classifier([ONE_VS_REST, Weighted(), Recorder(), frozen()], rule=LINEAR)
    with pytest.warns(
        UserWarning, match="The fit of OneVsRestClassifier and Recorder takes no sample_weight"
    ) as found:
        clf.fit(X, Y, sample_weight=weight)
    assert len(found) == 1
    assert found[0].filename == __file__
    assert clf.rule_.idf_.frequency_[3] == 5 * Y[:, 3].sum()


def test_weights_are_passed_on_where_they_are_requested():
    X, Y = make_data()
    weight = np.random.default_rng(0).integers(1, 5, 150)
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("error")
        base = OneVsRestClassifier(LogisticRegression().set_fit_request(sample_weight=True))
        clf = make_classifier(base, rule=LINEAR).fit(X, Y, sample_weight=weight)
        expected = clone(base).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(clf.estimator_.predict_proba(X), expected.predict_proba(X))
    assert (
        np.abs(clf.estimator_.predict_proba(X) - clone(ONE_VS_REST).fit(X, Y).predict_proba(X)).max() > 0.01
    )


def as_texts(X):
    """Words for the features that are not 0."""
    return [" ".join(f"word{column}" for column in np.flatnonzero(row[:-1])) + " all" for row in X]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, pd.DataFrame, as_texts])
def test_a_row_of_weight_zero_is_left_out_of_everything(form):
    X, Y = make_data()
    groups, weight = np.arange(150) // 3, np.random.default_rng(0).integers(0, 3, 150)
    kept = weight > 0
    base = NeighborShares(5) if form is not as_texts else make_pipeline(TfidfVectorizer(), NeighborShares(5))
    clf = make_classifier(base, rule=LINEAR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = clone(clf).fit(form(X), Y, groups=groups, sample_weight=weight)
        clf.fit(form(X[kept]), Y[kept], groups=groups[kept], sample_weight=weight[kept])
    same_rule(found.rule_, clf.rule_)
    new = form(make_data(seed=1)[0])
    np.testing.assert_array_equal(found.decision_function(new), clf.decision_function(new))


def test_a_label_of_rows_without_weight_stays_known():
    X, Y = make_data()
    tags = [["rare"] if row == 0 else ["common"] if labels[0] else [] for row, labels in enumerate(Y)]
    forest = RandomForestClassifier(5, random_state=0)
    clf = make_classifier(forest, rule=LINEAR).fit(X, tags, sample_weight=np.arange(150) > 0)
    assert list(clf.classes_) == ["common", "rare"]
    assert clf.rule_.impossible_.tolist() == [1]
