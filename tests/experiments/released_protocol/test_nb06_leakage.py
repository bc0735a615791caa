"""Notebook 06: rows on the released protocol with and without labels, the audit, and what is claimed."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import changed, replaced, table_of
from sklearn.metrics import f1_score, roc_auc_score

from adathresh.experiments import nb06_leakage as study
from adathresh.experiments.core.evaluation import auroc_rows
from adathresh.paper.as_released import LabelLeakageWarning


def test_leakage_rows(config, ds, released, leak_free, method):
    rows = study.leakage_rows(config, ds, released, leak_free, method, seed=4)
    ways = {
        "released, batch 16": released.predictions["released, batch 16"],
        "released, batch 128": released.predictions["released, batch 128"],
        "released, batch 1024": released.predictions["released, batch 1024"],
        "labels of other rows": released.predictions["labels of other rows"],
        "labels withheld": released.predictions["withheld, batch 128"],
        "leak-free signals": leak_free.predictions["leak-free signals"],
        "leak-free": method.predictions["leak-free"],
    }
    assert [row["method"] for row in rows] == ["released, best epoch", *ways]
    for row, predicted in zip(rows[1:], ways.values(), strict=True):
        for average in ("macro", "micro"):
            expected = f1_score(
                ds.validation.Y.toarray(), predicted.toarray(), average=average, zero_division=0
            )
            assert row[f"{average}_f1"] == pytest.approx(expected)
    assert {(row["dataset"], row["split"], row["mode"], row["base"], row["seed"]) for row in rows} == {
        ("tiny", "dev", "inductive", "network", 4)
    }


def test_the_reported_figure_is_the_best_epochs(config, ds, released):
    history = released.history.copy()
    history["macro_f1_released"] = [0.1, 0.4, 0.3, 0.2, 0, 0, 0, 0]
    history["micro_f1_released"] = [0.9, 0.5, 0.6, 0.7, 0, 0, 0, 0]
    first, *_ = study.leakage_rows(config, ds, released._replace(history=history), seed=0)
    assert first["macro_f1"] == 0.4
    assert first["micro_f1"] == 0.5  # of the same epoch, not the greatest


def test_history_rows(config, ds, released):
    rows = study.history_rows(config, ds, released, seed=1)
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    for row in rows:
        epoch = released.history.iloc[row["epoch"] - 1]
        assert row["difference"] == epoch["macro_f1_released"] - epoch["macro_f1_withheld"]
        assert (row["macro_f1_released"], row["train_loss"]) == (
            epoch["macro_f1_released"],
            epoch["train_loss"],
        )
    few = study.history_rows(config, ds, released, seed=1, n_shown=3)
    assert [row["epoch"] for row in few] == [1, 5, 8]


def test_tables_hold_the_rows_of_every_seed(config, ds):
    two = dataclasses.replace(config, seeds=2)
    tables = study.label_tables(two, {0: ds, 1: ds})
    assert list(tables) == ["reported", "epochs", "differences", "auroc"]
    assert all({row["seed"] for row in rows} == {0, 1} for rows in tables.values())
    names = {row["scores"] for row in tables["auroc"]}
    assert names == {
        "released",
        "withheld",
        "leak-free signals",
        "leak-free",
        "released − withheld",
        "leak-free signals − withheld",
    }


def test_differences_are_those_of_the_last_epoch_with_an_interval_over_groups(config, ds, released):
    rows = study.difference_rows(config, ds, released, seed=1)
    last = released.history.iloc[-1]
    assert [row["metric"] for row in rows] == ["macro_f1", "micro_f1"]
    for row in rows:
        metric = row["metric"]
        assert row["difference"] == pytest.approx(last[f"{metric}_released"] - last[f"{metric}_withheld"])
        assert row["low"] <= row["difference"] <= row["high"]
    alone = dataclasses.replace(ds, validation=dataclasses.replace(ds.validation, groups=None))
    by_rows = study.difference_rows(config, alone, released, seed=1)
    assert (by_rows != rows) == (ds.validation.groups is not None)


# --- scores and audit ---


def test_auroc_rows(config, ds, released, leak_free):
    frequency = ds.train.Y.toarray().sum(axis=0)
    scores = {**released.scores, **leak_free.scores}
    rows = auroc_rows(
        config, ds, ds.validation.Y, scores, seed=5, contrasts=[("released", "withheld")], split="dev"
    )
    found = {(row["scores"], row["training_rows"]): row for row in rows}
    truth = ds.validation.Y.toarray()
    varies = (truth.any(axis=0)) & (~truth.all(axis=0))
    bands = {"all": (0, 999), "0": (0, 0), "1–5": (1, 5), "6–20": (6, 20), "21–100": (21, 100)}
    present = {
        band: members
        for band, (low, high) in bands.items()
        if (members := varies & (frequency >= low) & (frequency <= high)).any()
    }
    assert len(present) > 2
    assert {band for name, band in found if name == "withheld"} == set(present)
    for name, of_rows in scores.items():
        for band, members in present.items():
            own = roc_auc_score(truth[:, members], of_rows.toarray()[:, members], average="macro")
            assert found[name, band]["value"] == pytest.approx(own)
            assert found[name, band]["n_labels"] == members.sum()
            assert found[name, band]["low"] < own < found[name, band]["high"]
    for band in present:
        difference = found["released − withheld", band]
        values = [found[name, band]["value"] for name in ("released", "withheld")]
        assert difference["value"] == pytest.approx(values[0] - values[1])
        assert difference["low"] <= difference["value"] <= difference["high"]
    assert {(row["dataset"], row["split"], row["seed"]) for row in rows} == {("tiny", "dev", 5)}


def test_the_audit_finds_what_the_protocol_reads(config, ds):
    doubled = replaced(ds, X_dev=sp.csr_array(sp.vstack([ds.train.X[:9], ds.validation.X[9:]])))
    report = study.audit_protocol(config, doubled, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelLeakageWarning)
        again = study.audit_protocol(config, doubled, seed=0)
    assert str(report) == str(again)
    for check in ("test labels", "batch", "equal features"):
        assert report[check].status == "found", check
    assert report["repeated prediction"].status == "clean"
    assert report["equal features"].rows.tolist() == list(range(9))
    assert report["own neighbours"].status != "found"
    assert report["groups"].status == "not checked"


def test_the_audit_is_given_texts_and_groups(config, ds):
    texts = [f"row number {'abcdefghij'[i % 10]}{'abcdefghij'[i // 10 % 10]} {i % 7}" for i in range(150)]
    known = replaced(
        ds,
        text_train=texts,
        text_dev=[f"{text} dev" for text in texts[:69]] + texts[:1],
        groups_train=np.arange(150) // 2,
        groups_dev=np.arange(70) + 74,
    )
    report = study.audit_protocol(config, known, seed=0)
    assert report["equal text"].rows.tolist() == [69]
    assert report["groups"].rows.tolist() == [0]


# --- claims ---


@pytest.fixture
def tables():
    return {
        "reported": table_of(
            ["method", "macro_f1"],
            ("released, best epoch", 0.17),
            ("released, batch 16", 0.16),
            ("labels withheld", 0.10),
            ("leak-free", 0.12),
        ),
        "epochs": table_of(
            ["epoch", "macro_f1_released", "macro_f1_withheld", "difference"],
            (1, 0.1, 0.1, 0.0),
            (20, 0.25, 0.15, 0.1),
            (40, 0.2, 0.05, 0.15),
        ),
        "auroc": table_of(
            ["scores", "training_rows", "value", "low", "high"],
            ("released", "all", 0.6, 0.5, 0.7),
            ("released − withheld", "all", 0.2, 0.1, 0.3),
            ("released − withheld", "1–5", -0.2, -0.3, -0.1),
        ),
    }


def outcomes(tables):
    return {claim["claim"]: claim["outcome"] for claim in study.claims(tables)}


def test_every_table_is_read(tables):
    found = list(outcomes(tables).values())
    assert found.count("yes") == 2
    assert "as reported > leak-free method > labels withheld" in found
    assert found.count("above 0") == 1


@pytest.mark.parametrize(
    ("name", "value", "column", "where", "words"),
    [
        ("reported", 0.09, "macro_f1", {"method": "released, best epoch"}, "raise the reported"),
        ("reported", 0.09, "macro_f1", {"method": "leak-free"}, "Macro-F1 on the reported rows"),
        ("epochs", 0.05, "difference", {"epoch": 40}, "After 40 epochs"),
        ("auroc", -0.1, "low", {"training_rows": "all", "scores": "released − withheld"}, "Macro-AUROC"),
    ],
)
def test_every_part_can_come_out_otherwise(tables, name, value, column, where, words):
    before, after = outcomes(tables), outcomes(changed(tables, name, value, column, **where))
    (claim,) = [claim for claim in before if words in claim]
    assert before[claim] != after[claim]


def test_the_finding_takes_best_epoch_last_epoch_and_auroc_in_turn(tables):
    assert study.finding(tables) == (
        "The best of 3 of 40 epochs of the released protocol reports a macro-F1 of 0.250; without the labels "
        "in its thresholds the same weights reach 0.150. At the last epoch it is 0.200 with the labels and "
        "0.050 without. The labels change macro-AUROC there by +0.2000 (95 % interval +0.1000 to +0.3000)."
    )
    differences = pd.DataFrame({"metric": ["macro_f1"], "difference": 0.15, "low": 0.1, "high": 0.2})
    text = study.finding({**tables, "differences": differences})
    assert "0.050 without: a difference of +0.1500 (95 % interval +0.1000 to +0.2000). The labels" in text
    assert text.endswith("there by +0.2000 (+0.1000 to +0.3000).")
    whole = tables["epochs"].assign(epoch=[1, 2, 3])
    assert study.finding({**tables, "epochs": whole}).startswith("The best of 3 epochs of the released")


def test_each_seed_has_a_best_epoch(tables):
    other = tables["epochs"].assign(seed=1, macro_f1_released=[0.1, 0.1, 0.3], difference=0.05)
    both = pd.concat([tables["epochs"], other], ignore_index=True)
    assert study.best_epochs(both)[["seed", "epoch"]].to_numpy().tolist() == [[0, 20], [1, 40]]
    text = study.finding({**tables, "epochs": both})
    assert "of 0.275; without" in text
    assert "reach 0.100 (the labels' part is +0.0500 to +0.1000 over 2 seeds)." in text
