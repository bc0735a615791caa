"""Data as the models take them: scaling, subsamples, and keys that change with every input."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh import LabelKnowledge
from adathresh.datasets import load_dataset, save_xc
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.data import prepare, rows_key, subsample

SIZES = {"train": 90, "dev": 40, "test": 50}


def write_folder(folder, matrices, Y):
    folder.mkdir()
    for split, X in matrices.items():
        save_xc(folder / f"{split}.txt", sp.csr_array(X, dtype=np.float32), Y[: X.shape[0]])


def test_measurements_are_standardised_by_the_training_rows(ds, tmp_path):
    rng = np.random.default_rng(0)
    matrices = {
        split: rng.normal([5, -3, 0, 2], [1, 10, 0.1, 0], (n, 4)).round(3) for split, n in SIZES.items()
    }
    write_folder(tmp_path / "dense", matrices, ds.train.Y)
    config = RunConfig(dataset="dense", data_dir=str(tmp_path))
    scaled = prepare(config)
    mean, std = matrices["train"].mean(axis=0), matrices["train"].std(axis=0)
    for split, X in matrices.items():
        got = scaled.splits[split].X
        expected = (X - mean) / np.where(std > 1e-6, std, 1)
        assert isinstance(got, sp.csr_array)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got.toarray(), expected, atol=1e-4)
    np.testing.assert_allclose(scaled.train.X.toarray()[:, :3].std(axis=0), 1, atol=1e-5)
    published = load_dataset("dense", data_dir=tmp_path, progress=False)
    assert scaled.fingerprint == published.fingerprint
    np.testing.assert_array_equal(scaled.train.Y.toarray(), published.train.Y.toarray())


def test_bags_of_words_get_length_one_and_stay_sparse(ds, tmp_path):
    matrices = {split: 3 * ds.splits[split].X for split in SIZES}
    write_folder(tmp_path / "words", matrices, ds.train.Y)
    config = RunConfig(dataset="words", data_dir=str(tmp_path))
    scaled = prepare(config)
    for split, X in matrices.items():
        got = scaled.splits[split].X
        assert isinstance(got, sp.csr_array)
        assert got.nnz == X.nnz
        rows = X.toarray()
        np.testing.assert_allclose(
            got.toarray(), rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-5
        )
    assert scaled.fingerprint == load_dataset("words", data_dir=tmp_path, progress=False).fingerprint


def numbered(ds):
    """Return the data set with texts and titles that name their rows."""
    rows = range(SIZES["train"])
    return replaced(ds, text_train=[f"row {i}" for i in rows], title_train=[f"title {i}" for i in rows])


def test_a_subsample_keeps_rows_together(ds):
    ds = numbered(ds)
    part = subsample(ds, 25, seed=4)
    rows = [int(text.split()[1]) for text in part.train.texts]
    assert len(set(rows)) == 25
    assert rows == sorted(rows)
    assert part.train.titles == [f"title {row}" for row in rows]
    np.testing.assert_array_equal(part.train.X.toarray(), ds.train.X.toarray()[rows])
    np.testing.assert_array_equal(part.train.Y.toarray(), ds.train.Y.toarray()[rows])
    np.testing.assert_array_equal(part.train.groups, ds.train.groups[rows])
    for name in ("validation", "test", "fingerprint", "label_names", "label_knowledge"):
        assert getattr(part, name) is getattr(ds, name), name


def test_a_subsample_follows_its_seed_and_never_grows(ds):
    ds = numbered(ds)
    assert subsample(ds, 25, seed=4).train.texts == subsample(ds, 25, seed=4).train.texts
    assert subsample(ds, 25, seed=4).train.texts != subsample(ds, 25, seed=5).train.texts
    assert subsample(ds, 90, seed=0) is ds
    assert subsample(ds, 1000, seed=0) is ds
    nothing = dict.fromkeys(("text_train", "title_train", "groups_train"))
    bare = subsample(replaced(ds, **nothing), 25, seed=4)
    assert (bare.train.texts, bare.train.titles, bare.train.groups) == (None, None, None)
    assert bare.train.X.shape == (25, 60)


# --- keys ---


def test_subsamples_have_keys_of_their_own(ds):
    keys = {rows_key(subsample(ds, n, seed=seed)) for n in (25, 40) for seed in range(10)}
    assert len(keys) == 20
    assert rows_key(ds) not in keys


def test_equal_data_have_equal_keys(ds):
    copies = {f"{name}_{split}": getattr(ds.splits[split], name).copy() for name in "XY" for split in SIZES}
    assert rows_key(replaced(ds, **copies)) == rows_key(ds)


def flipped(matrix):
    """Return a matrix with one stored entry moved within its row."""
    dense = matrix.toarray()
    row = dense[0]
    row[[0, int(np.flatnonzero(row != row[0])[0])]] = row[[int(np.flatnonzero(row != row[0])[0]), 0]]
    return sp.csr_array(dense)


def changes(ds, split):
    rows = ds.splits[split]
    return {
        "features": {f"X_{split}": flipped(rows.X)},
        "values of features": {f"X_{split}": sp.csr_array(rows.X * np.float32(1.5))},
        "labels": {f"Y_{split}": flipped(rows.Y)},
        "texts": {f"text_{split}": ["another", *rows.texts[1:]]},
        "no texts": {f"text_{split}": None},
        "titles": {f"title_{split}": ["another", *rows.titles[1:]]},
        "no titles": {f"title_{split}": None},
        "groups": {f"groups_{split}": np.r_[rows.groups[0] + 1, rows.groups[1:]]},
        "no groups": {f"groups_{split}": None},
        "order of rows": {
            f"{name}_{split}": value
            for name, value in (
                ("X", rows.X[::-1]),
                ("Y", rows.Y[::-1]),
                ("text", rows.texts[::-1]),
                ("title", rows.titles[::-1]),
                ("groups", rows.groups[::-1]),
            )
        },
    }


@pytest.mark.parametrize("split", SIZES)
@pytest.mark.parametrize(
    "what",
    [
        "features",
        "values of features",
        "labels",
        "texts",
        "no texts",
        "titles",
        "no titles",
        "groups",
        "no groups",
        "order of rows",
    ],
)
def test_every_input_of_every_split_is_part_of_the_key(titled, split, what):
    changed = replaced(titled, **changes(titled, split)[what])
    assert rows_key(changed) != rows_key(titled)


def test_texts_and_titles_are_told_apart(ds):
    titled, written = (
        replaced(ds, text_train=texts, title_train=titles)
        for texts, titles in ((None, ds.train.texts), (ds.train.texts, None))
    )
    assert rows_key(titled) != rows_key(written)


def test_what_is_known_of_labels_is_part_of_the_key(ds):
    names = ds.label_names
    known = [
        None,
        LabelKnowledge(names),
        LabelKnowledge([*names[:-1], "another"]),
        LabelKnowledge(names, synonyms={0: ["another"]}),
        LabelKnowledge(names, synonyms={1: ["another"]}),
        LabelKnowledge(names, parents={0: [1]}),
        LabelKnowledge(names, parents={1: [0]}),
    ]
    assert len({rows_key(replaced(ds, label_knowledge=one)) for one in known}) == len(known)
    assert rows_key(replaced(ds, label_knowledge=LabelKnowledge(names))) == rows_key(ds)


def test_names_of_labels_are_part_of_the_key(ds):
    renamed = dataclasses.replace(ds, label_names=["another", *ds.label_names[1:]])
    assert rows_key(renamed) != rows_key(ds)


def test_the_number_of_features_is_part_of_the_key(ds):
    wider = {
        f"X_{split}": sp.csr_array((X.data, X.indices, X.indptr), shape=(X.shape[0], 61))
        for split in SIZES
        for X in [ds.splits[split].X]
    }
    assert rows_key(replaced(ds, **wider)) != rows_key(ds)
