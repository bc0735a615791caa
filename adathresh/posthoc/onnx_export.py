"""A fitted rule as an ONNX graph: what it decides of candidate pairs, for runtimes without Python."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logit
from sklearn.utils.validation import check_is_fitted

from adathresh import __version__
from adathresh.posthoc.candidates import SCORE_MARGIN, clipped_logit
from adathresh.posthoc.fusion import (
    PIVOT,
    SHARE_MARGIN,
    SMALLEST_SLOPE,
    BoostedFusion,
    LinearFusion,
    term_name,
)
from adathresh.posthoc.threshold import AdaptiveThreshold

if TYPE_CHECKING:
    import onnx

# The first versions with trees of double precision, and the file format that goes with them.
_OPSETS, _IR_VERSION = {"": 21, "ai.onnx.ml": 5}, 10
# Of a tree's node: to the left up to a value; and of an ensemble: the sum of its leaves.
_UP_TO, _SUM = 0, 1
_BISECTIONS = 64


def to_onnx(rule: AdaptiveThreshold) -> "onnx.ModelProto":
    """Return a fitted rule as an ONNX model, for runtimes that have no Python.

    The model takes candidate pairs (row, label), as many as there are, in any order, and decides about each
    by itself. Its inputs are ``label`` (int64, one number a pair), ``scores`` (double, pairs × base models, 0
    where a model has no score) and, where the rule was fitted with them, ``local`` and ``affinity`` (double,
    pairs × matrices, 0 where nothing is stored). Its outputs are ``probability`` and ``margin`` (double) and
    ``predicted`` (bool), those of ``AdaptiveThreshold.predict_proba``, ``margins`` and ``predict``. All is
    computed in double precision: numbers differ by rounding alone, and trees never take another branch.

    Parameters
    ----------
    rule : AdaptiveThreshold
        A fitted rule.

    Returns
    -------
    onnx.ModelProto
        The model, checked; ``onnx.save(model, path)`` writes it.

    Raises
    ------
    ImportError
        If onnx is not installed.
    NotFittedError
        If ``rule`` is not fitted.
    TypeError
        If ``rule`` is no AdaptiveThreshold.
    ValueError
        If its decision about one label depends on a row's other labels or on other rows: under a budget, with
        a guaranteed precision of row averages, or transductive.

    Examples
    --------
    >>> rule = AdaptiveThreshold().fit([[0.9], [0.7], [0.4], [0.1]], [[1], [1], [0], [0]])
    >>> [output.name for output in to_onnx(rule).graph.output]
    ['probability', 'margin', 'predicted']
    """
    if not isinstance(rule, AdaptiveThreshold):
        raise TypeError(f"rule must be an AdaptiveThreshold; got {type(rule).__name__}.")
    check_is_fitted(rule, "label_thresholds_", msg="rule is not fitted; call its fit first.")
    if rule.target == "budget" or rule.row_limit_ is not None or rule.transductive:
        looks_at = "other rows (transductive)" if rule.transductive else "a row's other labels"
        raise ValueError(
            "Only a rule that decides about each pair by itself becomes an ONNX model; this rule looks at "
            f"{looks_at}."
        )
    graph = _Graph()
    idf, intercept, slope, threshold = (
        graph.add("Gather", of_labels, "label")
        for of_labels in (
            rule.idf_.idf_,
            rule.effects_.intercept_,
            rule.effects_.slope_,
            logit(np.clip(rule.label_thresholds_, 0, 1)),
        )
    )
    raw = _fusion(graph, rule, idf)
    fused = graph.sum(raw, intercept, graph.add("Mul", slope, graph.add("Sub", raw, PIVOT)))
    graph.add("Sigmoid", fused, output="probability")
    graph.add("Sub", fused, threshold, output="margin")
    graph.add("Greater", fused, threshold, output="predicted")
    return graph.model({name: width for name, width in rule._uses.items() if width})


def _fusion(graph, rule, idf):
    """Add the fused logits before the labels' corrections."""
    fusion = rule.fusion_
    if isinstance(fusion, LinearFusion):
        return _linear(graph, fusion, rule, idf)
    if isinstance(fusion, BoostedFusion):
        return _boosted(graph, fusion, rule, idf)
    linear = _linear(graph, fusion.linear_, rule, idf)
    boosted = _boosted(graph, fusion.boosted_, rule, idf)
    w = fusion.boosted_weight_
    return graph.sum(graph.add("Mul", linear, 1 - w), graph.add("Mul", boosted, w))


def _linear(graph, fusion, rule, idf):
    """Add the linear model: slopes that rarity changes, times logits, and the other terms."""
    coef = fusion.coef_
    terms = [graph.add("Mul", idf, coef["idf"])]
    for model, lowest in enumerate(rule.lowest_logits_):
        name = term_name("score", model)
        z = graph.add("Max", _logit(graph, graph.column("scores", model), SCORE_MARGIN), lowest)
        slope = graph.sum(graph.add("Mul", idf, coef[f"{name} x idf"]), coef[name])
        terms.append(graph.add("Mul", graph.add("Max", slope, SMALLEST_SLOPE), z))
    for signal, kind in (("local", "share"), ("affinity", "affinity")):
        for number in range(rule._uses[signal]):
            name, column = term_name(kind, number), graph.column(signal, number)
            q = _logit(graph, column, SHARE_MARGIN)
            parts = {name: column, f"logit {name}": q, f"logit {name} x idf": graph.add("Mul", q, idf)}
            terms += [graph.add("Mul", values, coef[part]) for part, values in parts.items()]
    return graph.sum(*terms, coef["intercept"])


def _logit(graph, column, margin):
    """Add the logits of a column of probabilities, kept away from 0 and 1."""
    kept = graph.add("Clip", column, margin, 1 - margin)
    return graph.add("Log", graph.add("Div", kept, graph.add("Sub", 1.0, kept)))


def _boosted(graph, fusion, rule, idf):
    """Add the trees, on rarity and the signals as they are given.

    The trees of the rule look at steps of a signal; here a node looks at the signal itself, up to the
    greatest value that is still on the step.
    """
    n_models = rule._uses["scores"]
    steps = [
        _greatest_scores(values, rule.lowest_logits_[at - 1]) if 1 <= at <= n_models else values
        for at, values in enumerate(fusion._steps)
    ]
    signals = [graph.add("Unsqueeze", idf, [1])]
    signals += [name for name, width in rule._uses.items() if width]
    features = graph.add("Concat", *signals, axis=1)
    found = graph.add("TreeEnsemble", features, domain="ai.onnx.ml", **_trees(graph, fusion._trees, steps))
    return graph.sum(graph.add("Squeeze", found, [1]), fusion._trees.baseline)


def _greatest_scores(steps, lowest):
    """Return the greatest score in [0, 1] whose logit is at most each step's; −1 where there is none.

    Bisected over the floating-point numbers themselves, so that a score is on the same side as its logit.
    """
    low = np.full(len(steps), -1, dtype=np.int64)  # below all numbers of [0, 1], which order as integers do
    high = np.full(len(steps), np.float64(1).view(np.int64))
    for _ in range(_BISECTIONS):
        middle = low + (high - low + 1) // 2
        scores = np.maximum(middle, 0).view(np.float64)
        within = np.maximum(clipped_logit(scores), lowest) <= steps
        low, high = np.where(within, middle, low), np.where(within, high, middle - 1)
    return np.where(low < 0, -1.0, np.maximum(low, 0).view(np.float64))


def _trees(graph, trees, steps):
    """Return the attributes of the operator TreeEnsemble; inner nodes and leaves are numbered apart."""
    inner = trees.left > 0
    number = np.where(inner, np.cumsum(inner), np.cumsum(~inner)) - 1
    begin = np.repeat(trees.first[:-1], np.diff(trees.first))
    nodes = {name: [] for name in ("feature", "split", "left", "left_leaf", "right", "right_leaf")}

    def enter(feature, split, *children):
        for name, value in zip(nodes, (feature, split, *children), strict=True):
            nodes[name].append(value)

    for node in np.flatnonzero(inner):
        feature, at = trees.feature[node], int(np.floor(trees.threshold[node]))
        values = steps[feature]
        children = []
        for child in (begin[node] + trees.left[node], begin[node] + trees.right[node]):
            children += [number[child], int(not inner[child])]
        enter(feature, values[at] if at < len(values) else np.inf, *children)
    roots = []
    for root in trees.first[:-1]:
        roots.append(number[root] if inner[root] else len(nodes["split"]))
        if not inner[root]:  # a tree of one leaf gets a node that leads nowhere else
            enter(0, np.inf, number[root], 1, number[root], 1)
    n_nodes, leaves = len(nodes["split"]), trees.value[~inner]
    return {
        "aggregate_function": _SUM,
        "n_targets": 1,
        "tree_roots": _integers(roots),
        "nodes_modes": graph.tensor(np.full(n_nodes, _UP_TO, dtype=np.uint8)),
        "nodes_featureids": _integers(nodes["feature"]),
        "nodes_splits": graph.tensor(np.array(nodes["split"], dtype=np.float64)),
        "nodes_truenodeids": _integers(nodes["left"]),
        "nodes_trueleafs": _integers(nodes["left_leaf"]),
        "nodes_falsenodeids": _integers(nodes["right"]),
        "nodes_falseleafs": _integers(nodes["right_leaf"]),
        "leaf_targetids": [0] * len(leaves),
        "leaf_weights": graph.tensor(leaves),
    }


def _integers(values):
    """Return Python's integers."""
    return [int(value) for value in values]


class _Graph:
    """An ONNX graph that is being built; values are named by their number."""

    def __init__(self):
        try:
            import onnx
        except ImportError as error:
            raise ImportError('An ONNX model needs onnx: pip install "adathresh[onnx]"') from error
        self.onnx, self.nodes, self.constants = onnx, [], []

    def add(self, operator: str, *inputs: Any, output: str | None = None, **settings: Any) -> str:
        """Add an operator on named values, numbers and arrays; return the name of what it gives."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        name = output or f"value {len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, names, [name], **settings))
        return name

    def sum(self, first: Any, *others: Any) -> str:
        """Add sums of named values and numbers, one after the other."""
        for other in others:
            first = self.add("Add", first, other)
        return first

    def _constant(self, value):
        """Add a number or an array and return its name."""
        name = f"constant {len(self.constants)}"
        self.constants.append(self.tensor(np.asarray(value), name))
        return name

    def tensor(self, array: np.ndarray, name: str = "") -> Any:
        """Return an array as ONNX stores it."""
        return self.onnx.numpy_helper.from_array(array, name)

    def column(self, matrix: str, number: int) -> str:
        """Add one column of an input."""
        return self.add("Gather", matrix, number, axis=1)

    def model(self, widths: dict[str, int]) -> Any:
        """Return the whole model, checked."""
        of, kinds = self.onnx.helper, self.onnx.TensorProto
        inputs = [of.make_tensor_value_info("label", kinds.INT64, ["pairs"])]
        inputs += [
            of.make_tensor_value_info(name, kinds.DOUBLE, ["pairs", width]) for name, width in widths.items()
        ]
        outputs = [
            of.make_tensor_value_info(name, kind, ["pairs"])
            for name, kind in (
                ("probability", kinds.DOUBLE),
                ("margin", kinds.DOUBLE),
                ("predicted", kinds.BOOL),
            )
        ]
        graph = of.make_graph(self.nodes, "AdaptiveThreshold", inputs, outputs, self.constants)
        opsets = [of.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        made = {"opset_imports": opsets, "ir_version": _IR_VERSION, "producer_name": "adathresh"}
        model = of.make_model(graph, producer_version=__version__, **made)
        self.onnx.checker.check_model(model, full_check=True)
        return model
