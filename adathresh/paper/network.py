"""The paper's network, with a first layer that takes sparse rows as they are."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import ArrayLike
from torch import nn

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

    Examples
    --------
    >>> rows = SparseRows.from_csr(sp.eye_array(4, dtype="float32").tocsr())
    >>> SparseLinear(4, 2)(rows).shape
    torch.Size([4, 2])
    """

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__()
        # Rows of text data hold some hundred of the features: scaling by the full fan-in, as nn.Linear does,
        # would start with activations near zero. L2-normalised rows make this the unit-variance scale.
        self.weight = nn.Parameter(torch.randn(n_features, n_outputs) * (2 / n_outputs) ** 0.5)
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

    Raises
    ------
    ValueError
        If dropout is out of range, or output_bias is NaN or infinite.

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
    ):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1); got {dropout!r}.")
        output_bias = torch.as_tensor(output_bias, dtype=torch.get_default_dtype())
        if not torch.isfinite(output_bias).all():
            raise ValueError("output_bias must be finite.")
        widths = [*hidden_layers, n_labels]
        self.first = SparseLinear(n_features, widths[0])
        self.rest = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(dropout)
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
