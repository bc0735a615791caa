"""The registry of rules: each name once, each rule given what its name says, no label of a test row."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import replaced

from adathresh.calibration import IsotonicCalibration, PlattScaling
from adathresh.experiments.core import rules as module
from adathresh.experiments.core.crossfit import TOGETHER, Signals, crossfitted
from adathresh.experiments.core.fold_scores import fitting_labels, fitting_rows
from adathresh.experiments.core.rules import (
    FIXED,
    FUSED,
    MAIN_RIVALS,
    MAIN_RULES,
    OURS,
    WITH_TEXTS,
    Choice,
    all_predictions,
    choice_prediction,
    everything,
    fitted_choice,
    fused_rules,
    main_predictions,
    our_choices,
    predict_all,
    rival_rules,
)
from adathresh.metrics import macro_f1
from adathresh.posthoc import AdaptiveThreshold
from adathresh.rules import ExpectedF1Threshold, FixedThreshold, GlobalThreshold, PCut, RCut, SCut

pytestmark = pytest.mark.usefixtures("shared_cache")


def sets(rows):
    return sp.csr_array(np.array(rows, dtype=np.float32))


def given(seen, what, part):
    """Return the signals of a kind, "local" or "affinity", of fitting (0) or test rows (1), as a list."""
    return list(getattr(seen, what)[part].values())


@pytest.fixture(scope="module")
def seen(config, ds):
    return crossfitted(config, ds, "linear", seed=0)


@pytest.fixture(scope="module")
def found(config, ds):
    return all_predictions(config, ds, "linear", seed=0)


# --- the registry ---


@pytest.mark.parametrize(
    ("labels", "k"),
    [([[1, 1, 1], [1, 1, 0]], 2), ([[1, 1, 1], [1, 1, 1]], 3), ([[0, 0, 0], [0, 1, 0]], 1)],
)
def test_rcut_takes_the_mean_number_of_labels(labels, k):
    rivals = rival_rules(sets(labels))
    assert isinstance(rivals["RCut"][0], RCut)
    assert rivals["RCut"][0].k == k
    assert ("block coordinate" in rivals) == (k < 3)


def test_rules_are_what_their_names_say(ds, seen):
    rivals = {name: rule for name, (rule, _) in rival_rules(fitting_labels(ds)).items()}
    assert isinstance(rivals[FIXED], FixedThreshold)
    assert rivals[FIXED].threshold == 0.5
    assert rivals["global threshold"].metric == "macro_f1"
    assert rivals["global threshold, micro"].metric == "micro_f1"
    assert isinstance(rivals["SCut"], SCut)
    assert rivals["SCut"].fallback != "top"
    assert rivals["SCutFBR"].fallback == "top"
    assert rivals["SCut, smoothed F1"].remedy == "smoothing"
    assert rivals["SCutFBR, cross-validated"].remedy == "fbr"
    assert not rivals["isotonic + F*/2"].calibrator.per_label
    assert rivals["isotonic per label + F*/2"].calibrator.per_label
    shares, said = tuple(seen.local[0]), tuple(seen.affinity[0])
    assert our_choices(("linear",), seen) == {
        OURS: (("linear",), shares, "auto"),
        f"{OURS}, no neighbours": (("linear",), (), "auto"),
        f"{OURS}, linear": (("linear",), shares, "linear"),
        WITH_TEXTS: (("linear",), shares + said, "auto"),
    }
    silent = our_choices(("linear",), seen._replace(affinity=({}, {})))
    assert set(silent) == {OURS, f"{OURS}, no neighbours", f"{OURS}, linear"}


def test_our_rule_knows_the_number_of_test_rows_and_the_seed(ds, seen):
    rule, _ = fitted_choice(ds, our_choices(("linear",), seen)[f"{OURS}, linear"], [seen], seed=3)
    assert (rule.evaluation_rows, rule.random_state, rule.fusion) == (50, 3, "linear")


def test_names_say_whose_rule_it_is(ds, found):
    ours = {name for name in found if name.startswith(OURS)}
    assert ours == set(found) - set(rival_rules(fitting_labels(ds))) - set(fused_rules())
    assert {name for name in found if name.endswith(FUSED)} == set(fused_rules())
    assert set(MAIN_RULES) == {*MAIN_RIVALS, OURS}
    assert len(MAIN_RULES) == len(set(MAIN_RULES))


def test_main_rules_are_rules_of_all_and_every_name_stands_once(config, ds, found):
    main = main_predictions(config, ds, "linear", seed=0)
    assert set(main) == set(MAIN_RULES)
    rivals = [*rival_rules(fitting_labels(ds)), *fused_rules()]
    assert list(found) == [
        *rivals,
        *(OURS, f"{OURS}, macro + micro", f"{OURS}, transductive"),
        *(f"{OURS}, no neighbours", f"{OURS}, linear", WITH_TEXTS, f"{WITH_TEXTS}, macro + micro"),
    ]


def test_a_choice_is_given_all_signals_that_it_names_in_order(ds):
    made = [{name: sp.csr_array([[value]]) for name, value in (("a", i), ("b", i + 1))} for i in (2, 4)]
    said = [{name: sp.csr_array([[value]]) for name, value in (("c", i), ("d", i + 1))} for i in (6, 8)]
    seen = Signals((sp.csr_array([[0]]), sp.csr_array([[1]])), tuple(made), tuple(said), None)

    def values(signals, part):
        scores, given = module._given(Choice(("linear",), signals), [seen, seen], part)
        of = {kind: found and [matrix.data[0] for matrix in found] for kind, found in given.items()}
        return len(scores), scores[0].toarray()[0, 0], of

    assert values(("d", "c", "a", "b"), 0) == (2, 0, {"local": [2, 3], "affinity": [6, 7]})
    assert values(("b", "d"), 1) == (2, 1, {"local": [5], "affinity": [9]})
    assert values((), 1) == (2, 1, {"local": None, "affinity": None})


def test_one_name_is_one_model_and_the_same_label_sets(config, ds, found):
    for name, prediction in main_predictions(config, ds, "linear", seed=0).items():
        assert (prediction.label_sets != found[name].label_sets).nnz == 0, name
        assert (prediction.probabilities != found[name].probabilities).nnz == 0, name
        assert prediction.mode == found[name].mode


# --- what each rule is given ---


@pytest.mark.slow
def test_every_rival_is_fitted_on_the_out_of_fold_scores(ds, seen, found):
    rows = fitting_rows(ds, seed=0).rows
    for name, (rule, mode) in rival_rules(rows.Y).items():
        expected = rule.fit(seen.scores[0], rows.Y).predict(seen.scores[1])
        np.testing.assert_array_equal(found[name].label_sets.toarray(), expected.toarray(), err_msg=name)
        if "isotonic" not in name and "Platt" not in name:
            assert (found[name].probabilities != seen.scores[1]).nnz == 0
        assert found[name].mode == mode
        assert found[name].seconds > 0
    np.testing.assert_array_equal(found[FIXED].label_sets.toarray(), seen.scores[1].toarray() > 0.5)
    assert len({entry.label_sets.toarray().tobytes() for entry in found.values()}) > 6


@pytest.mark.parametrize(
    ("name", "calibrator"),
    [
        ("isotonic + F*/2", IsotonicCalibration()),
        ("isotonic per label + F*/2", IsotonicCalibration(per_label=True)),
        ("Platt per label + F*/2", PlattScaling(per_label=True)),
    ],
)
def test_calibrated_rivals_are_thresholded_on_calibrated_probabilities(ds, seen, found, name, calibrator):
    calibrator.fit(seen.scores[0], fitting_rows(ds, seed=0).rows.Y)
    test = calibrator.transform(seen.scores[1])
    np.testing.assert_array_equal(found[name].probabilities.toarray(), test.toarray())
    rule = ExpectedF1Threshold().fit(calibrator.transform(seen.scores[0]))
    np.testing.assert_array_equal(found[name].label_sets.toarray(), rule.predict(test).toarray())
    assert (found[name].label_sets != found["F*/2"].label_sets).nnz > 0


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("PCut", PCut()),
        ("global threshold", GlobalThreshold("macro_f1")),
        ("global threshold, micro", GlobalThreshold("micro_f1")),
        ("F*/2", ExpectedF1Threshold()),
    ],
)
def test_fused_rivals_get_the_probabilities_of_ours(ds, seen, found, name, rule):
    rows, folds = fitting_rows(ds, seed=0)
    ours = AdaptiveThreshold(evaluation_rows=50, random_state=0)
    ours.fit(seen.scores[0], rows.Y, folds=folds, groups=rows.groups, local=given(seen, "local", 0))
    expected = rule.fit(ours.fitted_probabilities_, rows.Y).predict(found[OURS].probabilities)
    np.testing.assert_array_equal(found[name + FUSED].label_sets.toarray(), expected.toarray())
    assert (found[name + FUSED].probabilities != found[OURS].probabilities).nnz == 0
    assert found[name + FUSED].mode == "inductive"
    assert found[name + FUSED].seconds > found[OURS].seconds


def test_fused_probabilities_of_fitting_rows_are_those_that_the_thresholds_come_from(ds, seen):
    rows, folds = fitting_rows(ds, seed=0)
    ours = AdaptiveThreshold("precision", target_value=0.7, random_state=0)
    ours.fit(seen.scores[0], rows.Y, folds=folds, groups=rows.groups, local=given(seen, "local", 0))
    fitting = ours.fitted_probabilities_
    # the precision over all pairs that is expected with these thresholds is the one that was asked for
    chosen = fitting.data[fitting.data > ours.label_thresholds_[fitting.indices]]
    assert 0.7 <= chosen.mean() < 0.75


@pytest.mark.parametrize(
    ("name", "options", "signals"),
    [
        ("adaptive", {}, ["local"]),
        ("adaptive, macro + micro", {"target": "macro_micro_f1"}, ["local"]),
        ("adaptive, no neighbours", {}, []),
        ("adaptive, linear", {"fusion": "linear"}, ["local"]),
        ("adaptive + label texts", {}, ["local", "affinity"]),
        ("adaptive + label texts, macro + micro", {"target": "macro_micro_f1"}, ["local", "affinity"]),
        ("adaptive, transductive", {"transductive": True}, ["local"]),
    ],
)
def test_every_rule_of_ours_gets_what_its_name_says(ds, seen, found, name, options, signals):
    rows, folds = fitting_rows(ds, seed=0)
    at_fitting, at_test = ({what: given(seen, what, i) for what in signals} for i in range(2))
    ours = AdaptiveThreshold(evaluation_rows=50, random_state=0, **options)
    ours.fit(seen.scores[0], rows.Y, folds=folds, groups=rows.groups, **at_fitting)
    expected = ours.predict(seen.scores[1], **at_test)
    np.testing.assert_array_equal(found[name].label_sets.toarray(), expected.toarray())
    probabilities = ours.predict_proba(seen.scores[1], **at_test)
    np.testing.assert_allclose(found[name].probabilities.toarray(), probabilities.toarray(), atol=1e-6)
    assert found[name].seconds > 0


def test_two_rules_have_seen_the_test_rows(found):
    modes = {name: entry.mode for name, entry in found.items()}
    assert {name for name, mode in modes.items() if mode == "transductive"} == {
        "block coordinate",
        "adaptive, transductive",
    }


def test_texts_help_where_they_name_the_labels(ds, found):
    with_texts = macro_f1(ds.test.Y, found[WITH_TEXTS].label_sets)
    assert with_texts > macro_f1(ds.test.Y, found[OURS].label_sets) + 0.1


@pytest.mark.slow
def test_without_texts_there_is_no_rule_of_texts(config, make_dataset, empty_cache):
    empty_cache("wordless")
    wordless = make_dataset(groups=True)
    assert not any("texts" in name for name in all_predictions(config, wordless, "linear", seed=0))


@pytest.mark.slow
def test_all_together_are_fused_by_ours_and_averaged_for_the_rivals(config, ds):
    together, predictions = (make(config, ds, TOGETHER, seed=0) for make in (crossfitted, main_predictions))
    fitting, test = together.mean_scores()
    rows, folds = fitting_rows(ds, seed=0)
    expected = GlobalThreshold("macro_f1").fit(fitting, rows.Y).predict(test)
    assert (predictions["global threshold"].label_sets != expected).nnz == 0
    np.testing.assert_allclose(predictions["F*/2"].probabilities.toarray(), test.toarray(), rtol=1e-6)
    ours = AdaptiveThreshold(evaluation_rows=50, random_state=0)
    ours.fit(together.scores[0], rows.Y, folds=folds, groups=rows.groups, local=given(together, "local", 0))
    expected = ours.predict(together.scores[1], local=given(together, "local", 1))
    np.testing.assert_array_equal(predictions[OURS].label_sets.toarray(), expected.toarray())


# --- choices of base models and signals ---


@pytest.fixture(scope="module")
def top(config, titled):
    return everything(config, titled)


def assert_same(one, other):
    np.testing.assert_array_equal(one.label_sets.toarray(), other.label_sets.toarray())
    np.testing.assert_allclose(one.probabilities.toarray(), other.probabilities.toarray(), atol=1e-6)
    assert one.mode == other.mode == "inductive"
    assert one.label_sets.nnz > 0


@pytest.mark.slow
def test_everything_names_all_base_models_and_signals(config, ds, make_dataset, top, empty_cache):
    shares, titles = "neighbours", "neighbours by title"
    texts = ("similarity", "mentions", "mentions in titles", "prototypes")
    assert top == Choice(("linear", "linear, titles", "network"), (shares, titles, *texts))
    untitled = tuple(name for name in texts if "titles" not in name)
    assert everything(config, ds) == Choice(("linear", "network"), (shares, *untitled))
    empty_cache("wordless")
    assert everything(config, make_dataset(groups=True)) == Choice(("linear", "network"), (shares,))


@pytest.mark.slow
def test_all_together_is_the_rule_with_label_texts(config, titled, top):
    chosen = choice_prediction(config, titled, top, seed=0)
    assert_same(chosen, all_predictions(config, titled, TOGETHER, seed=0)[WITH_TEXTS])
    assert chosen.seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("base", ["linear", "linear, titles"])
def test_one_base_model_alone_is_the_rule_without_neighbours(config, titled, base):
    chosen = choice_prediction(config, titled, Choice((base,), ()), seed=0)
    predictions = all_predictions(config, titled, base, seed=0)
    assert_same(chosen, predictions["adaptive, no neighbours"])
    assert (chosen.label_sets != predictions[OURS].label_sets).nnz > 0


@pytest.mark.slow
def test_one_base_model_with_its_neighbours_is_our_rule(config, titled, top):
    shares = tuple(name for name in top.signals if name.startswith("neighbours"))
    chosen = choice_prediction(config, titled, Choice(("linear",), shares), seed=0)
    assert_same(chosen, all_predictions(config, titled, "linear", seed=0)[OURS])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bases", "local", "affinity"),
    [
        (("linear",), ["neighbours by title"], ["mentions", "prototypes"]),
        (("linear, titles", "linear"), [], ["similarity"]),
        (("linear", "network"), ["neighbours"], []),
    ],
)
def test_a_choice_is_fitted_on_what_it_names(config, titled, bases, local, affinity):
    chosen = choice_prediction(config, titled, Choice(bases, (*local, *affinity)), seed=1)
    rows, folds = fitting_rows(titled, seed=1)
    models = [crossfitted(config, titled, base, seed=1) for base in bases]

    def of_part(i):
        named = {"local": local, "affinity": affinity}
        signals = {
            what: [getattr(models[0], what)[i][name] for name in names] for what, names in named.items()
        }
        return [one.scores[i] for one in models], {what: found for what, found in signals.items() if found}

    (fitting, at_fitting), (test, at_test) = of_part(0), of_part(1)
    rule = AdaptiveThreshold(evaluation_rows=50, random_state=1)
    rule.fit(fitting, rows.Y, folds=folds, groups=rows.groups, **at_fitting)
    np.testing.assert_array_equal(chosen.label_sets.toarray(), rule.predict(test, **at_test).toarray())
    probabilities = rule.predict_proba(test, **at_test).toarray()
    np.testing.assert_allclose(chosen.probabilities.toarray(), probabilities, atol=1e-6)


@pytest.mark.slow
def test_a_choice_is_fitted_once(config, titled, top, monkeypatch):
    first = choice_prediction(config, titled, top, seed=0)
    monkeypatch.setattr(module, "_predict_choice", lambda *_, **__: pytest.fail("fitted again"))
    again = choice_prediction(config, titled, top, seed=0)
    assert_same(first, again)
    assert again.seconds == first.seconds
    with pytest.raises(pytest.fail.Exception):
        choice_prediction(config, titled, top._replace(signals=top.signals[1:]), seed=0)


@pytest.mark.slow
def test_labels_of_test_rows_change_no_choice(config, titled, top, empty_cache):
    own = choice_prediction(config, titled, top, seed=0)
    empty_cache("third")
    other = replaced(titled, Y_test=titled.test.Y[np.random.default_rng(0).permutation(50)])
    assert_same(choice_prediction(config, other, top, seed=0), own)


# --- labels, cache ---


@pytest.mark.slow
def test_labels_of_test_rows_change_no_prediction(config, ds, found, empty_cache):
    permuted = ds.test.Y[np.random.default_rng(0).permutation(50)]
    for name, Y_test in (("permuted", permuted), ("none", sp.csr_array(ds.test.Y.shape))):
        empty_cache(name)
        others = all_predictions(config, replaced(ds, Y_test=Y_test), "linear", seed=0)
        assert list(others) == list(found)
        for rule, own in found.items():
            for part in ("label_sets", "probabilities"):
                mine, theirs = getattr(own, part), getattr(others[rule], part)
                np.testing.assert_array_equal(mine.toarray(), theirs.toarray(), err_msg=rule)


@pytest.mark.slow
def test_labels_of_validation_rows_do_change_them(config, ds, found, empty_cache):
    empty_cache("second")
    other = replaced(ds, Y_dev=ds.validation.Y[np.random.default_rng(0).permutation(40)])
    for rule, prediction in main_predictions(config, other, "linear", seed=0).items():
        assert (found[rule].label_sets != prediction.label_sets).nnz > 0, rule


@pytest.mark.slow
def test_rules_are_fitted_once(config, ds, found, monkeypatch):
    for name in ("_predict_rivals", "_predict_choice"):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("fitted again"))
    again = all_predictions(config, ds, "linear", seed=0)
    for name, own in found.items():
        assert (again[name].label_sets != own.label_sets).nnz == 0
        assert again[name][2:] == own[2:]


@pytest.mark.slow
def test_nothing_is_left_to_compute_after_all_side_by_side(config, ds, monkeypatch, empty_cache):
    empty_cache("side by side")
    predict_all(config, ds, ["linear", TOGETHER])
    for name in ("_predict_rivals", "_predict_choice"):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("fitted again"))
    for base in ("linear", TOGETHER):
        all_predictions(config, ds, base, seed=0)


@pytest.mark.parametrize("part", ["_predict_rivals", "_predict_choice"])
@pytest.mark.parametrize("change", ["groups", "names", "seed", "base"])
@pytest.mark.slow
def test_other_inputs_fit_them_again(config, ds, found, monkeypatch, change, part):
    class AgainError(Exception):
        pass

    def again(*_, **__):
        raise AgainError

    monkeypatch.setattr(module, part, again)
    changed = {"groups": {"groups_train": np.arange(90)}, "names": {"label_names": ds.label_names[::-1]}}
    other = replaced(ds, **changed.get(change, {}))
    base = "neighbours" if change == "base" else "linear"
    with pytest.raises(AgainError):
        main_predictions(config, other, base, seed=int(change == "seed"))
