"""Time the rules against the usual way: ``python -m adathresh.experiments.benchmarks``.

The table ``rules.csv`` has one line for every rule and peer: seconds and memory of fitting ours and of the
peer on the same generated scores, one after the other on the same machine, each in a fresh process and after
a first run on a few rows, which loads and compiles what is needed. ``ratio`` is peer_seconds / ours_seconds.
Memory is the largest that the process held while fitting, above what it held before with the data loaded;
Linux tells it, elsewhere it stays empty.
"""

import argparse
import importlib.util
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, precision_recall_curve

from adathresh.experiments.core.costs import forget_peak, memory_mb
from adathresh.posthoc.threshold import AdaptiveThreshold
from adathresh.rules import (
    BlockCoordinateMacroF1,
    ExpectedF1Threshold,
    FrankWolfeMacroF1,
    GlobalThreshold,
    MicroMacroThreshold,
    SCut,
)
from adathresh.utils.files import whole_file

WARM_UP_ROWS = 300
BLOCK_ROWS = 20_000


class Size(NamedTuple):
    """Size of generated scores."""

    n_samples: int
    n_labels: int
    per_row: int

    def __str__(self):
        return f"{self.n_samples} x {self.n_labels}, {self.per_row} scores a row"


class Benchmark(NamedTuple):
    """A rule and what it is compared with, both on every ``step``-th label."""

    rule: str
    peer: str | None
    step: int = 1


HEADLINE_SIZE = Size(45_000, 4_271, 50)  # the training rows of EURLEX57K
LARGE_SIZE = Size(1_000_000, 13_330, 20)  # nearly the training rows of AmazonCat-13K
BENCHMARKS = (
    Benchmark("SCut", "scikit-learn precision_recall_curve, label by label"),
    Benchmark("GlobalThreshold", "scikit-learn f1_score at 99 thresholds"),
    Benchmark("ExpectedF1Threshold", "xCOLUMNs Frank-Wolfe macro-F1"),
    Benchmark("ExpectedF1Threshold", "xCOLUMNs block coordinate macro-F1, 5 labels a row"),
    Benchmark("MicroMacroThreshold", None),
    # one step of Python for every score: all labels would take minutes
    Benchmark("MicroMacroThreshold", "LibMultiLabel micromacro, label by label", step=8),
    Benchmark(
        "AdaptiveThreshold", "scikit-learn IsotonicRegression and precision_recall_curve, label by label"
    ),
)


def make_scores(size, *, random_state=0):
    """Make calibrated probabilities of the top candidates of each row, and labels drawn from them.

    Candidates follow a power law: the r-th commonest label is a candidate nearly in proportion to 1/r. About
    a tenth of the candidates are true.
    """
    rng = np.random.default_rng(random_state)
    frequency = 1 / np.arange(1, size.n_labels + 1)
    cumulative = np.cumsum(frequency) / frequency.sum()
    blocks = [
        _make_block(rng, min(BLOCK_ROWS, size.n_samples - start), size, cumulative)
        for start in range(0, size.n_samples, BLOCK_ROWS)
    ]
    scores = sp.csr_array(sp.vstack(blocks, format="csr"))
    true = rng.random(scores.nnz, dtype=np.float32) < scores.data
    Y = sp.csr_array((true.astype(np.float32), scores.indices.copy(), scores.indptr.copy()), scores.shape)
    Y.eliminate_zeros()
    return scores, Y


def _make_block(rng, n_rows, size, cumulative):
    """Draw candidates with repetitions, keep the first distinct ones of each row, and give them scores."""
    drawn = np.searchsorted(cumulative, rng.random((n_rows, 3 * size.per_row))).astype(np.int32)
    order = np.argsort(drawn, axis=1, kind="stable")
    by_label = np.take_along_axis(drawn, order, axis=1)
    is_first = np.ones_like(drawn, dtype=bool)
    is_first[:, 1:] = by_label[:, 1:] != by_label[:, :-1]
    distinct = np.zeros_like(is_first)
    np.put_along_axis(distinct, order, is_first, axis=1)
    rows, places = np.nonzero(distinct & (np.cumsum(distinct, axis=1) <= size.per_row))
    values = rng.random(len(rows), dtype=np.float32) ** 9  # a tenth on average, most of them small
    block = sp.csr_array((values, (rows, drawn[rows, places])), shape=(n_rows, size.n_labels))
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


METHODS = {
    "SCut": lambda scores, Y: SCut().fit(scores, Y),
    "GlobalThreshold": lambda scores, Y: GlobalThreshold().fit(scores, Y),
    "ExpectedF1Threshold": lambda scores, Y: ExpectedF1Threshold().fit(scores),
    "MicroMacroThreshold": lambda scores, Y: MicroMacroThreshold().fit(scores, Y),
    "AdaptiveThreshold": lambda scores, Y: AdaptiveThreshold().fit(scores, Y),
    "scikit-learn precision_recall_curve, label by label": precision_recall_thresholds,
    "scikit-learn f1_score at 99 thresholds": grid_threshold,
    "scikit-learn IsotonicRegression and precision_recall_curve, label by label": isotonic_thresholds,
    "xCOLUMNs Frank-Wolfe macro-F1": lambda scores, Y: FrankWolfeMacroF1().fit(scores, Y),
    "xCOLUMNs block coordinate macro-F1, 5 labels a row": lambda scores, Y: (
        BlockCoordinateMacroF1(5).fit(scores).predict(scores)
    ),
    "LibMultiLabel micromacro, label by label": libmultilabel_thresholds,
}


def run_benchmarks(size, benchmarks=BENCHMARKS):
    """Measure rules and peers on scores of one size, saying each result as it comes: one row each.

    Where a peer's package is not installed, its numbers are missing.
    """
    rows, measured = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, matrix in zip(("scores", "labels"), make_scores(size), strict=True):
            sp.save_npz(Path(folder) / f"{name}.npz", matrix, compressed=False)
        for benchmark in benchmarks:
            for method in filter(None, (benchmark.rule, benchmark.peer)):
                if (method, benchmark.step) not in measured:
                    measured[method, benchmark.step] = _measure_apart(method, folder, benchmark.step)
            ours = measured[benchmark.rule, benchmark.step]
            peer = measured.get((benchmark.peer, benchmark.step), _NOTHING)
            rows.append(_row(size, benchmark, ours, peer))
            print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


class _Measurement(NamedTuple):
    """Seconds and memory of one method."""

    seconds: float = np.nan
    memory_mb: float = np.nan


_NOTHING = _Measurement()


def _row(size, benchmark, ours, peer):
    """Describe one comparison as a row of the table."""
    n_labels = len(range(0, size.n_labels, benchmark.step))
    part = f"{size}" if benchmark.step == 1 else f"{size}, {n_labels} of the labels"
    return {
        "benchmark": f"fit {benchmark.rule}",
        "size": part,
        "ours_seconds": _three_digits(ours.seconds),
        "peer": benchmark.peer or "",
        "peer_seconds": _three_digits(peer.seconds),
        "ratio": _three_digits(peer.seconds / ours.seconds),
        "ours_memory_mb": _three_digits(ours.memory_mb),
        "peer_memory_mb": _three_digits(peer.memory_mb),
    }


def _three_digits(value):
    """Round to what a single measurement can tell."""
    return float(f"{value:.3g}")


def _measure_apart(method, folder, step):
    """Measure one method in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, method, folder, step).result()


def _measure(method, folder, step):
    """Load the data, warm up on a few rows, and measure one method; nothing where a package is missing."""
    scores, Y = (
        sp.csr_array(sp.load_npz(Path(folder) / f"{name}.npz"))[:, ::step] for name in ("scores", "labels")
    )
    try:
        METHODS[method](scores[:WARM_UP_ROWS], Y[:WARM_UP_ROWS])
    except ImportError as error:
        print(f"{method}: left out. {error}", flush=True)
        return _NOTHING
    before = memory_mb("VmRSS") if forget_peak() else np.nan
    start = time.perf_counter()
    METHODS[method](scores, Y)
    seconds = time.perf_counter() - start
    return _Measurement(seconds, memory_mb() - before)


def main(argv=None):
    """Run all benchmarks and write ``rules.csv``; the exit status is 0."""
    parser = argparse.ArgumentParser(
        prog="python -m adathresh.experiments.benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks"), help="folder of rules.csv (%(default)s)"
    )
    parser.add_argument(
        "--full", action="store_true", help=f"also time our rules at {LARGE_SIZE} (minutes, up to 10 GiB)"
    )
    args = parser.parse_args(argv)
    rows = run_benchmarks(HEADLINE_SIZE)
    if args.full:
        ours = dict.fromkeys(benchmark.rule for benchmark in BENCHMARKS)
        rows += run_benchmarks(LARGE_SIZE, [Benchmark(rule, None) for rule in ours])
    with whole_file(args.out / "rules.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
