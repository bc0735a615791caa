"""Cross-fitting: folds, and scores of estimators that do not keep what they promise."""

import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from adathresh.models import LinearOneVsRest
from adathresh.posthoc import crossfit
from adathresh.posthoc.crossfit import base_scores, draw_folds, out_of_fold_scores

FOLDS = np.arange(60) % 3


def make_data():
    """Rows of which three labels follow; the first label is in fold 0 only, the second in all other rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    Y = (X[:, :3] + 0.3 * rng.normal(size=(60, 3)) > 0).astype(int)
    Y[FOLDS != 0, 0], Y[FOLDS != 1, 1] = 0, 1
    return X, Y


# Folds


@pytest.mark.parametrize("cv", [1, 0, -3, 2.0, "3", None, True, KFold(3)])
def test_folds_are_a_whole_number(cv):
    with pytest.raises(ValueError, match="cv must be a whole number of folds, at least 2; got"):
        draw_folds(10, cv, random_state=0)


def test_a_whole_number_of_numpy_serves():
    assert set(draw_folds(10, np.int64(5), random_state=0)) == set(range(5))


@pytest.mark.parametrize("groups", [["a", None, "b", "c"], ["a", "b"]])
def test_groups_are_one_entry_a_row(groups):
    with pytest.raises(ValueError, match="groups must"):
        draw_folds(4, 2, groups=groups, random_state=0)


@pytest.mark.parametrize(("groups", "what"), [(None, "3 rows"), (["a", "b", "b"], "2 groups")])
def test_as_many_rows_or_groups_as_folds(groups, what):
    unit = what.partition(" ")[2]
    with pytest.raises(ValueError, match=rf"{what} are fewer than cv=4 folds; lower cv or give more {unit}"):
        draw_folds(3, 4, groups=groups, random_state=0)
    assert sorted(draw_folds(4, 4, random_state=0)) == [0, 1, 2, 3]


def test_as_many_groups_as_folds_and_rows_of_a_group_in_one():
    groups = ["a", "b", "c", "a", "b", "a", "c", "c", "d"]
    folds = draw_folds(9, 4, groups=groups, random_state=0)
    of_group = {group: {int(f) for f, g in zip(folds, groups, strict=True) if g == group} for group in "abcd"}
    assert sorted(of_group.values(), key=min) == [{0}, {1}, {2}, {3}]
    with pytest.raises(ValueError, match=r"groups must have shape \(8,\), one entry a row"):
        draw_folds(8, 4, groups=groups, random_state=0)


def test_folds_are_alike_in_size_drawn_and_repeat_with_their_seed():
    folds = draw_folds(30, 3, random_state=0)
    assert folds.dtype.kind == "i"
    assert np.bincount(folds).tolist() == [10, 10, 10]
    assert (np.diff(folds) < 0).sum() > 3  # not the rows one after the other
    for groups in (None, [f"group {i // 2}" for i in range(30)]):
        one, same, other = (draw_folds(30, 3, groups=groups, random_state=seed) for seed in (1, 1, 2))
        assert (one == same).all()
        assert (one != other).any()


# Held-out scores of every row


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_out_of_fold_against_a_loop(weighted, capsys):
    X, Y = make_data()
    folds = np.random.default_rng(1).permutation(FOLDS)
    weight = 1.0 + np.arange(60) % 5 * 2 if weighted else None
    found = out_of_fold_scores(LogisticRegression(), X, Y[:, 2], folds, n_labels=1, sample_weight=weight)
    for row in range(60):
        others = folds != folds[row]
        of_others = None if weight is None else weight[others]
        model = LogisticRegression().fit(X[others], Y[others, 2], sample_weight=of_others)
        assert found[row, 0] == pytest.approx(model.predict_proba(X[[row]])[0, 1], abs=1e-12)
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.usefixtures("bars")
def test_a_bar_says_whose_folds_are_fitted(capsys):
    X, Y = make_data()
    out_of_fold_scores(LogisticRegression(), X, Y[:, 2], FOLDS, n_labels=1, verbose=True)
    assert "folds of LogisticRegression: " in capsys.readouterr().err


# Labels that the rows of some folds never or always carry


@pytest.mark.filterwarnings("ignore:Label")
@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: make_pipeline(StandardScaler(), StandardScaler(), model),
        lambda model: GridSearchCV(make_pipeline(StandardScaler(), model), {}, cv=2, scoring="f1_micro"),
    ],
    ids=["alone", "pipeline", "search"],
)
def test_labels_that_one_vs_rest_has_no_model_of(wrap):
    """Of a label without a model, scikit-learn's decision value is 0 or 1 and says nothing of likelihood."""
    X, Y = make_data()
    train = FOLDS == 2
    model = wrap(OneVsRestClassifier(LinearSVC())).fit(X[train], Y[train])
    scores = base_scores(model, X, n_labels=3)
    assert (scores[:, 0] == 0).all()
    assert (scores[:, 1] == 1).all()
    np.testing.assert_array_equal(scores[:, 2], expit(model.decision_function(X)[:, 2]))


@pytest.mark.filterwarnings("ignore:Label")
def test_the_first_label_may_lack_a_positive_in_a_fold():
    """Then one-vs-rest says that it has predict_proba, and fails at the second label."""
    X, Y = make_data()
    scores = out_of_fold_scores(OneVsRestClassifier(LinearSVC()), X, Y, FOLDS, n_labels=3)
    for fold in range(3):
        train, test = fold != FOLDS, fold == FOLDS
        model = OneVsRestClassifier(LinearSVC()).fit(X[train], Y[train])
        np.testing.assert_array_equal(scores[test, 2], expit(model.decision_function(X[test])[:, 2]))
    assert (scores[FOLDS == 0, 0] == 0).all()
    assert (scores[FOLDS == 1, 1] == 1).all()
    assert np.isin(scores[FOLDS != 0, 0], (0, 1)).sum() == 0


@pytest.mark.parametrize("base", [LinearSVC(), LogisticRegression()])
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.filterwarnings("ignore:Label")
def test_a_binary_target_of_one_class(base, value):
    X, _ = make_data()
    model = OneVsRestClassifier(base).fit(X, np.full(60, value))
    assert base_scores(model, X, n_labels=1).tolist() == [[value]] * 60


class Broken(ClassifierMixin, BaseEstimator):
    """A classifier with a mistake in it."""

    def fit(self, X, Y):
        return self

    def predict_proba(self, X):
        return self.forgotten_


def test_an_estimators_own_mistake_is_not_hidden():
    X, Y = make_data()
    with pytest.raises(AttributeError, match="forgotten_"):
        out_of_fold_scores(Broken(), X, Y, FOLDS, n_labels=3)


def test_what_predict_proba_lacks_decision_function_may_have():
    class Half(Broken):
        def decision_function(self, X):
            return np.zeros((len(X), 3))

    X, Y = make_data()
    assert (out_of_fold_scores(Half(), X, Y, FOLDS, n_labels=3) == 0.5).all()


class OwnMistake(Broken):
    """A classifier that has both methods; only the second holds the mistake."""

    predict_proba = property()

    def decision_function(self, X):
        return self.lost_


def test_the_mistake_of_the_method_that_is_there_is_told():
    X, Y = make_data()
    with pytest.raises(AttributeError, match="lost_"):
        out_of_fold_scores(OwnMistake(), X, Y, FOLDS, n_labels=3)


def test_an_estimator_that_scores_nothing_is_refused():
    class Silent(BaseEstimator):
        def fit(self, X, Y):
            return self

    X, Y = make_data()
    with pytest.raises(TypeError, match="Silent has neither predict_proba nor decision_function"):
        out_of_fold_scores(Silent(), X, Y, FOLDS, n_labels=3)


class Deciding(BaseEstimator):
    """A classifier that has only a decision function, in single precision."""

    def fit(self, X, Y):
        return self

    def decision_function(self, X):
        return np.asarray(X[:, 0], dtype=np.float32)


@pytest.mark.parametrize(("classes", "certain"), [((0,), 0), ((1,), 1), ((0, 1), None), (None, None)])
def test_decisions_of_one_label(classes, certain):
    X, _ = make_data()
    model = Deciding()
    if classes is not None:
        model.classes_ = np.array(classes)
    scores = base_scores(model, X, n_labels=1)
    expected = (
        expit(X[:, :1].astype(np.float32).astype(float)) if certain is None else np.full((60, 1), certain)
    )
    np.testing.assert_array_equal(scores, expected)
    assert scores.dtype == np.float64


@pytest.mark.parametrize("base", [LinearSVC(), LogisticRegression()])
def test_scores_of_one_label(base):
    X, Y = make_data()
    model = base.fit(X, Y[:, 2])
    scores = base_scores(model, X, n_labels=1)
    assert scores.shape == (60, 1)
    np.testing.assert_allclose(scores[:, 0], expit(model.decision_function(X)))
    np.testing.assert_array_equal(base_scores(FrozenEstimator(model), X, n_labels=1), scores)


def test_scores_of_a_frozen_model_are_those_of_the_model():
    """Which would hide that it has top_scores."""
    X, Y = make_data()
    model = LinearOneVsRest().fit(X, Y)
    frozen = base_scores(FrozenEstimator(model), X, n_labels=3)
    np.testing.assert_array_equal(frozen.toarray(), model.top_scores(X).toarray())


# Warnings


def warned(run):
    """Return the warnings of a run, and check that the filters are afterwards what they were."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        run()
        assert warnings.filters == before
    return [str(warning.message) for warning in found]


def test_labels_in_all_rows_or_none_are_no_reason_to_warn():
    X, Y = make_data()
    model = OneVsRestClassifier(LogisticRegression())
    assert warned(lambda: out_of_fold_scores(model, X, Y, FOLDS, n_labels=3)) == []
    rows = FOLDS == 2
    assert any(
        "is present in all training examples" in text for text in warned(lambda: model.fit(X[rows], Y[rows]))
    )


class Loud(LogisticRegression):
    """A classifier that warns, in fit, of other things."""

    def fit(self, X, Y):
        warnings.warn("Label 3 looks odd", UserWarning, stacklevel=2)
        return super().fit(X, Y[:, 2])


def test_other_warnings_pass():
    X, Y = make_data()
    found = warned(lambda: out_of_fold_scores(Loud(), X, Y, FOLDS, n_labels=1))
    assert found == ["Label 3 looks odd"] * 3


def test_two_threads_leave_no_filter_behind():
    """The first to come is the first to go, so that each would put back what the other had found."""

    def run():
        before = list(warnings.filters)
        first, second = crossfit.silent_on_constant_labels(), crossfit.silent_on_constant_labels()
        first.__enter__()
        other = threading.Thread(target=second.__enter__)
        other.start()
        other.join()
        first.__exit__(None, None, None)
        warnings.warn("Label 1 is present in all training examples.", stacklevel=1)
        assert len(warnings.filters) == len(before) + 1
        second.__exit__(None, None, None)
        warnings.warn("Label 2 is present in all training examples.", stacklevel=1)

    assert warned(run) == ["Label 2 is present in all training examples."]


def test_the_filter_goes_where_a_fit_fails():
    X, Y = make_data()

    def run():
        with pytest.raises(ValueError, match="NaN"):
            out_of_fold_scores(OneVsRestClassifier(LogisticRegression()), X * np.nan, Y, FOLDS, n_labels=3)

    assert warned(run) == []


# Containers


class ByName(LogisticRegression):
    """A classifier that takes columns of a data frame by name."""

    def fit(self, X, Y):
        return super().fit(X[["b", "c"]], Y)

    def predict_proba(self, X):
        return super().predict_proba(X[["b", "c"]])


def test_data_frames_stay_data_frames():
    X, Y = make_data()
    frame = pd.DataFrame(X, columns=list("abcd"), index=[f"row {7 * row % 60}" for row in range(60)])
    scores = out_of_fold_scores(ByName(), frame, Y[:, 2], FOLDS, n_labels=1)
    expected = out_of_fold_scores(LogisticRegression(), X[:, 1:3], Y[:, 2], FOLDS, n_labels=1)
    np.testing.assert_allclose(scores, expected)


def test_many_labels_of_a_data_frame():
    X, Y = make_data()
    wide = np.hstack([Y[:, 2:], np.zeros((60, 150), dtype=int)])
    frame = pd.DataFrame(X, columns=list("abcd"))
    scores = out_of_fold_scores(OneVsRestClassifier(ByName()), frame, wide, FOLDS, n_labels=151)
    assert isinstance(scores, sp.csr_array)
    assert (np.diff(scores.indptr) == 1).all()  # the others are in no row, and scored 0


def test_a_hundred_labels_are_scored_in_full_and_of_more_the_highest_hundred(monkeypatch):
    monkeypatch.setattr(crossfit, "_BLOCK_ENTRIES", 700)  # a few rows at a time
    X, Y = make_data()
    wide = np.hstack([np.ones((60, 1), dtype=int), np.zeros((60, 99), dtype=int), Y[:, 2:]])
    for n_labels in (100, 101):
        model = OneVsRestClassifier(LinearSVC())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, wide[:, -n_labels:])
        expected = expit(model.decision_function(X))
        expected[:, :-1] = wide[0, -n_labels:-1]  # labels that one-vs-rest has no model of
        scores = base_scores(model, X, n_labels=n_labels)
        if n_labels == 100:
            np.testing.assert_array_equal(scores, expected)
        else:
            np.testing.assert_array_equal(scores.toarray(), expected)
            assert (np.diff(scores.indptr) == 2).all()


def test_scores_of_0_that_would_fill_up_the_highest_hundred_are_none():
    """Which of the labels without a neighbour would be among them would depend on their order."""
    rng = np.random.default_rng(0)
    X, Y = rng.random((60, 4)), (rng.random((60, 300)) < 0.02).astype(int)
    order = rng.permutation(300)
    found, other = (base_scores(KNeighborsClassifier(3).fit(X, y), X, n_labels=300) for y in (Y, Y[:, order]))
    assert found.nnz == np.count_nonzero(found.toarray()) > 0
    np.testing.assert_array_equal(found.toarray()[:, order], other.toarray())
    np.testing.assert_array_equal(np.diff(found.indptr), np.diff(other.indptr))


def nested(model):
    return make_pipeline(make_pipeline(StandardScaler(with_mean=False), model))


@pytest.mark.parametrize("wrap", [nested, lambda model: GridSearchCV(model, {"C": [1.0, 2.0]}, cv=2)])
def test_searches_and_nested_pipelines_around_a_model_with_top_scores(wrap):
    X, Y = make_data()
    model = wrap(LinearOneVsRest(random_state=0)).fit(X, Y)
    if hasattr(model, "best_estimator_"):
        expected = model.best_estimator_.top_scores(X)
    else:
        expected = model[-1][-1].top_scores(model[-1][0].transform(X))
    for fitted in (model, FrozenEstimator(model)):
        found = base_scores(fitted, X, n_labels=Y.shape[1])
        np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_one_label_in_a_column():
    X, Y = make_data()
    y = Y[:, [2]]
    expected = LogisticRegression().fit(X, y.ravel()).predict_proba(X)[:, [1]]
    several = MultiOutputClassifier(LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(base_scores(several, X, n_labels=1), expected)

    class Network:
        def predict_proba(self, X):
            return expected

    np.testing.assert_array_equal(base_scores(Network(), X, n_labels=1), expected)


@pytest.mark.parametrize("steps", [[TfidfVectorizer()], []])
def test_a_pipeline_that_ends_in_a_model_with_top_scores(steps):
    texts, Y = (
        ["a cat", "a dog", "a cat and a dog", "a cow"] * 5,
        np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 5),
    )
    X = texts if steps else np.eye(4)[[0, 1, 2, 3] * 5]
    pipeline = make_pipeline(*steps, LinearOneVsRest()).fit(X, Y)
    scores = base_scores(pipeline, X, n_labels=2)
    alone = pipeline[-1].top_scores(pipeline[:-1].transform(X) if steps else X)
    np.testing.assert_array_equal(scores.toarray(), alone.toarray())
    assert ((scores.toarray() > 0.5) == Y).all()
