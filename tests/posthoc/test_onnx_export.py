"""A rule as an ONNX graph: a runtime decides as the rule does."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import scipy.sparse as sp

from adathresh.posthoc import AdaptiveThreshold, to_onnx
from adathresh.posthoc.candidates import clipped_logit, gather_pairs
from adathresh.posthoc.fusion import AverageFusion, BoostedFusion, LinearFusion
from adathresh.posthoc.onnx_export import _greatest_scores
from adathresh.utils.boosted_trees import BoostedTrees


def decided(model, pairs):
    """Let the runtime decide about pairs: a label, the scores, and the other signals of each."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, pairs)


def at_pairs(matrices, rows, labels):
    return np.column_stack([matrix.toarray()[rows, labels].astype(np.float64) for matrix in matrices])


@pytest.fixture(scope="module")
def signals():
    """Scores of two models and a signal, rounded so that many are equal, and labels drawn from them."""
    rng = np.random.default_rng(0)
    truth = rng.random((600, 30)) ** 6
    Y = (rng.random(truth.shape) < truth).astype(int)
    seen = [np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1).round(2) for _ in range(3)]
    return [sp.csr_array(np.where(part > 0.05, part, 0)) for part in seen], Y


@pytest.mark.parametrize(
    "target", [{"target": "macro_f1"}, {"target": "micro_f1"}, {"target": "cost", "target_value": 3.0}]
)
@pytest.mark.parametrize("others", [0, 1, 2])
@pytest.mark.parametrize(
    ("fusion", "kind"), [("linear", LinearFusion), ("boosted", BoostedFusion), ("auto", AverageFusion)]
)
def test_a_runtime_decides_as_the_rule_does(signals, fusion, kind, others, target):
    (first, second, third), Y = signals
    given = [{}, {"local": third}, {"local": [third, second], "affinity": third}][others]
    scores = [first, second] if others == 2 else first
    rule = AdaptiveThreshold(**target, fusion=fusion, random_state=0).fit(scores, Y, **given)
    assert isinstance(rule.fusion_, kind)
    decision = rule.decide(scores, **given)
    pairs = gather_pairs(scores, given.get("local"), given.get("affinity"))
    of_pairs = {"label": pairs.labels, "scores": at_pairs([first, second][: 1 + others // 2], *pairs[1:3])}
    of_pairs |= {"local": pairs.share, "affinity": pairs.affinity}
    of_pairs = {name: values for name, values in of_pairs.items() if values is not None}
    probability, margin, predicted = decided(to_onnx(rule), of_pairs)
    np.testing.assert_allclose(probability, decision.probabilities.data, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(margin, decision.margins.data, atol=1e-11)
    label_sets = pairs.matrix(predicted).toarray()
    assert (label_sets == decision.label_sets.toarray()).all()
    assert predicted.any()
    assert not predicted.all()


def test_labels_that_are_never_predicted_stay_so():
    scores, Y = [[0.9, 0.9], [0.8, 0.7], [0.4, 0.6], [0.1, 0.2]], [[1, 0], [1, 0], [0, 0], [0, 0]]
    rule = AdaptiveThreshold().fit(scores, Y, Y_train=Y)
    assert rule.impossible_.tolist() == [1]
    _, margin, predicted = decided(to_onnx(rule), {"label": [0, 1], "scores": [[0.9], [0.9]]})
    assert predicted.tolist() == [True, False]
    assert margin[1] == -np.inf


def test_trees_of_a_single_leaf_are_trees_too(signals):
    (first, _, _), Y = signals
    rule = AdaptiveThreshold(fusion="boosted", random_state=0).fit(first, Y)
    of_nothing = np.zeros(1, dtype=np.int32)
    rule.fusion_._trees = BoostedTrees(
        -1.0, np.array([0, 1]), of_nothing, np.zeros(1), of_nothing, of_nothing, np.array([0.25])
    )
    pairs = gather_pairs(first, None, None)
    probability, _, _ = decided(
        to_onnx(rule), {"label": pairs.labels, "scores": first.data[:, np.newaxis].astype(np.float64)}
    )
    np.testing.assert_allclose(probability, rule.predict_proba(first).data, rtol=1e-12)


def test_a_score_is_on_the_same_side_of_a_step_as_its_logit():
    rng = np.random.default_rng(0)
    scores = np.sort(np.r_[0.0, 1e-7, rng.random(400), rng.random(200).astype(np.float32), 1 - 1e-7, 1.0])
    lowest = clipped_logit(scores[30])
    logits = np.maximum(clipped_logit(scores), lowest)
    steps = np.unique(np.r_[logits, logits[1:] / 2 + logits[:-1] / 2, lowest - 1, 20.0])
    bounds = _greatest_scores(steps, lowest)
    np.testing.assert_array_equal(scores[:, np.newaxis] <= bounds, logits[:, np.newaxis] <= steps)
    assert bounds[0] == -1
    assert bounds[-1] == 1


def test_the_model_says_what_it_takes(signals):
    (first, second, third), Y = signals
    rule = AdaptiveThreshold(fusion="linear").fit([first, second], Y, affinity=third)
    model = to_onnx(rule)
    sizes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
    shapes = {name: [size.dim_param or size.dim_value for size in dim] for name, dim in sizes.items()}
    assert shapes == {"label": ["pairs"], "scores": ["pairs", 2], "affinity": ["pairs", 1]}
    assert onnx.load_from_string(model.SerializeToString()).producer_name == "adathresh"


def test_a_guarantee_of_whole_rows_is_refused(signals):
    (first, _, _), Y = signals
    rule = AdaptiveThreshold("precision", target_value=0.3, confidence=0.5, random_state=0).fit(first, Y)
    rule.row_limit_ = 3
    with pytest.raises(ValueError, match="looks at a row's other labels"):
        to_onnx(rule)


def test_a_missing_package_is_an_error_that_names_the_extra(signals, monkeypatch):
    (first, _, _), Y = signals
    rule = AdaptiveThreshold(fusion="linear").fit(first, Y)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"adathresh\[onnx\]"):
        to_onnx(rule)
