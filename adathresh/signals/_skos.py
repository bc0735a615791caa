"""Thesauri in SKOS: concepts with preferred and alternative labels, and broader concepts."""

from collections.abc import Sequence
from pathlib import Path

from adathresh.utils.suggest import did_you_mean
from adathresh.utils.texts import check_texts


def read_skos(path: Path, labels: Sequence[str] | None, language: str) -> dict[str, list]:
    """Return the names, synonyms and parents that a file holds, by the names of their arguments."""
    try:
        import rdflib
        from rdflib.namespace import RDF, SKOS
        from rdflib.util import guess_format
    except ImportError as error:
        raise ImportError('from_skos needs rdflib: pip install "adathresh[skos]"') from error
    if labels is not None:
        labels = check_texts(labels, name="labels", advice="Name one concept a label.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    graph = rdflib.Graph()
    try:
        graph.parse(str(path), format=guess_format(path.name) or "xml")
    except Exception as error:  # each parser has errors of its own
        raise ValueError(f"{path} cannot be read as RDF: {error}") from error
    concepts = set(graph.subjects(RDF.type, SKOS.Concept))
    if not concepts:
        raise ValueError(f"{path} holds no SKOS concepts.")

    def literals(concept, predicate):
        values = graph.objects(concept, predicate)
        found = sorted((str(value), getattr(value, "language", None) or "") for value in values)
        own = [text for text, tag in found if f"{tag}-".lower().startswith(f"{language}-".lower())]
        return own or [text for text, tag in found if not tag]

    name_of = {concept: next(iter(literals(concept, SKOS.prefLabel)), "") for concept in concepts}
    if labels is None:
        chosen = sorted(concepts, key=str)
    else:
        notations = {concept: map(str, graph.objects(concept, SKOS.notation)) for concept in concepts}
        chosen = _chosen(name_of, notations, labels, path)
    number_of = {concept: number for number, concept in enumerate(chosen)}

    def broader(concept):
        return {*graph.objects(concept, SKOS.broader), *graph.subjects(SKOS.narrower, concept)}

    def parents(concept):
        found, seen, waiting = set(), set(), list(broader(concept))
        while waiting:
            above = waiting.pop()
            if above in number_of:
                found.add(number_of[above])
            elif above not in seen:
                seen.add(above)
                waiting += broader(above)
        return sorted(found)

    return {
        "names": [name_of[concept] for concept in chosen],
        "synonyms": [literals(concept, SKOS.altLabel) for concept in chosen],
        "parents": [parents(concept) for concept in chosen],
    }


def _chosen(name_of, notations, labels, path):
    """Find the concept of each label by its address, the end of it, or its notation, else by its name."""
    by_key: dict[str, set] = {}
    by_name: dict[str, set] = {}
    for concept, name in name_of.items():
        address = str(concept)
        for key in (address, address.replace("#", "/").rpartition("/")[2], *notations[concept]):
            by_key.setdefault(key, set()).add(concept)
        by_name.setdefault(name, set()).add(concept)
    chosen: dict = {}
    for number, label in enumerate(labels):
        found = sorted(by_key.get(label) or (by_name.get(label, ()) if label else ()), key=str)
        if not found:
            mend = did_you_mean(label, [*by_key, *by_name])
            raise ValueError(f"labels: {path} holds no concept {label!r} (label {number}).{mend}")
        if len(found) > 1:
            raise ValueError(
                f"labels: {label!r} (label {number}) may be {found[0]} or {found[1]}; give the whole address."
            )
        if found[0] in chosen:
            raise ValueError(f"labels: labels {chosen[found[0]]} and {number} are both {found[0]}.")
        chosen[found[0]] = number
    return list(chosen)
