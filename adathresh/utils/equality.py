"""When rows and texts count as equal: by features, by text, or by the words of the text."""

import hashlib
import re
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from adathresh.utils.texts import check_text


def row_contents(X: np.ndarray | sp.csr_array) -> Iterator[bytes]:
    """Yield the content of each row as bytes, the same for rows with the same values in float32.

    Parameters
    ----------
    X : numpy.ndarray or scipy.sparse.csr_array of shape (n_samples, n_features)
        Features; sparse ones with sorted indices and without stored zeros. Bytes of a dense row and of a
        sparse one are not comparable.

    Yields
    ------
    bytes
        For each row; empty for a row without features.

    Examples
    --------
    >>> first, second = row_contents(np.array([[0.0, 1.0], [-0.0, 1.0]]))
    >>> first == second
    True
    """
    if isinstance(X, np.ndarray):
        for row in X:
            # adding 0 turns -0 into 0
            yield (row.astype(np.float32) + 0).tobytes() if row.any() else b""
        return
    indices, data = X.indices.astype(np.int64), X.data.astype(np.float32)
    for start, end in zip(X.indptr[:-1].tolist(), X.indptr[1:].tolist(), strict=True):
        yield indices[start:end].tobytes() + data[start:end].tobytes()


def folded(text: str) -> str:
    """Return a text in lower case and with single spaces, to compare texts up to case and white space.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        In lower case, with one space between the words.

    Examples
    --------
    >>> folded("Regulation (EC)   No 12")
    'regulation (ec) no 12'
    """
    return " ".join(text.lower().split())


def only_words(text: str) -> str:
    """Return the words of a text, to compare texts up to digits, punctuation and single letters.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Its runs of two or more letters in lower case, with a space between them: letters a to z, or of any
        script where those are the fewer.

    Raises
    ------
    ValueError
        If it is no text.

    Examples
    --------
    >>> only_words("Regulation (EC) No 12/2004 – Annex B")
    'regulation ec no annex'
    """
    check_text(text)
    text = text.lower()
    words = re.findall(r"[^\W\d_]{2,}", text)
    if text.isascii():
        return " ".join(words)
    # a stray foreign letter, often an error of encoding, does not make another word
    latin = re.findall("[a-z]{2,}", text)
    return " ".join(latin if 2 * sum(map(len, latin)) > sum(map(len, words)) else words)


def digest(content: bytes) -> int:
    """Return a 64-bit number in place of some bytes, to compare many of them in little memory.

    Parameters
    ----------
    content : bytes
        Any bytes.

    Returns
    -------
    int
        64 bits of their BLAKE2b hash. That any two of a million different contents share theirs has a
        probability of 3 in 10⁸.

    Examples
    --------
    >>> digest(b"red cat") == digest(b"red cat")
    True
    """
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
