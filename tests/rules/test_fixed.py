"""The given threshold."""

import numpy as np

from adathresh.rules import FixedThreshold


def test_fixed_threshold_is_strict_and_takes_every_threshold():
    scores = np.array([[0.5, 0.50001]])
    np.testing.assert_array_equal(FixedThreshold().fit(scores).predict(scores), [[0, 1]])
    np.testing.assert_array_equal(FixedThreshold(-np.inf).fit(scores).predict(scores), [[1, 1]])
    np.testing.assert_array_equal(FixedThreshold(np.inf).fit(scores).predict(scores), [[0, 0]])
