"""The method of arXiv:2505.03118, trained end to end in torch.

- ``classifier``: :class:`AdaptiveThresholdNetwork`, all of it as one scikit-learn classifier, without label
  leakage;
- ``threshold_layer``: :class:`ThresholdFusion`, the threshold θ as a torch module;
- ``losses``: the losses of logits against thresholds, as functions and as modules;
- ``network``: the multilayer perceptron, on sparse rows;
- ``training``: epochs, early stopping on validation rows, checkpoints;
- ``as_released``: for the audit only, the published protocol, which reads the labels that it predicts.
"""

try:
    import torch as _torch  # noqa: F401 (every module of this room needs it)
except ModuleNotFoundError as error:
    raise ImportError('The method of the paper needs torch: pip install "adathresh[paper]"') from error
