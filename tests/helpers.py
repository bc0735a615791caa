"""What several tests build their data with, and read pages with."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from adathresh.datasets import Dataset, Split

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_FIELDS = {"X": "X", "Y": "Y", "text": "texts", "title": "titles", "groups": "groups"}

WORDS = ["red", "green", "blue", "cat", "dog", "cow", "sits", "runs", "sleeps", "the", "on", "in", "under"]


def make_texts(n_samples=60, seed=0):
    """Texts of five of :data:`WORDS`; the labels are the colours and animals in them."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, len(WORDS), size=(n_samples, 5))
    texts = np.array([" ".join(WORDS[word] for word in row) for row in words], dtype=object)
    return texts, np.stack([(words == label).any(axis=1) for label in range(6)], axis=1).astype(int)


def flat_dataset(**fields):
    """Make a Dataset from fields such as X_train, Y_dev and text_test."""
    fields = {"validation_source": "official", **fields}
    parts = {name: {} for name in _SPLITS.values()}
    for name in list(fields):
        field, _, split = name.partition("_")
        if field in _FIELDS and split in _SPLITS:
            parts[_SPLITS[split]][_FIELDS[field]] = fields.pop(name)
    return Dataset(**{name: Split(**part) for name, part in parts.items()}, **fields)


def replaced(ds, **fields):
    """Return the data set with some fields, such as X_train or fingerprint, replaced."""
    for name, value in fields.items():
        field, _, split = name.partition("_")
        if field in _FIELDS and split in _SPLITS:
            part = dataclasses.replace(getattr(ds, _SPLITS[split]), **{_FIELDS[field]: value})
            ds = dataclasses.replace(ds, **{_SPLITS[split]: part})
        else:
            ds = dataclasses.replace(ds, **{name: value})
    return ds


def examples(page):
    """Return the Python blocks of a page in Markdown, one after the other."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))


class HTMLTable(HTMLParser):
    """The caption, the lines of cells and the sides of one HTML table, as a browser reads them."""

    def __init__(self, page):
        super().__init__()
        self.caption, self.lines, self.sides, self.tags = "", [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.lines.append([])
            self.sides.append([])
        elif tag in ("td", "th"):
            self.lines[-1].append("")
            self.sides[-1].append(dict(attributes)["style"].removeprefix("text-align: "))

    def handle_data(self, data):
        if self.tags[-1] == "caption" and data.strip():
            self.caption = data
        elif self.tags[-1] in ("td", "th") and data.strip():
            self.lines[-1][-1] += data


def table_of(names, *rows):
    """Return a table of one seed, such as notebooks write."""
    return pd.DataFrame([dict(zip(names, row, strict=True)) | {"seed": 0} for row in rows])


def changed(tables, name, value, column="macro_f1", **where):
    """Return the tables with one value replaced, in the rows that have the given values."""
    table = tables[name].copy()
    keep = np.ones(len(table), dtype=bool)
    for key, wanted in where.items():
        keep &= table[key] == wanted
    assert keep.any()
    table.loc[keep, column] = value
    return {**tables, name: table}
