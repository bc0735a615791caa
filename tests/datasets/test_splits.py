import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from adathresh.datasets import Split
from adathresh.datasets.splits import group_split, iterative_split


def test_some_rows_of_a_split_keep_all_that_belongs_to_them():
    numbers = np.arange(4)
    rows = Split(
        X=sp.csr_array(numbers[:, None] + 1.0),
        Y=sp.csr_array(numbers[:, None] % 2),
        texts=[f"text {i}" for i in numbers],
        titles=[f"title {i}" for i in numbers],
        groups=numbers * 10,
    ).take(np.array([3, 0]))
    assert rows.X.toarray().tolist() == [[4], [1]]
    assert rows.Y.toarray().tolist() == [[1], [0]]
    assert rows.texts == ["text 3", "text 0"]
    assert rows.titles == ["title 3", "title 0"]
    assert rows.groups.tolist() == [30, 0]


@given(st.lists(st.integers(1, 5), min_size=30, max_size=60), st.integers(0, 9))
def test_parts_are_a_partition_that_keeps_groups(sizes, seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = group_split(groups, (0.5, 0.3, 0.2), random_state=seed)
    assert sorted(np.concatenate(parts)) == list(range(groups.size))
    for a in range(3):
        assert (np.diff(parts[a]) > 0).all()
        for b in range(a):
            assert not set(groups[parts[a]]) & set(groups[parts[b]])


def test_single_rows_give_the_wanted_shares():
    parts = group_split(np.arange(1000), (0.7, 0.15, 0.15))
    assert [part.size for part in parts] == [700, 150, 150]


def test_seed_decides():
    first, again, other = (
        group_split(range(50), (0.5, 0.5), random_state=seed)[0].tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_strings_are_groups():
    train, test = group_split(["a/b.py", "c.py", "a/b.py", "d.py"], (0.5, 0.5))
    assert (0 in train) == (2 in train)
    assert len(train) + len(test) == 4


@pytest.mark.parametrize(
    ("groups", "fractions", "message"),
    [
        ([0, 0, 0], (0.5, 0.5), "3 rows in 1 groups cannot fill"),
        ([], (0.5, 0.5), "0 rows in 0 groups cannot fill"),
        ([0, 1], (0.5, 0.6), "sum 1"),
        ([0, 1], (1.5, -0.5), "positive"),
        ([[0], [1]], (0.5, 0.5), "shape"),
    ],
)
def test_errors(groups, fractions, message):
    with pytest.raises(ValueError, match=message):
        group_split(groups, fractions)


def long_tail(seed=0, n_samples=200, n_labels=30):
    """Labels from frequent to rare; some rows have none."""
    rng = np.random.default_rng(seed)
    return (rng.random((n_samples, n_labels)) < 0.4 / np.arange(1, n_labels + 1)).astype(int)


def algorithm_1(Y, fractions, groups, seed):
    """Sechidis et al. 2011 word for word on dense arrays, a group standing for a row."""
    names = sorted(set(groups))
    counts = {name: sum(Y[i] for i in range(len(Y)) if groups[i] == name) for name in names}
    sizes = {name: list(groups).count(name) for name in names}
    rng = np.random.default_rng(seed)
    left = [names[i] for i in rng.permutation(len(names))]
    wanted_rows = [r * len(Y) for r in fractions]
    wanted = [[r * total for total in Y.sum(axis=0)] for r in fractions]
    part_of = {}

    def place(name, candidates):
        most = max(wanted_rows[j] for j in candidates)
        candidates = [j for j in candidates if wanted_rows[j] == most]
        part_of[name] = part = candidates[rng.integers(len(candidates)) if len(candidates) > 1 else 0]
        for label in range(Y.shape[1]):
            wanted[part][label] -= counts[name][label]
        wanted_rows[part] -= sizes[name]
        left.remove(name)

    while any(counts[name].any() for name in left):
        remaining = sum(counts[name] for name in left)
        label = min((total, number) for number, total in enumerate(remaining) if total)[1]
        for name in [name for name in left if counts[name][label]]:
            most = max(row[label] for row in wanted)
            place(name, [j for j, row in enumerate(wanted) if row[label] == most])
    for name in list(left):
        place(name, range(len(fractions)))
    return [[i for i in range(len(Y)) if part_of[groups[i]] == j] for j in range(len(fractions))]


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.75, 0.125, 0.125), (0.25,) * 4])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_iterative_split_is_the_published_algorithm(fractions, grouped, seed):
    Y = long_tail(seed, n_samples=120)
    groups = np.random.default_rng(seed).integers(40, size=120) if grouped else np.arange(120)
    expected = algorithm_1(Y, fractions, groups.tolist(), seed)
    for labels in (Y, sp.csr_array(Y), sp.csc_matrix(Y.astype(bool))):
        given_groups = groups if grouped else None
        parts = iterative_split(labels, fractions, groups=given_groups, random_state=seed)
        assert [part.tolist() for part in parts] == expected


def test_every_part_has_its_share_of_every_label():
    Y = long_tail(n_samples=1000)
    parts = iterative_split(Y, (0.6, 0.2, 0.2))
    assert sorted(np.concatenate(parts)) == list(range(1000))
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert abs(part.size - share * 1000) <= 10
        # the rarest labels, dealt out first, are off by less than one row; a random split is off by several
        assert (abs(Y[part][:, 15:].sum(axis=0) - share * Y[:, 15:].sum(axis=0)) <= 2).all()
        assert (abs(Y[part].sum(axis=0) - share * Y.sum(axis=0)) <= 6).all()
    random = group_split(range(1000), (0.6, 0.4))[0]
    assert (abs(Y[random].sum(axis=0) - 0.6 * Y.sum(axis=0)) > 6).any()


def test_labels_of_two_rows_are_in_both_halves():
    Y = np.kron(np.eye(50, dtype=int), np.ones((2, 1), dtype=int))
    for part in iterative_split(Y, (0.5, 0.5)):
        assert (Y[part].sum(axis=0) == 1).all()


def test_iterative_split_keeps_groups():
    Y, groups = long_tail(), np.random.default_rng(1).integers(60, size=200).astype(str)
    train, test = iterative_split(Y, (0.7, 0.3), groups=groups)
    assert not set(groups[train]) & set(groups[test])
    assert abs(train.size - 140) <= 10


def test_rows_without_labels_fill_the_parts():
    parts = iterative_split(np.zeros((100, 3)), (0.7, 0.3))
    assert [part.size for part in parts] == [70, 30]


def test_seed_of_the_iterative_split_decides():
    first, again, other = (
        iterative_split(long_tail(), (0.5, 0.5), random_state=seed)[0].tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.slow
def test_iterative_split_of_many_labels_stays_sparse():
    """The dense label matrix would hold 8 billion entries."""
    rng = np.random.default_rng(0)
    shape = (20_000, 400_000)
    labels = np.minimum(rng.zipf(1.3, size=60_000) - 1, shape[1] - 1)
    pairs = np.unique(rng.integers(shape[0], size=60_000) * shape[1] + labels)
    Y = sp.csr_array((np.ones(len(pairs), np.float32), np.divmod(pairs, shape[1])), shape=shape)
    tracemalloc.start()
    parts = iterative_split(Y, (0.8, 0.2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert [part.size for part in parts] == pytest.approx([16_000, 4_000], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[2, 0], [0, 1]], (0.5, 0.5)), "Y must hold only 0 and 1"),
        (([[1, 0], [0, 1]], (0.5, 0.6)), "sum 1"),
        (([[1, 0]], (0.5, 0.5)), "1 rows in 1 groups cannot fill"),
    ],
)
def test_errors_of_the_iterative_split(arguments, message):
    with pytest.raises(ValueError, match=message):
        iterative_split(*arguments)


def test_groups_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"groups must have shape \(2,\), one entry a row; got \(3,\)"):
        iterative_split([[1], [0]], (0.5, 0.5), groups=[0, 1, 2])


@pytest.mark.parametrize("groups", [[1, np.nan, 2, np.nan], ["a", None, "b", "c"], ["a", np.nan, "b", "c"]])
def test_missing_groups_are_no_group(groups):
    with pytest.raises(ValueError, match=r"groups must not hold missing values; found .* in row 1"):
        group_split(groups, (0.5, 0.5))
    with pytest.raises(ValueError, match=r"groups must not hold missing values; found .* in row 1"):
        iterative_split([[1], [0], [1], [0]], (0.5, 0.5), groups=groups)


@pytest.mark.parametrize("fractions", ["0.5", 1.0, ["0.5", "0.5"], [np.nan, 1.0], [True], [[0.5, 0.5]]])
def test_fractions_are_positive_numbers(fractions):
    with pytest.raises(ValueError, match="fractions must be positive with sum 1; got"):
        group_split(range(4), fractions)
