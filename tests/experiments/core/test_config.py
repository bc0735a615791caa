import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from adathresh.experiments.core import config as module
from adathresh.experiments.core.config import PROFILES, Profile, RunConfig, nearest_name, repository_root


def test_defaults_are_the_quick_run_of_the_embedded_corpus():
    config = RunConfig()
    assert (config.dataset, config.profile, config.save) == ("pyapi", "quick", False)
    assert config.numbers is PROFILES["quick"]
    assert config.seed_list == (0,)


def test_seeds_override_the_profile_and_start_at_random_state():
    assert RunConfig(profile="full").seed_list == (0, 1, 2)
    assert RunConfig(profile="full", seeds=2, random_state=7).seed_list == (7, 8)


def test_is_frozen_and_keyword_only():
    with pytest.raises(FrozenInstanceError):
        RunConfig().dataset = "scene"
    with pytest.raises(TypeError):
        RunConfig("scene")


def test_misspelt_name_is_an_error():
    with pytest.raises(TypeError, match="dataste"):
        RunConfig(dataste="scene")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": None}, TypeError, "dataset must be a string; got None"),
        ({"dataset": "../scene"}, ValueError, "dataset must be the name"),
        ({"dataset": ""}, ValueError, "dataset must be the name"),
        ({"data_dir": 3}, TypeError, "data_dir must be a string or None; got 3"),
        ({"out": Path("x")}, TypeError, "out must be a string or None"),
        ({"profile": "fast"}, ValueError, "profile must be one of quick, full; got 'fast'"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1; got 0"),
        ({"seeds": True}, TypeError, "seeds must be a whole number"),
        ({"seeds": "3"}, TypeError, "seeds must be a whole number"),
        ({"random_state": -1}, ValueError, "random_state must be at least 0"),
        ({"random_state": None}, TypeError, "random_state must be a whole number"),
        ({"save": 1}, TypeError, "save must be True or False"),
    ],
)
def test_bad_values(arguments, error, message):
    with pytest.raises(error, match=message):
        RunConfig(**arguments)


def test_profiles_differ_in_numbers_only_and_full_is_never_the_smaller():
    quick, full = PROFILES["quick"], PROFILES["full"]
    assert full.n_seeds >= 3
    for field in fields(Profile):
        assert getattr(full, field.name) >= getattr(quick, field.name), field.name
    assert quick.long_epochs == quick.released_epochs  # no second training
    assert full.long_epochs == 10 * full.released_epochs == 400


def test_folders_in_a_clone():
    root = repository_root()
    assert (root / "adathresh").is_dir()
    assert RunConfig(dataset="scene").folder == root / "results" / "scene"
    assert RunConfig(dataset="scene", profile="full").folder == root / "results" / "scene" / "full"
    elsewhere = RunConfig(out="somewhere")
    assert elsewhere.folder == Path.cwd() / "somewhere"
    assert elsewhere.reference_folder == root / "results" / "pyapi"


def test_folders_without_a_clone(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "repository_root", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert RunConfig().folder == tmp_path / "results" / "pyapi"
    assert RunConfig().reference_folder is None


def test_to_dict_is_json_and_free_of_machine_paths(tmp_path):
    config = RunConfig(data_dir=str(tmp_path), out=str(tmp_path), seeds=2)
    content = config.to_dict()
    assert json.loads(json.dumps(content)) == content
    assert str(tmp_path) not in json.dumps(content)
    assert content["seeds"] == [0, 1]
    assert content["numbers"]["n_seeds"] == 1


def test_to_parameters_rebuilds_the_same_configuration():
    config = RunConfig(dataset="scene", seeds=2, save=True)
    assert RunConfig(**config.to_parameters()) == config


def test_nearest_name():
    assert nearest_name("dataste", ["dataset", "profile"]) == "did you mean 'dataset'?"
    assert nearest_name("zzz", ["dataset", "profile"]) == "valid names: dataset, profile."
