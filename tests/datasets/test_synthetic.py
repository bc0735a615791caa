import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.datasets import load_xc, make_longtail, write_longtail
from adathresh.datasets.synthetic import BLOCK_ROWS, iter_longtail


@pytest.fixture(scope="module")
def sample():
    return make_longtail(4000, 3000, 200, random_state=3)


@pytest.mark.slow
def test_sizes_and_form(sample):
    X, Y = sample
    assert X.shape == (4000, 3000)
    assert Y.shape == (4000, 200)
    for matrix in sample:
        assert isinstance(matrix, sp.csr_array)
        assert matrix.dtype == np.float32
        assert matrix.has_sorted_indices
    assert set(Y.data) == {1}
    assert 4.9 < Y.nnz / 4000 < 5.1
    assert 69 < X.nnz / 4000 < 71
    assert np.diff(X.indptr).min() >= 1
    assert np.diff(Y.indptr).min() >= 1
    np.testing.assert_allclose(X.power(2).sum(axis=1), 1, atol=2e-3)


def test_frequencies_follow_the_power_law():
    _, Y = make_longtail(20000, 10, 1000, labels_per_row=1, features_per_row=2, exponent=1.2)
    frequency = np.sort(Y.sum(axis=0))[::-1]
    expected = np.arange(1.0, 1001) ** -1.2
    expected *= 20000 / expected.sum()
    np.testing.assert_allclose(frequency[:30], expected[:30], rtol=0.25)
    assert (frequency <= 5).mean() > 0.3  # the long tail
    _, Y = make_longtail(20000, 10, 50, labels_per_row=1, features_per_row=2, exponent=0)
    np.testing.assert_allclose(Y.sum(axis=0), 400, rtol=0.3)


@pytest.mark.slow
def test_labels_co_occur(sample):
    _, Y = sample
    together = (Y.T @ Y).toarray()
    frequency = together.diagonal()
    expected = np.outer(frequency, frequency) / 4000
    often = frequency >= 40
    lift = (together / np.maximum(expected, 1e-9))[np.ix_(often, often)]
    np.fill_diagonal(lift, 0)
    assert (lift.max(axis=1) > 2).mean() > 0.8


def test_features_carry_signal(sample):
    X, Y = sample
    similarity = (X[3000:] @ X[:3000].T).toarray()
    neighbours = similarity.argsort(axis=1)[:, -15:]
    votes = np.stack([Y[rows].sum(axis=0) for rows in neighbours])
    hits = Y[3000:].toarray()[np.arange(1000), votes.argmax(axis=1)].mean()
    commonest = (Y[3000:].sum(axis=0) / 1000).max()
    assert hits > commonest + 0.15


def test_blocks_file_and_whole_are_the_same(tmp_path):
    sizes, options = (
        (BLOCK_ROWS + 50, 300, 40),
        {"labels_per_row": 2.0, "features_per_row": 5, "exponent": 1.1},
    )
    X, Y = make_longtail(*sizes, **options, random_state=1)
    blocks = list(iter_longtail(*sizes, **options, random_state=1))
    assert [block.shape[0] for block, _ in blocks] == [BLOCK_ROWS, 50]
    write_longtail(tmp_path / "a.txt.gz", *sizes, **options, random_state=1, progress=False)
    for other in (
        tuple(sp.vstack(part) for part in zip(*blocks, strict=True)),
        load_xc(tmp_path / "a.txt.gz"),
    ):
        assert (other[0] != X).nnz == 0
        assert (other[1] != Y).nnz == 0
    head, _ = make_longtail(BLOCK_ROWS, *sizes[1:], **options, random_state=1)
    assert (head != X[:BLOCK_ROWS]).nnz == 0


def test_seed_decides():
    (X, _), (again, _), (other, _) = (make_longtail(50, 100, 20, random_state=seed) for seed in (1, 1, 2))
    assert (again != X).nnz == 0
    assert (other != X).nnz > 0


def test_small_inventories_are_exhausted_not_exceeded():
    X, Y = make_longtail(30, 1, 1, labels_per_row=1, features_per_row=1)
    assert X.shape == Y.shape == (30, 1)
    X, Y = make_longtail(0, 100, 7)
    assert X.shape == (0, 100)
    assert Y.shape == (0, 7)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((-1, 100, 10), {}, "n_samples"),
        ((5, 100, 0), {}, "n_labels"),
        ((5, 100, 3), {}, "labels_per_row"),
        ((5, 10, 30), {}, "features_per_row"),
        ((5, 100, 10), {"exponent": -1}, "exponent"),
        ((5.0, 100, 10), {}, "n_samples must be a whole number, at least 0; got 5.0"),
        ((5, 100, 10), {"exponent": "1"}, "exponent must be a finite number, .*; got '1'"),
        ((5, 100, 10), {"random_state": -1}, "random_state must be a whole number, at least 0; got -1"),
    ],
)
def test_errors(sizes, options, message):
    with pytest.raises(ValueError, match=message):
        make_longtail(*sizes, **options)
