"""Linear one-vs-rest: the same classifiers as scikit-learn's, the shortlist, and the pruning."""

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import Parallel, delayed, parallel_config
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from adathresh.models import _liblinear, linear
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.neighbors import NeighborShares


def make_data(seed=0, n_samples=120, n_features=30, n_labels=8):
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.4)
    return X, (X[:, :n_labels] + 0.2 * rng.normal(size=(n_samples, n_labels)) > 0.4).astype(int)


class Listed(BaseEstimator):
    """A shortlist that is given: labels row + 0, row + 2, … (row counts from the start of X)."""

    def __init__(self, step=2):
        self.step = step

    def fit(self, X, Y):
        self.n_labels_ = Y.shape[1]
        return self

    def top_scores(self, X, *, k):
        rows, labels = np.indices((X.shape[0], self.n_labels_))
        listed = (rows + labels) % self.step == 0
        return sp.csr_array(np.where(listed, 0.3, 0))


def seeded(**options):
    return {"random_state": np.random.RandomState(0).randint(2**31), "max_iter": 1000, **options}


@pytest.mark.parametrize("dual", [True, False])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 3}])
@pytest.mark.parametrize("loss", ["squared_hinge", "log"])
def test_each_label_is_scikit_learns_own_classifier(loss, class_weight, dual):
    X, Y = make_data(n_samples=20 if dual else 120)
    options = {"C": 2.0, "class_weight": class_weight}
    ours = LinearOneVsRest(loss, min_weight=0, random_state=0, **options).fit(X, Y)
    for label in range(8):
        options |= {"dual": dual}
        theirs = LinearSVC(**seeded(**options))
        if loss == "log":
            theirs = LogisticRegression(solver="liblinear", **seeded(**options))
        theirs.fit(X, Y[:, label])
        np.testing.assert_allclose(ours.coef_[[label]].toarray(), theirs.coef_, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(ours.intercept_[label], theirs.intercept_[0])


@pytest.fixture
def wide(monkeypatch):
    """Many sparse features, more rows than the first working set, labels of 5 to 500 of 600 rows."""
    monkeypatch.setattr(linear, "_WORKING_SETS_FROM", 600)
    monkeypatch.setattr(linear, "_START", 20)
    monkeypatch.setattr(linear, "_ADDED", 20)
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.random(600, 1000, 0.02, format="csr", rng=rng))
    weights = rng.normal(size=(1000, 5)) * (rng.random((1000, 5)) < 0.1)
    order = np.argsort(np.argsort(-(X @ weights), axis=0), axis=0)
    return X, (order < [5, 20, 60, 300, 580]).astype(int)


@pytest.fixture
def seen(monkeypatch):
    """Record how many rows LIBLINEAR is given."""
    n_rows, train = [], _liblinear.train_wrap
    monkeypatch.setattr(
        _liblinear, "train_wrap", lambda X, *args: n_rows.append(X.shape[0]) or train(X, *args)
    )
    return n_rows


@pytest.mark.parametrize("share", [0.05, 1])
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3}])
def test_working_sets_lead_to_the_classifier_of_all_rows(wide, seen, class_weight, share, monkeypatch):
    monkeypatch.setattr(linear, "_LARGEST_SHARE", share)
    X, Y = wide
    options = {"C": 0.1, "class_weight": class_weight}
    ours = LinearOneVsRest(min_weight=0, random_state=0, **options).fit(X, Y)
    assert min(seen) < 60
    n_whole = seen.count(600)
    assert n_whole == 5 if share < 1 else n_whole < 5  # sets that grow too large are given up
    for label in range(5):
        theirs = LinearSVC(dual=True, tol=1e-6, **seeded(max_iter=10**5, **options)).fit(X, Y[:, label])
        np.testing.assert_allclose(ours.coef_[[label]].toarray(), theirs.coef_, atol=1e-3)
        np.testing.assert_allclose(ours.intercept_[label], theirs.intercept_[0], atol=1e-3)


def test_working_sets_leave_no_row_inside_the_margin_unseen(wide, monkeypatch):
    sets, train = [], _liblinear.train_wrap
    monkeypatch.setattr(
        _liblinear, "train_wrap", lambda X, y, *args: sets.append((X, y)) or train(X, y, *args)
    )
    monkeypatch.setattr(linear, "_LARGEST_SHARE", 1)
    X, Y = wide
    model = LinearOneVsRest(C=0.1, min_weight=0, random_state=0).fit(X, Y[:, :1])
    margins = (X @ model.coef_.toarray().T + model.intercept_)[:, 0]
    inside = (np.where(Y[:, 0], margins, -margins) < 1 - 1e-3).sum()
    last, target = sets[-1]
    last_margins = (last @ model.coef_.toarray().T + model.intercept_)[:, 0]
    assert inside == (np.where(target, last_margins, -last_margins) < 1 - 1e-3).sum() > 0
    assert last.shape[0] < 600


def test_working_sets_are_drawn_alike_for_dense_and_for_single_precision_rows(wide):
    X, Y = wide
    fits = [
        LinearOneVsRest(C=0.1, random_state=0, min_weight=0).fit(rows, Y).coef_.toarray()
        for rows in (X, X, X.toarray(), X.astype(np.float32))
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_array_equal(fits[0], fits[2])
    np.testing.assert_allclose(fits[0], fits[3], atol=1e-3)


@pytest.mark.parametrize(("loss", "primal", "dual"), [("squared_hinge", 2, 1), ("log", 0, 7)])
def test_many_features_are_trained_by_the_dual(loss, primal, dual, monkeypatch):
    solvers, train = [], _liblinear.train_wrap
    monkeypatch.setattr(
        _liblinear,
        "train_wrap",
        lambda X, y, is_sparse, solver, *args: (
            solvers.append(solver) or train(X, y, is_sparse, solver, *args)
        ),
    )
    for n_samples, n_features in ((60, 50), (40, 50), (1010, 1000)):
        X = sp.random(n_samples, n_features, 0.05, format="csr", rng=np.random.default_rng(0))
        LinearOneVsRest(loss, random_state=0).fit(X, np.arange(n_samples)[:, None] % 2)
    assert solvers == [primal, dual, dual]


@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3}])
@pytest.mark.parametrize("loss", ["squared_hinge", "log"])
@pytest.mark.parametrize("n_samples", [20, 120])
def test_the_public_classifiers_of_scikit_learn_give_the_same(loss, class_weight, n_samples, monkeypatch):
    X, Y = make_data(n_samples=n_samples)
    model = LinearOneVsRest(loss, class_weight=class_weight, shortlist=Listed(), random_state=0)
    fast = model.fit(X, Y).coef_.toarray(), model.intercept_
    monkeypatch.setattr(_liblinear, "train_wrap", None)
    public = model.fit(X, Y).coef_.toarray(), model.intercept_
    np.testing.assert_array_equal(fast[0], public[0])
    np.testing.assert_array_equal(fast[1], public[1])


def test_a_label_that_does_not_converge_is_told(monkeypatch):
    monkeypatch.setattr(_liblinear, "_MAX_ITER", 1)
    X, Y = make_data()
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 iterations"):
        LinearOneVsRest(random_state=0).fit(X, Y)


def test_rows_of_any_precision_and_index_are_taken():
    X, Y = make_data()
    rows = sp.csr_array(X.round())
    long = sp.csr_array(rows)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    fits = [
        LinearOneVsRest(random_state=0).fit(each, Y).coef_.toarray()
        for each in (rows, long, rows.astype(np.float32), rows.astype(int))
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0], other)


@pytest.mark.parametrize(("loss", "slope"), [("squared_hinge", 3), ("log", 1)])
def test_probabilities_are_the_logistic_function_of_the_margins(loss, slope):
    X, Y = make_data()
    model = LinearOneVsRest(loss, random_state=0).fit(X, Y)
    margins = X @ model.coef_.toarray().T + model.intercept_
    scores = model.top_scores(X, k=8).toarray()
    np.testing.assert_allclose(scores, expit(slope * margins), rtol=1e-4)
    np.testing.assert_array_equal(model.predict(X), margins > 0)


def test_a_shortlist_gives_the_negatives_and_the_pairs_that_are_scored():
    X, Y = make_data()
    model = LinearOneVsRest(shortlist=Listed(), min_weight=0, random_state=0).fit(X, Y)
    listed = Listed().fit(X, Y).top_scores(X, k=50).toarray() > 0
    margins = np.empty(Y.shape)
    for label in range(8):
        rows = np.flatnonzero(listed[:, label] | (Y[:, label] == 1))
        theirs = LinearSVC(**seeded()).fit(X[rows], Y[rows, label])
        np.testing.assert_allclose(model.coef_[[label]].toarray(), theirs.coef_, rtol=1e-5, atol=1e-7)
        margins[:, label] = theirs.decision_function(X)
    scores = model.top_scores(X)
    np.testing.assert_array_equal(scores.toarray() > 0, listed)
    np.testing.assert_allclose(scores.toarray()[listed], expit(3 * margins)[listed], rtol=1e-4)
    np.testing.assert_array_equal(model.predict(X), listed & (margins > 0))


def test_a_shortlist_of_everything_is_no_shortlist():
    X, Y = make_data()
    new, _ = make_data(seed=1)
    listed = LinearOneVsRest(shortlist=Listed(step=1), random_state=0).fit(X, Y).top_scores(new)
    np.testing.assert_array_equal(
        listed.toarray(), LinearOneVsRest(random_state=0).fit(X, Y).top_scores(new).toarray()
    )


def test_a_label_whose_shortlist_holds_only_positives_is_trained_on_all_rows():
    X, Y = make_data()
    nothing = LinearOneVsRest(shortlist=Listed(step=10**6), random_state=0).fit(X[1:], Y[1:])
    everything = LinearOneVsRest(random_state=0).fit(X[1:], Y[1:])
    np.testing.assert_array_equal(nothing.coef_.toarray()[1:], everything.coef_.toarray()[1:])


def test_the_shortlist_is_asked_for_so_many_candidates():
    X, Y = make_data()
    model = LinearOneVsRest(shortlist=NeighborShares(5), n_candidates=3, random_state=0).fit(X, Y)
    assert np.diff(model.top_scores(X).indptr).max() == 3
    assert np.diff(model.top_scores(X, k=2).indptr).max() == 2


def test_small_weights_are_dropped():
    X, Y = make_data()
    full = LinearOneVsRest(min_weight=0, random_state=0).fit(X, Y).coef_.toarray()
    pruned = LinearOneVsRest(min_weight=0.2, random_state=0).fit(X, Y).coef_
    kept = np.abs(full) >= 0.2 * np.abs(full).max(axis=1, keepdims=True)
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(pruned.toarray(), np.where(kept, full, 0))
    assert pruned.nnz == kept.sum()
    assert pruned.dtype == np.float32


def test_margins_of_labels_with_no_or_only_positives():
    X, Y = make_data()
    Y[:, 1], Y[:, 5] = 0, 1
    model = LinearOneVsRest(random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.intercept_[[1, 5]], [-np.inf, np.inf])
    scores = model.top_scores(X, k=8).toarray()
    assert (scores[:, 1] == 0).all()
    assert (scores[:, 5] == 1).all()


@pytest.mark.slow
def test_a_parallel_fit_is_the_same(monkeypatch):
    monkeypatch.setattr("adathresh.models.linear._LABELS_PER_TASK", 3)
    X, Y = make_data()
    one, two = (LinearOneVsRest(n_jobs=n_jobs, random_state=0).fit(X, Y) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.coef_.toarray(), two.coef_.toarray())
    np.testing.assert_array_equal(one.intercept_, two.intercept_)


@pytest.mark.slow
def test_jobs_never_share_the_random_state_of_liblinear():
    """Threads would: joblib takes them inside a worker, and where its user asks for them."""
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.random(400, 2000, 0.02, format="csr", rng=rng))  # wide: the dual solver draws
    Y = (rng.random((400, 256)) < 0.1).astype(int)
    alone = LinearOneVsRest(random_state=0).fit(X, Y)
    with parallel_config("threading"):
        side_by_side = LinearOneVsRest(n_jobs=2, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(side_by_side.coef_.toarray(), alone.coef_.toarray())
    np.testing.assert_array_equal(side_by_side.intercept_, alone.intercept_)


@pytest.mark.slow
def test_a_worker_of_a_pool_starts_no_pool_of_its_own():
    def jobs_of_a_fit():  # defined here, so that it travels to the worker whole
        from adathresh.models import linear

        asked, parallel = [], linear.Parallel
        linear.Parallel = lambda n_jobs, **options: asked.append(n_jobs) or parallel(n_jobs, **options)
        try:
            linear.LinearOneVsRest(n_jobs=2).fit([[0.0], [1.0]] * 5, [[0], [1]] * 5)
        finally:
            linear.Parallel = parallel
        return asked

    assert jobs_of_a_fit() == [2]
    assert Parallel(2)(delayed(jobs_of_a_fit)() for _ in range(2)) == [[1], [1]]


def test_positives_that_weigh_more_are_found_more_often():
    X, Y = make_data()
    plain, weighted = (
        LinearOneVsRest(class_weight=weight, random_state=0).fit(X, Y).predict(X).sum()
        for weight in (None, {0: 1, 1: 10})
    )
    assert weighted > plain


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "hinge"}, "loss must be 'squared_hinge' or 'log'; got 'hinge'"),
        ({"C": 0}, "C must be a finite number, greater than 0; got 0"),
        (
            {"class_weight": "equal"},
            "class_weight must be 'balanced', or a dict of weights of 0 and 1, or None; got 'equal'",
        ),
        ({"class_weight": {2: 1.0}}, "class_weight"),
        ({"class_weight": {1: -1.0}}, "class_weight"),
        ({"min_weight": 1}, "min_weight must be a finite number, at least 0 and less than 1; got 1"),
        ({"min_weight": -0.1}, "min_weight"),
        (
            {"n_candidates": 0, "shortlist": NeighborShares()},
            "n_candidates must be a whole number, at least 1",
        ),
        (
            {"shortlist": LinearSVC()},
            "shortlist must be an estimator with the methods fit and top_scores, or None; got",
        ),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        LinearOneVsRest(**parameters).fit(*make_data())


@pytest.mark.usefixtures("bars")
def test_verbose_shows_progress(capsys):
    LinearOneVsRest(verbose=True).fit(*make_data())
    assert "8/8" in capsys.readouterr().err
