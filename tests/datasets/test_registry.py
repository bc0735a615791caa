import argparse
import bz2
import functools
import gzip
import http.server
import json
import lzma
import re
import shutil
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh import LabelKnowledge
from adathresh.datasets import (
    DatasetError,
    downloads,
    folders,
    formats,
    load_dataset,
    make_longtail,
    save_xc,
    statistics,
)
from adathresh.datasets.checking import check
from adathresh.datasets.cli import add_data_parser
from adathresh.datasets.downloads import fetch
from adathresh.datasets.folders import available

DATA_PAGE = Path(__file__).parents[2] / "docs" / "data.md"
REAL = [
    "bibtex",
    "corel5k",
    "delicious",
    "emotions",
    "eurlex57k",
    "goemotions",
    "reuters21578",
    "scene",
    "yeast",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_sets_match_their_statistics(data_dir, name):
    if not (data_dir / name / "stats.json").exists():
        pytest.skip(f"{data_dir / name} has no stats.json")
    expected = json.loads((data_dir / name / "stats.json").read_text())
    found = check(name, data_dir, progress=False).facts
    pairs = {
        "n_train": "n_train",
        "n_test": "n_test",
        "d": "n_features",
        "L": "n_labels",
        "card_train": "labels_per_row_train",
        "card_test": "labels_per_row_test",
        "labels_le5": "labels_with_at_most_5_train_rows",
        "labels_0_train": "labels_without_train_rows",
        "labels_0_test": "labels_without_test_rows",
        "max_label": "largest_label",
        "median_label": "median_rows_per_label",
        "unlabelled_train": "unlabelled_train",
        "unlabelled_test": "unlabelled_test",
        "empty_feat_train": "featureless_train",
        "nnz_per_row": "features_per_row",
        "inst_per_label": "rows_per_label",
        "dup_rows_test_in_train": "test_rows_seen_in_train",
    }
    tolerance = {"card_train": 1e-4, "card_test": 1e-4, "nnz_per_row": 0.06, "inst_per_label": 0.01}
    for key, ours in pairs.items():
        assert found[ours] == pytest.approx(expected[key], abs=tolerance.get(key, 0)), key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reuters21578", "scene"])
def test_real_sets_get_a_validation_split(data_dir, name):
    ds = load_dataset(name, data_dir=data_dir, progress=False)
    again = load_dataset(name, data_dir=data_dir, progress=False)
    assert ds.validation_source == "drawn from train"
    assert ds.fingerprint == again.fingerprint
    expected = json.loads((data_dir / name / "stats.json").read_text())
    assert ds.train.X.shape[0] + ds.validation.X.shape[0] == expected["n_train"]
    assert ds.validation.X.shape[0] == pytest.approx(0.15 * expected["n_train"], abs=1)


@pytest.fixture
def folder(tmp_path):
    """A data folder with everything that one can hold."""
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    X, Y = make_longtail(100, 60, 8, labels_per_row=2, features_per_row=9)
    for split, rows in {"train": slice(60), "dev": slice(60, 80), "test": slice(80, 100)}.items():
        save_xc(folder / f"{split}.txt.gz", X[rows], Y[rows])
        numbers = range(100)[rows]
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as stream:
            stream.writelines(json.dumps({"uid": str(i), "text": f"text {i}"}) + "\n" for i in numbers)
        (folder / f"{split}.groups.txt").write_text("".join(f"file{i // 5}\n" for i in numbers))
    (folder / "labels.txt").write_text("".join(f"name {i}\n" for i in range(8)))
    (folder / "features.txt").write_text("".join(f"word{i}\n" for i in range(60)))
    return folder


def load(folder, **options):
    return load_dataset(folder.name, data_dir=folder.parent, progress=False, **options)


def test_a_full_folder(folder):
    ds = load(folder)
    X, Y = make_longtail(100, 60, 8, labels_per_row=2, features_per_row=9)
    for split, rows in {"train": slice(60), "dev": slice(60, 80), "test": slice(80, 100)}.items():
        assert (X[rows] != ds.splits[split].X).nnz == 0
        assert (Y[rows] != ds.splits[split].Y).nnz == 0
        assert ds.splits[split].texts == [f"text {i}" for i in range(100)[rows]]
        assert ds.splits[split].groups.tolist() == [f"file{i // 5}" for i in range(100)[rows]]
    assert ds.validation_source == "official"
    assert ds.label_names[7] == "name 7"
    assert ds.feature_names[59] == "word59"
    assert repr(ds).startswith(
        "Dataset('toy': 60 / 20 / 20 rows (validation official), 60 features, 8 labels, fingerprint "
    )
    with pytest.raises(AttributeError):
        ds.name = "other"


def test_a_bare_folder(folder):
    for path in folder.iterdir():
        if path.name not in ("train.txt.gz", "test.txt.gz"):
            path.unlink()
    ds = load(folder)
    assert ds.train.texts is ds.validation.texts is ds.train.groups is None
    assert ds.label_names == [f"label_{i}" for i in range(8)]
    assert ds.feature_names[0] == "feature_0"
    assert ds.validation.X.shape[0] == 9
    assert ds.train.X.shape[0] == 51


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".bz2", bz2.open), (".xz", lzma.open)])
def test_other_compressions_are_the_same_data(folder, suffix, opener):
    before = load(folder).fingerprint
    for path in list(folder.glob("*.gz")):
        with opener(path.with_suffix(suffix), "wb") as stream:
            stream.write(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert load(folder).fingerprint == before


def test_a_drawn_validation_split_keeps_groups_and_rows_together(folder):
    for path in folder.glob("dev.*"):
        path.unlink()
    ds = load(folder, validation_fraction=0.3)
    assert ds.validation_source == "drawn from train"
    assert not set(ds.train.groups) & set(ds.validation.groups)
    assert sorted(ds.train.texts + ds.validation.texts) == sorted(f"text {i}" for i in range(60))
    numbers = [int(text.split()[1]) for text in ds.validation.texts]
    X, _ = make_longtail(100, 60, 8, labels_per_row=2, features_per_row=9)
    assert (X[numbers] != ds.validation.X).nnz == 0
    assert ds.validation.groups.tolist() == [f"file{i // 5}" for i in numbers]
    assert load(folder, validation_fraction=0.3).fingerprint == ds.fingerprint
    assert load(folder, validation_fraction=0.3, random_state=1).fingerprint != ds.fingerprint


def test_every_content_enters_the_fingerprint(folder):
    seen = {load(folder).fingerprint}
    X, Y = (matrix.tolil() for matrix in make_longtail(100, 60, 8, labels_per_row=2, features_per_row=9))
    X[80, 0] += 0.5
    save_xc(folder / "test.txt.gz", X[80:], Y[80:])
    seen.add(load(folder).fingerprint)
    Y[80, 0] = 1 - Y[80, 0]
    save_xc(folder / "test.txt.gz", X[80:], Y[80:])
    seen.add(load(folder).fingerprint)
    (folder / "dev.jsonl.gz").unlink()
    seen.add(load(folder).fingerprint)
    assert len(seen) == 4


def test_statistics_by_hand(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    save_xc(folder / "train.txt", [[1, 0], [0, 0], [2, 2]], [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    save_xc(folder / "dev.txt", [[1, 1]], [[0, 0, 0, 1]])
    save_xc(folder / "test.txt", [[2, 2], [0, 3]], [[1, 0, 1, 0], [1, 0, 0, 0]])
    found = statistics(load(folder))
    assert found == check("tiny", tmp_path).facts
    assert found == {
        "n_train": 3,
        "n_dev": 1,
        "n_test": 2,
        "n_features": 2,
        "n_labels": 4,
        "features_per_row": 1.0,
        "labels_per_row_train": 1.0,
        "labels_per_row_dev": 1.0,
        "labels_per_row_test": 1.5,
        "rows_per_label": 0.75,
        "median_rows_per_label": 0.5,
        "largest_label": 2,
        "labels_without_train_rows": 2,
        "labels_with_1_to_5_train_rows": 2,
        "labels_with_at_most_5_train_rows": 4,
        "labels_without_test_rows": 2,
        "macro_f1_ceiling": 0.5,
        "unlabelled_train": 1,
        "featureless_train": 1,
        "unlabelled_dev": 0,
        "featureless_dev": 0,
        "dev_rows_seen_in_train": 0,
        "unlabelled_test": 0,
        "featureless_test": 0,
        "test_rows_seen_in_train": 1,
    }


def test_repeated_texts_are_counted(folder):
    with gzip.open(folder / "test.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"text": f"TEXT\n {i}"}) + "\n" for i in range(58, 78))
    assert statistics(load(folder))["test_texts_seen_in_train"] == 2


def drop(name):
    return lambda folder: (folder / name).unlink()


def put(name, text):
    return lambda folder: (folder / name).write_text(text)


def put_bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def put_gz(name, text):
    return lambda folder: (folder / name).write_bytes(gzip.compress(text.encode()))


def truncate(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-9])


BROKEN = {
    "no folder": (
        shutil.rmtree,
        r"toy: there is no such data folder\. For a new one, put .*--data-dir or ADATHRESH_DATA",
    ),
    "no train": (drop("train.txt.gz"), r"toy/train\.txt\.gz: the train split is missing; put it there"),
    "no test": (drop("test.txt.gz"), r"toy/test\.txt\.gz: the test split is missing; put it there"),
    "two trains": (put("train.txt", "0 1 1\n"), r"both train\.txt\.gz and train\.txt exist; remove one"),
    "truncated matrix": (truncate("dev.txt.gz"), r"dev\.txt\.gz: the compressed file is truncated"),
    "truncated text": (truncate("dev.jsonl.gz"), r"dev\.jsonl\.gz: the compressed file is truncated"),
    "widths": (
        put_gz("test.txt.gz", "20 60 9\n" + "0 1:1\n" * 20),
        r"test\.txt\.gz has 60 features and 9 labels, but .*train",
    ),
    "short text": (
        put_gz("dev.jsonl.gz", '{"text": "a"}\n'),
        r"dev\.jsonl\.gz has 1 rows, but .*dev\.txt\.gz has 20",
    ),
    "no json": (
        put_gz("dev.jsonl.gz", '{"text": "a"}\n{"text"'),
        r"dev\.jsonl\.gz, line 2: not a JSON object",
    ),
    "blank line": (
        put_gz("dev.jsonl.gz", '{"text": "a"}\n\n'),
        r"dev\.jsonl\.gz, line 2: not a JSON object\. The line is blank; take it out\.",
    ),
    "no key": (
        put_gz("dev.jsonl.gz", '{"txt": "a"}\n'),
        r"dev\.jsonl\.gz, line 1: not a JSON object with the key",
    ),
    "deeply nested": (
        put_gz("dev.jsonl.gz", "[" * 100_000 + "\n"),
        r"dev\.jsonl\.gz, line 1: not a JSON object",
    ),
    "no string": (put_gz("dev.jsonl.gz", '{"text": 3}\n'), r"dev\.jsonl\.gz, line 1: 'text' is not a string"),
    "short groups": (put("dev.groups.txt", "a\n"), r"dev\.groups\.txt has 1 rows, but .*dev\.txt\.gz has 20"),
    "no text": (
        lambda folder: (folder / "labels.txt").write_bytes(b"a\n\xff\n"),
        r"labels\.txt, line 2: not UTF-8",
    ),
    "labels": (put("labels.txt", "a\nb\n"), r"labels\.txt names 2 labels, but the matrices have 8"),
    "empty labels": (put("labels.txt", ""), r"labels\.txt names 0 labels, but the matrices have 8"),
    "empty features": (put("features.txt", ""), r"features\.txt names 0 features, but the matrices have 60"),
    "features": (put("features.txt", "a\n"), r"features\.txt names 1 features, but the matrices have 60"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_folders(folder, case):
    damage, message = BROKEN[case]
    damage(folder)
    with pytest.raises(DatasetError, match=message):
        load(folder)


@pytest.mark.parametrize(("kind", "width"), [("label", 8), ("feature", 60)])
def test_columns_without_end_get_no_invented_names(folder, kind, width, monkeypatch):
    (folder / f"{kind}s.txt").unlink()
    monkeypatch.setattr(folders, "MOST_INVENTED", width)
    ds = load(folder)
    assert getattr(ds, f"{kind}_names") == [f"{kind}_{i}" for i in range(width)]
    monkeypatch.setattr(folders, "MOST_INVENTED", width - 1)
    with pytest.raises(DatasetError, match=rf"{kind}s\.txt is missing, and {width} {kind}s are more"):
        load(folder)


@pytest.mark.parametrize("suffix", folders.SUFFIXES)
def test_a_line_without_end_is_refused_before_it_is_read(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"lines.txt{suffix}"
    small = functools.partial(lzma.compress, preset=0)  # others ask for a dictionary of megabytes
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": small, "": bytes}[suffix]
    path.write_bytes(pack(b"one\n" + b"x" * 99 + b"\nlast"))
    monkeypatch.setattr(formats, "LINE_BYTES", 100)  # with the newline
    assert list(formats.iter_lines(path)) == [b"one\n", b"x" * 99 + b"\n", b"last"]
    monkeypatch.setattr(formats, "LINE_BYTES", 99)
    with pytest.raises(DatasetError, match=rf"lines\.txt{suffix}, line 2: the line is longer than 99 bytes"):
        list(formats.iter_lines(path))
    path.write_bytes(pack(b"x" * 10_000_000))
    tracemalloc.start()
    with pytest.raises(DatasetError, match="line 1: the line is longer than 99 bytes"):
        list(formats.iter_lines(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_empty_split(folder):
    for name in ("test.jsonl.gz", "test.groups.txt"):
        (folder / name).unlink()
    put_gz("test.txt.gz", "0 60 8\n")(folder)
    with pytest.raises(DatasetError, match=r"test\.txt\.gz: the split has no rows"):
        load(folder)


def test_no_validation_split_can_be_drawn_from_one_group(folder):
    for path in folder.glob("dev.*"):
        path.unlink()
    put("train.groups.txt", "same\n" * 60)(folder)
    with pytest.raises(DatasetError, match="no validation split can be drawn"):
        load(folder)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp"])
def test_a_path_is_not_a_name(tmp_path, name):
    with pytest.raises(DatasetError, match="is not the name of a data set"):
        load_dataset(name, data_dir=tmp_path)


def test_validation_fraction_is_checked(folder):
    with pytest.raises(ValueError, match="validation_fraction"):
        load(folder, validation_fraction=1.0)


def test_missing_known_set_says_how_to_fetch(tmp_path):
    with pytest.raises(DatasetError, match="adathresh data fetch rcv1"):
        load_dataset("rcv1", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("toi", "Did you mean 'toy'"),
        ("Toy", "Did you mean 'toy'"),
        ("eurlex57", "Did you mean 'eurlex57k'"),
        ("pyapi_large", "Did you mean 'pyapi-large' or 'pyapi'"),
        ("quite-another-thing", None),
    ],
)
def test_misspelt_names_get_a_suggestion(folder, capsys, name, suggestion):
    with pytest.raises(DatasetError, match="there is no such data folder") as error:
        load_dataset(name, data_dir=folder.parent)
    assert run("check", name, "--data-dir", folder.parent) == 2
    for message in (str(error.value), capsys.readouterr().err):
        assert ("Did you mean" in message) == bool(suggestion)
        assert (suggestion or "") in message


@pytest.mark.parametrize(
    ("name", "meant"), [("wiki10", "wiki10-31k"), ("pyapii", "pyapi"), ("goemotion", "goemotions")]
)
def test_misspelt_names_get_a_suggestion_from_what_is_known(tmp_path, capsys, name, meant):
    with pytest.raises(DatasetError, match=rf"'{name}' cannot be fetched\. Did you mean '{meant}'"):
        fetch(name, tmp_path)
    assert run("fetch", name, "--data-dir", tmp_path) == 2
    assert f"Did you mean '{meant}'" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(downloads.ELSEWHERE))
def test_of_a_set_that_cannot_be_fetched_the_source_is_named(tmp_path, name):
    address = downloads.ELSEWHERE[name].split()[0]
    with pytest.raises(DatasetError, match=f"It comes from {address}.*data check {name}"):
        fetch(name, tmp_path)
    with pytest.raises(DatasetError, match=f"Put its files there, which come from {address}"):
        load_dataset(name, data_dir=tmp_path)
    (line,) = re.findall(
        rf"^\| [^|]*\b{name}\b[^|]*\|.*", DATA_PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert f"({address})" in line


def test_every_set_behind_the_results_can_be_fetched_or_is_named():
    assert not set(REAL) - set(downloads.SOURCES) - set(downloads.ELSEWHERE)


def test_the_embedded_corpora_need_no_fetching(tmp_path):
    with pytest.raises(DatasetError, match="'pyapi' needs no fetching"):
        fetch("pyapi", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_cached_corpora_are_no_data_sets_of_their_own(folder):
    shutil.copytree(folder, folder.parent / "pyapi-0123456789ab")
    (folder.parent / "pyapi-0123456789ab" / "corpus.json").write_text("{}")
    shutil.copytree(folder, folder.parent / "pyapi-mine")
    assert available(folder.parent) == ["pyapi-mine", "toy"]


# Downloads, from a server on this machine.


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that stands for the publisher; the folder that it serves."""
    served = tmp_path / "served"
    served.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setattr(downloads, "BASE_URL", f"http://127.0.0.1:{running.server_port}/")
        yield served
        running.shutdown()


def serve(served, name, text):
    (served / name).write_bytes(bz2.compress(text.encode()))


@pytest.mark.slow
def test_fetch_features(server, tmp_path):
    serve(server, "yeast_train.svm.bz2", "0,2 1:0.5 3:1\n1 2:1\n0 1:3\n 3:2\n" * 5)
    serve(server, "yeast_test.svm.bz2", "3 4:1\n")
    folder = fetch("yeast", tmp_path / "data", progress=False)
    ds = load_dataset("yeast", data_dir=tmp_path / "data")
    assert ds.train.X.shape[1] == ds.test.X.shape[1] == 4
    assert ds.test.Y.toarray().tolist() == [[0, 0, 0, 1]]
    assert "Genes" in ds.description
    record = json.loads((folder / "source.json").read_text())
    assert record["yeast_test.svm.bz2"]["url"].endswith("/yeast_test.svm.bz2")
    assert len(record["yeast_test.svm.bz2"]["sha256"]) == 64
    assert available(tmp_path / "data") == ["yeast"]


@pytest.mark.slow
def test_fetch_again_verifies(server, tmp_path):
    serve(server, "yeast_train.svm.bz2", "0 1:1\n1 2:1\n")
    serve(server, "yeast_test.svm.bz2", "0 1:1\n")
    folder = fetch("yeast", tmp_path / "data", progress=False)
    before = (folder / "source.json").read_bytes()
    assert fetch("yeast", tmp_path / "data", progress=False) == folder
    assert (folder / "source.json").read_bytes() == before
    # Damaged here: fetched anew. Replaced there as well: refused.
    damaged = folder / "downloads" / "yeast_test.svm.bz2"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"damaged")
    fetch("yeast", tmp_path / "data", progress=False)
    assert damaged.read_bytes() == whole
    damaged.write_bytes(b"damaged")
    serve(server, "yeast_test.svm.bz2", "0 1:2\n")
    with pytest.raises(DatasetError, match="is not the file whose checksum"):
        fetch("yeast", tmp_path / "data", progress=False)


@pytest.mark.slow
def test_fetch_draws_a_test_split_where_there_is_none(server, tmp_path):
    serve(server, "bibtex.bz2", "".join(f"{i % 7} {i + 1}:1\n" for i in range(90)))
    fetch("bibtex", tmp_path, progress=False)
    ds = load_dataset("bibtex", data_dir=tmp_path)
    assert ds.test.X.shape[0] == 30
    rows = sp.vstack([ds.train.X, ds.validation.X, ds.test.X])
    assert sorted(rows.indices) == list(range(90))


@pytest.mark.slow
def test_fetch_texts(server, tmp_path):
    for part, count in {"train": 20, "valid": 5, "test": 5}.items():
        lines = (f"{part}{i}\t{'b a' if i % 2 else 'c'}\tcommon words here {i}\n" for i in range(count))
        serve(server, f"eurlex57k_raw_texts_{part}.txt.bz2", "".join(lines))
    fetch("eurlex57k", tmp_path, progress=False)
    ds = load_dataset("eurlex57k", data_dir=tmp_path)
    assert ds.label_names == ["a", "b", "c"]
    assert ds.feature_names == ["common", "here", "words"]
    assert ds.validation.texts[0] == "common words here 0"
    assert ds.validation.Y.toarray()[:2].tolist() == [[0, 0, 1], [1, 1, 0]]
    np.testing.assert_allclose(ds.test.X.toarray(), 3**-0.5, atol=1e-4)
    assert ds.validation_source == "official"


@pytest.mark.slow
def test_fetch_names_what_cannot_be_downloaded(server, tmp_path):
    with pytest.raises(DatasetError, match=r"yeast_train\.svm\.bz2 cannot be downloaded .*by hand"):
        fetch("yeast", tmp_path, progress=False)
    assert not list((tmp_path / "yeast" / "downloads").iterdir())
    with pytest.raises(
        DatasetError,
        match=r"'unknown' cannot be fetched\. Data sets with an official address are amazoncat-13k, ",
    ):
        fetch("unknown", tmp_path)


def test_fetch_leaves_a_folder_from_elsewhere_alone(folder, monkeypatch):
    monkeypatch.setitem(downloads.SOURCES, "toy", downloads.SOURCES["yeast"])
    before = sorted(folder.iterdir())
    assert fetch("toy", folder.parent) == folder
    assert sorted(folder.iterdir()) == before


# The command.


def run(*words):
    parser = argparse.ArgumentParser()
    add_data_parser(parser.add_subparsers())
    args = parser.parse_args(["data", *map(str, words)])
    return args.run(args)


def test_command_list(folder, capsys):
    assert run("list", "--data-dir", folder.parent) == 0
    lines = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines["toy"] == "here"
    assert lines["amazoncat-13k"] == "fetch"
    assert lines["pyapi"] == lines["pyapi-large"] == "built"
    assert run("list", "--data-dir", folder / "nowhere") == 0


def test_command_info_and_check(folder, capsys):
    assert run("info", "toy", "--data-dir", folder.parent) == 0
    assert load(folder).fingerprint in capsys.readouterr().out
    assert run("check", "toy", "--data-dir", folder.parent) == 0
    out = capsys.readouterr().out
    assert "n_labels                          8\n" in out
    assert out.endswith("toy: no errors\n")


@pytest.mark.slow
def test_command_fetch(server, tmp_path, capsys):
    serve(server, "yeast_train.svm.bz2", "0 1:1\n1 2:1\n")
    serve(server, "yeast_test.svm.bz2", "0 1:1\n")
    assert run("fetch", "yeast", "--data-dir", tmp_path) == 0
    assert str(tmp_path / "yeast") in capsys.readouterr().out


@pytest.mark.parametrize("command", ["info", "check", "fetch"])
def test_command_errors_are_one_line(tmp_path, capsys, command):
    assert run(command, "nothing", "--data-dir", tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("adathresh data: error: ")
    assert captured.err.count("\n") == 1
    assert "nothing" in captured.err
    assert not captured.out


# Titles, whole texts and what is known about labels


def write_json_lines(path, rows):
    with gzip.open(path, "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


LABELS = [
    {"label": 0, "name": "aid", "alt_names": ["help", "support"], "id": "x"},
    {"name": "state aid", "parents": ["aid"], "parent_labels": [0]},
    {"name": "tax", "parents": ["no label"], "parent_labels": []},
    *({"name": name} for name in ["levy", "", "tax", "vat", "duty"]),
]


def whole_row(number):
    return {
        "uid": f"u{number}",
        "body": ["first part", "", f"second {number}"],
        "type": "Decision",
        "title": f"title {number}" if number % 3 else "",
        "annex": "the end",
        "labels": [1, 2],
    }


def add_whole_texts(folder):
    for split, rows in {"train": range(60), "dev": range(60, 80), "test": range(80, 100)}.items():
        write_json_lines(folder / f"{split}.full.jsonl.gz", map(whole_row, rows))


def test_names_and_no_titles_where_there_are_only_texts(folder):
    ds = load(folder)
    assert ds.train.titles is ds.test.titles is None
    assert ds.label_knowledge == LabelKnowledge([f"name {i}" for i in range(8)])


def test_whole_texts_take_the_place_of_short_ones(folder):
    short = load(folder)
    add_whole_texts(folder)
    ds = load(folder)
    assert ds.test.titles[:3] == ["title 80", "", "title 82"]
    assert ds.test.texts[0] == "title 80\nfirst part\nsecond 80\nthe end"
    assert ds.test.texts[1] == "first part\nsecond 81\nthe end"
    assert ds.train.texts[59] == "title 59\nfirst part\nsecond 59\nthe end"
    assert ds.fingerprint != short.fingerprint


def test_whole_texts_need_no_short_ones(folder):
    for path in folder.glob("*.jsonl.gz"):
        path.unlink()
    add_whole_texts(folder)
    assert load(folder).train.texts[1].startswith("title 1\nfirst part")


def test_titles_of_short_texts(folder):
    write_json_lines(
        folder / "dev.jsonl.gz", [{"text": f"a title: {i}", "title": "a title"} for i in range(20)]
    )
    write_json_lines(folder / "test.jsonl.gz", [{"text": "b"}, {"text": "c", "title": "d"}] * 10)
    ds = load(folder)
    assert ds.validation.titles == ["a title"] * 20
    assert ds.validation.texts[3] == "a title: 3"
    assert ds.test.titles == ["", "d"] * 10
    assert ds.train.titles is None


def test_a_drawn_validation_split_keeps_titles_and_texts_together(folder):
    for path in folder.glob("dev.*"):
        path.unlink()
    write_json_lines(folder / "train.jsonl.gz", [{"text": f"{i} text", "title": f"{i}"} for i in range(60)])
    ds = load(folder, validation_fraction=0.3)
    assert len(ds.validation.titles) == ds.validation.X.shape[0]
    for rows in (ds.train, ds.validation):
        assert rows.texts == [f"{title} text" for title in rows.titles]


def test_label_knowledge_of_a_folder(folder):
    write_json_lines(folder / "labels.jsonl.gz", LABELS)
    ds = load(folder)
    assert ds.label_knowledge == LabelKnowledge(
        ["aid", "state aid", "tax", "levy", "", "tax", "vat", "duty"],
        synonyms={"aid": ["help", "support"]},
        parents={"state aid": ["aid"]},
        allow_repeated_names=True,
    )
    assert ds.label_names[7] == "name 7"
    (folder / "labels.txt").unlink()
    assert load(folder).label_names == ["aid", "state aid", "tax", "levy", "label_4", "tax", "vat", "duty"]


def test_parents_by_name(folder):
    rows = [{"name": f"n{i}", "parents": ["n7"] if i < 2 else []} for i in range(8)]
    write_json_lines(folder / "labels.jsonl.gz", rows)
    assert load(folder).label_knowledge.parents == ((7,), (7,), (), (), (), (), (), ())


def test_label_knowledge_of_rows_that_are_no_texts(folder):
    for path in folder.glob("*.jsonl.gz"):
        path.unlink()
    assert load(folder).label_knowledge is None
    write_json_lines(folder / "labels.jsonl.gz", LABELS)
    assert load(folder).label_knowledge.names[0] == "aid"


def test_numbers_and_invented_names_say_nothing(folder):
    (folder / "labels.txt").write_text("100\n2.1\n" + "aid 7\n" * 6)
    assert load(folder).label_knowledge.names == ("", "", *["aid 7"] * 6)
    (folder / "labels.txt").write_text("".join(f"{i}\n" for i in range(8)))
    assert load(folder).label_knowledge is None
    (folder / "labels.txt").unlink()
    assert load(folder).label_knowledge is None


def put_labels(*rows):
    return lambda folder: write_json_lines(folder / "labels.jsonl.gz", rows)


def put_whole(*rows):
    def damage(folder):
        add_whole_texts(folder)
        write_json_lines(folder / "dev.full.jsonl.gz", rows)

    return damage


def whole_texts_of_train_only(folder):
    add_whole_texts(folder)
    for split in ("dev", "test"):
        (folder / f"{split}.full.jsonl.gz").unlink()


BROKEN_KNOWLEDGE = {
    "few labels": (put_labels(*LABELS[:3]), r"labels\.jsonl\.gz describes 3 labels, but the matrices have 8"),
    "no name": (
        put_labels({"name": "a"}, {"nam": "b"}),
        r"labels\.jsonl\.gz, line 2: not a JSON .* text 'name'",
    ),
    "null name": (put_labels({"name": None}), r"labels\.jsonl\.gz, line 1: not a JSON object with the text"),
    "list": (put_labels(["a"]), r"labels\.jsonl\.gz, line 1: not a JSON object\."),
    "order": (put_labels({"label": 1, "name": "a"}), r"line 1: says label 1, but labels are numbered from 0"),
    "synonyms": (
        put_labels({"name": "a", "alt_names": "b"}, *LABELS[1:]),
        r"labels\.jsonl\.gz: synonyms of label 0 \('a'\) must be a list; got 'b'",
    ),
    "parent": (
        put_labels({"name": "a", "parents": ["taxx"]}, *LABELS[1:]),
        r"labels\.jsonl\.gz: parents of label 0 .*no label is named 'taxx'\. Did you mean 'tax'",
    ),
    "whole and short": (
        whole_texts_of_train_only,
        r"toy: train\.full\.jsonl\.gz is there, but dev\.full\.jsonl\.gz is not, .*; add it, or remove",
    ),
    "short whole text": (
        put_whole({"title": "a"}),
        r"dev\.full\.jsonl\.gz has 1 rows, but .*dev\.txt\.gz has 20",
    ),
    "title": (put_whole({"title": 3}), r"dev\.full\.jsonl\.gz, line 1: 'title' is not a string"),
    "part": (
        put_whole({"title": "a"}, {"body": ["a", 3]}),
        r"dev\.full\.jsonl\.gz, line 2: 'body' is neither a string nor a list of strings",
    ),
    "year": (put_whole({"year": 1999}), r"line 1: 'year' is neither a string nor a list of strings"),
    "two": (
        lambda folder: (put_labels(*LABELS)(folder), put("labels.jsonl", "")(folder)),
        r"both labels\.jsonl\.gz and labels\.jsonl exist; remove one",
    ),
}


@pytest.mark.parametrize("case", BROKEN_KNOWLEDGE)
def test_broken_knowledge(folder, case):
    damage, message = BROKEN_KNOWLEDGE[case]
    damage(folder)
    with pytest.raises(DatasetError, match=message):
        load(folder)


def test_commands_mention_titles_and_label_knowledge(folder, capsys):
    words = ("titles_", "labels_with_a_name", "synonyms_of_labels", "labels_with_parents")
    for path in (*folder.glob("*.jsonl.gz"), folder / "labels.txt"):
        path.unlink()
    for command in ("info", "check"):
        assert run(command, "toy", "--data-dir", folder.parent) == 0
        out = capsys.readouterr().out
        assert not any(word in out for word in words)
    add_whole_texts(folder)
    write_json_lines(folder / "labels.jsonl.gz", LABELS)
    for command in ("info", "check"):
        assert run(command, "toy", "--data-dir", folder.parent) == 0
        facts = dict(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(words))
        assert facts == {
            "titles_train": "40",
            "titles_dev": "13",
            "titles_test": "13",
            "labels_with_a_name": "7",
            "synonyms_of_labels": "2",
            "labels_with_parents": "1",
        }


@pytest.mark.slow
def test_whole_texts_and_label_knowledge_of_a_real_set(data_dir):
    if not (data_dir / "eurlex57k" / "labels.jsonl.gz").exists():
        pytest.skip("eurlex57k has no labels.jsonl.gz here")
    ds = load_dataset("eurlex57k", data_dir=data_dir, progress=False)
    with gzip.open(data_dir / "eurlex57k" / "labels.jsonl.gz", "rt") as stream:
        labels = [json.loads(line) for line in stream]
    assert list(ds.label_knowledge.names) == [label["name"] for label in labels]
    assert [list(own) for own in ds.label_knowledge.parents] == [label["parent_labels"] for label in labels]
    assert all(text.startswith(title) for text, title in zip(ds.test.texts, ds.test.titles, strict=True))
    assert max(map(len, ds.test.texts)) > 4_000
