"""What notebook 02 claims."""

import pandas as pd
import pytest

from adathresh.experiments.nb02_baselines.findings import claims, finding


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


@pytest.mark.parametrize(
    ("spread", "first", "model"),
    [(0.1, "The rule is worth more than the model.", "25 %"), (0.3, "The model is worth more", "75 %")],
)
def test_the_finding_compares_model_and_rule(spread, first, model):
    found = tables(spread=spread)
    row = {"a": "adaptive", "b": "fixed 0.5", "metric": "macro_f1", "seed": 0}
    rows = [
        row | {"base": "linear", "difference": 0.3, "low": 0.2, "high": 0.4},
        row | {"base": "linear", "difference": 0.5, "low": 0.4, "high": 0.6, "seed": 1},
        row | {"base": "network", "difference": 0.1, "low": 0.0, "high": 0.2},
        row | {"base": "label tree", "difference": 0.9, "low": 0.8, "high": 1.0},  # takes no seed
    ]
    text = finding({**found, "differences": pd.concat([found["differences"], pd.DataFrame(rows)])})
    assert text.startswith(first)
    assert (
        "(`linear` at threshold 0.5, macro-F1 0.100) to the best one (`network` with `adaptive`, 0.500)"
        in text
    )
    assert f"changing only the model covers {model} of the way; changing only the rule covers 50 %" in text
    assert "and 75 % with `adaptive`" in text
    assert "from +0.1000 (95 % interval +0.0000 to +0.2000) for `network` to +0.4000" in text
    assert text.endswith("(+0.3000 to +0.5000) for `linear`.")
