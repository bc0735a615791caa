"""Stored computations: found again for exactly as long as they are valid."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import adathresh
from adathresh.experiments.core.cache import cached_arrays

KEY = {"fingerprint": "abc", "model": {"alpha": 0.1, "layers": [2, 3]}}


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    return tmp_path / "runs"


def test_names_may_hold_dots_and_colons():
    """As the names of rules do: "fixed 0.5"."""
    matrix = sp.csr_array(np.eye(2, dtype=np.float32))

    def compute():
        return {
            "sets: fixed 0.5": matrix,
            "mode: fixed 0.5": np.array("inductive"),
            "seconds: fixed 0.5": np.array(1.5),
        }

    for _ in range(2):
        found = cached_arrays(KEY, compute)
        assert set(found) == set(compute())
        assert found["sets: fixed 0.5"].toarray().tolist() == [[1, 0], [0, 1]]
        assert found["mode: fixed 0.5"] == "inductive"
        assert found["seconds: fixed 0.5"] == 1.5


class Counting:
    """A computation that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        scores = sp.random_array(
            (4, 5), density=0.4, format="csr", dtype=np.float32, rng=np.random.default_rng(0)
        )
        return {
            "loss": np.linspace(0, 1, 3),
            "scores": scores,
            "empty": sp.csr_array((2, 3)),
            "best": np.array(7),
        }


def test_computes_once_and_returns_the_same():
    compute = Counting()
    first, second = (cached_arrays(KEY, compute) for _ in range(2))
    assert compute.calls == 1
    assert set(first) == set(second) == {"loss", "scores", "empty", "best"}
    np.testing.assert_array_equal(first["loss"], second["loss"])
    assert second["best"] == 7
    for name in ("scores", "empty"):
        assert isinstance(second[name], sp.csr_array)
        assert second[name].dtype == first[name].dtype
        assert second[name].shape == first[name].shape
        np.testing.assert_array_equal(first[name].toarray(), second[name].toarray())


def test_the_order_of_keys_does_not_matter_but_every_value_does():
    compute = Counting()
    cached_arrays({"a": 1, "b": 2}, compute)
    cached_arrays({"b": 2, "a": 1}, compute)
    assert compute.calls == 1
    cached_arrays({"a": 1, "b": 3}, compute)
    assert compute.calls == 2


COPY = """
import sys
import numpy as np
from adathresh.experiments.core.cache import cached_arrays

def compute():
    print("computed")
    return {"n": np.zeros(1)}

compute.__module__ = "adathresh.experiments.core.trainings"
cached_arrays({"a": 1}, compute)
"""


@pytest.mark.slow
def test_a_change_at_the_far_end_of_the_imports_is_never_served_stale(tmp_path):
    package = Path(adathresh.__file__).parent
    shutil.copytree(package, tmp_path / "adathresh", ignore=shutil.ignore_patterns("__pycache__"))

    def n_computed(*changed):
        """Change some modules, then say how often a run in a new process computes."""
        for module in changed:
            path = tmp_path / "adathresh" / f"{module}.py"
            path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", COPY], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.count("computed")

    assert (n_computed(), n_computed()) == (1, 0)
    for module in ("metrics/f1", "paper/losses", "datasets/dataset"):
        assert n_computed(module) == 1, module
    assert n_computed("experiments/core/plotting", "experiments/core/claims", "rules/scut") == 0


@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda _: b"", lambda _: b"nonsense"]
)
def test_damaged_file_is_rebuilt_aloud(folder, damage):
    compute = Counting()
    cached_arrays(KEY, compute)
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=f"{path.name} is damaged"):
        arrays = cached_arrays(KEY, compute)
    assert compute.calls == 2
    assert arrays["scores"].shape == (4, 5)
    assert [p.name for p in folder.iterdir()] == [path.name]
    cached_arrays(KEY, compute)
    assert compute.calls == 2


def test_a_file_of_another_fingerprint_is_not_used_and_said_aloud(folder):
    other = {**KEY, "fingerprint": "xyz"}
    cached_arrays(other, lambda: {"scores": np.zeros(3)})
    (foreign,) = folder.iterdir()
    compute = Counting()
    expected = cached_arrays(KEY, compute)
    (path,) = set(folder.iterdir()) - {foreign}
    foreign.replace(path)
    with pytest.warns(UserWarning, match=rf"{path.name} is not used \(it is of other data"):
        found = cached_arrays(KEY, compute)
    assert compute.calls == 2
    np.testing.assert_array_equal(found["loss"], expected["loss"])
    assert cached_arrays(KEY, compute)["scores"].shape == (4, 5)
    assert compute.calls == 2


def test_flipped_byte_is_noticed(folder):
    compute = Counting()
    cached_arrays(KEY, compute)
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    at = content.find(np.linspace(0, 1, 3).tobytes())
    assert at > 0
    content[at + 15] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged"):
        cached_arrays(KEY, compute)


def test_failing_computation_leaves_nothing(folder):
    with pytest.raises(ZeroDivisionError):
        cached_arrays(KEY, lambda: 1 / 0)
    assert not folder.exists() or not list(folder.iterdir())


def test_python_objects_are_refused(folder):
    with pytest.raises(TypeError, match="names holds Python objects"):
        cached_arrays(KEY, lambda: {"names": np.array(["a", None], dtype=object)})
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize(("value", "error"), [(np.float32(1), TypeError), (float("nan"), ValueError)])
def test_key_must_be_json(value, error):
    with pytest.raises(error):
        cached_arrays({"alpha": value}, Counting())
