"""Adam for a matrix of which a step touches few rows."""

from typing import Any

import torch
from torch.optim import SparseAdam

# Rows that are moved together: their moments stay in the processor's cache.
_ROWS = 256


class RowAdam(SparseAdam):
    """``torch.optim.SparseAdam``, some rows of a gradient after the others.

    All rows at once take a copy of the size of the gradient for each of the formula's terms, which at a
    hundred thousand features are most of a training step: memory that is given back at once and asked for
    again. Parameters, state and results are those of the original.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(3, 2))
    >>> weight.grad = torch.sparse_coo_tensor([[1]], [[1.0, -1.0]], (3, 2))
    >>> _ = RowAdam([weight], lr=0.1).step()
    >>> weight.detach().round(decimals=3)[1].tolist() == weight.new_tensor([-0.1, 0.1]).tolist()
    True
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step.

        Parameters
        ----------
        closure : None
            Not used: the gradients must be there.

        Raises
        ------
        ValueError
            If a closure is given, or a gradient is not sparse.
        """
        if closure is not None:
            raise ValueError("closure must be None: RowAdam takes the gradients that are there.")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _move(weight, self.state[weight], group)


def _move(weight, state, group):
    """Move the rows that a gradient touches."""
    if not weight.grad.is_sparse:
        raise ValueError("RowAdam takes sparse gradients only.")
    if not state:
        state["step"] = 0
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    state["step"] += 1
    gradient = weight.grad.coalesce()
    touched, values = gradient.indices()[0], gradient.values()
    if group["maximize"]:
        values = -values
    first, second = group["betas"]
    size = group["lr"] * (1 - second ** state["step"]) ** 0.5 / (1 - first ** state["step"])
    n_rows = len(touched) if weight.is_cuda else _ROWS
    for rows, g in zip(touched.split(n_rows or 1), values.split(n_rows or 1), strict=True):
        mean = state["exp_avg"][rows].lerp_(g, 1 - first)
        square = state["exp_avg_sq"][rows].mul_(second).addcmul_(g, g, value=1 - second)
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        weight.index_add_(0, rows, mean.div_(square.sqrt_().add_(group["eps"])), alpha=-size)
