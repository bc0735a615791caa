"""Bad input: all that is public is called wrongly, and says so in an error that names what is at fault."""

import importlib
import inspect
import re
import warnings
from pathlib import Path

import pytest
from numpydoc.docscrape import NumpyDocString

from adathresh import rules
from adathresh.experiments import bad_input
from adathresh.experiments.bad_input import ROOMS, Call, calls_of, function

ROOT = Path(__file__).parents[2]
PARTS = ("", ".calibration", ".datasets", ".leakage", ".metrics", ".models", ".posthoc", ".rules", ".signals")

# What the library makes and nobody calls with anything: results, warnings, errors, constants
NOT_CALLED = {
    "Dataset",
    "DatasetError",
    "Decision",
    "Explanation",
    "FREQUENCY_BINS",
    "FREQUENCY_EDGES",
    "Finding",
    "InSampleScoresWarning",
    "InSampleSigns",
    "LabelledRows",
    "LeakageReport",
    "LowCoverageWarning",
    "NoGuaranteeWarning",
    "PhraseMatches",
    "ReliabilityCurve",
    "ScoreDrift",
    "Shift",
    "Split",
}
NOT_CALLED_ALONE = {
    "DecisionRule": "the base class of all rules",
    "in_sample_signs": "takes what has been checked",
}
TAKES_ANYTHING = {
    "progress": "is true or not",
    "y": "is not used",
    "generator": "is torch's",
    "name": "is only how an argument is called",
    "options": "go to another package",
    "params": "are parameters by their names",
    "ScoreFunction.fit": "looks at nothing",
    **{
        f"{name}.fit: Y": "is not looked at"
        for name in rules.__all__
        if not getattr(rules, name)._needs_labels
    },
}
NEED_FILES = ("FineTunedTransformer", "FrozenTransformer", "LabelQueryTransformer", "SentenceEmbedder")
LARGE = ("AdaptiveThresholdNetwork", "LogisticHead", "NeighborLabels")
RAISED_ELSEWHERE = {
    ("BlockCoordinateMacroF1.fit", "ImportError"): "tests/rules/test_every_rule.py",
    ("FrankWolfeMacroF1.fit", "ImportError"): "tests/rules/test_every_rule.py",
    ("LabelTree", "ImportError"): "tests/models/test_tree.py",
    ("AdaptiveThresholdClassifier", "ImportError"): "tests/signals/test_approximate.py",
    ("NeighborLabels", "ImportError"): "tests/signals/test_approximate.py",
    ("LabelSetExplorer.widget", "ImportError"): "tests/test_explorer.py",
    ("LabelKnowledge.from_skos", "ImportError"): "tests/signals/test_label_knowledge.py",
    ("load", "ImportError"): "tests/test_saving.py",
    ("to_onnx", "ImportError"): "tests/posthoc/test_onnx_export.py",
    **{(name, "MemoryError"): "tests/utils/test_memory.py" for name in LARGE},
    ("FineTunedTransformer", "KeyboardInterrupt"): "tests/models/test_transformer.py",
    ("LabelQueryTransformer", "MemoryError"): "tests/models/test_label_queries.py",
    **{(name, "ImportError"): "tests/models/test_transformer.py" for name in NEED_FILES},
    **{(name, "OSError"): "tests/models/test_transformer.py" for name in NEED_FILES},
}


def public_names():
    """Return all that is public, by name."""
    found = {}
    for part in PARTS:
        room = importlib.import_module(f"adathresh{part}")
        own = [
            name for name, thing in vars(room).items() if getattr(thing, "__module__", "") == room.__name__
        ]
        names = getattr(room, "__all__", [name for name in own if not name.startswith("_")])
        found |= {name: getattr(room, name) for name in names}
    return {name: thing for name, thing in found.items() if name not in NOT_CALLED}


def public_callables():
    """Yield every public function, class and method of our own that takes arguments, with these."""
    for name, thing in public_names().items():
        yield name, thing, _arguments(thing)
        if inspect.isclass(thing) and name not in NOT_CALLED_ALONE:
            for own, method in inspect.getmembers(thing, callable):
                ours = (getattr(method, "__module__", None) or "").startswith("adathresh")
                if ours and not own.startswith("_"):
                    yield f"{name}.{own}", method, _arguments(method)


def _arguments(called):
    return [name for name in inspect.signature(called).parameters if name != "self"]


def documented(called):
    """Return the names of the errors that a docstring promises."""
    return {entry.type.rpartition(".")[2] for entry in NumpyDocString(inspect.getdoc(called) or "")["Raises"]}


def class_names(error):
    """Return under which names an error may be documented."""
    return {type(error).__name__} | ({"OSError"} if isinstance(error, OSError) else set())


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    return [call for room in ROOMS.values() for call in calls_of(room, tmp_path_factory.mktemp(room))]


def problems_of(call, capsys):
    """Yield what is not as it should be where a call is given something bad."""
    for argument, bad in call.wrong.items():
        for words, value in bad.items():
            error = call.error(**{argument: value})
            printed = "".join(capsys.readouterr())
            case = f"{call.name}, {argument}: {words}: {error!r:.200}"
            if not isinstance(error, ValueError | TypeError | OSError):
                yield f"{case} is no error of a kind that is meant for this"
            elif not names(str(error), call, argument, value, words):
                yield f"{case} does not name it"
            if printed:
                yield f"{case} after {printed!r:.100}"


def names(message, call, argument, value, words):
    """Say whether a message names the argument, or the file, column or kind of object that is at fault."""
    possible = [argument]
    if argument == "self":
        possible = [type(call.given["self"]).__name__, "fit", *words.split()[-1:]]
    elif isinstance(value, Path):
        possible += value.parts[-2:]
    elif argument == "estimator":
        possible += [type(value).__name__]
    elif isinstance(value, type):
        possible += [value.__name__]
    elif call.name.endswith("from_frame"):
        possible += ["column", "names"]
    elif call.name == "load_dataset":
        possible += [str(value)]
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message) for word in possible)


def test_every_bad_input_gets_an_error_that_names_it_and_nothing_else(calls, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [problem for call in calls for problem in problems_of(call, capsys)] == []


@pytest.mark.parametrize(
    ("called", "problem"),
    [
        (lambda size: None, "is no error"),
        (lambda size: [][size], "is no error"),
        (lambda size: float("size is wrong" if size else "a"), "could not convert"),
        (lambda size: int("one"), "does not name it"),
        (lambda size: warnings.warn("size", stacklevel=1), "is no error"),
        (lambda size: print("size") or check(size), "after 'size"),
    ],
)
def test_what_is_not_as_it_should_be_is_found(called, problem, capsys):
    call = Call("called", called, {"size": 1}, {"size": {"0": 0}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = problems_of(call, capsys)
    assert problem in found


def check(size):
    raise ValueError("size must not be 0")


@pytest.mark.slow
def test_what_is_not_bad_gets_no_error(calls):
    """So that it is the bad value that gets the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in calls:
            if not call.name.startswith(NEED_FILES):
                call.run()


def test_every_public_argument_has_bad_input(calls):
    tried = {}
    for call in calls:
        tried.setdefault(call.name, set()).update(argument for argument, bad in call.wrong.items() if bad)
    missing = [
        f"{name}: {argument}"
        for name, _, arguments in public_callables()
        for argument in arguments
        if not {name, argument, f"{name}: {argument}"} & {*NOT_CALLED_ALONE, *TAKES_ANYTHING}
        and argument not in tried.get(name, ())
    ]
    assert missing == []


def test_every_name_here_is_public(calls):
    public = {name for name, _, _ in public_callables()}
    assert {call.name for call in calls} - public == set()
    assert NOT_CALLED_ALONE.keys() <= public


def raised(calls):
    """Return the errors that each callable raised; a class has those of its methods, too."""
    found = {}
    for call in calls:
        for argument, bad in call.wrong.items():
            for value in bad.values():
                error = call.error(**{argument: value})
                for name in {call.name, call.name.partition(".")[0]}:
                    found.setdefault(name, []).append(error)
    return found


def test_errors_are_documented_and_what_is_documented_is_raised(calls):
    errors, public = raised(calls), {name: called for name, called, _ in public_callables()}
    missing = []
    for name, called in public.items():
        promised = documented(called)
        kept = {kind for error in errors.get(name, ()) for kind in class_names(error)}
        kept |= {kind for owner, kind in RAISED_ELSEWHERE if owner == name}
        if name not in NOT_CALLED_ALONE:
            missing += [f"{name} never raised {kind}" for kind in promised - kept]
        if "." in name:
            promised |= documented(public[name.partition(".")[0]])
            missing += [
                f"{name} does not document {type(error).__name__}: {error!s:.80}"
                for error in errors.get(name, ())
                if not {kind.__name__ for kind in type(error).__mro__} & promised
            ]
    assert missing == []


@pytest.mark.parametrize(("case", "path"), RAISED_ELSEWHERE.items(), ids=str)
def test_other_tests_raise_what_is_not_raised_here(case, path):
    assert re.search(rf"raises\(\s*{case[1]}", (ROOT / path).read_text(encoding="utf-8"))


def test_a_line_of_the_page_is_for_all_that_get_the_same_error():
    def one(size):
        check(size)

    def other(size):
        raise TypeError(f"size | in {ROOT}, " + "x" * bad_input.LONGEST)

    calls = [*function(check, {}, {"size": {"0": 0}}), *function(one, {}, {"size": {"0": 0}})]
    calls += [Call("A.b", other, {}, {"size": {"0": 0}}), Call("A.c", other, {}, {"size": {"0": 0}})]
    same, cut = bad_input._lines(calls, str(ROOT))
    assert same == "| `check`, `one` | `size` | 0 | `ValueError`: `` size must not be 0 `` |"
    assert cut.startswith(r"| `A` (b, c) | `size` | 0 | `TypeError`: `` size \| in …, xxx")
    assert cut.endswith("x … `` |")
