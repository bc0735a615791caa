"""The configuration of a run: defaults, errors, folders, and what a notebook's parameters cell may hold."""

import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from adathresh.experiments.core import config as module
from adathresh.experiments.core.config import PROFILES, Profile, RunConfig, repository_root


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
        ({"profile": "quik"}, ValueError, "Did you mean 'quick'?"),
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


# --- what a notebook hands over ---

PARAMETERS = {
    "dataset": "scene",
    "data_dir": None,
    "profile": "quick",
    "seeds": 2,
    "random_state": 1,
    "out": None,
    "save": False,
}


def test_a_notebooks_parameters_are_taken_by_their_names():
    expected = RunConfig(dataset="scene", seeds=2, random_state=1)
    assert RunConfig.from_notebook(PARAMETERS) == expected
    assert RunConfig.from_notebook({}) == RunConfig()


def test_what_else_a_notebook_holds_is_left_alone():
    others = {
        "FIXED": "fixed 0.5",  # a constant that was imported
        "OURS_2": 3,
        "_": None,
        "_i1": "import pandas",
        "__name__": "__main__",
        "Out": {},
        "pd": json,  # a module
        "prepare": test_bad_values,
        "In": ["", "x = 1"],
        "exit": object(),
    }
    assert RunConfig.from_notebook({**PARAMETERS, **others}) == RunConfig.from_notebook(PARAMETERS)


@pytest.mark.parametrize("value", ["scene", 3, 0.5, True, None])
def test_a_misspelt_parameter_is_an_error_that_says_what_was_meant(value):
    with pytest.raises(
        TypeError, match=r"'dataste' is no parameter of a notebook .* Did you mean 'dataset'\?"
    ):
        RunConfig.from_notebook({**PARAMETERS, "dataste": value})


def test_a_parameter_that_resembles_none_is_an_error_too():
    with pytest.raises(TypeError, match="'zzz' is no parameter of a notebook") as caught:
        RunConfig.from_notebook({"zzz": 1})
    assert "Did you mean" not in str(caught.value)
    assert all(name in str(caught.value) for name in PARAMETERS)


def test_a_parameters_value_is_checked_as_usual():
    with pytest.raises(ValueError, match="profile must be one of"):
        RunConfig.from_notebook({**PARAMETERS, "profile": "fast"})


# --- folders ---


def test_folders_in_a_clone():
    root = repository_root()
    assert (root / "adathresh").is_dir()
    assert RunConfig(dataset="scene").folder == root / "reproduced" / "scene"
    assert RunConfig(dataset="scene", profile="full").folder == root / "reproduced" / "scene" / "full"
    assert RunConfig(dataset="scene", profile="full").reference_folder == root / "results" / "scene" / "full"
    elsewhere = RunConfig(out="somewhere")
    assert elsewhere.folder == Path.cwd() / "somewhere"
    assert elsewhere.reference_folder == root / "results" / "pyapi"


def test_no_run_writes_into_the_published_results_by_default():
    for profile in PROFILES:
        config = RunConfig(profile=profile)
        assert config.reference_folder.parts[-3:].count("results") == 1
        assert not config.folder.is_relative_to(repository_root() / "results")


def test_folders_without_a_clone(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "repository_root", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert RunConfig().folder == tmp_path / "reproduced" / "pyapi"
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
    assert RunConfig.from_notebook(config.to_parameters()) == config
