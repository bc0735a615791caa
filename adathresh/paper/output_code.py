"""An output layer of a few code bits in place of one output for each label."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from adathresh.utils.parameters import check_value, whole


class OutputCode(nn.Module):
    """Random error-correcting output code: a network gives c logits of bits, soft decoding scores all labels.

    Every label l has a random code word C_l of c entries ±1, all different. Bits of logits b are decoded by
    correlation,

        z_l = Σ_k C_lk b_k / √c + bias_l,

    which is, up to a factor and a term that is the same for all labels, the log-likelihood of C_l,
    Σ_k log σ(C_lk b_k). The layer before has c outputs in place of one for each label, and is trained through
    the decoder; the code stays as drawn. Output codes are of Dietterich & Bakiri (1995, arXiv:cs/9501101),
    soft bits for several labels a row of Ferng & Lin (2013, doi 10.1109/TNNLS.2013.2269615); as a short
    output layer of a network they follow the idea of arXiv:2510.00667.

    Parameters
    ----------
    n_labels : int
        Number L of labels.
    code_length : int
        Number c of bits; at least log₂ L, for all code words to differ. Rows with several labels need more:
        each label adds about 1/√c of its own score, by chance, to those of others.
    seed : int, default=0
        Of the code.
    output_bias : float or array-like of shape (n_labels,), default=0.0
        Where the bias starts, such as the log-odds of each label's frequency.

    Attributes
    ----------
    code : torch.Tensor of shape (n_labels, code_length)
        The code words, ±1; saved with the weights.
    bias : torch.nn.Parameter of shape (n_labels,)
        Learnable.

    Raises
    ------
    ValueError
        If n_labels or code_length is not a whole number of at least 1, the code is too short for the labels
        to differ, seed is no whole number of at least 0, or output_bias is NaN or infinite.

    Examples
    --------
    >>> decoder = OutputCode(1_000, 64)
    >>> decoder(decoder.code[[7, 700]]).argmax(dim=1)  # bits without noise
    tensor([  7, 700])

    As the last layer of a network whose own outputs are bits:

    >>> from adathresh import ThresholdFusion
    >>> from adathresh.paper.network import MultiLabelNetwork
    >>> from adathresh.paper.training import ThresholdedNetwork
    >>> bits = MultiLabelNetwork(50, 64, hidden_layers=(16,), output_bias=0.0)
    >>> model = ThresholdedNetwork(nn.Sequential(bits, decoder), ThresholdFusion([1.0] * 1_000))
    """

    code: torch.Tensor

    def __init__(
        self, n_labels: int, code_length: int, *, seed: int = 0, output_bias: float | ArrayLike = 0.0
    ):
        super().__init__()
        check_value("n_labels", n_labels, whole(1))
        check_value("code_length", code_length, whole(1))
        check_value("seed", seed, whole(0))
        needed = int(n_labels - 1).bit_length()
        if code_length < needed:
            raise ValueError(
                f"code_length must be at least {needed} for the code words of {n_labels} labels to differ; "
                f"got {code_length}."
            )
        bias = torch.as_tensor(output_bias, dtype=torch.get_default_dtype())
        if not torch.isfinite(bias).all():
            raise ValueError("output_bias must be finite.")
        code = torch.from_numpy(_random_words(int(n_labels), int(code_length), seed))
        self.register_buffer("code", code.to(bias.dtype))
        self.bias = nn.Parameter(bias.expand(n_labels).clone())

    def forward(self, bits: torch.Tensor) -> torch.Tensor:
        """Score all labels by soft decoding.

        Parameters
        ----------
        bits : torch.Tensor of shape (n_samples, code_length)
            Logits of the bits; positive means +1.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_labels)
            Logits z of the labels.

        Raises
        ------
        ValueError
            If there is another number of bits than the code has.
        """
        if bits.shape[-1] != self.code.shape[1]:
            raise ValueError(f"bits holds {bits.shape[-1]} bits, but the code {self.code.shape[1]}.")
        return bits @ self.code.T / self.code.shape[1] ** 0.5 + self.bias


def _random_words(n_labels, code_length, seed):
    """Draw different words of ±1: the first bits, up to 62, are different numbers, and the others free."""
    rng = np.random.default_rng(seed)
    n_numbered = min(code_length, 62)
    numbers = rng.choice(2**n_numbered, size=n_labels, replace=False)
    numbered = numbers[:, None] >> np.arange(n_numbered) & 1
    free = rng.integers(2, size=(n_labels, code_length - n_numbered))
    return 2 * np.hstack([numbered, free]) - 1
