import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data sets, which no checkout contains."""
    folder = Path(os.environ.get("ADATHRESH_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}; set ADATHRESH_DATA to a folder of them")
    return folder
