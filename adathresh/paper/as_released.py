"""For the audit only: the protocol of the code released with the paper, which reads the labels it predicts.

Do not predict with anything in this module. The threshold of a row is computed from that row's true labels
and those of the other rows of its batch, in training *and in evaluation*: whatever is measured this way is
flattered, and rows whose labels are not known cannot be predicted at all. It is rebuilt here, in our own
words and code, so that the size of the leak can be measured (source: the repository
justnoxx/mlc-adaptive-threshold-global-local-signal-fusion). Nothing of the method imports it; the paper's
method without the leak is :class:`adathresh.AdaptiveThresholdNetwork`.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from adathresh.metrics import macro_f1, micro_f1
from adathresh.paper.losses import adaptive_threshold_loss
from adathresh.paper.network import MultiLabelNetwork, SparseRows, drawing_from, use_one_thread_after_fork
from adathresh.utils.progress import tqdm

BATCH_SIZE = 128
"""Rows a batch, in training and in evaluation."""

FIRST_ROWS = 50_000
"""Rows that the released code takes from the start of the training file, for training and evaluation."""


class LabelLeakageWarning(UserWarning):
    """True labels are read at prediction time.

    Examples
    --------
    >>> issubclass(LabelLeakageWarning, UserWarning)
    True
    """


class LeakFreeSignals(NamedTuple):
    """Signals that know nothing of a row's own labels, to be put in place of the released ones.

    Examples
    --------
    >>> LeakFreeSignals(np.array([0.5, 3.0]), sp.csr_array((4, 2))).local.shape
    (4, 2)
    """

    idf: np.ndarray
    """Rarity of each label in the training rows, shape (n_labels,); the same for every row."""
    local: sp.csr_array
    """Label shares of each row's neighbours among the training rows, shape (n_samples, n_labels)."""


Signals: TypeAlias = str | LeakFreeSignals
"""Where the signals of the threshold come from: "released", "withheld", or leak-free ones."""


class ReleasedThreshold(nn.Module):
    """The released threshold, θ = σ(λ·α_l·g + (1−λ)·β_l·K + b_l), a function of the batch's true labels.

    α and β start from N(0, 1), λ at 0.5, b at 0; all are learnable, and λ is not bounded.

    Parameters
    ----------
    n_labels : int
        Number of labels.
    disable_tfidf, disable_knn : bool, default=False
        Whether the "IDF" signal g, the "KNN" signal K is left out.
    use_fixed_threshold : bool, default=False
        Whether θ is 0.5 everywhere.
    use_threshold_bias : bool, default=True
        Whether b_l takes part.

    Examples
    --------
    >>> threshold = ReleasedThreshold(3, use_fixed_threshold=True)
    >>> threshold(*label_signals(torch.eye(2, 3)))[0].tolist()
    [0.5, 0.5, 0.5]
    """

    def __init__(
        self,
        n_labels: int,
        *,
        disable_tfidf: bool = False,
        disable_knn: bool = False,
        use_fixed_threshold: bool = False,
        use_threshold_bias: bool = True,
    ):
        super().__init__()
        self.disable_tfidf, self.disable_knn = disable_tfidf, disable_knn
        self.use_fixed_threshold, self.use_threshold_bias = use_fixed_threshold, use_threshold_bias
        self.alpha = nn.Parameter(torch.randn(n_labels))
        self.beta = nn.Parameter(torch.randn(n_labels))
        self.lam = nn.Parameter(torch.tensor(0.5))
        self.bias = nn.Parameter(torch.zeros(n_labels))

    def forward(self, idf_signal: torch.Tensor, knn_signal: torch.Tensor) -> torch.Tensor:
        """Return the thresholds of a batch.

        Parameters
        ----------
        idf_signal, knn_signal : torch.Tensor of shape (n_samples, n_labels)
            As :func:`label_signals` returns them.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_labels)
            Thresholds in (0, 1).
        """
        if self.use_fixed_threshold:
            return torch.full_like(idf_signal, 0.5)
        score = torch.zeros_like(idf_signal)
        if not self.disable_tfidf:
            score = score + self.lam * self.alpha * idf_signal
        if not self.disable_knn:
            score = score + (1 - self.lam) * self.beta * knn_signal
        return torch.sigmoid(score + self.bias if self.use_threshold_bias else score)


class ReleasedModel(nn.Module):
    """The released network with its threshold.

    Hidden layers with ReLU and dropout 0.3, PyTorch's default initialisation, output bias 0.5. The first
    layer takes sparse rows, which changes the cost and not the function.

    Parameters
    ----------
    n_features, n_labels : int
        Sizes of the data.
    hidden_layers : sequence of int, default=(2048, 2048, 2048)
        Width of each hidden layer.
    use_bias_init : bool, default=True
        Whether the output bias starts at 0.5.
    normalize_logits : bool, default=True
        Whether each row of logits is standardised: mean 0, unbiased standard deviation 1 (+ 1e-8).
    use_margin_loss : bool, default=True
        Whether the margin term takes part in the training.
    **switches : bool
        Of :class:`ReleasedThreshold`.

    Raises
    ------
    ValueError
        If there is no hidden layer.

    Examples
    --------
    >>> model = ReleasedModel(4, 3, hidden_layers=(8,))
    >>> rows = SparseRows.from_csr(sp.eye_array(4, dtype="float32").tocsr())
    >>> [part.shape for part in model(rows, *label_signals(torch.eye(4, 3)))]
    [torch.Size([4, 3]), torch.Size([4, 3])]
    """

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        hidden_layers: Sequence[int] = (2048, 2048, 2048),
        use_bias_init: bool = True,
        normalize_logits: bool = True,
        use_margin_loss: bool = True,
        **switches: bool,
    ):
        super().__init__()
        if not hidden_layers:
            raise ValueError("the released network has at least one hidden layer.")
        self.network = MultiLabelNetwork(
            n_features,
            n_labels,
            hidden_layers=hidden_layers,
            dropout=0.3,
            output_bias=0.5,
            normalize_logits=normalize_logits,
        )
        self.network.first.sparse_gradient = False  # AdamW takes none, and moves every weight at every step
        bound = 1 / math.sqrt(n_features)
        nn.init.uniform_(self.network.first.weight, -bound, bound)
        nn.init.uniform_(self.network.first.bias, -bound, bound)
        if not use_bias_init:
            output: Any = self.network.rest[-1]
            output.reset_parameters()
        self.use_margin_loss = use_margin_loss
        self.threshold = ReleasedThreshold(n_labels, **switches)

    def forward(
        self, rows: SparseRows, idf_signal: torch.Tensor, knn_signal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute logits and thresholds of a batch.

        Parameters
        ----------
        rows : SparseRows
            The batch.
        idf_signal, knn_signal : torch.Tensor of shape (n_samples, n_labels)
            Its signals.

        Returns
        -------
        tuple of torch.Tensor of shape (n_samples, n_labels)
            Logits z and thresholds θ.
        """
        return self.network(rows), self.threshold(idf_signal, knn_signal)


def label_signals(Y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the released "IDF" and "KNN" signals from a batch's true labels.

    g_il = y_il / (Σ_l y_il + 1e-8) and K = ((Y Yᵀ) / (row sums of Y + 1e-8)) Y. Neither is an inverse
    document frequency or a neighbourhood in feature space: both are functions of the labels to be predicted.

    Parameters
    ----------
    Y : torch.Tensor of shape (n_samples, n_labels)
        True labels of the batch, 0 or 1.

    Returns
    -------
    tuple of torch.Tensor of shape (n_samples, n_labels)
        The signals g and K.

    Examples
    --------
    >>> label_signals(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))[0].tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    sizes = Y.sum(dim=1, keepdim=True) + 1e-8
    return Y / sizes, ((Y @ Y.T) / sizes) @ Y


def released_split(n_rows: int, *, random_state: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Choose the rows that the released code trains on and those that it reports.

    Both are among the first 50,000 rows of the training file, split at random, 80 to 20. The official test
    rows take no part.

    Parameters
    ----------
    n_rows : int
        Rows of the training file.
    random_state : int, default=0
        Of the split (released: none, so that every run reports other rows).

    Returns
    -------
    tuple of numpy.ndarray
        Indices of the training rows and of the reported rows, each in random order: the batches of the
        evaluation, which its signals depend on, are made of rows drawn at random.

    Examples
    --------
    >>> [len(rows) for rows in released_split(100)]
    [80, 20]
    """
    order = np.random.default_rng(random_state).permutation(min(n_rows, FIRST_ROWS))
    n_train = int(0.8 * len(order))
    return order[:n_train], order[n_train:]


def predict_released(
    model: ReleasedModel,
    X: sp.csr_array,
    Y: sp.csr_array,
    *,
    signals: Signals = "released",
    batch_size: int = BATCH_SIZE,
) -> sp.csr_array:
    """Predict label sets as the released code evaluates, σ(z − θ) > 0.5: from their true labels.

    Parameters
    ----------
    model : ReleasedModel
        The trained model.
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        True labels of the same rows, which the released signals are made of.
    signals : {"released", "withheld"} or LeakFreeSignals, default="released"
        "withheld" puts zeros in place of both signals, as for rows whose labels are not known.
    batch_size : int, default=128
        Rows a batch; the released signals depend on it.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_samples, n_labels)
        Predicted labels.

    Raises
    ------
    ValueError
        If ``signals`` is unknown.

    Warns
    -----
    LabelLeakageWarning
        When the true labels are read.

    Examples
    --------
    >>> X, Y = sp.eye_array(4, dtype="float32").tocsr(), sp.csr_array((4, 3), dtype="float32")
    >>> predict_released(ReleasedModel(4, 3, hidden_layers=(8,)), X, Y, signals="withheld").shape
    (4, 3)
    """
    return _predict(model, X, Y, [(signals, batch_size)])[0]


def predict_each_way(
    model: ReleasedModel, X: sp.csr_array, Y: sp.csr_array, ways: list[tuple[Signals, int]]
) -> list[sp.csr_array]:
    """Predict label sets in several ways; the network, which all of them share, sees every row once.

    Parameters
    ----------
    model : ReleasedModel
        The trained model.
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        True labels of the same rows, which the released signals are made of.
    ways : list of tuple of ({"released", "withheld"} or LeakFreeSignals, int)
        Signals and batch size of each way, as :func:`predict_released` takes them. The network's own batches
        are as long as the least common multiple of the sizes.

    Returns
    -------
    list of scipy.sparse.csr_array of shape (n_samples, n_labels)
        Predicted labels, one matrix a way.

    Raises
    ------
    ValueError
        If signals are unknown.

    Warns
    -----
    LabelLeakageWarning
        When the true labels are read.

    Examples
    --------
    >>> X, Y = sp.eye_array(4, dtype="float32").tocsr(), sp.csr_array((4, 3), dtype="float32")
    >>> ways = [("withheld", 2), ("withheld", 4)]
    >>> len(predict_each_way(ReleasedModel(4, 3, hidden_layers=(8,)), X, Y, ways))
    2
    """
    return _predict(model, X, Y, ways)


def train_released(
    model: ReleasedModel,
    X: sp.csr_array,
    Y: sp.csr_array,
    X_reported: sp.csr_array,
    Y_reported: sp.csr_array,
    *,
    n_epochs: int,
    learning_rate: float = 1e-4,
    pos_weight: float | None = 10.0,
    leak_free: tuple[LeakFreeSignals, LeakFreeSignals] | None = None,
    measure: Callable[[sp.csr_array], dict[str, float]] | None = None,
    seed: int = 0,
    verbose: bool = False,
) -> list[dict[str, float]]:
    """Train as the released code does, and report every epoch on the rows that choose among the epochs.

    BCEWithLogits(z − θ, y, pos_weight 10) + 0.1·mean(max(0, −(2y−1)(z−θ) + 0.1)), AdamW with PyTorch's own
    settings, batches of 128; the released run takes 1,500 epochs.

    Parameters
    ----------
    model : ReleasedModel
        Trained in place. It ends with the last epoch's weights, as in the released code: that keeps the best
        epoch's weights by reference, so that training on changes them, and loads them at the end. (The file
        that it writes in the best epoch does hold them.)
    X, Y : scipy.sparse.csr_array
        Training rows and labels.
    X_reported, Y_reported : scipy.sparse.csr_array
        The rows that each epoch is evaluated on, with their labels in the threshold.
    n_epochs : int
        Passes over the training rows.
    learning_rate : float, default=1e-4
        Step size.
    pos_weight : float, optional
        Weight of a positive pair in the cross-entropy; None means 1.
    leak_free : tuple of LeakFreeSignals, optional
        Signals of the training rows and of the reported rows, in place of those made of their labels.
    measure : callable, optional
        Takes the label sets of the reported rows and returns a dict of str to float; None: macro-F1 and
        micro-F1.
    seed : int, default=0
        Of the row order and dropout (released: none), which draw from generators of their own.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    list of dict
        One entry an epoch: ``epoch``, ``train_loss`` (mean over the rows) and every measure as released
        (``macro_f1_released`` …) and with the signals withheld (``macro_f1_withheld`` …); with leak-free
        signals, one of each (``macro_f1_leak_free`` …).

    Raises
    ------
    ValueError
        If n_epochs, learning_rate or pos_weight is out of range, or if the training diverges, so that the
        loss or a weight is NaN or infinite.

    Examples
    --------
    >>> X = sp.eye_array(4, dtype="float32").tocsr()
    >>> train_released(ReleasedModel(4, 4, hidden_layers=(8,)), X, X, X, X, n_epochs=2)[-1]["epoch"]
    2
    """
    if not isinstance(n_epochs, int | np.integer) or n_epochs < 1:
        raise ValueError(f"n_epochs must be at least 1 and a whole number; got {n_epochs!r}.")
    if not 0 <= learning_rate < math.inf:
        raise ValueError(f"learning_rate must be at least 0 and finite; got {learning_rate!r}.")
    use_one_thread_after_fork()
    if measure is None:

        def measure(predicted):
            return {"macro_f1": macro_f1(Y_reported, predicted), "micro_f1": micro_f1(Y_reported, predicted)}

    training, reported = ("released", {"released": "released", "withheld": "withheld"})
    if leak_free is not None:
        training, reported = leak_free[0], {"leak_free": leak_free[1]}
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    history = []
    with drawing_from(model, generator):
        for epoch in tqdm(range(1, n_epochs + 1), desc="released", unit="epoch", disable=not verbose):
            order = rng.permutation(X.shape[0])
            entry = {
                "epoch": epoch,
                "train_loss": _train_epoch(model, X, Y, training, optimizer, order, pos_weight),
            }
            _check_finite(model, entry)
            ways = [(signals, BATCH_SIZE) for signals in reported.values()]
            predictions = _predict(model, X_reported, Y_reported, ways, warn=False)
            for name, predicted in zip(reported, predictions, strict=True):
                measured = measure(predicted)
                entry |= {f"{metric}_{name}": value for metric, value in measured.items()}
            history.append(entry)
    return history


def reported_epoch(history: list[dict[str, float]]) -> dict[str, float]:
    """Find the epoch that the released code reports: the first of greatest macro-F1, on the rows themselves.

    Parameters
    ----------
    history : list of dict
        As :func:`train_released` returns it.

    Returns
    -------
    dict
        One entry of the history. Its weights are not those that the model is left with.

    Examples
    --------
    >>> history = [{"epoch": 1, "macro_f1_released": 0.2}, {"epoch": 2, "macro_f1_released": 0.1}]
    >>> reported_epoch(history)["epoch"]
    1
    """
    return max(history, key=lambda entry: entry["macro_f1_released"])


def _check_finite(model, entry):
    """Raise where an epoch has left a loss or weights that are no numbers."""
    broken = [name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()]
    if broken or not math.isfinite(entry["train_loss"]):
        what = broken[0] if broken else "the loss"
        raise ValueError(
            f"training diverged in epoch {entry['epoch']}: {what} is not finite; lower learning_rate, or see "
            "that X holds no NaN and no very large numbers."
        )


def _predict(model, X, Y, ways, *, warn=True):
    """Predict as :func:`predict_each_way` says; the warning points at the caller's caller."""
    use_one_thread_after_fork()
    for signals, _ in ways:
        if not isinstance(signals, LeakFreeSignals) and signals not in ("released", "withheld"):
            raise ValueError(f"signals must be 'released', 'withheld' or LeakFreeSignals; got {signals!r}.")
    if warn and any(signals == "released" for signals, _ in ways):
        warnings.warn(
            "the released protocol reads the true labels of the rows that it predicts",
            LabelLeakageWarning,
            stacklevel=3,
        )
    model.eval()
    found, step = [[] for _ in ways], math.lcm(*(size for _, size in ways))
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        with torch.inference_mode():
            z, truth = model.network(SparseRows.from_csr(X[rows])), torch.from_numpy(Y[rows].toarray())
            for label_sets, (signals, size) in zip(found, ways, strict=True):
                label_sets += _threshold_batches(model, z, truth, signals, size, start)
    return [sp.vstack(label_sets, format="csr") for label_sets in found]


def _threshold_batches(model, z, truth, signals, size, start):
    """Return the label sets of consecutive batches of rows, from their logits; ``start`` is the first row."""
    found = []
    for first in range(0, len(z), size):
        batch = slice(first, first + size)
        here = slice(start + first, start + min(first + size, len(z)))
        theta = model.threshold(*_batch_signals(signals, truth[batch], here))
        found.append(sp.csr_array((torch.sigmoid(z[batch] - theta) > 0.5).numpy()))
    return found


def _batch_signals(signals, labels, rows):
    """Return the signals g and K of a batch."""
    if isinstance(signals, LeakFreeSignals):
        local = torch.from_numpy(signals.local[rows].toarray()).to(labels)
        return torch.as_tensor(signals.idf).to(labels).expand_as(labels), local
    return label_signals(labels if signals == "released" else torch.zeros_like(labels))


def _train_epoch(model, X, Y, signals, optimizer, order, pos_weight):
    """Take one pass over the rows; return the mean loss of a row."""
    model.train()
    total = 0.0
    for start in range(0, len(order), BATCH_SIZE):
        rows = np.sort(order[start : start + BATCH_SIZE])
        targets = torch.from_numpy(Y[rows].toarray())
        z, theta = model(SparseRows.from_csr(X[rows]), *_batch_signals(signals, targets, rows))
        loss = adaptive_threshold_loss(
            z,
            theta,
            targets,
            margin_weight=0.1 if model.use_margin_loss else 0.0,
            margin=0.1,
            pos_weight=pos_weight,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(order)
