"""The sentences and tables with figures in README.md and docs/, read off the published results.

cogapp puts them between their markers (``cog -r`` with the pages that docs/regenerate.md names), and a test
fails where a page says something else. No figure is written by hand.
"""

import importlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from scipy.stats import t as student

from adathresh.experiments.across_datasets.models import places_with
from adathresh.experiments.across_datasets.rules import fused_rivals, inductive_rivals, rules_table
from adathresh.experiments.core.claims import ABOVE, BELOW, LEVEL, outcome_of
from adathresh.experiments.core.config import RunConfig, repository_root
from adathresh.experiments.core.execution import find_notebooks
from adathresh.experiments.core.other_signals import LABEL_TEXTS
from adathresh.experiments.core.results import RECORD, read_table, read_tables
from adathresh.experiments.core.rules import FOR_BOTH, OURS, WITH_TEXTS
from adathresh.experiments.core.sentences import counted, mean_differences, signed, with_interval
from adathresh.experiments.nb06_leakage import best_epochs

SHOWN_RULES = (
    "fixed 0.5",
    "global threshold",
    "PCut",
    "SCutFBR",
    "micro + macro",
    "F*/2",
    OURS,
    OURS + FOR_BOTH,
    WITH_TEXTS,
)
"""The rules of the table over all data sets."""

SHOWN_WAYS = {
    "released, best epoch": "as reported (best epoch)",
    "released, batch 128": "as released, last epoch",
    "labels withheld": "labels withheld",
    "labels of other rows": "labels of other rows",
    "leak-free signals": "leak-free signals",
    "leak-free": "leak-free method",
}
"""The ways to evaluate the released protocol, and what they are called."""

REPRODUCED, NOT_REPRODUCED, NOT_TESTED = "reproduced", "not reproduced", "cannot be tested here"
"""What the ledger says of a claim."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    claim: str
    """What is claimed, in words."""
    found: str
    """What the tables say of it."""
    source: str
    """The tables, and where in them."""
    command: str
    """What regenerates the tables."""
    verdict: str
    """Reproduced or not, as far as it can be tested."""


VERDICT = "0.1712 is a validation figure with label leakage"


def released_verdict():
    """Say what 0.1712 is, and what labels in the threshold are worth on the set closest to the paper's.

    Of the labels' part the interval is Student's, over the seeds.
    """
    epochs = _table("eurlex57k/full/06_leakage/epochs")
    best = best_epochs(epochs)
    reported, left = best["macro_f1_released"].mean(), best["macro_f1_withheld"].mean()
    lost = best["difference"]
    low, high = student.interval(0.95, len(lost) - 1, lost.mean(), lost.sem())
    _require("the labels leak into 0.1712's protocol", low > 0)
    return (
        "The released code computes thresholds from the true labels of the rows it evaluates, and reports "
        f"the epoch that is best on them. On EURLEX57K {epochs['epoch'].max()} epochs of that protocol, on a "
        f"smaller network and fewer rows, report a macro-F1 of at least **{reported:.2f}**, of which "
        f"**{left:.2f}** is left without the labels: they are worth "
        f"{lost.mean():.3f} (95 % interval over {_number(len(lost))} seeds {low:.3f} to {high:.3f})."
    )


def released_finding():
    """Return the verdict in one paragraph, as the other findings are written."""
    return f"**{VERDICT}.** {released_verdict()}"


def method_finding():
    """Say what the paper's thresholds add once no label leaks into them."""
    differences = training_differences()
    level = (differences["low"] <= 0) & (differences["high"] >= 0)
    low, high = differences["difference"].min(), differences["difference"].max()
    _require("the paper's thresholds add little", max(-low, high) < 0.01 and level.mean() > 0.5)
    return (
        "**Trained end to end without leakage, the paper's thresholds add little.** Against the same loss "
        f"with θ = 0, macro-F1 changes by {signed(low, 3)} to {signed(high, 3)} on {len(differences)} data "
        f"sets; the 95 % interval holds 0 on {level.sum()} of them."
    )


def rule_finding():
    """Count how the post-hoc rule compares with its rivals over all data sets."""
    rivals = inductive_rivals(_rules())
    counts = rivals["adaptive_is"].value_counts().reindex(["better", "level", "worse"], fill_value=0)
    n_pairs = len(rivals.groupby(["dataset", "base"]))
    _require("the signals pay on held-out scores", counts["better"] > counts["level"] + counts["worse"])
    return (
        "**The same two signals pay once they are fitted on held-out scores.** Against "
        f"{rivals['rule'].nunique()} inductive rival rules on {n_pairs} pairs of data set and base model, "
        f"the macro-F1 of `adaptive` is clearly better in {counts['better']} of {len(rivals)} comparisons, "
        f"level in {counts['level']}, clearly worse in {counts['worse']} (paired bootstrap, 95 % intervals)."
    )


def gain_finding():
    """Say what the rule's gain is made of: which signals, and its thresholds."""
    fused = (
        fused_rivals(_rules())["adaptive_is"]
        .value_counts()
        .reindex(["better", "level", "worse"], fill_value=0)
    )
    ladder = _table("eurlex57k/08_decision_rules/ladder").groupby("rung", sort=False)
    rungs, micro = ladder["macro_f1"].mean(), ladder["micro_f1"].mean().iloc[-1]
    names = list(rungs.index)
    texts = [name for name in names if name.removeprefix("+ ") in LABEL_TEXTS]
    before, after = rungs.iloc[names.index(texts[0]) - 1], rungs[texts[-1]]
    n_models = len(names) - 1 - names.index(texts[-1])
    gains = {
        "neighbours": before - rungs.iloc[0],
        "what the labels' names and synonyms say": after - before,
        f"{_number(n_models)} more base model{'s' if n_models > 1 else ''}": rungs.iloc[-1] - after,
    }
    _require("label texts give most", max(gains, key=gains.get) == "what the labels' names and synonyms say")
    listed = ", ".join(f"{what} {signed(gain, 3)}" for what, gain in gains.items())
    return (
        f"**On EURLEX57K label texts give most.** Macro-F1 is {rungs.iloc[0]:.3f} with one linear model's "
        f"scores; {listed}: {rungs.iloc[-1]:.3f}, with a micro-F1 of {micro:.3f}. On the same fused "
        f"probabilities rival thresholds are worse than ours in {fused['better']} of {fused.sum()} "
        f"comparisons, level in {fused['level']}, better in {fused['worse']}."
    )


def findings():
    """List the findings of the README with their numbers, and say which version their tables are of."""
    found = (method_finding(), rule_finding(), gain_finding())
    return "\n".join([*(f"{i}. {finding}" for i, finding in enumerate(found, 1)), "", state()])


def state():
    """Say in one sentence which version computed most results, and of which data sets others did."""
    versions = _versions()
    most = max(versions, key=lambda version: sum(map(len, versions[version].values())))
    known = set(versions.pop(most))
    others = {name for sets in versions.values() for name in sets}
    parts = [
        f"{what} {', '.join(sorted(names))}"
        for what, names in (("all of", others - known), ("parts of", others & known))
        if names
    ]
    rest = f"; {' and '.join(parts)} are by earlier versions" if parts else ""
    where = "[docs/results.md](docs/results.md)"
    return f"The results were computed by version {most}{rest} ({where} says what differs)."


def state_page():
    """List which version computed the results of which notebooks, set by set."""
    lines = []
    for version, sets in _versions().items():
        named = "; ".join(f"{name} ({', '.join(sorted(found))})" for name, found in sorted(sets.items()))
        lines.append(f"- by {version}: {named}")
    return "\n".join(["Results by the version that computed them (notebooks in brackets):", "", *lines])


def _versions():
    """Return the notebooks by version of adathresh, the newest first, and data set."""
    versions = {}
    for path in sorted(_results().glob(f"**/{RECORD}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        sets = versions.setdefault(record["adathresh"], {})
        sets.setdefault(record["dataset"], set()).add(record["notebook"][:2])
    return dict(sorted(versions.items(), reverse=True))


def rules_page():
    """Build the table of rules on cross-fitted scores, macro-F1 / micro-F1: one line a data set.

    Shown is the set's first base model.
    """
    lines = []
    for (name, profile), frame in _rules().groupby(["dataset", "profile"]):
        base = frame["base"].iloc[0]
        means = frame[frame["base"] == base].set_index("rule")[["macro_f1", "micro_f1"]]
        lines.append([f"{name} ({base}, {profile})", *_pairs(means.reindex(list(SHOWN_RULES)))])
    return _markdown(["data set (base model, profile)", *SHOWN_RULES], lines)


def finding_of(notebook, tables):
    """Return the finding of a notebook, read off its tables."""
    return importlib.import_module(f"adathresh.experiments.nb{notebook}").finding(tables)


def gallery_page():
    """Show every figure of the embedded corpus below its notebook's finding."""
    parts = []
    for path in find_notebooks(repository_root() / "notebooks"):
        folder, title = _results() / RunConfig().dataset / path.stem, _title(path)
        shown = folder.relative_to(repository_root()).as_posix()
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        in_words = record.get("in_words", {})
        finding = finding_of(path.stem, read_tables(folder))
        parts += [f"## {title}", f"{finding} ([notebook](../notebooks/{path.name}), `{shown}/`)"]
        parts += [
            f"![{in_words.get(name, name.replace('_', ' '))}](../{shown}/{name}.png)"
            for name in record["figures"]
        ]
    return "\n\n".join(parts)


def findings_page():
    """Say what every notebook finds on every data set that it was run on, one line each."""
    parts = []
    for path in find_notebooks(repository_root() / "notebooks"):
        lines = []
        for name, profile, folder in places_with(_results(), f"{path.stem}/{RECORD}"):
            n_seeds = len(json.loads((folder / RECORD).read_text(encoding="utf-8"))["seeds"])
            run = f"{profile} profile, {counted(n_seeds, 'seed')}"
            lines.append(f"- **{name}** ({run}). {finding_of(path.stem, read_tables(folder))}")
        parts += [f"## {_title(path)}", "\n".join(lines)]
    return "\n\n".join(parts)


def ladder_page():
    """Build the table of what each signal and base model adds, and of what is missed without it.

    Shown are macro-F1 / micro-F1.
    """
    lines = []
    for name, profile, folder in places_with(_results(), "08_decision_rules/ladder.csv"):
        shown = f"{name} ({profile})"
        for table, column in (("ladder", "rung"), ("left_out", "left out")):
            frame = read_table(folder / f"{table}.csv").groupby(column, sort=False)[["macro_f1", "micro_f1"]]
            prefix = "" if table == "ladder" else "all without "
            values = zip(frame.mean().index, _pairs(frame.mean()), strict=True)
            lines += [[shown, prefix + what, pair] for what, pair in values if what != "nothing"]
    return _markdown(["data set (profile)", "base models and signals", "macro-F1 / micro-F1"], lines)


def local_signal_page():
    """Show what the neighbours add to our rule on each data set and base model, and count the outcomes."""
    lines, outcomes = [], []
    for name, _, folder in places_with(_results(), "08_decision_rules/rule_differences.csv"):
        frame = read_table(folder / "rule_differences.csv")
        frame = frame[(frame["a"] == OURS) & (frame["b"] == f"{OURS}, no neighbours")]
        found = mean_differences(frame, ["base", "metric"])
        for base in frame["base"].unique():
            of_base = [found.loc[(base, metric)] for metric in ("macro_f1", "micro_f1")]
            outcomes.append([outcome_of(row) for row in of_base])
            lines.append([f"{name} ({base})", *map(with_interval, of_base)])
    parts = [
        f"{what} is clearly greater in {found.count(ABOVE)}, level in {found.count(LEVEL)}, clearly smaller "
        f"in {found.count(BELOW)}"
        for what, found in zip(("macro-F1", "micro-F1"), zip(*outcomes, strict=True), strict=True)
    ]
    said = f"Of {len(lines)} pairs of data set and base model, {'; '.join(parts)}."
    header = ["data set (base model)", "macro-F1 (95 % interval)", "micro-F1 (95 % interval)"]
    return f"{said}\n\n{_markdown(header, lines)}"


def released_page():
    """Build the table of the released protocol on the validation rows: one line a data set.

    Shown are macro-F1 / micro-F1.
    """
    lines = []
    for path in sorted(_results().glob("*/06_leakage/reported.csv")):
        frame = read_table(path)
        means = frame.groupby("method")[["macro_f1", "micro_f1"]].mean().loc[list(SHOWN_WAYS)]
        lines.append([f"{path.parts[-3]} ({frame['seed'].nunique()})", *_pairs(means)])
    return _markdown(["data set (seeds)", *SHOWN_WAYS.values()], lines)


def long_training_page():
    """Build the table of the longest trainings of the released protocol: macro-F1 on the reported rows."""
    lines = []
    for name, profile, folder in places_with(_results(), "06_leakage/epochs.csv"):
        epochs = read_table(folder / "epochs.csv")
        last = epochs["epoch"].max()
        values = [
            rows[column].mean()
            for rows in (best_epochs(epochs), epochs[epochs["epoch"] == last])
            for column in ("macro_f1_released", "macro_f1_withheld")
        ]
        lines.append([f"{name} ({profile})", f"{last}", *(f"{value:.3f}" for value in values)])
    header = ["data set (profile)", "epochs", "best epoch, as reported", "without the labels"]
    header += ["last epoch, as released", "without the labels"]
    return _markdown(header, lines)


def method_page():
    """Build the table of what the paper's thresholds add without leakage.

    Shown is macro-F1, mean over seeds, with its 95 % interval.
    """
    lines = [
        [name, f"{signed(row['difference'], 3)} ({signed(row['low'], 3)} to {signed(row['high'], 3)})"]
        for name, row in training_differences().iterrows()
    ]
    return _markdown(["data set", "paper's method minus the same loss with θ = 0"], lines)


def models_page():
    """Build the table of base models: at 0.5, under the best rival rule, with ours.

    Shown is macro-F1 on the test rows, mean over seeds.
    """
    lines = []
    for name, profile, folder in places_with(_results(), "02_baselines/gap.csv"):
        means = read_table(folder / "gap.csv").groupby("base", sort=False).mean(numeric_only=True)
        lines += [
            [f"{name} ({profile})", base, *(f"{row[rule]:.3f}" for rule in ("fixed", "best_rival", OURS))]
            for base, row in means.iterrows()
        ]
    return _markdown(["data set (profile)", "base model", "fixed 0.5", "best rival rule", "adaptive"], lines)


def calibration_page():
    """Build the table of calibration: the fused probabilities minus each calibrator's, on the same pairs.

    Below 0 the fused probabilities are better.
    """
    lines = []
    for name, profile, folder in places_with(_results(), "05_calibration/calibration_differences.csv"):
        every = read_table(folder / "calibration_differences.csv").query("labels == 'all'")
        for other, frame in every.groupby("b", sort=False):
            values = frame.set_index("metric")
            cells = [
                "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**values.loc[metric])
                for metric in ("ece", "brier")
            ]
            lines.append([f"{name} ({profile})", other, *(cell.replace("-", "−") for cell in cells)])
    return _markdown(["data set (profile)", "against", "ECE", "Brier score"], lines)


def ledger():
    """Build the ledger: every sentence of the paper's abstract, and every finding of the README."""
    lines = [
        [entry.claim, entry.found, entry.source, f"`{entry.command}`", entry.verdict]
        for entry in (*abstract_entries(), *readme_entries())
    ]
    return _markdown(["claim", "what the tables say", "table", "command", "verdict"], lines)


def abstract_entries():
    """Hold the sentences of the abstract of arXiv:2505.03118, in order, against the tables."""
    data = _table("pyapi/01_data/data").iloc[0]
    rare = data["labels_with_at_most_5_train_rows"] / data["n_labels"]
    gap = _table("pyapi/02_baselines/gap")
    fixed_claims = _claims("pyapi/02_baselines", "Macro-F1 of adaptive minus that of fixed 0.5")
    method = _claims("pyapi/05_calibration", "of paper's method minus")
    ablations = _claims("pyapi/04_ablations", "'no IDF'"), _claims("pyapi/04_ablations", "'no kNN'")
    reproduce = "adathresh reproduce --only {}".format
    return [
        Entry(
            "Labels are many for each sample, under heavy imbalance and noise",
            f"{rare:.0%} of the embedded corpus' labels have at most 5 training rows; how many labels are "
            "wrong cannot be told; what noise does that is added stands below",
            "pyapi/01_data/data.csv",
            reproduce("01"),
            f"{REPRODUCED} (imbalance); {NOT_TESTED} (noise)",
        ),
        Entry(
            "Fixed thresholds overlook context and global rarity",
            "the fixed threshold 0.5 is clearly worse than `adaptive` for "
            f"{_outcomes(fixed_claims)['above 0']} of {len(fixed_claims)} base models that take a seed; it "
            "reaches at most "
            f"{gap['fixed'].max():.3f}",
            "pyapi/02_baselines/differences.csv, gap.csv",
            reproduce("02"),
            REPRODUCED if set(fixed_claims["outcome"]) == {"above 0"} else NOT_REPRODUCED,
        ),
        Entry(
            "A global (IDF) and a local (KNN) signal are fused to thresholds for each label and instance",
            f"macro-F1 of the method minus that without IDF: {_figures(ablations[0])}, minus that without "
            f"kNN: {_figures(ablations[1])}; trained end to end without leakage",
            "pyapi/04_ablations/ablation_differences.csv",
            reproduce("04"),
            _effect(*ablations),
        ),
        Entry(
            "Thresholds as penalties in the loss give smooth supervision and better calibration",
            "; ".join(f"{row['claim']}: {row['figures']}" for _, row in method.iterrows()),
            "pyapi/05_calibration/method_differences.csv",
            reproduce("05"),
            REPRODUCED if set(method["outcome"]) == {"below 0"} else NOT_REPRODUCED,
        ),
        _robustness_entry(),
        Entry(
            "The architecture is lightweight, interpretable and modular",
            "no measure is given",
            "–",
            reproduce("03"),
            NOT_TESTED,
        ),
        Entry(
            "Macro-F1 is 0.1712 on AmazonCat-13K",
            "the data are not at hand; by its code the figure stems from rows of the training file, with "
            "their labels in the threshold. " + _released_on_eurlex(),
            "eurlex57k/full/06_leakage/epochs.csv",
            "adathresh reproduce --dataset eurlex57k --profile full --only 06",
            f"{NOT_TESTED} (the figure); {NOT_REPRODUCED} (without the labels)",
        ),
        Entry(
            "This substantially outperforms tree-based and transformer-based methods",
            "the paper's own tables are not available; on the official test split Hauss et al. "
            "(doi 10.1145/3820755.3832808) report 0.168 (HBGL), 0.333, 0.350 and 0.406 for transformers, "
            "which a validation figure cannot be compared with",
            "–",
            reproduce("06"),
            NOT_TESTED,
        ),
        Entry(
            "The full code is released",
            "the released protocol is rebuilt and audited (`adathresh.paper.as_released`)",
            "pyapi/06_leakage/reported.csv",
            reproduce("06"),
            REPRODUCED,
        ),
    ]


def _robustness_entry():
    """Hold the promise of robustness against the paper's method trained on noisy labels."""
    claims = read_table(_results() / "pyapi/full/11_noise/claims.csv")
    of_method = claims[claims["claim"].str.startswith("Macro-F1 of paper's method minus")]
    of_thresholds = of_method[of_method["claim"].str.contains("that of same loss, θ = 0, ", regex=False)]
    noisy = of_thresholds[~of_thresholds["claim"].str.endswith("clean")]["outcome"]
    if noisy.empty:
        verdict = NOT_TESTED
    elif (noisy == ABOVE).all():
        verdict = REPRODUCED
    else:
        count = f"the thresholds add macro-F1 under {(noisy == ABOVE).sum()} of {len(noisy)} kinds of noise"
        verdict = f"{NOT_REPRODUCED} ({count})"
    said = "; ".join(f"{row['claim']}: {row['figures']}" for _, row in of_method.iterrows())
    return Entry(
        "The method is robust to noise",
        said or "no trained method has met noise yet",
        "pyapi/full/11_noise/robustness_differences.csv",
        "adathresh reproduce --profile full --only 11",
        verdict,
    )


def readme_entries():
    """Name the table and the command behind every finding of the README, in its order."""
    findings = [
        (
            released_finding,
            "eurlex57k/full/06_leakage/epochs.csv",
            "--dataset eurlex57k --profile full --only 06",
        ),
        (method_finding, "\\*/03_training/training_differences.csv", "--dataset NAME --only 03"),
        (rule_finding, "\\*/08_decision_rules/rule_differences.csv", "--dataset NAME --only 08 --seeds 3"),
        (gain_finding, "eurlex57k/08_decision_rules/ladder.csv", "--dataset eurlex57k --only 08"),
    ]
    return [
        Entry(
            f"README: {text.split('**')[1]}",
            text.split("**", 2)[2].strip(),
            source,
            f"adathresh reproduce {how}",
            REPRODUCED,
        )
        for finding, source, how in findings
        for text in [finding()]
    ]


def training_differences():
    """Average over seeds, set by set, what the paper's thresholds add.

    Indexed by data set: difference, low and high of macro-F1, the method minus the same loss with θ = 0.
    """
    rows = {}
    for name, _, folder in places_with(_results(), "03_training/training_differences.csv"):
        frame = read_table(folder / "training_differences.csv")
        frame = frame.query("metric == 'macro_f1' and b == 'same loss, θ = 0'")
        rows[name] = frame[["difference", "low", "high"]].mean()
    return pd.DataFrame(rows).T


def _require(heading, holds):
    """Refuse to write a heading that the tables no longer bear out."""
    if not holds:
        raise ValueError(f"the tables no longer show that {heading}: write another heading in report.py")


def _title(path):
    """Return the title of a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"][0].removeprefix("# ").strip()


def _released_on_eurlex():
    """Say in one sentence what is left of the released protocol's figure on EURLEX57K."""
    epochs = _table("eurlex57k/full/06_leakage/epochs")
    best = best_epochs(epochs)[["macro_f1_released", "macro_f1_withheld"]].mean()
    return (
        f"On EURLEX57K the best of {epochs['epoch'].max()} epochs reports {best['macro_f1_released']:.3f}, "
        f"{best['macro_f1_withheld']:.3f} without them"
    )


def _effect(*claims):
    """Say whether every one of some ablations hurts."""
    outcomes = [table["outcome"].iloc[0] for table in claims]
    if all(outcome == "above 0" for outcome in outcomes):
        return REPRODUCED
    return (
        f"{REPRODUCED} (one of them)" if "above 0" in outcomes else f"{NOT_REPRODUCED} (no measurable effect)"
    )


def _figures(claims):
    """Return the figures of one claim."""
    return claims["figures"].iloc[0].replace("-", "−")


def _outcomes(claims):
    """Count the outcomes of some claims."""
    return claims["outcome"].value_counts().reindex(["above 0", "level", "below 0"], fill_value=0)


def _claims(folder, words):
    """Return the published claims of a notebook that hold some words."""
    claims = read_table(_results() / folder / "claims.csv")
    found = claims[claims["claim"].str.contains(words, regex=False)]
    if found.empty:
        raise ValueError(f"{folder}/claims.csv holds no claim with {words!r}")
    return found


def _results():
    """Return the folder of the published results."""
    return Path(repository_root(), "results")


@cache
def _rules():
    """Return the table of rules over all data sets."""
    return rules_table(_results())


def _table(name):
    """Read a published table."""
    return read_table(_results() / f"{name}.csv")


def _pairs(frame):
    """Return macro-F1 / micro-F1 of every row; a dash where there are none."""
    return ["–" if pd.isna(macro) else f"{macro:.3f} / {micro:.3f}" for macro, micro in frame.to_numpy()]


def _markdown(header, lines):
    """Return a table in Markdown."""
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def _number(n):
    """Write a small number as a word."""
    return {1: "one", 2: "two", 3: "three"}.get(n, str(n))
