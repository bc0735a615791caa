"""Where known phrases, such as names of labels, occur in texts."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import ahocorasick_rs
import numpy as np
import scipy.sparse as sp

from adathresh.utils.texts import check_text, check_texts

WORDS_IN_MEMORY = 2**18  # so that numbers and misprints of a large corpus do not pile up
CHARACTERS = 0x110000 - 0x800 - 1  # of Unicode, without surrogates and without the one for all other words

_ACCENTS = re.compile("[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+")
_ADVICE_TEXTS = "Put a single text into a list."
_ADVICE_PHRASES = "Give an empty text where there is no phrase: it never matches."


class PhraseMatches(NamedTuple):
    """What a matcher finds; both matrices store the same pairs of text and phrase.

    Attributes
    ----------
    counts : scipy.sparse.csr_array of shape (n_texts, n_phrases)
        How often a phrase occurs in a text, int32.
    first : scipy.sparse.csr_array of shape (n_texts, n_phrases)
        The number of the word at which the phrase occurs first, int32; the first word of a text is 1.
    n_words : numpy.ndarray of shape (n_texts,)
        Number of words of each text, int64.

    Examples
    --------
    >>> PhraseMatcher(["state aid"]).find(["aid by the state: state aid"]).first.toarray()
    array([[5]], dtype=int32)
    """

    counts: sp.csr_array
    first: sp.csr_array
    n_words: np.ndarray


class PhraseMatcher:
    """Finds phrases in texts, all of them in one pass over a text (Aho & Corasick, 1975).

    Words are runs of letters and digits, and are compared as :func:`folded_words` gives them: without regard
    to case, accents and simple English plurals. Whatever stands between two words counts as one space.
    Overlapping matches are all counted: "national state aid" holds "national state aid", "state aid" and
    "aid". Only a phrase of one word in capitals, such as WHO, matches nothing but that word in capitals, with
    or without a plural s; unless the text has no capitals, or all phrases have nothing else, so that case
    says nothing.

    Parameters
    ----------
    phrases : sequence of str
        The phrases. One without words never matches; equal ones have the same counts.

    Attributes
    ----------
    phrases : tuple of str
        The phrases as given.

    Raises
    ------
    ValueError
        If the phrases are no sequence of str, are none, or hold more different words than there are
        characters in Unicode (1.1 million); or, in the methods, if the texts are no sequence of str or none.

    Examples
    --------
    >>> matcher = PhraseMatcher(["state aid", "aid", "policy"])
    >>> matcher.count(["State-aid policies", "no match"]).toarray()
    array([[1, 1, 1],
           [0, 0, 0]], dtype=int32)
    """

    def __init__(self, phrases: Sequence[str]):
        self.phrases = tuple(check_texts(phrases, name="phrases", advice=_ADVICE_PHRASES))
        # A word becomes one character. So matches begin and end with words, and positions count words.
        self._characters: dict[str, str] = {}
        patterns: dict[str, int] = {}  # different ones, by number
        case_matters = any(phrase != phrase.upper() for phrase in self.phrases)
        found: list[tuple[int, str]] = []  # the pattern of each phrase with words, and its acronym
        columns: list[int] = []
        for column, phrase in enumerate(self.phrases):
            words = _WORD.findall(_plain(phrase))
            if words:
                pattern = "".join(self._character(_folded(word)) for word in words)
                acronym = words[0] if case_matters and len(words) == 1 and _is_acronym(words[0]) else ""
                found.append((patterns.setdefault(pattern, len(patterns)), acronym))
                columns.append(column)
        # Acronyms are numbered after the patterns; which of its acronyms a pattern is, the text will say.
        self._acronyms: dict[int, dict[str, int]] = {}
        n_rows, rows = len(patterns), []
        for number, acronym in found:
            if acronym:
                numbers = self._acronyms.setdefault(number, {})
                if acronym not in numbers:
                    numbers[acronym], n_rows = n_rows, n_rows + 1
                number = numbers[acronym]
            rows.append(number)
        ones = np.ones(len(columns), dtype=np.int32)
        self._spread = sp.csr_array((ones, (rows, columns)), shape=(n_rows, len(self.phrases)))
        self._automaton = ahocorasick_rs.AhoCorasick(list(patterns))

    def count(self, texts: Sequence[str]) -> sp.csr_array:
        """Count the phrases in texts.

        Parameters
        ----------
        texts : sequence of str
            The texts.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_texts, n_phrases)
            How often a phrase occurs in a text, int32; zeros are not stored.
        """
        return self.find(texts).counts

    def find(self, texts: Sequence[str]) -> PhraseMatches:
        """Count the phrases in texts, and say where each occurs first.

        Parameters
        ----------
        texts : sequence of str
            The texts.

        Returns
        -------
        PhraseMatches
            Counts, first positions, and the lengths of the texts in words.
        """
        texts = check_texts(texts, name="texts", advice=_ADVICE_TEXTS)
        known = _Characters(self._characters)
        patterns, counts, firsts = [], [], []
        n_words, n_found = np.zeros((2, len(texts)), dtype=np.int64)
        for row, text in enumerate(texts):
            if len(known) > WORDS_IN_MEMORY:
                known.clear()
            words = _WORD.findall(_plain(text))
            encoded = "".join(map(known.__getitem__, words))
            n_words[row] = len(words)
            # matches come by where they end, so that those of one pattern come by where they begin
            matches = self._automaton.find_matches_as_indexes(encoded, overlapping=True)
            if self._acronyms:
                matches += self._matching_acronyms(matches, None if text.islower() else words)
            if matches:
                found = np.array(matches, dtype=np.int32)
                pattern, first, count = np.unique(found[:, 0], return_index=True, return_counts=True)
                patterns.append(pattern)
                counts.append(count.astype(np.int32))
                firsts.append(found[first, 1] + np.int32(1))
                n_found[row] = len(pattern)
        indptr = np.concatenate([[0], np.cumsum(n_found)])
        indices = np.concatenate([np.zeros(0, dtype=np.int32), *patterns])
        shape = (len(texts), self._spread.shape[0])
        counted, first = (
            self._of_phrases(sp.csr_array((np.concatenate([indices[:0], *values]), indices, indptr), shape))
            for values in (counts, firsts)
        )
        return PhraseMatches(counted, first, n_words)

    def _matching_acronyms(self, matches, words):
        """Return those matches that are acronyms, in capitals unless words is None, by their own numbers."""
        found = []
        for pattern, start, end in matches:
            numbers = self._acronyms.get(pattern)
            if numbers is None:
                continue
            if words is None:
                found += [(number, start, end) for number in numbers.values()]
            else:
                word = words[start]
                number = numbers.get(word, numbers.get(word.removesuffix("s")))
                if number is not None:
                    found.append((number, start, end))
        return found

    def _of_phrases(self, found):
        """Give each phrase the values of its pattern or acronym, of which every phrase has at most one."""
        spread = sp.csr_array(found @ self._spread)
        spread.sort_indices()
        return spread

    def _character(self, word):
        """Return the character of a word, a new one where it has none."""
        if word not in self._characters:
            if len(self._characters) == CHARACTERS:
                raise ValueError(
                    f"phrases hold more than {CHARACTERS} different words; match them in several parts."
                )
            code = len(self._characters) + 1  # 0 stands for words of no phrase
            self._characters[word] = chr(code if code < 0xD800 else code + 0x800)
        return self._characters[word]

    def __getstate__(self):
        return {"phrases": self.phrases}  # the automaton cannot be copied; it is built again

    def __setstate__(self, state):
        self.__init__(state["phrases"])


def count_phrases(texts: Sequence[str], phrases: Sequence[str]) -> sp.csr_array:
    """Count how often each phrase occurs in each text, word by word.

    See :class:`PhraseMatcher` for what counts as a match; it also keeps the phrases ready for more texts.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    phrases : sequence of str
        The phrases. One without words never matches.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_texts, n_phrases)
        Counts, int32; zeros are not stored.

    Raises
    ------
    ValueError
        If one of them is no sequence of str, or is empty.

    Examples
    --------
    >>> count_phrases(["Agreements on state aid; the agreement"], ["agreement", "aid state"]).toarray()
    array([[2, 0]], dtype=int32)
    """
    return PhraseMatcher(phrases).count(texts)


def folded_words(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared.

    Words are runs of letters and digits, in lower case and without accents. Of words of four letters or more
    the English plural is taken off ("agreements", "policies", "boxes"); its exceptions ("women") stay as
    they are. What is left is no dictionary form: "houses" and "house" both become "hous".

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    list of str
        Its words.

    Raises
    ------
    ValueError
        If it is no text.

    Examples
    --------
    >>> folded_words("State-aid POLICIES, café_boxes")
    ['state', 'aid', 'policy', 'cafe', 'box']
    """
    check_text(text)
    return [_folded(word) for word in _WORD.findall(_plain(text))]


class _Characters(dict):
    """The character of each word of a text, looked up once while the word stays in memory."""

    def __init__(self, characters):
        self._of_folded = characters

    def __missing__(self, word):
        character = self[word] = self._of_folded.get(_folded(word), "\0")
        return character


def _plain(text):
    """Return a text without accents; characters that only look different become one."""
    if text.isascii():
        return text
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", text)  # the marks of other scripts belong to their letters


def _is_acronym(word):
    """Say whether a word is written in capitals, and not only because it is a letter."""
    return len(word) > 1 and word.isupper()


def _folded(word):
    """Return a word without accents in the form in which it is compared."""
    return _singular(word.casefold())


def _singular(word):
    """Take a plural ending off, and what the singular must lose so that both become the same."""
    if len(word) < 4:
        return word
    if word.endswith("sis"):
        return word[:-2]  # crisis, for the sake of crises
    if word[-1] == "s" and word[-2] not in "sui":  # not: glass, status, tennis
        word = word[:-1]
    if len(word) < 4:
        return word
    if word.endswith("ie"):
        return word[:-2] + "y"  # policies; and movie, for the sake of movies
    if word.endswith(("se", "xe", "ze", "oe", "che", "she")):
        return word[:-1]  # taxes, branches, potatoes; and house, for the sake of houses
    return word
