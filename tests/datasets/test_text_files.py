"""Texts with labels, and the folders that hold them."""

import json
import tracemalloc

import numpy as np
import pytest

from adathresh.datasets import load_dataset
from adathresh.datasets.checking import check
from adathresh.datasets.formats import DatasetError
from adathresh.datasets.text_files import load_jsonl, load_text_lines


def write_jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def label_sets(rows):
    """Return the labels of each row by name, or by number."""
    names = rows.label_names or range(rows.Y.shape[1])
    return [{names[j] for j in rows.Y[[i]].indices} for i in range(rows.Y.shape[0])]


def test_names_and_titles(tmp_path):
    path = write_jsonl(
        tmp_path / "a.jsonl",
        {"text": " one ", "labels": ["b", "a b", "ä"], "id": 1},
        {"text": "", "labels": [], "title": "t"},
        {"text": "two\nlines", "labels": ["b"]},
    )
    rows = load_jsonl(path)
    assert rows.texts == [" one ", "", "two\nlines"]
    assert rows.titles == ["", "t", ""]
    assert rows.label_names == ["a b", "b", "ä"]
    assert label_sets(rows) == [{"b", "a b", "ä"}, set(), {"b"}]
    assert rows.Y.dtype == np.float32
    assert rows.Y.has_sorted_indices


def test_numbers(tmp_path):
    rows = load_jsonl(
        write_jsonl(tmp_path / "a.jsonl", {"text": "x", "labels": [5, 0]}, {"text": "", "labels": []})
    )
    assert rows.label_names is None
    assert rows.Y.toarray().tolist() == [[1, 0, 0, 0, 0, 1], [0] * 6]


BAD = {
    "no object": ("[1]", "line 2: not a JSON object"),
    "no json": ('{"text": "a"', "line 2: not a JSON object"),
    "no text": ('{"labels": []}', "line 2: .* key 'text'"),
    "no labels": ('{"text": "a"}', "line 2: .* key 'labels'; a row without labels has an empty list"),
    "text": ('{"text": null, "labels": []}', "line 2: 'text' is not a string"),
    "title": ('{"text": "", "title": 1, "labels": []}', "line 2: 'title' is not a string"),
    "string": ('{"text": "a", "labels": "ab"}', "line 2: 'labels' is not a list"),
    "blank": ('{"text": "a", "labels": [" "]}', "line 2: .* is no label; give names, or numbers"),
    "true": ('{"text": "a", "labels": [true]}', "line 2: true is no label"),
    "float": ('{"text": "a", "labels": [1.0]}', "line 2: 1.0 is no label"),
    "negative": ('{"text": "a", "labels": [-1]}', "line 2: label -1 lies outside the range 0 to"),
    "huge": ('{"text": "a", "labels": [' + "9" * 4000 + "]}", "line 2: label 999.* lies outside"),
    "endless": ('{"text": "a", "labels": [' + "9" * 5000 + "]}", "line 2: not a JSON object"),
    "mixed": ('{"text": "a", "labels": ["a", 1]}', "line 2: some labels are names and others numbers"),
    "mixed rows": ('{"text": "a", "labels": [1]}', "line 2: some labels are names and others numbers"),
    "twice": ('{"text": "a", "labels": ["a", "b", "a"]}', "line 2: label 'a' is given more than once"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_named_and_left_empty(tmp_path, case):
    line, message = BAD[case]
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "first", "labels": ["x"]}\n' + line + '\n{"text": "last", "labels": ["y"]}\n')
    with pytest.raises(DatasetError, match=rf"bad\.jsonl, {message}"):
        load_jsonl(path)
    errors = []
    rows = load_jsonl(path, on_error=lambda error, row: errors.append(row))
    assert errors == [1]
    assert label_sets(rows) == [{"x"}, set(), {"y"}]
    assert rows.texts[::2] == ["first", "last"]


def test_a_number_may_not_ask_for_an_absurd_width(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", {"text": "a", "labels": [2_000_000_000]})
    with pytest.raises(DatasetError, match=r"a\.jsonl: its largest index asks for 2000000001 labels"):
        load_jsonl(path)


def test_text_lines(tmp_path):
    (tmp_path / "a.texts.txt").write_bytes(" one \r\n\nzwölf\u2028\xa0\n".encode())
    (tmp_path / "a.labels.txt").write_bytes("b  a\xa0c\t\r\n\nb".encode())
    rows = load_text_lines(tmp_path / "a.texts.txt", tmp_path / "a.labels.txt")
    assert rows.texts == [" one ", "", "zwölf\u2028\xa0"]
    assert label_sets(rows) == [{"b", "a\xa0c"}, set(), {"b"}]


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (b"a\n", b"x\ny\n", r"a\.labels\.txt has 2 rows, but .*a\.texts\.txt has 1; every line is a row"),
        (b"a\nb\n", b"x\ny x y\n", r"a\.labels\.txt, line 2: label 'y' is given more than once"),
        (b"a\n\xff\n", b"x\ny\n", r"a\.texts\.txt, line 2: not UTF-8 text; write"),
        (b"a\nb\n", b"\xff\ny\n", r"a\.labels\.txt, line 1: not UTF-8 text; write"),
    ],
)
def test_bad_text_lines(tmp_path, texts, labels, message):
    (tmp_path / "a.texts.txt").write_bytes(texts)
    (tmp_path / "a.labels.txt").write_bytes(labels)
    with pytest.raises(DatasetError, match=message):
        load_text_lines(tmp_path / "a.texts.txt", tmp_path / "a.labels.txt")


def test_a_long_row_of_repeated_labels_is_refused_in_linear_time(tmp_path):
    labels = [*map(str, range(200_000)), "199999"]
    path = write_jsonl(tmp_path / "a.jsonl", {"text": "", "labels": labels})
    with pytest.raises(DatasetError, match="label '199999' is given more than once"):
        load_jsonl(path)


@pytest.mark.slow
def test_memory_stays_of_the_order_of_the_file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text":"","labels":[]}\n' * 40_000)
    tracemalloc.start()
    load_jsonl(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * path.stat().st_size


# Folders


def load(folder):
    return load_dataset(folder.name, data_dir=folder.parent, progress=False)


ROWS = {
    "train": [("a cat sat", ["cat", "pet"]), ("the cat ran", ["cat"]), ("dogs ran", ["pet"]), ("sat", [])],
    "dev": [("a cat", ["cat"])],
    "test": [("zebras ran", ["zoo"]), ("cat", [])],
}


def write_texts(folder, ending):
    folder.mkdir()
    for split, rows in ROWS.items():
        if ending == "texts.txt":
            (folder / f"{split}.texts.txt").write_text("".join(f"{text}\n" for text, _ in rows))
            (folder / f"{split}.labels.txt").write_text(
                "".join(f"{' '.join(labels)}\n" for _, labels in rows)
            )
        else:
            key = "body" if ending == "full.jsonl" else "text"
            write_jsonl(
                folder / f"{split}.{ending}", *({key: text, "labels": labels} for text, labels in rows)
            )
    return folder


@pytest.mark.parametrize("ending", ["jsonl", "full.jsonl", "texts.txt"])
def test_a_folder_of_texts(tmp_path, ending):
    ds = load(write_texts(tmp_path / "toy", ending))
    assert ds.label_names == ["cat", "pet", "zoo"]  # one only a test row has
    assert ds.feature_names == ["cat", "ran", "sat"]  # words of two training texts
    assert ds.test.Y.toarray().tolist() == [[0, 0, 1], [0, 0, 0]]
    assert ds.train.Y.toarray().tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert ds.validation.texts == ["a cat"]
    np.testing.assert_allclose(ds.train.X.toarray()[0], [0.5**0.5, 0, 0.5**0.5], atol=1e-4)
    assert ds.label_knowledge.names == ("cat", "pet", "zoo")
    assert not list(check(tmp_path / "toy").problems)


def test_declared_names_set_the_order_and_refuse_others(tmp_path):
    folder = write_texts(tmp_path / "toy", "jsonl")
    (folder / "labels.txt").write_text("zoo\nnone\npet\ncat\n")
    ds = load(folder)
    assert ds.label_names == ["zoo", "none", "pet", "cat"]
    assert ds.test.Y.toarray().tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    (folder / "labels.txt").unlink()
    write_jsonl(
        folder / "labels.jsonl", {"name": "zoo"}, {"name": "cat"}, {"name": "pet", "alt_names": ["p"]}
    )
    assert load(folder).label_names == ["zoo", "cat", "pet"]
    (folder / "labels.txt").write_text("cat\nzooo\nsnake\n")
    with pytest.raises(DatasetError, match=r"train\.jsonl: label 'pet' is not among those of .*labels\.txt"):
        load(folder)
    problems = list(check(folder).problems)
    assert len(problems) == 2
    assert problems[1].endswith("add or correct it. Did you mean 'zooo'?")
    (folder / "labels.txt").write_text("cat\npet\ncat\n")
    with pytest.raises(DatasetError, match=r"labels\.txt names two labels 'cat'; remove one"):
        load(folder)


def test_numbered_labels_of_texts(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    for split, number in {"train": 1, "dev": 0, "test": 4}.items():
        write_jsonl(folder / f"{split}.jsonl", *[{"text": "one word", "labels": [number]}] * 2)
    ds = load(folder)
    assert ds.train.Y.shape == ds.test.Y.shape == (2, 5)
    assert ds.label_names[4] == "label_4"
    (folder / "labels.txt").write_text("".join(f"n{i}\n" for i in range(7)))
    assert load(folder).train.Y.shape == (2, 7)
    write_jsonl(folder / "test.jsonl", {"text": "one word", "labels": ["n4"]})
    with pytest.raises(DatasetError, match=r"test\.jsonl names its labels, but .*train\.jsonl numbers them"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("features.txt", "cat\n", r"features\.txt names features, but they are made of the texts; remove it"),
        ("train.jsonl", '{"text": "a b", "labels": []}\n', "no word occurs in two or more of the training"),
        ("train.svm", "0 1:1\n", r"test\.svm: the test split is missing"),
        ("test.full.jsonl", '{"labels": []}\n', r"train\.full\.jsonl: the train split is missing"),
    ],
)
def test_broken_folders_of_texts(tmp_path, name, text, message):
    folder = write_texts(tmp_path / "toy", "jsonl")
    (folder / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        load(folder)


def test_labels_of_text_lines_must_be_there(tmp_path):
    folder = write_texts(tmp_path / "toy", "texts.txt")
    (folder / "dev.labels.txt").unlink()
    with pytest.raises(DatasetError, match=r"dev\.labels\.txt: the labels of dev\.texts\.txt are missing"):
        load(folder)


def test_a_folder_of_libsvm_lines(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    for split, line in {"train": "0 1:1\n", "dev": "0 3:2\n", "test": "1,2 2:1\n"}.items():
        (folder / f"{split}.svm").write_text(line)
    ds = load(folder)
    assert ds.train.X.shape == ds.test.X.shape == (1, 3)
    assert ds.train.Y.shape == ds.test.Y.shape == (1, 3)
    (folder / "labels.txt").write_text("a\nb\nc\nd\n")
    (folder / "features.txt").write_text("a\nb\nc\nd\ne\n")
    (folder / "train.texts.txt").write_text("the text\n")
    ds = load(folder)
    assert (ds.test.X.shape, ds.test.Y.shape) == ((1, 5), (1, 4))
    assert ds.train.texts == ["the text"]
    (folder / "labels.txt").write_text("a\nb\n")
    with pytest.raises(DatasetError, match=r"labels\.txt names 2 labels, but the matrices have 3"):
        load(folder)
