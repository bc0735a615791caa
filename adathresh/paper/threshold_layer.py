"""The fusion of the global and the local signal into thresholds: the paper's formula as a torch module."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from adathresh.utils.parameters import check_value, flag, number, optional


class ThresholdFusion(nn.Module):
    """Learnable thresholds θ_l(x) = λ·α_l·IDF_l + (1−λ)·β_l·KNN_l(x) + b_l.

    Source: arXiv:2505.03118, §3. λ is kept in (0, 1) as the sigmoid of a free parameter and starts at 0.5.
    With the default ``init_std=0`` the module starts at θ = 0, so that training starts as plain binary
    cross-entropy and has to earn every departure; the released code draws α and β from N(0, 1).

    Parameters
    ----------
    idf : array-like of shape (n_labels,)
        Rarity of each label, as :class:`adathresh.LabelIDF` gives it.
    use_idf, use_knn, use_bias : bool, default=True
        Whether the rarity term, the neighbour term and b_l take part.
    fixed_threshold : float, optional
        One constant θ, in logits, in place of everything learnable.
    init_std : float, default=0.0
        Standard deviation of the normal distribution that α and β start from.
    generator : torch.Generator, optional
        What α and β are drawn from; None means torch's global state.

    Raises
    ------
    ValueError
        If idf is not one-dimensional and finite, init_std is negative, or a number is NaN or infinite.

    Examples
    --------
    >>> fusion = ThresholdFusion([0.5, 3.0])
    >>> fusion(torch.zeros(4, 2)).shape
    torch.Size([4, 2])
    """

    idf: torch.Tensor

    def __init__(
        self,
        idf: ArrayLike,
        *,
        use_idf: bool = True,
        use_knn: bool = True,
        use_bias: bool = True,
        fixed_threshold: float | None = None,
        init_std: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        idf = torch.as_tensor(np.asarray(idf), dtype=torch.get_default_dtype())
        if idf.ndim != 1 or not torch.isfinite(idf).all():
            raise ValueError("idf must be a one-dimensional array of finite numbers, one for each label.")
        for name, value in (("use_idf", use_idf), ("use_knn", use_knn), ("use_bias", use_bias)):
            check_value(name, value, flag())
        check_value("init_std", init_std, number(least=0))
        check_value("fixed_threshold", fixed_threshold, optional(number()))
        self.fixed_threshold = fixed_threshold
        learnable = fixed_threshold is None
        self.use_idf, self.use_knn = learnable and use_idf, learnable and use_knn
        self.use_bias = learnable and use_bias
        self.register_buffer("idf", idf)
        if self.use_idf:
            self.alpha = nn.Parameter(init_std * torch.randn(len(idf), generator=generator))
        if self.use_knn:
            self.beta = nn.Parameter(init_std * torch.randn(len(idf), generator=generator))
        if self.use_idf or self.use_knn:
            self.mix = nn.Parameter(torch.zeros(()))
        if self.use_bias:
            self.bias = nn.Parameter(torch.zeros(len(idf)))

    @property
    def lam(self) -> torch.Tensor:
        """Weight λ of the global against the local signal.

        Returns
        -------
        torch.Tensor
            A scalar in (0, 1).

        Examples
        --------
        >>> ThresholdFusion([0.5, 3.0]).lam.item()
        0.5
        """
        return torch.sigmoid(self.mix)

    def terms(self, local: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the terms whose sum is θ.

        Parameters
        ----------
        local : torch.Tensor of shape (n_samples, n_labels)
            Neighbour shares KNN_l(x) in [0, 1].

        Returns
        -------
        dict of str to torch.Tensor
            "rarity" (n_labels,), "neighbors" (n_samples, n_labels) and "bias" (n_labels,); 0 where switched
            off.

        Raises
        ------
        ValueError
            If local has another number of labels than idf.

        Examples
        --------
        >>> list(ThresholdFusion([0.5, 3.0]).terms(torch.zeros(4, 2)))
        ['rarity', 'neighbors', 'bias']
        """
        if local.shape[-1] != len(self.idf):
            raise ValueError(f"local has {local.shape[-1]} labels but the fusion has {len(self.idf)}.")
        zero = self.idf.new_zeros(())
        return {
            "rarity": self.lam * self.alpha * self.idf if self.use_idf else zero,
            "neighbors": (1 - self.lam) * self.beta * local if self.use_knn else torch.zeros_like(local),
            "bias": self.bias if self.use_bias else zero + (self.fixed_threshold or 0.0),
        }

    def forward(self, local: torch.Tensor) -> torch.Tensor:
        """Return the thresholds of a batch.

        Parameters
        ----------
        local : torch.Tensor of shape (n_samples, n_labels)
            Neighbour shares KNN_l(x) in [0, 1].

        Returns
        -------
        torch.Tensor of shape (n_samples, n_labels)
            Thresholds θ_l(x), in logits.

        Raises
        ------
        ValueError
            If local has another number of labels than idf.
        """
        terms = self.terms(local)
        return terms["rarity"] + terms["neighbors"] + terms["bias"]
