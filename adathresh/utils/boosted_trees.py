"""Boosted trees of scikit-learn as plain arrays, which can be stored and read without code of theirs."""

from typing import Any, Self

import numpy as np

# A bit for each leaf of a tree.
_MAX_LEAVES = 32
# Multiplied by a power of 2, it has another number in its first 5 bits for each of them (de Bruijn).
_SEQUENCE, _SHIFT = np.uint32(0x077CB531), np.uint32(27)
# Rows at once, so that what a tree says of them stays in the processor's cache.
_ROWS = 2048


class BoostedTrees:
    """The sum of regression trees, as gradient boosting grows them.

    A row's leaf is found without walking down the tree: a table for each feature tells, for the interval
    between two thresholds that the value is in, which leaves can still be reached; the leaf is the first one
    that all features leave (QuickScorer: Lucchese et al. 2015, doi 10.1145/2766462.2767733). So no content of
    the arrays can lead outside of them, and the sums are those of scikit-learn to the last bit.

    Parameters
    ----------
    baseline : float
        What the values of the leaves are added to.
    first : numpy.ndarray of int, shape (n_trees + 1,)
        Where the nodes of each tree begin; the last number is that of all nodes.
    feature : numpy.ndarray of int, shape (n_nodes,)
        Feature that a node looks at.
    threshold : numpy.ndarray of shape (n_nodes,)
        Up to this value of the feature a row goes to the left.
    left, right : numpy.ndarray of int, shape (n_nodes,)
        Children of a node, counted from the first node of its tree; 0 for a leaf.
    value : numpy.ndarray of shape (n_nodes,)
        What a leaf adds.

    Raises
    ------
    ValueError
        If the arrays are no trees of at most 32 leaves, or differ in length.

    Examples
    --------
    >>> of_one_tree = [0, 3], [0, 0, 0], [0.5, 0, 0], [1, 0, 0], [2, 0, 0], [0.0, -1, 1]
    >>> BoostedTrees(10.0, *map(np.array, of_one_tree)).predict([[0.5], [0.6]])
    array([ 9., 11.])
    """

    def __init__(
        self,
        baseline: float,
        first: np.ndarray,
        feature: np.ndarray,
        threshold: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        value: np.ndarray,
    ):
        self.baseline, self.first = float(baseline), first
        self.feature, self.threshold, self.left, self.right, self.value = (
            feature,
            threshold,
            left,
            right,
            value,
        )
        _check(self)
        n_trees = len(first) - 1
        inner = left > 0
        self._steps = [
            np.unique(threshold[inner & (feature == number)]) for number in range(feature.max(initial=-1) + 1)
        ]
        everything = np.uint32(0xFFFFFFFF)
        self._reachable = [
            np.full((n_trees, len(steps) + 1), everything, dtype=np.uint32) for steps in self._steps
        ]
        self._values = np.zeros((n_trees, _MAX_LEAVES))
        for tree in range(n_trees):
            self._enter(tree)

    @classmethod
    def from_sklearn(cls, model: Any) -> Self:
        """Take the trees of a fitted model.

        Parameters
        ----------
        model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
            Fitted to two classes, or by squared error, on features without categories and missing values;
            trees of at most 32 leaves.

        Returns
        -------
        BoostedTrees
            What gives the same sums as its ``decision_function``, or ``predict``.

        Raises
        ------
        ValueError
            If the model is of another kind.

        Examples
        --------
        >>> from sklearn.ensemble import HistGradientBoostingRegressor
        >>> X, y = np.arange(100.0)[:, None], np.arange(100.0) > 30
        >>> model = HistGradientBoostingRegressor(max_iter=5).fit(X, y)
        >>> bool((BoostedTrees.from_sklearn(model).predict(X) == model.predict(X)).all())
        True
        """
        if model.n_trees_per_iteration_ != 1 or getattr(model, "loss", None) not in (
            "log_loss",
            "squared_error",
        ):
            raise ValueError("Only trees for two classes, or of squared error, can be taken.")
        trees = [predictor.nodes for (predictor,) in model._predictors]
        nodes = np.concatenate(trees)
        if nodes["is_categorical"].any() or not np.isfinite(nodes["num_threshold"]).all():
            raise ValueError("Trees that look at categories or missing values cannot be taken.")
        leaf = nodes["is_leaf"].astype(bool)
        return cls(
            np.ravel(model._baseline_prediction)[0],
            np.cumsum([0, *map(len, trees)]),
            np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
            np.where(leaf, 0, nodes["num_threshold"]),
            np.where(leaf, 0, nodes["left"]).astype(np.int32),
            np.where(leaf, 0, nodes["right"]).astype(np.int32),
            np.where(leaf, nodes["value"], 0),
        )

    def predict(self, X: Any) -> np.ndarray:
        """Sum what the trees say of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, without missing values.

        Returns
        -------
        numpy.ndarray of shape (n_samples,)
            Sums, float64.

        Raises
        ------
        ValueError
            If X has fewer features than the trees look at.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] < len(self._steps):
            raise ValueError(f"X must have {len(self._steps)} features; its shape is {X.shape}.")
        reachable, starts = (
            self._reachable_by_byte() if X.dtype == np.uint8 else None,
            range(0, len(X), _ROWS),
        )
        sums = (self._sums(X[start : start + _ROWS], reachable) for start in starts)
        return np.concatenate([np.zeros(0), *sums])

    def _enter(self, tree):
        """Enter a tree into the tables: number its leaves from left to right, and say what reaches them."""
        first, n_leaves = self.first[tree], 0
        unread, order = [0], []  # inner nodes on the way down, to be closed on the way up
        bits: dict[int, int] = {}
        while unread:
            node = unread.pop()
            if self.left[first + node]:
                order.append(node)
                unread += [self.right[first + node], self.left[first + node]]
                continue
            if n_leaves == _MAX_LEAVES:
                raise ValueError(f"A tree has more than {_MAX_LEAVES} leaves.")
            bits[node] = 1 << n_leaves
            self._values[tree, _places(np.array([bits[node]], dtype=np.uint32))] = self.value[first + node]
            n_leaves += 1
        for node in reversed(order):
            left, right = self.left[first + node], self.right[first + node]
            bits[node] = bits[left] | bits[right]
            number = self.feature[first + node]
            step = np.searchsorted(self._steps[number], self.threshold[first + node])
            self._reachable[number][tree, step + 1 :] &= np.uint32(0xFFFFFFFF ^ bits[left])

    def _reachable_by_byte(self):
        """Return the tables of the features by each value from 0 to 255, in place of its interval."""
        values = np.arange(256)
        return [
            reachable.take(np.searchsorted(steps, values), axis=1)
            for steps, reachable in zip(self._steps, self._reachable, strict=True)
        ]

    def _sums(self, X, by_byte):
        """Sum what the trees say of a few rows, in the order of the trees.

        Rows of bytes are looked up in ``by_byte``; where it is None, the interval of each value is searched.
        """
        leaves = np.full((len(self.first) - 1, len(X)), 0xFFFFFFFF, dtype=np.uint32)
        for number, (column, steps) in enumerate(zip(X.T, self._steps, strict=False)):
            if not len(steps):
                continue
            if by_byte is None:
                leaves &= self._reachable[number].take(np.searchsorted(steps, column), axis=1)
            else:
                leaves &= by_byte[number].take(column, axis=1)
        places = _places(leaves & (~leaves + np.uint32(1)))  # of the lowest bit
        total = np.full(len(X), self.baseline)
        for values, place in zip(self._values, places, strict=True):
            total += values.take(place)
        return total

    def __getstate__(self):
        names = ("baseline", "first", "feature", "threshold", "left", "right", "value")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state):
        self.__init__(**state)  # the tables are made again


def _places(bits):
    """Return a number from 0 to 31 for each power of 2, a different one for each."""
    return (bits * _SEQUENCE) >> _SHIFT


def _check(trees):
    """Raise where the arrays are no trees: a child comes after its parent, and is that of one parent."""
    first, left, right = trees.first, trees.left, trees.right
    n_nodes = len(left)
    if any(len(part) != n_nodes for part in (trees.feature, trees.threshold, right, trees.value)):
        raise ValueError("Arrays of nodes differ in length.")
    sizes = np.diff(first)
    if not len(first) or first[0] != 0 or first[-1] != n_nodes or (sizes < 1).any():
        raise ValueError("The first nodes of the trees are not in order.")
    begin, size = np.repeat(first[:-1], sizes), np.repeat(sizes, sizes)
    inner, own = left != 0, np.arange(n_nodes) - begin
    for child in (left, right):
        if (child[inner] <= own[inner]).any() or (child[inner] >= size[inner]).any() or child[~inner].any():
            raise ValueError("A node of a tree has no such child.")
    children = np.concatenate([(begin + left)[inner], (begin + right)[inner]])
    if len(np.unique(children)) != len(children) or (trees.feature < 0).any():
        raise ValueError("A node of a tree has two parents, or looks at no feature.")
