"""One row at a time: what the view shows is what the classifier decides, with and without ipywidgets."""

import re
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from adathresh import AdaptiveThresholdClassifier, LabelSetExplorer
from adathresh.models.prototypes import LabelPrototypes

X, Y = make_multilabel_classification(60, n_classes=6, random_state=0)
TEXTS = ["my cats", "my dogs", "a cow <b>", "cats and dogs"] * 6
LABELS = [["cat"], ["dog"], [], ["cat", "dog"]] * 6


@pytest.fixture(scope="module")
def clf():
    return AdaptiveThresholdClassifier(OneVsRestClassifier(LogisticRegression()), random_state=0).fit(X, Y)


@pytest.fixture(scope="module")
def of_texts():
    model = LabelPrototypes(min_df=1, max_df=1.0)
    return AdaptiveThresholdClassifier(model, random_state=0).fit(TEXTS, LABELS)


def test_what_is_shown_is_what_is_decided(clf):
    explorer = LabelSetExplorer(clf, X, Y, n_labels=6)
    for row in range(10):
        decision = clf.decide(X[[row]])
        shown = {int(label.name.removeprefix("label ")): label for label in explorer.view(row).labels}
        assert len(shown) == 6
        for label, judged in shown.items():
            probability = decision.probabilities[0, label]
            margin = decision.margins[0, label]
            assert judged.probability == pytest.approx(probability)
            assert judged.threshold == pytest.approx(expit(logit(probability) - margin))
            assert (
                judged.predicted == decision.label_sets[0, label] == (judged.probability > judged.threshold)
            )
            assert judged.true == Y[row, label]


def test_the_farthest_above_come_first_and_true_ones_are_never_missing(clf):
    row = int(np.argmax(Y.sum(axis=1)))
    true = {f"label {i}" for i in np.flatnonzero(Y[row])}
    assert len(true) > 2
    judged = LabelSetExplorer(clf, X, Y, n_labels=1).view(row).labels
    first = f"label {clf.decision_function(X[[row]])[0].argmax()}"
    assert judged[0].name == first
    assert sorted(label.name for label in judged) == sorted({first} | true)


def test_without_truth_no_column_of_it(clf):
    view = LabelSetExplorer(clf, X).view(3)
    (head,) = re.findall(r"^label +prob.*$", repr(view), flags=re.MULTILINE)
    assert head.split() == ["label", "probability", "threshold", "predicted"]
    assert {label.true for label in view.labels} == {None}
    assert "true" not in view.headline


def test_the_headline_counts(clf):
    predicted, true = clf.predict(X)[4], Y[4]
    headline = LabelSetExplorer(clf, X, Y).view(4).headline
    both = int((predicted * true).sum())
    expected = [4, predicted.sum(), both, true.sum()]
    assert [int(number) for number in re.findall(r"\b\d+\b", headline)] == expected


def test_neighbours_are_the_nearest_training_rows(clf):
    names = [f"training row {i}" for i in range(len(X))]
    view = LabelSetExplorer(clf, X, training_texts=names, n_neighbors=3, n_labels=6).view(7)
    nearest = clf.explain(X[7], 0).neighbors[:3]
    assert [line[2] for line in view.neighbors.rows] == [names[row] for row, _, _ in nearest]
    assert [line[0] for line in view.neighbors.rows] == [weight for _, weight, _ in nearest]
    for line, (row, _, _) in zip(view.neighbors.rows, nearest, strict=True):
        carried = {f"label {i}" for i in np.flatnonzero(Y[row])} & {label.name for label in view.labels}
        assert set(line[1].split(", ")) == (carried or {"none"})


def test_another_target_is_that_of_retarget(clf):
    explorer = LabelSetExplorer(clf, X, Y, n_labels=6)
    view = explorer.view(5, "precision", 0.9)
    expected = clf.retarget("precision", 0.9).predict(X[[5]])[0]
    assert {label.name for label in view.labels if label.predicted} == {
        f"label {i}" for i in np.flatnonzero(expected)
    }
    assert "target precision 0.9" in view.headline
    assert explorer.view(5).headline == LabelSetExplorer(clf, X, Y).view(5).headline  # as fitted, still


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.coo_array])
def test_containers_and_sparse_labels_give_the_same_view(clf, container):
    same = AdaptiveThresholdClassifier(clf.estimator, random_state=0).fit(container(X), sp.csr_array(Y))
    view = LabelSetExplorer(same, container(X), sp.csr_array(Y)).view(2)
    expected = LabelSetExplorer(clf, X, Y).view(2)
    assert repr(view) == repr(expected)


def test_a_cost_for_each_label_is_a_target_too(clf):
    costs = np.full(6, 0.4)
    view = LabelSetExplorer(clf, X, Y, n_labels=6).view(3, "cost", costs)
    predicted = {label.name for label in view.labels if label.predicted}
    expected = np.flatnonzero(clf.retarget("cost", costs).predict(X[[3]])[0])
    assert predicted == {f"label {label}" for label in expected}


def test_texts_and_names_are_shown_and_markup_is_escaped(of_texts):
    view = LabelSetExplorer(of_texts, ["two dogs <script>"], training_texts=TEXTS).view()
    assert {label.name for label in view.labels} <= {"cat", "dog"}
    shown = view._repr_html_()
    assert "two dogs &lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "two dogs <script>" in repr(view)


def test_a_row_unlike_any_training_row(of_texts):
    view = LabelSetExplorer(of_texts, ["zebra"]).view()
    assert not view.neighbors.rows
    assert "No training row" in repr(view)
    assert "svg" in view._repr_html_()


def test_the_drawing_has_a_bar_and_a_stroke_for_each_label(clf):
    view = LabelSetExplorer(clf, X, Y, n_labels=6).view(1)
    drawing = view._repr_html_()
    bars = [float(width) for width in re.findall(r'<rect [^>]*width="(\d+)"', drawing)]
    strokes = [float(x) for x in re.findall(r'<line x1="(\d+)"[^>]*stroke-width="2"', drawing)]
    assert len(bars) == len(strokes) == 6
    for label, bar, stroke in zip(view.labels, bars, strokes, strict=True):
        if abs(logit(label.probability) - logit(label.threshold)) > 0.1:
            assert (220 + bar > stroke) == label.predicted


def test_a_loaded_classifier_is_explored_alike(of_texts, tmp_path):
    of_texts.save(tmp_path / "clf.safetensors")
    again = AdaptiveThresholdClassifier.load(tmp_path / "clf.safetensors")
    expected = LabelSetExplorer(of_texts, ["two dogs"], training_texts=TEXTS)
    assert repr(LabelSetExplorer(again, ["two dogs"], training_texts=TEXTS)) == repr(expected)


# --- notebooks ---


def test_controls_choose_row_and_target(clf):
    explorer = LabelSetExplorer(clf, X, Y, row=8)
    controls, shown = explorer.widget().children
    row, target, precision = controls.children
    assert shown.value == explorer.view(8)._repr_html_()
    assert precision.layout.display == "none"
    row.value = 9
    assert shown.value == explorer.view(9)._repr_html_()
    target.value = "precision"
    assert precision.layout.display is None
    precision.value = 0.95
    assert shown.value == explorer.view(9, "precision", 0.95)._repr_html_()
    row.value = 1_000  # held at the last one
    assert shown.value == explorer.view(59, "precision", 0.95)._repr_html_()


def test_a_target_that_cannot_be_had_is_said_in_place_of_the_view(clf, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("no pairs are kept & nothing can be chosen anew")

    monkeypatch.setattr(AdaptiveThresholdClassifier, "retarget", refuse)
    controls, shown = LabelSetExplorer(clf, X).widget().children
    controls.children[1].value = "micro_f1"
    assert shown.value == "<p>no pairs are kept &amp; nothing can be chosen anew</p>"


def test_a_notebook_gets_text_drawing_and_controls(clf):
    bundle = LabelSetExplorer(clf, X)._repr_mimebundle_()
    view = LabelSetExplorer(clf, X).view(0)
    assert bundle["text/plain"] == repr(view)
    assert bundle["text/html"] == view._repr_html_()
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_without_ipywidgets_the_drawing_stays(clf, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    explorer = LabelSetExplorer(clf, X)
    assert set(explorer._repr_mimebundle_()) == {"text/plain", "text/html"}
    with pytest.raises(ImportError, match=r'pip install "adathresh\[notebooks\]"'):
        explorer.widget()


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Y": Y[:-1]}, "59"),
        ({"Y": Y[:, :-1]}, "5"),
        ({"texts": ["one"]}, "texts must hold one text for each of 60 rows; got 1"),
        ({"training_texts": ["one"]}, "training_texts must hold one text for each of 60 rows; got 1"),
        ({"n_labels": 0}, "n_labels"),
        ({"n_neighbors": 1.5}, "n_neighbors"),
        ({"row": 60}, "row"),
    ],
)
def test_arguments_that_do_not_fit(clf, options, message):
    with pytest.raises(ValueError, match=message):
        LabelSetExplorer(clf, X, **options)


def test_rows_that_do_not_fit(clf):
    with pytest.raises(ValueError, match="features"):
        LabelSetExplorer(clf, X[:, :-1])
    with pytest.raises(ValueError, match="at least one row"):
        LabelSetExplorer(clf, X[:0])
    with pytest.raises(ValueError, match="row must be a whole number"):
        LabelSetExplorer(clf, X).view(-1)
    with pytest.raises(ValueError, match="target must be one of"):
        LabelSetExplorer(clf, X).view(0, "macro-f1")
    with pytest.raises(ValueError, match=r"target must be one of .*; got None"):
        LabelSetExplorer(clf, X).view(0, target_value=0.5)


def test_other_classifiers():
    with pytest.raises(TypeError, match="got OneVsRestClassifier"):
        LabelSetExplorer(OneVsRestClassifier(LogisticRegression()).fit(X, Y), X)
    binary = AdaptiveThresholdClassifier(LogisticRegression(), random_state=0).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="binary target"):
        LabelSetExplorer(binary, X)
    with pytest.raises(ValueError, match="not fitted"):
        LabelSetExplorer(AdaptiveThresholdClassifier(LogisticRegression()), X)
