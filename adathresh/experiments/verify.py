"""Check the published results without running anything: files by their sha256, claims off the tables."""

import importlib
import json

from adathresh.experiments.core.claims import as_table, claims_differ
from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.results import RECORD, file_digests, read_table, read_tables
from adathresh.experiments.provenance import CRATE, crate_problems


def verify(results=None):
    """Read every claim of the published results off its tables, and compare it with what is published.

    None: the clone's ``results/``. Returns the exit status: 0 when every file is there as its run wrote it
    and its crate says, and every claim comes out as published, 1 otherwise.
    """
    root = repository_root()
    if results is None and root is None:
        raise FileNotFoundError("adathresh is not run from its clone; name the folder of results")
    results = root / "results" if results is None else results
    records = sorted(results.glob(f"**/{RECORD}"))
    if not records:
        raise FileNotFoundError(f"{results} holds no results (no {RECORD})")
    n_claims, problems = 0, []
    for record in records:
        found, problems_here = verify_notebook(record.parent)
        problems_here += changed_files(record.parent)
        n_claims += found
        problems += [
            f"{record.parent.relative_to(results).as_posix()}: {problem}" for problem in problems_here
        ]
    for crate in sorted(results.glob(f"**/{CRATE}")):
        place = crate.parent.relative_to(results).as_posix()
        problems += [f"{place}: {problem}" for problem in crate_problems(crate.parent)]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(records)} results of notebooks, {n_claims} claims, {len(problems)} problems.")
    return 1 if problems else 0


def changed_files(folder):
    """Return a problem for each file in a notebook's results that is not as its run wrote it."""
    recorded = json.loads((folder / RECORD).read_text(encoding="utf-8")).get("sha256")
    if recorded is None:
        return [f"{RECORD} holds no sha256 of the files"]
    found = file_digests(folder)
    changed = [name for name in recorded if name in found and recorded[name] != found[name]]
    return [f"{name} is not what its run wrote (sha256)" for name in changed]


def verify_notebook(folder):
    """Check the published results of one notebook; return the number of its claims, and its problems.

    Problems are files that are missing or that nothing names, and claims that do not follow from the tables.
    """
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    named = {f"{name}.csv" for name in record["tables"]} | {f"{name}.png" for name in record["figures"]}
    present = {path.name for path in folder.iterdir()} - {RECORD, "claims.csv", "timings.csv"}
    problems = [f"{name} is missing" for name in sorted(named - present)]
    problems += [f"{name} belongs to nothing" for name in sorted(present - named)]
    if problems or not (folder / "claims.csv").is_file():
        return 0, problems or ["claims.csv is missing"]
    claims = importlib.import_module(f"adathresh.experiments.nb{record['notebook']}").claims
    try:
        found = as_table(claims(read_tables(folder)))
    except (KeyError, IndexError, ValueError, TypeError) as error:
        return 0, [f"its claims cannot be read off its tables: {error!r}"]
    return len(found), claims_differ(found, read_table(folder / "claims.csv"))
