"""The alarm for drift: its rate of false alarms by simulation, its values by hand, and what it notices."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import HTMLTable
from scipy.stats import binom, ks_2samp

from adathresh.metrics import score_drift


def make_scores(rng, n_rows, *, harder=0.0):
    """Scores of 6 labels, most of them low, and the label sets above one half."""
    scores = rng.beta(0.5, 2 + harder, size=(n_rows, 6)) * rng.beta(4, 1, size=(n_rows, 1))
    return scores, (scores > 0.3).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize(("n_reference", "n_new"), [(60, 25), (300, 200)])
def test_false_alarms_are_as_rare_as_asked_for(n_reference, n_new):
    """Of 400 comparisons without drift at most 5 % are alarms, but for chance; and it is no dead alarm."""
    rng, n_alarms = np.random.default_rng(0), 0
    for _ in range(400):
        (before, labels), (now, new_labels) = make_scores(rng, n_reference), make_scores(rng, n_new)
        n_alarms += score_drift(before, now, label_sets=(labels, new_labels)).alarm
    assert 0 < n_alarms <= binom(400, 0.05).ppf(0.999)


def test_drift_is_noticed_and_named():
    rng = np.random.default_rng(0)
    before, labels = make_scores(rng, 300)
    now, new_labels = make_scores(rng, 300, harder=2)
    drift = score_drift(before, now, label_sets=(labels, new_labels))
    assert drift.alarm
    assert drift.moved == ("highest score", "sum of scores", "labels a row")
    assert drift.p_value < 1e-3
    assert str(drift).startswith(
        "drift: highest score, sum of scores, labels a row\n  highest score: mean 0."
    )
    headline, *lines = str(drift).splitlines()
    assert HTMLTable(drift._repr_html_()).lines[0] == ["statistic", "mean", "now", "distance", "p"]
    shown = HTMLTable(drift._repr_html_())
    assert shown.caption == headline
    assert [
        f"  {name}: mean {before}, now {now} (distance {distance}, p = {p})"
        for name, before, now, distance, p in shown.lines[1:]
    ] == lines
    tiny = score_drift(before * 1e-5, now * 1e-5)
    _, *lines = str(tiny).splitlines()
    assert "e-06" in lines[0]
    for line, (_, *numbers) in zip(lines, HTMLTable(tiny._repr_html_()).lines[1:], strict=True):
        assert all(number in line for number in numbers)
    # other labels of the same scores
    more = score_drift(before, before, label_sets=(labels, np.ones_like(labels)))
    assert more.moved == ("labels a row",)
    assert str(score_drift(before, before)).startswith("no drift\n")


def test_values_by_hand():
    """Three tests: the p-values are multiplied by 3, 2 and 1 in rising order, and never fall."""
    rng = np.random.default_rng(1)
    (before, labels), (now, new_labels) = make_scores(rng, 40), make_scores(rng, 30, harder=0.5)
    drift = score_drift(before, now, label_sets=(labels, new_labels), alpha=0.2)
    statistics = {
        "highest score": (before.max(axis=1), now.max(axis=1)),
        "sum of scores": (before.sum(axis=1), now.sum(axis=1)),
        "labels a row": (labels.sum(axis=1), new_labels.sum(axis=1)),
    }
    tests = {name: ks_2samp(*pair) for name, pair in statistics.items()}
    running = 0.0
    for factor, name in zip((3, 2, 1), sorted(tests, key=lambda name: tests[name].pvalue), strict=True):
        running = max(running, min(1.0, factor * tests[name].pvalue))
        found = drift.shifts[name]
        assert found.p_value == pytest.approx(running)
        assert found.distance == pytest.approx(tests[name].statistic)
        assert (found.reference_mean, found.new_mean) == pytest.approx(
            [s.mean() for s in statistics[name]], abs=1e-6
        )
    assert drift.p_value == min(shift.p_value for shift in drift.shifts.values())
    assert drift.moved == tuple(name for name, shift in drift.shifts.items() if shift.p_value <= 0.2)


def test_containers_and_floating_types_do_not_drift():
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.random((3, 6)).round(2), 40, axis=0) * (rng.random((120, 6)) < 0.5)
    labels = (scores > 0.5).astype(int)
    expected = score_drift(scores, scores[:70], label_sets=(labels, labels[:70]))
    for kind in (np.float32, sp.csr_array, sp.csr_matrix, lambda part: sp.coo_array(part.astype(np.float32))):
        found = score_drift(kind(scores), scores[:70], label_sets=(sp.csr_array(labels), labels[:70]))
        assert found.shifts.keys() == expected.shifts.keys()
        for name, shift in found.shifts.items():
            assert shift.distance == expected.shifts[name].distance


def test_nothing_sparse_is_densified(monkeypatch):
    scores = sp.csr_array((np.full(60, 0.5), np.arange(60) * 1000, np.arange(61)), shape=(60, 1_000_000))
    for kind in (sp.csr_array, sp.csc_array):
        monkeypatch.setattr(kind, "toarray", lambda *args: pytest.fail("something was made dense"))
    labels = (scores > 0.4).astype(np.int64)
    assert score_drift(scores, scores, label_sets=(labels, labels)).p_value == 1


SCORES, LABELS = make_scores(np.random.default_rng(0), 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_drift(SCORES, SCORES[:, 1:]), "new has 5 labels but 6 were expected"),
        (lambda: score_drift(SCORES * 5, SCORES), r"reference must be probabilities in \[0, 1\]"),
        (lambda: score_drift(SCORES, SCORES * 5), r"new must be probabilities in \[0, 1\]"),
        (lambda: score_drift(SCORES, SCORES * np.nan), "new must be finite"),
        (lambda: score_drift(SCORES[:0], SCORES), "must hold at least one row, and one label"),
        (lambda: score_drift(SCORES, SCORES[:0]), "must hold at least one row, and one label"),
        (lambda: score_drift(SCORES[:, :0], SCORES[:, :0]), "must hold at least one row, and one label"),
        (
            lambda: score_drift(SCORES, SCORES, alpha=5),
            "alpha must be a finite number, greater than 0 and less",
        ),
        (
            lambda: score_drift(SCORES, SCORES, alpha=1),
            "alpha must be a finite number, greater than 0 and less",
        ),
        (lambda: score_drift(SCORES, SCORES, label_sets=LABELS), "label_sets must be two matrices"),
        (lambda: score_drift(SCORES, SCORES, label_sets=(LABELS,)), "label_sets must be two matrices"),
        (
            lambda: score_drift(SCORES, SCORES, label_sets=(LABELS, LABELS[1:])),
            r"label_sets\[1\] has 4 rows but 5",
        ),
        (
            lambda: score_drift(SCORES, SCORES, label_sets=(LABELS, LABELS[:, 1:])),
            r"label_sets\[1\] has 5 labels but 6",
        ),
        (
            lambda: score_drift(SCORES, SCORES, label_sets=(SCORES, LABELS)),
            r"label_sets\[0\] must hold only 0",
        ),
    ],
)
def test_it_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
