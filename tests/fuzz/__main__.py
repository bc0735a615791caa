"""The long run: ``python -m tests.fuzz --inputs 500000``."""

import argparse
import sys
import tempfile
from pathlib import Path

from .properties import READERS, check_files, minimised, run


def main():
    """Check so many inputs, or stop at the first that breaks a property and make it small."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="number of inputs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="others make other inputs (default: %(default)s)")
    parser.add_argument(
        "--formats", nargs="+", choices=READERS, default=list(READERS), help="formats to check"
    )
    args = parser.parse_args()
    done = 0

    def progress(count):
        nonlocal done
        done = count
        if count % 10_000 == 0:
            print(f"{count:,} inputs", flush=True)

    try:
        taken, slowest = run(args.inputs, seed=args.seed, names=tuple(args.formats), progress=progress)
    except Exception as error:
        name = args.formats[done % len(args.formats)]
        print(f"input {done} of {name}, seed {args.seed}: {type(error).__name__}: {error}"[:2000])
        print(f"in small: {_small(name, args.seed, done, type(error))!r}"[:4000])
        return 1
    for name, count in taken.items():
        print(f"{name:<12}{count:>9,} taken, the others refused or compressed")
    print(f"{done:,} inputs, no property broken")
    print(f"the slowest took {slowest[0]:.2f} s of processor time ({slowest[1]})")
    return 0


def _small(name, seed, number, kind):
    """Return the files of an input that fails, made small where they fail uncompressed."""
    import random

    from . import inputs

    files = getattr(inputs, name)(random.Random(f"{name} {seed} {number}"))
    with tempfile.TemporaryDirectory() as place:

        def fails(tried):
            try:
                check_files(name, tried, Path(place))
            except kind:
                return True
            except Exception:
                return False
            return False

        return minimised(name, files, fails) if fails(files) else files


if __name__ == "__main__":
    sys.exit(main())
