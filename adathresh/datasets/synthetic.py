"""Synthetic long-tailed data of any size."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from adathresh.datasets.formats import save_xc_blocks
from adathresh.utils.distinct import distinct
from adathresh.utils.files import PathLike
from adathresh.utils.parameters import check_value, number, whole
from adathresh.utils.parameters import path as a_path
from adathresh.utils.progress import tqdm

BLOCK_ROWS = 8192  # part of the definition: each block of rows has a random stream of its own
COHERENCE = 0.7  # share of a row's labels that are drawn from the row's topic
SIGNAL = 0.25  # share of a row's features that are drawn from the signatures of its labels
SIGNATURE = 20  # features in the signature of a label
ATTEMPTS = 12


def make_longtail(
    n_samples: int,
    n_features: int,
    n_labels: int,
    *,
    labels_per_row: float = 5.0,
    features_per_row: float = 70,
    exponent: float = 1.0,
    random_state: int = 0,
) -> tuple[sp.csr_array, sp.csr_array]:
    """Make sparse multi-label data whose label frequencies follow a power law.

    The r-th commonest label is drawn with a probability proportional to r to the power of -`exponent`. Labels
    belong to topics; most labels of a row come from one topic, so that they co-occur. Each label has a
    signature of features, from which a part of the row's features is drawn; the others are noise, whose
    frequencies follow a power law as well. Values are inverse document frequencies with noise, rows have
    length 1.

    Parameters
    ----------
    n_samples, n_features, n_labels : int
        Sizes; any number of rows, at least one feature and one label.
    labels_per_row, features_per_row : float, default=5.0 and 70
        Wanted mean number of labels (at least 1) and features. Small or very uneven inventories yield fewer.
    exponent : float, default=1.0
        Steepness of the long tail; 0 makes all labels equally frequent.
    random_state : int, default=0
        Seed. The first rows do not depend on `n_samples`, except within the last block of 8,192.

    Returns
    -------
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features, float32.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels, stored ones in float32.

    Raises
    ------
    ValueError
        If a size is out of its range.

    See Also
    --------
    write_longtail : Write such data without holding it in memory.

    Examples
    --------
    >>> X, Y = make_longtail(1000, 500, 50)
    >>> X.shape, Y.shape
    ((1000, 500), (1000, 50))
    """
    blocks = list(
        iter_longtail(
            n_samples,
            n_features,
            n_labels,
            labels_per_row=labels_per_row,
            features_per_row=features_per_row,
            exponent=exponent,
            random_state=random_state,
        )
    )
    if not blocks:
        return sp.csr_array((0, n_features), dtype=np.float32), sp.csr_array((0, n_labels), dtype=np.float32)
    return sp.vstack([X for X, _ in blocks], format="csr"), sp.vstack([Y for _, Y in blocks], format="csr")


def write_longtail(
    path: PathLike,
    n_samples: int,
    n_features: int,
    n_labels: int,
    *,
    labels_per_row: float = 5.0,
    features_per_row: float = 70,
    exponent: float = 1.0,
    random_state: int = 0,
    progress: bool = True,
) -> None:
    """Write the data of :func:`make_longtail` to a file, holding only one block of rows in memory.

    Parameters
    ----------
    path : str or path-like
        The file, in the Extreme Classification format; ``.gz`` and ``.bz2`` are compressed.
    n_samples, n_features, n_labels : int
        Sizes; AmazonCat-13K has 1,186,239 rows, 203,882 features and 13,330 labels.
    labels_per_row, features_per_row : float, default=5.0 and 70
        Wanted mean number of labels and features.
    exponent : float, default=1.0
        Steepness of the long tail.
    random_state : int, default=0
        Seed.
    progress : bool, default=True
        Whether to show progress.

    Raises
    ------
    ValueError
        If a size is out of its range, or path is no path.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_longtail(f"{folder}/train.txt.gz", 100, 500, 50, progress=False)
    """
    check_value("path", path, a_path())
    blocks = iter_longtail(
        n_samples,
        n_features,
        n_labels,
        labels_per_row=labels_per_row,
        features_per_row=features_per_row,
        exponent=exponent,
        random_state=random_state,
    )
    with tqdm(total=n_samples, unit="row", desc="synthetic rows", disable=not progress) as bar:
        save_xc_blocks(path, blocks, shape=(n_samples, n_features, n_labels), on_rows=bar.update)


def iter_longtail(
    n_samples: int,
    n_features: int,
    n_labels: int,
    *,
    labels_per_row: float = 5.0,
    features_per_row: float = 70,
    exponent: float = 1.0,
    random_state: int = 0,
) -> Iterator[tuple[sp.csr_array, sp.csr_array]]:
    """Return an iterator over the data of :func:`make_longtail` in blocks of 8,192 rows.

    Parameters
    ----------
    n_samples, n_features, n_labels : int
        Sizes.
    labels_per_row, features_per_row : float, default=5.0 and 70
        Wanted mean number of labels and features.
    exponent : float, default=1.0
        Steepness of the long tail.
    random_state : int, default=0
        Seed.

    Returns
    -------
    iterator of pairs of scipy.sparse.csr_array
        Features and labels of the next rows.

    Raises
    ------
    ValueError
        If a size is out of its range.

    Examples
    --------
    >>> [X.shape for X, Y in iter_longtail(1000, 500, 50)]
    [(1000, 500)]
    """
    check_value("n_samples", n_samples, whole(0))
    check_value("n_features", n_features, whole(1))
    check_value("n_labels", n_labels, whole(1))
    check_value("labels_per_row", labels_per_row, number(least=1, most=n_labels))
    check_value("features_per_row", features_per_row, number(least=1, most=n_features))
    check_value("exponent", exponent, number(least=0, below=10))
    check_value("random_state", random_state, whole(0))

    def blocks():
        """Make the blocks, one after the other."""
        world = _World(n_features, n_labels, exponent, np.random.default_rng([random_state, 0]))
        for block, start in enumerate(range(0, n_samples, BLOCK_ROWS)):
            rng = np.random.default_rng([random_state, 1, block])
            n_rows = min(BLOCK_ROWS, n_samples - start)
            yield world.rows(n_rows, labels_per_row, features_per_row, rng)

    return blocks()  # arguments are checked before the first is asked for


class _World:
    """What all rows have in common: label frequencies, topics, signatures, feature frequencies."""

    def __init__(self, n_features, n_labels, exponent, rng):
        # Positions are labels ordered by topic; a topic is a range of positions.
        topic_size = max(2, round(n_labels**0.5))
        self.label_at = rng.permutation(n_labels)
        self.label_ends = _cumulative(_power_law(n_labels, exponent)[rng.permutation(n_labels)])
        starts = np.arange(0, n_labels, topic_size)
        self.topic_ends = self.label_ends[np.append(starts[1:], n_labels) - 1]
        self.topic_starts = np.append(0.0, self.topic_ends[:-1])
        frequency = _power_law(n_features, 1.0)[rng.permutation(n_features)]
        self.feature_ends = _cumulative(frequency)
        self.rarity = 1 + np.log(frequency.max() / frequency)
        self.signature = rng.integers(n_features, size=(n_labels, SIGNATURE))

    def rows(self, n_rows, labels_per_row, features_per_row, rng):
        """Draw rows."""
        topic = np.searchsorted(self.topic_ends[:-1], rng.random(n_rows), side="right")

        def draw_labels(row):
            start, end = self.topic_starts[topic[row]], self.topic_ends[topic[row]]
            point = rng.random(row.size)
            point = np.where(rng.random(row.size) < COHERENCE, start + point * (end - start), point)
            return self.label_at[_draw(self.label_ends, point)]

        n_labels, n_features = self.label_at.size, self.rarity.size
        Y = _distinct(draw_labels, 1 + rng.poisson(labels_per_row - 1, n_rows), n_labels)

        def draw_features(row):
            of_row = Y.indptr[row] + (rng.random(row.size) * np.diff(Y.indptr)[row]).astype(int)
            signal = self.signature[Y.indices[of_row], rng.integers(SIGNATURE, size=row.size)]
            noise = _draw(self.feature_ends, rng.random(row.size))
            return np.where(rng.random(row.size) < SIGNAL, signal, noise)

        X = _distinct(draw_features, np.maximum(1, rng.poisson(features_per_row, n_rows)), n_features)
        values = self.rarity[X.indices] * rng.uniform(0.5, 1.5, X.nnz)
        lengths = np.sqrt(np.add.reduceat(values**2, X.indptr[:-1]))
        X.data = np.maximum(values / np.repeat(lengths, np.diff(X.indptr)), 1e-4).round(4).astype(np.float32)
        return X, Y


def _power_law(size, exponent):
    """Return probabilities proportional to the ranks to a negative power."""
    weights = np.arange(1.0, size + 1) ** -exponent
    return weights / weights.sum()


def _cumulative(probabilities):
    """Return cumulative sums that end in exactly 1."""
    ends = probabilities.cumsum()
    ends[-1] = 1.0
    return ends


def _draw(ends, points):
    """Return the ranges in which points of [0, 1) fall."""
    return np.minimum(np.searchsorted(ends, points, side="right"), ends.size - 1)


def _distinct(draw, wanted, width):
    """Draw columns for each row until it has as many different ones as wanted, or attempts run out."""
    n_rows = wanted.size
    wanted = np.minimum(wanted, width)
    cells = np.empty(0, dtype=np.int64)
    missing = wanted
    for _ in range(ATTEMPTS):
        row = np.repeat(np.arange(n_rows), missing)
        cells = distinct(cells, row * width + draw(row))
        missing = wanted - np.bincount(cells // width, minlength=n_rows)
        if not missing.any():
            break
    indptr = np.searchsorted(cells, np.arange(n_rows + 1) * width)
    matrix = sp.csr_array(
        (np.ones(cells.size, np.float32), (cells % width).astype(np.int32), indptr.astype(np.int32)),
        shape=(n_rows, width),
    )
    matrix.has_canonical_format = True
    return matrix
