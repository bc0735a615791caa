"""What an audit reports, to people and to programs."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import HTMLTable

from adathresh import NeighborLabels
from adathresh.leakage import audit
from adathresh.leakage.report import FOUND, Finding, LeakageReport

CHECKS = ["repeated prediction", "test labels", "batch", "equal features", "similar features", "equal text"]
CHECKS += ["equal words", "similar text", "groups", "own neighbours", "in-sample scores"]


def test_report_can_be_read_by_people_and_programs(data):
    X_train, Y_train, X_test, Y_test = data
    X_test = sp.vstack([X_train[:3], X_test[3:]]).tocsr()
    report = audit(
        lambda X: X[:, :5] > 0,
        X_train,
        Y_train,
        X_test,
        Y_test,
        groups_train=np.arange(200),
        groups_test=np.arange(199, 259),
        local=NeighborLabels(5).fit(X_train, Y_train).transform(X_train),
    )
    assert [finding.check for finding in report.findings] == CHECKS
    names = ["equal features", "similar features", "groups", "own neighbours"]
    assert [finding.check for finding in report.found] == names
    loaded = json.loads(json.dumps(report.to_dict()))
    assert loaded == report.to_dict()
    assert loaded["n_found"] == 4
    assert loaded["findings"][3] == {
        "check": "equal features",
        "status": "found",
        "message": "3 of 60 test rows equal a training row",
        "split": "test",
        "n_rows": 3,
        "rows": [0, 1, 2],
        "evidence": list(report["equal features"].evidence),
    }
    lines = str(report).splitlines()
    assert lines[0] == f"Leakage audit: 4 of 7 checks found something: {', '.join(names)}"
    assert len(lines) <= 20
    assert max(map(len, lines)) < 140
    assert any("found        equal features       3 of 60 test rows" in line for line in lines)
    assert report.table()[3] == {
        "check": "equal features",
        "status": "found",
        "rows": 3,
        "message": "3 of 60 test rows equal a training row",
    }
    shown = HTMLTable(report._repr_html_())
    assert shown.caption == lines[0]
    assert shown.lines == [list(report.table()[0])] + [
        [str(value) for value in line.values()] for line in report.table()
    ]
    assert shown.sides[1] == ["left", "left", "right", "left"]
    with pytest.raises(KeyError, match="'text' is none of repeated prediction, test labels"):
        report["text"]


def test_what_was_found_in_the_data_is_no_markup():
    report = LeakageReport((Finding("equal text", FOUND, "a <script>"),))
    assert "<script>" not in report._repr_html_()
    assert HTMLTable(report._repr_html_()).lines[1] == ["equal text", "found", "0", "a <script>"]
