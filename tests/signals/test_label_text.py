"""Similarity of rows and label texts, by hand and against a loop."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer

from adathresh import LabelAffinity


def test_by_hand():
    labels = [[1.0, 0, 0], [3, 4, 0], [0, 0, 0], [-1, 0, 0]]
    found = LabelAffinity().fit(labels).transform([[2.0, 0, 0], [0, 5, 0], [0, 0, 1], [0, 0, 0]])
    assert isinstance(found, sp.csr_array)
    np.testing.assert_allclose(found.toarray(), [[1, 0.6, 0, 0], [0, 0.8, 0, 0], [0] * 4, [0] * 4])
    assert found.nnz == 3  # nothing stored that is 0


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize(("top", "least"), [(3, 0.0), (30, 0.2), (2, 0.35), (1, 0.05)])
def test_against_a_loop(form, top, least):
    rng = np.random.default_rng(0)
    rows, labels = (rng.normal(0.2, 1, (n, 10)) * (rng.random((n, 10)) < 0.5) for n in (40, 15))
    found = LabelAffinity(top, min_similarity=least).fit(form(labels)).transform(form(rows))
    expected = np.zeros((40, 15))
    for i, x in enumerate(rows):
        length = np.linalg.norm(x) * np.linalg.norm(labels, axis=1)
        cosine = np.divide(labels @ x, length, out=np.zeros(15), where=length > 0)
        for j in np.argsort(-cosine)[:top]:
            if cosine[j] > least:
                expected[i, j] = cosine[j]
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)
    assert found.has_sorted_indices
    assert 0 < found.nnz == (expected > 0).sum()


def test_never_above_one():
    X = np.random.default_rng(0).random((200, 7))
    found = LabelAffinity(200).fit(X).transform(X)
    assert found.data.max() == 1
    np.testing.assert_allclose(found.diagonal(), 1)


def test_the_least_similarity_itself_is_dropped():
    assert LabelAffinity(min_similarity=0.5).fit(np.eye(2)).transform([[0.6, 0.8]]).nnz == 2
    assert LabelAffinity(min_similarity=0.8).fit(np.eye(2)).transform([[0.6, 0.8]]).nnz == 0


def test_a_label_without_rows_is_found_by_its_text():
    names = ["income tax", "sea fishing", "organic farming"]
    vectoriser = TfidfVectorizer().fit(names)
    affinity = LabelAffinity().fit(vectoriser.transform(names))
    assert affinity.n_labels_ == 3
    found = affinity.transform(vectoriser.transform(["quotas for fishing in the north sea", "other words"]))
    np.testing.assert_allclose(found.toarray(), [[0, 1, 0], [0, 0, 0]])


def test_threads_and_clones_give_the_same():
    X = np.random.default_rng(0).random((50, 5))
    alone = LabelAffinity(4).fit(X).transform(X)
    for other in (LabelAffinity(4, n_jobs=2), clone(LabelAffinity(4))):
        assert (other.fit(X).transform(X) != alone).nnz == 0


def test_input_is_not_changed():
    X = sp.csr_array(np.array([[3.0, 4.0]]))
    LabelAffinity().fit(X).transform(X)
    np.testing.assert_array_equal(X.toarray(), [[3, 4]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_labels_per_row": 0}, "n_labels_per_row must be a whole number, at least 1; got 0"),
        ({"n_labels_per_row": 1.5}, "at least 1; got 1.5"),
        (
            {"min_similarity": -0.1},
            "min_similarity must be a finite number, at least 0 and less than 1; got -0.1",
        ),
        ({"min_similarity": 1}, "min_similarity must be a finite number, .*less than 1; got 1"),
        ({"min_similarity": np.nan}, "got nan"),
    ],
)
def test_refuses_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        LabelAffinity(**parameters).fit(np.eye(2))


def test_refuses_data():
    with pytest.raises(NotFittedError):
        LabelAffinity().transform(np.eye(2))
    with pytest.raises(ValueError, match="contains NaN"):
        LabelAffinity().fit([[np.nan, 1]])
    affinity = LabelAffinity().fit(np.eye(3))
    with pytest.raises(ValueError, match="X has 2 features, but LabelAffinity is expecting 3"):
        affinity.transform(np.eye(2))
    with pytest.raises(ValueError, match="contains infinity"):
        affinity.transform([[np.inf, 1, 0]])
    with pytest.raises(ValueError, match="0 sample"):  # as all of scikit-learn
        affinity.transform(np.zeros((0, 3)))
