"""Results of two data sets, for the summaries."""

import pandas as pd
import pytest

from adathresh.experiments.across_datasets.models import RULES


def write(folder, macro, intervals):
    """Write the two tables of a data set: macro-F1 by rule and seed, intervals by our rule and the other."""
    folder = folder / "08_decision_rules"
    folder.mkdir(parents=True)
    rows = [
        {"dataset": "a set", "base": "linear", "rule": rule, "mode": mode, "seed": seed, "macro_f1": value}
        for (rule, mode), values in macro.items()
        for seed, value in enumerate(values)
    ]
    pd.DataFrame(rows).assign(micro_f1=0.5).to_csv(folder / "rules.csv", index=False)
    rows = [
        {"base": "linear", "a": ours, "b": rule, "metric": metric}
        | dict(zip(("difference", "low", "high"), interval, strict=True))
        for (ours, rule), interval in intervals.items()
        for metric in ("macro_f1", "micro_f1")
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["metric"] == "micro_f1", ["difference", "low", "high"]] = -9.0
    frame.to_csv(folder / "rule_differences.csv", index=False)


def write_gap(folder, models):
    """Write the table of a data set's base models: macro-F1 at 0.5, under the best rival and with ours."""
    folder = folder / "02_baselines"
    folder.mkdir(parents=True)
    rows = [
        {"base": model, "seed": seed} | dict(zip(RULES, (value + wobble for value in values), strict=True))
        for model, values in models.items()
        for seed, wobble in enumerate((-0.01, 0.01))
    ]
    pd.DataFrame(rows).to_csv(folder / "gap.csv", index=False)


IN, TRANS = "inductive", "transductive"
OURS, TEXTS = "adaptive", "adaptive + label texts"


@pytest.fixture
def folder(tmp_path):
    macro = {(OURS, IN): [0.4, 0.6], ("PCut", IN): [0.3, 0.3], ("SCut", IN): [0.5, 0.5]}
    batch = {("block coordinate", TRANS): [0.9, 0.9], ("adaptive, transductive", TRANS): [0.6, 0.6]}
    texts = {(TEXTS, IN): [0.7, 0.8]}
    intervals = {
        (OURS, "PCut"): (0.2, 0.1, 0.3),
        (OURS, "SCut"): (0.0, -0.1, 0.1),
        (OURS, TEXTS): (-0.1, -0.2, 0.1),
        (OURS, "block coordinate"): (-0.4, -0.5, -0.3),
        (OURS, "adaptive, transductive"): (-0.1, -0.2, 0.0),
        (TEXTS, "PCut"): (0.5, 0.4, 0.6),
        (TEXTS, "SCut"): (0.3, -0.1, 0.5),
        (TEXTS, OURS): (0.1, -0.1, 0.2),
    }
    write(tmp_path / "one", {**macro, **texts, **batch}, intervals)
    write(tmp_path / "two", macro, {(OURS, "PCut"): (9, 8, 10), (OURS, "SCut"): (9, 8, 10)})
    full = {(OURS, "PCut"): (-0.2, -0.3, -0.1), (OURS, "SCut"): (0.2, 0.1, 0.3)}
    write(tmp_path / "two" / "full", {rule: [*values, 0.8] for rule, values in macro.items()}, full)
    write_gap(tmp_path / "one", {"linear": [0.1, 0.3, 0.4], "label tree": [0.2, 0.3, 0.6]})
    write_gap(tmp_path / "two", {"linear": [0.1, 0.1, 0.1]})
    best_in_full = {"linear": [0.2, 0.5, 0.4], "extra trees": [0.0, 0.1, 0.6], "MiniLM, frozen": [0.7] * 3}
    write_gap(tmp_path / "two" / "full", best_in_full)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "rules.csv").write_text("another table\n")
    return tmp_path
