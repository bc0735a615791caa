"""Label prototypes, by hand and against a loop over labels."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.estimator_checks import parametrize_with_checks

from adathresh import LabelKnowledge
from adathresh.metrics import precision_at_k
from adathresh.models import LabelPrototypes
from adathresh.models import prototypes as module
from adathresh.posthoc.crossfit import draw_folds, out_of_fold_scores

WORDS = np.array(["red", "green", "blue", "cat", "dog", "cow", "sits", "runs", "sleeps", "under", "over"])
KNOWLEDGE = LabelKnowledge(
    ["red things", "green", "", "cat", "dog", "cow", "sits", "no such word"],
    synonyms={"red things": ["crimson", "red"], "cat": ["kitten", "sleeps"]},
)


def make_data(n_samples=80, seed=0):
    """Texts of four words; the labels are the colours and animals in them; two labels have no rows."""
    words = np.random.default_rng(seed).integers(0, len(WORDS), size=(n_samples, 4))
    texts = np.array([" ".join(WORDS[row]) for row in words], dtype=object)
    labels = [(words == label).any(axis=1) if label < 6 else np.zeros(n_samples) for label in range(8)]
    return texts, np.stack(labels, axis=1).astype(int)


def unit(vector):
    """Scale to length 1."""
    length = np.sqrt((vector**2).sum())
    return vector / length if length else vector


def naive_prototypes(texts, Y, text_weight, knowledge):
    """The vectoriser, and the prototype of each label by a loop."""
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, max_df=0.5, token_pattern=r"[^\W\d_]{2,}").fit(texts)
    X = words.transform(texts).toarray()
    centroids = [unit(X[np.asarray(y) == 1].sum(axis=0)) for y in Y.T]
    frequency = Y.sum(axis=0)
    prototypes = []
    for label, f in enumerate(frequency):
        prototype = f / (f + 1) * centroids[label]
        if knowledge is not None:
            prototype = prototype + text_weight * words.transform([knowledge.texts()[label]]).toarray()[0]
        prototype = unit(prototype)
        prototypes.append(np.where(prototype < 0.01, 0, prototype))
    return words, np.array(prototypes)


@parametrize_with_checks([LabelPrototypes()])
def test_what_scikit_learn_can_check_of_models_of_texts(estimator, check):
    check(estimator)


@pytest.mark.parametrize("knowledge", [None, KNOWLEDGE], ids=["alone", "knowledge"])
@pytest.mark.parametrize("text_weight", [1.0, 0.3, 0])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_against_a_loop(knowledge, text_weight, form):
    texts, Y = make_data()
    new, _ = make_data(seed=1)
    model = LabelPrototypes(knowledge, text_weight=text_weight).fit(texts, form(Y))
    words, prototypes = naive_prototypes(texts, Y, text_weight, knowledge)
    np.testing.assert_allclose(model.prototypes_.toarray(), prototypes, atol=1e-6)
    assert model.n_features_in_ == len(words.vocabulary_) == len(WORDS)
    expected = words.transform(new).toarray() @ prototypes.T
    everything, best = model.top_scores(new), model.top_scores(new, k=2)
    np.testing.assert_allclose(everything.toarray(), expected, atol=1e-6)
    assert isinstance(best, sp.csr_array)
    assert best.dtype == np.float32
    for row, scores in enumerate(expected):
        highest = np.sort(scores)[::-1]
        np.testing.assert_allclose(np.sort(best[[row]].data)[::-1], highest[:2][highest[:2] > 0], atol=1e-6)
    predicted = model.predict(new)
    predicted = predicted.toarray() if sp.issparse(predicted) else predicted
    clear = np.abs(expected - 0.5) > 1e-5
    np.testing.assert_array_equal(predicted[clear], (expected > 0.5)[clear])


def test_by_hand():
    texts = ["cat", "cat dog", "dog", "cow", "cow"]
    words = TfidfVectorizer(sublinear_tf=True).fit(texts)
    both = words.transform(["cat dog"]).toarray()[0]  # its two words are as rare as each other
    np.testing.assert_allclose(both[words.vocabulary_["cat"]], np.sqrt(0.5))
    knowledge = LabelKnowledge(["cow", "cat"])
    model = LabelPrototypes(knowledge, min_df=1, max_df=1.0, text_weight=2.0)
    model.fit(texts, [[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]])
    # cow: 1/2 · dog + 2 · cow;  cat: no row, 2 · cat
    found = model.top_scores(["cow", "dog", "cat", "dog cat"]).toarray()
    first, second = np.array([2, 0.5]) / np.sqrt(4.25), np.array([1, 0])
    expected = [[first[0], 0], [first[1], second[1]], [0, second[0]], [np.sqrt(0.5) * 0.5 / np.sqrt(4.25)]]
    expected[3].append(np.sqrt(0.5) * second.sum())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_labels_without_rows_are_found_by_their_texts():
    texts, Y = make_data()
    model = LabelPrototypes(KNOWLEDGE).fit(texts, Y)
    found = model.top_scores(["a cow sits", "other"])
    assert Y[:, 6].sum() == 0 < found[0, 6] < 1
    assert found.toarray()[:, 7].max() == 0  # nothing is known of it
    assert found.toarray()[1].max() == 0
    assert LabelPrototypes().fit(texts, Y).top_scores(["a cow sits"])[0, 6] == 0


def test_knowledge_without_weights_is_no_knowledge():
    texts, Y = make_data()
    alone = LabelPrototypes().fit(texts, Y).prototypes_
    blind = LabelPrototypes(KNOWLEDGE, text_weight=0).fit(texts, Y).prototypes_
    nameless = LabelPrototypes(LabelKnowledge([""] * 8)).fit(texts, Y).prototypes_
    assert (alone != blind).nnz == (alone != nameless).nnz == 0
    assert (alone != LabelPrototypes(KNOWLEDGE).fit(texts, Y).prototypes_).nnz > 0


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_of_equal_scores_the_lower_labels_come_first(k):
    texts, Y = make_data()
    Y = np.repeat(Y[:, :6], 5, axis=1)[:, np.random.default_rng(0).permutation(30)]  # five labels each alike
    model = LabelPrototypes().fit(texts, Y)
    everything, best = model.top_scores(texts, k=30).toarray(), model.top_scores(texts, k=k)
    for row, scores in enumerate(everything):
        order = np.argsort(-scores, kind="stable")[:k]
        assert sorted(order[scores[order] > 0]) == best[[row]].indices.tolist()


def test_small_weights_are_left_out_and_cosines_stay_below_one():
    rng = np.random.default_rng(0)
    names = np.array(["".join(rng.choice(list("abcdefgh"), 8)) for _ in range(500)])
    common = 1 / np.arange(20, 520)
    texts = [" ".join(rng.choice(names, 30, p=common / common.sum())) for _ in range(300)]
    Y = np.column_stack([np.ones(300), np.eye(300)])
    model = LabelPrototypes(min_df=1).fit(texts, Y)
    assert model.prototypes_.data.min() >= 0.01
    assert 400 < model.prototypes_[[0]].nnz < 490 < model.n_features_in_ == 500  # its rows hold all words
    assert model.prototypes_[[1]].nnz == len(set(texts[0].split()))
    found = model.top_scores(texts)
    assert found.data.min() > 0
    assert 1 - 1e-5 < found.data.max() <= 1


def test_it_learns_what_words_mean():
    texts, Y = make_data(400)
    new, truth = make_data(seed=1)
    model = LabelPrototypes(KNOWLEDGE).fit(texts, Y)
    assert precision_at_k(truth, model.top_scores(new, k=1), 1) > 0.85  # a few have no label


def test_it_is_cross_fitted_like_any_other():
    texts, Y = make_data()
    folds = draw_folds(len(texts), 2, random_state=0)
    model = LabelPrototypes(KNOWLEDGE)
    scores = out_of_fold_scores(model, texts, Y, folds, n_labels=8)
    expected = clone(model).fit(texts[folds == 1], Y[folds == 1]).top_scores(texts[folds == 0])
    np.testing.assert_array_equal(scores[folds == 0].toarray(), expected.toarray())


def test_binary_targets_blocks_threads_and_copies(monkeypatch):
    texts, Y = make_data()
    y = np.where(Y[:, 3], "yes", "no")
    model = LabelPrototypes(LabelKnowledge(["cat"])).fit(texts, y)
    assert (model.predict(texts) == y).mean() > 0.8
    model = LabelPrototypes(KNOWLEDGE).fit(texts, Y)
    expected = model.top_scores(texts).toarray()
    again = pickle.loads(pickle.dumps(model)).set_params(n_jobs=2)
    np.testing.assert_array_equal(again.top_scores(texts).toarray(), expected)
    monkeypatch.setattr("adathresh.models._base._BLOCK_ENTRIES", 24)
    np.testing.assert_array_equal(model.top_scores(list(texts)).toarray(), expected)


def test_fitting_and_scoring_say_nothing(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LabelPrototypes(KNOWLEDGE).fit(*make_data()).predict(["red cat"])
    assert capfd.readouterr() == ("", "")
    assert len(repr(LabelPrototypes(KNOWLEDGE))) < 100


@pytest.mark.parametrize(
    ("knowledge", "options", "texts", "Y", "message"),
    [
        (
            ["aid", "tax"],
            {},
            ["aid"],
            [[1, 0]],
            "knowledge must be a LabelKnowledge or None; got a list. Make",
        ),
        (LabelKnowledge(["a", "b", "c"]), {}, ["aid"], [[1, 0]], "knowledge knows 3 labels, but there are 2"),
        (LabelKnowledge(["a", "b"]), {}, ["aid", "tax"], [0, 1], "knowledge knows 2 labels, but there are 1"),
        (
            None,
            {"text_weight": -1},
            ["aid"],
            [[1, 0]],
            "text_weight must be a finite number, at least 0; got -1",
        ),
        (None, {"text_weight": np.inf}, ["aid"], [[1, 0]], "text_weight must be a finite number"),
        (None, {}, np.eye(2), [[1, 0]], "X must be plain texts"),
        (None, {}, ["aid", 3], [[1, 0]] * 2, "row 1 is a int"),
        (None, {}, ["aid"], [[2, 0]], "Y must hold only 0 and 1"),
        (None, {}, ["aid"], [[1, 0]] * 2, "Y has 2 rows but 1 were expected"),
    ],
)
def test_bad_input(monkeypatch, knowledge, options, texts, Y, message):
    monkeypatch.delattr(module, "word_vectorizer")  # errors come before the long work
    with pytest.raises(ValueError, match=message):
        LabelPrototypes(knowledge, **options).fit(texts, Y)


def test_further_errors():
    with pytest.raises(ValueError, match="min_df"):
        LabelPrototypes().fit(["red cat", "blue dog", "cow"], [[1], [0], [1]])
    texts, Y = make_data()
    with pytest.raises(NotFittedError):
        LabelPrototypes().top_scores(texts)
    model = LabelPrototypes().fit(texts, Y)
    with pytest.raises(ValueError, match="k must be a whole number, at least 1"):
        model.top_scores(texts, k=0)
    with pytest.raises(ValueError, match="X must be plain texts"):
        model.top_scores("red cat")
