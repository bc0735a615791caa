"""Label trees: what omikuji is told, what it cannot take, and its absence."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp

from adathresh.models import tree
from adathresh.models.tree import LabelTree


def make_data(n_labels):
    """Every label has one word of its own and two rows."""
    words = np.eye(n_labels)
    return sp.csr_array(np.vstack([words, words])), sp.csr_array(np.vstack([words, words]))


@pytest.mark.parametrize("preset", ["parabel", "bonsai"])
def test_many_labels_are_told_apart(preset):
    pytest.importorskip("omikuji")
    X, Y = make_data(300)
    scores = LabelTree(preset, n_jobs=2).fit(X, Y).top_scores(X, k=3)
    best = scores.toarray().argmax(axis=1)
    assert (best == np.tile(np.arange(300), 2)).mean() > 0.9


def test_settings_reach_omikuji(monkeypatch):
    pytest.importorskip("omikuji")
    told = []

    def train(self, data, model, settings):
        told.append(settings)
        raise InterruptedError

    monkeypatch.setattr(LabelTree, "_train", train)
    for preset in ("parabel", "bonsai"):
        with pytest.raises(InterruptedError):
            LabelTree(preset, n_trees=5, C=0.5).fit(*make_data(3))
    parabel = {"cluster_balanced": True, "cluster_k": 2, "max_depth": 20, "n_trees": 5, "linear_c": 0.5}
    assert told == [parabel, {**parabel, "cluster_balanced": False, "cluster_k": 100, "max_depth": 3}]


def test_a_longer_beam_finds_more_labels():
    pytest.importorskip("omikuji")
    X, Y = make_data(400)
    model = LabelTree(n_trees=1, beam_size=1).fit(X, Y)
    assert model.model_.n_trees == 1
    narrow = model.top_scores(X, k=400)
    model.set_params(beam_size=10)
    assert model.top_scores(X, k=400).nnz > narrow.nnz


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_the_length_of_a_row_does_not_matter_however_large_or_small(scale):
    pytest.importorskip("omikuji")
    X, Y = make_data(5)
    model = LabelTree().fit(X, Y)
    scores = model.top_scores((X * scale).toarray())
    assert np.isfinite(scores.data).all()
    if 1e-150 < scale < 1e150:
        np.testing.assert_allclose(scores.toarray(), model.top_scores(X).toarray(), atol=1e-6)


def test_entries_stored_in_parts_or_as_zeros():
    pytest.importorskip("omikuji")
    X, Y = make_data(5)
    model = LabelTree().fit(X, Y)
    parts = sp.csr_array((np.array([0.5, 0.0, 0.5]), np.array([3, 1, 3]), np.array([0, 3])), shape=(1, 5))
    np.testing.assert_array_equal(model.top_scores(parts).toarray(), model.top_scores(X[[3]]).toarray())
    np.testing.assert_array_equal(parts.data, [0.5, 0.0, 0.5])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "oak"}, "preset must be 'parabel' or 'bonsai'; got 'oak'"),
        ({"n_trees": 0}, "n_trees must be a whole number, at least 1; got 0"),
        ({"beam_size": 0}, "beam_size must be a whole number, at least 1; got 0"),
        ({"C": 0}, "C must be a finite number, greater than 0"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        LabelTree(**parameters).fit(*make_data(3))


def test_nothing_to_learn_from():
    pytest.importorskip("omikuji")
    X, Y = make_data(3)
    with pytest.raises(ValueError, match="both a feature and a label"):
        LabelTree().fit(X, 0 * Y)
    with pytest.raises(ValueError, match="both a feature and a label"):
        LabelTree().fit(0 * X, Y)


def test_the_extra_is_named_where_the_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "omikuji", None)
    with pytest.raises(ImportError, match=r'pip install "adathresh\[trees\]"'):
        LabelTree().fit(*make_data(3))


def test_what_omikuji_says_when_it_fails_is_passed_on(monkeypatch, tmp_path):
    pytest.importorskip("omikuji")
    monkeypatch.setattr(tree.tempfile, "tempdir", str(tmp_path))

    def save_something_else(path, X, Y, *, progress):
        path.write_text("no data at all\n")

    monkeypatch.setattr(tree, "save_xc", save_something_else)
    with pytest.raises(RuntimeError, match=r"omikuji failed (.|\n)*RuntimeError: Failed to load data"):
        LabelTree().fit(*make_data(3))
    assert not list(tmp_path.iterdir())


def test_verbose_shows_the_training(capfd):
    pytest.importorskip("omikuji")
    LabelTree(verbose=True).fit(*make_data(3))
    assert "Model training complete" in capfd.readouterr().out
