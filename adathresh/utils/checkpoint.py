"""Trainings that can be interrupted and go on later: their loop, and their files without pickle."""

import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import ClassVar

import numpy as np
import safetensors
import scipy.sparse as sp
import torch
from safetensors.torch import save_file

from adathresh.utils.files import PathLike, whole_file
from adathresh.utils.progress import tqdm

# A long training is saved this often, so that a killed process loses minutes, not hours.
SECONDS_BETWEEN_SAVES = 600


class ResumableTraining:
    """A training that saves itself and goes on from what it saved.

    A subclass writes ``n_steps``, ``n_done``, ``is_finished``, ``take_step`` and ``position``, names in
    ``progress`` the attributes that it needs besides the weights, and seeds every step by its number, so that
    a resumed training ends with the weights of an uninterrupted one.

    Parameters
    ----------
    name : str
        What the training is called in messages and beside the progress bar.
    model : torch.nn.Module
        What is trained, in place.
    optimizers : list of torch.optim.Optimizer
        What trains it.
    identity : dict
        What tells this training from others, in JSON types; one that differs is not gone on with.

    Examples
    --------
    >>> class Counting(ResumableTraining):
    ...     n_steps, n_done = 3, 0
    ...     def take_step(self):
    ...         self.n_done += 1
    >>> training = Counting("counting", torch.nn.Linear(1, 1), [], {})
    >>> training.run()
    >>> training.n_done
    3
    """

    progress: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that a checkpoint holds, in JSON types."""
    seeds_all = True
    """Whether a step seeds torch's global random state, which is put back in the end. All threads share it: a
    training that draws from a generator of its own says False, and leaves it to the others."""
    ends_for_good: ClassVar[bool] = False
    """Whether a finished training is never continued, so that its checkpoint needs the weights only."""

    def __init__(self, name: str, model: torch.nn.Module, optimizers: list, identity: dict):
        self.name, self.model, self.optimizers, self.identity = name, model, optimizers, identity

    @property
    def n_steps(self) -> int:
        """Return the number of steps at most.

        Returns
        -------
        int
            At least ``n_done``.
        """
        raise NotImplementedError

    @property
    def n_done(self) -> int:
        """Return the number of steps that were taken.

        Returns
        -------
        int
            0 at the start.
        """
        raise NotImplementedError

    def is_finished(self) -> bool:
        """Tell whether no step is left.

        Returns
        -------
        bool
            True at the end.
        """
        return self.n_done >= self.n_steps

    def is_resting(self) -> bool:
        """Tell whether now is a good time to save, whatever the clock says.

        Returns
        -------
        bool
            Such as at the end of an epoch.
        """
        return False

    def take_step(self) -> None:
        """Take one step."""
        raise NotImplementedError

    def position(self) -> str:
        """Say where the training is, as in "after step 3 of 16".

        Returns
        -------
        str
            For messages.
        """
        return f"after step {self.n_done} of {self.n_steps}"

    def figures(self) -> dict[str, float]:
        """Return what is shown beside the progress bar.

        Returns
        -------
        dict of str to float
            Such as the last loss.
        """
        return {}

    def other_tensors(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint holds besides the weights and the optimizers' states.

        Returns
        -------
        dict of str to torch.Tensor
            Under names that do not begin with "model." or "optimizer.".
        """
        return {}

    def restore_others(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over what ``other_tensors`` returned.

        Parameters
        ----------
        tensors : dict of str to torch.Tensor
            All tensors of a checkpoint.
        """

    def run(self, checkpoint: PathLike | None = None, *, verbose: bool = False) -> None:
        """Take the steps that are left, from where a checkpoint ends if there is one.

        Parameters
        ----------
        checkpoint : str or path-like, optional
            A ``.safetensors`` file. It is written in the end, every ten minutes, when the training is resting
            and on interruption.
        verbose : bool, default=False
            Whether to show progress with a time estimate.

        Raises
        ------
        ValueError
            If the checkpoint cannot be read or belongs to another training, or the loss is NaN or infinite.
        KeyboardInterrupt
            When interrupted, after the checkpoint has been written.
        """
        if checkpoint is not None and Path(checkpoint).exists():
            self.load(checkpoint)
        bar = tqdm(
            total=self.n_steps,
            initial=self.n_done,
            desc=self.name,
            unit="step",
            disable=not verbose,
            leave=False,
        )
        shown: dict[str, str] = {}
        saved_at = time.monotonic()
        state = torch.random.fork_rng(devices=[]) if self.seeds_all else nullcontext()
        with state, deferred_interrupt() as interrupted, bar:
            while not self.is_finished():
                self.take_step()
                bar.update()
                figures = {name: f"{value:.4f}" for name, value in self.figures().items()}
                if figures != shown:
                    bar.set_postfix(figures)
                    shown = figures
                due = time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES
                due = due or self.is_resting() or self.is_finished() or interrupted.is_set()
                if checkpoint is not None and due:
                    self.save(checkpoint)
                    saved_at = time.monotonic()
                if interrupted.is_set():
                    where = f"; {checkpoint} holds it, fit again to go on" if checkpoint else ""
                    raise KeyboardInterrupt(f"{self.name} stopped {self.position()}{where}")

    def check_loss(self, loss: float) -> float:
        """Return a loss if it is a finite number.

        Parameters
        ----------
        loss : float
            Loss of the last step.

        Returns
        -------
        float
            The same.

        Raises
        ------
        ValueError
            If it is NaN or infinite: the steps were too large.
        """
        if math.isfinite(loss):
            return loss
        raise ValueError(
            f"{self.name} diverged {self.position()}: the loss is {loss}; lower the learning rate, or "
            "scale features that are very large."
        )

    def save(self, path: PathLike) -> None:
        """Write everything that resuming needs, whole and without pickle.

        Parameters
        ----------
        path : str or path-like
            The file.
        """
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()} | self.other_tensors()
        for i, optimizer in enumerate([] if self.ends_for_good and self.is_finished() else self.optimizers):
            for parameter, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{parameter}.{k}": torch.as_tensor(v) for k, v in state.items()}
        progress = {name: getattr(self, name) for name in self.progress}
        metadata = {"identity": _as_json(self.identity), "progress": _as_json(progress)}
        with whole_file(path) as temporary:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata)

    def load(self, path: PathLike) -> None:
        """Go on from a checkpoint of the same training.

        Parameters
        ----------
        path : str or path-like
            The file.

        Raises
        ------
        ValueError
            If it cannot be read, or belongs to another training.
        """
        metadata, tensors = _read(path)
        ours, theirs = json.loads(_as_json(self.identity)), json.loads(metadata["identity"])
        changed = [k for k in ours if k not in theirs or theirs[k] != ours[k]]
        state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        shapes = {k: v.shape for k, v in self.model.state_dict().items()}
        if changed or {k: v.shape for k, v in state.items()} != shapes:
            what = f"other values of {', '.join(changed)}" if changed else "a model of another shape"
            raise ValueError(f"{path} holds a run with {what}; delete it or name another checkpoint file.")
        self.model.load_state_dict(state)
        self.restore_others(tensors)
        for i, optimizer in enumerate(self.optimizers):
            _load_optimizer(optimizer, tensors, f"optimizer.{i}.")
        for name, value in json.loads(metadata["progress"]).items():
            setattr(self, name, value)


def content_digest(*parts: sp.csr_array | list[str]) -> str:
    """Return a digest of the rows that a training sees.

    Parameters
    ----------
    *parts : scipy.sparse.csr_array or list of str
        Matrices and texts.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).

    Examples
    --------
    >>> content_digest(["a", "b"]) == content_digest(["ab"])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, list):
            digest.update(json.dumps(part).encode())
            continue
        digest.update(str(part.shape).encode())
        for array in (part.indptr, part.indices):
            digest.update(np.ascontiguousarray(array, dtype=np.int64).data)
        digest.update(np.ascontiguousarray(part.data).data)
    return digest.hexdigest()


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event, so that a step is never torn in two.

    Yields
    ------
    threading.Event
        Set once Ctrl-C was pressed; never outside the main thread, where Python sees no signals.

    Examples
    --------
    >>> with deferred_interrupt() as interrupted:
    ...     interrupted.is_set()
    False
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


def _as_json(values):
    """Return a text that is the same for the same values, numpy's numbers among them."""
    return json.dumps(values, sort_keys=True, default=float)


def _read(path):
    """Return the metadata and the tensors of a checkpoint; raise where it is damaged or holds no training."""
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a whole .safetensors file ({error}); delete it.") from error
    if not metadata.keys() >= {"identity", "progress"}:
        raise ValueError(f"{path} holds no training run; name another checkpoint file.")
    return metadata, tensors


def _load_optimizer(optimizer, tensors, prefix):
    """Fill an optimizer's state from a checkpoint's tensors."""
    state = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            parameter, name = key.removeprefix(prefix).split(".", 1)
            plain = name == "step" and isinstance(optimizer, torch.optim.SparseAdam)
            state.setdefault(int(parameter), {})[name] = int(tensor) if plain else tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
