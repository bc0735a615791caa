"""How a decision is shown."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import HTMLTable
from sklearn.linear_model import LogisticRegression

from adathresh import AdaptiveThresholdClassifier
from adathresh.posthoc.decision import Decision

MARGINS = np.array([[0.5, -1.0, -np.inf], [2.0, 0.1, 0.0]])


def decision_of(margins):
    return Decision(margins > 0, margins, margins, lambda: margins)


@pytest.mark.parametrize("as_given", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_it_is_shown_by_its_counts(as_given):
    found = decision_of(as_given(MARGINS))
    assert repr(found) == "Decision(2 rows, 3 labels; 3 labels predicted, 1.50 a row)"
    shown = HTMLTable(found._repr_html_())
    assert shown.caption == "Decision"
    assert shown.lines == [
        ["rows", "labels", "labels predicted", "labels a row"],
        ["2", "3", "3", "1.50"],
    ]


def test_no_rows_have_no_mean():
    assert repr(decision_of(MARGINS[:0])) == "Decision(0 rows, 3 labels; 0 labels predicted, nan a row)"


def test_a_single_label_of_any_classes():
    X = np.arange(20.0)[:, np.newaxis]
    clf = AdaptiveThresholdClassifier(LogisticRegression(), random_state=0).fit(X, ["no"] * 10 + ["yes"] * 10)
    assert repr(clf.decide([[0.0], [19.0]])) == "Decision(2 rows, 1 label; 1 label predicted, 0.50 a row)"
