"""The run's data set as the models take it, a part of its rows, and what tells one from the other."""

import dataclasses
import hashlib
import json
import weakref

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler, normalize

from adathresh.datasets import load_dataset

# What rows_key has returned, for as long as the data set is there: hashing a large one takes a second.
_KEYS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
# Rows with more than this share of their features stored are measurements rather than bags of words.
_DENSE_FROM = 0.5


def prepare(config):
    """Load the run's data set with features scaled as the models take them.

    Measurements (most features stored in most rows) are standardised with the training rows' mean and
    standard deviation; bags of words are scaled to unit length. The fingerprint stays that of the data as
    published.
    """
    ds = load_dataset(config.dataset, data_dir=config.data_dir, progress=False)
    scale = normalize
    if ds.train.X.nnz >= _DENSE_FROM * np.prod(ds.train.X.shape):
        scaler = StandardScaler().fit(ds.train.X.toarray())

        def scale(X):
            return scaler.transform(X.toarray()).astype(np.float32)

    train, validation, test = (
        dataclasses.replace(rows, X=sp.csr_array(scale(rows.X))) for rows in ds.splits.values()
    )
    return dataclasses.replace(ds, train=train, validation=validation, test=test)


def all_texts(ds):
    """Return every text of a data set once, in the order of the rows."""
    return list(dict.fromkeys(text for rows in ds.splits.values() for text in rows.texts))


def subsample(ds, n_rows, *, seed):
    """Keep ``n_rows`` random training rows (all where there are fewer), and all validation and test rows."""
    if n_rows >= ds.train.X.shape[0]:
        return ds
    rows = np.sort(np.random.default_rng(seed).permutation(ds.train.X.shape[0])[:n_rows])
    return dataclasses.replace(ds, train=ds.train.take(rows))


def rows_key(ds):
    """Hash what a result depends on beyond the published matrices and texts, for the key of a stored result.

    SHA-256, in hexadecimal, over features and labels of all rows as they are here, perhaps fewer or split
    anew, their groups, texts and titles, and what is known of the labels.
    """
    if ds in _KEYS:
        return _KEYS[ds]
    digest = hashlib.sha256(json.dumps(ds.label_names).encode())
    if ds.label_knowledge is not None:
        known = ds.label_knowledge
        digest.update(json.dumps([known.names, known.synonyms, known.parents]).encode())
    for rows in ds.splits.values():
        for matrix in (rows.X, rows.Y):
            for part in (matrix.indptr, matrix.indices, matrix.data):
                digest.update(np.ascontiguousarray(part).data)
        groups = None if rows.groups is None else [str(group) for group in rows.groups]
        digest.update(json.dumps([rows.X.shape, rows.texts, rows.titles, groups]).encode())
    return _KEYS.setdefault(ds, digest.hexdigest())
