from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from adathresh.experiments.plotting import (
    COLOURS,
    plot_bars_by_bin,
    plot_longtail,
    plot_reliability,
    plot_training_curves,
    use_style,
)


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        use_style()
        yield
    plt.close("all")


def assert_labelled(figure):
    figure.canvas.draw()
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_style_uses_distinguishable_colours():
    assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(COLOURS)
    assert len(set(COLOURS)) == len(COLOURS)


def test_longtail_sorts_and_counts():
    figure = plot_longtail([0, 5, 200, 30, 5, 0, 1])
    assert_labelled(figure)
    axes = figure.axes[0]
    assert axes.lines[0].get_ydata().tolist() == [200, 30, 5, 5, 1]
    assert texts(axes) == ["5 labels seen in training", "2 labels never seen in training"]
    assert [a.get_text() for a in axes.texts] == ["≥ 6: 2 labels", "≥ 21: 2 labels", "≥ 101: 1 labels"]


def test_reliability_draws_every_model():
    points = np.array([0.1, 0.5, 0.9])
    figure = plot_reliability({"a": (points, points**2), "b": (points, points, [100, 10, 1])})
    assert_labelled(figure)
    assert texts(figure.axes[0]) == ["perfectly calibrated", "a", "b"]
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), points**2)


def test_bars_stand_side_by_side_around_their_bin():
    values = {"fixed": [0.1, 0.2], "tuned": [0.3, 0.4], "ours": [0.5, 0.6]}
    figure = plot_bars_by_bin(values, bins=["1–5", ">100"], errors={"ours": [0.01, 0.02]})
    assert_labelled(figure)
    axes = figure.axes[0]
    first = [container[0] for container in axes.containers if hasattr(container, "patches")]
    assert [bar.get_height() for bar in first] == [0.1, 0.3, 0.5]
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in first]
    assert edges[0][0] == pytest.approx(-0.4)
    assert edges[-1][1] == pytest.approx(0.4)
    assert all(left[1] == pytest.approx(right[0]) for left, right in pairwise(edges))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1–5", ">100"]


def test_more_bars_than_colours():
    assert_labelled(plot_bars_by_bin({str(i): [1.0] for i in range(9)}, bins=["all"]))


def test_training_curves_one_panel_each():
    figure = plot_training_curves({"epoch": [1, 2], "loss": [0.5, 0.4], "macro_f1": [0.1, 0.2]})
    assert_labelled(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "macro_f1"]
    assert figure.axes[1].lines[0].get_xdata().tolist() == [1, 2]


def test_training_curves_grouped():
    history = {name: [1.0, 2.0, 3.0] for name in "abcd"}
    figure = plot_training_curves(
        history, panels={"both": ["a", "b"], "c": ["c"], "d": ["d"], "again": ["a"]}
    )
    assert_labelled(figure)
    assert len(figure.axes) == 4
    assert texts(figure.axes[0]) == ["a", "b"]
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]


def test_training_curves_unknown_quantity():
    with pytest.raises(ValueError, match="history has no 'lambda'; it holds loss"):
        plot_training_curves({"loss": [1.0]}, panels={"λ": ["lambda"]})
