"""One-vs-rest linear classifiers by LIBLINEAR, against all rows or against the rows of a shortlist."""

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state, gen_batches
from tqdm.auto import tqdm

from adathresh.models._base import TopScoresClassifier

# Labels that one task of the parallel training fits.
_LABELS_PER_TASK = 32
# What a margin is multiplied by before the logistic function; that of the squared hinge is LibMultiLabel's.
_SLOPES = {"squared_hinge": 3.0, "log": 1.0}


class LinearOneVsRest(TopScoresClassifier):
    """One linear classifier for each label, by LIBLINEAR through scikit-learn.

    Without a shortlist each label is trained on all rows. With one, a label is trained on its positives and
    on the rows for which another, cheaper model takes the label for a candidate: the negatives that are hard
    to tell (as in Parabel, doi 10.1145/3178876.3185998, and PECOS, arXiv:2010.05878). New rows are then
    scored for their candidates only. The cost falls from labels times rows to candidates times rows.

    Probabilities are σ(margin) for the log loss. For the squared hinge they are σ(3 · margin), the slope of
    LibMultiLabel's label trees: one half where the classifier changes its mind, and a logit that is
    proportional to the margin, but not calibrated. A label without a training row has probability 0, one that
    all rows carry 1.

    Parameters
    ----------
    loss : {"squared_hinge", "log"}, default="squared_hinge"
        Support vector machine, or logistic regression.
    C : float, default=1.0
        Inverse regularisation strength.
    class_weight : dict or "balanced", optional
        Factor on C of the negatives (0) and the positives (1), as scikit-learn takes it; "balanced" weighs
        both sides of a label alike.
    shortlist : estimator, optional
        Another classifier with ``top_scores``, such as ``NeighborShares()``
        (:mod:`adathresh.models.neighbors`) or ``LabelTree()``; None trains on all rows.
    n_candidates : int, default=50
        Candidates a row that are asked of the shortlist.
    min_weight : float, default=0.01
        Weights smaller than this share of the label's largest are dropped (as in DiSMEC,
        doi 10.1145/3018661.3018741), in [0, 1).
    n_jobs : int, optional
        Parallel processes of the training, in joblib's counting; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of LIBLINEAR's order of the rows.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    coef_ : scipy.sparse.csc_array of shape (n_labels, n_features)
        Weights, float32.
    intercept_ : numpy.ndarray of shape (n_labels,)
        Margin of a row without features; −inf for a label without positives, inf for one without negatives.
    shortlist_ : estimator
        The fitted shortlist; only with one.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> LinearOneVsRest("log", random_state=0).fit(X, Y).predict(X).shape
    (100, 5)
    """

    def __init__(
        self,
        loss="squared_hinge",
        *,
        C=1.0,
        class_weight=None,
        shortlist=None,
        n_candidates=50,
        min_weight=0.01,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.loss = loss
        self.C = C
        self.class_weight = class_weight
        self.shortlist = shortlist
        self.n_candidates = n_candidates
        self.min_weight = min_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X, Y):
        """Fit the labels in parallel tasks."""
        self._check_parameters()
        candidates = None
        if self.shortlist is not None:
            self.shortlist_ = clone(self.shortlist).fit(X, Y)
            candidates = sp.csc_array(self.shortlist_.top_scores(X, k=self.n_candidates))
        X, Y = sp.csr_array(X, dtype=np.float64), sp.csc_array(Y)
        model = self._model()
        tasks = (
            delayed(_fit_labels)(
                model, X, Y[:, some], None if candidates is None else candidates[:, some], self.min_weight
            )
            for some in gen_batches(self.n_labels_, _LABELS_PER_TASK)
        )
        fitted = []
        with tqdm(total=self.n_labels_, desc="linear", unit="label", disable=not self.verbose) as bar:
            # Threads, which joblib takes inside a worker, would share the one random state of LIBLINEAR.
            for part in Parallel(self.n_jobs, backend="loky", return_as="generator")(tasks):
                fitted.append(part)
                bar.update(len(part[1]))
        # by columns, so that its transpose, which scores rows, is by rows
        self.coef_ = sp.csc_array(sp.vstack([coef for coef, _ in fitted]))
        self.intercept_ = np.concatenate([intercept for _, intercept in fitted])

    def _model(self):
        """Return the classifier of one label."""
        seed = check_random_state(self.random_state).randint(2**31)
        options = {"C": self.C, "class_weight": self.class_weight, "max_iter": 1000, "random_state": seed}
        if self.loss == "log":
            return LogisticRegression(solver="liblinear", **options)
        return LinearSVC(**options)

    def _scores(self, X, k):
        """Return the probabilities of all labels, or of the candidates."""
        margins = (sp.csr_array(X, dtype=np.float32) @ self.coef_.T).toarray() + self.intercept_
        slope = _SLOPES[self.loss]
        if self.shortlist is None:
            return expit(slope * margins)
        scores = self.shortlist_.top_scores(X, k=self.n_candidates)
        rows = np.repeat(np.arange(X.shape[0]), np.diff(scores.indptr))
        scores.data = expit(slope * margins[rows, scores.indices])
        return scores

    def _check_parameters(self):
        """Raise for parameters outside their range."""
        if self.loss not in _SLOPES:
            raise ValueError(f"loss must be one of {sorted(_SLOPES)}; got {self.loss!r}.")
        if not self.C > 0:
            raise ValueError(f"C must be greater than 0; got {self.C!r}.")
        if not 0 <= self.min_weight < 1:
            raise ValueError(f"min_weight must be in [0, 1); got {self.min_weight!r}.")
        if self.shortlist is not None and not hasattr(self.shortlist, "top_scores"):
            raise ValueError(f"shortlist must have top_scores; {type(self.shortlist).__name__} has not.")


def _fit_labels(model, X, Y, candidates, min_weight):
    """Fit some labels, given by columns; return their pruned weights (CSR) and intercepts."""
    n_labels, n_features = Y.shape[1], X.shape[1]
    weights, intercepts = [], np.full(n_labels, -np.inf)
    for label in range(n_labels):
        target = np.zeros(X.shape[0], dtype=np.int8)
        target[_rows_of(Y, label)] = 1
        rows = slice(None)
        if candidates is not None:
            listed = np.union1d(_rows_of(Y, label), _rows_of(candidates, label))
            rows = listed if not target[listed].all() else rows
        target = target[rows]
        coef = np.zeros(n_features)
        if target.all():
            intercepts[label] = np.inf
        elif target.any():
            # of the two forms of the problem, the one with fewer unknowns
            model.set_params(dual=len(target) < n_features).fit(X[rows], target)
            coef, intercepts[label] = model.coef_[0], model.intercept_[0]
        coef = np.where(np.abs(coef) < min_weight * np.abs(coef).max(), 0, coef)
        weights.append(sp.csr_array(coef[None], dtype=np.float32))
    return sp.vstack(weights, format="csr"), intercepts


def _rows_of(matrix, column):
    """Return the rows that a column of a CSC matrix stores."""
    return matrix.indices[matrix.indptr[column] : matrix.indptr[column + 1]]
