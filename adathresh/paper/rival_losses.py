"""Other papers' losses for the same network: the logit they see is the margin z − θ.

Functions with the mathematics, and modules that hold their settings and call them, as in ``losses``: each is
called as loss(logits, thresholds, targets), so that ``adathresh.paper.training.train`` trains with any of
them. Below, d = z − θ and p = σ(d).
"""

import torch
import torch.nn.functional as F  # noqa: N812 (the name PyTorch's own documentation uses)
from numpy.typing import ArrayLike

from adathresh.paper.losses import _check, _cross_entropy, _LossModule, _reduced
from adathresh.utils.parameters import check_value, number, one_of, optional, whole

_RANGES = {
    "gamma": number(least=0),
    "alpha": optional(number(least=0, most=1)),
    "gamma_pos": number(least=0),
    "gamma_neg": number(least=0),
    "probability_margin": number(least=0, below=1),
    "slope": number(above=0),
    "n_samples": whole(2),
    "offset": number(least=0),
    "steepness": number(least=0),
    "center": number(),
    "bias_scale": number(least=0),
    "negative_scale": number(above=0),
    "weight": number(least=0),
    "margin": number(least=0),
    "reduction": one_of("mean", "sum", "none"),
}


def focal_loss(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
    reduction: str = "mean",
) -> torch.Tensor:
    """Focal loss: cross-entropy that counts a pair the less, the surer and righter it is.

    −[α y (1−p)^γ log p + (1−α) (1−y) p^γ log(1−p)] (Lin et al. 2017, arXiv:1708.02002, eq. 5, with their
    defaults).

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    gamma : float, default=2.0
        How strongly pairs that are right count less, at least 0; 0 is weighted cross-entropy.
    alpha : float, optional, default=0.25
        Weight of positive pairs, in [0, 1], negative ones weigh 1 − alpha; None means 1 for both.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Returns
    -------
    torch.Tensor
        A scalar, or the shape of logits for "none".

    Raises
    ------
    ValueError
        If a setting is out of range, the reduction is unknown, targets are not 0 and 1, logits and targets
        differ in shape, or the thresholds do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(focal_loss(z, theta, y).item(), 4)
    0.0087
    """
    _check_settings(gamma=gamma, alpha=alpha)
    _check(logits, thresholds, targets, reduction)
    loss = _focused(logits - thresholds, targets, gamma, gamma)
    if alpha is not None:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return _reduced(loss, reduction)


def asymmetric_loss(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    probability_margin: float = 0.05,
    reduction: str = "mean",
) -> torch.Tensor:
    """Asymmetric loss: positive and negative pairs are focused apart, and easy negatives cost nothing.

    −[y (1−p)^γ₊ log p + (1−y) p_m^γ₋ log(1−p_m)], p_m = max(p − m, 0) (Ridnik et al. 2021, arXiv:2009.14119,
    with their defaults; the gradient is that of the whole formula).

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    gamma_pos, gamma_neg : float, default=0.0 and 4.0
        How strongly positive (γ₊) and negative (γ₋) pairs that are right count less; at least 0.
    probability_margin : float, default=0.05
        The probability m, in [0, 1), below which negative pairs cost nothing.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Returns
    -------
    torch.Tensor
        A scalar, or the shape of logits for "none".

    Raises
    ------
    ValueError
        If a setting is out of range, the reduction is unknown, targets are not 0 and 1, logits and targets
        differ in shape, or the thresholds do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(asymmetric_loss(z, theta, y).item(), 4)
    0.0637
    """
    _check_settings(gamma_pos=gamma_pos, gamma_neg=gamma_neg, probability_margin=probability_margin)
    _check(logits, thresholds, targets, reduction)
    loss = _focused(logits - thresholds, targets, gamma_pos, gamma_neg, probability_margin)
    return _reduced(loss, reduction)


def soft_macro_f1_loss(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    slope: float = 1.0,
    reduction: str = "mean",
) -> torch.Tensor:
    """One minus the F1 of each label over the batch, with probabilities in place of predictions.

    1 − 2 Σ_i p_il y_il / Σ_i (p_il + y_il), p = σ(slope · d): sigmoidF1 (Bénédict et al. 2022,
    arXiv:2108.10566), whose offset η is the threshold here. A label without a positive row in the batch
    costs 1 and has no gradient, so that batches should be large.

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    slope : float, default=1.0
        Steepness of the sigmoid, greater than 0; the larger, the closer to the F1 of predictions.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all labels.

    Returns
    -------
    torch.Tensor
        A scalar, or shape (n_labels,) for "none"; from 0 to 1 for each label.

    Raises
    ------
    ValueError
        If slope is not greater than 0, the reduction is unknown, targets are not 0 and 1, logits and targets
        differ in shape, or the thresholds do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]), torch.zeros(2), torch.eye(2)
    >>> round(soft_macro_f1_loss(z, theta, y).item(), 4)
    0.0001
    """
    _check_settings(slope=slope)
    _check(logits, thresholds, targets, reduction)
    p = torch.sigmoid(slope * (logits - thresholds))
    size = (p + targets).sum(dim=0)
    # where all of p vanishes there is nothing to divide
    loss = 1 - 2 * (p * targets).sum(dim=0) / size.clamp(min=1e-8)
    return _reduced(loss, reduction)


def distribution_balanced_loss(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    label_counts: ArrayLike,
    n_samples: int,
    offset: float = 0.1,
    steepness: float = 10.0,
    center: float = 0.2,
    bias_scale: float = 0.05,
    negative_scale: float = 2.0,
    reduction: str = "mean",
) -> torch.Tensor:
    """Distribution-balanced loss: rare labels weigh more, and their negatives press less.

    w_il [y log(1 + e^−(d−ν_l)) + (1−y) log(1 + e^(λ(d−ν_l))) / λ] (Wu et al. 2020, arXiv:2007.09654, without
    the focal factor that their code adds), where label l has n_l positives in N training rows, and

    - w_il = α + σ(β(r_il − μ)), r_il = (1/n_l) / Σ_j y_ij/n_j: how much of the sampling of row i is due to
      label l, smoothed (rebalanced weighting); α + 1 in a row without labels;
    - ν_l = κ log(N/n_l − 1), and λ > 1 lets the gradient of negatives fall off faster (negative-tolerant
      regularisation).

    α is ``offset``, β ``steepness``, μ ``center``, κ ``bias_scale``, λ ``negative_scale``; the defaults are
    those of the authors' code for COCO-MLT.

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    label_counts : array-like or torch.Tensor of shape (n_labels,)
        Number n_l of training rows that carry each label, from 0 to n_samples; the formula is not defined for
        both ends, which count as 1 and n_samples − 1.
    n_samples : int
        Number N of training rows (not of the batch); at least 2.
    offset : float, default=0.1
        The least weight α, at least 0.
    steepness : float, default=10.0
        How fast the weight rises (β), at least 0.
    center : float, default=0.2
        The share μ at which the weight is halfway up.
    bias_scale : float, default=0.05
        How far the bias of frequency moves z − θ (κ), at least 0; 0 leaves it where it is.
    negative_scale : float, default=2.0
        How much faster the gradient of negatives falls off (λ), greater than 0; 1 treats them as positives.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Returns
    -------
    torch.Tensor
        A scalar, or the shape of logits for "none".

    Raises
    ------
    ValueError
        If label_counts is not one count from 0 to n_samples for each label, a setting is out of range, the
        reduction is unknown, targets are not 0 and 1, logits and targets differ in shape, or the thresholds
        do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(distribution_balanced_loss(z, theta, y, label_counts=[50, 5], n_samples=100).item(), 4)
    0.0962
    """
    _check_settings(
        n_samples=n_samples,
        offset=offset,
        steepness=steepness,
        center=center,
        bias_scale=bias_scale,
        negative_scale=negative_scale,
    )
    counts = _counts(label_counts, n_samples)
    _check(logits, thresholds, targets, reduction)
    if len(counts) != logits.shape[-1]:
        raise ValueError(f"label_counts holds {len(counts)} labels, but the logits {logits.shape[-1]}.")
    inverse = 1 / counts.to(logits).clamp(1, n_samples - 1)
    own = (targets @ inverse)[:, None].clamp(min=torch.finfo(inverse.dtype).tiny)  # 0 in rows without labels
    share = inverse / own
    weight = offset + torch.sigmoid(steepness * (share - center))
    distance = logits - thresholds - bias_scale * torch.log(n_samples * inverse - 1)
    negative = F.softplus(negative_scale * distance) / negative_scale
    return _reduced(weight * torch.where(targets == 1, F.softplus(-distance), negative), reduction)


def hardest_negative_loss(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    weight: float = 1.0,
    margin: float = 1.0,
    reduction: str = "mean",
) -> torch.Tensor:
    """Binary cross-entropy of z − θ, plus a hinge between each pair and the hardest of the other kind.

    BCE(d_il, y_il) + weight · h_il. Where row i has label l, d_il must exceed the largest d_jl among the rows
    j of the batch without l; where it has not, the smallest d_jl among those with l must exceed d_il:

    - y_il = 1: h_il = max(0, margin − (d_il − max_{j: y_jl = 0} d_jl));
    - y_il = 0: h_il = max(0, margin − (min_{j: y_jl = 1} d_jl − d_il)).

    h_il is 0 where the batch has no row of the other kind. Hardest pairs within a batch are those of metric
    learning (Hermans et al. 2017, arXiv:1703.07737); as every row is measured from its own threshold, the
    margin is around θ_l(x) and means the same for all labels (after the threshold-consistent margin of
    Zhang et al. 2024, arXiv:2307.04047). The combination is ours.

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    weight : float, default=1.0
        Weight of the hinge, at least 0; 0 is cross-entropy.
    margin : float, default=1.0
        Difference of d, in logits, from which on a pair costs no hinge; at least 0.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Returns
    -------
    torch.Tensor
        A scalar, or the shape of logits for "none".

    Raises
    ------
    ValueError
        If a setting is out of range, the reduction is unknown, targets are not 0 and 1, logits and targets
        differ in shape, or the thresholds do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0], [1.5]]), torch.zeros(1), torch.tensor([[1.0], [0.0]])
    >>> hinge = hardest_negative_loss(z, theta, y) - hardest_negative_loss(z, theta, y, weight=0)
    >>> round(hinge.item(), 4)
    0.5
    """
    _check_settings(weight=weight, margin=margin)
    _check(logits, thresholds, targets, reduction)
    distance, positive = logits - thresholds, targets == 1
    highest_negative = distance.masked_fill(positive, -torch.inf).amax(dim=0)
    lowest_positive = distance.masked_fill(~positive, torch.inf).amin(dim=0)
    gap = torch.where(positive, distance - highest_negative, lowest_positive - distance)
    loss = _cross_entropy(distance, targets, None, "none") + weight * F.relu(margin - gap)
    return _reduced(loss, reduction)


class FocalLoss(_LossModule):
    """Module form of :func:`focal_loss`.

    Parameters
    ----------
    gamma : float, default=2.0
        How strongly pairs that are right count less, at least 0; 0 is weighted cross-entropy.
    alpha : float, optional, default=0.25
        Weight of positive pairs, in [0, 1], negative ones weigh 1 − alpha; None means 1 for both.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(FocalLoss(gamma=0.0, alpha=None)(z, theta, y).item(), 4)
    0.2201
    """

    def __init__(self, *, gamma: float = 2.0, alpha: float | None = 0.25, reduction: str = "mean"):
        settings = {"gamma": gamma, "alpha": alpha, "reduction": reduction}
        _check_settings(**settings)
        super().__init__(focal_loss, **settings)


class AsymmetricLoss(_LossModule):
    """Module form of :func:`asymmetric_loss`.

    Parameters
    ----------
    gamma_pos, gamma_neg : float, default=0.0 and 4.0
        How strongly positive (γ₊) and negative (γ₋) pairs that are right count less; at least 0.
    probability_margin : float, default=0.05
        The probability m, in [0, 1), below which negative pairs cost nothing.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(AsymmetricLoss(gamma_neg=0.0, probability_margin=0.0)(z, theta, y).item(), 4)
    0.2201
    """

    def __init__(
        self,
        *,
        gamma_pos: float = 0.0,
        gamma_neg: float = 4.0,
        probability_margin: float = 0.05,
        reduction: str = "mean",
    ):
        settings = {
            "gamma_pos": gamma_pos,
            "gamma_neg": gamma_neg,
            "probability_margin": probability_margin,
            "reduction": reduction,
        }
        _check_settings(**settings)
        super().__init__(asymmetric_loss, **settings)


class SoftMacroF1Loss(_LossModule):
    """Module form of :func:`soft_macro_f1_loss`.

    Parameters
    ----------
    slope : float, default=1.0
        Steepness of the sigmoid, greater than 0; the larger, the closer to the F1 of predictions.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all labels.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -2.0], [-2.0, 2.0]]), torch.zeros(2), torch.eye(2)
    >>> round(SoftMacroF1Loss(slope=5.0)(z, theta, y).item(), 4)
    0.0
    """

    def __init__(self, *, slope: float = 1.0, reduction: str = "mean"):
        _check_settings(slope=slope, reduction=reduction)
        super().__init__(soft_macro_f1_loss, slope=slope, reduction=reduction)


class DistributionBalancedLoss(_LossModule):
    """Module form of :func:`distribution_balanced_loss`.

    Parameters
    ----------
    label_counts : array-like or torch.Tensor of shape (n_labels,)
        Number of training rows that carry each label, from 0 to n_samples.
    n_samples : int
        Number of training rows; at least 2.
    offset, steepness, center : float, default=0.1, 10.0 and 0.2
        The rebalanced weights' α, β and μ.
    bias_scale, negative_scale : float, default=0.05 and 2.0
        The negative-tolerant regularisation's κ and λ.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> Y_train = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 1]])
    >>> loss = DistributionBalancedLoss(label_counts=Y_train.sum(dim=0), n_samples=4)
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(loss(z, theta, y).item(), 4)
    0.0977
    """

    label_counts: torch.Tensor

    def __init__(
        self,
        *,
        label_counts: ArrayLike,
        n_samples: int,
        offset: float = 0.1,
        steepness: float = 10.0,
        center: float = 0.2,
        bias_scale: float = 0.05,
        negative_scale: float = 2.0,
        reduction: str = "mean",
    ):
        settings = {
            "n_samples": n_samples,
            "offset": offset,
            "steepness": steepness,
            "center": center,
            "bias_scale": bias_scale,
            "negative_scale": negative_scale,
            "reduction": reduction,
        }
        _check_settings(**settings)
        super().__init__(distribution_balanced_loss, **settings)
        self.register_buffer("label_counts", _counts(label_counts, n_samples))
        self._settings = ("label_counts", *self._settings)


class HardestNegativeLoss(_LossModule):
    """Module form of :func:`hardest_negative_loss`.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the hinge, at least 0; 0 is cross-entropy.
    margin : float, default=1.0
        Difference of z − θ, in logits, from which on a pair costs no hinge; at least 0.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0], [1.5]]), torch.zeros(1), torch.tensor([[1.0], [0.0]])
    >>> round(HardestNegativeLoss(weight=0.0)(z, theta, y).item(), 4)
    0.9142
    """

    def __init__(self, *, weight: float = 1.0, margin: float = 1.0, reduction: str = "mean"):
        _check_settings(weight=weight, margin=margin, reduction=reduction)
        super().__init__(hardest_negative_loss, weight=weight, margin=margin, reduction=reduction)


def _focused(distance, targets, gamma_pos, gamma_neg, probability_margin=0.0):
    """Take the cross-entropy of z − θ times (1−p)^γ₊ for positives and p_m^γ₋ for negatives, pair by pair."""
    positive = F.softplus(-distance) * torch.exp(-gamma_pos * F.softplus(distance))
    # from logits on, so that neither logarithm nor gradient is infinite where p is 0 or 1 in floating point
    shifted = (torch.sigmoid(distance) - probability_margin).clamp(min=torch.finfo(distance.dtype).tiny)
    log_margin = distance.new_tensor(float(probability_margin)).log()
    log_rest = torch.logaddexp(F.logsigmoid(-distance), log_margin).clamp(max=0)
    return torch.where(targets == 1, positive, -(shifted**gamma_neg) * log_rest)


def _counts(label_counts, n_samples):
    """Return label counts as a tensor; raise where they are none."""
    counts = torch.as_tensor(label_counts)
    if counts.ndim != 1 or not ((counts >= 0) & (counts <= n_samples)).all():
        raise ValueError(
            "label_counts must be one-dimensional and hold, for each label, its number of training rows, "
            f"from 0 to n_samples = {n_samples}."
        )
    return counts


def _check_settings(**settings):
    """Raise for settings that the formulas do not cover."""
    for name, value in settings.items():
        check_value(name, value, _RANGES[name])
