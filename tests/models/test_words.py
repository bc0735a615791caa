"""Bags of words: which words count, and what is refused."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.estimator_checks import parametrize_with_checks

from adathresh.metrics import precision_at_k
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.neighbors import NeighborShares
from adathresh.models.words import BagOfWords
from adathresh.posthoc.crossfit import draw_folds, out_of_fold_scores

WORDS = np.array(["red", "green", "blue", "cat", "dog", "cow", "sits", "runs", "sleeps", "under", "over"])


def make_data(n_samples=80, seed=0):
    """Texts of six words; the labels are the colours and animals in them."""
    words = np.random.default_rng(seed).integers(0, len(WORDS), size=(n_samples, 6))
    texts = np.array([" ".join(WORDS[row]) for row in words], dtype=object)
    return texts, np.stack([(words == label).any(axis=1) for label in range(6)], axis=1).astype(int)


@parametrize_with_checks([BagOfWords()])
def test_what_scikit_learn_can_check_of_models_of_texts(estimator, check):
    check(estimator)


def test_it_is_the_head_on_tfidf_of_words_and_pairs():
    texts, Y = make_data()
    new, truth = make_data(seed=1)
    head = LinearOneVsRest("log", random_state=0)
    model = BagOfWords(head).fit(texts, Y)
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, dtype=np.float32).fit(texts)
    expected = clone(head).fit(words.transform(texts), Y).top_scores(words.transform(new))
    np.testing.assert_array_equal(model.top_scores(new).toarray(), expected.toarray())
    assert model.n_features_in_ == len(words.vocabulary_)
    assert not hasattr(head, "coef_")  # the caller's head is not touched
    assert precision_at_k(truth, model.top_scores(new, k=1), 1) > 0.9


@pytest.mark.parametrize("max_words", [1, 3, 6, 100])
def test_only_the_first_words_are_read(max_words):
    texts, Y = make_data()
    cut = [" ".join(text.split()[:max_words]) for text in texts]
    new = [f"{text}\n  and what else" for text in cut] if max_words <= 6 else cut
    ours = BagOfWords(max_words=max_words, min_df=1).fit(texts, Y)
    short = BagOfWords(min_df=1).fit(cut, Y)
    read = [" ".join(text.split()[:max_words]) for text in new]
    np.testing.assert_array_equal(ours.top_scores(new).toarray(), short.top_scores(read).toarray())


def test_words_have_no_case():
    texts, Y = make_data()
    loud = [text.upper() for text in texts]
    quiet = BagOfWords(max_words=4).fit(texts, Y).top_scores(texts)
    shouted = BagOfWords(max_words=4).fit(loud, Y).top_scores(loud)
    np.testing.assert_array_equal(shouted.toarray(), quiet.toarray())


def test_it_is_cross_fitted_like_any_other():
    texts, Y = make_data()
    folds = draw_folds(len(texts), 2, random_state=0)
    model = BagOfWords(LinearOneVsRest(shortlist=NeighborShares(10), random_state=0))
    scores = out_of_fold_scores(model, texts, Y, folds, n_labels=6)
    expected = clone(model).fit(texts[folds == 1], Y[folds == 1]).top_scores(texts[folds == 0])
    np.testing.assert_array_equal(scores[folds == 0].toarray(), expected.toarray())


@pytest.mark.parametrize(
    ("options", "texts", "message"),
    [
        (
            {"max_words": 0},
            ["a cat", "a dog"],
            "max_words must be a whole number, at least 1, or None; got 0",
        ),
        ({"max_words": 2.5}, ["a cat", "a dog"], "max_words must be a whole number"),
        ({}, ["red cat", "blue dog"], "min_df"),
        ({}, np.eye(2), "X must be plain texts"),
        ({}, ["a cat", 3], "row 1 is a int"),
    ],
)
def test_bad_input(options, texts, message):
    with pytest.raises(ValueError, match=message):
        BagOfWords(**options).fit(texts, [[1, 0], [0, 1]])
