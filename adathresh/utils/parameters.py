"""What parameters may be: one check for all classes, whose message names the parameter.

A class says in ``_parameters = parameters(...)`` what each of its parameters may be, and calls
:func:`check_parameters` first of all in ``fit``. (scikit-learn's own such check is not in its
public interface.)
"""

import math
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from adathresh.utils.suggest import did_you_mean


class Allowed(NamedTuple):
    """What a parameter may be, in words and as a test.

    Examples
    --------
    >>> whole(1).holds(3), whole(1).holds(0), whole(1).holds("3")
    (True, False, False)
    """

    words: str
    """As in "must be …"."""
    holds: Callable[[Any], bool]
    """Whether a value is allowed; it is never asked to raise."""
    choices: tuple[str, ...] = ()
    """The words among what is allowed, one of which a misspelt one may have meant."""


def check_value(name: str, value: Any, allowed: Allowed) -> None:
    """Raise where a value is not allowed.

    Parameters
    ----------
    name : str
        How the argument is called in the error message.
    value : object
        The value.
    allowed : Allowed
        What it may be.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> check_value("k", 1.5, whole(1))
    Traceback (most recent call last):
    ValueError: k must be a whole number, at least 1; got 1.5.
    """
    if not allowed.holds(value):
        meant = did_you_mean(value, allowed.choices) if isinstance(value, str) else ""
        raise ValueError(f"{name} must be {allowed.words}; got {value!r}.{meant}")


def parameters(**allowed: Allowed) -> Mapping[str, Allowed]:
    """List what the parameters of a class may be.

    Parameters
    ----------
    **allowed : Allowed
        What each may be, by name.

    Returns
    -------
    mapping of str to Allowed
        The same, read-only, as all instances share it.

    Examples
    --------
    >>> list(parameters(k=whole(1)))
    ['k']
    """
    return MappingProxyType(allowed)


def check_parameters(estimator: BaseEstimator) -> None:
    """Raise where a parameter of an estimator is not what its class allows.

    Parameters
    ----------
    estimator : estimator
        Its class has ``_parameters``, as :func:`parameters` returns them.

    Raises
    ------
    ValueError
        If a parameter is something else; the message names it.

    Examples
    --------
    >>> from adathresh.rules import RCut
    >>> check_parameters(RCut(5))
    """
    for name, allowed in estimator._parameters.items():
        check_value(name, getattr(estimator, name), allowed)


def whole(least: int | None = None, most: int | None = None) -> Allowed:
    """Allow whole numbers; True and False are none.

    Parameters
    ----------
    least, most : int, optional
        The range, its ends included.

    Returns
    -------
    Allowed
        Such numbers.

    Examples
    --------
    >>> whole(0, 9).words
    'a whole number from 0 to 9'
    """
    ends = {"at least": least, "at most": most}
    return Allowed(
        _with_ends("a whole number", ends), lambda value: _is_a(value, Integral) and _within(value, ends)
    )


def number(
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    finite: bool = True,
) -> Allowed:
    """Allow real numbers but NaN; True and False are none.

    Parameters
    ----------
    least, above, most, below : float, optional
        The range, with its end or without.
    finite : bool, default=True
        Whether infinity is not allowed.

    Returns
    -------
    Allowed
        Such numbers.

    Examples
    --------
    >>> number(least=0, below=1).words
    'a finite number, at least 0 and less than 1'
    """
    ends = {"at least": least, "greater than": above, "at most": most, "less than": below}
    refused = (lambda value: not math.isfinite(value)) if finite else math.isnan
    return Allowed(
        _with_ends("a finite number" if finite else "a number", ends),
        lambda value: _is_a(value, Real) and not refused(value) and _within(value, ends),
    )


def one_of(*choices: str) -> Allowed:
    """Allow some words.

    Parameters
    ----------
    *choices : str
        The words.

    Returns
    -------
    Allowed
        Any of them.

    Examples
    --------
    >>> one_of("f1", "errors").words
    "'f1' or 'errors'"
    """
    named = [repr(choice) for choice in choices]
    words = " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return Allowed(words, lambda value: isinstance(value, str) and value in choices, choices)


def flag() -> Allowed:
    """Allow True and False.

    Returns
    -------
    Allowed
        Python's and NumPy's.

    Examples
    --------
    >>> flag().holds(np.True_), flag().holds("yes")
    (True, False)
    """
    return Allowed("True or False", lambda value: isinstance(value, bool | np.bool_))


def verbosity() -> Allowed:
    """Allow what says whether to show progress: True and False, and numbers, as elsewhere in scikit-learn.

    Returns
    -------
    Allowed
        These.

    Examples
    --------
    >>> verbosity().holds(True), verbosity().holds(2)
    (True, True)
    """
    return either(flag(), whole(0))


def job_count() -> Allowed:
    """Allow a number of threads or processes in joblib's counting.

    Returns
    -------
    Allowed
        None, and whole numbers but 0.

    Examples
    --------
    >>> job_count().holds(None), job_count().holds(-1), job_count().holds(0)
    (True, True, False)
    """
    return Allowed(
        "a whole number other than 0 (-1: all cores), or None",
        lambda value: value is None or (_is_a(value, Integral) and value != 0),
    )


def seed() -> Allowed:
    """Allow what scikit-learn's ``check_random_state`` takes.

    Returns
    -------
    Allowed
        None, whole numbers from 0 to 2³² − 1, and RandomState instances.

    Examples
    --------
    >>> seed().holds(0), seed().holds(-1)
    (True, False)
    """
    numbers = whole(0, 2**32 - 1)
    return Allowed(
        "None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState",
        lambda value: value is None or isinstance(value, np.random.RandomState) or numbers.holds(value),
    )


def estimator_with(*methods: str) -> Allowed:
    """Allow estimators, not classes of such, that have some methods.

    Parameters
    ----------
    *methods : str
        Names of the methods.

    Returns
    -------
    Allowed
        Such estimators.

    Examples
    --------
    >>> estimator_with("fit", "predict").words
    'an estimator with the methods fit and predict'
    """
    needed = ("get_params", *methods)
    return Allowed(
        f"an estimator with the methods {' and '.join(methods)}",
        lambda value: not isinstance(value, type) and all(hasattr(value, method) for method in needed),
    )


def path() -> Allowed:
    """Allow places of files and folders.

    Returns
    -------
    Allowed
        Texts and path-like objects.

    Examples
    --------
    >>> path().holds("folder/file"), path().holds(1)
    (True, False)
    """
    return Allowed("a path, as a str or pathlib.Path", lambda value: isinstance(value, str | os.PathLike))


def sequence_of(allowed: Allowed, *, plural: str) -> Allowed:
    """Allow sequences and arrays of one dimension whose entries are allowed.

    Parameters
    ----------
    allowed : Allowed
        What each entry may be.
    plural : str
        What the entries are called together.

    Returns
    -------
    Allowed
        Such sequences; an empty one, too.

    Examples
    --------
    >>> sequence_of(whole(1), plural="whole numbers").holds([1, 2]), sequence_of(whole(1), plural="").holds(1)
    (True, False)
    """
    return Allowed(
        f"a sequence of {plural}",
        lambda value: _is_listed(value) and all(allowed.holds(entry) for entry in value),
    )


def either(*several: Allowed) -> Allowed:
    """Allow what one of several allows.

    Parameters
    ----------
    *several : Allowed
        The kinds.

    Returns
    -------
    Allowed
        Any of them.

    Examples
    --------
    >>> either(flag(), one_of("auto")).words
    "True or False, or 'auto'"
    """
    return Allowed(
        ", or ".join(allowed.words for allowed in several),
        lambda value: any(allowed.holds(value) for allowed in several),
        tuple(choice for allowed in several for choice in allowed.choices),
    )


def optional(allowed: Allowed) -> Allowed:
    """Allow None, too.

    Parameters
    ----------
    allowed : Allowed
        What a value other than None may be.

    Returns
    -------
    Allowed
        That, or None.

    Examples
    --------
    >>> optional(whole(1)).words
    'a whole number, at least 1, or None'
    """
    return either(allowed, Allowed("None", lambda value: value is None))


def _is_a(value, kind):
    """Tell whether a value is a number of a kind; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def _is_listed(value):
    """Tell whether a value has entries in a row."""
    if hasattr(value, "__array__"):  # also a column of a data frame
        return np.ndim(value) == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _within(value, ends):
    """Tell whether a number lies within a range."""
    tests = {
        "at least": operator.ge,
        "greater than": operator.gt,
        "at most": operator.le,
        "less than": operator.lt,
    }
    return all(end is None or tests[word](value, end) for word, end in ends.items())


def _with_ends(words, ends):
    """Name the ends of a range, where there are any."""
    if None not in (low := ends.get("at least"), high := ends.get("at most")):
        return f"{words} from {low} to {high}"
    named = " and ".join(f"{word} {end}" for word, end in ends.items() if end is not None)
    return f"{words}, {named}" if named else words
