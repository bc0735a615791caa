"""The rival rules: from held-out scores to thresholds, and from scores to labels.

Every rule is a :class:`DecisionRule`: ``fit(scores, Y)`` on held-out rows, ``predict(scores)`` on new ones. A
label is predicted when its score is *greater than* the threshold, z > θ. In sparse scores an absent pair is
never predicted.

To add a rule, subclass :class:`DecisionRule` in a file of its own and write ``_fit(scores, Y)``, which sets
``thresholds_`` (one number, or one for every label). A rule without such thresholds, like :class:`RCut`,
writes ``_decide(scores)``, too.
"""

from adathresh.rules.base import DecisionRule
from adathresh.rules.cross_validated_scut import CrossValidatedSCut
from adathresh.rules.expected_f1 import ExpectedF1Threshold
from adathresh.rules.fixed import FixedThreshold
from adathresh.rules.global_threshold import GlobalThreshold
from adathresh.rules.mcut import MCut
from adathresh.rules.meta_labeler import MetaLabeler
from adathresh.rules.micro_macro import MicroMacroThreshold
from adathresh.rules.online import OnlineF1Threshold
from adathresh.rules.pcut import PCut
from adathresh.rules.rcut import RCut
from adathresh.rules.scut import SCut
from adathresh.rules.threshold_regression import ThresholdRegression
from adathresh.rules.xcolumns import BlockCoordinateMacroF1, FrankWolfeMacroF1

__all__ = [
    "BlockCoordinateMacroF1",
    "CrossValidatedSCut",
    "DecisionRule",
    "ExpectedF1Threshold",
    "FixedThreshold",
    "FrankWolfeMacroF1",
    "GlobalThreshold",
    "MCut",
    "MetaLabeler",
    "MicroMacroThreshold",
    "OnlineF1Threshold",
    "PCut",
    "RCut",
    "SCut",
    "ThresholdRegression",
]
