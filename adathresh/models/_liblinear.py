"""LIBLINEAR for one label at a time, by scikit-learn's copy of it."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state

try:
    # The checks of LinearSVC.fit take longer than many a label's training. What it calls after them is
    # private; where a later scikit-learn has it no more, the public classes give the same weights.
    from sklearn.svm._liblinear import set_verbosity_wrap, train_wrap
except ImportError:
    train_wrap = None

# From this many features on LIBLINEAR solves the dual problem even where there are more rows than features:
# with 1,836 of them (bibtex) 14 ms a label against 68, with 20,000 (EURLEX57K) 0.4 s against 1 to 2. With 500
# (delicious) it is 103 ms against 22, and the descent does not always converge.
DUAL_FROM = 1000
TOLERANCE = 1e-4  # its stopping tolerance
_MAX_ITER = 5000
# LIBLINEAR's numbers of the problems, by loss and whether the dual is solved.
_SOLVERS = {("squared_hinge", True): 1, ("squared_hinge", False): 2, ("log", True): 7, ("log", False): 0}


def are_class_weights(value):
    """Say whether a value is a dict of positive weights of negatives (0) or positives (1) or both."""
    return isinstance(value, dict) and all(
        side in (0, 1) and isinstance(weight, Real) and 0 < weight < np.inf for side, weight in value.items()
    )


def as_liblinear_takes(X):
    """Return rows as CSR in single or double precision with 32-bit indices, copied only where need be."""
    X = sp.csr_array(X)
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    if X.nnz > np.iinfo(np.int32).max:
        raise ValueError(f"LIBLINEAR takes at most 2³¹ − 1 stored features; X has {X.nnz:,}.")
    indices, indptr = (part.astype(np.int32, copy=False) for part in (X.indices, X.indptr))
    return sp.csr_array((X.data, indices, indptr), shape=X.shape)


@dataclass(frozen=True, kw_only=True)
class Liblinear:
    """A linear classifier of two classes."""

    loss: str
    C: float
    class_weight: dict | str | None
    seed: int

    def weights(self, target):
        """Return the weights of negatives and positives.

        What balances a label is fixed before rows are left out.
        """
        if self.class_weight == "balanced":
            return {side: len(target) / (2 * (target == side).sum()) for side in (0, 1)}
        return self.class_weight or {}

    @cached_property
    def _drawn(self):
        """Draw what LIBLINEAR's order of the rows starts from, as scikit-learn's classifiers do of a seed."""
        return check_random_state(self.seed).randint(np.iinfo("i").max)

    def fit(self, X, target, weights):
        """Return the coefficients and the intercept of one label.

        ``X`` is some rows of what :func:`as_liblinear_takes` returns; ``target`` has both 0 and 1.
        """
        n_samples, n_features = X.shape
        dual = n_features >= DUAL_FROM or n_samples < n_features
        if train_wrap is None:
            return self._fit_publicly(X, target, weights, dual)
        set_verbosity_wrap(0)  # one setting for the whole process
        raw, n_iter = train_wrap(
            X,
            target.astype(np.float64),
            True,  # X is sparse
            _SOLVERS[self.loss, dual],
            TOLERANCE,
            1.0,  # the feature of the intercept
            self.C,
            np.array([weights.get(side, 1.0) for side in (0, 1)], dtype=np.float64),
            _MAX_ITER,
            self._drawn,
            0.1,  # of regression, not used here
            np.ones(n_samples),
        )
        if n_iter.max() >= _MAX_ITER:
            warnings.warn(
                f"a label did not converge in {_MAX_ITER:,} iterations.", ConvergenceWarning, stacklevel=2
            )
        return raw[0, :-1], raw[0, -1]

    def _fit_publicly(self, X, target, weights, dual):
        """Do the same by scikit-learn's classifiers."""
        options = {
            "C": self.C,
            "class_weight": weights or None,
            "dual": dual,
            "max_iter": _MAX_ITER,
            "random_state": self.seed,
            "tol": TOLERANCE,
        }
        is_log = self.loss == "log"
        model = LogisticRegression(solver="liblinear", **options) if is_log else LinearSVC(**options)
        model.fit(X, target)
        return model.coef_[0], model.intercept_[0]
