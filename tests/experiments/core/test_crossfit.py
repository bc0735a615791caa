"""Cross-fitted scores: no row is scored by a model that saw it or its group; order, costs, keys, parts."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.base import BaseEstimator, clone

from adathresh import NeighborLabels
from adathresh.experiments.core import base_models, crossfit
from adathresh.experiments.core.base_models import BASE_MODELS, BaseModel, make_base_model
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.crossfit import (
    PARTS_OF_TOGETHER,
    TOGETHER,
    crossfit_all,
    crossfitted,
    parts_of_together,
)
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.posthoc.crossfit import out_of_fold_scores

pytestmark = pytest.mark.usefixtures("tiny_profile")


def identities(X):
    """Return something hashable for each row; the rows of the data set differ."""
    return [row.tobytes() for row in X.toarray()]


class Spy(BaseEstimator):
    """A model whose scores say which row they are of, and that records what it was shown."""

    shown: ClassVar[list] = []

    def __init__(self, strength=1.0, random_state=None):
        self.strength, self.random_state = strength, random_state

    def fit(self, X, Y):
        self.fitted_, self.n_labels_ = identities(X), Y.shape[1]
        return self

    def top_scores(self, X):
        Spy.shown.append((self.fitted_, identities(X)))
        return sp.csr_array(own_scores(X, self.n_labels_))


def own_scores(X, n_labels):
    """Scores in (0, 1) that only depend on the row."""
    return 1 / (1 + np.exp(-X.toarray()[:, :n_labels] - 0.1))


@pytest.fixture
def spy(monkeypatch):
    """Make a spy the only base model; the value lists what its models were fitted on and what they scored."""
    entry = BaseModel(
        what="A spy.",
        make=lambda config, ds, seed: Spy(random_state=seed),
        strength="strength",
        grid=(1.0,),
    )
    for name in list(BASE_MODELS):
        monkeypatch.delitem(BASE_MODELS, name)
    monkeypatch.setitem(BASE_MODELS, "spy", entry)
    monkeypatch.setattr(Spy, "shown", [])
    return Spy.shown


# --- rows and folds ---


def test_models_and_rules_are_fitted_on_training_and_validation_rows(ds):
    rows, folds = fitting_rows(ds, seed=0)
    np.testing.assert_array_equal(rows.X.toarray(), sp.vstack([ds.train.X, ds.validation.X]).toarray())
    np.testing.assert_array_equal(rows.Y.toarray(), sp.vstack([ds.train.Y, ds.validation.Y]).toarray())
    np.testing.assert_array_equal(rows.Y.toarray(), fitting_labels(ds).toarray())
    assert rows.texts == [*ds.train.texts, *ds.validation.texts]
    np.testing.assert_array_equal(rows.groups, [*ds.train.groups, *ds.validation.groups])
    assert sorted(set(folds)) == [0, 1, 2]
    assert all(len(set(folds[rows.groups == group])) == 1 for group in rows.groups)
    assert (fitting_rows(ds, seed=1).folds != folds).any()
    bare = replaced(ds, **{f"{what}_{split}": None for what in ("groups", "text") for split in ds.splits})
    assert fitting_rows(bare, seed=0).rows.groups is None
    assert fitting_rows(bare, seed=0).rows.texts is None


# --- scores ---


def test_no_row_is_scored_by_a_model_that_saw_it_or_its_group(config, ds, spy):
    crossfitted(config, ds, "spy", seed=0)
    rows = fitting_rows(ds, seed=0).rows
    group_of = dict(zip(identities(rows.X), rows.groups.tolist(), strict=True))
    assert len(group_of) == 130
    (_, chosen_on), *folds, (fitted_on_all, test) = spy
    assert chosen_on == identities(ds.validation.X)
    assert len(folds) == 3
    for fitted, scored in folds:
        assert not {group_of[row] for row in fitted} & {group_of[row] for row in scored}
        assert sorted(fitted + scored) == sorted(identities(rows.X))
    assert fitted_on_all == identities(rows.X)
    assert test == identities(ds.test.X)


def test_scores_stand_in_the_order_of_the_rows(config, ds, spy):
    fitting, test = crossfitted(config, ds, "spy", seed=0).scores
    np.testing.assert_allclose(fitting.toarray(), own_scores(fitting_rows(ds, seed=0).rows.X, 12))
    np.testing.assert_allclose(test.toarray(), own_scores(ds.test.X, 12))
    assert isinstance(fitting, sp.csr_array)


def test_scores_are_those_of_an_independent_cross_fitting(config, ds):
    seen, model = crossfitted(config, ds, "linear", seed=2), make_base_model(config, ds, "linear", seed=2)
    rows, folds = fitting_rows(ds, seed=2)
    held_out = out_of_fold_scores(model, rows.X, rows.Y, folds, n_labels=12)
    np.testing.assert_allclose(seen.scores[0].toarray(), held_out.toarray(), atol=1e-6)
    on_all = clone(model).fit(rows.X, rows.Y).top_scores(ds.test.X)
    np.testing.assert_allclose(seen.scores[1].toarray(), on_all.toarray(), atol=1e-6)


def test_costs_add_up_over_the_folds(config, ds, spy, monkeypatch):
    seconds = iter([(1.0, 0.5, 7.0), (2.0, 0.25, 9.0), (3.0, 0.125, 8.0), (10.0, 4.0, 5.0)])

    def measured(fit, predict):
        fit()
        costs = dict(zip(("fit_seconds", "predict_seconds", "peak_memory_mb"), next(seconds), strict=True))
        return predict() | {name: np.array(value) for name, value in costs.items()}

    monkeypatch.setattr(crossfit, "fit_and_predict", measured)
    assert crossfitted(config, ds, "spy", seed=0).cost == (16.0, 4.875, 9.0)


def test_shares_leave_the_group_out(config, ds, spy):
    seen, rows = crossfitted(config, ds, "spy", seed=0), fitting_rows(ds, seed=0).rows
    knn = NeighborLabels()
    shares = knn.fit_transform(rows.X, rows.Y, groups=rows.groups)
    np.testing.assert_allclose(seen.local[0].toarray(), shares.toarray(), atol=1e-6)
    np.testing.assert_allclose(seen.local[1].toarray(), knn.transform(ds.test.X).toarray(), atol=1e-6)
    assert (NeighborLabels().fit_transform(rows.X, rows.Y) != shares).nnz > 0


def test_similarity_reads_texts_and_names_only(config, ds, spy):
    seen = crossfitted(config, ds, "spy", seed=0)
    np.testing.assert_array_equal(seen.affinity[0].toarray() > 0, fitting_labels(ds).toarray() > 0)
    np.testing.assert_array_equal(seen.affinity[1].toarray() > 0, ds.test.Y.toarray() > 0)  # by their texts
    wordless = replaced(ds, **{f"text_{split}": None for split in ds.splits})
    assert crossfitted(config, wordless, "spy", seed=0).affinity is None


def parts_of(seen):
    lists = [seen.scores, seen.local, *([seen.affinity] if seen.affinity else [])]
    return [part.toarray() for pair in lists for part in pair]


def test_labels_of_test_rows_change_nothing(config, ds, empty_cache):
    own = parts_of(crossfitted(config, ds, "linear", seed=0))
    empty_cache("second")
    other = replaced(ds, Y_test=ds.test.Y[np.random.default_rng(0).permutation(50)])
    for mine, others in zip(own, parts_of(crossfitted(config, other, "linear", seed=0)), strict=True):
        np.testing.assert_array_equal(mine, others)


# --- what is computed again ---


def flip(values):
    return values[::-1]


CHANGES = {
    "features of training rows": lambda ds: {"X_train": flip(ds.train.X)},
    "labels of training rows": lambda ds: {"Y_train": flip(ds.train.Y)},
    "labels of validation rows": lambda ds: {"Y_dev": flip(ds.validation.Y)},
    "features of test rows": lambda ds: {"X_test": flip(ds.test.X)},
    "groups": lambda ds: {"groups_train": np.arange(90)},
    "names of labels": lambda ds: {"label_names": flip(ds.label_names)},
    "published data": lambda ds: {"fingerprint": "f" * 64},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_the_scores_depend_on_computes_them_again(config, ds, spy, change):
    crossfitted(config, ds, "spy", seed=0)
    n_fits = len(spy)
    assert n_fits == 5  # one to choose the strength, three folds, all rows
    crossfitted(config, ds, "spy", seed=0)
    assert len(spy) == n_fits
    crossfitted(config, replaced(ds, **change(ds)), "spy", seed=0)
    assert len(spy) == 2 * n_fits


def test_seeds_have_folds_and_models_of_their_own(config, ds, spy):
    crossfitted(config, ds, "spy", seed=0)
    crossfitted(config, ds, "spy", seed=1)
    assert len(spy) == 9  # the strength is chosen once
    assert spy[1] != spy[5]


def test_another_strength_is_another_model(config, ds, spy, monkeypatch):
    crossfitted(config, ds, "spy", seed=0)
    monkeypatch.setitem(BASE_MODELS, "spy", dataclasses.replace(BASE_MODELS["spy"], grid=(2.0,)))
    crossfitted(config, ds, "spy", seed=0)
    assert len(spy) == 10


def test_shares_follow_the_groups_and_similarities_the_names(config, ds, spy):
    """They are the same for all base models, so they have keys of their own."""
    own = crossfitted(config, ds, "spy", seed=0)
    ungrouped = replaced(ds, **{f"groups_{split}": None for split in ds.splits})
    assert (crossfitted(config, ungrouped, "spy", seed=0).local[0] != own.local[0]).nnz > 0
    renamed = replaced(ds, label_names=flip(ds.label_names))
    assert (crossfitted(config, renamed, "spy", seed=0).affinity[1] != own.affinity[1]).nnz > 0


def test_crossfit_all_leaves_nothing_to_train(config, ds, monkeypatch):
    two = dataclasses.replace(config, seeds=2)
    crossfit_all(two, ds, ["linear", "neighbours"])
    monkeypatch.setattr(crossfit, "_fit_fold", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(base_models, "_judge", lambda *_: pytest.fail("judged again"))
    monkeypatch.setattr(crossfit, "_shares", lambda *_: pytest.fail("searched again"))
    for name in ("linear", "neighbours"):
        for seed in (0, 1):
            assert crossfitted(two, ds, name, seed=seed).scores[0].nnz > 0


# --- all together ---


def test_parts_of_together_are_those_that_a_data_set_has(config, make_dataset):
    few, many = make_dataset(100), make_dataset(101, texts=True)
    assert parts_of_together(config, few) == ["linear", "network"]
    assert parts_of_together(config, many) == ["linear", "label tree", "network"]
    full = RunConfig(dataset="tiny", profile="full")
    assert parts_of_together(full, many) == list(PARTS_OF_TOGETHER)
    assert set(PARTS_OF_TOGETHER) <= set(BASE_MODELS)


@pytest.mark.slow
def test_all_together_are_the_scores_of_each_and_their_mean(config, ds):
    together = crossfitted(config, ds, TOGETHER, seed=0)
    alone = [crossfitted(config, ds, name, seed=0) for name in ("linear", "network")]
    for part in (0, 1):
        assert len(together.scores[part]) == 2
        for i, one in enumerate(alone):
            assert (together.scores[part][i] != one.scores[part]).nnz == 0
        mean = sum(one.scores[part].toarray() for one in alone) / 2
        np.testing.assert_allclose(together.mean_scores()[part].toarray(), mean, rtol=1e-6)
        assert (alone[0].mean_scores()[part] != alone[0].scores[part]).nnz == 0
    costs = [one.cost for one in alone]
    assert together.cost.fit_seconds == pytest.approx(sum(cost.fit_seconds for cost in costs))
    assert together.cost.predict_seconds == pytest.approx(sum(cost.predict_seconds for cost in costs))
    assert together.cost.peak_memory_mb == max(cost.peak_memory_mb for cost in costs)


def test_first_words_are_read_from_the_texts(ds):
    full, name = RunConfig(dataset="tiny", profile="full"), "linear, first words"
    seen, model = crossfitted(full, ds, name, seed=0), make_base_model(full, ds, name, seed=0)
    rows, folds = fitting_rows(ds, seed=0)
    held_out = out_of_fold_scores(model, np.array(rows.texts), rows.Y, folds, n_labels=12)
    np.testing.assert_allclose(seen.scores[0].toarray(), held_out.toarray(), atol=1e-6)
