"""Label sets that agree with a hierarchy, against a naive loop over rows, labels and parents."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from adathresh import LabelKnowledge
from adathresh.posthoc import consistent_label_sets

ANIMALS = LabelKnowledge(
    ["animal", "cat", "pet", "tabby", "rock"],
    parents={"cat": ["animal", "pet"], "tabby": ["cat"]},
)


@st.composite
def problems(draw):
    """Some labels in random order, parents among the earlier ones, and label sets of a few rows."""
    n_labels = draw(st.integers(1, 7))
    order = draw(st.permutations(range(n_labels)))
    parents = {
        order[at]: [order[above] for above in draw(st.sets(st.integers(0, at - 1)))] if at else []
        for at in range(n_labels)
    }
    knowledge = LabelKnowledge([f"n{label}" for label in range(n_labels)], parents=parents)
    rows = draw(st.lists(st.sets(st.integers(0, n_labels - 1)), min_size=1, max_size=5))
    return knowledge, rows


def as_matrix(rows, n_labels):
    return np.array([[int(label in row) for label in range(n_labels)] for row in rows])


def agrees(row, parents):
    return all(parent in row for label in row for parent in parents[label])


@given(problems())
def test_it_is_the_least_that_is_added_and_the_most_that_is_kept(problem):
    knowledge, rows = problem
    added, kept = [set(row) for row in rows], [set(row) for row in rows]
    for row in added:
        while not agrees(row, knowledge.parents):
            row |= {parent for label in row for parent in knowledge.parents[label]}
    for row in kept:
        while not agrees(row, knowledge.parents):
            row -= {label for label in row if not set(knowledge.parents[label]) <= row}
    label_sets = as_matrix(rows, knowledge.n_labels)
    for how, expected in (("add", added), ("remove", kept)):
        for kind in (np.asarray, sp.csr_array, sp.csr_matrix):
            found = consistent_label_sets(kind(label_sets), knowledge, how=how)
            assert type(found) is {np.asarray: np.ndarray}.get(kind, kind)
            assert found.dtype == np.int64
            dense = found.toarray() if sp.issparse(found) else found
            np.testing.assert_array_equal(dense, as_matrix(expected, knowledge.n_labels))
        names = consistent_label_sets([[f"n{label}" for label in row] for row in rows], knowledge, how=how)
        assert names == [[f"n{label}" for label in sorted(row)] for row in expected]


def test_by_hand():
    rows = [["tabby", "rock"], [], ["pet", "cat"]]
    assert consistent_label_sets(rows, ANIMALS) == [
        ["animal", "cat", "pet", "tabby", "rock"],
        [],
        ["animal", "cat", "pet"],
    ]
    assert consistent_label_sets(rows, ANIMALS, how="remove") == [["rock"], [], ["pet"]]
    assert consistent_label_sets([[], []], ANIMALS) == [[], []]


@pytest.mark.parametrize("how", ["add", "remove"])
def test_nothing_of_the_size_of_rows_times_labels_is_made(how):
    """All of 4,000 rows have the root of 4,000 labels: a matrix of all below it would take 190 MB."""
    names = [f"label {number}" for number in range(4000)]
    knowledge = LabelKnowledge(names, parents=[[], *[[0]] * 3999])
    root, own = sp.csr_array(np.ones((4000, 1))), sp.eye_array(4000, format="csr")[:, 1:]
    label_sets = sp.csr_array(sp.hstack([root, own]))
    tracemalloc.start()
    try:
        found = consistent_label_sets(label_sets, knowledge, how=how)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found != label_sets).nnz == 0
    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        ([[1, 0]], {}, ValueError, "knowledge knows 5 labels, but there are 2"),
        ([[2, 0, 0, 0, 0]], {}, ValueError, "label_sets must hold only 0 and 1; found 2"),
        ([["cat"], ["fox"]], {}, ValueError, "row 1 has the label 'fox', which knowledge lacks"),
        ([["cat"]], {"how": "both"}, ValueError, "how must be 'add' or 'remove'; got 'both'"),
        ([["cat"]], {"knowledge": ["cat"]}, TypeError, "knowledge must be a LabelKnowledge; got a list"),
    ],
)
def test_it_refuses(given, options, error, message):
    with pytest.raises(error, match=message):
        consistent_label_sets(given, **({"knowledge": ANIMALS} | options))
