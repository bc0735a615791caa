"""Where torch computes."""

import torch


def default_device() -> str:
    """Return "cuda" where there is a GPU that torch can use, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
