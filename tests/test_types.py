"""Type hints: every public function of the library has them, and they fit together."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import adathresh

PACKAGE = Path(adathresh.__file__).parent
ROOMS = [
    "calibration.py",
    "classifier.py",
    "datasets",
    "leakage",
    "metrics",
    "models",
    "paper",
    "posthoc",
    "rules",
    "saving.py",
    "signals",
    "utils",
]


def without_hints(source):
    """Return the public functions and methods of a module that lack a hint for an argument or the result."""
    found = []

    def visit(body, prefix):
        for node in body:
            name = getattr(node, "name", "_")
            if name.startswith("_"):
                continue
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{name}.")
            elif isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                given = arguments[1:] if prefix and not is_static(node) else arguments
                if node.returns is None or any(argument.annotation is None for argument in given):
                    found.append(prefix + name)

    visit(ast.parse(source).body, "")
    return found


def is_static(function):
    return any(getattr(decorator, "id", "") == "staticmethod" for decorator in function.decorator_list)


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_have_type_hints(room):
    paths = [PACKAGE / room] if room.endswith(".py") else sorted((PACKAGE / room).glob("[!_]*.py"))
    assert paths
    missing = {
        path.name: names for path in paths if (names := without_hints(path.read_text(encoding="utf-8")))
    }
    assert not missing


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a: int) -> int: ...", []),
        ("def f(a) -> int: ...", ["f"]),
        ("def f(*, a=1) -> int: ...", ["f"]),
        ("def f(): ...", ["f"]),
        ("def _f(a): ...", []),
        ("class A:\n    def f(self, a): ...", ["A.f"]),
        ("class A:\n    def f(self) -> None: ...\n    def __init__(self, a): ...", []),
        ("class A:\n    @staticmethod\n    def f(a) -> None: ...", ["A.f"]),
    ],
)
def test_missing_hints_are_found(source, expected):
    assert without_hints(source) == expected


@pytest.mark.slow
def test_mypy():
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_others_are_told_that_there_are_hints():
    assert (PACKAGE / "py.typed").is_file()
