"""What several tests build their data with, and read pages with."""

import dataclasses
import re
from html.parser import HTMLParser

from adathresh.datasets import Dataset, Split

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_FIELDS = {"X": "X", "Y": "Y", "text": "texts", "title": "titles", "groups": "groups"}


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
