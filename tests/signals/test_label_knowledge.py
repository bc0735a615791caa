import copy
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adathresh
from adathresh.signals.label_knowledge import LabelKnowledge

NAMES = ["aid", "state aid", "", "tax"]


def test_what_is_known_by_hand():
    knowledge = LabelKnowledge(
        NAMES,
        synonyms=[["help", "support"], [], ["levy"], []],
        parents=[[], ["aid"], [3, "aid"], ["state aid"]],
    )
    assert knowledge.n_labels == 4
    assert knowledge.names == tuple(NAMES)
    assert knowledge.synonyms == (("help", "support"), (), ("levy",), ())
    assert knowledge.parents == ((), (0,), (3, 0), (1,))
    assert knowledge.phrases() == [("aid", "help", "support"), ("state aid",), ("levy",), ("tax",)]
    assert knowledge.texts() == ["aid, help, support", "state aid", "levy", "tax"]
    assert knowledge.parent_matrix().toarray().tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 1],
        [0, 1, 0, 0],
    ]
    assert knowledge.ancestor_matrix().toarray().tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 1, 0, 1],
        [1, 1, 0, 0],
    ]
    assert repr(knowledge) == "LabelKnowledge(4 labels, 3 synonyms, 4 parents)"


def test_names_alone():
    knowledge = LabelKnowledge(np.array(["aid", " "]))
    assert knowledge.phrases() == [("aid",), ()]
    assert knowledge.texts() == ["aid", ""]
    assert knowledge.parent_matrix().shape == (2, 2)
    assert knowledge.parent_matrix().nnz == knowledge.ancestor_matrix().nnz == 0
    assert repr(LabelKnowledge(["aid"])) == "LabelKnowledge(1 label, 0 synonyms, 0 parents)"


def test_some_labels_in_a_mapping():
    knowledge = LabelKnowledge(
        NAMES,
        synonyms={"tax": ["levy"], 0: ("help",), np.int64(3): ["duty"]},
        parents={"state aid": [0], 2: ["tax"]},
    )
    assert knowledge.synonyms == (("help",), (), (), ("levy", "duty"))
    assert knowledge.parents == ((), (0,), (3,), ())


def test_repetitions_and_empty_synonyms_are_left_out():
    knowledge = LabelKnowledge(
        ["aid", "tax"], synonyms=[["help", "aid", " ", "help"], ["help"]], parents=[[], [0, "aid"]]
    )
    assert knowledge.synonyms == (("help",), ("help",))
    assert knowledge.parents == ((), (0,))


def test_equality_and_copies():
    knowledge = LabelKnowledge(NAMES, synonyms={"aid": ["help"]}, parents={"tax": ["aid"]})
    again = LabelKnowledge(knowledge.names, synonyms=knowledge.synonyms, parents=knowledge.parents)
    assert knowledge == again == copy.deepcopy(knowledge)
    assert hash(knowledge) == hash(again)
    for other in (
        LabelKnowledge(NAMES),
        LabelKnowledge(NAMES, synonyms={"aid": ["help"]}),
        LabelKnowledge(NAMES, synonyms={"aid": ["help"]}, parents={"tax": ["state aid"]}),
        LabelKnowledge(["aid", "state aid", "", "tay"], synonyms={"aid": ["help"]}, parents={3: ["aid"]}),
        "aid",
    ):
        assert knowledge != other
    with pytest.raises(AttributeError):
        knowledge.names = ()


def test_repeated_names_are_told_apart_by_number():
    names = ["aid", "", "aid", ""]
    knowledge = LabelKnowledge(
        names, synonyms={2: ["help"]}, parents=[[], [], [0], []], allow_repeated_names=True
    )
    assert knowledge.phrases() == [("aid",), (), ("aid", "help"), ()]
    assert knowledge.parents == ((), (), (0,), ())
    with pytest.raises(ValueError, match=r"synonyms: labels 0 and 2 are both named 'aid'; give the number"):
        LabelKnowledge(names, synonyms={"aid": ["help"]}, allow_repeated_names=True)
    with pytest.raises(ValueError, match=r"parents of label 3 \(''\): labels 0 and 2 are both named 'aid'"):
        LabelKnowledge(names, parents={3: ["aid"]}, allow_repeated_names=True)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ("aid", {}, r"names must be plain texts, a sequence of str; got a str"),
        (None, {}, r"names must be plain texts, a sequence of str; got None"),
        ([], {}, r"names holds no text; give at least one"),
        (["aid", None], {}, r"names .*; row 1 is a NoneType\. Give an empty text for a label whose name is"),
        (["aid", float("nan")], {}, r"names .*; row 1 is a float"),
        ([1, 2], {}, r"names .*; row 0 is a int"),
        (["aid", "tax", "aid"], {}, r"labels 0 and 2 are both named 'aid'; give .*allow_repeated_names=True"),
        (NAMES, {"synonyms": "help"}, r"synonyms must be a list; got 'help': put a single one into a list"),
        (
            NAMES,
            {"synonyms": [[], "help", [], []]},
            r"synonyms of label 1 \('state aid'\) must be a list; got",
        ),
        (NAMES, {"synonyms": [[], None, [], []]}, r"label 1 .* got None: give an empty one where there is"),
        (
            NAMES,
            {"synonyms": [[], {"help"}, [], []]},
            r"label 1 \('state aid'\) must be a list; got \{'help'\}",
        ),
        (
            NAMES,
            {"synonyms": [[], [], [], [None]]},
            r"synonyms of label 3 \('tax'\) must be texts; found None",
        ),
        (NAMES, {"synonyms": [["help"]]}, r"synonyms holds 1 lists, but names has 4; give one list a label"),
        (
            NAMES,
            {"synonyms": {"taxx": ["levy"]}},
            r"synonyms: no label is named 'taxx'\. Did you mean 'tax'\?",
        ),
        (NAMES, {"synonyms": {4: ["levy"]}}, r"synonyms: there is no label 4; the last one is 3"),
        (NAMES, {"synonyms": {-1: ["levy"]}}, r"synonyms: there is no label -1"),
        (NAMES, {"synonyms": {True: ["levy"]}}, r"synonyms: give labels by number or name; found True"),
        (NAMES, {"synonyms": {"": ["levy"]}}, r"synonyms: no label is named ''"),
        (
            NAMES,
            {"parents": [[], "aid", [], []]},
            r"parents of label 1 \('state aid'\) must be a list; got 'aid'",
        ),
        (NAMES, {"parents": [0, 1, 2, 3]}, r"parents of label 0 .* got 0: put a single one into a list"),
        (
            NAMES,
            {"parents": [[], ["ad"], [], []]},
            r"label 1 .*no label is named 'ad'\. Did you mean 'aid'\?",
        ),
        (NAMES, {"parents": [[], [4], [], []]}, r"parents of label 1 .*there is no label 4"),
        (NAMES, {"parents": [[], [1.0], [], []]}, r"parents of label 1 .*by number or name; found 1\.0"),
        (
            NAMES,
            {"parents": {"tax": ["tax"]}},
            r"parents: label 3 \('tax'\) is its own parent; leave that out",
        ),
        (
            NAMES,
            {"parents": {0: [1], 1: [3], 3: [1], 2: [0]}},
            r"in a cycle: 1 \('state aid'\) → 3 \('tax'\) → 1 \('state aid'\); leave one of these links out",
        ),
    ],
)
def test_errors(names, options, message):
    with pytest.raises(ValueError, match=message):
        LabelKnowledge(names, **options)


def test_another_number_of_labels():
    knowledge = LabelKnowledge(["aid", "tax"])
    knowledge.check_n_labels(2)
    with pytest.raises(
        ValueError, match=r"^label_knowledge knows 2 labels, but there are 3; give one name a"
    ):
        knowledge.check_n_labels(3)
    with pytest.raises(ValueError, match=r"^names knows 2 labels, but there are 1"):
        knowledge.check_n_labels(1, name="names")


EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14)


@given(EDGES)
def test_ancestors_and_cycles_are_those_of_a_naive_loop(edges):
    parents = [[above for below, above in edges if below == label] for label in range(8)]
    above = [set(own) for own in parents]
    for _ in range(8):
        above = [own.union(*(above[parent] for parent in own)) for own in above]
    names = list("abcdefgh")
    if any(label in own for label, own in enumerate(above)):
        with pytest.raises(ValueError, match=r"its own parent|in a cycle"):
            LabelKnowledge(names, parents=parents)
    else:
        matrix = LabelKnowledge(names, parents=parents).ancestor_matrix()
        assert [set(np.flatnonzero(row)) for row in matrix.toarray()] == above
        assert matrix.has_canonical_format


# From tables


def test_from_a_frame():
    frame = pd.DataFrame(
        {"label": ["aid", "tax", ""], "other": [["help"], None, float("nan")], "up": [pd.NA, ["aid"], [1]]}
    )
    expected = LabelKnowledge(["aid", "tax", ""], synonyms=[["help"], [], []], parents=[[], [0], [1]])
    assert LabelKnowledge.from_frame(frame, names="label", synonyms="other", parents="up") == expected
    columns = {name: list(frame[name]) for name in frame}
    assert LabelKnowledge.from_frame(columns, names="label", synonyms="other", parents="up") == expected
    assert LabelKnowledge.from_frame(frame, names="label") == LabelKnowledge(["aid", "tax", ""])


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"nam": ["aid"]}, {}, r"frame has no column 'name'; it has \['nam'\]\. Did you mean 'nam'\?"),
        ({"name": ["aid"]}, {"parents": "up"}, r"frame has no column 'up'"),
        ({"name": ["aid", None]}, {}, r"names .*; row 1 is a "),
        ({"name": []}, {}, r"names holds no text"),
        (
            {"name": ["aid"], "other": ["help|support"]},
            {"synonyms": "other"},
            r"must be a list; got 'help\|sup",
        ),
        ({"name": ["aid", "aid"]}, {}, "allow_repeated_names=True"),
    ],
)
def test_errors_of_frames(frame, options, message):
    for table in (frame, pd.DataFrame(frame)):
        with pytest.raises(ValueError, match=message):
            LabelKnowledge.from_frame(table, **options)


def test_a_frame_with_repeated_names():
    assert LabelKnowledge.from_frame({"name": ["aid", "aid"]}, allow_repeated_names=True).n_labels == 2


# From thesauri

TURTLE = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix : <http://example.org/> .
:scheme a skos:ConceptScheme ; skos:prefLabel "all"@en .
:1 a skos:Concept ; skos:prefLabel "aid"@en, "aide"@fr ; skos:altLabel "support"@en-GB, "help"@en, "zz"@fr .
:2 a skos:Concept ; skos:prefLabel "untagged" ; skos:broader :3 ; skos:notation "note-2" .
:3 a skos:Concept ; skos:prefLabel "nur deutsch"@de ; skos:broader :1 .
:4 a skos:Concept ; skos:prefLabel "aid"@en ; skos:hiddenLabel "hidden"@en .
:1 skos:narrower :4 .
<http://example.org/other#4> a skos:Concept ; skos:broader :4 .
"""


@pytest.fixture
def thesaurus(tmp_path):
    pytest.importorskip("rdflib")
    path = tmp_path / "thesaurus.ttl"
    path.write_text(TURTLE)
    return path


def test_from_skos_by_hand(thesaurus):
    knowledge = LabelKnowledge.from_skos(thesaurus)
    assert knowledge.names == ("aid", "untagged", "", "aid", "")
    assert knowledge.synonyms == (("help", "support"), (), (), (), ())
    assert knowledge.parents == ((), (2,), (0,), (0,), (3,))


def test_from_skos_some_labels(thesaurus):
    labels = ["note-2", "http://example.org/4", "1"]
    knowledge = LabelKnowledge.from_skos(str(thesaurus), labels=labels)
    assert knowledge.names == ("untagged", "aid", "aid")
    # the parent of 2 is no label, but the parent of that is one
    assert knowledge.parents == ((2,), (2,), ())
    assert LabelKnowledge.from_skos(thesaurus, labels=["untagged", *labels[1:]]) == knowledge


def test_from_skos_goes_up_from_a_broader_concept_once(tmp_path):
    """Two ways up meet at 4, and above it they go in a circle."""
    pytest.importorskip("rdflib")
    path = tmp_path / "circle.ttl"
    path.write_text(
        """
        @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
        @prefix : <http://example.org/> .
        :1 a skos:Concept ; skos:prefLabel "low" ; skos:broader :2, :3 .
        :2 a skos:Concept ; skos:broader :4 .
        :3 a skos:Concept ; skos:broader :4 .
        :4 a skos:Concept ; skos:broader :2, :5 .
        :5 a skos:Concept ; skos:prefLabel "high" .
        """
    )
    assert LabelKnowledge.from_skos(path, labels=["low", "high"]).parents == ((1,), ())


def test_from_skos_in_another_language(thesaurus):
    knowledge = LabelKnowledge.from_skos(thesaurus, labels=["1", "2", "3"], language="fr")
    assert knowledge.names == ("aide", "untagged", "")
    assert knowledge.synonyms[0] == ("zz",)


@pytest.mark.filterwarnings("ignore")  # of rdflib's own code
def test_from_skos_in_another_format(thesaurus):
    rdflib = pytest.importorskip("rdflib")
    for name in ("thesaurus.rdf", "thesaurus.nt", "thesaurus.jsonld"):
        path = thesaurus.with_name(name)
        rdflib.Graph().parse(str(thesaurus)).serialize(
            str(path), format={"rdf": "xml", "nt": "nt", "jsonld": "json-ld"}[name.partition(".")[2]]
        )
        assert LabelKnowledge.from_skos(path) == LabelKnowledge.from_skos(thesaurus)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["1", "7"], r"labels: .*thesaurus\.ttl holds no concept '7' \(label 1\)"),
        (["note-3"], r"holds no concept 'note-3' \(label 0\)\. Did you mean 'note-2'\?"),
        (["untaged"], r"holds no concept 'untaged' \(label 0\)\. Did you mean 'untagged'\?"),
        (["untagged", ""], r"holds no concept '' \(label 1\)"),
        (["aid"], r"'aid' \(label 0\) may be http://example.org/1 or http://example.org/4; give the whole"),
        (
            ["1", "4"],
            r"'4' \(label 1\) may be http://example.org/4 or http://example.org/other#4; give the whole",
        ),
        (["2", "note-2"], r"labels: labels 0 and 1 are both http://example.org/2"),
        ("1", r"labels must be plain texts, a sequence of str; got a str\. Name one concept a label"),
        ([1], r"labels .*; row 0 is a int"),
    ],
)
def test_errors_of_labels_in_a_thesaurus(thesaurus, labels, message):
    with pytest.raises(ValueError, match=message):
        LabelKnowledge.from_skos(thesaurus, labels=labels)


def test_a_cycle_of_concepts(thesaurus):
    with thesaurus.open("a") as stream:
        stream.write(":1 skos:broader :2 .")
    with pytest.raises(ValueError, match=r"cycle: 0 \('aid'\) → 1 \('untagged'\) → 2 \(''\) → 0 \('aid'\)"):
        LabelKnowledge.from_skos(thesaurus)
    with pytest.raises(ValueError, match=r"label 0 \('untagged'\) is its own parent"):
        LabelKnowledge.from_skos(thesaurus, labels=["2"])


def test_files_that_are_no_thesaurus(tmp_path):
    pytest.importorskip("rdflib")
    with pytest.raises(FileNotFoundError, match=r"none\.ttl: there is no such file"):
        LabelKnowledge.from_skos(tmp_path / "none.ttl")
    path = tmp_path / "broken.ttl"
    path.write_text("<a> <b>")
    with pytest.raises(ValueError, match=r"broken\.ttl cannot be read as RDF"):
        LabelKnowledge.from_skos(path)
    path.write_text("<http://a.org/a> <http://a.org/b> 3 .")
    with pytest.raises(ValueError, match=r"broken\.ttl holds no SKOS concepts"):
        LabelKnowledge.from_skos(path)


def test_without_rdflib(thesaurus, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdflib", None)
    with pytest.raises(ImportError, match=r'from_skos needs rdflib: pip install "adathresh\[skos\]"'):
        LabelKnowledge.from_skos(thesaurus)


def test_public_name():
    assert adathresh.LabelKnowledge is LabelKnowledge
