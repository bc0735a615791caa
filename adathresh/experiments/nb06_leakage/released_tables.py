"""What the released protocol measures: rows for the audit's tables.

Everything is evaluated on the validation rows, because the released protocol chooses its epoch on the rows
that it reports; no test row is used.
"""

import warnings

import numpy as np

from adathresh.experiments.core.evaluation import BINS, label_frequency
from adathresh.experiments.core.results import table_row
from adathresh.experiments.core.trainings import neighbor_shares
from adathresh.experiments.nb06_leakage.protocol_runs import (
    EVALUATION_BATCHES,
    HALVES,
    WITHOUT_LEARNT_THRESHOLD,
    fixed_threshold_run,
    initial_model,
    measures,
)
from adathresh.leakage import audit
from adathresh.metrics import macro_auroc_interval, paired_macro_auroc
from adathresh.paper.as_released import BATCH_SIZE, LabelLeakageWarning, predict_released

SHOWN_BATCHES = EVALUATION_BATCHES[1:]
"""Those in the table of :func:`leakage_rows`."""


MEASURES = ("macro_f1", "macro_f1_present", "micro_f1", "labels_per_row")
"""What :func:`adathresh.experiments.nb06_leakage.protocol_runs.measures` measures of label sets."""


def study_row(config, ds, seed, *, split="dev", **columns):
    """Return a row of a table that compares no decision rules: the identifying columns, then the others.

    Tables call the validation rows "dev".
    """
    return {
        "dataset": config.dataset,
        "fingerprint": str(ds.fingerprint)[:16],
        "split": split,
        "seed": seed,
        **columns,
    }


def leakage_rows(config, ds, released, *leak_free, seed):
    """Compare what is reported with what the same weights do in other batches, or without the labels.

    "released, best epoch" is what the released protocol reports, its best epoch on these very rows; all
    others are the last epoch's weights.
    """
    found = released.predictions
    ways = {name: found[name] for name in (f"released, batch {size}" for size in SHOWN_BATCHES)}
    ways["labels of other rows"] = found["labels of other rows"]
    ways["labels withheld"] = found[f"withheld, batch {BATCH_SIZE}"]
    for run in leak_free:
        ways |= run.predictions
    metrics = {"released, best epoch": _best(released.history)}
    metrics |= {name: measures(ds.validation.Y, predicted) for name, predicted in ways.items()}
    return [
        table_row(
            config,
            ds,
            split="dev",
            method=name,
            base="network",
            rule="z > θ",
            mode="inductive",
            seed=seed,
            metrics={metric: values[metric] for metric in ("macro_f1", "micro_f1")},
        )
        for name, values in metrics.items()
    ]


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


def history_rows(config, ds, released, *, seed, n_shown=50):
    """Follow what is reported, and what is left of it without the labels, through the epochs.

    At most ``n_shown`` rows, evenly spread over the epochs, the first and the last among them.
    """
    history = released.history
    shown = np.unique(np.linspace(0, len(history) - 1, n_shown).round().astype(int))
    return [
        study_row(
            config,
            ds,
            seed,
            epoch=int(epoch["epoch"]),
            train_loss=epoch["train_loss"],
            macro_f1_released=epoch["macro_f1_released"],
            macro_f1_withheld=epoch["macro_f1_withheld"],
            difference=epoch["macro_f1_released"] - epoch["macro_f1_withheld"],
        )
        for epoch in history.iloc[shown].to_dict("records")
    ]


def auroc_rows(config, ds, Y, scores, *, seed, split="dev", contrasts=()):
    """Measure how scores order the rows of every label, which no threshold of a label can change.

    The measure is macro-AUROC. ``contrasts`` are pairs of names whose difference is measured on the same
    rows. One row a score or contrast and band of training frequency, all labels first, with the 95 %
    interval; bands without a label to be ordered are left out.
    """
    frequency = label_frequency(ds.train.Y)
    found = {name: macro_auroc_interval(Y, of_rows, frequency) for name, of_rows in scores.items()}
    for one, other in contrasts:
        difference = paired_macro_auroc(Y, scores[one], scores[other], frequency)
        found[f"{one} − {other}"] = {
            key: {"value": entry.pop("difference"), **entry} for key, entry in difference.items()
        }
    return [
        study_row(config, ds, seed, split=split, scores=name, training_rows=band, **entry)
        for name, by_band in found.items()
        for band, entry in zip(("all", *BINS), by_band.values(), strict=True)
        if entry["n_labels"]
    ]


def audit_protocol(config, ds, *, seed):
    """Audit the protocol as released, before any training, and the split that it runs on.

    The predictions of an untrained model tell as well as a trained one's what they are made of.
    """
    model = initial_model(config, ds, seed=seed)

    def _predict(X, Y):
        """Predict as the released code evaluates."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LabelLeakageWarning)
            return predict_released(model, X, Y)

    return audit(
        _predict,
        ds.train.X,
        ds.train.Y,
        ds.validation.X,
        ds.validation.Y,
        texts_train=ds.train.texts,
        texts_test=ds.validation.texts,
        groups_train=ds.train.groups,
        groups_test=ds.validation.groups,
        local=neighbor_shares(ds).train,
        random_state=seed,
    )


def _best(history):
    """Return the measures of the epoch that the released protocol reports, the first of greatest macro-F1."""
    epoch = history.loc[history["macro_f1_released"].idxmax()]
    return {name: float(epoch[f"{name}_released"]) for name in ("macro_f1", "micro_f1")}


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
