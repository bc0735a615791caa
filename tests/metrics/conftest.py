"""The small cases that the tests of all metrics share."""

import numpy as np
import pytest
import scipy.sparse as sp


@pytest.fixture(scope="session")
def make_case():
    """Make labels, predictions, scores, which of these are stored, and those as CSR."""
    return _make_case


def _make_case(seed, n_samples=40, n_labels=9, decimals=1, kept=0.6):
    """Labels, predictions and rounded (so tied) probabilities; dense, and with some pairs absent."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < rng.random(n_labels) * 0.5).astype(int)
    Y[:, 0] = 0
    P = np.where(rng.random(Y.shape) < 0.7, Y, rng.random(Y.shape) < 0.2).astype(int)
    scores = np.round(rng.random(Y.shape), decimals)
    stored = rng.random(Y.shape) < kept
    rows, labels = np.nonzero(stored)
    return Y, P, scores, stored, sp.csr_array((scores[stored], (rows, labels)), shape=Y.shape)
