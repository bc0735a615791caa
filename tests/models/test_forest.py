"""Extra trees: label shares of the leaves, and the memory they may take."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.ensemble import ExtraTreesRegressor

from adathresh.models.forest import ExtraTrees


def make_data(seed=0, n_samples=80, n_labels=4):
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, 6))
    return X, (X[:, :n_labels] > 0.6).astype(int)


def test_scores_are_mean_label_shares_of_the_leaves():
    X, Y = make_data()
    new, _ = make_data(seed=1)
    model = ExtraTrees(5, min_samples_leaf=4, random_state=0).fit(X, Y)
    trained, asked = model.forest_.apply(X), model.forest_.apply(new)
    shares = np.zeros((80, 4))
    for tree in range(5):
        for row in range(80):
            shares[row] += Y[trained[:, tree] == asked[row, tree]].mean(axis=0) / 5
    np.testing.assert_allclose(model.top_scores(new, k=4).toarray(), shares, rtol=1e-6)


def test_parameters_reach_the_forest():
    options = {"n_estimators": 3, "min_samples_leaf": 2, "max_features": 2, "n_jobs": 1, "random_state": 5}
    forest = ExtraTrees(**options).fit(*make_data()).forest_
    assert options.items() <= forest.get_params().items()
    assert ExtraTrees(2).fit(*make_data()).forest_.max_features == "sqrt"


def test_too_many_labels_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(ExtraTreesRegressor, "fit", lambda self, X, Y: pytest.fail("fitted"))
    X, Y = sp.csr_array((50_000, 10)), sp.csr_array((50_000, 4_000), dtype=int)
    message = r"100 trees for 4000 labels could take 298\.0 GiB, more than 4; .* take LabelTree"
    with pytest.raises(ValueError, match=message):
        ExtraTrees().fit(X, Y)


def test_larger_leaves_take_less_memory(monkeypatch):
    monkeypatch.setattr("adathresh.models.forest._MAX_BYTES", 80 * 2 * 4 * 8 * 10 / 2)
    X, Y = make_data()
    with pytest.raises(ValueError, match="min_samples_leaf"):
        ExtraTrees(10).fit(X, Y)
    assert ExtraTrees(10, min_samples_leaf=2).fit(X, Y).forest_.n_outputs_ == 4


def test_parameters_out_of_range():
    with pytest.raises(ValueError, match="min_samples_leaf"):
        ExtraTrees(min_samples_leaf=0).fit(*make_data())
    with pytest.raises(ValueError, match="n_estimators"):
        ExtraTrees(0).fit(*make_data())
