"""Notebook 01: what the corpus looks like, how long its tail is, which macro-F1 can be reached at all."""

import numpy as np

from adathresh.datasets import statistics
from adathresh.experiments.core.claims import yes_claim
from adathresh.experiments.core.evaluation import label_frequency
from adathresh.experiments.core.sentences import counted, percent
from adathresh.leakage import only_words
from adathresh.metrics import FREQUENCY_BINS, bins_of

_STATISTICS = {
    "n_train": "training rows",
    "n_dev": "validation rows",
    "n_test": "test rows",
    "n_features": "features",
    "n_labels": "labels",
    "features_per_row": "features per row",
    "labels_per_row_train": "labels per training row",
    "labels_per_row_dev": "labels per validation row",
    "labels_per_row_test": "labels per test row",
    "rows_per_label": "training rows per label, mean",
    "median_rows_per_label": "training rows per label, median",
    "largest_label": "training rows with the most frequent label",
    "labels_without_train_rows": "labels without training rows",
    "labels_with_1_to_5_train_rows": "labels with 1–5 training rows",
    "labels_with_at_most_5_train_rows": "labels with at most 5 training rows",
    "labels_without_test_rows": "labels without test rows",
    "macro_f1_ceiling": "macro-F1 of a perfect prediction of the test rows",
    **{
        f"{what}_{split}": f"{rows} rows without {missing}"
        for split, rows in (("train", "training"), ("dev", "validation"), ("test", "test"))
        for what, missing in (("unlabelled", "labels"), ("featureless", "features"))
    },
    **{
        f"{split}_{what}_seen_in_train": f"{rows} rows whose {same} a training row has"
        for split, rows in (("dev", "validation"), ("test", "test"))
        for what, same in (("rows", "features"), ("texts", "text"))
    },
}


def described(numbers):
    """Put the statistics of a data set into words: one row a statistic."""
    return [
        {"statistic": words, "value": numbers[name]} for name, words in _STATISTICS.items() if name in numbers
    ]


def ceiling_rows(ds):
    """Count labels, and those that a test row carries, by training frequency: one row a bin.

    Its macro-F1 is what a perfect prediction of the test rows reaches on the bin.
    """
    bins, tested = bins_of(label_frequency(ds.train.Y)), label_frequency(ds.test.Y) > 0
    rows = []
    for number, name in enumerate(FREQUENCY_BINS):
        inside = bins == number
        row = {"training_rows": name, "labels": int(inside.sum()), "tested": int(tested[inside].sum())}
        rows.append({**row, "ceiling": tested[inside].mean() if inside.any() else np.nan})
    return rows


def duplicate_rows(ds):
    """Count validation and test rows that occur among the training rows: one row a split.

    Counted are rows with equal features, with equal text (case and white space aside), and with equal words,
    as :func:`adathresh.leakage.only_words` says; the last two are missing where there are no texts.
    """
    numbers, rows = statistics(ds), []
    for split in ("dev", "test"):
        row = {
            "split": split,
            "rows": numbers[f"n_{split}"],
            "equal_features": numbers[f"{split}_rows_seen_in_train"],
            "equal_text": numbers.get(f"{split}_texts_seen_in_train"),
            "equal_words": None,
        }
        if ds.train.texts is not None:
            known = {only_words(text) for text in ds.train.texts}
            row["equal_words"] = sum(only_words(text) in known for text in ds.splits[split].texts)
        rows.append(row)
    return rows


def claims(tables):
    """Say what the tables "data", "ceiling" and "duplicates" show."""
    data, duplicates = tables["data"].iloc[0], tables["duplicates"]
    rare = data["labels_with_at_most_5_train_rows"] / data["n_labels"]
    ceiling, repeated = data["macro_f1_ceiling"], duplicates["equal_features"] / duplicates["rows"]
    return [
        yes_claim("Most labels have at most 5 training rows", rare > 0.5, f"{rare:.0%} of the labels"),
        yes_claim(
            "Some labels occur in no test row, so that macro-F1 cannot reach 1", ceiling < 1, f"{ceiling:.3f}"
        ),
        yes_claim(
            "More than one in a hundred test rows repeats a training row",
            repeated[duplicates["split"] == "test"].item() > 0.01,
            f"{repeated.iloc[-1]:.2%} of the test rows",
        ),
    ]


def finding(tables):
    """Answer the notebook's question from its tables; counts of one split have no interval."""
    data = tables["data"].iloc[0]
    rare = data["labels_with_at_most_5_train_rows"] / data["n_labels"]
    missing = int(data["labels_without_test_rows"])
    reason = f"{counted(missing, 'label')} {'occurs' if missing == 1 else 'occur'} in no test row"
    return (
        f"The {data['n_train']:,.0f} training rows carry {data['labels_per_row_train']:.1f} of "
        f"{data['n_labels']:,.0f} labels on average, and {percent(rare)} of the labels have at most 5 "
        "training rows. A perfect predictor would reach a macro-F1 of "
        f"{data['macro_f1_ceiling']:.3f} on the test rows, because "
        f"{reason if missing else 'every label occurs in a test row'}. These are counts of this split and no "
        "estimates, so they have no interval."
    )
