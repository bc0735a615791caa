"""What a score owes to the split: rows drawn anew, near-duplicates left out, the same rules on both."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import changed, flat_dataset, replaced, table_of
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from adathresh.datasets import make_longtail
from adathresh.experiments import nb18_splits as study
from adathresh.experiments.core.config import RunConfig
from adathresh.experiments.core.crossfit import crossfitted
from adathresh.experiments.core.fold_scores import fitting_rows
from adathresh.rules import FixedThreshold, GlobalThreshold

SIZES = {"train": 120, "dev": 40, "test": 60}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADATHRESH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def config():
    return RunConfig(dataset="tiny")


@pytest.fixture(scope="module")
def ds():
    X, Y = make_longtail(220, 60, 12, labels_per_row=2, features_per_row=12, random_state=3)
    ends = np.cumsum(list(SIZES.values()))
    parts = {split: slice(end - SIZES[split], end) for split, end in zip(SIZES, ends, strict=True)}
    words = ["".join("abcdefghij"[int(digit)] for digit in f"{row:03d}") for row in range(220)]
    words[165], words[170], words[218] = f"{words[3]} 12!", words[140], words[3].upper()
    return flat_dataset(
        name="tiny",
        **{f"X_{split}": X[rows] for split, rows in parts.items()},
        **{f"Y_{split}": Y[rows] for split, rows in parts.items()},
        **{f"text_{split}": words[rows] for split, rows in parts.items()},
        **{f"groups_{split}": np.arange(220)[rows] // 20 for split, rows in parts.items()},
        label_names=[f"label {i}" for i in range(12)],
        feature_names=[f"feature {i}" for i in range(60)],
        fingerprint=f"{7:064x}",
        validation_source="official",
    )


@pytest.fixture(scope="module")
def labelled(config, ds):
    return study.label_sets_of(config, ds, seed=0)


@pytest.fixture(scope="module")
def compared(config, ds):
    return study.compare_splits(config, ds, seed=0)


def pooled(ds, name):
    return sp.vstack([getattr(ds.splits[split], name) for split in SIZES]).toarray()


def test_random_split_deals_out_the_same_rows(ds):
    drawn = study.random_split(ds, seed=0)
    assert [drawn.splits[split].X.shape[0] for split in SIZES] == list(SIZES.values())
    texts = {split: drawn.splits[split].texts for split in SIZES}
    before = [text for split in SIZES for text in ds.splits[split].texts]
    after = [text for split in SIZES for text in texts[split]]
    assert sorted(after) == sorted(before)
    # features, labels and text of a row stay together
    unique = {text: row for row, text in enumerate(before) if before.count(text) == 1}
    at = [(row, unique[text]) for row, text in enumerate(after) if text in unique]
    assert len(at) > 200
    for name in ("X", "Y"):
        old, new = pooled(ds, name), pooled(drawn, name)
        assert all((new[row] == old[origin]).all() for row, origin in at)
    assert [drawn.splits[split].groups for split in SIZES] == [None] * 3
    again, other = study.random_split(ds, seed=0), study.random_split(ds, seed=1)
    assert again.test.texts == drawn.test.texts != other.test.texts
    assert len({text in ds.test.texts for text in drawn.test.texts}) == 2  # from old test rows and others


def test_random_split_without_texts(ds):
    drawn = study.random_split(replaced(ds, **{f"text_{split}": None for split in SIZES}), seed=0)
    assert drawn.train.texts is None
    assert drawn.test.Y.nnz > 0


def test_known_texts(ds):
    # test rows 5 and 58 say the same as training row 3, test row 10 as validation row 20
    assert np.flatnonzero(study.known_texts(ds)).tolist() == [5, 58]


@pytest.mark.slow
def test_rules_are_fitted_on_held_out_scores(config, ds, labelled):
    scores, label_sets = labelled
    assert list(label_sets) == ["fixed 0.5", "global threshold", "adaptive"]
    np.testing.assert_array_equal(
        label_sets["fixed 0.5"].toarray(),
        FixedThreshold(0.5).fit(scores, ds.test.Y).predict(scores).toarray(),
    )
    for predicted in label_sets.values():
        assert predicted.shape == ds.test.Y.shape
    rows = fitting_rows(ds, seed=0).rows
    fitting, test = crossfitted(config, ds, "linear", seed=0).scores
    assert (test != scores).nnz == 0
    own = GlobalThreshold("macro_f1").fit(fitting, rows.Y).predict(test)
    assert (own != label_sets["global threshold"]).nnz == 0


@pytest.mark.slow
def test_labels_of_test_rows_are_never_read(config, ds, labelled, monkeypatch, tmp_path):
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path))
    scores, label_sets = study.label_sets_of(config, replaced(ds, Y_test=ds.test.Y[::-1]), seed=0)
    assert (scores != labelled[0]).nnz == 0
    for rule, predicted in label_sets.items():
        assert (predicted != labelled[1][rule]).nnz == 0, rule


def macro(Y, predicted):
    return f1_score(Y.toarray(), predicted.toarray(), average="macro", zero_division=0)


@pytest.mark.slow
def test_rows_of_every_split(config, ds, labelled, compared):
    rows, _ = compared
    found = {(row["test_rows"], row["rule"]): row for row in rows}
    rules = ("fixed 0.5", "global threshold", "adaptive")
    variants = [
        "as published",
        "without near-duplicates",
        "as many at random",
        "near-duplicates alone",
        "all rows split at random",
    ]
    assert len(rows) == len(found) == 15
    assert set(found) == {(variant, rule) for variant in variants for rule in rules}
    assert [found[variant, "adaptive"]["n_rows"] for variant in variants] == [60, 58, 58, 2, 60]
    kept = np.setdiff1d(np.arange(60), [5, 58])
    for rule in rules:
        predicted = labelled[1][rule]
        assert found["as published", rule]["macro_f1"] == pytest.approx(macro(ds.test.Y, predicted))
        without = macro(ds.test.Y[kept], predicted[kept])
        assert found["without near-duplicates", rule]["macro_f1"] == pytest.approx(without)
        alone = f1_score(
            ds.test.Y[[5, 58]].toarray(), predicted[[5, 58]].toarray(), average="micro", zero_division=0
        )
        assert found["near-duplicates alone", rule]["micro_f1"] == pytest.approx(alone)
        drawn = study.random_split(ds, seed=0)
        predicted = study.label_sets_of(config, drawn, seed=0)[1][rule]
        random = found["all rows split at random", rule]["macro_f1"]
        assert random == pytest.approx(macro(drawn.test.Y, predicted))
    for row in rows:
        assert (row["dataset"], row["split"], row["seed"], row["base"]) == ("tiny", "test", 0, "linear")


def test_the_control_is_a_mean_over_draws(config, ds, labelled, monkeypatch):
    monkeypatch.setattr(study, "N_CONTROLS", 3)
    predicted = {"fixed 0.5": labelled[1]["fixed 0.5"]}
    row = study.near_duplicate_rows(config, ds, predicted, study.known_texts(ds), seed=9)[1]
    rng = np.random.default_rng(9)
    draws = [rng.permutation(60)[:58] for _ in range(3)]
    expected = [macro(ds.test.Y[draw], predicted["fixed 0.5"][draw]) for draw in draws]
    assert row["test_rows"] == "as many at random"
    assert row["macro_f1"] == pytest.approx(np.mean(expected))
    assert np.ptp(expected) > 0


def test_areas_under_the_curves_of_every_split(compared, ds):
    _, auroc = compared
    names = list(dict.fromkeys(row["scores"] for row in auroc))
    assert names == [
        "linear, as published",
        "linear, without near-duplicates",
        "linear, all rows split at random",
    ]
    assert {row["split"] for row in auroc} == {"test"}
    assert len({row["value"] for row in auroc if row["training_rows"] == "all"}) == 3


def test_sets_without_texts_or_groups_are_shown_as_published(config, ds, monkeypatch):
    monkeypatch.setattr(
        study, "label_sets_of", lambda *args, **options: (ds.test.Y, {"fixed 0.5": ds.test.Y})
    )
    nothing = {f"{name}_{split}": None for name in ("text", "groups") for split in SIZES}
    rows, auroc = study.compare_splits(config, replaced(ds, **nothing), seed=0)
    assert [row["test_rows"] for row in rows] == ["as published"]
    assert {row["scores"] for row in auroc} == {"linear, as published"}
    different = {**nothing, "text_train": ["a"] * 120, "text_dev": ["a"] * 40, "text_test": ["bb"] * 60}
    rows, _ = study.compare_splits(config, replaced(ds, **different), seed=0)
    assert [row["test_rows"] for row in rows] == ["as published"]


# --- claims ---


@pytest.fixture
def tables():
    return {
        "splits": table_of(
            ["test_rows", "rule", "macro_f1", "micro_f1"],
            ("as published", "adaptive", 0.1, 0.2),
            ("all rows split at random", "adaptive", 0.3, 0.4),
            ("as published", "fixed 0.5", 0.9, 0.9),
        ),
        "auroc": table_of(
            ["scores", "training_rows", "value", "low", "high"],
            ("linear, as published", "all", 0.6, 0.5, 0.7),
            ("linear, as published", "1–5", 0.4, 0.3, 0.5),
            ("linear, all rows split at random", "all", 0.8, 0.7, 0.9),
            ("linear, without near-duplicates", "all", 0.55, 0.45, 0.65),
        ),
    }


def outcomes(tables):
    return {claim["claim"]: claim["outcome"] for claim in study.claims(tables)}


BY_RULE = "Macro-F1 by rule, as published"
BY_SPLIT = "Macro-F1 of adaptive by split"


def test_the_orders_of_rules_and_splits_are_claimed(tables):
    assert outcomes(tables) == {
        BY_RULE: "fixed 0.5 > adaptive",
        "Macro-F1 by rule, all rows split at random": "adaptive",
        BY_SPLIT: "all rows split at random > as published",
    }
    other = changed(tables, "splits", 0.0, test_rows="all rows split at random")
    assert outcomes(other)[BY_SPLIT] == "as published > all rows split at random"
    assert outcomes(changed(tables, "splits", 0.0, rule="fixed 0.5"))[BY_RULE] == "adaptive > fixed 0.5"


def test_without_groups_nothing_is_claimed_of_a_random_split(tables):
    published = tables["splits"].query("test_rows == 'as published'")
    assert list(outcomes({"splits": published})) == [BY_RULE]


def test_texts_known_to_the_training_rows_are_compared_with_as_many_others(tables):
    parts = ["without near-duplicates", "as many at random", "as published"]
    splits = tables["splits"].assign(test_rows=parts)
    order = outcomes({"splits": splits})["Macro-F1 of adaptive by test rows"]
    assert order == "as many at random > without near-duplicates"


def test_the_finding_is_about_the_split_at_random_where_there_are_groups(tables):
    assert study.finding(tables) == (
        "A split at random, which parts rows that belong together, shows 0.300 / 0.400 (macro-F1 / micro-F1) "
        "for `adaptive` where the published split, on other test rows, shows 0.100 / 0.200; macro-AUROC is "
        "0.800 (95 % interval 0.700 to 0.900) where it is 0.600 (95 % interval 0.500 to 0.700)."
    )


def test_without_groups_the_finding_is_about_texts_or_no_other_split(tables):
    splits = tables["splits"].assign(test_rows=["as published", "without near-duplicates", "as published"])
    control = splits.iloc[[0]].assign(test_rows="as many at random", macro_f1=0.2)
    text = study.finding({**tables, "splits": pd.concat([splits, control])})
    assert "reaches 0.300 / 0.400 (macro-F1 / micro-F1), without as many others 0.200 / 0.200, on" in text
    assert "macro-AUROC without them is 0.550 (95 % interval 0.450 to 0.650), on all test rows 0.600" in text
    text = study.finding({**tables, "splits": splits.query("test_rows == 'as published'")})
    assert text.startswith("No other split is compared, since")
    assert "reaches 0.100 / 0.200 (macro-F1 / micro-F1)" in text
