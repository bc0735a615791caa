"""What notebook 06 claims: the order of the figures, what each part of the protocol does."""

import pandas as pd
import pytest

from adathresh.experiments.nb06_leakage import ceilings
from adathresh.experiments.nb06_leakage.findings import claims, finding


@pytest.fixture
def tables():
    def frame(names, *rows):
        return pd.DataFrame([dict(zip(names, row, strict=True)) | {"seed": 0} for row in rows])

    return {
        "reported": frame(
            ["method", "macro_f1"],
            ("released, best epoch", 0.17),
            ("released, batch 16", 0.16),
            ("labels withheld", 0.10),
            ("leak-free", 0.12),
        ),
        "selection": frame(
            ["signals", "epoch_chosen_on", "macro_f1"],
            ("released", "the reported rows", 0.17),
            ("released", "other rows", 0.16),
            ("withheld", "the reported rows", 0.1),
        ),
        "batches": frame(
            ["signals", "batch_size", "macro_f1"],
            ("released", 1, 0.1),
            ("released", 128, 0.2),
            ("withheld", 1, 0.1),
            ("withheld", 128, 0.1),
        ),
        "attribution": frame(
            ["threshold", "pos_weight", "row_standardised", "macro_f1"],
            ("0.5", 1.0, False, 0.01),
            ("0.5", 10.0, True, 0.09),
            ("learnt, labels released", 10.0, True, 0.17),
        ),
        "epochs": frame(
            ["epoch", "macro_f1_released", "macro_f1_withheld", "difference"],
            (1, 0.1, 0.1, 0.0),
            (40, 0.2, 0.05, 0.15),
        ),
        "ceiling": frame(
            ["totals_of", "law", "ceiling", "high"],
            *(("AmazonCat-13K", law, 0.7, 0.71) for law in ceilings.LAWS[:-1]),
            ("AmazonCat-13K", ceilings.LAWS[-1], 0.324, 0.33),
            ("tiny", ceilings.LAWS[-1], 0.9, 0.91),
        ),
        "auroc": frame(
            ["scores", "training_rows", "value", "low", "high"],
            ("released", "all", 0.6, 0.5, 0.7),
            ("released − withheld", "all", 0.2, 0.1, 0.3),
            ("released − withheld", "1–5", -0.2, -0.3, -0.1),
        ),
        "splits": frame(
            ["test_rows", "rule", "macro_f1"],
            ("as published", "adaptive", 0.1),
            ("all rows split at random", "adaptive", 0.3),
            ("as published", "fixed 0.5", 0.9),
        ),
    }


def outcomes(tables):
    return {claim["claim"]: claim["outcome"] for claim in claims(tables)}


def changed(tables, name, value, column="macro_f1", **where):
    """Return the tables with one value replaced, in the rows that have the given values."""
    table = tables[name].copy()
    keep = pd.Series(True, index=table.index)
    for key, wanted in where.items():
        keep &= table[key] == wanted
    assert keep.any()
    table.loc[keep, column] = value
    return {**tables, name: table}


def test_every_table_is_read(tables):
    found = list(outcomes(tables).values())
    assert found.count("yes") == 6
    assert "as reported > leak-free method > labels withheld" in found
    assert "at random > as published" in found
    assert found.count("above 0") == 1


@pytest.mark.parametrize(
    ("name", "value", "column", "where", "words"),
    [
        ("reported", 0.09, "macro_f1", {"method": "released, best epoch"}, "raise the reported"),
        ("reported", 0.09, "macro_f1", {"method": "leak-free"}, "Macro-F1 on the reported rows"),
        ("selection", 0.18, "macro_f1", {"epoch_chosen_on": "other rows"}, "Choosing the epoch"),
        ("batches", 0.1, "macro_f1", {"signals": "released"}, "evaluation batch"),
        ("batches", 0.2, "macro_f1", {"signals": "withheld", "batch_size": 1}, "evaluation batch"),
        ("attribution", 0.05, "macro_f1", {"pos_weight": 10.0, "threshold": "0.5"}, "learnt threshold"),
        ("epochs", 0.05, "difference", {"epoch": 40}, "After 40 epochs"),
        ("ceiling", 0.5, "high", {"totals_of": "AmazonCat-13K"}, "10,000 rows"),
        ("auroc", -0.1, "low", {"training_rows": "all", "scores": "released − withheld"}, "Macro-AUROC"),
        ("splits", 0.0, "macro_f1", {"test_rows": "all rows split at random"}, "by split"),
    ],
)
def test_every_part_can_come_out_otherwise(tables, name, value, column, where, words):
    before, after = outcomes(tables), outcomes(changed(tables, name, value, column, **where))
    (claim,) = [claim for claim in before if words in claim]
    assert before[claim] != after[claim]


def test_the_ceiling_of_other_data_sets_claims_nothing(tables):
    assert outcomes(changed(tables, "ceiling", 0.99, "high", totals_of="tiny")) == outcomes(tables)


def test_without_groups_nothing_is_claimed_of_a_random_split(tables):
    published = tables["splits"].query("test_rows == 'as published'")
    assert len(outcomes(tables)) - len(outcomes({**tables, "splits": published})) == 1


def test_the_finding_takes_labels_epoch_batch_and_split_in_turn(tables):
    text = finding(tables)
    assert text.startswith(
        "After 40 epochs the released protocol reports a macro-F1 of 0.200; without the labels"
    )
    assert "reach 0.050. The labels change macro-AUROC by +0.2000 (95 % interval +0.1000 to +0.3000)" in text
    assert "changes macro-F1 by +0.0100, the size of the evaluation batch by up to 0.1000." in text
    assert text.endswith("shows a macro-F1 of 0.300 for `adaptive` where the published split shows 0.100.")


def test_the_finding_shows_how_seeds_differ(tables):
    other = tables["epochs"].assign(seed=1, difference=0.05)
    text = finding({**tables, "epochs": pd.concat([tables["epochs"], other])})
    assert "reach 0.050 (the labels' part is +0.0500 to +0.1500 over 2 seeds)." in text


def test_without_groups_the_finding_is_about_texts_or_no_other_split(tables):
    splits = tables["splits"].assign(test_rows=["as published", "without near-duplicates", "as published"])
    control = splits.iloc[[0]].assign(test_rows="as many at random", macro_f1=0.2)
    text = finding({**tables, "splits": pd.concat([splits, control])})
    assert text.endswith("reaches a macro-F1 of 0.300, without as many others 0.200, on all test rows 0.100.")
    text = finding({**tables, "splits": splits.query("test_rows == 'as published'")})
    assert text.endswith("neither groups nor texts, so no other split is compared.")
