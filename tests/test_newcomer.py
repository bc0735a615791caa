"""Ten things that a newcomer tries first, done with the words and the code of the pages that tell how."""

import contextlib
import importlib
import io
import json
import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
import scipy.sparse as sp
from helpers import HTMLTable, examples, flat_dataset
from IPython.core.formatters import DisplayFormatter
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

import adathresh
from adathresh import AdaptiveThreshold, AdaptiveThresholdClassifier
from adathresh import __main__ as cli
from adathresh.datasets import load_dataset, make_longtail
from adathresh.datasets.dataset import SPLITS
from adathresh.experiments.core.execution import find_notebooks
from adathresh.leakage import audit
from adathresh.metrics import comparison_table, evaluate, evaluation_table, paired_bootstrap, score_drift
from adathresh.posthoc.targets import TARGETS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DATA_COMMANDS = ("list", "info", "fetch", "check")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def under(page, heading):
    """Return what stands under a heading of a page, to the next heading of its level or above."""
    level, _ = heading.split(" ", 1)
    (text,) = re.findall(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", read(page), re.MULTILINE | re.DOTALL
    )
    return text


def until(page, heading):
    """Return a page from its top to the end of what stands under a heading."""
    text, part = read(page), under(page, heading)
    return text[: text.index(part) + len(part)]


def rows_of(text):
    """Return the cells of the Markdown tables in a text, without their heads."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if not set("".join(row)) <= set("-| ")]


def code_in(text):
    """Return what stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def run(code, name="page", **given):
    """Run code with some names given, and return all names and what was printed."""
    space = {"__name__": name, **given}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, name, "exec"), space)
    return space, printed.getvalue()


@pytest.fixture(scope="module")
def fitted():
    """A fitted classifier with the rows it has seen, and others."""
    X, Y = make_longtail(160, 90, 8, labels_per_row=2, random_state=0)
    base = OneVsRestClassifier(LogisticRegression(C=10))
    clf = AdaptiveThresholdClassifier(base, random_state=0).fit(X[:100], Y[:100])
    return {"clf": clf, "X_train": X[:100], "Y_train": Y[:100], "X_test": X[100:], "Y_test": Y[100:]}


# 1. Install


def commands(text):
    """Return the commands in a page's blocks without a language, as lists of words."""
    blocks = re.findall(r"^```(.*?)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for language, body in blocks if not language for line in body.splitlines()]
    parts = [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]
    return [words for words in parts if words]


def unknown_in(command):
    """Return the program of a command, and files that it is given, that are not there."""
    ours = ("pip", "python", "ruff", "mypy", *PROJECT["scripts"])
    programs = {"python3", "pip", *(f".venv/bin/{name}" for name in ours)}
    files = [value for option, value in pairwise(command) if option in ("-r", "-e")]
    return [*({command[0]} - programs), *(name for name in files if not (ROOT / name).exists())]


@pytest.mark.parametrize("name", ["README.md", "docs/install.md", "docs/get_started.md"])
def test_command_lines_name_what_is_there(name):
    found = commands(read(name))
    assert any("install" in command for command in found)
    assert [word for command in found for word in unknown_in(command)] == []


def test_a_wrong_command_line_is_found():
    lines = ".venv/bin/pip install -r no.txt -e . && .venv/bin/adathres go  # why"
    found = commands(f"```python\nx\n```\n\n```\n{lines}\n\n```\n")
    assert [word for command in found for word in unknown_in(command)] == ["no.txt", ".venv/bin/adathres"]


def test_the_installation_page_names_all_extras():
    rows = rows_of(under("docs/install.md", "## The library"))[1:]
    named = [name for row in rows for name in code_in(row[0])]
    assert sorted(named) == sorted(PROJECT["optional-dependencies"])
    asked = re.findall(r"`pip install \"\.\[([a-z,]+)\]\"`", read("docs/install.md"))
    assert asked
    assert {name for extras in asked for name in extras.split(",")} <= set(named)


def options_of(command):
    """Return the options that a command of ``adathresh`` explains."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])
    assert stop.value.code == 0
    return set(re.findall(r"--[a-z-]+", printed.getvalue()))


def test_every_command_that_a_page_gives_is_one_with_its_options():
    named, pages = {}, [f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")]
    for page in ("README.md", "CONTRIBUTING.md", *pages):
        lines = [words[1:] for words in commands(read(page)) if words[0].endswith("adathresh")]
        lines += [line.split() for line in re.findall(r"`adathresh ([^`]+)`", read(page))]
        for words in lines:
            command = " ".join(words[: 1 + (words[0] == "data")])
            named.setdefault(command, set()).update(re.findall(r"--[a-z-]+", " ".join(words)))
    assert set(named) == {"reproduce", "verify", "benchmark", *(f"data {name}" for name in DATA_COMMANDS)}
    assert {command: options - options_of(command) for command, options in named.items()} == {
        command: set() for command in named
    }


# 2. A first result


@pytest.mark.slow
def test_first_result():
    space, _ = run(examples(under("docs/get_started.md", "## Three lines")))
    alone = space["clf"].estimator_.predict(space["X"][200:])
    ours, theirs = (evaluate(space["Y"][200:], found)["macro_f1"] for found in (space["label_sets"], alone))
    assert ours > theirs


# 3. My own texts


@pytest.mark.slow
def test_own_texts():
    _, printed = run(examples(until("docs/get_started.md", "## Your own texts")))
    assert printed.splitlines()[-1] == "[['dog']]"


# 4. My own scores


@pytest.mark.slow
def test_own_scores():
    space, _ = run(examples(until("docs/your_model.md", "## A plain matrix")))
    assert isinstance(space["rule"], AdaptiveThreshold)
    assert space["label_sets"].shape == space["new"].shape == (100, 20)
    assert 0 < space["label_sets"].sum() < space["label_sets"].size


def test_own_scores_in_the_line_of_the_readme():
    X, Y = make_longtail(60, 90, 4, labels_per_row=2, random_state=0)
    (line,) = [row[1] for row in rows_of(read("README.md")) if row[0] == "any other scores"]
    (code,) = code_in(line)
    scores, folds = np.where(Y.toarray(), 0.7, 0.2), np.arange(60) % 3
    names = {"AdaptiveThreshold": AdaptiveThreshold, "NeighborLabels": adathresh.NeighborLabels}
    space, _ = run(f"rule = {code}", X=X, Y=Y, held_out_scores=scores, folds=folds, **names)
    assert space["rule"].predict(scores, local=Y * 0.0)[Y.toarray() > 0].all()


# 5. Another target

VALUES = {"–": None, "the share": 0.9, "the number": 1, "the ratio, or one for each label": 3}
"""A value of each kind that the page asks for."""


@pytest.mark.parametrize(
    "row", rows_of(under("docs/choose.md", "## Which target?"))[1:], ids=lambda row: row[1]
)
def test_another_target(fitted, row):
    _, target, value = row
    target, value = target.split("`")[1].strip('"'), VALUES.get(value.strip())
    aimed = fitted["clf"].retarget(target, value)
    found = aimed.predict(fitted["X_test"])
    assert aimed.rule_.target == target
    if target == "budget":
        assert np.diff(found.indptr).max() == value
    if target in ("precision", "cost"):
        assert 0 < found.nnz < fitted["clf"].predict(fitted["X_test"]).nnz


def test_the_page_on_targets_names_them_all():
    rows = rows_of(under("docs/choose.md", "## Which target?"))[1:]
    assert {code_in(row[1])[0].strip('"') for row in rows} == set(TARGETS)


# 6. Why this label?


@pytest.mark.slow
def test_why_this_label():
    _, printed = run(examples(until("docs/get_started.md", "## Look closer")))
    headline, *terms = printed.splitlines()
    margin = float(re.fullmatch(r"label 3 is (?:not )?predicted: margin ([-+.\d]+), .*", headline)[1])
    assert sum(float(term.split()[0]) for term in terms) == pytest.approx(margin, abs=0.03)


# 7. Is my split leaky?


@pytest.mark.slow
def test_is_my_split_leaky(fitted):
    code = examples(under("docs/your_model.md", "## Does it know what it must not?"))
    rows = {"X_known": fitted["X_train"], "Y_known": fitted["Y_train"]}
    Y = sp.vstack([fitted["Y_train"]] * 3 + [fitted["Y_test"]]).tocsr()  # the page's first new row is 300
    clean, printed = run(code, clf=fitted["clf"], X_new=fitted["X_test"], Y=Y, **rows)
    assert printed.startswith("Leakage audit: 0 of ")
    leaky = sp.vstack([fitted["X_train"][:2], fitted["X_test"][2:]]).tocsr()
    found, printed = run(code, clf=None, X_new=leaky, Y=Y, **rows)
    assert found["report"]["equal features"].rows.tolist() == [0, 1]
    assert not clean["report"].found


@pytest.mark.slow
def test_the_audit_in_the_line_of_the_readme(fitted):
    (line,) = [row[1] for row in rows_of(read("README.md")) if "audit(" in row[1]]
    module, code = code_in(line)
    _, printed = run(code, audit=importlib.import_module(module).audit, **fitted)
    assert printed.startswith("Leakage audit: ")


# 8. Save and load


@pytest.mark.slow
def test_save_and_load(fitted, tmp_path):
    (line,) = [line for line in read("docs/get_started.md").splitlines() if "A file without pickle" in line]
    save, load = code_in(line)
    names = {"AdaptiveThresholdClassifier": AdaptiveThresholdClassifier, "path": tmp_path / "clf.safetensors"}
    space, _ = run(f"{save}\nagain = {load}", clf=fitted["clf"], **names)
    X = fitted["X_test"]
    assert (space["again"].predict(X) != fitted["clf"].predict(X)).nnz == 0


# 9. Another data set


def test_the_data_set_of_the_page():
    space, printed = run(examples(under("docs/data.md", "## The one rule")))
    assert space["ds"].train.X.shape[0] + space["ds"].validation.X.shape[0] == 12
    assert printed.startswith("['cat', 'dog'] ")


TEXTS = [{"text": "a cat and a dog", "labels": ["cat", "dog"]}, {"text": "my dog", "labels": ["dog"]}]
FORMATS = {
    ".jsonl": [json.dumps(row) for row in TEXTS],
    ".svm": ["0,1 1:0.5 3:2", "1 2:1.5"],
    ".txt": ["2 3 2", "0,1 0:0.5 2:2", "1 1:1.5"],
}
"""The same labels of two rows in some of the formats of the page, as its table describes them."""


@pytest.mark.parametrize("ending", FORMATS)
def test_another_data_set(tmp_path, capsys, ending):
    assert f"`{ending}`" in [row[0] for row in rows_of(under("docs/data.md", "## The one rule"))]
    folder = tmp_path / "pets"
    folder.mkdir()
    for split in SPLITS:
        (folder / f"{split}{ending}").write_text("\n".join(FORMATS[ending]) + "\n")
    ds = load_dataset("pets", data_dir=tmp_path, progress=False)
    assert ds.train.Y.toarray().tolist() == [[1, 1], [0, 1]]
    words = {"…": str(tmp_path), "some/folder": str(folder)}
    words["some/folder/train.svm"] = str(folder / f"train{ending}")
    for program, *arguments in commands(under("docs/data.md", "## What is wrong with it?")):
        assert program == "adathresh"
        assert cli.main([words.get(word, word) for word in arguments]) == 0
        assert capsys.readouterr().out.endswith("no errors\n")


# 10. One table again


def one_table():
    """Return the line of the page on regenerating that says how to have one table."""
    (line,) = [
        row for row in rows_of(under("docs/regenerate.md", "## Run")) if row[0].startswith("one table")
    ]
    return line


def test_the_command_of_a_table_names_its_notebook():
    """Those of the ledger of claims, and that of the page on regenerating."""
    lines = [one_table(), *(row[2:4] for row in rows_of(read("docs/claims.md")) if ".csv" in row[2])]
    assert len(lines) > 5
    for table, command in lines:
        (number,) = re.findall(r"--only (\d\d)\b", command)
        (notebook,) = [path.stem for path in find_notebooks() if path.stem.startswith(number)]
        assert f"/{notebook}/" in table


@pytest.mark.slow
def test_the_first_table_comes_out_again():
    """What the page's command for one table runs, as far as that table."""
    path = Path(code_in(one_table()[0])[0])
    notebook = nbformat.read(ROOT / "notebooks" / f"{path.parent.name}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    (last,) = [i for i, source in enumerate(cells) if source.startswith(f'results.table("{path.stem}"')]
    _, printed = run("\n".join(cells[: last + 1]))
    agree, compared = re.fullmatch(rf"(\d+) of (\d+) values agree with {path}\n", printed).groups()
    assert agree == compared


# What a notebook shows of all this


def shown_in_a_notebook(fitted):
    """Make one of each thing that has a form for notebooks."""
    clf, X, Y = fitted["clf"], fitted["X_test"], fitted["Y_test"]
    found, nothing = clf.predict(X), Y * 0
    rows = {f"{part}_{split}": matrix for split in SPLITS for part, matrix in (("X", X), ("Y", Y))}
    names = {"label_names": list("abcdefgh"), "feature_names": [], "fingerprint": "0123456789abcdef"}
    probabilities = clf.predict_proba(X)
    return {
        "data set": flat_dataset(name="toy", **rows, **names),
        "evaluation": evaluation_table({"adaptive": evaluate(Y, found)}),
        "comparison": comparison_table(paired_bootstrap(Y, found, {"nothing": nothing}, n_draws=20)),
        "drift": score_drift(probabilities[:30], probabilities[30:]),
        "explanation": clf.explain(X[[0]], 0),
        "audit": audit(None, fitted["X_train"], fitted["Y_train"], X, Y),
    }


def test_notebooks_show_tables(fitted):
    for what, thing in shown_in_a_notebook(fitted).items():
        forms, _ = DisplayFormatter().format(thing)
        assert set(forms) == {"text/plain", "text/html"}, what
        shown = HTMLTable(forms["text/html"])
        assert len(shown.lines) > 1, what
        assert set(shown.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}, what
