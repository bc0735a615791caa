"""Keep the arrays of slow computations between runs, for exactly as long as they stay valid."""

import hashlib
import json
import warnings
import zipfile
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp

from adathresh.experiments.core.dependencies import source_digests
from adathresh.utils.files import cache_folder, whole_file

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")  # their numerics decide the stored values
CSR_PARTS = ("data", "indices", "indptr", "shape")
_DESCRIPTION = ".description"  # no result has this name, as a part of CSR comes after the dot


def cached_arrays(key, compute):
    """Return the arrays of a computation, from disk if the same one was done before.

    ``key`` has all that the result depends on, in JSON types: the data's fingerprint, parameters, the random
    state. A file is found again only for the same key, the same sources (of the module that ``compute`` is
    written in and of all that it imports from this package) and the same versions of the numerical libraries,
    so a changed program never meets stale numbers.

    A file that says of itself that it is of another computation (it was copied or renamed), or that is
    damaged, is replaced with a warning. Files lie under ``$ADATHRESH_CACHE`` or the platform's cache folder
    and may be deleted at any time.
    """
    description = _describe(key, compute.__module__)
    path = cache_folder() / "runs" / f"{hashlib.sha256(description.encode()).hexdigest()}.npz"
    if path.is_file():
        try:
            return _load(path, description)
        except _ForeignFileError as error:
            warnings.warn(f"{path} is not used ({error}); computing it again.", stacklevel=2)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(f"{path} is damaged ({error}); computing it again.", stacklevel=2)
    arrays = {name: _as_stored(name, array) for name, array in compute().items()}
    _save(path, arrays, description)
    return arrays


class _ForeignFileError(Exception):
    """A stored file is of another computation."""


def _describe(key, module):
    """Return everything that a result depends on, as one text."""
    everything = {
        "key": key,
        "sources": source_digests(module),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return json.dumps(everything, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _as_stored(name, array):
    """Return an array as it will come back from disk."""
    array = sp.csr_array(array) if sp.issparse(array) else np.asarray(array)
    if array.dtype.hasobject:
        raise TypeError(f"{name} holds Python objects, which are not stored.")
    return array


def _save(path, arrays, description):
    """Write arrays and what they were computed from; a CSR matrix as its parts."""
    plain = {_DESCRIPTION: np.array(description)}
    for name, array in arrays.items():
        if sp.issparse(array):
            plain |= {f"{name}.{part}": np.asarray(getattr(array, part)) for part in CSR_PARTS}
        else:
            plain[name] = array
    with whole_file(path) as temporary:
        np.savez(temporary, **plain)


def _load(path, description):
    """Read what :func:`_save` wrote."""
    arrays = {}
    with np.load(path, allow_pickle=False) as file:
        if str(file[_DESCRIPTION]) != description:
            raise _ForeignFileError("it is of other data, parameters, sources or libraries")
        for stored in file.files:
            if stored == _DESCRIPTION:
                continue
            name, _, part = stored.rpartition(".")
            if part not in CSR_PARTS or not name:
                arrays[stored] = file[stored]
            elif part == "data":
                data, indices, indptr, shape = (file[f"{name}.{p}"] for p in CSR_PARTS)
                arrays[name] = sp.csr_array((data, indices, indptr), shape=tuple(int(n) for n in shape))
    return arrays
