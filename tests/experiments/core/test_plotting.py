"""Figures: what is drawn, where it stands, what is written beside it."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from adathresh.experiments.core.plotting import (
    COLOR_OF,
    COLORS,
    MARKERS,
    described,
    plot_bars_by_bin,
    plot_differences,
    plot_dumbbells,
    plot_explanation,
    plot_longtail,
    plot_points,
    plot_reliability,
    plot_threshold_maps,
    plot_tradeoff,
    plot_training_curves,
    use_style,
)
from adathresh.posthoc.explanation import Explanation


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
    assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(COLORS)
    assert len(set(COLORS)) == len(COLORS)


def test_longtail_sorts_and_counts():
    figure = plot_longtail([0, 5, 200, 30, 5, 0, 1])
    assert_labelled(figure)
    axes = figure.axes[0]
    assert axes.lines[0].get_ydata().tolist() == [200, 30, 5, 5, 1]
    assert texts(axes) == ["5 labels seen in training", "2 labels never seen in training"]
    assert [a.get_text() for a in axes.texts] == ["≥ 6: 2 labels", "≥ 21: 2 labels", "≥ 101: 1 labels"]


def test_reliability_draws_every_model():
    points = np.array([0.1, 0.5, 0.9])
    figure = plot_reliability({"all": {"a": (points, points**2), "b": (points, points, [100, 10, 1])}})
    assert_labelled(figure)
    (axes,) = figure.axes
    assert axes.get_title() == "all"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "perfectly calibrated"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), points**2)
    np.testing.assert_allclose(axes.collections[0].get_offsets(), np.column_stack([points, points**2]))
    sizes = axes.collections[1].get_sizes()
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_reliability_axes_are_equal_and_logarithmic_and_hold_every_bin():
    figure = plot_reliability({"all": {"a": ([1e-5, 0.02, 0.7], [1e-4, 0.01, 0.99])}})
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_aspect() == 1
    assert axes.get_xlim() == axes.get_ylim()
    low, high = axes.get_xlim()
    assert 0 < low < 1e-5
    assert high > 0.99
    diagonal = axes.lines[-1]
    np.testing.assert_allclose([diagonal.get_xdata(), diagonal.get_ydata()], [[low, high]] * 2)


def test_reliability_leaves_bins_without_a_place_on_the_axes_out():
    curve = ([0.0, 0.01, 0.1, 0.5], [0.2, 0.0, 0.2, 0.4], [4, 3, 2, 1])
    (axes,) = plot_reliability({"all": {"a": curve}}).axes
    assert axes.lines[0].get_xdata().tolist() == [0.1, 0.5]
    assert axes.lines[0].get_ydata().tolist() == [0.2, 0.4]
    # markers are sized among all bins, so that a small rest looks small
    np.testing.assert_allclose(axes.collections[0].get_sizes(), [15 + 85 / 2, 15 + 85 / 4])


@pytest.mark.slow
def test_reliability_has_a_panel_for_every_part():
    points = np.array([0.1, 0.5])
    figure = plot_reliability({name: {"a": (points, points / (i + 1))} for i, name in enumerate("xyz")})
    assert [axes.get_title() for axes in figure.axes] == ["x", "y", "z"]
    for i, axes in enumerate(figure.axes):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), points / (i + 1))


@pytest.mark.parametrize("curve", [([], []), ([0.1], [0.0]), ([0.1], [0.0], [5])])
def test_reliability_without_anything_to_draw(curve):
    figure = plot_reliability({"all": {"a": curve}})
    assert_labelled(figure)
    assert len(figure.axes[0].lines[0].get_xdata()) == 0


def test_bars_stand_side_by_side_around_their_bin():
    values = {"fixed": [0.1, 0.2], "tuned": [0.3, 0.4], "ours": [0.5, 0.6]}
    figure = plot_bars_by_bin(values, bins=["1–5", ">100"])
    assert_labelled(figure)
    axes = figure.axes[0]
    first = [container[0] for container in axes.containers if hasattr(container, "patches")]
    assert [bar.get_height() for bar in first] == [0.1, 0.3, 0.5]
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in first]
    assert edges[0][0] == pytest.approx(-0.4)
    assert edges[-1][1] == pytest.approx(0.4)
    assert all(left[1] == pytest.approx(right[0]) for left, right in pairwise(edges))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1–5", ">100"]


def test_intervals_of_bars_are_drawn_from_end_to_end():
    values = {"fixed": [0.1, 0.2], "ours": [0.5, 0.6]}
    intervals = {"ours": ([0.4, 0.58], [0.52, 0.9])}
    (axes,) = plot_bars_by_bin(values, bins=["1–5", ">100"], intervals=intervals).axes
    (lines,) = axes.collections
    ours = axes.containers[1]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ours]
    drawn = [[tuple(point) for point in segment] for segment in lines.get_segments()]
    ends = zip(middles, *intervals["ours"], strict=True)
    np.testing.assert_allclose(drawn, [[(x, low), (x, high)] for x, low, high in ends])


def test_a_bin_without_any_value_is_left_out():
    nan = float("nan")
    values = {"fixed": [nan, 0.2, nan], "ours": [nan, nan, 0.6]}
    intervals = {"ours": ([nan, nan, 0.3], [nan, nan, 0.7])}
    figure = plot_bars_by_bin(values, bins=["0", "1–5", ">100"], intervals=intervals)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1–5", ">100"]
    heights = [
        [bar.get_height() for bar in container]
        for container in axes.containers
        if hasattr(container, "patches")
    ]
    np.testing.assert_array_equal(heights, [[0.2, nan], [nan, 0.6]])


def test_a_bin_where_all_are_zero_is_left_out_and_said():
    figure = plot_bars_by_bin({"fixed": [0.0, 0.2], "ours": [0.0, 0.3]}, bins=["0", "1–5"], xlabel="rows")
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1–5"]
    assert axes.get_xlabel() == "rows (left out: 0, where all are 0)"


def test_a_rule_has_one_colour_in_every_figure():
    some = plot_bars_by_bin({"PCut": [0.1], "adaptive": [0.2], "fixed 0.5": [0.3]}, bins=["all"])
    others = plot_bars_by_bin({"adaptive": [0.2], "SCut": [0.1]}, bins=["all"])
    colours = [
        {bars.get_label(): to_hex(bars.patches[0].get_facecolor()) for bars in figure.axes[0].containers}
        for figure in (some, others)
    ]
    assert colours[0]["adaptive"] == colours[1]["adaptive"] == COLOR_OF["adaptive"].lower()
    assert colours[0]["fixed 0.5"] == COLOR_OF["fixed 0.5"].lower()
    assert len(set(colours[0].values())) == 3


def test_points_without_intervals_begin_at_zero_and_leaks_are_vermilion():
    frame = pd.DataFrame({"way": ["released, best epoch", "labels withheld"], "macro_f1": [0.25, 0.24]})
    (axes,) = plot_points(frame, names="way", panels={"macro_f1": "macro-F1"}).axes
    assert axes.get_xlim()[0] == 0
    shades = [to_hex(colour) for colour in axes.collections[1].get_facecolor()]
    assert shades == [COLOR_OF["released"].lower(), COLOR_OF["labels withheld"].lower()]


def test_described_names_axes_lines_and_what_is_compared():
    figure = plot_bars_by_bin({"fixed": [0.1], "ours": [0.2]}, bins=["1–5"])
    assert described(figure) == "Axes: macro-F1 against training rows with the label. Compared: fixed; ours."
    frame = pd.DataFrame({"b": ["PCut", "SCut"], "difference": [0.1, 0.2], "low": 0.0, "high": 0.3})
    said = "Axes: difference in macro-F1, 95 % interval. Lines: PCut; SCut."
    assert described(plot_differences(frame)) == said


def test_more_bars_than_colours():
    assert_labelled(plot_bars_by_bin({str(i): [1.0] for i in range(9)}, bins=["all"]))


def test_training_curves_one_panel_each():
    figure = plot_training_curves({"epoch": [1, 2], "loss": [0.5, 0.4], "macro_f1": [0.1, 0.2]})
    assert_labelled(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "macro_f1"]
    assert figure.axes[1].lines[0].get_xdata().tolist() == [1, 2]


def test_training_curves_grouped():
    history = {name: [1.0, 2.0, 3.0] for name in "abcd"}
    panels = {"both": {"a": "first", "b": "second"}, "c": {"c": "c"}, "d": {"d": "d"}, "again": {"a": "a"}}
    figure = plot_training_curves(history, panels=panels)
    assert_labelled(figure)
    assert len(figure.axes) == 4
    assert texts(figure.axes[0]) == ["first", "second"]
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]


def test_training_curves_unknown_quantity():
    with pytest.raises(ValueError, match="history has no 'lambda'; it holds loss"):
        plot_training_curves({"loss": [1.0]}, panels={"λ": {"lambda": "λ"}})


def tradeoff_rows():
    rows = [("linear", "fixed", 0.4, 0.1), ("linear", "tuned", 0.5, 0.3), ("network", "fixed", 0.6, 0.2)]
    return pd.DataFrame(rows, columns=["base", "rule", "micro_f1", "macro_f1"])


def test_tradeoff_marks_every_combination():
    figure = plot_tradeoff(tradeoff_rows())
    assert_labelled(figure)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("micro-F1", "macro-F1")
    drawn = [(tuple(c.get_offsets()[0]), to_hex(c.get_facecolor()[0]).upper()) for c in axes.collections]
    assert drawn == [((0.4, 0.1), COLORS[0]), ((0.5, 0.3), COLORS[0]), ((0.6, 0.2), COLORS[1])]
    outlines = [len(c.get_paths()[0].vertices) for c in axes.collections]
    assert outlines[0] == outlines[2] != outlines[1]  # circle and square
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < 0.4 < 0.6 < right  # no point on the frame
    assert bottom < 0.1 < 0.3 < top
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["linear", "network", "fixed", "tuned"]
    colours = [handle.get_color() for handle in legend.legend_handles]
    assert colours == [*COLORS[:2], "0.4", "0.4"]
    assert [handle.get_marker() for handle in legend.legend_handles[2:]] == list(MARKERS[:2])


def test_tradeoff_averages_repetitions_and_takes_other_columns():
    frame = pd.concat([tradeoff_rows(), tradeoff_rows().assign(micro_f1=0.0, macro_f1=0.5)])
    (axes,) = plot_tradeoff(frame, x="macro_f1", y="micro_f1", color="rule", marker="base").axes
    assert axes.get_ylabel() == "micro-F1"
    points = sorted(tuple(c.get_offsets()[0].round(6)) for c in axes.collections)
    assert points == [(0.3, 0.2), (0.35, 0.3), (0.4, 0.25)]


def test_tradeoff_has_a_mark_for_each_of_eight_rules():
    rows = [("linear", str(i), i / 10, i / 10) for i in range(8)]
    figure = plot_tradeoff(pd.DataFrame(rows, columns=["base", "rule", "micro_f1", "macro_f1"]))
    assert len({c.get_paths()[0].vertices.tobytes() for c in figure.axes[0].collections}) == 8
    assert len(figure.legends[0].get_texts()) == 9


def test_differences_stand_in_order_with_their_intervals():
    rows = [("z", 0.2, 0.1, 0.3), ("a", 0.1, -0.1, 0.3), ("m", -0.2, -0.3, -0.1), ("z", 0.4, 0.3, 0.5)]
    frame = pd.DataFrame(rows, columns=["b", "difference", "low", "high"])
    figure = plot_differences(frame)
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["z", "a", "m"]
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first row on top
    zero, *drawn = axes.lines
    assert zero.get_xdata() == [0, 0]
    intervals, points = drawn[::2], drawn[1::2]
    np.testing.assert_allclose([i.get_xdata() for i in intervals], [[0.2, 0.4], [-0.1, 0.3], [-0.3, -0.1]])
    assert [list(i.get_ydata()) for i in intervals] == [[0, 0], [1, 1], [2, 2]]
    np.testing.assert_allclose([p.get_xdata()[0] for p in points], [0.3, 0.1, -0.2])
    filled = [to_hex(p.get_markerfacecolor()) == COLORS[0].lower() for p in points]
    assert filled == [True, False, True]  # where the interval leaves 0 out
    assert figure.get_supxlabel() == "difference in macro-F1, 95 % interval"


def test_differences_by_another_column():
    frame = pd.DataFrame({"name": ["x"], "difference": [0.0], "low": [0.0], "high": [0.1]})
    figure = plot_differences(frame, names="name", xlabel="difference in micro-F1")
    assert figure.get_supxlabel() == "difference in micro-F1, 95 % interval"
    assert figure.axes[0].lines[2].get_markerfacecolor() == "white"  # an interval that ends in 0 holds it


def mean_cells(figure):
    """Return the mesh's cells as a masked array, shares by frequencies, and the edges of both."""
    mesh = figure.axes[0].collections[0]
    corners = mesh.get_coordinates()
    return np.ma.masked_invalid(mesh.get_array()), corners[0, :, 0], corners[:, 0, 1]


@pytest.mark.slow
def test_threshold_map_against_loops():
    rng = np.random.default_rng(0)
    frequency = rng.choice([0, 1, 2, 3, 7, 20, 90, 500], size=2_000)
    share = rng.choice([0.0, 0.05, 0.33, 0.5, 0.97, 1.0], size=2_000)
    pairs = pd.DataFrame({"frequency": frequency, "share": share, "theta": rng.normal(size=2_000)})
    figure = plot_threshold_maps({"ours": pairs}, min_pairs=40)
    axes, bar = figure.axes
    assert axes.get_title() == "ours"
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "training rows with the label",
        "share among the neighbours",
    )
    assert axes.get_xscale() == "log"
    assert bar.get_ylabel() == "mean threshold θ (logit)"
    cells, x_edges, y_edges = mean_cells(figure)
    n_pairs = n_shown = 0
    for i in range(len(y_edges) - 1):
        for j in range(len(x_edges) - 1):
            last = 1.0 if i == len(y_edges) - 2 else -1.0  # only the last bin holds its upper end
            inside = [
                theta
                for f, k, theta in pairs.itertuples(index=False)
                if x_edges[j] <= max(f, x_edges[0]) < x_edges[j + 1]
                and (y_edges[i] <= k < y_edges[i + 1] or k == last)
            ]
            n_pairs += len(inside)
            if len(inside) < 40:
                assert cells.mask[i, j]
            else:
                n_shown += 1
                assert cells[i, j] == pytest.approx(np.mean(inside))
    assert n_pairs == 2_000  # every pair has its cell, those of labels never seen included
    assert 0 < n_shown < cells.size


def test_threshold_map_hides_cells_of_few_pairs():
    pairs = pd.DataFrame({"frequency": [3] * 20 + [50] * 19, "share": 0.5, "theta": 1.0})
    assert mean_cells(plot_threshold_maps({"ours": pairs}))[0].count() == 1
    assert mean_cells(plot_threshold_maps({"ours": pairs}, min_pairs=19))[0].count() == 2
    figure = plot_threshold_maps({"ours": pairs}, label="θ")
    assert figure.axes[1].get_ylabel() == "θ"


def test_threshold_maps_share_one_scale():
    pairs = pd.DataFrame({"frequency": [3] * 20 + [50] * 20, "share": 0.5, "theta": [0.0] * 20 + [1.0] * 20})
    figure = plot_threshold_maps({"narrow": pairs, "wide": pairs.assign(theta=5 * pairs["theta"])})
    assert [axes.collections[0].get_clim() for axes in figure.axes[:2]] == [(0, 5), (0, 5)]


def make_explanation(**changes):
    values = {
        "base_term": 1.5,
        "rarity_term": -4.0,
        "neighbor_term": 1.0,
        "text_term": 0.0,
        "fused_threshold": -2.0,
    }
    about = {"label": 3, "score": 0.0312, "threshold": -0.5, "predicted": True}
    return Explanation(**(about | values | changes))


def drawn_bars(axes):
    """Return left end, right end and colour of every bar, from the top."""
    bars = [container[0] for container in axes.containers]
    spans = [sorted([bar.get_x(), bar.get_x() + bar.get_width()]) for bar in bars]
    colours = [to_hex(bar.get_facecolor()).upper() for bar in bars]
    return [(*np.round(span, 6), colour) for span, colour in zip(spans, colours, strict=True)]


def test_explanation_adds_up_from_zero_to_the_margin():
    figure = plot_explanation(make_explanation(), title="Why $this?")
    assert_labelled(figure)
    (axes,) = figure.axes
    up, down, margin = COLORS[0], COLORS[1], COLORS[2]
    assert drawn_bars(axes) == [(0, 1.5, up), (-2.5, 1.5, down), (-2.5, -1.5, up), (-2, -1.5, margin)]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "base score (0.031)",
        "label's rarity",
        "neighbours' labels",
        "margin over the threshold",
    ]
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first term on top
    assert [t.get_text() for t in axes.texts] == ["threshold −2.00", "+1.50", "−4.00", "+1.00", "+0.50"]
    (threshold,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert list(threshold.get_xdata()) == [-2, -2]
    assert axes.get_xlabel() == "fused logit (predicted)"
    assert figure.get_suptitle() == "Why $this?"


def test_explanation_keeps_what_is_written_inside_the_frame():
    figure = plot_explanation(make_explanation(rarity_term=-7.0))
    figure.canvas.draw()
    (axes,) = figure.axes
    frame = axes.get_window_extent()
    for text in axes.texts[1:]:
        assert frame.x0 < text.get_window_extent().x0 < text.get_window_extent().x1 < frame.x1


def test_explanation_of_a_label_with_a_text_that_is_not_predicted():
    figure = plot_explanation(make_explanation(text_term=0.25, fused_threshold=3.0, predicted=False))
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()][-2:] == [
        "label's text",
        "margin over the threshold",
    ]
    assert drawn_bars(axes)[-1][:2] == (-1.25, 3)
    assert axes.texts[-1].get_text() == "−4.25"
    assert axes.get_xlabel() == "fused logit (not predicted)"


def test_explanation_of_a_label_that_is_never_predicted_has_no_threshold():
    figure = plot_explanation(make_explanation(fused_threshold=np.inf, predicted=False))
    assert_labelled(figure)
    (axes,) = figure.axes
    assert len(drawn_bars(axes)) == 3
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]


def test_explanation_with_its_neighbours():
    neighbors = pd.DataFrame(
        {"weight": [0.6, 0.3, 0.1], "carries": [True, False, True], "shown": ["a $x$ b", "c " * 40, "d"]}
    )
    figure = plot_explanation(make_explanation(), neighbors=neighbors)
    assert_labelled(figure)
    axes = figure.axes[1]
    carrying, others = axes.containers
    at = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in carrying}
    assert at == {0: 0.6, 2: 0.1}
    assert [bar.get_width() for bar in others] == [0.3]
    assert to_hex(carrying[0].get_facecolor()).upper() == COLORS[0]
    assert others[0].get_hatch()  # told apart without colour, too
    ticks = axes.get_yticklabels()
    assert [tick.get_text().count("\n") for tick in ticks] == [0, 1, 0]
    assert not any(tick.get_parse_math() for tick in ticks)
    assert texts(axes) == ["carries the label", "does not"]


def test_explanation_whose_neighbours_are_all_of_one_kind():
    neighbors = pd.DataFrame({"weight": [1.0], "carries": [False], "shown": ["a"]})
    axes = plot_explanation(make_explanation(), neighbors=neighbors).axes[1]
    assert texts(axes) == ["carries the label", "does not"]


def test_dumbbells_average_repetitions_and_span_all_values():
    frame = pd.DataFrame(
        {
            "base": ["linear", "linear", "network"],
            "low": [0.1, 0.3, 0.4],
            "high": [0.5, 0.7, 0.35],
        }
    )
    figure = plot_dumbbells(frame, names="base", points={"low": "fixed 0.5", "high": "adaptive"})
    assert_labelled(figure)
    (axes,) = figure.axes
    segments, low, high = axes.collections
    np.testing.assert_allclose(low.get_offsets(), [[0.2, 0], [0.4, 1]])
    np.testing.assert_allclose(high.get_offsets(), [[0.6, 0], [0.35, 1]])
    np.testing.assert_allclose([s[:, 0] for s in segments.get_segments()], [[0.2, 0.6], [0.35, 0.4]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["linear", "network"]
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fixed 0.5", "adaptive"]
    assert (low.get_facecolor() != high.get_facecolor()).any()


def test_points_draw_repetitions_and_their_mean():
    frame = pd.DataFrame(
        {"way": ["b", "a", "b", "a"], "macro_f1": [0.1, 0.4, 0.3, 0.6], "micro_f1": [0.5, 0.6, 0.7, 0.8]}
    )
    panels = {"macro_f1": "macro-F1", "micro_f1": "micro-F1"}
    figure = plot_points(frame, names="way", panels=panels)
    figure.canvas.draw()
    assert [axes.get_xlabel() for axes in figure.axes] == ["macro-F1", "micro-F1"]
    left, right = figure.axes
    assert left.get_ylabel() == "way"
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["b", "a"]
    bottom, top = left.get_ylim()
    assert bottom > top  # the first name on top
    single, means = (points.get_offsets().tolist() for points in left.collections)
    assert single == [[0.1, 0], [0.4, 1], [0.3, 0], [0.6, 1]]
    np.testing.assert_allclose(means, [[0.2, 0], [0.5, 1]])
    np.testing.assert_allclose(right.collections[1].get_offsets(), [[0.6, 0], [0.7, 1]])


def test_points_of_several_kinds_share_a_line_and_have_intervals():
    frame = pd.DataFrame(
        {
            "band": ["x", "x", "y"],
            "of": ["one", "two", "two"],
            "value": [0.2, 0.5, 0.7],
            "low": [0.1, 0.4, 0.6],
            "high": [0.3, 0.6, 0.9],
        }
    )
    options = {"names": "band", "color": "of", "intervals": True, "ylabel": "rows"}
    figure = plot_points(frame, panels={"value": "AUROC"}, **options)
    assert_labelled(figure)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "rows"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    lines, points = axes.collections[::2], axes.collections[1::2]
    assert [segment[:, 0].tolist() for segment in lines[0].get_segments()] == [[0.1, 0.3]]
    assert [segment[:, 0].tolist() for segment in lines[1].get_segments()] == [[0.4, 0.6], [0.6, 0.9]]
    at = [offset[1] for part in points for offset in part.get_offsets()]
    assert at[0] < 0 < at[1] < 0.5 < at[2]  # beside each other on the line of their name
    assert at[2] - at[1] == pytest.approx(1)
    colours = [to_hex(part.get_facecolor()[0]) for part in points]
    assert colours == [colour.lower() for colour in COLORS[:2]]


@pytest.mark.parametrize("n", [1, len(COLORS), len(COLORS) + 1, 12])
def test_no_two_bars_of_a_group_share_a_colour(n):
    figure = plot_bars_by_bin({str(i): [0.1, 0.2] for i in range(n)}, bins=["a", "b"])
    colours = {to_hex(bars.patches[0].get_facecolor()) for bars in figure.axes[0].containers}
    assert len(colours) == n
