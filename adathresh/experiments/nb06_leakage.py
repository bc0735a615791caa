"""Notebook 06: what labels in the threshold do to the figure that the released protocol reports.

Everything is evaluated on the validation rows, because the released protocol chooses its epoch on the rows
that it reports; no test row is used.
"""

import warnings

import numpy as np
import pandas as pd

from adathresh.experiments.core.claims import interval_claims, order_claim, yes_claim
from adathresh.experiments.core.evaluation import auroc_rows
from adathresh.experiments.core.protocol_runs import (
    EVALUATION_BATCHES,
    initial_model,
    leak_free_method,
    leak_free_run,
    measures,
    released_run,
    train_all,
)
from adathresh.experiments.core.results import study_row, table_row
from adathresh.experiments.core.sentences import counted, signed, with_interval
from adathresh.experiments.core.trainings import neighbor_shares
from adathresh.leakage import audit
from adathresh.metrics import paired_bootstrap
from adathresh.paper.as_released import BATCH_SIZE, LabelLeakageWarning, predict_released

SHOWN_BATCHES = EVALUATION_BATCHES[1:]
"""Those in the table of :func:`leakage_rows`."""

CONTRASTS = [("released", "withheld"), ("leak-free signals", "withheld")]
"""Scores whose macro-AUROC is compared."""

INTERVAL = ["difference", "low", "high"]
"""Columns of a difference and its interval."""

SHOWN = {
    "released, best epoch": "as reported",
    "labels withheld": "labels withheld",
    "leak-free": "leak-free method",
}
"""The ways to evaluate whose order is claimed, and what they are called."""


def label_tables(config, parts):
    """Train on the rows of every seed, and return the tables' rows: reported, epochs, differences, auroc."""
    lengths = sorted({config.numbers.long_epochs, config.numbers.released_epochs}, reverse=True)
    for part in parts.values():
        neighbor_shares(part)  # every process needs them
    leak_free = [(leak_free_run, {}), (leak_free_method, {})]
    train_all(config, parts, [*((released_run, {"n_epochs": n}) for n in lengths), *leak_free])
    tables = {"reported": [], "epochs": [], "differences": [], "auroc": []}
    for seed, part in parts.items():
        released, longer = (released_run(config, part, seed=seed, n_epochs=n) for n in (None, lengths[0]))
        others = [run(config, part, seed=seed) for run, _ in leak_free]
        tables["reported"] += leakage_rows(config, part, released, *others, seed=seed)
        tables["epochs"] += history_rows(config, part, longer, seed=seed)
        tables["differences"] += difference_rows(config, part, longer, seed=seed)
        scores = {name: found for run in (released, *others) for name, found in run.scores.items()}
        rows = auroc_rows(config, part, part.validation.Y, scores, seed=seed, contrasts=CONTRASTS)
        tables["auroc"] += rows
    return tables


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


def difference_rows(config, ds, released, *, seed):
    """Compare the last epoch's label sets with the labels in the thresholds and without them, same weights.

    One row a metric, with the 95 % interval of a paired bootstrap over the evaluated rows, or groups.
    """
    leaky, honest = (released.predictions[f"{signals}, batch {BATCH_SIZE}"] for signals in CONTRASTS[0])
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": seed, "groups": ds.validation.groups}
    rows = []
    for metric in ("macro_f1", "micro_f1"):
        interval = paired_bootstrap(ds.validation.Y, leaky, {"withheld": honest}, metric=metric, **options)
        rows.append(study_row(config, ds, seed, metric=metric, **interval["withheld"]))
    return rows


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


def claims(tables):
    """Say what the labels are worth in the reported figure; means over seeds."""
    reported = tables["reported"].groupby("method")["macro_f1"].mean()
    contrasts = tables["auroc"].query("training_rows == 'all'")
    contrasts = contrasts[contrasts["scores"].str.contains(" − ")].rename(columns={"value": "difference"})
    return [
        order_claim("Macro-F1 on the reported rows", {name: reported[way] for way, name in SHOWN.items()}),
        yes_claim(
            "The labels in the threshold raise the reported macro-F1",
            reported["released, best epoch"] > reported["labels withheld"],
            f"{reported['released, best epoch']:.3f}, without them {reported['labels withheld']:.3f}",
        ),
        _training(tables["epochs"]),
        *interval_claims(contrasts, "Macro-AUROC of {scores}"),
    ]


def _training(epochs):
    """Claim what the labels are worth at the end of the longest training."""
    last = epochs.groupby("epoch")[["macro_f1_released", "difference"]].mean().iloc[-1]
    return yes_claim(
        f"After {epochs['epoch'].max()} epochs the labels in the threshold are more than half of the figure",
        last["difference"] > last["macro_f1_released"] / 2,
        f"{last['difference']:.3f} of {last['macro_f1_released']:.3f}",
    )


def best_epochs(epochs):
    """Return the row of each seed that the released protocol reports: that of the greatest macro-F1."""
    return epochs.loc[epochs.groupby("seed")["macro_f1_released"].idxmax()]


def finding(tables):
    """Answer the notebook's question from its tables: what the labels do to macro-F1 and to macro-AUROC."""
    epochs = tables["epochs"]
    best, last = best_epochs(epochs), epochs[epochs["epoch"] == epochs["epoch"].max()]
    n_kept, n_epochs = epochs["epoch"].nunique(), counted(epochs["epoch"].max(), "epoch")
    auroc = tables["auroc"].query("training_rows == 'all' and scores == 'released − withheld'")
    auroc = auroc.rename(columns={"value": "difference"})[INTERVAL].mean()
    macro = tables.get("differences", pd.DataFrame({"metric": []})).query("metric == 'macro_f1'")
    clear = f": a difference of {with_interval(macro[INTERVAL].mean(), named=True)}" if len(macro) else ""
    kept = n_epochs if n_kept == epochs["epoch"].max() else f"{n_kept} of {n_epochs}"
    return (
        f"The best of {kept} of the released protocol reports a macro-F1 of "
        f"{best['macro_f1_released'].mean():.3f}; without the labels in its thresholds the same weights "
        f"reach {best['macro_f1_withheld'].mean():.3f}{_over_seeds(best['difference'])}. At the last epoch "
        f"it is {last['macro_f1_released'].mean():.3f} with the labels and "
        f"{last['macro_f1_withheld'].mean():.3f} without{clear}. The labels change macro-AUROC there by "
        f"{with_interval(auroc, named=not clear)}."
    )


def _over_seeds(difference):
    """Say how far the labels' part differs from seed to seed."""
    if len(difference) == 1:
        return ""
    low, high = signed(difference.min()), signed(difference.max())
    return f" (the labels' part is {low} to {high} over {len(difference)} seeds)"
