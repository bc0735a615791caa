"""Label queries: every label chooses by itself which tokens of a text it reads."""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional

from adathresh.models._descent import (
    TrainingBySteps,
    batches_of_similar_length,
    label_loss,
    log_odds,
    share_of_rate,
)
from adathresh.models._encoder import MINILM, hidden_states, load_encoder, model_folder, token_counts
from adathresh.models._texts import TextClassifier
from adathresh.utils.device import default_device
from adathresh.utils.memory import check_memory
from adathresh.utils.parameters import (
    check_parameters,
    number,
    one_of,
    parameters,
    path,
    seed,
    verbosity,
    whole,
)
from adathresh.utils.progress import tqdm
from adathresh.utils.texts import check_texts
from adathresh.utils.types import MatrixLike

# Texts whose states are computed together, and those that are scored before the next ones are encoded.
_TEXTS_A_BATCH, _TEXTS_AT_ONCE = 64, 512


class LabelQueryHead(nn.Module):
    """Cross-attention of labels to the tokens of a text: one query a label, one logit a query.

    With the states s_t of a text's tokens, scaled to entries of about 1, label l has in each of the heads h
    the logit's part Σ_t a_lht · (w_lh · V_h s_t), where a_lh· = softmax_t(q_lh · K_h s_t / √d): it attends by
    its query q_l and reads what it attends to with its weights w_l. Keys K and values V are shared by all
    labels. The logit is the sum over the heads plus b_l. This is the cross-attention of a transformer's
    decoder whose queries are labels (Liu et al. 2021, "Query2Label", arXiv:2107.10834) without its attention
    between labels and its feed-forward layers, which ML-Decoder (Ridnik et al. 2021, arXiv:2111.12933) drops
    in part, too: a row costs labels × tokens × dimensions, and no product of a label with a square matrix.

    Parameters
    ----------
    n_dimensions : int
        Dimensions of the states, a multiple of ``n_heads``.
    n_labels : int
        Number of labels, at least 1.
    n_heads : int, default=4
        Parts of a query that attend apart.
    generator : torch.Generator, optional
        Draws queries, keys and values. The weights w start at 0.

    Raises
    ------
    ValueError
        If ``n_dimensions`` is not a multiple of ``n_heads``.

    Examples
    --------
    >>> head = LabelQueryHead(8, 3, n_heads=2)
    >>> head(torch.ones(5, 4, 8), torch.ones(5, 4, dtype=torch.bool)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self, n_dimensions: int, n_labels: int, *, n_heads: int = 4, generator: torch.Generator | None = None
    ):
        super().__init__()
        if n_dimensions % n_heads:
            raise ValueError(f"n_heads must divide the {n_dimensions} dimensions of a token; got {n_heads}.")
        self.n_heads = n_heads

        def draw(n_rows, scale):
            return nn.Parameter(scale * torch.randn(n_rows, n_dimensions, generator=generator))

        self.query = draw(n_labels, 1.0)
        self.key, self.value = (draw(n_dimensions, (3 * n_dimensions) ** -0.5) for _ in range(2))
        self.weight = nn.Parameter(torch.zeros(n_labels, n_dimensions))
        self.bias = nn.Parameter(torch.zeros(n_labels))

    def forward(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Compute logits.

        Parameters
        ----------
        states : torch.Tensor of shape (n_samples, n_tokens, n_dimensions)
            States of the tokens; those that are not there are not looked at.
        there : torch.Tensor of shape (n_samples, n_tokens), bool
            Which tokens are there, at least one a row.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_labels)
            Logits.
        """
        states = _of_unit_entries(states)
        read = self._products(self.weight, self.value, states)
        return (self._attention(states, there) * read).sum(dim=(1, 3)) + self.bias

    def attention(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Compute how much of its attention each label gives to each token.

        Parameters
        ----------
        states : torch.Tensor of shape (n_samples, n_tokens, n_dimensions)
            As for the logits.
        there : torch.Tensor of shape (n_samples, n_tokens), bool
            As for the logits.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_heads, n_labels, n_tokens)
            Shares that sum to 1 over the tokens; 0 for those that are not there.

        Examples
        --------
        >>> head = LabelQueryHead(8, 3, n_heads=2)
        >>> there = torch.tensor([[True, True, False]])
        >>> head.attention(torch.ones(1, 3, 8), there)[0, 0, 0].tolist()
        [0.5, 0.5, 0.0]
        """
        return self._attention(_of_unit_entries(states), there)

    def _attention(self, states, there):
        """Compute the shares of states that have been scaled."""
        scale = (self.query.shape[1] // self.n_heads) ** -0.5
        matches = self._products(scale * self.query, self.key, states)
        return matches.masked_fill(~there[:, None, None, :], -torch.inf).softmax(dim=-1)

    def _products(self, vectors, shared, states):
        """Compute v_lh · M_h s_t in the cheaper order: of vectors v, a shared matrix M and states s.

        Returns (n_samples, heads, n_labels, n_tokens).
        """
        vectors = vectors.unflatten(1, (self.n_heads, -1)).transpose(0, 1)  # (heads, labels, d)
        if vectors.shape[0] * vectors.shape[1] < states.shape[-1]:
            vectors = vectors @ shared.unflatten(0, (self.n_heads, -1))
            found = functional.linear(states, vectors.flatten(0, 1))  # a row of weights a head and label
            return found.unflatten(-1, (self.n_heads, -1)).permute(0, 2, 3, 1)
        projected = functional.linear(states, shared).unflatten(-1, (self.n_heads, -1))
        return vectors @ projected.permute(0, 2, 3, 1)


class TokenMeanHead(nn.Module):
    """Logits of the mean of a text's tokens, which says the same to all labels.

    What :class:`LabelQueryHead` is compared with: w_l · ReLU(U x + c) + b_l, with x the mean of the states,
    scaled to entries of about 1. With twice as many hidden units as x has dimensions it is as large as a head
    of label queries.

    Parameters
    ----------
    n_dimensions : int
        Dimensions of the states.
    n_labels : int
        Number of labels, at least 1.
    generator : torch.Generator, optional
        Draws U. The weights w start at 0.

    Examples
    --------
    >>> head = TokenMeanHead(8, 3)
    >>> head(torch.ones(5, 4, 8), torch.ones(5, 4, dtype=torch.bool)).shape
    torch.Size([5, 3])
    """

    def __init__(self, n_dimensions: int, n_labels: int, *, generator: torch.Generator | None = None):
        super().__init__()
        n_hidden, scale = 2 * n_dimensions, n_dimensions**-0.5
        self.hidden = nn.Parameter(scale * torch.randn(n_hidden, n_dimensions, generator=generator))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.weight = nn.Parameter(torch.zeros(n_labels, n_hidden))
        self.bias = nn.Parameter(torch.zeros(n_labels))

    def forward(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Compute logits.

        Parameters
        ----------
        states : torch.Tensor of shape (n_samples, n_tokens, n_dimensions)
            States of the tokens; those that are not there are not looked at.
        there : torch.Tensor of shape (n_samples, n_tokens), bool
            Which tokens are there, at least one a row.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_labels)
            Logits.
        """
        total = (states * there[:, :, None]).sum(dim=1)
        hidden = functional.linear(_of_unit_entries(total), self.hidden, self.hidden_bias).relu()
        return functional.linear(hidden, self.weight, self.bias)


class TokenStates:
    """States of the tokens of some texts, one text after the other, in half precision.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_tokens, n_dimensions), float16
        States of all tokens.
    ends : numpy.ndarray of shape (n_texts,), int
        Where each text's tokens end, and the next one's begin.

    Examples
    --------
    >>> states = TokenStates(np.ones((3, 8), np.float16), np.array([1, 3]))
    >>> states.lengths.tolist(), states.take([1]).padded([0])[1].tolist()
    ([1, 2], [[True, True]])
    """

    def __init__(self, values: np.ndarray, ends: np.ndarray):
        self.values, self.ends = values, np.asarray(ends)
        self.lengths = np.diff(self.ends, prepend=0)

    def __len__(self):
        return len(self.ends)

    def take(self, rows: Sequence[int]) -> "TokenStates":
        """Return those of some texts.

        Parameters
        ----------
        rows : sequence of int
            Their numbers, in the order they are to have.

        Returns
        -------
        TokenStates
            A copy.

        Examples
        --------
        >>> len(TokenStates(np.ones((3, 8), np.float16), np.array([1, 3])).take([1, 1, 0]))
        3
        """
        rows = np.asarray(rows, dtype=np.intp)
        ends = np.cumsum(self.lengths[rows])
        values = np.empty((ends[-1] if len(ends) else 0, self.values.shape[1]), self.values.dtype)
        for row, end in zip(rows, ends, strict=True):
            values[end - self.lengths[row] : end] = self._of(row)
        return TokenStates(values, ends)

    def padded(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states of some texts as one tensor, and which tokens are there.

        Parameters
        ----------
        rows : sequence of int
            Their numbers; at least one.

        Returns
        -------
        states : torch.Tensor of shape (n_rows, n_tokens, n_dimensions), float32
            As many tokens as the longest text has; 0 where a shorter one has none.
        there : torch.Tensor of shape (n_rows, n_tokens), bool
            Which tokens are there.

        Examples
        --------
        >>> states = TokenStates(np.ones((3, 8), np.float16), np.array([1, 3]))
        >>> states.padded([0, 1])[1].tolist()
        [[True, False], [True, True]]
        """
        longest = self.lengths[rows].max()
        states = np.zeros((len(rows), longest, self.values.shape[1]), dtype=np.float32)
        for place, row in enumerate(rows):
            states[place, : self.lengths[row]] = self._of(row)
        there = np.arange(longest) < self.lengths[rows, None]
        return torch.from_numpy(states), torch.from_numpy(there)

    def _of(self, row):
        """Return the states of one text."""
        end = self.ends[row]
        return self.values[end - self.lengths[row] : end]


class LabelQueryTransformer(TextClassifier):
    """A frozen sentence transformer whose tokens every label reads by a query of its own.

    The mean of all tokens, which :class:`~adathresh.models.FrozenTransformer` works on, says the same to all
    labels. Here label l attends to the tokens that its query finds (``LabelQueryHead``); with
    ``pooling="mean"`` it reads their mean, through a hidden layer that makes the head as large
    (``TokenMeanHead``), trained in the same way.

    The loss is binary cross-entropy, summed over labels and averaged over rows; the optimiser AdamW, its step
    size rising linearly over the first tenth of the steps and falling linearly to 0 after it. Training starts
    from the labels' log-odds. Rows with rare labels may come more often: max(1, √(t / f_l)) times for their
    rarest label l, which a share f_l of the rows has (repeat factor sampling, Gupta, Dollár and Girshick
    2019, "LVIS", arXiv:1908.03195), and what comes again comes without some of its tokens, drawn anew each
    time. Running is deterministic for one machine and seed. Encoder and head use a GPU if there is one.

    The states of all training tokens are held in memory, in half precision: 0.77 GB a million tokens of 384
    dimensions.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        As for :class:`~adathresh.models.SentenceEmbedder`.
    max_length : int, default=128
        Tokens of a text that are read, as for :class:`~adathresh.models.SentenceEmbedder`.
    pooling : {"queries", "mean"}, default="queries"
        What a label reads of a text.
    n_heads : int, default=4
        Parts of a query that attend apart; a divisor of the dimensions of a token. Not used by the mean.
    repeat_below : float, default=0.0
        Share t of the rows, in [0, 1], below which a label counts as rare. 0: every row comes once.
    token_dropout : float, default=0.1
        Share of the tokens, in [0, 1), that a repeated row comes without.
    max_epochs : int, default=5
        Passes over the training rows; at least 1.
    batch_size : int, default=128
        Rows a step; at least 1.
    learning_rate : float, default=1e-3
        Greatest step size; greater than 0.
    random_state : int, RandomState instance or None, default=None
        Of the head's start, the order of the rows, and what is repeated and left out.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Attributes
    ----------
    head_ : LabelQueryHead or TokenMeanHead
        The trained head.
    losses_ : numpy.ndarray of shape (n_steps,)
        Loss of each step.
    classes_ : numpy.ndarray
        Label numbers, or the two classes of a binary target.
    n_labels_ : int
        Number of labels; 1 for a binary target.
    n_features_in_ : int
        Number of dimensions of a token.

    Raises
    ------
    ImportError
        In ``fit``, if sentence-transformers is not installed.
    OSError
        In ``fit``, if the hub does not give the model.
    ValueError
        In ``fit``, for weights of another sha256, parameters outside their range, or a loss that becomes NaN
        or infinite.
    MemoryError
        In ``fit``, if the states of the training tokens take more memory than the machine has.

    Examples
    --------
    >>> texts, Y = ["fix the bug", "new paint job"], [[1, 0], [0, 1]]
    >>> LabelQueryTransformer(random_state=0).fit(texts, Y).predict(["a bug"]).shape  # doctest: +SKIP
    (1, 2)
    """

    _parameters = parameters(
        model=path(),
        max_length=whole(1),
        pooling=one_of("queries", "mean"),
        n_heads=whole(1),
        repeat_below=number(least=0, most=1),
        token_dropout=number(least=0, below=1),
        max_epochs=whole(1),
        batch_size=whole(1),
        learning_rate=number(above=0),
        random_state=seed(),
        verbose=verbosity(),
    )

    def __init__(
        self,
        model: str = MINILM,
        *,
        max_length: int = 128,
        pooling: str = "queries",
        n_heads: int = 4,
        repeat_below: float = 0.0,
        token_dropout: float = 0.1,
        max_epochs: int = 5,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.model = model
        self.max_length = max_length
        self.pooling = pooling
        self.n_heads = n_heads
        self.repeat_below = repeat_below
        self.token_dropout = token_dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(  # type: ignore[override]  # texts are not matrices
        self, X: Sequence[str], Y: MatrixLike
    ) -> "LabelQueryTransformer":
        """Encode the texts and train the head.

        Parameters
        ----------
        X : sequence of str
            Training texts.
        Y : array-like or sparse of shape (n_samples, n_labels), or of shape (n_samples,)
            Training labels, 0 or 1; or one binary target.

        Returns
        -------
        LabelQueryTransformer
            The fitted model.

        Raises
        ------
        ValueError
            If X is not a sequence of str, Y is not 0/1, their lengths differ, a parameter is out of range, or
            the loss becomes NaN or infinite.

        Examples
        --------
        >>> texts, Y = ["fix the bug", "new paint job"], [[1, 0], [0, 1]]
        >>> model = LabelQueryTransformer(max_epochs=1, random_state=0)
        >>> model.fit(texts, Y).losses_.shape  # doctest: +SKIP
        (1,)
        """
        check_parameters(self)
        texts = check_texts(X)
        Y = self._encode(Y, len(texts))
        read, random = self._reader(), int(check_random_state(self.random_state).randint(2**31))
        n_dimensions = read(texts[:1]).values.shape[1]
        head = self._new_head(n_dimensions, Y.shape[1], random)  # wrong sizes are found before the long work
        with torch.no_grad():
            head.bias.copy_(torch.from_numpy(log_odds(Y)))
        run = _Run(head.to(default_device()), read(texts), Y, seed=random, settings=self.get_params())
        run.run(verbose=self.verbose)
        self.head_ = head.cpu().eval()
        self.losses_ = np.array(run.losses)
        self.n_features_in_ = n_dimensions
        return self

    def __getstate__(self):
        state = super().__getstate__()
        if "head_" in state:
            weights = {name: weight.numpy() for name, weight in self.head_.state_dict().items()}
            state = state | {"head_": weights}
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "head_" in state:
            head = self._new_head(self.n_features_in_, self.n_labels_, 0)
            head.load_state_dict({name: torch.as_tensor(part) for name, part in state["head_"].items()})
            self.head_ = head.eval()

    def _new_head(self, n_dimensions, n_labels, random):
        """Return a head that has not been trained."""
        generator = torch.Generator().manual_seed(random)
        if self.pooling == "mean":
            return TokenMeanHead(n_dimensions, n_labels, generator=generator)
        return LabelQueryHead(n_dimensions, n_labels, n_heads=self.n_heads, generator=generator)

    def _reader(self):
        """Return a function that computes the states of the tokens of some texts."""
        encoder = load_encoder(model_folder(self.model), self.max_length)
        return partial(token_states, encoder, verbose=self.verbose)

    def _by_block(self, X, work):
        """Encode some texts after the others, and stack what a function returns for them."""
        check_is_fitted(self, "n_labels_")
        texts, read = check_texts(X), self._reader()
        starts = range(0, len(texts), _TEXTS_AT_ONCE)
        blocks = [work(read(texts[start : start + _TEXTS_AT_ONCE])) for start in starts]
        return sp.vstack(blocks, format="csr")

    def _scores(self, X, k):
        """Return the probabilities of all labels."""
        found = np.empty((len(X), self.n_labels_), dtype=np.float32)
        head, device = deepcopy(self.head_).to(default_device()), default_device()
        with torch.inference_mode():
            for rows in _of_similar_length(X.lengths, _TEXTS_A_BATCH):
                states, there = X.padded(rows)
                found[rows] = torch.sigmoid(head(states.to(device), there.to(device))).cpu().numpy()
        return found


class _Run(TrainingBySteps):
    """One training of a head: the rows of each step, and what a step does."""

    seeds_all = False

    def __init__(self, head, states, Y, *, seed, settings):
        optimizer = torch.optim.AdamW(head.parameters(), weight_decay=0.01)
        super().__init__("label queries", head, [optimizer], {})
        self.states, self.Y, self.seed, self.settings = states, Y, seed, settings
        self.times = repeat_factors(Y, settings["repeat_below"])
        self.rows_an_epoch = int(self.times.sum())
        self.steps_an_epoch = -(-self.rows_an_epoch // settings["batch_size"])
        self.epoch, self.batches = None, []

    @property
    def n_steps(self):
        """Return the number of steps of all epochs."""
        return self.settings["max_epochs"] * self.steps_an_epoch

    def take_step(self):
        """Take one optimizer step."""
        epoch, position = divmod(self.n_done, self.steps_an_epoch)
        if epoch != self.epoch:
            self.epoch, self.draw = epoch, np.random.default_rng([self.seed, epoch, 0])
            self.batches = self._batches()
        rows, again = self.batches[position]
        states, there = self.states.padded(rows)
        left_out = torch.from_numpy(self.draw.random(there.shape) < self.settings["token_dropout"])
        left_out[:, 0] = False  # the first token stands for the text, and one has to be there
        there &= ~(left_out & torch.from_numpy(again)[:, None])
        (optimizer,) = self.optimizers
        for group in optimizer.param_groups:
            group["lr"] = self.settings["learning_rate"] * share_of_rate(self.n_done, self.n_steps)
        device, targets = self.model.bias.device, torch.from_numpy(self.Y[rows].toarray())
        loss = label_loss(self.model(states.to(device), there.to(device)), targets.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        self.losses.append(self.check_loss(loss.item()))

    def _batches(self):
        """Draw the rows of an epoch's steps, and which of them have come before in it."""
        # systematic sampling: a row comes as often as its factor says, rounded up or down at random
        counts = np.diff(np.floor(np.cumsum(self.times) + self.draw.random()), prepend=0).astype(int)
        rows = np.repeat(np.arange(len(counts)), counts)
        again = np.r_[False, rows[1:] == rows[:-1]]
        kept = np.sort(self.draw.permutation(len(rows))[: self.rows_an_epoch])  # one row fewer, at most
        rows, again = rows[kept], again[kept]
        batches = batches_of_similar_length(
            self.states.lengths[rows], self.settings["batch_size"], seed=[self.seed, self.epoch, 1]
        )
        return [(rows[batch], again[batch]) for batch in batches]


def repeat_factors(Y: sp.csr_array, repeat_below: float) -> np.ndarray:
    """Say how often each row comes in an epoch: max(1, √(t / f_l)) for the rarest of its labels l.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels, 0 or 1.
    repeat_below : float
        The share t, in [0, 1]; f_l is the share of the rows with label l.

    Returns
    -------
    numpy.ndarray of shape (n_samples,)
        At least 1.

    Examples
    --------
    >>> Y = sp.csr_array([[1, 0], [1, 0], [1, 0], [1, 1]])
    >>> repeat_factors(Y, 1.0).tolist()
    [1.0, 1.0, 1.0, 2.0]
    """
    share = np.bincount(Y.indices, minlength=Y.shape[1]) / Y.shape[0]
    of_pair = np.sqrt(repeat_below / share[Y.indices])
    factors = np.ones(Y.shape[0])
    np.maximum.at(factors, np.repeat(np.arange(Y.shape[0]), np.diff(Y.indptr)), of_pair)
    return factors


def token_states(encoder: Any, texts: Sequence[str], *, verbose: bool = False) -> TokenStates:
    """Compute the states of the tokens of texts after an encoder's last layer.

    Parameters
    ----------
    encoder : sentence_transformers.SentenceTransformer
        The encoder, with its greatest length.
    texts : sequence of str
        The texts.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Returns
    -------
    TokenStates
        In the order of the texts.

    Raises
    ------
    MemoryError
        If they take more memory than the machine has.

    Examples
    --------
    >>> token_states(encoder, ["a text"]).lengths  # doctest: +SKIP
    array([4])
    """
    lengths, n_dimensions = token_counts(encoder, texts), encoder.get_embedding_dimension()
    ends = np.cumsum(lengths)
    check_memory(
        2 * ends[-1] * n_dimensions,
        f"States of {ends[-1]:,} tokens",
        "take fewer texts or a smaller max_length",
    )
    values = np.empty((ends[-1], n_dimensions), dtype=np.float16)
    encoder.eval()
    with tqdm(total=len(texts), desc="tokens", unit="text", disable=not verbose, leave=False) as bar:
        for rows in _of_similar_length(lengths, _TEXTS_A_BATCH):
            states, _ = hidden_states(encoder, [texts[row] for row in rows])
            for row, of_text in zip(rows, states[-1].to(torch.float16).cpu().numpy(), strict=True):
                values[ends[row] - lengths[row] : ends[row]] = of_text[: lengths[row]]
            bar.update(len(rows))
    return TokenStates(values, ends)


def _of_unit_entries(vectors):
    """Scale vectors to entries of about 1."""
    return functional.normalize(vectors, dim=-1) * vectors.shape[-1] ** 0.5


def _of_similar_length(lengths, size):
    """Part rows into batches of similar length, the shortest first."""
    order = np.argsort(lengths, kind="stable")
    return np.split(order, range(size, len(order), size))
