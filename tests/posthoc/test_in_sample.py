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


@pytest.mark.parametrize(("n_labelled", "n_wrong"), [(99, 0), (100, 0), (100, 1), (400, 1), (400, 2)])
def test_rows_without_labels_do_not_count(n_labelled, n_wrong):
    """The highest score is true in all rows with labels but a few; three times as many rows have none."""
    n_rows = 4 * n_labelled
    Y = np.zeros((n_rows, 2), dtype=np.float32)
    Y[np.arange(0, n_rows, 4), np.arange(n_labelled) % 2] = 1
    scores = np.where(Y == 1, 0.9, 0.1)
    scores[: 4 * n_wrong : 4] = scores[: 4 * n_wrong : 4, ::-1]
    rows, labels = np.divmod(np.arange(2 * n_rows), 2)
    signs = in_sample_signs(rows, labels, scores.ravel(), Y.ravel() == 1, sp.csr_array(Y))
    found = n_labelled >= 100 and n_wrong < 0.005 * n_labelled
    assert signs.judged == (n_labelled >= 100)
    assert (signs.what is not None) == found
    if found:
        share = f"{1 - n_wrong / n_labelled:.1%}"
        assert signs.what == f"the highest score is true in {share} of the rows with labels"
        assert len(signs.pairs) == n_labelled - n_wrong


def test_a_tie_at_the_top_is_no_hit():
    """Constant scores know nothing; scores of 1 for all true labels, and no other, know everything."""
    Y = np.eye(4)[np.arange(200) % 4]
    Y[:, 3] = Y[:, 0]
    rows, labels = np.divmod(np.arange(800), 4)
    truth = Y.ravel() == 1
    assert in_sample_signs(rows, labels, np.full(800, 0.1), truth, sp.csr_array(Y)).what is None
    labelled = truth[rows * 4 + 0] | truth[rows * 4 + 1] | truth[rows * 4 + 2]
    signs = in_sample_signs(rows, labels, np.where(truth, 1.0, 0.0), truth, sp.csr_array(Y))
    assert signs.what == "the highest score is true in 100.0% of the rows with labels"
    assert signs.pairs.tolist() == np.flatnonzero(truth & labelled).tolist()


def test_rows_without_any_label_are_not_judged():
    rows, labels = np.divmod(np.arange(400), 2)
    signs = in_sample_signs(
        rows, labels, np.ones(400), np.zeros(400, dtype=bool), sp.csr_array((200, 2), dtype=np.float32)
    )
    assert signs == (None, pytest.approx([]), False)
