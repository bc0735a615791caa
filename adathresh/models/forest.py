"""Extremely randomised trees, for few labels."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from adathresh.models._base import TopScoresClassifier
from adathresh.utils.parameters import (
    either,
    job_count,
    number,
    one_of,
    optional,
    parameters,
    seed,
    verbosity,
    whole,
)

# scikit-learn keeps a value for each label at every node, in float64.
_MAX_BYTES = 4 * 2**30


class ExtraTrees(TopScoresClassifier):
    """Extremely randomised trees on all labels together, by scikit-learn.

    The probability of a label is its share among the training rows of a leaf, averaged over the trees (Geurts
    et al. 2006, doi 10.1007/s10994-006-6226-1). The trees are regression trees on the 0/1 labels: the squared
    error of 0/1 values is half their Gini impurity, so splits are chosen as ``ExtraTreesClassifier`` chooses
    them, in half the memory. That memory is labels times nodes: for many labels take
    :class:`~adathresh.models.tree.LabelTree`.

    Parameters
    ----------
    n_estimators : int, default=100
        Trees.
    min_samples_leaf : int, default=1
        Training rows that a leaf must hold; more of them make probabilities smoother and trees smaller.
    max_features : {"sqrt", "log2"}, int, float or None, default="sqrt"
        Features that are tried at each node, as scikit-learn takes it.
    n_jobs : int, optional
        Threads, in joblib's counting; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of the splits.
    verbose : bool, default=False
        Whether to show progress.

    Attributes
    ----------
    forest_ : sklearn.ensemble.ExtraTreesRegressor
        The fitted trees.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, if the trees could take more than 4 GiB, or a parameter is out of range.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> ExtraTrees(n_estimators=10, random_state=0).fit(X, Y).predict(X).shape
    (100, 5)
    """

    _parameters = parameters(
        n_estimators=whole(1),
        min_samples_leaf=whole(1),
        max_features=optional(either(one_of("sqrt", "log2"), whole(1), number(above=0, most=1))),
        n_jobs=job_count(),
        random_state=seed(),
        verbose=verbosity(),
    )

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        min_samples_leaf: int = 1,
        max_features: str | float | None = "sqrt",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X, Y):
        """Fit the forest, if it is sure to fit in memory."""
        self.forest_ = ExtraTreesRegressor(**self.get_params())
        n_nodes = 2 * -(-X.shape[0] // self.min_samples_leaf)
        size = 8 * n_nodes * self.n_labels_ * self.n_estimators
        if size > _MAX_BYTES:
            raise ValueError(
                f"{self.n_estimators} trees for {self.n_labels_} labels could take {size / 2**30:.1f} GiB, "
                f"more than {_MAX_BYTES / 2**30:g}; raise min_samples_leaf, lower n_estimators, or take "
                "LabelTree."
            )
        self.forest_.fit(X, Y.toarray() if self.n_labels_ > 1 else Y.toarray().ravel())

    def _scores(self, X, k):
        """Average the label shares of the leaves."""
        # the mean of 0/1 values may pass 0 or 1 by an ulp
        return np.clip(self.forest_.predict(X).reshape(X.shape[0], -1), 0, 1)
