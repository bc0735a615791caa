"""The training loop: batches, early stopping on held-out rows, checkpoints, progress."""

import json
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from tqdm.auto import tqdm

from adathresh.metrics import macro_f1, micro_f1
from adathresh.paper.network import SparseRows
from adathresh.utils.checkpoint import (
    SECONDS_BETWEEN_SAVES,
    deferred_interrupt,
    load_optimizer,
    read_checkpoint,
    save_checkpoint,
)

# What a checkpoint holds besides tensors.
_PROGRESS = ("epoch", "step", "loss_sum", "best_epoch", "history")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows to train on or to evaluate on, with the local signal of the same rows."""

    X: sp.csr_array
    """Features, shape (n_samples, n_features)."""
    Y: sp.csr_array | None
    """Labels 0/1, shape (n_samples, n_labels); None where they are to be predicted."""
    local: sp.csr_array
    """Neighbour shares in [0, 1], shape (n_samples, n_labels)."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long, how fast and from which seed to train; values outside their range raise ValueError."""

    max_epochs: int = 30
    """Passes over the training rows at most; at least 1."""
    batch_size: int = 128
    """Rows a step; at least 1."""
    learning_rate: float = 1e-3
    """Step size of AdamW; greater than 0."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW; at least 0."""
    patience: int = 5
    """Epochs without a better result on the held-out rows after which training stops; at least 1."""
    seed: int = 0
    """Of the order of rows and of dropout."""

    def __post_init__(self):
        """Check the ranges."""
        for name in ("max_epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)!r}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be greater than 0; got {self.learning_rate!r}.")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must not be negative; got {self.weight_decay!r}.")


class ThresholdedNetwork(nn.Module):
    """A network and the thresholds its logits are held against.

    Parameters
    ----------
    network : torch.nn.Module
        Maps :class:`~adathresh.paper.network.SparseRows` to logits.
    fusion : adathresh.ThresholdFusion
        Maps neighbour shares to thresholds.
    """

    def __init__(self, network, fusion):
        super().__init__()
        self.network, self.fusion = network, fusion

    def forward(self, rows, local):
        """Compute logits and thresholds of a batch.

        Parameters
        ----------
        rows : SparseRows
            The batch.
        local : torch.Tensor of shape (n_samples, n_labels)
            Its neighbour shares.

        Returns
        -------
        tuple of torch.Tensor of shape (n_samples, n_labels)
            Logits z and thresholds θ.
        """
        return self.network(rows), self.fusion(local)


def train(model, loss, training, dev=None, *, plan, device="cpu", checkpoint=None, verbose=False):
    """Train a network and its thresholds together; end with the weights of the best epoch.

    The best epoch is the one of highest macro-F1 on the held-out rows, ties broken by the lower loss there;
    without held-out rows the last one. Running is deterministic for one machine and seed, and a resumed run
    ends with the weights of an uninterrupted one.

    Parameters
    ----------
    model : ThresholdedNetwork
        Trained in place.
    loss : torch.nn.Module
        Called as loss(logits, thresholds, targets).
    training : Split
        Rows to train on; their local signal must leave the row itself out.
    dev : Split, optional
        Held-out rows for early stopping.
    plan : TrainingPlan
        Epochs, batch size, step size, patience, seed.
    device : str or torch.device, default="cpu"
        Where to train.
    checkpoint : str or os.PathLike, optional
        A ``.safetensors`` file, written after every epoch, every ten minutes and on interruption; where it
        exists, training goes on from it.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    list of dict
        One entry an epoch: epoch, train_loss, and (with held-out rows) dev_loss, macro_f1, micro_f1, and the
        mixing weight λ with the means and standard deviations of α and β.

    Raises
    ------
    ValueError
        If the checkpoint cannot be read, or belongs to another model, loss, plan or other rows.
    KeyboardInterrupt
        When interrupted, after the checkpoint has been written.
    """
    model.to(device)
    run = _Run(model, loss, plan, device)
    if checkpoint is not None:
        run.identity |= {"rows": _checksum(training), "held-out rows": dev and _checksum(dev)}
    if checkpoint is not None and Path(checkpoint).exists():
        run.load(checkpoint)
    n_batches = -(-training.X.shape[0] // plan.batch_size)
    with (
        torch.random.fork_rng(devices=[]),
        deferred_interrupt() as interrupted,
        tqdm(
            total=plan.max_epochs * n_batches,
            initial=run.epoch * n_batches + run.step,
            desc="training",
            unit="step",
            disable=not verbose,
            leave=False,
        ) as bar,
    ):
        while run.epoch < plan.max_epochs and not run.is_stale():
            for batch in run.batches(training.X.shape[0]):
                run.take_step(training, batch)
                bar.update()
                if interrupted.is_set():
                    break
                if checkpoint is not None and run.seconds_since_save() > SECONDS_BETWEEN_SAVES:
                    run.save(checkpoint)
            else:
                run.finish_epoch(dev)
                figures = {k: f"{v:.4f}" for k, v in run.history[-1].items() if k.endswith(("loss", "f1"))}
                bar.set_postfix(figures)
            if checkpoint is not None:
                run.save(checkpoint)
            if interrupted.is_set():
                raise KeyboardInterrupt(_where_it_stopped(run, checkpoint))
    run.restore_best()
    return run.history


def predict_batches(model, split, *, batch_size, device="cpu", verbose=False):
    """Yield logits and thresholds of consecutive batches.

    Parameters
    ----------
    model : ThresholdedNetwork
        Put into evaluation mode.
    split : Split
        Rows to score; their labels are not read.
    batch_size : int
        Rows a batch; bounds the memory.
    device : str or torch.device, default="cpu"
        Where to compute.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Yields
    ------
    tuple of (slice, torch.Tensor, torch.Tensor)
        The rows, their logits z and their thresholds θ, each (n_rows, n_labels).
    """
    model.eval()
    starts = range(0, split.X.shape[0], batch_size)
    for start in tqdm(starts, desc="predicting", unit="batch", disable=not verbose, leave=False):
        rows = slice(start, min(start + batch_size, split.X.shape[0]))
        with torch.inference_mode():
            z, theta = model(*_inputs(split, rows, device))
        yield (
            rows,
            z,
            theta,
        )  # outside: the caller's own computations between two batches keep their gradients


class _Run:
    """The state of one training run: what a checkpoint holds, and the steps that change it."""

    def __init__(self, model, loss, plan, device):
        self.model, self.loss, self.plan, self.device = model, loss, plan, device
        self.optimizers = _optimizers(model, plan)
        self.identity = asdict(plan) | _settings(model=model, loss=loss)
        del self.identity["max_epochs"]  # a longer run may go on from a shorter one
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.history, self.best_epoch, self.best_state = [], None, {}
        self._saved_at = time.monotonic()

    def batches(self, n_samples):
        """Yield the row numbers of the epoch's remaining batches, in the seeded order of the epoch."""
        order = np.random.default_rng([self.plan.seed, self.epoch]).permutation(n_samples)
        size = self.plan.batch_size
        for start in range(self.step * size, n_samples, size):
            yield np.sort(order[start : start + size])

    def take_step(self, training, batch):
        """Take one optimiser step."""
        self.model.train()
        seed = np.random.SeedSequence([self.plan.seed, self.epoch, self.step]).generate_state(1)[0]
        torch.manual_seed(int(seed))
        targets = torch.from_numpy(training.Y[batch].toarray()).to(self.device)
        loss = self.loss(*self.model(*_inputs(training, batch, self.device)), targets)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        # The mean over thousands of labels would make the gradients of rare ones smaller than Adam's ε.
        (loss * targets.shape[1]).backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.loss_sum += loss.item()

    def finish_epoch(self, dev):
        """Evaluate, remember the best weights, and go to the next epoch."""
        entry = {"epoch": self.epoch + 1, "train_loss": self.loss_sum / max(1, self.step)}
        if dev is not None:
            entry |= _evaluate(self.model, self.loss, dev, self.plan.batch_size, self.device)
        self.history.append(entry | _fusion_summary(self.model.fusion))
        best = None if dev is None or self.best_epoch is None else self.history[self.best_epoch]
        if best is None or _quality(entry) > _quality(best):
            self.best_epoch = self.epoch
            self.best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0

    def is_stale(self):
        """Tell whether the held-out rows have seen no better result for ``patience`` epochs."""
        return self.best_epoch is not None and self.epoch - 1 - self.best_epoch >= self.plan.patience

    def restore_best(self):
        """Load the weights of the best epoch."""
        self.model.load_state_dict(self.best_state)

    def seconds_since_save(self):
        """Return the seconds since the last checkpoint, or the start."""
        return time.monotonic() - self._saved_at

    def save(self, path):
        """Write everything that resuming needs, atomically and without pickle."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best_state.items()}
        for i, optimizer in enumerate(self.optimizers):
            for parameter, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{parameter}.{k}": torch.as_tensor(v) for k, v in state.items()}
        progress = {name: getattr(self, name) for name in _PROGRESS}
        texts = {"identity": json.dumps(self.identity), "progress": json.dumps(progress)}
        save_checkpoint(path, tensors, **texts)
        self._saved_at = time.monotonic()

    def load(self, path):
        """Go on from a checkpoint of the same run."""
        metadata, tensors = read_checkpoint(path)
        theirs = json.loads(metadata["identity"])
        changed = [k for k in self.identity if k not in theirs or theirs[k] != self.identity[k]]
        state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        shapes = {k: v.shape for k, v in self.model.state_dict().items()}
        if changed or {k: v.shape for k, v in state.items()} != shapes:
            what = f"other values of {', '.join(changed)}" if changed else "a model of another shape"
            raise ValueError(f"{path} holds a run with {what}; delete it or name another checkpoint file.")
        self.model.load_state_dict(state)
        self.best_state = {
            k.removeprefix("best."): v.to(self.device) for k, v in tensors.items() if k.startswith("best.")
        }
        for i, optimizer in enumerate(self.optimizers):
            load_optimizer(optimizer, tensors, f"optimizer.{i}.")
        for name, value in json.loads(metadata["progress"]).items():
            setattr(self, name, value)


def _settings(**modules):
    """Collect the plain values that modules were made with: dropout, switches, weights of the loss."""
    return {
        f"{path}.{name}": value
        for root, module in modules.items()
        for path, part in module.named_modules(prefix=root)
        for name, value in vars(part).items()
        if name != "training" and name[0] != "_" and isinstance(value, bool | int | float | str | None)
    }


def _checksum(split):
    """Return a checksum of features and labels; the local signal follows from them, but for rounding."""
    checksum = 0
    for matrix in (split.X, split.Y):
        for array in (matrix.indptr, matrix.indices, matrix.data):
            checksum = zlib.crc32(np.ascontiguousarray(array), checksum)
    return checksum


def _optimizers(model, plan):
    """AdamW, and SparseAdam for a first layer whose gradient holds only the rows that a batch touches."""
    sparse = [layer.weight for layer in model.modules() if getattr(layer, "sparse_gradient", False)]
    dense = [p for p in model.parameters() if not any(p is q for q in sparse)]
    optimizers = [torch.optim.AdamW(dense, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True)]
    if sparse:
        optimizers.append(torch.optim.SparseAdam(sparse, lr=plan.learning_rate))
    return optimizers


def _inputs(split, rows, device):
    """Return a batch as the model takes it; only the (batch x labels) block is dense."""
    local = torch.from_numpy(split.local[rows].toarray()).to(device)
    return SparseRows.from_csr(split.X[rows], device), local


def _evaluate(model, loss, dev, batch_size, device):
    """Return loss, macro-F1 and micro-F1 on held-out rows."""
    predicted, loss_sum = [], 0.0
    for rows, z, theta in predict_batches(model, dev, batch_size=batch_size, device=device):
        targets = torch.from_numpy(dev.Y[rows].toarray()).to(device)
        loss_sum += loss(z, theta, targets).item() * len(z)
        predicted.append(sp.csr_array((z > theta).cpu().numpy()))
    predicted = sp.vstack(predicted, format="csr")
    return {
        "dev_loss": loss_sum / dev.X.shape[0],
        "macro_f1": macro_f1(dev.Y, predicted),
        "micro_f1": micro_f1(dev.Y, predicted),
    }


def _quality(entry):
    """Order epochs: higher macro-F1 first, then lower loss."""
    return entry["macro_f1"], -entry["dev_loss"]


def _fusion_summary(fusion):
    """Return λ and the mean and standard deviation of α and β, where the fusion has them."""
    summary = {"lambda": fusion.lam.item()} if hasattr(fusion, "mix") else {}
    for name in ("alpha", "beta"):
        if hasattr(fusion, name):
            values = getattr(fusion, name).detach()
            summary |= {f"{name}_mean": values.mean().item(), f"{name}_std": values.std(correction=0).item()}
    return summary


def _where_it_stopped(run, checkpoint):
    """Say how far an interrupted run came and how to go on."""
    where = f"training stopped in epoch {run.epoch + 1} after step {run.step}"
    return f"{where}; {checkpoint} holds it, fit again to go on" if checkpoint else where
