"""Corrupted tables are caught: what changes a claim by verifying, what changes an effect by comparing.

Every published table is corrupted in several ways: the numbers of two rows are swapped, the effect is
removed, a group is shifted by half of the effect, the names of two rows are exchanged.
"""

import importlib
import json
import shutil
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from adathresh.experiments.core.agreement import LEAST, SHARE, UNSEEDED_SHARE, agreement
from adathresh.experiments.core.base_models import UNSEEDED
from adathresh.experiments.core.claims import as_table, claims_differ
from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.costs import COSTS
from adathresh.experiments.core.results import RECORD, as_csv, read_table, read_tables
from adathresh.experiments.nb05_calibration import FUSED
from adathresh.experiments.verify import verify_notebook

RESULTS = repository_root() / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob(f"**/{RECORD}"))
OWN = ("pyapi", "pyapi-large")
INTERVAL = ["difference", "low", "high"]  # shifted together, as a wrong difference would have them
N_EACH = 4  # corruptions of each kind and table


def place(folder):
    return folder.relative_to(RESULTS).as_posix()


def marked(folders):
    """Return folders as parameters; all but those of README's first command are left to the slow tests."""
    return [
        pytest.param(
            folder, id=place(folder), marks=[] if folder.parent == RESULTS / "pyapi" else pytest.mark.slow
        )
        for folder in folders
    ]


def record_name(folder):
    return json.loads((folder / RECORD).read_text(encoding="utf-8"))["notebook"]


def published(folder):
    """Return a folder's tables, its claims as a function of tables, and what it claims."""
    if not (folder / "claims.csv").is_file():
        pytest.skip(f"{place(folder)} has no claims yet")
    claims = importlib.import_module(f"adathresh.experiments.nb{record_name(folder)}").claims
    return read_tables(folder), claims, read_table(folder / "claims.csv")


# --- corruptions ---


def columns_of(table):
    """Return the columns of numbers that are compared, and those of text."""
    numbers = [
        name
        for name in table.select_dtypes("number")
        if name != "seed" and name not in COSTS and table[name].notna().any()
    ]
    texts = [name for name in table.select_dtypes(["object", "string"]) if name != "fingerprint"]
    return numbers, texts


def corruptions(table):
    """Yield the kind of a corruption and the corrupted table."""
    numbers, texts = columns_of(table)
    rng = np.random.default_rng(0)
    exchanged = table.astype(dict.fromkeys(numbers, float))
    named = table[texts].to_numpy(object)
    pairs = (
        [pair for pair in combinations(range(len(table)), 2) if (named[pair[0]] != named[pair[1]]).any()]
        if len(table) < 60
        else [tuple(rng.permutation(len(table))[:2]) for _ in range(50)]
    )
    for first, second in _some(pairs, rng):
        corrupted = exchanged.copy()
        corrupted.loc[[first, second], numbers] = exchanged.loc[[second, first], numbers].to_numpy()
        yield "swapped", corrupted
    for name in _some(numbers, rng):
        corrupted = exchanged.copy()
        corrupted[name] = corrupted[name].mean()
        yield "levelled", corrupted
    groups = [(column, value) for column in texts for value in table[column].unique()]
    for column, value in _some([group for group in groups if (table[group[0]] != group[1]).any()], rng):
        name = numbers[rng.integers(len(numbers))]
        finite = exchanged[name].replace([np.inf, -np.inf], np.nan)
        moved = [other for other in INTERVAL if other in numbers] if name in INTERVAL else [name]
        for sign in (1, -1):
            corrupted = exchanged.copy()
            corrupted.loc[table[column] == value, moved] += sign * np.ptp(finite.dropna()) / 2
            yield "shifted", corrupted
    for column, names in zip(texts, named.T, strict=True):
        differing = [pair for pair in pairs if names[pair[0]] != names[pair[1]]]
        for first, second in _some(differing, rng)[:2]:
            corrupted = table.copy()
            corrupted.loc[[first, second], column] = table.loc[[second, first], column].to_numpy()
            yield "renamed", corrupted


def _some(items, rng):
    """Return a few of the items, the first among them."""
    chosen = sorted({0, *rng.permutation(len(items))[: N_EACH - 1].tolist()}) if items else []
    return [items[i] for i in chosen]


def outcome(claims, tables):
    """Return what tables claim, or None where nothing can be read off them."""
    try:
        return as_table(claims(tables))
    except (KeyError, IndexError, ValueError, TypeError):
        return None


# --- every table ---


@pytest.mark.slow
@pytest.mark.parametrize("folder", marked(FOLDERS))
def test_every_corruption_that_changes_a_claim_is_caught_by_verifying(folder, tmp_path):
    tables, claims, claimed = published(folder)
    assert claims_differ(as_table(claims(tables)), claimed) == []
    copy = shutil.copytree(folder, tmp_path / "copy")
    found = []
    for name, table in tables.items():
        for kind, corrupted in corruptions(table):
            made = outcome(claims, {**tables, name: corrupted})
            if made is not None and not claims_differ(made, claimed):
                continue
            found.append(kind)
            if found.count(kind) > N_EACH:
                continue  # verifying reads files
            (copy / f"{name}.csv").write_text(as_csv(corrupted), encoding="utf-8")
            _, problems = verify_notebook(copy)
            assert problems, (name, kind)
        shutil.copy(folder / f"{name}.csv", copy)
    assert verify_notebook(copy)[1] == []
    # something was at stake; a table of one row has no effect, and there may be none
    assert found or not tables or record_name(folder) == "01_data"


def allowed(table, unseeded):
    """Return what each number may differ by: by loops, for the oracle of the tolerances."""
    numbers, _ = columns_of(table)
    found = pd.DataFrame(index=table.index, columns=numbers, dtype=float)
    bases = table["base"] if "base" in table else pd.Series("all", index=table.index)
    for base in bases.unique():
        share = UNSEEDED_SHARE if unseeded and base in UNSEEDED else SHARE
        for name in numbers:
            values = [value for value in table.loc[bases == base, name] if np.isfinite(value)]
            spread = max(values) - min(values) if values else 0.0
            found.loc[bases == base, name] = max(share * spread, LEAST)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", marked([path for path in FOLDERS if path.relative_to(RESULTS).parts[0] in OWN])
)
def test_every_corruption_of_an_effect_is_caught_by_claims_or_by_comparing(folder):
    tables, claims, claimed = published(folder)
    n_tried = 0
    for name, table in tables.items():
        has_unseeded = "base" in table and table["base"].isin(UNSEEDED).any()
        unseeded = f"base in {list(UNSEEDED)}" if has_unseeded else None
        table = table.drop(columns=list(COSTS), errors="ignore")
        numbers, _ = columns_of(table)
        if not numbers:
            continue
        tolerance = allowed(table, unseeded)
        for kind, corrupted in corruptions(table):
            n_tried += 1
            made = outcome(claims, {**tables, name: corrupted})
            caught = made is None or claims_differ(made, claimed)
            caught = caught or not agreement(corrupted, table, unseeded=unseeded).holds
            moved = (corrupted[numbers] - table[numbers]).abs() > tolerance
            appeared = corrupted[numbers].isna() != table[numbers].isna()
            if kind == "renamed":
                assert caught, (name, kind)
            else:
                assert bool(caught) or not (moved | appeared).any(axis=None), (name, kind)
            if kind in ("levelled", "shifted") and not caught:  # the effect itself is rounding
                changed = (corrupted[numbers] - table[numbers]).abs().max(axis=None)
                assert np.isnan(changed) or changed <= 2 * LEAST, (name, kind)
    assert n_tried


# --- what once went through: the corruptions that the former guard let pass ---


def own_folders(notebook):
    found = [path for path in FOLDERS if path.name == notebook and path.relative_to(RESULTS).parts[0] in OWN]
    return [pytest.param(path, id=place(path)) for path in found] or [
        pytest.param(
            None, marks=pytest.mark.skip(reason=f"the embedded corpus has no results of {notebook} yet")
        )
    ]


def is_caught(folder, name, corrupted, *, unseeded=None):
    """Whether the claims or the comparison of one corrupted table say that something is wrong."""
    tables, claims, claimed = published(folder)
    made = outcome(claims, {**tables, name: corrupted})
    by_claims = made is None or bool(claims_differ(made, claimed))
    drop = {"columns": list(COSTS), "errors": "ignore"}
    by_comparing = not agreement(corrupted.drop(**drop), tables[name].drop(**drop), unseeded=unseeded).holds
    return by_claims, by_comparing


@pytest.mark.parametrize("folder", own_folders("05_calibration"))
@pytest.mark.parametrize("isotonic", ["isotonic, per label", "isotonic, pooled"])
def test_calibration_of_isotonic_and_fused_swapped(folder, isotonic):
    tables, _, _ = published(folder)
    table = tables["calibration"].copy()
    every = table["labels"] == "all"
    one, other = (table.index[every & (table["probabilities"] == name)] for name in (isotonic, FUSED))
    measured = ["ece", "brier"]
    before = table.loc[one, measured].to_numpy(), table.loc[other, measured].to_numpy()
    table.loc[one, measured], table.loc[other, measured] = before[::-1]
    if np.abs(before[0] - before[1]).max() <= LEAST:
        pytest.skip(f"{isotonic} and fused do not differ by more than rounding")
    assert any(is_caught(folder, "calibration", table))


@pytest.mark.parametrize("folder", own_folders("05_calibration"))
def test_signs_of_the_calibration_differences_reversed(folder):
    tables, _, _ = published(folder)
    table = tables["calibration_differences"].copy()
    table[["difference", "low", "high"]] = -table[["difference", "high", "low"]].to_numpy()
    assert all(is_caught(folder, "calibration_differences", table))


@pytest.mark.parametrize("folder", own_folders("06_leakage"))
def test_the_leak_taken_out_of_every_released_row(folder):
    tables, _, _ = published(folder)
    table = tables["reported"].copy()
    for _, of_seed in table.groupby("seed"):
        withheld = of_seed.loc[of_seed["method"] == "labels withheld", ["macro_f1", "micro_f1"]]
        released = of_seed.index[of_seed["method"].str.startswith("released")]
        assert len(released) > 2
        table.loc[released, ["macro_f1", "micro_f1"]] = withheld.to_numpy()
    assert all(is_caught(folder, "reported", table))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param(*folder.values, name, id=folder.id, marks=folder.marks)
        for notebook, name in (("02_baselines", "headline"), ("08_decision_rules", "rules"))
        for folder in own_folders(notebook)
    ],
)
def test_macro_f1_of_all_rules_of_the_label_tree_set_to_the_same(folder, name):
    tables, _, _ = published(folder)
    table = tables[name].copy()
    of_tree = table["base"] == "label tree"
    if not of_tree.any():
        pytest.skip("there is no label tree")
    table.loc[of_tree, "macro_f1"] = 0.040
    _, by_comparing = is_caught(folder, name, table, unseeded=f"base in {list(UNSEEDED)}")
    assert by_comparing
