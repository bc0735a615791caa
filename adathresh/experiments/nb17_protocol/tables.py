"""Rows of notebook 17: the released protocol with one of its parts taken away at a time.

Everything is evaluated on the validation rows, because the released protocol chooses its epoch on the rows
that it reports; no test row is used.
"""

import numpy as np

from adathresh.experiments.core.protocol_runs import (
    EVALUATION_BATCHES,
    HALVES,
    WITHOUT_LEARNT_THRESHOLD,
    fixed_threshold_run,
    measures,
    released_run,
    train_all,
)
from adathresh.experiments.core.results import study_row

MEASURES = ("macro_f1", "macro_f1_present", "micro_f1", "labels_per_row")
"""What :func:`adathresh.experiments.core.protocol_runs.measures` measures of label sets."""


def protocol_tables(config, parts):
    """Train on the rows of every seed, and return the tables' rows: selection, batches, attribution."""
    fixed = [(fixed_threshold_run, how) for how in WITHOUT_LEARNT_THRESHOLD]
    train_all(config, parts, [(released_run, {}), *fixed])
    tables = {"selection": [], "batches": [], "attribution": []}
    for seed, part in parts.items():
        released = released_run(config, part, seed=seed)
        tables["selection"] += selection_rows(config, part, released, seed=seed)
        tables["batches"] += batch_rows(config, part, released, seed=seed)
        tables["attribution"] += attribution_rows(config, part, released, seed=seed)
    return tables


def selection_rows(config, ds, released, *, seed):
    """Compare the epoch chosen on the reported rows with the epoch chosen on other ones.

    The validation rows are halved (groups stay whole); each half is reported once, and the two are averaged.
    For released and for withheld labels, macro-F1 of a half in three rows: at the epoch that is best on it,
    at the epoch that is best on the other half, and at the last.
    """
    rows = []
    for signals in ("released", "withheld"):
        one, other = (released.history[f"macro_f1_half_{half}_{signals}"].to_numpy() for half in HALVES)
        macro_f1_by_choice = {
            "the reported rows": (one.max(), other.max()),
            "other rows": (one[other.argmax()], other[one.argmax()]),
            "none: the last": (one[-1], other[-1]),
        }
        rows += [
            study_row(
                config, ds, seed, signals=signals, epoch_chosen_on=choice, macro_f1=float(np.mean(values))
            )
            for choice, values in macro_f1_by_choice.items()
        ]
    return rows


def batch_rows(config, ds, released, *, seed):
    """Measure the same weights on the same rows in evaluation batches of several sizes.

    One row for each batch size and each of released and withheld signals.
    """
    return [
        study_row(
            config,
            ds,
            seed,
            signals=signals,
            batch_size=size,
            **measures(ds.validation.Y, released.predictions[f"{signals}, batch {size}"]),
        )
        for signals in ("released", "withheld")
        for size in EVALUATION_BATCHES
    ]


def attribution_rows(config, ds, released, *, seed):
    """Train without any learnt threshold, with and without weighted positives and row-standardised logits.

    The threshold is the released switch's constant, θ = 0.5. After these four runs come the released one
    after as many epochs, with its signals withheld and as released.
    """
    rows = []
    for how in WITHOUT_LEARNT_THRESHOLD:
        run = fixed_threshold_run(config, ds, seed=seed, **how)
        rows.append(_attribution(config, ds, seed, run.history, "withheld", "0.5", *how.values()))
    shown = released.history.iloc[: len(run.history)]
    return rows + [
        _attribution(config, ds, seed, shown, signals, f"learnt, labels {signals}", 10.0, True)
        for signals in ("withheld", "released")
    ]


def _attribution(config, ds, seed, history, signals, threshold, pos_weight, standardised):
    """Return one row of :func:`attribution_rows`."""
    last = history.iloc[-1]
    return study_row(
        config,
        ds,
        seed,
        epoch=int(last["epoch"]),
        threshold=threshold,
        pos_weight=pos_weight,
        row_standardised=standardised,
        **{name: float(last[f"{name}_{signals}"]) for name in MEASURES},
    )
