"""The room of the base models: its names, and what importing them loads."""

import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator, clone

from adathresh import models

STRENGTHS = {
    "LinearOneVsRest": "C",
    "NeighborShares": "n_neighbors",
    "MLkNN": "n_neighbors",
    "LabelTree": "C",
    "ExtraTrees": "min_samples_leaf",
    "LabelPrototypes": "text_weight",
    "LogisticHead": "learning_rate",
    "FineTunedTransformer": "learning_rate",
    "LabelQueryTransformer": "learning_rate",
}
WITH_TORCH = {
    "FineTunedTransformer",
    "FrozenTransformer",
    "LabelQueryTransformer",
    "LogisticHead",
    "SentenceEmbedder",
}


def test_every_name_is_a_class_of_the_room():
    for name in models.__all__:
        assert issubclass(getattr(models, name), BaseEstimator)
        assert getattr(models, name).__module__.startswith("adathresh.models.")
        assert name in models.__doc__
        assert name in dir(models)
    with pytest.raises(AttributeError, match=r"'adathresh\.models' has no attribute 'Linear'"):
        _ = models.Linear


@pytest.mark.parametrize(("name", "strength"), STRENGTHS.items())
def test_the_main_strength_is_a_parameter_that_can_be_chosen(name, strength):
    model = getattr(models, name)()
    default = model.get_params()[strength]
    assert clone(model).set_params(**{strength: 3 * default}).get_params()[strength] == 3 * default


@pytest.mark.slow
def test_torch_is_loaded_by_those_that_need_it_only():
    program = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "matplotlib"):
            raise ModuleNotFoundError(name=name.split(".")[0])

sys.meta_path.insert(0, Missing())
from adathresh import models
for name in models.__all__:
    try:
        getattr(models, name)
    except ImportError as error:
        print(name, error)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    install = 'pip install "adathresh[paper]"'
    assert found.stdout.splitlines() == [
        f"{name} {name} needs torch: {install}" for name in sorted(WITH_TORCH)
    ]


def test_the_old_name_still_works():
    from adathresh.baselines.words import BagOfWords

    assert BagOfWords is models.BagOfWords
