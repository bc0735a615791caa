"""The check of files and folders: all that is wrong at once, and what could be read."""

import gzip
import json

import pytest

from adathresh.__main__ import main
from adathresh.datasets import checking
from adathresh.datasets.checking import check
from adathresh.datasets.formats import DatasetError


@pytest.fixture
def folder(tmp_path):
    """A data set with something wrong in each of its files."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "train.txt").write_text("4 3 2\n0 0:1 1:2\n5 0:1\n 2:1\n1 9:1\n")
    with gzip.open(folder / "test.txt.gz", "wt") as stream:
        stream.write("3 3 2\n0 0:1\n1 1:x\n")
    (folder / "train.jsonl").write_text('{"text": "a"}\n{"text": 1}\n{"text": "b"}\n')
    (folder / "test.groups.txt").write_bytes(b"a\n\xff\n")
    (folder / "labels.txt").write_text("one\n")
    return folder


def test_everything_wrong_with_a_folder_is_told_at_once(folder):
    report = check(folder, progress=False)
    assert [problem.removeprefix(f"{folder}/") for problem in report.problems] == [
        "train.txt, line 3: label 5 lies outside the range 0 to 1; correct it, or the number of labels.",
        "train.txt, line 5: feature 9 lies outside the range 0 to 2; correct it, or the number of features.",
        "train.jsonl, line 2: 'text' is not a string.",
        f"train.jsonl has 3 rows, but {folder}/train.txt has 4.",
        "test.txt.gz, line 3: '1:x' has a malformed value; write a number, such as 0.5 or 2e-3.",
        "test.txt.gz, line 1: the header promises 3 rows, the file ends after 2; fetch or copy it again, or "
        "correct the header if the file is whole.",
        "test.groups.txt, line 2: not UTF-8 text; write the file in UTF-8.",
        "labels.txt names 1 labels, but the matrices have 2.",
    ]
    assert report.facts == {
        "n_train": 4,
        "faulty_train": 2,
        "n_features_train": 3,
        "features_per_row_train": 1.5,
        "featureless_train": 0,
        "n_labels_train": 2,
        "labels_per_row_train": 0.5,
        "unlabelled_train": 1,
        "n_test": 2,
        "faulty_test": 1,
        "n_features_test": 3,
        "features_per_row_test": 1,
        "featureless_test": 0,
        "n_labels_test": 2,
        "labels_per_row_test": 1,
        "unlabelled_test": 0,
    }


def test_a_missing_or_broken_split_does_not_hide_the_others(folder):
    (folder / "train.txt").write_bytes(b"4 3 2\n0 0:1")
    (folder / "dev.txt").write_text("1 3 2\n7 0:1\n")
    (folder / "test.txt.gz").unlink()
    report = check(folder, progress=False)
    problems = list(report.problems)
    assert len(problems) == report.problems.count == 4
    for problem, said in zip(
        problems,
        (
            "test.txt.gz: the test split is missing",
            "train.txt, line 2: the last line does not",
            "dev.txt, line 2",
            "labels.txt names 1",
        ),
        strict=True,
    ):
        assert said in problem
    assert report.facts["faulty_dev"] == report.facts["n_dev"] == 1
    assert "n_train" not in report.facts


def test_a_folder_in_two_formats_or_without_data(folder):
    (folder / "dev.svm").write_text("0 1:1\n")
    assert "both train.txt and dev.svm exist, in different formats" in next(iter(check(folder).problems))
    (folder / "empty").mkdir()
    assert check(folder / "empty").problems.count == 2
    assert check(folder / "empty").facts == {}


def test_errors_of_a_kind_are_counted_beyond_twenty(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("100 3 2\n" + "".join(f"0 {i + 3}:1\n" for i in range(50)) + "5 0:1\n" * 30 + "x\n" * 20)
    report = check(path)
    told = list(report.problems)
    assert report.problems.count == 100
    assert len(told) == 20 + 1 + 20 + 1 + 20
    assert told[19].endswith(
        "line 21: feature 22 lies outside the range 0 to 2; correct it, or the number of features."
    )
    assert told[20] == "and 30 more of this kind"
    assert told[41] == "and 10 more of this kind"
    assert report.facts["faulty"] == 100


def test_kinds_without_end_are_bounded(monkeypatch):
    monkeypatch.setattr(checking, "MOST_KINDS", 3)
    problems = checking.Problems()
    for i in range(200):
        problems(DatasetError(f"file, line {i}: {'x' * (i % 50)} is wrong."))
    told = list(problems)
    assert problems.count == 200
    assert len(told) == 3 * 4 + 20 + 1
    assert told[-1] == "and 168 more of other kinds"


@pytest.mark.parametrize(
    ("name", "text", "facts"),
    [
        (
            "a.txt",
            "2 3 2\n0,1 0:1\n \n",
            {"n_rows": 2, "n_features": 3, "labels_per_row": 1, "unlabelled": 1, "featureless": 1},
        ),
        ("a.svm", "0 1:1\n1 2:1 3:1\n", {"n_rows": 2, "n_features": 3, "features_per_row": 1.5}),
        (
            "a.jsonl",
            '{"text": "a", "labels": ["x", "y"]}\n',
            {"n_rows": 1, "n_labels": 2, "labels_per_row": 2},
        ),
        ("a.full.jsonl", '{"body": ["a"], "labels": []}\n', {"n_rows": 1, "unlabelled": 1}),
        ("labels.jsonl", '{"name": "x"}\n', {"n_labels": 1}),
        ("labels.txt", "x\ny\n", {"n_lines": 2}),
        ("train.groups.txt", "x\n", {"n_lines": 1}),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_of_each_kind(tmp_path, name, text, facts, suffix):
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix else text.encode())
    report = check(path)
    assert not list(report.problems)
    assert facts.items() <= report.facts.items()
    path.write_bytes(path.read_bytes()[:-9] if suffix else b"\xff\xff\n" + text.encode())
    assert check(path).problems.count >= 1


def test_texts_beside_features_need_no_labels(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\n')
    assert check(tmp_path / "train.jsonl").problems.count == 1
    (tmp_path / "train.txt").write_text("1 1 1\n0 0:1\n")
    assert check(tmp_path / "train.jsonl").problems.count == 0


def test_a_name_in_the_data_folder_comes_before_a_path(tmp_path, monkeypatch):
    for place, rows in (("data/toy", 2), ("toy", 1)):
        (tmp_path / place).mkdir(parents=True)
        for split in ("train", "test"):
            (tmp_path / place / f"{split}.txt").write_text(f"{rows} 1 1\n" + "0 0:1\n" * rows)
    monkeypatch.chdir(tmp_path)
    assert check("toy", "data").facts["n_train"] == 2
    assert check("toy", "nowhere").facts["n_train"] == 1
    assert check("./toy", "data").facts["n_train"] == 1


def test_the_command_ends_with_0_1_or_2(folder, capsys):
    assert main(["data", "check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 8 + 16 + 1
    assert out.endswith(f"{folder}: 8 errors\n")
    good = folder / "good.svm"
    good.write_text("0 1:1\n")
    assert main(["data", "check", str(good)]) == 0
    assert capsys.readouterr().out.endswith("good.svm: no errors\n")
    (folder / "other.csv").write_text("a,b\n")
    for target in (folder / "nothing.txt", folder / "other.csv"):
        assert main(["data", "check", str(target)]) == 2
        assert capsys.readouterr().err.startswith("adathresh data: error: ")


def test_what_a_file_holds_is_not_told_at_length(tmp_path):
    (tmp_path / "labels.jsonl").write_text(json.dumps({"name": "a", "alt_names": "'" * 1_000_000}) + "\n")
    (message,) = check(tmp_path / "labels.jsonl").problems
    assert len(message) <= checking.LONGEST


def test_a_row_at_fault_is_no_row_without_labels(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "labels": []}\n[]\n' + json.dumps({"text": "b", "labels": ["x"]}) + "\n")
    facts = check(path).facts
    assert (facts["n_rows"], facts["faulty"], facts["unlabelled"]) == (3, 1, 1)
