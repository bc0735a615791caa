"""What the tables say of rules, windows and trained methods under noise."""

from adathresh.experiments.core.claims import (
    ABOVE,
    METRICS,
    best_claims,
    interval_claims,
    outcome_of,
    yes_claim,
)
from adathresh.experiments.core.rules import FIXED, OURS
from adathresh.experiments.core.sentences import counted, listed, mean_differences, percent, with_interval
from adathresh.experiments.nb11_noise.labels import CLEAN
from adathresh.experiments.nb11_noise.robustness import CROSS_ENTROPY, NO_THRESHOLDS
from adathresh.experiments.nb11_noise.study import CORRECTED

# An estimate of the share of labels left is right if it is off by no more.
_CLOSE = 0.1


def claims(tables):
    """Say which rule leads under each noise, what correction and windows do, and what becomes of the paper's.

    Tables of earlier versions lack the last two.
    """
    noise, kept = tables["noise"], tables["kept"]
    found = [
        *best_claims(
            noise[~noise["rule"].str.endswith(CORRECTED)],
            OURS,
            of=("noise", "rule"),
            claim=f"{OURS} has the greatest macro-F1 of the rules without correction, {{}}",
        ),
        *interval_claims(tables["noise_differences"], "{metric} of {a} minus that of {b}, {noise}"),
        *_calibration_claims(noise),
        *_estimate_claims(kept),
    ]
    if "window_differences" in tables:
        wording = "{metric} of {rule} with {a} minus that with {b}, one label a row"
        found += interval_claims(tables["window_differences"], wording)
    if "robustness_differences" in tables:
        wording = "{metric} of {a} minus that of {b}, {noise}"
        found += interval_claims(tables["robustness_differences"], wording)
    return found


def _calibration_claims(noise):
    """Say whether the correction makes our probabilities right."""
    ece = noise.groupby(["noise", "rule"], sort=False)["ece_all"].mean().unstack(sort=False)
    return [
        yes_claim(
            f"{METRICS['ece']} of {OURS} is less with the correction, {name}",
            bool(row[OURS + CORRECTED] < row[OURS]),
            f"{row[OURS + CORRECTED]:.5f}, without {row[OURS]:.5f}",
        )
        for name, row in ece.dropna(subset=OURS + CORRECTED).iterrows()
    ]


def _estimate_claims(kept):
    """Say whether the share of labels that is left can be estimated from fused probabilities."""
    return [
        yes_claim(
            f"The estimated share of labels left is off by at most {_CLOSE}, {name}",
            bool(abs(row["estimated_from_fused"] - row["kept"]) <= _CLOSE),
            f"{row['estimated_from_fused']:.3f}, true {row['kept']:.3f}",
        )
        for name, row in kept.groupby("noise", sort=False).mean(numeric_only=True).iterrows()
    ]


def finding(tables):
    """Answer the notebook's question from its tables, for the greatest amount of each kind of noise.

    Tables of earlier versions lack windows and the paper's method, data sets without texts the windows.
    """
    sentences = [_of_rules(tables), _of_probabilities(tables["noise"])]
    if "windows" in tables:
        sentences.append(_of_windows(tables))
    if "robustness_differences" in tables:
        sentences.append(_of_the_paper(tables["robustness_differences"]))
    return " ".join(sentences)


def _of_rules(tables):
    """Say what our rule keeps and is ahead by, and what the correction changes."""
    noise = tables["noise"]
    names = _greatest(noise)
    macro = noise.groupby(["rule", "noise"], sort=False)["macro_f1"].mean()
    ours, fixed = (
        [percent(macro[rule, name] / macro[rule, CLEAN]) for name in names] for rule in (OURS, FIXED)
    )
    found = mean_differences(tables["noise_differences"].query("metric == 'macro_f1'"), ["noise", "a", "b"])
    against = []
    for name in names:
        of_ours = found.loc[name, OURS]
        closest = of_ours["difference"].idxmin()
        against.append(f"{with_interval(of_ours.loc[closest], named=not against)} against `{closest}`")
    gains = found.xs((OURS + CORRECTED, OURS), level=("a", "b"))
    corrected = [
        f"{with_interval(gains.loc[name])} with {_in_words(name)}" for name in names if name in gains.index
    ]
    kept = [f"{share} with {_in_words(name)}" for share, name in zip(ours, names, strict=True)]
    return (
        f"Of its macro-F1 on clean labels `{OURS}` keeps {listed(kept)}; `{FIXED}` keeps {listed(fixed)}. "
        f"The macro-F1 of `{OURS}` minus that of the best rival rule is then {listed(against)}. To divide "
        "its probabilities by the share of the labels that is left, where that is known, changes its "
        f"macro-F1 by {listed(corrected)}."
    )


def _of_probabilities(noise):
    """Say what becomes of our rule's calibration and of how it ranks rare labels."""
    means = noise[noise["rule"] == OURS].groupby("noise", sort=False)[["ece_all", "psp_at_5"]].mean()
    ece, psp = (
        f"from {column[CLEAN]:.4f} to {listed([f'{column[name]:.4f}' for name in _greatest(noise)])}"
        for column in (means["ece_all"], means["psp_at_5"])
    )
    return f"Its ECE over all pairs (less is better) goes {ece}, its PSP@5 {psp}."


def _of_windows(tables):
    """Say what it changes to score a text in windows."""
    found = mean_differences(tables["window_differences"].query("metric == 'macro_f1'"), "rule")
    changes = [f"of `{rule}` by {with_interval(row)}" for rule, row in found.iterrows()]
    return (
        "After training with one label a row, to score test texts in windows of "
        f"{tables['windows']['window_words'][0]} words and take each label's greatest score, in place of "
        f"scoring them whole, changes the macro-F1 {listed(changes)}."
    )


def _of_the_paper(differences):
    """Say whether the paper's thresholds add anything under noise, and what its whole method does."""
    found = mean_differences(differences.query("metric == 'macro_f1'"), ["b", "noise"])
    of_thresholds, of_all = (found.loc[other] for other in (NO_THRESHOLDS, CROSS_ENTROPY))
    outcomes = [outcome_of(row) for _, row in of_thresholds.drop(CLEAN).iterrows()]
    without, entropy = (
        listed([f"{with_interval(row)} ({name})" for name, row in rows.iterrows()])
        for rows in (of_thresholds, of_all)
    )
    return (
        "The paper's thresholds, trained end to end, clearly add macro-F1 under "
        f"{outcomes.count(ABOVE)} of {counted(len(outcomes), 'kind')} of noise: its method minus the same "
        f"loss with θ = 0 is {without}; minus plain cross-entropy it is {entropy}."
    )


def _greatest(noise):
    """Name the greatest amount of each kind of noise."""
    of_kinds = noise[noise["kind"] != CLEAN].groupby("kind", sort=False)
    return [rows.loc[rows["amount"].idxmax(), "noise"] for _, rows in of_kinds]


def _in_words(name):
    """Word a noise for a sentence."""
    return name.replace(" %", " % of the labels")
