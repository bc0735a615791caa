"""Which sources of this package a result depends on, read off their imports."""

import ast
import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

import adathresh

PACKAGE = "adathresh"


def source_digests(module):
    """Hash the sources of a module and of every module of this package that it imports, however far away.

    SHA-256 by the module's name, sorted; imports inside functions count.
    """
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        source = _source(name)
        found[name] = hashlib.sha256(source).hexdigest()
        waiting += _imports(name, source)
    return dict(sorted(found.items()))


def _source(name):
    """Return the source of a module; that of a package is its __init__."""
    return _file(name).read_bytes()


def _file(name):
    """Return the file of a module, which need not have been loaded."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    return Path(loaded or importlib.util.find_spec(name).origin)


def _imports(name, source):
    """Name the modules of this package that a source imports anywhere in its text."""
    found = []
    for node in ast.walk(ast.parse(source)):
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
    """Return the module that a name comes from: a submodule, a lazily loaded class, or the parent itself."""
    if parent == PACKAGE and name in adathresh.MODULES:
        return f"{PACKAGE}.{adathresh.MODULES[name]}"
    return f"{parent}.{name}" if parent.startswith(PACKAGE) and _is_module(f"{parent}.{name}") else parent


@cache
def _is_module(name):
    """Whether there is a module of this name."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
