"""Data sets.

``load_dataset`` (registry.py) gives a ``Dataset`` of three ``Split`` (dataset.py). It reads a folder of files
(folders.py) in one of several formats (formats.py, arff.py, npz.py, text_files.py), which ``adathresh data
fetch`` can download (downloads.py) and ``adathresh data check`` examines (checking.py), or builds an embedded
corpus from installed packages (pyapi.py, texts.py). ``from_frame`` (frames.py) takes tables, ``statistics``
(summary.py) describes a data set in numbers, ``group_split`` and ``iterative_split`` (splits.py) divide rows,
``make_longtail`` (synthetic.py) makes data of any size.
"""

from adathresh.datasets.arff import load_arff
from adathresh.datasets.dataset import Dataset, LabelledRows, Split
from adathresh.datasets.formats import DatasetError, load_svmlight_multilabel, load_xc, save_xc
from adathresh.datasets.frames import from_frame
from adathresh.datasets.npz import load_npz
from adathresh.datasets.registry import load_dataset
from adathresh.datasets.splits import group_split, iterative_split
from adathresh.datasets.summary import statistics
from adathresh.datasets.synthetic import make_longtail, write_longtail
from adathresh.datasets.text_files import load_jsonl, load_text_lines

__all__ = [
    "Dataset",
    "DatasetError",
    "LabelledRows",
    "Split",
    "from_frame",
    "group_split",
    "iterative_split",
    "load_arff",
    "load_dataset",
    "load_jsonl",
    "load_npz",
    "load_svmlight_multilabel",
    "load_text_lines",
    "load_xc",
    "make_longtail",
    "save_xc",
    "statistics",
    "write_longtail",
]
