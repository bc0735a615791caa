"""The sources that a result depends on are found however they are imported."""

import ast

import numpy as np
import pytest

from adathresh.experiments.core import base_models, dependencies, fold_scores, other_signals, rules
from adathresh.experiments.core.dependencies import source_digests


def test_the_network_depends_on_what_decides_its_early_stopping():
    found = source_digests("adathresh.experiments.core.trainings")
    assert {
        "adathresh.experiments.core.trainings",
        "adathresh.paper.classifier",
        "adathresh.paper.training",
        "adathresh.metrics",
        "adathresh.metrics.f1",
        "adathresh.utils.validation",
    } <= set(found)
    assert "adathresh.experiments.core.plotting" not in found


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("import adathresh.metrics as m", "adathresh.metrics"),
        ("from adathresh import AdaptiveThreshold", "adathresh.posthoc.threshold"),
        ("from adathresh.rules import SCut", "adathresh.rules"),
        ("from adathresh.signals import knn", "adathresh.signals.knn"),
        ("from adathresh.leakage import only_words", "adathresh.utils.equality"),
        ("from adathresh.models import LabelTree", "adathresh.models.tree"),
        ("def f():\n    from adathresh.models.tree import LabelTree", "adathresh.models.tree"),
        ("from ..utils import files", "adathresh.utils.files"),
        ("from .knn import row_softmax", "adathresh.signals.knn"),
    ],
)
def test_imports_are_found_however_they_are_written(line, module):
    assert module in dependencies._imports("adathresh.signals.idf", ast.parse(line))


def test_other_packages_do_not_count():
    source = "import numpy\nfrom sklearn import base"
    assert dependencies._imports("adathresh.signals.idf", ast.parse(source)) == []


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        (
            "base_models",
            {"models.linear", "models.tree", "models.transformer", "paper.training", "metrics.f1"},
        ),
        ("fold_scores", {"core.base_models", "core.data", "models.words", "posthoc.crossfit"}),
        (
            "other_signals",
            {"core.data", "signals.knn", "signals.label_text", "signals.mentions", "models.prototypes"},
        ),
        ("crossfit", {"core.fold_scores", "core.other_signals", "core.base_models", "posthoc.crossfit"}),
        ("rules", {"core.crossfit", "rules.scut", "posthoc.threshold", "posthoc.fusion", "metrics.f1"}),
    ],
)
def test_what_is_stored_depends_on_all_that_computes_it(module, needs):
    found = source_digests(f"adathresh.experiments.core.{module}")
    assert {place(name) for name in needs} <= set(found)


def place(name):
    """Return the full name of a module."""
    return f"adathresh.experiments.{name}" if name.startswith("core.") else f"adathresh.{name}"


# --- what a change of one module makes stale ---


def test_base_scores_depend_on_no_rule_but_the_one_that_chooses_the_strength():
    found = {name.removeprefix("adathresh.") for name in source_digests(place("core.fold_scores"))}
    assert {name for name in found if name.startswith("rules")} == {"rules.base", "rules.global_threshold"}
    others = ("signals.mentions", "signals.phrases", "signals.label_text", "models.prototypes")
    rule = ("posthoc", "posthoc.threshold", "posthoc.fusion", "posthoc.targets", "posthoc.candidates")
    above = (f"experiments.core.{name}" for name in ("crossfit", "other_signals", "rules", "evaluation"))
    assert found.isdisjoint((*others, *rule, *above))


CHANGES = [
    ("models.linear", {"fold", "rules"}, set()),
    ("posthoc.crossfit", {"fold", "rules"}, set()),
    ("rules.global_threshold", {"fold", "rules"}, set()),
    ("signals.knn", {"shares", "rules"}, set()),
    ("signals.mentions", {"texts", "rules"}, {"fold"}),
    ("models.prototypes", {"texts", "rules"}, {"fold"}),
    ("core.other_signals", {"shares", "texts", "rules"}, {"fold"}),
    ("core.crossfit", {"rules"}, {"fold", "shares", "texts"}),
    ("rules.scut", {"rules"}, {"fold", "shares", "texts"}),
    ("posthoc.fusion", {"rules"}, {"fold", "shares", "texts"}),
    ("core.rules", {"rules"}, {"fold", "shares", "texts"}),
    ("core.evaluation", set(), {"fold", "shares", "texts", "rules"}),
    ("leakage.report", set(), {"fold", "shares", "texts", "rules"}),
]
"""Of a change in a module: what is computed again, and what is kept."""

WORK = {
    "fold": (fold_scores, "_fit_fold"),
    "shares": (other_signals, "_shares"),
    "texts": (other_signals, "_said_by_labels"),
    "rules": (rules, "_predict_choice"),
}


@pytest.mark.usefixtures("tiny_profile")
@pytest.mark.parametrize(("module", "stale", "kept"), CHANGES, ids=[module for module, *_ in CHANGES])
@pytest.mark.slow
def test_a_change_computes_again_what_depends_on_it(config, ds, monkeypatch, module, stale, kept):
    done = []
    arrays = {"macro_f1": np.array(0.5), "names": np.array([""])}
    arrays |= {f"{name}: ": np.array(0.5) for name in ("sets", "probabilities", "mode", "seconds")}
    for name, (where, function) in WORK.items():
        monkeypatch.setattr(where, function, lambda *_, name=name, **__: done.append(name) or arrays)
    monkeypatch.setattr(base_models, "_judge", lambda *_: arrays)

    def computed():
        done.clear()
        fold_scores.fold_scores(config, ds, "linear", 0, seed=0)
        other_signals.other_signals(ds, seed=0)
        rules.choice_prediction(config, ds, rules.Choice(("linear",), ()), seed=0)
        return set(done)

    assert computed() == set(WORK)
    assert computed() == set()
    read = dependencies._read

    def changed(name, path, when):
        digest, imports = read(name, path, when)
        return ("changed" if name == place(module) else digest), imports

    monkeypatch.setattr(dependencies, "_read", changed)
    again = computed()
    assert stale <= again
    assert again.isdisjoint(kept)


def test_a_version_changes_nothing_and_a_number_does():
    source = '__version__ = "{}"\nlimit = {}\n'
    old, newer, other = (
        dependencies._program(ast.parse(source.format(*numbers)))
        for numbers in (("0.3.0", 1), ("0.4.0", 1), ("0.3.0", 2))
    )
    assert old == newer
    assert old != other
