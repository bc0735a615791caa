"""Any function that returns scores, as a base model; and the pipelines of Hugging Face among them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import _safe_indexing, gen_batches
from sklearn.utils.validation import _num_samples

from adathresh.metrics import top_k
from adathresh.utils.parameters import Allowed, check_parameters, check_value, parameters, verbosity, whole
from adathresh.utils.progress import tqdm
from adathresh.utils.texts import as_array, check_texts, holds_texts
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_scores


class ScoreFunction(ClassifierMixin, BaseEstimator):
    """A function that returns scores, as a base model that is trained already.

    :class:`adathresh.AdaptiveThresholdClassifier` takes it for frozen: nothing is fitted, and the rows of its
    ``fit`` must be others than those that the model behind the function was trained on.

    A saved file does not hold the function, which may be anything: give it back to the loaded object, by
    ``clf.set_params(estimator__function=function)`` or, in a list of base models,
    ``clf.estimator_[0].set_params(function=function)``.

    Parameters
    ----------
    function : callable
        ``function(batch)`` returns probabilities in [0, 1] of shape (n_rows, n_labels), dense or sparse; an
        absent pair counts as below every stored score. A batch of texts is a list of str; any other is what
        the classifier was given, some rows of it.
    batch_size : int, default=256
        Most rows in a batch.
    verbose : bool, default=False
        Whether to show progress with a time estimate.

    Raises
    ------
    ValueError
        In ``top_scores`` and ``predict``, if a parameter is out of range, or if the function returns scores
        of another shape, other numbers of labels for different batches, NaN, infinity or anything outside
        [0, 1]; the message names the rows.

    Examples
    --------
    >>> model = ScoreFunction(lambda texts: [[0.9, 0.1] if "cat" in text else [0.2, 0.7] for text in texts])
    >>> model.top_scores(["a cat", "a dog"]).toarray().tolist()
    [[0.9, 0.1], [0.2, 0.7]]
    """

    _parameters = parameters(
        function=Allowed("a function of a batch of rows", callable), batch_size=whole(1), verbose=verbosity()
    )

    def __init__(
        self, function: Callable[[Any], MatrixLike], *, batch_size: int = 256, verbose: bool = False
    ):
        self.function = function
        self.batch_size = batch_size
        self.verbose = verbose

    @classmethod
    def from_pipeline(
        cls,
        pipeline: Callable[..., Any],
        label_names: Sequence[str],
        *,
        batch_size: int = 256,
        **options: Any,
    ) -> Self:
        """Take a text-classification pipeline of Hugging Face, or anything that is called like one.

        Several labels can be true of a text only where each has a score on a scale of its own. For a model
        that does not say so itself (``problem_type="multi_label_classification"``) the pipeline makes all
        scores of a text sum to 1; pass ``function_to_apply="sigmoid"``.

        Parameters
        ----------
        pipeline : callable
            ``pipeline(texts, top_k=None)`` returns for each text a list of mappings with "label" and "score".
        label_names : sequence of str
            The pipeline's name of each label, in the order of the columns.
        batch_size : int, default=256
            Most texts that are given to the pipeline at once; it may make smaller batches of them.
        **options : dict
            Given to the pipeline at each call, such as ``function_to_apply="sigmoid"`` or
            ``truncation=True``.

        Returns
        -------
        ScoreFunction
            The base model.

        Raises
        ------
        ValueError
            If pipeline is no function, label_names are no texts, or repeated, or batch_size is below 1.

        Examples
        --------
        >>> def pipeline(texts, top_k):
        ...     return [[{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.2}] for _ in texts]
        >>> ScoreFunction.from_pipeline(pipeline, ["dog", "cat"]).top_scores(["my cat"]).toarray()
        array([[0.2, 0.9]])
        """
        if not callable(pipeline):
            raise ValueError(f"pipeline must be a function; got {pipeline!r}.")
        check_value("batch_size", batch_size, whole(1))
        names = tuple(check_texts(label_names, name="label_names", advice="Give one name a label."))
        if len(set(names)) < len(names):
            raise ValueError("label_names must be different from each other.")
        return cls(partial(_call_pipeline, pipeline, names, {"top_k": None} | options), batch_size=batch_size)

    def fit(self, X: Any, Y: Any) -> Self:
        """Check the parameters; there is nothing to fit.

        Parameters
        ----------
        X, Y : object
            Not looked at.

        Returns
        -------
        ScoreFunction
            This base model.
        """
        check_parameters(self)
        return self

    def top_scores(self, X: Any, *, k: int = 100) -> sp.csr_array:
        """Return the k highest scores of each row.

        Parameters
        ----------
        X : sequence of str, array, sparse matrix or data frame
            Rows, as the function takes them.
        k : int, default=100
            Scores a row, at least 1; fewer where the function returns fewer.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            Probabilities in [0, 1]; of equal ones the lower label number comes first.
        """
        check_parameters(self)
        check_value("k", k, whole(1))
        if X is None:
            raise ValueError("X must hold rows; got None.")
        n_samples, texts = _num_samples(X), holds_texts(X)
        if not n_samples:
            raise ValueError("X holds no rows; give at least one.")
        X = as_array(check_texts(X)) if texts else X
        n_labels, parts = None, []
        batches = list(gen_batches(n_samples, self.batch_size))
        for rows in tqdm(batches, desc="scores", unit="batch", disable=not self.verbose, leave=False):
            batch = _safe_indexing(X, rows)
            scores = check_scores(
                self.function(list(batch) if texts else batch),
                name=f"What function returned for rows {rows.start} to {rows.stop - 1}",
                n_samples=rows.stop - rows.start,
                n_labels=n_labels,
                probabilities=True,
            )
            n_labels = scores.shape[1]
            parts.append(top_k(scores, k))
        return sp.csr_array(sp.vstack(parts, format="csr"))

    def predict(self, X: Any) -> sp.csr_array:
        """Return the labels whose score exceeds 0.5.

        Parameters
        ----------
        X : sequence of str, array, sparse matrix or data frame
            Rows, as the function takes them.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_labels)
            0/1, int64, of the 100 highest scores of each row.
        """
        return sp.csr_array(self.top_scores(X) > 0.5).astype(np.int64)

    def __sklearn_clone__(self):
        # the function is shared: a model behind it would otherwise be copied
        return type(self)(self.function, batch_size=self.batch_size, verbose=self.verbose)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = False
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = tags.input_tags.string = True
        return tags


def scores_of_outputs(outputs: Sequence[Any], label_names: Sequence[str]) -> sp.csr_array:
    """Make a score matrix of what a text-classification pipeline of Hugging Face returns.

    Parameters
    ----------
    outputs : sequence of lists of mappings
        For each text its labels and scores, ``{"label": name, "score": score}``, in any order, as the
        pipeline returns them with ``top_k=None``. A label that is not named has no score.
    label_names : sequence of str
        The name of each column.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_texts, n_labels)
        The scores.

    Raises
    ------
    ValueError
        If an output is no list of labels with scores, or names a label twice or one that is not among
        ``label_names``; the message names the text.

    Examples
    --------
    >>> outputs = [[{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.2}]]
    >>> scores_of_outputs(outputs, ["dog", "cat"]).toarray()
    array([[0.2, 0.9]])
    """
    column = {name: number for number, name in enumerate(label_names)}
    rows = [_scores_of_output(output, number, column) for number, output in enumerate(outputs)]
    indices = [label for row in rows for label in row]
    values = np.array([score for row in rows for score in row.values()], dtype=np.float64)
    indptr = np.cumsum([0, *map(len, rows)])
    scores = sp.csr_array((values, indices, indptr), shape=(len(rows), len(column)))
    scores.sort_indices()
    return scores


def _scores_of_output(output, number, column):
    """Return the score of each label, by the number of its column."""
    scores: dict[int, float] = {}
    if not isinstance(output, list | tuple) or not all(
        isinstance(entry, Mapping) and {"label", "score"} <= set(entry) for entry in output
    ):
        raise ValueError(
            f"text {number}: the pipeline returned {output!r:.80}, no list of labels with scores; it must be "
            "one for text classification that takes top_k=None."
        )
    for entry in output:
        name = entry["label"]
        if name not in column:
            shown = ", ".join(map(repr, list(column)[:5]))
            raise ValueError(
                f"text {number}: the pipeline's label {name!r} is not among label_names ({shown})."
            )
        if column[name] in scores:
            raise ValueError(f"text {number}: the pipeline named the label {name!r} twice.")
        scores[column[name]] = float(entry["score"])
    return scores


def _call_pipeline(pipeline, label_names, options, texts):
    """Return the scores of some texts."""
    return scores_of_outputs(pipeline(texts, **options), label_names)
