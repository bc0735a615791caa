"""Blocks of features: against a loop over rows, as a metric, as a linear layer, and with some missing."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.pipeline import make_pipeline

from adathresh.models import NeighborShares
from adathresh.signals import FeatureBlocks, NeighborLabels, greedy_block_weights

WEIGHTS = {"words": 3.0, "sensor": 1.0, "image": 0.5}
SIZES = {"words": 6, "sensor": 3, "image": 4}


@pytest.fixture
def blocks():
    """Three blocks of twenty rows: one sparse, one with a row of zeros."""
    rng = np.random.default_rng(0)
    found = {name: rng.standard_normal((20, size)) for name, size in SIZES.items()}
    found["words"] = sp.csr_array(found["words"] * (rng.random((20, 6)) < 0.6))
    found["sensor"][4] = 0
    return found


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def by_loops(blocks, weights):
    """Scale and join one row after the other."""
    rows = []
    for at in range(20):
        row = []
        for name, weight in weights.items():
            part = dense(blocks[name])[at] if blocks.get(name) is not None else np.zeros(SIZES[name])
            length = np.sqrt(sum(value**2 for value in part))
            row += [np.sqrt(weight) * value / length if length else 0.0 for value in part]
        length = np.sqrt(sum(value**2 for value in row))
        rows.append([value / length if length else 0.0 for value in row])
    return np.array(rows)


@pytest.mark.parametrize("weights", [None, WEIGHTS, dict(reversed(WEIGHTS.items()))])
@pytest.mark.parametrize("missing", [(), ("words",), ("sensor", "image"), ("words", "sensor")])
def test_rows_are_those_of_a_loop(blocks, weights, missing):
    made = FeatureBlocks(weights=weights).fit(blocks)
    given = {name: None if name in missing else block for name, block in blocks.items()}
    expected = by_loops(given, dict.fromkeys(blocks, 1.0) if weights is None else WEIGHTS)
    assert sum(made.weights_.values()) == pytest.approx(1)
    found = made.transform(given)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)
    absent = {name: block for name, block in given.items() if block is not None}
    assert (made.transform(absent) != found).nnz == 0
    if not missing:
        assert (FeatureBlocks(weights=weights).fit_transform(blocks) != found).nnz == 0


def test_dot_products_are_weighted_means_of_cosines(blocks):
    del blocks["image"]
    stacked = FeatureBlocks(weights={"words": 3, "sensor": 1}).fit_transform(blocks).toarray()
    parts = [dense(block) for block in blocks.values()]
    for one, other in [(0, 1), (2, 7), (5, 19), (3, 3)]:
        cosines = [a[one] @ a[other] / np.linalg.norm(a[one]) / np.linalg.norm(a[other]) for a in parts]
        assert stacked[one] @ stacked[other] == pytest.approx(0.75 * cosines[0] + 0.25 * cosines[1])


def test_neighbours_are_those_of_the_mean_cosine(blocks):
    del blocks["sensor"]
    stacked = FeatureBlocks().fit_transform(blocks)
    units = [dense(b) / np.linalg.norm(dense(b), axis=1, keepdims=True) for b in blocks.values()]
    cosines = np.mean([unit @ unit.T for unit in units], axis=0)
    np.fill_diagonal(cosines, 0)
    nearest = NeighborLabels(3).fit(stacked, np.ones((20, 1))).kneighbors().toarray()
    for row in range(20):
        kept = np.argsort(-cosines[row])[: np.count_nonzero(nearest[row])]
        assert set(np.flatnonzero(nearest[row])) == set(kept)
        np.testing.assert_allclose(nearest[row][kept], cosines[row][kept])


def test_a_linear_layer_projects_each_block_and_sums(blocks):
    stacked = FeatureBlocks().fit_transform(blocks).toarray()
    rng = np.random.default_rng(1)
    layers = {name: rng.standard_normal((size, 2)) for name, size in SIZES.items()}
    expected = np.zeros((20, 2))
    for name, block in blocks.items():
        for row, values in enumerate(dense(block)):
            n_there = sum(bool(dense(other)[row].any()) for other in blocks.values())
            length = np.linalg.norm(values) * np.sqrt(n_there)
            expected[row] += values / length @ layers[name] if length else 0
    np.testing.assert_allclose(stacked @ np.vstack(list(layers.values())), expected)


def test_rows_have_length_1_unless_they_are_empty(blocks):
    blocks["words"] = sp.csr_array((20, 6))
    blocks["image"][4] = 0
    stacked = FeatureBlocks(weights=WEIGHTS).fit_transform(blocks)
    lengths = np.linalg.norm(stacked.toarray(), axis=1)
    np.testing.assert_allclose(np.delete(lengths, 4), 1)
    assert lengths[4] == 0


def test_a_missing_block_leaves_what_the_others_alone_would_be(blocks):
    made = FeatureBlocks(weights=WEIGHTS).fit(blocks)
    rest = {name: blocks[name] for name in ("sensor", "image")}
    alone = FeatureBlocks(weights={"sensor": 1.0, "image": 0.5}).fit_transform(rest)
    found = made.transform(rest).toarray()
    assert not found[:, :6].any()
    np.testing.assert_allclose(found[:, 6:], alone)


def test_blocks_may_come_in_any_order_at_prediction(blocks):
    made = FeatureBlocks().fit(blocks)
    assert (made.transform(dict(reversed(blocks.items()))) != made.transform(blocks)).nnz == 0


def test_a_block_of_weight_0_is_left_out(blocks):
    made = FeatureBlocks(weights={**WEIGHTS, "sensor": 0}).fit(blocks)
    rest = {name: blocks[name] for name in ("words", "image")}
    expected = FeatureBlocks(weights={"words": 3.0, "image": 0.5}).fit_transform(rest)
    assert made.transform(blocks).shape == (20, 10)
    assert abs(made.transform(blocks) - expected).max() < 1e-12
    assert made.weights_["sensor"] == 0
    with pytest.raises(ValueError, match="blocks must have at least one of 'words', 'image'"):
        made.transform({"sensor": blocks["sensor"]})


def test_containers_and_types(blocks):
    assert isinstance(FeatureBlocks().fit_transform(blocks), sp.csr_array)
    all_dense = {name: dense(block).astype(np.float32) for name, block in blocks.items()}
    made = FeatureBlocks().fit(all_dense)
    found = made.transform(all_dense)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert isinstance(made.transform({"image": all_dense["image"]}), np.ndarray)
    np.testing.assert_allclose(found, FeatureBlocks().fit_transform(blocks).toarray(), atol=1e-6)
    mixed = FeatureBlocks().fit_transform({**all_dense, "image": dense(blocks["image"])})
    assert mixed.dtype == np.float64
    sparse = {name: sp.csr_matrix(block) for name, block in all_dense.items()}
    assert FeatureBlocks().fit_transform(sparse).dtype == np.float32


def test_the_callers_blocks_stay_as_they_are(blocks):
    twice = sp.coo_array((np.ones(3), ([0, 0, 1], [1, 1, 0])), shape=(20, 6)).tocsr()
    in_parts = sp.csr_array((np.ones(3), [1, 1, 0], [0, 2, *[3] * 19]), shape=(20, 6))
    before = in_parts.data.copy(), in_parts.indices.copy(), blocks["image"].copy()
    found, expected = (
        FeatureBlocks().fit_transform({"words": words, "image": blocks["image"]})
        for words in (in_parts, twice)
    )
    np.testing.assert_allclose(found.toarray(), expected.toarray())
    for kept, now in zip(before, (in_parts.data, in_parts.indices, blocks["image"]), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_it_is_a_step_of_a_pipeline(blocks):
    Y = np.eye(20, 3, dtype=int)
    whole = make_pipeline(FeatureBlocks(weights=WEIGHTS), NeighborShares(3)).fit(blocks, Y)
    stacked = FeatureBlocks(weights=WEIGHTS).fit_transform(blocks)
    expected = NeighborShares(3).fit(stacked, Y).predict(stacked)
    np.testing.assert_array_equal(whole.predict(blocks), expected)


# --- greedy weights ---


def error_of(blocks, weights, Y, groups):
    """Return the squared error of the neighbour shares, by a loop over pairs."""
    shares = NeighborLabels(4).fit_transform(
        FeatureBlocks(weights=weights).fit_transform(blocks), Y, groups=groups
    )
    return sum((shares[row, label] - Y[row, label]) ** 2 for row in range(20) for label in range(3)) / 20


@pytest.mark.parametrize("groups", [None, np.arange(20) // 2])
@pytest.mark.parametrize("start", [None, {"words": 1, "sensor": 0}])
def test_each_step_takes_the_best_block_until_none_helps(blocks, groups, start):
    Y = (blocks["image"][:, :3] + blocks["sensor"] > 0.2).astype(int)
    counts, steps = {name: (start or {}).get(name, 0) for name in blocks}, 0
    least = error_of(blocks, counts, Y, groups) if start else np.inf
    while True:
        tried = {name: error_of(blocks, {**counts, name: counts[name] + 1}, Y, groups) for name in blocks}
        best = min(tried, key=tried.get)
        if tried[best] >= least:
            break
        counts[best] += 1
        least, steps = tried[best], steps + 1
    options = {"groups": groups, "neighbors": NeighborLabels(4), "start": start}
    found = greedy_block_weights(blocks, Y, **options)
    assert found == {name: count / sum(counts.values()) for name, count in counts.items()}
    assert steps > 1
    first = greedy_block_weights(blocks, Y, **options, max_steps=1)
    assert sorted(first.values()) == ([0, 0.5, 0.5] if start else [0, 0, 1])


def test_rows_of_the_own_group_are_no_neighbours():
    """A block that finds only the rows of a group, which share all labels, is worth nothing with groups."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 2)
    Y = (rng.random((10, 4)) < 0.5).astype(int)[groups]
    blocks = {"groups": np.eye(10)[groups], "labels": Y + 0.6 * rng.random((20, 4))}
    search = NeighborLabels(1)
    assert greedy_block_weights(blocks, Y, neighbors=search) == {"groups": 1, "labels": 0}
    assert greedy_block_weights(blocks, Y, groups=groups, neighbors=search) == {"groups": 0, "labels": 1}
    assert not hasattr(search, "n_features_in_")
