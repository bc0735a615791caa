"""Where data and recomputable files are kept, and how a file is put in place whole."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PathLike = str | os.PathLike[str]


def data_folder(data_dir: PathLike | None = None) -> Path:
    """Return the folder that holds the data sets.

    Parameters
    ----------
    data_dir : str or path-like, optional
        The folder; by default the environment variable ADATHRESH_DATA, else the platform's cache folder.

    Returns
    -------
    pathlib.Path
        The folder, which need not exist.

    Examples
    --------
    >>> data_folder("data").name
    'data'
    """
    return _first_named(data_dir, "ADATHRESH_DATA")


def cache_folder(cache_dir: PathLike | None = None) -> Path:
    """Return the folder of files that can be computed anew.

    Parameters
    ----------
    cache_dir : str or path-like, optional
        The folder; by default the environment variable ADATHRESH_CACHE, else the platform's cache folder.

    Returns
    -------
    pathlib.Path
        The folder as an absolute path; it need not exist.

    Examples
    --------
    >>> cache_folder("cache").is_absolute()
    True
    """
    return _first_named(cache_dir, "ADATHRESH_CACHE").absolute()


def _first_named(folder, variable):
    """Return the given folder, else that of an environment variable, else the platform's cache folder."""
    named = folder or os.environ.get(variable)
    if not named:
        import pooch  # takes a tenth of a second, which `adathresh --help` need not wait for

        named = pooch.os_cache("adathresh")
    return Path(named).expanduser()


@contextlib.contextmanager
def whole_file(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path that takes the place of ``path`` when the block ends without an error.

    The file is either complete or not there: a run that is stopped while it writes leaves the old file.
    Missing folders are made.

    Parameters
    ----------
    path : str or path-like
        The file to write or to replace.

    Yields
    ------
    pathlib.Path
        A path in the same folder, with the same suffix, to write to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, whole_file(f"{folder}/table.csv") as temporary:
    ...     temporary.write_text("a,b")
    3
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
