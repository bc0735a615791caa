"""Evaluations and comparisons as tables: names to read, and the numbers that were given."""

import numpy as np
import pytest
from helpers import HTMLTable

from adathresh.metrics import (
    comparison_table,
    evaluate,
    evaluation_table,
    macro_auroc_interval,
    paired_bootstrap,
    paired_macro_auroc,
)
from adathresh.metrics.tables import METRIC_NAMES


@pytest.fixture
def results(make_case):
    Y, P, scores, _, _ = make_case(0)
    everything = evaluate(Y, P, scores, np.arange(9) * 20, n_train=200)
    return {"fixed <0.5>": evaluate(Y, Y * 0), "all metrics": everything}


def test_what_is_shown_is_what_was_evaluated(results):
    table = evaluation_table(results)
    head, *lines = HTMLTable(table._repr_html_()).lines
    assert head == ["metric", "fixed <0.5>", "all metrics"]
    expected = {
        METRIC_NAMES[metric]: [f"{results['fixed <0.5>'][metric]:.3f}" if i < 4 else "", f"{value:.3f}"]
        for i, (metric, value) in enumerate(results["all metrics"].items())
    }
    assert {name: [one, other] for name, one, other in lines} == expected
    assert [line.split() for line in str(table).splitlines()] == [
        " ".join(filter(None, cells)).split() for cells in (head, *lines)
    ]


def test_results_stay_plain_dicts(results, make_case):
    Y, P, *_ = make_case(0)
    assert [type(found) for found in results.values()] == [dict, dict]
    compared = paired_bootstrap(Y, P, {"none": Y * 0}, n_draws=10)
    assert (type(compared), type(compared["none"])) == (dict, dict)


def test_every_metric_has_a_name_of_its_own_to_read(results, make_case):
    Y, _, scores, _, _ = make_case(0)
    areas = macro_auroc_interval(Y, scores, train_frequency=np.arange(9) * 20)
    assert set(results["all metrics"]) | set(areas) == set(METRIC_NAMES)
    assert len(set(METRIC_NAMES.values())) == len(METRIC_NAMES)
    assert not [name for name in METRIC_NAMES.values() if "_" in name]


def test_a_metric_of_ones_own_keeps_its_name():
    assert str(evaluation_table({0: {"my_metric": 0.25}})).split() == ["metric", "0", "my_metric", "0.250"]


def test_comparisons_show_the_interval_and_its_side(make_case):
    Y, P, scores, _, _ = make_case(0)
    found = paired_bootstrap(Y, P, {"nothing": Y * 0, "perfect": Y, "itself": P}, n_draws=50)
    found["close"] = {"difference": 0.01, "low": -0.02, "high": 0.04}
    found["unknown"] = {"difference": 0.1, "low": float("nan"), "high": float("nan")}
    head, *lines = HTMLTable(comparison_table(found)._repr_html_()).lines
    assert head == ["compared with", "difference", "low", "high", "ours is"]
    assert [line[:4] for line in lines] == [
        [name, *(f"{value:+.3f}" for value in each.values())] for name, each in found.items()
    ]
    assert [line[4] for line in lines] == ["greater", "less", "level", "level", "not known"]
    areas = comparison_table(paired_macro_auroc(Y, scores, 1 - scores))
    assert str(areas).splitlines()[1].startswith("macro-AUROC ")


@pytest.mark.parametrize(
    ("show", "name", "example"),
    [
        (evaluation_table, "results", r"\{'mine': evaluate\(\.\.\.\)\}"),
        (comparison_table, "differences", "what paired_bootstrap returns"),
    ],
)
@pytest.mark.parametrize("wrong", [{"macro_f1": 0.5}, [0.5], None])
def test_other_things_are_refused(show, name, example, wrong):
    with pytest.raises(TypeError, match=rf"^{name} must be a dict of dicts by name, such as {example}\."):
        show(wrong)


@pytest.mark.parametrize("lacking", ["difference", "low", "high"])
def test_a_comparison_without_its_interval_is_refused(lacking):
    whole = {"difference": 0.1, "low": 0.0, "high": 0.2}
    part = {name: value for name, value in whole.items() if name != lacking}
    with pytest.raises(ValueError, match=r"differences\['rival'\] must have each of difference, low, high"):
        comparison_table({"other": whole, "rival": part})
