"""Notebook 13: drawn groups, the rows of both splits, signals of a group, intervals that keep it together."""

import io
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from adathresh.experiments.core import trainings
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.results import as_csv, read_table
from adathresh.experiments.core.rules import OURS, Prediction, main_predictions
from adathresh.experiments.core.splits import RULES, random_split
from adathresh.experiments.nb13_groups import (
    claims,
    evaluation,
    finding,
    heads,
    knowledge,
    showing,
    study,
)
from adathresh.experiments.nb13_groups.evaluation import (
    BY_GROUP,
    BY_ROW,
    EVERY,
    IN_BOTH,
    SHARES,
    SPLIT,
    TRAINING,
)
from adathresh.experiments.nb13_groups.findings import NO_GROUPS
from adathresh.experiments.nb13_groups.heads import ALONE as ALONE_NETWORK
from adathresh.experiments.nb13_groups.heads import SECOND_TASK, WITH_HEAD
from adathresh.experiments.nb13_groups.knowledge import ALONE, CONTEXT, GROUP_LABELS, KNOWLEDGE
from adathresh.experiments.nb13_groups.tables import ALL_ROWS, compared_rows
from adathresh.metrics import macro_f1, micro_f1, paired_bootstrap, samples_f1, top_k
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.posthoc.crossfit import base_scores
from adathresh.rules import GlobalThreshold
from adathresh.signals import GroupContext

pytestmark = pytest.mark.usefixtures("shared_cache")

MEASURES = {"macro_f1": macro_f1, "micro_f1": micro_f1}


@pytest.fixture(scope="module")
def grouped(make_dataset):
    """Rows in groups of three, but for two test rows, the last, which are alone; the split parts no group."""
    return replaced(
        make_dataset(),
        groups_train=np.arange(90) // 3,
        groups_dev=100 + np.arange(40) // 3,
        groups_test=np.array([*(200 + np.arange(49) // 3), 300]),
    )


def drawn_sets(n_rows, *, seed, n_labels=6):
    """Draw truth and two predictions."""
    rng = np.random.default_rng(seed)
    return [sp.csr_array((rng.random((n_rows, n_labels)) < p).astype(np.float32)) for p in (0.3, 0.4, 0.2)]


# --- comparisons ---


def test_a_comparison_has_both_intervals_of_both_metrics(config):
    Y, ours, others = drawn_sets(30, seed=0)
    groups = [f"group {row // 3}" for row in range(30)]
    rows = compared_rows(config, Y, [ours], [others], groups, a="ours", b="others")
    assert [row["metric"] for row in rows] == list(MEASURES)
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": 0}
    for row in rows:
        metric = row["metric"]
        assert (row["a"], row["b"]) == ("ours", "others")
        assert row["difference"] == pytest.approx(MEASURES[metric](Y, ours) - MEASURES[metric](Y, others))
        by_rows = paired_bootstrap(Y, ours, {"": others}, metric=metric, **options)[""]
        assert (row["low_by_rows"], row["high_by_rows"]) == (by_rows["low"], by_rows["high"])
        by_groups = paired_bootstrap(Y, ours, {"": others}, groups=groups, metric=metric, **options)[""]
        assert (row["low"], row["high"]) == (by_groups["low"], by_groups["high"])
        assert row["low"] < row["difference"] < row["high"]


# --- how many groups the training rows come from ---


def test_as_many_rows_are_drawn_from_more_and_more_groups_each_among_the_next():
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(100), 8))
    for draw in range(3):
        before, n_groups = set(), []
        for share, part in SHARES.items():
            rows = evaluation.drawn_rows(codes, share, seed=1, draw=draw)
            assert len(np.unique(rows)) == len(rows) == 100
            assert (np.diff(rows) > 0).all()
            groups = set(codes[rows])
            assert len(groups) <= np.ceil(100 * part)
            assert part == 1 or len(before - groups) <= 4  # an unlucky group has none of the rows
            before = groups
            n_groups.append(len(groups))
        assert n_groups[0] == 13  # whole ones, and the part of one
        assert n_groups == sorted(n_groups)
        assert n_groups[-1] > 60


def test_other_draws_and_seeds_take_other_groups():
    codes = np.repeat(np.arange(100), 8)
    share = next(iter(SHARES))
    drawn = [
        set(codes[evaluation.drawn_rows(codes, share, seed=seed, draw=draw)])
        for seed, draw in product(range(2), range(2))
    ]
    assert len({frozenset(groups) for groups in drawn}) == 4


def test_a_share_needs_groups_for_every_fold(config, grouped):
    assert evaluation.feasible_shares(config, grouped) == list(SHARES)
    large = {"groups_train": np.zeros(90, dtype=int), "groups_dev": 100 + np.arange(40) // 20}
    assert evaluation.feasible_shares(config, replaced(grouped, **large)) == []
    tens = {"groups_train": np.arange(90) // 10, "groups_dev": 100 + np.arange(40) // 10}
    assert evaluation.feasible_shares(config, replaced(grouped, **tens)) == list(SHARES)[1:]


def test_without_draws_from_all_groups_there_is_nothing_to_compare_with(config, grouped, monkeypatch):
    drawn = evaluation.drawn_rows

    def one_row_of_all(codes, share, **draw):
        return drawn(codes, share, **draw)[: 1 if share == EVERY else None]

    monkeypatch.setattr(evaluation, "drawn_rows", one_row_of_all)
    assert evaluation.feasible_shares(config, grouped) == []


def test_the_labels_are_the_most_frequent_ones(grouped, monkeypatch):
    monkeypatch.setattr(evaluation, "N_LABELS", 5)
    frequency = fitting_labels(grouped).toarray().sum(axis=0)
    labels = evaluation.frequent_labels(grouped)
    assert (np.diff(labels) > 0).all()
    assert len(labels) == 5
    assert frequency[labels].min() >= np.delete(frequency, labels).max()


@pytest.mark.slow
def test_on_all_rows_and_labels_sets_are_those_of_notebook_02(config, grouped, monkeypatch):
    monkeypatch.setattr(evaluation, "drawn_rows", lambda codes, share, **drawn: np.arange(len(codes)))
    model = evaluation.make_base_model(config, grouped, "linear", seed=0)
    found = evaluation._fit(grouped, model, EVERY, seed=0, draw=0)
    expected = main_predictions(config, grouped, "linear", seed=0)
    assert list(found) == list(RULES)
    for rule in RULES:
        assert (found[rule] != expected[rule].label_sets).nnz == 0, rule


def test_only_the_drawn_rows_are_seen(config, grouped):
    """Labels of all other fitting rows and of the test rows are dealt anew: the label sets stay."""
    codes = evaluation.group_codes(fitting_rows(grouped, seed=0).rows.groups, 130)
    drawn = evaluation.drawn_rows(codes, EVERY, seed=0, draw=0)
    Y, others = fitting_labels(grouped).toarray(), np.setdiff1d(np.arange(130), drawn)
    Y[others] = Y[np.random.default_rng(0).permutation(others)]
    Y = sp.csr_array(Y)
    blind = replaced(grouped, Y_train=Y[:90], Y_dev=Y[90:], Y_test=grouped.test.Y[::-1])
    model = evaluation.make_base_model(config, grouped, "linear", seed=0)
    found, again = (evaluation._fit(ds, model, EVERY, seed=0, draw=0) for ds in (grouped, blind))
    for rule in RULES:
        assert (found[rule] != again[rule]).nnz == 0, rule


def test_the_tables_hold_every_draw_and_compare_all_groups_with_fewer(config, grouped, monkeypatch):
    monkeypatch.setitem(evaluation.N_DRAWS, "quick", 2)
    monkeypatch.setattr(evaluation, "N_LABELS", 7)
    jobs = evaluation.training_jobs(config, grouped)
    assert len(jobs) == 2 * len(SHARES)
    found = [
        {rule: drawn_sets(50, seed=10 * at + i, n_labels=7)[1] for i, rule in enumerate(RULES)}
        for at in range(len(jobs))
    ]
    values, differences = evaluation.training_rows(config, grouped, jobs, found)
    truth = grouped.test.Y[:, evaluation.frequent_labels(grouped)]
    assert len(values) == len(jobs) * len(RULES)
    by_name = {}
    for row, (at, rule) in zip(values, product(range(len(jobs)), RULES), strict=True):
        assert (row["variant"], row["draw"], row["rule"]) == (jobs[at]["share"], jobs[at]["draw"], rule)
        assert (row["fitting_rows"], row["n_rows"], row["n_labels"]) == (16, 50, 7)
        assert row["macro_f1"] == macro_f1(truth, found[at][rule])
        assert row["samples_f1"] == samples_f1(truth, found[at][rule])
        by_name.setdefault((rule, row["variant"]), []).append(row)
    assert values[0]["fitting_groups"] < values[-1]["fitting_groups"]
    assert len(differences) == 2 * len(RULES) * (len(SHARES) - 1)
    for row in differences:
        assert (row["a"], row["test_rows"]) == (EVERY, ALL_ROWS)
        ours, others = (
            np.mean([value[row["metric"]] for value in by_name[row["rule"], row[side]]]) for side in "ab"
        )
        assert row["difference"] == pytest.approx(ours - others)


# --- the split ---


def test_rows_of_both_splits_are_the_same_rows(grouped):
    where, fitted_on = evaluation.shared_test_rows(grouped, seed=0)
    at_random = random_split(grouped, seed=0)
    assert 5 < len(where[BY_ROW]) == len(where[BY_GROUP]) < 25
    for of_split, published in ((at_random.test.X, grouped.test.X), (at_random.test.Y, grouped.test.Y)):
        assert (of_split[where[BY_ROW]] != published[where[BY_GROUP]]).nnz == 0
    assert len(fitted_on[BY_ROW]) == len(fitted_on[BY_GROUP]) == 130
    of_all = np.concatenate([part.groups for part in grouped.splits.values()])
    codes = np.unique(of_all, return_inverse=True)[1]
    of_rows = set(codes[130:][where[BY_GROUP]])
    assert not of_rows & set(fitted_on[BY_GROUP])
    assert len(of_rows & set(fitted_on[BY_ROW])) > len(of_rows) / 2
    rows = [row.tobytes() for row in sp.vstack([part.X for part in grouped.splits.values()]).toarray()]
    code_of = dict(zip(rows, codes, strict=True))
    assert [code_of[row.tobytes()] for row in at_random.train.X.toarray()] == list(fitted_on[BY_ROW][:90])


def test_the_same_rows_are_judged_by_models_of_either_split(config, grouped, monkeypatch):
    published = {rule: drawn_sets(50, seed=i, n_labels=12)[1] for i, rule in enumerate(RULES)}
    at_random = {rule: drawn_sets(50, seed=i, n_labels=12)[2] for i, rule in enumerate(RULES)}
    given = []

    def label_sets_of(config, ds, *, seed):
        given.append(ds)
        return None, at_random

    monkeypatch.setattr(evaluation, "label_sets_of", label_sets_of)
    monkeypatch.setattr(
        evaluation, "main_predictions", lambda *_, seed: {r: Prediction(published[r], None) for r in RULES}
    )
    values, differences = evaluation.split_rows(config, grouped)
    assert (given[0].test.X != random_split(grouped, seed=0).test.X).nnz == 0
    where, _ = evaluation.shared_test_rows(grouped, seed=0)
    truth = grouped.test.Y[where[BY_GROUP]]
    assert len(values) == 2 * len(RULES)
    for row in values:
        source = published if row["variant"] == BY_GROUP else at_random
        sets = source[row["rule"]][where[row["variant"]]]
        assert row["micro_f1"] == micro_f1(truth, sets)
        assert (row["n_rows"], row["test_rows"]) == (len(where[BY_ROW]), IN_BOTH)
    micro = {(row["rule"], row["variant"]): row["micro_f1"] for row in values}
    for row in differences:
        assert (row["a"], row["b"]) == (BY_ROW, BY_GROUP)
        if row["metric"] == "micro_f1":
            expected = micro[row["rule"], BY_ROW] - micro[row["rule"], BY_GROUP]
            assert row["difference"] == pytest.approx(expected)
    assert len(differences) == 2 * len(RULES)


# --- a head for the labels of the group ---


def test_each_row_has_the_labels_of_its_whole_group():
    Y = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]])
    found = heads.labels_of_groups(sp.csr_array(Y, dtype=np.float32), ["b", "a", "b", "c"])
    assert found.toarray().tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert found.dtype == np.float32


@pytest.fixture(scope="module")
def of_heads(config, grouped):
    return heads.head_sets(config, grouped, seed=0)


def test_the_first_half_of_the_outputs_is_what_is_judged(config, grouped, of_heads):
    both = np.hstack(
        [grouped.train.Y.toarray(), heads.labels_of_groups(grouped.train.Y, grouped.train.groups).toarray()]
    )
    dev, n_labels = grouped.validation, grouped.train.Y.shape[1]
    of_dev = np.hstack([dev.Y.toarray(), np.zeros(dev.Y.shape)])
    network = AdaptiveThresholdNetwork(
        random_state=0, **trainings.network_parameters(config), **trainings.PLAIN, pos_weight=1.0
    ).fit(grouped.train.X, both, validation=(dev.X, of_dev))
    found = [network.predict_proba(part.X)[:, :n_labels] for part in (dev, grouped.test)]
    k = config.numbers.top_scores
    rule = GlobalThreshold().fit(top_k(found[0], k), dev.Y)
    expected = rule.predict(top_k(found[1], k)).toarray()
    np.testing.assert_array_equal(of_heads[WITH_HEAD].toarray(), expected)
    epochs = [macro_f1(of_dev, predicted) for predicted in [network.predict(dev.X)]]
    assert max(entry["macro_f1"] for entry in network.history_) == pytest.approx(epochs[0])
    assert (of_heads[WITH_HEAD] != of_heads[ALONE_NETWORK]).nnz


def test_labels_of_test_rows_change_neither_network(config, grouped, of_heads):
    others = replaced(grouped, Y_test=grouped.test.Y[np.random.default_rng(0).permutation(50)])
    again = heads.head_sets(config, others, seed=0)
    for name, found in of_heads.items():
        assert (again[name] != found).nnz == 0


def test_both_networks_are_measured_and_compared(config, grouped, of_heads):
    values, differences = heads.head_rows(config, grouped, [of_heads])
    assert [(row["variant"], row["base"]) for row in values] == [
        (ALONE_NETWORK, "network"),
        (WITH_HEAD, "network"),
    ]
    for row in values:
        assert row["micro_f1"] == micro_f1(grouped.test.Y, of_heads[row["variant"]])
        assert row["fitting_groups"] == 30
    for row in differences:
        measure = MEASURES[row["metric"]]
        expected = measure(grouped.test.Y, of_heads[WITH_HEAD]) - measure(
            grouped.test.Y, of_heads[ALONE_NETWORK]
        )
        assert row["difference"] == pytest.approx(expected)


def test_the_finding_says_what_a_second_task_changes():
    tables = made_up()
    named = {"question": SECOND_TASK, "a": WITH_HEAD, "b": ALONE_NETWORK, "rule": heads.RULE}
    rows = [
        {**named, "test_rows": ALL_ROWS, "metric": metric, "difference": value, "low": value, "high": value}
        for metric, value in (("macro_f1", 0.01), ("micro_f1", -0.02))
    ]
    both = pd.concat([tables["group_differences"], pd.DataFrame(rows)])
    assert (
        "predict the labels of the whole group from each row, too, changes its macro-F1 by +0.0100 (+0.0100 "
        "to +0.0100) and its micro-F1 by −0.0200 (−0.0200 to −0.0200), both under a fitted global threshold."
    ) in finding({**tables, "group_differences": both})


# --- what is known of the group ---


def test_context_shares_come_from_the_other_folds(grouped):
    rows, folds = fitting_rows(grouped, seed=0)
    fitting, test = knowledge.context_shares(rows, folds, grouped.test)
    Y = rows.Y.toarray()
    Y[folds == 0] = Y[np.random.default_rng(0).permutation(np.flatnonzero(folds == 0))]
    dealt = rows.__class__(X=rows.X, Y=sp.csr_array(Y), groups=rows.groups)
    again, others = knowledge.context_shares(dealt, folds, grouped.test)
    assert (fitting[folds == 0] != again[folds == 0]).nnz == 0
    assert (fitting[folds != 0] != again[folds != 0]).nnz
    assert (test != others).nnz
    assert test[[-1]].nnz == 0  # no siblings, no neighbours


def test_group_labels_are_what_a_model_of_the_other_folds_groups_says(grouped):
    rows, folds = fitting_rows(grouped, seed=0)
    model = OneVsRestClassifier(LogisticRegression(C=10))
    fitting, test = knowledge.group_label_scores(model, rows, folds, grouped.test)
    names, groups = np.unique(rows.groups), np.asarray(rows.groups)
    X = np.array([rows.X.toarray()[groups == name].mean(axis=0) for name in names])
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    Y = np.array([rows.Y.toarray()[groups == name].max(axis=0) for name in names])
    fold = np.array([folds[groups == name][0] for name in names])
    n_kept = GroupContext().fit(rows.X).n_kept_
    for row in X:
        row[np.argsort(-row, kind="stable")[n_kept:]] = 0
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for part in range(3):
        fitted = clone(model).fit(X[fold != part], Y[fold != part])
        expected = dict(
            zip(names[fold == part], base_scores(fitted, X[fold == part], n_labels=12), strict=True)
        )
        for row in np.flatnonzero(folds == part)[::7]:
            np.testing.assert_allclose(fitting.toarray()[row], expected[groups[row]], atol=1e-3)
    assert test.shape == (50, 12)
    of_group = test.toarray()[:3]
    np.testing.assert_array_equal(of_group, of_group[[0, 0, 0]])


def test_each_signal_is_one_more_than_adaptive_has(config, grouped, monkeypatch):
    given = {}

    def fitted(ds, choice, seen, *, seed):
        (one,) = seen
        given[choice.signals[-1]] = choice.signals, one.local
        return SimpleNamespace(predict=lambda scores, **signals: sp.csr_array((50, 12))), (None, {})

    monkeypatch.setattr(knowledge, "fitted_choice", fitted)
    assert list(knowledge._fit(config, grouped, seed=0)) == [CONTEXT, GROUP_LABELS]
    rows, folds = fitting_rows(grouped, seed=0)
    expected = knowledge.context_shares(rows, folds, grouped.test)
    for name in (CONTEXT, GROUP_LABELS):
        signals, local = given[name]
        assert signals == ("neighbours", name)
        assert [list(part) for part in local] == [["neighbours", name]] * 2
    for part in range(2):
        assert (given[CONTEXT][1][part][CONTEXT] != expected[part]).nnz == 0


@pytest.mark.slow
def test_labels_of_test_rows_change_no_label_set(config, grouped, empty_cache):
    found = knowledge.sets_with_knowledge(config, grouped, seed=0)
    empty_cache("second")
    again = knowledge.sets_with_knowledge(config, replaced(grouped, Y_test=grouped.test.Y[::-1]), seed=0)
    ours = main_predictions(config, grouped, "linear", seed=0)[OURS].label_sets
    for name in (CONTEXT, GROUP_LABELS):
        assert (found[name] != again[name]).nnz == 0
        assert (found[name] != ours).nnz


def test_rows_are_parted_by_the_number_of_their_siblings():
    groups = np.repeat(list("abcde"), [1, 2, 10, 11, 1])
    parts = knowledge.by_siblings(groups)
    assert list(parts) == [ALL_ROWS, "no siblings", "1 to 9 siblings", "10 or more siblings"]
    assert parts[ALL_ROWS].tolist() == list(range(25))
    expected = {"no siblings": "ae", "1 to 9 siblings": "bc", "10 or more siblings": "d"}
    for name, of_part in expected.items():
        assert "".join(sorted(set(groups[parts[name]]))) == of_part
    assert list(knowledge.by_siblings(["a", "b"])) == [ALL_ROWS, "no siblings"]


def test_each_signal_is_compared_with_the_row_alone_part_by_part(config, grouped, monkeypatch):
    alone = drawn_sets(50, seed=5, n_labels=12)[1]
    monkeypatch.setattr(knowledge, "main_predictions", lambda *_, seed: {OURS: Prediction(alone, None)})
    sets = {name: drawn_sets(50, seed=i, n_labels=12)[1] for i, name in enumerate((CONTEXT, GROUP_LABELS))}
    values, differences = knowledge.knowledge_rows(config, grouped, [sets])
    sets[ALONE] = alone
    parts = {ALL_ROWS: slice(None), "no siblings": [48, 49], "1 to 9 siblings": slice(0, 48)}
    named = [(row["test_rows"], row["variant"]) for row in values]
    assert named == list(product(parts, (ALONE, CONTEXT, GROUP_LABELS)))
    for row in values:
        at = parts[row["test_rows"]]
        assert row["micro_f1"] == micro_f1(grouped.test.Y[at], sets[row["variant"]][at])
    assert len(differences) == 2 * 2 * 3
    for row in differences:
        at, measure = parts[row["test_rows"]], MEASURES[row["metric"]]
        with_it, without = (measure(grouped.test.Y[at], sets[name][at]) for name in (row["a"], ALONE))
        assert row["difference"] == pytest.approx(with_it - without)
        assert row["b"] == ALONE


# --- everything, and where there is nothing to ask ---


@pytest.mark.parametrize(
    "groups",
    [
        {"groups_train": None, "groups_dev": None, "groups_test": None},
        {"groups_test": np.arange(50) // 3},  # parted by the split
        {"groups_test": np.full(50, 500)},  # one group
    ],
)
def test_without_new_groups_there_are_no_tables_and_no_claims(config, grouped, groups):
    tables = study.group_tables(config, replaced(grouped, **groups))
    assert tables == {}
    assert claims(tables) == []
    assert finding(tables) == NO_GROUPS
    for question in showing.CAPTIONS:
        assert [said.data for said in showing.shown_of(tables, question)] == [NO_GROUPS]


@pytest.mark.slow
def test_the_study_answers_every_question_in_its_tables(config, grouped):
    rows = study.group_tables(config, grouped)
    tables = {name: read_table(io.StringIO(as_csv(found))) for name, found in rows.items()}
    assert list(tables) == ["groups", "group_differences"]
    for table in tables.values():
        assert list(table["question"].unique()) == [TRAINING, SPLIT, KNOWLEDGE, SECOND_TASK]
        assert not table.isna().any(axis=None)
    made = claims(tables)
    assert len({claim["claim"] for claim in made}) == len(made)
    assert "95 % interval" in finding(tables)


@pytest.mark.slow
def test_too_few_groups_for_a_part_of_them_leave_the_others_questions(config, grouped):
    few = {"groups_train": np.zeros(90, dtype=int), "groups_dev": 100 + np.arange(40) // 20}
    tables = {
        name: pd.DataFrame(rows)
        for name, rows in study.group_tables(config, replaced(grouped, **few)).items()
    }
    assert set(tables["groups"]["question"]) == {SPLIT, KNOWLEDGE, SECOND_TASK}
    assert finding(tables).startswith(
        "There are too few groups to draw training rows from a part of them. A "
    )
    [said] = showing.shown_of(tables, TRAINING)
    assert said.data == "There are too few groups here."
    assert claims(tables)
    assert len(showing.plot_groups(tables).axes) == 2


# --- what is read off the tables ---


def made_up(*, training=0.1, split=0.2, context=0.0, labels=0.0, by_rows=0.5):
    """Tables of differences ± 0.05 by groups, ``by_rows`` times as wide by rows; micro-F1 is half."""
    changes = [
        *(
            (TRAINING, EVERY, share, rule, ALL_ROWS, training)
            for rule in RULES
            for share in list(SHARES)[:-1]
        ),
        *((SPLIT, BY_ROW, BY_GROUP, rule, IN_BOTH, split) for rule in RULES),
        *(
            (KNOWLEDGE, name, ALONE, OURS, test_rows, value)
            for test_rows in (ALL_ROWS, "no siblings")
            for name, value in ((CONTEXT, context), (GROUP_LABELS, labels))
        ),
    ]
    differences = []
    for question, a, b, rule, test_rows, value in changes:
        named = {"question": question, "a": a, "b": b, "rule": rule, "test_rows": test_rows}
        for metric, share in (("macro_f1", 1.0), ("micro_f1", 0.5)):
            middle = share * value
            middle += 0.9 * (test_rows == "no siblings") + 0.01 * RULES.index(rule) - 0.02  # 0 for our rule
            differences.append(
                {
                    **named,
                    "metric": metric,
                    "difference": middle,
                    "low": middle - 0.05,
                    "high": middle + 0.05,
                    "low_by_rows": middle - 0.05 * by_rows,
                    "high_by_rows": middle + 0.05 * by_rows,
                }
            )
    values = [
        {"question": TRAINING, "variant": share, "rule": OURS, "fitting_groups": n, "n_labels": 40}
        for share, n in zip(SHARES, (1000, 2000, 4000, 8000), strict=True)
    ]
    values += [
        {"question": SPLIT, "variant": variant, "rule": rule, "micro_f1": value, "n_rows": 1200}
        for rule, factor in ((OURS, 1), ("fixed 0.5", 0.1))
        for variant, value in ((BY_ROW, 0.4 * factor), (BY_GROUP, 0.3 * factor))
    ]
    return {"groups": pd.DataFrame(values), "group_differences": pd.DataFrame(differences)}


def test_the_finding_says_what_groups_change():
    assert finding(made_up(context=0.2, labels=-0.2)) == (
        "As many training rows, from 8,000 groups instead of 1,000, change the macro-F1 of `adaptive` over "
        "the 40 most frequent labels on rows of new groups by +0.1000 (95 % interval +0.0500 to +0.1500) and "
        "its micro-F1 by +0.0500 (+0.0000 to +0.1000); instead of 4,000, half of the groups, macro-F1 by "
        "+0.1000 (+0.0500 to +0.1500). A split by row, which parts groups, shows a micro-F1 "
        "of 0.400 where a split by group shows 0.300 on the same 1,200 test rows, +0.1000 (+0.0500 to "
        "+0.1500). The other rows of its group, as context, change the macro-F1 of `adaptive` by +0.2000 "
        "(+0.1500 to +0.2500), labels predicted for the whole group by −0.2000 (−0.2500 to −0.1500); "
        "micro-F1 is clearly greater with context, clearly smaller with group labels. Intervals that "
        "resample rows as if each stood alone are on average 0.50 times as wide as those that resample "
        "groups."
    )


def test_the_finding_says_where_knowledge_of_the_group_brings_nothing():
    text = finding(made_up(context=0.02))
    assert "by +0.0200 (−0.0300 to +0.0700), labels predicted for the whole group by +0.0000 (" in text
    assert "micro-F1 is clearly greater with none, clearly smaller with none." in text


def test_without_a_part_of_the_questions_the_others_are_answered():
    tables = made_up()
    part = tables["group_differences"].query("question == @KNOWLEDGE")
    text = finding({**tables, "group_differences": part})
    assert text.startswith(
        "There are too few groups to draw training rows from a part of them. The other rows"
    )


def test_claims_are_about_all_rows_and_of_parts_in_micro_f1_only():
    found = claims(made_up(training=0.2, split=-0.2, context=0.0))
    outcomes = {claim["claim"]: claim["outcome"] for claim in found}
    assert len(found) == len(outcomes) == 2 * (9 + 2) + 3 + 2 + 1
    assert (
        outcomes["Macro-F1 of adaptive, all groups minus an eighth of the groups (test rows: all)"]
        == "above 0"
    )
    name = "of fixed 0.5, split by row minus split by group (test rows: tested by both splits)"
    assert outcomes[f"Micro-F1 {name}"] == "below 0"
    assert f"Macro-F1 {name}" not in outcomes
    assert outcomes["Micro-F1 of adaptive, context minus row alone (test rows: all)"] == "level"
    assert outcomes["Micro-F1 of adaptive, context minus row alone (test rows: no siblings)"] == "above 0"
    assert "Macro-F1 of adaptive, context minus row alone (test rows: no siblings)" not in outcomes


@pytest.mark.parametrize(("by_rows", "outcome"), [(0.8, "yes"), (1.0, "no"), (1.2, "no")])
def test_the_last_claim_is_about_the_width_of_intervals(by_rows, outcome):
    *_, last = claims(made_up(by_rows=by_rows))
    assert last == {
        "claim": "Intervals that resample rows are on average narrower than those that resample groups",
        "outcome": outcome,
        "figures": f"{by_rows:.3f} times as wide",
    }


def test_the_figure_shows_draws_means_and_changes():
    tables = made_up()
    values = [
        {
            "question": TRAINING,
            "variant": share,
            "rule": rule,
            "fitting_groups": 10 * at + draw,
            "macro_f1": at + draw,
        }
        for rule in RULES
        for at, share in enumerate(SHARES, 1)
        for draw in (0, 1)
    ]
    figure = showing.plot_groups({**tables, "groups": pd.DataFrame(values)})
    left, right = figure.axes
    for line in left.lines:
        assert line.get_xdata().tolist() == [10.5, 20.5, 30.5, 40.5]
        assert line.get_ydata().tolist() == [1.5, 2.5, 3.5, 4.5]
    assert left.get_ylim()[0] == 0
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels[0] == "all groups\nminus an eighth of the groups"
    assert len(labels) == 3 + 1 + 2
    macro, micro = (marks for marks in right.collections if len(marks.get_offsets()) == 6)
    assert macro.get_offsets()[:, 0].tolist() == pytest.approx([0.1] * 3 + [0.2, 0, 0])
    assert micro.get_offsets()[:, 0].tolist() == pytest.approx([0.05] * 3 + [0.1, 0, 0])
    white = [tuple(color[:3]) == (1, 1, 1) for color in macro.get_facecolors()]
    assert white == [False] * 4 + [True] * 2  # an interval that holds 0


def test_tables_show_the_mean_number_of_groups_of_the_draws():
    rows = [
        {
            "question": TRAINING,
            "variant": "all groups",
            "rule": OURS,
            "fitting_groups": n,
            **dict.fromkeys(MEASURES, f1),
        }
        for n, f1 in ((10, 0.1), (13, 0.3))
    ]
    values = pd.DataFrame(rows).assign(samples_f1=0.5)
    table, differences = showing.shown_of({**made_up(), "groups": values}, TRAINING)
    assert "all groups  12              adaptive" in repr(table)
    assert "0.200 ± 0.141" in repr(table)
    assert "an eighth of the groups" in repr(differences)
