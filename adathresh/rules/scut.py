"""Every label's own best threshold on held-out rows, with a fallback for the weak ones."""

from typing import Literal

import numpy as np

from adathresh.rules.base import DecisionRule
from adathresh.utils.grouped import f1_path, label_max, next_lower, opens_label, threshold_between
from adathresh.utils.parameters import number, one_of, optional, parameters
from adathresh.utils.validation import candidate_pairs, falling_by_label


class SCut(DecisionRule):
    """One threshold for every label, the best for its F1 on held-out rows (SCut), or a fallback (SCutFBR).

    The threshold lies midway between neighbouring scores of the label, and just below its lowest score if all
    its scored rows are best predicted; of equally good thresholds the highest is taken. A label without a
    scored positive gets ``inf`` and is never predicted. On few positives the best threshold overfits, mostly
    by being too low; SCutFBR (Yang 2001; Lewis et al. 2004; Fan and Lin 2007) replaces it where the F1 it
    reaches on the held-out rows stays below a bound, fbr. A label without any held-out positive keeps
    ``inf``.

    Parameters
    ----------
    fallback : {None, "top", "never"}, default=None
        The threshold of a label whose best F1 is below fbr: None keeps the best threshold (SCut), "top" takes
        the label's highest held-out score (SCutFBR.1), "never" takes ``inf`` (SCutFBR.0).
    fbr : float, default=0.1
        The bound on the F1, in [0, 1]; without effect when fallback is None.

    Attributes
    ----------
    f1_ : ndarray of shape (n_labels,)
        The F1 that the best threshold of each label reaches on the held-out rows, before any fallback.

    Examples
    --------
    >>> from adathresh.rules import SCut
    >>> SCut().fit([[0.1, 0.2], [0.3, 0.4], [0.2, 0.6]], [[0, 0], [1, 0], [0, 1]]).thresholds_
    array([0.25, 0.5 ])
    """

    _parameters = parameters(fallback=optional(one_of("top", "never")), fbr=number(least=0, most=1))

    def __init__(self, fallback: Literal["top", "never"] | None = None, *, fbr: float = 0.1):
        self.fallback = fallback
        self.fbr = fbr

    def _fit(self, scores, Y):
        """Threshold every label where its F1 is greatest, then fall back where that is too low."""
        n_labels = self.n_labels_
        labels, values, truth = candidate_pairs(Y, scores)
        order = falling_by_label(labels, values)
        labels, values, truth = labels[order], values[order], truth[order]
        n_positives = np.bincount(Y.indices, minlength=n_labels)
        f1 = f1_path(labels, truth, n_positives)
        lower = next_lower(labels, values)
        f1[lower == values] = 0  # a threshold cannot part equal scores
        self.f1_ = label_max(labels, f1, n_labels)
        best = np.flatnonzero((f1 == self.f1_[labels]) & (f1 > 0))
        best = best[opens_label(labels[best])]
        self.thresholds_ = np.full(n_labels, np.inf)
        self.thresholds_[labels[best]] = threshold_between(values[best], lower[best])
        if self.fallback is not None:
            top = np.full(n_labels, np.inf)
            if self.fallback == "top":
                first = np.flatnonzero(opens_label(labels))
                top[labels[first]] = values[first]
            weak = (n_positives > 0) & (self.f1_ < self.fbr)
            self.thresholds_[weak] = top[weak]
