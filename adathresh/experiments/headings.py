"""The head of every numbered notebook: what it finds, what it teaches, what it costs, where to go on.

It stands between two markers in the notebook's first cell and is made of the published results of the
embedded corpus. ``python -m adathresh.experiments.headings`` names the notebooks whose head says something
else; ``--write`` writes it, and changes nothing else in the file. Where ``pyproject.toml`` has the
repository's address on GitHub (``Repository`` of ``project.urls``), heads and README get Binder's badge.
"""

import argparse
import json
import math
import re
import sys
import tomllib

from adathresh.experiments import report
from adathresh.experiments.core.config import RunConfig, repository_root
from adathresh.experiments.core.execution import find_notebooks
from adathresh.experiments.core.results import read_tables
from adathresh.experiments.core.sentences import counted
from adathresh.utils.files import whole_file

COMMAND = "python -m adathresh.experiments.headings --write"
BEGIN = f"<!-- Made of results/ by `{COMMAND}`: -->"
END = "<!-- End of what is made. -->"

LESSONS = {
    "01_data": "what a long tail of labels looks like, and why macro-F1 often cannot reach 1",
    "02_baselines": "how to tell what the scores are worth from what the thresholds on them are worth",
    "03_training": "how the paper's thresholds are trained, and how their λ, α and β develop",
    "04_ablations": "how to find out which part of a method matters, by leaving out one at a time",
    "05_calibration": "how to see whether a probability can be believed, and on what the thresholds depend",
    "06_leakage": "how labels can leak into a published figure, and how to find out with "
    "`adathresh.leakage.audit`",
    "07_your_own_model": "how to give a scikit-learn pipeline, or scores from anywhere, thresholds of their "
    "own, and how to explain one prediction",
    "08_decision_rules": "which rules make label sets of scores, how they compare, and what each signal adds",
    "09_rule_ablations": "what each part of the rule is worth, also for the rare labels, and what it costs",
    "10_losses": "how to tell a loss that orders the scores better from one that only moves them against the "
    "threshold",
    "11_noise": "what missing and wrong training labels do to each rule, and how to correct for missing ones",
    "12_automation": "how much can be left to a rule at a precision, and what a promised precision is worth",
    "13_groups": "what rows that belong together do to a figure and to its interval, and how to tell",
    "14_blocks": "how to give neighbours and a linear model several views of a row at once, and what becomes "
    "of them when one is missing",
    "15_self_training": "when a model may label rows by itself, and what that is worth",
    "16_label_queries": "how labels attend to the tokens of a text, and how to see what each one reads",
    "17_protocol": "what a figure owes to the choice of its epoch and to the rows it is measured on",
    "18_splits": "what groups and near-duplicates do to a test score, and how to tell",
}
"""What the reader of each notebook will learn."""

VERDICTS = {"06_leakage": (report.VERDICT, report.released_verdict)}
"""What a notebook says on other results than those of the embedded corpus, made as in the README."""


def heading(path, notebooks):
    """Make the head of one of the notebooks, which are given in order."""
    results = repository_root() / "results" / RunConfig().dataset
    place, verdict = results / path.stem, VERDICTS.get(path.stem)
    run = json.loads((results / "run.json").read_text(encoding="utf-8"))
    seeds = counted(len(run["notebooks"][path.stem]["seeds"]), "seed")
    tables = read_tables(place)
    finding = report.finding_of(path.stem, tables)
    return "\n\n".join(
        [
            *([f"## {verdict[0]}", verdict[1]()] if verdict else []),
            f"**Finding** (`{results.name}`, {run['config']['profile']} profile, {seeds}). {finding}",
            f"**You will learn** {LESSONS[path.stem]}.",
            f"**It takes** {_cost(run['notebooks'][path.stem])}.",
            f"**Words** explained in the [glossary](../docs/glossary.md): {_words(path, tables, finding)}.",
            _links(path, notebooks),
        ]
    )


def outdated(notebooks, *, write=False):
    """Name the notebooks whose head is not what the results say; ``write`` puts it right."""
    found = []
    for path in notebooks:
        content = json.loads(path.read_text(encoding="utf-8"))
        cell = content["cells"][0]
        before, _, after = _parts(cell, path)
        made = "\n\n".join([before + BEGIN, heading(path, notebooks), END + after])
        cell["source"] = made.splitlines(keepends=True)
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"  # as Jupyter writes it
        if text != path.read_text(encoding="utf-8"):
            found.append(path.name)
            if write:
                with whole_file(path) as temporary:
                    temporary.write_text(text, encoding="utf-8", newline="\n")
    return found


def _parts(cell, path):
    """Return what stands before, between and after the markers of a notebook's first cell."""
    parts = re.split(f"{re.escape(BEGIN)}|{re.escape(END)}", "".join(cell["source"]))
    if len(parts) != 3:
        raise ValueError(f"the first cell of {path.name} must hold the lines {BEGIN!r} and {END!r} once each")
    return parts


def _cost(entry):
    """Say how long a notebook ran and, where its record says so, what memory all its processes held."""
    seconds, memory = entry["seconds"], entry.get("peak_memory_mb")
    tens = math.ceil(seconds / 10)
    time = f"{10 * tens} seconds" if tens < 6 else counted(math.ceil(seconds / 60), "minute")
    return f"about {time} on two cores" + (f" and {memory / 1000:.1f} GB of memory" if memory else "")


def _words(path, tables, finding):
    """List the words of the glossary that a notebook uses, by section of the glossary."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [finding, *("".join(cell["source"]).split(END)[-1] for cell in cells)]
    for table in tables.values():
        names = table.select_dtypes(exclude="number").melt()["value"]
        texts += names.astype(str).unique().tolist()
    used, sections = "\n".join(texts), {}
    for section, terms, keys in glossary_entries():
        # A word of its own, as the site links it, or the name of a metric in code.
        pattern = "|".join(map(re.escape, [*terms, *keys]))
        if re.search(rf"(?<![\w/*-])({pattern})s?(?![\w/*-])", used, flags=re.IGNORECASE):
            escaped = terms[0].replace("*", r"\*")
            sections.setdefault(section.lower(), []).append(f"*{escaped}*")
    return "; ".join(
        f"[{section}](../docs/glossary.md#{section.replace(' ', '-')}) {', '.join(terms)}"
        for section, terms in sections.items()
    )


def glossary_entries():
    """Yield section, terms, and the names in code, of every entry of the glossary."""
    page = (repository_root() / "docs" / "glossary.md").read_text(encoding="utf-8")
    for section, body in re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL):
        for block in re.findall(r"^```\{glossary\}\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL):
            for entry in block.strip().split("\n\n"):
                lines = entry.splitlines()
                terms = [line for line in lines if not line.startswith(" ")]
                yield section, terms, re.findall(r"`([a-z]+(?:_\w+)+)`", entry)


def _links(path, notebooks):
    """Link the notebooks before and after one."""
    at = notebooks.index(path)
    links = [f"[← {_title(one)}]({one.name})" for one in notebooks[max(at - 1, 0) : at]]
    links += [f"[{_title(one)} →]({one.name})" for one in notebooks[at + 1 : at + 2]]
    return " · ".join([*links, binder_badge(f"notebooks/{path.name}")]).removesuffix(" · ")


def binder_badge(page):
    """Link Binder's badge to a page of the repository; "" as long as it has no address on GitHub."""
    project = tomllib.loads((repository_root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository", "")
    name = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", address)
    if not name:
        return ""
    opened = f"https://mybinder.org/v2/gh/{name[1]}/HEAD?urlpath=lab/tree/{page}"
    return f"[![Binder](https://mybinder.org/badge_logo.svg)]({opened})"


def readme_with_badge(text):
    """Return README with the badge below its title, in place of one that is there."""
    title, rest = text.split("\n\n", 1)
    rest = re.sub(r"\A\[!\[Binder\]\S*\n\n", "", rest)
    badge = binder_badge("notebooks")
    return "\n\n".join([title, badge, rest] if badge else [title, rest])


def _title(path):
    """Return a notebook's title."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells[0]["source"][0].removeprefix("#").strip()


def main(arguments=None):
    """Compare the heads of the notebooks with the results, or write them; exit status 1 where they differ."""
    parser = argparse.ArgumentParser(prog="python -m adathresh.experiments.headings", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the heads that are out of date")
    write, root = parser.parse_args(arguments).write, repository_root()
    if root is None:
        parser.error("adathresh is not run from its clone, where the notebooks and their results are")
    found = outdated(find_notebooks(root / "notebooks"), write=write)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    made = readme_with_badge(text)
    if made != text:
        found.append(readme.name)
        if write:
            with whole_file(readme) as temporary:
                temporary.write_text(made, encoding="utf-8", newline="\n")
    for name in found:
        print(f"{name}: head {'written' if write else f'out of date; run `{COMMAND}`'}")
    return 1 if found and not write else 0


if __name__ == "__main__":
    sys.exit(main())
