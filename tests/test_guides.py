"""The guides for newcomers: they use what is public, show what they compute, and are not reproduced."""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from adathresh.experiments.core.execution import find_notebooks

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "notebooks" / "guides").glob("*.ipynb"))


@pytest.fixture(params=GUIDES, ids=lambda path: path.stem)
def guide(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def code(guide):
    return [cell for cell in guide.cells if cell.cell_type == "code"]


def imported(source):
    """Name all modules that a cell imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_public(name):
    """Whether a newcomer may rely on a name of the library; names of other packages count as public."""
    first, *rest = name.split(".")
    hidden = any(part.startswith("_") for part in rest) or rest[:1] in (["cli"], ["experiments"])
    return first not in ("tests", "helpers") and not (first == "adathresh" and hidden)


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("adathresh.AdaptiveThreshold", True),
        ("adathresh.paper.as_released.label_signals", True),
        ("sklearn.svm.LinearSVC", True),
        ("adathresh.experiments.core.plotting", False),
        ("adathresh.models._base.TopScoresClassifier", False),
        ("adathresh.__main__.main", False),
        ("helpers.labels", False),
    ],
)
def test_public_names_are_recognised(name, public):
    assert is_public(name) == public


def test_both_guides_are_there():
    assert [path.stem for path in GUIDES] == ["method_step_by_step", "quickstart"]


def test_guide_imports_public_names_only(code):
    names = [name for cell in code for name in imported(cell.source)]
    assert any(name.startswith("adathresh") for name in names)
    assert [name for name in names if not is_public(name)] == []


def test_guide_begins_with_a_question_and_what_will_be_learnt(guide):
    first = guide.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert "**Question.**" in first.source
    assert "**You will learn**" in first.source


def test_guide_has_one_cell_of_parameters_which_the_others_use(code):
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    names = [statement.targets[0].id for statement in ast.parse(cell.source).body]
    for statement in ast.parse(cell.source).body:
        ast.literal_eval(statement.value)  # which is all that papermill can replace
    rest = [ast.walk(ast.parse(other.source)) for other in code if other is not cell]
    used = {node.id for nodes in rest for node in nodes if isinstance(node, ast.Name)}
    assert names[0] == "random_state"
    assert set(names) <= used


def test_guide_shows_what_each_cell_computes(code):
    """A cell that ends with an expression, such as a table or a print, has an output."""
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    showing = [cell for cell in code if isinstance(ast.parse(cell.source).body[-1], ast.Expr)]
    assert len(showing) >= 8
    assert [cell.source for cell in showing if not cell.outputs and "filterwarnings" not in cell.source] == []


def test_guide_prints_no_warnings(code):
    outputs = [output for cell in code for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_guides_link_to_each_other_and_to_files_that_are_there():
    for path in GUIDES:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        links = [link.split(")")[0] for link in text.split("](")[1:]]
        files = [path.parent / link for link in links if not link.startswith("https://")]
        assert [file for file in files if not file.exists()] == []
        assert {other for other in GUIDES if other != path} <= set(files)


def test_guides_are_no_part_of_a_reproduction():
    assert not {path.name for path in GUIDES} & {path.name for path in find_notebooks()}


@pytest.mark.slow
def test_guides_are_collected_by_the_one_test_command():
    """What README's test line runs: pytest without a path."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "notebooks"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in GUIDES:
        assert f"notebooks/guides/{path.name}::Cell 0" in done.stdout
