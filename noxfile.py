"""Every check in an environment of its own: ``nox -l`` lists them, ``nox -s lint types`` runs some.

The packages are the pinned ones of binder/requirements.txt, except in ``lowest`` and ``newest``.
"""

import json
import re
import shutil
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
PINNED = "binder/requirements.txt"
QUICK = ("-n", "2", "-m", "not slow")
# tests/test_project.py asks for the pinned releases.
UNPINNED = (*QUICK, "tests", "adathresh", "--ignore", "tests/test_project.py")
MEASURED = ("signals", "posthoc", "rules", "metrics", "paper")  # rooms whose mistakes would be wrong numbers
LEAST_COVERED = 0.9
FUSED_RULE = ("candidates", "crossfit", "fusion", "guarantee", "targets")
MUTATED = {  # the modules whose statements are changed, and the tests that must notice
    "metrics": (["adathresh/metrics/*.py"], ["tests/metrics"]),
    "posthoc": (
        [f"adathresh/posthoc/{module}.py" for module in FUSED_RULE],
        [f"tests/posthoc/test_{module}.py" for module in FUSED_RULE],
    ),
    "rules": (["adathresh/rules/*.py"], ["tests/rules"]),
    "signals": (["adathresh/signals/*.py"], ["tests/signals"]),
}
MUTMUT = r"""
[tool.mutmut]
source_paths = ["adathresh"]
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-o", "addopts=--strict-markers --import-mode=importlib", "-m", "not slow"]
do_not_mutate_patterns = ['raise \w+\(', '^\s*f?".*"$']  # what errors say
"""
MOST_SURVIVORS = 0.1
ONLY_IN_EXTRAS = ("torch", "matplotlib", "pandas", "IPython", "jupyter_core", "jupyterlab")
MOST_MEGABYTES = 400

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests-3.11"]
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session(python=PYTHONS[0])
def lint(session):
    """Style and docstrings: ruff and numpydoc."""
    session.install("-c", PINNED, "ruff", "numpydoc")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    files = session.run("git", "ls-files", "adathresh/*.py", external=True, silent=True).split()
    session.run("numpydoc", "lint", *files)


@nox.session(python=PYTHONS[0])
def types(session):
    """Type hints: mypy."""
    session.install("-r", PINNED)
    session.install("--no-deps", "-e", ".")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session):
    """Run the quick tests, or what is given after ``--``."""
    session.install("-r", PINNED)
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", *(session.posargs or QUICK))


@nox.session(python=PYTHONS[0])
def coverage(session):
    """Measure which branches the quick tests and doctests of a room take, in each room 90 % at least."""
    session.install("-r", PINNED)
    session.install("--no-deps", "-e", ".")
    folder = Path(session.create_tmp()).absolute()
    session.env["COVERAGE_FILE"] = str(folder / "coverage")
    rooms = [f"adathresh/{room}" for room in MEASURED]
    tests = [f"tests/{room}" for room in MEASURED]
    of_rooms = ("--branch", f"--source={','.join(rooms)}")
    session.run("coverage", "run", *of_rooms, "-m", "pytest", "-m", "not slow", *tests, *rooms)
    session.run("coverage", "report", "--show-missing", "--skip-covered")
    session.run("coverage", "json", "-q", "-o", str(folder / "coverage.json"))
    files = json.loads((folder / "coverage.json").read_text())["files"]
    for room in rooms:
        counts = [file["summary"] for name, file in files.items() if Path(room) in Path(name).parents]
        taken, there = (sum(each[key] for each in counts) for key in ("covered_branches", "num_branches"))
        session.log(f"{room}: {taken} of {there} branches")
        if taken < LEAST_COVERED * there:
            session.error(f"the quick tests take fewer than {LEAST_COVERED:.0%} of the branches of {room}.")


@nox.session(python=PYTHONS[0])
def mutation(session):
    """Change what makes numbers, one thing at a time: the tests must notice; ``-- rules`` takes one room."""
    session.install("-r", PINNED, "mutmut==3.8.1")
    session.install("--no-deps", "-e", ".")
    too_many = []
    for room in session.posargs or MUTATED:
        folder = Path(session.create_tmp()) / room
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("adathresh", "tests"):
            shutil.copytree(name, folder / name)
        modules, tests = MUTATED[room]
        settings = MUTMUT.format(modules=json.dumps(modules), tests=json.dumps(tests))
        (folder / "pyproject.toml").write_text(Path("pyproject.toml").read_text() + settings)
        with session.chdir(folder):
            session.run("mutmut", "run", "--max-children", "1", silent=True)
            session.run("mutmut", "results")  # what survived; `mutmut show NAME` in this folder shows it
            session.run("mutmut", "export-cicd-stats", silent=True)
        counts = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text())
        survivors = counts["total"] - counts["killed"] - counts["timeout"]
        session.log(f"{room}: {survivors} of {counts['total']} mutants survived")
        if survivors > MOST_SURVIVORS * counts["total"]:
            too_many.append(room)
    if too_many:
        session.error(
            f"more than {MOST_SURVIVORS:.0%} survived in {', '.join(too_many)}: see tests/mutants.md"
        )


@nox.session(python=PYTHONS[0])
def notebooks(session):
    """Run the notebooks, whose outputs must come out as committed."""
    session.install("-r", PINNED)
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", "--nbval", "notebooks")


@nox.session(python=PYTHONS[0])
def browser(session):
    """Run the notebooks in JupyterLab as a person would, in a Chromium; screenshots go into screenshots/."""
    session.install("-r", PINNED, "playwright")
    session.install("--no-deps", "-e", ".")
    if "--browser" not in session.posargs:
        session.run("playwright", "install", "--with-deps", "chromium")
    session.run("python", "-m", "tests.in_browser", *session.posargs)


@nox.session(python=PYTHONS[0])
def docs(session):
    """Build the site, any warning being an error; ``-- linkcheck`` asks every address on its pages."""
    session.install("-r", PINNED)
    session.install("--no-deps", "-e", ".")
    session.install("-c", PINNED, "-e", ".[docs]")
    builder = session.posargs[0] if session.posargs else "html"
    options = ("-b", builder, "-c", "docs", "-W", "--keep-going", "-E", "-n")
    session.run("python", "-m", "sphinx", *options, ".", f"docs/_build/{builder}")


@nox.session(python=PYTHONS[0], reuse_venv=False)  # nothing may be left of an earlier run
def wheel(session):
    """Install the wheel alone, and run README's example and the command line; then notebook 01."""
    readme = Path("README.md").read_text(encoding="utf-8")
    example = re.search(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)[1]
    said = re.findall(r"^# (.*)$", example, flags=re.MULTILINE)
    folder = Path(session.create_tmp()).absolute()
    pinned = Path(PINNED).absolute()
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(folder))  # the wheel is built from the sdist
    (built,) = folder.glob("*.whl")
    session.install("-c", str(pinned), str(built))
    where = ("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    packages = Path(session.run(*where, silent=True).strip())
    too_much = [name for name in ONLY_IN_EXTRAS if (packages / name).exists()]
    megabytes = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6
    session.log(f"the wheel alone: {megabytes:.0f} MB of packages")
    if too_much or megabytes > MOST_MEGABYTES:
        session.error(f"at most {MOST_MEGABYTES} MB, and nothing of an extra; found {too_much}")
    session.chdir(folder)  # away from the sources
    printed = session.run("python", "-c", example, silent=True).splitlines()
    if printed != said:
        session.error(f"README's example printed {printed}, not {said}")
    session.run("adathresh", "--help", silent=True)
    session.run("adathresh", "data", "list")
    session.env["ADATHRESH_CACHE"] = str(folder / "cache")
    session.install("-c", str(pinned), f"{built}[notebooks]")
    session.run("adathresh", "reproduce", "--only", "01", "--at-once", "1")


@nox.session(python=PYTHONS[0], reuse_venv=False)
def sdist(session):
    """Run the quick tests of the unpacked sdist, or what is given after ``--``."""
    folder = Path(session.create_tmp()).absolute()
    session.install("-r", PINNED)
    session.install("-c", PINNED, "build")
    session.run("python", "-m", "build", "--sdist", "--outdir", str(folder))
    (built,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(built, folder, filter="data")
    session.chdir(folder / built.name.removesuffix(".tar.gz"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", *(session.posargs or QUICK))


@nox.session(python=PYTHONS[0], venv_backend="virtualenv")  # the script needs pip
def binder(session):
    """Do what Binder does: install the pinned set, run postBuild; then run the first notebook."""
    folder = Path(session.create_tmp()).absolute()
    session.env["ADATHRESH_CACHE"] = str(folder / "cache")
    session.install("-r", PINNED)
    session.run("binder/postBuild", external=True)
    if not any((folder / "cache").glob("pyapi-*")):
        session.error("postBuild has not built the corpus")
    session.run("jupyter", "lab", "--version")
    session.run("adathresh", "reproduce", "--only", "01", "--at-once", "1", "--out", str(folder / "out"))


@nox.session(python=PYTHONS[0], venv_backend="uv")
def lowest(session):
    """Run the quick tests, or what is given after ``--``, on the oldest releases that are allowed."""
    session.install("--resolution", "lowest-direct", "-e", ".[notebooks,test]")
    session.run("python", "-m", "pytest", *(session.posargs or UNPINNED))


@nox.session(python=[PYTHONS[0], PYTHONS[-1]])
def newest(session):
    """Run the quick tests, or what is given after ``--``, on the newest releases; torch is the pinned one."""
    (torch,) = re.findall(r"^torch==.*$", Path(PINNED).read_text(), flags=re.MULTILINE)
    session.install("--upgrade", torch, "-e", ".[notebooks,test]")
    session.run("python", "-m", "pytest", *(session.posargs or UNPINNED))
