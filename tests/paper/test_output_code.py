"""Output codes: all words differ, decoding is right without noise and with a little, and can be trained."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from adathresh.paper.losses import ThresholdBCELoss
from adathresh.paper.network import MultiLabelNetwork
from adathresh.paper.output_code import OutputCode
from adathresh.paper.threshold_layer import ThresholdFusion
from adathresh.paper.training import Rows, ThresholdedNetwork, TrainingPlan, train

# every word of a length, the shortest code for its labels, and more bits than a number has
SIZES = [(1, 1), (2, 1), (3, 2), (256, 8), (1_000, 10), (1_000, 40), (500, 62), (500, 63), (300, 200)]


@pytest.mark.parametrize(("n_labels", "code_length"), SIZES)
def test_all_labels_decode_right_without_noise(n_labels, code_length):
    decoder = OutputCode(n_labels, code_length, seed=3)
    assert decoder.code.shape == (n_labels, code_length)
    assert set(decoder.code.unique().tolist()) <= {-1.0, 1.0}
    assert len(decoder.code.unique(dim=0)) == n_labels
    z = decoder(0.3 * decoder.code)
    assert torch.equal(z.argmax(dim=1), torch.arange(n_labels))
    own, others = z.diagonal(), z.masked_fill(torch.eye(n_labels, dtype=torch.bool), -torch.inf)
    assert (own > others.amax(dim=1)).all()


def test_decoding_is_the_naive_sum():
    decoder = OutputCode(5, 7, seed=1, output_bias=[0.5, -1.0, 0.0, 2.0, 3.0])
    bits = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    bias = [0.5, -1.0, 0.0, 2.0, 3.0]
    naive = [
        [
            sum(int(decoder.code[label, k]) * row[k] for k in range(7)) / math.sqrt(7) + bias[label]
            for label in range(5)
        ]
        for row in bits.tolist()
    ]
    torch.testing.assert_close(decoder(bits), torch.tensor(naive))


def test_differences_of_scores_are_those_of_log_likelihoods():
    decoder = OutputCode(20, 9)
    bits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    likelihood = nn.functional.logsigmoid(decoder.code * bits[:, None]).sum(dim=2)
    z = decoder(bits) * math.sqrt(9) / 2
    torch.testing.assert_close(z - z[:, :1], likelihood - likelihood[:, :1])


def test_wrong_bits_fewer_than_half_the_least_distance_are_corrected():
    decoder = OutputCode(30, 48, seed=2)
    distances = (48 - decoder.code @ decoder.code.T) / 2
    least = int(distances[~torch.eye(30, dtype=torch.bool)].min())
    assert least >= 5
    generator = torch.Generator().manual_seed(0)
    bits = decoder.code.clone()
    for row in bits:
        row[torch.randperm(48, generator=generator)[: (least - 1) // 2]] *= -1
    assert torch.equal(decoder(bits).argmax(dim=1), torch.arange(30))


def test_several_labels_decode_right_where_the_code_is_long():
    decoder = OutputCode(500, 256)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        labels = torch.randperm(500, generator=generator)[:4]
        found = decoder(decoder.code[labels].sum(dim=0, keepdim=True)).topk(4).indices
        assert set(found[0].tolist()) == set(labels.tolist())


def test_bits_are_balanced_and_do_not_depend_on_each_other():
    code = OutputCode(2_000, 80).code
    assert code.mean(dim=0).abs().max() < 5 / math.sqrt(2_000)
    correlation = (code.T @ code / 2_000).fill_diagonal_(0)
    assert correlation.abs().max() < 5 / math.sqrt(2_000)


def test_the_seed_decides():
    one, again, other = (OutputCode(50, 30, seed=seed).code for seed in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_only_the_bias_is_learnt_and_the_code_is_kept_with_the_weights():
    decoder, other = OutputCode(50, 30, seed=1), OutputCode(50, 30, seed=2)
    assert [name for name, _ in decoder.named_parameters()] == ["bias"]
    other.load_state_dict(decoder.state_dict())
    assert torch.equal(other.code, decoder.code)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1025, 10), "code_length must be at least 11 for the code words of 1025 labels to differ; got 10"),
        ((2, 0), "code_length must be a whole number, at least 1"),
        ((3, 1), "code_length must be at least 2"),
        ((0, 4), "n_labels must be a whole number, at least 1"),
        ((4, 2.5), "code_length must be a whole number"),
    ],
)
def test_refused_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        OutputCode(*arguments)


def test_refused_settings_and_bits():
    with pytest.raises(ValueError, match="seed must be"):
        OutputCode(4, 4, seed=-1)
    with pytest.raises(ValueError, match="output_bias must be finite"):
        OutputCode(4, 4, output_bias=float("nan"))
    with pytest.raises(ValueError, match="bits holds 5 bits, but the code 4"):
        OutputCode(4, 4)(torch.zeros(2, 5))


def test_a_network_is_trained_through_the_code():
    rng = np.random.default_rng(0)
    Y = sp.csr_array((rng.random((100, 40)) < 0.05).astype(np.float32))
    bits = MultiLabelNetwork(40, 16, hidden_layers=(), output_bias=0.0)
    model = ThresholdedNetwork(
        nn.Sequential(bits, OutputCode(40, 16, output_bias=-3.0)), ThresholdFusion([1.0] * 40)
    )
    code = model.network[1].code.clone()
    rows = Rows(X=Y, Y=Y, local=0 * Y)
    plan = TrainingPlan(max_epochs=20, batch_size=50, learning_rate=0.1, patience=20)
    history = train(model, ThresholdBCELoss(), rows, rows, plan=plan)
    assert history[-1]["micro_f1"] > 0.9
    assert torch.equal(model.network[1].code, code)
