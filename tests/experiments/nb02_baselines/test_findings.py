"""What notebook 02 claims."""

import pandas as pd
import pytest

from adathresh.experiments.nb02_baselines.findings import claims


def tables(*, spread=0.3, best=0.4):
    gap = [
        {"base": "linear", "seed": 0, "fixed": 0.1, "best_rival": 0.3, "adaptive": 0.4},
        {"base": "network", "seed": 0, "fixed": 0.1 + spread, "best_rival": 0.5, "adaptive": 0.5},
    ]
    row = {"a": "adaptive", "metric": "macro_f1", "seed": 0, "difference": 0.2, "low": 0.1, "high": 0.3}
    differences = [
        row | {"base": "linear", "b": "SCut"},
        row | {"base": "linear", "b": "SCut", "metric": "micro_f1"},
        row | {"base": "network", "b": "SCut", "low": -0.1},
        row | {"base": "label tree", "b": "SCut"},  # takes no seed
    ]
    return {
        "headline": pd.DataFrame(
            {
                "base": ["linear"] * 2 + ["label tree"] * 2,
                "rule": ["adaptive", "SCut"] * 2,
                "macro_f1": [0.4, 0.3, best, 0.3],
            }
        ),
        "gap": pd.DataFrame(gap),
        "differences": pd.DataFrame(differences),
    }


@pytest.mark.parametrize(("spread", "outcome"), [(0.3, "yes"), (0.05, "no")])
def test_base_models_lie_farther_apart_at_one_half_or_not(spread, outcome):
    assert claims(tables(spread=spread))[0]["outcome"] == outcome


def test_macro_f1_is_compared_on_every_base_model_that_takes_a_seed():
    compared = [claim for claim in claims(tables()) if "minus" in claim["claim"]]
    found = {name: [c["outcome"] for c in compared if name in c["claim"]] for name in ("linear", "network")}
    assert found == {"linear": ["above 0"], "network": ["level"]}
    assert not any("label tree" in claim["claim"] for claim in compared)


@pytest.mark.parametrize(("best", "outcome"), [(0.4, "yes"), (0.3, "no"), (0.2, "no")])
def test_the_greatest_macro_f1_is_claimed_of_every_base_model(best, outcome):
    found = [claim for claim in claims(tables(best=best)) if "greatest" in claim["claim"]]
    assert [claim["outcome"] for claim in found] == ["yes", outcome]
    assert ["label tree" in claim["claim"] for claim in found] == [False, True]
