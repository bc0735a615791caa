"""The paper's method as a scikit-learn classifier: network and thresholds trained together."""

import copy
import numbers
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from adathresh.paper.losses import AdaptiveThresholdLoss
from adathresh.paper.network import MultiLabelNetwork, check_widths, use_one_thread_after_fork
from adathresh.paper.processes import Processes
from adathresh.paper.threshold_layer import ThresholdFusion
from adathresh.paper.training import Rows, ThresholdedNetwork, TrainingPlan, predict_batches, train
from adathresh.posthoc.explanation import Explanation
from adathresh.saving import SaveMixin
from adathresh.signals.idf import LabelIDF
from adathresh.signals.knn import NeighborLabels, group_codes
from adathresh.utils.device import default_device
from adathresh.utils.files import PathLike
from adathresh.utils.labels import LabelSetMixin
from adathresh.utils.memory import check_memory
from adathresh.utils.parameters import (
    Allowed,
    check_parameters,
    check_value,
    either,
    flag,
    job_count,
    number,
    one_of,
    optional,
    parameters,
    path,
    seed,
    verbosity,
    whole,
)
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_features, check_labels, check_scores, one_row

_INFINITE = float(np.finfo(np.float32).max)  # the network computes in this precision


def _is_device(value):
    """Tell whether a value names a kind of device that torch knows; whether there is one is another thing."""
    try:
        return value == "auto" or bool(torch.device(value))
    except (TypeError, RuntimeError):
        return False


class AdaptiveThresholdNetwork(SaveMixin, LabelSetMixin, ClassifierMixin, BaseEstimator):
    """The paper's network, trained together with its thresholds and without label leakage.

    A multilayer perceptron gives logits z_l(x), the fusion thresholds
    θ_l(x) = λ·α_l·IDF_l + (1−λ)·β_l·KNN_l(x) + b_l;
    label l is predicted where z_l(x) > θ_l(x) (arXiv:2505.03118, §3). Both signals come from training rows
    only: the neighbours of a training row never include the row itself, and labels never reach ``predict``.
    The published architecture is the default; the schedule is not (the released code takes 1,500 epochs at a
    step size of 1e-4 and keeps the epoch that is best on the rows it reports).

    Processes that ``torchrun`` has started, and that have initialised torch's default process group, train
    one network together: each calls ``fit`` with the same rows and the same ``random_state``, a whole number.

    Parameters
    ----------
    hidden_layers : sequence of int, default=(2048, 2048, 2048)
        Width of each hidden layer; empty for a linear model.
    dropout : float, default=0.3
        Share of hidden units dropped in training, in [0, 1).
    use_idf, use_knn, use_threshold_bias : bool, default=True
        The paper's switches: whether the rarity term, the neighbour term and b_l take part in θ.
    fixed_threshold : float, optional
        One constant θ, in logits, in place of the learnable thresholds.
    init_std : float, default=0.0
        Standard deviation that α and β start from (released code: 1).
    output_bias : float or "prior", default="prior"
        Where the output bias starts: a number (released code: 0.5), or the log-odds of each label's
        frequency.
    normalize_logits : bool, default=False
        Whether each row of logits is standardised (released code: yes). Needs two labels or more.
    loss : torch.nn.Module, optional
        Called as loss(logits, thresholds, targets), as the modules of ``adathresh.paper.rival_losses``; None
        takes the paper's, :class:`adathresh.AdaptiveThresholdLoss`, with the three settings that follow. A
        saved file leaves it out, as predictions do not need it.
    margin_weight : float, default=0.1
        Weight of the margin term in the paper's loss; 0 switches it off.
    margin : float, default=0.1
        Distance from θ, in logits, from which on a pair costs no hinge.
    pos_weight : float, default=1.0
        Weight of a positive pair in the cross-entropy, greater than 0 (released code: 10). Above 1 more
        labels are predicted, and σ(z − θ) overstates how likely they are.
    n_neighbors : int, default=30
        Number of neighbours of the local signal.
    learning_rate : float, default=1e-3
        Step size of AdamW.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW. From 2¹⁶ features on the first layer is trained by SparseAdam,
        without.
    batch_size : int, default=128
        Rows a step.
    max_epochs : int, default=30
        Passes over the training rows at most.
    patience : int, default=5
        Epochs without a better macro-F1 on the validation rows after which training stops.
    validation_fraction : float, default=0.1
        Share of the rows given to ``fit`` that early stopping holds out, in [0, 1); 0 trains on all rows for
        ``max_epochs``. Not used where ``fit`` is given validation rows.
    device : str, default="auto"
        "auto" takes a CUDA device where there is one, else the CPU; or any torch device.
    checkpoint : str or os.PathLike, optional
        A ``.safetensors`` file that an interrupted ``fit`` leaves and the next one goes on from.
    n_jobs : int, optional
        Threads of the neighbour search; None means 1.
    random_state : int, RandomState instance or None, default=None
        Of initialisation, row order, dropout and the rows held out for validation.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    history_ : list of dict
        One entry an epoch: losses, F1 on the validation rows, λ, α and β.
    model_ : ThresholdedNetwork
        The trained torch module.
    idf_ : LabelIDF
        The global signal.
    training_rows_ : numpy.ndarray of int
        Rows of ``fit`` that were trained on; the others were held out to choose the epoch.
    neighbors_ : NeighborLabels
        The local signal.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Raises
    ------
    ValueError
        In ``fit``, for parameters outside their range, NaN or infinity in X, labels other than 0 and 1, a
        multiclass target, X and Y of different length, or a training that diverges.
    MemoryError
        In ``fit``, if the weights are sure to take more memory than the machine has.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
    >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
    >>> clf.predict(X).shape
    (60, 5)
    """

    _parameters = parameters(  # training plan and widths of layers are checked where they are used, too
        dropout=number(least=0, below=1),
        use_idf=flag(),
        use_knn=flag(),
        use_threshold_bias=flag(),
        fixed_threshold=optional(number(above=-_INFINITE, below=_INFINITE)),
        init_std=number(least=0, below=_INFINITE),
        output_bias=either(one_of("prior"), number(above=-_INFINITE, below=_INFINITE)),
        normalize_logits=flag(),
        loss=optional(
            Allowed(
                "a torch.nn.Module, called as loss(logits, thresholds, targets)",
                lambda value: isinstance(value, nn.Module),
            )
        ),
        margin_weight=number(least=0, below=_INFINITE),
        margin=number(least=0, below=_INFINITE),
        pos_weight=number(above=0, below=_INFINITE),
        n_neighbors=whole(1),
        validation_fraction=number(least=0, below=1),
        device=Allowed("'auto', or a torch device, as 'cpu' or 'cuda:0'", _is_device),
        checkpoint=optional(path()),
        n_jobs=job_count(),
        random_state=seed(),
        verbose=verbosity(),
    )

    def __init__(
        self,
        *,
        hidden_layers: Sequence[int] = (2048, 2048, 2048),
        dropout: float = 0.3,
        use_idf: bool = True,
        use_knn: bool = True,
        use_threshold_bias: bool = True,
        fixed_threshold: float | None = None,
        init_std: float = 0.0,
        output_bias: float | str = "prior",
        normalize_logits: bool = False,
        loss: nn.Module | None = None,
        margin_weight: float = 0.1,
        margin: float = 0.1,
        pos_weight: float = 1.0,
        n_neighbors: int = 30,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        batch_size: int = 128,
        max_epochs: int = 30,
        patience: int = 5,
        validation_fraction: float = 0.1,
        device: str = "auto",
        checkpoint: PathLike | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.hidden_layers = hidden_layers
        self.dropout = dropout
        self.use_idf = use_idf
        self.use_knn = use_knn
        self.use_threshold_bias = use_threshold_bias
        self.fixed_threshold = fixed_threshold
        self.init_std = init_std
        self.output_bias = output_bias
        self.normalize_logits = normalize_logits
        self.loss = loss
        self.margin_weight = margin_weight
        self.margin = margin
        self.pos_weight = pos_weight
        self.n_neighbors = n_neighbors
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: MatrixLike,
        Y: MatrixLike,
        *,
        groups: ArrayLike | None = None,
        validation: tuple[MatrixLike, MatrixLike] | None = None,
        local: MatrixLike | None = None,
    ) -> "AdaptiveThresholdNetwork":
        """Train network and thresholds.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Training features.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.
        groups : array-like of shape (n_samples,), optional
            Rows of one group are never each other's neighbours and are held out together.
        validation : tuple of (X, Y), optional
            Rows that choose the epoch, in place of a share of the training rows.
        local : sparse of shape (n_samples, n_labels), optional
            Leave-one-out neighbour shares of the training rows, where they are at hand from
            ``NeighborLabels.fit_transform``; only with ``validation``, so that no validation row is among
            the neighbours.

        Returns
        -------
        AdaptiveThresholdNetwork
            The fitted classifier.

        Raises
        ------
        ValueError
            For parameters outside their range, NaN or infinity in X, labels other than 0 and 1, lengths that
            differ, or a training that diverges.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(), max_epochs=1)
        >>> len(clf.fit(X[:40], Y[:40], validation=(X[40:], Y[40:])).history_)
        1
        """
        use_one_thread_after_fork()
        self._check_parameters()
        X = check_features(self, X, dtype=np.float32)
        Y = self._encode(Y, X.shape[0])
        if validation is not None and not (isinstance(validation, tuple | list) and len(validation) == 2):
            raise ValueError("validation must be two matrices, (X, Y).")
        if self.normalize_logits and Y.shape[1] < 2:
            raise ValueError("normalize_logits needs at least two labels.")
        if local is not None and validation is None:
            raise ValueError(
                "local can be given only together with validation: its rows would hold held-out labels."
            )
        if local is not None:
            local = check_scores(
                local, name="local", n_samples=X.shape[0], n_labels=Y.shape[1], probabilities=True
            )
            local = sp.csr_array(local, dtype=np.float32)
        if Processes.started().size > 1 and not isinstance(self.random_state, numbers.Integral):
            raise ValueError(
                "random_state must be a whole number where several processes train one network: all of them "
                f"have to draw the same; got {self.random_state!r}."
            )
        seed = int(check_random_state(self.random_state).randint(2**31))
        groups = group_codes(groups, X.shape[0])
        widths = [X.shape[1], *self.hidden_layers, Y.shape[1]]
        n_weights = sum(before * after for before, after in pairwise(widths))
        # each with its gradient, the two means of Adam, and its value in the best epoch
        check_memory(
            20 * n_weights, f"Training {n_weights} weights", "take smaller hidden_layers, or fewer features"
        )
        rows, held_out = self._hold_out(groups, seed) if validation is None else (slice(None), None)
        self.training_rows_ = np.arange(X.shape[0])[rows]
        groups = groups[rows]
        self.neighbors_ = NeighborLabels(self.n_neighbors, n_jobs=self.n_jobs, verbose=self.verbose)
        if local is None and self._uses_local():
            local = self.neighbors_.fit_transform(X[rows], Y[rows], groups=groups)
        else:
            self.neighbors_.fit(X[rows], Y[rows], groups=groups)
        training = self._rows(X[rows], Y[rows], local)
        if validation is not None:
            validation = self._validation_rows(*validation, n_labels=Y.shape[1])
        elif held_out is not None:
            validation = self._rows(X[held_out], Y[held_out])
        self.idf_ = LabelIDF().fit(training.Y)
        self.model_ = self._build(X.shape[1], seed)
        self.history_ = train(
            self.model_,
            self._loss(),
            training,
            validation,
            plan=self._plan(seed),
            device=self._device(),
            checkpoint=self.checkpoint,
            verbose=self.verbose,
        )
        return self

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return z_l(x) − θ_l(x); positive means predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Margins in logits.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
        >>> clf.decision_function(X).shape
        (60, 5)
        """
        return self._squeeze(self._dense(X, lambda z, theta: z.double() - theta.double()))

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return σ(z_l(x) − θ_l(x)); above 0.5 means predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples, 2) for a binary target
            Probabilities in [0, 1].

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
        >>> clf.predict_proba(X).shape
        (60, 5)
        """
        probability = expit(self._dense(X, lambda z, theta: z.double() - theta.double()))
        return np.hstack([1 - probability, probability]) if self._container == "vector" else probability

    def thresholds(self, X: MatrixLike) -> np.ndarray:
        """Return θ_l(x), in units of the network's logits.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_labels), or (n_samples,) for a binary target
            Thresholds.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
        >>> clf.thresholds(X).shape
        (60, 5)
        """
        return self._squeeze(self._dense(X, lambda z, theta: theta.double()))

    def predict(self, X: MatrixLike) -> Matrix:
        """Return the label sets; the memory stays that of one batch and of the labels predicted.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.

        Returns
        -------
        numpy.ndarray or sparse of shape (n_samples, n_labels)
            0/1, sparse where Y was; the classes, of shape (n_samples,), for a binary target.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
        >>> clf.predict(X).shape
        (60, 5)
        """
        found = [sp.csr_array((z > theta).cpu().numpy()) for _, z, theta in self._batches(X)]
        return self._decode(sp.vstack(found, format="csr"))

    def top_scores(self, X: MatrixLike, *, k: int = 50) -> sp.csr_array:
        """Return the k highest probabilities of each row; the full matrix is never held.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Features.
        k : int, default=50
            Scores a row; all where there are fewer labels.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Probabilities σ(z_l(x) − θ_l(x)) of the pairs kept, float32.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
        >>> clf.top_scores(X, k=2).nnz
        120
        """
        check_value("k", k, whole(1))
        found = []
        for _, z, theta in self._batches(X):
            values, columns = torch.sigmoid(z - theta).topk(min(k, z.shape[1]), dim=1)
            rows = np.arange(0, values.numel() + 1, values.shape[1])
            kept = (values.cpu().numpy().ravel(), columns.cpu().numpy().ravel(), rows)
            found.append(sp.csr_array(kept, shape=z.shape))
        scores = sp.vstack(found, format="csr")
        scores.sort_indices()
        return scores

    def explain(self, x: MatrixLike, label: int) -> Explanation:
        """Split the decision about one label of one row into the terms of the paper's formula.

        Parameters
        ----------
        x : array-like or sparse of shape (n_features,) or (1, n_features)
            One row.
        label : int
            Index of the label.

        Returns
        -------
        Explanation
            In the network's logits, against a fused threshold of 0: the base term is z_l(x); the neighbour
            term is what the neighbours take from θ_l(x), and the rarity term all else of it, b_l included.
            The neighbours' rows are those of ``fit``.

        Raises
        ------
        ValueError
            If x is not one row, or the label is out of range.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> X, Y = make_multilabel_classification(n_samples=60, random_state=0)
        >>> clf = AdaptiveThresholdNetwork(hidden_layers=(16,), max_epochs=2, random_state=0).fit(X, Y)
        >>> clf.explain(X[0], 2).label
        2
        """
        check_is_fitted(self, "model_")
        X = check_features(self, one_row(x), name="x", reset=False)
        check_value("label", label, whole(0, self.n_labels_ - 1))
        margin = float(np.reshape(self.decision_function(X), -1)[label])
        theta = float(np.reshape(self.thresholds(X), -1)[label])
        share = torch.zeros(1, self.n_labels_, device=self.model_.fusion.idf.device)
        share[0, label] = float(self.neighbors_.transform(X)[0, label])
        with torch.no_grad():
            neighbor_term = -float(self.model_.fusion.terms(share)["neighbors"][0, label])
        nearest = self.neighbors_.nearest(X, label)
        return Explanation(
            label=int(label),
            score=float(expit(margin + theta)),
            threshold=theta,
            base_term=margin + theta,
            rarity_term=-theta - neighbor_term,
            neighbor_term=neighbor_term,
            text_term=0.0,
            fused_threshold=0.0,
            predicted=margin > 0,
            neighbors=tuple(
                (int(self.training_rows_[row]), similarity, carries) for row, similarity, carries in nearest
            ),
        )

    def __getstate__(self):
        state = super().__getstate__()
        if "model_" in state:  # as arrays: the modules are made again
            weights = self.model_.state_dict()
            state = state | {"model_": {name: weight.cpu().numpy() for name, weight in weights.items()}}
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "model_" in state:
            self.model_ = self._build(self.n_features_in_, seed=0)
            weights = {name: torch.as_tensor(weight) for name, weight in state["model_"].items()}
            self.model_.load_state_dict(weights)

    def _dense(self, X, pick):
        """Return one dense (n_samples, n_labels) array of what ``pick`` takes from logits and thresholds."""
        return np.vstack([pick(z, theta).cpu().numpy() for _, z, theta in self._batches(X)])

    def _batches(self, X):
        """Yield rows, logits and thresholds of consecutive batches of new rows, in the precision of X."""
        check_is_fitted(self, "model_")
        use_one_thread_after_fork()  # also before the weights are copied
        X = check_features(self, X, reset=False)
        model = self.model_ if X.dtype == np.float32 else copy.deepcopy(self.model_).double()
        return predict_batches(
            model, self._rows(X), batch_size=1024, device=self._device(), verbose=self.verbose
        )

    def _rows(self, X, Y=None, local=None):
        """Put rows together with their local signal; where none is given, as new rows."""
        if local is None:
            empty = sp.csr_array((X.shape[0], self.n_labels_), dtype=np.float32)
            local = self.neighbors_.transform(X) if self._uses_local() else empty
        return Rows(X=sp.csr_array(X), Y=Y, local=local)

    def _uses_local(self):
        """Tell whether the neighbour term takes part in θ."""
        return self.use_knn and self.fixed_threshold is None

    def _validation_rows(self, X, Y, *, n_labels):
        """Check the caller's validation rows."""
        X = check_features(self, X, name="X of validation", dtype=np.float32, reset=False)
        Y = Y if self._container != "vector" else (np.asarray(Y) == self.classes_[1])[:, None]
        Y = check_labels(Y, name="Y of validation", n_samples=X.shape[0], n_labels=n_labels)
        return self._rows(X, Y)

    def _hold_out(self, groups, seed):
        """Draw the groups that early stopping holds out."""
        if round(self.validation_fraction * len(np.unique(groups))) < 1:
            return np.arange(len(groups)), None
        splitter = GroupShuffleSplit(n_splits=1, test_size=self.validation_fraction, random_state=seed)
        return next(splitter.split(groups, groups=groups))

    def _build(self, n_features, seed):
        """Make the network and the fusion, both initialised from the seed."""
        frequency, n = self.idf_.frequency_, self.idf_.n_samples_
        bias = self.output_bias
        if bias == "prior":
            bias = torch.as_tensor(np.log((frequency + 1) / (n - frequency + 1)), dtype=torch.float32)
        generator = torch.Generator().manual_seed(seed)  # the global state is shared by all threads
        network = MultiLabelNetwork(
            n_features,
            len(frequency),
            hidden_layers=self.hidden_layers,
            dropout=self.dropout,
            output_bias=bias,
            normalize_logits=self.normalize_logits,
            generator=generator,
        )
        fusion = ThresholdFusion(
            self.idf_.idf_,
            use_idf=self.use_idf,
            use_knn=self.use_knn,
            use_bias=self.use_threshold_bias,
            fixed_threshold=self.fixed_threshold,
            init_std=self.init_std,
            generator=generator,
        )
        return ThresholdedNetwork(network, fusion)

    def _loss(self):
        """Return the loss to train with."""
        if self.loss is not None:
            return self.loss
        return AdaptiveThresholdLoss(
            margin_weight=self.margin_weight, margin=self.margin, pos_weight=self.pos_weight
        )

    def _plan(self, seed):
        """Return the training plan."""
        return TrainingPlan(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            seed=seed,
        )

    def _device(self):
        """Resolve "auto"."""
        return default_device() if self.device == "auto" else self.device

    def _check_parameters(self):
        """Raise for parameters outside their range."""
        check_parameters(self)
        check_widths(self.hidden_layers)
        self._plan(seed=0)  # checks its own
