"""An audit for leakage: what predictions and splits know that they must not, with the rows that show it."""

import dataclasses
import hashlib
import html
import inspect
import itertools
import re
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from adathresh._validation import candidate_pairs, check_labels, check_scores, row_major_positions
from adathresh.crossfit import base_scores
from adathresh.knn import NeighborLabels, group_codes

FOUND, CLEAN, NOT_CHECKED = "found", "clean", "not checked"

# Rows of each finding that are described; ``rows`` numbers all of them.
_MAX_EVIDENCE = 10
# Predicted values that are no further apart are taken for equal.
_ROUNDING = 1e-5
# MinHash: rows that share a fraction s of their features meet in a band with probability 1 − (1 − s⁶)¹²,
# which is 0.9999 for s = 0.9, 0.97 for s = 0.8 and 0.17 for s = 0.5.
_N_BANDS, _BAND_ROWS = 12, 6
# A test row is compared with so many training rows of each band, and with more of them only while none is
# similar: keeps the work linear where many rows are alike.
_PER_BAND = (4, 32, 512)
# Rows with fewer features are too easily alike.
_LEAST_FEATURES = 5
# Values of a dense feature are alike if they differ by less than this part of its standard deviation.
_DENSE_STEP = 1e-3
# Stored entries that are compared at once.
_BLOCK_ENTRIES = 2**22
# Held-out scores of a model never look like this; see in_sample_signs.
_IMPLAUSIBLE_SINGLETONS, _IMPLAUSIBLE_TOP = 0.95, 0.995
_LEAST_SINGLETONS, _LEAST_ROWS = 20, 100
# Labels of so few rows are seldom among the neighbours' of all those rows.
_RARE = 10


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check of an audit came to."""

    check: str
    """Name of the check."""
    status: str
    """"found", "clean" or "not checked"."""
    message: str
    """What was found, or why nothing was looked for."""
    split: str | None = None
    """"train" or "test": where the affected rows are."""
    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=int))
    """Numbers of all affected rows, rising."""
    evidence: tuple = ()
    """Dicts that describe some of the rows, in JSON types."""

    def to_dict(self):
        """Return the finding in JSON types.

        Returns
        -------
        dict
            Every field by its name, and ``n_rows``.
        """
        return {
            "check": self.check,
            "status": self.status,
            "message": self.message,
            "split": self.split,
            "n_rows": len(self.rows),
            "rows": self.rows.tolist(),
            "evidence": [dict(entry) for entry in self.evidence],
        }


@dataclasses.dataclass(frozen=True)
class LeakageReport:
    """The findings of an audit; ``str(report)`` is a page to read, and notebooks show a table."""

    findings: tuple
    """One :class:`Finding` for every check."""

    @property
    def found(self):
        """Return the findings with leakage.

        Returns
        -------
        tuple of Finding
            Empty if nothing was found.
        """
        return tuple(finding for finding in self.findings if finding.status == FOUND)

    def __getitem__(self, check):
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(f"{check!r} is none of {', '.join(finding.check for finding in self.findings)}")

    def __str__(self):
        lines = [f"Leakage audit: {self._headline()}"]
        for finding in self.findings:
            lines.append(f"  {finding.status:<11}  {finding.check:<19}  {finding.message}")
            lines += [f"{'':36}{_describe(entry)}" for entry in finding.evidence[:2]]
        return "\n".join(lines)

    def _repr_html_(self):
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"
            for row in self.table()
        )
        names = "".join(f"<th>{name}</th>" for name in ("check", "status", "rows", "message"))
        return f"<p>Leakage audit: {self._headline()}</p><table><tr>{names}</tr>{cells}</table>"

    def table(self):
        """Return the findings as the rows of a table.

        Returns
        -------
        list of dict
            ``check``, ``status``, ``rows`` (how many are affected) and ``message`` of every finding.
        """
        return [
            {"check": f.check, "status": f.status, "rows": len(f.rows), "message": f.message}
            for f in self.findings
        ]

    def to_dict(self):
        """Return the report in JSON types.

        Returns
        -------
        dict
            ``n_found``, the number of checks that found something, and ``findings``.
        """
        return {"n_found": len(self.found), "findings": [finding.to_dict() for finding in self.findings]}

    def _headline(self):
        """Return the result in one line."""
        n_checked = sum(finding.status != NOT_CHECKED for finding in self.findings)
        names = ", ".join(finding.check for finding in self.found)
        return f"{len(self.found)} of {n_checked} checks found something" + (f": {names}" if names else "")


def audit(
    estimator,
    X_train,
    Y_train,
    X_test,
    Y_test,
    *,
    texts_train=None,
    texts_test=None,
    groups_train=None,
    groups_test=None,
    local=None,
    scores=None,
    similarity=0.9,
    n_rows=200,
    random_state=None,
):
    """Look for leakage in a split and in what predicts on it.

    Checks, by name:

    - ``repeated prediction``: the same call gives other predictions (then the next two cannot be judged);
    - ``test labels``: predictions change when the test labels are permuted among the rows;
    - ``batch``: predictions of a row change with the rows that are predicted beside it;
    - ``equal features``, ``equal text``: test rows that equal a training row (texts up to case and white
      space);
    - ``equal words``: test texts that equal a training text in their runs of two or more letters, so without
      digits, punctuation and single letters (letters a to z, or of any script where those are the fewer);
    - ``similar features``, ``similar text``: test rows that share at least ``similarity`` of their features,
      or of their words and word pairs, with a training row (Jaccard index: common / all);
    - ``groups``: groups with rows on both sides of the split;
    - ``own neighbours``: training rows, or rows of their group, among their own neighbours;
    - ``in-sample scores``: scores of training rows, said to be out-of-fold, that know those rows' labels.

    Similar rows are looked for with MinHash (Broder 1997), in time that grows with the stored features, and
    every find is verified: what is reported is so, but up to about 3 in 1,000 may be missed. Rows
    with fewer than 5 features are left out as too easily alike, and so are features that more than half of
    the training rows have. In a dense X a feature counts as shared where its values differ by less than about
    a thousandth of its standard deviation; in a sparse one where both rows have it.

    Parameters
    ----------
    estimator : estimator, callable or None
        What predicts: an object with ``predict``, a function ``predict(X)``, or one that is given the test
        labels, ``predict(X, Y)``. An estimator that is not fitted is cloned and fitted on the training rows.
        None audits the split only.
    X_train, X_test : array-like, sparse matrix, or list of str
        Features, as the estimator takes them.
    Y_train, Y_test : array-like or sparse of shape (n_samples, n_labels)
        Labels, 0 or 1.
    texts_train, texts_test : sequence of str, optional
        Texts of the rows; X itself where that is a list of texts.
    groups_train, groups_test : array-like of shape (n_samples,), optional
        Groups of the rows that a split must not part.
    local : NeighborLabels or matrix of shape (n_training_samples, n_labels), optional
        The neighbour signal: fitted on the training rows, or the label shares of the training rows that are
        said to leave each row (and its group, if given) out.
    scores : array-like or sparse of shape (n_training_samples, n_labels), optional
        Scores of the training rows that are said to be out-of-fold.
    similarity : float, default=0.9
        From which share of common features rows count as similar, from 0.8 to 1.
    n_rows : int, default=200
        How many test rows, drawn at random, are predicted.
    random_state : int, RandomState instance or None, default=None
        Of the draws.

    Returns
    -------
    LeakageReport
        One finding for every check.

    Raises
    ------
    TypeError
        If the estimator has no ``predict`` and is no function.
    ValueError
        If labels are not 0/1, lengths or shapes differ, or a parameter is out of range.

    Examples
    --------
    >>> report = audit(None, [[1, 2], [3, 4]], [[1], [0]], [[3, 4]], [[0]])
    >>> report["equal features"].message
    '1 of 1 test rows equal a training row'
    """
    if not 0.8 <= similarity <= 1:
        raise ValueError(f"similarity must be from 0.8 to 1; got {similarity!r}.")
    if n_rows < 2:
        raise ValueError(f"n_rows must be at least 2; got {n_rows!r}.")
    labels = check_labels(Y_train, name="Y_train")
    labels = labels, check_labels(Y_test, name="Y_test", n_labels=labels.shape[1])
    X = _check_length(X_train, labels[0], "X_train"), _check_length(X_test, labels[1], "X_test")
    texts = X if _is_text(X[0]) and texts_train is None else (texts_train, texts_test)
    texts = _check_both(texts, labels, "texts")
    groups = _check_both((groups_train, groups_test), labels, "groups")
    rng = check_random_state(random_state)
    seed = rng.randint(2**31 - 1)
    estimator = _fitted(estimator, X[0], Y_train, groups)
    findings = [
        *_audit_predictions(estimator, X[1], Y_test, labels[1].shape[0], n_rows, rng),
        *_audit_features(X, labels, similarity, seed),
        *_audit_texts(texts, labels, similarity, seed),
        _audit_groups(groups),
        _audit_neighbours(local, labels[0], groups_train),
        _audit_scores(scores, labels[0], estimator, X[0], rng),
    ]
    return LeakageReport(tuple(findings))


class InSampleSigns(NamedTuple):
    """What scores tell about rows that their model should not have seen."""

    what: str | None
    """What is implausible for held-out rows; None if nothing is."""
    pairs: np.ndarray
    """Positions of the scored pairs that show it."""
    judged: bool
    """Whether there were rows or labels enough to tell."""


def in_sample_signs(rows, labels, scores, truth, Y):
    """Look for what only the scores of training rows can know.

    A label with one positive was never seen by a model that has not seen its row, and cannot lead it; and no
    model's highest score is true in all rows that it has not seen. The signs: of at least 20 labels with one
    positive, that positive leads more than 95 %; of at least 100 rows, the highest score is true in more than
    99.5 %.

    Parameters
    ----------
    rows, labels : numpy.ndarray of shape (n_pairs,)
        The scored pairs.
    scores : numpy.ndarray of shape (n_pairs,)
        Their scores.
    truth : numpy.ndarray of bool, shape (n_pairs,)
        Whether the label is true.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        All labels of the rows, checked.

    Returns
    -------
    InSampleSigns
        The sign that was found, if any.
    """
    n_samples, n_labels = Y.shape
    single = np.bincount(Y.indices, minlength=n_labels) == 1
    best = np.full(n_labels, -np.inf)
    np.maximum.at(best, labels[~truth], scores[~truth])
    alone = np.flatnonzero(truth & single[labels])
    leading = alone[scores[alone] > best[labels[alone]]]
    top = np.full(n_samples, -np.inf)
    np.maximum.at(top, rows, scores)
    hits = np.flatnonzero(truth & (scores == top[rows]))
    n_hit = len(np.unique(rows[hits]))
    enough_labels = len(alone) >= _LEAST_SINGLETONS
    enough_rows = n_labels > 1 and n_samples >= _LEAST_ROWS
    if enough_labels and len(leading) > _IMPLAUSIBLE_SINGLETONS * len(alone):
        share = f"{len(leading) / len(alone):.0%}"
        what = f"the only positive row leads its label in {share} of the labels with one positive"
        return InSampleSigns(what, leading, True)
    if enough_rows and n_hit > _IMPLAUSIBLE_TOP * n_samples:
        return InSampleSigns(f"the highest score is true in {n_hit / n_samples:.1%} of the rows", hits, True)
    return InSampleSigns(None, hits[:0], enough_labels or enough_rows)


def only_words(text):
    """Reduce a text to what is compared as its words.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Its runs of two or more letters in lower case, with a space between them: letters a to z, or of any
        script where those are the fewer.

    Examples
    --------
    >>> only_words("Regulation (EC) No 12/2004 – Annex B")
    'regulation ec no annex'
    """
    text = text.lower()
    words = re.findall(r"[^\W\d_]{2,}", text)
    if text.isascii():
        return " ".join(words)
    # a stray foreign letter, often an error of encoding, does not make another word
    latin = re.findall("[a-z]{2,}", text)
    return " ".join(latin if 2 * sum(map(len, latin)) > sum(map(len, words)) else words)


def _describe(entry):
    """Return evidence on one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry.items())


# Predictions


def _fitted(estimator, X, Y, groups):
    """Return the estimator, or a fitted clone if it was never fitted."""
    if estimator is None or (callable(estimator) and not hasattr(estimator, "predict")):
        return estimator
    if not hasattr(estimator, "predict"):
        raise TypeError(
            f"{type(estimator).__name__} cannot be audited: give an object with predict, a function "
            "predict(X) or predict(X, Y), or None."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        keep_apart = groups is not None and has_fit_parameter(estimator, "groups")
        return clone(estimator).fit(X, Y, **({"groups": groups[0]} if keep_apart else {}))
    except TypeError:  # an object without fit has nothing to be fitted
        pass
    return estimator


def _audit_predictions(estimator, X, Y, n_samples, n_rows, rng):
    """Check whether predictions depend on the call, on the labels, and on the batch."""
    if estimator is None:
        message = "no estimator was given"
        return [
            Finding(name, NOT_CHECKED, message) for name in ("repeated prediction", "test labels", "batch")
        ]
    predict = getattr(estimator, "predict", estimator)
    takes_labels = _takes_labels(predict)
    rows = np.sort(rng.permutation(n_samples)[:n_rows])
    X, Y = _take(X, rows), _take(Y, rows)

    def predicted(batches, labels=Y):
        parts = []
        for batch in batches:
            arguments = (_take(X, batch), _take(labels, batch)) if takes_labels else (_take(X, batch),)
            parts.append(_as_sparse(predict(*arguments), len(batch)))
        order = np.argsort(np.concatenate(batches), kind="stable")
        return sp.vstack(parts, format="csr")[order]

    everything = np.arange(len(rows))
    reference = predicted([everything])
    repeated = _changes(reference, predicted([everything]), rows)
    findings = [_prediction_finding("repeated prediction", "when the call is repeated", repeated, rows)]
    if repeated:
        message = "predictions change from call to call anyway"
        return findings + [Finding(name, NOT_CHECKED, message) for name in ("test labels", "batch")]
    if takes_labels:
        order = rng.permutation(len(rows))
        exchanged = np.empty_like(order)
        exchanged[order] = np.roll(order, 1)  # every row gets another row's labels
        permuted = _changes(reference, predicted([everything], _take(Y, exchanged)), rows)
        what = "when the test labels are permuted"
        findings.append(_prediction_finding("test labels", what, permuted, rows))
    else:
        findings.append(Finding("test labels", CLEAN, "predict(X) is given no labels, so it cannot use them"))
    size = max(2, len(rows) // 3)
    batches = {
        "single rows": np.split(everything, len(rows)),
        f"batches of {size}": np.split(everything, range(size, len(rows), size)),
        "another order": [rng.permutation(len(rows))],
    }
    changed = []
    for name, parts in batches.items():
        changed += [{**entry, "batch": name} for entry in _changes(reference, predicted(parts), rows)]
    findings.append(_prediction_finding("batch", "with the rows predicted beside them", changed, rows))
    return findings


def _takes_labels(predict):
    """Return whether a prediction function is given labels as its second argument."""
    try:
        parameters = inspect.signature(predict).parameters.values()
    except ValueError:  # some built-in functions have no signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return False
    second = positional[1]
    return second.default is second.empty or second.name.lower() in ("y", "y_true", "y_test", "labels")


def _as_sparse(predicted, n_samples):
    """Return predictions as CSR."""
    if not sp.issparse(predicted):
        predicted = np.asarray(predicted)
        if predicted.ndim == 1:
            predicted = predicted[:, None]
    if predicted.ndim != 2 or predicted.shape[0] != n_samples or predicted.dtype.kind not in "biuf":
        raise ValueError(
            f"predict must return numbers of shape ({n_samples}, n_labels); got {predicted.dtype} of shape "
            f"{predicted.shape}."
        )
    return sp.csr_array(predicted.astype(np.float64))


def _changes(before, after, rows):
    """Describe the rows whose predictions differ."""
    change = sp.csr_array(after - before)
    change.data[np.abs(change.data) <= _ROUNDING] = 0
    change.eliminate_zeros()
    entries = []
    for row in np.flatnonzero(np.diff(change.indptr)):
        at = slice(change.indptr[row], change.indptr[row + 1])
        labels, values = change.indices[at], change.data[at]
        entries.append(
            {
                "test_row": int(rows[row]),
                "raised_labels": labels[values > 0].tolist(),
                "lowered_labels": labels[values < 0].tolist(),
            }
        )
    return entries


def _prediction_finding(check, what, changes, rows):
    """Sum changed predictions up."""
    changed = np.unique([entry["test_row"] for entry in changes]).astype(int)
    if not len(changed):
        return Finding(check, CLEAN, f"none of {len(rows)} predicted test rows changes {what}")
    message = f"{len(changed)} of {len(rows)} predicted test rows change {what}"
    return Finding(check, FOUND, message, "test", changed, tuple(changes[:_MAX_EVIDENCE]))


# Rows on both sides of the split


def _audit_features(X, labels, similarity, seed):
    """Look for test rows whose features equal, or nearly equal, those of a training row."""
    X = _comparable(X)
    if X is None:
        message = "X is not a matrix of numbers"
        return [Finding(name, NOT_CHECKED, message) for name in ("equal features", "similar features")]
    keys = [_digests(_contents(part)) for part in X]
    found = _sharing(_join(*keys), labels)
    equal = _split_finding("equal features", "equal a training row", found, labels[1])
    tokens = [sp.csr_array(part) for part in X] if sp.issparse(X[0]) else _dense_tokens(*X)
    tokens = _without_common(*tokens)
    found = _sharing(_similar(*tokens, similarity, seed), labels)
    what = f"share at least {similarity:.0%} of their features with a training row"
    return [equal, _split_finding("similar features", what, found, labels[1])]


def _audit_texts(texts, labels, similarity, seed):
    """Look for test texts that equal, or nearly equal, a training text."""
    names = ("equal text", "equal words", "similar text")
    if texts is None:
        return [Finding(name, NOT_CHECKED, "give texts_train and texts_test") for name in names]
    rules = {
        "equal text": (_folded, "equal a training text"),
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
    found = _sharing(_similar(*tokens, similarity, seed), labels, texts[1])
    what = f"share at least {similarity:.0%} of their words and word pairs with a training text"
    return [*findings, _split_finding(names[2], what, found, labels[1])]


def _split_finding(check, what, found, Y_test):
    """Sum test rows with a counterpart among the training rows up."""
    rows, evidence = found
    message = f"{len(rows)} of {Y_test.shape[0]} test rows {what}"
    if not len(rows):
        return Finding(check, CLEAN, message)
    return Finding(check, FOUND, message, "test", rows, evidence)


def _sharing(matches, labels, texts=None):
    """Return the matched test rows, and describe the first of them."""
    evidence = []
    for test, train, share in zip(*(part[:_MAX_EVIDENCE].tolist() for part in matches), strict=True):
        same = (labels[0][[train]] != labels[1][[test]]).nnz == 0
        entry = {"test_row": test, "train_row": train, "similarity": round(share, 4), "same_labels": same}
        evidence.append(entry | ({} if texts is None else {"text": " ".join(texts[test].split())[:80]}))
    return matches[0], tuple(evidence)


def _comparable(X):
    """Return both matrices as canonical CSR, as arrays if most entries are stored, None without numbers."""
    if any(not sp.issparse(part) and _is_text(part) for part in X):
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


def _contents(X):
    """Yield the content of each row as bytes, nothing for a row without features."""
    if not sp.issparse(X):
        for row in X:
            # adding 0 turns -0 into 0
            yield (row.astype(np.float32) + 0).tobytes() if row.any() else b""
        return
    indices, data = X.indices.astype(np.int64), X.data.astype(np.float32)
    for start, end in zip(X.indptr[:-1].tolist(), X.indptr[1:].tolist(), strict=True):
        yield indices[start:end].tobytes() + data[start:end].tobytes()


def _digests(contents):
    """Return 64-bit digests of all contents that are not empty, and their row numbers."""
    digests = {
        row: int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
        for row, content in enumerate(contents)
        if content
    }
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


def _folded(text):
    """Return a text without the differences of case and white space."""
    return " ".join(text.lower().split())


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
        columns = _mixed(values ^ _mixed(varies.astype(np.uint64))) % np.uint64(2**31 - 1)
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


def _similar(train, test, similarity, seed):
    """Return the test rows with a similar training row, that row, and the Jaccard index of their features."""
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(np.diff(part.indptr) >= _LEAST_FEATURES) for part in (train, test)]
    train, test = train[rows[0]], test[rows[1]]
    factors = rng.integers(2**64, size=(_N_BANDS, _BAND_ROWS), dtype=np.uint64) | np.uint64(1)
    keys = (_band_keys(part, factors) for part in (train, test))
    bands = [_band(*of_band, rng) for of_band in zip(*keys, strict=True)]
    best, share = np.full(test.shape[0], -1), np.zeros(test.shape[0])
    for offsets in itertools.pairwise((0, *_PER_BAND)):
        left = np.flatnonzero(best < 0)
        pairs = np.unique(np.concatenate([_candidates(*band, left, offsets) for band in bands]))
        at_test, at_train = np.divmod(pairs, max(train.shape[0], 1))
        jaccard = _jaccard(train, at_train, test, at_test)
        order = np.lexsort((at_train, -jaccard, at_test))
        order = order[jaccard[order] >= similarity]
        at_test, first = np.unique(at_test[order], return_index=True)
        best[at_test], share[at_test] = at_train[order][first], jaccard[order][first]
    found = np.flatnonzero(best >= 0)
    return rows[1][found], rows[0][best[found]], share[found]


def _band_keys(rows, factors):
    """Return a key for each band and row: equal for rows whose features have the same least hashes."""
    keys = np.zeros((len(factors), rows.shape[0]), dtype=np.uint64)
    block = max(1, int(_BLOCK_ENTRIES * rows.shape[0] / max(rows.nnz, 1)))
    for start in range(0, rows.shape[0], block):
        end = min(start + block, rows.shape[0])
        hashes = _mixed(rows.indices[rows.indptr[start] : rows.indptr[end]].astype(np.uint64))
        starts = rows.indptr[start:end] - rows.indptr[start]
        for band, factor in itertools.product(range(_N_BANDS), range(_BAND_ROWS)):
            least = np.minimum.reduceat(hashes * factors[band, factor], starts)
            keys[band, start:end] = _mixed(keys[band, start:end] ^ least)
    return keys


def _band(train_keys, test_keys, rng):
    """Return the training rows in the order of their keys, and where those of each test row start and end."""
    order = rng.permutation(len(train_keys))
    order = order[np.argsort(train_keys[order], kind="stable")]
    start, end = (np.searchsorted(train_keys[order], test_keys, side=side) for side in ("left", "right"))
    return order, start, end


def _candidates(order, start, end, test_rows, offsets):
    """Return test row · n_train + training row for some training rows with the key of each test row."""
    start, end = start[test_rows] + offsets[0], np.minimum(end[test_rows], start[test_rows] + offsets[1])
    counts = np.maximum(end - start, 0)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(test_rows * len(order), counts) + order[np.repeat(start, counts) + within]


def _jaccard(train, train_rows, test, test_rows):
    """Return |common features| / |all features| of pairs of rows."""
    common = np.zeros(len(test_rows))
    block = max(1, int(_BLOCK_ENTRIES * test.shape[0] / max(test.nnz, 1)))
    for start in range(0, len(test_rows), block):
        part = slice(start, start + block)
        a, b = train[train_rows[part]], test[test_rows[part]]
        common[part] = np.diff(sp.csr_array(a.multiply(b)).indptr)
    sizes = np.diff(train.indptr)[train_rows] + np.diff(test.indptr)[test_rows]
    return common / (sizes - common)


def _mixed(values):
    """Scramble 64-bit integers (the finaliser of SplitMix64: Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _audit_groups(groups):
    """Look for groups with rows on both sides."""
    if groups is None:
        return Finding("groups", NOT_CHECKED, "give groups_train and groups_test")
    groups = [np.asarray(part) for part in groups]
    shared = np.intersect1d(*groups)
    if not len(shared):
        return Finding("groups", CLEAN, "no group has rows on both sides of the split")
    rows = np.flatnonzero(np.isin(groups[1], shared))
    evidence = [
        {
            "group": group.item() if isinstance(group, np.generic) else group,
            "n_train_rows": int((groups[0] == group).sum()),
            "n_test_rows": int((groups[1] == group).sum()),
        }
        for group in shared[:_MAX_EVIDENCE]
    ]
    message = f"{len(shared)} groups have rows on both sides: {len(rows)} of {len(groups[1])} test rows"
    return Finding("groups", FOUND, message, "test", rows, tuple(evidence))


# Training rows that know themselves


def _audit_neighbours(local, Y, groups):
    """Look for training rows among their own neighbours."""
    if local is None:
        message = "give local: a fitted NeighborLabels, or the training rows' label shares"
        return Finding("own neighbours", NOT_CHECKED, message)
    codes = group_codes(groups, Y.shape[0])
    itself = "itself" if groups is None else "its own group"
    if isinstance(local, NeighborLabels):
        return _own_in_graph(local.kneighbors().tocoo(), codes, itself)
    shares = check_scores(local, name="local", n_samples=Y.shape[0], n_labels=Y.shape[1])
    return _own_in_shares(sp.coo_array(shares), Y, codes, itself)


def _own_in_graph(graph, codes, itself):
    """Look for neighbours that are the row itself, or of its group."""
    if graph.shape[0] != len(codes):
        raise ValueError(f"local was fitted on {graph.shape[0]} rows but Y_train has {len(codes)}.")
    own = codes[graph.row] == codes[graph.col]
    if own.any():
        return _own_finding(itself, own, train_row=graph.row, neighbour=graph.col)
    return Finding("own neighbours", CLEAN, f"no training row has {itself} as neighbour")


def _own_in_shares(shares, Y, codes, itself):
    """Look for label shares that can only come from the row itself, or its group."""
    n_samples, n_labels = Y.shape
    row, label, share = (part[shares.data > 0] for part in (shares.row, shares.col, shares.data))
    columns = {"train_row": row, "label": label, "share": share}
    # proof: no other row or group carries the label
    first, last = np.full(n_labels, n_samples), np.full(n_labels, -1)
    carriers = codes[np.repeat(np.arange(n_samples), np.diff(Y.indptr))]
    np.minimum.at(first, Y.indices, carriers)
    np.maximum.at(last, Y.indices, carriers)
    alone = first == last
    own = alone[label] & (codes[row] == first[label])
    if own.any():
        return _own_finding(itself, own, **columns)
    # a sign: rare labels have a share in all rows that carry them, though not in most others
    counts = np.bincount(Y.indices, minlength=n_labels)
    rare = (counts > 0) & (counts <= _RARE)
    true = np.isin(row * np.int64(n_labels) + label, row_major_positions(Y))
    own, n_own = rare[label] & true, counts[rare].sum()
    elsewhere = (rare[label] & ~true).sum() / max(rare.sum() * n_samples - n_own, 1)
    if own.sum() == n_own >= _LEAST_SINGLETONS and elsewhere < 0.5:
        why = ": every rare label has a share in all of its rows"
        return _own_finding(itself, own, why, **columns)
    missing = n_own - own.sum()
    if alone.any() or (missing and itself == "itself"):
        message = (
            f"no sign of it: {missing} of {n_own} true labels that at most {_RARE} rows carry have no share"
        )
        return Finding("own neighbours", CLEAN, message)
    message = "the labels are not rare enough to tell; give a fitted NeighborLabels"
    return Finding("own neighbours", NOT_CHECKED, message)


def _own_finding(itself, own, why="", **columns):
    """Describe the training rows that have themselves as neighbours."""
    columns = {name: column[own] for name, column in columns.items()}
    rows = np.unique(columns["train_row"]).astype(int)
    values = zip(*(column[:_MAX_EVIDENCE].tolist() for column in columns.values()), strict=True)
    evidence = tuple(dict(zip(columns, entry, strict=True)) for entry in values)
    message = f"{len(rows)} training rows have {itself} as neighbour{why}"
    return Finding("own neighbours", FOUND, message, "train", rows, evidence)


def _audit_scores(scores, Y, estimator, X, rng):
    """Look for scores of training rows by a model that was trained on them."""
    name = "in-sample scores"
    if scores is None:
        return Finding(name, NOT_CHECKED, "give scores: the out-of-fold scores of the training rows")
    scores = check_scores(scores, n_samples=Y.shape[0], n_labels=Y.shape[1])
    labels, values, truth = candidate_pairs(Y, scores)
    n_scored = np.diff(scores.indptr) if sp.issparse(scores) else np.full(*scores.shape)
    rows = np.repeat(np.arange(Y.shape[0]), n_scored)
    same = _scored_alike(scores, estimator, X, rng)
    if len(same):
        message = "the estimator, fitted on these rows, gives the same scores"
        evidence = tuple({"train_row": int(row)} for row in same[:_MAX_EVIDENCE])
        return Finding(name, FOUND, message, "train", same, evidence)
    signs = in_sample_signs(rows, labels, values, truth, Y)
    if signs.what is None:
        message = "the scores are no better than held-out ones can be"
        if not signs.judged:
            message = f"too few rows to tell; it takes {_LEAST_ROWS} and more than one label"
        return Finding(name, CLEAN if signs.judged else NOT_CHECKED, message)
    evidence = tuple(
        {"train_row": int(rows[pair]), "label": int(labels[pair]), "score": float(values[pair])}
        for pair in signs.pairs[:_MAX_EVIDENCE]
    )
    return Finding(name, FOUND, signs.what, "train", np.unique(rows[signs.pairs]), evidence)


def _scored_alike(scores, estimator, X, rng):
    """Return some training rows whose scores are those of the estimator, if nearly all of them are."""
    methods = ("top_scores", "predict_proba", "decision_function")
    if not hasattr(X, "shape") or not any(hasattr(estimator, method) for method in methods):
        return np.zeros(0, dtype=int)
    rows = np.sort(rng.permutation(scores.shape[0])[:_LEAST_ROWS])
    own = _as_sparse(base_scores(estimator, _take(X, rows), n_labels=scores.shape[1]), len(rows))
    change = sp.coo_array(own - _as_sparse(scores[rows], len(rows)))
    same = np.ones(len(rows), dtype=bool)
    same[change.row[np.abs(change.data) > _ROUNDING]] = False
    return rows[same] if same.mean() > _IMPLAUSIBLE_SINGLETONS else rows[:0]


# Input


def _take(X, rows):
    """Return some rows of a matrix or list, in the caller's container."""
    return _safe_indexing(X, rows)


def _is_text(X):
    """Return whether X is a sequence of texts."""
    return isinstance(X, list | tuple | np.ndarray) and len(X) > 0 and isinstance(X[0], str)


def _check_length(X, Y, name):
    """Return X with one entry for every row of Y; sparse matrices with rows that can be picked."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows != Y.shape[0]:
        raise ValueError(f"{name} has {n_rows} rows but {Y.shape[0]} were expected, one for each row of Y.")
    return X.tocsr() if sp.issparse(X) else X


def _check_both(parts, labels, name):
    """Return what is given for both sides of the split, or None."""
    if all(part is None for part in parts):
        return None
    for part, Y, split in zip(parts, labels, ("train", "test"), strict=True):
        if part is None:
            raise ValueError(f"Give {name}_train and {name}_test, or neither; {name}_{split} is missing.")
        _check_length(part, Y, f"{name}_{split}")
    return parts
