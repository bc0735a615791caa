"""Notebook 16: labels that each choose the tokens they read, against the mean of all tokens."""

import dataclasses
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
import torch
from IPython.display import Markdown

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.claims import METRICS, interval_claims
from adathresh.experiments.core.costs import cost_of, fit_and_predict
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.display import shown
from adathresh.experiments.core.evaluation import BINS, interval_rows, label_frequency, metrics_on_test
from adathresh.experiments.core.known_tokens import KnownLabelQueries, known_tokens
from adathresh.experiments.core.plotting import plot_points
from adathresh.experiments.core.results import table_row
from adathresh.experiments.core.rules import Prediction
from adathresh.experiments.core.sentences import mean_differences, with_interval
from adathresh.metrics import macro_f1
from adathresh.models._encoder import MINILM, load_encoder, model_folder
from adathresh.models.logistic import LogisticHead
from adathresh.rules import GlobalThreshold

BASE = "MiniLM, frozen"
"""The encoder, whose weights stay as they are."""

RULE = "global threshold"
"""One threshold for all labels, the best for macro-F1 on the validation rows."""

QUERIES, MEAN, LINEAR = "label queries", "mean of the tokens", "mean of the tokens, linear"
"""Heads: each label attends by itself; a hidden layer on the mean, as large; a linear model of the mean."""

REPEATED = "{}, rare rows repeated"
"""A head whose training sees rows with rare labels more often, without some of their tokens."""

METHODS = (QUERIES, REPEATED.format(QUERIES), MEAN, REPEATED.format(MEAN), LINEAR)
"""All heads, in the order of the tables."""

PAIRS = (
    (QUERIES, MEAN),
    (QUERIES, LINEAR),
    (REPEATED.format(QUERIES), REPEATED.format(MEAN)),
    (REPEATED.format(QUERIES), QUERIES),
    (REPEATED.format(MEAN), MEAN),
)
"""Heads that are compared."""


def _steps(max_epochs, learning_rate):
    """Return the parameters of a training's steps."""
    return {"max_epochs": max_epochs, "learning_rate": learning_rate}


GRIDS = {
    QUERIES: [_steps(5, 1e-3), _steps(10, 3e-4)],
    MEAN: [_steps(10, 1e-3), _steps(5, 1e-3), _steps(10, 3e-4)],
    LINEAR: [_steps(10, 1e-2), _steps(10, 3e-2)],
}
"""Steps that the full profile tries for each head; the quick one takes the first."""

REPEAT_BELOW = (0.05, 0.01)
"""Shares of the rows below which a label counts as rare; the full profile tries all."""


class Sizes(NamedTuple):
    """How much of a data set is read."""

    training_rows: int
    """Training rows at most."""
    other_rows: int
    """Validation rows and test rows at most."""
    labels: int
    """Labels at most, those of most training rows: a row costs labels × tokens."""
    tokens: int
    """Tokens of a text."""


SIZES = {
    "quick": Sizes(training_rows=1_000, other_rows=400, labels=50, tokens=16),
    "full": Sizes(training_rows=100_000, other_rows=100_000, labels=1_000, tokens=128),
}
"""Of each profile."""

NO_TEXTS = "The rows of this data set are no texts, so that there are no tokens to read."
"""What is said in place of everything where there are no tables."""

# Of the text that is shown with its attention: tokens and labels at most.
_SHOWN_TOKENS, _SHOWN_LABELS = 30, 6


def part_of(config, ds):
    """Keep the labels of most training rows, and as many rows as the profile reads, drawn at random."""
    sizes, draw = SIZES[config.profile], np.random.default_rng(config.random_state)
    frequent = np.argsort(-label_frequency(ds.train.Y), kind="stable")[: sizes.labels]
    labels = np.sort(frequent)
    parts = {}
    for name, rows in (("train", ds.train), ("validation", ds.validation), ("test", ds.test)):
        most = sizes.training_rows if name == "train" else sizes.other_rows
        kept = rows.take(np.sort(draw.permutation(rows.Y.shape[0])[:most]))
        parts[name] = dataclasses.replace(kept, Y=sp.csr_array(kept.Y[:, labels]))
    names = [ds.label_names[label] for label in labels]
    return dataclasses.replace(ds, **parts, label_names=names, label_knowledge=None)


def head_tables(config, ds):
    """Return the rows of the tables "label_queries" and "label_query_differences"; none without texts."""
    if ds.train.texts is None:
        return {}
    settings, rows, repetitions = chosen_settings(config, ds), [], []
    for seed in config.seed_list:
        found = predictions(config, ds, settings, seed=seed)
        rows += [_row(config, ds, method, settings, *found[method], seed=seed) for method in METHODS]
        repetitions.append({method: prediction for method, (prediction, _) in found.items()})
    return {"label_queries": rows, "label_query_differences": difference_rows(config, ds, repetitions)}


def chosen_settings(config, ds):
    """Choose each head's steps, and what counts as rare, by macro-F1 on the validation rows.

    Only the full profile chooses, with the first seed; the quick one takes the first of all values. Returns
    the parameters of each method by its name.
    """
    settings = {}
    for head, tried in GRIDS.items():
        settings[head] = _best(config, ds, head, tried)
        if head != LINEAR:
            tried = [{**settings[head], "repeat_below": share} for share in REPEAT_BELOW]
            settings[REPEATED.format(head)] = _best(config, ds, REPEATED.format(head), tried)
    return settings


def predictions(config, ds, settings, *, seed):
    """Label the test rows by every head with the threshold of its validation scores.

    Returns by method the prediction and what training the head cost.
    """
    found = {}
    for method in METHODS:
        arrays = _trained(config, ds, method, settings[method], seed=seed)
        rule = GlobalThreshold("macro_f1").fit(arrays["validation"], ds.validation.Y)
        label_sets = sp.csr_array(rule.predict(arrays["test"]))
        found[method] = Prediction(label_sets, arrays["test"]), cost_of(arrays)
    return found


def difference_rows(config, ds, repetitions):
    """Compare the heads of :data:`PAIRS`; ``repetitions`` has the predictions by method, one a seed.

    Rows are those of :func:`adathresh.experiments.core.evaluation.interval_rows`.
    """
    rows = []
    for a, b in PAIRS:
        sets = {method: [found[method].label_sets for found in repetitions] for method in (a, b)}
        rows += interval_rows(config, ds, sets, a, random_state=config.random_state, base=BASE, rule=RULE)
    return rows


def shown_tables(tables):
    """Return both tables as they are shown, or why there are none."""
    if not tables:
        return [Markdown(NO_TEXTS)]
    return [_heads(tables["label_queries"]), _differences(tables["label_query_differences"])]


def plot_differences(tables):
    """Draw the differences in macro-F1 and micro-F1 with their intervals."""
    found = tables["label_query_differences"].replace({"metric": METRICS})
    found = found.assign(compared=found["a"] + "\nminus " + found["b"])
    panels = {"difference": "difference, 95 % interval"}
    figure = plot_points(found, names="compared", panels=panels, color="metric", intervals=True, ylabel="")
    figure.axes[0].axvline(0, color="0.5", linewidth=1, zorder=0)
    return figure


def plot_attention(config, ds):
    """Draw which tokens of one test text its labels attend to, mean over the heads of a query.

    It is the first of those with the most labels among the texts of few tokens and not too many labels.
    """
    settings = chosen_settings(config, ds)
    arrays = _trained(config, ds, QUERIES, settings[QUERIES], seed=config.random_state)
    labels = [ds.label_names[label] for label in arrays["labels"]]
    attention, tokens = arrays["attention"], list(arrays["tokens"])
    figure, axes = plt.subplots(figsize=(1.5 + 0.3 * len(tokens), 1.4 + 0.35 * len(labels)))
    image = axes.imshow(attention, cmap="Blues", vmin=0, aspect="auto")
    axes.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="attention")
    return figure


def claims(tables):
    """Say of every compared pair of heads which one is better."""
    if not tables:
        return []
    return interval_claims(tables["label_query_differences"], "{metric} with {a} minus that with {b}")


def finding(tables):
    """Answer the notebook's question from its tables."""
    if not tables:
        return NO_TEXTS
    heads, differences = tables["label_queries"], tables["label_query_differences"]
    value = heads.groupby("method")["macro_f1"].mean()
    macro, micro = (
        mean_differences(differences[differences["metric"] == metric], ["a", "b"])
        for metric in ("macro_f1", "micro_f1")
    )
    repeated = {head: REPEATED.format(head) for head in (QUERIES, MEAN)}
    pair, both_repeated = (QUERIES, MEAN), (repeated[QUERIES], repeated[MEAN])
    return (
        f"Macro-F1 is {value[QUERIES]:.3f} with label queries and {value[MEAN]:.3f} with the mean of the "
        f"tokens (linear {value[LINEAR]:.3f}): {with_interval(macro.loc[pair], named=True)}; micro-F1 "
        f"differs by {with_interval(micro.loc[pair])}. Where the rows of rare labels are repeated, "
        f"macro-F1 is {value[repeated[QUERIES]]:.3f} and {value[repeated[MEAN]]:.3f}: "
        f"{with_interval(macro.loc[both_repeated])}; the repetition changes macro-F1 by "
        f"{with_interval(macro.loc[repeated[QUERIES], QUERIES])} with label queries and by "
        f"{with_interval(macro.loc[repeated[MEAN], MEAN])} with the mean."
    )


def _row(config, ds, method, settings, prediction, cost, *, seed):
    """Evaluate one head: a table row with its settings and what its training cost."""
    named = {"method": method, "base": BASE, "rule": RULE, "mode": "inductive", "seed": seed}
    row = table_row(config, ds, **named, metrics=metrics_on_test(ds, prediction))
    setting = ", ".join(f"{name} = {value:g}" for name, value in settings[method].items())
    return {**row, "setting": setting, "fit_seconds": cost.fit_seconds}


def _heads(rows):
    """Show macro-F1 of all labels and by their training rows, and micro-F1, of every head."""
    names = {"macro_f1": "macro_f1", "micro_f1": "micro_f1"} | {metric: at for at, metric in BINS.items()}
    means = rows.groupby("method", sort=False)[list(names)].mean().dropna(axis="columns", how="all")
    caption = "Test rows; macro-F1 also by the number of a label's training rows"
    return shown(means.rename(columns=names).reset_index(), caption=caption)


def _differences(rows):
    """Show what the heads differ by."""
    table = rows.replace({"metric": METRICS})[["metric", "a", "b", "difference", "low", "high"]]
    return shown(table, caption="This minus what it is compared with, on the test rows", digits=4)


def _best(config, ds, method, tried):
    """Return the parameters with the greatest macro-F1 on the validation rows; the first without a choice."""
    if config.profile != "full":
        return tried[0]
    reached = []
    for settings in tried:
        scores = _trained(config, ds, method, settings, seed=config.random_state)["validation"]
        predicted = GlobalThreshold("macro_f1").fit(scores, ds.validation.Y).predict(scores)
        reached.append(macro_f1(ds.validation.Y, predicted))
    return tried[int(np.argmax(reached))]


def _trained(config, ds, method, settings, *, seed):
    """Train one head and score validation and test rows, once."""
    tokens, k = SIZES[config.profile].tokens, config.numbers.top_scores
    key = {"what": "label queries", "data": ds.fingerprint, "rows": rows_key(ds), "method": method}
    key |= {"settings": settings, "seed": seed, "tokens": tokens, "k": k}
    return cached_arrays(key, lambda: _train(ds, method, settings, seed=seed, max_length=tokens, k=k))


def _train(ds, method, settings, *, seed, max_length, k):
    """Return what :func:`_trained` keeps; of label queries also the attention to one text."""
    if method == LINEAR:
        model, read = LogisticHead(random_state=seed, **settings), known_tokens(ds, max_length).means
    else:
        pooling = "queries" if QUERIES in method else "mean"
        model = KnownLabelQueries(pooling=pooling, max_length=max_length, random_state=seed, **settings)
        model, read = model.reading(ds), list
    arrays = fit_and_predict(
        lambda: model.fit(read(ds.train.texts), ds.train.Y),
        lambda: {
            "validation": model.top_scores(read(ds.validation.texts), k=k),
            "test": model.top_scores(read(ds.test.texts), k=k),
        },
    )
    return arrays | (_attention(ds, model) if method == QUERIES else {})


def _attention(ds, model):
    """Return the tokens of the text that is shown, its labels, and how much each attends to each token."""
    known = known_tokens(ds, model.max_length)
    states, place = known
    lengths = states.lengths[[place[text] for text in ds.test.texts]]
    n_labels = np.diff(ds.test.Y.indptr)
    readable = (lengths <= _SHOWN_TOKENS) & (n_labels <= _SHOWN_LABELS)
    row = int(np.where(readable, n_labels, -1).argmax())
    labels = ds.test.Y[[row]].indices
    with torch.inference_mode():
        attention = model.head_.attention(*known.of([ds.test.texts[row]]).padded([0]))
    return {
        "attention": attention[0].mean(dim=0).numpy()[labels],
        "labels": labels,
        "tokens": np.array(_tokens_of(ds.test.texts[row], model.max_length)),
    }


def _tokens_of(text, max_length):
    """Return the tokens of a text as they are written."""
    tokenizer = load_encoder(model_folder(MINILM), max_length).tokenizer
    return tokenizer.convert_ids_to_tokens(
        tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
    )
