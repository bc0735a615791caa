"""F1 of label sets against naive loops and scikit-learn."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import metrics as sk

from adathresh import metrics as m

CONTAINERS = [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array]
FREQUENCY = np.array([0, 1, 5, 6, 20, 21, 100, 101, 5000])
SEEDS = range(5)


def naive_f1(y, p):
    tp, fp, fn = sum(y & p), sum(~y & p), sum(y & ~p)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_f1_family_against_loops_and_sklearn(make_case, seed, container):
    Y, P, *_ = make_case(seed)
    P[3] = Y[3] = 0  # a row with nothing true and nothing predicted
    y, p = Y.astype(bool), P.astype(bool)
    by_label = np.array([naive_f1(y[:, j], p[:, j]) for j in range(Y.shape[1])])
    Yc, Pc = container(Y), container(P)
    assert m.macro_f1(Yc, Pc) == pytest.approx(by_label.mean())
    assert m.macro_f1(Yc, Pc) == pytest.approx(sk.f1_score(Y, P, average="macro", zero_division=0))
    assert m.macro_f1_present(Yc, Pc) == pytest.approx(by_label[Y.any(axis=0)].mean())
    assert m.micro_f1(Yc, Pc) == pytest.approx(naive_f1(y.ravel(), p.ravel()))
    assert m.micro_f1(Yc, Pc) == pytest.approx(sk.f1_score(Y, P, average="micro"))
    assert m.samples_f1(Yc, Pc) == pytest.approx(
        np.mean([naive_f1(*pair) for pair in zip(y, p, strict=True)])
    )
    assert m.samples_f1(Yc, Pc) == pytest.approx(sk.f1_score(Y, P, average="samples", zero_division=0))
    assert m.macro_f1_ceiling(Yc) == np.mean(Y.any(axis=0))
    bins = m.binned_macro_f1(Yc, Pc, FREQUENCY)
    members = {"0": [0], "1_5": [1, 2], "6_20": [3, 4], "21_100": [5, 6], "over_100": [7, 8]}
    assert bins == {f"macro_f1_{key}": pytest.approx(by_label[of].mean()) for key, of in members.items()}


@pytest.mark.filterwarnings("error")
def test_f1_of_nothing():
    nothing = np.zeros((2, 3), dtype=int)
    assert m.macro_f1(nothing, nothing) == m.micro_f1(nothing, nothing) == m.samples_f1(nothing, nothing) == 0
    assert np.isnan(m.macro_f1_present(nothing, nothing))
    assert m.macro_f1_ceiling(nothing) == 0
    bins = m.binned_macro_f1(nothing, nothing, [0, 0, 7])
    assert bins["macro_f1_0"] == bins["macro_f1_6_20"] == 0
    assert np.isnan([bins["macro_f1_1_5"], bins["macro_f1_21_100"], bins["macro_f1_over_100"]]).all()


def test_macro_f1_never_exceeds_its_ceiling_and_reaches_it(make_case):
    Y, P, *_ = make_case(0)
    assert m.macro_f1(Y, P) <= m.macro_f1_ceiling(Y) == m.macro_f1(Y, Y)


ONE = [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.macro_f1(ONE, [[1, 0]]), "Y_pred has 1 rows but 2 were expected"),
        (lambda: m.micro_f1(ONE, [[1], [0]]), "Y_pred has 1 labels but 2 were expected"),
        (lambda: m.samples_f1([[2, 0]], [[1, 0]]), "Y_true must hold only 0 and 1; found 2"),
        (lambda: m.macro_f1_present([1, 0], [1, 0]), "Y_true must be a 0/1 matrix"),
        (lambda: m.macro_f1_ceiling([[0.5]]), "Y_true must hold only 0 and 1; found 0.5"),
        (lambda: m.binned_macro_f1(ONE, ONE, [1]), r"train_frequency must have shape \(2,\); got \(1,\)"),
        (lambda: m.binned_macro_f1(ONE, ONE, [1, -1]), "train_frequency must hold counts"),
        (lambda: m.binned_macro_f1(ONE, ONE, [1, np.nan]), "train_frequency must hold counts"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
