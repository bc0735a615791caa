"""Where results come from, for machines: an RO-Crate in each folder of results.

``python -m adathresh.experiments.provenance [FOLDER ...]`` writes it from ``run.json`` and the notebooks'
``record.json``; without a folder it does so for all of ``results/``. ``adathresh reproduce`` writes it after
each run, ``adathresh verify`` compares it with the files. It follows RO-Crate 1.1 and its profile Process Run
Crate: each notebook is an action, with the software that ran, what it was given and the files that it made.

Where a command other than ``adathresh reproduce`` made the files there is no ``run.json``. Then the clone's
history says which commits published them, and each commit is an action, with the package's version in it.
"""

import argparse
import hashlib
import json
import mimetypes
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote

from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.results import RECORD
from adathresh.utils.files import whole_file

CRATE = "ro-crate-metadata.json"
"""The name that the specification gives to the file."""

RUN = "run.json"
COMMANDS = {
    "across_datasets": "python -m adathresh.experiments.across_datasets",
    "benchmarks": "adathresh benchmark",
}
"""The folders of results that no notebook makes, and the commands that do."""

REQUIREMENTS = "binder/requirements.txt"
RECORDED = ("commit", "processor", "requirements_sha256")
"""What :func:`circumstances` may tell."""

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
LICENSE = {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT"}
DEVELOPERS = {"@id": "#developers", "@type": "Organization", "name": "The adathresh developers"}
PAPER = {
    "@id": "https://doi.org/10.48550/arXiv.2505.03118",
    "@type": "ScholarlyArticle",
    "name": "Adaptive Thresholding for Multi-Label Classification via Global-Local Signal Fusion",
}


def circumstances():
    """Return the commit, the processor and the pinned set that a notebook is run with, as far as known."""
    commit = _git("rev-parse", "HEAD")
    if commit and _git("status", "--porcelain", "--", "adathresh"):
        commit += "-dirty"  # as git describe says that there are changes which no commit holds
    found = {"commit": commit, "processor": _processor(), "requirements_sha256": _pinned_set()}
    return {name: value for name, value in found.items() if value}


def write_crate(folder):
    """Write the crate of a folder of results as a whole, and return its path."""
    content = crate(folder)
    with whole_file(folder / CRATE) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder / CRATE


def crate(folder):
    """Describe a folder of results as linked data."""
    files = {name: _file(folder, name) for name in _files(folder)}
    path = folder / RUN
    run = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    packages = [
        {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": release}
        for name, release in run.get("versions", {}).items()
        if name not in ("adathresh", "platform")
    ]
    entities = {entity["@id"]: entity for entity in (*packages, LICENSE, DEVELOPERS, PAPER)}
    if run:
        places = [record.parent for record in sorted(folder.glob(f"*/{RECORD}"))]
        actions = [_action(place, run, packages, entities) for place in places]
        about = _about_run(run)
    else:
        actions = _commits(folder, entities)
        about = _about_command(folder)
    root = {
        "@id": "./",
        "@type": "Dataset",
        **about,
        "conformsTo": {"@id": PROFILE},
        "license": _link(LICENSE),
        "author": _link(DEVELOPERS),
        "citation": _link(PAPER),
        "hasPart": [_link(file) for file in files.values()],
        "mentions": [_link(action) for action in actions],
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": _link(root),
    }
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    graph = [descriptor, root, *actions, *files.values(), profile, *entities.values()]
    return {"@context": CONTEXT, "@graph": graph}


def crate_problems(folder):
    """Return a problem for each file that is not as the crate of a folder of results says."""
    graph = json.loads((folder / CRATE).read_text(encoding="utf-8"))["@graph"]
    said = {entity["@id"]: entity["sha256"] for entity in graph if entity["@type"] == "File"}
    there = {name: _sha256(folder / name) for name in _files(folder)}
    return [
        f"{CRATE}: {name} is {'missing' if name not in there else 'not what it describes'}; "
        "python -m adathresh.experiments.provenance FOLDER describes what is there"
        for name in sorted(said.keys() | there.keys())
        if said.get(name) != there.get(name)
    ]


def manifest(folder=None):
    """Return the list of files in ``codecheck.yml``: what computing the embedded corpus anew must give."""
    root = repository_root()
    folder = root / "results" / "pyapi" if folder is None else folder
    lines = []
    for record in sorted(folder.glob(f"*/{RECORD}")):
        content, place = json.loads(record.read_text(encoding="utf-8")), record.parent
        named = [("table", f"{name}.csv") for name in content["tables"]]
        named += [("figure", f"{name}.png") for name in content["figures"]] + [("findings", "claims.csv")]
        for kind, name in named:
            path = (place / name).relative_to(root).as_posix()
            lines += [f"- file: {path}", f"  comment: {kind} of notebook {place.name}"]
    return "\n".join(lines)


def _about_run(run):
    """Say what the notebooks' results are."""
    config = run["config"]
    return {
        "name": f"Results of adathresh on {config['dataset']}, profile {config['profile']}",
        "description": "Tables, figures and claims that the notebooks of adathresh wrote; all of them can be "
        "computed anew with `adathresh reproduce`.",
        "datePublished": run["finished"] or run["started"],
    }


def _about_command(folder):
    """Say what the results of a command other than ``adathresh reproduce`` are."""
    dates = [_date(folder / name) for name in _files(folder)]
    return {
        "name": f"Results of adathresh: {folder.name}",
        "description": f"Tables and figures that `{COMMANDS[folder.name]}` wrote.",
        "datePublished": max(dates, key=datetime.fromisoformat),
    }


def _commits(folder, entities):
    """Describe what made the files of a folder without a run: an action for each commit."""
    published = {}
    for name in _files(folder):
        published.setdefault(_commit(folder / name), []).append(name)
    actions = []
    for commit, names in published.items():
        software = {"@id": "#adathresh", "@type": "SoftwareApplication", "name": "adathresh"}
        facts = {}
        if commit:
            facts["commit that published the results"] = commit
            source = _git("show", f"{commit}:adathresh/__init__.py") or ""
            if found := re.search(r'^__version__ = "(.*)"$', source, flags=re.MULTILINE):
                software |= {"@id": f"#adathresh-{found[1]}", "softwareVersion": found[1]}
        entities.setdefault(software["@id"], software)
        action = {
            "@id": f"#{commit or 'not-yet-committed'}",
            "@type": "CreateAction",
            "name": COMMANDS[folder.name],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
            "instrument": _link(software),
            "result": [{"@id": name} for name in names],
            "additionalProperty": [_value(entities, name, what) for name, what in facts.items()],
        }
        actions.append(action)
    return actions


def _commit(path):
    """Return the commit that a file is as it is since; None where none is known to hold it so."""
    name = str(path.absolute())
    if _git("status", "--porcelain", "--", name):
        return None
    return _git("log", "-1", "--format=%H", "--", name) or None


def _date(path):
    """Return when a file was published; when it was written where no commit is known to hold it so."""
    if commit := _commit(path):
        return _git("show", "--no-patch", "--format=%cI", commit)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _action(place, run, packages, entities):
    """Describe the run of one notebook, and add the entities that only it needs."""
    record = json.loads((place / RECORD).read_text(encoding="utf-8"))
    entry = run["notebooks"].get(place.name, {})

    value = partial(_value, entities)
    software = {
        "@id": f"#adathresh-{record['adathresh']}",
        "@type": "SoftwareApplication",
        "name": "adathresh",
        "softwareVersion": record["adathresh"],
        "softwareRequirements": [_link(package) for package in packages],
    }
    data = {
        "@id": f"#{record['dataset']}",
        "@type": "Dataset",
        "name": record["dataset"],
        "description": "Identified by its fingerprint, the first 16 digits of a SHA-256.",
    }
    if record["fingerprint"]:
        data |= {"@id": f"#{quote(record['fingerprint'])}", "identifier": record["fingerprint"]}
    for entity in (software, data):
        entities.setdefault(entity["@id"], entity)
    facts = [value("platform", run["versions"]["platform"])]
    facts += [value(name, entry[name]) for name in RECORDED if name in entry]
    if "commit" not in entry and (published := _git("log", "-1", "--format=%H", "--", str(place.absolute()))):
        facts.append(value("commit that published the results", published))
    if "seconds" in entry:
        facts.append(value("seconds", entry["seconds"], unitText="s"))
    done = entry.get("status", "done") == "done"
    given = [value(name, record[name]) for name in ("profile", "random_state")]
    if record["seeds"] is not None:  # early versions did not note them
        given.append(value("seeds", " ".join(map(str, record["seeds"]))))
    return {
        "@id": f"#{place.name}",
        "@type": "CreateAction",
        "name": f"adathresh reproduce, notebook {place.name}",
        "actionStatus": {"@id": f"http://schema.org/{'Completed' if done else 'Failed'}ActionStatus"},
        "instrument": _link(software),
        "object": [_link(data), *given],
        "result": [{"@id": f"{place.name}/{name}"} for name in sorted(path.name for path in place.iterdir())],
        "additionalProperty": facts,
    }


def _value(entities, name, what, **more):
    """Add a named value, once for all actions that share it, and return the reference to it."""
    entity = {
        "@id": f"#{quote(f'{name}={what}')}",
        "@type": "PropertyValue",
        "name": name,
        "value": what,
        **more,
    }
    return _link(entities.setdefault(entity["@id"], entity))


def _files(folder):
    """Name the files of a folder of results: the record of the run and all that notebooks left, or all."""
    if not (folder / RUN).is_file():
        return sorted(path.name for path in folder.iterdir() if path.name != CRATE)
    paths = [folder / RUN]
    for record in folder.glob(f"*/{RECORD}"):
        paths += record.parent.iterdir()
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _file(folder, name):
    """Describe one file."""
    kind = "application/json" if name.endswith(".ipynb") else mimetypes.guess_type(name)[0]
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "encodingFormat": kind,
        "contentSize": str((folder / name).stat().st_size),
        "sha256": _sha256(folder / name),
    }


def _link(entity):
    """Return the reference to an entity."""
    return {"@id": entity["@id"]}


def _sha256(path):
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _git(*arguments):
    """Return what git says of the clone; None where there is none, or no git."""
    root = repository_root()
    if root is None:
        return None
    # The clone's own history only, not that of a repository around an unpacked archive.
    command = ["git", "-C", str(root), "--git-dir=.git", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _pinned_set():
    """Return the sha256 of the clone's pinned set if each of its releases is installed; otherwise None."""
    path = (repository_root() or Path()) / REQUIREMENTS
    if not path.is_file():
        return None
    pins = re.findall(r"^(.+)==(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    try:
        installed = all(version(name).partition("+")[0] == release for name, release in pins)
    except PackageNotFoundError:
        return None
    return _sha256(path) if installed else None


def _processor():
    """Return the processor's name as its maker gives it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main(arguments=None):
    """Write crates; exit status 1 where a folder holds no results."""
    parser = argparse.ArgumentParser(prog="python -m adathresh.experiments.provenance", description=__doc__)
    parser.add_argument(
        "folders",
        metavar="FOLDER",
        nargs="*",
        type=Path,
        help=f"folders that hold a {RUN}, or are called {' or '.join(COMMANDS)}",
    )
    folders = parser.parse_args(arguments).folders
    if not folders:
        results = (repository_root() or Path.cwd()) / "results"
        folders = [path.parent for path in sorted(results.glob(f"**/{RUN}"))]
        folders += [results / name for name in COMMANDS if (results / name).is_dir()]
    missing = [folder for folder in folders if not (folder / RUN).is_file() and folder.name not in COMMANDS]
    if missing or not folders:
        print(*(f"{folder} holds no {RUN}" for folder in missing or ["results"]), sep="\n", file=sys.stderr)
        return 1
    print(*(write_crate(folder) for folder in folders), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
