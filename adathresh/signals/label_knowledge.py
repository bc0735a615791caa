"""What is known about labels apart from data: their names, synonyms, and place in a hierarchy."""

import dataclasses
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from adathresh.signals._skos import read_skos
from adathresh.utils.files import PathLike
from adathresh.utils.frames import columns_of
from adathresh.utils.parameters import check_value, flag
from adathresh.utils.parameters import path as a_path
from adathresh.utils.suggest import did_you_mean
from adathresh.utils.texts import check_text, check_texts

_UNNAMED = "Give an empty text for a label whose name is not known."


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class LabelKnowledge:
    """Names, synonyms and parents of labels, as a thesaurus has them.

    Parameters
    ----------
    names : sequence of str
        One name a label, in label order; an empty text where it is not known.
    synonyms : sequence of sequences of str, or mapping, optional
        Other names of each label; or of some labels, by their number or name. Empty ones, and those that a
        label already has, are left out. Two labels may share a synonym.
    parents : sequence of sequences of int or str, or mapping, optional
        The broader labels of each label, by number or name; or those of some labels, by their number or name.
    allow_repeated_names : bool, default=False
        Whether several labels may have the same name. Such labels are then told apart by number only.

    Attributes
    ----------
    names : tuple of str
        One name a label.
    synonyms : tuple of tuple of str
        Other names of each label.
    parents : tuple of tuple of int
        The numbers of the broader labels of each label.

    Raises
    ------
    ValueError
        If names or synonyms are no texts, or there are too few or too many of them; if a name is repeated;
        if a parent, or a key of a mapping, is no label or one of several of that name; or if a label is its
        own parent or ancestor.

    Examples
    --------
    >>> knowledge = LabelKnowledge(["aid", "state aid"], synonyms={"aid": ["help"]}, parents=[[], ["aid"]])
    >>> knowledge.phrases(), knowledge.parents
    ([('aid', 'help'), ('state aid',)], ((), (0,)))
    """

    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    parents: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        names: Sequence[str],
        *,
        synonyms: Sequence[Sequence[str]] | Mapping[int | str, Sequence[str]] | None = None,
        parents: Sequence[Sequence[int | str]] | Mapping[int | str, Sequence[int | str]] | None = None,
        allow_repeated_names: bool = False,
    ):
        check_value("allow_repeated_names", allow_repeated_names, flag())
        names = tuple(map(str, check_texts(names, name="names", advice=_UNNAMED)))
        numbers_of = _numbers_of(names)
        repeated = next((found for found in numbers_of.values() if len(found) > 1), None)
        if repeated and not allow_repeated_names:
            raise ValueError(
                f"names: labels {repeated[0]} and {repeated[1]} are both named {names[repeated[0]]!r}; give "
                "each its own name, or pass allow_repeated_names=True to tell them apart by number only."
            )
        find = _Finder(names, numbers_of)
        other_names = _one_list_a_label(synonyms, "synonyms", find)
        for label, own in enumerate(other_names):
            for synonym in own:
                if not isinstance(synonym, str):
                    raise ValueError(
                        f"synonyms of label {label} ({names[label]!r}) must be texts; found {synonym!r}."
                    )
        broader = [
            tuple(
                dict.fromkeys(find(parent, f"parents of label {label} ({names[label]!r})") for parent in own)
            )
            for label, own in enumerate(_one_list_a_label(parents, "parents", find))
        ]
        _refuse_cycles(broader, names)
        distinct = (
            dict.fromkeys(str(text) for text in own if text.strip() and text != name)
            for name, own in zip(names, other_names, strict=True)
        )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "synonyms", tuple(map(tuple, distinct)))
        object.__setattr__(self, "parents", tuple(broader))

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        names: str = "name",
        synonyms: str | None = None,
        parents: str | None = None,
        allow_repeated_names: bool = False,
    ) -> Self:
        """Take knowledge from a table with one row a label, such as a pandas data frame.

        Parameters
        ----------
        frame : pandas.DataFrame, or a mapping of columns
            The table, its rows in label order.
        names : str, default="name"
            The column of the names.
        synonyms, parents : str, optional
            Columns of lists; a missing value is an empty list.
        allow_repeated_names : bool, default=False
            Whether several labels may have the same name.

        Returns
        -------
        LabelKnowledge
            The knowledge.

        Raises
        ------
        ValueError
            If there is no such column, or a column does not hold what the constructor takes.

        Examples
        --------
        >>> LabelKnowledge.from_frame({"name": ["aid", "tax"], "other": [["help"], None]}, synonyms="other")
        LabelKnowledge(2 labels, 1 synonym, 0 parents)
        """
        columns = columns_of(frame)
        lists: list[list | None] = []
        for column in (names, synonyms, parents):
            if column is not None and column not in columns:
                mend = did_you_mean(str(column), map(str, columns))
                raise ValueError(f"frame has no column {column!r}; it has {columns!r}.{mend}")
            lists.append(None if column is None else list(frame[column]))
        given, other_names, broader = lists
        return cls(
            given or [],
            synonyms=other_names and [[] if _is_missing(cell) else cell for cell in other_names],
            parents=broader and [[] if _is_missing(cell) else cell for cell in broader],
            allow_repeated_names=allow_repeated_names,
        )

    @classmethod
    def from_skos(cls, path: PathLike, *, labels: Sequence[str] | None = None, language: str = "en") -> Self:
        """Read a thesaurus in SKOS: preferred labels, alternative labels and broader concepts.

        Where a broader concept is not among the labels, its own broader ones take its place. This needs
        rdflib: ``pip install "adathresh[skos]"``.

        Parameters
        ----------
        path : str or path-like
            A file of RDF in a format that its suffix tells, such as .rdf, .ttl, .nt or .jsonld.
        labels : sequence of str, optional
            The concept of each label, in label order, by its address, the end of its address, or its
            notation, else by its name; by default all concepts, sorted by address.
        language : str, default="en"
            Language of the names ("en" takes "en-GB", too); names without a language serve in its place. A
            concept without either has an empty name.

        Returns
        -------
        LabelKnowledge
            The knowledge; names may be repeated.

        Raises
        ------
        ImportError
            If rdflib is not installed.
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file cannot be read or holds no concepts, if a label is no concept, one of several, or
            repeated, or if a concept is broader than itself.

        Examples
        --------
        >>> LabelKnowledge.from_skos("eurovoc.rdf", labels=["3", "4"])  # doctest: +SKIP
        LabelKnowledge(2 labels, 2 synonyms, 0 parents)
        """
        check_value("path", path, a_path())
        check_text(language, name="language")
        return cls(**read_skos(Path(path), labels, language), allow_repeated_names=True)

    @property
    def n_labels(self) -> int:
        """Return the number of labels.

        Returns
        -------
        int
            At least 1.
        """
        return len(self.names)

    def phrases(self) -> list[tuple[str, ...]]:
        """Return what may stand for each label in a text: its name and its synonyms.

        Returns
        -------
        list of tuple of str
            For each label its name, where it is known, and its synonyms.
        """
        return [
            (name, *other) if name.strip() else other
            for name, other in zip(self.names, self.synonyms, strict=True)
        ]

    def texts(self) -> list[str]:
        """Return one text a label.

        Returns
        -------
        list of str
            Name and synonyms, with a comma between them; empty where neither is known.
        """
        return [", ".join(phrases) for phrases in self.phrases()]

    def parent_matrix(self) -> sp.csr_array:
        """Return the parents of each label as a matrix.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_labels, n_labels)
            1 where the label of the column is a parent of that of the row, float32.
        """
        return _indicator(self.parents)

    def ancestor_matrix(self) -> sp.csr_array:
        """Return parents, their parents, and so on, as a matrix.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_labels, n_labels)
            1 where the label of the column is an ancestor of that of the row, float32.
        """
        above: dict[int, set[int]] = {}
        for label in _parents_first(self.parents):
            own = self.parents[label]
            above[label] = set(own).union(*(above[parent] for parent in own))
        return _indicator([above[label] for label in range(self.n_labels)])

    def check_n_labels(self, n_labels: int, *, name: str = "label_knowledge") -> None:
        """Refuse to be used with labels of another number.

        Parameters
        ----------
        n_labels : int
            Number of columns of the label matrix.
        name : str, default="label_knowledge"
            How the argument is called in the error message.

        Raises
        ------
        ValueError
            If there is knowledge of more or fewer labels.
        """
        if n_labels != self.n_labels:
            raise ValueError(
                f"{name} knows {self.n_labels} labels, but there are {n_labels}; give one name a label, in "
                "the order of the columns, and an empty text where it is not known."
            )

    def __repr__(self) -> str:
        counts = {
            "label": self.n_labels,
            "synonym": sum(map(len, self.synonyms)),
            "parent": sum(map(len, self.parents)),
        }
        shown = (f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
        return f"LabelKnowledge({', '.join(shown)})"


class _Finder:
    """Labels by number or name."""

    def __init__(self, names, numbers_of):
        self.names, self.numbers_of = names, numbers_of

    def __call__(self, label, where):
        """Return the number of a label; ``where`` begins the error message."""
        if isinstance(label, numbers.Integral) and not isinstance(label, bool | np.bool_):
            if 0 <= label < len(self.names):
                return int(label)
            raise ValueError(f"{where}: there is no label {label}; the last one is {len(self.names) - 1}.")
        if not isinstance(label, str):
            raise ValueError(f"{where}: give labels by number or name; found {label!r}.")
        found = self.numbers_of.get(label, ())
        if not found:
            raise ValueError(
                f"{where}: no label is named {label!r}.{did_you_mean(label, self.numbers_of)} "
                "Leave out what is no label."
            )
        if len(found) > 1:
            raise ValueError(
                f"{where}: labels {found[0]} and {found[1]} are both named {label!r}; give the number."
            )
        return found[0]


def _numbers_of(names):
    """Return the labels of each name that is known."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name.strip():
            found.setdefault(name, []).append(number)
    return found


def _one_list_a_label(given, what, find):
    """Return a list for each label, from one list a label or from a mapping of some labels to lists."""
    n_labels = len(find.names)
    lists: list[list] = [[] for _ in range(n_labels)]
    if given is None:
        return lists
    if isinstance(given, Mapping):
        items = [(find(key, what), value) for key, value in given.items()]
    else:
        given = _as_list(given, what)
        if len(given) != n_labels:
            raise ValueError(
                f"{what} holds {len(given)} lists, but names has {n_labels}; give one list a label, an empty "
                "one where there is nothing to say."
            )
        items = list(enumerate(given))
    for label, value in items:
        lists[label] += _as_list(value, f"{what} of label {label} ({find.names[label]!r})")
    return lists


def _as_list(value, what):
    """Return an ordered collection as a list; a text is none."""
    if not isinstance(value, str | bytes | Mapping | set | frozenset) and isinstance(value, Iterable):
        return list(value)
    single = isinstance(value, str | numbers.Integral)
    mend = "put a single one into a list" if single else "give an empty one where there is nothing to say"
    raise ValueError(f"{what} must be a list; got {value!r:.60}: {mend}.")


def _is_missing(cell):
    """Say whether a cell of a table is empty, in the ways of pandas: None, NaN or NA."""
    return cell is None or type(cell).__name__ == "NAType" or (isinstance(cell, float) and cell != cell)


def _refuse_cycles(parents, names):
    """Raise an error that names a label which is its own ancestor, and the way there."""
    for label, own in enumerate(parents):
        if label in own:
            raise ValueError(f"parents: label {label} ({names[label]!r}) is its own parent; leave that out.")
    ordered = set(_parents_first(parents))
    if len(ordered) == len(parents):
        return
    # Each label that has no place in the order has a parent without one: that way leads around.
    label = next(label for label in range(len(parents)) if label not in ordered)
    path: list[int] = []
    while label not in path:
        path.append(label)
        label = next(parent for parent in parents[label] if parent not in ordered)
    cycle = [*path[path.index(label) :], label]
    shown = " → ".join(f"{number} ({names[number]!r})" for number in cycle)
    raise ValueError(f"parents go around in a cycle: {shown}; leave one of these links out.")


def _parents_first(parents):
    """Return the labels so that parents come before children, without those in or below a cycle."""
    children: dict[int, list[int]] = {}
    for label, own in enumerate(parents):
        for parent in own:
            children.setdefault(parent, []).append(label)
    missing = [len(own) for own in parents]
    order = [label for label, number in enumerate(missing) if not number]
    for label in order:  # grows on the way
        for child in children.get(label, ()):
            missing[child] -= 1
            if not missing[child]:
                order.append(child)
    return order


def _indicator(lists):
    """Return a 0/1 matrix with ones in the columns that each row lists."""
    indptr = np.cumsum([0, *map(len, lists)])
    indices = np.array([column for row in lists for column in sorted(row)], dtype=np.int32)
    ones = np.ones(len(indices), dtype=np.float32)
    return sp.csr_array((ones, indices, indptr), shape=(len(lists), len(lists)))
