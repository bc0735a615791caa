"""Signs that scores are not out-of-fold, in scores written down by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.leakage import in_sample_signs


def test_signs_by_hand():
    """20 labels with one positive in 20 rows: 19 that lead are plausible, 20 are not."""
    Y = sp.csr_array(np.eye(20, dtype=np.float32))
    rows, labels = np.divmod(np.arange(400), 20)
    truth = rows == labels
    scores = np.where(truth, 0.9, 0.1)
    signs = in_sample_signs(rows, labels, scores, truth, Y)
    assert "100% of the labels" in signs.what
    assert signs.pairs.tolist() == np.flatnonzero(truth).tolist()
    scores[1] = 0.9  # a tie does not lead
    assert in_sample_signs(rows, labels, scores, truth, Y) == (None, pytest.approx([]), True)
