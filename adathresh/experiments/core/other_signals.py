"""What our rule sees beside the scores: neighbour shares, and what the labels' texts say of a row.

Of a fitting row both come from the other folds, as the models that scored it do.
"""

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.models.prototypes import LabelPrototypes
from adathresh.posthoc.label_texts import LabelTextSignals
from adathresh.signals.knn import NeighborLabels
from adathresh.signals.mentions import LabelMentions
from adathresh.utils.texts import learn_words, word_vectorizer

IN_TITLES = "mentions in titles"
"""Name of the one signal that reads titles."""

LABEL_TEXTS = ("similarity", "mentions", IN_TITLES, "prototypes")
"""What the labels' texts say: names of the signals; all others are those of :class:`LabelTextSignals`."""

N_THREADS = 2
"""Threads of the neighbour search: the signals of one seed are computed while nothing else is."""


def other_signals(ds, *, seed):
    """Return neighbour shares, and what label texts say, of fitting and of test rows.

    Nothing is said where rows or labels have no texts.
    """
    key = {"data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    shares = cached_arrays({"what": "shares", **key}, lambda: _shares(ds, seed=seed))
    if ds.label_knowledge is None or ds.train.texts is None:
        return _both(shares), ({}, {})
    said = cached_arrays({"what": "label texts", **key}, lambda: _said_by_labels(ds, seed=seed))
    return _both(shares), _both(said)


def _both(arrays):
    """Return the matrices of fitting rows and those of test rows by name."""
    names = ("neighbours", "neighbours by title", *LABEL_TEXTS)
    return tuple(
        {name: arrays[f"{name}: {part}"] for name in names if f"{name}: {part}" in arrays}
        for part in ("fitting", "test")
    )


def _shares(ds, *, seed):
    """Return the neighbour shares of fitting rows, from the other folds, and of test rows."""
    rows, folds = fitting_rows(ds, seed=seed)
    found = {}
    for name, (fitting, test) in neighbor_spaces(ds, rows).items():
        knn = NeighborLabels(n_jobs=N_THREADS)
        found[f"{name}: fitting"] = knn.fit_transform(fitting, rows.Y, groups=folds)
        found[f"{name}: test"] = knn.transform(test)
    return found


def neighbor_spaces(ds, rows):
    """Return the matrices in which neighbours are searched, of fitting rows and of test rows, by signal."""
    spaces = {"neighbours": (rows.X, ds.test.X)}
    if rows.titles is not None:
        words = word_vectorizer()
        spaces["neighbours by title"] = learn_words(words, rows.titles), words.transform(ds.test.titles)
    return spaces


def _said_by_labels(ds, *, seed):
    """Return what the labels' texts say of fitting rows, from the other folds, and of test rows."""
    rows, folds = fitting_rows(ds, seed=seed)
    knowledge = ds.label_knowledge
    signals = LabelTextSignals(knowledge, LabelPrototypes(knowledge, n_jobs=N_THREADS), n_jobs=N_THREADS)
    at_fitting = signals.fit_transform(rows.texts, rows.Y, folds=folds)
    found = {}
    of_texts = [name for name in LABEL_TEXTS if name != IN_TITLES]
    for name, *both in zip(of_texts, at_fitting, signals.transform(ds.test.texts), strict=True):
        found[f"{name}: fitting"], found[f"{name}: test"] = both
    if rows.titles is not None:
        mentions = LabelMentions(knowledge)
        found[f"{IN_TITLES}: fitting"] = mentions.fit_transform(rows.titles, rows.Y, folds=folds)
        found[f"{IN_TITLES}: test"] = mentions.transform(ds.test.titles)
    return found
