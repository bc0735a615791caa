"""The scored (row, label) pairs, looked up and put in order once for all metrics of them."""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from adathresh.metrics._common import match_scores
from adathresh.utils.validation import candidate_pairs, check_labels, grouped_by_label


class ScoredPairs:
    """The scored (row, label) pairs of some rows; what several metrics need of them is computed once.

    Attributes
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        The true labels, checked.
    scores : numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_labels)
        The scores, checked.
    labels, values, truth : numpy.ndarray of shape (n_pairs,)
        Label, score and truth of every scored pair, row by row.
    """

    def __init__(self, Y_true, scores, *, name="scores", probabilities=False):
        self.Y = check_labels(Y_true, name="Y_true")
        self.scores = match_scores(scores, self.Y, name=name, probabilities=probabilities)
        self.labels, self.values, self.truth = candidate_pairs(self.Y, self.scores)

    @cached_property
    def n_by_row(self):
        """Number of scored pairs of each row."""
        n_samples, n_labels = self.scores.shape
        return np.diff(self.scores.indptr) if sp.issparse(self.scores) else np.full(n_samples, n_labels)

    @cached_property
    def n_by_label(self):
        """Number of scored pairs of each label."""
        return np.bincount(self.labels, minlength=self.Y.shape[1])

    @property
    def rows(self):
        """Row of each scored pair."""
        return np.repeat(np.arange(len(self.n_by_row)), self.n_by_row)

    def rows_at(self, places):
        """Row of the pairs at some places."""
        return np.searchsorted(np.cumsum(self.n_by_row), places, side="right")

    @cached_property
    def rising(self):
        """The scores of all pairs, rising."""
        return np.sort(self.values)

    @cached_property
    def falling_by_label(self):
        """Places of the pairs and their scores, by label, then by falling score; ties come in any order."""
        order = grouped_by_label(self.labels)
        negated = -self.values[order]
        for places in blocks_of_equal_size(self.n_by_label):
            block = negated[places]
            by_score = np.argsort(block, axis=1)
            order[places] = np.take_along_axis(order[places], by_score, axis=1)
            negated[places] = np.take_along_axis(block, by_score, axis=1)
        return order, -negated


def blocks_of_equal_size(sizes, *, above=1):
    """Yield the places of consecutive groups, those of one size together as the rows of an array.

    Sorting the rows of such an array sorts every group. Groups of at most ``above`` places are left out.
    There are at most √(2·n_places) different sizes.
    """
    starts, by_size = np.cumsum(sizes) - sizes, np.argsort(sizes, kind="stable")
    different, first = np.unique(sizes[by_size], return_index=True)
    for size, members in zip(different, np.split(by_size, first)[1:], strict=True):
        if size > above:
            yield starts[members][:, None] + np.arange(size)
