"""The paper's network, with a first layer that takes sparse rows as they are."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import ArrayLike
from torch import nn

from adathresh.utils.parameters import check_value, number

# From this many features on, gradients of the first layer hold only the rows of W that a batch touches. Below
# it a dense gradient with a fused optimiser step is faster (two cores, batches of 128 rows: 37 ms against
# 134 ms a step for 20,000 x 1,024 weights; 650 ms against 148 ms for 203,882 x 2,048).
SPARSE_GRADIENT_FROM = 2**16


class SparseRows(NamedTuple):
    """A batch of sparse rows, as ``embedding_bag`` takes them.

    Examples
    --------
    >>> SparseRows.from_csr(sp.csr_array([[0.0, 3.0], [2.0, 0.0]])).indices
    tensor([1, 0])
    """

    indices: torch.Tensor
    """Feature of each stored value, int64, shape (nnz,)."""
    offsets: torch.Tensor
    """Where each row starts in the other two, int64, shape (n_samples,)."""
    values: torch.Tensor
    """Stored values, shape (nnz,)."""

    @classmethod
    def from_csr(cls, X: sp.csr_array, device: str | torch.device = "cpu") -> "SparseRows":
        """Take the rows of a CSR matrix.

        Parameters
        ----------
        X : scipy.sparse CSR of shape (n_samples, n_features)
            The batch.
        device : str or torch.device, default="cpu"
            Where the tensors go.

        Returns
        -------
        SparseRows
            The same rows.

        Examples
        --------
        >>> SparseRows.from_csr(sp.csr_array([[0.0, 3.0], [2.0, 0.0]])).offsets
        tensor([0, 1])
        """
        arrays = (X.indices.astype(np.int64), X.indptr[:-1].astype(np.int64), X.data)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


class SparseLinear(nn.Module):
    """A linear layer on sparse rows, x W + b, that never builds a dense row.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    n_outputs : int
        Number of outputs.
    generator : torch.Generator, optional
        What the weights are drawn from; None means torch's global state.

    Examples
    --------
    >>> rows = SparseRows.from_csr(sp.eye_array(4, dtype="float32").tocsr())
    >>> SparseLinear(4, 2)(rows).shape
    torch.Size([4, 2])
    """

    def __init__(self, n_features: int, n_outputs: int, *, generator: torch.Generator | None = None):
        super().__init__()
        # Rows of text data hold some hundred of the features: scaling by the full fan-in, as nn.Linear does,
        # would start with activations near zero. L2-normalised rows make this the unit-variance scale.
        weight = torch.randn(n_features, n_outputs, generator=generator)
        self.weight = nn.Parameter(weight * (2 / n_outputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(n_outputs))
        self.sparse_gradient = n_features >= SPARSE_GRADIENT_FROM

    def forward(self, rows: SparseRows) -> torch.Tensor:
        """Multiply a batch by the weights.

        Parameters
        ----------
        rows : SparseRows
            The batch.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_outputs)
            Products x W + b.
        """
        product = F.embedding_bag(
            rows.indices,
            self.weight,
            rows.offsets,
            mode="sum",
            per_sample_weights=rows.values,
            sparse=self.sparse_gradient,
        )
        return product + self.bias


def sparse_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Find the weights of a model whose gradients hold only the rows that a batch touches.

    Parameters
    ----------
    model : torch.nn.Module
        The model.

    Returns
    -------
    dict of str to torch.nn.Parameter
        Those of the :class:`SparseLinear` layers that have very many features, by name.

    Examples
    --------
    >>> [*sparse_weights(nn.Sequential(SparseLinear(2**16, 1), nn.Linear(1, 1)))]
    ['0.weight']
    """
    return {
        f"{name}.weight".removeprefix("."): layer.weight
        for name, layer in model.named_modules()
        if isinstance(layer, SparseLinear) and layer.sparse_gradient
    }


class GeneratorDropout(nn.Dropout):
    """Dropout that can draw from a generator of its own, see :func:`drawing_from`.

    It takes what ``torch.nn.Dropout`` takes, and on the CPU drops the same units from the same seed.

    Examples
    --------
    >>> layer = GeneratorDropout(0.5)
    >>> with drawing_from(layer, torch.Generator().manual_seed(0)):
    ...     layer(torch.ones(4)).tolist()
    [0.0, 0.0, 2.0, 0.0]
    """

    _generator: torch.Generator | None = None
    _part: tuple[int, slice] | None = None

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Drop units in training.

        Parameters
        ----------
        input : torch.Tensor
            Units.

        Returns
        -------
        torch.Tensor
            The same, some of them 0 and the others scaled by 1 / (1 − p).
        """
        if self._generator is None or not self.training or not self.p:
            return super().forward(input)
        n_rows, part = self._part or (len(input), slice(None))
        kept = input.new_empty((n_rows, *input.shape[1:])).bernoulli_(1 - self.p, generator=self._generator)
        return input * kept[part].div_(1 - self.p)


@contextlib.contextmanager
def drawing_from(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let each :class:`GeneratorDropout` of a model draw from a generator, not from torch's global state.

    The global state is shared by all threads, so that trainings side by side would draw each other's numbers.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    generator : torch.Generator
        On the device of the model.

    Examples
    --------
    >>> with drawing_from(GeneratorDropout(), torch.Generator()):
    ...     pass
    """
    layers = [layer for layer in model.modules() if isinstance(layer, GeneratorDropout)]
    for layer in layers:
        layer._generator = generator
    try:
        yield
    finally:
        for layer in layers:
            layer._generator = layer._part = None


def draw_for_part(model: nn.Module, n_rows: int, part: slice) -> None:
    """Let each :class:`GeneratorDropout` of a model drop what it would drop of a part of a larger batch.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its next input is the part.
    n_rows : int
        Rows of the batch.
    part : slice
        Which of them the part has.

    Examples
    --------
    >>> layer = GeneratorDropout(0.5)
    >>> draw_for_part(layer, 4, slice(1, None, 2))
    >>> with drawing_from(layer, torch.Generator().manual_seed(0)):
    ...     layer(torch.ones(2)).tolist()
    [0.0, 0.0]
    """
    for layer in model.modules():
        if isinstance(layer, GeneratorDropout):
            layer._part = n_rows, part


_process = os.getpid()


def use_one_thread_after_fork() -> None:
    """Let torch use one thread in a process that was forked from one that used several.

    The threads of the parent are not there in the child, which would wait for them forever. A child that is
    started anew ("spawn", "forkserver", joblib) has threads of its own and keeps its number.

    Examples
    --------
    >>> use_one_thread_after_fork()
    """
    global _process
    if os.getpid() != _process:
        torch.set_num_threads(1)
        _process = os.getpid()


class MultiLabelNetwork(nn.Module):
    """The paper's multilayer perceptron: ReLU layers with dropout, one logit for each label.

    Source: arXiv:2505.03118 (three hidden layers of 2,048, dropout 0.3, output bias 0.5). Without hidden
    layers it is a linear model.

    Parameters
    ----------
    n_features : int
        Number of features.
    n_labels : int
        Number of labels.
    hidden_layers : sequence of int, default=(2048, 2048, 2048)
        Width of each hidden layer.
    dropout : float, default=0.3
        Share of hidden units dropped in training, in [0, 1).
    output_bias : float or array-like of shape (n_labels,), default=0.5
        Where the output bias starts.
    normalize_logits : bool, default=False
        Whether each row of logits is standardised to mean 0 and standard deviation 1 (unbiased, + 1e-8).
    generator : torch.Generator, optional
        What the weights are drawn from; None means torch's global state.

    Raises
    ------
    ValueError
        If a width is not a whole number of at least 1, dropout is out of range, or output_bias is NaN or
        infinite.

    Examples
    --------
    >>> network = MultiLabelNetwork(4, 2, hidden_layers=(8,))
    >>> network(SparseRows.from_csr(sp.eye_array(4, dtype="float32").tocsr())).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        hidden_layers: Sequence[int] = (2048, 2048, 2048),
        dropout: float = 0.3,
        output_bias: float | ArrayLike = 0.5,
        normalize_logits: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_value("dropout", dropout, number(least=0, below=1))
        output_bias = torch.as_tensor(output_bias, dtype=torch.get_default_dtype())
        if not torch.isfinite(output_bias).all():
            raise ValueError("output_bias must be finite.")
        check_widths(hidden_layers)
        widths = [*hidden_layers, n_labels]
        self.first = SparseLinear(n_features, widths[0], generator=generator)
        self.rest = nn.ModuleList(_linear(a, b, generator) for a, b in pairwise(widths))
        self.dropout = GeneratorDropout(dropout)
        self.normalize_logits = normalize_logits
        output: Any = self.rest[-1] if self.rest else self.first
        with torch.no_grad():
            output.bias.copy_(output_bias.expand(n_labels))
            if not self.rest:
                output.weight.zero_()

    def forward(self, rows: SparseRows) -> torch.Tensor:
        """Compute the logits of a batch.

        Parameters
        ----------
        rows : SparseRows
            The batch.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_labels)
            Logits z.
        """
        z = self.first(rows)
        for layer in self.rest:
            z = layer(self.dropout(F.relu(z)))
        if self.normalize_logits:
            z = (z - z.mean(dim=1, keepdim=True)) / (z.std(dim=1, keepdim=True) + 1e-8)
        return z


def check_widths(hidden_layers: Sequence[int]) -> None:
    """Raise where hidden layers are not given as whole numbers of at least 1.

    Parameters
    ----------
    hidden_layers : sequence of int
        Width of each hidden layer; there may be none.

    Raises
    ------
    ValueError
        If one of them is not.

    Examples
    --------
    >>> check_widths((2048, float("nan")))
    Traceback (most recent call last):
    ValueError: hidden_layers must hold positive widths; got (2048, nan). Give whole numbers, ...
    """
    sequence = isinstance(hidden_layers, Sequence | np.ndarray) and not isinstance(hidden_layers, str)
    if not sequence or not all(isinstance(width, int | np.integer) and width >= 1 for width in hidden_layers):
        raise ValueError(
            f"hidden_layers must hold positive widths; got {hidden_layers!r}. "
            "Give whole numbers, as in (512, 512), or () for a linear model."
        )


def _linear(n_inputs, n_outputs, generator):
    """Make a linear layer as torch does, with weights drawn from a generator."""
    if generator is None:
        return nn.Linear(n_inputs, n_outputs)
    layer = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs)
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(n_inputs)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
