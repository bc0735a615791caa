"""Keep the arrays of slow computations between runs, for exactly as long as they stay valid."""

import hashlib
import importlib.util
import json
import warnings
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from adathresh import __version__
from adathresh._cache import cache_folder, whole_file

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")  # their numerics decide the stored values
CSR_PARTS = ("data", "indices", "indptr", "shape")
_DESCRIPTION = ".description"  # no result has this name, as a part of CSR comes after the dot


def cached_arrays(key, compute, *, modules=("adathresh",)):
    """Return the arrays of a computation, from disk if the same one was done before.

    A file is found again only for the same key, the same version and sources of this package and the same
    versions of the numerical libraries, so a changed program never meets stale numbers. A file that says of
    itself that it is of another computation (it was copied or renamed), or that is damaged, is not used: a
    warning names it, and it is replaced. The files lie under ``$ADATHRESH_CACHE`` or the platform's cache
    folder and may be deleted at any time.

    Parameters
    ----------
    key : dict
        Everything that the result depends on, in JSON types: the data's fingerprint, the model's parameters,
        the random state.
    compute : callable
        Called without arguments when there is no file; returns a dict of str to numpy.ndarray or CSR.
    modules : sequence of str, default=("adathresh",)
        The modules whose sources the result depends on; a package stands for all modules inside it.

    Returns
    -------
    dict of str to numpy.ndarray or scipy.sparse.csr_array
        What ``compute`` returned, with sparse matrices as ``csr_array``.

    Raises
    ------
    TypeError
        If the key is not JSON, or an array holds Python objects.
    ValueError
        If the key holds NaN or infinity.
    """
    description = _describe(key, modules)
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


def _describe(key, modules):
    """Return everything that a result depends on, as one text."""
    everything = {
        "key": key,
        "adathresh": __version__,
        "sources": {name: _source_digest(name) for name in modules},
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return json.dumps(everything, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _source_digest(module):
    """Return the digest of a module's source, or of all sources of a package."""
    origin = Path(importlib.util.find_spec(module).origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(origin.parent).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


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
            if not name:
                arrays[stored] = file[stored]
            elif part == "data":
                data, indices, indptr, shape = (file[f"{name}.{p}"] for p in CSR_PARTS)
                arrays[name] = sp.csr_array((data, indices, indptr), shape=tuple(int(n) for n in shape))
    return arrays
