"""The sources that a result depends on are found however they are imported."""

import pytest

from adathresh.experiments.core import dependencies
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
    assert module in dependencies._imports("adathresh.signals.idf", line.encode())


def test_other_packages_do_not_count():
    assert dependencies._imports("adathresh.signals.idf", b"import numpy\nfrom sklearn import base") == []


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        (
            "base_models",
            {"models.linear", "models.tree", "models.transformer", "paper.training", "metrics.f1"},
        ),
        (
            "crossfit",
            {"core.base_models", "core.data", "signals.knn", "signals.label_text", "posthoc.crossfit"},
        ),
        ("rules", {"core.crossfit", "rules.scut", "posthoc.threshold", "posthoc.fusion", "metrics.f1"}),
    ],
)
def test_what_is_stored_depends_on_all_that_computes_it(module, needs):
    found = source_digests(f"adathresh.experiments.core.{module}")
    for name in needs:
        place = f"adathresh.experiments.{name}" if name.startswith("core.") else f"adathresh.{name}"
        assert place in found
