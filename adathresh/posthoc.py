"""Adaptive thresholds for any model's held-out scores: pooled fusion of score, rarity and neighbours."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from adathresh._validation import check_labels, check_scores, container_of, like_input, row_major_positions
from adathresh.idf import LabelIDF
from adathresh.rules import ExpectedF1Cut

# Probabilities and neighbour shares are kept this far from 0 and 1 before their logit is taken.
_SCORE_MARGIN = 1e-6
_SHARE_MARGIN = 1e-2
# A steeper score must never lower the fused probability, whatever the pooled fit says of the rarest labels.
_SMALLEST_SLOPE = 1e-3


class AdaptiveThreshold(BaseEstimator):
    """Per-label, per-instance thresholds fitted on held-out scores, for the highest macro-F1.

    One pooled logistic model over candidate pairs (x, l) fuses the base model's logit z_l(x), the label's
    rarity IDF_l and its share k_l(x) among the nearest training rows,

        g_l(x) = (a + a'·IDF_l)·z_l(x) + b·IDF_l + c·k + (e + e'·IDF_l)·logit(k) + d,

    and label l is predicted where σ(g_l(x)) exceeds half of the label's greatest expected F1 on the fitted
    rows (F*/2: Lipton et al. 2014, arXiv:1402.1892). Solved for z this is a threshold of the form of
    arXiv:2505.03118, a constant for each label minus a rarity term minus a neighbour term. Because the model
    is pooled, a rare label borrows from all others and is never fitted on its own few positives. A label that
    no fitted row carries can be predicted where its score and its rarity say so.

    The scores of ``fit`` must be held out: of rows that the base model was not trained on.

    Attributes
    ----------
    coef_ : dict of str to float
        The pooled coefficients a, a', b, c, e, e', d under the names "score", "score x idf", "idf", "share",
        "logit share", "logit share x idf", "intercept".
    cuts_ : numpy.ndarray of shape (n_labels,)
        Cut of each label on the fused probability; ``inf``: never predicted.
    idf_ : LabelIDF
        The global signal.
    n_labels_ : int
        Number of labels.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> _, Y = make_multilabel_classification(n_samples=200, random_state=0)
    >>> scores = 0.2 + 0.5 * Y
    >>> (AdaptiveThreshold().fit(scores, Y).predict(scores) == Y).all()
    np.True_
    """

    def fit(self, scores, Y, *, local=None):
        """Fit the fusion and the cuts on held-out rows.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Held-out probabilities in [0, 1]. In CSR an absent pair counts as below every stored score.
        Y : array-like or sparse of shape (n_samples, n_labels)
            Labels of the same rows, 0 or 1.
        local : sparse of shape (n_samples, n_labels), optional
            Neighbour shares of the same rows, each row left out of its own neighbours
            (``NeighborLabels.fit_transform``); None fuses score and rarity only.

        Returns
        -------
        AdaptiveThreshold
            The fitted rule.

        Raises
        ------
        ValueError
            If the scores are not finite probabilities, Y is not 0/1, the shapes differ, or the candidate
            pairs hold only positives or only negatives.
        """
        Y = check_labels(Y)
        self.n_labels_ = Y.shape[1]
        self.idf_ = LabelIDF().fit(Y)
        self._uses_local = local is not None
        pairs = self._pairs(scores, local, n_samples=Y.shape[0])
        truth = np.isin(pairs.rows * np.int64(Y.shape[1]) + pairs.labels, row_major_positions(Y))
        if truth.all() or not truth.any():
            raise ValueError(
                "The candidate pairs hold only one class; the fusion needs scored pairs that are true and "
                "scored pairs that are not."
            )
        self._fit_coefficients(pairs, truth)
        fused = sp.csr_array((expit(self._fuse(pairs)), (pairs.rows, pairs.labels)), shape=Y.shape)
        self.cuts_ = ExpectedF1Cut().fit(fused).thresholds_
        return self

    def predict(self, scores, *, local=None):
        """Return the label sets.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Probabilities in [0, 1], as in ``fit``.
        local : sparse of shape (n_samples, n_labels), optional
            Neighbour shares (``NeighborLabels.transform``); required where ``fit`` had them.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels)
            0/1, sparse where the scores are.
        """
        pairs, shape = self._checked_pairs(scores, local)
        keep = pairs.z > self._theta(pairs)
        ones = np.ones(keep.sum(), dtype=np.float32)
        found = sp.csr_array((ones, (pairs.rows[keep], pairs.labels[keep])), shape=shape)
        return like_input(found, container_of(scores))

    def predict_proba(self, scores, *, local=None):
        """Return the fused probabilities of the candidate pairs.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Probabilities in [0, 1], as in ``fit``.
        local : sparse of shape (n_samples, n_labels), optional
            Neighbour shares; required where ``fit`` had them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Probabilities σ(g_l(x)) of every pair that has a score or a neighbour share.
        """
        pairs, shape = self._checked_pairs(scores, local)
        return sp.csr_array((expit(self._fuse(pairs)), (pairs.rows, pairs.labels)), shape=shape)

    def thresholds(self, scores, *, local=None):
        """Return θ_l(x) of the candidate pairs: the base logit above which the label is predicted.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Probabilities in [0, 1], as in ``fit``; only which pairs they store matters.
        local : sparse of shape (n_samples, n_labels), optional
            Neighbour shares; required where ``fit`` had them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Thresholds in logits; ``inf`` for a label that is never predicted.
        """
        pairs, shape = self._checked_pairs(scores, local)
        return sp.csr_array((self._theta(pairs), (pairs.rows, pairs.labels)), shape=shape)

    def margins(self, scores, *, local=None):
        """Return z_l(x) − θ_l(x) of the candidate pairs; positive means predicted.

        Parameters
        ----------
        scores : array-like or sparse of shape (n_samples, n_labels)
            Probabilities in [0, 1], as in ``fit``.
        local : sparse of shape (n_samples, n_labels), optional
            Neighbour shares; required where ``fit`` had them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Margins in the base model's logits.
        """
        pairs, shape = self._checked_pairs(scores, local)
        return sp.csr_array((pairs.z - self._theta(pairs), (pairs.rows, pairs.labels)), shape=shape)

    def _fit_coefficients(self, pairs, truth):
        """Fit the pooled logistic model."""
        features = self._features(pairs)
        scale = {name: np.std(column) or 1.0 for name, column in features.items()}
        columns = np.column_stack([column / scale[name] for name, column in features.items()])
        model = LogisticRegression(C=100.0, max_iter=1000).fit(columns, truth)
        self.coef_ = {name: w / scale[name] for name, w in zip(features, model.coef_[0], strict=True)}
        self.coef_["intercept"] = model.intercept_[0]

    def _features(self, pairs):
        """Return the columns of the pooled model."""
        idf = self.idf_.idf_[pairs.labels]
        features = {"score": pairs.z, "score x idf": pairs.z * idf, "idf": idf}
        if self._uses_local:
            q = logit(np.clip(pairs.share, _SHARE_MARGIN, 1 - _SHARE_MARGIN))
            features |= {"share": pairs.share, "logit share": q, "logit share x idf": q * idf}
        return features

    def _fuse(self, pairs):
        """Return the fused logit g."""
        return self._slope()[pairs.labels] * pairs.z + self._offset(pairs)

    def _slope(self):
        """Return how much one unit of base logit counts, for each label."""
        slope = self.coef_["score"] + self.coef_["score x idf"] * self.idf_.idf_
        return np.maximum(slope, _SMALLEST_SLOPE)

    def _offset(self, pairs):
        """Return what rarity and neighbours add to the fused logit."""
        columns = self._features(pairs)
        terms = (self.coef_[name] * columns[name] for name in columns if not name.startswith("score"))
        return sum(terms, start=np.full(len(pairs.z), self.coef_["intercept"]))

    def _theta(self, pairs):
        """Solve g = logit(cut) for the base logit z."""
        cuts = np.where(np.isfinite(self.cuts_), logit(np.minimum(self.cuts_, 1)), np.inf)
        return (cuts[pairs.labels] - self._offset(pairs)) / self._slope()[pairs.labels]

    def _checked_pairs(self, scores, local):
        """Return the candidate pairs of rows to be predicted, and the shape of their matrix."""
        check_is_fitted(self, "cuts_")
        if self._uses_local and local is None:
            raise ValueError(
                "fit was given neighbour shares; pass local=NeighborLabels.transform(X) here too."
            )
        pairs = self._pairs(scores, local if self._uses_local else None)
        return pairs, np.shape(scores)

    def _pairs(self, scores, local, *, n_samples=None):
        """Return every pair that has a score or a neighbour share."""
        scores = check_scores(scores, n_samples=n_samples, n_labels=self.n_labels_, probabilities=True)
        n_samples, n_labels = scores.shape
        positions = row_major_positions(scores) if sp.issparse(scores) else np.arange(scores.size)
        values = scores.data if sp.issparse(scores) else scores.ravel()
        found = positions
        if local is not None:
            local = check_scores(
                sp.csr_array(local), name="local", n_samples=n_samples, n_labels=n_labels, probabilities=True
            )
            local_positions = row_major_positions(local)
            found = np.union1d(positions, local_positions)
        score, share = np.full(len(found), _SCORE_MARGIN), np.zeros(len(found))
        score[np.searchsorted(found, positions)] = values
        if local is not None:
            share[np.searchsorted(found, local_positions)] = local.data
        rows, labels = np.divmod(found, n_labels)
        return _Pairs(rows, labels, logit(np.clip(score, _SCORE_MARGIN, 1 - _SCORE_MARGIN)), share)


class _Pairs(NamedTuple):
    """Candidate pairs in row-major order: row, label, base logit, neighbour share."""

    rows: np.ndarray
    labels: np.ndarray
    z: np.ndarray
    share: np.ndarray
