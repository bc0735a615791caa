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


def percent(share):
    """Write a share in per cent, without decimals."""
    return f"{100 * share:.0f} %"


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
