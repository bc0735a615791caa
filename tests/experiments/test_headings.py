"""The heads of the notebooks: made of the results, found where they are not, and the same as the end."""

import importlib
import json
import re
import shutil

import pytest

from adathresh.experiments import headings
from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.execution import find_notebooks
from adathresh.experiments.core.results import RECORD, read_tables
from adathresh.experiments.headings import (
    BEGIN,
    COMMAND,
    END,
    binder_badge,
    glossary_entries,
    heading,
    main,
    outdated,
    readme_with_badge,
)

ROOT = repository_root()
NOTEBOOKS = find_notebooks(ROOT / "notebooks")
FOLDERS = sorted(path.parent for path in (ROOT / "results").glob(f"**/{RECORD}"))
NUMBER = re.compile(r"[+−]?\d[\d,]*\.?\d*")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def head(path):
    (text,) = re.findall(
        f"{re.escape(BEGIN)}(.*){re.escape(END)}", "".join(cells(path)[0]["source"]), re.DOTALL
    )
    return text.strip()


@pytest.fixture
def copies(tmp_path):
    return [shutil.copy2(path, tmp_path / path.name) for path in NOTEBOOKS]


# What is made


def test_every_head_is_that_of_the_results():
    assert not outdated(NOTEBOOKS), f"run `{COMMAND}`"


@each
def test_a_notebook_opens_with_question_finding_lesson_cost_words_and_links(path):
    source = "".join(cells(path)[0]["source"])
    wanted = [r"\A# \d\d · ", r"\*\*Question\.\*\*", r"\*\*Finding\*\*", r"\*\*You will learn\*\*"]
    wanted += [r"\*\*It takes\*\* about \d+ (seconds|minutes?) on two cores", r"\]\(\.\./docs/glossary\.md\)"]
    places = [re.search(pattern, source).start() for pattern in wanted]
    assert places == sorted(places)
    at = NOTEBOOKS.index(path)
    around = [one.name for one in (*NOTEBOOKS[max(at - 1, 0) : at], *NOTEBOOKS[at + 1 : at + 2])]
    assert re.findall(r"\]\((\w+\.ipynb)\)", head(path)) == around


def test_the_verdict_on_the_papers_figure_heads_the_notebook_on_leakage():
    title, _, verdict = head(NOTEBOOKS[5]).splitlines()[:3]
    assert title.startswith("## 0.1712 is ")
    assert f"{title}\n\n{verdict}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@each
def test_links_of_a_head_lead_somewhere(path):
    sections = {section.lower().replace(" ", "-") for section, _, _ in glossary_entries()}
    links = re.findall(r"\]\(([^)]+)\)", head(path))
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        assert (path.parent / name).is_file(), link
        assert not anchor or anchor in sections, link


@pytest.mark.parametrize(
    "word",
    [
        "RCut",
        "PCut",
        "MCut",
        "SCut",
        "SCutFBR",
        r"F\*/2",
        "macro-F1",
        "macro-F1 present",
        "λ",
        "α",
        "β",
        "0.1712",
    ],
)
def test_a_word_of_the_notebooks_is_in_the_glossary_and_a_head_leads_there(word):
    entries = [terms for _, terms, _ in glossary_entries() if word.replace("\\", "") in terms]
    assert len(entries) == 1
    assert any(f"*{word}*" in head(path) for path in NOTEBOOKS)


# What is found, and written


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 5])
def test_a_wrong_figure_is_found_and_put_right_byte_for_byte(copies, number):
    path = copies[number]
    before = path.read_bytes()
    at = before.index(b"**Finding**")
    figure = re.compile(rb"\d\.\d").search(before, at)
    path.write_bytes(before[: figure.start()] + b"9.9" + before[figure.end() :])
    assert outdated(copies) == [path.name]
    assert path.read_bytes() != before  # looking changes nothing
    assert outdated(copies, write=True) == [path.name]
    assert path.read_bytes() == before
    assert [copy.read_bytes() for copy in copies] == [path.read_bytes() for path in NOTEBOOKS]


@pytest.mark.parametrize("marker", [BEGIN, END])
def test_a_notebook_without_markers_is_an_error(copies, marker):
    text = copies[1].read_text(encoding="utf-8")
    copies[1].write_text(text.replace(json.dumps(marker)[1:-1], ""), encoding="utf-8")
    with pytest.raises(ValueError, match=r"first cell of 02_baselines.ipynb must hold"):
        outdated(copies)


@pytest.mark.slow
def test_the_command_says_what_is_out_of_date_and_writes_it(copies, monkeypatch, capsys):
    monkeypatch.setattr(headings, "find_notebooks", lambda folder: copies)
    assert main([]) == 0
    text = copies[2].read_text(encoding="utf-8")
    copies[2].write_text(text.replace("**You will learn**", "**You learn**"), encoding="utf-8")
    assert main([]) == 1
    assert capsys.readouterr().out == f"03_training.ipynb: head out of date; run `{COMMAND}`\n"
    assert main(["--write"]) == 0
    assert capsys.readouterr().out == "03_training.ipynb: head written\n"
    assert main([]) == 0


@pytest.fixture
def clone_with_address(tmp_path, monkeypatch):
    """Copy what the badge is made of into a clone whose repository has an address."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    address = '[project.urls]\nRepository = "https://github.com/someone/ada.thresh.git"\n'
    (tmp_path / "pyproject.toml").write_text(project + address, encoding="utf-8")
    shutil.copy2(ROOT / "README.md", tmp_path)
    monkeypatch.setattr(headings, "repository_root", lambda: tmp_path)
    return tmp_path


def test_a_repository_with_an_address_gets_badges_that_open_its_pages(clone_with_address):
    begin = (
        "[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/someone/ada.thresh/HEAD"
    )
    assert binder_badge("notebooks/01_data.ipynb") == begin + "?urlpath=lab/tree/notebooks/01_data.ipynb)"
    links = headings._links(NOTEBOOKS[1], NOTEBOOKS)
    assert links.endswith(f" · {binder_badge(f'notebooks/{NOTEBOOKS[1].name}')}")
    before = (ROOT / "README.md").read_text(encoding="utf-8")
    with_badge = readme_with_badge(before)
    assert with_badge.splitlines()[2] == binder_badge("notebooks")
    assert readme_with_badge(with_badge) == with_badge
    (clone_with_address / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    assert readme_with_badge(with_badge) == before
    assert headings._links(NOTEBOOKS[1], NOTEBOOKS) == links[: links.index(" · [![Binder]")]


def test_the_command_writes_the_badge_into_the_readme(clone_with_address, monkeypatch, capsys):
    monkeypatch.setattr(headings, "find_notebooks", lambda folder: [])
    assert main([]) == 1
    assert capsys.readouterr().out == f"README.md: head out of date; run `{COMMAND}`\n"
    assert main(["--write"]) == 0
    assert main([]) == 0
    assert "badge_logo" in (clone_with_address / "README.md").read_text(encoding="utf-8")


def test_outside_of_a_clone_the_command_says_so(monkeypatch, capsys):
    monkeypatch.setattr(headings, "repository_root", lambda: None)
    with pytest.raises(SystemExit):
        main([])
    assert "adathresh is not run from its clone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "10 seconds"), (41, "50 seconds"), (50.1, "1 minute"), (60.1, "2 minutes"), (180, "3 minutes")],
)
def test_time_is_rounded_up(seconds, text):
    assert headings._cost({"seconds": seconds}) == f"about {text} on two cores"


def test_memory_is_that_of_all_processes_of_the_run():
    entry = {"seconds": 200, "peak_memory_mb": 1250}
    assert headings._cost(entry) == "about 4 minutes on two cores and 1.2 GB of memory"


# Top and end


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.relative_to(ROOT / "results").as_posix())
def test_every_published_table_has_a_finding(folder):
    """Also those of data sets without texts or groups, of several seeds, and of earlier versions."""
    tables = read_tables(folder)  # none where there was nothing to ask
    text = importlib.import_module(f"adathresh.experiments.nb{folder.name}").finding(tables)
    assert text.endswith(".")
    assert not re.search(r"\bnan\b|None|-\d", text.replace("AmazonCat-13K", ""))
    assert ("95 % interval" in text) == (folder.name != "01_data" and bool(tables))


@each
def test_the_end_says_what_stands_at_the_top(path):
    """The end is computed in the notebook; its figures may differ as far as two runs do."""
    at = next(i for i, cell in enumerate(cells(path)) if "".join(cell["source"]).startswith("## Finding"))
    answer = cells(path)[at + 1]
    assert "finding(results.tables)" in "".join(answer["source"])
    (output,) = answer["outputs"]
    end = "".join(output["data"]["text/markdown"])
    top = re.search(r"^\*\*Finding\*\* \(.*?\)\. (.*)$", head(path), re.MULTILINE)[1]
    assert NUMBER.sub("#", end) == NUMBER.sub("#", top)
    figures = [
        [float(n.replace("−", "-").replace(",", "")) for n in NUMBER.findall(text)] for text in (end, top)
    ]
    assert figures[0] == pytest.approx(figures[1], rel=0.05, abs=0.002)


def test_a_head_follows_its_tables(monkeypatch):
    monkeypatch.setattr(headings, "read_tables", lambda place: _without_ceiling(read_tables(place)))
    assert "a macro-F1 of 1.000 on the test rows, because every label occurs" in heading(
        NOTEBOOKS[0], NOTEBOOKS
    )


def _without_ceiling(tables):
    data = tables["data"].assign(labels_without_test_rows=0, macro_f1_ceiling=1.0)
    return {**tables, "data": data}
