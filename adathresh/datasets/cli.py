"""The command ``adathresh data``."""

import argparse
import functools
import sys

from adathresh.datasets.checking import check
from adathresh.datasets.downloads import SOURCES, description_of, fetch
from adathresh.datasets.folders import available
from adathresh.datasets.pyapi import CORPORA
from adathresh.datasets.registry import known_names, load_dataset
from adathresh.datasets.summary import statistics, text_statistics
from adathresh.utils.files import data_folder


def add_data_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``data`` with its own sub-commands list, info, fetch and check.

    Parameters
    ----------
    subparsers : argparse._SubParsersAction
        What ``ArgumentParser.add_subparsers`` returned. Each sub-command sets the default ``run``, a function
        that takes the parsed arguments and returns an exit code.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_data_parser(parser.add_subparsers())
    >>> parser.parse_args(["data", "info", "pyapi"]).name
    'pyapi'
    """
    data = subparsers.add_parser("data", help="list, describe, fetch and check data sets")
    commands = data.add_subparsers(dest="data_command", required=True)
    for name, run, text in (
        ("list", _list, "list the data sets that are there and those that can be fetched"),
        ("info", _info, "describe a data set as it is loaded, with its fingerprint"),
        ("fetch", _fetch, "download a data set into the data folder"),
        ("check", _check, "read a file or folder and report all that is wrong, or its statistics"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name == "check":
            command.add_argument("name", metavar="PATH", help="a file or folder, or the name of a data set")
        elif name != "list":
            command.add_argument("name", metavar="NAME", help="name of the data set")
        command.add_argument(
            "--data-dir",
            metavar="DIR",
            help="folder of the data sets (default: $ADATHRESH_DATA, else the platform's cache folder)",
        )
        command.set_defaults(run=functools.partial(_guarded, run))


def _guarded(run, args):
    """Run a sub-command; bad data or a bad place ends in one line and exit code 2."""
    try:
        return run(args) or 0
    except BrokenPipeError:
        raise  # nobody reads on
    except (ValueError, OSError) as error:
        print(f"adathresh data: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _list(args):
    """Print names, states and descriptions."""
    folder, present = data_folder(args.data_dir), set(available(args.data_dir))
    print(f"data folder: {folder}")
    for name in known_names(args.data_dir):
        if name in CORPORA:
            state, description = "built in", f"Documented functions of {', '.join(CORPORA[name])}."
        elif name in present:
            state, description = "here", description_of(folder / name)
        else:
            state, description = "fetch", SOURCES[name].description
        print(f"{name:<16}{state:<10}{description}".rstrip())


def _info(args):
    """Print what a data set is and its statistics as it is loaded."""
    ds = load_dataset(args.name, data_dir=args.data_dir)
    facts = {
        "name": ds.name,
        "description": ds.description,
        "fingerprint": ds.fingerprint,
        "validation": ds.validation_source,
    }
    _print_table(facts | statistics(ds) | text_statistics(ds.splits, ds.label_knowledge))


def _fetch(args):
    """Download a data set."""
    print(f"{args.name} is in {fetch(args.name, args.data_dir)}")


def _check(args):
    """Print what is wrong with data on the disk, and what was read; exit code 1 where anything is wrong."""
    report = check(args.name, args.data_dir)
    for problem in report.problems:
        print(problem)
    _print_table(report.facts)
    count = report.problems.count
    print(f"{report.name}: {f'{count:,}' if count else 'no'} error{'' if count == 1 else 's'}")
    return 1 if count else 0


def _print_table(facts):
    """Print names and values in two columns."""
    for key, value in facts.items():
        if value != "":
            print(f"{key:<34}{format(value, '.4f') if isinstance(value, float) else value}")
