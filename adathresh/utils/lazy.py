"""Names of a package that are imported on first use, so that nobody waits for what is not used."""

import importlib
from collections.abc import Callable, Mapping


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable, Callable]:
    """Make the ``__getattr__`` and ``__dir__`` of a package whose names lie in its modules.

    Parameters
    ----------
    package : str
        Name of the package, its ``__name__``.
    modules : mapping of str to str
        The full name of the module that each name lies in.

    Returns
    -------
    getattr, dir : callable
        To be assigned to ``__getattr__`` and ``__dir__`` of the package.

    Examples
    --------
    >>> find, names = lazy_names("shapes", {"sqrt": "math"})
    >>> find("sqrt")(9.0), names()
    (3.0, ['sqrt'])
    """

    def _find(name):
        """Import what a name stands for."""
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def _names():
        """Name what can be imported."""
        return sorted(modules)

    return _find, _names
