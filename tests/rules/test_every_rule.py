"""What every decision rule owes its users: checks, containers, edges, invariances and speed."""

import importlib.util
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from adathresh import rules
from adathresh.rules import (
    BlockCoordinateMacroF1,
    CrossValidatedSCut,
    DecisionRule,
    ExpectedF1Threshold,
    FixedThreshold,
    FrankWolfeMacroF1,
    GlobalThreshold,
    MCut,
    MetaLabeler,
    MicroMacroThreshold,
    OnlineF1Threshold,
    PCut,
    RCut,
    SCut,
    ThresholdRegression,
)

THRESHOLD_RULES = [
    FixedThreshold(0.4),
    GlobalThreshold(),
    GlobalThreshold("micro_f1"),
    SCut(),
    SCut("top", fbr=0.5),
    SCut("never", fbr=0.5),
    ExpectedF1Threshold(),
    PCut(),
    MicroMacroThreshold(),
    MicroMacroThreshold(1),
    CrossValidatedSCut(),
    CrossValidatedSCut("fbr", per_label=True),
    OnlineF1Threshold(1),
]
OWN_RULES = [
    *THRESHOLD_RULES,
    RCut(2),
    MCut(),
    MetaLabeler(),
    ThresholdRegression(),
    ThresholdRegression("errors"),
]
WRAPPED_RULES = [BlockCoordinateMacroF1(2), FrankWolfeMacroF1(n_steps=5), FrankWolfeMacroF1(2, n_steps=5)]
NOT_INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec("xcolumns") is None, reason="the package xcolumns is not installed"
)
RULES = [*OWN_RULES, *(pytest.param(rule, marks=NOT_INSTALLED) for rule in WRAPPED_RULES)]
# the others deal rows into folds, visit them in some order or draw for them one after the other
ORDER_FREE = [
    rule
    for rule in OWN_RULES
    if rule.get_params().get("n_folds", 1) == 1 and not isinstance(rule, OnlineF1Threshold)
]
SCALE_FREE = [
    rule
    for rule in OWN_RULES
    if not isinstance(rule, (FixedThreshold, ExpectedF1Threshold, OnlineF1Threshold))
]


def test_every_rule_is_tested_here():
    names = {type(rule).__name__ for rule in [*OWN_RULES, *WRAPPED_RULES]}
    assert names | {"DecisionRule"} == set(rules.__all__)


# Invariances -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_equals_sparse_with_every_pair_stored(make_case, rule, seed, dtype):
    Y, scores, *_ = make_case(seed, decimals=2)
    scores = scores.astype(dtype)
    full = sp.csr_array((scores.ravel(), np.indices(scores.shape).reshape(2, -1)), shape=scores.shape)
    dense, sparse = clone(rule).fit(scores, Y), clone(rule).fit(full, sp.csr_array(Y))
    np.testing.assert_array_equal(
        np.asarray(getattr(dense, "thresholds_", 0)), np.asarray(getattr(sparse, "thresholds_", 0))
    )
    np.testing.assert_array_equal(dense.predict(scores), sparse.predict(full).toarray())


@pytest.mark.parametrize("rule", ORDER_FREE, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_permuting_rows_permutes_predictions_and_leaves_the_thresholds(make_case, rule, seed):
    Y, _, _, sparse = make_case(seed)
    order = np.random.default_rng(seed).permutation(len(Y))
    plain, permuted = clone(rule).fit(sparse, Y), clone(rule).fit(sparse[order], Y[order])
    np.testing.assert_allclose(
        getattr(permuted, "thresholds_", 0), getattr(plain, "thresholds_", 0), rtol=1e-15
    )
    np.testing.assert_array_equal(
        permuted.predict(sparse[order]).toarray(), plain.predict(sparse).toarray()[order]
    )


@pytest.mark.parametrize("rule", THRESHOLD_RULES, ids=str)
def test_a_higher_threshold_never_adds_a_label(make_case, rule):
    Y, scores, _, sparse = make_case(2)
    rule = clone(rule).fit(sparse, Y)
    before, before_dense = rule.predict(sparse).toarray(), rule.predict(scores)
    rule.thresholds_ = rule.thresholds_ + np.random.default_rng(0).random(np.shape(rule.thresholds_)) * 0.3
    assert (rule.predict(sparse).toarray() <= before).all()
    assert (rule.predict(scores) <= before_dense).all()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_absent_pairs_are_never_predicted(make_case, rule):
    Y, _, stored, sparse = make_case(3)
    predicted = clone(rule).fit(sparse, Y).predict(sparse).toarray()
    assert predicted.any()
    assert not predicted[~stored].any()


@pytest.mark.parametrize("rule", SCALE_FREE, ids=str)
def test_shifting_and_scaling_scores_changes_no_prediction(make_case, rule):
    Y, scores, *_ = make_case(4)
    scores = np.round(scores * 16) / 16
    moved = 8 * scores - 4  # powers of two keep the arithmetic exact; absent pairs and negative scores differ
    np.testing.assert_array_equal(
        clone(rule).fit(moved, Y).predict(moved), clone(rule).fit(scores, Y).predict(scores)
    )


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_matrix])
def test_predictions_come_in_the_container_of_the_scores(make_case, rule, container):
    Y, scores, _, sparse = make_case(5)
    given = container(scores) if container is np.asarray else container(sparse)
    predicted = clone(rule).fit(given, Y).predict(given)
    assert predicted.dtype == np.int64
    assert sp.issparse(predicted) == sp.issparse(given)
    if sp.issparse(given):
        assert predicted.format == "csr"
        assert isinstance(predicted, sp.spmatrix) == isinstance(given, sp.spmatrix)
        assert (predicted.data == 1).all()
        expected = clone(rule).fit(sparse, Y).predict(sparse).toarray()
        np.testing.assert_array_equal(predicted.toarray(), expected)
    else:
        assert isinstance(predicted, np.ndarray)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_scores_of_the_caller_stay_as_they_are(make_case, rule):
    Y, _, _, sparse = make_case(6)
    before = sparse.copy()
    clone(rule).fit(sparse, Y).predict(sparse)
    np.testing.assert_array_equal(sparse.data, before.data)
    np.testing.assert_array_equal(sparse.indices, before.indices)


# Edges -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_nothing_stored_and_nothing_to_predict(rule):
    nothing = sp.csr_array((3, 2))
    rule = clone(rule).fit(nothing, nothing)
    assert rule.predict(nothing).nnz == 0
    assert rule.predict(np.zeros((0, 2))).shape == (0, 2)
    assert rule.predict(sp.csr_array((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("rule", [rule for rule in THRESHOLD_RULES if rule._needs_labels], ids=str)
def test_without_a_true_label_nothing_is_predicted(rule):
    scores, nothing = np.tile([0.2, 0.3], (3, 1)), np.zeros((3, 2), dtype=int)
    rule = clone(rule).fit(scores, nothing)
    if not isinstance(rule, MicroMacroThreshold):  # just above the highest score, as in LibMultiLabel
        assert (np.asarray(rule.thresholds_) == np.inf).all()
    assert not rule.predict(scores).any()


@pytest.mark.parametrize("rule", [SCut(), SCut("top", fbr=0.5), PCut(), MicroMacroThreshold(1)], ids=str)
def test_a_label_with_no_or_only_positives(make_case, rule):
    Y, _, stored, sparse = make_case(0)
    assert not Y[:, 0].any()
    assert Y[:, 1].all()
    predicted = clone(rule).fit(sparse, Y).predict(sparse).toarray()
    assert not predicted[:, 0].any()
    np.testing.assert_array_equal(predicted[:, 1], stored[:, 1])


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_one_label(rule):
    scores, Y = np.array([[0.9], [0.8], [0.3], [0.1]]), np.array([[1], [1], [0], [0]])
    full = sp.csr_array((scores.ravel(), np.zeros(4, dtype=int), np.arange(5)), shape=(4, 1))
    predicted = clone(rule).fit(scores, Y).predict(scores)
    assert predicted.shape == (4, 1)
    np.testing.assert_array_equal(clone(rule).fit(full, Y).predict(full).toarray(), predicted)
    if isinstance(rule, MCut):
        assert not predicted.any()  # no gap to threshold in
    elif isinstance(rule, (RCut, BlockCoordinateMacroF1)) or getattr(rule, "k", None):
        assert predicted.all()
    else:
        assert predicted[:2].all()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_row_without_candidates_gets_no_label_and_disturbs_no_other(make_case, rule):
    Y, scores, stored, _ = make_case(1)
    stored[[0, 12, 24]] = False
    sparse = sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
    rule = clone(rule).fit(sparse, Y)
    predicted = rule.predict(sparse).toarray()
    assert predicted.any()
    assert not predicted[[0, 12, 24]].any()
    if not isinstance(rule, (BlockCoordinateMacroF1, FrankWolfeMacroF1)):
        others = np.delete(np.arange(len(Y)), [0, 12, 24])
        np.testing.assert_array_equal(rule.predict(sparse[others]).toarray(), predicted[others])


@pytest.mark.parametrize(
    "rule", [GlobalThreshold(), GlobalThreshold("micro_f1"), SCut(), PCut(), MicroMacroThreshold(1)], ids=str
)
@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (0.1, np.nextafter(0.1, 1)),
        (np.nextafter(0.1, 0), 0.1),
        (-1.7e308, 1.7e308),
        (1.6e308, 1.7e308),
        (0.0, 5e-324),
        (-5e-324, 0.0),
        (-1e300, 1e-300),
    ],
)
def test_a_threshold_parts_neighbouring_floats(rule, lower, upper):
    scores = np.array([[lower], [upper]])
    np.testing.assert_array_equal(rule.fit(scores, [[0], [1]]).predict(scores), [[0], [1]])
    np.testing.assert_array_equal(rule.fit(scores, [[1], [1]]).predict(scores), [[1], [1]])


# Errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_common_errors(make_case, rule):
    Y, scores, *_ = make_case(7)
    with pytest.raises(NotFittedError):
        clone(rule).predict(scores)
    rule = clone(rule).fit(scores, Y)
    with pytest.raises(ValueError, match=rf"scores have 6 labels, but {type(rule).__name__} was fitted on 7"):
        rule.predict(scores[:, :6])
    broken = scores.copy()
    broken[2, 3] = np.nan
    for call in (lambda: clone(rule).fit(broken, Y), lambda: rule.predict(broken)):
        with pytest.raises(ValueError, match="NaN or infinity in row 2, label 3"):
            call()
    if rule._needs_labels:
        with pytest.raises(ValueError, match="Y has 24 rows but 25 were expected"):
            clone(rule).fit(scores, Y[:-1])
        with pytest.raises(ValueError, match="Y has 6 labels but 7 were expected"):
            clone(rule).fit(scores, Y[:, :6])
        with pytest.raises(
            ValueError, match=f"{type(rule).__name__} learns its thresholds from labels; pass Y"
        ):
            clone(rule).fit(scores)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (FixedThreshold(np.nan), "threshold must be a number"),
        (GlobalThreshold("accuracy"), "metric must be .*; got 'accuracy'"),
        (RCut(0), "k must be a whole number, at least 1; got 0"),
        (SCut("zero"), "fallback must be .*; got 'zero'"),
        (SCut("top", fbr=1.5), "fbr must be a finite number from 0 to 1; got 1.5"),
        (CrossValidatedSCut("none"), "remedy must be .*; got 'none'"),
        (CrossValidatedSCut(strengths=[]), r"must be finite numbers of at least 0; got \[\]"),
        (CrossValidatedSCut(strengths=[1, -1]), r'strengths of "smoothing" must be .*; got \[1, -1\]'),
        (
            CrossValidatedSCut(strengths=[np.nan]),
            r"strengths must be a sequence of numbers, or None; got \[nan\]",
        ),
        (CrossValidatedSCut(strengths=[np.inf]), r"must be finite numbers of at least 0; got \[inf\]"),
        (CrossValidatedSCut("fbr", strengths=[1.5]), r'strengths of "fbr" must be numbers in \[0, 1\]; got'),
        (CrossValidatedSCut(), "n_folds must be from 2 to the number of rows, 2; got 3. A single strength"),
        (CrossValidatedSCut(n_folds=1), "n_folds must be from 2 to the number of rows, 2; got 1"),
        (OnlineF1Threshold(0), "n_passes must be a whole number, at least 1; got 0"),
        (MetaLabeler(0), "n_scores must be a whole number, at least 1; got 0"),
        (ThresholdRegression("accuracy"), "criterion must be .*; got 'accuracy'"),
        (ThresholdRegression(n_scores=0), "n_scores must be a whole number, at least 1; got 0"),
        (MicroMacroThreshold(0), "n_folds must be a whole number, at least 1; got 0"),
        (MicroMacroThreshold(3), "n_folds must be from 1 to the number of rows, 2; got 3"),
        (BlockCoordinateMacroF1(0), r"k must be .*at least 1 \(without a budget, fit ExpectedF1.*got 0"),
        (BlockCoordinateMacroF1(None), "k must be a whole number, at least 1 .*got None"),
        (FrankWolfeMacroF1(0), "k must be a whole number, at least 1, or None; got 0"),
        (FrankWolfeMacroF1(n_steps=0), "n_steps must be a whole number, at least 1; got 0"),
    ],
)
def test_parameters_out_of_range(rule, message):
    with pytest.raises(ValueError, match=message):
        rule.fit([[0.1, 0.2], [0.3, 0.4]], [[0, 1], [1, 0]])


@pytest.mark.parametrize("rule", [BlockCoordinateMacroF1(), FrankWolfeMacroF1()], ids=str)
def test_without_the_package_the_error_names_the_extra(rule, monkeypatch):
    loaded = [name for name in sys.modules if name.startswith("xcolumns.")]
    for name in ["xcolumns", *loaded]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'needs .* xcolumns: pip install "adathresh\[xcolumns\]"'):
        rule.fit([[0.1, 0.2]], [[0, 1]])


def test_a_new_rule_needs_one_method():
    class MeanThreshold(DecisionRule):
        _needs_labels = False

        def _fit(self, scores, Y):
            self.thresholds_ = scores.mean(axis=0)

    np.testing.assert_array_equal(
        MeanThreshold().fit([[0.0, 1.0], [1.0, 0.0]]).predict([[0.6, 0.4]]), [[1, 0]]
    )
    with pytest.raises(NotImplementedError):
        DecisionRule().fit([[0.1]], [[1]])


# Size ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, marks=[pytest.mark.slow] * isinstance(rule, (MetaLabeler, ThresholdRegression)))
        for rule in OWN_RULES
        if not isinstance(rule, OnlineF1Threshold)  # it goes row by row, slowly where memory is traced
    ],
    ids=str,
)
def test_large_sparse_scores_are_never_densified(rule):
    """45,000 rows by 4,271 labels with 50 scores a row; an array would take 1.5 GB in float64."""
    rng = np.random.default_rng(0)
    n_samples, n_labels, per_row = 45_000, 4_271, 50
    start = rng.integers(n_labels - 2 * per_row, size=(n_samples, 1))
    labels = (start + 2 * np.arange(per_row)).ravel()
    data = rng.random(len(labels), dtype=np.float32)
    scores = sp.csr_array((data, labels, np.arange(0, len(labels) + 1, per_row)), shape=(n_samples, n_labels))
    Y = sp.csr_array(((rng.random(len(labels)) < data**3).astype(np.float32), scores.indices, scores.indptr))
    Y.resize(scores.shape)
    tracemalloc.start()
    clone(rule).fit(scores, Y).predict(scores)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400e6
