import copy
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from adathresh.signals import phrases as module
from adathresh.signals.phrases import PhraseMatcher, count_phrases, folded_words


def naive_matches(text, phrase, *, case_matters=True):
    """The numbers of the words at which a phrase begins, by a regular expression over single words."""
    words, wanted = folded_words(text), folded_words(phrase)
    if not wanted:
        return []
    if case_matters and len(wanted) == 1 and re.sub(r"\W|_", "", phrase) in CAPITALS and text != text.lower():
        (capitals,) = re.findall(r"[^\W_]+", phrase)
        written = re.findall(r"[^\W_]+", text)
        return [i for i, word in enumerate(written, 1) if word in (capitals, f"{capitals}s")]
    joined = "".join(f" {word} " for word in words)
    pattern = "".join(re.escape(f" {word} ") for word in wanted)
    found = re.finditer(f"(?={pattern})", joined)
    return [joined[: one.start()].count("  ") + (one.start() > 0) + 1 for one in found]


CAPITALS = {"AID", "AIDS", "ÉTATS"}
# Few words, so that they repeat, overlap and hold each other; separators of every kind; empty texts, too.
SMALL = ["a", "b", "ab", "aid", "aids", "policy", "policies", "états", "etat", "é", "7"]
WORDS = st.sampled_from([*SMALL, "Aid", "AID", "AIDs", "AIDS", "AIDSs", "ÉTATS", "A"])
GAPS = st.sampled_from([" ", "-", ", ", "\n", "_", "\u00a0", " – ", "'"])
PHRASES = st.lists(st.tuples(WORDS, GAPS), max_size=3).map(lambda parts: "".join(map("".join, parts)))
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=12).map(lambda parts: "".join(map("".join, parts)))


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(PHRASES, min_size=1, max_size=6))
def test_matches_are_those_of_a_naive_loop(texts, phrases):
    found = PhraseMatcher(phrases).find(texts)
    case_matters = any(phrase != phrase.upper() for phrase in phrases)
    for row, text in enumerate(texts):
        assert found.n_words[row] == len(folded_words(text))
        for column, phrase in enumerate(phrases):
            expected = naive_matches(text, phrase, case_matters=case_matters)
            assert found.counts[row, column] == len(expected)
            assert found.first[row, column] == (expected or [0])[0]
    assert (count_phrases(texts, phrases) != found.counts).nnz == 0


def test_the_naive_loop_by_hand():
    assert naive_matches("a a b a a a", "A a") == [1, 4, 5]
    assert naive_matches("b", "") == []
    assert naive_matches("aid AID, AIDs AIDS", "-AID-") == [2, 3]
    assert naive_matches("an aid", "AID") == naive_matches("An aid", "AID", case_matters=False) == [2]


def test_counts_by_hand():
    phrases = ["state aid", "national state aid", "aid", "aid, state", "--", "a a", "agreement"]
    texts = ["National state-aid; STATE\n AIDS, aid", "", "a a a", "statement aid state aide agreements"]
    found = count_phrases(texts, phrases)
    assert isinstance(found, sp.csr_array)
    assert found.dtype == np.int32
    assert found.has_canonical_format
    assert found.data.all()
    assert found.toarray().tolist() == [
        [2, 1, 3, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 2, 0],
        [0, 0, 1, 1, 0, 0, 1],
    ]


def test_first_positions_by_hand():
    found = PhraseMatcher(["state aid", "aid", "gone"]).find(["the aid, the state aid, the aid", "aid"])
    assert found.first.toarray().tolist() == [[4, 2, 0], [0, 1, 0]]
    assert found.n_words.tolist() == [7, 1]
    assert found.first.dtype == np.int32
    assert np.array_equal(found.first.indices, found.counts.indices)


def test_equal_phrases_have_equal_counts():
    found = count_phrases(["boxes", "a box"], ["box", "other", "Boxes!", "box"])
    assert found.toarray().tolist() == [[1, 0, 1, 1], [1, 0, 1, 1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Those who care", [0, 1, 0, 0]),
        ("The WHO and two NGOs", [1, 1, 0, 1]),
        ("WHO reports: who?", [1, 2, 1, 0]),
        ("the who says that an ngo reports", [1, 1, 0, 1]),  # no capitals, so that case says nothing
    ],
)
def test_acronyms_by_hand(text, expected):
    assert count_phrases([text], ["WHO", "who", "who report", "NGO"]).toarray().tolist() == [expected]


def test_case_says_nothing_where_all_phrases_are_in_capitals():
    assert count_phrases(["The cocoa of Bahia"], ["COCOA", "BAHIA"]).toarray().tolist() == [[1, 1]]
    assert count_phrases(["The cocoa of Bahia"], ["COCOA", "Bahia"]).toarray().tolist() == [[0, 1]]


def test_acronyms_that_are_one_when_folded():
    phrases = ["AIDS", "AID", "aid", "AIDS", "ÉTAT"]
    texts = ["AIDS, AID, AIDs, aid, AIDS", "an aid", "ETAT État ÉTATs"]
    found = PhraseMatcher(phrases).find(texts)
    assert found.counts.toarray().tolist() == [[2, 2, 5, 2, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 2]]
    assert found.first.toarray().tolist() == [[1, 2, 1, 1, 0], [2, 2, 2, 2, 0], [0, 0, 0, 0, 1]]


def test_phrases_without_words_only():
    found = PhraseMatcher(["", " - "]).find(["any text", ""])
    assert found.counts.shape == found.first.shape == (2, 2)
    assert found.counts.nnz == 0
    assert found.n_words.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("agreements", "agreement"),
        ("policies", "policy"),
        ("movies", "movie"),
        ("ties", "tie"),
        ("taxes", "tax"),
        ("boxes", "box"),
        ("axes", "axe"),
        ("houses", "house"),
        ("processes", "process"),
        ("branches", "branch"),
        ("dishes", "dish"),
        ("prizes", "prize"),
        ("potatoes", "potato"),
        ("shoes", "shoe"),
        ("employees", "employee"),
        ("viruses", "virus"),
        ("gases", "gas"),
        ("crises", "crisis"),
        ("cars", "car"),
        ("days", "day"),
        ("vehicles", "vehicle"),
    ],
)
def test_plurals_become_singulars(plural, singular):
    assert folded_words(plural) == folded_words(singular)


@pytest.mark.parametrize("word", ["gas", "is", "status", "glass", "tennis", "women", "s", "die"])
def test_words_that_are_no_plurals_stay(word):
    assert folded_words(word) == [word]


@pytest.mark.parametrize(
    ("one", "other"),
    [("CAFÉ", "cafe\u0301"), ("Straße", "STRASSE"), ("ﬁsh", "fish"), ("İzmir", "izmir"), ("x\u0302", "x")],
)
def test_ways_to_write_a_word_are_one(one, other):
    assert folded_words(one) == folded_words(other)
    assert len(folded_words(one)) == 1


def test_marks_of_other_scripts_make_other_words():
    assert folded_words("が") != folded_words("か")


@pytest.mark.parametrize(
    ("one", "other"), [("aid", "aide"), ("new", "knew"), ("a b", "ab"), ("b a", "a b"), ("1", "10")]
)
def test_other_words_do_not_match(one, other):
    assert count_phrases([other], [one]).nnz == 0


def test_lone_surrogates_are_no_words():
    assert count_phrases(["aid \ud800 aid"], ["aid \udfff", "aid"]).toarray().tolist() == [[2, 2]]


def test_many_words():
    """More than the characters below the surrogates."""
    numbers = [f"{number:05d}" for number in range(70_000)]
    found = PhraseMatcher(numbers).find([" ".join(numbers)])
    assert (found.counts.toarray() == 1).all()
    assert (found.first.toarray() == np.arange(1, 70_001)).all()


def test_forgotten_words_are_looked_up_again(monkeypatch):
    lengths = []

    class Watched(module._Characters):
        def clear(self):
            lengths.append(len(self))
            super().clear()

    texts, phrases = ["one aid two", "three aid four aid", "five six aid"], ["aid", "four aid"]
    expected = count_phrases(texts, phrases).toarray()
    monkeypatch.setattr(module, "WORDS_IN_MEMORY", 2)
    monkeypatch.setattr(module, "_Characters", Watched)
    assert count_phrases(texts, phrases).toarray().tolist() == expected.tolist() == [[1, 0], [2, 1], [1, 0]]
    assert lengths == [3, 3]  # before the second and the third text


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda matcher: pickle.loads(pickle.dumps(matcher))])
def test_a_copy_finds_the_same(copied):
    matcher = PhraseMatcher(["aid", "", "state aid"])
    again = copied(matcher)
    assert again.phrases == ("aid", "", "state aid")
    assert again.count(["state aid"]).toarray().tolist() == [[1, 0, 1]]


def test_any_sequence_of_texts_will_do():
    phrases = np.array(["aid", "state"], dtype=object)
    assert count_phrases(("state aid", "aid"), phrases).toarray().tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("texts", "phrases", "message"),
    [
        ("one text", ["a"], r"texts must be plain texts, a sequence of str; got a str\. Put a single text"),
        ([], ["a"], "texts holds no text; give at least one"),
        (["a", None], ["a"], "texts must be plain texts, a sequence of str; row 1 is a NoneType"),
        (["a"], "a", r"phrases must be plain texts, a sequence of str; got a str"),
        (["a"], [], "phrases holds no text; give at least one"),
        (
            ["a"],
            ["a", float("nan")],
            r"phrases must be .*; row 1 is a float\. Give an empty text where there",
        ),
    ],
)
def test_errors(texts, phrases, message):
    with pytest.raises(ValueError, match=message):
        count_phrases(texts, phrases)


def test_too_many_words(monkeypatch):
    monkeypatch.setattr(module, "CHARACTERS", 2)
    with pytest.raises(ValueError, match="more than 2 different words; match them in several parts"):
        PhraseMatcher(["one two", "two three"])
