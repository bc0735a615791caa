"""Notebook 10: what each loss and output code is trained with, who sees which labels, what the tables say."""

import dataclasses
import inspect

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import replaced
from sklearn.metrics import f1_score

from adathresh import AdaptiveThresholdNetwork
from adathresh.experiments import nb10_losses
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.experiments.core.trainings import PAPER
from adathresh.experiments.nb03_training import TRAINING_RUNS
from adathresh.experiments.nb04_ablations import ABLATIONS
from adathresh.experiments.nb10_losses import judging, showing, trainings

OWN, FITTED, FULL = judging.OWN, judging.FITTED, judging.FULL


def macro(Y, predicted):
    return f1_score(Y.toarray(), predicted.toarray(), average="macro", zero_division=0)


# --- what is trained ---


def test_the_papers_losses_have_names_of_notebook_03_and_runs_of_notebook_04():
    assert list(trainings.SWITCHES) == ["plain cross-entropy", "paper's method", "same loss, θ = 0"]
    assert set(trainings.SWITCHES) == set(TRAINING_RUNS)
    in_04 = {"same loss, θ = 0": "fixed threshold"}
    for name, switches in trainings.SWITCHES.items():
        assert switches == {**PAPER, **ABLATIONS[in_04.get(name, name)]}


def test_a_rival_loss_is_trained_with_its_defaults_against_zero(ds, config, monkeypatch, tiny_profile):
    networks = {}
    monkeypatch.setattr(
        trainings, "train_and_score", lambda ds, network, k: networks.update(last=network) or 1 / 0
    )
    for name, loss in trainings.RIVAL_LOSSES.items():
        with pytest.raises(ZeroDivisionError):
            trainings.train_method(config, ds, name, {}, seed=4)
        network = networks.pop("last")
        assert type(network) is AdaptiveThresholdNetwork
        assert type(network.loss) is loss
        assert (network.fixed_threshold, network.use_knn, network.random_state) == (0.0, False, 4)
        assert network.hidden_layers == (8,)
        for parameter in inspect.signature(loss).parameters.values():
            if parameter.default is not parameter.empty:
                assert getattr(network.loss, parameter.name) == parameter.default


def test_the_balanced_loss_counts_the_training_rows_of_every_label(ds):
    loss = trainings._network(ds, "distribution-balanced", {"bias_scale": 0.2}).loss
    assert loss.label_counts.tolist() == [int(column.sum()) for column in ds.train.Y.toarray().T]
    assert (loss.n_samples, loss.bias_scale) == (90, 0.2)


def test_values_that_are_tried_differ_from_the_default():
    assert list(trainings.GRID) == [*trainings.SWITCHES, *trainings.RIVAL_LOSSES]
    numbers = dataclasses.asdict(PROFILES["full"])
    of_network = AdaptiveThresholdNetwork().get_params() | numbers
    for name, (setting, values) in trainings.GRID.items():
        if name in trainings.SWITCHES:
            default = (of_network | trainings.SWITCHES[name])[setting]
        else:
            default = inspect.signature(trainings.RIVAL_LOSSES[name]).parameters[setting].default
        assert len({default, *values}) == 1 + len(values) >= 3, name


def test_only_the_full_profile_chooses_and_only_by_validation_rows(ds, monkeypatch):
    reached = {("focal", 0.5): 0.3, ("focal", 1.0): 0.6, ("asymmetric", 2.0): 0.1}
    called = []

    def train_method(config, ds, name, changes, *, seed):
        called.append((name, seed))
        value = reached.get((name, *changes.values()), 0.2)
        history = pd.DataFrame({"macro_f1": [0.0, value, 0.0]})
        return trainings.TrainedMethod(*[None] * 4, history, {}, None)

    monkeypatch.setattr(trainings, "train_method", train_method)
    monkeypatch.setattr(trainings, "neighbor_shares", lambda ds: None)
    defaults = {name: {} for name in trainings.GRID}
    assert trainings.chosen_settings(RunConfig(), ds) == defaults
    assert not called
    full = RunConfig(profile="full", random_state=7)
    assert trainings.chosen_settings(full, ds) == {**defaults, "focal": {"gamma": 1.0}}
    assert called == [(name, 7) for name, (_, values) in trainings.GRID.items() for _ in (None, *values)]


def test_code_lengths_are_fewer_than_the_labels_and_enough_for_them(monkeypatch):
    monkeypatch.setattr(trainings, "CODE_LENGTHS", (3, 4, 12, 1_024))
    assert trainings.code_lengths(8) == {"3 bits": 3, "4 bits": 4}
    assert trainings.code_lengths(9) == {"4 bits": 4}
    assert trainings.code_lengths(12) == {"4 bits": 4}
    assert trainings.code_lengths(2_000) == {"12 bits": 12, "1,024 bits": 1_024}
    assert trainings.code_lengths(1) == {}


def test_all_are_trained_once_and_by_name(ds, config, tiny_profile, monkeypatch):
    monkeypatch.setattr(trainings, "CODE_LENGTHS", (4, 6))
    settings = {"plain cross-entropy": {}, "focal": {"gamma": 1.0}}
    runs = trainings.train_all(config, ds, settings, seed=0)
    assert list(runs) == ["plain cross-entropy", "focal", "4 bits", "6 bits"]
    direct = AdaptiveThresholdNetwork(
        hidden_layers=(8,),
        learning_rate=3e-2,
        batch_size=32,
        max_epochs=4,
        patience=4,
        loss=trainings.RIVAL_LOSSES["focal"](gamma=1.0),
        fixed_threshold=0.0,
        use_knn=False,
        random_state=0,
    ).fit(ds.train.X, ds.train.Y, validation=(ds.validation.X, ds.validation.Y))
    np.testing.assert_array_equal(
        runs["focal"].test_scores.toarray(), direct.top_scores(ds.test.X, k=6).toarray()
    )
    assert len({run.test_scores.data.tobytes() for run in runs.values()}) == 4
    others = [
        trainings.train_method(config, ds, "focal", {"gamma": gamma}, seed=seed)
        for gamma, seed in ((5.0, 0), (1.0, 1))
    ]
    assert len({run.test_scores.data.tobytes() for run in (runs["focal"], *others)}) == 3
    monkeypatch.setattr(trainings, "train_and_score", lambda *_: pytest.fail("trained again"))
    again = trainings.train_all(config, ds, settings, seed=0)
    for name, run in runs.items():
        np.testing.assert_array_equal(run.test_scores.toarray(), again[name].test_scores.toarray())
        pd.testing.assert_frame_equal(run.history, again[name].history)


def test_labels_of_test_rows_change_no_training(ds, config, tiny_profile, monkeypatch):
    monkeypatch.setattr(trainings, "CODE_LENGTHS", (4,))
    others = replaced(ds, Y_test=ds.test.Y[::-1])
    for name in ("asymmetric", "4 bits"):
        one, other = (trainings.train_method(config, data, name, {}, seed=0) for data in (ds, others))
        assert one.cost != other.cost  # computed for each
        np.testing.assert_array_equal(one.test_scores.toarray(), other.test_scores.toarray())


def test_a_code_takes_the_place_of_the_output_layer(ds):
    rows = ds.train.X, ds.train.Y
    common = {"hidden_layers": (8,), "max_epochs": 1, "fixed_threshold": 0.0, "random_state": 0}
    coded = trainings.CodedNetwork(4, **common).fit(*rows)
    bits, decoder = coded.model_.network
    assert decoder.code.shape == (12, 4)
    assert bits.rest[-1].weight.shape == (4, 8)
    assert coded.predict_proba(ds.test.X).shape == (50, 12)
    layer = [*bits.rest[-1].parameters(), *decoder.parameters()]
    learnt = sum(weight.numel() for weight in layer)
    held = 4 * (learnt + decoder.code.numel())
    assert judging.layer_size(8, 12, 4) == {"layer_parameters": learnt, "layer_mb": pytest.approx(held / 1e6)}
    full = AdaptiveThresholdNetwork(**common).fit(*rows).model_.network.rest[-1]
    learnt = sum(weight.numel() for weight in full.parameters())
    assert judging.layer_size(8, 12) == {
        "layer_parameters": learnt,
        "layer_mb": pytest.approx(4 * learnt / 1e6),
    }


# --- how it is judged ---


def made_up_run(ds, seed, shift=0.0):
    """A run with scores that know something of the labels; all are greater than 0, to two decimals."""
    rng = np.random.default_rng(seed)
    scores = {
        split: np.clip(0.3 * rows.Y.toarray() + 0.6 * rng.random(rows.Y.shape) + shift, 0.01, 0.99).round(2)
        for split, rows in (("validation", ds.validation), ("test", ds.test))
    }
    matrices = [sp.csr_array(matrix) for matrix in scores.values()]
    predicted = [sp.csr_array(matrix > 0.5) for matrix in matrices]
    return trainings.TrainedMethod(*matrices, *predicted, None, {}, None)


@pytest.fixture
def found(ds, monkeypatch):
    monkeypatch.setattr(judging, "code_lengths", lambda n_labels: {"4 bits": 4})
    names = [*trainings.GRID, "4 bits"]
    return judging.judge(ds, {name: made_up_run(ds, i, 0.02 * i) for i, name in enumerate(names)})


def test_the_fitted_threshold_is_the_best_of_the_validation_rows(ds):
    run = made_up_run(ds, 0)
    of_run = judging.judge(ds, {"focal": run})["focal"]
    assert of_run[OWN].label_sets is run.test_predicted
    scores = run.validation_scores.toarray()
    values = np.unique(scores)
    between = [0.0, *(values[1:] + values[:-1]) / 2]
    reached = [macro(ds.validation.Y, sp.csr_array(scores > one)) for one in between]
    best = between[int(np.argmax(np.round(reached, 10)))]
    np.testing.assert_array_equal(of_run[FITTED].label_sets.toarray(), run.test_scores.toarray() > best)
    others = replaced(ds, Y_test=ds.test.Y[::-1])
    blind = judging.judge(others, {"focal": run})["focal"]
    assert (blind[FITTED].label_sets != of_run[FITTED].label_sets).nnz == 0


def test_every_loss_has_a_row_for_each_threshold(config, ds, found):
    settings = {**{name: {} for name in trainings.GRID}, "focal": {"gamma": 0.5}}
    rows = judging.loss_rows(config, ds, found, settings, seed=3)
    assert [(row["method"], row["rule"]) for row in rows] == [
        (name, rule) for name in trainings.GRID for rule in (OWN, FITTED)
    ]
    for row in rows:
        assert row["macro_f1"] == pytest.approx(
            macro(ds.test.Y, found[row["method"]][row["rule"]].label_sets)
        )
        assert row["setting"] == ("gamma = 0.5" if row["method"] == "focal" else "default")
        assert row["seed"] == 3
        assert set(judging.SHOWN) <= set(row)


def test_labels_are_accepted_as_long_as_nine_of_ten_are_right(config, ds, found):
    rows = judging.loss_rows(config, ds, found, {"focal": {}}, seed=0)
    predicted = found["focal"][OWN].label_sets.toarray().astype(bool)
    scores, truth = found["focal"][OWN].probabilities.toarray(), ds.test.Y.toarray()
    order = np.argsort(-scores[predicted])
    right = np.cumsum(truth[predicted][order])
    most = max(right[n - 1] for n in range(1, len(right) + 1) if right[n - 1] >= 0.9 * n)
    assert rows[0]["labels_at_precision_0_9"] == pytest.approx(most / truth.sum())


def test_differences_are_those_of_the_values_beside_them(config, ds, found, tiny_profile):
    names = list(trainings.GRID)
    again = judging.judge(ds, {name: made_up_run(ds, 100 + i) for i, name in enumerate(names)})
    rows = judging.loss_differences(config, ds, [found, again])
    with_plain = [(name, "plain cross-entropy") for name in names[1:]]
    with_papers = [(name, "paper's method") for name in names[2:]]
    assert [(row["a"], row["b"]) for row in rows[::4]] == with_plain + with_papers
    for row in rows:
        a, b = (
            np.mean([macro(ds.test.Y, one[row[side]][row["rule"]].label_sets) for one in (found, again)])
            for side in "ab"
        )
        if row["metric"] == "macro_f1":
            assert row["difference"] == pytest.approx(a - b)
        assert row["low"] <= row["difference"] <= row["high"]


def test_codes_are_compared_with_the_full_layer(config, ds, found, tiny_profile):
    names = ["plain cross-entropy", "4 bits"]
    again = judging.judge(ds, {name: made_up_run(ds, 100 + i) for i, name in enumerate(names)})
    repetitions = [found, again]
    rows = [
        row for seed, one in enumerate(repetitions) for row in judging.code_rows(config, ds, one, seed=seed)
    ]
    rows = judging.with_differences(config, ds, rows, repetitions)
    assert [(row["method"], row["rule"], row["seed"]) for row in rows] == [
        (name, rule, seed) for seed in (0, 1) for rule in (OWN, FITTED) for name in (FULL, "4 bits")
    ]
    for full, code in zip(rows[::2], rows[1::2], strict=True):
        of_seed = repetitions[full["seed"]]["plain cross-entropy"][full["rule"]]
        assert full["macro_f1"] == pytest.approx(macro(ds.test.Y, of_seed.label_sets))
        assert [full[name] for name in ("difference", "low", "high")] == [0, 0, 0]
        assert full["layer_parameters"] == 9 * 12
        assert code["layer_parameters"] == 9 * 4 + 12
    for rule in (OWN, FITTED):
        full, code = (
            [row for row in rows if (row["rule"], row["method"]) == (rule, name)] for name in (FULL, "4 bits")
        )
        means = [np.mean([row["macro_f1"] for row in of_layer]) for of_layer in (code, full)]
        assert code[0]["difference"] == pytest.approx(means[0] - means[1])
        assert [code[1][name] for name in ("difference", "low", "high")] == [
            code[0][name] for name in ("difference", "low", "high")
        ]


def test_intervals_of_codes_resample_seeds_and_groups(config, ds, found, monkeypatch):
    given = []

    def recorded(Y, ours, rivals, **options):
        given.append((ours, rivals[FULL], options["groups"]))
        return {FULL: {"difference": 0.0, "low": 0.0, "high": 0.0}}

    monkeypatch.setattr(judging, "paired_bootstrap", recorded)
    rows = judging.code_rows(config, ds, found, seed=0)
    judging.with_differences(config, ds, rows, [found, found])
    assert len(given) == 4
    for ours, full, groups in given:
        assert len(ours) == len(full) == 2
        np.testing.assert_array_equal(groups, ds.test.groups)


# --- what the tables say ---


def tables(own, fitted, codes=None, settings=("default",)):
    """Tables in which losses, and codes with the fitted threshold, make these differences, ± 0.05.

    The full layer takes a megabyte for a hundred parameters, a code for ten.
    """
    rows = [
        {"a": name, "b": b, "metric": metric, "rule": rule, "difference": difference * sign}
        for rule, found in ((OWN, own), (FITTED, fitted))
        for name, difference in found.items()
        for b, metric, sign in (
            ("plain cross-entropy", "macro_f1", 1),
            ("plain cross-entropy", "micro_f1", -1),
            ("paper's method", "macro_f1", -1),
        )
    ]
    layers = [
        {
            "method": name,
            "rule": rule,
            "difference": difference * (rule == FITTED),
            "layer_parameters": size,
            "layer_mb": size / 100 if name == FULL else size / 10,
        }
        for name, (difference, size) in {FULL: (0.0, 200), **(codes or {})}.items()
        for rule in (OWN, FITTED)
    ]
    frames = pd.DataFrame(rows), pd.DataFrame(layers)
    around = [
        one.assign(low=one["difference"] - 0.05, high=one["difference"] + 0.05).round(6) for one in frames
    ]
    found = dict(zip(("loss_differences", "codes"), around, strict=True))
    return {"losses": pd.DataFrame({"setting": settings}), **found}


def test_claims_are_the_signs_of_macro_f1():
    made = tables({"focal": 0.1}, {"focal": -0.2}, {"64 bits": (-0.3, 20)})
    found = {claim["claim"]: claim["outcome"] for claim in nb10_losses.claims(made)}
    assert found == {
        "Macro-F1 with focal minus that with plain cross-entropy, z > θ": "above 0",
        "Macro-F1 with focal minus that with plain cross-entropy, global threshold": "below 0",
        "Macro-F1 with focal minus that with paper's method, z > θ": "below 0",
        "Macro-F1 with focal minus that with paper's method, global threshold": "above 0",
        "Macro-F1 with 64 bits minus that with the full layer, z > θ": "level",
        "Macro-F1 with 64 bits minus that with the full layer, global threshold": "below 0",
    }


def test_the_finding_counts_losses_and_names_the_best_with_either_threshold():
    own, fitted = {"a": 0.1, "b": 0.2, "c": -0.1}, {"a": 0.01, "b": -0.3, "c": -0.2}
    text = nb10_losses.finding(tables(own, fitted))
    assert (
        "2 of 3 losses have a clearly greater macro-F1 and 1 a clearly smaller one than plain cross-entropy; "
        "the best, b, differs from it by +0.2000 (95 % interval +0.1500 to +0.2500)." in text
    )
    assert (
        "rows, 0 of 3 losses have a clearly greater macro-F1 and 2 a clearly smaller one, and the best, a, "
        "differs by +0.0100 (−0.0400 to +0.0600)." in text
    )
    assert text.endswith(" The labels are too few for a shorter output layer.")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["default", "default"], "with the settings of their papers, untuned."),
        (["default", "gamma = 0.5"], "with a main setting that the validation rows chose."),
    ],
)
def test_the_finding_says_how_the_losses_are_trained(settings, said):
    text = nb10_losses.finding(tables({"a": 0.1}, {"a": 0.1}, settings=settings))
    assert text.startswith(f"The losses are trained on at most 4,000 rows, {said} With the threshold")


def test_the_figure_shows_every_loss_beside_a_line_at_zero():
    own, fitted = {"focal": 0.1, "asymmetric": -0.2}, {"focal": 0.0, "asymmetric": 0.3}
    (axes,) = showing.plot_losses(tables(own, fitted)["loss_differences"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["focal", "asymmetric"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 0]]
    drawn = [list(marks.get_offsets()[:, 0]) for marks in axes.collections if len(marks.get_offsets()) == 2]
    assert drawn == [list(own.values()), list(fitted.values())]


@pytest.mark.parametrize(
    ("codes", "end"),
    [
        (
            {"8 bits": (-0.3, 20), "64 bits": (-0.01, 90), "99 bits": (0.2, 150)},
            " With a fitted global threshold an output code of 64 bits is not clearly worse than the full "
            "layer, −0.0100 (−0.0600 to +0.0400), with 45 % of its trained parameters and 450 % of its "
            "memory, code words included.",
        ),
        (
            {"8 bits": (-0.3, 20), "64 bits": (-0.2, 90)},
            " With a fitted global threshold every output code costs macro-F1 against the full layer; "
            "64 bits, with 45 % of its trained parameters and 450 % of its memory, code words included, "
            "still −0.2000 (−0.2500 to −0.1500).",
        ),
    ],
)
def test_the_finding_says_how_short_the_output_layer_may_be(codes, end):
    assert nb10_losses.finding(tables({"a": 0.1}, {"a": 0.1}, codes)).endswith(end)
