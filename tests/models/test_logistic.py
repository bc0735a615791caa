"""Logistic regression on dense vectors: its start, its optimum, its limits."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from adathresh.models._descent import label_loss, log_odds, share_of_rate
from adathresh.models.logistic import LogisticHead


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = normalize(rng.normal(size=(400, 8)))
    Y = (rng.random((400, 3)) < expit(6 * X[:, :3] - 1)).astype(np.float32)
    return X.astype(np.float32), sp.csr_array(Y)


@pytest.mark.slow
def test_a_long_training_reaches_the_optimum_that_scikit_learn_finds(data):
    X, Y = data
    ours = LogisticHead(max_epochs=1500, batch_size=400, random_state=0).fit(X, Y)
    for label in range(3):
        theirs = LogisticRegression(C=np.inf).fit(X, Y[:, [label]].toarray().ravel())
        # but for the weight decay, which shrinks weights by a few per cent
        np.testing.assert_allclose(ours.coef_[label], theirs.coef_[0], rtol=0.05, atol=0.05)
        np.testing.assert_allclose(ours.intercept_[label], theirs.intercept_[0], atol=0.05)


def test_log_odds_are_smoothed_by_half_a_row():
    Y = sp.csr_array([[1, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose(log_odds(Y), np.log([2.5 / 0.5, 0.5 / 2.5, 1.0]), rtol=1e-6)


def test_loss_is_summed_over_labels_and_averaged_over_rows():
    import torch

    p, y = np.array([[0.8, 0.3], [0.5, 0.9]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    expected = -np.log([0.8 * 0.7, 0.5 * 0.1]).mean()
    found = label_loss(torch.from_numpy(logit(p)), torch.from_numpy(y)).item()
    assert found == pytest.approx(expected)


def test_the_step_size_rises_and_falls_linearly():
    shares = [share_of_rate(step, 20) for step in range(20)]
    np.testing.assert_allclose(shares, [0.5, 1.0, *np.arange(18, 0, -1) / 18])


def test_the_scale_of_the_rows_does_not_matter(data):
    X, Y = data
    small, large = (LogisticHead(random_state=0).fit(factor * X, Y) for factor in (1, 1000))
    np.testing.assert_allclose(
        small.top_scores(X, k=3).toarray(), large.top_scores(1000 * X, k=3).toarray(), atol=1e-5
    )


def test_labels_without_rows_and_empty_rows(data):
    X, Y = data
    Y = sp.csr_array(sp.hstack([Y, sp.csr_array((400, 1))]))
    scores = LogisticHead(random_state=0).fit(X, Y).top_scores(np.zeros((1, 8)), k=4).toarray()
    assert np.isfinite(scores).all()
    assert scores[0, 3] < 0.01
    assert np.isfinite(LogisticHead(random_state=0).fit(0 * X, Y).coef_).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_epochs": 0}, "max_epochs must be a whole number, at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1; got 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number, greater than 0; got inf"),
        ({"learning_rate": 0}, "learning_rate must be a finite number, greater than 0; got 0"),
    ],
)
def test_parameters_out_of_range(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        LogisticHead(**parameters).fit(*data)


def test_diverging_weights_are_named(data):
    with pytest.raises(
        ValueError, match=r"training diverged: the weights are not finite; lower learning_rate=1e\+38"
    ):
        LogisticHead(learning_rate=1e38, max_epochs=50, random_state=0).fit(*data)
