"""Cross-fitted scores: no row is scored by a model that saw it or its group; order, costs, keys."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.base import BaseEstimator, clone

from adathresh.experiments.core import fold_scores as module
from adathresh.experiments.core.base_models import BASE_MODELS, BaseModel, make_base_model
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.fold_scores import (
    fitting_labels,
    fitting_rows,
    joined,
    out_of_fold_and_test_scores,
)
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


def scores_of(config, ds, name, *, seed=0):
    return out_of_fold_and_test_scores(config, ds, name, seed=seed)[0]


# --- rows and folds ---


def test_models_and_rules_are_fitted_on_training_and_validation_rows(titled):
    ds = titled
    rows, folds = fitting_rows(ds, seed=0)
    np.testing.assert_array_equal(rows.X.toarray(), sp.vstack([ds.train.X, ds.validation.X]).toarray())
    np.testing.assert_array_equal(rows.Y.toarray(), sp.vstack([ds.train.Y, ds.validation.Y]).toarray())
    np.testing.assert_array_equal(rows.Y.toarray(), fitting_labels(ds).toarray())
    assert rows.texts == [*ds.train.texts, *ds.validation.texts]
    assert rows.titles == [*ds.train.titles, *ds.validation.titles]
    np.testing.assert_array_equal(rows.groups, [*ds.train.groups, *ds.validation.groups])
    assert sorted(set(folds)) == [0, 1, 2]
    assert all(len(set(folds[rows.groups == group])) == 1 for group in rows.groups)
    assert (fitting_rows(ds, seed=1).folds != folds).any()
    nothing = {f"{what}_{split}": None for what in ("groups", "text", "title") for split in ds.splits}
    bare = fitting_rows(replaced(ds, **nothing), seed=0).rows
    assert (bare.groups, bare.texts, bare.titles) == (None, None, None)


def test_lists_are_joined_where_there_are_any():
    assert joined([["a", "b"], [], ["c"]]) == ["a", "b", "c"]
    assert joined(part for part in ([], ["c"])) == ["c"]
    assert joined([None, None]) is None


# --- scores ---


def test_no_row_is_scored_by_a_model_that_saw_it_or_its_group(config, ds, spy):
    scores_of(config, ds, "spy")
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
    fitting, test = scores_of(config, ds, "spy")
    np.testing.assert_allclose(fitting.toarray(), own_scores(fitting_rows(ds, seed=0).rows.X, 12))
    np.testing.assert_allclose(test.toarray(), own_scores(ds.test.X, 12))
    assert isinstance(fitting, sp.csr_array)


@pytest.mark.parametrize(
    ("name", "reads"), [("linear", "X"), ("linear, titles", "titles"), ("linear, first words", "texts")]
)
def test_scores_are_those_of_an_independent_cross_fitting(titled, name, reads):
    full = RunConfig(dataset="tiny", profile="full")
    fitting, test = scores_of(full, titled, name, seed=2)
    model = make_base_model(full, titled, name, seed=2)
    rows, folds = fitting_rows(titled, seed=2)
    read = rows.X if reads == "X" else np.array(getattr(rows, reads), dtype=object)
    held_out = out_of_fold_scores(model, read, rows.Y, folds, n_labels=12)
    np.testing.assert_allclose(fitting.toarray(), held_out.toarray(), atol=1e-6)
    on_all = clone(model).fit(read, rows.Y).top_scores(getattr(titled.test, reads))
    np.testing.assert_allclose(test.toarray(), on_all.toarray(), atol=1e-6)


def test_labels_of_the_own_fold_do_not_reach_a_rows_scores(config, titled, monkeypatch):
    # of one strength, as all validation rows choose among several
    one = dataclasses.replace(BASE_MODELS["linear, titles"], grid=(1.0,))
    monkeypatch.setitem(BASE_MODELS, "linear, titles", one)
    folds = fitting_rows(titled, seed=0).folds
    own = scores_of(config, titled, "linear, titles")[0].toarray()
    other = scores_of(config, with_labels_shuffled(titled, folds == 0), "linear, titles")[0].toarray()
    np.testing.assert_array_equal(other[folds == 0], own[folds == 0])
    for fold in (1, 2):
        assert (other[folds == fold] != own[folds == fold]).any()


def with_labels_shuffled(ds, chosen):
    """Return the data set with the labels of some fitting rows dealt out among them anew."""
    rows, Y = np.flatnonzero(chosen), fitting_labels(ds).toarray()
    Y[rows] = Y[np.roll(rows, 7)]
    n_train = ds.train.Y.shape[0]
    return replaced(ds, Y_train=sp.csr_array(Y[:n_train]), Y_dev=sp.csr_array(Y[n_train:]))


def test_costs_add_up_over_the_folds(config, ds, spy, monkeypatch):
    seconds = iter([(1.0, 0.5, 7.0), (2.0, 0.25, 9.0), (3.0, 0.125, 8.0), (10.0, 4.0, 5.0)])

    def measured(fit, predict):
        fit()
        costs = dict(zip(("fit_seconds", "predict_seconds", "peak_memory_mb"), next(seconds), strict=True))
        return predict() | {name: np.array(value) for name, value in costs.items()}

    monkeypatch.setattr(module, "fit_and_predict", measured)
    assert out_of_fold_and_test_scores(config, ds, "spy", seed=0)[1] == (16.0, 4.875, 9.0)


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
    scores_of(config, ds, "spy")
    n_fits = len(spy)
    assert n_fits == 5  # one to choose the strength, three folds, all rows
    scores_of(config, ds, "spy")
    assert len(spy) == n_fits
    scores_of(config, replaced(ds, **change(ds)), "spy")
    assert len(spy) == 2 * n_fits


def test_seeds_have_folds_and_models_of_their_own(config, ds, spy):
    for seed in (0, 1):
        scores_of(config, ds, "spy", seed=seed)
    assert len(spy) == 9  # the strength is chosen once
    assert spy[1] != spy[5]


def test_another_strength_is_another_model(config, ds, spy, monkeypatch):
    scores_of(config, ds, "spy")
    monkeypatch.setitem(BASE_MODELS, "spy", dataclasses.replace(BASE_MODELS["spy"], grid=(2.0,)))
    scores_of(config, ds, "spy")
    assert len(spy) == 10


def test_what_a_model_reads_tells_its_scores_apart(config, titled, monkeypatch):
    found = []
    for reads in ("titles", "texts"):
        one = dataclasses.replace(BASE_MODELS["linear, titles"], grid=(1.0,), reads=reads)
        monkeypatch.setitem(BASE_MODELS, "linear, titles", one)
        found.append(scores_of(config, titled, "linear, titles")[1])
    assert (found[0] != found[1]).nnz > 0
