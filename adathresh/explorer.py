"""One row at a time: its labels' probabilities beside their thresholds, and its nearest training rows."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from adathresh.classifier import AdaptiveThresholdClassifier, _filled
from adathresh.utils.display import Table
from adathresh.utils.parameters import check_value, whole
from adathresh.utils.texts import check_texts, holds_texts
from adathresh.utils.types import MatrixLike
from adathresh.utils.validation import check_labels

_AS_FITTED = "as fitted"
_PRECISION = "precision"
_TARGETS = ("macro_f1", "macro_micro_f1", "micro_f1", _PRECISION)
_SHOWN_LETTERS = 600

_WIDTH, _LINE, _LEFT = 640, 20, 220  # pixels of the drawing: all, a label, the names
_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
_PREDICTED, _NOT_PREDICTED = "#0072b2", "#b0b0b0"


class LabelView(NamedTuple):
    """What was decided about one label of a row.

    Examples
    --------
    >>> LabelView("cat", probability=0.4, threshold=0.1, predicted=True, true=None).predicted
    True
    """

    name: str
    """The label's name, or "label" and its number."""
    probability: float
    """Fused probability, in [0, 1]."""
    threshold: float
    """What it must exceed, in [0, 1]; 1 for a label that is never predicted."""
    predicted: bool
    """Whether the label is predicted."""
    true: bool | None
    """Whether the row carries it; None where that is not known."""


@dataclass(frozen=True, repr=False)
class RowView:
    """One row as it was decided: ``print`` shows text, notebooks a drawing and tables of the same numbers.

    Examples
    --------
    >>> cat = LabelView("cat", probability=0.4, threshold=0.1, predicted=True, true=None)
    >>> RowView("1 label", "", (cat,), Table([("training row", "")], [("a cat",)]))
    1 label
    <BLANKLINE>
    label  probability  threshold  predicted
    cat          0.400      0.100  yes
    <BLANKLINE>
    training row
    a cat
    """

    headline: str
    """How many labels are predicted, and how many of the true ones are among them."""
    text: str
    """The row itself, where it is a text; else empty."""
    labels: tuple[LabelView, ...]
    """The labels that are shown, those farthest above their threshold first."""
    neighbors: Table
    """The nearest training rows, and which of the shown labels they carry."""

    def __repr__(self) -> str:
        tables = repr(_table_of(self.labels)), repr(self.neighbors)
        return "\n\n".join(filter(None, [self.headline, textwrap.fill(self.text, 100), *tables]))

    def _repr_html_(self) -> str:
        """Return the view as HTML, the tables folded away below the drawing."""
        text = f"<blockquote>{html.escape(self.text)}</blockquote>" if self.text else ""
        return (
            f"<p><b>{html.escape(self.headline)}</b></p>{text}{_drawing(self.labels)}"
            f"<details><summary>The same as a table</summary>{_table_of(self.labels)._repr_html_()}</details>"
            f"{self.neighbors._repr_html_()}"
        )


class LabelSetExplorer:
    """Look at rows one by one: which labels, how far from their thresholds, and which neighbours.

    As the last line of a notebook's cell it shows controls for the row and the target, where ipywidgets is
    installed (``pip install "adathresh[notebooks]"``), and elsewhere the first row as it stands. :meth:`view`
    returns one row, :meth:`widget` the controls.

    Parameters
    ----------
    classifier : AdaptiveThresholdClassifier
        A fitted classifier of several labels.
    X : array-like or sparse of shape (n_samples, n_features), data frame, or sequence of str
        New rows, as ``classifier.predict`` takes them.
    Y : array-like or sparse of shape (n_samples, n_labels), optional
        Their true labels, 0 or 1; they are only shown.
    texts : sequence of str, optional
        What is shown of the rows; None: X itself, where it holds texts.
    training_texts : sequence of str, optional
        What is shown of the rows that the classifier was fitted on; None: their numbers.
    n_labels : int, default=10
        How many labels are shown, those farthest above their threshold first; true ones beyond are added.
    n_neighbors : int, default=5
        How many of the nearest training rows are shown.
    row : int, default=0
        Number of the row that is shown first.

    Raises
    ------
    TypeError
        If classifier is no AdaptiveThresholdClassifier.
    ValueError
        If it has one binary target, there is no row, numbers are out of range, or arguments differ in length.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from adathresh.models.prototypes import LabelPrototypes
    >>> texts, Y = ["my cats", "my dogs", "a cow"] * 6, [[1, 0], [0, 1], [0, 0]] * 6
    >>> clf = AdaptiveThresholdClassifier(LabelPrototypes(min_df=1, max_df=1.0), random_state=0)
    >>> clf.fit(texts, Y, label_names=["cat", "dog"])
    AdaptiveThresholdClassifier(...)
    >>> explorer = LabelSetExplorer(clf, ["two dogs", "a cow"], [[0, 1], [0, 0]])
    >>> print(explorer.view(0).headline)
    Row 0, target macro_f1: 1 label predicted, 1 of 1 true label among them.
    """

    def __init__(
        self,
        classifier: AdaptiveThresholdClassifier,
        X: MatrixLike | Sequence[str],
        Y: MatrixLike | None = None,
        *,
        texts: Sequence[str] | None = None,
        training_texts: Sequence[str] | None = None,
        n_labels: int = 10,
        n_neighbors: int = 5,
        row: int = 0,
    ):
        if not isinstance(classifier, AdaptiveThresholdClassifier):
            raise TypeError(
                f"classifier must be an AdaptiveThresholdClassifier; got {type(classifier).__name__}."
            )
        check_is_fitted(classifier, "estimator_", msg="classifier is not fitted yet: call its fit first.")
        check_value("n_labels", n_labels, whole(1))
        check_value("n_neighbors", n_neighbors, whole(1))
        if classifier._container == "vector":
            raise ValueError("classifier must have several labels; got one of a binary target.")
        n_samples = classifier._checked(X).features.shape[0]
        if n_samples == 0:
            raise ValueError("X must hold at least one row; got none.")
        check_value("row", row, whole(0, n_samples - 1))
        self.n_samples, self.row = n_samples, row
        self._classifiers = {(None, None): classifier}
        self._X = sp.csr_array(X) if sp.issparse(X) else X  # rows can be taken of it
        self._Y = None if Y is None else check_labels(Y, n_samples=n_samples, n_labels=classifier.n_labels_)
        self._texts = _checked_texts(X if texts is None and holds_texts(X) else texts, "texts", n_samples)
        n_training = classifier._n_given or classifier.neighbors_._labels.shape[0]
        self._training_texts = _checked_texts(training_texts, "training_texts", n_training)
        self._n_labels, self._n_neighbors = n_labels, n_neighbors

    def view(
        self, row: int | None = None, target: str | None = None, target_value: float | None = None
    ) -> RowView:
        """Return one row as it is decided.

        Parameters
        ----------
        row : int, optional
            Number of the row in X; None: the one that is shown first.
        target : str, optional
            Another target than the classifier was fitted for, as of :class:`adathresh.AdaptiveThreshold`.
        target_value : float, optional
            Its value, where it takes one.

        Returns
        -------
        RowView
            What was decided, and the nearest training rows.

        Raises
        ------
        ValueError
            If there is no such row, or target or value are wrong.
        """
        row = self.row if row is None else row
        check_value("row", row, whole(0, self.n_samples - 1))
        classifier = self._for_target(target, target_value)
        x = _safe_indexing(self._X, [row])
        decision = classifier.decide(x)
        probability, predicted = map(_as_vector, (decision.probabilities, decision.label_sets))
        margin = _as_vector(decision.margins, -np.inf)
        true = None if self._Y is None else _as_vector(self._Y[[row]]).astype(bool)
        shown = self._shown_labels(margin, true)
        with np.errstate(divide="ignore", invalid="ignore"):  # a label that is never predicted
            thresholds = np.where(np.isneginf(margin), 1.0, expit(logit(probability) - margin))
        labels = tuple(
            LabelView(
                self._name_of(label),
                float(probability[label]),
                float(thresholds[label]),
                bool(predicted[label]),
                None if true is None else bool(true[label]),
            )
            for label in shown
        )
        text = "" if self._texts is None else self._texts[row]
        return RowView(
            _headline(row, classifier, predicted.astype(bool), true),
            textwrap.shorten(text, _SHOWN_LETTERS, placeholder=" …"),
            labels,
            self._neighbor_table(classifier, x, shown),
        )

    def widget(self) -> Any:
        """Return controls for the row and the target above the view that they choose.

        Returns
        -------
        ipywidgets.VBox
            The controls and the view; a target that the classifier cannot take is said in place of the view.

        Raises
        ------
        ImportError
            If ipywidgets is not installed.
        """
        try:
            import ipywidgets
        except ImportError as error:
            raise ImportError(
                'The controls of LabelSetExplorer need ipywidgets: pip install "adathresh[notebooks]"'
            ) from error
        row = ipywidgets.BoundedIntText(self.row, min=0, max=self.n_samples - 1, description="row")
        target = ipywidgets.Dropdown(options=(_AS_FITTED, *_TARGETS), description="target")
        precision = ipywidgets.FloatSlider(
            0.8, min=0.5, max=0.99, step=0.01, description=_PRECISION, continuous_update=False
        )
        shown = ipywidgets.HTML()

        def show():
            """Show what the controls ask for."""
            asked = None if target.value == _AS_FITTED else target.value
            value = precision.value if asked == _PRECISION else None
            precision.layout.display = "none" if value is None else None
            try:
                view = self.view(row.value, asked, value)
            except ValueError as error:
                shown.value = f"<p>{html.escape(str(error))}</p>"
            else:
                shown.value = view._repr_html_()

        for control in (row, target, precision):
            control.observe(lambda change: show(), names="value")
        show()
        return ipywidgets.VBox([ipywidgets.HBox([row, target, precision]), shown])

    def __repr__(self) -> str:
        return repr(self.view())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the first row, and the controls for notebooks that can show them."""
        view = self.view()
        bundle = {"text/plain": repr(view), "text/html": view._repr_html_()}
        try:
            controls = self.widget()
        except ImportError:
            return bundle
        return controls._repr_mimebundle_() | bundle

    def _for_target(self, target, value):
        """Return the classifier for a target, each found once."""
        key = target, None if value is None else tuple(np.ravel(value))
        if key not in self._classifiers:
            self._classifiers[key] = self._classifiers[None, None].retarget(target, value)
        return self._classifiers[key]

    def _shown_labels(self, margin, true):
        """Return the labels farthest above their threshold, and the true ones that are not among them."""
        order = np.argsort(-margin, kind="stable")
        first = order[np.isfinite(margin[order])][: self._n_labels]
        missed = [] if true is None else np.setdiff1d(np.flatnonzero(true), first)
        return [*first, *missed]

    def _name_of(self, label):
        """Return a label's name, or its number."""
        names = self._classifiers[None, None].label_names_
        return f"label {label}" if names is None else names[label]

    def _neighbor_table(self, classifier, x, shown):
        """Return the nearest training rows, and which of the shown labels they carry."""
        nearest = classifier.neighbors_.nearest(classifier._checked(x).features, 0)[: self._n_neighbors]
        lines = []
        for near, weight, _ in nearest:
            carried = set(classifier.neighbors_._labels[[near]].indices)
            row = classifier._as_given(near)
            names = [self._name_of(label) for label in shown if label in carried]
            text = f"row {row}" if self._training_texts is None else self._training_texts[row]
            lines.append((weight, ", ".join(names) or "none", textwrap.shorten(text, 80, placeholder=" …")))
        columns = [("weight", ".2f"), ("carries of these labels", ""), ("training row", "")]
        return Table(columns, lines, "Nearest training rows" if lines else "No training row is like this one")


def _checked_texts(texts, name, n_expected):
    """Return texts as a list, one for each row."""
    if texts is None:
        return None
    texts = check_texts(texts, name=name)
    if len(texts) != n_expected:
        raise ValueError(f"{name} must hold one text for each of {n_expected} rows; got {len(texts)}.")
    return texts


def _as_vector(values, elsewhere=0.0):
    """Return the values of one row as a dense vector, with one value where none is stored."""
    return np.ravel(_filled(values, elsewhere) if sp.issparse(values) else values)


def _headline(row, classifier, predicted, true):
    """Say how many labels are predicted, for what, and how many of the true ones are among them."""
    rule = classifier.rule_
    value = "" if rule.target_value is None or np.ndim(rule.target_value) else f" {rule.target_value:g}"
    text = f"Row {row}, target {rule.target}{value}: {_counted(predicted.sum())} predicted"
    if true is None:
        return f"{text}."
    return f"{text}, {(predicted & true).sum()} of {_counted(true.sum(), 'true label')} among them."


def _counted(number, what="label"):
    """Write a number of things."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _table_of(labels):
    """Return what was decided as a table."""
    columns = [("label", ""), ("probability", ".3f"), ("threshold", ".3f"), ("predicted", "")]
    with_truth = any(label.true is not None for label in labels)
    lines = [
        (label.name, label.probability, label.threshold, _yes(label.predicted), _yes(label.true))
        for label in labels
    ]
    kept = len(columns) + with_truth
    return Table([*columns, ("true", "")][:kept], [line[:kept] for line in lines])


def _yes(value):
    """Write a truth value as a table shows it."""
    return "yes" if value else ""


def _drawing(labels):
    """Draw each label's probability as a bar and its threshold as a stroke, on an axis of log-odds."""
    values = [value for label in labels for value in (label.probability, label.threshold)]
    least, most = min(values, default=0.1), max(values, default=0.9)
    low, high = logit(np.clip([min(least, 0.1) / 2, max(most, 0.9)], _TICKS[0], _TICKS[-1]))

    def at(probability):
        """Return where a probability lies, in pixels."""
        share = (logit(np.clip(probability, expit(low), expit(high))) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - 30)

    bottom = _LINE * len(labels) + 4
    parts = []
    for tick in _TICKS:
        if expit(low) <= tick <= expit(high):
            x = f"{at(tick):.0f}"
            parts.append(
                f'<line x1="{x}" x2="{x}" y1="0" y2="{bottom}" stroke="currentColor" opacity="0.15"/>'
                f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>'
            )
    for place, label in enumerate(labels):
        top = _LINE * place + 4
        name = html.escape(textwrap.shorten(label.name, 30, placeholder=" …") or label.name[:30])
        mark = " ✓" if label.true else ""
        color = _PREDICTED if label.predicted else _NOT_PREDICTED
        width = max(at(label.probability) - _LEFT, 0)
        stroke = at(label.threshold)
        parts.append(
            f'<text x="{_LEFT - 6}" y="{top + 12}" text-anchor="end">{name}{mark}</text>'
            f'<rect x="{_LEFT}" y="{top}" width="{width:.0f}" height="{_LINE - 6}" fill="{color}"/>'
            f'<line x1="{stroke:.0f}" x2="{stroke:.0f}" y1="{top - 2}" y2="{top + _LINE - 4}" '
            f'stroke="currentColor" stroke-width="2"/>'
        )
    height = bottom + 36
    caption = "fused probability (bar) and threshold (stroke); blue: predicted; ✓: true"
    return (
        f'<svg role="img" aria-label="{caption}; the table below has the numbers" width="{_WIDTH}" '
        f'height="{height}" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12" '
        f'fill="currentColor">{"".join(parts)}<text x="{_LEFT}" y="{bottom + 30}">{caption}</text></svg>'
    )
