"""How base models rank over all data sets: averages over seeds, ranks, critical differences."""

import pytest

from adathresh.experiments.across_datasets.models import (
    RULES,
    critical_difference,
    mean_ranks,
    models_table,
    places_with,
    with_texts,
)


def test_base_models_are_averaged_and_the_full_profile_goes_before(folder):
    models = models_table(folder)
    assert models["profile"].tolist() == ["quick"] * 2 + ["full"] * 3
    assert models["base"].tolist() == ["linear", "label tree", "linear", "extra trees", "MiniLM, frozen"]
    assert (models["seeds"] == 2).all()
    assert models.loc[0, list(RULES)].tolist() == pytest.approx([0.1, 0.3, 0.4])
    assert set(with_texts(models)["dataset"]) == {"two"}


def test_ranks_are_those_of_the_base_models_that_all_sets_have(folder):
    ranks = mean_ranks(models_table(folder))
    assert ranks.to_dict("index") == {
        "trees": {"fixed": (5 + 6) / 2, "best_rival": (3.5 + 5) / 2, "adaptive": 1},
        "linear": {"fixed": (6 + 4) / 2, "best_rival": (3.5 + 2) / 2, "adaptive": (2 + 3) / 2},
    }
    assert ranks.index.tolist() == ["trees", "linear"]


@pytest.mark.parametrize(("n_methods", "level", "q"), [(2, 0.05, 1.960), (10, 0.05, 3.164), (5, 0.10, 2.459)])
def test_critical_differences_are_those_of_the_published_table(n_methods, level, q):
    expected = q * (n_methods * (n_methods + 1) / (6 * 20)) ** 0.5
    # the table has three decimals
    assert critical_difference(n_methods, 20, level=level) == pytest.approx(expected, rel=3e-4)


def test_places_are_those_of_the_full_profile_where_there_is_one(folder):
    assert places_with(folder, "02_baselines/gap.csv") == [
        ("one", "quick", folder / "one" / "02_baselines"),
        ("two", "full", folder / "two" / "full" / "02_baselines"),
    ]
