"""Where torch computes."""


def default_device() -> str:
    """Say where to compute if nobody says otherwise.

    Returns
    -------
    str
        "cuda" where there is a GPU that torch can use, else "cpu".

    Examples
    --------
    >>> default_device() in ("cpu", "cuda")
    True
    """
    import torch  # an extra

    return "cuda" if torch.cuda.is_available() else "cpu"
