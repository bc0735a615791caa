"""The ceiling of macro-F1 on few rows: laws fitted to totals, draws, and the check on known frequencies."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import flat_dataset

from adathresh.datasets import make_longtail
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.nb17_protocol import ceilings as study

SMALL = study.LabelTotals(
    n_rows=5_000, n_labels=300, n_positives=12_000, largest=900, head_labels=60, least=1
)


def test_label_totals():
    # frequencies 8, 4, 2, 1, 1 and 0; 80 % of 16 is 12.8
    Y = sp.csr_array(np.array([[int(row < n) for n in (1, 8, 0, 2, 4, 1)] for row in range(10)]))
    assert study.label_totals(Y) == study.LabelTotals(10, 5, 16, 8, 3, 1)


@pytest.mark.parametrize("totals", [SMALL, study.AMAZONCAT_13K], ids=["small", "AmazonCat-13K"])
@pytest.mark.parametrize("law", study.LAWS)
def test_laws_meet_the_totals_that_they_are_fitted_to(law, totals):
    frequency, parameters = study.fitted_frequencies(totals, law)
    s, q, c = parameters["exponent"], parameters["shift"], parameters["cut_off"]
    expected = [
        totals.largest * ((r + q) / (1 + q)) ** -s * np.exp(-c * (r - 1))
        for r in range(1, totals.n_labels + 1)
    ]
    np.testing.assert_allclose(frequency, np.maximum(np.round(expected), 1), atol=1)
    assert (np.diff(frequency) <= 0).all()
    assert frequency[0] == totals.largest
    assert frequency.sum() == pytest.approx(totals.n_positives, rel=0.01)
    number = study.LAWS.index(law)
    assert (q == 0) == (number < 1)
    assert (c == 0) == (number < 2)
    in_head = frequency[: totals.head_labels].sum() / frequency.sum()
    assert (in_head == pytest.approx(0.8, abs=0.005)) == (number >= 1)
    assert (frequency[-1] == totals.least) == (number >= 2)


def test_fit_finds_the_exponent_that_made_the_totals():
    frequency = 2_000.0 * np.arange(1, 501) ** -0.9
    totals = study.LabelTotals(10_000, 500, frequency.sum(), 2_000, 100, 1)
    _, parameters = study.fitted_frequencies(totals, "power law")
    assert parameters["exponent"] == pytest.approx(0.9, abs=1e-5)


def test_unknown_law():
    with pytest.raises(ValueError, match=r"law must be one of power law, .*; got 'zipf'"):
        study.fitted_frequencies(SMALL, "zipf")


def test_simulated_ceilings_against_the_closed_form():
    rows = study.simulated_ceilings(SMALL, n_evaluated=400, n_trained=1_600, n_draws=300)
    assert [row["law"] for row in rows] == list(study.LAWS)
    for row in rows:
        frequency, parameters = study.fitted_frequencies(SMALL, row["law"])
        assert {name: row[name] for name in parameters} == parameters
        assert (row["positives"], row["least"]) == (frequency.sum(), frequency[-1])
        assert row["head_labels"] == 1 + np.flatnonzero(frequency.cumsum() >= 0.8 * frequency.sum())[0]
        seen = 1 - np.array([np.prod(1 - 400 / (5_000 - np.arange(f))) for f in frequency])
        assert row["ceiling"] == pytest.approx(seen.mean(), abs=0.004)
        spread = np.sqrt((seen * (1 - seen)).sum()) / 300
        assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * spread, rel=0.3)
        assert row["low"] < row["ceiling"] < row["high"]
        trained = 1 - (1 - 1_600 / 5_000) ** frequency
        assert row["ceiling_trained"] == pytest.approx((seen * trained).mean(), abs=0.03)
        assert row["ceiling_trained"] < row["ceiling"]
    assert study.simulated_ceilings(SMALL, n_evaluated=400, n_trained=1_600, n_draws=300) == rows


def test_all_rows_show_every_label():
    (*_, row) = study.simulated_ceilings(SMALL, n_evaluated=5_000, n_trained=0, n_draws=2)
    assert row["ceiling"] == row["low"] == row["high"] == 1
    assert row["ceiling_trained"] == 0


def test_more_rows_than_there_are():
    with pytest.raises(ValueError, match=r"n_evaluated \+ n_trained is 50000, but there are 5000 rows"):
        study.simulated_ceilings(SMALL)


def test_a_third_of_the_labels_at_10_000_rows_of_amazoncat():
    """The ceiling of the reported 0.1712, and how far the simpler laws are off."""
    plain, shifted, cut_off = study.simulated_ceilings(n_draws=5)
    assert cut_off["ceiling"] == pytest.approx(0.324, abs=0.005)
    assert (cut_off["head_labels"], cut_off["least"]) == (635, 1)
    assert shifted["ceiling"] == pytest.approx(0.446, abs=0.008)
    assert shifted["least"] > 10  # there are labels of one row
    assert plain["head_labels"] > 3_000  # there are 635


@pytest.mark.slow
def test_ceilings_of_amazoncat_and_of_the_data_set_itself():
    X, Y = make_longtail(150, 60, 20, labels_per_row=2, features_per_row=12, random_state=3)
    parts = {
        f"{name}_{split}": part for name, part in (("X", X), ("Y", Y)) for split in ("train", "dev", "test")
    }
    names = {"label_names": list("abcdefghijklmnopqrst"), "feature_names": [str(i) for i in range(60)]}
    ds = flat_dataset(name="tiny", **parts, **names, fingerprint=f"{7:064x}", validation_source="official")
    rows = study.ceiling_rows(RunConfig(dataset="tiny"), ds, random_state=4)
    assert [(row["totals_of"], row["law"]) for row in rows] == [
        *(("AmazonCat-13K", law) for law in study.LAWS),
        *(("tiny", law) for law in study.LAWS),
        ("tiny", "true frequencies"),
    ]
    assert {(row["dataset"], row["split"], row["seed"]) for row in rows} == {("tiny", "train", 4)}
    totals = study.label_totals(Y)
    own = study.simulated_ceilings(totals, n_evaluated=30, n_trained=120, random_state=4)
    for row, simulated in zip(rows, study.simulated_ceilings(random_state=4) + own, strict=False):
        assert {name: row[name] for name in simulated} == simulated
    true = rows[-1]
    frequency = np.array([n for n in Y.toarray().sum(axis=0) if n])
    seen = np.mean([1 - np.prod([1 - 30 / (150 - i) for i in range(int(n))]) for n in frequency])
    assert true["ceiling"] == pytest.approx(seen, abs=0.02)
    assert (true["n_evaluated"], true["positives"], true["least"]) == (30, frequency.sum(), frequency.min())
    # every row is evaluated or trained on: what is not trained has all its rows among the evaluated
    alone = np.mean([np.prod([(30 - i) / (150 - i) for i in range(int(n))]) for n in frequency])
    assert true["ceiling"] - true["ceiling_trained"] == pytest.approx(alone, abs=0.02)
    assert rows[5]["ceiling"] == pytest.approx(true["ceiling"], abs=0.1)  # the law is near the truth
