"""Published figures: what is said of each, and that none but one is the paper's."""

import pytest

from adathresh.datasets.downloads import SOURCES
from adathresh.experiments.nb02_baselines.published import published_rows


@pytest.mark.parametrize("dataset", ["eurlex57k", "amazoncat-13k", "rcv1", "reuters21578", "goemotions"])
def test_every_figure_names_its_protocol_and_source(dataset):
    rows = published_rows(dataset)
    assert rows
    for row in rows:
        assert row["dataset"] == dataset
        assert row["origin"] == "published"
        assert row["protocol"]
        assert row["source"]
        published = [row[name] for name in ("macro_f1", "micro_f1") if row[name] is not None]
        assert published
        assert all(0 < value < 1 for value in published)


def test_nothing_is_made_up_for_other_data():
    assert published_rows("pyapi") == []


def test_nothing_but_one_figure_is_attributed_to_the_paper():
    rows = [row for name in SOURCES for row in published_rows(name)]
    of_the_paper = [row for row in rows if "2505.03118" in row["source"]]
    assert [(row["dataset"], row["macro_f1"]) for row in of_the_paper] == [("amazoncat-13k", 0.1712)]
    assert "training file" in of_the_paper[0]["protocol"]
