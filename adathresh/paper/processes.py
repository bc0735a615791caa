"""Processes that train one network together, each on its part of every batch."""

from typing import NamedTuple, Self

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from adathresh.paper.network import sparse_weights


class Part(NamedTuple):
    """What one process computes of a batch.

    Examples
    --------
    >>> Part(slice(0, None, 2), 1.0).places
    slice(0, None, 2)
    """

    places: slice
    """Which rows of the batch, at least one."""
    weight: float
    """What its mean loss counts, so that the mean over the processes is the mean over the batch."""


class Processes(NamedTuple):
    """The processes of torch's default process group, or this one alone where there is none.

    Examples
    --------
    >>> Processes.started()
    Processes(rank=0, size=1)
    """

    rank: int
    """Number of this process, from 0."""
    size: int
    """How many there are."""

    @classmethod
    def started(cls) -> Self:
        """Find the processes.

        Returns
        -------
        Processes
            Those of ``torch.distributed.init_process_group``, which ``torchrun`` prepares.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return cls(0, 1)
        return cls(dist.get_rank(), dist.get_world_size())

    def together(self, model: nn.Module) -> nn.Module:
        """Return what computes a model's outputs so that gradients become those of all processes.

        Parameters
        ----------
        model : torch.nn.Module
            The model, the same in every process.

        Returns
        -------
        torch.nn.Module
            The model itself, or ``DistributedDataParallel`` around it, which averages dense gradients.
        """
        if self.size == 1:
            return model
        # it knows sparse gradients of torch's own embeddings only
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, [*sparse_weights(model)])
        return DistributedDataParallel(model)

    def average_sparse_gradients(self, model: nn.Module) -> None:
        """Average the sparse gradients of a model over the processes.

        Parameters
        ----------
        model : torch.nn.Module
            The model, after ``backward``.
        """
        for weight in sparse_weights(model).values() if self.size > 1 else ():
            if weight.grad is not None:
                weight.grad = weight.grad.coalesce()
                dist.all_reduce(weight.grad)
                weight.grad /= self.size

    def part_of(self, n_rows: int) -> Part:
        """Return this process's part of a batch: every size-th row.

        Parameters
        ----------
        n_rows : int
            Rows of the batch, at least 1.

        Returns
        -------
        Part
            Where there are fewer rows than processes, the others take the first one, with the weight 0.

        Examples
        --------
        >>> Processes(1, 2).part_of(3)
        Part(places=slice(1, None, 2), weight=0.6666666666666666)
        """
        n_own = len(range(self.rank, n_rows, self.size))
        places = slice(self.rank, None, self.size) if n_own else slice(0, 1)
        return Part(places, n_own * self.size / n_rows)

    def mean(self, value: torch.Tensor) -> float:
        """Average a number over the processes.

        Parameters
        ----------
        value : torch.Tensor of shape ()
            That of this process.

        Returns
        -------
        float
            The mean, the same in every process.

        Examples
        --------
        >>> Processes(0, 1).mean(torch.tensor(0.5))
        0.5
        """
        if self.size == 1:
            return value.item()
        total = value.detach().clone()
        dist.all_reduce(total)
        return total.item() / self.size

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()
