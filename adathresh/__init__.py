"""Per-label, per-instance decision thresholds for multi-label classification."""

import importlib
import warnings

__version__ = "0.1.0"

# Progress bars work as text where a notebook has no widgets; the warning would print a path into its outputs.
warnings.filterwarnings("ignore", message="IProgress not found")

# Loaded on first use, so that the command line does not wait for torch.
MODULES = {
    "AdaptiveThreshold": "posthoc.threshold",
    "AdaptiveThresholdClassifier": "classifier",
    "AdaptiveThresholdLoss": "paper.losses",
    "AdaptiveThresholdNetwork": "paper.classifier",
    "LabelAffinity": "signals.label_text",
    "LabelIDF": "signals.idf",
    "NeighborLabels": "signals.knn",
    "ThresholdFusion": "paper.threshold_layer",
}

__all__ = sorted(MODULES)


def __getattr__(name):
    if name not in MODULES:
        raise AttributeError(f"module 'adathresh' has no attribute {name!r}")
    return getattr(importlib.import_module(f"adathresh.{MODULES[name]}"), name)


def __dir__():
    return [*globals(), *__all__]
