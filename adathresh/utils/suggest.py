"""What a misspelt name may have meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known names that a misspelt one resembles, as the end of a message.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        A question with at most two names, closest first, after a space; nothing where no name resembles it.

    Examples
    --------
    >>> did_you_mean("eurlex57", ["eurlex57k", "scene"])
    " Did you mean 'eurlex57k'?"
    """
    by_folded = {other.casefold(): other for other in sorted(set(known), reverse=True)}
    close = difflib.get_close_matches(name.casefold(), sorted(by_folded), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(by_folded[other]) for other in close)}?" if close else ""
