"""The command line: ``adathresh reproduce``, ``verify``, ``benchmark`` and ``data``."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

# Everything heavy is imported by the command that needs it, so that --help answers at once.
from adathresh import __version__
from adathresh.experiments.core.config import PROFILES, RunConfig
from adathresh.utils.suggest import did_you_mean

DEFAULT = RunConfig()
MOST_SEEDS = 10_000


class _Parser(argparse.ArgumentParser):
    """A parser, and those of its commands, that suggest what a misspelt choice may have meant."""

    # argparse's own suggest_on_error only came with Python 3.14
    def _check_value(self, action, value):
        """Add the suggestion to the error."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            meant = did_you_mean(str(value), map(str, action.choices))
            error.message += f".{meant}" if meant else ""
            raise


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; None for those of the process.

    Returns
    -------
    int
        The exit status: 0 for success, 2 for arguments that cannot be used.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = _parser(with_data=argv[:1] == ["data"]).parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # such as `| head`: nobody reads on, and Python must not write at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        print(f"adathresh: error: {error}", file=sys.stderr)
        return 2


def _parser(*, with_data):
    """Describe all commands; those of ``data`` only on demand, as their module needs scikit-learn."""
    parser = _Parser(
        prog="adathresh",
        description="Per-label, per-instance decision thresholds for multi-label classification.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"adathresh {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_reproduce_parser(commands)
    _add_verify_parser(commands)
    _add_benchmark_parser(commands)
    if with_data:
        from adathresh.datasets.cli import add_data_parser

        add_data_parser(commands)
    else:
        commands.add_parser("data", help="list, describe, fetch and check data sets")
    return parser


def _add_reproduce_parser(commands):
    """Describe ``adathresh reproduce``."""
    parser = commands.add_parser(
        "reproduce",
        help="run the numbered notebooks and compare what they find with what is published",
        description="Run the numbered notebooks in order, write all tables and figures into a folder of "
        "their own, and say whether the published claims and values came out again.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dataset", metavar="NAME", default=DEFAULT.dataset, help="data set (default: %(default)s)"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="folder that holds the data sets")
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=DEFAULT.profile,
        help="how long to train (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", metavar="N", type=int, help="number of repetitions (default: the profile's)"
    )
    parser.add_argument("--only", metavar="02,04", help="run only these notebooks")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for results (default: reproduced/NAME/, for the full profile full/ in it)",
    )
    parser.add_argument(
        "--update-reference",
        action="store_true",
        help="replace the published results in results/ once every notebook has run",
    )
    parser.add_argument(
        "--at-once",
        metavar="N",
        type=int,
        default=2,
        help="notebooks that run at once, each with two processes of its own; 1 takes least memory, and "
        "measures seconds undisturbed (default: %(default)s)",
    )
    parser.set_defaults(run=_reproduce)


def _add_verify_parser(commands):
    """Describe ``adathresh verify``."""
    parser = commands.add_parser(
        "verify",
        help="check the published results without running anything",
        description="Read every claim of the published results off its tables, and compare it with what is "
        "published.",
        allow_abbrev=False,
    )
    parser.add_argument("--results", metavar="DIR", help="folder of results (default: the clone's results/)")
    parser.set_defaults(run=_verify)


def _add_benchmark_parser(commands):
    """Describe ``adathresh benchmark``."""
    parser = commands.add_parser(
        "benchmark",
        help="time the parts of the package against the usual way",
        description="Time the parts of the package against the usual way on made-up data, and write a table "
        "for each part and a figure of cost against size. Run it on a machine that does nothing else.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only",
        metavar="PARTS",
        help="only these parts, with commas: training, neighbors, rules, metrics, base, latency, scale, "
        "stages, which has no peer and measures memory, and search, which compares both searches for "
        "neighbours",
    )
    parser.add_argument(
        "--size",
        choices=("quick", "eurlex57k", "amazoncat13k"),
        default="quick",
        help="size of the data: all parts within some minutes, or that of EURLEX57K, hours, or of "
        "AmazonCat-13K, which search takes in an hour (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="results/benchmarks",
        help="folder of the tables (default: %(default)s)",
    )
    parser.set_defaults(run=_benchmark)


def _reproduce(args):
    """Check the arguments, then hand over to the runner."""
    if args.seeds is not None and not 1 <= args.seeds <= MOST_SEEDS:
        raise ValueError(f"--seeds must be a whole number from 1 to {MOST_SEEDS:,}; got {args.seeds}.")
    if args.out is not None and set(args.out) & set("{}"):  # papermill would fill parameters in
        raise ValueError(f"--out must not hold braces, which notebooks are not written to; got {args.out!r}.")
    if args.at_once < 1:
        raise ValueError(f"--at-once must be at least 1; got {args.at_once}.")
    config = RunConfig(
        dataset=args.dataset, data_dir=args.data_dir, profile=args.profile, seeds=args.seeds, out=args.out
    )
    only = None if args.only is None else [name.strip() for name in args.only.split(",")]
    with _naming_the_extra():
        from adathresh.experiments.reproduce import reproduce
    from adathresh.datasets.registry import locate

    # Before the first notebook: a wrong name ends here, and building or fetching shows its progress.
    locate(config.dataset, config.data_dir)
    return reproduce(
        config, only=only, update_reference=args.update_reference, notebooks_at_once=args.at_once
    )


def _verify(args):
    """Hand over to the check of the published results."""
    with _naming_the_extra():
        from adathresh.experiments.verify import verify

        return verify(None if args.results is None else Path(args.results))


@contextlib.contextmanager
def _naming_the_extra():
    """Say how to install what the notebooks and their results need, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is needed for the notebooks and their results: pip install 'adathresh[notebooks]'"
        ) from error


def _benchmark(args):
    """Hand over to the benchmarks."""
    try:
        from adathresh.experiments.benchmarks import run_benchmarks
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is needed to run benchmarks: pip install 'adathresh[notebooks]'"
        ) from error
    only = None if args.only is None else [name.strip() for name in args.only.split(",")]
    return run_benchmarks(only, size=args.size, out=args.out)


if __name__ == "__main__":
    sys.exit(main())
