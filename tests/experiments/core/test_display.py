"""How notebooks show tables: means with deviations, names in words, the best values in bold."""

import numpy as np
import pandas as pd
from helpers import HTMLTable

from adathresh.experiments.core.display import crossed, shown, summarize

ROWS = [
    {"rule": "z", "base": "linear", "seed": 0, "macro_f1": 0.1, "ece": 0.5, "n_labels": 3},
    {"rule": "z", "base": "linear", "seed": 1, "macro_f1": 0.3, "ece": 0.5, "n_labels": 3},
    {"rule": "a", "base": "linear", "seed": 0, "macro_f1": 0.25, "ece": 0.125, "n_labels": 9},
    {"rule": "a", "base": "network", "seed": 0, "macro_f1": 0.2, "ece": 0.25, "n_labels": 9},
]


def text(table):
    return [name for name, _ in table.columns], [list(line) for line in table.rows]


def test_a_summary_averages_over_seeds_and_keeps_the_order():
    table = summarize(ROWS[:3], caption="c", by=["rule"], metrics=["macro_f1", "ece", "n_labels"], digits=2)
    assert text(table) == (
        ["rule", "macro-F1", "ECE", "n labels"],
        [["z", "0.20 ± 0.14", "0.50 ± 0.00", "3.00 ± 0.00"], ["a", "0.25", "0.12", "9.00"]],
    )
    assert str(table).startswith("c\n")


def test_the_best_of_each_measure_is_bold_and_no_other_number():
    table = summarize(ROWS[:3], caption="c", by=["rule"], metrics=["macro_f1", "ece", "n_labels"])
    assert set(table.bold) == {(1, 1), (1, 2)}  # the greatest macro-F1, the least ECE
    page = table._repr_html_()
    assert [part.split("</b>")[0] for part in page.split("<b>")[1:]] == ["0.250", "0.125"]


def test_of_errors_the_least_is_bold():
    rows = [{"rule": "a", "brier_candidates": 0.2}, {"rule": "b", "brier_candidates": 0.1}]
    assert set(summarize(rows, caption="", by=["rule"], metrics=["brier_candidates"]).bold) == {(1, 1)}


def test_what_is_shown_alike_is_bold_alike():
    rows = [{"rule": name, "macro_f1": value} for name, value in (("a", 0.30004), ("b", 0.29996), ("c", 0.2))]
    assert set(summarize(rows, caption="", by=["rule"], metrics=["macro_f1"]).bold) == {(0, 1), (1, 1)}
    assert not summarize(
        rows[:1], caption="", by=["rule"], metrics=["macro_f1"]
    ).bold  # nothing to be best of


def test_a_crossed_table_has_a_column_for_each_base_model():
    table = crossed(ROWS, caption="macro-F1", metric="macro_f1", digits=2)
    assert text(table) == (
        ["rule", "linear", "network"],
        [["z", "0.20 ± 0.14", "–"], ["a", "0.25", "0.20"]],
    )
    assert set(table.bold) == {(1, 1), (1, 2)}


def test_a_frame_is_shown_without_row_numbers():
    frame = pd.DataFrame(
        {"peak_memory_mb": [1234.5, np.nan], "n": [1_000, 2], "ok": [True, False], "b": ["x", None]}
    )
    assert text(shown(frame, caption="", digits=1)) == (
        ["peak memory (MB)", "n", "ok", "compared with"],
        [["1,234.5", "1,000", "yes", "x"], ["–", "2", "no", "–"]],
    )
    assert HTMLTable(shown(frame, caption="")._repr_html_()).sides[1] == ["right", "right", "right", "left"]


def test_a_named_index_is_the_first_column():
    frame = pd.DataFrame({"macro_f1": [0.5]}, index=pd.Index(["linear"], name="base"))
    assert text(shown(frame, caption="")) == (["base", "macro-F1"], [["linear", "0.500"]])


def test_whole_numbers_stay_whole_beside_others():
    rows = [{"statistic": "rows", "value": 5_822}, {"statistic": "labels a row", "value": 5.0582}]
    table = shown(rows, caption="")
    assert text(table)[1] == [["rows", "5,822"], ["labels a row", "5.058"]]
    assert HTMLTable(table._repr_html_()).sides[1] == ["left", "right"]


def test_a_small_number_is_not_shown_as_0():
    rows = [{"strength": 0.003}, {"strength": 0.0}, {"strength": -0.004}, {"strength": 30.0}]
    assert text(shown(rows, caption="", digits=2))[1] == [["0.003"], ["0.00"], ["-0.004"], ["30.00"]]
