"""Notebook 15: rows that have lost their labels, what they are given in each round, and what it changes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh import AdaptiveThresholdClassifier, SelfTraining
from adathresh.experiments import nb15_self_training as study
from adathresh.experiments.core.base_models import BASE_MODELS
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.metrics import macro_f1, micro_f1
from adathresh.posthoc import AdaptiveThreshold

pytestmark = pytest.mark.usefixtures("shared_cache")

WAY = "expected 0.5"


@pytest.fixture(autouse=True, scope="module")
def many_labelled():
    """Half of the few rows keep their labels, and one way lets some labels be sure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "SHARE", 0.5)
        patch.setattr(study, "N_FOLDS", 2)
        ways = {WAY: study.Way(0.5, None, "guessed"), "sure": study.Way(0.99, 0.99, "absent")}
        patch.setattr(study, "WAYS", ways)
        patch.setattr(study, "START", WAY)
        yield


@pytest.fixture(scope="module")
def plain(make_dataset):
    """Rows without texts and groups."""
    return make_dataset()


def hidden_labels(ds):
    """The labels that the other rows have lost."""
    rows, _, lost = study._drawn(ds, seed=0)
    return rows.Y[lost]


def test_few_labels_are_those_of_the_fitting_rows(ds):
    few, rows = study.few_labels(ds, seed=0), fitting_rows(ds, seed=0).rows
    kept, lost = few.Y.shape[0], few.unlabeled.shape[0]
    assert kept + lost == rows.Y.shape[0] == 130
    assert abs(kept - lost) <= 3  # groups are wholes
    assert np.isin(rows.groups, few.groups).sum() == kept  # none of these groups has lost a label
    hidden = hidden_labels(ds)
    assert hidden.shape[0] == lost
    np.testing.assert_array_equal(few.Y.sum(axis=0) + hidden.sum(axis=0), rows.Y.sum(axis=0))
    for group in np.unique(few.groups):
        assert len(np.unique(few.folds[few.groups == group])) == 1
    assert few.label_features.shape == (ds.test.Y.shape[1], few.X.shape[1])
    assert few.X_test.shape == (50, few.X.shape[1])
    other = study.few_labels(ds, seed=1)
    assert set(other.groups) != set(few.groups)


def test_without_texts_features_are_those_of_the_data_set(plain):
    few = study.few_labels(plain, seed=0)
    assert few.label_features is None
    assert few.groups is None
    assert (few.X_test != plain.test.X).nnz == 0


@pytest.mark.slow
def test_rounds_are_those_of_the_public_classes(config, plain):
    few = study.few_labels(plain, seed=0)
    found = study._rounds(config, plain, WAY, seed=0)
    model = SelfTraining(
        BASE_MODELS["linear"].make(config, plain, 0),
        few.unlabeled,
        rule=AdaptiveThreshold("precision", target_value=0.5),
        random_state=0,
    ).fit(few.X, few.Y)
    assert len(model.stages_) > 1
    for number, one in enumerate(found[1 : len(model.stages_)], 1):
        given = model.pseudo_labels_[number - 1].toarray()
        hidden = hidden_labels(plain).toarray()
        assert one["given"]["n_joined"] == given.any(axis=1).sum()
        assert one["given"]["n_given"] == given.sum()
        assert one["given"]["precision_of_given"] == pytest.approx((given * hidden).sum() / given.sum())
        sure = model.sure_labels_[number - 1].toarray()
        assert one["given"]["n_sure"] == sure.sum()
        assert one["given"]["precision_of_sure"] == pytest.approx((sure * hidden).sum() / sure.sum())
    assert found[0]["given"]["n_joined"] == 0
    # round 0 is the classifier around the base model, but for its folds and seeds: nearly as good
    clf = AdaptiveThresholdClassifier(BASE_MODELS["linear"].make(config, plain, 0), cv=2, random_state=0)
    predicted = clf.fit(few.X, few.Y).predict(few.X_test)
    expected = micro_f1(plain.test.Y, predicted)
    assert micro_f1(plain.test.Y, found[0]["prediction"].label_sets) == pytest.approx(expected, abs=0.12)


def test_scores_of_a_fold_know_neither_its_labels_nor_those_that_are_lost(config, plain, empty_cache):
    expected = study._stage_scores(config, plain, WAY, 0, seed=0)
    few = study.few_labels(plain, seed=0)
    both = fitting_rows(plain, seed=0).rows.Y.toarray()
    part = study.draw_folds(len(both), 2, random_state=0)
    kept = np.flatnonzero(part == 0)
    unknown = np.r_[np.flatnonzero(part > 0), kept[few.folds == 0]]
    both[unknown] = both[unknown][:, ::-1]
    changed = replaced(plain, Y_train=sp.csr_array(both[:90]), Y_dev=sp.csr_array(both[90:]))
    empty_cache("changed")
    found = study._stage_scores(config, changed, WAY, 0, seed=0)
    assert set(found) == set(expected)
    for name, matrix in expected.items():
        assert (found[name] != matrix).nnz == 0


def test_a_way_that_is_sure_of_nothing_stays_where_it_started(config, plain):
    start, *others = study._rounds(config, plain, "sure", seed=0)
    assert len(others) == study.N_ROUNDS
    for one in others:
        assert one["given"]["n_joined"] == 0
        assert (one["prediction"].label_sets != start["prediction"].label_sets).nnz == 0


@pytest.fixture(scope="module")
def tables(config, plain, shared_cache):
    config = dataclasses.replace(config, seeds=2)
    found = study.self_training(config, plain)
    rows, differences = (make(config, plain, found) for make in (study.round_rows, study.round_differences))
    return {"self_training": pd.DataFrame(rows), "self_training_differences": pd.DataFrame(differences)}


@pytest.mark.slow
def test_tables_evaluate_what_is_predicted(config, plain, tables):
    rows, differences = tables["self_training"], tables["self_training_differences"]
    assert len(rows) == 2 * (2 * (study.N_ROUNDS + 1) + 1)
    for seed in (0, 1):
        found = study._rounds(config, plain, WAY, seed=seed)
        of_way = rows[(rows["method"] == WAY) & (rows["seed"] == seed)]
        expected = [macro_f1(plain.test.Y, one["prediction"].label_sets) for one in found]
        np.testing.assert_allclose(of_way["macro_f1"], expected)
    last = rows[rows["round"] == study.N_ROUNDS].groupby("method")["macro_f1"].mean()
    start = rows[(rows["round"] == 0) & (rows["method"] == WAY)]["macro_f1"].mean()
    everything = rows[rows["method"] == study.EVERYTHING]["macro_f1"].mean()
    macro = differences[differences["metric"] == "macro_f1"].set_index("a")["difference"]
    assert macro[WAY] == pytest.approx(last[WAY] - start)
    assert macro["sure"] == 0
    assert macro[study.EVERYTHING] == pytest.approx(everything - start)


@pytest.mark.slow
def test_claims_and_finding_say_what_was_sure(tables):
    outcomes = {row["claim"]: row["outcome"] for row in study.claims(tables)}
    assert outcomes["Sure labels of round 1 have the precision 0.99, sure"] == study.NOTHING
    reached = tables["self_training"].query("method == @WAY and round == 1")["precision_of_sure"].mean()
    claim = f"Sure labels of round 1 have the precision 0.5, {WAY}"
    assert outcomes[claim] == ("yes" if reached >= 0.5 else "no")
    said = study.finding(tables)
    assert "No label is sure with `sure`, so that nothing changes." in said
    assert f"`{WAY}` changes macro-F1 by" in said
    assert f"with `{WAY}` {reached:.3f}" in said
    lost = tables["self_training"].assign(precision_of_sure=0.1)
    outcomes = {row["claim"]: row["outcome"] for row in study.claims(tables | {"self_training": lost})}
    assert outcomes[claim] == "no"


def rounds_of(*shares, way=WAY):
    """Rows of which these shares of the sure labels are right: of each seed one of each round."""
    return pd.DataFrame(
        {"method": way, "round": number, "seed": seed, "precision_of_sure": share}
        for seed, of_seed in enumerate(shares)
        for number, share in enumerate([np.nan, *of_seed])
    )


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        (rounds_of((0.52, 0.48)), f"(†: less than wanted): with `{WAY}` 0.520, then 0.480†."),
        (
            rounds_of((0.5, 0.4), (0.6, 0.7)),
            "(†: less than wanted; in brackets the lowest seed's): "
            f"with `{WAY}` 0.550 (0.500), then 0.550 (0.400†).",
        ),
        (
            pd.concat([rounds_of((np.nan, np.nan), (1, 0.9), way="sure"), rounds_of((0.4, 0.4), (0.5, 0.6))]),
            f"with `{WAY}` 0.450† (0.400†), then 0.500 (0.400†); with `sure` (in 1 of 2 seeds) 1.000, then "
            "0.900†.",
        ),
    ],
)
def test_the_finding_marks_every_round_that_is_less_precise_than_wanted(rounds, said):
    text = study._how_precise(rounds)
    assert text.startswith(
        "Of the sure labels these shares are right in the first round, the one that a guar"
    )
    assert text.endswith(said)


def test_where_nothing_is_sure_no_share_is_right():
    assert study._how_precise(rounds_of((np.nan, np.nan))) == ""


@pytest.mark.slow
def test_the_figure_shows_every_way(tables):
    left, right = study.plot_rounds(tables["self_training"]).axes
    assert [line.get_label() for line in left.lines] == [*study.WAYS, study.EVERYTHING]
    means = tables["self_training"].groupby(["method", "round"])["macro_f1"].mean()
    np.testing.assert_allclose(left.lines[0].get_ydata(), means[WAY])
    assert right.get_ylabel() == "share of the sure labels that is right"


@pytest.mark.slow
def test_shown_are_means_with_whole_counts(tables):
    shown = str(study.shown_rounds(tables["self_training"]))
    (line,) = [line for line in shown.splitlines() if line.startswith(WAY) and line.split()[2] == "1"]
    of_way = tables["self_training"].query("method == @WAY and round == 1")
    assert line.split()[3] == f"{of_way['macro_f1'].mean():.3f}"
    assert line.split()[5] == f"{round(of_way['n_joined'].mean())}"
    assert "Macro-F1  sure" in str(study.shown_differences(tables["self_training_differences"]))
