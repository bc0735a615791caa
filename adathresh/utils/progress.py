"""Progress bars: of widgets in a notebook that has them, else of text."""

import os
import warnings
from typing import Any

with warnings.catch_warnings():
    # Where a notebook has no widgets, tqdm says so once; the warning would print a path into the outputs.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import tqdm.auto as _tqdm


def tqdm(*args: Any, disable: bool = False, **options: Any) -> Any:
    """Make a bar of progress; none is shown where ``$TQDM_DISABLE`` is set, whoever asks for one.

    Parameters
    ----------
    *args
        What tqdm takes.
    disable : bool, default=False
        Whether to show none.
    **options
        What else tqdm takes.

    Returns
    -------
    tqdm.auto.tqdm
        The bar.

    Examples
    --------
    >>> list(tqdm(range(3), disable=True))
    [0, 1, 2]
    """
    return _tqdm.tqdm(*args, disable=disable or bool(os.environ.get("TQDM_DISABLE")), **options)
