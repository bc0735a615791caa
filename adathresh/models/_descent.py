"""What classifiers that are trained by gradient descent share: their start, their loss, their step sizes."""

import numpy as np
from torch.nn import functional

# Share of the steps in which the step size rises.
_WARM_UP = 0.1


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
