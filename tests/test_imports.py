"""What imports what: no torch and no matplotlib behind the method, and arrows that point downwards only."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import adathresh

PACKAGE = Path(adathresh.__file__).parent
ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

FLOORS = [
    {"__main__"},
    {"experiments", "explorer"},
    {"self_training"},
    {"classifier", "leakage", "paper", "rules"},
    {"models", "posthoc"},
    {"datasets", "metrics"},
    {"signals"},
    {"saving"},
    {"utils"},
]
"""The rooms of the house, from the top floor down: each imports from floors below its own, or from itself."""

SAME_ROOM = {"baselines": "models", "calibration": "metrics"}
"""Modules that stand beside the room they belong to, and old names of rooms."""

WITHOUT_TORCH = [
    "calibration",
    "datasets",
    "leakage",
    "metrics",
    "posthoc",
    "rules",
    "saving",
    "signals",
    "utils",
]
"""Rooms that need neither torch nor matplotlib."""

NEED_TORCH = {"adathresh.utils.checkpoint"}
"""Modules of these rooms that are there for trainings in torch."""

TOY = """
from adathresh import AdaptiveThreshold, AdaptiveThresholdClassifier
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
X, Y = make_multilabel_classification(random_state=0)
clf = AdaptiveThresholdClassifier(OneVsRestClassifier(LogisticRegression()), random_state=0).fit(X, Y)
assert clf.decide(X).label_sets.any()
assert clf.explain(X[0], 0).neighbors
"""


# Not None in sys.modules: SciPy takes what is in there for loaded.
BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def fresh(code, *, blocked=()):
    """Run a program in a new interpreter that lacks some packages."""
    program = BLOCK.format(blocked=set(blocked) or {None}) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent)


def module_names(room):
    """Name all modules of a room."""
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").is_file() else (PACKAGE / room).rglob("*.py")
    parts = [file.relative_to(PACKAGE.parent).with_suffix("").parts for file in files]
    return sorted(".".join(part for part in names if part != "__init__") for names in parts)


# What an installation without extras has

# What the library imports beyond its dependencies, and the extra that brings it.
OPTIONAL = {
    "huggingface_hub": "transformers",  # sentence-transformers needs it, and the next one
    "transformers": "transformers",
    "ipywidgets": "notebooks",
    "omikuji": "trees",
    "onnx": "onnx",
    "rdflib": "skos",
    "sentence_transformers": "transformers",
    "torch": "paper",
    "usearch": "approximate",
    "xcolumns": "xcolumns",
}


def distributions(requirements):
    """Name the distributions that requirements ask for."""
    return {canonicalize_name(Requirement(text).name) for text in requirements}


CORE = distributions(PROJECT["dependencies"])


def top_levels(names):
    """Return the modules that distributions bring."""
    return {
        module
        for module, owners in packages_distributions().items()
        if any(canonicalize_name(owner) in names for owner in owners)
    }


def with_what_they_need(names):
    """Add all that distributions need without extras, and what that needs in turn."""
    found, waiting = set(), set(names)
    while waiting:
        found.add(name := waiting.pop())
        needed = map(Requirement, requires(name) or [])
        here = {need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})}
        waiting |= {canonicalize_name(name) for name in here} - found
    return found


def imported_by_the_library():
    """Return the modules of other distributions that are imported anywhere outside the experiments."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if "experiments" in path.relative_to(PACKAGE).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"adathresh"}


@pytest.mark.slow
def test_the_dependencies_are_what_the_library_imports():
    imported = imported_by_the_library()
    assert imported - top_levels(CORE) == set(OPTIONAL)
    assert [name for name in sorted(CORE) if not top_levels({name}) & imported] == []


def test_every_extra_is_there_under_the_name_that_errors_say():
    assert set(OPTIONAL.values()) | {"notebooks"} <= set(PROJECT["optional-dependencies"])


def test_the_installation_page_names_every_extra():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| (`.*?) \|", page, flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(named))) == sorted(PROJECT["optional-dependencies"])


@pytest.mark.slow
def test_the_library_and_the_readme_need_no_extra(tmp_path):
    core = top_levels(with_what_they_need(CORE))
    others = set(packages_distributions()) - core - {"adathresh"}
    assert {"torch", "matplotlib", "pandas", "IPython", "papermill"} <= others
    names = [name for room in WITHOUT_TORCH for name in module_names(room) if name not in NEED_TORCH]
    assert len(names) > 50
    imports = "\n".join(f"import {name}" for name in names)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)[1]
    command = f"""
from adathresh.__main__ import main
assert main(["data", "list", "--data-dir", {str(tmp_path)!r}]) == 0
"""
    done = fresh(imports + TOY + example + command, blocked=others)
    assert done.returncode == 0, done.stderr
    said = re.findall(r"^# (.*)$", example, flags=re.MULTILINE)
    assert done.stdout.splitlines()[: len(said)] == said


@pytest.mark.parametrize(
    "code",
    [
        "from adathresh import AdaptiveThresholdNetwork",
        "from adathresh import AdaptiveThresholdLoss",
        "from adathresh import ThresholdFusion",
        "import adathresh.paper.network",
        "from adathresh.models import LogisticHead",
        "from adathresh.models import FrozenTransformer",
    ],
)
def test_what_needs_torch_says_how_to_install_it(code):
    done = fresh(code, blocked=("torch",))
    assert re.fullmatch(
        r'ImportError: .* needs torch: pip install "adathresh\[paper\]"', done.stderr.splitlines()[-1]
    )


@pytest.mark.parametrize("module", ["adathresh.paper.network", *sorted(NEED_TORCH)])
def test_the_block_of_torch_works(module):
    done = fresh(f"import {module}", blocked=("torch",))
    assert "ModuleNotFoundError: No module named 'torch'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import adathresh", {"numpy", "scipy", "sklearn", "torch", "matplotlib", "pandas"}),
        ("from adathresh import AdaptiveThreshold, AdaptiveThresholdClassifier", {"torch", "matplotlib"}),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code, absent):
    done = fresh(f"{code}\nprint(set(sys.modules) & {absent!r})")
    assert done.stdout == "set()\n", done.stderr


def test_type_checkers_see_what_is_loaded_on_first_use():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == adathresh.MODULES
    assert all(getattr(adathresh, name).__name__ == name for name in seen)


# Arrows


def room_of(path, package):
    """Name the room that a file belongs to."""
    name = path.relative_to(package).parts[0].removesuffix(".py")
    return SAME_ROOM.get(name, name)


def imported_rooms(path, package):
    """Return the rooms that a module imports from, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["adathresh", *path.relative_to(package).parent.parts] if node.level else []
            base = base[: len(base) - node.level + 1] + (node.module.split(".") if node.module else [])
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for top, *rest in names:
            if top == "adathresh" and rest and not rest[0].startswith("__"):
                found.add(adathresh.MODULES.get(rest[0], f"adathresh.{rest[0]}").split(".")[1])
    return {SAME_ROOM.get(room, room) for room in found}


def wrong_arrows(package):
    """Return (module, room) of every import that does not point to a lower floor or into the own room."""
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    return [
        (path.relative_to(package).as_posix(), room)
        for path in sorted(package.rglob("*.py"))
        if path != package / "__init__.py"
        for room in sorted(imported_rooms(path, package) - {room_of(path, package)})
        if floor[room] <= floor[room_of(path, package)]
    ]


def test_arrows_point_downwards_only():
    files = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert {room_of(path, PACKAGE) for path in files} == set().union(*FLOORS)
    assert wrong_arrows(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("models/new.py", "from adathresh.paper.network import MultiLabelNetwork", "paper"),
        ("models/new.py", "from adathresh import AdaptiveThresholdNetwork", "paper"),
        ("models/new.py", "from ..posthoc import threshold", "posthoc"),
        ("posthoc/new.py", "def f():\n    import adathresh.leakage.auditing", "leakage"),
        ("datasets/new.py", "from adathresh.leakage import audit", "leakage"),
        ("datasets/new.py", "from adathresh.metrics import f1", "metrics"),
        ("signals/new.py", "from adathresh.datasets import Dataset", "datasets"),
        ("rules/new.py", "from .. import experiments", "experiments"),
        ("utils/new.py", "from ..signals.idf import LabelIDF", "signals"),
        ("calibration.py", "from adathresh import posthoc", "posthoc"),
        ("classifier.py", "from .paper import classifier", "paper"),
    ],
)
def test_a_wrong_arrow_is_found_however_it_is_written(tmp_path, file, line, wrong):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line)
    assert wrong_arrows(tmp_path) == [(file, wrong)]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("rules/new.py", "from . import base\nfrom .base import DecisionRule\nfrom ..utils import grouped"),
        ("metrics/new.py", "from adathresh.calibration import reliability_curve\nimport sklearn.datasets"),
        ("calibration.py", "from .metrics import f1"),
        ("datasets/new.py", "from adathresh import LabelKnowledge"),
        ("classifier.py", "from adathresh import AdaptiveThreshold, __version__"),
        ("experiments/core/new.py", "from ...leakage import audit\nfrom .. import nb01_data"),
    ],
)
def test_arrows_downwards_and_within_a_room_are_free(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    assert wrong_arrows(tmp_path) == []
