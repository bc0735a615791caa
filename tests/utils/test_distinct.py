"""Different values by sorting, against numpy's."""

import numpy as np
import pytest

from adathresh.utils.distinct import distinct


@pytest.mark.parametrize("n_values", [0, 1, 2, 1_000])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64, np.float64])
def test_the_same_as_numpy(n_values, dtype):
    rng = np.random.default_rng(n_values)
    parts = [rng.integers(0, 300, size).astype(dtype) for size in (n_values, n_values // 2)]
    kept = [part.copy() for part in parts]
    found = distinct(*parts)
    np.testing.assert_array_equal(found, np.unique(np.concatenate(parts)))
    assert found.dtype == dtype
    for part, before in zip(parts, kept, strict=True):
        np.testing.assert_array_equal(part, before)
