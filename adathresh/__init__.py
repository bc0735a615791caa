"""Per-label, per-instance decision thresholds for multi-label classification."""

import importlib
import warnings

__version__ = "0.1.0"

# Progress bars work as text where a notebook has no widgets; the warning would print a path into its outputs.
warnings.filterwarnings("ignore", message="IProgress not found")

# Loaded on first use, so that the command line does not wait for torch.
_MODULES = {
    "AdaptiveThreshold": "posthoc",
    "AdaptiveThresholdClassifier": "classifier",
    "AdaptiveThresholdLoss": "losses",
    "AdaptiveThresholdNetwork": "end_to_end",
    "LabelAffinity": "affinity",
    "LabelIDF": "idf",
    "NeighborLabels": "knn",
    "ThresholdFusion": "fusion",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'adathresh' has no attribute {name!r}")
    return getattr(importlib.import_module(f"adathresh.{_MODULES[name]}"), name)


def __dir__():
    return [*globals(), *__all__]
