"""A sentence transformer of random weights for the tests of models of texts."""

import importlib.util

import pytest
import torch
from helpers import WORDS


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Save a BERT of 1 layer and 16 dimensions, of random weights, as a folder."""
    if not importlib.util.find_spec("transformers"):
        pytest.skip("transformers is not installed")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=128).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return str(folder)
