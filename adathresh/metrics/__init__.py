"""Every metric of the project, defined once, for dense and for sparse labels and scores.

Labels are 0/1 matrices of shape (n_samples, n_labels). Scores may be sparse: an absent pair (row, label) was
never a candidate. Nothing sparse is densified.

- :mod:`~adathresh.metrics.report`: all metrics of one prediction (:func:`evaluate`), and the share of rows
  that can be accepted automatically
- :mod:`~adathresh.metrics.automation`: how much of the labelling can be left to a rule (:func:`coverage`)
- :mod:`~adathresh.metrics.f1`: F1 of label sets
- :mod:`~adathresh.metrics.ranking`: the highest-scored labels of each row
- :mod:`~adathresh.metrics.auroc`: area under the ROC curve, with intervals
- :mod:`~adathresh.metrics.calibration`: reliability of probabilities
- :mod:`~adathresh.metrics.comparison`: intervals of the difference between methods
- :mod:`~adathresh.metrics.drift`: whether incoming rows are scored as earlier ones were
- :mod:`~adathresh.metrics.frequency_bins`: the bins of training frequency
- :mod:`~adathresh.metrics.tables`: evaluations and comparisons as tables to read
"""

from adathresh.metrics.auroc import binned_macro_auroc, macro_auroc, macro_auroc_interval, paired_macro_auroc
from adathresh.metrics.automation import coverage
from adathresh.metrics.calibration import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability_curve,
)
from adathresh.metrics.comparison import paired_bootstrap
from adathresh.metrics.drift import ScoreDrift, Shift, score_drift
from adathresh.metrics.f1 import (
    binned_macro_f1,
    macro_f1,
    macro_f1_ceiling,
    macro_f1_present,
    micro_f1,
    samples_f1,
)
from adathresh.metrics.frequency_bins import FREQUENCY_BINS, FREQUENCY_EDGES, bins_of
from adathresh.metrics.ranking import precision_at_k, psp_at_k, top_k
from adathresh.metrics.report import coverage_at_precision, evaluate
from adathresh.metrics.tables import comparison_table, evaluation_table

__all__ = [
    "FREQUENCY_BINS",
    "FREQUENCY_EDGES",
    "ReliabilityCurve",
    "ScoreDrift",
    "Shift",
    "binned_macro_auroc",
    "binned_macro_f1",
    "bins_of",
    "brier_score",
    "comparison_table",
    "coverage",
    "coverage_at_precision",
    "evaluate",
    "evaluation_table",
    "expected_calibration_error",
    "log_loss",
    "macro_auroc",
    "macro_auroc_interval",
    "macro_f1",
    "macro_f1_ceiling",
    "macro_f1_present",
    "micro_f1",
    "paired_bootstrap",
    "paired_macro_auroc",
    "precision_at_k",
    "psp_at_k",
    "reliability_curve",
    "samples_f1",
    "score_drift",
    "top_k",
]
