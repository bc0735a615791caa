"""Partitioned label trees, for thousands of labels."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn.preprocessing import normalize

from adathresh.datasets.formats import save_xc
from adathresh.models._base import TopScoresClassifier
from adathresh.utils.parameters import job_count, number, one_of, parameters, verbosity, whole

PRESETS = {
    "parabel": {"cluster_balanced": True, "cluster_k": 2, "max_depth": 20},
    "bonsai": {"cluster_balanced": False, "cluster_k": 100, "max_depth": 3},
}
"""omikuji's settings for the two families of label trees."""


class LabelTree(TopScoresClassifier):
    """Partitioned label trees, by the package omikuji.

    A tree divides the labels into ever smaller groups of similar ones; a linear classifier (squared hinge) at
    each node says whether a row belongs to the group or has the label. The score of a label is the product of
    exp(−max(0, 1 − margin)²) along its path, averaged over the trees. Rows are scaled to unit length.

    omikuji draws its random numbers from the operating system, whatever the number of threads, and takes no
    seed: there is no ``random_state``, and two fits differ slightly. Labels without a training row are never
    scored.

    Parameters
    ----------
    preset : {"parabel", "bonsai"}, default="parabel"
        Balanced binary trees (Parabel: Prabhu et al. 2018, doi 10.1145/3178876.3185998), or shallow ones of
        up to 100 branches a node (Bonsai: Khandagale et al. 2020, doi 10.1007/s10994-020-05888-2).
    n_trees : int, default=3
        Trees in the forest.
    C : float, default=1.0
        Inverse regularisation strength of the linear classifiers.
    beam_size : int, default=10
        Groups of labels that are followed on each level when a row is scored.
    n_jobs : int, optional
        Threads of the training, in joblib's counting; None means 1.
    verbose : bool, default=False
        Whether to show what omikuji prints while it trains.

    Attributes
    ----------
    model_ : omikuji.Model
        The trained trees.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ImportError
        In ``fit``, if omikuji is not installed.
    ValueError
        In ``fit``, for parameters outside their range, or no row with both features and a label.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> LabelTree(n_trees=1).fit(X, Y).top_scores(X, k=2).shape  # doctest: +SKIP
    (100, 5)
    """

    _parameters = parameters(
        preset=one_of(*PRESETS),
        n_trees=whole(1),
        C=number(above=0),
        beam_size=whole(1),
        n_jobs=job_count(),
        verbose=verbosity(),
    )

    def __init__(
        self,
        preset: str = "parabel",
        *,
        n_trees: int = 3,
        C: float = 1.0,
        beam_size: int = 10,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.preset = preset
        self.n_trees = n_trees
        self.C = C
        self.beam_size = beam_size
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __getstate__(self):
        state = super().__getstate__()
        if "model_" not in state:
            return state
        with tempfile.TemporaryDirectory(prefix="adathresh-") as folder:
            with _silent():
                self.model_.save(folder)
            files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
        return state | {"model_": files}

    def __setstate__(self, state):
        files = state.get("model_")
        if files is not None:
            with tempfile.TemporaryDirectory(prefix="adathresh-") as folder:
                for name, content in files.items():
                    Path(folder, Path(name).name).write_bytes(content)  # in the folder, whatever its name
                state = state | {"model_": _load_model(folder)}
        super().__setstate__(state)

    def _fit(self, X, Y):
        """Train in a temporary folder and load the result."""
        _import_omikuji()
        X = _unit_rows(X)
        filled = np.flatnonzero(np.diff(X.indptr))  # omikuji does not read rows without features
        if not Y[filled].nnz:
            raise ValueError("No row has both a feature and a label; a label tree has nothing to learn from.")
        settings = {**PRESETS[self.preset], "n_trees": self.n_trees, "linear_c": self.C}
        with tempfile.TemporaryDirectory(prefix="adathresh-") as folder:
            data, model = Path(folder, "train.txt"), Path(folder, "model")
            save_xc(data, X[filled], Y[filled], progress=False)
            self._train(data, model, settings)
            self.model_ = _load_model(model)

    def _train(self, data, model, settings):
        """Run omikuji in a process of its own."""
        script = Path(__file__).with_name("_omikuji.py")
        n_threads = effective_n_jobs(self.n_jobs)
        command = [sys.executable, "-P", script, data, model, str(n_threads), json.dumps(settings)]
        done = subprocess.run(command, capture_output=not self.verbose, text=True, check=False)
        if done.returncode:
            said = (done.stderr or "").strip()[-2000:]
            raise RuntimeError(f"omikuji failed (exit status {done.returncode}). {said}")

    def _scores(self, X, k):
        """Search the trees, one row at a time."""
        X = _unit_rows(X)
        found = [
            np.array(self._search(X.indices[start:stop], X.data[start:stop], k)).reshape(-1, 2)
            for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        ]
        indptr = np.r_[0, np.cumsum([len(pairs) for pairs in found])]
        labels, scores = np.concatenate(found).T
        scores = sp.csr_array((scores, labels.astype(np.int32), indptr), shape=(X.shape[0], self.n_labels_))
        scores.sort_indices()
        return scores

    def _search(self, features, values, k):
        """Return the best (label, score) pairs of one row."""
        row = zip(features.tolist(), values.tolist(), strict=True)
        return self.model_.predict(row, beam_size=self.beam_size, top_k=k)


def _unit_rows(X):
    """Scale rows to unit length; omikuji would end the process at what overflows or vanishes in float32."""
    X = sp.csr_array(X, dtype=np.float64, copy=True)
    X.sum_duplicates()
    X = normalize(X, copy=False).astype(np.float32)
    X.eliminate_zeros()
    return X


def _load_model(folder):
    """Load trees from the folder that omikuji has saved them in."""
    omikuji = _import_omikuji()
    with _silent():
        model = omikuji.Model.load(str(folder))
    model.init_prediction_thread_pool(1)
    return model


def _import_omikuji():
    """Import the optional package, or say how to get it."""
    try:
        with _silent():
            import omikuji
    except ImportError as error:
        raise ImportError('LabelTree needs omikuji: pip install "adathresh[trees]"') from error
    return omikuji


@contextmanager
def _silent():
    """Drop what native code writes to the standard output."""
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
