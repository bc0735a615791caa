"""Folders of data and of the cache, and files that are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from adathresh.utils.files import cache_folder, data_folder, whole_file


@pytest.mark.parametrize(
    ("folder", "variable"), [(data_folder, "ADATHRESH_DATA"), (cache_folder, "ADATHRESH_CACHE")]
)
def test_the_argument_wins_over_the_variable_and_that_over_the_platform(
    monkeypatch, tmp_path, folder, variable
):
    monkeypatch.setenv(variable, str(tmp_path / "variable"))
    assert folder(tmp_path / "given") == tmp_path / "given"
    assert folder() == tmp_path / "variable"
    monkeypatch.setenv(variable, "~/mine")
    assert folder() == Path.home() / "mine"
    for empty in (lambda: monkeypatch.setenv(variable, ""), lambda: monkeypatch.delenv(variable)):
        empty()
        assert "adathresh" in folder().parts


def test_each_folder_has_its_own_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("ADATHRESH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / "cache"))
    assert (data_folder().name, cache_folder().name) == ("data", "cache")


def test_a_whole_file_replaces_the_old_one_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "table.csv.gz"
    for content in ("old", "new"):
        with whole_file(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.suffix == ".gz"
            temporary.write_text(content)
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["table.csv.gz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def interrupted():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_whole_file_has_the_permissions_of_any_other(tmp_path):
    with whole_file(tmp_path / "whole") as temporary:
        temporary.write_text("")
    (tmp_path / "usual").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("whole", "usual")]
    assert modes[0] == modes[1]
