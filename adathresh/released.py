"""The protocol of the code released with the paper, rebuilt for auditing: it reads the labels it predicts.

Source: the repository justnoxx/mlc-adaptive-threshold-global-local-signal-fusion, described here in our own
words and code. The threshold of a row is computed from that row's true labels and those of the other rows of
its batch, in training *and in evaluation*. The method never imports this module; use
:class:`adathresh.AdaptiveThresholdClassifier` to predict.
"""

import math
import warnings

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from tqdm.auto import tqdm

from adathresh.losses import adaptive_threshold_loss
from adathresh.metrics import macro_f1, micro_f1
from adathresh.network import MultiLabelNetwork, SparseRows


class LabelLeakageWarning(UserWarning):
    """True labels are read at prediction time."""


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
    """

    def __init__(
        self,
        n_labels,
        *,
        disable_tfidf=False,
        disable_knn=False,
        use_fixed_threshold=False,
        use_threshold_bias=True,
    ):
        super().__init__()
        self.disable_tfidf, self.disable_knn = disable_tfidf, disable_knn
        self.use_fixed_threshold, self.use_threshold_bias = use_fixed_threshold, use_threshold_bias
        self.alpha = nn.Parameter(torch.randn(n_labels))
        self.beta = nn.Parameter(torch.randn(n_labels))
        self.lam = nn.Parameter(torch.tensor(0.5))
        self.bias = nn.Parameter(torch.zeros(n_labels))

    def forward(self, idf_signal, knn_signal):
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
        Whether each row of logits is standardised.
    **switches : bool
        Of :class:`ReleasedThreshold`.

    Raises
    ------
    ValueError
        If there is no hidden layer.
    """

    def __init__(
        self,
        n_features,
        n_labels,
        *,
        hidden_layers=(2048, 2048, 2048),
        use_bias_init=True,
        normalize_logits=True,
        **switches,
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
        bound = 1 / math.sqrt(n_features)
        nn.init.uniform_(self.network.first.weight, -bound, bound)
        nn.init.uniform_(self.network.first.bias, -bound, bound)
        if not use_bias_init:
            self.network.rest[-1].reset_parameters()
        self.threshold = ReleasedThreshold(n_labels, **switches)

    def forward(self, rows, idf_signal, knn_signal):
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


def label_signals(Y):
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
    """
    sizes = Y.sum(dim=1, keepdim=True) + 1e-8
    return Y / sizes, ((Y @ Y.T) / sizes) @ Y


def predict_released(model, X, Y, *, signals="released", batch_size=128):
    """Predict label sets as the released code evaluates, σ(z − θ) > 0.5.

    Parameters
    ----------
    model : ReleasedModel
        The trained model.
    X : scipy.sparse.csr_array of shape (n_samples, n_features)
        Features.
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        True labels of the same rows, which the released signals are made of.
    signals : {"released", "withheld"}, default="released"
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
    """
    if signals not in ("released", "withheld"):
        raise ValueError(f"signals must be 'released' or 'withheld'; got {signals!r}.")
    if signals == "released":
        warnings.warn(
            "the released protocol reads the true labels of the rows that it predicts",
            LabelLeakageWarning,
            stacklevel=2,
        )
    model.eval()
    found = []
    for start in range(0, X.shape[0], batch_size):
        batch = slice(start, start + batch_size)
        truth = torch.from_numpy(Y[batch].toarray())
        with torch.inference_mode():
            labels = truth if signals == "released" else torch.zeros_like(truth)
            z, theta = model(SparseRows.from_csr(X[batch]), *label_signals(labels))
            found.append(sp.csr_array((torch.sigmoid(z - theta) > 0.5).numpy()))
    return sp.vstack(found, format="csr")


def train_released(
    model, X, Y, X_reported, Y_reported, *, n_epochs, learning_rate=1e-4, seed=0, verbose=False
):
    """Train as the released code does, and report every epoch on the rows that choose among the epochs.

    BCEWithLogits(z − θ, y, pos_weight 10) + 0.1·mean(max(0, −(2y−1)(z−θ) + 0.1)), AdamW, batches of 128; the
    released run takes 1,500 epochs.

    Parameters
    ----------
    model : ReleasedModel
        Trained in place; ends with the last epoch's weights, as the released code does.
    X, Y : scipy.sparse.csr_array
        Training rows and labels.
    X_reported, Y_reported : scipy.sparse.csr_array
        The rows that each epoch is evaluated on, with their labels in the threshold.
    n_epochs : int
        Passes over the training rows.
    learning_rate : float, default=1e-4
        Step size.
    seed : int, default=0
        Of the row order and dropout (released: none).
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    list of dict
        One entry an epoch: loss; macro-F1 and micro-F1 as released, and with the signals withheld.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    rng = np.random.default_rng(seed)
    history = []
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelLeakageWarning)
        torch.manual_seed(seed)
        for epoch in tqdm(range(1, n_epochs + 1), desc="released", unit="epoch", disable=not verbose):
            loss = _train_epoch(model, X, Y, optimizer, rng.permutation(X.shape[0]))
            entry = {"epoch": epoch, "train_loss": loss}
            for signals in ("released", "withheld"):
                predicted = predict_released(model, X_reported, Y_reported, signals=signals)
                entry[f"macro_f1_{signals}"] = macro_f1(Y_reported, predicted)
                entry[f"micro_f1_{signals}"] = micro_f1(Y_reported, predicted)
            history.append(entry)
    return history


def _train_epoch(model, X, Y, optimizer, order):
    """Take one pass over the rows; return the mean loss."""
    model.train()
    losses = []
    for start in range(0, len(order), 128):
        batch = np.sort(order[start : start + 128])
        targets = torch.from_numpy(Y[batch].toarray())
        z, theta = model(SparseRows.from_csr(X[batch]), *label_signals(targets))
        loss = adaptive_threshold_loss(z, theta, targets, margin_weight=0.1, margin=0.1, pos_weight=10.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))
