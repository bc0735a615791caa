"""The recommended rule: held-out scores in, label sets out.

:class:`AdaptiveThreshold` (``threshold``) lines up the candidate pairs (``candidates``), fuses their signals
(``fusion``), and gives each label the threshold that is best for the target in expectation (``targets``), or
one whose precision is guaranteed (``guarantee``).
One pass over the rows gives a ``Decision``; ``explanation`` splits one decision into its terms, ``crossfit``
makes out-of-fold scores, ``label_texts`` what names and synonyms say of a text; ``in_sample`` tells scores
that are not out of fold. ``hierarchy`` makes label sets agree with one, ``onnx_export`` a rule an ONNX graph.
"""

from adathresh.posthoc.decision import Decision
from adathresh.posthoc.explanation import Explanation
from adathresh.posthoc.hierarchy import consistent_label_sets
from adathresh.posthoc.onnx_export import to_onnx
from adathresh.posthoc.threshold import (
    AdaptiveThreshold,
    InSampleScoresWarning,
    LowCoverageWarning,
    NoGuaranteeWarning,
)

__all__ = [
    "AdaptiveThreshold",
    "Decision",
    "Explanation",
    "InSampleScoresWarning",
    "LowCoverageWarning",
    "NoGuaranteeWarning",
    "consistent_label_sets",
    "to_onnx",
]
