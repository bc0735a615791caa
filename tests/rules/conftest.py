"""The small cases that the tests of all rules share."""

import numpy as np
import pytest
import scipy.sparse as sp


@pytest.fixture(scope="session")
def make_case():
    """Make labels, scores, which of them are stored, and those as CSR."""
    return _make_case


def _make_case(seed, n_samples=25, n_labels=7, decimals=1, kept=0.7):
    """Probabilities rounded to force ties; label 0 has no positives and label 1 nothing else."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < rng.random(n_labels) * 0.6).astype(int)
    Y[:, 0], Y[:, 1] = 0, 1
    scores = np.round(np.clip(0.5 * Y * rng.random(n_labels) + 0.6 * rng.random(Y.shape), 0, 1), decimals)
    stored = rng.random(Y.shape) < kept
    return Y, scores, stored, sp.csr_array((scores[stored], np.nonzero(stored)), shape=Y.shape)
