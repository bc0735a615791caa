"""What type checkers see in place of the attributes that are loaded on first use."""

from adathresh.classifier import AdaptiveThresholdClassifier as AdaptiveThresholdClassifier
from adathresh.explorer import LabelSetExplorer as LabelSetExplorer
from adathresh.paper.classifier import AdaptiveThresholdNetwork as AdaptiveThresholdNetwork
from adathresh.paper.losses import AdaptiveThresholdLoss as AdaptiveThresholdLoss
from adathresh.paper.threshold_layer import ThresholdFusion as ThresholdFusion
from adathresh.posthoc.threshold import AdaptiveThreshold as AdaptiveThreshold
from adathresh.saving import load as load
from adathresh.saving import save as save
from adathresh.self_training import SelfTraining as SelfTraining
from adathresh.signals.idf import LabelIDF as LabelIDF
from adathresh.signals.knn import NeighborLabels as NeighborLabels
from adathresh.signals.label_knowledge import LabelKnowledge as LabelKnowledge
from adathresh.signals.label_text import LabelAffinity as LabelAffinity
from adathresh.signals.mentions import LabelMentions as LabelMentions

__version__: str
MODULES: dict[str, str]
