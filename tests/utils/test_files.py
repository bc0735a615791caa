"""Folders of data and of the cache, and files that are whole or not there."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from adathresh.utils.files import cache_folder, data_folder, remove_temporaries, whole_file


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


def test_a_full_disk_names_the_file(tmp_path):
    def write(error):
        with whole_file(tmp_path / "table.csv") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'") as caught:
        write(OSError(errno.ENOSPC, "No space left on device"))
    assert caught.value.errno == errno.ENOSPC
    # Errors of other things than this file stay as they are.
    for error in (
        OSError(errno.ENOSPC, "full", "other.csv"),
        OSError(errno.ECONNRESET, "reset"),
        OSError("x"),
    ):
        with pytest.raises(OSError) as caught:
            write(error)
        assert caught.value is error
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_file_that_the_system_refuses_to_write_is_named(tmp_path):
    program = f"""
import resource
from adathresh.utils.files import whole_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with whole_file({str(tmp_path / "table.csv")!r}) as temporary:
    temporary.write_bytes(bytes(5000))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large: " in done.stderr
    assert str(tmp_path / "table.csv") in done.stderr.splitlines()[-1]
    assert not os.listdir(tmp_path)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    kept = [
        ".table-0123abcd.txt",
        ".other-0123abcd.csv",
        ".table-notours.csv",
        "table-0123abcd.csv",
        "table.csv",
    ]
    for name in (*kept, ".table-0123abcd.csv", ".table-ffffffff.csv"):
        (tmp_path / name).write_text("x")
    remove_temporaries(tmp_path / "table.csv")
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    with whole_file(tmp_path / "table.csv") as temporary:
        temporary.write_text("x")
        remove_temporaries(tmp_path / "table.csv")  # so its pattern is that of whole_file
        assert not temporary.exists()
        temporary.write_text("x")


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_whole_file_has_the_permissions_of_any_other(tmp_path):
    with whole_file(tmp_path / "whole") as temporary:
        temporary.write_text("")
    (tmp_path / "usual").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("whole", "usual")]
    assert modes[0] == modes[1]
