"""Why a label was predicted for a row, or not: the terms of one decision, which add up to its margin."""

import itertools
from dataclasses import dataclass
from math import factorial


@dataclass(frozen=True)
class Explanation:
    """Why a label was predicted for a row, or not.

    ``base_term + rarity_term + neighbor_term + text_term - fused_threshold = margin``, in fused logits; the
    label is predicted where the margin is positive. The terms are Shapley values of the fused logit against a
    pair without score, neighbours and text similarity, of a label of average rarity; what such a pair has,
    and the label's own correction, belong to the rarity term.
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
    neighbors: tuple = ()
    """(training row, weight, carries the label) of each neighbour, the nearest first."""

    @property
    def margin(self):
        """Subtract the threshold from the fused logit.

        Returns
        -------
        float
            In fused logits; positive means predicted.
        """
        return self.base_term + self.rarity_term + self.neighbor_term + self.text_term - self.fused_threshold


def shapley_value(player, players, value):
    """Average what a player adds over all orders in which the players may join."""
    others = [name for name in players if name != player]
    total = 0.0
    for size in range(len(others) + 1):
        share = factorial(size) * factorial(len(others) - size) / factorial(len(players))
        for joined in itertools.combinations(others, size):
            total += share * (value(frozenset((*joined, player))) - value(frozenset(joined)))
    return total
