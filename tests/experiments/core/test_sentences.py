"""Words for differences: signs, intervals, lists."""

import pandas as pd
import pytest

from adathresh.experiments.core.sentences import (
    counted,
    effect,
    listed,
    mean_differences,
    percent,
    signed,
    with_interval,
)

ROW = {"difference": 0.01234, "low": -0.001, "high": 0.03}


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "+0.0123"), (-0.5, "−0.5000"), (0.0, "+0.0000"), (1, "+1.0000")]
)
def test_a_difference_has_a_sign(value, text):
    assert signed(value) == text


def test_a_difference_has_its_interval():
    assert with_interval(ROW) == "+0.0123 (−0.0010 to +0.0300)"
    assert with_interval(ROW, named=True) == "+0.0123 (95 % interval −0.0010 to +0.0300)"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.01, 0.02, "add macro-F1"),
        (-0.02, -0.01, "cost macro-F1"),
        (-0.01, 0.02, "have no effect on macro-F1 that can be told from chance"),
    ],
)
def test_an_effect_is_told_by_its_interval(low, high, text):
    assert effect({"low": low, "high": high}) == text


def test_repetitions_are_averaged_in_order():
    frame = pd.DataFrame({"b": ["z", "a", "z"], "difference": [1, 2, 3], "low": [0, 1, 2], "high": [2, 3, 4]})
    found = mean_differences(frame, "b")
    assert found.index.tolist() == ["z", "a"]
    assert found.loc["z"].tolist() == [2, 1, 3]


@pytest.mark.parametrize(
    ("words", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(words, text):
    assert listed(iter(words)) == text


def test_counts_and_shares():
    assert counted(1, "row") == "1 row"
    assert counted(0, "row") == "0 rows"
    assert counted(1_368, "label") == "1,368 labels"
    assert (percent(0.505), percent(1), percent(0)) == ("50 %", "100 %", "0 %")
