"""Label queries: which tokens a label reads, what is repeated, and the estimator around both."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import WORDS, make_texts
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from adathresh import AdaptiveThresholdClassifier, load, save
from adathresh.metrics import precision_at_k
from adathresh.models import _encoder, label_queries
from adathresh.models.label_queries import (
    LabelQueryHead,
    LabelQueryTransformer,
    TokenMeanHead,
    TokenStates,
    repeat_factors,
    token_states,
)

POOLINGS = ("queries", "mean")


@pytest.fixture
def states():
    draw = np.random.default_rng(0)
    return TokenStates(draw.normal(size=(9, 8)).astype(np.float16), np.array([2, 5, 9]))


def quick(model, **options):
    """A training of few steps; an untrained encoder tells words apart well enough."""
    options = {"max_length": 16, "max_epochs": 30, "learning_rate": 0.03, "batch_size": 16} | options
    return LabelQueryTransformer(model, random_state=options.pop("random_state", 0), **options)


@pytest.fixture(scope="module", params=POOLINGS)
def fitted(request, tiny):
    return quick(tiny, pooling=request.param).fit(*make_texts())


def drawn_head(kind, n_labels=3, **options):
    """A head with weights that are not 0."""
    head = kind(8, n_labels, generator=torch.Generator().manual_seed(0), **options)
    with torch.no_grad():
        for part in (head.weight, head.bias):
            part.copy_(torch.randn(part.shape, generator=torch.Generator().manual_seed(1)))
    return head


# The heads


@pytest.mark.parametrize("n_heads", [1, 2, 4])  # the cheaper order of products is another one with few
def test_logits_of_queries_are_those_of_the_formula(states, n_heads):
    head, size = drawn_head(LabelQueryHead, n_heads=n_heads), 8 // n_heads
    found = head(*states.padded([0, 1, 2])).detach().numpy()
    query, key, value, weight, bias = (part.detach().double().numpy() for part in head.parameters())
    for row in range(3):
        s = states.take([row]).values.astype(float)
        s *= np.sqrt(8) / np.linalg.norm(s, axis=1, keepdims=True)
        for label in range(3):
            logit = bias[label]
            for h in range(n_heads):
                part = slice(size * h, size * (h + 1))
                match = np.exp(s @ key.T[:, part] @ query[label, part] / np.sqrt(size))
                logit += match / match.sum() @ (s @ value.T[:, part] @ weight[label, part])
            assert found[row, label] == pytest.approx(logit, abs=1e-4)


def test_logits_of_the_mean_are_those_of_the_formula(states):
    head = drawn_head(TokenMeanHead)
    found = head(*states.padded([0, 1, 2])).detach().numpy()
    hidden, hidden_bias, weight, bias = (part.detach().double().numpy() for part in head.parameters())
    for row in range(3):
        mean = states.take([row]).values.astype(float).mean(axis=0)
        x = mean * np.sqrt(8) / np.linalg.norm(mean)
        expected = np.maximum(hidden @ x + hidden_bias, 0) @ weight.T + bias
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


@pytest.mark.parametrize("kind", [LabelQueryHead, TokenMeanHead])
def test_tokens_that_are_not_there_change_nothing(states, kind):
    head = drawn_head(kind)
    together = head(*states.padded([0, 1, 2]))
    alone = torch.cat([head(*states.padded([row])) for row in range(3)])
    torch.testing.assert_close(together, alone)
    padded, there = states.padded([0, 1, 2])
    torch.testing.assert_close(head(padded + 5.0 * ~there[:, :, None], there), together)


def test_both_heads_are_of_one_size():
    sizes = [
        sum(part.numel() for part in kind(384, 28).parameters()) for kind in (LabelQueryHead, TokenMeanHead)
    ]
    assert sizes[1] - sizes[0] == 2 * 384  # the biases of the hidden layer


def test_attention_is_shared_by_the_tokens_that_are_there(states):
    padded, there = states.padded([0, 2])
    attention = drawn_head(LabelQueryHead).attention(padded, there)
    assert attention.shape == (2, 4, 3, 4)
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(2, 4, 3))
    assert (attention[0, :, :, 2:] == 0).all()


def test_heads_that_do_not_divide_the_dimensions_are_refused_before_all_texts_are_read(tiny, monkeypatch):
    read = []
    monkeypatch.setattr(
        label_queries, "token_states", lambda encoder, texts, **_: (read.append(len(texts)), one_state())[1]
    )
    with pytest.raises(ValueError, match=r"n_heads must divide the 16 dimensions of a token; got 3\."):
        quick(tiny, n_heads=3).fit(*make_texts())
    assert read == [1]


def one_state():
    """The states of one text of one token."""
    return TokenStates(np.ones((1, 16), np.float16), np.array([1]))


# The states


def test_states_are_those_of_the_last_layer(tiny):
    encoder = _encoder.load_encoder(tiny, 5)
    texts = ["cat", "red cat sits on", "dog sleeps"]
    found = token_states(encoder, texts)
    assert found.lengths.tolist() == [3, 5, 4]
    assert (found.values.dtype, len(found)) == (np.float16, 3)
    for row, text in enumerate(texts):
        expected = encoder.encode([text], output_value="token_embeddings")[0]
        np.testing.assert_allclose(found.take([row]).values, expected, atol=2e-3)


def test_rows_can_be_taken_in_any_order(states):
    some = states.take([2, 0, 2])
    assert some.lengths.tolist() == [4, 2, 4]
    np.testing.assert_array_equal(some.values, states.values[[5, 6, 7, 8, 0, 1, 5, 6, 7, 8]])
    padded, there = some.padded([1, 0])
    np.testing.assert_array_equal(padded[0, :2], states.values[:2].astype(np.float32))
    assert (padded[0, 2:] == 0).all()
    assert there.sum(dim=1).tolist() == [2, 4]
    assert len(states.take([])) == 0


def test_more_states_than_the_machine_has_memory_for(tiny, monkeypatch):
    monkeypatch.setattr("adathresh.utils.memory.machine_memory", lambda: 1_000)
    message = r"States of 420 tokens would take .*; take fewer texts or a smaller max_length\."
    with pytest.raises(MemoryError, match=message):
        quick(tiny).fit(*make_texts())


# What is repeated


def test_a_row_comes_as_often_as_its_rarest_label_says():
    Y = sp.csr_array(np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]]))
    expected = np.array([1, np.sqrt(0.5 / 0.4), np.sqrt(0.5 / 0.4), np.sqrt(0.5 / 0.2), 1])
    np.testing.assert_allclose(repeat_factors(Y, 0.5), expected)
    np.testing.assert_array_equal(repeat_factors(Y, 0.0), np.ones(5))


def run(states, Y, **settings):
    """A training that has not begun."""
    settings = {
        "batch_size": 16,
        "max_epochs": 2,
        "learning_rate": 0.1,
        "repeat_below": 0.0,
        "token_dropout": 0.1,
    } | settings
    return label_queries._Run(
        LabelQueryHead(4, Y.shape[1], n_heads=1), states, sp.csr_array(Y), seed=0, settings=settings
    )


@pytest.fixture
def many():
    """A hundred texts of four tokens, five of them with a rare label."""
    Y = np.zeros((100, 2), dtype=np.float32)
    Y[:, 0], Y[:5, 1] = 1, 1
    return TokenStates(np.ones((400, 4), np.float16), np.arange(4, 401, 4)), Y


def test_rows_of_a_rare_label_come_more_often(many):
    training = run(*many, repeat_below=0.2)  # √(0.2 / 0.05) = 2 times
    for epoch in range(2):
        training.epoch, training.draw = epoch, np.random.default_rng(epoch)
        batches = training._batches()
        rows, again = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        assert len(batches) == training.steps_an_epoch == 7
        assert np.bincount(rows).tolist() == [2] * 5 + [1] * 95
        assert sorted(rows[again]) == [0, 1, 2, 3, 4]


def test_only_what_comes_again_loses_tokens(many, monkeypatch):
    training = run(*many, repeat_below=0.2, token_dropout=0.5, max_epochs=20)
    seen = []
    forward = training.model.forward
    monkeypatch.setattr(
        training.model, "forward", lambda states, there: (seen.append(there), forward(states, there))[1]
    )
    training.run()
    kept = torch.cat(seen)
    assert kept[:, 0].all()
    short = (~kept).any(dim=1).sum().item()
    assert 50 < short <= 100  # of 5 rows in 20 epochs, seven of eight lose one
    assert (~kept).sum().item() == pytest.approx(150, abs=30)


def test_without_repetition_every_row_comes_once_and_whole(many):
    training = run(*many)
    training.epoch, training.draw = 0, np.random.default_rng(0)
    rows, again = (np.concatenate(parts) for parts in zip(*training._batches(), strict=True))
    assert sorted(rows) == list(range(100))
    assert not again.any()


# The estimator


def test_it_learns_what_words_mean(fitted):
    texts, Y = make_texts(seed=1)
    assert precision_at_k(Y, fitted.top_scores(texts, k=1), 1) > 0.8
    assert len(fitted.losses_) == 120
    assert np.mean(fitted.losses_[-10:]) < 0.6 * np.mean(fitted.losses_[:10])


def test_training_starts_from_the_log_odds(tiny):
    texts, Y = make_texts()
    model = quick(tiny, max_epochs=1, learning_rate=1e-12).fit(texts, Y)
    expected = (Y.sum(axis=0) + 0.5) / (len(Y) + 1)
    scores = model.top_scores(texts, k=6).toarray()
    np.testing.assert_allclose(scores, np.tile(expected, (60, 1)), atol=1e-5)


def test_scores_do_not_depend_on_the_rows_beside(fitted, monkeypatch):
    texts, _ = make_texts(seed=1)
    texts[3], texts[4] = "cat", " ".join(WORDS)
    together = fitted.top_scores(texts, k=6).toarray()
    alone = np.concatenate([fitted.top_scores([text], k=6).toarray() for text in texts[:6]])
    np.testing.assert_allclose(together[:6], alone, atol=2e-3)
    monkeypatch.setattr(label_queries, "_TEXTS_AT_ONCE", 7)
    np.testing.assert_allclose(fitted.top_scores(texts, k=6).toarray(), together, atol=2e-3)


def test_seeds_repeat_and_differ_and_leave_torch_alone(tiny):
    data, state = make_texts(), torch.random.get_rng_state()
    models = [quick(tiny, max_epochs=2, random_state=seed, repeat_below=0.5).fit(*data) for seed in (0, 0, 1)]
    first, same, other = (model.top_scores(data[0], k=6).toarray() for model in models)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    texts, _ = make_texts(seed=1)
    path = tmp_path / "model.safetensors"
    save(fitted, path)
    loaded = load(path)
    np.testing.assert_array_equal(
        loaded.top_scores(texts, k=6).toarray(), fitted.top_scores(texts, k=6).toarray()
    )
    assert repr(loaded) == repr(fitted)


def test_it_is_the_estimator_of_adaptive_thresholds(tiny):
    texts, Y = make_texts()
    clf = AdaptiveThresholdClassifier(quick(tiny, max_epochs=3), random_state=0)
    clf.fit(texts, Y, label_features=WORDS[:6])
    assert clf.predict(texts).shape == Y.shape


def test_training_and_scores_are_computed_on_the_default_device(fitted, tiny, monkeypatch):
    """The device "meta" computes no values, and refuses to mix with tensors of another device."""
    monkeypatch.setattr(label_queries, "default_device", lambda: "meta")
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
        quick(tiny, pooling=fitted.pooling).fit(*make_texts())
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        fitted.predict(["red cat"])
    assert {part.device.type for part in fitted.head_.parameters()} == {"cpu"}


def test_a_binary_target(tiny):
    texts, Y = make_texts()
    model = quick(tiny).fit(texts, np.where(Y[:, 0], "red", "not red"))
    assert set(model.predict(texts)) <= {"red", "not red"}


@pytest.mark.parametrize(
    ("X", "message"), [(np.eye(3), "a sequence of str"), (["one"], r"Y has 3 rows but 1")]
)
def test_wrong_texts(X, message):
    with pytest.raises(ValueError, match=message):
        LabelQueryTransformer().fit(X, [[1, 0], [0, 1], [1, 1]])


def test_not_fitted():
    with pytest.raises(NotFittedError):
        clone(LabelQueryTransformer()).top_scores(["a text"])


def test_a_diverging_training_says_what_to_do(tiny):
    with pytest.raises(ValueError, match=r"label queries diverged .*; lower the learning rate"):
        quick(tiny, learning_rate=1e30).fit(*make_texts())
