import gc
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import textwrap
import warnings

import pytest

from adathresh.datasets import DatasetError, load_dataset, pyapi, registry, statistics
from adathresh.datasets.pyapi import build_corpus, cached_corpus, corpus_versions, prose, split_of
from adathresh.datasets.registry import locate


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Add two numbers.", "Add two numbers."),
        ("Add.\n\nMore\nprose.\n\nParameters\n----------\na : int\n", "Add.\n\nMore\nprose."),
        ("Add.\n\nMy Own Header\n-------------\ntext", "Add."),
        ("Add.\n\nArgs:\n    a: number\n", "Add."),
        ("Add.\n\nReturns: the sum", "Add."),
        ("Add.\n\nExample::\n\n    >>> add(1)", "Add."),
        ("Add.\n\n:param a: number\n:returns: sum", "Add."),
        ("Add.\n\n>>> add(1, 2)\n3", "Add."),
        (
            "Returns the sum of all parameters.\nNotes are kept.",
            "Returns the sum of all parameters.\nNotes are kept.",
        ),
        ("See :param: and a dash --- inside.", "See :param: and a dash --- inside."),
        ("Parameters\n----------\na : int", ""),
        ("", ""),
    ],
)
def test_prose_ends_at_the_first_header(docstring, expected):
    assert prose(docstring) == expected


def install(site, name, version="1.0"):
    """Make pip's record of an installed package."""
    record = site / f"{name}-{version}.dist-info" / "METADATA"
    record.parent.mkdir(parents=True)
    record.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a few files; the folder of its sources."""
    folder = tmp_path / "site" / "toypackage"
    install(folder.parent, "toypackage")
    files = {
        "__init__.py": '''
            def top():
                """Do the TOP thing.

                Parameters
                ----------
                """
                return shared(rare.shared(len([])))
            ''',
        "sub/HTTPServer.py": '''
            raise RuntimeError("nothing may be imported")

            @decorated(sum(default))
            class WebHandler:
                """Not a function."""

                def parse_URL(self, x=any()):
                    """Parse it."""
                    if x:
                        def inner():
                            """Nested."""
                            return self.shared(other())
                    return [len(y) for y in x]
            ''',
        "b.py": '''
            async def late():
                """Wait for it."""
                await shared(len(x)[0].len())

            def undocumented():
                return len(shared())

            def nothing():
                """Call nothing that is frequent."""
                return unique()()
            ''',
        "c.py": '''
            def same():
                """Text."""
                return len()

            def same():
                """Text."""
                return shared()
            ''',
        "broken.py": "def (:\n",
        "_version.py": 'def get_version():\n    """Say."""\n    return len(shared())\n',
        "tests/test_b.py": 'def test_b():\n    """Test."""\n    return len(shared())\n',
    }
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setitem(pyapi.CORPORA, "toy", ("toypackage",))
    yield folder
    sys.modules.pop("toypackage", None)


@pytest.fixture
def dealt(package, monkeypatch):
    """The same package with rows in each split, for which it is too small otherwise."""
    splits = {"__init__.py": "dev", "c.py": "test"}
    monkeypatch.setattr(pyapi, "split_of", lambda group: splits.get(group.partition("/")[2], "train"))
    return package


def test_rows_labels_and_groups(package):
    corpus = build_corpus(("toypackage",), progress=False)
    rows = {row.text: row for part in corpus.splits.values() for row in part}
    assert {text: row.labels for text, row in rows.items()} == {
        "toypackage top Do the TOP thing.": ("len", "shared"),
        "toypackage sub HTTP Server Web Handler parse URL Parse it.": ("len", "shared"),
        "toypackage sub HTTP Server Web Handler parse URL inner Nested.": ("shared",),
        "toypackage b late Wait for it.": ("len", "shared"),
        "toypackage c same Text.": ("len",),  # the first of two rows with one text
    }
    assert {row.title for row in rows.values()} == {
        "toypackage top",
        "toypackage sub HTTP Server Web Handler parse URL",
        "toypackage sub HTTP Server Web Handler parse URL inner",
        "toypackage b late",
        "toypackage c same",
    }
    assert corpus.label_names == ["len", "shared"]
    assert corpus.skipped_files == 1
    assert rows["toypackage b late Wait for it."].group == "toypackage/b.py"
    assert rows["toypackage b late Wait for it."].uid == "toypackage.b.late:2"
    assert "toypackage" not in sys.modules
    for split, part in corpus.splits.items():
        assert {split_of(row.group) for row in part} <= {split}


def test_a_duplicate_does_not_count_for_its_labels(package):
    # c.py's second function is dropped, so that "shared" is called in three files and not in four.
    (package / "b.py").unlink()
    assert build_corpus(("toypackage",), progress=False).label_names == ["len"]


def test_split_of_is_fixed_and_has_the_wanted_shares():
    files = ["numpy/core.py", "torch/fx/graph.py", "scipy/stats/_stats_py.py", "sklearn/base.py"]
    assert [split_of(file) for file in files] == ["test", "train", "dev", "train"]
    parts = [split_of(f"package/file{number}.py") for number in range(4000)]
    for split, share in pyapi.SHARES.items():
        assert parts.count(split) / 4000 == pytest.approx(share, abs=0.02)


def test_content_decides_the_fingerprint(package):
    first = build_corpus(("toypackage",), progress=False).fingerprint
    assert build_corpus(("toypackage",), progress=False).fingerprint == first
    (package / "b.py").write_text((package / "b.py").read_text().replace("Wait for", "Await"))
    assert build_corpus(("toypackage",), progress=False).fingerprint != first


def test_a_missing_package_is_named_with_its_command(package):
    message = (
        r"read from the sources of no_such_package, no_such_thing, toypackage, but no_such_package, "
        r"no_such_thing are not installed: pip install no_such_package no_such_thing$"
    )
    for function in (corpus_versions, build_corpus):
        with pytest.raises(DatasetError, match=message):
            function(("toypackage", "no_such_thing", "no_such_package"))


def test_the_command_uses_the_name_that_pip_knows(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(DatasetError, match=r"pip install matplotlib numpy scikit-learn scipy$"):
        load_dataset("pyapi")


def test_a_package_without_sources_is_named(package, tmp_path):
    install(tmp_path / "site", "compiled")
    with pytest.raises(DatasetError, match=r"^compiled: installed without source files"):
        build_corpus(("toypackage", "compiled"), progress=False)


def test_the_default_corpus_needs_no_torch_and_the_large_one_holds_it():
    assert pyapi.CORPORA == {
        "pyapi": ("matplotlib", "numpy", "scipy", "sklearn"),
        "pyapi-large": ("matplotlib", "numpy", "scipy", "sklearn", "torch"),
    }
    assert "torch" in corpus_versions(pyapi.CORPORA["pyapi-large"])


@pytest.mark.parametrize("name", ["pyapi", "pyapi-large"])
def test_each_corpus_is_reached_by_its_name(monkeypatch, tmp_path, name):
    built = []

    def building(folder, packages, progress):
        built.append(packages)
        return {"fingerprint": "0a", "skipped_files": 0}

    monkeypatch.setattr(pyapi, "_build_folder", building)
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    folder, description = locate(name)
    assert built == [pyapi.CORPORA[name]]
    assert re.fullmatch(rf"{name}-[0-9a-f]{{12}}", folder.name)
    assert ("torch" in description) == (name == "pyapi-large")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cached corpus of one real package."""
    cache_dir = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pyapi.CORPORA, "sklearn", ("sklearn",))
        folder, _ = cached_corpus("sklearn", cache_dir=cache_dir, progress=False)
        yield cache_dir, folder


@pytest.mark.slow
def test_two_processes_build_the_same_bytes(cache, tmp_path):
    _, folder = cache
    program = (
        "import sys; from adathresh.datasets.pyapi import CORPORA, cached_corpus; "
        "CORPORA['sklearn'] = ('sklearn',); "
        "print(cached_corpus('sklearn', cache_dir=sys.argv[1], progress=False)[0])"
    )
    for seed in ("1", "2"):
        out = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        other = tmp_path / seed / folder.name
        assert out.stdout.strip() == str(other)
        assert sorted(p.name for p in other.iterdir()) == sorted(p.name for p in folder.iterdir())
        for path in folder.iterdir():
            assert (other / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_cached_corpus_loads_as_a_data_set(cache, monkeypatch):
    _, folder = cache
    monkeypatch.setattr(registry, "cached_corpus", lambda name, progress: (folder, "about"))
    ds = load_dataset("pyapi")
    corpus = build_corpus(("sklearn",), progress=False)
    for split, rows in corpus.splits.items():
        assert ds.splits[split].texts == [row.text for row in rows]
        assert ds.splits[split].groups.tolist() == [row.group for row in rows]
        Y = ds.splits[split].Y
        for i in (0, len(rows) - 1):
            assert tuple(ds.label_names[label] for label in Y[[i]].indices) == rows[i].labels
    assert not set(ds.train.groups) & (set(ds.validation.groups) | set(ds.test.groups))
    assert ds.validation_source == "official"
    assert ds.description == "about"
    found = statistics(ds)
    assert found["n_train"] > 800
    assert found["test_texts_seen_in_train"] == found["dev_texts_seen_in_train"] == 0
    assert all(name.isalpha() and len(name) > 1 for name in ds.feature_names)


def test_titles_and_names_of_labels_in_words(dealt, tmp_path, monkeypatch):
    """Names that are one in words are not one; a name without letters is not known."""
    source = "\n".join(
        f'def f{i}():\n    """Text {i}."""\n    return ones_like(onesLike(_2(LogisticRegression(x))))'
        for i in range(2)
    )
    for name in ("d.py", "b.py", "c.py", "__init__.py"):
        (dealt / name).write_text(source)
    folder, _ = cached_corpus("toy", cache_dir=tmp_path, progress=False)
    monkeypatch.setattr(registry, "cached_corpus", lambda name, progress: (folder, ""))
    ds = load_dataset("pyapi", progress=False)
    assert ds.label_names == ["LogisticRegression", "_2", "onesLike", "ones_like"]
    assert ds.label_knowledge.names == ("Logistic Regression", "", "ones Like", "ones like")
    assert ds.test.titles == ["toypackage c f", "toypackage c f"]
    assert ds.test.texts == ["toypackage c f Text 0.", "toypackage c f Text 1."]


def test_features_are_fitted_on_train_only(cache, monkeypatch):
    monkeypatch.setattr(registry, "cached_corpus", lambda name, progress: (cache[1], ""))
    ds = load_dataset("pyapi")
    document_frequency = (ds.train.X > 0).sum(axis=0)
    assert document_frequency.min() >= 2


def test_an_intact_cache_is_used(cache, monkeypatch):
    cache_dir, folder = cache
    monkeypatch.setattr(pyapi, "build_corpus", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again, description = cached_corpus("sklearn", cache_dir=cache_dir, progress=False)
    assert again == folder
    about = json.loads((folder / "corpus.json").read_text())
    assert about["fingerprint"] in description
    assert "scikit-learn " in description


def test_versions_name_the_folder(dealt, tmp_path, monkeypatch):
    def folder_at(version):
        monkeypatch.setattr(pyapi, "corpus_versions", lambda packages: {"toypackage": version})
        return cached_corpus("toy", cache_dir=tmp_path, progress=False)[0]

    assert folder_at("1") == folder_at("1") != folder_at("2")


@pytest.mark.parametrize("damage", ["change", "remove", "no record", "foreign record", "half"])
def test_a_damaged_cache_is_rebuilt_aloud(dealt, tmp_path, monkeypatch, damage):
    folder, _ = cached_corpus("toy", cache_dir=tmp_path, progress=False)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    if damage == "change":
        (folder / "labels.txt").write_text("other\nnames\n")
    elif damage == "remove":
        (folder / "train.txt.gz").unlink()
    elif damage == "no record":
        (folder / "corpus.json").unlink()
    elif damage == "foreign record":
        (folder / "corpus.json").write_text("[]")
    else:
        (folder / "corpus.json").write_bytes(whole["corpus.json"][:50])
    with pytest.warns(UserWarning, match="damaged or foreign; the corpus is built anew"):
        cached_corpus("toy", cache_dir=tmp_path, progress=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert list(tmp_path.glob(".*")) == []


def test_a_failed_build_leaves_nothing(package, tmp_path, monkeypatch):
    monkeypatch.setattr(pyapi, "write_text_folder", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cached_corpus("toy", cache_dir=tmp_path / "cache", progress=False)
    assert os.listdir(tmp_path / "cache") == []


def test_a_read_only_cache_is_replaced(dealt, tmp_path, monkeypatch):
    monkeypatch.setattr(pyapi.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(UserWarning, match="cannot be written; the corpus is kept in"):
        folder, _ = cached_corpus("toy", cache_dir=tmp_path / "file" / "cache", progress=False)
    assert folder.is_relative_to(tmp_path)
    assert (folder / "corpus.json").exists()


def test_too_few_files_for_three_splits(package, tmp_path, monkeypatch):
    monkeypatch.setattr(pyapi, "split_of", lambda group: "train")
    with pytest.raises(DatasetError, match="no rows for dev, test"):
        cached_corpus("toy", cache_dir=tmp_path, progress=False)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_search_for_cycles_rests_and_is_as_it_was(enabled):
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pyapi._without_search_for_cycles():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
