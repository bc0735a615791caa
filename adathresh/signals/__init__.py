"""What a threshold looks at: how rare a label is, who carries it nearby, how its text resembles the row's."""

from adathresh.signals.blocks import FeatureBlocks, greedy_block_weights
from adathresh.signals.context import GroupContext
from adathresh.signals.idf import LabelIDF
from adathresh.signals.knn import NeighborLabels
from adathresh.signals.label_knowledge import LabelKnowledge
from adathresh.signals.label_text import LabelAffinity
from adathresh.signals.mentions import LabelMentions
from adathresh.signals.phrases import PhraseMatcher, PhraseMatches, count_phrases, folded_words

__all__ = [
    "FeatureBlocks",
    "GroupContext",
    "LabelAffinity",
    "LabelIDF",
    "LabelKnowledge",
    "LabelMentions",
    "NeighborLabels",
    "PhraseMatcher",
    "PhraseMatches",
    "count_phrases",
    "folded_words",
    "greedy_block_weights",
]
