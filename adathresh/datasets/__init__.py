"""Data sets: file formats, the registry with its downloads, the embedded corpus, a synthetic generator."""

from adathresh.datasets.formats import DatasetError, load_svmlight_multilabel, load_xc, save_xc
from adathresh.datasets.registry import Dataset, Split, load_dataset, statistics
from adathresh.datasets.splits import group_split, iterative_split
from adathresh.datasets.synthetic import make_longtail, write_longtail

__all__ = [
    "Dataset",
    "DatasetError",
    "Split",
    "group_split",
    "iterative_split",
    "load_dataset",
    "load_svmlight_multilabel",
    "load_xc",
    "make_longtail",
    "save_xc",
    "statistics",
    "write_longtail",
]
