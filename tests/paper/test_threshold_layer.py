"""The threshold formula by hand, its switches, gradients and errors."""

import numpy as np
import pytest
import torch

from adathresh import ThresholdFusion

IDF = [0.5, 2.0, 3.0]
LOCAL = torch.tensor([[0.0, 0.25, 1.0], [0.5, 0.0, 0.1]], dtype=torch.float64)
ALPHA, BETA, BIAS, MIX = [1.0, -2.0, 0.5], [3.0, 1.0, -4.0], [0.1, 0.2, 0.3], 1.2
LAM = 1 / (1 + np.exp(-MIX))


def make_fusion(**options):
    """A fusion in double precision with parameters that are not their starting values."""
    fusion = ThresholdFusion(IDF, **options).double()
    values = {"alpha": ALPHA, "beta": BETA, "bias": BIAS, "mix": MIX}
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            parameter.copy_(torch.tensor(values[name]))
    return fusion


RARITY = LAM * np.array(ALPHA) * IDF
NEIGHBORS = (1 - LAM) * np.array(BETA) * LOCAL.numpy()


@pytest.mark.parametrize(
    ("options", "parameters", "theta"),
    [
        ({}, {"alpha", "beta", "mix", "bias"}, RARITY + NEIGHBORS + BIAS),
        ({"use_idf": False}, {"beta", "mix", "bias"}, NEIGHBORS + BIAS),
        ({"use_knn": False}, {"alpha", "mix", "bias"}, np.tile(RARITY + BIAS, (2, 1))),
        ({"use_bias": False}, {"alpha", "beta", "mix"}, RARITY + NEIGHBORS),
        ({"use_idf": False, "use_knn": False}, {"bias"}, np.tile(BIAS, (2, 1))),
        ({"use_idf": False, "use_knn": False, "use_bias": False}, set(), np.zeros((2, 3))),
        ({"fixed_threshold": 0.5}, set(), np.full((2, 3), 0.5)),
        ({"fixed_threshold": 0.0}, set(), np.zeros((2, 3))),
        ({"fixed_threshold": -1.5, "init_std": 1.0, "use_idf": True}, set(), np.full((2, 3), -1.5)),
    ],
)
def test_formula_and_parameters_of_every_switch(options, parameters, theta):
    fusion = make_fusion(**options)
    assert {name for name, _ in fusion.named_parameters()} == parameters
    np.testing.assert_allclose(fusion(LOCAL).detach(), theta, atol=1e-6)
    assert fusion(LOCAL).shape == LOCAL.shape
    terms = fusion.terms(LOCAL)
    assert list(terms) == ["rarity", "neighbors", "bias"]
    torch.testing.assert_close(sum(terms.values()).expand(2, 3), fusion(LOCAL))


def test_terms_by_hand():
    terms = make_fusion().terms(LOCAL)
    np.testing.assert_allclose(terms["rarity"].detach(), RARITY, rtol=1e-6)
    np.testing.assert_allclose(terms["neighbors"].detach(), NEIGHBORS, rtol=1e-6)
    np.testing.assert_allclose(terms["bias"].detach(), BIAS, rtol=1e-6)


def test_training_starts_at_zero_and_an_even_mix():
    fusion = ThresholdFusion(IDF)
    assert fusion(LOCAL.float()).eq(0).all()
    assert fusion.lam.item() == 0.5


def test_initial_spread():
    torch.manual_seed(0)
    fusion = ThresholdFusion(np.ones(20_000), init_std=2.0)
    for parameter in (fusion.alpha, fusion.beta):
        assert parameter.std().item() == pytest.approx(2, rel=0.05)
        assert parameter.mean().item() == pytest.approx(0, abs=0.1)
    assert not torch.equal(fusion.alpha, fusion.beta)


@pytest.mark.parametrize("options", [{}, {"use_idf": False}, {"use_knn": False}, {"use_bias": False}])
def test_gradients(options):
    fusion = make_fusion(**options)
    names, values = zip(*fusion.named_parameters(), strict=True)

    def theta(local, *parameters):
        return torch.func.functional_call(fusion, dict(zip(names, parameters, strict=True)), (local,))

    inputs = [v.detach().clone().requires_grad_() for v in (LOCAL, *values)]
    assert torch.autograd.gradcheck(theta, inputs)


def test_the_rarity_is_saved_but_not_learned():
    fusion = make_fusion()
    assert fusion.state_dict()["idf"].tolist() == IDF
    assert "idf" not in dict(fusion.named_parameters())


@pytest.mark.parametrize("name", ["bias", "alpha", "beta"])
def test_a_raised_threshold_never_adds_a_label(name):
    fusion = make_fusion()
    z = fusion(LOCAL).detach() + torch.tensor([[0.1, 0.1, -0.1], [0.1, -0.1, 0.1]])
    before = z > fusion(LOCAL)
    with torch.no_grad():  # IDF and shares are not negative here, so θ rises with each parameter
        getattr(fusion, name).add_(5)
    after = z > fusion(LOCAL)
    assert not (after & ~before).any()
    assert (before & ~after).any()


@pytest.mark.parametrize("idf", [[[1.0, 2.0]], 1.0, [np.nan, 1.0], [np.inf, 1.0]])
def test_bad_idf(idf):
    with pytest.raises(ValueError, match="idf must be a one-dimensional array of finite numbers"):
        ThresholdFusion(idf)


def test_refused():
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"init_std must be a finite number, at least 0; got {value}"):
            ThresholdFusion(IDF, init_std=value)
    with pytest.raises(ValueError, match="fixed_threshold must be a finite number, or None; got nan"):
        ThresholdFusion(IDF, fixed_threshold=float("nan"))
    for method in (ThresholdFusion(IDF), ThresholdFusion(IDF).terms):
        with pytest.raises(ValueError, match="local has 2 labels but the fusion has 3"):
            method(torch.zeros(4, 2))


def test_weights_are_drawn_from_a_generator_where_there_is_one():
    torch.manual_seed(5)
    expected = ThresholdFusion([0.5, 3.0], init_std=1.0)
    found = ThresholdFusion([0.5, 3.0], init_std=1.0, generator=torch.Generator().manual_seed(5))
    assert torch.equal(found.alpha, expected.alpha)
    assert torch.equal(found.beta, expected.beta)
