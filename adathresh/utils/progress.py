"""Progress bars: of widgets in a notebook that has them, else of text."""

import warnings

with warnings.catch_warnings():
    # Where a notebook has no widgets, tqdm says so once; the warning would print a path into the outputs.
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
