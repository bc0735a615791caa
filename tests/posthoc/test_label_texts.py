"""Signals of names and synonyms: what each one is, and that rows of a fold do not speak for themselves."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from adathresh import LabelKnowledge
from adathresh.models.prototypes import LabelPrototypes
from adathresh.posthoc.label_texts import LabelTextSignals

KNOWLEDGE = LabelKnowledge(["cat", "dog", ""], synonyms={"cat": ["kitty"]})
NEW = ["a kitty runs", "one dog", "nothing known"]


def make_data(seed=0):
    rng = np.random.default_rng(seed)
    words = np.array(["cat", "dog", "kitty", "runs", "sleeps", "one", "red"])
    drawn = rng.integers(0, len(words), size=(60, 3))
    carried = [np.isin(drawn, own).any(axis=1) for own in ([0, 2], [1], [3])]
    return [" ".join(row) for row in words[drawn]], np.stack(carried, axis=1).astype(int), np.arange(60) % 3


def make_signals():
    return LabelTextSignals(KNOWLEDGE, LabelPrototypes(KNOWLEDGE, min_df=1, max_df=1.0))


def test_three_signals_in_the_unit_interval():
    texts, Y, folds = make_data()
    signals = make_signals()
    for found, n_rows in ((signals.fit_transform(texts, Y, folds=folds), 60), (signals.transform(NEW), 3)):
        assert len(found) == 3
        for part in found:
            assert isinstance(part, sp.csr_array)
            assert part.shape == (n_rows, 3)
            assert 0 < part.max() <= 1
            assert part.min() >= 0


def test_each_signal_finds_what_it_should():
    texts, Y, folds = make_data()
    signals = make_signals()
    signals.fit_transform(texts, Y, folds=folds)
    similarity, mentions, prototypes = (part.toarray() for part in signals.transform(NEW))
    known = np.array([[True, False, False], [False, True, False], [False, False, False]])
    np.testing.assert_array_equal(similarity > 0, known)
    np.testing.assert_array_equal(mentions > 0, known)
    assert (prototypes[0, [0, 2]] > prototypes[0, 1]).all()  # its rows know the label without a name
    assert not prototypes[2].any()


def test_labels_of_a_fold_change_nothing_there_but_for_the_others():
    texts, Y, folds = make_data()
    other = Y.copy()
    other[folds == 1] = 1 - other[folds == 1]
    before, after = (make_signals().fit_transform(texts, labels, folds=folds) for labels in (Y, other))
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[folds == 1].toarray(), two[folds == 1].toarray())
    np.testing.assert_array_equal(before[0].toarray(), after[0].toarray())  # similarity knows no labels
    for one, two in zip(before[1:], after[1:], strict=True):
        assert (one[folds != 1] != two[folds != 1]).nnz > 0


def test_refused():
    texts, Y, folds = make_data()
    with pytest.raises(NotFittedError, match="Call fit_transform with the training rows first"):
        make_signals().transform(NEW)
    with pytest.raises(ValueError, match="knowledge knows 3 labels, but there are 2"):
        make_signals().fit_transform(texts, Y[:, :2], folds=folds)
