"""What classifiers that are trained by gradient descent share: their batches, loss and step sizes."""

import numpy as np
from torch.nn import functional

from adathresh.utils.checkpoint import ResumableTraining

# Enough that the batches of a stretch differ in length, few enough that equal ones mix anew in every epoch.
_BATCHES_A_STRETCH = 50
# Share of the steps in which the step size rises.
_WARM_UP = 0.1


class TrainingBySteps(ResumableTraining):
    """A training that keeps the loss of every step."""

    def __init__(self, name, model, optimizers, identity):
        super().__init__(name, model, optimizers, identity)
        self.losses = []

    @property
    def n_done(self):
        """Return the number of steps that were taken."""
        return len(self.losses)

    def figures(self):
        """Return the last loss."""
        return {"loss": self.losses[-1]} if self.losses else {}


def log_odds(Y):
    """Return the log-odds of each label of a CSR matrix, smoothed by half a row on either side, float32."""
    frequency = np.bincount(Y.indices, minlength=Y.shape[1])
    return np.log((frequency + 0.5) / (Y.shape[0] - frequency + 0.5)).astype(np.float32)


def label_loss(logits, targets):
    """Return binary cross-entropy, summed over labels and averaged over rows."""
    return functional.binary_cross_entropy_with_logits(logits, targets) * targets.shape[1]


def share_of_rate(step, n_steps):
    """Return the share of the greatest step size: a linear rise, then a linear fall."""
    rise = max(1, round(_WARM_UP * n_steps))
    return min((step + 1) / rise, (n_steps - step) / max(1, n_steps - rise))


def batches_of_similar_length(lengths, size, *, seed):
    """Part all rows at random into batches of similar lengths: a batch costs what its longest row does.

    Rows are shuffled and sorted by length within stretches of some batches, and the batches are shuffled.
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(lengths))
    stretch = np.arange(len(order)) // (size * _BATCHES_A_STRETCH)
    order = order[np.lexsort((lengths[order], stretch))]
    batches = np.split(order, range(size, len(order), size))
    return [batches[position] for position in draw.permutation(len(batches))]
