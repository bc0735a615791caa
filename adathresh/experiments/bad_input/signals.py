"""Bad input of signals and of what is known of labels."""

from adathresh import signals
from adathresh.experiments.bad_input import estimator, function, method, used
from adathresh.experiments.bad_input import values as v

KNOWLEDGE = signals.LabelKnowledge(v.NAMES, parents={"cow": ["cat"]})
SKOS = """\
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<http://a.org/1> a skos:Concept ; skos:prefLabel "cat"@en .
<http://a.org/2> a skos:Concept ; skos:prefLabel "dog"@en ; skos:broader <http://a.org/1> .
"""
PARAMETERS = {
    "epsilon": {"0": 0.0},
    "n_neighbors": v.whole(),
    "weights": {"another one": "uniform"},
    "temperature": {"0": 0.0},
    "search": {"another one": "fast"},
    "n_labels_per_row": v.whole(),
    "min_similarity": {"a text": "0.05"},
    "smoothing": {"negative": -1.0},
    "max_count": v.whole(),
    "knowledge": {"a list": v.NAMES, "of fewer labels": signals.LabelKnowledge(v.NAMES[:2])},
    "n_jobs": {"0": 0},
    "verbose": v.FLAG,
}


def calls(folder):
    """Return the calls of this room."""
    given = {"Y": v.Y}
    wrong = {"Y": v.labels(rows=False, width=False) | {"no rows": v.Y[:0]}, "sample_weight": v.weights()}
    found = estimator(signals.LabelIDF(), given, wrong, parameters=PARAMETERS)
    return [*found, *_neighbors(), *_blocks(), *_context(), *_texts(), *_knowledge(folder)]


def _neighbors():
    """Return the calls of signals of features."""
    given = {"X": v.X, "Y": v.Y}
    wrong = {"X": v.features(), "Y": v.labels(width=False), "groups": v.groups()}
    fitted = signals.NeighborLabels().fit(**given)
    new = v.features(width=True)
    affinity = signals.LabelAffinity().fit(v.X[:3])
    return [
        *estimator(signals.NeighborLabels(), given, wrong, parameters=PARAMETERS),
        *method(signals.NeighborLabels(), "fit_transform", given, wrong),
        *used(fitted, ["transform"], {"X": v.X}, {"X": new}),
        *used(fitted, ["kneighbors"], {"X": v.X}, {"X": {k: x for k, x in new.items() if k != "None"}}),
        *used(
            fitted,
            ["nearest"],
            {"x": v.X[:1], "label": 0},
            {
                "x": v.row_of_features(),
                "label": {"not there": 3, "negative": -1, "a text": "cat"},
            },
        ),
        *estimator(
            signals.LabelAffinity(),
            {"label_features": v.X[:3]},
            {"label_features": v.features()},
            parameters=PARAMETERS,
        ),
        *used(affinity, ["transform"], {"X": v.X}, {"X": new}),
    ]


def _blocks():
    """Return the calls of what takes several blocks of features."""
    blocks = {"words": v.X, "sensor": v.X[:, :2]}
    wrong = {
        f"a block with {words}": {**blocks, "sensor": bad} for words, bad in v.features(rows=True).items()
    }
    wrong |= {"a matrix": v.X, "no blocks": {}, "a number as a name": {1: v.X}}
    weights = {
        "a negative one": {"words": 1, "sensor": -1},
        "all 0": {"words": 0, "sensor": 0},
        "for another name": {"words": 1, "sensors": 1},
        "a block too few": {"words": 1},
        "a list": [1, 2],
    }
    of_new = {words: bad for words, bad in wrong.items() if words != "a block with None"}  # missing
    of_new |= {
        "a block with a feature too few": {**blocks, "sensor": v.X[:, :1]},
        "an unknown block": {"word": v.X},
        "all blocks missing": {"words": None},
    }
    made = signals.FeatureBlocks()
    return [
        *estimator(made, {"blocks": blocks}, {"blocks": wrong}, parameters={"weights": weights}),
        *method(made, "fit_transform", {"blocks": blocks}, {"blocks": wrong}),
        *used(made.fit(blocks), ["transform"], {"blocks": blocks}, {"blocks": of_new}),
        *function(
            signals.greedy_block_weights,
            {"blocks": blocks, "Y": v.Y},
            {
                "blocks": wrong,
                "Y": v.labels(width=False),
                "groups": v.groups(),
                "neighbors": v.OBJECT | {"a class": signals.NeighborLabels},
                "start": {
                    "a negative one": {"words": -1},
                    "a fraction": {"words": 0.5},
                    "a list": [1, 1],
                    "an unknown block": {"word": 1},
                },
                "max_steps": v.whole(),
            },
        ),
    ]


def _context():
    """Return the calls of the signal of a row's surroundings."""
    given = {"X": v.X, "groups": v.FOLDS}
    groups = v.groups() | {"None": None}
    return [
        *estimator(
            signals.GroupContext(), {"X": v.X}, {"X": v.features()}, parameters={"include_self": v.FLAG}
        ),
        *method(signals.GroupContext(), "fit_transform", given, {"X": v.features(), "groups": groups}),
        *used(
            signals.GroupContext().fit(v.X),
            ["transform"],
            given,
            {"X": v.features(width=True), "groups": groups},
        ),
    ]


def _texts():
    """Return the calls of signals of texts."""
    made = signals.LabelMentions(KNOWLEDGE)
    given = {"texts": v.TEXTS, "Y": v.Y}
    wrong = {"texts": v.texts(), "Y": v.labels(width=False)}
    folds = v.groups() | {"one": 0 * v.FOLDS, "texts": v.FOLDS.astype(str)}
    return [
        *estimator(made, given, wrong, parameters=PARAMETERS),
        *method(made, "fit_transform", given | {"folds": v.FOLDS}, wrong | {"folds": folds}),
        *used(
            signals.LabelMentions(KNOWLEDGE).fit(**given),
            ["transform"],
            {"texts": v.TEXTS},
            {"texts": v.texts()},
        ),
        *function(signals.PhraseMatcher, {"phrases": v.NAMES}, {"phrases": v.texts()}),
        *(
            call
            for name in ("count", "find")
            for call in method(signals.PhraseMatcher(v.NAMES), name, {"texts": v.TEXTS}, {"texts": v.texts()})
        ),
        *function(
            signals.count_phrases,
            {"texts": v.TEXTS, "phrases": v.NAMES},
            {"texts": v.texts(), "phrases": v.texts()},
        ),
        *function(
            signals.folded_words, {"text": "red cats"}, {"text": {"None": None, "a list": ["red cats"]}}
        ),
    ]


def _knowledge(folder):
    """Return the calls of what is known of labels."""
    thesaurus, damaged, empty = (folder / name for name in ("labels.ttl", "damaged.ttl", "empty.ttl"))
    thesaurus.write_text(SKOS, encoding="utf-8")
    damaged.write_text("<http://a.org/1> a", encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    lists = {"a text": "kitten", "too few": [["kitten"]], "no lists": [1, 2, 3]}
    parents = {
        "no label": [[], ["cats"], []],
        "a number that is no label": [[], [7], []],
        "itself": {"cat": ["cat"]},
        "a cycle": {"cat": ["dog"], "dog": ["cat"]},
    }
    frame = {"name": v.NAMES, "other": [["kitten"], None, []], "above": [[], ["cat"], None]}
    column = {"not there": "nam"}
    return [
        *function(
            signals.LabelKnowledge,
            {"names": v.NAMES},
            {
                "names": v.names() | {"repeated": ["cat", "cat", "dog"]},
                "synonyms": lists | {"of no label": {"cats": ["kitten"]}, "a number": [[1], [], []]},
                "parents": {"a text": "cat"} | parents,
                "allow_repeated_names": v.FLAG,
            },
        ),
        *method(
            KNOWLEDGE,
            "check_n_labels",
            {"n_labels": 3, "name": "n_labels"},
            {"n_labels": {"another number": 4}},
        ),
        *method(
            KNOWLEDGE,
            "from_frame",
            {"frame": frame},
            {
                "frame": {
                    "no table": 5,
                    "without names": {"title": v.NAMES},
                    "names that are none": {"name": [1, 2]},
                },
                "names": column,
                "synonyms": column | {"of numbers": "name"},
                "parents": column | {"of texts": "name"},
                "allow_repeated_names": v.FLAG,
            },
        ),
        *method(
            KNOWLEDGE,
            "from_skos",
            {"path": thesaurus},
            {
                "path": v.PATH
                | {"not there": folder / "none.ttl", "damaged": damaged, "without concepts": empty},
                "labels": {"a text": "cat", "no concept": ["1", "cats"], "one twice": ["1", "cat"]},
                "language": {"a number": 5},
            },
        ),
    ]
