"""Where recomputable files are kept, and how a file is put in place whole."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path

import pooch


def cache_folder():
    """Return the folder of recomputable files: ``$ADATHRESH_CACHE``, else the platform's cache folder."""
    named = os.environ.get("ADATHRESH_CACHE")
    return Path(named).expanduser().absolute() if named else Path(pooch.os_cache("adathresh"))


@contextmanager
def whole_file(path):
    """Yield a temporary path beside ``path`` that takes its place only when the block ends without error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
