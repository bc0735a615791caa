"""Agreement of tables: tolerances are shares of effects, and a lost or reversed effect is found."""

import numpy as np
import pandas as pd
import pytest

from adathresh.experiments.core.agreement import LEAST, SHARE, UNSEEDED_SHARE, agreement

# within "linear" macro_f1 spans 0.04, within "tree" 0.004, over both 0.5
PUBLISHED = pd.DataFrame(
    [
        ("linear", "fixed", 0, 0.10, 0.3),
        ("linear", "tuned", 0, 0.12, 0.3),
        ("linear", "ours", 0, 0.14, 0.3),
        ("tree", "fixed", 0, 0.600, 0.3),
        ("tree", "tuned", 0, 0.602, 0.3),
        ("tree", "ours", 0, 0.604, 0.3),
    ],
    columns=["base", "rule", "seed", "macro_f1", "micro_f1"],
)


def changed(row, value, column="macro_f1"):
    table = PUBLISHED.astype({column: object}) if isinstance(value, str) else PUBLISHED.copy()
    table.loc[row, column] = value
    return table


def test_equal_tables_agree():
    found = agreement(PUBLISHED.copy(), PUBLISHED)
    assert found == (12, 12, "")  # seeds are no numbers
    assert found.holds


@pytest.mark.parametrize(
    ("row", "by", "holds"),
    [
        (0, 0.9 * SHARE * 0.04, True),
        (0, 1.1 * SHARE * 0.04, False),
        (1, -1.1 * SHARE * 0.04, False),
        (3, 1.1 * LEAST, False),  # 5 % of 0.004 is less than LEAST
        (3, 0.9 * LEAST, True),
    ],
)
def test_tolerances_are_shares_of_the_effect_within_a_base_model(row, by, holds):
    assert agreement(changed(row, PUBLISHED["macro_f1"][row] + by), PUBLISHED).holds == holds


def test_without_base_models_the_effect_is_that_of_the_column():
    alone = PUBLISHED.drop(columns="base")
    here = changed(3, 0.6 + 0.9 * SHARE * 0.504).drop(columns="base")
    assert agreement(here, alone).holds
    assert not agreement(here, PUBLISHED.drop(columns="base").iloc[3:].reset_index(drop=True).loc[:0]).holds
    here = changed(3, 0.6 + 1.1 * SHARE * 0.504).drop(columns="base")
    assert not agreement(here, alone).holds


def test_a_column_without_an_effect_may_differ_by_rounding_only():
    assert agreement(changed(2, 0.3 + 0.9 * LEAST, "micro_f1"), PUBLISHED).holds
    assert not agreement(changed(2, 0.3 + 1.1 * LEAST, "micro_f1"), PUBLISHED).holds


def test_tolerances_come_from_the_published_table():
    here = changed(0, 10.0)  # a great effect here allows nothing
    assert not agreement(here, PUBLISHED).holds


def test_what_is_counted_and_the_farthest_off_is_named():
    here = changed(0, 0.13)
    here.loc[4, "macro_f1"] = 0.603  # twice its tolerance of LEAST, the other 15 times
    found = agreement(here, PUBLISHED)
    assert (found.n_agree, found.n_compared) == (10, 12)
    assert found.problem == "farthest off: macro_f1 in row 1: 0.13 here, 0.1 published, 0.002 allowed"


# --- lost and reversed effects ---


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)])
def test_two_rows_swapped_are_found(first, second):
    here = PUBLISHED.copy()
    here.loc[[first, second], "macro_f1"] = PUBLISHED["macro_f1"][[second, first]].to_numpy()
    assert not agreement(here, PUBLISHED).holds


@pytest.mark.parametrize("base", ["linear", "tree"])
def test_a_removed_effect_is_found(base):
    here = PUBLISHED.copy()
    inside = here["base"] == base
    here.loc[inside, "macro_f1"] = here.loc[inside, "macro_f1"].mean()
    assert not agreement(here, PUBLISHED).holds


@pytest.mark.parametrize("rows", [[0], [2], [0, 1], [3], [5]])
def test_a_shift_by_half_of_the_effect_is_found(rows):
    effect = 0.04 if rows[0] < 3 else 0.004
    here = PUBLISHED.copy()
    here.loc[rows, "macro_f1"] += effect / 2
    assert not agreement(here, PUBLISHED).holds


def test_every_shift_beyond_its_tolerance_is_found():
    rng = np.random.default_rng(0)
    for _ in range(40):
        values = rng.normal(size=6) * 10.0 ** rng.integers(-4, 2)
        published = PUBLISHED.assign(macro_f1=values)
        row = rng.integers(6)
        of_base = values[:3] if row < 3 else values[3:]
        allowed = max(SHARE * np.ptp(of_base), LEAST)
        for by, holds in ((0.99 * allowed, True), (1.01 * allowed, False)):
            here = published.copy()
            here.loc[row, "macro_f1"] += by
            assert agreement(here, published).holds == holds


# --- models that take no seed ---


def test_rows_without_a_seed_get_the_wider_share():
    by = (SHARE + UNSEEDED_SHARE) / 2
    here = changed(0, 0.1 + by * 0.04)
    assert not agreement(here, PUBLISHED).holds
    assert not agreement(here, PUBLISHED, unseeded="base in ['tree']").holds
    assert agreement(here, PUBLISHED, unseeded="base == 'linear'").holds
    tree = changed(5, 0.604 + by * 0.004)
    assert agreement(tree, PUBLISHED, unseeded="base == 'tree'").holds
    far = changed(0, 0.1 + 1.1 * UNSEEDED_SHARE * 0.04)
    assert not agreement(far, PUBLISHED, unseeded="base == 'linear'").holds


def test_the_effect_of_rows_without_a_seed_cannot_be_removed_either():
    here = PUBLISHED.copy()
    here.loc[here["base"] == "linear", "macro_f1"] = 0.12
    assert not agreement(here, PUBLISHED, unseeded="base == 'linear'").holds


def test_what_the_order_of_unseeded_scores_decides_is_not_compared():
    published = PUBLISHED.assign(precision_at_1=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    here = published.assign(precision_at_1=0.0)
    found = agreement(here, published, unseeded="base == 'linear'")
    assert (found.n_agree, found.n_compared) == (12, 15)  # those of the tree are compared, and off
    assert agreement(here, published, unseeded="base in ['linear', 'tree']").holds
    assert not agreement(here.assign(macro_f1=0.0), published, unseeded="base in ['linear', 'tree']").holds


def test_the_effect_of_one_measure_is_the_distance_over_all_columns():
    published = pd.DataFrame({"base": ["a", "b"], "fixed": [0.1, 0.2], "ours": [0.5, 0.3]})
    here = published.copy()
    here.loc[0, "ours"] += 0.9 * SHARE * 0.4
    assert not agreement(here, published).holds  # a column of one row a base model shows no effect
    assert agreement(here, published, one_measure=True).holds
    here.loc[0, "ours"] += 0.2 * SHARE * 0.4
    assert not agreement(here, published, one_measure=True).holds


# --- missing and infinite values, other rows ---


def test_missing_values_agree_with_missing_values_only():
    published = changed(1, np.nan)
    assert agreement(published.copy(), published).holds
    assert not agreement(PUBLISHED, published).holds
    assert not agreement(published, PUBLISHED).holds


def test_infinite_values_agree_with_themselves():
    published = changed(1, np.inf)
    assert agreement(published.copy(), published).holds
    assert not agreement(PUBLISHED, published).holds


@pytest.mark.parametrize(
    ("here", "problem"),
    [
        (PUBLISHED.iloc[:4], "4 rows here, 6 published"),
        (PUBLISHED.drop(columns="micro_f1"), "columns here"),
        (PUBLISHED[["rule", "base", "seed", "macro_f1", "micro_f1"]], "columns here"),
        (changed(1, "other", "rule"), "rule in row 2 is 'other' here, 'tuned' published"),
        (changed(0, 3, "seed"), "seed in row 1 is '3' here, '0' published"),
        (changed(5, "linear", "base"), "base in row 6 is 'linear' here, 'tree' published"),
        (changed(0, "n/a"), "macro_f1 in row 1 is 'n/a' here, '0.1' published"),
    ],
)
def test_other_rows_and_columns_are_named(here, problem):
    found = agreement(here, PUBLISHED)
    assert not found.holds
    assert problem in found.problem
    assert found.n_agree == 0
    assert found.n_compared > 0


def test_true_and_false_are_compared_as_text():
    published = PUBLISHED.assign(tuned=PUBLISHED["rule"] == "tuned")
    assert agreement(published.copy(), published) == (12, 12, "")
    found = agreement(published.assign(tuned=True), published)
    assert found.problem == "tuned in row 1 is 'True' here, 'False' published"


def test_a_table_of_text_only_is_compared_by_its_text():
    names = PUBLISHED[["base", "rule"]]
    assert agreement(names, names).holds
    assert not agreement(names.assign(rule="other"), names).holds
