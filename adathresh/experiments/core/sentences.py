"""Words for differences and their intervals, so that all notebooks say their findings alike."""

from adathresh.experiments.core.claims import ABOVE, LEVEL, outcome_of

_DIFFERENCE = ["difference", "low", "high"]


def mean_differences(frame, by):
    """Average repetitions: difference, low and high, indexed by the columns ``by`` in order of appearance."""
    return frame.groupby(by, sort=False)[_DIFFERENCE].mean()


def signed(value, digits=4):
    """Write a difference with its sign.

    >>> from adathresh.experiments.core.sentences import signed
    >>> signed(-0.0142)
    '−0.0142'
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def with_interval(row, *, named=False):
    """Write a difference with its 95 % interval; ``named`` says that it is one, which is done once."""
    what = "95 % interval " if named else ""
    return f"{signed(row['difference'])} ({what}{signed(row['low'])} to {signed(row['high'])})"


def effect(row):
    """Say what some things do to macro-F1, by the difference that they make."""
    outcome = outcome_of(row)
    if outcome == LEVEL:
        return "have no effect on macro-F1 that can be told from chance"
    return f"{'add' if outcome == ABOVE else 'cost'} macro-F1"


def effects_of_others(found):
    """Say which of some parts have an effect of their own, above or below 0, and which have none."""
    level = [part for part, row in found.iterrows() if outcome_of(row) == LEVEL]
    clear = [f"{part}, {with_interval(row)}" for part, row in found.iterrows() if part not in level]
    if not clear:
        return f"Of the other parts ({listed(level)}) none has an effect that can be told from chance."
    shown = f"A clear effect is also found for {listed(clear)}"
    return f"{shown}; none that can be told from chance for {listed(level)}." if level else f"{shown}."


def percent(share, digits=0):
    """Write a share in per cent."""
    return f"{100 * share:.{digits}f} %"


def listed(words):
    """Join words to a list in a sentence.

    >>> from adathresh.experiments.core.sentences import listed
    >>> listed(["IDF", "KNN", "the margin"])
    'IDF, KNN and the margin'
    """
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def counted(n, one):
    """Count things.

    >>> from adathresh.experiments.core.sentences import counted
    >>> counted(1, "seed"), counted(1_368, "label")
    ('1 seed', '1,368 labels')
    """
    return f"{n:,} {one}{'' if n == 1 else 's'}"
