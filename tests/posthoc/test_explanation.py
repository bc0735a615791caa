"""How an explanation is shown."""

import dataclasses

import pytest
from helpers import HTMLTable

from adathresh.posthoc import Explanation


@pytest.fixture
def found():
    return Explanation(
        label=3,
        score=0.12345,
        threshold=-1.5,
        base_term=1.234,
        rarity_term=-0.5,
        neighbor_term=0.25,
        text_term=0.0,
        fused_threshold=-2.0,
        predicted=True,
    )


def test_the_table_says_what_the_text_says(found):
    assert repr(found) == str(found)
    headline, *lines = str(found).splitlines()
    shown = HTMLTable(found._repr_html_())
    assert shown.caption == headline == "label 3 is predicted: margin +2.98, in fused logits"
    head, *cells = shown.lines
    assert head == ["term", "value"]
    assert [(value, term) for term, value in cells] == [tuple(line.split(maxsplit=1)) for line in lines]
    assert cells[0] == ["base score (probability 0.123)", "+1.23"]
    assert sum(float(value) for _, value in cells) == pytest.approx(found.margin, abs=0.025)


def test_the_name_of_a_label_is_no_markup(found):
    found = dataclasses.replace(found, label_name="<b>cats & dogs</b>", predicted=False)
    page = found._repr_html_()
    assert "<b>" not in page
    assert HTMLTable(page).caption.startswith("label 3 (<b>cats & dogs</b>) is not predicted: ")
