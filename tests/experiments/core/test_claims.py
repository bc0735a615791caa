"""Claims read off tables: outcomes of intervals and orders, what differs from the published ones."""

import numpy as np
import pandas as pd
import pytest

from adathresh.experiments.core.claims import (
    ABOVE,
    BELOW,
    LEVEL,
    as_table,
    claims_differ,
    interval_claims,
    order_claim,
    yes_claim,
)


def intervals(*rows):
    return pd.DataFrame(rows, columns=["b", "difference", "low", "high"])


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.1, 0.3, ABOVE),
        (-0.3, -0.1, BELOW),
        (-0.1, 0.1, LEVEL),
        (0.0, 0.2, LEVEL),  # an interval that ends in 0 holds it
        (-0.2, 0.0, LEVEL),
        (0.0, 0.0, LEVEL),
        (np.nan, np.nan, LEVEL),
    ],
)
def test_an_interval_lies_above_or_below_0_or_holds_it(low, high, outcome):
    (claim,) = interval_claims(intervals(("SCut", (low + high) / 2, low, high)), "ours minus {b}")
    assert claim["claim"] == "ours minus SCut"
    assert claim["outcome"] == outcome


def test_seeds_are_averaged_and_wordings_stand_in_the_order_of_the_rows():
    frame = intervals(
        ("z", 0.2, 0.1, 0.3), ("a", -0.2, -0.3, -0.1), ("z", -0.1, -0.3, 0.1), ("a", -0.4, -0.5, -0.3)
    )
    first, second = interval_claims(frame, "minus {b}")
    assert (first["claim"], first["outcome"]) == ("minus z", LEVEL)  # -0.1 to 0.2 in the mean
    assert first["figures"] == "+0.0500 (-0.1000 to +0.2000)"
    assert (second["claim"], second["outcome"]) == ("minus a", BELOW)


def test_a_wording_that_names_a_missing_column_is_an_error():
    with pytest.raises(KeyError, match="base"):
        interval_claims(intervals(("a", 0.0, 0.0, 0.0)), "{base} minus {b}")


def test_an_order_from_the_greatest_to_the_smallest():
    claim = order_claim("F1", {"small": 0.1, "great": 0.3, "middle": 0.2})
    assert claim == {
        "claim": "F1",
        "outcome": "great > middle > small",
        "figures": "great 0.300, middle 0.200, small 0.100",
    }
    assert order_claim("F1", pd.Series({"a": 1.0}))["outcome"] == "a"


def test_values_that_round_alike_are_equal_and_stand_by_name():
    assert order_claim("F1", {"b": 0.12344, "a": 0.12336, "c": 0.5})["outcome"] == "c > a = b"
    values = {"b": 0.1239, "a": 0.1231, "c": 0.5}
    assert order_claim("F1", values)["outcome"] == "c > b > a"
    assert order_claim("F1", values, digits=2)["outcome"] == "c > a = b"


def test_a_missing_value_comes_last():
    assert order_claim("F1", {"a": np.nan, "b": -1.0})["outcome"].startswith("b > a")


@pytest.mark.parametrize(("holds", "outcome"), [(True, "yes"), (np.True_, "yes"), (False, "no")])
def test_something_is_so_or_not(holds, outcome):
    assert yes_claim("it rains", holds, "1 mm") == {
        "claim": "it rains",
        "outcome": outcome,
        "figures": "1 mm",
    }


def table(**outcomes):
    return as_table([{"claim": name, "outcome": value, "figures": ""} for name, value in outcomes.items()])


def test_equal_outcomes_do_not_differ_whatever_their_figures_and_order():
    here, published = table(a="yes", b="no"), table(b="no", a="yes")
    here["figures"] = "others"
    assert claims_differ(here, published) == []


def test_what_differs_or_is_claimed_on_one_side_only_is_named():
    assert claims_differ(table(a="yes", new="no"), table(a="no", gone="yes")) == [
        "a: yes here, no published",
        "gone: not claimed here, yes published",
        "new: no here, not claimed published",
    ]
    assert claims_differ(table(a="yes"), table()) == ["a: yes here, not claimed published"]
    assert claims_differ(table(), table(a="yes")) == ["a: not claimed here, yes published"]


def test_what_is_claimed_twice_is_refused():
    claim = yes_claim("it rains", True, "")
    with pytest.raises(ValueError, match="claimed twice: it rains"):
        as_table([claim, yes_claim("it snows", True, ""), claim])


def test_no_claims_are_an_empty_table():
    assert list(as_table([])) == ["claim", "outcome", "figures"]
