"""Notebook 04: every switch of the paper's method, one at a time."""

from adathresh.experiments.core.claims import ABOVE, interval_claims, outcome_of
from adathresh.experiments.core.sentences import effect, effects_of_others, mean_differences, with_interval
from adathresh.experiments.core.trainings import PAPER, PLAIN, train_each

ABLATIONS: dict[str, dict[str, float]] = {
    "paper's method": {},
    "no IDF": {"use_idf": False},
    "no kNN": {"use_knn": False},
    "no IDF, no kNN": {"use_idf": False, "use_knn": False},
    "fixed threshold": {"fixed_threshold": 0.0},
    "no threshold bias": {"use_threshold_bias": False},
    "α, β drawn from N(0, 1)": {"init_std": 1.0},
    "output bias 0.5": {"output_bias": 0.5},
    "logits normalised": {"normalize_logits": True},
    "no margin loss": {"margin_weight": 0.0},
    "positives weigh 1": {"pos_weight": 1.0},
    "plain cross-entropy": {**PLAIN, "pos_weight": 1.0},
}
"""The paper's switches, each as a change to the paper's method."""


PARTS = {
    "positives weigh 1": "the tenfold weight of positive labels",
    "no margin loss": "the margin term",
    "fixed threshold": "learning the thresholds at all",
    "no IDF": "the rarity signal (IDF)",
    "no kNN": "the neighbour signal (KNN)",
    "no threshold bias": "the bias of the thresholds",
}
"""The ablations that take a part of the method away, and what it is; the others are settings."""


def ablation_runs(config, ds, *, seed):
    """Train the paper's method with every switch of :data:`ABLATIONS`.

    Those that the data set has too few labels for are left out.
    """
    feasible = {
        name: switches
        for name, switches in ABLATIONS.items()
        if ds.train.Y.shape[1] > 1 or not switches.get("normalize_logits")
    }
    return train_each(
        config, ds, {name: {**PAPER, **switches} for name, switches in feasible.items()}, seed=seed
    )


def claims(tables):
    """Say which switch does the work, and which do nothing that can be measured."""
    macro = tables["ablation_differences"].query("metric == 'macro_f1'")
    return interval_claims(macro, "Macro-F1 of the paper's method minus that with '{b}'")


def finding(tables):
    """Answer the notebook's question from its tables: which part adds most, and what the others do."""
    found = mean_differences(tables["ablation_differences"].query("metric == 'macro_f1'"), "b")
    found = found.loc[list(PARTS)].rename(index=PARTS)
    most, whole = found["difference"].idxmax(), PARTS["fixed threshold"]
    figures = with_interval(found.loc[most], named=True)
    if outcome_of(found.loc[most]) == ABOVE:
        first = f"Of the method's parts, {most} adds most macro-F1: {figures} against a training without it."
    else:
        first = f"No part of the method can be shown to add macro-F1; {most} comes closest, with {figures}."
    sentences = [first]
    if most != whole:
        sentences.append(
            f"The learnt thresholds as a whole {effect(found.loc[whole])}: {with_interval(found.loc[whole])}."
        )
    return " ".join([*sentences, effects_of_others(found.drop(index={most, whole}))])
