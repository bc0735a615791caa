"""The method of arXiv:2505.03118, trained end to end in torch.

- ``classifier``: :class:`AdaptiveThresholdNetwork`, all of it as one scikit-learn classifier, without label
  leakage;
- ``threshold_layer``: :class:`ThresholdFusion`, the threshold θ as a torch module;
- ``losses``: the losses of logits against thresholds, as functions and as modules;
- ``rival_losses``: other papers' losses in their place: focal, asymmetric, soft macro-F1,
  distribution-balanced, hardest negative;
- ``network``: the multilayer perceptron, on sparse rows;
- ``output_code``: a short output layer of code bits, decoded to scores of all labels;
- ``training``: epochs, early stopping on validation rows, checkpoints;
- ``as_released``: for the audit only, the published protocol, which reads the labels that it predicts.
"""

try:
    import torch as _torch  # noqa: F401 (every module of this room needs it)
except ModuleNotFoundError as error:
    raise ImportError('The method of the paper needs torch: pip install "adathresh[paper]"') from error
