"""What several tests build their data with."""

import dataclasses

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
