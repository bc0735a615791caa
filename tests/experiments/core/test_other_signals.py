"""Neighbour shares and what label texts say: of a fitting row, from the other folds only."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh import LabelKnowledge, NeighborLabels
from adathresh.experiments.core import other_signals as module
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.other_signals import LABEL_TEXTS, other_signals
from adathresh.models.prototypes import LabelPrototypes
from adathresh.signals.label_text import LabelAffinity
from adathresh.signals.mentions import LabelMentions
from adathresh.utils.texts import label_vectorizer, word_vectorizer

pytestmark = pytest.mark.usefixtures("tiny_profile")

SEARCHES = ("neighbours", "neighbours by title")
LEARNT = (*SEARCHES, "mentions", "mentions in titles", "prototypes")  # all but the similarity see labels


def both(signals):
    """Return shares and what label texts say in one dict for the fitting rows, and one for the test rows."""
    (local, local_test), (said, said_test) = signals
    return {**local, **said}, {**local_test, **said_test}


def without_titles(ds):
    return replaced(ds, **{f"title_{split}": None for split in ds.splits})


# --- which there are ---


def test_signals_are_named_in_a_fixed_order(config, ds, titled, make_dataset):
    for rows, searches, said in (
        (titled, SEARCHES, LABEL_TEXTS),
        (ds, SEARCHES[:1], ("similarity", "mentions", "prototypes")),
        (make_dataset(groups=True), SEARCHES[:1], ()),
    ):
        for _ in range(2):  # computed, then stored
            local, affinity = other_signals(rows, seed=0)
            assert [list(part) for part in local] == [list(searches)] * 2
            assert [list(part) for part in affinity] == [list(said)] * 2
            for part, n_rows in ((0, 130), (1, 50)):
                for name, matrix in (local[part] | affinity[part]).items():
                    assert matrix.shape == (n_rows, 12), name
                    assert matrix.nnz > 0, name


def test_names_of_labels_say_nothing_where_rows_have_no_texts(ds):
    """A folder may describe its labels and hold features only."""
    features_only = replaced(ds, **{f"text_{split}": None for split in ds.splits})
    assert features_only.label_knowledge is not None
    (shares, _), affinity = other_signals(features_only, seed=0)
    assert list(shares) == ["neighbours"]
    assert affinity == ({}, {})


def test_titles_give_a_second_search_and_leave_the_first_as_it_is(titled):
    (with_titles, _), (without, _) = (other_signals(rows, seed=0)[0] for rows in (titled, bare(titled)))
    assert (with_titles["neighbours"] != without["neighbours"]).nnz == 0
    assert (with_titles["neighbours"] != with_titles["neighbours by title"]).nnz > 0


def bare(ds):
    """Return the data set with features and groups only."""
    return replaced(without_titles(ds), label_knowledge=None, **{f"text_{s}": None for s in ds.splits})


# --- from other folds ---


@pytest.fixture(scope="module")
def stored(titled, tmp_path_factory):
    """Signals of the titled rows, by seed, computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {seed: both(other_signals(titled, seed=seed)) for seed in (0, 1)}


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_labels_of_the_own_fold_do_not_reach_a_row(titled, stored, fold):
    folds = fitting_rows(titled, seed=0).folds
    rows, Y = np.flatnonzero(folds == fold), fitting_labels(titled).toarray()
    Y[rows] = Y[np.roll(rows, 7)]
    changed = replaced(titled, Y_train=sp.csr_array(Y[:90]), Y_dev=sp.csr_array(Y[90:]))
    after, test_after = both(other_signals(changed, seed=0))
    before, test_before = stored[0]
    assert set(after) == {"similarity", *LEARNT}
    for name, matrix in after.items():
        own, other = before[name].toarray(), matrix.toarray()
        np.testing.assert_array_equal(other[rows], own[rows], err_msg=name)
        for another in {0, 1, 2} - {fold}:
            part = folds == another
            assert (other[part] != own[part]).any() == (name in LEARNT), name
        assert (test_before[name] != test_after[name]).nnz > 0 or name not in LEARNT, name


def test_a_group_is_in_one_fold_and_so_not_its_own_neighbour(titled, stored):
    """With groups of their own the folds are others: rows of a former group now find each other."""
    alone = replaced(titled, groups_train=np.arange(90), groups_dev=np.arange(90, 130))
    shares = other_signals(alone, seed=0)[0][0]
    for name in SEARCHES:
        assert (shares[name] != stored[0][0][name]).nnz > 0


def test_seeds_have_folds_of_their_own_but_test_rows_see_all(stored):
    for name in LEARNT:
        assert (stored[0][0][name] != stored[1][0][name]).nnz > 0, name
    for name in ("similarity", *LEARNT):
        assert (stored[0][1][name] != stored[1][1][name]).nnz == 0, name


def fold_by_fold(fit, read, folds):
    """Let each fold's rows be answered by what was fitted on all others: a plain loop."""
    found = np.zeros((len(folds), 12))
    for fold in (0, 1, 2):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        found[own] = fit(others)(read(own)).toarray()
    return found


def test_shares_are_those_of_a_search_in_the_other_folds(titled, stored):
    rows, folds = fitting_rows(titled, seed=0)
    titles = word_vectorizer().fit(rows.titles)
    by_title = titles.transform(rows.titles), titles.transform(titled.test.titles)
    for name, (X, X_test) in zip(SEARCHES, ((rows.X, titled.test.X), by_title), strict=True):
        expected = fold_by_fold(
            lambda others, X=X: NeighborLabels().fit(X[others], rows.Y[others]).transform,
            lambda own, X=X: X[own],
            folds,
        )
        np.testing.assert_allclose(stored[0][0][name].toarray(), expected, atol=1e-6, err_msg=name)
        of_test = NeighborLabels().fit(X, rows.Y).transform(X_test)
        np.testing.assert_allclose(stored[0][1][name].toarray(), of_test.toarray(), atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("name", "field"), [("mentions", "texts"), ("mentions in titles", "titles")])
def test_mentions_are_as_precise_as_in_the_other_folds(titled, stored, name, field):
    rows, folds = fitting_rows(titled, seed=0)
    read = np.array(getattr(rows, field), dtype=object)

    def fit(others):
        return LabelMentions(titled.label_knowledge).fit(list(read[others]), rows.Y[others]).transform

    expected = fold_by_fold(fit, lambda own: list(read[own]), folds)
    np.testing.assert_allclose(stored[0][0][name].toarray(), expected, atol=1e-6)
    of_test = fit(np.arange(130))(getattr(titled.test, field))
    np.testing.assert_allclose(stored[0][1][name].toarray(), of_test.toarray(), atol=1e-6)


def test_prototypes_are_made_of_the_other_folds(titled, stored):
    rows, folds = fitting_rows(titled, seed=0)
    texts = np.array(rows.texts, dtype=object)

    def fit(others):
        return LabelPrototypes(titled.label_knowledge).fit(list(texts[others]), rows.Y[others]).top_scores

    expected = fold_by_fold(fit, lambda own: list(texts[own]), folds)
    np.testing.assert_allclose(stored[0][0]["prototypes"].toarray(), expected, atol=1e-6)
    of_test = fit(np.arange(130))(titled.test.texts)
    np.testing.assert_allclose(stored[0][1]["prototypes"].toarray(), of_test.toarray(), atol=1e-6)


# --- texts and names only ---


def test_similarity_reads_texts_and_names_only(titled, stored):
    """The texts are the names of their labels."""
    fitting, test = (part["similarity"].toarray() for part in stored[0])
    np.testing.assert_array_equal(fitting > 0, fitting_labels(titled).toarray() > 0)
    np.testing.assert_array_equal(test > 0, titled.test.Y.toarray() > 0)
    texts = fitting_rows(titled, seed=0).rows.texts
    names = list(titled.label_knowledge.names)
    words = label_vectorizer(names, texts)
    expected = LabelAffinity().fit(words.transform(names)).transform(words.transform(texts))
    np.testing.assert_allclose(fitting, expected.toarray(), atol=1e-6)


def test_a_mention_is_where_the_name_or_a_synonym_is(titled, stored):
    for field, name in (("texts", "mentions"), ("titles", "mentions in titles")):
        for matrix, read in zip(
            (part[name].toarray() for part in stored[0]),
            (getattr(fitting_rows(titled, seed=0).rows, field), getattr(titled.test, field)),
            strict=True,
        ):
            expected = [[label in text.split() for label in titled.label_names] for text in read]
            np.testing.assert_array_equal(matrix > 0, expected)
            assert matrix.max() < 1


def test_synonyms_are_said_as_names_are(titled):
    """The same labels under names that no text holds, and with the old names as synonyms."""
    unknown = [f"unheard of {name}x" for name in titled.label_names]
    synonyms = [[name] for name in titled.label_names]
    found = {}
    for given in (None, synonyms):
        known = LabelKnowledge(unknown, synonyms=given)
        found[given is not None] = both(other_signals(replaced(titled, label_knowledge=known), seed=0))
    named = both(other_signals(titled, seed=0))[1]
    for name in ("mentions", "mentions in titles"):
        np.testing.assert_array_equal(found[True][1][name].toarray(), named[name].toarray(), err_msg=name)
        assert found[False][1][name].nnz == 0
    assert found[True][1]["similarity"].nnz > found[False][1]["similarity"].nnz == 0
    assert (found[False][1]["prototypes"] != found[True][1]["prototypes"]).nnz > 0


def test_labels_and_order_of_test_rows_change_nothing(titled, stored):
    other = replaced(titled, Y_test=titled.test.Y[np.random.default_rng(0).permutation(50)])
    for mine, others in zip(stored[0], both(other_signals(other, seed=0)), strict=True):
        for name, matrix in mine.items():
            np.testing.assert_array_equal(matrix.toarray(), others[name].toarray(), err_msg=name)


# --- what is computed again ---


def test_signals_are_computed_once_for_a_seed(titled, monkeypatch):
    other_signals(titled, seed=0)
    computed = []
    for name in ("_shares", "_said_by_labels"):
        work = getattr(module, name)

        def recorded(ds, *, seed, name=name, work=work):
            computed.append((name, seed))
            return work(ds, seed=seed)

        monkeypatch.setattr(module, name, recorded)
    other_signals(titled, seed=0)
    assert computed == []
    other_signals(titled, seed=1)
    assert computed == [("_shares", 1), ("_said_by_labels", 1)]


def test_shares_follow_the_groups_and_similarities_the_names(titled, stored):
    """They are the same for all base models, so they have keys of their own."""
    ungrouped = replaced(titled, **{f"groups_{split}": None for split in titled.splits})
    other_signals(titled, seed=0)
    assert (other_signals(ungrouped, seed=0)[0][0]["neighbours"] != stored[0][0]["neighbours"]).nnz > 0
    renamed = replaced(titled, label_knowledge=LabelKnowledge(titled.label_names[::-1]))
    assert (other_signals(renamed, seed=0)[1][1]["similarity"] != stored[0][1]["similarity"]).nnz > 0
