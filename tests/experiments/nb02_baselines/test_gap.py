"""What part of a gap is the model and what the rule: by hand."""

import pytest

from adathresh.experiments.nb02_baselines.gap import gap_parts

GAP = [
    {"base": "a", "seed": 0, "fixed": 0.1, "best_rival": 0.3, "adaptive": 0.4},
    {"base": "b", "seed": 0, "fixed": 0.2, "best_rival": 0.25, "adaptive": 0.5},
    {"base": "a", "seed": 1, "fixed": 0.2, "best_rival": 0.2, "adaptive": 0.3},
    {"base": "b", "seed": 1, "fixed": 0.1, "best_rival": 0.4, "adaptive": 0.6},
]


def test_the_parts_of_the_gap_by_hand():
    first, second = gap_parts(GAP)
    assert first == pytest.approx(
        {
            "seed": 0,
            "weakest_fixed": 0.1,
            "gain_model": 0.1,
            "gain_rule": 0.2,
            "gain_fusion": 0.3,
            "gain_both": 0.4,
            "spread_fixed": 0.1,
            "spread_best_rival": 0.05,
            "spread_adaptive": 0.1,
        }
    )
    assert second["gain_rule"] == pytest.approx(0.3)  # of b, which is the weakest of this seed
    assert second["gain_both"] == second["gain_fusion"] == pytest.approx(0.5)
