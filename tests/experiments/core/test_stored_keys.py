"""The key of every stored result changes with everything that a data set consists of, one after the other."""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers import replaced

from adathresh import LabelKnowledge, experiments
from adathresh.experiments import (
    nb09_rule_ablations,
    nb12_automation,
    nb15_self_training,
    nb16_label_queries,
)
from adathresh.experiments.core import (
    base_models,
    fold_scores,
    known_tokens,
    other_signals,
    protocol_runs,
    rules,
    trainings,
)
from adathresh.experiments.core.rules import Choice
from adathresh.experiments.nb10_losses import trainings as losses
from adathresh.experiments.nb11_noise import study as noise_study
from adathresh.experiments.nb11_noise import windows
from adathresh.experiments.nb11_noise.labels import Noise
from adathresh.experiments.nb13_groups import evaluation as groups_evaluation
from adathresh.experiments.nb13_groups import heads as groups_heads
from adathresh.experiments.nb13_groups import knowledge as groups_knowledge
from adathresh.experiments.nb14_blocks import layers, scoring, views

pytestmark = pytest.mark.usefixtures("tiny_profile")

MODULES = (
    base_models,
    fold_scores,
    known_tokens,
    other_signals,
    rules,
    trainings,
    protocol_runs,
    nb09_rule_ablations,
    losses,
    noise_study,
    windows,
    nb12_automation,
    groups_evaluation,
    groups_heads,
    groups_knowledge,
    layers,
    scoring,
    nb15_self_training,
    nb16_label_queries,
)

STORED = {
    "strength": lambda config, ds: base_models.validation_macro_f1(config, ds, "linear", 1.0),
    "fold": lambda config, ds: fold_scores.fold_scores(config, ds, "linear, titles", 0, seed=0),
    "shares": lambda config, ds: other_signals.other_signals(ds, seed=0),
    "label texts": lambda config, ds: other_signals.other_signals(ds, seed=0),
    "rules": lambda config, ds: rules._rival_predictions(config, ds, "linear", "main", seed=0),
    "choice": lambda config, ds: rules.choice_prediction(config, ds, Choice(("linear",), ()), seed=0),
    "shares of the training rows": lambda config, ds: trainings.neighbor_shares(ds),
    "network": lambda config, ds: trainings.train_network(config, ds, seed=0),
    "rule ablation": lambda config, ds: nb09_rule_ablations._refitted_predictions(
        config, ds, "no rarity", seed=0
    ),
    "rival network": lambda config, ds: losses.train_method(config, ds, "focal", {}, seed=0),
    "noise": lambda config, ds: noise_study._rules_under(config, ds, Noise("clean", 0.0), seed=0),
    "windows": lambda config, ds: windows._fold_scores(config, ds, 0, seed=0),
    "rules on windows": lambda config, ds: windows._predict(config, ds, windows.WHOLE, seed=0),
    "automation": lambda config, ds: nb12_automation._decided(config, ds, "linear", seed=0),
    "training groups": lambda config, ds: groups_evaluation.sets_from_share(
        config, ds, share="all groups", seed=0, draw=0
    ),
    "group head": lambda config, ds: groups_heads.with_head_scores(config, ds, seed=0),
    "group knowledge": lambda config, ds: groups_knowledge.sets_with_knowledge(config, ds, seed=0),
    "token states": lambda config, ds: known_tokens.known_tokens(ds, 8),
    "layers": lambda config, ds: layers.layer_vectors(config, ds, views.LAYERS),
    "block weights": lambda config, ds: scoring.chosen_weights(config, ds, "both blocks", seed=0),
    "blocks": lambda config, ds: scoring.block_scores(config, ds, "linear", scoring.EQUAL, 0, seed=0),
    "rule on blocks": lambda config, ds: scoring.predictions_of(config, ds, "linear", scoring.FUSED, seed=0),
    "self-training": lambda config, ds: nb15_self_training._stage_scores(
        config, ds, "guaranteed 0.9", 0, seed=0
    ),
    "self-trained rule": lambda config, ds: nb15_self_training._predict(config, ds, "guaranteed 0.9", 0, 0),
    "label queries": lambda config, ds: nb16_label_queries._trained(
        config, ds, "label queries", {"max_epochs": 1}, seed=0
    ),
    "released run": lambda config, ds: protocol_runs.released_run(config, ds, seed=0),
    "leak-free run": lambda config, ds: protocol_runs.leak_free_run(config, ds, seed=0),
    "leak-free method": lambda config, ds: protocol_runs.leak_free_method(config, ds, seed=0),
}


def knowledge(ds, **known):
    return {"label_knowledge": LabelKnowledge(ds.label_names, **known)}


CHANGES = {
    "features": lambda ds: {"X_train": ds.train.X[::-1]},
    "labels": lambda ds: {"Y_train": ds.train.Y[::-1]},
    "texts": lambda ds: {"text_train": ["another", *ds.train.texts[1:]]},
    "titles": lambda ds: {"title_train": ["another", *ds.train.titles[1:]]},
    "no titles": lambda ds: {f"title_{split}": None for split in ds.splits},
    "titles of test rows": lambda ds: {"title_test": ds.test.titles[::-1]},
    "groups": lambda ds: {"groups_train": np.arange(90)},
    "no groups": lambda ds: {f"groups_{split}": None for split in ds.splits},
    "names of columns": lambda ds: {"label_names": ds.label_names[::-1]},
    "names known of labels": lambda ds: {"label_knowledge": LabelKnowledge(ds.label_names[::-1])},
    "synonyms": lambda ds: knowledge(ds, synonyms={0: ["another"]}),
    "parents": lambda ds: knowledge(ds, parents={0: [1]}),
    "no knowledge": lambda ds: {"label_knowledge": None},
    "published data": lambda ds: {"fingerprint": "f" * 64},
}


class KeyMadeError(Exception):
    """The key is known; what would be computed for it does not matter."""


@pytest.fixture
def key_of(config, monkeypatch):
    """Return a function that tells the key of one of the stored results for some data, as it is hashed."""
    keys = {}

    def recorded(key, compute):
        what = key["what"]
        if what == "shares" and "seed" not in key:
            what = "shares of the training rows"
        keys[what] = json.dumps(key, sort_keys=True)
        if what == "strength":
            return {"macro_f1": 0.5}
        if what == "shares":
            return {}
        raise KeyMadeError

    for module in MODULES:
        monkeypatch.setattr(module, "cached_arrays", recorded)
    monkeypatch.setattr(known_tokens, "fingerprint", lambda folder: "the encoder")

    def find(name, ds):
        keys.clear()
        with suppress(KeyMadeError):
            STORED[name](config, ds)
        return keys.get(name)

    return find


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", STORED)
def test_every_part_of_a_data_set_is_part_of_every_key(titled, key_of, name, change):
    changed = replaced(titled, **change(titled))
    own = key_of(name, titled)
    assert own is not None
    assert key_of(name, changed) != own


@pytest.mark.parametrize("name", STORED)
def test_equal_data_have_equal_keys(titled, make_dataset, key_of, name):
    again = make_dataset(texts=True, titles=True, groups=True)
    assert again is not titled
    assert key_of(name, again) == key_of(name, titled)


def test_these_are_all_results_that_are_stored():
    def calls(path):
        return path.read_text(encoding="utf-8").count("cached_arrays(")

    per_module = {Path(module.__file__).resolve(): calls(Path(module.__file__)) for module in MODULES}
    folder = Path(experiments.__file__).resolve().parent
    others = [path for path in folder.rglob("*.py") if calls(path) and path not in per_module]
    assert [path.name for path in others] == ["cache.py"]
    # the runs of the released protocol and those without leaks, three kinds, are stored by one call
    assert sum(per_module.values()) == len(STORED) - 2


# --- choices ---


def test_choices_have_keys_of_their_own(titled, monkeypatch, key_of):
    choices = [
        Choice(("linear",), ()),
        Choice(("linear",), ("neighbours",)),
        Choice(("linear",), ("similarity",)),
        Choice(("linear",), ("neighbours", "similarity")),
        Choice(("linear, titles",), ()),
        Choice(("linear", "linear, titles"), ()),
        Choice(("linear, titles", "linear"), ()),
    ]
    keys = []
    for choice in choices:
        for seed in (0, 1):
            monkeypatch.setitem(
                STORED,
                "choice",
                lambda config, ds, choice=choice, seed=seed: rules.choice_prediction(
                    config, ds, choice, seed=seed
                ),
            )
            keys.append(key_of("choice", titled))
    assert len(set(keys)) == 2 * len(choices)


def test_models_that_differ_in_what_they_read_have_keys_of_their_own(titled, key_of, monkeypatch):
    reads = {}
    for what in ("titles", "texts"):
        entry = dataclasses.replace(base_models.BASE_MODELS["linear, titles"], reads=what)
        monkeypatch.setitem(base_models.BASE_MODELS, "linear, titles", entry)
        reads[what] = key_of("fold", titled)
    assert reads["titles"] != reads["texts"]
