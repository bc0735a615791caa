"""Decision rules: what turns held-out scores into cuts, and scores into labels.

Every rule is a :class:`DecisionRule`: ``fit(scores, Y)`` on held-out rows, ``predict(scores)`` on new ones. A
label is predicted when its score is *greater than* the cut, z > θ. In sparse scores an absent pair is never
predicted.

To add a rule, subclass :class:`DecisionRule` and write ``_fit(scores, Y)``, which sets ``thresholds_`` (one
cut, or one for every label). A rule without such cuts, like :class:`TopK`, writes ``_decide(scores)``, too.
"""

from adathresh.rules.base import DecisionRule
from adathresh.rules.cuts import (
    ExpectedF1Cut,
    FixedCut,
    GlobalCut,
    MicroMacroCut,
    PerLabelCut,
    ProportionalCut,
)
from adathresh.rules.rows import MaxGapCut, TopK
from adathresh.rules.xcolumns import BlockCoordinateMacroF1, FrankWolfeMacroF1

__all__ = [
    "BlockCoordinateMacroF1",
    "DecisionRule",
    "ExpectedF1Cut",
    "FixedCut",
    "FrankWolfeMacroF1",
    "GlobalCut",
    "MaxGapCut",
    "MicroMacroCut",
    "PerLabelCut",
    "ProportionalCut",
    "TopK",
]
