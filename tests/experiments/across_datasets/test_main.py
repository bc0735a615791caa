"""The command that sums all data sets up: files, what is printed, missing results."""

import pandas as pd
import pytest

from adathresh.experiments.across_datasets.__main__ import main

FILES = ["models.csv", "models.png", "models_with_texts.png", "rules.csv", "rules.png"]


@pytest.mark.slow
def test_the_command_writes_its_files_the_same_every_time(folder, capsys):
    target, contents = folder / "across_datasets", []
    for _ in range(2):
        assert main(["--results", str(folder)]) == 0
        assert sorted(path.name for path in target.iterdir()) == FILES
        contents.append([(target / name).read_bytes() for name in FILES])
    assert contents[0] == contents[1]
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("PCut", "trees", *(str(target / name) for name in FILES)))
    assert [len(pd.read_csv(target / name)) for name in ("rules.csv", "models.csv")] == [9, 5]


@pytest.mark.parametrize("number", ["02", "08"])
def test_no_results(folder, capsys, number):
    for file in folder.glob("**/gap.csv" if number == "02" else "**/rule*.csv"):
        file.unlink()
    assert main(["--results", str(folder)]) == 1
    assert f"adathresh reproduce --only {number}" in capsys.readouterr().err
    assert not (folder / "across_datasets").exists()


def test_a_summary_without_texts(folder):
    (folder / "two" / "full" / "02_baselines" / "gap.csv").unlink()
    assert main(["--results", str(folder)]) == 0
    assert not (folder / "across_datasets" / "models_with_texts.png").exists()
