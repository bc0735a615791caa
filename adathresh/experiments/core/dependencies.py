"""Which sources of this package a result depends on, read off their imports."""

import ast
import hashlib
import importlib
import sys
from functools import cache
from pathlib import Path

import adathresh

PACKAGE = "adathresh"


def source_digests(module):
    """Hash what a module and all modules of this package that it imports, however far away, do.

    SHA-256 by the module's name, sorted; imports inside functions count; comments, docstrings and the
    package's version do not.
    """
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            path = _file(name)
            found[name], imports = _read(name, path, path.stat().st_mtime_ns)
            waiting += imports
    return dict(sorted(found.items()))


@cache
def _read(name, path, changed):
    """Return the digest of a module and the modules it imports; ``changed`` is when its file last did."""
    tree = ast.parse(path.read_bytes())
    imports = tuple(_imports(name, tree))
    return hashlib.sha256(_program(tree).encode()).hexdigest(), imports


def _program(tree):
    """Return what a source does: its syntax without comments, layout, docstrings and version."""
    tree.body = [node for node in tree.body if not _is_version(node)]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def _is_version(node):
    """Tell whether a line of a module says which version of the package it is."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets) == "__version__"


def _file(name):
    """Return the file of a module, without importing it or its packages: some of them take seconds."""
    if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
        return Path(sys.modules[name].__file__)
    place = Path(adathresh.__file__).parent.joinpath(*name.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _imports(name, tree):
    """Name the modules of this package that a source imports anywhere in its text."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = _absolute(name, node)
            found += [_imported(parent, alias.name) for alias in node.names]
    return [module for module in found if module == PACKAGE or module.startswith(f"{PACKAGE}.")]


def _absolute(name, node):
    """Return the module that ``from ... import`` names, relative to the module that holds the line."""
    if not node.level:
        return node.module
    parts = name.split(".")
    is_package = _file(name).name == "__init__.py"
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, node.module] if node.module else base)


def _imported(parent, name):
    """Return the module of a name: a submodule, one that is loaded on first use, or the parent itself."""
    if not parent.startswith(PACKAGE) or _file(parent).name != "__init__.py":
        return parent
    lazily = getattr(importlib.import_module(parent), "MODULES", {})
    if name in lazily:
        return lazily[name]
    return f"{parent}.{name}" if _file(f"{parent}.{name}").is_file() else parent
