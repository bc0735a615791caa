"""Checkpoints of interrupted trainings: whole files without pickle, and interruptions between two steps."""

import signal
import threading
from contextlib import contextmanager

import safetensors
import torch
from safetensors.torch import save_file

from adathresh.utils.files import whole_file

# A long run is saved this often, so that a killed process loses minutes, not hours.
SECONDS_BETWEEN_SAVES = 600


def save_checkpoint(path, tensors, *, identity, progress):
    """Put tensors and two texts, what the run is and how far it came, in place whole."""
    metadata = {"identity": identity, "progress": progress}
    with whole_file(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata)


def read_checkpoint(path):
    """Return the metadata and the tensors of a checkpoint; raise where it is damaged or holds no run."""
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a whole .safetensors file ({error}); delete it.") from error
    if not metadata.keys() >= {"identity", "progress"}:
        raise ValueError(f"{path} holds no training run; name another checkpoint file.")
    return metadata, tensors


def load_optimizer(optimizer, tensors, prefix):
    """Fill an optimiser's state from a checkpoint's tensors."""
    state = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            parameter, name = key.removeprefix(prefix).split(".", 1)
            plain = name == "step" and isinstance(optimizer, torch.optim.SparseAdam)
            state.setdefault(int(parameter), {})[name] = int(tensor) if plain else tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@contextmanager
def deferred_interrupt():
    """Turn Ctrl-C into an event, so that a step is never torn in two (main thread only)."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
