"""Rows on the released protocol: the figure, epochs, batches, switches, areas under curves, the audit."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.metrics import f1_score, roc_auc_score

from adathresh.experiments.nb06_leakage import protocol_runs as runs
from adathresh.experiments.nb06_leakage import released_tables as study
from adathresh.paper.as_released import LabelLeakageWarning


def macro(Y, predicted):
    return f1_score(Y.toarray(), predicted.toarray(), average="macro", zero_division=0)


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


def test_selection_rows_by_hand(config, ds):
    columns = {
        "macro_f1_half_1_released": [0.1, 0.5, 0.3],
        "macro_f1_half_2_released": [0.2, 0.1, 0.6],
        "macro_f1_half_1_withheld": [0.1, 0.2, 0.3],
        "macro_f1_half_2_withheld": [0.3, 0.1, 0.0],
    }
    rows = study.selection_rows(config, ds, runs.ProtocolRun(pd.DataFrame(columns), {}, {}), seed=2)
    found = {(row["signals"], row["epoch_chosen_on"]): row["macro_f1"] for row in rows}
    assert found == {
        ("released", "the reported rows"): pytest.approx((0.5 + 0.6) / 2),
        ("released", "other rows"): pytest.approx((0.3 + 0.1) / 2),
        ("released", "none: the last"): pytest.approx((0.3 + 0.6) / 2),
        ("withheld", "the reported rows"): pytest.approx((0.3 + 0.3) / 2),
        ("withheld", "other rows"): pytest.approx((0.1 + 0.0) / 2),
        ("withheld", "none: the last"): pytest.approx((0.3 + 0.0) / 2),
    }
    assert all((row["dataset"], row["split"], row["seed"]) == ("tiny", "dev", 2) for row in rows)


def test_choosing_on_the_reported_rows_never_lowers_the_figure(config, ds, released):
    rows = study.selection_rows(config, ds, released, seed=0)
    for signals in ("released", "withheld"):
        found = [row["macro_f1"] for row in rows if row["signals"] == signals]
        assert found[0] == max(found)


def test_batch_rows(config, ds, released):
    rows = study.batch_rows(config, ds, released, seed=0)
    assert [(row["signals"], row["batch_size"]) for row in rows] == [
        (signals, size) for signals in ("released", "withheld") for size in (1, 16, 128, 1024)
    ]
    for row in rows:
        predicted = released.predictions[f"{row['signals']}, batch {row['batch_size']}"]
        assert row["macro_f1"] == pytest.approx(macro(ds.validation.Y, predicted))
    scores = [{row["macro_f1"] for row in rows if row["signals"] == s} for s in ("released", "withheld")]
    assert len(scores[0]) > 1
    assert len(scores[1]) == 1


def test_attribution_trains_every_pair_without_a_threshold(config, ds, released, monkeypatch):
    asked = []

    def run(config, ds, **options):
        asked.append(options)
        history = released.history.iloc[:5] + len(asked)
        return released._replace(history=history)

    monkeypatch.setattr(study, "fixed_threshold_run", run)
    rows = study.attribution_rows(config, ds, released, seed=6)
    pairs = [(weight, standardised) for weight in (1.0, 10.0) for standardised in (False, True)]
    assert asked == [{"seed": 6, "pos_weight": w, "normalize_logits": s} for w, s in pairs]
    assert [(row["threshold"], row["pos_weight"], row["row_standardised"]) for row in rows] == [
        *(("0.5", *pair) for pair in pairs),
        ("learnt, labels withheld", 10.0, True),
        ("learnt, labels released", 10.0, True),
    ]
    # each run after its last epoch, and the released one after as many
    fifth = released.history.iloc[4]
    for number, row in enumerate(rows[:4], start=1):
        assert row["epoch"] == 5 + number
        assert row["macro_f1"] == fifth["macro_f1_withheld"] + number
    for row, signals in zip(rows[4:], ("withheld", "released"), strict=True):
        assert row["epoch"] == 5
        for metric in ("macro_f1", "macro_f1_present", "micro_f1", "labels_per_row"):
            assert row[metric] == fifth[f"{metric}_{signals}"]


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


# --- scores and audit ---


def test_auroc_rows(config, ds, released, leak_free):
    frequency = ds.train.Y.toarray().sum(axis=0)
    scores = {**released.scores, **leak_free.scores}
    rows = study.auroc_rows(
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
