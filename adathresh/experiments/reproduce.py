"""Run the numbered notebooks in order into one folder, and say whether the published results come out."""

import dataclasses
import json
import os
import platform
import re
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import cpu_count
from tqdm import tqdm

from adathresh import __version__
from adathresh.experiments.core.execution import (
    attempt,
    count_cells,
    end_kernels,
    find_notebooks,
    watched_memory,
)
from adathresh.experiments.core.results import AGREEMENT, RECORD
from adathresh.experiments.provenance import circumstances, write_crate
from adathresh.utils.files import whole_file
from adathresh.utils.suggest import did_you_mean

EXECUTED = "executed.ipynb"
"""The executed notebook, beside its results."""

DIFFERENT = 3
"""The exit status of a run that ended but did not come out as published."""

_SHORT = ("05_calibration", "07_your_own_model")
"""What begins last where several run at once: begun last, a long one would run alone."""

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
"""The bar counts seconds of the published run: what is left is told in time alone."""

_CORES = ("LOKY_MAX_CPU_COUNT", "OMP_NUM_THREADS")
"""Variables that say on how many cores a process may compute."""


def reproduce(
    config, *, only=None, notebooks_dir=None, progress=True, update_reference=False, notebooks_at_once=1
):
    """Run the notebooks in order, write what they find, and compare it with what is published.

    ``only`` names notebooks by number ("02") or name ("02_baselines"); ``update_reference`` replaces the
    published results once every notebook has run. Notebooks that run at once use each other's stored
    computations as far as they are there. Returns the exit status: 0 when all ran and all claims and values
    came out as published (or nothing is published to compare with), 1 when a cell failed (its notebook is
    kept as far as it came), 3 when a claim or a value differs, 130 after an interruption from the keyboard.
    """
    if update_reference and config.reference_folder is None:
        raise FileNotFoundError(
            "there are no published results to replace: adathresh is not run from its clone"
        )
    notebooks = _choose(find_notebooks(notebooks_dir), only)
    folder = config.folder
    data_dir = None if config.data_dir is None else str(Path(config.data_dir).expanduser().absolute())
    # Notebooks run in their own folder, so every path they get must be absolute.
    parameters = dataclasses.replace(config, data_dir=data_dir, out=str(folder), save=True).to_parameters()
    n_cells = {notebook.stem: count_cells(notebook, parameters) for notebook in notebooks}
    weights = _cell_weights(n_cells, config.reference_folder)
    print(f"{len(notebooks)} notebook(s), data set {config.dataset}, profile {config.profile}, into {folder}")

    record = _RunRecord(config, folder, continues=only is not None)
    total = sum(map(sum, weights.values()))
    bar = tqdm(total=total, bar_format=_BAR, smoothing=0, disable=not progress)
    with bar, _ticking(bar), share_of_cores(notebooks_at_once):
        ended = _run_all(notebooks, folder, parameters, record, bar, weights, notebooks_at_once)
    print(_summary(ended, folder))
    broken = [end for end in ended if end.failure]
    if broken:
        done = [end.notebook for end in ended if not end.failure]
        left = ",".join(notebook.stem[:2] for notebook in notebooks if notebook not in done)
        for end in broken:
            print(
                f"{end.failure}\nAs far as it came: {folder / end.notebook.stem / EXECUTED}", file=sys.stderr
            )
        print(f"What was done before is kept; go on with the same command and --only {left}", file=sys.stderr)
        return 130 if "interrupted" in (end.status for end in broken) else 1
    same, verdict = _verdict([folder / notebook.stem for notebook in notebooks], config.reference_folder)
    print(verdict)
    write_crate(folder)
    if update_reference:
        _replace_reference(config, notebooks)
        print(f"These are the published results now: {config.reference_folder}")
        return 0
    return 0 if same else DIFFERENT


class _Ended(NamedTuple):
    """How a notebook ended."""

    notebook: Path
    status: str
    seconds: float
    failure: str | None


def _cell_weights(n_cells, reference):
    """Return how much each cell adds to the bar: its seconds in the published run, where they are known.

    Where only those of a whole notebook are, its cells share them; where none are, a cell is like the mean
    of all others.
    """
    published = {} if reference is None else read_run(reference / "run.json").get("notebooks", {})
    found = {}
    for name, n in n_cells.items():
        entry = published.get(name, {})
        if len(entry.get("cell_seconds", ())) == n:
            found[name] = entry["cell_seconds"]
        elif "seconds" in entry:
            found[name] = [entry["seconds"] / n] * n
    known = [seconds for cells in found.values() for seconds in cells]
    mean = sum(known) / len(known) if any(known) else 1
    return {name: found.get(name, [mean] * n) for name, n in n_cells.items()}


def _run_all(notebooks, folder, parameters, record, bar, weights, at_once):
    """Run notebooks, so many at once, until one fails; say how those ended that began."""
    no_more, interrupted, lock, running = threading.Event(), threading.Event(), threading.Lock(), []

    def note(change, notebook):
        with lock:
            change(notebook.stem)
            bar.set_description(", ".join(running))

    def run(notebook):
        if no_more.is_set():
            return None
        note(running.append, notebook)
        start, place = time.perf_counter(), folder / notebook.stem
        cells, left = [start], iter(weights[notebook.stem])
        _forget(place)

        def count_cell(**_):
            cells.append(time.perf_counter())
            bar.update(min(next(left, 0), bar.total - bar.n))  # a sum of fractions may exceed its total

        with watched_memory() as peak_memory:
            status, failure = attempt(
                notebook,
                output=place / EXECUTED,
                parameters=parameters,
                on_cell=count_cell,
                interrupted=interrupted,
            )
        if failure:
            no_more.set()
        ended = _Ended(notebook, status, time.perf_counter() - start, failure)
        with lock:
            record.add(notebook.stem, status, ended.seconds, np.diff(cells), peak_memory())
        note(running.remove, notebook)
        return ended

    begun = sorted(notebooks, key=lambda notebook: at_once > 1 and notebook.stem in _SHORT)
    with ThreadPoolExecutor(at_once) as pool:
        runs = {notebook: pool.submit(run, notebook) for notebook in begun}
        futures = runs.values()
        try:
            # again and again: one endless wait would not be interrupted on Windows
            while wait(futures, timeout=1).not_done:
                pass
        except KeyboardInterrupt:
            no_more.set()
            interrupted.set()
            # again and again: a kernel may only be about to start
            while wait(futures, timeout=0).not_done:
                end_kernels()
                time.sleep(0.2)
        return [ended for ended in (runs[notebook].result() for notebook in notebooks) if ended]


@contextmanager
def share_of_cores(at_once):
    """Give each of the notebooks that run at once its share of the cores: kernels inherit the variables.

    What a user has set stays.
    """
    share = str(max(1, cpu_count() // at_once))
    ours = [name for name in _CORES if at_once > 1 and name not in os.environ]
    os.environ.update(dict.fromkeys(ours, share))
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


class _RunRecord:
    """Keeps ``run.json`` up to date: after every notebook it says what has been done, and with what."""

    def __init__(self, config, folder, *, continues):
        self.path = folder / "run.json"
        described = config.to_dict()
        # notebooks of one folder may differ in these
        self.own = {name: described.pop(name) for name in ("seeds", "numbers")} | circumstances()
        self.content = {
            "config": described,
            "versions": _versions(),
            "started": _now(),
            "finished": None,
            "notebooks": {},
        }
        earlier = read_run(self.path) if continues else {}
        if earlier and all(_agree(earlier[key], self.content[key]) for key in ("config", "versions")):
            self.content |= {key: earlier[key] for key in ("started", "notebooks")}

    def add(self, name, status, seconds, cell_seconds, peak_memory_mb):
        """Note one notebook's end and write the file."""
        self.content["finished"] = _now()
        self.content["notebooks"][name] = {
            "status": status,
            "seconds": round(seconds, 1),
            "cell_seconds": np.round(cell_seconds, 1).tolist(),
            "peak_memory_mb": round(peak_memory_mb),
            **self.own,
        }
        self.content["notebooks"] = dict(sorted(self.content["notebooks"].items()))
        _write_json(self.path, self.content)


def read_run(path):
    """Read a ``run.json``; empty where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if content.keys() >= {"config", "versions", "started", "notebooks"} else {}
    except (OSError, ValueError, AttributeError):
        return {}


def _forget(place):
    """Remove what an earlier run has left of one notebook, so that no old file passes for a new one."""
    for path in (*place.glob("*.csv"), *place.glob("*.png"), *place.glob("*.json"), *place.glob("*.ipynb")):
        path.unlink()


def _replace_reference(config, notebooks):
    """Put the results of some notebooks in place of the published ones."""
    reference = config.reference_folder
    for notebook in notebooks:
        target, source = reference / notebook.stem, config.folder / notebook.stem
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            if path.name not in (EXECUTED, AGREEMENT):
                shutil.copy2(path, target / path.name)
    run, published = read_run(config.folder / "run.json"), read_run(reference / "run.json")
    run["notebooks"] = {notebook.stem: run["notebooks"][notebook.stem] for notebook in notebooks}
    if published and all(_agree(published[key], run[key]) for key in ("config", "versions")):
        run["notebooks"] = dict(sorted({**published["notebooks"], **run["notebooks"]}.items()))
    _write_json(reference / "run.json", run)
    write_crate(reference)


def _write_json(path, content):
    """Put a JSON file in place whole."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _verdict(places, reference):
    """Return whether all came out as published, and the line that says so."""
    n_agree = n_values = n_hold = n_claims = 0
    problems = []
    for place in places:
        path = place / AGREEMENT
        found = {"tables": {}, "n_claims": None, "claims_differ": None}
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
        if reference is not None:
            problems += _not_made(place.name, found, reference / place.name)
        for name, table in found["tables"].items():
            n_agree, n_values = n_agree + table["n_agree"], n_values + table["n_compared"]
            if table["problem"]:
                problems.append(f"{place.name}/{name}: {table['problem']}")
        if found["claims_differ"] is not None:
            n_claims += found["n_claims"]
            n_hold += found["n_claims"] - len(found["claims_differ"])
            problems += [f"{place.name}: {claim}" for claim in found["claims_differ"]]
    if not n_values and not n_claims and not problems:
        return True, "Nothing is published to compare with."
    line = f"{n_hold} of {n_claims} claims hold, {n_agree} of {n_values} values agree."
    return not problems, "\n".join([*problems, line])


def _not_made(notebook, found, published):
    """Name what is published of a notebook but was not made again."""
    if not (published / RECORD).is_file():
        return []
    tables = json.loads((published / RECORD).read_text(encoding="utf-8"))["tables"]
    missing = [name for name in tables if name not in found["tables"]]
    if (published / "claims.csv").is_file() and found["claims_differ"] is None:
        missing.append("claims")
    return [f"{notebook}/{name}: published, but not made here" for name in missing]


@contextmanager
def _ticking(bar, *, seconds=5):
    """Refresh a bar's clock on a terminal while a long cell runs."""
    stop = threading.Event()

    def tick():
        while not stop.wait(seconds):
            bar.refresh()

    if sys.stderr.isatty() and not bar.disable:
        threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _choose(notebooks, only):
    """Keep the notebooks that ``only`` names, in their own order."""
    if only is None:
        return notebooks
    if not only:
        raise ValueError("only must name at least one notebook, for example '02'.")
    names = {key: notebook for notebook in notebooks for key in (notebook.stem, notebook.stem[:2])}
    for name in only:
        if name not in names:
            stems = [notebook.stem for notebook in notebooks]
            raise ValueError(f"no notebook {name!r} among {', '.join(stems)}.{did_you_mean(name, stems)}")
    return [notebook for notebook in notebooks if notebook in {names[name] for name in only}]


def _agree(earlier, now):
    """Whether two descriptions say the same wherever both say something; a package may have been added."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        return all(_agree(earlier[key], now[key]) for key in earlier.keys() & now.keys())
    return earlier == now


def _versions():
    """Return the versions of Python, the platform, adathresh and what it directly depends on."""
    try:
        needed = requires("adathresh") or []
    except PackageNotFoundError:  # run from the sources without being installed
        needed = []
    used = [line for line in needed if not re.search(r"extra == .(test|docs)\b", line)]
    names = sorted({re.match(r"[\w.-]+", line)[0] for line in used})
    installed = {name: _version(name) for name in names}
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "adathresh": __version__,  # an editable installation may remember an earlier one
        **{name: found for name, found in installed.items() if found},
    }


def _version(name):
    """Return an installed distribution's version, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _now():
    """Return the time in a form that sorts."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _summary(ended, folder):
    """Return what was run, how long it took and what it wrote."""
    lines = [f"{'notebook':<20} {'status':<12} {'seconds':>8}  tables and figures"]
    for notebook, status, seconds, _ in ended:
        path = folder / notebook.stem / RECORD
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        names = ", ".join([*record.get("tables", []), *record.get("figures", [])]) or "-"
        lines.append(f"{notebook.stem:<20} {status:<12} {seconds:>8.1f}  {names}")
    return "\n".join(lines)
