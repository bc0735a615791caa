"""What is in both splits: equal and similar rows, equal and similar texts, groups."""

import itertools
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.feature_extraction.text import HashingVectorizer

from adathresh.leakage._inputs import is_text
from adathresh.leakage.minhash import scrambled, similar_rows
from adathresh.leakage.report import CLEAN, FOUND, MAX_EVIDENCE, NOT_CHECKED, Finding
from adathresh.utils.equality import digest, folded, only_words, row_contents
from adathresh.utils.types import MatrixLike

# Values of a dense feature are alike if they differ by less than this part of its standard deviation.
_DENSE_STEP = 1e-3


def audit_features(
    X: tuple[MatrixLike, MatrixLike],
    labels: tuple[sp.csr_array, sp.csr_array],
    similarity: float,
    seed: int,
) -> list[Finding]:
    """Look for test rows whose features equal, or nearly equal, those of a training row.

    Parameters
    ----------
    X : tuple
        Features of the training and of the test rows.
    labels : tuple of scipy.sparse.csr_array
        Labels of the training and of the test rows, checked.
    similarity : float
        From which share of common features rows count as similar.
    seed : int
        Of the hashes.

    Returns
    -------
    list of Finding
        ``equal features`` and ``similar features``.

    Raises
    ------
    ValueError
        If the two differ in their number of features.

    Examples
    --------
    >>> labels = sp.csr_array((2, 1)), sp.csr_array((1, 1))
    >>> X_train, X_test = np.array([[1, 2], [3, 4]]), np.array([[3, 4]])
    >>> audit_features((X_train, X_test), labels, similarity=0.9, seed=0)[0].message
    '1 of 1 test rows equal a training row'
    """
    X = _comparable(X)
    if X is None:
        message = "X is not a matrix of numbers"
        return [Finding(name, NOT_CHECKED, message) for name in ("equal features", "similar features")]
    keys = [_digests(row_contents(part)) for part in X]
    found = _sharing(_join(*keys), labels)
    equal = _split_finding("equal features", "equal a training row", found, labels[1])
    tokens = [sp.csr_array(part) for part in X] if sp.issparse(X[0]) else _dense_tokens(*X)
    tokens = _without_common(*tokens)
    found = _sharing(similar_rows(tokens[0], tokens[1], similarity, seed), labels)
    what = f"share at least {similarity:.0%} of their features with a training row"
    return [equal, _split_finding("similar features", what, found, labels[1])]


def audit_texts(
    texts: tuple[Sequence[str], Sequence[str]] | None,
    labels: tuple[sp.csr_array, sp.csr_array],
    similarity: float,
    seed: int,
) -> list[Finding]:
    """Look for test texts that equal, or nearly equal, a training text.

    Parameters
    ----------
    texts : tuple or None
        Texts of the training and of the test rows, if there are any.
    labels : tuple of scipy.sparse.csr_array
        Labels of the training and of the test rows, checked.
    similarity : float
        From which share of common words and word pairs rows count as similar.
    seed : int
        Of the hashes.

    Returns
    -------
    list of Finding
        ``equal text``, ``equal words`` and ``similar text``.

    Examples
    --------
    >>> texts, labels = (["Red cat", "dog"], ["red  cat"]), (sp.csr_array((2, 1)), sp.csr_array((1, 1)))
    >>> audit_texts(texts, labels, similarity=0.9, seed=0)[0].message
    '1 of 1 test rows equal a training text'
    """
    names = ("equal text", "equal words", "similar text")
    if texts is None:
        return [Finding(name, NOT_CHECKED, "give texts_train and texts_test") for name in names]
    rules = {
        "equal text": (folded, "equal a training text"),
        "equal words": (only_words, "equal a training text without digits and punctuation"),
    }
    findings = []
    for name, (rule, what) in rules.items():
        keys = [_digests(rule(text).encode() for text in part) for part in texts]
        found = _sharing(_join(*keys), labels, texts[1])
        findings.append(_split_finding(name, what, found, labels[1]))
    vectorizer = HashingVectorizer(
        analyzer=_words_and_pairs, n_features=2**24, binary=True, norm=None, alternate_sign=False
    )
    tokens = [sp.csr_array(vectorizer.transform(part)) for part in texts]
    found = _sharing(similar_rows(tokens[0], tokens[1], similarity, seed), labels, texts[1])
    what = f"share at least {similarity:.0%} of their words and word pairs with a training text"
    return [*findings, _split_finding(names[2], what, found, labels[1])]


def audit_groups(groups: tuple[ArrayLike, ArrayLike] | None) -> Finding:
    """Look for groups with rows on both sides.

    Parameters
    ----------
    groups : tuple or None
        Groups of the training and of the test rows, if there are any.

    Returns
    -------
    Finding
        ``groups``.

    Examples
    --------
    >>> audit_groups((["a", "b"], ["b", "c"])).message
    '1 groups have rows on both sides: 1 of 2 test rows'
    """
    if groups is None:
        return Finding("groups", NOT_CHECKED, "give groups_train and groups_test")
    groups = [np.asarray(part) for part in groups]
    shared = np.intersect1d(groups[0], groups[1])
    if not len(shared):
        return Finding("groups", CLEAN, "no group has rows on both sides of the split")
    rows = np.flatnonzero(np.isin(groups[1], shared))
    evidence = [
        {
            "group": group.item() if isinstance(group, np.generic) else group,
            "n_train_rows": int((groups[0] == group).sum()),
            "n_test_rows": int((groups[1] == group).sum()),
        }
        for group in shared[:MAX_EVIDENCE]
    ]
    message = f"{len(shared)} groups have rows on both sides: {len(rows)} of {len(groups[1])} test rows"
    return Finding("groups", FOUND, message, "test", rows, tuple(evidence))


def _split_finding(check, what, found, Y_test):
    """Make a finding of the test rows that have a counterpart among the training rows."""
    rows, evidence = found
    message = f"{len(rows)} of {Y_test.shape[0]} test rows {what}"
    if not len(rows):
        return Finding(check, CLEAN, message)
    return Finding(check, FOUND, message, "test", rows, evidence)


def _sharing(matches, labels, texts=None):
    """Return the matched test rows, and describe the first of them."""
    evidence = []
    for test, train, share in zip(*(part[:MAX_EVIDENCE].tolist() for part in matches), strict=True):
        same = (labels[0][[train]] != labels[1][[test]]).nnz == 0
        entry = {"test_row": test, "train_row": train, "similarity": round(share, 4), "same_labels": same}
        evidence.append(entry | ({} if texts is None else {"text": " ".join(texts[test].split())[:80]}))
    return matches[0], tuple(evidence)


def _comparable(X):
    """Return both matrices as canonical CSR, as arrays if most entries are stored, None without numbers."""
    if any(not sp.issparse(part) and is_text(part) for part in X):
        return None
    X = [part if sp.issparse(part) else np.asarray(part) for part in X]
    if any(part.ndim != 2 or part.dtype.kind not in "biuf" for part in X):
        return None
    if X[0].shape[1] != X[1].shape[1]:
        raise ValueError(f"X_train has {X[0].shape[1]} features but X_test has {X[1].shape[1]}.")
    if not all(sp.issparse(part) for part in X):
        return [part.toarray() if sp.issparse(part) else part for part in X]
    X = [sp.csr_array(part, copy=True) for part in X]
    for part in X:
        part.sum_duplicates()
        part.eliminate_zeros()
    full = X[0].nnz > 0.5 * X[0].shape[0] * X[0].shape[1]
    return [part.toarray() for part in X] if full else X


def _digests(contents):
    """Return 64-bit digests of all contents that are not empty, and their row numbers."""
    digests = {row: digest(content) for row, content in enumerate(contents) if content}
    return np.array(list(digests.values()), dtype=np.uint64), np.array(list(digests), dtype=int)


def _join(train, test):
    """Return the test rows whose digest a training row has, and the first such training row."""
    (train_keys, train_rows), (test_keys, test_rows) = train, test
    known, first = np.unique(train_keys, return_index=True)
    if not len(known):
        return test_rows[:0], train_rows[:0], np.zeros(0)
    at = np.minimum(np.searchsorted(known, test_keys), len(known) - 1)
    hit = known[at] == test_keys
    return test_rows[hit], train_rows[first[at[hit]]], np.ones(hit.sum())


def _words_and_pairs(text):
    """Return the words of a text and every two that follow each other."""
    words = only_words(text).split()
    return words + [f"{first} {second}" for first, second in itertools.pairwise(words)]


def _dense_tokens(train, test):
    """Return the features of dense rows as sparse 0/1 rows: one column for each value, up to rounding."""
    steps = train.std(axis=0) * _DENSE_STEP
    varies = np.flatnonzero(steps > 0)
    found = []
    for X in (train, test):
        values = np.rint(np.nan_to_num(X[:, varies] / steps[varies])).astype(np.int64).view(np.uint64)
        columns = scrambled(values ^ scrambled(varies.astype(np.uint64))) % np.uint64(2**31 - 1)
        indptr = np.arange(len(X) + 1) * len(varies)
        entries = np.ones(columns.size, dtype=np.float32), columns.ravel().astype(np.int64), indptr
        rows = sp.csr_array(entries, shape=(len(X), 2**31 - 1))
        rows.sum_duplicates()
        found.append(rows)
    return found


def _without_common(train, test):
    """Leave features out that more than half of the training rows have: they tell no rows apart."""
    columns, counts = np.unique(train.indices, return_counts=True)
    common = columns[counts > train.shape[0] / 2]
    kept = []
    for rows in (train, test):
        rows = rows.copy()
        rows.data[np.isin(rows.indices, common)] = 0
        rows.eliminate_zeros()
        kept.append(rows)
    return kept
