"""What one pass over the rows decides."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from adathresh.utils.display import Table
from adathresh.utils.types import Matrix


@dataclass(frozen=True, eq=False, repr=False)
class Decision:
    """Label sets, probabilities, margins and thresholds of the same rows, from one pass over them.

    A label is predicted where its margin is positive, and that is where the base model's logit exceeds the
    threshold. ``AdaptiveThreshold.decide`` gives probabilities, margins and thresholds as CSR of the
    candidate pairs, and so does ``AdaptiveThresholdClassifier.decide`` where Y was sparse; else it gives
    arrays.

    Examples
    --------
    >>> from adathresh import AdaptiveThreshold
    >>> rule = AdaptiveThreshold().fit([[0.9], [0.7], [0.4], [0.1]], [[1], [1], [0], [0]])
    >>> decision = rule.decide([[0.8], [0.2]])
    >>> decision
    Decision(2 rows, 1 label; 1 label predicted, 0.50 a row)
    >>> decision.label_sets.ravel(), decision.margins.toarray().ravel() > 0
    (array([1, 0]), array([ True, False]))
    """

    label_sets: Matrix
    """(n_samples, n_labels), 0 or 1."""
    probabilities: Matrix
    """(n_samples, n_labels), fused probabilities in [0, 1]."""
    margins: Matrix
    """(n_samples, n_labels), by how much the fused logit exceeds its threshold, in fused logits."""
    solve_thresholds: Callable[[], Matrix]
    """Computes ``thresholds``."""

    @cached_property
    def thresholds(self) -> Matrix:
        """Compute θ_l(x) when it is first asked for: under a boosted fusion it costs more than all the rest.

        Returns
        -------
        array or csr_array of shape (n_samples, n_labels)
            Logits of the (first) base model; ``inf``: never predicted, ``-inf``: predicted at every score.
        """
        return self.solve_thresholds()

    def __repr__(self) -> str:
        n_rows, n_labels, n_predicted, mean = self._counts()
        return (
            f"Decision({_counted(n_rows, 'row')}, {_counted(n_labels, 'label')}; "
            f"{_counted(n_predicted, 'label')} predicted, {mean:.2f} a row)"
        )

    def _repr_html_(self) -> str:
        """Return the same as a table."""
        columns = [("rows", ",d"), ("labels", ",d"), ("labels predicted", ",d"), ("labels a row", ".2f")]
        return Table(columns, [self._counts()], "Decision")._repr_html_()

    def _counts(self):
        """Return the numbers of rows, of labels and of predicted labels, and the mean of the last a row."""
        n_rows, n_labels = (*self.margins.shape, 1)[:2]  # margins of a single label may be a vector
        n_predicted = int((self.margins > 0).sum())
        return n_rows, n_labels, n_predicted, n_predicted / n_rows if n_rows else float("nan")


def _counted(number, noun):
    """Return a number with what it counts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
