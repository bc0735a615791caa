"""What holds for the repository as a whole: the two commands, the style, the notebooks, the layers."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib.metadata import version
from itertools import chain, combinations
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import adathresh
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.verify import verify

ROOT = Path(__file__).parents[1]
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -r binder/requirements.txt -e . && "
REPRODUCE, TEST = (
    INSTALL + ".venv/bin/adathresh reproduce",
    INSTALL + ".venv/bin/python -m pytest -n 2 --dist loadfile",
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
GUIDES = sorted((ROOT / "notebooks" / "guides").glob("*.ipynb"))
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
REPRODUCED_ON = "3.11"  # the Python of the published results
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|work|opt|usr|var|mnt|private)/|[A-Z]:\\")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# The two commands


@pytest.mark.parametrize(("command", "workflow"), [(REPRODUCE, "reproduce.yml"), (TEST, "tests.yml")])
def test_readme_and_workflows_hold_the_same_command(command, workflow):
    assert read("README.md").splitlines().count(command) == 1
    assert f"run: {command}\n" in read(f".github/workflows/{workflow}")


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_ci_runs_the_test_line_of_the_readme(tmp_path):
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "run"
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    script.chmod((ROOT / ".ci" / "run").stat().st_mode)

    def run(readme):
        (tmp_path / "README.md").write_text(readme)
        return subprocess.run([script], capture_output=True, text=True, cwd="/")

    good = run("# Title\n\n```\necho first\npwd && echo ran -m pytest\n```\n")
    assert good.returncode == 0
    assert good.stdout.splitlines()[1:] == [str(tmp_path), "ran -m pytest"]
    assert run("false && echo -m pytest\n").returncode != 0
    assert run("no line\n").returncode == 2
    assert run("echo -m pytest\necho -m pytest\n").returncode == 2


@pytest.mark.slow
def test_notebooks_alone_are_treated_as_they_are_beside_the_tests():
    notebook = "notebooks/guides/method_step_by_step.ipynb"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", notebook]
    alone, quick = (
        subprocess.run([*command, *only], cwd=ROOT, capture_output=True, text=True)
        for only in ([], ["-m", "not slow"])
    )
    assert alone.returncode == pytest.ExitCode.OK, alone.stdout
    # the hook that says so stands beside the one that gives each its share of the cores
    assert quick.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, quick.stdout


def test_the_pinned_set_is_complete_and_meets_every_lower_bound():
    lines = [line for line in read("binder/requirements.txt").splitlines() if not line.startswith("#")]
    assert lines == sorted(lines)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    pins = dict(line.split("==") for line in lines)
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    del extras["docs"]  # the site is no part of what is reproduced
    for requirement in map(Requirement, chain(project["dependencies"], *extras.values())):
        if requirement.name == project["name"]:  # an extra that holds others
            assert requirement.extras <= extras.keys()
            continue
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_the_same_pythons_are_allowed_named_and_tested():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    named = re.findall(r"Python :: (3\.\d+)\n", "\n".join([*project["classifiers"], ""]))
    allowed = SpecifierSet(project["requires-python"])
    assert named == [release for minor in range(100) if allowed.contains(release := f"3.{minor}")]
    (nox,) = re.findall(r"^PYTHONS = (\[.*\])$", read("noxfile.py"), flags=re.MULTILINE)
    matrix = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]["unit"]["strategy"]["matrix"]
    assert named == ast.literal_eval(nox) == matrix["python"]


def test_binder_installs_the_pinned_set():
    environment = yaml.safe_load(read("binder/environment.yml"))
    *packages, last = environment["dependencies"]
    assert packages == [f"python={REPRODUCED_ON}", "pip"]
    assert last["pip"] == [f"--extra-index-url {CPU_INDEX}", "-r requirements.txt"]
    assert f"PIP_EXTRA_INDEX_URL: {CPU_INDEX} " in read(".github/workflows/reproduce.yml")
    assert f"PIP_EXTRA_INDEX_URL={CPU_INDEX}` " in read("README.md")
    assert f'python-version: "{REPRODUCED_ON}"' in read(".github/workflows/reproduce.yml")


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_binder_can_run_its_script():
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_bytes().startswith(b"#!/bin/bash\n")
    subprocess.run(["bash", "-n", script], check=True)


def test_binder_has_no_step_that_its_session_leaves_out():
    assert sorted(path.name for path in (ROOT / "binder").iterdir()) == [
        "environment.yml",
        "postBuild",
        "requirements.txt",
    ]
    session = read("noxfile.py").partition("\ndef binder(session)")[2].partition("\n@")[0]
    assert session.index('session.install("-r", PINNED)') < session.index('session.run("binder/postBuild"')


def test_only_a_release_is_published_and_by_one_job():
    jobs = yaml.safe_load(read(".github/workflows/release.yml"))["jobs"]
    writing = {name: job["permissions"] for name, job in jobs.items() if "permissions" in job}
    assert writing == {"publish": {"id-token": "write"}}
    publish = jobs["publish"]
    assert publish["if"] == "github.event_name == 'release'"
    assert publish["environment"]["name"] == "pypi"
    assert publish["needs"] == "build"
    assert publish["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")


def test_every_workflow_names_sessions_of_nox():
    sessions = set(re.findall(r"^def (\w+)\(session\)", read("noxfile.py"), flags=re.MULTILINE))
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        used = re.findall(r"nox -s (\w+)", path.read_text(encoding="utf-8"))
        assert set(used) <= sessions
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}


def test_one_version_everywhere():
    assert f"\nversion: {adathresh.__version__}\n" in read("CITATION.cff")
    assert f"## [{adathresh.__version__}]" in read("CHANGELOG.md")


# Style


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff(arguments):
    run_clean("ruff", *arguments, ".")


def test_docstrings():
    files = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "adathresh").rglob("*.py"))]
    run_clean("numpydoc", "lint", *files)


def test_the_docstring_check_can_fail(tmp_path):
    (tmp_path / "module.py").write_text('"""M."""\n\n\ndef f(a):\n    """Return."""\n    return a\n')
    with pytest.raises(AssertionError, match="PR01"):
        run_clean("numpydoc", "lint", str(tmp_path / "module.py"), "--config", str(ROOT))


def test_every_public_function_and_class_of_the_library_has_an_example():
    missing = []
    for path in sorted((ROOT / "adathresh").rglob("*.py")):
        module = path.relative_to(ROOT)
        if "experiments" in module.parts or path.name.startswith("_"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and ">>>" not in (ast.get_docstring(node) or ""):
                missing.append(f"{module}: {node.name}")
    assert not missing


def run_clean(module, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What the pages say


@pytest.mark.slow
def test_readme_example_prints_what_it_says(tmp_path, monkeypatch, capsys):
    """The figures in the comments after a block's last print are those that it prints."""
    readme = read("README.md")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL))
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        # Line numbers of errors are those of the page.
        before = "\n" * readme[: block.start(1)].count("\n")
        exec(compile(before + block[1], "README.md", "exec"), {"__name__": "readme"})
        said = re.findall(r"^# (.*)$", block[1], flags=re.MULTILINE)
        assert said
        assert capsys.readouterr().out.splitlines() == said


PAGES = (
    "README.md",
    "docs/results.md",
    "docs/claims.md",
    "docs/gallery.md",
    "docs/findings.md",
    "docs/bad_input.md",
    "codecheck.yml",
)


def cog(root, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "cogapp", *arguments, *PAGES], cwd=root, capture_output=True, text=True
    )


@pytest.mark.slow
def test_every_generated_figure_is_that_of_the_results():
    done = cog(ROOT, "--check", "--diff")
    assert done.returncode == 0, f"run `cog -r {' '.join(PAGES)}`:\n{done.stdout}{done.stderr}"


@pytest.mark.slow
def test_a_wrong_figure_on_a_page_is_found(tmp_path):
    for page in PAGES:
        (tmp_path / page).parent.mkdir(exist_ok=True)
        text = read(page)
        start = text.index("\n", text.index("]]]"))
        figure = re.search(r"\d\.?\d\d?", text[start:])
        wrong = text[: start + figure.start()] + "9.99" + text[start + figure.end() :]
        (tmp_path / page).write_text(wrong, encoding="utf-8")
    done = cog(tmp_path, "--check")
    assert done.returncode != 0
    assert done.stdout.count("(changed)") == len(PAGES)


def test_the_readme_is_short():
    assert len(read("README.md").split()) <= 1_000


def test_the_readme_lists_every_notebook():
    listed = re.findall(r"^- \[.*\]\((notebooks/[^)]*)\): .", read("README.md"), flags=re.MULTILINE)
    there = [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").rglob("[!.]*.ipynb")]
    assert sorted(listed) == sorted(there)


def test_every_published_claim_follows_from_its_tables():
    assert verify() == 0


def test_no_two_results_differ_by_one_letter():
    for folder in {path.parent for path in (ROOT / "results").rglob("*.csv")}:
        names = sorted(path.stem for path in folder.glob("*.csv"))
        for one, other in combinations(names, 2):
            assert not one_letter_apart(one, other), f"{folder}: {one}, {other}"


def one_letter_apart(one, other):
    """Whether one letter more, less or other makes one word of the other."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    if len(long) == len(short):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ("rule_differences", "rules_differences", True),
        ("gap", "gaps", True),
        ("gap", "map", True),
        ("gap", "headline", False),
        ("rules", "rule_differences", False),
    ],
)
def test_close_names_are_recognised(one, other, close):
    assert one_letter_apart(one, other) == close


# The notebooks


def test_notebooks_are_numbered_without_gaps():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{i:02d}_" for i in range(1, len(NOTEBOOKS) + 1)]
    assert NOTEBOOKS


def test_committed_results_hold_no_machine_paths():
    for path in (ROOT / "results").rglob("*"):
        if path.suffix in (".csv", ".json") and "executed" not in path.parts:
            assert not MACHINE_PATH.search(path.read_text(encoding="utf-8")), path


# Without the guides, which reproduce nothing.
each_numbered_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(params=NOTEBOOKS + GUIDES, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_notebook_is_small(path):
    assert path.stat().st_size <= 600_000


def test_notebook_begins_with_its_question(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert "?" in notebook.cells[0].source


@each_numbered_notebook
def test_notebook_parameters_are_the_defaults_of_the_configuration(code):
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    given = {}
    for statement in ast.parse(cell.source).body:
        (target,) = statement.targets
        given[target.id] = ast.literal_eval(statement.value)
    assert {
        field.name: given.get(field.name, "missing") for field in fields(RunConfig)
    } == RunConfig().to_parameters()


def test_notebook_was_run_from_top_to_bottom_without_errors(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]


def test_notebook_keeps_no_bar_of_progress(code):
    shown = [str(output) for cell in code for output in cell["outputs"]]
    assert [output for output in shown if re.search(r"\d+%\|", output)] == []


def test_notebook_has_no_machine_paths(notebook):
    for cell in notebook.cells:
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts.append(output.get("text", ""))
            texts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
        found = [match[0] for text in texts for match in [MACHINE_PATH.search(text)] if match]
        assert not found, cell.source


def test_notebook_is_thin(code):
    for cell in code:
        # Magics and shell commands are no Python, so they fail here too.
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ClassDef), cell.source
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 5, cell.source


@each_numbered_notebook
def test_notebook_keeps_its_tables_and_declares_its_claims(path, notebook):
    """All that it computes goes through its results; what it finds is claimed last, read off the tables."""
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert source.count(f'start("{path.stem}", globals())') == 1
    assert "results.table(" in source
    assert source.count("results.claims(claims)") == 1
    assert source.rindex("results.table(") < source.index("results.claims(claims)")


@each_numbered_notebook
def test_notebook_outputs_say_that_everything_came_out_as_published(path, code):
    """The committed outputs were made from the committed results."""
    outputs = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    found = re.findall(r"(\d+) of (\d+) (?:values agree|claims come out)", outputs)
    assert len(found) >= 2
    assert all(one == other for one, other in found)


@pytest.mark.parametrize("text", ["read /home/me/data", "'/opt/x'", r"C:\data", "(/mnt/x)"])
def test_machine_paths_are_recognised(text):
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["results/pyapi/a.csv", "https://x.org/home/y", "and/or", "../shared/data", "a/opt/b"]
)
def test_other_text_is_no_machine_path(text):
    assert not MACHINE_PATH.search(text)


def test_the_pinned_numerics_are_what_is_tested():
    pins = dict(line.split("==") for line in read("binder/requirements.txt").splitlines() if "==" in line)
    installed = {name: version(name).split("+")[0] for name in ("numpy", "scipy", "scikit-learn", "torch")}
    assert installed == {name: pins[name] for name in installed}
