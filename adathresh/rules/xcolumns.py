"""Macro-F1 as the package xCOLUMNs optimises it, behind the interface of the other rules.

xCOLUMNs is optional (``pip install "adathresh[xcolumns]"``). It is handed CSR of the stored pairs only, in
float64. Three things about its version 0.0.2 shape this module: its own ready-made Frank-Wolfe function for
macro-F1 fails, because it passes a metric of label matrices where one of confusion matrices is called; its
block coordinate ascent on CSR keeps wrong counts when a row's number of predicted labels changes; and its
randomised prediction without a budget moves all later rows for every row.
"""

from typing import Self

import numpy as np
import scipy.sparse as sp

from adathresh.metrics import top_k
from adathresh.rules.base import DecisionRule, every_pair_stored, selected_pairs
from adathresh.utils.parameters import optional, parameters, whole
from adathresh.utils.types import MatrixLike


class BlockCoordinateMacroF1(DecisionRule):
    """Give every row k labels so that the batch has the greatest expected macro-F1; fit needs no labels.

    Block coordinate ascent on F̂ = 1/L · Σ_l 2·Σ_i p_il·y_il / (Σ_i p_il + Σ_i y_il) over the label sets y of
    all rows, one row after the other until a round gains less than 1e-6, from each row's k most probable
    labels (Schultheis et al. 2023, arXiv:2311.05081; the package xcolumns). The rule is transductive: it
    decides about the batch given to predict as a whole, learns nothing in fit, and has no ``thresholds_``.
    A row with fewer than k stored pairs gets them all. Without a budget the sum splits into its labels, and
    :class:`ExpectedF1Threshold` fitted on the batch finds the maximum itself.

    Parameters
    ----------
    k : int, default=5
        Number of labels a row, at least 1.
    random_state : int or None, default=0
        Order in which the rows are visited.

    Examples
    --------
    >>> from adathresh.rules import BlockCoordinateMacroF1
    >>> rule = BlockCoordinateMacroF1(k=1).fit([[0.9, 0.1]])  # doctest: +SKIP
    >>> rule.predict([[0.9, 0.1], [0.8, 0.7]])  # doctest: +SKIP
    array([[1, 0],
           [0, 1]])
    """

    _needs_labels = False
    _needs_probabilities = True

    _parameters = parameters(
        k=whole(1)._replace(
            words="a whole number, at least 1 (without a budget, fit ExpectedF1Threshold on the batch)"
        ),
        random_state=optional(whole(0)),
    )

    def __init__(self, k: int = 5, *, random_state: int | None = 0):
        self.k = k
        self.random_state = random_state

    def fit(self, scores: MatrixLike, Y: MatrixLike | None = None) -> Self:
        """Check the parameters and remember the number of labels.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Probabilities in [0, 1]; only their number of labels matters.
        Y : array-like or sparse of shape (n_samples, n_labels), optional
            Not used.

        Returns
        -------
        BlockCoordinateMacroF1
            The rule.

        Raises
        ------
        ValueError
            If the scores are not finite probabilities, or k is below 1.
        ImportError
            If the package xcolumns is not installed.
        """
        return super().fit(scores, Y)

    def _fit(self, scores, Y):
        """Check that the package is there."""
        _block_coordinate()

    def _decide(self, scores):
        """Let the package choose k labels a row."""
        scores = _float64(every_pair_stored(scores))
        if not scores.nnz:
            return sp.csr_array(scores.shape, dtype=bool)
        # the k most probable to start with: rows then keep the size that they have, and the counts stay right
        found = _block_coordinate().predict_optimizing_macro_f1_score_using_bc(
            scores, int(self.k), init_y_pred="top", seed=self.random_state
        )
        return sp.csr_array((np.ones(found.nnz, dtype=bool), found.indices, found.indptr), shape=scores.shape)


class FrankWolfeMacroF1(DecisionRule):
    """A random mixture of linear rules found by the Frank-Wolfe algorithm for macro-F1 on the held-out rows.

    Rule c predicts the labels of a row with a_cl·p_l + b_cl ≥ 0, or the k for which that is greatest. Each
    step i adds, with the weight 2/(i + 1), the rule that follows the gradient of macro-F1 at the confusion
    matrix of the mixture so far, a = ∂/∂tp − ∂/∂fp − ∂/∂fn and b = ∂/∂fp (Schultheis et al. 2024,
    arXiv:2401.16594; the package xcolumns). In predict each row draws one rule by the weights; the same
    random_state draws the same rules for as many rows. Predicting a label without held-out positives costs
    no macro-F1 there: such a label is predicted wherever it has a score, or as far as the budget goes. There
    are no ``thresholds_``.

    Parameters
    ----------
    k : int or None, default=None
        Number of labels a row; None for no budget.
    random_state : int or None, default=0
        Which rule each row draws.
    n_steps : int, default=100
        Number of steps and of rules, at least 1.

    Attributes
    ----------
    slopes_, offsets_ : ndarray of shape (n_steps + 1, n_labels)
        The rules, a and b; the first is the rule that the search starts from, p − 1/2.
    weights_ : ndarray of shape (n_steps + 1,)
        The probability of each rule.

    Examples
    --------
    >>> from adathresh.rules import FrankWolfeMacroF1
    >>> rule = FrankWolfeMacroF1().fit([[0.2], [0.3], [0.9]], [[0], [1], [1]])  # doctest: +SKIP
    >>> rule.predict([[0.1], [0.8]])  # doctest: +SKIP
    array([[0],
           [1]])
    """

    _needs_probabilities = True

    _parameters = parameters(k=optional(whole(1)), random_state=optional(whole(0)), n_steps=whole(1))

    def __init__(self, k: int | None = None, *, random_state: int | None = 0, n_steps: int = 100):
        self.k = k
        self.random_state = random_state
        self.n_steps = n_steps

    def fit(self, scores: MatrixLike, Y: MatrixLike | None = None) -> Self:
        """Search the mixture of rules on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Probabilities in [0, 1] of rows that the model did not train on.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Their true labels, 0 or 1.

        Returns
        -------
        FrankWolfeMacroF1
            The fitted rule.

        Raises
        ------
        ValueError
            If the scores are not finite probabilities, Y is missing or of another shape, there is no row, or
            a parameter is out of range.
        ImportError
            If the package xcolumns is not installed.
        """
        return super().fit(scores, Y)

    def _fit(self, scores, Y):
        """Run the package's search; without line search, which often ends it at the first rule."""
        if not scores.shape[0]:
            raise ValueError("FrankWolfeMacroF1 needs at least one row; got none.")
        search, macro_f1 = _frank_wolfe()
        mixture = search(
            _float64(Y),
            _float64(every_pair_stored(scores)),
            macro_f1,
            0 if self.k is None else int(self.k),
            max_iters=self.n_steps,
            init_classifier="top",
            search_for_best_alpha=False,
            skip_tn=True,
        )
        self.slopes_, self.offsets_, self.weights_ = mixture.a, mixture.b, mixture.p

    def _decide(self, scores):
        """Draw a rule for each row, all at once, and apply it as the package does."""
        scores = every_pair_stored(scores)
        n_samples = scores.shape[0]
        drawn = np.random.default_rng(self.random_state).choice(
            len(self.weights_), size=n_samples, p=self.weights_
        )
        rule = np.repeat(drawn, np.diff(scores.indptr))
        gains = self.slopes_[rule, scores.indices] * scores.data.astype(np.float64)
        gains += self.offsets_[rule, scores.indices]
        if self.k is None:
            return selected_pairs(scores, gains >= 0)
        top = top_k(sp.csr_array((gains, scores.indices, scores.indptr), shape=scores.shape), self.k)
        top.data = np.ones(top.nnz, dtype=bool)
        return top


def _float64(matrix):
    """Return CSR as the container and the type that the package takes."""
    return sp.csr_matrix(matrix).astype(np.float64)


def _block_coordinate():
    """Import the package's module of block coordinate ascent."""
    try:
        from xcolumns import block_coordinate
    except ImportError as error:
        raise _missing("BlockCoordinateMacroF1") from error
    return block_coordinate


def _frank_wolfe():
    """Import the package's search, and macro-F1 as a function of the counts, which its own wrapper lacks."""
    try:
        from xcolumns.frank_wolfe import find_classifier_using_fw
        from xcolumns.metrics import macro_f1_score_on_conf_matrix
    except ImportError as error:
        raise _missing("FrankWolfeMacroF1") from error
    return find_classifier_using_fw, macro_f1_score_on_conf_matrix


def _missing(name):
    """Say how to install the package."""
    return ImportError(f'{name} needs the package xcolumns: pip install "adathresh[xcolumns]"')
