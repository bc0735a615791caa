"""Bad input of data sets: tables, splits, made-up data and files."""

import math

import numpy as np
import scipy.sparse as sp

from adathresh import datasets
from adathresh.experiments.bad_input import function
from adathresh.experiments.bad_input import values as v

ARFF = "@relation a\n@attribute size numeric\n@attribute cat {0,1}\n@data\n"
MULAN = '<labels xmlns="http://mulan.sourceforge.net/labels"><label name="cat"/></labels>'
SIZES = {"n_samples": 12, "n_features": 4, "n_labels": 3, "labels_per_row": 1.0, "features_per_row": 2.0}
CALLBACK = {"a text": "stop"}


def calls(folder):
    """Return the calls of this room."""
    return [*_frame(), *_splits(), *_made_up(folder), *_registry(folder), *_lines(folder), *_others(folder)]


def _frame():
    """Return the calls of tables."""
    table = {"words": ["red cat", "old dog"], "size": [0.5, 2.0], "cat": [1, 0], "tags": [["cat"], None]}
    return function(
        datasets.from_frame,
        {"frame": table, "labels": ["cat"], "features": ["size"], "text": "words"},
        {
            "frame": {
                "no table": 5,
                "columns of different length": table | {"size": [0.5]},
                "texts that are none": table | {"words": ["red cat", None]},
                "NaN among features": table | {"size": [0.5, math.nan]},
                "labels other than 0 and 1": table | {"cat": [2, 0]},
            },
            "labels": {
                "no column": ["cats"],
                "of numbers": "size",
                "of texts": ["words"],
                "none": [],
                "a number": 5,
                "one twice": ["cat", "cat"],
            },
            "features": {
                "no column": ["sizes"],
                "of texts": ["tags"],
                "one twice": ["size", "size"],
                "a number": 5,
            },
            "text": {"no column": "word", "of numbers": "size", "a number": 5},
        },
    )


def _splits():
    """Return the calls of splits."""
    fractions = {
        "not with sum 1": (0.5, 0.4),
        "a negative one": (1.5, -0.5),
        "NaN": (0.5, math.nan),
        "a number": 0.5,
        "too many parts": [1 / 13] * 13,
    }
    groups = v.groups()
    too_few = groups.pop("a row too few")
    seed = v.SEED | {"a fraction": 0.5}
    return [
        *function(
            datasets.group_split,
            {"groups": v.ROWS, "fractions": (0.5, 0.5)},
            {"groups": groups | {"one": 0 * v.ROWS}, "fractions": fractions, "random_state": seed},
        ),
        *function(
            datasets.iterative_split,
            {"Y": v.Y, "fractions": (0.5, 0.5)},
            {
                "Y": v.labels(rows=False, width=False),
                "groups": groups | {"a row too few": too_few, "one": 0 * v.ROWS},
                "fractions": fractions,
                "random_state": seed,
            },
        ),
    ]


def _made_up(folder):
    """Return the calls of made-up data."""
    wrong = {
        "n_samples": {"negative": -1, "a fraction": 0.5, "a text": "12"},
        "n_features": v.whole(),
        "n_labels": v.whole(),
        "labels_per_row": {"less than 1": 0.5, "NaN": math.nan, "a text": "5"},
        "features_per_row": {"negative": -1.0, "NaN": math.nan, "a text": "70"},
        "exponent": {"negative": -1.0, "NaN": math.nan, "a text": "1"},
        "random_state": {"negative": -1, "a text": "0", "a fraction": 0.5},
    }
    return [
        *function(datasets.make_longtail, SIZES, wrong),
        *function(
            datasets.write_longtail, {"path": folder / "longtail.txt"} | SIZES, {"path": v.PATH} | wrong
        ),
    ]


def _registry(folder):
    """Return the calls of data sets by name, and of their statistics."""
    for split, n_samples in {"train": 20, "test": 5}.items():
        datasets.save_xc(
            folder / "toy" / f"{split}.txt", *datasets.make_longtail(**SIZES | {"n_samples": n_samples})
        )
    (folder / "damaged").mkdir()
    (folder / "damaged" / "train.txt").write_text("1 2 3\n")
    (folder / "damaged" / "test.txt").write_text("1 2 3\n")
    given = {"name": "toy", "data_dir": folder, "progress": False}
    return [
        *function(
            datasets.load_dataset,
            given,
            {
                "name": {"not there": "toys", "a path": "toy/train", "a number": 5, "damaged": "damaged"},
                "data_dir": v.PATH | {"not there": folder / "nowhere"},
                "validation_fraction": v.share() | {"1": 1.0},
                "random_state": v.SEED,
            },
        ),
        *function(datasets.statistics, {"ds": datasets.load_dataset(**given)}, {"ds": {"a name": "toy"}}),
    ]


def _file(folder, name, content):
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content.encode())
    return path


def _lines(folder):
    """Return the calls of files whose lines are rows of features and labels."""
    wrong = {"path": v.PATH | {"not there": folder / "none.txt", "empty": _file(folder, "empty.txt", "")}}
    lines = {
        "malformed": "1 2 3\n0 0=1\n",
        "without its last newline": "1 2 3\n0 0:1",
        "with fewer rows than promised": "2 2 3\n0 0:1\n",
        "with a label too many": "1 2 3\n7 0:1\n",
        "with NaN": "1 2 3\n0 0:nan\n",
    }
    of_xc = {words: _file(folder, f"xc {words}.txt", content) for words, content in lines.items()}
    of_svm = {
        words: _file(folder, f"svm {words}.svm", content.partition("\n")[2].replace("0:", "1:"))
        for words, content in lines.items()
        if words in ("malformed", "without its last newline", "with NaN")
    }
    saved = {"path": folder / "saved.txt", "X": v.X, "Y": v.Y}
    matrix = v.features() | {"three dimensions": v.X[None]}
    matrix.pop("no rows")
    return [
        *function(
            datasets.load_xc,
            {"path": _file(folder, "good.txt", "1 2 3\n0 0:1\n")},
            {"path": wrong["path"] | of_xc, "on_error": CALLBACK},
        ),
        *function(
            datasets.load_svmlight_multilabel,
            {"path": _file(folder, "good.svm", "0 1:1\n")},
            {
                "path": wrong["path"] | of_svm,
                "n_features": {"fewer than there are": 0, "a fraction": 1.5, "a text": "1"},
                "n_labels": {"fewer than there are": 0, "a fraction": 1.5, "a text": "1"},
                "on_error": CALLBACK,
            },
        ),
        *function(
            datasets.save_xc,
            saved,
            {
                "path": v.PATH | {"in a file": folder / "empty.txt" / "saved.txt"},
                "X": matrix,
                "Y": v.labels(width=False),
            },
        ),
    ]


def _others(folder):
    """Return the calls of the other formats."""
    arff = _file(folder, "good.arff", ARFF + "0.5,1\n")
    bad_arff = {
        "not there": folder / "none.arff",
        "without a header": _file(folder, "header.arff", "0.5,1\n"),
        "with a value missing": _file(folder, "missing.arff", ARFF + "?,1\n"),
        "with a value too many": _file(folder, "many.arff", ARFF + "0.5,1,1\n"),
    }
    jsonl = _file(folder, "good.jsonl", '{"text": "red cat", "labels": ["cat"]}\n')
    bad_jsonl = {
        "not there": folder / "none.jsonl",
        "no JSON": _file(folder, "plain.jsonl", "red cat\n"),
        "without a text": _file(folder, "text.jsonl", '{"labels": ["cat"]}\n'),
        "with a label twice": _file(folder, "twice.jsonl", '{"text": "a", "labels": ["cat", "cat"]}\n'),
    }
    texts, labels = (
        _file(folder, "texts.txt", "red cat\nold dog\n"),
        _file(folder, "labels.txt", "cat\ndog\n"),
    )
    longer = {
        "with a row too many": _file(folder, "longer.txt", "cat\ndog\ncow\n"),
        "not there": folder / "no.txt",
    }
    paths = {}
    for name, matrix in {
        "X": v.X,
        "Y": v.Y,
        "NaN": v.changed(v.X, (2, 1), np.nan),
        "short": v.X[1:],
        "2Y": 2 * v.Y,
        "Y short": v.Y[1:],
    }.items():
        paths[name] = folder / f"{name}.npz"
        sp.save_npz(paths[name], sp.csr_array(matrix))
    damaged = {"damaged": _file(folder, "damaged.npz", "PK"), "not there": folder / "none.npz"}
    return [
        *function(
            datasets.load_arff,
            {"path": arff, "labels": ["cat"]},
            {
                "path": v.PATH | bad_arff,
                "labels": {
                    "no attribute": ["cats"],
                    "none": [],
                    "a number": 5,
                    "repeated": ["cat", "cat"],
                    "a file that is no XML": jsonl,
                },
                "on_error": CALLBACK,
            },
        ),
        *function(
            datasets.load_jsonl,
            {"path": jsonl},
            {"path": v.PATH | bad_jsonl, "whole": v.FLAG, "labelled": v.FLAG, "on_error": CALLBACK},
        ),
        *function(
            datasets.load_text_lines,
            {"texts": texts, "labels": labels},
            {"texts": v.PATH | longer, "labels": v.PATH | longer, "on_error": CALLBACK},
        ),
        *function(
            datasets.load_npz,
            {"X": paths["X"], "Y": paths["Y"]},
            {
                "X": v.PATH | damaged | {"NaN": paths["NaN"], "a row too few": paths["short"]},
                "Y": v.PATH
                | damaged
                | {"a number other than 0 and 1": paths["2Y"], "a row too few": paths["Y short"]},
            },
        ),
    ]
