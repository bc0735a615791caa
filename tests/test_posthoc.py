"""Thresholds on held-out scores: the fused formula, the cuts, dense against sparse, and bad input."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from adathresh import AdaptiveThreshold
from adathresh.metrics import macro_f1
from adathresh.rules import ExpectedF1Cut

NAMES = ["score", "score x idf", "idf", "share", "logit share", "logit share x idf", "intercept"]


def make_data(seed=0, n_samples=300, n_labels=8):
    """Long-tailed labels, underconfident scores, and shares that know something the scores do not."""
    rng = np.random.default_rng(seed)
    common = logit(0.4 * 0.6 ** np.arange(n_labels))
    z = common + rng.normal(0, 1.5, size=(n_samples, n_labels))
    near = rng.random((n_samples, n_labels)) < 0.3
    Y = (rng.random(z.shape) < expit(z + np.where(near, 1.5, -0.5))).astype(int)
    local = np.round(np.clip(near * 0.5 + rng.normal(0, 0.1, z.shape), 0, 1), 2)
    return expit(z - 1), Y, sp.csr_array(local * (local > 0.05))


def all_pairs(scores):
    """The same scores in CSR, with every pair stored."""
    n, m = scores.shape
    return sp.csr_array((scores.ravel(), np.tile(np.arange(m), n), np.arange(0, n * m + 1, m)), shape=(n, m))


def dense(pairs, absent):
    """An array of a sparse result, with a value where no pair is stored."""
    result = np.full(pairs.shape, float(absent))
    coo = pairs.tocoo()
    result[coo.coords] = coo.data
    return result


def fused_by_hand(rule, scores, local):
    """The equation in the class's documentation, for every pair."""
    c = rule.coef_
    idf = np.log(300 / (rule.idf_.frequency_ + 1))
    z = logit(np.clip(scores, 1e-6, 1 - 1e-6))
    slope = np.maximum(c["score"] + c["score x idf"] * idf, 1e-3)
    fused = slope * z + c["idf"] * idf + c["intercept"]
    if local is not None:
        k = local.toarray()
        q = logit(np.clip(k, 0.01, 0.99))
        fused += c["share"] * k + (c["logit share"] + c["logit share x idf"] * idf) * q
    return fused


@pytest.mark.parametrize("with_local", [True, False])
def test_fusion_by_hand(with_local):
    scores, Y, local = make_data()
    local = local if with_local else None
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    assert list(rule.coef_) == (NAMES if with_local else ["score", "score x idf", "idf", "intercept"])
    fused = fused_by_hand(rule, scores, local)
    np.testing.assert_allclose(rule.predict_proba(scores, local=local).toarray(), expit(fused), rtol=1e-5)
    cuts = ExpectedF1Cut().fit(expit(fused)).thresholds_
    np.testing.assert_allclose(rule.cuts_, cuts, rtol=1e-5)
    predicted = rule.predict(scores, local=local)
    np.testing.assert_array_equal(predicted, expit(fused) > cuts)
    assert 0 < predicted.mean() < 0.5
    # z - theta is the fused logit's distance from its cut, in units of the base logit
    slope = np.maximum(rule.coef_["score"] + rule.coef_["score x idf"] * rule.idf_.idf_, 1e-3)
    margins = rule.margins(scores, local=local).toarray()
    np.testing.assert_allclose(margins, (fused - logit(cuts)) / slope, rtol=1e-4, atol=1e-6)


def test_coefficients_are_those_of_one_pooled_logistic_regression():
    scores, Y, local = make_data()
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    idf = np.tile(rule.idf_.idf_, (len(Y), 1))
    z, k = logit(scores), local.toarray()
    q = logit(np.clip(k, 0.01, 0.99))
    columns = np.column_stack([x.ravel() for x in (z, z * idf, idf, k, q, q * idf)])
    spread = columns.std(axis=0)
    peer = LogisticRegression(C=100, max_iter=1000).fit(columns / spread, Y.ravel())
    found = [rule.coef_[name] for name in NAMES]
    np.testing.assert_allclose(found, [*(peer.coef_[0] / spread), peer.intercept_[0]], rtol=1e-2, atol=1e-3)
    assert rule.coef_["score"] > 0.5
    assert rule.coef_["share"] + rule.coef_["logit share"] > 0  # shares tell something here


def test_better_than_half_on_new_rows():
    scores, Y, local = make_data()
    new_scores, new_Y, new_local = make_data(seed=1)
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    ours = macro_f1(new_Y, rule.predict(new_scores, local=new_local))
    alone = macro_f1(new_Y, AdaptiveThreshold().fit(scores, Y).predict(new_scores))
    assert macro_f1(new_Y, (new_scores > 0.5).astype(int)) + 0.1 < alone + 0.05 < ours


@pytest.mark.parametrize("with_local", [True, False])
def test_sparse_scores_of_all_pairs_equal_dense_scores(with_local):
    scores, Y, local = make_data()
    local = local if with_local else None
    a = AdaptiveThreshold().fit(scores, Y, local=local)
    b = AdaptiveThreshold().fit(all_pairs(scores), sp.csr_array(Y), local=local)
    assert a.coef_ == b.coef_
    np.testing.assert_array_equal(a.cuts_, b.cuts_)
    for method in ("margins", "thresholds", "predict_proba"):
        x, y = getattr(a, method)(scores, local=local), getattr(b, method)(all_pairs(scores), local=local)
        assert x.nnz == y.nnz == scores.size
        np.testing.assert_array_equal(x.toarray(), y.toarray())
    predicted = b.predict(all_pairs(scores), local=local)
    assert isinstance(predicted, sp.csr_array)
    np.testing.assert_array_equal(predicted.toarray(), a.predict(scores, local=local))


def top_scores(scores, k=3):
    keep = np.argsort(np.argsort(-scores, axis=1), axis=1) < k
    return sp.csr_array((scores[keep], np.nonzero(keep)), shape=scores.shape)


@pytest.mark.parametrize("form", ["dense", "all", "top"])
@pytest.mark.parametrize("with_local", [True, False])
def test_predicted_exactly_where_the_logit_exceeds_the_threshold(form, with_local):
    scores, Y, local = make_data()
    scores = {"dense": np.asarray, "all": all_pairs, "top": top_scores}[form](scores)
    local = local if with_local else None
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    predicted = rule.predict(scores, local=local)
    predicted = predicted.toarray() if sp.issparse(predicted) else predicted
    theta = dense(rule.thresholds(scores, local=local), np.inf)
    margins = dense(rule.margins(scores, local=local), -np.inf)
    base = scores if form == "dense" else dense(scores, 1e-6)  # a pair with a share but no score
    np.testing.assert_array_equal(predicted, logit(np.clip(base, 1e-6, 1 - 1e-6)) > theta)
    np.testing.assert_array_equal(predicted, margins > 0)
    assert predicted.any()


def test_candidates_are_the_pairs_with_a_score_or_a_share():
    scores, Y, local = make_data()
    few = top_scores(scores, k=2)
    rule = AdaptiveThreshold().fit(few, Y, local=local)
    expected = (dense(few, 0) > 0) | (local.toarray() > 0)
    found = rule.predict_proba(few, local=local)
    np.testing.assert_array_equal(found.toarray() > 0, expected)
    assert found.nnz == expected.sum()
    # a share alone can carry a label that the base model did not score
    unscored = (dense(few, 0) == 0) & (local.toarray() > 0)
    assert rule.predict(few, local=local).toarray()[unscored].any()


def test_rows_are_independent():
    scores, Y, local = make_data()
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    whole = rule.predict(scores, local=local)
    order = np.random.default_rng(0).permutation(len(Y))
    np.testing.assert_array_equal(rule.predict(scores[order], local=local[order]), whole[order])
    np.testing.assert_array_equal(rule.predict(scores[7:8], local=local[7:8]), whole[7:8])


@pytest.mark.parametrize("with_local", [True, False])
def test_a_higher_score_never_drops_a_label_nor_lowers_its_probability(with_local):
    scores, Y, local = make_data()
    local = local if with_local else None
    rule = AdaptiveThreshold().fit(
        1 - scores, Y, local=local
    )  # scores that mislead: the fit wants to turn them
    before = rule.predict(scores, local=local)
    after = rule.predict(np.sqrt(scores), local=local)
    assert not ((before == 1) & (after == 0)).any()
    change = rule.predict_proba(np.sqrt(scores), local=local) - rule.predict_proba(scores, local=local)
    assert change.min() >= 0


def test_a_rare_label_is_never_fitted_alone():
    """Two labels of one positive each, with the same scores, get one cut wherever their positives are."""
    scores, Y, local = make_data()
    scores, local = np.hstack([scores, scores[:, 7:]]), sp.csr_array(sp.hstack([local, local[:, 7:]]))
    Y = np.hstack([Y, Y[:, 7:]])
    Y[:, 7:] = 0
    Y[np.argmin(scores[:, 7]), 7] = 1
    Y[np.argmax(scores[:, 7]), 8] = 1
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    assert set(rule.coef_) == set(NAMES)  # no coefficient of its own
    assert rule.cuts_[7] == rule.cuts_[8]
    theta = rule.thresholds(scores, local=local).toarray()
    np.testing.assert_array_equal(theta[:, 7], theta[:, 8])


def test_a_label_without_positives_can_be_predicted():
    scores, Y, local = make_data()
    Y[:, 7] = 0
    rule = AdaptiveThreshold().fit(scores, Y, local=local)
    assert np.isfinite(rule.cuts_[7])
    sure = np.zeros((1, 8))
    sure[0, 7] = 0.999
    assert rule.predict(sure, local=sp.csr_array(np.eye(8)[7:])).tolist() == [[0, 0, 0, 0, 0, 0, 0, 1]]


def test_a_label_without_any_candidate_is_never_predicted():
    scores, Y, _ = make_data()
    few = all_pairs(scores)[:, :7]
    few.resize(300, 8)
    rule = AdaptiveThreshold().fit(few, Y)
    assert np.isinf(rule.cuts_[7])
    assert not rule.predict(np.ones((3, 8)))[:, 7].any()
    assert np.isinf(rule.thresholds(np.ones((3, 8))).toarray()[:, 7]).all()
    assert np.isneginf(rule.margins(np.ones((3, 8))).toarray()[:, 7]).all()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_predictions_come_in_the_container_of_the_scores(container):
    scores, Y, _ = make_data()
    predicted = AdaptiveThreshold().fit(scores, Y).predict(container(scores))
    assert type(predicted) is {np.asarray: np.ndarray}.get(container, container)
    assert predicted.dtype == np.int64


def test_certain_scores_are_finite():
    _, Y, local = make_data()
    rule = AdaptiveThreshold().fit(Y.astype(float), Y, local=local)
    assert np.isfinite(rule.margins(Y.astype(float), local=local).toarray()).all()
    np.testing.assert_array_equal(rule.predict(Y.astype(float), local=local), Y)


def test_wide_and_sparse_stays_sparse():
    """A million labels: an array of all pairs would take 8 GB."""
    n_labels, rng = 1_000_000, np.random.default_rng(0)
    columns = np.sort(np.stack([rng.choice(n_labels, 5, replace=False) for _ in range(1000)]), axis=1)
    values = rng.random(5000)
    indptr = np.arange(0, 5001, 5)
    scores = sp.csr_array((values, columns.ravel(), indptr), shape=(1000, n_labels))
    Y = sp.csr_array((scores > 0.7).astype(np.int8))
    predicted = AdaptiveThreshold().fit(scores, Y).predict(scores)
    assert 0 < predicted.nnz <= 5000


@pytest.mark.parametrize("fill", [0, 1])
def test_one_class_only(fill):
    with pytest.raises(ValueError, match="hold only one class"):
        AdaptiveThreshold().fit(np.full((4, 3), 0.4), np.full((4, 3), fill))


def test_scored_pairs_of_one_class_only():
    scores = sp.csr_array(np.array([[0.5, 0], [0.4, 0]]))
    with pytest.raises(ValueError, match="hold only one class"):
        AdaptiveThreshold().fit(scores, np.array([[0, 1], [0, 1]]))


def changed(matrix, value):
    matrix = matrix.copy()
    matrix[3, 2] = value
    return matrix


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s, Y, k: (changed(s, np.nan), Y, k),
            "scores must be finite; found NaN or infinity in row 3, label 2",
        ),
        (lambda s, Y, k: (changed(s, -np.inf), Y, k), "scores must be finite"),
        (lambda s, Y, k: (logit(s), Y, k), r"probabilities in \[0, 1\].*expit"),
        (lambda s, Y, k: (s[:, 1:], Y, k), "scores has 7 labels but 8 were expected"),
        (lambda s, Y, k: (s[1:], Y, k), "scores has 299 rows but 300 were expected"),
        (lambda s, Y, k: (s, Y, k[1:]), "local has 299 rows but 300 were expected"),
        (lambda s, Y, k: (s, Y, k[:, 1:]), "local has 7 labels but 8 were expected"),
        (lambda s, Y, k: (s, Y, 2 * k), r"local must be probabilities in \[0, 1\]"),
        (lambda s, Y, k: (s, 2 * Y, k), "Y must hold only 0 and 1; found 2"),
        (lambda s, Y, k: (s, Y[:0], k), "no rows"),
    ],
)
def test_fit_refuses(form, change, message):
    scores, Y, local = change(*make_data())
    with pytest.raises(ValueError, match=message):
        AdaptiveThreshold().fit(form(scores), Y, local=local)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "thresholds", "margins"])
def test_prediction_refuses(method):
    scores, Y, local = make_data()
    with pytest.raises(NotFittedError):
        getattr(AdaptiveThreshold(), method)(scores)
    predict = getattr(AdaptiveThreshold().fit(scores, Y, local=local), method)
    with pytest.raises(ValueError, match=r"pass local=NeighborLabels\.transform\(X\) here too"):
        predict(scores)
    with pytest.raises(ValueError, match="scores has 5 labels but 8 were expected"):
        predict(scores[:, :5], local=local)
    with pytest.raises(ValueError, match="local has 300 rows but 299 were expected"):
        predict(scores[1:], local=local)
    with pytest.raises(ValueError, match="scores must be finite"):
        predict(changed(scores, np.nan), local=local)
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
        predict(logit(scores), local=local)
