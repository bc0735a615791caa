"""Notebook 01: ceilings and duplicates against naive loops, and what is claimed of them."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh.experiments.core.evaluation import BINS, metrics_on_test
from adathresh.experiments.core.rules import Prediction
from adathresh.experiments.nb01_data import ceiling_rows, claims, duplicate_rows, finding


def sets(rows):
    return sp.csr_array(np.array(rows, dtype=np.float32))


def test_ceilings_by_training_frequency(ds):
    wanted = [0, 1, 5, 6, 20, 21, 100, 101, 0]  # both ends of every bin
    Y_train = sets([[int(row < n) for n in wanted] for row in range(101)])
    Y_test = sets([[1, 1, 0, 0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0, 1, 1, 0]])
    rows = ceiling_rows(replaced(ds, Y_train=Y_train, Y_test=Y_test))
    assert [list(row.values()) for row in rows] == [
        ["0", 2, 1, 0.5],
        ["1–5", 2, 1, 0.5],
        ["6–20", 2, 1, 0.5],
        ["21–100", 2, 1, 0.5],
        ["> 100", 1, 1, 1.0],
    ]
    assert [row["training_rows"] for row in rows] == list(BINS)


def test_ceilings_against_loops_and_perfect_predictions(make_dataset):
    ds = make_dataset(30)
    rows = {row["training_rows"]: row for row in ceiling_rows(ds)}
    metrics = metrics_on_test(ds, Prediction(ds.test.Y, ds.test.Y))
    train, test = ds.train.Y.toarray(), ds.test.Y.toarray()
    bounds = {"0": (0, 0), "1–5": (1, 5), "6–20": (6, 20), "21–100": (21, 100), "> 100": (101, 10**9)}
    for name, (low, high) in bounds.items():
        inside = [c for c in range(30) if low <= train[:, c].sum() <= high]
        tested = [c for c in inside if test[:, c].any()]
        assert (rows[name]["labels"], rows[name]["tested"]) == (len(inside), len(tested))
        expected = len(tested) / len(inside) if inside else np.nan
        np.testing.assert_equal(rows[name]["ceiling"], expected)
        np.testing.assert_equal(metrics[BINS[name]], expected)
    assert sum(row["labels"] > 0 for row in rows.values()) >= 2


def test_duplicates_against_loops(ds):
    text = {
        "train": ["Sort an array.", "Open file 12 now", "Naïve   mean", "", "solve"],
        "dev": ["sort an ARRAY.", "Open file 13 now!", "openfile now", "42"],
        "test": ["solve", "Solves", "re-solve", "(Solve)", "Sort an array", "sort\nan\narray."],
    }
    X = {split: sp.csr_array(np.eye(6, dtype=np.float32)[: len(text[split])]) for split in text}
    X["dev"] = sp.csr_array(np.eye(8, 6, k=2, dtype=np.float32)[:4] * [1, 1, 1, 1, 1, 2])
    X["dev"] = X["dev"].astype(np.float32)
    fields = {f"X_{split}": X[split] for split in X} | {f"text_{split}": text[split] for split in text}
    fields |= {f"Y_{split}": ds.train.Y[: len(text[split])] for split in text}
    rows = duplicate_rows(replaced(ds, **fields))

    def words(text):
        return re.findall("[a-z]{2,}", text.lower())

    assert [row["split"] for row in rows] == ["dev", "test"]
    for row in rows:
        split, known = row["split"], text["train"]
        assert row["rows"] == len(text[split])
        features = X["train"].toarray().tolist()
        assert row["equal_features"] == sum(x in features for x in X[split].toarray().tolist())
        folded = [t.lower().split() for t in known]
        assert row["equal_text"] == sum(t.lower().split() in folded for t in text[split])
        near = [words(t) for t in known]
        assert row["equal_words"] == sum(words(t) in near for t in text[split])
    # by hand: "sort an ARRAY." differs in case only, "Open file 13 now!" and "42" in what are no letters
    assert (rows[0]["equal_features"], rows[0]["equal_text"], rows[0]["equal_words"]) == (3, 1, 3)
    assert (rows[1]["equal_features"], rows[1]["equal_text"], rows[1]["equal_words"]) == (5, 2, 4)


def test_duplicates_without_texts(make_dataset):
    for row in duplicate_rows(make_dataset()):
        assert row["equal_text"] is None
        assert row["equal_words"] is None
        assert row["equal_features"] == 0


def tables(*, rare=60, ceiling=0.6, repeated=2):
    data = {"labels_with_at_most_5_train_rows": rare, "n_labels": 100, "macro_f1_ceiling": ceiling}
    duplicates = [
        {"split": "dev", "rows": 100, "equal_features": 50},
        {"split": "test", "rows": 100, "equal_features": repeated},
    ]
    return {"data": pd.DataFrame([data]), "duplicates": pd.DataFrame(duplicates)}


@pytest.mark.parametrize(
    ("changed", "outcomes"),
    [
        ({}, ["yes", "yes", "yes"]),
        ({"rare": 50}, ["no", "yes", "yes"]),
        ({"ceiling": 1.0}, ["yes", "no", "yes"]),
        ({"repeated": 1}, ["yes", "yes", "no"]),
    ],
)
def test_claims(changed, outcomes):
    assert [claim["outcome"] for claim in claims(tables(**changed))] == outcomes


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (0, "every label occurs in a test row"),
        (1, "1 label occurs in no test row"),
        (7, "7 labels occur in no"),
    ],
)
def test_the_finding_counts(missing, reason):
    more = {"n_train": 2_000, "labels_per_row_train": 3.14, "labels_without_test_rows": missing}
    text = finding({"data": tables()["data"].assign(**more)})
    assert text.startswith(
        "The 2,000 training rows carry 3.1 of 100 labels on average, and 60 % of the labels"
    )
    assert f"macro-F1 of 0.600 on the test rows, because {reason}" in text
