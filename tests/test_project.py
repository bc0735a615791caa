"""What holds for the repository as a whole: the two commands, the style, the notebooks, the layers."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import adathresh
from adathresh.experiments.across_datasets.models import (
    critical_difference,
    mean_ranks,
    models_table,
    with_texts,
)
from adathresh.experiments.across_datasets.rules import inductive_rivals, summary_table
from adathresh.experiments.core.config import RunConfig

ROOT = Path(__file__).parents[1]
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -r binder/requirements.txt -e . && "
REPRODUCE, TEST = INSTALL + ".venv/bin/adathresh reproduce", INSTALL + ".venv/bin/python -m pytest"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|work|opt|usr|var|mnt|private)/|[A-Z]:\\")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# The two commands


@pytest.mark.parametrize(("command", "workflow"), [(REPRODUCE, "reproduce.yml"), (TEST, "tests.yml")])
def test_readme_and_workflows_hold_the_same_command(command, workflow):
    assert read("README.md").splitlines().count(command) == 1
    assert f"run: {command}\n" in read(f".github/workflows/{workflow}")


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_ci_runs_the_test_line_of_the_readme(tmp_path):
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "run"
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    script.chmod((ROOT / ".ci" / "run").stat().st_mode)

    def run(readme):
        (tmp_path / "README.md").write_text(readme)
        return subprocess.run([script], capture_output=True, text=True, cwd="/")

    good = run("# Title\n\n```\necho first\npwd && echo ran -m pytest\n```\n")
    assert good.returncode == 0
    assert good.stdout.splitlines()[1:] == [str(tmp_path), "ran -m pytest"]
    assert run("false && echo -m pytest\n").returncode != 0
    assert run("no line\n").returncode == 2
    assert run("echo -m pytest\necho -m pytest\n").returncode == 2


def test_the_pinned_set_is_complete_and_meets_every_lower_bound():
    lines = [line for line in read("binder/requirements.txt").splitlines() if not line.startswith("#")]
    assert lines == sorted(lines)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    pins = dict(line.split("==") for line in lines)
    project = tomllib.loads(read("pyproject.toml"))["project"]
    for requirement in map(
        Requirement, chain(project["dependencies"], *project["optional-dependencies"].values())
    ):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_one_version_everywhere():
    assert f"\nversion: {adathresh.__version__}\n" in read("CITATION.cff")
    assert f"## [{adathresh.__version__}]" in read("CHANGELOG.md")


# Style


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff(arguments):
    run_clean("ruff", *arguments, ".")


def test_docstrings():
    files = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "adathresh").rglob("*.py"))]
    run_clean("numpydoc", "lint", *files)


def test_the_docstring_check_can_fail(tmp_path):
    (tmp_path / "module.py").write_text('"""M."""\n\n\ndef f(a):\n    """Return."""\n    return a\n')
    with pytest.raises(AssertionError, match="PR01"):
        run_clean("numpydoc", "lint", str(tmp_path / "module.py"), "--config", str(ROOT))


def run_clean(module, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_examples_run(tmp_path, monkeypatch):
    readme = read("README.md")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL))
    assert blocks
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    for block in blocks:
        # Line numbers of errors are those of the page.
        before = "\n" * readme[: block.start(1)].count("\n")
        exec(compile(before + block[1], "README.md", "exec"), namespace)


# The numbers of the README

RULES = ("fixed 0.5", "global cut", "SCutFBR", "F*/2", "adaptive")


def result(path, column, metric, names):
    """Return mean macro-F1 or micro-F1 over seeds for each name, in three decimals."""
    frame = pd.read_csv(ROOT / "results" / path)
    frame = frame[frame["base"] == "network"]
    means = frame.groupby(column)[metric].mean()
    return [f"{means[name]:.3f}" for name in names]


def results_table():
    """Build the README's table: one line a folder with results of 02 and 03, macro-F1 / micro-F1."""
    lines = [
        f"| data set (profile) | paper's method | {' | '.join(RULES)} |",
        f"| --- | {' | '.join(['---'] * (len(RULES) + 1))} |",
    ]
    for file in sorted((ROOT / "results").rglob("headline.csv")):
        if not file.with_name("training.csv").is_file():
            continue
        folder = file.parent.relative_to(ROOT / "results").as_posix()
        columns = [
            [
                *result(f"{folder}/training.csv", "method", metric, ["paper's method"]),
                *result(f"{folder}/headline.csv", "rule", metric, RULES),
            ]
            for metric in ("macro_f1", "micro_f1")
        ]
        cells = [f"{macro} / {micro}" for macro, micro in zip(*columns, strict=True)]
        name = folder.replace("/full", " (full)") if folder.endswith("/full") else f"{folder} (quick)"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


CROSS_FITTED = (
    "fixed 0.5",
    "global cut",
    "PCut",
    "SCutFBR",
    "micro + macro",
    "F*/2",
    "adaptive",
    "adaptive, macro + micro",
)


def summary(name="summary"):
    """Read a committed summary of all data sets."""
    return pd.read_csv(ROOT / "results" / f"{name}.csv")


def rules_table():
    """Build the README's table of rules on cross-fitted scores: one line a data set, its first base model."""
    lines = [
        f"| data set (base model, profile) | {' | '.join(CROSS_FITTED)} |",
        f"| --- | {' | '.join(['---'] * len(CROSS_FITTED))} |",
    ]
    for (name, profile), frame in summary().groupby(["dataset", "profile"]):
        base = frame["base"].iloc[0]
        means = frame[frame["base"] == base].set_index("rule")[["macro_f1", "micro_f1"]]
        cells = [f"{macro:.3f} / {micro:.3f}" for macro, micro in means.loc[list(CROSS_FITTED)].values]
        lines.append(f"| {name} ({base}, {profile}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def leakage_table():
    """Build the README's table of the released protocol: macro-F1 / micro-F1 on the dev rows."""
    ways = [
        "released, best epoch",
        "labels withheld",
        "labels of other rows",
        "leak-free signals",
        "leak-free",
    ]
    shown = ["as reported", *ways[1:4], "leak-free method"]
    lines = [f"| data set (seeds) | {' | '.join(shown)} |", f"| --- | {' | '.join(['---'] * len(shown))} |"]
    for file in sorted((ROOT / "results").glob("*/leakage.csv")):
        frame = pd.read_csv(file)
        means = frame.groupby("method")[["macro_f1", "micro_f1"]].mean().loc[ways]
        cells = [f"{macro:.3f} / {micro:.3f}" for macro, micro in means.values]
        lines.append(f"| {file.parent.name} ({frame['seed'].nunique()}) | {' | '.join(cells)} |")
    return "\n".join(lines)


@pytest.mark.parametrize("table", [results_table, rules_table, leakage_table])
def test_readme_shows_the_committed_results(table):
    assert table() in read("README.md"), f"put this table into README.md:\n{table()}"


def verdicts(column):
    """Return a verdict of the summary for every inductive rival, by data set and base model."""
    rivals = inductive_rivals(summary()).dropna(subset=[column])
    return rivals.set_index(["dataset", "base", "rule"])[column]


def beats_all(column):
    """Whether ours is clearly better than all rivals, by data set and base model."""
    return (verdicts(column) == "better").groupby(level=["dataset", "base"]).all()


def all_but(column):
    """Say on how many combinations ours beats all rivals, and on which it does not."""
    better = beats_all(column)
    rest = better[~better].reset_index().groupby("dataset")["base"].agg(" / ".join)
    named = "; ".join(f"{name} ({bases})" for name, bases in rest.items())
    return f"{better.sum()} of {len(better)}" + (f", all but {named}" if named else "")


def rules_claim():
    """Count how often ours is better than the inductive rivals on cross-fitted scores."""
    found = verdicts("adaptive_is")
    counts = found.value_counts().reindex(["better", "level", "worse"], fill_value=0)
    n_rules, n_bases = found.index.unique("rule").size, len(beats_all("adaptive_is"))
    return (
        f"{n_rules} inductive rivals on {n_bases} combinations of data set and base model: `adaptive` is "
        f"clearly better in {counts['better']} of the {len(found)} comparisons, level in {counts['level']} "
        f"and clearly worse in {counts['worse']}. It is clearly better than all of them at once on "
        f"{all_but('adaptive_is')}. Where rows and labels have texts, `adaptive + label texts` is clearly "
        f"better than all rivals on {all_but('texts_is')}."
    )


def together_claim():
    """Say what all base models reach together on EURLEX57K."""
    table = summary().query("dataset == 'eurlex57k' and profile == 'full' and base == 'all together'")
    table = table.set_index("rule")[["macro_f1", "micro_f1"]]
    texts, both = " + label texts", ", macro + micro"
    one, other, one_text, other_text = (
        f"{macro:.3f} / {micro:.3f}"
        for macro, micro in table.loc[[f"adaptive{end}" for end in ("", both, texts, texts + both)]].values
    )
    return (
        f"reach {one} with `adaptive` and {other} aiming at both; with label texts {one_text} and "
        f"{other_text}."
    )


def ranks_claim():
    """Say how families of models and cuts rank over all data sets, and transformers over those with texts."""
    models = summary("summary_models")
    everywhere, texts = mean_ranks(models), mean_ranks(with_texts(models))
    ours, rivals = (
        f"{everywhere[cut].min():.1f} to {everywhere[cut].max():.1f}" for cut in ("adaptive", "best_rival")
    )
    n_sets, n_texts = (table["dataset"].nunique() for table in (models, with_texts(models)))
    difference = critical_difference(everywhere.size, n_sets)
    tuned = texts.loc["MiniLM, fine-tuned"]
    return (
        f"On all {n_sets} sets, the {len(everywhere)} families that every set has reach mean ranks of {ours} "
        f"with `adaptive` and of {rivals} under the best rival rule, out of {everywhere.size} pairs of model "
        f"and cut (critical difference {difference:.1f}). On the {n_texts} sets with texts, fine-tuned "
        f"MiniLM has {tuned['fixed']:.1f} at 0.5 and {tuned['adaptive']:.1f} with `adaptive`, out of "
        f"{texts.size}; trees with `adaptive` have {texts.loc['trees', 'adaptive']:.1f}."
    )


def long_training_claim():
    """Say what the labels in the released threshold are worth as training goes on."""
    tables = {}
    for name in ("eurlex57k", "pyapi", "bibtex", "reuters21578"):
        epochs = pd.read_csv(ROOT / "results" / name / "full" / "leakage_epochs.csv").groupby("epoch")
        tables[name] = epochs[["macro_f1_released", "macro_f1_withheld", "difference"]].mean()

    def at(name, epoch):
        return [f"{value:.3f}" for value in tables[name].loc[epoch]]

    early = {name: at(name, 17)[2] for name in tables}
    eurlex, pyapi, bibtex, reuters = (at(name, 400) for name in tables)
    best = tables["eurlex57k"]["macro_f1_released"].idxmax()
    peak = at("eurlex57k", best)
    late = tables["eurlex57k"].loc[80:]
    assert (late["difference"] > late["macro_f1_released"] / 2).all()
    return (
        f"are worth {early['eurlex57k']} macro-F1 after 17 epochs and more than half of the figure from "
        f"about 80 on: {peak[0]} is reported after {best} epochs, of which {peak[1]} is left without them, "
        f"and {eurlex[0]} and {eurlex[1]} after 400. On the embedded corpus they are worth {early['pyapi']} "
        f"after 17 epochs and {pyapi[2]} after 400, where {pyapi[0]} is reported and {pyapi[1]} left; on "
        f"bibtex {early['bibtex']} and {bibtex[2]}, with {bibtex[0]} reported and {bibtex[1]} left; on "
        f"reuters21578 only {early['reuters21578']} and {reuters[2]} (three seeds"
    )


def calibration_claim():
    """Compare the fused probabilities with isotonic regression, set by set."""
    files = sorted((ROOT / "results").glob("*/calibration_differences.csv"))
    found = pd.concat(pd.read_csv(file).assign(dataset=file.parent.name) for file in files)
    found = found.query("labels == 'all' and b == 'isotonic'").set_index("metric")
    brier, ece = found.loc["brier"], found.loc["ece"]
    better, worse = ece.query("high < 0")["dataset"], ece.query("low > 0")["dataset"].item()
    shown = pd.read_csv(ROOT / "results" / worse / "calibration.csv").query("labels == 'all'")
    shown = shown.groupby("probabilities")["ece"].mean()
    return (
        f"the fused probabilities have a clearly lower Brier score on {(brier['high'] < 0).sum()} of "
        f"{len(brier)} sets; their ECE is clearly lower on {', '.join(better)}, level on "
        f"{len(ece) - len(better) - 1} sets and clearly higher on {worse} "
        f"({shown['fused (adathresh)']:.4f} against {shown['isotonic']:.4f})"
    )


def gap_claim():
    """Say what part of the embedded corpus's gap is the model, what part the cut."""
    gap, parts = (pd.read_csv(ROOT / "results" / "pyapi" / f"{name}.csv") for name in ("gap", "gap_parts"))
    parts, strongest = parts.mean(), gap.groupby("base")["adaptive"].mean().max()
    model, cut, fusion = (
        f"{100 * parts[f'gain_{name}'] / parts['gain_both']:.0f} %" for name in ("model", "cut", "fusion")
    )
    return (
        f"On the embedded corpus these families lie {parts['spread_fixed']:.3f} macro-F1 apart at 0.5 and "
        f"{parts['spread_adaptive']:.3f} with `adaptive`. From the weakest at 0.5 "
        f"({parts['weakest_fixed']:.3f}) to the strongest with `adaptive` ({strongest:.3f}), the best model "
        f"alone covers {model} of the way, the best rival cut of the weakest one's own scores {cut}, "
        f"`adaptive` on them {fusion}"
    )


def eurlex_claim():
    """Say how far the families lie apart on eurlex57k, and which one leads."""
    gap = pd.read_csv(ROOT / "results" / "eurlex57k" / "gap.csv")
    gap = gap.drop(columns="seed").groupby("base").mean()
    assert len(gap) == 8
    assert (gap.loc["linear SVM"] == gap.max()).all()
    spread, svm = gap.max() - gap.min(), gap.loc["linear SVM"]
    return (
        f"On eurlex57k eight families lie {spread['fixed']:.3f} apart at 0.5 and {spread['adaptive']:.3f} "
        f"with `adaptive`; LIBLINEAR's SVM leads throughout ({svm['fixed']:.3f}, then {svm['adaptive']:.3f})."
    )


def tuned_claim():
    """Say what three epochs of fine-tuning are worth, against the other families' best."""
    tuned, others = {}, {}
    for name in ("goemotions", "reuters21578"):
        gap = pd.read_csv(ROOT / "results" / name / "full" / "gap.csv").groupby("base")
        gap = gap[["fixed", "best_rival", "adaptive"]].mean()
        tuned[name], others[name] = gap.loc["MiniLM, fine-tuned"], gap.drop("MiniLM, fine-tuned")
        assert (tuned[name] > others[name].max()).all()
    one, two, rest = tuned["goemotions"], tuned["reuters21578"], others["reuters21578"]
    assert list(rest[["fixed", "adaptive"]].idxmax()) == ["MiniLM, frozen", "label tree"]
    return (
        f"MiniLM leads on goemotions whatever the cut: {one['fixed']:.3f} at 0.5, {one['best_rival']:.3f} "
        f"under the best rival rule and {one['adaptive']:.3f} with `adaptive`, where the next family has "
        f"{others['goemotions']['adaptive'].max():.3f}: there the model is what matters. On reuters21578 it "
        f"leads at 0.5 ({two['fixed']:.3f}; the next one, frozen MiniLM, has {rest['fixed'].max():.3f}) and "
        f"by little in the end ({two['adaptive']:.3f} with `adaptive`, label trees "
        f"{rest['adaptive'].max():.3f})."
    )


@pytest.mark.parametrize(
    "claim",
    [
        rules_claim,
        together_claim,
        ranks_claim,
        gap_claim,
        eurlex_claim,
        long_training_claim,
        calibration_claim,
        tuned_claim,
    ],
)
def test_readme_claims_follow_from_the_committed_results(claim):
    assert claim() in " ".join(read("README.md").split()), f"put this into README.md:\n{claim()}"


def test_the_summary_is_that_of_the_committed_results():
    pd.testing.assert_frame_equal(summary(), summary_table(ROOT / "results"), rtol=0, atol=1e-6)
    models = summary("summary_models")
    pd.testing.assert_frame_equal(models, models_table(ROOT / "results"), rtol=0, atol=1e-6)


# The notebooks


def test_notebooks_are_numbered_without_gaps():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{i:02d}_" for i in range(1, len(NOTEBOOKS) + 1)]
    assert NOTEBOOKS


def test_committed_results_hold_no_machine_paths():
    for path in (ROOT / "results").rglob("*"):
        if path.suffix in (".csv", ".json") and "executed" not in path.parts:
            assert not MACHINE_PATH.search(path.read_text(encoding="utf-8")), path


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_notebook_is_small(path):
    assert path.stat().st_size <= 300_000


def test_notebook_begins_with_its_question(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert "?" in notebook.cells[0].source


def test_notebook_parameters_are_the_defaults_of_the_configuration(code):
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    given = {}
    for statement in ast.parse(cell.source).body:
        (target,) = statement.targets
        given[target.id] = ast.literal_eval(statement.value)
    assert {
        field.name: given.get(field.name, "missing") for field in fields(RunConfig)
    } == RunConfig().to_parameters()


def test_notebook_was_run_from_top_to_bottom_without_errors(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]


def test_notebook_has_no_machine_paths(notebook):
    for cell in notebook.cells:
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts.append(output.get("text", ""))
            texts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
        found = [match[0] for text in texts for match in [MACHINE_PATH.search(text)] if match]
        assert not found, cell.source


def test_notebook_is_thin(code):
    for cell in code:
        # Magics and shell commands are no Python, so they fail here too.
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ClassDef), cell.source
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 5, cell.source


def test_notebook_compares_every_table_before_it_replaces_the_published_one(code):
    calls = [
        (node.func.id, node.args[1].value)
        for cell in code
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("compare_table", "write_table")
    ]
    for i, (function, name) in enumerate(calls):
        if function == "write_table":
            assert ("compare_table", name) in calls[:i], name


@pytest.mark.parametrize("text", ["read /home/me/data", "'/opt/x'", r"C:\data", "(/mnt/x)"])
def test_machine_paths_are_recognised(text):
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["results/pyapi/a.csv", "https://x.org/home/y", "and/or", "../shared/data", "a/opt/b"]
)
def test_other_text_is_no_machine_path(text):
    assert not MACHINE_PATH.search(text)


def test_the_pinned_numerics_are_what_is_tested():
    pins = dict(line.split("==") for line in read("binder/requirements.txt").splitlines() if "==" in line)
    installed = {name: version(name).split("+")[0] for name in ("numpy", "scipy", "scikit-learn", "torch")}
    assert installed == {name: pins[name] for name in installed}
