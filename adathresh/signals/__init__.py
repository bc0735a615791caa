"""What a threshold looks at: how rare a label is, who carries it nearby, how its text resembles the row's."""

from adathresh.signals.idf import LabelIDF
from adathresh.signals.knn import NeighborLabels
from adathresh.signals.label_text import LabelAffinity

__all__ = ["LabelAffinity", "LabelIDF", "NeighborLabels"]
