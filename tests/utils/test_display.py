"""Small tables: the same words and numbers as text and as HTML, nothing read as markup."""

import numpy as np
import pytest
from helpers import HTMLTable

from adathresh.utils.display import Table

COLUMNS = [("rule", ""), ("macro-F1", ".3f"), ("rows", "d")]
ROWS = [("fixed 0.5", 0.25, 7), ("adaptive", np.float32(0.53345), np.int64(12_000)), ("none", None, 0)]


def test_text_and_html_say_the_same():
    table = Table(COLUMNS, ROWS, "Test rows")
    text = [
        "Test rows",
        "rule       macro-F1   rows",
        "fixed 0.5     0.250      7",
        "adaptive      0.533  12000",
        "none                     0",
    ]
    assert str(table).splitlines() == repr(table).splitlines() == text
    shown = HTMLTable(table._repr_html_())
    assert shown.caption == text[0]
    assert [" ".join(filter(None, cells)) for cells in shown.lines] == [" ".join(t.split()) for t in text[1:]]
    assert shown.lines[3] == ["none", "", "0"]


def test_numbers_stand_to_the_right():
    shown = HTMLTable(Table(COLUMNS, ROWS)._repr_html_())
    assert shown.sides == [["left", "right", "right"]] * 4
    assert "caption" not in shown.tags


def test_nothing_is_read_as_markup():
    bad = '<script>alert("a & b")</script>'
    page = Table([(bad, ""), (bad, ".1f")], [(bad, 1.0)], bad)._repr_html_()
    assert "<script" not in page
    shown = HTMLTable(page)
    assert set(shown.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert (shown.caption, shown.lines) == (bad, [[bad, bad], [bad, "1.0"]])


def test_a_table_without_lines_is_its_head():
    assert str(Table(COLUMNS, [])) == "rule  macro-F1  rows"
    assert HTMLTable(Table(COLUMNS, [])._repr_html_()).lines == [["rule", "macro-F1", "rows"]]


def test_a_line_with_too_few_cells_is_refused():
    for show in (str, Table._repr_html_):
        with pytest.raises(ValueError, match=r"argument 2 is longer"):
            show(Table(COLUMNS, [("fixed 0.5", 0.25)]))


def test_bold_cells_are_bold_in_html_and_plain_in_text():
    table = Table(COLUMNS, ROWS, bold={(1, 1)})
    assert table._repr_html_().count("<b>") == 1
    assert '<td style="text-align: right"><b>0.533</b></td>' in table._repr_html_()
    assert str(table) == str(Table(COLUMNS, ROWS))
