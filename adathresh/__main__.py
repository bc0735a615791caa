"""The command line: ``adathresh reproduce`` and ``adathresh data``."""

import argparse
import sys

# Everything heavy is imported by the command that needs it, so that --help answers at once.
from adathresh import __version__
from adathresh.experiments.core.config import PROFILES, RunConfig

DEFAULT = RunConfig()


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
        return args.run(args)
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        print(f"adathresh: error: {error}", file=sys.stderr)
        return 2


def _parser(*, with_data):
    """Describe all commands; those of ``data`` only on demand, as their module needs scikit-learn."""
    parser = argparse.ArgumentParser(
        prog="adathresh",
        description="Per-label, per-instance decision thresholds for multi-label classification.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"adathresh {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_reproduce_parser(commands)
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
        help="run the numbered notebooks and write all tables and figures",
        description="Run the numbered notebooks in order and write all tables and figures.",
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
        help="folder for results (default: results/NAME/, for the full profile full/ in it)",
    )
    parser.set_defaults(run=_reproduce)


def _reproduce(args):
    """Check the arguments, then hand over to the runner."""
    config = RunConfig(
        dataset=args.dataset, data_dir=args.data_dir, profile=args.profile, seeds=args.seeds, out=args.out
    )
    only = None if args.only is None else [name.strip() for name in args.only.split(",")]
    try:
        from adathresh.experiments.runner import reproduce
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is needed to run notebooks: pip install 'adathresh[notebooks]'"
        ) from error
    from adathresh.datasets.registry import locate

    # Before the first notebook: a wrong name ends here, and building or fetching shows its progress.
    locate(config.dataset, config.data_dir)
    return reproduce(config, only=only)


if __name__ == "__main__":
    sys.exit(main())
