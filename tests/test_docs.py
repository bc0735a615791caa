"""The site's pages: each can be reached, links and examples work, and the glossary is complete.

Sphinx, which checks more, is not needed here (``nox -s docs``).
"""

import contextlib
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import examples

from adathresh.experiments.core.base_models import BASE_MODELS
from adathresh.experiments.core.rules import rival_rules
from adathresh.metrics import evaluate

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
SHOWN = [*PAGES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "notebooks").rglob("*.ipynb"))]
FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(path):
    return path.read_text(encoding="utf-8")


def toctree_entries(path):
    """Yield the pages that the toctrees of a page name."""
    for body in re.findall(r"^```\{toctree\}\n(.*?)^```$", read(path), flags=re.MULTILINE | re.DOTALL):
        for line in filter(None, map(str.strip, body.splitlines())):
            if not line.startswith(":"):
                yield path.parent / re.sub(r"^.*<(.*)>$", r"\1", line)


def file_of(entry):
    return next((f for end in (".md", ".ipynb") if (f := Path(f"{entry}{end}").resolve()).exists()), entry)


def anchors(path):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", read(path)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path):
    """Return what a page links to and is not there."""
    broken = []
    for link in LINK.findall(FENCE.sub("", read(path))):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def glossary_terms(text):
    """Return the terms of a glossary, and the text of its definitions."""
    body = "\n".join(re.findall(r"^```\{glossary\}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
    lines = [line for line in body.splitlines() if line]
    return [line for line in lines if line[0] != " "], "\n".join(line for line in lines if line[0] == " ")


def test_every_page_is_in_a_toctree():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        if page.suffix == ".md":
            waiting += [file for e in toctree_entries(page) if (file := file_of(e)) not in reached]
    assert not set(SHOWN) - reached
    assert not [path for path in reached if not path.exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_links_of_a_page_lead_somewhere(page):
    assert not broken_links(page)


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One title\n\n[a](#one-title) [b](no.md) [c](page.md#two) [d](https://x.org)\n")
    assert broken_links(page) == ["no.md", "page.md#two"]


def test_every_rule_has_an_entry_in_the_glossary():
    Y = sp.csr_array(np.eye(4, dtype=np.float32))
    terms, _ = glossary_terms(read(DOCS / "glossary.md"))
    assert not set(rival_rules(Y)) - set(terms)
    assert len(terms) == len(set(terms))


def test_every_metric_has_an_entry_in_the_glossary():
    Y = np.eye(4)
    found = evaluate(Y, Y, scores=Y, train_frequency=[1, 1, 1, 1], n_train=4)
    _, definitions = glossary_terms(read(DOCS / "glossary.md"))
    assert not set(found) - set(re.findall(r"`(\w+)`", definitions))


UNNAMED = {"benchmarks", "across_datasets"}  # of parts of the package, and sums of the other tables
NO_NAMES = {"claim", "outcome", "figures", "fingerprint", "setting", "dataset", "totals_of", "step"}


def names_in(table):
    """Return the names in the columns of a published table; the models of other authors are left out."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("origin") != "published"]
    columns = {name: {row[name] for row in rows} for name in rows[0].keys() - NO_NAMES} if rows else {}
    return {value for values in columns.values() if not all(map(is_number, values)) for value in values}


def is_number(text):
    if text in ("", "True", "False"):
        return True
    with contextlib.suppress(ValueError):
        return float(text) is not None
    return False


def forms_in(page):
    """Return what the glossary explains: terms, keys, and names in its tables, where … stands for another."""
    terms, definitions = glossary_terms(page)
    quoted = [
        name
        for cell in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
        for name in re.findall("`(.+?)`", cell)
    ]
    return {*terms, *re.findall(r"`(\w+)`", definitions), *quoted}


def explained(name, forms):
    """Whether the glossary explains a name, or all that it is made of."""
    if name in forms or name.isdigit():
        return True
    patterns = ["(.+)".join(map(re.escape, form.split("…"))) for form in forms if "…" in form]
    found = filter(None, (re.fullmatch(pattern, name) for pattern in patterns))
    return any(all(explained(part, forms) for part in match.groups()) for match in found)


def test_every_name_in_a_published_table_is_in_the_glossary():
    forms = forms_in(read(DOCS / "glossary.md"))
    tables = [path for path in ROOT.glob("results/*/**/*.csv") if not UNNAMED & set(path.parts)]
    found = set().union(*map(names_in, tables), BASE_MODELS)
    assert len(found) > 100
    assert not sorted(name for name in found if not explained(name, forms))


def test_names_that_the_glossary_lacks_are_found():
    forms = forms_in(read(DOCS / "glossary.md"))
    known = ["PCut", "PCut, fused", "+ mentions", "both blocks, titles missing", "macro_f1"]
    unknown = ["adaptive, guessed", "hearsay, fused", "+ hearsay", "PCut, MCut"]
    assert [name for name in known + unknown if explained(name, forms)] == known


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data.md", "get_started.md", "your_model.md"])
def test_examples_of_a_page_run(name):
    code = examples(read(DOCS / name))
    assert code
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, name, "exec"), {"__name__": "page"})
    assert printed.getvalue()


def function_of_the_page(name):
    """Define one function of the page about other models, as it stands there."""
    (source,) = re.findall(
        rf"^(def {name}\(.*?)(?=^\S|\Z)", examples(read(DOCS / "your_model.md")), re.MULTILINE | re.DOTALL
    )
    space = {"np": np}
    exec(source, space)
    return space[name]


class Booster:
    """Stands for a trained booster of XGBoost or LightGBM with a binary objective."""

    def __init__(self, probability):
        self.probability = probability

    def predict(self, rows):
        return np.full(len(rows), self.probability)


def test_predictions_of_boosters_become_a_matrix():
    scores = function_of_the_page("scores_of_boosters")([Booster(0.1), Booster(0.6)], np.zeros((3, 2)))
    assert scores.tolist() == [[0.1, 0.6]] * 3
