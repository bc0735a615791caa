"""The paper's network with each loss, and with an output code in place of its last layer; each trained once.

Where notebook 04 trains the same network on the same rows, the two share one training.
"""

import numpy as np
import torch
from joblib import delayed
from torch import nn

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.trainings import (
    PAPER,
    PLAIN,
    TrainedMethod,
    neighbor_shares,
    network_parameters,
    train_and_score,
    train_network,
)
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.paper.network import MultiLabelNetwork
from adathresh.paper.output_code import OutputCode
from adathresh.paper.rival_losses import (
    AsymmetricLoss,
    DistributionBalancedLoss,
    FocalLoss,
    HardestNegativeLoss,
    SoftMacroF1Loss,
)
from adathresh.paper.training import ThresholdedNetwork

CROSS_ENTROPY, THE_PAPERS = "plain cross-entropy", "paper's method"
"""The losses that every other one is compared with."""

SWITCHES = {
    CROSS_ENTROPY: {**PLAIN, "pos_weight": 1.0},
    THE_PAPERS: PAPER,
    "same loss, θ = 0": {**PAPER, "fixed_threshold": 0.0},
}
"""The losses that the network's own switches make, under the names of notebook 03."""

RIVAL_LOSSES = {
    "focal": FocalLoss,
    "asymmetric": AsymmetricLoss,
    "soft macro-F1": SoftMacroF1Loss,
    "distribution-balanced": DistributionBalancedLoss,
    "hardest negatives": HardestNegativeLoss,
}
"""The other losses; the network is trained with them against θ = 0, as in their papers."""

GRID = {
    CROSS_ENTROPY: ("learning_rate", (1e-3, 1e-2)),
    THE_PAPERS: ("pos_weight", (3.0, 30.0)),
    "same loss, θ = 0": ("pos_weight", (3.0, 30.0)),
    "focal": ("gamma", (0.5, 1.0)),
    "asymmetric": ("gamma_neg", (1.0, 2.0)),
    "soft macro-F1": ("slope", (3.0, 10.0)),
    "distribution-balanced": ("bias_scale", (0.0, 0.2)),
    "hardest negatives": ("weight", (0.01, 0.1, 0.3)),
}
"""The main setting of each loss, and the values that the full profile tries beside its default."""

CODE_LENGTHS = (64, 256, 1_024, 2_048)
"""Numbers of bits of the output codes."""


class CodedNetwork(AdaptiveThresholdNetwork):
    """The paper's network whose outputs are the bits of an :class:`OutputCode` of the labels."""

    def __init__(self, code_length, **parameters):
        super().__init__(**parameters)
        self.code_length = code_length

    def _build(self, n_features, seed):
        """Make the network as it is, and put bits and their decoder in place of its outputs."""
        model = super()._build(n_features, seed)
        start = model.network.rest[-1].bias.detach()
        bits = MultiLabelNetwork(
            n_features,
            self.code_length,
            hidden_layers=self.hidden_layers,
            dropout=self.dropout,
            output_bias=0.0,
            generator=torch.Generator().manual_seed(seed),
        )
        decoder = OutputCode(len(start), self.code_length, seed=seed, output_bias=start)
        return ThresholdedNetwork(nn.Sequential(bits, decoder), model.fusion)


def code_lengths(n_labels):
    """Return the numbers of bits, by name, that are fewer than the labels and enough to tell them apart."""
    needed = (n_labels - 1).bit_length()
    return {f"{length:,} bits": length for length in CODE_LENGTHS if needed <= length < n_labels}


def chosen_settings(config, ds):
    """Choose each loss's main setting by the macro-F1 that the best epoch reaches on the validation rows.

    Returns by loss what differs from the default, such as ``{"gamma": 1.0}``. Only the full profile chooses,
    with the first seed; the quick one takes every loss as it is.
    """
    if config.profile != "full":
        return {name: {} for name in GRID}
    tried = {name: [{}, *({setting: value} for value in values)] for name, (setting, values) in GRID.items()}
    seed = config.random_state
    pairs = [(name, changes) for name, each in tried.items() for changes in each]
    runs = iter(_side_by_side(config, ds, pairs, seed=seed))
    reached = {name: [next(runs).history["macro_f1"].max() for _ in each] for name, each in tried.items()}
    return {name: each[int(np.argmax(reached[name]))] for name, each in tried.items()}


def train_all(config, ds, settings, *, seed):
    """Train the network with every loss, and with every output code under cross-entropy, side by side.

    ``settings`` says of each loss what differs from the default. Trained networks come by name: that of the
    loss, or of :func:`code_lengths`.
    """
    pairs = [*settings.items(), *((name, {}) for name in code_lengths(ds.train.Y.shape[1]))]
    return dict(zip([name for name, _ in pairs], _side_by_side(config, ds, pairs, seed=seed), strict=True))


def train_method(config, ds, name, changes, *, seed):
    """Train the network with one loss or output code, once; ``changes`` differ from the loss's default.

    The validation rows decide when to stop.
    """
    if name in SWITCHES:
        return train_network(config, ds, seed=seed, **{**SWITCHES[name], **changes})
    parameters = {**network_parameters(config), "fixed_threshold": 0.0, "use_knn": False}
    k = config.numbers.top_scores
    key = {"what": "rival network", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed}
    key |= {"k": k, "name": name, "changes": changes, "parameters": parameters}
    network = _network(ds, name, changes, random_state=seed, **parameters)
    return TrainedMethod.from_arrays(cached_arrays(key, lambda: train_and_score(ds, network, k)))


def _network(ds, name, changes, **parameters):
    """Make the network with one of the rival losses or output codes."""
    lengths = code_lengths(ds.train.Y.shape[1])
    if name in lengths:
        return CodedNetwork(lengths[name], margin_weight=0.0, **parameters)
    settings = dict(changes)
    if RIVAL_LOSSES[name] is DistributionBalancedLoss:
        settings |= {"label_counts": ds.train.Y.sum(axis=0), "n_samples": ds.train.Y.shape[0]}
    return AdaptiveThresholdNetwork(loss=RIVAL_LOSSES[name](**settings), **parameters)


def _side_by_side(config, ds, pairs, *, seed):
    """Train some names with their changes; every process finds the neighbour shares stored."""
    neighbor_shares(ds)
    train = delayed(train_method)
    return side_by_side(train(config, ds, name, changes, seed=seed) for name, changes in pairs)
