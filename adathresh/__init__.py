"""Per-label, per-instance decision thresholds for multi-label classification.

What can be imported from here stands in ``__all__``. Behind it, from the bottom up (each room imports only
from lower ones, or from its own):

- ``utils``: checks, files and other things that several rooms share;
- ``saving``: fitted objects as files;
- ``signals``: what a threshold looks at: how rare a label is, the neighbours' labels, the label's own text
  and what else is known of it;
- ``metrics``, ``calibration``: F1, ranking and calibration measures; calibrators of scores;
- ``datasets``: data sets, their formats and splits;
- ``posthoc``: the recommended rule, from held-out scores to label sets;
- ``models``: base models, which give scores;
- ``rules``: rival rules, which turn scores into label sets in other ways;
- ``paper``: the method of arXiv:2505.03118, a network trained together with its thresholds;
- ``leakage``: the audit of data, scores and predictions;
- ``classifier``: the recommended rule around any classifier;
- ``self_training``: a base model that also learns from rows without labels;
- ``explorer``: a view of single rows in notebooks;
- ``experiments``: what the notebooks run.
"""

from adathresh.utils.lazy import lazy_names

__version__ = "0.5.0"

# Loaded on first use, so that the command line does not wait for torch or scikit-learn.
MODULES = {
    "AdaptiveThreshold": "adathresh.posthoc.threshold",
    "AdaptiveThresholdClassifier": "adathresh.classifier",
    "AdaptiveThresholdLoss": "adathresh.paper.losses",
    "AdaptiveThresholdNetwork": "adathresh.paper.classifier",
    "LabelAffinity": "adathresh.signals.label_text",
    "LabelIDF": "adathresh.signals.idf",
    "LabelKnowledge": "adathresh.signals.label_knowledge",
    "LabelMentions": "adathresh.signals.mentions",
    "LabelSetExplorer": "adathresh.explorer",
    "NeighborLabels": "adathresh.signals.knn",
    "SelfTraining": "adathresh.self_training",
    "ThresholdFusion": "adathresh.paper.threshold_layer",
    "load": "adathresh.saving",
    "save": "adathresh.saving",
}

__all__ = sorted(MODULES)

__getattr__, __dir__ = lazy_names(__name__, MODULES)
