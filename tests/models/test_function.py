"""Functions that return scores, and pipelines, as base models: batches, checks, and use in a classifier."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from adathresh import AdaptiveThreshold, AdaptiveThresholdClassifier, NeighborLabels
from adathresh.models.function import ScoreFunction, scores_of_outputs

NAMES = ["cat", "dog", "cow"]


def make_texts(seed=0, n_samples=120):
    """Texts of four words, and the animals in them."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice([*NAMES, "runs", "sits", "eats"], size=(n_samples, 4))
    return [" ".join(row) for row in drawn], [sorted(set(row) & set(NAMES)) for row in drawn]


def scores_of(texts):
    """Score each name by how near the beginning it is, and take what sits for a cow."""
    scores = [[0.9 - 0.004 * text.index(n) if n in text else 0.05 for n in NAMES] for text in texts]
    scores = np.array(scores)
    scores[["sits" in text for text in texts], 2] = 0.95
    return scores


class Pipeline:
    """Called as a text-classification pipeline of Hugging Face is, and answers as one."""

    def __init__(self):
        self.calls = []

    def __call__(self, texts, top_k=1, **options):
        assert type(texts) is list
        self.calls.append((len(texts), options))
        found = []
        for row in scores_of(texts):
            order = np.argsort(-row, kind="stable")[:top_k]
            labels = [{"label": NAMES[label], "score": float(row[label])} for label in order]
            found.append(labels if top_k is None else labels[0])
        return found

    def __deepcopy__(self, memo):
        raise AssertionError("the model was copied")


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, pd.Series, lambda texts: np.array(texts, dtype=object)]
)
def test_texts_come_in_lists(kind):
    texts, _ = make_texts(n_samples=10)
    sizes = []

    def function(batch):
        assert type(batch) is list
        assert all(isinstance(text, str) for text in batch)
        sizes.append(len(batch))
        return scores_of(batch)

    found = ScoreFunction(function, batch_size=4).top_scores(kind(texts))
    assert sizes == [4, 4, 2]
    np.testing.assert_array_equal(found.toarray(), scores_of(texts))
    assert found.nnz == 30  # a low score is a score


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize(
    "returned", [np.asarray, sp.csr_array, sp.coo_matrix, lambda scores: scores.tolist()]
)
def test_other_rows_come_as_they_are(kind, returned):
    X = np.random.default_rng(0).random((7, 5)) * (np.random.default_rng(1).random((7, 5)) < 0.7)
    given = kind(X)

    def function(batch):
        assert type(batch) is type(given)
        return returned(batch.toarray() if sp.issparse(batch) else np.asarray(batch))

    found = ScoreFunction(function, batch_size=3).top_scores(given)
    np.testing.assert_array_equal(found.toarray(), X)
    assert found.nnz == (np.count_nonzero(X) if returned in (sp.csr_array, sp.coo_matrix) else 35)


def test_the_highest_scores_alone_are_kept():
    X = np.random.default_rng(0).random((5, 150))
    model = ScoreFunction(np.asarray, batch_size=2)
    assert np.diff(model.top_scores(X).indptr).tolist() == [100] * 5
    top = model.top_scores(X, k=2)
    assert top.indices.reshape(5, 2).tolist() == np.sort(np.argsort(-X, axis=1)[:, :2], axis=1).tolist()
    assert (model.predict(X[:, :90]).toarray() == (X[:, :90] > 0.5)).all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda X: X[1:], "What function returned for rows 0 to 3 has 3 rows but 4 were expected"),
        (lambda X: X[:, : 3 if X[0, 0] else 2], "for rows 4 to 7 has 2 labels but 3 were expected"),
        (lambda X: X[:, 0], r"for rows 0 to 3 must have shape \(n_samples, n_labels\); got 1 dim"),
        (lambda X: np.where(X[:1, :1] == 0, np.nan, X), "for rows 4 to 7 must be finite; found NaN"),
        (
            lambda X: X + 2 * (X[:1, :1] == 0),
            r"for rows 4 to 7 must be probabilities in \[0, 1\]; found .*expit",
        ),
        (lambda X: None, "for rows 0 to 3 must have shape"),
        (lambda X: X.astype(str), "must be real numbers"),
    ],
)
def test_what_the_function_returns_is_checked(function, message):
    X = np.full((10, 3), 0.5)
    X[4] = 0
    with pytest.raises(ValueError, match=message):
        ScoreFunction(function, batch_size=4).top_scores(X)


def test_it_refuses():
    with pytest.raises(ValueError, match="function must be a function of a batch of rows; got None"):
        ScoreFunction(None).top_scores(["a"])
    with pytest.raises(ValueError, match="k must be a whole number, at least 1; got 0"):
        ScoreFunction(scores_of).top_scores(["a"], k=0)
    with pytest.raises(ValueError, match="X holds no rows"):
        ScoreFunction(scores_of).top_scores(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="row 11 is a NoneType"):
        ScoreFunction(scores_of).top_scores([*"abcdefghijk", None])
    with pytest.raises(ValueError, match="label_names must be different"):
        ScoreFunction.from_pipeline(Pipeline(), ["cat", "cat"])
    with pytest.raises(ValueError, match="label_names must be plain texts"):
        ScoreFunction.from_pipeline(Pipeline(), "cat")


def test_it_is_the_rule_on_what_the_function_returns():
    texts, tags = make_texts()
    new, _ = make_texts(seed=1)
    pipeline = Pipeline()
    model = ScoreFunction.from_pipeline(pipeline, NAMES, batch_size=50, truncation=True)
    rule = AdaptiveThreshold(fusion="linear")
    clf = AdaptiveThresholdClassifier(model, rule=rule, random_state=0).fit(texts, tags, label_names=NAMES)
    assert pipeline.calls == [
        (50, {"truncation": True}),
        (50, {"truncation": True}),
        (20, {"truncation": True}),
    ]
    Y = np.array([[name in row for name in NAMES] for row in tags], dtype=int)
    knn = NeighborLabels()
    rule.fit(scores_of(texts), Y, local=knn.fit_transform(clf.vectorizer_.transform(texts), Y))
    expected = rule.predict(scores_of(new), local=knn.transform(clf.vectorizer_.transform(new)))
    np.testing.assert_array_equal(clf.predict(new).toarray(), expected)
    assert clf.estimator_ is model
    assert clf.explain(new[0], "dog").margin == pytest.approx(clf.decision_function(new[:1])[0, 1])
    frozen = AdaptiveThresholdClassifier(FrozenEstimator(model), rule=clone(rule), random_state=0)
    assert frozen.fit(texts, tags, label_names=NAMES).predict_labels(new) == clf.predict_labels(new)


def test_a_function_is_shared_by_clones():
    model = ScoreFunction(Pipeline(), batch_size=7, verbose=True)
    twin = clone(AdaptiveThresholdClassifier(model)).estimator
    assert twin is not model
    assert twin.function is model.function
    assert twin.get_params() == model.get_params()


def test_one_label_and_a_binary_target():
    texts, tags = make_texts()
    y = np.array(["cat" in row for row in tags])
    model = ScoreFunction(lambda batch: scores_of(batch)[:, :1])
    clf = AdaptiveThresholdClassifier(model, random_state=0).fit(texts, y)
    assert (clf.predict(texts) == y).mean() > 0.95


def test_a_file_holds_all_but_the_function(tmp_path):
    texts, tags = make_texts()
    new, _ = make_texts(seed=1)
    model = ScoreFunction.from_pipeline(Pipeline(), NAMES)
    for estimator in (model, [model, FrozenEstimator(copy.copy(model))]):
        clf = AdaptiveThresholdClassifier(estimator, random_state=0).fit(texts, tags, label_names=NAMES)
        clf.save(tmp_path / "clf.safetensors")
        loaded = AdaptiveThresholdClassifier.load(tmp_path / "clf.safetensors")
        with pytest.raises(ValueError, match="function must be a function of a batch of rows; got None"):
            loaded.predict(new)
        if estimator is model:
            loaded.set_params(estimator__function=scores_of)
        else:
            loaded.estimator_[0].set_params(function=scores_of)
            loaded.estimator_[1].estimator.set_params(function=scores_of)
        np.testing.assert_allclose(loaded.predict_proba(new).toarray(), clf.predict_proba(new).toarray())
    assert model.function is not None


# Outputs of pipelines


def entry(label, score):
    return {"label": label, "score": score}


def test_outputs_become_a_matrix():
    outputs = [[entry("dog", 0.9), entry("cat", 0.0)], [], ({"label": "cow", "score": 0.3, "more": 1},)]
    found = scores_of_outputs(outputs, NAMES)
    assert found.toarray().tolist() == [[0.0, 0.9, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.3]]
    assert found.nnz == 3  # a score of 0 is a score
    assert found.has_canonical_format


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            [[], [entry("bat", 0.9)]],
            r"text 1: the pipeline's label 'bat' is not among label_names \('cat', 'dog'",
        ),
        ([[entry("cat", 0.9), entry("cat", 0.1)]], "text 0: the pipeline named the label 'cat' twice"),
        ([entry("cat", 0.9)], r"text 0: the pipeline returned \{'label.*takes top_k=None"),
        ([[], None], "text 1: the pipeline returned None"),
        (["cat"], "text 0: the pipeline returned 'cat'"),
        ([[{"label": "cat"}]], r"text 0: the pipeline returned \[\{'label': 'cat'\}\]"),
    ],
)
def test_outputs_that_are_none(outputs, message):
    with pytest.raises(ValueError, match=message):
        scores_of_outputs(outputs, NAMES)


def test_a_pipeline_that_leaves_texts_out():
    model = ScoreFunction.from_pipeline(lambda texts, top_k: [[]] * (len(texts) - 1), NAMES)
    with pytest.raises(ValueError, match="for rows 0 to 1 has 1 rows but 2"):
        model.top_scores(["a", "b"])
