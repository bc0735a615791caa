"""What is done to the labels of the training and validation rows; test labels stay clean."""

import dataclasses
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from adathresh.datasets.dataset import fingerprint
from adathresh.experiments.core.evaluation import label_frequency
from adathresh.experiments.core.fold_scores import fitting_labels
from adathresh.experiments.core.sentences import percent
from adathresh.utils.validation import with_pairs

AMOUNTS = {"quick": (0.5,), "full": (0.1, 0.3, 0.5)}
"""Shares of the labels that go missing, or are moved to another label, by profile."""

CLEAN, MISSING, WRONG, ONE = "clean", "missing", "wrong", "one a row"
"""What can be done to the labels; :func:`noisy_labels` does it."""

_NAMES = {CLEAN: "clean", MISSING: "{} missing", WRONG: "{} wrong", ONE: "one label a row"}


class Noise(NamedTuple):
    """What is done to the labels that models and rules are fitted on."""

    kind: str
    """One of the four above."""
    amount: float
    """Share of the true labels that is lost, missing or moved, in [0, 1)."""

    @property
    def name(self):
        """What tables call it."""
        return _NAMES[self.kind].format(percent(self.amount))

    @property
    def columns(self):
        """The columns that describe it in a table."""
        return {"noise": self.name, **self._asdict()}

    @property
    def is_missing(self):
        """Whether labels are missing and none is wrong: what the correction is for."""
        return self.kind in (MISSING, ONE)


def noises(config, ds):
    """List what is done to the labels of a data set, nothing first.

    Labels cannot be moved where there is one only, nor all but one of a row taken where no row has two.
    """
    Y = fitting_labels(ds)
    amounts = AMOUNTS[config.profile]
    found = [Noise(CLEAN, 0.0), *(Noise(MISSING, amount) for amount in amounts)]
    if Y.shape[1] > 1:
        found += [Noise(WRONG, amount) for amount in amounts]
    n_labelled = np.count_nonzero(np.diff(Y.indptr))
    return found + ([Noise(ONE, 1 - n_labelled / Y.nnz)] if n_labelled < Y.nnz else [])


def corrupted(ds, noise, *, seed):
    """Return a data set with noisy labels in the training and validation rows; the test rows stay clean.

    It has a fingerprint of its own, and no label knowledge: none of the rules compared here reads it.
    """
    if noise.kind == CLEAN:
        return ds
    n_train = ds.train.Y.shape[0]
    Y = noisy_labels(fitting_labels(ds), noise, np.random.default_rng(seed))
    noisy = dataclasses.replace(
        ds,
        train=dataclasses.replace(ds.train, Y=Y[:n_train]),
        validation=dataclasses.replace(ds.validation, Y=Y[n_train:]),
        label_knowledge=None,
    )
    return dataclasses.replace(noisy, fingerprint=fingerprint(noisy.splits))


def noisy_labels(Y, noise, rng):
    """Lose some of the labels Y: of equal draws, what a small amount loses a greater one loses, too."""
    if noise.kind == ONE:
        return _one_a_row(Y, rng)
    lost = np.zeros(Y.nnz, dtype=bool)
    lost[rng.permutation(Y.nnz)[: round(noise.amount * Y.nnz)]] = True
    return _moved(Y, lost, rng) if noise.kind == WRONG else with_pairs(Y, ~lost)


def _one_a_row(Y, rng):
    """Keep one label of each row that has any, each with the same chance."""
    sizes = np.diff(Y.indptr)
    labelled = np.flatnonzero(sizes)
    keep = np.zeros(Y.nnz, dtype=bool)
    keep[Y.indptr[labelled] + rng.integers(sizes[labelled])] = True
    return with_pairs(Y, keep)


def _moved(Y, lost, rng):
    """Give each row, in place of the lost labels, as many others that it has not, drawn by their frequency.

    What has the shortest of exponential waiting times, of rates in proportion to the frequencies, is a draw
    without replacement (Efraimidis and Spirakis 2006, doi 10.1016/j.ipl.2005.11.003). A row that has nearly
    all labels keeps those for which there is no other.
    """
    frequency, labels = label_frequency(Y), Y.indices.copy()
    present = np.flatnonzero(frequency)
    for start, end in pairwise(Y.indptr):
        at = start + np.flatnonzero(lost[start:end])
        if not len(at):
            continue
        waiting = rng.exponential(1 / frequency[present])
        others = present[np.argsort(waiting)]
        new = others[~np.isin(others, Y.indices[start:end])][: len(at)]
        labels[at[: len(new)]] = new
    moved = sp.csr_array((Y.data.copy(), labels, Y.indptr.copy()), shape=Y.shape)
    moved.sort_indices()
    return moved
