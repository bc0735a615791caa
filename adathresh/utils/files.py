"""Where data and recomputable files are kept, and how a file is put in place whole."""

import contextlib
import errno
import glob
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PathLike = str | os.PathLike[str]

# Writing fails with these, and the system does not say which file it was.
DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EIO} | {getattr(errno, "EDQUOT", errno.ENOSPC)}


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

    Raises
    ------
    OSError
        If the disk is full or fails; the error names the file.

    See Also
    --------
    remove_temporaries : Clean up after a process that was killed while it wrote.

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
    except OSError as error:
        if error.errno in DISK_ERRORS and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(path: PathLike) -> None:
    """Remove what processes that were killed within :func:`whole_file` have left of a file.

    Call it only where no other process can be writing the file.

    Parameters
    ----------
    path : str or path-like
        The file that was to be written; it is left as it is.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/.table-0123abcd.csv").write_text("a,")
    ...     remove_temporaries(f"{folder}/table.csv"), os.listdir(folder)
    (None, [])
    """
    path = Path(path)
    digits = "[0-9a-f]" * 8
    for left in path.parent.glob(f".{glob.escape(path.stem)}-{digits}{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)
