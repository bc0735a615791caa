"""Label sets that agree with a hierarchy: a label only together with all that is broader."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.sparse as sp

from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.utils.label_names import decode_label_names, encode_label_names, holds_label_names
from adathresh.utils.parameters import check_value, one_of
from adathresh.utils.types import Matrix, MatrixLike
from adathresh.utils.validation import check_labels, container_of, like_input, row_major_positions


def consistent_label_sets(
    label_sets: MatrixLike | Sequence[Sequence[str]],
    knowledge: LabelKnowledge,
    *,
    how: Literal["add", "remove"] = "add",
) -> Matrix | list[list[str]]:
    """Make label sets agree with a hierarchy, in which a label implies its parents.

    To add is right where a narrow label is trusted more than the lack of a broad one, to remove where the
    broad labels are the surer ones. Either changes what the rule has chosen for its target: added labels may
    cost precision, removed ones recall. The training labels should agree with the hierarchy, too; where they
    do not, neither will pay.

    Parameters
    ----------
    label_sets : array-like or sparse of shape (n_samples, n_labels), or lists of str
        Predicted labels, 0 or 1, or for each row their names, as ``predict_labels`` returns them.
    knowledge : LabelKnowledge
        The parents of each label; its labels in the order of the columns.
    how : {"add", "remove"}, default="add"
        Whether to add all ancestors of each label, or to remove each label that lacks one of them.

    Returns
    -------
    numpy.ndarray or sparse of shape (n_samples, n_labels), or list of list of str
        Label sets of the same kind, names in the order of ``knowledge``.

    Raises
    ------
    ValueError
        If knowledge is of another number of labels, or lacks a name, if how is none of these, or if the label
        sets are neither 0/1 nor names.
    TypeError
        If knowledge is no LabelKnowledge.

    Examples
    --------
    >>> knowledge = LabelKnowledge(["animal", "cat", "tabby"], parents={"cat": ["animal"], "tabby": ["cat"]})
    >>> consistent_label_sets([["tabby"], ["animal", "tabby"]], knowledge)
    [['animal', 'cat', 'tabby'], ['animal', 'cat', 'tabby']]
    >>> consistent_label_sets([["tabby"], ["animal", "tabby"]], knowledge, how="remove")
    [[], ['animal']]
    """
    check_value("how", how, one_of("add", "remove"))
    if not isinstance(knowledge, LabelKnowledge):
        raise TypeError(f"knowledge must be a LabelKnowledge; got a {type(knowledge).__name__}.")
    change = _with_ancestors if how == "add" else _without_orphans
    if holds_label_names(label_sets) or _are_empty_lists(label_sets):
        encoded, names = encode_label_names(
            label_sets, knowledge.names, argument="label_sets", source="knowledge"
        )
        return decode_label_names(change(encoded, knowledge.ancestor_matrix()), names)
    labels = check_labels(label_sets, name="label_sets")
    knowledge.check_n_labels(labels.shape[1], name="knowledge")
    return like_input(change(labels, knowledge.ancestor_matrix()), container_of(label_sets))


def _are_empty_lists(label_sets):
    """Say whether these are lists of names, none of which holds any."""
    return isinstance(label_sets, list) and all(isinstance(row, list) and not row for row in label_sets)


def _with_ancestors(labels, ancestors):
    """Add all ancestors of each label."""
    found = sp.csr_array(labels + labels @ ancestors)
    found.data[:] = 1
    found.sort_indices()
    return found


def _without_orphans(labels, ancestors):
    """Remove each label with an ancestor that the row has not."""
    n_samples, n_labels = labels.shape
    needed = ancestors[labels.indices]  # a line for each stored pair: products with all labels would be dense
    pair = np.repeat(np.arange(labels.nnz), np.diff(needed.indptr))
    row = np.repeat(np.arange(n_samples, dtype=np.int64), np.diff(labels.indptr))
    there = np.isin(row[pair] * n_labels + needed.indices, row_major_positions(labels))
    kept = np.ones(labels.nnz, dtype=bool)
    kept[pair[~there]] = False
    indptr = np.r_[0, np.cumsum(np.bincount(row[kept], minlength=n_samples))]
    return sp.csr_array((labels.data[kept], labels.indices[kept], indptr), shape=labels.shape)
