"""The threshold for all labels, against brute force over all that can be."""

import numpy as np
import pytest

from adathresh.metrics import macro_f1, micro_f1
from adathresh.rules import GlobalThreshold


def thresholds_to_try(scores):
    """One threshold below each distinct score, and one above all; absent pairs do not count."""
    return np.r_[np.unique(scores[np.isfinite(scores)]) - 1e-9, np.inf]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("name", "metric"), [("macro_f1", macro_f1), ("micro_f1", micro_f1)])
def test_global_threshold_is_the_best_of_all(make_case, seed, name, metric):
    Y, scores, stored, sparse = make_case(seed)
    for given, filled in ((scores, scores), (sparse, np.where(stored, scores, -np.inf))):
        values = {
            threshold: metric(Y, (filled > threshold).astype(int)) for threshold in thresholds_to_try(filled)
        }
        rule = GlobalThreshold(name).fit(given, Y)
        assert metric(Y, rule.predict(given)) == pytest.approx(max(values.values()), abs=1e-12)
        # of equally good thresholds the highest, midway to the next lower score
        best = max(threshold for threshold, value in values.items() if value > max(values.values()) - 1e-12)
        upper = best + 1e-9
        lower = [s for s in np.unique(filled[np.isfinite(filled)]) if s < upper - 1e-6]
        assert rule.thresholds_ == pytest.approx((upper + lower[-1]) / 2 if lower else upper)
