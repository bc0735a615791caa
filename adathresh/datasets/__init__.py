"""Data sets: file formats, the registry with its downloads, the embedded corpus, a synthetic generator."""

from adathresh.datasets.formats import DatasetError, load_svmlight_multilabel, load_xc, save_xc

__all__ = ["DatasetError", "load_svmlight_multilabel", "load_xc", "save_xc"]
