"""Rows in their surroundings: against loops, and nothing of the row itself in its context."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.signals import GroupContext, context

rng = np.random.default_rng(0)
X = rng.random((12, 8)) * (rng.random((12, 8)) < 0.5)
X[2] = 0
GROUPS = np.array(["a", "b", "c", "a", "b", "a", "a", "b", "d", "a", "b", "b"])


def naive(X, groups, n_kept, *, include_self=False):
    """Sum the rows of each row's group in loops, keep the greatest values, and scale to length 1."""
    found = np.zeros_like(X)
    for row in range(len(X)):
        others = [i for i in range(len(X)) if groups[i] == groups[row] and (include_self or i != row)]
        total = X[others].sum(axis=0)
        kept = np.argsort(-total, kind="stable")[:n_kept]
        found[row, kept] = total[kept]
        length = np.linalg.norm(found[row])
        found[row] /= length if length else 1
    return found


@pytest.mark.parametrize("include_self", [False, True])
def test_a_context_is_the_mean_of_the_group(include_self):
    made = GroupContext(include_self=include_self)
    dense = made.fit_transform(X, GROUPS)
    assert made.n_kept_ == 8
    np.testing.assert_allclose(dense, naive(X, GROUPS, 8, include_self=include_self), atol=1e-12)
    found = made.fit_transform(sp.csr_array(X), GROUPS)
    assert made.n_kept_ == int(np.quantile((X > 0).sum(axis=1), 0.95)) < 8
    expected = naive(X, GROUPS, made.n_kept_, include_self=include_self)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)
    if not include_self:
        assert found[[2, 8]].nnz == 0
        assert not dense[[2, 8]].any()


def test_nothing_of_the_row_itself_is_in_its_context():
    rows = np.array([[0.1, 0.2, 0.7], [0.3, 0.6, 0.0]], dtype=np.float32)  # sums lose digits
    found = GroupContext().fit_transform(sp.csr_array(rows), [0, 0])
    first, second = found.toarray()
    np.testing.assert_allclose(first, [0.3 / np.hypot(0.3, 0.6), 0.6 / np.hypot(0.3, 0.6), 0], atol=1e-6)
    assert second[2] > 0
    assert found[[0]].nnz == 2


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_another_row_changes_no_context_of_another_group_and_its_own_not(form):
    made = GroupContext().fit(form(X))
    before = made.transform(form(X), GROUPS)
    changed = X.copy()
    changed[8] = changed[0] = 1.0
    after = made.transform(form(changed), GROUPS)
    difference = abs(before - after)
    moved = np.flatnonzero(np.asarray(difference.sum(axis=1)).ravel() > 1e-9)
    assert moved.tolist() == [3, 5, 6, 9]  # the siblings of row 0, which is itself unmoved, as is row 8


def test_rows_are_worked_on_in_parts(monkeypatch):
    whole = GroupContext().fit_transform(sp.csr_array(X), GROUPS)
    for at_once in (1, 7, 20):
        monkeypatch.setattr(context, "_SUMS_AT_ONCE", at_once)
        parts = GroupContext().fit_transform(sp.csr_array(X), GROUPS)
        assert (parts != whole).nnz == 0


def test_sparse_stays_sparse_and_float32_stays_float32():
    given = sp.csr_array(X.astype(np.float32))
    given.data[0] = 0  # stored zeros are no features
    kept = given.copy()
    found = GroupContext().fit_transform(given, GROUPS)
    assert isinstance(found, sp.csr_array)
    assert found.dtype == np.float32
    assert (given != kept).nnz == 0
    assert given.nnz == kept.nnz
    lengths = np.sqrt(found.multiply(found).sum(axis=1))
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-6)
    assert GroupContext().fit_transform(X.astype(np.float32), GROUPS).dtype == np.float32
    assert GroupContext().fit_transform(sp.coo_array(X), GROUPS).format == "csr"


def test_of_equal_values_the_first_are_kept():
    counts = rng.integers(0, 2, (60, 40)).astype(float)
    groups = rng.integers(0, 6, 60)
    for include_self in (False, True):
        made = GroupContext(include_self=include_self)
        found = made.fit_transform(sp.csr_array(counts), groups).toarray()
        expected = naive(counts, groups, made.n_kept_, include_self=include_self)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_new_rows_are_described_by_each_other():
    made = GroupContext().fit(sp.csr_array(X))
    new = sp.csr_array(X[[0, 3, 4]])
    found = made.transform(new, ["x", "x", "a"]).toarray()
    np.testing.assert_allclose(found[[0, 1]], naive(X[[0, 3, 4]], [0, 0, 1], made.n_kept_)[[0, 1]])
    assert not found[2].any()


def test_groups_are_needed():
    with pytest.raises(ValueError, match="groups must say to which group each row belongs; got None"):
        GroupContext().fit_transform(X, None)
