"""Logistic regression of all labels at once, for dense vectors such as those of a sentence transformer."""

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit
from sklearn.utils import check_random_state
from torch.nn import functional

from adathresh.models._base import TopScoresClassifier
from adathresh.models._descent import label_loss, log_odds, share_of_rate
from adathresh.utils.memory import check_memory
from adathresh.utils.parameters import number, parameters, seed, whole


class LogisticHead(TopScoresClassifier):
    """One logistic regression for each label, all trained together on dense rows.

    The probability of label l is σ(w_l · x + b_l). The loss is binary cross-entropy, summed over labels and
    averaged over rows; the optimiser AdamW, its step size rising linearly over the first tenth of the steps
    and falling linearly to 0 after it. Training starts from w = 0 and from b_l = the log-odds of the label
    among the training rows. A matrix product scores all labels, so that thousands of them cost seconds where
    :class:`~adathresh.models.linear.LinearOneVsRest`, made for sparse rows, takes a minute.

    Parameters
    ----------
    max_epochs : int, default=10
        Passes over the training rows; at least 1.
    batch_size : int, default=256
        Rows a step; at least 1.
    learning_rate : float, default=1e-2
        Greatest step size, for rows that are scaled to entries of about 1 (what training does to unit
        vectors by itself); greater than 0.
    random_state : int, RandomState instance or None, default=None
        Of the order of the rows.

    Attributes
    ----------
    coef_ : numpy.ndarray of shape (n_labels, n_features)
        Weights, float32.
    intercept_ : numpy.ndarray of shape (n_labels,)
        Intercepts.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range, or weights that become NaN or infinite.
    MemoryError
        In ``fit``, if it is sure to take more memory than the machine has.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> LogisticHead(random_state=0).fit(X, Y).predict(X).shape
    (100, 5)
    """

    _parameters = parameters(
        max_epochs=whole(1), batch_size=whole(1), learning_rate=number(above=0), random_state=seed()
    )

    def __init__(
        self,
        *,
        max_epochs: int = 10,
        batch_size: int = 256,
        learning_rate: float = 1e-2,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _fit(self, X, Y):
        """Train weights and intercepts, if dense rows, and weights with what AdamW keeps, fit in memory."""
        (n_samples, n_features), n_labels = X.shape, Y.shape[1]
        check_memory(
            4 * n_features * (n_samples + 5 * n_labels),
            f"Dense rows and weights of {n_features} features and {n_labels} labels",
            "take LinearOneVsRest",
        )
        X = torch.from_numpy(_dense(X))
        scale = 1 / max(X.square().mean().sqrt().item(), np.finfo(np.float32).tiny)
        weight = torch.zeros(Y.shape[1], X.shape[1], requires_grad=True)
        bias = torch.from_numpy(log_odds(Y)).requires_grad_()
        optimizer = torch.optim.AdamW([weight, bias], weight_decay=0.01)
        n_steps, step = self.max_epochs * -(-X.shape[0] // self.batch_size), 0
        random = check_random_state(self.random_state)
        for _ in range(self.max_epochs):
            order = random.permutation(X.shape[0])
            for start in range(0, X.shape[0], self.batch_size):
                rows = order[start : start + self.batch_size]
                logits = functional.linear(scale * X[rows], weight, bias)
                loss = label_loss(logits, torch.from_numpy(Y[rows].toarray()))
                optimizer.param_groups[0]["lr"] = self.learning_rate * share_of_rate(step, n_steps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise ValueError(
                f"training diverged: the weights are not finite; lower learning_rate={self.learning_rate!r}."
            )
        self.coef_, self.intercept_ = scale * weight.detach().numpy(), bias.detach().numpy()

    def _scores(self, X, k):
        """Return the probabilities of all labels."""
        return expit(_dense(X) @ self.coef_.T + self.intercept_)


def _dense(X):
    """Return rows as a dense float32 array."""
    return np.ascontiguousarray(X.toarray() if sp.issparse(X) else X, dtype=np.float32)
