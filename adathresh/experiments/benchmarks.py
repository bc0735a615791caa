"""Time the parts of the package against the usual way: ``adathresh benchmark``.

A *part* makes its data and compares two functions of them, ours and a peer's. Each part has one function
here and one table in ``results/benchmarks/``, and all tables have the same columns. Ours and the peer run in
turn on the same machine, each in a fresh process of its own that has run once on a few rows, which loads and
compiles what is needed. ``ratio`` is peer_seconds / ours_seconds; seconds are the median of the rounds.
Memory is the largest that the process held in the first round, above what it held before with the data
loaded; Linux tells it, elsewhere it stays empty. A slope says how cost grows, where a benchmark has four
sizes: seconds are proportional to rows to that power.

``stages`` has no peer: one process goes the whole way from the file to the metrics, and its table says how
much it holds at most in each stage. ``search`` compares the approximate search for neighbours with the exact
one, also in what it finds; new rows stand for all, as time is in proportion to them.
"""

import ctypes
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, precision_recall_curve
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info

from adathresh.classifier import AdaptiveThresholdClassifier
from adathresh.datasets import load_xc, make_longtail, save_xc
from adathresh.experiments.core.costs import forget_peak, memory_mb, timed
from adathresh.metrics import evaluate, macro_f1
from adathresh.models import LinearOneVsRest
from adathresh.posthoc.crossfit import draw_folds, out_of_fold_scores
from adathresh.posthoc.threshold import AdaptiveThreshold
from adathresh.rules import (
    BlockCoordinateMacroF1,
    ExpectedF1Threshold,
    FrankWolfeMacroF1,
    GlobalThreshold,
    MicroMacroThreshold,
    SCut,
)
from adathresh.signals import NeighborLabels
from adathresh.utils.files import whole_file

WARM_UP_ROWS = 300
BLOCK_ROWS = 20_000
ROUNDS = (3, 30)
"""The fewest rounds, and the most of a benchmark that takes less than PATIENCE seconds."""
PATIENCE = 2.0
IMPATIENCE = 10.0
"""No round is begun after so many seconds, so that what takes minutes is measured once."""
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
"""Of the rows of a size, the sizes that cost is compared at."""
SCORES_PER_ROW = 50
HIDDEN_LAYERS = (1024, 1024)


class Size(NamedTuple):
    """Size of generated data."""

    n_samples: int
    n_features: int
    n_labels: int


class Comparison(NamedTuple):
    """Two ways to do the same with the data of a part; both get every ``step``-th label of scores."""

    benchmark: str
    ours: Callable[..., Any]
    peer: str | None = None
    theirs: Callable[..., Any] | None = None
    shares: tuple[float, ...] = SHARES
    step: int = 1


class Part(NamedTuple):
    """What is compared, on which data, and the size of these that takes a minute at most."""

    make_data: Callable[[Size], tuple]
    comparisons: tuple[Comparison, ...]
    quick: Size


SIZES = {
    "quick": None,
    "eurlex57k": Size(45_000, 20_000, 4_271),
    "amazoncat13k": Size(1_186_239, 203_882, 13_330),
}
"""The sizes that can be asked for; quick: each part's own."""
QUICK_STAGES = Size(4_000, 5_000, 200)
QUICK_SEARCH = Size(16_000, 10_000, 500)
NEW_ROWS = 500
"""The rows whose neighbours ``search`` finds."""
FEATURES_PER_ROW = 180
"""Of the data that go through all stages: as many as EURLEX57K's rows have."""


def make_scores(n_samples, n_labels, per_row, *, random_state=0):
    """Make calibrated probabilities of the top candidates of each row, and labels drawn from them.

    Candidates follow a power law: the r-th commonest label is a candidate nearly in proportion to 1/r. About
    a tenth of the candidates are true.
    """
    rng = np.random.default_rng(random_state)
    frequency = 1 / np.arange(1, n_labels + 1)
    cumulative = np.cumsum(frequency) / frequency.sum()
    blocks = [
        _make_block(rng, min(BLOCK_ROWS, n_samples - start), per_row, cumulative)
        for start in range(0, n_samples, BLOCK_ROWS)
    ]
    scores = sp.csr_array(sp.vstack(blocks, format="csr"))
    true = rng.random(scores.nnz, dtype=np.float32) < scores.data
    Y = sp.csr_array((true.astype(np.float32), scores.indices.copy(), scores.indptr.copy()), scores.shape)
    Y.eliminate_zeros()
    return scores, Y


def _make_block(rng, n_rows, per_row, cumulative):
    """Draw candidates with repetitions, keep the first distinct ones of each row, and give them scores."""
    drawn = np.searchsorted(cumulative, rng.random((n_rows, 3 * per_row))).astype(np.int32)
    order = np.argsort(drawn, axis=1, kind="stable")
    by_label = np.take_along_axis(drawn, order, axis=1)
    is_first = np.ones_like(drawn, dtype=bool)
    is_first[:, 1:] = by_label[:, 1:] != by_label[:, :-1]
    distinct = np.zeros_like(is_first)
    np.put_along_axis(distinct, order, is_first, axis=1)
    rows, places = np.nonzero(distinct & (np.cumsum(distinct, axis=1) <= per_row))
    values = rng.random(len(rows), dtype=np.float32) ** 9  # a tenth on average, most of them small
    block = sp.csr_array((values, (rows, drawn[rows, places])), shape=(n_rows, len(cumulative)))
    block.sort_indices()
    return block


def precision_recall_thresholds(scores, Y):
    """Choose each label's threshold of greatest F1 by :func:`sklearn.metrics.precision_recall_curve`.

    It is the lowest score that is predicted, ``inf`` for a label without positives. Every true pair has to
    have a score.
    """
    thresholds = np.full(scores.shape[1], np.inf)
    for label, truth, values in _iter_labels(scores, Y):
        if truth.any():
            thresholds[label] = _best_f1_score(truth, values)
    return thresholds


def isotonic_thresholds(scores, Y):
    """Calibrate each label by isotonic regression, then choose as :func:`precision_recall_thresholds` does.

    A label's threshold is the lowest calibrated probability that is predicted.
    """
    thresholds = np.full(scores.shape[1], np.inf)
    for label, truth, values in _iter_labels(scores, Y):
        if truth.any():
            calibrated = IsotonicRegression(out_of_bounds="clip").fit(values, truth).predict(values)
            thresholds[label] = _best_f1_score(truth, calibrated)
    return thresholds


def _best_f1_score(truth, values):
    """Return the lowest predicted score at the best F1 of one label."""
    precision, recall, thresholds = precision_recall_curve(truth, values)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return thresholds[np.argmax(f1[:-1])]


def _iter_labels(scores, Y):
    """Go through the labels; yield each with the truth and the scores of its scored rows."""
    scores, Y = sp.csc_array(scores), sp.csc_array(Y)
    for label in range(scores.shape[1]):
        part = slice(scores.indptr[label], scores.indptr[label + 1])
        positives = Y.indices[Y.indptr[label] : Y.indptr[label + 1]]
        yield label, np.isin(scores.indices[part], positives), scores.data[part]


def grid_threshold(scores, Y):
    """Choose the threshold, 0.01 to 0.99, with the greatest macro-F1 by :func:`sklearn.metrics.f1_score`."""
    truth, thresholds = sp.csr_matrix(Y, dtype=np.int8), np.arange(1, 100) / 100
    reached = [
        f1_score(truth, sp.csr_matrix(scores > threshold, dtype=np.int8), average="macro", zero_division=0)
        for threshold in thresholds
    ]
    return float(thresholds[np.argmax(reached)])


def libmultilabel_thresholds(scores, Y):
    """Choose LibMultiLabel's micro and macro threshold of each label, on the rows scored for it.

    A label with fewer than 3 scores gets ``inf``. Every true pair has to have a score.
    """
    linear = libmultilabel_linear()
    linear._do_train = lambda y, x, options: np.asmatrix([[1.0]])  # the score is the decision value
    stats = {"tp": 0, "fp": 0, "fn": 0, "labels": 0}
    thresholds = np.full(scores.shape[1], np.inf)
    labels = sorted(_iter_labels(scores, Y), key=lambda item: item[1].sum(), reverse=True)
    for label, truth, values in labels:
        if len(values) >= 3:  # its folds
            column = sp.csr_matrix(values.astype(np.float64)[:, np.newaxis])
            _, threshold, stats = linear._micromacro_one_label(2 * truth.astype(int) - 1, column, "", stats)
            thresholds[label] = -threshold
    return thresholds


def libmultilabel_linear():
    """Load LibMultiLabel's module of linear methods, without its solver and the package around it.

    The thresholds need neither, and they need a compiler and a graph library to be installed, so that
    ``pip install --no-deps libmultilabel psutil`` is enough; no model can be trained by the copy.
    """
    package = importlib.util.find_spec("libmultilabel")
    if package is None:
        raise ImportError("LibMultiLabel is not installed: pip install --no-deps libmultilabel psutil")
    solver = ModuleType("liblinear.liblinearutil")
    solver.train = solver.problem = solver.parameter = solver.solver_names = None
    stand_ins = {"liblinear": ModuleType("liblinear"), "liblinear.liblinearutil": solver}
    before = {name: sys.modules.get(name) for name in stand_ins}
    path = Path(package.submodule_search_locations[0]) / "linear" / "linear.py"
    spec = importlib.util.spec_from_file_location("libmultilabel_linear", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.update(stand_ins)
    try:
        spec.loader.exec_module(module)
    finally:
        for name, earlier in before.items():
            if earlier is None:
                del sys.modules[name]
            else:
                sys.modules[name] = earlier
    return module


def _rows_and_labels(size, features_per_row=70):
    """Make features and labels with a long tail."""
    return make_longtail(
        *size,
        labels_per_row=min(5, size.n_labels),
        features_per_row=min(features_per_row, size.n_features),
    )


def training():
    """Train the released network for one epoch: rows kept sparse, against rows made dense."""

    def train(first, X, Y):
        import torch

        from adathresh.paper.as_released import ReleasedModel, train_released

        torch.manual_seed(0)
        model = ReleasedModel(X.shape[1], Y.shape[1], hidden_layers=HIDDEN_LAYERS)
        model.network.first = first(model.network.first)
        return train_released(model, X, Y, X[:1], Y[:1], n_epochs=1, measure=lambda predicted: {})

    def ours(X, Y):
        return train(lambda layer: layer, X, Y)

    def theirs(X, Y):
        return train(_dense_layer, X, Y)

    comparison = Comparison("train one epoch", ours, "the same network, rows made dense", theirs)
    return Part(_rows_and_labels, (comparison,), Size(4_096, 8_192, 500))


def _dense_layer(layer):
    """Make a first layer of the same weights that writes each batch out as a dense matrix."""
    import torch

    class DenseRows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = layer.weight, layer.bias

        def forward(self, rows):
            sizes = torch.diff(rows.offsets, append=torch.tensor([len(rows.indices)]))
            dense = torch.zeros(len(sizes), len(self.weight))
            dense[torch.repeat_interleave(torch.arange(len(sizes)), sizes), rows.indices] = rows.values
            return dense @ self.weight + self.bias

    return DenseRows()


def neighbors():
    """Find the 30 nearest of the other rows by cosine."""

    def ours(X, Y):
        return NeighborLabels(n_neighbors=30).fit(X, Y).kneighbors()

    def theirs(X, Y):
        search = NearestNeighbors(n_neighbors=30, algorithm="brute", metric="cosine").fit(sp.csr_matrix(X))
        return search.kneighbors()

    comparison = Comparison("find neighbours", ours, "scikit-learn NearestNeighbors, brute force", theirs)
    return Part(_rows_and_labels, (comparison,), Size(12_000, 10_000, 500))


def _scores_and_labels(size):
    """Make held-out scores and labels."""
    return make_scores(size.n_samples, size.n_labels, min(SCORES_PER_ROW, size.n_labels // 4))


def rules():
    """Fit rules on held-out scores, against the usual way and rival packages."""
    once = SHARES[-1:]
    comparisons = (
        Comparison(
            "fit SCut",
            lambda scores, Y: SCut().fit(scores, Y),
            "scikit-learn precision_recall_curve, label by label",
            precision_recall_thresholds,
        ),
        Comparison(
            "fit GlobalThreshold",
            lambda scores, Y: GlobalThreshold().fit(scores, Y),
            "scikit-learn f1_score at 99 thresholds",
            grid_threshold,
            once,
        ),
        Comparison(
            "fit ExpectedF1Threshold",
            lambda scores, Y: ExpectedF1Threshold().fit(scores),
            "xCOLUMNs Frank-Wolfe macro-F1",
            lambda scores, Y: FrankWolfeMacroF1().fit(scores, Y),
            once,
        ),
        Comparison(
            "fit ExpectedF1Threshold",
            lambda scores, Y: ExpectedF1Threshold().fit(scores),
            "xCOLUMNs block coordinate macro-F1, 5 labels a row",
            lambda scores, Y: BlockCoordinateMacroF1(5).fit(scores).predict(scores),
            once,
        ),
        # one step of Python for every score: all labels would take minutes
        Comparison(
            "fit MicroMacroThreshold",
            lambda scores, Y: MicroMacroThreshold().fit(scores, Y),
            "LibMultiLabel micromacro, label by label",
            libmultilabel_thresholds,
            once,
            step=8,
        ),
        Comparison(
            "fit AdaptiveThreshold",
            lambda scores, Y: AdaptiveThreshold().fit(scores, Y),
            "scikit-learn IsotonicRegression and precision_recall_curve, label by label",
            isotonic_thresholds,
        ),
    )
    return Part(_scores_and_labels, comparisons, Size(16_000, 0, 1_500))


def metrics():
    """Compute F1 of label sets; and every metric of scores, which no peer computes."""

    def make_data(size):
        scores, Y = _scores_and_labels(size)
        return scores, Y, sp.csr_array((scores > 0.4).astype(np.float32))

    def ours(scores, Y, predicted):
        return evaluate(Y, predicted)

    def theirs(scores, Y, predicted):
        pair = [sp.csr_matrix(labels, dtype=np.int8) for labels in (Y, predicted)]
        return {
            f"{average}_f1": f1_score(*pair, average=average, zero_division=0)
            for average in ("macro", "micro", "samples")
        }

    def with_scores(scores, Y, predicted):
        return evaluate(Y, predicted, scores, np.diff(sp.csc_array(Y).indptr), n_train=scores.shape[0] + 2)

    comparisons = (
        Comparison("evaluate label sets", ours, "scikit-learn f1_score, three averages", theirs),
        Comparison("evaluate with scores", with_scores),
    )
    return Part(make_data, comparisons, Size(100_000, 0, 13_330))


def base():
    """Fit one support vector machine for each label, and predict the same rows."""

    def ours(X, Y):
        return LinearOneVsRest(min_weight=0.0, random_state=0).fit(X, Y).predict(X)

    def theirs(X, Y):
        model = OneVsRestClassifier(LinearSVC(random_state=0))
        return model.fit(sp.csr_matrix(X), sp.csr_matrix(Y, dtype=np.int8)).predict(sp.csr_matrix(X))

    comparison = Comparison(
        "fit and predict one-vs-rest", ours, "scikit-learn OneVsRestClassifier(LinearSVC())", theirs
    )
    return Part(_rows_and_labels, (comparison,), Size(12_000, 5_000, 40))


def latency():
    """Predict rows by the whole classifier, against its base model alone."""

    def make_data(size):
        X, Y = _rows_and_labels(size)
        classifier = AdaptiveThresholdClassifier(LinearOneVsRest(random_state=0), random_state=0)
        return classifier.fit(X, Y), X

    def comparison(n_rows):
        return Comparison(
            f"predict {n_rows} row{'s' * (n_rows > 1)}",
            lambda classifier, X: classifier.predict(X[:n_rows]),
            "the base model alone",
            lambda classifier, X: classifier.estimator_.predict(X[:n_rows]),
            SHARES[-1:],
        )

    return Part(make_data, (comparison(1), comparison(1_000)), Size(4_000, 5_000, 200))


def scale():
    """Fit the whole classifier, against one fit of its base model; three folds make four such fits."""

    def ours(X, Y):
        base_model = LinearOneVsRest(random_state=0)
        return AdaptiveThresholdClassifier(base_model, cv=3, random_state=0).fit(X, Y)

    def theirs(X, Y):
        return LinearOneVsRest(random_state=0).fit(X, Y)

    comparison = Comparison("fit the whole classifier", ours, "one fit of the base model", theirs)
    return Part(_rows_and_labels, (comparison,), Size(8_000, 5_000, 100))


PARTS = {part.__name__: part for part in (training, neighbors, rules, metrics, base, latency, scale)}
STAGES, SEARCH = "stages", "search"


def run_search(size=None):
    """Compare both searches for neighbours among more and more rows, in a process of its own."""
    size = size or QUICK_SEARCH
    with _fresh_process() as process:
        table = pd.DataFrame([process.submit(_search, size, share).result() for share in SHARES])
    print(table.to_string(index=False), flush=True)
    return table


@lru_cache
def _rows_to_search(size):
    """Make the rows that are searched, and new ones."""
    X, Y = _rows_and_labels(size._replace(n_samples=size.n_samples + NEW_ROWS))
    return X[NEW_ROWS:], Y[NEW_ROWS:], X[:NEW_ROWS], Y[:NEW_ROWS]


def _search(size, share):
    """Find the neighbours of the new rows in both ways, in turn; return a line of the table."""
    X, Y, new, truth = _rows_to_search(size)
    n_rows, per_thousand = round(share * size.n_samples), 1_000 / NEW_ROWS
    fitted, seconds, found, macro_f1_of = {}, {"exact": [], "approximate": []}, {}, {}
    for search in seconds:
        start = time.perf_counter()
        fitted[search] = NeighborLabels(search=search).fit(X[:n_rows], Y[:n_rows])
        index_seconds = time.perf_counter() - start
    while len(seconds["exact"]) < ROUNDS[0] and sum(map(sum, seconds.values())) < IMPATIENCE:
        for search, knn in fitted.items():
            start = time.perf_counter()
            found[search] = knn.kneighbors(new)
            seconds[search].append(per_thousand * (time.perf_counter() - start))
    for search, knn in fitted.items():
        shares = knn.transform(new)
        macro_f1_of[search] = macro_f1(truth, GlobalThreshold().fit(shares, truth).predict(shares))
    exact, approximate = (float(np.median(seconds[search])) for search in ("exact", "approximate"))
    right = (found["exact"] > 0).multiply(found["approximate"] > 0).nnz / found["exact"].nnz
    line = {
        "index_seconds": index_seconds,
        "approximate_seconds": approximate,
        "exact_seconds": exact,
        "ratio": exact / approximate,
        "approximate_hours": (index_seconds + approximate * n_rows / 1_000) / 3_600,
        "exact_hours": exact * n_rows / 1_000 / 3_600,
        "recall": right,
        "approximate_macro_f1": macro_f1_of["approximate"],
        "exact_macro_f1": macro_f1_of["exact"],
    }
    rounded = {name: _three_digits(value) for name, value in line.items()}
    return {**size._replace(n_samples=n_rows)._asdict(), **rounded, **_machine()}


def run_stages(size=None):
    """Go the whole way once, in a process of its own; return the most that it holds in each stage."""
    size = size or QUICK_STAGES
    with _fresh_process() as process:
        measured = pd.DataFrame(process.submit(_stages, size).result())
    table = pd.DataFrame({"stage": measured["step"], **size._asdict(), "features_per_row": FEATURES_PER_ROW})
    table = table.assign(peak_memory_mb=measured["peak_memory_mb"])
    print(table.to_string(index=False), flush=True)
    return table


def _stages(size):
    """Read, fit, predict and measure the same rows; return a line for each stage."""
    lines = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.txt.gz"
        save_xc(path, *_rows_and_labels(size, FEATURES_PER_ROW), progress=False)
        _give_memory_back()
        with timed(lines, "Python and its packages"):
            pass
        with timed(lines, "read the file"):
            X, Y = load_xc(path, progress=False)
    folds = draw_folds(len(Y.indptr) - 1, 2, random_state=0)
    with timed(lines, "find the neighbours"):
        local = NeighborLabels().fit_transform(X, Y, groups=folds)
    with timed(lines, "fit the base model"):
        model = LinearOneVsRest(random_state=0).fit(X, Y)
    with timed(lines, "score each half by a model of the other"):
        held_out = out_of_fold_scores(LinearOneVsRest(random_state=0), X, Y, folds, n_labels=size.n_labels)
    with timed(lines, "fit the rule"):
        rule = AdaptiveThreshold(random_state=0).fit(held_out, Y, local=local)
    with timed(lines, "predict"):
        scores = model.top_scores(X)
        predicted = rule.predict(scores, local=local)
    with timed(lines, "evaluate"):
        evaluate(Y, predicted, scores, np.diff(sp.csc_array(Y).indptr), n_train=size.n_samples)
    return lines


def run_part(name, size=None):
    """Measure one part at one size, or at its quick one; return its table, saying each line as it comes."""
    part = PARTS[name]()
    size, rows = size or part.quick, []
    if not part.quick.n_features:  # of scores alone
        size = size._replace(n_features=0)
    for at, comparison in enumerate(part.comparisons):
        for share in comparison.shares:
            of_size = size._replace(n_samples=max(1, round(share * size.n_samples)))
            rows.append(_row(of_size, comparison, *_compare(name, at, of_size)))
            print(", ".join(f"{key} {value}" for key, value in rows[-1].items() if value != ""), flush=True)
    return _with_slopes(pd.DataFrame(rows))


class _Measurement(NamedTuple):
    """Seconds and memory of one side of a comparison."""

    seconds: float = np.nan
    memory_mb: float = np.nan


def _compare(name, at, size):
    """Measure both sides in turn, each in a process of its own; nothing where there is no peer."""
    sides = ("ours", "theirs")[: 1 + (PARTS[name]().comparisons[at].theirs is not None)]
    with ExitStack() as stack:
        workers = {side: stack.enter_context(_fresh_process()) for side in sides}
        ready = [(side, worker.submit(_prepare, name, at, side, size)) for side, worker in workers.items()]
        measured = {side: [] for side, future in ready if future.result()}
        fewest, most = ROUNDS
        for done in range(most):
            seconds = sum(run.seconds for runs in measured.values() for run in runs)
            if seconds > IMPATIENCE or (done >= fewest and seconds > PATIENCE):
                break
            for side, runs in measured.items():
                runs.append(workers[side].submit(_measure, name, at, side, size).result())
    found = {
        side: _Measurement(float(np.median([run.seconds for run in runs])), runs[0].memory_mb)
        for side, runs in measured.items()
    }
    return [found.get(side, _Measurement()) for side in ("ours", "theirs")]


def _fresh_process():
    """Start a process that takes one call after the other."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _prepare(name, at, side, size):
    """Make the data, and run once on a few rows; False where a package is missing."""
    few = size._replace(n_samples=min(WARM_UP_ROWS, size.n_samples))
    try:
        _function(name, at, side)(*_data(name, at, few))
    except ImportError as error:
        print(f"{PARTS[name]().comparisons[at].benchmark}, {side}: left out. {error}", flush=True)
        return False
    _data(name, at, size)
    return True


def _function(name, at, side):
    return getattr(PARTS[name]().comparisons[at], side)


@lru_cache(maxsize=1)
def _data(name, at, size):
    """Make the data of a comparison; those of the last call are kept."""
    part = PARTS[name]()
    data, step = part.make_data(size), part.comparisons[at].step
    return data if step == 1 else tuple(sp.csr_array(matrix[:, ::step]) for matrix in data)


def _measure(name, at, side, size):
    """Measure one run."""
    data, function = _data(name, at, size), _function(name, at, side)
    _give_memory_back()
    before = memory_mb("VmRSS") if forget_peak() else np.nan
    start = time.perf_counter()
    function(*data)
    seconds = time.perf_counter() - start
    return _Measurement(seconds, memory_mb() - before)


def _give_memory_back():
    """Let the heap keep nothing that is free: a run that only takes it again would seem to need no memory."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)  # not every C library has it
        trim(0)


def _row(size, comparison, ours, peer):
    """Describe one comparison at one size as a line of the table."""
    n_labels = len(range(0, size.n_labels, comparison.step))
    return {
        "benchmark": comparison.benchmark,
        "n_samples": size.n_samples,
        "n_features": size.n_features or "",
        "n_labels": n_labels,
        "ours_seconds": _three_digits(ours.seconds),
        "peer": comparison.peer or "",
        "peer_seconds": _three_digits(peer.seconds),
        "ratio": _three_digits(peer.seconds / ours.seconds),
        "ours_memory_mb": _three_digits(ours.memory_mb),
        "peer_memory_mb": _three_digits(peer.memory_mb),
        **_machine(),
    }


@lru_cache
def _machine():
    """Name the processor, and count its cores and the threads that libraries use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    threads = max((library["num_threads"] for library in threadpool_info()), default=1)
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
    }


def _three_digits(value):
    """Round to what a few measurements can tell."""
    return float(f"{value:.3g}")


def _with_slopes(table):
    """Add the slopes of log seconds against log rows, where a benchmark has four sizes."""
    for side in ("ours", "peer"):
        table[f"{side}_slope"] = np.nan
        for _, lines in table.groupby(["benchmark", "peer"]):
            known = lines.dropna(subset=f"{side}_seconds")
            if known["n_samples"].nunique() >= len(SHARES):
                slope, _ = np.polyfit(np.log(known["n_samples"]), np.log(known[f"{side}_seconds"]), 1)
                table.loc[lines.index, f"{side}_slope"] = round(slope, 2)
    return table


def plot_cost(tables):
    """Draw seconds against rows of benchmarks with several sizes, ours and the peer's: a panel a part."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    from adathresh.experiments.core.plotting import use_style

    use_style()
    sized = {name: table.dropna(subset="ours_slope") for name, table in tables.items()}
    sized = {name: table for name, table in sized.items() if len(table)}
    n_lines = max(1, -(-len(sized) // 2))
    figure, grid = plt.subplots(n_lines, 2, figsize=(9.6, 2.8 * n_lines), squeeze=False)
    for axes in grid.flat[len(sized) :]:
        axes.set_visible(False)
    for axes, (part, table) in zip(grid.flat, sized.items(), strict=False):
        for number, (name, lines) in enumerate(table.groupby("benchmark", sort=False)):
            color = f"C{number}"
            axes.loglog(lines["n_samples"], lines["ours_seconds"], "o-", color=color, label=name)
            if lines["peer_seconds"].notna().any():
                axes.loglog(
                    lines["n_samples"], lines["peer_seconds"], "s--", color=color, markerfacecolor="none"
                )
        sizes = sorted(set(table["n_samples"]))
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set(title=part, xlabel="rows", ylabel="seconds")
        axes.legend(fontsize=7)
    figure.suptitle("solid: ours, dashed: the peer", fontsize=9)
    return figure


def run_benchmarks(names=None, *, size="quick", out="results/benchmarks"):
    """Measure some parts, or all, and write one table each and a figure of all tables that are there.

    Returns the exit status, 0.
    """
    known = [*PARTS, STAGES, SEARCH]
    names = known if names is None else list(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"--only must name parts, of {', '.join(known)}; got {', '.join(unknown)}.")
    out, of_size = Path(out), SIZES[size]
    without_peer = {STAGES: run_stages, SEARCH: run_search}
    for name in names:
        table = without_peer[name](of_size) if name in without_peer else run_part(name, of_size)
        with whole_file(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    written = {name: out / f"{name}.csv" for name in PARTS}
    figure = plot_cost({name: pd.read_csv(path) for name, path in written.items() if path.is_file()})
    with whole_file(out / "cost.png") as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    return 0
