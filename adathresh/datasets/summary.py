"""A data set in numbers."""

from collections.abc import Mapping

import numpy as np

from adathresh.datasets.dataset import Dataset, Split
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.equality import digest, folded, row_contents


def statistics(ds: Dataset) -> dict[str, float]:
    """Describe a data set in numbers.

    Parameters
    ----------
    ds : Dataset
        The data set.

    Returns
    -------
    dict of str to int or float
        Sizes, labels and features a row, the long tail (labels by number of training rows), the ceiling of
        macro-F1 (share of labels with a test row: the others have F1 = 0 for any prediction), rows without
        labels or features, and rows whose features, or texts up to case and white space, occur in train as
        well. The validation split is called "dev", as in files and tables.

    Raises
    ------
    TypeError
        If ds is no Dataset.

    Examples
    --------
    >>> from adathresh.datasets import make_longtail
    >>> rows = Split(**dict(zip("XY", make_longtail(100, 90, 5), strict=True)))
    >>> names = {"label_names": list("abcde"), "feature_names": list(range(90)), "fingerprint": ""}
    >>> splits = {"train": rows, "validation": rows, "test": rows, "validation_source": "official"}
    >>> statistics(Dataset(name="toy", **splits, **names))["test_rows_seen_in_train"]
    100
    """
    if not isinstance(ds, Dataset):
        raise TypeError(f"ds must be a Dataset, as load_dataset returns it; got {ds!r}.")
    return describe(ds.splits)


def describe(splits: Mapping[str, Split]) -> dict[str, float]:
    """Describe splits in numbers; see :func:`statistics`.

    Parameters
    ----------
    splits : dict of str to Split
        Train, test and perhaps dev.

    Returns
    -------
    dict of str to int or float
        The numbers.

    Examples
    --------
    >>> from adathresh.datasets import make_longtail
    >>> rows = Split(**dict(zip("XY", make_longtail(100, 90, 5), strict=True)))
    >>> describe({"train": rows, "test": rows})["n_labels"]
    5
    """
    train = splits["train"]
    frequency = np.bincount(train.Y.indices, minlength=train.Y.shape[1])
    in_test = np.bincount(splits["test"].Y.indices, minlength=train.Y.shape[1]) > 0
    numbers: dict[str, float] = {f"n_{split}": rows.X.shape[0] for split, rows in splits.items()}
    numbers |= {
        "n_features": train.X.shape[1],
        "n_labels": train.Y.shape[1],
        "features_per_row": train.X.nnz / train.X.shape[0],
    }
    numbers |= {f"labels_per_row_{split}": rows.Y.nnz / rows.Y.shape[0] for split, rows in splits.items()}
    numbers |= {
        "rows_per_label": train.Y.nnz / train.Y.shape[1] if train.Y.shape[1] else 0.0,
        "median_rows_per_label": float(np.median(frequency)) if frequency.size else 0.0,
        "largest_label": int(frequency.max(initial=0)),
        "labels_without_train_rows": int((frequency == 0).sum()),
        "labels_with_1_to_5_train_rows": int(((frequency >= 1) & (frequency <= 5)).sum()),
        "labels_with_at_most_5_train_rows": int((frequency <= 5).sum()),
        "labels_without_test_rows": int((~in_test).sum()),
        "macro_f1_ceiling": float(in_test.mean()) if in_test.size else 0.0,
    }
    keys = {digest(content) for content in row_contents(train.X)}
    texts = {_text_digest(text) for text in train.texts or ()}
    for split, rows in splits.items():
        numbers[f"unlabelled_{split}"] = int((np.diff(rows.Y.indptr) == 0).sum())
        numbers[f"featureless_{split}"] = int((np.diff(rows.X.indptr) == 0).sum())
        if split != "train":
            seen = (digest(content) in keys for content in row_contents(rows.X))
            numbers[f"{split}_rows_seen_in_train"] = sum(seen)
            if texts and rows.texts:
                numbers[f"{split}_texts_seen_in_train"] = sum(
                    _text_digest(text) in texts for text in rows.texts
                )
    return numbers


def text_statistics(
    splits: Mapping[str, Split], label_knowledge: LabelKnowledge | None = None
) -> dict[str, float]:
    """Count titles of the rows, and names, synonyms and parents of the labels.

    Parameters
    ----------
    splits : dict of str to Split
        Some splits.
    label_knowledge : LabelKnowledge, optional
        What is known about the labels.

    Returns
    -------
    dict of str to int
        Titles of each split, labels with a name, synonyms of all labels, and labels with a parent; without
        what the data set does not have.

    Examples
    --------
    >>> from adathresh import LabelKnowledge
    >>> text_statistics({}, LabelKnowledge(["aid", ""], synonyms=[["help"], []]))
    {'labels_with_a_name': 1, 'synonyms_of_labels': 1, 'labels_with_parents': 0}
    """
    titles = {split: rows.titles for split, rows in splits.items() if rows.titles is not None}
    numbers: dict[str, float] = {f"titles_{split}": sum(map(bool, rows)) for split, rows in titles.items()}
    if label_knowledge is not None:
        numbers |= {
            "labels_with_a_name": sum(bool(name.strip()) for name in label_knowledge.names),
            "synonyms_of_labels": sum(map(len, label_knowledge.synonyms)),
            "labels_with_parents": sum(map(bool, label_knowledge.parents)),
        }
    return numbers


def _text_digest(text):
    """Return a number in place of a text up to case and white space: whole texts need not be kept twice."""
    return digest(folded(text).encode("utf-8", "surrogatepass"))
