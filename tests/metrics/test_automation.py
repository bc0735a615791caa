"""How much can be accepted automatically: against loops, by hand, and bad input."""

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.metrics import coverage

PRECISIONS = (0.3, 0.6, 0.8, 0.9, 1.0)


def longest(items, precision):
    """Accept all items down to some confidence, as many as possible; return them."""
    best = []
    for least in {confidence for confidence, _ in items}:
        taken = [right for confidence, right in items if confidence >= least]
        if sum(taken) >= precision * len(taken) and len(taken) > len(best):
            best = taken
    return best


def naive_coverage(Y, P, scores, precision):
    pairs = [(scores[i, j], Y[i, j]) for i, j in zip(*np.nonzero(P), strict=True)]
    rows = [(scores[i][P[i] == 1].min(), Y[i][P[i] == 1].all()) for i in range(len(P)) if P[i].any()]
    accepted = longest(pairs, precision)
    return {
        "rows": len(longest(rows, precision)) / len(Y),
        "predictions": len(accepted) / P.sum(),
        "labels": sum(accepted) / Y.sum(),
    }


def of(found, precision):
    return {
        name: found[f"{name}_at_precision_{precision:g}".replace(".", "_")]
        for name in ("rows", "predictions", "labels")
    }


@pytest.mark.parametrize("seed", range(5))
def test_coverage_against_loops(make_case, seed):
    Y, P, scores, stored, sparse = make_case(seed)
    P[5] = 0
    found = coverage(Y, scores, Y_pred=P, precisions=PRECISIONS)
    assert len(found) == 3 * len(PRECISIONS)
    for precision in PRECISIONS:
        assert of(found, precision) == naive_coverage(Y, P, scores, precision)
    # a prediction without a score comes last
    found = coverage(sp.csr_array(Y), sparse, Y_pred=sp.csr_array(P), precisions=PRECISIONS)
    for precision in PRECISIONS:
        assert of(found, precision) == naive_coverage(Y, P, np.where(stored, scores, -1.0), precision)


@pytest.mark.parametrize("seed", range(3))
def test_margins_say_what_is_predicted(make_case, seed):
    Y, _, scores, stored, _ = make_case(seed)
    margins = np.where(stored, scores - 0.5, -np.inf)
    found = coverage(Y, margins, precisions=PRECISIONS)
    for precision in PRECISIONS:
        assert of(found, precision) == naive_coverage(Y, (margins > 0).astype(int), margins, precision)
    rows, labels = np.nonzero(stored)  # −inf stored for a label that is never predicted, and 0 too
    stored_margins = sp.csr_array(
        (np.where(labels == 1, -np.inf, margins[stored]), (rows, labels)), shape=Y.shape
    )
    margins[:, 1] = -np.inf
    assert coverage(Y, stored_margins, precisions=PRECISIONS) == coverage(Y, margins, precisions=PRECISIONS)
    assert np.isneginf(stored_margins.data).any()  # the input is as it was


def test_coverage_by_hand():
    Y = [[1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0]]
    margins = [[3.0, -1, -1], [2.5, 1.0, -1], [2.0, -1, 0.5], [-1, -1, -1]]
    found = coverage(Y, margins)
    assert list(found)[:3] == [
        "rows_at_precision_0_8",
        "predictions_at_precision_0_8",
        "labels_at_precision_0_8",
    ]
    assert list(found)[3::3] == ["rows_at_precision_0_9", "rows_at_precision_0_95"]
    # by confidence rows 0, 1, 2, of which the last has a wrong label; pairs 1, 1, 0, 1, 1
    assert list(found.values()) == [0.5, 1.0, 4 / 6, 0.5, 0.4, 2 / 6, 0.5, 0.4, 2 / 6]


def test_what_is_equally_confident_is_accepted_together():
    assert coverage([[1], [0]], [[2.0], [2.0]], precisions=[0.6])["rows_at_precision_0_6"] == 0
    assert coverage([[1], [0]], [[2.0], [1.0]], precisions=[0.6])["rows_at_precision_0_6"] == 0.5
    assert (
        coverage([[1], [0]], [[np.inf], [np.inf]], precisions=[0.5])["rows_at_precision_0_5"] == 1
    )  # a budget's


def test_a_prediction_without_a_score_is_the_least_confident():
    """The pair that is right has none, and lies behind all pairs that have one."""
    found = coverage([[0, 1]], sp.csr_array(([-1.0], ([0], [0])), shape=(1, 2)), Y_pred=[[1, 1]])
    assert found["predictions_at_precision_0_9"] == 0


def test_whole_numbers_are_scores():
    Y, scores = [[1, 0], [1, 1], [0, 1]], np.array([[2, -1], [1, 1], [3, -2]])
    assert coverage(Y, scores) == coverage(Y, scores.astype(float))
    assert coverage(Y, sp.csr_array(scores)) == coverage(Y, scores.astype(float))


@pytest.mark.filterwarnings("error")
def test_coverage_of_nothing():
    none = coverage([[1, 0]], [[-1.0, -1.0]], precisions=[0.9])
    assert none.pop("rows_at_precision_0_9") == 0
    assert none.pop("labels_at_precision_0_9") == 0
    assert np.isnan(none["predictions_at_precision_0_9"])
    assert np.isnan(coverage([[0]], [[1.0]])["labels_at_precision_0_9"])
    assert np.isnan(coverage(np.zeros((0, 2)), np.zeros((0, 2)))["rows_at_precision_0_9"])
    assert coverage([[1, 0]], sp.csr_array((1, 2)), Y_pred=[[1, 0]])["rows_at_precision_0_9"] == 1


def test_better_scores_cover_more():
    rng = np.random.default_rng(0)
    Y = (rng.random((500, 4)) < 0.3).astype(int)
    good, poor = (Y - 0.4 + rng.normal(0, spread, Y.shape) for spread in (0.3, 0.6))
    a, b = coverage(Y, good), coverage(Y, poor)
    assert all(a[name] > b[name] for name in a)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[1, 0]], [[0.5]]), {}, "scores has 1 labels but 2 were expected"),
        (([[1, 0]], [[0.5, np.nan]]), {}, "NaN"),
        (([[1, 0]], np.ma.masked_less([[0.5, 0.1]], 0.2)), {}, "scores .*mask"),
        (([[1, 2]], [[0.5, 0.5]]), {}, "^Y_true must hold only 0 and 1; found 2"),
        (([[1, 0]], [[0.5, 0.5]]), {"Y_pred": [[1, 0], [1, 0]]}, "Y_pred"),
        (
            ([[1, 0]], [[0.5, 0.5]]),
            {"precisions": [0.9, 0]},
            "precisions must be a sequence of numbers, greater",
        ),
        (([[1, 0]], [[0.5, 0.5]]), {"precisions": 0.9}, "precisions must be a sequence"),
    ],
)
def test_coverage_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        coverage(*arguments, **options)
