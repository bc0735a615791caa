"""One linear classifier for each label by LIBLINEAR, trained on all rows or on the rows of a shortlist."""

import multiprocessing

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state, gen_batches

from adathresh.models._base import TopScoresClassifier
from adathresh.models._liblinear import DUAL_FROM, TOLERANCE, Liblinear, are_class_weights, as_liblinear_takes
from adathresh.utils.distinct import distinct
from adathresh.utils.parameters import (
    Allowed,
    either,
    estimator_with,
    job_count,
    number,
    one_of,
    optional,
    parameters,
    seed,
    verbosity,
    whole,
)
from adathresh.utils.progress import tqdm

# Labels that one task of the parallel training fits.
_LABELS_PER_TASK = 32
# What a margin is multiplied by before the logistic function; that of the squared hinge is LibMultiLabel's.
_SLOPES = {"squared_hinge": 3.0, "log": 1.0}
# From this many rows on a support vector machine is looked for among some of the rows first, up to this share
# of them: where labels are noisy most rows are support vectors, and LIBLINEAR by itself is the faster.
_WORKING_SETS_FROM, _LARGEST_SHARE = 10_000, 0.2
# The rows that a working set starts with besides the positives; the fewest that one round may add.
_START, _ADDED = 500, 500
# Entries of a (rows x labels) block of margins; bounds the working memory.
_BLOCK_ENTRIES = 2**24


class LinearOneVsRest(TopScoresClassifier):
    """One linear classifier for each label, by LIBLINEAR through scikit-learn.

    Without a shortlist each label is trained on all rows. With one, a label is trained on its positives and
    on the rows for which another, cheaper model takes the label for a candidate: the negatives that are hard
    to tell (as in Parabel, doi 10.1145/3178876.3185998, and PECOS, arXiv:2010.05878). New rows are then
    scored for their candidates only. The cost falls from labels times rows to candidates times rows.

    A support vector machine depends on its support vectors only: the rows on or inside the margin, about
    400 of 45,000 for the median label of EURLEX57K. With thousands of rows and of features LIBLINEAR
    therefore sees a working set: the positives and some other rows, then also those that turn out to lie
    inside the margin, until there are none (Osuna et al. 1997, doi 10.1109/NNSP.1997.622408). The solution is
    that of all rows, to within LIBLINEAR's own tolerance, in a tenth of the time.

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
        Parallel processes of the training, in joblib's counting; None means 1, and so does any number inside
        a worker of another pool.
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

    _parameters = parameters(
        loss=one_of(*_SLOPES),
        C=number(above=0),
        class_weight=optional(
            either(one_of("balanced"), Allowed("a dict of weights of 0 and 1", are_class_weights))
        ),
        shortlist=optional(estimator_with("fit", "top_scores")),
        n_candidates=whole(1),
        min_weight=number(least=0, below=1),
        n_jobs=job_count(),
        random_state=seed(),
        verbose=verbosity(),
    )

    def __init__(
        self,
        loss: str = "squared_hinge",
        *,
        C: float = 1.0,
        class_weight: dict | str | None = None,
        shortlist: BaseEstimator | None = None,
        n_candidates: int = 50,
        min_weight: float = 0.01,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
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
        candidates = None
        if self.shortlist is not None:
            self.shortlist_ = clone(self.shortlist).fit(X, Y)
            candidates = sp.csc_array(self.shortlist_.top_scores(X, k=self.n_candidates))
        X, Y = as_liblinear_takes(X), sp.csc_array(Y)
        seed = check_random_state(self.random_state).randint(2**31)
        solver = Liblinear(loss=self.loss, C=self.C, class_weight=self.class_weight, seed=seed)
        tasks = (
            delayed(_fit_labels)(
                solver, X, Y[:, some], None if candidates is None else candidates[:, some], self.min_weight
            )
            for some in gen_batches(self.n_labels_, _LABELS_PER_TASK)
        )
        # A worker of another pool starts none of its own: there would be more processes than cores.
        n_jobs = 1 if multiprocessing.parent_process() else self.n_jobs
        # Threads would share the one random state of LIBLINEAR; a cluster has processes of its own.
        chosen, _ = get_active_backend(prefer="processes")
        backend = "loky" if getattr(chosen, "uses_threads", False) else None
        fitted = []
        with tqdm(total=self.n_labels_, desc="linear", unit="label", disable=not self.verbose) as bar:
            for part in Parallel(n_jobs, backend=backend, return_as="generator")(tasks):
                fitted.append(part)
                bar.update(len(part[1]))
        # by columns, so that its transpose, which scores rows, is by rows
        self.coef_ = sp.csc_array(sp.vstack([coef for coef, _ in fitted]))
        self.intercept_ = np.concatenate([intercept for _, intercept in fitted])

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


def _fit_labels(solver, X, Y, candidates, min_weight):
    """Fit some labels, given by columns; return their pruned weights (CSR) and intercepts."""
    n_labels = Y.shape[1]
    fitted = [(np.zeros(X.shape[1]), -np.inf)] * n_labels
    whole = []
    for label in range(n_labels):
        target = np.zeros(X.shape[0], dtype=np.int8)
        target[_rows_of(Y, label)] = 1
        listed = None
        if candidates is not None:
            listed = distinct(_rows_of(Y, label), _rows_of(candidates, label))
        if target.all():
            fitted[label] = np.zeros(X.shape[1]), np.inf
        elif target.any() and (listed is None or target[listed].all()):
            whole.append((label, target))
        elif target.any():
            target = target[listed]
            fitted[label] = solver.fit(X[listed], target, solver.weights(target))
    for label, solution in _fit_on_all_rows(solver, X, whole):
        fitted[label] = solution
    weights = _pruned(np.stack([coef for coef, _ in fitted]), min_weight)
    return weights, np.array([intercept for _, intercept in fitted])


def _fit_on_all_rows(solver, X, problems):
    """Yield the label and the solution of (label, target) problems on all rows."""
    n_samples, n_features = X.shape
    use_sets = solver.loss == "squared_hinge" and n_samples >= _WORKING_SETS_FROM and n_features >= DUAL_FROM
    if not use_sets:
        for label, target in problems:
            yield label, solver.fit(X, target, solver.weights(target))
        return
    some = np.linspace(0, n_samples - 1, _START).astype(int)
    open_ = [(label, target, distinct(some, _rarer_side(target))) for label, target in problems]
    while open_:
        solved = [
            (*problem, solver.fit(X[problem[2]], problem[1][problem[2]], solver.weights(problem[1])))
            for problem in open_
        ]
        open_ = []
        for batch in gen_batches(len(solved), max(1, _BLOCK_ENTRIES // n_samples)):
            coefs = np.stack([coef for *_, (coef, _) in solved[batch]], axis=1, dtype=X.dtype)
            margins = X @ coefs
            for column, (label, target, rows, solution) in enumerate(solved[batch]):
                added = _inside_the_margin(margins[:, column] + solution[1], target, rows)
                added = added[: max(_ADDED, len(rows) // 2)]
                if not len(added):
                    yield label, solution
                elif len(rows) + len(added) > _LARGEST_SHARE * n_samples:
                    yield label, solver.fit(X, target, solver.weights(target))
                else:
                    open_.append((label, target, distinct(rows, added)))


def _rarer_side(target):
    """Return the positive rows of a label, or the negative ones where they are the fewer."""
    return np.flatnonzero(target == (2 * target.sum(dtype=int) <= len(target)))


def _inside_the_margin(margins, target, rows):
    """Return the rows inside the margin that the working set lacks, the furthest inside first."""
    excess = 1 - np.where(target, margins, -margins)
    excess[rows] = 0
    inside = np.flatnonzero(excess > TOLERANCE)  # LIBLINEAR is no more exact
    return inside[np.argsort(-excess[inside], kind="stable")]


def _pruned(coefs, min_weight):
    """Return the weights of some labels, a row each, as CSR without the small ones."""
    sizes = np.abs(coefs)
    kept = np.where(sizes < min_weight * sizes.max(axis=1, keepdims=True), 0, coefs)
    return sp.csr_array(kept, dtype=np.float32)


def _rows_of(matrix, column):
    """Return the rows that a column of a CSC matrix stores."""
    return matrix.indices[matrix.indptr[column] : matrix.indptr[column + 1]]
