"""Precision of mentions, by hand and against a loop over texts and phrases."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import adathresh
from adathresh import LabelKnowledge, LabelMentions
from adathresh.signals import folded_words
from adathresh.signals import mentions as module

KNOWLEDGE = LabelKnowledge(
    ["state aid", "tax", "", "fish", "sea fish", "never named"],
    synonyms=[["help", "aid"], ["taxes", "duty"], [], ["--", "cod"], ["deep sea"], []],
)
WORDS = np.array(["state", "aid", "help", "tax", "duty", "fish", "sea", "cod", "deep", "the", "other", "of"])


def make_data(n_samples=60, seed=0):
    """Texts of few words; labels follow the words, but not always."""
    rng = np.random.default_rng(seed)
    words = rng.choice(WORDS, size=(n_samples, 12), p=np.array([1, 1, 1, 1, 1, 2, 2, 0.3, 1, 9, 9, 9]) / 37.3)
    texts = [" ".join(row) for row in words]
    named = [[any(phrase in text for phrase in own) for own in KNOWLEDGE.phrases()] for text in texts]
    return texts, (np.array(named) ^ (rng.random((n_samples, 6)) < 0.2)).astype(int)


def occurrences(text, phrase):
    """How often a phrase occurs in a text."""
    words, wanted = folded_words(text), folded_words(phrase)
    n = len(wanted)
    return sum(words[i : i + n] == wanted for i in range(len(words) - n + 1)) if n else 0


def naive_precisions(texts, Y, smoothing, max_count):
    """The precision of each phrase with a word and each number of occurrences, by loops."""
    phrases = [(label, p) for label, own in enumerate(KNOWLEDGE.phrases()) for p in own if folded_words(p)]
    counts = range(1, max_count + 1)
    cells = {}
    for number, (label, phrase) in enumerate(phrases):
        for c in counts:
            found = [row for row, text in enumerate(texts) if min(occurrences(text, phrase), max_count) == c]
            cells[number, c] = len(found), sum(Y[row][label] for row in found)

    def octave(number):
        return int(np.log2(len(texts) / max(1, sum(cells[number, c][0] for c in counts))))

    def sums(chosen):
        n, hits = zip(*[(0, 0), *chosen], strict=True)
        return sum(n), sum(hits)

    def shrunk(chosen, towards, by):
        n, hits = sums(chosen)
        return (hits + by * towards) / (n + by)

    overall = shrunk(cells.values(), 0.1, 10)
    precisions = {}
    for number, (_, phrase) in enumerate(phrases):
        pooled = {}
        for c in counts:
            of_count = shrunk([cells[other, c] for other in range(len(phrases))], overall, 10)
            alike = [other for other in range(len(phrases)) if octave(other) == octave(number)]
            pooled[c] = shrunk([cells[other, c] for other in alike], of_count, 10)
        expected = sum(cells[number, c][0] * pooled[c] for c in counts)
        hits = sum(cells[number, c][1] for c in counts)
        for c in counts:
            prior = pooled[c] * (hits + smoothing) / (expected + smoothing)
            precisions[phrase, c] = shrunk([cells[number, c]], min(max(prior, 1e-5), 0.99), smoothing)
    return precisions


def naive_values(texts, precisions, max_count):
    """The highest precision among the phrases of each label, by loops."""
    values = np.zeros((len(texts), KNOWLEDGE.n_labels))
    for row, text in enumerate(texts):
        for label, own in enumerate(KNOWLEDGE.phrases()):
            for phrase in own:
                count = min(occurrences(text, phrase), max_count)
                if count:
                    values[row, label] = max(values[row, label], precisions[phrase, count])
    return values


def test_by_hand():
    # one phrase, in two of four texts, once each; one of these carries the label
    mentions = LabelMentions(LabelKnowledge(["aid"]), smoothing=2, max_count=1)
    mentions.fit(["aid", "no aid", "other", ""], [[1], [0], [1], [0]])
    overall = (1 + 10 * 0.1) / (2 + 10)
    of_column = (1 + 10 * overall) / (2 + 10)
    pooled = (1 + 10 * of_column) / (2 + 10)
    prior = pooled * (1 + 2) / (2 * pooled + 2)
    found = mentions.transform(["Aid, aid", "nothing"])
    assert isinstance(found, sp.csr_array)
    assert found.dtype == np.float32
    assert found.nnz == 1
    assert found[0, 0] == pytest.approx((1 + 2 * prior) / (2 + 2))
    assert found[0, 0] == pytest.approx(0.4088, abs=1e-4)


@pytest.mark.parametrize(("smoothing", "max_count"), [(5.0, 3), (0.5, 1), (20, 2)])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_array])
def test_new_texts_against_a_loop(smoothing, max_count, form):
    texts, Y = make_data()
    new, _ = make_data(seed=1)
    mentions = LabelMentions(KNOWLEDGE, smoothing=smoothing, max_count=max_count).fit(texts, form(Y))
    precisions = naive_precisions(texts, Y, smoothing, max_count)
    np.testing.assert_allclose(mentions.precision_.ravel(), list(precisions.values()), rtol=1e-6)
    expected = naive_values(new, precisions, max_count)
    found = mentions.transform(new)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)
    assert found.has_canonical_format
    assert found.nnz == (expected > 0).sum() > 80
    assert 0 < found.data.min() < found.data.max() < 1
    assert len(mentions.phrase_labels_) == 11 == len(mentions.precision_)  # "--" is no phrase


def test_training_rows_against_a_loop():
    texts, Y = make_data()
    folds = np.random.default_rng(2).choice([7, -1, 3], size=60)
    expected = np.zeros((60, 6))
    for fold in (7, -1, 3):
        others, own = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        precisions = naive_precisions([texts[row] for row in others], Y[others], 5, 3)
        expected[own] = naive_values([texts[row] for row in own], precisions, 3)
    mentions = LabelMentions(KNOWLEDGE)
    found = mentions.fit_transform(texts, Y, folds=folds)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)
    assert found.dtype == np.float32
    # and it is fitted as on all rows
    np.testing.assert_array_equal(mentions.precision_, clone(mentions).fit(texts, Y).precision_)


def test_a_row_says_nothing_of_itself():
    texts, Y = make_data()
    folds = np.arange(60) % 3
    found = LabelMentions(KNOWLEDGE).fit_transform(texts, Y, folds=folds).toarray()
    flipped = np.where((folds == 0)[:, None], 1 - Y, Y)
    other = LabelMentions(KNOWLEDGE).fit_transform(texts, flipped, folds=folds).toarray()
    np.testing.assert_array_equal(found[folds == 0], other[folds == 0])
    assert (found[folds == 1] != other[folds == 1]).any()


def test_a_share_of_texts_stays_where_it_is_when_texts_are_doubled():
    # pools of a few mentions are shrunk less where there are more, so that only their company can be compared
    rng = np.random.default_rng(0)
    tally = np.zeros((40, 1, 2), dtype=int)
    tally[:, 0, 1] = 1000 * 2 ** rng.integers(0, 5, size=40)
    tally[:, 0, 0] = tally[:, 0, 1] * rng.integers(1, 9, size=40)
    once, twice = module._precisions(tally, 10**6, 1e-9), module._precisions(2 * tally, 2 * 10**6, 1e-9)
    np.testing.assert_allclose(once, twice, rtol=1e-6)
    once, twice = module._precisions(tally, 10**6, 1e4), module._precisions(2 * tally, 2 * 10**6, 2e4)
    np.testing.assert_allclose(once, twice, rtol=1e-2)


def test_no_prior_is_certain():
    # the last phrase does far better, or worse, than its company with one occurrence, and has none of two
    for hits, others, expected in ((150, [20, 90], 0.99), (0, [100, 100], 1e-5)):
        tally = np.zeros((6, 2, 2), dtype=int)
        tally[:, :, 1] = others
        tally[5] = [[0, hits], [0, 0]]
        tally[:5, :, 0] = 100 - tally[:5, :, 1]
        tally[5, 0, 0] = 150 - hits
        factor = 10**5
        assert module._precisions(factor * tally, factor * 250, 5)[5, 1] == pytest.approx(expected)


def test_more_occurrences_and_better_phrases_count_for_more():
    texts = ["aid"] * 20 + ["aid aid"] * 20 + ["help"] * 20 + ["state of the other"] * 40
    Y = np.zeros((100, 1))
    Y[[*range(5), *range(20, 35), *range(40, 59)]] = 1  # 5 of 20, 15 of 20, 19 of 20
    mentions = LabelMentions(LabelKnowledge(["aid"], synonyms=[["help", "state"]])).fit(texts, Y)
    once, twice, thrice, synonym, both, never = (
        mentions.transform(["aid", "aid aid", "aid aid aid", "help", "aid help", "state"]).toarray().ravel()
    )
    assert never < 0.1 < 0.2 < once < 0.4 < thrice < twice < 0.8 < synonym == both < 1
    quiet = LabelMentions(LabelKnowledge(["aid"], synonyms=[["help"]]), max_count=1).fit(texts, Y)
    assert quiet.transform(["aid"])[0, 0] == quiet.transform(["aid aid"])[0, 0]


def test_labels_without_positives_get_low_values():
    texts, Y = make_data(300)
    Y[:, 0] = 0
    mentions = LabelMentions(KNOWLEDGE).fit(texts, Y)
    found = mentions.transform(["state aid", "fish"]).toarray()
    assert 0 < found[0, 0] < 0.2 < 0.7 < found[1, 3]
    none = LabelMentions(KNOWLEDGE).fit(texts, np.zeros_like(Y)).transform(texts)
    assert 0 < none.data.min() < none.data.max() < 0.1
    unseen = LabelMentions(KNOWLEDGE).fit(["other"] * 3, np.ones((3, 6))).transform(["a state aid", "other"])
    assert unseen.toarray().ravel().tolist() == pytest.approx([0.1, *[0] * 11])


def test_texts_without_mentions():
    texts, Y = make_data()
    mentions = LabelMentions(KNOWLEDGE).fit(texts, Y)
    found = mentions.transform(["", "of the other"])
    assert found.shape == (2, 6)
    assert found.nnz == 0
    found = LabelMentions(KNOWLEDGE).fit_transform(["", "of", "aid"], np.eye(3, 6), folds=[0, 0, 1])
    assert found.toarray()[:2].any() == 0 < found[2, 0]


def test_conventions():
    texts, Y = make_data()
    mentions = LabelMentions(KNOWLEDGE, smoothing=2)
    assert mentions.get_params() == {"knowledge": KNOWLEDGE, "smoothing": 2, "max_count": 3}
    assert repr(clone(mentions)) == repr(mentions)
    assert len(repr(mentions)) < 100
    assert adathresh.LabelMentions is module.LabelMentions
    with pytest.raises(NotFittedError):
        mentions.transform(texts)
    assert mentions.fit(texts, Y) is mentions
    expected = mentions.transform(texts).toarray()
    for again in (pickle.loads(pickle.dumps(mentions)), copy.deepcopy(mentions)):
        np.testing.assert_array_equal(again.transform(texts).toarray(), expected)
    as_array = np.array(texts, dtype=object)
    np.testing.assert_array_equal(mentions.transform(as_array).toarray(), expected)


@pytest.mark.parametrize(
    ("knowledge", "options", "texts", "Y", "message"),
    [
        (["aid", "tax"], {}, ["aid"], [[1, 0]], "knowledge must be a LabelKnowledge; got a list. Make one"),
        (None, {}, ["aid"], [[1, 0]], "got a NoneType"),
        ("three", {}, ["aid"], [[1, 0]], "knowledge knows 3 labels, but there are 2"),
        ("wordless", {}, ["aid", "of"], [[1, 0]] * 2, "knowledge names nothing that a text could mention"),
        (
            "two",
            {"smoothing": 0},
            ["aid"],
            [[1, 0]],
            "smoothing must be a finite number, greater than 0; got 0",
        ),
        (
            "two",
            {"smoothing": np.inf},
            ["aid"],
            [[1, 0]],
            "smoothing must be a finite number, greater than 0",
        ),
        ("two", {"max_count": 0}, ["aid"], [[1, 0]], "max_count must be a whole number, at least 1; got 0"),
        ("two", {"max_count": 1.5}, ["aid"], [[1, 0]], "max_count must be a whole number"),
        ("two", {}, "aid", [[1, 0]], "texts must be plain texts, a sequence of str; got a str. Put a single"),
        ("two", {}, ["aid", 3], [[1, 0]] * 2, "row 1 is a int"),
        ("two", {}, [], np.zeros((0, 2)), "texts holds no text"),
        ("two", {}, ["aid"], [[2, 0]], "Y must hold only 0 and 1"),
        ("two", {}, ["aid"], [[1, 0]] * 2, "Y has 2 rows but 1 were expected"),
    ],
)
def test_bad_input(monkeypatch, knowledge, options, texts, Y, message):
    known = {"two": ["aid", "tax"], "three": ["a", "b", "c"], "wordless": ["", "--"]}
    if isinstance(knowledge, str):
        knowledge = LabelKnowledge(known[knowledge])
    monkeypatch.delattr(module, "PhraseMatcher")  # errors come before the long work
    with pytest.raises(ValueError, match=message):
        LabelMentions(knowledge, **options).fit(texts, Y)
    with pytest.raises(ValueError, match=message):
        LabelMentions(knowledge, **options).fit_transform(texts, Y, folds=[0, 1][: len(texts)] or [0])


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (None, "folds must be one integer a row"),
        ([0.0, 1.0, 0.0], "of type float64"),
        ([[0], [1], [0]], r"of shape \(3,\); got shape \(3, 1\)"),
        ([0, 1], "folds has 2 entries, but there are 3 texts"),
        ([4, 4, 4], "folds are all 4: .* give at least two folds"),
    ],
)
def test_bad_folds(monkeypatch, folds, message):
    monkeypatch.delattr(module, "PhraseMatcher")
    with pytest.raises(ValueError, match=message):
        LabelMentions(KNOWLEDGE).fit_transform(["aid", "tax", "cod"], np.eye(3, 6), folds=folds)


def test_bad_new_texts():
    mentions = LabelMentions(KNOWLEDGE).fit(*make_data())
    for texts, message in (
        ("aid", "Put a single text into a list"),
        ([], "no text"),
        ([1], "row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            mentions.transform(texts)
