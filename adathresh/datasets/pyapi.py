"""The embedded corpora: from the description of a function, suggest what its body calls.

The rows are the documented functions of the installed scientific packages, read from their source files with
:mod:`ast`. Nothing is imported and nothing is redistributed. "pyapi" reads matplotlib, numpy, scipy and
scikit-learn; "pyapi-large" reads torch, too, and has twice as many rows and labels. Which rows there are
depends on the versions of these packages and on nothing else.
"""

import ast
import contextlib
import dataclasses
import gc
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import pooch

from adathresh.datasets.formats import DatasetError
from adathresh.datasets.texts import TextRow, write_text_folder
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.files import PathLike, cache_folder, whole_file
from adathresh.utils.progress import tqdm

# The corpora by name, and the packages that each one reads, by the names under which they are imported.
CORPORA = {
    "pyapi": ("matplotlib", "numpy", "scipy", "sklearn"),
    "pyapi-large": ("matplotlib", "numpy", "scipy", "sklearn", "torch"),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where pip knows a package by another name
LAYOUT = 2  # to be raised when the same packages should give another corpus
MIN_FILES = 3
SHARES = {"train": 0.70, "dev": 0.15, "test": 0.15}
# Written when a package is built or installed, so that they differ between machines.
GENERATED = {
    "__config__.py",
    "_distributor_init.py",
    "_distributor_init_local.py",
    "_version.py",
    "version.py",
}
# Tests say what they test, not what they do; distutils comes only with wheels for old interpreters.
LEFT_OUT = {"tests", "testing", "distutils"}

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECTIONS = (
    "args|arguments|attributes|call signature|call signatures|example|examples|inputs|keyword args|"
    "keyword arguments|kwargs|methods|note|notes|other parameters|outputs|parameters|raises|receives|"
    "references|return|returns|see also|shape|usage|warning|warnings|warns|yield|yields"
)
_SECTION_START = re.compile(
    rf"^\s*(?:(?:{_SECTIONS})[ \t]*(?::|$)"  # numpy's headers, and Google's, which end in a colon
    r"|[^\s].*\n\s*(?:-{3,}|={3,})\s*$"  # any other underlined header
    r"|:(?:param|parameter|arg|argument|type|return|returns|rtype|raise|raises|yield|yields|keyword)\b"
    r"|>>>)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    """The rows of an embedded corpus.

    Attributes
    ----------
    splits : dict of str to list of TextRow
        Rows of train, dev and test; the group of a row is its source file.
    label_names : list of str
        Names that are called in at least three files, sorted.
    versions : dict of str to str
        Version of each package that was read.
    skipped_files : int
        Source files that are not valid Python for this interpreter.

    Examples
    --------
    >>> row = TextRow(uid="1", text="add two numbers", labels=("sum",), group="a.py")
    >>> parts = {"train": [row], "dev": [], "test": []}
    >>> Corpus(splits=parts, label_names=["sum"], versions={}, skipped_files=0).fingerprint[:8]
    'bb3bd7d5'
    """

    splits: dict[str, list[TextRow]]
    label_names: list[str]
    versions: dict[str, str]
    skipped_files: int

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, over texts, labels and files of all rows.

        Returns
        -------
        str
            The same between two builds, processes and machines with the same package sources.
        """
        digest = hashlib.sha256()
        for split, rows in self.splits.items():
            for row in rows:
                digest.update(json.dumps([split, row.uid, row.text, row.labels, row.group]).encode())
        return digest.hexdigest()


def corpus_versions(packages: Sequence[str]) -> dict[str, str]:
    """Look up the installed versions of packages.

    Parameters
    ----------
    packages : sequence of str
        Import names.

    Returns
    -------
    dict of str to str
        The name that pip knows, and the version, sorted.

    Raises
    ------
    DatasetError
        If one of them is not installed: the corpus would be another one.

    Examples
    --------
    >>> list(corpus_versions(("sklearn", "numpy")))
    ['numpy', 'scikit-learn']
    """
    versions, missing = {}, []
    for name in sorted(DISTRIBUTIONS.get(package, package) for package in packages):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise DatasetError(
            f"the embedded corpus is read from the sources of {', '.join(sorted(packages))}, but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: "
            f"pip install {' '.join(missing)}"
        )
    return versions


def build_corpus(packages: Sequence[str] = CORPORA["pyapi"], *, progress: bool = True) -> Corpus:
    """Read a corpus from the sources of installed packages.

    Each function with a docstring is a row. Its title is its qualified name, split into words; its text is
    the title and the docstring up to the first section header; its labels are the names of the functions and
    classes that its body calls, as far as they are called in at least three files. Of rows with the same text
    only the first is kept, rows without labels are left out. A hash of the path of its file, relative to the
    package, decides the split of a row.

    Parameters
    ----------
    packages : sequence of str
        Import names.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    Corpus
        The rows, in the order of packages, paths and lines.

    Raises
    ------
    DatasetError
        If one of the packages is not installed, or has no source files.

    Examples
    --------
    >>> corpus = build_corpus(("pooch",), progress=False)
    >>> "makedirs" in corpus.label_names
    True
    """
    versions = corpus_versions(packages)
    files = [(package, *paths) for package in sorted(packages) for paths in _sources(package)]
    if without := sorted(set(packages) - {package for package, *_ in files}):
        raise DatasetError(f"{', '.join(without)}: installed without source files (*.py), which are read.")
    rows: list[TextRow] = []
    texts: set[str] = set()
    files_of_label: dict[str, set[str]] = {}
    skipped = 0
    for package, file, path in tqdm(files, desc="reading package sources", unit="file", disable=not progress):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old escape sequences in other people's strings
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            skipped += 1
            continue
        module = [package, *Path(file).with_suffix("").parts]
        for names, function in _functions(tree, module[:-1] if module[-1] == "__init__" else module):
            docstring = ast.get_docstring(function)
            title = " ".join(_words(names))
            text = docstring and " ".join([title, *prose(docstring).split()]).strip()
            if not text or text in texts:
                continue
            texts.add(text)
            labels = tuple(sorted(_calls(function)))
            for label in labels:
                files_of_label.setdefault(label, set()).add(f"{package}/{file}")
            uid = f"{'.'.join(names)}:{function.lineno}"
            group = f"{package}/{file}"
            rows.append(TextRow(uid=uid, title=title, text=text, labels=labels, group=group))
    label_names = sorted(label for label, where in files_of_label.items() if len(where) >= MIN_FILES)
    kept = set(label_names)
    splits: dict[str, list[TextRow]] = {split: [] for split in SHARES}
    for row in rows:
        labels = tuple(label for label in row.labels if label in kept)
        if labels:
            splits[split_of(str(row.group))].append(dataclasses.replace(row, labels=labels))
    return Corpus(splits=splits, label_names=label_names, versions=versions, skipped_files=skipped)


def split_of(file: str) -> str:
    """Name the split of a source file; the same on every machine.

    Parameters
    ----------
    file : str
        Path within the package, with slashes, the package first.

    Returns
    -------
    {"train", "dev", "test"}
        The split.

    Examples
    --------
    >>> split_of("numpy/core.py"), split_of("sklearn/base.py")
    ('test', 'train')
    """
    position = int.from_bytes(hashlib.sha256(file.encode()).digest()[:8], "big") / 2**64
    if position < SHARES["train"]:
        return "train"
    return "dev" if position < SHARES["train"] + SHARES["dev"] else "test"


def prose(docstring: str) -> str:
    r"""Return a docstring up to its first section header, in numpy, Google or Sphinx style.

    Parameters
    ----------
    docstring : str
        A docstring with its indentation cleaned.

    Returns
    -------
    str
        Its summary and extended description, stripped.

    Examples
    --------
    >>> prose("Add two numbers.\n\nParameters\n----------\na : int")
    'Add two numbers.'
    """
    header = _SECTION_START.search(docstring)
    return docstring[: header.start()].strip() if header else docstring.strip()


@contextlib.contextmanager
def _without_search_for_cycles():
    """Do not look for cyclic garbage: syntax trees have no cycles, and looking takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _sources(package):
    """Yield the relative and the full path of each source file of a package, which is not imported."""
    specification = importlib.util.find_spec(package)
    for folder in sorted(specification.submodule_search_locations or ()) if specification else ():
        paths = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*.py")}
        for file in sorted(paths):
            *parents, name = file.split("/")
            if name not in GENERATED and LEFT_OUT.isdisjoint(parents):
                yield file, paths[file]


def _functions(node, names):
    """Yield the qualified name and the node of each function below a node, in the order of the source."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            continue  # an expression defines no function
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = [*names, child.name]
            if not isinstance(child, ast.ClassDef):
                yield inner, child
            yield from _functions(child, inner)
        else:
            yield from _functions(child, names)


def _calls(function):
    """Return the last part of the name of everything that the body of a function calls."""
    called = set()
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
                called.add(node.func.id if isinstance(node.func, ast.Name) else node.func.attr)
    return called


def _words(names):
    """Split the parts of a qualified name at underscores and capitals."""
    return [word for name in names for word in _WORDS.findall(name)]


def cached_corpus(
    name: str = "pyapi", *, cache_dir: PathLike | None = None, progress: bool = True
) -> tuple[Path, str]:
    """Return the folder of an embedded corpus, which is built when it is not there yet.

    Parameters
    ----------
    name : {"pyapi", "pyapi-large"}, default="pyapi"
        Which corpus.
    cache_dir : str or path-like, optional
        Where the folder lies; by default ``$ADATHRESH_CACHE``, else the platform's cache folder, or a
        temporary one where that is read-only.
    progress : bool, default=True
        Whether to show progress.

    Returns
    -------
    folder : pathlib.Path
        A data folder whose name carries that of the corpus and a hash of the package versions.
    description : str
        Packages, versions and fingerprint of the texts and labels.

    Raises
    ------
    DatasetError
        If one of the packages is not installed, or they are too small to fill three splits.

    Examples
    --------
    >>> folder, description = cached_corpus("pyapi")  # doctest: +SKIP
    """
    packages = CORPORA[name]
    versions = corpus_versions(packages)
    key = hashlib.sha256(json.dumps([LAYOUT, versions]).encode()).hexdigest()[:12]
    folder = _writable(cache_folder(cache_dir)) / f"{name}-{key}"
    about = _read_about(folder, versions)
    if about is None:
        if folder.exists():
            warnings.warn(f"{folder} is damaged or foreign; the corpus is built anew.", stacklevel=3)
            shutil.rmtree(folder)
        about = _build_folder(folder, packages, progress)
    named = ", ".join(f"{package} {version}" for package, version in versions.items())
    return folder, (
        f"Documented functions of {named}; labels are the names that a function's body calls. "
        f"Corpus fingerprint {about['fingerprint']}; {about['skipped_files']} files could not be parsed."
    )


def _writable(folder):
    """Return a folder to write to: the given one, or a temporary one of this user."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        replacement = Path(tempfile.gettempdir()) / f"adathresh-{os.getuid() if hasattr(os, 'getuid') else 0}"
        replacement.mkdir(exist_ok=True)
        warnings.warn(f"{folder} cannot be written; the corpus is kept in {replacement}.", stacklevel=4)
        return replacement


def _build_folder(folder, packages, progress):
    """Build the corpus beside its place, move it there when it is complete, and return its record."""
    with _without_search_for_cycles():
        corpus = build_corpus(packages, progress=progress)
    if empty := [split for split, rows in corpus.splits.items() if not rows]:
        raise DatasetError(f"{', '.join(packages)}: no rows for {', '.join(empty)}; name larger packages.")
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        # names may become one when they are split, such as ones_like and OnesLike
        words = [" ".join(_words([name])) for name in corpus.label_names]
        known = LabelKnowledge(words, allow_repeated_names=True)
        write_text_folder(
            building, corpus.splits, corpus.label_names, label_knowledge=known, progress=progress
        )
        about = {
            "versions": corpus.versions,
            "fingerprint": corpus.fingerprint,
            "skipped_files": corpus.skipped_files,
            "sha256": {path.name: pooch.file_hash(str(path)) for path in sorted(building.iterdir())},
        }
        with whole_file(building / "corpus.json") as temporary:
            temporary.write_text(json.dumps(about, indent=1))
        with contextlib.suppress(OSError):  # another process was faster, with the same result
            os.rename(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return about


def _read_about(folder, versions):
    """Return the record of a cached corpus, or None unless every file is as it was written."""
    try:
        about = json.loads((folder / "corpus.json").read_bytes())
        intact = about["versions"] == versions and {"train.txt.gz", "test.txt.gz"} <= about["sha256"].keys()
        intact &= all(pooch.file_hash(str(folder / name)) == known for name, known in about["sha256"].items())
        return about if intact and {"fingerprint", "skipped_files"} <= about.keys() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
