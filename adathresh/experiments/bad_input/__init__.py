"""Every bad input of the public interface and the error that it gets: docs/bad_input.md, and its test.

A :class:`Call` is a public function, class or method with arguments that it takes and, for each of them, bad
values. The page is made by running all of them (:func:`page`); ``tests/experiments/test_bad_input.py`` holds
them against the interface: every public name is here, and every bad value gets an error of a documented class
that names the argument. A new public name gets its calls in the module of its room.
"""

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.base import clone

NAN = {"NaN": float("nan")}

ROOMS = {
    "The package: rule, classifier, the paper's method, files": "package",
    "adathresh.rules, adathresh.calibration": "rules",
    "adathresh.models": "models",
    "adathresh.signals": "signals",
    "adathresh.metrics": "metrics",
    "adathresh.datasets": "datasets",
    "adathresh.leakage": "leakage",
}
"""The modules with the calls of each part of the interface, by its heading on the page."""

LONGEST = 240
"""Characters of a message that the page shows."""


class Call(NamedTuple):
    """A public callable that works with what it is given, and what may be wrong with that."""

    name: str
    """As in ``SCut.fit``; a class where it is made by its own name."""
    function: Callable[..., Any]
    """What is called, with all arguments by name; of a method, the object is ``self``."""
    given: dict[str, Any]
    """Arguments that it takes."""
    wrong: dict[str, dict[str, Any]]
    """For each argument, what may be wrong with it in words, and a value with which it is."""

    def run(self, /, **changed):
        """Call the function, with some arguments changed."""
        return self.function(**self.given | changed)

    def error(self, /, **changed):
        """Return the error that the call gets with some arguments changed, or None."""
        try:
            self.run(**changed)
        except Exception as error:
            return error
        return None


def function(called, given, wrong):
    """Return the calls of a function, or of a class that checks what it is made of."""
    return [Call(called.__name__, called, given, wrong)]


def method(self, name, given, wrong, **states):
    """Return the calls of a method; ``states`` are objects that it cannot be called of, by what is wrong."""
    first = next(iter(given), None)  # by its place: scikit-learn's wrappers know it by no other name than X

    def called(self, **arguments):
        places = () if first is None else (arguments.pop(first),)
        return getattr(self, name)(*places, **arguments)

    bad = {state.replace("_", " "): other for state, other in states.items()}
    given, wrong = {"self": self} | given, ({"self": bad} if bad else {}) | wrong
    return [Call(f"{type(self).__name__}.{name}", called, given, wrong)]


def estimator(made, given, wrong, *, parameters=None):
    """Return the calls of a class whose ``fit`` checks its parameters, and of that ``fit``.

    Each parameter is set to NaN, which none may be, and to what ``parameters`` has besides.
    """
    cls, settings = type(made), made.get_params(deep=False)
    bad = {name: NAN | (parameters or {}).get(name, {}) for name in settings}
    made_of = Call(cls.__name__, lambda **changed: cls(**changed).fit(**given), settings, bad)
    return [made_of, *method(made, "fit", given, wrong)] if settings else method(made, "fit", given, wrong)


def used(fitted, names, given, wrong, **states):
    """Return the calls of methods that need a fitted object."""
    states = {"not_fitted": clone(fitted)} | states
    return [call for name in names for call in method(fitted, name, given, wrong, **states)]


def calls_of(room, folder):
    """Return the calls of a room; files that they need are written into a folder."""
    return importlib.import_module(f"{__name__}.{room}").calls(folder)


def page():
    """Build the tables of bad input and errors, a line for all that get the same one."""
    parts = []
    for heading, room in ROOMS.items():
        with tempfile.TemporaryDirectory() as folder:
            lines = _lines(calls_of(room, Path(folder)), folder)
        parts += [
            f"## {heading}",
            "",
            "| object | argument | what is wrong | error and message |",
            "|---|---|---|---|",
        ]
        parts += [*lines, ""]
    return "\n".join(parts[:-1])


def _lines(calls, folder):
    """Return the lines of one table."""
    found = {}
    for call in calls:
        for argument, bad in call.wrong.items():
            for words, value in bad.items():
                cells = argument, words, _shown(call.error(**{argument: value}), folder)
                found.setdefault(cells, []).append(call.name)
    return [
        f"| {_objects(names)} | `{argument}` | {words} | {error} |"
        for (argument, words, error), names in found.items()
    ]


def _objects(names):
    """Return names as a cell of a table, the methods of a class after it."""
    of = {}
    for name in names:
        owner, _, method_name = name.partition(".")
        of.setdefault(owner, []).extend([method_name] if method_name else [])
    cells = (f"`{owner}`" + (f" ({', '.join(methods)})" if methods else "") for owner, methods in of.items())
    return ", ".join(cells)


def _shown(error, folder):
    """Return an error as a cell of a table, without places of this machine."""
    message = " ".join(str(error).replace(folder, "…").split())
    cut = message if len(message) <= LONGEST else f"{message[:LONGEST]} …"
    return f"`{type(error).__name__}`: `` {cut} ``".replace("|", r"\|")
