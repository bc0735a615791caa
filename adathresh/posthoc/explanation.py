"""Why a label was predicted for a row, or not: the terms of one decision, which add up to its margin."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial

from adathresh.utils.display import Table


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a label was predicted for a row, or not: ``print`` shows the sum, notebooks a table of the same.

    ``base_term + rarity_term + neighbor_term + text_term - fused_threshold = margin``, in fused logits; the
    label is predicted where the margin is positive. The terms are Shapley values of the fused logit against a
    pair without score, neighbours and text similarity, of a label of average rarity; what such a pair has,
    and the label's own correction, belong to the rarity term.

    Examples
    --------
    >>> from adathresh import AdaptiveThreshold
    >>> rule = AdaptiveThreshold().fit([[0.9], [0.7], [0.4], [0.1]], [[1], [1], [0], [0]])
    >>> found = rule.explain([[0.8]], 0)
    >>> found.predicted, found.margin > 0, found.neighbor_term
    (True, True, 0.0)
    """

    label: int
    """The label's index."""
    score: float
    """The first base model's probability; 0 where it has none."""
    threshold: float
    """θ_l(x), in logits of the first base model."""
    base_term: float
    """What the base models' scores add."""
    rarity_term: float
    """What the label brings whatever the row."""
    neighbor_term: float
    """What the label's share among the neighbours adds; 0 without neighbours."""
    text_term: float
    """What the similarity of row and label text adds; 0 without."""
    fused_threshold: float
    """The label's threshold on the fused logit."""
    predicted: bool
    """Whether the label is predicted."""
    neighbors: tuple[tuple[int, float, bool], ...] = ()
    """(training row, weight, carries the label) of each neighbour, the nearest first."""
    label_name: str | None = None
    """What the label is called, where that is known."""

    @property
    def margin(self) -> float:
        """Subtract the threshold from the fused logit.

        Returns
        -------
        float
            In fused logits; positive means predicted.
        """
        return self.base_term + self.rarity_term + self.neighbor_term + self.text_term - self.fused_threshold

    def __repr__(self) -> str:
        return "\n".join([self._headline(), *(f"  {value:+8.2f}  {term}" for term, value in self._terms())])

    def _repr_html_(self) -> str:
        """Return the same as a table."""
        return Table([("term", ""), ("value", "+.2f")], self._terms(), self._headline())._repr_html_()

    def _headline(self):
        """Return the decision in one line."""
        name = f" ({self.label_name})" if self.label_name else ""
        verdict = "predicted" if self.predicted else "not predicted"
        return f"label {self.label}{name} is {verdict}: margin {self.margin:+.2f}, in fused logits"

    def _terms(self):
        """Return what is added up to the margin: words and value of each term."""
        return [
            (f"base score (probability {self.score:.3g})", self.base_term),
            ("rarity, and the label's own correction", self.rarity_term),
            ("neighbours", self.neighbor_term),
            ("label text", self.text_term),
            ("threshold", -self.fused_threshold),
        ]


def shapley_value(player: str, players: Sequence[str], value: Callable[[frozenset[str]], float]) -> float:
    """Average what a player adds over all orders in which the players may join (the Shapley value).

    Parameters
    ----------
    player : str
        The player.
    players : sequence of str
        All players, this one among them.
    value : callable
        What a frozenset of players is worth together.

    Returns
    -------
    float
        The player's share of what all are worth; the shares add up to it, less what no player is worth.

    Examples
    --------
    >>> shapley_value("a", ["a", "b"], lambda joined: 6.0 if joined == {"a", "b"} else 0.0)
    3.0
    """
    others = [name for name in players if name != player]
    total = 0.0
    for size in range(len(others) + 1):
        share = factorial(size) * factorial(len(others) - size) / factorial(len(players))
        for joined in itertools.combinations(others, size):
            total += share * (value(frozenset((*joined, player))) - value(frozenset(joined)))
    return total
