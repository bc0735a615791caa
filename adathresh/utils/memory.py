"""The memory that work is sure to take, compared with what the machine has, before the work begins."""

import os
from pathlib import Path

# What a container may take: control groups of Linux, in their second and first version.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory() -> int | None:
    """Return the memory of the machine, or of the container.

    Returns
    -------
    int or None
        Bytes; None where they cannot be known (Windows).

    Examples
    --------
    >>> memory = machine_memory()
    >>> memory is None or memory > 2**20
    True
    """
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        return None
    for path in _LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # there is none, or it is "max"
            continue
    return min(found)


def check_memory(size: int, what: str, advice: str) -> None:
    """Raise where work takes more memory than there is, rather than hours before it fails.

    Parameters
    ----------
    size : int
        Bytes that the work is sure to take.
    what : str
        What takes them, as the message begins.
    advice : str
        What to do instead, as the message ends.

    Raises
    ------
    MemoryError
        If the machine, or the container, has less.

    Examples
    --------
    >>> check_memory(2**60, "Weights of 2**40 labels", "take fewer")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    MemoryError: Weights of 2**40 labels would take 1073741824.0 GiB, and the machine has ...; take fewer.
    """
    limit = machine_memory()
    if limit is not None and size > limit:
        raise MemoryError(
            f"{what} would take {size / 2**30:.1f} GiB, and the machine has {limit / 2**30:.1f}; {advice}."
        )
