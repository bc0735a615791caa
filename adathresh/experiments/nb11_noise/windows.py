"""Texts scored in windows by a model of one label a row: the tiles of PlantCLEF 2024, in words.

There pictures of one plant train a model that names all plants of a plot: it scores the tiles of a picture
apart, and each plant gets its greatest score.
"""

from itertools import product

import numpy as np
import scipy.sparse as sp
from IPython.display import Markdown
from joblib import delayed

from adathresh.experiments.core.base_models import BASE_MODELS
from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.crossfit import Signals
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.display import shown, summarize
from adathresh.experiments.core.evaluation import interval_rows, rule_rows
from adathresh.experiments.core.fold_scores import ALL_ROWS, N_FOLDS, fitting_labels, fitting_rows
from adathresh.experiments.core.other_signals import other_signals
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.rules import OURS, Prediction, fitted_choice, our_choices, rival_rules
from adathresh.experiments.nb11_noise.labels import ONE, corrupted, noises
from adathresh.experiments.nb11_noise.study import BASE
from adathresh.models import BagOfWords
from adathresh.posthoc.crossfit import base_scores, in_row_order

WHOLE, WINDOWS = "whole texts", "max-pooled windows"
"""How a text is scored."""

RULES = ("global threshold", OURS)
"""The rules that are given either scores."""

WORDS = f"{BASE}, words of the texts"
"""The base model: the features of a window are made as those of a whole text."""

IN_PROFILES = ("full",)
"""The profiles that try windows: it takes as long as all else in the notebook."""

NOTHING = "Windows are tried in the full profile, where there are texts and rows with several labels."


def window_tables(config, ds):
    """Compare texts scored whole and in windows, after training with one label a row.

    Returns tables by name; none in the quick profile, without texts, or where no row has two labels.
    """
    noise = next((noise for noise in noises(config, ds) if noise.kind == ONE), None)
    if config.profile not in IN_PROFILES or ds.train.texts is None or noise is None:
        return {}
    data = {seed: corrupted(ds, noise, seed=seed) for seed in config.seed_list}
    side_by_side(
        delayed(_fold_scores)(config, noisy, fold, seed=seed)
        for seed, noisy in data.items()
        for fold in (ALL_ROWS, *range(N_FOLDS))
    )
    jobs = list(product(data, (WHOLE, WINDOWS)))
    found = side_by_side(delayed(_predict)(config, data[seed], how, seed=seed) for seed, how in jobs)
    by_job, size = dict(zip(jobs, found, strict=True)), window_size(ds)
    rows = [
        {"scored": how, "window_words": size, **row}
        for (seed, how), predictions in by_job.items()
        for row in rule_rows(config, ds, WORDS, predictions, seed=seed)
    ]
    differences = []
    for rule in RULES:
        sets = {how: [by_job[seed, how][rule].label_sets for seed in data] for how in (WINDOWS, WHOLE)}
        options = {"random_state": config.random_state, "base": WORDS, "rule": rule}
        differences += interval_rows(config, ds, sets, WINDOWS, **options)
    return {"windows": rows, "window_differences": differences}


def window_size(ds):
    """Return how many words a window has: half of those of the median training text."""
    return max(1, round(np.median([len(text.split()) for text in ds.train.texts]) / 2))


def windows_of(text, size):
    """Cut a text into windows of ``size`` words, each beginning in the middle of the one before.

    The last one may be shorter; a text of at most ``size`` words is one window.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 word; got {size}.")
    words, step = text.split(), max(1, size // 2)
    starts = range(0, max(0, len(words) - size) + step, step)
    return [" ".join(words[start : start + size]) for start in starts]


def max_pooled(scores, rows):
    """Give each row the greatest score that each label has in one of its windows.

    ``rows`` says of which row each window is, from 0 to the last row.
    """
    if len(rows) != scores.shape[0]:
        raise ValueError(f"rows must name a row for each of the {scores.shape[0]} windows; got {len(rows)}.")
    n_labels, pairs = scores.shape[1], sp.coo_array(scores)
    places = np.asarray(rows, dtype=np.int64)[pairs.row] * n_labels + pairs.col
    found, at = np.unique(places, return_inverse=True)
    greatest = np.zeros(len(found), dtype=pairs.dtype)
    np.maximum.at(greatest, at, pairs.data)
    return sp.csr_array((greatest, np.divmod(found, n_labels)), shape=(rows[-1] + 1, n_labels))


def shown_windows(tables):
    """Show both ways to score, and their differences, or why there are none."""
    if "windows" not in tables:
        return [Markdown(NOTHING)]
    values, differences = tables["windows"], tables["window_differences"]
    caption = f"Test rows, after training with one label a row; {values['window_words'][0]} words a window"
    columns = ["rule", "a", "b", "metric", "difference", "low", "high"]
    return [
        summarize(values, caption=caption, by=["scored", "rule"], metrics=["macro_f1", "micro_f1"]),
        shown(differences[columns], caption="Differences, 95 % intervals", digits=4),
    ]


def _model(config, ds, seed):
    """Return the linear model of the words of texts, with the first of its strengths."""
    return BagOfWords(BASE_MODELS[BASE].make(config, ds, seed), ngram_range=(1, 1))


def _key(config, ds, what, *, seed):
    """Name all that a stored result depends on."""
    key = {"what": what, "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    return key | {"model": repr(_model(config, ds, seed)), "words": window_size(ds)}


def _fold_scores(config, ds, fold, *, seed):
    """Train on all folds but one and score that one both ways, or on all and score the test rows; once."""
    key = _key(config, ds, "windows", seed=seed) | {"fold": fold}
    return cached_arrays(key, lambda: _score_fold(config, ds, fold, seed=seed))


def _score_fold(config, ds, fold, *, seed):
    """Return what :func:`_fold_scores` keeps."""
    rows, folds = fitting_rows(ds, seed=seed)
    fit = rows.take(np.flatnonzero(folds != fold))
    texts = ds.test.texts if fold == ALL_ROWS else rows.take(np.flatnonzero(folds == fold)).texts
    model, n_labels = _model(config, ds, seed).fit(fit.texts, fit.Y), rows.Y.shape[1]
    cut = [windows_of(text, window_size(ds)) for text in texts]
    in_windows = base_scores(model, [window for windows in cut for window in windows], n_labels=n_labels)
    of_row = np.repeat(np.arange(len(texts)), [len(windows) for windows in cut])
    return {
        WHOLE: base_scores(model, texts, n_labels=n_labels),
        WINDOWS: max_pooled(in_windows, of_row),
    }


def _predict(config, ds, how, *, seed):
    """Fit the rules on out-of-fold scores made one way and label the test rows by scores made alike; once."""
    key = _key(config, ds, "rules on windows", seed=seed) | {"how": how}
    arrays = cached_arrays(key, lambda: _decide(config, ds, how, seed=seed))
    return {rule: Prediction(arrays[f"sets: {rule}"], arrays[f"probabilities: {rule}"]) for rule in RULES}


def _decide(config, ds, how, *, seed):
    """Return what :func:`_predict` keeps."""
    folds = [_fold_scores(config, ds, fold, seed=seed)[how] for fold in range(N_FOLDS)]
    test = _fold_scores(config, ds, ALL_ROWS, seed=seed)[how]
    fitting, Y = in_row_order(folds, fitting_rows(ds, seed=seed).folds), fitting_labels(ds)
    seen = Signals((fitting, test), *other_signals(ds, seed=seed), cost=None)
    rule, (scores, signals) = fitted_choice(ds, our_choices((BASE,), seen)[OURS], [seen], seed=seed)
    decision, (rival, _) = rule.decide(scores, **signals), rival_rules(Y)[RULES[0]]
    return {
        f"sets: {OURS}": decision.label_sets,
        f"probabilities: {OURS}": decision.probabilities,
        f"sets: {RULES[0]}": rival.fit(fitting, Y).predict(test),
        f"probabilities: {RULES[0]}": test,
    }
