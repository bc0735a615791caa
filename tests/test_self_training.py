"""Self-training: who trains, who is held out, what is sure, and what rows without labels are given."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier

from adathresh import AdaptiveThreshold, AdaptiveThresholdClassifier, SelfTraining, load, save
from adathresh.models import LinearOneVsRest
from adathresh.self_training import NoPseudoLabelsWarning

SURE = AdaptiveThreshold("precision", target_value=0.8, fusion="linear")


def make_data(n_labelled=200, seed=0):
    """Labelled rows, and rows whose labels the model is not told."""
    X, Y = make_multilabel_classification(
        n_labelled + 300, n_features=12, n_classes=3, n_labels=2, random_state=seed
    )
    return X[:n_labelled], Y[:n_labelled], X[n_labelled:], Y[n_labelled:]


def make_model(unlabeled, estimator=None, **options):
    estimator = OneVsRestClassifier(LogisticRegression()) if estimator is None else estimator
    return SelfTraining(estimator, unlabeled, **({"rule": SURE, "random_state": 0} | options))


class Recorder(KNeighborsClassifier):
    """Remembers the rows, the labels and the groups that each copy was fitted on."""

    log = ()

    def fit(self, X, Y):
        Recorder.log += ((X, Y),)
        return super().fit(X, Y)


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(Recorder, "log", ())


def numbers_of(rows, among):
    """Where rows, all different, stand among others."""
    found = {row.tobytes(): number for number, row in enumerate(among)}
    return [found[row.tobytes()] for row in np.ascontiguousarray(rows)]


def test_the_model_of_a_round_has_not_seen_the_rows_that_the_rule_is_fitted_on(log):
    X, Y, unlabeled, _ = make_data()
    rng = np.random.default_rng(0)
    X, unlabeled = X + rng.random(X.shape), unlabeled + rng.random(unlabeled.shape)  # all rows differ
    groups = np.arange(len(X)) // 4
    model = make_model(unlabeled, Recorder()).fit(X, Y, groups=groups)
    assert len(model.stages_) == 3
    all_rows, first, _, second, last = Recorder.log
    np.testing.assert_array_equal(all_rows[0], X)
    seen = numbers_of(first[0], X)
    held = np.setdiff1d(np.arange(len(X)), seen)
    assert len(held) == pytest.approx(len(X) / 3, abs=8)
    assert not np.intersect1d(groups[seen], groups[held]).size
    given = [np.flatnonzero(labels.sum(axis=1)) for labels in model.pseudo_labels_]
    np.testing.assert_array_equal(second[0], np.r_[X[seen], unlabeled[given[0]]])
    np.testing.assert_array_equal(second[1], np.r_[Y[seen], model.pseudo_labels_[0].toarray()[given[0]]])
    np.testing.assert_array_equal(last[0], np.r_[X, unlabeled[given[1]]])
    np.testing.assert_array_equal(last[1], np.r_[Y, model.pseudo_labels_[1].toarray()[given[1]]])
    # what the rule gives follows from the rows that are held out, and from their groups
    head = KNeighborsClassifier().fit(*first)
    for rule, labels in ((SURE, model.sure_labels_[0]), (AdaptiveThreshold("micro_f1"), None)):
        rule = clone(rule).set_params(random_state=np.random.RandomState(0).randint(2**31))
        by_hand = AdaptiveThresholdClassifier(FrozenEstimator(head), rule=rule, random_state=0)
        predicted = by_hand.fit(X[held], Y[held], groups=groups[held]).predict(unlabeled)
        if labels is not None:
            np.testing.assert_array_equal(labels.toarray(), predicted)
            sure = predicted
    expected = sure | (predicted * sure.any(axis=1, keepdims=True))
    np.testing.assert_array_equal(model.pseudo_labels_[0].toarray(), expected)


def test_other_labels_of_a_row_are_guessed_or_absent():
    X, Y, unlabeled, _ = make_data()
    rule = AdaptiveThreshold("precision", target_value=0.95, fusion="linear")
    guessed, absent = (
        make_model(unlabeled, rule=rule, others=others).fit(X, Y) for others in ("guessed", "absent")
    )
    sure, given = guessed.sure_labels_[0], guessed.pseudo_labels_[0]
    assert given.nnz > sure.nnz
    assert (sure > given).nnz == 0
    np.testing.assert_array_equal(np.diff(sure.indptr) > 0, np.diff(given.indptr) > 0)
    assert (absent.sure_labels_[0] != sure).nnz == 0
    for of_sure, of_given in zip(absent.sure_labels_, absent.pseudo_labels_, strict=True):
        assert (of_sure != of_given).nnz == 0


def test_the_labels_of_the_last_stage_are_those_of_the_model():
    X, Y, unlabeled, truth = make_data()
    model = make_model(sp.csr_array(unlabeled)).fit(sp.csr_array(X), Y)
    assert model.estimator_ is model.stages_[-1]
    np.testing.assert_allclose(
        model.top_scores(unlabeled, k=3).toarray(), model.estimator_.predict_proba(unlabeled), rtol=1e-6
    )
    assert (model.predict(unlabeled) == truth).mean() > 0.7


@pytest.mark.parametrize("of_labelled", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("of_others", [np.asarray, sp.csr_matrix])
def test_rows_of_both_kinds_go_together(of_labelled, of_others):
    X, Y, unlabeled, _ = make_data()
    expected = make_model(unlabeled, LinearOneVsRest(random_state=0)).fit(X, Y)
    model = make_model(of_others(unlabeled), LinearOneVsRest(random_state=0)).fit(of_labelled(X), Y)
    assert (model.sure_labels_[0] != expected.sure_labels_[0]).nnz <= 3  # sparse rows are solved otherwise
    assert model.stages_[-1].coef_.shape == (3, 12)


def test_without_rounds_or_without_sure_labels_it_is_the_model_itself():
    X, Y, unlabeled, _ = make_data(60)
    plain = OneVsRestClassifier(LogisticRegression()).fit(X, Y).predict_proba(unlabeled)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoPseudoLabelsWarning)
        none = make_model(unlabeled, n_rounds=0).fit(X, Y)
    with pytest.warns(
        NoPseudoLabelsWarning, match="None of 300 rows without labels has got one: the 20 rows"
    ):
        unsure = make_model(unlabeled, rule=None).fit(X, Y)  # 20 rows guarantee nothing
    for model in (none, unsure):
        assert len(model.stages_) == 1
        np.testing.assert_allclose(model.top_scores(unlabeled, k=3).toarray(), plain, rtol=1e-6)


def test_rounds_end_when_no_label_changes():
    X, Y, unlabeled, _ = make_data()
    model = make_model(unlabeled, KNeighborsClassifier(1), n_rounds=50).fit(X, Y)
    assert 1 < len(model.stages_) < 51
    assert (model.pseudo_labels_[-1] != model.pseudo_labels_[-2]).nnz > 0


def test_label_texts_are_a_prior():
    rng = np.random.default_rng(0)
    Y = (rng.random((300, 3)) < 0.4).astype(int)
    words = rng.random((300, 40)) < 0.1
    X, names = np.c_[Y * (rng.random(Y.shape) < 0.8), words].astype(float), np.eye(3, 43)
    model = LinearOneVsRest("log", C=0.01, random_state=0)  # which has hardly learnt what the names say
    rule = AdaptiveThreshold("precision", target_value=0.95, fusion="linear")
    without, knowing = (
        make_model(X[60:], model, label_features=features, rule=rule, n_rounds=1).fit(X[:60], Y[:60])
        for features in (None, names)
    )
    right = [sum(labels.multiply(Y[60:]).sum() for labels in one.sure_labels_) for one in (without, knowing)]
    assert right[1] > right[0] + 20


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_the_classifier_around_it_scores_out_of_fold_and_hands_on_groups(container, monkeypatch):
    X, Y, unlabeled, _ = make_data(120)
    groups, given = np.repeat([f"file {n}" for n in range(40)], 3), []
    fit = SelfTraining.fit
    monkeypatch.setattr(
        SelfTraining, "fit", lambda self, X, Y, groups: given.append(groups) or fit(self, X, Y, groups=groups)
    )
    model = make_model(unlabeled, LinearOneVsRest(random_state=0), n_rounds=1)
    clf = AdaptiveThresholdClassifier(model, random_state=0).fit(X, container(Y), groups=groups)
    assert [len(np.unique(of_fit)) for of_fit in given] == [26, 27, 27, 40]
    assert [np.bincount(of_fit).max() for of_fit in given] == [3, 3, 3, 3]
    assert clf.predict(X).shape == Y.shape


def test_a_binary_target():
    X, Y, unlabeled, truth = make_data()
    y = np.where(Y[:, 0], "yes", "no")
    model = make_model(unlabeled, LogisticRegression()).fit(X, y)
    assert set(model.predict(unlabeled)) == {"no", "yes"}
    assert ((model.predict(unlabeled) == "yes") == truth[:, 0]).mean() > 0.7


def test_two_fits_are_the_same_and_the_seed_matters():
    X, Y, unlabeled, _ = make_data()
    one, two, other = (make_model(unlabeled, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    assert (one.pseudo_labels_[0] != two.pseudo_labels_[0]).nnz == 0
    assert (one.pseudo_labels_[0] != other.pseudo_labels_[0]).nnz > 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"unlabeled": np.zeros((3, 11))}, ValueError, "unlabeled.* 11 features"),
        ({"unlabeled": np.full((3, 12), np.nan)}, ValueError, "unlabeled must be .* contains NaN"),
        ({"unlabeled": np.zeros((0, 12))}, ValueError, "0 sample"),
        ({"rule": LogisticRegression()}, TypeError, "rule must be an AdaptiveThreshold, or None"),
        ({"rule": AdaptiveThreshold("recall")}, ValueError, "target"),
        ({"others": "kept"}, ValueError, "others must be"),
        ({"held_out": 1.0}, ValueError, "held_out"),
        ({"held_out": 0.001}, ValueError, "rows"),
        ({"n_rounds": -1}, ValueError, "n_rounds"),
        ({"label_features": np.zeros((3, 5))}, ValueError, "label_features has 5 features but X has 12"),
        ({"label_features": np.zeros((4, 12))}, ValueError, "label_features has 4 rows"),
        ({"label_features": ["a", "b", "c"]}, ValueError, "label_features holds names"),
    ],
)
def test_what_is_wrong_is_named(options, error, words):
    X, Y, unlabeled, _ = make_data(50)
    with pytest.raises(error, match=words):
        make_model(**({"unlabeled": unlabeled} | options)).fit(X, Y)


@pytest.mark.parametrize("features", [np.zeros((3, 5)), np.zeros((4, 12)), ["a", "b", "c"]])
def test_label_features_are_checked_before_a_model_is_trained(features, log):
    X, Y, unlabeled, _ = make_data(50)
    with pytest.raises(ValueError, match="label_features"):
        make_model(unlabeled, Recorder(), label_features=features).fit(X, Y)
    assert Recorder.log == ()


def test_models_say_nothing_of_labels_that_a_part_lacks():
    X, Y, unlabeled, _ = make_data()
    Y[:, 2] = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Label .* is present in all", UserWarning)
        make_model(unlabeled, n_rounds=1).fit(X, Y)


def test_a_saved_one_predicts_the_same_and_holds_no_rows(tmp_path):
    X, Y, unlabeled, _ = make_data()
    model = make_model(unlabeled, LinearOneVsRest(random_state=0)).fit(X, Y)
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(unlabeled), model.predict(unlabeled))
    assert loaded.unlabeled is None
    assert loaded.pseudo_labels_ is None


@pytest.mark.slow
def test_a_guaranteed_precision_is_kept():
    reached = []
    for seed in range(20):
        X, Y, unlabeled, truth = make_data(800, seed=seed)
        model = make_model(unlabeled, rule=None, n_rounds=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoPseudoLabelsWarning)
            found = model.fit(X, Y).sure_labels_
        reached += [labels.multiply(truth).sum() / labels.nnz for labels in found]
    assert len(reached) >= 10
    # a test set of 300 rows has some luck of its own
    assert np.mean(np.array(reached) >= 0.88) >= 0.9
