"""The losses: functions with the mathematics, and modules that hold their settings and call them."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name PyTorch's own documentation uses)
from torch import nn

from adathresh.utils.parameters import check_value, number, one_of, optional


def threshold_bce(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    pos_weight: float | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Binary cross-entropy of the margin z − θ.

    −[w y log σ(z−θ) + (1−y) log σ(θ−z)], w = pos_weight (arXiv:2505.03118, §3).

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    pos_weight : float, optional
        Weight of a positive pair against a negative one; greater than 0, None means 1.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Returns
    -------
    torch.Tensor
        A scalar, or the shape of logits for "none".

    Raises
    ------
    ValueError
        If pos_weight is not greater than 0, the reduction is unknown, targets are not 0 and 1, logits and
        targets differ in shape, or the thresholds do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(threshold_bce(z, theta, y).item(), 4)
    0.2201
    """
    _check(logits, thresholds, targets, reduction, pos_weight=pos_weight)
    return _cross_entropy(logits - thresholds, targets, pos_weight, reduction)


def threshold_margin(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    margin: float = 0.1,
    reduction: str = "mean",
) -> torch.Tensor:
    """Hinge that keeps z on the right side of θ by a margin.

    max(0, m − (2y−1)(z−θ)), m = margin (arXiv:2505.03118, §3).

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    margin : float, default=0.1
        Distance from θ, in logits, from which on a pair costs nothing.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Returns
    -------
    torch.Tensor
        A scalar, or the shape of logits for "none".

    Raises
    ------
    ValueError
        If margin is negative, the reduction is unknown, targets are not 0 and 1, logits and targets
        differ in shape, or the thresholds do not broadcast.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(threshold_margin(z, theta, y, margin=2.0).item(), 4)
    0.5
    """
    _check(logits, thresholds, targets, reduction, margin=margin)
    return _hinge(logits - thresholds, targets, margin, reduction)


def adaptive_threshold_loss(
    logits: torch.Tensor,
    thresholds: torch.Tensor,
    targets: torch.Tensor,
    *,
    margin_weight: float = 0.1,
    margin: float = 0.1,
    pos_weight: float | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Binary cross-entropy of z − θ plus the weighted margin term.

    BCE(z−θ, y) + margin_weight · max(0, margin − (2y−1)(z−θ)) (arXiv:2505.03118, §3).

    Parameters
    ----------
    logits : torch.Tensor of shape (n_samples, n_labels)
        Scores z.
    thresholds : torch.Tensor broadcastable to the shape of logits
        Thresholds θ.
    targets : torch.Tensor of shape (n_samples, n_labels)
        Labels, 0 or 1, in the floating type of the logits.
    margin_weight : float, default=0.1
        Weight of the margin term; 0 switches it off.
    margin : float, default=0.1
        Distance from θ, in logits, from which on a pair costs no hinge.
    pos_weight : float, optional
        Weight of a positive pair in the cross-entropy; greater than 0, None means 1.
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
    >>> round(adaptive_threshold_loss(z, theta, y, margin=2.0).item(), 4)
    0.2701
    """
    settings = {"margin_weight": margin_weight, "margin": margin, "pos_weight": pos_weight}
    _check(logits, thresholds, targets, reduction, **settings)
    distance = logits - thresholds
    loss = _cross_entropy(distance, targets, pos_weight, reduction)
    if not margin_weight:
        return loss
    return loss + margin_weight * _hinge(distance, targets, margin, reduction)


class _LossModule(nn.Module):
    """A loss as a module: it holds the settings of a function, as attributes, and calls it with them."""

    def __init__(self, function: Callable[..., torch.Tensor], **settings: Any):
        super().__init__()
        self._function, self._settings = function, tuple(settings)
        for name, value in settings.items():
            setattr(self, name, value)

    def forward(self, logits: torch.Tensor, thresholds: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Apply the function with the stored settings.

        Parameters
        ----------
        logits, thresholds, targets : torch.Tensor
            As in the function.

        Returns
        -------
        torch.Tensor
            The loss.
        """
        settings = {name: getattr(self, name) for name in self._settings}
        return self._function(logits, thresholds, targets, **settings)


class ThresholdBCELoss(_LossModule):
    """Module form of :func:`threshold_bce`.

    Parameters
    ----------
    pos_weight : float, optional
        Weight of a positive pair against a negative one; greater than 0, None means 1.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(ThresholdBCELoss(pos_weight=2.0)(z, theta, y).item(), 4)
    0.2836
    """

    def __init__(self, *, pos_weight: float | None = None, reduction: str = "mean"):
        _check_settings(reduction, pos_weight=pos_weight)
        super().__init__(threshold_bce, pos_weight=pos_weight, reduction=reduction)


class ThresholdMarginLoss(_LossModule):
    """Module form of :func:`threshold_margin`.

    Parameters
    ----------
    margin : float, default=0.1
        Distance from θ, in logits, from which on a pair costs nothing.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(ThresholdMarginLoss(margin=2.0)(z, theta, y).item(), 4)
    0.5
    """

    def __init__(self, *, margin: float = 0.1, reduction: str = "mean"):
        _check_settings(reduction, margin=margin)
        super().__init__(threshold_margin, margin=margin, reduction=reduction)


class AdaptiveThresholdLoss(_LossModule):
    """Module form of :func:`adaptive_threshold_loss`.

    Parameters
    ----------
    margin_weight : float, default=0.1
        Weight of the margin term; 0 switches it off.
    margin : float, default=0.1
        Distance from θ, in logits, from which on a pair costs no hinge.
    pos_weight : float, optional
        Weight of a positive pair in the cross-entropy; greater than 0, None means 1.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over all pairs.

    Raises
    ------
    ValueError
        If a setting is out of range; when called, as the function.

    Examples
    --------
    >>> z, theta, y = torch.tensor([[2.0, -1.0]]), torch.zeros(2), torch.tensor([[1.0, 0.0]])
    >>> round(AdaptiveThresholdLoss()(z, theta, y).item(), 4)
    0.2201
    """

    def __init__(
        self,
        *,
        margin_weight: float = 0.1,
        margin: float = 0.1,
        pos_weight: float | None = None,
        reduction: str = "mean",
    ):
        settings = {"margin_weight": margin_weight, "margin": margin, "pos_weight": pos_weight}
        _check_settings(reduction, **settings)
        super().__init__(adaptive_threshold_loss, **settings, reduction=reduction)


def _cross_entropy(distance, targets, pos_weight, reduction):
    """Take the cross-entropy of z − θ."""
    weight = None if pos_weight is None else distance.new_tensor(float(pos_weight))
    return F.binary_cross_entropy_with_logits(distance, targets, pos_weight=weight, reduction=reduction)


def _hinge(distance, targets, margin, reduction):
    """Take the hinge of z − θ."""
    return _reduced(F.relu(margin - (2 * targets - 1) * distance), reduction)


def _reduced(loss, reduction):
    """Take the mean, the sum, or nothing."""
    return loss if reduction == "none" else getattr(loss, reduction)()


def _check_settings(reduction, **settings):
    """Raise for settings that the formulas do not cover."""
    for name, value in settings.items():
        check_value(name, value, optional(number(above=0)) if name == "pos_weight" else number(least=0))
    check_value("reduction", reduction, one_of("mean", "sum", "none"))


def _check(logits, thresholds, targets, reduction, **settings):
    """Raise where broadcasting would hide a mistake, and for what the formulas do not cover."""
    _check_settings(reduction, **settings)
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits and targets differ in shape: {tuple(logits.shape)} against {tuple(targets.shape)}."
        )
    if not ((targets == 0) | (targets == 1)).all():
        raise ValueError("targets must hold only 0 and 1.")
    if not targets.is_floating_point():
        raise ValueError(f"targets must be of a floating type, as the logits; got {targets.dtype}.")
    shape = thresholds.shape
    if len(shape) > logits.ndim or any(
        a not in (1, b) for a, b in zip(shape[::-1], logits.shape[::-1], strict=False)
    ):
        raise ValueError(
            f"thresholds of shape {tuple(shape)} do not broadcast to the logits' {tuple(logits.shape)}."
        )
