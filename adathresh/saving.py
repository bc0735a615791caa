"""Fitted objects as files: arrays in safetensors, all else in JSON, and nothing by pickle.

A file is one ``.safetensors`` file. Its tensors are the arrays of the object, named by the attributes that
hold them, and ``JSON description``, a text that says how they are put together. Its metadata name the format,
its version, the class and the package's version, and hold a SHA-256 digest of everything. Nothing is imported
by a name that stands in a file: the classes that a file may name are those of ``CLASSES``. A model of
scikit-learn or of another package is a tensor with the bytes of a skops file, which lists its types and is
not read before those that are not known to be harmless are approved.
"""

import hashlib
import importlib
import inspect
import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
import safetensors
import scipy.sparse as sp
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from adathresh import __version__
from adathresh.utils.boosted_trees import BoostedTrees
from adathresh.utils.files import PathLike, whole_file
from adathresh.utils.parameters import check_value, flag
from adathresh.utils.parameters import path as a_path

FORMAT_VERSION = (1, 3)
"""Major and minor version of what is written. A file of another major version is refused: raise it where an
attribute of a class below gets another name or meaning. A new class or attribute raises the minor version."""

CLASSES = {
    "AdaptiveThreshold": "adathresh.posthoc.threshold",
    "AdaptiveThresholdClassifier": "adathresh.classifier",
    "AdaptiveThresholdNetwork": "adathresh.paper.classifier",
    "AverageFusion": "adathresh.posthoc.fusion",
    "BagOfWords": "adathresh.models.words",
    "BlockCoordinateMacroF1": "adathresh.rules.xcolumns",
    "BoostedFusion": "adathresh.posthoc.fusion",
    "BoostedTrees": "adathresh.utils.boosted_trees",
    "CrossValidatedSCut": "adathresh.rules.cross_validated_scut",
    "ExpectedF1Threshold": "adathresh.rules.expected_f1",
    "ExtraTrees": "adathresh.models.forest",
    "FeatureBlocks": "adathresh.signals.blocks",
    "FineTunedTransformer": "adathresh.models.transformer",
    "FixedThreshold": "adathresh.rules.fixed",
    "FrankWolfeMacroF1": "adathresh.rules.xcolumns",
    "FrozenTransformer": "adathresh.models.transformer",
    "GlobalThreshold": "adathresh.rules.global_threshold",
    "GroupContext": "adathresh.signals.context",
    "IsotonicCalibration": "adathresh.calibration",
    "LabelAffinity": "adathresh.signals.label_text",
    "LabelEffects": "adathresh.posthoc.fusion",
    "LabelIDF": "adathresh.signals.idf",
    "LabelKnowledge": "adathresh.signals.label_knowledge",
    "LabelMentions": "adathresh.signals.mentions",
    "LabelPrototypes": "adathresh.models.prototypes",
    "LabelQueryTransformer": "adathresh.models.label_queries",
    "LabelTextSignals": "adathresh.posthoc.label_texts",
    "LabelTree": "adathresh.models.tree",
    "LinearFusion": "adathresh.posthoc.fusion",
    "LinearOneVsRest": "adathresh.models.linear",
    "LogisticHead": "adathresh.models.logistic",
    "MCut": "adathresh.rules.mcut",
    "MLkNN": "adathresh.models.neighbors",
    "MetaLabeler": "adathresh.rules.meta_labeler",
    "MicroMacroThreshold": "adathresh.rules.micro_macro",
    "NeighborLabels": "adathresh.signals.knn",
    "NeighborShares": "adathresh.models.neighbors",
    "OnlineF1Threshold": "adathresh.rules.online",
    "PCut": "adathresh.rules.pcut",
    "PhraseMatcher": "adathresh.signals.phrases",
    "PlattScaling": "adathresh.calibration",
    "RCut": "adathresh.rules.rcut",
    "SCut": "adathresh.rules.scut",
    "ScoreFunction": "adathresh.models.function",
    "SelfTraining": "adathresh.self_training",
    "SentenceEmbedder": "adathresh.models.transformer",
    "SortedScores": "adathresh.rules.row_scores",
    "TemperatureScaling": "adathresh.calibration",
    "ThresholdRegression": "adathresh.rules.threshold_regression",
}
"""The classes of objects in a file, and the modules they are taken from when they are needed."""

# Functions that a vectoriser of this package may call.
_FUNCTIONS = {"_first_words": "adathresh.models.words"}
# Attributes that hold trees grown by scikit-learn. Those are read by code that trusts their numbers, and are
# private to a release, so that they are kept as arrays of ours.
_TREES = {"MetaLabeler": "learner_", "ThresholdRegression": "learner_"}
# Attributes that a file does not hold: the caller's code, and what only training needs.
_LEFT_OUT = {
    "AdaptiveThresholdNetwork": ("loss",),
    "ScoreFunction": ("function",),
    "SelfTraining": ("unlabeled", "stages_", "sure_labels_", "pseudo_labels_"),
}
# Attributes of AdaptiveThreshold from which retarget chooses thresholds.
_FOR_RETARGET = {"fitted_probabilities_", "_held_rows", "_row_weight"}
_SPARSE = {kind.__name__: kind for kind in (sp.csr_array, sp.csr_matrix, sp.csc_array, sp.csc_matrix)}
# What models of other packages may hold unasked: sparse matrices, and what scikit-learn's one-vs-rest makes
# of a label without training rows, which holds one number.
_HARMLESS = {f"{kind.__module__}.{name}" for name, kind in _SPARSE.items()}
_HARMLESS |= {"sklearn.multiclass._ConstantPredictor"}
_NUMBERS = "biuf"  # kinds of arrays that safetensors holds
_DESCRIPTION = "JSON description"  # no name of an attribute


def save(fitted: Any, path: PathLike, *, retargetable: bool = True) -> int:
    """Write a fitted object to one file, whole and without pickle.

    What :func:`load` reads back predicts the same. The file holds what the object holds: a classifier the
    training rows among which it finds neighbours (12 bytes for each stored feature), a rule alone, such as
    ``classifier.rule_``, no rows, but the fused probabilities of the candidate pairs that it was fitted on
    (16 bytes each), from which ``retarget`` chooses thresholds. These can be left out; what remains of a rule
    is 48 bytes a label and up to half a megabyte of trees.

    Parameters
    ----------
    fitted : object
        A fitted object of this package: a rule, classifier, network, signal, base model, rival rule or
        calibrator, or :class:`adathresh.LabelKnowledge`. Models of other packages that it holds must be such
        as skops can write; those of scikit-learn are. The function of a
        :class:`adathresh.models.ScoreFunction` is left out, and is given back to what is loaded; so is a loss
        that a network was trained with. Of :class:`adathresh.SelfTraining` the last model is kept, without
        the rows that had no labels.
    path : str or path-like
        The file to write or to replace; ``.safetensors`` is the usual suffix.
    retargetable : bool, default=True
        Whether :class:`adathresh.AdaptiveThreshold`, alone or in a classifier, keeps what ``retarget`` needs.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    TypeError
        If the object, or something that it holds, cannot be saved.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If path is no path, or retargetable neither True nor False.
    OSError
        If the file cannot be written; an older one of that name is then left as it was.

    See Also
    --------
    load : Read the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from adathresh import LabelIDF
    >>> with TemporaryDirectory() as folder:
    ...     _ = save(LabelIDF().fit([[1, 0], [1, 1]]), f"{folder}/idf.safetensors")
    ...     load(f"{folder}/idf.safetensors").frequency_
    array([2, 1])
    """
    check_value("path", path, a_path())
    check_value("retargetable", retargetable, flag())
    kind = type(fitted)
    if not _is_ours(kind):
        raise TypeError(
            f"Only objects of adathresh's own classes can be saved; got a {kind.__name__} as fitted."
        )
    if hasattr(fitted, "fit") and isinstance(fitted, BaseEstimator):
        check_is_fitted(fitted)
    writer = _Writer(kind.__name__, retargetable=retargetable)
    description = json.dumps(writer.form(fitted, ""), allow_nan=False)
    tensors = writer.tensors | {_DESCRIPTION: np.frombuffer(description.encode(), np.uint8)}
    metadata = {
        "format": "adathresh",
        "format_version": ".".join(map(str, FORMAT_VERSION)),
        "class": kind.__name__,
        "adathresh": __version__,
    }
    metadata["sha256"] = _digest(metadata, tensors)
    with whole_file(path) as temporary:
        temporary.touch()
        usual = temporary.stat().st_mode  # safetensors lets nobody else read what it writes
        try:
            save_file(tensors, temporary, metadata)
        except safetensors.SafetensorError as error:
            raise OSError(f"{path} could not be written: {error}") from error
        temporary.chmod(usual)
        return temporary.stat().st_size


def load(path: PathLike, *, trusted: Sequence[str] = (), expected: type | None = None) -> Any:
    """Read a fitted object that :func:`save` has written.

    The file is checked as a whole before anything is made of it. Models of scikit-learn should be read by the
    release that they were saved by; another one warns.

    Parameters
    ----------
    path : str or path-like
        The file.
    trusted : sequence of str, optional
        Types in a base model of other packages that may be made, as the error names them that comes without
        them. Approve none whose code you do not know: making an object may run it. Trees of scikit-learn's
        own forests are among them, because trees that somebody made up can crash the process.
    expected : type, optional
        The class that the file must hold an object of.

    Returns
    -------
    object
        The fitted object.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or not one of ``save``, of another major version of the format, or of a class
        that is unknown or not the expected one; if it holds types that are not approved, which are listed; or
        if path is no path.
    TypeError
        If trusted is no list of names, or expected no class.
    ImportError
        If an optional package that the object needs is not installed.

    See Also
    --------
    save : Write such a file.

    Examples
    --------
    >>> load("classifier.safetensors", trusted=["my_package.MyScaler"])  # doctest: +SKIP
    """
    if isinstance(trusted, str | bool) or not all(isinstance(name, str) for name in trusted):
        raise TypeError(f"trusted must be a list of names of types; got {trusted!r}.")
    check_value("path", path, a_path())
    if not (expected is None or isinstance(expected, type)):
        raise TypeError(f"expected must be a class, or None; got {expected!r}.")
    metadata, tensors = _read(path)
    if expected is not None and metadata["class"] != expected.__name__:
        raise ValueError(f"{path} holds a {metadata['class']}, not a {expected.__name__}.")
    try:
        form = json.loads(tensors.pop(_DESCRIPTION).tobytes())
        reader = _Reader(tensors)
        unknown = reader.unknown_types(form)
        loaded = None if unknown - set(trusted) else reader.value(form)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}, saved by adathresh {metadata['adathresh']}, cannot be read by {__version__}: {error}"
        ) from error
    unapproved = sorted(unknown - set(trusted))
    if unapproved:
        raise ValueError(
            f"{path} holds a model with types that are not known to be harmless. If you know them and trust "
            f"the file, approve them by load(path, trusted={unapproved!r})."
        )
    return loaded


class SaveMixin:
    """``save`` and ``load`` as methods.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from adathresh import AdaptiveThreshold
    >>> rule = AdaptiveThreshold().fit([[0.9], [0.7], [0.4], [0.1]], [[1], [1], [0], [0]])
    >>> with TemporaryDirectory() as folder:
    ...     _ = rule.save(f"{folder}/rule.safetensors")
    ...     AdaptiveThreshold.load(f"{folder}/rule.safetensors").predict([[0.9], [0.1]]).tolist()
    [[1], [0]]
    """

    def save(self, path: PathLike) -> int:
        """Write the fitted object to one file, without pickle; see :func:`adathresh.save`.

        Parameters
        ----------
        path : str or path-like
            The file to write or to replace.

        Returns
        -------
        int
            Size of the file in bytes.

        Raises
        ------
        ValueError
            If it is not fitted, or path is no path.
        OSError
            If the file cannot be written.
        """
        return save(self, path)

    @classmethod
    def load(cls, path: PathLike, *, trusted: Sequence[str] = ()) -> Self:
        """Read an object that :meth:`save` has written; see :func:`adathresh.load`.

        Parameters
        ----------
        path : str or path-like
            The file.
        trusted : sequence of str, optional
            Types in base models of other packages that may be made.

        Returns
        -------
        object
            The fitted object, of this class.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged, holds an object of another class, or types that are not approved, or if
            path is no path.
        TypeError
            If trusted is no list of names.
        """
        return load(path, trusted=trusted, expected=cls)


class _Writer:
    """Turns an object into JSON and tensors."""

    def __init__(self, root, *, retargetable):
        self.tensors: dict[str, np.ndarray] = {}
        self._root, self._retargetable = root, retargetable
        self._seen: dict[int, int] = {}
        self._kept: list = []  # what was seen must not make room for something with the same id

    def form(self, value, where):
        """Return what stands for a value in JSON; ``where`` is the way to it from the saved object."""
        if value is None or type(value) in (bool, int):
            return value
        if isinstance(value, str):
            return str(value)
        if type(value) is float:
            return value if math.isfinite(value) else {"is": "float", "value": repr(value)}
        if type(value) is list:
            return self._items(value, where)
        if type(value) is tuple:
            return {"is": "tuple", "items": self._items(value, where)}
        if type(value) is dict:
            keys, values = self._items(list(value), f"{where}.keys"), self._items(value.values(), where)
            return {"is": "dict", "keys": keys, "values": values}
        if isinstance(value, bytes):
            return {"is": "bytes", "tensor": self._tensor(np.frombuffer(value, np.uint8), where)}
        if isinstance(value, PurePath):
            return {"is": "path", "value": str(value)}
        if isinstance(value, type) and issubclass(value, np.generic):
            return {"is": "dtype", "value": np.dtype(value).name}
        if isinstance(value, np.generic):
            return {"is": "scalar", "tensor": self._tensor(np.asarray(value), where)}
        if id(value) in self._seen:
            return {"is": "same", "id": self._seen[id(value)]}
        number = self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return {"id": number} | self._form_of_object(value, where)

    def _form_of_object(self, value, where):
        """Return what stands for something that other things may hold, too."""
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if sp.issparse(value):
            return self._sparse(value, where)
        if _is_ours(type(value)):
            return self._object(value, where)
        if type(value) is FrozenEstimator:  # of which skops could not write all models of ours
            return {"is": "frozen", "estimator": self.form(value.estimator, f"{where}.estimator")}
        if isinstance(value, np.random.RandomState):
            return {"is": "random_state", "state": self.form(value.get_state(legacy=False), where)}
        if isinstance(value, partial) and _FUNCTIONS.get(value.func.__name__) == value.func.__module__:
            keywords = self.form(value.keywords, where)
            return {"is": "partial", "function": value.func.__name__, "keywords": keywords}
        if type(value) is TfidfVectorizer and value.use_idf and hasattr(value, "vocabulary_"):
            return self._vectorizer(value, where)
        if type(value) is IsotonicRegression and hasattr(value, "X_thresholds_"):
            points = {name: getattr(value, name) for name in ("X_thresholds_", "y_thresholds_")}
            return {"is": "isotonic", **self._fields({"params": value.get_params(), **points}, where)}
        if hasattr(value, "get_params"):
            return {"is": "skops", "tensor": self._tensor(_skops_bytes(value, self._named(where)), where)}
        raise TypeError(f"{self._named(where)} is a {type(value).__name__}, which cannot be saved.")

    def _object(self, value, where):
        """Return what stands for an object of this package: its class and its attributes."""
        name, state = type(value).__name__, value.__getstate__() or {}
        trees = state.get(_TREES.get(name, ""))
        # a learner that the caller has chosen is kept as it is
        if isinstance(trees, HistGradientBoostingClassifier | HistGradientBoostingRegressor) and (
            state.get("learner") is None
        ):
            state = state | {_TREES[name]: BoostedTrees.from_sklearn(trees)}
        if name == "AdaptiveThreshold" and not self._retargetable:
            state = {key: item for key, item in state.items() if key not in _FOR_RETARGET}
        if name in _LEFT_OUT:
            state = state | dict.fromkeys(_LEFT_OUT[name])
        return {"is": "object", "class": name, "state": self._fields(state, where)}

    def _vectorizer(self, vectorizer, where):
        """Return what stands for a vectoriser: its parameters, its words in order and their weights."""
        params = vectorizer.get_params()
        fixed = params.pop("vocabulary") is not None
        words = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
        fields = {"params": params, "words": words, "fixed": fixed, "idf_": vectorizer.idf_}
        return {"is": "vectorizer", **self._fields(fields, where)}

    def _array(self, array, where):
        """Return what stands for an array."""
        if array.dtype.kind in _NUMBERS:
            # the order of the elements decides in which order they are summed
            turned = array.flags.f_contiguous and not array.flags.c_contiguous
            tensor = self._tensor(array.T if turned else array, where)
            return {"is": "array", "tensor": tensor, "turned": turned}
        if array.dtype.kind not in "OU":
            raise TypeError(f"{self._named(where)} is an array of {array.dtype}, which cannot be saved.")
        items = self._items(array.ravel().tolist(), where)
        return {"is": "items", "dtype": array.dtype.str, "shape": list(array.shape), "items": items}

    def _sparse(self, matrix, where):
        """Return what stands for a sparse matrix."""
        kind = type(matrix).__name__
        if kind not in _SPARSE:
            raise TypeError(f"{self._named(where)} is a {kind}, which cannot be saved; make it CSR.")
        parts = {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}
        parts = {name: self._tensor(part, f"{where}.{name}") for name, part in parts.items()}
        return {"is": "sparse", "class": kind, "shape": list(map(int, matrix.shape)), **parts}

    def _items(self, values, where):
        """Return what stands for each of some values."""
        return [self.form(value, f"{where}.{number}") for number, value in enumerate(values)]

    def _fields(self, fields, where):
        """Return what stands for each of some named values."""
        return {name: self.form(value, f"{where}.{name}") for name, value in fields.items()}

    def _tensor(self, array, where):
        """Keep an array, and return its name in the file."""
        if array.dtype.kind not in _NUMBERS or array.dtype.itemsize > 8:
            raise TypeError(f"{self._named(where)} is an array of {array.dtype}, which cannot be saved.")
        name = where.removeprefix(".") or "value"
        self.tensors[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return name

    def _named(self, where):
        """Return how a place is called in messages."""
        return f"{self._root}{where}"


class _Reader:
    """Turns JSON and tensors into an object."""

    def __init__(self, tensors):
        self._tensors, self._made, self._trusted = tensors, {}, set()

    def unknown_types(self, form):
        """Name the types in models of other packages that are not known to be harmless."""
        known = {f"{module}.{name}" for name, module in CLASSES.items()} | _HARMLESS
        for part in _parts(form):
            if part.get("is") == "skops":
                listed = _skops().get_untrusted_types(data=self._tensors[part["tensor"]].tobytes())
                self._trusted |= set(listed)
        return self._trusted - known

    def value(self, form):
        """Make a value."""
        if isinstance(form, list):
            return [self.value(item) for item in form]
        if not isinstance(form, dict):
            return form
        made = getattr(self, f"_make_{form['is']}")(form)
        if "id" in form:
            self._made[form["id"]] = made
        return made

    def _make_float(self, form):
        return float(form["value"])

    def _make_tuple(self, form):
        return tuple(self.value(form["items"]))

    def _make_dict(self, form):
        return dict(zip(self.value(form["keys"]), self.value(form["values"]), strict=True))

    def _make_bytes(self, form):
        return self._tensors[form["tensor"]].tobytes()

    def _make_path(self, form):
        return Path(form["value"])

    def _make_dtype(self, form):
        return np.dtype(form["value"]).type

    def _make_scalar(self, form):
        return self._tensors[form["tensor"]][()]

    def _make_same(self, form):
        return self._made[form["id"]]

    def _make_array(self, form):
        array = self._tensors[form["tensor"]]
        return array.T if form["turned"] else array

    def _make_items(self, form):
        array = np.empty(len(form["items"]), dtype=form["dtype"])
        array[:] = self.value(form["items"])
        return array.reshape(form["shape"])

    def _make_sparse(self, form):
        parts = tuple(self._tensors[form[name]] for name in ("data", "indices", "indptr"))
        matrix = _SPARSE[form["class"]](parts, shape=tuple(form["shape"]))
        matrix.check_format(full_check=True)  # native code trusts the indices
        return matrix

    def _make_frozen(self, form):
        return FrozenEstimator(self.value(form["estimator"]))

    def _make_random_state(self, form):
        random_state = np.random.RandomState()
        random_state.set_state(self.value(form["state"]))
        return random_state

    def _make_partial(self, form):
        name = form["function"]
        function = getattr(importlib.import_module(_FUNCTIONS[name]), name)
        return partial(function, **self.value(form["keywords"]))

    def _make_vectorizer(self, form):
        vocabulary = {word: number for number, word in enumerate(form["words"])}
        params = self.value(form["params"]) | {"vocabulary": vocabulary if form["fixed"] else None}
        vectorizer = TfidfVectorizer(**params)
        vectorizer.vocabulary_ = vocabulary
        vectorizer.idf_ = self.value(form["idf_"])
        return vectorizer

    def _make_isotonic(self, form):
        points = self.value(form["X_thresholds_"]), self.value(form["y_thresholds_"])
        return IsotonicRegression(**self.value(form["params"])).fit(*points)

    def _make_skops(self, form):
        return _skops().loads(self._tensors[form["tensor"]].tobytes(), trusted=sorted(self._trusted))

    def _make_object(self, form):
        name = form["class"]
        if name not in CLASSES:
            raise ValueError(f"there is no class {name} that can be saved.")
        try:
            kind = getattr(importlib.import_module(CLASSES[name]), name)
        except ModuleNotFoundError as error:
            raise ImportError(f"{name} needs the package {error.name}, which is not installed.") from error
        made = self._made[form["id"]] = kind.__new__(kind)
        # a parameter that came later has its default
        state = _defaults(kind) if issubclass(kind, BaseEstimator) else {}
        state |= {attribute: self.value(item) for attribute, item in form["state"].items()}
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            made.__dict__.update(state)
        return made


def _is_ours(kind):
    """Say whether a class is one that is saved by its attributes."""
    return CLASSES.get(kind.__name__) == kind.__module__


def _parts(form):
    """Yield every object in what was read from JSON."""
    if isinstance(form, dict):
        yield form
        form = list(form.values())
    if isinstance(form, list):
        for part in form:
            yield from _parts(part)


def _defaults(kind):
    """Return the parameters of a class that have a default."""
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _digest(metadata, tensors):
    """Return the SHA-256 digest of a file's content."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(json.dumps([name, tensors[name].dtype.str, tensors[name].shape]).encode())
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read(path):
    """Return metadata and tensors of a file; raise where it is damaged, foreign or of another version."""
    with open(path, "rb"):  # an error of the system then names the file
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            _check_version(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no file saved by adathresh ({error}).") from error
    said = metadata.pop("sha256", None)
    if said != _digest(metadata, tensors):
        raise ValueError(f"{path} is damaged: its content is not what its digest says; save it again.")
    return metadata, tensors


def _check_version(path, metadata):
    """Raise if a file is foreign, or of another major version."""
    if metadata.get("format") != "adathresh":
        raise ValueError(f"{path} is no file saved by adathresh.")
    version = metadata.get("format_version", "")
    if version.split(".")[0] != str(FORMAT_VERSION[0]):
        raise ValueError(
            f"{path} is of version {version} of the format; adathresh {__version__} reads version "
            f"{FORMAT_VERSION[0]}. Load it with adathresh {metadata.get('adathresh')}, by which it was saved."
        )


def _skops():
    """Import skops, which takes seconds."""
    import skops.io

    return skops.io


def _skops_bytes(model, where):
    """Return a model of another package as the bytes of a skops file."""
    try:
        return np.frombuffer(_skops().dumps(model), np.uint8)
    except Exception as error:  # of whatever the model holds
        raise TypeError(f"{where} is a {type(model).__name__}, which skops cannot write: {error}") from error
