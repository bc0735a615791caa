"""What the tables of groups say."""

from adathresh.experiments.core.claims import ABOVE, BELOW, interval_claims, outcome_of, yes_claim
from adathresh.experiments.core.rules import OURS
from adathresh.experiments.core.sentences import listed, mean_differences, with_interval
from adathresh.experiments.nb13_groups.evaluation import BY_GROUP, BY_ROW, EVERY, IN_BOTH, SPLIT, TRAINING
from adathresh.experiments.nb13_groups.heads import SECOND_TASK
from adathresh.experiments.nb13_groups.knowledge import CONTEXT, GROUP_LABELS, KNOWLEDGE
from adathresh.experiments.nb13_groups.tables import ALL_ROWS, METRICS

NO_GROUPS = (
    "The rows of this data set have no groups that its split keeps apart, so that nothing can be asked here."
)
"""What is said in place of everything where there are no tables."""

WHOLE = (ALL_ROWS, IN_BOTH)
"""The test rows that findings are about; the others are parts of them."""


def claims(tables):
    """Say what fewer groups, a split by row and knowledge of the group change, and what intervals miss."""
    if not tables:
        return []
    differences = tables["group_differences"]
    # a part of the rows has few of the labels: its macro-F1 says little
    shown = differences[(differences["test_rows"] == ALL_ROWS) | (differences["metric"] == "micro_f1")]
    ratio = _width_by_rows(differences)
    return [
        *interval_claims(shown, "{metric} of {rule}, {a} minus {b} (test rows: {test_rows})"),
        yes_claim(
            "Intervals that resample rows are on average narrower than those that resample groups",
            bool(ratio < 1),
            f"{ratio:.3f} times as wide",
        ),
    ]


def finding(tables):
    """Answer the notebook's question from its tables: training groups, split, knowledge, intervals.

    Tables of earlier versions lack the second task.
    """
    if not tables:
        return NO_GROUPS
    differences = tables["group_differences"]
    ratio = _width_by_rows(differences)
    sentences = [
        _of_training_groups(tables["groups"], differences),
        *_of_split(tables["groups"], differences),
        _of_knowledge(differences),
        *_of_second_task(differences),
        f"Intervals that resample rows as if each stood alone are on average {ratio:.2f} times as wide as "
        "those that resample groups.",
    ]
    return " ".join(sentences)


def _of_training_groups(values, differences):
    """Say what all groups change against the smallest share of them, and against the next to all."""
    macro, micro = (_ours(differences, TRAINING, metric) for metric in METRICS)
    if macro.empty:
        return "There are too few groups to draw training rows from a part of them."
    values = values[values["question"] == TRAINING]
    n_groups = values.groupby("variant")["fitting_groups"].mean()
    many, few = (f"{n_groups[share]:,.0f}" for share in (EVERY, macro.index[0]))
    more = ""
    if len(macro) > 1:
        share = macro.index[-1]
        more = f"; instead of {n_groups[share]:,.0f}, {share}, macro-F1 by {with_interval(macro.loc[share])}"
    return (
        f"As many training rows, from {many} groups instead of {few}, change the macro-F1 of `{OURS}` over "
        f"the {values['n_labels'].max():,.0f} most frequent labels on rows of new groups by "
        f"{with_interval(macro.iloc[0], named=True)} and its micro-F1 by {with_interval(micro.iloc[0])}"
        f"{more}."
    )


def _of_split(values, differences):
    """Say what a split by row shows of the same test rows, where there are any."""
    micro = _ours(differences, SPLIT, "micro_f1")
    if micro.empty:
        return []
    ours = values[(values["question"] == SPLIT) & (values["rule"] == OURS)]
    means, n_rows = ours.groupby("variant")["micro_f1"].mean(), ours["n_rows"].mean()
    return [
        f"A split by row, which parts groups, shows a micro-F1 of {means[BY_ROW]:.3f} where a split by group "
        f"shows {means[BY_GROUP]:.3f} on the same {n_rows:,.0f} test rows, {with_interval(micro.iloc[0])}."
    ]


def _of_knowledge(differences):
    """Say what the rule gains from the rows of a group."""
    macro, micro = (_ours(differences, KNOWLEDGE, metric, by="a") for metric in METRICS)
    return (
        f"The other rows of its group, as context, change the macro-F1 of `{OURS}` by "
        f"{with_interval(macro.loc[CONTEXT])}, labels predicted for the whole group by "
        f"{with_interval(macro.loc[GROUP_LABELS])}; micro-F1 is clearly greater with {_named(micro, ABOVE)}, "
        f"clearly smaller with {_named(micro, BELOW)}."
    )


def _of_second_task(differences):
    """Say what a head for the labels of the group changes, where it was tried."""
    found = mean_differences(differences[differences["question"] == SECOND_TASK], "metric")
    if found.empty:
        return []
    macro, micro = (with_interval(found.loc[metric]) for metric in METRICS)
    return [
        "To train the network to predict the labels of the whole group from each row, too, changes its "
        f"macro-F1 by {macro} and its micro-F1 by {micro}, both under a fitted global threshold."
    ]


def _ours(differences, question, metric, by="b"):
    """Return the differences of our rule on all rows that a question is about, averaged over repetitions."""
    found = differences[
        (differences["question"] == question)
        & (differences["metric"] == metric)
        & (differences["rule"] == OURS)
        & differences["test_rows"].isin(WHOLE)
    ]
    return mean_differences(found, by)


def _named(found, outcome):
    """Name the rows of some differences that have an outcome."""
    names = [name for name, row in found.iterrows() if outcome_of(row) == outcome]
    return listed(names) if names else "none"


def _width_by_rows(differences):
    """Return how wide intervals are that resample rows, as a share of those that resample groups."""
    whole = differences[differences["test_rows"].isin(WHOLE)]
    by_groups = whole["high"] - whole["low"]
    return ((whole["high_by_rows"] - whole["low_by_rows"]) / by_groups)[by_groups > 0].mean()
