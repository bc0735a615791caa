import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adathresh.datasets.splits import group_split


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
