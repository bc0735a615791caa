"""Data sets: file formats, the registry with its downloads, the embedded corpus, a synthetic generator."""

from adathresh.datasets.formats import DatasetError, load_svmlight_multilabel, load_xc, save_xc
from adathresh.datasets.registry import Dataset, load_dataset, statistics

__all__ = [
    "Dataset",
    "DatasetError",
    "load_dataset",
    "load_svmlight_multilabel",
    "load_xc",
    "save_xc",
    "statistics",
]
