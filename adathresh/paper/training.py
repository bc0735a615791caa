"""Training of the paper's network: batches, early stopping on validation rows, checkpoints, progress."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from adathresh.metrics import macro_f1, micro_f1
from adathresh.paper.network import (
    MultiLabelNetwork,
    SparseRows,
    draw_for_part,
    drawing_from,
    sparse_weights,
    use_one_thread_after_fork,
)
from adathresh.paper.optimizers import RowAdam
from adathresh.paper.processes import Processes
from adathresh.paper.threshold_layer import ThresholdFusion
from adathresh.utils.checkpoint import ResumableTraining, content_digest
from adathresh.utils.files import PathLike
from adathresh.utils.parameters import check_value, number, whole
from adathresh.utils.progress import tqdm


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows to train on, to validate on or to score, with their local signal.

    Examples
    --------
    >>> X = sp.csr_array([[0.0, 1.0], [2.0, 0.0]])
    >>> Rows(X=X, Y=None, local=sp.csr_array((2, 5))).local.shape
    (2, 5)
    """

    X: sp.csr_array
    """Features, shape (n_samples, n_features)."""
    Y: sp.csr_array | None
    """Labels 0/1, shape (n_samples, n_labels); None where they are to be predicted."""
    local: sp.csr_array
    """Neighbour shares in [0, 1], shape (n_samples, n_labels)."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long, how fast and from which seed to train; values outside their range raise ValueError.

    Examples
    --------
    >>> TrainingPlan(max_epochs=3).batch_size
    128
    """

    max_epochs: int = 30
    """Passes over the training rows at most; at least 1."""
    batch_size: int = 128
    """Rows a step; at least 1."""
    learning_rate: float = 1e-3
    """Step size of AdamW; greater than 0."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW; at least 0."""
    patience: int = 5
    """Epochs without a better result on the validation rows after which training stops; at least 1."""
    seed: int = 0
    """Of the order of rows and of dropout."""

    def __post_init__(self):
        """Check the ranges."""
        positive, rate = whole(1), number(above=0)
        allowed = {"max_epochs": positive, "batch_size": positive, "patience": positive, "seed": whole(0)}
        allowed |= {"learning_rate": rate, "weight_decay": number(least=0)}
        for name, values in allowed.items():
            check_value(name, getattr(self, name), values)


class ThresholdedNetwork(nn.Module):
    """A network and the thresholds that its logits are compared with.

    Parameters
    ----------
    network : torch.nn.Module
        Maps :class:`~adathresh.paper.network.SparseRows` to logits.
    fusion : adathresh.ThresholdFusion
        Maps neighbour shares to thresholds.

    Examples
    --------
    >>> from adathresh.paper.network import MultiLabelNetwork
    >>> model = ThresholdedNetwork(MultiLabelNetwork(3, 2, hidden_layers=()), ThresholdFusion([0.5, 3.0]))
    >>> X = sp.eye_array(3, dtype="float32").tocsr()
    >>> [tensor.shape for tensor in model(SparseRows.from_csr(X), torch.zeros(3, 2))]
    [torch.Size([3, 2]), torch.Size([3, 2])]
    """

    def __init__(self, network: nn.Module, fusion: ThresholdFusion):
        super().__init__()
        self.network, self.fusion = network, fusion

    def forward(self, rows: SparseRows, local: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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


def train(
    model: ThresholdedNetwork,
    loss: nn.Module,
    training: Rows,
    validation: Rows | None = None,
    *,
    plan: TrainingPlan,
    device: str | torch.device = "cpu",
    checkpoint: PathLike | None = None,
    verbose: bool = False,
) -> list[dict[str, float]]:
    """Train a network and its thresholds together; end with the weights of the best epoch.

    The best epoch is the one of highest macro-F1 on the validation rows, ties broken by the lower loss there;
    without validation rows the last one. Running is deterministic for one machine and seed, and a resumed run
    ends with the weights of an uninterrupted one. Dropout draws from a generator of this training, so that
    trainings in other threads change nothing; a network that is not a
    :class:`~adathresh.paper.network.MultiLabelNetwork` may draw from torch's global state, which is then
    seeded at every step, and should be trained alone.

    In a process that was forked from one that has used torch, only one thread can be used.

    Where torch's default process group has been initialised, as in the processes that ``torchrun`` starts,
    they train one model together (``DistributedDataParallel``): all are given the same model and rows, each
    computes its part of every batch, and all end with the weights that one process would have reached, but
    for rounding. The loss must be a mean over rows. The first process writes the checkpoint, which all must
    be able to read.

    Parameters
    ----------
    model : ThresholdedNetwork
        Trained in place.
    loss : torch.nn.Module
        Called as loss(logits, thresholds, targets).
    training : Rows
        Rows to train on; their local signal must leave the row itself out.
    validation : Rows, optional
        Rows that choose the epoch and nothing else.
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
        One entry an epoch: epoch, train_loss, and (with validation rows) validation_loss, macro_f1, micro_f1,
        and the mixing weight λ with the means and standard deviations of α and β.

    Raises
    ------
    ValueError
        If X or the local signal holds NaN or infinity; if the checkpoint cannot be read, or belongs to
        another model, loss, plan or other rows; or if the training diverges, so that a loss or a weight is
        NaN or infinite.
    KeyboardInterrupt
        When interrupted, after the checkpoint has been written.

    Examples
    --------
    >>> from adathresh.paper.losses import ThresholdBCELoss
    >>> from adathresh.paper.network import MultiLabelNetwork
    >>> model = ThresholdedNetwork(MultiLabelNetwork(4, 4, hidden_layers=()), ThresholdFusion([1.0] * 4))
    >>> X = sp.eye_array(4, dtype="float32").tocsr()
    >>> plan = TrainingPlan(max_epochs=2)
    >>> [entry["epoch"] for entry in train(model, ThresholdBCELoss(), Rows(X=X, Y=X, local=0 * X), plan=plan)]
    [1, 2]
    """
    use_one_thread_after_fork()
    for name, rows in (("training", training), ("validation", validation)):
        for part in () if rows is None else ("X", "local"):
            if not np.isfinite(getattr(rows, part).data).all():
                raise ValueError(f"{part} of the {name} rows must be finite; found NaN or infinity.")
    model.to(device)
    run = _Run(model, loss, training, validation, plan, device)
    if checkpoint is not None:  # a large matrix takes a second to read
        run.identity["rows"] = content_digest(training.X, training.Y)
        run.identity["validation rows"] = validation and content_digest(validation.X, validation.Y)
    if run.processes.rank and checkpoint is not None:
        if Path(checkpoint).exists():
            run.load(checkpoint)
        checkpoint = None
    run.processes.wait()  # until all have read what the first one is going to write
    with drawing_from(model, run.generator):
        run.run(checkpoint, verbose=verbose and not run.processes.rank)
    model.load_state_dict(run.best_state)
    return run.history


def predict_batches(
    model: ThresholdedNetwork,
    rows: Rows,
    *,
    batch_size: int,
    device: str | torch.device = "cpu",
    verbose: bool = False,
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Yield logits and thresholds of consecutive batches.

    Parameters
    ----------
    model : ThresholdedNetwork
        Put into evaluation mode.
    rows : Rows
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
        Which rows, their logits z and their thresholds θ, each (n_rows, n_labels).

    Examples
    --------
    >>> from adathresh.paper.network import MultiLabelNetwork
    >>> model = ThresholdedNetwork(MultiLabelNetwork(4, 2, hidden_layers=()), ThresholdFusion([1.0, 2.0]))
    >>> X, local = sp.eye_array(4, dtype="float32").tocsr(), sp.csr_array((4, 2), dtype="float32")
    >>> [part for part, z, theta in predict_batches(model, Rows(X=X, Y=None, local=local), batch_size=3)]
    [slice(0, 3, None), slice(3, 4, None)]
    """
    use_one_thread_after_fork()
    model.eval()
    n_samples = rows.X.shape[0]
    starts = range(0, n_samples, batch_size)
    for start in tqdm(starts, desc="predicting", unit="batch", disable=not verbose, leave=False):
        some = slice(start, min(start + batch_size, n_samples))
        with torch.inference_mode():
            z, theta = model(*_inputs(rows, some, device))
        # outside the block, so that what the caller computes between two batches keeps its gradients
        yield some, z, theta


class _Run(ResumableTraining):
    """The state of one training: what a checkpoint holds, and the steps that change it."""

    progress = ("epoch", "step", "loss_sum", "best_epoch", "history")

    def __init__(self, model, loss, training, validation, plan, device):
        identity = asdict(plan) | _settings(model=model, loss=loss)
        del identity["max_epochs"]  # a longer run may go on from a shorter one
        super().__init__("training", model, _optimizers(model, plan), identity)
        self.loss, self.plan, self.device = loss, plan, device
        self.training, self.validation = training, validation
        self.n_batches = -(-training.X.shape[0] // plan.batch_size)
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.history, self.best_epoch, self.best_state = [], None, {}
        self._order, self._order_of = None, None
        self.processes = Processes.started()
        self.shared_model = self.processes.together(model)
        self.generator = torch.Generator(device)
        self.seeds_all = not isinstance(getattr(model, "network", None), MultiLabelNetwork)

    @property
    def n_steps(self):
        """Return the number of steps, if training does not stop early."""
        return self.plan.max_epochs * self.n_batches

    @property
    def n_done(self):
        """Return the number of steps taken in all epochs."""
        return self.epoch * self.n_batches + self.step

    def is_finished(self):
        """Tell whether all epochs are over, or the validation rows saw no better one for ``patience``."""
        stale = self.best_epoch is not None and self.epoch - 1 - self.best_epoch >= self.plan.patience
        return super().is_finished() or stale

    def is_resting(self):
        """Tell whether an epoch is over."""
        return self.step == 0

    def position(self):
        """Say where the training is."""
        return f"in epoch {self.epoch + 1} after step {self.step}"

    def figures(self):
        """Return losses and F1 of the last whole epoch."""
        last = self.history[-1] if self.history else {}
        return {name: value for name, value in last.items() if name.endswith(("loss", "f1"))}

    def batch(self):
        """Return the row numbers of the next step, in the seeded order of its epoch."""
        if self._order_of != self.epoch:
            random = np.random.default_rng([self.plan.seed, self.epoch])
            self._order, self._order_of = random.permutation(self.training.X.shape[0]), self.epoch
        start = self.step * self.plan.batch_size
        return np.sort(self._order[start : start + self.plan.batch_size])

    def take_step(self):
        """Take one optimizer step; after the last one of an epoch, evaluate."""
        self.model.train()
        seed = np.random.SeedSequence([self.plan.seed, self.epoch, self.step]).generate_state(1)[0]
        self.generator.manual_seed(int(seed))
        if self.seeds_all:
            torch.manual_seed(int(seed))
        batch = self.batch()
        part = self.processes.part_of(len(batch))
        draw_for_part(self.model, len(batch), part.places)
        batch = batch[part.places]
        targets = torch.from_numpy(self.training.Y[batch].toarray()).to(self.device)
        loss = self.loss(*self.shared_model(*_inputs(self.training, batch, self.device)), targets)
        loss = loss * part.weight
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        # The mean over thousands of labels would make the gradients of rare ones smaller than Adam's ε.
        (loss * targets.shape[1]).backward()
        self.processes.average_sparse_gradients(self.model)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.loss_sum += self.check_loss(self.processes.mean(loss))
        if self.step == self.n_batches:
            self._finish_epoch()

    def _finish_epoch(self):
        """Evaluate, remember the best weights, and go to the next epoch."""
        for name, weight in self.model.named_parameters():
            if not torch.isfinite(weight).all():
                raise ValueError(
                    f"training diverged in epoch {self.epoch + 1}: {name} is not finite; lower learning_rate."
                )
        entry = {"epoch": self.epoch + 1, "train_loss": self.loss_sum / self.step}
        if self.validation is not None:
            entry |= _evaluate(self.model, self.loss, self.validation, self.plan.batch_size, self.device)
            self.check_loss(entry["validation_loss"])
        self.history.append(entry | _fusion_summary(self.model.fusion))
        compare = self.validation is not None and self.best_epoch is not None
        if not compare or _quality(entry) > _quality(self.history[self.best_epoch]):
            self.best_epoch = self.epoch
            self.best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0

    def other_tensors(self):
        """Return the weights of the best epoch."""
        return {f"best.{name}": weight for name, weight in self.best_state.items()}

    def restore_others(self, tensors):
        """Take over the weights of the best epoch."""
        best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
        self.best_state = {name: weight.to(self.device) for name, weight in best.items()}


def _settings(**modules):
    """Collect the plain values that modules were made with: dropout, switches, weights of the loss."""
    return {
        f"{path}.{name}": value
        for root, module in modules.items()
        for path, part in module.named_modules(prefix=root)
        for name, value in vars(part).items()
        if name != "training" and name[0] != "_" and isinstance(value, bool | int | float | str | None)
    }


def _optimizers(model, plan):
    """AdamW, and RowAdam for a first layer whose gradient holds only the rows that a batch touches."""
    sparse = list(sparse_weights(model).values())
    dense = [p for p in model.parameters() if not any(p is q for q in sparse)]
    optimizers = [torch.optim.AdamW(dense, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True)]
    if sparse:
        optimizers.append(RowAdam(sparse, lr=plan.learning_rate))
    return optimizers


def _inputs(rows, some, device):
    """Return a batch as the model takes it; only the (batch x labels) block is dense."""
    local = torch.from_numpy(rows.local[some].toarray()).to(device)
    return SparseRows.from_csr(rows.X[some], device), local


def _evaluate(model, loss, validation, batch_size, device):
    """Return loss, macro-F1 and micro-F1 on the validation rows."""
    predicted, loss_sum = [], 0.0
    for rows, z, theta in predict_batches(model, validation, batch_size=batch_size, device=device):
        targets = torch.from_numpy(validation.Y[rows].toarray()).to(device)
        loss_sum += loss(z, theta, targets).item() * len(z)
        predicted.append(sp.csr_array((z > theta).cpu().numpy()))
    predicted = sp.vstack(predicted, format="csr")
    return {
        "validation_loss": loss_sum / validation.X.shape[0],
        "macro_f1": macro_f1(validation.Y, predicted),
        "micro_f1": micro_f1(validation.Y, predicted),
    }


def _quality(entry):
    """Order epochs: higher macro-F1 first, then lower loss."""
    return entry["macro_f1"], -entry["validation_loss"]


def _fusion_summary(fusion):
    """Return λ and the mean and standard deviation of α and β, where the fusion has them."""
    summary = {"lambda": fusion.lam.item()} if hasattr(fusion, "mix") else {}
    for name in ("alpha", "beta"):
        if hasattr(fusion, name):
            values = getattr(fusion, name).detach()
            summary |= {f"{name}_mean": values.mean().item(), f"{name}_std": values.std(correction=0).item()}
    return summary
